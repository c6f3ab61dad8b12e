"""What an audit found, to print, plot and assert: the numbers are measured, the verdicts judged."""

from __future__ import annotations

import html
import json
import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from winit import _checks

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAN = math.nan
# Below every report with a finding.
LEGEND = (
    "std: the kernel's; ideal: the std for its fans and activations; E z²: the mean square "
    "of what the kernel gives; gradient: std² times the squared norm of the loss's gradient by it."
)
PAGE = 'See "What each verdict means" in winit\'s book, "Before the first step".'
COLUMNS = {  # what a report shows, and the titles; `Audit.table` has all fields of Row
    "name": "kernel",
    "verdict": "verdict",
    "std": "std",
    "ideal": "ideal",
    "z2": "E z²",
    "effect": "gradient",
}


@dataclass(frozen=True)
class Row:
    """A place where data meets a kernel. NaN is what was not measured, or does not apply.

    `before` and `after` are the activations around the kernel, `ideal` the std for its fans and
    these. Where the model multiplies a kernel by known numbers, both stds are of the product. `x2`
    and `z2` are E x² of what it reads and E z² of its result, `drift` ln of E x² over that of its
    roots, `g2` E of the squared gradient at z, `effect` std² ‖∂L/∂W‖²,
    what a relative redraw does to the loss, `uneven` ln of the largest E z² of independent `groups`
    over the smallest. `x_share` and `z_share` say how much varies over the
    examples, `elasticity` is d ln E z² at the last kernel by d ln of this one's scale.
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
    g2: float = NAN
    drift: float = NAN
    effect: float = NAN
    x_share: float = NAN
    z_share: float = NAN
    saturated: float = NAN
    dead: float = NAN
    distinct: float = NAN
    units: int = 0
    groups: int = 1
    uneven: float = NAN
    elasticity: float = NAN


@dataclass(frozen=True)
class Finding:
    """A fault: who did it (nobody, where it is the whole's), why, and a cure that was run.

    `changes` are all parameters that the cure draws or sets, `meaning` says what the fault is to
    SGD and to Adam.
    """

    verdict: str
    names: tuple[str, ...]
    reason: str
    cure: str = ""
    meaning: str = ""
    changes: tuple[str, ...] = ()

    def __str__(self) -> str:
        where = f"{self.verdict}: {listed(self.names)}." if self.names else f"{self.verdict}."
        cure = f"Cure: {self.cure}." if self.cure else ""
        return " ".join(filter(None, [where, self.reason, cure, self.meaning]))


@dataclass(frozen=True)
class Audit:
    """How a model starts: print it, plot it, or assert its `ok`.

    `judged` says whether anything was measured that a verdict can rest on, `blind` is the loss of a
    network that knows nothing, `inputs` has E x² of each input of numbers.
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

    def _lines(self) -> tuple[str, list[str]]:
        """The headline, and what stands below the table."""
        at = Counter(row.verdict for row in self.rows)
        rows = "places" if any(" (call " in row.name for row in self.rows) else "kernels"
        parts = [f.verdict + f" at {at[f.verdict]} of {len(self.rows)} {rows}" * (f.verdict in at)
                 for f in self.findings]  # fmt: skip
        state = ", ".join(parts) or ("ok" if self.judged else "nothing was judged")
        blind = "" if math.isnan(self.blind) else f" (knowing nothing: {self.blind:.3g})"
        loss = "" if math.isnan(self.loss) else f"; first loss {self.loss:.3g}{blind}"
        said, cures = list[str](), set[str]()
        for finding in self.findings:  # what follows from another has its cure
            again = finding.cure and finding.cure in cures
            said.append(str(replace(finding, cure="as above") if again else finding))
            cures.add(finding.cure)
        said += [LEGEND, PAGE] if said else []
        return f"{self.model}: {state}{loss}", [*said, *self.notes]

    def table(self, *columns: str) -> str:
        """The rows as text: all fields of `Row`, or those that are named.

        Raises
        ------
        ValueError
            A name that is no field of `Row`.
        """
        known = [f.name for f in fields(Row)]
        chosen = [_checks.choice(name, "a column", known) for name in columns] or known
        lines = [[COLUMNS.get(name, name) for name in chosen], *self._cells(chosen)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        padded = [zip(line, widths, strict=True) for line in lines]
        return "\n".join("  ".join(f"{cell:<{n}}" for cell, n in line).rstrip() for line in padded)

    def _cells(self, columns: Any) -> list[list[str]]:
        return [[_cell(getattr(row, name)) for name in columns] for row in self.rows]

    def __str__(self) -> str:
        headline, texts = self._lines()
        return "\n".join([headline, self.table(*COLUMNS), *texts])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        headline, texts = self._lines()
        head = "".join(f"<th scope='col'>{title}</th>" for title in COLUMNS.values())
        body = ""
        for line in self._cells(COLUMNS):
            name, *cells = map(html.escape, line)
            body += f"<tr><th scope='row'>{name}</th>{''.join(f'<td>{c}</td>' for c in cells)}</tr>"
        return (
            f"<table><caption>{html.escape(headline)}</caption>"
            f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
            + "".join(f"<p>{html.escape(text)}</p>" for text in texts)
        )

    def to_dict(self) -> dict[str, Any]:
        """Everything, in types that JSON knows; numbers that are not finite become None."""
        text = json.dumps({"ok": self.ok, **asdict(self)})
        return json.loads(text, parse_constant=lambda _: None)  # type: ignore[no-any-return]

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


def listed(names: Iterable[str]) -> str:
    """The first three names, and how many more there are."""
    said = [*names]
    return ", ".join(said[:3]) + (f" and {len(said) - 3} more" if len(said) > 3 else "")


def _cell(value: Any) -> str:
    if isinstance(value, tuple):
        return "×".join(map(str, value))
    if isinstance(value, float):
        return "–" if math.isnan(value) else f"{value:.3g}"
    return str(value)
