"""What any model is: primitive operations on data and named parameters, whatever its layers' names.

A *site* is a place where data meets a kernel: a contraction, convolution or lookup with one side
that depends on the data and one that depends on parameters alone. A framework's module, such as
`winit.jax`, writes a model down as a list of `Op`; `Reader` finds the sites, their fans and what
lies between two of them; a `Subject` runs it and says what was `Measured` there. `winit.judge`
works from these types alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Index = Callable[[], NDArray[np.int64]]
KEY = 0x77696E6974  # the audit's own branch of every seed: its noise is nobody's draw
SILENT = 1e-6  # a unit to which this share of the mean squared gradient comes back is dead
OPENED = 0.02  # std of the noise in place of zeros


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
    """A parameter as one site uses it."""

    name: str
    shape: tuple[int, ...]
    # d ln of the effective kernel by d ln of it: 1 for a plain kernel and weight normalization's g,
    # 0 where a transform takes its scale away (v, spectral normalization) and for LoRA's pair.
    power: float = 1.0
    trainable: bool = True
    # Gives the flat positions in it that the site reads, as (groups, outputs, inputs, *window), so
    # that `values.flat[index()] = drawn`; None where they are not a rearrangement of its own.
    index: Index | None = None


@dataclass(frozen=True)
class Site:
    """A place where data meets a kernel."""

    name: str  # the main kernel's path, and the number of the call where it is used again
    kernels: tuple[Kernel, ...]  # what makes the effective kernel, the main one first
    lookup: bool  # rows are picked by whole numbers that come from the data
    fan_in: float  # inputs that reach an output, far from edges; strides count
    fan_out: float  # outputs that an input reaches
    groups: int = 1  # independent ones: grouped and depthwise kernels, experts, stacked layers
    blocks: int = 1  # equal parts in which the units are used apart (gates); fan_out is of one
    units: int = 1
    before: Elementwise = LINEAR  # on what the kernel reads; pooling and moves are looked through
    after: Elementwise = LINEAR  # that of the sites that read its result; linear if they differ
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
    """What one run, forward and back, measured; arrays have an entry a site.

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


# ------------------------------------------------------------------ what a framework writes down


@dataclass(frozen=True)
class Contract:
    """The axes of a contraction, convolution or lookup, seen from its kernel."""

    order: Sequence[Sequence[int]]  # of the kernel: groups, outputs, inputs, window
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
        taps, outputs = self.size(3), self.size(1) // self.split
        return self.size(2) * taps / self.stride_in, outputs * taps / self.stride_out

    def arrange(self, values: Array) -> Array:
        """An array of the kernel's shape as (groups, outputs, inputs, *window)."""
        moved = values.transpose([axis for part in self.order for axis in part])
        sizes = self.size(0) * self.split, self.size(1) // self.split, self.size(2)
        return moved.reshape(*sizes, *(self.shape[axis] for axis in self.order[3]))


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
    contract: Sequence[Contract | None] = ()  # by the position of the kernel
    parts: tuple[int, int] = (1, 0)  # of how many parts a move takes one, and the axis' span
    label: str = ""  # tells moves apart
    bodies: Sequence[Sequence[Op]] = ()  # of a loop, or the branches
    carry: Sequence[tuple[int, int, int]] = ()  # first, inside, and out of each state of a loop
    results: Sequence[tuple[int, ...]] = ()  # outside, and inside the body or each branch
    steps: int = 1
    extra: Any = None  # the framework's own


def every(ops: Sequence[Op]) -> Iterator[Op]:
    """All operations, those in the bodies of loops and branches included."""
    for op in ops:
        yield op
        for body in op.bodies:
            yield from every(body)


# ------------------------------------------------------------------ reading it

# What a value depends on. Whole numbers that come from the data pick and mask, and carry no signal;
# picked rows are a lookup's result, or a kernel that is chosen for the data.
PARAMETERS, ROUTING, PICKED, SIGNAL = range(4)
ELEMENTWISE = ("affine", "add", "mul", "div", "map", "choose")
EVERY = -1  # as a set of sites in bits: neutral in an intersection
GROWN = 1e9  # stands for the growth of an exponential
# Two magnitudes far beyond any epsilon, on either side, at 32 points each: sine must not look odd.
FAR = np.linspace(1.0, 2.0, 32) * np.array([1e4, 1e5, -1e4, -1e5])[:, None]
NEAR, WIDE = np.linspace(-4.0, 4.0, 41), np.linspace(-40.0, 40.0, 8001)
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


