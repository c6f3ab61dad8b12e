"""Keras 3: schemes as initializers, and `audit` and `reinitialize` for Keras models.

``keras.layers.Dense(64, kernel_initializer=winit.keras.Initializer("he_normal", seed=0))`` draws
with `winit` in the layer's true geometry. A model is read by what it computes, not by its layers:
see `winit.program`; `Initializer` alone must know layers, since it draws before anything is run.
"""

from __future__ import annotations

import inspect
import math
import numbers
import random
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from winit import initializers, redraw
from winit._checks import RNG
from winit.program import Array, Contract, Kernel, Site

try:
    import keras
except ModuleNotFoundError as error:
    if error.name == "keras":
        reason = 'winit.keras needs Keras and a backend: pip install "winit[keras]"'
    else:
        reason = (
            f"Keras found no backend ({error.name} is not installed): set the environment variable "
            "KERAS_BACKEND to the one that you have, such as jax, before Keras is imported"
        )
    raise ImportError(reason) from None

if TYPE_CHECKING:
    from winit.report import Audit

__all__ = ["Initializer", "audit", "reinitialize"]

EXAMPLES = 8
CONSTANTS = (keras.initializers.Zeros, keras.initializers.Ones, keras.initializers.Constant)
DEPTHWISE = (keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D)
SEPARABLE = (keras.layers.SeparableConv1D, keras.layers.SeparableConv2D)
CONVOLUTIONS = (keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D)
TRANSPOSED = (
    keras.layers.Conv1DTranspose,
    keras.layers.Conv2DTranspose,
    keras.layers.Conv3DTranspose,
)
GATES = {"LSTMCell": 4, "GRUCell": 3, "ConvLSTMCell": 4}


# ------------------------------------------------------------------ the initializer


class Initializer(keras.initializers.Initializer):  # type: ignore[misc]
    """A scheme of `winit` as a Keras initializer.

    It draws in the true geometry of the layer that asks; called by hand with a shape it takes the
    last two axes as in and out, as Keras does. Every call draws on, so that layers that share one
    instance get kernels of their own, and so do the copies that Keras makes from its config
    (attention layers do): each config carries its number. The same building code gives the same
    kernels whenever it runs. A saved model needs ``import winit.keras`` before it is loaded.

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
        copy = options.pop("copy", ())  # only `from_config` gives it
        redraw.check_options(scheme, options)
        if seed is not None and (isinstance(seed, bool) or not isinstance(seed, numbers.Integral)):
            raise TypeError(f"seed must be None or a whole number, got {seed!r}")
        if seed is not None and seed < 0:
            raise ValueError(f"seed must be 0 or larger, got {seed!r}")
        self.scheme, self.seed, self.options = scheme, None if seed is None else int(seed), options
        self._copy, self._copies = tuple(copy), 0
        # Python's own generator is what Keras seeds and asks.
        first = random.randint(1, 10**9) if seed is None else int(seed)
        self._rng = np.random.default_rng(np.random.SeedSequence(first, spawn_key=self._copy))

    def __call__(self, shape: Any, dtype: Any = None) -> Any:
        """Draw a tensor of that shape for the layer that is being built."""
        shape = tuple(int(n) for n in shape)
        site = _geometry(*_asking(), shape)
        if site is None:
            values = initializers.get(self.scheme)(shape, rng=self._rng, **self.options)
        else:
            plan = redraw.Plan(self.scheme, math.nan, self.options)
            index, drawn = redraw.draw(site, plan, self._rng)
            values = np.empty(math.prod(shape))
            values[...] = drawn.reshape(-1) if index is None else values
            if index is not None:
                values[index] = drawn
            values = values.reshape(shape)
        return keras.ops.convert_to_tensor(values, dtype=dtype or keras.config.floatx())

    def get_config(self) -> dict[str, Any]:
        """What Keras saves, and copies from: each time for another copy."""
        self._copies += 1
        copy = [*self._copy, self._copies]
        return {"scheme": self.scheme, "seed": self.seed, "copy": copy, **self.options}

    def __repr__(self) -> str:
        options = "".join(f", {name}={value!r}" for name, value in self.options.items())
        return f"winit.keras.Initializer({self.scheme!r}, seed={self.seed!r}{options})"


# Called, not put above the class: the book is built without Keras, where it would hide the class.
keras.saving.register_keras_serializable(package="winit")(Initializer)


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


def _geometry(layer: Any, name: str, shape: tuple[int, ...]) -> Site | None:
    """What each axis of a layer's weight will be, by the kind of layer; None for a vector."""
    rank, last = len(shape), len(shape) - 1
    if rank < 2:
        return None
    order: list[tuple[int, ...]] = [(), (last,), (last - 1,), tuple(range(last - 1))]
    split, gates, strides = 1, 1, getattr(layer, "strides", ())
    stride_in, stride_out = 1, math.prod(strides) if isinstance(strides, tuple) else 1
    if isinstance(layer, keras.layers.Embedding):
        order[0], order[2] = order[2], ()
    elif isinstance(layer, keras.layers.EinsumDense) and not name.startswith("lora"):
        order = [*_einsum(layer.equation), ()]
    elif isinstance(layer, DEPTHWISE) or (isinstance(layer, SEPARABLE) and name[:5] == "depth"):
        order[0], order[2] = order[2], ()
    elif isinstance(layer, TRANSPOSED):
        order[1], order[2] = order[2], order[1]
        stride_in, stride_out = stride_out, 1
    elif isinstance(layer, CONVOLUTIONS):
        split = layer.groups
    else:
        kinds = [kind.__name__ for kind in type(layer).mro()]
        gates = next((GATES[kind] for kind in kinds if kind in GATES), 1)
    contract = Contract(order, shape, split, stride_in, stride_out)

    def index() -> Array:
        return contract.arrange(np.arange(math.prod(shape)).reshape(shape))

    fan_in, fan_out = contract.fans
    return Site(name, (Kernel(name, shape, index=index),), False, fan_in, fan_out / gates,
                blocks=gates)  # fmt: skip


