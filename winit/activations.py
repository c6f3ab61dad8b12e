"""Activation functions, each with its derivative.

An `Activation` is called like a function and keeps the floating dtype of its input. None overflows
or loses its limit at ±1e4, in float32 and float64.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from winit import _checks

Array = NDArray[np.floating[Any]]
Function = Callable[[Array], Array]


def _float(x: ArrayLike) -> Array:
    x = np.asarray(x)
    return x if x.dtype.kind == "f" else x.astype(np.float64)


@dataclass(frozen=True)
class Activation:
    """A function and its derivative under one name.

    Parameters
    ----------
    name : str
    function, slope : callables
        The function and its derivative: elementwise, array in, array of the same shape and dtype
        out. Where the derivative jumps, `slope` is the one from the left.
    kinks : tuple of float
        Where the function is not smooth (the derivative jumps or bends); quadrature splits there.
    """

    name: str
    function: Function
    slope: Function
    kinks: tuple[float, ...] = ()

    def __call__(self, x: ArrayLike) -> Array:
        """The function's value, elementwise."""
        return self.function(_float(x))

    def derivative(self, x: ArrayLike) -> Array:
        """The derivative, elementwise."""
        return self.slope(_float(x))

    def __repr__(self) -> str:
        return f"<activation {self.name}>"


def _sigmoid(x: Array) -> Array:
    e = np.exp(-np.abs(x))  # at most 1, so nothing overflows; exact in both tails
    result: Array = np.where(x >= 0, 1, e) / (1 + e)
    return result


def _ndtr(x: Array) -> Array:
    """The normal distribution function, from SciPy."""
    from scipy.special import ndtr  # loaded when first used: `import winit` costs NumPy alone

    result: Array = ndtr(x)
    return result


def _erf(x: Array) -> Array:
    from scipy.special import erf  # see _ndtr

    result: Array = erf(x)
    return result


def _density(x: Array) -> Array:
    """The standard normal density."""
    return np.exp(-x * x / 2) / x.dtype.type(np.sqrt(2 * np.pi))


linear = Activation("linear", lambda x: x, np.ones_like)
relu = Activation("relu", lambda x: np.maximum(x, 0), lambda x: (x > 0).astype(x.dtype), (0.0,))
relu6 = Activation(
    "relu6",
    lambda x: np.clip(x, 0, 6),
    lambda x: ((x > 0) & (x <= 6)).astype(x.dtype),
    (0.0, 6.0),
)


def leaky_relu(slope: float = 0.01) -> Activation:
    """x above zero, `slope` times x below. Source: Maas, Hannun & Ng 2013.

    Raises
    ------
    ValueError
        A slope that is not finite.
    """
    slope = _checks.number(slope, "slope")
    return Activation(
        f"leaky_relu({slope:g})",
        lambda x: np.where(x > 0, x, slope * x),
        lambda x: np.where(x > 0, x.dtype.type(1), x.dtype.type(slope)),
        (0.0,),
    )


def _elu(name: str, scale: float, alpha: float) -> Activation:
    """scale * x above zero, scale * alpha * (e^x - 1) below."""
    return Activation(
        name,
        lambda x: scale * np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0))),
        lambda x: scale * np.where(x > 0, x.dtype.type(1), alpha * np.exp(np.minimum(x, 0))),
        (0.0,),
    )


elu = _elu("elu", 1.0, 1.0)

# Fixed point mean 0 and variance 1 under LeCun's scheme: Klambauer et al. 2017, eq. 14.
SELU_SCALE = 1.0507009873554805
SELU_ALPHA = 1.6732632423543773
selu = _elu("selu", SELU_SCALE, SELU_ALPHA)

# Hendrycks & Gimpel 2016: x Phi(x), and the cheaper form with tanh that they give beside it.
gelu = Activation("gelu", lambda x: x * _ndtr(x), lambda x: _ndtr(x) + x * _density(x))

