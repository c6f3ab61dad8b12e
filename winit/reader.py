"""Reads a program before anything is run: its sites, their fans, and what lies between two of them.

A framework's module, such as `winit.jax`, goes through a model's operations and asks a `Reader` at
each what is known of its result: a `Value`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from functools import partial, reduce
from itertools import pairwise, permutations, product
from operator import and_, or_
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from winit.program import (
    LINEAR,
    NORMAL,
    POINTS,
    ROOT,
    SEEN,
    TINY,
    Array,
    Elementwise,
    Index,
    Kernel,
    Program,
    Root,
    Site,
)

LOOP = 3  # so many calls of a kernel, of which each reads the last one's result, are a loop
SMALLER = 0.8  # what multiplies a sum of two, as 1/√2 does, leaves one
NUMBER = 2.0  # a number nearer to 1 behind a kernel belongs to what follows
BACK = "The model takes a gradient itself: how far a signal comes there is not judged."
WAVE = 4  # a function that turns so often is a wave, and what is added in it a phase: not best at 0


@dataclass(frozen=True)
class Contract:
    """The axes of a contraction, convolution or lookup, seen from its kernel."""

    order: Sequence[Sequence[int]]  # of the kernel: groups, outputs, inputs, window
    shape: tuple[int, ...]
    split: int = 1  # groups side by side on the output axis
    stride_in: float = 1.0  # dilated inputs: how much rarer they are
    stride_out: float = 1.0
    units: Sequence[int] = ()  # axes of z
    apart: bool = True  # each group has units of its own: rows and chosen experts share them
    examples_x: Sequence[int] = ()  # axes of x and of z that come from the data alone
    examples_z: Sequence[int] = ()

    def size(self, part: int) -> int:
        """The product of one part's axes."""
        return math.prod(self.shape[axis] for axis in self.order[part])

    @property
    def fans(self) -> tuple[float, float]:
        """fan_in and fan_out."""
        taps, outputs = self.size(3), self.size(1) // self.split
        return self.size(2) * taps / self.stride_in, outputs * taps / self.stride_out

    def arrange(self, values: Array) -> Array:
        """An array of the kernel's shape as (groups, outputs, inputs, *window)."""
        moved = values.transpose([axis for part in self.order for axis in part])
        sizes = self.size(0) * self.split, self.size(1) // self.split, self.size(2)
        return moved.reshape(*sizes, *(self.shape[axis] for axis in self.order[3]))

    def index(self, entries: Callable[[], list[Array]]) -> Index:
        """Gives positions so arranged; those of several steps are groups."""
        return lambda: np.concatenate([self.arrange(e) for e in entries()]).astype(np.int64)


def products(
    shapes: Sequence[Sequence[int]], summed: Sequence[Sequence[int]], batch: Sequence[Sequence[int]]
) -> tuple[Contract, ...]:
    """The two sides of a product, by the axes of each that are summed and that run beside."""
    free = [[a for a in range(len(shapes[k])) if a not in (*summed[k], *batch[k])] for k in (0, 1)]
    n, m = len(batch[0]), len(batch[0]) + len(free[0])
    ends = range(n, m), range(m, m + len(free[1]))
    return tuple(
        Contract((batch[k], free[k], summed[k], ()), tuple(shapes[k]), units=(*range(n), *ends[k]),
                 examples_x=free[1 - k], examples_z=ends[1 - k])
        for k in (0, 1)
    )  # fmt: skip


def equal_parts(whole: int, part: int) -> int:
    """Of how many equal parts so many numbers are one."""
    return whole // part if part and whole % part == 0 else 1


# ------------------------------------------------------------------ reading it

# What a value depends on. Whole numbers that come from the data pick and mask, and carry no signal;
# picked rows are a lookup's result, or a kernel that is chosen for the data.
PARAMETERS, ROUTING, PICKED, SIGNAL = range(4)
ELEMENTWISE = ("affine", "add", "mul", "div", "map", "choose")
EVERY = -1  # as a set of sites in bits: neutral in an intersection
GROWN = 1e9  # stands for the growth of an exponential
ROUNDING = 1e-9  # a function that moves no more is of numbers that cancel
BOTH = np.array([0.01, 0.1, 1.0])  # where a function of a kernel's entries is tried, on both sides
BETWEEN = 1.3 * BOTH, 1.301 * BOTH  # whole numbers, where a floor has its steps
# Two magnitudes far beyond any epsilon, on either side, at 32 points each: sine must not look odd.
FAR = np.linspace(1.0, 2.0, 32) * np.array([1e4, 1e5, -1e4, -1e5])[:, None]


@dataclass(frozen=True)
class Op:
    """One primitive operation, whose first result has this number.

    `kind` is "affine" (a sign, a cast), "add", "mul", "div", "map" (any other function of single
    numbers), "choose" (the first input picks among the others), "move" (numbers at other places),
    "join" (several side by side), "reduce", "contract", "lookup" or "other". `run` does it in
    NumPy: the first six kinds on numbers of any one shape, moves and joins on what they move.
    """

    kind: str
    number: int
    run: Callable[..., Any] | None = None
    outputs: int = 1
    shapes: Sequence[tuple[int, ...]] = ()  # of the inputs
    whole: bool = False  # gives whole numbers or truth values
    stops: bool = False  # no gradient passes
    count: float = 1.0  # values that a sum adds up
    mean: bool = False  # and is divided by how many they are
    scatters: bool = False  # and puts where the data say, among zeros
    contract: Sequence[Contract | None] = ()  # by the position of the kernel
    parts: int = 1  # of how many equal parts a move takes one
    kept: float = 1.0  # how much of a move's result is no padding
    shape: tuple[int, ...] = ()  # of the result of a contraction
    label: str = ""  # tells moves apart


class Multiple(NamedTuple):
    """A site's result times known numbers, and a curve of it without them."""

    site: int
    times: float
    curve: Array


@dataclass(frozen=True)
class Value:
    """What is known of a value; it is a function, number by number, of the value `source`.

    Sets of sites, roots, loops, inputs and parameters are bits of a whole number.
    """

    level: int = PARAMETERS
    source: int = -1
    layout: int = 0  # the moves since the source
    # Affine in the source; of parameters alone: sums of them, and positive multiples.
    straight: bool = True
    curve: Array = field(default_factory=lambda: POINTS, compare=False)  # of the source
    bare_curve: Array = field(default_factory=lambda: POINTS, compare=False)  # its shifts at 0
    # Of a site's result, multiplied by known numbers before anything bends: after one, two, … of
    # them their product, and the curve without them. Once the source is another, what it says.
    multiples: tuple[Multiple, ...] = field(default=(), compare=False)
    behind: Mapping[int, float] = field(default_factory=dict)
    ahead: float = 1.0  # the known number that it was multiplied by last, or before the source, too
    taken: float = 1.0
    summing: float = 1.0  # as many values as it is the sum of, which a number may divide
    act: Elementwise = field(default=LINEAR, compare=False)  # what acted before the source
    degree: float = 1.0  # the power of the data's scale with which it grows
    bounded: bool = False
    reduced: bool = False  # a reduction lies before it
    pending: bool = False  # degree 0 by a reduction: the last such value is a normalizer's result
    soft: bool = False  # so by exponentials
    scaled: bool = False  # bent, and then multiplied or shifted by parameters that are not known
    masked: bool = False  # bent, and then noisy, as by dropout, after it was looked at
    chosen: bool = False  # data may have multiplied it by 0, as what is another expert's
    kept: float = 1.0  # how much of it is no padding
    averaged: float = 1.0
    depth: int = 0
    dom: int = EVERY  # sites on every path to it
    parts: tuple[Value, ...] = ()  # values that stand in it side by side
    parents: int = 0
    bare: int = 0  # the parents that no normalizer separates from it
    met: int = 0  # those that meet in it, of sums that were made smaller one
    intact: int = 0  # sites whose result it is, shifted and moved
    nulls: int = 0  # sites where it, or its source, is 0 if their result is
    # Products of two signals, by the numbers of their operations, of which it is a sum or a
    # softmax, and by how much each is too large.
    scores: Mapping[int, float] = field(default_factory=dict, compare=False)
    raised: int = 0  # sites whose results, squared or multiplied by each other's, are in it
    free: int = 0  # kernels of sites and shifts of which it is a sum, or a function of the sum
    least: float = -math.inf  # the source is not below: 0, or a sign's worth more
    roots: int = 0
    loops: int = 0
    state: int = 0  # loops whose state reaches it with no site in between
    origins: int = 0  # inputs that reach it with no site in between
    flows: int = 0  # parameters to which a gradient comes back through it
    lost: int = 0  # those to which none does since they were made into whole numbers
    hard: bool = False  # such whole numbers are added in it, as where a softmax is made hard
    # Of what depends on parameters alone: a typical number, whether it is that one exactly, the
    # powers of the parameters in it, where the entries of each lie in it, step by step, and the
    # known number that they are multiplied by.
    number: float = 0.25
    exact: bool = False
    share: float = 1.0  # of a mask: how much of it is that number, where the rest is another
    rest: float = 0.0
    # Of an array without negative numbers the square of its mean, over the mean square.
    mixes: float | None = None
    powers: Mapping[int, float] = field(default_factory=dict)
    entries: Mapping[int, Callable[[], list[Array]]] = field(default_factory=dict, compare=False)
    times: Mapping[int, float] = field(default_factory=dict, compare=False)
    contracted: bool = False  # a product with a matrix or a vector lies in it
    bent: int = 0  # parameters that went through a function of single numbers that is not odd
    stepped: int = 0  # and those that did through one that is flat
    # Of sites' results, summed, shifted, bent and moved: which unit of each every number is of.
    units: Mapping[int, Callable[[], Array]] = field(default_factory=dict, compare=False)


def constant(values: Array) -> Value:
    """What is known of an array: its number, if it is full of it, or of it and zeros, as a mask."""
    low, high = values.min(), values.max()
    if not low >= 0:
        return Value(number=float(high), exact=True) if low == high else Value()
    wide = values.astype(np.float32, copy=False)
    with np.errstate(over="ignore", invalid="ignore"):
        mean, square = float(wide.mean()), float(np.square(wide).mean())
    mixes = mean**2 / square if 0 < square < math.inf else None
    if low == high:
        return Value(number=float(high), exact=True, mixes=mixes)
    mask = low == 0 and bool(((values == 0) | (values == high)).all())
    share = np.count_nonzero(values) / values.size
    return Value(number=float(high), share=share, mixes=mixes) if mask else Value(mixes=mixes)


def any_of(masks: Iterable[int]) -> int:
    """The union of sets in bits."""
    return reduce(or_, masks, 0)


def _nulls(v: Value) -> int:
    """Sites where a value is 0 if their result is, its shifts at 0."""
    return v.nulls if v.nulls and not np.interp(0.0, POINTS, v.bare_curve) else 0


def _seen(v: Value) -> NDArray[np.bool_]:
    """Which points its source takes, of those where a unit signal lies."""
    return np.asarray((np.abs(POINTS) <= SEEN) & (min(v.least, SEEN) <= POINTS))


