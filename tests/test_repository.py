"""The house rules, held by the machine: layout, imports, notebooks, lock files, papers.

Each rule is a function from a source text or a notebook to a list of complaints. It is run over the
repository, and below it over a small bad example, so that no rule can go silent.
"""

from __future__ import annotations

import ast
import copy
import importlib.metadata
import importlib.util
import json
import re
import statistics
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Callable
from email import message_from_string
from email.message import Message
from pathlib import Path
from typing import Any

import pytest
import readme_renderer.markdown
import trove_classifiers
import yaml
from bs4 import BeautifulSoup
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import bootstrap
import check
import dependencies
import package
import setup as index
import winit

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))

Notebook = dict[str, Any]
Cell = dict[str, Any]


def read(path: Path) -> Notebook:
    notebook: Notebook = json.loads(path.read_text(encoding="utf-8"))
    return notebook


def code_cells(notebook: Notebook) -> list[Cell]:
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def source(cell: Cell) -> str:
    return "".join(cell["source"])


def has_picture(output: dict[str, Any]) -> bool:
    return any(kind.startswith("image/") for kind in output.get("data", {}))


# Rules for notebooks ------------------------------------------------------------------------------


def executed_in_order(notebook: Notebook) -> list[str]:
    """nbval compares nothing in a cell without a number, so each must have its own, 1 to n."""
    counts = [cell["execution_count"] for cell in code_cells(notebook)]
    if counts != list(range(1, len(counts) + 1)):
        return [f"cells must be executed once, in order, 1 to {len(counts)}: {counts}"]
    return []


def no_stderr_and_no_errors(notebook: Notebook) -> list[str]:
    return [
        f"cell [{cell['execution_count']}] has an output of {output.get('name', 'error')}"
        for cell in code_cells(notebook)
        for output in cell["outputs"]
        if output["output_type"] == "error" or output.get("name") == "stderr"
    ]


def nothing_kept_from_comparison(notebook: Notebook) -> list[str]:
    """No cell may carry one of the marks by which nbval skips it, ignores its output or its error.

    A cell that is not compared is a claim without proof.
    """
    complaints = []
    for cell in code_cells(notebook):
        tags = cell["metadata"].get("tags", [])
        marks = [tag for tag in tags if tag.startswith("nbval-") or tag == "raises-exception"]
        marks += re.findall(r"(?:NBVAL|PYTEST_VALIDATE)_\w+", source(cell))
        complaints += [f"cell [{cell['execution_count']}] is marked {mark}" for mark in marks]
    return complaints


def opens_anywhere(notebook: Notebook) -> list[str]:
    """What an editor adds (the version of Python, times, what is open) is no fault of a chapter."""
    complaints = [
        f"a cell without an id: {source(cell)[:40]!r}"
        for cell in notebook["cells"]
        if "id" not in cell
    ]
    if notebook["metadata"].get("kernelspec", {}).get("name") != "python3":
        complaints.append("the kernel is not called python3")
    return complaints


def figures_have_alt_text(notebook: Notebook) -> list[str]:
    """One figure a cell; its alt text in the output and, for the page, in the cell: the same."""
    complaints = []
    for cell in code_cells(notebook):
        here = f"cell [{cell['execution_count']}]"
        figures = [output for output in cell["outputs"] if has_picture(output)]
        image = cell["metadata"].get("mystnb", {}).get("image", {})
        caption = cell["metadata"].get("mystnb", {}).get("figure", {}).get("caption")
        if not figures and (image or caption):
            complaints.append(f"{here} has the alt text or caption of a figure, and no figure")
        if len(figures) > 1:
            complaints.append(f"{here} has {len(figures)} figures: one each")
        for figure in figures:
            alt = figure["metadata"].get("alt")
            if not alt:
                complaints.append(f"{here} has a figure without alt text")
            elif alt != image.get("alt") or figure["metadata"].get("caption") != caption:
                complaints.append(f"{here}: alt text or caption of cell and figure differ")
    return complaints


def figures_have_a_compared_invariant(notebook: Notebook) -> list[str]:
    """A figure's cell, or the code cell after it, prints something: pictures alone prove nothing.

    The alt text, which is the figure's own plain text, is constant and does not count.
    """
    cells = code_cells(notebook)
    complaints = []
    for number, cell in enumerate(cells):
        if any(has_picture(output) for output in cell["outputs"]):
            near = [output for other in cells[number : number + 2] for output in other["outputs"]]
            if all(has_picture(output) for output in near):
                complaints.append(
                    f"cell [{cell['execution_count']}]: nothing is printed beside its figure"
                )
    return complaints


def cells_are_short(notebook: Notebook) -> list[str]:
    """Lines with something on them count: the formatter puts two empty ones around a function."""
    return [
        f"cell [{cell['execution_count']}] has {lines} lines, 15 is the most"
        for cell in code_cells(notebook)
        if (lines := sum(bool(line.strip()) for line in source(cell).splitlines())) > 15
    ]


