"""messages: beside an English text for people, the template and the values that it was made of"""

import sqlalchemy as sa
from alembic import op


revision = '0007'
down_revision = '0006'
branch_labels = None
depends_on = None


def upgrade() -> None:
    # null in the rows that are there: they are shown in English until they are written again
    for table in ('alerts', 'discrepancies', 'print_jobs', 'quarantine'):
        op.add_column(table, sa.Column('message', sa.Text()))


def downgrade() -> None:
    raise RuntimeError("evidence is never taken back: restore a backup instead")
