"""Two habits of winit's docstrings that napoleon does not know.

A last line "Source: ..." is a section. A formula stands in backticks as it reads in a terminal,
`√(2 / fan_in)`, and is TeX on the page.
"""

from __future__ import annotations

import re
from typing import Any

from sphinx.application import Sphinx
from sphinx.util.typing import ExtensionMetadata

BEFORE_NAPOLEON = 400

# In backticks, what holds a sign is a formula, anything else a name; a role or ``code`` is neither.
MARKED = re.compile(r"(:\w+:)?(`+)(.+?)\2")
SIGN = re.compile(r"[√±²³·~∈≤≥=]| / ")
TEX = {
    "±": r"\pm ",
    "²": "^2",
    "³": "^3",
    "·": r"\cdot ",
    "~": r"\sim ",
    "∈": r"\in ",
    "≤": r"\le ",
    "≥": r"\ge ",
}
WORD = re.compile(r"[A-Za-z]+(?:_[A-Za-z]+)*")
# A space between two factors is all that multiplies them, and TeX would drop it. Where the text
# begins or ends with one, a root stands next to it.
PRODUCT = re.compile(r"(?:^|(?<=[\w)²³])) (?=[\w(]|$)")


def _word(match: re.Match[str]) -> str:
    """A letter is a symbol, which may have an index; a longer word stands upright."""
    symbol, _, index = match[0].partition("_")
    if len(symbol) > 1:
        return rf"\text{{{match[0]}}}".replace("_", r"\_")
    upright = rf"\text{{{index}}}" if len(index) > 1 else index
    return f"{symbol}_{upright}" if index else symbol


def _radicand(text: str) -> tuple[str, str]:
    """What stands under a root, and what follows: a number, or all within the bracket."""
    if not text.startswith("("):
        number = re.match("[0-9]+|", text)
        return text[: number.end()], text[number.end() :]  # type: ignore[union-attr]
    depth = 0
    for i, character in enumerate(text):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if not depth:
            return text[1:i], text[i + 1 :]
    raise ValueError(f"a bracket stays open in {text!r}")


def tex(formula: str) -> str:
    """A formula as it is typed, such as "√(2 / ((1 + a²) fan_in))", in TeX."""
    before, root, after = formula.partition("√")
    if root:
        radicand, after = _radicand(after)
        return tex(before) + rf"\sqrt{{{tex(radicand)}}}" + tex(after)
    text = WORD.sub(_word, PRODUCT.sub(r"\\,", formula))
    return "".join(TEX.get(character, character) for character in text)


def _formula(match: re.Match[str]) -> str:
    role, ticks, text = match.groups()
    return f":math:`{tex(text)}`" if not role and ticks == "`" and SIGN.search(text) else match[0]


def rewrite(app: Sphinx, what: str, name: str, obj: object, options: Any, lines: list[str]) -> None:
    """Make formulas TeX, and the source a section: else it would read as an error under Raises."""
    lines[:] = [MARKED.sub(_formula, line) for line in lines]
    for i, line in enumerate(lines):
        if line.startswith("Source: "):
            lines[i : i + 1] = ["", "Source", "------", line.removeprefix("Source: ")]
            return


def setup(app: Sphinx) -> ExtensionMetadata:
    app.setup_extension("sphinx.ext.napoleon")
    app.config.napoleon_custom_sections = ["Source"]
    app.connect("autodoc-process-docstring", rewrite, priority=BEFORE_NAPOLEON)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
