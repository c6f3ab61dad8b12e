"""The lab: its scripts beside the page, its engine as one script, and links to its settings.

No script may be loaded into a worker from a disk, so the engine, what answers in the worker, and
the kernels (WebAssembly, from their text) become one script, from which a page makes a worker.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.typing import ExtensionMetadata

import kernels

PAGE = "book/lab"
BOOK = Path(__file__).parents[1]
SOURCES = BOOK / "lab"
COPIED = ("common.js", "lab.js", "sliders.js", "lab.css")
CORE = "core.js"
AFTER_DROP_UNUSED = 950
BEFORE_MYST = 5
TEMPLATE = """\
// The engine and what answers in its worker, put together while the book was built.
"use strict";
globalThis.labCore = {{
  kernels: {kernels},
  engine: function () {{
{engine}
return Engine;
  }},
  worker: function () {{
{worker}
  }},
}};
globalThis.Engine = labCore.engine();
"""


def core() -> str:
    """The script from which a page makes its worker."""
    engine, worker = ((SOURCES / name).read_text("utf-8") for name in ("engine.js", "worker.js"))
    line = json.dumps(kernels.line())
    return TEMPLATE.format(kernels=line, engine=engine.rstrip(), worker=worker.rstrip())


def write_scripts(app: Sphinx, exception: Exception | None) -> None:
    if exception or app.builder.format != "html":
        return
    folder = Path(app.outdir) / "_static" / "lab"
    folder.mkdir(parents=True, exist_ok=True)
    for name in COPIED:
        shutil.copy(SOURCES / name, folder)
    (folder / CORE).write_text(core(), "utf-8")


class LinkToSetting(SphinxPostTransform):
    """A link to `lab.md#depth=50` leads to the lab's page with that setting in its address.

    What follows the # is no heading of the page, for which MyST would look.
    """

    default_priority = BEFORE_MYST
    formats = ("html",)

    def run(self, **keywords: Any) -> None:
        for link in list(self.document.findall(addnodes.pending_xref)):
            setting = str(link.get("reftargetid") or "")
            if link.get("reftarget") != PAGE or "=" not in setting:
                continue
            page = self.app.builder.get_relative_uri(self.env.docname, PAGE)
            link.replace_self(
                nodes.reference("", "", *link.children, refuri=f"{page}#{setting}", internal=True)
            )


def setup(app: Sphinx) -> ExtensionMetadata:
    app.add_post_transform(LinkToSetting)
    app.connect("build-finished", write_scripts, priority=AFTER_DROP_UNUSED)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
