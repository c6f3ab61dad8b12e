"""A fully connected network from scratch, small enough to read: forward, backward, losses, SGD.

Parameters are a dict ``{"W1": …, "b1": …, "W2": …}`` with ``Wi`` of shape ``(fan_out, fan_in)``.
Data has one example a row. The last layer is linear; the losses bring their own softmax.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from winit import _checks, activations
from winit._checks import RNG
from winit.activations import Activation

Array = NDArray[np.floating[Any]]
Params = dict[str, Array]
ActivationLike = str | Activation | Callable[..., Any]
LossFunction = Callable[[Array, ArrayLike], tuple[float, Array]]


def init_params(
    layer_sizes: Sequence[int],
    initializer: Callable[..., Array],
    rng: RNG = None,
    *,
    dtype: DTypeLike = np.float64,
) -> Params:
    """Weights drawn by `initializer` and zero biases for a network with these layer sizes.

    Parameters
    ----------
    layer_sizes : sequence of at least two whole numbers, input first
    initializer : callable, ``initializer(shape, rng=…, dtype=…)``
        Such as ``winit.he_normal``; for keywords use ``functools.partial``.
    rng : one stream for all layers, so that no two layers share their draws

    Raises
    ------
    ValueError, TypeError
        Fewer than two sizes, a size that is not a whole number of at least 1, an unusable rng, an
        initializer that is not callable or returns another shape.
    """
    sizes = _checks.layer_sizes(layer_sizes)
    if not callable(initializer):
        raise TypeError(
            f"initializer must be a function such as winit.he_normal, got {initializer!r}"
        )
    draws = _checks.as_rng(rng)
    params: Params = {}
    for i, shape in enumerate(zip(sizes[1:], sizes[:-1], strict=True), start=1):
        weights = initializer(shape, rng=draws, dtype=dtype)
        if np.shape(weights) != shape:
            raise ValueError(
                f"the initializer returned shape {np.shape(weights)} for W{i}, which needs {shape}"
            )
        params[f"W{i}"] = weights
        params[f"b{i}"] = np.zeros(shape[0], dtype=dtype)
    return params


def depth(params: Params) -> int:
    """How many weight layers there are.

    Raises
    ------
    ValueError
        Layers that are missing or whose shapes do not follow one another.
    """
    layers = len(params) // 2
    names = [f"{kind}{i}" for i in range(1, layers + 1) for kind in "Wb"]
    if not layers or sorted(names) != sorted(params):
        raise ValueError(f"params must hold W1, b1, W2, b2, … and nothing else, got {list(params)}")
    for i in range(1, layers + 1):
        weights, bias = params[f"W{i}"], params[f"b{i}"]
        if weights.ndim != 2 or bias.shape != (weights.shape[0],):
            raise ValueError(f"W{i} {weights.shape} and b{i} {bias.shape} do not fit together")
        if i > 1 and weights.shape[1] != params[f"W{i - 1}"].shape[0]:
            raise ValueError(
                f"W{i} takes {weights.shape[1]} inputs but W{i - 1} gives "
                f"{params[f'W{i - 1}'].shape[0]}"
            )
    return layers


@dataclass(frozen=True)
class Trace:
    """Everything a forward pass computed.

    `z[l]` are the pre-activations of layer l + 1 and `a[l]` the input of layer l + 1, so that
    ``a[0]`` is the data and ``output`` is ``z[-1]``; each has one example a row.
    """

    activation: Activation
    z: list[Array]
    a: list[Array]

    @property
    def output(self) -> Array:
        """The network's answer, which is the last layer's pre-activations."""
        return self.z[-1]


def forward(params: Params, x: ArrayLike, activation: ActivationLike = "relu") -> Trace:
    r"""Send a batch through, keeping every layer: :math:`z_l = a_{l-1} W_l^\top + b_l`.

    Parameters
    ----------
    x : array, shape (examples, inputs)
    activation : name, `Activation` or function, used by all layers but the last

    Raises
    ------
    ValueError
        Data of another width than W1 takes.
    """
    phi = activations.get(activation)
    layers = depth(params)
    x = np.asarray(x, dtype=params["W1"].dtype)
    if x.ndim != 2 or x.shape[1] != params["W1"].shape[1]:
        raise ValueError(
            f"x must have shape (examples, {params['W1'].shape[1]}) to fit W1, got {x.shape}"
        )
    trace = Trace(phi, [], [x])
    for i in range(1, layers + 1):
        trace.z.append(trace.a[-1] @ params[f"W{i}"].T + params[f"b{i}"])
        if i < layers:
            trace.a.append(phi(trace.z[-1]))
    return trace


@dataclass(frozen=True)
class Gradients:
    """What a backward pass computed.

    `params` has the shape of the parameters; ``z[l]`` is the gradient at the pre-activations of
    layer l + 1, one example a row; `x` the gradient at the data.
    """

    params: Params
    z: list[Array]
    x: Array


def backward(params: Params, trace: Trace, output_gradient: ArrayLike) -> Gradients:
    r"""Send a gradient back: :math:`\delta_{l-1} = (\delta_l W_l)\,\varphi'(z_{l-1})`.

    Parameters
    ----------
    output_gradient : array, the shape of ``trace.output``
        The loss's derivative by the network's output.

    Raises
    ------
    ValueError
        A gradient of another shape than the output.
    """
    delta = np.asarray(output_gradient, dtype=trace.output.dtype)
    if delta.shape != trace.output.shape:
        raise ValueError(
            f"output_gradient must have the output's shape {trace.output.shape}, got {delta.shape}"
        )
    gradients: Params = {}
    deltas: list[Array] = []
    for i in range(len(trace.z), 0, -1):
        deltas.insert(0, delta)
        gradients[f"W{i}"] = delta.T @ trace.a[i - 1]
        gradients[f"b{i}"] = delta.sum(axis=0)
        delta = delta @ params[f"W{i}"]
        if i > 1:
            delta = delta * trace.activation.derivative(trace.z[i - 2])
    return Gradients({name: gradients[name] for name in params}, deltas, delta)


def mean_squared(output: Array, target: ArrayLike) -> tuple[float, Array]:
    r"""Half the mean squared error, :math:`\frac1{2m}\sum (y-t)^2`, and its gradient.

    The mean is over the m examples, the sum over the outputs of each.

    Raises
    ------
    ValueError
        A target of another shape than the output.
    """
    target = np.asarray(target, dtype=output.dtype)
    if target.shape != output.shape:
        raise ValueError(f"target must have the output's shape {output.shape}, got {target.shape}")
    error = output - target
    return float((error**2).sum() / (2 * len(output))), error / len(output)


def softmax_cross_entropy(output: Array, target: ArrayLike) -> tuple[float, Array]:
    r"""Mean cross-entropy, :math:`-\frac1m\sum\ln p_t`, of the softmax, and its gradient.

    Parameters
    ----------
    output : array, shape (examples, classes)
        Logits; shifted by their largest, so that none overflows.
    target : whole numbers, shape (examples,)
        The right class of each example, from 0.

    Raises
    ------
    ValueError
        Labels that are not whole numbers, not one an example, or out of range.
    """
    target = np.asarray(target)
    examples, classes = output.shape
    if target.shape != (examples,) or target.dtype.kind not in "iu":
        raise ValueError(
            f"target must be {examples} whole-number labels, one an example, got "
            f"{target.dtype.name} of shape {target.shape}"
        )
    if examples and not 0 <= target.min() <= target.max() < classes:
        raise ValueError(
            f"labels must lie between 0 and {classes - 1}, got {target.min()} to {target.max()}"
        )
    shifted = output - output.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    rows = np.arange(examples)
    gradient = np.exp(log_p)
    gradient[rows, target] -= 1
    return float(-log_p[rows, target].mean()), gradient / examples


LOSSES: dict[str, LossFunction] = {
    "mean_squared": mean_squared,
    "softmax_cross_entropy": softmax_cross_entropy,
}


def get_loss(loss: str | LossFunction) -> LossFunction:
    """A loss from its name, or the function itself.

    Raises
    ------
    ValueError
        An unknown name; the message suggests the nearest one.
    """
    if callable(loss):
        return loss
    return LOSSES[_checks.choice(loss, "loss", tuple(LOSSES))]


@dataclass
class History:
    """A training run: the loss of each step, and where it had to stop.

    `stopped_at` is the step (from 1) whose loss or gradient was not finite, None for a run that
    finished.
    """

    loss: list[float] = field(default_factory=list)
    stopped_at: int | None = None

    def __repr__(self) -> str:
        if not self.loss:
            return "<history: no step taken>"
        first, last = self.loss[0], self.loss[-1]
        if self.stopped_at is not None:
            what = "gradient was not finite" if np.isfinite(last) else f"loss became {last}"
            return f"<history: stopped at step {self.stopped_at}, where the {what}>"
        return f"<history: {len(self.loss)} steps, loss {first:.3g} to {last:.3g}>"


def sgd(
    params: Params,
    x: ArrayLike,
    target: ArrayLike,
    *,
    activation: ActivationLike = "relu",
    loss: str | LossFunction = "softmax_cross_entropy",
    learning_rate: float = 0.1,
    momentum: float = 0.0,
    clip: float | None = None,
    batch_size: int = 32,
    epochs: int = 1,
    rng: RNG = None,
    progress: bool = False,
) -> tuple[Params, History]:
    r"""Train by stochastic gradient descent in mini-batches; the given `params` stay as they are.

    :math:`v \leftarrow \mu v - \eta g`, :math:`\theta \leftarrow \theta + v`, with learning rate
    :math:`\eta` and momentum :math:`\mu`; the examples are shuffled anew in each epoch.

    Parameters
    ----------
    clip : float, optional
        The largest norm that the gradient of all parameters together may have.
    progress : bool
        Show a progress bar.

    Returns
    -------
    (params, history)
        The trained parameters and the loss of each mini-batch before its step. A loss or gradient
        that is not finite stops the run: `history.stopped_at` says at which step, and the
        parameters are those from before it.

    Raises
    ------
    ValueError, TypeError
        A learning rate, momentum, clip, batch size or epochs out of range; data that do not fit.
    """
    rate = _checks.number(learning_rate, "learning_rate", above=0.0)
    momentum = _checks.number(momentum, "momentum", minimum=0.0)
    if momentum >= 1:
        raise ValueError(f"momentum must be below 1, got {momentum!r}")
    clip = None if clip is None else _checks.number(clip, "clip", above=0.0)
    batch_size, epochs = _checks.size(batch_size, "batch_size"), _checks.size(epochs, "epochs")
    phi, loss_function, draws = activations.get(activation), get_loss(loss), _checks.as_rng(rng)
    x, target = np.asarray(x), np.asarray(target)
    if len(x) != len(target) or not len(x):
        raise ValueError(f"x and target must have as many rows, got {len(x)} and {len(target)}")
    params = {name: value.copy() for name, value in params.items()}
    velocity = {name: np.zeros_like(value) for name, value in params.items()}
    history = History()
    with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is caught below
        for batch in _batches(len(x), batch_size, epochs, draws, progress):
            trace = forward(params, x[batch], phi)
            value, output_gradient = loss_function(trace.output, target[batch])
            gradients = backward(params, trace, output_gradient).params
            norm = np.linalg.norm([np.linalg.norm(g) for g in gradients.values()])
            history.loss.append(value)
            if not np.isfinite(value) or not np.isfinite(norm):
                history.stopped_at = len(history.loss)
                break
            shrink = 1.0 if clip is None or norm <= clip else clip / norm
            for name, gradient in gradients.items():
                step = params[name].dtype.type(rate * shrink) * gradient
                velocity[name] = momentum * velocity[name] - step
                params[name] += velocity[name]
    return params, history


def _batches(
    examples: int, batch_size: int, epochs: int, rng: _checks.Draws, progress: bool
) -> Iterable[NDArray[np.intp]]:
    """The rows of each mini-batch, over all epochs."""
    starts = range(0, examples, batch_size)
    bar = None
    if progress:
        from tqdm.auto import tqdm  # loaded when asked for

        bar = tqdm(total=epochs * len(starts), unit="step")
    try:
        for _ in range(epochs):
            order = rng.permutation(examples)
            for start in starts:
                yield order[start : start + batch_size]
                if bar is not None:
                    bar.update()
    finally:
        if bar is not None:
            bar.close()
