"""The scratch network: gradients against differences, losses in closed form, training by hand."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
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
        (lambda: network.sgd(good, np.zeros((0, 3)), []), ValueError, "got 0 and 0"),
    ],
)
def test_errors(call: Callable[[], object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
