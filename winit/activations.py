"""Activation functions, each with its derivative.

An `Activation` is called like a function and keeps the floating dtype of its input: NumPy's, and
bfloat16 of `ml_dtypes`. Narrow types are computed in float32 and rounded once. Function and
derivative are right up to the largest number of each dtype; what is larger than that becomes inf.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from winit import _checks

Array = NDArray[np.floating[Any]]
Function = Callable[[Array], Array]


@dataclass(frozen=True)
class Activation:
    """A function and its derivative under one name.

    Parameters
    ----------
    name : str
    function, slope : callables
        The function and its derivative: elementwise, array in, array of the same shape out. Where
        the derivative jumps, `slope` is the one from the left.
    kinks : tuple of float
        Where the function is not smooth (the derivative jumps or bends); quadrature splits there.
    period : float, optional
        What can be added to the argument without changing function and derivative: expectations
        over many periods then cost no more than over one.

    Raises
    ------
    TypeError, ValueError
        A name that is no text, a function that cannot be called, kinks that are not finite numbers,
        a period that is not positive.
    """

    name: str
    function: Function
    slope: Function
    kinks: tuple[float, ...] = ()
    period: float | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.name, str):
            raise TypeError(f"name must be text, got {_checks.shown(self.name)}")
        _checks.function(self.function, "function")
        _checks.function(self.slope, "slope")
        if not isinstance(self.kinks, (tuple, list)):
            raise TypeError(f"kinks must be a tuple of numbers, got {_checks.shown(self.kinks)}")
        kinks = tuple(_checks.number(kink, "each of kinks") for kink in self.kinks)
        object.__setattr__(self, "kinks", kinks)
        if self.period is not None:
            period = _checks.number(self.period, "period", above=0.0)
            object.__setattr__(self, "period", period)

    def __call__(self, x: ArrayLike) -> Array:
        """The function's value, elementwise."""
        return _apply(self.function, x, f"the activation {self.name}")

    def derivative(self, x: ArrayLike) -> Array:
        """The derivative, elementwise."""
        return _apply(self.slope, x, f"the derivative of the activation {self.name}")

    def __hash__(self) -> int:
        try:
            return hash((self.name, self.function, self.slope, self.kinks, self.period))
        except TypeError:  # a function that cannot be hashed
            return hash((self.name, self.kinks, self.period))

    def __repr__(self) -> str:
        return f"<activation {self.name}>"


def _apply(function: Function, x: ArrayLike, what: str) -> Array:
    """The values in the dtype of x, whatever the function makes of it; errors in our words."""
    given = _checks.array(x, "x", finite=False, empty=True)
    wide = given.astype(np.float32) if given.dtype.itemsize < 4 else given
    wide = np.atleast_1d(wide)  # not every function takes an array without axes
    with np.errstate(all="ignore"):
        try:
            result = function(wide)
        except Exception as error:
            raise ValueError(
                f"{what} must take an array of any shape; on one of shape {wide.shape} it raised "
                f"{type(error).__name__}: {_checks.shown(str(error))}"
            ) from error
        if type(result) is not np.ndarray or result.dtype != wide.dtype:
            result = _real(result, what).astype(wide.dtype, copy=False)
        if result.shape != wide.shape:
            raise ValueError(
                f"{what} must return the shape it was given: it made {result.shape} of {wide.shape}"
            )
        # the empty index makes a number of an array without axes, as NumPy's own functions do
        return result.astype(given.dtype, copy=False).reshape(given.shape)[()]


def _real(values: Any, what: str) -> Array:
    """What a caller's function returned, as an array of floating numbers."""
    if np.ma.is_masked(values):
        raise TypeError(f"{what} must not return masked numbers")
    try:
        array = np.asarray(values)
    except Exception:  # ragged nesting and what refuses to be an array, in NumPy's words
        array = np.array(None)
    if array.dtype.kind not in "biuf" and not _checks.is_float(array.dtype):
        raise TypeError(f"{what} must return real numbers, got {_checks.shown(values)}")
    return array


# The formulas. All are plain functions, or small frozen objects where they have parameters, so that
# an activation can be pickled and copied.


def _sigmoid(x: Array) -> Array:
    e = np.exp(-np.abs(x))  # at most 1, so nothing overflows; exact in both tails
    result: Array = np.where(x >= 0, 1, e) / (1 + e)
    return result


def _in_double(function: Callable[[Any], Any], x: Array) -> Array:
    """A function of SciPy, which knows float32 and float64 alone."""
    result: Array = function(x.astype(np.float64) if x.dtype.itemsize > 8 else x)
    return result.astype(x.dtype, copy=False)


