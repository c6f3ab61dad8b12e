"""Call everything public in the NumPy core with arguments that mostly fit, and some that do not.

``python tests/fuzz.py --calls 20000 --seed 20261126`` prints each kind of failure with its count
and one call that shows it; ``--only 17`` makes call 17 of that seed and shows its traceback;
``--target theory`` keeps to what has that in its name. To try another copy of the package, put its
folder first: ``PYTHONPATH=folder python tests/fuzz.py``.

What is called is found by looking into the modules, so a new function is covered without being
listed; a new parameter is filled by its name (`FITTING`), or else by its annotation (`by_type`).
Every call of a seed depends on the seed and the call's number alone.

What each call must do:

* Return, or raise TypeError or ValueError (those themselves, or a class of winit's own) by a
  ``raise`` in winit, in at most 600 characters that name an argument of the function, or a
  parameter such as W1. Python's own TypeError for keywords that a function does not have is fine.
* An exception that comes from inside a *function* of the caller's (an activation, a loss, an
  initializer) may pass through as it is, or be wrapped. What goes wrong because such a function is
  not what it should be (it takes other arguments, returns something else) is winit's to say. So is
  a special method of the caller's that fails (``__float__``, ``__array__``, ``__repr__``, …): an
  argument that cannot be read is a bad argument.
* Warn of nothing, print nothing (`show` and progress bars aside), change no argument (a stream of
  random numbers, an iterator, axes to draw on and a figure to show aside), and change no global
  state: NumPy's and Python's random state, error handling, print options, Matplotlib's settings and
  open figures, environment, warning filters, loaded modules (new ones aside), winit's own tables.
* Return what its annotation says: plain arrays of real floats, Python's own floats; finite numbers
  from initializers, no NaN from theory and diagnosis; a figure that can be drawn.
* Take at most 5 s of processor time (10 s where np.vectorize computes one number at a time), and
  at most about 1 GB more than before.

Not tried, since nothing can be done about it: activations that change their mind from call to call,
objects that make isinstance fail, sequences without an end, and sound orders that would take for
ever (a billion epochs) or more memory than there is here.
"""

from __future__ import annotations

import argparse
import contextlib
import dis
import functools
import importlib
import inspect
import io
import linecache
import math
import os
import pkgutil
import random
import re
import signal
import sys
import threading
import time
import traceback
import typing
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FrameType, TracebackType
from typing import Any

import hostile
import matplotlib as mpl
import numpy as np
import scipy.optimize
import scipy.special  # noqa: F401
import tqdm  # noqa: F401
from IPython.core.interactiveshell import InteractiveShell
from matplotlib.figure import Figure

import winit

SEED = 20261126
LONGEST_MESSAGE = 600
LONGEST_TIME = 5.0  # seconds of processor time; twice that where np.vectorize takes most of them
HANGING = 15.0  # seconds of processor time after which a call is broken off
MEMORY = 2**30
# What reads and judges models, and takes no numbers of a caller: not the NumPy core.
OF_MODELS = {
    *("jax", "judge", "keras", "program", "reader", "redraw", "report", "subject", "torch")
}
PACKAGE = str(Path(winit.__file__).parent) + os.sep
CALLER = {str(Path(hostile.__file__)), "<fuzz>"}  # where the caller's own functions are written
bfloat16: Any = hostile.bfloat16  # type: ignore[attr-defined]
NAMESPACE: dict[str, Any] = {name: getattr(hostile, name) for name in hostile.__all__}

Random = np.random.Generator


# ---- what there is to call


@dataclass(frozen=True)
class Target:
    """Something to call: the expression it is found by, its parameters, how often it is called."""

    source: str
    module: str
    name: str
    parameters: tuple[inspect.Parameter, ...]
    returns: str
    weight: float

    @property
    def key(self) -> str:
        return f"{self.module}.{self.name}"


# Objects whose methods are called, beside those that stand in the modules.
RECEIVERS = {
    "Activation": [
        "winit.activations.leaky_relu({number})",
        "winit.activations.get(gentle)",
        "winit.activations.Activation('gentle', gentle, gentle_slope)",
    ]
}
# How often relative to 1: what is slow, or one of many that are alike, is called less.
WEIGHTS = {
    r"plots\.(?!color)\w+": 0.25,
    r"theory\.(critical_line|c_star|xi_c|c_curve|phase_diagram)": 0.5,
    r"theory\.(c_map|c_slope)": 0.7,
    r"activations\.\w+(\.\w+)?": 0.2,
    r"activations\.(get|leaky_relu|Activation.*)": 1.5,
    r"\w+\.[A-Z]\w*": 0.2,
    r"network\.(sgd|backward)": 3.0,
    r"network\.\w+": 2.0,
    r"blocks\.\w+": 1.5,
    r"diagnostics\.\w+": 2.0,
    r"initializers\.\w+": 1.0,
}


def weight(key: str) -> float:
    return next((value for form, value in WEIGHTS.items() if re.fullmatch(form, key)), 1.0) * (
        0.2 if re.fullmatch(r"\w+\.[A-Z]\w*", key) and "Activation" not in key else 1.0
    )


def core_modules() -> list[str]:
    """The names of winit's public modules for numbers."""
    names = [module.name for module in pkgutil.iter_modules(winit.__path__)]
    return sorted(name for name in names if not name.startswith("_") and name not in OF_MODELS)


def parameters(function: Any, module: Any) -> tuple[inspect.Parameter, ...]:
    """The function's parameters; ``**draw: Unpack[Draw]`` becomes the keywords of `Draw`."""
    found = []
    for parameter in inspect.signature(function).parameters.values():
        kept = re.fullmatch(r"(?:\w+\.)?Unpack\[(\w+)\]", str(parameter.annotation))
        if parameter.kind is parameter.VAR_KEYWORD and kept:
            keywords = getattr(module, kept[1])
            for name, annotation in keywords.__annotations__.items():
                text = getattr(annotation, "__forward_arg__", str(annotation))
                found.append(
                    inspect.Parameter(
                        name, parameter.KEYWORD_ONLY, default=None, annotation=str(text)
                    )
                )
        elif parameter.kind is not parameter.VAR_KEYWORD:
            found.append(parameter)
    return tuple(found)


def public_methods(kind: type) -> list[str]:
    """``__call__`` as an empty name, and the methods without underscore that winit wrote."""
    methods = [""] if "__call__" in vars(kind) else []
    for name, value in vars(kind).items():
        if not name.startswith("_") and inspect.isfunction(value):
            methods.append(f".{name}")
    return methods


