"""The judge on measurements made up for it: every rule, every bound, every cure.

`Chain` is a plain net by its formulas: E x² goes from kernel to kernel as mean-field theory has it,
and a test overwrites what it is about. Real models are in test_audit.py and test_audit_cases.py.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from winit import activations, judge
from winit.program import Elementwise, Kernel, Measured, Program, Root, Site, Weight
from winit.report import Audit

RELU = Elementwise(activations.relu)
TANH = Elementwise(activations.tanh)
IDEAL = math.sqrt(2)


def sites(n: int, units: int = 256, step: Elementwise = RELU, **last: Any) -> list[Site]:
    """n kernels in a row, the last of them the head."""
    made = []
    for i in range(n):
        size = units * units

        def index(size: int = size, units: int = units) -> Any:
            return np.arange(size).reshape(1, units, units)

        made.append(
            Site(
                name=f"k{i}",
                kernels=(Kernel(f"k{i}", (units, units), index=index),),
                lookup=False,
                fan_in=units,
                fan_out=units,
                units=units,
                before=step if i else Elementwise(),
                after=step if i < n - 1 else Elementwise(),
                parents=(i - 1,) if i else (),
                roots=(0,),
                reads_data=i == 0,
                head=i == n - 1,
                cut=True,
                depth=i + 1,
            )
        )
    made[-1] = replace(made[-1], **last)
    return made


class Chain:
    """Kernels in a row with those gains (std · √fan_in), measured by formula."""

    def __init__(self, gains: list[float], made: list[Site] | None = None, **over: Any) -> None:
        made = made or sites(len(gains))
        self.name, self.over, self.runs = "chain", over, 0
        roots = over.pop("roots", (Root("x", "input"),))
        extra = {k: over.pop(k) for k in ("unused", "stopped", "notes") if k in over}
        factors = tuple(dict.fromkeys(site.kernel.name for site in made))
        self.program = Program(tuple(made), roots, len(made), factors=factors, **extra)
        self.gains = np.array(gains, dtype=float)
        self.parameters = {s.kernel.name: s.kernel.shape for s in made}
        self.last: dict[str, Any] = {}

    def measure(
        self,
        scales: Mapping[str, float] | None = None,
        values: Mapping[str, Any] | None = None,
        *,
        inputs: float = 1.0,
        opened: Any = (),
    ) -> Measured:
        self.runs += 1
        self.last = {"scales": scales or {}, "values": values or {}, "inputs": inputs}
        gains, made = self.gains.copy(), self.program.sites
        for i, site in enumerate(made):
            gains[i] *= (scales or {}).get(site.kernel.name, 1.0)
            if site.kernel.name in (values or {}):
                gains[i] = (values or {})[site.kernel.name].std() * math.sqrt(site.fan_in)
            if site.kernel.name in (opened or ()):
                gains[i] = gains[i] or 0.02 * math.sqrt(site.fan_in)
        n = len(gains)
        z2 = np.cumprod(gains**2 / np.array([1.0] + [2.0] * (n - 1))) / inputs**2
        z2 = z2 * self.over.get("start", 1.0)
        x2 = np.concatenate([[self.over.get("start", 1.0) / inputs**2], z2[:-1] / 2])
        whole = np.prod(gains**2 / 2)
        ones = np.ones(n)
        without = np.array([np.prod(np.delete(gains, i) ** 2 / 2) for i in range(n)])
        m = Measured(
            x2=x2,
            z2=z2,
            g2=ones * whole if whole else without,
            x_share=0.5 * ones,
            z_share=0.5 * ones,
            x_steps=tuple(x2[:, None]),
            z_steps=tuple(z2[:, None]),
            g_steps=tuple(ones[:, None]),
            saturated=0 * ones,
            dead=0 * ones,
            distinct=np.array([s.units for s in made], dtype=float),
            std=gains / np.sqrt([s.fan_in for s in made]),
            effect=ones * whole,
            root2=np.full(len(self.program.roots), x2[0]),
            loss=math.nan,
            blind=math.nan,
            input2={"x": x2[0]},
            output2=float(z2[-1]),
            output_share=0.5,
            finite=bool(np.isfinite(z2).all()),
            kernels={
                s.kernel.name: Weight(g / math.sqrt(s.fan_in), w, g == 0)
                for s, g, w in zip(made, gains, without, strict=True)
            },
        )
        change = self.over.get("change")
        return change(self, m) if change else m

    def value(self, name: str) -> Any:
        if name in self.over.get("clones", ()):
            name = self.over["clones"][0]
        return np.random.default_rng([*name.encode()]).standard_normal(self.parameters[name])

    def start(self, name: str) -> None:
        return None

    def kept(self, name: str) -> str:
        return self.over.get("kept", {}).get(name, "")


def audit(gains: list[float], made: list[Site] | None = None, **over: Any) -> Audit:
    cures = over.pop("cures", True)
    return judge.judge(Chain(gains, made, **over), cures)  # type: ignore[arg-type]


def he(n: int) -> list[float]:
    """The gains of a sound net of n kernels."""
    return [1.0, *[IDEAL] * (n - 2), 1.0]


def verdicts(report: Audit) -> list[str]:
    return [row.verdict for row in report.rows]


def whole(report: Audit) -> list[str]:
    return [finding.verdict for finding in report.findings if not finding.names]


def put(**arrays: Any) -> Any:
    """A change of some of the measured numbers: arrays by site, given as {site: value}."""

    def change(chain: Chain, m: Measured) -> Measured:
        made: dict[str, Any] = {}
        for key, value in arrays.items():
            if isinstance(value, dict):
                copied = getattr(m, key).copy()
                for i, entry in value.items():
                    copied[i] = entry
                made[key] = copied
            else:
                made[key] = value
        return replace(m, **made)

    return change


# ------------------------------------------------------------------ sound


def test_a_sound_chain_is_ok_in_one_run() -> None:
    chain = Chain(he(12))
    report = judge.judge(chain)  # type: ignore[arg-type]
    assert report.ok and not report.findings and not report.notes and chain.runs == 1


def test_nothing_judged_is_not_ok() -> None:
    made = [replace(sites(1)[0], lookup=True)]
    report = audit([1.0], made)
    assert not report.ok and not report.judged and "Cannot tell anything" in report.notes[0]


# ------------------------------------------------------------------ the signal, blame and cure


def test_all_kernels_that_shrink_are_blamed_and_the_cure_was_run() -> None:
    chain = Chain([1.0] * 16)
    report = judge.judge(chain)  # type: ignore[arg-type]
    assert verdicts(report) == ["good", *["shrinking"] * 14, "good"]
    (finding,) = report.findings
    assert "he_normal" in finding.cure and finding.meaning
    assert set(chain.last["scales"]) == {f"k{i}" for i in range(1, 15)}
    assert chain.runs == 1 + 14 + 1  # itself, each kernel alone, the cure


def test_one_bad_kernel_is_the_one_that_is_blamed() -> None:
    gains = he(12)
    gains[4] *= 1e-3
    report = audit(gains)
    assert [i for i, v in enumerate(verdicts(report)) if v != "good"] == [4]
    assert report.rows[4].elasticity == pytest.approx(2)
    assert math.isnan(report.rows[5].elasticity)


def test_exploding_and_overflow() -> None:
    assert set(verdicts(audit([1.0, *[3.0] * 12, 1.0]))[1:-1]) == {"exploding"}
    with np.errstate(over="ignore", invalid="ignore"):
        report = audit([1.0, *[1e40] * 12, 1.0])
    assert whole(report)[0] == "not finite" and set(verdicts(report)[1:-1]) == {"exploding"}
    assert "he_normal" in report.findings[0].cure


def test_small_steps_away_from_the_ideal_count_where_there_are_many() -> None:
    # normal draws cut at two std and not widened: .774 a layer, ln std -.128
    report = audit([1.0, *[0.8796 * IDEAL] * 38, 1.0])
    assert set(verdicts(report)[1:-1]) == {"shrinking"}


def test_without_cures_one_run_and_the_kernels_by_their_own_factor() -> None:
    chain = Chain([1.0] * 16)
    report = judge.judge(chain, cures=False)  # type: ignore[arg-type]
    assert chain.runs == 1 and not report.findings[0].cure
    assert verdicts(report) == ["good", *["shrinking"] * 14, "good"]


def test_narrow_nets_may_fluctuate_as_hanin_says() -> None:
    gains = [1.0, *[0.88 * IDEAL] * 24, 1.0]  # ln E x² -6.1
    assert not audit(gains).ok
    assert audit(gains, sites(26, units=32)).ok  # sd = √(25 · 5/32) = 2.0


def test_a_mean_over_n_may_lose_n() -> None:
    gains = he(12)
    gains[4] *= 0.05  # ln -6.0
    made = sites(12)
    assert not audit(gains, made).ok
    assert audit(gains, [replace(s, averaged=64.0) for s in made]).ok
    gains[4] *= 400  # ln 6.0: upwards no mean excuses
    assert not audit(gains, [replace(s, averaged=64.0) for s in made]).ok


def test_only_cuts_are_judged() -> None:
    gains = he(12)
    gains[4] *= 0.02
    made = [replace(s, cut=False) for s in sites(12)]
    assert audit(gains, made).ok
    made[-1] = replace(made[-1], cut=True)
    assert not audit(gains, made).ok


def test_between_two_roots_there_is_no_drift() -> None:
    gains = he(12)
    gains[4] *= 0.02
    made = [replace(s, roots=(0, 1)) for s in sites(12)]
    roots = (Root("a", "lookup"), Root("b", "normalizer"))
    change = put(root2={0: 4e-4, 1: 1.0})
    assert audit(gains, made, roots=roots, change=change).ok
    assert not audit(gains, made, roots=roots, change=put(root2={0: 1.0, 1: 1.0})).ok
