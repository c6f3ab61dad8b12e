"""Schemes for drawing a network's first weights.

A weight matrix has shape ``(fan_out, fan_in)``, so that ``z = x @ W.T + b``
with one example a row. Keras and JAX store ``(fan_in, fan_out)``: pass
``in_axis=-2, out_axis=-1`` for their layout. Axes that are neither are the
receptive field of a convolution and multiply both fans.

Every scheme takes the keywords `rng`, `dtype`, `in_axis`, `out_axis` and
`batch_axis`, so that a loop over ``winit.initializers.SCHEMES`` can pass the
same ones to all.
"""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

from winit import _checks
from winit._checks import RNG, Sizes, shown

Array = NDArray[np.floating[Any]]
Axes = int | np.integer[Any] | Sequence[int]
Initializer = Callable[..., Array]

MODES = ("fan_in", "fan_out", "fan_avg")
DISTRIBUTIONS = ("normal", "truncated_normal", "uniform")

# Standard deviation of a standard normal cut at +-2: sqrt(1 - 4 phi(2) / (2 Phi(2) - 1)),
# with phi and Phi the normal density and distribution function.
TRUNCATED_STD = 0.87962566103423978

# A smaller scale, divided by a fan, would lose digits.
SMALLEST_SCALE = _checks.SMALLEST_ROOT**2
# `limit` may go so far: the width of a uniform law, twice that, is a float64 as well.
LARGEST_LIMIT = float(np.finfo(np.float64).max) / 2

# What the help of every scheme says after the parameters that are its own.
SHARED = """\
rng : None, int, numpy.random.Generator or numpy.random.RandomState
    Where the draws come from. An int is a seed: the same seed gives the
    same weights. None gives new ones at each call. NumPy's global state is
    neither read nor changed, so ``np.random.seed`` has no effect.
dtype : floating dtype, default float64
    NumPy's, or bfloat16 where the package ml_dtypes is installed. The draws
    are made in float64, then rounded.
in_axis, out_axis, batch_axis : int or tuple of int, default 1, 0 and ()
    Which axes of `shape` are the inputs, the outputs and independent groups
    (JAX's names). ``in_axis=-2, out_axis=-1`` is the layout of Keras and
    JAX. The axes that are none of them are a convolution's window."""
RAISES = """\
Raises
------
ValueError
    A value out of range, a size below 1, an axis that does not exist or
    plays two parts, weights that `dtype` cannot hold.
TypeError
    A value of another type than is said above."""

Scheme = TypeVar("Scheme", bound=Initializer)


def _explained(scheme: Scheme) -> Scheme:
    """Complete a scheme's docstring by what it shares with the others."""
    if scheme.__doc__:  # which Python leaves out with -OO
        text, source, paper = inspect.cleandoc(scheme.__doc__).partition("\n\nSource: ")
        scheme.__doc__ = f"{text}\n{SHARED}\n\n{RAISES}{source}{paper}\n"
    return scheme


class _Parts(NamedTuple):
    """What each axis of a shape is."""

    ins: tuple[int, ...]
    outs: tuple[int, ...]
    batch: tuple[int, ...]


def _axes(axes: object, rank: int | None, what: str) -> tuple[int, ...]:
    """The axes as non-negative numbers; without a rank the types alone are looked at."""
    found = _checks.entries(axes, _checks.MOST_AXES)
    checked = []
    for entry in (axes,) if found is None else found:
        axis = _checks.whole(entry)
        if axis is None:
            raise TypeError(f"{what} must be a whole number or a tuple of them, got {shown(axes)}")
        if rank is not None and not -rank <= axis < rank:
            raise ValueError(f"{what}={shown(axis)} is no axis of a shape with {rank} axes")
        checked.append(axis if rank is None else axis % rank)
    return tuple(checked)


