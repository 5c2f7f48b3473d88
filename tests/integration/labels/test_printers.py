"""Printers: one suite for every kind, and each fault that a printer can have."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.catalog import Printer as Row
from labels.drawing.render import render
from labels.errors import LabelError
from labels.printing.cups import CupsPrinter
from labels.printing.outcomes import Confirmed, Failed, NotReady, Outcome, Printer, Unconfirmed
from labels.printing.printers import FilePrinter, make_printer
from labels.printing.zebra import Waits, ZebraPrinter, read_status
from tests.support.labels.fake_zebra import FakeZebra
from tests.support.labels.samples import SPECIMEN, sent_by, specimen

QUICK = Waits(connect=1, answer=0.4, write=2, print=1, copy=0.2, poll=0.01)


@pytest.fixture
def zebra() -> Iterator[FakeZebra]:
    with FakeZebra() as fake:
        yield fake


def printer_of(zebra: FakeZebra, **options: object) -> ZebraPrinter:
    return ZebraPrinter("z", "127.0.0.1", zebra.port, 203, waits=QUICK, **options)


@pytest.fixture(params=["file", "zebra", "cups"])
def any_printer(request: pytest.FixtureRequest, tmp_path: Path) -> Printer:
    if request.param == "file":
        return FilePrinter("f", tmp_path / "out", 203)
    if request.param == "zebra":
        return printer_of(request.getfixturevalue("zebra"))
    request.getfixturevalue("cups")
    return CupsPrinter("c", "office", 203, confirm_seconds=0)


def test_every_printer_is_ready_and_confirms_what_it_printed(any_printer: Printer) -> None:
    assert any_printer.status().ready
    outcome, sent = sent_by(any_printer, copies=3)
    assert isinstance(outcome, Confirmed)
    assert sent == 1


@pytest.mark.parametrize("job", ["", "../up", "DOE, Jane", "a" * 81, "x\n", "^XA"])
def test_every_printer_refuses_a_job_name_that_is_not_opaque(any_printer: Printer, job: str) -> None:
    with pytest.raises(LabelError, match="can't name a print job"):
        any_printer.send(b"", job)


@pytest.mark.parametrize("copies", [0, -1, 21])
def test_every_printer_bounds_its_copies(any_printer: Printer, copies: int) -> None:
    with pytest.raises(LabelError, match="copies"):
        any_printer.send(b"", "S-1", copies)


def test_a_file_holds_the_whole_label_and_its_name_only_the_serial(tmp_path: Path) -> None:
    printer = FilePrinter("f", tmp_path / "out", 203)
    sent_by(printer, copies=2)
    names = sorted(path.name for path in printer.folder.iterdir())
    assert names == ["S2600012334-1.copy2.png", "S2600012334-1.png"]
    assert (printer.folder / names[1]).read_bytes() == render(SPECIMEN, "png", 203)


def test_a_folder_that_can_not_be_written_fails_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file is here")
    printer = FilePrinter("f", tmp_path / "out", 203)
    outcome, sent = sent_by(printer)
    assert isinstance(outcome, Failed)
    assert "can't be written" in outcome.reason
    assert sent == 0
    assert not printer.status().ready


TROUBLE_BEFORE: dict[str, str] = {"paper_out": "paper out", "head_open": "head open", "paused": "paused"}


@pytest.mark.parametrize("trouble", TROUBLE_BEFORE)
def test_nothing_is_sent_to_a_zebra_in_trouble(zebra: FakeZebra, trouble: str) -> None:
    setattr(zebra, trouble, True)
    outcome, sent = sent_by(printer_of(zebra))
    assert isinstance(outcome, NotReady)
    assert TROUBLE_BEFORE[trouble] in outcome.reason
    assert (sent, zebra.printed) == (0, [])
    assert TROUBLE_BEFORE[trouble] in printer_of(zebra).status().problem


@pytest.mark.parametrize("trouble", ["silent", "garbage"])
def test_nothing_is_sent_to_a_zebra_that_gives_no_sensible_answer(zebra: FakeZebra, trouble: str) -> None:
    setattr(zebra, trouble, True)
    outcome, sent = sent_by(printer_of(zebra))
    assert isinstance(outcome, NotReady)
    assert "no answer" in outcome.reason
    assert (sent, zebra.printed) == (0, [])


@pytest.mark.parametrize(
    ("trouble", "words"),
    [("silent_after_label", "fell silent"), ("paper_out_after_label", "paper out"), ("drops_in_the_middle", "broke")],
)
def test_trouble_while_it_prints_leaves_the_label_unconfirmed(zebra: FakeZebra, trouble: str, words: str) -> None:
    setattr(zebra, trouble, True)
    outcome, _ = sent_by(printer_of(zebra))
    assert isinstance(outcome, Unconfirmed)
    assert words in outcome.reason
    assert len(zebra.printed) <= 1


def test_a_zebra_that_is_busy_is_asked_again_until_the_label_is_out(zebra: FakeZebra) -> None:
    zebra.slow_polls = 3
    outcome, _ = sent_by(printer_of(zebra))
    assert isinstance(outcome, Confirmed)
    assert zebra.asked == 1 + 3 + 2


def test_a_zebra_that_stays_busy_is_unconfirmed(zebra: FakeZebra) -> None:
    zebra.slow_polls = 10**6
    outcome, _ = sent_by(printer_of(zebra))
    assert isinstance(outcome, Unconfirmed)
    assert "busy" in outcome.reason


def test_a_print_server_without_status_is_never_confirmed(zebra: FakeZebra) -> None:
    zebra.silent = True
    outcome, sent = sent_by(printer_of(zebra, status_known=False))
    assert isinstance(outcome, Unconfirmed)
    assert sent == 1
    assert zebra.asked == 0


def test_a_zebra_that_is_away_is_not_ready() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    printer = ZebraPrinter("z", "127.0.0.1", port, 203, waits=QUICK)
    outcome, sent = sent_by(printer)
    assert isinstance(outcome, NotReady)
    assert "can't be reached" in outcome.reason
    assert sent == 0
    assert "can't be reached" in printer.status().problem


def test_labels_times_copies_come_out_in_order(zebra: FakeZebra) -> None:
    printer = printer_of(zebra)
    renderings = [render(specimen(name=f"DOE, {n}"), "zpl", 203) for n in range(5)]
    for number, rendering in enumerate(renderings):
        assert isinstance(printer.send(rendering, f"S-{number}", copies=3), Confirmed)
    assert zebra.printed == [rendering.strip() for rendering in renderings for _ in range(3)]


def test_several_zebras_print_at_once_and_a_silent_one_holds_up_nobody() -> None:
    with FakeZebra() as well, FakeZebra() as ill:
        ill.silent = True
        outcomes: dict[str, Outcome] = {}

        def work(name: str, fake: FakeZebra) -> None:
            outcomes[name] = sent_by(printer_of(fake))[0]

        threads = [threading.Thread(target=work, args=pair) for pair in (("ill", ill), ("well", well))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=10)
        assert isinstance(outcomes["well"], Confirmed)
        assert isinstance(outcomes["ill"], NotReady)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\x02\x03",
        b"\x02030,0,0,0203,000,0,0,0,000,0,0,0\x03\r\n",
        b"\x02a,b,c,d,e,f,g,h,i,j,k,l\x03\x02000,0,0,0,0,2,4,0,0,1,000\x03",
        b"\xff" * 5000,
    ],
)
def test_an_answer_that_is_not_whole_counts_as_none(answer: bytes) -> None:
    assert read_status(answer) is None


def test_a_host_status_is_read_as_the_guide_says() -> None:
    found = read_status(
        b"\x02030,1,0,0203,002,0,0,1,000,0,0,1\x03\r\n\x02000,0,1,1,1,2,4,0,00000017,1,000\x03\r\n\x021234,0\x03\r\n"
    )
    assert found is not None
    assert (found.formats, found.labels_left, found.idle) == (2, 17, False)
    assert found.problem.split("; ") == [
        "paper out: load a roll",
        "head open: close it",
        "ribbon out: put in a ribbon",
        "too hot: let it cool",
    ]


def test_the_catalogs_lines_make_printers(tmp_path: Path) -> None:
    made = [
        make_printer(Row(name="n", kind=kind, address=address, dpi=203), tmp_path)
        for kind, address in (
            ("file", "labels-out"),
            ("zpl", "10.0.0.7"),
            ("zpl", "z:6101?zpl=native"),
            ("cups", "q"),
        )
    ]
    assert [printer.format for printer in made] == ["png", "zpl", "zpl-native", "pdf"]
    assert isinstance(made[0], FilePrinter)
    assert made[0].folder == tmp_path / "labels-out"
    assert isinstance(made[1], ZebraPrinter)
    assert (made[1].host, made[1].port) == ("10.0.0.7", 9100)


@pytest.mark.parametrize(
    ("kind", "address", "dpi"),
    [
        ("fax", "x", 203),
        ("zpl", "", 203),
        ("zpl", "host:port", 203),
        ("zpl", "host?colour=red", 203),
        ("cups", "-o raw", 203),
        ("cups", "q?x=a b", 203),
        ("file", "x", 0),
    ],
)
def test_a_line_that_makes_no_printer_is_named(tmp_path: Path, kind: str, address: str, dpi: int) -> None:
    with pytest.raises(LabelError):
        make_printer(Row(name="n", kind=kind, address=address, dpi=dpi), tmp_path)
