r"""Residual and normalized layers: the network of `winit.network` with a stream and a normalizer.

.. math:: z_1 = x W_1^\top, \qquad z_{l+1} = [z_l +]\; \beta\,a_{l+1}\,\varphi(N(z_l))\,W_{l+1}^\top

In brackets stands what `residual` adds: every square kernel but the first is then a *branch*, whose
result is added to the stream z. A kernel of another shape, such as the last, which gives the
classes, stays a plain layer. With L kernels the factor :math:`\beta` of each branch is 1, for
"scaled" :math:`1/\sqrt L`. N is nothing, layer norm or batch norm, and :math:`a_{l+1}` a trained
number.

Parameters are a dict ``{"W1": …, "W2": …}`` with ``Wi`` of shape ``(fan_out, fan_in)``, without
biases, and perhaps numbers ``{"a2": …}``. Losses, dtypes and what overflows are as in
`winit.network`, and without `residual` and `norm` so are the results.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from winit import _checks, activations, network
from winit._checks import RNG
from winit.network import ActivationLike, Array, Gradients, Params

RESIDUALS = ("none", "plain", "scaled", "zero")
NORMS = ("none", "layer", "batch")
EPSILON = 1e-5  # what is added to the variance, in PyTorch's and the papers' normalizers


def init_params(
    layer_sizes: Sequence[int],
    initializer: Callable[..., Array],
    rng: RNG = None,
    *,
    residual: str = "none",
    scalars: bool = False,
    dtype: DTypeLike = np.float64,
) -> Params:
    """Kernels of the same draws as by `winit.network.init_params`, and no biases.

    Parameters
    ----------
    layer_sizes, initializer, rng, dtype : as there
    residual : "none", "plain", "scaled" or "zero"
        With "zero" the kernels of the branches are 0 (as the last of each in Fixup).
    scalars : bool
        Give each branch a number ``ai`` that starts at 0 (as in SkipInit and ReZero).

    Raises
    ------
    ValueError, TypeError
        As `winit.network.init_params`; an unknown residual; scalars without a branch to scale.

    Source: Zhang et al. 2019 (Fixup); De and Smith 2020; Bachlechner et al. 2021 (ReZero).
    """
    kind = _checks.choice(residual, "residual", RESIDUALS)
    with_scalars = _checks.flag(scalars, "scalars")
    drawn = network.init_params(layer_sizes, initializer, rng, dtype=dtype)
    params = {name: value for name, value in drawn.items() if name[0] == "W"}
    branches, _ = _branches(params, kind)
    if with_scalars and not branches:
        found = "" if kind == "none" else " and no square kernel after the first"
        raise ValueError(f"scalars need a branch, got residual={kind!r}{found}")
    if kind == "zero":
        params |= {f"W{i}": np.zeros_like(params[f"W{i}"]) for i in branches}
    if with_scalars:
        params |= {f"a{i}": np.zeros_like(params[f"W{i}"], shape=()) for i in branches}
    return params


def _branches(params: Params, residual: str) -> tuple[list[int], float]:
    """Which kernels are branches, and their factor beta."""
    layers = 0 if residual == "none" else _depth(params)
    square = [i for i in range(2, layers + 1) if len(set(params[f"W{i}"].shape)) == 1]
    return square, 1 / math.sqrt(layers) if residual == "scaled" else 1.0


def _depth(params: Mapping[str, object]) -> int:
    return sum(f"W{i}" in params for i in range(1, len(params) + 1))


def _checked(params: Mapping[str, ArrayLike]) -> Params:
    """The parameters as arrays of one floating dtype, in the caller's order."""
    given = _checks.mapping(params, "params")
    layers = _depth(given)
    kernels = {f"W{i}" for i in range(1, layers + 1)}
    known = kernels | {f"a{i}" for i in range(2, layers + 1)}
    if not layers or not kernels <= set(given) <= known:
        raise ValueError(
            "params must hold W1, W2, …, perhaps numbers a2, a3, … for them, and nothing else, got "
            f"{_checks.shown(list(given))}"
        )
    arrays: Params = {}
    for name, value in given.items():
        axes = 2 if name in kernels else 0
        arrays[name] = _checks.array(value, f'params["{name}"]', axes=axes, finite=False)
    for i in range(2, layers + 1):
        takes, gives = arrays[f"W{i}"].shape[1], arrays[f"W{i - 1}"].shape[0]
        if takes != gives:
            raise ValueError(f"params: W{i} takes {takes} inputs but W{i - 1} gives {gives}")
    return network._in_one_dtype(arrays)


@dataclass(frozen=True, eq=False)
class Trace(network.Trace):
    """As `winit.network.Trace`: `z[l]` is the stream after kernel l + 1, `a[l]` its input.

    `scalars` names the numbers ``ai`` that the parameters held.
    """

    residual: str = "none"
    norm: str = "none"
    scalars: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        super().__post_init__()
        _checks.choice(self.residual, "residual", RESIDUALS)
        _checks.choice(self.norm, "norm", NORMS)


def normalize(z: ArrayLike, norm: str = "layer") -> Array:
    r"""N(z): :math:`(z - \text{mean}) / \sqrt{\text{variance} + 10^{-5}}`, without parameters.

    A single value is its own mean: "batch" makes 0 of one example, and "layer" of one unit, and no
    gradient passes. No variance overflows where z is finite; an inf or nan in z makes nan of the
    values that are normalized with it. An empty z stays as it is.

    Parameters
    ----------
    z : array, shape (examples, units)
    norm : "layer", over the units of each example; "batch", over the examples; "none", z itself

    Raises
    ------
    ValueError, TypeError
        Anything but real numbers in rows and columns; an unknown norm.

    Source: Ioffe and Szegedy 2015, algorithm 1 ("batch", as it trains); Ba et al. 2016, equation 3.
    """
    kind = _checks.choice(norm, "norm", NORMS)
    return _normalize(_checks.array(z, "z", axes=2, finite=False, empty=True), kind)[0]


