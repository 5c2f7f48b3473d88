"""Patients' records: who an opaque patient reference is. Names are stored here only, encrypted.

Events never carry a name; only labels read it. Name, birth date and MRN are encrypted together with AES-256-GCM
under a key that is not in the database, bound to the reference: a row copied to another reference can't be decrypted.
Several keys may be given, so that a key can be changed; the first one encrypts.
"""

import csv
import hashlib
import io
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date, timedelta

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec import Struct
from sqlalchemy import Connection, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from config.errors import LabtrailError
from config.messages import Message
from models.people.tables import patients

ROWS_MAX = 1_000_000
FILE_BYTES_MAX = 512 * 1024 * 1024
FIELD_CHARACTERS_MAX = 200
REFERENCE_CHARACTERS_MAX = 128
KEYS_MAX = 5
OLDEST_YEARS = 130
AT_A_TIME = 500
_NONCE_BYTES = 12
_COLUMNS = ("patient", "family", "given", "birth_date", "mrn")


class PatientError(LabtrailError):
    """A patient's record can't be read or loaded; the message names the line or key, never a name."""


class PatientRecord(Struct, frozen=True, kw_only=True):
    """What a label shows of a patient."""

    family: str
    given: str
    birth_date: date | None = None
    mrn: str | None = None

    @property
    def printed(self) -> str:
        """LAST, FIRST."""
        return ", ".join(filter(None, (self.family, self.given)))


class Keys(Struct, frozen=True):
    """The keys by name; the first one encrypts."""

    by_name: dict[str, bytes]

    @property
    def first(self) -> str:
        return next(iter(self.by_name))

    def __repr__(self) -> str:
        return f"Keys({', '.join(self.by_name)})"


def read_keys(text: str) -> Keys:
    """The setting LABTRAIL_PATIENT_KEY: 64 hex digits, and after a key change older ones, separated by commas.

    Raises PatientError, which shows no part of a key.
    """
    parts = [part.strip() for part in text.split(",")]
    if not 1 <= len(parts) <= KEYS_MAX or not all(re.fullmatch(r"[0-9a-fA-F]{64}", part) for part in parts):
        raise PatientError(
            Message(
                "LABTRAIL_PATIENT_KEY is no key: write 64 hex digits (`openssl rand -hex 32`), older keys behind a "
                "comma"
            )
        )
    keys = [bytes.fromhex(part) for part in parts]
    return Keys({hashlib.sha256(key).hexdigest()[:12]: key for key in keys})


def seal(record: PatientRecord, patient: str, keys: Keys, nonce: bytes) -> bytes:
    """The record encrypted for this reference: nonce (12 bytes, never used twice), then AES-GCM's output."""
    return nonce + AESGCM(keys.by_name[keys.first]).encrypt(nonce, msgspec.json.encode(record), patient.encode())


def unseal(sealed: bytes, patient: str, key_name: str, keys: Keys) -> PatientRecord:
    """The record of a row. Raises PatientError when the key is missing or the row was altered."""
    key = keys.by_name.get(key_name)
    if key is None:
        raise PatientError(
            Message(
                "the record of {patient} is sealed with the key {key}: put that key back behind a comma in "
                "LABTRAIL_PATIENT_KEY",
                patient=patient,
                key=key_name,
            )
        )
    try:
        plain = AESGCM(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], patient.encode())
        return msgspec.json.decode(plain, type=PatientRecord)
    except (InvalidTag, ValueError, msgspec.DecodeError):
        raise PatientError(
            Message("the record of {patient} was altered in the database: load it again", patient=patient)
        ) from None


def find_patient(connection: Connection, patient: str, keys: Keys) -> PatientRecord | None:
    """The record behind a reference; None when there is none. Raises PatientError."""
    row = connection.execute(
        select(patients.c.sealed, patients.c.key_name).where(patients.c.patient == patient)
    ).first()
    return None if row is None else unseal(bytes(row.sealed), patient, row.key_name, keys)


