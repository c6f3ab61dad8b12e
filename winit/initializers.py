"""Schemes for drawing a network's first weights.

A weight matrix has shape ``(fan_out, fan_in)``, so that ``z = x @ W.T + b`` with one example a row.
Keras and JAX store ``(fan_in, fan_out)``: pass ``in_axis=-2, out_axis=-1`` for their layout.
Axes that are neither are the receptive field of a convolution and multiply both fans.

Every scheme takes the same keywords.

Parameters
----------
rng : None, int, numpy.random.Generator or numpy.random.RandomState
    Where the draws come from. None draws afresh each time; NumPy's global state is never used,
    so ``np.random.seed`` has no effect here.
dtype : floating dtype, default float64
in_axis, out_axis, batch_axis : int or tuple of int
    Which axes of the shape are the inputs, the outputs, and independent groups (named as in JAX).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypedDict, Unpack

import numpy as np
from numpy.typing import DTypeLike, NDArray

from winit import _checks
from winit._checks import RNG

Array = NDArray[np.floating[Any]]
Axes = int | tuple[int, ...]

MODES = ("fan_in", "fan_out", "fan_avg")
DISTRIBUTIONS = ("normal", "truncated_normal", "uniform")

# Standard deviation of a standard normal cut at +-2: sqrt(1 - 4 phi(2) / (2 Phi(2) - 1)),
# with phi and Phi the normal density and distribution function.
TRUNCATED_STD = 0.87962566103423978


class Draw(TypedDict, total=False):
    """The keywords that every random scheme shares (see the module's text)."""

    rng: RNG
    dtype: DTypeLike
    in_axis: Axes
    out_axis: Axes
    batch_axis: Axes


def _axes(axes: Axes, rank: int, what: str) -> tuple[int, ...]:
    """The axes as non-negative numbers."""
    axes = tuple(axes) if isinstance(axes, Iterable) else (axes,)
    for axis in axes:
        if isinstance(axis, bool) or not isinstance(axis, (int, np.integer)):
            raise TypeError(f"{what} must be a whole number or a tuple of them, got {axis!r}")
        if not -rank <= axis < rank:
            raise ValueError(f"{what}={axis} is no axis of a shape with {rank} axes")
    return tuple(axis % rank for axis in axes)


def fans(
    shape: Sequence[int], *, in_axis: Axes = 1, out_axis: Axes = 0, batch_axis: Axes = ()
) -> tuple[int, int]:
    r"""How many inputs reach one output, and how many outputs one input reaches.

    :math:`\text{fan\_in} = n_\text{in} k`, :math:`\text{fan\_out} = n_\text{out} k`, where
    :math:`k` is the product of the axes that are neither input, output nor batch: the receptive
    field of a convolution, 1 for a dense layer.

    Parameters
    ----------
    shape : sequence of at least two sizes
    in_axis, out_axis, batch_axis : int or tuple of int
        ``()`` means that no axis plays that part: a depthwise kernel of Keras,
        ``(k, k, channels, multiplier)``, has ``in_axis=(), out_axis=-1, batch_axis=-2``.

    Returns
    -------
    (fan_in, fan_out) : two whole numbers of at least 1

    Raises
    ------
    ValueError
        A shape with fewer than two axes or a size below 1; an axis that does not exist or plays
        two parts.
    TypeError
        A size or an axis that is not a whole number.

    Source: He et al. 2015, section 2.2 (:math:`n_l = k^2 c`).
    """
    shape = _checks.shape(shape, at_least=2)
    ins = _axes(in_axis, len(shape), "in_axis")
    outs = _axes(out_axis, len(shape), "out_axis")
    batch = _axes(batch_axis, len(shape), "batch_axis")
    named = ins + outs + batch
    if len(set(named)) < len(named):
        raise ValueError(
            f"in_axis={in_axis!r}, out_axis={out_axis!r} and batch_axis={batch_axis!r} "
            f"name the same axis of {shape!r} twice"
        )
    field = math.prod(n for axis, n in enumerate(shape) if axis not in named)
    return (
        field * math.prod(shape[axis] for axis in ins),
        field * math.prod(shape[axis] for axis in outs),
    )


def _normal_within_two(rng: _checks.Draws, shape: tuple[int, ...]) -> Array:
    """Standard normal draws, each drawn again until it lies in [-2, 2]."""
    draws = np.asarray(rng.standard_normal(shape))
    while (outside := np.abs(draws) > 2.0).any():
        draws[outside] = rng.standard_normal(int(outside.sum()))
    return draws


def variance_scaling(
    shape: Sequence[int],
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
    r"""Weights with mean 0 and variance :math:`\text{scale}/n`, :math:`n` given by `mode`.

    Parameters
    ----------
    shape : sequence of at least two sizes
    scale : float, positive
        The squared gain.
    mode : {"fan_in", "fan_out", "fan_avg"}
        What :math:`n` is; ``"fan_avg"`` is the mean of the two fans.
    distribution : {"normal", "truncated_normal", "uniform"}
        ``"truncated_normal"`` is cut at two standard deviations and widened so that the variance
        is still :math:`\text{scale}/n` (as in Keras and JAX). ``"uniform"`` reaches
        :math:`\pm\sqrt{3\,\text{scale}/n}`.

    Raises
    ------
    ValueError
        An unknown mode or distribution, a scale that is not positive and finite, a bad shape.
    TypeError
        An integer dtype, an unusable rng, sizes that are not whole numbers.

    Source: the form shared by LeCun et al. 1998 (eq. 16), Glorot & Bengio 2010 (eq. 16) and
    He et al. 2015 (eq. 10 and 14).
    """
    scale = _checks.number(scale, "scale", above=0.0)
    _checks.choice(mode, "mode", MODES)
    _checks.choice(distribution, "distribution", DISTRIBUTIONS)
    dtype = _checks.float_dtype(dtype)
    draws = _checks.as_rng(rng)
    shape = _checks.shape(shape, at_least=2)
    fan_in, fan_out = fans(shape, in_axis=in_axis, out_axis=out_axis, batch_axis=batch_axis)
    n = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[mode]
    std = np.sqrt(scale / n)
    if distribution == "normal":
        weights = np.asarray(draws.standard_normal(shape) * std)
    elif distribution == "truncated_normal":
        weights = _normal_within_two(draws, shape) * (std / TRUNCATED_STD)
    else:
        limit = np.sqrt(3.0) * std
        weights = draws.uniform(-limit, limit, shape)
    return weights.astype(dtype, copy=False)


def _normal(truncated: bool) -> str:
    return "truncated_normal" if truncated else "normal"


def _he_scale(negative_slope: float) -> float:
    return 2.0 / (1.0 + _checks.square(negative_slope, "negative_slope"))


def _squared(gain: float) -> float:
    return _checks.square(gain, "gain", above=0.0)


def he_normal(
    shape: Sequence[int],
    *,
    negative_slope: float = 0.0,
    mode: str = "fan_in",
    truncated: bool = False,
    **draw: Unpack[Draw],
) -> Array:
    r"""He's normal scheme for ReLU: std :math:`\sqrt{2/((1+a^2)\,\text{fan\_in})}`.

    :math:`a` is `negative_slope`: 0 for ReLU, the slope below zero for a leaky ReLU. With
    ``mode="fan_out"`` the gradient's scale is kept instead of the signal's. ``truncated=True``
    is what Keras draws under this name. Other keywords and errors: see `variance_scaling`.

    Source: He et al. 2015, eq. 10 (forward), 14 (backward) and 15 (slope).
    """
    scale = _he_scale(negative_slope)
    return variance_scaling(shape, scale=scale, mode=mode, distribution=_normal(truncated), **draw)


def he_uniform(
    shape: Sequence[int],
    *,
    negative_slope: float = 0.0,
    mode: str = "fan_in",
    **draw: Unpack[Draw],
) -> Array:
    r"""He's scheme, uniform within :math:`\pm\sqrt{6/((1+a^2)\,\text{fan\_in})}`.

    The std is that of `he_normal`. Source: He et al. 2015, eq. 10, 14 and 15.
    """
    scale = _he_scale(negative_slope)
    return variance_scaling(shape, scale=scale, mode=mode, distribution="uniform", **draw)


def glorot_normal(
    shape: Sequence[int], *, gain: float = 1.0, truncated: bool = False, **draw: Unpack[Draw]
) -> Array:
    r"""Glorot's (Xavier's) normal scheme: std :math:`g\sqrt{2/(\text{fan\_in}+\text{fan\_out})}`.

    A compromise between keeping the signal's scale (fan_in) and the gradient's (fan_out).
    ``truncated=True`` is what Keras draws under this name. Other keywords and errors: see
    `variance_scaling`.

    Source: Glorot & Bengio 2010, eq. 12.
    """
    scale = _squared(gain)
    distribution = _normal(truncated)
    return variance_scaling(shape, scale=scale, mode="fan_avg", distribution=distribution, **draw)


def glorot_uniform(shape: Sequence[int], *, gain: float = 1.0, **draw: Unpack[Draw]) -> Array:
    r"""Glorot's scheme, uniform within :math:`\pm g\sqrt{6/(\text{fan\_in}+\text{fan\_out})}`.

    The std is that of `glorot_normal`. Source: Glorot & Bengio 2010, eq. 16.
    """
    scale = _squared(gain)
    return variance_scaling(shape, scale=scale, mode="fan_avg", distribution="uniform", **draw)


def lecun_normal(shape: Sequence[int], *, truncated: bool = False, **draw: Unpack[Draw]) -> Array:
    r"""LeCun's normal scheme: std :math:`\sqrt{1/\text{fan\_in}}`, also the one for SELU.

    ``truncated=True`` is what Keras draws under this name. Other keywords and errors: see
    `variance_scaling`.

    Source: LeCun et al. 1998, eq. 16; for SELU, Klambauer et al. 2017.
    """
    distribution = _normal(truncated)
    return variance_scaling(shape, scale=1.0, mode="fan_in", distribution=distribution, **draw)


def lecun_uniform(shape: Sequence[int], **draw: Unpack[Draw]) -> Array:
    r"""LeCun's scheme, uniform within :math:`\pm\sqrt{3/\text{fan\_in}}`.

    The std is that of `lecun_normal`. Source: LeCun et al. 1998, eq. 16.
    """
    return variance_scaling(shape, scale=1.0, mode="fan_in", distribution="uniform", **draw)


def orthogonal(
    shape: Sequence[int],
    *,
    gain: float = 1.0,
    rng: RNG = None,
    dtype: DTypeLike = np.float64,
    out_axis: int = 0,
) -> Array:
    r"""`gain` times a random orthogonal matrix: all singular values equal `gain`.

    The axis `out_axis` against all the others makes the matrix, shape ``(out, rest)``; the shorter
    side is orthonormal. :math:`Q` of a Gaussian matrix is uniform (Haar) only once the signs of
    :math:`R`'s diagonal are moved into it.

    Raises
    ------
    ValueError, TypeError
        As `variance_scaling`; a gain that is not positive and finite.

    Source: Saxe et al. 2013; the signs: Mezzadri 2007, section 5.
    """
    gain = _checks.number(gain, "gain", above=0.0)
    dtype = _checks.float_dtype(dtype)
    draws = _checks.as_rng(rng)
    shape = _checks.shape(shape, at_least=2)
    (axis,) = _axes(out_axis, len(shape), "out_axis")
    rest = shape[:axis] + shape[axis + 1 :]
    rows, columns = shape[axis], math.prod(rest)
    q, r = np.linalg.qr(draws.standard_normal((max(rows, columns), min(rows, columns))))
    q = q * np.where(np.diag(r) < 0.0, -1.0, 1.0)
    matrix = gain * (q if rows >= columns else q.T)
    return np.moveaxis(matrix.reshape(rows, *rest), 0, axis).astype(dtype)


def zeros(shape: Sequence[int], *, rng: RNG = None, dtype: DTypeLike = np.float64) -> Array:
    """All 0: right for biases, wrong for hidden weights. `rng` is taken and not used."""
    return constant(shape, value=0.0, rng=rng, dtype=dtype)


def ones(shape: Sequence[int], *, rng: RNG = None, dtype: DTypeLike = np.float64) -> Array:
    """All 1. `rng` is taken and not used."""
    return constant(shape, value=1.0, rng=rng, dtype=dtype)


def constant(
    shape: Sequence[int], *, value: float, rng: RNG = None, dtype: DTypeLike = np.float64
) -> Array:
    """All `value`: every unit of a layer starts, and stays, the same. `rng` is not used.

    Raises
    ------
    ValueError
        A value that is not finite, a bad shape.
    """
    value = _checks.number(value, "value")
    _checks.as_rng(rng)
    return np.full(_checks.shape(shape), value, dtype=_checks.float_dtype(dtype))


def identity(
    shape: Sequence[int],
    *,
    gain: float = 1.0,
    rng: RNG = None,
    dtype: DTypeLike = np.float64,
    in_axis: int = 1,
    out_axis: int = 0,
) -> Array:
    """`gain` where input i meets output i, 0 elsewhere; in a kernel, at its middle tap.

    The signal passes unchanged, as far as the shorter side reaches. `rng` is not used. Errors as
    `fans` and `constant`. Source: Le, Jaitly & Hinton 2015; for kernels the "dirac" of PyTorch.
    """
    gain = _checks.number(gain, "gain")
    _checks.as_rng(rng)
    shape = _checks.shape(shape, at_least=2)
    fans(shape, in_axis=in_axis, out_axis=out_axis)  # refuses axes that do not fit
    weights = np.zeros(shape, dtype=_checks.float_dtype(dtype))
    index: list[Any] = [n // 2 for n in shape]
    index[in_axis] = index[out_axis] = np.arange(min(shape[in_axis], shape[out_axis]))
    weights[tuple(index)] = gain
    return weights


def normal(
    shape: Sequence[int], *, std: float = 1.0, rng: RNG = None, dtype: DTypeLike = np.float64
) -> Array:
    """Normal draws with mean 0 and standard deviation `std`, whatever the shape.

    Raises
    ------
    ValueError
        A std that is negative or not finite, a bad shape.
    """
    std = _checks.number(std, "std", minimum=0.0)
    dtype = _checks.float_dtype(dtype)
    weights = _checks.as_rng(rng).standard_normal(_checks.shape(shape)) * std
    return np.asarray(weights).astype(dtype, copy=False)


def truncated_normal(
    shape: Sequence[int], *, std: float = 1.0, rng: RNG = None, dtype: DTypeLike = np.float64
) -> Array:
    """Normal draws with mean 0, each drawn again until it lies within two `std`.

    The sample's own standard deviation is then 0.880 `std`: as in Keras and JAX, this plain form
    is not corrected (`variance_scaling` with ``"truncated_normal"`` is). Errors as `normal`.
    """
    std = _checks.number(std, "std", minimum=0.0)
    dtype = _checks.float_dtype(dtype)
    weights = _normal_within_two(_checks.as_rng(rng), _checks.shape(shape)) * std
    return weights.astype(dtype, copy=False)


def uniform(
    shape: Sequence[int], *, limit: float = 1.0, rng: RNG = None, dtype: DTypeLike = np.float64
) -> Array:
    r"""Uniform draws within ± `limit`; their std is :math:`\text{limit}/\sqrt3`.

    Raises
    ------
    ValueError
        A limit that is negative or not finite, a bad shape.
    """
    limit = _checks.number(limit, "limit", minimum=0.0)
    dtype = _checks.float_dtype(dtype)
    weights = _checks.as_rng(rng).uniform(-limit, limit, _checks.shape(shape))
    return np.asarray(weights).astype(dtype, copy=False)


Initializer = Callable[..., Array]

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


def get(name: str) -> Initializer:
    """The scheme of that name, such as ``get("he_normal")``.

    Raises
    ------
    ValueError
        An unknown name; the message suggests the nearest one.
    """
    return SCHEMES[_checks.choice(name, "scheme", tuple(SCHEMES))]
