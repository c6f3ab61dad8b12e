"""What any model is: primitive operations on data and named parameters, whatever its layers' names.

A *site* is a place where data meets a kernel: a contraction, convolution or lookup with one side
that depends on the data and one that depends on parameters alone. A framework's module, such as
`winit.jax`, writes a model down as a list of `Op`; `Reader` finds the sites, their fans and what
lies between two of them. What one run measured there is a `Measured`. `winit.judge` works from
these types alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import NormalDist
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass(frozen=True)
class Elementwise:
    """What acts on each number alone between two places: an activation, or nothing (`linear`).

    A function of float64 arrays of any shape; equal ones in a program are one object. Biases in it
    stand at 0, scales at 1, and other parameters, such as a PReLU's slopes, at their mean.
    """

    function: Callable[[Array], Array] | None = None

    @property
    def linear(self) -> bool:
        """Whether nothing bends."""
        return self.function is None

    def __call__(self, values: Array) -> Array:
        """The function's values."""
        return values if self.function is None else self.function(values)


LINEAR = Elementwise()


@dataclass(frozen=True)
class Kernel:
    """A parameter as one site uses it.

    Parameters
    ----------
    name, shape : its path, and its shape as stored
    power : d ln of the effective kernel by d ln of the parameter
        1 for a plain kernel and weight normalization's g; 0 where a transform takes the scale away
        (its v, spectral normalization, standardization), and for a pair of LoRA's.
    trainable : False for a frozen one
    index : gives the flat positions in the parameter that the site reads
        Of the shape (groups, outputs, inputs, *window): ``values.flat[index()] = drawn`` puts a
        draw back. None where the effective kernel is no rearrangement of the parameter's entries.
    """

    name: str
    shape: tuple[int, ...]
    power: float = 1.0
    trainable: bool = True
    index: Callable[[], NDArray[np.int64]] | None = None


@dataclass(frozen=True)
class Site:
    """A place where data meets a kernel; the comments say what each field is."""

    name: str  # the main kernel's path, and the number of the call where it is used again
    kernels: tuple[Kernel, ...]  # what makes the effective kernel, the main one first
    lookup: bool  # rows are picked by whole numbers that come from the data
    # Inputs that reach an output and outputs that an input reaches, far from edges; strides count.
    fan_in: float
    fan_out: float
    groups: int = 1  # independent ones: grouped and depthwise kernels, experts, stacked layers
    blocks: int = 1  # equal parts in which the units are used apart (gates); fan_out is of one
    units: int = 1
    before: Elementwise = LINEAR  # on what the kernel reads; pooling and moves are looked through
    after: Elementwise = LINEAR  # on the result or its normalized form; linear if several act
    parents: tuple[int, ...] = ()  # sites whose results reach this one with none in between
    roots: tuple[int, ...] = ()  # indices of `Program.roots`: what set the scale that arrives here
    reads_data: bool = False  # model inputs reach it with no site in between
    head: bool = False  # it reaches an output with no site in between
    cut: bool = False  # every path from the inputs to some output leads through it
    normalized: bool = False  # on every path, a normalizer comes before the next site
    averaged: float = 1.0  # values that were averaged or summed since the roots, at the most
    summed: int = 1  # sites whose results meet, at the most, in the sums that follow
    recurrent: bool = False  # what it reads depends on the state of the loop that it is in
    steps: int = 1  # of the loops that it is in
    depth: int = 1  # sites on the longest path to here, this one included; a loop's steps count

    @property
    def kernel(self) -> Kernel:
        """The main kernel."""
        return self.kernels[0]


@dataclass(frozen=True)
class Root:
    """Where a scale is set: what lies before can be forgotten.

    `kind` is "input", "lookup" (an embedding's result), "state" (a loop's, if it does not start
    with data), "normalizer" (a reducing program whose result, at a large scale, no longer changes
    with its input's) or "softmax" (one with exponentials); `parents` are the sites that reach it.
    """

    name: str
    kind: str
    parents: tuple[int, ...] = ()


@dataclass(frozen=True)
class Program:
    """A model as its operations tell it, before anything was run."""

    sites: tuple[Site, ...]  # in the order in which they run
    roots: tuple[Root, ...]
    depth: int  # of the longest path
    unused: tuple[str, ...] = ()  # parameters of two axes or more that neither sites nor sums read
    factors: tuple[str, ...] = ()  # parameters that multiply data: kernels, scales, gates
    stopped: tuple[str, ...] = ()  # kernels that no gradient reaches, since the model stops it
    notes: tuple[str, ...] = ()  # about the reading itself, in sentences


@dataclass(frozen=True)
class Weight:
    """A parameter's std, ‖∂L/∂W‖², and whether it is 0 all over, in one run."""

    std: float
    gradient: float
    zero: bool


