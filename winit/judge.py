"""Verdict, cause and cure, from measurements alone: no framework, no layer's or operation's name.

`RULES` is the table of all that can be wrong, in the order in which one hides the next: the first
rule that finds something speaks. A kernel is blamed if putting it right alone, at the std that
`winit.redraw` would draw, brings the run nearer to the rule's bound. A cure is printed only if no
rule objects to the run that it makes, or none but that of the first loss, and then it says so.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sized
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property
from operator import attrgetter
from typing import Any

import numpy as np

from winit import redraw
from winit.program import Array, Measured, Program, Site
from winit.report import Audit, Finding, Row, listed
from winit.subject import CROSSED, WIDE, Start, Subject

# Second moments, against where the signal set out: ten in rms, which one learning rate can bridge.
BOUND = 100.0
# One draw of a good scheme moves ln E x² by sd = √(Σ (κ - 1) / units), κ an activation's kurtosis
# (Hanin 2018): 5 for ReLU, as which GELU's and SiLU's 6 count, and 2 where a small signal sees a
# straight line, the least that counts. Never an alarm within this many sd.
SPREADS, HANIN, STRAIGHT = 4.0, 5.0, 2.0
# Between the first kernels and the others, a hundred in rms: no learning rate is right for both.
STEEP = BOUND**2
# Batch normalization multiplies the gradient by π/(π - 1) = 1.47 a layer of ReLU (Yang et al.
# 2019): this is 36 such layers. With 30 digits are still learned, with 40 it does not begin.
STEEP_NORMALIZED = 1e6
# What varies over the examples is then below bfloat16's rounding, (2⁻⁸)², and no larger than what a
# step of 0.4 % in a bias does. Sixty ReLU layers keep .01, three sigmoids 3e-4, six 1e-6.
COLLAPSED = 2.0**-16
# Inputs of rms above 10 saturate what follows, or ask for a tenth of the learning rate; those below
# 0.01 drown in the first biases' steps (one of 10,000 classes, as 0 and 1, is just above).
LOW, HIGH = 1 / BOUND**2, BOUND
# Of the data's mean square what varies over the examples: the mean is ten times the spread. In 100
# steps SGD then takes a tenth off the loss of a ReLU net, Adam a half, at the best of ten rates.
VARIES = 1 / BOUND
EQUAL = 1e-12  # what varies less are examples that are the same, up to rounding: no data
# Six times what knowing nothing costs. Targets that fill [0, 1], as pixels do, cost four times that
# where outputs are 0, which is sound; classes cost six times at logits of rms 7 to 10.
LOSS = 6.0
# Of a first loss of classes, squared: the most that kernels of their ideal stds change of it when
# they are redrawn. Two towers compared at a temperature of 100 have 3e-8 and learn a little in 200
# steps of Adam, at 1,000 they have 3e-10 and stand still; what is sound has 1e-7 and more.
FELT = 1e-8
# Share of the slopes that are steep for a unit normal signal, and here flat. The critical gain of
# deep sigmoids, 10, flattens 0.7 and trains; the next one that is good, 6.5 for ten layers, half.
SATURATED = 0.75
# Share of an attention's rows in which one entry is all. Fresh ones have next to none; with six in
# ten a GPT of N(0, 1) stands where it began with SGD, and Adam ends at twenty times the loss.
PEAKED = 0.5
# Share of a site's units to which no gradient comes back, before the site is called dead.
MOSTLY = 0.95
# Share of a site's units that differ: at this or less the site is called symmetric.
ALIKE = 0.5
# From this share on, less than `MOSTLY`, units without a gradient are noted.
PARTLY = 0.25
# A kernel nearer to its ideal, in ln of the std, is not suspected (nearer still where there are
# many); a head only above He's gain, since small heads are good ones.
NEAR, HEAD = 0.2, math.sqrt(2)
ROUNDS = 4  # steps in which what starts at 0 must give way
OPENED = 0.02  # the std of what takes its place
KEY = (0x77696E6974, 0x6A756467)  # of the judge's own draws, which no seed of a user's starts


# ------------------------------------------------------------------ what the rules look at


@dataclass(frozen=True)
class Case:
    """One run, and what the rules know of the model.

    `spread` is the variance of ln E x² at a site over good draws, `owner` the site that answers for
    a kernel, `opened` what took the place of zeros, `closed` the run before, `grown` one with
    scales of 1 where they are below, if it was needed, `meant` E x² at each root as its normalizer
    means it, where its ε takes over.
    """

    program: Program
    plans: list[redraw.Plan]
    spread: Array
    owner: Mapping[str, int]
    m: Measured
    closed: Measured
    loss: float  # before zeros gave way
    fixed: tuple[str, ...] = ()  # what multiplies data, is 0, and never moves, since it is frozen
    opened: Mapping[str, Array] = field(default_factory=dict)
    grown: Measured | None = None
    meant: Array = field(default_factory=lambda: np.zeros(1))

    @property
    def sites(self) -> tuple[Site, ...]:
        """Those of the program."""
        return self.program.sites

    def each(self, asked: str | Callable[[Site], Any]) -> Array:
        """For each site one of its properties, or what a function says of it."""
        ask = attrgetter(asked) if isinstance(asked, str) else asked
        return np.array([ask(site) for site in self.sites] or np.zeros(0, dtype=bool))

    def roots(self, *kinds: str) -> Array:
        """Which of the roots are of such a kind."""
        return np.array([root.kind in kinds for root in self.program.roots], dtype=bool)

    @property
    def order(self) -> list[int]:
        """The sites that answer for kernels and lookups, each once, those near the inputs first."""
        return sorted(self.owner.values(), key=lambda i: (self.sites[i].depth, i))

    def parts(self, i: int) -> dict[int, int]:
        """Of a stack of kernels that one parameter is, the sites that use its parts."""
        kernels = [(j, site.scale) for j, site in enumerate(self.sites)]
        name = kernels[i][1].name
        return {k.part: j for j, k in kernels if k.name == name and k.part is not None}

    @property
    def kernels(self) -> list[int]:
        """Those of them that multiply."""
        return [i for i in self.order if not self.sites[i].lookup]

    @property
    def first(self) -> list[int]:
        """The sites that read data and nothing else."""
        return [i for i, site in enumerate(self.sites) if site.reads_data and not site.parents]

    @cached_property
    def unseen(self) -> tuple[str, ...]:
        """Kernels of outputs, or of columns of one, that the loss does not read, as it does others.

        Nothing comes back to what the last of them give, which is an output as it is.
        """
        heads = np.flatnonzero(self.heads)
        silent = (self.m.g2 == 0) & (self.m.z2 > 0) & self.each("plain")
        read, found = {i for i in heads if not silent[i]}, self.program.unseen
        if read and len(read) < len(heads):
            told = [(site.kernel.name, self.program.after(i).intersection(heads))
                    for i, site in enumerate(self.sites)]  # fmt: skip
            seen = {n for n, way in told if way & read or not way}
            found += tuple(n for n in dict.fromkeys(n for n, _ in told) if n not in (*seen, *found))
        return found

    @cached_property
    def spared(self) -> Array:
        """Sites to which nothing comes back: the data choose others, as experts, every time."""
        none, found = self.m.g2 == 0, self.each("chosen").astype(bool)
        found &= none & (self.m.z2 > 0)
        for i in reversed(range(len(found) if found.any() else 0)):
            reads = [found[j] for j, site in enumerate(self.sites) if i in site.parents]
            found[i] |= none[i] and self.m.z2[i] > 0 and bool(reads) and all(reads)
        return np.asarray(found)

    def freed(self, own: Array) -> Array:
        """These sites, of whose results a normalizer takes the scale, and all that only they read.

        That is by functions that have no scale of their own, as ReLU has none.
        """
        found = own.astype(bool)
        for i in reversed(range(len(found))):
            reads = [j for j, site in enumerate(self.sites) if i in site.parents]
            found[i] |= bool(reads) and all(j > i and found[j] and self.sites[j].before.homogeneous
                                            for j in reads)  # fmt: skip
        return found

    @property
    def mute(self) -> tuple[str, ...]:
        """Kernels to which the model or the loss sends no gradient back, whatever they are."""
        one = (name for name in self.program.single if not self.m.kernels[name].gradient)
        return (*self.program.stopped, *self.program.severed, *self.unseen, *one)

    @property
    def met(self) -> bool:
        """Whether the loss is 0, and nothing comes back, as where a margin is met everywhere."""
        return self.loss == 0 and not np.nan_to_num(self.m.g2).any()

    @property
    def empty(self) -> Array:
        """Sites that read zeros, since the data are zeros, or a state is."""
        zero = self.roots("input", "state") & (self.m.root2 == 0)
        raw = self.each(lambda site: zero[[*site.roots]].all())
        return np.asarray(raw & self.each("reads_data") & (self.m.x2 == 0))

    @property
    def heads(self) -> Array:
        """Whether the outputs come from a site."""
        return self.each("head") & ~self.each("lookup")

    @property
    def bounds(self) -> Array:
        """How far ln E x² may lie from where it set out, or as far as good draws differ.

        Its mean is half the variance below that of its exponent, or above, where SiLU amplifies.
        """
        return np.maximum(math.log(BOUND), SPREADS * np.sqrt(self.spread) + self.spread / 2)

    @property
    def entering(self) -> Array:
        """How much varies over the examples where they enter on the way to each site.

        That is before or behind the first kernels; NaN where that was not followed.
        """
        entries = self.each("reads_data") | self.each("lookup")
        found = np.where(entries, np.fmax(self.m.x_share, self.m.z_share), math.nan)
        for i, site in enumerate(self.sites):
            found[i] = np.fmax.reduce([found[p] for p in site.parents], initial=found[i])
        return found


def fluctuation(site: Site) -> float:
    """The variance of ln E x² over draws of a layer before this site, times that layer's units.

    What lies between two kernels is no activation alone where it is a product, say, or unknown.
    """
    known = not (site.before.linear or site.before.gate)
    return max(STRAIGHT, min(HANIN, redraw.kurtosis(site.before) - 1)) if known else HANIN


def start(subject: Subject) -> Case:
    """The model as it is, once what starts at 0 has given way."""
    program, owner = subject.program, dict[str, int]()
    spread = np.zeros(len(program.sites))
    for i, parents in enumerate(redraw.followed(program)):
        # of the widest way here: what a narrow branch adds by chance is not all that arrives
        own = fluctuation(program.sites[i])
        ways = [(spread[p] + own / program.sites[p].units, p) for p in parents]
        least, p = min(ways, default=(0.0, i))
        spread[i] = 0.0 if program.sites[p].lookup else least
    for i in redraw.first_places(program):
        owner.setdefault(program.sites[i].scale.name, i)
    m = subject.measure()
    zeros = [name for name in program.factors if m.kernels[name].zero]
    fixed = tuple(name for name in zeros if subject.kept(name) == "frozen")
    plans = redraw.plan(program)
    case = Case(program, plans, spread, owner, m, m, m.loss, fixed)
    return _meaning(opening(case, subject), subject)


def _meaning(case: Case, subject: Subject) -> Case:
    """What normalizers that give little would give: of larger kernels, and of data that are larger.

    By their ideals, and by standardizing data that are too small.
    """
    low = case.roots("normalizer") & (case.m.root2 > 0) & (case.m.root2 < 1 / BOUND)
    if not low.any():
        return case
    larger = dict[str, Array]()
    for name, i in case.owner.items():
        if (off := _off(case, i, case.m.kernels[name].stds).max()) > 0:
            larger[name] = np.exp(off / case.sites[i].scale.power)
    tiny = any(0 < x2 < LOW for x2 in case.m.input2.values())
    if not (larger or tiny):
        return case
    found = subject.measure(larger, case.opened, standardized=tiny).root2
    return replace(case, meant=np.where(low & np.isfinite(found), found, 0.0))


def opening(case: Case, subject: Subject, change: Change | None = None) -> Case:
    """The run, with a change or without, once what starts at 0 has given way to noise."""
    change, new = change or Change(), dict[str, Array]()
    for _ in range(ROUNDS):
        felt = [n for n, w in case.m.kernels.items()
                if w.zero and w.gradient > 0 and n not in case.fixed]  # fmt: skip
        give = [n for n in felt if n in case.program.factors] + _partial(case)
        if not give and shut(case):  # what is only added, as biases and a learned token
            added = [n for n in felt if n not in case.program.frozen]
            give = [n for n in added if len(subject.parameters[n]) > 1] or added
        rows = {} if give else _rows_of_0(case, subject)
        if not (give or rows):
            break
        new |= {name: _opening(case, name, subject) for name in give} | rows
        case = replace(case, opened={**case.opened, **new}, m=change.measured(subject, case, new))
    case = replace(case, grown=None)  # LayerScales, behind which nothing is felt before they grow
    grown = {n: np.ones(subject.parameters[n]) for site in case.sites for n in site.scales
             if case.m.kernels[n].rms < 1 and n not in case.program.frozen}  # fmt: skip
    if grown and (case.m.unfelt.any() or (starves(case) > 0).any()):
        case = replace(case, grown=change.measured(subject, case, grown))
    return case


def shut(case: Case) -> bool:
    """Whether nothing passes a place, or nothing comes back where something should."""
    mute = case.each(lambda site: site.kernel.name in case.mute)
    return bool(((case.m.z2 == 0) | (case.m.g2 == 0) & ~mute).any())


def _partial(case: Case) -> list[str]:
    """Kernels of which a part is 0 and opens, where a place is shut."""
    some = [i for i in case.kernels if case.m.opens[i].any() and not case.m.opens[i].all()]
    plain = [case.sites[i].kernel for i in some if case.m.x2[i] > 0
             and case.sites[i].groups == 1 == len(case.sites[i].kernels)]  # fmt: skip
    return [k.name for k in plain if shut(case) and k.trainable and k.name not in case.opened
            and not case.m.kernels[k.name].zero]  # fmt: skip


def _rows_of_0(case: Case, subject: Subject) -> dict[str, Array]:
    """Noise in those layers or members of an array that are 0, where they keep others shut."""
    dead = (site.kernel.shape for site, dead in zip(case.sites, case.m.dead, strict=True)
            if dead > MOSTLY)  # fmt: skip
    counts, found = {shape[0] for shape in dead if len(shape) > 2}, dict[str, Array]()
    for name in case.program.factors:
        shape, back = subject.parameters[name], case.m.kernels[name].gradients
        if not (shape and shape[0] in counts) or name in (*case.opened, *case.program.frozen):
            continue
        value = subject.value(name)
        zero = ~value.reshape(len(value), -1).any(axis=1)
        if name in case.owner:  # what gets no gradient does not open
            zero &= (back > 0) if len(back) == len(value) else False
        if zero.any() and not zero.all():
            noise = OPENED * np.random.default_rng([*KEY, *name.encode()]).standard_normal(shape)
            found[name] = np.where(zero.reshape(-1, *[1] * (value.ndim - 1)), noise, value)
    return found


def _opening(case: Case, name: str, subject: Subject) -> Array:
    """Noise in place of zeros, the same for inputs and for units that nothing tells apart."""
    rng = np.random.default_rng([*KEY, *name.encode()])
    value, i = OPENED * rng.standard_normal(subject.parameters[name]), case.owner.get(name)
    main = i is not None and case.sites[i].kernel.name == name
    if case.m.kernels[name].tied and not main:
        value = np.broadcast_to(value[(0,) * (value.ndim - 1)], value.shape).copy()
    if i is None or not main or (index := case.sites[i].kernel.index) is None:
        return value
    at, alike = index(), (case.m.distinct == 1) & (case.each("units") > 1)
    noise, parents = value.reshape(-1)[at], list(case.sites[i].parents)
    noise = noise[:, :1] if alike[i] else noise
    noise = noise[:, :, :1] if parents and alike[parents].all() else noise
    opens, zero = case.m.opens[i], case.m.kernels[name].zero
    own = i in case.sites[i].partners  # a packed kernel: its parts multiply each other
    if (own or not zero) and len(at) == 1 and len(opens) == len(at[0]):  # and the rest stays
        opens = opens.reshape(1, -1, *[1] * (at.ndim - 2))
        noise = np.where(opens, noise, subject.value(name).reshape(-1)[at])
    return redraw.laid(value, at, np.broadcast_to(noise, at.shape))


# ------------------------------------------------------------------ the rules
# Each says how far every site is beyond its bound (an alarm above 0; NaN where it says nothing), or
# the whole, in one number.


def not_finite(case: Case) -> Array:
    """Weights, outputs, loss or gradients that are not numbers, or gradients too large to square.

    A signal first overflows near the inputs, a gradient near the outputs.
    """
    m, huge = case.m, np.isinf(case.m.g2) | np.isinf(case.m.effect)
    names = _lost(case)  # also where these examples do not come by, as at a row that none picks
    if m.finite and not (huge.any() or names):
        return np.array([-math.inf])
    first = np.isinf(m.z2) & (np.cumsum(np.isinf(m.z2)) == 1)
    last = huge & (np.cumsum(huge[::-1])[::-1] == 1)
    lost = case.each(lambda site: site.scale.name in names)
    found = next((bad for bad in (lost, first, last) if bad.any()), None)
    return np.array([math.inf]) if found is None else np.where(found, math.inf, math.nan)


def unscaled(case: Case) -> Array:
    """Data far from unit scale where a kernel reads it and nothing normalizes the result.

    What is only made whole numbers of, as the bits of a hash, has no scale to speak of.
    """
    sites, data, x2 = case.sites, case.roots("input"), np.full(len(case.sites), math.nan)
    freed = case.freed(_normalized(case))
    raw = [i for i in _raw(case)  # small ones drown in a bias on the way
           if not freed[i] or (case.m.x2[i] < 1 and sites[i].shifts)]  # fmt: skip
    x2[raw] = case.m.x2[raw]
    for i, site in enumerate(sites):  # columns beside a table's rows, or beside what a kernel gives
        if not (site.parents and site.reads_data):
            continue
        # What reads data, too, as a cell of its own state and them, is large because they are.
        beside = [case.m.z2[p] for p in site.parents if not sites[p].reads_data]
        large = [case.m.root2[r] for r in site.roots if data[r]]
        if max(large, default=0.0) > HIGH > max(beside, default=0.0):
            x2[i] = math.nan if site.lookup else max(1.0, case.m.x2[i])
    return np.log(np.maximum(LOW / x2, x2 / HIGH))


def uncentered(case: Case) -> Array:
    """Data of which hardly anything but their mean reaches a kernel, as of prices near 1.

    Where other data come in that vary, as beside a mask, these tell the examples apart.
    """
    share = np.full(len(case.sites), math.nan)
    lookups = case.each("lookup")
    shares = np.where(lookups, case.m.z_share, case.m.x_share)
    beside = shares[[*case.first, *np.flatnonzero(lookups)]]
    raw = [] if (beside >= VARIES).any() else _raw(case)
    share[raw] = case.m.x_share[raw]
    return np.log(VARIES / np.where(share > EQUAL, share, math.nan))


def _raw(case: Case) -> list[int]:
    """Sites that read data of a scale, and nothing else, with no normalizer behind them.

    One in front of each branch alone is none, as where the trunk of a transformer begins: what the
    branches add is then as nothing.
    """
    data, whole = case.roots("input"), case.program.severed  # only whole numbers are made of it
    normalized = _normalized(case)
    found = [(i, case.sites[i]) for i in case.first if case.m.x2[i] > 0]
    return [i for i, site in found if not site.lookup and data[[*site.roots]].all()
            and not normalized[i] and site.kernel.name not in whole]  # fmt: skip


def _normalized(case: Case) -> Array:
    """Sites with a normalizer behind them, and not in front of each branch of their trunk alone."""
    found, passed = case.each("normalized"), np.flatnonzero(case.each("passed"))
    for i, site in enumerate(case.sites):
        if found[i] and site.summed > 1 and not site.passed:  # beside what follows it, or others?
            found[i] = not site.cut and case.program.after(i).isdisjoint(passed)
    return found


def dead(case: Case) -> Array:
    """Sites that no signal or no gradient passes, also after what starts at 0 gave way.

    Of a kernel that is used at several, none may be alive: some calls only choose. So is one that
    the signal passes by, with a gradient that is 0 but for rounding (a gate that is shut). Where
    the signal explodes, a loss that clips its outputs sends nothing back, and no unit is at fault;
    nor is one where the loss is 0 already.
    Nor is a kernel dead whose own gradient comes by a way on which its result is not used, nor one
    that is frozen, and needs no gradient, where its signal passes and another way leads past it.
    Of a kernel that several parameters make, as of learned positions that another one reads, all
    must be: these examples may reach few of them.
    """
    names = np.array([site.kernel.name for site in case.sites])
    waits = case.each(lambda site: case.closed.kernels[site.kernel.name].gradient == 0)
    unfelt = case.m.unfelt if case.grown is None else case.m.unfelt & case.grown.unfelt
    share = np.where((case.m.z2 == 0) | (case.m.g2 == 0), 1.0, case.m.dead)
    share[unfelt & ~case.each("cut") & ~waits] = 1.0
    frozen = case.each(lambda site: not site.kernel.trainable)
    fine = np.isin(names, case.mute) | frozen & ~case.each("cut")
    moved = case.each(lambda site: site.kernel.part is None
                      and case.m.kernels[site.kernel.name].gradient > 0)  # fmt: skip
    fine |= (case.m.g2 == 0) & ~case.m.unfelt & moved  # by another way, as in a derivative
    fine |= (grows(case) > 0).any() or case.met
    made = case.each(lambda site: site.kernel.index is None and len(site.kernels) > 1)
    fine |= made & (case.m.dead < 1)
    share[_opens(case)] = math.nan
    unseen = np.isin(names, case.unseen)  # of these, and of zeros as data, the notes speak
    share[fine & (case.m.z2 > 0) | unseen | case.spared | case.empty] = math.nan
    places = dict[tuple[str, int | None], list[int]]()  # of parts, as w[0] and w[1] are, too
    for i, site in enumerate(case.sites):
        places.setdefault((site.kernel.name, site.kernel.part), []).append(i)
    for at in places.values():
        share[at] = np.fmin.reduce(share[at])
    return share - MOSTLY


def _opens(case: Case) -> list[int]:
    """Zeros in a part of a parameter that get a gradient, and what lies before and behind them."""
    part = case.each(lambda site: site.kernel.part is not None).astype(bool)
    own = {*np.flatnonzero(part & (case.m.z2 == 0) & (case.m.g2 > 0) & (case.m.x2 > 0))}
    before = {p for i in own for p in case.sites[i].parents if case.m.z2[p] > 0}
    behind = {i for i, site in enumerate(case.sites) if own & {*site.parents}}
    return [int(i) for i in own | before | behind]


def stays(case: Case) -> list[str]:
    """Parts of kernels that are 0 with a gradient of 0, also after what starts at 0 gave way.

    Of a packed kernel of zeros queries and keys stay 0: each multiplies the other's gradient. Of
    experts in one array so does one that is 0 at both of its ends.
    """
    still: dict[tuple[str, int | None], bool] = {}
    for i, site in enumerate(case.sites):
        k, silent = site.kernel, case.m.silent[i]
        if k.trainable and len(site.kernels) == 1 and not site.lookup:
            # Of queries and keys in one kernel what is silent was 0 on both sides.
            some = silent.sum() >= WIDE or (silent.size and silent.mean() >= PARTLY)
            packed = i in site.partners and some and silent.mean() <= MOSTLY
            stays = bool(packed or case.m.still[i]) and case.m.x2[i] > 0
            still[k.name, k.part] = stays and still.get((k.name, k.part), True)  # at each place
    weights = {k.name: case.m.kernels[k.name] for i, site in enumerate(case.sites)
               if case.m.z2[i] > 0 for k in site.kernels[1:] if k.trainable}  # fmt: skip
    whole = [name for name, weight in weights.items() if weight.zero and weight.gradient == 0]
    parts = dict.fromkeys(name for (name, _), stays in still.items() if stays)
    return whole + [f"a part of {name}" for name in parts]


def stuck(case: Case) -> Array:
    """Products of parameters of which two are 0, where the kernel as a whole is not."""
    return np.array([len(stays(case)) - 0.5])


def severed(case: Case) -> Array:
    """Kernels before whole numbers that all the rest is made of: no gradient passes those."""
    moved = case.each(lambda site: site.kernel.trainable)
    lost = case.each(lambda site: site.kernel.name in case.program.severed)
    return np.where(moved & lost, 1.0, math.nan)


def rounded(case: Case) -> Array:
    """Kernels to which nothing comes of the gradient at their results: they are made by a step.

    Or nothing but what moves the scale of a step.
    A direction alone, as of weights with a norm, may have a gradient of 0 too: of one number it is
    a sign. So may a kernel that no step makes, where the signal explodes, as in `dead`.
    """
    silent = case.each(lambda site: case.m.kernels[site.kernel.name].gradient == 0)
    own = case.each("kernel.trainable")
    silent &= ~case.each(lambda s: s.kernel.normed and s.fan_in == 1)
    mute = case.each(lambda site: site.kernel.name in case.mute)
    felt = (case.m.z2 > 0) & (case.m.g2 > 0)
    felt &= case.each("kernel.stepped") | ~(grows(case) > 0).any()
    return np.where((silent | (case.m.stepped > 0)) & own & felt & ~mute, 1.0, math.nan)


def idle(case: Case) -> Array:
    """A loss that sends nothing to any parameter, since the model lets nothing back."""
    free = [w for n, w in case.m.kernels.items() if n not in case.program.frozen]
    moved = any(weight.gradient for weight in free) or not (free and case.program.stopped)
    return np.array([math.nan if moved or case.met or math.isnan(case.loss) else 1.0])


def symmetric(case: Case) -> Array:
    """Sites of which half of the units or more are copies, in signal and gradient.

    Of layers or members that are stacked in one kernel, half of those of one are enough.
    """
    share = case.m.distinct / case.m.among  # 1 of a single one
    return np.where(case.m.z2 > 0, ALIKE + 1e-9 - share, math.nan)


def equal_rows(case: Case) -> list[str]:
    """Parameters that are no kernels, as learned queries, whose rows never part.

    Biases of members that are averaged are no loss, though as equal.
    """
    known = {*(site.kernel.name for site in case.sites), *case.program.shifts}
    others = {n: w for n, w in case.m.kernels.items() if n not in known}
    return [n for n, w in others.items() if w.tied and n not in case.program.frozen]


def tied(case: Case) -> Array:
    """Parameters that are no kernels, all rows of which learn as one."""
    return np.array([len(equal_rows(case)) - 0.5])


def copies(case: Case) -> list[list[str]]:
    """Kernels that start equal, where there are several."""
    found: dict[Any, list[str]] = {}
    for name, i in case.owner.items():
        weight = case.m.kernels[name]
        alike = case.sites[i].scale.shape, weight.std, weight.rms
        if 0 < weight.std < math.inf and not math.isnan(weight.rms):
            found.setdefault(alike, []).append(name)
    return [names for names in found.values() if len(names) > 1]


def same_gradient(m: Measured, a: str, b: str) -> bool:
    """Whether two kernels get the same gradient, up to rounding: what is equal then stays so."""
    one, two = m.kernels[a], m.kernels[b]
    pairs = ((one.gradient, two.gradient), (one.top, two.top))
    return one.gradient > 0 and all(math.isclose(*pair, rel_tol=1e-5) for pair in pairs)


def inseparable(case: Case) -> Array:
    """Kernels that start equal and get the same gradient, as copies of a module side by side."""
    found = {n for same in copies(case) for n in same for other in same
             if n != other and same_gradient(case.m, n, other)}  # fmt: skip
    return np.where(case.each(lambda site: site.scale.name in found), 1.0, math.nan)


def saturated(case: Case) -> Array:
    """Sites whose signal lies where a bounded activation is flat.

    Outputs that start there because their log-odds are known cost no more than knowing nothing.
    """
    known = case.each("head") & (case.loss <= case.m.blind)
    flat = np.where(known, math.nan, case.m.saturated - SATURATED)
    return np.fmax(flat, case.m.peaked - PEAKED)


def collapsed(case: Case) -> Array:
    """Heads at which all examples look alike, though the inputs differ."""
    told = case.heads & (case.m.z2 > 0) & (case.entering > COLLAPSED)
    scales = {n for s in case.sites if s.passed for n in s.scales} - {*case.program.frozen}
    opens = [case.m.kernels[n].rms ** 2 for n in scales if 0 < case.m.kernels[n].rms < 1]
    share = np.where(case.m.shares, case.m.x_share, case.m.z_share)  # a mean of rows hardly varies
    share = share / min(opens, default=1.0)  # what training opens, as a LayerScale
    return np.where(told, np.log(COLLAPSED / np.maximum(share, 1e-30)), math.nan)


def drift(case: Case) -> Array:
    """ln of E x² over that of the site's roots: 0 between the smallest and the largest of them.

    Data sets out where the first kernels read it, and a table's rows at a scale of 1 at the most.
    Shares, as of a tree's leaves, are as small as they are many, and set out where they are read.
    In a loop the last step speaks, of stacked layers each; a state that sums its input up sets out
    from its first step. Where one kernel alone carries the state, E z² over E x² is its memory.
    """
    m, drifts, kinds = case.m, np.zeros(len(case.sites)), [r.kind for r in case.program.roots]
    roots2, shares = np.maximum(m.root2, case.meant), np.broadcast_to(m.shares, m.x2.shape)
    read = {r: [m.x2[i] for i in case.first if case.sites[i].roots == (r,)]
            for r, kind in enumerate(kinds) if kind == "input"}  # fmt: skip
    low = min([1.0, *m.root2[case.roots("input", "lookup") & (m.root2 > 0)]]) / BOUND
    for i, site in enumerate(case.sites):
        unit, roots = site.ahead**2, list[float]()
        for r in (r for r in site.roots if kinds[r] != "softmax"):
            most = 1.0 if kinds[r] == "lookup" else math.inf
            # A state is made of what came in, and no small one is a start.
            least = low if kinds[r] == "state" and not site.recurrent else 0.0
            roots += [max(min(x2, most), least) for x2 in read.get(r) or [roots2[r]]]
            # One that is read together with data is not measured apart, and may be of any size.
            roots += [m.x2[i] / unit] if np.isnan(roots2[r]) else []
        steps = m.x_steps[i] if site.recurrent else m.x2[i : i + 1]
        xs = (steps if site.steps == site.kernel.layers else steps[-1:]) / unit
        if site.recurrent and site.looped and site.summed > 1:
            roots = [value for value in m.x_steps[i][:-1] / unit if value > 0][:1]
            xs = np.fmax(xs, roots or xs)
        roots = [root for root in roots if 0 < root < math.inf]
        if roots and not (np.isnan(xs).all() or shares[i]):
            up = max(0.0, math.log(max(np.nanmax(xs), 1e-300) / max(roots)))
            down = min(0.0, math.log(max(np.nanmin(xs), 1e-300) / min(roots)))
            if site.carries and not case.closed.kernels[site.kernel.name].zero:
                with np.errstate(invalid="ignore"):
                    step = m.z2[i] * site.times**2 / m.x2[i]
                down = min(down, math.log(step)) if step > 0 else down
            drifts[i] = up if up > -down else down
    return drifts


def judged(case: Case) -> Array:
    """Where every path leads through, or the state of a loop that reads new data."""
    # The first branches beside a trunk begin with what every path leads through: if nothing sets
    # the trunk's scale anew before the end, as a normalizer does.
    ends = {root for site in case.sites if site.head for root in site.roots}
    splits = case.each(lambda s: s.cut and s.summed > 1 and s.scale.name not in case.opened
                       and bool(ends & {*s.roots}))  # fmt: skip
    trunk = case.each(lambda s: bool(s.parents) and all(splits[p] for p in s.parents))
    loops = case.each(lambda s: s.recurrent and s.looped and s.kernel.layers == 1)
    return np.asarray((case.each("cut") | loops | trunk) & ~case.each("lookup"))


def grows(case: Case) -> Array:
    """A signal that explodes; where no loss tells what is too much, outputs too large for any."""
    made = case.m.z2 * case.each("times") ** 2
    outputs = np.where(case.heads & math.isnan(case.m.blind), np.log(made), math.nan)
    return np.asarray(np.fmax(far(case, 1.0), outputs) - case.bounds)


def fades(case: Case) -> Array:
    """A signal that shrinks; a mean over n may lose n by nature.

    A kernel of whose result a normalizer takes the scale learns the same of a smaller signal, until
    the steps of the shifts in front of it are large beside that.
    """
    wide = np.maximum(case.bounds, math.log(STEEP))
    low = np.where(case.freed(case.each("resized")), wide, case.bounds)
    low = low + np.log(np.maximum(case.each("averaged"), 1.0))
    return np.asarray(far(case, -1.0, low) - low)


def uneven(case: Case) -> Array:
    """A signal that shrinks in one of several groups, as in one member of an ensemble."""
    bounds = np.maximum(math.log(BOUND), SPREADS * np.sqrt(case.spread * case.each("groups")))
    opens = case.each("passed")  # the end of a branch, which may begin near 0
    return np.where(opens, math.nan, case.m.uneven - 2 * bounds)


def far(case: Case, sign: float, low: Array | None = None) -> Array:
    """How far a signal has come up or down from where it set out, and from 1, the usual scale.

    Small inputs that grow to it have not exploded, as the first states of a loop, nor have large
    ones shrunk that end there, as behind a sine. How far a state shrinks, the start alone says.
    Beyond `low` on all ways to some output, it is too far on each.
    """
    recurrent = case.each("recurrent")
    steps = zip(case.m.x2, case.m.x_steps, strict=True)
    x2 = np.where(recurrent, [np.fmax.reduce(own, initial=x2) for x2, own in steps], case.m.x2)
    level = np.log(np.clip(x2 / case.each("ahead") ** 2, 1e-300, 1e300))
    found = np.where(recurrent & (sign < 0), np.inf, sign * level)
    found, told = np.minimum(sign * drift(case), found), judged(case)
    if low is not None:
        beyond = {int(i) for i in np.flatnonzero(found > low) if not case.sites[i].lookup}
        lost = case.program.reached() - case.program.reached(beyond)
        on_way = [i for i in beyond if lost & case.program.outputs(case.program.after(i))]
        told |= np.isin(np.arange(len(told)), on_way)
    return np.where(told, found, math.nan)


def first_loss(case: Case) -> Array:
    """A first loss far above that of a network that knows nothing.

    One that is bounded, as of shares that are clipped, is above it by half of what it can be. Where
    nobody knows what that is, as of likelihoods, it is far above those of small outputs.
    """
    blind, sure = np.fmax(case.m.blind, case.m.near), case.m.sure
    most = LOSS * blind
    if sure > blind:
        most = min(most, (blind + sure) / 2)
    return np.log([case.loss / most])


def power(m: Measured) -> float:
    """Of targets in the loss: 2 of a squared error, 1 of an absolute one, 0 of their logarithm."""
    return float(np.round(np.log2(m.growth))) if m.growth > 0 else math.nan


def effects(case: Case, m: Measured) -> tuple[Array, Array]:
    """At the first kernels, ln of the largest effect, and of the last that is trained, over theirs.

    NaN elsewhere. Each network is asked apart. For the former, kernels behind the end of a branch
    that training opens count without it.
    """
    largest, last = np.full((2, len(case.sites)), math.nan)
    scales = opening_scales(case)
    # Of an output that has no head, as a loss of the model's own, the last are inside.
    headed = case.program.outputs(np.flatnonzero(case.heads))
    ends = case.heads | case.each(lambda s: bool({*s.outputs} - headed) and not s.lookup)
    for network in networks(case):
        found = list[tuple[int, float, float]]()  # sites, effects, those without the scales
        for i in network:
            name, effect = case.sites[i].kernel.name, m.effect[i]
            if i in case.first and name in case.program.waves:  # beyond a radian all are far off
                effect /= max(1.0, m.z2[i])
            if name not in case.mute and effect >= 0:
                felt = m.kernels[name].felt  # each layer on its own
                shares = felt / felt.sum() if 0 < felt.sum() < math.inf else felt
                found += [(i, own, effect / scales[i]) for own in effect * shares]
        quarter = found[: max(1, len(found) // 4)]
        steps = [(i, effect) for i, effect, _ in found if case.sites[i].kernel.trainable]
        n = max(1, len(steps) // 4)
        heads = [(i, effect) for i, effect in steps[:-n] if ends[i]]  # all are the last
        begun, ended = (max((effect for _, effect in part), default=0.0)
                        for part in (steps[:n], heads + steps[-n:]))  # fmt: skip
        if begun * ended > 0:
            near = max(eased for _, _, eased in quarter)  # infinite where many scales are small
            most = max(effect for _, effect, _ in found)
            ratios = most / near if 0 < near < math.inf else 1.0, ended / begun
            for i, *_ in quarter:
                largest[i], last[i] = np.log(ratios)
    return largest, last


def networks(case: Case) -> list[list[int]]:
    """Sites in the order of `Case.order`, by the networks that they are of, as actor and critic.

    Those are of one that read each other's results, are multiplied, or share a kernel or an output.
    """
    owner = list(range(len(case.sites)))
    uses: dict[tuple[str, int], int] = {}
    for i, site in enumerate(case.sites):
        keys = (site.kernel.name, -1), *(("output", k) for k in site.outputs)
        for other in (*site.parents, *site.partners, *(uses.setdefault(key, i) for key in keys)):
            old, new = owner[other], owner[i]
            if old != new:
                owner = [new if known == old else known for known in owner]
    found: dict[int, list[int]] = {}
    for i in case.order:
        found.setdefault(owner[i], []).append(i)
    return [*found.values()]


def opening_scales(case: Case) -> list[float]:
    """For each site, the square of what training opens and all of its result is multiplied by.

    These are kernels with which a branch ends at 0, for which noise stands that is smaller than
    their ideal, or near 0: its own, and those through which every later site reads it.
    """
    sites = case.sites
    behind = [dict[str, float]() for _ in sites]
    for i in reversed(range(len(sites))):
        nexts = [behind[j] for j in range(i + 1, len(sites)) if i in sites[j].parents]
        if nexts and not sites[i].head:
            shared = [key for key in nexts[0] if all(key in other for other in nexts)]
            behind[i] = {key: nexts[0][key] for key in shared}
        name, ideal = sites[i].kernel.name, case.plans[i].std
        part = case.m.kernels[name].std / ideal if 0 < ideal < math.inf else 1.0
        opened = any(k.name in case.opened for k in sites[i].kernels)
        near = sites[i].passed and 0 < part * redraw.CLOSED <= 1
        if opened or near:
            behind[i][name] = min(1.0, part**2)
    return [math.prod(found.values()) for found in behind]


def steep(case: Case, bound: float) -> float:
    """ln of a bound on effects, or as far as they differ in good draws."""
    return max(math.log(bound), SPREADS * math.sqrt(case.spread.max(initial=0.0)))


def starves(case: Case) -> Array:
    """The first kernels, if redrawing them does next to nothing beside redrawing others."""
    largest = effects(case, case.m)[0]
    if case.grown is not None:
        largest = np.fmin(largest, effects(case, case.grown)[0])
    return largest - steep(case, STEEP)


def bursts(case: Case) -> Array:
    """The first kernels, if redrawing them does far more than redrawing the last."""
    bound = STEEP_NORMALIZED if case.each("normalized").any() else STEEP
    return -effects(case, case.m)[1] - steep(case, bound)


def numb(case: Case) -> Array:
    """Classes of which nothing is known, and which no kernel moves: outputs far too near to 0.

    A loss of numbers tells it by their scale, and one of the model's own is not known well enough.
    """
    classes = math.isnan(case.m.growth) and case.loss < 2 * case.m.blind
    most, classes = 0.0, classes and case.m.ends < OPENED
    for name, weight in case.m.kernels.items() if classes else ():
        ideal = case.plans[case.owner[name]].std if name in case.owner else math.nan
        size = ideal if ideal > 0 else max(weight.rms, OPENED)
        felt = max(weight.gradient, case.closed.kernels[name].gradient)
        most = max(most, size**2 * felt if name not in case.program.frozen else 0.0)
    return np.array([math.log(FELT * case.loss**2 / most) if most > 0 else math.nan])


@dataclass(frozen=True)
class Rule:
    """What can be wrong, why (from the worst row), what it means for training, and what cures it.

    `advice` is for where no redraw does. `scaled`: a kernel's scale can answer for it; `moved`: the
    verdict stands at those that did it; `whole`: at none; `summed`: each site is its own matter.
    """

    find: Callable[[Case], Array]
    verdict: str
    reason: str
    meaning: str
    advice: str
    scaled: bool = True
    moved: bool = False
    whole: bool = False
    summed: bool = False

    def excess(self, case: Case) -> Array:
        """How far every site, or the whole, is beyond the bound."""
        with np.errstate(all="ignore"):
            return np.nan_to_num(self.find(case), nan=-math.inf, posinf=math.inf, neginf=-math.inf)

    def level(self, case: Case) -> float:
        """How far the run is."""
        found = self.excess(case)
        return float(np.maximum(found, 0.0).sum() if self.summed else found.max(initial=-math.inf))


SGD = "SGD needs a rate of its own for it, if one exists; Adam divides much of it away."
SOME = "SGD moves some kernels and leaves the others; Adam moves all."
SCALE = "normalize between the kernels, or divide sums of n by √n"
LESSEN = "normalize between the kernels, divide sums of n by √n, or let a state decay"
PATHS = "add skip connections, normalize between the kernels, or take another activation"
ALIVE = "take a leaky activation, or none, where it is dead, and biases of 0"
UNTIE = "draw at random what stands between the kernels too"
TARGETS = "standardize the targets"
MEAN = "start the last bias at the mean of the targets and its kernel near 0"
WITHOUT = "add a last bias that starts at the mean of the targets, with its kernel near 0"
SMALLER = "draw the last kernel smaller, or normalize what it reads"  # where outputs of 0 are right
BEHIND = "bring the outputs nearer to 0 by what comes after the last kernel"  # and none does it
LESS = 0.1, 0.01, 0.001  # of the last kernels, for a first loss that no draw cures
BACK = "The first steps go into taking the outputs back."
OFF = "Where it is worst, E x² is {x2:.2g}, e^{drift:.1f} times the start's, and E z² {z2:.2g}."
RULES = (
    Rule(not_finite, "exploding", "Weights, outputs, loss or gradients are not finite, or too "
         "large to square.",
         "No optimizer can take a step.", SCALE, moved=True),
    Rule(unscaled, "inputs unscaled", "E x² of what {name} reads is {x2:.2g}, where 1 is usual.",
         "Adam makes up for a part of it, SGD for less.", "standardize the inputs",
         scaled=False, whole=True),
    Rule(uncentered, "inputs unscaled", "Of E x² of what {name} reads {x_share:.1g} varies over "
         "the examples, and the rest is a mean.", "SGD hardly begins; Adam begins late.",
         "standardize the inputs", scaled=False, whole=True),
    Rule(dead, "dead", "No signal passes, or no gradient above rounding comes back to its units, "
         "for any example.",
         "No optimizer moves what gets no gradient.", ALIVE, scaled=False),
    Rule(stuck, "dead", "{stuck}: 0, and so is the gradient, since what it is multiplied by is 0.",
         "No optimizer moves what gets no gradient.", ALIVE, scaled=False, whole=True),
    Rule(severed, "dead", "No gradient comes back: all that is used of what it gives are whole "
         "numbers, as of an argmax or a comparison.",
         "No optimizer moves what gets no gradient.", "take a softmax in place of an argmax, or "
         "pass the gradient around the whole numbers (straight through)", scaled=False),
    Rule(rounded, "dead", "A gradient comes back to what it gives, and none to it, or to its scale "
         "alone: a function that is flat, as a rounding is, makes the kernel.",
         "No optimizer moves what gets no gradient.",
         "pass the gradient around the rounding (straight through)", scaled=False),
    Rule(idle, "dead", "The model stops every gradient, and no parameter gets any of the loss's.",
         "No optimizer moves what gets no gradient.", "let the gradient of some kernels pass",
         scaled=False, whole=True),
    Rule(tied, "symmetric", "All rows of {tied} are equal, and get equal gradients.",
         "No optimizer parts them.", UNTIE, scaled=False, whole=True),
    Rule(symmetric, "symmetric",
         "Distinct units, by signal and gradient: {distinct:.0f} of {among:.0f}.",
         "No optimizer breaks it: the gradients are equal, too.", UNTIE, scaled=False),
    Rule(inseparable, "symmetric", "They start equal, and get equal gradients.",
         "No optimizer parts them.", UNTIE, scaled=False),
    Rule(saturated, "saturated", "Of the slopes after it that are steep for a unit signal, "
         "{saturated:.0%} are flat.",
         "SGD and Adam move little of what is flat.", PATHS, summed=True),
    Rule(collapsed, "collapsed", "Of its E z² {z_share:.1g} varies over the examples: all look "
         "alike to it.", "SGD hardly begins; Adam begins late, if it is above rounding.", PATHS,
         moved=True),
    Rule(grows, "exploding", OFF, SGD, LESSEN, moved=True),
    Rule(fades, "shrinking", OFF, SGD, SCALE, moved=True),
    Rule(uneven, "shrinking", "Of its {groups} independent parts one is e^{uneven:.0f} times "
         "weaker than another.", SOME, SCALE, scaled=False),
    Rule(first_loss, "first loss far too high", "It is {loss:.3g}, where {nothing} "
         "{blind:.3g}.", BACK, TARGETS, whole=True),
    Rule(starves, "shrinking", "Redrawing the first kernels does far less than redrawing others.",
         SOME, PATHS, moved=True),
    Rule(bursts, "exploding", "Redrawing the first kernels does far more than redrawing the last.",
         SOME, PATHS, moved=True),
    Rule(numb, "shrinking", "No kernel's result changes the loss noticeably.",
         "SGD needs a rate far above the usual one, if one exists; Adam makes up for it, unless a "
         "normalizer or a fixed number keeps the outputs so small.",
         "multiply the outputs by more, as by a temperature nearer to 1", whole=True),
)  # fmt: skip


def fault(case: Case) -> Rule | None:
    """The first rule that finds something."""
    return next((rule for rule in RULES if (rule.excess(case) > 0).any()), None)


# ------------------------------------------------------------------ blame and cure


@dataclass(frozen=True)
class Change:
    """What a cure changes, and how it is said."""

    text: str = ""
    scales: Mapping[str, Array] = field(default_factory=dict)
    values: Mapping[str, Array] = field(default_factory=dict)
    standardized: bool = False

    def run(self, subject: Subject, case: Case) -> Case:
        """What would be measured with it."""
        m = self.measured(subject, case, {})
        return opening(replace(case, m=m, loss=m.loss), subject, self)

    def measured(self, subject: Subject, case: Case, new: Mapping[str, Array]) -> Measured:
        """One run with it, and with noise that takes the place of zeros."""
        values = {**case.opened, **self.values, **new}
        return subject.measure(self.scales, values, standardized=self.standardized)


Changes = Iterator[Change]
STANDARDIZE = Change("standardize the inputs", standardized=True)


@dataclass(frozen=True)
class Search:
    """For a cure of what a rule found.

    `named` did it, `factors` bring all kernels that are away from their ideal to it, and those in
    `means` are put in place of kernels first.
    """

    subject: Subject
    case: Case
    rule: Rule
    named: list[str]
    factors: Mapping[str, Array]
    means: Mapping[str, Array]


def centered(subject: Subject, case: Case) -> dict[str, Array]:
    """Kernels whose mean does more to a signal with a mean than their spread does, without it.

    In place of those that have no spread stands a draw.
    """
    found = {}
    for name, i in case.owner.items():
        site, weight = case.sites[i], case.m.kernels[name]
        plain = len(site.kernels) == 1 and not site.lookup
        means = (weight.rms**2 - weight.std**2) * site.fan_in
        if plain and 0 < weight.std < math.inf and weight.std**2 < means < math.inf:
            value, stacked = subject.value(name), site.kernel.part is not None
            layers = value.reshape(len(value) if stacked else site.kernel.layers, -1)
            found[name] = (layers - layers.mean(axis=1, keepdims=True)).reshape(value.shape)
        elif plain and weight.std == 0 < means < math.inf and case.plans[i].std > 0:
            noise = np.random.default_rng([*KEY, *name.encode()]).standard_normal
            found[name] = case.plans[i].std / site.kernel.factor * noise(subject.parameters[name])
    return found


def suspects(case: Case, means: Mapping[str, Array]) -> dict[str, Array]:
    """Kernels away from their ideal, with the factor, or one for each layer, that brings them."""
    found = {}
    near = min(NEAR, math.log(BOUND) / 2 / max(len(case.kernels), 1))
    for name, i in sorted(case.owner.items(), key=lambda pair: pair[1]):
        site, stds = case.sites[i], case.m.kernels[name].stds
        parts = case.parts(i)
        off = _off(case, i, stds)
        if len(parts) > 1:
            off = np.zeros(site.scale.shape[0])
            off[[*parts]] = [_off(case, k, np.ones(1))[0] for k in parts.values()]
            off[abs(off) < abs(off).max() / 4] = 0.0  # they change together, or not at all
            off *= name not in means  # else it is the means alone
        if ((abs(off) > near).any() or name in means) and name not in _lost(case):
            shape = (-1, *[1] * (len(site.scale.shape) - 1)) if len(off) > 1 else ()
            found[name] = np.exp(off / (site.scale.power or 1.0)).reshape(shape)
    return found


def _off(case: Case, i: int, stds: Array) -> Array:
    """ln of a kernel's ideal std over its own, layer by layer; 0 where nothing can be told."""
    site, ideal = case.sites[i], case.plans[i].std
    # Small rows are no fault of themselves, but may be the cause of one.
    alone = not (site.normalized or case.roots("input").any())
    if site.lookup and (case.m.z2[i] > 1.0 or alone):
        ideal = case.plans[i].drawn
    std = case.m.std[i] * (stds / math.sqrt(np.mean(stds**2)) if len(stds) > 1 else np.ones(1))
    most = HEAD * math.exp(NEAR) / math.sqrt(site.fan_in)
    small = site.head & (not (site.feeds or site.lookup or site.resized)) & (std <= most)
    told = (std > 0) & (std < math.inf) & (ideal > 0) & ~small & bool(site.scale.power)
    return np.log(np.where(told, ideal, 1.0) / np.where(told, std, 1.0))


