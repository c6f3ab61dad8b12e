"""Properties of the schemes for any shape, axes, dtype and seed (Hypothesis draws the examples)."""

from __future__ import annotations

import math
from itertools import product
from typing import Any

import ml_dtypes
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import winit
from winit import initializers
from winit.initializers import DISTRIBUTIONS, MODES, SCHEMES

Array = NDArray[Any]
SEEDS = st.integers(0, 2**32 - 1)
SCALES = st.floats(1e-3, 1e3)

# The kurtosis of each law; that of a normal cut at 2 is less than the whole one's.
KURTOSIS = {"normal": 3.0, "truncated_normal": 3.0, "uniform": 9 / 5}


@st.composite
def layouts(draw: st.DrawFn, *, largest: int = 5) -> tuple[tuple[int, ...], dict[str, Any]]:
    """A shape of two to five axes, and the part that each of its axes plays."""
    rank = draw(st.integers(2, 5))
    shape = tuple(draw(st.integers(1, largest)) for _ in range(rank))
    parts = [draw(st.sampled_from(("in", "out", "batch", "window"))) for _ in range(rank)]
    axes: dict[str, Any] = {}
    for part in ("in", "out", "batch"):
        chosen = draw(st.permutations([axis for axis in range(rank) if parts[axis] == part]))
        signed = [axis - rank if draw(st.booleans()) else axis for axis in chosen]
        one = len(signed) == 1 and draw(st.booleans())
        axes[f"{part}_axis"] = signed[0] if one else tuple(signed)
    return shape, axes


def listed(axes: dict[str, Any], rank: int) -> tuple[tuple[int, ...], ...]:
    """The axes of the inputs, the outputs and the groups, none of them negative."""
    parts = (axes[f"{part}_axis"] for part in ("in", "out", "batch"))
    return tuple(
        tuple(axis % rank for axis in (part if isinstance(part, tuple) else (part,)))
        for part in parts
    )


def permuted(
    shape: tuple[int, ...], axes: dict[str, Any], order: list[int]
) -> tuple[tuple[int, ...], dict[str, Any]]:
    """The layout after a transposition: axis i of the new shape is axis `order[i]` of the old."""
    parts = listed(axes, len(shape))
    names = ("in_axis", "out_axis", "batch_axis")
    moved = (tuple(order.index(axis) for axis in part) for part in parts)
    return tuple(shape[axis] for axis in order), dict(zip(names, moved, strict=True))


