"""What an audit found: a row for each place where data meets a kernel, and the report of them.

The numbers are measured, the verdicts are `winit.judge`'s; here they are printed, drawn, written.
"""

from __future__ import annotations

import html
import math
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAN = math.nan


@dataclass(frozen=True)
class Row:
    """One site: a place where data meets a kernel.

    Numbers that could not be measured, or do not apply, are NaN.

    Parameters
    ----------
    name : the kernel's path, and the number of the call where it is used again
    verdict : good, shrinking, exploding, saturated, dead, symmetric or collapsed
    shape : the kernel's, as stored
    fan_in, fan_out : inputs that reach one output, outputs that one input reaches
    before, after : the activation before the kernel and the one on its result
    std, ideal : of the weights, and what `reinitialize` would draw
    scheme : the scheme that it would draw them with
    x2, z2 : E x² of what the kernel reads, E z² of its result
    drift : ln of E x² over that of the site's roots; 0 between two roots
    gradient : E of the squared gradient at z
    effect : std² ‖∂L/∂W‖², what a relative redraw of the kernel does to the loss
    x_share, z_share : the share of E x² and E z² that varies over the examples
    saturated, dead : shares of flat slopes, and of units that are flat for every example
    distinct, units : how many of the units differ, and how many there are
    elasticity : d ln E x² by d ln of the kernel's scale at the last site; where it was tried alone
    """

    name: str
    verdict: str = "good"
    shape: tuple[int, ...] = ()
    fan_in: float = NAN
    fan_out: float = NAN
    before: str = "linear"
    after: str = "linear"
    std: float = NAN
    ideal: float = NAN
    scheme: str = ""
    x2: float = NAN
    z2: float = NAN
    drift: float = NAN
    gradient: float = NAN
    effect: float = NAN
    x_share: float = NAN
    z_share: float = NAN
    saturated: float = NAN
    dead: float = NAN
    distinct: float = NAN
    units: int = 0
    elasticity: float = NAN


@dataclass(frozen=True)
class Finding:
    """One fault: its verdict, where it was seen or who did it, why, and what cures it.

    `names` is empty for a fault of the whole. `cure` was run and seen to work, or begins with "no
    redraw cures this"; it is empty where cures were not asked for. `meaning` says what the fault
    does to SGD and to Adam.
    """

    verdict: str
    names: tuple[str, ...]
    reason: str
    cure: str = ""
    meaning: str = ""

    def __str__(self) -> str:
        where = f": {listed(self.names)}" if self.names else ""
        cure = f"Cure: {self.cure}." if self.cure else ""
        return " ".join(filter(None, [f"{self.verdict}{where}. {self.reason}", cure, self.meaning]))


# What a line of the report shows, and what `table` adds; with the titles.
COLUMNS = {
    "name": "kernel",
    "verdict": "verdict",
    "std": "std",
    "ideal": "ideal",
    "z2": "E z²",
    "effect": "gradient",
}
TITLES = {
    "x2": "E x²",
    "gradient": "E δ²",
    "x_share": "x varies",
    "z_share": "z varies",
} | COLUMNS


