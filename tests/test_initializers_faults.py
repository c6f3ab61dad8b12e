"""Faults that the schemes, the checks and the package's top once had, each with its whole kind.

The number in a test's name is the fault's in the issue "The core, hard to break". Each test failed
before its fault was gone, unless it says that it guards the other side: what was right stays so.
"""

from __future__ import annotations

import importlib.util
import inspect
import itertools
import math
import os
import pydoc
import re
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterator
from decimal import Decimal
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import ml_dtypes
import numpy as np
import pytest
from numpy.typing import NDArray
from tiers import some

import winit
from winit import initializers
from winit.initializers import SCHEMES

os.environ.setdefault("KERAS_BACKEND", "jax")

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = Path(winit.__file__).parent
ARTICLE = ("weight_initializer", "weight_initializer_for_relu", "weight_initializer_for_sigmoid")
BY_FANS = [name for name in SCHEMES if name[:2] in ("he", "gl", "le", "va", "or", "id")]
RANDOM = [name for name in SCHEMES if name not in ("zeros", "ones", "constant", "identity")]
BFLOAT16 = np.dtype(ml_dtypes.bfloat16)

Array = NDArray[Any]


def draw(name: str, shape: Any, **keywords: Any) -> Array:
    """The scheme of that name; the one that needs a value gets one."""
    if name == "constant":
        keywords.setdefault("value", 0.1)
    return SCHEMES[name](shape, **keywords)


def refusal(call: Callable[[], object]) -> str:
    """The words of a TypeError or ValueError that winit itself raised."""
    with pytest.raises((TypeError, ValueError)) as raised:
        call()
    assert type(raised.value) in (TypeError, ValueError)
    assert Path(raised.traceback[-1].path).parent == PACKAGE, raised.value
    return str(raised.value)


# 7: what a dtype cannot hold ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "dtype"),
    [
        ("normal(std)", 7e4, "float16"),
        ("normal(std)", 1e300, "float32"),
        ("normal(std)", 1.7e308, "float64"),
        ("normal(std)", 1e-9, "float16"),
        ("normal(std)", 1e-46, "float32"),
        ("normal(std)", 5e-324, "float64"),
        ("normal(std)", 1e-41, "bfloat16"),
        ("normal(std)", 1e39, "bfloat16"),
        ("truncated_normal(std)", 1e6, "float16"),
        ("truncated_normal(std)", 1e-60, "float32"),
        ("uniform(limit)", 1e5, "float16"),
        ("uniform(limit)", 1e39, "float32"),
        ("uniform(limit)", 1e-8, "float16"),
        ("constant(value)", -1e5, "float16"),
        ("constant(value)", 1e39, "float32"),
        ("constant(value)", 1e-9, "float16"),
        ("identity(gain)", 1e6, "float16"),
        ("identity(gain)", -1e-50, "float32"),
        ("orthogonal(gain)", 1e7, "float16"),
        ("orthogonal(gain)", 1e-30, "float16"),
        ("orthogonal(gain)", 5e-324, "float64"),
        ("variance_scaling(scale)", 1e12, "float16"),
        ("variance_scaling(scale)", 1e-20, "float16"),
        ("glorot_normal(gain)", 1e-47, "float32"),
        ("glorot_uniform(gain)", 1e6, "float16"),
        ("he_normal(negative_slope)", 1e9, "float16"),
        ("he_uniform(negative_slope)", -1e60, "float32"),
    ],
)
def test_fault_07_a_value_beyond_the_dtype_is_named_with_it(
    name: str, value: float, dtype: str
) -> None:
    scheme, argument = name.rstrip(")").split("(")
    for seed in range(5):  # not by luck of the draw
        call = partial(SCHEMES[scheme], (9, 9), rng=seed, dtype=dtype, **{argument: value})
        message = refusal(call)
        assert f"{argument}={value!r}" in message and dtype in message


