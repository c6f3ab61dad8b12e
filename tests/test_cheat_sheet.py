"""The cheat sheet: every formula, number and name on it is computed here again.

PyTorch is not among the requirements: where it is missing, its names are not tried.
"""

from __future__ import annotations

import functools
import math
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import winit
from winit import activations, theory

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ROOT = Path(__file__).resolve().parent.parent
SHEET = ROOT / "book" / "cheat_sheet.md"
PAGE = ROOT / "_build" / "html" / "book" / "cheat_sheet.html"

SLOPE = 0.2
FANS = {"n_in": 256, "n_out": 128}
SYMBOLS = FANS | {"alpha": SLOPE, "g": theory.depth_gain("gelu", 10), "sqrt": math.sqrt}
LAYERS = 30

Array = np.ndarray[Any, Any]
Draw = Callable[..., Array]

# What stands in the column "Scheme", without its formatting -> the normal and the uniform draw.
SCHEMES: dict[str, tuple[Draw, Draw]] = {
    "He (Kaiming)": (winit.he_normal, winit.he_uniform),
    "He, slope α below 0, here 0.2": (
        functools.partial(winit.he_normal, negative_slope=SLOPE),
        functools.partial(winit.he_uniform, negative_slope=SLOPE),
    ),
    "Xavier (Glorot)": (winit.glorot_normal, winit.glorot_uniform),
    "LeCun": (winit.lecun_normal, winit.lecun_uniform),
    "A gain g, here GELU's for ten layers": (
        functools.partial(winit.variance_scaling, scale=SYMBOLS["g"] ** 2),
        functools.partial(winit.variance_scaling, scale=SYMBOLS["g"] ** 2, distribution="uniform"),
    ),
    "PyTorch's Linear, unasked": (
        functools.partial(winit.variance_scaling, scale=1 / 3),
        functools.partial(winit.variance_scaling, scale=1 / 3, distribution="uniform"),
    ),
}
HE = math.sqrt(2)
# "Hidden layers apply" -> the activation, the gain of the advised scheme, and that of the scheme
# whose numbers stand in the last column: another customary one, or the gain for this depth.
ADVICE: dict[str, tuple[activations.Activation, str, float, float | None]] = {
    "ReLU": (activations.relu, "He", HE, None),
    "leaky ReLU, 0.2": (
        activations.leaky_relu(SLOPE),
        "He, slope α",
        math.sqrt(2 / (1 + SLOPE**2)),
        None,
    ),
    "tanh": (activations.tanh, "Xavier", 1.0, HE),
    "SELU": (activations.selu, "LeCun", 1.0, HE),
    "ELU": (activations.elu, "He", HE, theory.depth_gain("elu", LAYERS)),
    "GELU": (activations.gelu, "He", HE, None),
    "SiLU": (activations.silu, "He", HE, None),
    "sigmoid": (activations.sigmoid, "A gain g", theory.depth_gain("sigmoid", LAYERS), HE),
}
# Other gains that the note tells: for ten layers, and the critical one.
ALSO = {
    "GELU": (theory.depth_gain("gelu", 10),),
    "SiLU": (theory.depth_gain("silu", 10),),
    "sigmoid": (theory.depth_gain("sigmoid", 10), theory.critical_line("sigmoid")),
}
RECOMMENDED = {
    "A gain g": "variance_scaling",
    "He": "he_normal",
    "He, slope α": "he_normal",
    "Xavier": "glorot_normal",
    "LeCun": "lecun_normal",
}


# Reading the page ---------------------------------------------------------------------------------


def tables(text: str) -> list[list[list[str]]]:
    """The cells of every table, header first, without the line under the header."""
    blocks = re.findall(r"(?:^\|.*\|\n)+", text, re.M)
    return [
        [[cell.strip() for cell in line.strip("|").split("|")] for line in block.splitlines()]
        for block in (re.sub(r"^\|[:|-]+\|\n", "", block, flags=re.M) for block in blocks)
    ]


def plain(cell: str) -> str:
    """A cell's words without their formatting."""
    return re.sub(r"[*$`]", "", cell)


