"""The true geometry of Keras kernels: which axes are inputs, outputs, groups and window.

Keras reads every kernel as ``(window…, in, out)``. That is right for dense layers and plain
convolutions, and wrong for depthwise kernels (each output sees one channel, not all), transposed
convolutions (stored ``(window…, out, in)``) and gates that lie side by side in one matrix. Here
each kind of layer says what its axes are. Strides are not counted, as in He et al. 2015 and in
every library: what they do is told apart by `winit.audit`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from winit import initializers
from winit._checks import Draws

try:
    import keras as keras  # the others take it from here, with its one error
except ModuleNotFoundError as error:
    if error.name == "keras":
        reason = 'winit.keras needs Keras and a backend: pip install "winit[keras]"'
    else:
        reason = (
            f"Keras found no backend ({error.name} is not installed): set the environment variable "
            "KERAS_BACKEND to the one that you have, such as jax, before Keras is imported"
        )
    raise ImportError(reason) from None

Array = NDArray[np.floating[Any]]

# Schemes that look at no fan, and those that make one matrix at a time.
ELEMENTWISE = ("zeros", "ones", "constant", "normal", "uniform", "truncated_normal")
MATRICES = ("orthogonal", "identity")

DEPTHWISE = (keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D)
SEPARABLE = (keras.layers.SeparableConv1D, keras.layers.SeparableConv2D)
TRANSPOSED = (
    keras.layers.Conv1DTranspose,
    keras.layers.Conv2DTranspose,
    keras.layers.Conv3DTranspose,
)
CONVOLUTIONS = (keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D)
GATES = {"LSTMCell": 4, "GRUCell": 3, "SimpleRNNCell": 1, "ConvLSTMCell": 4}


@dataclass(frozen=True)
class Kernel:
    """What each axis of a kernel is.

    Parameters
    ----------
    shape : as Keras stores it
    split : the same shape with an axis that holds several blocks (groups, gates) cut in two
    inputs, outputs, groups : axes of `split`; those that are none of them are the window
    """

    shape: tuple[int, ...]
    split: tuple[int, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    groups: tuple[int, ...] = ()

    @property
    def window(self) -> tuple[int, ...]:
        """The axes over which the kernel slides."""
        named = self.inputs + self.outputs + self.groups
        return tuple(axis for axis in range(len(self.split)) if axis not in named)

    @property
    def blocks(self) -> tuple[int, ...]:
        """The layout of `winit`, once for each group, as ``(groups, out, in, *window)``."""
        sizes = (
            math.prod(self.split[axis] for axis in axes)
            for axes in (self.groups, self.outputs, self.inputs)
        )
        return (*sizes, *(self.split[axis] for axis in self.window))

    @property
    def fans(self) -> tuple[int, int]:
        """How many inputs reach one output, and how many outputs one input reaches."""
        return initializers.fans(self.blocks[1:])

    def to_blocks(self, values: Array) -> Array:
        """Stored values in the shape `blocks`."""
        order = self.groups + self.outputs + self.inputs + self.window
        return values.reshape(self.split).transpose(order).reshape(self.blocks)

    def to_stored(self, values: Array) -> Array:
        """Values of the shape `blocks` in the shape that Keras stores."""
        order = self.groups + self.outputs + self.inputs + self.window
        sizes = tuple(self.split[axis] for axis in order)
        return values.reshape(sizes).transpose(np.argsort(order)).reshape(self.shape)

    def draw(
        self, scheme: str, rng: Draws, *, dtype: DTypeLike = np.float64, **options: Any
    ) -> Array:
        """Weights of the named scheme, in the shape that Keras stores."""
        function = initializers.get(scheme)
        if scheme in ELEMENTWISE:
            return function(self.shape, rng=rng, dtype=dtype, **options)
        if scheme in MATRICES:
            groups, *one = self.blocks
            drawn = [function(one, rng=rng, dtype=dtype, **options) for _ in range(groups)]
            return self.to_stored(np.stack(drawn))
        axes = {"batch_axis": 0, "out_axis": 1, "in_axis": 2}
        return self.to_stored(function(self.blocks, rng=rng, dtype=dtype, **axes, **options))


def plain(shape: tuple[int, ...]) -> Kernel:
    """Keras's own reading: the last two axes are in and out, the others the window."""
    rank = len(shape)
    return Kernel(shape, shape, (rank - 2,), (rank - 1,))


def kernel_of(layer: Any, name: str, shape: tuple[int, ...]) -> Kernel | None:
    """The geometry of a layer's weight, or None where it is no kernel (a bias, a scale).

    Parameters
    ----------
    layer : the Keras layer that owns the weight; None reads the shape as Keras does
    name : the weight's name in the layer, such as "kernel" or "depthwise_kernel"
    shape : the weight's shape
    """
    shape = tuple(int(n) for n in shape)
    rank = len(shape)
    if rank < 2:
        return None
    if isinstance(layer, keras.layers.Embedding) and name == "embeddings":
        # One row is picked, none are summed: each output has one input.
        return Kernel(shape, shape, (), (1,), (0,))
    if layer is not None and ("kernel" not in name or name.startswith("lora_")):
        return None
    if isinstance(layer, keras.layers.EinsumDense):
        return _einsum(layer.equation, shape)
    if isinstance(layer, DEPTHWISE) or (isinstance(layer, SEPARABLE) and name[:5] == "depth"):
        return Kernel(shape, shape, (), (rank - 1,), (rank - 2,))
    if isinstance(layer, TRANSPOSED):
        return Kernel(shape, shape, (rank - 1,), (rank - 2,))
    if isinstance(layer, CONVOLUTIONS) and layer.groups > 1:
        return _side_by_side(shape, layer.groups)
    gates = next((GATES[kind.__name__] for kind in type(layer).mro() if kind.__name__ in GATES), 1)
    return _side_by_side(shape, gates) if gates > 1 else plain(shape)


def _side_by_side(shape: tuple[int, ...], blocks: int) -> Kernel:
    """Blocks of outputs next to each other on the last axis: groups, or gates."""
    rank = len(shape)
    split = (*shape[:-1], blocks, shape[-1] // blocks)
    return Kernel(shape, split, (rank - 2,), (rank,), (rank - 1,))


def _einsum(equation: str, shape: tuple[int, ...]) -> Kernel:
    """Axes that are summed are inputs, new ones are outputs, those in all three terms groups."""
    terms, result = equation.replace("...", "").replace(" ", "").split("->")
    data, kernel = terms.split(",")
    inputs = tuple(i for i, letter in enumerate(kernel) if letter not in result)
    outputs = tuple(i for i, letter in enumerate(kernel) if letter not in data)
    groups = tuple(i for i, letter in enumerate(kernel) if letter in data and letter in result)
    return Kernel(shape, shape, inputs, outputs, groups)
