"""Experiments of the ledger, up to 2017: each is a function of a seed that measures one number.

They are small and independent: each draws all that it needs from its own seed, and takes a second
or two at most. What a number is compared with stands in ledger.py, under the same key.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits

import winit
from winit import activations, diagnostics, network, theory

Array = NDArray[np.floating[Any]]
Keywords = dict[str, Any]


# What several experiments share -------------------------------------------------------------------


@cache
def digits() -> tuple[Array, NDArray[Any]]:
    """The 1797 digits with mean 0 and std 1 over all pixels, and their labels."""
    images, labels = load_digits(return_X_y=True)
    return (images - images.mean()) / images.std(), labels


@cache
def deep(
    activation: str, gain: float, depth: int, seed: int, bias: float = 0.0, data: float = 1.0
) -> diagnostics.Report:
    """The report on `depth` layers of 400 units and variance gain²/400, for 100 Gaussian inputs."""
    rng = np.random.default_rng(seed)
    x, sizes = data * rng.standard_normal((100, 400)), [400] * (depth + 1)
    rule = partial(winit.glorot_normal, gain=gain)
    params = network.init_params(sizes, rule, rng, dtype=np.float32)
    for layer in range(depth * (bias > 0)):
        params[f"b{layer + 1}"] = rng.normal(0, bias, 400).astype(np.float32)
    return diagnostics.diagnose(params, x, activation=activation, rng=rng)


def a_layer(values: Array, first: int, last: int) -> float:
    """The factor a layer on the way back from layer `last` to `first`."""
    return float((values[first] / values[last]) ** (1 / (last - first)))


def chain(width: int, depth: int, nets: int, seed: int, gain: float, slope: float = 0.0) -> Array:
    """ln |x|² after `depth` leaky ReLU layers, for inputs of length 1, each with its own network.

    For Gaussian weights one input needs no matrix: given x, the pre-activations are independent
    Gaussians of variance gain² |x|² / width.
    """
    rng = np.random.default_rng(seed)
    logs = np.zeros(nets)
    for _ in range(depth):
        z = gain * rng.standard_normal((nets, width), dtype=np.float32) / np.sqrt(width)
        logs += np.log(np.sum(np.maximum(z, slope * z) ** 2, axis=1))
    return logs


def a_layer_of_mean(logs: Array, depth: int) -> float:
    """The factor of the mean |x|² a layer."""
    return float(np.mean(np.exp(logs)) ** (1 / depth))


def squared_singular_values(matrix: Array) -> Array:
    """The squares of all singular values."""
    squares: Array = np.linalg.svd(matrix, compute_uv=False) ** 2
    return squares


def share_right(params: network.Params, activation: str) -> float:
    """The share of the digits that a network reads right."""
    x, labels = digits()
    guesses = network.forward(params, x, activation).output.argmax(axis=1)
    return float(np.mean(guesses == labels))


# Xavier and tanh ----------------------------------------------------------------------------------


def c01_bend(seed: int) -> float:
    """Where the second derivative of LeCun's tanh is largest."""
    x = np.linspace(0, 3, 30_001)
    slopes = activations.get("lecun_tanh").derivative(x)
    return float(x[np.argmax(np.abs(np.gradient(slopes, x)))])


def c01_variance(seed: int) -> float:
    """The variance that LeCun's tanh passes on."""
    z = np.random.default_rng(seed).standard_normal(100_000)
    return float(np.var(activations.get("lecun_tanh")(z)))


@cache
def glorot_net(rule: str, seed: int, input_std: float) -> diagnostics.Report:
    """Glorot and Bengio's network: five hidden layers of 1000 tanh units and a softmax."""
    rng = np.random.default_rng(seed)
    standard = partial(winit.variance_scaling, scale=1 / 3, distribution="uniform")
    scheme = standard if rule == "standard" else winit.glorot_uniform
    x = input_std * rng.standard_normal((300, 1000))
    labels, sizes = rng.integers(0, 10, 300), [1000] * 6 + [10]
    params = network.init_params(sizes, scheme, rng, dtype=np.float32)
    return diagnostics.diagnose(params, x, labels, activation="tanh")


