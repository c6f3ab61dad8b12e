"""Theory: the gain table, closed forms, the phase diagram of tanh, and wide networks beside it.

The table's numbers were computed apart from this package, by quadrature of 30 digits (mpmath), for
a standard normal input; they stand here with the digits they were printed with. So do the numbers
of the phase diagram, which scalar maps and root finding gave (and, for c* and xi_c, a trapezoidal
rule on a fine grid).
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import integrate, optimize, stats
from tiers import some

import check_theory
import winit
from winit import activations, network, theory

Array = NDArray[Any]

ROOT2 = math.sqrt(2)
ACTIVATIONS = {**activations.ACTIVATIONS, "prelu": activations.leaky_relu(0.25)}
ACTIVATIONS["leaky_relu(0.2)"] = activations.leaky_relu(0.2)

# forward gain, gradient gain, slope of the q-map and chi_1 at q = 1 with the forward gain
GAINS = {
    "linear": (1, 1, 1, 1),
    "relu": (1.4142135624, 1.4142135624, 1, 1),
    "leaky_relu": (1.4141428570, 1.4141428570, 1, 1),
    "leaky_relu(0.2)": (1.3867504906, 1.3867504906, 1, 1),
    "prelu": (1.3719886811, 1.3719886811, 1, 1),
    "relu6": (1.4142135651, 1.4142135638, 1, 1),
    "elu": (1.2451983007, 1.2234285576, 0.890968, 1.035905),
    "selu": (1.0, 0.9660257770, 0.782648, 1.071575),
    "gelu": (1.5335304412, 1.4811144127, 1.144063, 1.072032),
    "gelu_tanh": (1.5335805217, 1.4811680581, 1.144298, 1.072024),
    "silu": (1.6765324703, 1.6233202580, 1.172594, 1.066634),
    "mish": (1.4868475813, 1.4447552325, 1.076339, 1.059118),
    "softplus": (1.0418668355, 1.8462285453, 0.492053, 0.318459),
    "tanh": (1.5925374197, 1.4674135916, 0.461071, 1.177807),
    "lecun_tanh": (1.1543694540, 1.1152568925, 0.615446, 1.071371),
    "sigmoid": (1.8462285453, 4.7226460859, 0.106341, 0.152827),
    "erf": (1.4671669505, 1.3252183529, 0.408567, 1.225700),
    "hard_tanh": (1.3920361404, 1.2102870624, 0.385127, 1.322892),
    "sin": (1.5208666232, 1.3272506003, 0.313035, 1.313035),
    "softsign": (2.3375333631, 2.0957806089, 0.476712, 1.244010),
}
NEUTRAL = {"linear", "relu", "leaky_relu", "leaky_relu(0.2)", "prelu", "relu6"}
UNSTABLE = {"gelu", "gelu_tanh", "silu", "mish"}

each = pytest.mark.parametrize("name", GAINS)


def test_the_table_has_every_activation() -> None:
    assert set(ACTIVATIONS) == set(GAINS)


@each
def test_gain_table(name: str) -> None:
    phi = ACTIVATIONS[name]
    gain, gradient_gain, slope, chi = GAINS[name]
    assert abs(theory.gain(phi) - gain) < 1e-10
    assert abs(theory.gradient_gain(phi) - gradient_gain) < 1e-10
    assert abs(theory.q_slope(phi, 1.0, theory.gain(phi)) - slope) < 6e-7
    assert abs(theory.chi_1(phi, theory.gain(phi)) - chi) < 6e-7


@each
def test_stability_at_q_1(name: str) -> None:
    point = theory.fixed_point(ACTIVATIONS[name], theory.gain(ACTIVATIONS[name]))
    expected = "neutral" if name in NEUTRAL else "unstable" if name in UNSTABLE else "stable"
    assert (point.q_star, point.stability) == (1.0, expected)


def relu_kernel(c: float) -> float:
    """The arc-cosine kernel of Cho & Saul 2009, as a map of correlations."""
    return (math.sqrt(1 - c * c) + (math.pi - math.acos(c)) * c) / math.pi


CLOSED: list[tuple[str, Callable[[], float], float]] = [
    (
        "gelu mean²",
        lambda: theory.c_map("gelu", 0, 1, 1) * theory.q_map("gelu", 1, 1),
        0.25 / np.pi,
    ),
    ("sin", lambda: theory.second_moment("sin"), (1 - math.exp(-2)) / 2),
    ("sin, q = 30", lambda: theory.second_moment("sin", 30.0), (1 - math.exp(-60)) / 2),
    ("sin slope", lambda: theory.slope_second_moment("sin", 3.0), (1 + math.exp(-6)) / 2),
    ("hard tanh slope", lambda: theory.slope_second_moment("hard_tanh"), math.erf(1 / ROOT2)),
    ("softplus' = sigmoid", lambda: theory.gradient_gain("softplus"), theory.gain("sigmoid")),
    ("selu keeps 1", lambda: theory.second_moment("selu"), 1.0),
    ("selu keeps mean 0", lambda: theory.c_map("selu", 0.0, 1.0, 1.0), 0.0),
    ("erf", lambda: theory.second_moment("erf", 2.0), 2 / np.pi * math.asin(4 / 5)),
    ("erf slope", lambda: theory.slope_second_moment("erf", 2.0), 4 / np.pi / 3),
    (
        "relu variance",
        lambda: theory.second_moment("relu") * (1 - theory.c_map("relu", 0, 1, 1)),
        (1 - 1 / np.pi) / 2,
    ),
    ("he", lambda: theory.gain(activations.leaky_relu(0.3)), math.sqrt(2 / (1 + 0.3**2))),
]


@pytest.mark.parametrize(("what", "computed", "exact"), CLOSED, ids=[c[0] for c in CLOSED])
def test_closed_forms(what: str, computed: Callable[[], float], exact: float) -> None:
    assert abs(computed() - exact) < 1e-13


@pytest.mark.parametrize("c", [-1, -0.7, 0, 0.3, 0.9, 0.9999, 1 - 1e-6, 1])
@pytest.mark.parametrize("q", [1e-4, 1.0, 1e4])
def test_c_map_closed_forms(c: float, q: float) -> None:
    assert abs(theory.c_map("relu", c, q, ROOT2) - relu_kernel(c)) < 1e-13
    assert abs(theory.c_slope("relu", c, q, ROOT2) - (1 - math.acos(c) / math.pi)) < 1e-13
    erf = math.asin(2 * q * c / (1 + 2 * q)) / math.asin(2 * q / (1 + 2 * q))  # Williams 1997
    assert abs(theory.c_map("erf", c, q, 3.0) - erf) < 1e-13


@each
def test_slopes_are_the_slopes_of_the_maps(name: str) -> None:
    phi, h = ACTIVATIONS[name], 1e-4
    ahead, behind = theory.q_map(phi, 0.7 + h, 1.3, 0.2), theory.q_map(phi, 0.7 - h, 1.3, 0.2)
    assert abs(theory.q_slope(phi, 0.7, 1.3) - (ahead - behind) / (2 * h)) < 1e-7
    ahead, behind = (
        theory.c_map(phi, 0.4 + h, 0.7, 1.3, 0.2),
        theory.c_map(phi, 0.4 - h, 0.7, 1.3, 0.2),
    )
    at_q = theory.q_map(phi, 0.7, 1.3, 0.2)
    assert abs(theory.c_slope(phi, 0.4, 0.7, 1.3) * 0.7 / at_q - (ahead - behind) / (2 * h)) < 1e-7
    assert theory.c_slope(phi, 1.0, 0.7, 1.3) == theory.chi_1(phi, 1.3, 0.7)


@pytest.mark.parametrize(
    ("name", "sigma_w", "sigma_b", "q_star", "chi", "c_star"),
    [
        # Poole et al. 2016, figures 1 and 2
        ("tanh", 1.3, 0.3, 0.60705, 0.9398, 1.0),
        ("tanh", 2.5, 0.3, 4.07912, 1.5852, 0.12210),
        ("tanh", 4.0, 0.3, 12.6041, 2.3673, 0.02970),
        ("tanh", 5 / 3, 0.0, 1.1785, 1.2098, 0.0),  # the gain that PyTorch gives for tanh
        ("lecun_tanh", 1.0, 0.0, 0.38244, 1.0192, 0.0),
        ("selu", 0.75, 0.0, 0.0230338, 1.00367, None),  # PyTorch's gain: nearly critical
        ("sigmoid", 1.0, 0.0, 0.26469, 0.055721, 1.0),
        ("sigmoid", 4.0, 0.0, 5.855, 0.3989, 1.0),
        ("sigmoid", 1.8462285453, 0.0, 1.0, 0.1528, 1.0),
        ("softplus", 1.0418668355, 0.0, 1.0, 0.318459, 1.0),
        ("hard_tanh", 1.5, 0.3, 1.393719, 1.356832, 0.381861),
    ],
)
def test_where_signals_and_correlations_settle(
    name: str, sigma_w: float, sigma_b: float, q_star: float, chi: float, c_star: float | None
) -> None:
    q = theory.fixed_point(name, sigma_w, sigma_b).q_star
    assert abs(theory.q_map(name, q, sigma_w, sigma_b) / q - 1) < 1e-12
    assert q == pytest.approx(q_star, rel=1e-4)
    assert theory.chi_1(name, sigma_w, q) == pytest.approx(chi, rel=2e-4)
    c = theory.c_star(name, sigma_w, sigma_b)
    assert abs(theory.c_map(name, c, q, sigma_w, sigma_b) - c) < 1e-11
    assert c_star is None or c == pytest.approx(c_star, abs=6e-6)


GRADIENT_GAIN = {  # where q settles under the gradient gain, and chi_1 there
    "tanh": (0.7249, 1.126),
    "erf": (0.693, 1.151),
    "hard_tanh": (0.601, 1.176),
    "sin": (0.632, 1.130),
    "softsign": (0.647, 1.185),
    "elu": (0.726, 1.031),
    "selu": (0.726, 1.060),
    "lecun_tanh": (0.829, 1.056),
    "sigmoid": (8.54, 0.474),
}


@pytest.mark.parametrize("name", GRADIENT_GAIN)
def test_the_gradient_gain_does_not_hold_q_at_1(name: str) -> None:
    q_star, chi = GRADIENT_GAIN[name]
    gain = theory.gradient_gain(name)
    q = theory.fixed_point(name, gain).q_star
    assert q == pytest.approx(q_star, abs=6e-4 * max(1, q_star))
    assert theory.chi_1(name, gain, q) == pytest.approx(chi, abs=6e-4)


@pytest.mark.parametrize(
    ("name", "sigma_w", "q0", "end", "stability"),
    [
        ("relu", ROOT2, 7.0, 7.0, "neutral"),
        ("relu", 1.0, 1.0, 0.0, "stable"),
        ("relu", 1.5, 1.0, math.inf, "unstable"),
        ("tanh", 0.9, 1.0, 0.0, "stable"),
        ("tanh", 1.0, 1.0, 0.0, "neutral"),  # the signal dies, but slower than any factor
        ("softplus", GAINS["softplus"][1], 1.0, math.inf, "unstable"),
        ("selu", ROOT2, 1.0, math.inf, "unstable"),
        ("gelu", ROOT2, 1.0, 0.0, "stable"),
        ("mish", GAINS["mish"][1], 1.0, 0.0, "stable"),
        ("gelu", theory.gain("gelu"), 1.001, math.inf, "unstable"),
        ("gelu", theory.gain("gelu"), 0.999, 0.0, "stable"),
    ],
)
def test_neutral_dying_and_exploding(
    name: str, sigma_w: float, q0: float, end: float, stability: str
) -> None:
    point = theory.fixed_point(name, sigma_w, q0=q0)
    assert (point.q_star, point.stability) == (end, stability)


def run(name: str, gain: float, q: float, layers: int) -> float:
    for _ in range(layers):
        q = theory.q_map(name, q, gain)
    return q


@pytest.mark.parametrize(
    ("name", "gain", "q0", "layers", "expected"),
    [
        ("tanh", 1.0, 1.0, 10, 1.044 / 20),  # Xavier's tanh: q falls as 1 / (2 l)
        ("tanh", 1.0, 1.0, 1000, 1.0023 / 2000),
        ("gelu", ROOT2, 1.0, 30, 3.1e-8),  # He's gain loses these
        ("silu", ROOT2, 1.0, 30, 3.4e-9),
        ("mish", ROOT2, 1.0, 30, 5.6e-4),
        ("gelu", theory.gain("gelu"), 1.25, 40, 153),  # its own gain is a repeller
        ("gelu", theory.gain("gelu"), 0.8, 40, 3.4e-7),
    ],
)
def test_decay_over_layers(name: str, gain: float, q0: float, layers: int, expected: float) -> None:
    assert run(name, gain, q0, layers) == pytest.approx(expected, rel=0.02)


DEPTHS = {  # sigma_w²: xi_c and xi_q of tanh with sigma_b² = 0.05 (Schoenholz et al. 2017)
    1.0: (3.627, 1.75),
    1.3: (7.834, 1.79),
    1.6: (27.03, 1.62),
    1.76: (4911.7, 1.52),
    2.0: (25.21, 1.39),
    2.5: (11.80, 1.18),
    3.0: (9.05, 1.04),
    4.0: (6.98, 0.87),
}


@pytest.mark.parametrize("variance", DEPTHS)
def test_depth_scales(variance: float) -> None:
    sigmas = math.sqrt(variance), math.sqrt(0.05)
    xi_c, xi_q = DEPTHS[variance]
    assert theory.xi_c("tanh", *sigmas) == pytest.approx(xi_c, rel=6e-4)
    assert theory.xi_q("tanh", *sigmas) == pytest.approx(xi_q, rel=6e-3)


def test_depth_scales_at_their_ends() -> None:
    assert theory.xi_c("relu", ROOT2) == theory.xi_q("relu", ROOT2) == math.inf
    assert theory.xi_q("gelu", theory.gain("gelu")) == math.inf  # errors grow
    for name in ("tanh", "hard_tanh"):  # near the critical line, and too near to tell
        line = theory.critical_line(name, 0.3)
        assert 1e-7 < 1 - theory.c_star(name, line * (1 + 1e-4), 0.3) < 1e-2
        assert theory.c_star(name, line * (1 + 1e-7), 0.3) == pytest.approx(1, abs=1e-6)
        # chi_1 - 1 grows at most twice as fast as sigma_w, so that it is below 2e-9 here; what
        # counts as the line itself is 1e-8, far above the rounding of any processor
        assert theory.xi_c(name, line * (1 + 1e-9), 0.3) == math.inf
        assert theory.c_star(name, line * (1 + 1e-9), 0.3) == 1.0
    sine = theory.fixed_point("sin", 10.0).q_star  # so large that the q-map is flat to rounding
    assert theory.q_slope("sin", sine, 10.0) < 1e-12 and theory.xi_q("sin", 10.0) < 0.05


@pytest.mark.parametrize(
    ("name", "sigma_b", "variance"),
    [
        ("tanh", math.sqrt(0.05), 1.76095),
        ("tanh", math.sqrt(2.01e-5), 1.05),  # Pennington et al. 2017: the pair is of variances
        ("tanh", 0.0, 1.0),
        ("sin", 0.0, 1.0),
        ("elu", 0.0, 1.0),
        ("gelu", 0.0, 4.0),
        ("relu", 0.0, 2.0),
        ("linear", 0.0, 1.0),
    ],
)
def test_critical_line(name: str, sigma_b: float, variance: float) -> None:
    sigma_w = theory.critical_line(name, sigma_b)
    assert sigma_w**2 == pytest.approx(variance, abs=1e-5)
    if sigma_b:
        q = theory.fixed_point(name, sigma_w, sigma_b).q_star
        assert abs(theory.chi_1(name, sigma_w, q) - 1) < 1e-10


@pytest.mark.parametrize(("name", "power"), [("tanh", 1), ("erf", 1), ("hard_tanh", 0.5)])
@pytest.mark.parametrize("beyond", [1e-3, 1e-5, 1e-6])
def test_depth_scales_beside_the_critical_line(name: str, power: float, beyond: float) -> None:
    """On the other side of the line the depth is 1 / (power (chi_1 - 1)).

    There the c-map's slope falls from chi_1 as this power of 1 - c: 1 where the derivative of the
    activation is smooth, 1/2 where it jumps. The next term is smaller by the root of chi_1 - 1.
    """
    sigma_w = theory.critical_line(name, 0.3) * (1 + beyond)
    chi = theory.chi_1(name, sigma_w, theory.fixed_point(name, sigma_w, 0.3).q_star)
    expected = 1 / (power * (chi - 1))
    assert theory.xi_c(name, sigma_w, 0.3) == pytest.approx(expected, rel=4 * math.sqrt(chi - 1))


@pytest.mark.parametrize("beyond", [1.05e-8, 2e-8, 5e-8, 1e-7])
@pytest.mark.parametrize("name", ["hard_tanh", "relu6"])
def test_the_depth_where_c_star_is_1_but_for_rounding(name: str, beyond: float) -> None:
    """The gap goes as (chi_1 - 1)², below 1e-13 here: the power, 1/2, is measured at the gap 1e-13.

    The next term is of the order of the gap's root, and chi_1 - 1 has 8 digits.
    """
    sigma_w = theory.critical_line(name, 0.3) * (1 + beyond)
    chi = theory.chi_1(name, sigma_w, theory.fixed_point(name, sigma_w, 0.3).q_star)
    assert chi - 1 > 1e-8  # the chaos that is told from order
    assert theory.c_star(name, sigma_w, 0.3) == pytest.approx(1, abs=1e-12)
    assert theory.xi_c(name, sigma_w, 0.3) == pytest.approx(2 / (chi - 1), rel=1e-4)


def test_a_plain_function_will_do() -> None:
    assert theory.gain(np.tanh) == theory.gain("tanh")
    assert abs(theory.gradient_gain(np.tanh) - theory.gradient_gain("tanh")) < 1e-9
    assert theory.recommend(np.tanh).scheme == "glorot_normal"


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: theory.gain("tahn"), ValueError, r"Did you mean 'tanh'\?"),
        (lambda: theory.second_moment("relu", 0.0), ValueError, "q must be larger than 0, got 0"),
        (lambda: theory.q_map("relu", 1.0, 0.0), ValueError, "sigma_w must be larger than 0"),
        (lambda: theory.q_map("relu", 1.0, 1.0, -0.1), ValueError, "sigma_b must be 0 or larger"),
        (lambda: theory.q_slope("relu", np.inf, 1.0), ValueError, "q must be finite, got inf"),
        (lambda: theory.chi_1("relu", np.nan), ValueError, "sigma_w must be finite, got nan"),
        (lambda: theory.fixed_point("relu", 1.0, q0=-1), ValueError, "q0 must be larger than 0"),
        (lambda: theory.c_map("relu", 1.5, 1.0, 1.0), ValueError, "c must lie between -1 and 1"),
        (lambda: theory.c_slope("relu", -2, 1.0, 1.0), ValueError, "c must lie between -1 and 1"),
        (lambda: theory.c_star("relu", 1.0), ValueError, "relu with .*: the signal dies out"),
        (lambda: theory.xi_q("relu", 2.0), ValueError, "relu with .*: the signal explodes"),
        (lambda: theory.xi_c("gelu", 1.0), ValueError, "gelu with .*: the signal dies out"),
        (
            lambda: theory.critical_line("relu", 0.1),
            ValueError,
            "no critical point with sigma_b=0.1",
        ),
        (lambda: theory.recommend("relu", 0), ValueError, "depth must be"),
        (lambda: theory.recommend("reul"), ValueError, r"Did you mean 'relu'\?"),
        (lambda: theory.recommend(3), TypeError, "a name or a function, got 3"),  # type: ignore[arg-type]
    ],
)
def test_errors(call: Callable[[], object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


SCHEMES = {
    **dict.fromkeys(("linear", "tanh", "lecun_tanh", "erf", "hard_tanh", "sin"), "glorot_normal"),
    "selu": "lecun_normal",
}


def after(name: str, gain: float, steps: int) -> str:
    """What the sentence must give for so many steps, by the maps themselves."""
    q = back = 1.0
    for _ in range(steps):
        back *= theory.chi_1(ACTIVATIONS[name], gain, q)
        q = theory.q_map(ACTIVATIONS[name], q, gain)
    return f"{steps} steps turn second moments of 1 into {q:.3g} (signal) and {back:.3g}"


@each
def test_recommendation_says_why_and_can_be_used(name: str) -> None:
    phi = ACTIVATIONS[name]
    advice = theory.recommend(phi)
    scheme = SCHEMES.get(name, "he_normal")
    assert advice.scheme == scheme and str(advice).startswith(f"{phi.name}: {scheme}(")
    weights = winit.get(advice.scheme)((2000, 100), rng=0, **advice.options)
    # Glorot's is 2 / (2000 + 100), the others' a gain's; the sd of a variance is sqrt(2 / n)
    fan = 1050 if scheme == "glorot_normal" else 100
    gain = math.sqrt(2 / (1 + float(phi.derivative(-1.0)) ** 2)) if "relu" in name else 1.0
    gain = ROOT2 if scheme == "he_normal" and "relu" not in name else gain
    assert abs(weights.var() * fan / gain**2 - 1) < 5 * math.sqrt(2 / 2e5)
    assert after(name, gain, 10) in advice.reason
    unstable = name in ("gelu", "gelu_tanh", "silu", "mish")
    assert unstable == ("unstable" in advice.reason) == ("residual paths" in advice.reason)


@pytest.mark.parametrize("name", ["tanh", "silu", "sigmoid", "elu"])
def test_recommendation_for_a_depth_is_the_gain_for_it(name: str) -> None:
    advice = theory.recommend(name, 20)
    gain = theory.depth_gain(name, 20)
    assert advice.scheme == "variance_scaling" and advice.options == {"scale": gain**2}
    assert after(name, gain, 20) in advice.reason and "50 steps" not in advice.reason
    weights = winit.variance_scaling((2000, 100), rng=0, **advice.options)
    assert abs(weights.var() * 100 / gain**2 - 1) < 5 * math.sqrt(2 / 2e5)


def test_recommendation_names_the_scheme_that_a_gain_is() -> None:
    assert theory.recommend("relu", 7).scheme == "he_normal"
    leaky = theory.recommend(winit.activations.leaky_relu(0.3), 7)
    assert (leaky.scheme, leaky.options) == ("he_normal", {"negative_slope": 0.3})
    assert theory.recommend("linear", 7).scheme == "glorot_normal"


def test_recommendation_chooses_the_custom_that_loses_less() -> None:
    """Over 50 layers arcsinh loses least with 1/fan_in, softsign with 2/fan_in."""
    for function, scheme in ((np.arcsinh, "glorot_normal"), (ACTIVATIONS["softsign"], "he_normal")):
        spread = []
        for gain in (1.0, ROOT2):
            path = [(1.0, 1.0)]
            for _ in range(49):
                q, back = path[-1]
                pair = theory.q_map(function, q, gain), back * theory.chi_1(function, gain, q)
                path.append(pair)
            spread.append(np.ptp(np.log(path), axis=0).max())
        assert (spread[0] < spread[1]) == (scheme == "glorot_normal")
        assert theory.recommend(function).scheme == scheme


def test_recommendation_claims_no_more_than_it_computed() -> None:
    """tanh(z)^5 is unstable at q = 1 and has stable scales elsewhere."""
    reason = theory.recommend(lambda z: np.tanh(z) ** 5).reason
    assert "unstable (slope" in reason and "at q = 1" in reason


WIDTH, DEPTH, NETS, PAIRS, C0 = 600, 5, 8, 10, 0.5


def wide_network(name: str, sigma_w: float, sigma_b: float, rng: np.random.Generator) -> Array:
    """In one network and by layer: q, the pairs' covariance, the gradient's second moment."""
    params = network.init_params([WIDTH] * (DEPTH + 1), winit.lecun_normal, rng)
    for key, value in params.items():
        params[key] = sigma_w * value if key[0] == "W" else sigma_b * rng.standard_normal(WIDTH)
    one, other = rng.standard_normal((2, PAIRS, WIDTH))
    x = np.concatenate([one, C0 * one + math.sqrt(1 - C0**2) * other])
    x /= np.sqrt((x**2).mean())
    trace = network.forward(params, x, name)
    gradients = network.backward(params, trace, rng.standard_normal(trace.output.shape))
    q = [(z**2).mean() for z in trace.z]
    covariance = [(z[:PAIRS] * z[PAIRS:]).mean() for z in trace.z]
    return np.array([q, covariance, [(delta**2).mean() for delta in gradients.z]])


@pytest.mark.parametrize(
    ("name", "sigma_w", "sigma_b"),
    [
        ("tanh", 1.3, 0.3),
        ("tanh", 2.5, 0.3),
        ("relu", ROOT2, 0.0),
        ("gelu", 1.5335304412, 0.0),
        ("sigmoid", 4.0, 0.5),
    ],
)
def test_wide_networks_do_what_theory_says(name: str, sigma_w: float, sigma_b: float) -> None:
    rng = np.random.default_rng(0)
    nets = np.array([wide_network(name, sigma_w, sigma_b, rng) for _ in range(NETS)])
    q = [sigma_w**2 + sigma_b**2]  # the data have second moment 1 and correlation C0
    c = [(sigma_w**2 * C0 + sigma_b**2) / q[0]]
    for _ in range(DEPTH - 1):
        c.append(theory.c_map(name, c[-1], q[-1], sigma_w, sigma_b))
        q.append(theory.q_map(name, q[-1], sigma_w, sigma_b))
    chi = [theory.chi_1(name, sigma_w, q_l) for q_l in q[:-1]]
    gradient = np.cumprod([1.0, *chi[::-1]])[::-1]
    predicted = np.array([q, np.multiply(q, c), gradient])
    scale = np.array([q, q, gradient])
    error = nets.std(axis=0, ddof=1) / math.sqrt(NETS) / scale  # sd of the mean over the networks
    assert error.max() < 0.05
    # five of them, and what is left of order 1 / width
    assert (np.abs(nets.mean(axis=0) - predicted) / scale < 5 * error + DEPTH / WIDTH).all()


# The faults of issue E. Each group fails on the code before it ----------------------------------


def iterated(name: str, sigma_w: float, sigma_b: float, q: float, layers: int = 3000) -> float:
    """Where the q-map goes, by doing nothing but applying it."""
    for _ in range(layers):
        before, q = q, theory.q_map(name, q, sigma_w, sigma_b)
        if abs(q / before - 1) < 1e-14:
            break
    return q


@pytest.mark.parametrize(
    "q", [0.4, 1.6, *(pytest.param(q, marks=pytest.mark.long) for q in (0.8, 3.2))]
)
@pytest.mark.parametrize("name", sorted(UNSTABLE))
def test_fault_02_a_pair_of_fixed_points_is_not_stepped_over(name: str, q: float) -> None:
    """Where the slope is 1 at q a fixed point is born, and a slightly smaller gain makes it two."""
    tangent = 1 / math.sqrt(theory.q_slope(name, q, 1.0))
    sigma_b = math.sqrt(q - theory.q_map(name, q, tangent))
    sigma_w = tangent * (1 - 1e-3)
    start = q / 1.5**3.5  # so that steps by a factor of 1.5 pass the pair
    end = iterated(name, sigma_w, sigma_b, start)
    assert start < end < q  # the lower one of the two
    point = theory.fixed_point(name, sigma_w, sigma_b, start)
    assert point.q_star == pytest.approx(end, rel=1e-9) and point.stability == "stable"
    # and just before it is born there is nothing near: the signal passes the bottleneck
    beyond = theory.fixed_point(name, tangent * (1 + 1e-6), sigma_b, start)
    assert beyond.q_star > 1.01 * q


@pytest.mark.parametrize("sigma_b", [1e-4, 3e-6, 2e-8, 1e-12, 1e-60, 1e-149])
@pytest.mark.parametrize(("name", "sigma_w"), [("tanh", 0.6), ("relu", 1.2), ("gelu", 1.1)])
def test_fault_02_a_small_bias_keeps_the_signal_alive(
    name: str, sigma_w: float, sigma_b: float
) -> None:
    """Where q is small the map is a straight line: q* = sigma_b² / (1 - its slope)."""
    slope = sigma_w**2 * {"tanh": 1, "relu": 0.5, "gelu": 0.25}[name]
    point = theory.fixed_point(name, sigma_w, sigma_b)
    # the next term of the map is of order sqrt(q) at most
    expected = sigma_b**2 / (1 - slope)
    assert point.q_star == pytest.approx(expected, rel=10 * sigma_b + 1e-11, abs=0)
    assert point.stability == "stable"


@pytest.mark.parametrize("sigma_w", [3e15, 1e17, 1e40, 1e149])
@pytest.mark.parametrize(
    ("name", "limit"),
    [("tanh", 1), ("erf", 1), ("hard_tanh", 1), ("softsign", 1), ("sigmoid", 0.5), ("sin", 0.5)],
)
def test_fault_02_a_bounded_activation_never_explodes(
    name: str, limit: float, sigma_w: float
) -> None:
    point = theory.fixed_point(name, sigma_w)
    assert point.q_star == pytest.approx(limit * sigma_w**2, rel=1e-6)
    assert point.stability == "stable"


@pytest.mark.parametrize("sigma_b", some([0.02, 0.05, 0.1, 0.15, 0.2], 3))
@pytest.mark.parametrize("name", sorted(UNSTABLE))
def test_fault_03_no_critical_point_is_a_repeller(name: str, sigma_b: float) -> None:
    with pytest.raises(ValueError, match=f"{name} has no critical point .* do not settle there"):
        theory.critical_line(name, sigma_b)


@pytest.mark.parametrize("sigma_b", [30, 90, 150, 400, 5e3, 1e6])
@pytest.mark.parametrize(
    "name", ["tanh", "lecun_tanh", "erf", "hard_tanh", "softsign", "sigmoid", "sin", "relu6"]
)
def test_fault_03_critical_points_at_a_large_bias(name: str, sigma_b: float) -> None:
    sigma_w = theory.critical_line(name, sigma_b)
    q = iterated(name, sigma_w, sigma_b, 1.0)
    assert theory.chi_1(name, sigma_w, q) == pytest.approx(1, abs=1e-7)


@pytest.mark.parametrize("steep", [0.25, 0.5, 1, 1.5, 2, 2.5, 3, 4, 6, 8])
def test_fault_03_a_point_at_q_0_needs_a_fixed_point_there(steep: float) -> None:
    """A sigmoid is 1/2 at 0, so that no signal is small: the point lies where it settles."""

    def function(x: Array) -> Array:
        return 1 / (1 + np.exp(-steep * x))

    # sigmoid(steep x) with sigma_w is sigmoid(x) with steep sigma_w
    assert theory.critical_line(function) == pytest.approx(10.149263710 / steep, rel=1e-7)


def raised(x: Array) -> Array:
    """Far from 0, so that all inputs look alike at once."""
    return 2 + np.tanh(x) / 2


@pytest.mark.parametrize(
    ("activation", "c", "q", "sigma_w", "sigma_b"),
    [
        ("sigmoid", 0.29, 1.5, 1.3, 0.5),
        ("sigmoid", 0.6, 0.8, 1.4, 0.6),
        ("sigmoid", 0.49, 1.5, 1.6, 1.4),
        ("sigmoid", 0.59, 1.3, 1.8, 0.3),
        ("sigmoid", 0.42, 0.6, 1.5, 0.4),
        (raised, 0.75, 1.2, 0.8, 0.9),
        (raised, 0.28, 1.4, 1.1, 1.0),
        (raised, 0.65, 1.4, 1.3, 0.6),
        (raised, 0.78, 1.4, 0.9, 1.4),
        (raised, 0.78, 0.7, 0.7, 0.4),
        (raised, 0.43, 0.7, 1.6, 0.8),
        (raised, 0.73, 1.0, 2.0, 0.7),
        ("softplus", 0.3, 0.7, 0.8, 0.1),
        ("relu", 0.5, 1.0, 1.1, 0.8),
        ("gelu", -0.9, 1.0, 1.0, 1.0),
    ],
)
def test_fault_04_correlations_stay_within_their_bounds(
    activation: Any, c: float, q: float, sigma_w: float, sigma_b: float
) -> None:
    for _ in range(40):
        after = theory.c_map(activation, c, q, sigma_w, sigma_b)
        assert c - 1e-12 <= after <= 1  # all of these settle at 1, from below
        c = after
    assert c > 0.99
    for beyond in (1 + 2e-16, np.nextafter(1, 2), 1 + 1e-13):  # a rounding of the caller's own
        assert theory.c_map(activation, beyond, q, sigma_w, sigma_b) == 1


def sine(k: float) -> Callable[[Array], Array]:
    return lambda x: np.sin(k * x)


def step(at: float) -> Callable[[Array], Array]:
    return lambda x: np.where(x > at, 1.0, 0.0)


@pytest.mark.parametrize("k", [12, 17.5, 25, 40, 77, 100])
@pytest.mark.parametrize("q", [1.0, 300.0])
def test_fault_05_fast_oscillations(k: float, q: float) -> None:
    exact = -math.expm1(-2 * k * k * q) / 2
    assert theory.second_moment(sine(k), q) == pytest.approx(exact, abs=1e-11)


@pytest.mark.parametrize("q", [200, 2e3, 5e4, 1e6, 1e9, 1e20, 1e290])
def test_fault_05_sin_at_any_length(q: float) -> None:
    assert theory.second_moment("sin", q) == pytest.approx(0.5, abs=1e-11)
    assert theory.slope_second_moment("sin", q) == pytest.approx(0.5, abs=1e-11)
    c = 1 - 0.1 / q
    assert theory.c_map("sin", c, q, 1.0) == pytest.approx(math.exp((c - 1) * q), abs=1e-11)
    assert theory.fixed_point("sin", math.sqrt(2 * q)).q_star == pytest.approx(q, rel=1e-9)


@pytest.mark.parametrize("at", [-2.1, -0.7, 0.05, 0.3333, 1.1, 2.3])
def test_fault_05_undeclared_jumps(at: float) -> None:
    exact = stats.norm.sf(at)
    assert theory.second_moment(step(at)) == pytest.approx(exact, rel=1e-11)
    for c in (-0.5, 0.3, 0.9, 0.9999):
        both = stats.multivariate_normal([0, 0], [[1, c], [c, 1]]).cdf([-at, -at])
        assert theory.c_map(step(at), c, 1.0, 1.0) * exact == pytest.approx(both, rel=1e-10)


@pytest.mark.parametrize("at", [-1.7, -0.3, 0.123, 0.9, 2.0])
def test_fault_05_undeclared_kinks(at: float) -> None:
    exact = (1 + at**2) * stats.norm.sf(at) - at * stats.norm.pdf(at)
    assert theory.second_moment(lambda x: np.maximum(x - at, 0)) == pytest.approx(exact, rel=1e-11)
    slope = theory.slope_second_moment(lambda x: np.maximum(x - at, 0))
    assert slope == pytest.approx(stats.norm.sf(at), rel=1e-5)  # by differences of width 6e-6


@pytest.mark.parametrize("q", [1e4, 1e6, 1e8, 1e12, 1e20])
@pytest.mark.parametrize("name", ["softsign", "tanh", "erf", "sigmoid", "lecun_tanh"])
def test_fault_05_bounded_activations_at_a_large_length(name: str, q: float) -> None:
    """What the slope lets back, and what the second moment lacks of its limit."""
    phi, std = ACTIVATIONS[name], math.sqrt(q)
    density = 1 / (std * math.sqrt(2 * math.pi))
    # Where phi' is not 0 the normal density is flat. What is left of it is of order 1 / q; for
    # softsign, whose slope falls as 1 / x² only, the integral of phi'² is 2 / 3.
    flat = 2 * integrate.quad(lambda x: float(phi.derivative(x)) ** 2, 0, 60, epsabs=1e-13)[0]
    assert theory.slope_second_moment(name, q) == pytest.approx(flat * density, rel=20 / q + 1e-5)
    if name == "softsign":  # 1 - phi² = (1 + 2 x) / (1 + x)²: over e^t, all scales alike
        t = np.linspace(-40, math.log(13 * std), 400_001)
        x = np.exp(t)
        lacking = (1 + 2 * x) / (1 + x) ** 2 * np.exp(-((x / std) ** 2) / 2) * x
        lacks = 2 * density * integrate.trapezoid(lacking, t)
        assert theory.second_moment(name, q) == pytest.approx(1 - lacks, abs=1e-8)


@pytest.mark.parametrize("at", some([-1.0, 0.0, 0.3, 2.0, 7.0], 2))
@pytest.mark.parametrize("c", some([-0.95, 0.2, 0.99, 1 - 1e-6], 2))
def test_fault_05_undeclared_jumps_of_two_inputs(at: float, c: float) -> None:
    """A sign that changes at 1 and again at `at`: two jumps can hide between two points."""

    def sign(x: Array) -> Array:
        return np.where((x > 1) & (x < 8), 1.0, -1.0) * np.where(x > at, 1.0, -1.0)

    def part(a: float, b: float) -> float:  # P(z1 > a, z2 > b), by one integral
        root = math.sqrt(1 - c * c)
        low, kink = max(a, -12.0), b / c
        inside = [kink + k * root for k in (-9, -3, 0, 3, 9) if low < kink + k * root < 12]
        points = [low, *sorted(inside), 12.0]
        return sum(
            integrate.quad(
                lambda x: stats.norm.pdf(x) * stats.norm.cdf((c * x - b) / root),
                *ends,
                epsabs=1e-13,
            )[0]
            for ends in itertools.pairwise(points)
        )

    jumps = sorted({1.0, 8.0, at})
    levels = [float(sign(np.array([x]))[0]) for x in (-20.0, *(j + 1e-6 for j in jumps))]
    heights = np.diff(levels)
    # sign = levels[0] + the sum of heights * (x > jump)
    exact = levels[0] ** 2 + 2 * levels[0] * sum(
        h * stats.norm.sf(j) for h, j in zip(heights, jumps, strict=True)
    )
    for one, j in zip(heights, jumps, strict=True):
        for other, k in zip(heights, jumps, strict=True):
            exact += one * other * part(j, k)
    assert theory.c_map(sign, c, 1.0, 1.0) == pytest.approx(exact, abs=1e-10)


@pytest.mark.parametrize(
    "call",
    [
        lambda: theory.gain(sine(1e9)),
        lambda: theory.second_moment(sine(3.0), 1e20),
        lambda: theory.c_map(sine(1e4), 0.5, 100.0, 1.0),
        lambda: theory.c_slope(sine(5.0), 0.5, 1e10, 1.0),
        lambda: theory.second_moment(lambda x: np.where(np.abs(x) > 9, np.nan, x), 1.0),
        lambda: theory.gain(lambda x: np.exp(x**2)),
        lambda: theory.q_map(np.exp, 1e6, 1.0),
        lambda: theory.second_moment(lambda x: x**3, 1e150),
        lambda: theory.chi_1(np.exp, 1.0, 1e7),
    ],
)
def test_fault_05_what_cannot_be_integrated_is_said(call: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match=r"changes too fast|not a number|too large"):
        call()


@pytest.mark.parametrize("waves", [1e7, 1e8, 1e9])
def test_fault_05_what_has_no_slope_by_differences_is_said(waves: float) -> None:
    with pytest.raises(ValueError, match="jumps at x = 0, or is too steep there for a slope"):
        theory.slope_second_moment(sine(waves))


@each
def test_fault_05_every_depth_scale_takes_less_than_a_second(name: str) -> None:
    phi = ACTIVATIONS[name]
    for sigma_w, sigma_b in ((1.2, 0.3), (2.5, 0.3), (2.5, 0.0), (20.0, 1.0)):
        start = time.process_time()
        try:
            depth = theory.xi_c(phi, sigma_w, sigma_b)
        except ValueError as error:
            assert "dies out" in str(error) or "explodes" in str(error)
        else:
            assert depth > 0
        assert time.process_time() - start < 1


def test_corrected_reference_values() -> None:
    """Claims C16 and C17x, by an independent quadrature."""
    assert theory.c_star("tanh", 4, 0.3) == pytest.approx(0.0296959, abs=6e-8)
    assert theory.xi_c("tanh", math.sqrt(1.76), math.sqrt(0.05)) == pytest.approx(4911.7, abs=0.06)


HUGE, NAN, INF = 10**400, math.nan, math.inf
NUMBERS: list[object] = [None, "1", b"1", [1.0], (1.0,), {}, 1j, True, Decimal("1.5"), object()]
NUMBERS += [
    np.array([1.0]),
    np.array(1.0),
    np.array("a"),
    HUGE,
    -HUGE,
    NAN,
    INF,
    -INF,
    1e200,
    1e308,
]
NUMBERS += [Fraction(10**400, 3), -1.0, np.float64("nan"), np.float32("inf"), np.complex64(1)]
ARGUMENTS: dict[str, dict[str, float]] = {
    "second_moment": {"q": 1.0},
    "slope_second_moment": {"q": 1.0},
    "q_map": {"q": 1.0, "sigma_w": 1.2, "sigma_b": 0.1},
    "q_slope": {"q": 1.0, "sigma_w": 1.2},
    "fixed_point": {"sigma_w": 1.2, "sigma_b": 0.1, "q0": 1.0},
    "chi_1": {"sigma_w": 1.2, "q": 1.0},
    "c_map": {"c": 0.5, "q": 1.0, "sigma_w": 1.2, "sigma_b": 0.1},
    "c_slope": {"c": 0.5, "q": 1.0, "sigma_w": 1.2},
    "c_star": {"sigma_w": 1.2, "sigma_b": 0.1},
    "xi_q": {"sigma_w": 1.2, "sigma_b": 0.1},
    "xi_c": {"sigma_w": 1.2, "sigma_b": 0.1},
    "critical_line": {"sigma_b": 0.1},
}
CASES = [(function, argument) for function, given in ARGUMENTS.items() for argument in given]


@pytest.mark.parametrize(("function", "argument"), CASES)
def test_fault_08_every_number_is_checked(function: str, argument: str) -> None:
    for value in NUMBERS:
        if argument == "c" and isinstance(value, float) and abs(value) <= 1:
            continue
        if argument in ("q", "q0") and isinstance(value, float) and 0 < value <= 1e300:
            continue
        with pytest.raises((TypeError, ValueError), match=rf"^{argument} must be|^c must lie"):
            getattr(theory, function)("tanh", **ARGUMENTS[function] | {argument: value})


@pytest.mark.parametrize(("function", "argument"), CASES)
def test_fault_08_numbers_of_any_kind_will_do(function: str, argument: str) -> None:
    call = getattr(theory, function)
    given = ARGUMENTS[function]
    half = call("tanh", **given | {argument: 0.5})
    for value in (Fraction(1, 2), np.float32(0.5), np.float16(0.5), np.float64(0.5)):
        assert call("tanh", **given | {argument: value}) == half
    whole = call("tanh", **given | {argument: 1.0})
    for value in (1, np.int8(1), np.uint64(1), Fraction(3, 3)):
        assert call("tanh", **given | {argument: value}) == whole


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: theory.gain(lambda x: 0 * x), "the activation <lambda> is 0"),
        (lambda: theory.gain(np.zeros_like), "the activation zeros_like is 0"),
        (lambda: theory.gain(lambda x: x * 1e-200), "the activation <lambda> is 0"),
        (lambda: theory.gradient_gain(lambda x: 0 * x + 3), "the derivative of the activation <l"),
        (lambda: theory.gradient_gain(np.ones_like), "the derivative of the activation ones_like"),
        (lambda: theory.c_map(np.zeros_like, 0.5, 1.0, 1.0), "a layer whose signal is 0"),
        (lambda: theory.xi_q("tanh", Fraction(1, 2)), "tanh with sigma_w=0.5, sigma_b=0 has no"),
        (lambda: theory.c_star("relu", Fraction(7, 2), 3), "relu with sigma_w=3.5, sigma_b=3 has"),
        (lambda: theory.critical_line("relu", Fraction(1, 4)), "with sigma_b=0.25"),
        (lambda: theory.q_map("relu", 1e300, 1e5), "too large: it overflows"),
        (lambda: theory.chi_1("tanh", 1e-200), "sigma_w must be at least 1e-150"),
        (lambda: theory.q_map("tanh", 1, 1, 1e-170), "sigma_b must be at least 1e-150"),
    ],
)
def test_fault_08_what_has_no_value_says_so(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_maps_against_iteration_of_tables() -> None:
    """A small run of `make check-theory`, which shares nothing with the package's quadrature."""
    names = ("tanh", "gelu", "relu6")
    counts = {"fixed points": 10, "critical points": 2, "c*": 2}
    assert check_theory.check(counts, 1, names) == []


