"""The judge against the referee: every start's verdict, every cure, every rule and threshold.

The referee and its list of starts share no code with `winit`. A selection runs in `make test`, the
whole list in `make test-long`.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import referee
import starts

import winit.jax
from winit import judge
from winit.judge import Change

# One of each verdict and framework, quick to compile.
QUICK = (
    "jax_relu_gain_1",  # shrinking
    "scan_stack_gain_4",  # exploding
    "nnx_tanh_std_3",  # saturated
    "relu_output_dead",
    "sigmoid_zeros",  # symmetric
    "eqx_sigmoid_12",  # collapsed
    "eqx_mlp_head",  # first loss far too high
    "tabular_offset",  # inputs unscaled
    "nnx_lora",
    "stopped_encoder",
    "zero_head",
    "cnn_rescaled",
    "reads_again",  # shrinking, by its gradient
)


def reads_again(seed: int) -> starts.Case:
    """Sigmoid layers that read x beside the layer before: what varies stays, the gradient fades."""
    new = starts.draw(seed)
    params = {f"w{k}": new(1 / 8, 64 if k == 0 else 128, 64) for k in range(8)}
    params["head"] = new(1 / 8, 64, 10)

    def f(p: Any, x: Any) -> Any:
        h = jax.nn.sigmoid(x @ p["w0"])
        for k in range(1, 8):
            h = jax.nn.sigmoid(jnp.concatenate([h, x], axis=1) @ p[f"w{k}"])
        return h @ p["head"]

    return starts.classify(f, starts.normal(seed, 32, 64), params=params)


# A kind that the list does not have: no signal fades with the gradient.
AGAIN = starts.Start(
    *("reads_again", "jax", "here", reads_again, "shrinking", "a fifteenth a layer"),
    curable=False,
)
STARTS = {s.name: s for s in (*starts.STARTS, AGAIN)}


def listed(quick: tuple[str, ...]) -> list[Any]:
    """All starts as parameters, long ones but for those."""
    return [pytest.param(name, marks=[pytest.mark.long] * (name not in quick)) for name in STARTS]


# What `referee.from_nnx` calls is to go in a later Flax.
pytestmark = pytest.mark.filterwarnings("ignore:.*flax.nnx.State.*:DeprecationWarning")


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    yield
    jax.clear_caches()  # the whole list would fill the memory


def subject_of(case: starts.Case, params: Any = None, x: Any = None) -> Any:
    """What the judge looks at: the function that the referee runs, of the same parameters."""
    f, given = starts.function_of(case)
    x = case.x if x is None else x
    loss = None if case.loss is None else lambda o, y: referee.scalar(o, y, case.loss, 0)
    y = None if case.loss is None else case.y
    return winit.jax.Function(f, params or given, x, y, loss, None, 0)


def referees(case: starts.Case, params: Any = None, x: Any = None) -> str:
    """The referee's word."""
    f, given = starts.function_of(case)
    params, x = params or given, case.x if x is None else x
    return referee.judge(f, params, x, case.y, case.loss)[0].word


def word(report: Any) -> str:
    """The judge's: that of its first finding, which is the fault; what follows from it comes after.

    What it cannot tell is undecided.
    """
    if report.findings:
        return str(report.findings[0].verdict)
    return "good" if report.ok else "undecided"


def cured(case: starts.Case, change: Change) -> tuple[dict[str, Any], Any]:
    """Parameters and inputs after what a cure changes."""
    _, params = starts.function_of(case)
    for name, factor in change.scales.items():
        params[name] = (np.asarray(params[name], np.float64) * factor).astype(params[name].dtype)
    for name, value in change.values.items():
        params[name] = np.asarray(value).astype(params[name].dtype)
    return params, jax.tree.map(standardized, case.x) if change.standardized else case.x


def standardized(x: Any) -> Any:
    if not np.issubdtype(x.dtype, np.floating):
        return x
    return ((x - x.mean()) / (x.std() or 1.0)).astype(x.dtype)


