"""Re-execute the notebooks in place, or with --check compare them with a fresh run.

In place: a notebook is written only if it ran without an error and without a word on stderr, and a
second run changes no byte. The alt text and caption that `winit.plots.show` puts into an output are
copied to the cell's metadata, which is where the book looks for them.

With --tidy nothing is executed: only what an editor has left in the metadata is put right, as a
hook before each commit does (.pre-commit-config.yaml) and `make lab` before each save.

With --check nothing is written. All that is not a picture must be the same to the letter: printed
text, every representation of a result, alt text and caption, and the cell's copy of these two. A
picture passes when it has the same size in pixels and differs by at most TOLERANCE.

A notebook that imports PyTorch is skipped where PyTorch is missing, and so stays as it is; with
CI=true in the environment it fails.
"""

from __future__ import annotations

import argparse
import base64
import copy
import difflib
import importlib.util
import io
import json
import os
import re
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = ROOT / "notebooks"
DIFFERENT = ROOT / "_build" / "pictures"

# Root mean square over all pixels and channels, in levels of 0 to 255. Another processor moves a
# few anti-aliased edges (0.01); four pixels of a 1280 by 720 picture from black to white make 0.5.
TOLERANCE = 0.5
CELL_SECONDS = 300
NO_PYTORCH = "PyTorch is not installed: https://pytorch.org/get-started shows how"

# What a kernel reports, less the version of Python.
METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {
        "codemirror_mode": {"name": "ipython", "version": 3},
        "file_extension": ".py",
        "mimetype": "text/x-python",
        "name": "python",
        "nbconvert_exporter": "python",
        "pygments_lexer": "ipython3",
    },
}


# What JupyterLab keeps closed: the cells under these headings, until the next of their level.
FOLDED = ("#### Solution", "#### Answer")


class NotebookError(Exception):
    """Why a notebook cannot be accepted, in words for its author."""


def kernel_environment() -> dict[str, str]:
    """The environment in which notebooks are executed, the same on every machine."""
    environment = {name: value for name, value in os.environ.items() if name != "MPLBACKEND"}
    environment.setdefault("KERAS_BACKEND", "jax")
    environment["PYTHONUTF8"] = "1"  # Windows, too, reads and writes text as UTF-8
    # Notebooks run two at a time: threads of theirs would only wait for one another.
    environment.setdefault("OPENBLAS_NUM_THREADS", "1")
    environment["JUPYTER_PREFER_ENV_PATH"] = "1"  # the kernel of .venv before any in the home
    ipython = ROOT / "_build" / "ipython"  # no start-up files of the user's
    ipython.mkdir(parents=True, exist_ok=True)
    environment["IPYTHONDIR"] = str(ipython)
    return environment


def beside(folder: Path) -> list[Path]:
    """What chapters read from their own folder: modules and stored numbers."""
    return sorted([*folder.glob("*.py"), *folder.glob("*.json")])


def lacking(notebook: NotebookNode) -> str:
    """Why a notebook cannot be executed here; empty if it can. PyTorch is in no lock file."""
    imports = re.compile(r"^(import|from) torch\b", re.M)
    wanted = any(imports.search(cell.source) for _, cell in code_cells(notebook))
    return NO_PYTORCH if wanted and importlib.util.find_spec("torch") is None else ""


def execute(notebook: NotebookNode, folder: Path) -> NotebookNode:
    """A copy of the notebook with fresh outputs."""
    result: NotebookNode = copy.deepcopy(notebook)
    client = NotebookClient(
        result,
        kernel_name="python3",
        timeout=CELL_SECONDS,
        record_timing=False,
        coalesce_streams=True,
        extra_arguments=["--log-level=ERROR"],
        resources={"metadata": {"path": str(folder)}},
    )
    try:
        client.execute()
    except CellExecutionError as error:
        raise NotebookError(without_colours(str(error)).strip()) from None
    for number, cell in code_cells(result):
        for output in cell.outputs:
            if output.get("name") == "stderr":
                raise NotebookError(f"code cell {number} wrote to stderr:\n{output.text.strip()}")
    return result


def tidy(notebook: NotebookNode) -> None:
    """Fix all metadata that depend on the machine, the moment, the editor or what is open in it."""
    notebook.metadata = nbformat.from_dict(copy.deepcopy(METADATA))
    for cell in notebook.cells:
        kept = {key: cell.metadata[key] for key in ("tags", "mystnb") if key in cell.metadata}
        if cell.cell_type == "markdown" and cell.source.strip() in FOLDED:
            kept["jp-MarkdownHeadingCollapsed"] = True
        if "hide-input" in kept.get("tags", []):
            kept["jupyter"] = {"source_hidden": True}
        cell.metadata = nbformat.from_dict(kept)