def _ndtr(x: Array) -> Array:
    """The normal distribution function, from SciPy."""
    from scipy.special import ndtr  # loaded when first used: `import winit` costs NumPy alone

    return _in_double(ndtr, x)


def _erf(x: Array) -> Array:
    from scipy.special import erf  # see _ndtr

    return _in_double(erf, x)


def _bell(x: Array) -> Array:
    """exp(-x²); beyond 120 it is 0 in any dtype, and the square could overflow."""
    x = np.clip(x, -120, 120)
    result: Array = np.exp(-x * x)
    return result


def _identity(x: Array) -> Array:
    return x.copy()


def _relu(x: Array) -> Array:
    return np.maximum(x, 0)


def _relu_slope(x: Array) -> Array:
    return (x > 0).astype(x.dtype)


@dataclass(frozen=True)
class _Clip:
    """x between two bounds."""

    low: float
    high: float

    def __call__(self, x: Array) -> Array:
        return np.clip(x, self.low, self.high)


@dataclass(frozen=True)
class _ClipSlope:
    low: float
    high: float

    def __call__(self, x: Array) -> Array:
        return ((x > self.low) & (x <= self.high)).astype(x.dtype)


linear = Activation("linear", _identity, np.ones_like)
relu = Activation("relu", _relu, _relu_slope, (0.0,))
relu6 = Activation("relu6", _Clip(0, 6), _ClipSlope(0, 6), (0.0, 6.0))


@dataclass(frozen=True)
class _Leaky:
    below: float

    def __call__(self, x: Array) -> Array:
        return np.where(x > 0, x, x.dtype.type(self.below) * x)


@dataclass(frozen=True)
class _LeakySlope:
    below: float

    def __call__(self, x: Array) -> Array:
        return np.where(x > 0, x.dtype.type(1), x.dtype.type(self.below))


def leaky_relu(slope: float = 0.01) -> Activation:
    """x above zero, `slope` times x below. Source: Maas, Hannun & Ng 2013.

    Raises
    ------
    ValueError
        A slope that is not finite, or larger than 1e150.
    """
    slope = _checks.number(
        slope, "slope", minimum=-_checks.LARGEST_ROOT, maximum=_checks.LARGEST_ROOT
    )
    return Activation(f"leaky_relu({slope:g})", _Leaky(slope), _LeakySlope(slope), (0.0,))


@dataclass(frozen=True)
class _Elu:
    """scale * x above zero, scale * alpha * (e^x - 1) below."""

    scale: float
    alpha: float

    def __call__(self, x: Array) -> Array:
        return self.scale * np.where(x > 0, x, self.alpha * np.expm1(np.minimum(x, 0)))


@dataclass(frozen=True)
class _EluSlope:
    scale: float
    alpha: float

    def __call__(self, x: Array) -> Array:
        below = self.alpha * np.exp(np.minimum(x, 0))
        return self.scale * np.where(x > 0, x.dtype.type(1), below)


elu = Activation("elu", _Elu(1.0, 1.0), _EluSlope(1.0, 1.0), (0.0,))

# Fixed point mean 0 and variance 1 under LeCun's scheme: Klambauer et al. 2017, eq. 14.
SELU_SCALE = 1.0507009873554805
SELU_ALPHA = 1.6732632423543773
selu = Activation("selu", _Elu(SELU_SCALE, SELU_ALPHA), _EluSlope(SELU_SCALE, SELU_ALPHA), (0.0,))

# Hendrycks & Gimpel 2016: x Phi(x), and the cheaper form with tanh that they give beside it.
_ROOT_HALF = float(np.sqrt(0.5))
_DENSITY_0 = float(1 / np.sqrt(2 * np.pi))


def _gelu(x: Array) -> Array:
    return x * _ndtr(x)


def _gelu_slope(x: Array) -> Array:
    return _ndtr(x) + np.clip(x, -120, 120) * (_bell(x * x.dtype.type(_ROOT_HALF)) * _DENSITY_0)


_GELU_C = float(np.sqrt(2 / np.pi))
_GELU_CUBIC = 0.044715


def _gelu_tanh(x: Array) -> Array:
    return 0.5 * x * (1 + _gelu_inner(np.clip(x, -120, 120)))


def _gelu_inner(x: Array) -> Array:
    return np.tanh(_GELU_C * (x + _GELU_CUBIC * x**3))


def _gelu_tanh_slope(x: Array) -> Array:
    x = np.clip(x, -120, 120)  # far beyond where it is 0 or 1; the cube of the largest overflows
    t = _gelu_inner(x)
    return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * _GELU_C * (1 + 3 * _GELU_CUBIC * x * x)