@pytest.mark.parametrize("name", ["normal", "truncated_normal", "uniform"])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "bfloat16"])
def test_fault_07_what_is_accepted_keeps_its_spread(name: str, dtype: str) -> None:
    """Down to the smallest spread that is not refused, by halving; rounding may change it by 1 %.

    The tolerance of the estimate: 5 standard deviations of a sample's std, at most 1 / sqrt(2 n).
    """
    argument = "limit" if name == "uniform" else "std"
    factor = {"normal": 1.0, "uniform": 1 / math.sqrt(3)}.get(name, initializers.TRUNCATED_STD)
    n, spread, tried = 10_000, 1.0, 0
    while True:
        try:
            weights = SCHEMES[name]((100, 100), rng=tried, dtype=dtype, **{argument: spread})
        except ValueError:
            break
        with np.errstate(under="ignore"):
            std = (weights.astype(np.longdouble) / np.longdouble(spread)).std()
        assert abs(std / factor - 1) < 0.01 + 5 / math.sqrt(2 * n)
        spread, tried = spread / 2, tried + 1
    assert spread < 1e-6 and tried > 20
    assert not SCHEMES[name]((3, 3), dtype=dtype, **{argument: 0}).any()  # asked for in words


def test_fault_08_a_limit_of_minus_zero_is_zero() -> None:
    """NumPy calls the width of such a uniform law negative."""
    assert not winit.uniform((3, 3), limit=-0.0, rng=0).any()
    assert not winit.uniform((3, 3), limit=np.float32(-0.0), rng=0, dtype="float16").any()


@pytest.mark.parametrize("limit", [1e308, 1.7e308, 9e307, 10**308, Fraction(10**308)])
def test_fault_07_a_limit_whose_width_overflows(limit: Any) -> None:
    call = partial(winit.uniform, (3,), limit=limit)
    assert "limit must be 8.98847e+307 or smaller" in refusal(call)


# 8: foreign exceptions ----------------------------------------------------------------------------


class Nameless:
    def __repr__(self) -> str:
        raise RuntimeError("no name")


class Liar(int):
    def __int__(self) -> int:
        raise RuntimeError("no number")

    __index__ = __int__


class Hollow(list[int]):
    def __iter__(self) -> Iterator[int]:
        raise KeyError("no entries")


class Endless(list[int]):
    def __iter__(self) -> Iterator[int]:
        return itertools.repeat(2)


class Bad(float):
    def __float__(self) -> float:
        raise ZeroDivisionError


MASKED = np.ma.MaskedArray([3, 4], mask=[False, True])
anything: Any = partial  # what the types forbid is what is tried here


