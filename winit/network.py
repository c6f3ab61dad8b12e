"""A fully connected network from scratch, small enough to read: passes, losses, SGD and Adam.

Parameters are a dict ``{"W1": …, "b1": …, "W2": …}`` with ``Wi`` of shape ``(fan_out, fan_in)``.
Data has one example a row. The last layer is linear; the losses bring their own softmax.

The parameters decide the dtype: everything is computed in theirs, in the widest where they differ,
and data, targets and gradients are converted to it. Whole numbers count as float64.

Data, targets and gradients that are not finite are errors. What overflows on its way is a finding:
it stands in the results as inf or nan, without a warning.
"""

from __future__ import annotations

import contextlib
import math
import numbers
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from winit import _checks, activations
from winit._checks import RNG
from winit.activations import Activation

Array = NDArray[np.floating[Any]]
Params = dict[str, Array]
ActivationLike = str | Activation | Callable[..., Any]
LossFunction = Callable[[Array, ArrayLike], tuple[float, Array]]
Rate = float | Mapping[str, float]
TraceT = TypeVar("TraceT", bound="Trace")
# From the gradients, and the factor that clips them, to what is added to the parameters.
Update = Callable[[Params, float], Params]


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
    dtype : the floating dtype of all parameters, whatever the initializer returns

    Raises
    ------
    ValueError, TypeError
        Fewer than two sizes, a size that is not a whole number of at least 1, an unusable rng or
        dtype, an initializer that is not callable, fails, or returns anything but finite real
        numbers of the shape that it was given.
    """
    sizes = _checks.layer_sizes(layer_sizes)
    if not callable(initializer):
        raise TypeError(
            "initializer must be a function such as winit.he_normal, "
            f"got {_checks.shown(initializer)}"
        )
    draws, wanted = _checks.as_rng(rng), _checks.float_dtype(dtype)
    params: Params = {}
    for i, shape in enumerate(zip(sizes[1:], sizes[:-1], strict=True), start=1):
        if shape[0] * shape[1] > _checks.LARGEST_SIZE:
            raise ValueError(
                f"layer_sizes must give matrices of at most {_checks.LARGEST_SIZE} weights, "
                f"got {shape} for W{i}"
            )
        returned = _called("initializer", initializer, shape, rng=draws, dtype=dtype)
        weights = _checks.array(returned, f"what the initializer returns for W{i}", dtype=wanted)
        if weights.shape != shape:
            raise ValueError(
                f"the initializer returned shape {weights.shape} for W{i}, which needs {shape}"
            )
        # a copy, so that no two layers share an array that the initializer keeps
        params[f"W{i}"] = np.array(weights)
        params[f"b{i}"] = np.zeros(shape[0], dtype=wanted)
    return params


def _called(what: str, function: Callable[..., Any], *arguments: Any, **keywords: Any) -> Any:
    """What the caller's own function returns; what it raises comes with the argument's name."""
    try:
        return function(*arguments, **keywords)
    except Exception as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(
            f"{what} {_checks.shown(function)} raised {type(error).__name__}: {error}"
        ) from error


def depth(params: Params) -> int:
    """How many weight layers there are.

    Raises
    ------
    ValueError, TypeError
        Layers that are missing, that are not arrays of real numbers, or whose shapes do not follow
        one another.
    """
    return len(_checked(params)) // 2


def _checked(params: Mapping[str, ArrayLike], *, finite: bool = False) -> Params:
    """The parameters as arrays of one floating dtype, in the caller's order."""
    given = _checks.mapping(params, "params")
    layers = len(given) // 2
    names = {f"{kind}{i}" for i in range(1, layers + 1) for kind in "Wb"}
    if not layers or names != set(given):
        raise ValueError(
            f"params must hold W1, b1, W2, b2, … and nothing else, got {_checks.shown(list(given))}"
        )
    arrays = {
        name: _checks.array(value, f'params["{name}"]', finite=finite)
        for name, value in given.items()
    }
    for i in range(1, layers + 1):
        weights, bias = arrays[f"W{i}"], arrays[f"b{i}"]
        if weights.ndim != 2 or bias.shape != (weights.shape[0],):
            raise ValueError(
                f"params: W{i} {weights.shape} and b{i} {bias.shape} do not fit together"
            )
        if i > 1 and weights.shape[1] != arrays[f"W{i - 1}"].shape[0]:
            raise ValueError(
                f"params: W{i} takes {weights.shape[1]} inputs but W{i - 1} gives "
                f"{arrays[f'W{i - 1}'].shape[0]}"
            )
    return _in_one_dtype(arrays)


