"""Figures: each draws without a warning, in its fixed colors, transparent, with alt text."""

from __future__ import annotations

import io
import itertools
from collections.abc import Callable
from typing import Any

import ink
import IPython.display
import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgba
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image
from tiers import some

import winit
from winit import plots
from winit.plots import COLORS

Array = NDArray[Any]

PAPERS = [("light", paper) for paper in ink.LIGHT.values()]
PAPERS += [("light", (255, 255, 255)), *(("dark", paper) for paper in ink.DARK.values())]
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
    "by_layer, theory of zeros": lambda: plots.by_layer({}, theory={"a": [0, 0]}, ylabel="q"),
    "by_layer, axes": lambda: on_given_axes(plots.by_layer, {"he": [1, 2]}, ylabel="q"),
    "loss_curves": lambda: plots.loss_curves({"he": RUNS}, smooth=5, reference=(2.3, "ln 10")),
    "update_ratios": lambda: plots.update_ratios(RUNS.T, smooth=5),
    "update_ratios, one layer": lambda: plots.update_ratios([[0.1], [0.2]], reference=None),
    "update_ratios, zeros": lambda: plots.update_ratios([[np.inf, 0.0], [0.1, np.nan]]),
    "update_ratios, axes": lambda: on_given_axes(plots.update_ratios, RUNS),
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


@pytest.mark.parametrize("name", some(FIGURES, 3))
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


def levels(color: Any) -> Array:
    """Red, green, blue and opacity, of 0 to 255."""
    return 255 * np.array(to_rgba(color))


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


def test_update_ratios_go_from_blue_to_red() -> None:
    axes = only_axes(plots.update_ratios(np.arange(1.0, 13).reshape(4, 3), smooth=2))
    *layers, reference = axes.lines
    means = [[2.5, 5.5, 8.5], [3.5, 6.5, 9.5], [4.5, 7.5, 10.5]]
    for line, expected in zip(layers, means, strict=True):
        np.testing.assert_array_equal(line.get_xdata(), [2, 3, 4])
        np.testing.assert_allclose(line.get_ydata(), expected)
    named = {"layer 1": COLORS["he"], "layer 3": COLORS["normal"], "0.001": COLORS["theory"]}
    assert texts(axes) == named
    assert set(reference.get_ydata()) == {1e-3} and axes.get_yscale() == "log"
    bare = only_axes(plots.update_ratios(RUNS, reference=None))
    assert "0.001" not in texts(bare) and len(bare.lines) == 40


@pytest.mark.parametrize(("theme", "paper"), PAPERS)
def test_layers_read_on_light_and_dark_paper(theme: str, paper: ink.Color) -> None:
    shades = [np.multiply(plots.DEPTH(t), 255) for t in np.linspace(0, 1, 76)]
    assert min(ink.contrast(ink.shown(c, theme, paper), paper) for c in shades) >= ink.TEXT


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
        ("tanh", "glorot"),
        ("leaky ReLU", "he"),
        ("He, tanh", "he"),
        ("elu", "pytorch"),
        ("softplus", None),
    ],
)
def test_a_scheme_or_activation_has_one_color(label: str, scheme: str | None) -> None:
    assert plots.color(label) == (COLORS[scheme] if scheme else None)


@pytest.mark.parametrize("name", COLORS)
@pytest.mark.parametrize(("theme", "paper"), PAPERS)
def test_colors_read_on_light_and_dark_paper(name: str, theme: str, paper: ink.Color) -> None:
    seen = ink.shown(levels(COLORS[name]), theme, paper)
    assert ink.contrast(seen, paper) >= ink.TEXT


@pytest.mark.parametrize(("theme", "paper"), PAPERS)
def test_tables_read_on_light_and_dark_paper(theme: str, paper: ink.Color) -> None:
    white = ink.shown(levels("white"), theme, paper)
    for share in np.linspace(0, 1, 99):
        square = ink.shown(np.multiply(plots.TABLE(share), 255), theme, paper)
        assert ink.contrast(white, square) >= ink.TEXT
        assert ink.contrast(square, paper) >= ink.LINE