def nothing_is_cut(notebook: Notebook) -> list[str]:
    """A laptop's column holds 79 characters of code, and a phone some 60 of print."""
    complaints = []
    for cell in code_cells(notebook):
        printed = "".join("".join(output.get("text", "")) for output in cell["outputs"])
        for what, text, most in (("code", source(cell), 79), ("print", printed, 60)):
            if (longest := max(map(len, text.splitlines()), default=0)) > most:
                here = f"cell [{cell['execution_count']}]"
                complaints.append(f"{here}: {longest} columns of {what}, {most} are the most")
    return complaints


def no_bare_results(notebook: Notebook) -> list[str]:
    """What a cell ends on is printed or a report with its own HTML, not Python's name for it."""
    return [
        f"cell [{cell['execution_count']}] ends on a value that nobody asked for"
        for cell in code_cells(notebook)
        for output in cell["outputs"]
        if output["output_type"] == "execute_result" and "text/html" not in output["data"]
    ]


def imports_come_first(notebook: Notebook) -> list[str]:
    complaints = []
    for cell in code_cells(notebook)[1:]:
        for node in ast.walk(ast.parse(without_magic(source(cell)))):
            if isinstance(node, ast.Import | ast.ImportFrom):
                complaints.append(
                    f"cell [{cell['execution_count']}] imports: {ast.unparse(node)}; "
                    "imports belong in the first code cell"
                )
    return complaints


def no_star_imports_and_no_shell(notebook: Notebook) -> list[str]:
    complaints = []
    for cell in code_cells(notebook):
        if re.search(r"^\s*(from \S+ import \*|[!%])", source(cell), re.M):
            complaints.append(f"cell [{cell['execution_count']}]: no star imports, no ! and no %")
    return complaints


GLOBAL_DRAWS = re.compile(
    r"np\.random\.(?!default_rng|Generator|RandomState|SeedSequence|PCG64)\w+"
)


def no_global_randomness(notebook: Notebook) -> list[str]:
    """Only cells tagged `global-random` may: the article's code, and what it does not do here."""
    return [
        f"cell [{cell['execution_count']}] uses the global {draw}"
        for cell in code_cells(notebook)
        if "global-random" not in cell["metadata"].get("tags", [])
        for draw in GLOBAL_DRAWS.findall(source(cell))
    ]


def begins_with_a_title(notebook: Notebook) -> list[str]:
    first = notebook["cells"][0]
    titles = [
        line
        for cell in notebook["cells"]
        if cell["cell_type"] == "markdown"
        for line in re.sub(r"```.*?```", "", source(cell), flags=re.S).splitlines()
        if line.startswith("# ")
    ]
    if len(titles) != 1 or not re.search(r"^# ", source(first), re.M):
        return [f"one H1, in the first cell: {titles}"]
    return []


def without_magic(text: str) -> str:
    return re.sub(r"^(\s*)[!%].*$", r"\1pass", text, flags=re.M)


NOTEBOOK_RULES: list[Callable[[Notebook], list[str]]] = [
    executed_in_order,
    no_stderr_and_no_errors,
    nothing_kept_from_comparison,
    opens_anywhere,
    figures_have_alt_text,
    figures_have_a_compared_invariant,
    cells_are_short,
    nothing_is_cut,
    no_bare_results,
    imports_come_first,
    no_star_imports_and_no_shell,
    no_global_randomness,
    begins_with_a_title,
]


@pytest.mark.parametrize("rule", NOTEBOOK_RULES, ids=lambda rule: rule.__name__)
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_keeps_the_rule(path: Path, rule: Callable[[Notebook], list[str]]) -> None:
    complaints = rule(read(path))
    assert complaints == []


def test_there_are_chapters() -> None:
    assert NOTEBOOKS
    assert all(re.fullmatch(r"\d\d_[a-z_]+\.ipynb", path.name) for path in NOTEBOOKS)


# A good notebook, and for each rule the change that breaks it.


def good_notebook() -> Notebook:
    figure = {
        "output_type": "display_data",
        "data": {"image/png": "…", "text/plain": ["a line that rises"]},
        "metadata": {"alt": "a line that rises", "caption": "It rises."},
    }
    printed = {"output_type": "stream", "name": "stdout", "text": ["1.02\n"]}

    def code(number: int, text: str, outputs: list[Any]) -> Cell:
        return {
            "cell_type": "code",
            "id": f"c{number}",
            "execution_count": number,
            "metadata": {},
            "source": text.splitlines(keepends=True),
            "outputs": outputs,
        }

    drawn = code(2, "rng = np.random.default_rng(0)\nplots.show(figure, alt='…')", [figure])
    drawn["metadata"]["mystnb"] = {
        "image": {"alt": "a line that rises"},
        "figure": {"caption": "It rises."},
    }
    return {
        "metadata": {"kernelspec": {"name": "python3"}, "language_info": {"name": "python"}},
        "cells": [
            {"cell_type": "markdown", "id": "t", "metadata": {}, "source": ["# Keep the scale\n"]},
            code(1, "import numpy as np", []),
            drawn,
            code(3, "print(f'{q:.3g}')", [printed]),
        ],
    }


