"""`labtrail label`, `printers`, `print-jobs`, `contact-sheet` and `patients`, on a home with one collected tube."""

import io
from collections.abc import Iterator
from pathlib import Path

import pypdfium2
import pytest
import zxingcpp
from PIL import Image

from labtrail.cli import run
from models.database.engine import writing
from models.printing.jobs import Change, change, claim
from tests.support.homes import commit, new_home, new_store
from tests.support.labels.fake_zebra import FakeZebra
from tests.support.labels.pdfs import barcodes
from tests.support.running import forget_settings
from tests.support.story import M1, M2, MA, OTHER_TUBE, TUBE, collected, step

PATIENTS = "patient,family,given,birth_date,mrn\nP-1,GARCÍA,María,1984-03-12,0012\n"
PRINTERS = "name,kind,address,dpi\nfiles,file,labels-out,203\nzebra,zpl,127.0.0.1:{port},203\n"


class Home:
    """A home with two collected tubes, a file printer and a Zebra."""

    def __init__(self, folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
        self.data = folder / "home"
        self.out = self.data / "labels-out"
        self.capfd = capfd
        self.engine = new_home(f"sqlite:///{self.data}/labtrail.db")
        commit(new_store(self.engine), [collected(3), collected(4, OTHER_TUBE)])

    def does(self, *arguments: str, code: int = 0) -> str:
        """One command; standard output where it works, the one line on standard error where it must fail."""
        self.capfd.readouterr()
        found = run([*arguments, "--data", str(self.data)])
        out, err = self.capfd.readouterr()
        assert found == code, err
        return out if code == 0 else err

    def files(self) -> list[str]:
        return sorted(path.name for path in self.out.iterdir()) if self.out.exists() else []


@pytest.fixture
def zebra() -> Iterator[FakeZebra]:
    with FakeZebra() as fake:
        yield fake


@pytest.fixture
def home(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, zebra: FakeZebra
) -> Iterator[Home]:
    forget_settings(monkeypatch)
    catalog = tmp_path / "catalog"
    catalog.mkdir()
    for file in (Path(__file__).parents[3] / "config" / "catalog").glob("*.csv"):
        (catalog / file.name).write_bytes(file.read_bytes())
    (catalog / "printers.csv").write_text(PRINTERS.format(port=zebra.port))
    monkeypatch.setenv("LABTRAIL_CATALOG", str(catalog))
    monkeypatch.setenv("LABTRAIL_PATIENT_KEY", "ab" * 32)
    made = Home(tmp_path, capfd)
    yield made
    made.engine.dispose()


def test_a_label_is_drawn_into_the_kind_of_file_that_its_name_says(home: Home, tmp_path: Path) -> None:
    for name, begins in (("a.png", b"\x89PNG"), ("a.pdf", b"%PDF"), ("a.zpl", b"^XA")):
        home.does("label", TUBE, "--out", str(tmp_path / name))
        assert (tmp_path / name).read_bytes().startswith(begins)
    image = Image.open(io.BytesIO((tmp_path / "a.png").read_bytes()))
    assert [code.text for code in zxingcpp.read_barcodes(image)] == [TUBE]
    assert home.files() == [], "a picture is no print"


@pytest.mark.parametrize("command", ["label", "custody"])
def test_a_file_in_a_folder_that_is_not_there_is_named_as_it_was_given(
    home: Home, tmp_path: Path, command: str
) -> None:
    path = tmp_path / "nowhere" / "x.png"
    said = home.does(command, TUBE, "--out", str(path), code=1)
    assert said == f"labtrail: {path}: No such file or directory: check the path, its rights and the disk\n"


def test_a_first_label_prints_and_a_second_one_needs_a_reason_and_a_badge(home: Home, zebra: FakeZebra) -> None:
    home.does("label", TUBE, "--printer", "zebra", "--copies", "2")
    assert len(zebra.printed) == 2
    assert "--reason" in home.does("label", TUBE, "--printer", "zebra", code=1)
    assert "badge" in home.does("label", TUBE, "--printer", "zebra", "--reason", "smudged", code=2)
    home.does("label", TUBE, "--printer", "zebra", "--reason", "smudged", "--badge", MA)
    assert len(zebra.printed) == 3
    listed = home.does("print-jobs", "list")
    assert f"{TUBE}-2  specimen, voids {TUBE}-1 (smudged)" in listed
    assert f"{TUBE}-1 x2  specimen, VOID since {TUBE}-2" in home.does("print-jobs", "list", "--of", TUBE)


def test_a_label_that_is_only_a_file_may_be_written_again_and_then_printed(home: Home, zebra: FakeZebra) -> None:
    home.does("label", TUBE, "--printer", "files")
    home.does("label", TUBE, "--printer", "files")
    assert home.files() == [f"{TUBE}-1.png"]
    home.does("label", TUBE, "--printer", "zebra")
    assert len(zebra.printed) == 1
    assert "--reason" in home.does("label", TUBE, "--printer", "files", code=1)


def test_a_printer_without_paper_keeps_the_label_waiting_and_it_can_be_taken_back(
    home: Home, zebra: FakeZebra
) -> None:
    zebra.paper_out = True
    said = home.does("label", TUBE, "--printer", "zebra", code=1)
    assert "paper out: load a roll" in said
    home.does("print-jobs", "cancel", "1", "--badge", MA)
    zebra.paper_out = False
    home.does("label", OTHER_TUBE, "--printer", "zebra")
    assert len(zebra.printed) == 1


def test_an_unconfirmed_label_waits_for_a_persons_word(home: Home, zebra: FakeZebra) -> None:
    zebra.silent_after_label = True
    said = home.does("label", TUBE, "--printer", "zebra", code=1)
    assert "print-jobs resolve 1" in said
    assert "unconfirmed" in home.does("print-jobs", "list", "--state", "unconfirmed")
    assert "say what you saw" in home.does("print-jobs", "resolve", "1", "--badge", MA, code=2)
    home.does("print-jobs", "resolve", "1", "--not-printed", "--badge", MA)
    zebra.silent = zebra.silent_after_label = False
    home.does("print-jobs", "retry", "1", "--badge", MA)
    assert "confirmed" in home.does("print-jobs", "list")


def test_a_job_is_reprinted_under_a_new_serial_on_another_printer(home: Home, zebra: FakeZebra) -> None:
    home.does("label", TUBE, "--printer", "zebra")
    home.does("print-jobs", "reprint", "1", "--reason", "torn", "--badge", MA, "--printer", "files")
    assert home.files() == [f"{TUBE}-2.png"]
    assert "no print job 99" in home.does("print-jobs", "reprint", "99", "--reason", "x", "--badge", MA, code=1)


def test_a_label_that_another_process_has_in_hand_is_left_to_it(home: Home, zebra: FakeZebra) -> None:
    zebra.paper_out = True
    home.does("label", OTHER_TUBE, "--printer", "zebra", code=1)
    zebra.paper_out = False
    with writing(home.engine) as connection:
        assert claim(connection, "zebra", "somebody else", 2**50)
        change(connection, [Change(1, "confirmed", "out")], 2**50)
    home.does("label", TUBE, "--printer", "zebra")
    assert len(zebra.printed) == 1


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("label", TUBE), 2, "either a printer or a file"),
        (("label", TUBE, "--out", "label.jpg"), 2, ".png, .pdf or .zpl"),
        (("label", TUBE, "--printer", "nowhere"), 1, "no printer nowhere: use one of files, zebra"),
        (("label", "S2600099999", "--printer", "files"), 1, "no specimen S2600099999 is on record"),
        (("label", TUBE, "--printer", "files", "--layout", "tote"), 1, "shows a ToteLabel"),
        (("print-jobs", "cancel", "7", "--badge", MA), 1, "no print job 7"),
        (("print-jobs", "cancel", "7", "--badge", "nurse"), 2, "badge"),
        (("printers", "--test", "nowhere"), 1, "no printer nowhere"),
    ],
)
def test_what_can_not_be_done_is_said_in_one_line(
    home: Home, arguments: tuple[str, ...], code: int, words: str
) -> None:
    said = home.does(*arguments, code=code)
    assert words in said
    assert said.count("\n") == 1


