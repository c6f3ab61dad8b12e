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

import functools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from winit import _checks, _quadrature
from winit.activations import Activation, CentralDifference, get

Array = NDArray[np.floating[Any]]
ActivationLike = str | Activation | Callable[..., Any]

# Where a signal without bias shrinks or grows in proportion beyond these, it dies or explodes.
SMALLEST_Q, LARGEST_Q = 1e-9, 1e30

# The square root of this can still be squared, and leaves room for a factor of 1e8.
_BOUND_Q = 1e300
# What an activation does to small signals at last: its curvature adds 1e-12 of them here.
_LIMIT_Q = 1e-24

# A curve is drawn from so many values at most.
_MOST_VALUES = 1000

# Two numbers nearer than this, as a share, are one: the rounding of an expectation is below it.
_ROUNDING = 1e-12


def _q(q: float, what: str = "q") -> float:
    return _checks.number(q, what, above=0.0, maximum=_BOUND_Q)


def _variance_w(sigma_w: float, what: str = "sigma_w") -> float:
    """sigma_w², checked."""
    return _checks.square(sigma_w, what, above=0.0)


def _variance_b(sigma_b: float, what: str = "sigma_b") -> float:
    """sigma_b², checked; 0 is allowed, and what is not 0 has a square that is not."""
    if not _checks.number(sigma_b, what, minimum=0.0):
        return 0.0
    return _checks.square(sigma_b, what, above=0.0)


def _values(values: ArrayLike, what: str, check: Callable[[float, str], float]) -> list[float]:
    """The numbers of one axis, after the check of each."""
    given = _checks.array(values, what, axes=1, dtype=np.dtype(np.float64))
    if len(given) > _MOST_VALUES:
        raise ValueError(f"{what} must hold at most {_MOST_VALUES} values, got {len(given)}")
    return [check(value, f"each of {what}") for value in given.tolist()]


def _tolerance(phi: Activation, q: float, *, slope: bool) -> float:
    """What the quadrature can ask for: no panel is refined below the function's own rounding.

    That of differences is another share of the slope for each length of the signal: of 1e-5 for
    cos, whose slope there is 1e-5 too, it is a millionth.
    """
    differences = slope and isinstance(phi.slope, CentralDifference)
    return _tolerance_at(phi, 4.0 ** round(math.log(q, 16)) if differences else 1.0, slope=slope)


@functools.lru_cache(maxsize=4096)
def _tolerance_at(phi: Activation, scale: float, *, slope: bool) -> float:
    f = phi.derivative if slope else phi
    with np.errstate(all="ignore"):
        rounding = max(_steps(phi, slope=slope), _quadrature.noise(lambda x: f(scale * x)))
    return _quadrature.TOLERANCE if rounding < 1e-14 else 10 * rounding


def _steps(phi: Activation, *, slope: bool) -> float:
    """The rounding of half precision, where values near one another are equal; 0 for the others."""
    differences = phi.slope if slope and isinstance(phi.slope, CentralDifference) else None
    function: Any = phi.slope if slope and not differences else phi.function
    dtype = np.asarray(function(np.array([0.3, 1.0]))).dtype
    if not _checks.is_float(dtype) or dtype.itemsize > 2:
        return 0.0  # their rounding shows
    rounding = float(np.spacing(dtype.type(1))) / 4  # between none and half of the distance
    return rounding / differences.step if differences else rounding


def _kinks(phi: Activation, q: float, *, slope: bool) -> tuple[float, ...]:
    """The activation's kinks, and those that it has not declared, as far as signals reach."""
    if phi.period:
        return phi.kinks
    reach = max(20 * math.sqrt(q), 1.0)
    return _kinks_within(phi, 4.0 ** math.ceil(math.log(reach, 4)), slope=slope)


@functools.lru_cache(maxsize=4096)
def _kinks_within(phi: Activation, reach: float, *, slope: bool) -> tuple[float, ...]:
    if slope and isinstance(phi.slope, CentralDifference):
        _refuse_jumps(phi, phi.slope.step, _kinks_within(phi, reach, slope=False))
    f = phi.derivative if slope else phi
    tolerance = max(_tolerance(phi, q, slope=slope) for q in (1.0, reach**2))
    try:
        return _quadrature.features(f, reach, phi.kinks, tolerance)
    except _quadrature.Unresolved:  # not everywhere, but maybe where it matters
        return phi.kinks


def _refuse_jumps(phi: Activation, step: float, places: tuple[float, ...]) -> None:
    """The smaller the step of differences, the larger they are at a jump: they have no moments."""
    x = np.array([0.0, *places])  # panels end at 0, so that a jump there is found nowhere

    def rise(distance: float) -> Array:
        h = distance * np.maximum(1, np.abs(x))
        return np.abs(phi(x + h) - phi(x - h))

    with np.errstate(all="ignore"):
        near, far = rise(step), rise(16 * step)
        # 1 for a jump, 1/16 for a slope, 0.4 for a cube root; the function is rounded to step³
        rounding = max(1e-6, 8 * step**3) * np.maximum(1, np.abs(phi(x)))
        jumps = (near > rounding) & (near > far / 2)
    if jumps.any():
        raise ValueError(
            f"the activation {phi.name} jumps at x = {x[jumps][0]:.6g}, or is too steep there for "
            "a slope by differences: give an Activation with the derivative that is to be used"
        )


def _expect(phi: Activation, f: Callable[[Array], Array], q: float, *, slope: bool) -> float:
    """E f(z) for z ~ N(0, q), where f is made of phi, or (`slope`) of its derivative."""
    tolerance = _tolerance(phi, q, slope=slope)
    try:
        with np.errstate(all="ignore"):
            kinks = _kinks(phi, q, slope=slope)
            return _quadrature.expect(f, q, kinks, phi.period, tolerance)
    except _quadrature.Unresolved as error:
        raise ValueError(
            f"no expectation of the activation {phi.name} for q={q:g}: {error}"
        ) from None


