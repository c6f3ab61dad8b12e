"""Diagnosis: each field beside its direct computation, each illness made on purpose."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
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


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_units_are_tied_up_to_a_hundred_roundings(dtype: type) -> None:
    rounding = float(np.finfo(dtype).eps)
    for times, distinct in ((90, 1), (100, 1), (120, 2)):
        units = np.array([[1, 1 + times * rounding]], dtype)
        assert diagnostics.distinct_units(units, tolerance=0.0) == distinct


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


# What follows holds each fault that was found from outside, with inputs of its kind.

INTEGERS = ["i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"]


def refused(call: Callable[[], object], error: type[Exception], message: str) -> None:
    """The call is refused by a line of winit's own, with these words, and without a warning."""
    with np.errstate(all="raise"), pytest.raises(error, match=message) as caught:
        call()
    assert type(caught.value) is error
    assert caught.traceback[-1].path.parent.name == "winit", caught.traceback[-1]  # type: ignore[union-attr]


@pytest.mark.parametrize("dtype", INTEGERS)
def test_fault_01_whole_number_parameters_are_measured_in_float64(dtype: str) -> None:
    whole = {"W1": [[1, 2], [3, 1]], "b1": [0, 1], "W2": [[2, 1], [1, 1]], "b2": [1, 0]}
    params: Any = {name: np.array(value, dtype) for name, value in whole.items()}
    floats: Any = {name: np.array(value, "f8") for name, value in whole.items()}
    x = np.array([[0.5, 0.9], [1.25, 0.125], [0.3, 0.2]])
    for target, options in ((None, {}), ([0, 1, 1], {}), (x, {"loss": "mean_squared"})):
        one, other = (
            diagnostics.diagnose(net, x, target, jacobian=True, rng=0, **options)  # type: ignore[arg-type]
            for net in (params, floats)
        )
        assert repr(one) == repr(other) and one.loss == other.loss
        assert (one.q % 1 != 0).all()  # it is not truncated
    matrix = diagnostics.jacobian(params, x[0], "sigmoid")
    np.testing.assert_array_equal(matrix, diagnostics.jacobian(floats, x[0], "sigmoid"))
    assert matrix.dtype == np.float64 and (matrix % 1 != 0).all()


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "longdouble", "bfloat16"])
def test_fault_01_the_jacobian_has_the_dtype_of_the_parameters(dtype: str) -> None:
    wanted = np.dtype(pytest.importorskip("ml_dtypes").bfloat16 if dtype == "bfloat16" else dtype)
    params = {name: value.astype(wanted) for name, value in PARAMS.items()}
    matrix = diagnostics.jacobian(params, X[0], "silu")
    assert matrix.dtype == wanted
    singular = diagnostics.jacobian_singular_values(params, X[0], "silu")  # LAPACK knows two
    assert singular.dtype == (np.float32 if dtype == "f4" else np.float64)
    exact = diagnostics.jacobian_singular_values(PARAMS, X[0], "silu")
    rounding = {"f2": 2**-11, "f4": 2**-24, "bfloat16": 2**-8}.get(dtype, 2**-53)
    np.testing.assert_allclose(singular, exact, atol=100 * rounding)  # some 50 roundings each
    report = diagnostics.diagnose(params, X, LABELS, activation="tanh")
    np.testing.assert_allclose(
        report.q, diagnostics.diagnose(PARAMS, X, LABELS, activation="tanh").q, rtol=100 * rounding
    )


BAD = [np.nan, np.inf, -np.inf]


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("name", sorted(PARAMS))
def test_fault_06_no_diagnosis_without_finite_parameters(name: str, bad: float) -> None:
    params = {key: value.copy() for key, value in PARAMS.items()}
    params[name].flat[1] = bad
    words = rf'params\["{name}"\] must be finite'
    refused(lambda: diagnostics.diagnose(params, X), ValueError, words)
    refused(lambda: diagnostics.diagnose(params, X, LABELS, jacobian=True), ValueError, words)
    refused(lambda: diagnostics.jacobian(params, X[0]), ValueError, words)
    refused(lambda: diagnostics.jacobian_singular_values(params, X[0]), ValueError, words)


