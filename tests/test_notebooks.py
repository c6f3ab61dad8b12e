"""The machinery that guards the chapters: a changed output fails, and re-execution is repeatable.

The chapters themselves are compared by `make test` (tools/check.py), with nbval over notebooks/.
"""

from __future__ import annotations

import base64
import copy
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image

import check
import notebooks

ROOT = Path(__file__).resolve().parent.parent


FIGURE = """\
figure, axes = plots.subplots(figsize=(2, 1))
axes.plot([1, 2, 3])
plots.show(figure, alt="A line that rises from 1 to 3", caption="It rises.")"""


SAID = new_output("stream", name="stdout", text="1.41\n1.73\n")


def remake(path: Path, *options: str) -> int:
    """`tools/notebooks.py` on one notebook, in this process."""
    return notebooks.main(["--jobs=1", *options, str(path)])


def small_notebook() -> nbformat.NotebookNode:
    cells = [
        new_markdown_cell("# Try it", id="title"),
        new_code_cell("import numpy as np\n\nfrom winit import plots", id="imports"),
        new_code_cell("print(f'{np.sqrt(2):.3g}')\nprint('a second line')", id="text"),
        new_code_cell(FIGURE, id="figure"),
    ]
    return new_notebook(cells=cells, metadata=copy.deepcopy(notebooks.METADATA))


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory) -> nbformat.NotebookNode:
    """The small notebook, as `make notebooks` leaves it."""
    path = tmp_path_factory.mktemp("executed") / "01_try.ipynb"
    nbformat.write(small_notebook(), path)
    assert remake(path) == 0
    return nbformat.read(path, as_version=4)


def run_nbval(
    folder: Path, notebook: nbformat.NotebookNode, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Strict nbval on one notebook, with the repository's settings and its conftest.py."""
    (folder / "conftest.py").write_text((ROOT / "conftest.py").read_text("utf-8"), "utf-8")
    nbformat.write(notebook, folder / "01_try.ipynb")
    command = [sys.executable, "-m", "pytest", "--nbval", "--nbval-current-env", "--color=no"]
    command += ["-p", "no:cacheprovider", "-c", str(ROOT / "pyproject.toml")]
    command += ["--rootdir", str(folder), "01_try.ipynb"]
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, env=os.environ | environment
    )


# Strict comparison --------------------------------------------------------------------------------


@pytest.mark.long
def test_committed_outputs_pass(tmp_path: Path, executed: nbformat.NotebookNode) -> None:
    run = run_nbval(tmp_path, executed)
    assert run.returncode == 0, run.stdout
    assert "3 passed" in run.stdout


@pytest.mark.long
def test_committed_outputs_pass_as_on_another_cpu(
    tmp_path: Path, executed: nbformat.NotebookNode
) -> None:
    run = run_nbval(tmp_path, executed, **check.other_cpu())
    assert run.returncode == 0, run.stdout


@pytest.mark.long
def test_one_changed_digit_fails_and_says_how_to_accept_it(
    tmp_path: Path, executed: nbformat.NotebookNode
) -> None:
    changed = copy.deepcopy(executed)
    output = changed.cells[2].outputs[0]
    assert "1.41" in output.text
    output.text = output.text.replace("1.41", "1.42")
    changed.cells[3].outputs[0].data["text/plain"] = "A line that falls"  # the alt text, too
    run = run_nbval(tmp_path, changed)
    assert run.returncode == 1
    assert "2 failed, 1 passed" in run.stdout
    assert "- 1.41" in run.stdout and "+ 1.42" in run.stdout
    assert "- A line that rises from 1 to 3" in run.stdout and "+ A line that falls" in run.stdout
    assert "01_try.ipynb: code cells [2] [3]" in run.stdout
    assert "make notebooks" in run.stdout


@pytest.mark.long
def test_cleared_execution_count_fails(tmp_path: Path, executed: nbformat.NotebookNode) -> None:
    """With outputs nbval sees it; without, it compares nothing, so a repository rule must."""
    from tests.test_repository import executed_in_order

    cleared = copy.deepcopy(executed)
    cleared.cells[2].execution_count = None
    cleared.cells[3].execution_count = None
    cleared.cells[3].outputs = []
    run = run_nbval(tmp_path, cleared)
    assert run.returncode == 1
    assert "Cell 1: Unrun reference cell has outputs" in run.stdout
    assert "1 failed, 2 passed" in run.stdout
    cleared.cells[2].execution_count = 2
    assert executed_in_order(json.loads(nbformat.writes(cleared)))
    assert not executed_in_order(json.loads(nbformat.writes(executed)))


