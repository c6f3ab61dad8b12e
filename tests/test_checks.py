"""What users hand in: each bad value raises at once and is named, with what is allowed."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np
import pytest

from winit import _checks

sizes = partial(_checks.size, what="n")
above_zero = partial(_checks.number, what="gain", above=0.0)
not_negative = partial(_checks.number, what="std", minimum=0.0)
scheme = partial(_checks.choice, what="scheme", allowed=("he_normal", "zeros"))


@pytest.mark.parametrize(
    ("check", "value", "error", "message"),
    [
        (sizes, 0, ValueError, "n must be at least 1, got 0"),
        (sizes, -3, ValueError, "n must be at least 1, got -3"),
        (sizes, 2.5, TypeError, "n must be a whole number, got 2.5"),
        (sizes, 2.0, TypeError, "n must be a whole number, got 2.0"),
        (sizes, True, TypeError, "n must be a whole number, got True"),
        (sizes, np.True_, TypeError, "n must be a whole number"),
        (_checks.shape, (), ValueError, "at least 1 axis, got ()"),
        (partial(_checks.shape, at_least=2), (3,), ValueError, "at least 2 axes, got (3,)"),
        (_checks.shape, 3, TypeError, "shape must be a sequence of whole numbers, got 3"),
        (_checks.shape, "34", TypeError, "shape must be a sequence of whole numbers, got '34'"),
        (_checks.shape, (3, 0), ValueError, "each size in shape (3, 0) must be at least 1, got 0"),
        (_checks.layer_sizes, [], ValueError, "needs an input and a layer, such as [2, 4, 3, 1]"),
        (_checks.layer_sizes, [5], ValueError, "needs an input and a layer"),
        (_checks.layer_sizes, 5, TypeError, "layer_sizes must be a sequence"),
        (_checks.layer_sizes, "24", TypeError, "layer_sizes must be a sequence"),
        (_checks.layer_sizes, [2, -1], ValueError, "[2, -1] must be at least 1, got -1"),
        (_checks.layer_sizes, [2, True], TypeError, "[2, True] must be a whole number, got True"),
        (above_zero, 0, ValueError, "gain must be larger than 0, got 0"),
        (above_zero, -1.5, ValueError, "gain must be larger than 0, got -1.5"),
        (above_zero, np.nan, ValueError, "gain must be finite, got nan"),
        (above_zero, np.inf, ValueError, "gain must be finite, got inf"),
        (above_zero, True, TypeError, "gain must be a number, got True"),
        (above_zero, "2", TypeError, "gain must be a number, got '2'"),
        (above_zero, 1j, TypeError, "gain must be a number, got 1j"),
        (not_negative, -0.1, ValueError, "std must be 0 or larger, got -0.1"),
        (_checks.float_dtype, int, TypeError, "float32 or float64, got int64"),
        (_checks.float_dtype, "complex64", TypeError, "float32 or float64, got complex64"),
        (_checks.as_rng, -1, ValueError, "a seed must be 0 or larger, got rng=-1"),
        (_checks.as_rng, True, TypeError, "rng must be None, an int seed"),
        (_checks.as_rng, 1.0, TypeError, "rng must be None, an int seed"),
        (_checks.as_rng, "0", TypeError, "numpy.random.RandomState, got '0'"),
        (scheme, "he_norml", ValueError, "got 'he_norml'. Did you mean 'he_normal'?"),
        (scheme, "qqq", ValueError, "scheme must be one of he_normal, zeros, got 'qqq'."),
        (scheme, None, TypeError, "scheme must be one of he_normal, zeros, got None"),
    ],
)
def test_bad_value_is_named(
    check: Callable[[Any], Any], value: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error) as raised:
        check(value)
    assert message in str(raised.value)


def test_no_suggestion_where_nothing_is_near() -> None:
    with pytest.raises(ValueError, match=r"got 'qqq'\.$"):
        scheme("qqq")


@pytest.mark.parametrize("value", [1, 0.5, np.float32(0.5), np.int64(1), Fraction(1, 2)])
def test_numbers_of_any_kind_become_floats(value: Any) -> None:
    number = above_zero(value)
    assert type(number) is float and number == value


def test_numpy_sizes_become_ints() -> None:
    assert _checks.shape(np.array([3, 4])) == (3, 4)
    assert all(type(n) is int for n in _checks.shape(np.array([3, 4])))


@pytest.mark.parametrize(
    "dtype", ["float16", "f4", ">f8", float, np.float32, np.dtype("float64"), np.longdouble]
)
def test_any_floating_dtype_is_welcome(dtype: Any) -> None:
    assert _checks.float_dtype(dtype) == dtype


def test_generators_are_passed_on_and_seeds_start_new_ones() -> None:
    for rng in (np.random.default_rng(0), np.random.RandomState(0)):
        assert _checks.as_rng(rng) is rng
    seed: Any = np.int64(7)
    assert _checks.as_rng(seed).random() == np.random.default_rng(7).random()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3, "3"),
        (10**39, f"1{'0' * 39}"),
        (10**400, "1e400 or so"),
        ((-(10**5000),), "(-1e5000 or so,)"),
        ([10**400, 1], "[1e400 or so, 1]"),
        (list(range(100)), "[0, 1, 2, 3, 4, 5, ...]"),
        ("a\nb", r"'a\nb'"),
        ("x" * 500, f"'{'x' * 37}...{'x' * 38}'"),
        (np.zeros((2, 3), np.float32), "an array of float32 with shape (2, 3)"),
        ([np.zeros(3)], "[an array of float64 with shape (3,)]"),
        (np.ma.masked, "an array of float64 with shape ()"),
    ],
)
def test_what_an_error_shows_is_one_short_line(value: Any, text: str) -> None:
    assert _checks.shown(value) == text


def test_what_refuses_to_be_text_is_shown_by_its_type() -> None:
    class Shy:
        def __repr__(self) -> str:
            raise RuntimeError

    assert _checks.shown(Shy()) == "<Shy>"
    assert _checks.shown((1, Shy())) == "(1, <Shy>)"


def test_a_long_text_of_the_callers_own_is_cut_in_the_middle() -> None:
    class Wordy:
        def __init__(self, size: int) -> None:
            self.text = "".join(chr(97 + i % 26) for i in range(size))

        def __repr__(self) -> str:
            return self.text

    for size in (80, 81, 200, 5000):
        whole, shown = Wordy(size).text, _checks.shown(Wordy(size))
        if size == 80:
            assert shown == whole
            continue
        start, end = shown.split("...")
        assert 75 <= len(shown) <= 80 and whole.startswith(start) and whole.endswith(end)
    nested = [[[Wordy(80)] * 6] * 6] * 6
    assert len(_checks.shown(nested)) == 200 + len("…")


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "longdouble", "bfloat16"])
def test_a_spread_of_three_steps_is_kept_and_less_is_not(dtype: str) -> None:
    kind = _checks.float_dtype(dtype)
    values = np.array([0.5, -0.25])
    step = max(float(np.nextafter(kind.type(0), kind.type(1))), 5e-324)
    kept = _checks.cast(values, kind, "std=0.3", std=3 * step)
    np.testing.assert_array_equal(kept, values.astype(kind), strict=True)
    with pytest.raises(ValueError, match=f"std=0.3 is too small for {kind.name}: rounding"):
        _checks.cast(values, kind, "std=0.3", std=2 * step)


def test_all_names_that_an_alias_may_mean_are_suggested() -> None:
    aliases = {"kaiming": ("he_normal", "zeros"), "nought": "zeros"}
    with pytest.raises(ValueError, match=r"Did you mean 'he_normal' or 'zeros'\?$"):
        _checks.choice("Kaimin", "scheme", ("he_normal", "zeros"), aliases)
    with pytest.raises(ValueError, match=r"got 'naught'. Did you mean 'zeros'\?$"):
        _checks.choice("naught", "scheme", ("he_normal", "zeros"), aliases)


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ([2, "a"], [2, "a"]),
        (range(10**30), [0, 1, 2, 3]),
        (np.array([5, 6]), [5, 6]),
        ((), []),
        (np.array(5), None),
        (np.zeros((2, 2)), None),
        ("23", None),
        (b"23", None),
        (memoryview(b"23"), None),
        ({2, 3}, None),
        ({2: 3}, None),
        (iter([2, 3]), None),
        (5, None),
    ],
)
def test_entries_of_what_has_an_order_and_an_end(value: Any, found: Any) -> None:
    assert _checks.entries(value, 3) == found


def test_a_network_may_be_deep_but_not_endless() -> None:
    assert len(_checks.layer_sizes([1] * _checks.MOST_LAYERS)) == _checks.MOST_LAYERS
    with pytest.raises(ValueError, match="layer_sizes must have at most 100000 layers"):
        _checks.layer_sizes([1] * (_checks.MOST_LAYERS + 1))
    with pytest.raises(ValueError, match="layer_sizes must make at most 1073741824 weights"):
        _checks.layer_sizes([2**15, 2**15, 1])
    assert _checks.layer_sizes([2**15, 2**15]) == [2**15, 2**15]


@pytest.mark.parametrize("depth", [2, 3, 4, 5, 6])
@pytest.mark.parametrize("entry", [1.0, np.longdouble(1) / 3, "x" * 500, None, 10**300])
def test_fault_08_what_is_nested_is_shown_in_one_short_line(depth: int, entry: object) -> None:
    value: object = entry
    for _ in range(depth):
        value = [value] * 6
    assert len(_checks.shown(value)) <= _checks.LONGEST_SHOWN + 1


@pytest.mark.parametrize("shape", [(), (1,), (3,), (2, 3), (1, 1, 1)])
def test_fault_08_bfloat16_in_another_byte_order(shape: tuple[int, ...]) -> None:
    import ml_dtypes

    values = np.ones(shape, ml_dtypes.bfloat16)
    swapped = values.view(values.dtype.newbyteorder("S"))
    with pytest.raises(TypeError, match="x must hold bfloat16 in the machine's own byte order"):
        _checks.array(swapped, "x")


@pytest.mark.parametrize("value", [2.0, 0.5, 1e-3, -4.0])
def test_a_number_may_be_of_bfloat16(value: float) -> None:
    import ml_dtypes

    assert _checks.number(ml_dtypes.bfloat16(value), "std") == float(ml_dtypes.bfloat16(value))


@pytest.mark.parametrize("name", ["float8_e5m2", "float8_e4m3fn", "float8_e4m3b11fnuz", "int4"])
def test_a_byte_is_no_floating_dtype(name: str) -> None:
    import ml_dtypes

    with pytest.raises(TypeError, match="dtype must be a floating dtype"):
        _checks.float_dtype(getattr(ml_dtypes, name))


@pytest.mark.parametrize("value", [1e-151, 9.9e-151, 1e-200, 1e-300])
def test_a_square_must_not_vanish(value: float) -> None:
    with pytest.raises(ValueError, match="sigma_w must be at least 1e-150"):
        _checks.square(value, "sigma_w", above=0.0)
    assert _checks.square(1e-150, "sigma_w", above=0.0) == 1e-300