@pytest.mark.long
@pytest.mark.minutes
def test_maps_against_iteration_of_tables_at_length() -> None:
    assert check_theory.check({"fixed points": 4000, "critical points": 1000, "c*": 1000}, 0) == []


def test_the_comparison_sees_what_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    right = theory.fixed_point

    def slipped(*arguments: Any) -> theory.FixedPoint:
        point = right(*arguments)
        return theory.FixedPoint(point.q_star * (1 + 1e-5), point.slope, point.stability)

    monkeypatch.setattr(theory, "fixed_point", slipped)
    assert check_theory.wrong_fixed_points("tanh", 10, rng)
    monkeypatch.undo()
    monkeypatch.setattr(theory, "critical_line", lambda name, sigma_b: 1.401)
    assert check_theory.wrong_critical_points("tanh", 5, rng)
    monkeypatch.setattr(theory, "c_star", lambda *sigmas: 0.123)
    assert check_theory.wrong_correlations("tanh", 5, rng)


@pytest.mark.parametrize("power", [-160, -140, -120, -110, -105, 105, 110, 120, 130, 140])
def test_fault_08_a_gain_beyond_use_is_the_activations_fault(power: int) -> None:
    with pytest.raises(ValueError, match=r"the activation .* is too (small|large)"):
        theory.recommend(lambda x: np.tanh(x) * 10.0**power)