def _from_one(curve: Array) -> float:
    """How far the rms of what a function makes of N(0, 1) is from 1, in ln, up or down."""
    with np.errstate(all="ignore"):
        return abs(math.log(np.sqrt(np.mean(np.interp(NORMAL, POINTS, curve) ** 2)) or math.inf))


def _unit(v: Value) -> Multiple | None:
    """The multiple behind a site for which its kernel should make up, if one is.

    A function that is of size 1 with its number in it is an activation, as sin(30 z) and the hard
    sigmoid are; but not one that it makes flat nearly everywhere, as tanh(100 z) is.
    """
    best = min(reversed(v.multiples), key=lambda m: round(_from_one(m.curve), 6), default=None)
    if best is None or _from_one(v.curve) > _from_one(best.curve) + math.log(NUMBER):
        return best
    curves = (np.broadcast_to(c, POINTS.shape) for c in (v.curve, best.curve))
    flat, steep = (Elementwise(curve).tails for curve in curves)
    return best if best.times > 1 and steep and not flat else None


def _behind(v: Value) -> Mapping[int, float]:
    """The numbers behind sites' results for which their kernels should make up."""
    unit = _unit(v)
    return {unit.site: unit.times} if unit else v.behind


def _ahead(v: Value) -> tuple[float, Array]:
    """The number in front of what reads it, for which that one should make up, and the rest."""
    unit = _unit(v)
    whole = unit.curve if unit else v.curve
    with np.errstate(over="ignore", invalid="ignore"):
        rest = np.asarray(whole) / v.ahead
    own = v.ahead if _from_one(whole) > _from_one(rest) + math.log(NUMBER) else 1.0
    return v.taken * own, whole if own == 1.0 else rest


def _multiplied(v: Value) -> float:
    """The largest known number that a signal was multiplied by, before something is made of it."""
    last = v.multiples[-1].times if v.multiples else max(v.behind.values(), default=1.0)
    return v.ahead * last


def _common(values: Sequence[Value]) -> int:
    """How many of their multiples are the same, from the first on."""
    pairs = zip(*(v.multiples for v in values), strict=False)
    same = [len({(m.site, m.times) for m in each}) == 1 for each in pairs]
    return (*same, False).index(False)


def _least(v: Value) -> float:
    """What a value is not below; of parameters nothing is known."""
    if v.level == PARAMETERS:
        return -math.inf if v.powers else v.number
    low = float(np.broadcast_to(np.asarray(v.curve, np.float64), POINTS.shape)[_seen(v)].min())
    return low if low >= 0 else -math.inf  # nan as well


def _low(op: Op, known: Sequence[Value]) -> float:
    """What the result is not below, made of values that are not below 0."""
    if op.kind not in ("add", "mul", "div", "choose", "reduce", "join", "contract"):
        return -math.inf
    return (sum if op.kind == "add" else min)(map(_least, known))


def _union(values: Sequence[Value], source: int) -> Value:
    """A value made of several: it inherits from all, its scale from what is not bounded."""
    carriers = [v for v in values if v.level > ROUTING] or list(values)
    strong = [v for v in carriers if not v.bounded] or carriers
    return Value(
        level=max(v.level for v in values),
        source=source,
        degree=max(v.degree for v in carriers),
        bounded=all(v.bounded for v in carriers),
        reduced=any(v.reduced for v in carriers),
        averaged=max(v.averaged for v in strong),
        depth=max(v.depth for v in carriers),
        dom=reduce(lambda dom, v: dom & v.dom, carriers, EVERY),
        parents=any_of(v.parents for v in carriers),
        bare=any_of(v.bare for v in carriers),
        met=any_of(v.met for v in carriers),
        loops=any_of(v.loops for v in carriers),
        state=any_of(v.state for v in carriers),
        raised=any_of(v.raised for v in values),
        masked=any(v.masked for v in carriers),
        roots=any_of(v.roots for v in strong),
        origins=any_of(v.origins for v in values),
        flows=any_of(v.flows for v in values),
        lost=any_of(v.lost for v in values),
        powers={p: n for v in values if v.level == PICKED for p, n in v.powers.items()},
    )


def _present(kernel: Value) -> Value:
    """A kernel without the parameters that no entry of it is of, as one of a stack has."""
    there = {p: any((e >= 0).any() for e in entries()) for p, entries in kernel.entries.items()}
    if len(there) < 2 or all(there.values()) or not any(there.values()):
        return kernel
    gone = [p for p, here in there.items() if not here]
    left = {p: power for p, power in kernel.powers.items() if p not in gone}
    return replace(kernel, powers=left, entries={p: kernel.entries[p] for p in there if p in left})


def _through(made: Value, factors: Sequence[Value]) -> Value:
    """A product of several sites' results: what leads to any of them is on every path."""
    doms = [v.dom for v in factors if _nulls(v) and v.dom != EVERY]
    return replace(made, dom=any_of(doms)) if len(doms) > 1 else made


def _raised(op: Op, known: Sequence[Value], degree: float) -> int:
    """Sites of which a result is a product, or a power of more than 1, and not by gates."""
    free = [v for v in known if v.parents and not v.bounded]
    times = op.kind in ("mul", "contract") and len(free) > 1
    power = (
        op.kind == "map" and max([v.degree for v in free], default=math.inf) < degree < GROWN / 2
    )
    return any_of(v.parents for v in free) if times or power else 0


def _part(places: Array, size: int) -> int | None:
    """Which of several equal parts these places are, side by side."""
    first, last = int(places.min()), int(places.max())
    return first // size if first % size == 0 and last - first == size - 1 else None


def _made_of(op: Op, inputs: Sequence[Value], places: Mapping[int, Any]) -> Any:
    """An operation's result in NumPy: of these values at their places, and of others' numbers."""
    assert op.run is not None
    with np.errstate(all="ignore"):
        return op.run(*(places.get(k, v.number) for k, v in enumerate(inputs)))


def _stepped(op: Op, inputs: Sequence[Value]) -> int:
    """Parameters of which only a step is used, as of roundings, signs and comparisons."""
    found = any_of(v.stepped for v in inputs)
    for k, v in enumerate(inputs):
        flat = op.whole
        if op.kind == "map" and op.run and v.powers and not flat:
            ups, downs = ([_made_of(op, inputs, {k: way * x}) for x in BETWEEN] for way in (1, -1))
            flat = np.array_equal(*ups) and np.array_equal(*downs)
        found |= any_of(1 << p for p in v.powers) if flat else 0
    return found


def _letting(op: Op, inputs: Sequence[Value], k: int) -> list[Value]:
    """What a mask chooses from, the mask standing where it lets the k-th input through.

    Dropout's is of noise, with zeros beside, for which the number in front of it makes up.
    """
    mask, *others = (v for j, v in enumerate(inputs) if j != k)
    for number in range(len(inputs) - 1):
        through = [replace(mask, number=float(number)), *inputs[1:]]
        if float(_made_of(op, through, {k: 3.0})) == 3.0:
            noise = not (mask.level or mask.powers) and mask.share == 1
            if noise and all(v.exact and not v.number for v in others):
                through[k] = _before_last(inputs[k])
            return through
    return list(inputs)


def _behind_noise(op: Op, inputs: Sequence[Value], main: Sequence[int]) -> Sequence[Value]:
    """What lets a signal through, where dropout or a mask takes a part of it.

    What dropout leaves is larger by as much as it takes: that is no known number.
    """
    if op.kind == "choose" and len(main) == 1 and 0 not in main and not inputs[0].exact:
        return _letting(op, inputs, main[0])
    if op.kind != "mul":
        return inputs
    return [replace(v, number=1.0) if k not in main and _drops(v) else v
            for k, v in enumerate(inputs)]  # fmt: skip


def _drops(v: Value) -> bool:
    """Whether it is noise of zeros and one number, whose mean is 1 but for chance."""
    noise = not (v.level or v.powers) and 0 < v.share < 1 and v.number > 1
    return noise and abs(math.log(v.share * v.number)) < math.log(NUMBER) / 2


def _noise(sides: Sequence[Value]) -> bool:
    """Whether arrays are no parameters, and of no known numbers, as what a noise adds."""
    return not any(v.powers or v.share < 1 for v in sides)


def _before_last(v: Value) -> Value:
    """A value before the known number above 1 that multiplied it last."""
    own = v.straight and v.multiples
    before = v.multiples[-2].times if len(v.multiples) > 1 else 1.0
    times = v.multiples[-1].times / before if own else v.ahead
    if not times > 1:
        return v
    multiples = (
        v.multiples[:-1] if own else [m._replace(curve=m.curve / times) for m in v.multiples]
    )
    return replace(v, curve=v.curve / times, bare_curve=v.bare_curve / times,
                   multiples=tuple(multiples), ahead=v.ahead if own else 1.0)  # fmt: skip


def _followed(op: Op, units: Callable[[], Array]) -> list[Array]:
    """The unit of every number after an operation."""
    if op.label == "steps":
        return [units()[0]]
    return [np.asarray(m) for m in op.run(units())] if op.kind == "move" and op.run else [units()]


def _numbered(shape: Sequence[int], units: Sequence[int]) -> Array:
    """The unit of every number of a site's result."""
    sizes = [shape[a] for a in units]
    numbers = np.arange(math.prod(sizes), dtype=np.int32).reshape(sizes)
    spread = [n if a in units else 1 for a, n in enumerate(shape)]
    return np.broadcast_to(numbers.transpose(np.argsort(units)).reshape(spread), shape)


def bits(mask: int) -> list[int]:
    """The members of a set of bits."""
    return [i for i in range(mask.bit_length()) if mask >> i & 1]


def _rings(turns: Sequence[Sequence[int]], reach: Mapping[int, int]) -> list[list[int]]:
    """For each kernel's calls, whose calls take turns with them, as those that project a state."""
    own = [any_of(1 << n for n in turn) for turn in turns]
    before, every = [any_of(reach[n] for n in turn) for turn in turns], range(len(turns))
    return [[j for j in every if before[i] & own[j] and before[j] & own[i]] for i in every]


def growth(function: Callable[[Array], Any]) -> float:
    """The power of x with which a function grows, far out: on the right, or else on the left."""
    values = np.broadcast_to(np.asarray(function(FAR), dtype=np.float64), FAR.shape)
    with np.errstate(all="ignore"):
        size = np.sqrt(np.mean(np.square(values), axis=1))
    for low, high in (size[:2], size[2:]):
        if high == np.inf:
            return GROWN
        if low > 0 and high > 0:
            return round(4 * math.log10(high / low)) / 4
    return 0.0


