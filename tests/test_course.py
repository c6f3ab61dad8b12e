"""What `make course` writes: for students nothing that is solved, for teachers everything."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode

import course
from notebooks import FOLDED, NOTEBOOKS, kernel_environment

CHAPTERS = sorted(NOTEBOOKS.glob("*.ipynb"))
Made = dict[str, Path]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """The two folders, unpacked from their zips, far from the repository."""
    folder = tmp_path_factory.mktemp("course")
    _, wheel = course.build(folder)
    for kind in ("students", "teachers"):
        with zipfile.ZipFile(course.write(folder / kind, kind, wheel)) as archive:
            archive.extractall(folder / "unpacked")
    return {kind: folder / "unpacked" / kind for kind in ("students", "teachers")}


def read(folder: Path, chapter: Path) -> NotebookNode:
    return nbformat.read(folder / "notebooks" / chapter.name, as_version=4)


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_students_get_no_solution(made: Made, chapter: Path) -> None:
    whole, given = nbformat.read(chapter, as_version=4), read(made["students"], chapter)
    headings = [cell.source for cell in given.cells if cell.source.startswith("#")]
    answers = sum(cell.source.strip() in FOLDED for cell in whole.cells)
    assert headings.count("#### Your answer") == answers > 4
    assert not set(FOLDED) & set(headings)
    code = [cell for cell in given.cells if cell.cell_type == "code"]
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code)
    assert any(not cell.source for cell in code)
    solved = [
        cell.source
        for before, cell in zip(whole.cells, whole.cells[1:], strict=False)
        if before.source.strip() in FOLDED
    ]
    assert not [text for text in solved if text in {cell.source for cell in given.cells}]
    kept = {cell.source for cell in given.cells}
    assert {cell.source for cell in whole.cells if cell.source.startswith("### ")} <= kept | {
        cell.source for cell in whole.cells if "../book/" in cell.source
    }


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_teachers_get_everything(made: Made, chapter: Path) -> None:
    whole, given = nbformat.read(chapter, as_version=4), read(made["teachers"], chapter)
    assert [cell.id for cell in given.cells] == [cell.id for cell in whole.cells]
    for cell, copy in zip(whole.cells, given.cells, strict=True):
        assert copy.get("outputs") == cell.get("outputs")
        assert "../book/" not in copy.source


def test_links_lead_to_the_published_book_where_there_is_one() -> None:
    text = "See [the sheet](../book/cheat_sheet.md#sizes) and [chapter 5](05_xavier.ipynb), "
    text += '[units](../book/glossary.md "unit").'
    cells = [nbformat.v4.new_markdown_cell(text)]
    linked = course.without_book(nbformat.v4.new_notebook(cells=cells), "https://a.b/c/")
    sheet = "[the sheet](https://a.b/c/book/cheat_sheet.html#sizes)"
    units = "[units](https://a.b/c/book/glossary.html)"
    assert linked.cells[0].source == f"See {sheet} and [chapter 5](05_xavier.ipynb), {units}."
    text += '\n\n<div class="lab-slider">\n\n[a](../book/lab/a.png)\n\n</div>\n</div>'
    text += " [Set](../book/lab.md#scheme=he_normal&std=0.5)"
    cells = [nbformat.v4.new_markdown_cell(text)]
    plain = course.without_book(nbformat.v4.new_notebook(cells=cells), "")
    assert plain.cells[0].source == "See the sheet and [chapter 5](05_xavier.ipynb), units.\n\n Set"


@pytest.mark.long
@pytest.mark.parametrize("kind", ["students", "teachers"])
def test_zip_runs_from_the_wheel_in_it(made: Made, kind: str) -> None:
    """A wheel of pure Python can be imported as it is, so nothing need be installed."""
    (wheel,) = made[kind].glob("*.whl")
    assert wheel.name in (made[kind] / "README.md").read_text("utf-8")
    code = """
import nbformat, nbclient, json
notebook = nbformat.read("01_starting_point.ipynb", as_version=4)
notebook.cells.append(nbformat.v4.new_code_cell("import winit; print(winit.__file__)"))
nbclient.NotebookClient(notebook, kernel_name="python3", timeout=600).execute()
print(json.dumps(notebook.cells[-1].outputs[0]["text"]))
"""
    printed = subprocess.check_output(
        [sys.executable, "-c", code],
        cwd=made[kind] / "notebooks",
        env=kernel_environment() | {"PYTHONPATH": os.fspath(wheel)},
        text=True,
    )
    assert json.loads(printed).startswith(os.fspath(wheel))
