"""Residual and normalized blocks: gradients against differences, the recursion by hand."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import winit
from winit import blocks, network

Array = NDArray[Any]

SIZES = [3, 4, 4, 4, 2]
JOINED = [(r, n) for r in ("none", "plain", "scaled") for n in blocks.NORMS]


def small(residual: str = "plain", scalars: bool = False) -> tuple[network.Params, Array]:
    """A network whose parameters are all away from 0, and five examples."""
    rng = np.random.default_rng(3)
    params = blocks.init_params(SIZES, winit.he_normal, rng, residual=residual, scalars=scalars)
    for name, value in params.items():
        params[name] = np.asarray(value + 0.3 * rng.standard_normal(value.shape))
    return params, rng.standard_normal((5, 3))


def numerical_gradient(f: Callable[[], float], array: Array, h: float = 1e-4) -> Array:
    """df / d array by central differences of fourth order, since a normalizer bends sharply."""
    gradient = np.zeros_like(array)
    for index in np.ndindex(array.shape):
        value = array[index]
        for steps, weight in ((1, 8), (-1, -8), (2, -1), (-2, 1)):
            array[index] = value + steps * h
            gradient[index] += weight * f() / (12 * h)
        array[index] = value
    return gradient


def by_hand(
    params: network.Params, z: Array, start: int, phi: Any, residual: str, norm: str
) -> Array:
    """The rest of the recursion from z of layer `start`, written once more from its formula."""
    layers = sum(name[0] == "W" for name in params)
    for i in range(start + 1, layers + 1):
        n = z
        if norm != "none":
            axis = {"layer": 1, "batch": 0}[norm]
            n = (z - z.mean(axis, keepdims=True)) / np.sqrt(z.var(axis, keepdims=True) + 1e-5)
        step = float(params.get(f"a{i}", 1)) * phi(n) @ params[f"W{i}"].T
        if residual != "none" and params[f"W{i}"].shape[0] == params[f"W{i}"].shape[1]:
            z = z + step * (layers**-0.5 if residual == "scaled" else 1)
        else:
            z = step
    return z


@pytest.mark.parametrize(("residual", "norm"), JOINED)
@pytest.mark.parametrize("scalars", [False, True])
def test_gradients_against_central_differences(scalars: bool, residual: str, norm: str) -> None:
    if scalars and residual == "none":
        pytest.skip("no branch to scale")
    params, x = small(residual, scalars)
    phi, target = winit.activations.gelu, np.array([0, 1, 1, 0, 1])

    def value_from(layer: int, z: Array) -> float:
        rest = by_hand(params, z, layer, phi, residual, norm)
        return network.softmax_cross_entropy(rest, target)[0]

    def value() -> float:
        return value_from(1, x @ params["W1"].T)

    trace = blocks.forward(params, x, phi, residual=residual, norm=norm)
    gradients = blocks.backward(
        params, trace, network.softmax_cross_entropy(trace.output, target)[1]
    )
    close = partial(np.testing.assert_allclose, rtol=0, atol=1e-7)
    close(trace.output, by_hand(params, trace.z[0], 1, phi, residual, norm))
    assert list(gradients.params) == list(params)
    for name, weights in params.items():
        close(gradients.params[name], numerical_gradient(value, weights), err_msg=name)
    for layer, (z, gradient) in enumerate(zip(trace.z, gradients.z, strict=True), start=1):
        close(gradient, numerical_gradient(partial(value_from, layer, z), z), err_msg=f"z{layer}")
    close(gradients.x, numerical_gradient(value, x), err_msg="x")


def test_without_residual_and_norm_it_is_the_plain_network() -> None:
    rng = np.random.default_rng(0)
    plain = network.init_params(SIZES, winit.he_normal, 7)
    params = blocks.init_params(SIZES, winit.he_normal, 7)
    assert list(params) == ["W1", "W2", "W3", "W4"]
    x, back = rng.standard_normal((6, 3)), rng.standard_normal((6, 2))
    first, second = network.forward(plain, x, "gelu"), blocks.forward(params, x, "gelu")
    for z, other in zip(first.z + first.a, second.z + second.a, strict=True):
        np.testing.assert_array_equal(z, other)
    known = network.backward(plain, first, back)
    found = blocks.backward(params, second, back)
    for name in params:
        np.testing.assert_array_equal(known.params[name], found.params[name])
    for z, other in zip([*known.z, known.x], [*found.z, found.x], strict=True):
        np.testing.assert_array_equal(z, other)


def second_moments(trace: blocks.Trace) -> Array:
    return np.array([np.square(z).mean() for z in trace.z])


def test_a_plain_stream_doubles_and_a_scaled_one_keeps_its_level() -> None:
    """He and ReLU: 2 a block, and 1 + 1/L a block.

    A branch's second moment has a relative sd of √(5 / n) (Hanin 2018); the mean of L - 1 is
    held to 4 of its own. Chosen before looking.
    """
    n, layers = 256, 40
    rng = np.random.default_rng(0)
    params = blocks.init_params([n] * (layers + 1), winit.he_normal, rng)
    x = rng.standard_normal((8, n)) / np.sqrt(2)
    for residual, step in (("plain", 2.0), ("scaled", 1 + 1 / layers)):
        q = second_moments(blocks.forward(params, x, residual=residual))
        factor = (q[-1] / q[0]) ** (1 / (layers - 1))
        assert abs(factor / step - 1) < 4 * np.sqrt(5 / n / (layers - 1)) * (step - 1)


@pytest.mark.parametrize("start", [{"residual": "zero"}, {"residual": "plain", "scalars": True}])
def test_branches_that_start_as_nothing_leave_signal_and_gradient_as_they_are(start: Any) -> None:
    n, layers = 16, 50
    params = blocks.init_params([n] * layers + [4], winit.he_normal, 0, **start)
    rng = np.random.default_rng(1)
    x, back = rng.standard_normal((5, n)), rng.standard_normal((5, 4))
    trace = blocks.forward(params, x, residual=start["residual"])
    gradients = blocks.backward(params, trace, back)
    for z in trace.z[1:-1]:
        np.testing.assert_array_equal(z, trace.z[0])
    for delta in gradients.z[:-2]:
        np.testing.assert_array_equal(delta, gradients.z[-2])
    moves = "a" if "scalars" in start else "W"
    assert all(gradients.params[f"{moves}{i}"].any() for i in range(2, layers))
    drawn = blocks.init_params([n] * layers + [4], winit.he_normal, 0, residual="plain")
    np.testing.assert_array_equal(params["W1"], drawn["W1"])  # whatever the branches are
    np.testing.assert_array_equal(params[f"W{layers}"], drawn[f"W{layers}"])


def test_normalize() -> None:
    z = np.random.default_rng(0).standard_normal((7, 5)) * 3 + 2
    for norm, axis in (("layer", 1), ("batch", 0)):
        n = blocks.normalize(z, norm)
        np.testing.assert_allclose(n.mean(axis), 0, atol=1e-14)
        np.testing.assert_allclose(n.std(axis), z.std(axis) / np.sqrt(z.var(axis) + 1e-5))
        assert np.abs(blocks.normalize(1e-6 * z, norm)).max() < 0.01  # its epsilon
    np.testing.assert_array_equal(blocks.normalize(z, "none"), z)
    assert blocks.normalize(z[:0]).shape == (0, 5)


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "longdouble", "bfloat16"])
@pytest.mark.parametrize("norm", blocks.NORMS)
def test_the_parameters_decide_the_dtype(dtype: str, norm: str) -> None:
    if dtype == "bfloat16":
        pytest.importorskip("ml_dtypes")
    params = blocks.init_params(
        SIZES, winit.he_normal, 0, residual="scaled", scalars=True, dtype=dtype
    )
    x = np.random.default_rng(0).standard_normal((5, 3))
    trace = blocks.forward(params, x, "gelu", residual="scaled", norm=norm)
    gradients = blocks.backward(params, trace, np.ones((5, 2)))
    arrays = [*trace.z, *trace.a, *gradients.params.values(), *gradients.z, gradients.x]
    assert {array.dtype for array in arrays} == {params["W1"].dtype}


def test_what_overflows_is_seen_and_warns_of_nothing() -> None:
    params = blocks.init_params([4] * 600, partial(winit.normal, std=10), 0, residual="plain")
    x = np.ones((2, 4))
    for norm in blocks.NORMS:
        trace = blocks.forward(params, 1e300 * x, residual="plain", norm=norm)
        gradients = blocks.backward(params, trace, 1e300 * x)
        assert norm != "none" or not np.isfinite(trace.output).all()
        assert len(gradients.z) == 599


@pytest.mark.parametrize(("dtype", "size"), [("f4", 1e30), ("f8", 1e200), ("f8", 1.7e308)])
def test_no_variance_overflows_where_z_is_finite(dtype: str, size: float) -> None:
    z = np.array([[1.0, -1.0], [-1.0, 1.0]])
    large = (size * z).astype(dtype)
    for norm in ("layer", "batch"):
        np.testing.assert_allclose(blocks.normalize(large, norm), z, rtol=1e-6)
    mixed = np.concatenate([large, z.astype(dtype)])  # a row's size is not its neighbor's
    np.testing.assert_allclose(blocks.normalize(mixed), [*z, *z], rtol=1e-5)


@pytest.mark.parametrize("norm", ["layer", "batch"])
def test_the_gradient_is_right_where_the_variance_would_overflow(norm: str) -> None:
    rng = np.random.default_rng(0)
    params = {f"W{i}": rng.standard_normal((4, 4)) for i in (1, 2)}
    x, back = rng.standard_normal((2, 5, 4))
    scale = 2.0**600
    found = []
    for size in (2.0**20, scale):  # beside both the epsilon is nothing
        trace = blocks.forward(params, size * x, "tanh", norm=norm)
        found.append((trace, blocks.backward(params, trace, back)))
    (small_trace, small_gradients), (trace, gradients) = found
    np.testing.assert_allclose(trace.output, small_trace.output, rtol=1e-9)
    np.testing.assert_allclose(
        gradients.x * scale, small_gradients.x * 2.0**20, rtol=1e-7, atol=1e-12
    )
    assert np.abs(gradients.params["W2"]).max() > 0.1


def test_a_trace_of_other_scalars_is_refused() -> None:
    params, x = small(scalars=True)
    trace = blocks.forward(params, x, residual="plain")
    fewer = {name: value for name, value in params.items() if name != "a2"}
    with pytest.raises(ValueError, match=r"it was made with the numbers .*a2"):
        blocks.backward(fewer, trace, np.ones((5, 2)))
    with pytest.raises(ValueError, match="trace must be what forward returned for these params"):
        blocks.backward(params, blocks.forward(fewer, x, residual="plain"), np.ones((5, 2)))


def test_results_compare_and_hash_as_what_they_are() -> None:
    params, x = small()
    trace = blocks.forward(params, x, residual="plain")
    gradient = np.ones((5, 2))
    gradients = blocks.backward(params, trace, gradient)
    for result in (trace, gradients):
        assert result == result and result != copy.copy(result) and hash(result)
    gradient[:] = 7.0
    assert (gradients.z[-1] == 1).all()


def test_the_first_kernel_is_no_branch() -> None:
    for residual, words in (("none", r"residual='none'$"), ("plain", "kernel after the first$")):
        with pytest.raises(ValueError, match=words):
            blocks.init_params([3, 3, 5], winit.he_normal, 0, residual=residual, scalars=True)
    with pytest.raises(ValueError, match=r"residual='none'$"):
        blocks.init_params([3, 4, 4, 2], winit.he_normal, 0, scalars=True)


def test_digits_are_learned_by_gradient_steps() -> None:
    """Branches that start as nothing, ten full-batch steps; the bound was chosen before looking."""
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    x, y = (images[:300] - images.mean()) / images.std(), labels[:300]
    params = blocks.init_params([64] * 30 + [10], winit.he_normal, 0, residual="zero")
    losses = []
    for _ in range(10):
        trace = blocks.forward(params, x, residual="zero")
        loss, gradient = network.softmax_cross_entropy(trace.output, y)
        losses.append(loss)
        for name, g in blocks.backward(params, trace, gradient).params.items():
            params[name] = params[name] - 0.02 * g
    assert losses[-1] < losses[0] / 2


good, data = small("plain", True)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: blocks.init_params([3, 4], winit.he_normal, residual="sacled"),
            ValueError,
            r"residual must be one of none, plain.*Did you mean 'scaled'\?",
        ),
        (
            lambda: blocks.init_params([3, 4, 4], winit.he_normal, scalars=True),
            ValueError,
            "scalars need a branch, got residual='none'",
        ),
        (
            lambda: blocks.init_params([3, 4, 2], winit.zeros, residual="zero", scalars=True),
            ValueError,
            "no square kernel",
        ),
        (
            lambda: blocks.init_params([3, 4], winit.zeros, scalars=1),  # type: ignore[arg-type]
            TypeError,
            "scalars must be True or False, got 1",
        ),
        (lambda: blocks.forward({}, data), ValueError, r"params must hold W1, W2, .*got \[\]"),
        (lambda: blocks.forward({**good, "b1": 0}, data), ValueError, "and nothing else, got"),
        (lambda: blocks.forward({**good, "a1": 0}, data), ValueError, "and nothing else, got"),
        (
            lambda: blocks.forward({**good, "a2": [1.0]}, data),  # type: ignore[dict-item]
            ValueError,
            r'params\["a2"\] must have 0 axes, got shape \(1,\)',
        ),
        (
            lambda: blocks.forward({**good, "W2": np.ones((4, 5))}, data),
            ValueError,
            "params: W2 takes 5 inputs but W1 gives 4",
        ),
        (lambda: blocks.forward(good, data[:, :2]), ValueError, r"x must have shape \(examples, 3"),
        (lambda: blocks.forward(good, data, norm="group"), ValueError, "norm must be one of none"),
        (lambda: blocks.forward(good, data, residual="all"), ValueError, "residual must be one of"),
        (lambda: blocks.normalize(data[0]), ValueError, r"z must have 2 axes, got shape \(3,\)"),
        (
            lambda: blocks.backward(good, network.forward({"W1": np.ones((2, 3)), "b1": np.ones(2)},
                                                          data), data),  # type: ignore[arg-type]
            TypeError,
            "trace must be what forward returned, got",
        ),
        (
            lambda: blocks.backward(good, blocks.forward({"W1": good["W1"]}, data), data),
            ValueError,
            "trace must be what forward returned for these params: shapes differ",
        ),
        (
            lambda: network.backward(network.init_params([3, 2], winit.he_normal, 0),
                                     blocks.forward({"W1": np.ones((2, 3))}, data), data[:, :2]),
            TypeError,
            "trace must be what forward returned, got",
        ),
        (
            lambda: blocks.backward(good, blocks.forward(good, data), data),
            ValueError,
            r"output_gradient must have the output's shape \(5, 2\), got \(5, 3\)",
        ),
        (
            lambda: blocks.Trace(winit.activations.relu, [data], [data], norm="none", residual="x"),
            ValueError,
            "residual must be one of",
        ),
    ],
)  # fmt: skip
def test_errors(call: Callable[[], object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
