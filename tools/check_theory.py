"""Compare `winit.theory` with what the maps do when they are iterated, layer by layer.

Random fixed points, critical points and correlations of every activation. Nothing is shared with
the package but the activations themselves: the expectations are taken by another rule (each stretch
between kinks is mapped by sinh, which sees every scale), the maps become tables (splines of order
5 in ln q, polynomials in arccos c), and the tables are iterated without any search for roots.

    python tools/check_theory.py [--fixed 4000] [--critical 1000] [--correlations 1000] [--seed 0]
"""

from __future__ import annotations

import argparse
import functools
import itertools
import math
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import BarycentricInterpolator, make_interp_spline

from winit import activations, theory
from winit.activations import Activation

Array = NDArray[Any]

NAMES = tuple(activations.ACTIVATIONS)
LAYERS = 5_000
DEAD, EXPLODED = 1e-16, 1e13  # where the tables end


# ---------------------------------------------------------------------------- expectations


leggauss = functools.cache(np.polynomial.legendre.leggauss)


def stretches(std: float, marks: tuple[float, ...], points: int = 12) -> tuple[Array, Array]:
    """Points and weights for an integral over |x| <= 12.5 std, split at the marks and at 0."""
    nodes, weights = leggauss(points)
    end = 12.5 * std
    bounds = sorted({-end, 0.0, end, *(mark for mark in marks if abs(mark) < end)})
    xs, ws = [], []
    for a, b in itertools.pairwise(bounds):
        # from the end nearer to 0 the points widen as sinh does, at a scale of 1 or of std
        near, far = (a, b) if abs(a) <= abs(b) else (b, a)
        scale = min(1.0, std) / 2
        reach = math.asinh(abs(far - near) / scale)
        panels = math.ceil(2.5 * reach)
        half = reach / panels / 2
        t = (half * (2 * np.arange(panels)[:, None] + 1 + nodes)).ravel()
        xs.append(near + math.copysign(scale, far - near) * np.sinh(t))
        ws.append(np.tile(half * weights, panels) * scale * np.cosh(t))
    return np.concatenate(xs), np.concatenate(ws)


def bell(x: Array, std: float) -> Array:
    """The normal density of this std."""
    values: Array = np.exp(-((x / std) ** 2) / 2) / (std * math.sqrt(2 * math.pi))
    return values


def moments(phi: Activation, q: float) -> tuple[float, float, float]:
    """E phi, E phi² and E phi'² for z ~ N(0, q)."""
    x, w = stretches(math.sqrt(q), phi.kinks)
    w = w * bell(x, math.sqrt(q))
    values = phi(x)
    return float(w @ values), float(w @ values**2), float(w @ phi.derivative(x) ** 2)


def sine(q: float) -> tuple[float, float, float]:
    """The same for sin, in closed form: at large q no rule can follow the waves."""
    return 0.0, -math.expm1(-2 * q) / 2, (1 + math.exp(-2 * q)) / 2


@dataclass(frozen=True)
class Maps:
    """ln E phi² and ln E phi'² over ln q, as splines."""

    forward: Callable[[Array], Array]
    back: Callable[[Array], Array]


@functools.cache
def maps(name: str) -> Maps:
    phi = activations.get(name)
    u = np.linspace(math.log(DEAD) - 1, math.log(EXPLODED) + 1, 1601)
    table = np.array([sine(q) if name == "sin" else moments(phi, q) for q in np.exp(u).tolist()])
    forward, back = (make_interp_spline(u, np.log(column), k=5) for column in table.T[1:])
    return Maps(forward, back)


def settle(
    name: str, variance_w: Array, variance_b: Array, q0: Array, layers: int = LAYERS
) -> tuple[Array, Array]:
    """ln q after many layers, and how it still moves in one: the map itself, again and again."""
    table, u, moved = maps(name), np.log(q0), np.zeros(len(q0))
    active = np.arange(len(q0))
    for _ in range(layers):
        now = u[active]
        after = np.log(variance_w[active] * np.exp(table.forward(now)) + variance_b[active])
        moved[active] = after - now
        u[active] = after
        going = (
            (np.abs(after - now) > 1e-13) & (after > math.log(DEAD)) & (after < math.log(EXPLODED))
        )
        active = active[going]
        if not len(active):
            break
    return u, moved


# ---------------------------------------------------------------------------- fixed points


def log_uniform(rng: np.random.Generator, low: float, high: float, size: int) -> Array:
    return np.exp(rng.uniform(math.log(low), math.log(high), size))


def near_gain(rng: np.random.Generator, name: str, size: int) -> Array:
    """Values of sigma_w: half of them anywhere, half around the gain, where it is decided."""
    gain = 1 / math.sqrt(math.exp(float(maps(name).forward(np.zeros(1))[0])))
    near = gain * np.exp(rng.normal(0, 0.15, size))
    return np.where(rng.random(size) < 0.5, near, log_uniform(rng, 0.1, 30, size))