@pytest.mark.parametrize(
    ("argument", "call"),
    [
        ("gain", anything(winit.glorot_normal, (4, 2), gain=10**500)),
        ("gain", anything(winit.glorot_uniform, (4, 2), gain=3e-170)),
        ("gain", anything(winit.orthogonal, (4, 2), gain=-(10**400))),
        ("gain", anything(winit.identity, (4, 2), gain=Fraction(10**500, 3))),
        ("gain", anything(winit.identity, (4, 2), gain=Bad(1))),
        ("std", anything(winit.normal, (4, 2), std=10**309)),
        ("std", anything(winit.normal, (4, 2), std=Fraction(1, 10**400))),
        ("std", anything(winit.truncated_normal, (4, 2), std=-(10**5000))),
        ("limit", anything(winit.uniform, (4, 2), limit=10**400)),
        ("value", anything(winit.constant, (4, 2), value=10**5000)),
        ("value", anything(winit.constant, (4, 2), value=np.timedelta64(3, "D"))),
        ("scale", anything(winit.variance_scaling, (4, 2), scale=5e-324)),
        ("scale", anything(winit.variance_scaling, (4, 2), scale=10**310)),
        ("negative_slope", anything(winit.he_normal, (4, 2), negative_slope=10**400)),
        ("truncated", anything(winit.he_normal, (4, 2), truncated="no")),
        ("truncated", anything(winit.lecun_normal, (4, 2), truncated=np.array([1, 0]))),
        ("truncated", anything(winit.glorot_normal, (4, 2), truncated=None)),
        ("shape", anything(winit.zeros, (10**30, 2))),
        ("shape", anything(winit.ones, (2**20, 2**20))),
        ("shape", anything(winit.he_normal, range(10**12))),
        ("shape", anything(winit.he_normal, range(10**30))),
        ("shape", anything(winit.normal, (1,) * 65)),
        ("shape", anything(winit.fans, Hollow([3, 4]))),
        ("shape", anything(winit.fans, Endless([3, 4]))),
        ("shape", anything(winit.fans, (np.timedelta64(3, "D"), 4))),
        ("shape", anything(winit.fans, (Liar(3), 4))),
        ("shape", anything(winit.uniform, (Nameless(), 4))),
        ("shape", anything(winit.he_uniform, np.zeros((2, 2), int))),
        ("shape", anything(winit.he_uniform, iter([3, 4]))),
        ("in_axis", anything(winit.he_normal, (4, 2), in_axis=Liar(1))),
        ("in_axis", anything(winit.he_normal, (4, 2), in_axis=Nameless())),
        ("in_axis", anything(winit.fans, (4, 2), in_axis=Endless())),
        ("batch_axis", anything(winit.fans, (4, 2), batch_axis=Hollow())),
        ("out_axis", anything(winit.orthogonal, (4, 2), out_axis=None)),
        ("out_axis", anything(winit.orthogonal, (4, 2), out_axis=10**400)),
        ("in_axis", anything(winit.identity, (4, 2), in_axis=-(10**400))),
        ("rng", anything(winit.he_normal, (4, 2), rng=Nameless())),
        ("rng", anything(winit.he_normal, (4, 2), rng=-(10**5000))),
        ("rng", anything(winit.he_normal, (4, 2), rng=np.timedelta64(3))),
        ("dtype", anything(winit.he_normal, (4, 2), dtype=np.floating)),
        ("dtype", anything(winit.he_normal, (4, 2), dtype=np.zeros(3))),
        ("dtype", anything(winit.he_normal, (4, 2), dtype=np.float64(1))),
        ("dtype", anything(winit.he_normal, (4, 2), dtype="a4")),
        ("dtype", anything(winit.he_normal, (4, 2), dtype=Nameless())),
        ("layer_sizes", anything(winit.weight_initializer, [2**40, 1])),
        ("layer_sizes", anything(winit.weight_initializer, [2**20, 2**20])),
        ("layer_sizes", anything(winit.weight_initializer, range(1, 10**12))),
        ("layer_sizes", anything(winit.weight_initializer_for_relu, {2: 3, 4: 5})),
        ("layer_sizes", anything(winit.weight_initializer_for_relu, {2, 3})),
        ("layer_sizes", anything(winit.weight_initializer_for_sigmoid, Hollow([2, 3]))),
        ("layer_sizes", anything(winit.weight_initializer_for_sigmoid, Endless([2, 3]))),
        ("layer_sizes", anything(winit.weight_initializer_for_sigmoid, [2, np.timedelta64(3)])),
        ("rng", anything(winit.weight_initializer, [2, 3], rng=Mock(spec=np.random.Generator))),
    ],
    ids=lambda value: value if isinstance(value, str) else value.func.__name__,
)
def test_fault_08_only_errors_of_our_own(argument: str, call: Callable[[], object]) -> None:
    assert argument in refusal(call)


NOT_NUMBERS: list[Any] = [None, "3", b"3", 3j, Decimal(3), {3}, {3: 3}, object(), np.array(3.0)]
NOT_NUMBERS += [np.str_("3"), int, True, np.True_, [3], (3.0,), MASKED, Nameless(), np.ma.masked]
NOT_NUMBERS += [np.datetime64("2020-01-01"), np.complex64(3), bytearray(b"3"), iter((3,))]


@pytest.mark.parametrize(
    "value",
    NOT_NUMBERS,
    ids=lambda value: type(value).__name__,
)
def test_fault_08_a_number_is_a_number(value: Any) -> None:
    """Guards the other side too: some of these were refused in our words before."""
    for argument, call in {
        "gain": partial(winit.glorot_normal, (4, 2)),
        "std": partial(winit.normal, (4, 2)),
        "limit": partial(winit.uniform, (4, 2)),
        "value": partial(winit.constant, (4, 2)),
        "scale": partial(winit.variance_scaling, (4, 2)),
        "negative_slope": partial(winit.he_uniform, (4, 2)),
    }.items():
        message = refusal(partial(call, **{argument: value}))  # type: ignore[call-arg, arg-type]
        assert message.startswith(f"{argument} must be a number, got ")
        assert "\n" not in message and len(message) < 200


# 10: every scheme takes the same keywords ---------------------------------------------------------

KERAS: dict[str, Any] = {"in_axis": -2, "out_axis": -1, "batch_axis": ()}


@pytest.mark.parametrize("name", SCHEMES)
def test_fault_10_one_loop_in_keras_layout(name: str) -> None:
    for shape in ((6, 5), (3, 3, 4, 7), (2, 4, 7), [2, 2, 2, 3, 5]):
        for dtype in (np.float64, np.float32, "bfloat16"):
            weights = draw(name, shape, rng=np.int64(3), dtype=dtype, **KERAS)
            assert weights.shape == tuple(shape) and weights.dtype == np.dtype(dtype)
    groups = draw(name, (3, 4, 5, 6), rng=0, in_axis=(), out_axis=(-1, 1), batch_axis=[0, 2])
    assert groups.shape == (3, 4, 5, 6)
    parameters = inspect.signature(SCHEMES[name]).parameters
    assert list(parameters)[-5:] == ["rng", "dtype", "in_axis", "out_axis", "batch_axis"]


