"""A page of text, tables and figures, written as one HTML file, as Markdown, CSV and LaTeX."""

import base64
import csv
import html
import io
import re
import warnings
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from vfer.report.markup import latex, markdown
from vfer.report.parts import Grid, Picture, Section
from vfer.runtime.cells import inert
from vfer.runtime.files import atomic_write

_LIST = "files.txt"
"""Names the files of a page, so that the next one in its place can remove them."""
_LONG = 60
"""Characters of a cell from which on its column is kept wide, also on a narrow screen."""
_STYLE = """
:root { color-scheme: light }
body { font: 16px/1.5 system-ui, sans-serif; color: #1b1f24; margin: 0 auto; max-width: 70rem;
  padding: 1rem; overflow-wrap: anywhere }
h1 { font-size: 1.5rem; line-height: 1.25; margin: .5rem 0 }
h2 { font-size: 1.2rem; margin: 2.2rem 0 .5rem; border-bottom: 1px solid #d0d7de }
h3 { font-size: 1rem; margin: 1.2rem 0 .4rem }
p { margin: .5rem 0; max-width: 48rem }
.warning { background: #fff4d6; border-left: 4px solid #d29922; padding: .5rem .8rem }
.scroll { overflow-x: auto }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums }
th, td { padding: .25rem .6rem; text-align: right; border-bottom: 1px solid #d0d7de;
  overflow-wrap: normal; white-space: nowrap }
th:first-child, td:first-child, td.text, th.text { text-align: left; white-space: normal;
  min-width: 6rem }
td { vertical-align: top }
td.long:last-child { min-width: 16rem }
tr > :first-child { padding-left: 0 }
thead th { border-bottom: 2px solid #57606a; vertical-align: bottom }
.figures { display: flex; flex-wrap: wrap; gap: 1rem; align-items: flex-start }
figure { margin: .5rem 0; max-width: 100% }
figure img { max-width: 100%; height: auto; display: block }
figcaption { font-size: .85rem; color: #57606a; max-width: 40rem }
pre { background: #f6f8fa; padding: .8rem; font-size: .8rem; overflow-x: auto }
@media (max-width: 40rem) {
  table { font-size: .8rem }
  th, td { padding: .25rem .35rem }
  th { white-space: normal }
  th:first-child, td:first-child { min-width: 0; position: sticky; left: 0; background: #fff }
  td.text, th.text { min-width: 4.5rem }
  td.long:last-child { min-width: 11rem }
}
@media print {
  body { font-size: 11pt; padding: 0 }
  h2, h3 { break-after: avoid }
  figure, tr { break-inside: avoid }
  .scroll { overflow: visible }
  th, td { white-space: normal }
}
"""


def write_page(path: Path, files: Path, title: str, sections: Sequence[Section]) -> None:
    """Write a page and what it is made of.

    Args:
        path: Of the HTML file, which needs no other file and no network.
        files: Folder of ``report.md``, a CSV and a LaTeX file a table, a PDF and an SVG file a
            figure.
        title: Of the page.
        sections: Its parts.

    Raises:
        ValueError: If the folder is a link, as somebody else's bundle may have it.
    """
    if files.is_symlink():
        raise ValueError(
            f"{files} is a link; remove it, or choose another folder with --output DIR"
        )
    files.mkdir(parents=True, exist_ok=True)
    images, written = {}, ["report.md"]
    for section in sections:
        for part in section.parts:
            if isinstance(part, Picture):
                drawn = {kind: _draw(part.figure, kind) for kind in ("svg", "pdf")}
                for kind, data in drawn.items():
                    atomic_write(files / f"{part.name}.{kind}", data)
                    written.append(f"{part.name}.{kind}")
                images[part.name] = drawn["svg"]
            else:
                text = io.StringIO()
                cells = ([inert(cell) for cell in row] for row in (part.header, *part.rows))
                csv.writer(text, lineterminator="\n").writerows(cells)
                atomic_write(files / f"{part.name}.csv", text.getvalue())
                written.append(f"{part.name}.csv")
                if part.shown:
                    atomic_write(files / f"{part.name}.tex", latex(part))
                    written.append(f"{part.name}.tex")
    atomic_write(files / "report.md", markdown(title, sections))
    atomic_write(path, _html(title, sections, images))
    _replace_list(files, written)


def _replace_list(files: Path, written: Sequence[str]) -> None:
    """Remove what an earlier page left in a folder and this one has not; nobody else's files."""
    record = files / _LIST
    try:
        before = record.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        before = []
    for name in set(before) - set(written):
        if re.fullmatch(r"[\w-]+\.(csv|pdf|svg|tex)", name):
            (files / name).unlink(missing_ok=True)
    atomic_write(record, "".join(f"{name}\n" for name in sorted(written)))


def _draw(figure: Figure, kind: str) -> bytes:
    """Save a figure as the same bytes every time."""
    data = io.BytesIO()
    with mpl.rc_context({"svg.hashsalt": "vfer", "pdf.fonttype": 42}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")  # a name in another script
        dates = {"svg": "Date", "pdf": "CreationDate"}
        figure.savefig(data, format=kind, metadata={dates[kind]: None}, dpi=150)
    if kind == "svg":  # Matplotlib repeats texts in comments; XML allows no control characters
        return re.sub(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]", b"", data.getvalue())
    return data.getvalue()


def _table(grid: Grid) -> str:
    kinds = []
    for k, numeric in enumerate(grid.numeric()):
        long = k > 0 and max((len(row[k]) for row in grid.rows), default=0) > _LONG
        kinds.append("" if numeric else f' class="text{" long" * long}"')
    head = "".join(
        f"<th{kind}>{html.escape(name)}</th>" for kind, name in zip(kinds, grid.header, strict=True)
    )
    body = "".join(
        "<tr>"
        + "".join(
            f"<td{kind}>{html.escape(cell)}</td>" for kind, cell in zip(kinds, row, strict=True)
        )
        + "</tr>\n"
        for row in grid.rows
    )
    note = f"<p>{html.escape(grid.note)}</p>" if grid.note else ""
    return (
        f'<h3>{html.escape(grid.title)}</h3>\n<div class="scroll"><table><thead><tr>{head}</tr>'
        f"</thead><tbody>\n{body}</tbody></table></div>{note}\n"
    )


def _html(title: str, sections: Sequence[Section], images: dict[str, bytes]) -> str:
    parts = []
    for section in sections:
        parts.append(f"<h2>{html.escape(section.title)}</h2>\n")
        parts += [f'<p class="warning">{html.escape(text)}</p>\n' for text in section.warnings]
        parts += [f"<p>{html.escape(text)}</p>\n" for text in section.text]
        if section.folded:
            parts.append("<details><summary>show</summary>\n")
        beside = False
        for part in section.parts:
            if isinstance(part, Picture) != beside:
                beside = not beside
                parts.append('<div class="figures">' if beside else "</div>")
            if isinstance(part, Picture):
                data = base64.b64encode(images[part.name]).decode()
                caption = html.escape(part.caption)
                parts.append(
                    f'<figure><img src="data:image/svg+xml;base64,{data}" alt="{caption}">'
                    f"<figcaption>{caption}</figcaption></figure>\n"
                )
            elif part.shown:
                parts.append(_table(part))
        parts.append("</div>" if beside else "")
        parts.append("</details>\n" if section.folded else "")
        if section.listing:
            listing = html.escape(section.listing)
            parts.append(f"<details><summary>show</summary><pre>{listing}</pre></details>\n")
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>{_STYLE}</style></head>\n"
        f"<body><h1>{html.escape(title)}</h1>\n{''.join(parts)}</body></html>\n"
    )