def _places(case: Case, names: list[str], factors: Mapping[str, Array]) -> list[int]:
    """Where these kernels are used; of a stack those parts that are to change."""
    found = [(i, s.scale) for i, s in enumerate(case.sites) if s.scale.name in names]
    return [i for i, k in found if k.part is None or np.ndim(f := factors.get(k.name, 1.0)) == 0
            or abs(math.log(np.ravel(f)[k.part])) > NEAR]  # fmt: skip


def label(name: str, factor: Array) -> str:
    """A kernel, with those of its layers that are to change."""
    off = np.flatnonzero(abs(np.log(factor)) > NEAR)
    return f"{name}[{listed(map(str, off))}]" if 0 < len(off) < factor.size else name


def halves(case: Case, name: str) -> list[str]:
    """A kernel's parameter, and those that are added to it, as imaginary parts are."""
    return [name, *(k.name for k in case.sites[case.owner[name]].kernels if k.joined)]


def spans(case: Case, names: list[str], factors: Mapping[str, Array]) -> str:
    """All of these kernels, "first to last" where they follow each other in the table."""
    place = {name: k for k, name in enumerate(sorted(case.owner, key=lambda n: case.owner[n]))}
    found = list[list[str]]()
    for name in names:
        said, last = label(name, factors[name]), found[-1][-1] if found else ""
        said = ", ".join([said, *halves(case, name)[1:]])
        if said == name and place.get(last, -2) + 1 == place[name]:
            found[-1].append(name)
        else:
            found.append([said])
    parts = (f"{run[0]} to {run[-1]}" if len(run) > 2 else ", ".join(run) for run in found)
    return ", ".join(parts)


