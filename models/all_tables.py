"""All tables, whichever module declares them: what migrations compare the database with."""

import importlib.util

from models.tables import metadata

# modules that add tables of their own
for _name in ("models.print_tables", "models.patients", "models.people", "models.notifications"):
    if importlib.util.find_spec(_name):
        importlib.import_module(_name)

__all__ = ["metadata"]