def _expect_pair(
    phi: Activation, q: float, gap: float, *, slope: bool, difference: bool = False
) -> float:
    """E f(z1) f(z2), or E (f(z1) - f(z2))² / 2, for correlation 1 - `gap`; f as above."""
    f, tolerance = phi.derivative if slope else phi, _tolerance(phi, q, slope=slope)
    try:
        with np.errstate(all="ignore"):
            kinks = _kinks(phi, q, slope=slope)
            return _quadrature.expect_pair(
                f, q, gap, kinks, phi.period, tolerance, difference=difference
            )
    except _quadrature.Unresolved as error:
        raise ValueError(
            f"no expectation of the activation {phi.name} for q={q:g} and two inputs: {error}"
        ) from None


def _finite(value: float, what: str, **arguments: float) -> float:
    if not math.isfinite(value):
        given = ", ".join(f"{name}={number:g}" for name, number in arguments.items())
        raise ValueError(
            f"{what} with {given} is too large: it overflows, or values of z beyond 36 standard "
            "deviations decide it"
        )
    return value


@functools.lru_cache(maxsize=4096)  # the searches of a phase diagram meet at the same q
def _moment(phi: Activation, q: float) -> float:
    """E phi(z)²."""
    return _expect(phi, lambda z: phi(z) ** 2, q, slope=False)


def _slope_moment(phi: Activation, q: float) -> float:
    """E phi'(z)²."""
    return _expect(phi, lambda z: phi.derivative(z) ** 2, q, slope=True)


def second_moment(activation: ActivationLike, q: float = 1.0) -> float:
    r"""What the activation passes on: :math:`E\,\varphi(z)^2` for :math:`z \sim N(0, q)`.

    Without a derivative of its own, a function has that of central differences: what depends on it
    (`chi_1`, the slopes, the critical line) is then good to about 1e-9, or 1e-4 where the function
    has kinks that are not at 0, and a function that jumps is refused.

    Raises
    ------
    ValueError
        q not positive, or above 1e300; an unknown activation name; a function that changes too fast
        to be integrated, or overflows (here and in every function below).
    """
    phi, q = get(activation), _q(q)
    return _finite(_moment(phi, q), f"the second moment of the activation {phi.name}", q=q)


def slope_second_moment(activation: ActivationLike, q: float = 1.0) -> float:
    r"""What the activation lets back: :math:`E\,\varphi'(z)^2` for :math:`z \sim N(0, q)`."""
    phi, q = get(activation), _q(q)
    return _finite(
        _slope_moment(phi, q), f"the slope's second moment of the activation {phi.name}", q=q
    )


def _gain(moment: float, what: str) -> float:
    if moment == 0:
        raise ValueError(f"no gain keeps a signal alive: {what} is 0")
    return 1 / math.sqrt(moment)


def gain(activation: ActivationLike) -> float:
    r"""The forward gain :math:`1/\sqrt{E\,\varphi(z)^2}`, :math:`z \sim N(0, 1)`.

    With :math:`\mathrm{Var}\,W = \text{gain}^2/\text{fan\_in}` a signal with q = 1 keeps q = 1.
    Whether it comes back to 1 when disturbed is another question: see `fixed_point`.

    Raises
    ------
    ValueError
        The function is 0 everywhere.

    Source: He et al. 2015, eq. 7 to 10, for any activation.
    """
    return _gain(second_moment(activation), f"the activation {get(activation).name}")


def gradient_gain(activation: ActivationLike) -> float:
    r"""The backward gain :math:`1/\sqrt{E\,\varphi'(z)^2}`, :math:`z \sim N(0, 1)`.

    With it the gradient's second moment is kept as long as q = 1, which this gain by itself does
    not see to: only for the ReLU family is it the same as `gain`.

    Raises
    ------
    ValueError
        The function is constant: its derivative is 0 everywhere.

    Source: Schoenholz et al. 2017, :math:`\chi_1 = 1` at q = 1.
    """
    moment = slope_second_moment(activation)
    return _gain(moment, f"the derivative of the activation {get(activation).name}")


def q_map(activation: ActivationLike, q: float, sigma_w: float, sigma_b: float = 0.0) -> float:
    r"""One layer: :math:`q \mapsto \sigma_w^2\,E\,\varphi(\sqrt q z)^2 + \sigma_b^2`.

    Raises
    ------
    ValueError
        sigma_w not positive, sigma_b negative, either above 1e150, or so small that its square
        vanishes (a sigma_b of 0 is right).

    Source: Poole et al. 2016, eq. 3.
    """
    phi, q = get(activation), _q(q)
    variance_w, variance_b = _variance_w(sigma_w), _variance_b(sigma_b)
    value = variance_w * _moment(phi, q) + variance_b
    return _finite(value, f"the q-map of {phi.name}", q=q, sigma_w=sigma_w)


def q_curve(
    activation: ActivationLike, qs: ArrayLike, sigma_w: float, sigma_b: float = 0.0
) -> Array:
    r"""The q-map at each of `qs`, to be drawn; where it crosses the diagonal, q stays.

    Parameters
    ----------
    qs : shape (n,)
        Second moments of z, all positive; at most 1000.

    Returns
    -------
    array of shape (n,)

    Raises
    ------
    ValueError, TypeError
        What `q_map` does not take, or anything but one axis of numbers.

    Source: Poole et al. 2016, eq. 3 and figure 1.
    """
    phi, before = get(activation), _values(qs, "qs", _q)
    variance_w, variance_b = _variance_w(sigma_w), _variance_b(sigma_b)
    after = [variance_w * _moment(phi, q) + variance_b for q in before]
    if math.inf in after:
        q = before[after.index(math.inf)]
        _finite(math.inf, f"the q-map of {phi.name} at one of qs", q=q, sigma_w=sigma_w)
    return np.array(after)