@pytest.mark.parametrize(("theme", "paper"), PAPERS)
def test_numbers_in_matrices_read_on_light_and_dark_paper(theme: str, paper: ink.Color) -> None:
    entries = np.linspace(-1, 1, 513)
    for row in np.split(entries, 27):  # as many as are written without being asked for
        axes = only_axes(plots.matrices({"W": [row]}, limit=1.0))
        for entry, text in zip(row, axes.texts, strict=True):
            square = axes.images[0].cmap(axes.images[0].norm(entry))
            ground = ink.shown(np.multiply(square, 255), theme, paper)
            written = ink.shown(levels(text.get_color()), theme, paper)
            assert ink.contrast(written, ground) >= ink.TEXT, entry


def test_activations_differ() -> None:
    assert len(set(plots.ACTIVATIONS.values())) == len(plots.ACTIVATIONS)
    assert set(plots.ACTIVATIONS.values()) < set(COLORS)


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


def lab(color: Any, vision: str) -> Array:
    """CIELAB coordinates, in which a distance of about 2 can just be told apart."""
    light = np.clip(np.asarray(VISION[vision]) @ ink.linear(color), 0, 1)
    x, y, z = np.cbrt(XYZ @ light / WHITE)  # none of the colors is dark enough for the other branch
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize(("theme", "least"), [("light", 14), ("dark", 10)])
@pytest.mark.parametrize("vision", VISION)
def test_schemes_differ_to_every_kind_of_color_vision(
    vision: str, theme: str, least: float
) -> None:
    """Inverting brings some colors closer; 10 is still five times what can be told apart."""
    schemes = [levels(color) for color in sorted(set(COLORS.values()))]
    places = np.array([lab(ink.shown(color, theme, (0, 0, 0)), vision) for color in schemes])
    distances = np.linalg.norm(places[:, None] - places[None], axis=-1)
    assert distances[np.triu_indices(len(schemes), 1)].min() > least


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
    shown = {"alt": alt, "caption": caption, "image/png": size, "needs_background": "light"}
    assert metadata == shown


def test_show_without_a_caption(monkeypatch: pytest.MonkeyPatch) -> None:
    assert published(monkeypatch, alt="Two empty axes, no curves")[1]["caption"] is None


@pytest.mark.parametrize("alt", ["", "A figure", "He against Glorot", None])
def test_show_insists_on_alt_text(alt: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="alt must say in words what the figure shows, got"):
        published(monkeypatch, alt=alt)
    with pytest.raises(TypeError, match="alt"):
        published(monkeypatch)


def test_a_sample_takes_the_color_that_it_is_given() -> None:
    figure = plots.sample_histogram(
        {"he": RUNS, "he_uniform": RUNS}, xlabel="w", colors={"he_uniform": "#123456"}
    )
    names = {
        text.get_text(): to_hex(text.get_color())
        for text in figure.axes[0].get_legend().get_texts()
    }
    assert names == {"he": plots.COLORS["he"], "he_uniform": "#123456"}


# Fault 12: nothing was checked. What follows are inputs of its kind.


def refused(call: Callable[[], object], error: type[Exception], message: str) -> None:
    """The call is refused by a line of winit's own, with these words; no trace is left."""
    before = dict(mpl.rcParams)
    with np.errstate(all="raise"), pytest.raises(error, match=message) as caught:
        call()
    assert type(caught.value) is error
    assert caught.traceback[-1].path.parent.name == "winit", caught.traceback[-1]  # type: ignore[union-attr]
    assert dict(mpl.rcParams) == before and plt.get_fignums() == []


ONE: Any = {"he": [1.0, 2.0]}
P: Any = plots  # what the types forbid is tried here


@pytest.mark.parametrize(
    ("steps", "smooth"), [(1, 2), (2, 3), (3, 5), (4, 100), (9, 10), (10, 11), (40, 41), (1, 2**20)]
)
def test_fault_12_a_running_mean_of_more_steps_than_there_are(steps: int, smooth: int) -> None:
    words = f"smooth must be at most the number of steps, got {smooth} for the {steps} of runs"
    for losses in (np.ones(steps), np.ones((3, steps))):
        runs = {"he": losses} | ({"long": np.ones(smooth)} if smooth < 1000 else {})
        refused(lambda r=runs: plots.loss_curves(r, smooth=smooth), ValueError, words)
    exact = only_axes(plots.loss_curves({"he": np.arange(1.0, steps + 1)}, smooth=steps))
    np.testing.assert_allclose(exact.lines[0].get_xydata(), [[steps, (steps + 1) / 2]])


