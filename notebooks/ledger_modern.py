"""Experiments of the ledger, from 2017 on: each is a function of a seed that measures one number.

Residual blocks, normalization, transformers and what the width asks for; see ledger_classic.py.
"""

from __future__ import annotations

from functools import cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

import winit
from ledger_classic import digits, squared_singular_values
from winit import activations, diagnostics, network

Array = NDArray[np.floating[Any]]
Keywords = dict[str, Any]


def he(shape: tuple[int, int], rng: np.random.Generator) -> Array:
    """He's rule, transposed: for rows of examples times a matrix."""
    return np.asarray(np.sqrt(2 / shape[0]) * rng.standard_normal(shape))


# Gradients that look like noise -------------------------------------------------------------------


def agreement(depth: int, rng: np.random.Generator, centered: bool) -> float:
    """The cosine between the gradients at the inputs of two examples, ReLU and He's rule.

    Centered, each unit's mean over the examples is subtracted before its activation.
    """
    x = rng.standard_normal((40, 400))
    weights, a, active = [he((400, 400), rng) for _ in range(depth)], x, []
    for W in weights:
        z = a @ W
        z = z - centered * z.mean(axis=0)
        active.append(z > 0)
        a = np.maximum(z, 0)
    delta = np.tile(rng.standard_normal(400), (40, 1))
    for W, steep in zip(reversed(weights), reversed(active), strict=True):
        delta = (delta * steep) @ W.T
    units = delta / np.linalg.norm(delta, axis=1, keepdims=True)
    return float((units @ units.T)[np.triu_indices(40, 1)].mean())


def c20_halves(seed: int) -> float:
    """Eight layers."""
    rngs = np.random.default_rng(seed).spawn(4)
    return float(np.mean([agreement(8, rng, centered=False) for rng in rngs]))


def c20_centered(seed: int) -> float:
    """Four layers, centered."""
    rngs = np.random.default_rng(seed).spawn(4)
    return float(np.mean([agreement(4, rng, centered=True) for rng in rngs]))


def next_slope(scale: float, seed: int, centered: bool, depth: int = 24) -> float:
    """How alike the slopes dy/dx at neighboring inputs are: their correlation over the grid.

    A ReLU network of width 200 from one input to one output, over 256 inputs from -2 to 2, weights
    and biases of variance scale/200.
    """
    rng = np.random.default_rng(seed)
    std = np.sqrt(scale / 200)
    a, slope = np.arange(-2, 2, 4 / 256)[np.newaxis], np.ones((1, 256))
    for _ in range(depth):
        W, b = std * rng.standard_normal((200, len(a))), std * rng.standard_normal((200, 1))
        z = W @ a + b
        z = z - centered * z.mean(axis=1, keepdims=True)
        a, slope = np.maximum(z, 0), (z > 0) * (W @ slope)
    slopes = (rng.standard_normal((1, 200)) @ slope)[0]
    slopes = slopes - slopes.mean()
    return float(slopes[1:] @ slopes[:-1] / (slopes @ slopes))


def udl_noise(seed: int) -> float:
    """As the notebook has it: scale 1, not centered."""
    return next_slope(1.0, seed, centered=False)


def udl_he(seed: int) -> float:
    """With He's scale."""
    return next_slope(2.0, seed, centered=False)


def udl_centered(seed: int) -> float:
    """With He's scale, and centered."""
    return next_slope(2.0, seed, centered=True)


def bn_explodes(seed: int) -> float:
    """What a layer makes of the gradient's second moment: batch normalization, ReLU, no skip."""
    rng = np.random.default_rng(seed)
    a, kept = rng.standard_normal((256, 400)), []
    for _ in range(20):
        W = rng.standard_normal((400, 400)) / 20
        h = a @ W
        std = h.std(axis=0)
        z = (h - h.mean(axis=0)) / std
        a = np.maximum(z, 0)
        kept.append((W, std, z))
    delta, moments = rng.standard_normal(a.shape), []
    for W, std, z in reversed(kept):
        at_z = delta * (z > 0)
        at_h = (at_z - at_z.mean(axis=0) - z * (at_z * z).mean(axis=0)) / std
        delta = at_h @ W.T
        moments.append(np.mean(delta**2))
    return float((moments[18] / moments[3]) ** (1 / 15))


# Residual blocks ----------------------------------------------------------------------------------