@functools.cache
def targets() -> tuple[Target, ...]:
    """Every public callable of the core: functions, records, objects with methods."""
    found: dict[str, Target] = {}

    def add(source: str, module: Any, name: str, function: Any) -> None:
        short = module.__name__.rpartition(".")[2]
        annotation = inspect.signature(function).return_annotation
        returns = function.__name__ if inspect.isclass(function) else str(annotation)
        found[source] = Target(
            source, short, name, parameters(function, module), returns, weight(f"{short}.{name}")
        )

    for short in core_modules():
        module = importlib.import_module(f"winit.{short}")
        for name, value in vars(module).items():
            if name.startswith("_") or not callable(value) or typing.is_typeddict(value):
                continue
            kind = value if inspect.isclass(value) else type(value)
            home = value.__module__ if inspect.isfunction(value) else kind.__module__
            if inspect.isroutine(value) or inspect.isclass(value):
                if getattr(value, "__module__", None) != module.__name__:
                    continue
                add(f"winit.{short}.{name}", module, name, value)
                for method in public_methods(value) if inspect.isclass(value) else ():
                    for i, receiver in enumerate(RECEIVERS.get(name, ())):
                        made = receiver.format(number=0.1)
                        bound = evaluate(made + method)
                        add(made + method, module, f"{name}{method or '.__call__'} {i}", bound)
            elif home.startswith("winit.") and home == module.__name__:
                for method in public_methods(kind):
                    bound = evaluate(f"winit.{short}.{name}{method}")
                    add(f"winit.{short}.{name}{method}", module, f"{name}{method}", bound)
    return tuple(found.values())


def evaluate(expression: str) -> Any:
    """The value of an expression over the names of `hostile`, as the caller's own code."""
    return eval(compiled(expression), NAMESPACE)


@functools.lru_cache(maxsize=200)
def compiled(expression: str) -> Any:
    return compile(expression, "<fuzz>", "eval")


# ---- arguments that fit


@dataclass
class Scene:
    """What the arguments of one call share, so that they fit together."""

    random: Random
    sizes: list[int] = field(init=False)
    examples: int = field(init=False)
    seed: int = field(init=False)
    dtype: str = field(init=False)
    labels: bool = field(init=False)
    shape: list[int] = field(init=False)
    count: int = field(init=False)
    axes: dict[str, str] = field(init=False)
    needed: set[str] = field(init=False)  # keywords without which the rest does not fit

    def __post_init__(self) -> None:
        draw = self.random
        self.sizes = [int(n) for n in draw.integers(1, 6, draw.integers(2, 5))]
        self.examples = int(draw.integers(1, 6))
        self.seed = int(draw.integers(1000))
        self.dtype = self.pick("f8", "f8", "f8", "f8", "f4", "f2", "longdouble")
        self.labels = bool(draw.random() < 0.6)
        self.shape = [int(n) for n in draw.integers(1, 6, self.pick(2, 2, 2, 3, 4))]
        self.count = int(draw.integers(1, 4))
        self.needed = set() if self.labels else {"loss"}
        self.axes = self.layout()

    def layout(self) -> dict[str, str]:
        """Which axes are inputs, outputs and groups: winit's own order or any other."""
        rank = len(self.shape)
        order = list(range(rank))
        if self.chance(0.6):
            parts = [[1], [0], []]
        else:
            self.random.shuffle(order)
            parts = [order[:1], order[1:2], order[2:3] if self.chance(0.3) else []]
            self.needed |= {"in_axis", "out_axis"}
        forms = []
        for part in parts:
            signed = [axis - rank if self.chance(0.3) else axis for axis in part]
            single = len(signed) == 1 and self.chance(0.8)
            forms.append(str(signed[0]) if single else str(tuple(signed)))
        return dict(zip(("in_axis", "out_axis", "batch_axis"), forms, strict=True))

    def pick(self, *values: Any) -> Any:
        return values[int(self.random.integers(len(values)))]

    def chance(self, probability: float) -> bool:
        return bool(self.random.random() < probability)

    def other(self) -> int:
        return int(self.random.integers(1000))


def real(low: float = 1e-3, high: float = 10.0, *special: str) -> Callable[[Scene], str]:
    """A positive number, spread evenly over the orders of magnitude, in one of several types."""

    def make(scene: Scene) -> str:
        if scene.chance(0.12):
            return str(scene.pick("1e-300", "1e300", "5e-324", "1e-160", "1e150", "1e-12", "1e16"))
        if special and scene.chance(0.4):
            return str(scene.pick(*special))
        value = float(np.exp(scene.random.uniform(np.log(low), np.log(high))))
        form = scene.pick("{}", "{}", "{}", "np.float64({})", "np.float32({})")
        return str(form).format(f"{value:.3g}")

    return make


def whole(low: int, high: int) -> Callable[[Scene], str]:
    def make(scene: Scene) -> str:
        value = int(scene.random.integers(low, high + 1))
        return str(scene.pick("{}", "{}", "{}", "np.int64({})")).format(value)

    return make


def one_of(*expressions: str) -> Callable[[Scene], str]:
    return lambda scene: str(scene.pick(*expressions))


def sequence(numbers: list[int], scene: Scene) -> str:
    form = scene.pick("({},)", "({},)", "[{}]", "np.array([{}])", "np.int64([{}])")
    return str(form).format(", ".join(map(str, numbers)))


def activation(scene: Scene) -> str:
    named = [repr(name) for name in winit.activations.ACTIVATIONS]
    own = [
        "winit.activations.tanh", "winit.activations.leaky_relu(0.2)", "gentle", "np.tanh",
        "winit.activations.Activation('gentle', gentle, gentle_slope)", "lambda x: x * 1.5",
        "lambda x: np.maximum(x, 0)", "np.arctan", "winit.activations.relu",
        "winit.activations.Activation('bent', abs, np.sign, (0.0,))",
    ]  # fmt: skip
    return str(scene.pick(*named) if scene.chance(0.7) else scene.pick(*own))


def network_params(scene: Scene) -> str:
    scale = scene.pick(
        1.0, 1.0, 1.0, 1.0, 0.1, 5.0, 0, *(() if scene.dtype == "f2" else (1e6, 1e-6))
    )
    return f"params({scene.sizes}, {scene.seed}, {scene.dtype!r}, {scale})"


def stack(scene: Scene) -> str:
    """Parameters of `winit.blocks`, as wide as the data and with as many outputs as classes."""
    width, classes = scene.sizes[0], scene.sizes[-1]
    return f"stack({width}, {classes}, {scene.seed}, {scene.dtype!r}, {scene.chance(0.4)})"


def stack_trace(scene: Scene) -> str:
    return (
        f"stack_trace({scene.sizes[0]}, {scene.sizes[-1]}, {scene.seed}, {scene.dtype!r}, "
        f"{scene.examples}, {activation(scene)}, {RESIDUAL(scene)}, {NORM(scene)})"
    )