NOTHING: list[tuple[Any, type[Exception], str]] = [
    (None, TypeError, "must be a dict|must hold real"),
    ([1.0, 2.0], TypeError, "must be a dict"),
    ("he", TypeError, "must be a dict"),
    ({}, ValueError, "must not be empty"),
    ({1: [1.0]}, TypeError, "each name in .* must be a string, got 1"),
    ({None: [1.0]}, TypeError, "each name in .* must be a string, got None"),
    ({"he": None}, TypeError, r"\['he'\] must hold real numbers"),
    ({"he": "ab"}, TypeError, r"\['he'\] must hold real numbers"),
    ({"he": []}, ValueError, r"\['he'\] must not be empty"),
    ({"he": [[1.0], [1.0, 2.0]]}, TypeError, r"\['he'\] must be an array of numbers"),
    ({"he": [1j, 2j]}, TypeError, r"\['he'\] must hold real numbers"),
    ({"he": np.ma.masked_equal([1.0, 2.0], 2)}, TypeError, r"\['he'\] must not be masked"),
    ({"he": [np.nan, np.nan]}, ValueError, r"\['he'\] (has nothing to draw|must be finite)"),
    ({"he": [np.inf, -np.inf]}, ValueError, r"\['he'\] (has nothing to draw|must be finite)"),
    (
        {"he": [1e300, -1e201]},
        ValueError,
        r"\['he'\] (has nothing to draw|must lie within ±1e\+200)",
    ),
    ({"字": [1.0, 2.0]}, ValueError, "each name in .* has a character that the font cannot draw"),
    ({"\x00": [1.0, 2.0]}, ValueError, "each name in .* has a character that the font cannot"),
    ({"$\\frac$": [1.0, 2.0]}, ValueError, "each name in .* must be text, or a formula"),
    ({"m" * 40: [1.0, 2.0]}, ValueError, "each name in .* is wider than the place beside the axes"),
    ({"a\n" * 9: [1.0, 2.0]}, ValueError, "each name in .* must have at most 4 lines"),
    ({f"{i}": [1.0, 2.0] for i in range(99)}, ValueError, "must hold at most"),
]


@pytest.mark.parametrize(("values", "error", "message"), NOTHING)
def test_fault_12_what_cannot_be_drawn(values: Any, error: type[Exception], message: str) -> None:
    refused(lambda: P.by_layer(values, ylabel="q"), error, f"curves{message}|{message}")
    refused(lambda: P.loss_curves(values), error, message)
    refused(lambda: P.matrices(values), error, message)
    refused(lambda: P.spectra(values), error, message)
    refused(lambda: P.functions(values, [0.0, 1.0]), error, message)
    refused(lambda: P.sample_histogram(values, xlabel="w"), error, message)


@pytest.mark.parametrize("low", [-1e-300, -1e-3, -1, -1e200])
def test_fault_12_negative_values_on_a_logarithmic_axis(low: float) -> None:
    words = "must not be negative on a logarithmic axis"
    for values in ([1.0, low], [[1.0, 1.0], [1.0, low]]):
        curves = {"he": values}
        refused(lambda c=curves: plots.by_layer(c, ylabel="q"), ValueError, words)
        refused(lambda c=curves: plots.loss_curves(c), ValueError, words)
        plots.by_layer(curves, ylabel="q", log=False)
    refused(lambda: plots.by_layer(ONE, theory={"t": [low]}, ylabel="q"), ValueError, words)
    refused(lambda: plots.spectra({"he": [1.0, low]}), ValueError, words)
    for value in (low, 0.0):
        reference = (value, "floor")
        refused(
            lambda r=reference: plots.loss_curves(ONE, reference=r),
            ValueError,
            "reference must be above 0 on a logarithmic axis",
        )