def c02_standard(seed: int) -> float:
    """The gradient's second moment at layer 1 over that at layer 5, standard rule."""
    gradient = glorot_net("standard", seed, 0.1).gradient
    return float(gradient[0] / gradient[4])


def c02_small(seed: int) -> float:
    """The same with Glorot's rule and small inputs."""
    gradient = glorot_net("Xavier", seed, 0.1).gradient
    return float(gradient[0] / gradient[4])


def c02_normalized(seed: int) -> float:
    """The same with Glorot's rule and inputs of std 1."""
    gradient = glorot_net("Xavier", seed, 1.0).gradient
    return float(gradient[0] / gradient[4])


def c02b_weights(seed: int) -> float:
    """The largest second moment of a layer's weight gradients over the smallest, standard rule."""
    squares = glorot_net("standard", seed, 1.0).weight_gradient[:5] ** 2
    return float(squares.max() / squares.min())


def c02c_keeps(seed: int) -> float:
    """The std of layer 5's activations over that of layer 1's, Glorot's rule, inputs of std 1."""
    std = glorot_net("Xavier", seed, 1.0).std
    return float(std[4] / std[0])


def average_singular_value(rule: str, seed: int, input_std: float, width: int = 300) -> float:
    """The mean singular value of a layer's Jacobian, over five tanh layers."""
    rng = np.random.default_rng(seed)
    scale: Keywords = {
        "scale": 1 / 3 if rule == "standard" else 1.0,
        "distribution": "uniform",
    }
    params = network.init_params([width] * 6, partial(winit.variance_scaling, **scale), rng)
    x = input_std * rng.standard_normal((1, width))
    averages = []
    for i, z in enumerate(network.forward(params, x, "tanh").z, start=1):
        jacobian = activations.tanh.derivative(z[0])[:, np.newaxis] * params[f"W{i}"]
        averages.append(np.linalg.svd(jacobian, compute_uv=False).mean())
    return float(np.mean(averages))


def c03_normalized(seed: int) -> float:
    """Glorot's rule, small inputs."""
    return average_singular_value("Xavier", seed, 0.3)


def c03_standard(seed: int) -> float:
    """The standard rule, small inputs."""
    return average_singular_value("standard", seed, 0.3)


def c03_unit(seed: int) -> float:
    """Glorot's rule, inputs of std 1."""
    return average_singular_value("Xavier", seed, 1.0)


def stanford(std: float, layer: int, activation: str, seed: int) -> float:
    """The std of the activations in Stanford's table: 10 layers of 500, 1000 Gaussian inputs."""
    rng = np.random.default_rng(seed)
    a = rng.standard_normal((1000, 500), dtype=np.float32)
    for _ in range(layer):
        weights = std * rng.standard_normal((500, 500), dtype=np.float32)
        a = activations.get(activation)(a @ weights)
    return float(np.std(a, dtype=np.float64))


def c04_small(seed: int) -> float:
    """Weights of std 0.01, tanh, layer 5."""
    return stanford(0.01, 5, "tanh", seed)


def c04_xavier(seed: int) -> float:
    """Xavier's rule, tanh, layer 10."""
    return stanford(500**-0.5, 10, "tanh", seed)


def c04_he(seed: int) -> float:
    """He's rule, ReLU, layer 1."""
    return stanford((2 / 500) ** 0.5, 1, "relu", seed)


def c05_keeps(seed: int) -> float:
    """The signal's second moment at layer 50, Xavier's rule and tanh."""
    return float(deep("tanh", 1.0, 50, seed).q[-1])


def n15_quarter(seed: int) -> float:
    """The variance of the activations at layer 20, Xavier's rule and tanh."""
    return float(deep("tanh", 1.0, 50, seed).std[19] ** 2)


def c28_keeps(seed: int) -> float:
    """The std of the activations, gain 5/3 and tanh."""
    return float(np.mean(deep("tanh", 5 / 3, 40, seed).std[5:36]))


def c28_gradient(seed: int) -> float:
    """What a layer makes of the gradient's second moment, gain 5/3 and tanh."""
    return a_layer(deep("tanh", 5 / 3, 40, seed).gradient, 5, 35)


