"""The ledger: every claim that the book tests, with what is said, predicted and measured.

A row holds no measurement. Its experiment is a function of a seed (ledger_classic.py and
ledger_modern.py), `make ledger` runs all of them with three seeds and stores the numbers in
ledger.json, and the verdicts are computed from these.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from ledger_row import Row, digits, rounded
from ledger_rows import GROUPS

HERE = Path(__file__).resolve().parent
STORED = HERE / "ledger.json"
MEASURED = ("row", "rows", "theory", "classic", "modern")
SEEDS = (0, 1, 2)
ROWS = [row for group in GROUPS.values() for row in group]


def fingerprint() -> str:
    """A hash of the rows' text and of their experiments'."""
    texts = [(HERE / f"ledger_{name}.py").read_text(encoding="utf-8") for name in MEASURED]
    return hashlib.sha256("".join(texts).encode()).hexdigest()[:16]


def measure(row: Row, seeds: tuple[int, ...] = SEEDS) -> dict[str, float | None]:
    """The row's entry in ledger.json: mean, spread, the first seed's number, and the prediction."""
    values = [row.measure(seed) for seed in seeds]
    mean = float(np.mean(values))
    places = digits(row, mean)
    predicted = None if row.predicted is None else row.predicted()
    return {
        "measured": rounded(mean, places),
        "spread": rounded(float(np.std(values, ddof=1)), 2),
        "first": rounded(values[0], places),
        "predicted": None if predicted is None else rounded(predicted, max(places, 4)),
    }


def read() -> dict[str, Any]:
    """What ledger.json holds: the fingerprint, the sources' names and addresses, the numbers."""
    content: dict[str, Any] = json.loads(STORED.read_text(encoding="utf-8"))
    return content


def stored() -> dict[str, dict[str, Any]]:
    """The numbers of all rows, from ledger.json."""
    rows: dict[str, dict[str, Any]] = read()["rows"]
    return rows
