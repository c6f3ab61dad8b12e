"""The book's figures: arrays in, figure out. The only module that imports Matplotlib.

One color a scheme and one a named activation through the whole book, transparent ground, theory
dashed and gray. No ink reads as text on light and on dark paper: pictures are drawn for light
paper, and a dark page inverts them and turns the hues back (book.css). Each function returns a
Matplotlib figure, and `show` puts it on the page with the alt text that it insists on. Global
settings are not touched.

Everything is checked before anything is drawn, so that an error leaves the axes that it was given
as they were. Values that are not finite, or beyond ±1e200, are gaps in a curve; where nothing would
be drawn, or a picture would have no scale, they are errors.
"""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cbook import is_math_text
from matplotlib.colors import LinearSegmentedColormap, is_color_like, to_hex
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.mathtext import MathTextParser
from matplotlib.textpath import TextPath
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike, NDArray

from winit import _checks

# Hues of one kind each, and luminances spread over what keeps 4.5:1 against light paper and, once
# inverted, against dark paper, so that any two stay apart to every common kind of color vision
# (tests measure both).
COLORS = {
    "he": "#0750ef",
    "glorot": "#ad5600",
    "lecun": "#017b44",
    "orthogonal": "#5513ae",
    "normal": "#b32927",
    "small": "#ba27a3",
    "pytorch": "#2e5373",  # uniform within 1 / sqrt(fan_in): Glorot's "standard", PyTorch's default
    "zeros": "#4c4c4c",
    "theory": "#1a1a1a",  # dark enough for its dashes to be seen on every other color
}
INK = "#4c4c4c"  # axes, labels, anything that is not data
ALIASES = {
    "xavier": "glorot",
    "kaiming": "he",
    "std 1": "normal",
    "std 0.01": "small",
    "constant": "zeros",
    "random": "normal",
}
# A named activation has the color of the scheme that goes with it, or one that is left.
ACTIVATIONS = {
    "relu": "he",
    "tanh": "glorot",
    "selu": "lecun",
    "sigmoid": "normal",
    "gelu": "orthogonal",
    "silu": "small",
    "elu": "pytorch",
}
CYCLE = [COLORS[name] for name in ("he", "glorot", "lecun", "normal", "orthogonal", "small")]
# From blue through nothing to red; solid from STRONG of the way on, where white text is legible.
STRONG = 0.4
DIVERGING = LinearSegmentedColormap.from_list(
    "winit",
    [
        (0.0, COLORS["he"]),
        (0.5 - STRONG / 2, COLORS["he"] + "d8"),
        (0.5 - STRONG / 2, COLORS["he"] + "38"),
        (0.5, "#80808010"),
        (0.5 + STRONG / 2, COLORS["normal"] + "38"),
        (0.5 + STRONG / 2, COLORS["normal"] + "d8"),
        (1.0, COLORS["normal"]),
    ],
)
# Solid, so that white text is legible in every square on any paper: gray is what was kept.
TABLE = LinearSegmentedColormap.from_list(
    "winit_table", [COLORS["he"], "#666666", COLORS["normal"]]
)
# From the first layer, blue, to the last, red; the way between reads on both papers (a test).
DEPTH = LinearSegmentedColormap.from_list(
    "winit_depth", [COLORS["he"], "#6c3fc0", "#a03080", COLORS["normal"]]
)

DASHED = (0, (3, 4))  # gaps wide enough to see the measurement through
UNDER_THEORY = 3.5  # width of a measured line, so that it shows beside the dashes on it
DPI = 100  # a figure of 5.8 inches is 580 CSS pixels wide; the file has twice as many
FIGSIZE = (5.8, 3.5)  # inches
STYLE: Any = {
    "figure.figsize": FIGSIZE,
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
    "font.size": 13,  # 11 CSS pixels where a phone shrinks the figure to 354
    "lines.linewidth": 2.0,
    "legend.frameon": False,
    "legend.labelcolor": "linecolor",
    "svg.hashsalt": "winit",
}

# What Matplotlib can lay out: beyond these it warns, draws nothing, or takes minutes.
LONGEST_LABEL, MOST_LINES = 120, 4  # characters of a line
WIDEST_NAME = 270.0  # points, of the figure's 418
MOST_NAMES = 20  # beside one pair of axes
LARGEST, SMALLEST = 1e200, 1e-250  # magnitudes
LARGEST_SIZE = 50.0  # inches
MOST_SAMPLES = 8  # in a legend
MOST_LAYERS = 75  # one under the other
MOST_NUMBERS = 2500  # written into one matrix


