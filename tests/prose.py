r"""The numbers of the book's prose, and where each of them comes from.

A number is read with its precision: 0.0456 may be off by half a unit of its last digit. It is
*printed* if an output rounds to it and *set* if a cell has it as a literal, in the same section or
an earlier one; where a chapter opens, sums up, asks and sets exercises, in any. Other chapters
count where the same paragraph or the heading above it names them. It is *computed* if the other
numbers of its formula give it, as in $\sqrt{2/10} = 0.447$. Of what remains some has another reason
to stand there: references, what is quoted or cited in the same sentence, the data that an exercise
states, constants of formulas. A number that has none is *open*.
"""

from __future__ import annotations

import ast
import functools
import itertools
import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
CHAPTERS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
NAMES = ("index", "on_monday", "cheat_sheet", "errata", "verdicts", "zoo", "notation", "glossary")
PAGES = [ROOT / "book" / f"{name}.md" for name in NAMES]
ASSERTED = {"cheat_sheet.md"}  # whose tables test_cheat_sheet.py computes, cell by cell


# ------------------------------------------------------------------ a number and its precision

NUMERALS = "one two three four five six seven eight nine ten eleven twelve thirteen"
TEENS, TIES = "four fif six seven eigh nine", "twen thir for fif six seven eigh nine"
ONES = ["", *NUMERALS.split()]
ONES += [f"{word}teen" for word in TEENS.split()]
TENS = [f"{word}ty" for word in TIES.split()]
WORDS = {word: i for i, word in enumerate(ONES) if word}
WORDS |= {word: 10 * i for i, word in enumerate(TENS, 2)}
WORDS |= {f"{ten}-{one}": WORDS[ten] + WORDS[one] for ten in TENS for one in ONES[1:10]}
SCALES = {"hundred": 1e2, "thousand": 1e3, "million": 1e6, "billion": 1e9}
PARTS = {"third": 3, "quarter": 4, "fifth": 5, "tenth": 10, "hundredth": 100, "thousandth": 1000}
# Up to ten a word is a count of things in sight, unless it says how many times as large.
COUNTS = r"(?=-?fold|\s+(?:times|orders|powers)\b)"


def _any(words: Iterator[str] | list[str]) -> str:
    return "|".join(sorted(words, key=len, reverse=True))


