"""The board's links: each alert leads to the page of what it is about."""

from typing import Any

import pytest

from models.rules.deadlines import AlertKind
from models.views.board import AlertRow
from station.pages.board import LATE, target
from tests.support.story import CATALOG, TUBE


def alert(kind: str, subject: str, site: str | None = "NORTH", accession: str | None = None) -> AlertRow:
    rest: dict[str, Any] = dict.fromkeys(("acknowledged_by", "acknowledged_us", "escalated_us"))
    return AlertRow(
        id=1,
        kind=kind,
        subject=subject,
        accession=accession,
        priority="routine",
        site=site,
        severity="warning",
        detail="",
        since_us=0,
        **rest,
    )


@pytest.mark.parametrize(
    ("shown", "page"),
    [
        (alert("unjudged-result", f"{TUBE}/GLU", accession=TUBE), f"/specimens/{TUBE}"),
        (alert("uncollected-order", "R-7"), "/orders/R-7"),
        (alert("uncollected-order", "NORTH/7 a"), "/orders/NORTH%2F7%20a"),
        (alert("overdue-delivery", "NORTH/SUP-EDTA4"), "/supplies?site=NORTH"),
        (alert("stock-discrepancy", "NORTH/SUP-EDTA4"), "/supplies?site=NORTH"),
        (alert("expiring-stock", "NORTH/SUP-EDTA4/L1"), "/lots/SUP-EDTA4/L1"),
        (alert("recalled-stock", "NORTH/SUP-EDTA4/L/1"), "/lots/SUP-EDTA4/L%2F1"),
        (alert("recalled-stock", "SUP-EDTA4/L/1", site=None), "/lots/SUP-EDTA4/L%2F1"),
        (alert("quarantined-events", "events", site=None), "/board"),
    ],
    ids=lambda value: value if isinstance(value, str) else f"{value.kind} {value.subject}",
)
def test_an_alert_leads_to_the_page_of_its_subject(shown: AlertRow, page: str) -> None:
    assert target(shown, CATALOG) == page


def test_every_kind_about_a_patient_is_counted_at_the_top_of_the_board() -> None:
    supplies_and_service = {
        AlertKind.RESTOCK,
        AlertKind.OVERDUE_DELIVERY,
        AlertKind.EXPIRING_STOCK,
        AlertKind.RECALLED_STOCK,
        AlertKind.STOCK_DISCREPANCY,
        AlertKind.QUARANTINED_EVENTS,
    }
    contradictions = {AlertKind.CUSTODY_DISCREPANCY}  # these have a table of their own, by code
    assert set(LATE) == set(AlertKind) - supplies_and_service - contradictions
