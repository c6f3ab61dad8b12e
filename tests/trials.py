"""What the trials of the audit on JAX and on PyTorch share: the judge's word, numbers by kernel."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from winit.program import Measured, Program

NUMBERS = {"x2": "x2", "z2": "z2", "g2": "d2"}  # ours, and the referee's
ALIKE = 1e-6  # both take means in float64 of what float32 computed, in another order
# In half precision sums depend on their order, and products round before or after a bias is added:
# a unit in the last place of bfloat16.
ALIKE_NARROW = 2.0**-8

Names = tuple[str, ...]


def word(report: Any) -> str:
    """The judge's: that of its first finding, which is the fault; what follows from it comes after.

    What it cannot tell is undecided.
    """
    if report.findings:
        return str(report.findings[0].verdict)
    return "good" if report.ok else "undecided"


def places_of(theirs: Any) -> dict[Names, list[Any]]:
    """The referee's places by the kernels that meet data there."""
    places = defaultdict(list)
    for place in theirs.places:
        places[tuple(sorted(place.names))].append(place)
    return places


def by_turns(m: Measured, key: str, sites: Sequence[int], program: Program) -> np.ndarray:
    """A number at each turn of a kernel: its calls, and the steps of loops (of z their mean)."""
    columns = {"x2": m.x_steps, "g2": m.g_steps}
    means = [np.full(program.sites[i].steps, m.z2[i]) for i in sites]
    return np.concatenate([columns[key][i] for i in sites] if key in columns else means)


def compare(
    program: Program,
    ours: Measured,
    theirs: Any,
    sites: Mapping[Names, list[int]],
    narrow: bool,
    nudged: Sequence[Measured] = (),
) -> None:
    """Our numbers at the sites of each kernel are the referee's.

    A deep network amplifies the roundings of what goes through it, so that two programs of it
    differ by more than sums in another order do: `nudged` are runs of ours with kernels rounded
    otherwise.
    """
    places = places_of(theirs)
    assert sites.keys() == places.keys()
    bound = ALIKE_NARROW if narrow else ALIKE
    # A gradient is a sum of terms as large as any: what cancels leaves their roundings.
    finite = [p.d2 for p in theirs.places if p.d2 is not None and np.isfinite(p.d2)]
    top = max(finite, default=0.0)
    for key, indices in sites.items():
        for mine, other in NUMBERS.items():
            wanted = [getattr(place, other) for place in places[key]]
            if wanted[0] is None:  # rows are picked: there is no x
                assert mine == "x2"
                continue
            found = by_turns(ours, mine, indices, program)
            # At a loop's first step a state of zeros is no place of the referee's: x and z are 0.
            found = found[len(found) - len(wanted) :] if mine == "g2" else found
            rounded = 2.0**-24 * np.sqrt(top * abs(sum(wanted))) if mine == "g2" else 0.0
            for run in nudged:
                other_way = by_turns(run, mine, indices, program)[-len(found) :]
                rounded = max(rounded, 4 * abs(sum(other_way) - sum(found)))  # 4 of their spreads
            near = pytest.approx(sum(wanted), rel=bound, abs=1e-30 + rounded, nan_ok=True)
            assert sum(found) == near, (key, mine)
