"""state made anew: keys of orders and lots, tubes of orders, what waits for a tube, results with their judgement

The tables of state are a pure function of the evidence: they are dropped, and folded again by `labtrail migrate`.
Alerts lose the memory of their causes; when all was last judged is kept.
"""

import sqlalchemy as sa
from alembic import op


revision = '0008'
down_revision = '0007'
branch_labels = None
depends_on = None

_STATE = (
    'orders', 'specimens', 'discrepancies', 'results', 'legs', 'relations', 'linked_uses', 'movements', 'stock',
    'stock_items', 'stock_marks', 'usage_daily', 'lot_facts',
)


def upgrade() -> None:
    for table in _STATE:
        op.drop_table(table)
    op.drop_column('alerts', 'cause')
    op.create_table('discrepancies',
    sa.Column('accession', sa.Text(), nullable=False),
    sa.Column('code', sa.Text(), nullable=False),
    sa.Column('detail', sa.Text(), nullable=False),
    sa.Column('message', sa.Text(), nullable=True),
    sa.Column('events', sa.Text(), nullable=False),
    sa.Column('site', sa.Text(), nullable=True),
    sa.PrimaryKeyConstraint('accession', 'code', 'detail', name=op.f('pk_discrepancies'))
    )
    with op.batch_alter_table('discrepancies', schema=None) as batch_op:
        batch_op.create_index('ix_discrepancies_code_site', ['code', 'site'], unique=False)

    op.create_table('legs',
    sa.Column('accession', sa.Text(), nullable=False),
    sa.Column('manifest', sa.Text(), nullable=False),
    sa.Column('number', sa.Integer(), nullable=False),
    sa.Column('origin', sa.Text(), nullable=True),
    sa.Column('destination', sa.Text(), nullable=True),
    sa.Column('transport', sa.Text(), nullable=True),
    sa.Column('tote', sa.Text(), nullable=True),
    sa.Column('seal', sa.Text(), nullable=True),
    sa.Column('dispatched_us', sa.BigInteger(), nullable=True),
    sa.Column('picked_up_us', sa.BigInteger(), nullable=True),
    sa.Column('received_us', sa.BigInteger(), nullable=True),
    sa.Column('received_site', sa.Text(), nullable=True),
    sa.Column('courier', sa.Text(), nullable=True),
    sa.PrimaryKeyConstraint('accession', 'manifest', name=op.f('pk_legs'))
    )
    with op.batch_alter_table('legs', schema=None) as batch_op:
        batch_op.create_index('ix_legs_manifest', ['manifest'], unique=False)

    op.create_table('linked_uses',
    sa.Column('accession', sa.Text(), nullable=False),
    sa.Column('event_id', sa.Text(), nullable=False),
    sa.Column('item', sa.Text(), nullable=False),
    sa.Column('lot', sa.Text(), nullable=False),
    sa.Column('site', sa.Text(), nullable=False),
    sa.Column('time_us', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('accession', 'event_id', name=op.f('pk_linked_uses'))
    )
    with op.batch_alter_table('linked_uses', schema=None) as batch_op:
        batch_op.create_index('ix_linked_uses_lot', ['item', 'lot'], unique=False)

    op.create_table('lot_facts',
    sa.Column('item', sa.Text(), nullable=False),
    sa.Column('lot', sa.Text(), nullable=False),
    sa.Column('event_id', sa.Text(), nullable=False),
    sa.Column('time_us', sa.BigInteger(), nullable=False),
    sa.Column('spelled', sa.Text(), server_default='', nullable=False),
    sa.Column('site', sa.Text(), server_default='', nullable=False),
    sa.Column('expires', sa.String(length=10), nullable=True),
    sa.Column('notice', sa.Text(), nullable=True),
    sa.PrimaryKeyConstraint('item', 'lot', 'event_id', name=op.f('pk_lot_facts'))
    )
    with op.batch_alter_table('lot_facts', schema=None) as batch_op:
        batch_op.create_index('ix_lot_facts_event', ['event_id'], unique=False)

    op.create_table('movements',
    sa.Column('site', sa.Text(), nullable=False),
    sa.Column('item', sa.Text(), nullable=False),
    sa.Column('time_us', sa.BigInteger(), nullable=False),
    sa.Column('rank', sa.Integer(), nullable=False),
    sa.Column('event_id', sa.Text(), nullable=False),
    sa.Column('line', sa.Integer(), nullable=False),
    sa.Column('kind', sa.Text(), nullable=False),
    sa.Column('lot', sa.Text(), nullable=True),
    sa.Column('quantity_u', sa.BigInteger(), nullable=False),
    sa.Column('supply_order', sa.Text(), nullable=True),
    sa.Column('sent', sa.Text(), nullable=True),
    sa.Column('accession', sa.Text(), nullable=True),
    sa.Column('lot_spelled', sa.Text(), nullable=True),
    sa.Column('order_spelled', sa.Text(), nullable=True),
    sa.Column('expected', sa.String(length=10), nullable=True),
    sa.Column('future', sa.Integer(), server_default='0', nullable=False),
    sa.Column('taken', sa.Text(), nullable=True),
    sa.PrimaryKeyConstraint('site', 'item', 'time_us', 'rank', 'event_id', 'line', name=op.f('pk_movements'))
    )
    with op.batch_alter_table('movements', schema=None) as batch_op:
        batch_op.create_index('ix_movements_event', ['event_id'], unique=False)
        batch_op.create_index('ix_movements_future', ['site', 'item'], unique=False, sqlite_where=sa.text('future = 1'), postgresql_where=sa.text('future = 1'))
        batch_op.create_index('ix_movements_lot', ['item', 'lot', 'accession'], unique=False)

    op.create_table('order_spellings',
    sa.Column('order_key', sa.Text(), nullable=False),
    sa.Column('order_id', sa.Text(), nullable=False),
    sa.PrimaryKeyConstraint('order_key', 'order_id', name=op.f('pk_order_spellings'))
    )
    op.create_table('order_tubes',
    sa.Column('order_key', sa.Text(), nullable=False),
    sa.Column('accession', sa.Text(), nullable=False),
    sa.Column('order_id', sa.Text(), nullable=False),
    sa.Column('tests', sa.Text(), nullable=False),
    sa.Column('site', sa.Text(), nullable=True),
    sa.Column('patient', sa.Text(), nullable=True),
    sa.Column('priority', sa.Text(), nullable=True),
    sa.Column('collected_us', sa.BigInteger(), nullable=False),
    sa.Column('recollect_us', sa.BigInteger(), nullable=True),
    sa.Column('again_key', sa.Text(), nullable=True),
    sa.PrimaryKeyConstraint('accession', 'order_key', name=op.f('pk_order_tubes'))
    )
    with op.batch_alter_table('order_tubes', schema=None) as batch_op:
        batch_op.create_index('ix_order_tubes_order', ['order_key'], unique=False)
        batch_op.create_index('ix_order_tubes_again', ['again_key'], unique=False, sqlite_where=sa.text('again_key IS NOT NULL'), postgresql_where=sa.text('again_key IS NOT NULL'))

    op.create_table('orders',
    sa.Column('order_key', sa.Text(), nullable=False),
    sa.Column('order_id', sa.Text(), nullable=False),
    sa.Column('status', sa.Text(), nullable=False),
    sa.Column('patient', sa.Text(), nullable=True),
    sa.Column('priority', sa.Text(), nullable=True),
    sa.Column('tests', sa.Text(), nullable=False),
    sa.Column('site', sa.Text(), nullable=True),
    sa.Column('ordered_by', sa.Text(), nullable=True),
    sa.Column('placed_us', sa.BigInteger(), nullable=True),
    sa.Column('placed_event', sa.Text(), nullable=True),
    sa.Column('other_placing', sa.Text(), nullable=True),
    sa.Column('cancelled_us', sa.BigInteger(), nullable=True),
    sa.Column('cancelled_event', sa.Text(), nullable=True),
    sa.Column('due', sa.Text(), nullable=False),
    sa.PrimaryKeyConstraint('order_key', name=op.f('pk_orders'))
    )
    op.create_table('relations',
    sa.Column('child', sa.Text(), nullable=False),
    sa.Column('parent', sa.Text(), nullable=False),
    sa.Column('event_id', sa.Text(), nullable=False),
    sa.PrimaryKeyConstraint('child', 'event_id', name=op.f('pk_relations'))
    )
    with op.batch_alter_table('relations', schema=None) as batch_op:
        batch_op.create_index('ix_relations_parent', ['parent'], unique=False)

    op.create_table('results',
    sa.Column('accession', sa.Text(), nullable=False),
    sa.Column('test', sa.Text(), nullable=False),
    sa.Column('status', sa.Text(), nullable=False),
    sa.Column('value', sa.Text(), nullable=True),
    sa.Column('unit', sa.Text(), nullable=True),
    sa.Column('flag', sa.Text(), nullable=True),
    sa.Column('critical', sa.Text(), nullable=False),
    sa.Column('undecided', sa.Text(), server_default='[]', nullable=False),
    sa.Column('range', sa.Text(), nullable=True),
    sa.Column('comment', sa.Text(), nullable=True),
    sa.Column('components', sa.Text(), server_default='[]', nullable=False),
    sa.Column('report', sa.Text(), server_default='', nullable=False),
    sa.Column('reported_us', sa.BigInteger(), nullable=False),
    sa.Column('counts_us', sa.BigInteger(), server_default='0', nullable=False),
    sa.Column('first_final_us', sa.BigInteger(), nullable=True),
    sa.Column('since_us', sa.BigInteger(), nullable=True),
    sa.Column('due_us', sa.BigInteger(), nullable=True),
    sa.Column('acknowledged_us', sa.BigInteger(), nullable=True),
    sa.Column('acknowledged_by', sa.Text(), nullable=True),
    sa.Column('revisions', sa.Integer(), nullable=False),
    sa.PrimaryKeyConstraint('accession', 'test', name=op.f('pk_results'))
    )
    op.create_table('specimens',
    sa.Column('accession', sa.Text(), nullable=False),
    sa.Column('order_id', sa.Text(), nullable=True),
    sa.Column('order_key', sa.Text(), nullable=True),
    sa.Column('patient', sa.Text(), nullable=True),
    sa.Column('site', sa.Text(), nullable=True),
    sa.Column('container', sa.Text(), nullable=True),
    sa.Column('tests', sa.Text(), nullable=False),
    sa.Column('priority', sa.Text(), nullable=True),
    sa.Column('status', sa.Text(), nullable=False),
    sa.Column('custodian', sa.Text(), nullable=True),
    sa.Column('location', sa.Text(), nullable=True),
    sa.Column('manifest', sa.Text(), nullable=True),
    sa.Column('destination', sa.Text(), nullable=True),
    sa.Column('collected_us', sa.BigInteger(), nullable=True),
    sa.Column('labeled_us', sa.BigInteger(), nullable=True),
    sa.Column('dispatched_us', sa.BigInteger(), nullable=True),
    sa.Column('picked_up_us', sa.BigInteger(), nullable=True),
    sa.Column('received_us', sa.BigInteger(), nullable=True),
    sa.Column('resulted_us', sa.BigInteger(), nullable=True),
    sa.Column('lab_received_us', sa.BigInteger(), nullable=True),
    sa.Column('parent', sa.Text(), nullable=True),
    sa.Column('discrepancies', sa.Text(), nullable=False),
    sa.Column('deadlines', sa.Text(), nullable=True),
    sa.Column('alerts_open', sa.Integer(), server_default='0', nullable=False),
    sa.Column('alert_check_us', sa.BigInteger(), nullable=True),
    sa.Column('faulty', sa.Integer(), server_default='0', nullable=False),
    sa.PrimaryKeyConstraint('accession', name=op.f('pk_specimens'))
    )
    with op.batch_alter_table('specimens', schema=None) as batch_op:
        batch_op.create_index('ix_specimens_alert_check_us', ['alert_check_us'], unique=False, sqlite_where=sa.text('alert_check_us IS NOT NULL'), postgresql_where=sa.text('alert_check_us IS NOT NULL'))
        batch_op.create_index('ix_specimens_faulty', ['accession'], unique=False, sqlite_where=sa.text('faulty = 1'), postgresql_where=sa.text('faulty = 1'))
        batch_op.create_index(batch_op.f('ix_specimens_order_key'), ['order_key'], unique=False)
        batch_op.create_index(batch_op.f('ix_specimens_parent'), ['parent'], unique=False)
        batch_op.create_index('ix_specimens_status_site', ['status', 'site'], unique=False)

    op.create_table('stock',
    sa.Column('site', sa.Text(), nullable=False),
    sa.Column('item', sa.Text(), nullable=False),
    sa.Column('lot', sa.Text(), nullable=False),
    sa.Column('on_hand_u', sa.BigInteger(), nullable=False),
    sa.Column('skeleton', sa.Text(), server_default='', nullable=False),
    sa.Column('arrived', sa.Integer(), server_default='1', nullable=False),
    sa.PrimaryKeyConstraint('site', 'item', 'lot', name=op.f('pk_stock'))
    )
    with op.batch_alter_table('stock', schema=None) as batch_op:
        batch_op.create_index('ix_stock_lot', ['item', 'lot'], unique=False)
        batch_op.create_index('ix_stock_odd', ['site', 'item'], unique=False, sqlite_where=sa.text('on_hand_u < 0 OR arrived = 0'), postgresql_where=sa.text('on_hand_u < 0 OR arrived = 0'))
        batch_op.create_index('ix_stock_skeleton', ['item', 'skeleton', 'lot'], unique=False)

    op.create_table('stock_items',
    sa.Column('site', sa.Text(), nullable=False),
    sa.Column('item', sa.Text(), nullable=False),
    sa.Column('on_hand_u', sa.BigInteger(), nullable=False),
    sa.Column('state', sa.LargeBinary(), nullable=False),
    sa.PrimaryKeyConstraint('site', 'item', name=op.f('pk_stock_items'))
    )
    op.create_table('stock_marks',
    sa.Column('site', sa.Text(), nullable=False),
    sa.Column('item', sa.Text(), nullable=False),
    sa.Column('time_us', sa.BigInteger(), nullable=False),
    sa.Column('state', sa.LargeBinary(), nullable=False),
    sa.PrimaryKeyConstraint('site', 'item', 'time_us', name=op.f('pk_stock_marks'))
    )
    op.create_table('sweeps',
    sa.Column('id', sa.Integer(), autoincrement=False, nullable=False),
    sa.Column('complete_us', sa.BigInteger(), nullable=False),
    sa.Column('failures', sa.Integer(), nullable=False),
    sa.Column('faults', sa.Text(), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_sweeps'))
    )
    op.create_table('usage_daily',
    sa.Column('site', sa.Text(), nullable=False),
    sa.Column('item', sa.Text(), nullable=False),
    sa.Column('day', sa.Integer(), nullable=False),
    sa.Column('quantity_u', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('site', 'item', 'day', name=op.f('pk_usage_daily'))
    )
    op.create_table('waiting_orders',
    sa.Column('order_key', sa.Text(), nullable=False),
    sa.Column('order_id', sa.Text(), nullable=False),
    sa.Column('site', sa.Text(), nullable=True),
    sa.Column('patient', sa.Text(), nullable=True),
    sa.Column('priority', sa.Text(), nullable=False),
    sa.Column('tests', sa.Text(), nullable=False),
    sa.Column('since_us', sa.BigInteger(), nullable=False),
    sa.Column('due_us', sa.BigInteger(), nullable=False),
    sa.Column('deadlines', sa.Text(), nullable=True),
    sa.Column('alerts_open', sa.Integer(), server_default='0', nullable=False),
    sa.Column('alert_check_us', sa.BigInteger(), nullable=True),
    sa.Column('faulty', sa.Integer(), server_default='0', nullable=False),
    sa.PrimaryKeyConstraint('order_key', name=op.f('pk_waiting_orders'))
    )
    with op.batch_alter_table('waiting_orders', schema=None) as batch_op:
        batch_op.create_index('ix_waiting_orders_alert_check_us', ['alert_check_us'], unique=False)
        batch_op.create_index('ix_waiting_orders_faulty', ['order_key'], unique=False, sqlite_where=sa.text('faulty = 1'), postgresql_where=sa.text('faulty = 1'))
        batch_op.create_index('ix_waiting_orders_order_id', ['order_id'], unique=False)
        batch_op.create_index('ix_waiting_orders_site', ['site', 'priority'], unique=False)
    op.execute("INSERT INTO meta (name, value) SELECT 'state', 'to be folded' WHERE EXISTS (SELECT 1 FROM events)")


def downgrade() -> None:
    raise RuntimeError("evidence is never taken back: restore a backup instead")
