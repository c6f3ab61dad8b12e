"""Checks of what callers pass: each raises at once, naming the bad value and what is allowed.

Whatever is passed, what comes out is a TypeError or a ValueError that names the caller's argument:
never an error in another library's words, never a warning, never a value changed in silence.
"""

from __future__ import annotations

import importlib
import itertools
import math
import numbers
import re
import reprlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from typing import cast as cast_type

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

RNG = None | int | np.integer[Any] | np.random.Generator | np.random.RandomState
Draws = np.random.Generator | np.random.RandomState
Array = NDArray[np.floating[Any]]
Sizes = Sequence[int | np.integer[Any]] | NDArray[np.integer[Any]]

# Beyond these the square of a float64 overflows or vanishes; both leave room for a factor of 1e8.
LARGEST_ROOT, SMALLEST_ROOT = 1e150, 1e-150
# The step between float64's numbers next to 0: draws are made in float64, whatever the dtype.
SMALLEST = 5e-324

# An array may hold this many numbers, 8 GiB in float64: beyond it a size is a slip of the pen.
LARGEST_SIZE = 2**30
# NumPy's arrays have at most 64 axes.
MOST_AXES = 64
# A network of more layers is another slip.
MOST_LAYERS = 100_000

# Rounding to steps of u adds a variance of u**2 / 12: under 1 % of draws whose std is 3 u or more.
FEWEST_STEPS = 3


class _Short(reprlib.Repr):
    """`repr` for an error message: one short line, whatever the value is."""

    def __init__(self) -> None:
        super().__init__()
        self.maxother = self.maxstring = 80

    def repr_int(self, x: int, level: int) -> str:
        """All digits up to 40; beyond 4,300 Python itself refuses to write them."""
        if abs(x) < 10**40:
            return repr(x)
        return f"{'-' if x < 0 else ''}1e{int(math.log10(abs(x)))} or so"

    def repr_ndarray(self, x: NDArray[Any], level: int = 0) -> str:
        return f"an array of {x.dtype} with shape {x.shape}"

    def repr_instance(self, x: Any, level: int) -> str:
        try:
            text = repr(x)
        except Exception:  # an object of the caller's
            return f"<{type(x).__name__}>"
        half = self.maxother // 2 - 2
        return text if len(text) <= self.maxother else f"{text[:half]}...{text[-half:]}"


_SHORT = _Short()
LONGEST_SHOWN = 200  # of nested lists each level is short, and the whole need not be


def shown(value: Any) -> str:
    """The value as an error message shows it: one line, short, and never an error of its own."""
    try:
        # Subclasses of ndarray have names of their own, by which `repr` would not know them.
        text = _SHORT.repr_ndarray(value) if is_a(value, np.ndarray) else _SHORT.repr(value)
    except Exception:  # any object of the caller's may refuse to become text
        text = f"a value of type {type(value).__name__}"
    text = " ".join(text.split())
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"


def is_a(value: object, *kinds: Any) -> bool:
    """`isinstance` by what the value is, not by what it says it is (a mock, a proxy)."""
    return issubclass(type(value), kinds)


def as_rng(rng: RNG) -> Draws:
    """Turn `rng` into something that draws; no global state is read or changed (SPEC 7).

    `RandomState` comes before `default_rng`, which would start another stream from it.
    """
    if is_a(rng, np.random.RandomState, np.random.Generator):
        return cast_type(Draws, rng)
    if rng is None:
        return np.random.default_rng()
    seed = whole(rng)
    if seed is not None:
        if seed < 0:
            raise ValueError(f"a seed must be 0 or larger, got rng={shown(rng)}")
        return np.random.default_rng(seed)
    raise TypeError(
        "rng must be None, an int seed, a numpy.random.Generator or a numpy.random.RandomState, "
        f"got {shown(rng)}"
    )


def flag(value: object, what: str) -> bool:
    """True or False."""
    if not is_a(value, bool, np.bool_):
        raise TypeError(f"{what} must be True or False, got {shown(value)}")
    return bool(value)


def whole(value: object) -> int | None:
    """A whole number as an int, None for anything else: truth values and times are no numbers."""
    if is_a(value, bool, np.timedelta64) or not is_a(value, numbers.Integral):
        return None
    try:
        return int(value)  # type: ignore[call-overload,no-any-return]
    except Exception:  # a class of the caller's that only claims to be whole
        return None


def size(value: object, what: str, *, minimum: int = 1, maximum: int = LARGEST_SIZE) -> int:
    """A whole number within the bounds."""
    checked = whole(value)
    if checked is None:
        raise TypeError(f"{what} must be a whole number, got {shown(value)}")
    if not minimum <= checked <= maximum:
        bound = f"at least {minimum}" if checked < minimum else f"at most {maximum}"
        raise ValueError(f"{what} must be {bound}, got {shown(value)}")
    return checked