@dataclass
class Draft:
    """A site while the program is read: the values there, and the place of the kernel's."""

    number: int
    z: int
    side: int
    lookup: bool
    contract: Contract
    kernel: Value
    x: Value
    steps: int
    recurrent: bool
    carries: bool = False
    ahead: float = 1.0
    fed: bool = False
    picks: int = 0  # numbers that pick rows
    routed: bool = False  # data may have multiplied what it reads by 0, as at an expert

    @property
    def plain(self) -> bool:
        """Whether the kernel is a parameter as it stands."""
        return self.kernel.level == PARAMETERS and self.kernel.source >= 0

    @property
    def units(self) -> int:
        """How many units it has."""
        return self.contract.size(1) * (self.contract.size(0) if self.contract.apart else 1)

    @property
    def use(self) -> tuple[Any, ...]:
        """What tells uses of parameters apart, but for the part of them that is used."""
        order = tuple(map(tuple, self.contract.order))
        return frozenset(self.kernel.powers), self.lookup, order, tuple(self.contract.shape)

    @property
    def part(self) -> tuple[tuple[int, int], ...]:
        """The first and last place in each parameter that is used."""
        parts = [entries()[0].flat for entries in self.kernel.entries.values()]
        return tuple((int(part[0]), int(part[-1])) for part in parts)


