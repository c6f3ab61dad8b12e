"""The book's figures: arrays in, figure out. The only module that imports Matplotlib.

One colour a scheme through the whole book, mid-tones that read on light and on dark paper,
transparent ground, theory dashed and grey. Each function returns a Matplotlib figure, and `show`
puts it on the page with the alt text that it insists on. Global settings are not touched.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike, NDArray

# Hues of one kind each, and luminances spread over what keeps 3:1 against white and near-black, so
# that any two stay apart to every common kind of colour vision (a test measures it).
COLORS = {
    "he": "#1e68f9",
    "glorot": "#b3790f",
    "lecun": "#10995b",
    "orthogonal": "#7558bf",
    "normal": "#bf3f34",
    "small": "#dd4fa7",
    "pytorch": "#346f81",  # uniform within 1 / sqrt(fan_in): Glorot's "standard", PyTorch's default
    "zeros": "#7a7a7a",
    "theory": "#7a7a7a",
}
INK = "#7a7a7a"  # axes, labels, anything that is not data
ALIASES = {
    "xavier": "glorot",
    "kaiming": "he",
    "std 1": "normal",
    "std 0.01": "small",
    "constant": "zeros",
    "random": "normal",
}
CYCLE = [COLORS[name] for name in ("he", "glorot", "lecun", "normal", "orthogonal", "small")]
# From blue through nothing to red; solid from STRONG of the way on, where white text is legible.
STRONG = 0.4
DIVERGING = LinearSegmentedColormap.from_list(
    "winit",
    [
        (0.0, COLORS["he"]),
        (0.495 - STRONG / 2, COLORS["he"] + "d0"),
        (0.505 - STRONG / 2, COLORS["he"] + "38"),
        (0.5, "#80808010"),
        (0.495 + STRONG / 2, COLORS["normal"] + "38"),
        (0.505 + STRONG / 2, COLORS["normal"] + "d0"),
        (1.0, COLORS["normal"]),
    ],
)

DASHED = (0, (3, 4))  # gaps wide enough to see the measurement through
DPI = 100  # a figure of 5.8 inches is 580 CSS pixels wide; the file has twice as many
STYLE: Any = {
    "figure.figsize": (5.8, 3.5),
    "figure.dpi": DPI,
    "figure.constrained_layout.use": True,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.titlesize": 13,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.prop_cycle": cycler(color=CYCLE),
    "grid.color": INK,
    "grid.alpha": 0.2,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "font.size": 13,  # 10 CSS pixels at least when a phone shrinks the figure to 350
    "lines.linewidth": 2.0,
    "legend.frameon": False,
    "legend.labelcolor": "linecolor",
    "svg.hashsalt": "winit",
}


def color(label: str) -> str | None:
    """The fixed colour of a scheme, found by its name within `label`; None for other labels.

    ``color("He, gain 2")`` and ``color("he_normal")`` are the same blue.
    """
    text = label.lower().replace("_", " ")
    for name, scheme in (ALIASES | {scheme: scheme for scheme in COLORS}).items():
        if re.search(rf"(?<![\w.]){re.escape(name)}(?![\w.])", text):  # not "the", not "std 1.5"
            return COLORS[scheme]
    return None


def subplots(rows: int = 1, columns: int = 1, **keywords: Any) -> tuple[Figure, Any]:
    """A figure and its axes in the book's style; keywords as `matplotlib.pyplot.subplots`.

    The figure is not registered with pyplot, so that no notebook shows it twice.
    """
    size = keywords.pop("figsize", STYLE["figure.figsize"])
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=size)
        FigureCanvasAgg(figure)
        return figure, figure.subplots(rows, columns, **keywords)


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    metadata: Any = {"Software": None}  # no version in the file
    with mpl.rc_context(STYLE):
        figure.savefig(buffer, dpi=2 * DPI, format="png", transparent=True, metadata=metadata)
    return buffer.getvalue()


def show(figure: Figure, *, alt: str, caption: str | None = None) -> None:
    """Put a figure into the notebook, with its alt text and caption.

    Parameters
    ----------
    alt : str
        What the picture shows, for somebody who cannot see it. Also the output's plain text.
    caption : str, optional
        The figure's one message.

    Raises
    ------
    ValueError
        No alt text, or one too short to say anything.
    """
    if not isinstance(alt, str) or len(alt.split()) < 4:
        raise ValueError(f"alt must say in words what the figure shows, got {alt!r}")
    from IPython.display import publish_display_data  # present wherever a notebook runs

    width, height = (round(inches * DPI) for inches in figure.get_size_inches())
    publish_display_data(  # type: ignore[no-untyped-call]
        {"image/png": _png(figure), "text/plain": alt},
        {"alt": alt, "caption": caption, "image/png": {"width": width, "height": height}},
    )


def _label_ends(axes: Axes, ends: list[tuple[float, str, str]]) -> None:
    """Write each line's name at its right end, pushed apart where they would overlap."""
    axes.figure.draw_without_rendering()  # type: ignore[union-attr]
    to_pixels = axes.transData
    bottom, top = (float(y) for y in axes.bbox.intervaly)
    heights = [float(to_pixels.transform((0, y))[1]) for y, _, _ in ends]
    heights = [float(np.clip(h, bottom, top)) for h in heights]
    order = np.argsort(heights, kind="stable")
    needed = 20.0  # pixels a line of text takes at this style's size
    placed: list[float] = []
    for i in order:
        placed.append(max(heights[i], placed[-1] + needed) if placed else heights[i])
    overshoot = max(0.0, placed[-1] - top) if placed else 0.0
    for rank in range(len(placed) - 1, -1, -1):
        ceiling = placed[rank + 1] - needed if rank + 1 < len(placed) else np.inf
        placed[rank] = min(placed[rank] - (overshoot if rank + 1 == len(placed) else 0.0), ceiling)
    for i, pixels in zip(order, placed, strict=True):
        _, name, hexcode = ends[i]
        share = (pixels - bottom) / (top - bottom)
        axes.text(1.02, share, name, color=hexcode, transform=axes.transAxes, va="center")


