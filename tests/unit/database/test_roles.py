"""What the service's own database role may do with each table."""

from models.all_tables import metadata
from models.database.postgres.grants import APPEND_ONLY, RIGHTS
from models.database.postgres.partitions import KEYS


def test_every_table_says_what_the_service_may_do_with_it() -> None:
    tables = {*metadata.tables, "alembic_version", KEYS}
    assert tables == set(RIGHTS), (
        "write into models/database/postgres/grants.py what the service may do with each table"
    )
    assert {"events", "leaves", "audit"} <= set(APPEND_ONLY)
