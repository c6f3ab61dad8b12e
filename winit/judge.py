"""Verdict, cause and cure, from measurements alone: no framework, no layer's or operation's name.

Rules look at one run (`Case`) in this order: not finite, inputs, first loss and output scale; then
dead, symmetric, saturated, collapsed, signal, gradient, of which the first that finds something
speaks, since what comes after it is mostly its consequence. A kernel is blamed if putting it right
alone, at the std that `winit.redraw` would draw, brings the run nearer to its bounds. A cure is
printed only if no rule objects to the run that it makes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from winit import redraw
from winit.program import Measured, Program, Site, Subject
from winit.redraw import Plan
from winit.report import Audit, Finding, Row, listed

Array = NDArray[np.floating[Any]]

# Second moments, against where the signal set out: ten in rms, which one learning rate can bridge.
BOUND = 100.0
# One draw of a good scheme moves ln E x² by sd = √(Σ 5 / units) (Hanin 2018: 5 for ReLU, the most
# of any activation here): never an alarm within this many of them.
SPREADS = 4.0
# A hundred in rms, between first and last kernels: no learning rate is right for both.
STEEP = BOUND**2
# Batch normalization multiplies the gradient by π/(π - 1) = 1.47 a layer of ReLU (Yang et al.
# 2019), and does no harm until 36 layers: at 30 such nets still learn, at 40 they do not begin.
STEEP_NORMALIZED = 1e6
# What varies over the examples is then below the rounding of bfloat16, (2⁻⁸)², and no larger in rms
# than a bias that moved by 0.4 %. Six sigmoids in a row come to 1e-6 and do not begin under SGD,
# three (3e-4) do; sixty layers of ReLU keep 0.01.
COLLAPSED = 2.0**-16
# Inputs of rms above 10 saturate what follows, below 0.01 they drown in the first biases' steps
# (one-hot inputs of 10,000 classes are just above).
INPUTS = (1e-4, 100.0)
# Four times what a network that knows nothing pays: logits of rms 5 to 7 for 2 to 50,000 classes.
LOSS = 4.0
# Without a loss: outputs of rms 5 pay that in cross entropy over ten classes.
OUTPUT = 25.0
# Share of flat slopes beyond that of a unit normal signal; good schemes stay below 0.05.
SATURATED = 0.25
# Share of a site's units that are flat for all examples, before the site is called dead.
MOSTLY = 0.95
# Kernels nearer to their ideal than this, as ln of the std, are not suspected one by one.
NEAR = 0.2
# A head answers for the output's scale only above He's gain.
HEAD = math.sqrt(2)
# A stream of the audit's own: no seed that a user gives starts it.
KEY = (0x77696E6974, 0x6A756467)
ROUNDS = 4  # steps after which what starts at 0 must have given way




# ------------------------------------------------------------------ what the rules look at


@dataclass(frozen=True)
class Frame:
    """What does not change from run to run.

    `spread` is the variance of ln E x² at a site over good draws, `owner` the site that answers for
    a kernel, `opened` the zeros that give way in the first steps.
    """

    program: Program
    plans: list[Plan]
    spread: Array
    owner: Mapping[str, int]
    opened: frozenset[str] = frozenset()

    @property
    def sites(self) -> tuple[Site, ...]:
        """The program's sites."""
        return self.program.sites

    @property
    def kernels(self) -> list[int]:
        """The sites of kernels that multiply, each kernel once, those near the inputs first."""
        found = [i for i in self.owner.values() if not self.sites[i].lookup]
        return sorted(found, key=lambda i: (self.sites[i].depth, i))

    @property
    def heads(self) -> list[int]:
        """The sites from which the outputs come."""
        return [i for i, site in enumerate(self.sites) if site.head and not site.lookup]


def frame(program: Program) -> Frame:
    """The frame of a program."""
    spread = np.zeros(len(program.sites))
    owner: dict[str, int] = {}
    for i, site in enumerate(program.sites):
        inside = [
            p for p in site.parents if p < i and set(program.sites[p].roots) & set(site.roots)
        ]
        terms = [
            spread[p] + (0 if program.sites[p].lookup else 5 / program.sites[p].units)
            for p in inside
        ]
        spread[i] = max(terms, default=0.0)
    for i in redraw.first_places(program):
        owner.setdefault(program.sites[i].kernel.name, i)
    return Frame(program, redraw.plan(program), spread, owner)