def _parts(shape: tuple[int, ...], in_axis: object, out_axis: object, batch_axis: object) -> _Parts:
    """The part of each axis; a shape of one axis, such as a bias, has no inputs and outputs."""
    rank = len(shape) if len(shape) > 1 else None
    parts = _Parts(
        _axes(in_axis, rank, "in_axis"),
        _axes(out_axis, rank, "out_axis"),
        _axes(batch_axis, rank, "batch_axis"),
    )
    named = parts.ins + parts.outs + parts.batch
    if rank and len(set(named)) < len(named):
        raise ValueError(
            f"in_axis={shown(in_axis)}, out_axis={shown(out_axis)} and "
            f"batch_axis={shown(batch_axis)} name the same axis of {shape!r} twice"
        )
    return parts


def _fans(shape: tuple[int, ...], parts: _Parts) -> tuple[int, int]:
    named = parts.ins + parts.outs + parts.batch
    field = math.prod(n for axis, n in enumerate(shape) if axis not in named)
    return (
        field * math.prod(shape[axis] for axis in parts.ins),
        field * math.prod(shape[axis] for axis in parts.outs),
    )


def fans(
    shape: Sizes, *, in_axis: Axes = 1, out_axis: Axes = 0, batch_axis: Axes = ()
) -> tuple[int, int]:
    """How many inputs one output sees, and how many outputs one input reaches.

    `fan_in = k n_in` and `fan_out = k n_out`, where `k` is the product of the
    axes that are neither input, output nor batch: the receptive field of a
    convolution, 1 for a dense layer.

    Parameters
    ----------
    shape : sequence of at least two whole numbers
    in_axis, out_axis, batch_axis : int or tuple of int, default 1, 0 and ()
        ``()`` means that no axis plays that part: a depthwise kernel of Keras,
        ``(k, k, channels, multiplier)``, has
        ``in_axis=(), out_axis=-1, batch_axis=-2``.

    Returns
    -------
    (fan_in, fan_out) : two whole numbers of at least 1

    Raises
    ------
    ValueError
        A shape with fewer than two axes or a size below 1; an axis that does
        not exist or plays two parts.
    TypeError
        A size or an axis that is not a whole number.

    Source: He et al. 2015, section 2.2 (`n_l = k² c`).
    """
    checked = _checks.shape(shape, at_least=2)
    return _fans(checked, _parts(checked, in_axis, out_axis, batch_axis))


class _Asked(NamedTuple):
    """What every scheme was asked for, checked."""

    shape: tuple[int, ...]
    parts: _Parts
    rng: _checks.Draws
    dtype: np.dtype[Any]


def _asked(
    shape: object,
    rng: object,
    dtype: object,
    axes: tuple[object, object, object],
    *,
    at_least: int = 1,
) -> _Asked:
    """Check what every scheme is asked for; `axes` are those of inputs, outputs and groups."""
    sizes = _checks.shape(shape, at_least=at_least)  # type: ignore[arg-type]
    parts = _parts(sizes, *axes)
    draws, kind = _checks.as_rng(rng), _checks.float_dtype(dtype)  # type: ignore[arg-type]
    return _Asked(sizes, parts, draws, kind)


def _normal_within_two(rng: _checks.Draws, shape: tuple[int, ...]) -> Array:
    """Standard normal draws, each drawn again until it lies in [-2, 2]."""
    draws = np.asarray(rng.standard_normal(shape))
    while (outside := np.abs(draws) > 2.0).any():
        draws[outside] = rng.standard_normal(int(outside.sum()))
    return draws


def _times(draws: Array, factor: float, asked: _Asked, what: str, std: float) -> Array:
    """The draws times the factor, in the dtype asked for; `what` is to blame if they do not fit."""
    with np.errstate(over="ignore", under="ignore"):
        weights = draws * factor
    return _checks.cast(weights, asked.dtype, what, std=std if factor else None)


def _std(scale: float, mode: str, fan_in: float, fan_out: float) -> float:
    """The standard deviation of weights whose variance is scale / n."""
    n = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[mode]
    return math.sqrt(scale / n)