NOT_AXES: list[Any] = ["", "0", b"", b"0", bytearray(b"\0"), {0}, frozenset((0,)), {0: 1}, {}]
NOT_AXES += [set(), 0.0, True, (True,), ((0,),), np.array([0.0]), np.zeros((1, 1), int)]


@pytest.mark.parametrize("bad", [*NOT_AXES, iter((0,))], ids=lambda value: type(value).__name__)
@pytest.mark.parametrize("argument", ["in_axis", "out_axis", "batch_axis"])
def test_fault_10_what_is_no_axis(bad: Any, argument: str) -> None:
    for name in SCHEMES:
        message = refusal(partial(draw, name, (4, 2, 3), **{argument: bad}))
        assert message.startswith(f"{argument} must be a whole number or a tuple of them, got ")
    refusal(partial(winit.fans, (4, 2, 3), **{argument: bad}))
    refusal(partial(winit.zeros, (4,), **{argument: bad}))  # a bias has no axes, but types


NOT_SHAPES: list[Any] = [{3, 4}, frozenset((3, 4)), {3: 0, 4: 1}, {3: 4, 5: 6}.values(), {}, "34"]
NOT_SHAPES += [dict.fromkeys((3, 4)).keys(), b"\3\4", bytearray(b"\3\4"), "", map(int, "34")]
NOT_SHAPES += [(n for n in (3, 4)), memoryview(b"34"), {}.items(), iter([3, 4])]


@pytest.mark.parametrize("bad", NOT_SHAPES, ids=lambda value: type(value).__name__)
def test_fault_10_what_is_no_shape(bad: Any) -> None:
    for name in SCHEMES:
        assert "shape must be a sequence of whole numbers" in refusal(partial(draw, name, bad))


@pytest.mark.parametrize("shape", [[3, 4], (3, 4), range(3, 5), deque([3, 4]), np.array([3, 4])])
def test_fault_10_what_is_a_shape_stays_one(shape: Any) -> None:
    """Guards the other side."""
    assert all(draw(name, shape).shape == (3, 4) for name in SCHEMES)


@pytest.mark.parametrize("name", BY_FANS)
@pytest.mark.parametrize("shape", [(7,), [1], np.array([12])])
def test_fault_10_a_bias_is_refused_as_a_bias(name: str, shape: Any) -> None:
    message = refusal(partial(draw, name, shape))
    assert "shape must have at least 2 axes" in message and "bias" in message


