"""Verdict, cause and cure, from measurements alone: no framework, no layer's or operation's name.

Rules look at one run in this order: not finite, inputs, first loss; then dead, symmetric,
saturated, collapsed, signal, gradient, of which the first that finds something speaks, since what
follows is mostly its consequence. A kernel is blamed if putting it right alone, at the std that
`winit.redraw` would draw, brings the run nearer to its bounds. A cure is printed only if no rule
objects to the run that it makes.
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
from winit.report import Audit, Finding, Row, listed

Array = NDArray[np.floating[Any]]

# Second moments, against where the signal set out: ten in rms, which one learning rate can bridge.
BOUND = 100.0
# One draw of a good scheme moves ln E x² by sd = √(Σ 5 / units) (Hanin 2018: 5 for ReLU, the most
# of all activations here): never an alarm within this many of them.
SPREADS = 4.0
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
INPUTS = (1 / BOUND**2, BOUND)
# Four times what knowing nothing costs: logits of rms 5 to 7, for 2 to 50,000 classes.
LOSS = 4.0
# Where there is no loss: outputs of rms 5, which cost that in cross entropy over ten classes.
OUTPUT = 25.0
# Share of flat slopes beyond that of a unit normal signal; good schemes stay below 0.05.
SATURATED = 0.25
# Share of a site's units to which no gradient comes back, before the site is called dead.
MOSTLY = 0.95
# A kernel nearer to its ideal, in ln of the std, is not suspected (nearer still where there are
# many); a head only above He's gain, since small heads are good ones.
NEAR, HEAD = 0.2, math.sqrt(2)
ROUNDS = 4  # steps after which what starts at 0 must have given way
KEY = (0x77696E6974, 0x6A756467)  # of the judge's own draws, which no seed of a user's starts


# ------------------------------------------------------------------ what the rules look at


@dataclass(frozen=True)
class Case:
    """One run, and what the rules know of the model.

    `spread` is the variance of ln E x² at a site over good draws, `owner` the site that answers for
    a kernel, `opened` the zeros that gave way, `closed` the run before they did; `full2` is E x² of
    normalizers' results when much larger values come in.
    """

    program: Program
    plans: list[redraw.Plan]
    spread: list[float]
    owner: Mapping[str, int]
    m: Measured
    closed: Measured
    full2: Array
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

    def limit(self, i: int, bound: float) -> float:
        """ln of a bound at a site, or what good draws differ by where that is more."""
        return max(math.log(bound), SPREADS * math.sqrt(self.spread[i]))

    def entering(self) -> float:
        """The share that varies over the examples where data enters."""
        at = [i for i, site in enumerate(self.sites) if site.reads_data or site.lookup]
        return max((float(np.nan_to_num(self.m.z_share[i])) for i in at), default=0.0)


def start(subject: Subject) -> Case:
    """The model as it is, once what starts at 0 has given way."""
    program, spread, owner = subject.program, list[float](), dict[str, int]()
    for i, site in enumerate(program.sites):
        inside = [p for p in site.parents if p < i and redraw.together(program, p, i)]
        own = [5 / program.sites[p].units * (not program.sites[p].lookup) for p in inside]
        spread.append(max((spread[p] + v for p, v in zip(inside, own, strict=True)), default=0.0))
    for i in redraw.first_places(program):
        owner.setdefault(program.sites[i].kernel.name, i)
    m = subject.measure()
    case = Case(program, redraw.plan(program), spread, owner, m, m, np.full(len(m.root2), np.nan))
    for _ in range(ROUNDS):
        opened = case.opened | {name for name in program.factors if _gives_way(case, name)}
        if opened == case.opened:
            break
        case = replace(case, opened=opened, m=subject.measure(opened=opened))
    low = [root for root, x2 in zip(program.roots, case.m.root2, strict=True) if x2 < 1 / BOUND]
    parents = {p for root in low if root.kind == "normalizer" for p in root.parents}
    if not parents:
        return case
    scales = {program.sites[p].kernel.name: 1e3 for p in parents}
    return replace(case, full2=subject.measure(scales, opened=case.opened).root2)


def _gives_way(case: Case, name: str) -> bool:
    """Whether a step opens what is 0: it has a gradient, and what it reads is not all alike."""
    weight, i = case.m.kernels[name], case.owner.get(name)
    parents = () if i is None else case.sites[i].parents
    apart = [case.sites[p].units == 1 or case.m.distinct[p] > 1 for p in parents]
    return weight.zero and weight.gradient > 0 and (not apart or any(apart))


@dataclass(frozen=True)
class Alarm:
    """What a rule found at some sites; at none of them where it is about the whole."""

    key: str
    verdict: str
    sites: tuple[int, ...]
    reason: str


# ------------------------------------------------------------------ rules about the whole


def not_finite(case: Case) -> list[Alarm]:
    """Weights, outputs, loss or gradients that are not numbers."""
    if case.m.finite:
        return []
    bad = tuple(i for i, std in enumerate(case.m.std) if not math.isfinite(std))
    first = next((i for i, z2 in enumerate(case.m.z2) if math.isinf(z2)), None)
    where = "the loss or a gradient" if first is None else f"what {case.sites[first].name} gives"
    found = [Alarm("finite", "not finite", (), f"It begins with {where}.")]
    return found + ([Alarm("weights", "exploding", bad, "Its weights are.")] if bad else [])


def inputs(case: Case) -> list[Alarm]:
    """Data far from unit scale where a kernel reads it and nothing normalizes the result."""
    for i, site in enumerate(case.sites):
        raw = all(case.program.roots[r].kind == "input" for r in site.roots)
        reads = site.reads_data and raw and not (site.lookup or site.normalized)
        if reads and case.m.x2[i] > 0 and not INPUTS[0] <= case.m.x2[i] <= INPUTS[1]:
            reason = f"E x² of what {site.name} reads is {case.m.x2[i]:.2g}, where 1 is usual."
            return [Alarm("inputs", "inputs unscaled", (), reason)]
    return []


def first_loss(case: Case) -> list[Alarm]:
    """A first loss far above that of a network that knows nothing."""
    m = case.m
    reason = f"It is {m.loss:.3g}, where knowing nothing costs {m.blind:.3g}."
    high = m.loss > LOSS * m.blind > 0
    return [Alarm("loss", "first loss far too high", (), reason)] if high else []


def outputs(case: Case) -> list[Alarm]:
    """Where no loss is given: outputs for which one would be far too high."""
    scale, i = max(((case.m.z2[i], i) for i in case.heads), default=(0.0, 0))
    reason = f"{case.sites[i].name if case.sites else ''} gives outputs of E z² {scale:.2g}."
    high = math.isnan(case.m.loss) and scale > math.exp(case.limit(i, OUTPUT))
    return [Alarm("loss", "first loss far too high", (), reason)] if high else []


# ------------------------------------------------------------------ rules about sites


def dead(case: Case) -> list[Alarm]:
    """Sites that no signal or no gradient passes, also after what starts at 0 gave way."""
    m, found = case.m, dict[str, list[int]]()
    for i, site in enumerate(case.sites):
        name = site.kernel.name
        zero = m.kernels[name].zero and name not in case.opened and not m.effect[i] > 0
        if m.x2[i] == 0 and site.reads_data:
            continue  # the given inputs are 0: see the notes
        if zero:
            found.setdefault("Its weights are 0, and no gradient moves them.", []).append(i)
        elif m.z2[i] == 0:
            found.setdefault("No signal passes.", []).append(i)
        elif m.dead[i] >= MOSTLY and name not in case.program.stopped:
            reason = "No gradient comes back to its units, for any example."
            found.setdefault(reason, []).append(i)
    return [Alarm("dead", "dead", tuple(at), reason) for reason, at in found.items()]


def symmetric(case: Case) -> list[Alarm]:
    """Sites of which half of the units or more are copies, in signal and gradient."""
    m, sites = case.m, enumerate(case.sites)
    at = tuple(i for i, s in sites if s.units > 1 and m.z2[i] > 0 and 2 * m.distinct[i] <= s.units)
    reason = "Its units compute the same and get the same gradient, at every step."
    return [Alarm("symmetric", "symmetric", at, reason)] if at and m.finite else []


def saturated(case: Case) -> list[Alarm]:
    """Sites whose signal lies where a bounded activation is flat."""
    at = tuple(i for i, share in enumerate(case.m.saturated) if share > SATURATED)
    share = max((float(case.m.saturated[i]) for i in at), default=0.0)
    reason = f"Up to {share:.0%} more of the slopes after it are flat than with a unit signal."
    return [Alarm("saturated", "saturated", at, reason)] if at else []


def collapsed(case: Case) -> list[Alarm]:
    """Heads at which all examples look alike, though the inputs differ."""
    m = case.m
    at = tuple(i for i in case.heads if m.z_share[i] < COLLAPSED and m.z2[i] > 0)
    share = min((float(m.z_share[i]) for i in at), default=1.0)
    reason = f"Only {share:.1g} of its E z² varies over the examples: all look alike to it."
    told = at and case.entering() > COLLAPSED
    return [Alarm("collapsed", "collapsed", at, reason)] if told else []


def drift(case: Case, i: int) -> float:
    """ln of E x² over that of the site's roots: 0 between the smallest and the largest of them.

    In a loop the last step speaks; a state that sums its input up sets out from its first step.
    """
    site, m = case.sites[i], case.m
    kept = [r for r in site.roots if case.program.roots[r].kind != "softmax"]
    x, roots = float(m.x2[i]), [m.root2[r] for r in kept if 0 < m.root2[r] < math.inf]
    if site.recurrent and site.steps > 1:
        x = float(m.x_steps[i][-1])
        if site.summed > 1:
            roots = [value for value in m.x_steps[i][:-1] if value > 0][:1]
            x = max([x, *roots])
    if not roots or math.isnan(x):
        return 0.0
    with np.errstate(divide="ignore"):
        up, down = np.log(x / np.array([max(roots), min(roots)]))
    return float(up if up > 0 else min(down, 0.0))


def starved(case: Case) -> list[Alarm]:
    """Sites whose result is lost in what a normalizer adds to its divisor."""
    low = [r for r in range(len(case.full2)) if case.full2[r] > BOUND * case.m.root2[r]]
    at = tuple(sorted({p for r in low for p in case.program.roots[r].parents}))
    reason = "What it gives is far below the number that the normalizer after it adds."
    return [Alarm("starved", "shrinking", at, reason)] if at else []


def signal(case: Case) -> list[Alarm]:
    """Drift of the signal where every path leads through; a mean over n may lose n by nature."""
    out = []
    for i, site in enumerate(case.sites):
        high, d = case.limit(i, BOUND), drift(case, i)
        low = high + case.spread[i] / 2 + math.log(max(site.averaged, 1.0))
        if (site.cut or site.recurrent) and not site.lookup and not -low <= d <= high:
            out.append((i, d))
    if not out:
        return []
    i, d = max(out, key=lambda pair: abs(pair[1]))
    reason = f"E x² at {case.sites[i].name} is {case.m.x2[i]:.2g}, by ln {d:.1f} off its start."
    at = tuple(j for j, other in out if (other > 0) == (d > 0))
    return [Alarm("signal", "exploding" if d > 0 else "shrinking", at, reason)]


def steepness(case: Case) -> tuple[float, float, float]:
    """What the gradient does, as ln: falls, rises, and grows in time.

    The largest effect of the first quarter of kernels over the largest of all, and over that of the
    last quarter; the gradient at a loop's first step over that at its last.
    """
    stopped = case.program.stopped
    flows = [i for i in case.kernels if case.sites[i].kernel.name not in stopped]
    told = [float(case.m.effect[i]) for i in flows if case.m.effect[i] >= 0]
    n = max(1, len(told) // 4)
    first, last = (max(part, default=0.0) for part in (told[:n], told[-n:]))
    loops = [case.m.g_steps[i] for i, s in enumerate(case.sites) if s.recurrent and s.steps > 1]
    grown = max((math.log(g[0] / g[-1]) for g in loops if g[0] > 0 and g[-1] > 0), default=0.0)
    if len(told) < 2 or not first * last > 0:
        return 0.0, 0.0, grown
    return math.log(first / max(told)), math.log(first / last), grown


def gradient(case: Case) -> list[Alarm]:
    """The effect of the first kernels against the others', and the gradient over a loop's steps."""
    falls, rises, grown = steepness(case)
    normalized = any(site.normalized for site in case.sites)
    spread = SPREADS * math.sqrt(max(case.spread, default=0.0))
    top = STEEP_NORMALIZED if normalized else STEEP
    first = tuple(case.kernels[: max(1, len(case.kernels) // 4)])
    loops = tuple(i for i, s in enumerate(case.sites) if s.recurrent and s.steps > 1)
    found = (
        ("shrinking", first, -falls, STEEP, "Redrawing it does 1/{:.1g} of what others do."),
        ("exploding", first, rises, top, "Redrawing it does {:.1g} times what the last do."),
        ("exploding", loops, grown, STEEP, "From last step to first the gradient grows {:.1g}×."),
    )
    return [
        Alarm("gradient", verdict, at, text.format(math.exp(size)))
        for verdict, at, size, bound, text in found
        if size > max(math.log(bound), spread)
    ][:1]


Rule = Callable[[Case], list[Alarm]]
WHOLE: tuple[Rule, ...] = (not_finite, inputs, first_loss)
SITES: tuple[Rule, ...] = (dead, symmetric, saturated, collapsed, starved, signal, gradient)


def alarms(case: Case) -> list[Alarm]:
    """All that is wrong: of the rules about sites, what the first one finds that finds any."""
    found = [alarm for rule in WHOLE for alarm in rule(case)]
    found += next((got for rule in SITES if (got := rule(case))), [])
    return found or outputs(case)


# ------------------------------------------------------------------ blame and cure


@dataclass(frozen=True)
class Change:
    """What a cure changes, and how it is said."""

    text: str = ""
    scales: Mapping[str, float] = field(default_factory=dict)
    values: Mapping[str, Array] = field(default_factory=dict)
    inputs: float = 1.0

    def run(self, subject: Subject, case: Case) -> Case:
        """What would be measured with it."""
        opened = case.opened - set(self.values)
        m = subject.measure(
            self.scales, self.values, standardized=self.inputs != 1.0, opened=opened
        )
        return replace(case, m=m)


def suspects(case: Case) -> dict[str, float]:
    """Kernels away from their ideal, with the factor that brings each there."""
    found = {}
    near = min(NEAR, math.log(BOUND) / 2 / max(len(case.kernels), 1))
    for name, i in case.owner.items():
        site, std, ideal = case.sites[i], float(case.m.std[i]), case.plans[i].std
        small = site.head and std * math.sqrt(site.fan_in) <= HEAD * math.exp(NEAR)
        scales = 0 < std < math.inf and ideal > 0 and site.kernel.power and not small
        if scales and abs(math.log(ideal / std)) > near:
            found[name] = (ideal / std) ** (1 / site.kernel.power)
    return found


def level(case: Case, key: str) -> float:
    """How far a run is from where it should be, as one rule sees it."""
    m = case.m
    if key == "loss":
        high = m.loss / m.blind if m.blind > 0 else max(m.z2[i] for i in case.heads) / OUTPUT
        return math.log(high) if high > 0 else 0.0
    if key == "gradient":
        falls, rises, grown = steepness(case)
        return max(-falls, rises, grown)
    if key == "starved":
        return float(np.nan_to_num(np.log(case.full2 / m.root2)).max())
    if key == "saturated":
        return float(np.nansum(np.maximum(m.saturated, 0.0)))
    if key == "collapsed":
        return -math.log(max(min(float(m.z_share[i]) for i in case.heads), 1e-30))
    at = [i for i, site in enumerate(case.sites) if site.cut or site.recurrent]
    return max((abs(drift(case, i)) for i in at), default=0.0)


Tried = Mapping[str, Case]


def blamed(case: Case, alarm: Alarm, factors: Mapping[str, float], tried: Tried) -> list[str]:
    """The kernels that bring the run nearer to its bounds when they are put right alone.

    Where they were not tried, or numbers overflow, a kernel's own factor speaks.
    """
    before = level(case, alarm.key)
    bound = {"saturated": SATURATED, "loss": math.log(LOSS)}.get(alarm.key, math.log(BOUND))
    named = []
    for name, factor in factors.items():
        gained = 2 * math.log(factor) * (1 if alarm.verdict == "shrinking" else -1)
        if name in tried and case.m.finite:
            gained = before - level(tried[name], alarm.key)
        if gained > bound / (2 * len(factors)):
            named.append(name)
    return named


def scaled(case: Case, names: list[str], factors: Mapping[str, float], base: Change) -> Change:
    """The change that gives kernels their ideal std."""
    at = [case.owner[name] for name in names]
    schemes = list(dict.fromkeys(str(case.plans[i]) for i in at))
    ends = min(case.sites[i].summed for i in at)
    who = listed(tuple(names))
    text = f"draw {who} at the ideal std of each"
    if ends > 2:
        text = f"divide the last kernel of each branch ({who}) by √{ends - 1}"
    elif len(schemes) == 1:
        text = f"draw {who} with {schemes[0]} (std {case.plans[at[0]].std:.3g})"
    text = " and ".join(filter(None, [base.text, text]))
    return replace(base, text=text, scales={name: factors[name] for name in names})


def changes(
    subject: Subject, case: Case, named: list[str], factors: Mapping[str, float]
) -> Iterator[Change]:
    """Cures to try, the smallest first."""
    base = Change()
    if inputs(case):
        reads = [float(case.m.x2[i]) for i, site in enumerate(case.sites) if site.reads_data]
        base = Change("standardize the inputs", inputs=math.sqrt(max(reads)))
        yield base
    heads = [name for name in factors if case.sites[case.owner[name]].head]
    parts = [named, list(dict.fromkeys([*named, *heads])), list(factors)]
    for k, names in enumerate(parts):
        if names and names not in parts[:k]:
            yield scaled(case, names, factors, base)
    drawn = redraw.values(subject, np.random.default_rng(np.random.SeedSequence(KEY)))
    values = {k: v for k, (v, _) in drawn.items() if v.any() or k not in case.opened}
    text = " and ".join(filter(None, [base.text, "draw the whole model again (reinitialize)"]))
    yield replace(base, text=text, values=values)


def advice(case: Case, found: list[Alarm]) -> str:
    """What cures where no redraw does."""
    keys = {alarm.key for alarm in found}
    if "loss" in keys and not outputs(replace(case, m=replace(case.m, loss=math.nan))):
        return "standardize the targets, or start the last bias at their mean"
    if "dead" in keys and any(i in case.heads for alarm in found for i in alarm.sites):
        return "take a leaky activation, or none, at the output"
    if keys & {"gradient", "collapsed", "saturated"}:
        return "normalize between the kernels, add skip connections, or take another activation"
    if keys & {"signal", "finite"}:
        return "normalize between the kernels, or divide sums of n by √n"
    return "look at the operations between the kernels, and at the loss"


# ------------------------------------------------------------------ the report

MEANINGS = {
    "signal": "SGD needs a rate of its own for it, if one exists; Adam divides much of it away.",
    "gradient": "SGD at one rate moves some kernels and leaves the others; Adam moves all of them.",
    "collapsed": "SGD does not begin; Adam begins late, if what varies is above rounding.",
    "saturated": "Neither SGD nor Adam moves what is flat for every example.",
    "symmetric": "No optimizer breaks it: the gradients are equal, too.",
    "dead": "No optimizer moves what gets no gradient.",
    "loss": "The first steps of SGD and of Adam go into taking the outputs back.",
    "inputs": "SGD needs a rate smaller by as much as E x² is large; Adam makes up for a part.",
}
# Rules that a kernel's scale can answer for.
SCALES = ("loss", "finite", "saturated", "collapsed", "starved", "signal", "gradient")
BLAMED = ("starved", "signal", "gradient")  # whose verdict stands at the kernels that did it


def judge(subject: Subject, cures: bool = True) -> Audit:
    """Measure a model, judge it, and look for a cure that stands. The model is not changed.

    Without `cures` no kernel is put right and run again: one run for each that is suspected, one
    for each cure that is tried. A sound model needs none.
    """
    case = start(subject)
    found = alarms(case)
    main = next((alarm for alarm in reversed(found) if alarm.key in SCALES), None)
    factors = suspects(case) if main else {}
    tried: Tried = {}
    if cures:
        tried = {name: Change(scales={name: f}).run(subject, case) for name, f in factors.items()}
    named = blamed(case, main, factors, tried) if main else []
    text = ""
    if found and cures:
        text, named = _cure(subject, case, found, named, factors)
    at = tuple(i for i, site in enumerate(case.sites) if site.kernel.name in named)
    placed = [replace(a, sites=at) if at and a.key in BLAMED else a for a in found]
    findings = [
        Finding(
            alarm.verdict,
            tuple(case.sites[i].name for i in alarm.sites),
            alarm.reason,
            text,
            MEANINGS.get(alarm.key, ""),
        )
        for alarm in placed
    ]
    m, verdicts = case.m, {i: alarm.verdict for alarm in reversed(placed) for i in alarm.sites}
    return Audit(
        subject.name,
        tuple(_row(case, i, verdicts, factors, tried) for i in range(len(case.sites))),
        tuple(findings),
        tuple(_notes(subject, case)),
        any(not np.isnan(m.z2[i]) for i in case.kernels),
        m.loss,
        m.blind,
        dict(m.input2),
    )


def _cure(
    subject: Subject,
    case: Case,
    found: list[Alarm],
    named: list[str],
    factors: Mapping[str, float],
) -> tuple[str, list[str]]:
    """The first change after which nothing is wrong, and the kernels that are to blame."""
    for change in changes(subject, case, named, factors):
        after = change.run(subject, case)
        if not alarms(after) and not after.m.loss > max(case.m.loss, LOSS * case.m.blind):
            return change.text, list(change.scales) or named
    return f"no redraw cures this: {advice(case, found)}", []


def _row(
    case: Case, i: int, verdicts: Mapping[int, str], factors: Mapping[str, float], tried: Tried
) -> Row:
    site, m, own = case.sites[i], case.m, case.plans[i]
    elasticity, name = math.nan, site.kernel.name
    if name in tried and case.heads:
        before, after = m.z2[case.heads[-1]], tried[name].m.z2[case.heads[-1]]
        if 0 < before < math.inf and 0 < after < math.inf:
            elasticity = math.log(after / before) / math.log(factors[name])
    measured = ("x2", "z2", "g2", "std", "effect", "x_share", "z_share", "saturated", "dead")
    return Row(
        name=site.name,
        verdict=verdicts.get(i, "good"),
        shape=site.kernel.shape,
        fan_in=site.fan_in,
        fan_out=site.fan_out,
        before=redraw.activation(site.before).name,
        after=redraw.activation(site.after).name,
        ideal=own.std,
        scheme=str(own),
        drift=drift(case, i),
        units=site.units,
        elasticity=elasticity,
        **{key: float(getattr(m, key)[i]) for key in (*measured, "distinct")},
    )


def _notes(subject: Subject, case: Case) -> Iterator[str]:
    """What is no fault and worth knowing; what could not be told, and why."""
    program, m, sites = case.program, case.m, case.sites
    waits = [sites[i].name for i in case.kernels if case.closed.effect[i] == 0 < m.effect[i]]
    if waits:
        zeros = listed(tuple(sorted(case.opened)))
        yield f"{listed(tuple(waits))}: waits one step, until {zeros} is no longer 0."
    if program.stopped:
        yield f"{listed(program.stopped)}: no gradient comes back, because the model stops it."
    if program.unused:
        yield f"{listed(program.unused)}: no place was found that uses it, so it is not judged."
    equal: dict[tuple[float, bytes], list[str]] = {}
    for name, i in case.owner.items():
        std = case.closed.kernels[name].std
        if std > 0 and [case.closed.kernels[k].std for k in case.owner].count(std) > 1:
            key = (sites[i].kernel.shape[0] + std, subject.value(name).tobytes())
            equal.setdefault(key, []).append(name)
    for same in equal.values():
        if len(same) > 1:
            yield f"{listed(tuple(same))}: start equal; their gradients differ, and they part."
    if not case.kernels:
        yield "Cannot tell anything: no place was found where data meets a kernel."
    elif not case.entering() > COLLAPSED:
        yield "Cannot tell whether examples come to look alike: the given ones hardly differ."
    empty = [site.name for i, site in enumerate(sites) if site.reads_data and m.x2[i] == 0]
    if empty:
        yield f"Cannot tell what {listed(tuple(empty))} does: all that it reads is 0."
    yield from program.notes