@pytest.mark.parametrize("name", listed(QUICK))
def test_verdict_and_cure_are_the_referees(name: str) -> None:
    start = STARTS[name]
    case = start.build(0)
    report, change = judge.examine(subject_of(case))
    assert word(report) == referees(case) == start.verdict
    assert change is not None or not start.curable
    if change is not None:
        assert referees(case, *cured(case, change)) == "good"


@pytest.mark.parametrize("name", listed(("jax_relu_gain_1", "sigmoid_zeros")))
def test_reinitialize_makes_the_start_sound(name: str) -> None:
    start = STARTS[name]
    if start.verdict != "good" and not start.curable:
        pytest.skip("no draw makes it sound")
    case = start.build(0)
    f, params = starts.function_of(case)
    drawn = winit.jax.reinitialize(f, params, case.x, rng=0)
    assert judge.judge(subject_of(case, drawn)).ok
    assert referees(case, drawn) == "good"


# ------------------------------------------------------------------ every rule, every threshold


@functools.cache
def measured() -> dict[str, judge.Case]:
    """Every start, measured once, without what only a redraw needs."""
    cases = {}
    for start in STARTS.values():
        if start.slow:
            continue
        case = judge.start(subject_of(start.build(0)))
        sites = tuple(
            replace(s, kernels=tuple(replace(k, index=None) for k in s.kernels)) for s in case.sites
        )
        cases[start.name] = replace(case, program=replace(case.program, sites=sites))
        jax.clear_caches()
    return cases


def verdicts() -> dict[str, str]:
    found = {name: judge.fault(case) for name, case in measured().items()}
    return {name: "good" if f is None else f.verdict for name, f in found.items()}


@pytest.mark.long
@pytest.mark.parametrize("rule", judge.RULES, ids=lambda rule: rule.find.__name__)
def test_no_rule_can_be_spared(rule: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    before = verdicts()
    monkeypatch.setattr(judge, "RULES", tuple(r for r in judge.RULES if r is not rule))
    assert verdicts() != before


# Where a factor of 4 flips nothing, and why no start lies so near: what is broken is so by
# a power of the depth, what is sound is so by theory.
SIGNAL = "broken starts move E x² by 4,000 and more"
CHANCE = "sound starts of these widths stay within BOUND, below which chance is not asked"
GRADIENT = "the first kernels of sound starts have 1/1,500 and more, of broken ones 1e-8 and less"
NORMALIZED = "batch normalization of 12 layers makes 260, of 50 layers 1e9"
ALL_ALIKE = "sound starts keep 2e-4 and more, broken ones 1e-13 and less"
TIED = "units that are tied are tied all of them: 1 of 16 or more differs"
SCALE = "data are standardized, or in units that are off by hundreds in rms"
FREE = {
    ("BOUND", 4.0): SIGNAL,
    ("SPREADS", 0.25): CHANCE,
    **dict.fromkeys([("STEEP", 4.0), ("STEEP", 0.25)], GRADIENT),
    **dict.fromkeys([("STEEP_NORMALIZED", 4.0), ("STEEP_NORMALIZED", 0.25)], NORMALIZED),
    **dict.fromkeys([("COLLAPSED", 4.0), ("COLLAPSED", 0.25)], ALL_ALIKE),
    ("ALIKE", 0.25): TIED,
    **dict.fromkeys([("LOW", 4.0), ("LOW", 0.25), ("HIGH", 4.0), ("HIGH", 0.25)], SCALE),
}
THRESHOLDS = (
    *("BOUND", "SPREADS", "STEEP", "STEEP_NORMALIZED", "COLLAPSED", "LOW", "HIGH"),
    *("LOSS", "SATURATED", "MOSTLY", "ALIKE"),
)


@pytest.mark.long
@pytest.mark.parametrize("factor", [4.0, 0.25])
@pytest.mark.parametrize("name", THRESHOLDS)
def test_every_threshold_counts(name: str, factor: float, monkeypatch: pytest.MonkeyPatch) -> None:
    before = verdicts()
    monkeypatch.setattr(judge, name, factor * getattr(judge, name))
    assert (verdicts() == before) == ((name, factor) in FREE)