def data(scene: Scene) -> str:
    made = f"array(({scene.examples}, {scene.sizes[0]}), {scene.other()}, {scene.dtype!r})"
    return str(scene.pick("{}", "{}", "{}", "{}.tolist()")).format(made)


def outputs(scene: Scene) -> str:
    return f"array(({scene.examples}, {scene.sizes[-1]}), {scene.other()}, {scene.dtype!r})"


def target(scene: Scene) -> str:
    return class_labels(scene) if scene.labels else outputs(scene)


def class_labels(scene: Scene) -> str:
    made = f"labels({scene.examples}, {scene.sizes[-1]}, {scene.other()})"
    return str(scene.pick("{}", "{}", "{}.tolist()", "{}.astype('i1')")).format(made)


def loss(scene: Scene) -> str:
    if scene.labels:
        return str(scene.pick("'softmax_cross_entropy'", "winit.network.softmax_cross_entropy"))
    return str(scene.pick("'mean_squared'", "winit.network.mean_squared", "squared"))


def any_array(scene: Scene) -> str:
    shape = scene.pick((), (3,), (2, 3), (2, 1, 2), (0,), (1, 4))
    made = f"array({shape}, {scene.other()}, {scene.dtype!r})"
    forms = ["{}", "{}", "1e4 * {}", "1e-4 * {}", "50 * {}", "{}.tolist()", "{}.astype(int)"]
    return str(scene.pick(*forms, "0.7", "3", "[1.0, -2.0]", "{}.astype(bfloat16)")).format(made)


def table(scene: Scene) -> str:
    """A matrix, rows × columns; as many as `rows` and `columns` name."""
    return f"array(({scene.examples}, {scene.sizes[0]}), {scene.other()}, {scene.dtype!r})"


def words(count: int) -> str:
    return str([f"word {i}" for i in range(count)])


def named(scene: Scene, *shapes: tuple[int, ...]) -> str:
    return f"curves({scene.count}, {scene.pick(*shapes)}, {scene.seed})"


def layers_of_values(scene: Scene) -> str:
    made = [f"array(({scene.examples}, {n}), {scene.other()})" for n in scene.sizes]
    return "[" + ", ".join(made) + "]"


def densities(scene: Scene) -> str:
    return "{'He': (np.linspace(-2, 2, 9), np.full(9, 0.25))}"


TEXT = one_of("'z'", "'layer'", "'second moment of $z$'", "'ξ'", "'a'")
AXES = one_of("None", "axes()", "axes()")
LIMITS = one_of("None", "(-3, 3)", "(0.0, 1.5)", "[-1, 2]")
COLORS = one_of("None", "{}", "{'my own': '#123456'}", "{'He': 'red', 'Glorot': 'C1'}")


def started(scene: Scene) -> str:
    """A function that makes a network of any width for `coordinate_check`."""
    drawn = scene.pick("winit.he_normal, rng", "winit.zeros", "winit.lecun_normal, 3, dtype='f4'")
    hidden = scene.pick("width", "width, width", "width, 2, width")
    sizes = f"[{scene.sizes[0]}, {hidden}, {scene.sizes[-1]}]"
    return f"lambda width, rng: winit.network.init_params({sizes}, {drawn})"


def rates(scene: Scene) -> str:
    """A learning rate, for all parameters or one each."""
    one = real(1e-3, 1, "0.1", "1", "1e5")(scene)
    if scene.chance(0.7):
        return one
    names = [f"{kind}{i}" for i in range(1, len(scene.sizes)) for kind in "Wb"]
    return "{" + ", ".join(f"{name!r}: {one}" for name in names) + "}"


STREAM = one_of(
    "None", "0", "7", "np.int64(3)", "np.random.default_rng(5)", "np.random.RandomState(5)",
    "np.random.Generator(np.random.MT19937(1))", "2**70",
)  # fmt: skip
DTYPE = one_of(
    "np.float64", "float", "'f4'", "np.float16", "'longdouble'", "np.dtype('f4')", "bfloat16",
    "'float32'", "'>f8'", "'f2'",
)  # fmt: skip
RESIDUAL = one_of("'none'", "'plain'", "'scaled'", "'zero'")
NORM = one_of("'none'", "'layer'", "'batch'")
POSITIVE = real(1e-2, 10, "1", "1.0", "2", "0.5")

