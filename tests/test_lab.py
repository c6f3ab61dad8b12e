"""The notebooks in a real JupyterLab: what is closed there, and what a save leaves in the file."""

from __future__ import annotations

import copy
import itertools
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import nbformat
import pytest
from test_repository import NOTEBOOK_RULES, read

import notebooks

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.long

CONFIGURATION = notebooks.ROOT / "tools" / "lab.py"
CHAPTER = notebooks.NOTEBOOKS / "04_variance.ipynb"


def free_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        port: int = server.getsockname()[1]
        return port


@contextmanager
def jupyterlab(folder: Path, *options: str) -> Iterator[str]:
    """The address of a JupyterLab that serves a folder, with no settings but the options'."""
    home = folder / ".home"
    places = ("JUPYTER_CONFIG_DIR", "JUPYTERLAB_SETTINGS_DIR", "JUPYTERLAB_WORKSPACES_DIR")
    environment = notebooks.kernel_environment() | {name: str(home / name) for name in places}
    address = f"http://127.0.0.1:{(port := free_port())}"
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--port={port}"]
    command += ["--IdentityProvider.token=", f"--ServerApp.root_dir={folder}", *options]
    server = subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        while server.poll() is None:
            try:
                urllib.request.urlopen(f"{address}/api")
                break
            except urllib.error.URLError:
                time.sleep(0.2)
        yield address
    finally:
        server.terminate()
        try:
            server.wait(timeout=20)
        except subprocess.TimeoutExpired:  # it waits for a kernel that does not end
            server.kill()
            server.wait()


def open_notebook(page: Page, address: str, name: str) -> None:
    page.set_default_timeout(120_000)
    page.goto(f"{address}/lab/tree/{name}")
    page.locator(".jp-Notebook .jp-MarkdownCell h1").first.wait_for()
    # Only once the kernel has answered is there anything to add to the metadata.
    page.locator(".jp-Notebook-ExecutionIndicator[data-status='idle']").wait_for(state="attached")


def save(page: Page) -> None:
    page.locator(".jp-Notebook").first.click()
    with page.expect_response(lambda answer: answer.request.method == "PUT") as answer:
        page.keyboard.press("Control+s")
    assert answer.value.ok


def test_solutions_and_the_code_of_figures_are_closed(tmp_path: Path, browser: Browser) -> None:
    chapter = nbformat.read(CHAPTER, as_version=4)
    first = next(i for i, cell in enumerate(chapter.cells) if "Check yourself" in cell.source)
    figure = next(cell for cell in chapter.cells if "hide-input" in cell.metadata.get("tags", []))
    small = copy.deepcopy(chapter)
    small.cells = [chapter.cells[0], figure, *chapter.cells[first:]]
    notebooks.tidy(small)
    nbformat.write(small, tmp_path / "small.ipynb")
    folds = sum(cell.source.strip() in notebooks.FOLDED for cell in small.cells)
    from playwright.sync_api import expect

    with jupyterlab(tmp_path) as address, browser.new_page() as page:
        page.set_viewport_size({"width": 1280, "height": 6000})
        open_notebook(page, address, "small.ipynb")
        hidden = page.get_by_text(re.compile(r"\d+ cells? hidden"))
        expect(hidden).to_have_count(folds, timeout=120_000)  # cells come one after the other
        assert folds > 4
        headings = page.locator(".jp-MarkdownCell :is(h3, h4):visible").all_inner_texts()
        assert sum("Exercise" in heading for heading in headings) >= 3
        assert sum("Solution" in heading for heading in headings) >= 3
        pairs = itertools.pairwise(small.cells)
        answers = [text.source for head, text in pairs if head.source.strip() in notebooks.FOLDED]
        words = re.findall(r"[A-Za-z ]{25,}", " ".join(answers))
        assert len(words) > folds
        assert not [text for text in words if page.get_by_text(text.strip()).first.is_visible()]
        first_line, second_line = figure.source.splitlines()[:2]  # closed, it shows the first
        assert page.get_by_text(first_line).first.is_visible()
        assert not page.get_by_text(second_line.strip()).first.is_visible()


def test_dark_theme_puts_light_paper_under_figures(tmp_path: Path, browser: Browser) -> None:
    chapter = nbformat.read(CHAPTER, as_version=4)
    figure = next(cell for cell in chapter.cells if "hide-input" in cell.metadata.get("tags", []))
    chapter.cells = [chapter.cells[0], figure]
    nbformat.write(chapter, tmp_path / "small.ipynb")
    themes = tmp_path / ".home" / "JUPYTERLAB_SETTINGS_DIR" / "@jupyterlab" / "apputils-extension"
    themes.mkdir(parents=True)
    (themes / "themes.jupyterlab-settings").write_text('{"theme": "JupyterLab Dark"}')
    with jupyterlab(tmp_path) as address, browser.new_page() as page:
        open_notebook(page, address, "small.ipynb")
        picture = page.locator(".jp-OutputArea img")
        picture.wait_for()
        assert page.locator("body").get_attribute("data-jp-theme-light") == "false"
        ground = picture.evaluate("image => getComputedStyle(image).backgroundColor")
        assert ground == "rgb(255, 255, 255)"


@pytest.mark.parametrize("configured", [True, False], ids=["make lab", "plain JupyterLab"])
def test_save_leaves_no_trace_of_the_editor(
    tmp_path: Path, browser: Browser, configured: bool
) -> None:
    """With our configuration no byte changes; without, Python's version, which no rule minds."""
    path = tmp_path / CHAPTER.name
    shutil.copy(CHAPTER, path)
    notebooks.tidied(path)
    notebook = nbformat.read(path, as_version=4)
    before = path.read_bytes()
    options = [f"--config={CONFIGURATION}"] if configured else []
    with jupyterlab(tmp_path, *options) as address, browser.new_page() as page:
        open_notebook(page, address, path.name)
        save(page)
        # The kernel says its version now or a little later: the indicator may be idle before.
        for _ in range(5 if configured else 120):
            while not path.read_bytes().endswith(b"}\n"):  # it is being written
                page.wait_for_timeout(100)
            after = nbformat.read(path, as_version=4)
            if "version" in after.metadata.language_info:
                break
            page.wait_for_timeout(1000)
            save(page)
    if configured:
        assert path.read_bytes() == before
        return
    assert after.metadata.language_info.pop("version")
    assert after == notebook
    assert not [complaint for rule in NOTEBOOK_RULES for complaint in rule(read(path))]
