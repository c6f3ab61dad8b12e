"""Values for the fuzz: what fits, what nearly fits, and what is meant to break things.

Each value is written as an expression, so that a failing call can be printed as a line of Python
and pasted after ``from hostile import *``. Everything imported or defined here may stand in one.
"""

from __future__ import annotations

# What only expressions use looks unused: a tool that took it out would leave them untried.
import array as array_module  # noqa: F401
import collections
import enum
import functools  # noqa: F401
import itertools
import math
import types  # noqa: F401
from collections.abc import Callable, Iterator
from decimal import Decimal  # noqa: F401
from fractions import Fraction  # noqa: F401
from typing import Any

import numpy as np
import scipy.sparse  # noqa: F401
from matplotlib.figure import Figure

import winit
import winit.activations
import winit.article
import winit.blocks
import winit.diagnostics
import winit.initializers
import winit.network
import winit.plots
import winit.theory

try:
    from ml_dtypes import bfloat16
except ImportError:  # ml_dtypes comes with JAX and is no dependency of winit
    bfloat16 = np.float16

nan, inf = math.nan, math.inf


class Hostile(Exception):
    """What the objects and functions below raise; winit does not know it."""


# ---- values that fit, made from a few whole numbers


def array(shape: tuple[int, ...], seed: int, dtype: Any = "f8") -> np.ndarray:
    """Normal draws in a shape and dtype."""
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def labels(examples: int, classes: int, seed: int) -> np.ndarray:
    """The right class of each example."""
    return np.random.default_rng(seed).integers(0, classes, examples)


def params(sizes: list[int], seed: int, dtype: Any = "f8", scale: float = 1.0) -> dict[str, Any]:
    """He's weights times `scale`, and small biases."""
    rng = np.random.default_rng(seed)
    made = {}
    for layer, (n_in, n_out) in enumerate(itertools.pairwise(sizes), 1):
        std = scale * math.sqrt(2 / n_in)
        made[f"W{layer}"] = (std * rng.normal(size=(n_out, n_in))).astype(dtype)
        made[f"b{layer}"] = (0.1 * rng.normal(size=n_out)).astype(dtype)
    return made


def trace(sizes: list[int], seed: int, dtype: Any, examples: int, activation: Any) -> Any:
    """A forward pass through `params` of the same sizes, seed and dtype."""
    x = array((examples, sizes[0]), seed, dtype)
    return winit.network.forward(params(sizes, seed, dtype), x, activation)


def stack(
    width: int, classes: int, seed: int, dtype: Any = "f8", scalars: bool = False
) -> dict[str, Any]:
    """Two branches between a first and a last kernel, for `winit.blocks`."""
    sizes = [width] * 4 + [classes]
    drawn = {k: v for k, v in params(sizes, seed, dtype).items() if k[0] == "W"}
    return drawn | ({"a2": np.array(0.5, dtype), "a3": np.array(0.0, dtype)} if scalars else {})


def stack_trace(
    width: int,
    classes: int,
    seed: int,
    dtype: Any,
    examples: int,
    activation: Any,
    residual: str,
    norm: str,
) -> Any:
    """A forward pass through `stack` of the same sizes, seed and dtype."""
    made, x = stack(width, classes, seed, dtype), array((examples, width), seed, dtype)
    return winit.blocks.forward(made, x, activation, residual=residual, norm=norm)


def curves(count: int, shape: tuple[int, ...], seed: int) -> dict[str, np.ndarray]:
    """Positive values in as many named arrays."""
    names = ["He", "Glorot", "normal", "my own", "zeros", "LeCun, gain 2"]
    return {names[i]: np.exp(array(shape, seed + i)) for i in range(count)}


def axes() -> Any:
    """Fresh axes of a figure that pyplot does not know."""
    return Figure().subplots()


def figure() -> Figure:
    """A small figure with a line in it."""
    made = Figure(figsize=(1, 1))
    made.subplots().plot([1, 2])
    return made


def squared(output: Any, target: Any) -> tuple[float, Any]:
    """A loss as a caller might write it: the sum of the squares."""
    error = np.asarray(output, float) - np.asarray(target, float).reshape(len(target), -1)
    return float(np.sum(error**2)), 2 * error


def layer_normal(shape: Any, rng: Any = None, dtype: Any = float) -> Any:
    """An initializer as a caller might write it."""
    return np.random.default_rng(rng).normal(size=shape).astype(dtype)


