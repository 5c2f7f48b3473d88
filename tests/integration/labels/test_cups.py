"""CUPS: the PDF goes unscaled to the queue, and only what CUPS has completed is confirmed."""

from collections.abc import Callable
from pathlib import Path

import pytest

from labels.drawing.render import render
from labels.printing.cups import CupsPrinter
from labels.printing.outcomes import Confirmed, Failed, NotReady, Outcome, Unconfirmed
from tests.support.labels.samples import SPECIMEN, sent_by


def test_cups_gets_the_pdf_unscaled_with_the_copies_and_an_opaque_title(cups: Path) -> None:
    printer = CupsPrinter.at("c", "office?media=Custom.2x1in", 600)
    assert isinstance(sent_by(printer, copies=2)[0], Confirmed)
    words = (cups / "args-1").read_text().split()
    assert words[:6] == ["-d", "office", "-n", "2", "-t", SPECIMEN.serial]
    assert {"print-scaling=none", "fit-to-page=false", "media=Custom.2x1in"} <= set(words)
    assert (cups / "job-1").read_bytes() == render(SPECIMEN, "pdf", 600)


@pytest.mark.parametrize("outcome", ["job-canceled-by-user", "aborted-by-system", "none"])
def test_a_cups_job_that_did_not_complete_is_unconfirmed(cups: Path, outcome: str) -> None:
    (cups / "outcome").write_text(outcome)
    found, sent = sent_by(CupsPrinter("c", "office", 600, confirm_seconds=0))
    assert isinstance(found, Unconfirmed)
    assert sent == 1


@pytest.mark.parametrize(
    ("file", "kind"),
    [("refuse", Failed), ("gone", NotReady), ("state", NotReady)],
    ids=["refused", "gone", "stopped"],
)
def test_a_cups_queue_in_trouble_prints_nothing(cups: Path, file: str, kind: Callable[..., Outcome]) -> None:
    (cups / file).write_text("printer office disabled since Sat 21 Nov 2026 -\n\tPaused\n")
    found, sent = sent_by(CupsPrinter("c", "office", 600, confirm_seconds=0))
    assert type(found) is kind
    assert sent == 0


def test_a_machine_without_cups_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    found, _ = sent_by(CupsPrinter("c", "office", 600))
    assert isinstance(found, NotReady)
    assert "cups-client" in found.reason
