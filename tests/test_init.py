"""The package as a whole: its public names, and what importing it costs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import winit


def test_every_public_name_is_there() -> None:
    pytest.importorskip("keras")
    assert winit.__all__ == sorted(winit.__all__)
    for name in winit.__all__:
        assert getattr(winit, name).__doc__
    assert winit.theory.gain("relu") == pytest.approx(2**0.5)


def test_a_name_that_is_not_there() -> None:
    with pytest.raises(AttributeError, match="module 'winit' has no attribute 'xavier'"):
        _ = winit.xavier


def test_importing_costs_numpy_alone() -> None:
    code = """
import sys, time
import numpy.random
loaded, start = set(sys.modules), time.process_time()
import winit
print(time.process_time() - start < 0.2)
new = {name.partition(".")[0] for name in set(sys.modules) - loaded}
print(sorted(new - {"winit", "numpy"} - sys.stdlib_module_names))
print(sorted(name for name in sys.modules if name.startswith("winit.")))
"""
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert printed.stderr == ""
    quick, foreign, modules = printed.stdout.splitlines()
    assert quick == "True" and foreign == "[]"
    assert modules == "['winit._checks', 'winit.article', 'winit.initializers']"


def test_type_hints_reach_users() -> None:
    assert (Path(winit.__file__).parent / "py.typed").is_file()
