"""Ten starts trained before and after: the table is what is stored, and that is trained again."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import pytest
import starts

from benchmarks import training

STORED: dict[str, Any] = training.stored()
ENTRIES = STORED["starts"]
TEXT = training.PAGE.read_text(encoding="utf-8")
SECTION = TEXT.split("## What the verdicts mean for training")[1]
ROWS = re.findall(r"^\| (.*?) \| (.*?) \| .*? \| (.*?) \| (.*?) \| (.*?) \|$", SECTION, re.M)[1:]
# What JAX compiles calls names that are to go in a later Flax.
pytestmark = pytest.mark.filterwarnings("ignore:.*flax.nnx.State.*:DeprecationWarning")


def test_starts_that_the_cure_helps_too_little_are_named_with_what_it_does_not_do() -> None:
    for optimizer in training.OPTIMIZERS:
        runs = {name: entry[optimizer] for name, entry in ENTRIES.items()}
        little = [name for name, run in runs.items()
                  if not training.helped(run) and not training.well(run)]  # fmt: skip
        told = f"For {training.short(little)} the cure does not halve the final loss."
        assert (told in training.summary(ENTRIES, optimizer)) == bool(little)
    assert "less than that" not in SECTION


def test_page_says_what_is_stored() -> None:
    assert training.page(TEXT, STORED) == TEXT, "benchmarks/training.py --page writes it again"


def read(cell: str) -> float:
    """A loss as the page has it; one that is below what counts, or diverges, is what it counts."""
    if cell in ("diverges", f"<\u00a0{training.LEARNED}"):
        return math.inf if cell == "diverges" else training.LEARNED
    return float(re.sub(r"\$(.*) \\cdot 10\^\{(.*)\}\$", r"\1e\2", cell))


def losses(entry: Mapping[str, Any], side: str) -> list[float]:
    return [entry["first"][side], *(entry[o][side]["final"] for o in training.OPTIMIZERS)]


def test_table_has_every_start_with_its_numbers() -> None:
    """Read from the page, not from the code that wrote it; two digits are within 5 %."""
    assert [row[0] for row in ROWS] == [training.STARTS[name] for name in ENTRIES]
    for (_, verdict, *cells), entry in zip(ROWS, ENTRIES.values(), strict=True):
        assert verdict == entry["verdict"]
        for k, side in enumerate(("before", "after")):
            said = [read(cell.split(" → ")[k]) for cell in cells]
            counts = [max(math.inf if v is None else v, training.LEARNED)
                      for v in losses(entry, side)]  # fmt: skip
            assert said == pytest.approx(counts, rel=0.05)


@pytest.mark.parametrize("name", training.STARTS)
def test_a_changed_digit_is_seen(name: str) -> None:
    (line,) = re.findall(rf"^\| {re.escape(training.STARTS[name])} .*\|$", TEXT, re.M)
    changed = TEXT.replace(line, re.sub(r"\d", lambda d: str((int(d[0]) + 1) % 10), line))
    assert changed != TEXT and training.page(changed, STORED) == TEXT


def test_a_place_that_is_missing_is_named() -> None:
    with pytest.raises(ValueError, match="no place for the table"):
        training.page(TEXT.replace("<!-- training -->", ""), STORED)


def test_stored_result_is_of_the_rule_as_it_stands() -> None:
    assert set(STORED) == {"versions", "steps", "rates", "starts"}
    assert (STORED["steps"], tuple(STORED["rates"])) == (training.STEPS, training.RATES)
    assert list(ENTRIES) == list(training.STARTS)
    for name, entry in ENTRIES.items():
        assert entry["verdict"] == starts.BY_NAME[name].verdict
        for optimizer in training.OPTIMIZERS:
            for run in entry[optimizer].values():
                assert (run["final"] is None) == (run["rate"] is None)
                assert run["rate"] in (None, *training.RATES)


def test_every_verdict_and_framework_is_among_the_ten() -> None:
    listed = [starts.BY_NAME[name] for name in training.STARTS]
    assert len(listed) == 10
    assert {s.framework for s in listed} == {s.framework for s in starts.STARTS}
    assert {s.verdict for s in listed} == {s.verdict for s in starts.STARTS} - {"good"}


def finals(name: str, optimizer: str) -> tuple[float, float]:
    """The final losses before and after, as the page counts them: what is learned is learned."""
    run = ENTRIES[name][optimizer]
    before, after = (max(run[side]["final"], training.LEARNED) for side in ("before", "after"))
    return before, after


def helps(name: str) -> list[bool]:
    return [training.helped(ENTRIES[name][optimizer]) for optimizer in training.OPTIMIZERS]


def test_what_the_page_says_beside_the_table_is_so() -> None:
    """The paragraphs after it, sentence by sentence; the test above reads the table itself."""
    either = {name for name in ENTRIES if all(helps(name))}
    assert either == {"eqx_conv_dead", "nnx_conv_ones", "siren_without_30"}
    for optimizer in training.OPTIMIZERS:
        assert (
            finals("nnx_conv_ones", optimizer)[0] < ENTRIES["nnx_conv_ones"]["first"]["before"] / 3
        )
    assert helps("eqx_mlp_24") == [False, True]
    assert finals("eqx_mlp_24", "Adam")[1] == training.LEARNED
    assert 1 < finals("eqx_mlp_24", "SGD")[1] < finals("eqx_mlp_24", "SGD")[0]

    assert not any(training.well(ENTRIES[name]["Adam"]) for name in {*either, "eqx_mlp_24"})

    unneeded = {"residual_unscaled", "simple_rnn_ten_times"}
    assert all(training.well(ENTRIES[n][o]) for n in unneeded for o in training.OPTIMIZERS)

    blocks = ENTRIES["residual_unscaled"]["SGD"]
    assert blocks["before"]["rate"] == min(training.RATES) < blocks["after"]["rate"]

    others = set(ENTRIES) - either - unneeded - {"eqx_mlp_24"}
    assert others == {"nnx_lecun_relu_16", "silu_30_he", "gpt_tied_std_1", "tabular_1e3"}
    assert all(training.well(ENTRIES[name]["Adam"]) for name in others)
    for name in ("nnx_lecun_relu_16", "tabular_1e3"):
        before, after = finals(name, "SGD")
        assert after < training.WELL and before >= 1
    before, after = finals("gpt_tied_std_1", "SGD")
    assert 0.05 > before > training.HELPS * after > before / 1.5
    assert min(finals("silu_30_he", "SGD")) > 0.9 * ENTRIES["silu_30_he"]["first"]["before"]

    higher = {
        (n, o) for n in ENTRIES for o in training.OPTIMIZERS if finals(n, o)[1] > finals(n, o)[0]
    }
    assert higher == {
        ("gpt_tied_std_1", "Adam"),
        ("simple_rnn_ten_times", "Adam"),
        ("residual_unscaled", "SGD"),
    }
    assert all(finals(*run)[1] < 0.002 for run in higher)


@pytest.mark.parametrize(
    ("before", "after", "helps", "well"),
    [
        (2.0, 1.0, True, False),
        (2.0, 1.01, False, False),
        (None, 1.0, True, False),
        (1.0, None, False, False),
        (None, None, False, False),
        (0.0019, 0.0, False, True),  # both are learned
        (0.0, 0.0, False, True),
    ],
)
def test_when_a_cure_helps(
    before: float | None, after: float | None, helps: bool, well: bool
) -> None:
    run = {"before": {"final": before}, "after": {"final": after}}
    assert (training.helped(run), training.well(run)) == (helps, well)


def test_the_best_rate_is_of_those_that_stay_finite() -> None:
    """(w - 1)² from 0: w_t = 1 - (1 - 2 rate)^t; a rate of 10 diverges, and 1 jumps to and fro."""
    run = training.train(lambda p, x: (p["w"] - x) ** 2, {"w": 0.0}, 1.0, "SGD")
    assert run["rate"] == 0.1 and run["final"] == pytest.approx(0.0, abs=1e-12)
    never = training.train(lambda p, x: p["w"] / 0, {"w": 1.0}, 1.0, "SGD")
    assert never == {"final": None, "rate": None}


@pytest.mark.long
def test_one_small_entry_comes_out_again() -> None:
    """The draws differ from processor to processor in the last digits alone.

    So the first losses are equal but for half a unit of the third digit, which is 0.5 % at most.
    What is learned is learned again, to another small loss: descent turns rounding into any number
    below `LEARNED`. With SGD and unscaled inputs the first steps turn the ReLUs off, and what soon
    remains is a constant: its loss is the variance of the targets, 1 whatever was rounded (noise of
    1e-6 in all weights moves it by 1e-7).
    """
    name = "tabular_1e3"
    entry, before = training.measure(name), ENTRIES[name]
    assert entry.pop("first") == pytest.approx(before["first"], rel=0.01)
    for optimizer in training.OPTIMIZERS:
        again, runs = entry.pop(optimizer), before[optimizer]
        for side in ("before", "after"):
            new, old = (max(r[side]["final"], training.LEARNED) for r in (again, runs))
            assert new == pytest.approx(old, rel=0.01)
    assert entry == {key: value for key, value in before.items() if key in entry}