@dataclass(frozen=True)
class Measured:
    """What one run, forward and back, measured: arrays with an entry a site, as a rule.

    NaN is what could not be measured, or a branch that was not taken.
    """

    x2: Array  # E x² of what the kernel reads; the mean over a loop's steps, as all below
    z2: Array  # E z²
    g2: Array  # E of the squared gradient at z
    x_share: Array  # the share of x2 that is variance over the examples
    z_share: Array
    x_steps: tuple[Array, ...]  # x2 for each step of the site's loops
    g_steps: tuple[Array, ...]
    saturated: Array  # share of flat slopes, beyond that of N(0, 1); where both ends are flat
    dead: Array  # share of units to which no gradient comes back for any example
    distinct: Array  # units that differ in z or in its gradient
    std: Array  # of the effective kernel
    effect: Array  # std² ‖∂L/∂W‖² of the main kernel: what a relative redraw does
    root2: Array  # E x² at each of `Program.roots`
    loss: float  # NaN without one
    blind: float  # the loss of a network that knows nothing, NaN where it is not known
    input2: Mapping[str, float]  # E x² of each input of floats
    output2: float
    output_share: float
    finite: bool  # outputs, loss and gradients
    kernels: Mapping[str, Weight]  # every parameter of floats


class Subject(Protocol):
    """A model that can be measured and given other weights; one for each framework."""

    name: str
    program: Program
    parameters: dict[str, tuple[int, ...]]

    def measure(
        self,
        scales: Mapping[str, float] | None = None,
        values: Mapping[str, Array] | None = None,
        *,
        inputs: float = 1.0,
        opened: bool | Collection[str] = False,
    ) -> Measured:
        """Run once with changed parameters; the model stays as it is, and nothing is compiled.

        `scales` multiplies parameters, `values` replaces them, `inputs` divides inputs of floats,
        `opened` puts small noise in place of `Program.factors` (or those named) that are all 0.
        """

    def value(self, name: str) -> Array:
        """A parameter's present value, as float64."""

    def assign(self, name: str, value: Array) -> None:
        """Set a parameter, in its own dtype and layout."""

    def start(self, name: str) -> tuple[Array, str] | None:
        """The conventional start of what is no kernel, and its name; None if there is none."""

    def kept(self, name: str) -> str:
        """Why a parameter is to be left alone ("frozen", "given as a constant"), or ""."""

    def trained(self) -> str:
        """The sign that the model was trained, or ""."""


# ------------------------------------------------------------------ what a framework writes down


@dataclass(frozen=True)
class Contract:
    """The axes of a contraction, convolution or lookup, seen from its kernel."""

    order: tuple[Sequence[int], ...]  # of the kernel: groups, outputs, inputs, window
    shape: tuple[int, ...]
    split: int = 1  # groups side by side on the output axis
    stride_in: float = 1.0  # dilated inputs: how much rarer they are
    stride_out: float = 1.0
    units: Sequence[int] = ()  # axes of z
    examples_x: Sequence[int] = ()  # axes of x and of z that come from the data alone
    examples_z: Sequence[int] = ()

    def size(self, part: int) -> int:
        """The product of one part's axes."""
        return math.prod(self.shape[axis] for axis in self.order[part])

    @property
    def fans(self) -> tuple[float, float]:
        """fan_in and fan_out."""
        taps = self.size(3)
        fan_out = self.size(1) // self.split * taps / self.stride_out
        return self.size(2) * taps / self.stride_in, fan_out

    def arrange(self, values: Array) -> Array:
        """An array of the kernel's shape as (groups, outputs, inputs, *window)."""
        moved = values.transpose([axis for part in self.order for axis in part])
        window = (self.shape[axis] for axis in self.order[3])
        sizes = self.size(0) * self.split, self.size(1) // self.split, self.size(2)
        return moved.reshape(*sizes, *window)


@dataclass(frozen=True, eq=False)
class Op:
    """One primitive operation on numbered values.

    `kind` is "affine" (a sign, a cast), "add", "mul", "div", "map" (any other function of single
    numbers), "choose" (the first input picks among the others), "move" (numbers at other places),
    "join" (several side by side), "reduce", "contract", "lookup", "loop", "cond" or "other".
    """

    kind: str
    inputs: Sequence[int]
    outputs: Sequence[int]
    run: Callable[..., Sequence[Any]] | None = None  # on the framework's arrays
    numbers: Callable[..., Any] | None = None  # NumPy's, of any one shape, if elementwise
    only: str = ""  # "read", or "run": the same work is written down whole and in parts
    whole: bool = False  # gives whole numbers or truth values
    stops: bool = False  # no gradient passes
    count: float = 1.0  # values that a sum adds up
    contract: Sequence[Contract | None] = (None, None)  # by the position of the kernel
    parts: tuple[int, int] = (1, 0)  # of how many parts a move takes one, and the axis' span
    label: str = ""  # tells moves apart
    unstacks: bool = False  # a move that takes another part in each step of a loop
    bodies: Sequence[Sequence[Op]] = ()  # of a loop, or the branches
    carry: Sequence[tuple[int, int, int]] = ()  # first, inside, and out of each state of a loop
    results: Sequence[tuple[int, int]] = ()  # outside and inside; for each branch if it is one
    steps: int = 1
    extra: Any = None  # the framework's own


