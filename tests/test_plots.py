"""Figures: each draws without a warning, in its fixed colours, transparent, with alt text."""

from __future__ import annotations

import io
import itertools
from collections.abc import Callable
from typing import Any

import IPython.display
import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

import winit
from winit import plots
from winit.plots import COLORS

Array = NDArray[Any]

RUNS = np.random.default_rng(0).uniform(0.5, 2, (3, 40))


def on_given_axes(function: Callable[..., Figure], *arguments: Any, **keywords: Any) -> Figure:
    figure, axes = plots.subplots(1, 2)
    assert function(*arguments, **keywords, axes=axes[1]) is figure
    return figure


FIGURES: dict[str, Callable[[], Figure]] = {
    "by_layer": lambda: plots.by_layer({"He": RUNS, "none": RUNS[0]}, ylabel="q"),
    "by_layer, zeros": lambda: plots.by_layer({"zeros": np.zeros(5), "he": [1, 0, 0]}, ylabel="q"),
    "by_layer, linear": lambda: plots.by_layer({"he": [-1, 1]}, ylabel="q", log=False, first=0),
    "by_layer, theories": lambda: plots.by_layer(
        {"he": [1, 1], "glorot": [1, 0.5]}, theory={"one": [1, 1], "two": [1, 0.5]}, ylabel="q"
    ),
    "by_layer, theory alone": lambda: plots.by_layer(
        {}, theory={"a": [1, 0], "b": [2, 1]}, ylabel="q"
    ),
    "by_layer, axes": lambda: on_given_axes(plots.by_layer, {"he": [1, 2]}, ylabel="q"),
    "loss_curves": lambda: plots.loss_curves({"he": RUNS}, smooth=5, reference=(2.3, "ln 10")),
    "histograms_by_layer": lambda: plots.histograms_by_layer([RUNS, RUNS / 2], names=["a", "b"]),
    "histograms_by_layer, zeros": lambda: plots.histograms_by_layer([np.zeros(9)]),
    "network": lambda: plots.network([2, 4, 3, 1]),
    "network, wide": lambda: plots.network([64, 5, 10], most=7, matrix_names=False, names="abc"),
    "network, weights": lambda: plots.network(
        [2, 3], weights=winit.weight_initializer([2, 3], rng=0)
    ),
    "network, zeros": lambda: plots.network([2, 3], weights={"W1": np.zeros((3, 2))}),
    "matrices": lambda: plots.matrices({f"W{i}": RUNS[:, :i] for i in range(1, 7)}),
    "matrices, zeros": lambda: plots.matrices({"W": np.zeros((3, 2))}, annotate=False),
    "heatmap": lambda: plots.heatmap(
        np.array([[-3, 0], [np.inf, np.nan]]), rows=["a", "b"], columns=["c", "d"], label="log10"
    ),
    "heatmap, texts": lambda: plots.heatmap(
        [[np.nan]], rows=["a"], columns=["c"], label="log10", texts=[["?"]], limit=2.0
    ),
    "spectra": lambda: plots.spectra({"he": [0.5, 2, 0, 1], "other": [3, 1]}),
    "functions": lambda: plots.functions({"a": [0, 1], "b": [1, 0]}, [0, 1], dashed=["b"]),
    "functions, axes": lambda: on_given_axes(plots.functions, {"a": [0, 1]}, [0, 1]),
    "sample_histogram": lambda: plots.sample_histogram(
        {"normal": RUNS}, density={"normal": (np.arange(3.0), np.ones(3))}, xlabel="w"
    ),
    "sample_histogram, limits": lambda: plots.sample_histogram(
        {"he": RUNS, "a": -RUNS}, xlabel="w", limits=(-1, 1)
    ),
}


def png(figure: Figure) -> Array:
    return np.asarray(Image.open(io.BytesIO(plots._png(figure))))


@pytest.mark.parametrize("name", FIGURES)
def test_each_figure_is_drawn_transparent_and_leaves_no_trace(name: str) -> None:
    before = dict(mpl.rcParams)
    figure = FIGURES[name]()  # a warning would be an error here
    pixels = png(figure)
    width, height = figure.get_size_inches()
    # Two pixels a CSS pixel. What is left of a pixel Matplotlib 3.9 drops and a newer one rounds.
    sides = 200 * height, 200 * width
    assert all(abs(n - side) < 1 for n, side in zip(pixels.shape, sides, strict=False))
    assert not pixels[[0, 0, -1, -1], [0, -1, 0, -1], 3].any()  # clear in the corners
    assert (pixels[..., 3] == 255).any()
    assert dict(mpl.rcParams) == before
    assert plt.get_fignums() == []