_GELU_C = float(np.sqrt(2 / np.pi))
_GELU_CUBIC = 0.044715


def _gelu_inner(x: Array) -> Array:
    return np.tanh(_GELU_C * (x + _GELU_CUBIC * x**3))


def _gelu_tanh_slope(x: Array) -> Array:
    t = _gelu_inner(x)
    return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * _GELU_C * (1 + 3 * _GELU_CUBIC * x * x)


gelu_tanh = Activation("gelu_tanh", lambda x: 0.5 * x * (1 + _gelu_inner(x)), _gelu_tanh_slope)


def _silu_slope(x: Array) -> Array:
    s = _sigmoid(x)
    return s * (1 + x * (1 - s))


silu = Activation("silu", lambda x: x * _sigmoid(x), _silu_slope)


def _mish_slope(x: Array) -> Array:
    t: Array = np.tanh(np.logaddexp(0, x))
    return t + x * (1 - t * t) * _sigmoid(x)


mish = Activation("mish", lambda x: x * np.tanh(np.logaddexp(0, x)), _mish_slope)
softplus = Activation("softplus", lambda x: np.logaddexp(0, x), _sigmoid)
softsign = Activation(
    "softsign", lambda x: x / (1 + np.abs(x)), lambda x: 1 / (1 + np.abs(x)) ** 2, (0.0,)
)


def _tanh_slope(x: Array) -> Array:
    t = np.tanh(x)
    return 1 - t * t


tanh = Activation("tanh", np.tanh, _tanh_slope)

# LeCun et al. 1998, section 4.4: f(1) = 1, f(-1) = -1, most curved near |x| = 1.
lecun_tanh = Activation(
    "lecun_tanh",
    lambda x: 1.7159 * np.tanh(2 / 3 * x),
    lambda x: 1.7159 * 2 / 3 * _tanh_slope(2 / 3 * x),
)


def _sigmoid_slope(x: Array) -> Array:
    s = _sigmoid(x)
    return s * (1 - s)


sigmoid = Activation("sigmoid", _sigmoid, _sigmoid_slope)
erf = Activation("erf", _erf, lambda x: x.dtype.type(2 / np.sqrt(np.pi)) * np.exp(-x * x))
hard_tanh = Activation(
    "hard_tanh",
    lambda x: np.clip(x, -1, 1),
    lambda x: ((x > -1) & (x <= 1)).astype(x.dtype),
    (-1.0, 1.0),
)
sin = Activation("sin", np.sin, np.cos)

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


def _central_difference(function: Callable[..., Any]) -> Function:
    # the step that balances truncation against rounding: the cube root of float64's epsilon
    step = float(np.finfo(np.float64).eps ** (1 / 3))

    def slope(x: Array) -> Array:
        center = x.astype(np.float64)  # in float32 the difference would be all rounding
        h = step * np.maximum(1, np.abs(center))
        difference: Array = (function(center + h) - function(center - h)) / (2 * h)
        return difference.astype(x.dtype)

    return slope


def get(activation: str | Activation | Callable[..., Any]) -> Activation:
    """An activation from its name, from itself, or from any elementwise function.

    A plain function gets its derivative by central differences (good to about 1e-9 where it is
    smooth); hand in an `Activation` to give the exact one and the kinks.

    Raises
    ------
    ValueError
        An unknown name; the message suggests the nearest one.
    TypeError
        Something that is neither a name nor callable.
    """
    if isinstance(activation, Activation):
        return activation
    if isinstance(activation, str):
        return ACTIVATIONS[_checks.choice(activation, "activation", tuple(ACTIVATIONS))]
    if activation is leaky_relu:
        return leaky_relu()
    if callable(activation):
        name = getattr(activation, "__name__", type(activation).__name__)
        return Activation(name, activation, _central_difference(activation))
    raise TypeError(f"activation must be a name or a function, got {activation!r}")
