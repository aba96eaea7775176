"""A page as Markdown, and its tables as LaTeX."""

import re
from collections.abc import Sequence

from vfer.report.parts import Grid, Picture, Section

_TEX = {
    **{c: f"\\{c}" for c in "&%_#${}"},
    **{"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"},
    **{"<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}"},
    **{"[": "{[}", "*": "{*}"},  # after a line's end these would be its arguments
    **{"–": "--", "—": "---", "−": "$-$", "±": r"$\pm$", "×": r"$\times$", "…": r"\dots{}"},
}
_LONG = 40
"""Characters of a cell from which on its column breaks lines."""


def markdown(title: str, sections: Sequence[Section]) -> str:
    """Return a page as Markdown; figures are named by their SVG files."""

    def plain(text: str) -> str:
        return re.sub(r"([\\|`*_<>\[\]#])", r"\\\1", " ".join(text.split()))

    lines = [f"# {plain(title)}"]
    for section in sections:
        lines += ["", f"## {plain(section.title)}"]
        for text in (*(f"Warning: {text}" for text in section.warnings), *section.text):
            lines += ["", plain(text)]
        for part in section.parts:
            if isinstance(part, Picture):
                lines += ["", f"![{plain(part.caption)}]({part.name}.svg)"]
                continue
            if not part.shown:
                continue
            lines += ["", f"### {plain(part.title)}", ""]
            rows = [[plain(cell) for cell in row] for row in (part.header, *part.rows)]
            rows.insert(1, ["---"] * len(part.header))
            lines += [f"| {' | '.join(row)} |" for row in rows]
            lines += ["", plain(part.note)] if part.note else []
        if section.listing:
            fence = "`" * max(3, 1 + max(map(len, re.findall("`+", section.listing)), default=0))
            lines += ["", fence, section.listing.rstrip("\n"), fence]
    return "\n".join(lines) + "\n"


def _tex(text: str) -> str:
    """Escape a text for LaTeX; what cannot be printed is left out."""
    words = re.sub(r"(?<![\w-])-(?=\d)", "−", " ".join(text.split()))  # a minus, not a hyphen
    escaped = ("".join(_TEX.get(c, c) for c in part if c.isprintable())
               for part in re.split("-(?=-)", words))  # fmt: skip
    return "-{}".join(escaped)  # two hyphens are no dash


def latex(grid: Grid) -> str:
    r"""Return a table as LaTeX, for ``\input``; it needs ``\usepackage{booktabs}`` and no more."""

    def line(cells: Sequence[str]) -> str:
        return " & ".join(map(_tex, cells)) + r" \\"

    columns = ""
    for k, numeric in enumerate(grid.numeric()):
        long = max((len(row[k]) for row in grid.rows), default=0) > _LONG
        columns += "r" if numeric else r"p{0.3\linewidth}" if long else "l"
    lines = [
        r"\begin{table}",
        r"\centering\small",
        rf"\caption{{{_tex(grid.title)}}}",
        rf"\label{{tab:{grid.name}}}",
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        line(grid.header),
        r"\midrule",
        *map(line, grid.rows),
        r"\bottomrule",
        r"\end{tabular}",
        *([rf"\par\smallskip {_tex(grid.note)}"] if grid.note else []),
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"
