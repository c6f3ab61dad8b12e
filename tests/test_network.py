"""The scratch network: gradients against differences, losses in closed form, training by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.datasets import load_digits

import winit
from winit import activations, network

Array = NDArray[Any]

SIZES = [3, 5, 4, 3]
TARGETS = {
    "softmax_cross_entropy": np.array([0, 2, 1, 2]),
    "mean_squared": np.random.default_rng(5).standard_normal((4, 3)),
}


def small(dtype: type = np.float64) -> tuple[network.Params, Array]:
    """A network with biases, and four examples."""
    rng = np.random.default_rng(2)
    params = network.init_params(SIZES, winit.normal, rng, dtype=dtype)
    for name, value in params.items():
        params[name] = (value + 0.3 * rng.standard_normal(value.shape)).astype(dtype)
    return params, rng.standard_normal((4, 3)).astype(dtype)


def numerical_gradient(f: Callable[[], float], array: Array, h: float = 1e-5) -> Array:
    """df / d array by central differences: truncation and rounding leave about 1e-10."""
    gradient = np.zeros_like(array)
    for index in np.ndindex(array.shape):
        value = array[index]
        array[index] = value + h
        ahead = f()
        array[index] = value - h
        behind = f()
        array[index] = value
        gradient[index] = (ahead - behind) / (2 * h)
    return gradient


@pytest.mark.parametrize("activation", activations.ACTIVATIONS)
@pytest.mark.parametrize("loss", TARGETS)
def test_gradients_against_central_differences(activation: str, loss: str) -> None:
    (params, x), loss_function = small(), network.get_loss(loss)
    phi = activations.get(activation)

    def value() -> float:
        return loss_function(network.forward(params, x, phi).output, TARGETS[loss])[0]

    def value_from(layer: int, z: Array) -> float:
        for i in range(layer + 1, len(SIZES)):
            z = phi(z) @ params[f"W{i}"].T + params[f"b{i}"]
        return loss_function(z, TARGETS[loss])[0]

    trace = network.forward(params, x, phi)
    gradients = network.backward(params, trace, loss_function(trace.output, TARGETS[loss])[1])
    close = partial(np.testing.assert_allclose, rtol=0, atol=1e-8)
    for name, weights in params.items():
        close(gradients.params[name], numerical_gradient(value, weights), err_msg=name)
    for layer, (z, gradient) in enumerate(zip(trace.z, gradients.z, strict=True), start=1):
        close(gradient, numerical_gradient(partial(value_from, layer, z), z), err_msg=f"z{layer}")
    close(gradients.x, numerical_gradient(value, x), err_msg="x")


def test_forward_keeps_every_layer() -> None:
    params, x = small()
    trace = network.forward(params, x, "tanh")
    assert [z.shape for z in trace.z] == [(4, 5), (4, 4), (4, 3)]
    np.testing.assert_array_equal(trace.a[0], x)
    np.testing.assert_array_equal(trace.z[0], x @ params["W1"].T + params["b1"])
    np.testing.assert_array_equal(trace.a[1], np.tanh(trace.z[0]))
    assert trace.output is trace.z[-1] and len(trace.a) == 3


def test_mean_squared_in_closed_form() -> None:
    value, gradient = network.mean_squared(np.array([[1.0, 2.0], [3.0, 4.0]]), [[0, 2], [3, 1]])
    assert value == (1 + 9) / 4
    np.testing.assert_array_equal(gradient, [[0.5, 0], [0, 1.5]])


def test_cross_entropy_in_closed_form() -> None:
    loss = network.softmax_cross_entropy
    assert abs(loss(np.zeros((5, 10)), np.arange(5))[0] - np.log(10)) < 1e-15
    value, gradient = loss(np.array([[0.0, np.log(3)]]), [0])  # p = 1/4, 3/4
    assert abs(value - np.log(4)) < 1e-15
    np.testing.assert_allclose(gradient, [[-0.75, 0.75]], rtol=1e-15)
    logits = np.random.default_rng(0).standard_normal((6, 3))
    shifted = loss(logits + 1e4, np.arange(6) % 3)
    np.testing.assert_allclose(shifted[1], loss(logits, np.arange(6) % 3)[1], atol=1e-11)


def test_cross_entropy_of_huge_logits_is_finite() -> None:
    value, gradient = network.softmax_cross_entropy(np.array([[1e4, -1e4], [1e4, -1e4]]), [0, 1])
    assert value == 1e4
    np.testing.assert_array_equal(gradient, [[0, 0], [0.5, -0.5]])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("loss", TARGETS)
def test_dtype_is_kept(dtype: type, loss: str) -> None:
    params, x = small(dtype)
    wide = x.astype(np.float64)  # the parameters decide
    trace = network.forward(params, wide, "gelu")
    value, output_gradient = network.get_loss(loss)(trace.output, TARGETS[loss])
    gradients = network.backward(params, trace, output_gradient.astype(np.float64))
    options: dict[str, Any] = {"momentum": 0.9, "clip": 0.1, "rng": 0, "loss": loss}
    trained, _ = network.sgd(params, wide, TARGETS[loss], **options)
    arrays = [*trace.z, *trace.a, *gradients.z, gradients.x]
    arrays += [*gradients.params.values(), *trained.values()]
    assert {array.dtype for array in arrays} == {np.dtype(dtype)}
    assert type(value) is float


def test_init_params() -> None:
    params = network.init_params([2, 4, 3], winit.he_normal, 0, dtype=np.float32)
    assert {name: value.shape for name, value in params.items()} == {
        "W1": (4, 2),
        "b1": (4,),
        "W2": (3, 4),
        "b2": (3,),
    }
    assert not params["b1"].any() and params["W1"].dtype == params["b1"].dtype == np.float32
    rng = np.random.default_rng(0)  # one stream: layer after layer
    np.testing.assert_array_equal(params["W1"], winit.he_normal((4, 2), rng=rng, dtype=np.float32))
    np.testing.assert_array_equal(params["W2"], winit.he_normal((3, 4), rng=rng, dtype=np.float32))


def test_sgd_is_the_formula_step_by_step() -> None:
    params, x = small()
    target, rate, mu = TARGETS["mean_squared"], 0.05, 0.9
    by_hand = {name: value.copy() for name, value in params.items()}
    velocity = {name: np.zeros_like(value) for name, value in params.items()}
    losses = []
    for _ in range(3):
        trace = network.forward(by_hand, x, "tanh")
        loss, output_gradient = network.mean_squared(trace.output, target)
        losses.append(loss)
        for name, gradient in network.backward(by_hand, trace, output_gradient).params.items():
            velocity[name] = mu * velocity[name] - rate * gradient
            by_hand[name] = by_hand[name] + velocity[name]
    before = {name: value.copy() for name, value in params.items()}
    trained, history = network.sgd(
        params,
        x,
        target,
        activation="tanh",
        loss="mean_squared",
        learning_rate=rate,
        momentum=mu,
        batch_size=4,
        epochs=3,
        rng=0,
    )
    np.testing.assert_allclose(history.loss, losses, rtol=1e-12)
    for name, value in by_hand.items():
        np.testing.assert_allclose(trained[name], value, rtol=0, atol=1e-14)
        np.testing.assert_array_equal(params[name], before[name])  # what was given stays
    assert repr(history) == f"<history: 3 steps, loss {losses[0]:.3g} to {losses[-1]:.3g}>"


def test_adam_is_the_formula_step_by_step() -> None:
    params, x = small()
    target, rate, beta1, beta2, eps = TARGETS["mean_squared"], 0.05, 0.8, 0.95, 1e-3
    by_hand = {name: value.copy() for name, value in params.items()}
    mean = {name: np.zeros_like(value) for name, value in params.items()}
    square = {name: np.zeros_like(value) for name, value in params.items()}
    losses = []
    for t in range(1, 6):
        trace = network.forward(by_hand, x, "tanh")
        loss, output_gradient = network.mean_squared(trace.output, target)
        losses.append(loss)
        for name, gradient in network.backward(by_hand, trace, output_gradient).params.items():
            mean[name] = beta1 * mean[name] + (1 - beta1) * gradient
            square[name] = beta2 * square[name] + (1 - beta2) * gradient**2
            unbiased, spread = mean[name] / (1 - beta1**t), square[name] / (1 - beta2**t)
            by_hand[name] = by_hand[name] - rate * unbiased / (np.sqrt(spread) + eps)
    before = {name: value.copy() for name, value in params.items()}
    trained, history = network.adam(
        params,
        x,
        target,
        activation="tanh",
        loss="mean_squared",
        learning_rate=rate,
        beta1=beta1,
        beta2=beta2,
        eps=eps,
        batch_size=4,
        epochs=5,
        rng=0,
    )
    np.testing.assert_allclose(history.loss, losses, rtol=1e-12)
    for name, value in by_hand.items():
        np.testing.assert_allclose(trained[name], value, rtol=0, atol=1e-13)
        np.testing.assert_array_equal(params[name], before[name])  # what was given stays


@pytest.mark.parametrize("train", [network.sgd, network.adam])
def test_each_parameter_moves_at_its_own_rate(train: Any) -> None:
    """The first step is proportional to the rate, for SGD exactly and for Adam up to rounding."""
    params, x = small()
    options: dict[str, Any] = {"batch_size": 4, "rng": 0}
    plain, _ = train(params, x, [0, 2, 1, 2], learning_rate=0.01, **options)
    rates = {name: 0.01 * (i + 1) for i, name in enumerate(sorted(params))}
    own, _ = train(params, x, [0, 2, 1, 2], learning_rate=rates, **options)
    for name, rate in rates.items():
        moved, expected = own[name] - params[name], (plain[name] - params[name]) * rate / 0.01
        np.testing.assert_allclose(moved, expected, rtol=1e-10, atol=1e-15)
    same, _ = train(params, x, [0, 2, 1, 2], learning_rate=dict.fromkeys(params, 0.01), **options)
    for name in params:
        np.testing.assert_array_equal(same[name], plain[name])


def constant_gradient(size: float) -> dict[str, Any]:
    """Settings whose gradient is the same at every step, and of this size."""
    return {"loss": lambda output, _: (0.0, np.full(output.shape, size)), "rng": 0}


@pytest.mark.parametrize("size", [1e-300, 1e-30, 1.0, 1e200])
def test_adam_takes_the_learning_rate_as_its_step_from_the_first_on(size: float) -> None:
    """Of a constant gradient both corrected means are exact: each step is the rate, whatever g."""
    params = {"W1": np.zeros((1, 2)), "b1": np.zeros(1)}
    x, target = np.array([[3.0, -4.0]]), np.zeros((1, 1))
    for steps in (1, 2, 7):
        after, _ = network.adam(
            params, x, target, learning_rate=0.01, eps=0.0, epochs=steps, **constant_gradient(size)
        )
        moved = np.append(after["W1"][0], after["b1"])
        np.testing.assert_allclose(moved, 0.01 * steps * np.array([-1, 1, -1]), rtol=1e-12)


def test_adam_without_eps_leaves_alone_what_has_no_gradient() -> None:
    params = {"W1": np.ones((1, 2)), "b1": np.ones(1)}
    after, history = network.adam(
        params, np.array([[0.0, 1.0]]), np.zeros((1, 1)), eps=0.0, **constant_gradient(1.0)
    )
    assert history.stopped_at is None
    assert after["W1"][0, 0] == 1 and after["W1"][0, 1] == after["b1"][0] == 0.999


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
def test_adam_keeps_the_dtype(dtype: str) -> None:
    params, x = small(np.dtype(dtype).type)
    trained, history = network.adam(params, x, [0, 2, 1, 2], epochs=3, clip=0.1, rng=0)
    assert {value.dtype for value in trained.values()} == {np.dtype(dtype)}
    assert all((trained[name] != params[name]).any() for name in params)
    assert history.loss[-1] < history.loss[0]


@pytest.mark.parametrize("train", [network.sgd, network.adam])
def test_update_ratio_is_the_length_of_the_step_over_that_of_the_weights(train: Any) -> None:
    params, x = small()
    options: dict[str, Any] = {"learning_rate": 0.05, "batch_size": 4, "rng": 0}
    expected, before = [], params
    for steps in (1, 2, 3):
        after, history = train(params, x, [0, 2, 1, 2], epochs=steps, **options)
        expected.append(
            [
                np.linalg.norm(after[f"W{i}"] - before[f"W{i}"]) / np.linalg.norm(before[f"W{i}"])
                for i in (1, 2, 3)
            ]
        )
        before = after
    np.testing.assert_allclose(history.update_ratio, expected, rtol=1e-9)


def test_update_ratio_of_a_matrix_of_zeros_and_of_a_step_not_taken() -> None:
    params, x = small()
    zeros = {name: np.zeros_like(value) for name, value in params.items()}
    _, history = network.sgd(zeros, x, [0, 2, 1, 2], rng=0, activation="tanh")
    assert np.isnan(history.update_ratio).all()  # nothing moves but the last bias
    _, history = network.sgd({**params, "W3": zeros["W3"]}, x, [0, 2, 1, 2], rng=0)
    assert history.update_ratio[0] == [0, 0, np.inf]
    broken: Any = lambda output, _: (np.nan, np.zeros_like(output))  # noqa: E731
    _, history = network.sgd(params, x, [0, 1, 2, 0], loss=broken, rng=0)
    assert (history.stopped_at, history.update_ratio) == (1, [])


@pytest.mark.parametrize(("clip", "length"), [(0.01, 0.01), (1e6, None)])
def test_clip_bounds_the_length_of_the_whole_gradient(clip: float, length: float | None) -> None:
    params, x = small()
    trace = network.forward(params, x, "relu")
    gradient = network.backward(
        params, trace, network.softmax_cross_entropy(trace.output, [0, 2, 1, 2])[1]
    ).params
    full = np.sqrt(sum((g**2).sum() for g in gradient.values()))
    options: dict[str, Any] = {"learning_rate": 0.1, "batch_size": 4, "rng": 0}
    trained, _ = network.sgd(params, x, [0, 2, 1, 2], clip=clip, **options)
    for name in params:
        expected = -0.1 * gradient[name] * (length or full) / full
        np.testing.assert_allclose(trained[name] - params[name], expected, rtol=0, atol=1e-14)


def test_each_epoch_takes_each_example_once_in_a_new_order() -> None:
    params, _ = small()
    taken: list[Array] = []

    def recording(output: Array, target: Any) -> tuple[float, Array]:
        taken.append(np.asarray(target))
        return 0.0, np.zeros_like(output)

    options: dict[str, Any] = {"loss": recording, "batch_size": 4, "epochs": 2, "rng": 0}
    network.sgd(params, np.zeros((10, 3)), np.arange(10), **options)
    assert [len(batch) for batch in taken] == [4, 4, 2, 4, 4, 2]
    first, second = np.concatenate(taken[:3]), np.concatenate(taken[3:])
    assert sorted(first) == sorted(second) == list(range(10))
    assert list(first) != list(second)


def test_sgd_learns_the_digits() -> None:
    images, labels = load_digits(return_X_y=True)
    x = (images - images.mean()) / images.std()
    params = network.init_params([64, 32, 10], winit.he_normal, 0)
    trained, history = network.sgd(params, x, labels, epochs=5, rng=0)
    assert len(history.loss) == 5 * 57 and history.stopped_at is None
    assert history.loss[-1] < 0.5 < np.log(10) < history.loss[0]
    answers = network.forward(trained, x).output.argmax(axis=1)
    assert (answers == labels).mean() > 0.95


def test_a_loss_that_is_not_finite_stops_the_run() -> None:
    params, x = small()
    run = partial(
        network.sgd,
        params,
        x,
        TARGETS["mean_squared"],
        activation="linear",
        loss="mean_squared",
        learning_rate=1e3,
        batch_size=4,
        rng=0,
    )
    last, history = run(epochs=1000)
    steps = len(history.loss)
    assert history.stopped_at == steps < 100
    assert np.isfinite(history.loss[:-1]).all() and not np.isfinite(history.loss[-1])
    assert f"stopped at step {steps}, where the loss became {history.loss[-1]}" in repr(history)
    before, _ = run(epochs=steps - 1)  # the parameters are those from before the last step
    for name, value in before.items():
        np.testing.assert_array_equal(last[name], value)


def test_a_gradient_that_is_not_finite_stops_the_run() -> None:
    params, x = small()

    def steep(output: Array, target: Any) -> tuple[float, Array]:
        return 1.0, np.full_like(output, np.inf)

    last, history = network.sgd(params, x, [0, 1, 2, 0], loss=steep, rng=0, activation="tanh")
    assert history.stopped_at == 1 and history.loss == [1.0]
    assert repr(history) == "<history: stopped at step 1, where the gradient was not finite>"
    for name, value in params.items():
        np.testing.assert_array_equal(last[name], value)
    assert repr(network.History()) == "<history: no step taken>"


@pytest.mark.parametrize("progress", [True, False])
def test_progress_bar(progress: bool, capsys: pytest.CaptureFixture[str]) -> None:
    params, x = small()
    network.sgd(params, x, [0, 2, 1, 2], batch_size=1, epochs=2, rng=0, progress=progress)
    out, err = capsys.readouterr()
    assert out == ""
    assert ("8/8" in err) if progress else (err == "")


sgd: Any = partial(network.sgd, *small(), [0, 2, 1, 2])  # what the types forbid is tried here too
adam: Any = partial(network.adam, *small(), [0, 2, 1, 2])
good = small()[0]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: network.init_params([2], winit.he_normal), ValueError, "needs an input and a"),
        (lambda: network.init_params([2, 0], winit.he_normal), ValueError, "at least 1, got 0"),
        (
            lambda: network.init_params([2, 3], "he_normal"),  # type: ignore[arg-type]
            TypeError,
            "initializer must be a function such as winit.he_normal, got 'he_normal'",
        ),
        (
            lambda: network.init_params([2, 3], lambda shape, **_: np.zeros(shape[::-1])),
            ValueError,
            r"returned shape \(2, 3\) for W1, which needs \(3, 2\)",
        ),
        (lambda: network.depth({}), ValueError, r"params must hold W1, b1, W2, b2, … .*got \[\]"),
        (lambda: network.depth({"W1": good["W1"]}), ValueError, r"got \['W1'\]"),
        (
            lambda: network.depth({"W1": good["W1"], "b1": good["b2"]}),
            ValueError,
            r"W1 \(5, 3\) and b1 \(4,\) do not fit together",
        ),
        (
            lambda: network.depth({**good, "W2": good["W2"][:, :2]}),
            ValueError,
            "W2 takes 2 inputs but W1 gives 5",
        ),
        (
            lambda: network.forward(good, np.zeros((4, 2))),
            ValueError,
            r"x must have shape \(examples, 3\) to fit W1, got \(4, 2\)",
        ),
        (lambda: network.forward(good, np.zeros(3)), ValueError, r"x must have shape .*got \(3,\)"),
        (lambda: network.forward(good, np.zeros((4, 3)), "tahn"), ValueError, "Did you mean 'tanh"),
        (
            lambda: network.backward(good, network.forward(good, np.zeros((4, 3))), np.zeros(3)),
            ValueError,
            r"output_gradient must have the output's shape \(4, 3\), got \(3,\)",
        ),
        (
            lambda: network.mean_squared(np.zeros((4, 3)), np.zeros(4)),
            ValueError,
            r"target must have the output's shape \(4, 3\), got \(4,\)",
        ),
        (
            lambda: network.softmax_cross_entropy(np.zeros((2, 3)), [0.0, 1.0]),
            ValueError,
            "2 whole-number labels, one an example, got float64",
        ),
        (
            lambda: network.softmax_cross_entropy(np.zeros((2, 3)), [[0, 1]]),
            ValueError,
            r"one an example, got int64 of shape \(1, 2\)",
        ),
        (
            lambda: network.softmax_cross_entropy(np.zeros((2, 3)), [0, 3]),
            ValueError,
            "labels must lie between 0 and 2, got 0 to 3",
        ),
        (
            lambda: network.softmax_cross_entropy(np.zeros((2, 3)), [-1, 2]),
            ValueError,
            "labels must lie between 0 and 2, got -1 to 2",
        ),
        (lambda: network.get_loss("mean_square"), ValueError, r"Did you mean 'mean_squared'\?"),
        (lambda: sgd(learning_rate=0), ValueError, "learning_rate must be larger than 0"),
        (lambda: sgd(learning_rate=np.nan), ValueError, "learning_rate must be finite"),
        (
            lambda: sgd(learning_rate={"W1": 0.1}),
            ValueError,
            "learning_rate must be a number, or hold one for each of W1, b1, W2, b2, W3, b3 and "
            r"nothing else, got \['W1'\]",
        ),
        (
            lambda: adam(learning_rate={**dict.fromkeys(good, 0.1), "W4": 0.1}),
            ValueError,
            "learning_rate must be a number, or hold one for each of W1",
        ),
        (
            lambda: sgd(learning_rate={**dict.fromkeys(good, 0.1), "b2": 0}),
            ValueError,
            r'learning_rate\["b2"\] must be larger than 0, got 0',
        ),
        (
            lambda: adam(learning_rate={**dict.fromkeys(good, 0.1), "b2": "0.1"}),
            TypeError,
            r'learning_rate\["b2"\] must be a number, got',
        ),
        (
            lambda: sgd(learning_rate=[0.1] * 6),
            TypeError,
            "learning_rate must be a number, or a dict with one for each parameter, got",
        ),
        (lambda: sgd(momentum=1.0), ValueError, "momentum must be below 1, got 1.0"),
        (lambda: sgd(momentum=-0.1), ValueError, "momentum must be 0 or larger"),
        (lambda: sgd(clip=0), ValueError, "clip must be larger than 0"),
        (lambda: sgd(batch_size=0), ValueError, "batch_size must be at least 1, got 0"),
        (lambda: sgd(batch_size=2.5), TypeError, "batch_size must be a whole number, got 2.5"),
        (lambda: sgd(epochs=True), TypeError, "epochs must be a whole number, got True"),
        (lambda: sgd(rng="0"), TypeError, "rng must be None, an int seed"),
        (lambda: sgd(loss="hinge"), ValueError, "loss must be one of mean_squared, softmax"),
        (lambda: sgd(activation="rleu"), ValueError, r"Did you mean 'relu'\?"),
        (
            lambda: network.sgd(good, np.zeros((4, 3)), [0, 1]),
            ValueError,
            "x and target must have as many rows, got 4 and 2",
        ),
        (
            lambda: network.sgd(good, np.zeros((0, 3)), []),
            ValueError,
            "x must hold at least one example",
        ),
        (lambda: adam(learning_rate=0), ValueError, "learning_rate must be larger than 0"),
        (lambda: adam(beta1=1.0), ValueError, "beta1 must be below 1, got 1.0"),
        (lambda: adam(beta2=-0.1), ValueError, "beta2 must be 0 or larger"),
        (lambda: adam(eps=-1e-8), ValueError, "eps must be 0 or larger"),
        (lambda: adam(eps=np.inf), ValueError, "eps must be finite"),
        (lambda: adam(batch_size=0), ValueError, "batch_size must be at least 1, got 0"),
        (lambda: adam(activation="rleu"), ValueError, r"Did you mean 'relu'\?"),
        (
            lambda: network.History(update_ratio=[1.0]),  # type: ignore[list-item]
            TypeError,
            "update_ratio must be a list with a list of numbers for each step, got ",
        ),
    ],
)
def test_errors(call: Callable[[], object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


# What follows holds each fault that was found from outside, with inputs of its kind.

INTEGERS = ["i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"]
FLOATS = ["f2", "f4", "f8", "longdouble"]


def bfloat16() -> np.dtype[Any]:
    return np.dtype(pytest.importorskip("ml_dtypes").bfloat16)


def refused(call: Callable[[], object], error: type[Exception], message: str) -> None:
    """The call is refused by a line of winit's own, with these words, and without a warning."""
    with np.errstate(all="raise"), pytest.raises(error, match=message) as caught:
        call()
    assert type(caught.value) is error
    assert caught.traceback[-1].path.parent.name == "winit", caught.traceback[-1]  # type: ignore[union-attr]


