"""Verdict, cause and cure, from measurements alone: no framework, no layer's or operation's name.

`RULES` is the table of all that can be wrong, in the order in which one hides the next: the first
rule that finds something speaks. A kernel is blamed if putting it right alone, at the std that
`winit.redraw` would draw, brings the run nearer to the rule's bound. A cure is printed only if no
rule objects to the run that it makes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace

import numpy as np

from winit import redraw
from winit.program import Measured, Program, Site, Subject
from winit.redraw import Array
from winit.report import Audit, Finding, Row, listed

# Second moments, against where the signal set out: ten in rms, which one learning rate can bridge.
BOUND = 100.0
# One draw of a good scheme moves ln E x² by sd = √(Σ 5 / units) (Hanin 2018: 5 for ReLU, the most
# of all activations here): never an alarm within this many of them.
SPREADS, HANIN = 4.0, 5.0
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
# Four times what knowing nothing costs: logits of rms 5 to 7, for 2 to 50,000 classes.
LOSS = 4.0
# Where there is no loss: outputs of rms 5, which cost that in cross entropy over ten classes.
OUTPUT = 25.0
# Share of flat slopes beyond that of a unit normal signal. The critical gain of deep sigmoids, 10,
# flattens 0.7 and trains; the next one that is good, 6.5 for ten layers, one half.
SATURATED = 0.75
# Share of a site's units to which no gradient comes back, before the site is called dead.
MOSTLY = 0.95
# Share of a site's units that differ: at this or less the site is called symmetric.
ALIKE = 0.5
# A kernel nearer to its ideal, in ln of the std, is not suspected (nearer still where there are
# many); a head only above He's gain, since small heads are good ones.
NEAR, HEAD = 0.2, math.sqrt(2)
ROUNDS, OPENED = (
    4,
    0.02,
)  # steps in which zeros must give way, and the std of what takes their place
KEY = (0x77696E6974, 0x6A756467)  # of the judge's own draws, which no seed of a user's starts


# ------------------------------------------------------------------ what the rules look at


@dataclass(frozen=True)
class Case:
    """One run, and what the rules know of the model.

    `chance` is how far a good draw may take ln E x² at a site, `owner` the site that answers for a
    kernel, `opened` what took the place of zeros, `closed` the run before.
    """

    program: Program
    plans: list[redraw.Plan]
    chance: list[float]
    owner: Mapping[str, int]
    m: Measured
    closed: Measured
    opened: Mapping[str, Array] = field(default_factory=dict)

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

    @property
    def varied(self) -> bool:
        """Whether the examples differ where they enter."""
        at = [i for i, site in enumerate(self.sites) if site.reads_data or site.lookup]
        return any(self.m.z_share[i] > COLLAPSED for i in at)


def start(subject: Subject) -> Case:
    """The model as it is, once what starts at 0 has given way."""
    program, spread, owner = subject.program, list[float](), dict[str, int]()
    for i, site in enumerate(program.sites):
        inside = [p for p in site.parents if p < i and redraw.together(program, p, i)]
        own = [0 if program.sites[p].lookup else HANIN / program.sites[p].units for p in inside]
        spread.append(max((spread[p] + v for p, v in zip(inside, own, strict=True)), default=0.0))
    for i in redraw.first_places(program):
        owner.setdefault(program.sites[i].kernel.name, i)
    m, chance = subject.measure(), [SPREADS * math.sqrt(v) for v in spread]
    case = Case(program, redraw.plan(program), chance, owner, m, m)
    for _ in range(ROUNDS):
        weights = {name: case.m.kernels[name] for name in program.factors}
        give = [name for name, weight in weights.items() if weight.zero and weight.gradient > 0]
        if not give:
            break
        opened = dict(case.opened) | {name: _opening(case, name, subject) for name in give}
        case = replace(case, opened=opened, m=subject.measure(values=opened))
    return case


def _opening(case: Case, name: str, subject: Subject) -> Array:
    """Noise in place of zeros, the same for inputs and for units that nothing tells apart."""
    rng = np.random.default_rng(np.random.SeedSequence([*KEY, *name.encode()]))
    value, i = OPENED * rng.standard_normal(subject.parameters[name]), case.owner.get(name)
    if i is None or (index := case.sites[i].kernel.index) is None:
        return value
    at, alike = (
        index(),
        [m == 1 < s.units for m, s in zip(case.m.distinct, case.sites, strict=True)],
    )
    noise, parents = value.reshape(-1)[at], case.sites[i].parents
    noise = noise[:, :1] if alike[i] else noise
    noise = noise[:, :, :1] if parents and all(alike[p] for p in parents) else noise
    value.reshape(-1)[at] = np.broadcast_to(noise, at.shape)
    return value


# ------------------------------------------------------------------ the rules


@dataclass(frozen=True)
class Sign:
    """How far something is beyond its bound (an alarm above 0), and at which site if at one."""

    excess: float
    verdict: str
    reason: str
    site: int | None = None


Signs = Iterator[Sign]


def not_finite(case: Case) -> Signs:
    """Weights, outputs, loss or gradients that are not numbers."""
    bad = [i for i, std in enumerate(case.m.std) if not math.isfinite(std)]
    bad = bad or [i for i, z2 in enumerate(case.m.z2) if math.isinf(z2)][:1]
    for i in [] if case.m.finite else bad or [None]:
        yield Sign(math.inf, "exploding", "Weights, outputs, loss or gradients are not finite.", i)


def inputs(case: Case) -> Signs:
    """Data far from unit scale where a kernel reads it and nothing normalizes the result."""
    for i, site in enumerate(case.sites):
        raw = all(case.program.roots[r].kind == "input" for r in site.roots)
        kept = site.reads_data and not (site.parents or site.lookup or site.normalized)
        if raw and kept and (x2 := float(case.m.x2[i])) > 0:
            reason = f"E x² of what {site.name} reads is {x2:.2g}, where 1 is usual."
            yield Sign(math.log(max(LOW / x2, x2 / HIGH)), "inputs unscaled", reason)


def dead(case: Case) -> Signs:
    """Sites that no signal or no gradient passes, also after what starts at 0 gave way."""
    m = case.m
    for i, site in enumerate(case.sites):
        given = site.reads_data and m.x2[i] == 0  # which is said in the notes
        stopped = site.kernel.name in case.program.stopped
        if m.z2[i] == 0 and not given:
            yield Sign(1 - MOSTLY, "dead", "No signal passes.", i)
        elif not given and not stopped:
            share = 1.0 if m.g2[i] == 0 else float(m.dead[i])
            yield Sign(share - MOSTLY, "dead", "No gradient comes back, for any example.", i)


def symmetric(case: Case) -> Signs:
    """Sites of which half of the units or more are copies, in signal and gradient."""
    reason = "Its units compute the same and get the same gradient, at every step."
    for i, site in enumerate(case.sites):
        if site.units > 1 and case.m.z2[i] > 0 and case.m.distinct[i] <= ALIKE * site.units:
            yield Sign(1.0, "symmetric", reason, i)


def saturated(case: Case) -> Signs:
    """Sites whose signal lies where a bounded activation is flat."""
    for i, share in enumerate(case.m.saturated):
        reason = f"{share:.0%} more of the slopes after it are flat than with a unit signal."
        yield Sign(share - SATURATED, "saturated", reason, i)


def collapsed(case: Case) -> Signs:
    """Heads at which all examples look alike, though the inputs differ."""
    for i in case.heads if case.varied else ():
        share = float(case.m.z_share[i])
        reason = f"Only {share:.1g} of its E z² varies over the examples: all look alike to it."
        if case.m.z2[i] > 0:
            yield Sign(math.log(COLLAPSED / max(share, 1e-30)), "collapsed", reason, i)


def drift(case: Case, i: int) -> float:
    """ln of E x² over that of the site's roots: 0 between the smallest and the largest of them.

    Data sets out where the first kernels read it. In a loop the last step speaks; a state that sums
    its input up sets out from its first step.
    """
    site, m, x, roots = case.sites[i], case.m, float(case.m.x2[i]), list[float]()
    first = [j for j, s in enumerate(case.sites) if s.reads_data and not s.parents]
    for r in site.roots:
        reads = [float(m.x2[j]) for j in first if case.sites[j].roots == (r,)]
        kind = case.program.roots[r].kind
        roots += reads if kind == "input" and reads else [float(m.root2[r])] * (kind != "softmax")
    if site.recurrent and site.steps > 1:
        x = float(m.x_steps[i][-1])
        if site.summed > 1:
            roots = [value for value in m.x_steps[i][:-1] if value > 0][:1]
            x = max([x, *roots])
    roots = [root for root in roots if 0 < root < math.inf]
    if not roots or math.isnan(x):
        return 0.0
    up, down = (math.log(max(x, 1e-300) / root) for root in (max(roots), min(roots)))
    return max(up, 0.0) + min(down, 0.0)


def signal(case: Case) -> Signs:
    """Drift of the signal where every path leads through; a mean over n may lose n by nature."""
    for i, site in enumerate(case.sites):
        if (site.cut or site.recurrent) and not site.lookup:
            d, bound = drift(case, i), max(math.log(BOUND), case.chance[i])
            reason = f"E x² there is {case.m.x2[i]:.2g}, by ln {d:.1f} off its start."
            yield Sign(d - bound, "exploding", reason, i)
            bound += (case.chance[i] / SPREADS) ** 2 / 2 + math.log(max(site.averaged, 1.0))
            yield Sign(-d - bound, "shrinking", reason, i)


def first_loss(case: Case) -> Signs:
    """A first loss far above that of a network that knows nothing, or outputs that promise one."""
    m = case.m
    if m.loss > 0 and m.blind > 0:
        reason = f"It is {m.loss:.3g}, where knowing nothing costs {m.blind:.3g}."
        yield Sign(math.log(m.loss / m.blind / LOSS), "first loss far too high", reason)
    for i in case.heads if math.isnan(m.loss) else ():
        reason = f"{case.sites[i].name} gives outputs of E z² {m.z2[i]:.2g}."
        excess = math.log(max(m.z2[i], 1e-300)) - max(math.log(OUTPUT), case.chance[i])
        yield Sign(excess, "first loss far too high", reason)


def gradient(case: Case) -> Signs:
    """The effect of the first kernels against the others'."""
    flows = [i for i in case.kernels if case.sites[i].kernel.name not in case.program.stopped]
    told = [float(case.m.effect[i]) for i in flows if case.m.effect[i] >= 0]
    n, chance = max(1, len(told) // 4), max(case.chance, default=0.0)
    first, last = (max(part, default=0.0) for part in (told[:n], told[-n:]))
    if first * last > 0:
        top = STEEP_NORMALIZED if any(site.normalized for site in case.sites) else STEEP
        falls, rises = math.log(max(told) / first), math.log(first / last)
        for i in flows[:n]:
            reason = f"Redrawing it does {math.exp(-falls):.1g} of what redrawing others does."
            yield Sign(falls - max(math.log(STEEP), chance), "shrinking", reason, i)
            reason = f"Redrawing it does {math.exp(rises):.1g} times what the last kernels do."
            yield Sign(rises - max(math.log(top), chance), "exploding", reason, i)


@dataclass(frozen=True)
class Rule:
    """What can be wrong, what it means for training, and what cures it where no redraw does.

    `scaled`: a kernel's scale can answer for it; `moved`: the verdict stands at those that did it;
    `summed`: each site is its own matter.
    """

    find: Callable[[Case], Signs]
    meaning: str
    advice: str
    scaled: bool = True
    moved: bool = False
    summed: bool = False

    def excess(self, case: Case) -> float:
        """How far beyond its bound a run's worst site is, or all together if each is its own."""
        found = [sign.excess for sign in self.find(case) if not math.isnan(sign.excess)]
        return sum(max(e, 0.0) for e in found) if self.summed else max(found, default=-math.inf)

    def alarms(self, case: Case) -> list[Sign]:
        """What it finds wrong, the worst first, all of one verdict."""
        found = sorted((s for s in self.find(case) if s.excess > 0), key=lambda s: -s.excess)
        return [sign for sign in found if sign.verdict == found[0].verdict]


SGD = "SGD needs a rate of its own for it, if one exists; Adam divides much of it away."
SCALE = "normalize between the kernels, or divide sums of n by √n"
PATHS = "add skip connections, normalize between the kernels, or take another activation"
ALIVE = "take a leaky activation, or none, where it is dead, and biases of 0"
UNTIE = "draw at random what stands between the kernels too"
TARGETS = "standardize the targets, or start the last bias at their mean"
LOSSES = Rule(first_loss, "The first steps go into taking the outputs back.", TARGETS)
RULES = (
    Rule(not_finite, "No optimizer can take a step.", SCALE, moved=True),
    Rule(inputs, "Adam makes up for a part of it, SGD for none.", "standardize the inputs", False),
    Rule(dead, "No optimizer moves what gets no gradient.", ALIVE, False),
    Rule(symmetric, "No optimizer breaks it: the gradients are equal, too.", UNTIE, False),
    Rule(saturated, "Neither SGD nor Adam moves what is flat.", PATHS, summed=True),
    Rule(collapsed, "SGD does not begin; Adam begins late, if it is above rounding.", PATHS),
    Rule(signal, SGD, SCALE, moved=True),
    LOSSES,
    Rule(
        gradient, "SGD moves some kernels and leaves the others; Adam moves all.", PATHS, moved=True
    ),
)


def fault(case: Case) -> tuple[Rule, list[Sign]] | None:
    """The first rule that finds something, and what."""
    return next(((rule, found) for rule in RULES if (found := rule.alarms(case))), None)


# ------------------------------------------------------------------ blame and cure


@dataclass(frozen=True)
class Change:
    """What a cure changes, and how it is said."""

    text: str = ""
    scales: Mapping[str, float] = field(default_factory=dict)
    values: Mapping[str, Array] = field(default_factory=dict)
    standardized: bool = False

    def run(self, subject: Subject, case: Case) -> Case:
        """What would be measured with it."""
        values = {**case.opened, **self.values}
        return replace(case, m=subject.measure(self.scales, values, standardized=self.standardized))


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


def blamed(
    case: Case, rule: Rule, factors: Mapping[str, float], tried: Mapping[str, Case]
) -> list[str]:
    """The kernels that bring the run nearer to the bound when they are put right alone.

    By half of an even share of what is too much, at least. Where they were not tried, or numbers
    overflow, a kernel's own factor speaks.
    """
    before, named = rule.excess(case), list[str]()
    shrinks = rule.alarms(case)[0].verdict == "shrinking"
    for name, factor in factors.items():
        gained, enough = (factor - 1) * (1 if shrinks else -1), 0.0
        if name in tried and case.m.finite:
            gained, enough = before - rule.excess(tried[name]), before / (2 * len(factors))
        if gained > enough:
            named.append(name)
    return named


def changes(
    subject: Subject, case: Case, rule: Rule, named: list[str], factors: Mapping[str, float]
) -> Iterator[Change]:
    """Cures to try, the smallest first."""
    first = Change("standardize the inputs", standardized=rule.find is inputs)
    heads = [name for name in factors if case.sites[case.owner[name]].head]
    found = [first] * first.standardized
    for names in (named, [*named, *heads], list(factors)):
        at = [case.owner[name] for name in names]
        schemes, who = {str(case.plans[i]) for i in at}, listed(tuple(dict.fromkeys(names)))
        text = (
            f"draw {who} with {min(schemes)}"
            if len(schemes) == 1
            else f"draw {who} at its ideal std"
        )
        if at and (ends := min(case.sites[i].summed for i in at)) > 2:
            text = f"divide the last kernel of each branch ({who}) by √{ends - 1}"
        found += [Change(text, {name: factors[name] for name in names})] * bool(at)
    drawn = redraw.values(subject, np.random.default_rng(np.random.SeedSequence(KEY)))
    values = {k: v for k, (v, _) in drawn.items() if v.any() or k not in case.opened}
    found.append(Change("draw the whole model again (reinitialize)", values=values))
    for change in found:
        both = first.standardized and change is not first
        text = f"{first.text} and {change.text}" if both else change.text
        yield replace(change, text=text, standardized=first.standardized)


def cure(
    subject: Subject, case: Case, rule: Rule, named: list[str], factors: Mapping[str, float]
) -> Change | None:
    """The first change after which nothing is wrong."""
    for change in changes(subject, case, rule, named, factors):
        after = change.run(subject, case)
        if fault(after) is None and not after.m.loss > max(case.m.loss, LOSS * case.m.blind):
            return change
    return None


def examine(subject: Subject, cures: bool = True) -> tuple[Audit, Change | None]:
    """As `judge`, and the change that cures what was found: None where there is none."""
    case = start(subject)
    found, factors, tried = fault(case), dict[str, float](), dict[str, Case]()
    change, findings, verdicts = None, list[Finding](), dict[int, str]()
    if found:
        rule, signs = found
        factors, text = suspects(case) if rule.scaled else {}, ""
        if cures:
            tried = {k: Change(scales={k: f}).run(subject, case) for k, f in factors.items()}
        named = blamed(case, rule, factors, tried) if factors else []
        if cures:
            change = cure(subject, case, rule, named, factors)
            text = f"no redraw cures this: {rule.advice}" if change is None else change.text
            named = list(change.scales) if change and change.scales else named
        at = [i for i, site in enumerate(case.sites) if site.kernel.name in named]
        if not (rule.moved and at):
            at = sorted({s.site for s in signs if s.site is not None})
        verdicts = dict.fromkeys(at, signs[0].verdict)
        names = tuple(case.sites[i].name for i in at)
        findings = [Finding(signs[0].verdict, names, signs[0].reason, text, rule.meaning)]
        if rule is not LOSSES and case.m.loss > 0:  # its consequence
            findings += [Finding(s.verdict, (), s.reason, text) for s in LOSSES.alarms(case)[:1]]
    rows = tuple(_row(case, i, verdicts, factors, tried) for i in range(len(case.sites)))
    m, judged = case.m, any(not np.isnan(case.m.z2[i]) for i in case.kernels)
    report = Audit(subject.name, rows, tuple(findings), tuple(_notes(subject, case)), judged,
                   m.loss, m.blind, dict(m.input2))  # fmt: skip
    return report, change


def judge(subject: Subject, cures: bool = True) -> Audit:
    """Measure a model, judge it, and look for a cure that stands. The model is not changed.

    Without `cures` no kernel is put right and run again: one run for each that is suspected, one
    for each cure that is tried. A sound model needs none.
    """
    return examine(subject, cures)[0]


# ------------------------------------------------------------------ the report


def _row(
    case: Case,
    i: int,
    verdicts: Mapping[int, str],
    factors: Mapping[str, float],
    tried: Mapping[str, Case],
) -> Row:
    site, own, name, elasticity = case.sites[i], case.plans[i], case.sites[i].kernel.name, math.nan
    if name in tried and case.heads:
        before, after = (run.m.z2[case.heads[-1]] for run in (case, tried[name]))
        if 0 < before < math.inf and 0 < after < math.inf:
            elasticity = math.log(after / before) / math.log(factors[name])
    known = {f.name for f in fields(Row)} & {f.name for f in fields(Measured)}
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
        **{key: float(getattr(case.m, key)[i]) for key in known},
    )


