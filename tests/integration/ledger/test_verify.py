"""`verify` against someone who owns the database: edit, delete, insert, swap, truncate, rehash."""

import shutil
from functools import cache

import pytest
from sqlalchemy import delete, insert, select, update

from models.database.evidence_tables import chains, events, leaves, tree_nodes, tree_state
from models.ledger import tree
from models.ledger.chain import Checkpoint, genesis, link
from models.ledger.merkle import Frontier
from models.ledger.verify import verify
from tests.integration.ledger.conftest import EMPTY, new_ledger, raw_event, record, rows_of
from tests.integration.ledger.test_tree import grow
from tests.support.homes import kept, sqlite_url

MANY = 600
SUBJECTS = [f"S{n * n % 41}" for n in range(MANY)]


def fill(engine, rows):
    record(engine, rows)
    grow(engine)


@cache
def filled():
    """An SQLite file with the whole ledger, to copy."""
    engine = new_ledger(sqlite_url(kept(), "ledger"))
    fill(engine, rows_of(SUBJECTS))
    engine.dispose()
    return kept() / "ledger.db"


class Home:
    """A ledger with a full tree, and what an attacker can do to it."""

    def __init__(self, engine):
        self.engine = engine
        self.rows = rows_of(SUBJECTS)
        if engine.dialect.name == "sqlite":
            shutil.copyfile(filled(), engine.url.database)
        else:
            fill(engine, self.rows)

    def checkpoint(self, size=None):
        with self.engine.connect() as connection:
            size = tree.head(connection).size if size is None else size
            root = Frontier().extended(tree.leaf_hashes(connection, 0, size)).root()
        return Checkpoint(origin="test", size=size, root=root, time_us=1_795_251_600_000_000)

    def witness(self):
        with self.engine.connect() as connection:
            return list(tree.leaf_hashes(connection, 0, MANY))

    def verify(self, *checkpoints, witness=None):
        with self.engine.connect() as connection:
            return verify(connection, checkpoints, None if witness is None else iter(witness))

    def first(self, *checkpoints, witness=None):
        verdict = self.verify(*checkpoints, witness=witness)
        assert verdict.faults > 0
        assert verdict.first is not None
        return verdict.first

    def do(self, *statements):
        with self.engine.begin() as connection:
            for statement in statements:
                connection.execute(statement)

    def of(self, subject):
        return [row for row in self.rows if row["subject"] == subject]

    def rehash(self, subject):
        """Rebuild one subject's chain over the current rows."""
        with self.engine.begin() as connection:
            query = select(events.c.seq, events.c.raw).where(events.c.subject == subject)
            previous, length = genesis(subject), 0
            for length, row in enumerate(connection.execute(query.order_by(events.c.chain_seq)).all(), 1):
                previous = link(previous, length, row.raw)
                change = {"chain_seq": length, "link_hash": previous}
                connection.execute(update(events).where(events.c.seq == row.seq).values(change))
            change = update(chains).where(chains.c.subject == subject)
            connection.execute(change.values(length=length, head=previous))

    def regrow(self):
        """Rebuild the whole tree."""
        self.do(delete(leaves), delete(tree_nodes), delete(tree_state))
        grow(self.engine)


@pytest.fixture
def home(engine):
    return Home(engine)


def at(row):
    return events.c.seq == row["seq"]


def test_a_ledger_as_recorded_holds(home):
    verdict = home.verify(home.checkpoint(), home.checkpoint(100), home.checkpoint(0), witness=home.witness())
    assert verdict.first is None
    assert (verdict.faults, verdict.events, verdict.leaves, verdict.pending) == (0, MANY, MANY, 0)
    assert verdict.subjects == len(set(SUBJECTS))
    assert verdict.checkpoints == 3
    assert verdict.root == home.checkpoint().root


def test_events_that_have_no_leaf_yet_are_counted_and_are_no_fault(home):
    late = rows_of(["S-late"], first_seq=MANY + 1)
    record(home.engine, late)
    verdict = home.verify(home.checkpoint())
    assert (verdict.faults, verdict.pending) == (0, 1)


def test_an_edited_event_is_named(home):
    row = home.of("S4")[2]
    home.do(update(events).where(at(row)).values(raw=row["raw"].replace(b"rack", b"desk")))
    fault = home.first()
    assert (fault.kind, fault.subject, fault.sequence, fault.event_id) == ("altered", "S4", 3, row["id"])
    assert row["id"] in fault.sentence


@pytest.mark.parametrize("column", ["type", "site", "actor", "time_us"])
def test_an_edited_column_beside_the_bytes_is_named(home, column):
    row = home.of("S4")[1]
    home.do(update(events).where(at(row)).values({column: 5 if column == "time_us" else "OTHER"}))
    fault = home.first()
    assert (fault.kind, fault.event_id) == ("altered", row["id"])