def whole(dtype: str) -> network.Params:
    return {
        "W1": np.array([[1, 2], [3, 1]], dtype),
        "b1": np.array([0, 1], dtype),
        "W2": np.array([[2, 1]], dtype),
        "b2": np.array([1], dtype),
    }


X = np.array([[0.5, 0.9], [1.25, 0.125]])
Z1 = X @ [[1, 3], [2, 1]] + [0, 1]  # positive, so that ReLU keeps it
Y = Z1 @ [[2], [1]] + 1


@pytest.mark.parametrize("dtype", INTEGERS)
def test_fault_01_whole_number_parameters_compute_in_float64(dtype: str) -> None:
    params = whole(dtype)
    trace = network.forward(params, X)
    np.testing.assert_allclose(trace.z[0], Z1, rtol=1e-15)
    np.testing.assert_allclose(trace.output, Y, rtol=1e-15)
    gradients = network.backward(params, trace, np.full((2, 1), 0.25))
    np.testing.assert_allclose(gradients.params["W2"], Z1.sum(axis=0, keepdims=True) / 4)
    np.testing.assert_allclose(gradients.x, np.full((2, 1), 0.25) @ [[5, 5]])
    trained, _ = network.sgd(params, X, Y - 1, loss="mean_squared", learning_rate=0.01, rng=0)
    np.testing.assert_allclose(trained["b2"], [0.99])
    computed = [*trace.z, *trace.a, *gradients.params.values(), *trained.values()]
    assert {values.dtype for values in computed} == {np.dtype(np.float64)}
    assert params["W1"].dtype == dtype


