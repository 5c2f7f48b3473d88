"""What a scanner reads off a page of a PDF."""

from typing import Any

import pypdfium2
import zxingcpp


def barcodes(pdf: bytes, **options: Any) -> list[str]:
    """What the barcodes on all pages say, sorted. `options`: of `zxingcpp.read_barcodes`."""
    pages = [page.render(scale=300 / 72, grayscale=True).to_pil() for page in pypdfium2.PdfDocument(pdf)]
    return sorted(code.text for page in pages for code in zxingcpp.read_barcodes(page, **options))
