"""The history cache: every event of a subject, parsed, kept between the transactions of one worker.

Part of the store's one transaction (models/recording/store.py).
"""

from collections import OrderedDict
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType

from sqlalchemy import Connection

from models.database.bulk import select_in
from models.database.evidence_tables import chains, events
from models.recording.evidence import Growth
from models.rules.events import Event, parse

CACHE_MAX = 20_000
_NOTHING: Mapping[str, Growth] = MappingProxyType({})


class HistoryCache:
    """Parsed events by subject, kept between transactions; an entry is valid while its chain has not grown."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, tuple[int, tuple[Event, ...]]] = OrderedDict()
        self._unsure: set[str] = set()
        """Added since the transaction began."""

    def load(
        self, connection: Connection, subjects: Collection[str], grown: Mapping[str, Growth] = _NOTHING
    ) -> dict[str, tuple[Event, ...]]:
        """Every event of these subjects, those of this transaction (`grown`) last."""
        lengths = {subject: growth.before for subject, growth in grown.items() if subject in subjects}
        others = [s for s in subjects if s not in lengths]
        lengths |= dict(tuple(r) for r in select_in(connection, chains, ("subject", "length"), "subject", others))
        found: dict[str, tuple[Event, ...]] = {}
        absent: dict[str, list[Event]] = {}
        for subject in subjects:
            length = lengths.get(subject, 0)
            kept = self._kept.get(subject)
            if length == 0:
                found[subject] = ()
            elif kept is not None and kept[0] == length:
                found[subject] = kept[1]
            else:
                absent[subject] = []
        columns = ("subject", "raw", "appended_us", "chain_seq")
        for subject, raw, appended_us, chain_seq in select_in(connection, events, columns, "subject", absent):
            if chain_seq <= lengths[subject]:
                absent[subject].append(parse(bytes(raw), appended_us, recorded=True))
        for subject, loaded in absent.items():
            found[subject] = tuple(loaded)
        for subject in subjects:
            if subject in grown:
                found[subject] += tuple(grown[subject].events)
            self._keep(subject, found[subject])
        return found

    def _keep(self, subject: str, history: tuple[Event, ...]) -> None:
        self._kept[subject] = (len(history), history)
        self._kept.move_to_end(subject)
        self._unsure.add(subject)
        while len(self._kept) > CACHE_MAX:
            self._kept.popitem(last=False)

    @contextmanager
    def kept_if_committed(self) -> Iterator[None]:
        """One transaction: its entries are kept if it commits; otherwise they may never have been written."""
        try:
            yield
        except BaseException:
            for subject in self._unsure:
                self._kept.pop(subject, None)
            raise
        finally:
            self._unsure.clear()
