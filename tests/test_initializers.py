"""Schemes: their spread and law by the statistics of the estimate, their fans, their randomness.

Estimates from n draws of a law with variance v and kurtosis k (normal 3, uniform 9/5): the mean has
the standard deviation sqrt(v / n), the variance v sqrt((k - 1) / n). Tolerances are five of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

import winit
from winit import initializers

Scheme = Callable[..., NDArray[Any]]

SHAPE = (300, 200)  # fan_out, fan_in
N = 300 * 200

# Each law with unit variance.
CUT = stats.truncnorm(-2, 2).std()
LAWS = {
    "normal": stats.norm(),
    "uniform": stats.uniform(-math.sqrt(3), 2 * math.sqrt(3)),
    "truncated": stats.truncnorm(-2, 2, scale=1 / CUT),
}

SCHEMES: list[tuple[Scheme, float, str]] = [
    (winit.he_normal, 2 / 200, "normal"),
    (partial(winit.he_normal, truncated=True), 2 / 200, "truncated"),
    (partial(winit.he_normal, negative_slope=0.5), 2 / (1.25 * 200), "normal"),
    (partial(winit.he_normal, mode="fan_out"), 2 / 300, "normal"),
    (winit.he_uniform, 2 / 200, "uniform"),
    (partial(winit.he_uniform, negative_slope=0.5, mode="fan_avg"), 2 / (1.25 * 250), "uniform"),
    (winit.glorot_normal, 2 / 500, "normal"),
    (partial(winit.glorot_normal, truncated=True), 2 / 500, "truncated"),
    (partial(winit.glorot_normal, gain=5 / 3), 25 / 9 * 2 / 500, "normal"),
    (winit.glorot_uniform, 2 / 500, "uniform"),
    (partial(winit.glorot_uniform, gain=5 / 3), 25 / 9 * 2 / 500, "uniform"),
    (winit.lecun_normal, 1 / 200, "normal"),
    (partial(winit.lecun_normal, truncated=True), 1 / 200, "truncated"),
    (winit.lecun_uniform, 1 / 200, "uniform"),
    (winit.variance_scaling, 1 / 200, "normal"),
    (partial(winit.variance_scaling, scale=3, mode="fan_out"), 3 / 300, "normal"),
    (partial(winit.variance_scaling, mode="fan_avg", distribution="uniform"), 1 / 250, "uniform"),
    (partial(winit.normal, std=0.01), 1e-4, "normal"),
    (partial(winit.uniform, limit=0.3), 0.03, "uniform"),
    (partial(winit.truncated_normal, std=0.02), (0.02 * CUT) ** 2, "truncated"),
]


def name(value: object) -> str | None:
    """A readable test id for schemes with keywords."""
    if isinstance(value, partial):
        return f"{value.func.__name__}({', '.join(f'{k}={v}' for k, v in value.keywords.items())})"
    return getattr(value, "__name__", None)


@pytest.mark.parametrize(("scheme", "variance", "law"), SCHEMES, ids=name)
def test_spread_and_law(scheme: Scheme, variance: float, law: str) -> None:
    weights = scheme(SHAPE, rng=0).ravel()
    kurtosis = 3 + LAWS[law].stats("k")
    assert abs(weights.mean()) < 5 * math.sqrt(variance / N)
    assert abs(weights.var() / variance - 1) < 5 * math.sqrt((kurtosis - 1) / N)
    # Kolmogorov and Smirnov: another of these laws with the same spread gives p < 1e-15 here.
    assert stats.kstest(weights / math.sqrt(variance), LAWS[law].cdf).pvalue > 1e-3


@pytest.mark.parametrize(
    ("scheme", "limit"),
    [
        (winit.glorot_uniform, math.sqrt(6 / 500)),
        (winit.he_uniform, math.sqrt(6 / 200)),
        (winit.lecun_uniform, math.sqrt(3 / 200)),
        (partial(winit.uniform, limit=0.05), 0.05),
        (partial(winit.truncated_normal, std=0.02), 0.04),
        (partial(winit.he_normal, truncated=True), 2 * math.sqrt(2 / 200) / CUT),
    ],
    ids=name,
)
def test_limit_is_reached_and_kept(scheme: Scheme, limit: float) -> None:
    largest = np.abs(scheme(SHAPE, rng=0)).max()
    assert 0.999 * limit < largest <= limit


def test_constant_of_the_truncated_normal() -> None:
    phi, mass = stats.norm.pdf(2), stats.norm.cdf(2) - stats.norm.cdf(-2)
    assert abs(initializers.TRUNCATED_STD - math.sqrt(1 - 4 * phi / mass)) < 1e-15


@pytest.mark.parametrize(
    ("shape", "axes", "expected"),
    [
        ((4, 2), {}, (2, 4)),
        ((8, 3, 5, 5), {}, (75, 200)),
        ((8, 3, 5), {}, (15, 40)),
        ((2, 3, 4, 5, 6), {}, (360, 240)),
        ((2, 4), {"in_axis": -2, "out_axis": -1}, (2, 4)),  # Keras's Dense
        ((5, 5, 3, 8), {"in_axis": -2, "out_axis": -1}, (75, 200)),  # Keras's Conv2D
        ((3, 3, 8, 2), {"in_axis": (), "out_axis": -1, "batch_axis": -2}, (9, 18)),  # depthwise
        ((512, 8, 64), {"in_axis": 0, "out_axis": (1, 2)}, (512, 512)),  # attention, to heads
        ((8, 64, 512), {"in_axis": (0, 1), "out_axis": 2}, (512, 512)),  # attention, from heads
        ((7, 4, 5), {"batch_axis": 0, "in_axis": 2, "out_axis": 1}, (5, 4)),  # seven dense layers
        ((7, 4, 5), {"in_axis": np.int64(2), "out_axis": 1}, (35, 28)),
    ],
)
def test_fans(shape: tuple[int, ...], axes: dict[str, Any], expected: tuple[int, int]) -> None:
    assert winit.fans(shape, **axes) == expected


def test_fans_reach_the_draws() -> None:
    keras = winit.he_normal((3, 3, 64, 128), rng=0, in_axis=-2, out_axis=-1)
    assert abs(keras.var() * 9 * 64 / 2 - 1) < 5 * math.sqrt(2 / keras.size)
    depthwise = winit.lecun_normal((5, 5, 900, 1), rng=0, in_axis=(), out_axis=-1, batch_axis=-2)
    assert abs(depthwise.var() * 25 - 1) < 5 * math.sqrt(2 / depthwise.size)


@pytest.mark.parametrize(
    ("shape", "out_axis"), [((6, 6), 0), ((9, 4), 0), ((4, 9), 0), ((4, 3, 5), 0), ((3, 5, 4), -1)]
)
def test_orthogonal_on_its_shorter_side(shape: tuple[int, ...], out_axis: int) -> None:
    weights = winit.orthogonal(shape, gain=1.5, rng=0, out_axis=out_axis)
    assert weights.shape == shape
    matrix = np.moveaxis(weights, out_axis, 0).reshape(shape[out_axis], -1)
    singular = np.linalg.svd(matrix, compute_uv=False)
    np.testing.assert_allclose(singular, 1.5, rtol=1e-14)


def test_orthogonal_in_both_layouts_is_the_transpose() -> None:
    ours, keras = winit.orthogonal((5, 3), rng=0), winit.orthogonal((3, 5), rng=0, out_axis=-1)
    np.testing.assert_array_equal(ours, keras.T)


def test_orthogonal_is_uniform_over_all_rotations_and_reflections() -> None:
    """Each entry of a Haar-distributed 3 x 3 matrix is uniform on [-1, 1] (Archimedes)."""
    rng = np.random.default_rng(0)
    law = stats.uniform(-1, 2).cdf

    def smallest_p(matrices: NDArray[Any]) -> float:
        entries = matrices.reshape(len(matrices), 9).T
        return float(min(stats.kstest(entry, law).pvalue for entry in entries))

    drawn = np.array([winit.orthogonal((3, 3), rng=rng) for _ in range(2000)])
    assert smallest_p(drawn) > 1e-3
    assert abs(np.linalg.det(drawn).mean()) < 5 / math.sqrt(2000)  # as many of either kind
    bare = np.array([np.linalg.qr(rng.standard_normal((3, 3)))[0] for _ in range(2000)])
    assert smallest_p(bare) < 1e-9  # what the signs of R's diagonal are there for


def test_constants() -> None:
    assert not winit.zeros((2, 3)).any()
    assert (winit.ones((4,)) == 1).all()  # a bias has one axis
    assert (winit.constant((2, 3), value=-0.5) == -0.5).all()


def test_identity_passes_the_signal() -> None:
    np.testing.assert_array_equal(winit.identity((3, 3), gain=2), 2 * np.eye(3))
    np.testing.assert_array_equal(winit.identity((3, 5)), np.eye(3, 5))
    kernel = winit.identity((3, 5, 3, 3))  # outputs, inputs, height, width
    np.testing.assert_array_equal(kernel[:, :, 1, 1], np.eye(3, 5))
    assert kernel.sum() == 3
    keras = winit.identity((3, 3, 5, 3), in_axis=-2, out_axis=-1)
    np.testing.assert_array_equal(keras, np.moveaxis(kernel, [0, 1], [3, 2]))


ALL = {
    key: partial(scheme, value=0.1) if key == "constant" else scheme
    for key, scheme in initializers.SCHEMES.items()
}
RANDOM = sorted(set(ALL) - {"zeros", "ones", "constant", "identity"})


@pytest.mark.parametrize("scheme", ALL)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.longdouble])
def test_dtype_rounds_the_same_draws(scheme: str, dtype: type) -> None:
    wide, narrow = ALL[scheme]((5, 4), rng=0), ALL[scheme]((5, 4), rng=0, dtype=dtype)
    assert wide.dtype == np.float64
    np.testing.assert_array_equal(narrow, wide.astype(dtype), strict=True)


@pytest.mark.parametrize("scheme", RANDOM)
def test_randomness_is_what_is_handed_in(scheme: str) -> None:
    draw = partial(ALL[scheme], (5, 4))
    assert not np.array_equal(draw(), draw())
    np.testing.assert_array_equal(draw(rng=3), draw(rng=3))
    np.testing.assert_array_equal(draw(rng=3), draw(rng=np.random.default_rng(3)))
    old = np.random.RandomState
    np.testing.assert_array_equal(draw(rng=old(3)), draw(rng=old(3)))
    generator = np.random.default_rng(3)
    np.testing.assert_array_equal(draw(rng=3), draw(rng=generator))
    assert not np.array_equal(draw(rng=3), draw(rng=generator))


def test_random_state_draws_what_numpy_draws() -> None:
    theirs = np.random.RandomState(3).standard_normal((5, 4)) * np.sqrt(2 / 4)
    np.testing.assert_array_equal(winit.he_normal((5, 4), rng=np.random.RandomState(3)), theirs)
    # Not default_rng, which takes none before NumPy 2.2. It draws its normals another way.
    wrapped = np.random.Generator(np.random.RandomState(3)._bit_generator)
    assert not np.array_equal(winit.he_normal((5, 4), rng=wrapped), theirs)


@pytest.mark.parametrize("scheme", ALL)
def test_numpys_global_state_is_neither_read_nor_changed(scheme: str) -> None:
    before = np.random.get_state(legacy=False)  # noqa: NPY002
    first = ALL[scheme]((5, 4))
    after = np.random.get_state(legacy=False)  # noqa: NPY002
    np.testing.assert_equal(after, before)
    if scheme in RANDOM:
        assert not np.array_equal(first, ALL[scheme]((5, 4)))  # from the same global state


later: Any = partial  # what the types forbid is what is tried here


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (later(winit.fans, (4,)), ValueError, r"shape must have at least 2 axes, got \(4,\)"),
        (later(winit.fans, (4, 0)), ValueError, r"shape \(4, 0\) must be at least 1, got 0"),
        (later(winit.fans, (4, 2.5)), TypeError, "must be a whole number, got 2.5"),
        (later(winit.fans, (4, True)), TypeError, "must be a whole number, got True"),
        (later(winit.fans, (4, 2), in_axis=2), ValueError, "in_axis=2 is no axis of a shape"),
        (later(winit.fans, (4, 2), out_axis=-3), ValueError, "out_axis=-3 is no axis of a shape"),
        (later(winit.fans, (4, 2), in_axis=0), ValueError, r"name the same axis of \(4, 2\)"),
        (later(winit.fans, (4, 2), in_axis=-1, out_axis=1), ValueError, "name the same axis"),
        (later(winit.fans, (4, 2), in_axis=1.0), TypeError, "in_axis must be a whole number or"),
        (later(winit.fans, (4, 2), in_axis=True), TypeError, "in_axis must be .*, got True"),
        (later(winit.fans, (4, 2), in_axis="x"), TypeError, "in_axis must be .*, got 'x'"),
        (
            later(winit.variance_scaling, (4, 2), mode="fan_inn"),
            ValueError,
            r"mode must be one of fan_in, fan_out, fan_avg, got 'fan_inn'. Did you mean 'fan_in'\?",
        ),
        (
            later(winit.variance_scaling, (4, 2), distribution="gaussian"),
            ValueError,
            "distribution must be one of normal, truncated_normal, uniform, got 'gaussian'",
        ),
        (later(winit.variance_scaling, (4, 2), scale=0), ValueError, "scale must be larger than"),
        (later(winit.variance_scaling, (4, 2), scale=np.nan), ValueError, "scale must be finite"),
        (later(winit.he_normal, (4, 2), negative_slope=np.inf), ValueError, "negative_slope"),
        (later(winit.he_uniform, (4, 2), mode="in"), ValueError, "mode must be one of"),
        (later(winit.glorot_normal, (4, 2), gain=-1), ValueError, "gain must be larger than 0"),
        (later(winit.glorot_normal, (4, 2), gain=1e200), ValueError, "gain must be at most 1e150"),
        (later(winit.he_uniform, (4, 2), negative_slope=-1e200), ValueError, "at most 1e150"),
        (later(winit.glorot_uniform, (4, 2), gain="relu"), TypeError, "gain must be a number"),
        (later(winit.lecun_normal, (4, 2), scale=2), TypeError, "scale"),  # has none
        (later(winit.lecun_uniform, (4, 2), mode="fan_out"), TypeError, "mode"),
        (later(winit.orthogonal, (4, 2), gain=0), ValueError, "gain must be larger than 0"),
        (later(winit.orthogonal, (4, 2), out_axis=2), ValueError, "out_axis=2 is no axis"),
        (later(winit.orthogonal, (4,)), ValueError, "at least 2 axes"),
        (later(winit.identity, (4, 2), in_axis=0), ValueError, "name the same axis"),
        (later(winit.identity, (4, 2), gain=np.nan), ValueError, "gain must be finite"),
        (later(winit.constant, (4, 2), value=np.inf), ValueError, "value must be finite"),
        (later(winit.normal, (4, 2), std=-1), ValueError, "std must be 0 or larger, got -1"),
        (later(winit.truncated_normal, (4, 2), std=np.inf), ValueError, "std must be finite"),
        (later(winit.uniform, (4, 2), limit=-0.1), ValueError, "limit must be 0 or larger"),
        (later(winit.get, "he_nromal"), ValueError, r"Did you mean 'he_normal'\?"),
        (later(winit.get, None), TypeError, "scheme must be one of he_normal,"),
    ],
)
def test_errors(call: Callable[[], object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize("scheme", ALL)
@pytest.mark.parametrize(
    ("bad", "error", "message"),
    [
        ({"shape": (4, 0)}, ValueError, "must be at least 1, got 0"),
        ({"shape": (4, 1.5)}, TypeError, "must be a whole number, got 1.5"),
        ({"shape": ()}, ValueError, "shape must have at least"),
        ({"shape": 4}, TypeError, "shape must be a sequence of whole numbers, got 4"),
        ({"dtype": np.int32}, TypeError, "floating dtype such as float32 or float64, got int32"),
        ({"rng": -1}, ValueError, "a seed must be 0 or larger, got rng=-1"),
        ({"rng": True}, TypeError, "rng must be None, an int seed"),
        ({"rng": "0"}, TypeError, "rng must be None, an int seed"),
    ],
)
def test_errors_that_all_schemes_share(
    scheme: str, bad: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        ALL[scheme](**{"shape": (4, 2), **bad})


def test_get_finds_each_scheme_by_its_name() -> None:
    for key, scheme in initializers.SCHEMES.items():
        assert winit.get(key) is scheme is getattr(winit, key)


@pytest.mark.parametrize("scale", [1e-299, 1e-200, 1e-100])
def test_the_smallest_scales_are_drawn(scale: float) -> None:
    draws = winit.variance_scaling((300, 300), scale=scale, rng=0) / math.sqrt(scale)
    # the sd of a variance from n normal draws is sqrt(2 / n)
    assert abs(draws.var() * 300 - 1) < 5 * math.sqrt(2 / 9e4)