def entries(value: object, most: int) -> list[Any] | None:
    """The entries of a sequence, one more than `most` at the most; None for anything else.

    A sequence has an order and an end: no text, no set, no mapping, no stream.
    """
    if is_a(value, str, bytes, bytearray, memoryview) or not is_a(value, Sequence, np.ndarray):
        return None
    ordered: Any = value
    try:
        if is_a(value, np.ndarray) and ordered.ndim != 1:
            return None
        return list(itertools.islice(ordered, most + 1))
    except Exception:  # a class of the caller's that only claims to be one
        return None


def _sequence(value: object, what: str, *, most: int, of: str) -> list[Any]:
    """The entries of a sequence with at most so many `of` them."""
    found = entries(value, most)
    if found is None:
        raise TypeError(f"{what} must be a sequence of whole numbers, got {shown(value)}")
    if len(found) > most:
        raise ValueError(f"{what} must have at most {most} {of}, got {shown(value)}")
    return found


def shape(value: Sizes, *, at_least: int = 1) -> tuple[int, ...]:
    """A tuple of sizes with `at_least` so many axes."""
    sizes = _sequence(value, "shape", most=MOST_AXES, of="axes")
    checked = tuple(size(n, f"each size in shape {shown(value)}") for n in sizes)
    if len(checked) < at_least:
        axes = "axis" if at_least == 1 else "axes"
        hint = "; a bias is drawn with winit.zeros" if len(checked) == 1 else ""
        raise ValueError(f"shape must have at least {at_least} {axes}, got {checked!r}{hint}")
    if math.prod(checked) > LARGEST_SIZE:
        raise ValueError(f"shape must hold at most {LARGEST_SIZE} numbers, got {checked!r}")
    return checked


def layer_sizes(value: Sizes) -> list[int]:
    """The units of each layer, input first: at least two layers."""
    found = _sequence(value, "layer_sizes", most=MOST_LAYERS, of="layers")
    text = shown(found)
    if len(found) < 2:
        raise ValueError(
            f"layer_sizes needs an input and a layer, such as [2, 4, 3, 1], got {text}"
        )
    sizes = [size(n, f"each size in layer_sizes {text}") for n in found]
    if sum(n * m for n, m in zip(sizes[1:], sizes[:-1], strict=True)) > LARGEST_SIZE:
        raise ValueError(f"layer_sizes must make at most {LARGEST_SIZE} weights, got {text}")
    return sizes


def number(
    value: Any,
    what: str,
    *,
    minimum: float = -np.inf,
    maximum: float = np.inf,
    above: float = -np.inf,
) -> float:
    """A finite real number within the bounds: `above` is excluded itself."""
    real = is_a(value, numbers.Real) or (is_a(value, np.generic) and is_float(value.dtype))
    if is_a(value, bool, np.timedelta64) or not real:
        raise TypeError(f"{what} must be a number, got {shown(value)}")
    try:
        checked = float(value)
    except OverflowError:  # a whole number or a fraction beyond float64
        checked = np.inf
    except Exception:  # a class of the caller's that only claims to be a number
        raise TypeError(f"{what} must be a number, got {shown(value)}") from None
    if not np.isfinite(checked):
        raise ValueError(f"{what} must be finite, got {shown(value)}")
    if checked == 0 and value != 0:
        raise ValueError(f"{what} is too small for float64, got {shown(value)}")
    if checked < minimum:
        raise ValueError(f"{what} must be {minimum:g} or larger, got {shown(value)}")
    if checked > maximum:
        raise ValueError(f"{what} must be {maximum:g} or smaller, got {shown(value)}")
    if checked <= above:
        raise ValueError(f"{what} must be larger than {above:g}, got {shown(value)}")
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
    return (dtype.kind == "f" and dtype.itemsize > 1) or dtype.name == "bfloat16"


def _dtype(value: Any) -> np.dtype[Any] | None:
    """What `numpy.dtype` makes of it without a warning; None for what is no dtype's name or type.

    `numpy.dtype` itself takes arrays, abstract classes and whole records, some under protest.
    """
    dtype: np.dtype[Any] | None = None
    if is_a(value, str) and value == "bfloat16":
        value = importlib.import_module("ml_dtypes").bfloat16
    if is_a(value, np.dtype):
        dtype = value
    elif is_a(value, str):  # the code "a" is deprecated
        if value in np.sctypeDict or re.fullmatch("[<>=|]?[b-zA-Z?][0-9]*", value):
            dtype = np.dtype(value)
    elif any(value is known for known in (None, bool, int, float, *np.sctypeDict.values())):
        dtype = np.dtype(value)
    elif not is_a(value, np.ndarray, np.generic):
        own = getattr(value, "dtype", None)  # JAX's types carry NumPy's, and so does bfloat16
        dtype = own if is_a(own, np.dtype) else None
    return dtype


