"""`winit.torch` against the referee for PyTorch: each start's numbers, verdict, cure and redraw.

The referee and its list of starts share no code with `winit`, and were written before its reader of
modules was seen. A selection runs in `make test`, the others in `make test-long`.
"""

from __future__ import annotations

import copy
import functools
import inspect
from collections import defaultdict
from typing import Any

import pytest
import pytorch

pytorch.needed()

import referee  # noqa: E402
import torch  # noqa: E402
import torch_referee  # noqa: E402
from torch_starts import BY_NAME, Start  # noqa: E402
from trials import compare, word  # noqa: E402

import winit.torch  # noqa: E402
from winit import judge, redraw  # noqa: E402

# Quick ones; among them are each verdict and kind of operation.
QUICK = (
    "cnn_bytes_batchnorm",
    "encoder_dead",
    "gpt_tied_default",
    "grouped_fan_out",
    "transposed_kaiming",
    "rnn_relu_tripled",
    "cells",
    "by_hand_std_4",
    "weight_norm_1",
    "spectral_norm_plain",
    "experts_topk",
    "picked_kaiming",
    "regression_inputs_1e3",
    "sigmoid_10_default",
    "relu_zeros",
    "tanh_constant",
)


class Trial:
    """A start, with the audit's subject and the referee's word."""

    def __init__(self, start: Start) -> None:
        self.start, self.case = start, start.build(0)
        case, loss = self.case, self.case.loss
        x: Any = tuple(case.args)
        if case.kwargs:  # all by keyword
            x = inspect.signature(case.module.forward).bind(*case.args, **case.kwargs).arguments
        asked = None if loss is None else lambda o, y: torch_referee.scalar(o, y, loss, 0)
        y = None if loss is None else case.y
        self.subject = winit.torch.Module(case.module, x, y, asked, None, 0)
        self.subject.seed, self.subject.first = 0, {}  # the referee's draws of dropout

    def referees(self, params: Any = None, case: Any = None) -> tuple[str, referee.Measurement]:
        """The referee's word, and what it measured."""
        verdict, m = torch_referee.judge(case or self.case, params)
        return verdict.word, m

    @functools.cached_property
    def audit(self) -> tuple[Any, judge.Change | None]:
        return judge.examine(self.subject)


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(name, marks=() if name in QUICK else pytest.mark.long) for name in BY_NAME
    ],
)
def trial(request: pytest.FixtureRequest) -> Trial:
    return Trial(BY_NAME[request.param])


def standardized(x: torch.Tensor) -> torch.Tensor:
    if not x.is_floating_point():
        return x
    return (x - x.mean()) / (x.std(correction=0) or 1.0)


def cured(trial: Trial, change: judge.Change) -> tuple[dict[str, Any], Any]:
    """Parameters and the case after what a cure changes."""
    params, case = torch_referee.parameters(trial.case), copy.copy(trial.case)
    for name, factor in change.scales.items():
        params[name] = params[name] * torch.as_tensor(factor, dtype=params[name].dtype)
    for name, value in change.values.items():
        if name in params:
            params[name] = torch.as_tensor(value).to(params[name].dtype)
    if change.standardized:
        new = torch_referee.change(standardized, (case.args, case.kwargs))
        object.__setattr__(case, "args", new[0])
        object.__setattr__(case, "kwargs", new[1])
    return params, case


def test_the_verdict_is_the_referees(trial: Trial) -> None:
    report, _ = trial.audit
    assert word(report) == trial.referees()[0] == trial.start.verdict


def test_the_cure_makes_the_referee_agree(trial: Trial) -> None:
    report, change = trial.audit
    assert change is not None or not trial.start.curable
    if change is not None:
        assert trial.referees(*cured(trial, change))[0] == "good"
    elif report.findings:
        assert "no redraw cures this: " in report.findings[0].cure


def test_the_numbers_are_the_referees(trial: Trial) -> None:
    program, (_, theirs) = trial.subject.program, trial.referees()
    ours, sites = trial.subject.measure(), defaultdict(list)
    parameters = {name for name, _ in trial.case.module.named_parameters()}
    for i, site in enumerate(program.sites):
        names = (k.name for k in site.kernels if k.name in parameters)
        sites[tuple(sorted(names))].append(i)
    narrow = any(p.dtype.itemsize < 4 for p in trial.case.module.parameters())
    compare(program, ours, theirs, sites, narrow or "autocast" in trial.start.name)


def test_reinitialize_makes_the_start_sound(trial: Trial) -> None:
    """Last, since it changes the module."""
    redraw.reinitialize(trial.subject, rng=0)
    ok = judge.judge(trial.subject, cures=False).ok
    assert ok == (trial.referees()[0] == "good")
    assert ok or trial.start.curable is False