def _notes(subject: Subject, case: Case) -> Iterator[str]:
    """What is no fault and worth knowing; what could not be told, and why."""
    program, m, sites = case.program, case.m, case.sites
    waits = [sites[i].name for i in case.kernels if case.closed.effect[i] == 0 < m.effect[i]]
    empty = [site.name for i, site in enumerate(sites) if site.reads_data and m.x2[i] == 0]
    said = (
        (waits, f"waits one step, until {listed(tuple(sorted(case.opened)))} is no longer 0."),
        (program.stopped, "no gradient comes back, because the model stops it."),
        (program.unused, "no place was found that uses it, so it is not judged."),
        (empty, "cannot tell what it does: all that it reads is 0."),
    )
    yield from (f"{listed(tuple(names))}: {text}" for names, text in said if names)
    equal: dict[tuple[float, bytes], list[str]] = {}
    stds = [case.closed.kernels[name].std for name in case.owner]
    for name, std in zip(case.owner, stds, strict=True):
        if std > 0 and stds.count(std) > 1:
            equal.setdefault((std, subject.value(name).tobytes()), []).append(name)
    for same in equal.values():
        if len(same) > 1:
            yield f"{listed(tuple(same))}: start equal; their gradients differ, and they part."
    if not case.kernels:
        yield "Cannot tell anything: no place was found where data meets a kernel."
    elif not case.varied:
        yield "Cannot tell whether examples come to look alike: the given ones hardly differ."
    yield from program.notes