def _scaled(scale: float, mode: str, distribution: str, asked: _Asked, what: str) -> Array:
    """Weights of variance scale / n; `what` names the argument that the scale comes from."""
    std = _std(scale, mode, *_fans(asked.shape, asked.parts))
    if distribution == "normal":
        return _times(np.asarray(asked.rng.standard_normal(asked.shape)), std, asked, what, std)
    if distribution == "truncated_normal":
        draws = _normal_within_two(asked.rng, asked.shape)
        return _times(draws, std / TRUNCATED_STD, asked, what, std)
    limit = np.sqrt(3.0) * std
    return _checks.cast(asked.rng.uniform(-limit, limit, asked.shape), asked.dtype, what, std=std)


@_explained
def variance_scaling(
    shape: Sizes,
    *,
    scale: float = 1.0,
    mode: str = "fan_in",
    distribution: str = "normal",
    rng: RNG = None,
    dtype: DTypeLike = np.float64,
    in_axis: Axes = 1,
    out_axis: Axes = 0,
    batch_axis: Axes = (),
) -> Array:
    """Weights with mean 0 and variance `scale / n`; `mode` says what n is.

    Parameters
    ----------
    shape : sequence of at least two whole numbers
    scale : float, positive
        The squared gain.
    mode : {"fan_in", "fan_out", "fan_avg"}
        What n is; ``"fan_avg"`` is the mean of the two fans.
    distribution : {"normal", "truncated_normal", "uniform"}
        ``"truncated_normal"`` is cut at two standard deviations and widened so
        that the variance is still `scale / n` (as in Keras and JAX).
        ``"uniform"`` reaches `±√(3 scale / n)`.

    Source: the form shared by LeCun et al. 1998 (eq. 16), Glorot & Bengio 2010
    (eq. 16) and He et al. 2015 (eq. 10 and 14).
    """
    checked = _checks.number(scale, "scale", above=0.0)
    if checked < SMALLEST_SCALE:
        raise ValueError(f"scale must be at least {SMALLEST_SCALE:g}, got {shown(scale)}")
    mode = _checks.choice(mode, "mode", MODES)
    distribution = _checks.choice(distribution, "distribution", DISTRIBUTIONS)
    asked = _asked(shape, rng, dtype, (in_axis, out_axis, batch_axis), at_least=2)
    return _scaled(checked, mode, distribution, asked, f"scale={shown(scale)}")


def _normal(truncated: bool) -> str:
    return "truncated_normal" if _checks.flag(truncated, "truncated") else "normal"


def _he_scale(negative_slope: float) -> float:
    return 2.0 / (1.0 + _checks.square(negative_slope, "negative_slope"))


def _squared(gain: float) -> float:
    return _checks.square(gain, "gain", above=0.0)


@_explained
def he_normal(
    shape: Sizes,
    *,
    negative_slope: float = 0.0,
    mode: str = "fan_in",
    truncated: bool = False,
    rng: RNG = None,
    dtype: DTypeLike = np.float64,
    in_axis: Axes = 1,
    out_axis: Axes = 0,
    batch_axis: Axes = (),
) -> Array:
    """He's normal scheme for ReLU: std `√(2 / ((1 + a²) fan_in))`.

    Also called Kaiming's.

    Parameters
    ----------
    shape : sequence of at least two whole numbers
    negative_slope : float
        `a`: 0 for ReLU, the slope below zero for a leaky ReLU.
    mode : {"fan_in", "fan_out", "fan_avg"}
        ``"fan_out"`` keeps the gradient's scale instead of the signal's.
    truncated : bool
        True is what Keras and JAX draw under this name: cut at two standard
        deviations, with the same std.

    Source: He et al. 2015, eq. 10 (forward), 14 (backward) and 15 (slope).
    """
    scale, distribution = _he_scale(negative_slope), _normal(truncated)
    mode = _checks.choice(mode, "mode", MODES)
    asked = _asked(shape, rng, dtype, (in_axis, out_axis, batch_axis), at_least=2)
    return _scaled(scale, mode, distribution, asked, f"negative_slope={shown(negative_slope)}")


