"""The bibliography: a plain list whose entries name the chapters that cite them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.typing import ExtensionMetadata
from sphinxcontrib.bibtex.domain import BibtexDomain


class ListSources(SphinxPostTransform):
    """Turn docutils' citations into list items.

    Their numbers go, since the text cites by author and year, and so does their role for screen
    readers, which is out of use.
    """

    default_priority = 100  # once sphinxcontrib-bibtex has written the citations
    formats = ("html",)

    def run(self, **keywords: object) -> None:
        for citation in list(self.document.findall(nodes.citation)):
            _, *text = citation.children
            item = nodes.list_item("", *text, ids=citation["ids"])
            item += self._chapters_citing(citation["ids"][0])
            place = citation.parent.index(citation)
            before = citation.parent[place - 1] if place else None
            if isinstance(before, nodes.bullet_list) and "sources" in before["classes"]:
                before += item
                citation.parent.remove(citation)
            else:
                # Not by replace_self, which would give the list the citation's id as well.
                citation.parent[place] = nodes.bullet_list("", item, classes=["sources"])

    def _chapters_citing(self, identifier: str) -> list[nodes.Node]:
        cite = cast(BibtexDomain, self.env.get_domain("cite"))
        keys = {entry.key for entry in cite.citations if entry.citation_id == identifier}
        names = {
            reference.docname
            for reference in cite.citation_refs
            if keys & {target.key for target in reference.targets}
        }
        numbers = {name: self.env.toc_secnumbers.get(name, {}).get("") for name in names}
        numbered = sorted((number, name) for name, number in numbers.items() if number)
        if not numbered:
            return []
        line = nodes.paragraph("", "Cited in chapter ", classes=["cited-in"])
        for place, (number, name) in enumerate(numbered):
            if place:
                line += nodes.Text(", ")
            address = self.app.builder.get_relative_uri(self.env.docname, name)
            line += nodes.reference("", str(number[0]), refuri=address, internal=True)
        return [line]


def outdated(app: Sphinx, env: BuildEnvironment) -> Iterable[str]:
    """Pages with a bibliography are written at each build: any chapter may cite anew."""
    return {key.docname for key in cast(BibtexDomain, env.get_domain("cite")).bibliographies}


def setup(app: Sphinx) -> ExtensionMetadata:
    app.setup_extension("sphinxcontrib.bibtex")
    app.add_post_transform(ListSources)
    app.connect("env-updated", outdated)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