def blamed(
    case: Case, rule: Rule, factors: Mapping[str, Array], tried: Mapping[str, Case]
) -> list[str]:
    """The kernels that bring the run nearer to the bound when they are put right alone.

    By half of an even share, at least, of what is too much and of what all of them bring; or the
    one that alone cures it and brings more than all the others. Where they were not tried, or none
    alone ends an overflow, a kernel's own factor speaks.
    """
    if rule.find is not_finite and (lost := [name for name in _lost(case) if name in case.owner]):
        return lost
    before, wide = rule.level(case), rule.excess(case) > 0
    if rule.find is fades and not (wide & judged(case)).any():  # on each of several ways
        return [name for name, f in factors.items() if (np.log(f) > 0).any()]
    if not (tried and before < math.inf):
        alone = [name for name, run in tried.items() if rule.level(run) < before]
        way = 1 if rule.verdict == "shrinking" else -1
        return alone or [name for name, f in factors.items() if (way * np.log(f) > 0).any()]
    gained = {name: before - rule.level(tried[name]) for name in factors}
    whole = sum(max(gain, 0.0) for gain in gained.values())
    even = max(before, whole) / len(factors)
    cures = [name for name, run in tried.items() if fault(run) is None]
    best = max(cures, key=lambda name: gained[name], default="")
    off = {name: math.log(f) for name, f in factors.items() if not np.ndim(f) and gained[name] > 0}
    if best and (len(cures) == 1 or gained[best] > whole / 2):  # whatever else brings it nearer
        alike = [n for n in cures if abs(off.get(n, math.inf) - off.get(best, 0.0)) < NEAR]
        return [name for name in factors if name in (best, *alike)]  # as the ends of two branches
    most = [name for name in factors if gained[name] > even / 2]
    # Those that are off in the same way, and bring less by chance, go with them.
    near = {n for n in off for m in most if m in off and abs(off[n] - off[m]) < NEAR}
    return [name for name in factors if name in most or name in near]


