"""Patients' records: sealed in the database, opened only with the key, shown on a label and nowhere else."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, select, update

from labels.drawing.contents import AliquotLabel, SpecimenLabel
from labels.drawing.render import render
from labels.errors import LabelError
from labels.of_specimen import content_of, details_of, label_of
from models.database.engine import reading, writing
from models.people import patients
from models.people.patients import PatientError, PatientRecord, find_patient, read_csv, read_keys, save_patients
from models.printing.jobs import NewJob, queue_first
from models.rules.identifiers import make_identifier
from tests.support.homes import commit, new_store
from tests.support.labels.samples import TOTE
from tests.support.story import CATALOG, MA, TUBE, collected, step

TODAY = date(2026, 11, 21)
OLD, NEW = "ab" * 32, "cd" * 32
KEYS = read_keys(OLD)
JANE = PatientRecord(family="GARCÍA", given="Jane 李", birth_date=date(1984, 3, 12), mrn="0012")
HEAD = "patient,family,given,birth_date,mrn\n"


def load(engine: Engine, text: str, keys: patients.Keys = KEYS) -> int:
    with writing(engine) as connection:
        return save_patients(connection, read_csv(text.encode(), TODAY), keys, 1)


def found(engine: Engine, patient: str, keys: patients.Keys = KEYS) -> PatientRecord | None:
    with reading(engine) as connection:
        return find_patient(connection, patient, keys)


def test_a_loaded_file_is_found_by_reference_and_loading_again_replaces(engine: Engine) -> None:
    rows = "".join(f"P-{n},FAMILY {n},Given,1990-01-01,{n}\n" for n in range(1200))
    assert load(engine, HEAD + rows) == 1200
    assert load(engine, HEAD + "P-7,NEWNAME,,,M-1\n") == 1
    assert found(engine, "P-7") == PatientRecord(family="NEWNAME", given="", mrn="M-1")
    assert found(engine, "P-1199") == PatientRecord(
        family="FAMILY 1199", given="Given", birth_date=date(1990, 1, 1), mrn="1199"
    )
    assert found(engine, "P-x") is None


def test_the_database_holds_no_readable_name(engine: Engine) -> None:
    load(engine, HEAD + "P-1,SECRETNAME,Jane,1984-03-12,MRN77120\n")
    with reading(engine) as connection:
        row = connection.execute(select(patients.patients)).one()
    stored = repr(tuple(row))
    assert not any(word in stored for word in ("SECRETNAME", "Jane", "1984", "MRN77120"))


def test_a_row_that_was_altered_or_moved_to_another_reference_does_not_open(engine: Engine) -> None:
    load(engine, HEAD + "P-1,A,,1984-03-12,\nP-2,B,,1984-03-12,\n")
    table = patients.patients
    with writing(engine) as connection:
        sealed = bytes(connection.execute(select(table.c.sealed).where(table.c.patient == "P-1")).scalar_one())
        connection.execute(update(table).where(table.c.patient == "P-2").values(sealed=sealed))
    with pytest.raises(PatientError, match="altered"):
        found(engine, "P-2")
    with writing(engine) as connection:
        broken = sealed[:-1] + bytes([sealed[-1] ^ 1])
        connection.execute(update(table).where(table.c.patient == "P-1").values(sealed=broken))
    with pytest.raises(PatientError, match="altered"):
        found(engine, "P-1")


def test_a_new_key_takes_over_while_the_old_one_still_opens(engine: Engine) -> None:
    load(engine, HEAD + "".join(f"P-{n},A{n},,1984-03-12,\n" for n in range(700)))
    both, new = read_keys(f"{NEW}, {OLD}"), read_keys(NEW)
    assert found(engine, "P-5", both) is not None
    with pytest.raises(PatientError, match="put that key back"):
        found(engine, "P-5", new)
    with writing(engine) as connection:
        assert patients.change_key(connection, both, 2) == 700
    with writing(engine) as connection:
        assert patients.change_key(connection, both, 2) == 0
    assert found(engine, "P-5", new) == PatientRecord(family="A5", given="", birth_date=date(1984, 3, 12))


@pytest.mark.parametrize("text", ["", "ab", "zz" * 32, f"{OLD},", ",".join([OLD] * 6), OLD + "00"])
def test_a_text_that_is_no_key_is_refused_without_showing_it(text: str) -> None:
    with pytest.raises(PatientError) as fault:
        read_keys(text)
    assert text[:10] not in str(fault.value) or not text


def test_keys_are_not_shown() -> None:
    assert OLD[:16] not in repr(KEYS)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\xff\xfe", "UTF-8"),
        (b"patient,family\nP-1,X\n", "lacks the column given"),
        ((HEAD + "P-1,X,Y,12.3.1984,\n").encode(), "line 2: birth_date"),
        ((HEAD + "P-1,X,Y,2084-01-01,\n").encode(), "line 2: birth_date"),
        ((HEAD + "P-1,X,Y,1700-01-01,\n").encode(), "line 2: birth_date"),
        ((HEAD + ",X,Y,1984-03-12,\n").encode(), "line 2: patient"),
        ((HEAD + "P-1,,Y,1984-03-12,\n").encode(), "line 2: family"),
        ((HEAD + "P-1,X,Y,,\n").encode(), "line 2: neither"),
        ((HEAD + f"P-1,{'X' * 201},Y,1984-03-12,\n").encode(), "line 2: family"),
        ((HEAD + 'P-1,"X,Y,1984-03-12,\n').encode(), "line 2"),
    ],
)
def test_a_line_that_can_not_be_loaded_is_named_and_its_content_is_not_shown(content: bytes, words: str) -> None:
    with pytest.raises(PatientError, match=words) as fault:
        list(read_csv(content, TODAY))
    assert "1984" not in str(fault.value) or "write it like" in str(fault.value)


def test_a_reference_that_stands_twice_is_found() -> None:
    records = list(read_csv((HEAD + "P-1,A,,1984-03-12,\nP-2,B,,1984-03-12,\nP-1,C,,1984-03-12,\n").encode(), TODAY))
    assert patients.duplicates(records) == ["P-1"]


@given(
    st.text(max_size=40), st.text(max_size=40), st.text(min_size=1, max_size=20), st.binary(min_size=12, max_size=12)
)
def test_what_is_sealed_is_what_opens(family: str, given_name: str, patient: str, nonce: bytes) -> None:
    record = PatientRecord(family=family, given=given_name, mrn=family)
    patient = patient.encode("utf-8", "replace").decode()
    try:
        sealed = patients.seal(record, patient, KEYS, nonce)
    except UnicodeEncodeError:
        return  # a lone surrogate is no text; the loader's UTF-8 can't give one
    assert patients.unseal(sealed, patient, KEYS.first, KEYS) == record


def test_a_label_shows_the_patients_record_local_time_and_who_collected(engine: Engine) -> None:
    commit(new_store(engine), [collected(3, priority="stat", tests=["CBCD", "A1C"])])
    with writing(engine) as connection:
        save_patients(connection, [("P-1", JANE)], KEYS, 1)
    with reading(engine) as connection:
        label = label_of(connection, TUBE, CATALOG, serial=f"{TUBE}-1", keys=KEYS)
    assert label == SpecimenLabel(
        accession=TUBE,
        serial=f"{TUBE}-1",
        patient="P-1",
        order="R-1",
        name="GARCÍA, Jane 李",
        birth_date=date(1984, 3, 12),
        mrn="0012",
        container="EDTA4",
        colour="lavender",
        collected_at="2026-11-20 00:03",
        collector=MA,
        priority="stat",
        tests=("A1C", "CBCD"),
        site="NORTH",
    )
    assert render(label, "png", 203)


@pytest.mark.parametrize("keys", [None, KEYS])
def test_without_a_record_the_label_prints_the_reference(engine: Engine, keys: patients.Keys | None) -> None:
    commit(new_store(engine), [collected(3)])
    with reading(engine) as connection:
        label = label_of(connection, TUBE, CATALOG, keys=keys)
    assert label.words()["name"] == "NAME NOT ON FILE"
    assert label.words()["identity"] == "P-1   Order R-1"


def test_an_aliquots_label_names_its_parent_patient_and_volume(engine: Engine) -> None:
    child = make_identifier("S", 2026, 500)
    poured = {"accession": child, "container": "SST5", "volume_ml": 1.5}
    commit(new_store(engine), [collected(3), step("aliquoted", 90, site="CORE", children=[poured])])
    with writing(engine) as connection:
        save_patients(connection, [("P-1", JANE)], KEYS, 1)
    with reading(engine) as connection:
        label = label_of(connection, child, CATALOG, keys=KEYS)
    assert isinstance(label, AliquotLabel)
    assert (label.parent, label.volume_ml, label.specimen.name) == (TUBE, 1.5, "GARCÍA, Jane 李")
    assert (label.specimen.container, label.specimen.collector) == ("SST5", MA)
    assert render(label, "png", 203)


def test_a_specimen_that_is_not_on_record_has_no_label(engine: Engine) -> None:
    with reading(engine) as connection, pytest.raises(LabelError, match="on record"):
        label_of(connection, TUBE, CATALOG)


def test_a_totes_label_is_drawn_from_its_job(engine: Engine) -> None:
    asked = NewJob(
        printer="p", layout="tote", subject=TOTE.tote, site="NORTH", requested_by=MA, details=details_of(TOTE)
    )
    with writing(engine) as connection:
        job = queue_first(connection, asked, 1)
        assert job is not None
        assert content_of(connection, job, CATALOG, None) == TOTE
