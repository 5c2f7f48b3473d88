"""events by year: on PostgreSQL one partition a calendar year of `appended_us`, and their keys in one narrow table"""

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op


revision = '0005'
down_revision = '0004'
branch_labels = None
depends_on = None

# Rows whose year is none that partitions have go into the default one, so no date makes a row fail.
YEARS = range(1970, 9999)

NOTE_KEYS = """
CREATE FUNCTION {schema}.note_event_keys() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO {schema}.event_keys (id, subject, chain_seq) SELECT id, subject, chain_seq FROM fresh;
    RETURN NULL;
END $$
"""

GRANT_AGAIN = """
DO $$
DECLARE given record;
BEGIN
    FOR given IN
        SELECT grantee::regrole AS role, privilege_type AS what FROM pg_class, aclexplode(relacl)
        WHERE oid = 'events_before'::regclass AND grantee NOT IN (0, relowner)
    LOOP
        EXECUTE format('GRANT %s ON events TO %s', given.what, given.role);
    END LOOP;
END $$
"""


def upgrade() -> None:
    connection = op.get_bind()
    if connection.dialect.name != 'postgresql':
        return  # SQLite has no partitions, and no need of them: one file, one machine
    schema = connection.dialect.identifier_preparer.quote(connection.scalar(sa.text('SELECT current_schema()')))
    op.execute('ALTER TABLE events RENAME TO events_before')
    copy_by_year(connection)
    keep_the_keys()
    op.execute(GRANT_AGAIN)
    op.execute("ALTER SEQUENCE events_seq_seq OWNED BY events.seq")
    op.execute('DROP TABLE events_before')
    op.execute('ALTER TABLE events ADD CONSTRAINT pk_events PRIMARY KEY (seq, appended_us)')
    op.execute('CREATE INDEX ix_events_id ON events (id)')
    op.execute('CREATE INDEX ix_events_subject_chain_seq ON events (subject, chain_seq)')
    op.execute("CREATE INDEX ix_events_voids ON events (subject) WHERE type = 'event.voided'")
    op.execute(NOTE_KEYS.format(schema=schema))
    op.execute(f'REVOKE ALL ON FUNCTION {schema}.note_event_keys() FROM PUBLIC')
    op.execute('CREATE TRIGGER note_event_keys AFTER INSERT ON events REFERENCING NEW TABLE AS fresh '
               f'FOR EACH STATEMENT EXECUTE FUNCTION {schema}.note_event_keys()')


def copy_by_year(connection: sa.Connection) -> None:
    """The partitions of the years that the rows have, and a default one; all rows into them."""
    op.execute('CREATE TABLE events (LIKE events_before INCLUDING DEFAULTS) PARTITION BY RANGE (appended_us)')
    op.execute('CREATE TABLE events_default PARTITION OF events DEFAULT')
    years = connection.scalars(sa.text(
        "SELECT DISTINCT extract(year FROM timestamp 'epoch' + appended_us / 1000000 * interval '1 second')::int"
        ' FROM events_before ORDER BY 1'
    )).all()
    for year in set(years) & set(YEARS):
        start, end = (int(datetime(y, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000 for y in (year, year + 1))
        op.execute(f'CREATE TABLE events_{year} PARTITION OF events FOR VALUES FROM ({start}) TO ({end})')
    op.execute('INSERT INTO events SELECT * FROM events_before')
    before, after = (connection.scalar(sa.text(f'SELECT count(*) FROM {t}')) for t in ('events_before', 'events'))
    if before != after:
        raise RuntimeError(f'{before} events became {after}: nothing was changed, restore a backup and look at the disk')


def keep_the_keys() -> None:
    """What must be unique over all years: PostgreSQL has no unique key across partitions of another column."""
    op.execute('CREATE TABLE event_keys (id text NOT NULL, subject text NOT NULL, chain_seq integer NOT NULL)')
    op.execute('INSERT INTO event_keys SELECT id, subject, chain_seq FROM events_before')
    op.execute('ALTER TABLE event_keys ADD CONSTRAINT pk_event_keys PRIMARY KEY (id)')
    op.execute('ALTER TABLE event_keys ADD CONSTRAINT uq_event_keys_subject_chain_seq UNIQUE (subject, chain_seq)')


def downgrade() -> None:
    raise RuntimeError("evidence is never taken back: restore a backup instead")
