"""The Merkle tree of RFC 6962 section 2: root, frontier, inclusion and consistency proofs.

Hashes are 32 bytes of SHA-256; a leaf is hashed behind a 0x00 byte, a node behind a 0x01 byte, so no leaf can
pass for a node. The root of no leaves is the SHA-256 of nothing.

Proofs are made from `read(level, index)`: the hash over the complete subtree of 2**level leaves that starts
at leaf index * 2**level. Level 0 is the leaf hash itself. Whatever stores the tree decides which levels to keep.
"""

from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256

from msgspec import Struct

HASH_BYTES = 32
EMPTY_ROOT = sha256(b"").digest()
SIZE_MAX = 2**63 - 1

ReadSubtree = Callable[[int, int], bytes]
KeepSubtree = Callable[[int, int, bytes], None]


def leaf_hash(data: bytes) -> bytes:
    """The hash of a leaf with this data (RFC 6962 section 2.1)."""
    return sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of a node over its two children (RFC 6962 section 2.1)."""
    return sha256(b"\x01" + left + right).digest()


def split(size: int) -> int:
    """The leaves left of the root of a tree of `size` >= 2: the largest power of two below it."""
    return 1 << (size - 1).bit_length() - 1


class Frontier(Struct, frozen=True):
    """The part of a tree needed to append to it: a complete subtree per bit of `size`, largest first."""

    size: int = 0
    hashes: tuple[bytes, ...] = ()

    def extended(self, leaves: Iterable[bytes], keep: KeepSubtree | None = None) -> "Frontier":
        """The frontier after these leaf hashes; O(log size) memory, about one node hash for each leaf.

        `keep(level, index, hash)` is called for every subtree when it is complete, smaller ones first.
        """
        size, stack = self.size, list(self.hashes)
        for leaf in leaves:
            node = leaf
            for level in range(1, trailing_ones(size) + 1):
                node = node_hash(stack.pop(), node)
                if keep is not None:
                    keep(level, size >> level, node)
            stack.append(node)
            size += 1
        return Frontier(size, tuple(stack))

    def root(self) -> bytes:
        """The Merkle tree hash of all leaves so far."""
        if not self.hashes:
            return EMPTY_ROOT
        node = self.hashes[-1]
        for left in reversed(self.hashes[:-1]):
            node = node_hash(left, node)
        return node

    def to_bytes(self) -> bytes:
        """The size in 8 bytes, big endian, then the hashes: at most 8 + 63 * 32 bytes."""
        return self.size.to_bytes(8, "big") + b"".join(self.hashes)

    @staticmethod
    def from_bytes(stored: bytes) -> "Frontier":
        """The inverse of `to_bytes`. Raises ValueError for other bytes."""
        size, body = int.from_bytes(stored[:8], "big"), stored[8:]
        if len(stored) < 8 or size > SIZE_MAX or len(body) != size.bit_count() * HASH_BYTES:
            raise ValueError(f"{len(stored)} bytes are no frontier of a Merkle tree")
        return Frontier(size, tuple(body[at : at + HASH_BYTES] for at in range(0, len(body), HASH_BYTES)))


def trailing_ones(number: int) -> int:
    """How many of the lowest bits are set: the number of subtrees that the leaf with this index completes."""
    return (number ^ (number + 1)).bit_length() - 1


def subtree_root(read: ReadSubtree, start: int, end: int) -> bytes:
    """The Merkle tree hash of leaves start <= i < end; `start` is a multiple of a power of two spanning them.

    Reads at most one complete subtree per bit of end - start.
    """
    size = end - start
    if size <= 0:
        return EMPTY_ROOT
    level = size.bit_length() - 1
    if size == 1 << level:
        return read(level, start >> level)
    middle = start + split(size)
    return node_hash(subtree_root(read, start, middle), subtree_root(read, middle, end))


def inclusion_proof(read: ReadSubtree, index: int, size: int) -> list[bytes]:
    """PATH(index, D[size]) of RFC 6962 section 2.1.1, the hash next to the leaf first.

    Raises ValueError unless 0 <= index < size.
    """
    if not 0 <= index < size:
        raise ValueError(f"leaf {index} is not in a tree of {size} leaves")
    path: list[bytes] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + split(end - start)
        if index < middle:
            path.append(subtree_root(read, middle, end))
            end = middle
        else:
            path.append(subtree_root(read, start, middle))
            start = middle
    path.reverse()
    return path


def consistency_proof(read: ReadSubtree, first: int, second: int) -> list[bytes]:
    """PROOF(first, D[second]) of RFC 6962 section 2.1.2. Raises ValueError unless 0 <= first <= second."""
    if not 0 <= first <= second:
        raise ValueError(f"a tree of {second} leaves has no past of {first} leaves")
    if first in (0, second):
        return []
    proof: list[bytes] = []
    start, end, whole = 0, second, True
    while first != end:
        middle = start + split(end - start)
        if first <= middle:
            proof.append(subtree_root(read, middle, end))
            end = middle
        else:
            proof.append(subtree_root(read, start, middle))
            start, whole = middle, False
    if not whole:
        proof.append(subtree_root(read, start, end))
    proof.reverse()
    return proof


def root_from_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes]) -> bytes | None:
    """The root that results from this proof (RFC 9162 section 2.1.3.2); None when its length is wrong."""
    if not 0 <= index < size:
        return None
    position, last, node = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            return None
        if position & 1 or position == last:
            node = node_hash(sibling, node)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            node = node_hash(node, sibling)
        position, last = position >> 1, last >> 1
    return node if last == 0 else None


def is_included(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Whether the proof shows the leaf hash at `index` in the tree of `size` leaves with this root."""
    return root_from_inclusion(leaf, index, size, proof) == root


def is_consistent(first: int, first_root: bytes, second: int, second_root: bytes, proof: Sequence[bytes]) -> bool:
    """Whether the proof shows the first tree to be a prefix of the second (RFC 9162 section 2.1.4.2)."""
    if not 0 <= first <= second:
        return False
    if first in (0, second):
        return not proof and (first_root == EMPTY_ROOT if first == 0 else first_root == second_root)
    path = [first_root, *proof] if first.bit_count() == 1 else list(proof)
    if not path:
        return False
    position, last = first - 1, second - 1
    shift = trailing_ones(position)
    position, last = position >> shift, last >> shift
    old = new = path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if position & 1 or position == last:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            new = node_hash(new, sibling)
        position, last = position >> 1, last >> 1
    return last == 0 and old == first_root and new == second_root