@pytest.mark.parametrize("dtype", INTEGERS)
def test_fault_01_losses_of_whole_number_outputs(dtype: str) -> None:
    value, gradient = network.mean_squared(np.array([[3], [7]], dtype), [[2.5], [7.75]])
    assert value == (0.25 + 0.5625) / 4
    np.testing.assert_array_equal(gradient, [[0.25], [-0.375]])
    output = np.array([[1, 3, 2]], dtype)  # of unsigned ones a difference would wrap around
    for logits in (output, output.tolist()):
        value, gradient = network.softmax_cross_entropy(logits, [0])  # type: ignore[arg-type]
        assert abs(value - np.log(1 + np.e + np.e**2)) < 1e-15
        assert gradient.dtype == np.float64


@pytest.mark.parametrize("weights", [*INTEGERS, *FLOATS])
@pytest.mark.parametrize("bias", ["i4", "f2", "f4", "f8"])
def test_fault_01_the_widest_parameters_decide_the_dtype(weights: str, bias: str) -> None:
    params = whole(bias)
    params["W1"] = params["W1"].astype(weights)
    float64 = dict.fromkeys(INTEGERS, "f8")
    expected = np.result_type(float64.get(weights, weights), float64.get(bias, bias))
    for x in (X, X.astype("f2"), [[1, 2]]):
        trace = network.forward(params, x, "tanh")
        gradients = network.backward(params, trace, np.ones_like(trace.output, "f4"))
        computed = [*trace.z, *trace.a, *gradients.z, gradients.x, *gradients.params.values()]
        assert {values.dtype for values in computed} == {expected}