def test_printers_shows_each_ones_state_and_prints_a_test_label(home: Home, zebra: FakeZebra) -> None:
    shown = home.does("printers").splitlines()
    assert [line.split()[:2] for line in shown] == [["files", "ready"], ["zebra", "ready"]]
    home.does("printers", "--test", "zebra")
    assert len(zebra.printed) == 1
    zebra.head_open = True
    assert "1 of 2 printers" in home.does("printers", code=1)
    assert "head open" in home.does("printers", "--test", "zebra", code=1)


def test_patients_are_loaded_and_printed_on_labels(home: Home, tmp_path: Path) -> None:
    home.does("label", TUBE, "--out", str(tmp_path / "before.png"))
    file = tmp_path / "patients.csv"
    file.write_text(PATIENTS)
    home.does("patients", "load", str(file))
    assert home.does("patients", "count") == "1\n"
    home.does("label", TUBE, "--out", str(tmp_path / "after.png"))
    assert (tmp_path / "before.png").read_bytes() != (tmp_path / "after.png").read_bytes()


def test_a_key_change_opens_every_record_with_the_new_key_alone(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "patients.csv"
    file.write_text(PATIENTS)
    home.does("patients", "load", str(file))
    monkeypatch.setenv("LABTRAIL_PATIENT_KEY", "cd" * 32)
    assert "put that key back" in home.does("label", TUBE, "--out", str(tmp_path / "a.png"), code=1)
    monkeypatch.setenv("LABTRAIL_PATIENT_KEY", "cd" * 32 + "," + "ab" * 32)
    home.does("patients", "rekey")
    monkeypatch.setenv("LABTRAIL_PATIENT_KEY", "cd" * 32)
    home.does("label", TUBE, "--out", str(tmp_path / "a.png"))


def test_a_wrong_line_of_patients_loads_nothing_and_shows_no_name(home: Home, tmp_path: Path) -> None:
    file = tmp_path / "patients.csv"
    file.write_text(PATIENTS + "P-2,SECRETNAME,Jane,,\n")
    said = home.does("patients", "load", str(file), code=1)
    assert "line 3" in said
    assert "SECRET" not in said
    file.write_text(PATIENTS + "P-1,SECRETNAME,Jane,1990-01-01,\n")
    assert "twice" in home.does("patients", "load", str(file), code=1)
    assert home.does("patients", "count") == "0\n"


def test_the_contact_sheet_is_a_picture_on_which_every_barcode_reads(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(["contact-sheet", "--out", str(tmp_path / "sheet.png")]) == 0, capfd.readouterr()
    image = Image.open(tmp_path / "sheet.png")
    assert image.width > 2000
    assert len(zxingcpp.read_barcodes(image)) >= 20


def test_a_sheet_of_labels_and_a_manifest_are_drawn_from_what_is_on_record(home: Home, tmp_path: Path) -> None:
    commit(new_store(home.engine), [step("dispatched", 30), step("dispatched", 31, OTHER_TUBE)], offset=10)
    home.does(
        "label-sheet", TUBE, OTHER_TUBE, "--out", str(tmp_path / "sheet.pdf"), "--start", "30", "--right", "0.5"
    )
    sheet = pypdfium2.PdfDocument(tmp_path / "sheet.pdf")
    assert len(sheet) == 2, "the first sheet has one free label"
    home.does("manifest", M1, "--out", str(tmp_path / "manifest.pdf"), "--paper", "a4")
    assert barcodes((tmp_path / "manifest.pdf").read_bytes()) == sorted([M1, TUBE, OTHER_TUBE])
    assert "no tube has been dispatched" in home.does("manifest", M2, "--out", str(tmp_path / "x.pdf"), code=1)
    assert "no valid manifest" in home.does("manifest", "M1", "--out", str(tmp_path / "x.pdf"), code=1)
    assert "no sheet" in home.does("label-sheet", TUBE, "--sheet", "x", "--out", str(tmp_path / "x.pdf"), code=1)
