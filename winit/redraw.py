"""What `reinitialize` draws: each kernel by the geometry of its site and the activation before it.

The kernel after an activation answers for what the activation took away: its gain is the one for
the depth that follows without a normalizer. The first site reads data and takes 1/fan_in, a head
starts small so that the first loss is that of a network that knows nothing, recurrent kernels are
orthogonal, and the ends of n branches that are summed are divided by √n. What an exponential makes
a factor of other signals starts as small, and k factors of the outputs at (0.1/units)^(1/2k) each,
so that all get a gradient. `winit.judge` compares a model's weights with the same plan.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from winit import _checks, activations, initializers, theory
from winit._checks import RNG, Draws
from winit.activations import Activation
from winit.program import NORMAL, POINTS, Elementwise, Kernel, Program, Site
from winit.subject import Start, Subject, matrices

Array = NDArray[np.floating[Any]]
Fresh = Mapping[str, Array]  # new values, by parameter

HEAD = 0.1  # logits of this rms cost 0.005 nats; He's rule costs 0.8, LeCun's 0.4 (ten classes)
JUMP = 0.6  # of its rms: a function that rises so much within 0.01 has no slope to go by
CLOSED = 30  # a branch whose last kernel is so much smaller than it would be drawn starts near 0
TOKENS = 0.02  # the std of learned tokens and positions, as in BERT
EMBEDDING = 0.05  # the limit of uniform draws, as in Keras
DEEPEST, SUMMED = 10_000, 100  # layers that a gain is found for, and for a table
GRID = np.linspace(-6.0, 9.0, 301)  # where functions are compared: beyond the kink of ReLU6
REACH = 40.0  # the end of `POINTS`
OWN = "own function"  # the name of one that `winit` does not have
# What a layer sets by itself, and a user of a scheme does not.
RESERVED = {"shape", "rng", "dtype", "in_axis", "out_axis", "batch_axis", "draw"}
# Schemes that look at no fan, and those that make one matrix at a time.
PLAIN = ("zeros", "ones", "constant", "normal", "uniform", "truncated_normal")
MATRICES = ("orthogonal", "identity")


# ------------------------------------------------------------------ the plan


@lru_cache(maxsize=256)
def activation(step: Elementwise) -> Activation:
    """The activation that an elementwise program is: one that `winit` has, or one made of it."""
    values = step(GRID)
    if step.curve is None or not np.isfinite(values).all():
        return activations.linear
    slope = round(float(values[0] / GRID[0]), 5)
    known = (*activations.ACTIVATIONS.values(), activations.leaky_relu(slope))
    apart = [float(np.abs(phi(GRID) - values).max()) for phi in known]
    if min(apart) <= 1e-4 * np.abs(values).max():
        return known[int(np.argmin(apart))]
    slopes = np.gradient(step.curve, POINTS)
    return Activation(OWN, step, lambda z: np.interp(z, POINTS, slopes))


@lru_cache(maxsize=256)
def kurtosis(step: Elementwise) -> float:
    """E φ(z)⁴ over (E φ(z)²)², of standard normal z: 6 of ReLU, 3 of what is straight."""
    z = np.linspace(-10.0, 10.0, 4001)  # quantiles lose a hundredth of it, beyond the last
    with np.errstate(all="ignore"):
        squares, density = step(z) ** 2, np.exp(-(z**2) / 2)
        second, fourth = (np.average(squares**n, weights=density) for n in (1, 2))
        return float(fourth / second**2)


@lru_cache(maxsize=1024)
def gain(step: Elementwise, depth: int) -> float:
    """The gain for so many layers: `theory.depth_gain`.

    For a table, at each of whose points quadrature would see a kink, the same is summed over normal
    quantiles. It may bend elsewhere than where |x| is about 1, as sin(30 x) does: its argument is
    first scaled so that its slope's rms is 1.
    """
    phi = activation(step)
    if phi.name != OWN:
        return theory.depth_gain(phi, min(depth, DEEPEST))
    values = phi(NORMAL)
    if np.abs(np.diff(phi(np.arange(-3.0, 3.0, 0.01)))).max() > JUMP * np.sqrt(np.mean(values**2)):
        return float(1 / np.sqrt(np.mean(values**2)))  # no slope is known, as of a rounding
    unit = math.sqrt(np.mean(phi.derivative(NORMAL) ** 2)) or 1.0
    near, far = (np.abs(phi(np.array([-x, x]))).max() for x in (REACH / 4, REACH))
    unit = 1.0 if far > 4**1.25 * near else unit  # a power: only z of rms 1 leads to such again
    one = 1 / math.sqrt(np.mean(phi(NORMAL / unit) ** 2) or 1.0)
    gains = one * np.geomspace(0.1, 10, 233)  # 2 % apart: the minimum is flat
    u, back, path = np.zeros_like(gains), np.zeros_like(gains), []
    for _ in range(min(depth, SUMMED)):
        path.append([u, back])
        x = np.exp(np.clip(u, -70, 70) / 2)[:, None] * NORMAL / unit
        back = back + np.log(np.mean((gains[:, None] * phi.derivative(x) / unit) ** 2, 1) + 1e-300)
        u = np.log(np.mean((gains[:, None] * phi(x)) ** 2, axis=1) + 1e-300)
    # where all do as well, as in a single layer, the one that keeps q
    ranges = np.ptp(path, axis=0).max(axis=0) + 1e-9 * np.abs(np.log(gains / one))
    return float(gains[np.argmin(ranges)]) / unit


def followed(program: Program) -> list[list[int]]:
    """For each site, those that it follows and whose results' scale still counts there."""
    sites = program.sites
    return [[p for p in site.parents if p < i and {*site.roots} & {*sites[p].roots}]
            for i, site in enumerate(sites)]  # fmt: skip