def test_a_deleted_event_is_named_with_its_id(home):
    row = home.of("S9")[1]
    home.do(delete(events).where(at(row)))
    fault = home.first()
    assert (fault.kind, fault.subject, fault.sequence, fault.event_id) == ("deleted", "S9", 2, row["id"])


def test_an_inserted_event_is_named(home):
    own = home.of("S9")
    for row in reversed(own[1:]):
        home.do(update(events).where(at(row)).values(chain_seq=row["chain_seq"] + 1))
    raw = raw_event("S9", 77)
    forged = own[0] | {
        "id": "S9-77",
        "seq": MANY + 1,
        "chain_seq": 2,
        "raw": raw,
        "link_hash": link(own[0]["link_hash"], 2, raw),
        "time_us": 1_795_251_600_000_000 + 17_000_000,
    }
    home.do(
        insert(events).values(forged),
        update(chains).where(chains.c.subject == "S9").values(length=len(own) + 1),
    )
    fault = home.first()
    assert (fault.kind, fault.subject, fault.sequence, fault.event_id) == ("inserted", "S9", 2, "S9-77")


def test_two_swapped_events_are_named(home):
    a, b = home.of("S9")[1:3]
    home.do(
        update(events).where(at(a)).values(chain_seq=10_000),
        update(events).where(at(b)).values(chain_seq=a["chain_seq"]),
        update(events).where(at(a)).values(chain_seq=b["chain_seq"]),
    )
    fault = home.first()
    assert (fault.kind, fault.subject, fault.sequence) == ("swapped", "S9", 2)


def test_truncation_of_one_chain_is_named_with_the_first_event_that_is_gone(home):
    own = home.of("S9")
    home.do(delete(events).where(events.c.subject == "S9", events.c.chain_seq >= len(own) - 1))
    fault = home.first()
    assert (fault.kind, fault.subject, fault.sequence) == ("truncated", "S9", len(own) - 1)
    assert fault.event_id == own[-2]["id"]


def test_truncation_of_a_chain_whose_head_was_set_back_is_found_by_the_tree(home):
    own = home.of("S9")
    home.do(delete(events).where(at(own[-1])))
    home.rehash("S9")
    fault = home.first()
    assert (fault.kind, fault.event_id) == ("deleted", own[-1]["id"])


def test_a_whole_subject_that_is_gone_is_found_whether_its_head_was_left_or_not(home):
    home.do(delete(events).where(events.c.subject == "S9"))
    fault = home.first()
    assert (fault.kind, fault.subject) == ("truncated", "S9")
    home.do(delete(chains).where(chains.c.subject == "S9"))
    fault = home.first()
    assert (fault.kind, fault.event_id) == ("deleted", home.of("S9")[0]["id"])


def test_a_chain_made_anew_over_an_edited_event_is_found_by_the_tree(home):
    row = home.of("S4")[2]
    home.do(update(events).where(at(row)).values(raw=row["raw"].replace(b"rack", b"desk")))
    home.rehash("S4")
    fault = home.first()
    assert (fault.kind, fault.subject, fault.sequence, fault.event_id) == ("altered", "S4", 3, row["id"])


def test_a_chain_made_anew_over_an_inserted_event_is_found_by_the_tree(home):
    own = home.of("S4")
    for row in reversed(own[2:]):
        home.do(update(events).where(at(row)).values(chain_seq=row["chain_seq"] + 1))
    raw = raw_event("S4", 77)
    time_us = 1_795_251_600_000_000 + 17_000_000
    forged = own[0] | {"id": "S4-77", "seq": MANY + 1, "chain_seq": 3, "raw": raw, "time_us": time_us}
    home.do(insert(events).values(forged))
    home.rehash("S4")
    fault = home.first()
    assert (fault.kind, fault.subject, fault.sequence, fault.event_id) == ("inserted", "S4", 3, "S4-77")


def test_events_that_changed_places_under_a_chain_made_anew_are_found_by_the_tree(home):
    a, b = home.of("S9")[1:3]
    home.do(update(events).where(at(a)).values(id="x"))
    for row, other in ((b, a), (a, b)):
        what = {name: other[name] for name in ("id", "raw", "time_us")}
        home.do(update(events).where(at(row)).values(what))
    home.rehash("S9")
    fault = home.first()
    assert (fault.kind, fault.subject, fault.sequence) == ("swapped", "S9", 2)


