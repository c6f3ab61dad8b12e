"""The bridge to Keras 3: every scheme as a Keras initializer, and models drawn anew.

``keras.layers.Dense(64, kernel_initializer=winit.keras.Initializer("he_normal", seed=0))`` draws
with `winit` in the layer's true geometry; `reinitialize` does it for a whole model that exists, and
`audit` (from `winit.audit`) says layer by layer how a model's start stands.
"""

from __future__ import annotations

import inspect
import random
import sys
import uuid
import weakref
from collections.abc import Container
from typing import Any

import numpy as np

from winit import _checks, initializers, kernels
from winit._checks import RNG
from winit.audit import audit, recommended
from winit.kernels import keras
from winit.report import Audit
from winit.trace import kernels_of

__all__ = ["Audit", "Initializer", "audit", "reinitialize"]

CONSTANTS = (keras.initializers.Zeros, keras.initializers.Ones, keras.initializers.Constant)
# What a layer sets by itself, and a user of the initializer does not.
RESERVED = {"shape", "rng", "dtype", "in_axis", "out_axis", "batch_axis", "draw"}


class _Stream:
    """One sequence of draws, shared by all clones of an initializer (weakly referable)."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)


_streams: weakref.WeakValueDictionary[str, _Stream] = weakref.WeakValueDictionary()


def _check_options(scheme: str, options: dict[str, Any]) -> None:
    """Refuse at construction what would fail, or be ignored, when a layer is built."""
    parameters = inspect.signature(initializers.get(scheme)).parameters
    allowed = [name for name in parameters if name not in RESERVED]
    for name in options:
        if not allowed:
            raise ValueError(f"{scheme} takes no options, got {name!r}")
        _checks.choice(name, f"an option of {scheme}", allowed)
    for name in allowed:
        if parameters[name].default is inspect.Parameter.empty and name not in options:
            raise ValueError(f"{scheme} needs the option {name!r}")
    initializers.get(scheme)((2, 2), rng=0, **options)


class Initializer(keras.initializers.Initializer):  # type: ignore[misc]
    """A scheme of `winit` as a Keras initializer.

    It draws in the true geometry of the layer that asks (see `winit.kernels`); called by hand with
    a shape it takes the last two axes as in and out, as Keras does. Every call draws on, so that
    layers that share one instance get kernels of their own, and so do the clones that Keras makes
    through the config (attention layers do). A new instance with the same seed starts the same
    sequence again. A saved model needs ``import winit.keras`` before it is loaded.

    Parameters
    ----------
    scheme : str
        A name in ``winit.initializers.SCHEMES``, such as ``"he_normal"``.
    seed : int, optional
        Without one the sequence follows `keras.utils.set_random_seed`, as Keras's own do.
    options : the scheme's own keywords, such as ``gain=…`` or ``truncated=True``

    Raises
    ------
    ValueError, TypeError
        At construction: an unknown scheme or option, a value out of range, a seed that is not a
        whole number of 0 or more.
    """

    def __init__(self, scheme: str, seed: int | None = None, **options: Any) -> None:
        token = options.pop("stream", None)  # only `from_config` hands it in
        _check_options(scheme, options)
        if seed is not None and (isinstance(seed, bool) or not isinstance(seed, int)):
            raise TypeError(f"seed must be None or a whole number, got {seed!r}")
        if seed is not None and seed < 0:
            raise ValueError(f"seed must be 0 or larger, got {seed!r}")
        self.scheme, self.seed, self.options = scheme, seed, options
        self._token = token or uuid.uuid4().hex
        stream = _streams.get(self._token)
        if stream is None:
            # Python's own generator is what Keras seeds and asks.
            stream = _Stream(random.randint(1, 10**9) if seed is None else seed)
            _streams[self._token] = stream
        self._stream = stream

    def __call__(self, shape: Any, dtype: Any = None) -> Any:
        """Draw a tensor of that shape for the layer that is being built."""
        shape = tuple(int(n) for n in shape)
        layer, name = _asking()
        kernel = kernels.kernel_of(layer, name, shape)
        if kernel is None and len(shape) > 1:
            kernel = kernels.plain(shape)
        if kernel is None:
            values = initializers.get(self.scheme)(shape, rng=self._stream.rng, **self.options)
        else:
            values = kernel.draw(self.scheme, self._stream.rng, **self.options)
        return keras.ops.convert_to_tensor(values, dtype=dtype or keras.config.floatx())

    def get_config(self) -> dict[str, Any]:
        """What Keras saves, and clones from."""
        return {
            "scheme": self.scheme,
            "seed": self.seed,
            "stream": self._token,
            **self.options,
        }

    def __repr__(self) -> str:
        options = "".join(f", {name}={value!r}" for name, value in self.options.items())
        return f"winit.keras.Initializer({self.scheme!r}, seed={self.seed!r}{options})"


def _asking() -> tuple[Any, str]:
    """The layer whose weight is being drawn, and the weight's name; None and "" by hand.

    The calls that led here say it: the variable, and above it the layer that adds it. Weights of
    a subclassed model come later, from the model itself, whose layers already hold them.
    """
    variable: Any = None
    frame = sys._getframe(2)
    while frame is not None:
        caller = frame.f_locals.get("self")
        if variable is None and isinstance(caller, keras.Variable):
            variable = caller
        elif variable is not None and isinstance(caller, keras.Layer):
            for layer in caller._flatten_layers():
                if any(variable is weight for weight in layer._trainable_variables):
                    return layer, variable.name
            return caller, variable.name
        frame = frame.f_back  # type: ignore[assignment]
    return None, ""


# Called, not put above the class: the book is built without Keras, where it would hide the class.
keras.saving.register_keras_serializable(package="winit")(Initializer)


def reinitialize(
    model: Any,
    scheme: str = "auto",
    *,
    rng: RNG = None,
    force: bool = False,
    x: Any = None,
    **options: Any,
) -> dict[str, str]:
    """Draw every kernel anew, and put the other weights at their conventional start.

    Biases become 0 (the forget gate of an LSTM 1 where the layer asks for it), normalisation 1 and
    0 with fresh statistics, or the constant that their layer asks for; embeddings uniform within
    0.05 as Keras draws them. Weights of other names stay.
    An optimizer's state is left alone: compile the model again after `force`.

    Parameters
    ----------
    model : a built Keras model
    scheme : "auto" or a scheme's name
        "auto" takes for each kernel what `winit.theory.recommend` says of the activation that
        follows (He's rule for silu and softplus too, whose own gain lasts a few layers only;
        orthogonal for recurrent kernels); `options` go with a name only.
    force : bool
        Needed for a model that was trained: an optimizer that took steps, or biases or
        normalisation statistics that are not at their start. A trained model without any of
        these three cannot be told from a new one.
    x : inputs
        Where the model's input shape is not known; their values do not matter.

    Returns
    -------
    dict
        The path of each weight that changed, and what it is now.

    Raises
    ------
    TypeError, ValueError
        Not a model, not built, trained, an unknown scheme or option. On any error, an interrupt
        by the keyboard included, the model is left as it was.
    """
    draws = _checks.as_rng(rng)
    if scheme == "auto":
        if options:
            raise ValueError(f"options go with a named scheme, not with 'auto': {options!r}")
    else:
        _checks.choice(scheme, "scheme", ("auto", *initializers.SCHEMES))
        _check_options(scheme, options)
    chosen = recommended(model, x) if scheme == "auto" else {}
    owners = kernels_of(model)
    if not force and (sign := _trained(model, owners)):
        raise ValueError(
            f"{model.name} looks trained ({sign}), and its weights would be lost: "
            "force=True draws them anew all the same"
        )
    values: list[tuple[Any, Any, str]] = []
    for layer in model._flatten_layers():
        for variable in layer._trainable_variables + layer._non_trainable_variables:
            if id(variable) in owners:
                name, keywords = chosen.get(id(variable), (scheme, options))
                kernel = owners[id(variable)]
                drawn = kernel.draw(name, draws, dtype=np.float64, **keywords)
                text = ", ".join(
                    [
                        name,
                        *(
                            f"{key}={value:.4g}" if isinstance(value, float) else f"{key}={value}"
                            for key, value in keywords.items()
                        ),
                    ]
                )
                values.append((variable, drawn, text))
            elif (start := _start(layer, variable, draws)) is not None:
                values.append((variable, *start))
    before = [np.array(keras.ops.convert_to_numpy(variable.value)) for variable, _, _ in values]
    try:
        for variable, value, _ in values:
            variable.assign(value)
    except BaseException:
        for (variable, _, _), value in zip(values, before, strict=True):
            variable.assign(value)
        raise
    return {variable.path: text for variable, _, text in values}


def _start(layer: Any, variable: Any, rng: _checks.Draws) -> tuple[Any, str] | None:
    """The conventional start of a weight that is no kernel, and its name; None to leave it."""
    name, shape = variable.name, tuple(variable.shape)
    if name == "embeddings":
        return initializers.uniform(shape, limit=0.05, rng=rng), "uniform, limit=0.05"
    if name == "lora_kernel_b":  # then the layer is at first as it was without
        return np.zeros(shape), "zeros"
    if name == "bias" and getattr(layer, "unit_forget_bias", False):
        units = shape[0] // 4
        return np.repeat([0.0, 1.0, 0.0, 0.0], units), "zeros, forget gate 1"
    normalises = "Normalization" in type(layer).__name__
    asked = getattr(layer, f"{name}_initializer", None)
    if isinstance(asked, CONSTANTS):
        value = np.array(keras.ops.convert_to_numpy(asked(shape)))
        text = "zeros" if not value.any() else "ones" if (value == 1).all() else "as asked for"
        return value, text
    if name == "bias" or (normalises and name in ("beta", "moving_mean")):
        return np.zeros(shape), "zeros"
    if normalises and name in ("gamma", "moving_variance"):
        return np.ones(shape), "ones"
    return None


def _trained(model: Any, kernels: Container[int]) -> str:
    """The sign that a model was trained, or nothing."""
    optimizer = getattr(model, "optimizer", None)
    if optimizer is not None and (steps := int(optimizer.iterations)):
        return f"its optimizer took {steps} steps"
    rng = np.random.default_rng()
    for layer in model._flatten_layers():
        for variable in layer._trainable_variables + layer._non_trainable_variables:
            asked = getattr(layer, f"{variable.name}_initializer", None)
            drawn = id(variable) in kernels or variable.name == "embeddings"
            start = None if drawn else _start(layer, variable, rng)
            if start is None or not (asked is None or isinstance(asked, CONSTANTS)):
                continue  # draws, whose start nobody can know
            if not np.allclose(keras.ops.convert_to_numpy(variable.value), start[0]):
                return f"{variable.path} is not {start[1]}"
    return ""