@contextlib.contextmanager
def _style() -> Iterator[None]:
    """The book's style, and silence about what Matplotlib's own arithmetic rounds to 0."""
    with mpl.rc_context(STYLE), np.errstate(all="ignore"):
        yield


def _text(value: object, what: str, *, name: bool = False) -> str:
    """Words that the font can draw, in lines that are not too long; names stand beside the axes."""
    if not isinstance(value, str):
        raise TypeError(f"{what} must be a string, got {_checks.shown(value)}")
    value = str.__str__(value)  # a plain one, whatever a subclass makes of its methods
    lines = value.split("\n")
    if len(lines) > MOST_LINES or max(map(len, lines)) > LONGEST_LABEL:
        raise ValueError(
            f"{what} must have at most {MOST_LINES} lines of {LONGEST_LABEL} characters, "
            f"got {_checks.shown(value)}"
        )
    if is_math_text(value):
        try:
            MathTextParser("path").parse(value)
        except ValueError:
            raise ValueError(
                f"{what} must be text, or a formula that Matplotlib can read between its dollar "
                f"signs, got {_checks.shown(value)}"
            ) from None
    else:
        fonts = [
            get_font(findfont(FontProperties(family=[family])))
            for family in mpl.rcParams["font.family"]
        ]
        for character in value.replace("\n", ""):
            if not any(font.get_char_index(ord(character)) for font in fonts):
                raise ValueError(
                    f"{what} has a character that the font cannot draw, {character!a}: "
                    f"got {_checks.shown(value)}"
                )
    if name and value.startswith("_"):
        raise ValueError(
            f"{what} must not start with '_', which hides it from a legend, "
            f"got {_checks.shown(value)}"
        )
    if name and _width(value) > WIDEST_NAME:
        raise ValueError(
            f"{what} is wider than the place beside the axes, got {_checks.shown(value)}"
        )
    return value


def _width(text: str) -> float:
    """Of the widest line, in points."""
    lines = [line for line in text.split("\n") if line.strip()]
    paths = (TextPath((0, 0), line, size=STYLE["font.size"]) for line in lines)
    return max((float(path.get_extents().width) for path in paths), default=0.0)


def _texts(values: object, what: str, count: int, of: str) -> list[str]:
    """As many names as there are things to name."""
    if isinstance(values, str):
        values = list(str.__str__(values))
    values = _sequence(values, what, "a sequence of strings")
    names = [_text(name, f"each name in {what}", name=True) for name in values]
    if len(names) != count:
        raise ValueError(f"{what} must hold {count} names, one {of}, got {len(names)}")
    return names


def _sequence(values: object, what: str, of: str, count: int | None = None) -> list[Any]:
    """The entries of a list, tuple or array: no text, no set, no stream. `count`: so many."""
    ordered = isinstance(values, Sequence) and not isinstance(
        values, (str, bytes, bytearray, memoryview)
    )
    if isinstance(values, np.ndarray):
        ordered = values.ndim > 0
    try:
        entries = list(values) if ordered else []  # type: ignore[call-overload]
    except Exception:  # of a class of the caller's
        ordered = False
    if not ordered or (count is not None and len(entries) != count):
        raise TypeError(f"{what} must be {of}, got {_checks.shown(values)}")
    return entries


def _named(values: object, what: str, *, least: int = 1, most: int = MOST_NAMES) -> dict[str, Any]:
    """A dict from names to what they name, of as many as can be drawn."""
    given = _checks.mapping(values, what)
    checked = {
        _text(name, f"each name in {what}", name=True): value for name, value in given.items()
    }
    if len(checked) < least:
        raise ValueError(f"{what} must not be empty: there would be nothing to draw")
    if len(checked) > most:
        raise ValueError(f"{what} must hold at most {most} names, got {len(checked)}")
    return checked


def _colored(colors: object) -> Mapping[str, str]:
    """Colors by name; none are as good as an empty dict."""
    checked = _checks.mapping({} if colors is None else colors, "colors")
    for name, value in checked.items():
        _color(value, f"colors[{_checks.shown(name)}]")
    return checked


def _color(value: Any, what: str) -> str:
    try:
        known = is_color_like(value)
    except Exception:  # in Matplotlib's words
        known = False
    if not known:
        raise ValueError(f"{what} must be a color such as '#1e68f9', got {_checks.shown(value)}")
    return value  # type: ignore[no-any-return]


