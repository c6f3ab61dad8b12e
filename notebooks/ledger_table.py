"""The ledger's rows as Markdown tables, which the chapter shows and the book's page links."""

from __future__ import annotations

import re
from dataclasses import dataclass

import ledger
from ledger_row import Row

CONTENT = ledger.read()
HERE = "17_reproductions"
ROUND_OFF = 1e-9  # a spread below it, relative to the number, is no chance


@dataclass(frozen=True)
class Table:
    """Markdown for the page, and the same in plain text for everything else."""

    markdown: str
    plain: str

    def _repr_markdown_(self) -> str:
        return self.markdown

    def __repr__(self) -> str:
        return self.plain


def verdict(row: Row) -> str:
    """Whether the row's claim holds, by the stored numbers."""
    number = CONTENT["rows"][row.key]
    return row.verdict(number["measured"], number["predicted"])


def told(value: float, digits: int = 4) -> str:
    """A number as it is printed: 16,730, 0.0123, 1.4e-7."""
    text = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.{digits}g}"
    return re.sub("e-0*", "e-", re.sub("^-", "−", text))


def ours(row: Row) -> str:
    """What was measured, and its spread where there is chance in it."""
    number = CONTENT["rows"][row.key]
    measured, spread = number["measured"], number["spread"]
    if spread <= ROUND_OFF * abs(measured):
        return told(measured)
    return f"{told(measured)}\u00a0±\u00a0{told(spread, 2)}"  # which no line breaks


def where(row: Row) -> str:
    """The source, the place in it, the chapter, and the row in the whole ledger, as links."""
    name, address = CONTENT["sources"][row.source]
    chapter = f"[chapter {int(row.chapter[:2])}]({row.chapter}.ipynb)"
    if row.chapter == HERE:
        chapter = "this chapter"
    return f'[{name}]({address}), {row.place} · {chapter} · <a href="#{row.key}">{row.key}</a>'


def allowed(row: Row) -> str:
    """The tolerance, and where it comes from."""
    size = f"a factor of {row.within[1:]}" if row.within[0] == "x" else f"±{row.within}"
    return f"{size} ({row.basis})"


def table(heads: tuple[str, ...], lines: list[tuple[str, ...]]) -> str:
    """Markdown's form of a table. A bar in a cell is no border, and no line ends inside 5.3e-8."""

    def line(cells: tuple[str, ...]) -> str:
        text = [re.sub(r"(\de-)(?=\d)", "\\1\u2060", cell).replace("|", "\\|") for cell in cells]
        return f"| {' | '.join(text)} |"

    return "\n".join(map(line, (heads, ("---",) * len(heads), *lines)))


def brief(keys: str) -> Table:
    """A few rows: claim, what is said, what was measured."""
    rows = {row.key: row for row in ledger.ROWS}
    lines, plain = [], []
    for row in (rows[key] for key in keys.split()):
        number = CONTENT["rows"][row.key]
        said = told(number["predicted"] if row.said is None else row.said)
        lines.append((f"{row.claim}<br>{where(row)}", said, ours(row)))
        plain.append(f"{row.key} {row.claim}: said {said}, measured {ours(row)}")
    return Table(table(("Claim", "Said", "Measured"), lines), "\n".join(plain))


def whole(title: str) -> Table:
    """A group of rows with all that the ledger holds of them, folded under its title."""
    rows, lines = ledger.GROUPS[title], []
    for row in rows:
        number = CONTENT["rows"][row.key]
        numbers = (
            f"**{verdict(row)}**",
            f"said {'a formula' if row.said is None else told(row.said)} ({row.tag})",
            "no prediction" if row.predicted is None else f"theory {told(number['predicted'])}",
            f"measured {ours(row)}",
            f"allowed {allowed(row)}",
        )
        claim = f'<span id="{row.key}"></span>{row.claim}'  # where a link to the row arrives
        lines.append((f"{claim}<br>{where(row)}", "<br>".join(numbers)))
    failed = sum(verdict(row) == "disagrees" for row in rows)
    summary = f"{title}: {len(rows)} claims, {failed} disagree"
    markdown = table(("Claim", "Verdict and numbers"), lines)
    head = summary.replace("'", "’")
    fold = f'<details class="fold">\n<summary>{head}</summary>\n\n{markdown}\n\n</details>'
    return Table(fold, summary)