def _einsum(equation: str) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """Axes in all three terms are groups, new ones outputs, those that are summed inputs."""
    terms, result = equation.replace("...", "").replace(" ", "").split("->")
    data, kernel = terms.split(",")
    inputs = tuple(i for i, letter in enumerate(kernel) if letter not in result)
    outputs = tuple(i for i, letter in enumerate(kernel) if letter not in data)
    groups = tuple(i for i, letter in enumerate(kernel) if letter in data and letter in result)
    return groups, outputs, inputs


# ------------------------------------------------------------------ models


def audit(
    model: Any,
    x: Any = None,
    y: Any = None,
    loss: Any = None,
    *,
    training: bool = True,
    cures: bool = True,
    rng: RNG = 0,
) -> Audit:
    """Measure how a built model starts, site by site, and say what is wrong and what cures it.

    Parameters
    ----------
    model : keras.Model
        Built, and of any kind.
    x : inputs as the model takes them
        By default 8 examples of unit Gaussian noise (as it is after a built-in rescaling), of
        random tokens where a table is looked up.
    y, loss : targets, and a Keras loss or its name, or those of several outputs
        By default what goes back is a random direction at the outputs.
    training : bool
        As in the first step of training, or in inference: what BatchNormalization and Dropout do.
    cures : bool
        False does not run what the named cure would do.
    rng : seed or generator
        For inputs and direction; the same seed gives the same report.

    Raises
    ------
    TypeError
        Not a Keras model.
    ValueError
        A model that is not built, inputs of the wrong shape or not finite, a target without a
        loss, an input shape that is not known, a backend that cannot be read.
    """
    from winit.judge import judge  # with what it needs, when it is needed

    return judge(_subject(model, x, y, loss, training, rng), cures=cures)


def reinitialize(
    model: Any,
    scheme: str = "auto",
    *,
    rng: RNG = None,
    force: bool = False,
    x: Any = None,
    **options: Any,
) -> dict[str, str]:
    """Draw every kernel by its site, and put the other weights at their conventional start.

    See `winit.redraw.reinitialize`. An optimizer's state is left alone: compile the model again
    after `force`. `x` is needed where the model's input shape is not known; its values do not
    matter.
    """
    subject = _subject(model, x, None, None, False, 0)
    return redraw.reinitialize(subject, scheme, rng=rng, force=force, **options)


