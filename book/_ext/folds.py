"""Folded parts of a page, as HTML's own details: they open by keyboard and without any script."""

from __future__ import annotations

from docutils import nodes
from myst_nb.sphinx_ext import HideCodeCellNode
from sphinx.application import Sphinx
from sphinx.util.typing import ExtensionMetadata
from sphinx.writers.html5 import HTML5Translator


class details(nodes.General, nodes.Element):
    """A box that opens when its summary is pressed."""


class summary(nodes.General, nodes.TextElement):
    """The line of a box that is always seen."""


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
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