def softshrink(x: Array) -> Array:
    """Written as PyTorch's; 0 for signals below 0.5."""
    return np.sign(x) * np.maximum(np.abs(x) - 0.5, 0)


def beyond(threshold: float) -> Callable[[Array], Array]:
    return lambda x: np.maximum(x - threshold, 0)


@pytest.mark.parametrize("deviations", [3.0, 7.0, 7.7, 8.5, 10.0, 11.9, 12.5, 15.0, 20.0, 30.0])
def test_fault_05_rare_signals_have_their_moment(deviations: float) -> None:
    """E max(z - t, 0)² by parts: (1 + t²) P(z > t) - t density(t), here for small densities."""
    t = deviations
    grid = np.linspace(0, 20 / t, 20_001)
    tail = integrate.simpson(grid**2 * np.exp(-grid * (2 * t + grid) / 2), x=grid)
    exact = math.exp(-t * t / 2) / math.sqrt(2 * math.pi) * tail
    for scale in (1.0, 0.01):
        moment = theory.second_moment(beyond(t * scale), scale**2) / scale**2
        assert moment == pytest.approx(exact, rel=1e-6)


@pytest.mark.parametrize("sigma_w", [0.5, 0.95, 0.99, 1.0, 1.01, 1.1, 1.3])
@pytest.mark.parametrize("function", [softshrink, beyond(0.2), beyond(1.0)])
def test_fault_02_what_stops_small_signals_lets_none_live(
    function: Callable[[Array], Array], sigma_w: float
) -> None:
    """The q-map is below q everywhere and falls to 0 in a few layers: it was inf, and stable."""
    point = theory.fixed_point(function, sigma_w)
    assert (point.q_star, point.slope, point.stability) == (0.0, 0.0, "stable")


