"""Keras 3: schemes as initializers, and `audit` and `reinitialize` for Keras models.

``keras.layers.Dense(64, kernel_initializer=winit.keras.Initializer("he_normal", seed=0))`` draws
with `winit` in the layer's true geometry. A model is read by what it computes, not by its layers:
see `winit.reader`; `Initializer` alone must know layers, since it draws before anything is run.
"""

from __future__ import annotations

import importlib
import inspect
import math
import random
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from winit import _checks, initializers, redraw
from winit._checks import RNG
from winit.program import Array, Kernel, Site
from winit.reader import Contract

try:
    import keras
    from keras.src.trainers.compile_utils import CompileLoss  # pairs losses, targets and outputs
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
    from winit.subject import Subject as Base
else:
    Base = object

__all__ = ["Initializer", "audit", "reinitialize"]

EXAMPLES = 8
LAYERS = keras.layers
CONSTANTS = (keras.initializers.Zeros, keras.initializers.Ones, keras.initializers.Constant)
DEPTHWISE = (LAYERS.DepthwiseConv1D, LAYERS.DepthwiseConv2D)
SEPARABLE = (LAYERS.SeparableConv1D, LAYERS.SeparableConv2D)
CONVOLUTIONS = (LAYERS.Conv1D, LAYERS.Conv2D, LAYERS.Conv3D)
TRANSPOSED = (LAYERS.Conv1DTranspose, LAYERS.Conv2DTranspose, LAYERS.Conv3DTranspose)
ADDED = "Losses that layers add (add_loss) are not seen, nor what gets a gradient by them alone."
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
        self.seed = None if seed is None else _checks.size(seed, "seed", minimum=0)
        self.scheme, self.options, self._copy, self._copies = scheme, options, tuple(copy), 0
        # Python's own generator is what Keras seeds and asks.
        first = random.randint(1, 10**9) if self.seed is None else self.seed
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
            values = redraw.laid(np.empty(shape), index, drawn)
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
            layers = [layer for layer in caller._flatten_layers()
                      if any(variable is w for w in layer._trainable_variables)]  # fmt: skip
            return (layers or [caller])[0], variable.name
        frame = frame.f_back  # type: ignore[assignment]
    return None, ""


def _geometry(layer: Any, name: str, shape: tuple[int, ...]) -> Site | None:
    """What each axis of a layer's weight will be, by the kind of layer; None for a vector."""
    last = len(shape) - 1
    if last < 1:
        return None
    order: list[tuple[int, ...]] = [(), (last,), (last - 1,), tuple(range(last - 1))]
    split, gates, strides = 1, 1, getattr(layer, "strides", ())
    stride_in, stride_out = 1, math.prod(strides) if isinstance(strides, tuple) else 1
    if isinstance(layer, (LAYERS.Embedding, *DEPTHWISE)) or (
        isinstance(layer, SEPARABLE) and name.startswith("depth")
    ):
        order[0], order[2] = order[2], ()
    elif isinstance(layer, LAYERS.EinsumDense) and not name.startswith("lora"):
        order = _einsum(layer.equation)
    elif isinstance(layer, TRANSPOSED):
        order[1], order[2] = order[2], order[1]
        stride_in, stride_out = stride_out, 1
    elif isinstance(layer, CONVOLUTIONS):
        split = layer.groups
    else:
        gates = next((GATES[k.__name__] for k in type(layer).mro() if k.__name__ in GATES), 1)
    contract = Contract(order, shape, split, stride_in, stride_out)
    index = contract.index(lambda: [np.arange(math.prod(shape)).reshape(shape)])
    fan_in, fan_out = contract.fans
    return Site(name, (Kernel(name, shape, index=index),), False, fan_in, fan_out / gates,
                blocks=gates)  # fmt: skip


