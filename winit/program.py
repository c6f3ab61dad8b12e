"""What any model is: primitive operations on data and named parameters, whatever its layers' names.

A *site* is a place where data meets a kernel: a contraction, convolution or lookup with one side
that depends on the data and one that depends on parameters alone. `winit.reader` finds the sites of
a model, their fans and what lies between two of them; `winit.subject` runs it and says what was
`Measured` there. `winit.judge` works from these types alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from winit.diagnostics import FLAT

Array = NDArray[Any]
Index = Callable[[], NDArray[np.int64]]
# Of the slopes that N(0, 1) finds, the share that may be flat before its steep ones are no measure.
MOSTLY_FLAT = 0.75
UNFELT = 2.0**-72  # of the largest effect: a scale of 1e-6, which training opens, leaves 1e-15
# Where a unit signal lies, and a step from 0 over which a root rises by less than ROOT, and no
# slope by more than TINY / ROOT.
SEEN, TINY, ROOT = 6.0, 1e-24, 1e-6
FACTOR = 0.3  # of an exponential, in ln, for each 1: e^(z / 2) has 0.5
# Where functions of single numbers are known: the kinks of ReLU6 and its like lie on the grid.
POINTS = np.linspace(-40.0, 40.0, 8001)
NORMAL = np.array([NormalDist().inv_cdf((i + 0.5) / 1000) for i in range(1000)])


@dataclass(frozen=True, eq=False)
class Elementwise:
    """What acts on each number alone between two places: an activation, or nothing (`linear`).

    Its values at `POINTS`; equal ones in a program are one object. Biases in it stand at 0, scales
    at 1, and other parameters, such as a PReLU's slopes, at their mean.
    """

    curve: Array | None = None
    gate: bool = False  # multiplies a signal, which it lets through where it is flat and open

    @property
    def linear(self) -> bool:
        """Whether nothing bends."""
        return self.curve is None

    def __call__(self, values: Array) -> Array:
        """The function's values, between the points by straight lines."""
        return values if self.curve is None else np.interp(values, POINTS, self.curve)

    @property
    def positive(self) -> bool:
        """Whether it bends and is positive wherever a unit signal lies."""
        return self.curve is not None and bool((self.curve[np.abs(POINTS) <= SEEN] > 0).all())

    @property
    def amplifies(self) -> bool:
        """Whether it is positive, and changes by a factor from -1 to 0 and by one more to 1.

        By the same, as an exponential does, or by any if it is no gate, as softplus and 1/softplus
        are none: products of many such are as far apart as the exponential of a sum. A gate is flat
        at both ends, and not wide (the sigmoid's factors are 1.9 and 1.5, and there it ends).
        """
        if not self.positive:
            return False
        down, up = np.diff(np.log(self(np.array([-1.0, 0.0, 1.0]))))
        gate, same = self.tails and not self.wide, abs(up - down) <= FACTOR / 10
        return bool(min(up * down, up**2) >= FACTOR**2 and (same or not gate))

    @property
    def wide(self) -> bool:
        """Whether it is positive and gives more than ten times as much as at 0."""
        if self.curve is None or not self.positive:
            return False
        return bool(self.curve[np.abs(POINTS) <= SEEN].max() > 10 * self(np.zeros(1))[0])

    def scales(self, values: Array) -> bool:
        """Whether it is positive, as gates and exponentials are, and moves there.

        That is by its own size, or as its steepest part. Where it is so small that bfloat16 loses
        it beside 1, a gate is shut for good.
        """
        if self.curve is None or not self.positive:
            return False
        steep = np.abs(np.gradient(self.curve, POINTS))
        slopes, made = np.interp(values, POINTS, steep), self(values)
        moves = slopes >= FLAT * np.minimum(made, steep[np.abs(POINTS) <= SEEN].max())
        return bool((made >= 2.0**-16).all() and moves.all())

    @cached_property
    def homogeneous(self) -> bool:
        """Whether twice as large a signal gives twice as much, as of ReLU."""
        return all(np.allclose(self(2 * x), 2 * self(x)) for x in (NORMAL, 4 * NORMAL))

    def moves(self, values: Array) -> bool:
        """Whether a unit signal moves it there: as a gate that is not shut, or as a scale."""
        if self.curve is None or not self.tails or self.wide:
            return self.scales(values)
        low, high, _ = self.tails
        return bool((self(values) > low).all() and (self.gate or (self(values) < high).all()))

    @cached_property
    def tails(self) -> tuple[float, float, float] | None:
        """Between which results it is steep, and the share of N(0, 1) not between them.

        None unless it is flat on both sides and never turns back, since then a result tells the
        slope; `FLAT` is of the steepest slope at N(0, 1). What is cut off, as by hard_sigmoid, has
        the very results at the ends. None where half as much lies beyond as between, as of a root
        or a logarithm, kept from 0: they never end. And None where N(0, 1) finds mostly flat
        slopes, as of 1/√x, all of whose steep ones lie beside its pole. (One with a pole on the
        grid has no tails.) Of one that is wide, its logarithm tells what is steep.
        """
        wide, curve = self.wide, POINTS if self.curve is None else self.curve
        with np.errstate(all="ignore"):
            curve = np.log(curve) if wide else curve
        if not np.isfinite(curve).all():
            return None
        slope = np.gradient(curve, POINTS)
        steep = np.abs(slope)
        least = FLAT * np.interp(NORMAL, POINTS, steep).max()
        found = np.flatnonzero(steep >= least)
        ends = not len(found) or found[0] == 0 or found[-1] == len(POINTS) - 1
        if ends or min(slope.max(), -slope.min()) > least:
            return None
        low, high = np.sort(curve[found[[0, -1]]])
        if max(low - curve.min(), curve.max() - high) > (high - low) / 2:
            return None
        low, high = np.exp([low, high]) if wide else (low, high)
        normal = self(NORMAL)
        flat = float(np.mean((normal <= low) | (normal >= high)))
        return (low, high, flat) if flat <= MOSTLY_FLAT else None


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
    # that `values.flat[index()] = drawn`; None where they are not a rearrangement of its own, and
    # -1 where another parameter's entries lie.
    index: Index | None = None
    factor: float = 1.0  # what the program multiplies its entries by, as for equal learning rates
    layers: int = 1  # parts along its first axis, of which each step of a loop takes one
    part: int | None = None  # the one that the site uses, where others use the rest
    after: bool = False  # it multiplies the site's result, where nothing else gives that its scale
    bent: bool = False  # a function of it is the kernel, as its exponential, so that it is positive
    stepped: bool = False  # a function that is flat, as a rounding is, makes the kernel
    spectral: bool = False  # its singular values are divided by one of them, or such a product
    normed: bool = False  # a length or a spread of it divides it
    beside: bool = False  # it gives a part of the site's kernel, and the main one another
    joined: bool = False  # its entries are added to the main kernel's, as imaginary parts are


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
    head: bool = False  # it reaches an output with no site in between, and no later site reads it
    outputs: tuple[int, ...] = ()  # those that are made of its result with no site in between
    chosen: bool = False  # data may multiply its result by 0, as of experts that they do not choose
    plain: bool = False  # one of them is its result, shifted and moved, or holds it beside others
    feeds: bool = False  # the next step of its loop reads its result alone, as in a rollout
    cut: bool = False  # every path from the inputs to some output leads through it
    normalized: bool = False  # on every path, a normalizer comes before the next site
    resized: bool = False  # and it is no softmax
    averaged: float = 1.0  # values that were averaged or summed since the roots, at the most
    scales: tuple[str, ...] = ()  # parameters that multiply its result, shifted and moved
    shifts: tuple[str, ...] = ()  # parameters that are added before another site reads it
    summed: int = 1  # sites whose results meet, at the most, in the sums that follow
    times: float = 1.0  # the known number behind its result, for which its kernels make up
    ahead: float = 1.0  # and the one in what it reads
    scores: float = 1.0  # by how much a softmax of its products with others is too large by it
    gate: bool = False  # its result is that of gates alone: positive, and flat at both ends
    amplifies: bool = False  # another signal is multiplied by its exponential, or the like
    degree: float = 1.0  # above 1 if products or powers of its result reach the outputs as they are
    raised: bool = False  # such products or powers reach a kernel
    passed: bool = False  # where its result is 0, another signal passes beside it
    partners: tuple[int, ...] = ()  # sites whose results its own is multiplied by, as keys are
    derived: bool = False  # it is on the way back of a gradient that the model takes itself
    recurrent: bool = False  # what it reads depends on the state of the loop that it is in
    carries: bool = False  # it reads the loop's state and makes the next, which nothing else passes
    steps: int = 1  # of the loops that it is in
    fed: bool = False  # at each of which they read new data
    depth: int = 1  # sites on the longest path to here, this one included; a loop's steps count

    @property
    def kernel(self) -> Kernel:
        """The main kernel."""
        return self.kernels[0]

    @property
    def looped(self) -> bool:
        """Whether one kernel does all steps of a loop that reads new data at each."""
        return self.fed and self.steps > self.kernel.layers

    @property
    def scale(self) -> Kernel:
        """The parameter that gives the effective kernel its scale, most often the main one."""
        return next((kernel for kernel in self.kernels if kernel.power), self.kernel)