def runs(program: Program) -> list[int]:
    """For each site, the most sites that follow each other through it without a new root."""
    before, after = [1] * len(program.sites), [1] * len(program.sites)
    pairs = [(p, i) for i, parents in enumerate(followed(program)) for p in parents]
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

    @property
    def drawn(self) -> float:
        """The std of what is drawn of a table, for which no scale is better."""
        return float(self.options.get("std") or self.options["limit"] / math.sqrt(3))

    def __str__(self) -> str:
        return ", ".join([self.scheme, *(f"{k}={v:.4g}" for k, v in self.options.items())])


def plan(program: Program) -> list[Plan]:
    """A plan for every site."""
    picked = {site.kernel.name for site in program.sites if site.lookup}
    read = {site.kernel.name for site in program.sites if not site.lookup}
    own = dict.fromkeys(picked - read, program.table) | dict.fromkeys(picked & read, math.nan)
    for site in program.sites:  # what meets the rows of a tied table is as small
        beside = [program.sites[p].kernel.name for p in site.parents if program.sites[p].lookup]
        own |= dict.fromkeys(beside, math.nan) if {*beside} & picked & read else {}
    ends = [_end(site, program.sites) for site in program.sites]
    ahead = {site.kernel.name: site.ahead for site in program.sites if not site.lookup}
    sites = [replace(site, ahead=ahead.get(site.kernel.name, 1.0)) if site.lookup else site
             for site in program.sites]  # fmt: skip
    plans = [_plan(*each, own) for each in zip(sites, runs(program), ends, strict=True)]
    uses = [(site.kernel.name, site.kernel.part) for site in sites]
    first = {use: own for use, own, site in zip(uses[::-1], plans[::-1], sites[::-1], strict=True)
             if not (site.derived or site.lookup)}  # fmt: skip
    return [first.get(use, own) if site.derived else own
            for use, own, site in zip(uses, plans, sites, strict=True)]  # fmt: skip