@_explained
def he_uniform(
    shape: Sizes,
    *,
    negative_slope: float = 0.0,
    mode: str = "fan_in",
    rng: RNG = None,
    dtype: DTypeLike = np.float64,
    in_axis: Axes = 1,
    out_axis: Axes = 0,
    batch_axis: Axes = (),
) -> Array:
    """He's scheme, uniform within `±√(6 / ((1 + a²) fan_in))`.

    Also called Kaiming's. The std is that of `he_normal`.

    Parameters
    ----------
    shape : sequence of at least two whole numbers
    negative_slope : float
        `a`: 0 for ReLU, the slope below zero for a leaky ReLU.
    mode : {"fan_in", "fan_out", "fan_avg"}
        ``"fan_out"`` keeps the gradient's scale instead of the signal's.

    Source: He et al. 2015, eq. 10, 14 and 15.
    """
    scale = _he_scale(negative_slope)
    mode = _checks.choice(mode, "mode", MODES)
    asked = _asked(shape, rng, dtype, (in_axis, out_axis, batch_axis), at_least=2)
    return _scaled(scale, mode, "uniform", asked, f"negative_slope={shown(negative_slope)}")


@_explained
def glorot_normal(
    shape: Sizes,
    *,
    gain: float = 1.0,
    truncated: bool = False,
    rng: RNG = None,
    dtype: DTypeLike = np.float64,
    in_axis: Axes = 1,
    out_axis: Axes = 0,
    batch_axis: Axes = (),
) -> Array:
    """Glorot's normal scheme: std `g √(2 / (fan_in + fan_out))`.

    Also called Xavier's: a compromise between keeping the signal's scale
    (fan_in) and the gradient's (fan_out).

    Parameters
    ----------
    shape : sequence of at least two whole numbers
    gain : float, positive
        `g`.
    truncated : bool
        True is what Keras and JAX draw under this name: cut at two standard
        deviations, with the same std.

    Source: Glorot & Bengio 2010, eq. 12.
    """
    scale, distribution = _squared(gain), _normal(truncated)
    asked = _asked(shape, rng, dtype, (in_axis, out_axis, batch_axis), at_least=2)
    return _scaled(scale, "fan_avg", distribution, asked, f"gain={shown(gain)}")


@_explained
def glorot_uniform(
    shape: Sizes,
    *,
    gain: float = 1.0,
    rng: RNG = None,
    dtype: DTypeLike = np.float64,
    in_axis: Axes = 1,
    out_axis: Axes = 0,
    batch_axis: Axes = (),
) -> Array:
    """Glorot's scheme, uniform within `±g √(6 / (fan_in + fan_out))`.

    Also called Xavier's. The std is that of `glorot_normal`.

    Parameters
    ----------
    shape : sequence of at least two whole numbers
    gain : float, positive
        `g`.

    Source: Glorot & Bengio 2010, eq. 16.
    """
    scale = _squared(gain)
    asked = _asked(shape, rng, dtype, (in_axis, out_axis, batch_axis), at_least=2)
    return _scaled(scale, "fan_avg", "uniform", asked, f"gain={shown(gain)}")


@_explained
def lecun_normal(
    shape: Sizes,
    *,
    truncated: bool = False,
    rng: RNG = None,
    dtype: DTypeLike = np.float64,
    in_axis: Axes = 1,
    out_axis: Axes = 0,
    batch_axis: Axes = (),
) -> Array:
    """LeCun's normal scheme: std `√(1 / fan_in)`, also the one for SELU.

    Parameters
    ----------
    shape : sequence of at least two whole numbers
    truncated : bool
        True is what Keras and JAX draw under this name: cut at two standard
        deviations, with the same std.

    Source: LeCun et al. 1998, eq. 16; for SELU, Klambauer et al. 2017.
    """
    distribution = _normal(truncated)
    asked = _asked(shape, rng, dtype, (in_axis, out_axis, batch_axis), at_least=2)
    return _scaled(1.0, "fan_in", distribution, asked, f"fan_in of shape {shown(shape)}")


