"""Side-by-side timings as ratios: the audit against one training pass, the draws against others'.

`make bench`, or `.venv/bin/python benchmarks/run.py`. Only ratios are printed: both sides run in
turn in one process, and each number is the median of several rounds, so that a busy machine slows
both. What JAX compiles is compiled before the clock starts.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "jax")

import jax
import keras
import numpy as np

import winit
import winit.keras

ROUNDS = 7


def ratio(ours: Callable[[], Any], theirs: Callable[[], Any], rounds: int = ROUNDS) -> str:
    """The median time of ours over the median of theirs, and the range over the rounds."""
    ours(), theirs()
    times = []
    for _ in range(rounds):
        pair = []
        for work in (ours, theirs):
            started = time.perf_counter()
            work()
            pair.append(time.perf_counter() - started)
        times.append(pair)
    middle = [statistics.median(column) for column in zip(*times, strict=True)]
    each = sorted(a / b for a, b in times)
    return f"{middle[0] / middle[1]:5.2f}   ({each[0]:.2f} to {each[-1]:.2f})"


def training_pass(model: keras.Model, x: np.ndarray, y: np.ndarray) -> Callable[[], Any]:
    """Loss and the gradient at every weight: one forward and one backward pass."""
    weights = [v.value for v in model.trainable_variables]
    fixed = [v.value for v in model.non_trainable_variables]

    def loss(weights: Any, x: Any) -> Any:
        outputs, _ = model.stateless_call(weights, fixed, x, training=True)
        return keras.losses.sparse_categorical_crossentropy(y, outputs).mean()

    step = jax.jit(jax.value_and_grad(loss))
    return lambda: jax.block_until_ready(step(weights, x))


def article(sizes: list[int]) -> dict[str, np.ndarray]:
    """The article's own code for ReLU."""
    parameters = {}
    for i in range(1, len(sizes)):
        drawn = np.random.randn(sizes[i], sizes[i - 1])  # noqa: NPY002
        parameters["W" + str(i)] = drawn * np.sqrt(2 / sizes[i - 1])
    return parameters


def main() -> None:
    rng = np.random.default_rng(0)
    model = keras.applications.VGG16(weights=None, input_shape=(64, 64, 3))
    x = rng.standard_normal((8, 64, 64, 3)).astype("float32")
    y = rng.integers(0, 1000, 8)
    step = training_pass(model, x, y)
    print("time, as a multiple of what stands behind the colon's right; median (range)")
    print("audit of VGG16, 64 x 64, batch 8 : a forward-plus-backward pass of the same batch")
    print(f"    with gradients           {ratio(lambda: winit.keras.audit(model, x), step)}")
    forward = lambda: winit.keras.audit(model, x, gradients=False)  # noqa: E731
    print(f"    the signal alone         {ratio(forward, step)}")

    shape = (1024, 1024)
    draw = np.random.default_rng(0)
    ours = lambda: winit.he_normal(shape, rng=draw, dtype=np.float32)  # noqa: E731
    cut = lambda: winit.he_normal(shape, rng=draw, dtype=np.float32, truncated=True)  # noqa: E731
    he = keras.initializers.HeNormal(seed=0)
    key = jax.random.key(0)
    jax_he = jax.jit(jax.nn.initializers.he_normal(), static_argnums=(1, 2))
    print("one 1024 x 1024 draw of he_normal in float32")
    keras_draw = lambda: jax.block_until_ready(he(shape))  # noqa: E731
    jax_draw = lambda: jax.block_until_ready(jax_he(key, shape, np.float32))  # noqa: E731
    print(f"    winit : Keras            {ratio(ours, keras_draw)}")
    print(f"    winit : JAX, compiled    {ratio(ours, jax_draw)}")
    print(f"    the same, truncated as theirs are : Keras {ratio(cut, keras_draw)}")
    bridge = winit.keras.Initializer("he_normal", seed=0)
    print(f"    through winit.keras : Keras {ratio(lambda: bridge(shape), keras_draw)}")

    sizes = [784, 1024, 1024, 10]
    old = np.random.RandomState(0)  # noqa: NPY002
    print("the article's function for ReLU, layers 784, 1024, 1024, 10")
    same = lambda: winit.weight_initializer_for_relu(sizes, rng=old)  # noqa: E731
    new = lambda: winit.weight_initializer_for_relu(sizes, rng=draw)  # noqa: E731
    code = lambda: article(sizes)  # noqa: E731
    print(f"    winit, the same draws : the article's code  {ratio(same, code)}")
    print(f"    winit, a new generator : the article's code {ratio(new, code)}")


if __name__ == "__main__":
    main()
