"""What a picture is drawn in, sampled from its pixels, and how well it reads on its paper.

Two kinds of things are told apart by their thickness: an area (a bar, a dot, a square of a heat
map) and a stroke (a letter, a line). A stroke's ground is what surrounds it: paper, or an area.
Pixels that are half ink and half ground, the edges of everything, are left out.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Array = NDArray[Any]
Color = tuple[int, int, int]

# As in book.css: paper and wash, light and dark (a test compares).
LIGHT: dict[str, Color] = {"paper": (253, 252, 249), "wash": (244, 241, 234)}
DARK: dict[str, Color] = {"paper": (20, 23, 28), "wash": (29, 34, 41)}

LEAST = 60  # pixels of exactly one color, two to a CSS pixel: fewer are an edge's
SHADING = 140  # opacity below which a stroke is the grid, even on a band, and a ground is a band
SOLID = 204  # opacity below which an area is a shade of something continuous
LETTER = 240  # opacity below which a stroke is no letter
THICK = 11  # pixels: the thickest line has 10, the smallest dot 17
SAMPLE = 30  # pixels of a piece that are asked for their ground; eight times as many for edges
AROUND = 20  # pixels to each side in which a stroke's ground is looked for
TEXT, LINE = 4.5, 3.0  # contrasts that WCAG asks for


class Ink(NamedTuple):
    """A color and what it stands on, both as red, green, blue and opacity of 0 to 255."""

    kind: str
    color: tuple[int, ...]
    ground: tuple[int, ...]

    def complaints(self) -> Iterator[str]:
        """On which papers it does not read."""
        on_area = self.kind == "stroke" and self.ground[3] >= SHADING
        asked = LINE if self.kind == "area" or self.color[3] < LETTER else TEXT
        for theme, papers in (("light", LIGHT), ("dark", DARK)):
            for name, paper in papers.items():
                bottom = shown(self.ground, theme, paper) if on_area else np.array(paper)
                found = contrast(shown(self.color, theme, bottom), bottom)
                if found < asked:
                    words = f"{self.kind} {self.color} on {self.ground}"
                    yield f"{words}: {found:.2f} on {theme} {name}, {asked} is needed"


def linear(color: Any) -> Array:
    """Linear light, red to blue, of levels of 0 to 255."""
    c = np.asarray(color, float)[..., :3] / 255
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def contrast(one: Any, other: Any) -> float:
    """The contrast ratio of WCAG."""
    dark, light = sorted(float(linear(color) @ [0.2126, 0.7152, 0.0722]) for color in (one, other))
    return (light + 0.05) / (dark + 0.05)


def inverted(color: Any) -> Array:
    """What a dark page makes of a color: CSS's invert(1) and then hue-rotate(180deg)."""
    turn = 2 * np.tile([0.213, 0.715, 0.072], (3, 1)) - np.eye(3)
    turned: Array = np.clip((255 - np.asarray(color, float)[..., :3]) @ turn.T, 0, 255)
    return turned


def shown(color: Any, theme: str, paper: Any) -> Array:
    """A color with its opacity, as the page shows it on a paper."""
    color = np.asarray(color, float)
    opacity = color[..., 3:] / 255
    pigment = inverted(color) if theme == "dark" else color[..., :3]
    over: Array = opacity * pigment + (1 - opacity) * np.asarray(paper, float)
    return over


def inks(pixels: Array) -> set[Ink]:
    """All inks of a picture, given as levels of 0 to 255 of shape (rows, columns, 4)."""
    pixels = np.where(pixels[..., 3:] == 0, 0, pixels).astype(np.uint8)
    packed, codes, counts = np.unique(
        np.ascontiguousarray(pixels).view(np.uint32), return_inverse=True, return_counts=True
    )
    colors = packed.view(np.uint8).reshape(-1, 4)
    codes = codes.reshape(pixels.shape[:2])
    common = counts >= LEAST
    found = set()
    for code in np.flatnonzero(common & (colors[:, 3] >= SHADING)):
        color = _levels(colors[code])
        mask = codes == code
        thick = ndimage.maximum_filter(ndimage.minimum_filter(mask, THICK), THICK)
        if thick.any() and color[3] >= SOLID:
            found.add(Ink("area", color, (0, 0, 0, 0)))
        # The corners of an area that the square did not reach are no stroke.
        thin = mask & ~ndimage.maximum_filter(thick, THICK)
        pieces, many = ndimage.label(thin, np.ones((3, 3)))
        for rows, columns in _places(pieces, many):
            near = _near(codes, rows[:SAMPLE], columns[:SAMPLE], range(-AROUND, AROUND + 1, 4))
            near = near[common[near] & (near != code)]
            ground = np.zeros(4, np.uint8)  # a line that is seen through begins on dots
            if color[3] >= LETTER and near.size:
                ground = colors[np.bincount(near).argmax()]
            if (~_edges(pixels, rows, columns, ground)).sum() >= 8:
                found.add(Ink("stroke", color, _levels(ground)))
    return found


def _levels(color: Array) -> tuple[int, ...]:
    return tuple(int(level) for level in color)


def _places(pieces: Array, many: int) -> Iterator[tuple[Array, Array]]:
    """Rows and columns of each piece's pixels, or of some that are spread over it."""
    rows, columns = np.nonzero(pieces)
    order = np.argsort(pieces[rows, columns], kind="stable")
    ends = np.searchsorted(pieces[rows, columns][order], np.arange(1, many + 2))
    rng = np.random.default_rng(0)
    for start, stop in itertools.pairwise(ends):
        chosen = rng.permutation(order[start:stop])[: 8 * SAMPLE]
        yield rows[chosen], columns[chosen]


def _near(values: Array, rows: Array, columns: Array, steps: range) -> Array:
    """The values around each place, of shape (steps², places, …); the rim stands for outside."""
    offsets = np.array(list(itertools.product(steps, steps)))
    i = np.clip(rows + offsets[:, :1], 0, values.shape[0] - 1)
    j = np.clip(columns + offsets[:, 1:], 0, values.shape[1] - 1)
    near: Array = values[i, j]
    return near


def _edges(pixels: Array, rows: Array, columns: Array, ground: Array) -> Array:
    """Where a pixel is a mixture of the ground and of a neighbor, within two levels."""
    here = _weighted(pixels[rows, columns]) - _weighted(ground)
    ways = _weighted(_near(pixels, rows, columns, range(-2, 3))) - _weighted(ground)
    share = (here * ways).sum(-1) / np.maximum((ways**2).sum(-1), 1e-9)
    off = np.abs(here - share[..., None] * ways).max(-1)
    mixed: Array = ((share > 0.02) & (share < 0.97) & (off <= 2)).any(axis=0)
    return mixed


def _weighted(color: Array) -> Array:
    """Pigment times opacity, in which mixtures lie on straight lines."""
    weighted = color.astype(float)
    weighted[..., :3] *= weighted[..., 3:] / 255
    return weighted
