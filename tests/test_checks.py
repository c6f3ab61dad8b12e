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


@pytest.mark.parametrize("dtype", ["float16", np.float32, np.dtype("float64"), np.longdouble])
def test_any_floating_dtype_is_welcome(dtype: Any) -> None:
    assert _checks.float_dtype(dtype) == dtype


def test_generators_are_passed_on_and_seeds_start_new_ones() -> None:
    for rng in (np.random.default_rng(0), np.random.RandomState(0)):
        assert _checks.as_rng(rng) is rng
    seed: Any = np.int64(7)
    assert _checks.as_rng(seed).random() == np.random.default_rng(7).random()