def by_layer(
    curves: Mapping[str, ArrayLike],
    *,
    ylabel: str,
    theory: Mapping[str, ArrayLike] | None = None,
    xlabel: str = "layer",
    first: int = 1,
    log: bool = True,
    colors: Mapping[str, str] | None = None,
    axes: Axes | None = None,
) -> Figure:
    """One curve a scheme against the layer; theory dashed in grey beside it.

    Parameters
    ----------
    curves : name -> one value a layer, or several runs in rows of shape (runs, layers): the median
        is drawn, and the band from the smallest to the largest
    theory : name -> one value a layer
    first : the number of the first layer
    log : the value axis is logarithmic, as fits what multiplies; zeros are left out
    colors : name -> colour, where the name does not say the scheme
    """
    with mpl.rc_context(STYLE):
        if axes is None:
            figure, axes = subplots()
        else:
            figure = axes.figure  # type: ignore[assignment]
        if log:
            axes.set_yscale("log")
        for values in (theory or {}).values():
            values = np.asarray(values, dtype=float)
            x = first + np.arange(len(values))
            axes.plot(x, values, linestyle=DASHED, color=COLORS["theory"], linewidth=1.5, zorder=3)
        ends = []
        for i, (name, values) in enumerate(curves.items()):
            runs = np.atleast_2d(np.asarray(values, dtype=float))
            runs = np.where(runs > 0, runs, np.nan) if log else runs
            x = first + np.arange(runs.shape[1])
            hexcode = (colors or {}).get(name) or color(name) or CYCLE[i % len(CYCLE)]
            middle = np.median(runs, axis=0)
            axes.plot(x, middle, color=hexcode)
            if len(runs) > 1:
                low, high = runs.min(axis=0), runs.max(axis=0)
                axes.fill_between(x, low, high, color=hexcode, alpha=0.2, linewidth=0)
            finite = middle[np.isfinite(middle)]
            if len(finite):
                ends.append((float(finite[-1]), name, hexcode))
        if theory:
            label = "theory" if len(theory) > 1 else next(iter(theory))
            last = next(reversed(list(theory.values())))
            if len(theory) == 1 or not ends:
                ends.append((float(np.asarray(last, dtype=float)[-1]), label, COLORS["theory"]))
        axes.set(xlabel=xlabel, ylabel=ylabel)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        _label_ends(axes, ends)
    return figure