def _drawable(
    value: ArrayLike,
    what: str,
    axes: Sequence[int],
    *,
    log: bool = False,
    gaps: bool = True,
) -> NDArray[np.float64]:
    """Real numbers, of which one at least can be drawn; without `gaps` all of them can."""
    checked = _checks.array(value, what, dtype=np.dtype(np.float64), finite=not gaps)
    data: NDArray[np.float64] = np.asarray(checked, np.float64)
    if data.ndim not in axes:
        allowed = " or ".join(map(str, axes))
        raise ValueError(f"{what} must have {allowed} axes, got shape {data.shape}")
    far = np.abs(data) > LARGEST
    if not gaps and far.any():
        raise ValueError(f"{what} must lie within ±{LARGEST:g}, got {np.abs(data).max():g}")
    finite = data[np.isfinite(data) & ~far]
    if not finite.size:
        raise ValueError(f"{what} has nothing to draw: no value lies within ±{LARGEST:g}")
    if log and finite.min() < 0:
        raise ValueError(
            f"{what} must not be negative on a logarithmic axis, got {finite.min():.3g}"
        )
    return np.where(far, np.copysign(np.inf, data), data)


def _range(limits: object) -> tuple[float, float]:
    """What an axis covers: two numbers, far enough apart to be told from one another."""
    low, high = (
        _checks.number(limit, "each of limits", minimum=-LARGEST, maximum=LARGEST)
        for limit in _sequence(limits, "limits", "a pair of numbers", 2)
    )
    if not high - low > 1e-12 * max(-low, high, 1e12 * SMALLEST):
        raise ValueError(f"limits must be a lower and a higher number, got {_checks.shown(limits)}")
    return low, high


def _scale(limit: float | None, data: Sequence[NDArray[np.float64]]) -> float:
    """The magnitude of the strongest color: as given, or else the largest finite entry's."""
    if limit is not None:
        return _checks.number(limit, "limit", minimum=SMALLEST, maximum=LARGEST)
    largest = max(float(np.abs(np.where(np.isfinite(d), d, 0.0)).max()) for d in data)
    return largest if largest >= SMALLEST else 1.0


def _canvas(axes: Axes | None) -> tuple[Figure, Axes]:
    """The caller's axes and their figure, or a new one."""
    if axes is None:
        return _subplots()
    if not isinstance(axes, Axes) or hasattr(axes, "get_zlim"):
        raise TypeError(f"axes must be Matplotlib axes in the plane, got {_checks.shown(axes)}")
    figure: Any = axes.figure
    while figure is not None and not isinstance(figure, Figure):  # axes of a figure in a figure
        figure = figure.figure
    if figure is None:
        raise ValueError("axes must belong to a figure: these have been removed from theirs")
    return figure, axes


def color(label: str) -> str | None:
    """The fixed color of a scheme or activation named in `label`; None for other labels.

    ``color("He, gain 2")`` and ``color("he_normal")`` are the same blue. A label that names both
    has the scheme's.

    Raises
    ------
    TypeError
        A label that is not a string.
    """
    if not isinstance(label, str):
        raise TypeError(f"label must be a string, got {_checks.shown(label)}")
    text = str.__str__(label).lower().replace("_", " ")
    schemes = ALIASES | {scheme: scheme for scheme in COLORS}
    for name, scheme in (schemes | ACTIVATIONS).items():
        if re.search(rf"(?<![\w.]){re.escape(name)}(?![\w.])", text):  # not "the", not "std 1.5"
            return COLORS[scheme]
    return None


def subplots(rows: int = 1, columns: int = 1, **keywords: Any) -> tuple[Figure, Any]:
    """A figure and its axes in the book's style; keywords as `matplotlib.pyplot.subplots`.

    The figure is not registered with pyplot, so that no notebook shows it twice.

    Raises
    ------
    ValueError, TypeError
        More than 20 rows or columns; a figsize that is not two numbers of inches from 0.5 to 50;
        keywords that Matplotlib does not take.
    """
    for count, what in ((rows, "rows"), (columns, "columns")):
        if _checks.size(count, what) > MOST_NAMES:
            raise ValueError(f"{what} must be at most {MOST_NAMES}, got {count}")
    size = keywords.pop("figsize", FIGSIZE)
    width, height = (
        _checks.number(inches, "each of figsize", minimum=0.5, maximum=LARGEST_SIZE)
        for inches in _sequence(size, "figsize", "a pair of numbers", 2)
    )
    try:
        return _subplots(rows, columns, (width, height), **keywords)
    except Exception as error:
        raise ValueError(
            "keywords must be those of matplotlib.pyplot.subplots, got "
            f"{_checks.shown(keywords)}: {error}"
        ) from error