# How a parameter is filled: by "function.parameter", else by its name alone.
FITTING: dict[str, Callable[[Scene], str]] = {
    "shape": lambda scene: sequence(scene.shape, scene),
    "layer_sizes": lambda scene: sequence(scene.sizes, scene),
    "rng": STREAM,
    "dtype": DTYPE,
    "in_axis": lambda scene: scene.axes["in_axis"],
    "out_axis": lambda scene: scene.axes["out_axis"],
    "batch_axis": lambda scene: scene.axes["batch_axis"],
    "mode": one_of("'fan_in'", "'fan_out'", "'fan_avg'"),
    "distribution": one_of("'normal'", "'truncated_normal'", "'uniform'"),
    "truncated": one_of("True", "False", "True"),
    "scale": POSITIVE,
    "gain": POSITIVE,
    "std": POSITIVE,
    "limit": POSITIVE,
    "value": real(1e-2, 10, "0", "-1.5", "1"),
    "negative_slope": real(1e-3, 2, "0", "0.01", "1", "-0.2"),
    "leaky_relu.slope": real(1e-3, 2, "0", "0.01", "1", "-0.2"),
    "get.name": lambda scene: repr(scene.pick(*winit.initializers.SCHEMES)),
    "activation": activation,
    "q": real(1e-6, 1e4, "1", "1.0", "0.5", "2"),
    "q0": real(1e-6, 1e4, "1", "0.1", "0", "5"),
    "c": one_of("0", "0.5", "-0.3", "1", "-1", "0.99", "1.0", "1e-9", "0.9999999"),
    "qs": one_of("[1.0]", "np.linspace(0.1, 2, 5)", "np.geomspace(1e-6, 1e6, 4)", "(0.5, 3)"),
    "cs": one_of("[0, 0.5, 1]", "np.linspace(-1, 1, 5)", "(0.2,)", "np.float32([0.9, 0.99])"),
    "sigmas_w": one_of("[1.0, 1.5]", "np.linspace(0.2, 5, 4)", "(2**0.5,)", "[1, 20]"),
    "sigmas_b": one_of("[0.0, 0.1]", "np.linspace(0, 1, 3)", "(0.3,)", "[1e-3, 5]"),
    "sigma_w": real(0.1, 5, "1", "1.0", "2**0.5", "1.5", "2", "0.9"),
    "sigma_b": real(1e-4, 1, "0", "0.0", "0.3", "0.05", "0.1"),
    "params": network_params,
    "blocks.params": stack,
    "blocks.trace": stack_trace,
    "residual": RESIDUAL,
    "norm": NORM,
    "z": table,
    "scalars": one_of("False", "False", "True"),
    "x": data,
    "activations.x": any_array,
    "jacobian.x": lambda scene: f"array(({scene.sizes[0]},), {scene.other()})",
    "jacobian_singular_values.x": lambda scene: f"array(({scene.sizes[0]},), {scene.other()})",
    "target": target,
    "mean_squared.target": outputs,
    "softmax_cross_entropy.target": class_labels,
    "output": outputs,
    "trace": lambda scene: (
        f"trace({scene.sizes}, {scene.seed}, {scene.dtype!r}, {scene.examples}, "
        f"{activation(scene)})"
    ),
    "output_gradient": outputs,
    "loss": loss,
    "learning_rate": rates,
    "start": started,
    "widths": one_of("(2, 3)", "[4, 1, 9]", "range(2, 5)", "np.array([8, 2])"),
    "optimizer": one_of("'adam'", "'sgd'"),
    "steps": whole(1, 4),
    "nets": whole(1, 3),
    "coordinate_check.learning_rate": one_of(
        "0.1",
        "1e5",
        "lambda params: dict.fromkeys(params, 0.1)",
        "lambda params: {name: 1 / params[name].size for name in params}",
    ),
    "momentum": one_of("0", "0.9", "0.0", "0.5", "0.99"),
    "clip": one_of("None", "1.0", "1", "0.1", "1e6"),
    "batch_size": whole(1, 8),
    "epochs": whole(1, 3),
    "progress": one_of("False", "False", "False", "True"),
    "jacobian": one_of("False", "True"),
    "initializer": one_of(
        "winit.he_normal",
        "winit.glorot_uniform",
        "winit.orthogonal",
        "layer_normal",
        "winit.zeros",
        "functools.partial(winit.normal, std=0.1)",
        "winit.identity",
        "winit.get('lecun_normal')",
    ),
    "values": table,
    "second_moment.values": any_array,
    "tolerance": one_of("1e-9", "0", "0.1", "1e-3", "1"),
    "Activation.name": one_of("'gentle'", "'my own'"),
    "Activation.function": one_of("gentle", "np.tanh"),
    "Activation.slope": one_of("gentle_slope", "lambda x: 1 - np.tanh(x) ** 2"),
    "kinks": one_of("()", "(0.0,)", "(-1.0, 2.0)", "[0]"),
    "curves": lambda scene: named(scene, (5,), (1,), (3, 5), (30,)),
    "functions.curves": lambda scene: named(scene, (7,)),
    "functions.x": one_of("np.linspace(-2, 2, 7)", "list(range(7))"),
    "by_layer.theory": lambda scene: scene.pick("None", "curves(1, (5,), 4)"),
    "runs": lambda scene: named(scene, (8,), (3, 8), (1,), (40,)),
    "spectra.values": lambda scene: named(scene, (4,), (1,), (12,)),
    "matrices.values": lambda scene: named(scene, (3, 4), (1, 1), (8, 8)),
    "samples": lambda scene: named(scene, (40,), (3, 9), (2,)),
    "density": densities,
    "layers": layers_of_values,
    "rows": whole(1, 3),
    "columns": whole(1, 3),
    "heatmap.rows": lambda scene: words(scene.examples),
    "heatmap.columns": lambda scene: words(scene.sizes[0]),
    "texts": lambda scene: str([["a"] * scene.sizes[0]] * scene.examples),
    "names": lambda scene: words(len(scene.sizes)),
    "weights": lambda scene: f"params({scene.sizes}, {scene.seed})",
    "limits": LIMITS,
    "colors": COLORS,
    "color": one_of("None", "'#123456'", "'red'"),
    "hexcode": one_of("'#123456'", "'#1e68f9'"),
    "label": one_of("'He, gain 2'", "'he_normal'", "'other'", "'Kaiming'", "'std 0.01'"),
    "bins": whole(1, 30),
    "smooth": whole(1, 3),
    "most": whole(3, 8),
    "first": whole(0, 2),
    "dashed": one_of("()", "('He',)", "['He', 'Glorot']"),
    "reference": one_of("None", "(2.3, 'chance')"),
    "xlabel": TEXT,
    "ylabel": TEXT,
    "axes": AXES,
    "figure": one_of("figure()"),
    "alt": one_of("'A rising line from one to two.'", "'He stays near 1 for all fifty layers.'"),
    "caption": one_of("None", "'One message.'"),
}
# Numbers of things to do or draw: a huge one is no error, and takes for ever.
COUNTS = {"epochs", "steps", "nets", "rows", "columns", "bins", "most", "smooth"}


def by_type(annotation: str, scene: Scene) -> str:
    """A value for a parameter of unknown name, by what its annotation says."""
    forms: list[tuple[str, Callable[[Scene], str]]] = [
        (r"bool", one_of("True", "False")),
        (r"ActivationLike|Activation", activation),
        (r"Params", network_params),
        (r"RNG", STREAM),
        (r"DTypeLike", DTYPE),
        (r"Mapping\[str, (Any)?(Array|NDArray)", lambda scene: named(scene, (5,))),
        (r"Sequence\[str\]", lambda scene: words(3)),
        (r"(Sequence|tuple)\[(int|float)", lambda scene: sequence(scene.shape, scene)),
        (r"Callable|Function", one_of("gentle", "layer_normal", "squared")),
        (r"list\[", one_of("[]", "[0.5]", "[np.ones((2, 2))]")),
        (r"dict\[|Mapping\[", one_of("{}", "{'a': 1}")),
        (r"Array|NDArray", table),
        (r"float", POSITIVE),
        (r"int", whole(1, 4)),
        (r"str", TEXT),
        (r"Axes", one_of("0", "1", "-1", "()", "(0, 1)")),
    ]
    for form, make in forms:
        if re.match(form, annotation):
            return make(scene)
    return str(scene.pick(*scene.pick(*hostile.POOL)))


def fitting(target: Target, parameter: inspect.Parameter, scene: Scene) -> str:
    """An expression that fits the parameter, most of the time."""
    function = target.name.split(".")[0].split()[0]
    keys = [f"{function}.{parameter.name}", f"{target.module}.{parameter.name}", parameter.name]
    record = function[:1].isupper() and "." not in target.name
    if record and keys[0] not in FITTING:
        return by_type(str(parameter.annotation), scene)
    for key in keys:
        if key in FITTING:
            return str(FITTING[key](scene))
    return by_type(str(parameter.annotation), scene)