# Re-execution -------------------------------------------------------------------------------------


def test_second_run_changes_no_byte(tmp_path: Path, executed: nbformat.NotebookNode) -> None:
    path = tmp_path / "01_try.ipynb"
    nbformat.write(executed, path)
    before = path.read_bytes()
    moment = path.stat().st_mtime_ns
    assert remake(path) == 0
    assert path.read_bytes() == before
    assert path.stat().st_mtime_ns == moment  # so the book need not read it again


def test_alt_text_and_caption_reach_the_cell(executed: nbformat.NotebookNode) -> None:
    assert executed.cells[3].metadata.mystnb == {
        "image": {
            "alt": "A line that rises from 1 to 3",
            "classes": "dark-light",
            "width": "200px",
        },
        "figure": {"caption": "It rises."},
    }
    assert executed.cells[3].outputs[0].metadata.alt == "A line that rises from 1 to 3"


def test_traces_of_editor_and_moment_are_removed(tmp_path: Path) -> None:
    notebook = small_notebook()
    del notebook.cells[3]
    notebook.metadata.language_info["version"] = "2.7"
    notebook.metadata["widgets"] = {}
    notebook.cells[1].metadata["execution"] = {"iopub.execute_input": "2020-01-01"}
    notebook.cells[1].metadata["tags"] = ["hide-input"]
    notebook.cells[2].metadata["mystnb"] = {
        "image": {"alt": "a figure that is gone"},
        "figure": {"caption": "gone too"},
        "code_prompt_show": "Open",
    }
    path = tmp_path / "01_try.ipynb"
    nbformat.write(notebook, path)
    assert remake(path) == 0
    result = nbformat.read(path, as_version=4)
    assert result.metadata == notebooks.METADATA
    hidden = {"source_hidden": True}
    assert result.cells[1].metadata == {"tags": ["hide-input"], "jupyter": hidden}
    assert result.cells[2].metadata == {"mystnb": {"code_prompt_show": "Open"}}
    assert [cell.id for cell in result.cells] == ["title", "imports", "text"]


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("import sys; print('a warning', file=sys.stderr)", "stderr:\na warning"),
        (FIGURE.replace("plots.show", "other = plots.show") + "\n" + FIGURE, "one figure a cell"),
        (
            "from IPython.display import Image, display\nimport base64\n"
            "display(Image(base64.b64decode('{}')))",
            "a figure without alt text",
        ),
    ],
    ids=["error", "stderr", "two figures", "no alt text"],
)
def test_what_cannot_be_accepted_is_left_as_it_was(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], code: str, reason: str
) -> None:
    notebook = small_notebook()
    notebook.cells[2].source = code.replace("{}", png(np.zeros((2, 2, 4))))
    path = tmp_path / "01_try.ipynb"
    nbformat.write(notebook, path)
    before = path.read_bytes()
    assert remake(path) == 1
    assert path.read_bytes() == before
    said = capfd.readouterr().err
    assert "01_try: FAILED, left as it was" in said
    assert reason in said


def test_kernel_runs_in_the_folder_of_its_notebook(tmp_path: Path) -> None:
    (tmp_path / "beside.txt").write_text("here")
    cell = new_code_cell("from pathlib import Path\n\nprint(Path('beside.txt').read_text())")
    path = tmp_path / "01_try.ipynb"
    nbformat.write(new_notebook(cells=[cell]), path)
    assert remake(path) == 0
    assert nbformat.read(path, as_version=4).cells[0].outputs[0].text == "here\n"


def test_unknown_notebook_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        notebooks.main(["no_such.ipynb"])
    assert "no such notebook: no_such.ipynb" in capsys.readouterr().err


# Without PyTorch ----------------------------------------------------------------------------------


def pytorch_notebook() -> nbformat.NotebookNode:
    cells = [
        new_markdown_cell("# Try it", id="title"),
        new_code_cell("import torch", id="imports", execution_count=1),
        new_code_cell("print(torch.ones(2).sum())", id="text", execution_count=2, outputs=[SAID]),
    ]
    return new_notebook(cells=cells, metadata=copy.deepcopy(notebooks.METADATA))