# ---- the same value in other clothes


class Matrix(np.ndarray):
    """A subclass of ndarray that changes nothing."""


class Stubborn(np.ndarray):
    """A subclass of ndarray that refuses arithmetic."""

    def __array_ufunc__(self, *inputs: Any, **keywords: Any) -> Any:
        raise Hostile("no arithmetic")


class Wrapped:
    """An object that NumPy can read through ``__array__``."""

    def __init__(self, values: Any) -> None:
        self.values = np.asarray(values)

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return np.array(self.values, dtype=dtype)


class Interface:
    """An object that NumPy can read through ``__array_interface__``."""

    def __init__(self, values: Any) -> None:
        self.values = np.asarray(values)
        self.__array_interface__ = self.values.__array_interface__


class Whole(int):
    """A subclass of int."""


class Real(float):
    """A subclass of float."""


class Text(str):
    """A subclass of str."""


class Listing(list):  # type: ignore[type-arg]
    """A subclass of list."""


class Table(dict):  # type: ignore[type-arg]
    """A subclass of dict."""


class Index:
    """An object that is a whole number through ``__index__`` alone."""

    def __init__(self, value: int) -> None:
        self.value = value

    def __index__(self) -> int:
        return self.value


class Floating:
    """An object that is a number through ``__float__`` alone."""

    def __init__(self, value: float) -> None:
        self.value = value

    def __float__(self) -> float:
        return float(self.value)


class Color(enum.Enum):
    """An enumeration."""

    RELU = "relu"


class Level(enum.IntEnum):
    """An enumeration of whole numbers."""

    TWO = 2


Pair = collections.namedtuple("Pair", ["first", "second"])


def readonly(values: Any) -> Any:
    """An array that cannot be written to."""
    made = np.array(values)
    made.flags.writeable = False
    return made


def strided(values: Any) -> Any:
    """Every other entry of a larger array."""
    values = np.asarray(values)
    large = np.repeat(values, 2, axis=-1) if values.ndim else np.repeat(values, 2)
    return large[..., ::2] if values.ndim else large[0:1].reshape(())


def backward_strided(values: Any) -> Any:
    """The same values with negative strides."""
    values = np.asarray(values)
    return np.flip(np.flip(values).copy())


def swapped(values: Any) -> Any:
    """The same values in the other byte order."""
    values = np.asarray(values)
    return values.astype(values.dtype.newbyteorder())


def unaligned(values: Any) -> Any:
    """The same values one byte off."""
    values = np.ascontiguousarray(values)
    store = np.zeros(values.nbytes + 1, np.uint8)
    made = store[1:].view(values.dtype).reshape(values.shape)
    made[...] = values
    return made


def structured(values: Any) -> np.ndarray:
    """The values as a field of records."""
    values = np.asarray(values)
    made = np.zeros(values.shape, [("value", values.dtype), ("other", "i4")])
    made["value"] = values
    return made


def masked(values: Any, every: bool = False) -> Any:
    """The values with the first entry, or every one, masked."""
    values = np.asarray(values)
    mask = np.full(values.shape, every)
    if values.size:
        mask.flat[0] = True
    return np.ma.masked_array(values, mask)