@pytest.mark.parametrize("what", ["edit", "delete", "insert", "swap"])
def test_a_ledger_rewritten_and_rehashed_whole_is_found_by_a_checkpoint_and_only_by_one(home, what):
    signed, witness = [home.checkpoint(size) for size in (100, 500, MANY)], home.witness()
    own = [row for row in home.of("S9") if row["seq"] > 110]
    row, other = own[0], own[1]
    if what == "edit":
        home.do(update(events).where(at(row)).values(raw=row["raw"].replace(b"rack", b"desk")))
    elif what == "delete":
        home.do(delete(events).where(at(row)))
    elif what == "insert":
        raw = raw_event("T9", 1)
        home.do(delete(events).where(events.c.seq == 0))
        forged = row | {"seq": 0, "id": "T9-1", "subject": "T9", "chain_seq": 1, "raw": raw}
        home.do(insert(events).values(forged | {"time_us": 1_795_251_600_000_000 + 1_000_000}))
        home.do(insert(chains).values(subject="T9", length=0, head=b""))
        home.rehash("T9")
    else:
        home.do(update(events).where(at(row)).values(id="x"))
        for one, two in ((other, row), (row, other)):
            home.do(update(events).where(at(one)).values({name: two[name] for name in ("id", "raw", "time_us")}))
    home.rehash("S9")
    if what == "insert":
        home.do(update(events).where(events.c.seq == 0).values(seq=-1))  # before all others
    home.regrow()
    assert home.verify().faults == 0
    fault = home.first(*signed)
    first = 0 if what == "insert" else 100
    assert fault.kind == "rewritten"
    assert f"leaves {first} to" in fault.sentence
    exact = home.first(*signed, witness=witness)
    kind = {"edit": "rewritten", "delete": "deleted", "insert": "inserted", "swap": "rewritten"}[what]
    assert exact.kind == kind
    if what in ("edit", "swap"):
        assert exact.event_seq == row["seq"]


def test_a_ledger_cut_off_and_rehashed_whole_is_found_by_a_checkpoint(home):
    late = home.checkpoint()
    home.do(delete(events).where(events.c.seq > 500))
    for subject in set(SUBJECTS):
        home.rehash(subject)
    home.do(delete(chains).where(chains.c.length == 0))
    home.regrow()
    assert home.verify().faults == 0
    fault = home.first(late)
    assert fault.kind == "truncated"
    assert "600 events were signed" in fault.sentence
    assert "only 500 are left" in fault.sentence


def test_leaves_that_were_cut_off_are_found(home):
    home.do(delete(leaves).where(leaves.c.leaf_index >= 590))
    fault = home.first()
    assert fault.kind == "truncated"


def test_a_tree_set_back_with_its_record_is_found_by_a_checkpoint(home):
    late = home.checkpoint()
    with home.engine.connect() as connection:
        kept = Frontier().extended(tree.leaf_hashes(connection, 0, 590))
    home.do(
        delete(leaves).where(leaves.c.leaf_index >= 590),
        update(tree_state).values(size=590, frontier=kept.to_bytes()),
    )
    assert home.first(late).kind == "truncated"


def test_a_leaf_that_is_gone_from_the_middle_is_found(home):
    home.do(delete(leaves).where(leaves.c.leaf_index == 7))
    fault = home.first()
    assert fault.kind == "deleted"
    assert "leaf 7 of the tree is gone" in fault.sentence


def test_two_leaves_that_changed_places_are_found_and_the_block_is_named(home):
    a, b = home.rows[300], home.rows[301]

    def put(index, row):
        values = {"event_seq": row["seq"], "event_id": row["id"], "link_hash": row["link_hash"]}
        return update(leaves).where(leaves.c.leaf_index == index).values(values)

    home.do(update(leaves).where(leaves.c.leaf_index == 300).values(event_seq=-1), put(301, a), put(300, b))
    fault = home.first()
    assert fault.kind == "rewritten"
    assert "leaves 256 to 511" in fault.sentence


def test_a_leaf_count_that_was_set_back_is_found(home):
    with home.engine.connect() as connection:
        kept = Frontier().extended(tree.leaf_hashes(connection, 0, 590))
    home.do(update(tree_state).values(size=590, frontier=kept.to_bytes()))
    assert "set back" in home.first().sentence


def test_of_several_faults_the_one_recorded_first_is_named(home):
    late, early = home.of("S0")[-1], home.of("S40")[0]
    for row in (late, early):
        home.do(update(events).where(at(row)).values(raw=row["raw"].replace(b"rack", b"desk")))
    verdict = home.verify()
    assert verdict.faults >= 2
    assert verdict.first.event_id == min(late, early, key=lambda row: row["seq"])["id"]


def test_progress_is_told(home):
    ticks = []
    with home.engine.connect() as connection:
        verify(connection, tick=ticks.append)
    assert sum(ticks) == 2 * MANY


def test_an_empty_ledger_holds(engine):
    with engine.connect() as connection:
        verdict = verify(connection, [Checkpoint(origin="o", size=0, root=Frontier().root(), time_us=0)])
    assert (verdict.faults, verdict.leaves, verdict.root) == (0, 0, Frontier().root())


def test_a_row_that_is_no_event_at_all_is_named(engine):
    raw = b"no json"
    row = EMPTY | {
        "seq": 1,
        "id": "i",
        "subject": "S1",
        "chain_seq": 1,
        "type": "t",
        "time_us": 0,
        "site": "",
    }
    record(engine, [row | {"actor": "", "raw": raw, "link_hash": link(genesis("S1"), 1, raw)}])
    with engine.connect() as connection:
        assert verify(connection).first.event_id == "i"
