"""What any model is: primitive operations on data and named parameters, whatever its layers' names.

A *site* is a place where data meets a kernel: a contraction, convolution or lookup with one side
that depends on the data and one that depends on parameters alone. A framework's module (`winit.jax`)
writes a model down as a list of `Op`, and `read` finds the sites, their fans and what lies between
two of them. What was measured at the sites in one run is a `Measured`. `winit.judge` works from
these types alone, and knows no framework.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
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
    kind : "input", "lookup" (an embedding's result), "normalizer" or "state" (a loop's)
        A normalizer is a reducing program whose result, at a large scale, no longer changes with
        its input's scale (softmax is one too).
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
    unused : parameters of two axes or more that no site reads
    stopped : kernels that no gradient reaches because the model says so (`stop_gradient`)
    notes : what a reader must know about the reading itself, in sentences
    """

    sites: tuple[Site, ...]
    roots: tuple[Root, ...]
    depth: int
    unused: tuple[str, ...] = ()
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