AXES = plots.subplots()[1]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: P.by_layer(ONE, ylabel=None), TypeError, "ylabel must be a string"),
        (lambda: P.by_layer(ONE, ylabel="q", xlabel=3), TypeError, "xlabel must be a string"),
        (lambda: P.by_layer(ONE, ylabel="q" * 121), ValueError, "ylabel must have at most 4 lines"),
        (lambda: P.by_layer(ONE, ylabel="$\\x$"), ValueError, "ylabel must be text, or a formula"),
        (lambda: P.by_layer(ONE, ylabel="q", log=1), TypeError, "log must be True or False"),
        (lambda: P.by_layer(ONE, ylabel="q", first=-1), ValueError, "first must be at least 0"),
        (lambda: P.by_layer(ONE, ylabel="q", first=0.5), TypeError, "first must be a whole number"),
        (lambda: P.by_layer(ONE, ylabel="q", theory=[1]), TypeError, "theory must be a dict"),
        (lambda: P.by_layer(ONE, ylabel="q", theory=0), TypeError, "theory must be a dict"),
        (lambda: P.by_layer(ONE, ylabel="q", theory=np.zeros(3)), TypeError, "theory must be a d"),
        (
            lambda: P.by_layer(ONE, ylabel="q", theory={"t": [[1.0]]}),
            ValueError,
            r"theory\['t'\] must have 1 axes",
        ),
        (lambda: P.by_layer({"he": 1.0}, ylabel="q"), ValueError, r"curves\['he'\] must have 1 or"),
        (
            lambda: P.by_layer({"he": [[[1.0]]]}, ylabel="q"),
            ValueError,
            r"curves\['he'\] must have 1 or 2 axes",
        ),
        (lambda: P.by_layer(ONE, ylabel="q", colors="red"), TypeError, "colors must be a dict"),
        (
            lambda: P.by_layer(ONE, ylabel="q", colors={"he": "reddish"}),
            ValueError,
            r"colors\['he'\] must be a color such as '#1e68f9', got 'reddish'",
        ),
        (lambda: P.by_layer(ONE, ylabel="q", axes=3), TypeError, "axes must be Matplotlib axes"),
        (
            lambda: P.by_layer(ONE, ylabel="q", axes=plots.subplots(1, 2)[1]),
            TypeError,
            "axes must be Matplotlib axes",
        ),
        (lambda: P.loss_curves(ONE, smooth=0), ValueError, "smooth must be at least 1"),
        (lambda: P.update_ratios([1.0]), ValueError, r"ratios must have 2 axes, got shape \(1,\)"),
        (lambda: P.update_ratios([[-1.0]]), ValueError, "ratios must not be negative"),
        (lambda: P.update_ratios("a"), TypeError, "ratios must hold real numbers"),
        (lambda: P.update_ratios(np.ones((2, 76))), ValueError, "ratios must have at most 75 laye"),
        (lambda: P.update_ratios(np.ones((2, 3)), smooth=3), ValueError, "smooth must be at most "),
        (lambda: P.update_ratios([[1, np.nan]]), ValueError, "layer 2 of ratios has nothing to dr"),
        (lambda: P.update_ratios([[1]], reference=(0, "a")), ValueError, "reference must be above"),
        (lambda: P.update_ratios([[1]], reference=1), TypeError, "reference must be a number and "),
        (lambda: P.loss_curves(ONE, smooth=1.5), TypeError, "smooth must be a whole number"),
        (lambda: P.loss_curves(ONE, reference=2.3), TypeError, "reference must be a number and i"),
        (lambda: P.loss_curves(ONE, reference=(1, 2, 3)), TypeError, "reference must be a number"),
        (lambda: P.loss_curves(ONE, reference=("a", 1)), TypeError, "the value of reference must"),
        (lambda: P.loss_curves(ONE, reference=(1, 2)), TypeError, "the name of reference must be"),
        (
            lambda: P.loss_curves(ONE, reference=(np.nan, "a")),
            ValueError,
            "the value of reference must be finite",
        ),
        (lambda: P.histograms_by_layer([]), ValueError, "layers must hold 1 to 75 arrays, got 0"),
        (lambda: P.histograms_by_layer([[1]] * 76), ValueError, "layers must hold 1 to 75 arrays"),
        (lambda: P.histograms_by_layer(None), TypeError, "layers must be a sequence of arrays"),
        (lambda: P.histograms_by_layer({"a": [1]}), TypeError, "layers must be a sequence of arr"),
        (lambda: P.histograms_by_layer("ab"), TypeError, "layers must be a sequence of arrays"),
        (lambda: P.histograms_by_layer(np.array(1.0)), TypeError, "layers must be a sequence of a"),
        (lambda: P.histograms_by_layer([[1], []]), ValueError, r"layers\[1\] must not be empty"),
        (lambda: P.histograms_by_layer([[1, np.nan]]), ValueError, r"layers\[0\] must be finite"),
        (lambda: P.histograms_by_layer([["a"]]), TypeError, r"layers\[0\] must hold real numbers"),
        (
            lambda: P.histograms_by_layer([[1], [2]], names=["a"]),
            ValueError,
            "names must hold 2 names, one a layer, got 1",
        ),
        (
            lambda: P.histograms_by_layer([[1]], names=["a", "b"]),
            ValueError,
            "names must hold 1 names, one a layer, got 2",
        ),
        (lambda: P.histograms_by_layer([[1]], names=[1]), TypeError, "each name in names must be"),
        (lambda: P.histograms_by_layer([[1]], names={"a"}), TypeError, "names must be a sequence"),
        (lambda: P.histograms_by_layer([[1]], bins=0), ValueError, "bins must be at least 1"),
        (lambda: P.histograms_by_layer([[1]], bins=2**30), ValueError, "bins must be at most"),
        (lambda: P.histograms_by_layer([[1]], limits=1), TypeError, "limits must be a pair"),
        (lambda: P.histograms_by_layer([[1]], limits=(1, 0)), ValueError, "limits must be a lower"),
        (lambda: P.histograms_by_layer([[1]], limits=(1, 1)), ValueError, "limits must be a lower"),
        (
            lambda: P.histograms_by_layer([[1]], limits=(0, np.inf)),
            ValueError,
            "each of limits must be finite",
        ),
        (lambda: P.histograms_by_layer([[1]], hexcode="he"), ValueError, "hexcode must be a color"),
        (lambda: P.network([3]), ValueError, "layer_sizes needs an input and a layer"),
        (lambda: P.network("23"), TypeError, "layer_sizes must be a sequence"),
        (lambda: P.network([2, 0]), ValueError, "each size in layer_sizes"),
        (lambda: P.network([2] * 21), ValueError, "layer_sizes must hold at most 20 layers"),
        (lambda: P.network([2, 3], names=["a"]), ValueError, "names must hold 2 names, one a la"),
        (lambda: P.network([2, 3], names="abc"), ValueError, "names must hold 2 names, one a lay"),
        (lambda: P.network([2, 3], most=1), ValueError, "most must be at least 2"),
        (lambda: P.network([2, 3], most=1000), ValueError, "most must be at most 20"),
        (lambda: P.network([2, 3], matrix_names="yes"), TypeError, "matrix_names must be True or"),
        (lambda: P.network([2, 3], weights=[1]), TypeError, "weights must be a dict"),
        (
            lambda: P.network([2, 3], weights={"W1": np.ones((2, 3))}),
            ValueError,
            r'weights\["W1"\] must have shape \(3, 2\), got \(2, 3\)',
        ),
        (
            lambda: P.network([2, 3], weights={"W1": np.full((3, 2), np.nan)}),
            ValueError,
            r'weights\["W1"\] must be finite',
        ),
        (
            lambda: P.network([2, 3], weights={"W2": np.ones((3, 2))}),
            ValueError,
            "weights must hold W1 and biases, got 'W2'",
        ),
        (lambda: P.matrices({"W": [[[1.0]]]}), ValueError, r"values\['W'\] must have 0 or 1 or 2"),
        (lambda: P.matrices({"W": [[np.nan]]}), ValueError, r"values\['W'\] must be finite"),
        (lambda: P.matrices({"W": [[1.0]]}, limit=0), ValueError, "limit must be 1e-250 or larger"),
        (lambda: P.matrices({"W": [[1.0]]}, limit="1"), TypeError, "limit must be a number"),
        (lambda: P.matrices({"W": [[1.0]]}, annotate=1), TypeError, "annotate must be True or Fal"),
        (
            lambda: P.matrices({"W": np.ones((99, 99))}, annotate=True),
            ValueError,
            "annotate must be False for 9801 numbers",
        ),
        (lambda: P.matrices({"W": [[1.0]]}, columns=0), ValueError, "columns must be at least 1"),
        (lambda: P.matrices({"W": [[1.0]]}, columns=11), ValueError, "columns must be at most 10"),
        (
            lambda: P.matrices({f"{i}": [[1.0]] for i in range(20)}, columns=1),
            ValueError,
            "columns must be more than 1 for 20 matrices",
        ),
        (
            lambda: P.heatmap([[1.0]], rows=["a", "b"], columns=["c"], label="l"),
            ValueError,
            "rows must hold 1 names, one a row, got 2",
        ),
        (
            lambda: P.heatmap([[1.0, 2.0]], rows=["a"], columns=["c"], label="l"),
            ValueError,
            "columns must hold 2 names, one a column, got 1",
        ),
        (
            lambda: P.heatmap([1.0], rows=["a"], columns=["c"], label="l"),
            ValueError,
            "values must have 2 axes",
        ),
        (
            lambda: P.heatmap([[1.0]], rows=["a"], columns=[3], label="l"),
            TypeError,
            "each name in columns must be a string, got 3",
        ),
        (
            lambda: P.heatmap([[1.0]], rows={"a"}, columns=["c"], label="l"),
            TypeError,
            "rows must be a sequence of strings",
        ),
        (
            lambda: P.heatmap([[1.0]], rows=["a"], columns=["c"], label=None),
            TypeError,
            "label must be a string",
        ),
        (
            lambda: P.heatmap([[1.0]], rows=["a"], columns=["c"], label="l", texts=[["x", "y"]]),
            ValueError,
            "texts must hold 1 names, one a column, got 2",
        ),
        (
            lambda: P.heatmap([[1.0]], rows=["a"], columns=["c"], label="l", texts=[]),
            ValueError,
            "texts must have 1 rows",
        ),
        (
            lambda: P.heatmap([[1.0]], rows=["a"], columns=["c"], label="l", limit=-1),
            ValueError,
            "limit must be 1e-250 or larger",
        ),
        (lambda: P.functions({"a": [1.0]}, [0, 1]), ValueError, r"curves\['a'\] must have the sh"),
        (lambda: P.functions({"a": [1.0]}, [[0]]), ValueError, "x must have 1 axes"),
        (lambda: P.functions({"a": [1.0]}, [np.nan]), ValueError, "x must be finite"),
        (lambda: P.functions({"a": [1.0]}, [0], dashed="a"), TypeError, "dashed must be a list of"),
        (
            lambda: P.functions({"tanh": [1.0]}, [0], dashed=["tnah"]),
            ValueError,
            "each name in dashed must be one of tanh, got 'tnah'. Did you mean 'tanh'",
        ),
        (lambda: P.functions({"a": [1.0]}, [0], axes="axes"), TypeError, "axes must be Matplotlib"),
        (
            lambda: P.sample_histogram({"a": [1.0, np.inf]}, xlabel="w"),
            ValueError,
            r"samples\['a'\] must be finite",
        ),
        (
            lambda: P.sample_histogram({"a": [1.0]}, xlabel="w", density={"a": [1.0]}),
            TypeError,
            r"density\['a'\] must be a pair",
        ),
        (
            lambda: P.sample_histogram({"a": [1.0]}, xlabel="w", density={"a": ([1.0], [1, 2])}),
            ValueError,
            r"density\['a'\] must hold two arrays of one shape",
        ),
        (lambda: P.sample_histogram({"a": [1.0]}, xlabel=1), TypeError, "xlabel must be a string"),
        (
            lambda: P.sample_histogram({"a": [1.0]}, xlabel="w", limits=(2, 1)),
            ValueError,
            "limits must be a lower",
        ),
        (lambda: P.color(None), TypeError, "label must be a string, got None"),
        (lambda: P.color(b"he"), TypeError, "label must be a string"),
        (lambda: P.subplots(0), ValueError, "rows must be at least 1"),
        (lambda: P.subplots(1, 21), ValueError, "columns must be at most 20"),
        (lambda: P.subplots("1"), TypeError, "rows must be a whole number"),
        (lambda: P.subplots(figsize=3), TypeError, "figsize must be a pair of numbers"),
        (lambda: P.subplots(figsize=(3, 0)), ValueError, "each of figsize must be 0.5 or larger"),
        (lambda: P.subplots(figsize=(999, 3)), ValueError, "each of figsize must be 50 or smaller"),
        (lambda: P.subplots(figzise=(3, 3)), ValueError, "keywords must be those of matplotlib"),
        (lambda: P.subplots(sharex="every"), ValueError, "keywords must be those of matplotlib"),
        (lambda: P.show("figure", alt="a figure that is none"), TypeError, "figure must be a Matp"),
        (
            lambda: P.show(Figure((90, 1)), alt="a figure that is too wide"),
            ValueError,
            "figure must be at most 50 inches",
        ),
        (
            lambda: P.show(Figure(), alt="a figure without a caption", caption=3),
            TypeError,
            "caption must be a string or None",
        ),
    ],
)
def test_fault_12_plots_check_what_they_are_given(
    call: Callable[[], object], error: type[Exception], message: str
) -> None:
    refused(call, error, message)


