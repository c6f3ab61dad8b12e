"""What `reinitialize` draws: each kernel by the geometry of its site and the activation before it.

The kernel after an activation answers for what the activation took away: its gain is the one for
the depth that follows without a normalizer. The first site reads data and takes 1/fan_in, a head
starts small so that the first loss is that of a network that knows nothing, recurrent kernels are
orthogonal, and the ends of n branches that are summed are divided by √n. `winit.judge` compares a
model's weights with the same plan.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import erfinv

from winit import _checks, activations, initializers, theory
from winit._checks import RNG, Draws
from winit.activations import Activation
from winit.program import Elementwise, Kernel, Program, Site, Subject

Array = NDArray[np.floating[Any]]

# Logits of this rms cost 0.005 nats at the start; He's rule costs 0.8, LeCun's 0.4 (ten classes).
HEAD = 0.1
# Embeddings: uniform within this, as Keras draws them.
EMBEDDING = 0.05
# Where functions are compared, beyond the upper kink of ReLU6; and where one is tabulated.
GRID = np.linspace(-6.0, 9.0, 301)
TABLE = np.linspace(-40.0, 40.0, 8001)
# What a layer sets by itself, and a user of a scheme does not.
RESERVED = {"shape", "rng", "dtype", "in_axis", "out_axis", "batch_axis", "draw"}
# Schemes that look at no fan, and those that make one matrix at a time.
PLAIN = ("zeros", "ones", "constant", "normal", "uniform", "truncated_normal")
MATRICES = ("orthogonal", "identity")


# ------------------------------------------------------------------ the gain of what stands before


@lru_cache(maxsize=256)
def activation(step: Elementwise) -> Activation:
    """The activation that an elementwise program is: one that `winit` has, or one made of it."""
    if step.linear:
        return activations.linear
    values = np.asarray(step(GRID), dtype=np.float64)
    if not np.isfinite(values).all():
        return activations.linear
    slope = round(float(values[0] / GRID[0]), 5)
    for phi in (*activations.ACTIVATIONS.values(), activations.leaky_relu(slope)):
        if np.abs(phi(GRID) - values).max() <= 1e-4 * np.abs(values).max():
            return phi
    table = np.asarray(step(TABLE), dtype=np.float64)
    slopes = np.gradient(table, TABLE)
    return Activation(
        "own function",
        lambda z: np.interp(z, TABLE, table),
        lambda z: np.interp(z, TABLE, slopes),
    )


@lru_cache(maxsize=256)
def gain(step: Elementwise, depth: int) -> float:
    """The gain for that many activations in a row, in the argument's own unit.

    A function that `winit` does not know, such as sin(30 x), need not bend where |x| is about 1:
    its argument is first scaled so that its slope's rms is 1.
    """
    phi = activation(step)
    if phi.name != "own function":
        return _depth_gain(phi, depth)
    unit = math.sqrt(theory.slope_second_moment(phi)) or 1.0
    scaled = Activation(
        phi.name, lambda z: phi.function(z / unit), lambda z: phi.slope(z / unit) / unit
    )
    return _depth_gain(scaled, depth) / unit


def _depth_gain(phi: Activation, depth: int) -> float:
    """Stand-in for `theory.depth_gain` until it is merged."""
    if np.allclose(phi(2 * GRID), 2 * phi(GRID)):
        return theory.gain(phi)
    z = np.sqrt(2) * erfinv(np.linspace(-1, 1, 802)[1:-1])
    low, high = 0.2, 20.0
    for _ in range(4):
        gains = np.geomspace(low, high, 60)
        q, grad = np.ones_like(gains), np.zeros_like(gains)
        qs, grads = [np.zeros_like(gains)], [grad]
        with np.errstate(all="ignore"):
            for _ in range(depth):
                u = np.sqrt(q)[:, None] * z
                grad = grad + np.log(gains**2 * (phi.slope(u) ** 2).mean(axis=1))
                q = np.clip(gains**2 * (phi.function(u) ** 2).mean(axis=1), 1e-30, 1e30)
                qs.append(np.log(q))
                grads.append(grad)
            worst = np.maximum(np.ptp(qs, axis=0), np.ptp(grads, axis=0))
        i = int(np.nanargmin(worst))
        low, high = float(gains[max(i - 1, 0)]), float(gains[min(i + 1, 59)])
    return float(gains[i])


def runs(program: Program) -> list[int]:
    """For each site, the most sites that follow each other through it without a new root."""
    sites = program.sites
    before, after = [1] * len(sites), [1] * len(sites)
    links = [
        (p, i)
        for i, site in enumerate(sites)
        for p in site.parents
        if p < i and set(site.roots) & set(sites[p].roots)
    ]
    for p, i in links:
        before[i] = max(before[i], before[p] + 1)
    for p, i in reversed(links):
        after[p] = max(after[p], after[i] + 1)
    return [a + b - 1 for a, b in zip(before, after, strict=True)]


# ------------------------------------------------------------------ the plan


@dataclass(frozen=True)
class Plan:
    """What one site's kernel should be: a scheme with its options, and the std that it comes to.

    `std` is NaN where no scale is better than another (an embedding, whose rows are picked).
    """

    scheme: str
    std: float
    options: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        words = [f"{k}={v:.4g}" for k, v in self.options.items()]
        return ", ".join([self.scheme, *words])


def plan(program: Program) -> list[Plan]:
    """A plan for every site."""
    picked = {site.kernel.name for site in program.sites if site.lookup}
    depths = runs(program)
    return [_plan(site, n, picked) for site, n in zip(program.sites, depths, strict=True)]


def _plan(site: Site, run: int, picked: set[str]) -> Plan:
    if site.kernel.name in picked:
        columns = site.kernel.shape[-1]
        limit = min(EMBEDDING, math.sqrt(3 / columns))
        return Plan("uniform", math.nan if site.lookup else limit / math.sqrt(3), {"limit": limit})
    summed = site.summed
    if site.recurrent and summed > 1:
        side = max(site.fan_in, site.units / site.groups / site.blocks)
        return Plan("orthogonal", 1 / math.sqrt(side))
    if site.head:
        return _scaled(HEAD, site)
    if site.reads_data:
        return _scaled(1.0, site)
    depth = max(run - 1, 1) * (site.steps if site.recurrent else 1)
    return _scaled(gain(site.before, depth) / math.sqrt(max(summed - 1, 1)), site)


def _scaled(gain: float, site: Site) -> Plan:
    std = gain / math.sqrt(site.fan_in)
    if abs(gain - 1) < 1e-6:
        return Plan("lecun_normal", std)
    if abs(gain - math.sqrt(2)) < 1e-3:
        return Plan("he_normal", std)
    return Plan("variance_scaling", std, {"scale": gain**2})


def draw(site: Site, plan: Plan, rng: Draws) -> tuple[NDArray[np.int64] | None, Array]:
    """Where the site's kernel lies in its parameter, and values of the plan for those places.

    Schemes count fans by the shape (groups, outputs, inputs, *window); what strides and dilated
    inputs change is put right after. Without an index the whole parameter is drawn entry by entry.
    """
    kernel = site.kernel
    if kernel.index is None or plan.scheme == "uniform":
        std = plan.std if math.isfinite(plan.std) else EMBEDDING / math.sqrt(3)
        options = dict(plan.options) if plan.scheme in PLAIN else {"std": std}
        scheme = plan.scheme if plan.scheme in PLAIN else "normal"
        return None, initializers.get(scheme)(kernel.shape, rng=rng, **options)
    index = kernel.index()
    return index, _draw(index.shape, site, plan, rng)


def _draw(shape: tuple[int, ...], site: Site, plan: Plan, rng: Draws) -> Array:
    function, options = initializers.get(plan.scheme), dict(plan.options)
    if plan.scheme in PLAIN:
        return function(shape, rng=rng, **options)
    groups, outputs, *rest = shape
    blocks = site.blocks if outputs % site.blocks == 0 else 1
    one = (outputs // blocks, *rest)
    if plan.scheme in MATRICES:
        drawn = [function(one, rng=rng, **options) for _ in range(groups * blocks)]
        return np.stack(drawn).reshape(shape)
    axes = {"batch_axis": 0, "out_axis": 1, "in_axis": 2}
    values = function((groups * blocks, *one), rng=rng, **axes, **options).reshape(shape)
    counted, true = initializers.fans(one), (site.fan_in, site.fan_out)
    if "glorot" in plan.scheme or options.get("mode") == "fan_avg":
        return values * math.sqrt(sum(counted) / sum(true))
    side = int(options.get("mode") == "fan_out")
    return values * math.sqrt(counted[side] / true[side])


# ------------------------------------------------------------------ drawing a whole model


def check_options(scheme: str, options: Mapping[str, Any]) -> None:
    """Refuse at once what would fail, or be ignored, when it is drawn.

    Raises
    ------
    ValueError, TypeError
        An unknown scheme or option, a value out of range, an option that is missing.
    """
    parameters = inspect.signature(initializers.get(scheme)).parameters
    allowed = [name for name in parameters if name not in RESERVED]
    for name in options:
        if not allowed:
            raise ValueError(f"{scheme} takes no options, got {name!r}")
        _checks.choice(name, f"an option of {scheme}", allowed)
    for name in allowed:
        if parameters[name].default is inspect.Parameter.empty and name not in options:
            raise ValueError(f"{scheme} needs the option {name!r}")
    initializers.get(scheme)((2, 2), rng=0, **options)


def reinitialize(
    subject: Subject,
    scheme: str = "auto",
    *,
    rng: RNG = None,
    force: bool = False,
    **options: Any,
) -> dict[str, str]:
    """Draw every kernel by its site, and put all other parameters at their conventional start.

    Parameters
    ----------
    scheme : "auto" or a scheme's name
        "auto" follows `plan`; `options` go with a name only. Embeddings, biases, normalization
        and gates have their convention under every scheme.
    force : bool
        Needed for a model that was trained, and for what is frozen or was given by the user.

    Returns
    -------
    dict
        What each parameter is now, by its path; "left: …" where it is as it was, and why.

    Raises
    ------
    TypeError, ValueError
        A trained model, an unknown scheme or option. On any error, an interrupt by the keyboard
        included, the model is left as it was.
    """
    draws = _checks.as_rng(rng)
    if scheme != "auto":
        _checks.choice(scheme, "scheme", ("auto", *initializers.SCHEMES))
        check_options(scheme, options)
    elif options:
        raise ValueError(f"options go with a named scheme, not with 'auto': {options!r}")
    if not force and (sign := subject.trained()):
        raise ValueError(
            f"{subject.name} looks trained ({sign}), and its weights would be lost: "
            "force=True draws them all the same"
        )
    named = None if scheme == "auto" else Plan(scheme, math.nan, options)
    drawn = values(subject, draws, named, force=force)
    texts: dict[str, str] = {}
    for name in subject.parameters:
        unused = "no site uses it" if name in subject.program.unused else "no convention is known"
        kept = "" if force else subject.kept(name)
        texts[name] = drawn[name][1] if name in drawn else f"left: {kept or unused}"
    _assign(subject, {name: value for name, (value, _) in drawn.items()})
    return texts


def values(
    subject: Subject, rng: Draws, named: Plan | None = None, *, force: bool = False
) -> dict[str, tuple[Array, str]]:
    """New values and their text, for every parameter that is not to be left alone."""
    starts = _starts(subject, named, rng)
    found: dict[str, tuple[Array, str]] = {}
    for name in subject.parameters:
        if force or not subject.kept(name):
            start = starts.get(name) or subject.start(name)
            if start is not None:
                found[name] = start
    return found


def first_places(program: Program) -> list[int]:
    """The sites, those first that shape a kernel most where it is used at several."""
    sites = program.sites
    return sorted(
        range(len(sites)),
        key=lambda i: (not sites[i].lookup, sites[i].head, sites[i].reads_data, i),
    )


def _starts(subject: Subject, named: Plan | None, rng: Draws) -> dict[str, tuple[Array, str]]:
    """New values and their text for every parameter that a site uses."""
    sites, plans = subject.program.sites, plan(subject.program)
    found: dict[str, tuple[Array, str]] = {}
    done: set[tuple[str, int]] = set()
    for i in first_places(subject.program):
        site, kernel = sites[i], sites[i].kernel
        own = plans[i] if named is None or plans[i].scheme == "uniform" else named
        index, drawn = draw(site, own, rng)
        place = (kernel.name, 0 if index is None else int(index.min()))
        if place in done:
            continue
        done.add(place)
        whole, text = found.get(kernel.name) or (subject.value(kernel.name), "")
        whole = np.array(whole, dtype=np.float64)
        if index is None:
            whole = drawn
        else:
            whole.reshape(-1)[index] = drawn
        words = dict.fromkeys([*filter(None, text.split("; ")), str(own)])
        found[kernel.name] = (whole, "; ".join(words))
        for other in site.kernels[1:]:
            if other.name not in found and (start := _beside(other, site, plans[i], subject, rng)):
                found[other.name] = start
    return found


def _beside(
    kernel: Kernel, site: Site, plan: Plan, subject: Subject, rng: Draws
) -> tuple[Array, str] | None:
    """The start of a parameter that only takes part in making the effective kernel."""
    if (start := subject.start(kernel.name)) is not None:
        return start
    if kernel.power and math.isfinite(plan.std):  # the length of each unit's weights
        length = plan.std * math.sqrt(site.fan_in)
        return np.full(kernel.shape, length), f"constant, value={length:.4g}"
    if len(kernel.shape) == 2:  # the first of a LoRA pair, whose second starts at 0
        limit = 1 / math.sqrt(max(kernel.shape))
        return initializers.uniform(
            kernel.shape, limit=limit, rng=rng
        ), f"uniform, limit={limit:.4g}"
    return None


def _assign(subject: Subject, values: Mapping[str, Array]) -> None:
    """All or nothing."""
    before = {name: np.array(subject.value(name)) for name in values}
    try:
        for name, value in values.items():
            subject.assign(name, value)
    except BaseException:
        for name, value in before.items():
            subject.assign(name, value)
        raise
