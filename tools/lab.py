"""JupyterLab's configuration under `make lab`: kernels that do not wait, files that stay tidy."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import nbformat

sys.path.insert(0, str(Path(__file__).parent))
from notebooks import tidy

# Threads of OpenBLAS gain nothing in these chapters, and where another notebook keeps a core busy
# they wait for one another: chapter 12 takes ten times as long. Kernels inherit what is set here.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def tidy_before_saving(model: dict[str, Any], **_: Any) -> None:
    """Take out of a notebook what depends on the machine, the editor or what is open in it."""
    if model["type"] == "notebook":
        notebook = nbformat.from_dict(model["content"])
        tidy(notebook)
        model["content"] = notebook


c = get_config()  # type: ignore[name-defined] # noqa: F821
c.FileContentsManager.pre_save_hook = tidy_before_saving
