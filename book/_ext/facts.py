"""What the book knows about its own pages: parts, reading time, prerequisites, description."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

from forms import BOXED, FOLDED

WORDS_A_MINUTE = 200
MINUTES_A_CELL = 0.25
DESCRIPTION_LENGTH = 160
# What begins the title of a section that is worked on or looked up, not read.
APART = {*FOLDED, *BOXED, "Sources"}
ROMAN = ("", "I", "II", "III", "IV", "V", "VI")


@dataclass
class Page:
    """One page, as its source tells it."""

    name: str
    title: str
    description: str  # its first paragraph; a chapter's is the question it answers
    minutes: int  # to read it; questions and exercises take as long as they take
    needs_pages: list[str]  # the pages that its line "You need" links to
    sections: list[tuple[str, str]]  # title and anchor
    number: str = ""  # the chapter's, from _toc.yml
    needs: list[str] = field(default_factory=list)  # the numbers of the chapters among them


@dataclass
class Part:
    """The pages under one caption of _toc.yml."""

    caption: str
    opener: str  # its promise, from _config.yml; reference pages have none
    number: str
    pages: list[Page] = field(default_factory=list)


def _is_read(node: nodes.Node) -> bool:
    """Whether it is read from top to bottom: not an exercise, nothing folded, nothing looked up."""
    in_table = False
    while node.parent is not None:
        node = node.parent
        in_table |= isinstance(node, nodes.table)
        if in_table and node.get("nb_element") == "cell_code_output":
            return False
        if isinstance(node, nodes.section) and node[0].astext().partition(" ")[0] in APART:
            return False
    return True


def _prose(doctree: nodes.document) -> Iterator[str]:
    """The text of a page without code, outputs, formulas and what is closed."""
    for text in doctree.findall(nodes.Text):
        apart = isinstance(text.parent, nodes.literal_block | nodes.math | nodes.math_block)
        if not apart and _is_read(text):
            yield text.astext()


def _as_text(paragraph: nodes.paragraph) -> str:
    """The paragraph where no formula can stand: roots as roots, other commands by their names."""
    plain = paragraph.deepcopy()
    for formula in list(plain.findall(nodes.math)):
        text = re.sub(r"\\sqrt\{(.*)\}", r"√(\1)", formula.astext())
        text = re.sub(r"\\(?:text|mathrm|operatorname)\{(.*?)\}", r"\1", text)
        formula.replace_self(nodes.Text(text.replace("\\", "")))
    return " ".join(plain.astext().split())


def _shorten(text: str) -> str:
    """As many of the first sentences as a search engine shows."""
    if len(text) <= DESCRIPTION_LENGTH:
        return text
    sentences = re.match(rf"(.{{40,{DESCRIPTION_LENGTH}}}[.?])\s", text)
    return sentences[1] if sentences else text[:DESCRIPTION_LENGTH].rsplit(" ", 1)[0] + " …"


def known_pages(env: BuildEnvironment) -> dict[str, Page]:
    """The pages read so far, kept from build to build in Sphinx's own store."""
    pages: dict[str, Page] = env.__dict__.setdefault("book_pages", {})
    return pages


def note_page(app: Sphinx, doctree: nodes.document) -> None:
    """Keep the facts of a page that has just been read."""
    name = app.env.docname
    words = sum(len(text.split()) for text in _prose(doctree))
    boxes = doctree.findall(nodes.container)
    cells = sum(
        box.get("nb_element") == "cell_code"
        and "tag_hide-input" not in box["classes"]
        and _is_read(box)
        for box in boxes
    )
    paragraphs = list(doctree.findall(nodes.paragraph))
    needs = next((p for p in paragraphs if "You need" in p.astext()), nodes.paragraph())
    top = next(iter(doctree.findall(nodes.section)), nodes.section())
    known_pages(app.env)[name] = Page(
        name=name,
        title=app.env.titles[name].astext(),
        description=_shorten(_as_text(paragraphs[0])) if paragraphs else "",
        minutes=math.ceil(words / WORDS_A_MINUTE + cells * MINUTES_A_CELL),
        needs_pages=[
            link["reftarget"]
            for link in needs.findall(addnodes.pending_xref)
            if link["refdomain"] == "doc"
        ],
        sections=[
            (section.children[0].astext(), section["ids"][0])
            for section in top.children
            if isinstance(section, nodes.section)
        ],
    )


def forget_page(app: Sphinx, env: BuildEnvironment, docname: str) -> None:
    known_pages(env).pop(docname, None)


def read_parts(app: Sphinx) -> list[Part]:
    """The book in order."""
    pages = known_pages(app.env)
    site_map = app.config.external_site_map
    parts: list[Part] = []
    for tree in site_map[site_map.root.docname].subtrees:
        opener = app.config.part_openers.get(tree.caption, "")
        parts.append(Part(tree.caption, opener, ROMAN[len(parts) + 1] if opener else ""))
        for name in tree.files():
            number = app.env.toc_secnumbers.get(name, {}).get("", ())
            pages[name].number = ".".join(map(str, number))
            parts[-1].pages.append(pages[name])
    for page in pages.values():
        numbers = {pages[name].number for name in page.needs_pages if name in pages}
        page.needs = sorted(numbers - {""}, key=int)
    return parts
