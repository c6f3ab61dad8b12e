"""The report: what it prints, writes, draws and refuses."""

from __future__ import annotations

import json
import math
import re
from dataclasses import FrozenInstanceError, fields, replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from winit.report import COLUMNS, LEGEND, PAGE, Audit, Finding, Row, listed

GOOD = Row("a/kernel", shape=(3, 4), fan_in=3.0, std=0.51234, z2=2.0, effect=4.0, units=4)
BAD = Row("b<1>", "dead", z2=0.0, effect=0.0)
FAULT = Finding("dead", ("b<1>",), "No signal passes.", "draw it again", "Nothing moves it.")
WHOLE = Finding("inputs unscaled", (), "E x² is 1e+06.")


def test_ok_needs_something_judged_and_nothing_found() -> None:
    assert Audit("m", (GOOD,)).ok
    assert not Audit("m", (GOOD,), (WHOLE,)).ok
    assert not Audit("m", (), judged=False).ok


def test_it_is_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        GOOD.verdict = "bad"  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        Audit("m", ()).model = "n"  # type: ignore[misc]


def test_the_text_has_a_headline_six_columns_and_all_findings_and_notes() -> None:
    report = Audit("m", (GOOD, BAD), (WHOLE, FAULT), ("a note",), loss=2.31, blind=math.log(10))
    lines = str(report).splitlines()
    assert lines[0] == (
        "m: inputs unscaled, dead at 1 of 2 kernels; first loss 2.31 (knowing nothing: 2.3)"
    )
    assert lines[1].split("  ")[0] == "kernel" and len(COLUMNS) == 6
    assert lines[2].split() == ["a/kernel", "good", "0.512", "–", "2", "4"]
    assert lines[4:] == [
        "inputs unscaled. E x² is 1e+06.",
        "dead: b<1>. No signal passes. Cure: draw it again. Nothing moves it.",
        LEGEND,
        PAGE,
        "a note",
    ]
    assert repr(report) == str(report)


def test_calls_of_one_kernel_are_counted_as_places() -> None:
    again = replace(BAD, name=f"{BAD.name} (call 2)")
    headline = str(Audit("m", (GOOD, BAD, again), (FAULT,))).splitlines()[0]
    assert headline == "m: dead at 2 of 3 places"
    assert str(Audit("m", ())).startswith("m: ok\n")
    assert str(Audit("m", (), judged=False)).startswith("m: nothing was judged\n")


def test_text_and_page_name_the_books_page_where_something_was_found() -> None:
    """By their true titles; the book has no address that a report could link to."""
    root = Path(__file__).resolve().parent.parent
    page = (root / "book" / "verdicts.md").read_text(encoding="utf-8")
    title = page.splitlines()[0].removeprefix("# ")
    (book,) = re.findall(r"^title: (.*)$", (root / "_config.yml").read_text(encoding="utf-8"), re.M)
    assert title in PAGE and book in PAGE
    found, sound = Audit("m", (BAD,), (FAULT,)), Audit("m", (GOOD,), notes=("a note",))
    for text in (str(found), found._repr_html_()):
        assert title in text
    for text in (str(sound), sound._repr_html_()):
        assert title not in text


def test_below_a_finding_stands_what_each_column_of_numbers_is() -> None:
    numbers = [title for title in COLUMNS.values() if title not in ("kernel", "verdict")]
    assert [part.partition(":")[0] for part in LEGEND.split("; ")] == numbers
    assert LEGEND in str(Audit("m", (BAD,), (FAULT,))) and LEGEND not in str(Audit("m", (GOOD,)))
    page = Path(__file__).resolve().parent.parent / "book" / "verdicts.md"
    rows = re.findall(r"^\| `(.+?)` \|", page.read_text(encoding="utf-8"), re.M)
    assert rows == [*COLUMNS.values()]


def test_a_cure_of_two_findings_is_printed_once() -> None:
    follows = Finding("first loss far too high", (), "It is 44.", FAULT.cure)
    lines = str(Audit("m", (BAD,), (FAULT, follows))).splitlines()
    assert lines[-3] == "first loss far too high. It is 44. Cure: as above."
    assert "\n".join(lines).count(FAULT.cure) == 1
    no_cures = str(Audit("m", (BAD,), (WHOLE, replace(WHOLE, verdict="dead"))))
    assert "Cure" not in no_cures


def test_the_table_has_all_fields_or_those_that_are_named() -> None:
    report = Audit("m", (GOOD,))
    assert len(report.table().splitlines()[0].split("  ")) >= len(fields(Row))
    assert report.table("name", "shape").splitlines() == ["kernel    shape", "a/kernel  3×4"]
    with pytest.raises(ValueError, match=r"a column must be one of name, .* got 'nome'"):
        report.table("nome")


def test_the_page_is_well_formed_and_escaped() -> None:
    class Tags(HTMLParser):
        def __init__(self) -> None:
            super().__init__()
            self.open: list[str] = []

        def handle_starttag(self, tag: str, attrs: object) -> None:
            self.open.append(tag)

        def handle_endtag(self, tag: str) -> None:
            assert self.open.pop() == tag

    page = Audit("m", (GOOD, BAD), (FAULT,), ("<b>",))._repr_html_()
    parser = Tags()
    parser.feed(page)
    assert not parser.open and page.count("<tr>") == 3 and page.count("scope='col'") == 6
    assert "b&lt;1&gt;" in page and "<p>&lt;b&gt;</p>" in page and "b<1>" not in page


def test_the_dict_is_strict_json_with_every_field() -> None:
    report = Audit("m", (GOOD, BAD), (FAULT,), ("note",), inputs={"x": math.inf})
    found = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert found["ok"] is False and found["model"] == "m" and found["notes"] == ["note"]
    assert set(found["rows"][0]) == {f.name for f in fields(Row)}
    assert found["rows"][0]["shape"] == [3, 4] and found["rows"][0]["ideal"] is None
    assert found["findings"][0]["cure"] == "draw it again" and found["inputs"] == {"x": None}


def test_the_figure_shows_what_was_measured() -> None:
    figure = Audit("m", (GOOD, GOOD)).plot()
    assert {text.get_text() for text in figure.axes[0].texts} == {"signal", "gradient"}
    signal_alone = Audit("m", (Row("a", z2=1.0), Row("b", z2=2.0))).plot()
    assert {text.get_text() for text in signal_alone.axes[0].texts} == {"signal"}
    with pytest.raises(ValueError, match="m has no kernel that was measured"):
        Audit("m", (Row("a"),)).plot()


def test_names_are_listed_up_to_three() -> None:
    assert listed(("a", "b", "c")) == "a, b, c" and listed(tuple("abcde")) == "a, b, c and 2 more"