def same(x: Array, kernel: Array) -> Array:
    """A stack of 1-d convolutions with padding "same", written out: x (in, n), kernel (out, in, k).

    Of the k - 1 zeros the smaller half goes before, as in Keras, JAX and PyTorch.
    """
    k = kernel.shape[-1]
    padded = np.pad(x, ((0, 0), ((k - 1) // 2, k - 1 - (k - 1) // 2)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, k, axis=1)
    result: Array = np.einsum("oik,ink->on", kernel, windows)
    return result


@pytest.mark.parametrize("k", range(1, 13))
def test_fault_10_identity_passes_the_signal_through_any_window(k: int) -> None:
    """Fails on the old code where k is even; the odd ones guard the other side."""
    x = np.random.default_rng(k).standard_normal((3, 11))
    np.testing.assert_array_equal(same(x, winit.identity((3, 3, k))), x)
    kernel = winit.identity((k, 3, 5), gain=2.0, in_axis=-2, out_axis=-1)
    np.testing.assert_array_equal(same(x, kernel.transpose(2, 1, 0))[:3], 2 * x)


@pytest.mark.parametrize("k", some([2, 3, 4], 3, 1))
@pytest.mark.parametrize("kind", ["Conv1D", "Conv2D", "Conv1DTranspose", "Conv2DTranspose"])
def test_fault_10_identity_in_keras(kind: str, k: int) -> None:
    keras = pytest.importorskip("keras")
    rank = int(kind[4])
    layer = getattr(keras.layers, kind)(4, k, padding="same", use_bias=False)
    layer.build((None, *(9,) * rank, 4))
    axes = (-1, -2) if "Transpose" in kind else (-2, -1)
    kernel = winit.identity(layer.kernel.shape, in_axis=axes[0], out_axis=axes[1])
    layer.kernel.assign(kernel)
    x = np.random.default_rng(k).standard_normal((2, *(9,) * rank, 4)).astype("float32")
    np.testing.assert_allclose(layer(x).__array__(), x, rtol=1e-6)


@pytest.mark.parametrize(
    ("shape", "axes"),
    [
        ((6, 2, 3), {"in_axis": 0, "out_axis": (1, 2)}),
        ((2, 3, 6), {"in_axis": (0, 1), "out_axis": 2}),
        ((2, 3, 2, 2), {"in_axis": (0, 1), "out_axis": (2, 3)}),
        ((5, 3), {"in_axis": (), "out_axis": 1}),
        ((5, 3), {"in_axis": 0, "out_axis": ()}),
        ((3, 3), {"in_axis": (), "out_axis": ()}),
        ((4, 5, 3), {"batch_axis": 0, "in_axis": 1, "out_axis": 2}),
        ((5, 4, 3), {"batch_axis": 1, "in_axis": 0, "out_axis": -1}),
        ((3, 3, 4, 2), {"in_axis": (), "out_axis": -1, "batch_axis": -2}),
        ((2, 3, 4, 5), {"batch_axis": (0, 1), "in_axis": 2, "out_axis": 3}),
        ((2, 3, 4, 5), {"batch_axis": (2, 0), "in_axis": (), "out_axis": (1, 3)}),
        ((2, 3), {"batch_axis": (0, 1), "in_axis": (), "out_axis": ()}),
    ],
)
def test_fault_10_matrices_with_any_axes(shape: tuple[int, ...], axes: dict[str, Any]) -> None:
    """Each group by itself: identity against its definition, orthogonal by its singular values."""
    parts = {
        key: tuple(a % len(shape) for a in (value if isinstance(value, tuple) else (value,)))
        for key, value in axes.items()
    }
    batch, outs, ins = parts.get("batch_axis", ()), parts["out_axis"], parts["in_axis"]
    window = tuple(a for a in range(len(shape)) if a not in batch + outs + ins)
    sizes = [math.prod(shape[a] for a in part) for part in (batch, outs, ins)]

    def blocks(weights: Array) -> Array:
        ordered = weights.transpose(batch + outs + ins + window)
        return ordered.reshape(*sizes, *(shape[a] for a in window))

    identity = blocks(winit.identity(shape, gain=3.0, **axes))
    expected = np.zeros_like(identity)
    tap = tuple((shape[a] - 1) // 2 for a in window)
    for group in range(sizes[0]):
        for i in range(min(sizes[1:])):
            expected[(group, i, i, *tap)] = 3.0
    np.testing.assert_array_equal(identity, expected)

    drawn = blocks(winit.orthogonal(shape, gain=1.5, rng=0, **axes)).reshape(*sizes[:2], -1)
    for matrix in drawn:
        singular = np.linalg.svd(matrix, compute_uv=False)
        np.testing.assert_allclose(singular, 1.5, rtol=1e-13)
    if drawn[0].size > 1:
        for first in range(len(drawn)):
            for second in range(first):
                assert not np.allclose(drawn[first], drawn[second])


def test_fault_10_each_group_is_a_draw_of_its_own() -> None:
    """One stream: the groups are what that many calls give, one after the other."""
    rng = np.random.default_rng(5)
    one_by_one = np.stack([winit.orthogonal((4, 7), rng=rng) for _ in range(6)])
    axes: dict[str, Any] = {"batch_axis": 0, "out_axis": 1, "in_axis": 2}
    np.testing.assert_array_equal(winit.orthogonal((6, 4, 7), rng=5, **axes), one_by_one)
    old = np.random.RandomState
    rng = old(5)  # type: ignore[assignment]
    one_by_one = np.stack([winit.orthogonal((3, 3), rng=rng) for _ in range(5)])
    np.testing.assert_array_equal(winit.orthogonal((5, 3, 3), rng=old(5), **axes), one_by_one)


@pytest.mark.parametrize("shape", [(4, 7), (7, 4), (5, 5), (4, 3, 3, 2), (1, 6), (6, 1)])
def test_fault_10_orthogonal_draws_what_it_drew(shape: tuple[int, ...]) -> None:
    """Guards the other side: a seed gives the weights that it gave before."""
    rows, columns = shape[0], math.prod(shape[1:])
    gaussian = np.random.default_rng(0).standard_normal((max(rows, columns), min(rows, columns)))
    q, r = np.linalg.qr(gaussian)
    q = q * np.where(np.diag(r) < 0, -1, 1)
    matrix = q if rows >= columns else q.T
    np.testing.assert_array_equal(winit.orthogonal(shape, rng=0), matrix.reshape(shape))
    np.testing.assert_array_equal(winit.orthogonal(shape, rng=0, in_axis=1), matrix.reshape(shape))


# 11: the names that others use --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "scheme"),
    [
        ("xavier_normal", "glorot_normal"),
        ("xavier_normal_", "glorot_normal"),
        ("xavier_uniform_", "glorot_uniform"),
        ("XavierUniform", "glorot_uniform"),
        ("Xavier normal", "glorot_normal"),
        ("kaiming_uniform", "he_uniform"),
        ("kaiming_uniform_", "he_uniform"),
        ("kaiming_normal_", "he_normal"),
        ("KaimingNormal", "he_normal"),
        ("KAIMING_UNIFORM", "he_uniform"),
        ("HeUniform", "he_uniform"),
        ("heNormal", "he_normal"),
        ("he-normal", "he_normal"),
        ("GlorotNormal", "glorot_normal"),
        ("GlorotUniform", "glorot_uniform"),
        ("LecunNormal", "lecun_normal"),
        ("LeCun_uniform", "lecun_uniform"),
        ("VarianceScaling", "variance_scaling"),
        ("TruncatedNormal", "truncated_normal"),
        ("trunc_normal_", "truncated_normal"),
        ("Orthogonal", "orthogonal"),
        ("orthogonal_", "orthogonal"),
        ("Zeros", "zeros"),
        ("ones_", "ones"),
        ("Constant", "constant"),
        ("Identity", "identity"),
        ("dirac_", "identity"),
        ("eye_", "identity"),
        ("normal_", "normal"),
    ],
)
def test_fault_11_other_names_lead_to_the_scheme(name: str, scheme: str) -> None:
    assert winit.get(name) is SCHEMES[scheme]


@pytest.mark.parametrize(
    ("name", "suggested"),
    [
        ("Xavier", ("glorot_normal", "glorot_uniform")),
        ("glorot", ("glorot_normal", "glorot_uniform")),
        ("Kaiming", ("he_normal", "he_uniform")),
        ("He", ("he_normal", "he_uniform")),
        ("MSRA", ("he_normal", "he_uniform")),
        ("LeCun", ("lecun_normal", "lecun_uniform")),
        ("xavier_unifrom", ("glorot_uniform",)),
        ("xaver_normal", ("glorot_normal",)),
        ("kaimin_normal", ("he_normal",)),
        ("kaiming_unifrom_", ("he_uniform",)),
        ("RandomNormal", ("normal",)),
        ("random_uniform", ("uniform",)),
        ("uniform_", ("uniform",)),
        ("truncnorm", ("truncated_normal",)),
    ],
)
def test_fault_11_what_is_not_taken_is_suggested_right(
    name: str, suggested: tuple[str, ...]
) -> None:
    hint = " or ".join(map(repr, suggested))
    assert refusal(partial(winit.get, name)).endswith(f"Did you mean {hint}?")


def test_fault_11_the_names_on_the_cheat_sheet() -> None:
    sheet = (ROOT / "book" / "cheat_sheet.md").read_text(encoding="utf-8")
    table = sheet.split("## What it is called")[1].split("\n\n")[1]
    found = {"**He**": "he", "**Xavier**": "glorot", "**LeCun**": "lecun"}
    checked = 0
    for row in table.splitlines()[3:]:
        family = found.get(row.split("|")[1].strip().split(",")[0])
        for name in re.findall(r'`"?([a-z_]+_(?:normal|uniform)_?)"?`', row):
            if family == "lecun" and name.startswith("kaiming"):
                continue  # the row says with which nonlinearity it is LeCun's
            assert winit.get(name).__name__.startswith(f"{family}_"), name
            checked += 1
    assert checked >= 8
    for name in re.findall(r"`(VarianceScaling|TruncatedNormal|normal_)", table + sheet):
        assert winit.get(name).__name__


# 13: help and types -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*SCHEMES, "fans", "get", *ARTICLE])
def test_fault_13_help_reads_well_in_a_terminal(name: str) -> None:
    text = pydoc.plain(pydoc.render_doc(getattr(winit, name)))
    assert "\\" not in text and ":math:" not in text and "Unpack" not in text
    assert "Parameters" in text
    for line in text.split("\n")[3:]:  # after the signature
        assert len(line) <= 80, line
    if name in SCHEMES:
        explained = re.findall(r"^    (\w[\w, ]*) : .*\n        \w", text, flags=re.MULTILINE)
        assert {"rng", "dtype", "in_axis, out_axis, batch_axis"} <= set(explained)
        for own in set(inspect.signature(SCHEMES[name]).parameters) - {"in_axis", "out_axis"}:
            assert re.search(rf"^    {own} : |, {own} : ", text, flags=re.MULTILINE), own
        assert "Raises\n" in text


def test_fault_13_what_the_schemes_share_is_said_once() -> None:
    source = (PACKAGE / "initializers.py").read_text(encoding="utf-8")
    assert source.count(initializers.SHARED.splitlines()[1].strip()) == 1


@pytest.fixture
def docstrings(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    pytest.importorskip("sphinx")
    monkeypatch.syspath_prepend(str(ROOT / "book" / "_ext"))
    import docstrings

    yield docstrings


FORMULAS = {
    "√(2 / fan_in)": r"\sqrt{2 / \text{fan\_in}}",
    "√(2 / ((1 + a²) fan_in))": r"\sqrt{2 / ((1 + a^2)\,\text{fan\_in})}",
    "±g √(6 / (fan_in + fan_out))": r"\pm g\,\sqrt{6 / (\text{fan\_in} + \text{fan\_out})}",
    "limit / √3": r"\text{limit} / \sqrt{3}",
    "√(1 + √(2 x)) y": r"\sqrt{1 + \sqrt{2\,x}}\,y",
    "n_l = k² c": r"n_l = k^2\,c",
    "fan_in = k n_in": r"\text{fan\_in} = k\,n_\text{in}",
    "W ~ N(0, 1)": r"W \sim  N(0, 1)",
    "±limit": r"\pm \text{limit}",
    "a · b ≤ 3": r"a \cdot  b \le  3",
    "√10 x": r"\sqrt{10}\,x",
}


@pytest.mark.parametrize("formula", FORMULAS)
def test_fault_13_a_formula_is_tex_on_the_page(docstrings: Any, formula: str) -> None:
    assert docstrings.tex(formula) == FORMULAS[formula]
    lines = [f"The std `{formula}` of `he_normal`, ``x = 1`` and :math:`y = 2` (`{formula}`)."]
    docstrings.rewrite(None, "", "", None, None, lines)
    marked = f":math:`{FORMULAS[formula]}`"
    assert lines == [f"The std {marked} of `he_normal`, ``x = 1`` and :math:`y = 2` ({marked})."]


def test_fault_13_katex_reads_every_formula_of_the_schemes(docstrings: Any) -> None:
    import formulas

    found = set()
    for scheme in (*SCHEMES.values(), winit.fans, *(getattr(winit, name) for name in ARTICLE)):
        lines = (scheme.__doc__ or "").splitlines()
        docstrings.rewrite(None, "", "", None, None, lines)
        assert not any(sign in line.replace("``", "") for line in lines for sign in "√±²"), lines
        found |= set(re.findall(":math:`(.+?)`", "\n".join(lines)))
    assert len(found) > 10
    assert all("html" in formulas._render(formula, False) for formula in found), found
    formulas._renderer().communicate()
    formulas._renderer.cache_clear()
    formulas._render.cache_clear()


def python(code: str, **environment: str) -> str:
    printed = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, **environment},
    )
    assert printed.stderr == "" and printed.returncode == 0, printed.stderr
    return printed.stdout


NO_KERAS = "import sys; sys.modules['keras'] = None\n"


def test_fault_13_star_import_without_keras() -> None:
    names = python(NO_KERAS + "from winit import *\nprint(*sorted(dir()))").split()
    assert set(winit.__all__) <= set(names) and "keras" not in names
    assert set(SCHEMES) <= set(names) and {"fans", "get", "theory", "plots"} <= set(names)


def test_fault_13_dir_lists_everything_and_loads_nothing() -> None:
    code = "import sys, winit; print(*dir(winit)); print(*sys.modules)"
    names, modules = (line.split() for line in python(code).splitlines())
    files = {path.stem for path in PACKAGE.glob("[a-z]*.py")}
    for name in ("activations", "article", "diagnostics", "initializers", "keras", "network"):
        assert name in names and name in files
    assert set(winit.__all__) <= set(names) and names == sorted(names)
    assert "Any" not in names and "annotations" not in names
    assert "keras" not in modules and "matplotlib" not in modules and "winit.theory" not in modules
    bridges = {name for name in ("keras", "jax", "torch") if not importlib.util.find_spec(name)}
    assert all(hasattr(winit, name) == (name not in bridges) for name in names)


def test_fault_13_a_module_that_cannot_be_loaded() -> None:
    """`hasattr`, `inspect` and `help` expect an AttributeError, an import an ImportError."""
    code = """
import inspect, pydoc, winit
print(hasattr(winit, "keras"))
inspect.getmembers(winit)
print(len(pydoc.render_doc(winit)) > 1000)
try: winit.keras
except AttributeError as error: print("needs Keras and a backend" in str(error))
try: from winit import keras
except ImportError as error: print("needs Keras and a backend" in str(error))
try: winit.he_nromal
except AttributeError as error: print(error.name, error.obj is winit)
"""
    printed = python(NO_KERAS + code).split()
    assert printed == ["False", "True", "True", "True", "he_nromal", "True"]


RIGHT = """
import numpy as np
import winit
from winit import diagnostics, theory

winit.he_normal((2, 3), rng=np.int64(3))
winit.he_normal(np.array([2, 3]), rng=np.random.default_rng(0), in_axis=np.int64(0), out_axis=1)
winit.orthogonal([2, 3, 4], out_axis=(0, 1), batch_axis=(2,), dtype="float32")
winit.weight_initializer((2, np.int64(3)), rng=np.uint32(1))
winit.theory.gain("tanh")
winit.plots
winit.keras.Initializer
winit.initializers.SCHEMES["zeros"]
theory.gain, diagnostics.diagnose, winit.__version__
"""
WRONG = """
winit.he_nromal
winit.Xavier
winit.theory.gian
winit.network.sgdd
winit.initializers.SCHEME
winit.he_normal((2, 3), sead=0)
winit.he_normal((2, 3), rng="0")
winit.he_normal("23")
winit.he_normal((2, 3), in_axis="0")
winit.normal((2, 3), gain=1.0)
winit.constant((2, 3))
winit.plot
"""


@pytest.mark.long
def test_fault_13_a_type_checker_sees_slips(tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    file = tmp_path / "slips.py"
    file.write_text(RIGHT + WRONG, encoding="utf-8")
    options = ["--strict", "--follow-imports=silent", "--no-error-summary", "--no-color-output"]
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", *options, str(file)],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    lines = {
        int(re.split(r"slips\.py:", line)[1].split(":")[0])
        for line in checked.stdout.splitlines()
        if ": error:" in line
    }
    first = RIGHT.count("\n") + 2
    assert lines == set(range(first, first + len(WRONG.strip().splitlines()))), checked.stdout


# 9, as far as it is the schemes' own: bfloat16 ----------------------------------------------------


@pytest.mark.parametrize("name", SCHEMES)
@pytest.mark.parametrize(
    "dtype", [ml_dtypes.bfloat16, BFLOAT16, "bfloat16"], ids=["scalar type", "dtype", "name"]
)
def test_fault_09_every_scheme_draws_bfloat16(name: str, dtype: Any) -> None:
    wide, narrow = draw(name, (8, 4, 2), rng=0), draw(name, (8, 4, 2), rng=0, dtype=dtype)
    np.testing.assert_array_equal(narrow, wide.astype(BFLOAT16), strict=True)


def test_fault_09_bfloat16_without_its_package() -> None:
    code = """
import sys; sys.modules["ml_dtypes"] = None
import winit
try: winit.he_normal((2, 3), dtype="bfloat16")
except TypeError as error: print(error)
"""
    assert "got 'bfloat16'; it needs the package ml_dtypes" in python(code)
    by_name = "import winit; print(winit.he_normal((2, 3), dtype='bfloat16').dtype)"
    assert python(by_name) == "bfloat16\n"


@pytest.mark.parametrize("name", RANDOM)
def test_fault_09_other_small_floats_are_refused_in_words(name: str) -> None:
    for dtype in (ml_dtypes.float8_e4m3fn, ml_dtypes.int4, np.dtype("V2"), np.dtype([("a", "f4")])):
        assert "dtype must be a floating dtype" in refusal(partial(draw, name, (3, 2), dtype=dtype))
