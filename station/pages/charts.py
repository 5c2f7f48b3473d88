"""Charts as numbers: where each bar begins and ends, in per mille of the width. The templates only draw."""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from models.views.board import AGE_HOURS, StockRow, Waiting

WHOLE = 1000.0


class Part(Struct, frozen=True):
    """A piece of a bar. `kind`: the CSS class of its colour."""

    kind: str
    start: float
    length: float
    label: str


class Bar(Struct, frozen=True, kw_only=True):
    name: str
    total: str
    parts: tuple[Part, ...]
    marks: tuple[float, ...] = ()
    """Where a rule is drawn across the bar: a limit."""


def _parts(sizes: Sequence[tuple[str, float, str]], whole: float) -> tuple[Part, ...]:
    parts: list[Part] = []
    at = 0.0
    for kind, size, label in sizes:
        length = WHOLE * size / whole if whole > 0 else 0.0
        if size > 0:
            parts.append(Part(kind, round(at, 1), round(length, 1), label))
        at += length
    return tuple(parts)


def flow_bars(counts: Mapping[tuple[str, str], int], sites: Sequence[str], statuses: Sequence[str]) -> list[Bar]:
    """A bar for each site with anything on the way, a part for each status."""
    totals = {site: sum(counts.get((site, status), 0) for status in statuses) for site in sites}
    most = max(totals.values(), default=0)
    return [
        Bar(
            name=site,
            total=str(totals[site]),
            parts=_parts(
                [(f"s-{s}", counts.get((site, s), 0), str(counts.get((site, s), 0))) for s in statuses], most
            ),
        )
        for site in sites
        if totals[site]
    ]


def age_bars(waiting: Sequence[Waiting]) -> list[Bar]:
    """A bar for each step, its parts from the youngest to the oldest."""
    kinds = ("ok", "ok", "brand", "warn", "warn", "bad")
    assert len(kinds) == len(AGE_HOURS) + 1
    most = max((one.count for one in waiting), default=0)
    return [
        Bar(
            name=one.status,
            total=str(one.count),
            parts=_parts([(kind, n, str(n)) for kind, n in zip(kinds, one.under, strict=True)], most),
        )
        for one in waiting
    ]


def cover_bars(stock: Sequence[StockRow]) -> list[Bar]:
    """Stock against par, with a rule at the reorder point: what can be used, what can't, what is on order."""
    bars = []
    for row in stock:
        whole = max(row.par_level or 0, row.on_hand + row.on_order, 1)
        usable = max(row.usable, 0)
        kind = "bad" if row.usable <= 0 else "warn" if row.due else "ok"
        sizes = [(kind, usable, ""), ("unusable", max(row.on_hand - usable, 0), ""), ("brand", row.on_order, "")]
        marks = (round(WHOLE * row.reorder_point / whole, 1),) if row.reorder_point is not None else ()
        days = "?" if row.unjudged else "–" if row.days_of_cover is None else f"{row.days_of_cover:.0f} d"
        bars.append(Bar(name=f"{row.site} {row.item}", total=days, parts=_parts(sizes, whole), marks=marks))
    return bars
