"""Build the book into _build/html; any warning fails the build. `--clean` starts from nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "_build"
SOURCES = ("_config.yml", "_toc.yml", "book", "notebooks", "winit")
JUPYTER_BOOK = "from jupyter_book.cli.main import main; main(prog_name='jupyter-book')"


def last_change() -> dict[str, str]:
    """The date at the foot of each page: when git last saw the sources change.

    Not the time of building, and nothing where git does not know these files.
    """
    if "SOURCE_DATE_EPOCH" in os.environ:
        return {}
    command = ["git", "log", "-1", "--format=%ct", "--", *SOURCES]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    except OSError:
        return {}
    return {"SOURCE_DATE_EPOCH": done.stdout.strip()} if done.stdout.strip() else {}


def main(arguments: list[str]) -> int:
    if "--clean" in arguments:
        shutil.rmtree(BUILD, ignore_errors=True)
    options = ["build", "--quiet", "--warningiserror", "--nitpick", "--keep-going", "."]
    code = subprocess.call(
        [sys.executable, "-c", JUPYTER_BOOK, *options], cwd=ROOT, env=os.environ | last_change()
    )
    if code != 0:
        # A page that was read once is not read again, and its warning not repeated: without this
        # the same build would pass when called a second time.
        shutil.rmtree(BUILD / ".doctrees", ignore_errors=True)
        print("\nThe book was not built without warnings: see above.", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
