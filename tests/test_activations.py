"""Activations: each derivative against differences, each limit, each kink."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import optimize, special

from winit import activations
from winit.activations import ACTIVATIONS, SELU_ALPHA, SELU_SCALE, Activation

Array = NDArray[Any]

ALL = [*ACTIVATIONS.values(), activations.leaky_relu(0.2)]
each = pytest.mark.parametrize("phi", ALL, ids=lambda phi: phi.name)

X = np.linspace(-7.9137, 7.9137, 500)  # no kink is within 0.001 of a point


@each
def test_derivative_against_central_differences(phi: Activation) -> None:
    h = 1e-5  # truncation h^2 |phi'''| / 6 < 1e-10, rounding eps |phi| / h < 2e-10
    differences = (phi(X + h) - phi(X - h)) / (2 * h)
    np.testing.assert_allclose(phi.derivative(X), differences, rtol=0, atol=1e-9)


@each
def test_float32_is_float64_rounded(phi: Activation) -> None:
    x = X.astype(np.float32)
    wide = x.astype(np.float64)
    for function in (phi, phi.derivative):
        assert function(x).dtype == np.float32
        # 20 roundings of a number near 1: gelu_tanh's slope is the difference of larger ones.
        np.testing.assert_allclose(function(x), function(wide), rtol=2e-6, atol=20 * 2**-23)


E4 = 1e4
LIMITS = {  # phi(-1e4), phi(1e4), phi'(-1e4), phi'(1e4)
    "linear": (-E4, E4, 1, 1),
    "relu": (0, E4, 0, 1),
    "relu6": (0, 6, 0, 0),
    "leaky_relu(0.01)": (-100, E4, 0.01, 1),
    "leaky_relu(0.2)": (-2000, E4, 0.2, 1),
    "elu": (-1, E4, 0, 1),
    "selu": (-SELU_SCALE * SELU_ALPHA, SELU_SCALE * E4, 0, SELU_SCALE),
    "gelu": (0, E4, 0, 1),
    "gelu_tanh": (0, E4, 0, 1),
    "silu": (0, E4, 0, 1),
    "mish": (0, E4, 0, 1),
    "softplus": (0, E4, 0, 1),
    "softsign": (-E4 / (1 + E4), E4 / (1 + E4), (1 + E4) ** -2, (1 + E4) ** -2),
    "tanh": (-1, 1, 0, 0),
    "lecun_tanh": (-1.7159, 1.7159, 0, 0),
    "sigmoid": (0, 1, 0, 0),
    "erf": (-1, 1, 0, 0),
    "hard_tanh": (-1, 1, 0, 0),
    "sin": (-np.sin(E4), np.sin(E4), np.cos(E4), np.cos(E4)),
}


@each
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_no_overflow_and_the_right_limit(phi: Activation, dtype: type) -> None:
    x: Array = np.array([-E4, E4], dtype)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        values = np.concatenate([phi(x), phi.derivative(x)])
    assert values.dtype == dtype
    np.testing.assert_allclose(values, LIMITS[phi.name], rtol=1e-6, atol=1e-30)


JUMPS = {
    "relu": {0},
    "relu6": {0, 6},
    "leaky_relu(0.01)": {0},
    "leaky_relu(0.2)": {0},
    "selu": {0},
    "hard_tanh": {-1, 1},
}


@each
def test_kinks_are_declared_and_the_slope_there_is_the_left_one(phi: Activation) -> None:
    grid = np.round(np.linspace(-10, 10, 20001), 3)
    jumps = np.abs(np.diff(phi.derivative(grid))) > 0.005  # the smooth ones change by < 0.0012
    last_before = {float(x) for x in grid[:-1][jumps]}
    assert last_before == JUMPS.get(phi.name, set())
    assert last_before <= set(phi.kinks)


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


CLOSED: dict[str, Callable[[Array], Array]] = {
    "relu": lambda x: (x + abs(x)) / 2,
    "relu6": lambda x: np.minimum(np.maximum(x, 0), 6),
    "elu": lambda x: np.where(x > 0, x, np.exp(x) - 1),
    "selu": lambda x: SELU_SCALE * np.where(x > 0, x, SELU_ALPHA * (np.exp(x) - 1)),
    "gelu": lambda x: x * (1 + special.erf(x / np.sqrt(2))) / 2,
    "silu": lambda x: x * sigmoid(x),
    "mish": lambda x: x * np.tanh(np.log(1 + np.exp(x))),
    "softplus": lambda x: np.log(1 + np.exp(x)),
    "tanh": lambda x: 2 * sigmoid(2 * x) - 1,
    "sigmoid": sigmoid,
    "erf": lambda x: 2 * special.ndtr(np.sqrt(2) * x) - 1,
    "hard_tanh": lambda x: (abs(x + 1) - abs(x - 1)) / 2,
}


@pytest.mark.parametrize("name", CLOSED)
def test_textbook_form(name: str) -> None:
    np.testing.assert_allclose(ACTIVATIONS[name](X), CLOSED[name](X), rtol=1e-12, atol=1e-14)


def test_leaky_relu_is_the_two_lines_it_says() -> None:
    np.testing.assert_array_equal(activations.leaky_relu(0.2)([-5.0, 5.0]), [-1.0, 5.0])
    np.testing.assert_array_equal(activations.leaky_relu(1.0)(X), X)
    np.testing.assert_array_equal(activations.leaky_relu(0.0)(X), ACTIVATIONS["relu"](X))


def test_softplus_slope_is_the_sigmoid() -> None:
    slopes = ACTIVATIONS["softplus"].derivative(X)
    np.testing.assert_array_equal(slopes, ACTIVATIONS["sigmoid"](X))


def test_gelu_tanh_is_close_to_gelu() -> None:
    distance = np.abs(ACTIVATIONS["gelu_tanh"](X) - ACTIVATIONS["gelu"](X)).max()
    assert 1e-4 < distance < 5e-4  # Hendrycks & Gimpel's approximation, not the function itself


def test_selu_constants_solve_its_fixed_point() -> None:
    """Klambauer et al. 2017: alpha makes the mean 0, the scale then the second moment 1."""
    one, two = special.erfc(np.sqrt(0.5)), special.erfc(np.sqrt(2))
    alpha = np.sqrt(2 / np.pi) / (1 - np.exp(0.5) * one)
    below = alpha**2 * (np.exp(2) * two - 2 * np.exp(0.5) * one + 1)
    assert abs(SELU_ALPHA - alpha) < 1e-14
    assert abs(SELU_SCALE - np.sqrt(2 / (1 + below))) < 1e-14


def test_lecun_tanh_has_the_properties_it_was_made_for() -> None:
    """LeCun et al. 1998, section 4.4: f(±1) = ±1, most curved at |x| = 1 (about)."""
    phi = ACTIVATIONS["lecun_tanh"]
    np.testing.assert_allclose(phi([-1.0, 1.0]), [-1, 1], atol=1e-5)

    def bend(x: float) -> float:
        return float(phi.derivative(x + 1e-4) - phi.derivative(x - 1e-4))

    most = optimize.minimize_scalar(bend, bounds=(0.5, 1.5), method="bounded").x
    assert abs(most - 1.5 * np.arctanh(1 / np.sqrt(3))) < 1e-3


def test_input_of_any_kind() -> None:
    tanh = ACTIVATIONS["tanh"]
    assert tanh([0, 1]).dtype == tanh(np.array([0, 1])).dtype == np.float64
    assert tanh(0.5).shape == ()
    assert repr(tanh) == "<activation tanh>"


def test_get() -> None:
    assert activations.get("gelu") is activations.gelu
    assert activations.get(activations.gelu) is activations.gelu
    assert activations.get(activations.leaky_relu).name == "leaky_relu(0.01)"
    assert {activations.get(name).name.partition("(")[0] for name in ACTIVATIONS} == {*ACTIVATIONS}


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-9), (np.float32, 1e-6)])
def test_a_plain_function_gets_its_slope_by_differences(dtype: type, tolerance: float) -> None:
    phi = activations.get(np.tanh)
    x: Array = X.astype(dtype)
    assert phi.name == "tanh" and phi(x).dtype == phi.derivative(x).dtype == dtype
    expected = ACTIVATIONS["tanh"].derivative(x)
    np.testing.assert_allclose(phi.derivative(x), expected, rtol=0, atol=tolerance)
    square = activations.get(np.square)  # far out the step grows with x
    np.testing.assert_allclose(square.derivative([E4]), 2 * E4, rtol=1e-9)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: activations.get("rleu"), ValueError, r"got 'rleu'. Did you mean 'relu'\?"),
        (lambda: activations.get(0.5), TypeError, "a name or a function, got 0.5"),  # type: ignore[arg-type]
        (lambda: activations.leaky_relu(np.nan), ValueError, "slope must be finite, got nan"),
    ],
)
def test_errors(call: Callable[[], object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