def _end(site: Site, sites: Sequence[Site]) -> float:
    """The rms of what a head gives, or rows that are outputs or factors; 0 for other lookups.

    Before a normalizer nothing is gained by a small one, and its gradient grows. Of two factors of
    outputs, or of rows that other rows multiply, each has the fourth root; of three the sixth.
    """
    others = [sites[p] for p in site.partners]
    if site.head and site.resized and not site.lookup:  # a small one is as large behind it
        return 1.0
    if site.head and (beside := sum(other.head for other in others)):  # and products are added up
        factors = max(2.0, min(site.degree, 1 + beside))  # where pairs of many are, two
        return float((HEAD / site.units) ** (0.5 / factors))
    rows = (other.lookup and len(other.kernel.shape) == 2 for other in (site, *others))
    if others and all(rows):  # and no matrices that are picked for the data
        return float(HEAD**0.25)
    return HEAD * (site.head or (site.lookup and (site.degree > 1 or site.raised)))


def _plan(site: Site, run: int, end: float, tables: Mapping[str, float]) -> Plan:
    if site.lookup and end and not site.resized:  # rows that make the outputs
        return Plan("normal", end, {"std": end})
    if tables.get(site.kernel.name, 0.0) > 0:
        return Plan("normal", math.nan, {"std": tables[site.kernel.name]})
    if site.kernel.name in tables:  # where a head has the same weights, its logits stay below 1
        limit = min(EMBEDDING, math.sqrt(3 / site.kernel.shape[-1]))
        if site.lookup:
            return Plan("uniform", math.nan, {"limit": limit / site.ahead})
        return Plan("uniform", limit / math.sqrt(3), {"limit": limit})
    if site.scale.spectral or (site.recurrent and site.looped and site.summed > 1):
        side = max(site.fan_in, site.units / site.groups / site.blocks)
        return Plan("orthogonal", 1 / math.sqrt(side))
    head = (site.head and not site.feeds) or site.amplifies
    scale = (end or HEAD) if head else 1.0
    if not head and (site.recurrent or not site.reads_data):
        depth = run * (site.steps if site.recurrent else 1)
        scale = gain(site.before, depth) / math.sqrt(max(site.summed - 1, 1))
    scale /= site.scores
    std, named = scale / math.sqrt(site.fan_in), {1: "lecun_normal", 2: "he_normal"}
    if abs(scale**2 - round(scale**2)) < 1e-3 and round(scale**2) in named:
        return Plan(named[round(scale**2)], std)
    return Plan("variance_scaling", std, {"scale": scale**2})


def first_places(program: Program) -> list[int]:
    """The sites; where several have one kernel, the one that shapes it most comes first.

    One on the way back of a gradient has no say beside one of the signal.
    """
    sites = program.sites
    signal = {site.kernel.name for site in sites if not site.derived}
    keys = [(not site.lookup, site.head, site.reads_data, i) for i, site in enumerate(sites)
            if not (site.derived and site.kernel.name in signal)]  # fmt: skip
    return [key[-1] for key in sorted(keys)]


# ------------------------------------------------------------------ drawing


def generated(site: Site) -> bool:
    """Whether several parameters make the kernel, and no entries but a bias's are its own."""
    shaping = [kernel for kernel in site.kernels if kernel.power]
    alone = site.kernel.index is None and bool(site.kernel.power) and len(shaping) > 1
    beside = [kernel for kernel in site.kernels[1:] if not (kernel.after or kernel.power)]
    return alone or (len(site.kernel.shape) == 1 and bool(beside))


def numbers_read(site: Site) -> int:
    """If a parameter is read by the kernel, as learned queries are, how many numbers; else 0."""
    first, *others = site.kernels
    if first.power or first.normed or first.index is not None or len(first.shape) < 2:
        return 0
    ends = [k.shape[-1] for k in others if len(k.shape) > 1 and not (k.power or k.after)]
    return max((n for n in ends if n in first.shape), default=0)


def rank(site: Site) -> int:
    """Of a kernel that is a product of two matrices, how many columns the first has; else 0."""
    shapes = [kernel.shape for kernel in site.kernels]
    plain = [kernel.power for kernel in site.kernels] == [1.0, 1.0] and site.kernel.index is None
    if not plain or [len(shape) for shape in shapes] != [2, 2]:
        return 0
    square = math.prod(map(math.prod, shapes)) / (site.fan_in * site.units)
    found = math.isqrt(int(square))
    return found if found**2 == square and all(found in shape for shape in shapes) else 0