NUMBER = re.compile(
    r"(?<![\w./])(?P<over>\d+)/(?P<under>\d+)(?![\w.]\d|/)"
    r"|(?<![\w.])(?P<digits>\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?)"
    r"(?:e(?P<e>[+-]?\d+)|\s*\\cdot\s*10\^\{?(?P<tex>-?\d+)\}?|\s+(?P<unit>[mb]illion))?"
    r"(?P<percent>\s?\\?%)?(?![\w^]|[.,]\d)"
    r"|(?<![\w.^])10\^\{?(?P<power>-?\d+)\}?"
    rf"|\b(?P<count>{_any(ONES[2:10])})\s+(?P<parts>{_any(list(PARTS))})s\b"
    r"|\b(?:an?|one)\s+(?P<part>tenth|hundredth|thousandth)\b|\bone\s+(?P<third>third)\b"
    rf"|\b(?:(?P<word>{_any(list(WORDS))}|a)(?:-|\s+))?"
    rf"(?P<scale>(?:{_any(list(SCALES))})(?:\s+[mb]illion)?)(?!th)"
    rf"|\b(?:(?P<spelled>{_any(list(WORDS)[10:])})(?!-|\w)|(?P<times>{_any(ONES[2:11])}){COUNTS})",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Number:
    text: str
    start: int
    value: float
    half: float = 0.5  # half a unit of the last digit that counts
    percent: bool = False
    power: bool = False  # a power of ten alone: good for the order of magnitude
    decades: bool = False  # that many powers of ten, up or down

    def rounds(self, exact: float) -> bool:
        """Whether this is what `exact` rounds to, as a number or as a percentage."""
        if self.decades:
            return exact > 0 and abs(abs(math.log10(exact)) - self.value) < 1
        if self.power:
            return exact > 0 and abs(math.log10(exact / self.value)) < 1
        scales = (1, 100) if self.percent else (1,)
        return any(abs(exact * s - self.value) <= self.half * (1 + 1e-9) for s in scales)

    def equals(self, setting: float) -> bool:
        if self.decades:
            return self.rounds(setting)
        scales = (1, 100) if self.percent else (1,)
        return any(math.isclose(setting * s, self.value, rel_tol=1e-9) for s in scales)


def _number(match: re.Match[str]) -> Number:
    number = functools.partial(Number, match.group(), match.start())
    group = {key: word.lower() for key, word in match.groupdict().items() if word}
    if "digits" in group:
        return _digits(number, group)
    if "over" in group and group["under"].strip("0"):
        value = int(group["over"]) / int(group["under"])
        return number(value, 0.005 * value)
    if "power" in group:
        return number(10.0 ** int(group["power"]), 0.0, power=True)
    if "scale" in group:
        scale = math.prod(SCALES[word] for word in group["scale"].split())
        return number(
            WORDS.get(group.get("word", ""), 1) * scale, scale / 2 if scale > 100 else 0.5
        )
    if part := group.get("parts") or group.get("part") or group.get("third"):
        return number(WORDS.get(group.get("count", ""), 1) / PARTS[part], 0.5 / PARTS[part])
    return number(float(WORDS[group.get("spelled") or group["times"]]))


def _digits(number: functools.partial[Number], group: dict[str, str]) -> Number:
    digits = group["digits"].replace(",", "")
    power = int(group.get("e") or group.get("tex") or 0)
    power += round(math.log10(SCALES[group["unit"]])) if "unit" in group else 0
    value, last = float(f"{digits}e{power}"), power - len(digits.partition(".")[2])
    if "." not in digits and power == 0 and value >= 10_000:
        last = len(digits) - len(
            digits.rstrip("0")
        )  # 70,000 is a round number, 1000 units are 1000
    half, alone = 0.5 * 10.0**last if value else 0.0, digits == "1" and power != 0
    return number(value, half, percent="percent" in group, power=alone)


DECADES = re.compile(r"(?:\s+to\s+[\w-]+)?\s+(?:powers\s+of\s+ten|orders\s+of\s+magnitude)")


def numbers(text: str) -> list[Number]:
    found = ((_number(match), match.end()) for match in NUMBER.finditer(text))
    return [replace(number, decades=bool(DECADES.match(text, end))) for number, end in found]


# ------------------------------------------------------------------ formulas

RELATION = re.compile(r"\\approx|\\to|\\leq?\b|\\geq?\b|\\ne|\\text\{[^{}]*\}|\\q?quad|\\\\|[=<>&]")
GROUP = r"\{([^{}]*)\}"
# TeX, and the Python that computes it; `frac` and the like from the inside out.
INSIDE = [
    (rf"\\frac{GROUP}{GROUP}", r"((\1)/(\2))"),
    (rf"\\sqrt(?:{GROUP}|\s*(\d))", r"sqrt(\1\2)"),
    (rf"\^(?:{GROUP}|(\d))", r"**(\1\2)"),
]
PYTHON = [
    (r"\\[,;!: ]|\\(?:left|right|[bB]igg?)(?=[()])|\{,\}|(?<=\d),(?=\d{3})", ""),
    (r"\\[td]?frac(?=\W|\d)", r"\\frac"),
    (r"\\frac\s*(\d)\s*(\d)", r"((\1)/(\2))"),
    *INSIDE * 3,
    (r"\\cdot|\\times", "*"),
    (r"\\ln ?([\d.]+)", r"log(\1)"),
    (r"\\log_2 ?([\d.]+)", r"log2(\1)"),
    (r"\\pi", "pi"),
    (r"(?<=[\d)])\s*(?=pi|sqrt|log|\()(?<!log2)", "*"),
]


def evaluate(side: str) -> float | None:
    """The value of one side of a TeX formula, or None if it holds more than numbers."""
    for tex, python in PYTHON:
        side = re.sub(tex, python, side)
    side = side.strip(" .,;:")
    if not re.fullmatch(r"(?:[\d\s.+\-*/()]|pi|sqrt|log2?|\be\b)*", side) or not side:
        return None
    try:
        return float(eval(side, {"__builtins__": {}}, dict(vars(math))))
    except (SyntaxError, TypeError, ValueError, ArithmeticError):
        return None


def sides(formula: str) -> list[tuple[int, int, str]]:
    cuts = [(r.start(), r.end()) for r in RELATION.finditer(formula)]
    starts, ends = [0, *(end for _, end in cuts)], [*(start for start, _ in cuts), len(formula)]
    return [(a, b, formula[a:b]) for a, b in zip(starts, ends, strict=True)]


def role(formula: str, number: Number) -> str | None:
    """A side that is one number is *computed* if another side gives it, else it has to be shown.

    Whole numbers among others and fractions of them, as in $2/n$ and $1/500$, are constants.
    """
    (mine,) = [side for side in sides(formula) if side[0] <= number.start < side[1]]
    alone = re.fullmatch(r"[\s,.;{]*[-+]?" + re.escape(number.text) + r"[\s,.;}\\!]*", mine[2])
    values = [evaluate(text) for _, _, text in sides(formula) if text != mine[2]]
    if alone and any(value and number.rounds(abs(value)) for value in values):
        return "computed"
    return (
        "constant" if re.fullmatch(r"\d+/\d+" if alone else r"\d+(?:/\d+)?", number.text) else None
    )


# ------------------------------------------------------------------ what cells show


@dataclass(frozen=True)
class Shown:
    """The numbers of cells: what they print, and the literals of their code."""

    printed: tuple[float, ...]
    settings: tuple[float, ...]

    def how(self, number: Number) -> str | None:
        if any(map(number.rounds, self.printed)):
            return "printed"
        return "set" if any(map(number.equals, self.settings)) else None


ARITHMETIC = re.compile(r"[\d.e+\-*/() ]+")


def literals(code: str) -> Iterator[float]:
    """Numbers that stand in code, and what operations on nothing but numbers make of them."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
            yield abs(float(node.value))
        elif isinstance(node, ast.BinOp) and ARITHMETIC.fullmatch(term := ast.unparse(node)):
            yield abs(float(eval(term, {"__builtins__": {}}, {})))


def printed(cell: dict[str, Any]) -> Iterator[float]:
    """Numbers that a cell prints; the words of its figure are typed, so they are prose."""
    for output in cell["outputs"]:
        data = output.get("data", {})
        if "image/png" not in data:
            text = "".join(output.get("text", data.get("text/plain", "")))
            for number in numbers(text.replace("_", " ")):  # layer_14 says 14
                yield number.value / 100 if number.percent else number.value


@functools.cache
def cells(notebook: Path) -> tuple[dict[str, Any], ...]:
    return tuple(json.loads(notebook.read_text(encoding="utf-8"))["cells"])


@functools.cache
def by_cell(notebook: Path) -> tuple[Shown, ...]:
    return tuple(
        Shown(tuple(printed(cell)), tuple(literals("".join(cell["source"]))))
        if cell["cell_type"] == "code"
        else Shown((), ())
        for cell in cells(notebook)
    )


@functools.cache
def shown(notebook: Path, before: int | None = None) -> Shown:
    """What the cells before this one show, each value once."""
    of_cells = by_cell(notebook)[:before]
    prints = {value for cell in of_cells for value in cell.printed}
    return Shown(tuple(prints), tuple({value for cell in of_cells for value in cell.settings}))


# ------------------------------------------------------------------ what a reader reads


@dataclass(frozen=True)
class Paragraph:
    text: str
    heading: str = ""  # the section's
    end: int | None = None  # the cell at which the section ends; None where all cells count
    exercise: str = ""  # what a question or an exercise has said so far: its data are its own
    quotation: bool = False


FENCE = re.compile(r"^ *(`{3,}|~{3,}).*?^ *\1[`~]*$", re.M | re.S)
MADE = re.compile(r"<!-- (\w+) -->.*?<!-- end -->", re.S)  # made from a stored measurement
TAG = re.compile(r"<[^>]*?\balt=\"([^\"]*)\"[^>]*>|<(?:[/a-z][^>]*|!--.*?--)>", re.S)
PART = re.compile(r"\n>?[ \t]*\n|\n(?=>? *(?:[-*]|\d+\.) |\||#)")
# Where a chapter opens, sums up, asks and sets exercises, all of its cells count.
WHOLE = re.compile(r"|What we saw|Check yourself|Exercises|Sources")


@functools.cache
def made(page: Path) -> Shown:
    """The numbers that a tool wrote into the page, and that the tests of the tool compare."""
    parts = (part.group() for part in MADE.finditer(page.read_text(encoding="utf-8")))
    return Shown(tuple(number.value for part in parts for number in numbers(part)), ())


def paragraphs(text: str) -> Iterator[Paragraph]:
    """Paragraphs, list items, headings and rows of tables."""
    text = FENCE.sub("", MADE.sub("", text))
    text = TAG.sub(lambda tag: f"\n\n{tag[1]}\n\n" if tag[1] else " ", text)
    for block in re.split(r"\n[ \t]*\n", text):
        quotation = block.startswith(">") and not block.lstrip("> ").startswith("**")
        for part in PART.split(block):
            part = re.sub(r"^ *> ?", "", part, flags=re.M).strip()
            if part:
                yield Paragraph(part, quotation=quotation)


def read(path: Path) -> list[Paragraph]:
    """What a page or a chapter says, with the words of its figures."""
    if path.suffix == ".md":
        told = [(0, p) for p in paragraphs(path.read_text(encoding="utf-8"))]
    else:
        told = [(i, p) for i, cell in enumerate(cells(path)) for p in _said(cell)]
    found: list[Paragraph] = []
    heading, exercise, stated, end = "", "", False, None
    for i, paragraph in reversed(told):  # so that a section's end is known before its start
        found.append(replace(paragraph, end=end))
        if paragraph.text.startswith("## "):
            end = i
    for k, paragraph in enumerate(reversed(found)):
        if paragraph.text.startswith("#"):
            level, _, title = paragraph.text.partition(" ")
            heading = title if len(level) == 2 else heading
            stated = bool(re.match("Exercise|Question", title))
            exercise = exercise if re.match("Solution|Answer", title) else ""
        exercise += f" {paragraph.text}" * stated
        end = None if WHOLE.fullmatch(heading) else paragraph.end
        found[-1 - k] = replace(paragraph, heading=heading, exercise=exercise, end=end)
    return found[::-1]


def _said(cell: dict[str, Any]) -> Iterator[Paragraph]:
    if cell["cell_type"] == "markdown":
        yield from paragraphs("".join(cell["source"]))
    figure = cell["metadata"].get("mystnb", {})
    for words in (figure.get("image", {}).get("alt"), figure.get("figure", {}).get("caption")):
        if words:
            yield Paragraph(words)


# ------------------------------------------------------------------ where a number comes from

LIST = r"\d+(?:\.\d+)*(?:(?:, (?:and )?| and | to | or |–)\d+(?:\.\d+)*)*"
PLACES = "chapter|section|figure|exercise|question|equation|slide|page|table|point"
REFERENCE = re.compile(
    rf"\b(?:(?:{PLACES})s?|version)\s+{LIST}|^\d+\. |\[{LIST}\](?=\()"
    r"|\[[^\]]*\]\(https?://[^)]*\)",
    re.IGNORECASE | re.MULTILINE,
)
CITATION = re.compile(r"\]\(https?://|\{cite:[pt]\}")
TARGET = re.compile(r"(?<=\])\([^)\s]*\)|\{[\w:]+\}`[^`]*`")
FORMULA = re.compile(r"\$\$(.+?)\$\$|(?<!\$)\$([^$]+)\$", re.S)
SENTENCE = re.compile(r"(?:(?<=[.?!:;])|(?<=[.?!][)*]))\s+(?=[A-Z$*`\[(])")


@dataclass(frozen=True)
class Found:
    """A number of the prose, with the words around it."""

    number: Number
    words: str
    kind: str


def named(text: str) -> Iterator[Path]:
    """Chapters that a text names or links."""
    found = re.findall(r"\((?:\.\./notebooks/)?(\d\d)_\w+\.ipynb", text)
    for names in re.findall(rf"\bchapters?\s+({LIST})", text, re.IGNORECASE):
        found += [f"{int(n):02d}" for n in re.findall(r"(?<![\d.])\d+", names)]
    return (chapter for chapter in CHAPTERS if chapter.name[:2] in found)


def cited(text: str) -> list[range]:
    """The places of sentences with a citation."""
    starts = [0, *(gap.end() for gap in SENTENCE.finditer(text)), len(text)]
    places = [range(a, b) for a, b in itertools.pairwise(starts)]
    return [place for place in places if CITATION.search(text[place.start : place.stop])]


def blank(pattern: re.Pattern[str], text: str) -> str:
    return pattern.sub(lambda match: " " * len(match.group()), text)


def sources(path: Path, paragraph: Paragraph) -> list[Shown]:
    """The cells that a number of this paragraph may come from."""
    text = f"{paragraph.text} {paragraph.heading}"
    end = None if "](#" in text else paragraph.end  # it tells the reader where else to look
    own = shown(path, end) if path.suffix == ".ipynb" else made(path)
    return [own, *(shown(other) for other in named(text) if other != path)]


def readings(text: str) -> Iterator[tuple[Number, str | None]]:
    """The numbers of a text, each with its role in a formula or as a reference."""
    for match in REFERENCE.finditer(text):
        for number in numbers(match.group()):
            yield replace(number, start=number.start + match.start()), "reference"
    text = blank(TARGET, blank(REFERENCE, text))
    for match in FORMULA.finditer(text):
        formula, start = match[1] or match[2], match.start(1 if match[1] else 2)
        for number in numbers(formula):
            yield replace(number, start=number.start + start), role(formula, number)
    for number in numbers(blank(FORMULA, text)):
        yield number, None


def classify(path: Path, paragraph: Paragraph) -> Iterator[Found]:
    text, cells_shown = paragraph.text, sources(path, paragraph)
    with_citation = cited(text)

    def kind(number: Number, its_role: str | None) -> str:
        if its_role in ("reference", "computed"):
            return its_role
        if path.name in ASSERTED and text.startswith("|"):
            return "asserted"
        if how := next(filter(None, (source.how(number) for source in cells_shown)), None):
            return how
        if paragraph.quotation or any(number.start in place for place in with_citation):
            return "quoted" if paragraph.quotation else "cited"
        stated = any(number.value == said.value for said in numbers(paragraph.exercise))
        return its_role or ("exercise" if stated else "open")

    for number, its_role in readings(text):
        start, end = max(0, number.start - 40), number.start + len(number.text) + 25
        yield Found(number, " ".join(text[start:end].split()), kind(number, its_role))


@functools.cache
def report(path: Path) -> list[Found]:
    """All numbers of a page but 0 and 1: in so many cells to find one says nothing."""
    found = (one for paragraph in read(path) for one in classify(path, paragraph))
    return [one for one in found if one.number.value not in (0, 1)]
