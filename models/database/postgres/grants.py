"""The service's privileges in PostgreSQL: evidence can be inserted and read, never updated or deleted.

The tables belong to the role that migrates; workers and stations connect as another, which gets only these
privileges. SQLite has no roles: there only the hash chains and the exported checkpoints reveal a change.
"""

from sqlalchemy import Connection, text

from config.errors import LabtrailError
from models.database.postgres.partitions import is_partition

READ, ADD, CHANGE, REMOVE = "SELECT", "INSERT", "UPDATE", "DELETE"

RIGHTS: dict[str, tuple[str, ...]] = {
    # evidence: nobody who runs the service can rewrite what happened
    "events": (READ, ADD),
    "event_keys": (READ,),  # filled by a trigger of `events`, with the rights of the tables' owner
    "leaves": (READ, ADD),
    "tree_nodes": (READ, ADD),
    "audit": (READ, ADD),
    "near_misses": (READ, ADD),
    # the heads of the chains and of the tree are updated; what they summarize is in the evidence
    "chains": (READ, ADD, CHANGE),
    "tree_state": (READ, ADD, CHANGE),
    "progress": (READ, ADD, CHANGE),
    # a quarantined record stays as received; whether it was requeued or discarded is decided later
    "quarantine": (READ, ADD, "UPDATE (state, decided_us)"),
    # state: folded from the evidence, recomputed by `labtrail rebuild`
    "orders": (READ, ADD, CHANGE, REMOVE),
    "order_spellings": (READ, ADD, CHANGE, REMOVE),
    "order_tubes": (READ, ADD, CHANGE, REMOVE),
    "waiting_orders": (READ, ADD, CHANGE, REMOVE),
    "specimens": (READ, ADD, CHANGE, REMOVE),
    "discrepancies": (READ, ADD, CHANGE, REMOVE),
    "results": (READ, ADD, CHANGE, REMOVE),
    "legs": (READ, ADD, CHANGE, REMOVE),
    "relations": (READ, ADD, CHANGE, REMOVE),
    "linked_uses": (READ, ADD, CHANGE, REMOVE),
    "movements": (READ, ADD, CHANGE, REMOVE),
    "stock": (READ, ADD, CHANGE, REMOVE),
    "stock_items": (READ, ADD, CHANGE, REMOVE),
    "stock_marks": (READ, ADD, CHANGE, REMOVE),
    "usage_daily": (READ, ADD, CHANGE, REMOVE),
    "lot_facts": (READ, ADD, CHANGE, REMOVE),
    # acts
    "alerts": (READ, ADD, CHANGE),
    "sweeps": (READ, ADD, CHANGE),
    "outbox": (READ, ADD, CHANGE, REMOVE),
    "notifications": (READ, ADD, CHANGE, REMOVE),
    "print_jobs": (READ, ADD, CHANGE),
    "label_counters": (READ, ADD, CHANGE),
    "serials": (READ, ADD, CHANGE),
    "meta": (READ, ADD, CHANGE),
    # names and birth dates, encrypted; only the newest are kept
    "patients": (READ, ADD, CHANGE),
    # people: those who leave are disabled, not deleted
    "users": (READ, ADD, CHANGE),
    "grants": (READ, ADD, CHANGE, REMOVE),
    "devices": (READ, ADD, CHANGE),
    "sessions": (READ, ADD, CHANGE, REMOVE),
    "sign_in_failures": (READ, ADD, CHANGE, REMOVE),
    "break_glass": (READ, ADD, "UPDATE (reviewed_by, reviewed_us)"),
    # written by migrations
    "alembic_version": (READ,),
}
"""{table: rights of the service}."""

APPEND_ONLY = tuple(table for table, rights in RIGHTS.items() if rights == (READ, ADD))


class RoleError(LabtrailError):
    """The role can't be given its rights; the message says what to do."""


def grant_service(connection: Connection, role: str) -> None:
    """Grant an existing role the privileges of the service, and revoke any other in our tables.

    Runs inside the caller's transaction, as the owner of the tables, after each migration. Raises RoleError.
    """
    if connection.dialect.name != "postgresql":
        raise RoleError("only PostgreSQL has roles: leave --service-role away with SQLite")
    quote = connection.dialect.identifier_preparer.quote
    found = connection.execute(
        text("SELECT rolsuper OR rolname = current_user FROM pg_roles WHERE rolname = :role"), {"role": role}
    ).scalar()
    if found is None:
        raise RoleError(f"there is no database role {role}: run CREATE ROLE {quote(role)} LOGIN as the administrator")
    if found:
        raise RoleError(
            f"{role} owns the tables or is a superuser, whom no right binds: let the service be another role"
        )
    for statement in _statements(connection, quote(role)):
        connection.execute(text(statement))


def _statements(connection: Connection, role: str) -> list[str]:
    quote = connection.dialect.identifier_preparer.quote
    there = {
        name
        for (name,) in connection.execute(text("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"))
    }
    rights = RIGHTS | dict.fromkeys(filter(is_partition, there), (READ,))  # they are written through `events`
    if unknown := sorted(there - rights.keys()):
        raise RoleError(
            f"the rights of the service on {', '.join(unknown)} are not known: use the Labtrail of this database"
        )
    schema = quote(str(connection.scalar(text("SELECT current_schema()"))))
    statements = [f"REVOKE ALL ON SCHEMA {schema} FROM PUBLIC", f"GRANT USAGE ON SCHEMA {schema} TO {role}"]
    for table in sorted(there):
        name = quote(table)
        statements += [
            f"REVOKE ALL ON {name} FROM PUBLIC",
            f"REVOKE ALL ON {name} FROM {role}",
            f"GRANT {', '.join(rights[table])} ON {name} TO {role}",
        ]
    return [*statements, f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA {schema} TO {role}"]