def change(*path: Any, to: Any) -> Callable[[Notebook], None]:
    """A function that sets one entry of a notebook; `path` leads to it."""

    def apply(notebook: Notebook) -> None:
        place: Any = notebook
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = to

    return apply


STDERR = {"output_type": "stream", "name": "stderr", "text": ["oh\n"]}
PRINTED = {"output_type": "stream", "name": "stdout", "text": ["1.02\n"]}
RESULT = {"output_type": "execute_result", "data": {"text/plain": ["Text(0, 0.5, 'x')"]}}
ERROR = {"output_type": "error", "ename": "ValueError", "evalue": "no", "traceback": []}
BAD_NOTEBOOKS = [
    (executed_in_order, change("cells", 2, "execution_count", to=None)),
    (executed_in_order, change("cells", 2, "execution_count", to=3)),
    (no_stderr_and_no_errors, change("cells", 1, "outputs", to=[STDERR])),
    (no_stderr_and_no_errors, change("cells", 1, "outputs", to=[ERROR])),
    (nothing_kept_from_comparison, change("cells", 3, "metadata", "tags", to=["nbval-skip"])),
    (nothing_kept_from_comparison, change("cells", 3, "metadata", "tags", to=["raises-exception"])),
    (nothing_kept_from_comparison, change("cells", 3, "source", to=["# NBVAL_IGNORE_OUTPUT\n"])),
    (opens_anywhere, change("metadata", "kernelspec", "name", to="my-env")),
    (opens_anywhere, change("cells", 0, to={"cell_type": "markdown", "source": ["# No id\n"]})),
    (figures_have_alt_text, change("cells", 2, "metadata", "mystnb", to={})),
    (figures_have_alt_text, change("cells", 2, "metadata", "mystnb", "image", "alt", to="other")),
    (figures_have_alt_text, change("cells", 2, "outputs", 0, "metadata", to={})),
    (figures_have_alt_text, change("cells", 2, "outputs", 0, "metadata", "caption", to="Other.")),
    (figures_have_alt_text, change("cells", 2, "outputs", to=[])),
    (figures_have_a_compared_invariant, change("cells", 3, "outputs", to=[])),
    (cells_are_short, change("cells", 3, "source", to=["x = 1\n"] * 16)),
    (nothing_is_cut, change("cells", 3, "source", to=["x = " + "1 + " * 19 + "1\n"])),
    (nothing_is_cut, change("cells", 3, "outputs", to=[PRINTED | {"text": ["x" * 61 + "\n"]}])),
    (no_bare_results, change("cells", 3, "outputs", to=[PRINTED, RESULT])),
    (imports_come_first, change("cells", 2, "source", to=["from winit import theory\n"])),
    (imports_come_first, change("cells", 2, "source", to=["def f():\n", "    import scipy\n"])),
    (no_star_imports_and_no_shell, change("cells", 1, "source", to=["from numpy import *\n"])),
    (no_star_imports_and_no_shell, change("cells", 1, "source", to=["!pip install winit\n"])),
    (no_global_randomness, change("cells", 2, "source", to=["np.random.seed(0)\n"])),
    (no_global_randomness, change("cells", 2, "source", to=["x = np.random.randn(3)\n"])),
    (begins_with_a_title, change("cells", 0, "source", to=["Keep the scale\n"])),
    (begins_with_a_title, change("cells", 0, "source", to=["# One\n", "# Two\n"])),
]


@pytest.mark.parametrize(
    ("rule", "spoil"), BAD_NOTEBOOKS, ids=[rule.__name__ for rule, _ in BAD_NOTEBOOKS]
)
def test_rule_sees_a_bad_notebook(
    rule: Callable[[Notebook], list[str]], spoil: Callable[[Notebook], None]
) -> None:
    notebook = good_notebook()
    assert not rule(notebook)
    bad = copy.deepcopy(notebook)
    spoil(bad)
    assert rule(bad)


def test_every_notebook_rule_has_a_bad_example() -> None:
    assert {rule for rule, _ in BAD_NOTEBOOKS} == set(NOTEBOOK_RULES)


def test_article_may_be_quoted() -> None:
    notebook = good_notebook()
    change("cells", 2, "source", to=["W = np.random.randn(4, 2)\n"])(notebook)
    change("cells", 2, "metadata", "tags", to=["global-random"])(notebook)
    assert not no_global_randomness(notebook)


# The table of contents ----------------------------------------------------------------------------


def chapters_of(toc: dict[str, Any]) -> list[str]:
    """Every notebook named in a table of contents, in its order."""
    found = []
    entries = [toc, *toc.get("parts", [])]
    while entries:
        entry = entries.pop(0)
        if str(entry.get("file", "")).startswith("notebooks/"):
            found.append(Path(entry["file"]).with_suffix("").name)
        entries = [*entry.get("chapters", []), *entry.get("sections", []), *entries]
    return found


