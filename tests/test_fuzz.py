"""The fuzz of `fuzz.py`, and that the fuzz itself can fail."""

from __future__ import annotations

import ast
import builtins
import random
import types
import warnings
from collections.abc import Callable
from typing import Any

import fuzz
import hostile
import numpy as np
import pytest

import winit.activations
import winit.theory

AT_LENGTH = [pytest.mark.long, pytest.mark.minutes]


@pytest.mark.parametrize("calls", [1000, pytest.param(20_000, marks=AT_LENGTH)])
def test_nothing_but_errors_in_our_words(calls: int) -> None:
    failures, _ = fuzz.fuzz(calls, fuzz.SEED)
    if failures:
        pytest.fail(fuzz.summary(failures, limit=30), pytrace=False)


def test_everything_public_is_called() -> None:
    found = {target.source for target in fuzz.targets()}
    for name in winit.initializers.SCHEMES:
        assert f"winit.initializers.{name}" in found
    own = [
        n for n, a in vars(winit.activations).items() if isinstance(a, winit.activations.Activation)
    ]
    assert len(own) >= 17
    for name in own:
        assert {f"winit.activations.{name}", f"winit.activations.{name}.derivative"} <= found
    assert "winit.network.sgd" in found and "winit.plots.heatmap" in found
    missing = [
        name
        for name in winit.__all__
        if callable(function := getattr(winit, name, None))
        and not isinstance(function, types.ModuleType)
        and f"{function.__module__}.{name}" not in found
    ]
    assert not missing
    keywords = {
        target.name: {parameter.name for parameter in target.parameters}
        for target in fuzz.targets()
    }
    assert {"shape", "truncated", "rng", "dtype", "in_axis"} <= keywords["he_normal"]


def test_every_name_in_a_hostile_expression_is_known() -> None:
    """What nobody imported would fail in the caller's own code, and never reach `winit`."""
    values = [2, 2.5, True, "tanh", [1, 2], (1, 2), {"W1": [1.0]}, np.ones((3, 3)), len]
    forms = {form for value in values for form in hostile.dressings(value)}
    whole = [expression for pool in hostile.POOL for expression in pool]
    for text in [*whole, *(form.format(*["(0)"] * 3) for form in forms)]:
        nodes = [*ast.walk(ast.parse(text))]
        bound = {node.arg for node in nodes if isinstance(node, ast.arg)}
        used = {node.id for node in nodes if isinstance(node, ast.Name)}
        bound |= {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
        assert not used - bound - fuzz.NAMESPACE.keys() - vars(builtins).keys(), text


def test_a_call_depends_on_seed_and_number_alone() -> None:
    chosen = fuzz.choice("")
    lines = [fuzz.plan(3, index, chosen).line() for index in (5, 6, 5)]
    assert lines[0] == lines[2] != lines[1]
    assert fuzz.plan(4, 5, chosen).line() != lines[0]


def test_most_calls_without_a_poisoned_argument_return() -> None:
    """Else the fuzz would only ever see the checks at the door."""
    chosen = fuzz.choice("network|blocks|initializers|activations|diagnostics")
    calls = [fuzz.plan(1, index, chosen) for index in range(600)]
    healthy = [call for call in calls if not call.poisoned]
    returned = sum(fuzz.attempt(call)[1] is None for call in healthy)
    assert len(healthy) > 100 and returned > 0.85 * len(healthy)


def breaks(name: str) -> Callable[[float], Any]:
    """A stand-in for `winit.theory.gain` with one fault."""

    def gain(activation: Any) -> Any:
        if name == "changed state":
            random.seed(1)
        elif name == "changed argument":
            activation[0] = 5.0
        elif name == "warning":
            warnings.warn("look out", stacklevel=1)
        elif name == "prints":
            print("hello")
        elif name == "names no argument":
            raise ValueError("something is wrong")
        elif name == "long message":
            raise ValueError("activation " * 100)
        elif name == "foreign exception":
            raise KeyError("activation")
        elif name == "foreign words":
            return float(activation)
        elif name == "wrong type":
            return 1
        elif name == "unsound result":
            return float("nan")
        return 1.0

    return gain


@pytest.mark.parametrize(
    "kind",
    [
        "changed state",
        "changed argument",
        "warning",
        "prints",
        "names no argument",
        "long message",
        "foreign exception",
        "foreign words",
        "wrong type",
        "unsound result",
        "",
    ],
)
def test_the_fuzz_sees_each_kind_of_fault(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    code = breaks(kind).__code__
    gain = types.FunctionType(
        code.replace(co_filename=fuzz.PACKAGE + "theory.py"),
        {**vars(winit.theory), "random": random, "warnings": warnings},
        closure=breaks(kind).__closure__,
    )
    # The targets are read once, so they must be of what is true before something else stands there.
    (target,) = (target for target in fuzz.targets() if target.key == "theory.gain")
    monkeypatch.setattr(winit.theory, "gain", gain)
    call = fuzz.Call(0, target, ["np.array([1.0, 2.0])"], {}, {"activation": "'tanh'"})
    failures, _ = fuzz.attempt(call)
    assert [failure.kind for failure in failures] == ([kind] if kind else [])


@pytest.mark.parametrize(
    ("function", "caller"),
    [
        (hostile.raising, True),
        (hostile.raising_value_error, True),
        (lambda: 1, False),
    ],
)
def test_an_error_inside_a_callers_function_is_the_callers(function: Any, caller: bool) -> None:
    hidden = types.FunctionType(
        (lambda call: call(np.ones(2))).__code__.replace(co_filename=fuzz.PACKAGE + "theory.py"),
        {"np": np},
    )
    with pytest.raises(Exception) as caught:
        hidden(function)
    assert fuzz.of_the_caller(fuzz.frames(caught.value.__traceback__)) is caller
