"""Diagnosis: each field beside its direct computation, each illness made on purpose."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import winit
from winit import activations, diagnostics, network

Array = NDArray[Any]

RNG = np.random.default_rng(0)
X = RNG.standard_normal((20, 6))
LABELS = RNG.integers(0, 3, 20)
PARAMS = network.init_params([6, 8, 7, 3], winit.he_normal, RNG)
IDENTITY = network.init_params([2, 2, 2], winit.identity)


def test_each_field_against_a_direct_computation() -> None:
    report = diagnostics.diagnose(PARAMS, X, LABELS, activation="tanh", jacobian=True)
    trace = network.forward(PARAMS, X, "tanh")
    loss, output_gradient = network.softmax_cross_entropy(trace.output, LABELS)
    gradients = network.backward(PARAMS, trace, output_gradient)
    passed_on = [np.tanh(trace.z[0]), np.tanh(trace.z[1]), trace.z[2]]  # the last is linear
    assert report.loss == loss and report.activation == "tanh" and len(report) == 3
    assert report.layer.tolist() == [1, 2, 3] and report.units.tolist() == [8, 7, 3]
    for i, (z, a, delta) in enumerate(zip(trace.z, passed_on, gradients.z, strict=True)):
        layer = report.layers[i]
        flat = 1 - a**2 < 0.05 if i < 2 else np.zeros_like(a, dtype=bool)
        expected = {
            "q": (z**2).mean(),
            "second_moment": (a**2).mean(),
            "mean": a.mean(),
            "std": a.std(),
            "saturated": flat.mean(),
            "gradient": (delta**2).mean(),
            "weight_gradient": np.sqrt((gradients.params[f"W{i + 1}"] ** 2).sum()),
        }
        for name, value in expected.items():
            assert getattr(layer, name) == pytest.approx(value, rel=1e-12), name
            assert getattr(report, name)[i] == getattr(layer, name)
        assert layer.dead == 0 and layer.distinct == z.shape[1]
    spectrum = np.linalg.svd(diagnostics.jacobian(PARAMS, X[0], "tanh"))[1]
    assert report.singular_values is not None
    np.testing.assert_allclose(report.singular_values, spectrum)


def test_without_a_target_a_random_gradient_goes_back() -> None:
    report = diagnostics.diagnose(PARAMS, X, rng=3)
    trace = network.forward(PARAMS, X)
    drawn = np.random.default_rng(3).standard_normal((20, 3))
    gradients = network.backward(PARAMS, trace, drawn)
    assert report.loss is None and report.singular_values is None
    np.testing.assert_allclose(report.gradient, [(d**2).mean() for d in gradients.z])


def test_saturated_share() -> None:
    """|tanh z| > 0.975 is |z| > 2.18: here three of four, in one layer of identity weights."""
    x = np.array([[2.19, 2.17], [-3.0, 50.0]])
    assert diagnostics.diagnose(IDENTITY, x, activation="tanh").saturated.tolist() == [0.75, 0]
    # A sigmoid's slope is 1/4 at most: flat is below 5 % of that, at |z| > 4.36.
    x = np.array([[4.37, 4.35], [-4.37, 0.0]])
    assert diagnostics.diagnose(IDENTITY, x, activation="sigmoid").saturated.tolist() == [0.5, 0]


def test_dead_units() -> None:
    params = {name: value.copy() for name, value in PARAMS.items()}
    params["b1"][:2] = -100  # below zero for every example, and so no gradient
    report = diagnostics.diagnose(params, X, LABELS, activation="relu")
    assert report.dead.tolist() == [2, 0, 0]
    assert (network.forward(params, X).a[1][:, :2] == 0).all()


def test_distinct_units() -> None:
    params = {name: value.copy() for name, value in PARAMS.items()}
    params["W1"][3:] = params["W1"][3]  # five units tied
    assert diagnostics.diagnose(params, X).distinct.tolist() == [4, 7, 3]
    assert diagnostics.distinct_units([[1, 1, 2], [3, 3, 4]]) == 2
    zeros = network.init_params([6, 8, 3], winit.zeros)
    assert diagnostics.diagnose(zeros, X).distinct.tolist() == [1, 1]


@pytest.mark.parametrize(("dtype", "rounding"), [(np.float64, 1e-15), (np.float32, 1e-6)])
def test_units_that_differ_by_rounding_are_tied(dtype: type, rounding: float) -> None:
    rng = np.random.default_rng(0)
    units: Array = rng.standard_normal((300, 40))
    noise = 1 + rounding * rng.standard_normal((300, 120))
    copies: Array = (np.tile(units, 3) * noise)[:, rng.permutation(120)].astype(dtype)
    assert diagnostics.distinct_units(copies) == 40
    assert diagnostics.distinct_units(copies, tolerance=10) == 1
    apart = copies.astype(np.float64) + np.arange(120) * 1e-3
    assert diagnostics.distinct_units(apart) == 120


def test_jacobian_against_differences() -> None:
    x, h = X[0].copy(), 1e-5
    jacobian = diagnostics.jacobian(PARAMS, x, "gelu")
    assert jacobian.shape == (3, 6)
    for j in range(6):
        step = h * np.eye(6)[j]
        ahead, behind = (network.forward(PARAMS, [x + s], "gelu").output for s in (step, -step))
        np.testing.assert_allclose(jacobian[:, j], (ahead - behind)[0] / (2 * h), atol=1e-9)


def test_jacobian_of_a_linear_network_is_the_product_of_its_matrices() -> None:
    product = PARAMS["W3"] @ PARAMS["W2"] @ PARAMS["W1"]
    np.testing.assert_allclose(diagnostics.jacobian(PARAMS, X[0], "linear"), product, rtol=1e-12)
    orthogonal = network.init_params([6, 6, 6], partial(winit.orthogonal, gain=1.1), 0)
    singular = diagnostics.jacobian_singular_values(orthogonal, X[0], "linear")
    np.testing.assert_allclose(singular, 1.21, rtol=1e-12)


@pytest.mark.parametrize("name", activations.ACTIVATIONS)
def test_steepest_slope_is_nowhere_exceeded(name: str) -> None:
    slopes = np.abs(activations.get(name).derivative(np.linspace(-50, 50, 100_001)))
    assert slopes.max() <= diagnostics.steepest(name) * (1 + 1e-4)


def test_float32_is_measured_in_float64() -> None:
    """In float32 the squares of 1e30 would overflow."""
    assert diagnostics.second_moment(np.full(4, 1e30, np.float32)) == pytest.approx(1e60)
    params = network.init_params([6, 8, 3], winit.he_normal, 0, dtype=np.float32)
    report = diagnostics.diagnose(params, X, LABELS)
    assert report.q.dtype == np.float64
    z = network.forward(params, X).z[0].astype(np.float64)
    assert report.q[0] == pytest.approx((z**2).mean(), rel=1e-12)


def test_the_table_can_be_read() -> None:
    lines = repr(diagnostics.diagnose(IDENTITY, [[1.0, -2.0]], [0])).splitlines()
    heads = "layer units q E a^2 mean std saturated dead distinct gradient^2 |dW|"
    assert " ".join(lines[0].split()) == heads
    assert lines[1].split()[:9] == ["1", "2", "2.5", "0.5", "0.5", "0.5", "50.0%", "1", "2"]
    assert [len(line) for line in lines] == [len(lines[0])] * 3  # columns in line
    with pytest.raises(AttributeError, match="Report has no attribute 'variance'"):
        _ = diagnostics.diagnose(IDENTITY, [[1.0, -2.0]]).variance


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: diagnostics.diagnose(PARAMS, np.zeros((0, 6))), r"at least one example.*\(0, 6\)"),
        (lambda: diagnostics.diagnose(PARAMS, np.full((1, 6), np.nan)), "finite values"),
        (lambda: diagnostics.diagnose(PARAMS, 1.0), r"x must have shape \(examples, 6\)"),
        (lambda: diagnostics.diagnose(PARAMS, X[:, :5]), r"x must have shape \(examples, 6\)"),
        (lambda: diagnostics.diagnose(PARAMS, X, [0]), "20 whole-number labels"),
        (lambda: diagnostics.diagnose(PARAMS, X, loss="mean"), "loss must be one of"),
        (lambda: diagnostics.diagnose(PARAMS, X, activation="rleu"), "Did you mean 'relu'"),
        (lambda: diagnostics.diagnose(PARAMS, X, rng=-1), "a seed must be 0 or larger"),
        (lambda: diagnostics.jacobian(PARAMS, X), "one example: x must have 1 axis, got 2"),
    ],
)
def test_errors(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
