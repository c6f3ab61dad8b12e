"""What four standard errors of a row's estimate are, for one seed, from theory and not from runs.

A layer of n units multiplies the mean square of its inputs by a number that chance makes of
variance 2/n for one input (chapter 4). Several inputs share the layer's weights, so that they help
only as far as they point in different directions, and each layer makes them more alike.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial

from ledger_theory import log_chi_square, passage, uncorrected_cut
from winit import theory


def shared(
    widths: Sequence[int], alike: float, start: float = 0.0, slopes: Sequence[float] | None = None
) -> float:
    """The relative standard error of the mean square after Gaussian layers of these widths.

    `alike` is the mean squared cosine of two of the inputs (1 for one input alone, 1/k for k that
    are orthogonal), and `start` the relative variance of the inputs' own mean square. Exact for a
    linear network; a slope is the power of its input's mean square that an activation passes on.
    """
    variance, steepness = start, slopes or [1.0] * len(widths)
    for n, slope in zip(widths, steepness, strict=True):
        after = slope**2 * (variance + 2 * alike / n)
        alike = (1 + variance) / n + (1 + 1 / n) * alike
        variance = after
    return math.sqrt(variance)


def tanh_slopes(layers: int) -> list[float]:
    """The powers of q that so many tanh layers pass on, Xavier's rule and inputs of std 1."""

    def slope(q: float, step: float = 1e-4) -> float:
        above, below = (theory.second_moment("tanh", q * (1 + s)) for s in (step, -step))
        return math.log(above / below) / math.log((1 + step) / (1 - step))

    return [slope(q) for q in passage(1.0, layers)[0][:layers]]


def back_five() -> float:
    """Gradient², layer 1 over layer 5, 1000 wide; ten logits leave nine directions."""
    return shared([1000] * 4, 1 / 9 + 1 / 1000)


def forward_five() -> float:
    """The std of layer 5 over that of layer 1, in the same network: half that of the square."""
    return shared([1000] * 4, 1 / 300 + 2 / 1000, slopes=tanh_slopes(5)[1:]) / 2


def signal(layers: int) -> float:
    """The second moment after tanh layers of 400, 100 Gaussian inputs, Xavier's rule."""
    return shared([400] * layers, 1 / 100 + 1 / 400, 2 / 40_000, tanh_slopes(layers))


def bottlenecks() -> float:
    """The mean over 20 linear networks, 100 Gaussian inputs."""
    return shared([64, 512] * 10, 1 / 100 + 1 / 512, 2 / 51_200) / math.sqrt(20)


def a_layer_back() -> float:
    """Gradient² a layer, over thirty of 400; 100 random starts have come through six before."""
    return shared([400] * 30, 1 / 100 + 6 / 400) / 30


def a_layer_alike() -> float:
    """The same where inputs become alike, and so do the steepnesses that they meet."""
    return shared([400] * 30, 1.0) / 30


def a_relu_layer(nets: int) -> float:
    """|x|² a layer, over twenty ReLU layers of 512: one input's varies by 5/n in each."""
    return math.sqrt(((1 + 5 / 512) ** 20 - 1) / nets) / 20


def level(width: int, nets: int) -> float:
    """The gain that keeps ln |x|² level: half the mean of so many logarithms."""
    return math.sqrt(log_chi_square(width, 1) / nets) / 2


def cut() -> float:
    """The std of a million cut normals of variance v, whose fourth moment is 3 v - 4 (1 - v)."""
    v = uncorrected_cut()
    kurtosis = (3 * v - 4 * (1 - v)) / v**2  # by parts, as exercise 9.1 finds v
    return math.sqrt((kurtosis - 1) / 4 / 1_000_000)


# One standard error, in the units of the row's tolerance: a share of the number, or the number's.
ERRORS: dict[str, Callable[[], float]] = {
    "C02": back_five,
    "C02s": back_five,
    "C02n": back_five,
    "C02d": forward_five,
    "N16": bottlenecks,
    "C05": partial(signal, 50),
    "N15": partial(signal, 20),
    "C39": a_layer_back,
    "C07": partial(a_relu_layer, 500),
    "C07x": partial(a_relu_layer, 500),
    "C07p": partial(a_relu_layer, 500),
    "C13b": lambda: math.sqrt(200 * log_chi_square(100, 1) / 400),
    "C13": partial(level, 100, 40_000),
    "C13n": partial(level, 6, 200_000),
    "C15": lambda: math.sqrt(5 / 300 / 29),  # inputs become alike, as if there were one
    "C26": lambda: math.sqrt(0.75**10 * (1 - 0.75**10) / 20_000),
    "C29": cut,
    "C35": a_layer_back,
    "C35p": a_layer_back,
    "C17": a_layer_alike,
    "U1": lambda: 1 / math.sqrt(256),  # of noise, which is what is said
    "U2": lambda: 1 / math.sqrt(256),
    "U3": lambda: 1 / math.sqrt(256),
    "C21g": lambda: math.sqrt(2 / 20_000),
}


def four(key: str) -> float:
    """Four standard errors of the row's number."""
    return 4 * ERRORS[key]()