def test_contents_are_the_sorted_notebooks() -> None:
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    assert chapters_of(toc) == [path.stem for path in NOTEBOOKS]


def test_contents_are_read_in_order() -> None:
    toc = yaml.safe_load(
        """
        root: book/index
        parts:
          - chapters: [{file: notebooks/01_a, sections: [{file: notebooks/02_b}]}]
          - chapters: [{file: book/api}, {file: notebooks/03_c.ipynb}]
        """
    )
    assert chapters_of(toc) == ["01_a", "02_b", "03_c"]


# The one-way order of imports ---------------------------------------------------------------------

# What each module may import when it is loaded, and what only inside a function. `_checks` holds
# the messages for bad input that several modules share.
AT_LOADING = {
    "__init__": {"numpy", "winit._checks", "winit.initializers", "winit.article"},
    "_checks": {"numpy"},
    "_quadrature": {"numpy"},
    "initializers": {"numpy", "winit._checks"},
    "article": {"winit._checks", "winit.initializers"},
    "activations": {"numpy", "winit._checks"},
    "theory": {"numpy", "winit._checks", "winit._quadrature", "winit.activations"},
    "network": {"numpy", "winit._checks", "winit.activations"},
    "blocks": {"numpy", "winit._checks", "winit.activations", "winit.network"},
    "diagnostics": {"numpy", "winit._checks", "winit.activations", "winit.network"},
    "plots": {"numpy", "winit._checks", "matplotlib", "cycler"},
    "report": {"numpy", "winit._checks"},
    "program": {"numpy", "winit.diagnostics"},
    "reader": {"numpy", "winit.program"},
    "subject": {"numpy", "winit.program", "winit.reader"},
    "redraw": {"numpy", "winit.activations", "winit.theory"}
    | {f"winit.{name}" for name in ("_checks", "initializers", "program", "subject")},
    "judge": {"numpy"} | {f"winit.{name}" for name in ("program", "redraw", "report", "subject")},
    "jax": {"numpy", "jax", "winit._checks", "winit.reader", "winit.subject"},
    "keras": {"numpy", "keras"}
    | {f"winit.{name}" for name in ("_checks", "initializers", "program", "reader", "redraw")},
    "torch": {"numpy", "torch", "winit._checks", "winit.initializers"}
    | {f"winit.{name}" for name in ("program", "reader", "redraw", "subject")},
    "frameworks": {"winit._checks"},
    "__main__": {"winit._checks"},
}
WHEN_USED = {
    "_checks": {"ml_dtypes"},
    "activations": {"scipy"},
    "theory": {"scipy"},
    "network": {"tqdm"},
    "plots": {"IPython"},
    "report": {"winit.plots"},
    "jax": {"winit.judge", "winit.redraw"},
    "torch": {"winit.judge"},
    "keras": {"winit.judge"},  # and the bridge of its backend, by a name that is computed
    "__main__": {"keras", "winit", "winit.frameworks", "winit.jax", "winit.keras"},
    "__init__": {f"winit.{name}" for name in AT_LOADING},
}


def imports_of(text: str) -> tuple[set[str], set[str]]:
    """The modules imported when a source of winit is loaded, and those only inside its functions.

    Packages are named by their first part, modules of winit in full; the standard library and what
    stands under `if TYPE_CHECKING:` are left out.
    """
    tree = ast.parse(text)
    only_for_types: set[ast.AST] = set()
    lazy: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            only_for_types |= {inner for child in node.body for inner in ast.walk(child)}
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            lazy |= set(ast.walk(node))
    found: tuple[set[str], set[str]] = (set(), set())
    for node in ast.walk(tree):
        if node in only_for_types:
            continue
        found[node in lazy].update(imported_by(node))
    return found


def imported_by(node: ast.AST) -> set[str]:
    names: list[str] = []
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom):
        package = node.module or ""
        if node.level:
            package = f"winit.{package}".rstrip(".")
        names = [f"{package}.{alias.name}" for alias in node.names] if package == "winit" else []
        names = names or [package]
    elif (
        isinstance(node, ast.Call)
        and ast.unparse(node.func).endswith("import_module")
        and isinstance(node.args[0], ast.Constant)
    ):
        name = str(node.args[0].value)
        names = [f"winit{name}" if name.startswith(".") else name]
    result = set()
    for name in names:
        first, *rest = name.split(".")
        if first == "winit":
            result.add(".".join(["winit", *rest[:1]]))
        elif first not in sys.stdlib_module_names:
            result.add(first)
    return result


def import_complaints(module: str, text: str) -> list[str]:
    if module not in AT_LOADING:
        return [f"{module} is not in the table of modules"]
    at_loading, when_used = imports_of(text)
    allowed = AT_LOADING[module]
    complaints = [f"{module} imports {name}" for name in at_loading - allowed]
    allowed_later = allowed | WHEN_USED.get(module, set())
    complaints += [f"{module} imports {name} when used" for name in when_used - allowed_later]
    return complaints