# ------------------------------------------------------------------ reading it

# What a value depends on. Whole numbers that come from the data pick and mask, and carry no signal;
# picked rows are a lookup's result, or a kernel that is chosen for the data.
PARAMETERS, ROUTING, PICKED, SIGNAL = range(4)
ELEMENTWISE = ("affine", "add", "mul", "div", "map", "choose")
EVERY = -1  # as a set of sites in bits: neutral in an intersection
GROWN = 1e9  # stands for the growth of an exponential
# Two magnitudes far beyond any epsilon, on either side, at 32 points each: sine must not look odd.
FAR = np.linspace(1.0, 2.0, 32) * np.array([1e4, 1e5, -1e4, -1e5])[:, None]
NEAR = np.linspace(-4.0, 4.0, 41)
WIDE = np.linspace(-40.0, 40.0, 8001)
NORMAL = np.array([NormalDist().inv_cdf((i + 0.5) / 1000) for i in range(1000)])


@dataclass(frozen=True)
class Value:
    """What is known of a value; it is a function, number by number, of the value `source`."""

    level: int = PARAMETERS
    source: int = -1
    layout: int = 0  # the moves since the source
    affine: bool = True  # in the source
    degree: float = 1.0  # the power of the data's scale with which it grows
    bounded: bool = False
    reduced: bool = False  # a reduction lies before it
    pending: bool = False  # degree 0 by a reduction: the last such value is a normalizer's result
    soft: bool = False  # so by exponentials
    dom: int = EVERY  # sites on every path to it, in bits as all sets here
    parents: int = 0
    bare: int = 0  # the parents that no normalizer separates from it
    roots: int = 0
    averaged: float = 1.0
    depth: int = 0
    reads: bool = False
    loops: int = 0
    params: frozenset[int] = frozenset()


NONE = Value()


def _union(values: Sequence[Value]) -> dict[str, Any]:
    """What a value inherits from all that it is made of; its scale from what is not bounded."""
    carriers = [v for v in values if v.level > ROUTING] or list(values)
    strong = [v for v in carriers if not v.bounded] or carriers
    made: dict[str, Any] = {"dom": EVERY, "parents": 0, "bare": 0, "loops": 0, "roots": 0}
    for v in carriers:
        made["dom"] &= v.dom
        for name in ("parents", "bare", "loops"):
            made[name] |= getattr(v, name)
    for v in strong:
        made["roots"] |= v.roots
    return made | {
        "level": max(v.level for v in values),
        "degree": max(v.degree for v in carriers),
        "averaged": max(v.averaged for v in strong),
        "bounded": all(v.bounded for v in carriers),
        "reduced": any(v.reduced for v in carriers),
        "depth": max(v.depth for v in carriers),
        "reads": any(v.reads for v in carriers),
    }


def bits(mask: int) -> list[int]:
    """The members of a set of bits."""
    return [i for i in range(mask.bit_length()) if mask >> i & 1]


def growth(function: Callable[[Array], Any]) -> float:
    """The power of x with which a function grows, far out: on the right, or else on the left."""
    with np.errstate(all="ignore"):
        values = np.broadcast_to(np.asarray(function(FAR), dtype=np.float64), FAR.shape)
        size = np.sqrt(np.mean(np.square(values), axis=1))
    for low, high in (size[:2], size[2:]):
        if high == np.inf:
            return GROWN
        if low > 0 and high > 0:
            return round(4 * math.log10(high / low)) / 4
    return 0.0


def every(ops: Sequence[Op]) -> Iterator[Op]:
    """All operations, those in the bodies of loops and branches included."""
    for op in ops:
        yield op
        for body in op.bodies:
            yield from every(body)


@dataclass
class Draft:
    """A site while the program is read."""

    op: Op
    number: int
    x: int
    z: int
    kernel: int
    contract: Contract
    value: Value
    steps: int
    recurrent: bool