class Reader:
    """Says what is known of each operation's result, and keeps the sites and roots it meets."""

    def __init__(self) -> None:
        self.parameters: list[Kernel] = []
        self.means: list[float] = []
        self.pairs: set[frozenset[int]] = set()  # of parameters that are added
        self.noisy: set[int] = set()  # those that arrays multiply which are no masks
        self.masks: set[str] = set()  # parameters of 0 and one other number that never change
        self.mixers: set[int] = set()  # those that never change, and have no negative numbers
        self.inputs: list[int] = []
        self.found: dict[int, Draft] = {}
        self.roots: dict[int, tuple[int, str, int]] = {}  # place, kind, parents
        self.root_names: dict[int, str] = {}
        self.picked: set[int] = set()
        self.sums: set[int] = set()  # the sites that meet in each
        self.carried: set[int] = set()  # those with the state of the outermost loop in them
        self.again: dict[int, int] = {}  # how many of the calls that became a site meet in a sum
        self.blocks: dict[int, int] = {}
        self.factors: set[int] = set()
        self.gains: set[int] = set()  # factors of what a normalizer gives, as they stand
        self.scales: dict[int, set[int]] = {}  # of a site's result, by its number
        self.behind: dict[int, dict[int, float]] = {}  # known numbers, by site and its reader
        self.passed = 0  # sites whose results, where they are 0, let another signal pass beside
        self.added: dict[int, int] = {}  # parameters, and the sites to whose results
        # Those added as they stand, to more than inputs, with one axis or a number for each unit.
        self.shifts: set[int] = set()
        # Of stacks of them, one for each layer: the rows, and the kernels that they are beside.
        self.rows: dict[int, tuple[set[int], set[Any]]] = {}
        # Parameters without which something is divided by 0, and those that decide on a sign there.
        self.poles: set[int] = set()
        self.signs: set[int] = set()
        self.phases: set[int] = set()  # added to what a sine or the like is taken of
        # Curves that sums and products read, by operation and place, and of which sites; those of
        # outputs, by their own place, are the operation -1's.
        self.bends: dict[tuple[int, int], tuple[Elementwise, int]] = {}
        self.masked: set[tuple[int, int]] = set()  # those of them of which noise hides a part
        self.amplifiers = 0  # sites of whose results the exponentials, or the like, multiply others
        self.peaks: dict[int, tuple[int, int]] = {}  # where a softmax is contracted: side, sites
        self.late: set[int] = set()  # those of them whose rows' sums divide behind the product
        self.sides: dict[int, tuple[int, int]] = {}  # of products of two signals, the sites of both
        self.compared: dict[int, set[float]] = {}  # those in a softmax: by how much too large
        self.partners: dict[int, int] = {}  # of sites, those whose results multiply theirs
        self.masking = 0  # inputs that multiply the signals of others
        self.single = 0  # sites before softmaxes over one entry
        self.chosen = 0  # sites whose results data may multiply by 0
        self.derived = 0  # sites on the way back of a gradient that the model takes itself
        self.steps: list[int] = []
        self.functions: dict[bytes, Elementwise] = {}

    @property
    def drafts(self) -> list[Draft]:
        """The sites; rows that are picked to be a kernel are none."""
        return [d for d in self.found.values() if d.z not in self.picked]

    def input(self, number: int, name: str, floats: bool) -> Value:
        """An input; one of whole numbers carries no signal."""
        self.inputs.append(number)
        origins = 1 << (len(self.inputs) - 1)
        if not floats:
            return Value(ROUTING, number, origins=origins)
        self.root_names[number] = name
        root = self._root(number, "input", 0)
        return Value(SIGNAL, number, dom=0, roots=root, origins=origins)

    def parameter(
        self, name: str, shape: tuple[int, ...], mean: float, known: Value | None = None
    ) -> Value:
        """A parameter; of one that never changes, what is known of its numbers."""
        p = len(self.parameters)
        self.parameters.append(Kernel(name, shape, trainable=known is None))
        self.means.append(mean)
        share, mixes = (known.share, known.mixes) if known else (1.0, None)
        self.masks |= {name} if known and (share < 1 or known.exact) else set()
        self.mixers |= {p} if mixes and len(shape) > 1 else set()
        entries = {p: lambda: [np.arange(math.prod(shape), dtype=np.int32).reshape(shape)]}
        return Value(PARAMETERS, p, number=mean / share, share=share, mixes=mixes, powers={p: 1.0},
                     entries=entries, flows=1 << p, times={p: 1.0})  # fmt: skip

    def _root(self, i: int, kind: str, parents: int) -> int:
        place, *_ = self.roots.get(i, (len(self.roots),))
        self.roots[i] = (place, kind, parents)
        return 1 << place

    def _used(self, v: Value) -> Value:
        """What is known of a value that something else than a normalizer uses."""
        if not v.pending:
            return v
        root = self._root(v.source, "softmax" if v.soft else "normalizer", v.parents)
        # The sums of a trunk go on where each is normalized: every one takes a part of the others.
        met = v.met if v.met & self.passed else 0
        v = replace(v, pending=False, soft=False, bounded=v.soft, reduced=False, bare=0, met=met)
        return replace(v, degree=1.0, roots=root, averaged=1.0, multiples=(), taken=1.0, raised=0)

    def acting(self, v: Value) -> Elementwise:
        """The activation on the way to a value; pooling, moves, joins of equals looked through."""
        return v.act if v.straight else self._function(_ahead(v)[1])

    def bend(self, v: Value) -> Elementwise:
        """The activation whose results these are, with the numbers that multiply them, if known."""
        if v.scaled:
            return LINEAR
        unit = _unit(v)
        return v.act if v.straight else self._function(unit.curve if unit else v.curve)

    def _function(self, curve: Array) -> Elementwise:
        """One for all curves that are equal; a constant but for roundings says nothing."""
        curve = np.broadcast_to(np.asarray(curve, dtype=np.float64), POINTS.shape)
        if np.ptp(curve) < ROUNDING:  # as of p - p, by which a gradient goes straight through
            return LINEAR
        return self.functions.setdefault(np.round(curve, 4).tobytes(), Elementwise(curve))

    def apply(self, op: Op, inputs: Sequence[Value]) -> list[Value]:
        """What is known of an operation's results."""
        single = op.kind in ELEMENTWISE or op.kind == "move"
        for k in range(len(inputs)):  # what was found in a loop before its state was known
            self.bends.pop((op.number, k), None)
        made = (self._single if single else self._whole)(op, inputs)
        if op.whole and made.level > ROUTING:
            stay = ("source", "straight", "curve", "loops", "multiples")
            made = Value(ROUTING, origins=made.origins, **{n: getattr(made, n) for n in stay})
        chosen = made.level > ROUTING and self._choosing(op, inputs)
        lost = any_of((v.flows if op.whole else 0) | v.lost for v in inputs)
        flows = 0 if op.stops or op.whole else any_of(v.flows for v in inputs)
        hard = any(v.hard or (op.kind == "add" and v.level == ROUTING and v.lost) for v in inputs)
        intact = made.intact
        if op.kind in ("add", "affine", "move", "join"):
            intact = any_of(v.intact for v in inputs)
        followed = self._units(op, inputs)
        bent, stepped = (0, 0) if made.level else (self._bent(op, inputs), _stepped(op, inputs))
        results = []
        for i in range(op.number, op.number + op.outputs):
            source = i if made.source == op.number else made.source
            moves = op.kind == "move" and made.level and source != i
            layout = hash((made.layout, op.label, i - op.number)) if moves else made.layout
            entries = {} if made.level else self._entries(op, inputs, i - op.number)
            units = {n: lambda at=at, k=i - op.number: at()[k] for n, at in followed.items()}
            results.append(replace(
                made, source=source, layout=layout, flows=flows, intact=intact, lost=lost,
                units=made.units if op.kind == "contract" else units, entries=entries,
                times=self._times(op, inputs, entries), bent=bent, stepped=stepped, chosen=chosen,
                hard=hard,
            ))  # fmt: skip
        return results

    def _choosing(self, op: Op, inputs: Sequence[Value]) -> bool:
        """Whether data choose what stays of a result, by numbers that are not made of it."""
        if op.kind in ("join", "other") and inputs and inputs[0].exact:  # put where data say
            signals = [v for v in inputs if v.level > ROUTING]
            soft = (v.bounded or (v.pending and v.soft) for v in signals)
            shares = inputs[0].number == -math.inf or all(soft)
            if shares and any(v.level == ROUTING for v in inputs):
                return True
        if op.kind in ("other", "lookup") and any(v.level == ROUTING for v in inputs[1:]):
            intact = inputs[0].intact
            groups = (d.contract.size(0) for d in self.found.values() if intact >> d.number & 1)
            several = intact.bit_count() > 1 or max(groups, default=1) > 1  # side by side
            self.chosen |= intact if several else 0
            return inputs[0].chosen or several
        if op.kind in ("add", "join"):
            return all(v.chosen for v in inputs if v.level > ROUTING)
        if op.number in self.found:
            return False
        made = {v.source for v in inputs if v.level > ROUTING}
        by = any(v.chosen for v in inputs)
        if op.kind in ("mul", "contract", "choose"):
            by |= any(v.level == ROUTING and v.source not in made for v in inputs)
            self.chosen |= any_of(v.parents for v in inputs) if by else 0
        return by

    def _units(self, op: Op, inputs: Sequence[Value]) -> dict[int, Callable[[], list[Array]]]:
        """Where the units of sites went, for all results; parts that are blocks are kept."""
        found: dict[int, Callable[[], list[Array]]] = {}
        whole = max(op.shapes, key=math.prod, default=())
        for k, (n, at) in ((k, pair) for k, v in enumerate(inputs) for pair in v.units.items()):
            moves = op.kind == "move" and op.run and len(inputs) == 1
            stays = op.kind in ("add", "affine", "map") and op.shapes[k] == whole
            if moves or stays or op.label == "steps":
                found[n] = partial(_followed, op, at)
        for n, moved in found.items() if op.parts > 1 else ():
            units = next(d.contract.size(1) for d in self.found.values() if d.number == n)
            part = np.unique(moved()[0]) if units % op.parts == 0 else np.zeros(0)
            if len(part) * op.parts == units and part[-1] - part[0] == len(part) - 1:
                self.blocks[n] = max(op.parts, self.blocks.get(n, 1))
        return found

    # Functions of single numbers, and moves.

    def _main(self, op: Op, inputs: Sequence[Value]) -> list[int]:
        """The places of what is looked at; other inputs are sides, as constants are."""
        top = max((v.level for v in inputs), default=PARAMETERS)
        if top == PARAMETERS:
            return []
        cases = range(op.kind == "choose", len(inputs))
        chosen = [k for k in cases if inputs[k].level in (top, PICKED, SIGNAL)]
        sources = {inputs[k].source for k in chosen}
        same = [k for k, v in enumerate(inputs) if k in chosen or (v.level and v.source in sources)]
        return [k for k in same if not self._masking(op, inputs, k)] or [0]

    def _masking(self, op: Op, inputs: Sequence[Value], k: int) -> bool:
        """Whether an input is of data that only multiply others' signals.

        So padding's masks do, and the matrix that says which nodes of a graph are neighbors.
        """
        own, times = inputs[k], op.kind in ("mul", "contract") or (op.kind == "div" and k == 1)
        if not (times and own.level == SIGNAL and own.origins) or own.parents or own.loops:
            return False
        others, sizes = inputs[1 - k], [math.prod(n) for n in op.shapes]
        if others.level == SIGNAL and not others.parents:  # of other data
            apart = op.kind != "contract" and not others.origins & own.origins
            return apart and len(sizes) == 2 and sizes[k] < sizes[1 - k]
        origins, parents = others.origins, others.parents
        for d in reversed(self.found.values()):
            if parents >> d.number & 1:
                origins, parents = origins | d.x.origins, parents | d.x.parents
        shares = op.kind == "contract" and others.bounded  # of an attention over data
        masks = parents > 0 and not origins & own.origins and not shares
        self.masking |= own.origins if masks else 0
        return masks

    def _single(self, op: Op, inputs: Sequence[Value]) -> Value:
        main = self._main(op, inputs)
        if not main:
            return self._alone(op, inputs)
        inputs = [v if k in main or not v.level else replace(v, number=1.0)
                  for k, v in enumerate(inputs)]  # fmt: skip
        came = inputs[main[0]]
        inputs = _behind_noise(op, inputs, main)
        sides = [v for k, v in enumerate(inputs) if k not in main]
        made_of = {p for v in sides for p in v.powers}
        self.factors |= made_of if op.kind in ("mul", "div") else set()
        for k in main if op.kind in ("div", "map") else ():
            self._guard(op, inputs, k)
        lone = main == [0] or (op.kind == "mul" and len(main) == 1)
        if len(main) == 1:
            self._beside(op, inputs, main[0])
        linear = lone if op.kind in ("mul", "div") else op.kind in ("affine", "add", "move")
        straight = (linear or (op.kind == "choose" and 0 not in main)) and all(
            inputs[k].straight for k in main
        )
        pending = straight and all(inputs[k].pending for k in main)
        known = [inputs[k] if pending else self._used(inputs[k]) for k in main]
        first = max(known, key=lambda v: v.level)
        degree = self._degree(op, inputs, dict(zip(main, (v.degree for v in known), strict=True)))
        level = PICKED if first.level == ROUTING and made_of else first.level
        if len({(v.source, v.layout) for v in known}) > 1:
            # gates, ends of branches, and what a mask of the data picks
            for k in main if op.kind in ("mul", "add", "choose") else ():
                if inputs[k].level > ROUTING and not inputs[k].straight:
                    self._keep(op.number, k, inputs[k], op.kind == "mul")
                if op.kind != "choose":
                    self._pass(op, inputs, k, main)
            own = degree == 0 and any(v.reduced for v in known)  # over its own sum, as in a softmax
            times = op.kind in ("mul", "div") and first.level > ROUTING and not own
            for k in main if times else ():
                if self.bend(inputs[k]).amplifies:
                    self.amplifiers |= inputs[k].parents
            rises = op.kind != "add" or all(self._rises(op, inputs, k) for k in main)
            return replace(self._mixed(op, known, degree, pending), level=level,
                           raised=any_of(v.raised for v in known) | _raised(op, known, degree),
                           least=_low(op, known) if rises else -math.inf)  # fmt: skip
        self._straight_through(op, inputs, main)
        open_ended = not all(v.exact for v in sides)
        scaled = open_ended and len(main) == 1 and self._scaled(op, came, main[0], bool(made_of))
        powers = first.powers if level == first.level else self._powers(op, inputs)
        free = first.free | any_of(1 << p for p in made_of if op.kind == "add")
        noise = open_ended and len(main) == 1 and not made_of and self._masks(op, first)
        made = replace(first, level=level, straight=straight, powers=powers, free=free,
                       masked=first.masked or noise, scaled=first.scaled or scaled,
                       kept=first.kept * op.kept)  # fmt: skip
        if pending:
            return self._normalized(op, inputs, main, made, open_ended)
        # A shift that is not known stands at 0, a scale at 1, and nothing is masked.
        # But one number for all, which a redraw leaves, stands as it is.
        kept = op.kind in ("mul", "div") and made_of and all(map(self._known, sides))
        unknown = straight or (linear and _noise(sides))
        skips = open_ended and len(main) == 1 and unknown and op.kind != "affine" and not kept
        if op.kind != "move" and not skips:
            made = self._curved(op, inputs, main, made)
        # A function that no longer grows far out, such as tanh, sets a scale of its own.
        bounded = all(v.bounded for v in known) or degree == 0
        return replace(
            made,
            degree=degree or 1.0,
            bounded=bounded,
            raised=made.raised | _raised(op, known, degree),
        )

    def _straight_through(self, op: Op, inputs: Sequence[Value], main: Sequence[int]) -> None:
        """Keep the curve whose slopes a sum has, if the rest of it lets no gradient back."""
        felt = [k for k in main if inputs[k].flows and op.kind == "add"]
        for k in felt if len(felt) < len(main) else ():
            if not inputs[k].straight:
                self._keep(op.number, k, inputs[k])

    def _normalized(
        self, op: Op, inputs: Sequence[Value], main: Sequence[int], made: Value, open_ended: bool
    ) -> Value:
        """What a normalizer gives, after one more operation on each of its numbers.

        What is learned or not known is a part of it; a number that makes it smaller is one in front
        of what reads it.
        """
        for k, v in enumerate(inputs if op.kind == "mul" and not made.soft else ()):
            plain = k not in main and [*v.times.values()] == [1]  # and not 1 + w
            self.gains |= {p for p in v.powers if plain and v.number == self.means[p]}
        if open_ended:
            return replace(made, source=op.number, layout=0, curve=POINTS, bare_curve=POINTS,
                           ahead=1.0)  # fmt: skip
        times = len(main) == 1 and (op.kind == "mul" or (op.kind == "div" and main == [0]))
        less = times and float(_made_of(op, inputs, {main[0]: 1.0})) < 1
        return self._curved(op, inputs, main, made) if less else made

    def _scaled(self, op: Op, v: Value, k: int, learned: bool) -> bool:
        """Whether numbers that are not known scale what is bent, which is seen before they do."""
        if op.kind not in ("mul", "div", "add", "choose") or v.level <= ROUTING:
            return False
        act, bent = self.bend(v), learned and op.kind != "choose" and not v.straight
        if bent or (op.kind == "mul" and not learned and act.positive) or self._masks(op, v):
            self._keep(op.number, k, v)
        return bent

    def _masks(self, op: Op, v: Value) -> bool:
        """Whether noise or a mask changes a curve's numbers, by which its flat slopes are seen."""
        own = op.kind in ("add", "mul", "choose")
        return own and v.level > ROUTING and bool(self.bend(v).tails)

    def _keep(self, number: int, k: int, v: Value, gate: bool = False) -> None:
        """Keep a curve, whose share of flat slopes is measured here: if no noise hides them."""
        act = self.bend(v)
        self.bends[number, k] = replace(act, gate=gate and act.positive), v.parents
        (self.masked.add if v.masked else self.masked.discard)((number, k))

    def curves(self, drafts: Iterable[Draft]) -> dict[str, tuple[Elementwise, int, float]]:
        """Where flat slopes are counted: the curve, of which sites, and how much is no padding."""
        reads = {str(d.z): (self.bend(d.x), d.x.parents, d.x.kept) for d in drafts
                 if not (d.lookup or d.x.masked)}  # fmt: skip
        return reads | {f"{i}.{k}": (act, parents, 1.0) for (i, k), (act, parents)
                        in self.bends.items() if (i, k) not in self.masked}  # fmt: skip

    def _curved(self, op: Op, inputs: Sequence[Value], main: Sequence[int], made: Value) -> Value:
        """A function of one source, with its curves after an operation."""
        run = partial(_made_of, op, inputs)
        curve = run({k: inputs[k].curve for k in main})
        shifts = {k: 0.0 for k, v in enumerate(inputs) if op.kind == "add" and v.powers}
        bare = run(shifts | {k: inputs[k].bare_curve for k in main})
        whole, kept = made.curve, _common([inputs[k] for k in main])
        multiples = []
        for n, multiple in enumerate(made.multiples[:kept]):
            of = run({k: inputs[k].multiples[n].curve for k in main})
            multiples.append(multiple._replace(curve=of))
        sides = [v for k, v in enumerate(inputs) if k not in main]
        lone = len(main) == 1 and (op.kind == "mul" or (op.kind == "div" and main == [0]))
        ahead = made.ahead if op.kind == "affine" else 1.0
        if lone and all(map(self._known, sides)):
            times = float(run({main[0]: 1.0}))
            if not made.soft:
                made = replace(made, scores={n: t * abs(times) for n, t in made.scores.items()})
            size, turned = abs(times), math.copysign(1.0, times)
            known = 0 < size < math.inf
            if known and size < 1.0:  # what makes a mean of a sum takes nothing away
                back = min(1.0, size * made.summing) / size
                size, curve, bare = size * back, curve * back, bare * back
                multiples = [m._replace(curve=m.curve * back) for m in multiples]
                made = replace(made, summing=1.0)
            if made.straight and made.intact.bit_count() == 1:
                last = made.multiples[-1] if kept else Multiple(bits(made.intact)[0], 1.0, whole)
                more = Multiple(last.site, last.times * size, turned * last.curve)
                multiples += [more] if known else []
            elif known:
                ahead = made.ahead * size
            if made.straight and known and size <= SMALLER and made.met:  # it stays as it is
                self.carried.discard(made.met)
                made = replace(made, met=1 << bits(made.met)[-1])
        return replace(made, curve=curve, bare_curve=bare, multiples=tuple(multiples), ahead=ahead)

    def _beside(self, op: Op, inputs: Sequence[Value], place: int) -> None:
        """Keep which parameters scale a site's result, or are added to a signal as they stand."""
        v, sides = inputs[place], [k for k in range(len(inputs)) if k != place]
        if op.kind == "mul":
            # The exponential of a 0, or a 1 beside it, multiplies nothing by 0.
            made_of = {p for k in sides for p in inputs[k].powers
                       if self.means[p] or not inputs[k].number}  # fmt: skip
            self.scales |= {n: made_of for n in bits(v.intact) if 1 << n == v.intact}
        units = {d.units for d in self.found.values() if v.intact >> d.number & 1}
        for k in sides if op.kind == "add" else ():
            plain = inputs[k].powers and inputs[k].straight and self._rises(op, inputs, k)
            for p in inputs[k].powers:
                shape = self.parameters[p].shape
                stacked = bool(self.steps) and shape[:1] == (self.steps[-1],)
                part = None if stacked else self._row(p, inputs[k])
                shape = shape[1:] if stacked or part is not None else shape  # of one layer
                vector = len(shape) == 1 or math.prod(shape) in units
                self.added[p] = self.added.get(p, 0) | v.parents
                if part is not None:  # all rows, each beside a kernel of its own, as no positions
                    rows, uses = self.rows.setdefault(p, (set(), set()))
                    rows |= {part} if plain and vector else set()
                    uses |= {
                        (d.use, d.part) for d in self.found.values() if v.parents >> d.number & 1
                    }
                    plain = min(len(rows), len(uses)) == self.parameters[p].shape[0]
                self.shifts |= {p} if plain and vector and (v.parents or v.pending) else set()

    def _row(self, p: int, v: Value) -> int | None:
        """The row of a stack, as of all layers' biases, that a value is made of."""
        shape = self.parameters[p].shape
        if p not in v.entries or len(shape) < 2:
            return None
        return _part(v.entries[p]()[0], math.prod(shape[1:]))

    def _pass(self, op: Op, inputs: Sequence[Value], k: int, main: Sequence[int]) -> None:
        """Keep the sites beside which a signal passes, where the k-th input is their 0."""
        rest = op.kind == "add" or bool(np.interp(0.0, POINTS, inputs[k].bare_curve))
        for n in bits(inputs[k].intact | inputs[k].nulls) if rest else ():
            others = (inputs[j] for j in main if j != k and inputs[j].level > ROUTING)
            # It needs the site nowhere, but in the state's steps before.
            if any(not (v.dom if v.state else v.parents | v.dom) >> n & 1 for v in others):
                self.passed |= 1 << n

    def _guard(self, op: Op, inputs: Sequence[Value], k: int) -> None:
        """Keep what a quotient, a root, a logarithm or a wave needs of its k-th input.

        Near 0 it is infinite or steeper than any bound there, or no number on one side of 0.
        """
        v = inputs[k]
        if not v.free or op.run is None:
            return
        curve = np.broadcast_to(np.asarray(v.bare_curve, dtype=np.float64), POINTS.shape)
        at, seen = np.append(curve, TINY), np.append(_seen(v), True)
        with np.errstate(all="ignore"):
            made = np.asarray(_made_of(op, inputs, {k: at}), dtype=np.float64)
            found = np.broadcast_to(made, at.shape)
            rise = np.abs(found[-1] - found[seen & (at == 0)])
            ways = np.diff(found[:-1])
            ways = np.sign(ways[np.abs(ways) > 1e-3 * np.abs(ways).max()])  # beyond roundings
        low, high = curve[_seen(v)].min(), curve.max()
        finite = np.isfinite(found[seen])
        wild = finite.any() and not finite.all()  # else it is another input's doing
        self.phases |= set(bits(v.free)) if np.count_nonzero(np.diff(ways)) >= WAVE else set()
        if wild or ((rise < ROOT) & (rise > TINY / ROOT)).any():
            self.poles |= set(bits(v.free))
        if wild and low < 0 < high:
            self.signs |= set(bits(v.free))

    def _rises(self, op: Op, inputs: Sequence[Value], k: int) -> bool:
        """Whether a result is a sum with the k-th input in it, or its multiple by more than 0."""
        others = any(v.powers for j, v in enumerate(inputs) if j != k)
        if op.kind in ("move", "join"):
            return True
        kinds = ("affine", "add") if others else ("affine", "add", "mul", "div")
        if op.run is None or op.kind not in kinds:
            return False
        low, high = (float(_made_of(op, inputs, {k: x})) for x in (0.0, 1.0))
        return high > low

    def _alone(self, op: Op, inputs: Sequence[Value]) -> Value:
        """Of parameters and constants alone."""
        number, single = inputs[0].number if inputs else 0.25, op.kind in ELEMENTWISE
        parts = [k for k, v in enumerate(inputs) if v.powers]
        # As they stand, or turned, as i times one is.
        whole = [[*v.times.values()] == [1.0] and not self.noisy & {*v.powers} for v in inputs]
        plain = all(inputs[k].source >= 0 or whole[k] for k in parts)
        for pair in product(*(inputs[k].powers for k in parts)) if op.kind == "add" else ():
            self.pairs |= {frozenset(pair)} if plain else set()
        unknown = any(not (v.powers or v.exact) and v.share == 1 for v in inputs)
        self.noisy |= {p for k in parts for p in inputs[k].powers if op.kind == "mul" and unknown}
        straight = all(inputs[k].straight and self._rises(op, inputs, k) for k in parts)
        if op.run is not None and single:
            number = float(_made_of(op, inputs, {}))
        exact = bool(inputs) and (single or op.kind == "move") and all(v.exact for v in inputs)
        powers = self._powers(op, inputs)
        reduced = op.kind == "reduce" or any(v.reduced for v in inputs)
        share, rest = self._mask(op, inputs)
        stays = op.kind == "move" or (op.kind == "affine" and op.run and float(op.run(1.0)) == 1.0)
        mixes = inputs[0].mixes if stays and inputs else None
        contracted = op.kind == "contract" or any(v.contracted for v in inputs)
        return Value(number=number, exact=exact, powers=powers, straight=straight, reduced=reduced,
                     share=share, rest=rest, mixes=mixes, contracted=contracted)  # fmt: skip

    def _mask(self, op: Op, inputs: Sequence[Value]) -> tuple[float, float]:
        """What is known of the result of a mask: how much of it is one number, and the other."""
        masks = [v for v in inputs if v.share < 1]
        if len(masks) != 1 or not all(v.exact or v.share < 1 for v in inputs):
            return 1.0, 0.0
        if op.kind == "move":
            return masks[0].share, masks[0].rest
        if op.run is None or op.kind not in ELEMENTWISE:
            return 1.0, 0.0
        rests = {k: v.rest for k, v in enumerate(inputs) if not v.exact}
        return masks[0].share, float(_made_of(op, inputs, rests))

    def _powers(self, op: Op, inputs: Sequence[Value]) -> dict[int, float]:
        """With which power each parameter takes part; a product of matrices beside a whole, 0."""
        found = {}
        for p in dict.fromkeys(p for v in inputs for p in v.powers):
            known = {k: v.powers[p] for k, v in enumerate(inputs) if p in v.powers}
            found[p] = self._degree(op, inputs, known)
            if op.kind == "add" and any(v.entries for v in inputs):
                found[p] *= any(p in v.entries for v in inputs)
        return found

    def _degree(self, op: Op, inputs: Sequence[Value], known: Mapping[int, float]) -> float:
        """The power of a scale in a result, from those in inputs, by their places."""
        if op.kind in ("mul", "contract"):
            return sum(known.values())
        if op.kind == "div":
            return known.get(0, 0.0) - known.get(1, 0.0)
        if op.kind != "map" or len(known) > 1 or op.run is None:
            return max(known.values())
        ((k, power),) = known.items()
        return power * growth(lambda far: _made_of(op, inputs, {k: far}))

    def _entries(self, op: Op, inputs: Sequence[Value], out: int) -> dict[int, Any]:
        """Where each parameter's entries went: kept by elementwise operations, moved by others."""
        if op.kind not in (*ELEMENTWISE, "move", "join"):
            return {}
        found: dict[int, Any] = {}
        moves, whole = op.kind in ("move", "join"), max(op.shapes, key=math.prod, default=())
        for p in {p for v in inputs for p in v.entries}:
            have = [k for k, v in enumerate(inputs) if p in v.powers]
            have = [k for k in have if moves or op.shapes[k] == whole]
            if len(have) == 1 and p in inputs[have[0]].entries and (op.run or not moves):
                entries = inputs[have[0]].entries[p]
                found[p] = self._moved(op, inputs, have[0], out, entries) if moves else entries
        return found

    def _bent(self, op: Op, inputs: Sequence[Value]) -> int:
        """Parameters bent otherwise than up and down alike, by an operation or before it.

        What is summed up, as their squares are for a length, is no function of their entries.
        """
        if op.kind in ("reduce", "contract"):
            return 0
        before = any_of(v.bent for v in inputs)
        if op.kind == "add" and any(
            not v.powers and not (v.exact and not v.number) for v in inputs
        ):
            shifted = (v for v in inputs if not v.reduced)  # as I + V is, and no length with an ε
            return before | any_of(1 << p for v in shifted for p in v.powers)
        if op.kind != "map" or op.run is None:
            return before
        for k, v in enumerate(inputs):
            up, down = (np.asarray(_made_of(op, inputs, {k: x}), float) for x in (BOTH, -BOTH))
            if not (v.reduced or np.allclose(up, -down)):
                before |= any_of(1 << p for p in v.powers)
        return before

    def _times(self, op: Op, inputs: Sequence[Value], kept: Iterable[int]) -> dict[int, float]:
        """The numbers that entries are multiplied by, after an operation that keeps them.

        By a mask they are by the root of how much of it is not 0.
        """
        before = {p: times for v in inputs for p, times in v.times.items()}
        found = {p: before[p] for p in kept}
        if op.run is None or op.kind not in ("mul", "div", "choose"):
            return found
        for p in found:
            ways = [[(1.0, 1.0)] if p in v.powers or not (v.share < 1 or self._known(v))
                    else [(v.share, v.number), (1 - v.share, v.rest)] for v in inputs]  # fmt: skip
            square = 0.0
            for pairs in product(*ways):
                weights, numbers = zip(*pairs, strict=True)
                if weight := math.prod(weights):
                    square += weight * float(_made_of(op, inputs, dict(enumerate(numbers)))) ** 2
            found[p] *= math.sqrt(square) if 0 < square < math.inf else 1.0
        return found

    def _known(self, v: Value) -> bool:
        """Whether it is one number for all, or made of parameters of one, which a redraw leaves."""
        single = v.powers and all(math.prod(self.parameters[p].shape) == 1 for p in v.powers)
        return v.exact or bool(single and v.number)

    def _moved(self, op: Op, inputs: Sequence[Value], place: int, out: int, entries: Any) -> Any:
        run = op.run
        assert run is not None
        if op.label == "steps":  # a loop takes another part at each step
            return lambda: [part for e in entries() for part in e]

        def moved() -> list[Array]:
            pairs = list(zip(op.shapes, inputs, strict=True))
            rest = [np.full(s, int(v.number) if v.exact else -1, np.int32) for s, v in pairs]
            each = (run(*rest[:place], e, *rest[place + 1 :]) for e in entries())
            return [np.asarray(m[out]) for m in each]

        return moved

    def _mixed(self, op: Op, known: Sequence[Value], degree: float, pending: bool) -> Value:
        """Values of several sources, number by number: the result is a source of its own."""
        made = _union(known, op.number)
        if op.kind == "add":
            self.sums.add(made.met)
            made = replace(made, masked=False)  # whatever bends the sum, no noise hides
            self.carried |= {made.met} if any(v.state & 1 for v in known) else set()
        elif op.kind == "mul":
            made = _through(self._gated(made, known), known)
        elif op.kind == "choose":  # a state that stays where there are no data is no way for it
            made = replace(made, state=reduce(and_, (v.state for v in known)))
        if op.kind == "div" and min(v.degree for v in known) > GROWN / 2 > degree:
            # A softmax that divides behind the product leaves no scale of its scores in it.
            rows = known[1].bare
            made = replace(made, bare=made.bare & ~rows, met=made.met & ~rows)
        stays = pending or (degree == 0 and made.reduced and any(v.degree for v in known))
        shares = [v.soft or abs(v.degree) > GROWN / 2 or (v.bounded and v.scores) for v in known]
        soft = stays and any(shares)
        soft = soft and min(map(_least, known)) >= 0  # else a normalizer, with exponentials before
        bounded = made.bounded or (degree == 0 and not stays)
        degree = degree if degree or stays else 1.0
        nulls, times = [_nulls(v) for v in known], op.kind == "mul"
        for k, own in enumerate(nulls if times else ()):
            self._partner(own, any_of(nulls[:k] + nulls[k + 1 :]))
        behinds = [dict(_behind(v)) for v in known]
        # A number before a bend stays its kernel's, whatever is added to the bend's result.
        bent = [
            own for own, v in zip(behinds, known, strict=True) if not (v.straight and v.multiples)
        ]
        # So does one behind each of the summands, where there is none that stands as it is.
        logs = [np.log(t) for own in behinds for t in own.values()]
        every = all(behinds) and min(np.abs(logs)) > math.log(NUMBER) and len({*np.sign(logs)}) == 1
        every = every and self._each_once({n for own in behinds for n in own})
        same = all(own == behinds[0] for own in behinds)
        kept = behinds[:1] if same else behinds if every else bent
        behind = {n: t for own in kept for n, t in own.items()}
        meets = reduce(and_, nulls) if op.kind == "add" else any_of(nulls) * times
        free = any_of(v.free for v in known) if op.kind in ("add", "choose") else 0
        keeps = op.kind in ("add", "choose") or (op.kind == "div" and soft)
        scores = {n: t for v in known for n, t in v.scores.items()} if keeps else {}
        return replace(made, degree=degree, bounded=bounded, pending=stays, soft=soft, free=free,
                       nulls=meets, behind=behind, scores=scores)  # fmt: skip

    def _gated(self, made: Value, known: Sequence[Value]) -> Value:
        """A product in which gates take part: they are no summands, and leave of a sum one."""
        gates = [self.bend(v) if v.bounded and self.bend(v).positive else None for v in known]
        others = [v for v, gate in zip(known, gates, strict=True) if gate is None]
        if not 0 < len(others) < len(known):
            return made
        met, through = any_of(v.met for v in others), [gate(NORMAL) for gate in gates if gate]
        if met.bit_count() > 1 and np.mean(np.prod(np.square(through), axis=0)) <= SMALLER**2:
            met = 1 << bits(met)[-1]
        return replace(made, met=met)

    def _each_once(self, numbers: set[int]) -> bool:
        """Whether these sites have kernels of their own, as no steps of a moving average have."""
        uses = [(d.use, d.part) for d in self.found.values() if d.number in numbers]
        return len({*uses}) == len(uses)

    def _partner(self, own: int, others: int) -> None:
        """Keep that the results of these sites are multiplied by those of others."""
        for n in bits(own):
            self.partners[n] = self.partners.get(n, 0) | others

    # All other operations.

    def _whole(self, op: Op, inputs: Sequence[Value]) -> Value:
        """A new source that inherits everything: a reduction, a join, a site, or the unknown."""
        for k, v in enumerate(inputs if op.kind == "contract" else ()):
            scores = v.scores or v.reduced  # of these the largest was taken off
            late = scores and v.degree > GROWN / 2 and _least(v) >= 0  # it divides behind this
            if (v.pending and v.soft and not v.hard) or late:
                self.peaks[op.number] = k, v.parents
                self.late |= {op.number} if late else set()
                for n, size in v.scores.items():
                    self.compared.setdefault(n, set()).add(size)
                self.single |= v.parents if op.count == 1 else 0
        side = self._kernel_side(op, inputs)
        if side is not None:
            return self._site(op, side, inputs[side], inputs[1 - side])
        for one, other in permutations(inputs, 2) if op.kind == "contract" else ():
            self._partner(_nulls(one), _nulls(other))
        known = [self._used(v) for k, v in enumerate(inputs)
                 if v.level and not self._masking(op, inputs, k)]  # fmt: skip
        if not known:
            return self._alone(op, inputs)
        scores = self._scores(op, inputs)
        for k, v in enumerate(inputs if op.kind in ("reduce", "join") else ()):
            if v.level > ROUTING and not v.straight:  # later no more is known
                self._keep(op.number, k, self._used(v))
        made, acts = _union(known, op.number), {self.acting(v) for v in known if v.level > ROUTING}
        degree = sum(v.degree for v in known) if op.kind == "contract" else made.degree
        reduced = made.reduced or op.kind in ("reduce", "contract")
        act = acts.pop() if len(acts) == 1 else LINEAR
        free = any_of(v.free for v in known) * (op.kind == "join")
        joins = known if op.kind in ("join", "reduce") else []
        sums = op.kind in ("reduce", "contract") and not op.mean
        count = op.count if sums else 1.0  # of so many times less each, a sum is a mean
        behind = {n: max(times, min(1.0, times * count))
                  for v in joins for n, times in _behind(v).items()}  # fmt: skip
        ahead = {_ahead(v)[0] for v in joins if v.level > ROUTING}
        ahead = {max(times, min(1.0, times * count)) for times in ahead}
        adds = op.kind in ("reduce", "contract") or op.scatters
        nulls = any_of(map(_nulls, known)) if adds else 0
        made = _through(made, known) if op.kind == "contract" else made
        taken = ahead.pop() if len(ahead) == 1 else 1.0
        raised = made.raised | _raised(op, known, degree)
        parts = {(v.dom, v.parents, v.origins): v for own in joins for v in own.parts or (own,)
                 if v.level > ROUTING and op.kind == "join"}  # fmt: skip
        return replace(made, degree=degree, reduced=reduced, act=act, free=free, nulls=nulls,
                       raised=raised, averaged=made.averaged * self._terms(op, inputs), taken=taken,
                       least=_low(op, known), behind=behind, parts=tuple(parts.values()),
                       summing=count, scores=scores)  # fmt: skip

    def _scores(self, op: Op, inputs: Sequence[Value]) -> dict[int, float]:
        """How large a product of two kernels' unit results is: √n, times known numbers."""
        if op.kind != "contract" or any(v.soft for v in inputs):  # shares take a mean
            return {}
        both, size = [(_nulls(v) | v.intact) & v.bare for v in inputs], math.sqrt(op.count)
        for v, side in zip(inputs, both, strict=True):
            # A known number may stand in front of a kernel, too, which does not make up for it.
            before = [d.x.ahead / d.ahead for d in self.found.values() if side >> d.number & 1]
            size *= _multiplied(v) * max(before, default=1.0)
        if both[0] & both[1] or not all(both):  # packed kernels; what was normalized
            return {}
        self.sides[op.number] = both[0], both[1]
        return {op.number: size}

    def _terms(self, op: Op, inputs: Sequence[Value]) -> float:
        """Of how many values a sum is as good as the mean.

        A matrix that nothing trains, without negative numbers, mixes as many as its rows hold, or
        fewer where they differ.
        """
        even = [v.mixes for v in inputs if v.mixes and not v.level and op.kind == "contract"]
        return max(1.0, op.count * even[0]) if even else op.count

    def _kernel_side(self, op: Op, inputs: Sequence[Value]) -> int | None:
        """The kernel is of a lower level, and has parameters in it, not of those that only mix."""
        mixers = self.mixers if op.kind == "contract" else set()
        for side, contract in enumerate(op.contract):
            lower = contract is not None and inputs[side].level < inputs[1 - side].level
            if lower and set(inputs[side].powers) - mixers:
                return side
        return None

    def _site(self, op: Op, side: int, kernel: Value, x: Value) -> Value:
        z, x, lookup, contract = op.number, self._used(x), op.kind == "lookup", op.contract[side]
        kernel = _present(kernel)
        assert contract is not None
        if x.level == ROUTING and not lookup:
            x = replace(x, dom=0, roots=self._root(x.source, "input", 0))
        if kernel.level == PICKED:
            self.picked.add(kernel.source)
        for n in bits(x.parents):
            self.behind.setdefault(n, {})[z] = _behind(x).get(n, 1.0)
        number = self.found[z].number if z in self.found else len(self.found)
        mark, inside = 1 << number, (1 << len(self.steps)) - 1
        steps, recurrent = math.prod(self.steps), bool(x.loops & inside)
        tables = any_of(1 << place for place, kind, _ in self.roots.values() if kind == "lookup")
        drawn = x.parents and not x.origins and not x.roots & tables  # not of another scale
        ahead = _ahead(x)[0] if drawn else 1.0
        row = math.prod(op.shape[axis] for axis in contract.units)
        picks = steps * (math.prod(op.shape) // max(row, 1)) * lookup
        behind = [d.routed for d in self.found.values() if x.parents >> d.number & 1 and d.z != z]
        routed = x.chosen or (bool(behind) and all(behind))
        self.found[z] = Draft(number, z, side, lookup, contract, kernel, x, steps, recurrent,
                              ahead=ahead, picks=picks, routed=routed)  # fmt: skip
        dom = (0 if x.dom == EVERY else x.dom) | mark
        units = {number: partial(_numbered, op.shape, contract.units)}
        made = Value(SIGNAL, z, dom=dom, parents=mark, bare=mark, met=mark, intact=mark, nulls=mark,
                     loops=x.loops, units=units, roots=x.roots, averaged=x.averaged,
                     depth=x.depth + 1, free=any_of(1 << p for p in kernel.powers))  # fmt: skip
        if not lookup:
            return made
        root = self._root(z, "lookup", mark)
        return replace(made, level=PICKED, roots=root, averaged=1.0, powers=kernel.powers)

    def loop(
        self,
        inside: Sequence[int],
        results: Sequence[int],
        first: Sequence[Value],
        steps: int,
        body: Callable[[list[Value]], list[Value]],
        fed: Callable[[], bool],
    ) -> list[Value]:
        """The results of a loop whose states have these numbers; its body is read until it stays.

        `body` gives the states after a step, and then what is kept of each step; `fed` tells
        whether it read new data.
        """
        mark, deep = 1 << len(self.steps), max((v.depth for v in first), default=0)
        self.steps.append(steps)
        came: list[Value] = [Value()] * len(first)
        outs: list[Value] = []
        found = ("factors", "gains", "added", "shifts", "poles", "signs", "phases", "passed")
        before = {name: copy(getattr(self, name)) for name in found}
        for _ in range(8):
            # What a state is not yet known to hold would pass for a constant that they change.
            vars(self).update({name: copy(value) for name, value in before.items()})
            triples = zip(inside, first, came, strict=True)
            outs = body([self._carried(*triple, mark, deep) for triple in triples])
            if outs[: len(first)] == came:
                break
            came = outs[: len(first)]
        self.steps.pop()
        grown = (steps - 1) * max([0, *(v.depth - deep for v in came)])
        for draft in self.found.values():
            within = draft.z > max([*inside, *results])
            draft.fed |= within and fed()
            if within and draft.recurrent and draft.x.loops & mark:
                draft.x = replace(draft.x, depth=draft.x.depth + grown)
                makes = any(v.parents >> draft.number & 1 for v in came)
                passed = any(v.state & mark for v in came)
                draft.carries = bool(draft.x.state & mark) and makes and not passed
        return [self._left(i, v, mark, grown) for i, v in zip(results, outs, strict=True)]

    def _carried(self, i: int, first: Value, came: Value, mark: int, depth: int) -> Value:
        """A state inside a loop."""
        level = max(first.level, came.level)
        if level <= ROUTING:
            powers, flows = {**first.powers, **came.powers}, first.flows | came.flows
            return Value(level, i if level else -1, loops=mark * level, origins=first.origins,
                         flows=flows, powers=powers)  # fmt: skip
        made = replace(
            _union([v for v in (first, came) if v.level > ROUTING], i),
            depth=depth, bounded=False, reduced=False, degree=1.0, act=self.acting(came),
            least=min(_least(first), _least(came)), behind={**_behind(first), **_behind(came)},
            taken=_ahead(came)[0] if came.level > ROUTING else 1.0,
            loops=first.loops | came.loops | mark, state=mark,
        )  # fmt: skip
        if first.level > ROUTING:
            return replace(made, roots=first.roots, averaged=first.averaged)
        return replace(made, roots=self._root(i, "state", made.parents), averaged=1.0)

    def _left(self, i: int, v: Value, mark: int, grown: int) -> Value:
        """What a loop gives."""
        v = self._used(v)
        depth, act = v.depth + (grown if v.loops & mark else 0), self.acting(v)
        if not v.level:
            return replace(v, entries={}, exact=False)
        return replace(v, source=i, layout=0, straight=True, curve=POINTS, act=act, depth=depth,
                       bare_curve=POINTS, least=_least(v), behind=_behind(v), multiples=(),
                       ahead=1.0, taken=_ahead(v)[0], scaled=False,
                       loops=v.loops & ~mark, state=v.state & ~mark, units={}, free=0)  # fmt: skip

    # Loops that were run step by step.

    def state(self, number: int) -> Value:
        """Zeros that a loop starts with: data that say nothing."""
        root = self._root(number, "state", 0)
        return Value(SIGNAL, number, dom=EVERY, roots=root, origins=1, least=0.0)

    def loops(self, outputs: Sequence[Value]) -> tuple[dict[int, list[int]], list[Value]]:
        """Make one site of the calls of a kernel in a loop that ran as often as it has steps.

        Calls are a loop if each reads what the last one made, `LOOP` of them at least. So are those
        of which each step's reads what that step makes, or the other way round. Returns all calls
        by their site, and the outputs.
        """
        reach: dict[int, int] = {}
        used = Counter(d.use for d in self.found.values())
        calls: dict[Any, list[list[Draft]]] = {}
        for d in self.found.values():
            reach[d.number] = any_of(1 << p | reach.get(p, 0) for p in bits(d.x.parents))
            if used[d.use] >= LOOP and d.steps == 1:
                chains = calls.setdefault((d.use, d.part), [])
                chain = next((c for c in chains if reach[d.number] >> c[-1].number & 1), None)
                chains += [] if chain else [[]]
                (chain or chains[-1]).append(d)
        found, turns = self._turns([*calls.values()], reach)
        merged, place = dict[int, list[int]](), dict[int, int]()
        states: list[tuple[int, int, int]] = []  # read together with data: sites, roots, its own
        for chain, fed in found:
            first, last = chain[0].x, chain[-1]
            if self.roots.get(first.source, (0, "", 0))[1] == "state":
                last.x = replace(last.x, roots=first.roots)
                self.roots[first.source] = (*self.roots[first.source][:2], last.x.parents)
            merged[last.z] = [d.z for d in chain]
            last.steps = len(chain)
            last.fed, own = fed, any_of(1 << d.number for d in chain)
            told = [k for k, kind, _ in self.roots.values() if kind == "state"]
            if fed and last.x.parents & own and not any(last.x.roots >> k & 1 for k in told):
                root = self._root(-2 - last.z, "state", last.x.parents)
                states.append((own, last.x.roots, root))
            if not fed:
                self.again[last.number] = max((m & own).bit_count() for m in (0, *self.sums))
            reads = [d.x.parents for d in chain]
            last.carries = all(m >> d.number & 1 for d, m in zip(chain, reads[1:], strict=False))
            last.carries &= not any(
                m >> d.number & 1 for d, m in zip(chain, reads[2:], strict=False)
            )
            last.recurrent = any(reach[last.number] >> n & 1 for turn in turns for n in turn)
            place |= {d.number: last.number for d in chain}
            for d in chain[:-1]:
                del self.found[d.z]

        def at(mask: int) -> int:
            return any_of(1 << place.get(n, n) for n in bits(mask)) if mask > 0 else mask

        def moved(v: Value) -> Value:
            behind = any_of(1 << n | reach[n] for n in bits(v.parents))
            new = any_of(root for own, roots, root in states if behind & own and v.roots & roots)
            v = replace(v, roots=v.roots | new, parts=tuple(map(moved, v.parts)))
            return replace(v, dom=at(v.dom), parents=at(v.parents), bare=at(v.bare), met=at(v.met))

        for d in self.found.values():
            d.x = moved(d.x)
        self.sums = set(map(at, self.sums))
        self.roots |= {i: (k, kind, at(m)) for i, (k, kind, m) in self.roots.items()}
        self.bends |= {i: (act, at(m)) for i, (act, m) in self.bends.items()}
        self.peaks |= {i: (side, at(m)) for i, (side, m) in self.peaks.items()}
        self.sides |= {i: (at(a), at(b)) for i, (a, b) in self.sides.items()}
        self.single, self.passed = at(self.single), at(self.passed)
        self.derived, self.chosen = at(self.derived), at(self.chosen)
        self.partners = {place.get(n, n): at(m) for n, m in self.partners.items()}
        read = [(place.get(n, n), by) for n, by in self.behind.items()]
        self.behind = {n: {z: t for m, by in read if m == n for z, t in by.items()}
                       for n, _ in read}  # fmt: skip
        self.added = {p: at(m) for p, m in self.added.items()}
        return merged, [moved(v) for v in outputs]

    def _turns(
        self, calls: Sequence[list[list[Draft]]], reach: Mapping[int, int]
    ) -> tuple[list[tuple[list[Draft], bool]], list[list[int]]]:
        """The calls that are loops, and whether new data enter at each step.

        Then, by number, those of which each reads what the last one made.
        """
        chains = [c for chains in calls for c in chains if len(c) >= LOOP]
        often = any_of(1 << d.number for chains in calls for c in chains for d in c)
        turns = [[d.number for d in c] for c in chains]
        rings = _rings(turns, reach)
        reads = [any_of(d.x.parents for j in ring for d in chains[j]) & ~often for ring in rings]
        new = [self._fed(*pair, reach, often) for pair in zip(chains, reads, strict=True)]
        fed = [any(new[j] for j in ring) or any(d.x.origins for d in c[1:])
               for c, ring in zip(chains, rings, strict=True)]  # fmt: skip
        beside: list[tuple[list[Draft], list[int]]] = []  # those that do not read their own results
        for each in calls:
            lone = [c[0] for c in each if len(c) == 1]
            own: list[int] = []
            for k, turn in enumerate(turns if len(lone) >= LOOP else ()):
                after = [sum(reach[d.number] >> n & 1 for n in turn) for d in lone]
                before = [sum(reach[n] >> d.number & 1 for n in turn) for d in lone][::-1]
                grows = [all(a < b for a, b in pairwise(n)) for n in (after, before)]
                own += [k] if any(grows) else []
                if grows[1]:  # if all read the same, only where that is added to each state anew
                    members = any_of(1 << n for n in turn)
                    met = [(m & members).bit_count() for m in self.sums
                           if any(m >> d.number & 1 for d in lone)]  # fmt: skip
                    fed[k] |= (
                        len({(d.x.source, d.x.layout) for d in lone}) > 1
                        or max(met, default=0) == 1
                    )
            beside += [(lone, own)] if own else []
        lone_fed = [(lone, any(fed[k] for k in own)) for lone, own in beside]
        return [*zip(chains, fed, strict=True), *lone_fed], turns

    def _fed(self, calls: Sequence[Draft], read: int, reach: Mapping[int, int], often: int) -> bool:
        """Whether a site's result that only later calls read comes in between these."""
        first, own = calls[0], any_of(1 << d.number for d in calls)
        known = often | 1 << first.number | reach[first.number]
        new = [not reach[n] & own for n in bits(read & ~known)]
        # What the first reads already, as from a learned state, may be added to each state anew.
        for n in bits(read & known & ~own):
            met = {m & own for m in self.sums if m >> n & 1 and m & own}
            new += [sum(m.bit_count() == 1 for m in met) > 1]
        return any(new)

    # The program.

    def program(
        self, outputs: Sequence[Value], notes: Sequence[str], seen: Sequence[bool]
    ) -> Program:
        """The sites and roots on the way to these outputs; the loss may see some of them."""
        heads = [self._used(v) for v in outputs if v.level > ROUTING] or [Value()]
        last, drafts = _union(heads, -1), self.drafts
        read = any_of(v.flows for v, sees in zip(outputs, seen, strict=True) if sees)
        blunt = [v for v in (*outputs, *(d.x for d in drafts)) if v.level == ROUTING]
        lost = any_of([*(v.lost for v in blunt), *(d.kernel.lost for d in drafts)]) & ~last.flows
        ending = any_of(v.flows for v in (last, *outputs))  # or stands among them alone
        ends = [part for v in heads for part in v.parts or (v,)]  # columns are outputs, too
        taken = [bool(self._before(v) & self.derived) for v in ends]  # they are no signals
        cuts = any_of(v.dom for v, back in zip(ends, taken, strict=True)
                      if v.dom != EVERY and not back)  # fmt: skip
        bare = last.bare | any_of(d.x.bare for d in drafts)
        raised = any_of(d.x.raised for d in drafts if d.x.bare == d.x.parents)
        stops = [(kind, at & ~bare) for _, kind, at in self.roots.values()]
        lengths = any_of(at for kind, at in stops if kind == "normalizer")
        normal = any_of(at for kind, at in stops if kind == "softmax") | lengths
        shares = any_of(m for n in self.compared for m in self.sides.get(n, ()))
        place = {d.number: i for i, d in enumerate(drafts)}
        for k, v in enumerate(outputs):
            if v.level > ROUTING and not v.straight:
                self._keep(-1, k, v)
        for k, v in enumerate(heads):
            for n in bits(v.parents):
                self.behind.setdefault(n, {})[-1 - k] = _behind(v).get(n, 1.0)
        onward, inner, again = last.parents, 0, 0
        for d in reversed(drafts):  # what later sites on the way to an output read is no head
            if onward >> d.number & 1:
                onward |= d.x.parents
                inner |= d.x.parents & ((1 << d.number) - 1)
                again |= d.x.bare >> d.number << d.number  # as through no softmax

        def members(mask: int) -> tuple[int, ...]:
            return tuple(place[n] for n in bits(mask) if n in place)

        made: list[Site] = []
        layers = {d.number: self._kernels(d)[0].layers for d in drafts}
        for d in drafts:
            site, mark = self._made(d, layers), 1 << d.number
            calls = 1 + sum(other.kernel.name == site.name for other in made)
            name = site.name + (f" (call {calls})" if calls > 1 else "")
            acts = [act for act, parents in self.bends.values() if parents & mark]
            gate = bool(acts) and all(act.positive and act.tails for act in acts)
            gate &= len(acts) >= self.blocks.get(d.number, 1)  # or a part of it is a value
            made.append(replace(site, name=name, parents=members(d.x.parents),
                                partners=members(self.partners.get(d.number, 0)),
                                head=bool(last.parents & mark & ~inner), cut=bool(cuts & mark),
                                outputs=tuple(k for k, v in enumerate(ends) if v.parents & mark),
                                plain=any(v.straight and v.intact & mark for v in ends),
                                feeds=bool(again & mark) and not self._branch(d.number, layers),
                                normalized=bool(normal & mark),
                                resized=bool(lengths & mark), gate=gate,
                                degree=last.degree if last.raised & mark else 1.0,
                                raised=bool(raised & mark), chosen=bool(self.chosen & mark),
                                amplifies=bool(self.amplifiers & ~shares & mark),
                                derived=bool(self.derived & mark)))  # fmt: skip
        for i, site in enumerate(made):
            befores = {other.before for other in made if i in other.parents}
            made[i] = replace(site, after=befores.pop()) if len(befores) == 1 else site
        roots = []
        for i, (_, kind, parents) in self.roots.items():
            name = f"after {', '.join(made[n].name for n in members(parents))}"
            roots.append(Root(self.root_names.get(i, name), kind))
        used = {kernel.name for site in made for kernel in site.kernels}
        mains = {site.kernel.name for site in made}
        named = [(p, k.name) for p, k in enumerate(self.parameters)]
        mute = [(p, n) for p, n in named if n in mains and not read >> p & 1]
        apart = [(p, k.name) for p, k in enumerate(self.parameters)
                 if p not in self.added and k.name not in used and len(k.shape) > 1
                 and p not in self.mixers]  # fmt: skip
        return Program(
            tuple(made),
            tuple(roots),
            last.depth,
            direct=tuple(k for k, v in enumerate(ends) if v.origins or taken[k]),
            unused=tuple(n for p, n in apart if not ending >> p & 1),
            beside=tuple(n for p, n in apart if ending >> p & 1),
            factors=tuple(n for p, n in named if p in self.factors or n in used),
            gains=tuple(n for p, n in named if p in self.gains and n not in used),
            shifts=tuple(n for p, n in named if p in self.shifts - self.poles - self.phases),
            guarded=tuple(
                n for p, n in named if p in (self.signs if n in used else self.shifts & self.poles)
            ),
            frozen=tuple(k.name for k in self.parameters if not k.trainable),
            waves=tuple(n for p, n in named if p in self.phases),
            stopped=tuple(n for p, n in mute if not (lost | last.flows) >> p & 1),
            severed=tuple(n for p, n in mute if lost >> p & 1),
            single=tuple(made[place[n]].kernel.name for n in bits(self.single) if n in place),
            unseen=tuple(n for p, n in mute if last.flows >> p & 1),
            notes=(*notes, *[BACK] * any(taken)),
        )

    def _before(self, v: Value) -> int:
        """All sites that lead to a value."""
        mask = v.parents
        for d in reversed(self.drafts):
            mask |= d.x.parents if mask >> d.number & 1 else 0
        return mask

    def _made(self, d: Draft, layers: Mapping[int, int]) -> Site:
        """A site, as far as it stands alone; of all, how many are stacked in one."""
        kernels, blocks = self._kernels(d), self.blocks.get(d.number, 1)
        fan_in, fan_out = d.contract.fans
        sums = (m for m in self.sums if m >> d.number & 1 and not m & self.derived)  # no way back
        met = [sum(self._meets(n, m, layers) for n in bits(m)) for m in sums]
        return Site(
            kernels[0].name,
            kernels,
            d.lookup,
            fan_in,
            fan_out / blocks,
            groups=d.contract.size(0) * d.contract.split,
            blocks=blocks,
            units=d.units,
            before=LINEAR if d.lookup else self.acting(d.x),
            roots=tuple(bits(d.x.roots)),
            reads_data=bool(d.x.origins),
            averaged=d.x.averaged,
            scales=tuple(self.parameters[p].name for p in self.scales.get(d.number, ())),
            shifts=tuple(
                self.parameters[p].name for p, m in self.added.items() if m >> d.number & 1
            ),
            summed=max(met, default=1),
            times=self._made_up(d),
            ahead=d.ahead,
            scores=self._scored(d),
            passed=bool(self.passed >> d.number & 1),
            recurrent=d.recurrent,
            carries=d.carries,
            steps=d.steps,
            fed=d.fed,
            depth=d.x.depth + 1,
        )

    def _meets(self, number: int, met: int, layers: Mapping[int, int]) -> int:
        """How often a site's result is added in a sum, if that goes on from layer to layer."""
        if met not in self.carried:
            return self.again.get(number, 1)
        steps = [d.steps for d in self.found.values() if d.number == number and not d.fed]
        return max(layers.get(number, 1), *steps, 1)

    def _branch(self, number: int, layers: Mapping[int, int]) -> bool:
        """Whether its result is added at every step to what the last one gave."""
        return any(self._meets(number, m, layers) > 1 for m in self.sums if m >> number & 1)

    def _made_up(self, d: Draft) -> float:
        """The number behind a site's result for which its kernel makes up, if all uses have it."""
        found = set(self.behind.get(d.number, {}).values())
        times = found.pop() if len(found) == 1 and not d.lookup else 1.0
        return times if 0 < times < math.inf and abs(math.log(times)) > math.log(NUMBER) else 1.0

    def _scored(self, d: Draft) -> float:
        """By how much a softmax's products are too large, of which it makes one side."""
        found, used = set(), any_of(o.x.bare for o in self.found.values() if self.compared)
        for n, sizes in self.compared.items():
            alone = [side & ~used for side in self.sides[n] if side & ~used]  # and read by no other
            if min(sizes) > NUMBER and any(side >> d.number & 1 for side in alone):
                found |= {size ** (1 / len(alone)) for size in sizes}
        return found.pop() if len(found) == 1 else 1.0

    def _kernels(self, d: Draft) -> tuple[Kernel, ...]:
        """The parameters that make a site's kernel: first the one whose entries lie in it."""
        made, size = [], math.prod(d.contract.shape)
        for p, power in d.kernel.powers.items():
            index = d.contract.index(d.kernel.entries[p]) if p in d.kernel.entries else None
            known = self.parameters[p]
            layers = math.prod(known.shape) // size
            parts = known.shape[:1] == (layers,) and layers > 1
            sliced = parts and d.steps > 1 and d.steps % layers == 0
            part = _part(d.kernel.entries[p]()[0], size) if parts and index and not sliced else None
            layers = layers if sliced else 1
            times = d.kernel.times.get(p, 1.0) * self._made_up(d) * d.ahead
            times = times if power or not d.kernel.reduced else 1.0  # of a direction none counts
            made.append(replace(known, power=power, index=index, factor=times, layers=layers,
                                spectral=bool(index) and not power and d.kernel.contracted,
                                part=part, bent=bool(d.kernel.bent >> p & 1) or power > 1,
                                stepped=bool(d.kernel.stepped >> p & 1),
                                normed=d.kernel.reduced))  # fmt: skip
        scales = () if any(k.power for k in made) else self.scales.get(d.number, ())
        made += [replace(self.parameters[p], after=True) for p in scales]
        noisy = {self.parameters[p].name for p in self.noisy}
        rank = lambda k: (  # noqa: E731
            k.index is not None, k.name not in self.masks, k.name not in noisy, math.prod(k.shape)
        )  # fmt: skip
        made.sort(key=rank, reverse=True)
        place = {self.parameters[p].name: p for p in d.kernel.powers}
        plain = [k.name for k in made if k.index and k.power == 1]
        whole = sum(math.prod(k.shape) for k in made if k.name in plain) == size
        for i, k in enumerate(made[1:], 1):
            pair = [o for o in (made[0], k)
                    if o.index and o.power == 1 and o.trainable and not o.bent]  # fmt: skip
            added = frozenset(place.get(other.name, -1) for other in pair) in self.pairs
            same = len(pair) == 2 and math.prod(k.shape) == math.prod(made[0].shape)
            made[i] = replace(k, joined=same and added, beside=whole and k.name in plain)
        return tuple(made)

    # What inputs the model expects.

    def vocabulary(self, place: int) -> int:
        """How many rows the tables have that an input picks from; 0 where it picks from none."""
        picks = [d for d in self.drafts if d.lookup or d.x.level == ROUTING]
        mine = [d for d in picks if d.x.origins >> place & 1]
        return min((d.contract.size(0 if d.lookup else 2) for d in mine), default=0)

    def outside(self, place: int, values: Array) -> tuple[float, int] | None:
        """A number of an input that a table has no row for, and how many rows it has.

        Of one that is read whole: no one here knows which column another table picks from.
        """
        numbers, edge = np.unique(values).astype(np.float64), int(POINTS[-1])
        for d in self.drafts:
            whole = d.x.source == self.inputs[place] and d.picks >= values.size
            if not (d.lookup and whole and d.contract.size(0)):
                continue
            curve = np.broadcast_to(np.asarray(d.x.curve, dtype=np.float64), POINTS.shape)
            near = np.clip(numbers, 1 - edge, edge - 1)
            at = np.round((near + edge) * 100 + np.sign(near)).astype(int)  # beside what truncates
            rows = np.round(curve[at])
            steady = (np.round(curve[-1] - curve[-101]), np.round(curve[100] - curve[0])) == (1, 1)
            told = (near == numbers) | steady  # beyond the points it goes on as at their end
            rows = rows + (numbers - near)
            bad = numbers[told & ((rows < 0) | (rows >= d.contract.size(0)))]
            if len(bad):
                return float(bad[0]), d.contract.size(0)
        return None

    def entry(self, place: int) -> tuple[float, float]:
        """The scale and shift that an input of floats gets before its first site."""
        for d in self.drafts:
            if d.x.source == self.inputs[place] and d.x.straight:
                low, high = np.interp([0.0, 1.0], POINTS, d.x.curve)
                return float(high - low) or 1.0, float(low)
        return 1.0, 0.0
