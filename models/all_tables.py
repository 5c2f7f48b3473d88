"""All tables, whichever module declares them: what migrations compare the database with."""

import importlib

from models.tables_base import metadata

# modules that declare tables
for _name in (
    "tables_evidence", "tables_state", "tables_acts", "print_tables", "patients", "people", "notifications",
):  # fmt: skip
    importlib.import_module(f"models.{_name}")

__all__ = ["metadata"]