def _einsum(equation: str) -> list[tuple[int, ...]]:
    """Axes in all three terms are groups, new ones outputs, those that are summed inputs."""
    terms, result = equation.replace("...", "").replace(" ", "").split("->")
    data, kernel = terms.split(",")
    inputs = tuple(i for i, letter in enumerate(kernel) if letter not in result)
    outputs = tuple(i for i, letter in enumerate(kernel) if letter not in data)
    groups = tuple(i for i, letter in enumerate(kernel) if letter in data and letter in result)
    return [groups, outputs, inputs, ()]


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
        Not a Keras model, a loss's class, or a flag that is none.
    ValueError
        A model that is not built, inputs of the wrong shape or not finite, a target without a
        loss or one that does not fit, an input shape that is not known, a backend that cannot be
        read.
    """
    from winit.judge import judge  # with what it needs, when it is needed

    training, cures = _checks.flag(training, "training"), _checks.flag(cures, "cures")
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

    An optimizer's state is left alone: compile the model again after `force`.

    Parameters
    ----------
    scheme : "auto" or a scheme's name
        "auto" draws each kernel by its fans and the activation before it, the last one small; a
        name, as "he_normal", draws all by one scheme, with its `options`. What is set and what is
        left besides is said in `winit.redraw.reinitialize`.
    rng : int or numpy.random.Generator
        Draws are NumPy's: `keras.utils.set_random_seed` does not set them, and with ``rng=None``
        each call has others.
    force : bool
        Needed for a model that was trained; sets also what is frozen or was given on purpose.
    x : array, or a tuple or dict of them
        Needed where the input shape is not known. The draw is run with it, or with noise.

    Returns
    -------
    dict
        What each variable is now, by its path; "left: …" where it is as it was, and why.

    Raises
    ------
    TypeError, ValueError
        What is no model, a trained one, an unknown scheme or option. The model is as it was then.
    """
    from winit.judge import level  # with what it needs, when it is needed

    subject = _subject(model, x, None, None, False, 0)

    def as_trained(_: Any, *fresh: Mapping[str, Array]) -> Mapping[str, float]:
        """The draw is tried in training, where batch normalization does what it is there for."""
        return level(_subject(model, x, None, None, True, 0), *fresh)

    return redraw.reinitialize(subject, scheme, rng=rng, force=force, level=as_trained, **options)