def poke(values: Any, entry: Any) -> np.ndarray:
    """The values with one entry replaced."""
    made = np.array(values)
    if made.size:
        made.flat[made.size // 2] = entry
    return made


def put(values: Any, position: int, entry: Any) -> Any:
    """A list or tuple with one entry replaced."""
    made = list(values)
    made[position % len(made)] = entry
    return tuple(made) if isinstance(values, tuple) else made


def changed(table: Any, key: Any, entry: Any) -> dict[Any, Any]:
    """A dictionary with one value replaced or added."""
    return {**table, key: entry}


def without(table: Any, key: Any) -> dict[Any, Any]:
    """A dictionary that lacks one key."""
    return {k: v for k, v in table.items() if k != key}


def nested(levels: int) -> list[Any]:
    """Lists in lists, deeper than Python's recursion goes."""
    made: list[Any] = []
    for _ in range(levels):
        made = [made]
    return made


def cycle() -> list[Any]:
    """A list that holds itself."""
    made: list[Any] = [1]
    made.append(made)
    return made


# ---- objects that fail where it is least expected


def failing(*names: str, base: type = object) -> Any:
    """An object whose special methods of these names raise."""

    def fail(self: Any, *positional: Any, **keywords: Any) -> Any:
        raise Hostile("a special method failed")

    made = type("Failing", (base,), dict.fromkeys(names, fail))
    return made("tanh") if base is str else made(2) if base in (int, float) else made()


def lying(**answers: Any) -> Any:
    """An object whose special methods return these values, right or wrong."""
    methods: dict[str, Any] = {}
    for name, answer in answers.items():
        methods[f"__{name}__"] = lambda self, *positional, _answer=answer, **keywords: _answer
    return type("Lying", (object,), methods)()


# ---- functions that a caller might pass, and should not


def raising(*positional: Any, **keywords: Any) -> Any:
    """A function that raises."""
    raise Hostile("the caller's function failed")


def raising_value_error(*positional: Any, **keywords: Any) -> Any:
    """A function that raises an error of a kind that winit raises too."""
    raise ValueError("the caller's function failed")


class RaisingLate:
    """A function that raises at its call number `after`."""

    def __init__(self, function: Callable[..., Any], after: int) -> None:
        self.function, self.after, self.calls = function, after, 0

    def __call__(self, *positional: Any, **keywords: Any) -> Any:
        self.calls += 1
        if self.calls > self.after:
            raise Hostile("the caller's function failed in the end")
        return self.function(*positional, **keywords)


class Changing:
    """A function that returns something else from its call number `after` on."""

    def __init__(self, function: Callable[..., Any], other: Any, after: int) -> None:
        self.function, self.other, self.after, self.calls = function, other, after, 0

    def __call__(self, *positional: Any, **keywords: Any) -> Any:
        self.calls += 1
        return self.other if self.calls > self.after else self.function(*positional, **keywords)


def in_place(x: Any) -> Any:
    """An activation that writes to what it is given."""
    np.multiply(x, 2, out=x, casting="unsafe")
    return x


def gentle(x: Any) -> Any:
    """A smooth activation without kinks that winit does not know."""
    return x / np.sqrt(1 + x * x)


def gentle_slope(x: Any) -> Any:
    """The derivative of `gentle`."""
    return (1 + x * x) ** -1.5


# ---- the pool of values that rarely fit

NUMBERS = [
    "0", "1", "-1", "2", "3", "-0.0", "0.5", "1.5", "-2.5", "nan", "inf", "-inf", "True", "False",
    "10**400", "-(10**400)", "10**5000", "2**31", "2**63", "2**64", "-(2**63)", "10**40",
    "1e308", "-1e308", "1e200", "1e154", "1e-154", "1e-200", "5e-324", "1e16", "1e30", "1e38",
    "1 + 0j", "1j", "complex(nan, 0)", "Fraction(1, 2)", "Fraction(5, 1)", "Fraction(10**400, 3)",
    "Fraction(1, 10**400)", "Decimal('0.5')", "Decimal('NaN')", "Decimal('sNaN')",
    "Decimal('1e999')", "np.float16(6e4)", "np.float16(0.5)", "np.float32('inf')", "np.float32(.1)",
    "np.longdouble('1e4000')", "np.longdouble(1) / 3", "np.complex64(1)", "np.bool_(True)",
    "np.int8(3)", "np.int8(-128)", "np.uint8(200)", "np.uint64(2**64 - 1)", "np.int64(-2**63)",
    "np.datetime64('2020')", "np.timedelta64(3, 'D')", "np.timedelta64('NaT')", "bfloat16(1.5)",
    "np.array(2)", "np.array(0.5)", "np.array([2])", "np.array([[0.5]])", "np.ma.masked",
    "np.array(nan)", "Whole(3)", "Real(0.5)", "Level.TWO", "Index(2)", "Index(-1)", "Floating(0.5)",
    "Floating(nan)", "Wrapped(0.5)", "Wrapped(2)", "np.nextafter(1, 2)", "np.nextafter(1, 0)",
    "1 - 1e-12", "-1 - 1e-16", "1 + 1e-9",
]  # fmt: skip

TEXTS = [
    "''", "' '", "'nonsense'", "'relu'", "'RELU'", "' relu'", "'relu\\n'", "'xavier_uniform'",
    "'HeNormal'", "'tanh' * 300", "'x' * 10**5", "'\\x00'", "'\\ud800'", "'%s {} {0}'",
    "'\\N{PILE OF POO}'", "'$\\\\frac{$'", "'$x^2$'", "'_hidden'", "'1'", "'0.5'", "'nan'",
    "b'tanh'", "b''", "bytearray(b'12')", "memoryview(b'12')", "np.str_('tanh')",
    "np.bytes_(b'tanh')", "Text('tanh')", "Color.RELU", "collections.UserString('tanh')",
    "failing('__eq__', base=str)", "failing('__hash__', base=str)", "failing('__repr__', base=str)",
    "failing('__str__', '__format__', base=str)", "failing('lower', 'strip', base=str)",
    "np.array('tanh')",
]  # fmt: skip

CONTAINERS = [
    "[]", "()", "{}", "set()", "{1, 2}", "{3, 2}", "frozenset({3})", "{1: 2}", "{2: 'a', 3: 'b'}",
    "{'W1': 1}", "[1, [2, 3]]", "[None]", "[[]]", "[[], []]", "(1, 'a')", "(2, 3)", "[3, 2]",
    "(2, 3, 4)", "(3,)", "[1.5, 2]", "(2.0, 3.0)", "(True, 2)", "('2', '3')", "'23'", "(0, 3)",
    "(-1, 3)", "(2**40, 2**40)", "(10**400, 2)", "(2**63, 1)", "(nan, 2)", "(None, 3)", "[1j, 2]",
    "iter([2, 3])", "(i for i in (2, 3))", "map(int, '23')", "zip('ab', (1, 2))", "range(3)",
    "range(2, 4)", "range(0)", "range(10**5)", "dict(a=1).keys()", "dict(a=2, b=3).values()",
    "dict(W1=2).items()", "collections.deque([2, 3])", "collections.UserList([2, 3])",
    "collections.UserDict(a=1)", "collections.Counter('ab')", "collections.defaultdict(list)",
    "collections.ChainMap({'W1': 1})", "types.MappingProxyType({'a': [1, 2]})", "Listing([2, 3])",
    "Table(a=[1, 2])", "Pair(2, 3)", "array_module.array('d', [2, 3])",
    "array_module.array('i', [2, 3])", "list(range(10**4))", "[2] * 33", "(1,) * 65", "[1] * 1000",
    "nested(3000)", "nested(70)", "cycle()", "iter(range(10**5))", "enumerate('ab')",
    "memoryview(np.zeros((2, 3)))", "[Fraction(1, 2), Decimal(2)]", "[10**400, 1]", "[[1, 2], [3]]",
    "['a', 'b']", "{'a': None}", "{'a': {}}", "{'a': 'b'}", "{(): 1}", "{None: [1, 2]}",
    "{'': [1, 2]}", "{nan: 1}", "{'a': [1, 2], 'b': [1, 2, 3]}",
]  # fmt: skip

ARRAYS = [
    "np.array([])", "np.empty((0, 3))", "np.empty((3, 0))", "np.empty((0, 0), dtype='i8')",
    "np.zeros(3)", "np.zeros((2, 3))", "np.zeros((3, 3), dtype=int)", "np.ones((1, 1, 1))",
    "np.zeros((1,) * 30)", "np.array([2, 3])", "np.array([2.0, 3.0])", "np.array([True, False])",
    "np.array([[1, 2], [3, 4]])", "np.array([nan, 1])", "np.array([[inf, 1], [0, 1]])",
    "np.array([1e308, 1e308])", "np.array([[1e200, -1e200]])", "np.array([5e-324])",
    "np.array([[1, 'a']], dtype=object)", "np.array([None, 1])", "np.array([[0.5, 1]], dtype='O')",
    "np.array([10**400, 1], dtype=object)", "np.array([Fraction(1, 2)])",
    "np.array([failing('__float__')], dtype=object)", "np.array([np.array([1]), None])",
    "np.array(['a', 'b'])", "np.array(['1', '2'])", "np.array([b'1'])", "np.array([1j, 2])",
    "np.array(['2020'], 'M8[D]')", "np.array([1], 'm8[s]')", "np.array([1, 'NaT'], 'm8[s]')",
    "np.zeros(2, 'f2')", "np.full((2, 3), 6e4, 'f2')", "np.ones((2, 2), 'longdouble')",
    "np.array(['1e4000'], np.longdouble)", "np.ones((2, 3), bfloat16)", "np.ones((2, 3), '>f8')",
    "np.zeros(2, [('a', 'f8'), ('b', 'i4')])", "np.zeros((2, 3), 'V8')", "np.zeros((2, 2), 'S3')",
    "np.arange(12).reshape(3, 4)[::2, ::-1]", "np.broadcast_to(1.5, (2, 3))",
    "readonly([[1.0, 2]])", "np.ones((2, 3)).view(Matrix)", "np.ones((2, 3)).view(Stubborn)",
    "np.ma.masked_array([1.0, 2], [True, False])", "masked(np.ones((2, 3)))",
    "masked(np.ones((2, 2)), True)", "np.asmatrix([[1, 2], [3, 4]])", "np.recarray(2, 'f8')",
    "np.lib.stride_tricks.sliding_window_view(np.ones(5), 3)", "scipy.sparse.eye(3, format='csr')",
    "scipy.sparse.eye_array(3)", "Wrapped([[1.0, 2]])", "Interface([[1.0, 2]])", "np.poly1d([1])",
    "np.array([2**64 - 1], 'u8')", "np.array([-1, 0])", "np.zeros(10**4)", "np.float64([1, 2])",
    "np.ones((3, 4)).T", "np.array(None)", "np.array({})", "np.array(['x' * 1000])",
    "np.array([[1.0, 2], [3, 4]], order='F')", "np.array([0, 1, 2, 3], 'u1')",
    "np.array([2, 3], np.uint64)", "np.dtypes.StringDType()", "np.array(['a'], 'T')",
]  # fmt: skip

FUNCTIONS = [
    "lambda: 1", "lambda x: x", "lambda x, y: x", "lambda x: None", "lambda x: 1.0",
    "lambda x: x[:1]", "lambda x: x.sum()", "lambda x: x * 1j", "lambda x: x * nan",
    "lambda x: np.where(x > 1.7, nan, x)", "lambda x: 'no'", "lambda x: np.asarray(x).astype(int)",
    "lambda x: list(np.ravel(x))", "lambda x: np.transpose(x)", "lambda x: np.ma.masked_array(x)",
    "lambda x: masked(x)", "lambda x: 0 * x", "lambda x: x**3", "lambda x: 1 / x", "lambda x: -x",
    "lambda x: np.where(x > 0.3, 1.0, 0.0)", "lambda x: np.sin(30 * x)", "lambda x: 1e200 * x",
    "lambda x: np.float32(x)", "lambda x: np.asarray(x, object)", "lambda x: x[None]",
    "lambda x: 1e-200 * x", "lambda x: np.exp(np.minimum(x, 600))", "lambda x: np.asarray(x) > 0",
    "lambda x: np.zeros(np.shape(x), 'M8[s]')", "lambda x: np.ravel(x)", "lambda x: 1.0 + 0 * x",
    "lambda x: x if np.ndim(x) < 2 else x[0]", "lambda x: (x, x)", "lambda x: np.round(x)",
    "lambda *x: x[0]", "lambda x, **k: x", "lambda x, out: x", "lambda x: {}",
    "lambda x: Wrapped(x)",
    "lambda x: failing('__array__', '__float__')", "np.sqrt", "np.log", "np.exp", "np.square",
    "np.cumsum", "np.sort", "np.isnan", "np.abs", "np.add", "np.arctan", "np.sign", "np.max",
    "np.linalg.inv", "math.tanh", "math.exp", "math.sqrt", "abs", "len", "str", "float", "bool",
    "max", "dict", "list", "object", "type", "np.vectorize(math.tanh)", "np.float32", "np.tanh",
    "functools.partial(np.clip, a_min=0, a_max=1)", "functools.partial(np.multiply, 'a')",
    "raising", "raising_value_error", "RaisingLate(np.tanh, 3)", "RaisingLate(np.tanh, 30)",
    "RaisingLate(squared, 1)", "in_place",
    "Changing(squared, (nan, None), 1)", "Changing(squared, 'no', 1)",
    "RaisingLate(layer_normal, 1)",
    "winit.activations.Activation('a', np.tanh, lambda x: None)", "lambda a, b: (0.5, None)",
    "winit.activations.Activation('a', lambda x: x, lambda x: 1.0)", "lambda a, b: 0.5",
    "winit.activations.Activation('a', gentle, gentle_slope, (nan,))", "lambda a, b: (0.5, a)",
    "winit.activations.Activation('a', gentle, gentle_slope, 'kinks')", "lambda a, b: (nan, a * 0)",
    "winit.activations.Activation('a', gentle, gentle_slope, (3.0, -1.0, 3.0))",
    "winit.activations.Activation('a', gentle, raising)", "lambda a, b: (0.5, a, a)",
    "winit.activations.Activation(None, 'tanh', 3)", "lambda a, b: (1j, a)", "lambda a, b: None",
    "winit.activations.Activation('', gentle, gentle_slope, (10**400,))", "lambda a, b: (0.5, a.T)",
    "winit.activations.Activation('a', np.tanh, np.sqrt)", "lambda a, b: (a, a)", "len",
    "lambda shape, rng, dtype: None", "lambda shape, rng, dtype: np.zeros(shape).T",
    "lambda shape, rng, dtype: np.full(shape, nan)", "lambda shape, rng, dtype: np.zeros(3)",
    "lambda shape, rng, dtype: np.zeros(shape, complex)", "lambda shape, rng, dtype: (3, 2)",
    "lambda shape, **k: np.zeros(shape).tolist()", "lambda shape, rng, dtype: np.full(shape, 'a')",
    "lambda shape, rng, dtype: winit.normal(shape, std=nan)", "lambda shape: np.zeros(shape)",
]  # fmt: skip

OBJECTS = [
    "None", "...", "NotImplemented", "object()", "slice(3)", "np", "math", "int", "float",
    "np.float64", "ValueError('x')", "ValueError", "types.SimpleNamespace(shape=(2, 3), ndim=2)",
    "np.dtype('f4')", "np.dtype([('a', 'f4')])", "np.random", "np.random.default_rng(3)",
    "np.random.RandomState(3)", "np.random.PCG64(3)", "np.random.SeedSequence(3)",
    "failing('__repr__', '__str__')", "failing('__array__')", "failing('__float__')",
    "failing('__index__')", "failing('__len__')", "failing('__len__', '__getitem__')",
    "failing('__iter__')", "failing('__eq__')", "failing('__bool__')", "failing('__hash__')",
    "failing('__getattr__')", "failing('__array_interface__')",
    "failing('__call__')", "failing('__float__', '__repr__')", "failing('__index__', base=int)",
    "failing('__float__', base=float)", "failing('__eq__', base=float)",
    "failing('__repr__', base=int)", "failing('__repr__', base=list)", "failing('keys', base=dict)",
    "failing('__iter__', base=list)", "failing('__getitem__', base=dict)",
    "failing('items', base=dict)",
    "failing('__iter__', base=dict)", "failing('__contains__', base=dict)",
    "failing('__len__', base=tuple)", "failing('__lt__', '__gt__', base=float)",
    "failing('__array_ufunc__')", "failing('__array_function__')", "failing('__array_struct__')",
    "lying(repr=3)", "lying(repr='x' * 10**4)", "lying(repr='a\\nb')", "lying(float='one')",
    "lying(float=nan)", "lying(index=1.5)", "lying(index=3)", "lying(len=-1)", "lying(len=2)",
    "lying(len=10**400)", "lying(len=2, iter=iter((2, 3)))", "lying(array=3)", "lying(array=None)",
    "lying(iter=3)", "lying(iter=iter(()))", "lying(eq=np.array([True, False]))", "lying(bool=3)",
    "lying(call=3)", "lying(call=np.array([1.0]))", "lying(complex=1j)", "lying(hash='a')",
    "lying(array_priority=1)", "lying(int=3)", "lying(str=b'')", "lying(str='tanh', repr='tanh')",
    "type('Sly', (), {'shape': 3, 'ndim': 'x', 'dtype': None})()", "winit", "winit.initializers",
    "type('Bare', (), {'__slots__': ()})()", "winit.network.History()",
    "winit.network.Trace(None, [], [])", "winit.network.Trace('tanh', [np.ones(2)], [])",
    "winit.network.Gradients(None, None, None)", "winit.blocks.Trace(None, [], [])",
    "winit.blocks.Trace(winit.activations.relu, [np.ones((2, 2))], [np.ones((2, 2))], 'plain')",
    "figure()", "axes()", "Figure()",
]  # fmt: skip

POOL = [NUMBERS, TEXTS, CONTAINERS, ARRAYS, FUNCTIONS, OBJECTS]


def dressings(value: Any) -> Iterator[str]:
    """Ways to write the same value, or nearly the same; ``{}`` stands for its expression."""
    if isinstance(value, np.ndarray):
        yield from (
            "np.asfortranarray({})", "readonly({})", "strided({})", "backward_strided({})",
            "swapped({})", "unaligned({})", "({}).astype('f2')", "({}).astype('f4')",
            "({}).astype('longdouble')", "({}).astype('i8')", "({}).astype('i1')",
            "({}).astype('u8')", "({}).astype('?')", "({}).astype('c16')", "({}).astype('O')",
            "({}).astype('U')", "({}).astype('S8')", "({}).astype('i8').astype('M8[s]')",
            "({}).astype('i8').astype('m8[s]')", "({}).astype(bfloat16)", "structured({})",
            "masked({})", "masked({}, True)", "({}).view(Matrix)", "({}).view(Stubborn)",
            "np.asmatrix({})", "({}).tolist()", "tuple({})", "list({})", "({})[:0]", "({})[None]",
            "({})[..., 0]", "({})[..., :0]", "({}).ravel()", "({}).T", "({})[0]", "({})[:-1]",
            "np.concatenate([{}, {}])", "poke({}, nan)", "poke({}, inf)", "poke({}, 1e308)",
            "poke({}, -1)", "1e200 * {}", "1e-200 * {}", "1e308 * np.sign({})", "0 * {}", "-({})",
            "1e5 * {}", "5e-324 * np.sign({})", "Wrapped({})", "Interface({})", "[{}]", "{}.flat",
            "memoryview(np.ascontiguousarray({}))", "np.broadcast_to({}[:1], ({}).shape)",
            "scipy.sparse.csr_array({})", "iter({})", "collections.deque({})", "{}.sum()",
            "poke(({}).astype('O'), None)", "poke(({}).astype('O'), 'a')", "set(({}).ravel())",
            "poke(({}).astype('O'), 10**400)", "poke(({}).astype('O'), failing('__float__'))",
            "dict(enumerate({}))", "({}) + 0.5", "({}) * 0 + 7", "str({})", "({}).tobytes()",
        )  # fmt: skip
    elif isinstance(value, dict):
        yield from (
            "Table({})", "collections.OrderedDict({})", "types.MappingProxyType({})",
            "collections.UserDict({})", "list(({}).items())", "list({})", "({}).values()",
            "({}).items()", "tuple(({}).values())", "dict(reversed(list(({}).items())))",
            "{{**({}), 1: 2}}", "{{**({}), 'extra': 3}}", "collections.ChainMap({})",
            "{{k.lower(): v for k, v in ({}).items()}}", "{{k: None for k in ({})}}",
            "{{Text(k): v for k, v in ({}).items()}}", "str({})", "iter({})",
            "{{k.encode(): v for k, v in ({}).items()}}", "[{}]", "{{}}", "dict.fromkeys({}, 1.5)",
            "{{k: np.asarray(v).tolist() for k, v in ({}).items()}}",
            "{{k: np.asarray(v).astype('f2') for k, v in ({}).items()}}",
            "{{k: np.asarray(v).astype(bfloat16) for k, v in ({}).items()}}",
            "{{k: np.asarray(v).astype(int) for k, v in ({}).items()}}",
            "{{k: np.asarray(v).astype('longdouble') for k, v in ({}).items()}}",
            "{{k: 1e200 * np.asarray(v) for k, v in ({}).items()}}",
            "{{k: 0 * np.asarray(v) for k, v in ({}).items()}}",
            "{{k: 1e-300 * np.asarray(v) for k, v in ({}).items()}}",
            "{{k: readonly(v) for k, v in ({}).items()}}", "types.SimpleNamespace(**({}))",
            "{{k: masked(v) for k, v in ({}).items()}}",
            "{{k: swapped(v) for k, v in ({}).items()}}",
            "{{k: np.asmatrix(v) for k, v in ({}).items()}}",
            "{{k: np.asarray(v).view(Matrix) for k, v in ({}).items()}}",
            "{{k: np.asarray(v).T for k, v in ({}).items()}}",
            "{{k: np.asarray(v)[:0] for k, v in ({}).items()}}",
            "{{'x' * 3000: v for v in ({}).values()}}",
            "{{f'{{k}}\\n': v for k, v in ({}).items()}}",
            "{{f'_{{k}}': v for k, v in ({}).items()}}",
            "{{f'${{k}}_{{{{$': v for k, v in ({}).items()}}",
        )  # fmt: skip
    elif isinstance(value, (list, tuple)):
        yield from (
            "tuple({})", "list({})", "np.array({})", "iter({})", "set({})", "frozenset({})",
            "collections.deque({})", "Listing({})", "collections.UserList({})", "({})[:0]",
            "({})[:1]", "({})[:-1]", "({}) + ({})[:1]", "[{}]", "dict(enumerate({}))",
            "dict.fromkeys({})", "(i for i in {})", "map(lambda i: i, {})", "str({})",
            "np.array({}, dtype=object)", "np.array({}, dtype='f8')", "np.array({}, dtype='u1')",
            "array_module.array('q', {})", "[[i] for i in {}]", "[np.array(i) for i in {}]",
            "[float(i) for i in {}]", "[Fraction(i) for i in {}]", "[str(i) for i in {}]",
            "[np.int8(i) for i in {}]", "[np.float32(i) for i in {}]", "[Index(i) for i in {}]",
            "[-i for i in {}]", "[0 * i for i in {}]", "[Whole(i) for i in {}]", "np.array([{}])",
            "({}) * 3", "({})[::-1]", "[True for i in {}]", "[10**400 * i for i in {}]",
            "memoryview(np.array({}))", "Wrapped({})", "readonly({})", "np.ma.masked_array({})",
        )  # fmt: skip
    elif isinstance(value, str):
        yield from (
            "({}).upper()", "({}).title()", "({}).encode()", "Text({})", "np.str_({})", "[{}]",
            "({}) + 'x'", "({})[:-1]", "({}) + ' '", "np.array({})", "({}).replace('_', '')",
            "({}).replace('_', '-')", "tuple({})", "collections.UserString({})", "({}) * 200",
            "np.bytes_({})", "{{{}}}", "lambda: {}", "'_' + ({})", "lying(str={}, repr={})",
        )  # fmt: skip
    elif isinstance(value, (bool, np.bool_)):
        yield from (
            "np.bool_({})", "int({})", "float({})", "str({})", "[{}]", "np.array({})",
            "np.array([{}])", "lying(bool={})",
        )  # fmt: skip
    elif isinstance(value, (int, float, np.number)):
        yield from (
            "Fraction({})", "Decimal(float({}))", "np.float16({})", "np.float32({})",
            "np.longdouble({})", "np.array({})", "np.array([{}])", "[{}]", "({},)", "str({})",
            "complex({})", "-({})", "1e200 * float({})", "1e-200 * float({})", "Real({})",
            "bfloat16({})", "Wrapped({})", "Floating({})", "np.ma.masked_array({})", "np.int8({})",
            "np.array({}, dtype='O')", "np.array({}, dtype='f4')", "({}) + 1e-12", "({}) * 10**400",
            "bytes(str({}), 'ascii')", "lambda: {}", "{{{}}}", "np.complex128({})", "float({})",
            "readonly({})", "np.array({}).view(Matrix)", "int({})", "Whole({})", "Index(int({}))",
            "({}) + 0.5", "({}) + 1", "({}) - 1", "1e6 * ({})", "1e-6 * ({})",
        )  # fmt: skip
    elif callable(value):
        yield from (
            "RaisingLate({}, 0)", "RaisingLate({}, 1)", "RaisingLate({}, 5)", "[{}]",
            "functools.partial({})",
            "lambda *positional: ({})(*positional)", "lambda x: ({})(x) * 1j",
            "lambda x: ({})(x)[..., None]", "lambda x: np.float16(({})(x))",
            "lambda x: ({})(x).tolist()", "staticmethod({})", "np.vectorize({})",
            "lambda x: ({})(x) * 1e160", "lambda x: ({})(x) * 1e-160", "str({})",
            "lambda x: masked(({})(x))", "lambda x: (({})(x),)", "lambda *a, **k: ({})(*a, **k)",
            "lambda *a, **k: np.asarray(({})(*a, **k)).astype(object)",
            "lambda *a, **k: np.asarray(({})(*a, **k)).view(Matrix)",
        )  # fmt: skip


__all__ = [name for name in dir() if name not in ("annotations", "Any", "Callable", "Iterator")]
