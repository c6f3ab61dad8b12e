"""What any model is: primitive operations on data and named parameters, whatever its layers' names.

A *site* is a place where data meets a kernel: a contraction, convolution or lookup with one side
that depends on the data and one that depends on parameters alone. A framework's module, such as
`winit.jax`, writes a model down as a list of `Op`, and `Reader` finds the sites, their fans and
what lies between two of them. What was measured at the sites in one run is a `Measured`.
`winit.judge` works from these types alone, and knows no framework.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


# ------------------------------------------------------------------ what a program is


@dataclass(frozen=True)
class Elementwise:
    """What stands between two places and acts on each number alone: an activation, or nothing.

    Call it on an array of any shape: float64 in and out, computed by the model's own operations,
    so that it has the accuracy of the model's dtype (float32: differentiate with steps of 1e-2).
    Parameters in it (a PReLU's slopes, biases) stand at their mean. `linear` says that it is an
    affine function or the identity; then `function` may be None.
    """

    function: Callable[[Array], Array] | None = None

    @property
    def linear(self) -> bool:
        """Whether nothing bends."""
        return self.function is None

    def __call__(self, values: Array) -> Array:
        """The function's values."""
        return values if self.function is None else self.function(values)


@dataclass(frozen=True)
class Kernel:
    """A parameter as one site uses it.

    Parameters
    ----------
    name : the parameter's path, unique in the program
    shape : as stored
    power : d ln of the effective kernel by d ln of this parameter
        1 for a plain kernel and for weight normalization's g; 0 where a transform takes the scale
        away (weight normalization's v, spectral normalization, standardization): then no other
        scale of this parameter changes anything. A LoRA pair next to its kernel has 0 too.
    main : False for parameters that only take part in the transform (g, LoRA's pair)
    trainable : False for a frozen or non-trainable one
    index : gives the flat positions in the parameter that this site reads
        An integer array of the shape (groups, outputs, inputs, *window), so that
        ``values.flat[index()] = drawn`` puts a draw in the site's own geometry back; None where the
        effective kernel is no rearrangement of the parameter's own entries. Packed kernels have an
        `index` of their share alone at each of their sites, and `Site.blocks` where z is packed.
    """

    name: str
    shape: tuple[int, ...]
    power: float = 1.0
    main: bool = True
    trainable: bool = True
    index: Callable[[], NDArray[np.int64]] | None = None


@dataclass(frozen=True)
class Site:
    """A place where data meets a kernel.

    Parameters
    ----------
    name : for people: the main kernel's path, with " (call 2)" where it is used again
    kernels : the parameters that make the effective kernel, the main one first
    lookup : rows are picked by integers that come from the data (an embedding); fan_in is 1
    fan_in, fan_out : how many inputs reach an output, and outputs an input, inside and far from
        edges: strides and dilated inputs are counted (they need not be whole numbers)
    groups : independent groups (grouped and depthwise convolution, experts, stacked layers)
    window : sizes of the window; () for dense kernels
    blocks : equal parts in which the result's units are used apart (gates, packed q, k and v);
        `fan_out` is that of one part
    units : how many units (outputs × groups) the result has
    before : what acts on what the kernel reads, since the last kernel, sum or normalizer; pooling
        and moves are looked through
    after : what acts on the result itself, or on the normalizer's result that follows it; linear
        where several different things do (gates)
    parents : sites whose result reaches this one with no site in between
    roots : indices into `Program.roots`: where the scale that arrives here was last set
    reads_data : model inputs reach it with no site in between
    head : its result reaches an output with no site in between
    cut : every path from the inputs to some output leads through it
    normalized : its result enters a normalizer before any other site, on every path
    averaged : how many values were averaged or summed between its roots and it, on the longest way
    summed : how many sites' results meet in the sums that its own enters before the next site or
        normalizer, the most where there are several; 1 is none
    recurrent : what it reads depends on the state of the loop that it stands in
    steps : how often its loops run (1 outside loops); `Measured` has the steps one by one
    depth : sites, counted with their loops' steps where they are recurrent or stacked, on the
        longest path from the inputs to here, this one included
    """

    name: str
    kernels: tuple[Kernel, ...]
    lookup: bool
    fan_in: float
    fan_out: float
    groups: int = 1
    window: tuple[int, ...] = ()
    blocks: int = 1
    units: int = 1
    before: Elementwise = Elementwise()
    after: Elementwise = Elementwise()
    parents: tuple[int, ...] = ()
    roots: tuple[int, ...] = ()
    reads_data: bool = False
    head: bool = False
    cut: bool = False
    normalized: bool = False
    averaged: float = 1.0
    summed: int = 1
    recurrent: bool = False
    steps: int = 1
    depth: int = 1

    @property
    def kernel(self) -> Kernel:
        """The main kernel."""
        return self.kernels[0]


@dataclass(frozen=True)
class Root:
    """Where a scale is set: everything up to here can be forgotten.

    Parameters
    ----------
    name : for people
    kind : "input", "lookup" (an embedding's result), "normalizer", "softmax" or "state" (a loop's)
        A normalizer is a reducing program whose result, at a large scale, no longer changes with
        its input's scale.
    parents : the sites whose results it normalizes or carries
    """

    name: str
    kind: str
    parents: tuple[int, ...] = ()


@dataclass(frozen=True)
class Program:
    """A model as its operations tell it, before anything was run.

    Parameters
    ----------
    sites : in the order in which they run
    roots : see `Site.roots`
    depth : the longest path, in sites and steps
    unused : parameters of two axes or more that no site reads, and that do not only shift or bend
    stopped : kernels that no gradient reaches because the model says so (`stop_gradient`)
    factors : parameters that multiply data (kernels, scales, gates)
    notes : what a reader must know about the reading itself, in sentences
    """

    sites: tuple[Site, ...]
    roots: tuple[Root, ...]
    depth: int
    unused: tuple[str, ...] = ()
    factors: tuple[str, ...] = ()
    stopped: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


# ------------------------------------------------------------------ what one run measured


@dataclass(frozen=True)
class Measured:
    """What one run (forward and back) measured. Arrays have one entry a site unless said otherwise.

    NaN is what could not be measured there, or was never reached (a branch that was not taken);
    values that are not finite themselves are ±inf in `x2`, `z2` and `g2`.

    Parameters
    ----------
    x2, z2, g2 : E x² at the input, E z², and E of the squared gradient at z; the mean over steps
    x_share, z_share : the share of x2 and z2 that varies over the examples: the variance over the
        examples by the second moment; NaN with a single example
    x_steps, z_steps, g_steps : for each site the same for each step of its loops (length `steps`)
    saturated : share of slopes of `after` under FLAT of its steepest
    dead : share of units whose slope is under DEAD of the steepest for every example and position
    distinct : how many units differ in z or in its gradient
    std : of the effective kernel (the mean square's root about its mean)
    effect : S = std² · ‖∂L/∂W‖² of the main kernel, the effect of a relative redraw; a parameter
        that is used twice has the same number twice
    root2 : E x² at each root, in the order of `Program.roots`
    loss : the loss, or NaN where none was given
    blind : the loss of a network that knows nothing (the best constant output), or NaN
    input2 : E x² of each input of floats, by name
    output2 : E of the squared outputs
    output_share : the share of it that varies over the examples
    finite : whether outputs, loss and all gradients are finite
    kernels : by parameter: std, mean square of the gradient, whether all entries are 0
    """

    x2: Array
    z2: Array
    g2: Array
    x_share: Array
    z_share: Array
    x_steps: tuple[Array, ...]
    z_steps: tuple[Array, ...]
    g_steps: tuple[Array, ...]
    saturated: Array
    dead: Array
    distinct: Array
    std: Array
    effect: Array
    root2: Array
    loss: float
    blind: float
    input2: Mapping[str, float]
    output2: float
    output_share: float
    finite: bool
    kernels: Mapping[str, Weight]


@dataclass(frozen=True)
class Weight:
    """A parameter's own numbers in one run: its std, ‖∂L/∂W‖², and whether it is 0 all over."""

    std: float
    gradient: float
    zero: bool


class Subject(Protocol):
    """A model that can be read, measured again and given other weights; one for each framework.

    Attributes
    ----------
    name : for people
    program : what it computes
    parameters : every parameter's shape, by path, in the model's own order
    """

    name: str
    program: Program
    parameters: Mapping[str, tuple[int, ...]]

    def measure(
        self,
        scales: Mapping[str, float] | None = None,
        values: Mapping[str, Array] | None = None,
        *,
        inputs: float = 1.0,
        opened: bool = False,
    ) -> Measured:
        """Run once, forward and back, with some parameters changed; the model itself is not.

        `scales` multiplies parameters, `values` replaces them (both by path), `inputs` divides
        the inputs of floats. `opened` puts small noise (the audit's own stream) in place of
        parameters of any shape that are 0 all over and *multiply* data (branches, scales and gates
        that start at 0; LoRA's B), so that what they hide is seen. Nothing is compiled again.
        """
        ...

    def value(self, name: str) -> Array:
        """A parameter's present value, as float64."""
        ...

    def assign(self, name: str, value: Array) -> None:
        """Set one parameter, in its own dtype and layout."""
        ...

    def start(self, name: str) -> tuple[Array, str] | None:
        """The conventional start of a parameter that is no kernel, and what it is called.

        None where the framework knows none, so that it is left as it is.
        """
        ...

    def kept(self, name: str) -> str:
        """Why a parameter is to be left alone ("frozen", "given as a constant"), or ""."""
        ...

    def trained(self) -> str:
        """The sign that the model was trained, or ""."""
        ...


# ------------------------------------------------------------------ what a framework writes down


@dataclass(frozen=True)
class Contract:
    """The axes of a contraction, convolution or lookup, if its `kernel` is the one named.

    Parameters
    ----------
    order : axes of the kernel as (groups, outputs, inputs, window), each a tuple
    split : a number of groups that share the output axis side by side (grouped convolution)
    stride_in, stride_out : how much rarer an input (dilated inputs) or an output (strides) is
    units : axes of z that hold the units
    examples_x, examples_z : axes of x and z that come from the data alone, in the same order
    """

    order: tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], tuple[int, ...]]
    shape: tuple[int, ...]
    split: int = 1
    stride_in: float = 1.0
    stride_out: float = 1.0
    units: tuple[int, ...] = ()
    examples_x: tuple[int, ...] = ()
    examples_z: tuple[int, ...] = ()

    def size(self, part: int) -> int:
        """The product of one part's axes: 0 groups, 1 outputs, 2 inputs, 3 window."""
        return math.prod(self.shape[axis] for axis in self.order[part])

    @property
    def fans(self) -> tuple[float, float]:
        """fan_in and fan_out."""
        taps = self.size(3)
        fan_out = self.size(1) // self.split * taps / self.stride_out
        return self.size(2) * taps / self.stride_in, fan_out

    def arrange(self, values: Array) -> Array:
        """Bring an array of the kernel's shape to (groups, outputs, inputs, *window)."""
        moved = values.transpose([axis for part in self.order for axis in part])
        groups, outputs, inputs = self.size(0), self.size(1), self.size(2)
        window = tuple(self.shape[axis] for axis in self.order[3])
        return moved.reshape(groups * self.split, outputs // self.split, inputs, *window)


@dataclass(frozen=True)
class Op:
    """One primitive operation on numbered values.

    Parameters
    ----------
    kind : what it does to each number, or to the whole
        "affine" (a sign, a cast), "add", "mul", "div", "map" (any other function of single
        numbers), "choose" (the first input picks among the others, number by number), "move" (all
        or some of the numbers at other places), "join" (several side by side, or one of several),
        "reduce", "contract", "lookup", "loop", "other"
    inputs, outputs : numbers of the values
    apply : the operation on arrays; for elementwise kinds of any one shape
    whole : outputs that hold whole numbers or truth values
    count : how many values a sum adds up
    contract : for kind "contract" and "lookup", by the position of the kernel
    parts : of how many equal parts of an axis a move takes one, and the axis' span in numbers
    unstacks : a move that takes another part at each step of a loop; `apply` gives them all
    stops : no gradient passes
    label : tells moves apart
    key : the framework's own mark of the operation
    body, carry, results, steps : a loop: its operations; (first, in, out) of each carried value;
        (outside, inside) of each result; how often it runs
    """

    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    apply: Callable[..., Sequence[Any]] | None = None
    whole: bool = False
    count: float = 1.0
    contract: tuple[Contract | None, Contract | None] = (None, None)
    parts: tuple[int, int] = (1, 0)
    unstacks: bool = False
    stops: bool = False
    label: str = ""
    key: Any = None
    body: tuple[Op, ...] = ()
    carry: tuple[tuple[int, int, int], ...] = ()
    results: tuple[tuple[int, int], ...] = ()
    steps: int = 1


# ------------------------------------------------------------------ reading it

# What a value depends on. Whole numbers that come from the data pick and mask, and carry no signal;
# picked rows are a lookup's result, or a kernel that is chosen for the data.
PARAMETERS, ROUTING, PICKED, SIGNAL = range(4)
ELEMENTWISE = ("affine", "add", "mul", "div", "map", "choose")
EVERY = -1  # as a set of sites: the identity of the intersection
GROWN = 1e9  # stands for the growth of an exponential
# Two magnitudes far beyond any epsilon, on either side, at 32 points each: sine must not look odd.
FAR = np.linspace(1.0, 2.0, 32) * np.array([1e4, 1e5, -1e4, -1e5])[:, None]
NEAR = np.linspace(-4.0, 4.0, 41)


@dataclass(frozen=True)
class Value:
    """What is known of one value of the program.

    It is a function, number by number, of the value `source`. Sets of sites and roots are bits.
    `degree` is the power of the data's scale that it grows with; a `pending` value has degree 0
    by a reduction: the last of its kind is a normalizer's result.
    """

    level: int = PARAMETERS
    source: int = -1
    layout: int = 0  # the moves since the source
    affine: bool = True
    degree: float = 1.0
    bounded: bool = False
    reduced: bool = False
    pending: bool = False
    weights: bool = False  # pending with exponentials in it: a softmax
    dom: int = EVERY  # the sites on every path to it
    parents: int = 0
    bare: int = 0  # the parents that no normalizer separates from it
    roots: int = 0
    averaged: float = 1.0
    depth: int = 0
    reads: bool = False
    loops: int = 0
    params: frozenset[int] = frozenset()


def _union(values: Sequence[Value]) -> dict[str, Any]:
    """What a value inherits from all that it is made of; its scale from what is not bounded."""
    carriers = [v for v in values if v.level > ROUTING] or list(values)
    strong = [v for v in carriers if not v.bounded] or carriers
    dom, parents, bare, loops, roots = EVERY, 0, 0, 0, 0
    for v in carriers:
        dom, parents, bare, loops = dom & v.dom, parents | v.parents, bare | v.bare, loops | v.loops
    for v in strong:
        roots |= v.roots
    return {
        "level": max(v.level for v in values),
        "dom": dom,
        "parents": parents,
        "bare": bare,
        "loops": loops,
        "roots": roots,
        "averaged": max(v.averaged for v in strong),
        "bounded": all(v.bounded for v in carriers),
        "reduced": any(v.reduced for v in carriers),
        "depth": max(v.depth for v in carriers),
        "reads": any(v.reads for v in carriers),
    }


def bits(mask: int) -> tuple[int, ...]:
    """The members of a set that is kept as bits."""
    return tuple(i for i in range(mask.bit_length()) if mask >> i & 1)


@dataclass
class Draft:
    """A site while the program is read."""

    op: Op
    x: int
    kernel: int
    contract: Contract
    value: Value
    steps: int
    recurrent: bool
    number: int


@dataclass
class Reader:
    """Reads a list of operations; `program` is what they say.

    Parameters
    ----------
    ops : in the order in which they run, without dead ones
    inputs : the values that come in, with their names; whole numbers are in `whole`
    parameters : the values that are parameters, with their names
    constants : scalars that are known, and the means of parameters
    shapes : of every value
    outputs : the values that go out
    """

    ops: Sequence[Op]
    inputs: Mapping[int, str]
    whole: frozenset[int]
    parameters: Mapping[int, str]
    constants: dict[int, float]
    shapes: Mapping[int, tuple[int, ...]]
    outputs: Sequence[int]
    trainable: frozenset[str] = frozenset()
    values: dict[int, Value] = field(default_factory=dict)
    makers: dict[int, Op] = field(default_factory=dict)
    users: dict[int, list[Op]] = field(default_factory=dict)
    through: dict[int, tuple[int, ...]] = field(default_factory=dict)
    drafts: dict[Any, Draft] = field(default_factory=dict)
    roots: dict[int, tuple[int, str, int]] = field(default_factory=dict)
    picked: set[int] = field(default_factory=set)
    summed: dict[int, int] = field(default_factory=dict)
    factors: frozenset[int] = frozenset()
    shifts: frozenset[int] = frozenset()
    steps: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        for i in self.inputs:
            if i in self.whole:
                self.values[i] = Value(ROUTING, i, reads=True)
            else:
                known = Value(SIGNAL, i, dom=0, reads=True, roots=self._root(i, "input", 0))
                self.values[i] = known
        for i in self.parameters:
            self.values[i] = Value(params=frozenset({i}))
        self._note(self.ops)
        self._walk(self.ops)

    def _note(self, ops: Sequence[Op]) -> None:
        for op in ops:
            self.makers |= dict.fromkeys(op.outputs, op)
            for i in op.inputs:
                self.users.setdefault(i, []).append(op)
            self._note(op.body)
            for first, inside, _ in op.carry:
                self.through[inside] = (first,)
            for outside, inside in op.results:
                self.through[outside] = (inside,)
                self.users.setdefault(inside, []).append(op)
            for _, _, out in op.carry:
                self.users.setdefault(out, []).append(op)

    def _root(self, i: int, kind: str, parents: int) -> int:
        place, *_ = self.roots.get(i, (len(self.roots),))
        self.roots[i] = (place, kind, parents)
        return 1 << place

    def value(self, i: int) -> Value:
        """What is known of a value, which from here on counts as used: nothing is pending."""
        known = self.values.get(i, Value())
        if not known.pending:
            return known
        kind = "softmax" if known.weights else "normalizer"
        return replace(
            known,
            pending=False,
            weights=False,
            reduced=False,
            degree=1.0,
            bounded=known.weights,
            roots=self._root(known.source, kind, known.parents),
            bare=0,
            averaged=1.0,
        )

    def _walk(self, ops: Sequence[Op]) -> None:
        for op in ops:
            if op.kind in ELEMENTWISE or op.kind == "move":
                made = self._elementwise(op)
            elif op.kind in ("contract", "lookup"):
                made = self._contract(op)
            elif op.kind == "loop":
                self._loop(op)
                continue
            else:
                made = self._whole(op)
            if op.whole and made.level > ROUTING:
                made = replace(made, level=ROUTING, dom=EVERY, parents=0, bare=0, roots=0)
            for place, i in enumerate(op.outputs):
                source = i if made.source == op.outputs[0] else made.source
                layout = made.layout
                if op.kind == "move" and made.level and source != i:
                    layout = hash((layout, op.label, place))
                self.values[i] = replace(made, source=source, layout=layout)

    # Elementwise operations and moves: the same source, or a new one.

    def main(self, op: Op) -> list[int]:
        """The inputs that carry what is looked at; the others are sides, as constants are."""
        known = {i: self.values.get(i, Value()) for i in op.inputs}
        top = max((v.level for v in known.values()), default=PARAMETERS)
        if top == PARAMETERS:
            return []
        chosen = [i for i, v in known.items() if v.level == top or v.level > ROUTING]
        sources = {known[i].source for i in chosen}
        if op.kind == "choose":
            first, others = op.inputs[0], op.inputs[1:]
            sources = {known[i].source for i in chosen if i in others}
            chosen = [i for i in chosen if i in others or known[i].source in sources] or [first]
        return [i for i in known if i in chosen or (known[i].level and known[i].source in sources)]

    def _elementwise(self, op: Op) -> Value:
        main = self.main(op)
        if not main:
            return Value(params=frozenset().union(*(self._made_of(i) for i in op.inputs)))
        sides = [i for i in op.inputs if i not in main]
        made_of = frozenset().union(*(self._made_of(i) for i in sides))
        if op.kind == "mul":
            self.factors |= made_of
        elif op.kind != "move":
            self.shifts |= made_of
        known = [self.values[i] for i in main]
        straight = self._straight(op, main) and all(v.affine for v in known)
        pending = straight and all(v.pending for v in known)
        if not pending:
            known = [self.value(i) for i in main]
        first = max(known, key=lambda v: v.level)
        level = PICKED if first.level == ROUTING and made_of else first.level
        degree, bounded = self._degree(op, main, known)
        if len({(v.source, v.layout) for v in known}) > 1:
            return replace(self._mixed(op, known, degree, pending), level=level)
        made = replace(first, level=level, affine=straight, pending=pending)
        if pending and any(self.constant(i) is None for i in sides):
            return replace(made, source=op.outputs[0], layout=0)
        if degree == 0 and not pending:
            degree, bounded = 1.0, True
        return replace(made, degree=degree, bounded=bounded)

    def _made_of(self, i: int) -> frozenset[int]:
        return self.values.get(i, Value()).params

    def _straight(self, op: Op, main: Sequence[int]) -> bool:
        """Whether an operation is affine in what it looks at."""
        if op.kind == "choose":
            return op.inputs[0] not in main
        if op.kind in ("mul", "div"):
            return len(main) == 1 and (op.kind == "mul" or main[0] == op.inputs[0])
        return op.kind in ("affine", "add", "move")

    def _mixed(self, op: Op, known: Sequence[Value], degree: float, pending: bool) -> Value:
        """Values of several sources, number by number: the result is a source of its own."""
        made = _union(known)
        if op.kind == "add":
            for n in bits(made["bare"]):
                self.summed[n] = max(self.summed.get(n, 1), made["bare"].bit_count())
        cancels = degree == 0 and made["reduced"] and any(v.degree for v in known)
        weights = cancels and any(abs(v.degree) > GROWN / 2 for v in known)
        stays = pending or cancels
        return Value(
            source=op.outputs[0],
            degree=degree if degree or stays else 1.0,
            pending=stays,
            weights=weights or (pending and any(v.weights for v in known)),
            **made | {"bounded": made["bounded"] or (degree == 0 and not stays)},
        )

    def _degree(self, op: Op, main: Sequence[int], known: Sequence[Value]) -> tuple[float, bool]:
        """The power of the data's scale that a result grows with, nominally, and if it is bounded.

        A function that no longer grows far out (tanh) makes a scale of its own, of degree 1.
        """
        degrees = [v.degree for v in known]
        bounded = all(v.bounded for v in known)
        if op.kind == "mul":
            return sum(degrees) * (
                2 if len(main) == 1 and op.inputs[0] == op.inputs[-1] else 1
            ), bounded
        if op.kind == "div":
            below = [v.degree for i, v in zip(main, known, strict=True) if i == op.inputs[1]]
            return sum(degrees) - 2 * sum(below), bounded
        if op.kind != "map" or len(main) > 1 or op.apply is None:
            return max(degrees), bounded
        rest = [self.scalar(i) for i in op.inputs]
        place, make = op.inputs.index(main[0]), op.apply
        grown = growth(lambda far: make(*rest[:place], far, *rest[place + 1 :])[0])
        return (degrees[0] * grown, bounded) if grown else (1.0, True)

    # Everything that is not elementwise.

    def _whole(self, op: Op) -> Value:
        """A reduction, a join, or what is not known: a new source that inherits everything."""
        carried = [i for i in op.inputs if self.values.get(i, Value()).level]
        if not carried:
            return Value(params=frozenset().union(*(self._made_of(i) for i in op.inputs)))
        self.through[op.outputs[0]] = tuple(carried)
        known = [self.value(i) for i in carried]
        made = _union(known)
        made["reduced"] |= op.kind in ("reduce", "contract")
        made["averaged"] *= op.count
        return Value(source=op.outputs[0], degree=max(v.degree for v in known), **made)

    def _contract(self, op: Op) -> Value:
        a, b = op.inputs[:2]
        known = [self.values.get(i, Value()) for i in (a, b)]
        side = self._kernel_side(op, known)
        if side is None:
            made = self._whole(op)
            both = [self.value(i) for i in (a, b) if self.values.get(i, Value()).level]
            return replace(made, degree=sum(v.degree for v in both), source=op.outputs[0])
        kernel, x = (a, b)[side], (a, b)[1 - side]
        contract = op.contract[side]
        assert contract is not None
        read = self.value(x)
        self.through.pop(op.outputs[0], None)
        if read.level == ROUTING and op.kind == "contract":
            read = replace(read, dom=0, roots=self._root(x, "input", 0), reads=True)
        self.picked |= {known[side].source} if known[side].level == PICKED else set()
        number = self.drafts[op.key].number if op.key in self.drafts else len(self.drafts)
        mark, lookup = 1 << number, op.kind == "lookup"
        out = op.outputs[0]
        made = Value(
            level=PICKED if lookup else SIGNAL,
            source=out,
            dom=(0 if read.dom == EVERY else read.dom) | mark,
            parents=mark,
            bare=mark,
            roots=self._root(out, "lookup", mark) if lookup else read.roots,
            averaged=1.0 if lookup else read.averaged,
            depth=read.depth + 1,
            loops=read.loops,
        )
        inside = (1 << len(self.steps)) - 1
        steps = math.prod(self.steps)
        self.drafts[op.key] = Draft(
            op, x, kernel, contract, read, steps, bool(read.loops & inside), number
        )
        return made

    def _kernel_side(self, op: Op, known: Sequence[Value]) -> int | None:
        """Which input is the kernel: of a lower level, and with parameters in it."""
        for side in (0, 1):
            kernel, data = known[side], known[1 - side]
            if op.contract[side] is None or kernel.level >= data.level:
                continue
            if kernel.params or (kernel.level == PICKED and data.level == SIGNAL):
                return side
        return None

    # Loops: the body is read until nothing changes.

    def _loop(self, op: Op) -> None:
        mark = 1 << len(self.steps)
        self.steps.append(op.steps)
        deepest = max((self.values.get(i, Value()).depth for i in op.inputs), default=0)
        before: Any = None
        for _ in range(8):
            for first, inside, out in op.carry:
                self.values[inside] = self._carried(first, inside, out, mark, deepest)
            self._walk(op.body)
            now = [self.values[out] for _, _, out in op.carry if out in self.values]
            if now == before:
                break
            before = now
        self.steps.pop()
        grown = self._grown(op)
        for draft in self.drafts.values():
            if draft.recurrent and any(draft.op is inner for inner in _inner(op.body)):
                draft.value = replace(draft.value, depth=draft.value.depth + grown)
        for outside, inside in op.results:
            made = self.value(inside) if inside in self.values else Value()
            far = made.depth + (grown if made.loops & mark else 0)
            fresh = outside if made.level else made.source
            self.values[outside] = replace(
                made,
                source=fresh,
                affine=True,
                depth=far,
                loops=made.loops & ~mark,
            )

    def _carried(self, first: int, inside: int, out: int, mark: int, depth: int) -> Value:
        start = self.value(first) if first in self.values else Value()
        came = self.value(out) if out in self.values else Value()
        level = max(start.level, came.level)
        if level <= ROUTING:
            params = start.params | came.params
            return Value(level, inside if level else -1, params=params, loops=mark if level else 0)
        known = [v for v in (start, came) if v.level > ROUTING]
        made = _union(known) | {"depth": depth, "loops": start.loops | came.loops | mark}
        if start.level > ROUTING:
            made |= {"roots": start.roots, "averaged": start.averaged}
        else:
            made |= {"roots": self._root(inside, "state", made["parents"]), "averaged": 1.0}
        return Value(source=inside, **made | {"bounded": False, "reduced": False})

    def _grown(self, op: Op) -> int:
        """How many sites all steps after the first add to the longest path."""
        starts = [self.values[i].depth for _, i, _ in op.carry if i in self.values]
        ends = [self.values[o].depth for _, _, o in op.carry if o in self.values]
        return (op.steps - 1) * max(0, max(ends, default=0) - max(starts, default=0))

    # Functions of single numbers.

    def scalar(self, i: int) -> Any:
        """A constant's or parameter's typical value."""
        if i in self.constants:
            return self.constants[i]
        op = self.makers.get(i)
        if op is None or op.apply is None:
            return 0.25
        if op.kind not in ELEMENTWISE:
            return self.scalar(op.inputs[0])
        made = op.apply(*(self.scalar(j) for j in op.inputs))
        return made[op.outputs.index(i)]

    def evaluate(self, i: int, source: int, values: Any, side: Any = None) -> Any:
        """A value as a function of its source, number by number; moves are looked through.

        With `side`, a function that knows the values of this run, moves are made too.
        """
        seen: dict[int, Any] = {source: values}

        def at(j: int) -> Any:
            if j not in seen:
                seen[j] = self._apply(self.makers[j], j, at, side)
            return seen[j]

        return at(i)

    def _apply(self, op: Op, i: int, at: Any, side: Any) -> Any:
        main = self.main(op)
        assert op.apply is not None
        if op.kind == "move" and side is None:
            return at(main[0])
        others = [j for j in op.inputs if j not in main]
        scales = op.kind in ("mul", "div", "choose") or (op.kind == "add" and side is None)
        if scales and len(main) == 1 and self._straight(op, main):
            if not all(self.constant(j) is not None for j in others):
                return at(main[0])  # a scale of 1, a shift of 0, the branch that data takes
        return op.apply(*(at(j) if j in main else self._side(j, side) for j in op.inputs))[
            op.outputs.index(i)
        ]

    def constant(self, i: int) -> float | None:
        """The value of what depends on nothing, where it is one number; None otherwise."""
        if i in self.parameters:
            return None
        if i in self.constants:
            return self.constants[i]
        op = self.makers.get(i)
        if op is None or op.apply is None or op.kind not in (*ELEMENTWISE, "move"):
            return None
        inputs = [self.constant(j) for j in op.inputs]
        if any(v is None for v in inputs):
            return None
        made = inputs[0] if op.kind == "move" else float(op.apply(*inputs)[op.outputs.index(i)])
        self.constants[i] = made
        return made

    def _side(self, i: int, side: Any) -> Any:
        known = self.constant(i)
        if known is not None:
            return known
        return self.scalar(i) if side is None else side(i)

    def before(self, i: int) -> tuple[int, int] | None:
        """The value that an activation gives on the way to `i`, and its source; None if none does.

        Pooling, moves and joins of equals are looked through.
        """
        known = self.values.get(i, Value())
        if not known.affine:
            return i, known.source
        found = [self.before(j) for j in self.through.get(known.source, ()) if self._carries(j)]
        if not found or any(f is None for f in found):
            return None
        functions = [self.function(f)(NEAR) for f in found]
        same = all(np.allclose(f, functions[0], rtol=1e-3, atol=1e-3) for f in functions)
        return found[0] if same else None

    def _carries(self, i: int) -> bool:
        return self.values.get(i, Value()).level > ROUTING

    def function(self, chain: tuple[int, int] | None) -> Elementwise:
        """The function of a chain that `before` or `ends` found."""
        if chain is None:
            return Elementwise()
        i, source = chain
        return Elementwise(lambda v: np.asarray(self.evaluate(i, source, v), dtype=np.float64))

    def ends(self, source: int) -> list[int]:
        """The values in which what depends on `source` alone, number by number, is used."""
        found, stack, seen = [], [source], {source}
        while stack:
            i = stack.pop()
            inner = [op for op in self.users.get(i, []) if self._follows(op, source)]
            for op in inner:
                new = [j for j in op.outputs if j not in seen]
                seen.update(new)
                stack += new
            if len(inner) < len(self.users.get(i, [])) or i in self.outputs or not inner:
                found.append(i)
        return [i for i in found if self._carries(i)]

    def _follows(self, op: Op, source: int) -> bool:
        return any(self.values.get(j, Value()).source == source for j in op.outputs)

    # The program.

    def program(self) -> Program:
        """The sites and roots that were found."""
        drafts = sorted(self._counted(), key=lambda d: d.number)
        place = {d.number: i for i, d in enumerate(drafts)}
        heads = [self.values.get(i, Value()) for i in self.outputs]
        last = _union([v for v in heads if v.level > ROUTING] or [Value()])
        cuts = 0
        for v in heads:
            cuts |= v.dom if v.level > ROUTING and v.dom != EVERY else 0
        bare = last["bare"]
        for d in drafts:
            bare |= d.value.bare
        roots = sorted(self.roots.items(), key=lambda item: item[1][0])
        normal = 0
        for _, (_, kind, parents) in roots:
            normal |= parents if kind in ("normalizer", "softmax") else 0

        def sites(mask: int) -> tuple[int, ...]:
            return tuple(place[i] for i in bits(mask) if i in place)

        names: dict[str, int] = {}
        made = []
        for d in drafts:
            kernels = self._kernels(d)
            name = kernels[0].name
            names[name] = names.get(name, 0) + 1
            mark = 1 << d.number
            fan_in, fan_out = d.contract.fans
            blocks, lookup = self._blocks(d), d.op.kind == "lookup"
            made.append(
                Site(
                    name if names[name] == 1 else f"{name} (call {names[name]})",
                    kernels,
                    lookup,
                    fan_in,
                    fan_out / blocks,
                    groups=d.contract.size(0) * d.contract.split,
                    window=tuple(d.contract.shape[axis] for axis in d.contract.order[3]),
                    blocks=blocks,
                    units=d.contract.size(1) * (1 if lookup else d.contract.size(0)),
                    before=self.function(None if lookup else self.before(d.x)),
                    after=self._after(d),
                    parents=sites(d.value.parents),
                    roots=bits(d.value.roots),
                    reads_data=d.value.reads,
                    head=bool(last["parents"] & mark),
                    cut=bool(cuts & mark),
                    normalized=bool(normal & mark) and not bare & mark,
                    averaged=d.value.averaged,
                    summed=self.summed.get(d.number, 1),
                    recurrent=d.recurrent,
                    steps=d.steps,
                    depth=d.value.depth + 1,
                )
            )
        used = {kernel.name for site in made for kernel in site.kernels}
        return Program(
            tuple(made),
            tuple(
                Root(self._root_name(i, [made[j].name for j in sites(up)]), kind, sites(up))
                for i, (_, kind, up) in roots
            ),
            last["depth"],
            unused=tuple(
                n
                for i, n in self.parameters.items()
                if n not in used and len(self.shapes[i]) > 1 and i not in self.shifts
            ),
            factors=tuple(n for i, n in self.parameters.items() if i in self.factors or n in used),
            stopped=self._stopped(drafts, made),
        )

    def _counted(self) -> list[Draft]:
        """The sites, without lookups that picked a kernel."""
        return [d for d in self.drafts.values() if d.op.outputs[0] not in self.picked]

    def _root_name(self, i: int, parents: Sequence[str]) -> str:
        return self.inputs.get(i) or (f"after {', '.join(parents)}" if parents else f"value {i}")

    def _blocks(self, draft: Draft) -> int:
        """In how many equal parts the units are used apart, sums with others looked through."""
        stack, seen, parts = [draft.op.outputs[0]], {draft.op.outputs[0]}, 1
        units = draft.contract.size(1)
        while stack:
            for op in self.users.get(stack.pop(), []):
                if op.kind not in ("add", "affine", "move", "join") or op.stops:
                    continue
                n, span = op.parts
                parts = max(parts, n if span <= units else 1)
                stack += [j for j in op.outputs if j not in seen]
                seen.update(op.outputs)
        return parts if units % parts == 0 else 1

    def regions(self, draft: Draft) -> int:
        """The source whose functions act on a site's result: z, or what a normalizer makes of it."""
        mark = 1 << draft.number
        z = draft.op.outputs[0]
        for i, (_, kind, parents) in self.roots.items():
            if kind == "normalizer" and parents == mark and self.shapes[i] == self.shapes[z]:
                return i
        return z

    def chains(self, draft: Draft) -> list[tuple[int, int]]:
        """What bends a site's result: each end with its source."""
        source = self.regions(draft)
        return [(i, source) for i in self.ends(source) if not self.values[i].affine]

    def _after(self, draft: Draft) -> Elementwise:
        found = self.chains(draft)
        functions = [self.function(chain) for chain in found]
        known = [f(NEAR) for f in functions]
        one = known and all(np.allclose(f, known[0], rtol=1e-3, atol=1e-3) for f in known)
        return functions[0] if one else Elementwise()

    # What inputs the model expects.

    def origins(self, i: int) -> set[int]:
        """The inputs that a value is made of."""
        if i in self.inputs:
            return {i}
        op = self.makers.get(i)
        return set().union(*(self.origins(j) for j in op.inputs)) if op else set()

    def vocabulary(self, i: int) -> int:
        """How many rows the tables have that an input picks from; 0 where it picks from none."""
        sizes = [
            d.contract.size(0) if d.op.kind == "lookup" else int(d.contract.fans[0])
            for d in self._counted()
            if i in self.origins(d.x) and (d.op.kind == "lookup" or d.value.level == ROUTING)
        ]
        return min(sizes, default=0)

    def entry(self, i: int) -> tuple[float, float]:
        """The scale and shift that an input of floats gets before its first site."""
        for draft in self.drafts.values():
            known = self.values.get(draft.x, Value())
            if known.source == i and known.affine:
                low, high = (float(self.evaluate(draft.x, i, np.array(v))) for v in (0.0, 1.0))
                return (high - low) or 1.0, low
        return 1.0, 0.0

    def _stopped(self, drafts: Sequence[Draft], sites: Sequence[Site]) -> tuple[str, ...]:
        """Kernels that the way back from the outputs does not reach."""
        reached = set(self.outputs)
        for _ in range(3):  # what goes round in a loop comes back on the next time
            self._back(self.ops, reached)
        pairs = zip(drafts, sites, strict=True)
        return tuple(
            s.kernel.name
            for d, s in pairs
            if d.op.outputs[0] not in reached or not self._leads(d.kernel, s, reached)
        )

    def _leads(self, kernel: int, site: Site, reached: set[int]) -> bool:
        name = site.kernel.name
        return any(self.parameters[i] == name and i in reached for i in self.parameters)

    def _back(self, ops: Sequence[Op], reached: set[int]) -> None:
        for op in reversed(ops):
            reached |= {inside for outside, inside in op.results if outside in reached}
            reached |= {out for _, inside, out in op.carry if inside in reached}
            self._back(op.body, reached)
            reached |= {first for first, inside, _ in op.carry if inside in reached}
            if reached.intersection(op.outputs) and not (op.stops or op.whole or op.body):
                reached |= set(op.inputs)

    # Kernels: which parameters make them, with which power, and where their entries went.

    def _kernels(self, draft: Draft) -> tuple[Kernel, ...]:
        known = self.values.get(draft.kernel, Value())
        kernel = self.makers[known.source].inputs[0] if known.level == PICKED else draft.kernel
        powers = self._powers(kernel)
        shape = draft.contract.shape
        found = []
        for i, (power, alone) in powers.items():
            entries = self._index(kernel, i) if known.level != PICKED else None
            size = math.prod(self.shapes[i])
            main = entries is not None or (len(powers) == 1)
            name = self.parameters[i]
            index = None if entries is None else _arranged(entries, draft.contract)
            rank = (main, alone, size)
            found.append(
                (rank, Kernel(name, self.shapes[i], power, main, name in self.trainable, index))
            )
        found.sort(key=lambda pair: pair[0], reverse=True)
        del shape
        return tuple(kernel for _, kernel in found)

    def _powers(self, i: int) -> dict[int, tuple[float, bool]]:
        """For each parameter in a kernel the power it stands with, and whether no other is added."""
        if i in self.parameters:
            return {i: (1.0, True)}
        op = self.makers.get(i)
        if op is None:
            return {}
        each = [self._powers(j) for j in op.inputs]
        if op.kind == "map" and op.apply is not None and len(op.outputs) == 1:
            return self._bent(op, each)
        found: dict[int, tuple[float, bool]] = {}
        both = op.kind == "contract" and all(each[:2])
        for place, powers in enumerate(each):
            sign = -1.0 if op.kind == "div" and place else 1.0
            for p, (power, alone) in powers.items():
                old, was = found.get(
                    p, (0.0 if op.kind in ("mul", "div", "contract") else power, True)
                )
                new = (
                    old + sign * power if op.kind in ("mul", "div", "contract") else max(old, power)
                )
                found[p] = (new, alone and was and not both)
        if op.kind == "add" and any(alone for _, alone in found.values()):
            found = {p: (power if alone else 0.0, alone) for p, (power, alone) in found.items()}
        return found

    def _bent(self, op: Op, each: Sequence[Mapping[int, tuple[float, bool]]]) -> dict[int, Any]:
        found: dict[int, tuple[float, bool]] = {}
        for place, powers in enumerate(each):
            if not powers:
                continue
            rest = [self.scalar(j) for j in op.inputs]
            assert op.apply is not None
            make = op.apply
            grown = growth(lambda far, n=place, r=rest: make(*r[:n], far, *r[n + 1 :])[0])
            found |= {p: (power * grown, alone) for p, (power, alone) in powers.items()}
        return found

    def _index(self, i: int, p: int) -> Callable[[], list[Array]] | None:
        """How to find the entries of parameter `p` in value `i`; a list, one for each loop step."""
        if i == p:
            shape = self.shapes[p]
            return lambda: [np.arange(math.prod(shape)).reshape(shape)]
        op = self.makers.get(i)
        if op is None:
            return None
        inner = [(j, self._index(j, p)) for j in op.inputs]
        known = [(j, f) for j, f in inner if f is not None]
        if len(known) != 1 or op.kind in ("reduce", "contract", "lookup", "loop", "other"):
            return None
        j, entries = known[0]
        if op.kind in ELEMENTWISE:
            return entries if self.shapes[j] == self.shapes[i] else None
        shapes = [self.shapes[k] for k in op.inputs]
        place, out, make = op.inputs.index(j), op.outputs.index(i), op.apply
        if make is None:
            return None
        if op.unstacks:
            return lambda: [part for whole in entries() for part in make(whole)]

        def moved() -> list[Array]:
            return [
                np.asarray(
                    make(*(e if k == place else np.full(s, -1) for k, s in enumerate(shapes)))[out]
                )
                for e in entries()
            ]

        return moved


def _arranged(
    entries: Callable[[], list[Array]], contract: Contract
) -> Callable[[], NDArray[np.int64]]:
    return lambda: np.concatenate([contract.arrange(e) for e in entries()]).astype(np.int64)


def _inner(ops: Sequence[Op]) -> list[Op]:
    """All operations, those in the bodies of loops included."""
    return [inner for op in ops for inner in (op, *_inner(op.body))]


def growth(function: Callable[[Any], Any]) -> float:
    """The power of x with which a function grows, far out: on the right, or else on the left."""
    with np.errstate(all="ignore"):
        values = np.asarray(function(FAR), dtype=np.float64)
        values = np.broadcast_to(values, FAR.shape)
        size = np.sqrt(np.mean(np.square(values), axis=1))
    for low, high in (size[:2], size[2:]):
        if high == np.inf:
            return GROWN
        if low > 0 and high > 0:
            return round(4 * math.log10(high / low)) / 4
    return 0.0