def c40_sigmoid(seed: int) -> float:
    """What a layer leaves of the gradient's second moment, sigmoid and 4 times Xavier's weights."""
    return a_layer(deep("sigmoid", 4.0, 12, seed).gradient, 1, 11)


def c36_top_layer(seed: int) -> float:
    """The mean activation of the last of four sigmoid layers after one epoch on the digits."""
    x, labels = digits()
    rng = np.random.default_rng(seed)
    scheme = partial(winit.variance_scaling, scale=1 / 3, distribution="uniform")
    params = network.init_params([64] + [100] * 4 + [10], scheme, rng)
    settings: Keywords = {
        "activation": "sigmoid",
        "learning_rate": 0.5,
        "epochs": 1,
        "batch_size": 10,
    }
    trained, _ = network.sgd(params, x, labels, rng=rng, **settings)
    return float(network.forward(trained, x, "sigmoid").a[4].mean())


def n16_bottlenecks(seed: int) -> float:
    """The signal left by Xavier's rule over widths that alternate between 512 and 64; 20 nets."""
    left = []
    for rng in np.random.default_rng(seed).spawn(20):
        signal = rng.standard_normal((100, 512), dtype=np.float32)
        for shape in ((512, 64), (64, 512)) * 10:
            signal = signal @ rng.standard_normal(shape, dtype=np.float32) * (2 / 576) ** 0.5
        left.append(np.mean(signal**2))
    return float(np.mean(left))


# He, and networks that are narrow -----------------------------------------------------------------


def c07_he(seed: int) -> float:
    """He's rule, ReLU: the factor of the mean |x|² a layer."""
    return a_layer_of_mean(chain(512, 20, 500, seed, np.sqrt(2)), 20)


def c07_xavier(seed: int) -> float:
    """The same with Xavier's rule."""
    return a_layer_of_mean(chain(512, 20, 500, seed, 1.0), 20)


def c07_pytorch(seed: int) -> float:
    """The same with the weights of PyTorch's default."""
    return a_layer_of_mean(chain(512, 20, 500, seed, np.sqrt(1 / 3)), 20)


def n13_biases(seed: int, width: int = 512) -> float:
    """Width times q after 20 ReLU layers, weights and biases of PyTorch's default."""
    rng = np.random.default_rng(seed)
    a, limit = rng.standard_normal((50, width)), width**-0.5
    for _ in range(20):
        weights, bias = rng.uniform(-limit, limit, (width + 1, width)), rng.uniform(-1, 1, width)
        z = a @ weights[:-1] + limit * bias
        a = np.maximum(z, 0)
    return float(width * np.mean(z**2))


def c08_vgg(seed: int) -> float:
    """How many times smaller the gradient is with std 0.01 than with He's stds in VGG's 9 layers.

    The kernels are dense and narrow here: a ReLU network without biases is homogeneous, so that the
    ratio is the product of the ratios of the stds, whatever else the layers are.
    """
    rng = np.random.default_rng(seed)
    stds = [np.sqrt(2 / (9 * c)) for c in (64, 128, 128, 256, 256, 512, 512, 512, 512)]
    he = network.init_params([20] * 10, winit.he_normal, rng)
    small = {name: np.array(values) for name, values in he.items()}
    for i, std in enumerate(stds, start=1):
        small[f"W{i}"] *= 0.01 / std
    x, norms = rng.standard_normal((1, 20)), []
    for params in (he, small):
        trace = network.forward(params, x, "relu")
        gradients = network.backward(params, trace, np.ones((1, 20)))
        norms.append(np.linalg.norm(gradients.x))
    return float(norms[0] / norms[1])


def thirty_layers(rule: Callable[..., Array], seed: int) -> network.Params:
    """Thirty ReLU layers of 64 units, before they are trained on the digits."""
    rng = np.random.default_rng(seed)
    return network.init_params([64] * 31 + [10], rule, rng, dtype=np.float32)


def c09_stalls(seed: int) -> float:
    """The loss of thirty layers with Xavier's rule after two epochs."""
    x, labels = digits()
    params = thirty_layers(winit.glorot_normal, seed)
    settings: Keywords = {"learning_rate": 0.05, "epochs": 2, "clip": 1.0, "rng": seed}
    trained, _ = network.sgd(params, x, labels, batch_size=64, **settings)
    return network.softmax_cross_entropy(network.forward(trained, x).output, labels)[0]


