"""Folded parts of a page, as HTML's own details: they open by keyboard and without any script."""

from __future__ import annotations

from docutils import nodes
from myst_nb.sphinx_ext import HideCodeCellNode
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.typing import ExtensionMetadata
from sphinx.writers.html5 import HTML5Translator
from sphinx_design.shared import is_component


class details(nodes.General, nodes.Element):
    """A box that opens when its summary is pressed."""


class summary(nodes.General, nodes.TextElement):
    """The line of a box that is always seen."""


def _fold(box: nodes.Element, classes: list[str]) -> None:
    title, *content = box.children
    for link in list(title.findall(nodes.reference)):
        link.replace_self(link.children)  # a summary is pressed to open, not to leave
    fold = details("", ids=box["ids"], classes=classes)
    fold += summary("", "", *title.children)
    fold += content
    box.replace_self(fold)


class FoldDropdowns(SphinxPostTransform):
    """Fold every box of class `dropdown` (a solution, an admonition) and sphinx-design's dropdown.

    The first would need a script, the second half of a style sheet for icons and cards.
    """

    default_priority = 100  # between sphinx-exercise, which writes the titles, and sphinx-design
    formats = ("html",)

    def run(self, **keywords: object) -> None:
        for box in list(self.document.findall(nodes.Admonition)):
            assert isinstance(box, nodes.Element)
            if "dropdown" in box["classes"]:
                classes = [name for name in box["classes"] if name != "dropdown"]
                _fold(box, ["admonition", *classes])
        for box in list(self.document.findall(lambda node: is_component(node, "dropdown"))):
            classes = [name for name in box["container_classes"] if not name.startswith("sd-")]
            _fold(box, ["fold", *classes])


def visit_details(self: HTML5Translator, node: details) -> None:
    self.body.append(self.starttag(node, "details"))


def depart_details(self: HTML5Translator, node: details) -> None:
    self.body.append("</details>\n")


def visit_summary(self: HTML5Translator, node: summary) -> None:
    self.body.append(self.starttag(node, "summary", ""))


def depart_summary(self: HTML5Translator, node: summary) -> None:
    self.body.append("</summary>\n")


def visit_hidden_cell(self: HTML5Translator, node: HideCodeCellNode) -> None:
    # myst-nb's own summary has a label for screen readers that differs from the text on screen.
    self.body.append(f"<details class='code'><summary>{node['prompt_show']}</summary>\n")


def setup(app: Sphinx) -> ExtensionMetadata:
    app.add_node(details, html=(visit_details, depart_details))
    app.add_node(summary, html=(visit_summary, depart_summary))
    app.add_node(HideCodeCellNode, override=True, html=(visit_hidden_cell, depart_details))
    app.add_post_transform(FoldDropdowns)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
