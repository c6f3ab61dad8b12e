"""Keras models whose weights NumPy draws, and what winit says of them on the backend of the day.

`python keras_nets.py NAME …` prints it as JSON, for test_keras_on_torch to compare two backends.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

import winit
import winit.keras

layers = keras.layers


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(7).standard_normal(shape).astype(np.float32)


def dense(depth: int = 4) -> keras.Model:
    hidden = [layers.Dense(24, "relu", name=f"d{i}") for i in range(depth)]
    stack = [keras.Input((12,)), *hidden, layers.Dense(3, name="head")]
    return keras.Sequential(stack, name="net")  # one of its own counts the models before it


def convolutions() -> keras.Model:
    x = keras.Input((8, 8, 3))
    h = layers.Conv2D(8, 3, padding="same", use_bias=False, name="c0")(x)
    h = layers.Activation("relu")(layers.BatchNormalization(name="norm")(h))
    h = layers.DepthwiseConv2D(3, name="each")(h)
    h = layers.Conv2D(16, 3, 2, groups=2, activation="swish", name="c1")(h)
    return keras.Model(x, layers.Dense(3, name="head")(layers.GlobalAveragePooling2D()(h)))


def attention() -> keras.Model:
    ids = keras.Input((6,), dtype="int32")
    h = layers.Embedding(20, 16, name="words")(ids)
    for i in range(2):
        a = layers.LayerNormalization(name=f"first{i}")(h)
        h = h + layers.MultiHeadAttention(2, 8, name=f"attend{i}")(a, a, use_causal_mask=True)
        a = layers.LayerNormalization(name=f"second{i}")(h)
        a = layers.Dense(32, "gelu", name=f"up{i}")(a)
        h = h + layers.Dense(16, name=f"down{i}")(a)
    return keras.Model(ids, layers.Dense(3, name="head")(h[:, -1]))


def recurrent(kind: str) -> keras.Model:
    x = keras.Input((6, 5))
    h = getattr(layers, kind)(12, name="steps")(x)
    return keras.Model(x, layers.Dense(3, name="head")(h))


TOKENS = np.random.default_rng(1).integers(0, 20, (8, 6))
# Name -> model, inputs, and the factor on the std of kernels: 1 is LeCun's, in `dense` He's.
CASES: dict[str, tuple[Callable[[], Any], np.ndarray, float]] = {
    "dense": (dense, noise(16, 12), 1.0),
    "dense, shrinking": (lambda: dense(8), noise(16, 12), 0.1),
    "convolutions": (convolutions, noise(8, 8, 8, 3), 1.0),
    "convolutions, large head": (convolutions, noise(8, 8, 8, 3), 1.0),
    "attention": (attention, TOKENS, 1.0),
    "attention, large head": (attention, TOKENS, 1.0),
    "LSTM": (lambda: recurrent("LSTM"), noise(8, 6, 5), 1.0),
    "LSTM, saturated": (lambda: recurrent("LSTM"), noise(8, 6, 5), 20.0),
    "GRU": (lambda: recurrent("GRU"), noise(8, 6, 5), 1.0),
}


def made(name: str) -> keras.Model:
    """A model with kernels of NumPy's, the same on each backend."""
    build, _, factor = CASES[name]
    model, rng = build(), np.random.default_rng(0)
    for v in model.trainable_variables:
        shape = tuple(v.shape)
        if len(shape) < 2 or v.name == "bias":
            continue
        fan_in = 1 if v.name == "embeddings" else np.prod(shape[:-1])
        fan_in = np.prod(shape[:2]) if v.path.startswith("each") else fan_in  # its window alone
        std = factor * np.sqrt((2 if name.startswith("dense") else 1) / fan_in)
        std *= 100.0 if v.path.startswith("head") and "head" in name else 1.0
        v.assign((std * rng.standard_normal(shape)).astype(np.float32))
    return model


def state(model: keras.Model) -> list[str]:
    """What an audit must not change: to be compared as text."""
    told = [w.tobytes().hex() for w in model.get_weights()]
    told += [str(random.getstate()), str(np.random.get_state(legacy=False))]  # noqa: NPY002
    if keras.backend.backend() == "torch":
        import torch

        told.append(torch.get_rng_state().numpy().tobytes().hex())
        told += [str((v.value.grad, v.value.requires_grad)) for v in model.variables]
    return told


def say(name: str) -> dict[str, Any]:
    """Two audits, with a random direction and with a loss, and one after a redraw."""
    model, x = made(name), CASES[name][1]
    y = np.random.default_rng(8).integers(0, 3, len(x))
    sparse = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    before = state(model)
    found: dict[str, Any] = {
        "direction": winit.audit(model, x).to_dict(),
        "loss": winit.keras.audit(model, x, y, sparse).to_dict(),
        "unchanged": state(model) == before,
    }
    found |= {
        "drawn": winit.reinitialize(model, rng=0),
        "weights": [w.tolist() for w in model.get_weights()],
    }
    found["after"] = winit.audit(model, x, cures=False).to_dict()
    return found


if __name__ == "__main__":
    print(json.dumps({name: say(name) for name in sys.argv[1:]}))