def c21_doubles(seed: int) -> float:
    """What a residual block without normalization makes of the stream's second moment."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((50, 400))
    start = np.mean(x**2)
    for _ in range(10):
        x = x + np.maximum(x, 0) @ he((400, 400), rng)
    return float((np.mean(x**2) / start) ** (1 / 10))


def c21_linear(seed: int) -> float:
    """The stream's second moment after 32 blocks whose branches are normalized over the batch."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((200, 200))
    for _ in range(32):
        z = (x - x.mean(axis=0)) / x.std(axis=0)
        x = x + np.maximum(z, 0) @ he((200, 200), rng)
    return float(np.mean(x**2))


def c22_identity(seed: int) -> float:
    """The smallest singular value of 100 blocks whose branches are multiplied by zero."""
    rng = np.random.default_rng(seed)
    x, J = rng.standard_normal((1, 64)), np.eye(64)
    for _ in range(100):
        W = he((64, 64), rng)
        active = (x @ W > 0)[0]
        x, J = x + 0.0 * np.maximum(x @ W, 0), J + 0.0 * (W * active).T @ J
    return float(np.sqrt(squared_singular_values(J).min()))


def c21_which_n(seed: int) -> float:
    """The second moment of 2 x 24 branches of second moment 1, times 1/sqrt(2 x 24)."""
    branches = np.random.default_rng(seed).standard_normal((48, 20_000))
    return float(np.mean(np.sum(branches / np.sqrt(48), axis=0) ** 2))


# Transformers -------------------------------------------------------------------------------------


def normalized(x: Array) -> Array:
    """Layer normalization without its two vectors."""
    return np.asarray((x - x.mean(axis=-1, keepdims=True)) / x.std(axis=-1, keepdims=True))


def attended(q: Array, k: Array, v: Array) -> Array:
    """What each token takes from itself and those before it; one head, (tokens, width)."""
    scores = q @ k.T / np.sqrt(q.shape[1])
    scores = np.where(np.tri(len(q), dtype=bool), scores, -np.inf)
    weights = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True) @ v)


@cache
def gpt_stream(seed: int, width: int = 768, blocks: int = 12) -> tuple[float, ...]:
    """The second moment of GPT-2's stream before the first block and after each, 64 tokens."""
    rng = np.random.default_rng(seed)

    def draw(rows: int, columns: int, std: float = 0.02) -> Array:
        return np.float32(std) * rng.standard_normal((rows, columns), dtype=np.float32)

    out = 0.02 / np.sqrt(2 * blocks)
    x = draw(64, width) + draw(64, width)  # tokens and positions
    moments = [np.mean(x**2)]
    for _ in range(blocks):
        q, k, v = (normalized(x) @ draw(width, width) for _ in range(3))
        heads = [attended(q[:, h::12], k[:, h::12], v[:, h::12]) for h in range(12)]
        x = x + np.concatenate(heads, axis=1) @ draw(width, width, out)
        h = activations.get("gelu")(normalized(x) @ draw(width, 4 * width))
        x = x + h @ draw(4 * width, width, out)
        moments.append(np.mean(x**2))
    return tuple(float(moment) for moment in moments)


def n01_first_block(seed: int) -> float:
    """The share of the embedding in the stream's second moment after one block."""
    stream = gpt_stream(seed)
    return stream[0] / stream[1]


def n01_growth(seed: int) -> float:
    """How many times its start the stream's second moment is after twelve blocks."""
    stream = gpt_stream(seed)
    return stream[-1] / stream[0]


def first_loss(classes: int, variance: float, seed: int, width: int = 256) -> float:
    """The cross-entropy of a linear head whose logits have this variance, 400 examples."""
    rng = np.random.default_rng(seed)
    x = normalized(rng.standard_normal((400, width)))
    logits = x @ rng.standard_normal((width, classes)) * np.sqrt(variance / width)
    return network.softmax_cross_entropy(logits, rng.integers(0, classes, 400))[0]


def n02_language(seed: int) -> float:
    """GPT-2's head over 5000 words: logits of variance 768 x 0.02²."""
    return first_loss(5000, 768 * 0.02**2, seed)


def n02_tied(seed: int) -> float:
    """A head tied to embeddings of std 1 and width 64, over 100 words: variance 64."""
    return first_loss(100, 64.0, seed)


def c33_ten(seed: int) -> float:
    """Ten classes from LeCun's variance, features of second moment 1; 50 heads."""
    seeds = np.random.default_rng(seed).integers(0, 2**32, 50)
    return float(np.mean([first_loss(10, 1.0, int(each)) for each in seeds]))


def n04_rare(seed: int) -> float:
    """The loss of a head for a class of 1% whose bias is the prior's."""
    rng = np.random.default_rng(seed)
    logits = 0.1 * rng.standard_normal(100_000) - np.log(0.99 / 0.01)
    positive = rng.random(100_000) < 0.01
    return float(np.mean(np.logaddexp(0, np.where(positive, -logits, logits))))


