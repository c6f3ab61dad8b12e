"""PyTorch for the tests: they are skipped where it is missing, with one line, but never in CI.

A module of tests begins with ``pytorch.needed()``, before it imports what needs PyTorch.
"""

from __future__ import annotations

import importlib.util
import os

import pytest

REASON = "PyTorch is not installed: https://pytorch.org/get-started shows how"


def needed() -> None:
    """Skip the module of tests that is being collected, or fail it in CI, without PyTorch."""
    if importlib.util.find_spec("torch") is None:
        if os.environ.get("CI") == "true":
            pytest.fail(REASON, pytrace=False)
        pytest.skip(REASON, allow_module_level=True)