def _in_one_dtype(arrays: Params) -> Params:
    """The parameters in the widest of their dtypes."""
    dtypes = {value.dtype for value in arrays.values()}
    try:
        dtype = np.result_type(*dtypes)
    except TypeError:  # bfloat16 and float16 have no common dtype
        found = ", ".join(sorted(dtype.name for dtype in dtypes))
        raise TypeError(f"params must have dtypes with a common one, got {found}") from None
    return {name: value.astype(dtype, copy=False) for name, value in arrays.items()}


def _examples(x: ArrayLike, params: Params) -> Array:
    """The data in the dtype of the checked parameters, one example a row."""
    data = _checks.array(x, "x", dtype=params["W1"].dtype, finite=False, empty=True)
    inputs = params["W1"].shape[1]
    if data.ndim != 2 or data.shape[1] != inputs:
        raise ValueError(f"x must have shape (examples, {inputs}) to fit W1, got {data.shape}")
    if not np.isfinite(data).all():
        raise ValueError(
            f"x must hold finite values that {data.dtype.name}, the dtype of params, can hold: "
            "got nan, inf or too large a value"
        )
    return data


def _elementwise(function: Callable[[Array], Any], z: Array, what: str) -> Array:
    """What an activation, or its slope, makes of z: real numbers of its shape, in its dtype."""
    made = _called(what, function, z)
    if type(made) is np.ndarray and (made.shape, made.dtype) == (z.shape, z.dtype):
        return made  # as ours always are
    values = _checks.array(made, f"what {what} returns", finite=False, empty=True)
    if values.shape != z.shape:
        raise ValueError(f"{what} must be elementwise: of shape {z.shape} it made {values.shape}")
    return values.astype(z.dtype, copy=False)


def _slope(phi: Activation, z: Array) -> Array:
    return _elementwise(phi.derivative, z, "the slope of activation")


@dataclass(frozen=True, eq=False)
class Trace:
    """Everything a forward pass computed.

    `z[l]` are the pre-activations of layer l + 1 and `a[l]` the input of layer l + 1, so that
    ``a[0]`` is the data (the caller's own array, if it had the dtype) and ``output`` is ``z[-1]``;
    each has one example a row.
    """

    activation: Activation
    z: list[Array]
    a: list[Array]

    def __post_init__(self) -> None:
        if not isinstance(self.activation, Activation):
            raise TypeError(
                f"activation must be an Activation, got {_checks.shown(self.activation)}"
            )
        for name, arrays in (("z", self.z), ("a", self.a)):
            if not isinstance(arrays, list) or not all(isinstance(a, np.ndarray) for a in arrays):
                raise TypeError(f"{name} must be a list of arrays, got {_checks.shown(arrays)}")
        if not self.z or len(self.z) != len(self.a):
            raise ValueError(
                f"z and a must hold an array a layer, got {len(self.z)} and {len(self.a)}"
            )

    @property
    def output(self) -> Array:
        """The network's answer, which is the last layer's pre-activations."""
        return self.z[-1]


def forward(params: Params, x: ArrayLike, activation: ActivationLike = "relu") -> Trace:
    r"""Send a batch through, keeping every layer: :math:`z_l = a_{l-1} W_l^\top + b_l`.

    Parameters
    ----------
    params : dict
        A weight that is nan or inf is no error here: what it makes of the pass can be seen.
    x : array, shape (examples, inputs)
    activation : name, `Activation` or function, used by all layers but the last

    Raises
    ------
    ValueError, TypeError
        Parameters that do not fit together; data of another width than W1 takes, not finite, or
        too large for the parameters' dtype; an unknown activation, or one that is not elementwise.
    """
    phi = activations.get(activation)
    checked = _checked(params)
    return _forward(checked, _examples(x, checked), phi)


@np.errstate(all="ignore")  # what overflows is inf or nan in the trace
def _forward(params: Params, x: Array, phi: Activation) -> Trace:
    layers = len(params) // 2
    z, a = [], [x]
    for i in range(1, layers + 1):
        z.append((a[-1] @ params[f"W{i}"].T + params[f"b{i}"]).astype(x.dtype, copy=False))
        if i < layers:
            a.append(_elementwise(phi, z[-1], "activation"))
    return Trace(phi, z, a)