@pytest.mark.parametrize("sigma_b", some([1e-9, 1e-3, 0.1, 1.0, 1e6, 1e15], 3))
@pytest.mark.parametrize("name", ["relu", "linear", "abs", "leaky"])
def test_fault_02_a_bias_that_each_layer_adds_has_no_fixed_point(name: str, sigma_b: float) -> None:
    """q + sigma_b² in every layer, however little of q it is in the end: q* was about 1e13."""
    phi, sigma_w = {
        "relu": ("relu", math.sqrt(2)),
        "linear": ("linear", 1.0),
        "abs": (np.abs, 1.0),
        "leaky": (activations.leaky_relu(0.25), math.sqrt(2 / (1 + 0.25**2))),
    }[name]
    assert theory.fixed_point(phi, sigma_w, sigma_b).q_star == math.inf
    with pytest.raises(ValueError, match="the signal explodes"):
        theory.c_star(phi, sigma_w, sigma_b)
    # a little less weight, and there is one
    slope = 1 - 1e-6
    point = theory.fixed_point(phi, sigma_w * math.sqrt(slope), min(sigma_b, 1e6))
    assert point.q_star == pytest.approx(min(sigma_b, 1e6) ** 2 / (1 - slope), rel=1e-5)


@pytest.mark.parametrize("below", [1e-9, 1e-10, 1e-11, 1e-12, 3e-13, 1e-13, 1e-14, 1e-15])
@pytest.mark.parametrize("sigma_b", [1e-6, 1.26e-4, 0.1, 30.0])
def test_within_rounding_of_criticality_there_is_an_answer(sigma_b: float, below: float) -> None:
    """Digits are lost with those that 1 - below keeps; below 1e-12 q is told to go up, no more."""
    point = theory.fixed_point("linear", math.sqrt(1 - below), sigma_b)
    if below > 1e-12:
        assert point.q_star == pytest.approx(sigma_b**2 / below, rel=1e-15 / below)
    else:
        assert point.q_star >= 1 and point.stability == "neutral"