def copy_figure_texts(cell: NotebookNode) -> None:
    """Write the alt text and caption of a cell's figure into the cell's metadata."""
    figures = list(pictures(cell))
    if len(figures) > 1:
        raise NotebookError(
            f"one figure a cell, this one has {len(figures)}, and the page can hold one alt text "
            f"for a cell:\n{cell.source}"
        )
    mystnb = cell.metadata.get("mystnb", NotebookNode())
    mystnb.pop("image", None)
    figure = mystnb.pop("figure", NotebookNode())
    figure.pop("caption", None)
    if figures:
        metadata = figures[0].metadata
        if not metadata.get("alt"):
            raise NotebookError(
                f"a figure without alt text: show it with winit.plots.show(figure, alt=…)\n"
                f"{cell.source}"
            )
        mystnb.image = {"alt": metadata["alt"], "classes": "dark-light"}
        if width := metadata.get("image/png", {}).get("width"):
            mystnb.image["width"] = f"{width}px"
        if metadata.get("caption"):
            figure.caption = metadata["caption"]
    if figure:
        mystnb.figure = figure
    if mystnb:
        cell.metadata.mystnb = mystnb
    else:
        cell.metadata.pop("mystnb", None)


def keep_equal_pictures(new: NotebookNode, old: NotebookNode) -> None:
    """Put back the committed bytes of pictures that are the same to the eye."""
    before = {cell.get("id"): cell for _, cell in code_cells(old)}
    for _, cell in code_cells(new):
        old_pictures = list(pictures(before.get(cell.id, NotebookNode(outputs=[]))))
        for output, old_output in zip(pictures(cell), old_pictures, strict=False):
            old_png = old_output.data["image/png"]
            if picture_difference(output.data["image/png"], old_png) <= TOLERANCE:
                output.data["image/png"] = old_png


def check_outputs(name: str, new: NotebookNode, old: NotebookNode) -> tuple[int, int, float]:
    """How many outputs and how many pictures are compared, and the largest picture's difference."""
    texts, count, largest, complaints = 0, 0, 0.0, []
    for (number, cell), (_, old_cell) in zip(code_cells(new), code_cells(old), strict=True):
        here = f"code cell {number}"
        texts += len(cell.outputs)
        if lines := text_difference(cell, old_cell):
            complaints.append(f"{here}: - is what is committed, + what came out now\n{lines}")
        figures, old_figures = list(pictures(cell)), list(pictures(old_cell))
        if len(figures) != len(old_figures):
            complaints.append(f"{here}: {len(figures)} figures instead of {len(old_figures)}")
            continue
        for figure, old_figure in zip(figures, old_figures, strict=True):
            count += 1
            rms = picture_difference(figure.data["image/png"], old_figure.data["image/png"])
            largest = max(largest, rms)
            if rms > TOLERANCE:
                saved = save_both(f"{name}-cell-{number}", figure, old_figure)
                what = "another size" if np.isinf(rms) else f"RMS {rms:.2f}, allowed {TOLERANCE}"
                complaints.append(f"{here}: the picture differs ({what}): {saved}")
            if figure.metadata != old_figure.metadata:
                complaints.append(f"{here}: alt text, caption or width differ")
        if cell.metadata.get("mystnb") != old_cell.metadata.get("mystnb"):
            complaints.append(f"{here}: its metadata are not those of its figure")
    if complaints:
        raise NotebookError("\n".join(complaints))
    return texts, count, largest


def text_difference(new: NotebookNode, old: NotebookNode) -> str:
    """The lines in which two cells' numbers and outputs differ; of pictures, only their place."""
    lines = difflib.unified_diff(readable(old), readable(new), n=0, lineterm="")
    return "\n".join(line for line in lines if not line.startswith(("---", "+++", "@@")))


def readable(cell: NotebookNode) -> list[str]:
    """A code cell's number and outputs as JSON, each line of a text on a line of its own.

    A picture's bytes and metadata are left out: they are compared in their own way.
    """
    outputs = copy.deepcopy(cell.outputs)
    for output in outputs:
        if "image/png" in output.get("data", {}):
            output.data["image/png"] = ""
            output.metadata = {}
        for place in (output, output.get("data", {})):
            for key, value in place.items():
                if isinstance(value, str):
                    place[key] = value.splitlines(keepends=True)
    shown = [cell.execution_count, outputs]
    return json.dumps(shown, indent=0, ensure_ascii=False, sort_keys=True).splitlines()