@pytest.mark.parametrize("bad", BAD)
def test_fault_06_no_diagnosis_without_finite_data_and_targets(bad: float) -> None:
    x, target = X.copy(), np.zeros((20, 3))
    x[0, 5] = target[19, 0] = bad
    loss = partial(diagnostics.diagnose, PARAMS, X)
    refused(lambda: diagnostics.diagnose(PARAMS, x), ValueError, "x must hold finite values")
    refused(lambda: diagnostics.jacobian(PARAMS, x[0]), ValueError, "x must hold finite values")
    refused(lambda: loss(target, loss="mean_squared"), ValueError, "target must be finite")
    refused(lambda: loss(target[:, 0]), ValueError, "target must be finite")
    refused(
        lambda: loss(target, loss=lambda output, _: (0.0, output)), ValueError, "target must be fin"
    )
    for returned in ((bad, bad * np.ones((20, 3))), (0.0, target), (np.nan, np.zeros((20, 3)))):
        refused(
            lambda r=returned: loss(LABELS, loss=lambda *_: r),
            ValueError,
            "loss must return a finite gradient",
        )
    refused(lambda: diagnostics.distinct_units(x), ValueError, "values must be finite")


@pytest.mark.parametrize("activation", ["relu", "linear", "leaky_relu", "elu", "selu", "softplus"])
@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
def test_fault_06_overflow_is_measured_and_does_not_warn(activation: str, dtype: str) -> None:
    """Layer 1 fits, layer 2 does not: what cannot be known there is nan, not a number of zeros."""
    root = float(np.finfo(dtype).max) ** 0.6
    params = network.init_params([4, 4, 4, 2], partial(winit.constant, value=root), dtype=dtype)
    x = np.ones((3, 4))
    with np.errstate(all="raise"):
        report = diagnostics.diagnose(params, x, [0, 1, 0], activation=activation, jacobian=True)
        matrix = diagnostics.jacobian(params, x[0], activation)
    assert (report.saturated[0], report.dead[0], report.distinct[0]) == (0, 0, 1)
    for name in ("saturated", "dead", "distinct"):
        assert np.isnan(getattr(report, name)[1:]).all(), name
    assert np.isfinite(report.q[0]) or dtype == "f8"  # whose square is beyond float64
    assert not np.isfinite(report.q[1:]).any() and np.isnan(report.loss)
    assert not np.isfinite(matrix).any() and report.singular_values is not None
    assert np.isnan(report.singular_values).all() and len(report.singular_values) == 2
    assert repr(report).splitlines()[2].split()[-5:-2] == ["nan%", "nan", "nan"]


def test_fault_06_a_constant_activation_is_flat_everywhere() -> None:
    flat = activations.Activation("flat", np.zeros_like, np.zeros_like)
    with np.errstate(all="raise"):
        report = diagnostics.diagnose(PARAMS, X, LABELS, activation=flat)
    assert report.saturated.tolist() == [1, 1, 0] and report.dead.tolist() == [8, 7, 0]


def test_fault_06_huge_units_can_be_told_apart() -> None:
    for scale in (1e300, 1.7e308, 1e-300, 1e-308):
        with np.errstate(all="raise"):
            values = scale * np.array([[1.0, -1.0, 1.0, 0.5], [-1.0, 1.0, -1.0, 0.5]])
            assert diagnostics.distinct_units(values) == 3


NOT_NUMBERS: list[tuple[Any, type[Exception], str]] = [
    (None, TypeError, "real numbers"),
    ("data", TypeError, "real numbers"),
    (b"data", TypeError, "real numbers"),
    ({1, 2}, TypeError, "real numbers"),
    ({"x": 1}, TypeError, "real numbers"),
    ((row for row in [[1.0] * 6]), TypeError, "real numbers"),
    ([[1.0] * 6, [1.0]], TypeError, "an array of numbers"),
    ([[1j] * 6], TypeError, "real numbers"),
    ([[10**400] * 6], TypeError, "real numbers"),
    ([[True] * 6], TypeError, "real numbers"),
    (np.ma.masked_equal([[1.0, 2.0] * 3], 2), TypeError, "not be masked"),
]