def loss_curves(
    runs: Mapping[str, ArrayLike],
    *,
    smooth: int = 1,
    ylabel: str = "training loss",
    xlabel: str = "step",
    log: bool = True,
    reference: tuple[float, str] | None = None,
    colors: Mapping[str, str] | None = None,
    axes: Axes | None = None,
) -> Figure:
    """Loss against step for each scheme: the median of the seeds and the band they span.

    Parameters
    ----------
    runs : name -> losses of shape (steps,) or (seeds, steps)
    smooth : steps in the running mean
    reference : a value to mark with a dashed line, and its name
    """
    kernel = np.ones(smooth) / smooth
    smoothed = {
        name: np.array([np.convolve(row, kernel, "valid") for row in np.atleast_2d(values)])
        for name, values in runs.items()
    }
    steps = max(values.shape[1] for values in smoothed.values())
    theory = {reference[1]: np.full(steps, reference[0])} if reference else None
    return by_layer(
        smoothed,
        theory=theory,
        ylabel=ylabel,
        xlabel=xlabel,
        first=smooth,
        log=log,
        colors=colors,
        axes=axes,
    )


def histograms_by_layer(
    layers: Sequence[ArrayLike],
    *,
    xlabel: str = "activation",
    limits: tuple[float, float] | None = None,
    names: Sequence[str] | None = None,
    hexcode: str = COLORS["he"],
    bins: int = 61,
) -> Figure:
    """A histogram for each layer, first layer on top, all on one scale.

    Parameters
    ----------
    layers : the values of each layer, any shape
    limits : what the axis covers; by default what holds 99.8 % of the first layer's values
    names : one a layer; "layer 1" … by default
    """
    data = [np.asarray(values, dtype=float).ravel() for values in layers]
    names = list(names) if names is not None else [f"layer {i}" for i in range(1, len(data) + 1)]
    if limits is None:
        reach = float(np.quantile(np.abs(data[0]), 0.998)) or 1.0
        limits = (-reach, reach)
    edges = np.linspace(*limits, bins + 1)
    with mpl.rc_context(STYLE):
        height = 0.62 * len(data) + 0.7
        figure, grid = subplots(len(data), 1, figsize=(5.8, height), sharex=True, squeeze=False)
        for axes, values, name in zip(grid[:, 0], data, names, strict=True):
            share = np.histogram(np.clip(values, *limits), edges)[0] / len(values)
            axes.stairs(share, edges, fill=True, color=hexcode, alpha=0.85)
            axes.set(yticks=[], xlim=limits)
            axes.grid(False)
            axes.spines["left"].set_visible(False)
            axes.text(1.02, 0.3, name, transform=axes.transAxes)
        grid[-1, 0].xaxis.set_major_locator(MaxNLocator(5))
        grid[-1, 0].set_xlabel(xlabel)
    return figure


def network(
    layer_sizes: Sequence[int],
    *,
    names: Sequence[str] | None = None,
    weights: Mapping[str, ArrayLike] | None = None,
    most: int = 8,
    matrix_names: bool = True,
) -> Figure:
    """A drawing of a layered network: circles for units, a line for each weight.

    Parameters
    ----------
    layer_sizes : units of each layer, input first
    names : what stands under each layer: "input", "hidden 1", …, "output" by default
    weights : ``{"W1": …}`` to colour each line by its weight's sign and size
    most : units drawn in a layer; of a wider one the first and last are drawn around a gap
    matrix_names : write each matrix and its shape (fan_out, fan_in) above its lines
    """
    last = len(layer_sizes) - 1
    if names is None:
        names = ["input", *(f"hidden {i}" for i in range(1, last)), "output"]
    with mpl.rc_context(STYLE):
        figure, axes = subplots(figsize=(min(1.75 * len(layer_sizes), 6.2), 3.4))
        axes.axis("off")
        drawn = [_unit_heights(n, most) for n in layer_sizes]
        for i in range(1, last + 1):
            _draw_weights(axes, i, drawn[i - 1], drawn[i], (weights or {}).get(f"W{i}"))
            if matrix_names:
                shape = f"W{i}\n({layer_sizes[i]}, {layer_sizes[i - 1]})"
                axes.text(i - 0.5, 1.22, shape, ha="center", va="bottom", fontsize=11)
        for i, (heights, n) in enumerate(zip(drawn, layer_sizes, strict=True)):
            hexcode = COLORS["he"] if 0 < i < last else COLORS["lecun" if i == 0 else "glorot"]
            size = 330 if max(map(len, drawn)) <= 6 else 150
            x = np.full(len(heights), float(i))
            axes.scatter(x, list(heights.values()), s=size, color=hexcode, zorder=3)
            if n > most:
                axes.text(i, 0.0, "⋮", ha="center", va="center", fontsize=16, zorder=3)
            axes.text(i, -1.25, f"{names[i]}\n{n}", ha="center", va="top", fontsize=11)
        axes.set(xlim=(-0.45, last + 0.45), ylim=(-1.75, 1.7))
    return figure