# ---- arguments that do not


def poisoned(expression: str, scene: Scene) -> str:
    """The expression in other clothes, with something wrong inside, or something else instead."""
    way = scene.random.random()
    if way > 0.4:
        try:
            value = evaluate(expression)
        except Exception:
            value = None
        foreign = str(scene.pick(*scene.pick(*hostile.POOL)))
        dressed = list(hostile.dressings(value))
        if isinstance(value, dict) and value and way > 0.75:
            name = scene.pick(*value)
            inner = poisoned(f"({expression})[{name!r}]", scene)
            return str(
                scene.pick(
                    f"changed({expression}, {name!r}, {foreign})",
                    f"changed({expression}, {name!r}, {inner})",
                    f"changed({expression}, {name!r}, {inner})",
                    f"without({expression}, {name!r})",
                    f"changed({expression}, {scene.pick('W9', 'b0', 'x', '')!r}, {foreign})",
                )
            )
        if isinstance(value, (list, tuple)) and value and way > 0.75:
            position = int(scene.random.integers(len(value)))
            inner = poisoned(f"({expression})[{position}]", scene)
            return f"put({expression}, {position}, {scene.pick(foreign, inner)})"
        if dressed:
            return str(scene.pick(*dressed)).format(*[expression] * 3)
    return str(scene.pick(*scene.pick(*hostile.POOL)))


def too_long(parameter: str, value: Any) -> bool:
    """Whether doing as told takes for ever, or more memory than there is here."""
    if parameter == "shape":
        with contextlib.suppress(Exception):
            # more is refused (initializers), fewer fit: orthogonal needs three copies of doubles
            return MEMORY // 32 < math.prod(int(size) for size in value) <= 2**30
    if parameter not in COUNTS:
        return False
    with contextlib.suppress(Exception):
        return bool(np.max(np.abs(np.asarray(value, dtype=float))) > 100)
    return type(value) is int and abs(value) > 100


@dataclass
class Call:
    """One call: the expressions of its arguments, and their values."""

    index: int
    target: Target
    positional: list[str]
    keywords: dict[str, str]
    poisoned: dict[str, str]  # parameter -> the expression that would have fitted

    def line(self, healthy: bool = False) -> str:
        """The call as a line of Python; on request with the arguments as they were before."""
        names = [parameter.name for parameter in self.target.parameters]
        given = [*zip(names, self.positional, strict=False), *self.keywords.items()]
        inside = []
        for i, (name, expression) in enumerate(given):
            text = self.poisoned.get(name, expression) if healthy else expression
            inside.append(text if i < len(self.positional) else f"{name}={text}")
        return f"{self.target.source}({', '.join(inside)})"


def plan(seed: int, index: int, chosen: tuple[tuple[Target, ...], np.ndarray]) -> Call:
    """Call number `index` of a seed, of one of the chosen targets."""
    draw = np.random.default_rng([seed, index])
    scene = Scene(draw)
    target = chosen[0][int(draw.choice(len(chosen[0]), p=chosen[1]))]
    spoiled = int(draw.choice([0, 1, 2], p=[0.25, 0.6, 0.15]))
    victims = set()
    if target.parameters:
        victims = {int(i) for i in draw.integers(len(target.parameters), size=spoiled)}
    positional: list[str] = []
    keywords: dict[str, str] = {}
    spoiled_by: dict[str, str] = {}
    by_position = True
    for i, parameter in enumerate(target.parameters):
        optional = parameter.default is not parameter.empty
        wanted = i in victims or parameter.name in scene.needed
        if optional and not wanted and scene.chance(0.6):
            by_position = False
            continue
        original, expression = usable(target, parameter, scene, i in victims)
        if i in victims:
            spoiled_by[parameter.name] = original
        if parameter.kind is parameter.VAR_POSITIONAL:
            continue
        by_position = by_position and parameter.kind is not parameter.KEYWORD_ONLY
        by_position = by_position and not (optional and scene.chance(0.5))
        if by_position:
            positional.append(expression)
        else:
            keywords[parameter.name] = expression
    if scene.chance(0.01):
        keywords[scene.pick("shapes", "seed", "activation_", "W1")] = "1"
    return Call(index, target, positional, keywords, spoiled_by)


def usable(
    target: Target, parameter: inspect.Parameter, scene: Scene, spoil: bool
) -> tuple[str, str]:
    """An expression that fits the parameter, and one to use, which can be evaluated at all."""
    for _ in range(20):
        original = expression = fitting(target, parameter, scene)
        if spoil:
            expression = poisoned(expression, scene)
        try:
            value = evaluate(expression)
        except Exception:
            continue
        if not too_long(parameter.name, value):
            return original, expression
    return "None", "None"


# ---- what must not change

ATOMS = (int, float, complex, str, bytes, bytearray, type(None), slice, range)


def fingerprint(value: Any, seen: tuple[int, ...] = ()) -> Any:
    """A value's content, type and layout; asks nothing of a hostile object's own methods."""
    kind = type(value)
    if id(value) in seen or len(seen) > 40:
        return "seen"
    inner = (*seen, id(value))
    if kind in ATOMS:
        return (kind, repr(value) if kind is float else value if kind is not int else hex(value))
    if issubclass(kind, np.ndarray):
        plain = np.ndarray.view(value, np.ndarray)
        layout = (kind, plain.dtype.str, plain.shape, plain.strides, value.flags.writeable)
        if plain.dtype.hasobject and plain.dtype.kind == "O":
            content: Any = tuple(fingerprint(entry, inner) for entry in plain.ravel()[:100])
        else:
            content = str(plain) if plain.dtype.kind == "T" else plain.tobytes()
        hidden = fingerprint(value.mask, inner) if isinstance(value, np.ma.MaskedArray) else None
        return (layout, content, hidden)
    if issubclass(kind, dict):
        return (
            kind,
            tuple((id(k), fingerprint(v, inner)) for k, v in list(dict.items(value))[:50]),
        )
    if issubclass(kind, list):
        return (kind, tuple(fingerprint(v, inner) for v in list.__getitem__(value, slice(200))))
    if issubclass(kind, tuple):
        return (kind, tuple(fingerprint(v, inner) for v in tuple.__getitem__(value, slice(200))))
    if kind is np.random.Generator:
        return (kind, repr(value.bit_generator.state))
    if kind is np.random.RandomState:
        return (kind, repr(value.get_state(legacy=False)))
    if kind.__module__ in ("hostile", "winit.network", "winit.blocks", "winit.activations"):
        held = getattr(kind, "__dict__", {}).get("__dict__")
        if held is not None and "__getattribute__" not in vars(kind):
            own = object.__getattribute__(value, "__dict__")
            counted = {k: v for k, v in own.items() if k != "calls"}
            return (kind, fingerprint(counted, inner))
    return (kind, id(value))


