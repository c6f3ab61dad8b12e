"""Checks of what callers pass: each raises at once, naming the bad value and what is allowed.

Whatever is passed, what comes out is a TypeError or a ValueError that names the caller's argument:
never an error in another library's words, never a warning, never a value changed in silence.
"""

from __future__ import annotations

import numbers
import reprlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

RNG = None | int | np.integer[Any] | np.random.Generator | np.random.RandomState
Draws = np.random.Generator | np.random.RandomState
Array = NDArray[np.floating[Any]]

# Beyond these the square of a float64 overflows or vanishes; both leave room for a factor of 1e8.
LARGEST_ROOT, SMALLEST_ROOT = 1e150, 1e-150

# An array may hold this many numbers, 8 GiB in float64: beyond it a size is a slip of the pen.
LARGEST_SIZE = 2**30


class _Short(reprlib.Repr):
    """`repr` for an error message: one short line, whatever the value is."""

    def __init__(self) -> None:
        super().__init__()
        self.maxother = self.maxstring = 80
        self.maxlong = 40


_SHORT = _Short()


def shown(value: object) -> str:
    """The value as an error message shows it: one line, short, and never an error of its own."""
    if isinstance(value, np.ndarray):
        return f"an array of {value.dtype} with shape {value.shape}"
    try:
        text = _SHORT.repr(value)
    except Exception:  # a huge int refuses to become text; so may any object of the caller's
        text = f"a value of type {type(value).__name__}"
    return " ".join(text.split())


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
            raise ValueError(f"a seed must be 0 or larger, got rng={shown(rng)}")
        return np.random.default_rng(int(rng))
    raise TypeError(
        "rng must be None, an int seed, a numpy.random.Generator or a numpy.random.RandomState, "
        f"got {shown(rng)}"
    )


def flag(value: object, what: str) -> bool:
    """True or False."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{what} must be True or False, got {shown(value)}")
    return bool(value)


def size(value: object, what: str, *, minimum: int = 1) -> int:
    """A whole number of at least `minimum`."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise TypeError(f"{what} must be a whole number, got {shown(value)}")
    value = int(value)
    if not minimum <= value <= LARGEST_SIZE:
        bound = f"at least {minimum}" if value < minimum else f"at most {LARGEST_SIZE}"
        raise ValueError(f"{what} must be {bound}, got {shown(value)}")
    return value


def _sequence(value: object, what: str) -> list[Any]:
    """The entries of what has an order: no text, no set, no mapping, no endless stream."""
    ordered = isinstance(value, Sequence) and not isinstance(value, (str, bytes, bytearray))
    if isinstance(value, np.ndarray):
        ordered = value.ndim == 1
    if not ordered:
        raise TypeError(f"{what} must be a sequence of whole numbers, got {shown(value)}")
    return list(value)  # type: ignore[call-overload,no-any-return]


def shape(value: Sequence[int], *, at_least: int = 1) -> tuple[int, ...]:
    """A tuple of sizes with `at_least` so many axes."""
    entries = _sequence(value, "shape")
    checked = tuple(size(n, f"each size in shape {shown(value)}") for n in entries)
    if len(checked) < at_least:
        axes = "axis" if at_least == 1 else "axes"
        hint = "; a bias is drawn with winit.zeros" if len(checked) == 1 else ""
        raise ValueError(f"shape must have at least {at_least} {axes}, got {checked!r}{hint}")
    total = 1
    for n in checked:
        total *= n
    if total > LARGEST_SIZE:
        raise ValueError(f"shape must hold at most {LARGEST_SIZE} numbers, got {checked!r}")
    return checked


def layer_sizes(value: Sequence[int]) -> list[int]:
    """The units of each layer, input first: at least two layers."""
    sizes = _sequence(value, "layer_sizes")
    if len(sizes) < 2:
        raise ValueError(
            f"layer_sizes needs an input and a layer, such as [2, 4, 3, 1], got {shown(sizes)}"
        )
    return [size(n, f"each size in layer_sizes {shown(sizes)}") for n in sizes]


