"""The book's search: every section of every page, in one script that a page can load from a disk.

Sphinx's own index knows pages, not places, and its script fetches them, which file:// does not
allow. What a section is called beyond its heading, and how much it counts, stands in search.yml.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.builders.html import StandaloneHTMLBuilder
from sphinx.util import logging
from sphinx.util.typing import ExtensionMetadata

from facts import known_pages, read_parts
from folds import summary

BOOK = Path(__file__).parents[1]
TABLE = BOOK / "search.yml"
MINISEARCH = BOOK / "node_modules" / "minisearch"
INDEX = "searchindex.js"
PAGE = "search.html"
AFTER_DROP_UNUSED = 950
# What is seen and not read, is read by the build alone, or is the small print of a docstring.
SILENT = (nodes.comment, nodes.raw, nodes.image, nodes.target, nodes.field_list)
TITLES = (nodes.title, addnodes.desc_signature, summary)

# Formulas: the commands that are a sign, and the functions that keep their name. All others set
# the type.
SIGNS = {
    "alpha": "α",
    "approx": "≈",
    "beta": "β",
    "cdot": "·",
    "cdots": "…",
    "chi": "χ",
    "delta": "δ",
    "Delta": "Δ",
    "dots": "…",
    "epsilon": "ε",
    "eta": "η",
    "gamma": "γ",
    "ge": "≥",
    "in": "∈",
    "infty": "∞",
    "lambda": "λ",
    "le": "≤",
    "mu": "μ",
    "ne": "≠",
    "partial": "∂",
    "phi": "φ",
    "pi": "π",
    "pm": "±",
    "prod": "Π",
    "sigma": "σ",
    "sim": "~",
    "sum": "Σ",
    "times": "×",
    "to": "→",
    "varepsilon": "ε",
    "varphi": "φ",
    "xi": "ξ",
} | {name: name for name in ("cosh", "exp", "ln", "log", "max", "min", "tanh")}
RAISED = str.maketrans("0123456789-+n", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺ⁿ")
LAYOUT = re.compile(r"\\(?:begin|end)\{\w+\*?\}|\\\\(?:\[\w+\])?")
UPRIGHT = re.compile(r"\\(?:text|mathrm|operatorname|mathbf|mathbb)\*?\{([^{}]*)\}")
NAME = re.compile(r"[A-Za-z]\w{2,}")
GROUP = r"\{([^{}]*)\}"

logger = logging.getLogger(__name__)


@dataclass
class Place:
    """What a search can find: a heading with its address, and what stands under it."""

    title: str
    anchor: str
    weight: float
    text: list[str] = field(default_factory=list)
    code: list[str] = field(default_factory=list)
    keywords: str = ""


# --- What is read -------------------------------------------------------------------------------


def _fraction(match: re.Match[str]) -> str:
    above, below = (f"({part})" if re.search(r"[ +-]", part) else part for part in match.groups())
    return f"{above}/{below}"


def _once(text: str) -> str:
    """A formula with its innermost roots, fractions and exponents in plain signs."""
    text = re.sub(r"\^\{([-+0-9n]+)\}", lambda match: match[1].translate(RAISED), text)
    text = re.sub(r"\^([0-9n])", lambda match: match[1].translate(RAISED), text)
    text = re.sub(rf"\^{GROUP}", r"^(\1)", re.sub(rf"_{GROUP}", r"_\1", text))
    text = re.sub(rf"\\[td]?frac{GROUP}{GROUP}", _fraction, text)
    return re.sub(rf"\\sqrt{GROUP}", r"√(\1)", text)


def readable(tex: str) -> str:
    """A formula as one line that is read and searched: `√(2/fan_in)`."""
    text = LAYOUT.sub(" ", re.sub(r"\\sqrt *(\w)", r"√\1", tex))
    text = UPRIGHT.sub(r"\1", re.sub(r"\\[td]?frac(\d)(\d)", r"\1/\2", text))
    while (changed := _once(text)) != text:
        text = changed
    text = re.sub(r"\\([A-Za-z]+)", lambda match: SIGNS.get(match[1], ""), text.replace(r"\_", "_"))
    return " ".join(re.sub(r"\\.|[{}&]", " ", text).split())


def _words(node: nodes.Node) -> str:
    """The running text of a block, with its formulas."""
    if isinstance(node, nodes.Text):
        return str(node.astext())
    if isinstance(node, nodes.math | nodes.math_block):
        return readable(node.astext())
    if isinstance(node, SILENT):
        return ""
    gap = "" if isinstance(node, nodes.Inline | nodes.TextElement) else " "
    return gap.join(_words(child) for child in node.children)


class Reader:
    """Goes through a page, and deals what it meets to the page's places."""

    def __init__(self, title: str, kind: str, weights: dict[str, float]) -> None:
        self.weights = weights
        self.kind = kind
        self.places = [Place(title, "", weights.get(kind, 1))]

    def read(self, node: nodes.Node, place: Place) -> None:
        if isinstance(node, SILENT):
            return
        if isinstance(node, nodes.literal_block | nodes.doctest_block):
            place.code.append(node.astext())
        elif isinstance(node, nodes.container) and node.get("nb_element") == "cell_code_output":
            place.text += [_words(caption) for caption in node.findall(nodes.caption)]
        elif isinstance(node, nodes.row):
            place.text.append(" · ".join(_words(entry) for entry in node.children))
        elif isinstance(node, nodes.TextElement):
            place.text.append(_words(node))
        else:
            own = self._place_of(node) or place
            for child in node.children:
                if not isinstance(child, TITLES) and not (own is not place and child is node[0]):
                    self.read(child, own)

    def _place_of(self, node: nodes.Element) -> Place | None:
        """The place that begins with a node, if one does."""
        if isinstance(node, nodes.section) and not isinstance(node.parent, nodes.document):
            title, kind = _words(node[0]), "task" if "task" in node["classes"] else self.kind
            return self._begin(title, node["ids"], title if title in self.weights else kind)
        if isinstance(node, nodes.definition_list_item) and node[0]["ids"]:
            return self._begin(_words(node[0]), node[0]["ids"], self.kind)
        if isinstance(node, addnodes.desc) and node[0]["ids"]:
            name = str(node[0]["ids"][0])
            return self._begin(name.removeprefix("winit."), [name], self.kind)
        return None

    def _begin(self, title: str, anchors: list[str], kind: str) -> Place:
        place = Place(" ".join(title.split()), anchors[0], self.weights.get(kind, 1))
        self.places.append(place)
        return place