@dataclass(frozen=True)
class Root:
    """Where a scale is set: what lies before can be forgotten.

    `kind` is "input", "lookup" (an embedding's result), "state" (a loop's, if it does not start
    with data), "normalizer" (a reducing program whose result, at a large scale, no longer changes
    with its input's) or "softmax" (one with exponentials).
    """

    name: str
    kind: str


@dataclass(frozen=True)
class Program:
    """A model as its operations tell it, before anything was run."""

    sites: tuple[Site, ...]  # in the order in which they run
    roots: tuple[Root, ...]
    depth: int  # of the longest path
    table: float = math.nan  # the std of embeddings by a framework's convention; NaN: Keras's limit
    direct: tuple[int, ...] = ()  # outputs to which inputs come past all sites, or on ways back
    unused: tuple[str, ...] = ()  # parameters of two axes or more that neither sites nor sums read
    beside: tuple[str, ...] = ()  # others, of which outputs are made: class tokens, scales
    factors: tuple[str, ...] = ()  # that multiply or divide data: kernels, scales, gates
    gains: tuple[str, ...] = ()  # those of them that scale what a normalizer gives
    shifts: tuple[str, ...] = ()  # biases: they are added to what sites and normalizers give
    guarded: tuple[str, ...] = ()  # kernels and shifts that keep a quotient, root or logarithm real
    frozen: tuple[str, ...] = ()  # parameters that never change
    waves: tuple[str, ...] = ()  # kernels of whose results sines or the like are taken, and phases
    stopped: tuple[str, ...] = ()  # kernels that no gradient reaches, since the model stops it...
    severed: tuple[str, ...] = ()  # ...or since their results are used as whole numbers alone
    single: tuple[str, ...] = ()  # kernels of a softmax over one entry, whose slope is 0
    unseen: tuple[str, ...] = ()  # kernels of outputs that the loss does not read
    notes: tuple[str, ...] = ()  # about the reading itself, in sentences

    @cached_property
    def ways(self) -> list[tuple[bool, int]]:
        """For each site, whether data enter there, and its parents in bits."""
        return [(site.reads_data or site.lookup, sum(1 << p for p in site.parents))
                for site in self.sites]  # fmt: skip

    def reached(self, shut: Collection[int] = ()) -> set[int]:
        """The outputs to which a signal comes that passes none of these sites."""
        passed = 0
        for i, (enters, parents) in enumerate(self.ways):
            passed |= (i not in shut and (enters or bool(parents & passed))) << i
        return {*self.direct, *self.outputs(i for i in range(len(self.sites)) if passed >> i & 1)}

    def after(self, i: int) -> set[int]:
        """The sites to which a site's result comes, and itself."""
        mask = 1 << i
        for j, (_, parents) in enumerate(self.ways):
            mask |= bool(parents & mask) << j
        return {j for j in range(len(self.sites)) if mask >> j & 1}

    def outputs(self, sites: Iterable[int]) -> set[int]:
        """Those that are made of the results of these sites."""
        return {k for i in sites for k in self.sites[i].outputs}