@pytest.mark.parametrize("path", sorted((ROOT / "winit").glob("*.py")), ids=lambda path: path.stem)
def test_imports_go_one_way(path: Path) -> None:
    complaints = import_complaints(path.stem, path.read_text(encoding="utf-8"))
    assert complaints == []


def test_package_is_flat() -> None:
    folders = {path.parent for path in (ROOT / "winit").rglob("*.py")}
    assert folders == {ROOT / "winit"}
    assert not list((ROOT / "winit").glob("utils.py"))


@pytest.mark.parametrize(
    ("module", "text"),
    [
        ("theory", "from winit import network"),
        ("theory", "from winit.network import forward"),
        ("theory", "from .network import forward"),
        ("theory", "import scipy.special"),
        ("theory", "def f():\n    from . import network"),
        ("initializers", "def f():\n    import scipy"),
        ("network", "from tqdm.auto import tqdm"),
        ("network", "import matplotlib.pyplot as plt"),
        ("diagnostics", "def f():\n    import importlib\n    importlib.import_module('keras')"),
        ("utils", ""),
    ],
)
def test_wrong_imports_are_seen(module: str, text: str) -> None:
    assert import_complaints(module, text)


@pytest.mark.parametrize(
    ("module", "text"),
    [
        ("theory", "import numpy as np\nfrom winit.activations import get"),
        ("theory", "def f():\n    from scipy import optimize"),
        ("network", "def f():\n    from tqdm.auto import tqdm"),
        ("article", "from .initializers import he_normal"),
        ("network", "if TYPE_CHECKING:\n    from matplotlib.figure import Figure"),
    ],
)
def test_right_imports_are_let_be(module: str, text: str) -> None:
    assert not import_complaints(module, text)


# What `import winit` costs ------------------------------------------------------------------------


def python(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    ).stdout


def test_import_takes_less_than_a_fifth_of_a_second() -> None:
    """Of the processor's time: how busy the machine is does not count."""
    clock = "time.process_time()"
    code = f"import numpy.random, time; t = {clock}; import winit; print({clock} - t)"
    seconds = [float(python(code)) for _ in range(5)]
    print(f"import winit after numpy: {statistics.median(seconds):.3f} s, least {min(seconds):.3f}")
    assert min(seconds) < 0.2


# The wheel ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The source distribution, and the wheel built from it."""
    return package.build(tmp_path_factory.mktemp("built"))


@pytest.fixture(scope="module")
def wheel(built: tuple[Path, Path]) -> zipfile.ZipFile:
    return zipfile.ZipFile(built[1])


@pytest.fixture(scope="module")
def metadata(wheel: zipfile.ZipFile) -> Message:
    text = wheel.read(f"winit-{winit.__version__}.dist-info/METADATA").decode()
    return message_from_string(text)


def test_wheel_holds_the_package_alone(wheel: zipfile.ZipFile) -> None:
    names = set(wheel.namelist())
    info = f"winit-{winit.__version__}.dist-info"
    assert {name.split("/")[0] for name in names} == {"winit", info}
    ours = {f"winit/{path.name}" for path in (ROOT / "winit").glob("*.py")}
    assert ours | {"winit/py.typed"} == {name for name in names if name.startswith("winit/")}
    assert f"{info}/licenses/LICENSE" in names


def test_wheel_offers_the_extras(metadata: Message) -> None:
    assert set(metadata.get_all("Provides-Extra")) == set(
        PROJECT["project"]["optional-dependencies"]
    )
    always = [r for r in map(Requirement, metadata.get_all("Requires-Dist")) if not r.marker]
    assert sorted(r.name for r in always) == ["matplotlib", "numpy", "scipy", "tqdm"]


def test_source_distribution_is_the_repository(built: tuple[Path, Path]) -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout, so what belongs to the repository is not known")
    assert package.files_of(built[0]) == package.source_files()


# What a package index shows -----------------------------------------------------------------------

CONFIG = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
ADDRESS = "https://github.com/someone/book"
README = (ROOT / "README.md").read_text(encoding="utf-8")


def addresses_shown(markdown: str) -> list[str]:
    """Where the links and pictures lead, once the index has rendered and cleaned the text."""
    html = readme_renderer.markdown.render(markdown)
    assert html
    page = BeautifulSoup(html, "html.parser")
    return [tag.get("href") or tag.get("src") for tag in page.select("a[href], img[src]")]


def test_metadata_introduce_the_package(metadata: Message) -> None:
    assert metadata["Name"] == "winit" and metadata["Version"] == winit.__version__
    assert metadata["Author"] and metadata["Summary"] and metadata["Keywords"]
    assert metadata["Description-Content-Type"] == "text/markdown"
    classifiers = metadata.get_all("Classifier")
    assert set(classifiers) <= set(trove_classifiers.classifiers)
    minors = range(bootstrap.OLDEST_PYTHON[1], bootstrap.NEWEST_LOCKED[1] + 1)
    versions = re.findall(
        r"^Programming Language :: Python :: 3\.(\d+)$", "\n".join(classifiers), re.M
    )
    assert versions == [str(minor) for minor in minors]
    assert metadata["Requires-Python"] == f">=3.{minors[0]}"