@dataclass(frozen=True, eq=False)
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
    trace : what `forward` returned for these parameters
    output_gradient : array, the shape of ``trace.output``
        The loss's derivative by the network's output. It may be nan or inf only where the pass
        forward has overflowed.

    Raises
    ------
    ValueError, TypeError
        A trace of another network; a gradient of another shape than the output, or one that is not
        finite although the output is.
    """
    checked = _checked(params)
    trace = _traced(trace, Trace, checked)
    delta = _output_gradient(output_gradient, trace.output, checked["W1"].dtype)
    return _backward(checked, trace, delta)


def _traced(trace: TraceT, kind: type[TraceT], params: Params) -> TraceT:
    """The trace in the dtype of the checked parameters, whose shapes it must have."""
    if type(trace) is not kind:  # a trace with residual paths is no trace of a plain network
        raise TypeError(f"trace must be what forward returned, got {_checks.shown(trace)}")
    kernels = [value for name, value in params.items() if name[0] == "W"]
    shapes = [params[f"W{i}"].shape for i in range(1, len(kernels) + 1)]
    rows = trace.a[0].shape[:1]
    expected = [(*rows, fan_out) for fan_out, _ in shapes], [(*rows, n) for _, n in shapes]
    if ([z.shape for z in trace.z], [a.shape for a in trace.a]) != expected:
        raise ValueError("trace must be what forward returned for these params: shapes differ")
    z, a = (
        [
            _checks.array(values, "trace", dtype=kernels[0].dtype, finite=False, empty=True)
            for values in arrays
        ]
        for arrays in (trace.z, trace.a)
    )
    return replace(trace, z=z, a=a)


def _output_gradient(given: ArrayLike, output: Array, dtype: np.dtype[Any]) -> Array:
    """The gradient at the output, in the dtype of the checked parameters."""
    delta = _checks.array(given, "output_gradient", dtype=dtype, finite=False, empty=True)
    if delta.shape != output.shape:
        raise ValueError(
            f"output_gradient must have the output's shape {output.shape}, got {delta.shape}"
        )
    if np.isfinite(output).all() and not np.isfinite(delta).all():
        raise ValueError(
            f"output_gradient must hold finite values that {dtype.name} can hold, since the "
            "trace's output is finite: got nan, inf or too large a value"
        )
    return delta.copy()  # it is kept among the gradients, and the caller may change theirs


@np.errstate(all="ignore")  # what overflows is inf or nan in the gradients
def _backward(params: Params, trace: Trace, delta: Array) -> Gradients:
    dtype = delta.dtype
    gradients: Params = {}
    deltas: list[Array] = []
    for i in range(len(trace.z), 0, -1):
        deltas.insert(0, delta)
        gradients[f"W{i}"] = (delta.T @ trace.a[i - 1]).astype(dtype, copy=False)
        gradients[f"b{i}"] = delta.sum(axis=0)
        delta = (delta @ params[f"W{i}"]).astype(dtype, copy=False)
        if i > 1:
            delta = delta * _slope(trace.activation, trace.z[i - 2])
    return Gradients({name: gradients[name] for name in params}, deltas, delta)


def _output(output: ArrayLike, axes: int | None = None) -> tuple[Array, np.dtype[Any]]:
    """The network's output in the dtype to compute in, and its own.

    Half precision is computed in float32, since a sum of squares beyond 65504 is none in float16.
    """
    given = _checks.array(output, "output", axes=axes, finite=False)
    if not given.ndim:
        raise ValueError("output must have one example a row, got shape ()")
    working = given.dtype if given.dtype.itemsize > 2 else np.dtype(np.float32)
    return given.astype(working, copy=False), given.dtype


@np.errstate(all="ignore")
def mean_squared(output: ArrayLike, target: ArrayLike) -> tuple[float, Array]:
    r"""Half the mean squared error, :math:`\frac1{2m}\sum (y-t)^2`, and its gradient.

    The mean is over the m examples, the sum over the outputs of each. An output that is not finite
    gives a loss that is nan or inf.

    Parameters
    ----------
    output : array, one example a row
        Its dtype is the gradient's; whole numbers count as float64.
    target : array of the output's shape, finite

    Raises
    ------
    ValueError, TypeError
        A target of another shape than the output, or one that is not finite.
    """
    y, dtype = _output(output)
    error = y - _values(target, y.shape, y.dtype)
    value = np.square(error, dtype=np.result_type(y, np.float64)).sum() / (2 * len(y))
    return float(value), (error / len(y)).astype(dtype, copy=False)


def _values(target: ArrayLike, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """The target of `mean_squared`."""
    values = _checks.array(target, "target", dtype=dtype, empty=True)
    if values.shape != shape:
        raise ValueError(f"target must have the output's shape {shape}, got {values.shape}")
    return values


@np.errstate(all="ignore")
def softmax_cross_entropy(output: ArrayLike, target: ArrayLike) -> tuple[float, Array]:
    r"""Mean cross-entropy, :math:`-\frac1m\sum\ln p_t`, of the softmax, and its gradient.

    Parameters
    ----------
    output : array, shape (examples, classes)
        Logits; shifted by their largest, so that none overflows. Their dtype is the gradient's;
        whole numbers count as float64. Logits that are not finite give a loss that is nan or inf.
    target : whole numbers, shape (examples,)
        The right class of each example, from 0.

    Raises
    ------
    ValueError, TypeError
        Labels that are not whole numbers, not one an example, or out of range.
    """
    logits, dtype = _output(output, axes=2)
    labels = _labels(target, *logits.shape)
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    rows = np.arange(len(logits))
    gradient = np.exp(log_p)
    gradient[rows, labels] -= 1
    return float(-log_p[rows, labels].mean()), (gradient / len(logits)).astype(dtype, copy=False)


def _labels(target: ArrayLike, examples: int, classes: int) -> NDArray[np.integer[Any]]:
    """The target of `softmax_cross_entropy`."""
    labels = _numbers(target)
    if labels.shape != (examples,) or labels.dtype.kind not in "iu":
        raise ValueError(
            f"target must be {examples} whole-number labels, one an example, got "
            f"{labels.dtype.name} of shape {labels.shape}"
        )
    if not 0 <= labels.min() <= labels.max() < classes:
        raise ValueError(
            f"target: labels must lie between 0 and {classes - 1}, "
            f"got {labels.min()} to {labels.max()}"
        )
    return labels


def _numbers(target: ArrayLike) -> NDArray[Any]:
    """Targets of any loss: finite real numbers, whole ones left as they are."""
    checked = _checks.array(target, "target", empty=True)
    given = np.asarray(target)
    return given if given.dtype.kind in "iu" else checked


LOSSES: dict[str, LossFunction] = {
    "mean_squared": mean_squared,
    "softmax_cross_entropy": softmax_cross_entropy,
}


def get_loss(loss: str | LossFunction) -> LossFunction:
    """A loss from its name, or the function itself.

    Raises
    ------
    ValueError, TypeError
        An unknown name; the message suggests the nearest one. Neither a name nor a function.
    """
    if callable(loss):
        return loss
    return LOSSES[_checks.choice(loss, "loss", tuple(LOSSES))]


def _evaluate(loss: LossFunction, output: Array, target: ArrayLike) -> tuple[float, Array]:
    """A loss and its gradient at the output; what a function of the caller's returns is checked.

    Both may be nan or inf: that is for the caller to judge.

    Raises
    ------
    ValueError, TypeError
        A loss that fails or does not return a number and an array of the output's shape.
    """
    if loss is mean_squared or loss is softmax_cross_entropy:
        return loss(output, target)
    returned = _called("with this target, loss", loss, output, target)
    if not isinstance(returned, (tuple, list)) or len(returned) != 2:
        raise TypeError(f"loss must return (value, gradient), got {_checks.shown(returned)}")
    value = _checks.array(returned[0], "the value that loss returns", axes=0, finite=False)
    gradient = _checks.array(
        returned[1], "the gradient that loss returns", dtype=output.dtype, finite=False
    )
    if gradient.shape != output.shape:
        raise ValueError(
            f"the gradient that loss returns must have the output's shape {output.shape}, "
            f"got {gradient.shape}"
        )
    return float(value), gradient


@dataclass(frozen=True)
class History:
    """A training run: the loss of each step, how far it moved each layer, where it had to stop.

    `update_ratio` has a list for each step taken, with one number for each layer: the norm of what
    was added to ``Wl``, divided by the norm of ``Wl`` before. It is inf where a matrix of zeros was
    moved, and nan where it stayed.

    `stopped_at` is the step (from 1) whose loss, gradient or new parameters were not finite, and
    `stopped_by` which of them it was: "loss", "gradient" or "parameters". Both are None for a run
    that finished.
    """

    loss: list[float] = field(default_factory=list)
    stopped_at: int | None = None
    stopped_by: str | None = None
    update_ratio: list[list[float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        if not _are_numbers(self.loss):
            raise TypeError(f"loss must be a list of numbers, got {_checks.shown(self.loss)}")
        if not isinstance(self.update_ratio, list) or not all(map(_are_numbers, self.update_ratio)):
            raise TypeError(
                "update_ratio must be a list with a list of numbers for each step, got "
                f"{_checks.shown(self.update_ratio)}"
            )
        if self.stopped_at is not None:
            _checks.size(self.stopped_at, "stopped_at")
        if self.stopped_by is not None:
            _checks.choice(self.stopped_by, "stopped_by", ("loss", "gradient", "parameters"))

    def __repr__(self) -> str:
        if not self.loss:
            return "<history: no step taken>"
        first, last = self.loss[0], self.loss[-1]
        if self.stopped_at is not None:
            what = {
                "gradient": "gradient was not finite",
                "parameters": "new parameters were not finite",
            }.get(str(self.stopped_by), f"loss became {last}")
            return f"<history: stopped at step {self.stopped_at}, where the {what}>"
        return f"<history: {len(self.loss)} steps, loss {first:.3g} to {last:.3g}>"


def _are_numbers(values: object) -> bool:
    return isinstance(values, list) and all(isinstance(value, numbers.Real) for value in values)


def _norm(values: Sequence[Array]) -> float:
    """The Euclidean norm of all entries together, in float64; it overflows only if it must."""
    with np.errstate(all="ignore"):
        wide = [np.asarray(value, dtype=np.float64) for value in values]
        length = float(np.linalg.norm([np.linalg.norm(value) for value in wide]))
        largest = max(float(np.abs(value).max()) for value in wide)
        if np.isfinite(largest) and (length == np.inf or (length == 0 and largest > 0)):
            # the squares overflow or vanish, the entries do not
            length = largest * float(
                np.linalg.norm([np.linalg.norm(value / largest) for value in wide])
            )
    return length


def _length(values: Array) -> float:
    """`_norm` of one array; fast where the squares neither overflow nor vanish."""
    wide = values.astype(np.float64, copy=False).ravel()
    square = float(wide @ wide)
    return math.sqrt(square) if 1e-200 < square < 1e200 else _norm([values])


def sgd(
    params: Params,
    x: ArrayLike,
    target: ArrayLike,
    *,
    activation: ActivationLike = "relu",
    loss: str | LossFunction = "softmax_cross_entropy",
    learning_rate: Rate = 0.1,
    momentum: float = 0.0,
    clip: float | None = None,
    batch_size: int = 32,
    epochs: int = 1,
    rng: RNG = None,
    progress: bool = False,
) -> tuple[Params, History]:
    r"""Train by stochastic gradient descent in mini-batches; the given `params` stay as they are.

    :math:`v \leftarrow \mu v - \eta g`, :math:`\theta \leftarrow \theta + v`, with learning rate
    :math:`\eta` and momentum :math:`\mu`; each epoch shuffles the examples in a new order.

    Parameters
    ----------
    params : dict, finite; all is computed in its dtype
    x : array, shape (examples, inputs), finite, at least one example
    target : labels or values for `loss`, one an example, finite
    activation : name, `Activation` or function, used by all layers but the last
    loss : "softmax_cross_entropy", "mean_squared", or a function of output and target
        It returns the value and its gradient at the output.
    learning_rate : number above 0, or a dict with one for each parameter
        Such as ``{"W1": 0.1, "b1": 0.1, "W2": 0.01, "b2": 0.1}``.
    momentum : from 0 to below 1
        The share of the last step that is taken again.
    clip : float, optional
        The largest norm that the gradient of all parameters together may have.
    batch_size : how many examples a step takes; the last of an epoch may be fewer
    epochs : how many times all examples are seen
    rng : seed or generator that shuffles the examples
    progress : bool
        Show a progress bar.

    Returns
    -------
    (params, history)
        The trained parameters, which are always finite; the loss of each mini-batch before its
        step and the update-to-weight ratios of each step taken. A loss, a gradient or a step to
        parameters that is not finite stops the run: `history.stopped_at` says at which step, and
        the parameters are those from before it.

    Raises
    ------
    ValueError, TypeError
        A learning rate, momentum, clip, batch size or epochs out of range; parameters, data or
        targets that do not fit or are not finite; a loss that fails or returns no gradient.
    """
    params = _checked(params, finite=True)
    rates = _rates(learning_rate, params)
    momentum = _below_one(momentum, "momentum")
    velocity: Params = {}

    def update(gradients: Params, shrink: float) -> Params:
        for name, gradient in gradients.items():
            step = gradient.dtype.type(rates[name] * shrink) * gradient
            velocity[name] = (momentum * velocity.get(name, 0) - step).astype(
                gradient.dtype, copy=False
            )
        return velocity

    return _train(
        update, params, x, target, activation, loss, clip, batch_size, epochs, rng, progress
    )


def adam(
    params: Params,
    x: ArrayLike,
    target: ArrayLike,
    *,
    activation: ActivationLike = "relu",
    loss: str | LossFunction = "softmax_cross_entropy",
    learning_rate: Rate = 0.001,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
    clip: float | None = None,
    batch_size: int = 32,
    epochs: int = 1,
    rng: RNG = None,
    progress: bool = False,
) -> tuple[Params, History]:
    r"""Train by Adam in mini-batches; the given `params` stay as they are.

    Two running means, :math:`m \leftarrow \beta_1 m + (1 - \beta_1)\, g` of the gradient and
    :math:`s \leftarrow \beta_2 s + (1 - \beta_2)\, g^2` of its square, start at 0; divided by
    :math:`1 - \beta_1^t` and :math:`1 - \beta_2^t` at step t they are no longer too small. Then
    :math:`\theta \leftarrow \theta - \eta\, m / (\sqrt s + \epsilon)`, entry by entry: while
    :math:`\epsilon` is small beside the gradient, its size cancels.

    Parameters
    ----------
    params, x, target, activation, loss, learning_rate : as in `sgd`
    clip, batch_size, epochs, rng, progress : as in `sgd`
    beta1, beta2 : from 0 to below 1
    eps : at least 0
        With 0, an entry whose gradients have all been 0 stays where it is.

    Returns
    -------
    (params, history)
        As `sgd`, in every respect.

    Raises
    ------
    ValueError, TypeError
        A learning rate, beta1, beta2, eps, clip, batch size or epochs out of range; parameters,
        data or targets that do not fit or are not finite; a loss that fails or returns no gradient.

    Source: Kingma and Ba 2015, algorithm 1.
    """
    params = _checked(params, finite=True)
    rates = _rates(learning_rate, params)
    beta1, beta2 = _below_one(beta1, "beta1"), _below_one(beta2, "beta2")
    eps = _checks.number(eps, "eps", minimum=0.0)
    mean: Params = {}
    root: Params = {}  # of the mean of the squares, since the squares may overflow or vanish
    taken = 0

    def update(gradients: Params, shrink: float) -> Params:
        nonlocal taken
        taken += 1
        steps: Params = {}
        for name, given in gradients.items():
            # half precision has no room for the means, as in the losses
            working = given.dtype if given.dtype.itemsize > 2 else np.dtype(np.float32)
            gradient = working.type(shrink) * given.astype(working, copy=False)
            mean[name] = beta1 * mean.get(name, 0) + (1 - beta1) * gradient
            root[name] = np.hypot(
                math.sqrt(beta2) * root.get(name, 0), math.sqrt(1 - beta2) * gradient
            )
            top = rates[name] / (1 - beta1**taken) * mean[name]
            bottom = root[name] / math.sqrt(1 - beta2**taken) + eps
            step = np.divide(top, bottom, out=np.zeros_like(top), where=bottom > 0)
            steps[name] = (-step).astype(given.dtype, copy=False)
        return steps

    return _train(
        update, params, x, target, activation, loss, clip, batch_size, epochs, rng, progress
    )


def _rates(learning_rate: Rate, params: Params) -> dict[str, float]:
    """The learning rate of each parameter."""
    if _checks.is_a(learning_rate, Mapping):
        given = _checks.mapping(learning_rate, "learning_rate")
        if set(given) != set(params):
            raise ValueError(
                f"learning_rate must be a number, or hold one for each of {', '.join(params)} and "
                f"nothing else, got {_checks.shown(list(given))}"
            )
        return {
            name: _checks.number(given[name], f'learning_rate["{name}"]', above=0.0)
            for name in params
        }
    try:
        rate = _checks.number(learning_rate, "learning_rate", above=0.0)
    except TypeError:
        raise TypeError(
            "learning_rate must be a number, or a dict with one for each parameter, "
            f"got {_checks.shown(learning_rate)}"
        ) from None
    return dict.fromkeys(params, rate)


def _below_one(value: float, what: str) -> float:
    """A share of the past that is carried on."""
    value = _checks.number(value, what, minimum=0.0)
    if value >= 1:
        raise ValueError(f"{what} must be below 1, got {value!r}")
    return value


def _train(
    update: Update,
    params: Params,
    x: ArrayLike,
    target: ArrayLike,
    activation: ActivationLike,
    loss: str | LossFunction,
    clip: float | None,
    batch_size: int,
    epochs: int,
    rng: RNG,
    progress: bool,
) -> tuple[Params, History]:
    """What all optimizers share; `update` says by how much each (checked) parameter moves."""
    clip = None if clip is None else _checks.number(clip, "clip", above=0.0)
    batch_size, epochs = _checks.size(batch_size, "batch_size"), _checks.size(epochs, "epochs")
    progress = _checks.flag(progress, "progress")
    phi, loss_function, draws = activations.get(activation), get_loss(loss), _checks.as_rng(rng)
    data, wanted = _examples(x, params), _targets(target, params, loss_function)
    rows = len(wanted) if wanted.ndim else 0
    if not len(data):
        raise ValueError(f"x must hold at least one example, got shape {data.shape}")
    if len(data) != rows:
        raise ValueError(f"x and target must have as many rows, got {len(data)} and {rows}")
    params = {name: value.copy() for name, value in params.items()}
    losses: list[float] = []
    ratios: list[list[float]] = []
    steps = _batches(rows, batch_size, epochs, draws, progress)
    with np.errstate(all="ignore"), contextlib.closing(steps):  # what is not finite is caught
        for batch in steps:
            trace = _forward(params, data[batch], phi)
            value, output_gradient = _evaluate(loss_function, trace.output, wanted[batch])
            losses.append(value)
            if not np.isfinite(value):
                return params, History(losses, len(losses), "loss", ratios)
            gradients = _backward(params, trace, output_gradient).params
            if not _finite(gradients):
                return params, History(losses, len(losses), "gradient", ratios)
            shrink = 1.0
            if clip is not None and (length := _norm(list(gradients.values()))) > clip:
                shrink = clip / length
            step = update(gradients, shrink)
            moved: Params = {name: params[name] + step[name] for name in params}
            if not _finite(moved):
                return params, History(losses, len(losses), "parameters", ratios)
            ratios.append(_update_ratio(step, params))
            params = moved
    return params, History(losses, update_ratio=ratios)


def _targets(target: ArrayLike, params: Params, loss: LossFunction) -> NDArray[Any]:
    """All targets, checked now rather than when their batch comes."""
    wanted = _numbers(target)
    rows, outputs = wanted.shape[0] if wanted.ndim else 0, len(params[f"b{len(params) // 2}"])
    if rows and loss is mean_squared:
        _values(wanted, (rows, outputs), params["W1"].dtype)
    elif rows and loss is softmax_cross_entropy:
        _labels(wanted, rows, outputs)
    return wanted


def _finite(values: Params) -> bool:
    return all(bool(np.isfinite(value).all()) for value in values.values())


def _update_ratio(step: Params, params: Params) -> list[float]:
    """By layer, the norm of the step over the norm of the weights that it moves."""
    ratios = []
    for i in range(1, len(params) // 2 + 1):
        moved, size = _length(step[f"W{i}"]), _length(params[f"W{i}"])
        ratios.append(moved / size if size else (math.inf if moved else math.nan))
    return ratios


def _batches(
    examples: int, batch_size: int, epochs: int, rng: _checks.Draws, progress: bool
) -> Generator[NDArray[np.intp], None, None]:
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