def _subplots(
    rows: int = 1, columns: int = 1, size: tuple[float, float] = FIGSIZE, **keywords: Any
) -> tuple[Figure, Any]:
    """`subplots` of any number and size."""
    with _style():
        figure = Figure(figsize=size)
        FigureCanvasAgg(figure)
        return figure, figure.subplots(rows, columns, **keywords)


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    metadata: Any = {"Software": None}  # no version in the file
    with _style():
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
    ValueError, TypeError
        No alt text, or one too short to say anything; a figure that is none of Matplotlib's, or
        larger than 50 inches; a caption that is not a string.
    """
    if not isinstance(figure, Figure):
        raise TypeError(f"figure must be a Matplotlib figure, got {_checks.shown(figure)}")
    if max(figure.get_size_inches()) > LARGEST_SIZE:
        raise ValueError(f"figure must be at most {LARGEST_SIZE:g} inches wide and high")
    if caption is not None and not isinstance(caption, str):
        raise TypeError(f"caption must be a string or None, got {_checks.shown(caption)}")
    if not isinstance(alt, str) or len(alt.split()) < 4:
        raise ValueError(f"alt must say in words what the figure shows, got {_checks.shown(alt)}")
    from IPython.display import publish_display_data  # present wherever a notebook runs

    width, height = (round(inches * DPI) for inches in figure.get_size_inches())
    publish_display_data(  # type: ignore[no-untyped-call]
        {"image/png": _png(figure), "text/plain": alt},
        {
            "alt": alt,
            "caption": caption,
            "image/png": {"width": width, "height": height},
            "needs_background": "light",  # in JupyterLab's dark theme, which inverts nothing
        },
    )


def _label_ends(axes: Axes, ends: list[tuple[float, str, str]]) -> None:
    """Write each line's name at its right end, pushed apart where they would overlap."""
    _canvas(axes)[0].draw_without_rendering()
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
    """One curve a scheme against the layer; theory dashed in gray beside it.

    Parameters
    ----------
    curves : name -> one value a layer, or several runs in rows of shape (runs, layers): the median
        is drawn, and the band from the smallest to the largest
    theory : name -> one value a layer
    first : the number of the first layer
    log : the value axis is logarithmic, as fits what multiplies; zeros, and what is below
        1e-250, are left out
    colors : name -> color, where the name does not say the scheme
    axes : where to draw; a new figure by default

    Raises
    ------
    ValueError, TypeError
        No curve, more than 20, or one with no finite value; negative values on a logarithmic axis;
        anything but names, numbers, colors and axes in their places.
    """
    lines = _named({} if theory is None else theory, "theory", least=0)
    width = UNDER_THEORY if lines else None
    return _by_layer("curves", curves, ylabel, lines, xlabel, first, log, colors, axes, width)


def _by_layer(
    what: str,
    curves: Mapping[str, ArrayLike],
    ylabel: str,
    theory: Mapping[str, ArrayLike] | None,
    xlabel: str,
    first: int,
    log: bool,
    colors: Mapping[str, str] | None,
    axes: Axes | None,
    width: float | None = None,
) -> Figure:
    """`by_layer`, whose curves, of this width, the caller passed under the name `what`."""
    log, first = _checks.flag(log, "log"), _checks.size(first, "first", minimum=0)
    labels = {"xlabel": _text(xlabel, "xlabel"), "ylabel": _text(ylabel, "ylabel")}
    hexcodes = _colored(colors)
    lines = {
        name: _drawable(values, f"theory[{name!r}]", (1,), log=log)
        for name, values in _named({} if theory is None else theory, "theory", least=0).items()
    }
    measured = {  # there may be theory alone
        name: np.atleast_2d(_drawable(values, f"{what}[{name!r}]", (1, 2), log=log))
        for name, values in _named(curves, what, least=0 if lines else 1).items()
    }
    figure, axes = _canvas(axes)
    with _style():
        if log:
            axes.set_yscale("log")
        if log:
            lines = {name: _above_zero(values) for name, values in lines.items()}
            measured = {name: _above_zero(runs) for name, runs in measured.items()}
        for values in lines.values():
            x = first + np.arange(len(values))
            axes.plot(x, values, linestyle=DASHED, color=COLORS["theory"], linewidth=1.5, zorder=3)
        ends = []
        for i, (name, runs) in enumerate(measured.items()):
            x = first + np.arange(runs.shape[1])
            hexcode = hexcodes.get(name) or color(name) or CYCLE[i % len(CYCLE)]
            middle = np.median(runs, axis=0)
            axes.plot(x, middle, color=hexcode, linewidth=width)
            if len(runs) > 1:
                low, high = runs.min(axis=0), runs.max(axis=0)
                axes.fill_between(x, low, high, color=hexcode, alpha=0.2, linewidth=0)
            finite = middle[np.isfinite(middle)]
            if len(finite):
                ends.append((float(finite[-1]), name, hexcode))
        if lines:
            label = "theory" if len(lines) > 1 else next(iter(lines))
            last = next(reversed(list(lines.values())))
            last = last[np.isfinite(last)]
            if len(last) and (len(lines) == 1 or not ends):
                ends.append((float(last[-1]), label, COLORS["theory"]))
        axes.set(**labels)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        _label_ends(axes, ends)
    return figure