def size(kernel: Kernel, subject: Subject) -> float:
    """The rms of a kernel's entries, as the program multiplies them."""
    rms = math.sqrt(np.mean(subject.value(kernel.name) ** 2)) * kernel.factor
    return rms if math.isfinite(rms) else math.inf  # with no number in it nothing starts near 0


def faint(subject: Subject, plans: Sequence[Plan]) -> set[int]:
    """Branches' kernels near 0 that do not start so by convention, which is for the last alone.

    They read one near 0, are multiplied by what one gives, or all ways beside them are near 0, too.
    """
    program, sites = subject.program, subject.program.sites
    small = {i for i, site in enumerate(sites) if not site.looped
             and 0 < size(site.kernel, subject) * CLOSED <= plans[i].std}  # fmt: skip
    near = {i for i in small if not sites[i].cut}
    pairs = [(p, i) for i in small for p in sites[i].parents if p in small and not sites[p].passed]
    found = {i for pair in pairs for i in pair}
    found |= {p for i in near for p in sites[i].partners if p in near}
    after = {i: program.after(i) for i in near}
    for i in near - found:
        beside = {j for j in near if j not in after[i] and i not in after[j]}
        found |= {i} if program.outputs(after[i]) - program.reached({i, *beside}) else set()
    return found


def shut(i: int, subject: Subject, ideal: float) -> bool:
    """Whether a branch starts at 0, or near it, by the site's kernel, and opens by itself.

    The site ends the branch, or what ends it reads its result as it is, as of a LoRA.
    """
    sites = subject.program.sites
    site, nexts = sites[i], [other for other in sites if i in other.parents]
    own = size(site.kernel, subject)
    # What a loop adds to its state at every step is no branch beside it.
    if site.looped or own > (ideal / CLOSED if site.passed and ideal > 0 else 0.0):
        return False
    ends = [site] if site.passed else nexts if site.after.linear else []
    factors = [name for end in ends for name in end.scales]
    factors += [end.kernel.name for end in ends if end is not site]
    # Of two zeros in a row none would open.
    factors += [sites[p].kernel.name for p in site.partners]
    opens = own > 0 or all(subject.value(name).any() for name in factors)
    return bool(ends) and opens and all(end.passed and not end.looped for end in ends)


def settled(i: int, subject: Subject, ideal: float) -> bool:
    """Whether a kernel on a path beside others is near 0, or 0 beside a given bias."""
    site = subject.program.sites[i]
    own = size(site.kernel, subject)
    needed = site.cut and not site.partners  # a factor may start with its bias
    if needed or site.looped or site.lookup or not own * CLOSED <= ideal:
        return False
    given = [n for n in site.shifts if subject.kept(n).startswith("given")]
    starts = [start[0] for n in site.shifts if (start := subject.start(n))]  # as its layer says
    # By a kernel inside a branch nothing passes: its end alone may start near 0.
    beside = own > 0 and not site.cut and (site.passed or bool(site.partners))
    return beside or any(v.any() for v in [*map(subject.value, given), *starts])


def frequencies(site: Site, subject: Subject, ideal: float) -> bool:
    """Whether waves are taken of what a kernel gives of the data: how fast was chosen for these.

    Nobody chooses waves that hardly turn.
    """
    first = site.reads_data and not site.parents and not site.lookup
    turns = size(site.kernel, subject) * CLOSED > ideal
    return first and turns and site.kernel.name in subject.program.waves


def orthogonal(site: Site, subject: Subject) -> int:
    """The longer side of a kernel, as a matrix, if it is orthogonal, as no draw is by chance; or 0.

    The gain is std times its root.
    """
    if site.kernel.index is None:
        return 0
    rows = matrices(subject.value(site.kernel.name), site.kernel.index())
    rows = rows if rows.shape[1] <= rows.shape[2] else rows.swapaxes(1, 2)
    if not np.isfinite(rows).all():
        return 0
    some = rows[:, :32] / (np.sqrt(np.mean(rows[:, :1] ** 2)) or 1.0)
    squares = some @ some.swapaxes(1, 2) / rows.shape[2]
    alike = rows.shape[1] > 1 and np.allclose(squares, np.eye(some.shape[1]), atol=1e-3)
    return rows.shape[2] if alike else 0


