"""Every number of the prose has a cell, an assertion or a source, or is listed with a reason.

The list is tests/prose_numbers.toml. It holds only settings that a cell makes, data of exercises,
constants, what is quoted or cited, and what a test asserts, which it names.
"""

from __future__ import annotations

import json
import math
import re
import tomllib
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import prose
import pytest

import winit
import zoo
import zoo_torch
from winit import judge, theory

TESTS = Path(__file__).parent
LISTED: dict[str, dict[str, str]] = tomllib.loads(
    (TESTS / "prose_numbers.toml").read_text(encoding="utf-8")
)
REASONS = {"setting", "exercise", "constant", "cited", "asserted"}
PATHS = {path.name: path for path in (*prose.CHAPTERS, *prose.PAGES)}


def covers(entry: str, found: prose.Found) -> bool:
    return entry in found.words and " ".join(found.number.text.split()) in entry


def still_open(name: str) -> list[prose.Found]:
    return [found for found in prose.report(PATHS[name]) if found.kind == "open"]


# The book -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PATHS)
def test_every_number_has_a_source(name: str) -> None:
    entries = LISTED.get(name, {})
    missing = [
        f"{found.number.text!r} in “{found.words}”"
        for found in still_open(name)
        if not any(covers(entry, found) for entry in entries)
    ]
    assert not missing, "print it in a cell of the section, or let it go"


@pytest.mark.parametrize("name", PATHS)
def test_no_entry_of_the_list_is_needless(name: str) -> None:
    found = still_open(name)
    assert not [e for e in LISTED.get(name, {}) if not any(covers(e, one) for one in found)]


def test_every_entry_has_a_reason_of_the_kinds_allowed() -> None:
    assert set(LISTED) <= set(PATHS)
    for reason in (reason for page in LISTED.values() for reason in page.values()):
        kind, _, words = reason.partition(": ")
        assert kind in REASONS and words
        if kind == "asserted":
            module, _, test = words.partition("::")
            assert f"\ndef {test}(" in (TESTS / module).read_text(encoding="utf-8"), reason


# What pages without cells say ---------------------------------------------------------------------


def page(name: str) -> str:
    return " ".join(PATHS[name].read_text(encoding="utf-8").split())


def test_monday_has_the_gains_for_its_depths() -> None:
    text = page("on_monday.md")
    told = dict(re.findall(r"(GELU|SiLU|ELU) (\d\.\d+)", text))
    assert set(told) == {"GELU", "SiLU", "ELU"} and "for 10 layers GELU" in text
    (ten, thirty) = re.findall(r"depth: (\S+) for 10 layers, (\S+) for 30", text)[0]
    gains = [(name.lower(), 10, gain) for name, gain in told.items()]
    for name, depth, gain in (*gains, ("sigmoid", 10, ten), ("sigmoid", 30, thirty)):
        (number,) = prose.numbers(gain)
        assert number.rounds(theory.depth_gain(name, depth))


def test_cover_has_the_factors_of_fifty_layers() -> None:
    assert page("index.md").count("fifty ReLU layers make the signal 70,000 times") == 1
    for gain in (1.25, 1 / 0.8):  # a quarter too large, and one over a fifth too small
        assert round(gain**50, -4) == 70_000


def test_verdicts_has_the_inputs_right_and_the_share_of_sixty_layers() -> None:
    text, c = page("verdicts.md"), 0.0
    assert "bytes from 0 to 255 are not, and a one-hot code of a thousand classes is" in text
    assert judge.LOW < 1 / 1000 < judge.HIGH < 255**2 / 3  # of bytes that are evenly spread
    for _ in range(60):  # the correlation of two inputs after a ReLU, in closed form
        c = (math.sqrt(1 - c**2) + c * (math.pi - math.acos(c))) / math.pi
    (told,) = re.findall(r"Sixty ReLU layers in a row, drawn by He.s rule, keep (0.01),", text)
    assert round(1 - c, 2) == float(told)


def test_zoo_has_the_sizes_of_its_transformers() -> None:
    text, sizes = page("zoo.md"), zoo.TRANSFORMERS
    assert "twelve blocks (DistilBERT: six) of width 64, which read sixteen random tokens" in text
    assert {size["num_layers"] for name, size in sizes.items() if name != "DistilBERT"} == {12}
    assert sizes["DistilBERT"]["num_layers"] == 6 and zoo.LENGTH == 16
    assert {size["hidden_dim"] for size in sizes.values()} == {64}
    assert "ViT and DeiT read pictures of 32 by 32 pixels in patches of 8." in text
    assert (zoo_torch.PATCHES["image_size"], zoo_torch.PATCHES["patch_size"]) == (32, 8)


def test_notation_has_the_axes_of_a_keras_kernel() -> None:
    assert "`in_axis=-2, out_axis=-1` draws a Keras kernel" in page("notation.md")
    kernel = winit.he_normal((10_000, 100), in_axis=-2, out_axis=-1, rng=0)
    assert kernel.std() == pytest.approx(math.sqrt(2 / 10_000), rel=0.01)  # of (fan_in, fan_out)


# The reader ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("0.0456, 40,000 and 2e-12", [0.0456, 4e4, 2e-12]),
        (r"$5 \cdot 10^9$, five billion, a hundred million", [5e9, 5e9, 1e8]),
        ("two thirds, a thousandth, one third", [2 / 3, 0.001, 1 / 3]),
        ("12 times, tenfold, four times, forty-two, nine epochs, one", [12, 10, 4, 42]),
        ("float32, conv5_block2, x2, 3D, 1st, 3.15.1", []),
    ],
)
def test_numbers_are_read(text: str, values: list[float]) -> None:
    assert [number.value for number in prose.numbers(text)] == pytest.approx(values)