def _above_zero(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """What has a place on a logarithmic axis; the rest becomes a gap."""
    return np.where(values >= SMALLEST, values, np.nan)


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
    smooth : steps in the running mean, at most as many as the shortest run has
    reference : a value to mark with a dashed line, and its name

    Raises
    ------
    ValueError, TypeError
        As `by_layer`; a running mean of more steps than there are; a reference that is not a number
        and a name.
    """
    smooth, log = _checks.size(smooth, "smooth"), _checks.flag(log, "log")
    losses = {
        name: np.atleast_2d(_drawable(values, f"runs[{name!r}]", (1, 2), log=log))
        for name, values in _named(runs, "runs").items()
    }
    for name, rows in losses.items():
        if smooth > rows.shape[1]:
            raise ValueError(
                f"smooth must be at most the number of steps, got {smooth} for the "
                f"{rows.shape[1]} of runs[{name!r}]"
            )
    kernel = np.ones(smooth) / smooth
    with np.errstate(all="ignore"):  # a run that has diverged ends in inf or nan
        smoothed = {
            name: np.array([np.convolve(row, kernel, "valid") for row in rows])
            for name, rows in losses.items()
        }
    value, name = _reference(reference, log=log)
    steps = max(rows.shape[1] for rows in smoothed.values())
    theory = None if value is None else {name: np.full(steps, value)}
    return _by_layer("runs", smoothed, ylabel, theory, xlabel, smooth, log, colors, axes)


def update_ratios(
    ratios: ArrayLike,
    *,
    smooth: int = 1,
    reference: tuple[float, str] | None = (1e-3, "0.001"),
    axes: Axes | None = None,
) -> Figure:
    """How far each step moved each layer, relative to its weights: first layer blue, last red.

    Parameters
    ----------
    ratios : array, shape (steps, layers), such as ``history.update_ratio``
        Zeros and what is not finite are gaps.
    smooth : steps in the running mean, at most as many as there are
    reference : a value to mark with a dashed line, and its name; 1e-3, which many aim at, unless
        another is given or None

    Raises
    ------
    ValueError, TypeError
        Ratios that are not numbers in rows, are negative, or with none to draw in a layer; more
        than 75 layers; a running mean of more steps than there are; a reference that is not a
        number above 0 and a name.
    """
    data = _drawable(ratios, "ratios", (2,), log=True)
    steps, layers = data.shape
    if layers > MOST_LAYERS:
        raise ValueError(f"ratios must have at most {MOST_LAYERS} layers, got {layers}")
    if _checks.size(smooth, "smooth") > steps:
        raise ValueError(f"smooth must be at most the number of steps, got {smooth} for {steps}")
    for layer, column in enumerate(data.T, start=1):
        _drawable(column, f"layer {layer} of ratios", (1,))
    value, name = _reference(reference, log=True)
    kernel = np.ones(smooth) / smooth
    figure, axes = _canvas(axes)
    with _style():
        axes.set_yscale("log")
        ends = []
        x = smooth + np.arange(steps - smooth + 1)
        for i, column in enumerate(data.T):
            hexcode = to_hex(DEPTH(i / max(layers - 1, 1)))
            line = _above_zero(np.convolve(column, kernel, "valid"))
            axes.plot(x, line, color=hexcode, linewidth=1.5)
            finite = line[np.isfinite(line)]
            if i in (0, layers - 1) and len(finite):
                ends.append((float(finite[-1]), f"layer {i + 1}", hexcode))
        if value is not None:
            axes.axhline(value, linestyle=DASHED, color=COLORS["theory"], linewidth=1.5)
            ends.append((value, name, COLORS["theory"]))
        axes.set(xlabel="step", ylabel="update / weights")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        _label_ends(axes, ends)
    return figure


def _reference(reference: object, *, log: bool) -> tuple[float | None, str]:
    """A value to mark, and its name."""
    if reference is None:
        return None, ""
    given, name = _sequence(reference, "reference", "a number and its name", 2)
    value = _checks.number(given, "the value of reference", maximum=LARGEST)
    if value < -LARGEST or (log and value <= 0):
        raise ValueError(f"reference must be above 0 on a logarithmic axis, got {value:g}")
    return value, _text(name, "the name of reference", name=True)


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

    Raises
    ------
    ValueError, TypeError
        No layer or more than 75; values that are not finite real numbers; names that are not one
        a layer; limits that are not a lower and a higher number.
    """
    layers = _sequence(layers, "layers", "a sequence of arrays")
    if not 1 <= len(layers) <= MOST_LAYERS:
        raise ValueError(f"layers must hold 1 to {MOST_LAYERS} arrays, got {len(layers)}")
    data = [
        _drawable(np.ravel(_checks.array(values, f"layers[{i}]")), f"layers[{i}]", (1,), gaps=False)
        for i, values in enumerate(layers)
    ]
    if names is None:
        names = [f"layer {i}" for i in range(1, len(data) + 1)]
    names = _texts(names, "names", len(data), "a layer")
    xlabel = _text(xlabel, "xlabel")
    _color(hexcode, "hexcode")
    bins = _bins(bins)
    if limits is None:
        reach = float(np.quantile(np.abs(data[0]), 0.998))
        limits = (-reach, reach) if reach >= SMALLEST else (-1.0, 1.0)
    limits = _range(limits)
    edges = np.linspace(*limits, bins + 1)
    with _style():
        height = 0.62 * len(data) + 0.7
        figure, grid = _subplots(len(data), 1, (5.8, height), sharex=True, squeeze=False)
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


def _bins(bins: int) -> int:
    if _checks.size(bins, "bins") > 10_000:
        raise ValueError(f"bins must be at most 10000, got {bins}")
    return int(bins)


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
    weights : ``{"W1": …}`` to color each line by its weight's sign and size
    most : units drawn in a layer; of a wider one the first and last are drawn around a gap
    matrix_names : write each matrix and its shape (fan_out, fan_in) above its lines

    Raises
    ------
    ValueError, TypeError
        Fewer than two layers or more than 20, names that are not one a layer, weights that are not
        finite or have another shape than (fan_out, fan_in), `most` below 2 or above 20.
    """
    sizes = _checks.layer_sizes(layer_sizes)
    if len(sizes) > MOST_NAMES:
        raise ValueError(f"layer_sizes must hold at most {MOST_NAMES} layers, got {len(sizes)}")
    if _checks.size(most, "most", minimum=2) > MOST_NAMES:
        raise ValueError(f"most must be at most {MOST_NAMES}, got {most}")
    matrix_names = _checks.flag(matrix_names, "matrix_names")
    last = len(sizes) - 1
    if names is None:
        names = ["input", *(f"hidden {i}" for i in range(1, last)), "output"]
    names = _texts(names, "names", len(sizes), "a layer")
    matrices = _matrices(weights, sizes)
    fontsize = 13 if len(sizes) <= 5 else 12
    with _style():
        figure, axes = _subplots(size=(min(1.75 * len(sizes), FIGSIZE[0]), 3.4))
        axes.axis("off")
        drawn = [_unit_heights(n, most) for n in sizes]
        for i in range(1, last + 1):
            _draw_weights(axes, i, drawn[i - 1], drawn[i], matrices.get(f"W{i}"))
            if matrix_names:
                shape = f"W{i}\n({sizes[i]}, {sizes[i - 1]})"
                axes.text(i - 0.5, 1.22, shape, ha="center", va="bottom", fontsize=fontsize)
        for i, (heights, n) in enumerate(zip(drawn, sizes, strict=True)):
            hexcode = COLORS["he"] if 0 < i < last else COLORS["lecun" if i == 0 else "glorot"]
            size = 330 if max(map(len, drawn)) <= 6 else 150
            x = np.full(len(heights), float(i))
            axes.scatter(x, list(heights.values()), s=size, color=hexcode, zorder=3)
            if n > most:
                axes.text(i, 0.0, "⋮", ha="center", va="center", fontsize=16, zorder=3)
            axes.text(i, -1.25, f"{names[i]}\n{n}", ha="center", va="top", fontsize=fontsize)
        axes.set(xlim=(-0.45, last + 0.45), ylim=(-1.75, 1.7))
    return figure


def _matrices(weights: object, sizes: Sequence[int]) -> dict[str, NDArray[np.float64]]:
    """The matrices among a network's parameters, each of the shape that its layers need."""
    checked = _checks.mapping({} if weights is None else weights, "weights")
    shapes = {f"W{i}": (sizes[i], sizes[i - 1]) for i in range(1, len(sizes))}
    matrices = {}
    for name, value in checked.items():
        if name in shapes:
            what = f'weights["{name}"]'
            matrices[name] = _drawable(value, what, (2,), gaps=False)
            if matrices[name].shape != shapes[name]:
                raise ValueError(
                    f"{what} must have shape {shapes[name]}, got {matrices[name].shape}"
                )
        elif name not in {f"b{i}" for i in range(1, len(sizes))}:
            raise ValueError(
                f"weights must hold {', '.join(shapes)} and biases, got {_checks.shown(name)}"
            )
    return matrices


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
    values: NDArray[np.float64] | None,
) -> None:
    largest = 1.0 if values is None else float(np.abs(values).max()) or 1.0
    for j, end in targets.items():
        for k, start in sources.items():
            hexcode, width, alpha = INK, 0.9, 0.7
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
    """Matrices as colored squares, all on one scale: red above zero, blue below.

    Parameters
    ----------
    values : name -> matrix; each name is its title
    limit : the magnitude of the strongest color; the largest entry by default
    annotate : write each number into its square; by default where there are at most 40
    columns : matrices side by side

    Raises
    ------
    ValueError, TypeError
        No matrix or more than 40; one that is not finite or has more than two axes; a limit that is
        not above 0; more than 2500 numbers to write; more than 10 columns.
    """
    data = {
        name: np.atleast_2d(_drawable(matrix, f"values[{name!r}]", (0, 1, 2), gaps=False))
        for name, matrix in _named(values, "values", most=2 * MOST_NAMES).items()
    }
    limit = _scale(limit, list(data.values()))
    if annotate is not None and _checks.flag(annotate, "annotate"):
        largest = max(matrix.size for matrix in data.values())
        if largest > MOST_NUMBERS:
            raise ValueError(f"annotate must be False for {largest} numbers: they cannot be read")
    if _checks.size(columns, "columns") > 10:
        raise ValueError(f"columns must be at most 10, got {columns}")
    columns = min(columns, len(data))
    rows = -(-len(data) // columns)
    if 2.6 * rows > LARGEST_SIZE:
        raise ValueError(f"columns must be more than {columns} for {len(data)} matrices")
    with _style():
        size = (min(2.6 * columns, 8.0), 2.6 * rows)
        figure, grid = _subplots(rows, columns, size, squeeze=False)
        for axes in grid.flat:
            axes.axis("off")
        for axes, (name, matrix) in zip(grid.flat, data.items(), strict=False):
            axes.imshow(matrix, cmap=DIVERGING, vmin=-limit, vmax=limit)
            axes.set_title(name)
            if annotate or (annotate is None and matrix.size <= 40):
                for (i, j), entry in np.ndenumerate(matrix):
                    _write(axes, i, j, f"{entry:.2g}", DIVERGING(0.5 + entry / limit / 2))
    return figure


def _write(axes: Axes, row: int, column: int, text: str, square: tuple[float, ...]) -> None:
    """Text in a colored square: white where the color is strong."""
    hexcode = "white" if square[3] > 0.5 else INK
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
    """A table as colors: what grows is red, what shrinks blue, what is kept gray.

    Parameters
    ----------
    values : array, shape (rows, columns); 0 is "kept", such as the logarithm of a factor
        What is infinite has the strongest color, and what is no number is gray; each has its text.
    label : what the color means
    texts : what stands in each square; the value with 3 significant digits by default

    Raises
    ------
    ValueError, TypeError
        Rows, columns or texts that do not fit the values; more than 75 rows or 20 columns; a limit
        that is not above 0.
    """
    data = _checks.array(values, "values", axes=2, dtype=np.dtype(np.float64), finite=False)
    data = np.where(np.abs(data) > LARGEST, np.copysign(np.inf, data), data)
    rows = _texts(rows, "rows", data.shape[0], "a row")
    columns = _texts(columns, "columns", data.shape[1], "a column")
    for count, most, what in (
        (len(rows), MOST_LAYERS, "rows"),
        (len(columns), MOST_NAMES, "columns"),
    ):
        if count > most:
            raise ValueError(f"{what} must hold at most {most} names, got {count}")
    label = _text(label, "label")
    if texts is None:
        words = [[f"{entry:.3g}" for entry in row] for row in data]
    else:
        given = _sequence(texts, "texts", "rows of strings")
        if len(given) != len(rows):
            raise ValueError(f"texts must have {len(rows)} rows, got {len(given)}")
        words = [_texts(row, "texts", len(columns), "a column") for row in given]
    limit = _scale(limit, [data.astype(np.float64, copy=False)])
    with _style():
        size = (1.6 + 1.1 * len(columns), 1.2 + 0.45 * len(rows))
        widest = (max(map(_width, names)) / 72 for names in (rows, columns))  # inches
        long = sum(max(0.0, inches - 1.0) for inches in widest)  # beyond what is there
        figure, axes = _subplots(size=(min(size[0], 8.0) + long, size[1]))
        axes.grid(False)
        shown = np.where(np.isnan(data), 0.0, data)
        picture = axes.imshow(shown, cmap=TABLE, vmin=-limit, vmax=limit, aspect="auto")
        axes.set_xticks(range(len(columns)), columns)
        axes.set_yticks(range(len(rows)), rows)
        axes.tick_params(length=0, top=True, labeltop=True, bottom=False, labelbottom=False)
        for spine in axes.spines.values():
            spine.set_visible(False)
        for i, j in np.ndindex(data.shape):
            axes.text(j, i, words[i][j], ha="center", va="center", color="white")
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
    """Singular values in order of size, one line a matrix, on a logarithmic axis.

    Raises
    ------
    ValueError, TypeError
        As `by_layer`; values that are not finite.
    """
    ordered = {
        name: np.sort(_drawable(spectrum, f"values[{name!r}]", (1,), log=True, gaps=False))[::-1]
        for name, spectrum in _named(values, "values").items()
    }
    return _by_layer("values", ordered, ylabel, None, xlabel, 1, True, colors, None)


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
    """Functions of one variable with their names at the right; those in `dashed` are dashed.

    Raises
    ------
    ValueError, TypeError
        No curve or more than 20; one that has another shape than x, which has one axis, or no
        finite value; a name in `dashed` that is no curve's.
    """
    points = _drawable(x, "x", (1,), gaps=False)
    lines = {
        name: _drawable(y, f"curves[{name!r}]", (1,))
        for name, y in _named(curves, "curves").items()
    }
    for name, y in lines.items():
        if y.shape != points.shape:
            raise ValueError(
                f"curves[{name!r}] must have the shape of x, {points.shape}, got {y.shape}"
            )
    dashed = _sequence(dashed, "dashed", "a list of names")
    for name in dashed:
        _checks.choice(name, "each name in dashed", lines)
    labels = {"xlabel": _text(xlabel, "xlabel"), "ylabel": _text(ylabel, "ylabel")}
    hexcodes = _colored(colors)
    figure, axes = _canvas(axes)
    with _style():
        ends = []
        for i, (name, y) in enumerate(lines.items()):
            hexcode = hexcodes.get(name) or color(name) or CYCLE[i % len(CYCLE)]
            axes.plot(points, y, "--" if name in dashed else "-", color=hexcode)
            ends.append((float(y[np.isfinite(y)][-1]), name, hexcode))
        axes.set(**labels)
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
    colors : name -> color, where the name's own is not wanted

    Raises
    ------
    ValueError, TypeError
        No sample or more than 8; samples or densities that are not finite real numbers, a density
        whose x has another shape; limits that are not a lower and a higher number.
    """
    data = {
        name: _drawable(
            np.ravel(_checks.array(values, f"samples[{name!r}]")),
            f"samples[{name!r}]",
            (1,),
            gaps=False,
        )
        for name, values in _named(samples, "samples", most=MOST_SAMPLES).items()
    }
    lines = []
    for name, pair in _checks.mapping({} if density is None else density, "density").items():
        what = f"density[{_checks.shown(name)}]"
        pair = _sequence(pair, what, "a pair of arrays, x and density", 2)
        x, y = (_drawable(values, what, (1,), gaps=False) for values in pair)
        if x.shape != y.shape:
            raise ValueError(f"{what} must hold two arrays of one shape, got {x.shape}, {y.shape}")
        lines.append((x, y))
    xlabel = _text(xlabel, "xlabel")
    hexcodes, bins = _colored(colors), _bins(bins)
    low, high = _range(limits) if limits is not None else _reach(list(data.values()))
    edges = np.linspace(low, high, bins + 1)
    with _style():
        figure, axes = _subplots()
        for i, (name, values) in enumerate(data.items()):
            hexcode = hexcodes.get(name) or color(name) or CYCLE[i % len(CYCLE)]
            heights = np.zeros(bins)
            if ((low <= values) & (values <= high)).any():
                heights = np.histogram(values, edges, density=True)[0]
            axes.stairs(heights, edges, fill=True, color=hexcode, alpha=0.2)
            axes.stairs(heights, edges, color=hexcode, linewidth=1.5, label=name)
        for x, y in lines:
            axes.plot(x, y, linestyle=DASHED, color=COLORS["theory"], linewidth=1.5)
        axes.set(xlabel=xlabel, ylabel="density")
        axes.legend()
    return figure


def _reach(samples: Sequence[NDArray[np.float64]]) -> tuple[float, float]:
    """From the smallest to the largest value; around it if all are one."""
    low, high = min(float(v.min()) for v in samples), max(float(v.max()) for v in samples)
    largest = max(-low, high)
    if high - low > 1e-12 * max(largest, 1e12 * SMALLEST):
        return low, high
    pad = largest / 2 if largest >= SMALLEST else 0.5
    return low - pad, high + pad