def number(
    value: Any,
    what: str,
    *,
    minimum: float = -np.inf,
    maximum: float = np.inf,
    above: float = -np.inf,
    below: float = np.inf,
) -> float:
    """A finite real number within the bounds: `above` and `below` are excluded themselves."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"{what} must be a number, got {shown(value)}")
    try:
        checked = float(value)
    except OverflowError:  # a whole number or a fraction beyond float64
        checked = np.inf
    if not np.isfinite(checked):
        raise ValueError(f"{what} must be finite, got {shown(value)}")
    if checked < minimum:
        raise ValueError(f"{what} must be {minimum:g} or larger, got {shown(value)}")
    if checked > maximum:
        raise ValueError(f"{what} must be {maximum:g} or smaller, got {shown(value)}")
    if checked <= above:
        raise ValueError(f"{what} must be larger than {above:g}, got {shown(value)}")
    if checked >= below:
        raise ValueError(f"{what} must be smaller than {below:g}, got {shown(value)}")
    return checked


def square(value: Any, what: str, *, above: float = -np.inf) -> float:
    """The square of a finite real number, finite itself; above 0 it does not vanish either."""
    checked = number(value, what, above=above)
    if abs(checked) > LARGEST_ROOT:
        raise ValueError(f"{what} must be at most 1e150, got {shown(value)}")
    if above >= 0 and checked < SMALLEST_ROOT:
        raise ValueError(f"{what} must be at least 1e-150, got {shown(value)}")
    return checked**2


def is_float(dtype: np.dtype[Any]) -> bool:
    """Whether it is one of NumPy's floating dtypes or bfloat16 (of the package ml_dtypes)."""
    return dtype.kind == "f" or dtype.name == "bfloat16"


def float_dtype(value: DTypeLike) -> np.dtype[Any]:
    """A floating dtype: NumPy's, or ml_dtypes' bfloat16."""
    try:
        dtype = np.dtype(value)
    except Exception:  # TypeError, SyntaxError, ValueError … in NumPy's words
        raise TypeError(
            f"dtype must be a floating dtype such as float32 or float64, got {shown(value)}"
        ) from None
    if not is_float(dtype):
        raise TypeError(
            f"dtype must be a floating dtype such as float32 or float64, got {dtype.name}"
        )
    return dtype


def cast(values: Array, dtype: np.dtype[Any], what: str) -> Array:
    """The drawn values in the dtype that was asked for, if it can hold them.

    `what` names the argument with its value ("std=1e+05"): the message blames it when a value
    overflows, or when all that were not 0 become 0.
    """
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        result = values.astype(dtype, copy=False)
    if not np.isfinite(result).all():
        raise ValueError(f"{what} is too large for {dtype.name}: some of the values overflow")
    if values.any() and not result.any():
        raise ValueError(f"{what} is too small for {dtype.name}: all values become 0")
    return result


def array(
    value: ArrayLike,
    what: str,
    *,
    axes: int | None = None,
    dtype: np.dtype[Any] | None = None,
    finite: bool = True,
    empty: bool = False,
) -> Array:
    """Real numbers as a floating array; whole numbers become `dtype`, or float64.

    With `dtype` floating values are converted to it too. The caller's own array is never changed,
    and is not copied where its dtype is already the right one.
    """
    if isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):
        raise TypeError(f"{what} must not be masked: fill the missing values first")
    try:
        given = np.asarray(value)
    except Exception:  # ragged nesting and what refuses to be an array, in NumPy's words
        raise TypeError(f"{what} must be an array of numbers, got {shown(value)}") from None
    if given.dtype.kind not in "iuf" and not is_float(given.dtype):
        raise TypeError(f"{what} must hold real numbers, got {shown(given)}")
    if axes is not None and given.ndim != axes:
        plural = "axis" if axes == 1 else "axes"
        raise ValueError(f"{what} must have {axes} {plural}, got shape {given.shape}")
    if not empty and not given.size:
        raise ValueError(f"{what} must not be empty, got shape {given.shape}")
    if dtype is None:
        dtype = given.dtype if is_float(given.dtype) else np.dtype(np.float64)
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        result = given.astype(dtype, copy=False)
    if finite and not np.isfinite(result).all():
        if np.isfinite(given).all():
            raise ValueError(f"{what} has values too large for {dtype.name}")
        raise ValueError(f"{what} must be finite, got nan or inf among its values")
    return result


def mapping(value: object, what: str) -> Mapping[Any, Any]:
    """A dict or its like."""
    if not isinstance(value, Mapping):
        raise TypeError(f"{what} must be a dict, got {shown(value)}")
    return value


def function(value: object, what: str) -> Any:
    """Something that can be called."""
    if not callable(value):
        raise TypeError(f"{what} must be a function, got {shown(value)}")
    return value


def choice(
    value: object, what: str, allowed: Iterable[str], aliases: Mapping[str, str] | None = None
) -> str:
    """One of the allowed names; the error suggests the nearest, looking among `aliases` too."""
    names = tuple(allowed)
    if not isinstance(value, str):
        raise TypeError(f"{what} must be one of {', '.join(names)}, got {shown(value)}")
    if value in names:
        return value
    import difflib  # only when something went wrong

    known = {name: name for name in names} | dict(aliases or {})
    near = difflib.get_close_matches(value.lower(), known, n=1, cutoff=0.6)
    hint = f" Did you mean {known[near[0]]!r}?" if near else ""
    raise ValueError(f"{what} must be one of {', '.join(names)}, got {shown(value)}.{hint}")
