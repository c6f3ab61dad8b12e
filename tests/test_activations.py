"""Activations: each derivative against differences, each limit, each kink."""

from __future__ import annotations

import copy
import functools
import math
import pickle
from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import optimize, special

from winit import activations, theory
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


# The faults of issue E ----------------------------------------------------------------------------

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
DTYPES = [np.dtype(np.float16), BFLOAT16, np.dtype(np.float32), np.dtype(np.float64)]
DTYPES += [np.dtype(np.longdouble)]
by_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: dtype.name)


def softmax(x: Array) -> Array:
    e = np.exp(x - x.max())
    return e / e.sum()


def in_place(x: Array) -> Array:
    np.maximum(x, 0, out=x)
    return x


class Stateful:
    """It counts its calls, and answers with the count."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, x: Array) -> Array:
        self.calls += 1
        return x + self.calls


def two_arguments(x: Array, y: Array) -> Array:
    return x + y


def with_a_bug(x: Array) -> Array:
    raise KeyError("no such thing")


@pytest.mark.parametrize(
    ("function", "error", "message"),
    [
        (np.log, ValueError, "the activation log must be finite for every real number, .* x = -"),
        (np.arccosh, ValueError, "the activation arccosh must be finite"),
        (lambda x: 1 / x, ValueError, r"must be finite for every real number, .* at x = 0$"),
        (lambda x: np.sin(x) / x, ValueError, r"at x = 0$"),
        (softmax, ValueError, "softmax must act on each number by itself"),
        (special.log_softmax, ValueError, "log_softmax must act on each number by itself"),
        (lambda x: x - x.mean(), ValueError, "must act on each number by itself"),
        (np.cumsum, ValueError, "cumsum must act on each number by itself"),
        (np.sort, ValueError, "sort must act on each number by itself"),
        (Stateful(), ValueError, "Stateful must act on each number by itself"),
        (np.mean, ValueError, r"must return the shape it was given: it made \(\) of \(12,\)"),
        (np.diff, ValueError, r"must return the shape it was given: it made \(11,\) of \(12,\)"),
        (lambda x: x[..., None], ValueError, r"it made \(12, 1\) of \(12,\)"),
        (math.sin, TypeError, "the activation sin must take an array .* pass np.vectorize of it"),
        (math.erf, TypeError, "np.vectorize"),
        (lambda x: x if x > 0 else 0.0, TypeError, "np.vectorize"),
        (lambda x: max(0, x), TypeError, "np.vectorize"),
        (two_arguments, TypeError, "two_arguments must take an array .* it raised TypeError"),
        (with_a_bug, TypeError, "with_a_bug must take an array .* it raised KeyError"),
        (lambda: 1.0, TypeError, "must take an array"),
        (np.emath.sqrt, TypeError, "sqrt must return real numbers"),
        (lambda x: x + 1j, TypeError, "must return real numbers, got an array of complex128"),
        (lambda x: None, TypeError, "must return real numbers, got None"),
        (np.frompyfunc(math.tanh, 1, 1), TypeError, "must return real numbers, .* of object"),
        (lambda x: [str(v) for v in x.ravel()], TypeError, "must return real numbers"),
        (in_place, ValueError, "in_place must not change the array that it is given"),
    ],
)
def test_fault_09_functions_are_tried_once(
    function: Callable[..., Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        activations.get(function)
    # the same for what somebody made an activation of
    if not isinstance(function, Stateful):
        name = getattr(function, "__name__", "")
        with pytest.raises(error, match=message):
            activations.get(Activation(name, function, np.ones_like))
        with pytest.raises(error, match="the derivative of the activation mine"):
            activations.get(Activation("mine", np.ones_like, function))


@pytest.mark.parametrize(
    "function",
    [
        np.tanh,
        np.vectorize(math.tanh),
        functools.partial(np.multiply, 2.0),
        lambda x: np.where(x > 0, 1, 0),
        lambda x: x > 0,
        lambda x: np.tanh(x.astype(np.float32)),
        lambda x: np.tanh(x).tolist(),
        np.poly1d([1.0, 0.0, 2.0]),
        special.expit,
        np.rint,
        np.sign,
    ],
)
def test_what_acts_on_each_number_will_do(function: Callable[..., Any]) -> None:
    phi = activations.get(function)
    values = phi(np.array([[0.5, -2.0]], dtype=np.float32))
    assert values.dtype == np.float32 and values.shape == (1, 2)
    np.testing.assert_allclose(values, np.asarray(function(np.array([[0.5, -2.0]]))), rtol=1e-6)
    assert phi.derivative([0.5, -2.0]).shape == (2,)


def test_a_function_need_not_take_an_array_without_axes() -> None:
    phi = activations.get(lambda x: np.array([math.tanh(v) for v in x.ravel()]).reshape(x.shape))
    listed = activations.get(lambda x: np.array([np.tanh(row) for row in x]))
    assert phi(0.5) == listed(0.5) == np.tanh(0.5) and listed(0.5).shape == ()
    assert f"{listed(0.5):.3f}" == "0.462"


def test_a_function_is_tried_once_only() -> None:
    calls = []

    def function(x: Array) -> Array:
        calls.append(x.shape)
        return np.tanh(x)

    first = activations.get(function)
    tried = len(calls)
    assert activations.get(function) is first and len(calls) == tried
    assert activations.get(first) is first  # the derivative is tried too, but once
    tried = len(calls)
    assert activations.get(first) is first and len(calls) == tried


@each
def test_fault_09_activations_can_be_pickled_and_copied(phi: Activation) -> None:
    for other in (pickle.loads(pickle.dumps(phi)), copy.deepcopy(phi), copy.copy(phi)):
        assert other == phi and hash(other) == hash(phi) and repr(other) == repr(phi)
        np.testing.assert_array_equal(other(X), phi(X))
        np.testing.assert_array_equal(other.derivative(X), phi.derivative(X))
    assert activations.leaky_relu(0.3) == activations.leaky_relu(0.3) != activations.leaky_relu(0.4)


def test_fault_09_what_is_made_of_a_function_can_be_pickled_if_the_function_can() -> None:
    for function in (np.tanh, special.expit, sigmoid, np.arctan):
        phi = activations.get(function)
        again = pickle.loads(pickle.dumps(phi))
        np.testing.assert_array_equal(again.derivative(X), phi.derivative(X))


@each
@by_dtype
def test_fault_09_every_dtype_is_kept_and_rounded_once(phi: Activation, dtype: Any) -> None:
    x = X.astype(dtype)
    exact = x.astype(np.float64)
    # one unit in the last place of a number near 1, times 20 as above for those that are wide
    eps = max(float(ml_dtypes.finfo(dtype).eps), float(np.finfo(np.float64).eps))
    units = 1 if dtype.itemsize < 4 else 20
    for function in (phi, phi.derivative):
        values = function(x)
        assert values.dtype == dtype and values.shape == x.shape
        np.testing.assert_allclose(
            values.astype(np.float64),
            function(exact),
            rtol=units * eps,
            atol=units * eps,
        )
        assert function(x[0]).dtype == dtype and function(x[:0]).shape == (0,)


# At the largest number of a dtype: slope on the right and on the left of lines, or the limits.
ENDS: dict[str, tuple[float, float, float, float]] = {  # phi(-x) / x, phi(x) / x, phi'(-x), phi'(x)
    "linear": (-1, 1, 1, 1),
    "relu": (0, 1, 0, 1),
    "relu6": (0, 0, 0, 0),
    "leaky_relu(0.01)": (-0.01, 1, 0.01, 1),
    "leaky_relu(0.2)": (-0.2, 1, 0.2, 1),
    "elu": (0, 1, 0, 1),
    "selu": (0, SELU_SCALE, 0, SELU_SCALE),
    **dict.fromkeys(("gelu", "gelu_tanh", "silu", "mish", "softplus"), (0, 1, 0, 1)),
    **dict.fromkeys(("tanh", "lecun_tanh", "sigmoid", "erf", "hard_tanh"), (0, 0, 0, 0)),
    "softsign": (0, 0, 0, 0),
}
BOUNDED = {  # phi(-x), phi(x)
    "relu6": (0, 6),
    "elu": (-1, None),
    "selu": (-SELU_SCALE * SELU_ALPHA, None),
    "tanh": (-1, 1),
    "lecun_tanh": (-1.7159, 1.7159),
    "sigmoid": (0, 1),
    "erf": (-1, 1),
    "hard_tanh": (-1, 1),
    "softsign": (-1, 1),
}


@each
@by_dtype
def test_fault_09_right_at_the_largest_number(phi: Activation, dtype: Any) -> None:
    largest = ml_dtypes.finfo(dtype).max
    wide = np.dtype(np.longdouble)
    for part in (1.0, 0.5):  # selu's value at the largest number itself is larger than that
        x = np.array([-largest, largest], dtype) * dtype.type(part)
        values, slopes = phi(x), phi.derivative(x)
        assert values.dtype == slopes.dtype == dtype
        eps = float(ml_dtypes.finfo(dtype).eps)
        if phi.name == "sin":
            bounded = np.abs(np.concatenate([values, slopes]).astype(wide))
            assert (bounded <= 1).all()
            one = values.astype(wide) ** 2 + slopes.astype(wide) ** 2
            np.testing.assert_allclose(one.astype(float), 1, rtol=4 * eps)
            continue
        with np.errstate(over="ignore"):
            ratios = np.array(ENDS[phi.name][:2], wide) * np.abs(x.astype(wide))
            expected = ratios.astype(dtype)
        for value, limit, bound in zip(
            values, expected, BOUNDED.get(phi.name, (None, None)), strict=True
        ):
            right = dtype.type(limit if bound is None else bound)
            if np.isfinite(right) and right:
                assert abs(float(value / right) - 1) <= 4 * max(eps, 1e-15)
            else:
                assert value == right
        slopes_there = [float(slope) for slope in slopes]
        np.testing.assert_allclose(
            slopes_there, ENDS[phi.name][2:], rtol=4 * max(eps, 1e-15), atol=0
        )


def test_fault_09_what_was_seen() -> None:
    assert activations.gelu_tanh.derivative(np.float16(6e4)) == 1
    assert activations.gelu(np.float16(1.5)).dtype == np.float16
    assert activations.erf(np.float16(1.5)).dtype == np.float16


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: Activation(3, np.tanh, np.tanh), TypeError, "name must be text, got 3"),  # type: ignore[arg-type]
        (lambda: Activation("a", 3, np.tanh), TypeError, "function must be a function, got 3"),  # type: ignore[arg-type]
        (lambda: Activation("a", np.tanh, None), TypeError, "slope must be a function, got None"),  # type: ignore[arg-type]
        (lambda: Activation("a", np.tanh, np.tanh, 1.0), TypeError, "kinks must be a tuple"),  # type: ignore[arg-type]
        (lambda: Activation("a", np.tanh, np.tanh, (np.nan,)), ValueError, "each of kinks must be"),
        (lambda: Activation("a", np.tanh, np.tanh, ("1",)), TypeError, "each of kinks must be"),  # type: ignore[arg-type]
        (lambda: Activation("a", np.tanh, np.tanh, (), 0.0), ValueError, "period must be larger"),
        (lambda: activations.tanh(None), TypeError, "x must hold real numbers"),  # type: ignore[arg-type]
        (lambda: activations.tanh("1"), TypeError, "x must hold real numbers"),  # type: ignore[arg-type]
        (lambda: activations.gelu([1, [2]]), TypeError, "x must be an array of numbers"),  # type: ignore[arg-type, list-item]
        (lambda: activations.relu(1j), TypeError, "x must hold real numbers"),  # type: ignore[arg-type]
        (lambda: activations.relu(10**400), TypeError, "x must hold real numbers"),
        (lambda: activations.leaky_relu(10**400), ValueError, "slope must be finite"),
        (lambda: activations.leaky_relu("a"), TypeError, "slope must be a number, got 'a'"),  # type: ignore[arg-type]
        (lambda: activations.get(b"relu"), TypeError, "a name or a function, got b'relu'"),  # type: ignore[arg-type]
        (lambda: activations.get([np.tanh]), TypeError, "a name or a function"),  # type: ignore[arg-type]
        (lambda: activations.get(""), ValueError, "activation must be one of"),
        (
            lambda: Activation("a", np.mean, np.tanh)([1.0, 2]),
            ValueError,
            "a must return the shape",
        ),
        (lambda: Activation("a", with_a_bug, np.tanh)(1.0), ValueError, "a must take an array"),
    ],
)
def test_fault_08_errors_in_words(
    call: Callable[[], object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize("function", [np.tanh, np.sin, np.abs, np.exp, np.negative])
@pytest.mark.parametrize("hidden", [True, False])
def test_fault_09_masked_numbers_are_no_numbers(function: Any, hidden: bool) -> None:
    """A mask that hides numbers is refused; one that hides none makes a plain array."""

    def masked(x: Any) -> Any:
        return np.ma.masked_array(function(x), np.full(np.shape(x), hidden))

    if hidden:
        with pytest.raises(TypeError, match="must not return masked numbers"):
            activations.get(masked)
    else:
        values = activations.get(masked)(np.array([-0.5, 0.5]))
        assert type(values) is np.ndarray
        assert np.array_equal(values, function(np.array([-0.5, 0.5])))


@pytest.mark.parametrize("waves", [1, 2, 5])
def test_a_period_may_be_kept_to_float32(waves: int) -> None:
    """What is rounded to seven digits repeats itself to seven."""

    def function(x: Any) -> Any:
        return np.sin(waves * x.astype(np.float32)).astype(float)

    def slope(x: Any) -> Any:
        return waves * np.cos(waves * x.astype(np.float32)).astype(float)

    wave = activations.Activation("wave", function, slope, (), 2 * math.pi)
    assert activations.get(wave) is wave


def test_a_function_without_a_hash_makes_an_activation_with_one() -> None:
    class Cubed:
        __hash__ = None  # type: ignore[assignment]

        def __init__(self, power: int) -> None:
            self.power = power

        def __call__(self, x: Array) -> Array:
            return x**self.power

    one, same, other = (
        activations.Activation(name, Cubed(3), Cubed(2)) for name in ("cube", "cube", "another")
    )
    assert hash(one) == hash(same) != hash(other)
    assert theory.second_moment(one) == pytest.approx(15, rel=1e-12)


@pytest.mark.parametrize("name", [name for name, phi in ACTIVATIONS.items() if phi.kinks])
def test_kinks_are_where_the_slope_bends_or_jumps(name: str) -> None:
    phi, h = ACTIVATIONS[name], 1e-6
    for kink in phi.kinks:
        left, right = phi.derivative(kink - np.array([h, 2 * h])), phi.derivative(kink + h)
        bend = (left[0] - left[1]) / h  # what the slope's change on the left leads to expect
        assert abs(right - left[0] - 2 * bend * h) > 0.1 * h
        for x in (kink - 0.2, kink + 0.2):
            near = phi.derivative(x + h * np.array([-1, 0, 1]))
            assert abs(np.diff(near, 2)[0]) < 0.01 * h
