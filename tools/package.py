"""The package as others get it: built from the repository's files, used far from them.

`python tools/package.py sdist` unpacks the source distribution and runs a quick selection of its
own tests. `python tools/package.py notebooks [NOTEBOOK …]` installs the wheel where nothing of the
source lies beside it, without a network, and compares the notebooks, copied to a folder of their
own, with a fresh run.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from fnmatch import fnmatch
from pathlib import Path

from notebooks import NOTEBOOKS, ROOT, beside

OFFLINE = ROOT / "tools" / "offline"
UV = Path(sys.executable).with_name("uv.exe" if os.name == "nt" else "uv")
QUICK = ["init", "checks", "initializers", "article", "activations", "repository"]
# What setuptools writes beside the files that it was given.
GENERATED = ("PKG-INFO", "setup.cfg", "winit.egg-info/")


def source_files() -> list[str]:
    """What makes up the repository, relative to its root: all that .gitignore does not name."""
    if (ROOT / ".git").exists():
        command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        names = set(listed.stdout.split("\0"))
    else:  # an unpacked source distribution
        patterns = [line.rstrip("/") for line in (ROOT / ".gitignore").read_text("utf-8").split()]
        paths = [path.relative_to(ROOT) for path in ROOT.rglob("*")]
        names = {
            path.as_posix()
            for path in paths
            if not any(fnmatch(part, pattern) for part in path.parts for pattern in patterns)
        }
    return sorted(name for name in names if is_ours(name) and (ROOT / name).is_file())


def is_ours(name: str) -> bool:
    """Whether a file of a source distribution is not one that setuptools wrote."""
    return bool(name) and not name.startswith(GENERATED)


def build(folder: Path) -> tuple[Path, Path]:
    """The source distribution, and the wheel built from it, in the folder.

    A copy of the source is built: setuptools leaves files behind, and takes what it finds of them.
    """
    copy = folder / "source"
    for name in source_files():
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, copy / name)
    options = ["--quiet", "--offline", "--no-build-isolation", "--python", sys.executable]
    subprocess.run([UV, "build", *options, "--out-dir", folder / "dist", copy], check=True)
    (sdist,) = (folder / "dist").glob("*.tar.gz")
    (wheel,) = (folder / "dist").glob("*.whl")
    return sdist, wheel


def files_of(sdist: Path) -> list[str]:
    """The files of a source distribution that setuptools was given, relative to its root."""
    with tarfile.open(sdist) as archive:
        members = [member.name.partition("/")[2] for member in archive if member.isfile()]
    return sorted(filter(is_ours, members))


def where_winit_is(folder: Path, environment: dict[str, str]) -> Path:
    """The folder of the `winit` that a Python started there imports."""
    code = "import winit; print(winit.__file__)"
    command = [sys.executable, "-c", code]
    printed = subprocess.check_output(command, cwd=folder, env=environment, text=True)
    return Path(printed.strip()).resolve().parent


def check_sdist(folder: Path) -> int:
    """The unpacked source distribution is whole, and its own quick tests are well."""
    sdist, _ = build(folder)
    if files_of(sdist) != source_files():
        differing = sorted(set(files_of(sdist)) ^ set(source_files()))
        print(f"{sdist.name} and the repository differ in {differing}: see MANIFEST.in")
        return 1
    with tarfile.open(sdist) as archive:
        archive.extractall(folder / "unpacked", filter="data")
    (root,) = (folder / "unpacked").iterdir()
    if where_winit_is(root, dict(os.environ)) != (root / "winit").resolve():
        print("the tests of the source distribution would import another winit")
        return 1
    print(f"{sdist.name}: {len(files_of(sdist))} files, {sdist.stat().st_size / 1e6:.1f} MB")
    tests = [f"tests/test_{name}.py" for name in QUICK]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not long"]
    return subprocess.call([*command, "--numprocesses=2", *tests], cwd=root)


def check_notebooks(folder: Path, names: list[str]) -> int:
    """The notebooks, far from the source and without a network, give the committed outputs."""
    _, wheel = build(folder)
    site, copies = folder / "site", folder / "a folder of its own"
    install = ["pip", "install", "--quiet", "--offline", "--no-deps", "--python", sys.executable]
    subprocess.run([UV, *install, "--target", site, wheel], check=True)
    copies.mkdir()
    paths = [Path(name) for name in names] or sorted(NOTEBOOKS.glob("*.ipynb"))
    for path in paths:
        shutil.copy(path, copies)
    for path in beside(NOTEBOOKS):
        shutil.copy(path, copies)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, (site, OFFLINE)))}
    if where_winit_is(copies, environment) != (site / "winit").resolve():
        print("the notebooks would import another winit than the wheel's")
        return 1
    command = [sys.executable, str(ROOT / "tools" / "notebooks.py"), "--check"]
    here = [str(copies / path.name) for path in paths]
    return subprocess.call([*command, *here], cwd=copies, env=environment)


def main(arguments: list[str]) -> int:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        match arguments:
            case ["sdist"]:
                return check_sdist(Path(name))
            case ["notebooks", *notebooks]:
                return check_notebooks(Path(name), notebooks)
    print(__doc__)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