def _q_slope(phi: Activation, q: float, variance_w: float) -> float:
    if _quadrature.is_uniform(q, phi.period):
        return 0.0  # a larger q changes nothing any more
    # the product with u / q, unlike phi itself, does not repeat itself: no period here
    plain = replace(phi, period=None) if phi.period else phi
    return variance_w * _expect(
        plain, lambda u: phi(u) * phi.derivative(u) * (u / q), q, slope=True
    )


def q_slope(activation: ActivationLike, q: float, sigma_w: float) -> float:
    r"""The derivative of the q-map, :math:`\sigma_w^2\,E\,\varphi(u)\varphi'(u)\,u/q`, u ~ N(0, q).

    Below 1 at a fixed point, a small error in q shrinks from layer to layer; above 1 it grows.
    """
    phi, q = get(activation), _q(q)
    value = _q_slope(phi, q, _variance_w(sigma_w))
    return _finite(value, f"the q-map's slope of {phi.name}", q=q, sigma_w=sigma_w)


@dataclass(frozen=True)
class FixedPoint:
    """Where q settles (0 when the signal dies, inf when it explodes), and how firmly.

    `slope` is the q-map's derivative there; `stability` is "stable" below 1, "unstable" above,
    "neutral" within 1e-6 of 1 or -1 (for ReLU with He's gain: every q is a fixed point).
    """

    q_star: float
    slope: float
    stability: str


def fixed_point(
    activation: ActivationLike, sigma_w: float, sigma_b: float = 0.0, q0: float = 1.0
) -> FixedPoint:
    r"""The :math:`q^*` that a signal starting at `q0` reaches after many layers.

    Where the q-map rises with q, as it does for every activation of this package, the signal moves
    one way until the nearest fixed point; where the map falls, it is iterated. When `q0` is itself
    a fixed point the answer is `q0`, stable or not. With a bias no signal dies.

    Raises
    ------
    ValueError
        Arguments out of range; a function that jumps, without a derivative of its own.

    Source: Poole et al. 2016, section 2.
    """
    phi, q = get(activation), _q(q0, "q0")
    variance_w, variance_b = _variance_w(sigma_w), _variance_b(sigma_b)
    search = _Search(phi, variance_w, variance_b)
    q_star, last = search.run(q)
    try:
        # the slope at 0 is the limit of small signals
        slope = _q_slope(phi, last if q_star else min(last, _LIMIT_Q), variance_w)
    except ValueError:
        if q_star < math.inf:  # a function that jumps, or is not resolved
            raise
        slope = math.inf
    slope = slope if math.isfinite(slope) else math.inf
    return FixedPoint(q_star, slope, _stability(slope))


@dataclass(frozen=True)
class _Search:
    """The search for the fixed point that a signal reaches, over u = ln q."""

    phi: Activation
    variance_w: float
    variance_b: float

    # The q-map changes its character over factors of q of about 2, never within one of 1.5.
    STEP = math.log(1.5)

    def after(self, q: float) -> float:
        """The q-map; inf where it overflows."""
        return self.variance_w * _moment(self.phi, q) + self.variance_b

    def drift(self, u: float) -> float:
        """How far one layer moves ln q."""
        ratio = self.after(math.exp(u)) / math.exp(u)
        return math.log(ratio) if ratio > 0 else -math.inf

    def drift_slope(self, u: float) -> float:
        q = math.exp(u)
        return q * _q_slope(self.phi, q, self.variance_w) / self.after(q) - 1

    def run(self, q: float) -> tuple[float, float]:
        """The fixed point reached from q, or 0 or inf; and the last q looked at."""
        u = math.log(q)
        start = self.travel(u)
        if abs(start) < _ROUNDING:
            return q, q
        rises, q_star, last = self.nearest(u, start)
        if rises:
            return q_star, last
        return self.iterate(q)

    def creeps(self, u: float) -> bool:
        """Whether each layer adds the bias and does nothing else, however little that is of q."""
        if not 0 < self.variance_b < _ROUNDING * math.exp(u) or abs(self.drift(u)) > _ROUNDING:
            return False
        return abs(self.drift_slope(u)) < 1e-9

    def travel(self, u: float) -> float:
        """The drift; above rounding where q creeps up."""
        return _ROUNDING if self.creeps(u) else self.drift(u)

    def nearest(self, u: float, drift: float) -> tuple[bool, float, float]:
        """Whether the q-map rises on the way; the nearest fixed point; the last q looked at."""
        sign = 1.0 if drift > 0 else -1.0
        low = math.log(self.variance_b) if self.variance_b else -math.log(_BOUND_Q)
        end = math.log(_BOUND_Q) if sign > 0 else min(low, u)
        trail = [(u, drift)]
        rises = True
        while True:
            u, drift = trail[-1]
            if self.is_hopeless(u, drift, end):
                lowest = self.variance_b  # what is left of a signal without weights
                return rises, (math.inf if sign > 0 else lowest), math.exp(u)
            leaps = abs(drift) > self.STEP
            u += sign * max(self.STEP, min(abs(drift), _BOUND_Q))
            u = min(u, end) if sign > 0 else max(u, end)
            trail.append((u, self.travel(u)))
            if leaps:  # the next layer itself: what it steps over, as a falling map may, is not met
                trail = trail[-1:]
                if abs(trail[0][1]) >= _ROUNDING and trail[0][1] * sign > 0:
                    continue
                q = math.exp(u)
                return abs(trail[0][1]) < _ROUNDING, q, q
            (left, at_left), (right, at_right) = trail[-2:]
            rises = rises and (right + at_right - left - at_left) * sign >= -1e-9
            root: float | None = None
            if at_right * sign <= 0:
                root = self.root(left, right)
            elif (between := self.dip(trail, sign)) is not None:
                root = between
            if root is not None and (sign < 0 or not self.creeps(root)):
                q = math.exp(root)
                return rises and _q_slope(self.phi, q, self.variance_w) >= 0, q, q

    def is_hopeless(self, u: float, drift: float, end: float) -> bool:
        """Whether the signal will die or explode from here on."""
        if u == end or math.isinf(drift):
            return True
        if drift > 0 or self.creeps(u):
            return math.exp(u) > LARGEST_Q and self.drift_slope(u) > -1e-6
        if self.variance_b or math.exp(u) > SMALLEST_Q:
            return False
        # The drift at q -> 0, where it changes in proportion to q: below 0 the signal dies.
        slope = self.drift_slope(u)
        return slope > -1e-6 and drift - slope <= _ROUNDING

    def root(self, left: float, right: float) -> float:
        from scipy.optimize import brentq  # loaded when first used

        at_left, at_right = self.travel(left), self.travel(right)
        if at_left * at_right >= 0:  # a fixed point, or within rounding of one
            return right
        return float(brentq(self.travel, left, right, xtol=1e-15, rtol=1e-14))

    def dip(self, trail: list[tuple[float, float]], sign: float) -> float | None:
        """A fixed point where the drift comes near 0 between the last points and turns back."""
        sizes = [abs(drift) for _, drift in trail[-3:]]
        if math.isinf(max(sizes)):
            return None
        if len(sizes) == 2:
            # The sign of travel and of the drift cancel: below 0 its size shrinks on the way.
            turns = sizes[0] < min(sizes[1], -4 * self.STEP * self.drift_slope(trail[0][0]))
        else:
            # A parabola through three points dips by an eighth of `bend` below the lowest, at most.
            bend = sizes[0] - 2 * sizes[1] + sizes[2]
            turns = sizes[1] < min(sizes[0], sizes[2], bend)
        if not turns:
            return None
        from scipy.optimize import minimize_scalar  # loaded when first used

        left, right = trail[-len(sizes)][0], trail[-1][0]
        bounds = (min(left, right), max(left, right))
        lowest = float(
            minimize_scalar(
                lambda u: sign * self.drift(u), bounds=bounds, options={"xatol": 1e-9}
            ).x
        )
        depth = sign * self.drift(lowest)
        if depth > _ROUNDING:
            return None
        return lowest if depth >= -_ROUNDING else self.root(left, lowest)

    def iterate(self, q: float) -> tuple[float, float]:
        """The map itself, layer by layer, where it falls with q and so may overshoot.

        sqrt(q) times the q-map rises for any activation, so that ln q never falls by more than half
        of what it rose before: no signal circles, and this ends.
        """
        for _ in range(1000):
            before, q = q, self.after(q)
            if not 1 / _BOUND_Q < q < _BOUND_Q:
                return (math.inf if q > 1 else self.variance_b), before
            if abs(q / before - 1) <= 1e-15:
                return q, q
        drift = self.drift(math.log(q))
        if abs(drift) <= _ROUNDING:
            return q, q
        return self.nearest(math.log(q), drift)[1:]  # slowly, and one way