def test_the_same_figure_has_the_same_bytes() -> None:
    first, second = (plots._png(FIGURES["network"]()) for _ in range(2))
    assert first == second and b"Software" not in first


def only_axes(figure: Figure) -> Any:
    """Its one pair of axes, untyped: Matplotlib's own types say little of what a line holds."""
    (axes,) = figure.axes
    return axes


def texts(axes: Axes) -> dict[str, str]:
    return {text.get_text(): to_hex(text.get_color()) for text in axes.texts}


def test_by_layer_draws_the_median_the_band_and_the_theory() -> None:
    figure = plots.by_layer(
        {"he_normal": RUNS, "mine": RUNS[0]}, theory={"theory": np.ones(40)}, ylabel="q"
    )
    axes = only_axes(figure)
    theory, he, mine = axes.lines
    assert theory.get_linestyle() == "--" and to_hex(theory.get_color()) == COLORS["theory"]
    np.testing.assert_array_equal(he.get_xdata(), np.arange(1, 41))
    np.testing.assert_array_equal(he.get_ydata(), np.median(RUNS, axis=0))
    np.testing.assert_array_equal(mine.get_ydata(), RUNS[0])
    (band,) = axes.collections  # one run has no band
    heights = band.get_paths()[0].vertices[:, 1]
    assert (heights.min(), heights.max()) == (RUNS.min(), RUNS.max())
    assert axes.get_yscale() == "log"
    names = {"he_normal": COLORS["he"], "theory": COLORS["theory"]}
    assert texts(axes) == names | {"mine": to_hex(mine.get_color())}
    given = plots.by_layer({"a": [1]}, ylabel="q", colors={"a": "#123456"}).axes[0]
    assert texts(given) == {"a": "#123456"}


def test_names_at_the_line_ends_do_not_overlap() -> None:
    curves = {name: [1, 5] for name in "abcde"} | {"far": [1, 1]}
    figure = plots.functions(curves, [0, 1])
    figure.draw_without_rendering()
    renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]
    boxes = sorted(
        (text.get_window_extent(renderer) for text in figure.axes[0].texts), key=lambda b: b.y0
    )
    assert len(boxes) == 6
    assert all(lower.y1 <= upper.y0 for lower, upper in itertools.pairwise(boxes))
    assert boxes[-1].y1 < figure.bbox.y1


def test_loss_curves_are_running_means() -> None:
    curve = {"he": np.arange(10.0)}
    axes = only_axes(plots.loss_curves(curve, smooth=4, reference=(2.3, "ln 10")))
    reference, he = axes.lines
    np.testing.assert_array_equal(he.get_xdata(), np.arange(4, 11))
    np.testing.assert_allclose(he.get_ydata(), np.arange(1.5, 8))
    assert set(reference.get_ydata()) == {2.3} and "ln 10" in texts(axes)


def test_histograms_show_shares_on_one_scale() -> None:
    figure = plots.histograms_by_layer([[0.1, 0.9, 5.0], [0.0, 0.0]], limits=(-1, 1), bins=2)
    stairs: list[Any] = [axes.patches[0] for axes in figure.axes]
    first, second = stairs
    np.testing.assert_allclose(first.get_data().values, [0, 1])  # the edge holds what lies beyond
    np.testing.assert_allclose(second.get_data().edges, [-1, 0, 1])


@pytest.mark.parametrize(
    ("sizes", "drawn"), [([2, 4, 3, 1], [2, 4, 3, 1]), ([64, 9, 8], [8, 8, 8])]
)
def test_network_draws_units_weights_and_shapes(sizes: list[int], drawn: list[int]) -> None:
    axes = only_axes(plots.network(sizes))
    assert [len(layer.get_offsets()) for layer in axes.collections] == drawn
    assert len(axes.lines) == sum(m * n for m, n in itertools.pairwise(drawn))
    written = texts(axes)
    for i, (fan_in, fan_out) in enumerate(itertools.pairwise(sizes), start=1):
        assert f"W{i}\n({fan_out}, {fan_in})" in written
    assert f"input\n{sizes[0]}" in written and f"output\n{sizes[-1]}" in written
    assert ("⋮" in written) == (max(sizes) > 8)


def test_network_shows_the_sign_and_size_of_each_weight() -> None:
    matrix = np.array([[1.0, -0.5], [0.0, 2.0]])
    lines = plots.network([2, 2], weights={"W1": matrix}).axes[0].lines
    assert [to_hex(line.get_color()) for line in lines] == [
        COLORS["normal"] if entry > 0 else COLORS["he"] for entry in matrix.flat
    ]
    widths = [line.get_linewidth() for line in lines]
    np.testing.assert_allclose(widths, 0.5 + 2.5 * np.abs(matrix.flat) / 2)


