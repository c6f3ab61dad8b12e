"""Checks of what users hand in: each raises at once, naming the bad value and what is allowed."""

from __future__ import annotations

import numbers
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

RNG = None | int | np.random.Generator | np.random.RandomState
Draws = np.random.Generator | np.random.RandomState


def as_rng(rng: RNG) -> Draws:
    """Turn `rng` into something that draws; no global state is read or changed (SPEC 7).

    `RandomState` comes before `default_rng`, which would start another stream from it.
    """
    if isinstance(rng, (np.random.RandomState, np.random.Generator)):
        return rng
    if rng is None:
        return np.random.default_rng()
    if isinstance(rng, numbers.Integral) and not isinstance(rng, bool):
        if rng < 0:
            raise ValueError(f"a seed must be 0 or larger, got rng={rng!r}")
        return np.random.default_rng(int(rng))
    raise TypeError(
        "rng must be None, an int seed, a numpy.random.Generator or a numpy.random.RandomState, "
        f"got {rng!r}"
    )


def size(value: object, what: str) -> int:
    """A whole number of at least 1."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise TypeError(f"{what} must be a whole number, got {value!r}")
    if value < 1:
        raise ValueError(f"{what} must be at least 1, got {value!r}")
    return int(value)


def shape(value: Iterable[int], *, at_least: int = 1) -> tuple[int, ...]:
    """A tuple of sizes with `at_least` so many axes."""
    if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
        raise TypeError(f"shape must be a sequence of whole numbers, got {value!r}")
    checked = tuple(size(n, f"each size in shape {value!r}") for n in value)
    if len(checked) < at_least:
        axes = "axis" if at_least == 1 else "axes"
        raise ValueError(f"shape must have at least {at_least} {axes}, got {checked!r}")
    return checked


def layer_sizes(value: Iterable[int]) -> list[int]:
    """The units of each layer, input first: at least two layers."""
    if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
        raise TypeError(f"layer_sizes must be a sequence of whole numbers, got {value!r}")
    sizes = list(value)
    if len(sizes) < 2:
        raise ValueError(
            f"layer_sizes needs an input and a layer, such as [2, 4, 3, 1], got {sizes!r}"
        )
    return [size(n, f"each size in layer_sizes {sizes!r}") for n in sizes]


def number(value: Any, what: str, *, minimum: float = -np.inf, above: float = -np.inf) -> float:
    """A finite real number, at least `minimum` and strictly above `above`."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"{what} must be a number, got {value!r}")
    if not np.isfinite(float(value)):
        raise ValueError(f"{what} must be finite, got {value!r}")
    if value < minimum:
        raise ValueError(f"{what} must be {minimum:g} or larger, got {value!r}")
    if value <= above:
        raise ValueError(f"{what} must be larger than {above:g}, got {value!r}")
    return float(value)


def square(value: Any, what: str, *, above: float = -np.inf) -> float:
    """The square of a finite real number, finite itself."""
    checked = number(value, what, above=above)
    if abs(checked) > 1e150:
        raise ValueError(f"{what} must be at most 1e150, got {value!r}")
    return checked**2


def float_dtype(value: DTypeLike) -> np.dtype[Any]:
    """A floating dtype."""
    dtype = np.dtype(value)
    if dtype.kind != "f":
        raise TypeError(
            f"dtype must be a floating dtype such as float32 or float64, got {dtype.name}"
        )
    return dtype


def choice(value: object, what: str, allowed: Sequence[str]) -> str:
    """One of the allowed names; the error suggests the nearest."""
    if not isinstance(value, str):
        raise TypeError(f"{what} must be one of {', '.join(allowed)}, got {value!r}")
    if value not in allowed:
        import difflib  # only when something went wrong

        near = difflib.get_close_matches(value, allowed, n=1, cutoff=0.4)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"{what} must be one of {', '.join(allowed)}, got {value!r}.{hint}")
    return value
