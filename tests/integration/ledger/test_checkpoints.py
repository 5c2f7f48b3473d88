"""Checkpoints: keys, signed notes, files to keep elsewhere, and what they prove."""

import base64
import stat
from concurrent.futures import ThreadPoolExecutor

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import delete, update

from agents.ledger import checkpoints
from agents.ledger.checkpoints import (
    checkpoint_files,
    load_evidence,
    newest_checkpoint,
    read_checkpoint,
    take_checkpoint,
)
from agents.ledger.signing import (
    CheckpointError,
    key_from_text,
    load_or_make_key,
    open_note,
    origin_of,
    sign,
    verifier_from_text,
    verifier_text,
)
from config.settings import load_settings
from models.database.evidence_tables import events
from models.ledger.chain import Checkpoint, parse_checkpoint
from models.ledger.verify import verify
from tests.integration.ledger.conftest import record, rows_of
from tests.integration.ledger.test_tree import grow
from tests.integration.ledger.test_verify import Home

NOW_US = 1_795_251_600_123_456
DAY_US = 86_400_000_000
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = KEY.public_key()


def checkpoint(size=3, root=b"\x07" * 32, time_us=NOW_US):
    return Checkpoint(origin=origin_of(PUBLIC), size=size, root=root, time_us=time_us)


def test_a_checkpoint_reads_as_the_signed_note_form_says():
    note = sign(checkpoint(), KEY)
    lines = note.split("\n")
    assert lines[0].startswith("labtrail/")
    assert lines[1] == "3"
    assert base64.b64decode(lines[2]) == b"\x07" * 32
    assert lines[3] == "time 2026-11-21T09:00:00.123456Z"
    assert lines[4] == ""
    assert lines[5].startswith(f"\u2014 {lines[0]} ")
    assert lines[6:] == [""]


@given(st.integers(0, 2**62), st.binary(min_size=32, max_size=32), st.integers(0, 4 * 10**15))
def test_what_was_signed_is_what_is_read(size, root, time_us):
    assert open_note(sign(checkpoint(size, root, time_us), KEY), PUBLIC) == checkpoint(size, root, time_us)


@given(st.data())
def test_no_character_of_a_signed_checkpoint_can_be_changed(data):
    note = sign(checkpoint(), KEY)
    at = data.draw(st.integers(0, len(note) - 2))
    other = data.draw(st.characters(min_codepoint=32, max_codepoint=126).filter(lambda c: c != note[at]))
    bent = note[:at] + other + note[at + 1 :]
    try:
        read = open_note(bent, PUBLIC)
    except CheckpointError:
        return
    assert read == checkpoint(), f"changed {note[at]!r} at {at} into {other!r}"


def test_the_signature_of_a_witness_beside_ours_is_left_alone():
    note = sign(checkpoint(), KEY) + "\u2014 witness.example AAAAAAAAAAAA\n"
    assert open_note(note, PUBLIC) == checkpoint()


def test_a_checkpoint_signed_with_another_key_is_refused():
    with pytest.raises(CheckpointError, match="not signed by"):
        open_note(sign(checkpoint(), KEY), Ed25519PrivateKey.generate().public_key())


@pytest.mark.parametrize(
    "body",
    [
        "",
        "o\n1\n",
        "o\n01\n" + base64.b64encode(b"x" * 32).decode() + "\ntime 2026-11-21T00:00:00Z\n",
        "o\n1\n" + base64.b64encode(b"x" * 31).decode() + "\ntime 2026-11-21T00:00:00Z\n",
        "o\n1\n" + base64.b64encode(b"x" * 32).decode() + "\ntime yesterday\n",
        "o\n1\n" + base64.b64encode(b"x" * 32).decode() + "\ntime 2026-11-21T00:00:00\n",
        "o\n1\n" + base64.b64encode(b"x" * 32).decode() + "\nclock 2026-11-21T00:00:00Z\n",
        "o\n-1\n" + base64.b64encode(b"x" * 32).decode() + "\ntime 2026-11-21T00:00:00Z\n",
        "o\n99999999999999999999\n" + base64.b64encode(b"x" * 32).decode() + "\ntime 2026-11-21T00:00:00Z\n",
    ],
)
def test_a_text_that_is_no_checkpoint_is_refused(body):
    with pytest.raises(ValueError):
        parse_checkpoint(body)


