"""open alerts: found by specimen, and by how long nobody has answered, however many were closed"""

import sqlalchemy as sa
from alembic import op


revision = '0006'
down_revision = '0005'
branch_labels = None
depends_on = None

_OPEN = 'resolved_us IS NULL'
_UNANSWERED = 'resolved_us IS NULL AND acknowledged_us IS NULL AND escalated_us IS NULL'


def upgrade() -> None:
    for name, columns, where in (
        ('ix_alerts_open_accession', ['accession'], _OPEN),
        ('ix_alerts_unanswered', ['severity', 'opened_us'], _UNANSWERED),
    ):
        op.create_index(name, 'alerts', columns, sqlite_where=sa.text(where), postgresql_where=sa.text(where))


def downgrade() -> None:
    raise RuntimeError("evidence is never taken back: restore a backup instead")
