"""What the pages know of a patient. Names never leave the server except on the page of an order, on the screen."""

import hmac

from sqlalchemy import Connection

from config.settings import Settings
from models.people.patients import PatientRecord, find_patient, read_keys


def patient_of(connection: Connection, reference: str | None, settings: Settings) -> PatientRecord | None:
    """The record behind a patient reference; None where there is none. Raises PatientError."""
    if not reference or not settings.patient_key:
        return None
    return find_patient(connection, reference, read_keys(settings.patient_key.reveal()))


def answers(connection: Connection, reference: str | None, scanned: str, settings: Settings) -> bool:
    """Whether what was scanned or typed identifies this patient: the reference, the MRN or the birth date."""
    said = scanned.strip().upper()
    if not reference or not said:
        return False
    record = patient_of(connection, reference, settings)
    known = [reference]
    if record is not None:
        known += [one for one in (record.mrn, record.birth_date and record.birth_date.isoformat()) if one]
    return any(hmac.compare_digest(said.encode(), one.upper().encode()) for one in known)