def test_fault_01_bfloat16_is_kept() -> None:
    dtype = bfloat16()
    params = {name: value.astype(dtype) for name, value in small()[0].items()}
    x, labels = small()[1], TARGETS["softmax_cross_entropy"]
    trace = network.forward(params, x, "relu")
    value, output_gradient = network.softmax_cross_entropy(trace.output, labels)
    gradients = network.backward(params, trace, output_gradient)
    trained, history = network.sgd(params, x, labels, momentum=0.9, clip=1.0, epochs=3, rng=0)
    drawn = network.init_params(SIZES, winit.he_normal, 0, dtype=dtype)
    computed = [*trace.z, *trace.a, *gradients.z, gradients.x, *gradients.params.values()]
    computed += [*trained.values(), *drawn.values(), output_gradient]
    assert {values.dtype for values in computed} == {dtype}
    exact, _ = network.softmax_cross_entropy(network.forward(small()[0], x).output, labels)
    assert abs(value - exact) < 0.1 * exact  # 8 bits, four layers: set after looking at 3 %
    assert history.stopped_at is None and abs(history.loss[0] - value) < 0.01 * value


def test_fault_01_dtypes_without_a_common_one_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """ml_dtypes has a common one of bfloat16 and float16 since its release 0.7."""
    mixed = {name: value.astype(bfloat16()) for name, value in small()[0].items()}
    mixed["W1"] = mixed["W1"].astype(np.float16)
    message = "params must have dtypes with a common one, got bfloat16, float16"
    if tuple(map(int, version("ml_dtypes").split(".")[:2])) < (0, 7):
        refused(lambda: network.depth(mixed), TypeError, message)
    else:
        assert network.forward(mixed, small()[1]).output.dtype == np.float32

    def none(*_: object) -> None:
        raise np.exceptions.DTypePromotionError("no common dtype")

    monkeypatch.setattr(np, "result_type", none)
    refused(lambda: network.depth(mixed), TypeError, message)


def test_fault_01_an_initializer_of_whole_numbers_gives_the_dtype_asked_for() -> None:
    def ones(shape: Any, **_: Any) -> Any:
        return np.ones(shape, int)

    for dtype in ("f2", "f4", "f8"):
        params = network.init_params([2, 3, 1], ones, dtype=dtype)
        assert {value.dtype for value in params.values()} == {np.dtype(dtype)}


def test_fault_01_half_precision_losses_do_not_overflow() -> None:
    """(300² + 1) / 2 is beyond float16's 65504 only on the way."""
    for error in (300, 1000, 60000):
        value, gradient = network.mean_squared(np.array([[error]], np.float16), [[0]])
        assert value == np.float64(np.float16(error)) ** 2 / 2
        assert gradient.dtype == np.float16 and gradient[0, 0] == error
    logits = np.zeros((1, 70_000), np.float16)  # more classes than float16 can count
    assert abs(network.softmax_cross_entropy(logits, [0])[0] - np.log(70_000)) < 1e-5


