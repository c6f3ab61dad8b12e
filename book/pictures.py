"""Draw the book's own pictures, the cover's and the card for shared links, from real networks.

    python book/pictures.py

Fifty ReLU layers, drawn three times with the same random numbers: weights a quarter too large, He's
weights, and a fifth too small. Each square is one unit of one layer, the fuller the stronger; the
number is what the signal has been multiplied by when it comes out.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from numpy.typing import NDArray

import winit
from winit import network, plots

STATIC = Path(__file__).parent / "_static"
DEPTH, WIDTH = 50, 200
FULL = 2.5  # the activation, in units of the input's rms, that fills a square
STRIPS = [
    ("normal", 1.25, "Weights a quarter too large"),
    ("he", 1.0, "He's weights"),
    ("small", 0.8, "Weights a fifth too small"),
]
SIZES = {  # width and height in CSS pixels, units drawn of each layer, size of the text
    "cover-wide.png": (920, 440, 7, 13),
    "cover-narrow.png": (360, 400, 9, 11),
    "social.png": (1200, 630, 7, 20),
}
PAPER = "#fdfcf9"  # as in book.css; the card is the one picture that is not transparent
INK: dict[str, Any] = {"color": "#1c2330", "fontweight": "bold"}
GRAIN = 12  # pixels to a square, one of them the gap


def signals(gain: float) -> NDArray[np.float64]:
    """What the units of each layer answer to one random input of rms 1; shape (layers, units)."""
    rng = np.random.default_rng(0)
    scheme = partial(winit.variance_scaling, scale=2 * gain**2)
    params = network.init_params([WIDTH] * (DEPTH + 2), scheme, rng)
    x = rng.standard_normal((1, WIDTH))
    return np.stack([layer[0] for layer in network.forward(params, x, "relu").a[1:]])


def factor(layers: NDArray[np.float64]) -> str:
    """The last layer's rms as a power of ten, or plainly where that is close to 1."""
    rms = float(np.sqrt(np.mean(layers[-1] ** 2)))
    exponent = round(np.log10(rms))
    return f"× {rms:.1f}" if exponent == 0 else rf"× $\mathbf{{10^{{{exponent}}}}}$"


def squares(layers: NDArray[np.float64], colour: str) -> NDArray[np.float64]:
    """A picture with a row for each unit, a column for each layer, and gaps between the squares."""
    strength = 0.06 + 0.94 * np.clip(layers.T / FULL, 0, 1)
    picture = np.empty((*np.multiply(strength.shape, GRAIN), 4))
    picture[..., :3] = to_rgb(colour)
    picture[..., 3] = strength.repeat(GRAIN, axis=0).repeat(GRAIN, axis=1)
    picture[::GRAIN, :, 3] = picture[:, ::GRAIN, 3] = 0
    return picture


def draw(name: str) -> Figure:
    """One of the pictures of SIZES."""
    width, height, units, size = SIZES[name]
    figure, grid = plots.subplots(3, 1, figsize=(width / plots.DPI, height / plots.DPI))
    card = name == "social.png"
    layout = figure.get_layout_engine()
    assert isinstance(layout, ConstrainedLayoutEngine)
    layout.set(w_pad=0.5 if card else 0.0, h_pad=0.08, hspace=0.06)
    if card:
        layout.set(rect=(0, 0.03, 1, 0.77))
    with mpl.rc_context(plots.STYLE):
        for axes, (scheme, gain, label) in zip(grid, STRIPS, strict=True):
            layers = signals(gain)
            colour = plots.COLORS[scheme]
            axes.imshow(squares(layers[:, :units], colour), aspect="auto", interpolation="none")
            axes.set_axis_off()
            style = {"color": colour, "fontsize": size, "fontweight": "bold"}
            axes.set_title(label, loc="left", **style)
            axes.set_title(factor(layers), loc="right", **style)
        for x, side in ((0, "left"), (1, "right")):
            layer = "layer 1" if side == "left" else f"layer {DEPTH}"
            where = {"transform": grid[-1].transAxes, "ha": side, "va": "top"}
            grid[-1].text(x, -0.08, layer, fontsize=0.85 * size, **where)
        if card:
            figure.text(0.042, 0.85, "Before the first step", fontsize=2.1 * size, **INK)
    return figure


def save(name: str, folder: Path) -> Path:
    """Draw a picture into a folder, at twice its size, as everything in the book."""
    paper = {"facecolor": PAPER} if name == "social.png" else {"transparent": True}
    path = folder / name
    figure = draw(name)
    with mpl.rc_context(plots.STYLE):
        figure.savefig(path, dpi=2 * plots.DPI, metadata={"Software": None}, **paper)
    return path


if __name__ == "__main__":
    for name in SIZES:
        print(save(name, STATIC))