@dataclass(frozen=True)
class Case:
    """One run and its frame: what a rule looks at. `closed` is the run before zeros gave way."""

    frame: Frame
    m: Measured
    closed: Measured


@dataclass(frozen=True)
class Alarm:
    """What a rule found at some sites; at none of them where it is about the whole."""

    key: str
    verdict: str
    sites: tuple[int, ...]
    reason: str


Rule = Callable[[Case], list[Alarm]]


# ------------------------------------------------------------------ rules about the whole


def not_finite(case: Case) -> list[Alarm]:
    """Outputs, loss or gradients that are not numbers."""
    if case.m.finite:
        return []
    sites = case.frame.sites
    broken = np.isinf(case.m.x2) | np.isinf(case.m.z2)
    first = next((i for i in range(len(sites)) if broken[i]), None)
    back = next((i for i in range(len(sites)) if np.isinf(case.m.g2[i])), None)
    reason = "The outputs or the loss are not finite."
    if first is not None:
        reason = f"The first values that are not finite come out of {sites[first].name}."
    elif back is not None:
        reason = f"The signal is finite, and the gradient at {sites[back].name} is not."
    return [Alarm("not finite", "not finite", (), reason)]


def inputs(case: Case) -> list[Alarm]:
    """Data far from unit scale where a kernel reads it and nothing normalizes the result."""
    found = []
    for i, site in enumerate(case.frame.sites):
        x2 = case.m.x2[i]
        reads = site.reads_data and not (site.lookup or site.normalized)
        reads = reads and all(case.frame.program.roots[r].kind == "input" for r in site.roots)
        if reads and x2 > 0 and not INPUTS[0] <= x2 <= INPUTS[1]:
            reason = f"E x² of what {site.name} reads is {x2:.2g}, where 1 is usual."
            found.append(Alarm("inputs", "inputs unscaled", (), reason))
    return found[:1]


def first_loss(case: Case) -> list[Alarm]:
    """A first loss far above that of a network that knows nothing; without one, large outputs."""
    m = case.m
    if m.loss > LOSS * m.blind > 0:
        reason = (
            f"The first loss is {m.loss:.3g}; a network that knows nothing has {m.blind:.3g}, "
            f"and the outputs' second moment is {m.output2:.2g}."
        )
        return [Alarm("loss", "first loss far too high", (), reason)]
    return []


def outputs(case: Case) -> list[Alarm]:
    """Where no loss is given: outputs for which one would be far too high."""
    scale, i = _output(case)
    if math.isnan(case.m.loss) and scale > max(OUTPUT, math.exp(SPREADS * _sd(case, i))):
        reason = f"{case.frame.sites[i].name} gives outputs of second moment {scale:.2g}."
        return [Alarm("loss", "first loss far too high", (), reason)]
    return []


def _output(case: Case) -> tuple[float, int]:
    """The largest E z² of a head, and which."""
    return max(((_number(case.m.z2[i]), i) for i in case.frame.heads), default=(0.0, 0))


def _number(value: float) -> float:
    return 0.0 if math.isnan(value) else float(value)


def _sd(case: Case, i: int) -> float:
    return math.sqrt(case.frame.spread[i])


# ------------------------------------------------------------------ rules about sites


def weights(case: Case) -> list[Alarm]:
    """Weights that are not numbers."""
    bad = tuple(i for i, std in enumerate(case.m.std) if not math.isfinite(std))
    return [Alarm("weights", "exploding", bad, "Its weights are not finite.")] if bad else []


def dead(case: Case) -> list[Alarm]:
    """Sites that no signal or no gradient passes, now and after what starts at 0 gave way."""
    frame, m = case.frame, case.m
    reasons: dict[str, list[int]] = {}
    for i, site in enumerate(frame.sites):
        name = site.kernel.name
        zero = case.m.kernels[name].zero and name not in frame.opened
        if m.x2[i] == 0 and site.reads_data:
            continue  # the inputs that were given are 0: see the notes
        if zero and not m.effect[i] > 0:
            reason = "Its weights are 0, and no gradient moves them."
        elif m.z2[i] == 0:
            reason = "No signal passes."
        elif m.dead[i] >= MOSTLY:
            reason = "Its units are flat for every example."
        elif m.g2[i] == 0 and m.effect[i] == 0 and name not in frame.program.stopped:
            reason = "No gradient comes back."
        else:
            continue
        reasons.setdefault(reason, []).append(i)
    return [Alarm("dead", "dead", tuple(at), reason) for reason, at in reasons.items()]


