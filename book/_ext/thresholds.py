"""Thresholds of the audit on a page: {threshold}`BOUND` writes the value that `winit.judge` has."""

from __future__ import annotations

import math
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxRole
from sphinx.util.typing import ExtensionMetadata

from winit import judge

RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def value(name: str) -> float:
    """A named number of `winit.judge`.

    Raises
    ------
    ValueError
        No number has this name there.
    """
    found = getattr(judge, name, None)
    if not name.isupper() or not isinstance(found, (int, float)):
        raise ValueError(f"winit.judge has no threshold {name!r}")
    return float(found)


def words(number: float) -> str:
    """A number as a reader takes it in: 10,000, 0.75, 2⁻¹⁶, 0.0001, 10⁻⁸."""
    for base, least in ((2, -4), (10, -5)):
        power = math.log(number, base)
        if power < least and math.isclose(power, round(power)):
            return f"{base}{str(round(power)).translate(RAISED)}"
    return f"{number:,.0f}" if number >= 10 else f"{number:.3g}"


class Threshold(SphinxRole):
    """The value of a threshold; a name that the judge does not have is a warning."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        try:
            return [nodes.Text(words(value(self.text)))], []
        except ValueError as error:
            message: Any = self.inliner.reporter.error(str(error), line=self.lineno)
            return [nodes.problematic(self.rawtext, self.rawtext)], [message]


def setup(app: Sphinx) -> ExtensionMetadata:
    app.add_role("threshold", Threshold())
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