@pytest.mark.parametrize("q", [1e-20, 1e-16, 1e-12, 1e-8, 1e-4, 1.0, 1e4])
def test_fault_09_a_kink_at_0_is_seen_by_signals_of_any_size(q: float) -> None:
    """Differences with a step of 6e-6 averaged across it: chi_1 of np.abs was 2.7e-6."""
    assert theory.chi_1(np.abs, 1.0, q) == pytest.approx(1, rel=1e-8)
    assert theory.chi_1(lambda x: np.maximum(x, 0), math.sqrt(2), q) == pytest.approx(1, rel=1e-8)
    assert theory.c_slope(lambda x: np.maximum(x, 0), 0.5, q, math.sqrt(2)) == pytest.approx(2 / 3)


@pytest.mark.parametrize("name", ["elu", "softsign", "tanh", "sin"])
def test_the_slope_at_0_is_that_of_the_smallest_signals(name: str) -> None:
    point = theory.fixed_point(name, 1.0)
    assert (point.q_star, point.stability) == (0.0, "neutral")


@pytest.mark.parametrize("period", [0.1, 1.0, 2.0, 3.0, 6.0, 100.0])
@pytest.mark.parametrize("name", ["tanh", "sin"])
def test_fault_09_a_period_that_is_none(name: str, period: float) -> None:
    """With a period of 1 the gain of tanh was 2.048."""
    phi = ACTIVATIONS[name]
    wrong = activations.Activation("mine", phi.function, phi.slope, (), period)
    with pytest.raises(ValueError, match="activation mine must repeat itself after its period of"):
        theory.gain(wrong)


