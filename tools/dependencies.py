"""Run the package's tests with other versions of what it needs: the `oldest`, or the `newest`.

`oldest` is the oldest Python with each dependency exactly at the floor that pyproject.toml states,
`newest` is this Python with the newest of all. Each in an environment of its own, first without the
frameworks of the extras, as `pip install winit` leaves it, then with them. Tests run where what
they import is found, and where `newest` differs from the environment of `make test`.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import bootstrap
from check import SKIPPED
from notebooks import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
BUILD, TESTS = ROOT / "_build", ROOT / "tests"
FRAMEWORKS = "keras"  # the extra that holds them
# What running the tests needs, whatever the package's own dependencies are.
RUNNERS = ["hypothesis", "ipython", "ml-dtypes", "pytest", "pytest-xdist", "scikit-learn"]
UV = Path(sys.executable).with_name("uv.exe" if os.name == "nt" else "uv")


class NotHereError(Exception):
    """Why an environment cannot be made on this machine."""


def floor(requirement: str) -> str:
    """`numpy>=2.0` becomes `numpy==2.0`: the floor itself."""
    exact, count = re.subn(r">=", "==", requirement)
    if count != 1 or "," in requirement:
        raise ValueError(f"pyproject.toml states no floor, or more than that: {requirement!r}")
    return exact


def wanted(which: str, requirements: list[str]) -> list[str]:
    return (
        [floor(requirement) for requirement in requirements] if which == "oldest" else requirements
    )


def runners(which: str) -> list[str]:
    """As the lock has them, beside the oldest dependencies: no new release of them breaks those."""
    if which == "newest":
        return RUNNERS
    lock = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    pins = dict(re.findall(r"^([\w-]+)==([^\s;]+)", lock, flags=re.MULTILINE))
    return [f"{name}=={pins[name]}" for name in RUNNERS]


def uv(*arguments: str | Path) -> None:
    """Run uv; its error is the network's, or the project's own."""
    command = [str(UV), *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = done.stderr.strip() or done.stdout.strip()
        if bootstrap.NETWORK_TROUBLE.search(said):
            raise NotHereError(
                f"the package index cannot be reached ({said.splitlines()[-1].strip()})"
            )
        raise SystemExit(f"uv {' '.join(map(str, arguments[:2]))} failed:\n{said}")


def make_environment(which: str) -> Path:
    """The Python of a fresh environment without any package."""
    folder = BUILD / which
    oldest = ".".join(map(str, bootstrap.OLDEST_PYTHON))
    python = sys.executable
    if which == "oldest" and sys.version_info[:2] != bootstrap.OLDEST_PYTHON:
        found = subprocess.run(
            [UV, "python", "find", "--no-python-downloads", "--no-project", oldest],
            capture_output=True,
            text=True,
            check=False,
        )
        if found.returncode != 0:
            raise NotHereError(f"there is no Python {oldest} on this machine")
        python = found.stdout.strip()
    uv("venv", "--quiet", "--clear", "--python", python, folder)
    return folder / Path(bootstrap.PYTHON).relative_to(bootstrap.VENV)


def test_files(python: Path) -> list[str]:
    """The tests of winit's modules whose imports this environment has."""
    modules = [
        path.stem.strip("_") for path in (ROOT / "winit").glob("*.py") if path.stem[:2] != "__"
    ]
    files = {p for name in [*modules, "init", "fuzz"] for p in TESTS.glob(f"test_{name}*.py")}
    code = """
import ast, pathlib, sys
sys.path[:0] = ["tests", "tools"]
for path in sys.argv[1:]:
    tree = ast.parse(pathlib.Path(path).read_text(encoding="utf-8"))
    tree.body = [node for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))]
    try:
        exec(compile(tree, path, "exec"), {})
    except ImportError as error:
        print(f"{path}: {error}", file=sys.stderr)
    else:
        print(path)
"""
    command = [str(python), "-c", code, *map(str, sorted(files))]
    return subprocess.check_output(command, cwd=ROOT, text=True).split()


def run_tests(python: Path, files: list[str]) -> int:
    options = ["-q", "-p", "no:cacheprovider", "-m", "not long", "-n2", "--dist=worksteal"]
    return subprocess.call([str(python), "-m", "pytest", *options, *files], cwd=ROOT)


def versions(python: Path, requirements: list[str]) -> str:
    names = [re.match(r"[\w-]+", requirement)[0] for requirement in requirements]  # type: ignore[index]
    code = (
        "import platform, sys; from importlib.metadata import version as v;"
        "print('Python', platform.python_version(), *(f'{n} {v(n)}' for n in sys.argv[1:]))"
    )
    return subprocess.check_output([str(python), "-c", code, *names], text=True).strip()


def main(arguments: list[str]) -> int:
    if len(arguments) != 1 or arguments[0] not in ("oldest", "newest"):
        print(__doc__)
        return 2
    (which,) = arguments
    os.environ["KERAS_BACKEND"] = "jax"
    core: list[str] = PROJECT["dependencies"]
    frameworks: list[str] = PROJECT["optional-dependencies"][FRAMEWORKS]
    codes, done = [], set[str]()
    try:
        python = make_environment(which)
        for requirements in (core, [*core, *frameworks]):
            needed = [*wanted(which, requirements), *runners(which)]
            uv("pip", "install", "--quiet", "--python", python, *needed)
            found = versions(python, requirements)
            print(f"{which}: {found}", flush=True)
            if which == "newest" and found == versions(Path(sys.executable), requirements):
                print("newest: nothing is newer than here, where make test ran", flush=True)
                codes.append(0)
                continue
            files = [file for file in test_files(python) if file not in done]
            done |= set(files)
            codes.append(run_tests(python, files))
    except NotHereError as reason:
        print(f"{which}: not tested, because {reason}")
        codes.append(SKIPPED)
    return next((code for code in codes if code != 0), 0)  # a failure comes before what is skipped


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
