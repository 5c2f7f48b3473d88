"""All tables, whichever module declares them: what migrations compare the database with."""

import importlib

from models.database.columns import metadata

# modules that declare tables
for _name in (
    "database.evidence_tables", "database.state_tables", "database.acts_tables", "printing.tables", "people.patients",
    "people.users", "alerts.notifications",
):  # fmt: skip
    importlib.import_module(f"models.{_name}")

__all__ = ["metadata"]
