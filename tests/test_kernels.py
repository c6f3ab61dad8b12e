"""The geometry of Keras kernels, held against what the layers do with them."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from winit import kernels
from winit.kernels import Kernel, kernel_of

layers = keras.layers


def built(layer: keras.Layer, shape: tuple[int, ...]) -> keras.Layer:
    layer.build(shape)
    return layer


# The layer, its input, the fans counted by hand.
CASES = {
    "dense": (lambda: layers.Dense(6), (None, 5), (5, 6)),
    "conv1d": (lambda: layers.Conv1D(6, 3), (None, 9, 5), (15, 18)),
    "conv2d": (lambda: layers.Conv2D(6, (3, 2)), (None, 9, 9, 5), (30, 36)),
    "conv3d": (lambda: layers.Conv3D(2, 2), (None, 5, 5, 5, 3), (24, 16)),
    "grouped": (lambda: layers.Conv2D(6, 3, groups=2), (None, 9, 9, 4), (18, 27)),
    "depthwise": (lambda: layers.DepthwiseConv2D(3, depth_multiplier=2), (None, 9, 9, 4), (9, 18)),
    "depthwise1d": (lambda: layers.DepthwiseConv1D(3), (None, 9, 4), (3, 3)),
    "transposed": (lambda: layers.Conv2DTranspose(6, 3), (None, 9, 9, 4), (36, 54)),
    "einsum": (lambda: layers.EinsumDense("abc,cde->abde", (None, 2, 3)), (None, 4, 5), (5, 6)),
    "einsum, groups": (lambda: layers.EinsumDense("abc,bcd->abd", (4, 3)), (None, 4, 5), (5, 3)),
    "einsum, dots": (lambda: layers.EinsumDense("...x,xy->...y", 3), (None, 4, 5), (5, 3)),
}


@pytest.mark.parametrize("name", CASES)
def test_fans_are_those_counted_by_hand(name: str) -> None:
    make, shape, expected = CASES[name]
    layer = built(make(), shape)
    kernel = kernel_of(layer, "kernel", layer.kernel.shape)
    assert kernel is not None and kernel.fans == expected


def reached(layer: keras.Layer, shape: tuple[int, ...]) -> tuple[int, int]:
    """Fans counted by experiment: a kernel of ones, and who moves whom."""
    layer.set_weights([np.ones_like(w) for w in layer.get_weights()])
    size = int(np.prod(shape[1:]))
    eye = np.eye(size, dtype="float32").reshape(size, *shape[1:])
    moved = keras.ops.convert_to_numpy(layer(eye)).reshape(size, -1) != 0
    return int(moved.sum(axis=0).max()), int(moved.sum(axis=1).max())


@pytest.mark.parametrize("name", [name for name in CASES if name != "conv3d"])
def test_fans_are_those_that_the_layer_shows(name: str) -> None:
    make, shape, expected = CASES[name]
    layer = make()
    layer.use_bias = False
    assert reached(built(layer, shape), shape) == expected


def test_gates_lie_side_by_side() -> None:
    cell = built(layers.LSTMCell(3), (None, 5))
    kernel = kernel_of(cell, "kernel", cell.kernel.shape)
    recurrent = kernel_of(cell, "recurrent_kernel", cell.recurrent_kernel.shape)
    assert kernel is not None and kernel.fans == (5, 3) and kernel.blocks == (4, 3, 5)
    assert recurrent is not None and recurrent.fans == (3, 3)
    gru = built(layers.GRUCell(3), (None, 5))
    assert kernel_of(gru, "kernel", gru.kernel.shape).blocks == (3, 3, 5)  # type: ignore[union-attr]


def test_the_two_halves_of_a_separable_convolution() -> None:
    layer = built(layers.SeparableConv2D(6, 3), (None, 9, 9, 4))
    names = {v.name: kernel_of(layer, v.name, v.shape) for v in layer.trainable_variables}
    assert names["depthwise_kernel"].fans == (9, 9)  # type: ignore[union-attr]
    assert names["pointwise_kernel"].fans == (4, 6)  # type: ignore[union-attr]
    assert names["bias"] is None


def test_an_embedding_has_one_input_and_a_scale_is_no_kernel() -> None:
    embedding = built(layers.Embedding(50, 8), (None, 3))
    assert kernel_of(embedding, "embeddings", (50, 8)).fans == (1, 8)  # type: ignore[union-attr]
    assert kernel_of(layers.BatchNormalization(), "gamma", (8,)) is None
    assert kernel_of(layers.PReLU(), "alpha", (8, 8)) is None


@pytest.mark.parametrize("name", CASES)
def test_blocks_and_back(name: str) -> None:
    make, shape, _ = CASES[name]
    layer = built(make(), shape)
    kernel = kernel_of(layer, "kernel", layer.kernel.shape)
    assert isinstance(kernel, Kernel)
    values = np.random.default_rng(0).standard_normal(kernel.shape)
    assert np.array_equal(kernel.to_stored(kernel.to_blocks(values)), values)


def test_each_group_and_each_gate_is_orthogonal_by_itself() -> None:
    for layer, shape in (
        (layers.Conv2D(6, 3, groups=2), (None, 9, 9, 4)),
        (layers.EinsumDense("abc,bcd->abd", (4, 3)), (None, 4, 5)),
        (layers.LSTMCell(3), (None, 5)),
    ):
        built(layer, shape)
        kernel = kernel_of(layer, "kernel", layer.kernel.shape)
        assert kernel is not None
        drawn = kernel.to_blocks(kernel.draw("orthogonal", np.random.default_rng(0)))
        for block in drawn.reshape(*drawn.shape[:2], -1):
            assert np.allclose(block @ block.T, np.eye(len(block)), atol=1e-12)


def test_identity_passes_a_signal_through_a_transposed_convolution() -> None:
    layer = built(layers.Conv2DTranspose(4, 3, padding="same"), (None, 6, 6, 4))
    kernel = kernel_of(layer, "kernel", layer.kernel.shape)
    assert kernel is not None
    layer.kernel.assign(kernel.draw("identity", np.random.default_rng(0)))
    x = np.random.default_rng(0).standard_normal((1, 6, 6, 4)).astype("float32")
    assert np.allclose(layer(x), x)


def test_a_dense_kernel_is_winits_matrix_transposed() -> None:
    from winit import he_normal

    drawn = kernels.plain((5, 6)).draw("he_normal", np.random.default_rng(3))
    assert np.array_equal(drawn, he_normal((6, 5), rng=3).T)