def may_change(name: str) -> bool:
    """Streams, axes and figures are passed to be used up and drawn on."""
    return name in ("rng", "axes", "figure")


@functools.cache
def tables() -> tuple[Any, ...]:
    """winit's own dictionaries and lists."""
    modules = [importlib.import_module(f"winit.{short}") for short in core_modules()]
    public = [value for module in modules for name, value in vars(module).items() if name.isupper()]
    return tuple(value for value in public if isinstance(value, (dict, list)))


def held(table: Any) -> Any:
    """What a table holds: the very same objects, in the same order."""
    entries = (*table, *table.values()) if isinstance(table, dict) else table
    return tuple(map(id, entries))


def world(drawing: bool) -> dict[str, Any]:
    """The global state that no call may change."""
    legacy = np.random.get_state(legacy=False)  # noqa: NPY002
    assert isinstance(legacy, dict)
    state: dict[str, Any] = {
        "numpy.random": (
            legacy["state"]["key"].tobytes(), legacy["state"]["pos"],
            legacy["has_gauss"], legacy["gauss"],
        ),
        "random": random.getstate(),
        "numpy.geterr": (np.geterr(), np.geterrcall()),
        "numpy.get_printoptions": repr(np.get_printoptions()),
        "os.environ": dict(os.environ),
        "working directory": os.getcwd(),
        "warnings.filters": list(warnings.filters),
        "recursion limit": sys.getrecursionlimit(),
        "standard streams": (sys.stdout, sys.stderr, sys.stdin),
        "winit's tables": [held(value) for value in tables()],
    }  # fmt: skip
    if drawing:
        pyplot = sys.modules.get("matplotlib.pyplot")
        state["matplotlib.rcParams"] = str(list(dict.values(mpl.rcParams)))
        state["matplotlib's backend"] = mpl.get_backend()
        state["open figures"] = pyplot.get_fignums() if pyplot else []
    return state


# ---- what must come back


def parts(text: str, separator: str) -> list[str]:
    """Split at a separator that stands outside of brackets."""
    found, level = [""], 0
    for letter in text:
        level += (letter == "[") - (letter == "]")
        if letter == separator and level == 0:
            found.append("")
        else:
            found[-1] += letter
    return [part.strip() for part in found]


def wrong(value: Any, annotation: str, where: str = "the result") -> str:
    """What a returned value has against its annotation; "" where all is well."""
    options = parts(annotation, "|")
    if len(options) > 1:
        found = [wrong(value, option, where) for option in options]
        return "" if "" in found else found[0]
    kind, _, inside = annotation.partition("[")
    inner = parts(inside[:-1], ",") if inside else []
    name = type(value).__name__
    if kind in ("Array", "NDArray"):
        if type(value) is not np.ndarray and not isinstance(value, (np.floating, bfloat16)):
            return f"{where} is {name}, not an array"
        if value.dtype.kind != "f" and value.dtype != np.dtype(bfloat16):
            return f"{where} has dtype {value.dtype}"
    elif kind in ("float", "int", "str", "bool", "None"):
        if name != kind.replace("None", "NoneType"):
            return f"{where} is {name}, not {kind}"
    elif kind == "tuple":
        if type(value) is not tuple or (len(value) != len(inner) and inner[-1] != "..."):
            return f"{where} is {name}, not {annotation}"
        if inner[-1] != "...":
            pairs = enumerate(zip(value, inner, strict=True))
            found = [wrong(entry, kind, f"{where}[{i}]") for i, (entry, kind) in pairs]
            return next(filter(None, found), "")
    elif kind == "Params" or (kind == "dict" and inner[-1] == "Array"):
        if type(value) is not dict or not all(isinstance(key, str) for key in value):
            return f"{where} is {name}, not a dict by name"
        found = [wrong(entry, "Array", f"{where}[{key!r}]") for key, entry in value.items()]
        return next(filter(None, found), "")
    elif kind in ("Initializer", "LossFunction", "Callable"):
        return "" if callable(value) else f"{where} cannot be called"
    elif kind not in ("Any", "Self") and kind not in [
        base.__name__ for base in type(value).__mro__
    ]:
        return f"{where} is {name}, not {kind}"
    return ""


def numbers(value: Any) -> Iterator[np.ndarray]:
    """Every number within a result, as arrays of float64."""
    if isinstance(value, np.ndarray) and value.dtype.kind in "fV":
        yield value.astype(np.float64) if value.dtype.kind == "V" else value
    elif isinstance(value, (int, float)):
        yield np.asarray(value, dtype=float)
    elif isinstance(value, dict):
        for entry in value.values():
            yield from numbers(entry)
    elif isinstance(value, (list, tuple)):
        for entry in value:
            yield from numbers(entry)
    elif type(value).__module__.startswith("winit.") and hasattr(value, "__dict__"):
        yield from numbers(vars(value))


def unsound(call: Call, value: Any, arguments: dict[str, Any]) -> str:
    """What is wrong with the numbers in a result, as far as the documentation promises."""
    target = call.target
    if target.name[:1].isupper():
        return ""  # a record holds what it is given
    if target.module in ("initializers", "article"):
        if not all(np.isfinite(entry).all() for entry in numbers(value)):
            return "an initializer returned a number that is not finite"
        if "dtype" in arguments and isinstance(value, np.ndarray):
            with contextlib.suppress(Exception):
                if value.dtype.newbyteorder("=") != np.dtype(arguments["dtype"]).newbyteorder("="):
                    return f"dtype {value.dtype} instead of the one asked for"
    if target.module in ("theory", "diagnostics"):
        clean = target.module == "theory" or target.name in ("diagnose", "steepest")
        if target.name == "phase_diagram":  # nan in chi_1 where there is no finite q*
            value = np.where(np.isinf(value.q_star), 0.0, value.chi_1)
        if clean and any(np.isnan(entry).any() for entry in numbers(value)):
            return "NaN in the result"
    if target.name == "sgd":
        sound = all(np.isfinite(entry).all() for entry in numbers(value[0]))
        if not sound and value[1].stopped_at is None:
            return "sgd finished with numbers that are not finite"
    if target.module == "activations" and isinstance(value, np.ndarray):
        with contextlib.suppress(Exception):
            x = np.asarray(arguments["x"])
            if value.shape != x.shape:
                return f"shape {value.shape} for an input of shape {x.shape}"
            kept = value.dtype.newbyteorder("=") == x.dtype.newbyteorder("=")
            if x.dtype.kind == "f" and not kept:
                return f"dtype {value.dtype} for an input of dtype {x.dtype}"
            known = "winit.activations." + target.name.split(".")[0] in target.source
            if known and np.all(np.abs(x.astype(float)) <= 1e4) and not np.isfinite(value).all():
                return "not finite for |x| <= 1e4"
    return ""