def n12_uniform(seed: int) -> float:
    """How far the entropy of attention over 256 tokens is below ln 256, GPT-2's std."""
    rng = np.random.default_rng(seed)
    x = normalized(rng.standard_normal((256, 768)))
    q, k = (x @ (0.02 * rng.standard_normal((768, 768))) for _ in range(2))
    scores = np.concatenate([q[:, h::12] @ k[:, h::12].T / 8 for h in range(12)])
    shares = np.exp(scores)
    shares /= shares.sum(axis=1, keepdims=True)
    return float(np.log(256) + np.mean(np.sum(shares * np.log(shares), axis=1)))


# What the width asks for --------------------------------------------------------------------------


def lora_step(rank: int, rng: np.random.Generator, adam: bool) -> float:
    """The change that one step makes of the layer's output at its own input; scaled 1/sqrt(rank).

    A has std 1/sqrt(3n) and B is zero, so that the step changes B alone.
    """
    x, back = rng.standard_normal(256), rng.standard_normal(256)
    inside = rng.standard_normal((rank, 256)) / np.sqrt(3 * 256) @ x
    gradient = np.outer(back, inside) / np.sqrt(rank)
    step = np.sign(gradient) if adam else gradient
    return float(np.sqrt(np.mean((step @ inside) ** 2 / rank)))


def lora_exponent(seed: int, adam: bool) -> float:
    """The exponent of the rank in it."""
    rng = np.random.default_rng(seed)
    ranks = (4, 16, 64, 256)
    sizes = [np.mean([lora_step(rank, rng, adam) for _ in range(20)]) for rank in ranks]
    return float(np.polyfit(np.log(ranks), np.log(sizes), 1)[0])


def n07_sgd(seed: int) -> float:
    """Plain gradient descent."""
    return lora_exponent(seed, adam=False)


def n07_adam(seed: int) -> float:
    """Adam, whose first step is the sign of the gradient."""
    return lora_exponent(seed, adam=True)


def moved(width: int, seed: int, mup: bool) -> float:
    """How far five steps of Adam move the second hidden layer's output: 16 -> n -> n -> 1, tanh."""
    rng = np.random.default_rng(seed)
    x, target = rng.standard_normal((32, 16)), rng.standard_normal((32, 1))
    params = network.init_params([16, width, width, 1], winit.lecun_normal, rng)
    params["W3"] /= np.sqrt(width) if mup else 1.0
    rates = dict.fromkeys(params, 0.01)
    if mup:
        rates |= {"W2": 0.01 * 64 / width, "W3": 0.01 * 64 / width}
    start = network.forward(params, x, "tanh").z[1]
    mean = {name: np.zeros_like(values) for name, values in params.items()}
    square = {name: np.zeros_like(values) for name, values in params.items()}
    for t in range(1, 6):
        trace = network.forward(params, x, "tanh")
        _, delta = network.mean_squared(trace.output, target)
        for name, g in network.backward(params, trace, delta).params.items():
            mean[name] = 0.9 * mean[name] + 0.1 * g
            square[name] = 0.999 * square[name] + 0.001 * g**2
            step = mean[name] / (1 - 0.9**t) / (np.sqrt(square[name] / (1 - 0.999**t)) + 1e-12)
            params[name] = params[name] - rates[name] * step
    return float(np.sqrt(np.mean((network.forward(params, x, "tanh").z[1] - start) ** 2)))


def width_exponent(seed: int, mup: bool) -> float:
    """The exponent of the width in it."""
    widths = (64, 256, 1024)
    sizes = [moved(width, seed, mup) for width in widths]
    return float(np.polyfit(np.log(widths), np.log(sizes), 1)[0])


def c24_standard(seed: int) -> float:
    """LeCun's variance and one rate for all widths."""
    return width_exponent(seed, mup=False)


def c24_mup(seed: int) -> float:
    """The maximal update parametrization."""
    return width_exponent(seed, mup=True)


def n09_bfloat16(seed: int) -> float:
    """The share of bfloat16 weights of std 0.02 that a step of 1e-4 leaves where they are."""

    def rounded(values: Array) -> Array:
        bits = np.asarray(values, dtype=np.float32).view(np.uint32).astype(np.uint64)
        bits += 0x7FFF + ((bits >> 16) & 1)
        return (bits & 0xFFFF0000).astype(np.uint32).view(np.float32)

    rng = np.random.default_rng(seed)
    weights = rounded(0.02 * rng.standard_normal(1_000_000))
    steps = np.float32(1e-4) * rng.choice([-1, 1], weights.size).astype(np.float32)
    return float(np.mean(rounded(weights + steps) == weights))