JUMPS: dict[str, Callable[[Array], Array]] = {
    "sign": np.sign,
    "floor": np.floor,
    "trunc": np.trunc,
    "step at 0.3": lambda x: np.where(x > 0.3, x + 1, x),
    "quarters": lambda x: np.trunc(x * 4) / 4,
    "threes": lambda x: np.trunc(x / 3) * 3,
    "small": lambda x: np.tanh(x) + 1e-4 * (x > -1.7),
    "far": lambda x: np.tanh(x) + (np.abs(x) > 2.5),
    "float32": lambda x: np.where(x > 0, np.float32(1) * np.tanh(x), -1).astype(np.float32),
    "window": lambda x: x * ((x > 0.1) & (x < 0.2)) + x,
}


@pytest.mark.parametrize("name", JUMPS)
def test_fault_05_a_jump_has_no_slope(name: str) -> None:
    """Differences across it are as large as their step is small: chi_1 of np.sign was 131763."""
    calls: list[Callable[[Any], object]] = [
        lambda phi: theory.chi_1(phi, 1.0),
        theory.gradient_gain,
        lambda phi: theory.c_slope(phi, 0.5, 1.0, 1.0),
        lambda phi: theory.depth_gain(phi, 10),
        theory.recommend,
    ]
    for call in calls:
        with pytest.raises(ValueError, match=r"jumps at x = \S+, or is too steep"):
            call(JUMPS[name])
    assert 0 < theory.second_moment(JUMPS[name]) < 20  # which needs no slope


@pytest.mark.parametrize(
    "function",
    [
        lambda x: np.sign(x) * np.abs(x) ** 0.75,
        lambda x: np.tanh(1e4 * x),
        lambda x: np.maximum(x, 0),
        lambda x: np.sinh(np.clip(x, -3, 3)).astype(np.float32),
    ],
)
def test_what_is_steep_or_rounded_is_no_jump(function: Callable[[Array], Array]) -> None:
    assert math.isfinite(theory.chi_1(activations.get(function), 1.0, 2.0))


@pytest.mark.parametrize("slope", [0.0, 0.01, 0.2, 0.5, 0.9, 1.0, 1.5, -0.3, -1.0, 3.0])
def test_fault_03_a_function_that_only_scales_is_critical_at_any_length(slope: float) -> None:
    """Its derivative is a difference here, which rounds the kink off for small signals."""
    sigma_w = theory.critical_line(lambda x: np.where(x > 0, x, slope * x))
    assert sigma_w == pytest.approx(math.sqrt(2 / (1 + slope**2)), rel=1e-5)


def test_a_jump_may_have_the_slope_that_training_uses() -> None:
    straight = activations.Activation("sign", np.sign, lambda x: (np.abs(x) < 1).astype(x.dtype))
    assert theory.chi_1(straight, 1.0) == pytest.approx(math.erf(1 / math.sqrt(2)), rel=1e-9)


# Gauss-Legendre panels that end at 0, where activations bend.
EDGES, (NODES, NODE_WEIGHTS) = np.linspace(-12, 12, 97), np.polynomial.legendre.leggauss(8)
NORMAL = (EDGES[:-1, None] + (1 + NODES) / 8).ravel()
DENSITY = np.tile(NODE_WEIGHTS, 96) / 8 * np.exp(-(NORMAL**2) / 2) / math.sqrt(2 * math.pi)


def worst_range(name: str, sigma_w: float, depth: int) -> float:
    """The larger range of ln q and of ln of the gradient's product, by a rule of its own."""
    phi, variance, u, product = ACTIVATIONS[name], sigma_w**2, [0.0], [0.0]
    for _ in range(depth - 1):
        z = math.exp(u[-1] / 2) * NORMAL
        product.append(product[-1] + math.log(variance * (DENSITY @ phi.derivative(z) ** 2)))
        u.append(math.log(variance * (DENSITY @ phi(z) ** 2)))
    return max(np.ptp(u), np.ptp(product))


@pytest.mark.parametrize("depth", some([2, 10, 40], 3))
@pytest.mark.parametrize("name", ["tanh", "sigmoid", "gelu", "silu", "softplus", "elu"])
def test_gain_for_a_depth_has_the_smallest_range(name: str, depth: int) -> None:
    found = theory.depth_gain(name, depth)
    # 0.3 % of a loss is less than a step of the grid makes, and more than both rules are off
    others = found * np.geomspace(0.5, 2, 401)
    least = min(worst_range(name, sigma_w, depth) for sigma_w in others)
    assert worst_range(name, found, depth) <= least * 1.003 + 1e-6


@pytest.mark.parametrize("depth", [1, 2, 10, 1000])
@pytest.mark.parametrize("slope", some([0.0, 0.01, 0.3, 1.0], 2))
def test_gain_for_a_depth_of_what_only_scales_is_exact(slope: float, depth: int) -> None:
    phi = activations.leaky_relu(slope)
    assert theory.depth_gain(phi, depth) == pytest.approx(math.sqrt(2 / (1 + slope**2)), rel=1e-12)


def test_gain_for_a_depth_against_the_claim() -> None:
    """N18. Its digits hold to 0.01 (silu is 1.664 here, not 1.67): a bound set after looking."""
    claimed = {"relu": 1.414, "elu": 1.23, "silu": 1.67, "gelu": 1.52, "softplus": 1.475}
    for name, value in claimed.items():
        assert theory.depth_gain(name, 10) == pytest.approx(value, abs=0.01), name
    assert 1.39 <= theory.depth_gain("tanh", 10) <= 1.41
    assert 6.4 <= theory.depth_gain("sigmoid", 10) <= 6.8


