"""The Merkle tree against Certificate Transparency's known vectors and a naive reading of RFC 6962."""

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.ledger.merkle import (
    EMPTY_ROOT,
    Frontier,
    consistency_proof,
    inclusion_proof,
    is_consistent,
    is_included,
    leaf_hash,
    node_hash,
    subtree_root,
)

# the eight leaves, roots and proofs that Certificate Transparency's implementations are tested with
LEAVES = [
    bytes.fromhex(leaf)
    for leaf in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
A = "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7"
B = "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e"
C = "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"
D = "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"
E = "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0"
F = "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a"
INCLUSION = {  # (leaf counted from 0, size): the path
    (0, 1): [],
    (0, 8): [A, B, C],
    (5, 8): [D, E, ROOTS[4]],
    (2, 3): [ROOTS[2]],
    (1, 5): [ROOTS[1], B, D],
}
CONSISTENCY = {(1, 1): [], (1, 8): [A, B, C], (6, 8): [F, E, ROOTS[4]], (2, 5): [B, D]}


def naive_root(leaves: list[bytes]) -> bytes:
    """MTH of RFC 6962 section 2.1, word for word."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return sha256(b"\x00" + leaves[0]).digest()
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return sha256(b"\x01" + naive_root(leaves[:k]) + naive_root(leaves[k:])).digest()


def reader(leaves: list[bytes]):
    def read(level: int, index: int) -> bytes:
        part = leaves[index << level : (index + 1) << level]
        assert len(part) == 1 << level, f"subtree {level}/{index} is not complete in {len(leaves)} leaves"
        return naive_root(part)

    return read


def test_the_roots_of_the_known_vectors_come_out():
    for size, root in enumerate(ROOTS):
        frontier = Frontier().extended(leaf_hash(leaf) for leaf in LEAVES[:size])
        assert frontier.root().hex() == root
        assert subtree_root(reader(LEAVES), 0, size).hex() == root


def test_the_inclusion_proofs_of_the_known_vectors_come_out_and_verify():
    for (index, size), path in INCLUSION.items():
        assert [node.hex() for node in inclusion_proof(reader(LEAVES), index, size)] == path
        proof = [bytes.fromhex(node) for node in path]
        assert is_included(leaf_hash(LEAVES[index]), index, size, proof, bytes.fromhex(ROOTS[size]))


def test_the_consistency_proofs_of_the_known_vectors_come_out_and_verify():
    for (first, second), path in CONSISTENCY.items():
        assert [node.hex() for node in consistency_proof(reader(LEAVES), first, second)] == path
        proof = [bytes.fromhex(node) for node in path]
        roots = bytes.fromhex(ROOTS[first]), bytes.fromhex(ROOTS[second])
        assert is_consistent(first, roots[0], second, roots[1], proof)


def test_a_leaf_cannot_be_passed_off_as_a_node():
    left, right = leaf_hash(b"a"), leaf_hash(b"b")
    assert leaf_hash(left + right) != node_hash(left, right)


trees = st.lists(st.binary(max_size=8), max_size=70)


@given(trees, st.data())
def test_the_frontier_gives_the_naive_root_however_the_leaves_are_cut(leaves, data):
    cut = data.draw(st.integers(0, len(leaves)))
    first = Frontier().extended(leaf_hash(leaf) for leaf in leaves[:cut])
    stored = Frontier.from_bytes(first.to_bytes())
    assert stored == first
    whole = stored.extended(leaf_hash(leaf) for leaf in leaves[cut:])
    assert whole.size == len(leaves)
    assert whole.root() == naive_root(leaves)
    assert len(whole.hashes) <= max(1, len(leaves).bit_length())


@given(trees.filter(bool), st.data())
def test_every_inclusion_proof_verifies_and_no_other_leaf_place_or_root_does(leaves, data):
    size = len(leaves)
    index = data.draw(st.integers(0, size - 1))
    proof, root, leaf = (
        inclusion_proof(reader(leaves), index, size),
        naive_root(leaves),
        leaf_hash(leaves[index]),
    )
    assert is_included(leaf, index, size, proof, root)
    assert not is_included(leaf_hash(leaves[index] + b"!"), index, size, proof, root)
    assert not is_included(leaf, index, size, proof, leaf_hash(root))
    assert not is_included(leaf, index, size, [*proof, root], root)
    assert not is_included(leaf, size, size, proof, root)
    assert not is_included(leaf, -1, size, proof, root)
    if proof:
        assert not is_included(leaf, index, size, proof[:-1], root)
        at = data.draw(st.integers(0, len(proof) - 1))
        bent = [*proof[:at], leaf_hash(proof[at]), *proof[at + 1 :]]
        assert not is_included(leaf, index, size, bent, root)


@given(trees.filter(bool), st.data())
def test_every_consistency_proof_verifies_and_no_rewritten_past_does(leaves, data):
    second = len(leaves)
    first = data.draw(st.integers(0, second))
    proof = consistency_proof(reader(leaves), first, second)
    old, new = naive_root(leaves[:first]), naive_root(leaves)
    assert is_consistent(first, old, second, new, proof)
    assert not is_consistent(first, leaf_hash(old), second, new, proof)
    assert not is_consistent(first, old, second, new, [*proof, new])
    assert not is_consistent(second + 1, old, second, new, proof)
    if first:
        assert not is_consistent(first, old, second, leaf_hash(new), proof)
    if proof:
        assert not is_consistent(first, old, second, new, proof[:-1])
    if first:
        rewritten = [leaves[0] + b"!", *leaves[1:]]
        other = naive_root(rewritten)
        assert not is_consistent(first, old, second, other, consistency_proof(reader(rewritten), first, second))


def test_the_root_of_no_leaves_is_the_hash_of_nothing():
    assert Frontier().root() == EMPTY_ROOT == naive_root([])
    assert Frontier.from_bytes(Frontier().to_bytes()) == Frontier()


@pytest.mark.parametrize("stored", [b"", b"\x00" * 7, (3).to_bytes(8, "big") + b"x" * 32, b"\xff" * 8, b"\x00" * 40])
def test_bytes_that_are_no_frontier_are_refused(stored):
    with pytest.raises(ValueError, match="no frontier"):
        Frontier.from_bytes(stored)


@pytest.mark.parametrize(("index", "size"), [(0, 0), (3, 3), (-1, 3)])
def test_no_inclusion_proof_is_made_for_a_leaf_outside_the_tree(index, size):
    with pytest.raises(ValueError, match="is not in a tree"):
        inclusion_proof(reader(LEAVES), index, size)


def test_no_consistency_proof_is_made_backwards():
    with pytest.raises(ValueError, match="no past"):
        consistency_proof(reader(LEAVES), 5, 4)