def symmetric(case: Case) -> list[Alarm]:
    """Sites whose units compute the same and get the same gradient."""
    m, sites = case.m, case.frame.sites
    same = [
        i
        for i, site in enumerate(sites)
        if site.units > 1 and m.z2[i] > 0 and 2 * m.distinct[i] <= site.units
    ]
    reason = "Its units compute the same and get the same gradient, at every step."
    return [Alarm("symmetric", "symmetric", tuple(same), reason)] if same else []


def saturated(case: Case) -> list[Alarm]:
    """Sites whose signal lies where a bounded activation is flat."""
    at = tuple(i for i in range(len(case.frame.sites)) if case.m.saturated[i] > SATURATED)
    share = max((_number(case.m.saturated[i]) for i in at), default=0.0)
    reason = f"Of the slopes after it up to {share:.0%} more are flat than of a unit signal."
    return [Alarm("saturated", "saturated", at, reason)] if at else []


def collapsed(case: Case) -> list[Alarm]:
    """Heads at which all examples look alike, though the inputs differ."""
    if entering(case) <= COLLAPSED:
        return []  # nothing can be told: see the notes
    at = tuple(i for i in case.frame.heads if case.m.z_share[i] < COLLAPSED and case.m.z2[i] > 0)
    share = min((float(case.m.z_share[i]) for i in at), default=1.0)
    reason = f"Only {share:.1g} of E z² varies over the examples: to the head all look alike."
    return [Alarm("collapsed", "collapsed", at, reason)] if at else []


def entering(case: Case) -> float:
    """The share that varies over the examples where data enters."""
    sites = case.frame.sites
    shares = [
        _number(case.m.z_share[i]) for i, site in enumerate(sites) if site.reads_data or site.lookup
    ]
    return max(shares, default=0.0)


def drift(case: Case, i: int) -> float:
    """ln of E x² over that of the site's roots: 0 between the smallest and the largest of them.

    In a loop the last step speaks; a state that sums its input up sets out from its first step.
    """
    site, m = case.frame.sites[i], case.m
    roots = [m.root2[r] for r in site.roots if m.root2[r] > 0]
    x = float(m.x2[i])
    if site.recurrent and site.steps > 1:
        steps = m.x_steps[i]
        x = float(steps[-1])
        if site.summed > 1:
            roots = [value for value in steps[:-1] if value > 0][:1]
            x = max(x, roots[0]) if roots else x
    if not roots or math.isnan(x):
        return 0.0
    if x == 0 or math.isinf(x):
        return math.inf if x else -math.inf
    up, down = math.log(x / max(roots)), math.log(x / min(roots))
    return up if up > 0 else min(down, 0.0)


def _limits(case: Case, i: int) -> tuple[float, float]:
    """How far ln E x² may fall and rise: Hanin's fluctuation falls by half its variance, too."""
    bound = max(math.log(BOUND), SPREADS * _sd(case, i))
    fall = bound + case.frame.spread[i] / 2 + math.log(max(case.frame.sites[i].averaged, 1.0))
    return -fall, bound


def signal(case: Case) -> list[Alarm]:
    """Drift of the signal at the sites that every path leads through."""
    frame, m = case.frame, case.m
    out = []
    for i, site in enumerate(frame.sites):
        if site.lookup or not (site.cut or site.recurrent):
            continue
        low, high = _limits(case, i)
        if not low <= (d := drift(case, i)) <= high:
            out.append((i, d))
    if not out:
        return []
    i, d = max(out, key=lambda pair: abs(pair[1]))
    roots = [m.root2[r] for r in frame.sites[i].roots if m.root2[r] > 0]
    start = f"; it set out from {max(roots):.2g}" if roots else ""
    reason = f"E x² at {frame.sites[i].name} is {m.x2[i]:.2g}{start}."
    at = tuple(j for j, other in out if (other > 0) == (d > 0))
    return [Alarm("signal", "exploding" if d > 0 else "shrinking", at, reason)]