@pytest.mark.parametrize("depth", [0, -1, 10_001, 10**30])
def test_gain_for_a_depth_out_of_range(depth: int) -> None:
    with pytest.raises(ValueError, match="depth must be"):
        theory.depth_gain("tanh", depth)


@pytest.mark.parametrize("depth", [2.5, "3", None, True, [3]])
def test_gain_for_a_depth_that_is_no_number_of_layers(depth: Any) -> None:
    with pytest.raises(TypeError, match="depth must be"):
        theory.depth_gain("tanh", depth)


def flat_top(size: float) -> Callable[[Array], Array]:
    """3 * size for small signals, nothing for larger ones, and 1.2 (abs(x) - size) at last."""
    return lambda x: 3 * size * np.exp(-((10 * x / size) ** 2)) + 1.2 * np.maximum(abs(x) - size, 0)


@pytest.mark.parametrize("size", [1.0, 4.0, 1000.0])
@pytest.mark.parametrize(("sigma_w", "explodes"), [(0.9, False), (1.0, False), (1.2, True)])
def test_a_layer_may_step_over_fixed_points(size: float, sigma_w: float, explodes: bool) -> None:
    """The map falls first: small signals land far above two fixed points, or settle after all."""
    phi = flat_top(size)
    z = np.linspace(-12, 12, 200_001)
    weight = np.exp(-z * z / 2) * (z[1] - z[0]) / math.sqrt(2 * math.pi)
    q = 1e-3 * size**2
    for _ in range(60):
        q = sigma_w**2 * float(weight @ phi(math.sqrt(q) * z) ** 2)
    found = theory.fixed_point(phi, sigma_w, q0=1e-3 * size**2).q_star
    assert (found == math.inf) == (q > 1e6 * size**2) == explodes
    if not explodes:
        assert found == pytest.approx(q, rel=1e-3)  # the sum is good to that at the kinks


def of_cos() -> float:
    """The q with chi_1 = 1 and no bias: E cos² = q E sin², where E cos 2z = exp(-2q)."""
    q = optimize.brentq(lambda q: (1 + math.exp(-2 * q)) - q * (1 - math.exp(-2 * q)), 0.1, 5)
    return math.sqrt(2 / (1 - math.exp(-2 * q)))


def test_critical_line_of_functions_that_are_flat_at_0_and_not_0() -> None:
    assert theory.critical_line(np.cos) == pytest.approx(of_cos(), rel=1e-8)
    assert theory.critical_line(lambda x: 2 * np.cos(x)) == pytest.approx(of_cos() / 2, rel=1e-8)
    lorentz = theory.critical_line(lambda x: 1 / (1 + x * x))
    q = theory.fixed_point(lambda x: 1 / (1 + x * x), lorentz).q_star
    assert theory.chi_1(lambda x: 1 / (1 + x * x), lorentz, q) == pytest.approx(1, rel=1e-6)


@pytest.mark.parametrize(
    ("phi", "sigma_b", "expected"),
    [
        (lambda x: np.maximum(x, np.float32(0)), 0.0, ROOT2),
        (lambda x: np.float32(3) * np.float32(x), 0.0, 1 / 3),
        (lambda x: np.tanh(np.float32(x)), 0.1, theory.critical_line("tanh", 0.1)),
        (lambda x: np.tanh(np.float32(x)), 0.0, 1.0),
    ],
)
def test_critical_line_of_functions_in_float32(phi: Any, sigma_b: float, expected: float) -> None:
    """Differences in float32 are good to 1e-5."""
    assert theory.critical_line(phi, sigma_b) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("sigma_b", [1e-5, 0.000126, 0.01, 1.0])
@pytest.mark.parametrize("slope", [1.5, 0.3])
def test_rounding_makes_no_critical_point(slope: float, sigma_b: float) -> None:
    """Of a linear layer without a derivative of its own: there is none with a bias."""
    with pytest.raises(ValueError, match=r"has no critical point with sigma_b=[\d.e-]+$"):
        theory.critical_line(lambda x: x * slope, sigma_b)


@pytest.mark.parametrize("phi", [np.exp, np.cosh])
@pytest.mark.parametrize("sigma_b", [0.0, 0.1])
def test_no_critical_point_is_blamed_on_a_length_that_nobody_wrote(
    phi: Any, sigma_b: float
) -> None:
    with pytest.raises(ValueError, match=r"do not settle there$"):
        theory.critical_line(phi, sigma_b)


def test_where_the_critical_line_cannot_be_followed() -> None:
    """exp(x) - 1 overflows from q = 354 on, before a critical point with this bias."""
    with pytest.raises(ValueError, match=r"with sigma_b=1e\+10 that can be found: no expectation"):
        theory.critical_line(np.expm1, 1e10)


def test_a_signal_that_overshoots_and_then_creeps_is_followed_to_the_end() -> None:
    """abs(x) with a needle at 0: small signals land above the fixed point, and come down slowly."""
    width, loss = 1e-3, 2e-3

    def needle(x: Array) -> Array:
        return abs(x) + 3 * np.exp(-((x / width) ** 2))

    # for signals much longer than the needle is wide, E phi² = q + area / sqrt(q)
    area = (9 * width * math.sqrt(math.pi / 2) + 6 * width**2) / math.sqrt(2 * math.pi)
    expected = ((1 - loss) * area / loss) ** (2 / 3)
    point = theory.fixed_point(needle, math.sqrt(1 - loss), q0=1e-8)
    assert point.q_star == pytest.approx(expected, rel=1e-5)
    assert point.stability == "stable"


def test_rounding_of_a_function_that_is_flat_at_0_is_no_jump() -> None:
    """x⁵ by a formula whose rounding is far larger than x⁵ near 0."""

    def fifth(x: Array) -> Array:
        return (1 + x) ** 5 - 1 - 5 * x - 10 * x**2 - 10 * x**3 - 5 * x**4

    assert theory.chi_1(fifth, 1.0) == pytest.approx(25 * 105, rel=1e-6)


@pytest.mark.parametrize("name", ["tanh", "relu", "gelu", "erf", "sigmoid", "sin"])
def test_near_correlation_1_the_c_map_keeps_what_is_missing(name: str) -> None:
    """1 - c grows by q E phi'² / E phi², and the only error is the rounding of numbers near 1."""
    gap = 1 - (1 - 1e-13)
    grows = theory.slope_second_moment(name) / theory.second_moment(name)
    after = (1 - theory.c_map(name, 1 - gap, 1.0, 1.0)) / gap
    assert after == pytest.approx(grows, abs=3 * 1.2e-16 / gap)


@pytest.mark.parametrize("name", ["q_star", "slope", "stability", "scheme", "options", "reason"])
def test_records_are_frozen(name: str) -> None:
    records = theory.fixed_point("tanh", 1.5), theory.recommend("tanh")
    record = next(record for record in records if hasattr(record, name))
    with pytest.raises(AttributeError):
        setattr(record, name, getattr(record, name))


@pytest.mark.parametrize(("phi", "sigma_w"), [(np.exp, 2.0), (np.sinh, 3.0), (np.cosh, 1.5)])
@pytest.mark.parametrize("sigma_b", [0.0, 0.1])
def test_what_explodes_beyond_numbers_has_no_slope(
    phi: Any, sigma_w: float, sigma_b: float
) -> None:
    """The slope of the map at the last length looked at overflows, which is no error."""
    point = theory.fixed_point(phi, sigma_w, sigma_b)
    assert point == theory.FixedPoint(math.inf, math.inf, "unstable")


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_functions_in_coarse_numbers_are_not_refined_to_their_steps(dtype: Any) -> None:
    """Each step is a jump of 1e-3; below it nothing is to be found."""
    points = 0

    def coarse(x: Array) -> Array:
        nonlocal points
        points += x.size
        return np.maximum(x, 0).astype(dtype)

    eps = 8e-3 if dtype is not np.float16 else 1e-3
    assert theory.second_moment(coarse) == pytest.approx(0.5, rel=eps)
    assert theory.gradient_gain(coarse) == pytest.approx(ROOT2, rel=20 * eps)
    assert theory.fixed_point(coarse, 1.2, 0.5).q_star == pytest.approx(0.25 / 0.28, rel=20 * eps)
    assert points < 1e6


@pytest.mark.parametrize("phi", [np.sign, lambda x: np.where(x > 0, 1.0, 0.0)])
@pytest.mark.parametrize("sigma_b", [0.0, 0.1])
def test_no_stability_is_made_up_for_a_function_that_jumps(phi: Any, sigma_b: float) -> None:
    """The q-map of a step is constant: differences across the jump would call it unstable."""
    with pytest.raises(ValueError, match="jumps at x = 0"):
        theory.fixed_point(phi, 1.0, sigma_b)
    smooth = activations.Activation(
        getattr(phi, "__name__", "step"), phi, np.zeros_like, kinks=(0.0,)
    )
    assert theory.fixed_point(smooth, 1.0, sigma_b).stability == "stable"


def reference_slope(phi: activations.Activation, q: float, c: float) -> float:
    """E phi'(z1) phi'(z2) by the rule of `check_theory`, which smooths one input by the other."""
    slope = activations.Activation(phi.name, phi.derivative, phi.derivative, phi.kinks)
    return check_theory.smoothed_square(slope, q, c)


