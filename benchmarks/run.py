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
from unittest import mock

os.environ.setdefault("KERAS_BACKEND", "jax")

import jax
import keras
import numpy as np

import winit
import winit.jax
import winit.keras
from winit import judge

ROUNDS = 7
ALLOWED = 1.5  # passes for a sound model; one more for each kernel put right and each cure tried


def show(
    what: str, ours: Callable[[], Any], theirs: Callable[[], Any], rounds: int = ROUNDS
) -> None:
    """Print the median time of ours over the median of theirs, and the range over the rounds."""
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
    print(f"    {what:<48} {middle[0] / middle[1]:5.2f}  ({each[0]:.2f} to {each[-1]:.2f})")


def training_loss(model: keras.Model, y: np.ndarray) -> tuple[Callable[..., Any], list[Any]]:
    """The loss as a function of the weights and x, and the weights."""
    weights = [v.value for v in model.trainable_variables]
    fixed = [v.value for v in model.non_trainable_variables]

    def loss(weights: Any, x: Any) -> Any:
        outputs, _ = model.stateless_call(weights, fixed, x, training=True)
        return keras.losses.sparse_categorical_crossentropy(y, outputs).mean()

    return loss, weights


def audits() -> None:
    """VGG16 at 64 x 64, batch 8: sound, and as Keras draws it."""
    rng = np.random.default_rng(0)
    model = keras.applications.VGG16(weights=None, input_shape=(64, 64, 3))
    x, y = rng.standard_normal((8, 64, 64, 3)).astype("float32"), rng.integers(0, 1000, 8)
    loss, weights = training_loss(model, y)
    step = jax.jit(jax.grad(loss))

    def train() -> Any:
        return jax.block_until_ready(step(weights, x))

    def compile_pass() -> None:
        jax.clear_caches()
        jax.jit(jax.grad(loss)).lower(weights, x).compile()

    def compile_audit() -> None:
        jax.clear_caches()
        winit.jax._compiled.clear()
        prepared(model, x)

    print("An audit of VGG16 at 64 x 64, batch 8 / one forward and backward pass of that batch")
    print("(compiled, as the pass is: what tracing, reading and compiling takes is the last line)")
    tried = count_runs(prepared(model, x))
    allowed = ALLOWED + tried["kernels"] + tried["cures"]
    show("as Keras draws it, without cures", judged(model, x, cures=False), train)
    show(f"as Keras draws it, with cures (at most {allowed:g})", judged(model, x), train, rounds=2)
    print(f"        put right {tried['kernels']}, cures tried {tried['cures']}, "
          f"runs in all {tried['runs']}, compilations in them {tried['compilations']}")  # fmt: skip
    winit.reinitialize(model, rng=0)
    show(f"sound (at most {ALLOWED:g})", judged(model, x), train)
    show("sound, with tracing and reading it again", lambda: winit.audit(model, x), train)
    show(
        "tracing, reading and compiling alone (at most 1.5)", compile_audit, compile_pass, rounds=3
    )


def prepared(model: keras.Model, x: np.ndarray) -> Any:
    """The model, read and compiled."""
    subject = winit.keras._subject(model, x, None, None, True, 0)
    subject.prepare()
    return subject


def judged(model: keras.Model, x: np.ndarray, cures: bool = True) -> Callable[[], Any]:
    """The audit of a model that is read and compiled."""
    subject = prepared(model, x)
    return lambda: judge.judge(subject, cures=cures)


def count_runs(subject: Any) -> dict[str, int]:
    """How many runs an audit makes, of kernels put right and of cures, and what it compiles."""
    counts = dict.fromkeys(("kernels", "cures", "runs", "compilations"), 0)

    def counted(keys: Callable[..., tuple[str, ...]], function: Callable[..., Any]) -> Any:
        def call(*arguments: Any) -> Any:
            for key in keys(*arguments):
                counts[key] += 1
            return function(*arguments)

        return call

    def tries(change: judge.Change, *_: Any) -> tuple[str, ...]:
        return ("cures" if change.text else "kernels",)

    with (
        mock.patch.object(subject, "execute", counted(lambda *_: ("runs",), subject.execute)),
        mock.patch.object(judge.Change, "run", counted(tries, judge.Change.run)),
        mock.patch.object(
            winit.jax, "_compile", counted(lambda *_: ("compilations",), winit.jax._compile)
        ),
    ):
        judge.judge(subject)
    return counts


