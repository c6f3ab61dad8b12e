"""The one habit of winit's docstrings that napoleon does not know: a last line "Source: ..."."""

from __future__ import annotations

from typing import Any

from sphinx.application import Sphinx
from sphinx.util.typing import ExtensionMetadata

BEFORE_NAPOLEON = 400


def source_as_section(
    app: Sphinx, what: str, name: str, obj: object, options: Any, lines: list[str]
) -> None:
    """Make the line a section of its own: else it would read as one more error under Raises."""
    for i, line in enumerate(lines):
        if line.startswith("Source: "):
            lines[i : i + 1] = ["", "Source", "------", line.removeprefix("Source: ")]
            return


def setup(app: Sphinx) -> ExtensionMetadata:
    app.setup_extension("sphinx.ext.napoleon")
    app.config.napoleon_custom_sections = ["Source"]
    app.connect("autodoc-process-docstring", source_as_section, priority=BEFORE_NAPOLEON)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
