"""The page "What each verdict means": its thresholds are the judge's, its sections the verdicts."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pytest

from winit import judge, program, subject

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT / "book" / "_ext"))

import thresholds  # noqa: E402  (a Sphinx extension, which no package holds)

PAGE = (ROOT / "book" / "verdicts.md").read_text(encoding="utf-8")
TEXT = re.sub(r"<!-- (\w+) -->.*?<!-- end -->", "", PAGE, flags=re.DOTALL)  # less what is measured
NAMED = re.findall(r"\{threshold\}`(\w+)`", TEXT)
# Numbers of the judge that decide no verdict: of what blames and opens, and a seed.
INNER = {"HEAD", "KEY", "CROSSED", "EQUAL"}


def test_every_threshold_of_the_judge_is_on_the_page() -> None:
    numbers = {n for n, v in vars(judge).items() if n.isupper() and isinstance(v, (int, float))}
    assert numbers - INNER == set(NAMED)


@pytest.mark.parametrize("name", sorted(set(NAMED)))
def test_threshold_is_the_judges(name: str) -> None:
    assert thresholds.value(name) == getattr(judge, name)


def test_no_threshold_is_typed_by_hand() -> None:
    """The page's other numbers are known: what they are, it says beside them."""
    typed = set(re.findall(r"(?<![\w`])\d[\d,.]*\d(?![\w`])", re.sub(r"\]\([^)]*\)", "]", TEXT)))
    assert typed <= {"255", "0.01", "1.47", "10", f"{100 * subject.PEAK:.0f}"}  # 10 is a chapter


def test_bound_below_1_is_written_as_the_inverse_of_the_one_above() -> None:
    for name in ("BOUND", "STEEP"):
        (row,) = re.findall(rf"^\|.* above {{threshold}}`{name}`, or (.*?) \|", TEXT, re.M)
        assert row == f"below 1/{{threshold}}`{name}`"
    assert "one over" not in TEXT


def test_what_is_not_monotone_is_not_judged_saturated() -> None:
    """The page says so of a Gaussian bump, and the program finds no tails of one."""
    z = program.POINTS
    bump, step = np.exp(-(z**2)), np.tanh(z)
    assert program.Elementwise(bump).tails is None
    assert program.Elementwise(step).tails is not None
    section = TEXT.split("## Saturated")[1].split("\n## ")[0]
    assert "not monotone, such as a Gaussian bump, is not judged saturated" in section


def test_with_normalization_a_gradient_may_explode_further_and_shrink_no_further() -> None:
    """As the rules of the judge have it: only `bursts` reads the wider bound."""
    assert "STEEP_NORMALIZED" in judge.bursts.__code__.co_names
    assert "STEEP_NORMALIZED" not in judge.starves.__code__.co_names
    text = " ".join(TEXT.split())
    assert "With normalization the bound of *exploding* is {threshold}`STEEP_NORMALIZED`" in text


def test_every_verdict_has_its_section() -> None:
    headings = " ".join(re.findall(r"^## (.*)$", TEXT, re.M)).lower()
    assert not [rule.verdict for rule in judge.RULES if rule.verdict not in headings]


def test_sections_stand_in_the_order_of_the_rules() -> None:
    """Three rules share a heading, that of the gradient, which comes last."""
    headings = re.findall(r"^## (.*)$", TEXT, re.M)
    found = [
        next(i for i, heading in enumerate(headings) if rule.verdict in heading.lower())
        for rule in judge.RULES[1:-3]
    ]
    assert found == sorted(found)


def test_rows_of_the_table_stand_in_the_order_of_the_sections() -> None:
    headings = [heading.lower() for heading in re.findall(r"^## (.*)$", TEXT, re.M)]
    assert headings.pop(0) == "from a report to a cure"
    table = TEXT.split("|:--|:--|:--|:--|\n")[1].split("\n\n")[0]
    keys = [re.split(r"\||, ", line.strip("| "))[0].strip().lower() for line in table.split("\n")]
    keys = [(re.findall("not finite|gradient", key) or [key])[0] for key in keys]
    found = [next(i for i, heading in enumerate(headings) if key in heading) for key in keys]
    assert found == list(range(len(found))), "each section's alarm has its row, in that order"
    assert headings[len(found)] == "good, and nothing said"


@pytest.mark.parametrize(
    ("number", "written"),
    [
        (100.0, "100"),
        (1e6, "1,000,000"),
        (0.75, "0.75"),
        (1e-4, "0.0001"),
        (2.0**-16, "2⁻¹⁶"),
        (1e-8, "10⁻⁸"),
        (4, "4"),
        (0.5, "0.5"),
    ],
)
def test_numbers_as_the_page_writes_them(number: float, written: str) -> None:
    assert thresholds.words(number) == written


@pytest.mark.parametrize("name", ["BOUNDS", "RULES", "math"])
def test_unknown_threshold_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="has no threshold"):
        thresholds.value(name)
