r"""Gaussian expectations in one and two dimensions, to rounding, or an error that says why not.

The interval is cut into panels of 16 Gauss-Lobatto points. A panel's 16 values are also the
coefficients of a Legendre series, and where its last terms have not died out the panel is not
resolved and is halved: so an undeclared jump, a kink, a singularity or a fast oscillation is found
and refined without a single extra point where the function is smooth.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Function = Callable[[Array], Array]

# Gauss-Lobatto nodes, whose first and last are the ends: no jump or kink between them is
# overlooked, as it would be beyond the last node of a Gauss-Legendre rule. The ends are drawn in by
# 1e-9, so that a kink where two panels meet is seen from each side; the weights are for that.
_INNER = np.polynomial.legendre.Legendre.basis(15).deriv().roots().real
_NODES = np.concatenate([[-1 + 1e-9], _INNER, [1 - 1e-9]])
# values at the nodes -> coefficients of their Legendre series; the first one is half the integral
_SERIES = np.linalg.inv(np.polynomial.legendre.legvander(_NODES, 15)).T
_WEIGHTS, _SERIES = 2 * _SERIES[:, 0], np.ascontiguousarray(_SERIES[:, 1:])
_LAST = 4  # an even or odd function has every other term, a kink may miss one more

# A panel may be wrong by this share of the integral of |f|. There are some 30, so that the sum is
# good to 1e-12 at worst, and far better in fact: the estimate is meant for kinks and jumps. In two
# dimensions the outer rule sees what the inner one leaves.
TOLERANCE, OUTER = 1e-14, 10.0
# So many panels at once: 2 MiB for each array of values.
_AT_ONCE = 2**14
# So many panels at most: in one dimension, and in all for a pair (about 1 s). The oscillations of
# sin(2e4 x), or of sin x for a std of 2e4, are just resolved.
LARGEST, LARGEST_PAIR = 2**18, 2**20

# Beyond |z| = 12 the normal density is below 1e-31. Where rarer values decide, as for a function
# that is 0 for most signals, the rule looks as far as the density has digits: 1e-282 at 36.
END, FAR = 12.0, 36.0
# Activations bend near 0, at a scale of 1 in their own argument: panels narrow there.
_SCALES = np.concatenate([[1.0, 2.0, 4.0, 8.0], 16.0 * 4.0 ** np.arange(260)])
# Further out the scales are spread wider, or two inputs of std 1e22 would take seconds: panels are
# halved where that is too wide.
_MOST_SCALES = 20
# A normal variable of this std, taken modulo 2 pi, is uniform: exp(-std² / 2) is below 1e-18.
_UNIFORM = 9.2


class Unresolved(ValueError):
    """The function changes too fast, or is not finite: no number can be given."""


class _Budget:
    """How many panels may still be spent on one number."""

    def __init__(self, panels: int) -> None:
        self.left = panels

    def spend(self, panels: int) -> None:
        self.left -= panels
        if panels > LARGEST or self.left < 0:
            raise Unresolved("it changes too fast to be integrated there")


def _measure(
    f: Callable[[Array, NDArray[np.intp]], Array],
    middle: Array,
    half: Array,
    row: NDArray[np.intp],
) -> tuple[Array, Array, Array]:
    """For each panel the integral, that of |f|, and how wrong the first may be."""
    parts = []
    for start in range(0, len(half), _AT_ONCE):
        some = slice(start, start + _AT_ONCE)
        width = half[some]
        values = f(middle[some, None] + width[:, None] * _NODES, row[some])
        series = np.abs(values @ _SERIES)
        last = series[:, -_LAST:].max(axis=1)
        # In a series that converges the rule, exact to degree 29, errs by the square of the last
        # term over the largest; in one that does not, such as a jump's, this is the last term.
        error = width * last * (last / np.maximum(series.max(axis=1), 1e-300))
        parts.append((width * (values @ _WEIGHTS), width * (np.abs(values) @ _WEIGHTS), error))
    integral, absolute, errors = (np.concatenate(part) for part in zip(*parts, strict=True))
    return integral, absolute, errors


def _integrate(
    f: Callable[[Array, NDArray[np.intp]], Array],
    edges: Array,
    budget: _Budget,
    tolerance: float,
    *,
    tail: float,
    least: float = 0.0,
    panels: list[Array] | None = None,
) -> Array:
    """The integral of f over each row of edges, which are sorted.

    `f` takes points of shape (panels, 16) and the row of each panel. What is allowed to be wrong is
    the same for all rows, a share of the largest one's integral of |f|, or of `least` where that is
    larger. It is inf if f overflows, or if what lies beyond `tail` matters. The ends of the panels
    that were used in the end are added to `panels`.
    """
    rows = len(edges)
    left, right = edges[:, :-1].ravel(), edges[:, 1:].ravel()
    row = np.repeat(np.arange(rows), edges.shape[1] - 1)
    keep = right > left
    left, right, row = left[keep], right[keep], row[keep]
    total = np.zeros(rows)
    size = -1.0
    while True:
        budget.spend(len(left))
        half = (right - left) / 2
        middle = left + half
        integral, absolute, error = _measure(f, middle, half, row)
        if np.isnan(integral).any():
            raise Unresolved("it is not a number everywhere")
        if size < 0:
            size = max(float(np.bincount(row, absolute, rows).max()), least)
            if not math.isfinite(size) or absolute[np.abs(middle) > tail].sum() > 1e-9 * size:
                overflow: Array = np.full(rows, np.inf)
                return overflow
        rough = (error > tolerance * size) & (half > 4e-16 * np.abs(middle)) & (half > 1e-290)
        if panels is not None:
            panels.append(np.stack([left, right], axis=1)[~rough])
        if not rough.any():
            return total + np.bincount(row, integral, rows)
        total += np.bincount(row[~rough], integral[~rough], rows)
        left, middle, right, row = left[rough], middle[rough], right[rough], row[rough]
        left, right = np.concatenate([left, middle]), np.concatenate([middle, right])
        row = np.concatenate([row, row])


class _Law:
    """The law of a normal variable of this std, for a function that may repeat itself.

    The function sees x = `scale` * z. A std beyond a quarter of the period is wrapped: z then runs
    over one period, from 0 to 1, and the waves of the density die out with the sixth.
    """

    def __init__(self, std: float, period: float | None, end: float) -> None:
        self.end = end
        self.wraps = period is not None and std > period / 4
        if self.wraps and period is not None:
            self.scale, self.tail, self.fixed = period, math.inf, np.linspace(0.0, 1.0, 5)
            k = np.arange(1, 7)
            self.waves = 2 * np.exp(-((2 * math.pi * k * min(std / period, 10.0)) ** 2) / 2)
        else:
            self.scale, self.tail, self.fixed = std, end - 1.5, np.arange(-end, end + 1, 1.5)

    def density(self, z: Array) -> Array:
        if self.wraps:
            k = np.arange(1, len(self.waves) + 1)
            wrapped: Array = 1 + np.cos(2 * math.pi * z[..., None] * k) @ self.waves
            return wrapped
        normal: Array = np.exp(-z * z / 2) / math.sqrt(2 * math.pi)
        return normal

    def edges(self, bends: Array) -> Array:
        """Panels in z for each row of bends, which are in x."""
        with np.errstate(over="ignore"):
            z = bends / self.scale
        z = z % 1.0 if self.wraps else np.clip(z, -self.end, self.end)
        fixed = np.broadcast_to(self.fixed, (len(z), len(self.fixed)))
        return np.sort(np.concatenate([fixed, z], axis=1), axis=1)


def _bends(reach: float, kinks: tuple[float, ...], period: float | None = None) -> Array:
    """Where panels should end in the function's own argument, up to |x| = `reach`."""
    if period is not None:
        everywhere: Array = np.add.outer(period * np.arange(-4, 5), [0.0, *kinks]).ravel()
        return everywhere
    scales = _SCALES[: np.searchsorted(_SCALES, reach)]
    if len(scales) > _MOST_SCALES:
        scales = np.concatenate([scales[:4], np.geomspace(scales[4], reach, _MOST_SCALES - 4)[:-1]])
    return np.concatenate([-scales, [0.0], scales, kinks])