gelu = Activation("gelu", _gelu, _gelu_slope)
gelu_tanh = Activation("gelu_tanh", _gelu_tanh, _gelu_tanh_slope)


def _silu(x: Array) -> Array:
    return x * _sigmoid(x)


def _silu_slope(x: Array) -> Array:
    s = _sigmoid(x)
    return s * (1 + x * (1 - s))


silu = Activation("silu", _silu, _silu_slope)


def _softplus(x: Array) -> Array:
    return np.logaddexp(0, x)


def _mish(x: Array) -> Array:
    return x * np.tanh(np.logaddexp(0, x))


def _mish_slope(x: Array) -> Array:
    t: Array = np.tanh(np.logaddexp(0, x))
    return t + x * (1 - t * t) * _sigmoid(x)


mish = Activation("mish", _mish, _mish_slope)
softplus = Activation("softplus", _softplus, _sigmoid)


def _softsign(x: Array) -> Array:
    result: Array = x / (1 + np.abs(x))
    return result


def _softsign_slope(x: Array) -> Array:
    return (1 / (1 + np.abs(x))) ** 2


softsign = Activation("softsign", _softsign, _softsign_slope, (0.0,))


def _tanh_slope(x: Array) -> Array:
    t = np.tanh(x)
    return 1 - t * t


tanh = Activation("tanh", np.tanh, _tanh_slope)


# LeCun et al. 1998, section 4.4: f(1) = 1, f(-1) = -1, most curved near |x| = 1.
def _lecun_tanh(x: Array) -> Array:
    result: Array = 1.7159 * np.tanh(2 / 3 * x)
    return result


def _lecun_tanh_slope(x: Array) -> Array:
    return 1.7159 * 2 / 3 * _tanh_slope(2 / 3 * x)


lecun_tanh = Activation("lecun_tanh", _lecun_tanh, _lecun_tanh_slope)


def _sigmoid_slope(x: Array) -> Array:
    s = _sigmoid(x)
    return s * (1 - s)


def _erf_slope(x: Array) -> Array:
    return x.dtype.type(2 / np.sqrt(np.pi)) * _bell(x)


sigmoid = Activation("sigmoid", _sigmoid, _sigmoid_slope)
erf = Activation("erf", _erf, _erf_slope)
hard_tanh = Activation("hard_tanh", _Clip(-1, 1), _ClipSlope(-1, 1), (-1.0, 1.0))
sin = Activation("sin", np.sin, np.cos, period=2 * np.pi)

ACTIVATIONS: dict[str, Activation] = {
    activation.name: activation
    for activation in (
        linear,
        relu,
        relu6,
        elu,
        selu,
        gelu,
        gelu_tanh,
        silu,
        mish,
        softplus,
        softsign,
        tanh,
        lecun_tanh,
        sigmoid,
        erf,
        hard_tanh,
        sin,
    )
} | {"leaky_relu": leaky_relu()}


@dataclass(frozen=True)
class CentralDifference:
    """The slope of a function by differences, in float64 whatever the input is."""

    function: Callable[..., Any]
    # what balances truncation against rounding: the cube root of the epsilon of what it returns
    step: float
    # The step is a share of abs(x), and of this at least: 1 for a function whose values near 0 are
    # rounded like numbers of size 1, next to nothing where they are as exact as any others.
    least: float

    def __call__(self, x: Array) -> Array:
        """(f(x + h) - f(x - h)) / 2h, for an h that grows with abs(x)."""
        center = x.astype(np.float64)  # in float32 the difference would be all rounding
        h = self.step * np.maximum(self.least, np.abs(center))
        ahead, behind = center + h, center - h
        values = [np.asarray(self.function(at), dtype=np.float64) for at in (ahead, behind)]
        difference: Array = (values[0] - values[1]) / (ahead - behind)
        return difference.astype(x.dtype)


def _central_difference(function: Callable[..., Any], step: float) -> CentralDifference:
    """With steps that shrink towards 0 where the function's values allow it.

    A kink there is then seen by the smallest signals too. Where values are rounded like numbers of
    size 1, the slopes of two such steps differ.
    """
    x = np.outer([1.0, -1.0], [1e-4, 3e-6, 1e-7, 2e-9, 1e-12, 1e-20, 1e-60, 1e-100]).ravel()
    # steps whose rounding differs: those of 1, 2 and 3 times one may agree to the last digit
    slopes = [CentralDifference(function, step * n, 1e-150)(x) for n in (1.0, 2.3, 3.7)]
    exact = np.ptp(slopes, axis=0) <= 1e4 * step**2 * np.maximum(1e-3, np.abs(slopes[0]))
    return CentralDifference(function, step, 1e-150 if exact.all() else 1.0)