def _lost(case: Case) -> list[str]:
    """Parameters with entries that are no numbers; other than kernels, frozen ones may be masks."""
    masks = {*case.program.frozen} - {*case.owner}
    return [name for name, weight in case.m.kernels.items()
            if not math.isfinite(weight.std) and name not in masks]  # fmt: skip


def _apart(search: Search, starts: Mapping[str, Start], given: Mapping[str, Start]) -> Changes:
    """Other values for what is no kernel that was drawn: zeros, shifts, single numbers."""
    subject, case, rule = search.subject, search.case, search.rule
    if rule.find in (dead, stuck):
        yield from _raised(subject, case, starts)
    lost = {k: starts[k][0] for k in _lost(case) if k in starts}
    if rule.find is not_finite and lost:
        yield Change(f"draw {listed(lost)} again", values=lost)
    if rule.scaled or rule.find is dead:
        yield from _unshifted(search, given if rule.find is first_loss else starts, given)
    mains = {site.kernel.name for site in case.sites}
    single = [n for n in case.program.factors if n not in mains
              and math.prod(subject.parameters[n]) == 1]  # fmt: skip
    far = [n for n in single if case.m.kernels[n].rms > CROSSED]  # such as a temperature
    for names in filter(None, (far, single if single != far else []) if rule.scaled else ()):
        for value in (1.0, 0.0):
            same = {n: np.full(subject.parameters[n], value) for n in names}
            yield Change(f"set {listed(names)} to {value:g}", values=same)