def is_uniform(q: float, period: float | None) -> bool:
    """Whether a larger q changes nothing for a function that repeats itself."""
    return period is not None and math.sqrt(q) >= _UNIFORM * period / (2 * math.pi)


def noise(f: Function) -> float:
    """The share of f's values that is rounding: 1e-16 as a rule, 1e-7 for one in float32.

    High differences of close values leave nothing of a smooth function. What rounding leaves is
    small and the same for any distance of the values; where it is not, the function itself bends or
    oscillates. Source: Moré & Wild 2011, "Estimating computational noise".
    """
    starts = np.array([-5.1, -1.7, -0.3, 0.2, 0.9, 2.3, 6.1])
    shares = []
    for distance in (1e-6, 3e-6):
        values = f(starts[:, None] + distance * np.arange(25))
        left = np.diff(values, 8, axis=1)
        spread = np.sqrt((left**2).mean(axis=1) / math.comb(16, 8))
        shares.append(spread / max(float(np.abs(values).max()), 1e-300))
    less, more = np.sort(shares, axis=0)
    # the second largest: at one of the places there may be a jump
    return float(np.sort(np.where((more < 1e-3) & (more < 30 * less), more, 0.0))[-2])


def features(
    f: Function, reach: float, kinks: tuple[float, ...], tolerance: float
) -> tuple[float, ...]:
    """Where f jumps or bends without having said so, for |x| <= `reach`: the kinks, and these.

    The rule in two dimensions must know of them: two jumps that are close together, one for each
    input, can hide between two points.
    """
    panels: list[Array] = []
    # No panel may end at a jump, as at a whole number: it would not show.
    places = math.sqrt(1.1) * np.concatenate([_bends(reach, ()), [-reach, reach]])
    edges = np.sort(np.concatenate([places, [k for k in kinks if abs(k) < places.max()]]))
    _integrate(
        lambda x, _: f(x), edges[None], _Budget(LARGEST), tolerance, tail=math.inf, panels=panels
    )
    if not panels:  # it overflows there
        return kinks
    ends = np.concatenate(panels)
    left, right = ends[np.argsort(ends[:, 0])].T
    width = (right - left) / np.maximum(1, np.abs(left))
    # The panels shrink towards a jump from both sides, down to one that holds it.
    around = np.pad(width, 2, constant_values=np.inf)
    least = np.minimum(np.minimum(around[:-4], around[1:-3]), np.minimum(around[3:-1], around[4:]))
    here = (width < 1e-3) & (width <= least) & (np.maximum(around[:-4], around[4:]) > 1.5 * width)
    return tuple(np.unique(np.concatenate([kinks, left[here], right[here]])).tolist())