def test_index_shows_no_address_that_leads_nowhere(metadata: Message) -> None:
    """The description in the wheel, with the addresses that _config.yml gives."""
    description = metadata.get_payload()
    assert "# Before the first step" in description and "## The package alone" in description
    outward = [address for address in addresses_shown(description) if address[0] != "#"]
    url = CONFIG["repository"]["url"]
    urls = [text.partition(", ")[2] for text in metadata.get_all("Project-URL", [])]
    assert bool(urls) == bool(url) and all(address.startswith(url) for address in urls)
    assert all(address.startswith("https://") for address in outward), outward
    if not url:
        assert outward == re.findall(r"\]\((https://[^)]+)\)", README)


def test_address_of_the_repository_is_read_as_the_book_reads_it() -> None:
    text = (ROOT / "_config.yml").read_text(encoding="utf-8")
    for url in ("", ADDRESS):
        changed = re.sub(r'^  url: ".*"', f'  url: "{url}"', text, flags=re.M)
        told = yaml.safe_load(changed)["repository"]
        assert index.repository(changed) == (told["url"], told["branch"]) == (url, "main")
    assert index.repository("title: a\nhtml:\n  url: https://example.org\n") == ("", "main")


def test_index_shows_picture_and_links_once_there_is_an_address() -> None:
    shown = addresses_shown(index.on_an_index(README, ADDRESS, "main"))
    assert f"{ADDRESS}/raw/main/book/_static/cover-wide.png" in shown
    assert f"{ADDRESS}/blob/main/CONTRIBUTING.md" in shown
    assert f"{ADDRESS}/tree/main/notebooks" in shown
    for address in shown:
        if address.startswith(ADDRESS):
            path = address.removeprefix(f"{ADDRESS}/").split("/", 2)[2]
            assert (ROOT / path).exists(), address


@pytest.mark.parametrize(
    ("text", "without", "with_address"),
    [
        ("[how](CONTRIBUTING.md)", "how", f"[how]({ADDRESS}/blob/dev/CONTRIBUTING.md)"),
        ("[`tests/`](tests)", "`tests/`", f"[`tests/`]({ADDRESS}/tree/dev/tests)"),
        ("[a](https://e.org/b)", "[a](https://e.org/b)", "[a](https://e.org/b)"),
        ("[a](#b)", "[a](#b)", "[a](#b)"),
        ("![cover](a.png)", "", f"![cover]({ADDRESS}/raw/dev/a.png)"),
        (
            '<img width="9"\nsrc="a.png" alt="b">',
            "",
            f'<img width="9"\nsrc="{ADDRESS}/raw/dev/a.png" alt="b">',
        ),
        ('<img src="https://e.org/a.png">',) * 3,
    ],
)
def test_relative_address_is_made_absolute_or_goes(
    text: str, without: str, with_address: str
) -> None:
    assert index.on_an_index(text, "", "dev") == without
    assert index.on_an_index(text, ADDRESS, "dev") == with_address


# The version, which stands in winit/__init__.py ---------------------------------------------------


def versions_in_the_papers() -> dict[str, str]:
    """What each paper says the version is: the newest that it names."""
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    heading = re.search(r"^## \[?([^\s\]]+)\]?(?: .*)?$", changes, re.M)
    return {
        "CITATION.cff": str(citation["version"]),
        "CHANGELOG.md": heading[1] if heading else "",
        "installed": importlib.metadata.version("winit"),
    }


def test_version_stands_in_one_place_and_the_papers_name_it() -> None:
    assert str(Version(winit.__version__)) == winit.__version__
    assert versions_in_the_papers() == dict.fromkeys(versions_in_the_papers(), winit.__version__)
    assert "version" not in PROJECT["project"] and "version" in PROJECT["project"]["dynamic"]


# Lock files ---------------------------------------------------------------------------------------


def pins(text: str) -> dict[str, str]:
    """Package and version of every line of a lock file."""
    found = re.findall(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^\s;\\]+)", text, re.M)
    return {canonicalize_name(name): number for name, number in found}


def requirements(extra: str | None) -> list[Requirement]:
    """What pyproject.toml asks for, with an extra of winit's own replaced by its contents."""
    project = PROJECT["project"]
    texts = project["dependencies"] if extra is None else project["optional-dependencies"][extra]
    result = []
    for requirement in map(Requirement, texts):
        if requirement.name == "winit":
            for inner in sorted(requirement.extras):
                result += requirements(inner)
        else:
            result.append(requirement)
    return result


