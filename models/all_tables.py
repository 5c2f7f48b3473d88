"""All tables of all packages: what migrations compare the database with.

`python -m models.all_tables MESSAGE` drafts a migration for what an upgraded database lacks (for developers).
"""

import sys

import models.database.acts_tables
import models.database.evidence_tables
import models.database.state_tables
import models.people.tables
import models.printing.tables  # noqa: F401 - imported for the tables that they declare
from models.database.columns import metadata
from models.database.migrate import draft

__all__ = ["metadata"]

if __name__ == "__main__":
    draft(" ".join(sys.argv[1:]) or "change", metadata)
