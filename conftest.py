"""For the tests and for nbval over the notebooks: Keras's backend, what is skipped, what to do."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# Before any test or kernel imports Keras, which otherwise looks for TensorFlow.
os.environ.setdefault("KERAS_BACKEND", "jax")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip the cells of a notebook that needs PyTorch where that is missing; in CI they fail."""
    if os.environ.get("CI") == "true":
        return
    reasons: dict[Path, str] = {}
    for item in items:
        if item.path.suffix == ".ipynb":
            import nbformat  # what tests alone do without

            from notebooks import lacking

            if item.path not in reasons:
                reasons[item.path] = lacking(nbformat.read(item.path, as_version=4))
            if reasons[item.path]:
                item.add_marker(pytest.mark.skip(reason=reasons[item.path]))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """After the differences that nbval shows: which notebooks they are in, how to accept them."""
    failed = terminalreporter.stats.get("failed", []) + terminalreporter.stats.get("error", [])
    notebooks: dict[str, list[str]] = {}
    for report in failed:
        path, _, cell = report.nodeid.partition("::")
        if path.endswith(".ipynb"):
            # nbval counts from 0; the number beside an executed cell counts from 1.
            number = int(cell.removeprefix("Cell ")) + 1
            notebooks.setdefault(path, []).append(f"[{number}]")
    if not notebooks:
        return
    terminalreporter.section("outputs that are not the committed ones", yellow=True)
    for path, cells in sorted(notebooks.items()):
        terminalreporter.line(f"{path}: code cells {' '.join(cells)}")
    terminalreporter.line("In the differences above + is what is committed, - what came out now.")
    terminalreporter.line("If the new outputs are right, accept them: make notebooks")