@pytest.mark.parametrize("check_only", [True, False])
def test_without_pytorch_its_notebooks_are_skipped_but_never_in_ci(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    check_only: bool,
) -> None:
    path = tmp_path / "01_try.ipynb"
    nbformat.write(pytorch_notebook(), path)
    before = path.read_bytes()
    monkeypatch.setitem(sys.modules, "torch", None)  # as if it were not installed
    options = ["--check"] if check_only else []
    monkeypatch.delenv("CI", raising=False)
    assert remake(path, *options) == 0
    assert capfd.readouterr().out == f"01_try: skipped, {notebooks.NO_PYTORCH}\n"
    monkeypatch.setenv("CI", "true")
    assert remake(path, *options) == 1
    assert notebooks.NO_PYTORCH in capfd.readouterr().err
    assert path.read_bytes() == before
    assert not notebooks.lacking(small_notebook())


@pytest.mark.long
def test_without_pytorch_nbval_skips_them_but_never_in_ci(tmp_path: Path) -> None:
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "sitecustomize.py").write_text("import sys\n\nsys.modules['torch'] = None\n")
    run = run_nbval(tmp_path, pytorch_notebook(), PYTHONPATH=str(hidden), CI="")
    assert run.returncode == 0 and "2 skipped" in run.stdout, run.stdout
    assert run.stdout.count(notebooks.NO_PYTORCH) == 1
    run = run_nbval(tmp_path, pytorch_notebook(), PYTHONPATH=str(hidden), CI="true")
    assert run.returncode == 1 and "ModuleNotFoundError" in run.stdout


# Pictures -----------------------------------------------------------------------------------------


def png(pixels: np.ndarray[Any, Any]) -> str:
    buffer = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8), "RGBA").save(buffer, format="png")
    return base64.b64encode(buffer.getvalue()).decode()


def picture(width: int = 200, height: int = 100) -> np.ndarray[Any, Any]:
    """A grey diagonal on a transparent ground."""
    pixels = np.zeros((height, width, 4))
    pixels[np.arange(height), np.arange(height)] = (120, 120, 120, 255)
    return pixels


def test_difference_is_the_root_mean_square() -> None:
    changed = picture()
    assert notebooks.picture_difference(png(picture()), png(changed)) == 0
    changed[0, 150:160] = (255, 255, 255, 255)
    expected = 255 * np.sqrt(10 / (200 * 100))
    assert notebooks.picture_difference(png(picture()), png(changed)) == pytest.approx(expected)
    assert expected > notebooks.TOLERANCE


def test_colour_under_full_transparency_does_not_count() -> None:
    changed = picture()
    changed[0, 150:160] = (255, 255, 255, 0)
    assert notebooks.picture_difference(png(picture()), png(changed)) == 0


def test_another_size_is_infinitely_different() -> None:
    assert notebooks.picture_difference(png(picture()), png(picture(width=201))) == np.inf


def figure_notebook(pixels: np.ndarray[Any, Any], alt: str = "a line") -> nbformat.NotebookNode:
    output = new_output("display_data", data={"image/png": png(pixels)}, metadata={"alt": alt})
    cell = new_code_cell("…", id="figure", outputs=[output], execution_count=1)
    notebook = new_notebook(cells=[cell])
    notebooks.tidy(notebook)
    return notebook


def test_equal_pictures_pass_and_are_counted() -> None:
    noise = picture()
    noise[0, 0, 0] -= 1
    new, old = figure_notebook(noise), figure_notebook(picture())
    texts, count, largest = notebooks.check_outputs("01_try", new, old)
    assert (texts, count) == (1, 1)
    assert 0 < largest < notebooks.TOLERANCE