def c09_gradient(seed: int) -> float:
    """How many times larger the first layer's gradient is with He's rule, as a power of 2."""
    x, labels = digits()
    first = []
    for rule in (winit.he_normal, winit.glorot_normal):
        report = diagnostics.diagnose(thirty_layers(rule, seed), x[:300], labels[:300])
        first.append(report.weight_gradient[0])
    return float(np.log2(first[0] / first[1]))


def c41_variance(seed: int) -> float:
    """The variance of the activations after a He layer whose inputs have second moment 1."""
    rng = np.random.default_rng(seed)
    x = np.sqrt(2) * np.maximum(rng.standard_normal((300, 1000)), 0)
    z = x @ winit.he_normal((1000, 1000), rng=rng).T
    return float(np.var(np.maximum(z, 0)))


def c14_fluctuations(seed: int) -> float:
    """The variance of ln |x|² over He networks of width 50 and depth 20."""
    return float(np.var(chain(50, 20, 4000, seed, np.sqrt(2))))


def c13_typical(seed: int) -> float:
    """The mean of ln |x|² after 200 layers of width 100 with He's rule."""
    return float(np.mean(chain(100, 200, 400, seed, np.sqrt(2))))


def c13_walk(seed: int) -> float:
    """The gain that keeps ln |x|² level at width 100."""
    return float(np.exp(-np.mean(chain(100, 1, 40_000, seed, 1.0)) / 2))


def c13_narrow(seed: int) -> float:
    """The gain that keeps ln |x|² level at width 6, dead layers left out."""
    z = np.maximum(np.random.default_rng(seed).standard_normal((200_000, 6)), 0)
    squares = np.mean(z**2, axis=1)
    return float(np.exp(-np.mean(np.log(squares[squares > 0])) / 2))


def c15_cut(seed: int) -> float:
    """The factor of q a ReLU layer, He's normal cut at two stds and not corrected."""
    rng = np.random.default_rng(seed)
    x, q = rng.standard_normal((100, 300)), []
    for _ in range(30):
        W = winit.truncated_normal((300, 300), rng=rng) * np.sqrt(2 / 300)
        x = np.maximum(x @ W.T, 0)
        q.append(np.mean(x**2))
    return float((q[-1] / q[0]) ** (1 / 29))


def c26_dead(seed: int) -> float:
    """The share of ReLU networks of width 2 and depth 10 that answer one input with zeros alone."""
    rng = np.random.default_rng(seed)
    a = np.ones((20_000, 2))
    for _ in range(10):
        W = rng.standard_normal((20_000, 2, 2))
        a = np.maximum(np.einsum("kij,kj->ki", W, a), 0)
    return float(np.mean(~a.any(axis=1)))


# Other activation functions -----------------------------------------------------------------------


def c19_contracts(seed: int) -> float:
    """How a small error of the variance passes one SELU layer, Gaussian and LeCun's variance."""
    z = np.random.default_rng(seed).standard_normal(1_000_000)
    selu = activations.get("selu")
    above, below = (np.mean(selu(np.sqrt(1 + step) * z) ** 2) for step in (0.05, -0.05))
    return float((above - below) / 0.1)


def c19b_variance(seed: int) -> float:
    """The variance of SELU activations after 50 layers, inputs of mean 0.3 and variance 2."""
    rng = np.random.default_rng(seed)
    a = 0.3 + np.sqrt(2) * rng.standard_normal((100, 512))
    for _ in range(50):
        a = activations.get("selu")(a @ winit.lecun_normal((512, 512), rng=rng).T)
    return float(np.var(a))


def c35_selu(seed: int) -> float:
    """What a layer makes of the gradient's second moment, SELU and LeCun's variance."""
    return a_layer(deep("selu", 1.0, 40, seed).gradient, 5, 35)


def c35_pytorch(seed: int) -> float:
    """The same with PyTorch's gain for SELU, 3/4."""
    q = theory.fixed_point("selu", 0.75).q_star  # so that the first layer begins there
    return a_layer(deep("selu", 0.75, 40, seed, data=np.sqrt(q) / 0.75).gradient, 5, 35)