def _subject(model: Any, x: Any, y: Any, loss: Any, training: bool, rng: RNG) -> Any:
    """The model as `winit.program.Subject`, by Keras's backend."""
    if not isinstance(model, keras.Model):
        raise TypeError(f"model must be a Keras model, got {type(model).__name__}")
    if not model.built or not all(layer.built for layer in model._flatten_layers()):
        raise ValueError(
            f"{model.name} is not built, so it has no weights yet: call it on data, or give it an "
            "Input"
        )
    backend = keras.backend.backend()
    if backend != "jax":
        raise ValueError(
            f"Keras computes with {backend} here, where a model cannot be read: save it, set "
            "KERAS_BACKEND=jax, and load it again"
        )
    from winit import jax  # only where it is the backend

    given, target = _given(model, x), _target(model, y, loss)
    variables, owners = _variables(model)

    class Model(jax.Subject):
        """A Keras model on JAX."""

        @property
        def sites(self) -> set[str]:
            """The kernels that data meets."""
            return {kernel.name for site in self.program.sites for kernel in site.kernels}

        def assign(self, name: str, value: Array) -> None:
            variable = variables[name]
            variable.assign(self.like(value, variable.value))
            self.arrays[name] = variable.value

        def start(self, name: str) -> tuple[Array, str] | None:
            return _start(owners[name], variables[name])

        def kept(self, name: str) -> str:
            return _kept(owners[name], variables[name], name in self.sites)

        def trained(self) -> str:
            return _trained(model, self, variables, owners)

    trainable = [n for n, v in variables.items() if any(v is t for t in model.trainable_variables)]
    fixed = [n for n in variables if n not in trainable]
    takes = "training" in inspect.signature(model.call).parameters
    keywords = {"training": training} if takes else {}

    def call(arrays: Mapping[str, Any], inputs: Any) -> Any:
        first, second = ([arrays[n] for n in names] for names in (trainable, fixed))
        return model.stateless_call(first, second, inputs, **keywords)[0]

    arrays = {n: v.value for n, v in variables.items()}
    targets = None if y is None else keras.tree.map_structure(np.asarray, y)
    return Model(model.name, call, arrays, given, loss=target, targets=targets,
                 trainable=trainable, rng=rng, made=x is None)  # fmt: skip