@pytest.mark.parametrize(("value", "error", "message"), NOT_NUMBERS)
def test_fault_08_values_in_our_words(value: Any, error: type[Exception], message: str) -> None:
    for function in (diagnostics.second_moment, diagnostics.distinct_units):
        refused(lambda f=function: f(value), error, f"values must.*{message}")
    refused(lambda: diagnostics.diagnose(PARAMS, value), error, f"x must.*{message}")
    refused(lambda: diagnostics.jacobian(PARAMS, value), error, f"x must.*{message}")
    if value is not None:  # which means that there is no target
        refused(lambda: diagnostics.diagnose(PARAMS, X, value), error, f"target must.*{message}")


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: diagnostics.second_moment([]), ValueError, "values must not be empty"),
        (lambda: diagnostics.distinct_units(np.zeros((0, 3))), ValueError, "values must not be em"),
        (lambda: diagnostics.distinct_units(np.zeros(3)), ValueError, "values must have 2 axes"),
        (lambda: diagnostics.distinct_units(X, "1"), TypeError, "tolerance must be a number"),
        (lambda: diagnostics.distinct_units(X, -1), ValueError, "tolerance must be 0 or larger"),
        (lambda: diagnostics.distinct_units(X, np.nan), ValueError, "tolerance must be finite"),
        (lambda: diagnostics.steepest(None), TypeError, "activation must be"),
        (lambda: diagnostics.steepest(3), TypeError, "activation must be"),
        (
            lambda: diagnostics.steepest(
                activations.Activation("odd", np.tanh, lambda z: np.full_like(z, np.nan))
            ),
            ValueError,
            "the derivative of the activation odd must be finite",
        ),
        (
            lambda: diagnostics.steepest(activations.Activation("odd", np.tanh, np.sum)),
            ValueError,
            "the derivative of the activation odd must return the shape",
        ),
        (lambda: diagnostics.diagnose(None, X), TypeError, "params must be a dict, got None"),
        (lambda: diagnostics.diagnose([], X), TypeError, "params must be a dict"),
        (lambda: diagnostics.diagnose({}, X), ValueError, "params must hold W1"),
        (lambda: diagnostics.jacobian(None, X[0]), TypeError, "params must be a dict, got None"),
        (lambda: diagnostics.jacobian(PARAMS, X[0, :5]), ValueError, "x must have shape"),
        (lambda: diagnostics.jacobian(PARAMS, []), ValueError, "x must not be empty"),
        (lambda: diagnostics.jacobian(PARAMS, 1.0), ValueError, "x must have 1 axis, got 0"),
        (lambda: diagnostics.diagnose(PARAMS, X, jacobian=1), TypeError, "jacobian must be True"),
        (lambda: diagnostics.diagnose(PARAMS, X, loss=3), TypeError, "loss must be one of"),
        (lambda: diagnostics.diagnose(PARAMS, X, rng=1.5), TypeError, "rng must be None"),
        (
            lambda: diagnostics.diagnose(PARAMS, X, LABELS, loss=lambda *_: None),
            TypeError,
            r"loss must return \(value, gradient\), got None",
        ),
        (
            lambda: diagnostics.diagnose(PARAMS, X, LABELS, loss=lambda *_: (0.0, [1.0])),
            ValueError,
            "the gradient that loss returns must have the output's shape",
        ),
        (
            lambda: diagnostics.diagnose(PARAMS, X, LABELS, loss=lambda *_: {}["loss"]),
            ValueError,
            "loss .* raised KeyError",
        ),
        (lambda: diagnostics.Report("relu", None), TypeError, "layers must be a list of LayerRe"),
        (lambda: diagnostics.Report("relu", [1]), TypeError, "layers must be a list of LayerRep"),
        (
            lambda: diagnostics.LayerReport(1, 2, "q", 0, 0, 0, 0, 0, 0, 0, 0),
            TypeError,
            "q must be a number, got 'q'",
        ),
    ],
)
def test_fault_08_foreign_errors(
    call: Callable[[], object], error: type[Exception], message: str
) -> None:
    refused(call, error, message)


@pytest.mark.parametrize("which", [0, 1])
def test_fault_14_records_are_frozen(which: int) -> None:
    report = diagnostics.diagnose(IDENTITY, [[1.0, -2.0]], [0])
    record = (report, report.layers[0])[which]
    for name in [*record.__dataclass_fields__, "anything"]:
        with pytest.raises(AttributeError):
            setattr(record, name, None)
        with pytest.raises(AttributeError):
            delattr(record, name)


