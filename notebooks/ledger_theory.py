"""Predictions of the ledger that take more than one call of `winit.theory`."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.special import digamma, polygamma
from scipy.stats import binom

from winit import theory


@functools.cache
def passage(gain: float, layers: int, data: float = 1.0) -> tuple[list[float], list[float]]:
    """The second moment of tanh activations, data first, and each layer's factor of gradient²."""
    signal, factors = [data], []
    for _ in range(layers):
        q = gain**2 * signal[-1]
        signal.append(theory.second_moment("tanh", q))
        factors.append(theory.chi_1("tanh", gain, q))
    return signal, factors


def gradient_left(gain: float, layers: int, data: float = 1.0) -> float:
    """What so many tanh layers leave of the gradient's second moment."""
    return math.prod(passage(gain, layers, data)[1])


def weight_gradients(gain: float) -> float:
    """The largest second moment of weight gradients over the smallest, five tanh layers."""
    signal, factors = passage(gain, 5)
    moments = [signal[i] * math.prod(factors[i:4]) for i in range(5)]
    return max(moments) / min(moments)


def stanford(std: float, layers: int) -> float:
    """The std of tanh activations in a layer of the table, 500 units wide."""
    return math.sqrt(passage(std * math.sqrt(500), layers)[0][-1])


def chi_at_rest(activation: str, gain: float, sigma_b: float = 0.0) -> float:
    """What a layer makes of the gradient's second moment, once q has settled."""
    return theory.chi_1(activation, gain, theory.fixed_point(activation, gain, sigma_b).q_star)


def left_of_one(activation: str) -> float:
    """The second moment that thirty layers with He's rule leave of 1."""
    q = 1.0
    for _ in range(30):
        q = theory.q_map(activation, q, math.sqrt(2))
    return q


def log_chi_square(width: int, order: int) -> float:
    """Mean (order 0) or variance (1) of ln |relu(z)|², z of `width` unit Gaussians, not all 0."""
    active = np.arange(1, width + 1)
    shares = binom.pmf(active, width, 0.5) / (1 - 0.5**width)
    means = digamma(active / 2) + math.log(2)
    mean = shares @ means
    if order == 0:
        return float(mean)
    return float(shares @ (polygamma(1, active / 2) + (means - mean) ** 2))


def level_gain(width: int) -> float:
    """The gain of a ReLU layer that keeps ln |x|² level."""
    return math.exp((math.log(width) - log_chi_square(width, 0)) / 2)


def walk_gain(width: int) -> float:
    """The formula of the paper for the same."""
    return math.sqrt(2) * math.exp(1.2 / (max(width, 6) - 2.4))


def gaussian(f: Callable[[Any], Any]) -> float:
    """The mean of f over a unit Gaussian, by the trapezoidal rule."""
    z = np.linspace(-12, 12, 200_001)
    return float(np.exp(-(z**2) / 2) @ f(z) / math.sqrt(2 * math.pi) * (z[1] - z[0]))


def isometry(q: float, layers: int) -> float:
    """The relative variance of squared singular values through orthogonal tanh layers."""
    fourth = gaussian(lambda z: np.cosh(math.sqrt(q) * z) ** -8.0)
    second = gaussian(lambda z: np.cosh(math.sqrt(q) * z) ** -4.0)
    return layers * (fourth / second**2 - 1)


def agreement(depth: int) -> float:
    """The mean-field cosine of two gradients through ReLU layers; the inputs are orthogonal."""
    c, left = 0.0, 1.0
    for _ in range(depth):
        left *= 1 - math.acos(c) / math.pi
        c = (math.sqrt(1 - c**2) + c * (math.pi - math.acos(c))) / math.pi
    return left


def mean_loss(classes: int, variance: float) -> float:
    """The mean loss at Gaussian logits, from 20,000 draws."""
    draws = np.random.default_rng(10**6).standard_normal((20_000, classes)) * math.sqrt(variance)
    return float(np.mean(np.logaddexp.reduce(draws, axis=1)))


def first_block() -> float:
    """The share of the embedding after GPT-2's first block: near-uniform attention, and an MLP."""
    std, d, tokens = 0.02, 768, 64
    v, out = d * std**2, std**2 / 24
    attention = d * out * v * np.mean(1 / np.arange(1, tokens + 1))
    return float(
        2 * std**2 / (2 * std**2 + attention + 4 * d * out * theory.second_moment("gelu", v))
    )


def branches_grow() -> float:
    """The stream after twelve blocks if the first block's branches were added independently."""
    return 1 + 12 * (1 / first_block() - 1)


def unmoved() -> float:
    """The share of bfloat16 numbers of std 0.02 whose spacing is over twice the step of 1e-4."""
    edge = 2.0**-6  # from here on two neighbors are 2^-6 / 128 = 1.2e-4 apart, and 2.4e-4 from 2^-5
    return math.erfc(2 * edge / 0.02 / math.sqrt(2))


def vgg() -> float:
    """The product of He's stds in nine layers of VGG, each over 0.01."""
    channels = (64, 128, 128, 256, 256, 512, 512, 512, 512)
    return math.prod(100 * math.sqrt(2 / (9 * c)) for c in channels)


def square(x: Any) -> Any:
    """Squared ReLU."""
    return np.maximum(x, 0) ** 2


def uncorrected_cut() -> float:
    """The variance of unit Gaussians that are cut at two standard deviations."""
    density, inside = math.exp(-2) / math.sqrt(2 * math.pi), math.erf(math.sqrt(2))
    return 1 - 4 * density / inside
