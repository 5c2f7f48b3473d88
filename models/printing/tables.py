"""The print queue's tables. They hold no patient's data: a name is read from its record when a label is rendered."""

from sqlalchemy import BigInteger, Column, Index, Integer, Table, Text

from models.database.columns import Serial, metadata

print_jobs = Table(
    "print_jobs",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),  # the order in which a printer prints
    Column("printer", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("layout", Text, nullable=False),
    Column("subject", Text, nullable=False),  # the accession, manifest, tote, badge or item that is on the label
    Column("serial", Text, nullable=False, unique=True),  # of this print of the label
    Column("details", Text),  # JSON of a label that is not a specimen's; no patient's data
    Column("copies", Integer, nullable=False),
    Column("site", Text, nullable=False),
    Column("requested_by", Text, nullable=False),  # badge
    Column("reason", Text),  # of a reprint
    Column("voids", Text),  # the serial that this print voids once it is printed
    Column("note", Text, nullable=False),  # what the printer or a person said last
    Column("message", Text),  # note with its template and values (config.messages.Stored)
    Column("worker", Text),  # the process that has claimed it
    Column("created_us", BigInteger, nullable=False),
    Column("changed_us", BigInteger, nullable=False),
    Column("announced", Integer, nullable=False),  # 1: its events are in the log
    Index("ix_print_jobs_printer", "printer", "state", "id"),
    Index("ix_print_jobs_subject", "subject"),
    Index("ix_print_jobs_announced", "announced", "state"),
)

label_counters = Table(  # the number of the latest label of a subject
    "label_counters",
    metadata,
    Column("subject", Text, primary_key=True),
    Column("number", Integer, nullable=False),
)
