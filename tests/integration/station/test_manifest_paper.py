"""The paper manifest: the page and the command draw the same one, with the tubes that are still on it."""

from io import BytesIO
from pathlib import Path

import pytest
from pypdf import PdfReader

from labtrail.cli import run
from tests.support.labels.pdfs import barcodes
from tests.support.running import forget_settings
from tests.support.station_home import Browser, Home, accession, collected, dispatched, manifest


def command(home: Home, number: str, out: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """`labtrail manifest` at the time of the station's clock."""
    forget_settings(monkeypatch)
    monkeypatch.setattr("labtrail.commands.paper.sheets.now_us", home.clock)
    return run(["manifest", number, "--out", str(out), "--data", str(home.settings.data)])


@pytest.fixture
def program(home: Home) -> Browser:
    return home.client(token=home.device(role="ma").token)


def test_page_and_command_draw_the_same_bytes_of_the_tubes_that_are_still_on_it(
    home: Home, program: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, stays, goes = manifest(), manifest(), accession(), accession()
    program.post(collected(stays), collected(goes), dispatched(stays, first), dispatched(goes, first))
    program.post(dispatched(goes, second, time="2026-11-21T14:00:00Z"))
    for number, tube in ((first, stays), (second, goes)):
        paper = home.signed_in("ma", "NORTH").http.get(f"/manifests/{number}/print.pdf")
        assert paper.status_code == 200, paper.text
        assert command(home, number, tmp_path / "paper.pdf", monkeypatch) == 0
        assert (tmp_path / "paper.pdf").read_bytes() == paper.content
        assert barcodes(paper.content) == sorted([number, tube])
        words = PdfReader(BytesIO(paper.content)).pages[0].extract_text()
        for word in ("North", "Core", "CBCD", "ambient", "printed 2026-11-21 08:06"):
            assert word in words


def test_a_manifest_whose_tubes_have_all_gone_on_says_so_in_both(
    home: Home, program: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    first, tube = manifest(), accession()
    program.post(collected(tube), dispatched(tube, first))
    program.post(dispatched(tube, manifest(), time="2026-11-21T14:00:00Z"))
    answer = home.signed_in("ma", "NORTH").http.get(f"/manifests/{first}/print.pdf")
    assert answer.status_code == 404
    said = f"every tube of the manifest {first} has gone on with another one: print that one"
    assert answer.json()["detail"] == said
    reader = home.signed_in("ma", "NORTH")
    reader.http.cookies.set("labtrail-language", "es")
    spanish = f"Todos los tubos del manifiesto {first} siguieron con otro: imprima ese"
    assert reader.http.get(f"/manifests/{first}/print.pdf").json()["detail"] == spanish
    assert command(home, first, tmp_path / "paper.pdf", monkeypatch) == 1
    assert said in capsys.readouterr().err
