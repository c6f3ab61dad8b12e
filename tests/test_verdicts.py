"""The page "What each verdict means": its thresholds are the judge's, its sections the verdicts."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

import pytest

from winit import judge

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT / "book" / "_ext"))

import thresholds  # noqa: E402  (a Sphinx extension, which no package holds)

TEXT = (ROOT / "book" / "verdicts.md").read_text(encoding="utf-8")
NAMED = re.findall(r"\{threshold\}`(\w+)`", TEXT)
SOURCE = ast.parse(Path(judge.__file__).read_text(encoding="utf-8"))
# Numbers of the judge that decide no verdict: of what blames and opens, and a seed.
INNER = {"HEAD", "OPENED", "KEY"}


def verdicts() -> set[str]:
    """Every verdict that a rule can give, from the judge's source."""
    calls = [node for node in ast.walk(SOURCE) if isinstance(node, ast.Call)]
    signs = [call for call in calls if isinstance(call.func, ast.Name) and call.func.id == "Sign"]
    return {ast.literal_eval(call.args[1]) for call in signs}


def test_every_threshold_of_the_judge_is_on_the_page() -> None:
    numbers = {n for n, v in vars(judge).items() if n.isupper() and isinstance(v, (int, float))}
    assert numbers - INNER == set(NAMED)


@pytest.mark.parametrize("name", sorted(set(NAMED)))
def test_threshold_is_the_judges(name: str) -> None:
    assert thresholds.value(name) == getattr(judge, name)


def test_no_threshold_is_typed_by_hand() -> None:
    """The page's other numbers are known: what they are, it says beside them."""
    typed = set(re.findall(r"(?<![\w`])\d[\d,.]*\d(?![\w`])", re.sub(r"\]\([^)]*\)", "]", TEXT)))
    assert typed <= {"255", "0.01", "1.47", "10"}  # 10 is a chapter


def test_every_verdict_has_its_section() -> None:
    headings = " ".join(re.findall(r"^## (.*)$", TEXT, re.M)).lower()
    assert len(verdicts()) >= 8
    assert [verdict for verdict in sorted(verdicts()) if verdict not in headings] == []


@pytest.mark.parametrize(
    ("number", "written"),
    [
        (100.0, "100"),
        (1e6, "1,000,000"),
        (0.75, "0.75"),
        (1e-4, "0.0001"),
        (2.0**-16, "2⁻¹⁶"),
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