@dataclass(frozen=True)
class Weight:
    """A parameter's std, ‖∂L/∂W‖², and whether it is 0 all over, in one run.

    By layer: the stds, ‖∂L/∂W‖² again, and what of it is felt of a redraw.
    """

    std: float
    gradient: float
    zero: bool
    stds: Array = field(default_factory=lambda: np.ones(1))
    gradients: Array = field(default_factory=lambda: np.ones(1))
    felt: Array = field(default_factory=lambda: np.ones(1))
    rms: float = math.nan  # of its entries
    top: float = math.nan  # the largest entry of the gradient, which tells it from one turned round
    tied: bool = False  # all its rows are equal, and get equal gradients


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
    uneven: Array  # ln of the largest E z² of independent groups, if wide, over the smallest
    opens: tuple[Array, ...]  # units of each site that give 0 and get a gradient,
    silent: tuple[Array, ...]  # and those that get none
    still: Array  # whether all units of a head, an expert or a group are such
    # Of the slopes that are steep for N(0, 1), the share that is flat, where both ends are.
    saturated: Array
    dead: Array  # share of units to which no gradient comes back for any example
    distinct: Array  # units that differ in z or in its gradient, of `among`
    std: Array  # of the effective kernel
    effect: Array  # std² ‖∂L/∂W‖² of the main kernel, summed over layers: of a relative redraw
    root2: Array  # E x² at each of `Program.roots`
    loss: float  # NaN without one
    blind: float  # the loss of a network that knows nothing, NaN where it is not known
    input2: Mapping[str, float]  # E x² of each input of floats
    finite: bool  # outputs, loss and gradients
    kernels: Mapping[str, Weight]  # every parameter of floats
    even: float = math.nan  # the loss of outputs of 0, or of even shares
    near: float = math.nan  # where `blind` is not known, the most that outputs of 0, 1, or -1 cost
    sure: float = math.nan  # where outputs are shares, the loss of being sure of one class for all
    ends: float = math.nan  # how far in rms outputs are from 0, or from even shares as a part
    # Of a softmax that a contraction reads, as in attention, the share of rows that are one entry.
    # Where a kernel reads shares that no softmax gave, as a tree's leaves do: it picks its rows.
    shares: Array = field(default_factory=lambda: np.zeros(1, dtype=bool))
    peaked: Array = field(default_factory=lambda: np.full(1, math.nan))
    # All units of a site; of layers or members in one kernel, those of that where fewest differ.
    among: Array = field(default_factory=lambda: np.ones(1))
    # Kernels that a step makes, to which a gradient comes by the step's scale alone, or none does.
    stepped: Array = field(default_factory=lambda: np.zeros(1, dtype=bool))
    growth: float = math.nan  # that of outputs of 0 by the targets, over that by half of them

    @property
    def unfelt(self) -> Array:
        """Kernels whose redraw does nothing beside that of others."""
        most = np.nan_to_num(self.effect).max(initial=0.0)
        return np.asarray((self.effect > 0) & (self.effect < UNFELT * most))