def _stability(slope: float) -> str:
    if abs(abs(slope) - 1) < 1e-6:
        return "neutral"
    return "stable" if abs(slope) < 1 else "unstable"


def chi_1(activation: ActivationLike, sigma_w: float, q: float = 1.0) -> float:
    r"""The gradient's second-moment factor per layer, :math:`\sigma_w^2\,E\,\varphi'(\sqrt q z)^2`.

    Below 1 gradients vanish with depth, above 1 they explode.

    Source: Poole et al. 2016, eq. 6; Schoenholz et al. 2017, eq. 5.
    """
    phi, q = get(activation), _q(q)
    value = _variance_w(sigma_w) * _slope_moment(phi, q)
    return _finite(value, f"chi_1 of {phi.name}", q=q, sigma_w=sigma_w)


def _gap(c: float, what: str = "c") -> float:
    """1 - c, checked; what is beyond 1 by rounding is taken as 1."""
    c = _checks.number(c, what)
    if abs(c) > 1 + _ROUNDING:
        raise ValueError(f"{what} must lie between -1 and 1, got {c!r}")
    return 1 - min(max(c, -1.0), 1.0)


def _waves(phi: Activation, period: float, q: float, gap: float, *, slope: bool) -> float:
    """E f(z1) f(z2) of a function with a period by its Fourier series, which holds tiny values.

    E exp(i (s z1 + t z2)) = exp(-q (s² + t² + 2 c s t) / 2), and where that is tiny for the first
    waves it is nothing for those beyond the eighth.
    """
    x = np.arange(1024) * (period / 1024)
    parts = np.fft.fft((phi.derivative if slope else phi)(x))[np.arange(-8, 9)] / 1024
    parts[np.abs(parts) < _ROUNDING * np.abs(parts).max()] = 0.0  # rounding
    s = 2 * math.pi / period * np.arange(-8, 9)
    # s² + t² + 2 c s t without the loss of digits where t = -s
    square = np.add.outer(s, s) ** 2 - 2 * gap * np.outer(s, s)
    return float(np.sum(np.outer(parts, parts) * np.exp(-q / 2 * square)).real)


# A gap below which the slopes' product is what it lacks of their second moment.
_NEAR = 0.01


def _product(phi: Activation, q: float, gap: float, *, slope: bool) -> float:
    """E f(z1) f(z2): near correlation 1 by what it lacks of E f², which keeps it below.

    Slopes of long signals have a product that is next to nothing beside E f²: for them only nearer.
    """
    if gap > (_NEAR if slope else 0.5):
        value = _expect_pair(phi, q, gap, slope=slope)
        # Of waves that cancel out only rounding is left.
        if phi.period and abs(value) < _ROUNDING:
            return _waves(phi, phi.period, q, gap, slope=slope)
        return value
    lacks = _expect_pair(phi, q, gap, slope=slope, difference=True) if gap else 0.0
    return (_slope_moment if slope else _moment)(phi, q) - lacks