def _scales(search: Search) -> dict[str, tuple[Array, Start]]:
    """Scales that are no kernels, as of a normalization: the rms of rows, and how they start."""
    names = [n for n in search.case.program.factors if n not in search.case.owner]
    known = {n: search.subject.start(n) or search.subject.gain(n) for n in names}
    return {n: (_rms(search.subject.value(n)), start) for n, start in known.items()
            if start and np.any(start[0])}  # fmt: skip


def _rms(value: Array) -> Array:
    """Of what is stacked, each; of one axis longer than 1, of all."""
    return np.asarray(np.sqrt(np.mean(np.square(np.atleast_2d(np.squeeze(value))), axis=-1)))


def _rescaled(search: Search) -> Changes:
    """Scales that are far from their start, set to it."""
    scales = _scales(search)
    usual = {n: (rms, np.abs(start[0]).max()) for n, (rms, start) in scales.items()}
    far = [n for n, (rms, most) in usual.items()
           if rms.max() > CROSSED > most or (rms[rms > 0] * CROSSED < most).any()]  # fmt: skip
    if far:
        starts = {n: scales[n][1] for n in far}
        text = f"set {listed(far)} to the conventional start ({starts[far[0]][1]})"
        values = {n: start[0] for n, start in starts.items()}
        yield Change(text + _asking(search.subject, far), values=values)


