"""The page "How the zoo starts": what it says is what is stored, and what is stored is measured."""

from __future__ import annotations

import importlib
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch
from PIL import Image

import zoo
from winit import judge

STORED: dict[str, Any] = zoo.stored()
MODELS = STORED["models"]
TEXT = zoo.PAGE.read_text(encoding="utf-8")


def test_page_says_what_is_stored() -> None:
    assert zoo.page(TEXT, STORED) == TEXT, "tools/zoo.py --page makes the page again"


def test_table_has_every_model_with_its_numbers() -> None:
    """Read from the page, not from the code that wrote it."""
    lines = re.findall(r"^\| (\w+(?: \(PyTorch\))?) \| .* \|$", TEXT, re.M)
    assert [name for name in lines if name != "Model"] == list(MODELS)
    for name, entry in MODELS.items():
        (line,) = re.findall(rf"^\| {re.escape(name)} \| (.*) \|$", TEXT, re.M)
        _, kernels, signal, gradient, verdict = line.split(" | ")
        assert int(kernels) == entry["kernels"]
        assert (verdict == "good") == entry["ok"]
        for cell, what in ((signal, "signal"), (gradient, "gradient")):
            written = re.sub(r"\$(.*) \\cdot 10\^\{(.*)\}\$", r"\1e\2", cell).replace(",", "")
            assert float(written) == pytest.approx(entry[what]["end"], rel=0.05)


def test_a_changed_digit_is_seen() -> None:
    name = next(iter(MODELS))
    (line,) = re.findall(rf"^\| {name} .*\|$", TEXT, re.M)
    changed = TEXT.replace(line, re.sub(r"\d", lambda d: str((int(d[0]) + 1) % 10), line))
    assert changed != TEXT and zoo.page(changed, STORED) == TEXT


def test_a_place_that_is_missing_is_named() -> None:
    with pytest.raises(ValueError, match="no place for versions"):
        zoo.page(TEXT.replace("<!-- versions -->", ""), STORED)


def test_stored_result_has_the_models_in_order_and_no_date() -> None:
    assert list(MODELS) == [name for name in zoo.NAMES if name in MODELS]
    assert set(STORED) == {"versions", "models"}
    assert not re.search(r"20\d\d-\d\d", zoo.STORED.read_text(encoding="utf-8"))
    for entry in MODELS.values():
        assert entry["ok"] == (not entry["verdicts"])
        for what in (zoo.SIGNAL, zoo.GRADIENT):
            assert entry[what]["least"] <= min(1, entry[what]["end"])
            assert entry[what]["most"] >= max(1, entry[what]["end"])


def test_picture_shows_what_is_stored(tmp_path: Path) -> None:
    zoo.save(tmp_path / "zoo.png")
    drawn, stored = (
        np.asarray(Image.open(path).convert("RGBA"), dtype=float)
        for path in (tmp_path / "zoo.png", zoo.PICTURE)
    )
    assert drawn.shape == stored.shape
    assert np.sqrt(np.mean((drawn - stored) ** 2)) < 0.5, "tools/zoo.py --page draws it again"


@pytest.mark.parametrize("what", [zoo.SIGNAL, zoo.GRADIENT])
def test_longest_lines_are_told_of_both_panels(what: str) -> None:
    """In the picture's words of all models, in the text of those that start well."""
    (alt,) = re.findall(r"^:alt: (.*)$", TEXT, re.M)
    (text,) = re.findall(r"<!-- spans -->\n(.*)\n<!-- end -->", TEXT)
    lines = {n: math.log10(e[what]["most"] / e[what]["least"]) for n, e in MODELS.items()}
    good = {name: line for name, line in lines.items() if MODELS[name]["ok"]}
    for told, among in ((alt, lines), (text, good)):
        about = told[told.index(f"of a {what}") :]
        longest = max(among, key=lambda name: among[name])
        assert longest in about and f"over {among[longest]:.0f}" in about
        assert about.index(longest) < len(what) + 20  # next to what it is said of


def test_bound_of_the_gradient_is_as_many_layers_as_the_page_says() -> None:
    (layers,) = re.findall(r"as (\d+) such layers", TEXT)
    factor = math.pi / (math.pi - 1)
    assert f"= {factor:.2f}$" in TEXT
    assert math.log(judge.STEEP_NORMALIZED) / math.log(factor) == pytest.approx(
        int(layers), abs=0.5
    )
    normalized = [e[zoo.GRADIENT]["end"] for e in MODELS.values() if e["ok"]]
    assert judge.STEEP_NORMALIZED / 10 < max(normalized) < judge.STEEP_NORMALIZED


def test_signals_of_language_models_of_pytorch_end_at_their_width() -> None:
    """The page says why."""
    names = [name for name in zoo.OF_TORCH if MODELS[name]["input"] == "16 tokens"]
    assert names == list(zoo.OF_TORCH)[:6] and "The head is why the signal of the first six" in TEXT
    for name in names:  # a mean over the words of squares, each of which has the variance 2
        assert abs(MODELS[name]["signal"]["end"] / 64 - 1) < 4 * math.sqrt(2 / zoo.VOCABULARY)


def comes_out_again(name: str) -> None:
    """The draws differ from processor to processor in the last digits alone."""
    entry, before = zoo.measure(name), MODELS[name]
    for what in (zoo.SIGNAL, zoo.GRADIENT):
        assert entry.pop(what) == pytest.approx(before[what], rel=0.02)
    assert entry == {key: value for key, value in before.items() if key in entry}


@pytest.mark.long
def test_one_small_entry_comes_out_again() -> None:
    comes_out_again("DistilBERT")


@pytest.mark.long
@pytest.mark.parametrize("name", zoo.OF_TORCH)
def test_entries_of_pytorch_come_out_again(name: str) -> None:
    for package in ("torch", "transformers"):
        pytorch.skip_without(package, f"{package} is not installed: see tools/zoo_torch.py")
    torch = importlib.import_module("torch")
    state = torch.get_rng_state()
    comes_out_again(name)
    assert torch.equal(torch.get_rng_state(), state)


def test_rows_that_cannot_be_measured_stay(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    measured: list[str] = []
    monkeypatch.setattr(zoo, "missing", lambda: ["torch", "transformers"])
    monkeypatch.setattr(zoo, "measure_all", lambda names: measured.extend(names) or [])
    monkeypatch.setattr(zoo, "save", lambda path: None)
    monkeypatch.setattr(zoo, "PAGE", tmp_path / "zoo.md")
    zoo.PAGE.write_text(TEXT, encoding="utf-8")
    assert zoo.main([]) == 0 and measured == [*zoo.PICTURES, *zoo.TRANSFORMERS]
    (said,) = capsys.readouterr().out.splitlines()
    assert said.startswith("torch and transformers not installed (transformers 5.")
    assert zoo.PAGE.read_text(encoding="utf-8") == TEXT
    assert zoo.main(["--page"]) == 0 and not capsys.readouterr().out


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (0.5, "0.5"),
        (12.34, "12"),
        (0.00123, "0.0012"),
        (1234.0, "1,200"),
        (0.000123, r"$1.2 \cdot 10^{-4}$"),
        (45678.0, r"$4.6 \cdot 10^{4}$"),
    ],
)
def test_numbers_as_the_page_writes_them(value: float, written: str) -> None:
    assert zoo.number(value) == written


def test_the_way_of_a_signal() -> None:
    way = zoo.travel([2.0, 0.0, 1.0, 8.0, 4.0])
    assert way == {"end": 2.0, "least": 0.5, "most": 4.0}