# ---- the call itself and the judgment


@dataclass(frozen=True)
class Failure:
    """One thing that a call did wrong."""

    call: Call
    kind: str
    what: str
    place: str = ""

    @property
    def group(self) -> tuple[str, str, str]:
        head = re.sub(r"0x[0-9a-f]+|\d+(\.\d+)?(e[+-]?\d+)?", "N", self.what)
        return (self.call.target.key.split()[0], self.kind, head[:70])


class TooLongError(BaseException):
    """The clock's answer to a call that hangs."""


@contextlib.contextmanager
def clock(seconds: float) -> Iterator[None]:
    """Break off what takes longer, where the system has a timer."""
    able = hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()
    if not able:
        yield
        return

    def ring(number: int, frame: FrameType | None) -> None:
        raise TooLongError

    before = signal.signal(signal.SIGPROF, ring)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


@contextlib.contextmanager
def bounded_memory() -> Iterator[None]:
    """Let the process take `MEMORY` more, where the system can say so."""
    try:
        import resource

        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except (ImportError, OSError):
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MEMORY, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def frames(trace: TracebackType | None) -> list[TracebackType]:
    """A traceback's entries below the fuzz's own, outermost first."""
    found = []
    while trace is not None:
        found.append(trace)
        trace = trace.tb_next
    return found[1:]


def written_in(entry: TracebackType) -> str:
    return entry.tb_frame.f_code.co_filename


def raises(entry: TracebackType) -> bool:
    """Whether the frame stands at a ``raise`` statement (and not at a call that failed)."""
    return entry.tb_lasti in raising_offsets(entry.tb_frame.f_code)


@functools.cache
def raising_offsets(code: CodeType) -> frozenset[int]:
    names = ("RAISE_VARARGS", "RERAISE")
    return frozenset(step.offset for step in dis.get_instructions(code) if step.opname in names)


def place(entries: list[TracebackType]) -> str:
    """The innermost line of winit: where the error came from, for whoever fixes it."""
    for entry in reversed(entries):
        if written_in(entry).startswith(PACKAGE):
            line = linecache.getline(written_in(entry), entry.tb_lineno).strip()
            return f"{Path(written_in(entry)).name}:{entry.tb_lineno}: {line}"
    return ""


def of_the_caller(entries: list[TracebackType]) -> bool:
    """Whether an error came out of a function that the caller passed, called by winit."""
    called = False
    for entry in entries:
        name = entry.tb_frame.f_code.co_name
        special = name == "fail" or (name.startswith("__") and name != "__call__")
        if called and written_in(entry) in CALLER and not special:
            return True
        called = called or written_in(entry).startswith(PACKAGE)
    return False


RELATED = {
    "params": r"[Wb]\d+|parameters",
    "trace": r"(z|a)\[\d+\]|trace\.\w+",
    "weights": r"[Wb]\d+",
    "curves": r"curve",
    "layer_sizes": r"size",
    "shape": r"size",
}
KEYWORD_ERROR = re.compile(
    r"unexpected keyword argument|missing \d+ required|takes .* positional argument"
    r"|multiple values for|keyword-only argument"
)


def fits(call: Call) -> bool:
    """Whether the call returns once its one poisoned argument is as it was before."""
    try:
        evaluate(call.line(healthy=True))
    except Exception:
        return False
    return True


def names(parameters: list[str], message: str) -> bool:
    """Whether the message names one of the parameters, or what belongs to it."""
    forms = [re.escape(name) for name in parameters]
    forms += [form for name, form in RELATED.items() if name in parameters]
    return re.search(rf"(?<!\w)({'|'.join(forms)})(?!\w)", message) is not None


def names_an_argument(call: Call, message: str) -> bool:
    parameters = [parameter.name for parameter in call.target.parameters]
    return names([*parameters, *call.keywords], message)  # some are handed on to Matplotlib


def judge_error(call: Call, error: BaseException) -> list[Failure]:
    """What a raised error has done wrong."""
    entries = frames(error.__traceback__)
    kind, where = type(error), place(entries)
    if isinstance(error, TooLongError):
        return [Failure(call, "hangs", f"broken off after {HANGING:.0f} s", where)]
    if of_the_caller(entries):
        return []
    try:
        message = str(error)
    except Exception as second:
        return [Failure(call, "message fails", f"{kind.__name__}: {type(second)}", where)]
    what = f"{kind.__name__}: {message}"
    own = kind in (TypeError, ValueError) or kind.__module__.startswith("winit")
    if not own:
        return [Failure(call, "foreign exception", what, where)]
    function = call.target.source.rpartition(".")[2]
    outside = not [entry for entry in entries if written_in(entry) != "<string>"]
    if KEYWORD_ERROR.search(message) and (outside or message.startswith(f"{function}() ")):
        return []  # Python's own, about the call itself (a decorator may stand between)
    if not entries or not written_in(entries[-1]).startswith(PACKAGE) or not raises(entries[-1]):
        return [Failure(call, "foreign words", what, where)]
    found = []
    if not names_an_argument(call, message):
        found.append(Failure(call, "names no argument", what, where))
    elif kind is TypeError and len(call.poisoned) == 1:  # a type is wrong by itself
        (name,) = call.poisoned
        if not names([name], message) and fits(call):
            found.append(Failure(call, f"does not name {name}", what, where))
    if len(message) > LONGEST_MESSAGE:
        found.append(Failure(call, "long message", f"{what[:60]} ({len(message)} signs)", where))
    return found


