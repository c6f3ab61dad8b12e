"""What a page documents, listed by module: {names} stands where the list is to be."""

from __future__ import annotations

from typing import cast

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.domains.python import PythonDomain
from sphinx.util.docutils import SphinxDirective
from sphinx.util.typing import ExtensionMetadata

PLACE = "names-of-the-page"
LISTED = ("function", "class", "exception", "data")  # a method stands with its class


class Names(SphinxDirective):
    """Every function and class of the page, each a link to its place."""

    def run(self) -> list[nodes.Node]:
        return [nodes.container("", classes=[PLACE])]  # to be filled once the page has been read


def list_names(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    objects = cast(PythonDomain, app.env.get_domain("py")).objects
    here = {name: entry for name, entry in objects.items() if entry.docname == docname}
    modules = [name for name, entry in here.items() if entry.objtype == "module"]
    for place in list(doctree.findall(nodes.container)):
        if PLACE not in place["classes"]:
            continue
        rows = nodes.definition_list(classes=["names"])
        for module in modules:
            row = nodes.paragraph()
            for name, entry in here.items():
                home, _, short = name.rpartition(".")
                if home == module and entry.objtype in LISTED and not entry.aliased:
                    row += _link(short, entry.node_id)
                    row += nodes.Text(" ")
            term = nodes.term("", "", _link(module, here[module].node_id))
            rows += nodes.definition_list_item("", term, nodes.definition("", row))
        place.replace_self(rows)


def _link(text: str, anchor: str) -> nodes.reference:
    return nodes.reference("", "", nodes.literal("", text), refid=anchor, internal=True)


def setup(app: Sphinx) -> ExtensionMetadata:
    app.add_directive("names", Names)
    app.connect("doctree-resolved", list_names)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