NUMBER = re.compile(r"\$(\d\.\d+) \\cdot 10\^\{(-?\d+)\}\$|(?<![\w.])(\d+(?:\.\d+)?)(?![\w.]*\w)")


def numbers(cell: str) -> list[tuple[float, float]]:
    """Each number and half a unit of its last digit that counts (380 has two, 0.150 has three)."""
    found = []
    for mantissa, exponent, ordinary in NUMBER.findall(cell):
        digits, power = (mantissa, int(exponent)) if mantissa else (ordinary, 0)
        if "." in digits:
            power_of_last = power - len(digits.partition(".")[2])
        else:
            power_of_last = power + len(digits) - len(digits.rstrip("0") or digits)
        found.append((float(digits) * 10.0**power, 0.5 * 10.0**power_of_last))
    return found


def formula(cell: str) -> float:
    """The value of a LaTeX formula, for the layer from 256 to 128 units."""
    text = cell.strip("$").replace(r"n_\text{in}", "n_in").replace(r"n_\text{out}", "n_out")
    text = re.sub(r"\\sqrt\{([^{}]*)\}", r"sqrt(\1)", text).replace(r"\,", "*").replace("^", "**")
    text = text.replace(r"\alpha", "alpha")
    return float(eval(text, {"__builtins__": {}}, SYMBOLS))


def differ(cell: str, *values: float) -> list[str]:
    """A complaint unless the cell's numbers are these, as far as their digits go."""
    read = numbers(cell)
    if len(read) != len(values) or any(
        abs(number - value) > half * (1 + 1e-9)
        for (number, half), value in zip(read, values, strict=True)
    ):
        return [
            f"{cell!r} should say {', '.join(f'{value:.4g}' for value in values) or 'no number'}"
        ]
    return []


# What should stand there --------------------------------------------------------------------------


@functools.cache
def thirty_layers(name: str, gain: float) -> tuple[float, float]:
    """What is left of a second moment of 1, forward and backward."""
    phi, q, back = ADVICE[name][0], 1.0, 1.0
    for _ in range(LAYERS):
        back *= theory.chi_1(phi, gain, q)
        q = theory.q_map(phi, q, gain)
    return q, back


@functools.cache
def recommended_scheme(phi: activations.Activation, depth: int | None) -> str:
    return theory.recommend(phi, depth).scheme


@functools.cache
def first_loss(variance: float) -> float:
    """Expected cross-entropy of ten classes when the logits are N(0, variance)."""
    logits = math.sqrt(variance) * np.random.default_rng(0).standard_normal((10**6, 10))
    return float(np.mean(np.log(np.exp(logits).sum(axis=1))))


def scheme_complaints(rows: list[list[str]]) -> list[str]:
    complaints = []
    if [plain(row[0]) for row in rows] != list(SCHEMES):
        return [f"the schemes should be {list(SCHEMES)}"]
    for name, std, limit, std_here, limit_here in rows:
        complaints += differ(std_here, formula(std)) + differ(limit_here, formula(limit))
        normal, uniform = (draw((128, 256), rng=0) for draw in SCHEMES[plain(name)])
        if abs(normal.std() / formula(std) - 1) > 0.02:  # 0.4 % is one standard error
            complaints.append(f"{name}: winit draws std {normal.std():.4g}, not {std}")
        if not 0.999 < np.abs(uniform).max() / formula(limit) <= 1:
            complaints.append(f"{name}: winit draws up to {np.abs(uniform).max():.4g}, not {limit}")
    return complaints