def _variables(model: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Every variable by its path, made unique, and the layer that owns it."""
    variables: dict[str, Any] = {}
    owners: dict[str, Any] = {}
    layers = {
        id(v): layer
        for layer in model._flatten_layers()
        for v in layer._trainable_variables + layer._non_trainable_variables
    }
    for v in model.trainable_variables + model.non_trainable_variables:
        name, n = v.path, 1
        while name in variables:
            n += 1
            name = f"{v.path} ({n})"
        variables[name], owners[name] = v, layers.get(id(v))
    return variables, owners


def _given(model: Any, x: Any) -> Any:
    """The given inputs, checked; or zeros of the model's input shape, for noise to be put in."""
    known = getattr(model, "inputs", None)
    if x is not None:
        x = keras.tree.map_structure(np.asarray, x)
        flat = keras.tree.flatten(x)
        if known and len(flat) != len(known):
            raise ValueError(f"{model.name} takes {len(known)} inputs, got {len(flat)}")
        for i, part in enumerate(flat):
            _numbers("x", part)
            if len(part) != len(flat[0]):
                raise ValueError(
                    f"x has {len(flat[0])} examples in one input, {len(part)} in another"
                )
            if known:
                _fits(known, i, part)
        return keras.tree.map_structure(keras.ops.convert_to_tensor, x)
    if not known:
        shape = (model.get_build_config() or {}).get("input_shape")
        if not isinstance(shape, (tuple, list)) or not all(isinstance(n, int) for n in shape[1:]):
            raise ValueError(f"the input shape of {model.name} is not known: give x")
        return keras.ops.zeros((EXAMPLES, *shape[1:]))
    made = []
    for tensor in known:
        if None in tensor.shape[1:]:
            raise ValueError(
                f"the input shape {tuple(tensor.shape)} of {model.name} is open: give x"
            )
        made.append(keras.ops.zeros((tensor.shape[0] or EXAMPLES, *tensor.shape[1:]), tensor.dtype))
    structure = getattr(model, "_inputs_struct", known)
    return keras.tree.pack_sequence_as(structure, made) if len(made) > 1 else made[0]


def _fits(known: Sequence[Any], i: int, part: Any) -> None:
    """Refuse an input that has not the shape of the model's own."""
    wanted = tuple(known[i].shape)[1:]
    sizes = zip(wanted, part.shape[1:], strict=False)
    if len(part.shape) != len(wanted) + 1 or not all(w in (None, n) for w, n in sizes):
        text = ", ".join(["examples", *map(str, wanted)])
        which = f"x for {known[i].name}" if len(known) > 1 else "x"
        raise ValueError(f"{which} must have shape ({text}), got {part.shape}")


def _numbers(name: str, part: Any) -> None:
    """Refuse an array that holds no examples, or what cannot be computed with."""
    if part.dtype.kind not in "fiub" and part.dtype.name != "bfloat16":
        raise ValueError(f"{name} must hold numbers, got {part.dtype}")
    if not part.size or not np.isfinite(part.astype(np.float32)).all():
        raise ValueError(f"{name} must hold at least one example and finite values")


def _target(model: Any, y: Any, loss: Any) -> Any:
    """A loss of outputs and targets, paired by name as Keras does, or None without targets."""
    if y is None:
        if loss is not None:
            raise ValueError("a loss needs targets: give y")
        return None
    loss = loss if loss is not None else getattr(model, "loss", None)
    if loss is None:
        raise ValueError("targets need a loss: give loss, or compile the model with one")
    for part in keras.tree.flatten(keras.tree.map_structure(np.asarray, y)):
        _numbers("y", part)
    order = getattr(model, "output_names", None)

    def value(outputs: Any, targets: Any) -> Any:
        named = isinstance(outputs, Mapping)
        flat = list(outputs.values()) if named else keras.tree.flatten(outputs)
        names = list(outputs) if named else order if order and len(order) == len(flat) else None
        ys, losses = _each(targets, names, flat), _each(loss, names, flat, spread=True)
        if not len(flat) == len(ys) == len(losses):
            raise ValueError(
                f"{model.name} has {len(flat)} outputs, got {len(ys)} targets and "
                f"{len(losses)} losses"
            )
        total = 0.0
        for one, target, output in zip(losses, ys, flat, strict=True):
            if one is None:
                continue
            if len(target) != len(output):
                raise ValueError(f"y has {len(target)} examples, x has {len(output)}")
            total += keras.ops.mean(keras.losses.get(one)(target, output))
        return total

    return value


def _each(given: Any, names: Any, outputs: Sequence[Any], spread: bool = False) -> list[Any]:
    """What belongs to each output: by name, in order, or one for all."""
    if isinstance(given, Mapping):
        keys = names if names and set(given) <= set(names) else sorted(given)
        return [given.get(key) for key in keys]
    if isinstance(given, (list, tuple)):
        return list(given)
    return [given] * len(outputs) if spread else [given]


# ------------------------------------------------------------------ weights that are no kernels


def _start(layer: Any, variable: Any) -> tuple[Array, str] | None:
    """The conventional start of a weight that is no kernel, and its name; None to leave it."""
    name, shape = variable.name, tuple(variable.shape)
    if name == "lora_kernel_b":  # then the layer is at first as it was without
        return np.zeros(shape), "zeros"
    if name == "bias" and getattr(layer, "unit_forget_bias", False):
        return np.repeat([0.0, 1.0, 0.0, 0.0], shape[0] // 4), "zeros, forget gate 1"
    asked = getattr(layer, f"{name}_initializer", None)
    if isinstance(asked, CONSTANTS):
        value = np.array(keras.ops.convert_to_numpy(asked(shape)), dtype=np.float64)
        text = "zeros" if not value.any() else "ones" if (value == 1).all() else "as asked for"
        return value, text
    normalizes = "Normalization" in type(layer).__name__
    if name == "bias" or (normalizes and name in ("beta", "moving_mean")):
        return np.zeros(shape), "zeros"
    if normalizes and name in ("gamma", "moving_variance"):
        return np.ones(shape), "ones"
    return None


def _kept(layer: Any, variable: Any, kernel: bool) -> str:
    """Why a weight is not to be drawn: frozen, or given by the user."""
    if layer is not None and (not layer.trainable or (kernel and not variable.trainable)):
        return "frozen"
    asked = getattr(layer, f"{variable.name}_initializer", None)
    if kernel and isinstance(asked, keras.initializers.Constant) and np.size(asked.value) > 1:
        return "given as a constant"
    return ""


def _trained(model: Any, subject: Any, variables: Any, owners: Any) -> str:
    """The sign that a model was trained, or nothing."""
    optimizer = getattr(model, "optimizer", None)
    if optimizer is not None and (steps := int(optimizer.iterations)):
        return f"its optimizer took {steps} steps"
    for name, variable in variables.items():
        asked = getattr(owners[name], f"{variable.name}_initializer", None)
        start = None if name in subject.sites else _start(owners[name], variable)
        if start is None or not (asked is None or isinstance(asked, CONSTANTS)):
            continue  # draws, whose start nobody can know
        if not np.allclose(subject.value(name), start[0]):
            return f"{variable.path} is not {start[1]}"
    return ""