def language_model() -> Any:
    """A GPT of 12 layers, 768 wide, with a loss, and tokens: batch 2, length 128."""
    import torch
    from torch import nn

    class Decoder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.words, self.places = nn.Embedding(50_257, 768), nn.Embedding(128, 768)
            block = nn.TransformerEncoderLayer(
                768, 12, 3072, 0.0, "gelu", batch_first=True, norm_first=True
            )
            self.blocks = nn.TransformerEncoder(block, 12, nn.LayerNorm(768), False)
            self.mask = nn.Transformer.generate_square_subsequent_mask(128)
            self.head = nn.Linear(768, 50_257, bias=False)
            for p in self.parameters():
                nn.init.normal_(p, 0.0, 0.02) if p.ndim > 1 else None
            self.head.weight = self.words.weight

        def forward(self, ids: Any) -> Any:
            h = self.words(ids) + self.places.weight
            return self.head(self.blocks(h, self.mask, is_causal=True))

    torch.manual_seed(0)
    model, ids = Decoder(), torch.randint(50_257, (2, 128))
    return model, ids, lambda o, y: nn.functional.cross_entropy(o.flatten(0, 1), y.flatten())


def modules() -> None:
    """PyTorch, where it is installed."""
    try:
        model, ids, loss = language_model()
    except ModuleNotFoundError:
        print("winit.torch: skipped, PyTorch is not installed\n")
        return

    def trained() -> None:
        model.zero_grad()
        loss(model(ids), ids).backward()

    report = winit.audit(model, ids, ids, loss)
    print(
        f"winit.audit of a GPT, 12 layers of 768, {'ok' if report.ok else 'not ok'}, over one pass"
    )
    show("forward and back", lambda: winit.audit(model, ids, ids, loss), trained, rounds=3)


def article() -> dict[str, np.ndarray]:
    """The article's own code for ReLU."""
    sizes = [784, 1024, 1024, 10]
    parameters = {}
    for i in range(1, len(sizes)):
        drawn = np.random.randn(sizes[i], sizes[i - 1])  # noqa: NPY002
        parameters["W" + str(i)] = drawn * np.sqrt(2 / sizes[i - 1])
    return parameters


def main() -> None:
    rng = np.random.default_rng(0)
    print("Time as a ratio: the median, and the range over the rounds.\n")
    audits()
    modules()

    shape = (1024, 1024)
    he = keras.initializers.HeNormal(seed=0)
    bridge = winit.keras.Initializer("he_normal", seed=0)
    compiled = jax.jit(jax.nn.initializers.he_normal(), static_argnums=(1, 2))
    key = jax.random.key(0)

    def ours(truncated: bool = False) -> Any:
        return winit.he_normal(shape, rng=rng, dtype=np.float32, truncated=truncated)

    def by_keras() -> Any:
        return jax.block_until_ready(he(shape))

    print("\nA 1024 x 1024 draw of he_normal in float32")
    show("winit / Keras", ours, by_keras)
    show("winit, truncated as Keras's / Keras", lambda: ours(truncated=True), by_keras)
    show("winit.keras.Initializer / Keras", lambda: bridge(shape), by_keras)
    show(
        "winit / JAX, compiled", ours, lambda: compiled(key, shape, np.float32).block_until_ready()
    )

    sizes = [784, 1024, 1024, 10]
    old = np.random.RandomState(0)
    function = winit.weight_initializer_for_relu
    print("\nThe article's function for ReLU, layer sizes 784, 1024, 1024, 10")
    show(
        "winit, bit for bit the same draws / the article", lambda: function(sizes, rng=old), article
    )
    show("winit, a new generator / the article", lambda: function(sizes, rng=rng), article)


if __name__ == "__main__":
    main()
