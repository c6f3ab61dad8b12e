"""Run every check, or those named, one after the other; all are run even when an early one fails.

`python tools/check.py style types` runs those two; `make test` runs all.
"""

from __future__ import annotations

import json
import platform
import subprocess
import sys
import time
from dataclasses import dataclass, field

from notebooks import ROOT, kernel_environment

PYTEST = [sys.executable, "-m", "pytest", "--numprocesses=2", "--dist=loadfile"]
if not sys.stdout.isatty():
    PYTEST.append("--color=no")  # else nbval writes escape codes into the log
NBVAL = [*PYTEST, "--nbval", "--nbval-current-env", "notebooks"]
COVERAGE = ["--cov", "--cov-report=term-missing", "--cov-report=html"]
ACCEPT = "if the new outputs are right, accept them: make notebooks"


@dataclass
class Check:
    """One check: its commands, run in turn, and what to do when it fails."""

    name: str
    what: str
    commands: list[list[str]]
    advice: str
    environment: dict[str, str] = field(default_factory=dict)


def other_cpu() -> dict[str, str]:
    """Variables under which NumPy, its BLAS and XLA compute as on an old, plain processor.

    NumPy warns about features that it was not built for or that this processor lacks, so only those
    that it would use here are named. The other two know the plain processors of x86-64 alone.
    """
    code = (
        "import json, numpy._core._multiarray_umath as m;"
        "print(json.dumps([f for f in m.__cpu_dispatch__ if m.__cpu_features__.get(f)]))"
    )
    features = json.loads(subprocess.check_output([sys.executable, "-c", code], text=True))
    variables = {"NPY_DISABLE_CPU_FEATURES": ",".join(features)} if features else {}
    if platform.machine().lower() in ("x86_64", "amd64"):
        variables["OPENBLAS_CORETYPE"] = "Nehalem"
        variables["XLA_FLAGS"] = "--xla_cpu_max_isa=SSE4_2"
    return variables


def checks() -> list[Check]:
    python = sys.executable
    return [
        Check(
            "style",
            "ruff, notebooks included",
            [
                [python, "-m", "ruff", "check", "."],
                [python, "-m", "ruff", "format", "--check", "."],
            ],
            "mend most of it: .venv/bin/ruff check --fix . && .venv/bin/ruff format .",
        ),
        Check("types", "mypy on winit, tools and book", [[python, "-m", "mypy"]], ""),
        Check(
            "book",
            "built from clean, warnings are errors",
            [[python, "tools/book.py", "--clean"]],
            "",
        ),
        Check(
            "tests",
            "pytest, with the branch coverage of winit",
            [[*PYTEST, "--durations=5", *COVERAGE, "tests"]],
            "",
        ),
        Check("notebooks", "strict nbval", [NBVAL], ACCEPT),
        Check(
            "other-cpu",
            "strict nbval as on a plain processor",
            [NBVAL],
            "print fewer digits, or an inequality, where another processor gives other outputs",
            other_cpu(),
        ),
        Check(
            "pictures",
            "re-executed and compared",
            [[python, "tools/notebooks.py", "--check"]],
            ACCEPT,
        ),
    ]


def run(check: Check) -> bool:
    shown = " ".join(f'{name}="{value}"' for name, value in check.environment.items())
    print(f"\n==== {check.name}: {check.what} {shown}".rstrip(), flush=True)
    environment = kernel_environment() | check.environment
    codes = [subprocess.call(command, cwd=ROOT, env=environment) for command in check.commands]
    for code in codes:
        if code < 0:  # it was killed, by hand or for want of memory, and could not say so itself
            print(f"\n{check.name}: ended by signal {-code}", flush=True)
    return not any(codes)


def main(names: list[str]) -> int:
    all_checks = checks()
    known = [check.name for check in all_checks]
    if unknown := [name for name in names if name not in known]:
        print(f"no check called {', '.join(unknown)}: there are {', '.join(known)}")
        return 2
    results = []
    for check in all_checks:
        if not names or check.name in names:
            started = time.perf_counter()
            well = run(check)
            results.append((check, well, time.perf_counter() - started))

    print("\n==== summary")
    for check, well, seconds in results:
        print(f"{'ok    ' if well else 'FAILED'} {check.name:<10} {seconds:6.1f} s  {check.what}")
        if not well:
            print(f"       alone: .venv/bin/python tools/check.py {check.name}")
            if check.advice:
                print(f"       {check.advice}")
    failed = [check.name for check, well, _ in results if not well]
    total = sum(seconds for _, _, seconds in results)
    outcome = f"FAILED: {', '.join(failed)}" if failed else "all is well"
    print(f"{outcome} ({len(results)} checks, {total / 60:.1f} min)")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