@dataclass
class Reader:
    """Reads operations without dead ones: the values of inputs, parameters and outputs by number.

    `constants` has scalars that are known, and the means of parameters.
    """

    ops: Sequence[Op]
    inputs: Mapping[int, str]
    whole: Collection[int]  # inputs of whole numbers
    parameters: Mapping[int, str]
    trainable: Collection[str]
    constants: dict[int, float]
    shapes: Mapping[int, tuple[int, ...]]
    outputs: Sequence[int]
    values: dict[int, Value] = field(default_factory=dict)
    makers: dict[int, Op] = field(default_factory=dict)
    users: dict[int, list[Op]] = field(default_factory=dict)
    through: dict[int, Sequence[int]] = field(default_factory=dict)
    found: dict[int, Draft] = field(default_factory=dict)
    roots: dict[int, tuple[int, str, int]] = field(default_factory=dict)
    picked: set[int] = field(default_factory=set)
    summed: dict[int, int] = field(default_factory=dict)
    factors: frozenset[int] = frozenset()
    shifts: frozenset[int] = frozenset()
    steps: list[int] = field(default_factory=list)
    functions: dict[bytes, Elementwise] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for i in self.inputs:
            self.values[i] = Value(ROUTING, i, reads=True)
            if i not in self.whole:
                root = self._root(i, "input", 0)
                self.values[i] = Value(SIGNAL, i, dom=0, roots=root, reads=True)
        self.values |= {i: Value(params=frozenset({i})) for i in self.parameters}
        for op in every(self.ops):
            if op.only != "run":
                self.makers |= dict.fromkeys(op.outputs, op)
                ends = [out for _, _, out in op.carry] + [i for _, *ins in op.results for i in ins]
                for i in {*op.inputs, *ends}:
                    self.users.setdefault(i, []).append(op)
        self._walk(self.ops)
        self.drafts = [d for d in self.found.values() if d.z not in self.picked]

    def at(self, i: int) -> Value:
        """What is known of a value."""
        return self.values.get(i, NONE)

    def _root(self, i: int, kind: str, parents: int) -> int:
        place, *_ = self.roots.get(i, (len(self.roots),))
        self.roots[i] = (place, kind, parents)
        return 1 << place

    def _used(self, i: int) -> Value:
        """What is known of a value that something else than a normalizer uses."""
        known = self.at(i)
        if not known.pending:
            return known
        root = self._root(known.source, "softmax" if known.soft else "normalizer", known.parents)
        fresh = {"pending": False, "soft": False, "reduced": False, "degree": 1.0, "bare": 0}
        return replace(known, **fresh, bounded=known.soft, roots=root, averaged=1.0)

    def _walk(self, ops: Sequence[Op]) -> None:
        for op in ops:
            if op.only == "run":
                continue
            if op.bodies:
                (self._loop if op.kind == "loop" else self._cond)(op)
                continue
            single = op.kind in ELEMENTWISE or op.kind == "move"
            made = self._single(op) if single else self._whole(op)
            if op.whole and made.level > ROUTING:
                made = Value(ROUTING, made.source, affine=made.affine, loops=made.loops)
            for place, i in enumerate(op.outputs):
                source = i if made.source == op.outputs[0] else made.source
                moves = op.kind == "move" and made.level and source != i
                layout = hash((made.layout, op.label, place)) if moves else made.layout
                self.values[i] = replace(made, source=source, layout=layout)

    # Functions of single numbers, and moves.

    def main(self, op: Op) -> list[int]:
        """The inputs that carry what is looked at; the others are sides, as constants are."""
        known = {i: self.at(i) for i in op.inputs}
        top = max((v.level for v in known.values()), default=PARAMETERS)
        if top == PARAMETERS:
            return []
        cases = list(op.inputs[1:] if op.kind == "choose" else op.inputs)
        chosen = [i for i in cases if known[i].level in (top, PICKED, SIGNAL)]
        sources = {known[i].source for i in chosen}
        if not chosen:
            return [op.inputs[0]]
        return [i for i in known if i in chosen or (known[i].level and known[i].source in sources)]

    def _params(self, ids: Sequence[int]) -> frozenset[int]:
        return frozenset().union(*(self.at(i).params for i in ids))

    def _single(self, op: Op) -> Value:
        main = self.main(op)
        if not main:
            return Value(params=self._params(op.inputs))
        sides = [i for i in op.inputs if i not in main]
        if op.kind == "mul":
            self.factors |= self._params(sides)
        elif op.kind != "move":
            self.shifts |= self._params(sides)
        straight = self._straight(op, main) and all(self.at(i).affine for i in main)
        pending = straight and all(self.at(i).pending for i in main)
        known = [self.at(i) if pending else self._used(i) for i in main]
        first = max(known, key=lambda v: v.level)
        level = PICKED if first.level == ROUTING and self._params(sides) else first.level
        degree, bounded = self._degree(op, main, known)
        if len({(v.source, v.layout) for v in known}) > 1:
            return replace(self._mixed(op, known, degree, pending), level=level)
        made = replace(first, level=level, affine=straight)
        if pending:
            moved = any(self.constant(i) is None for i in sides)
            return replace(made, source=op.outputs[0], layout=0) if moved else made
        return replace(made, degree=degree or 1.0, bounded=bounded or degree == 0)

    def _straight(self, op: Op, main: Sequence[int]) -> bool:
        """Whether an operation is affine in what it looks at."""
        if op.kind == "choose":
            return op.inputs[0] not in main
        if op.kind in ("mul", "div"):
            lone = len(main) == 1 and list(op.inputs).count(main[0]) == 1
            return lone and (op.kind == "mul" or main[0] == op.inputs[0])
        return op.kind in ("affine", "add", "move")

    def _degree(self, op: Op, main: Sequence[int], known: Sequence[Value]) -> tuple[float, bool]:
        # A function that no longer grows far out, such as tanh, sets a scale of its own.
        bounded = all(v.bounded for v in known)
        each = {i: v.degree for i, v in zip(main, known, strict=True)}
        if op.kind == "mul":
            return sum(each.get(i, 0.0) for i in op.inputs), bounded
        if op.kind == "div":
            return each.get(op.inputs[0], 0.0) - each.get(op.inputs[1], 0.0), bounded
        if op.kind != "map" or len(main) > 1:
            return max(each.values()), bounded
        grown = growth(lambda far: self._numbers(op, {main[0]: far}))
        return known[0].degree * grown, bounded

    def _mixed(self, op: Op, known: Sequence[Value], degree: float, pending: bool) -> Value:
        # Values of several sources: the result is a source of its own.
        made = _union(known)
        if op.kind == "add":
            for n in bits(made["bare"]):
                self.summed[n] = max(self.summed.get(n, 1), made["bare"].bit_count())
        cancels = degree == 0 and made["reduced"] and any(v.degree for v in known)
        stays = pending or cancels
        far = any(abs(v.degree) > GROWN / 2 for v in known)
        made |= {"degree": degree if degree or stays else 1.0, "pending": stays}
        made["bounded"] |= degree == 0 and not stays
        soft = stays and (far or any(v.soft for v in known))
        return Value(source=op.outputs[0], soft=soft, **made)

    # All other operations.

    def _whole(self, op: Op) -> Value:
        """A new source that inherits everything: a reduction, a join, a site, or the unknown."""
        side = self._kernel_side(op)
        if side is not None:
            return self._site(op, op.inputs[side], op.inputs[1 - side], op.contract[side])
        carried = [i for i in op.inputs if self.at(i).level]
        if not carried:
            return Value(params=self._params(op.inputs))
        self.through[op.outputs[0]] = carried
        known = [self._used(i) for i in carried]
        made = _union(known)
        made["reduced"] |= op.kind in ("reduce", "contract")
        made["averaged"] *= op.count
        if op.kind == "contract":
            made["degree"] = sum(v.degree for v in known)
        return Value(source=op.outputs[0], **made)

    def _kernel_side(self, op: Op) -> int | None:
        # The kernel is of a lower level, and has parameters in it.
        for side, contract in enumerate(op.contract):
            if contract is not None:
                kernel, data = self.at(op.inputs[side]), self.at(op.inputs[1 - side])
                chosen = kernel.level == PICKED and data.level == SIGNAL
                if kernel.level < data.level and (kernel.params or chosen):
                    return side
        return None

    def _site(self, op: Op, kernel: int, x: int, contract: Contract | None) -> Value:
        assert contract is not None
        z, read, lookup = op.outputs[0], self._used(x), op.kind == "lookup"
        if read.level == ROUTING and not lookup:
            read = replace(read, dom=0, roots=self._root(x, "input", 0), reads=True)
        if self.at(kernel).level == PICKED:
            self.picked.add(self.at(kernel).source)
        number = self.found[z].number if z in self.found else len(self.found)
        mark, inside = 1 << number, (1 << len(self.steps)) - 1
        steps, recurrent = math.prod(self.steps), bool(read.loops & inside)
        self.found[z] = Draft(op, number, x, z, kernel, contract, read, steps, recurrent)
        return Value(
            level=PICKED if lookup else SIGNAL,
            source=z,
            dom=(0 if read.dom == EVERY else read.dom) | mark,
            parents=mark,
            bare=mark,
            roots=self._root(z, "lookup", mark) if lookup else read.roots,
            averaged=1.0 if lookup else read.averaged,
            depth=read.depth + 1,
            loops=read.loops,
        )

    def _cond(self, op: Op) -> None:
        for body in op.bodies:
            self._walk(body)
        for outside, *inside in op.results:
            join = Op("join", inside, [outside], whole=all(not self.at(i).level for i in inside))
            self.values[outside] = self._whole(join)

    def _loop(self, op: Op) -> None:
        """The body is read until nothing changes."""
        mark = 1 << len(self.steps)
        self.steps.append(op.steps)
        deep = max((self.at(i).depth for i in op.inputs), default=0)
        before = None
        for _ in range(8):
            for first, inside, out in op.carry:
                self.through[inside] = [first]
                self.values[inside] = self._carried(first, inside, out, mark, deep)
            self._walk(op.bodies[0])
            now = [self.at(out) for _, _, out in op.carry]
            if now == before:
                break
            before = now
        self.steps.pop()
        grown = (op.steps - 1) * max([0, *(self.at(out).depth - deep for *_, out in op.carry)])
        inner = set(every(op.bodies[0]))
        for draft in self.found.values():
            if draft.recurrent and draft.op in inner:
                draft.value = replace(draft.value, depth=draft.value.depth + grown)
        for outside, inside in op.results:
            made = self._used(inside)
            self.through[outside] = [inside]
            self.values[outside] = replace(
                made,
                source=outside if made.level else -1,
                layout=0,
                affine=True,
                depth=made.depth + (grown if made.loops & mark else 0),
                loops=made.loops & ~mark,
            )

    def _carried(self, first: int, inside: int, out: int, mark: int, depth: int) -> Value:
        start, came = self.at(first), self.at(out)
        level = max(start.level, came.level)
        if level <= ROUTING:
            return Value(level, inside, loops=mark * level, params=start.params | came.params)
        made = _union([v for v in (start, came) if v.level > ROUTING])
        made |= {"depth": depth, "bounded": False, "reduced": False, "degree": 1.0}
        made["loops"] = start.loops | came.loops | mark
        if start.level > ROUTING:
            made |= {"roots": start.roots, "averaged": start.averaged}
        else:
            made |= {"roots": self._root(inside, "state", made["parents"]), "averaged": 1.0}
        return Value(source=inside, **made)

    # Evaluating on numbers of no shape in particular.

    def constant(self, i: int) -> float | None:
        """The value of what depends on nothing, where it is one number."""
        if i in self.parameters or i in self.constants:
            return None if i in self.parameters else self.constants[i]
        op = self.makers.get(i)
        if op is None or op.kind not in (*ELEMENTWISE, "move") or not op.inputs:
            return None
        if any(self.constant(j) is None for j in op.inputs):
            return None
        self.constants[i] = self._scalar(i)
        return self.constants[i]

    def _scalar(self, i: int) -> float:
        """A constant's or parameter's typical value."""
        op = self.makers.get(i)
        if i in self.constants or op is None or not op.inputs:
            return self.constants.get(i, 0.25)
        if op.kind in ELEMENTWISE and op.numbers is not None:
            return float(self._numbers(op, {}))
        return self._scalar(op.inputs[0])

    def _numbers(self, op: Op, given: Mapping[int, Any]) -> Any:
        if op.numbers is None:
            return next(iter(given.values()), 0.25)
        inputs = [given[j] if j in given else self._scalar(j) for j in op.inputs]
        with np.errstate(all="ignore"):
            return op.numbers(*(np.asarray(v, dtype=np.float64) for v in inputs))

    def evaluate(self, i: int, source: int, values: Array) -> Any:
        """A value as a function of its source, number by number; moves are looked through."""
        seen: dict[int, Any] = {source: values}

        def at(j: int) -> Any:
            if j not in seen:
                op = self.makers[j]
                main = self.main(op)
                sides = [k for k in op.inputs if k not in main]
                skips = op.kind in ("add", "mul", "div", "choose") and self._straight(op, main)
                skips = skips and any(self.constant(k) is None for k in sides)
                if op.kind == "move" or (skips and len(main) == 1):
                    seen[j] = at(main[0])  # a shift of 0, a scale of 1, what is not masked
                else:
                    seen[j] = self._numbers(op, {k: at(k) for k in main})
            return seen[j]

        return at(i)

    def function(self, i: int, source: int) -> Elementwise:
        """The function that makes a value of its source."""

        def function(values: Array) -> Array:
            made = np.asarray(self.evaluate(i, source, values), dtype=np.float64)
            return np.broadcast_to(made, np.shape(values))

        key = np.round(function(NEAR), 4).tobytes()
        return self.functions.setdefault(key, Elementwise(function))

    def before(self, i: int) -> Elementwise:
        """The activation on the way to a value; pooling, moves, joins of equals looked through."""
        known = self.at(i)
        if not known.affine:
            return self.function(i, known.source)
        ways = [j for j in self.through.get(known.source, ()) if self.at(j).level > ROUTING]
        found = {self.before(j) for j in ways}
        return found.pop() if len(found) == 1 else LINEAR

    def ends(self, draft: Draft) -> list[int]:
        """The values in which an activation of the site's result is used, or of its normal form."""
        source, mark = draft.z, 1 << draft.number
        for i, (_, kind, parents) in self.roots.items():
            if kind == "normalizer" and parents == mark and self.shapes[i] == self.shapes[source]:
                source = i
        while True:
            found, leaving = self._region(source)
            sums = [op.outputs[0] for op in leaving if op.kind == "add"]
            if len(leaving) != 1 or not sums or self.shapes[sums[0]] != self.shapes[source]:
                return [i for i in found if self.at(i).level > ROUTING and not self.at(i).affine]
            source = sums[0]  # what a sum makes of it, where that is all

    def _region(self, source: int) -> tuple[list[int], list[Op]]:
        """Where the functions of a source end, and the operations that use them there."""
        found, leaving, stack, seen = [], [], [source], {source}
        while stack:
            i = stack.pop()
            used = self.users.get(i, [])
            inner = [op for op in used if any(self.at(j).source == source for j in op.outputs)]
            new = {j for op in inner for j in op.outputs} - seen
            seen |= new
            stack += new
            if len(inner) < len(used) or i in self.outputs or not inner:
                found.append(i)
                leaving += [op for op in used if op not in inner]
        return found, leaving

    def flats(self, draft: Draft, share: float) -> Iterator[tuple[int, float, float, float]]:
        """Where what acts on a site is flat on both sides: the value, its limits, N(0, 1)'s share.

        `share` is of the steepest slope at N(0, 1).
        """
        for end in self.ends(draft):
            entries = {j for j in self._inside(end) if self.at(j).affine}
            if len(entries) == 1:
                u = entries.pop()
                function = self.function(end, u)
                top = np.abs(np.gradient(function(NORMAL), NORMAL)).max()
                steep = np.abs(np.gradient(function(WIDE), WIDE)) >= share * top
                if steep.any() and not steep[0] and not steep[-1]:
                    low, high = WIDE[steep][[0, -1]]
                    yield u, low, high, float(np.mean((NORMAL < low) | (NORMAL > high)))

    def _inside(self, i: int) -> set[int]:
        """The values that a bent one is made of, up to the first that is not bent."""
        found: set[int] = set()
        for j in self.main(self.makers[i]):
            found |= {j} if self.at(j).affine else self._inside(j)
        return found

    # The program.

    def program(self) -> Program:
        """The sites and roots that were found."""
        heads = [v for v in map(self.at, self.outputs) if v.level > ROUTING] or [NONE]
        last = _union(heads)
        cuts, bare, normal = 0, last["bare"], 0
        for v in heads:
            cuts |= 0 if v.dom == EVERY else v.dom
        for d in self.drafts:
            bare |= d.value.bare
        for _, kind, parents in self.roots.values():
            normal |= parents if kind in ("normalizer", "softmax") else 0
        place = {d.number: i for i, d in enumerate(self.drafts)}
        made: list[Site] = []
        for d in self.drafts:
            mark, kernels = 1 << d.number, self._kernels(d)
            calls = 1 + sum(site.kernel.name == kernels[0].name for site in made)
            lookup, blocks = d.op.kind == "lookup", self._blocks(d)
            fan_in, fan_out = d.contract.fans
            acts = {self.function(i, self.at(i).source) for i in self.ends(d)}
            made.append(
                Site(
                    kernels[0].name + (f" (call {calls})" if calls > 1 else ""),
                    kernels,
                    lookup,
                    fan_in,
                    fan_out / blocks,
                    groups=d.contract.size(0) * d.contract.split,
                    blocks=blocks,
                    units=d.contract.size(1) * (1 if lookup else d.contract.size(0)),
                    before=LINEAR if lookup else self.before(d.x),
                    after=acts.pop() if len(acts) == 1 else LINEAR,
                    parents=tuple(place[i] for i in bits(d.value.parents) if i in place),
                    roots=tuple(bits(d.value.roots)),
                    reads_data=d.value.reads,
                    head=bool(last["parents"] & mark),
                    cut=bool(cuts & mark),
                    normalized=bool(normal & mark & ~bare),
                    averaged=d.value.averaged,
                    summed=self.summed.get(d.number, 1),
                    recurrent=d.recurrent,
                    steps=d.steps,
                    depth=d.value.depth + 1,
                )
            )
        used = {kernel.name for site in made for kernel in site.kernels}
        reached = self._reached()
        roots = []
        for i, (_, kind, parents) in self.roots.items():
            up = tuple(place[n] for n in bits(parents) if n in place)
            name = f"after {', '.join(made[n].name for n in up)}"
            roots.append(Root(self.inputs.get(i, name), kind, up))
        return Program(
            tuple(made),
            tuple(roots),
            last["depth"],
            unused=tuple(
                n
                for i, n in self.parameters.items()
                if n not in used and i not in self.shifts and len(self.shapes[i]) > 1
            ),
            factors=tuple(n for i, n in self.parameters.items() if i in self.factors or n in used),
            stopped=tuple(
                n
                for i, n in self.parameters.items()
                if n in {site.kernel.name for site in made} and i not in reached
            ),
        )

    def _blocks(self, draft: Draft) -> int:
        """In how many equal parts the units are used apart; sums with others are looked through."""
        stack, seen, parts = [draft.z], {draft.z}, 1
        units = draft.contract.size(1)
        while stack:
            for op in self.users.get(stack.pop(), []):
                if op.kind in ("add", "affine", "move", "join"):
                    n, span = op.parts
                    parts = n if n > parts and span <= units and units % n == 0 else parts
                    stack += set(op.outputs) - seen
                    seen.update(op.outputs)
        return parts

    def _reached(self) -> set[int]:
        """The values to which a gradient can come back from the outputs."""
        reached = set(self.outputs)
        size = 0
        while size < len(reached):  # what goes round in a loop comes back the next time
            size = len(reached)
            for op in reversed(list(every(self.ops))):
                for outside, *inside in op.results:
                    reached |= set(inside) if outside in reached else set()
                for first, inside, out in op.carry:
                    reached |= {first, out} if inside in reached else set()
                if not (op.stops or op.whole or op.bodies) and reached.intersection(op.outputs):
                    reached |= set(op.inputs)
        return reached

    # Kernels: which parameters make them, with which power, and where their entries went.

    def _kernels(self, draft: Draft) -> tuple[Kernel, ...]:
        i, known = draft.kernel, self.at(draft.kernel)
        if known.level == PICKED:
            i = self.makers[known.source].inputs[0]
        found = []
        for p, (power, alone) in self._powers(i).items():
            entries = self._entries(i, p) if known.level != PICKED else None
            index = None if entries is None else _arranged(entries, draft.contract)
            name, shape = self.parameters[p], self.shapes[p]
            rank = (index is not None, alone, math.prod(shape))
            found.append((rank, Kernel(name, shape, power, name in self.trainable, index)))
        found.sort(key=lambda pair: pair[0], reverse=True)
        return tuple(kernel for _, kernel in found)

    def _powers(self, i: int) -> dict[int, tuple[float, bool]]:
        """For each parameter in a kernel its power, and whether it is no product of matrices."""
        op = self.makers.get(i)
        if i in self.parameters or op is None:
            return {i: (1.0, True)} if i in self.parameters else {}
        products = op.kind in ("mul", "div", "contract")
        pair = op.kind == "contract" and all(self.at(j).params for j in op.inputs[:2])
        found: dict[int, tuple[float, bool]] = {}
        for place, j in enumerate(op.inputs):
            factor = -1.0 if op.kind == "div" and place else 1.0
            inner = self._powers(j)
            if inner and op.kind == "map":
                factor = growth(lambda far, j=j: self._numbers(op, {j: far}))
            for p, (power, alone) in inner.items():
                old, was = found.get(p, (0.0 if products else power * factor, True))
                new = old + power * factor if products else max(old, power * factor)
                found[p] = (new, alone and was and not pair)
        if op.kind == "add" and any(alone for _, alone in found.values()):
            found = {p: (power if alone else 0.0, alone) for p, (power, alone) in found.items()}
        return found

    def _entries(self, i: int, p: int) -> Callable[[], list[Array]] | None:
        """Gives the flat position in parameter `p` of each entry of a value, step by step."""
        if i == p:
            return lambda: [np.arange(math.prod(self.shapes[p])).reshape(self.shapes[p])]
        op = self.makers.get(i)
        if op is None or op.kind not in (*ELEMENTWISE, "move", "join"):
            return None
        known = [(j, self._entries(j, p)) for j in op.inputs if p in self.at(j).params]
        j, entries = known[0] if len(known) == 1 else (i, None)
        if entries is None or op.kind in ELEMENTWISE:
            return entries if self.shapes[j] == self.shapes[i] else None
        place, out, run = list(op.inputs).index(j), list(op.outputs).index(i), op.run
        rest = [np.full(self.shapes[k], -1) for k in op.inputs]
        assert run is not None

        def moved() -> list[Array]:
            if op.unstacks:
                return [part for e in entries() for part in e]
            made = (run(*rest[:place], e, *rest[place + 1 :]) for e in entries())
            return [np.asarray(m[out]) for m in made]

        return moved

    # What inputs the model expects.

    def _origins(self, i: int) -> set[int]:
        op = self.makers.get(i)
        if i in self.inputs or op is None:
            return {i}
        return set().union(*(self._origins(j) for j in op.inputs))

    def vocabulary(self, i: int) -> int:
        """How many rows the tables have that an input picks from; 0 where it picks from none."""
        picks = [d for d in self.drafts if d.op.kind == "lookup" or d.value.level == ROUTING]
        sizes = [d.contract.size(0 if d.op.kind == "lookup" else 2) for d in picks
                 if i in self._origins(d.x)]  # fmt: skip
        return min(sizes, default=0)

    def entry(self, i: int) -> tuple[float, float]:
        """The scale and shift that an input of floats gets before its first site."""
        for d in self.drafts:
            if self.at(d.x).source == i and self.at(d.x).affine:
                low, high = (float(self.evaluate(d.x, i, np.array(v))) for v in (0.0, 1.0))
                return (high - low) or 1.0, low
        return 1.0, 0.0


def _arranged(
    entries: Callable[[], list[Array]], contract: Contract
) -> Callable[[], NDArray[np.int64]]:
    return lambda: np.concatenate([contract.arrange(e) for e in entries()]).astype(np.int64)
