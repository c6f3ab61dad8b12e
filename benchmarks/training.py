"""Ten unsound starts before and after the cure that the audit prints: what training makes of them.

`make bench`, or `.venv/bin/python benchmarks/training.py`: five to six minutes on one core. It
trains, writes the result (book/training.json) and makes of it the table on the page of the verdicts
(book/verdicts.md). With names it trains these and keeps the others; with --page it trains none.

**The rule, stated before a result was seen.** Each start of tests/starts.py is audited, then
trained as it is and cured, with SGD and with Adam: `STEPS` steps on all of its examples, one batch.
Where no redraw cures a start, its partner on the list takes the place of the cured one. Each of the
four runs has its own learning rate: of `RATES`, the one with the lowest final loss. The grid is the
same for all, and wide, so that a start of the wrong scale may have the rate that suits its scale.
The final loss is the mean over the last tenth of the steps. A cure helps if it at least halves it;
a loss below `LEARNED` counts as that.
"""

from __future__ import annotations

import argparse
import functools
import importlib.metadata
import json
import math
import os
import re
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "jax")

import jax
import jax.numpy as jnp
import numpy as np
import optax

import winit.jax
from winit import judge

ROOT = Path(__file__).resolve().parent.parent
STORED, PAGE = ROOT / "book" / "training.json", ROOT / "book" / "verdicts.md"
sys.path.append(str(ROOT / "tests"))

sys.path.append(str(ROOT / "tools"))

import starts  # noqa: E402  (a list of the tests, which no package holds)

from zoo import number  # noqa: E402

PACKAGES = ("keras", "flax", "equinox", "jax", "optax")
OPTIMIZERS = {"SGD": optax.sgd, "Adam": optax.adam}
STEPS = 200
RATES = tuple(10.0**k for k in range(-8, 2))
HELPS = 2.0  # final loss before, over that after
LEARNED = 0.001  # all examples are known by heart: how much below, says nothing
# A start that the cure does not help did well without it below this. Set after looking: the losses
# in question are below 0.002 or above 2.
WELL = 0.01

# Each verdict, framework and kind of network; in the words of the table.
STARTS = {  # the words before the comma stand in a sentence, too
    "nnx_lecun_relu_16": "16 ReLU layers, LeCun's rule (Flax)",
    "silu_30_he": "30 SiLU layers, He's rule (Keras)",
    "residual_unscaled": "24 residual blocks, unscaled (Keras)",
    "siren_without_30": "a SIREN, inner kernels 30 times too large (JAX)",
    "simple_rnn_ten_times": "an RNN, recurrent kernel 10 times too large (Keras)",
    "eqx_conv_dead": "a clipped output, two convolutions (Equinox)",
    "nnx_conv_ones": "constant kernels, two convolutions (Flax)",
    "eqx_mlp_24": "24 ReLU layers, PyTorch's rule (Equinox)",
    "gpt_tied_std_1": "a small GPT, tied embedding of std 1 (JAX)",
    "tabular_1e3": "columns of rms 1,000, two ReLU layers (Keras)",
}


# ------------------------------------------------------------------ measure


def loss_of(kind: str, out: Any, y: Any) -> Any:
    if kind == "mse":
        return jnp.mean((out - y.reshape(out.shape)) ** 2)
    return optax.losses.softmax_cross_entropy_with_integer_labels(out, y).mean()


def objective(case: starts.Case) -> tuple[Callable[..., Any], dict[str, Any], Any]:
    """The loss as a function of (parameters, x), and where it starts."""
    f, params = starts.function_of(case)
    y = jnp.asarray(case.y)
    return lambda p, x: loss_of(case.loss, f(p, x), y), params, jnp.asarray(case.x)


def audit(case: starts.Case) -> tuple[Any, judge.Change | None]:
    """What the audit says of a start, and the change that its cure stands for."""
    f, params = starts.function_of(case)

    def loss(out: Any, y: Any) -> Any:
        return loss_of(case.loss, out, y)

    return judge.examine(winit.jax.Function(f, params, case.x, case.y, loss, None, 0))