def c_map(
    activation: ActivationLike, c: float, q: float, sigma_w: float, sigma_b: float = 0.0
) -> float:
    r"""One layer: :math:`c \mapsto (\sigma_w^2\,E\,\varphi(z_1)\varphi(z_2) + \sigma_b^2)/q'`.

    :math:`z_1, z_2 \sim N(0, q)` have correlation c, and :math:`q'` is the q-map's value, which at
    the fixed point is q itself. The result lies between -1 and 1.

    Raises
    ------
    ValueError
        c outside [-1, 1]; a signal that is 0 after the layer.

    Source: Poole et al. 2016, eq. 5.
    """
    phi, gap, q = get(activation), _gap(c), _q(q)
    variance_w, variance_b = _variance_w(sigma_w), _variance_b(sigma_b)
    after = variance_w * _moment(phi, q) + variance_b
    after = _finite(after, f"the q-map of {phi.name}", q=q, sigma_w=sigma_w)
    if after == 0:
        raise ValueError(f"c has no value after a layer whose signal is 0: {phi.name} with q={q:g}")
    value = (variance_w * _product(phi, q, gap, slope=False) + variance_b) / after
    return min(max(value, -1.0), 1.0)


def c_slope(activation: ActivationLike, c: float, q: float, sigma_w: float) -> float:
    r"""The c-map's slope at a fixed point q, :math:`\sigma_w^2\,E\,\varphi'(z_1)\varphi'(z_2)`.

    At c = 1 it is :math:`\chi_1`.
    """
    phi, gap, q = get(activation), _gap(c), _q(q)
    value = _variance_w(sigma_w) * _product(phi, q, gap, slope=True)
    return _finite(value, f"the c-map's slope of {phi.name}", q=q, sigma_w=sigma_w)


def _settled(phi: Activation, sigma_w: float, sigma_b: float) -> float:
    """q*, where it is a positive number."""
    q = fixed_point(phi, sigma_w, sigma_b).q_star
    if not 0 < q < math.inf:
        end = "dies out" if q == 0 else "explodes"
        raise ValueError(
            f"{phi.name} with sigma_w={float(sigma_w):g}, sigma_b={float(sigma_b):g} has no fixed "
            f"length for its correlations: the signal {end}"
        )
    return q


def c_curve(
    activation: ActivationLike, cs: ArrayLike, sigma_w: float, sigma_b: float = 0.0
) -> Array:
    r"""The c-map at each of `cs`, for inputs whose length has settled at :math:`q^*`.

    Where it crosses the diagonal, the correlation stays: at c = 1 always, and below 1 in chaos.

    Parameters
    ----------
    cs : shape (n,)
        Correlations from -1 to 1; at most 1000. Each is an integral of its own, of ten
        milliseconds or some tens: a hundred take seconds, and a thousand can take half a minute.

    Returns
    -------
    array of shape (n,), from -1 to 1

    Raises
    ------
    ValueError, TypeError
        cs out of range, or anything but one axis of numbers; a q that dies out or explodes.

    Source: Poole et al. 2016, eq. 5 and figure 2.
    """
    phi, gaps = get(activation), _values(cs, "cs", _gap)
    q = _settled(phi, sigma_w, sigma_b)
    variance_w, variance_b = _variance_w(sigma_w), _variance_b(sigma_b)
    values = [(variance_w * _product(phi, q, gap, slope=False) + variance_b) / q for gap in gaps]
    return np.clip(values, -1.0, 1.0)


# chi_1 must exceed 1 by more than this for a c* below 1: the rounding of q* and of chi_1 leaves
# room for it on any processor.
_CHAOS = 1e-8
# Correlations nearer to 1 than this are not told apart from 1.
_SMALLEST_GAP = 1e-13


def _gap_star(phi: Activation, q: float, variance_w: float, variance_b: float) -> float:
    """1 - c*, to the same relative accuracy however small it is; 0 where c* is 1."""
    if variance_w * _slope_moment(phi, q) <= 1 + _CHAOS:
        return 0.0
    # At gap 1, where c is 0, odd functions without bias stay.
    if abs(variance_w * _expect_pair(phi, q, 1.0, slope=False) + variance_b) <= _ROUNDING * q:
        return 1.0

    def growth(log_gap: float) -> float:
        """How much one layer widens the gap, as a share of it."""
        gap = math.exp(log_gap)
        after = variance_w * _expect_pair(phi, q, gap, slope=False, difference=True)
        return after / (q * gap) - 1

    # The c-map is convex on [0, 1], so the growth falls with the gap, from chi_1 - 1: one root.
    low, high = math.log(1e-3), 0.0
    while growth(low) <= 0:
        low, high = low - math.log(1e3), low
        if low < math.log(_SMALLEST_GAP):
            return 0.0
    from scipy.optimize import brentq  # loaded when first used

    return math.exp(brentq(growth, low, high, xtol=1e-13))


def c_star(activation: ActivationLike, sigma_w: float, sigma_b: float = 0.0) -> float:
    r"""The correlation :math:`c^*` that two different inputs reach after many layers, at q*.

    1 when :math:`\chi_1 \le 1` (all inputs become alike: order), below 1 when :math:`\chi_1 > 1`
    (near inputs come apart: chaos). A :math:`\chi_1` that exceeds 1 by less than 1e-8 counts as 1.

    Raises
    ------
    ValueError
        A network whose q dies out or explodes has no c*.

    Source: Poole et al. 2016, section 2.2.
    """
    phi = get(activation)
    q = _settled(phi, sigma_w, sigma_b)
    return 1 - _gap_star(phi, q, _variance_w(sigma_w), _variance_b(sigma_b))


def _depth(slope: float) -> float:
    """Layers until what is multiplied by `slope` in each is 1/e of it; inf if it never shrinks."""
    slope = abs(slope)
    if slope == 0:
        return 0.0
    return math.inf if slope > 1 - 1e-12 else -1 / math.log(slope)