def advice_complaints(rows: list[list[str]]) -> list[str]:
    if [plain(row[0]) for row in rows] != list(ADVICE):
        return [f"the activations should be {list(ADVICE)}"]
    complaints = []
    for name, scheme, gain_here, signal, gradient, note in rows:
        phi, advised, gain, other = ADVICE[plain(name)]
        recommended = recommended_scheme(phi, LAYERS if advised == "A gain g" else None)
        if plain(scheme) != advised or RECOMMENDED[advised] != recommended:
            complaints.append(f"{name}: {scheme} on the sheet, {recommended} from recommend")
        own, point = theory.fixed_point(phi, theory.gain(phi)), theory.fixed_point(phi, gain)
        if ("Unstable" in note) != (own.stability == "unstable"):
            complaints.append(f"{name}: its scale is {own.stability}: {note}")
        if ("scale is stable" in note) != (
            point.stability == "stable" and point.q_star == pytest.approx(1)
        ):
            complaints.append(f"{name}: settles at {point.q_star:.3g}, {point.stability}: {note}")
        q, back = thirty_layers(plain(name), gain)
        complaints += differ(gain_here, gain) + differ(signal, q) + differ(gradient, back)
        told: tuple[float, ...] = ALSO.get(plain(name), ())
        if "gain for" in note:
            told = (LAYERS, *told) if told else (LAYERS, other or gain)
        complaints += differ(note, *told, *(thirty_layers(plain(name), other) if other else ()))
    return complaints


def prose_complaints(text: str) -> list[str]:
    """Numbers outside of the tables: those with a decimal point, each known by its sentence."""
    prose = " ".join(re.sub(r"^\|.*\n", "", text, flags=re.M).split())
    known = {
        r"divided by (\S+),": winit.initializers.TRUNCATED_STD,
        r"number of classes: (\S+) for ten": math.log(10),
        r"variance \$1 / n_\\text\{in\}\$ makes it (\S+) and": first_loss(1.0),
        r"one of \$2 / n_\\text\{in\}\$ (\S+), if": first_loss(2.0),
    }
    complaints, read = [], []
    for pattern, value in known.items():
        match = re.search(pattern, prose)
        if match is None:
            complaints.append(f"not found: {pattern}")
        else:
            read.append(match[1])
            complaints += differ(match[1], value)
    unknown = sorted(set(re.findall(r"\d+\.\d+", prose)) - set(read))
    return complaints + [f"nobody checks {number}" for number in unknown]


def complaints_about(text: str) -> list[str]:
    schemes, advice, names = tables(text)
    complaints = [
        f"a table with the columns {header}"
        for header, columns in zip((schemes[0], advice[0], names[0]), (5, 6, 3), strict=True)
        if len(header) != columns
    ]
    complaints += scheme_complaints(schemes[1:])
    complaints += advice_complaints(advice[1:])
    return complaints + prose_complaints(text)


# The checks ---------------------------------------------------------------------------------------


def test_every_number_is_right() -> None:
    assert not complaints_about(SHEET.read_text(encoding="utf-8"))


def altered() -> Iterator[tuple[str, str]]:
    """The sheet with one number changed by one in its last digit, for each number that it holds."""
    text = SHEET.read_text(encoding="utf-8")
    # Not the 0.5 in a line of code, which is not a measured number.
    for match in re.finditer(r"(?<=\| |: |d )\d+(?= \||\.\s| and)|\d+\.\d+(?!`)", text):
        digits = match.group()
        last = str((int(digits[-1]) + 1) % 10)
        yield digits, text[: match.end() - 1] + last + text[match.end() :]


def test_any_changed_digit_is_seen() -> None:
    sheets = list(altered())
    assert len(sheets) > 50
    unseen = [digits for digits, text in sheets if not complaints_about(text)]
    assert not unseen


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        (r"$\sqrt{6 / n_\text{in}}$", r"$\sqrt{3 / n_\text{in}}$"),
        (r"$\sqrt{2 / (n_\text{in} + n_\text{out})}$", r"$\sqrt{1 / n_\text{in}}$"),
        (r"10^{-30}", r"10^{-31}"),
        ("| tanh | Xavier |", "| tanh | He |"),
        ("Unstable. He", "Its scale is stable. He"),
        (r"\alpha^2)\, n_\text{in})}$ |", r"\alpha)\, n_\text{in})}$ |"),
        ("| sigmoid | A gain $g$ |", "| sigmoid | He |"),
        ("| ELU |", "| CELU |"),
        ("2.30 for ten", "about 2.3"),
    ],
)
def test_any_other_change_is_seen(right: str, wrong: str) -> None:
    text = SHEET.read_text(encoding="utf-8")
    assert right in text
    assert complaints_about(text.replace(right, wrong, 1))


