"""What a notebook says in plain Markdown, readable in every viewer, in the form of the book.

A quotation that opens with **Note.** stands in the margin, one that opens with other bold words is
a box. What stands under a heading "Solution" or "Answer" is folded. A link to the address of a
source in the bibliography, with author and year as its text, is a citation, and a link to the
glossary leads to the term that is its text, or its title.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from docutils import nodes
from pybtex.database import Entry, parse_file
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.typing import ExtensionMetadata

from folds import details, summary

SOURCES = Path(__file__).parents[1] / "references.bib"
FOLDED = {"Solution": "solution", "Answer": "answer"}
BOXED = {"Exercise": "exercise", "Question": "quiz"}
NOTE = "Note."
# The text of a citation ends with the year: "Glorot & Bengio (2010)" or "(Poole et al., 2016)".
CITATION = re.compile(r"\[(\(?)([^][]*?\d{4}\)?)\]\((http[^()\s]+)\)")

TERM = re.compile(r"\[([^][]+)\]\(\.\./book/glossary\.md(?: \\?\"([^\"\\]+)\\?\")?\)")


def address(source: Entry) -> str:
    """Where a source can be read."""
    fields = source.fields
    if "url" in fields:
        return str(fields["url"])
    if "doi" in fields:
        return f"https://doi.org/{fields['doi']}"
    return f"https://arxiv.org/abs/{fields['eprint']}" if "eprint" in fields else ""


def label(source: Entry) -> tuple[str, str]:
    """Authors and year, as a citation names them."""
    names = [" ".join(person.last_names) for person in source.persons["author"]]
    names = [re.sub(r"[{}]", "", name) for name in names]
    who = names[0] + (" et al." if names[2:] else f" & {names[1]}" if names[1:] else "")
    return who, source.fields["year"]


@cache
def sources() -> dict[str, str]:
    """The key of each source by its address."""
    entries = parse_file(str(SOURCES)).entries
    return {place: key for key, entry in entries.items() if (place := address(entry))}


def cite(text: str) -> str:
    """The text with each link to a source made a citation."""

    def role(link: re.Match[str]) -> str:
        parenthesis, _, place = link.groups()
        key = sources().get(place)
        return f"{{cite:{'p' if parenthesis else 't'}}}`{key}`" if key else link[0]

    return CITATION.sub(role, text)


def define(text: str) -> str:
    """The text with each link to the glossary leading to its term."""
    return TERM.sub(lambda link: f"{{term}}`{link[1]} <{link[2] or link[1]}>`", text)


def read(app: Sphinx, docname: str, source: list[str]) -> None:
    if docname.startswith("notebooks/"):
        source[0] = define(cite(source[0]))


def _sections(document: nodes.document) -> Iterator[tuple[str, nodes.section]]:
    """Each section with the first word of its title."""
    for section in list(document.findall(nodes.section)):
        first, *_ = section[0].astext().split() or [""]
        yield first, section


class GiveForm(SphinxPostTransform):
    default_priority = 90  # before what is folded already
    formats = ("html",)

    def run(self, **keywords: object) -> None:
        for word, section in _sections(self.document):
            if word in BOXED:
                section["classes"] += ["task", BOXED[word]]
            elif word in FOLDED:
                title, *content = section.children
                fold = details("", ids=section["ids"], classes=["fold", FOLDED[word]])
                fold += summary("", "", *title.children)
                fold += content
                section.replace_self(fold)
        for quotation in list(self.document.findall(nodes.block_quote)):
            self._box(quotation)

    def _box(self, quotation: nodes.block_quote) -> None:
        first = quotation[0]
        lead = next((child for child in first.children if child.astext()), None)
        if not (isinstance(first, nodes.paragraph) and isinstance(lead, nodes.strong)):
            return
        if lead.astext() == NOTE:
            first.remove(lead)
            note = nodes.sidebar("", *quotation.children, classes=["margin"])
            quotation.replace_self(note)
        else:
            box = nodes.container("", *quotation.children, classes=["admonition", "box"])
            quotation.replace_self(box)


def setup(app: Sphinx) -> ExtensionMetadata:
    app.connect("source-read", read)
    app.add_post_transform(GiveForm)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
