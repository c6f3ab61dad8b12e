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
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from winit import _checks, activations, initializers, theory
from winit._checks import RNG, Draws
from winit.activations import Activation
from winit.program import Elementwise, Kernel, Program, Site, Subject

Array = NDArray[np.floating[Any]]

HEAD = 0.1  # logits of this rms cost 0.005 nats; He's rule costs 0.8, LeCun's 0.4 (ten classes)
EMBEDDING = 0.05  # the limit of uniform draws, as in Keras
GRID = np.linspace(-6.0, 9.0, 301)  # where functions are compared: beyond the kink of ReLU6
TABLE = np.linspace(-40.0, 40.0, 8001)  # where one that `winit` does not have is tabulated
# What a layer sets by itself, and a user of a scheme does not.
RESERVED = {"shape", "rng", "dtype", "in_axis", "out_axis", "batch_axis", "draw"}
# Schemes that look at no fan, and those that make one matrix at a time.
PLAIN = ("zeros", "ones", "constant", "normal", "uniform", "truncated_normal")
MATRICES = ("orthogonal", "identity")


# ------------------------------------------------------------------ the plan


@lru_cache(maxsize=256)
def activation(step: Elementwise) -> Activation:
    """The activation that an elementwise program is: one that `winit` has, or one made of it."""
    if step.linear:
        return activations.linear
    values = np.asarray(step(GRID), dtype=np.float64)
    if not np.isfinite(values).all():
        return activations.linear
    slope = round(float(values[0] / GRID[0]), 5)
    known = (*activations.ACTIVATIONS.values(), activations.leaky_relu(slope))
    apart = [float(np.abs(phi(GRID) - values).max()) for phi in known]
    if min(apart) <= 1e-4 * np.abs(values).max():
        return known[int(np.argmin(apart))]
    table = np.asarray(step(TABLE), dtype=np.float64)
    slopes = np.gradient(table, TABLE)

    def tabled(y: Array) -> Callable[[Array], Array]:
        return lambda z: np.interp(z, TABLE, y)

    return Activation("own function", tabled(table), tabled(slopes))


def _depth_gain(phi: Activation, depth: int) -> float:
    """Stands in for `theory.depth_gain` until that is merged (claims N18)."""
    if np.allclose(phi(2 * GRID), 2 * phi(GRID)):
        return theory.gain(phi)
    z = np.sort(np.random.default_rng(0).standard_normal(1000))
    low, high, gains = 0.2, 20.0, np.ones(1)
    best = 0
    for _ in range(4):
        gains = np.geomspace(low, high, 50)
        q, logs = np.ones(50), [np.zeros((2, 50))]
        with np.errstate(all="ignore"):
            for _ in range(depth):
                u = np.sqrt(q)[:, None] * z
                back = logs[-1][1] + np.log(gains**2 * (phi.derivative(u) ** 2).mean(axis=1))
                q = np.clip(gains**2 * (phi(u) ** 2).mean(axis=1), 1e-30, 1e30)
                logs.append(np.array([np.log(q), back]))
            best = int(np.nanargmin(np.ptp(logs, axis=0).max(axis=0)))
        low, high = float(gains[max(best - 1, 0)]), float(gains[min(best + 1, 49)])
    return float(gains[best])


@lru_cache(maxsize=256)
def gain(step: Elementwise, depth: int) -> float:
    """The gain for that many activations in a row, in the argument's own unit.

    A function that `winit` does not know, such as sin(30 x), need not bend where |x| is about 1:
    its argument is first scaled so that its slope's rms is 1.
    """
    phi, unit = activation(step), 1.0
    if phi.name == "own function":
        unit = math.sqrt(theory.slope_second_moment(phi)) or 1.0
        f, slope = phi.function, phi.slope
        phi = Activation(phi.name, lambda z: f(z / unit), lambda z: slope(z / unit) / unit)
    return _depth_gain(phi, depth) / unit


def together(program: Program, p: int, i: int) -> bool:
    """Whether the scale of one site's result still counts at another that follows it."""
    return bool(set(program.sites[i].roots) & set(program.sites[p].roots))


def runs(program: Program) -> list[int]:
    """For each site, the most sites that follow each other through it without a new root."""
    before, after = [1] * len(program.sites), [1] * len(program.sites)
    pairs = [(p, i) for i, site in enumerate(program.sites) for p in site.parents if p < i]
    pairs = [pair for pair in pairs if together(program, *pair)]
    for p, i in pairs:
        before[i] = max(before[i], before[p] + 1)
    for p, i in reversed(pairs):
        after[p] = max(after[p], after[i] + 1)
    return [a + b - 1 for a, b in zip(before, after, strict=True)]


@dataclass(frozen=True)
class Plan:
    """What a kernel should be: a scheme with its options, and the std that it comes to.

    `std` is NaN where no scale is better than another (an embedding, whose rows are picked).
    """

    scheme: str
    std: float
    options: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return ", ".join([self.scheme, *(f"{k}={v:.4g}" for k, v in self.options.items())])


def plan(program: Program) -> list[Plan]:
    """A plan for every site."""
    picked = {site.kernel.name for site in program.sites if site.lookup}
    return [_plan(*pair, picked) for pair in zip(program.sites, runs(program), strict=True)]