def test_the_key_is_made_once_readable_by_its_owner_only(tmp_path):
    path = tmp_path / "home" / "ledger.key"
    with ThreadPoolExecutor(8) as starts:
        keys = {verifier_text(key.public_key()) for key in starts.map(load_or_make_key, [path] * 16)}
    assert len(keys) == 1
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [file.name for file in path.parent.iterdir()] == ["ledger.key"]


def test_a_key_may_be_given_as_base64(tmp_path):
    text = base64.b64encode(bytes(range(32))).decode()
    assert verifier_text(key_from_text(text).public_key()) == verifier_text(PUBLIC)
    path = tmp_path / "key"
    path.write_text(text + "\n")
    assert verifier_text(load_or_make_key(path).public_key()) == verifier_text(PUBLIC)


@pytest.mark.parametrize("content", ["", "no key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
def test_a_file_that_holds_no_key_is_named_and_not_replaced(tmp_path, content):
    path = tmp_path / "ledger.key"
    path.write_text(content)
    with pytest.raises(CheckpointError, match="holds no Ed25519 key") as fault:
        load_or_make_key(path)
    assert str(path) in str(fault.value)
    assert path.read_text() == content


def test_the_public_key_travels_as_one_line():
    text = verifier_text(PUBLIC)
    assert "\n" not in text
    assert verifier_text(verifier_from_text(text + "\n")) == text
    name, key_id, body = text.split("+", 2)
    for bent in ("", "a+b", f"{name}x+{key_id}+{body}", f"{name}+00000000+{body}", f"{name}+{key_id}+AAAA"):
        with pytest.raises(CheckpointError):
            verifier_from_text(bent)


def take(engine, folder, now_us=NOW_US):
    return take_checkpoint(engine, folder, KEY, now_us)


def test_a_checkpoint_is_taken_when_there_is_something_new_and_only_then(engine, tmp_path):
    folder = tmp_path / "out"
    assert take(engine, folder) is None
    record(engine, rows_of(["S1", "S2", "S3"]))
    grow(engine)
    first = take(engine, folder)
    assert first.name == "checkpoint-0000000000000003-20261121T090000Z.txt"
    assert take(engine, folder, NOW_US + 60_000_000) is None
    record(engine, rows_of(["S4"], first_seq=4))
    grow(engine)
    second = take(engine, folder, NOW_US + 60_000_000)
    assert checkpoint_files(folder) == [first, second]
    assert [read_checkpoint(path, PUBLIC).size for path in (first, second)] == [3, 4]
    assert verifier_text(verifier_from_text((folder / "ledger.pub").read_text())) == verifier_text(PUBLIC)
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]


def test_what_was_carried_away_proves_each_leaf(engine, tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "LEAVES_A_FILE", 64)
    home = Home(engine)
    take(engine, tmp_path / "out")
    away = tmp_path / "away"
    (tmp_path / "out").rename(away)
    evidence = load_evidence(away, PUBLIC)
    assert list(evidence.witness()) == home.witness()
    row = [r for r in home.rows if r["subject"] == "S9"][2]
    home.do(update(events).where(events.c.seq == row["seq"]).values(raw=row["raw"].replace(b"rack", b"desk")))
    home.rehash("S9")
    home.regrow()
    with engine.connect() as connection:
        verdict = verify(connection, evidence.checkpoints, evidence.witness())
    assert (verdict.first.kind, verdict.first.event_id) == ("rewritten", row["id"])
    one = load_evidence(checkpoint_files(away)[0], PUBLIC)
    assert one.checkpoints == evidence.checkpoints
    assert list(one.witness()) == list(evidence.witness())


def test_leaves_that_were_torn_lost_or_altered_are_written_again_or_not_used(engine, tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "LEAVES_A_FILE", 64)
    folder = tmp_path / "out"
    home = Home(engine)
    take(engine, folder)
    torn = sorted(folder.glob("leaves-*.bin"))[-1]
    torn.write_bytes(torn.read_bytes()[:-5])
    assert load_evidence(folder, PUBLIC).witness is None
    record(engine, rows_of(["S-new"], first_seq=len(home.rows) + 1))
    grow(engine)
    take(engine, folder, NOW_US + 1_000_000)
    assert len(list(load_evidence(folder, PUBLIC).witness())) == len(home.rows) + 1
    altered = sorted(folder.glob("leaves-*.bin"))[2]
    altered.write_bytes(b"\0" + altered.read_bytes()[1:])
    evidence = load_evidence(folder, PUBLIC)
    assert evidence.witness is None
    assert len(evidence.checkpoints) == 2


def test_a_file_that_is_no_checkpoint_is_named(tmp_path):
    path = tmp_path / "checkpoint-0000000000000003-20261121T090000Z.txt"
    with pytest.raises(CheckpointError, match="can't be read"):
        load_evidence(path, PUBLIC)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(CheckpointError, match="can't be read"):
        load_evidence(path, PUBLIC)
    path.write_text(sign(checkpoint(), KEY).replace("\n3\n", "\n4\n"))
    with pytest.raises(CheckpointError, match="altered after signing") as fault:
        load_evidence(tmp_path, PUBLIC)
    assert path.name in str(fault.value)


def test_an_empty_folder_proves_nothing(tmp_path):
    assert load_evidence(tmp_path, PUBLIC).checkpoints == ()


def test_a_tree_smaller_than_its_last_checkpoint_is_not_signed_again(engine, tmp_path):
    home = Home(engine)
    take(engine, tmp_path)
    home.do(delete(events).where(events.c.seq > 100))
    home.regrow()
    assert take(engine, tmp_path, NOW_US + 1) is None
    with engine.connect() as connection:
        found = verify(connection, load_evidence(tmp_path, PUBLIC).checkpoints)
    assert found.faults > 0


def test_the_folder_keeps_the_newest_checkpoints_and_one_of_each_earlier_day(engine, tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "NEWEST_KEPT", 3)
    rows = rows_of([f"S{n}" for n in range(12)])
    moments = [NOW_US + DAY_US * (n // 4) + n * 1_000_000 for n in range(12)]
    for row, moment in zip(rows, moments, strict=True):
        record(engine, [row])
        grow(engine)
        take(engine, tmp_path, moment)
    sizes = [read_checkpoint(path, PUBLIC).size for path in checkpoint_files(tmp_path)]
    assert sizes == [4, 8, 9, 10, 11, 12]
    assert len(list(load_evidence(tmp_path, PUBLIC).witness())) == 12


def test_the_newest_checkpoint_is_the_same_for_commands_and_pages_and_is_checked(engine, tmp_path):
    settings = load_settings({}, data=tmp_path)
    folder, own = settings.checkpoint_folder, settings.signing_key_file
    assert newest_checkpoint(settings) is None
    for seq, subjects in ((1, ["S1", "S2"]), (3, ["S3"])):
        record(engine, rows_of(subjects, first_seq=seq))
        grow(engine)
        take(engine, folder, NOW_US + seq * DAY_US)
    newest = newest_checkpoint(settings)
    assert (newest.size, newest.time_us) == (3, NOW_US + 3 * DAY_US)
    (folder / "ledger.pub").unlink()
    assert newest_checkpoint(settings) is None, "nothing to check it with"
    own.write_text(base64.b64encode(bytes(range(32))).decode())
    assert newest_checkpoint(settings) == newest
    own.write_text(base64.b64encode(bytes(range(1, 33))).decode())
    with pytest.raises(CheckpointError, match="not signed by"):
        newest_checkpoint(settings)
