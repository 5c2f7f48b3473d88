"""The hash chain of one subject: every way of tampering is found, and named for what it is."""

from hashlib import sha256

from hypothesis import given
from hypothesis import strategies as st

from models.ledger.chain import LinkRow, check_chain, genesis, link

SUBJECT = "S2600012334"


def chain(raws, subject=SUBJECT, first_seq=100):
    rows, previous = [], genesis(subject)
    for sequence, raw in enumerate(raws, 1):
        previous = link(previous, sequence, raw)
        rows.append(LinkRow(sequence, first_seq + 3 * sequence, f"id-{raw.decode()}", raw, previous))
    return rows


def head(rows):
    return rows[-1].link_hash if rows else genesis(SUBJECT)


def with_(row, **change):
    values = {name: getattr(row, name) for name in LinkRow.__struct_fields__}
    return LinkRow(**{**values, **change})


def renumbered(rows):
    return [with_(row, sequence=place) for place, row in enumerate(rows, 1)]


def check(rows, of):
    return check_chain(SUBJECT, iter(rows), len(of), head(of))


def test_a_link_is_the_sha256_of_previous_hash_sequence_and_bytes():
    previous = genesis(SUBJECT)
    assert link(previous, 258, b"{}") == sha256(previous + b"\0\0\0\0\0\0\1\2" + b"{}").digest()
    assert genesis(SUBJECT) != genesis(SUBJECT + "0")


raws = st.lists(st.integers(0, 10**6), min_size=1, max_size=12, unique=True).map(lambda s: [b"%d" % n for n in s])


@given(raws)
def test_a_chain_as_recorded_holds(raws):
    rows = chain(raws)
    assert check(rows, rows) is None
    assert check_chain(SUBJECT, iter([]), 0, genesis(SUBJECT)) is None


@given(raws, st.data())
def test_an_altered_event_is_named(raws, data):
    rows = chain(raws)
    at = data.draw(st.integers(0, len(rows) - 1))
    bent = [*rows]
    bent[at] = with_(rows[at], raw=rows[at].raw + b" ")
    fault = check(bent, rows)
    assert (fault.kind, fault.sequence, fault.event_id) == ("altered", at + 1, rows[at].event_id)
    assert fault.event_seq == rows[at].event_seq
    assert SUBJECT in fault.sentence
    assert rows[at].event_id in fault.sentence


@given(raws.filter(lambda r: len(r) > 1), st.data(), st.booleans())
def test_a_deleted_event_is_named_even_when_the_rest_is_renumbered(raws, data, close_the_gap):
    rows = chain(raws)
    at = data.draw(st.integers(0, len(rows) - 2))
    left = [*rows[:at], *rows[at + 1 :]]
    fault = check(renumbered(left) if close_the_gap else left, rows)
    assert (fault.kind, fault.subject, fault.sequence) == ("deleted", SUBJECT, at + 1)


@given(raws, st.data())
def test_deleted_last_events_are_a_truncation(raws, data):
    rows = chain(raws)
    kept = data.draw(st.integers(0, len(rows) - 1))
    fault = check(rows[:kept], rows)
    assert (fault.kind, fault.sequence) == ("truncated", kept + 1)


@given(raws, st.data(), st.sampled_from(["any hash", "own hash", "copied hash"]))
def test_an_inserted_event_is_named(raws, data, forged):
    rows = chain(raws)
    at = data.draw(st.integers(0, len(rows) - 1))
    previous = rows[at - 1].link_hash if at else genesis(SUBJECT)
    hash_ = {
        "any hash": b"\7" * 32,
        "own hash": link(previous, at + 1, b"forged"),
        "copied hash": rows[at].link_hash,
    }[forged]
    new = LinkRow(at + 1, 7, "id-forged", b"forged", hash_)
    fault = check(renumbered([*rows[:at], new, *rows[at:]]), rows)
    assert (fault.kind, fault.sequence, fault.event_id) == ("inserted", at + 1, "id-forged")


def test_an_event_appended_behind_the_chains_recorded_length_is_an_insertion():
    rows = chain([b"1", b"2", b"3"])
    fault = check_chain(SUBJECT, iter(rows), 2, rows[1].link_hash)
    assert (fault.kind, fault.sequence, fault.event_id) == ("inserted", 3, "id-3")


@given(raws.filter(lambda r: len(r) > 1), st.data(), st.sampled_from(["bytes", "rows"]))
def test_two_swapped_events_are_named_by_the_first_place(raws, data, what):
    rows = chain(raws)
    a = data.draw(st.integers(0, len(rows) - 2))
    b = data.draw(st.integers(a + 1, len(rows) - 1))
    bent = [*rows]
    if what == "rows":
        bent[a], bent[b] = with_(rows[b], sequence=a + 1), with_(rows[a], sequence=b + 1)
    else:
        bent[a], bent[b] = with_(rows[a], raw=rows[b].raw), with_(rows[b], raw=rows[a].raw)
    fault = check(bent, rows)
    assert (fault.kind, fault.sequence) == ("swapped", a + 1)


def test_a_chain_whose_recorded_head_is_another_is_not_taken():
    rows = chain([b"1", b"2"])
    fault = check_chain(SUBJECT, iter(rows), 2, b"\1" * 32)
    assert (fault.kind, fault.sequence) == ("altered", 2)
