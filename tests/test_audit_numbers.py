"""The audit's E x², E z² and gradient beside those of the referee, which shares no code with it."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import referee
import starts

from winit.jax import Function
from winit.program import Measured, Program

# Of every kind of operation one that is quick; `make test-long` has all.
QUICK = {
    "tanh_10_std_3",
    "cnn_bytes_batchnorm",
    "scan_stack_gain_2",
    "simple_rnn",
    "eqx_attention",
    "expert_by_index",
    "nnx_lora",
    "nnx_weight_norm",
}
assert starts.BY_NAME.keys() >= QUICK
NUMBERS = {"x2": "x2", "z2": "z2", "g2": "d2"}  # ours, and the referee's
ALIKE = 1e-6  # both take means in float64 of what float32 computed, in another order
# Sums in half precision depend on their order: 2⁻⁸, a unit in the last place of bfloat16.
ALIKE_NARROW = 2.0**-8


def scalar(case: starts.Case) -> tuple[Any, Any]:
    """The referee's loss, or its random direction, as a loss and targets."""
    y = np.zeros(1) if case.y is None else case.y
    return (lambda out, _: referee.scalar(out, case.y, case.loss, 0)), y


def audited(case: starts.Case) -> tuple[Program, Measured]:
    f, params = starts.function_of(case)
    loss, y = scalar(case)
    subject = Function(f, params, case.x, y, loss, None, 0)
    return subject.program, subject.measure()


def refereed(case: starts.Case) -> referee.Measurement:
    f, params = starts.function_of(case)
    return referee.measure(f, params, case.x, case.y, case.loss)


def by_turns(m: Measured, key: str, sites: list[int], program: Program) -> np.ndarray:
    """A number at each turn of a kernel: its calls, and the steps of loops (of z their mean)."""
    columns = {"x2": m.x_steps, "g2": m.g_steps}
    means = [np.full(program.sites[i].steps, m.z2[i]) for i in sites]
    return np.concatenate([columns[key][i] for i in sites] if key in columns else means)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(start.name, marks=[pytest.mark.long] * (start.name not in QUICK))
        for start in starts.STARTS
    ],
)
def test_the_numbers_are_the_referees(name: str) -> None:
    case = starts.BY_NAME[name].build(0)
    (program, ours), theirs = audited(case), refereed(case)
    sites, places = defaultdict(list), defaultdict(list)
    for i, site in enumerate(program.sites):
        if not np.isnan(ours.z2[i]):  # of branches, the one that is taken
            sites[tuple(sorted(kernel.name for kernel in site.kernels))].append(i)
    for place in theirs.places:
        places[tuple(sorted(place.names))].append(place)
    assert sites.keys() == places.keys()
    widths = {leaf.dtype.itemsize for leaf in jax.tree.leaves(starts.function_of(case)[1])
              if jnp.issubdtype(leaf.dtype, jnp.floating)}  # fmt: skip
    narrow = min(widths) < 4 or "16" in name
    for key, indices in sites.items():
        for mine, other in NUMBERS.items():
            wanted = [getattr(place, other) for place in places[key]]
            if wanted[0] is None:  # rows are picked: there is no x
                assert mine == "x2"
                continue
            found = by_turns(ours, mine, indices, program)
            # At a loop's first step a state of zeros is no place of the referee's: x and z are 0.
            found = found[len(found) - len(wanted) :] if mine == "g2" else found
            bound = ALIKE_NARROW if narrow else ALIKE
            assert sum(found) == pytest.approx(sum(wanted), rel=bound, abs=1e-30), (key, mine)