BAD = [np.nan, np.inf, -np.inf]


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("name", ["W1", "b1", "W2", "b2", "W3", "b3"])
def test_fault_06_sgd_refuses_parameters_that_are_not_finite(name: str, bad: float) -> None:
    params, x = small()
    params[name].flat[-1] = bad
    refused(
        lambda: network.sgd(params, x, [0, 2, 1, 2]), ValueError, rf'params\["{name}"\] must be'
    )


@pytest.mark.parametrize("bad", [*BAD, 1e39])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_fault_06_data_and_targets_must_be_finite(bad: float, dtype: type) -> None:
    params, x = small(dtype)
    if bad == 1e39 and dtype is np.float64:
        return  # that is too large for float32 alone
    spoiled, target = x.astype(np.float64), TARGETS["mean_squared"].copy()
    spoiled[2, 1] = target[1, 2] = bad
    trace = network.forward(params, x)
    for call, message in (
        (lambda: network.forward(params, spoiled), "x must hold finite values"),
        (lambda: network.sgd(params, spoiled, [0, 2, 1, 2]), "x must hold finite values"),
        (lambda: network.sgd(params, x, target, loss="mean_squared"), "target (must be|has)"),
        (lambda: network.mean_squared(trace.output, target), "target (must be finite|has values)"),
        (lambda: network.backward(params, trace, target), "output_gradient must hold finite"),
    ):
        refused(call, ValueError, message)
    if not np.isfinite(bad):
        loss = lambda output, _: (1.0, np.zeros_like(output))  # noqa: E731
        refused(lambda: network.sgd(params, x, target, loss=loss), ValueError, "target must be fin")
        refused(
            lambda: network.softmax_cross_entropy(trace.output, [0, 1, bad, 0]),
            ValueError,
            "target must be finite",
        )


@pytest.mark.parametrize("bad", BAD)
def test_fault_06_what_a_weight_without_a_value_spoils_can_be_seen(bad: float) -> None:
    """`forward`, the losses and `backward` show it, as chapter 1 does; nothing warns."""
    params, x = small()
    params["W1"][0, 0] = bad
    with np.errstate(all="raise"):
        trace = network.forward(params, x, "linear")
        for loss, target in TARGETS.items():
            value, output_gradient = network.get_loss(loss)(trace.output, target)
            gradients = network.backward(params, trace, output_gradient)
            assert not np.isfinite(value) and not np.isfinite(gradients.params["W1"]).all()


@pytest.mark.parametrize("activation", ["relu", "linear", "leaky_relu", "elu", "selu", "softplus"])
@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
def test_fault_06_overflow_is_found_and_does_not_warn(activation: str, dtype: str) -> None:
    scale = float(np.finfo(dtype).max) / 8
    params = network.init_params([4, 4, 4, 2], partial(winit.constant, value=scale), dtype=dtype)
    with np.errstate(all="raise"):
        trace = network.forward(params, np.full((3, 4), 4.0), activation)
        value, output_gradient = network.softmax_cross_entropy(trace.output, [0, 1, 0])
        gradients = network.backward(params, trace, output_gradient)
        trained, history = network.sgd(params, np.full((3, 4), 4.0), [0, 1, 0], rng=0)
    assert np.isfinite(trace.z[0]).all() or scale * 16 > float(np.finfo(dtype).max)
    assert not np.isfinite(trace.output).any() and not np.isfinite(value)
    assert not np.isfinite(gradients.params["W1"]).any()
    assert history.stopped_at == 1 and history.stopped_by == "loss"
    for name, weights in params.items():
        np.testing.assert_array_equal(trained[name], weights)


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
@pytest.mark.parametrize("power", [1.0, 0.9, 0.8, 0.6])
def test_fault_06_sgd_never_returns_parameters_that_are_not_finite(
    dtype: str, power: float
) -> None:
    rate = float(np.finfo(dtype).max) ** power * 3
    rate = min(rate, 1e308)
    params, x = small(np.dtype(dtype).type)
    for momentum in (0.0, 0.9):
        for clip in (None, 1.0):
            trained, history = network.sgd(
                params, x, [0, 2, 1, 2], learning_rate=rate, momentum=momentum, clip=clip, rng=0
            )
            finite = all(np.isfinite(value).all() for value in trained.values())
            assert finite and {value.dtype for value in trained.values()} == {np.dtype(dtype)}
            if power == 1.0 and dtype != "f8":  # there 1e308 times the gradient fits
                assert history.stopped_at == 1 and history.stopped_by == "parameters"
                assert repr(history).endswith("where the new parameters were not finite>")
                for name, value in params.items():
                    np.testing.assert_array_equal(trained[name], value)


def test_fault_06_a_long_gradient_is_still_finite() -> None:
    """Its squares overflow in its own dtype: clipping brings it back, and nothing stops."""
    for dtype, size in (("f2", 1e3), ("f4", 1e30), ("f8", 1e200)):
        params = network.init_params([1, 1], winit.zeros, dtype=dtype)

        def steep(output: Array, _: Any, size: float = size) -> tuple[float, Array]:
            return 1.0, np.full_like(output, size)

        trained, history = network.sgd(
            params, [[1.0]], [0], loss=steep, clip=1.0, learning_rate=0.5, rng=0
        )
        assert history.stopped_at is None
        np.testing.assert_allclose(trained["W1"], -0.5 / np.sqrt(2), rtol=1e-3)


def broken(result: Any) -> Callable[..., Any]:
    return lambda *_: result


def failing(error: Exception) -> Callable[..., Any]:
    def function(*_: Any, **__: Any) -> Any:
        raise error

    return function


NOT_PARAMS: list[tuple[Any, type[Exception], str]] = [
    (None, TypeError, "params must be a dict, got None"),
    (3, TypeError, "params must be a dict, got 3"),
    ([good["W1"], good["b1"]], TypeError, "params must be a dict"),
    ("W1", TypeError, "params must be a dict"),
    ({1: good["W1"], None: good["b1"]}, ValueError, "params must hold W1, b1"),
    ({"W1": good["W1"], "b2": good["b1"]}, ValueError, "params must hold W1, b1"),
    ({**good, "W4": good["W3"]}, ValueError, "params must hold W1, b1"),
    ({**good, "W1": None}, TypeError, r'params\["W1"\] must hold real numbers'),
    ({**good, "W1": "abc"}, TypeError, r'params\["W1"\] must hold real numbers'),
    ({**good, "b2": [1, [2, 3]]}, TypeError, r'params\["b2"\] must be an array of numbers'),
    ({**good, "W2": good["W2"] + 0j}, TypeError, r'params\["W2"\] must hold real numbers'),
    ({**good, "W2": good["W2"].astype(object)}, TypeError, r'params\["W2"\] must hold real'),
    ({**good, "b3": good["b3"] > 0}, TypeError, r'params\["b3"\] must hold real numbers'),
    ({**good, "W3": np.ma.masked_less(good["W3"], 0)}, TypeError, r'params\["W3"\] must not be m'),
    ({**good, "W1": np.zeros((5, 0))}, ValueError, r'params\["W1"\] must not be empty'),
    ({**good, "W1": 1.0}, ValueError, r"params: W1 \(\) and b1 \(5,\) do not fit"),
    ({**good, "b1": np.zeros((5, 1))}, ValueError, r"params: W1 \(5, 3\) and b1 \(5, 1\) do not"),
]


@pytest.mark.parametrize(("params", "error", "message"), NOT_PARAMS)
def test_fault_08_parameters_in_our_words(
    params: Any, error: type[Exception], message: str
) -> None:
    x = np.zeros((4, 3))
    trace = network.forward(good, x)
    refused(lambda: network.depth(params), error, message)
    refused(lambda: network.forward(params, x), error, message)
    refused(lambda: network.backward(params, trace, np.zeros((4, 3))), error, message)
    refused(lambda: network.sgd(params, x, [0, 1, 2, 0]), error, message)