def lock_complaints(text: str, wanted: list[Requirement]) -> list[str]:
    locked = pins(text)
    complaints = []
    for requirement in wanted:
        number = locked.get(canonicalize_name(requirement.name))
        if number is None or not requirement.specifier.contains(number, prereleases=True):
            complaints.append(f"{requirement} is asked for, {number} is locked: make lock")
    blocks = re.findall(r"^\S+==.*(?:\n[ \t]+.*)*", text, re.M)
    complaints += [f"no hash: {block.split()[0]}" for block in blocks if "--hash=" not in block]
    complaints += re.findall(r"^\s*(?:-i|--index-url|--extra-index-url|--find-links).*", text, re.M)
    return complaints


@pytest.mark.parametrize(
    ("lock", "extra"), [("requirements.txt", "test"), ("requirements-book.txt", "book")]
)
def test_lock_gives_what_pyproject_asks_for(lock: str, extra: str) -> None:
    text = (ROOT / lock).read_text(encoding="utf-8")
    assert not lock_complaints(text, requirements(None) + requirements(extra))


def test_book_lock_is_a_part_of_the_whole() -> None:
    whole, book = (
        pins((ROOT / name).read_text(encoding="utf-8"))
        for name in ("requirements.txt", "requirements-book.txt")
    )
    assert book.items() < whole.items()
    assert not {"keras", "jax", "jaxlib"} & book.keys()


@pytest.mark.parametrize(
    "text",
    [
        "numpy==1.26.0 \\\n    --hash=sha256:00\n",
        "scipy==1.17.1 \\\n    --hash=sha256:00\n",
        "numpy==2.4.6\n",
        "--index-url https://example.org/simple\nnumpy==2.4.6 \\\n    --hash=sha256:00\n",
    ],
    ids=["too old", "missing", "no hash", "an index"],
)
def test_bad_lock_is_seen(text: str) -> None:
    assert lock_complaints(text, [Requirement("numpy>=2.0")])
    assert not lock_complaints("numpy==2.4.6 \\\n    --hash=sha256:0\n", [Requirement("numpy>=2")])


# Floors -------------------------------------------------------------------------------------------


def test_every_dependency_states_a_floor_that_can_be_tested() -> None:
    stated = dependencies.wanted("newest", PROJECT["project"]["dependencies"])
    assert [Requirement(text).name for text in stated] == ["numpy", "scipy", "matplotlib", "tqdm"]
    keras = PROJECT["project"]["optional-dependencies"][dependencies.FRAMEWORKS]
    for text in [*stated, *keras]:
        exact = Requirement(dependencies.floor(text))
        (pin,) = exact.specifier
        assert pin.operator == "==" and Requirement(text).specifier.contains(pin.version)
        assert exact.extras == Requirement(text).extras
    assert dependencies.floor("jax[cpu]>=0.5") == "jax[cpu]==0.5"


def test_what_runs_the_oldest_tests_is_locked() -> None:
    """ml_dtypes 0.7 changed what bfloat16 and float16 have in common, and CI failed that day."""
    pins = [Requirement(text) for text in dependencies.runners("oldest")]
    assert [pin.name for pin in pins] == dependencies.RUNNERS == dependencies.runners("newest")
    lock = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    assert all(f"\n{pin} \\\n" in lock for pin in pins)


@pytest.mark.parametrize("text", ["numpy", "numpy==2.0", "numpy>=2.0,<3", "numpy>2.0"])
def test_dependency_without_a_floor_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="states no floor"):
        dependencies.floor(text)


@pytest.mark.parametrize(("tests", "code"), [(0, check.SKIPPED), (1, 1), (-9, -9)])
def test_other_versions_are_skipped_without_a_network_but_hide_no_failure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tests: int, code: int
) -> None:
    """The first installation is well, the tests end so, then the network goes."""
    calls: list[str] = []

    def uv(*arguments: str) -> None:
        calls.append(arguments[0])
        if len(calls) == 2:
            raise dependencies.NotHereError("the package index cannot be reached (no)")

    monkeypatch.setattr(dependencies, "make_environment", lambda which: Path(sys.executable))
    monkeypatch.setattr(dependencies, "uv", uv)
    monkeypatch.setattr(dependencies, "versions", lambda *_: "")
    monkeypatch.setattr(dependencies, "test_files", lambda _: ["tests/test_init.py"])
    monkeypatch.setattr(dependencies, "run_tests", lambda *_: tests)
    monkeypatch.setenv("KERAS_BACKEND", "jax")  # it is set in main: put back afterwards
    assert dependencies.main(["oldest"]) == code
    assert "oldest: not tested, because the package index cannot" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("which", "newer", "ran"), [("newest", "", 0), ("newest", "9", 2), ("oldest", "", 2)]
)
def test_newest_is_tested_where_it_is_newer(
    monkeypatch: pytest.MonkeyPatch, which: str, newer: str, ran: int
) -> None:
    python = Path("made up")
    calls: list[Path] = []
    monkeypatch.setattr(dependencies, "make_environment", lambda which: python)
    monkeypatch.setattr(dependencies, "uv", lambda *_: None)
    monkeypatch.setattr(dependencies, "versions", lambda at, _: newer if at == python else "")
    monkeypatch.setattr(dependencies, "test_files", lambda _: ["tests/test_init.py"])
    monkeypatch.setattr(dependencies, "run_tests", lambda at, _: calls.append(at) or 0)
    monkeypatch.setenv("KERAS_BACKEND", "jax")  # it is set in main: put back afterwards
    assert dependencies.main([which]) == 0
    assert len(calls) == ran


