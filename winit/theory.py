r"""What should happen: the mean-field theory of wide random networks.

A layer is :math:`z = W\varphi(z') + b` with
:math:`\mathrm{Var}\,W = \sigma_w^2/\text{fan\_in}` and :math:`\mathrm{Var}\,b = \sigma_b^2`. In a
wide network the pre-activations are Gaussian, so that two numbers say all: their second moment
:math:`q = E z^2` and the correlation :math:`c` of two inputs. Each function takes the activation by
name or by function, and states one Gaussian expectation or what follows from it. Nothing here draws
random numbers or looks at a network.

Sources: Poole et al. 2016 (q-map, c-map, :math:`\chi_1`), Schoenholz et al. 2017 (depth scales,
critical line).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from winit import _checks
from winit.activations import Activation, get

Array = NDArray[np.floating[Any]]
ActivationLike = str | Activation | Callable[..., Any]

# Gauss-Legendre rule of each panel. The panels cover |z| <= 12, beyond which the normal density
# is below 1e-31; 16 points a panel give the gain table to 1e-12.
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(16)
_EDGES_Z = np.arange(-12.0, 12.5, 1.5)
# Activations bend near 0, at a scale of 1 in their own argument: panels narrow there.
_EDGES_X = np.array([0.0, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0])
_EDGES_X = np.union1d(-_EDGES_X, _EDGES_X)

# Beyond these a signal counts as dead or exploded. Below the first, tanh at gain 1 changes q by
# less than the quadrature's rounding.
SMALLEST_Q, LARGEST_Q = 1e-9, 1e30


def _gaussian(
    f: Callable[[Array], Array], mean: Array, std: float, kinks: tuple[float, ...]
) -> Array:
    """E f(mean + std * z) for z ~ N(0, 1), for each entry of `mean`; panels split at the kinks."""
    mean = np.atleast_1d(mean)[:, None]
    bends = (np.union1d(_EDGES_X, kinks) - mean) / std
    edges = np.concatenate([np.broadcast_to(_EDGES_Z, (len(mean), len(_EDGES_Z))), bends], axis=1)
    edges = np.sort(np.clip(edges, _EDGES_Z[0], _EDGES_Z[-1]), axis=1)
    half = np.diff(edges)[..., None] / 2
    z = edges[:, :-1, None] + half * (1 + _NODES)
    density = np.exp(-z * z / 2) / np.sqrt(2 * np.pi)
    total: Array = (half * _WEIGHTS * density * f(mean[..., None] + std * z)).sum(axis=(1, 2))
    return total


def _expect(f: Callable[[Array], Array], q: float, kinks: tuple[float, ...]) -> float:
    """E f(z) for z ~ N(0, q)."""
    return float(_gaussian(f, np.zeros(1), math.sqrt(q), kinks)[0])


def _expect_pair(
    f: Callable[[Array], Array], q: float, c: float, kinks: tuple[float, ...]
) -> float:
    """E f(z1) f(z2) for two Gaussians of second moment `q` and correlation `c`."""
    if abs(c) >= 1.0:
        return _expect(lambda z: f(z) * f(math.copysign(1.0, c) * z), q, kinks)
    spread = math.sqrt(q * (1 - c * c))
    # The inner mean rounds each kink off over a width of about `spread`: panels narrow there.
    near = spread * 3.0 ** np.arange(-1, 10)
    bends = tuple(np.add.outer(kinks, [0.0, *near, *-near]).ravel())
    return _expect(
        lambda z: f(z) * _gaussian(f, (c * z).ravel(), spread, kinks).reshape(z.shape), q, bends
    )


def _q(q: float) -> float:
    return _checks.number(q, "q", above=0.0)


def _sigmas(sigma_w: float, sigma_b: float) -> tuple[float, float]:
    return (
        _checks.number(sigma_w, "sigma_w", above=0.0),
        _checks.number(sigma_b, "sigma_b", minimum=0.0),
    )


def second_moment(activation: ActivationLike, q: float = 1.0) -> float:
    r"""What the activation passes on: :math:`E\,\varphi(z)^2` for :math:`z \sim N(0, q)`.

    Raises
    ------
    ValueError
        q not positive and finite; an unknown activation name (here and in every function below).
    """
    phi = get(activation)
    return _expect(lambda z: phi(z) ** 2, _q(q), phi.kinks)


def slope_second_moment(activation: ActivationLike, q: float = 1.0) -> float:
    r"""What the activation lets back: :math:`E\,\varphi'(z)^2` for :math:`z \sim N(0, q)`."""
    phi = get(activation)
    return _expect(lambda z: phi.derivative(z) ** 2, _q(q), phi.kinks)


def gain(activation: ActivationLike) -> float:
    r"""The forward gain :math:`1/\sqrt{E\,\varphi(z)^2}`, :math:`z \sim N(0, 1)`.

    With :math:`\mathrm{Var}\,W = \text{gain}^2/\text{fan\_in}` a signal with q = 1 keeps q = 1.
    Whether it comes back to 1 when disturbed is another question: see `fixed_point`.

    Source: He et al. 2015, eq. 7 to 10, for any activation.
    """
    return 1 / math.sqrt(second_moment(activation))


def gradient_gain(activation: ActivationLike) -> float:
    r"""The backward gain :math:`1/\sqrt{E\,\varphi'(z)^2}`, :math:`z \sim N(0, 1)`.

    With it the gradient's second moment is kept as long as q = 1, which this gain by itself does
    not see to: only for the ReLU family is it the same as `gain`.

    Source: Schoenholz et al. 2017, :math:`\chi_1 = 1` at q = 1.
    """
    return 1 / math.sqrt(slope_second_moment(activation))


def q_map(activation: ActivationLike, q: float, sigma_w: float, sigma_b: float = 0.0) -> float:
    r"""One layer: :math:`q \mapsto \sigma_w^2\,E\,\varphi(\sqrt q z)^2 + \sigma_b^2`.

    Raises
    ------
    ValueError
        sigma_w not positive, sigma_b negative, either not finite.

    Source: Poole et al. 2016, eq. 3.
    """
    sigma_w, sigma_b = _sigmas(sigma_w, sigma_b)
    return sigma_w**2 * second_moment(activation, q) + sigma_b**2


def q_slope(activation: ActivationLike, q: float, sigma_w: float) -> float:
    r"""The derivative of the q-map, :math:`\sigma_w^2\,E\,\varphi(u)\varphi'(u)\,u/q`, u ~ N(0, q).

    Below 1 at a fixed point, a small error in q shrinks from layer to layer; above 1 it grows.
    """
    phi, q = get(activation), _q(q)
    sigma_w, _ = _sigmas(sigma_w, 0.0)
    return sigma_w**2 * _expect(lambda u: phi(u) * phi.derivative(u) * u, q, phi.kinks) / q


@dataclass(frozen=True)
class FixedPoint:
    """Where q settles (0 when the signal dies, inf when it explodes), and how firmly.

    `slope` is the q-map's derivative there; `stability` is "stable" below 1, "unstable" above,
    "neutral" at 1 (for ReLU with He's gain: every q is a fixed point).
    """

    q_star: float
    slope: float
    stability: str


def fixed_point(
    activation: ActivationLike, sigma_w: float, sigma_b: float = 0.0, q0: float = 1.0
) -> FixedPoint:
    r"""The :math:`q^*` that a signal starting at `q0` reaches after many layers.

    The q-map rises with q, so the signal moves one way until the nearest fixed point. When `q0`
    is itself a fixed point the answer is `q0`, stable or not.

    Source: Poole et al. 2016, section 2.
    """
    sigma_w, sigma_b = _sigmas(sigma_w, sigma_b)
    low = high = _q(q0)

    def drift(q: float) -> float:
        """How far one layer moves q, as a share of q."""
        return q_map(activation, q, sigma_w, sigma_b) / q - 1

    direction = drift(high)
    if abs(direction) > 1e-12:
        factor = 1.5 if direction > 0 else 1 / 1.5
        end = LARGEST_Q if direction > 0 else SMALLEST_Q
        while drift(high) * direction > 0 and (end - high) * direction > 0:
            low, high = high, high * factor
        if (end - high) * direction <= 0:
            slope = q_slope(activation, high, sigma_w)
            return FixedPoint(math.inf if direction > 0 else 0.0, slope, _stability(slope))
        from scipy.optimize import brentq  # loaded when first used

        high = float(brentq(drift, low, high, xtol=1e-15, rtol=1e-14))
    slope = q_slope(activation, high, sigma_w)
    return FixedPoint(high, slope, _stability(slope))


def _stability(slope: float) -> str:
    if abs(slope - 1) < 1e-6:
        return "neutral"
    return "stable" if slope < 1 else "unstable"


def chi_1(activation: ActivationLike, sigma_w: float, q: float = 1.0) -> float:
    r"""The gradient's second-moment factor per layer, :math:`\sigma_w^2\,E\,\varphi'(\sqrt q z)^2`.

    Below 1 gradients vanish with depth, above 1 they explode.

    Source: Poole et al. 2016, eq. 6; Schoenholz et al. 2017, eq. 5.
    """
    sigma_w, _ = _sigmas(sigma_w, 0.0)
    return sigma_w**2 * slope_second_moment(activation, q)


def _correlation(c: float) -> float:
    c = _checks.number(c, "c")
    if abs(c) > 1:
        raise ValueError(f"c must lie between -1 and 1, got {c!r}")
    return c


def c_map(
    activation: ActivationLike, c: float, q: float, sigma_w: float, sigma_b: float = 0.0
) -> float:
    r"""One layer: :math:`c \mapsto (\sigma_w^2\,E\,\varphi(z_1)\varphi(z_2) + \sigma_b^2)/q'`.

    :math:`z_1, z_2 \sim N(0, q)` have correlation c, and :math:`q'` is the q-map's value, which at
    the fixed point is q itself.

    Raises
    ------
    ValueError
        c outside [-1, 1].

    Source: Poole et al. 2016, eq. 5.
    """
    phi, c, q = get(activation), _correlation(c), _q(q)
    sigma_w, sigma_b = _sigmas(sigma_w, sigma_b)
    covariance = sigma_w**2 * _expect_pair(phi, q, c, phi.kinks) + sigma_b**2
    return covariance / q_map(activation, q, sigma_w, sigma_b)


def c_slope(activation: ActivationLike, c: float, q: float, sigma_w: float) -> float:
    r"""The c-map's slope at a fixed point q, :math:`\sigma_w^2\,E\,\varphi'(z_1)\varphi'(z_2)`.

    At c = 1 it is :math:`\chi_1`.
    """
    phi, c, q = get(activation), _correlation(c), _q(q)
    sigma_w, _ = _sigmas(sigma_w, 0.0)
    return sigma_w**2 * _expect_pair(phi.derivative, q, c, phi.kinks)


def _settled(activation: ActivationLike, sigma_w: float, sigma_b: float) -> float:
    """q*, where it is a positive number."""
    q = fixed_point(activation, sigma_w, sigma_b).q_star
    if not 0 < q < math.inf:
        end = "dies out" if q == 0 else "explodes"
        raise ValueError(
            f"{get(activation).name} with sigma_w={sigma_w:g}, sigma_b={sigma_b:g} has no fixed "
            f"length for its correlations: the signal {end}"
        )
    return q


def c_star(activation: ActivationLike, sigma_w: float, sigma_b: float = 0.0) -> float:
    r"""The correlation :math:`c^*` that two different inputs reach after many layers, at q*.

    1 when :math:`\chi_1 \le 1` (all inputs become alike: order), below 1 when :math:`\chi_1 > 1`
    (near inputs come apart: chaos).

    Raises
    ------
    ValueError
        A network whose q dies out or explodes has no c*.

    Source: Poole et al. 2016, section 2.2.
    """
    q = _settled(activation, sigma_w, sigma_b)
    if chi_1(activation, sigma_w, q) <= 1 + 1e-9:
        return 1.0
    from scipy.optimize import brentq  # loaded when first used

    def moved(c: float) -> float:
        return c_map(activation, c, q, sigma_w, sigma_b) - c

    # The c-map is convex on [0, 1], so there is one root below 1 when its slope at 1 exceeds 1.
    # The root can lie as near to 1 as chi_1 does: step back until the map lies below the diagonal.
    gap = 1e-6
    while moved(1 - gap) >= 0:
        gap /= 10
        if gap < 1e-12:
            return 1.0  # nearer to 1 than rounding can tell
    return 0.0 if abs(moved(0.0)) < 1e-12 else float(brentq(moved, 0.0, 1 - gap, xtol=1e-12))


def _depth(slope: float) -> float:
    """Layers until what is multiplied by `slope` in each is 1/e of it; inf if it never shrinks."""
    if slope <= 0:
        return 0.0
    return math.inf if slope > 1 - 1e-12 else -1 / math.log(slope)


def xi_q(activation: ActivationLike, sigma_w: float, sigma_b: float = 0.0) -> float:
    r"""Layers until an error in q is 1/e of it: :math:`\xi_q = -1/\ln(\text{q-map slope})`.

    Infinite where errors do not shrink (slope 1 or more). Raises as `c_star`.

    Source: Schoenholz et al. 2017, depth scales.
    """
    q = _settled(activation, sigma_w, sigma_b)
    return _depth(q_slope(activation, q, sigma_w))


def xi_c(activation: ActivationLike, sigma_w: float, sigma_b: float = 0.0) -> float:
    r"""Layers until a deviation from c* is 1/e of it: :math:`\xi_c = -1/\ln(\text{c-map slope})`.

    Infinite on the critical line; about six times this depth can still be trained. Raises as
    `c_star`.

    Source: Schoenholz et al. 2017, depth scales and figure 5.
    """
    q = _settled(activation, sigma_w, sigma_b)
    return _depth(c_slope(activation, c_star(activation, sigma_w, sigma_b), q, sigma_w))


def critical_line(activation: ActivationLike, sigma_b: float = 0.0) -> float:
    r"""The :math:`\sigma_w` with :math:`\chi_1 = 1` at the fixed point: between order and chaos.

    Each q is the fixed point of one critical pair,
    :math:`\sigma_w^2 = 1/E\,\varphi'(\sqrt q z)^2` and
    :math:`\sigma_b^2 = q - \sigma_w^2\,E\,\varphi(\sqrt q z)^2`; this finds the q whose
    `sigma_b` is the one asked for.

    Raises
    ------
    ValueError
        No critical point has this sigma_b (ReLU has one for sigma_b = 0 only).

    Source: Schoenholz et al. 2017, figure 1.
    """
    _, sigma_b = _sigmas(1.0, sigma_b)

    def sigma_w_squared(q: float) -> float:
        return 1 / slope_second_moment(activation, q)

    def excess(log_q: float) -> float:
        q = math.exp(log_q)
        return q - sigma_w_squared(q) * second_moment(activation, q) - sigma_b**2

    smallest = 1e-9
    if sigma_b == 0 and abs(excess(math.log(smallest))) < 1e-6 * smallest:
        return math.sqrt(sigma_w_squared(1e-24))  # for tanh and its like it lies at q -> 0
    grid = np.linspace(math.log(smallest), math.log(1e4), 120)
    values = [excess(g) for g in grid]
    for left, right, a, b in zip(grid, grid[1:], values, values[1:], strict=False):
        if a * b <= 0:
            from scipy.optimize import brentq  # loaded when first used

            return math.sqrt(sigma_w_squared(math.exp(brentq(excess, left, right, xtol=1e-13))))
    raise ValueError(f"{get(activation).name} has no critical point with sigma_b={sigma_b:g}")


@dataclass(frozen=True)
class Recommendation:
    """A scheme's name, its keywords, and the reason with its caveat.

    Use it as ``winit.get(r.scheme)(shape, rng=rng, **r.options)``.
    """

    activation: str
    scheme: str
    reason: str
    options: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        options = ", ".join(f"{key}={value!r}" for key, value in self.options.items())
        return f"{self.activation}: {self.scheme}({options}). {self.reason}"


def _per_layer(activation: Activation, sigma_w: float) -> tuple[FixedPoint, float]:
    """Where q ends, and the gradient's factor per layer there."""
    point = fixed_point(activation, sigma_w)
    q = min(max(point.q_star, SMALLEST_Q), LARGEST_Q)
    return point, chi_1(activation, sigma_w, q)


def _never_settles(activation: Activation) -> bool:
    """Whether each q, made a fixed point by the gain that keeps it, is an unstable one."""
    return all(
        q_slope(activation, q, math.sqrt(q / second_moment(activation, q))) > 1
        for q in np.geomspace(1e-4, 1e4, 25).tolist()
    )


def recommend(activation: ActivationLike) -> Recommendation:
    """Which scheme for this activation, and why, in one sentence with its caveat.

    The rule that most people know (He for ReLU, Glorot for tanh) where it is good; where it is
    not, what the theory of this module says. The numbers in the sentence are computed.

    Raises
    ------
    ValueError, TypeError
        An unknown activation name; neither a name nor a function.
    """
    phi = get(activation)
    name = phi.name
    if name == "relu" or name == "relu6":
        return Recommendation(
            name, "he_normal", "It halves the second moment, and He's factor 2 puts it back."
        )
    if name.startswith("leaky_relu"):
        slope = float(phi.derivative(-1.0))
        return Recommendation(
            name,
            "he_normal",
            "He's factor 2 / (1 + slope²) keeps the second moment both ways.",
            {"negative_slope": slope},
        )
    if name == "linear":
        return Recommendation(
            name,
            "glorot_normal",
            "Forward asks for 1/fan_in, backward for 1/fan_out: Glorot's is the compromise, exact "
            "for square layers.",
        )
    if name == "selu":
        return Recommendation(
            name,
            "lecun_normal",
            "Mean 0 and variance 1 are its stable fixed point under 1/fan_in; the gradient's "
            f"second moment is still multiplied by {chi_1(phi, 1.0):.3f} a layer.",
        )
    if name == "sigmoid":
        glorot, he = _per_layer(phi, 1.0)[1], _per_layer(phi, math.sqrt(2))[1]
        return Recommendation(
            name,
            "he_normal",
            "Custom says Glorot, and in a shallow net either serves; in a deep one the gradient's "
            f"second moment is multiplied by {he:.3f} a layer with He and by {glorot:.3f} with "
            "Glorot, so neither saves it: better not to stack sigmoids.",
        )
    own = gain(phi)
    point, chi = fixed_point(phi, own), chi_1(phi, own)
    if point.stability == "unstable":
        never = ": no gain gives a stable scale without bias" if _never_settles(phi) else ""
        return Recommendation(
            name,
            "variance_scaling",
            f"Gain {own:.3f} keeps q = 1, but q = 1 is unstable (slope {point.slope:.3f} a layer)"
            f"{never}, so a deep net needs normalisation or residual paths; He's gain of 1.414 "
            f"multiplies the second moment by {2 / own**2:.3f} in the first such layer.",
            {"scale": own**2, "mode": "fan_in", "distribution": "normal"},
        )
    if float(phi(-1.0)) == -float(phi(1.0)) and abs(float(phi.derivative(0.0)) - 1) < 0.2:
        settled, kept = _per_layer(phi, 1.0)
        lasting = settled.q_star > 0 and settled.stability == "stable"
        end = f"settles at q = {settled.q_star:.3f}" if lasting else "slowly dies out"
        return Recommendation(
            name,
            "glorot_normal",
            "Its slope at 0 is near 1, so Glorot's gain 1 keeps small signals and gradients: with "
            f"depth the signal {end}, where the gradient's second moment is multiplied by "
            f"{kept:.3f} a layer; the gain {own:.3f} that holds the signal at q = 1 makes that "
            f"{chi:.3f}.",
        )
    return Recommendation(
        name,
        "variance_scaling",
        f"Gain {own:.3f} makes q = 1 a {point.stability} fixed point, where the gradient's second "
        f"moment is multiplied by {chi:.3f} a layer.",
        {"scale": own**2, "mode": "fan_in", "distribution": "normal"},
    )