def test_keras_draws_what_the_sheet_says() -> None:
    import keras  # a second or two, for this test alone

    schemes, _, names = tables(SHEET.read_text(encoding="utf-8"))
    stds = {plain(row[0]): formula(row[1]) for row in schemes[1:]}
    tried = 0
    for scheme, called, _ in names[1:]:
        std = next(stds[name] for name in stds if name.startswith(plain(scheme)))
        for name in re.findall(r"`([^`]+)`", called):
            if name.startswith("VarianceScaling"):
                known = {"VarianceScaling": keras.initializers.VarianceScaling} | SYMBOLS
                initializer = eval(name, {"__builtins__": {}}, known)
            else:
                initializer = keras.initializers.get(name.strip('"'))
            kernel = keras.ops.convert_to_numpy(initializer((256, 128)))
            assert kernel.std() == pytest.approx(std, rel=0.02), (scheme, name)
            tried += 1
    assert tried == 8
    default = keras.layers.Dense(1).kernel_initializer
    assert isinstance(default, keras.initializers.GlorotUniform)


def test_pytorch_draws_what_the_sheet_says() -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: its names are not tried")
    text = SHEET.read_text(encoding="utf-8")
    schemes, _, names = tables(text)
    stds = {plain(row[0]): formula(row[1]) for row in schemes[1:]}
    tried, called = 0, ""
    for scheme, _, cell in names[1:]:
        called = called if "the same" in cell else cell
        functions = re.findall(r"`(\w+_)`", called)
        options = next(iter(re.findall(r"`([^`]+=[^`]+)`", cell)), "")
        keywords = eval(f"dict({options})", {"__builtins__": {"dict": dict}}, SYMBOLS)
        std = next(stds[name] for name in stds if name.startswith(plain(scheme)))
        for function in functions:
            torch.manual_seed(0)
            kernel = getattr(torch.nn.init, function)(torch.empty(128, 256), **keywords)
            assert kernel.std().item() == pytest.approx(std, rel=0.02), (scheme, function)
            tried += 1
    assert tried == 9
    # What the notes say.
    gain = torch.nn.init.calculate_gain
    assert gain("relu", SLOPE) == gain("relu") != gain("leaky_relu", SLOPE)
    torch.manual_seed(0)
    drawn = torch.nn.init.trunc_normal_(torch.empty(128, 256), std=0.5)
    assert 3 < drawn.abs().max().item() / 0.5 <= 4 and "cuts at ±2, whatever" in text
    grouped, depthwise = torch.nn.Conv2d(8, 16, 3, groups=4), torch.nn.Conv2d(8, 8, 3, groups=8)
    fans = torch.nn.init._calculate_fan_in_and_fan_out
    assert fans(grouped.weight) == (2 * 9, 16 * 9) and fans(depthwise.weight) == (9, 8 * 9)
    layer = torch.nn.Linear(256, 4096)
    assert 0.99 < layer.bias.abs().max().item() * math.sqrt(256) <= 1


def test_keras_counts_the_fans_of_a_depthwise_kernel_as_the_sheet_says() -> None:
    import keras

    layer = keras.layers.DepthwiseConv2D(3, depthwise_initializer="he_uniform")
    layer.build((None, 8, 8, 64))
    kernel = keras.ops.convert_to_numpy(layer.kernel)
    assert 0.98 < np.abs(kernel).max() / math.sqrt(6 / (9 * 64)) <= 1  # and not 6 / 9


def test_sheet_prints_on_one_page(browser: Browser) -> None:
    if not PAGE.is_file():
        reason = "the book is not built: make book"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    with browser.new_page() as page:
        page.goto(PAGE.as_uri())
        for paper in ("A4", "Letter"):
            pdf = page.pdf(format=paper, prefer_css_page_size=False)
            assert len(re.findall(rb"/Type\s*/Page\b", pdf)) == 1, paper