NOT_DATA: list[tuple[Any, type[Exception], str]] = [
    (None, TypeError, "real numbers"),
    ("data", TypeError, "real numbers"),
    (b"data", TypeError, "real numbers"),
    ({1, 2}, TypeError, "real numbers"),
    ({"x": 1}, TypeError, "real numbers"),
    ((row for row in [[1.0, 2.0, 3.0]]), TypeError, "real numbers"),
    ([[1.0, 2.0, 3.0], [1.0]], TypeError, "an array of numbers"),
    ([[1j, 2, 3]], TypeError, "real numbers"),
    ([[10**400, 2, 3]], TypeError, "real numbers"),
    ([[True, False, True]], TypeError, "real numbers"),
    (np.ma.masked_equal([[1.0, 2.0, 3.0]], 2), TypeError, "not be masked"),
    (np.array([["2020-01-01"] * 3], "M8[D]"), TypeError, "real numbers"),
]


@pytest.mark.parametrize(("value", "error", "message"), NOT_DATA)
def test_fault_08_data_targets_and_outputs_in_our_words(
    value: Any, error: type[Exception], message: str
) -> None:
    x, labels = np.zeros((1, 3)), [0]
    trace = network.forward(good, x)
    refused(lambda: network.forward(good, value), error, f"x must.*{message}")
    refused(lambda: network.sgd(good, value, labels), error, f"x must.*{message}")
    refused(lambda: network.sgd(good, x, value), error, f"target must.*{message}")
    refused(lambda: network.backward(good, trace, value), error, f"output_gradient must.*{message}")
    for name, loss in network.LOSSES.items():
        target = labels if name == "softmax_cross_entropy" else x
        refused(lambda loss=loss, t=target: loss(value, t), error, f"output must.*{message}")
        refused(lambda loss=loss: loss(np.zeros((1, 3)), value), error, f"target must.*{message}")


other = network.forward(network.init_params([3, 4, 3], winit.zeros), np.zeros((4, 3)))
loose = network.Trace(activations.relu, [np.zeros(3)] * 3, [np.zeros(3)] * 3)
trace = network.forward(good, np.zeros((4, 3)))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        *(
            (partial(network.backward, good, thing, np.zeros((4, 3))), TypeError, "trace must be")
            for thing in (None, 1, [], {}, "trace", good, trace.z)
        ),
        (lambda: network.backward(good, other, np.zeros((4, 3))), ValueError, "trace must be"),
        (lambda: network.backward(good, loose, np.zeros(3)), ValueError, "trace must be"),
        (lambda: network.Trace(None, [], []), TypeError, "activation must be an Activation"),
        (lambda: network.Trace(activations.relu, None, []), TypeError, "z must be a list"),
        (lambda: network.Trace(activations.relu, [], ["a"]), TypeError, "a must be a list"),
        (lambda: network.Trace(activations.relu, [], []), ValueError, "z and a must hold an"),
        (lambda: network.History("losses"), TypeError, "loss must be a list of numbers"),
        (lambda: network.History([1.0], 0), ValueError, "stopped_at must be at least 1"),
        (lambda: network.History([1.0], 1, "fate"), ValueError, "stopped_by must be one of"),
        (lambda: network.mean_squared(1.0, 1.0), ValueError, "output must have one example a row"),
        (lambda: network.mean_squared([], []), ValueError, "output must not be empty"),
        (lambda: network.softmax_cross_entropy([1.0], [0]), ValueError, "output must have 2 axes"),
        (
            lambda: network.softmax_cross_entropy(np.zeros((0, 3)), []),
            ValueError,
            "output must not be empty",
        ),
        (lambda: network.get_loss(None), TypeError, "loss must be one of"),
        (lambda: network.get_loss(["mean_squared"]), TypeError, "loss must be one of"),
        (lambda: sgd(progress="no"), TypeError, "progress must be True or False"),
        (lambda: sgd(progress=1), TypeError, "progress must be True or False"),
        (lambda: sgd(learning_rate=10**400), ValueError, "learning_rate must be finite"),
        (lambda: sgd(epochs=10**400), ValueError, "epochs must be at most"),
        (lambda: network.sgd(good, np.zeros((4, 3)), 0), ValueError, "got 4 and 0"),
        (lambda: network.sgd(good, 1.0, [0]), ValueError, r"x must have shape \(examples, 3\)"),
        (
            lambda: network.sgd(good, np.zeros((4, 3)), [0, 1, 2, 3]),
            ValueError,
            "target: labels must lie between 0 and 2, got 0 to 3",
        ),
        (
            lambda: network.sgd(good, np.zeros((4, 3)), np.zeros((4, 2)), loss="mean_squared"),
            ValueError,
            r"target must have the output's shape \(4, 3\), got \(4, 2\)",
        ),
    ],
)
def test_fault_08_foreign_errors(
    call: Callable[[], object], error: type[Exception], message: str
) -> None:
    refused(call, error, message)


@pytest.mark.parametrize(
    ("loss", "error", "message"),
    [
        (broken(None), TypeError, r"loss must return \(value, gradient\), got None"),
        (broken(1.0), TypeError, r"loss must return \(value, gradient\), got 1.0"),
        (broken("ab"), TypeError, r"loss must return \(value, gradient\), got 'ab'"),
        (broken((1.0, 2.0, 3.0)), TypeError, r"loss must return \(value, gradient\)"),
        (broken((None, np.zeros((4, 3)))), TypeError, "the value that loss returns must hold real"),
        (broken((1j, np.zeros((4, 3)))), TypeError, "the value that loss returns must hold real"),
        (broken(([1.0], np.zeros((4, 3)))), ValueError, "the value that loss returns must have 0"),
        (broken((1.0, None)), TypeError, "the gradient that loss returns must hold real"),
        (broken((1.0, np.zeros((3, 4)))), ValueError, "the gradient that loss returns must have t"),
        (broken((1.0, 0.0)), ValueError, "the gradient that loss returns must have the output's"),
        (broken((1.0, [[1], [2, 3]])), TypeError, "the gradient that loss returns must be an arr"),
        (failing(KeyError("k")), ValueError, "loss .* raised KeyError: 'k'"),
        (failing(ZeroDivisionError("z")), ValueError, "loss .* raised ZeroDivisionError: z"),
        (failing(TypeError("t")), TypeError, "loss .* raised TypeError: t"),
        (len, TypeError, "loss .* raised TypeError"),
        (int, TypeError, "loss .* raised TypeError"),
    ],
)
def test_fault_08_broken_losses(loss: Any, error: type[Exception], message: str) -> None:
    refused(lambda: sgd(loss=loss), error, message)


@pytest.mark.parametrize(
    ("initializer", "error", "message"),
    [
        (broken(None), TypeError, "initializer .* raised TypeError"),
        (lambda *_, **__: None, TypeError, "what the initializer returns for W1 must hold real"),
        (lambda *_, **__: "abc", TypeError, "what the initializer returns for W1 must hold real"),
        (lambda *_, **__: [[1], [2, 3]], TypeError, "what the initializer returns for W1 must be"),
        (lambda *_, **__: 0.0, ValueError, r"initializer returned shape \(\) for W1"),
        (lambda s, **_: np.zeros(s[:1]), ValueError, r"initializer returned shape \(3,\) for W1"),
        (
            lambda s, **_: np.full(s, np.nan),
            ValueError,
            "initializer returns for W1 must be finite",
        ),
        (lambda s, **_: np.full(s, 1j), TypeError, "initializer returns for W1 must hold real"),
        (lambda s, **_: np.zeros(s) > 0, TypeError, "initializer returns for W1 must hold real"),
        (failing(RuntimeError("no")), ValueError, "initializer .* raised RuntimeError: no"),
        (failing(IndexError("i")), ValueError, "initializer .* raised IndexError: i"),
        (partial(winit.normal, std=-1), ValueError, "initializer .* raised ValueError: std must"),
        (int, TypeError, "initializer .* raised TypeError"),
        (None, TypeError, "initializer must be a function .* got None"),
    ],
)
def test_fault_08_broken_initializers(
    initializer: Any, error: type[Exception], message: str
) -> None:
    refused(lambda: network.init_params([2, 3], initializer), error, message)