@np.errstate(all="ignore")  # what overflows is inf or nan in the result
def _normalize(z: Array, norm: str) -> tuple[Array, Array]:
    """N(z) and the standard deviations that it divided by.

    What is large is divided by a power of two first, which rounds nothing, so that no square
    overflows.
    """
    if norm == "none" or not z.size:
        return z, np.ones_like(z, shape=(1, 1))
    axis = 1 if norm == "layer" else 0
    working = z.astype(np.float32) if z.dtype.itemsize < 4 else z
    largest = np.abs(working).max(axis=axis, keepdims=True)
    exponent = np.frexp(largest)[1]
    is_large = np.isfinite(largest) & (exponent > np.finfo(working.dtype).maxexp // 4)
    exponent = np.where(is_large, exponent, 0)
    if is_large.any():
        working = np.ldexp(working, -exponent)
    centered = working - working.mean(axis=axis, keepdims=True)
    epsilon = np.ldexp(working.dtype.type(EPSILON), -2 * exponent)
    std = np.sqrt(np.square(centered).mean(axis=axis, keepdims=True) + epsilon)
    return (centered / std).astype(z.dtype, copy=False), np.ldexp(std, exponent)


def forward(
    params: Params,
    x: ArrayLike,
    activation: ActivationLike = "relu",
    *,
    residual: str = "none",
    norm: str = "none",
) -> Trace:
    """Send a batch through the recursion of this module.

    Parameters
    ----------
    params, x, activation : as in `winit.network.forward`
    residual : "none", "plain", "scaled" or "zero" (which differs from "plain" in its start alone)
    norm : "none", "layer" or "batch", as in `normalize`

    Raises
    ------
    ValueError, TypeError
        Parameters that do not fit together; data of another width than W1 takes, not finite, or
        too large for the parameters' dtype; an unknown activation, residual or norm.
    """
    phi = activations.get(activation)
    kind = _checks.choice(residual, "residual", RESIDUALS)
    which = _checks.choice(norm, "norm", NORMS)
    checked = _checked(params)
    data, layers = network._examples(x, checked), _depth(checked)
    branches, factor = _branches(checked, kind)
    z, a = list[Array](), [data]
    with np.errstate(all="ignore"):  # what overflows is inf or nan in the trace
        for i in range(1, layers + 1):
            new = a[-1] @ checked[f"W{i}"].T
            if f"a{i}" in checked:
                new = checked[f"a{i}"] * new
            if i in branches:
                new = z[-1] + (new if factor == 1 else factor * new)
            z.append(new.astype(data.dtype, copy=False))
            if i < layers:
                a.append(network._elementwise(phi, _normalize(z[-1], which)[0], "activation"))
    return Trace(phi, z, a, kind, which, _scalars(checked))


def _scalars(params: Params) -> frozenset[str]:
    return frozenset(name for name in params if name[0] == "a")


def backward(params: Params, trace: Trace, output_gradient: ArrayLike) -> Gradients:
    r"""Gradients at every parameter, every z and the data; past a branch :math:`\delta` is added.

    Parameters
    ----------
    trace : what `forward` returned for these parameters
    output_gradient : array, the shape of ``trace.output``: the derivative of the loss there

    Raises
    ------
    ValueError, TypeError
        A trace of another network; a gradient of another shape than the output, or one that is not
        finite although the output is.
    """
    checked = _checked(params)
    trace = network._traced(trace, Trace, checked)
    if trace.scalars != _scalars(checked):
        was, now = sorted(trace.scalars), sorted(_scalars(checked))
        raise ValueError(
            "trace must be what forward returned for these params: it was made with the numbers "
            f"{_checks.shown(was)}, and params hold {_checks.shown(now)}"
        )
    delta = network._output_gradient(output_gradient, trace.output, checked["W1"].dtype)
    return _backward(checked, trace, delta)


@np.errstate(all="ignore")  # what overflows is inf or nan in the gradients
def _backward(params: Params, trace: Trace, delta: Array) -> Gradients:
    gradients: Params = {}
    deltas: list[Array] = []
    branches, factor = _branches(params, trace.residual)
    for i in range(_depth(params), 0, -1):
        deltas.insert(0, delta)
        weights, inputs = params[f"W{i}"], trace.a[i - 1]
        scaled = factor * delta if i in branches and factor != 1 else delta
        if f"a{i}" in params:
            gradients[f"a{i}"] = np.asarray((scaled * (inputs @ weights.T)).sum())
            scaled = params[f"a{i}"] * scaled
        gradients[f"W{i}"] = scaled.T @ inputs
        back: Array = scaled @ weights
        if i > 1:
            back = _through(back, trace.z[i - 2], trace.activation, trace.norm)
        back = delta + back if i in branches else back
        delta = back.astype(inputs.dtype, copy=False)
    ordered = {name: gradients[name].astype(delta.dtype, copy=False) for name in params}
    return Gradients(ordered, deltas, delta)


def _through(delta: Array, z: Array, phi: activations.Activation, norm: str) -> Array:
    """The gradient at z from that at φ(N(z)): without its mean, and without its part along N(z)."""
    if norm == "none":
        return delta * network._slope(phi, z)
    n, std = _normalize(z, norm)
    delta = delta * network._slope(phi, n)
    axis = 1 if norm == "layer" else 0
    along = (delta * n).mean(axis=axis, keepdims=True)
    result: Array = (delta - delta.mean(axis=axis, keepdims=True) - n * along) / std
    return result