def cured(
    params: Mapping[str, Any], x: Any, change: judge.Change
) -> tuple[dict[str, jax.Array], Any]:
    """Parameters and inputs after what a cure changes."""
    after = {name: jnp.asarray(array) for name, array in params.items()}
    for name, factor in change.scales.items():
        after[name] = after[name] * factor
    for name, value in change.values.items():
        after[name] = jnp.asarray(value, after[name].dtype)
    return after, (x - x.mean()) / x.std() if change.standardized else x


@functools.cache
def descent(loss: Callable[..., Any], optimizer: str) -> Callable[..., Any]:
    """The loss before each step, as a function of (parameters, x, rate)."""

    @jax.jit
    def losses(params: Any, x: Any, rate: Any) -> Any:
        method = OPTIMIZERS[optimizer](rate)

        def step(state: Any, _: Any) -> Any:
            now, memory = state
            value, gradient = jax.value_and_grad(loss)(now, x)
            update, memory = method.update(gradient, memory)
            return (optax.apply_updates(now, update), memory), value

        return jax.lax.scan(step, (params, method.init(params)), None, STEPS)[1]

    return losses


def train(loss: Callable[..., Any], params: Any, x: Any, optimizer: str) -> dict[str, Any]:
    """The lowest final loss over the rates, and its rate: None where each of them diverges."""
    found: dict[float, float] = {}
    for rate in RATES:
        run = np.asarray(descent(loss, optimizer)(params, x, rate), np.float64)
        if np.isfinite(run).all():
            found.setdefault(float(run[-STEPS // 10 :].mean()), rate)
    if not found:
        return {"final": None, "rate": None}
    return {"final": digits(min(found)), "rate": found[min(found)]}


def digits(value: float) -> float:
    return float(f"{value:.3g}")


def measure(name: str) -> dict[str, Any]:
    """What is stored of a start: what the audit says, and the losses before and after."""
    start = starts.BY_NAME[name]
    case = start.build(0)
    report, change = audit(case)
    loss, params, x = objective(case)
    sides = {"before": (loss, params, x)}
    if change is None:
        sides["after"] = objective(starts.BY_NAME[str(start.partner)].build(0))
    else:
        sides["after"] = (loss, *cured(params, x, change))
    entry: dict[str, Any] = {
        "framework": start.framework,
        "verdict": report.findings[0].verdict,
        "cure": report.findings[0].cure,
        "kernels": len(change.scales) if change else 0,
        "partner": start.partner if change is None else None,
        "first": {k: digits(float(f(p, x))) for k, (f, p, x) in sides.items()},
    }
    for optimizer in OPTIMIZERS:
        entry[optimizer] = {k: train(*side, optimizer) for k, side in sides.items()}
    return entry


def measure_all(names: list[str]) -> None:
    """Measure starts in turn, and store each at once."""
    for name in names:
        began = time.process_time()
        entries = (stored()["starts"] if STORED.is_file() else {}) | {name: measure(name)}
        descent.cache_clear()
        jax.clear_caches()
        result = {
            "versions": {package: importlib.metadata.version(package) for package in PACKAGES},
            "steps": STEPS,
            "rates": RATES,
            "starts": {name: entries[name] for name in STARTS if name in entries},
        }
        STORED.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        print(f"{name}: {time.process_time() - began:.0f} s of processor time", flush=True)


def stored() -> dict[str, Any]:
    """The stored result: versions, the rule's numbers, and an entry for each start."""
    result: dict[str, Any] = json.loads(STORED.read_text(encoding="utf-8"))
    return result


# ------------------------------------------------------------------ show


def written(value: float | None) -> str:
    """A loss as the table has it: two digits, zeros included."""
    if value is None:
        return "diverges"
    if value < LEARNED:
        return f"<\u00a0{LEARNED}"
    return f"{value:#.2g}".rstrip(".") if value < 100 else number(value)


def pair(before: float | None, after: float | None) -> str:
    return f"{written(before)} → {written(after)}"


def cure_of(entry: Mapping[str, Any]) -> str:
    """The cure without the names of kernels, and with two digits."""
    if entry["partner"]:
        return f"no redraw; instead: {starts.BY_NAME[entry['partner']].reason}"
    count = f"{entry['kernels']} kernels" if entry["kernels"] > 1 else "1 kernel"
    said = re.sub(r"draw .*? (with|at) ", rf"draw {count} \1 ", str(entry["cure"]))
    said = re.sub(r"each branch \(.*?\)", f"each branch ({count})", said)
    return re.sub(r"(?<==)[\d.]+", lambda found: number(float(found[0])), said)


def table(entries: Mapping[str, Mapping[str, Any]]) -> str:
    lines = [
        "| Start | Verdict | Cure | First loss | SGD | Adam |",
        "|:--|:--|:--|--:|--:|--:|",
    ]
    for name, entry in entries.items():
        losses = [pair(**entry["first"])]
        for optimizer in OPTIMIZERS:
            losses.append(pair(**{side: run["final"] for side, run in entry[optimizer].items()}))
        cells = [STARTS[name], entry["verdict"], cure_of(entry), *losses]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def helped(run: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether the final loss is at least halved."""
    before, after = (
        math.inf if side["final"] is None else max(side["final"], LEARNED)
        for side in (run["before"], run["after"])
    )
    return after < math.inf and before >= HELPS * after


def well(run: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether the start trains as it is."""
    final = run["before"]["final"]
    return final is not None and final < WELL


def short(names: list[str]) -> str:
    """Starts in a sentence, by the first words of each."""
    words = [STARTS[name].split(", ")[0].split(" (")[0] for name in names]
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def summary(entries: Mapping[str, Mapping[str, Any]], optimizer: str) -> str:
    """In how many the cure helps one optimizer; where it need not, and where it does less."""
    runs = {name: entry[optimizer] for name, entry in entries.items()}
    missed = [name for name, run in runs.items() if not helped(run)]
    text = f"With {optimizer} the cure at least halves the final loss in {len(runs) - len(missed)} "
    text += f"of {len(runs)} starts."
    if unneeded := [name for name in missed if well(runs[name])]:
        text += f" {optimizer} needs none for {short(unneeded)}: below {WELL} as they are."
    if unhelped := [name for name in missed if not well(runs[name])]:
        text += f" For {short(unhelped)} the cure does not halve the final loss."
    return text


def block(result: Mapping[str, Any]) -> str:
    """What stands between the marks."""
    rates, entries, versions = result["rates"], result["starts"], result["versions"]
    made = [f"{package} {version}" for package, version in versions.items()]
    return "\n".join(
        [
            f"Each run takes {result['steps']} steps, with the best of {len(rates)} learning rates "
            f"from $10^{{{math.log10(rates[0]):.0f}}}$ to {rates[-1]:g}. A final loss below "
            f"{LEARNED} counts as {LEARNED}: the batch is known by heart.",
            "",
            table(entries),
            "",
            *(summary(entries, optimizer) for optimizer in OPTIMIZERS),
            "",
            f"Trained with {', '.join(made[:-1])} and {made[-1]}.",
        ]
    )


def page(text: str, result: Mapping[str, Any]) -> str:
    """The page's text, with the block made again."""
    mark = "<!-- training -->"
    if mark not in text:
        raise ValueError(f"{PAGE.name} has no place for the table: {mark}")
    return re.sub(rf"{mark}\n.*?<!-- end -->", lambda _: f"{mark}\n{block(result)}\n<!-- end -->",
                  text, flags=re.S)  # fmt: skip


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--page", action="store_true", help="train nothing")
    parser.add_argument("names", nargs="*", choices=[*STARTS, []], help="all, if none is named")
    options = parser.parse_args(arguments)
    if not options.page:
        measure_all(options.names or list(STARTS))
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8"), stored()), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