def test_fault_14_the_defaults_of_diagnose() -> None:
    options = {"activation": "relu", "loss": "softmax_cross_entropy", "jacobian": False}
    default = diagnostics.diagnose(PARAMS, X, LABELS)
    assert repr(default) == repr(diagnostics.diagnose(PARAMS, X, LABELS, **options))  # type: ignore[arg-type]
    assert default.singular_values is None and default.activation == "relu"
    np.testing.assert_array_equal(
        diagnostics.jacobian(PARAMS, X[0]), diagnostics.jacobian(PARAMS, X[0], "relu")
    )
    one = np.array([[1.0, 1.0 + 0.99e-9], [0.0, 0.0]])
    assert [diagnostics.distinct_units(one), diagnostics.distinct_units(one, 0.9e-9)] == [1, 2]


@settings(deadline=None)
@given(st.integers(0, 2**32), st.sampled_from(sorted(activations.ACTIVATIONS)))
def test_property_looking_changes_nothing(seed: int, name: str) -> None:
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 5, rng.integers(2, 5)).tolist()
    params = network.init_params(sizes, winit.he_normal, rng)
    x, labels = rng.standard_normal((3, sizes[0])), rng.integers(0, sizes[-1], 3)
    arrays = [*params.values(), x, labels]
    for value in arrays:
        value.flags.writeable = False
    before, state = [value.tobytes() for value in arrays], np.random.get_state()[1].tobytes()  # noqa: NPY002
    report = diagnostics.diagnose(params, x, labels, activation=name, jacobian=True, rng=0)
    matrix = diagnostics.jacobian(params, x[0], name)
    assert before == [value.tobytes() for value in arrays]
    assert state == np.random.get_state()[1].tobytes()  # noqa: NPY002
    assert report.singular_values is not None
    # the squares of the singular values sum to those of the entries
    assert np.sum(report.singular_values**2) == pytest.approx(np.sum(matrix**2), rel=1e-9, abs=0)
    assert (report.distinct <= report.units).all() and (report.dead <= report.units).all()
    assert ((report.saturated >= 0) & (report.saturated <= 1)).all()


def standard(width: int, rng: Any) -> network.Params:
    return network.init_params([16, width, width, 1], winit.lecun_normal, rng)


def by_width(width: int, rng: Any) -> network.Params:
    """As `standard`, with an output layer of variance 1 / width**2."""
    params = standard(width, rng)
    return {**params, "W3": params["W3"] / np.sqrt(width)}


def adam_rates(params: network.Params) -> dict[str, float]:
    """0.01 at width 64; those of the kernels that read the width fall with it."""
    narrow = 0.01 * 64 / params["W2"].shape[1]
    return {**dict.fromkeys(params, 0.01), "W2": narrow, "W3": narrow}


VALUES = np.random.default_rng(1).standard_normal((64, 17))
check: Any = partial(
    diagnostics.coordinate_check,
    x=VALUES[:, :16],
    target=VALUES[:, 16:],
    widths=(64, 256, 1024),
    loss="mean_squared",
    activation="tanh",
    rng=0,
)


def test_coordinate_check_tells_the_two_ways_to_widen_apart() -> None:
    """Five earlier runs of this setting gave 0.92 with an sd of 0.07: four of them to each side."""
    plain = check(standard, learning_rate=0.01)
    kept = check(by_width, learning_rate=adam_rates)
    assert plain.widths == [64, 256, 1024] and plain.change.shape == (3, 3)
    assert 0.64 < plain.change_exponents[1] < 1.2
    assert np.abs(kept.change_exponents).max() < 0.15
    assert np.abs(plain.start_exponents[:2]).max() < 0.1
    difference = kept.start_exponents[2] - plain.start_exponents[2]
    assert difference == pytest.approx(-0.5)  # of the same draws


def test_coordinate_check_against_a_direct_computation() -> None:
    rng = np.random.default_rng(5)
    found = check(standard, widths=[8, 16], optimizer="sgd", learning_rate=0.02, steps=3, rng=5)
    for width, start, change in zip(found.widths, found.start, found.change, strict=True):
        params = standard(width, rng)
        x, target = VALUES[:, :16], VALUES[:, 16:]
        after, _ = network.sgd(
            params, x, target, activation="tanh", loss="mean_squared", learning_rate=0.02,
            batch_size=64, epochs=3, rng=0,
        )  # fmt: skip
        old, new = (network.forward(p, x, "tanh").z for p in (params, after))
        np.testing.assert_allclose(start, [np.sqrt(np.mean(z**2)) for z in old])
        both = zip(old, new, strict=True)
        np.testing.assert_allclose(change, [np.sqrt(np.mean((b - a) ** 2)) for a, b in both])
    slope = np.log2(found.change[1] / found.change[0])  # of two points, width doubled
    np.testing.assert_allclose(found.change_exponents, slope)
    rows = repr(found).splitlines()
    assert rows[0].split() == ["layer", "rms", "of", "8", "16", "exponent"] and len(rows) == 7
    assert len({len(row) for row in rows}) == 1