@given(layouts())
def test_fans_count_the_weights_that_meet(layout: tuple[tuple[int, ...], dict[str, Any]]) -> None:
    """The weights of one output of one group, and of one input of one group, counted one by one."""
    shape, axes = layout
    ins, outs, batch = listed(axes, len(shape))
    entries = list(product(*map(range, shape)))
    one = entries[len(entries) // 2]
    fan_in = sum(all(entry[a] == one[a] for a in outs + batch) for entry in entries)
    fan_out = sum(all(entry[a] == one[a] for a in ins + batch) for entry in entries)
    assert winit.fans(shape, **axes) == (fan_in, fan_out)


@given(layouts(), st.data())
def test_a_transposed_shape_has_the_same_fans_and_scale(
    layout: tuple[tuple[int, ...], dict[str, Any]], data: st.DataObject
) -> None:
    shape, axes = layout
    order = data.draw(st.permutations(range(len(shape))))
    there, moved = permuted(shape, axes, order)
    assert winit.fans(there, **moved) == winit.fans(shape, **axes)
    unit = np.random.default_rng(0)
    scale = winit.he_normal(shape, rng=0, **axes) / unit.standard_normal(shape)
    unit = np.random.default_rng(0)
    again = winit.he_normal(there, rng=0, **moved) / unit.standard_normal(there)
    np.testing.assert_allclose(again, scale.flat[0], rtol=1e-14)
    identity = winit.identity(shape, gain=2.0, **axes)
    np.testing.assert_array_equal(
        winit.identity(there, gain=2.0, **moved), identity.transpose(order)
    )


# The same examples each time: among many random ones some lie beyond 4 standard errors by right.
@settings(derandomize=True)
@given(layouts(largest=8), SCALES, st.sampled_from(MODES), st.sampled_from(DISTRIBUTIONS), SEEDS)
def test_variance_scaling_has_the_std_of_its_formula(
    layout: tuple[tuple[int, ...], dict[str, Any]],
    scale: float,
    mode: str,
    distribution: str,
    seed: int,
) -> None:
    shape, axes = layout
    groups = math.ceil(4000 / math.prod(shape))  # enough draws for the estimate to be near normal
    ins, outs, batch = listed(axes, len(shape))
    shape = (*shape, groups)
    keywords = {"in_axis": ins, "out_axis": outs, "batch_axis": (*batch, len(shape) - 1)}
    weights = winit.variance_scaling(
        shape, scale=scale, mode=mode, distribution=distribution, rng=seed, **keywords
    )
    fan_in, fan_out = winit.fans(shape, **keywords)
    n = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[mode]
    std = math.sqrt(scale / n)
    error = std * math.sqrt((KURTOSIS[distribution] - 1) / (4 * weights.size))
    assert abs(math.sqrt((weights**2).mean()) - std) < 4 * error
    assert abs(weights.mean()) < 4 * std / math.sqrt(weights.size)
    bound = {"normal": math.inf, "uniform": math.sqrt(3)}
    cut = bound.get(distribution, 2 / initializers.TRUNCATED_STD)
    assert np.abs(weights).max() <= cut * std * (1 + 1e-15)


@given(layouts(largest=4), SCALES, SEEDS)
def test_each_group_of_orthogonal_is_orthogonal(
    layout: tuple[tuple[int, ...], dict[str, Any]], gain: float, seed: int
) -> None:
    shape, axes = layout
    weights = winit.orthogonal(shape, gain=gain, rng=seed, **axes)
    assert weights.shape == shape
    _, outs, batch = listed(axes, len(shape))
    rest = tuple(axis for axis in range(len(shape)) if axis not in outs + batch)
    groups = math.prod(shape[axis] for axis in batch)
    rows = math.prod(shape[axis] for axis in outs)
    for matrix in weights.transpose(batch + outs + rest).reshape(groups, rows, -1):
        gram = matrix @ matrix.T if rows <= matrix.shape[1] else matrix.T @ matrix
        np.testing.assert_allclose(gram, gain**2 * np.eye(len(gram)), atol=1e-13 * gain**2)


DTYPES = [np.float16, np.float32, np.float64, np.longdouble, ml_dtypes.bfloat16, ">f4"]


@given(
    name=st.sampled_from(sorted(SCHEMES)),
    layout=layouts(),
    dtype=st.sampled_from(DTYPES),
    seed=SEEDS,
)
def test_a_narrow_dtype_rounds_the_same_draws(
    name: str, layout: tuple[tuple[int, ...], dict[str, Any]], dtype: Any, seed: int
) -> None:
    shape, axes = layout
    options = {"value": -0.3} if name == "constant" else {}
    wide = SCHEMES[name](shape, rng=seed, **axes, **options)
    narrow = SCHEMES[name](shape, rng=seed, dtype=dtype, **axes, **options)
    assert wide.dtype == np.float64 and wide.shape == shape
    np.testing.assert_array_equal(narrow, wide.astype(dtype), strict=True)


SIZED = ("normal", "truncated_normal", "uniform", "orthogonal")


@given(
    name=st.sampled_from(SIZED),
    exponent=st.floats(-330, 308),
    dtype=st.sampled_from(DTYPES),
    seed=SEEDS,
)
def test_a_size_is_drawn_right_or_refused_by_its_name(
    name: str, exponent: float, dtype: Any, seed: int
) -> None:
    value = 10**exponent
    argument = {"uniform": "limit", "orthogonal": "gain"}.get(name, "std")
    scheme = SCHEMES[name]
    try:
        weights = scheme((4, 6), rng=seed, dtype=dtype, **{argument: value})
    except ValueError as error:
        assert argument in str(error)
        kind = ml_dtypes.finfo(np.dtype(dtype).newbyteorder("="))
        tiny, huge = float(kind.smallest_subnormal), float(min(kind.max, np.finfo(float).max))
        # Only near the ends: 6 standard deviations, or 3 steps times the root of a fan.
        assert value > huge / 6 or value < 10 * max(tiny, 5e-324)
    else:
        assert np.isfinite(weights).all()
        assert (np.abs(weights) > 0).any() or value == 0
