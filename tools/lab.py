"""JupyterLab's configuration under `make lab`: a save leaves in a notebook only what was edited."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import nbformat

sys.path.insert(0, str(Path(__file__).parent))
from notebooks import tidy


def tidy_before_saving(model: dict[str, Any], **_: Any) -> None:
    """Take out of a notebook what depends on the machine, the editor or what is open in it."""
    if model["type"] == "notebook":
        notebook = nbformat.from_dict(model["content"])
        tidy(notebook)
        model["content"] = notebook


c = get_config()  # type: ignore[name-defined] # noqa: F821
c.FileContentsManager.pre_save_hook = tidy_before_saving