def test_coordinate_check_where_there_is_nothing_to_fit() -> None:
    zeros = check(lambda n, rng: network.init_params([16, n, 1], winit.zeros), widths=(2, 4))
    assert zeros.change[:, 0].tolist() == [0, 0] and np.isnan(zeros.change_exponents[0])
    wild = check(standard, widths=(2, 4), optimizer="sgd", learning_rate=1e300, activation="relu")
    assert np.isinf(wild.change).all() and np.isnan(wild.change_exponents).all()
    assert np.isfinite(wild.start_exponents).all()


@pytest.mark.parametrize(
    ("keywords", "error", "message"),
    [
        ({"widths": 64}, TypeError, "widths must be a list of 2 to 100 whole numbers, got 64"),
        ({"widths": [64]}, TypeError, "widths must be a list of 2 to 100"),
        ({"widths": [64, 64]}, ValueError, "widths must hold at least two that differ"),
        ({"widths": [64, 0]}, ValueError, "each of widths must be at least 1, got 0"),
        ({"widths": [64, 10**9]}, ValueError, "each of widths must be at most 100000"),
        ({"widths": [64, 128.0]}, TypeError, "each of widths must be a whole number"),
        ({"optimizer": "admn"}, ValueError, r"optimizer must be one of adam, sgd.*mean 'adam'"),
        ({"steps": 0}, ValueError, "steps must be at least 1"),
        ({"nets": 1.5}, TypeError, "nets must be a whole number"),
        ({"start": 3}, TypeError, "start must be a function"),
        ({"start": lambda n: n}, TypeError, "start .* raised TypeError"),
        ({"start": lambda n, rng: None}, TypeError, "start returns for width 64: params must be"),
        (
            {"start": lambda n, rng: network.init_params([16] * (1 + n // 64) + [1], winit.ones)},
            ValueError,
            "start must return as many layers each time",
        ),
        ({"learning_rate": lambda params: 1 / 0}, ValueError, "learning_rate .* raised ZeroDiv"),
        ({"learning_rate": lambda params: {}}, ValueError, "learning_rate must be a number, or"),
        ({"x": np.ones((64, 3))}, ValueError, "x must have shape"),
        ({"x": np.ones((0, 16))}, ValueError, "x must hold at least one example, got shape"),
    ],
)
def test_coordinate_check_errors(
    keywords: dict[str, Any], error: type[Exception], message: str
) -> None:
    refused(lambda: check(**{"start": standard, **keywords}), error, message)


@pytest.mark.parametrize(
    ("widths", "start", "error", "message"),
    [
        ([2, 4], np.ones((3, 2)), TypeError, "start must be an array with a row for each of 2"),
        ([2, 4], [[1.0], [2.0]], TypeError, "start must be an array with a row for each of 2"),
        ([2, 4], "no", TypeError, "start must hold real numbers"),
        ([2], np.ones((1, 2)), TypeError, "widths must be a list"),
    ],
)
def test_coordinate_check_record(widths: Any, start: Any, error: Any, message: str) -> None:
    refused(lambda: diagnostics.CoordinateCheck(widths, start, np.ones((2, 2))), error, message)


@pytest.mark.parametrize("size", [1e160, 1e-200])
def test_coordinate_check_measures_what_can_be_represented(size: float) -> None:
    found = diagnostics.coordinate_check(
        lambda n, rng: {k: v * (size if k == "W1" else 1) for k, v in standard(n, rng).items()},
        np.ones((4, 16)),
        np.ones((4, 1)),
        widths=[8, 16],
        optimizer="sgd",
        learning_rate=lambda params: [value.fill(0) for value in params.values()] and 1e-3,
        steps=1,
        loss="mean_squared",
        rng=0,
    )
    assert (found.start[:, 0] > 0.01 * size).all() and np.isfinite(found.start[:, 0]).all()
    assert found != copy.copy(found) and hash(found)