@_explained
def lecun_uniform(
    shape: Sizes,
    *,
    rng: RNG = None,
    dtype: DTypeLike = np.float64,
    in_axis: Axes = 1,
    out_axis: Axes = 0,
    batch_axis: Axes = (),
) -> Array:
    """LeCun's scheme, uniform within `±√(3 / fan_in)`.

    The std is that of `lecun_normal`.

    Parameters
    ----------
    shape : sequence of at least two whole numbers

    Source: LeCun et al. 1998, eq. 16.
    """
    asked = _asked(shape, rng, dtype, (in_axis, out_axis, batch_axis), at_least=2)
    return _scaled(1.0, "fan_in", "uniform", asked, f"fan_in of shape {shown(shape)}")


@_explained
def orthogonal(
    shape: Sizes,
    *,
    gain: float = 1.0,
    rng: RNG = None,
    dtype: DTypeLike = np.float64,
    in_axis: Axes | None = None,
    out_axis: Axes = 0,
    batch_axis: Axes = (),
) -> Array:
    """`gain` times a random orthogonal matrix: `gain` is every singular value.

    The outputs against all other axes make the matrix, `n_out` rows of inputs
    and window; the shorter side is orthonormal. Each group of `batch_axis` has
    a matrix of its own. Q of a Gaussian matrix is uniform (Haar) only once the
    signs of R's diagonal are moved into it.

    `in_axis` may be left out, and changes no draw: inputs and window are one
    side.

    Parameters
    ----------
    shape : sequence of at least two whole numbers
    gain : float, positive

    Source: Saxe et al. 2013; the signs: Mezzadri 2007, section 5.
    """
    checked = _checks.number(gain, "gain", above=0.0)
    axes = (() if in_axis is None else in_axis, out_axis, batch_axis)
    asked = _asked(shape, rng, dtype, axes, at_least=2)
    sizes, parts = asked.shape, asked.parts
    first = parts.batch + parts.outs
    order = first + tuple(axis for axis in range(len(sizes)) if axis not in first)
    groups = math.prod(sizes[axis] for axis in parts.batch)
    rows = math.prod(sizes[axis] for axis in parts.outs)
    columns = math.prod(sizes) // (groups * rows)
    longer, shorter = max(rows, columns), min(rows, columns)
    q, r = np.linalg.qr(asked.rng.standard_normal((groups, longer, shorter)))
    diagonal = np.diagonal(r, axis1=-2, axis2=-1)[:, np.newaxis, :]
    q = q * np.where(diagonal < 0.0, -1.0, 1.0)
    matrices = q if rows >= columns else q.swapaxes(-2, -1)
    ordered = matrices.reshape(tuple(sizes[axis] for axis in order))
    stored = ordered.transpose(np.argsort(order))
    return _times(stored, checked, asked, f"gain={shown(gain)}", checked / math.sqrt(longer))


@_explained
def zeros(
    shape: Sizes,
    *,
    rng: RNG = None,
    dtype: DTypeLike = np.float64,
    in_axis: Axes = 1,
    out_axis: Axes = 0,
    batch_axis: Axes = (),
) -> Array:
    """All 0: right for biases, wrong for hidden weights.

    `rng` and the axes are taken and not used.

    Parameters
    ----------
    shape : sequence of at least one whole number
    """
    asked = _asked(shape, rng, dtype, (in_axis, out_axis, batch_axis))
    return np.zeros(asked.shape, asked.dtype)


@_explained
def ones(
    shape: Sizes,
    *,
    rng: RNG = None,
    dtype: DTypeLike = np.float64,
    in_axis: Axes = 1,
    out_axis: Axes = 0,
    batch_axis: Axes = (),
) -> Array:
    """All 1. `rng` and the axes are taken and not used.

    Parameters
    ----------
    shape : sequence of at least one whole number
    """
    asked = _asked(shape, rng, dtype, (in_axis, out_axis, batch_axis))
    return np.ones(asked.shape, asked.dtype)