def _unit_heights(units: int, most: int) -> dict[int, float]:
    """Where each drawn unit of a layer sits, between -1 and 1."""
    if units <= most:
        spacing = min(0.62, 2.0 / max(units - 1, 1))
        top = spacing * (units - 1) / 2
        return {i: top - spacing * i for i in range(units)}
    half = most // 2
    upper = {i: 1.0 - 0.75 * i / max(half - 1, 1) for i in range(half)}
    return upper | {units - 1 - i: -height for i, height in upper.items()}


def _draw_weights(
    axes: Axes,
    layer: int,
    sources: Mapping[int, float],
    targets: Mapping[int, float],
    matrix: ArrayLike | None,
) -> None:
    values = None if matrix is None else np.asarray(matrix, dtype=float)
    largest = 1.0 if values is None else float(np.abs(values).max()) or 1.0
    for j, end in targets.items():
        for k, start in sources.items():
            hexcode, width, alpha = INK, 1.0, 0.55
            if values is not None:
                share = abs(values[j, k]) / largest
                hexcode = COLORS["normal"] if values[j, k] > 0 else COLORS["he"]
                width, alpha = 0.5 + 2.5 * share, 0.25 + 0.75 * share
            axes.plot(
                [layer - 1, layer],
                [start, end],
                color=hexcode,
                linewidth=width,
                alpha=alpha,
                zorder=1,
            )