@pytest.mark.parametrize("dtype", [int, "c16", "abc", object, bool, {}, "f99"])
def test_fault_08_dtypes_of_parameters(dtype: Any) -> None:
    for initializer in (winit.he_normal, lambda s, **_: np.zeros(s)):
        refused(
            lambda i=initializer: network.init_params([2, 3], i, dtype=dtype),
            TypeError,
            "dtype mus",
        )


def test_fault_08_sizes_beyond_memory() -> None:
    for sizes in ([2**20, 2**20], [2**16, 2**15], [2**30, 2]):
        refused(
            lambda s=sizes: network.init_params(s, lambda shape, **_: np.broadcast_to(0.0, shape)),
            ValueError,
            "layer_sizes must mak",
        )


@pytest.mark.parametrize(
    "function", [np.sum, np.cumsum, np.sort, lambda z: z[:, :1], lambda z: None]
)
@pytest.mark.parametrize("where", ["function", "slope"])
def test_fault_08_activations_that_are_not_elementwise(function: Any, where: str) -> None:
    phi = activations.Activation("odd", **{"function": np.tanh, "slope": np.tanh, where: function})
    with pytest.raises((TypeError, ValueError), match="the activation odd must "):
        sgd(activation=phi)


def test_fault_08_an_initializer_that_keeps_its_array_ties_no_layers() -> None:
    kept = np.ones((2, 2))
    params = network.init_params([2, 2, 2], lambda shape, **_: kept)
    params["W1"][0, 0] = 7
    assert kept[0, 0] == params["W2"][0, 0] == 1


def test_fault_14_the_defaults_of_sgd(capsys: pytest.CaptureFixture[str]) -> None:
    params, x = small()
    labels = [0, 2, 1, 2]
    given = {"activation": "relu", "loss": "softmax_cross_entropy", "learning_rate": 0.1}
    given |= {"momentum": 0.0, "clip": None, "batch_size": 32, "epochs": 1, "progress": False}
    x, labels = np.tile(x, (9, 1)), labels * 9  # 36 examples: two batches of at most 32
    default, history = network.sgd(params, x, labels, rng=0)
    written = capsys.readouterr()
    assert written.out == written.err == "" and len(history.loss) == 2
    spelled_out, _ = network.sgd(params, x, labels, rng=0, **given)  # type: ignore[arg-type]
    for name, value in default.items():
        np.testing.assert_array_equal(value, spelled_out[name])
    for name, value in {"learning_rate": 0.1001, "momentum": 1e-3, "clip": 0.1}.items():
        changed, _ = network.sgd(params, x, labels, rng=0, **{**given, name: value})  # type: ignore[arg-type]
        assert (changed["W1"] != default["W1"]).any(), name


def test_the_defaults_of_adam() -> None:
    """Those of the paper's algorithm, and of `sgd` where both have them."""
    params, x = small()
    given: dict[str, Any] = {"learning_rate": 0.001, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8}
    given |= {"activation": "relu", "loss": "softmax_cross_entropy", "clip": None}
    given |= {"batch_size": 32, "epochs": 1, "progress": False}
    x, labels = np.tile(x, (9, 1)), [0, 2, 1, 2] * 9
    default, _ = network.adam(params, x, labels, rng=0)
    spelled_out, _ = network.adam(params, x, labels, rng=0, **given)
    for name, value in default.items():
        np.testing.assert_array_equal(value, spelled_out[name])
    changes = {"learning_rate": 2e-3, "beta1": 0.8, "beta2": 0.9, "eps": 1e-2, "clip": 1e-3}
    for name, value in changes.items():
        changed, _ = network.adam(params, x, labels, rng=0, **{**given, name: value})
        assert (changed["W1"] != default["W1"]).any(), name


def test_fault_14_the_default_of_forward_and_of_init_params() -> None:
    params, x = small()
    np.testing.assert_array_equal(
        network.forward(params, x).output, network.forward(params, x, "relu").output
    )
    assert network.init_params([2, 3], winit.he_normal, 0)["W1"].dtype == np.float64


@pytest.mark.parametrize(
    ("make", "names"),
    [
        (lambda: trace, ["activation", "z", "a", "output"]),
        (lambda: network.backward(good, trace, np.zeros((4, 3))), ["params", "z", "x"]),
        (
            lambda: network.History([1.0], 1, "loss"),
            ["loss", "stopped_at", "stopped_by", "update_ratio"],
        ),
    ],
)
def test_fault_14_records_are_frozen(make: Callable[[], Any], names: list[str]) -> None:
    record = make()
    for name in [*names, "anything"]:
        with pytest.raises(AttributeError):
            setattr(record, name, None)
    for name in names[:2]:
        with pytest.raises(AttributeError):
            delattr(record, name)


# Properties that hold for any network.