def expect(
    f: Function,
    q: float,
    kinks: tuple[float, ...] = (),
    period: float | None = None,
    tolerance: float = TOLERANCE,
) -> float:
    """E f(z) for z ~ N(0, q)."""
    for end in (END, FAR):
        law = _Law(math.sqrt(q), period, end)
        value = _expect(f, law, _bends(end * math.sqrt(q), kinks, period), tolerance)
        if math.isfinite(value) and value != 0:
            break
    return value


def _expect(f: Function, law: _Law, bends: Array, tolerance: float) -> float:
    def weighted(z: Array, _: NDArray[np.intp]) -> Array:
        return law.density(z) * f(law.scale * z)

    budget = _Budget(LARGEST)
    return float(_integrate(weighted, law.edges(bends[None]), budget, tolerance, tail=law.tail)[0])


def expect_pair(
    f: Function,
    q: float,
    gap: float,
    kinks: tuple[float, ...] = (),
    period: float | None = None,
    tolerance: float = TOLERANCE,
    *,
    difference: bool = False,
) -> float:
    """E f(z1) f(z2) for two Gaussians of second moment q and correlation 1 - `gap`.

    With `difference` it is E (f(z1) - f(z2))² / 2, which is what the product lacks of E f²: small
    gaps then keep all their digits.

    The two are s + d and s - d for independent Gaussians s and d. For given d the kinks lie at
    known places of s; as d grows two of them meet, at known places too.
    """
    along, across = math.sqrt(q * (1 - gap / 2)), math.sqrt(q * gap / 2)

    def both(s: Array, d: Array) -> Array:
        one, other = f(s + d), f(s - d)
        return (one - other) ** 2 / 2 if difference else one * other

    if across == 0.0:
        return 0.0 if difference else expect(lambda z: f(z) ** 2, q, kinks, period, tolerance)
    if along == 0.0:
        return expect(lambda z: both(np.zeros_like(z), z), q, kinks, period, tolerance)
    for end in (END, FAR):
        bends = _bends(end * (along + across), kinks, period)
        meeting = np.subtract.outer(bends if period else kinks, kinks).ravel() / 2
        laws = _Law(along, period, end), _Law(across, period, end)
        value = _expect_both(both, laws, bends, meeting, tolerance)
        if math.isfinite(value):
            break
    return value


def _expect_both(
    both: Callable[[Array, Array], Array],
    laws: tuple[_Law, _Law],
    bends: Array,
    meeting: Array,
    tolerance: float,
) -> float:
    """E both(s, d) for independent s and d; at `meeting` values of d two bends in s meet."""
    law_s, law_d = laws
    budget = _Budget(LARGEST_PAIR)
    largest = 0.0  # so that rows of next to nothing, all rounding, are not resolved to the last

    def inner(z_d: Array, _: NDArray[np.intp]) -> Array:
        nonlocal largest
        d = law_d.scale * z_d.reshape(-1, 1)
        weight = law_d.density(z_d).reshape(-1, 1)

        def weighted(z: Array, row: NDArray[np.intp]) -> Array:
            return weight[row] * law_s.density(z) * both(law_s.scale * z, d[row])

        edges = law_s.edges(np.concatenate([bends - d, bends + d], axis=1))
        values = _integrate(weighted, edges, budget, tolerance, tail=law_s.tail, least=largest)
        largest = max(largest, float(np.abs(values).max()))
        return values.reshape(z_d.shape)

    outer = np.unique(np.abs(np.concatenate([bends, meeting])).round(9))
    edges = law_d.edges(outer[None])
    if not law_d.wraps:  # d and -d are alike
        edges, weight = np.maximum(edges, 0.0), 2.0
    else:
        weight = 1.0
    return weight * float(_integrate(inner, edges, budget, OUTER * tolerance, tail=law_d.tail)[0])