def picture_difference(png: str, other: str) -> float:
    """Root mean square between two pictures in levels of 255; infinite if their sizes differ."""
    first, second = (pixels(base64.b64decode(data)) for data in (png, other))
    if first.shape != second.shape:
        return float("inf")
    return float(np.sqrt(np.mean((first - second) ** 2)))


def pixels(png: bytes) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Red, green and blue times opacity, and opacity: what lies under nothing does not count."""
    rgba = np.asarray(Image.open(io.BytesIO(png)).convert("RGBA"), dtype=np.float64)
    rgba[..., :3] *= rgba[..., 3:] / 255
    return rgba


def save_both(name: str, figure: NotebookNode, old_figure: NotebookNode) -> str:
    DIFFERENT.mkdir(parents=True, exist_ok=True)
    names = []
    for when, output in (("committed", old_figure), ("now", figure)):
        path = DIFFERENT / f"{name}-{when}.png"
        path.write_bytes(base64.b64decode(output.data["image/png"]))
        names.append(path.relative_to(ROOT).as_posix())
    return " and ".join(names)


def code_cells(notebook: NotebookNode) -> Iterator[tuple[int, NotebookNode]]:
    """The code cells, counted from 1 as they are executed."""
    cells = (cell for cell in notebook.cells if cell.cell_type == "code")
    return enumerate(cells, start=1)


def pictures(cell: NotebookNode) -> Iterator[NotebookNode]:
    return (output for output in cell.outputs if "image/png" in output.get("data", {}))


def without_colours(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def process(path: Path, check: bool) -> tuple[bool, str]:
    """Do one notebook. Returns whether it is well, and the line to print."""
    started = time.perf_counter()
    name = path.stem
    try:
        old = nbformat.read(path, as_version=4)
        nbformat.validate(old)
        if reason := lacking(old):
            if os.environ.get("CI") == "true":
                raise NotebookError(reason)
            return True, f"{name}: skipped, {reason}"
        new = execute(old, path.parent)
        tidy(new)
        for _, cell in code_cells(new):
            copy_figure_texts(cell)
        if check:
            texts, count, largest = check_outputs(name, new, old)
            text = f"{texts} outputs, {count} pictures, largest difference {largest:.2f}"
        else:
            keep_equal_pictures(new, old)
            text = "changed" if write(path, new) else "unchanged"
    except NotebookError as error:
        return False, f"{name}: FAILED, left as it was\n{error}\n"
    return True, f"{name}: {text} ({time.perf_counter() - started:.1f} s)"


def tidied(path: Path) -> tuple[bool, str]:
    """Put one notebook's metadata right. Returns True, and the line to print."""
    notebook = nbformat.read(path, as_version=4)
    tidy(notebook)
    return True, f"{path.stem}: {'changed' if write(path, notebook) else 'unchanged'}"


def write(path: Path, notebook: NotebookNode) -> bool:
    """Write the notebook in one move, and only if there is something new in it."""
    text = nbformat.writes(notebook).rstrip("\n") + "\n"
    if path.read_text(encoding="utf-8") == text:
        return False
    temporary = path.with_name(f".{path.name}.new")
    temporary.write_text(text, encoding="utf-8", newline="\n")
    temporary.replace(path)
    return True


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare all outputs, write nothing")
    parser.add_argument("--tidy", action="store_true", help="execute nothing, fix metadata")
    parser.add_argument("--jobs", type=int, default=2, help="how many notebooks at once (2)")
    parser.add_argument("notebook", nargs="*", type=Path, help="all of notebooks/ if none is named")
    options = parser.parse_args(arguments)
    os.environ.pop("MPLBACKEND", None)
    os.environ.update(kernel_environment())
    paths = options.notebook or sorted(NOTEBOOKS.glob("*.ipynb"))
    if missing := [str(path) for path in paths if not path.is_file()]:
        parser.error("no such notebook: " + ", ".join(missing))
    work = tidied if options.tidy else partial(process, check=options.check)
    well = True
    with ProcessPoolExecutor(options.jobs) as pool:
        for ok, text in pool.map(work, paths) if options.jobs > 1 else map(work, paths):
            print(text, file=sys.stdout if ok else sys.stderr, flush=True)
            well = well and ok
    if not well and options.check:
        print("If the new outputs are right: make notebooks, and commit.", file=sys.stderr)
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
