"""The tree in the tables: leaf numbers, late commits, proofs from stored subtrees."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import insert, select

from models.database.evidence_tables import events, leaves, tree_nodes
from models.ledger import tree
from models.ledger.merkle import Frontier, is_included, leaf_hash
from tests.integration.ledger.conftest import record, rows_of


def grow(engine, limit=5000):
    total = 0
    for _ in range(1000):
        with engine.begin() as connection:
            step = tree.extend(connection, limit)
        total += step
        if step == 0:
            return total
    raise AssertionError("the tree never came to an end")


def stored(engine):
    with engine.connect() as connection:
        return list(connection.execute(select(leaves).order_by(leaves.c.leaf_index)))


def test_events_get_leaf_numbers_in_the_order_of_recording_and_only_once(engine):
    rows = rows_of([f"S{n % 7}" for n in range(20)])
    record(engine, rows)
    with engine.connect() as connection:
        assert tree.has_new_events(connection)
    assert grow(engine, limit=6) == 20
    assert grow(engine) == 0
    with engine.connect() as connection:
        assert not tree.has_new_events(connection)
        assert tree.head(connection) == Frontier().extended(leaf_hash(row["link_hash"]) for row in rows)
    assert [(row.leaf_index, row.event_id, row.link_hash) for row in stored(engine)] == [
        (index, row["id"], row["link_hash"]) for index, row in enumerate(rows)
    ]


def test_an_event_whose_transaction_commits_after_later_numbers_gets_its_leaf_too(engine):
    rows = rows_of([f"S{n}" for n in range(10)])
    late = rows.pop(4)
    record(engine, rows)
    assert grow(engine) == 9
    record(engine, [late])
    assert grow(engine) == 1
    assert stored(engine)[-1].event_id == late["id"]


def test_an_event_that_comes_after_the_window_has_passed_is_taken_in_by_the_slow_cursor(engine):
    many = tree.WINDOW + 3 * tree.SCRUB
    rows = rows_of([f"S{n}" for n in range(many)])
    late = [rows.pop(2500), rows.pop(5)]
    record(engine, rows)
    assert grow(engine) == many - 2
    record(engine, late)
    more = rows_of([f"T{n}" for n in range(12)], first_seq=many + 1)
    for row in more:  # each step that finds something new also goes over an older stretch
        record(engine, [row])
        grow(engine)
    ids = [row.event_id for row in stored(engine)]
    assert len(ids) == len(set(ids)) == many + 12
    assert {row["id"] for row in late} <= set(ids)


def test_two_leaders_at_once_never_give_a_leaf_number_twice(engine):
    rows = rows_of([f"S{n % 5}" for n in range(60)])
    record(engine, rows[:1])
    grow(engine)
    record(engine, rows[1:])
    with ThreadPoolExecutor(2) as leaders:
        steps = [leaders.submit(grow, engine, 7) for _ in range(2)]
    assert sum(step.result() for step in steps) == 59
    assert [row.leaf_index for row in stored(engine)] == list(range(60))
    with engine.connect() as connection:
        kept = Frontier().extended(tree.leaf_hashes(connection, 0, 60))
        assert tree.head(connection) == kept


def test_proofs_come_from_stored_subtrees_and_verify(engine):
    rows = rows_of([f"S{n}" for n in range(1000)])
    record(engine, rows)
    grow(engine, limit=333)
    with engine.connect() as connection:
        kept = list(connection.execute(select(tree_nodes.c.level, tree_nodes.c.node_index)))
        assert sorted(map(tuple, kept)) == [(8, 0), (8, 1), (8, 2)]
        root = tree.head(connection).root()
        for index in (0, 255, 256, 700, 999):
            proof = tree.prove(connection, rows[index]["id"])
            assert proof.root == root
            leaf = leaf_hash(rows[index]["link_hash"])
            assert is_included(leaf, proof.leaf_index, proof.size, proof.path, root)
        earlier = tree.prove(connection, rows[10]["id"], size=300)
        old = Frontier().extended(tree.leaf_hashes(connection, 0, 300)).root()
        assert is_included(leaf_hash(rows[10]["link_hash"]), 10, 300, earlier.path, old)
        assert tree.prove(connection, rows[400]["id"], size=300) is None
        assert tree.prove(connection, "no such event") is None


def test_an_event_not_yet_in_the_tree_has_no_proof(engine):
    rows = rows_of(["S1"])
    record(engine, rows)
    with engine.connect() as connection:
        assert tree.prove(connection, rows[0]["id"]) is None


def test_a_proof_from_a_tree_with_lost_leaves_says_to_verify(engine):
    rows = rows_of(["S1", "S2", "S3"])
    record(engine, rows)
    grow(engine)
    with engine.begin() as connection:
        connection.execute(leaves.delete().where(leaves.c.leaf_index == 0))
        with pytest.raises(ValueError, match="run labtrail verify"):
            tree.prove(connection, rows[2]["id"])


def test_an_event_recorded_in_a_transaction_that_is_rolled_back_leaves_no_hole(engine):
    rows = rows_of(["S1", "S2", "S3"])
    record(engine, [rows[0]])
    connection = engine.connect()
    transaction = connection.begin()
    connection.execute(insert(events), [rows[1]])
    transaction.rollback()
    connection.close()
    record(engine, [rows[2]])
    assert grow(engine) == 2
    assert [row.leaf_index for row in stored(engine)] == [0, 1]