# What a caller's function is tried on: both signs, 0, small and large, and in no order.
_PROBE = np.array([0.7, -1.3, 2.9, 0.0, -0.01, 1.0, -6.1, 0.3, 8.0, -2.2, 0.05, -0.4])


def _probe(function: Function, what: str) -> None:
    """Try a caller's function once: elementwise, the same shape, real, finite.

    Raises
    ------
    TypeError
        It cannot be called with an array, or returns something else than real numbers.
    ValueError
        Another shape, values that are not finite, or values that depend on their neighbors.
    """
    values = _tried(function, _PROBE, what)
    if not np.isfinite(values).all():
        at = float(_PROBE[~np.isfinite(values)][0])
        raise ValueError(f"{what} must be finite for every real number, and is not at x = {at:g}")
    # the same numbers in another company and shape; the tolerance leaves room for float32
    for part in (_PROBE[:5], _PROBE[5:], _PROBE[::-1].reshape(3, 4)):
        same = values[[int(np.flatnonzero(x == _PROBE)[0]) for x in part.ravel()]]
        again = _tried(function, part, what).ravel()
        if not (np.abs(again - same) <= 1e-5 * (1 + np.abs(same))).all():
            raise ValueError(
                f"{what} must act on each number by itself: its value at one depends on the others"
            )


def _tried(function: Function, x: Array, what: str) -> Array:
    """The values at x, with an error in our words if there are none."""
    given = x.copy()
    with np.errstate(all="ignore"):
        try:
            result = function(given)
        except Exception as error:
            try:
                float(function(float(x.flat[0])))  # type: ignore[arg-type]
            except Exception:
                hint = ""
            else:
                hint = "; it works on single numbers, so pass np.vectorize of it"
            raise TypeError(
                f"{what} must take an array and act on each of its numbers: it raised "
                f"{type(error).__name__}: {_checks.shown(str(error))}{hint}"
            ) from error
        values = _real(result, what).astype(np.float64)
    if values.shape != x.shape:
        raise ValueError(
            f"{what} must return the shape it was given: it made {values.shape} of {x.shape}"
        )
    if not np.array_equal(given, x):
        raise ValueError(f"{what} must not change the array that it is given")
    return values


@functools.lru_cache(maxsize=256)
def _probed(activation: Activation) -> Activation:
    """The same activation, tried once."""
    _probe(activation.function, f"the activation {activation.name}")
    _probe(activation.slope, f"the derivative of the activation {activation.name}")
    if activation.period is not None and activation.period < 1e6:  # else rounding decides
        for function in (activation, activation.derivative):
            one, other = function(_PROBE), function(_PROBE + activation.period)
            if (np.abs(one - other) > 1e-5 * (1 + np.abs(one))).any():
                raise ValueError(
                    f"the activation {activation.name} must repeat itself after its period of "
                    f"{activation.period:g}, and does not"
                )
    return activation


@functools.lru_cache(maxsize=64)
def _from_function(function: Callable[..., Any]) -> Activation:
    name = getattr(function, "__name__", type(function).__name__)
    name = name if isinstance(name, str) else type(function).__name__
    _probe(function, f"the activation {name}")
    with np.errstate(all="ignore"):
        returned = np.asarray(function(_PROBE.copy())).dtype
    # integers are exact; bfloat16 is not known to finfo
    eps = float(np.spacing(returned.type(1))) if _checks.is_float(returned) else 2.0**-52
    step = float(max(eps, 2.0**-52) ** (1 / 3))
    with np.errstate(all="ignore"):
        return Activation(name, function, _central_difference(function, step))


def get(activation: str | Activation | Callable[..., Any]) -> Activation:
    """An activation from its name, from itself, or from any elementwise function.

    A plain function gets its derivative by central differences (good to about 1e-9 where it is
    smooth); pass an `Activation` to give the exact one and the kinks. What is not of this module is
    tried once on a dozen numbers.

    Raises
    ------
    ValueError
        An unknown name (the message suggests the nearest one); a function that is not finite, does
        not keep the shape, or does not act on each number by itself.
    TypeError
        Something that is neither a name nor a function; a function that takes no array or returns
        no real numbers.
    """
    if isinstance(activation, str):
        return ACTIVATIONS[_checks.choice(activation, "activation", tuple(ACTIVATIONS))]
    if activation is leaky_relu:
        return ACTIVATIONS["leaky_relu"]
    if not callable(activation):
        raise TypeError(f"activation must be a name or a function, got {_checks.shown(activation)}")
    make: Any = _probed if isinstance(activation, Activation) else _from_function
    try:
        hash(activation)
    except Exception:  # nothing to remember it by
        make = make.__wrapped__
    found: Activation = make(activation)
    return found