@pytest.mark.parametrize(
    ("text", "exact", "expected"),
    [
        ("0.46", 0.4555, True),
        ("0.46", 0.4649, True),
        ("0.46", 0.466, False),
        ("0.456", 0.46, False),  # more digits than were printed
        ("92%", 0.917, True),
        ("92%", 0.914, False),
        ("92", 0.917, False),
        ("70,000", 70_065.0, True),
        ("100", 104.0, False),
        ("10^{-50}", 3e-51, True),
        ("10^{-50}", 3e-52, False),
        (r"3 \cdot 10^{-50}", 4e-50, False),
        ("two thirds", 0.664, True),
        ("17 powers of ten", 2e-17, True),
        ("17 powers of ten", 2e18, False),
        ("17 powers of ten", 17.0, False),
    ],
)
def test_number_is_what_it_rounds_to(text: str, exact: float, expected: bool) -> None:
    (number,) = prose.numbers(text)
    assert number.rounds(exact) == expected


@pytest.mark.parametrize(
    ("formula", "value"),
    [
        (r"\sqrt{2/10}", 0.4472),
        (r"\tfrac12 - \frac{1}{2\pi}", 0.3408),
        (r"36.20 + 4.88^2", 60.0144),
        (r"2^{-14} \sqrt{64/74}", 5.676e-05),
        (r"e^{-18.5}", 9.237e-09),
        (r"\log_2 100", 6.644),
        (r"n \cdot 0.5", None),
    ],
)
def test_formula_of_numbers_is_computed(formula: str, value: float | None) -> None:
    assert prose.evaluate(formula) == (value and pytest.approx(value, rel=1e-3))


Chapter = Callable[..., Path]


@pytest.fixture
def chapter(tmp_path: Path) -> Chapter:
    """A chapter with one paragraph in each of two sections, whose only cell stands in the first."""

    def write(first: str, second: str = "", printed: str = "std 0.0456\n") -> Path:
        code = {"cell_type": "code", "source": ["print(3 * 17)"], "metadata": {}}
        cells = [
            {"cell_type": "markdown", "source": ["# T\n\n## A\n\n", first], "metadata": {}},
            code | {"outputs": [{"output_type": "stream", "text": [printed]}]},
            {"cell_type": "markdown", "source": ["## B\n\n", second], "metadata": {}},
            code | {"outputs": [{"output_type": "stream", "text": ["later 789\n"]}]},
        ]
        for cached in (prose.cells, prose.by_cell, prose.shown, prose.report):
            cached.cache_clear()
        path = tmp_path / "01_t.ipynb"
        path.write_text(json.dumps({"cells": cells}), encoding="utf-8")
        return path

    return write


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("It is 0.046.", "printed"),
        ("It is 0.047.", "open"),
        ("It is 4.6%.", "printed"),
        ("Take 17 of them.", "set"),
        ("Take 51.", "set"),  # 3 * 17
        ("Take 18.", "open"),
        ("Later it is 789.", "open"),
        ("Later ([below](#b)) it is 789.", "printed"),
        (r"So $\sqrt 5 = 2.24$.", "computed"),
        (r"So $\sqrt 5 = 2.23$.", "open"),
        ("So $n / 23$.", "constant"),
        ("So $x = 0.23$.", "open"),
        ("See chapter 4.", "reference"),
        ("As [He et al. (2015)](https://doi.org/10.1109/ICCV.2015.123) say.", "reference"),
        ("> An error of 4.94%.", "quoted"),
        ("> **Note.** An error of 4.94%.", "open"),
        ("- An error of 4.94%.", "open"),
    ],
)
def test_number_gets_its_kind(chapter: Chapter, text: str, kind: str) -> None:
    *_, found = prose.report(chapter(text))
    assert found.kind == kind


def test_citation_serves_its_own_sentence_alone(chapter: Chapter) -> None:
    text = "They got 4.94% ([He et al.](https://doi.org/a)). We got 5.71%."
    assert [(f.number.text, f.kind) for f in prose.report(chapter(text))] == [
        ("4.94%", "cited"),
        ("5.71%", "open"),
    ]


def test_earlier_sections_count_and_so_do_all_for_the_summary(chapter: Chapter) -> None:
    assert [f.kind for f in prose.report(chapter("", "It was 0.0456, then 789."))] == [
        "printed"
    ] * 2
    path = chapter("", "## What we saw\n\n- 789 at last, 790 never.")
    assert [f.kind for f in prose.report(path)] == ["printed", "open"]


def test_words_of_a_figure_are_prose(chapter: Chapter) -> None:
    path = chapter("")
    notebook = json.loads(path.read_text(encoding="utf-8"))
    notebook["cells"][1]["metadata"]["mystnb"] = {"figure": {"caption": "It rises to 45."}}
    path.write_text(json.dumps(notebook), encoding="utf-8")
    assert [(f.number.text, f.kind) for f in prose.report(path)] == [("45", "open")]


def test_a_changed_digit_is_mostly_seen() -> None:
    """Of numbers with three digits in the chapters; the bound was set after looking at 87 %."""
    seen: Counter[bool] = Counter()
    for path in prose.CHAPTERS:
        for paragraph in prose.read(path):
            for found in prose.classify(path, paragraph):
                digits = re.fullmatch(r"(?:0\.0*)?[1-9]\.?\d\.?\d%?", found.number.text)
                if digits and found.kind in ("printed", "set"):
                    number = replace(found.number, value=found.number.value + 2 * found.number.half)
                    sources = prose.sources(path, paragraph)
                    seen[not any(source.how(number) for source in sources)] += 1
    assert seen.total() > 100
    assert seen[True] / seen.total() > 0.8