def c30_selu(seed: int) -> float:
    """1 over the std of SELU, by the trapezoidal rule."""
    z = np.linspace(-12, 12, 200_001)
    weights = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi) * (z[1] - z[0])
    values = activations.get("selu")(z)
    return float(1 / np.sqrt(weights @ values**2 - (weights @ values) ** 2))


def c29_cut(seed: int) -> float:
    """The std of normal numbers that are cut at two standard deviations."""
    return float(np.std(winit.truncated_normal((1000, 1000), std=1.0, rng=seed)))


def after_thirty(activation: str, seed: int) -> float:
    """The share of the signal's second moment that 30 layers with He's rule leave of q = 1."""
    return float(deep(activation, np.sqrt(2), 31, seed, data=np.sqrt(1 / 2)).q[-1])


def c34_gelu(seed: int) -> float:
    """GELU."""
    return after_thirty("gelu", seed)


def c34_silu(seed: int) -> float:
    """SiLU."""
    return after_thirty("silu", seed)


def c34_mish(seed: int) -> float:
    """Mish."""
    return after_thirty("mish", seed)


def n08_square(seed: int) -> float:
    """How a small error of q passes a layer of squared ReLU, as a power."""
    rng = np.random.default_rng(seed)
    W = np.sqrt(2 / 3) * winit.lecun_normal((1000, 1000), rng=rng)
    x = np.maximum(rng.standard_normal((200, 1000)), 0) ** 2
    first, second = (np.mean((x * scale**2 @ W.T) ** 2) for scale in (1, 1.1))
    return float(np.log(second / first) / np.log(1.1**2))


# Wide networks, deep ------------------------------------------------------------------------------


def c16_settles(seed: int) -> float:
    """Where q settles: tanh, sigma_w 2.5, sigma_b 0.3."""
    return float(np.mean(deep("tanh", 2.5, 20, seed, bias=0.3).q[8:]))


def c16_parts(seed: int) -> float:
    """Where the correlation of two inputs settles, in the same network."""
    rng = np.random.default_rng(seed)
    a, found = rng.standard_normal((10, 400)), []
    for _ in range(30):
        z = a @ (2.5 * winit.lecun_normal((400, 400), rng=rng).T) + 0.3 * rng.standard_normal(400)
        a = np.tanh(z)
        found.append(np.asarray(np.corrcoef(z))[np.triu_indices(10, 1)].mean())
    return float(np.mean(found[15:]))


def c17_critical(seed: int) -> float:
    """What a layer makes of the gradient's second moment, tanh at sigma_w² 1.76, sigma_b² 0.05."""
    report = deep("tanh", np.sqrt(1.76), 40, seed, bias=np.sqrt(0.05))
    return a_layer(report.gradient, 5, 35)


def c17_line(seed: int) -> float:
    """The critical sigma_w² for sigma_b² = 2.01e-5, by the trapezoidal rule and bisection."""
    z = np.linspace(-10, 10, 4001)
    weights = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi) * (z[1] - z[0])
    low, high = 0.001, 0.1
    for _ in range(40):
        q = (low + high) / 2
        a = np.tanh(np.sqrt(q) * z)
        variance = 1 / (weights @ (1 - a**2) ** 2)  # which keeps the gradient at this q
        after = variance * (weights @ a**2) + 2.01e-5
        low, high = (q, high) if after > q else (low, q)
    return float(variance)


def c17_scale(seed: int) -> float:
    """Over how many layers two inputs approach each other e-fold, sigma_w² 1.3, sigma_b² 0.05."""
    rng = np.random.default_rng(seed)
    a, gaps = rng.standard_normal((10, 600)), []
    for _ in range(25):
        W = np.sqrt(1.3) * winit.lecun_normal((600, 600), rng=rng)
        z = a @ W.T + np.sqrt(0.05) * rng.standard_normal(600)
        a = np.tanh(z)
        units = z / np.linalg.norm(z, axis=1, keepdims=True)
        gaps.append(1 - (units @ units.T)[np.triu_indices(10, 1)].mean())
    return float(-1 / np.polyfit(np.arange(8, 25), np.log(gaps[8:]), 1)[0])