def test_fault_12_an_error_leaves_the_given_axes_as_they_were() -> None:
    axes = plots.subplots()[1]
    plots.functions({"a": [0, 1]}, [0, 1], axes=axes)

    def state() -> list[object]:
        return [len(axes.get_children()), texts(axes), axes.get_yscale(), axes.get_xlabel()]

    before = state()
    for call in (
        lambda: plots.by_layer({"b": [1.0], "c": [-1.0]}, ylabel="q", axes=axes),
        lambda: plots.by_layer({"b": [1.0]}, theory={"t": []}, ylabel="q", axes=axes),
        lambda: plots.loss_curves({"b": [1.0]}, smooth=2, axes=axes),
        lambda: plots.loss_curves({"b": [1.0]}, colors={"b": "?"}, axes=axes),
        lambda: plots.functions({"b": [0, 1], "c": [1]}, [0, 1], axes=axes),
        lambda: plots.functions({"b": [0, 1], "c字": [0, 1]}, [0, 1], axes=axes),
    ):
        refused(call, ValueError, "must|has")
    assert state() == before
    plots.by_layer(ONE, ylabel="q")  # nor does a picture that is drawn touch another
    assert state() == before


def test_fault_12_gaps_are_left_open() -> None:
    curve = [1.0, np.nan, 3.0, np.inf, 1e300]
    with np.errstate(all="raise"):
        for figure in (
            plots.by_layer({"he": curve, "two": [curve, curve[::-1]]}, ylabel="q"),
            plots.loss_curves({"he": curve}),
            plots.functions({"he": curve}, range(5)),
        ):
            np.testing.assert_array_equal(figure.axes[0].lines[0].get_ydata()[:3], curve[:3])
            assert texts(figure.axes[0])["he"] == COLORS["he"]
            png(figure)