def _plan(site: Site, run: int, picked: set[str]) -> Plan:
    if site.kernel.name in picked:  # where a head has the same weights, its logits stay below 1
        limit = min(EMBEDDING, math.sqrt(3 / site.kernel.shape[-1]))
        return Plan("uniform", math.nan if site.lookup else limit / math.sqrt(3), {"limit": limit})
    if site.recurrent and site.summed > 1:
        side = max(site.fan_in, site.units / site.groups / site.blocks)
        return Plan("orthogonal", 1 / math.sqrt(side))
    scale = HEAD if site.head else 1.0
    if not site.head and (site.recurrent or not site.reads_data):
        depth = max(run - 1, 1) * (site.steps if site.recurrent else 1)
        scale = gain(site.before, depth) / math.sqrt(max(site.summed - 1, 1))
    std = scale / math.sqrt(site.fan_in)
    if abs(scale**2 - 1) < 1e-3:
        return Plan("lecun_normal", std)
    if abs(scale**2 - 2) < 1e-3:
        return Plan("he_normal", std)
    return Plan("variance_scaling", std, {"scale": scale**2})


def first_places(program: Program) -> list[int]:
    """The sites; where several have one kernel, the one that shapes it most comes first."""
    sites = program.sites
    keys = [(not site.lookup, site.head, site.reads_data, i) for i, site in enumerate(sites)]
    return [key[-1] for key in sorted(keys)]


# ------------------------------------------------------------------ drawing


def draw(site: Site, plan: Plan, rng: Draws) -> tuple[NDArray[np.int64] | None, Array]:
    """Where the site's kernel lies in its parameter, and values of the plan for those places.

    Schemes count fans by the shape (groups, outputs, inputs, *window); what strides and dilated
    inputs change is put right after. Without an index the whole parameter is drawn, entry by entry.
    """
    function, options, index = initializers.get(plan.scheme), dict(plan.options), None
    if site.kernel.index is not None and plan.scheme != "uniform":
        index = site.kernel.index()
    shape = site.kernel.shape if index is None else index.shape
    if plan.scheme in PLAIN:
        return index, function(shape, rng=rng, **options)
    if index is None:
        std = plan.std if math.isfinite(plan.std) else 1 / math.sqrt(site.fan_in)
        return None, initializers.normal(shape, std=std, rng=rng)
    groups, outputs, *rest = shape
    blocks = site.blocks if outputs % site.blocks == 0 else 1
    one = (outputs // blocks, *rest)
    if plan.scheme in MATRICES:
        drawn = [function(one, rng=rng, **options) for _ in range(groups * blocks)]
        return index, np.stack(drawn).reshape(shape)
    axes = {"batch_axis": 0, "out_axis": 1, "in_axis": 2}
    values = function((groups * blocks, *one), rng=rng, **axes, **options).reshape(shape)
    counted, true = initializers.fans(one), (site.fan_in, site.fan_out)
    if "glorot" in plan.scheme or options.get("mode") == "fan_avg":
        return index, values * math.sqrt(sum(counted) / sum(true))
    side = int(options.get("mode") == "fan_out")
    return index, values * math.sqrt(counted[side] / true[side])


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
    subject: Subject, scheme: str = "auto", *, rng: RNG = None, force: bool = False, **options: Any
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
    _checks.choice(scheme, "scheme", ("auto", *initializers.SCHEMES))
    if scheme != "auto":
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
    before = {name: np.array(subject.value(name)) for name in drawn}
    try:
        for name, (value, _) in drawn.items():
            subject.assign(name, value)
    except BaseException:
        for name, value in before.items():
            subject.assign(name, value)
        raise
    texts = {}
    for name in subject.parameters:
        unused = "no site uses it" if name in subject.program.unused else "no convention is known"
        kept = "" if force else subject.kept(name)
        texts[name] = drawn[name][1] if name in drawn else f"left: {kept or unused}"
    return texts


def values(
    subject: Subject, rng: Draws, named: Plan | None = None, *, force: bool = False
) -> dict[str, tuple[Array, str]]:
    """New values and their text, for every parameter that is not to be left alone."""
    sites, plans = subject.program.sites, plan(subject.program)
    found: dict[str, tuple[Array, str]] = {}
    done: set[tuple[str, int]] = set()
    for i in first_places(subject.program):
        name, own = sites[i].kernel.name, plans[i]
        index, drawn = draw(sites[i], own if own.scheme == "uniform" else named or own, rng)
        place = (name, -1 if index is None else int(index.min()))
        if place in done:
            continue
        done.add(place)
        whole, text = found.get(name) or (np.array(subject.value(name), dtype=np.float64), "")
        if index is None:
            whole = drawn
        else:
            whole.reshape(-1)[index] = drawn
        words = dict.fromkeys([*filter(None, text.split("; ")), str(named or own)])
        found[name] = whole, "; ".join(words)
        for other in sites[i].kernels[1:]:
            if other.name not in found and (made := _beside(other, sites[i], own, subject, rng)):
                found[other.name] = made
    for name in subject.parameters:
        if name not in found and (start := subject.start(name)) is not None:
            found[name] = start
    return {
        k: found[k] for k in subject.parameters if k in found and (force or not subject.kept(k))
    }


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
        return initializers.uniform(kernel.shape, limit=limit, rng=rng), f"uniform, limit={limit:g}"
    return None