def test_matrices_share_one_scale() -> None:
    figure = plots.matrices({"small": [[0.1]], "large": [[-4.0, 1.0]]})
    limits = [axes.images[0].get_clim() for axes in figure.axes]
    assert limits == [(-4, 4), (-4, 4)]
    assert [text.get_text() for text in figure.axes[1].texts] == ["-4", "1"]
    colors = [to_hex(text.get_color()) for text in figure.axes[1].texts]
    assert colors == ["#ffffff", plots.INK]  # white where the square is strong


@pytest.mark.parametrize(
    ("label", "scheme"),
    [
        ("he_normal", "he"),
        ("He, gain 2", "he"),
        ("Kaiming uniform", "he"),
        ("the rest", None),
        ("Xavier", "glorot"),
        ("glorot_uniform", "glorot"),
        ("truncated normal", "normal"),
        ("std 1", "normal"),
        ("std 0.01", "small"),
        ("std 1.5", None),
        ("tanh", None),
    ],
)
def test_a_scheme_has_one_colour(label: str, scheme: str | None) -> None:
    assert plots.color(label) == (COLORS[scheme] if scheme else None)


def linear(color: str) -> Array:
    """Linear light, red to blue."""
    c = np.array(to_rgb(color))
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def contrast(one: str, other: str) -> float:
    """The contrast ratio of WCAG."""
    dark, light = sorted(float(linear(color) @ [0.2126, 0.7152, 0.0722]) for color in (one, other))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("name", COLORS)
@pytest.mark.parametrize("paper", ["#ffffff", "#fdfcf9", "#14171c"])
def test_colours_read_on_light_and_dark_paper(name: str, paper: str) -> None:
    assert contrast(COLORS[name], paper) >= 3


# What is left of linear light without one kind of cone: Machado et al. 2009.
VISION = {
    "every cone": np.eye(3),
    "no L cone": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "no M cone": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "no S cone": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
WHITE = np.array([0.95047, 1.0, 1.08883])


def lab(color: str, vision: str) -> Array:
    """CIELAB coordinates, in which a distance of about 2 can just be told apart."""
    light = np.clip(np.asarray(VISION[vision]) @ linear(color), 0, 1)
    x, y, z = np.cbrt(
        XYZ @ light / WHITE
    )  # none of the colours is dark enough for the other branch
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("vision", VISION)
def test_schemes_differ_to_every_kind_of_colour_vision(vision: str) -> None:
    schemes = sorted(set(COLORS.values()))
    places = np.array([lab(color, vision) for color in schemes])
    distances = np.linalg.norm(places[:, None] - places[None], axis=-1)
    assert distances[np.triu_indices(len(schemes), 1)].min() > 14


def published(monkeypatch: pytest.MonkeyPatch, **keywords: Any) -> tuple[Any, Any]:
    """What `show` hands to IPython."""
    calls: list[Any] = []
    monkeypatch.setattr(IPython.display, "publish_display_data", lambda *args: calls.append(args))
    plots.show(plots.subplots(figsize=(4, 3))[0], **keywords)
    ((data, metadata),) = calls
    return data, metadata


def test_show_publishes_the_picture_with_its_words(monkeypatch: pytest.MonkeyPatch) -> None:
    alt, caption = "He stays near 1 for 50 layers", "He keeps the scale."
    data, metadata = published(monkeypatch, alt=alt, caption=caption)
    assert set(data) == {"image/png", "text/plain"} and data["text/plain"] == alt
    assert Image.open(io.BytesIO(data["image/png"])).size == (800, 600)
    size = {"width": 400, "height": 300}
    assert metadata == {"alt": alt, "caption": caption, "image/png": size}


def test_show_without_a_caption(monkeypatch: pytest.MonkeyPatch) -> None:
    assert published(monkeypatch, alt="Two empty axes, no curves")[1]["caption"] is None


@pytest.mark.parametrize("alt", ["", "A figure", "He against Glorot", None])
def test_show_insists_on_alt_text(alt: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="alt must say in words what the figure shows, got"):
        published(monkeypatch, alt=alt)
    with pytest.raises(TypeError, match="alt"):
        published(monkeypatch)


def test_a_sample_takes_the_colour_that_it_is_given() -> None:
    figure = plots.sample_histogram(
        {"he": RUNS, "he_uniform": RUNS}, xlabel="w", colors={"he_uniform": "#123456"}
    )
    names = {
        text.get_text(): to_hex(text.get_color())
        for text in figure.axes[0].get_legend().get_texts()
    }
    assert names == {"he": plots.COLORS["he"], "he_uniform": "#123456"}