def xi_q(activation: ActivationLike, sigma_w: float, sigma_b: float = 0.0) -> float:
    r"""Layers until an error in q is 1/e of it: :math:`\xi_q = -1/\ln(\text{q-map slope})`.

    Infinite where errors do not shrink (slope 1 or more). Raises as `c_star`.

    Source: Schoenholz et al. 2017, depth scales.
    """
    phi = get(activation)
    q = _settled(phi, sigma_w, sigma_b)
    return _depth(_q_slope(phi, q, _variance_w(sigma_w)))


def xi_c(activation: ActivationLike, sigma_w: float, sigma_b: float = 0.0) -> float:
    r"""Layers until a deviation from c* is 1/e of it: :math:`\xi_c = -1/\ln(\text{c-map slope})`.

    Infinite on the critical line (where :math:`\chi_1` exceeds 1 by less than 1e-8 too), as far as
    q* is above 0: the critical point of tanh and its like without bias lies at q → 0, where signals
    die, and that is an error. That six times this depth can still be trained is a rough guide
    (chapter 14). Raises as `c_star`.

    Source: Schoenholz et al. 2017, depth scales and figure 5.
    """
    phi = get(activation)
    q = _settled(phi, sigma_w, sigma_b)
    variance_w = _variance_w(sigma_w)
    chi = variance_w * _slope_moment(phi, q)
    if chi <= 1 + _CHAOS:
        return _depth(chi)

    def loss(gap: float) -> float:
        """By how much the c-map's slope at 1 - gap is below that at 1."""
        return variance_w * _expect_pair(phi, q, gap, slope=True, difference=True)

    if gap := _gap_star(phi, q, variance_w, _variance_b(sigma_b)):
        return _depth(variance_w * _product(phi, q, gap, slope=True))
    # c* is too near to 1. The loss there goes as a power of the gap, and its mean up to the gap of
    # c* is chi_1 - 1: so the slope at c* is below 1 by the power times chi_1 - 1.
    power = math.log2(loss(2 * _SMALLEST_GAP) / loss(_SMALLEST_GAP))
    return 1 / (power * (chi - 1))


# Beyond this bias the q-map's slope at a critical point may be 1 within rounding.
_RESOLVED_B = 1000.0


def critical_line(activation: ActivationLike, sigma_b: float = 0.0) -> float:
    r"""The :math:`\sigma_w` with :math:`\chi_1 = 1` at the fixed point: between order and chaos.

    Each q is the fixed point of one critical pair,
    :math:`\sigma_w^2 = 1/E\,\varphi'(\sqrt q z)^2` and
    :math:`\sigma_b^2 = q - \sigma_w^2\,E\,\varphi(\sqrt q z)^2`; this finds the smallest q whose
    `sigma_b` is the one asked for, and at which a signal that starts at q = 1 settles. Without bias
    the point may lie at q → 0 (as for tanh): it is then the limit of small signals, and a signal
    that starts at q = 1 may explode there (as for GELU). Rely on answers up to sigma_b = 1000:
    beyond, the q-map's slope at the point may be so near to 1 that rounding hides it, and the
    error says so.

    Raises
    ------
    ValueError
        No critical point has this sigma_b (ReLU has one for sigma_b = 0 only), or there is one that
        signals near q = 1 do not settle at (with a small bias GELU and its like repel there; from a
        sigma_b of about 0.45 GELU's point is stable, 0.35 Mish's); none that can be found with a
        sigma_b above 1000; a function that jumps, without a derivative of its own.

    Source: Schoenholz et al. 2017, figure 1.
    """
    phi, variance_b = get(activation), _variance_b(sigma_b)

    def variance_w(q: float) -> float:
        slope = _slope_moment(phi, q)
        return 1 / slope if slope > 0 else math.inf

    def share(q: float) -> float:
        """The share of q that the critical pair leaves to the bias."""
        return 1 - variance_w(q) * _moment(phi, q) / q

    def excess(u: float) -> float:
        return share(math.exp(u)) - variance_b / math.exp(u)

    rounding = max(_ROUNDING, *(_tolerance(phi, q, slope=True) for q in (SMALLEST_Q, 1.0)))
    why = ""
    try:
        if variance_b == 0 and abs(share(SMALLEST_Q)) < max(1e-6, rounding):
            return math.sqrt(variance_w(_LIMIT_Q))
        for u in _roots(excess, math.log(max(variance_b, SMALLEST_Q)), rounding):
            q, sigma_w = math.exp(u), math.sqrt(variance_w(math.exp(u)))
            if sigma_w < _checks.LARGEST_ROOT and _q_slope(phi, q, sigma_w**2) < 1:
                settled = fixed_point(phi, sigma_w, sigma_b).q_star
                if abs(settled / q - 1) < 1e-6:
                    return sigma_w
            why = (
                f": chi_1 is 1 at sigma_w={sigma_w:.4g}, q={q:.3g}, but signals that start near "
                "q=1 do not settle there"
            )
    except ValueError as error:  # nothing can be said of larger signals
        why = why or f" that can be found: {error}"
    if variance_b > _RESOLVED_B**2:
        raise ValueError(
            f"{phi.name}: no critical point was found with sigma_b={float(sigma_b):g}{why}; above "
            f"{_RESOLVED_B:g} there may be one that rounding hides"
        )
    raise ValueError(f"{phi.name} has no critical point with sigma_b={float(sigma_b):g}{why}")


@dataclass(frozen=True, eq=False)
class PhaseDiagram:
    """Order and chaos over a grid: a row for each sigma_b, a column for each sigma_w.

    `chi_1` is below 1 in order, above it in chaos, and nan where there is no finite q*. `q_star` is
    0 where the signal dies (`chi_1` is then the limit of small signals) and inf where it explodes.
    """

    q_star: Array
    chi_1: Array


# Each point is a search of its own, of some tens of milliseconds.
_MOST_POINTS = 2500


