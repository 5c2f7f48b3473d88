"""The daily report as one HTML file: no script, nothing loaded from elsewhere, prints well."""

from html import escape

from labtrail.daily_report.pictures import WIDTH, Box, Picture, Shape, Stroke, Words
from labtrail.daily_report.report import Block, Card, Cards, Grid, Heading, Note, Report

_STYLE = """
body{font:15px/1.45 system-ui,"Segoe UI",Helvetica,Arial,sans-serif;color:#1a1a1a;max-width:56rem;margin:2rem auto;
padding:0 1rem}
h1{font-size:1.6rem;margin:0}h2{font-size:1.2rem;border-bottom:1px solid #b8b8b8;margin-top:2.2rem}
h3{font-size:.95rem;margin:1.4rem 0 .3rem}.sub{color:#5c5c5c;margin:.2rem 0 1rem}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(8.2rem,1fr));gap:.7rem;padding:0;list-style:none}
.cards li{border:1px solid #b8b8b8;border-radius:6px;padding:.6rem .8rem}.cards b{display:block;font-size:1.6rem}
.cards span{display:block;color:#5c5c5c;font-size:.85rem}
.cards li.bad{border:2px solid #a61b1b}.cards li.bad b{color:#a61b1b}
figure{margin:0}figcaption{font-weight:600;font-size:.95rem;margin:1.4rem 0 .3rem}
svg{width:100%;height:auto;font:7.5px system-ui,"Segoe UI",Helvetica,Arial,sans-serif}
.wide{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:.88rem;font-variant-numeric:tabular-nums}
th,td{text-align:left;padding:.25rem .5rem;border-bottom:1px solid #d9dde1;vertical-align:top}th{color:#5c5c5c}
.n{text-align:right}.more{color:#5c5c5c;font-size:.88rem}
@media print{body{margin:0;font-size:11px}figure,tr{break-inside:avoid}h2{break-after:avoid}}
"""


def report_html(report: Report) -> bytes:
    """The whole page, UTF-8."""
    title, subtitle = escape(report.title), escape(report.subtitle)
    body = "\n".join(_block(block) for block in report.blocks)
    page = (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<style>{_STYLE}</style></head>\n<body><main>"
        f'<h1>{title}</h1><p class="sub">{subtitle}</p>\n{body}\n</main></body></html>\n'
    )
    return page.encode()


def _block(block: Block) -> str:
    match block:
        case Heading(text):
            return f"<h2>{escape(text)}</h2>"
        case Note(text):
            return f"<p>{escape(text)}</p>"
        case Cards(cards):
            return f'<ul class="cards">{"".join(_card(card) for card in cards)}</ul>'
        case Grid():
            return _grid(block)
        case Picture():
            return _picture(block)


def _card(card: Card) -> str:
    tone = ' class="bad"' if card.bad else ""
    return f"<li{tone}>{escape(card.label)}<b>{escape(card.value)}</b><span>{escape(card.note)}</span></li>"


def _grid(grid: Grid) -> str:
    def cells(row: tuple[str, ...], tag: str) -> str:
        sides = ["" if place < grid.words else ' class="n"' for place in range(len(row))]
        return "".join(f"<{tag}{side}>{escape(text)}</{tag}>" for text, side in zip(row, sides, strict=True))

    rows = "".join(f"<tr>{cells(row, 'td')}</tr>" for row in grid.rows)
    more = f'<p class="more">and {grid.left_out} more</p>' if grid.left_out else ""
    head = f"<thead><tr>{cells(grid.columns, 'th')}</tr></thead>"
    return f'<h3>{escape(grid.title)}</h3><div class="wide"><table>{head}<tbody>{rows}</tbody></table></div>{more}'


def _picture(picture: Picture) -> str:
    shapes = "".join(_shape(shape) for shape in picture.shapes)
    box = f'viewBox="0 0 {WIDTH:g} {picture.height:g}" role="img" aria-label="{escape(picture.words)}"'
    return f"<figure><figcaption>{escape(picture.title)}</figcaption><svg {box}>{shapes}</svg></figure>"


def _shape(shape: Shape) -> str:
    match shape:
        case Box(x, y, width, height, colour):
            return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{colour}"/>'
        case Stroke(x1, y1, x2, y2, colour, width):
            line = f'x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
            return f'<line {line} stroke="{colour}" stroke-width="{width:g}"/>'
        case Words(x, y, text, anchor, colour, bold):
            weight = ' font-weight="600"' if bold else ""
            return (
                f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}"{weight}>{escape(text)}</text>'
            )
