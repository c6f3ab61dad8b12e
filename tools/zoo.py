"""How well-known architectures start, as their libraries draw them: measured, stored, shown.

`make zoo` measures all of them, and writes the result (book/zoo.json), its picture (book/zoo.png)
and the page (book/zoo.md). With names (`make zoo ONLY="VGG16 GPT2"`) it measures these and keeps
the others; with --page it measures none, and makes picture and page of what is stored.

A model is built without trained weights, without a change of its settings, from one seed, and reads
a batch of 8: Gaussian pictures of the smallest sensible size, or random tokens. `winit.audit` then
does one step of training without taking it. PyTorch's models are listed in zoo_torch.py; where it
or transformers is missing, their rows stay as they are. The page holds its own prose; what stands
between ``<!-- name -->`` and ``<!-- end -->`` is made here.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.metadata
import json
import math
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np

from winit import plots
from zoo_torch import BATCH, LENGTH, SIDE, VERSION, VOCABULARY, missing
from zoo_torch import MODELS as OF_TORCH
from zoo_torch import build as build_of_torch

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from winit.report import Audit

ROOT = Path(__file__).resolve().parent.parent
STORED, PICTURE, PAGE = (ROOT / "book" / f"zoo.{ending}" for ending in ("json", "png", "md"))
PACKAGES = {False: ("keras", "keras-hub", "jax"), True: ("torch", "transformers")}  # of PyTorch?

# keras.applications -> height and width of the pictures: 64, or the least that the model takes.
SMALL = """
VGG16 VGG19 ResNet50 ResNet101 ResNet50V2 DenseNet121 NASNetMobile MobileNet MobileNetV2
MobileNetV3Small MobileNetV3Large EfficientNetB0 EfficientNetV2B0 ConvNeXtTiny
"""
LARGER = {"Xception": 71, "InceptionV3": 75}
PICTURES = dict.fromkeys(SMALL.split(), 64) | LARGER
# Transformers of keras-hub, made tiny by hand: depth is what a signal meets, so depth is kept.
SIZES = {"vocabulary_size": VOCABULARY, "num_layers": 12, "hidden_dim": 64, "intermediate_dim": 256}
HEADS = {"num_heads": 4}
ENCODER = {**SIZES, **HEADS, "max_sequence_length": LENGTH}
NAMELESS = {key: size for key, size in ENCODER.items() if key != "vocabulary_size"}
GROUPED = {"num_query_heads": 4, "num_key_value_heads": 2}
TRANSFORMERS: dict[str, dict[str, Any]] = {
    "GPT2": ENCODER,
    "BERT": ENCODER,
    "RoBERTa": ENCODER,
    "DistilBERT": {**ENCODER, "num_layers": 6},
    "ALBERT": {**ENCODER, "embedding_dim": 32},
    "ELECTRA": {"vocab_size": VOCABULARY, **NAMELESS, "embedding_dim": 64},
    "DeBERTaV3": ENCODER,
    "OPT": ENCODER,
    "BLOOM": {**SIZES, **HEADS},
    "GPTNeoX": {**SIZES, **HEADS},
    "Llama": {**SIZES, **GROUPED},
    "Mistral": {**SIZES, **GROUPED},
    "Gemma": {**SIZES, **GROUPED, "head_dim": 16},
    "T5": {**SIZES, **HEADS},
}
CLASSES = {
    "BERT": "BertBackbone",
    "RoBERTa": "RobertaBackbone",
    "DistilBERT": "DistilBertBackbone",
    "ALBERT": "AlbertBackbone",
    "ELECTRA": "ElectraBackbone",
    "BLOOM": "BloomBackbone",
    "DeBERTaV3": "DebertaV3Backbone",
}
NAMES = [*PICTURES, *TRANSFORMERS, *OF_TORCH]
SIGNAL, GRADIENT = "signal", "gradient"
FEW = 4  # names that the picture's words may list


# ------------------------------------------------------------------ measure


def build(name: str) -> tuple[Any, Any]:
    """A model as its library draws it, and its inputs: None where `audit` makes them itself."""
    import keras

    keras.utils.set_random_seed(0)
    if name in PICTURES:
        shape = (PICTURES[name], PICTURES[name], 3)
        return getattr(keras.applications, name)(weights=None, input_shape=shape), None
    models = importlib.import_module("keras_hub").models
    model = getattr(models, CLASSES.get(name, f"{name}Backbone"))(**TRANSFORMERS[name])
    tokens = np.random.default_rng(0).integers(1, VOCABULARY, (BATCH, LENGTH))
    return model, {key: _ids(key, tokens) for key in model.input}


def _ids(key: str, tokens: Any) -> Any:
    """Token numbers, one segment, and no padding."""
    if "token_ids" in key:
        return tokens
    return np.zeros_like(tokens) if "segment" in key else np.ones_like(tokens)


def measure(name: str) -> dict[str, Any]:
    """What is stored of a model: its size, its verdicts, and how signal and gradient travel."""
    import winit

    if name in OF_TORCH:
        module, inputs = build_of_torch(name)
        report = winit.audit(module, inputs, cures=False)
        reads = f"{LENGTH} tokens" if inputs.ndim == 2 else f"{SIDE}²"
        return entry(report, reads, sum(p.numel() for p in module.parameters()))
    os.environ.setdefault("KERAS_BACKEND", "jax")
    import jax

    model, x = build(name)
    # What is compiled here runs once: optimizing it would take longer.
    before = jax.config.values["jax_disable_most_optimizations"]
    update: Any = jax.config.update
    update("jax_disable_most_optimizations", True)
    try:
        report = winit.audit(model, x, cures=False)
    finally:
        update("jax_disable_most_optimizations", before)
    reads = f"{PICTURES[name]}²" if name in PICTURES else f"{LENGTH} tokens"
    return entry(report, reads, int(model.count_params()))


def entry(report: Audit, reads: str, parameters: int) -> dict[str, Any]:
    """An audit as it is stored."""
    told = [row for row in report.rows if math.isfinite(row.z2)]
    return {
        "input": reads,
        "parameters": parameters,
        "kernels": len({row.name for row in report.rows}),
        "ok": report.ok,
        "verdicts": list(dict.fromkeys(finding.verdict for finding in report.findings)),
        "bad": sum(row.verdict != "good" for row in report.rows),
        SIGNAL: travel([row.z2 for row in told]),
        GRADIENT: travel([row.effect for row in told if row.effect >= 0][::-1]),
    }


def travel(values: list[float]) -> dict[str, float]:
    """Where a second moment ends, and the least and the most on its way, for 1 where it sets out.

    Sites at which there is none, such as those that wait for a zero to give way, are left out.
    """
    found = [value for value in values if value > 0]
    start, end = found[0], found[-1]
    ratios = {"end": end / start, "least": min(found) / start, "most": max(found) / start}
    return {key: float(f"{value:.3g}") for key, value in ratios.items()}


def measure_all(names: list[str]) -> list[str]:
    """Measure models in turn, and store each at once. Returns those that could not be measured."""
    failed = []
    for name in names:
        started = time.perf_counter()
        try:
            made = measure(name)
        except Exception as error:  # of a library's model it may be any; the others go on
            print(f"{name}: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
            failed.append(name)
            continue
        if name not in OF_TORCH:
            importlib.import_module("jax").clear_caches()  # thirty compiled models fill a memory
        before = stored() if STORED.is_file() else {"versions": {}, "models": {}}
        models, known = before["models"] | {name: made}, before["versions"]
        for package in PACKAGES[name in OF_TORCH]:
            known[package] = importlib.metadata.version(package).partition("+")[0]
        versions = {p: known[p] for found in PACKAGES.values() for p in found if p in known}
        ordered = {name: models[name] for name in NAMES if name in models}
        text = json.dumps({"versions": versions, "models": ordered}, indent=1, ensure_ascii=False)
        STORED.write_text(text + "\n", encoding="utf-8")
        verdict = ", ".join(made["verdicts"]) or "good"
        print(f"{name}: {verdict} ({time.perf_counter() - started:.0f} s)", flush=True)
    return failed


def stored() -> dict[str, Any]:
    """The stored result: versions of the packages, and an entry for each model."""
    result: dict[str, Any] = json.loads(STORED.read_text(encoding="utf-8"))
    return result


# ------------------------------------------------------------------ show


def draw(models: dict[str, Any]) -> Figure:
    """Two panels, signal and gradient: a line from least to most, and a mark at the end."""
    size = (5.8, 1.1 + 0.2 * len(models))
    figure, panels = plots.subplots(1, 2, figsize=size, sharey=True)
    titles = {SIGNAL: "signal, first to last", GRADIENT: "gradient, last to first"}
    with mpl.rc_context(plots.STYLE):
        for axes, (what, title) in zip(panels, titles.items(), strict=True):
            _panel(axes, models, what)
            axes.set_title(title)
        panels[0].set_yticks(range(len(models)), list(models))
        panels[0].set_ylim(len(models) - 0.4, -0.6)
        for label, entry in zip(panels[0].get_yticklabels(), models.values(), strict=True):
            label.set_color(_color(entry))
        figure.supxlabel("relative second moment", color=plots.INK, fontsize=13)
    return figure


def _panel(axes: Axes, models: dict[str, Any], what: str) -> None:
    axes.set_xscale("log")
    axes.grid(True, axis="x")
    axes.grid(False, axis="y")
    axes.axvline(1, color=plots.COLORS["theory"], linestyle=plots.DASHED, linewidth=1.5)
    for y, entry in enumerate(models.values()):
        way, color = entry[what], _color(entry)
        axes.plot([way["least"], way["most"]], [y, y], color=color, linewidth=2)
        axes.plot([way["end"]], [y], "o" if entry["ok"] else "s", color=color, markersize=6)
    axes.tick_params(axis="y", length=0)


def _color(entry: dict[str, Any]) -> str:
    return plots.COLORS["he" if entry["ok"] else "normal"]


def save(path: Path) -> None:
    """Draw the picture into a file, at twice its size, as everything in the book."""
    with mpl.rc_context(plots.STYLE):
        options: dict[str, Any] = {"metadata": {"Software": None}, "transparent": True}
        draw(stored()["models"]).savefig(path, dpi=2 * plots.DPI, **options)


def number(value: float) -> str:
    """Three digits, or a power of ten, as the page writes it."""
    if 0.001 <= value < 10_000:
        return f"{float(f'{value:.2g}'):,.4g}" if value < 1000 else f"{float(f'{value:.2g}'):,.0f}"
    mantissa, exponent = f"{value:.1e}".split("e")
    return rf"${mantissa} \cdot 10^{{{int(exponent)}}}$"


def table(models: dict[str, Any], names: list[str]) -> str:
    """The models of one library as a table of six columns."""
    lines = [
        "| Model | Reads | Kernels | Signal | Gradient | Verdict |",
        "|:--|:--|--:|--:|--:|:--|",
    ]
    for name in names:
        entry = models[name]
        ends = [number(entry[what]["end"]) for what in (SIGNAL, GRADIENT)]
        verdict = ", ".join(entry["verdicts"]) or "good"
        cells = [name, entry["input"], f"{entry['kernels']}", *ends, verdict]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


FIGURE = """
```{{figure}} zoo.png
:width: 580px
:class: dark-light
:alt: {alt}

Where signal and gradient arrive (dots), and what they pass through (lines).
Red squares: not good.
```
"""


def span(entry: dict[str, Any], what: str) -> float:
    """Over how many powers of ten a line reaches."""
    return math.log10(entry[what]["most"] / entry[what]["least"])


def _alt(models: dict[str, Any]) -> str:
    """What the picture shows, in words."""
    told = [f"{len(models)} rows of two lines each, on a logarithmic axis"]
    for what in (SIGNAL, GRADIENT):
        far = [name for name, e in models.items() if not 0.01 <= e[what]["end"] <= 100]
        but = f" (all but {', '.join(far)})" if 0 < len(far) <= FEW else ""
        longest = max(models, key=lambda name: span(models[name], what))
        told.append(
            f"{len(models) - len(far)} of the {what}s{but} arrive within a factor of 100 of where "
            f"they set out, and the longest line of a {what} is that of {longest}, over "
            f"{span(models[longest], what):.0f} powers of ten"
        )
    return ". ".join(told)


def _spans(models: dict[str, Any]) -> str:
    """The longest lines of models that start well, in words."""
    good = {name: entry for name, entry in models.items() if entry["ok"]}
    (signal, far), (gradient, farther) = (
        (longest := max(good, key=lambda name: span(good[name], what)), span(good[longest], what))
        for what in (SIGNAL, GRADIENT)
    )
    return (
        f"Among the models that start well the longest line of a signal is that of {signal}, over "
        f"{far:.0f} powers of ten, and that of a gradient {gradient}'s, over {farther:.0f}."
    )


def blocks(result: dict[str, Any]) -> dict[str, str]:
    """What is made of the stored result, by the name of its place on the page."""
    models, versions = result["models"], result["versions"]
    bad = [name for name, entry in models.items() if not entry["ok"]]
    families = {"pictures": [*PICTURES], "transformers": [*TRANSFORMERS], "pytorch": [*OF_TORCH]}
    *most, last = (f"{package} {version}" for package, version in versions.items())
    found = {
        "count": f"Of the {len(models)} models, {len(models) - len(bad)} start well"
        + (f", and {len(bad)} do not: {', '.join(bad)}." if bad else "."),
        "picture": FIGURE.format(alt=_alt(models)),
        "spans": _spans(models),
        "versions": f"Measured with {', '.join(most)} and {last}.",
    }
    for name, family in families.items():
        found[name] = table(models, [model for model in family if model in models])
    return found


def page(text: str, result: dict[str, Any]) -> str:
    """The page's text, with everything between the marks made again."""
    for name, block in blocks(result).items():
        mark = f"<!-- {name} -->"
        if mark not in text:
            raise ValueError(f"{PAGE.name} has no place for {name}: {mark}")
        before, rest = text.split(f"{mark}\n", 1)
        text = f"{before}{mark}\n{block}\n<!-- end -->{rest.split('<!-- end -->', 1)[1]}"
    return text


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--page", action="store_true", help="measure nothing")
    parser.add_argument("names", nargs="*", choices=[*NAMES, []], help="all, if none is named")
    options = parser.parse_args(arguments)
    names = options.names or NAMES
    if (lacks := missing()) and not options.page and any(name in OF_TORCH for name in names):
        print(f"{' and '.join(lacks)} not installed (transformers {VERSION}): rows of PyTorch stay")
        names = [name for name in names if name not in OF_TORCH]
    failed = [] if options.page else measure_all(names)
    save(PICTURE)
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8"), stored()), encoding="utf-8")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