@_explained
def constant(
    shape: Sizes,
    *,
    value: float,
    rng: RNG = None,
    dtype: DTypeLike = np.float64,
    in_axis: Axes = 1,
    out_axis: Axes = 0,
    batch_axis: Axes = (),
) -> Array:
    """All `value`: every unit of a layer starts, and stays, the same.

    `rng` and the axes are taken and not used.

    Parameters
    ----------
    shape : sequence of at least one whole number
    value : float
    """
    checked = np.array(_checks.number(value, "value"))
    asked = _asked(shape, rng, dtype, (in_axis, out_axis, batch_axis))
    return np.full(asked.shape, _checks.cast(checked, asked.dtype, f"value={shown(value)}"))


@_explained
def identity(
    shape: Sizes,
    *,
    gain: float = 1.0,
    rng: RNG = None,
    dtype: DTypeLike = np.float64,
    in_axis: Axes = 1,
    out_axis: Axes = 0,
    batch_axis: Axes = (),
) -> Array:
    """`gain` where input i meets output i, 0 elsewhere; of a window, one tap.

    The signal passes unchanged, as far as the shorter side reaches, in each
    group of `batch_axis`. Several axes of inputs or outputs count as one, the
    last running fastest. `rng` is taken and not used.

    The tap of a window of k is number ``(k - 1) // 2``, counted from 0: the
    middle if k is odd. If k is even there is no middle, and this is the tap
    that padding "same" leaves in place, in Keras, JAX and PyTorch at stride
    and dilation 1. (PyTorch's own "dirac" takes ``k // 2``, which shifts the
    signal by one if k is even. Causal padding would want the last tap.)

    Parameters
    ----------
    shape : sequence of at least two whole numbers
    gain : float

    Source: Le, Jaitly & Hinton 2015; for kernels the "dirac" of PyTorch.
    """
    checked = np.array(_checks.number(gain, "gain"))
    asked = _asked(shape, rng, dtype, (in_axis, out_axis, batch_axis), at_least=2)
    sizes, parts = asked.shape, asked.parts
    index: list[Any] = [(n - 1) // 2 for n in sizes]
    for axis in parts.batch:
        index[axis] = slice(None)
    sides = [[sizes[axis] for axis in axes] for axes in (parts.ins, parts.outs)]
    diagonal = np.arange(min(math.prod(side) for side in sides))
    for axes, side in zip((parts.ins, parts.outs), sides, strict=True):
        if axes:
            for axis, places in zip(axes, np.unravel_index(diagonal, side), strict=True):
                index[axis] = places
    weights = np.zeros(sizes, asked.dtype)
    weights[tuple(index)] = _checks.cast(checked, asked.dtype, f"gain={shown(gain)}")
    return weights


@_explained
def normal(
    shape: Sizes,
    *,
    std: float = 1.0,
    rng: RNG = None,
    dtype: DTypeLike = np.float64,
    in_axis: Axes = 1,
    out_axis: Axes = 0,
    batch_axis: Axes = (),
) -> Array:
    """Normal draws with mean 0 and standard deviation `std`, whatever the fans.

    The axes are taken and not used.

    Parameters
    ----------
    shape : sequence of at least one whole number
    std : float, 0 or larger
    """
    checked = _checks.number(std, "std", minimum=0.0)
    asked = _asked(shape, rng, dtype, (in_axis, out_axis, batch_axis))
    draws = np.asarray(asked.rng.standard_normal(asked.shape))
    return _times(draws, checked, asked, f"std={shown(std)}", checked)


@_explained
def truncated_normal(
    shape: Sizes,
    *,
    std: float = 1.0,
    rng: RNG = None,
    dtype: DTypeLike = np.float64,
    in_axis: Axes = 1,
    out_axis: Axes = 0,
    batch_axis: Axes = (),
) -> Array:
    """Normal draws with mean 0, each drawn again until it is within two `std`.

    The sample's own standard deviation is then 0.880 `std`: as in Keras and
    JAX, this plain form is not corrected (`variance_scaling` with
    ``"truncated_normal"`` is). The axes are taken and not used.

    Parameters
    ----------
    shape : sequence of at least one whole number
    std : float, 0 or larger
    """
    checked = _checks.number(std, "std", minimum=0.0)
    asked = _asked(shape, rng, dtype, (in_axis, out_axis, batch_axis))
    draws = _normal_within_two(asked.rng, asked.shape)
    return _times(draws, checked, asked, f"std={shown(std)}", checked * TRUNCATED_STD)


@_explained
def uniform(
    shape: Sizes,
    *,
    limit: float = 1.0,
    rng: RNG = None,
    dtype: DTypeLike = np.float64,
    in_axis: Axes = 1,
    out_axis: Axes = 0,
    batch_axis: Axes = (),
) -> Array:
    """Uniform draws within `±limit`; their std is `limit / √3`.

    The axes are taken and not used.

    Parameters
    ----------
    shape : sequence of at least one whole number
    limit : float, 0 or larger
    """
    checked = abs(_checks.number(limit, "limit", minimum=0.0, maximum=LARGEST_LIMIT))  # of -0.0
    asked = _asked(shape, rng, dtype, (in_axis, out_axis, batch_axis))
    draws = np.asarray(asked.rng.uniform(-checked, checked, asked.shape))
    std = checked / math.sqrt(3.0) if checked else None
    return _checks.cast(draws, asked.dtype, f"limit={shown(limit)}", std=std)


SCHEMES: dict[str, Initializer] = {
    scheme.__name__: scheme
    for scheme in (
        he_normal,
        he_uniform,
        glorot_normal,
        glorot_uniform,
        lecun_normal,
        lecun_uniform,
        orthogonal,
        zeros,
        ones,
        constant,
        identity,
        normal,
        uniform,
        truncated_normal,
        variance_scaling,
    )
}

# What other libraries and papers call them.
ALIASES = {
    "kaiming_normal": "he_normal",
    "kaiming_uniform": "he_uniform",
    "xavier_normal": "glorot_normal",
    "xavier_uniform": "glorot_uniform",
    "trunc_normal": "truncated_normal",
    "dirac": "identity",
    "eye": "identity",
}
# Names that may mean two schemes, or one whose unasked spread is another: Keras's random ones have
# 0.05, and PyTorch's uniform_ starts at 0. These are suggested, never taken.
SUGGESTIONS: dict[str, str | tuple[str, ...]] = {
    "he": ("he_normal", "he_uniform"),
    "kaiming": ("he_normal", "he_uniform"),
    "msra": ("he_normal", "he_uniform"),
    "glorot": ("glorot_normal", "glorot_uniform"),
    "xavier": ("glorot_normal", "glorot_uniform"),
    "lecun": ("lecun_normal", "lecun_uniform"),
    "random_normal": "normal",
    "random_uniform": "uniform",
    "uniform_": "uniform",
}


def _key(name: str) -> str:
    """What is left of a name without case, spaces, hyphens and underscores."""
    return re.sub(r"[\s_-]", "", name).lower()


_BY_KEY = {_key(name): name for name in SCHEMES}
_BY_KEY |= {_key(alias): name for alias, name in ALIASES.items()}


def get(scheme: str) -> Initializer:
    """The scheme of that name, such as ``get("he_normal")``.

    Parameters
    ----------
    scheme : str
        A name in ``winit.initializers.SCHEMES``, or what Keras, JAX and
        PyTorch call it: ``"HeNormal"``, ``"xavier_uniform"``,
        ``"kaiming_normal_"``. Only the name is theirs: the defaults are those
        of `winit`.

    Raises
    ------
    ValueError
        An unknown name, or one that may mean two schemes (``"xavier"``); the
        message suggests the nearest.
    TypeError
        Something else than a name.
    """
    name = str.__str__(scheme) if _checks.is_a(scheme, str) else ""
    if name.lower() not in SUGGESTIONS:
        scheme = _BY_KEY.get(_key(name), scheme)
    return SCHEMES[_checks.choice(scheme, "scheme", SCHEMES, ALIASES | SUGGESTIONS)]
