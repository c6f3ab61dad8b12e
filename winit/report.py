"""What an audit found: a row for each kernel in each call, and the report that holds them."""

from __future__ import annotations

import html
import math
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from winit import activations, theory
from winit.activations import Activation

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass
class Row:
    """One kernel in one call.

    `input` is E x² of what goes in, `q` E z² of what comes out before the activation. `ratio` is q
    over the q of the call before, `predicted` what theory says of it, `other` the factor that is
    not the initializer's (`cause` names it). `gradient` is the squared norm of the loss's gradient
    at z for one example, `gradient_ratio` that over the gradient at the next call. None is what
    cannot be measured, or does not apply.
    """

    name: str
    kind: str
    kernel: str
    shape: tuple[int, ...]
    fan_in: int
    fan_out: int
    activation: str
    initializer: str
    std: float
    ideal: float | None
    scheme: str
    coverage: float = 1.0
    input: float | None = None
    q: float | None = None
    ratio: float | None = None
    predicted: float | None = None
    other: float | None = None
    cause: str = ""
    gradient: float | None = None
    gradient_ratio: float | None = None
    saturated: float | None = None
    dead: float | None = None
    distinct: int | None = None
    units: int = 0
    verdict: str = "good"
    reason: str = ""
    mend: str = ""
    # What the judgement works with: the factor that is the initializer's, and its links.
    factor: float | None = field(default=None, repr=False)
    back: float | None = field(default=None, repr=False)  # what the gradient does on its way back
    clean: bool = field(default=False, repr=False)
    joins: bool = field(default=False, repr=False)
    normaliser: float | None = field(
        default=None, repr=False
    )  # the epsilon of the one that follows
    phi: Activation = field(default=activations.linear, repr=False)  # what acts before it

    @property
    def kept(self) -> float:
        """The gradient's factor a layer, where the signal settles under the ideal scale."""
        sigma = (self.ideal or self.std) * math.sqrt(self.fan_in)
        q = theory.fixed_point(self.phi, sigma).q_star
        return theory.chi_1(self.phi, sigma, min(max(q, theory.SMALLEST_Q), theory.LARGEST_Q))

    @property
    def alike(self) -> bool:
        """Whether half of the units or more are copies of others."""
        return self.distinct is not None and 1 < self.units >= 2 * self.distinct

    @property
    def scaled(self) -> bool:
        """Whether the weights have their ideal std, up to a tenth."""
        return self.ideal is not None and abs(self.std / self.ideal - 1) < 0.1


# Fields of Row as columns of the report.
COLUMNS = {
    "name": "layer",
    "verdict": "verdict",
    "kind": "kind",
    "shape": "kernel",
    "fan_in": "fan_in",
    "fan_out": "fan_out",
    "activation": "then",
    "initializer": "initializer",
    "std": "std",
    "ideal": "ideal",
    "q": "E z²",
    "ratio": "ratio",
    "predicted": "theory",
    "other": "other",
    "gradient_ratio": "gradient",
}


@dataclass
class Audit:
    """A model's layers with their numbers and verdicts: print it, plot it, or assert its `ok`."""

    model: str
    rows: list[Row]
    notes: list[str]

    @property
    def ok(self) -> bool:
        """Whether every layer is good."""
        return all(row.verdict == "good" for row in self.rows)

    def findings(self) -> list[str]:
        """What is wrong, one line for each kind, with the change that mends it."""
        groups: dict[tuple[str, str, str], list[str]] = {}
        for row in self.rows:
            if row.verdict != "good":
                groups.setdefault((row.verdict, row.reason, row.mend), []).append(row.name)
        lines = []
        for (verdict, reason, mend), names in groups.items():
            lines.append(f"{verdict}: {listed(names)}. {reason} Change: {mend}")
        return lines

    def _headline(self) -> str:
        bad = sum(row.verdict != "good" for row in self.rows)
        state = "ok" if self.ok else f"{bad} of {len(self.rows)} kernels not good"
        return f"{self.model}: {state}"

    def _cells(self) -> list[list[str]]:
        return [[_cell(row, key) for key in COLUMNS] for row in self.rows]

    def __str__(self) -> str:
        lines = [[*COLUMNS.values()], *self._cells()]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        table = [
            "  ".join(f"{cell:<{n}}" for cell, n in zip(line, widths, strict=True)).rstrip()
            for line in lines
        ]
        return "\n".join([self._headline(), *table, *self.findings(), *self.notes])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        head = "".join(f"<th scope='col'>{title}</th>" for title in COLUMNS.values())
        body = "".join(
            f"<tr><th scope='row'>{html.escape(name)}</th>"
            + "".join(f"<td>{html.escape(cell)}</td>" for cell in cells)
            + "</tr>"
            for name, *cells in self._cells()
        )
        text = "".join(f"<p>{html.escape(line)}</p>" for line in [*self.findings(), *self.notes])
        return (
            f"<table><caption>{html.escape(self._headline())}</caption>"
            f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{text}"
        )

    def to_dict(self) -> dict[str, Any]:
        """Everything, in types that JSON knows; numbers that are not finite become None."""
        return {
            "model": self.model,
            "ok": self.ok,
            "rows": [
                {f.name: _finite(getattr(row, f.name)) for f in fields(row) if f.repr}
                for row in self.rows
            ],
            "findings": self.findings(),
            "notes": self.notes,
        }

    def plot(self) -> Figure:
        """The signal and the gradient by layer, each as a multiple of where it sets out."""
        from winit import plots  # Matplotlib loads when a figure is asked for

        rows = [row for row in self.rows if row.q is not None]
        if not rows:
            raise ValueError(f"{self.model} has no kernel that was measured: nothing to plot")
        signal = np.array([row.q for row in rows], dtype=float)
        curves = {"signal": signal / (signal[0] or 1.0)}
        gradient = np.array([np.nan if row.gradient is None else row.gradient for row in rows])
        if np.isfinite(gradient).all() and len(gradient):
            curves["gradient"] = gradient / (gradient[-1] or 1.0)
        return plots.by_layer(curves, ylabel="relative second moment", xlabel="kernel, input first")


def listed(names: list[str]) -> str:
    """The first three names, and how many more there are."""
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _cell(row: Row, key: str) -> str:
    value = getattr(row, key)
    if value is None:
        return "–"
    if key == "name":
        return value if row.kernel in ("kernel", "embeddings") else f"{value}.{row.kernel}"
    if key == "shape":
        return "×".join(map(str, value))
    if isinstance(value, float):
        return f"{value:.3g}" if key in ("std", "ideal") else f"{value:.2g}"
    return str(value)
