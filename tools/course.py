"""Notebooks for a course, from the chapters: `make course` writes them into _build/course.

For students: no solutions, a place to answer in, and no outputs. For teachers: everything. Each is
a folder and a zip of it, with the wheel of `winit` inside, so that it runs without the repository.
"""

from __future__ import annotations

import copy
import re
import shutil
import sys
import tempfile
from pathlib import Path

import nbformat
import yaml
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell

from notebooks import FOLDED, NOTEBOOKS, ROOT, beside
from package import build

COURSE = ROOT / "_build" / "course"
SLIDER = re.compile(r'<div class="lab-slider".*?</div>\n</div>\n*', re.DOTALL)
README = """# Before the first step: {kind}

    python -m venv .venv
    .venv/bin/pip install "./{wheel}[keras]" jupyterlab jupyterlab-myst scikit-learn
    KERAS_BACKEND=jax .venv/bin/jupyter lab notebooks

On Windows the programs are in `.venv\\Scripts`. `jupyterlab-myst` shows formulas and links better;
the notebooks can be read and run without it.
"""


def for_students(notebook: NotebookNode) -> NotebookNode:
    """The notebook without solutions and outputs, and with a place for each answer."""
    result = copy.deepcopy(notebook)
    result.cells = []
    inside = False
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and cell.source.strip() in FOLDED:
            inside = True
            result.cells.append(new_markdown_cell("#### Your answer", id=cell.id))
        elif cell.cell_type == "markdown" and re.match(r"#{1,4} ", cell.source):
            inside = False
        if inside:
            if cell.cell_type == "code":
                result.cells.append(new_code_cell(id=cell.id))
        elif cell.cell_type == "code":
            result.cells.append(new_code_cell(cell.source, id=cell.id, metadata=cell.metadata))
        else:
            result.cells.append(copy.deepcopy(cell))
    return result


def without_book(notebook: NotebookNode, address: str) -> NotebookNode:
    """The notebook with its links into the book's pages leading to the published book, or gone.

    A slider is gone too: it moves on the book's pages alone.
    """

    def link(found: re.Match[str]) -> str:
        text, page, anchor = found.groups("")
        return f"[{text}]({address}book/{page}.html{anchor})" if address else text

    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            pattern = r"\[([^][]*)\]\(\.\./book/(\w+)\.md(#[^\s()]*)?(?: \"[^\"]*\")?\)"
            cell.source = re.sub(pattern, link, SLIDER.sub("", cell.source))
    return notebook


def write(folder: Path, kind: str, wheel: Path) -> Path:
    """One of the two folders, and its zip, whose path is returned."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "notebooks").mkdir(parents=True)
    configuration = yaml.safe_load((ROOT / "_config.yml").read_text("utf-8"))
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        if kind == "students":
            notebook = for_students(notebook)
        notebook = without_book(notebook, configuration["html"]["baseurl"])
        nbformat.write(notebook, folder / "notebooks" / path.name)
    for path in beside(NOTEBOOKS):
        shutil.copy(path, folder / "notebooks")
    shutil.copy(wheel, folder)
    (folder / "README.md").write_text(README.format(kind=kind, wheel=wheel.name), "utf-8")
    shutil.copy(ROOT / "LICENSE", folder)
    return Path(shutil.make_archive(str(folder), "zip", folder.parent, folder.name))


def main() -> int:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        _, wheel = build(Path(name))
        for kind in ("students", "teachers"):
            made = write(COURSE / f"winit-{kind}", kind, wheel)
            print(f"{made.relative_to(ROOT)}: {made.stat().st_size / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