@pytest.mark.parametrize("name", some(check_theory.NAMES, 3))
def test_every_number_of_every_activation_against_another_rule(name: str) -> None:
    """q*, chi_1, c*, xi_c and the critical point to 1e-6, where they are; how long each took.

    The reference iterates tables that `check_theory` makes by a rule of its own.
    """
    phi, gain, took = activations.get(name), theory.gain(name), dict[str, float]()

    def timed(function: str, *arguments: Any) -> Any:
        start = time.process_time()
        try:
            return getattr(theory, function)(*arguments)
        except ValueError as error:
            return error
        finally:
            took[function] = max(took.get(function, 0.0), time.process_time() - start)

    chaos = [(12.0, 0.2)] if name == "sigmoid" else []  # whose critical point lies far out
    for w, b in [(0.7 * gain, 0.3), (1.3 * gain, 0.2), (2.5 * gain, 0.5), *chaos]:
        ends, moved = check_theory.settle(name, np.array([w * w]), np.array([b * b]), np.ones(1))
        point, q = timed("fixed_point", name, w, b), float(np.exp(ends[0]))
        if q > 1e12:
            assert point.q_star == math.inf
            assert isinstance(timed("c_star", name, w, b), ValueError)
            assert isinstance(timed("xi_c", name, w, b), ValueError)
            assert np.isnan(theory.phase_diagram(name, [w], [b]).chi_1[0, 0])
            continue
        assert abs(moved[0]) < 1e-12 and point.q_star == pytest.approx(q, rel=1e-6)
        slope = w * w * check_theory.moments(phi, q)[2] if name != "sin" else 0.0
        slope = slope or w * w * check_theory.sine(q)[2]
        assert timed("chi_1", name, w, point.q_star) == pytest.approx(slope, rel=1e-6)
        c, depth = timed("c_star", name, w, b), timed("xi_c", name, w, b)
        if slope <= 1:
            assert c == 1.0 and depth == pytest.approx(-1 / math.log(slope), rel=1e-6)
            continue
        stays = (w * w * check_theory.smoothed_square(phi, q, c) + b * b) / q
        at_c = w * w * reference_slope(phi, q, c)
        assert 0 <= c < 1 and at_c < 1
        assert abs(stays - c) < 1e-6 * (1 - at_c)  # the distance to where it crosses the diagonal
        assert depth == pytest.approx(-1 / math.log(at_c), rel=1e-6)
    for b in (0.0, 0.2):
        sigma_w = timed("critical_line", name, b)
        if isinstance(sigma_w, ValueError):
            assert check_theory.denied(name, b) is None
        elif b:
            ends, _ = check_theory.settle(
                name, np.array([sigma_w**2]), np.array([b * b]), np.ones(1), 80 * 5000
            )
            assert float(check_theory.chi(name, np.array([sigma_w**2]), ends)[0]) == pytest.approx(
                1, abs=1e-6
            )
    print(name, {function: f"{seconds:.2f} s" for function, seconds in took.items()})


@pytest.mark.parametrize("sigma_w", some([1e3, 1e7, 1e9, 1e12, 1e22, 1e60], 3))
@pytest.mark.parametrize("name", ["relu6", "sigmoid", "tanh", "erf", "hard_tanh", "lecun_tanh"])
def test_fault_13_very_large_weights_make_steps_of_what_saturates(
    name: str, sigma_w: float
) -> None:
    """A step's c-map is arccos(-c) / pi in both, so that c* and xi_c are known.

    What is not yet a step is a share of the order of 1 / sigma_w; the rest is for c* itself. The
    factor of 20 was set after looking.
    """
    c_star, depth = 0.0, -1 / math.log(2 / math.pi)
    if name in ("relu6", "sigmoid"):  # from 0 to 1: E of the product is arccos(-c) / 2 pi, q = 1/2
        c_star = float(optimize.brentq(lambda c: math.acos(-c) / math.pi - c, 0.5, 0.9))
        depth = -1 / math.log(1 / (math.pi * math.sqrt(1 - c_star**2)))
    start = time.process_time()
    assert theory.xi_c(name, sigma_w) == pytest.approx(depth, rel=1e-8 + 20 / sigma_w)
    print(f"{name}: {time.process_time() - start:.2f} s")
    assert theory.c_star(name, sigma_w) == pytest.approx(c_star, abs=1e-8 + 20 / sigma_w)


@pytest.mark.parametrize(("sigma_w", "sigma_b"), [(20, 1), (10, 0.5), (5, 1), (30, 0)])
def test_waves_that_nearly_cancel_out_have_their_depth_scale(
    sigma_w: float, sigma_b: float
) -> None:
    """E sin sin and E cos cos are known, and q* is half of sigma_w², but for exp(-2 q)."""
    half, bias = sigma_w**2 / 2, sigma_b**2
    q = half + bias
    c = 0.0
    for _ in range(200):
        c = (half * (math.exp(-(1 - c) * q) - math.exp(-(1 + c) * q)) + bias) / q
    slope = half * (math.exp(-(1 - c) * q) + math.exp(-(1 + c) * q))
    assert theory.xi_c("sin", sigma_w, sigma_b) == pytest.approx(-1 / math.log(slope), rel=1e-8)


def test_fault_13_waves_that_cancel_out_leave_no_slope() -> None:
    assert theory.xi_c("sin", 1e3) == theory.xi_c("sin", 1e22) == 0.0


@each
def test_curves_and_diagram_are_the_maps_point_by_point(name: str) -> None:
    phi, sigma_w = ACTIVATIONS[name], 0.8 * theory.gain(ACTIVATIONS[name])
    qs, cs = [0.01, 1.0, 30.0], [-1.0, 0.0, 0.7, 1.0]
    assert theory.q_curve(phi, qs, sigma_w, 0.3).tolist() == [
        theory.q_map(phi, q, sigma_w, 0.3) for q in qs
    ]
    point = theory.fixed_point(phi, sigma_w, 0.3)
    curve = theory.c_curve(phi, cs, sigma_w, 0.3)
    exact = [theory.c_map(phi, c, point.q_star, sigma_w, 0.3) for c in cs]
    assert np.abs(curve - exact).max() < 1e-11
    diagram = theory.phase_diagram(phi, [sigma_w, 3 * sigma_w], [0.0, 0.3])
    assert diagram.q_star.shape == diagram.chi_1.shape == (2, 2)
    assert diagram.q_star[1, 0] == point.q_star
    assert diagram.chi_1[1, 0] == theory.chi_1(phi, sigma_w, point.q_star)
    explodes = np.isinf(diagram.q_star)
    assert (np.isnan(diagram.chi_1) == explodes).all()


def test_phase_diagram_of_tanh() -> None:
    """Without a bias the small signals' chi_1 is sigma_w²; the line is where `critical_line` is."""
    line = theory.critical_line("tanh", 0.3)
    diagram = theory.phase_diagram("tanh", [0.5, line, 3.0], [0.0, 0.3])
    assert diagram.q_star[0, 0] == 0 and diagram.chi_1[0, 0] == pytest.approx(0.25, rel=1e-12)
    assert diagram.chi_1[1, 1] == pytest.approx(1, abs=1e-9)
    assert (diagram.chi_1[:, 0] < 1).all() and (diagram.chi_1[:, 2] > 1).all()


def steep(x: Array) -> Array:
    return np.tanh(x) * 1e160


def test_curves_say_what_they_do_not_take_in_their_callers_words() -> None:
    words: list[tuple[Callable[[], object], type[Exception], str]] = []
    for value, error, message in [
        ("x", TypeError, "must"), ([[1.0]], ValueError, "must have 1 axis"),
        ([], ValueError, "must not be empty"), ([1.0, math.nan], ValueError, "must be finite"),
        ([1e308], ValueError, "must"), ([-2.0], ValueError, "must"), (1.0, ValueError, "must have"),
        (np.full(1001, 0.5), ValueError, "must hold at most 1000 values, got 1001"),
    ]:  # fmt: skip
        calls: dict[str, Callable[[Any], object]] = {
            "qs": lambda v: theory.q_curve("tanh", v, 1.5),
            "cs": lambda v: theory.c_curve("tanh", v, 1.5),
            "sigmas_w": lambda v: theory.phase_diagram("tanh", v, [0.1]),
            "sigmas_b": lambda v: theory.phase_diagram("tanh", [1.5], v),
        }
        for name, call in calls.items():
            words.append((lambda c=call, v=value: c(v), error, rf"^(each of )?{name} {message}"))  # type: ignore[misc]
    words += [
        (lambda: theory.q_curve(steep, [1.0], 1.5), ValueError, "q-map of steep at one of qs"),
        (lambda: theory.c_curve("relu", [0.5], 3.0), ValueError, "the signal explodes"),
        (lambda: theory.phase_diagram("tanh", np.ones(50), np.ones(51)), ValueError, "at most 25"),
        (lambda: theory.phase_diagram("tanh", [5e-324], [0.1]), ValueError, "each of sigmas_w mu"),
    ]
    for call_, error, message in words:
        with pytest.raises(error, match=message):
            call_()
    assert np.isnan(theory.phase_diagram(steep, [1.5], [0.1]).chi_1).all()


@pytest.mark.parametrize(("name", "sigma_b"), [("gelu", 1e4), ("elu", 1e6), ("tanh", 1e16)])
def test_a_critical_point_that_rounding_hides_is_not_denied(name: str, sigma_b: float) -> None:
    with pytest.raises(ValueError, match=rf"{name}: no critical point was found .* rounding hides"):
        theory.critical_line(name, sigma_b)
    assert theory.critical_line("gelu", 0.5) == pytest.approx(1.39987, abs=1e-5)


def test_phase_diagrams_are_compared_as_what_they_are() -> None:
    diagrams = [theory.phase_diagram("tanh", [1.0, 1.5], [0.1]) for _ in range(2)]
    assert diagrams[0] != diagrams[1] and hash(diagrams[0])
