"""The tables of people, devices and what they did. Acts, not evidence: nothing here changes what an event means.

Patients' data in these tables are encrypted; of PINs and tokens there are only hashes.
"""

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    text,
)

from models.database.columns import Serial, metadata

users = Table(
    "users",
    metadata,
    Column("badge", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("language", Text, nullable=False),
    Column("pin_hash", Text, nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Column("pin_set_us", BigInteger, nullable=False),
    Column("disabled_us", BigInteger),
)

grants = Table(  # which role a person has at which site ('*': all)
    "grants",
    metadata,
    Column("badge", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("site", Text, nullable=False),
    PrimaryKeyConstraint("badge", "role", "site"),
    ForeignKeyConstraint(["badge"], ["users.badge"]),
)

devices = Table(
    "devices",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("name", Text, nullable=False),
    Column("kind", Text, nullable=False),  # station: people sign in at it; service: a program
    Column("site", Text, nullable=False),
    Column("role", Text),  # of a service
    Column("token_hash", LargeBinary, nullable=False, unique=True),
    Column("enrolled_us", BigInteger, nullable=False),
    Column("enrolled_by", Text, nullable=False),
    Column("revoked_us", BigInteger),
)

sessions = Table(
    "sessions",
    metadata,
    Column("key", LargeBinary, primary_key=True),  # SHA-256 of the cookie's value
    Column("badge", Text, nullable=False, index=True),
    Column("device_id", BigInteger, nullable=False),
    Column("role", Text, nullable=False),
    Column("site", Text, nullable=False),
    Column("sites", Text, nullable=False),  # JSON array, sorted; ["*"]: all
    Column("created_us", BigInteger, nullable=False),
    Column("seen_us", BigInteger, nullable=False),
    Column("ended_us", BigInteger),
    Column("ended_why", Text),
    Column("glass_until_us", BigInteger),  # break-glass access lasts until then
    ForeignKeyConstraint(["badge"], ["users.badge"]),
    ForeignKeyConstraint(["device_id"], ["devices.id"]),
)

sign_in_failures = Table(  # wrong PINs of one badge at one device since the last correct one
    "sign_in_failures",
    metadata,
    Column("device_id", BigInteger, nullable=False),
    Column("badge", Text, nullable=False),
    Column("count", Integer, nullable=False),
    Column("last_us", BigInteger, nullable=False),
    Column("locked_until_us", BigInteger, nullable=False),
    PrimaryKeyConstraint("device_id", "badge"),
    Index("ix_sign_in_failures_last_us", "last_us"),
)

break_glass = Table(  # access beyond one's sites in an emergency, to be reviewed by a manager
    "break_glass",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("badge", Text, nullable=False),
    Column("device_id", BigInteger, nullable=False),
    Column("site", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("from_us", BigInteger, nullable=False),
    Column("until_us", BigInteger, nullable=False),
    Column("reviewed_by", Text),
    Column("reviewed_us", BigInteger),
    Index(
        "ix_break_glass_unreviewed",
        "id",
        sqlite_where=text("reviewed_us IS NULL"),
        postgresql_where=text("reviewed_us IS NULL"),
    ),
)

audit = Table(  # who read what, signed in, was refused; append-only
    "audit",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("time_us", BigInteger, nullable=False),
    Column("action", Text, nullable=False),
    Column("badge", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("device_id", BigInteger),
    Column("site", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Index("ix_audit_time_us", "time_us"),
    Index("ix_audit_subject", "subject", "time_us"),
    Index("ix_audit_badge", "badge", "time_us"),
)

near_misses = Table(  # a wrong match that was caught before harm
    "near_misses",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("time_us", BigInteger, nullable=False),
    Column("badge", Text, nullable=False),
    Column("device_id", BigInteger, nullable=False),
    Column("site", Text, nullable=False),
    Column("kind", Text, nullable=False),  # what did not match: patient, order, tube, label, lot
    Column("accession", Text, nullable=False),
    Column("order_id", Text, nullable=False),
    Column("expected", Text, nullable=False),
    Column("scanned", Text, nullable=False),
    Column("overridden", Integer, nullable=False),  # 1: continued deliberately
    Column("reason", Text, nullable=False),
    Index("ix_near_misses_time_us", "time_us"),
)

patients = Table(
    "patients",
    metadata,
    Column("patient", Text, primary_key=True),  # the opaque reference that events carry
    Column("sealed", LargeBinary, nullable=False),  # nonce and ciphertext of a PatientRecord as JSON
    Column("key_name", Text, nullable=False, index=True),  # which key, named by a part of its hash
    Column("changed_us", BigInteger, nullable=False),
)