def float_dtype(value: DTypeLike) -> np.dtype[Any]:
    """A floating dtype: NumPy's, or ml_dtypes' bfloat16, whose name alone will do."""
    try:
        dtype = _dtype(value)
    except Exception:  # no ml_dtypes, an unknown code, or an object of the caller's
        dtype = None
    if dtype is None:
        missing = shown(value) == "'bfloat16'"
        needs = "; it needs the package ml_dtypes" if missing else ""
        raise TypeError(
            f"dtype must be a floating dtype such as float32 or float64, got {shown(value)}{needs}"
        )
    if not is_float(dtype):
        raise TypeError(
            f"dtype must be a floating dtype such as float32 or float64, got {dtype.name}"
        )
    return dtype


def cast(values: Array, dtype: np.dtype[Any], what: str, *, std: float | None = None) -> Array:
    """The drawn values in the dtype that was asked for, if it can hold them.

    `what` names the argument with its value ("std=1e+05"): the message blames it when a value
    overflows, or when all that were not 0 become 0. Where draws have a spread, `std` is it, and the
    dtype's numbers next to 0 must lie close enough together to keep it.
    """
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        result = values.astype(dtype, copy=False)
        step = float(np.nextafter(dtype.type(0), dtype.type(1)))
    if not np.isfinite(result).all():
        raise ValueError(f"{what} is too large for {dtype.name}: some of the values overflow")
    if values.any() and not result.any():
        raise ValueError(f"{what} is too small for {dtype.name}: all values become 0")
    if std is not None and std < FEWEST_STEPS * max(step, SMALLEST):
        raise ValueError(f"{what} is too small for {dtype.name}: rounding would change the spread")
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
    if given.dtype.kind == "V" and not given.dtype.isnative:  # ml_dtypes knows no other order
        raise TypeError(f"{what} must hold bfloat16 in the machine's own byte order")
    if axes is not None and given.ndim != axes:
        plural = "axis" if axes == 1 else "axes"
        raise ValueError(f"{what} must have {axes} {plural}, got shape {given.shape}")
    if not empty and not given.size:
        raise ValueError(f"{what} must not be empty, got shape {given.shape}")
    if dtype is None:
        dtype = given.dtype if is_float(given.dtype) else np.dtype(np.float64)
    if given.dtype == dtype:
        result = given
    else:
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            result = given.astype(dtype)
    if finite and not np.isfinite(result).all():
        if np.isfinite(given).all():
            raise ValueError(f"{what} has values too large for {dtype.name}")
        raise ValueError(f"{what} must be finite, got nan or inf among its values")
    return result


def mapping(value: object, what: str) -> dict[Any, Any]:
    """What a dict or its like holds, as a plain dict."""
    if not is_a(value, Mapping):
        raise TypeError(f"{what} must be a dict, got {shown(value)}")
    read: Any = value
    try:
        return dict(read.items())
    except Exception:  # of a class of the caller's
        raise TypeError(f"{what} must be a dict that can be read, got {shown(value)}") from None


def function(value: object, what: str) -> Any:
    """Something that can be called."""
    if not callable(value):
        raise TypeError(f"{what} must be a function, got {shown(value)}")
    return value


def loss(value: object, example: str) -> Any:
    """A loss to call: not its class, nor its name."""
    if isinstance(value, type):
        made = f"{value.__name__}()"
        raise TypeError(f"loss must be an instance, such as {made}, got the class {value.__name__}")
    if not callable(value):
        raise TypeError(f"loss must be a function of (outputs, y), such as {example}, "
                        f"got {shown(value)}")  # fmt: skip
    return value


def choice(
    value: object,
    what: str,
    allowed: Iterable[str],
    aliases: Mapping[str, str | tuple[str, ...]] | None = None,
) -> str:
    """One of the allowed names; the error suggests the nearest, looking among `aliases` too.

    An alias that may mean several names leads to a tuple of them.
    """
    names = tuple(allowed)
    if not is_a(value, str):
        raise TypeError(f"{what} must be one of {', '.join(names)}, got {shown(value)}")
    value = str.__str__(value)  # of a subclass, too
    if value in names:
        return value
    import difflib  # only when something went wrong

    known: dict[str, tuple[str, ...]] = {name: (name,) for name in names}
    for alias, meant in (aliases or {}).items():
        known[alias] = (meant,) if isinstance(meant, str) else meant
    near = difflib.get_close_matches(value.lower(), known, n=1, cutoff=0.6)
    hint = f" Did you mean {' or '.join(map(repr, known[near[0]]))}?" if near else ""
    raise ValueError(f"{what} must be one of {', '.join(names)}, got {shown(value)}.{hint}")