def biases(rng: np.random.Generator, size: int) -> Array:
    """Values of sigma_b: a third of them 0."""
    return np.where(rng.random(size) < 1 / 3, 0.0, log_uniform(rng, 1e-4, 10, size))


def wrong_fixed_points(name: str, size: int, rng: np.random.Generator) -> list[str]:
    sigma_w, sigma_b = near_gain(rng, name, size), biases(rng, size)
    q0 = np.where(rng.random(size) < 0.5, 1.0, log_uniform(rng, 1e-3, 1e3, size))
    ends, moves = settle(name, sigma_w**2, sigma_b**2, q0)
    wrong = []
    for w, b, start, end, move in zip(sigma_w, sigma_b, q0, ends, moves, strict=True):
        q = theory.fixed_point(name, w, b, start).q_star
        if end <= math.log(DEAD):
            right = q <= DEAD
        elif end >= math.log(EXPLODED):
            right = q >= EXPLODED
        elif abs(move) > 1e-13:  # still on its way, more slowly than any factor
            right = (math.log(max(q, DEAD)) - end) * move > 0
        else:
            # what one layer still moves is what is left of the error, times 1 - slope
            slope = 1 - abs(theory.q_slope(name, math.exp(end), w))
            right = abs(math.log(max(q, DEAD)) - end) < 1e-6 + 1e-10 / max(abs(slope), 1e-9)
        if not right:
            wrong.append(
                f"fixed_point({name!r}, {w!r}, {b!r}, {start!r}) is {q:.9g}; the map goes to "
                f"{math.exp(end):.9g} and moves by {move:.1e} a layer"
            )
    return wrong


# ---------------------------------------------------------------------------- critical points


def chi(name: str, variance_w: Array, u: Array) -> Array:
    values: Array = variance_w * np.exp(maps(name).back(u))
    return values


def wrong_critical_points(name: str, size: int, rng: np.random.Generator) -> list[str]:
    found, wrong = [], []
    for b in biases(rng, size).tolist():
        try:
            found.append((theory.critical_line(name, b), b))
        except ValueError:
            if missed := denied(name, b):
                wrong.append(f"critical_line({name!r}, {b!r}) denies one at sigma_w={missed:.6g}")
    if not found:
        return wrong
    sigma_w, sigma_b = np.array(found).T
    off = np.full(len(found), np.inf)
    # Without a bias the point may be the limit of small signals, which is reached too slowly for
    # any iteration: so a signal that starts there is looked at as well.
    biased = sigma_b > 0
    for q0, some, layers in (
        (1.0, biased, 80 * LAYERS),
        (1.0, ~biased, LAYERS),
        (10 * DEAD, ~biased, LAYERS),
    ):
        ends = settle(
            name, sigma_w[some] ** 2, sigma_b[some] ** 2, np.full(some.sum(), q0), layers
        )[0]
        off[some] = np.minimum(off[some], np.abs(chi(name, sigma_w[some] ** 2, ends) - 1))
    for i in np.flatnonzero(off > 1e-6):
        wrong.append(
            f"critical_line({name!r}, {sigma_b[i]!r}) is {sigma_w[i]:.9g}, but the signal ends "
            f"where chi_1 differs from 1 by {off[i]:.2g}"
        )
    return wrong


def denied(name: str, sigma_b: float) -> float | None:
    """A sigma_w at which chi_1, where the signal settles, passes through 1."""
    w = np.geomspace(0.1, 100, 400)
    u, moved = settle(name, w * w, np.full(len(w), sigma_b**2), np.ones(len(w)))
    settled = (np.abs(moved) < 1e-9) & (u > math.log(DEAD)) & (u < math.log(EXPLODED))
    above = chi(name, w * w, u) > 1
    for i in np.flatnonzero(settled[:-1] & settled[1:] & (above[:-1] != above[1:])):
        low, high = w[i], w[i + 1]
        for _ in range(30):  # by halves: a jump from one fixed point to another is no passage
            middle = math.sqrt(low * high)
            at, _ = settle(name, np.array([middle**2]), np.array([sigma_b**2]), np.ones(1))
            value = chi(name, np.array([middle**2]), at)[0]
            low, high = (middle, high) if (value > 1) == above[i] else (low, middle)
        if abs(value - 1) < 1e-6:
            return float(low)
    return None


# ---------------------------------------------------------------------------- correlations