@st.composite
def networks(draw: st.DrawFn) -> tuple[network.Params, Array, np.random.Generator]:
    """A small network with weights and biases of a usual size, and some examples."""
    sizes = draw(st.lists(st.integers(1, 4), min_size=2, max_size=4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    params = network.init_params(sizes, partial(winit.normal, std=0.8), rng)
    for i in range(1, len(sizes)):
        params[f"b{i}"] += 0.3 * rng.standard_normal(sizes[i])
    return params, rng.standard_normal((draw(st.integers(1, 3)), sizes[0])), rng


@settings(deadline=None)
@given(
    networks(), st.sampled_from(sorted(activations.ACTIVATIONS)), st.sampled_from(sorted(TARGETS))
)
def test_property_gradients_are_those_of_central_differences(
    net: tuple[network.Params, Array, np.random.Generator], name: str, loss: str
) -> None:
    """The difference's own error is below h² f'''/6 + eps f/h, about 1e-10 with h = 1e-5."""
    params, x, rng = net
    phi, loss_function = activations.get(name), network.get_loss(loss)
    trace = network.forward(params, x, phi)
    near = [np.abs(z - kink).min() for z in trace.z[:-1] for kink in phi.kinks]
    assume(not near or min(near) > 1e-3)  # at a kink there is no derivative to compare with
    labels = rng.integers(0, trace.output.shape[1], len(x))
    target = labels if loss == "softmax_cross_entropy" else rng.standard_normal(trace.output.shape)

    def value() -> float:
        return loss_function(network.forward(params, x, phi).output, target)[0]

    gradients = network.backward(params, trace, loss_function(trace.output, target)[1])
    for key, weights in params.items():
        expected = numerical_gradient(value, weights)
        np.testing.assert_allclose(gradients.params[key], expected, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(gradients.x, numerical_gradient(value, x), rtol=1e-6, atol=1e-7)


@settings(deadline=None)
@given(networks(), st.floats(-3, 3), st.floats(-3, 3))
def test_property_backward_is_linear(
    net: tuple[network.Params, Array, np.random.Generator], s: float, t: float
) -> None:
    params, x, rng = net
    trace = network.forward(params, x, "gelu")
    one, two = rng.standard_normal((2, *trace.output.shape))
    both, first, second = (
        network.backward(params, trace, gradient) for gradient in (s * one + t * two, one, two)
    )
    for name in params:
        expected = s * first.params[name] + t * second.params[name]
        np.testing.assert_allclose(both.params[name], expected, rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(both.x, s * first.x + t * second.x, rtol=1e-9, atol=1e-11)


@settings(deadline=None)
@given(networks(), st.floats(1e-3, 0.2), st.floats(0, 0.95), st.integers(1, 4), st.integers(1, 3))
def test_property_sgd_is_its_plain_reference_and_changes_nothing_given(
    net: tuple[network.Params, Array, np.random.Generator],
    rate: float,
    momentum: float,
    batch_size: int,
    epochs: int,
) -> None:
    params, x, rng = net
    target = rng.standard_normal((len(x), len(params[f"b{len(params) // 2}"])))
    for value in (*params.values(), x, target):
        value.flags.writeable = False
    before = [value.tobytes() for value in (*params.values(), x, target)]
    theta = {name: value.copy() for name, value in params.items()}
    velocity = {name: np.zeros(value.shape) for name, value in params.items()}
    losses, order = [], np.random.default_rng(7)
    for _ in range(epochs):
        shuffled = order.permutation(len(x))
        for start in range(0, len(x), batch_size):
            batch = shuffled[start : start + batch_size]
            trace = network.forward(theta, x[batch], "tanh")
            loss, delta = network.mean_squared(trace.output, target[batch])
            losses.append(loss)
            for name, gradient in network.backward(theta, trace, delta).params.items():
                velocity[name] = momentum * velocity[name] - rate * gradient
                theta[name] = theta[name] + velocity[name]
    trained, history = network.sgd(
        params,
        x,
        target,
        activation="tanh",
        loss="mean_squared",
        learning_rate=rate,
        momentum=momentum,
        batch_size=batch_size,
        epochs=epochs,
        rng=7,
    )
    np.testing.assert_allclose(history.loss, losses, rtol=1e-9, atol=1e-12)
    for name, value in theta.items():
        np.testing.assert_allclose(trained[name], value, rtol=1e-9, atol=1e-12)
        assert not np.shares_memory(trained[name], params[name])
    assert before == [value.tobytes() for value in (*params.values(), x, target)]


@settings(deadline=None)
@given(st.integers(1, 5), st.integers(1, 6), st.floats(-1e3, 1e3), st.integers(0, 2**32))
def test_property_softmax_does_not_see_a_shift(m: int, n: int, shift: float, seed: int) -> None:
    """The shift itself rounds logits by half an ulp of 1e3, 6e-14; so much the result may move."""
    rng = np.random.default_rng(seed)
    logits, labels = 3 * rng.standard_normal((m, n)), rng.integers(0, n, m)
    value, gradient = network.softmax_cross_entropy(logits, labels)
    moved, moved_gradient = network.softmax_cross_entropy(logits + shift, labels)
    assert abs(moved - value) < 1e-12 and value >= 0
    np.testing.assert_allclose(moved_gradient, gradient, rtol=0, atol=1e-12)
    np.testing.assert_allclose(gradient.sum(axis=1), 0, atol=1e-15)


@settings(deadline=None)
@given(
    st.sampled_from([*INTEGERS, *FLOATS]),
    st.sampled_from([*INTEGERS, *FLOATS]),
    st.sampled_from(sorted(activations.ACTIVATIONS)),
)
def test_property_the_parameters_decide_the_dtype(params: str, data: str, name: str) -> None:
    net, x = whole(params), np.array([[1, 2], [0, 3]], data)
    expected = np.dtype("f8" if params in INTEGERS else params)
    trace = network.forward(net, x, name)
    _, output_gradient = network.mean_squared(trace.output, x[:, :1])
    gradients = network.backward(net, trace, output_gradient)
    trained, _ = network.sgd(net, x, x[:, :1], loss="mean_squared", learning_rate=1e-3, rng=0)
    computed = [*trace.z, *trace.a, output_gradient, *gradients.z, gradients.x]
    computed += [*gradients.params.values(), *trained.values()]
    assert {values.dtype for values in computed} == {expected}
    assert x.dtype == data and all(value.dtype == params for value in net.values())


@pytest.mark.parametrize("part", ["z", "a"])
def test_a_trace_of_another_shape_in_one_part_only(part: str) -> None:
    params = network.init_params([3, 4, 2], winit.he_normal, 0)
    trace = network.forward(params, np.ones((5, 3)))
    changed = [values[:, :-1] for values in getattr(trace, part)]
    with pytest.raises(ValueError, match="trace must be what forward returned for these params"):
        network.backward(params, replace(trace, **{part: changed}), np.ones((5, 2)))


@pytest.mark.parametrize("scale", [0.0, 1e-300, 1e-170, 1e-3, 1.0, 1e170, 1e300])
def test_a_norm_overflows_and_vanishes_only_if_it_must(scale: float) -> None:
    norm = network._norm([np.array([3.0 * scale, 0.0]), np.array([[4.0 * scale]])])
    assert norm == pytest.approx(5 * scale, rel=1e-15)


def test_no_examples_are_no_error_in_a_network() -> None:
    """A batch may be empty on its way: its gradients are 0, and a wrong target is named as such."""
    params = network.init_params([2, 3, 1], winit.he_normal, 0)
    trace = network.forward(params, np.zeros((0, 2)))
    gradients = network.backward(params, trace, np.zeros((0, 1)))
    assert [value.any() for value in gradients.params.values()] == [False] * 4
    assert gradients.x.shape == (0, 2)
    with pytest.raises(ValueError, match=r"target must have the output's shape \(1, 1\)"):
        network.mean_squared(np.ones((1, 1)), np.zeros((0, 1)))


@pytest.mark.parametrize("returned", [(), (1.0,), (1.0, np.zeros((2, 1)), 3)])
def test_a_loss_returns_two_things(returned: Any) -> None:
    params = network.init_params([2, 1], winit.he_normal, 0)
    with pytest.raises(TypeError, match=r"loss must return \(value, gradient\)"):
        network.sgd(
            params, np.ones((2, 2)), np.ones((2, 1)), rng=0, loss=lambda output, target: returned
        )


@pytest.mark.parametrize("size", [1e-280, 1e-200, 1.0, 1e200])
def test_gradients_are_clipped_whose_squares_vanish_or_overflow(size: float) -> None:
    params = {"W1": np.zeros((1, 2)), "b1": np.zeros(1)}
    after, _ = network.sgd(
        params,
        np.array([[3.0, 4.0]]),
        np.zeros((1, 1)),
        rng=0,
        learning_rate=1.0,
        clip=1e-20 * size,
        loss=lambda output, target: (0.0, np.full(output.shape, size)),
    )
    step = -1e-20 * size * np.array([3, 4, 1]) / np.sqrt(26)
    moved = np.append(after["W1"][0], after["b1"])
    np.testing.assert_allclose(moved, step, rtol=1e-12, atol=0)


def test_no_example_to_train_on_is_named() -> None:
    params = network.init_params([3, 2], winit.he_normal, 0)
    for train in (network.sgd, network.adam):
        with pytest.raises(ValueError, match=r"x must hold at least one example, got shape"):
            train(params, np.ones((0, 3)), np.ones(0, dtype=int))


def test_gradients_keep_no_array_of_the_caller() -> None:
    params = network.init_params([3, 2], winit.he_normal, 0)
    given = np.ones((4, 2))
    gradients = network.backward(params, network.forward(params, np.ones((4, 3))), given)
    given[:] = 7.0
    assert (gradients.z[-1] == 1).all()
    assert gradients == gradients and hash(gradients)