class _Model(Base):
    """What only Keras knows of a model's variables; goes before a framework's `Subject`."""

    model: Any
    variables: dict[str, Any]

    def owner(self, name: str) -> Any:
        """The layer that holds a variable."""
        variable = self.variables[name]
        holds = ((layer, v) for layer in self.model._flatten_layers()
                 for v in layer._trainable_variables + layer._non_trainable_variables)  # fmt: skip
        return next((layer for layer, v in holds if v is variable), None)

    def asked(self, name: str) -> Any:
        """The initializer that the layer was given for a variable, or None."""
        return getattr(self.owner(name), f"{self.variables[name].name}_initializer", None)

    def assign(self, name: str, value: Array) -> None:
        """Set a variable."""
        variable = self.variables[name]
        variable.assign(self.like(value, variable.value))
        self.arrays[name] = variable.value

    def start(self, name: str) -> tuple[Array, str] | None:
        """The conventional start of what is no kernel, and its name; None if there is none.

        Where a layer does not say it, as one of the user's own may not, it is that of biases; and
        where it says what would be a fault. Phases of waves have none.
        """
        if name in self.program.waves:
            return None
        asked, usual = self.declared(name), super().start(name)
        return usual if asked and usual and self.crossed(name, asked[0]) else asked or usual

    def declared(self, name: str) -> tuple[Array, str] | None:
        """The start that a layer, or a variable's name, says."""
        layer, variable = self.owner(name), self.variables[name]
        own, shape = variable.name, tuple(variable.shape)
        if own == "bias" and getattr(layer, "unit_forget_bias", False):
            return np.repeat([0.0, 1.0, 0.0, 0.0], shape[0] // 4), "zeros, forget gate 1"
        asked = self.asked(name)
        if isinstance(asked, CONSTANTS):
            value = np.array(keras.ops.convert_to_numpy(asked(shape)), dtype=np.float64)
            text = "zeros" if not value.any() else "ones" if (value == 1).all() else "as asked for"
            return value, text
        normalizes = "Normalization" in type(layer).__name__
        if own in ("bias", "lora_kernel_b") or (normalizes and own in ("beta", "moving_mean")):
            return np.zeros(shape), "zeros"
        if normalizes and own in ("gamma", "moving_variance"):
            return np.ones(shape), "ones"
        return None

    def kept(self, name: str) -> str:
        """Why a variable is to be left alone, or ""."""
        layer, variable, kernel = self.owner(name), self.variables[name], name in self.used
        if layer is not None and (not layer.trainable or (kernel and not variable.trainable)):
            return "frozen"
        asked = self.asked(name)
        # One number for all is a fault, but for a single unit.
        given = isinstance(asked, keras.initializers.Constant) and (
            np.size(asked.value) > 1 or variable.shape[-1] == 1
        )
        known = type(asked).__module__.partition(".")[0] in ("keras", "winit")
        own = not (known or asked is None) or (not kernel and getattr(asked, "mean", 0.0) != 0.0)
        table = any(site.lookup and site.kernel.name == name for site in self.program.sites)
        if own and (not kernel or table):
            return "given by an initializer of its own"
        if not kernel:
            return "" if self.declared(name) else self.given(name)
        if isinstance(variable.constraint, keras.constraints.NonNeg):
            return "given, none below 0"
        return "given as a constant" if given else self.pattern(name)

    def trained(self) -> str:
        """The sign that the model was trained, or ""."""
        steps = getattr(getattr(self.model, "optimizer", None), "iterations", 0)
        if int(steps):
            return f"its optimizer took {int(steps)} steps"
        for name in sorted(self.variables.keys() - self.used):
            beside = getattr(self.owner(name), "trainable_variables", ())
            if beside and not self.variables[name].trainable:
                continue  # a call alone moves statistics, and scales beside them tell of training
            start, asked = self.declared(name), self.asked(name)
            known = asked is None or isinstance(asked, CONSTANTS)  # of draws nobody knows the start
            if start is not None and known and not np.allclose(self.value(name), start[0]):
                return f"{name} is not {start[1]}"
        return ""


def _subject(model: Any, x: Any, y: Any, loss: Any, training: bool, rng: RNG) -> Any:
    """The model as `winit.subject.Subject`, by Keras's backend."""
    if not isinstance(model, keras.Model):
        raise TypeError(f"model must be a Keras model, got {_checks.shown(model)}")
    layers = [] if getattr(model, "inputs", None) else model._flatten_layers()  # made with an Input
    # A layer that no call uses stays without weights beside others that have some.
    if not (model.built and (model.weights or all(layer.built for layer in layers))):
        raise ValueError(
            f"{model.name} is not built, so it has no weights yet: call it on data, or give it an "
            "Input"
        )
    if (backend := keras.backend.backend()) not in ("jax", "torch"):
        raise ValueError(
            f"Keras computes with {backend} here, where a model cannot be read: save it, set "
            "KERAS_BACKEND=jax, and load it again"
        )
    framework = importlib.import_module(f"winit.{backend}")

    variables = _variables(model)
    trainable = [n for n, v in variables.items() if any(v is t for t in model.trainable_variables)]
    fixed = [n for n in variables if n not in trainable]
    takes = "training" in inspect.signature(model.call).parameters
    added = list[int]()  # losses of layers, but those of weights

    def call(arrays: Mapping[str, Any], inputs: Any) -> Any:
        first, second = ([arrays[n] for n in names] for names in (trainable, fixed))
        keywords = {"training": training} if takes else {}
        try:
            with _as_built(model):
                made = model.stateless_call(first, second, inputs, return_losses=True, **keywords)
                held = sum(v.regularizer is not None for v in model.trainable_weights)
                added.append(len(made[-1]) - held)
                return made[0]
        except Exception as error:
            if x is not None:
                raise
            raise ValueError(
                f"{model.name} does not take noise of the shape of its inputs: give x, what it "
                f"takes ({error})"
            ) from error

    targets = None if y is None else keras.tree.map_structure(np.asarray, y)
    kinds = _Model, framework.Subject
    subject: Any = type("Model", kinds, {"model": model, "variables": variables})
    made = subject(model.name, call, {n: v.value for n, v in variables.items()}, _inputs(model, x),
                   loss=_loss(model, targets, loss), targets=targets, trainable=trainable, rng=rng,
                   made=x is None)  # fmt: skip
    if max(added) > 0:
        told = made.program
        made.program = replace(told, severed=(), stopped=(*told.stopped, *told.severed),
                               notes=(*told.notes, ADDED))  # fmt: skip
    return made


@contextmanager
def _as_built(model: Any) -> Iterator[None]:
    """Refuse a layer that is used and was not before, which to build would change the model.

    The losses that layers hold of their last call are put back.
    """

    def refuse(*_: Any, **__: Any) -> None:
        raise ValueError(f"{model.name} uses a layer that has no weights yet: call it on data")

    losses = [(layer, [*layer._losses], {*layer._loss_ids}) for layer in model._flatten_layers()]
    layers = [layer for layer in model._flatten_layers() if not layer.built]
    held = [(layer, vars(layer)["build"]) for layer in layers
            if type(layer).build is not keras.layers.Layer.build]  # fmt: skip
    for layer, _ in held:
        object.__setattr__(layer, "build", refuse)
    try:
        yield
    finally:
        for layer, build in held:
            object.__setattr__(layer, "build", build)
        for layer, values, ids in losses:
            layer._losses[:] = values
            layer._loss_ids.clear()
            layer._loss_ids.update(ids)


def _variables(model: Any) -> dict[str, Any]:
    """Every variable by its path, made unique."""
    variables: dict[str, Any] = {}
    for v in model.trainable_variables + model.non_trainable_variables:
        name, n = v.path, 1
        while name in variables:
            n += 1
            name = f"{v.path} ({n})"
        variables[name] = v
    return variables


def _inputs(model: Any, x: Any) -> Any:
    """The given inputs, checked; or zeros of the model's input shape, for noise to be put in."""
    known = getattr(model, "inputs", None) or []
    if x is None:
        return _zeros(model, known)
    single = all(np.ndim(part) == 0 for part in keras.tree.flatten(x))  # lists of numbers
    x = np.asarray(x) if single else keras.tree.map_structure(np.asarray, x)
    flat = keras.tree.flatten(x)
    if known and len(flat) != len(known):
        raise ValueError(f"{model.name} takes {len(known)} inputs, got {len(flat)}")
    for i, part in enumerate(flat):
        _numbers("x", part)
        if part.shape[:1] != flat[0].shape[:1]:
            raise ValueError(f"x has {len(flat[0])} examples in one input, {len(part)} in another")
        wanted = tuple(known[i].shape)[1:] if known else part.shape[1:]
        same = [w in (None, n) for w, n in zip(wanted, part.shape[1:], strict=False)]
        if len(part.shape) != len(wanted) + 1 or not all(same):
            which = f"x for {known[i].name}" if len(known) > 1 else "x"
            text = ", ".join(["examples", *map(str, wanted)])
            raise ValueError(f"{which} must have shape ({text}), got {part.shape}")
    return keras.tree.map_structure(keras.ops.convert_to_tensor, x)


def _zeros(model: Any, known: list[Any]) -> Any:
    """Zeros of the model's input shape, 8 examples where it leaves their number open."""
    if not known:
        shape = (model.get_build_config() or {}).get("input_shape")
        if not isinstance(shape, (tuple, list)) or not all(isinstance(n, int) for n in shape[1:]):
            raise ValueError(f"the input shape of {model.name} is not known: give x")
        return keras.ops.zeros((EXAMPLES, *shape[1:]))
    for tensor in known:
        if None in tensor.shape[1:]:
            shape = tuple(tensor.shape)
            raise ValueError(f"the input shape {shape} of {model.name} is open: give x")
    made = [keras.ops.zeros((t.shape[0] or EXAMPLES, *t.shape[1:]), t.dtype) for t in known]
    structure = getattr(model, "_inputs_struct", known)
    return keras.tree.pack_sequence_as(structure, made) if len(made) > 1 else made[0]


def _numbers(name: str, part: Any) -> None:
    """Refuse an array that holds no examples, or what cannot be computed with."""
    if part.dtype.kind not in "fiub" and part.dtype.name != "bfloat16":
        raise ValueError(f"{name} must hold numbers, got {part.dtype}")
    if not part.size or not np.isfinite(part.astype(np.float32)).all():
        raise ValueError(f"{name} must hold at least one example and finite values")


def _loss(model: Any, y: Any, loss: Any) -> Any:
    """A loss of outputs and targets, paired as Keras does, or None without targets."""
    if y is None:
        if loss is not None:
            raise ValueError("a loss needs targets: give y")
        return None
    loss = loss if loss is not None else getattr(model, "loss", None)
    if loss is None:
        raise ValueError("targets need a loss: give loss, or compile the model with one")
    for part in keras.tree.flatten(y):
        _numbers("y", part)

    for name in keras.tree.flatten(loss):
        if isinstance(name, type):
            _checks.loss(name, "'mse'")
        try:
            keras.losses.get(name)
        except ValueError:
            raise ValueError(f"loss must be one of Keras's, such as 'mse', got {name!r}") from None
    names = getattr(model, "output_names", None)
    return lambda outputs, y: CompileLoss(loss, output_names=names)(y, outputs)