def steepness(case: Case) -> tuple[float, float]:
    """ln of the first kernels' effect over the largest, and over the last kernels' (a quarter)."""
    frame, m = case.frame, case.m
    effects = [
        float(m.effect[i])
        for i in frame.kernels
        if frame.sites[i].kernel.name not in frame.program.stopped and m.effect[i] >= 0
    ]
    quarter = max(1, len(effects) // 4)
    if len(effects) < 2 or not max(effects[:quarter]) * max(effects[-quarter:]) > 0:
        return 0.0, 0.0
    first, last = max(effects[:quarter]), max(effects[-quarter:])
    return math.log(first / max(effects)), math.log(first / last)


def _in_time(case: Case) -> tuple[float, int]:
    """The largest ln of the gradient at a loop's first step over that at its last, and where."""
    found = [(0.0, 0)]
    for i, site in enumerate(case.frame.sites):
        if site.recurrent and site.steps > 1:
            first, last = float(case.m.g_steps[i][0]), float(case.m.g_steps[i][-1])
            if first > 0 and last > 0:
                found.append((math.log(first / last), i))
    return max(found)


def gradient(case: Case) -> list[Alarm]:
    """The effect of the first kernels against the others', and over a loop's steps."""
    frame = case.frame
    falls, rises = steepness(case)
    normalized = any(site.normalized for site in frame.sites)
    spread = SPREADS * math.sqrt(max(frame.spread, default=0.0))
    top = max(math.log(STEEP_NORMALIZED if normalized else STEEP), spread)
    quarter = tuple(frame.kernels[: max(1, len(frame.kernels) // 4)])
    if falls < -max(math.log(STEEP), spread):
        reason = f"A redraw of the first kernels does {math.exp(falls):.1g} of what others do."
        return [Alarm("gradient", "shrinking", quarter, reason)]
    if rises > top:
        reason = f"A redraw of the first kernels does {math.exp(rises):.1g} times what the last do."
        return [Alarm("gradient", "exploding", quarter, reason)]
    grown, i = _in_time(case)
    if grown > math.log(STEEP):
        reason = f"From the last step to the first the gradient grows {math.exp(grown):.1g} times."
        return [Alarm("gradient", "exploding", (i,), reason)]
    return []


WHOLE: tuple[Rule, ...] = (not_finite, inputs, first_loss)
SITES: tuple[Rule, ...] = (weights, dead, symmetric, saturated, collapsed, signal, gradient)


def alarms(case: Case) -> list[Alarm]:
    """All that is wrong: of the rules about sites, what the first one finds that finds any."""
    found = [alarm for rule in WHOLE for alarm in rule(case)]
    found += next((got for rule in SITES if (got := rule(case))), [])
    return found or outputs(case)


# ------------------------------------------------------------------ running, blaming, curing


@dataclass(frozen=True)
class Change:
    """What a cure changes, and how it is said."""

    text: str = ""
    scales: Mapping[str, float] = field(default_factory=dict)
    values: Mapping[str, Array] = field(default_factory=dict)
    inputs: float = 1.0


class Bench:
    """A subject that is run again and again, with what was learned about it."""

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self.frame = frame(subject.program)
        closed = m = subject.measure()
        for _ in range(ROUNDS):
            giving = {name for name in subject.program.factors if self._gives_way(name, m)}
            if giving <= self.frame.opened:
                break
            self.frame = replace(self.frame, opened=self.frame.opened | giving)
            m = subject.measure(opened=self.frame.opened)
        self.case = Case(self.frame, m, closed)

    def _gives_way(self, name: str, m: Measured) -> bool:
        """Whether a step opens what is 0: it has a gradient, and its inputs are not all alike."""
        weight, i = m.kernels[name], self.frame.owner.get(name)
        if not (weight.zero and weight.gradient > 0) or name in self.frame.opened:
            return name in self.frame.opened
        parents = () if i is None else self.frame.sites[i].parents
        apart = [self.frame.sites[p].units == 1 or m.distinct[p] > 1 for p in parents]
        return not apart or any(apart)

    def run(self, change: Change) -> Case:
        """What would be measured with that change."""
        opened = self.frame.opened - set(change.values)
        m = self.subject.measure(
            dict(change.scales), dict(change.values), inputs=change.inputs, opened=opened
        )
        return replace(self.case, m=m)


def suspects(case: Case) -> dict[str, float]:
    """Kernels away from their ideal, with the factor that brings each there alone."""
    frame, found = case.frame, {}
    near = min(NEAR, math.log(BOUND) / 2 / max(len(frame.kernels), 1))
    for name, i in frame.owner.items():
        site, std, ideal = frame.sites[i], float(case.m.std[i]), frame.plans[i].std
        if not (0 < std < math.inf and ideal > 0 and site.kernel.power):
            continue
        if site.head and std * math.sqrt(site.fan_in) <= HEAD * math.exp(NEAR):
            continue
        if abs(math.log(ideal / std)) > near:
            found[name] = (ideal / std) ** (1 / site.kernel.power)
    return found


def level(case: Case, key: str) -> float:
    """How bad a case is in what one rule looks at, in ln of second moments where it can be."""
    frame = case.frame
    if key == "loss":
        scale = _output(case)[0]
        high = math.log(case.m.loss / case.m.blind) if case.m.blind > 0 else 0.0
        return max(high, math.log(scale / OUTPUT) if scale > 0 else 0.0)
    if key == "gradient":
        falls, rises = steepness(case)
        return max(-falls, rises, _in_time(case)[0])
    if key == "saturated":
        return float(np.nansum(np.maximum(case.m.saturated, 0.0)))
    if key == "collapsed":
        shares = [float(case.m.z_share[i]) for i in frame.heads]
        return max((-math.log(max(share, 1e-30)) for share in shares), default=0.0)
    places = [i for i, site in enumerate(frame.sites) if site.cut or site.recurrent]
    return max((abs(drift(case, i)) for i in places), default=0.0)


# Each suspected kernel, with the factor that puts it right and the run in which it was.
Tried = dict[str, tuple[float, Case]]


def blamed(bench: Bench, key: str, tried: Tried) -> list[str]:
    """The kernels that bring the run nearer to its bounds when they are put right alone.

    Where numbers overflow, nothing can be compared, and the kernel's own factor speaks.
    """
    before = level(bench.case, key)
    bound = {"saturated": SATURATED, "loss": math.log(LOSS)}.get(key, math.log(BOUND))
    share = bound / (2 * max(len(tried), 1))
    named = []
    for name, (factor, case) in tried.items():
        if math.isfinite(before) and bench.case.m.finite:
            gained = before - level(case, key)
        else:
            gained = -2 * math.log(factor)
        if gained > share:
            named.append(name)
    return named


def scaled(bench: Bench, names: list[str], factors: Mapping[str, float]) -> Change:
    """The change that gives kernels their ideal std."""
    frame = bench.frame
    sites = [frame.owner[name] for name in names]
    ends = {frame.sites[i].summed for i in sites} - {1}
    schemes = dict.fromkeys(str(frame.plans[i]) for i in sites)
    if len(ends) == 1 and all(frame.sites[i].summed > 2 for i in sites):
        text = (
            f"divide the last kernel of each branch ({listed(tuple(names))}) by √{ends.pop() - 1}"
        )
    elif len(schemes) == 1:
        std = frame.plans[sites[0]].std
        text = f"draw {listed(tuple(names))} with {next(iter(schemes))} (std {std:.3g})"
    else:
        text = f"draw {listed(tuple(names))} at the ideal std of each"
    return Change(text, {name: factors[name] for name in names})


def changes(bench: Bench, named: list[str], factors: dict[str, float]) -> Iterator[Change]:
    """Cures to try, the smallest first."""
    frame, case = bench.frame, bench.case
    base = Change()
    if inputs(case):
        reads = [float(case.m.x2[i]) for i, site in enumerate(frame.sites) if site.reads_data]
        base = Change("standardize the inputs", inputs=math.sqrt(max(reads)))
        yield base
    heads = [name for name in factors if frame.sites[frame.owner[name]].head]
    parts = [named, list(dict.fromkeys([*named, *heads])), list(factors)]
    for k, names in enumerate(parts):
        if names and names not in parts[:k]:
            change = scaled(bench, names, factors)
            text = " and ".join(filter(None, [base.text, change.text]))
            yield replace(change, text=text, inputs=base.inputs)
    drawn = redraw.values(bench.subject, np.random.default_rng(np.random.SeedSequence(KEY)))
    values = {k: v for k, (v, _) in drawn.items() if v.any() or k not in frame.opened}
    text = " and ".join(filter(None, [base.text, "draw the model again (reinitialize)"]))
    yield Change(text, values=values, inputs=base.inputs)


def stands(before: Case, after: Case) -> bool:
    """Whether nothing is wrong after a cure, and the first loss is no worse than it may be."""
    bound = max(before.m.loss, LOSS * before.m.blind)
    return not alarms(after) and not after.m.loss > bound


def advice(case: Case, found: list[Alarm]) -> str:
    """What cures where no redraw does."""
    keys = {alarm.key for alarm in found}
    frame = case.frame
    ends = [site for site in frame.sites if site.summed > 2]
    if "loss" in keys and _output(case)[0] <= OUTPUT:
        return "standardize the targets, or start the last bias at their mean"
    if "dead" in keys and any(i in frame.heads for alarm in found for i in alarm.sites):
        return "take a leaky activation, or none, at the output"
    if "gradient" in keys or "collapsed" in keys or "saturated" in keys:
        return "normalize between the kernels, add skip connections, or take another activation"
    if "signal" in keys and ends:
        return "normalize what the branches add up to, or divide them by √n"
    if "signal" in keys or "not finite" in keys:
        return "normalize between the kernels"
    return "look at the operations between the kernels, and at the loss"


# ------------------------------------------------------------------ the report

# What training showed of each kind (SGD at its best rate of three or four, Adam at its best of two;
# digits, 300 steps).
MEANINGS = {
    "signal": "SGD needs a rate of its own for it, if one exists; Adam divides much of it away.",
    "gradient": "SGD at one rate moves some kernels and leaves the others; Adam moves all of them.",
    "collapsed": "SGD does not begin; Adam begins late, if what varies is above rounding.",
    "saturated": "Neither SGD nor Adam moves what is flat for all examples; the rest learns slowly.",
    "symmetric": "No optimizer breaks it: gradients are equal, too.",
    "dead": "No optimizer moves what gets no gradient.",
    "loss": "The first steps of SGD and of Adam go into taking the outputs back.",
    "inputs": "SGD needs a smaller rate for it by as much as E x² is large; Adam only in part.",
}


def judge(subject: Subject, cures: bool = True) -> Audit:
    """Measure a model, judge it, and look for cures that stand.

    Parameters
    ----------
    subject : the model, as a framework's module presents it; it is not changed
    cures : bool
        False skips the runs in which kernels are put right: one for each that is suspected and one
        for each cure that is tried, of which a sound model needs none.
    """
    bench = Bench(subject)
    found = alarms(bench.case)
    tried: Tried = {}
    cure, advised, named = Change(), "", list[str]()
    if found:
        key = next((a.key for a in reversed(found) if a.key in SCALES), "")
        factors = suspects(bench.case) if key else {}
        if cures:
            tried = {k: (f, bench.run(Change(scales={k: f}))) for k, f in factors.items()}
            named = blamed(bench, key, tried)
            cure, advised = _cure(bench, named, factors, found)
            named = [name for name in cure.scales if name in factors] or named
        else:
            named = [name for name, f in factors.items() if _outward(found, key, f)]
        if advised and not cure.text:
            named = []  # where no redraw helps, no kernel is to blame
    placed = [_placed(bench.frame, alarm, named) for alarm in found]
    text = cure.text or (f"no redraw cures this: {advised}" if advised else "")
    findings = tuple(
        Finding(
            alarm.verdict,
            tuple(bench.frame.sites[i].name for i in alarm.sites),
            alarm.reason,
            text,
            MEANINGS.get(alarm.key, ""),
        )
        for alarm in placed
    )
    m = bench.case.m
    return Audit(
        subject.name,
        tuple(_rows(bench, placed, tried)),
        findings,
        tuple(_notes(bench)),
        any(not np.isnan(m.z2[i]) for i in bench.frame.kernels),
        m.loss,
        m.blind,
        dict(m.input2),
    )


# Rules that a kernel's scale can answer for.
SCALES = ("signal", "gradient", "saturated", "collapsed", "loss", "not finite")


def _cure(
    bench: Bench, named: list[str], factors: dict[str, float], found: list[Alarm]
) -> tuple[Change, str]:
    """The first change that stands; without one, what else to do."""
    for change in changes(bench, named, factors):
        if stands(bench.case, bench.run(change)):
            return change, ""
    return Change(), advice(bench.case, found)


def _outward(found: list[Alarm], key: str, factor: float) -> bool:
    """Whether a kernel's own scale works in the direction of the alarm."""
    verdict = next(alarm.verdict for alarm in found if alarm.key == key)
    return factor > 1 if verdict == "shrinking" else factor < 1


def _placed(frame: Frame, alarm: Alarm, named: list[str]) -> Alarm:
    """The alarm at the kernels that did it, where some are known."""
    at = tuple(i for i, site in enumerate(frame.sites) if site.kernel.name in named)
    return replace(alarm, sites=at) if at and alarm.key in ("signal", "gradient") else alarm


def _rows(bench: Bench, placed: list[Alarm], tried: Tried) -> Iterator[Row]:
    frame, m = bench.frame, bench.case.m
    verdicts = {i: alarm.verdict for alarm in reversed(placed) for i in alarm.sites}
    last = frame.heads[-1] if frame.heads else -1
    for i, site in enumerate(frame.sites):
        name = site.kernel.name
        moved = math.nan
        if name in tried and m.z2[last] > 0 and tried[name][1].m.z2[last] > 0:
            factor, case = tried[name]
            moved = math.log(case.m.z2[last] / m.z2[last]) / math.log(factor)
        yield Row(
            name=site.name,
            verdict=verdicts.get(i, "good"),
            shape=site.kernel.shape,
            fan_in=site.fan_in,
            fan_out=site.fan_out,
            before=redraw.activation(site.before).name,
            after=redraw.activation(site.after).name,
            std=float(m.std[i]),
            ideal=frame.plans[i].std,
            scheme=str(frame.plans[i]),
            x2=float(m.x2[i]),
            z2=float(m.z2[i]),
            drift=drift(bench.case, i),
            gradient=float(m.g2[i]),
            effect=float(m.effect[i]),
            x_share=float(m.x_share[i]),
            z_share=float(m.z_share[i]),
            saturated=float(m.saturated[i]),
            dead=float(m.dead[i]),
            distinct=float(m.distinct[i]),
            units=site.units,
            elasticity=moved,
        )


def _notes(bench: Bench) -> Iterator[str]:
    """What is no fault and worth knowing; what could not be told, and why."""
    frame, case, program = bench.frame, bench.case, bench.subject.program
    waits = [
        frame.sites[i].name
        for i in frame.kernels
        if case.closed.effect[i] == 0 and case.m.effect[i] > 0
    ]
    if waits and frame.opened:
        zeros = listed(tuple(sorted(frame.opened)))
        yield f"{listed(tuple(waits))} waits one step: {zeros} starts at 0 and opens with the first."
    if program.stopped:
        yield f"{listed(program.stopped)}: no gradient comes back, because the model stops it."
    if program.unused:
        yield f"{listed(program.unused)}: no place was found that uses it; it is not judged."
    for group in _clones(bench):
        yield f"{listed(group)} start with the same values. {CLONES}"
    if not frame.kernels:
        yield "Cannot tell anything: no place was found where data meets a kernel."
    elif math.isnan(entering(case)) or entering(case) <= COLLAPSED:
        yield (
            "Cannot tell whether examples come to look alike: those that were given hardly differ, "
            "or there is only one."
        )
    empty = [s.name for i, s in enumerate(frame.sites) if s.reads_data and case.m.x2[i] == 0]
    if empty:
        yield f"Cannot tell what {listed(tuple(empty))} does: all that it reads is 0."
    yield from program.notes


CLONES = "Their gradients differ, so that they part with the first step."


def _clones(bench: Bench) -> Iterator[tuple[str, ...]]:
    """Kernels of one shape that hold the same values."""
    groups: dict[tuple[tuple[int, ...], float], list[str]] = {}
    for name, i in bench.frame.owner.items():
        weight = bench.case.closed.kernels[name]
        if weight.std > 0:
            groups.setdefault((bench.frame.sites[i].kernel.shape, weight.std), []).append(name)
    for names in groups.values():
        equal: dict[bytes, list[str]] = {}
        for name in names if len(names) > 1 else ():
            equal.setdefault(bench.subject.value(name).tobytes(), []).append(name)
        yield from (tuple(same) for same in equal.values() if len(same) > 1)