def as_given(site: Site, plan: Plan, subject: Subject) -> Plan:
    """A plan that keeps what a kernel's values tell: rows that are small, orthogonal kernels."""
    value, name = subject.value(site.kernel.name), site.kernel.name
    if math.isnan(plan.std) or "limit" in plan.options:  # rows of any scale are as good
        most = 0.9 * plan.drawn
        if reads := [o.fan_in for o in subject.program.sites if o.kernel.name == name and o.head]:
            # Rows that leave logits of rms 1, but for chance, are no larger than they may be.
            most = 1.05 * plan.drawn * max(1.0, math.sqrt(3 / reads[0]) / EMBEDDING)
        own = float(value.std()) * site.kernel.factor if np.isfinite(value).all() else 0.0
        if not 0 < own < most:
            return plan
        std = own if CLOSED * own >= TOKENS else TOKENS  # near 0 none learn
        return Plan("normal", plan.std, {"std": std})
    if plan.scheme in MATRICES or "std" in plan.options or not (n := orthogonal(site, subject)):
        return plan
    # Of a head the size is meant, as of a flow's last kernel, if it is not larger than He's.
    std = size(site.kernel, subject)
    std = std if site.head and std * math.sqrt(n) < 1.01 * math.sqrt(2) else plan.std
    return Plan("orthogonal", std, {"gain": std * math.sqrt(n)})


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
        fan_in: float = numbers_read(site)  # for which there is no plan
        fan_in = fan_in or (0 if math.isfinite(plan.std) else site.fan_in)
        std = 1 / math.sqrt(fan_in) if fan_in else plan.std
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


def more(kernel: Kernel) -> str:
    """What a plan's kernel is multiplied by when it is drawn, since the model shrinks it."""
    return "" if math.isclose(kernel.factor, 1.0) else f", times {1 / kernel.factor:.3g}"


def laid(whole: Array, index: NDArray[np.int64] | None, drawn: Array) -> Array:
    """A parameter with drawn values at their places, or made of them."""
    if index is None:
        return drawn
    here = index >= 0
    whole.reshape(-1)[index[here]] = drawn[here]
    return whole


def check_options(scheme: str, options: Mapping[str, Any]) -> None:
    """Refuse at once what would fail, or be ignored, when it is drawn.

    Raises
    ------
    ValueError, TypeError
        An unknown scheme or option, a value out of range, an option that is missing.
    """
    parameters = inspect.signature(initializers.get(scheme)).parameters
    allowed = [name for name in parameters if name not in RESERVED]
    if options and not allowed:
        raise ValueError(f"{scheme} takes no options, got {next(iter(options))!r}")
    for name in options:
        _checks.choice(name, f"an option of {scheme}", allowed)
    for name in allowed:
        if parameters[name].default is inspect.Parameter.empty and name not in options:
            raise ValueError(f"{scheme} needs the option {name!r}")
    initializers.get(scheme)((2, 2), rng=0, **options)


def check_scheme(scheme: str, options: Mapping[str, Any]) -> None:
    """Refuse what `reinitialize` cannot draw by: a scheme's name, or "auto" without options."""
    _checks.choice(scheme, "scheme", ("auto", *initializers.SCHEMES))
    if scheme != "auto":
        check_options(scheme, options)
    elif options:
        raise ValueError(f"options go with a named scheme, not with 'auto': {options!r}")