def _asked(search: Search) -> Changes:
    """Scales of 1, where layers themselves ask for one that is far from it."""
    asked = [n for n, (_, start) in _scales(search).items() if not np.ptp(start[0])
             and not 1 / CROSSED < abs(start[0].flat[0]) < CROSSED]  # fmt: skip
    if asked:
        ones = {n: np.ones(search.subject.parameters[n]) for n in asked}
        frozen = [n for n in asked if search.subject.kept(n) == "frozen"]
        yield Change(f"set {listed(asked)} to 1{_forced(frozen, 'frozen')}", values=ones)


def _unshifted(search: Search, starts: Mapping[str, Start], given: Collection[str]) -> Changes:
    """Shifts at their conventional start: those that a signal never crosses, given ones, all."""
    subject, program = search.subject, search.case.program
    shifts = [n for n, (start, _) in starts.items() if n not in program.factors
              and np.any(start != subject.value(n))]  # fmt: skip
    far = [n for n in shifts if n not in given and np.abs(subject.value(n)).max() > CROSSED]
    chosen = [n for n in shifts if n in given]
    small = search.rule.find in (dead, saturated)  # for these, small ones count, too
    tried = (far, chosen, shifts if small else far + chosen)
    for names in filter(None, [names for i, names in enumerate(tried) if names not in tried[:i]]):
        text = f"set {listed(names)} to the conventional start ({starts[names[0]][1]})"
        values = {n: starts[n][0] for n in names}
        yield Change(text + _asking(subject, names), values=values)
    asked = [n for n in program.shifts if n not in (*program.factors, *shifts)
             and np.abs(subject.value(n)).max() > CROSSED]  # fmt: skip
    if asked:  # by the layers themselves
        yield Change(f"set {listed(asked)} to 0", values={n: 0 * subject.value(n) for n in asked})


def _asking(subject: Subject, names: list[str]) -> str:
    """What `winit.reinitialize` must be told before it does a cure."""
    if kept := [name for name in names if subject.kept(name)]:
        return _forced(kept, subject.kept(kept[0]))
    sign = subject.trained()
    return f" (by force=True, since the model looks trained: {sign})" if sign else ""


def _forced(names: list[str], reason: str) -> str:
    return f" (by force=True: {listed(names)} {be('is', 'are', names)} {reason})" if names else ""


def be(one: str, several: str, names: Sized) -> str:
    """The verb for so many names."""
    return one if len(names) == 1 else several


def _given(subject: Subject, case: Case) -> dict[str, Start]:
    """The conventional starts of shifts and scales that were given otherwise."""
    kept = [n for n in subject.parameters if subject.kept(n).startswith("given")]
    return {n: start for n in kept if n not in case.owner and (start := subject.start(n))}


def _groups(search: Search) -> list[list[str]]:
    """Kernels to put right together, each time without what is frozen first."""
    case, named, factors = search.case, search.named, search.factors
    sites = {name: case.sites[case.owner[name]] for name in factors}
    heads = [name for name, site in sites.items() if site.head]
    tails = [name for name, site in sites.items() if _ends_branch(site)]
    ends = tails if len(named) > 1 and set(tails) & set(named) else []
    found = list[list[str]]()
    for names in (ends, named, [*named, *heads], factors):
        whole = [n for n in factors if n in names]
        free = [n for n in whole if sites[n].scale.trainable]
        found += [free, whole] if free != whole else [whole]
    return [names for names in found if names]


def _put_right(search: Search, names: list[str]) -> Change:
    """These kernels at their ideal stds, and in which words."""
    case, factors = search.case, search.factors
    at = sorted(case.owner[name] for name in names)
    sites = [case.sites[i] for i in at]
    changed = [i for i in _places(case, names, factors) if case.parts(i) or i in at] or at
    schemes = {str(case.plans[i]) + redraw.more(case.sites[i].kernel) for i in changed}
    who, ends = spans(case, names, factors), min(site.summed for site in sites)
    ideal = "its ideal std" if len(names) == 1 else "their ideal stds"
    # How far the kernels are from what n branches ask for, in ln.
    apart = [abs(np.log(factors[n] * math.sqrt(max(ends - 1, 1)))).max() for n in names]
    if search.rule.find is grows and all(map(_ends_branch, sites)) and max(apart) < math.log(2):
        text = f"divide the last kernel of each branch ({who}) by √{ends - 1}"
    elif any(not site.kernel.power or redraw.generated(site) for site in sites):  # no draw
        text = f"scale {who}, which brings the {be('kernel', 'kernels', names)} to {ideal}"
    else:
        text = f"draw {who} " + (f"with {min(schemes)}" if len(schemes) == 1 else f"at {ideal}")
    values = {name: value for name, value in search.means.items() if name in names}
    scales = {half: factors[n] for n in names for half in halves(case, n)}
    return Change(text + _asking(search.subject, names), scales, values)


def changes(search: Search) -> Changes:
    """Cures to try, the smallest first; each with other inputs where these are at fault."""
    if search.rule.find not in (unscaled, uncentered):
        yield from _changes(search)
        return
    yield STANDARDIZE
    for change in _changes(search):
        yield replace(change, text=f"{STANDARDIZE.text} and {change.text}", standardized=True)


def _changes(search: Search) -> Changes:
    subject, case, rule = search.subject, search.case, search.rule
    if rule.scaled:
        yield from _rescaled(search)
    for names in _groups(search):
        yield _put_right(search, names)
    bare = equal_rows(case) or _bare(subject, case, rule)
    for std in (OPENED, 1.0) if bare else ():
        yield _redrawn(subject, bare, std)
    # Rather large or small, as columns may be beside a table.
    apart = [abs(math.log(x2)) for x2 in case.m.input2.values() if x2 > 0]
    if rule.scaled and max(apart, default=0.0) > math.log(HIGH) / 2:
        yield STANDARDIZE
    # From here on something is drawn, which takes as long as many runs.
    rng, given = np.random.default_rng(KEY), _given(subject, case)
    drawn = redraw.values(subject, rng)
    starts = {k: new for k, new in drawn.items() if new[0].any() or k not in case.opened}
    values = {k: value for k, (value, _) in starts.items()}
    yield from _apart(search, starts | given, given)
    again = "draw the whole model again (reinitialize)"
    whole = Change(again + _asking(subject, []), values=values)
    # Another draw of the same is no cure, though chance may let it pass.
    if not rule.scaled or search.factors or _differs(subject, case, values):
        yield whole
    others = {k: value for k, (value, _) in redraw.spare(subject, rng, drawn).items()
              if k in subject.used}  # fmt: skip
    if others:  # which it draws, too, where it must
        yield replace(whole, values=values | others)
    if given:
        text = f"{again} by force=True, since {listed(given)} {be('was', 'were', given)} given"
        whole = Change(text, values=values | {k: value for k, (value, _) in given.items()})
        yield whole
    if rule.scaled or rule.find is dead:
        last = leveled(subject, case, whole)
        if last.text != whole.text:
            yield last
    if rule.find is first_loss:
        yield from _quieted(subject, case)
    if rule.scaled:
        yield from _asked(search)


def _bare(subject: Subject, case: Case, rule: Rule) -> list[str]:
    """Parameters of two axes that are no kernels, as learned tokens, and may be at fault.

    They are larger than signals, or half of their rows or more are copies.
    """
    mains = {site.kernel.name for site in case.sites}
    shapes = {n: subject.parameters[n] for n in case.m.kernels if n not in mains}
    program = case.program
    others = {*program.frozen, *program.shifts, *program.unused, *program.gains}
    found = [n for n, shape in shapes.items()
             if len(shape) > 1 < math.prod(shape) and n not in others]  # fmt: skip
    if rule.scaled:  # as a signal, or as what makes one, where only derivatives are left of it
        sizes = {n: math.sqrt(max(shapes[n])) for n in case.program.beside if n in found}
        return [n for n in found if case.m.kernels[n].rms * sizes.get(n, 1.0) > CROSSED]
    found = [n for n in found if shapes[n][-1] > 1]
    rows = {n: subject.value(n).reshape(-1, shapes[n][-1])
            for n in found if rule.find is symmetric}  # fmt: skip
    return [n for n, own in rows.items() if len(np.unique(own, axis=0)) <= ALIKE * len(own)]


def _redrawn(subject: Subject, names: list[str], std: float) -> Change:
    """Other values for parameters that no rule has a scale for."""
    rng = np.random.default_rng(KEY)
    shapes = {n: subject.parameters[n] for n in names}
    values = {n: std * rng.standard_normal(shape) for n, shape in shapes.items()}
    return Change(f"draw {listed(names)} with normal, std={std:g}", values=values)