def _union(values: Sequence[Value]) -> Value:
    """What a value inherits from all that it is made of; its scale from what is not bounded."""
    carriers = [v for v in values if v.level > ROUTING] or list(values)
    strong = [v for v in carriers if not v.bounded] or carriers
    dom, parents, bare, loops, roots = EVERY, 0, 0, 0, 0
    for v in carriers:
        dom, parents, bare, loops = dom & v.dom, parents | v.parents, bare | v.bare, loops | v.loops
    for v in strong:
        roots |= v.roots
    return Value(
        level=max(v.level for v in values),
        degree=max(v.degree for v in carriers),
        bounded=all(v.bounded for v in carriers),
        reduced=any(v.reduced for v in carriers),
        averaged=max(v.averaged for v in strong),
        depth=max(v.depth for v in carriers),
        reads=any(v.reads for v in carriers),
        dom=dom,
        parents=parents,
        bare=bare,
        loops=loops,
        roots=roots,
    )


def bits(mask: int) -> list[int]:
    """The members of a set of bits."""
    return [i for i in range(mask.bit_length()) if mask >> i & 1]


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
    """A site while the program is read: its operation, and the values there."""

    op: Op
    number: int
    x: int
    z: int
    kernel: int
    contract: Contract
    value: Value  # what is known of x
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
        known = replace(known, pending=False, soft=False, bounded=known.soft, reduced=False)
        return replace(known, degree=1.0, bare=0, roots=root, averaged=1.0)

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
        cases = op.inputs[1:] if op.kind == "choose" else op.inputs
        chosen = [i for i in cases if known[i].level in (top, PICKED, SIGNAL)]
        sources = {known[i].source for i in chosen}
        same = [i for i, v in known.items() if i in chosen or (v.level and v.source in sources)]
        return same or [op.inputs[0]]

    def _params(self, ids: Sequence[int]) -> frozenset[int]:
        return frozenset().union(*(self.at(i).params for i in ids))

    def _single(self, op: Op) -> Value:
        main = self.main(op)
        sides = [i for i in op.inputs if i not in main]
        made_of = self._params(sides)
        if not main:
            return Value(params=made_of)
        self.factors |= made_of if op.kind == "mul" else frozenset()
        self.shifts |= made_of if op.kind not in ("mul", "move") else frozenset()
        straight = self._straight(op, main) and all(self.at(i).affine for i in main)
        pending = straight and all(self.at(i).pending for i in main)
        known = [self.at(i) if pending else self._used(i) for i in main]
        first = max(known, key=lambda v: v.level)
        level = PICKED if first.level == ROUTING and made_of else first.level
        bounded = all(v.bounded for v in known)
        degree = self._degree(op, dict(zip(main, known, strict=True)))
        if len({(v.source, v.layout) for v in known}) > 1:
            return replace(self._mixed(op, known, degree, pending), level=level)
        made = replace(first, level=level, affine=straight)
        if pending:
            moved = any(self.constant(i) is None for i in sides)
            return replace(made, source=op.outputs[0], layout=0) if moved else made
        # A function that no longer grows far out, such as tanh, sets a scale of its own.
        return replace(made, degree=degree or 1.0, bounded=bounded or degree == 0)

    def _straight(self, op: Op, main: Sequence[int]) -> bool:
        """Whether an operation is affine in what it looks at."""
        if op.kind == "choose":
            return op.inputs[0] not in main
        if op.kind in ("mul", "div"):
            lone = len(main) == 1 and list(op.inputs).count(main[0]) == 1
            return lone and (op.kind == "mul" or main[0] == op.inputs[0])
        return op.kind in ("affine", "add", "move")

    def _degree(self, op: Op, known: Mapping[int, Value]) -> float:
        each = [known[i].degree if i in known else 0.0 for i in op.inputs]
        if op.kind == "mul":
            return sum(each)
        if op.kind == "div":
            return each[0] - each[1]
        if op.kind != "map" or len(known) > 1:
            return max(v.degree for v in known.values())
        ((i, v),) = known.items()
        return v.degree * growth(lambda far: self._numbers(op, {i: far}))

    def _mixed(self, op: Op, known: Sequence[Value], degree: float, pending: bool) -> Value:
        """Values of several sources, number by number: the result is a source of its own."""
        made = _union(known)
        if op.kind == "add":
            for n in bits(made.bare):
                self.summed[n] = max(self.summed.get(n, 1), made.bare.bit_count())
        stays = pending or (degree == 0 and made.reduced and any(v.degree for v in known))
        soft = stays and any(v.soft or abs(v.degree) > GROWN / 2 for v in known)
        bounded = made.bounded or (degree == 0 and not stays)
        degree = degree if degree or stays else 1.0
        made = replace(made, source=op.outputs[0], degree=degree, bounded=bounded)
        return replace(made, pending=stays, soft=soft)

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
        degree = sum(v.degree for v in known) if op.kind == "contract" else made.degree
        reduced = made.reduced or op.kind in ("reduce", "contract")
        made = replace(made, source=op.outputs[0], degree=degree, reduced=reduced)
        return replace(made, averaged=made.averaged * op.count)

    def _kernel_side(self, op: Op) -> int | None:
        """The kernel is of a lower level, and has parameters in it."""
        for side, contract in enumerate(op.contract):
            if contract is not None:
                kernel, data = self.at(op.inputs[side]), self.at(op.inputs[1 - side])
                chosen = kernel.level == PICKED and data.level == SIGNAL
                if kernel.level < data.level and (kernel.params or chosen):
                    return side
        return None

    def _site(self, op: Op, kernel: int, x: int, contract: Any) -> Value:
        z, read, lookup = op.outputs[0], self._used(x), op.kind == "lookup"
        if read.level == ROUTING and not lookup:
            read = replace(read, dom=0, roots=self._root(x, "input", 0), reads=True)
        if self.at(kernel).level == PICKED:
            self.picked.add(self.at(kernel).source)
        number = self.found[z].number if z in self.found else len(self.found)
        mark, inside = 1 << number, (1 << len(self.steps)) - 1
        steps, recurrent = math.prod(self.steps), bool(read.loops & inside)
        self.found[z] = Draft(op, number, x, z, kernel, contract, read, steps, recurrent)
        dom = (0 if read.dom == EVERY else read.dom) | mark
        made = Value(SIGNAL, z, dom=dom, parents=mark, bare=mark, loops=read.loops)
        made = replace(made, roots=read.roots, averaged=read.averaged, depth=read.depth + 1)
        root = self._root(z, "lookup", mark) if lookup else 0
        return replace(made, level=PICKED, roots=root, averaged=1.0) if lookup else made

    def _cond(self, op: Op) -> None:
        for body in op.bodies:
            self._walk(body)
        for outside, *inside in op.results:
            self.values[outside] = self._whole(Op("join", inside, [outside]))

    def _loop(self, op: Op) -> None:
        """The body is read until nothing changes."""
        mark = 1 << len(self.steps)
        self.steps.append(op.steps)
        deep = max((self.at(i).depth for i in op.inputs), default=0)
        before = None
        for _ in range(8):
            for first, inside, out in op.carry:
                self.through[inside] = [out]
                self.values[inside] = self._carried(first, inside, out, mark, deep)
            self._walk(op.bodies[0])
            now = [self.at(out) for *_, out in op.carry]
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
            made, self.through[outside] = self._used(inside), [inside]
            far = made.depth + (grown if made.loops & mark else 0)
            made = replace(made, depth=far, loops=made.loops & ~mark, layout=0, affine=True)
            self.values[outside] = replace(made, source=outside if made.level else -1)

    def _carried(self, first: int, inside: int, out: int, mark: int, depth: int) -> Value:
        start, came = self.at(first), self.at(out)
        level = max(start.level, came.level)
        if level <= ROUTING:
            return Value(level, inside, loops=mark * level, params=start.params | came.params)
        made = _union([v for v in (start, came) if v.level > ROUTING])
        made = replace(made, source=inside, depth=depth, bounded=False, reduced=False, degree=1.0)
        made = replace(made, loops=start.loops | came.loops | mark)
        if start.level > ROUTING:
            return replace(made, roots=start.roots, averaged=start.averaged)
        return replace(made, roots=self._root(inside, "state", made.parents), averaged=1.0)

    # Evaluating on numbers of no shape in particular.

    def constant(self, i: int) -> float | None:
        """The value of what depends on nothing, where it is one number."""
        if i not in self.constants and i not in self.parameters:
            op = self.makers.get(i)
            if op is None or op.kind not in (*ELEMENTWISE, "move") or not op.inputs:
                return None
            if any(self.constant(j) is None for j in op.inputs):
                return None
            self.constants[i] = self._scalar(i)
        return None if i in self.parameters else self.constants[i]

    def _scalar(self, i: int) -> float:
        """A constant's or parameter's typical value."""
        op = self.makers.get(i)
        if i in self.constants or op is None or not op.inputs:
            return self.constants.get(i, 0.25)
        return float(self._numbers(op, {})) if op.numbers else self._scalar(op.inputs[0])

    def _numbers(self, op: Op, given: Mapping[int, Any]) -> Any:
        inputs = [given[j] if j in given else self._scalar(j) for j in op.inputs]
        with np.errstate(all="ignore"):
            wide = [np.asarray(v, dtype=np.float64) for v in inputs]
            return op.numbers(*wide) if op.numbers else wide[0]

    def evaluate(self, i: int, source: int, values: Array) -> Any:
        """A value as a function of its source, number by number; moves are looked through."""
        seen: dict[int, Any] = {source: values}

        def at(j: int) -> Any:
            if j not in seen:
                op = self.makers[j]
                main = self.main(op)
                open_ended = any(self.constant(k) is None for k in op.inputs if k not in main)
                skips = open_ended and len(main) == 1 and op.kind not in ("affine", "map")
                if op.kind == "move" or (skips and self._straight(op, main)):
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

    def before(self, i: int, seen: frozenset[int] = frozenset()) -> Elementwise:
        """The activation on the way to a value; pooling, moves, joins of equals looked through."""
        known = self.at(i)
        if not known.affine:
            return self.function(i, known.source)
        ways = [] if known.source in seen else self.through.get(known.source, ())
        ways = [j for j in ways if self.at(j).level > ROUTING]
        found = {self.before(j, seen | {known.source}) for j in ways}
        return found.pop() if len(found) == 1 else LINEAR

    def tails(self, draft: Draft, share: float) -> tuple[float, float, float] | None:
        """Between which values an activation before a site is steep, and N(0, 1)'s share outside.

        None unless it is flat on both sides; `share` is of the steepest slope at N(0, 1).
        """
        act = self.before(draft.x)
        steep = np.abs(np.gradient(act(WIDE), WIDE))
        steep = np.flatnonzero(steep >= share * np.abs(np.gradient(act(NORMAL), NORMAL)).max())
        if not len(steep) or steep[0] == 0 or steep[-1] == len(WIDE) - 1:
            return None
        low, high = np.sort(act(WIDE[steep[[0, -1]]]))
        return low, high, float(np.mean((act(NORMAL) < low) | (act(NORMAL) > high)))

    # The program.

    def program(self) -> Program:
        """The sites and roots that were found."""
        heads = [v for v in map(self.at, self.outputs) if v.level > ROUTING] or [NONE]
        last, cuts, normal = _union(heads), 0, 0
        bare = last.bare
        for v in heads:
            cuts |= 0 if v.dom == EVERY else v.dom
        for d in self.drafts:
            bare |= d.value.bare
        for _, kind, parents in self.roots.values():
            normal |= parents if kind in ("normalizer", "softmax") else 0
        place = {d.number: i for i, d in enumerate(self.drafts)}

        def members(mask: int) -> tuple[int, ...]:
            return tuple(place[n] for n in bits(mask) if n in place)

        made: list[Site] = []
        for d in self.drafts:
            mark, site = 1 << d.number, self._made(d)
            calls = 1 + sum(other.kernel.name == site.name for other in made)
            made.append(
                replace(
                    site,
                    name=site.name + (f" (call {calls})" if calls > 1 else ""),
                    parents=members(d.value.parents),
                    head=bool(last.parents & mark),
                    cut=bool(cuts & mark),
                    normalized=bool(normal & mark & ~bare),
                )
            )
        for i, site in enumerate(made):
            acts = {other.before for other in made if i in other.parents}
            made[i] = replace(site, after=acts.pop()) if len(acts) == 1 else site
        roots = []
        for i, (_, kind, parents) in self.roots.items():
            name = f"after {', '.join(made[n].name for n in members(parents))}"
            roots.append(Root(self.inputs.get(i, name), kind, members(parents)))
        used = {kernel.name for site in made for kernel in site.kernels}
        mains, reached = {site.kernel.name for site in made}, self._reached()
        named = self.parameters.items()
        shapes = {n: self.shapes[i] for i, n in named if i not in self.shifts}
        return Program(
            tuple(made),
            tuple(roots),
            last.depth,
            unused=tuple(n for n, shape in shapes.items() if n not in used and len(shape) > 1),
            factors=tuple(n for i, n in named if i in self.factors or n in used),
            stopped=tuple(n for i, n in named if n in mains and i not in reached),
        )

    def _made(self, d: Draft) -> Site:
        """A site, as far as it stands alone."""
        kernels, blocks, lookup = self._kernels(d), self._blocks(d), d.op.kind == "lookup"
        fan_in, fan_out = d.contract.fans
        return Site(
            kernels[0].name,
            kernels,
            lookup,
            fan_in,
            fan_out / blocks,
            groups=d.contract.size(0) * d.contract.split,
            blocks=blocks,
            units=d.contract.size(1) * (1 if lookup else d.contract.size(0)),
            before=LINEAR if lookup else self.before(d.x),
            roots=tuple(bits(d.value.roots)),
            reads_data=d.value.reads,
            averaged=d.value.averaged,
            summed=self.summed.get(d.number, 1),
            recurrent=d.recurrent,
            steps=d.steps,
            depth=d.value.depth + 1,
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
        reached, size = set(self.outputs), 0
        while size < len(reached):  # what goes round in a loop comes back the next time
            size = len(reached)
            for op in reversed(list(every(self.ops))):
                for outside, *ends in op.results:
                    reached |= set(ends) if outside in reached else set()
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
        if op.kind == "cond":
            ways = [self._powers(j) for j in _branches(op, i)]
            return {p: min(way[p] for way in ways if p in way) for way in ways for p in way}
        products = op.kind in ("mul", "div", "contract")
        pair = op.kind == "contract" and all(self.at(j).params for j in op.inputs[:2])
        found: dict[int, tuple[float, bool]] = {}
        for place, j in enumerate(op.inputs):
            inner = self._powers(j)
            factor = -1.0 if op.kind == "div" and place else 1.0
            if inner and op.kind == "map":
                factor = growth(lambda far, j=j: self._numbers(op, {j: far}))  # type: ignore[misc]
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
        if op is not None and op.kind == "cond":
            return next(filter(None, (self._entries(j, p) for j in _branches(op, i))), None)
        if op is None or op.kind not in (*ELEMENTWISE, "move", "join"):
            return None
        known = [j for j in op.inputs if p in self.at(j).params]
        known = [
            j for j in known if op.kind in ("move", "join") or self.shapes[j] == self.shapes[i]
        ]
        entries = self._entries(known[0], p) if len(known) == 1 else None
        if entries is None or op.kind in ELEMENTWISE:
            return entries
        place, out, run = list(op.inputs).index(known[0]), list(op.outputs).index(i), op.run
        rest = [np.full(self.shapes[k], -1) for k in op.inputs]

        def moved() -> list[Array]:
            if run is None:  # a loop takes another part at each step
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
        mine = [d for d in picks if i in self._origins(d.x)]
        return min((d.contract.size(0 if d.op.kind == "lookup" else 2) for d in mine), default=0)

    def entry(self, i: int) -> tuple[float, float]:
        """The scale and shift that an input of floats gets before its first site."""
        for d in self.drafts:
            if self.at(d.x).source == i and self.at(d.x).affine:
                low, high = (float(self.evaluate(d.x, i, np.array(v))) for v in (0.0, 1.0))
                return (high - low) or 1.0, low
        return 1.0, 0.0


def _branches(op: Op, i: int) -> Sequence[int]:
    """The values of which a choice of branches gives one."""
    return next(ends for outside, *ends in op.results if outside == i)


def _arranged(entries: Callable[[], list[Array]], contract: Contract) -> Index:
    return lambda: np.concatenate([contract.arrange(e) for e in entries()]).astype(np.int64)


# ------------------------------------------------------------------ measuring

# What a run notes, by kind and value: sums over blocks of squares ("x"), the same about the mean
# over the examples ("v"), and how often it came by ("n"); for loops with an entry a step in front.
Notes = Mapping[str, Mapping[str, Array]]


class Subject:
    """A model that can be measured and given other weights; a framework's module completes it."""

    name: str
    arrays: dict[str, Any]  # the parameters, by path
    reader: Reader
    program: Program
    examples: int
    flat: float  # share of the steepest slope under which one is flat

    @property
    def parameters(self) -> dict[str, tuple[int, ...]]:
        """Every parameter's shape."""
        return {n: tuple(a.shape) for n, a in self.arrays.items()}

    def execute(self, arrays: Mapping[str, Any], inputs: float) -> Notes:
        """Run once, with these parameters, and inputs of floats divided by `inputs`."""
        raise NotImplementedError

    def numpy(self, array: Any) -> Array:
        """One of the framework's arrays, as float64."""
        return np.asarray(array).astype(np.float64)

    def like(self, value: Any, old: Any) -> Any:
        """A value in the type, dtype and layout of one of the framework's arrays."""
        raise NotImplementedError

    def value(self, name: str) -> Array:
        """A parameter's present value, as float64."""
        return self.numpy(self.arrays[name])

    def assign(self, name: str, value: Array) -> None:
        """Set a parameter, in its own dtype and layout."""
        self.arrays[name] = self.like(value, self.arrays[name])

    def start(self, name: str) -> tuple[Array, str] | None:
        """The conventional start of what is no kernel, and its name; None if there is none."""
        shape = self.parameters[name]
        shift = len(shape) == 1 and name not in self.program.factors
        return (np.zeros(shape), "zeros") if shift else None

    def kept(self, name: str) -> str:
        """Why a parameter is to be left alone ("frozen", "given as a constant"), or ""."""
        return "" if name in self.reader.trainable else "frozen"

    def trained(self) -> str:
        """The sign that the model was trained, or ""."""
        return ""

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
        arrays = dict(self.arrays)
        for n, value in (values or {}).items():
            arrays[n] = self.like(value, arrays[n])
        for n, factor in (scales or {}).items():
            arrays[n] = self.like(self.numpy(arrays[n]) * factor, arrays[n])
        for n in self.program.factors if opened is True else opened or ():
            if not self.numpy(arrays[n]).any():
                own = np.random.default_rng([KEY, *n.encode()])
                noise = OPENED * own.standard_normal(self.parameters[n])
                arrays[n] = self.like(noise, arrays[n])
        return self._measured(arrays, self.execute(arrays, inputs))

    def _weight(self, array: Any, gradient: Any) -> Weight:
        wide = self.numpy(array)
        return Weight(float(wide.std()), float(np.sum(gradient, dtype=np.float64)), not wide.any())

    def _steps(self, note: Any, key: str, i: int) -> Array:
        """The mean over a value's entries for each step of its loops; NaN where it was not run."""
        if note is None or key not in note:
            return np.full(1 if note is None else np.size(note["n"]), math.nan)
        n = np.ravel(note["n"]).astype(np.float64)
        sums = note[key].astype(np.float64).reshape(len(n), -1).sum(axis=1)
        unbiased = self.examples / max(1, self.examples - 1) if key == "v" else 1.0
        n[n == 0] = math.nan
        return np.asarray(unbiased * sums / n / max(1, math.prod(self.reader.shapes[i])))

    def _second(self, note: Any, i: int) -> tuple[float, float, Array]:
        """E x², the share of it that varies over the examples, and E x² step by step."""
        steps, varying = self._steps(note, "x", i), self._steps(note, "v", i)
        second = _mean(steps)
        return second, _mean(varying) / second if second else math.nan, steps

    def _measured(self, arrays: Mapping[str, Any], notes: Notes) -> Measured:
        named = {n: notes.get(f"weight {n}") for n in self.reader.parameters.values()}
        kernels = {n: self._weight(arrays[n], w["x"]) for n, w in named.items() if w is not None}
        sites = zip(self.reader.drafts, self.program.sites, strict=True)
        rows = [self._row(d, kernels[s.kernel.name], notes) for d, s in sites]
        names = ["x2", "z2", "g2", "x_share", "z_share", "saturated", "dead", "distinct", "std"]
        columns = {n: np.array([row[n] for row in rows], dtype=float) for n in [*names, "effect"]}
        beyond = columns["saturated"]  # at the sites that read: it is their parents that did it
        for i in range(len(rows)):
            read = [row["saturated"] for row, s in zip(rows, self.program.sites, strict=True)
                    if i in s.parents]  # fmt: skip
            beyond[i] = max((r for r in read if not math.isnan(r)), default=math.nan)
        ends = {i: self._second(notes.get(f"out {i}"), i) for i in self.reader.outputs}
        sizes = {i: math.prod(self.reader.shapes[i]) for i in ends}
        loss, blind = (np.ravel(notes.get(k, {"x": math.nan})["x"]) for k in ("loss", "blind"))
        ins = {n: self._second(notes.get(f"in {i}"), i)[0] for i, n in self.reader.inputs.items()}
        seen = ("out", "weight", "g ", "loss")
        return Measured(
            **columns,
            x_steps=tuple(row["x_steps"] for row in rows),
            g_steps=tuple(row["g_steps"] for row in rows),
            root2=np.array([self._second(notes.get(f"root {i}"), i)[0] for i in self.reader.roots]),
            loss=float(loss[0]),
            blind=float(min(blind[blind > 0], default=math.nan)),
            input2={n: second for n, second in ins.items() if not math.isnan(second)},
            output2=sum(end[0] * sizes[i] for i, end in ends.items()) / max(1, sum(sizes.values())),
            output_share=max((end[1] for end in ends.values()), default=math.nan),
            finite=all(np.isfinite(n["x"]).all() for k, n in notes.items() if k.startswith(seen)),
            kernels=kernels,
        )

    def _row(self, d: Draft, weight: Weight, notes: Notes) -> dict[str, Any]:
        z, x, g = (notes.get(f"{k} {d.z}") for k in "zxg")
        if z is not None and g is not None:
            g = {"n": z["n"], **g}
        x2, x_share, x_steps = self._second(x, d.x)
        z2, z_share, _ = self._second(z, d.z)
        g2, _, g_steps = self._second(g, d.z)
        own = notes.get(f"w {d.z}")
        std = weight.std if own is None else math.sqrt(self._second(own, d.kernel)[0])
        flat, tails = notes.get(f"flat {d.z}"), self.reader.tails(d, self.flat)
        beyond = float(np.mean(flat["x"])) - tails[2] if flat and tails else math.nan
        units = [_units(note) for note in (z, g) if note is not None]
        return {
            "x2": x2,
            "z2": z2,
            "g2": g2,
            "x_share": x_share,
            "z_share": z_share,
            "x_steps": x_steps,
            "g_steps": g_steps,
            "std": std,
            "effect": std**2 * weight.gradient,
            "saturated": beyond,
            "dead": math.nan if g is None or not g2 > 0 else _silent(units[-1]),
            "distinct": _distinct(units),
        }


def _mean(steps: Array) -> float:
    """The mean over the steps that were reached."""
    reached = steps[~np.isnan(steps)]
    return float(reached.mean()) if len(reached) else math.nan


def _units(note: Mapping[str, Array]) -> Array:
    """The sum of squares of each unit."""
    sums = note["x"].astype(np.float64)
    return np.asarray(sums.reshape(-1, sums.shape[-1]).sum(axis=0))


def _silent(units: Array) -> float:
    return float(np.mean(units < SILENT * units.mean()))


def _distinct(marks: Sequence[Array]) -> float:
    """How many units differ in any of their sums, up to the roundings of float32."""
    rows = np.array([m / m.max() for m in marks if 0 < m.max() < math.inf])
    if not len(rows):
        return 1.0 if marks else math.nan
    rows = rows[:, np.argsort(rows.sum(axis=0))]
    return 1.0 + float((np.abs(np.diff(rows, axis=1)).max(axis=0) > 1e-5).sum())