def phase_diagram(
    activation: ActivationLike, sigmas_w: ArrayLike, sigmas_b: ArrayLike
) -> PhaseDiagram:
    r"""Where a signal that starts at q = 1 settles, and :math:`\chi_1` there, over a grid.

    The line with :math:`\chi_1 = 1` between order and chaos is `critical_line`.

    Parameters
    ----------
    sigmas_w : shape (m,)
        Positive; at most 1000 values, and 2500 points in all. A point takes some tens of
        milliseconds, more where the signal explodes: 2500 take minutes.
    sigmas_b : shape (n,)
        0 or larger; at most 1000.

    Returns
    -------
    PhaseDiagram
        `q_star` and `chi_1` of shape (n, m).

    Raises
    ------
    ValueError, TypeError
        Values out of range, or anything but one axis of numbers; too many points; a function that
        jumps, without a derivative of its own.

    Source: Poole et al. 2016, figure 3; Schoenholz et al. 2017, figure 1.
    """
    phi = get(activation)
    columns = _values(sigmas_w, "sigmas_w", _variance_w)
    rows = _values(sigmas_b, "sigmas_b", _variance_b)
    if len(columns) * len(rows) > _MOST_POINTS:
        raise ValueError(
            f"sigmas_w times sigmas_b must make at most {_MOST_POINTS} points, got "
            f"{len(columns)} times {len(rows)}"
        )
    q_star, chi = np.full((2, len(rows), len(columns)), math.nan)
    for i, j in np.ndindex(q_star.shape):
        q = q_star[i, j] = _Search(phi, columns[j], rows[i]).run(1.0)[0]
        if q < math.inf:
            chi[i, j] = columns[j] * _slope_moment(phi, max(q, _LIMIT_Q))
    return PhaseDiagram(q_star, chi)


def _roots(f: Callable[[float], float], start: float, rounding: float) -> Iterator[float]:
    """Where f changes its sign from `start` on, over u = ln q; it is of order 1."""
    from scipy.optimize import brentq, minimize_scalar  # loaded when first used

    step, end = 0.3, min(max(start, 0.0) + math.log(1e26), math.log(_BOUND_Q))
    points = [(start, f(start))]
    while points[-1][0] < end:
        u = min(points[-1][0] + step, end)
        points = [*points[-2:], (u, f(u))]
        (left, at_left), (right, at_right) = points[-2:]
        if not math.isfinite(at_left + at_right + points[0][1]):
            continue
        if abs(at_left) < rounding and abs(at_right) < rounding:
            continue
        if at_left * at_right <= 0:
            yield float(brentq(f, left, right, xtol=1e-14))
            continue
        first, at_first = points[0]
        bend = abs(at_first) - 2 * abs(at_left) + abs(at_right)
        if at_first * at_left > 0 and abs(at_left) < min(abs(at_first), abs(at_right), bend):
            # f comes near 0 and turns back: there may be a pair of roots (as in _Search.dip)
            def height(u: float, sign: float = math.copysign(1.0, at_left)) -> float:
                return sign * f(u)

            lowest = minimize_scalar(height, bounds=(first, right))
            if lowest.fun < 0:
                yield float(brentq(f, first, lowest.x, xtol=1e-14))
                yield float(brentq(f, lowest.x, right, xtol=1e-14))


@dataclass(frozen=True)
class _Passage:
    """ln E phi² and ln E phi'² as splines over u = ln q: what many layers do, for many gains."""

    forward: Callable[[Array], Array]
    back: Callable[[Array], Array]
    low: float
    high: float

    # |ln q| up to which the maps are tabled (a gain that leads beyond is none to recommend), and
    # the distance of the points, which makes the splines of order 5 good to 1e-7.
    END, STEP = 12.0, 0.25

    def walk(self, log_gains: Array, steps: int) -> Iterator[tuple[Array, Array]]:
        """ln q and the log of the gradient's product after each of so many steps, from 0."""
        u, product = np.zeros_like(log_gains), np.zeros_like(log_gains)
        yield u, product
        for _ in range(steps):
            inside = np.clip(u, self.low, self.high)
            product = product + 2 * log_gains + self.back(inside)
            # beyond the table the signal goes on as at its end
            u = 2 * log_gains + self.forward(inside) + (u - inside)
            yield u, product

    def ranges(self, log_gains: Array, steps: int) -> tuple[Array, Array]:
        """How far ln q and the log of the gradient's product spread over so many steps."""
        ends = np.zeros((2, 2, len(log_gains)))  # smallest and largest, of each
        for now in self.walk(log_gains, steps):
            ends = np.stack([np.minimum(ends[0], now), np.maximum(ends[1], now)])
        signal, gradient = ends[1] - ends[0]
        return signal, gradient


@functools.lru_cache(maxsize=64)
def _passage(phi: Activation) -> _Passage:
    from scipy.interpolate import make_interp_spline  # loaded when first used

    rows: dict[float, tuple[float, float]] = {}
    for direction in (1.0, -1.0):
        for u in direction * np.arange(0.0, _Passage.END, _Passage.STEP):
            q = math.exp(u)
            try:
                moments = _moment(phi, q), _slope_moment(phi, q)
            except ValueError:
                break
            if not all(0 < moment < math.inf for moment in moments):
                break
            rows[float(u)] = moments
    points = sorted(rows)
    if len(points) < 8:
        raise ValueError(f"{phi.name} has no expectations around q=1 to choose a gain by")
    logs = np.log([rows[u] for u in points])
    forward, back = (make_interp_spline(points, column, k=5) for column in logs.T)
    return _Passage(forward, back, points[0], points[-1])


_DEEPEST = 10_000