# Other starts -------------------------------------------------------------------------------------


@cache
def siren(seed: int, layers: int = 8) -> tuple[float, ...]:
    """The stds of the pre-activations of SIREN's layers of 512, for 500 inputs on a line."""
    rng = np.random.default_rng(seed)
    a: Array = np.linspace(-1, 1, 500)[:, np.newaxis]
    stds = []
    for layer in range(layers):
        limit = np.sqrt(6 / 512) / 30 if layer else 1.0
        z = 30 * a @ rng.uniform(-limit, limit, (a.shape[1], 512))
        stds.append(float(np.std(z)))
        a = np.sin(z)
    return tuple(stds)


def c23_second(seed: int) -> float:
    """Layer 2."""
    return siren(seed)[1]


def c23_eighth(seed: int) -> float:
    """Layer 8."""
    return siren(seed)[7]


def c27_rounds(seed: int) -> float:
    """How many rounds of LSUV a layer needs, at most, over 20 layers of GELU; tolerance 0.01."""
    rng = np.random.default_rng(seed)
    a: Array = rng.standard_normal((128, 256))
    most = 0
    for _ in range(20):
        W, rounds = winit.orthogonal((256, 256), rng=rng), 0
        while abs(np.var(a @ W) - 1) > 0.01:
            W, rounds = W / np.std(a @ W), rounds + 1
        most = max(most, rounds)
        a = activations.get("gelu")(a @ W)
    return float(most)


def gate_scale(bias: float) -> float:
    """The steps after which a cell whose forget gate sees this bias keeps 1/e, interpolated."""
    kept, step, gate = 1.0, 0, 1 / (1 + np.exp(-bias))
    while kept * gate > np.exp(-1):
        kept, step = kept * gate, step + 1
    return float(step + (1 + np.log(kept)) / -np.log(gate))


def c37_chrono(seed: int) -> float:
    """Bias ln(T - 1) for T = 100."""
    return gate_scale(np.log(99))


# Symmetry -----------------------------------------------------------------------------------------


def tied(seed: int, dropout: bool) -> network.Params:
    """64-32-10 ReLU network from equal weights, after 100 steps on 400 digits."""
    x, labels = (values[:400] for values in digits())
    rng = np.random.default_rng(seed)
    params = network.init_params([64, 32, 10], partial(winit.constant, value=0.05), rng)
    for _ in range(100):
        trace = network.forward(params, x, "relu")
        kept = 2.0 * (rng.random(trace.a[1].shape) < 0.5) if dropout else np.ones_like(trace.a[1])
        hidden = trace.a[1] * kept
        _, delta = network.softmax_cross_entropy(hidden @ params["W2"].T + params["b2"], labels)
        back = delta @ params["W2"] * kept * (trace.z[0] > 0)
        steps = {"W2": delta.T @ hidden, "b2": delta.sum(0), "W1": back.T @ x, "b1": back.sum(0)}
        params = {name: params[name] - 0.1 * step for name, step in steps.items()}
    return params


def distinct(params: network.Params) -> float:
    """How many units of the hidden layer differ."""
    return float(diagnostics.distinct_units(params["W1"].T))


def c31_constant(seed: int) -> float:
    """Equal weights, trained."""
    return distinct(tied(seed, dropout=False))


def n14_dropout(seed: int) -> float:
    """Equal weights, trained with dropout."""
    return distinct(tied(seed, dropout=True))


def c25_zero(seed: int) -> float:
    """Different units of a network 8 -> 64 -> 64 -> 8 from identities and a Hadamard matrix."""
    rng = np.random.default_rng(seed)
    hadamard = np.array([[1.0]])
    for _ in range(6):
        hadamard = np.block([[hadamard, hadamard], [hadamard, -hadamard]])
    first = hadamard[:, :8] / 8
    params: network.Params = {"W1": first, "W2": np.eye(64), "W3": np.eye(64), "W4": np.eye(8, 64)}
    params |= {f"b{i}": np.zeros(n) for i, n in enumerate((64, 64, 64, 8), start=1)}
    x = rng.standard_normal((200, 8))
    target = np.tanh(x @ rng.standard_normal((8, 8)))
    settings: Keywords = {
        "activation": "relu",
        "loss": "mean_squared",
        "learning_rate": 0.1,
        "epochs": 30,
    }
    trained, _ = network.sgd(params, x, target, rng=rng, **settings)
    return float(diagnostics.distinct_units(network.forward(trained, x, "relu").a[3], 1e-6))
