"""The book's pictures read on light paper and, as a dark page shows them, on dark paper."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ink
import nbformat
import numpy as np
import pytest
from PIL import Image

from winit import plots

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
CSS = ROOT / "book" / "_static" / "book.css"
FILES = [*CSS.parent.glob("cover-*.png"), CSS.parent.parent / "zoo.png"]


def pixels(png: bytes) -> ink.Array:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGBA"))


def drawn(path: Path) -> Iterator[bytes]:
    """The pictures of a notebook, in order."""
    for cell in nbformat.read(path, as_version=4).cells:
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}):
                yield base64.b64decode(output.data["image/png"])


def complaints(picture: ink.Array) -> list[str]:
    return sorted(words for found in ink.inks(picture) for words in found.complaints())


@pytest.mark.long
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_pictures_of_chapters_read_on_both_papers(path: Path) -> None:
    found = {number: complaints(pixels(png)) for number, png in enumerate(drawn(path), start=1)}
    assert {number: words for number, words in found.items() if words} == {}


@pytest.mark.long
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_other_pictures_read_on_both_papers(path: Path) -> None:
    assert complaints(pixels(path.read_bytes())) == []


def chart(**colors: str) -> ink.Array:
    """A chart whose two lines, and their names, have these colors."""
    curves = {name: np.geomspace(1, 10.0 ** (i + 1), 20) for i, name in enumerate(colors)}
    return pixels(plots._png(plots.by_layer(curves, ylabel="q", colors=colors)))


def table(text: str) -> ink.Array:
    """A heat map whose texts have this color."""
    figure = plots.heatmap(
        [[-1.0, 0.0], [1.0, 0.5]], rows=["a", "b"], columns=["c", "d"], label="l"
    )
    for words in figure.axes[0].texts:
        words.set_color(text)
    return pixels(plots._png(figure))


def dots(color: str) -> ink.Array:
    """Without a grid, which would lie on them."""
    figure, axes = plots.subplots()
    axes.grid(False)
    axes.scatter([0, 1, 2], [0, 2, 1], s=330, color=color)
    return pixels(plots._png(figure))


@pytest.mark.parametrize(
    ("draw", "good", "bad"),
    [
        (lambda color: chart(he=plots.COLORS["he"], other=color), "#ad5600", "#b3790f"),
        (lambda color: chart(he=plots.COLORS["he"], other=color), "#017b44", "#ff9b9a"),
        (lambda color: chart(he=plots.COLORS["he"], other=color), "#101010", "#f0f0e8"),
        (table, "#ffffff", "#c8c8c8"),
        (dots, "#d06a00", "#ffaa55"),
    ],
)
def test_pale_ink_is_seen(draw: Callable[[str], ink.Array], good: str, bad: str) -> None:
    assert complaints(draw(good)) == []
    assert complaints(draw(bad)) != []


def _levels(color: str) -> tuple[int, int, int]:
    red, green, blue = bytes.fromhex(color[1:])
    return red, green, blue


def test_papers_are_those_of_the_page() -> None:
    css = CSS.read_text("utf-8")
    for name in ("paper", "wash"):
        found = re.search(rf"--{name}: light-dark\((#\w{{6}}), (#\w{{6}})\)", css)
        assert found and [_levels(color) for color in found.groups()] == [
            ink.LIGHT[name],
            ink.DARK[name],
        ]


# --- In a browser ---------------------------------------------------------------------------------

PAGE = """<!doctype html><html{theme}><meta charset="utf-8"><style>{css}</style>
<img class="dark-light" style="margin: 0" src="data:image/png;base64,{png}" width="{width}">"""


@pytest.mark.parametrize(
    ("system", "button", "media", "theme"),
    [
        ("light", None, "screen", "light"),
        ("dark", None, "screen", "dark"),
        ("light", "dark", "screen", "dark"),
        ("dark", "light", "screen", "light"),
        ("dark", "dark", "print", "print"),
    ],
)
def test_page_shows_pictures_as_they_are_judged(
    system: Any, button: str | None, media: Any, theme: str, browser: Browser
) -> None:
    """All inks at once, under the book's style sheet."""
    names = [*plots.COLORS.values(), plots.INK, "#ffffff"]
    colors = np.array([(*_levels(name), opacity) for opacity in (255, 51) for name in names])
    stripes = colors.astype(np.uint8).repeat(8, axis=0)[None].repeat(16, axis=0)
    file = io.BytesIO()
    Image.fromarray(stripes).save(file, "png")
    html = PAGE.format(
        theme=f' data-theme="{button}"' if button else "",
        css=CSS.read_text("utf-8"),
        png=base64.b64encode(file.getvalue()).decode(),
        width=stripes.shape[1],
    )
    with browser.new_context(color_scheme=system) as context:
        page = context.new_page()
        page.emulate_media(media=media, color_scheme=system)
        page.set_content(html)
        seen = pixels(page.locator("img").screenshot())[8, 4::8, :3].astype(float)
    papers = {"light": ink.LIGHT["paper"], "dark": ink.DARK["paper"], "print": (255, 255, 255)}
    expected = np.array([ink.shown(color, theme, papers[theme]) for color in colors])
    assert np.abs(seen - expected).max() <= 2  # levels, of rounding at each of three steps