def test_index_that_cannot_be_reached_is_told_from_a_requirement_that_cannot_be_met(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Real calls of uv: an index where nobody answers, and one that lacks the version."""
    python = str(Path(sys.executable))
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:9/simple")
    asked = ("pip", "install", "--dry-run", "--quiet", "--python", python, "winit-absent==1.0")
    with pytest.raises(dependencies.NotHereError, match="the package index cannot be reached"):
        dependencies.uv(*asked)
    (tmp_path / "simple").mkdir()
    monkeypatch.setenv("UV_DEFAULT_INDEX", (tmp_path / "simple").as_uri())
    with pytest.raises(SystemExit, match="uv pip install failed"):
        dependencies.uv(*asked)


# Files under version control ----------------------------------------------------------------------

TEXT = {".py", ".md", ".ipynb", ".toml", ".txt", ".yml", ".yaml", ".json", ".cff", ".bib", ".css"}
TEXT |= {".html", ".js", ".svg", ""}
MACHINE = [
    re.compile(r"/(?:home|Users)/[a-z][\w.-]*/"),
    re.compile(r"/root/[\w.]"),
    re.compile(r"/tmp/(?:ipykernel|pytest|tmp)"),
    re.compile(r"[A-Z]:\\+Users\\"),
    re.compile(r"file:///\w"),
    re.compile(r"<\w[\w.]* (?:object )?at 0x[0-9a-f]{6,}>"),
    re.compile(r"\"resolved\": \"http"),
]


def tracked_files() -> list[Path]:
    listing = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listing.returncode != 0:
        pytest.skip("not a git checkout, so there are no tracked files to look through")
    paths = (ROOT / name for name in listing.stdout.split("\0") if name)
    return [path for path in paths if path.suffix in TEXT and path.is_file()]


def traces_of_a_machine(text: str) -> list[str]:
    here = [str(ROOT)] if len(ROOT.parts) > 2 else []
    return [path for path in here if path in text] + [
        found.group() for pattern in MACHINE for found in pattern.finditer(text)
    ]


def test_no_file_names_a_machine() -> None:
    complaints = {
        path.relative_to(ROOT).as_posix(): traces
        for path in tracked_files()
        if path != Path(__file__) and (traces := traces_of_a_machine(path.read_text("utf-8")))
    }
    assert not complaints


@pytest.mark.parametrize(
    "text",
    [
        "cd /home/ann/winit",
        "/Users/ann/winit/book",
        "see /root/.cache",
        "/tmp/ipykernel_12/3.py",
        r"C:\Users\ann",
        "<Figure object at 0x7f3a12bc>",
        '"resolved": "https://registry.example.org/katex.tgz"',
        f"built in {ROOT}",
    ],
)
def test_trace_of_a_machine_is_seen(text: str) -> None:
    assert traces_of_a_machine(text)


def make_targets() -> set[str]:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    return set(re.findall(r"^([a-z-]+):", makefile, re.M))


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md"])
def test_make_targets_named_in_the_papers_exist(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    named = set(re.findall(r"(?:`|^|\n)make ([a-z-]+)", text))
    assert {"book", "test", "test-long"} <= named <= make_targets()


CODE = re.findall(r"^```python\n(.*?)^```", README, re.M | re.S)


def test_readme_has_code() -> None:
    assert len(CODE) >= 2


@pytest.mark.parametrize(
    "block",
    [pytest.param(block, marks=[pytest.mark.long] * ("import keras" in block)) for block in CODE],
    ids=lambda block: block.splitlines()[0],
)
def test_code_of_the_readme_runs(block: str) -> None:
    said = {line.split("#")[0].strip(): line for line in block.splitlines() if "#" in line}
    assert python(block)
    for code, line in said.items():
        if number := re.search(r"# (\d+\.\d+)\.\.\.", line):
            assert python(f"import winit; print({code})").startswith(number.group(1))


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md"])
def test_links_of_the_papers_lead_somewhere(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)|<img[^>]* src=\"([^\"]+)\"", text)
    targets = [link or image for link, image in links if "://" not in (link or image)]
    assert targets
    assert not [target for target in targets if not (ROOT / target).exists()]


def test_workflows_call_the_same_make_targets() -> None:
    called = set()
    for path in (ROOT / ".github" / "workflows").glob("*.yml"):
        jobs = yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"]
        steps = [step for job in jobs.values() for step in job["steps"]]
        for step in steps:
            if "uses" in step:
                assert re.fullmatch(r"[\w/-]+@v\d+", step["uses"]), "pin to a major version"
            called |= set(re.findall(r"\bmake ([a-z-]+)", step.get("run", "")))
    assert {"book", "test", "test-long"} <= called <= make_targets()
