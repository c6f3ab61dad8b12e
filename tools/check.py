"""Run every check of a tier, or those named, some side by side; an early failure stops none.

`make test` runs the first tier and `make test-long` (`--long`) the second. By name, a check of
either runs alone: `python tools/check.py style types`. A check that cannot run where it is, for
want of a network, ends with the code SKIPPED after a line that says why: the summary shows it, and
it is no failure.
"""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import random
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from notebooks import NOTEBOOKS, ROOT, kernel_environment

SKIPPED = 77  # the code by which a check says that it could not run here
PYTEST = [sys.executable, "-m", "pytest"]
if not sys.stdout.isatty():
    PYTEST.append("--color=no")  # else nbval writes escape codes into the log
# Three, since a test that drives a browser waits for it half of its time.
TESTS = [*PYTEST, "--numprocesses=3", "--dist=worksteal", "--durations=10", "tests"]
# Tracing costs a third of the time, so coverage is of the long tier, without the tests that run
# none of winit in their own process.
COVERAGE = ["--cov", "--cov-report=term-missing", "--cov-report=html"]
NOT_TRACED = ("book", "commands", "course", "lab_engine", "lab_page", "notebooks", "search")
ACCEPT = "if the new outputs are right, accept them: make notebooks"


@dataclass
class Check:
    """One check: its commands, run in turn, and what to do when it fails."""

    name: str
    what: str
    commands: list[list[str]]
    advice: str
    environment: dict[str, str] = field(default_factory=dict)
    folder: Path = ROOT
    beside: bool = False  # it runs at the same time as the one before, and is shown after it
    code: int = 0  # these three are known when it has run
    seconds: float = 0.0
    busy: float = 0.0  # of all processors: beside the seconds, how busy they were


def other_cpu() -> dict[str, str]:
    """Variables under which NumPy, its BLAS, XLA and PyTorch compute as on an old processor.

    NumPy warns about features that it was not built for or that this processor lacks, so only those
    that it would use here are named. BLAS and XLA know the plain processors of x86-64 alone.
    """
    code = (
        "import json, numpy._core._multiarray_umath as m;"
        "print(json.dumps([f for f in m.__cpu_dispatch__ if m.__cpu_features__.get(f)]))"
    )
    features = json.loads(subprocess.check_output([sys.executable, "-c", code], text=True))
    variables = {"NPY_DISABLE_CPU_FEATURES": ",".join(features)} if features else {}
    variables["ATEN_CPU_CAPABILITY"] = "default"  # PyTorch's
    if platform.machine().lower() in ("x86_64", "amd64"):
        variables["OPENBLAS_CORETYPE"] = "Nehalem"
        variables["XLA_FLAGS"] = "--xla_cpu_max_isa=SSE4_2"
    return variables


def in_any_order(seed: int) -> list[str]:
    """The notebooks in an order of the seed's own."""
    paths = sorted(str(path) for path in NOTEBOOKS.glob("*.ipynb"))
    random.Random(seed).shuffle(paths)
    return paths


def order_seed() -> int:
    """WINIT_ORDER, or else a seed that no run had before."""
    return int(os.environ.get("WINIT_ORDER") or random.SystemRandom().randrange(10**6))


def short_checks() -> list[Check]:
    """What `make test` runs: about 14 minutes on two idle cores, and 15 at the most."""
    python = sys.executable
    seed = order_seed()
    nbval = ["--nbval", "--nbval-current-env", "--dist=loadfile", "--no-loadscope-reorder"]
    configured = ["-c", str(ROOT / "pyproject.toml"), "--rootdir", str(ROOT)]
    return [
        Check(
            "style",
            "ruff, notebooks included",
            [
                [python, "-m", "ruff", "check", "."],
                [python, "-m", "ruff", "format", "--check", "."],
            ],
            "most of it is fixed by: .venv/bin/ruff check --fix . && .venv/bin/ruff format .",
        ),
        Check(
            "book",
            "built from clean, warnings are errors",
            [[python, "tools/book.py", "--clean"]],
            "",
        ),
        Check("types", "mypy on winit, tools and book", [[python, "-m", "mypy"]], "", beside=True),
        Check(
            "tests",
            "pytest less what is marked long",
            [[*TESTS, "-m", "not long"]],
            "",
        ),
        Check(
            "notebooks",
            f"strict nbval, from another folder, in the order of WINIT_ORDER={seed}",
            [[*PYTEST, "--numprocesses=1", *nbval, *configured, *in_any_order(seed)]],
            ACCEPT,
            folder=ROOT / "_build" / "elsewhere",
            beside=True,
        ),
    ]