@pytest.mark.long
def test_fault_12_pictures_at_the_limits_do_not_warn() -> None:
    tiny, huge = 1e-320, 1e200
    with np.errstate(all="raise"):
        for figure in (
            plots.by_layer({"he": [tiny, huge]}, ylabel="q"),
            plots.by_layer({"he": [-huge, huge]}, ylabel="q", log=False),
            plots.by_layer({f"{i}": [1, 2] for i in range(20)}, ylabel="q" * 120),
            plots.by_layer({"m" * 21: [1, 2]}, ylabel="$\\sigma_w^2$"),
            plots.histograms_by_layer([[tiny]]),
            plots.sample_histogram({"he": [tiny, 0]}, xlabel="w"),
            plots.sample_histogram({"he": [2.0, 2.0]}, xlabel="w"),
            plots.sample_histogram({"he": [-2.0, 2.0]}, xlabel="w", limits=(-1, 1)),
            plots.sample_histogram({"m" * 20 + f"{i}": [1, 2] for i in range(8)}, xlabel="w"),
            plots.matrices({"W": [[tiny]], "V": 2.0}),
            plots.heatmap([[huge]], rows=["m" * 21], columns=["m" * 21], label="x"),
            plots.heatmap([[tiny]], rows=["a"], columns=["c"], label="x"),
            plots.heatmap([[np.nan]], rows=["a"], columns=["c"], label="x"),
            plots.functions({"he": [tiny, huge]}, [-huge, huge]),
        ):
            png(figure)


def test_fault_12_axes_of_a_figure_in_a_figure() -> None:
    figure, axes = plots.subplots()
    axes.remove()
    left, _ = figure.subfigures(1, 2)
    assert plots.by_layer(ONE, ylabel="q", axes=left.subplots()) is figure
    refused(lambda: plots.by_layer(ONE, ylabel="q", axes=axes), ValueError, "axes must belong to")


@pytest.mark.parametrize("name", ["_", "_x", "__", "_He", "_1", "_ ", "_é", "_$x$", "_a\nb", "_-"])
def test_fault_12_a_name_that_a_legend_would_hide(name: str) -> None:
    samples = {name: np.arange(4.0)}
    with pytest.raises(ValueError, match="each name in samples must not start with '_'"):
        plots.sample_histogram(samples, xlabel="x")
