"""Draw the still pictures of the lab and its sliders, which stand where no script runs.

python book/stills.py
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

import winit
from winit import network, plots

LAB = Path(__file__).parent / "lab"
WIDTH, BATCH = 128, 32
SIGNAL = "second moment of z"

Scheme = Callable[..., NDArray[np.floating[Any]]]


def moments(scheme: Scheme, depth: int, activation: str) -> NDArray[np.float64]:
    """E z² in each layer, for one batch of normal inputs."""
    rng = np.random.default_rng(0)
    params = network.init_params([WIDTH] * (depth + 1), scheme, rng)
    run = network.forward(params, rng.standard_normal((BATCH, WIDTH)), activation)
    return np.array([np.mean(z**2) for z in run.z])


def scaled(gain: float) -> Scheme:
    """Normal weights of std gain / √n."""

    def scheme(
        shape: tuple[int, ...], *, rng: np.random.Generator, **_: object
    ) -> NDArray[np.float64]:
        return np.asarray(gain * winit.lecun_normal(shape, rng=rng), dtype=np.float64)

    return scheme


def stream(depth: int, branch: float) -> NDArray[np.float64]:
    """E z² along a residual path: each step adds branch · relu(z) W^T, with He's W."""
    rng = np.random.default_rng(0)
    z = rng.standard_normal((BATCH, WIDTH)) @ winit.he_normal((WIDTH, WIDTH), rng=rng).T
    found = [np.mean(z**2)]
    for _ in range(depth - 1):
        z = z + branch * np.maximum(z, 0) @ winit.he_normal((WIDTH, WIDTH), rng=rng).T
        found.append(np.mean(z**2))
    return np.array(found)


def lab() -> Figure:
    curves = {name: moments(winit.get(name), 30, "relu") for name in ("he_normal", "glorot_normal")}
    return plots.by_layer(curves, ylabel=SIGNAL)


def std() -> Figure:
    he = np.sqrt(2)
    curves = {
        "× 1.25": moments(scaled(1.25 * he), 50, "relu"),
        "He's std": moments(scaled(he), 50, "relu"),
        "× 0.8": moments(scaled(0.8 * he), 50, "relu"),
    }
    colors = {"× 1.25": plots.COLORS["normal"], "× 0.8": plots.COLORS["small"]}
    return plots.by_layer(curves, ylabel=SIGNAL, colors=colors)


def gain() -> Figure:
    gains = {f"gain {g}": moments(scaled(g), 30, "tanh") for g in (2.0, 1.0, 0.8)}
    return plots.by_layer(gains, ylabel=SIGNAL)


def residual() -> Figure:
    curves = {"plain sums": stream(30, 1), "over √L": stream(30, 1 / np.sqrt(30))}
    colors = {"plain sums": plots.COLORS["normal"], "over √L": plots.COLORS["lecun"]}
    return plots.by_layer(curves, ylabel=SIGNAL, colors=colors)


STILLS = {"lab.png": lab, "std.png": std, "gain.png": gain, "residual.png": residual}


def save(name: str, folder: Path) -> Path:
    """Draw a picture into a folder, at twice its size, as everything in the book."""
    path = folder / name
    path.write_bytes(plots._png(STILLS[name]()))
    return path


if __name__ == "__main__":
    for name in STILLS:
        print(save(name, LAB))