def _differs(subject: Subject, case: Case, values: Mapping[str, Array]) -> bool:
    """Whether these values change more than the draws of kernels do.

    A new spectrum is more, and so is one of weights that are clipped, as where they are rounded.
    """
    sites = {k: case.sites[i] for k, i in case.owner.items()}
    rest = {k: value for k, value in values.items() if k not in sites
            or (sites[k].scale.spectral and not redraw.orthogonal(sites[k], subject))
            or not (sites[k].scale.power or sites[k].scale.normed)}  # fmt: skip
    return any(np.any(value != subject.value(k)) for k, value in rest.items())


def _quieted(subject: Subject, case: Case) -> Changes:
    """Outputs nearer to 0, by the last kernels and shifts as they are."""
    last = [site for site, head in zip(case.sites, case.heads, strict=True)
            if head and site.kernel.name not in (*case.mute, *case.program.waves)]  # fmt: skip
    shifts = {n: 0 * subject.value(n) for site in last for n in site.shifts
              if n in subject.parameters and subject.value(n).any()}  # fmt: skip
    kernels = {site.scale.name: subject.value(site.scale.name) for site in last}
    down = f"set {listed(shifts)} to 0"
    if shifts:
        yield Change(down, values=shifts)
    for times in LESS if kernels else ():
        small = f"multiply {listed(kernels)} by {times}"
        values = {name: times * value for name, value in kernels.items()}
        yield Change(small, values=values)
        if shifts:
            yield Change(f"{small}, and {down}", values=values | shifts)


def _raised(subject: Subject, case: Case, starts: Mapping[str, Start]) -> Changes:
    """Other values for the zeros that never give way, be it that they are frozen."""
    felt = tuple(name for name in case.fixed if case.m.kernels[name].gradient > 0)
    if felt:
        noise = {name: _opening(case, name, subject) for name in felt}
        yield Change(f"unfreeze {listed(felt)}", values=noise)
    zeros = [k for k in case.program.factors if case.closed.kernels[k].zero]
    forced = redraw.values(subject, np.random.default_rng(KEY), force=True) if zeros else {}
    frozen = {k: new for k, new in forced.items() if k in case.fixed}
    mute = [k for k in zeros if case.closed.kernels[k].gradient == 0]  # others open by themselves
    tried = [(names, known) for known in ({**starts, **frozen}, {**forced, **starts, **frozen})
             for names in (mute, zeros)]  # fmt: skip
    for names, known in tried:
        own = {k: known[k][0] for k in names if k in known and known[k][0].any()}
        flat = [k for k, value in own.items() if not np.ptp(value)]
        random = [k for k in own if k not in flat]
        said = [f"draw {listed(random)} at random"] * bool(random)
        said += [f"set {listed(flat)} to {own[flat[0]].flat[0]:g}"] if flat else []
        if own:
            asking = _forced([k for k in own if k in case.fixed], "frozen")
            text = " and ".join(said) + (asking or _asking(subject, [*own]))
            yield Change(text, values=own)
    scales = [k for k in zeros if k not in case.owner and k not in case.fixed]
    silent = [k for k in scales if case.m.kernels[k].gradient == 0]
    for some in filter(None, (silent, scales)):  # also where its layer asks for 0
        shapes = {k: subject.parameters[k] for k in some}
        wide = [k for k, shape in shapes.items() if max(shape, default=1) < math.prod(shape)]
        flat = [k for k in some if k not in wide]
        said = [f"set {listed(flat)} to 1"] * bool(flat)
        said += [_redrawn(subject, wide, OPENED).text] * bool(wide)
        ones = {k: np.ones(shapes[k]) for k in flat}
        asking = _asking(subject, flat) if all(map(subject.start, flat)) else ""  # it sets them
        values = {**ones, **_redrawn(subject, wide, OPENED).values}
        yield Change(" and ".join(said) + asking, values=values)


def _ends_branch(site: Site) -> bool:
    """Whether it gives one of several summands, and not the first, which the data enter by."""
    return site.summed > 2 and not (site.reads_data or site.looped or site.lookup)


def _meeting(case: Case) -> dict[tuple[int, ...], list[int]]:
    """Kernels that the same sites are the nearest to read, by these sites."""
    before, found = redraw.followed(case.program), dict[tuple[int, ...], list[int]]()
    for i in case.kernels:
        read = [j for j, site in enumerate(case.sites) if i in before[j] and not site.lookup]
        first = min((case.sites[j].depth for j in read), default=0)
        near = tuple(j for j in read if case.sites[j].depth == first)
        found.setdefault(near, []).append(i)
    return {near: group for near, group in found.items() if near}


def leveled(subject: Subject, case: Case, change: Change) -> Change:
    """A draw, each kernel then scaled for what the plan cannot know, as sums over neighbors.

    Not by a hundred or more: that is no kernel's fault, but a state's, say, that doubles each step.
    And no kernel of gates: a larger one shuts some of them, where larger news do no harm.
    """
    sites, drawn = case.sites, change.values
    owned: dict[int, list[str]] = {}
    for name, i in case.owner.items():
        free = sites[i].scale.power and not sites[i].gate
        names = [name, *(k.name for k in sites[i].kernels if k.beside)] if free else []
        owned[i] = [k for k in names if k in drawn]
    times = {k: 1.0 for names in owned.values() for k in names}
    if not times:
        return change
    for _ in range(ROUNDS):
        after = change.run(subject, case)
        off = np.clip(drift(after), -50.0, 50.0)
        for near, group in _meeting(case).items():
            step = np.mean(off[group]) - np.mean(off[[*near]])
            sizes = np.log(np.clip(np.nan_to_num(after.m.z2[group], nan=1.0), 1e-300, 1e300))
            apart = np.clip(sizes - np.logaddexp.reduce(sizes) + math.log(len(sizes)), -50.0, 50.0)
            for i, more in zip(group, apart, strict=True):  # until each is as large as the others
                for name in owned[i]:
                    times[name] *= math.exp((step - more) / 2 / sites[i].scale.power)
        change = replace(change, values={k: v * times.get(k, 1.0) for k, v in drawn.items()})
    least = NEAR / len(times)
    ranked = sorted(times, key=lambda k: -abs(math.log(times[k])))
    said = tuple(f"{k} by {times[k]:.2g}" for k in ranked if abs(math.log(times[k])) > least)
    if not abs(math.log(times[ranked[0]])) < math.log(STEEP) / 2:
        return replace(change, values=drawn)
    text = f"{change.text}, which scales it until E x² stays level: {listed(said)}"
    return replace(change, text=text) if said else change


def level(
    subject: Subject, values: Mapping[str, Array], others: Mapping[str, Array]
) -> dict[str, float]:
    """By how much to scale new values where a signal grows or fades; nothing elsewhere.

    `others` are for what they leave. Those are taken, with a factor of 1, without which the draw is
    dead or symmetric, as zeros where biases that let them open are 0 now, too, or faulty though
    level; and in the place of learned tokens that drown the signal, or are all equal (these at unit
    scale where small ones stay faulty), and of scales by hand if nothing is faulty then.
    """
    # What has opened beside other biases is 0 again.
    case, change = replace(start(subject), opened={}), Change(values=values)
    after = change.run(subject, case)
    rule, times = fault(after), dict[str, float]()
    zeros = others.keys() & subject.used  # or near 0
    shutting = dead, stuck, symmetric  # of branches side by side that are 0 none tells units apart
    if zeros and rule and rule.find in shutting:
        sites = [case.sites[i] for i in np.flatnonzero(rule.excess(after) > 0)]
        own = {k.name for site in sites for k in site.kernels} & zeros or zeros
        times = dict.fromkeys(own, 1.0)
        change = Change(values={**values, **{name: others[name] for name in own}})
        rule = fault(change.run(subject, case))
        if rule and rule.find in shutting:
            return {}
    bare = equal_rows(after) or _bare(subject, after, rule) if rule else []
    if tokens := {name: others[name] for name in bare if name in others}:
        unit = 1 / redraw.TOKENS  # of unit scale, where small ones fade
        drawn = {size: Change(values={**change.values, **{k: size * v for k, v in tokens.items()}})
                 for size in (1.0, unit)}  # fmt: skip
        size, left = 1.0, fault(drawn[1.0].run(subject, case))
        if left and not fault(drawn[unit].run(subject, case)):
            size, left = unit, None
        if left is not rule:  # else they are not at fault
            rule, change, times = left, drawn[size], times | dict.fromkeys(tokens, size)
    gains = {name: others[name] for name in subject.program.gains if rule and name in others}
    reset = Change(values={**change.values, **gains})
    if gains and fault(reset.run(subject, case)) is None:
        return times | dict.fromkeys(gains, 1.0)
    if not (rule and rule.find in (grows, fades, starves, bursts)):
        return times
    made = leveled(subject, case, change)
    if fault(made.run(subject, case)):
        # Beside a frozen base they keep what it gives.
        own = zeros if all(site.kernel.trainable for site in case.sites) else set[str]()
        whole = Change(values={**change.values, **{name: others[name] for name in own}})
        cured = own and not fault(whole.run(subject, case))
        return times | dict.fromkeys(own if cured else (), 1.0)
    tops = {k: float(np.abs(v).max(initial=0.0)) for k, v in change.values.items()}
    scaled = {k: float(np.abs(v).max() / tops[k]) for k, v in made.values.items() if tops[k]}
    return times | {k: factor for k, factor in scaled.items() if factor != 1.0}


def cure(search: Search) -> Change | None:
    """The first change after which nothing is wrong, or else nothing but the first loss.

    Or else one that puts kernels right and takes most off a first loss, if not enough.
    """
    case, rule, part = search.case, search.rule, None
    # It may raise the first loss by half, or to half of what is too high; of one below 0 nobody
    # knows what is high.
    known = np.fmax(case.m.blind, case.m.near)
    most = math.inf if case.loss < 0 else np.fmax(1.5 * case.loss, LOSS / 2 * known)
    if rule.find is first_loss:  # no hair's breadth under the bound, where outputs of 0 cost less
        most = np.fmax(LOSS / 2 * case.m.blind, 1.5 * case.m.even)
    for change in changes(search):
        after = change.run(search.subject, case)
        left = fault(after)
        if left is None and not after.loss > most:
            return change
        rest = left is not None and left.find is first_loss and not after.loss > case.loss
        if not (left and rest) or part is not None:
            continue
        if rule.find is not first_loss:
            text = f"{change.text}; for the first loss, {advice(left, after, SMALLER)}"
            part = replace(change, text=text)
        elif change.scales and after.loss * LOSS < case.loss:
            text = f"{change.text}, which brings it to {after.loss:.3g}, and "
            part = replace(change, text=text + advice(left, after, SMALLER))
    return part