def note_places(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Keep what a page holds once all its references have found their text."""
    page = known_pages(app.env).get(docname)
    if page and app.builder.format == "html":
        reader = Reader(page.title, docname, read_table()["weights"])
        for node in doctree.children:
            reader.read(node, reader.places[0])
        noted(app)[docname] = reader.places


def noted(app: Sphinx) -> dict[str, list[Place]]:
    """The places of the pages that this build has gone through."""
    pages: dict[str, list[Place]] = app.__dict__.setdefault("book_places", {})
    return pages


# --- What is written ----------------------------------------------------------------------------


def read_table() -> dict[str, Any]:
    table: dict[str, Any] = yaml.safe_load(TABLE.read_text("utf-8"))
    return table


def give_keywords(places: dict[str, list[Place]], keywords: dict[str, dict[str, str]]) -> list[str]:
    """Put the author's words to their sections; the headings that no page has are returned."""
    lost = []
    for name, sections in keywords.items():
        for title, words in sections.items():
            found = [place for place in places.get(name, []) if place.title == title]
            if not found:
                lost.append(f"{name} has no heading {title!r}")
            for place in found:
                place.keywords = words
    return lost


def _line(parts: Iterable[str]) -> str:
    return " ".join(" ".join(parts).split())


def _names(code: list[str]) -> str:
    """The names in the code, each once: nobody searches for a line of it."""
    return " ".join(dict.fromkeys(NAME.findall(" ".join(code))))


def write_index(app: Sphinx, exception: Exception | None) -> None:
    """Write the index, and put MiniSearch beside it."""
    if exception or app.builder.format != "html":
        return
    parts = read_parts(app)
    pages = [known_pages(app.env)[app.config.root_doc], *(p for part in parts for p in part.pages)]
    places = noted(app)
    for page in pages:
        if page.name not in places:  # not written in this build, since nothing in it has changed
            app.env.get_and_resolve_doctree(page.name, app.builder)
    table = read_table()
    for complaint in give_keywords(places, table["keywords"]):
        logger.warning("%s: %s", TABLE.name, complaint)
    index = {
        "pages": [[page.name, page.number, page.title] for page in pages],
        "places": [
            [i, p.anchor, p.title, _line(p.text), _names(p.code), p.keywords, p.weight]
            for i, page in enumerate(pages)
            for p in places[page.name]
            if p.text or p.code
        ],
        "synonyms": table["synonyms"],
    }
    text = json.dumps(index, ensure_ascii=False, separators=(",", ":"))
    Path(app.outdir, INDEX).write_text(f"window.bookIndex = {text};\n", "utf-8")
    _copy_minisearch(Path(app.outdir) / "_static" / "minisearch")


def _copy_minisearch(folder: Path) -> None:
    """The package has its script only with all its documentation: half of the bytes."""
    script = (MINISEARCH / "dist" / "umd" / "index.js").read_text("utf-8")
    script = re.sub(r"^[ \t]*/\*\*.*?\*/\n", "", script, flags=re.M | re.S)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "minisearch.js").write_text(script.partition("//# sourceMappingURL")[0], "utf-8")
    shutil.copy(MINISEARCH / "LICENSE.txt", folder / "LICENSE")


def replace_sphinx(app: Sphinx) -> None:
    """Sphinx would write an index and four scripts; the page is the book's own in any case."""
    if isinstance(app.builder, StandaloneHTMLBuilder):
        app.builder.search = False
        app.config.html_additional_pages = app.config.html_additional_pages | {"search": PAGE}


def setup(app: Sphinx) -> ExtensionMetadata:
    app.connect("builder-inited", replace_sphinx)
    app.connect("doctree-resolved", note_places)
    app.connect("build-finished", write_index, priority=AFTER_DROP_UNUSED)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": False}