def depth_gain(activation: ActivationLike, depth: int) -> float:
    r"""The gain that a network of so many layers loses least with, forward and backward together.

    It is the :math:`\sigma_w` that minimizes the larger of two ranges over the layers: that of
    :math:`\ln q_l`, and that of the logarithm of the gradient's second moment, which each layer
    multiplies by :math:`\chi_1(q_l)`. The first layer reads data, which its own scheme brings to
    q = 1; there is no bias. `gain` keeps the signal and `gradient_gain` the gradient, each through
    a single layer: this is the compromise for the depth at hand. For ReLU all three are
    :math:`\sqrt 2`.

    Parameters
    ----------
    depth : int
        The number of layers, 1 to 10000. The gain is that of the activations between them, of which
        there is one less.

    Raises
    ------
    TypeError
        A depth that is no whole number.
    ValueError
        A depth out of range; a function or derivative that is 0 everywhere; a function that jumps,
        without a derivative of its own.
    """
    phi = get(activation)
    layers = _checks.size(depth, "depth", maximum=_DEEPEST)
    return _depth_gain(phi, layers)


@functools.lru_cache(maxsize=1024)
def _depth_gain(phi: Activation, depth: int) -> float:
    exact = gain(phi), gradient_gain(phi)
    passage = _passage(phi)

    def loss(log_gains: Array) -> Array:
        return np.maximum(*passage.ranges(log_gains, depth - 1))

    # A grid around the two gains that are right for one layer, then six times finer ones: to 1e-7.
    low, high = math.log(min(exact)) - 3, math.log(max(exact)) + 3
    points = np.linspace(low, high, 401)
    for _ in range(6):
        losses = loss(points)
        least = np.flatnonzero(losses <= losses.min() * (1 + 1e-12))
        best = int(least[len(least) // 2])
        step = points[1] - points[0]
        points = np.linspace(points[best] - 2 * step, points[best] + 2 * step, 41)
    # Where one of the two is as good, as for the ReLU family, it is the answer to all its digits.
    candidates = [*np.log(exact).tolist(), float(points[20])]
    losses = loss(np.array(candidates))
    return math.exp(candidates[int(np.flatnonzero(losses <= losses.min() + 1e-8)[0])])


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


_CUSTOMARY = 10, 50  # layers for which the customary scheme is told, and the last chooses it


def recommend(activation: ActivationLike, depth: int | None = None) -> Recommendation:
    """Which scheme for this activation, and what it does over many layers, in computed numbers.

    With a depth, the gain that loses least over so many layers (`depth_gain`). Without one, a
    customary scheme: of the two customary variances, 1/fan_in (Glorot; LeCun where it makes the
    scale a stable one, as for SELU) and He's 2/fan_in, the one that loses less over 50 layers.
    The reason counts steps, from one layer to the next: a network makes one less than it has
    layers.

    Parameters
    ----------
    depth : int, optional
        The number of layers, 1 to 10000.

    Raises
    ------
    ValueError, TypeError
        An unknown activation name; neither a name nor a function; an activation too small or too
        large for any gain, or without a slope; a depth out of range.
    """
    phi = get(activation)
    own = gain(phi)
    if not 1e-100 < own < 1e100:  # its square, and what is made of it, must not overflow
        size = "small" if own > 1 else "large"
        raise ValueError(f"the activation {phi.name} is too {size} to be kept: gain {own:.3g}")
    slope = _negative_slope(phi)
    he, layers = math.sqrt(2 / (1 + slope**2)), _CUSTOMARY if depth is None else (depth,)
    best = depth_gain(phi, layers[-1])
    lost = np.maximum(*_passage(phi).ranges(np.log([1.0, he]), _CUSTOMARY[-1] - 1))
    sigma_w = best if depth is not None else (1.0, he)[int(lost[1] < lost[0])]
    scheme, options = "variance_scaling", dict[str, Any](scale=sigma_w**2)
    if math.isclose(sigma_w, 1.0, rel_tol=1e-6):
        settled = fixed_point(phi, 1.0)
        keeps = settled.stability == "stable" and math.isclose(settled.q_star, 1.0, rel_tol=1e-3)
        scheme, options = "lecun_normal" if keeps else "glorot_normal", {}
    elif math.isclose(sigma_w, he, rel_tol=1e-6):
        scheme, options = "he_normal", {"negative_slope": slope} if slope else {}
    reason = _over(phi, f"With the gain {sigma_w:.3f},", sigma_w, layers)
    point, told = fixed_point(phi, own), f"the gain for {layers[-1]} layers, {best:.3f},"
    if point.stability == "unstable":  # where rounding grows, and numbers say little
        reason += (
            f" {told.capitalize()} holds a scale that is unstable (slope {point.slope:.3f} a layer "
            "at q = 1), so a deep net needs normalization or residual paths."
        )
    elif abs(math.log(best / sigma_w)) > 1e-6:
        reason += _over(phi, f" With {told}", best, layers[-1:])
    return Recommendation(phi.name, scheme, reason, options)


def _negative_slope(phi: Activation) -> float:
    """That of a leaky ReLU, of which the identity and ReLU are two; 0 for all others."""
    x = np.array([1e-3, 1.0, 1e3])
    right, left = phi(x) / x, phi(-x) / -x
    leaky = np.allclose(right, 1.0, rtol=1e-6) and np.allclose(left, left[0], rtol=1e-6)
    return round(float(left[0]), 12) if leaky else 0.0


def _over(phi: Activation, start: str, sigma_w: float, counts: tuple[int, ...]) -> str:
    """A sentence on what so many steps make of second moments of 1, forward and backward."""
    parts: list[str] = []
    for steps in counts:
        *_, ends = _passage(phi).walk(np.log([sigma_w]), steps)
        signal, back = (f"{np.exp(min(float(log[0]), 700.0)):.3g}" for log in ends)
        if parts:
            parts.append(f"{steps} steps into {signal} and {back}")
        else:
            parts.append(
                f"{steps} steps turn second moments of 1 into {signal} (signal) and {back} "
                "(gradient)"
            )
    return f"{start} {', '.join(parts)}."