def advice(rule: Rule, case: Case, smaller: str) -> str:
    """What to do where no redraw cures; `smaller` where outputs of 0 cost no more than they may."""
    if rule.find is not_finite and (lost := _lost(case)):  # of which no draw is known
        return f"give {listed(lost)} other values"
    # Where no signal is large, a gradient is infinite by itself.
    if rule.find is not_finite and not case.m.finite and (case.m.z2 < STEEP).all():
        steep = [n for n, w in case.m.kernels.items() if not math.isfinite(w.gradient)]
        return f"look for a root, a logarithm or a quotient of 0 behind {listed(steep)}"
    nothing = case.roots("normalizer") & (case.closed.root2 == 0)
    if rule.find is dead and nothing.any():  # what it reads is all equal, as one entry alone is
        zero = [case.program.roots[i].name for i in np.flatnonzero(nothing)]
        return f"what normalizes {listed(zero)} gives 0: let it read several entries that differ"
    if rule.find is saturated and not (case.m.saturated > SATURATED).any():
        return "divide what the softmax reads, products of n numbers by √n"
    if rule.find is not first_loss:
        return rule.advice
    biased = any(site.shifts for site, head in zip(case.sites, case.heads, strict=True)
                 if head)  # fmt: skip
    mean = MEAN if biased else WITHOUT
    mean = mean if power(case.m) < 1 else f"{rule.advice}, or {mean}"
    return smaller if case.m.even <= LOSS * case.m.blind else mean


@np.errstate(all="ignore")  # what overflows is found as such
def examine(subject: Subject, cures: bool = True) -> tuple[Audit, Change | None]:
    """As `judge`, and the change that cures what was found: None where there is none."""
    case = start(subject)
    rows, change, findings = _rows(case), None, list[Finding]()
    if rule := fault(case):
        means = centered(subject, case) if rule.scaled else {}
        factors, tried = suspects(case, means) if rule.scaled else {}, dict[str, Case]()
        for name, factor in factors.items() if cures else ():
            alone = {k: value for k, value in means.items() if k == name}
            scales = dict.fromkeys(halves(case, name), factor)
            tried[name] = Change("", scales, alone).run(subject, case)
        named, text = blamed(case, rule, factors, tried), ""
        if cures:
            change = cure(Search(subject, case, rule, named, factors, means))
            behind = TARGETS if subject.y2 < LOW else BEHIND
            text = change.text if change else f"no redraw cures this: {advice(rule, case, behind)}"
            named = [] if rule.find is collapsed else named
            named = [n for n in factors if change and n in change.scales] or named
        excess, at = rule.excess(case), _places(case, named, factors)
        if not (rule.moved and at):
            at = list(np.flatnonzero(excess > 0)) if len(excess) == len(rows) else []
        at = [] if rule.whole else at
        worst = int(excess.argmax())
        told = asdict(rows[worst]) | {"among": case.m.among[worst]} if rows else {}
        known = "knowing nothing costs" if case.m.blind > 0 else "outputs of 0 or ±1 cost at most"
        losses = {"loss": case.loss, "blind": np.fmax(case.m.blind, case.m.near), "nothing": known,
                  "stuck": listed(stays(case)), "tied": listed(equal_rows(case))}  # fmt: skip
        reason = rule.reason.format(**told, **losses)
        layers = [said for n in named if n in factors and (said := label(n, factors[n])) != n]
        reason += f" It is {listed(layers)}." if layers else ""
        if rule.find is not_finite and (lost := _lost(case)):
            reason += f" Not all numbers of {listed(lost)} are finite."
        names = tuple(rows[i].name for i in at)
        changed = tuple(dict.fromkeys((*change.scales, *change.values))) if change else ()
        findings = [Finding(rule.verdict, names, reason, text, rule.meaning, changed)]
        for other in RULES:  # what follows from it
            if rule is not other and other.find is first_loss and other.level(case) > 0:
                findings += [Finding(other.verdict, (), other.reason.format(**losses), text)]
        for i in at:
            rows[i] = replace(rows[i], verdict=rule.verdict)
        for i, site in enumerate(case.sites):
            if run := tried.get(name := site.scale.name):
                rows[i] = replace(rows[i], elasticity=_elasticity(case, run, factors[name]))
    # Of tables that make the outputs a first loss tells, unless they lie near 0.
    ideals = np.array([own.std for own in case.plans])
    scaled = (ideals <= redraw.CLOSED * case.m.std) & math.isfinite(case.loss)
    seen = ~np.isnan(case.m.z2) & (~case.each("lookup") | scaled)
    judged = bool(seen.any()) and trains(subject)
    rows = rows if judged or findings else [replace(row, verdict="not judged") for row in rows]
    report = Audit(subject.name, tuple(rows), tuple(findings), tuple(_notes(subject, case)), judged,
                   case.loss, case.m.blind, dict(case.m.input2))  # fmt: skip
    return report, change


def judge(subject: Subject, cures: bool = True) -> Audit:
    """Measure a model, judge it, and look for a cure that stands. The model is not changed.

    Without `cures` no kernel is put right and run again: one run for each that is suspected, one
    for each cure that is tried. A sound model needs none.
    """
    return examine(subject, cures)[0]


# ------------------------------------------------------------------ the report


def _elasticity(case: Case, run: Case, factor: Array) -> float:
    """d ln E z² at the last head by d ln of the scale that was changed by one factor."""
    before, after = (c.m.z2[case.heads][-1:] for c in (case, run))
    with np.errstate(all="ignore"):
        told = len(after) and np.ndim(factor) == 0
        return float(np.log(after / before).sum() / np.log(factor)) if told else math.nan


def _rows(case: Case) -> list[Row]:
    rows, drifts = [], drift(case)
    known = {f.name for f in fields(Measured)} & {f.name for f in fields(Row)} - {"std"}
    for i, (site, own) in enumerate(zip(case.sites, case.plans, strict=True)):
        found: dict[str, Any] = {k: float(getattr(case.m, k)[i]) for k in known}
        found["saturated"] = float(np.fmax(case.m.saturated, case.m.peaked)[i])
        found |= {k: getattr(site, k) for k in ("name", "fan_in", "fan_out", "units", "groups")}
        found |= {k: redraw.activation(getattr(site, k)).name for k in ("before", "after")}
        rows.append(Row(**found, shape=site.kernel.shape, std=float(case.closed.std[i]),
                        ideal=own.std, scheme=str(own), drift=float(drifts[i])))  # fmt: skip
    return rows


def trains(subject: Subject) -> bool:
    """Whether any parameter may change."""
    names = subject.parameters
    return not names or any(subject.kept(name) != "frozen" for name in names)


def _partly(case: Case) -> list[str]:
    """Kernels of which a part of the units is dead, at every place that they have."""
    shares: dict[str, float] = {}
    for site, share in zip(case.sites, case.m.dead, strict=True):
        shares[site.kernel.name] = min(share, shares.get(site.kernel.name, 1.0))
    return [name for name, share in shares.items() if PARTLY <= share <= MOSTLY]


def _hidden(subject: Subject, case: Case) -> Iterator[str]:
    """Tables that are read as they are, and one column of which drowns the others."""
    raw = {case.program.roots[r].name for i in _raw(case) for r in case.sites[i].roots}
    for name, x in subject.tables(raw).items():
        spread, varies = np.var(x, axis=0), np.ptp(x, axis=0) > 0
        if varies.sum() > 1 and MOSTLY * spread.sum() < spread.max():
            yield (f"Column {spread.argmax()} of {name} has more than {MOSTLY:.0%} of what varies "
                   "in it, and hides the others: standardize it column by column.")  # fmt: skip


def _notes(subject: Subject, case: Case) -> Iterator[str]:
    """What is no fault and worth knowing; what could not be told, and why."""
    program, m, sites = case.program, case.m, case.sites
    parts = {k.name: k.trainable for site in sites for k in site.kernels}
    before = case.closed.kernels
    waits = [k for k in parts if parts[k] and before[k].gradient == 0 < m.kernels[k].gradient]
    alike = (symmetric(case) > 0) | (inseparable(case) > 0)  # then the finding says it
    flat = [name for name, i in case.owner.items() if sites[i].units > 1 and not alike[i]
            and not (before[name].std or before[name].zero or sites[i].kernels[1:])]  # fmt: skip
    made = dict.fromkeys(k.name for site in sites if redraw.generated(site) for k in site.kernels)
    empty = [sites[i].name for i in np.flatnonzero(case.empty)]
    single = [n for n in program.single if n in case.mute]
    factors = {*case.opened} & {*program.factors} or {*case.opened}
    zeros = sorted(factors - {*waits} or factors)
    names = case.each("kernel.name")
    opened = f"{listed(zeros)} {be('is', 'are', zeros)} no longer 0"
    noise = f"for which the table has noise of std {OPENED}"
    said = (
        (waits, f"waits one step, until {opened}, {noise}."),
        (flat, "all its weights are equal, and only their gradients take its units apart."),
        (made, "make kernels together, and std and ideal are of what they make."),
        (case.fixed, "frozen at 0: it never moves, and gives nothing to what it multiplies."),
        (program.stopped, "no gradient comes back: the model stops it, or uses no result of it."),
        (single, "no gradient comes back, since its softmax is over one entry."),
        ([*names[case.spared]], "no gradient comes back: these examples choose others."),
        (case.unseen, "no gradient comes back: the loss does not see what it gives."),
        (program.unused, "nothing that ran here uses it, so it is not judged."),
        (program.beside, "outputs are made of it, but it is no kernel, so it is not judged."),
        (_partly(case), f"of the units {PARTLY:.0%} or more get no gradient for any example."),
        (empty, "cannot tell what it does: all that it reads is 0."),
    )
    yield from (f"{listed(names)}: {text}" for names, text in said if names)
    equal: dict[str, list[str]] = {}
    for same in copies(replace(case, m=case.closed)):
        pairs = [(same[0], name) for name in same[1:]]
        if not any(same_gradient(case.closed, *pair) for pair in pairs):
            text = "start equal; their gradients differ, and they part."
            equal.setdefault(text, []).append(listed(same))
        elif not any(same_gradient(m, *pair) for pair in pairs):
            equal.setdefault(f"start equal, and part only once {opened}.", []).append(listed(same))
    yield from (f"{'; '.join(who)}: {text}" for text, who in equal.items())
    # A loss that scales its targets is small. Where nobody knows what knowing nothing costs, only a
    # squared error is known for what it is.
    entering = np.fmax.reduce(case.entering, initial=math.nan)
    squared, grows = power(m) > 1, power(m) > (1 if math.isnan(m.blind) else 0)
    if subject.y2 > HIGH and case.loss > math.sqrt(subject.y2) / 2 and grows:
        grow = "and its gradients grow" if squared else "grows"
        far = "" if squared else ", its gradients do not, and the way there is long"
        yield (f"Targets unscaled: E y² is {subject.y2:.2g}, where 1 is usual, and the loss {grow} "
               f"with it{far}: standardize them.")  # fmt: skip
    yield from _hidden(subject, case)
    if case.met:
        yield "Cannot tell what comes back: the loss of these examples is 0 already."
    if not trains(subject):
        yield "Nothing can train: every parameter is frozen."
    if not sites:
        yield "Cannot tell anything: no place was found where data meets a kernel."
    elif case.each("lookup").all():
        yield "Cannot tell how a signal travels: rows are looked up, and meet no kernel."
    elif np.isnan([entering, *case.m.z_share[case.heads & (case.m.z2 > 0)]]).any():
        yield "Cannot tell whether examples come to look alike: where they lie was not followed."
    elif not entering > COLLAPSED:
        yield "Cannot tell whether examples come to look alike: the given ones hardly differ."
    yield from program.notes