def attempt(call: Call) -> tuple[list[Failure], BaseException | None]:
    """Make the call; return what it did wrong, and the error it raised."""
    drawing = call.target.module == "plots"
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        function = evaluate(call.target.source)
        positional = [evaluate(expression) for expression in call.positional]
        keywords = {key: evaluate(expression) for key, expression in call.keywords.items()}
    names = [parameter.name for parameter in call.target.parameters]
    arguments = {**dict(zip(names, positional, strict=False)), **keywords}
    prints = drawing or "progress" in arguments
    failures: list[Failure] = []
    error: BaseException | None = None
    value: Any = None
    said = io.StringIO()
    before = {name: fingerprint(entry) for name, entry in arguments.items()}
    receiver = fingerprint(getattr(function, "__self__", function))
    modules = dict(sys.modules)
    with (
        warnings.catch_warnings(record=True) as warned,
        contextlib.redirect_stdout(said),
        contextlib.redirect_stderr(said),
    ):
        warnings.simplefilter("always")
        # as in pyproject.toml: Matplotlib 3.9 calls pyparsing by names that are old today
        old = r"'\w+' (argument is )?deprecated"
        warnings.filterwarnings("ignore", old, DeprecationWarning, "(matplotlib|pyparsing)")
        state = world(drawing)
        started = time.process_time()
        try:
            with clock(HANGING):
                value = function(*positional, **keywords)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as caught:
            error = caught
        taken = time.process_time() - started
        after = world(drawing)
        if error is None:
            failures += judge_result(call, value, arguments)
    if error is not None:
        failures += judge_error(call, error)
    for warning in warned:
        if warning.filename not in CALLER:
            where = f"{Path(warning.filename).name}:{warning.lineno}"
            what = f"{warning.category.__name__}: {warning.message}"
            failures.append(Failure(call, "warning", what, where))
    failures += [
        Failure(call, "changed state", name) for name in state if state[name] != after[name]
    ]
    for name, entry in arguments.items():
        if not may_change(name) and fingerprint(entry) != before[name]:
            failures.append(Failure(call, "changed argument", name))
    if fingerprint(getattr(function, "__self__", function)) != receiver:
        failures.append(Failure(call, "changed argument", "the object itself"))
    if not modules.items() <= sys.modules.items():
        failures.append(Failure(call, "changed state", "sys.modules"))
    if said.getvalue() and not prints:
        failures.append(Failure(call, "prints", said.getvalue()[:200]))
    if taken > LONGEST_TIME * (2 if "np.vectorize" in call.line() else 1):
        failures.append(Failure(call, "slow", f"{taken:.0f} s"))
    return failures, error


def judge_result(call: Call, value: Any, arguments: dict[str, Any]) -> list[Failure]:
    """What a returned value has done wrong."""
    if what := wrong(value, call.target.returns):
        return [Failure(call, "wrong type", what)]
    found = []
    with np.errstate(all="ignore"):
        if what := unsound(call, value, arguments):
            found.append(Failure(call, "unsound result", what))
    if call.target.name[:1].isupper():
        return found
    made = (
        value[0] if isinstance(value, tuple) and value and isinstance(value[0], Figure) else value
    )
    try:
        if isinstance(made, Figure):
            if call.index % 2 == 0:  # drawing takes most of the time
                made.canvas.draw()
            made.clear()
        elif type(value).__module__.startswith("winit."):
            repr(value)
            for name in dir(value):
                if not name.startswith("_"):
                    getattr(value, name)
            for layer in getattr(value, "layers", [])[:1]:
                for name in vars(layer):  # a report answers for all its layers
                    getattr(value, name)
    except Exception as error:
        what = f"{type(error).__name__}: {error}"
        found.append(Failure(call, "unusable result", what, place(frames(error.__traceback__))))
    return found


@functools.cache
def choice(pattern: str) -> tuple[tuple[Target, ...], np.ndarray]:
    """The targets whose name has the pattern, and how often each is called, of 1."""
    chosen = tuple(target for target in targets() if re.search(pattern, target.key))
    if not chosen:
        raise SystemExit(f"nothing to call has {pattern!r} in its name")
    weights = np.array([target.weight for target in chosen])
    return chosen, weights / weights.sum()


def warm_up() -> None:
    """Let IPython and Matplotlib set themselves up, so that this is not taken for winit's work."""
    mpl.use("agg")
    main = sys.modules["__main__"]
    InteractiveShell.instance()
    sys.modules["__main__"] = main
    hostile.figure().savefig(io.BytesIO())


def fuzz(
    calls: int, seed: int, pattern: str = "", tick: Callable[[int], None] | None = None
) -> tuple[list[Failure], dict[str, list[float]]]:
    """Make the calls; return the failures, and for each target its times in seconds."""
    warm_up()
    chosen = choice(pattern)
    failures: list[Failure] = []
    times: dict[str, list[float]] = {}
    with bounded_memory():
        for index in range(calls):
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                call = plan(seed, index, chosen)
            started = time.process_time()
            failures += attempt(call)[0]
            times.setdefault(call.target.key, []).append(time.process_time() - started)
            if tick:
                tick(index)
    return failures, times


def summary(failures: list[Failure], limit: int = 10**9) -> str:
    """The failures by function, kind and the head of their message, most frequent first."""
    groups: dict[tuple[str, str, str], list[Failure]] = {}
    for failure in failures:
        groups.setdefault(failure.group, []).append(failure)
    lines = []
    for (function, kind, _), members in sorted(groups.items(), key=lambda item: -len(item[1]))[
        :limit
    ]:
        first = min(members, key=lambda member: len(member.call.line()))
        lines.append(f"{len(members):5d} {function}  {kind}: {first.what[:160]!r}")
        if first.place:
            lines.append(f"      at {first.place}")
        lines.append(f"      [{first.call.index}] {first.call.line()[:600]}")
    if len(groups) > limit:
        lines.append(f"      and {len(groups) - limit} kinds more")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--calls", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--target", default="", help="a pattern that the function's name must have")
    parser.add_argument("--only", type=int, help="the number of one call to make")
    parser.add_argument("--times", action="store_true", help="print where the time goes")
    options = parser.parse_args()
    print(f"winit in {Path(winit.__file__).parent}")
    if options.only is not None:
        warm_up()
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            call = plan(options.seed, options.only, choice(options.target))
        print(f"from hostile import *  # in tests/\n{call.line()}")
        failures, error = attempt(call)
        if error is not None:
            traceback.print_exception(error)
        print(summary(failures) or "nothing wrong")
        return int(bool(failures))
    started = time.perf_counter()
    failures, times = fuzz(options.calls, options.seed, options.target)
    print(summary(failures))
    kinds: dict[str, int] = {}
    for failure in failures:
        kinds[failure.kind] = kinds.get(failure.kind, 0) + 1
    bad = len({failure.call.index for failure in failures})
    ways = len({failure.group for failure in failures})
    taken = time.perf_counter() - started
    print(f"{options.calls} calls of {len(times)} functions, seed {options.seed}, {taken:.0f} s:")
    print(f"  {bad} calls went wrong, in {ways} ways")
    print("  " + ", ".join(f"{kind} {n}" for kind, n in sorted(kinds.items())) if kinds else "")
    if options.times:
        for key, each in sorted(times.items(), key=lambda item: -sum(item[1]))[:25]:
            print(f"  {sum(each):6.1f} s in {len(each):4d} calls of {key}, at most {max(each):.2f}")
    return int(bool(failures))


if __name__ == "__main__":
    sys.exit(main())
