"""One row of the ledger, and how its verdict follows from numbers."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One claim.

    `said` is the number that the claim comes to, or None where the source states only what
    `predicted` computes, and `tag` how we know it. `within` is the tolerance for one seed: an
    absolute number, "5%", or "x2" for a factor of 2 either way. `basis` says where it comes from:
    four standard errors by theory (ledger_errors.py); what the source gives, be it digits, a whole
    number or an identity; or judged, before or after looking.
    """

    key: str
    source: str
    place: str
    claim: str
    said: float | None
    tag: str
    predicted: Callable[[], float] | None
    within: str
    basis: str
    chapter: str
    measure: Callable[[int], float]
    quick: bool

    def deviation(self, measured: float, reference: float) -> float:
        """How far two numbers are from each other, in tolerances."""
        if self.within.endswith("%"):
            return (measured / reference - 1) / (float(self.within[:-1]) / 100)
        if self.within.startswith("x"):
            return math.log(measured / reference) / math.log(float(self.within[1:]))
        return (measured - reference) / float(self.within)

    def verdict(self, measured: float, predicted: float | None) -> str:
        """Whether the claim holds: what was measured is within the tolerance of what is said."""
        reference = predicted if self.said is None else self.said
        assert reference is not None, f"{self.key} has nothing to be compared with"
        return "agrees" if abs(self.deviation(measured, reference)) <= 1 else "disagrees"


def row(
    where: tuple[str, str, str],
    claim: str,
    numbers: tuple[float | None, str, Callable[[], float] | None, str, str],
    test: tuple[str, Callable[[int], float], bool],
) -> Row:
    """A row, its parts in groups."""
    key, source, place = where
    said, tag, predicted, within, basis = numbers
    chapter, measure, quick = test
    return Row(
        key, source, place, claim, said, tag, predicted, within, basis, chapter, measure, quick
    )


def rounded(value: float, digits: int = 3) -> float:
    """The value with so many significant digits."""
    return float(f"{value:.{digits}g}")


def digits(row: Row, value: float) -> int:
    """Three significant digits, or as many as a tenth of a finer tolerance needs."""
    share = float(row.within[:-1]) / 100 if row.within.endswith("%") else 1.0
    if not row.within.endswith("%") and not row.within.startswith("x") and value:
        share = float(row.within) / abs(value)
    return max(3, 1 + math.ceil(1 - math.log10(share)))