@pytest.mark.parametrize(
    ("new", "complaint"),
    [
        (figure_notebook(picture()[:, ::-1]), "the picture differs (RMS"),
        (figure_notebook(picture(width=300)), "the picture differs (another size)"),
        (figure_notebook(picture(), alt="another line"), "alt text, caption or width differ"),
        (new_notebook(cells=[new_code_cell("…")]), "0 figures instead of 1"),
    ],
    ids=["restyled", "resized", "alt text", "gone"],
)
def test_stale_picture_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, new: nbformat.NotebookNode, complaint: str
) -> None:
    monkeypatch.setattr(notebooks, "ROOT", tmp_path)
    monkeypatch.setattr(notebooks, "DIFFERENT", tmp_path / "pictures")
    with pytest.raises(notebooks.NotebookError) as raised:
        notebooks.check_outputs("01_try", new, figure_notebook(picture()))
    assert complaint in str(raised.value)
    if "picture differs" in complaint:
        assert {path.name for path in (tmp_path / "pictures").iterdir()} == {
            "01_try-cell-1-committed.png",
            "01_try-cell-1-now.png",
        }


@pytest.mark.long
def test_check_sees_a_stale_picture_in_a_real_run(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    executed: nbformat.NotebookNode,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(notebooks, "ROOT", tmp_path)
    monkeypatch.setattr(notebooks, "DIFFERENT", tmp_path / "pictures")
    path = tmp_path / "01_try.ipynb"
    nbformat.write(executed, path)
    assert remake(path, "--check") == 0
    assert "2 outputs, 1 pictures, largest difference 0.00" in capfd.readouterr().out

    stale = copy.deepcopy(executed)
    stale.cells[3].source = stale.cells[3].source.replace("[1, 2, 3]", "[1, 3, 2]")
    nbformat.write(stale, path)
    before = path.read_bytes()
    assert remake(path, "--check") == 1
    assert path.read_bytes() == before
    said = capfd.readouterr().err
    assert "code cell 3: the picture differs (RMS" in said
    assert "make notebooks" in said

    stale = copy.deepcopy(executed)
    stale.cells[2].outputs[0].text = stale.cells[2].outputs[0].text.replace("1.41", "1.42")
    nbformat.write(stale, path)
    assert remake(path, "--check") == 1
    said = capfd.readouterr().err
    assert '-"1.42\\n"' in said and '+"1.41\\n"' in said


def printed_notebook(*outputs: nbformat.NotebookNode, count: int = 1) -> nbformat.NotebookNode:
    cell = new_code_cell("…", id="cell", outputs=list(outputs), execution_count=count)
    return new_notebook(cells=[cell])


def result(**data: str) -> nbformat.NotebookNode:
    return new_output("execute_result", data={"text/plain": "3", **data}, execution_count=1)


@pytest.mark.parametrize(
    ("committed", "now"),
    [
        (printed_notebook(SAID), new_output("stream", name="stdout", text="1.41\n1.74\n")),
        (printed_notebook(SAID), new_output("stream", name="stdout", text="1.41\n1.73")),
        (printed_notebook(SAID), new_output("stream", name="stderr", text="1.41\n1.73\n")),
        (printed_notebook(SAID), new_output("display_data", data={"text/plain": "1.41\n1.73\n"})),
        (printed_notebook(SAID, SAID), SAID),
        (printed_notebook(), SAID),
        (printed_notebook(SAID, count=2), SAID),
        (printed_notebook(result()), result(**{"text/html": "<b>3</b>"})),
        (printed_notebook(result(**{"image/svg+xml": "<svg/>"})), result()),
        (printed_notebook(result(**{"text/html": "<b>3</b>"})), result(**{"text/html": "3"})),
    ],
    ids=[
        *("digit", "end of line", "stderr", "kind", "one less", "one more", "number of the cell"),
        *("new HTML", "lost SVG", "changed HTML"),
    ],
)
def test_check_compares_text_to_the_letter(
    committed: nbformat.NotebookNode, now: nbformat.NotebookNode
) -> None:
    notebooks.check_outputs("01_try", committed, copy.deepcopy(committed))
    with pytest.raises(notebooks.NotebookError, match=r"cell 1: - is what is committed, \+"):
        notebooks.check_outputs("01_try", printed_notebook(now), committed)


def test_pictures_equal_to_the_eye_keep_their_bytes() -> None:
    """So that another machine's `make notebooks` does not rewrite every picture."""
    noise, other = picture(), picture()[:, ::-1]
    noise[0, 0, 0] -= 1
    old = figure_notebook(picture())
    for pixels, kept in ((noise, True), (other, False)):
        new = figure_notebook(pixels)
        notebooks.keep_equal_pictures(new, old)
        assert (new.cells[0].outputs == old.cells[0].outputs) is kept


# The summary --------------------------------------------------------------------------------------


def made_up(name: str, code: int) -> check.Check:
    return check.Check(
        name, "made up", [[sys.executable, "-c", f"raise SystemExit({code})"]], "do this"
    )


def test_all_checks_of_a_tier_run_and_the_failed_one_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    short = [made_up("first", 1), made_up("second", 0)]
    long = [made_up("third", 0), made_up("fourth", check.SKIPPED)]
    monkeypatch.setattr(
        check, "TIERS", {"make test": lambda: short, "make test-long": lambda: long}
    )
    assert check.main([]) == 1
    said = capsys.readouterr().out
    assert (
        re.search(r"^FAILED  first +\d+[.]\d s [(]CPU +\d+[.]\d[)]  made up$", said, re.M)
        and "do this" in said
    )
    assert re.search(r"^ok      second", said, re.M)
    assert "FAILED: first (2 checks" in said and "third" not in said
    assert check.main(["--long"]) == 0
    said = capsys.readouterr().out
    assert re.search(r"^skipped fourth", said, re.M) and "do this" not in said
    assert "all is well, skipped: fourth (2 checks" in said and "first" not in said
    assert check.main(["second", "third"]) == 0
    assert "all is well (2 checks" in capsys.readouterr().out
    assert check.main(["fifth"]) == 2
    assert "no check called fifth: there are first, second, third, fourth" in (
        capsys.readouterr().out
    )


def test_check_beside_another_runs_with_it_and_is_shown_after_it(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wait = """
import pathlib, sys, time
mine, other = map(pathlib.Path, sys.argv[1:])
mine.touch()
for _ in range(600):
    if other.exists():
        sys.exit(print("met", other.name))
    time.sleep(0.1)
sys.exit("alone")
"""
    names = ("first", "second")
    pairs = [[str(tmp_path / name) for name in order] for order in (names, names[::-1])]
    both = [
        check.Check(
            name, "made up", [[sys.executable, "-c", wait, *pair]], "", beside=name != "first"
        )
        for name, pair in zip(names, pairs, strict=True)
    ]
    monkeypatch.setattr(check, "TIERS", {"make test": lambda: [*both, made_up("third", 1)]})
    assert check.main([]) == 1
    said = capfd.readouterr().out
    order = [said.index(text) for text in ("==== first", "met second", "==== second", "met first")]
    assert order == sorted(order) and said.index("==== third") > order[-1]
    assert re.search(r"^ok      second", said, re.M) and "FAILED: third (3 checks" in said


@pytest.mark.parametrize("code", [1, -9])
def test_a_later_command_hides_no_failure(code: int) -> None:
    first = made_up("first", code).commands
    both = check.Check("both", "made up", [*first, *made_up("second", 0).commands], "")
    assert check.run(both) not in (0, check.SKIPPED)


@pytest.mark.skipif(os.name == "nt", reason="no signals on Windows")
def test_check_that_was_killed_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    code = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    assert check.run(check.Check("some", "is killed", [[sys.executable, "-c", code]], "")) == -9
    assert "some: ended by signal 9" in capsys.readouterr().out


def test_order_of_the_notebooks_is_its_seeds_and_can_be_repeated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    every = {str(path) for path in notebooks.NOTEBOOKS.glob("*.ipynb")}
    orders = {tuple(check.in_any_order(seed)) for seed in range(8)}
    assert len(orders) > 1 and all(set(order) == every for order in orders)
    assert check.in_any_order(7) == check.in_any_order(7)
    monkeypatch.setenv("WINIT_ORDER", "7")
    assert check.order_seed() == 7
    (strict,) = (each for each in check.short_checks() if each.name == "notebooks")
    assert strict.commands[0][-len(every) :] == check.in_any_order(7)
    assert "WINIT_ORDER=7" in strict.what
    monkeypatch.delenv("WINIT_ORDER")
    assert len({check.order_seed() for _ in range(20)}) > 1


def test_numpy_takes_the_other_cpu_without_a_warning() -> None:
    code = (
        "import numpy._core._multiarray_umath as m;"
        "print([f for f in m.__cpu_dispatch__ if m.__cpu_features__[f]])"
    )
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env=os.environ | check.other_cpu(),
        capture_output=True,
        text=True,
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, "[]\n", "")