@np.errstate(all="ignore")  # what overflows is drawn anew, or left and named
def reinitialize(
    subject: Subject,
    scheme: str = "auto",
    *,
    rng: RNG = None,
    force: bool = False,
    level: Callable[[Subject, Fresh, Fresh], Mapping[str, float]] | None = None,
    **options: Any,
) -> dict[str, str]:
    """Draw every kernel by its site, and put all other parameters at their conventional start.

    Parameters
    ----------
    scheme : "auto" or a scheme's name
        "auto" follows `plan`; `options` go with a name only. Embeddings, biases, normalization and
        gates have their convention under every scheme: what their layer always sets, and of biases
        0, which are added to what a kernel or a normalizer gives. Divisors, thresholds, and scales
        and shifts of a model's own are left, and so is what keeps a quotient, a root or a logarithm
        from 0 or below: shifts always, kernels unless forced. Zeros beside which another signal
        passes, or a given bias is the result, stay so, unless forced, and so do a branch's last
        kernel near 0 and a kernel of few numbers, such as an identity. Orthogonal kernels are drawn
        so, tables no larger than they are unless they are near 0, and positions that would drown
        new rows are scaled down to these. Then the draw is run once. Where the signal grows or
        fades all the same, kernels are scaled until it stays level, and learned tokens or positions
        that drown it, or are all equal, are drawn from N(0, 0.02²) or N(0, 1). A parameter is left
        if a function of it, such as softplus, is the kernel. In PyTorch and JAX, what no reset of
        the layer draws was given, and stays, such as an output's log-odds or a scale of 0.1:
        constants, and what is three times beyond its draws (in JAX, beside an output's kernel,
        beyond 3/√fan_in). What differs less looks like a draw, and is set; so is what is above 3 in
        hidden layers.
    force : bool
        Needed for a model that was trained, for what is frozen or was given by the user, and for
        kernels of zeros with which a branch starts at 0.
    level : function, optional
        As `winit.judge.level`: factors for what "auto" draws, or would if it did not leave zeros.

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
    draws, force = _checks.as_rng(rng), _checks.flag(force, "force")
    check_scheme(scheme, options)
    if not force and (sign := subject.trained()):
        raise ValueError(
            f"{subject.name} looks trained ({sign}), and its weights would be lost: "
            "force=True draws them all the same"
        )
    named = None if scheme == "auto" else Plan(scheme, math.nan, options)
    drawn = values(subject, draws, named, force=force)
    # Only a run tells how alike the terms of a sum are, in a graph how many, how much gates let
    # through, and how far chance leads that is the same in all layers of one kernel.
    if level and not named:
        others = spare(subject, draws, drawn)
        fresh, zeros = ({k: value for k, (value, _) in new.items()} for new in (drawn, others))
        for name, times in level(subject, fresh, zeros).items():
            value, text = drawn.get(name) or others[name]
            drawn[name] = times * value, text + (f", times {times:.2g}" if times != 1.0 else "")
    before = {name: np.array(subject.value(name)) for name in drawn}
    try:
        for name, (value, _) in drawn.items():
            subject.assign(name, value)
    except BaseException:
        for name, value in before.items():
            subject.assign(name, value)
        raise
    left = _left(subject)
    kept = {} if force else {name: reason for name in left if (reason := subject.kept(name))}
    texts = {name: f"left: {reason}" for name, reason in (left | kept).items()}
    return texts | {name: text for name, (_, text) in drawn.items()} | subject.refresh(drawn)


def _left(subject: Subject) -> dict[str, str]:
    """Why what is not drawn was left, for all parameters; the last reason counts."""
    program, plans = subject.program, plan(subject.program)
    mains = [(i, site, site.kernel.name) for i, site in enumerate(program.sites)]
    ends = [name for i, _, name in mains if shut(i, subject, plans[i].std)]
    reasons = {
        "no convention is known": subject.parameters,
        "no site uses it": program.unused,
        "it makes a kernel together with others": [
            k.name for site in program.sites if generated(site) for k in site.kernels
        ],
        "its path starts near 0, or with its bias": [
            name for i, _, name in mains if settled(i, subject, plans[i].std)
        ],
        "its branch starts near 0": ends,
        "its branch starts at 0": [name for name in ends if not subject.value(name).any()],
        "the frequencies of waves": [
            name for i, s, name in mains if frequencies(s, subject, plans[i].std)
        ],
        "no gradient reaches it": program.stopped,
        "a function of it takes part in a kernel": [
            k.name for _, site, _ in mains for k in site.kernels[1:] if k.bent
        ],
        "a function of it is the kernel": [name for _, s, name in mains if s.kernel.bent],
        "a quotient, a root or a logarithm rests on it": program.guarded,
    }
    return {name: reason for reason, names in reasons.items() for name in names}


def spare(subject: Subject, rng: Draws, drawn: Collection[str]) -> dict[str, Start]:
    """What is left, if not given or frozen: kernels at 0 or near it, learned tokens, scales."""
    sites, plans = subject.program.sites, plan(subject.program)
    mains = {site.kernel.name for site in sites}
    near = {site.kernel.name for i, site in enumerate(sites)
            if shut(i, subject, plans[i].std) or settled(i, subject, plans[i].std)}  # fmt: skip
    tokens = [name for name, shape in subject.parameters.items()
              if len(shape) > 1 < math.prod(shape)
              and name not in {*drawn, *mains, *subject.program.gains}
              and not subject.kept(name)]  # fmt: skip
    left = [name for name in subject.used if name not in drawn and not subject.kept(name)
            and (name in near or not subject.value(name).any())]  # fmt: skip
    forced = values(subject, rng, force=True) if left else {}
    zeros = {name: forced[name] for name in left if name in forced and forced[name][0].any()}
    own = {n: initializers.normal(subject.parameters[n], std=TOKENS, rng=rng) for n in tokens}
    gains = {n: start for n in subject.program.gains
             if n not in drawn and not subject.kept(n) and (start := subject.gain(n))}  # fmt: skip
    return {name: (value, f"normal, std={TOKENS}") for name, value in own.items()} | zeros | gains


def values(
    subject: Subject, rng: Draws, named: Plan | None = None, *, force: bool = False
) -> dict[str, Start]:
    """New values and their text, for every parameter that is not to be left alone."""
    program, sites, plans = subject.program, subject.program.sites, plan(subject.program)
    found, done = dict[str, Start](), set[tuple[str, int]]()
    tables = {site.kernel.name for site in sites if site.lookup}
    added = {name for site in sites for name in site.shifts}
    pairs = [0 if added & {k.name for k in site.kernels} else rank(site) for site in sites]
    parts = {k.name for site, pair in zip(sites, pairs, strict=True)
             if generated(site) and not pair for k in site.kernels}  # fmt: skip
    weak = faint(subject, plans)
    waves = {site.kernel.name for site, own in zip(sites, plans, strict=True)
             if frequencies(site, subject, own.std)}  # fmt: skip
    for i in first_places(program):
        site, own, name, made = sites[i], plans[i], sites[i].kernel.name, generated(sites[i])
        if made and pairs[i] and not named:  # so that the product has the plan's
            std = math.sqrt(own.std / (site.times * site.ahead) / math.sqrt(pairs[i]))
            for kernel in site.kernels:
                drawn = initializers.normal(kernel.shape, std=std, rng=rng)
                found[kernel.name] = drawn, f"normal, std={std:.4g}"
        given = i not in weak and (shut(i, subject, own.std) or settled(i, subject, own.std))
        given |= name in (*waves, *program.stopped, *program.guarded)
        if name in parts or made or site.kernel.bent or (given and not force):
            continue
        own = named if named and name not in tables else as_given(site, own, subject)
        joined = [k for k in site.kernels if k.joined and (subject.value(k.name).any()
                  or k.name.removesuffix(".imag") == name.removesuffix(".real"))]  # fmt: skip
        one = own.scheme in MATRICES and own is not plans[i] and not named  # orthogonal as a whole
        index, drawn = draw(replace(site, blocks=1) if one else site, own, rng)
        drawn = drawn / site.kernel.factor / math.sqrt(1 + len(joined))
        place = (name, -1 if index is None else int(index[index >= 0].min()))
        if place in done:
            continue
        done.add(place)
        whole, text = found.get(name) or (np.array(subject.value(name), dtype=np.float64), "")
        whole = laid(whole, index, drawn)
        if name in tables:  # rows of zeros among others stand for nothing, as padding does
            rows = subject.value(name).reshape(len(whole), -1).any(axis=1)
            whole[~rows & rows.any()] = 0.0
        said = str(own) + more(site.kernel)
        words = dict.fromkeys([*filter(None, text.split("; ")), said])
        found[name] = whole, "; ".join(words)
        for other in joined:
            at, part = draw(replace(site, kernels=(other,)), own, rng)
            part = part / other.factor / math.sqrt(1 + len(joined))
            found[other.name] = laid(subject.value(other.name), at, part), said
        for other in (k for k in site.kernels[1:] if k.beside):
            at, part = other.index() if other.index else None, drawn
            if index is None:
                at, part = draw(replace(site, kernels=(other,)), own, rng)
            old = found[other.name][0] if other.name in found else subject.value(other.name)
            found[other.name] = laid(old, at, part), said
        for other in (k for k in site.kernels[1:] if k.name not in found):
            if start := _beside(other, site, plans[i], subject, rng, force=force):
                found[other.name] = start
    found |= _added_to_rows(subject, found)
    found |= {k: start for k in subject.parameters
              if k not in found and (start := subject.start(k))}  # fmt: skip
    free = [k for k in subject.parameters if k in found and (force or not subject.kept(k))]
    return {k: found[k] for k in free}


def _added_to_rows(subject: Subject, found: Mapping[str, Start]) -> dict[str, Start]:
    """Learned positions and the like, brought to the size of new rows that they would drown."""
    made, biases = dict[str, Start](), {*subject.program.shifts}
    for site in subject.program.sites:
        rows = [found[k.name][0] for k in site.kernels if site.lookup and k.name in found]
        added = {*site.shifts} - {*found} - subject.used - biases if rows else set()
        for name in (n for n in added if len(subject.parameters[n]) > 1):
            value, most = subject.value(name), math.sqrt(np.mean(rows[0] ** 2))
            if 2 * most < (size := math.sqrt(np.mean(value**2))) < math.inf:
                made[name] = value * (most / size), f"scaled to the rows beside it, std={most:.4g}"
    return made


def _beside(
    kernel: Kernel, site: Site, plan: Plan, subject: Subject, rng: Draws, *, force: bool
) -> Start | None:
    """The start of a parameter that only takes part in making the effective kernel."""
    if start := subject.start(kernel.name):
        return start
    if kernel.bent:  # of such a one, as a log of a spread, no scale is known
        return None
    # At most a base, two factors and a length: what more of them do is not known.
    # One number for all units is a temperature, and was chosen.
    lengths = math.prod(kernel.shape) == site.units > 1 and len(site.kernels) <= 4
    normed = site.kernel.normed and kernel.power > site.kernel.power == 0
    if lengths and normed and math.isfinite(plan.std):
        if subject.kept(site.kernel.name) and not force:  # as of a base that an adapter leaves
            return None
        # the length of each unit's weights, whose own scale does not count
        length = plan.std / (site.times * site.ahead) * math.sqrt(site.fan_in)
        return np.full(kernel.shape, length), f"constant, value={length:.4g}"
    pair = [k.name for k in site.kernels[1:] if len(k.shape) == 2 and not k.power]
    if site.kernel.index and kernel.name in pair and len(pair) <= 2:
        # Of a LoRA pair one starts at 0, so that nothing changes at first, and one does not, so
        # that it learns: which of them, the model says, unless both are alike.
        told = {name: start for name in pair if (start := subject.start(name))}
        starts = {name: told.get(name) or (subject.value(name), "") for name in pair}
        zeros = [name for name, (value, _) in starts.items() if not value.any()]
        alike = [name for name in zeros if name in told] or pair[1:]
        if kernel.name in (zeros if 0 < len(zeros) < len(pair) else alike):
            return np.zeros(kernel.shape), "zeros"
        limit = 1 / math.sqrt(max(kernel.shape))
        return initializers.uniform(kernel.shape, limit=limit, rng=rng), f"uniform, limit={limit:g}"
    return None