def long_checks() -> list[Check]:
    """What `make test-long` adds: about 45 minutes on two idle cores, and 25 would be right."""
    python = sys.executable
    seed = order_seed()
    return [
        Check(
            "long-tests",
            "pytest on what is marked long, and many examples for each property",
            [[*TESTS, "-m", "(long or hypothesis) and not slow", "--hypothesis-profile=many"]],
            "",
        ),
        Check(
            "other-cpu",
            "notebooks as on a plain processor, text and pictures: from the installed wheel, "
            f"offline, in the order of WINIT_ORDER={seed}",
            [[python, "tools/package.py", "notebooks", *in_any_order(seed)]],
            "print fewer digits, or an inequality, where another processor gives other outputs",
            other_cpu(),
            beside=True,
        ),
        Check(
            "coverage",
            "the branches of winit that the tests of make test reach",
            [
                [
                    *(*TESTS, *COVERAGE, "-m", "not long"),
                    *(f"--ignore=tests/test_{name}.py" for name in NOT_TRACED),
                ]
            ],
            "",
            {} if importlib.util.find_spec("torch") else {"WINIT_UNREACHED": "winit/torch.py"},
        ),
        Check(
            "oldest",
            "the package's tests with its oldest dependencies",
            [[python, "tools/dependencies.py", "oldest"]],
            "make it work there, or raise the floor in pyproject.toml",
            beside=True,
        ),
        Check(
            "newest",
            "the package's tests with the newest of everything",
            [[python, "tools/dependencies.py", "newest"]],
            "",
        ),
        Check(
            "sdist",
            "the source distribution is whole and tests itself",
            [[python, "tools/package.py", "sdist"]],
            "",
            beside=True,
        ),
    ]


TIERS = {"make test": short_checks, "make test-long": long_checks}


def call(line: list[str], check: Check, output: IO[str] | None) -> int:
    """Run a command of the check, add what it has used of the processors, and return its code."""
    environment = kernel_environment() | check.environment
    errors = subprocess.STDOUT if output else None
    process = subprocess.Popen(
        line, cwd=check.folder, env=environment, stdout=output, stderr=errors
    )
    if os.name != "nt":
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        check.busy += usage.ru_utime + usage.ru_stime
    return process.wait()


def run(check: Check, output: IO[str] | None = None) -> int:
    """0 if the check is well, SKIPPED if it could not run here, anything else if it failed."""
    started, check.busy = time.perf_counter(), 0.0
    shown = " ".join(f'{name}="{value}"' for name, value in check.environment.items())
    print(f"\n==== {check.name}: {check.what} {shown}".rstrip(), file=output, flush=True)
    check.folder.mkdir(parents=True, exist_ok=True)
    codes = [call(line, check, output) for line in check.commands]
    for code in codes:
        if code < 0:  # it was killed, by hand or for want of memory, and could not say so itself
            print(f"\n{check.name}: ended by signal {-code}", file=output, flush=True)
    wrong = [code for code in codes if code not in (0, SKIPPED)]
    check.code = wrong[0] if wrong else max(codes)
    check.seconds = time.perf_counter() - started
    return check.code


def run_side_by_side(checks: list[Check]) -> None:
    """Run checks at the same time; the output of the first is seen at once, the others' after."""
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / check.name for check in checks[1:]]
        outputs = [path.open("w", encoding="utf-8") for path in files]
        each = zip(checks[1:], outputs, strict=True)
        others = [threading.Thread(target=run, args=pair) for pair in each]
        for thread in others:
            thread.start()
        run(checks[0])
        for thread, output, path in zip(others, outputs, files, strict=True):
            thread.join()
            output.close()
            print(path.read_text("utf-8", errors="replace"), end="", flush=True)


def main(arguments: list[str]) -> int:
    names = [argument for argument in arguments if argument != "--long"]
    tier = "make test-long" if "--long" in arguments else "make test"
    chosen = TIERS[tier]()
    if names:
        tier = "alone"
        every = [check for checks in TIERS.values() for check in checks()]
        known = [check.name for check in every]
        if unknown := [name for name in names if name not in known]:
            print(f"no check called {', '.join(unknown)}: there are {', '.join(known)}")
            return 2
        chosen = [check for check in every if check.name in names]
    started = time.perf_counter()
    rounds: list[list[Check]] = []
    for check in chosen:
        if check.beside and rounds:
            rounds[-1].append(check)
        else:
            rounds.append([check])
    for checks in rounds:
        run_side_by_side(checks)

    print(f"\n==== summary ({tier})")
    for check in chosen:
        word = {0: "ok", SKIPPED: "skipped"}.get(check.code, "FAILED")
        times = f"{check.seconds:6.1f} s (CPU {check.busy:6.1f})"
        print(f"{word:<7} {check.name:<10} {times}  {check.what}")
        if word == "FAILED":
            print(f"        alone: .venv/bin/python tools/check.py {check.name}")
            if check.advice:
                print(f"        {check.advice}")
    failed = [check.name for check in chosen if check.code not in (0, SKIPPED)]
    skipped = [check.name for check in chosen if check.code == SKIPPED]
    outcome = f"FAILED: {', '.join(failed)}" if failed else "all is well"
    if skipped:
        outcome += f", skipped: {', '.join(skipped)}"
    minutes = (time.perf_counter() - started) / 60
    print(f"{outcome} ({len(chosen)} checks, {minutes:.1f} min)")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