def save_patients(
    connection: Connection,
    records: Iterable[tuple[str, PatientRecord]],
    keys: Keys,
    now_us: int,
    entropy: Callable[[int], bytes] = os.urandom,
) -> int:
    """Insert or replace records in the transaction of `connection`; returns how many."""
    make = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    count = 0
    batch: dict[str, dict[str, object]] = {}

    def write() -> None:
        if batch:
            statement = make(patients).values(list(batch.values()))
            new = {name: statement.excluded[name] for name in ("sealed", "key_name", "changed_us")}
            connection.execute(statement.on_conflict_do_update(index_elements=[patients.c.patient], set_=new))
            batch.clear()

    for patient, record in records:
        sealed = seal(record, patient, keys, entropy(_NONCE_BYTES))
        batch[patient] = {"patient": patient, "sealed": sealed, "key_name": keys.first, "changed_us": now_us}
        count += 1
        if len(batch) == AT_A_TIME:
            write()
    write()
    return count


def change_key(connection: Connection, keys: Keys, now_us: int, entropy: Callable[[int], bytes] = os.urandom) -> int:
    """Encrypt every record of an older key with the first one; returns how many. Raises PatientError."""
    done = 0
    old = patients.c.key_name != keys.first
    for _ in range(ROWS_MAX // AT_A_TIME + 1):
        rows = connection.execute(
            select(patients.c.patient, patients.c.sealed, patients.c.key_name).where(old).limit(AT_A_TIME)
        ).all()
        if not rows:
            break
        for row in rows:
            record = unseal(bytes(row.sealed), row.patient, row.key_name, keys)
            sealed = seal(record, row.patient, keys, entropy(_NONCE_BYTES))
            connection.execute(
                update(patients)
                .where(patients.c.patient == row.patient)
                .values(sealed=sealed, key_name=keys.first, changed_us=now_us)
            )
        done += len(rows)
    return done


def count_patients(connection: Connection) -> int:
    """How many records there are."""
    return int(connection.execute(select(func.count()).select_from(patients)).scalar_one())


def _text(row: dict[str, str | None], column: str, line: int) -> str:
    value = " ".join((row[column] or "").split())
    if len(value) > FIELD_CHARACTERS_MAX:
        raise PatientError(f"line {line}: {column} is longer than {FIELD_CHARACTERS_MAX} characters: shorten it")
    return value


def _birth_date(text: str, line: int, today: date) -> date | None:
    if not text:
        return None
    try:
        found = date.fromisoformat(text)
    except ValueError:
        raise PatientError(f"line {line}: birth_date is no date: write it like 1984-03-12") from None
    if not today - timedelta(days=366 * OLDEST_YEARS) <= found <= today:
        raise PatientError(f"line {line}: birth_date is not within the last {OLDEST_YEARS} years: correct it")
    return found


def read_csv(content: bytes, today: date) -> Iterator[tuple[str, PatientRecord]]:
    """Records from CSV with the columns patient, family, given, birth_date, mrn, in any order, others ignored.

    `patient` is the opaque reference that events carry. Raises PatientError naming the line, never its content.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise PatientError("the file is not UTF-8: save it as CSV UTF-8") from None
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    lacking = [column for column in _COLUMNS if column not in (reader.fieldnames or ())]
    if lacking:
        raise PatientError(f"the first line lacks the column {lacking[0]}: the columns are {', '.join(_COLUMNS)}")
    try:
        for number, row in enumerate(reader):
            if number >= ROWS_MAX:
                raise PatientError(f"more than {ROWS_MAX} lines: load the file in parts")
            yield _record(row, reader.line_num, today)
    except csv.Error as fault:
        raise PatientError(f"line {reader.line_num + 1}: {fault}: mend the line") from None


def _record(row: dict[str, str | None], line: int, today: date) -> tuple[str, PatientRecord]:
    patient, family, given, born, mrn = (_text(row, column, line) for column in _COLUMNS)
    if not patient.isprintable() or not 0 < len(patient) <= REFERENCE_CHARACTERS_MAX:
        raise PatientError(f"line {line}: patient is no reference: write the one that events carry")
    if not family:
        raise PatientError(f"line {line}: family is empty: write the name")
    if not born and not mrn:
        raise PatientError(f"line {line}: neither birth_date nor mrn: a label needs two identifiers")
    birth_date = _birth_date(born, line, today)
    return patient, PatientRecord(family=family, given=given, birth_date=birth_date, mrn=mrn or None)


def duplicates(records: Sequence[tuple[str, PatientRecord]]) -> list[str]:
    """References that occur in a file more than once."""
    seen: set[str] = set()
    twice: set[str] = set()
    for patient, _ in records:
        (twice if patient in seen else seen).add(patient)
    return sorted(twice)
