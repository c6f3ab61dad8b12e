"""PyTorch for the tests: they are skipped where it is missing, with one line, but never in CI.

A module of tests begins with ``pytorch.needed()``, before it imports what needs PyTorch; where only
one test does, it begins with ``pytorch.skip_without()``.
"""

from __future__ import annotations

import importlib.util
import os

import pytest

REASON = "PyTorch is not installed: https://pytorch.org/get-started shows how"


def needed() -> None:
    """Skip the module of tests that is being collected, or fail it in CI, without PyTorch."""
    skip_without(allow_module_level=True)


def skip_without(
    package: str = "torch", reason: str = REASON, *, allow_module_level: bool = False
) -> None:
    """Skip the test that runs, or fail it in CI, without a package."""
    if importlib.util.find_spec(package) is None:
        if os.environ.get("CI") == "true":
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason, allow_module_level=allow_module_level)