def smoothed_square(phi: Activation, q: float, c: float) -> float:
    """E phi(z1) phi(z2) as the mean square of phi smoothed: z = sqrt(c) a + sqrt(1 - c) b."""
    if c == 0:
        return moments(phi, q)[0] ** 2
    common, own = math.sqrt(c * q), math.sqrt((1 - c) * q)
    # each bend is smoothed over a width of `own`: points there at that scale
    bends = {0.0, *phi.kinks}
    around = [sign * step * own for sign in (-1, 1) for step in (1.0, 3.0, 6.0, 10.0)]
    a, weights = stretches(common, tuple(bends | {k + x for k in bends for x in around}), 10)
    weights = weights * bell(a, common)
    a, weights = a[weights > 1e-18], weights[weights > 1e-18]
    # the inner rule is split where a + own * b meets a bend; all rows have as many pieces
    nodes, inner_weights = leggauss(12)
    scales = np.array([1.0, 2.0, 4.0, 8.0, 16.0])
    edges = (np.concatenate([[*bends], scales, -scales]) - a[:, None]) / own
    fixed = np.broadcast_to(np.linspace(-9, 9, 10), (len(a), 10))
    edges = np.sort(np.clip(np.concatenate([edges, fixed], axis=1), -9, 9), axis=1)
    half = np.diff(edges)[..., None] / 2
    b = edges[:, :-1, None] + half * (1 + nodes)
    values = half * inner_weights * bell(b, 1.0) * phi(a[:, None, None] + own * b)
    return float(weights @ values.sum(axis=(1, 2)) ** 2)


def settled(name: str, size: int, rng: np.random.Generator) -> list[tuple[float, float, float]]:
    """Random sigma_w and sigma_b with a finite q*, and that q*."""
    found: list[tuple[float, float, float]] = []
    largest = 1e2 if name == "sin" else 1e6  # at a larger q this rule cannot follow the waves
    for _ in range(100):
        w, b = near_gain(rng, name, 4 * size), biases(rng, 4 * size)
        u, moved = settle(name, w**2, b**2, np.ones(len(w)))
        good = (np.abs(moved) < 1e-12) & (np.exp(u) > 1e-9) & (np.exp(u) < largest)
        found += zip(w[good].tolist(), b[good].tolist(), np.exp(u[good]).tolist(), strict=True)
        if len(found) >= size or not good.any():
            break
    return found[:size]


def iterated(table: Callable[[float], float], c: float) -> tuple[float, float]:
    """Where the c-map goes from c, and how much of the way it has not gone."""
    before, moved = 0.0, 1.0
    for _ in range(20 * LAYERS):
        after = float(table(math.acos(min(max(c, 0.0), 1.0))))
        before, moved, c = moved, after - c, after
        if abs(moved) < 1e-13:
            return c, 0.0
    rate = moved / before  # the rest of a geometric series
    rest = moved * rate / (1 - rate) if rate < 1 else 1.0
    return c + rest, abs(rest)


def wrong_correlations(name: str, size: int, rng: np.random.Generator) -> list[str]:
    phi, wrong = activations.get(name), []
    nodes = (1 - np.cos(np.pi * (np.arange(32) + 0.5) / 32)) / 2  # of Chebyshev, on [0, 1]
    angles = np.pi / 2 * nodes
    for w, b, q in settled(name, size, rng):
        c_star = theory.c_star(name, w, b)
        call = f"c_star({name!r}, {w!r}, {b!r})"
        slope = float(chi(name, np.array([w * w]), np.log([q]))[0])
        if slope <= 1:
            if c_star != 1.0:
                wrong.append(f"{call} is {c_star:.9g}, but chi_1 is {slope:.9g} and c goes to 1")
            continue
        values = [(w * w * smoothed_square(phi, q, math.cos(a)) + b * b) / q for a in angles]
        table = BarycentricInterpolator(angles, np.array(values))
        c, rest = iterated(table, float(rng.uniform(0, 0.99)))
        if abs(c - c_star) > 1e-6 + rest / 10:
            wrong.append(f"{call} is {c_star:.9g}, and the map goes to {c:.9g}")
    return wrong


# ---------------------------------------------------------------------------- all of it

KINDS: dict[str, Callable[[str, int, np.random.Generator], list[str]]] = {
    "fixed points": wrong_fixed_points,
    "critical points": wrong_critical_points,
    "c*": wrong_correlations,
}


def check(counts: dict[str, int], seed: int, names: tuple[str, ...] = NAMES) -> list[str]:
    """Compare so many of each kind, spread evenly over the activations; what was wrong."""
    wrong: list[str] = []
    for kind, count in counts.items():
        start, found = time.perf_counter(), []
        for i, name in enumerate(names):
            share = count // len(names) + (i < count % len(names))
            found += KINDS[kind](name, share, np.random.default_rng([seed, i]))
        seconds = time.perf_counter() - start
        print(f"{count:5d} {kind}: {len(found)} wrong ({seconds:.0f} s, seed {seed})", flush=True)
        wrong += found
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, add_help=True)
    parser.add_argument("--fixed", type=int, default=4000)
    parser.add_argument("--critical", type=int, default=1000)
    parser.add_argument("--correlations", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    counts = dict(zip(KINDS, (given.fixed, given.critical, given.correlations), strict=True))
    wrong = check(counts, given.seed)
    for line in wrong:
        print(line)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