def matrices(
    values: Mapping[str, ArrayLike],
    *,
    limit: float | None = None,
    annotate: bool | None = None,
    columns: int = 4,
) -> Figure:
    """Matrices as coloured squares, all on one scale: red above zero, blue below.

    Parameters
    ----------
    values : name -> matrix; each name is its title
    limit : the magnitude of the strongest colour; the largest entry by default
    annotate : write each number into its square; by default where there are at most 40
    """
    data = {name: np.atleast_2d(np.asarray(matrix, dtype=float)) for name, matrix in values.items()}
    limit = limit or max(float(np.abs(matrix).max()) for matrix in data.values()) or 1.0
    columns = min(columns, len(data))
    rows = -(-len(data) // columns)
    with mpl.rc_context(STYLE):
        figure, grid = subplots(
            rows, columns, figsize=(min(2.6 * columns, 8.0), 2.6 * rows), squeeze=False
        )
        for axes in grid.flat:
            axes.axis("off")
        for axes, (name, matrix) in zip(grid.flat, data.items(), strict=False):
            axes.imshow(matrix, cmap=DIVERGING, vmin=-limit, vmax=limit)
            axes.set_title(name)
            if annotate or (annotate is None and matrix.size <= 40):
                for (i, j), entry in np.ndenumerate(matrix):
                    _write(axes, i, j, f"{entry:.2g}", abs(entry) / limit)
    return figure


def _write(axes: Axes, row: int, column: int, text: str, strength: float) -> None:
    """Text in a coloured square: white where the colour is strong."""
    hexcode = "white" if strength > STRONG else INK
    axes.text(column, row, text, ha="center", va="center", fontsize=11, color=hexcode)


def heatmap(
    values: ArrayLike,
    *,
    rows: Sequence[str],
    columns: Sequence[str],
    label: str,
    texts: Sequence[Sequence[str]] | None = None,
    limit: float | None = None,
) -> Figure:
    """A table as colours: what grows is red, what shrinks blue, what is kept has no colour.

    Parameters
    ----------
    values : array, shape (rows, columns); 0 is "kept", such as the logarithm of a factor
    label : what the colour means
    texts : what stands in each square; the value with 3 significant digits by default
    """
    data = np.asarray(values, dtype=float)
    finite = np.abs(data[np.isfinite(data)])
    limit = limit or (float(finite.max()) if len(finite) else 1.0) or 1.0
    with mpl.rc_context(STYLE):
        size = (1.6 + 1.1 * len(columns), 1.2 + 0.45 * len(rows))
        figure, axes = subplots(figsize=(min(size[0], 8.0), size[1]))
        axes.grid(False)
        picture = axes.imshow(data, cmap=DIVERGING, vmin=-limit, vmax=limit, aspect="auto")
        axes.set_xticks(range(len(columns)), columns)
        axes.set_yticks(range(len(rows)), rows)
        axes.tick_params(length=0, top=True, labeltop=True, bottom=False, labelbottom=False)
        for spine in axes.spines.values():
            spine.set_visible(False)
        for (i, j), entry in np.ndenumerate(data):
            text = texts[i][j] if texts is not None else f"{entry:.3g}"
            _write(axes, i, j, text, abs(entry) / limit)
        bar = figure.colorbar(picture, ax=axes, label=label, shrink=0.9)
        bar.outline.set_visible(False)
    return figure


def spectra(
    values: Mapping[str, ArrayLike],
    *,
    xlabel: str = "singular value, largest first",
    ylabel: str = "singular value",
    colors: Mapping[str, str] | None = None,
) -> Figure:
    """Singular values in order of size, one line a matrix, on a logarithmic axis."""
    ordered = {
        name: np.sort(np.asarray(spectrum, dtype=float))[::-1] for name, spectrum in values.items()
    }
    return by_layer(ordered, xlabel=xlabel, ylabel=ylabel, colors=colors)


def functions(
    curves: Mapping[str, ArrayLike],
    x: ArrayLike,
    *,
    xlabel: str = "z",
    ylabel: str = "",
    dashed: Sequence[str] = (),
    colors: Mapping[str, str] | None = None,
    axes: Axes | None = None,
) -> Figure:
    """Functions of one variable with their names at the right; those in `dashed` are dashed."""
    with mpl.rc_context(STYLE):
        if axes is None:
            figure, axes = subplots()
        else:
            figure = axes.figure  # type: ignore[assignment]
        ends = []
        for i, (name, y) in enumerate(curves.items()):
            y = np.asarray(y, dtype=float)
            hexcode = (colors or {}).get(name) or color(name) or CYCLE[i % len(CYCLE)]
            axes.plot(x, y, "--" if name in dashed else "-", color=hexcode)
            ends.append((float(y[-1]), name, hexcode))
        axes.set(xlabel=xlabel, ylabel=ylabel)
        _label_ends(axes, ends)
    return figure


def sample_histogram(
    samples: Mapping[str, ArrayLike],
    *,
    density: Mapping[str, tuple[NDArray[Any], NDArray[Any]]] | None = None,
    xlabel: str,
    bins: int = 80,
    limits: tuple[float, float] | None = None,
    colors: Mapping[str, str] | None = None,
) -> Figure:
    """Histograms of several samples over one another, with their densities dashed.

    Parameters
    ----------
    samples : name -> values
    density : name -> (x, density), drawn dashed
    limits : what the axis covers; by default all of the samples
    colors : name -> colour, where the name's own is not wanted
    """
    data = {name: np.asarray(values, dtype=float).ravel() for name, values in samples.items()}
    everything = np.concatenate(list(data.values()))
    low, high = limits or (float(everything.min()), float(everything.max()))
    edges = np.linspace(low, high, bins + 1)
    with mpl.rc_context(STYLE):
        figure, axes = subplots()
        for i, (name, values) in enumerate(data.items()):
            hexcode = (colors or {}).get(name) or color(name) or CYCLE[i % len(CYCLE)]
            heights = np.histogram(values, edges, density=True)[0]
            axes.stairs(heights, edges, fill=True, color=hexcode, alpha=0.35)
            axes.stairs(heights, edges, color=hexcode, linewidth=1.5, label=name)
        for x, y in (density or {}).values():
            axes.plot(x, y, linestyle=DASHED, color=COLORS["theory"], linewidth=1.5)
        axes.set(xlabel=xlabel, ylabel="density")
        axes.legend()
    return figure