@dataclass(frozen=True)
class Audit:
    """How a model starts: print it, plot it, or assert its `ok`.

    Parameters
    ----------
    model : its name
    rows : one for each site, in the order in which they run
    findings : the faults, those of the whole first
    notes : what is no fault and worth knowing; what could not be told, and why
    judged : whether anything was measured that a verdict can rest on
    loss, blind : the first loss, and that of a network that knows nothing
    inputs : E x² of each input of numbers
    """

    model: str
    rows: tuple[Row, ...]
    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()
    judged: bool = True
    loss: float = NAN
    blind: float = NAN
    inputs: dict[str, float] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether something was judged, and nothing found."""
        return self.judged and not self.findings

    def _headline(self) -> str:
        if not self.judged:
            state = "nothing was judged"
        elif self.ok:
            state = "ok"
        else:
            bad = sum(row.verdict != "good" for row in self.rows)
            whole = [finding.verdict for finding in self.findings if not finding.names]
            counted = [f"{bad} of {len(self.rows)} kernels not good"] if bad else []
            state = ", ".join([*whole, *counted])
        loss = ""
        if not math.isnan(self.loss):
            loss = f"; first loss {self.loss:.3g}"
            loss += "" if math.isnan(self.blind) else f", knowing nothing {self.blind:.3g}"
        return f"{self.model}: {state}{loss}"

    def table(self, *columns: str) -> str:
        """The rows as text, with the named fields of `Row`; all of them where none is named.

        Raises
        ------
        ValueError
            A name that is no field of `Row`.
        """
        known = [f.name for f in fields(Row)]
        for name in columns:
            if name not in known:
                raise ValueError(f"a column must be one of {', '.join(known)}, got {name!r}")
        chosen = columns or tuple(known)
        lines = [[TITLES.get(name, name) for name in chosen]]
        lines += [[_cell(getattr(row, name)) for name in chosen] for row in self.rows]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        return "\n".join(
            "  ".join(f"{cell:<{n}}" for cell, n in zip(line, widths, strict=True)).rstrip()
            for line in lines
        )

    def __str__(self) -> str:
        return "\n".join([self._headline(), self.table(*COLUMNS), *self._texts()])

    __repr__ = __str__

    def _texts(self) -> list[str]:
        return [*map(str, self.findings), *self.notes]

    def _repr_html_(self) -> str:
        head = "".join(f"<th scope='col'>{title}</th>" for title in COLUMNS.values())
        body = ""
        for row in self.rows:
            name, *cells = (html.escape(_cell(getattr(row, key))) for key in COLUMNS)
            line = "".join(f"<td>{cell}</td>" for cell in cells)
            body += f"<tr><th scope='row'>{name}</th>{line}</tr>"
        text = "".join(f"<p>{html.escape(line)}</p>" for line in self._texts())
        return (
            f"<table><caption>{html.escape(self._headline())}</caption>"
            f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{text}"
        )

    def to_html(self) -> str:
        """The report as a page of its own."""
        title = html.escape(self.model)
        return (
            f"<!doctype html><html lang='en'><head><meta charset='utf-8'><title>{title}</title>"
            "<style>body{font-family:sans-serif;margin:2em}td,th{padding:.2em .8em;text-align:left}"
            f"</style></head><body>{self._repr_html_()}</body></html>\n"
        )

    def to_dict(self) -> dict[str, Any]:
        """Everything, in types that JSON knows; numbers that are not finite become None."""
        return {
            "model": self.model,
            "ok": self.ok,
            "judged": self.judged,
            "loss": _plain(self.loss),
            "blind": _plain(self.blind),
            "inputs": {name: _plain(value) for name, value in self.inputs.items()},
            "rows": [
                {f.name: _plain(getattr(row, f.name)) for f in fields(row)} for row in self.rows
            ],
            "findings": [
                {f.name: _plain(getattr(finding, f.name)) for f in fields(finding)}
                for finding in self.findings
            ],
            "notes": list(self.notes),
        }

    def plot(self) -> Figure:
        """The signal and the gradient by kernel, each as a multiple of where it sets out.

        Raises
        ------
        ValueError
            Nothing was measured.
        """
        from winit import plots  # Matplotlib loads when a figure is asked for

        rows = [row for row in self.rows if math.isfinite(row.z2)]
        if not rows:
            raise ValueError(f"{self.model} has no kernel that was measured: nothing to plot")
        curves = {"signal": np.array([row.z2 for row in rows]) / (rows[0].z2 or 1.0)}
        gradient = np.array([row.effect for row in rows])
        if np.isfinite(gradient).all():
            curves["gradient"] = gradient / (gradient[-1] or 1.0)
        return plots.by_layer(curves, ylabel="relative second moment", xlabel="kernel, input first")


def listed(names: tuple[str, ...]) -> str:
    """The first three names, and how many more there are."""
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return list(value)
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _cell(value: Any) -> str:
    if isinstance(value, tuple):
        return "×".join(map(str, value))
    if isinstance(value, float):
        return "–" if math.isnan(value) else f"{value:.3g}"
    return str(value)