def trained_at(depth: int, seed: int) -> float:
    """The share of the digits right after 116 steps, tanh, sigma_w² 1, sigma_b² 0.05."""
    x, labels = digits()
    rng = np.random.default_rng(seed)
    sizes = [64] + [100] * depth + [10]
    params = network.init_params(sizes, winit.lecun_normal, rng, dtype=np.float32)
    for layer in range(1, depth + 1):
        params[f"b{layer}"] = rng.normal(0, np.sqrt(0.05), 100).astype(np.float32)
    settings: Keywords = {
        "activation": "tanh",
        "learning_rate": 0.1,
        "epochs": 4,
        "batch_size": 64,
    }
    return share_right(network.sgd(params, x, labels, rng=rng, **settings)[0], "tanh")


def c38_deep(seed: int) -> float:
    """40 layers, where six depth scales are 22."""
    return trained_at(40, seed)


def c38_shallow(seed: int) -> float:
    """10 layers."""
    return trained_at(10, seed)


def c18_tanh(seed: int) -> float:
    """The relative variance of the squared singular values of 16 orthogonal tanh layers."""
    sigma_w, found = np.sqrt(1 / 64 / theory.second_moment("tanh", 1 / 64)), []
    for rng in np.random.default_rng(seed).spawn(6):
        a, J = np.tanh(rng.standard_normal(200) / 8), np.eye(200)
        for _ in range(16):
            W = sigma_w * winit.orthogonal((200, 200), rng=rng)
            a = np.tanh(W @ a)
            J = (1 - a**2)[:, np.newaxis] * (W @ J)
        squares = squared_singular_values(J)
        found.append(np.var(squares) / np.mean(squares) ** 2)
    return float(np.mean(found))


def c18_relu(seed: int) -> float:
    """The same of four orthogonal ReLU layers."""
    found = []
    for rng in np.random.default_rng(seed).spawn(8):
        x, J = rng.standard_normal(200), np.eye(200)
        for _ in range(4):
            W = np.sqrt(2) * winit.orthogonal((200, 200), rng=rng)
            x = np.maximum(W @ x, 0)
            J = (x > 0)[:, np.newaxis] * (W @ J)
        squares = squared_singular_values(J)
        found.append(np.var(squares) / np.mean(squares) ** 2)
    return float(np.mean(found))


def c12_spread(seed: int) -> float:
    """The variance of the squared singular values of a product of four Gaussian matrices."""
    rng = np.random.default_rng(seed)
    product = np.linalg.multi_dot([winit.lecun_normal((400, 400), rng=rng) for _ in range(4)])
    return float(np.var(squared_singular_values(product)))


def c10_half_time(seed: int) -> float:
    """When a mode of strength 3 is half learned by two linear weights, started at 0.001."""
    weights, steps, rate = np.full(2, np.sqrt(0.001)), 0, 1e-3 / 3
    while weights.prod() < 1.5:
        weights = weights + rate * (3 - weights.prod()) * weights[::-1]
        steps += 1
    return steps * rate


def steps_needed(depth: int, seed: int) -> int:
    """Steps of gradient descent to 1% loss: a linear net 16 -> 32^depth -> 16, orthogonal start."""
    rng = np.random.default_rng(seed)
    target = rng.standard_normal((16, 16)) / 4
    sizes = [16] + [32] * depth + [16]
    weights = [winit.orthogonal(s, rng=rng) for s in zip(sizes[1:], sizes[:-1], strict=True)]
    first, rate = 0.0, 0.2 / len(weights)
    for step in range(600):
        after = [np.eye(16)]
        for W in weights:
            after.append(W @ after[-1])
        error = after[-1] - target
        first = first or float(np.sum(error**2))
        if np.sum(error**2) < 0.01 * first:
            return step
        for i in reversed(range(len(weights))):
            change, error = error @ after[i].T, weights[i].T @ error
            weights[i] = weights[i] - rate * change
    return 600


def c11_orthogonal(seed: int) -> float:
    """How many times longer 64 hidden layers take than 4."""
    return steps_needed(64, seed) / steps_needed(4, seed)
