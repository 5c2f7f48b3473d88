"""The manifest page: every tube once, with a barcode that reads, on as many pages as it takes."""

from io import BytesIO

import pytest
import zxingcpp
from msgspec.structs import replace
from pypdf import PdfReader

from labels.drawing.manifest import Manifest, ManifestTube, manifest_pdf
from labels.drawing.pdf import A4_MM, LETTER_MM
from labels.errors import LabelError
from models.rules.identifiers import make_identifier
from tests.support.labels.pdfs import barcodes


def manifest(count: int, **changes: object) -> Manifest:
    values: dict[str, object] = {
        "manifest": make_identifier("M", 26, 12),
        "origin": "North Clinic",
        "destination": "Core Laboratory",
        "transport": "refrigerated",
        "tote": make_identifier("T", 26, 4),
        "seal": "48812",
        "tubes": tuple(
            ManifestTube(
                accession=make_identifier("S", 26, number),
                container="EDTA4",
                colour="lavender",
                tests=("CBCD", "A1C"),
                priority="stat" if number % 7 == 0 else "routine",
            )
            for number in range(count)
        ),
    }
    return Manifest(**{**values, **changes})


@pytest.mark.parametrize("size", [LETTER_MM, A4_MM])
@pytest.mark.parametrize("tubes", [1, 11, 14, 15, 16, 60])
def test_every_tube_is_listed_once_with_a_barcode_that_reads(tubes: int, size: tuple[float, float]) -> None:
    listed = manifest(tubes)
    found = barcodes(manifest_pdf(listed, size=size), formats=zxingcpp.BarcodeFormat.Code128)
    assert found == sorted([listed.manifest, *(tube.accession for tube in listed.tubes)])


def test_the_page_names_every_tube_and_is_the_same_each_time() -> None:
    tubes = tuple(replace(tube, priority="stat") for tube in manifest(60).tubes)
    pages = manifest_pdf(manifest(60, tubes=tubes))
    words = " ".join(page.extract_text() for page in PdfReader(BytesIO(pages)).pages)
    assert all(tube.accession in words for tube in tubes)
    assert "60, 60 STAT" in words
    assert manifest_pdf(manifest(60, tubes=tubes)) == pages


def test_the_page_names_courier_seal_and_signatures() -> None:
    reader = PdfReader(BytesIO(manifest_pdf(manifest(20, courier="QuickLab van 2"))))
    words = " ".join(page.extract_text() for page in reader.pages)
    for word in (
        "North Clinic",
        "Core Laboratory",
        "QuickLab van 2",
        "48812",
        "Released by",
        "Received by",
        "20, 3 STAT",
    ):
        assert word in words
    assert reader.trailer["/Root"]["/ViewerPreferences"]["/PrintScaling"] == "/None"


def test_numbers_of_other_labs_get_narrower_bars_and_where_those_do_not_fit_none() -> None:
    first = manifest(1).tubes[0]
    narrower, none = "REF26-0071X", "OTHER-LAB/2026-11-20/0071X"
    pages = manifest_pdf(manifest(1, tubes=(replace(first, accession=narrower), replace(first, accession=none))))
    read = barcodes(pages, formats=zxingcpp.BarcodeFormat.Code128)
    assert set(read) == {manifest(1).manifest, narrower}
    assert none in PdfReader(BytesIO(pages)).pages[0].extract_text()


def test_the_page_says_what_it_is_and_when_it_was_printed() -> None:
    words = PdfReader(BytesIO(manifest_pdf(manifest(1, printed_at="2026-11-21 08:06")))).pages[0].extract_text()
    assert f"Manifest {manifest(1).manifest}   page 1 of 1   printed 2026-11-21 08:06" in words


@pytest.mark.parametrize(
    ("listed", "words"),
    [
        (manifest(0), "between 1"),
        (manifest(2, tubes=manifest(1).tubes * 2), "twice"),
        (manifest(1, origin="李"), "no glyph"),
        (manifest(1, manifest="M" * 40), "does not fit"),
        (manifest(1, tubes=(replace(manifest(1).tubes[0], accession="X" * 60),)), "does not fit"),
    ],
)
def test_a_manifest_that_can_not_be_printed_is_refused(listed: Manifest, words: str) -> None:
    with pytest.raises(LabelError, match=words):
        manifest_pdf(listed)
