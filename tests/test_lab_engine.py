"""The lab's engine, beside `winit`: its draws, both passes, theory, training, words, and bad input.

Node runs it where numbers are compared one by one, Chromium (from file://, in a worker made from a
Blob, as on the page) where many settings are. Bounds come from the statistic: four standard errors.
"""

from __future__ import annotations

import base64
import itertools
import json
import math
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats
from tiers import some

import winit
import winit.jax
from winit import activations, diagnostics, judge, network, theory

ROOT = Path(__file__).resolve().parent.parent
LAB = ROOT / "book" / "lab"
sys.path.append(str(ROOT / "book" / "_ext"))

import kernels  # noqa: E402  (an extension of the book, which no package holds)

Numbers = np.ndarray[Any, np.dtype[np.float64]]

# One request a line in, one answer a line out. JSON has no NaN: these come as text.
SERVER = """
const [path, wasm] = process.argv.slice(1);
const Engine = require(path);
if (!Engine.load(Buffer.from(wasm, "base64"))) throw new Error("no WebAssembly");
const CALLS = {
  draw: (...args) => Buffer.from(Engine.draw(...args).buffer).toString("base64"),
  constants: () => ({ ...Engine }),
  train: (state, options, steps) => {
    const trainer = Engine.trainer(state, options), losses = trainer.step(steps);
    const { x, y } = trainer.data;
    return { losses, x: [...x], y: [...y], W: trainer.layers.map(({ W }) => [...W]),
      ratio: trainer.ratio, loss: trainer.loss, stopped: trainer.stopped };
  },
  start: (state, options) => Engine.trainer(state, options).layers.map(({ W }) => [...W]),
  surface: (state, options, steps, grid) => {
    const trainer = Engine.trainer(state, options);
    trainer.step(steps);
    const { values, ...rest } = trainer.surface(grid);
    return { ...rest, values: [...values], accuracy: trainer.accuracy };
  },
};
const text = (key, value) =>
  typeof value === "number" && !Number.isFinite(value) ? String(value) : value;
require("readline").createInterface({ input: process.stdin }).on("line", (line) => {
  const [call, ...args] = JSON.parse(line);
  let answer;
  try { answer = { result: (CALLS[call] ?? Engine[call])(...args) }; }
  catch (error) { answer = { error: error.stack }; }
  process.stdout.write(JSON.stringify(answer, text) + "\\n");
});
"""


@pytest.fixture(scope="module")
def engine() -> Iterator[Callable[..., Any]]:
    """Call a function of the engine in Node: ``engine("run", state, options)``."""
    wasm = base64.b64encode(kernels.wasm()).decode()
    command = [str(kernels.node()), "-e", SERVER, str(LAB / "engine.js"), wasm]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8"
    ) as process:

        def call(*request: Any) -> Any:
            assert process.stdin and process.stdout
            print(json.dumps(request), file=process.stdin, flush=True)
            answer = json.loads(process.stdout.readline())
            assert "error" not in answer, answer["error"]
            return answer.get("result")

        yield call
        assert process.stdin
        process.stdin.close()


def numbers(values: list[Any]) -> Numbers:
    """What came as numbers, and as text where JSON has none."""
    return np.array([math.nan if v is None else float(v) for v in values])


def agree(ours: Any, theirs: Any, tolerance: float) -> None:
    np.testing.assert_allclose(numbers(list(ours)), theirs, rtol=tolerance, atol=1e-300)


def drawn(engine: Callable[..., Any], size: int, **options: Any) -> Numbers:
    data = base64.b64decode(engine("draw", size, options))
    return np.frombuffer(data, np.float32).astype(np.float64)


# ------------------------------------------------------------------ the generator

SIZE = 2**21


@pytest.mark.parametrize("wasm", [True, False])
def test_normal_numbers_are_normal(engine: Callable[..., Any], wasm: bool) -> None:
    x = drawn(engine, SIZE, seed=3, wasm=wasm)
    for power, mean, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        assert abs((x**power).mean() - mean) < 4 * math.sqrt(variance / SIZE), power
    # bins of equal probability, twice as many as the ziggurat has layers
    bins = np.bincount((stats.norm.cdf(x) * 512).astype(int), minlength=512)
    chi2 = ((bins - SIZE / 512) ** 2).sum() / (SIZE / 512)
    assert abs(chi2 - 511) < 4 * math.sqrt(2 * 511)
    for bound in (3.0, 3.6541528853610088, 4.0, 4.5):  # the second is where the tail begins
        expected = SIZE * stats.norm.sf(bound)
        for tail in ((x > bound).sum(), (x < -bound).sum()):
            assert abs(tail - expected) < 4 * math.sqrt(expected), bound


def test_uniform_numbers_are_uniform(engine: Callable[..., Any]) -> None:
    x = drawn(engine, SIZE, seed=4, kind="uniform")
    assert np.abs(x).max() <= math.sqrt(3) * (1 + 1e-7)
    assert abs((x**2).mean() - 1) < 4 * math.sqrt(0.8 / SIZE)
    assert stats.kstest(x, "uniform", (-math.sqrt(3), 2 * math.sqrt(3))).pvalue > 1e-4


def test_streams_have_nothing_in_common(engine: Callable[..., Any]) -> None:
    """Neighboring seeds and layers, and each with itself one number later."""
    n, limit = 2**16, 4 / math.sqrt(2**16)
    streams = [drawn(engine, n, seed=s, stream=k) for s in (0, 1, 2**31, 2**32 - 1)
               for k in (0, 1, 16, 17)]  # fmt: skip
    for x, y in itertools.combinations(streams, 2):
        for shifted in (y, np.roll(y, 1), np.roll(y, -1)):
            assert abs((x * shifted).mean()) < 1.25 * limit  # 360 pairs: five standard errors
    for x in streams:
        assert abs((x[1:] * x[:-1]).mean()) < limit
    # the beginnings of many streams are draws like any others
    starts = np.array(
        [drawn(engine, 4, seed=s, stream=16 + k) for s in range(100) for k in range(9)]
    )
    assert len(np.unique(starts[:, 0])) == len(starts)
    assert abs(starts.mean()) < 4 / math.sqrt(starts.size)
    assert abs((starts**2).mean() - 1) < 4 * math.sqrt(2 / starts.size)
    assert abs((starts[1:] * starts[:-1]).mean()) < 4 / math.sqrt(starts.size)


@pytest.mark.parametrize("wasm", [True, False])
def test_orthogonal_matrices_are_orthogonal_and_uniform(
    engine: Callable[..., Any], wasm: bool
) -> None:
    state = {"scheme": "orthogonal", "width": 8, "depth": 3, "activation": "linear"}
    seeds = 400
    q = np.array([engine("start", state | {"seed": s}, {"wasm": wasm})[1] for s in range(seeds)])
    q = q.reshape(seeds, 8, 8)
    np.testing.assert_allclose(
        q @ q.transpose(0, 2, 1), np.broadcast_to(np.eye(8), q.shape), atol=2e-6
    )
    # Haar: E tr = 0, E tr² = 1, E tr⁴ = 3; an entry's square is 1/n, its fourth power 3/(n (n + 2))
    trace = np.trace(q, axis1=1, axis2=2)
    assert abs(trace.mean()) < 4 / math.sqrt(seeds)
    assert abs((trace**2).mean() - 1) < 4 * math.sqrt(2 / seeds)
    fourth = (q**4).mean(axis=0)
    assert np.abs(fourth - 3 / 80).max() < 4.5 * (q**4).std() / math.sqrt(seeds)  # of 64 entries
    assert abs(np.linalg.det(q).mean()) < 4 / math.sqrt(seeds)


@pytest.mark.parametrize("scheme", ["he_normal", "he_uniform", "glorot_normal", "glorot_uniform",
                                    "lecun_normal", "lecun_uniform"])  # fmt: skip
def test_schemes_have_the_std_of_winit(engine: Callable[..., Any], scheme: str) -> None:
    layers = engine("start", {"scheme": scheme, "width": 64, "depth": 3}, {})
    for i, (out, ins) in enumerate([(64, 2), (64, 64), (2, 64)]):
        ours = np.array(layers[i][: out * ins])
        wanted = winit.get(scheme)((1000, 1000), rng=0).std() * math.sqrt(
            2000 / (out + ins) if "glorot" in scheme else 1000 / ins
        )
        kurtosis = 0.8 if scheme.endswith("uniform") else 2.0
        error = math.sqrt(kurtosis / ours.size) / 2
        assert abs(ours.std() / wanted - 1) < 4 * error + 0.003  # of theirs


# ------------------------------------------------------------------ with the same weights

WIDTH, DEPTH, BATCH = 32, 8, 16


def case(seed: int = 0, gain: float = 1.5) -> dict[str, Any]:
    """Weights, inputs and an output direction, as the engine holds them, in float32."""
    rng = np.random.default_rng(seed)
    W = rng.standard_normal((DEPTH, WIDTH, WIDTH)) * gain / math.sqrt(WIDTH)
    x, direction = rng.standard_normal((2, BATCH, WIDTH))
    arrays = {"weights": W, "inputs": x, "direction": direction}
    return {name: a.astype(np.float32).astype(np.float64) for name, a in arrays.items()}


def options(given: dict[str, Any]) -> dict[str, Any]:
    return {name: [list(a.ravel()) for a in arrays] if name == "weights" else list(arrays.ravel())
            for name, arrays in given.items()}  # fmt: skip


def measured(z: Any, delta: Any) -> dict[str, Numbers]:
    """What the lab shows, from the definitions of `winit`."""
    second = np.array([diagnostics.second_moment(a) for a in z])
    unbiased = BATCH / (BATCH - 1)
    return {
        "q": second,
        "gradient": np.array([diagnostics.second_moment(d) for d in delta]),
        "varying": np.minimum(1, [unbiased * a.var(axis=0).mean() for a in z] / second),
    }


STATE = {"width": WIDTH, "depth": DEPTH, "batch": BATCH}


@pytest.mark.parametrize("name", activations.ACTIVATIONS)
def test_both_passes_are_those_of_winit_network(engine: Callable[..., Any], name: str) -> None:
    given, phi = case(), activations.get(name)
    params = {f"W{i}": W for i, W in enumerate(given["weights"], 1)}
    params |= {f"b{i}": np.zeros(WIDTH) for i in range(1, DEPTH + 1)}
    trace = network.forward(params, given["inputs"], name)
    top = given["direction"] / np.sqrt((given["direction"] ** 2).mean())
    back = network.backward(params, trace, top)
    ours = engine("run", STATE | {"activation": name}, options(given))
    for key, theirs in measured(trace.z, back.z).items():
        agree(ours[key], theirs, 1e-5)
    slopes = [np.abs(phi.derivative(z)) / diagnostics.steepest(name) for z in trace.z[:-1]]
    agree(ours["saturated"], [*((s < diagnostics.FLAT).mean() for s in slopes), 0], 1e-12)
    dead = [(s < diagnostics.DEAD).all(axis=0).mean() for s in slopes]
    agree(ours["dead"], [*dead, 0], 1e-12)
    assert ours["distinct"] == [diagnostics.distinct_units(z.astype(np.float32)) for z in trace.z]
    report = diagnostics.diagnose(params, given["inputs"], activation=name, rng=0)
    assert ours["dead"] == list(report.dead / WIDTH)


def blocks(W: Any, x: Any, phi: Any, residual: str, norm: str) -> list[Any]:
    """z of each layer, by the recursion at the head of engine.js, in JAX."""
    import jax.numpy as jnp

    def normalized(z: Any) -> Any:
        if norm == "none":
            return z
        centered = z - z.mean(axis=1, keepdims=True)
        return centered / jnp.sqrt((centered**2).mean(axis=1, keepdims=True) + 1e-5)

    z = [x @ W[0].T]
    for w in W[1:]:
        branch = phi(normalized(z[-1])) @ w.T / (math.sqrt(len(W)) if residual == "scaled" else 1)
        z.append(branch + (z[-1] if residual != "none" else 0))
    return z


@pytest.mark.parametrize("residual", some(["none", "plain", "scaled", "zero"], 2))
@pytest.mark.parametrize("norm", ["none", "layer"])
@pytest.mark.parametrize("name", ["tanh", "relu"])
def test_residual_and_normalized_passes_are_those_of_jax(
    engine: Callable[..., Any], residual: str, norm: str, name: str
) -> None:
    import jax
    import jax.numpy as jnp

    given = case(seed=1)
    if residual == "zero":
        given["weights"][1:] = 0
    phi = {"tanh": jnp.tanh, "relu": jax.nn.relu}[name]
    top = given["direction"] / np.sqrt((given["direction"] ** 2).mean())
    with jax.enable_x64(True):
        W, x = jnp.asarray(given["weights"]), jnp.asarray(given["inputs"])
        z = [np.asarray(a) for a in blocks(W, x, phi, residual, norm)]

        def rest(start: Any, layer: int) -> Any:
            """The output, from z of a layer on."""
            first = jnp.eye(WIDTH)[None]
            scale = DEPTH / (DEPTH - layer) if residual == "scaled" else 1
            rows = jnp.concatenate([first, W[layer + 1 :] / math.sqrt(scale)])
            return blocks(rows, start, phi, residual, norm)[-1]

        delta = [np.asarray(jax.vjp(lambda a, at=layer: rest(a, at), jnp.asarray(z[layer]))[1](
            jnp.asarray(top))[0]) for layer in range(DEPTH)]  # fmt: skip
    state = STATE | {"activation": name, "residual": residual, "norm": norm}
    ours = engine("run", state, options(given))
    for key, theirs in measured(z, delta).items():
        agree(ours[key], theirs, 1e-5)


def test_a_hundred_layers_of_tiny_weights_keep_their_numbers(engine: Callable[..., Any]) -> None:
    """Second moments of 1e-500, which neither float32 nor float64 has, are no zeros."""
    state = {"scheme": "normal", "std": 0.001, "width": 8, "depth": 100, "activation": "linear"}
    ours = engine("run", state)
    factor = math.log10(8 * 1e-6)  # in theory; ln q moves by Σ 2/8 at most for each linear layer
    expected = factor * np.arange(1, 101)
    error = 4 * np.sqrt(2 / 8 * np.arange(1, 101)) + 2 / 16 * np.arange(1, 101)
    for key in ("q", "gradient"):
        logs = numbers(ours["logs"][key] if key == "q" else ours["logs"][key][::-1])
        start = 0 if key == "q" else -factor
        assert (np.abs(logs - expected - start) * math.log(10) < error + 1).all()
    assert ours["q"][-1] == 0 and ours["verdict"] == "vanishing" and ours["notFinite"] is None


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("task", ["spiral", "circles", "moons"])
@pytest.mark.parametrize("name", ["relu", "tanh", "gelu"])
def test_training_takes_the_steps_of_winit(
    engine: Callable[..., Any], optimizer: str, task: str, name: str
) -> None:
    rng, sizes = np.random.default_rng(2), [2, 24, 24, 24, 2]
    params = network.init_params(sizes, winit.he_normal, rng=rng, dtype=np.float32)
    weights = [[float(w) for w in params[f"W{i}"].ravel()] for i in range(1, 5)]
    how = {"task": task, "optimizer": optimizer, "rate": 0.01, "dataSeed": 5, "weights": weights}
    state = {"width": 24, "depth": 4, "activation": name, "scale": 2}
    ours = engine("train", state, how, 6)
    x = np.array(ours["x"]).reshape(2, 128).T * 2
    wide = {key: value.astype(np.float64) for key, value in params.items()}
    train = {"sgd": network.sgd, "adam": network.adam}[optimizer]
    _, history = train(wide, x, np.array(ours["y"]), activation=name, learning_rate=0.01,
                       batch_size=128, epochs=6, rng=0)  # fmt: skip
    agree(ours["losses"], history.loss, 1e-5)
    agree(ours["ratio"], history.update_ratio[-1], 1e-4)


def test_every_start_of_the_trainer_can_be_trained_or_says_why_not(
    engine: Callable[..., Any],
) -> None:
    schemes = engine("constants")["SCHEMES"]
    for scheme, residual, norm in itertools.product(
        schemes, ("none", "scaled", "zero"), ("none", "layer")
    ):
        state = {"scheme": scheme, "residual": residual, "norm": norm, "width": 16, "depth": 5}
        ours = engine("train", state | {"std": 0.3}, {"optimizer": "adam", "rate": 0.01}, 40)
        stays = scheme in ("zeros", "constant")
        assert ours["stopped"] is None, state
        assert ours["loss"] < 0.9 * ours["losses"][0] or stays, state


@pytest.mark.parametrize("residual", ["none", "plain", "scaled", "zero"])
@pytest.mark.parametrize("norm", ["none", "layer"])
def test_training_with_a_residual_path_takes_the_steps_of_jax(
    engine: Callable[..., Any], residual: str, norm: str
) -> None:
    """The path leads to the end: the last layer adds to the first two units."""
    import jax
    import jax.numpy as jnp

    rng, n, rate = np.random.default_rng(3), 8, 0.02
    shapes = [(n, 2), *[(n, n)] * 3, (2, n)]
    W = [(0.5 * rng.standard_normal(shape)).astype(np.float32) for shape in shapes]
    if residual == "zero":
        W[1:] = [np.zeros_like(w) for w in W[1:]]
    weights = [[float(x) for x in w.ravel()] for w in W]
    state = {"width": n, "depth": 5, "activation": "tanh", "residual": residual, "norm": norm}
    ours = engine("train", state, {"rate": rate, "weights": weights}, 6)
    branch = 1 / math.sqrt(5) if residual == "scaled" else 1

    def loss(parameters: Any, x: Any, y: Any) -> Any:
        z = x
        for layer, (w, b) in enumerate(parameters):
            a = z
            if layer and norm == "layer":
                a = a - a.mean(axis=1, keepdims=True)
                a = a / jnp.sqrt((a**2).mean(axis=1, keepdims=True) + 1e-5)
            added = (jnp.tanh(a) if layer else a) @ w.T + b
            skip = residual != "none" and layer
            z = branch * added + z[:, : len(b)] if skip else added
        return -jax.nn.log_softmax(z)[jnp.arange(len(y)), y].mean()

    with jax.enable_x64(True):
        x, y = jnp.asarray(np.array(ours["x"]).reshape(2, 128).T), jnp.asarray(ours["y"])
        parameters = [(jnp.asarray(w, float), jnp.zeros(len(w))) for w in W]
        theirs, step = [], jax.jit(jax.value_and_grad(loss))
        for _ in range(6):
            value, slopes = step(parameters, x, y)
            theirs.append(float(value))
            parameters = jax.tree.map(lambda p, g: p - rate * g, parameters, slopes)
    agree(ours["losses"], theirs, 1e-5)
    assert theirs[-1] < theirs[0]


@pytest.mark.parametrize("residual", ["none", "plain", "scaled", "zero"])
@pytest.mark.parametrize("norm", ["none", "layer"])
def test_zeros_that_wait_a_step_learn_and_dead_ones_do_not(
    engine: Callable[..., Any], residual: str, norm: str
) -> None:
    for depth, name in itertools.product((1, 2, 3, 10), ("relu", "tanh", "sigmoid")):
        state = {"scheme": "zeros", "width": 16, "depth": depth, "activation": name}
        state |= {"residual": residual, "norm": norm}
        verdict = engine("run", state)["verdict"]
        ours = engine("train", state, {"rate": 0.03}, 20)
        assert verdict in ("waits a step", "dead"), state
        assert ours["losses"][0] == pytest.approx(math.log(2))
        learns = ours["losses"][-1] < math.log(2) - 0.01
        assert learns == (verdict == "waits a step"), (state, verdict, ours["losses"])


@pytest.mark.parametrize("wasm", [True, False])
@pytest.mark.parametrize("name", ["relu", "leaky_relu", "gelu", "elu"])
def test_the_trainer_stops_where_the_start_overflows(
    engine: Callable[..., Any], name: str, wasm: bool
) -> None:
    """Else a φ that takes what is not a number for 0 shows ln 2, the loss of a network of zeros."""
    state = {"scheme": "normal", "std": 10, "depth": 50, "width": 64, "activation": name}
    ours = engine("train", state, {"wasm": wasm}, 3)
    assert ours["stopped"] == "loss" and len(ours["losses"]) == 1
    assert not math.isfinite(float(ours["loss"]))


def test_the_surface_shows_what_the_network_says(engine: Callable[..., Any]) -> None:
    state, how = {"width": 32, "depth": 4}, {"task": "circles", "rate": 0.1}
    ours = engine("surface", state, how, 300, 21)
    values = np.array(ours["values"]).reshape(21, 21)
    assert ours["accuracy"] > 0.95
    assert values[10, 10] > 0.9 and values[[0, 0, 20, 20], [0, 20, 0, 20]].max() < 0.1
    moons = np.array(engine("surface", state, {"task": "moons"}, 300, 21)["values"]).reshape(21, 21)
    assert moons[2].mean() < 0.2 < 0.8 < moons[18].mean()  # class 0 is the upper one; top row first


# ------------------------------------------------------------------ WebAssembly and JavaScript


@pytest.mark.parametrize(
    "state",
    [
        {"scheme": "he_normal", "width": 64, "depth": 20},
        {"scheme": "he_uniform", "width": 40, "depth": 20, "batch": 24},
        {"scheme": "orthogonal", "activation": "tanh", "width": 72, "batch": 8},
        {"scheme": "constant", "std": 0.02, "width": 64, "activation": "tanh", "depth": 3},
        {"scheme": "depth_gain", "activation": "elu", "norm": "layer"},
        {"scheme": "lecun_normal", "activation": "selu", "residual": "scaled"},
        {
            "scheme": "orthogonal_depth_gain",
            "activation": "gelu",
            "residual": "plain",
            "width": 8,
            "depth": 5,
        },
    ],
)
def test_webassembly_computes_what_javascript_does(
    engine: Callable[..., Any], state: dict[str, Any]
) -> None:
    state = {"depth": 12} | state  # rounding grows with depth, where small differences do
    fast, plain = engine("run", state), engine("run", state, {"wasm": False})
    assert (fast["kernels"], plain["kernels"]) == ("WebAssembly", "JavaScript")
    for key in ("q", "gradient", "varying"):
        agree(fast[key], numbers(plain[key]), 1e-5)
    assert fast["verdict"] == plain["verdict"]
    losses = [engine("train", state | {"depth": 5}, {"wasm": wasm}, 5)["losses"]
              for wasm in (True, False)]  # fmt: skip
    agree(*losses, 1e-5)


def test_rounding_changes_what_is_seen_of_chaotic_networks_alone(
    engine: Callable[..., Any],
) -> None:
    """As the page says where it invites to send an address to somebody with another browser."""
    presets = [{}, {"scheme": "glorot_normal"}, {"scheme": "normal", "std": 0.25}]
    for state in [*presets, {"scheme": "normal", "std": 1, "activation": "tanh", "depth": 100}]:
        fast, plain = engine("run", state), engine("run", state, {"wasm": False})
        pairs = zip(fast["logs"]["q"], plain["logs"]["q"], strict=True)
        differ = [engine("format", 1, one) != engine("format", 1, other) for one, other in pairs]
        assert sum(differ) > 50 if "activation" in state else sum(differ) <= 1, state
    text = " ".join((ROOT / "book" / "lab.md").read_text("utf-8").split())
    assert "same too, unless the network is chaotic, as with large weights and tanh" in text


def test_webassembly_draws_what_javascript_does(engine: Callable[..., Any]) -> None:
    for kind in ("normal", "uniform"):
        one, other = (drawn(engine, 100_000, kind=kind, wasm=wasm) for wasm in (True, False))
        np.testing.assert_array_equal(one, other)


# ------------------------------------------------------------------ theory

Q0 = 0.7  # the inputs' second moment


def predicted(state: dict[str, Any]) -> tuple[list[float], list[float]]:
    """q and the gradient layer by layer, of `winit.theory`."""
    name, depth, width = state["activation"], state["depth"], state["width"]
    sigma = {"he_normal": math.sqrt(2), "glorot_uniform": 1.0, "orthogonal": 1.0,
             "normal": state.get("std", 0) * math.sqrt(width)}.get(state["scheme"])  # fmt: skip
    later = sigma or theory.depth_gain(name, depth)
    q, factors = [(sigma or 1.0) ** 2 * Q0], []
    branch = 1 / depth if state["residual"] == "scaled" else float(state["residual"] != "zero")
    path = float(state["residual"] != "none")
    for _ in range(depth - 1):
        over = q[-1] + 1e-5 if state["norm"] == "layer" else 1.0
        q.append(path * q[-1] + branch * theory.q_map(name, q[-1] / over, later))
        factors.append(path + branch * theory.chi_1(name, later, q[-2] / over) / over)
    return q, [math.prod(factors[i:]) for i in range(depth)]


@pytest.mark.parametrize("name", activations.ACTIVATIONS)
def test_the_theory_is_that_of_winit(engine: Callable[..., Any], name: str) -> None:
    variants = itertools.cycle(
        itertools.product(("none", "plain", "scaled", "zero"), ("none", "layer"))
    )
    for scheme in ("he_normal", "glorot_uniform", "normal", "orthogonal", "depth_gain") * 2:
        residual, norm = next(variants)
        state = {"scheme": scheme, "activation": name, "depth": 6, "width": 32, "std": 0.3,
                 "scale": math.sqrt(Q0), "residual": residual, "norm": norm}  # fmt: skip
        ours, (q, gradient) = engine("theory", state | {"seed": 0}), predicted(state)
        agree(ours["q"], q, 1e-6)
        agree(ours["gradient"], gradient, 1e-6)
        agree(ours["logs"]["q"], np.log10(q), 1e-6)


@pytest.mark.parametrize("name", activations.ACTIVATIONS)
def test_the_gain_for_a_depth_is_that_of_winit(engine: Callable[..., Any], name: str) -> None:
    for depth in (1, 2, 7, 30, 100):
        assert math.isclose(
            engine("depthGain", name, depth), theory.depth_gain(name, depth), rel_tol=1e-6
        )


def test_the_theory_says_nothing_where_it_holds_not(engine: Callable[..., Any]) -> None:
    for scheme in ("zeros", "constant"):
        result = engine("run", {"scheme": scheme, "depth": 3, "width": 16})
        assert result["theory"]["q"] is result["theory"]["gradient"] is None


# ------------------------------------------------------------------ words


def test_bounds_and_names_are_those_of_winit(engine: Callable[..., Any]) -> None:
    constants = engine("constants")
    for name, value in constants["BOUNDS"].items():
        assert value == getattr(judge, name, None) or value == getattr(diagnostics, name), name
    assert sorted(constants["ACTIVATIONS"]) == sorted(activations.ACTIVATIONS)
    own = {"depth_gain", "orthogonal_depth_gain"}
    assert set(constants["SCHEMES"]) - own <= set(winit.initializers.SCHEMES)
    assert set(engine("validate", constants["DEFAULTS"])) == {"state", "messages"}


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.5, "0.50"), (1, "1.0"), (0.012, "0.012"), (9.4e-3, "9.4e-3"), (2.94e-5, "2.9e-5"), (0, "0"),
     (9.96, "10"), (99.6, "100"), (303.2, "303"), (999.4, "999"), (999.6, "1.0e3"), (1e5, "1.0e5"),
     (9.96e-6, "1.0e-5"), (-0.5, "-0.50"), (1.3e300, "1.3e300"), (0.00999, "0.010"),
     (0.0099, "9.9e-3")],
)  # fmt: skip
def test_numbers_have_one_spelling(engine: Callable[..., Any], value: float, text: str) -> None:
    assert engine("format", value) == text


SAID = [
    ("kept", {}),
    ("kept", {"residual": "scaled", "norm": "layer"}),
    ("kept", {"depth": 1}),
    ("kept", {"residual": "zero", "depth": 100}),
    ("kept", {"scheme": "orthogonal", "activation": "linear", "depth": 100}),
    ("vanishing", {"scheme": "glorot_normal"}),
    ("vanishing", {"scheme": "normal", "std": 0.001, "depth": 100, "width": 8}),
    ("vanishing", {"activation": "sigmoid", "scheme": "he_normal", "depth": 5, "width": 256}),
    ("exploding", {"residual": "plain"}),
    ("exploding", {"activation": "tanh", "scheme": "normal", "std": 0.18, "depth": 60}),
    ("dead", {"scheme": "zeros"}),
    ("dead", {"scheme": "zeros", "activation": "sigmoid"}),
    ("waits a step", {"scheme": "zeros", "residual": "plain"}),
    ("waits a step", {"scheme": "zeros", "residual": "zero", "norm": "layer"}),
    ("waits a step", {"scheme": "zeros", "depth": 1}),
    ("inputs unscaled", {"scale": 100}),
    ("kept", {"scale": 0.01, "seed": 2, "batch": 16, "width": 64}),
    ("kept", {"scale": 10}),
    ("inputs unscaled", {"scale": 10.02}),
    ("inputs unscaled", {"scale": 20, "scheme": "zeros", "depth": 1}),
    ("inputs unscaled", {"scale": 20, "norm": "layer", "residual": "plain"}),
    ("kept", {"scale": 9, "depth": 3}),
    ("kept", {"scale": 100, "norm": "layer"}),
    ("kept", {"scale": 0.01, "norm": "layer"}),
    ("kept", {"scale": 0.02, "norm": "layer", "residual": "plain"}),
    ("kept", {"scale": 0.02, "norm": "layer", "depth": 2}),
    ("exploding",
     {"activation": "tanh", "scheme": "normal", "std": 1, "norm": "layer", "depth": 100}),
    ("vanishing", {"scheme": "normal", "std": 0.001, "width": 8, "norm": "layer"}),
    ("dead", {"depth": 100, "width": 8, "batch": 8, "seed": 3}),
    ("symmetric", {"scheme": "constant", "std": 0.01}),
    ("symmetric", {"scheme": "constant", "std": 0.01, "activation": "tanh", "depth": 4}),
    ("saturated", {"activation": "tanh", "scheme": "normal", "std": 1}),
    ("saturated", {"activation": "tanh", "scheme": "normal", "std": 10, "width": 512}),
    ("saturated", {"activation": "relu6", "scheme": "normal", "std": 1}),
    ("saturated", {"activation": "hard_tanh", "scheme": "normal", "std": 1}),
    ("collapsed", {"activation": "sigmoid", "scheme": "glorot_normal"}),
    ("overflow", {"scheme": "normal", "std": 1, "depth": 100, "width": 64}),
    ("overflow", {"scheme": "constant", "std": 10, "depth": 100, "width": 512}),
]  # fmt: skip


def by_hand(engine: Callable[..., Any], factor: str, total: str, layers: int) -> None:
    """The factor that is printed, times itself as often as told, is the total, digit by digit."""
    digits = re.sub(r"e.*|^0\.0*|\.", "", factor.rstrip(":"))
    assert len(digits) >= 3, factor
    assert engine("format", 1, layers * math.log10(float(factor.rstrip(":")))) == total


def test_factors_of_the_sentence_make_what_it_says_of_all_layers(
    engine: Callable[..., Any],
) -> None:
    """Of the signal, of the gradient, and of what a layer's factor is made of."""
    signal = r"Each layer (?:keeps|multiplies \D* by) (\S+?)(?: of the second moment)?: (\S+) "
    back = r"each (?:keeps|multiplies the gradient's by) (\S+?)(?: of the gradient's)?: (\S+) "
    causes = r"multiply it by (\S+) .*, and \w+ by (\S+)\.( In theory.*)?$"
    seen = dict.fromkeys(("signal", "back", "made", "added"), 0)
    schemes: list[dict[str, Any]] = [{"scheme": "normal", "std": std} for std in (0.13, 0.2, 0.3)]
    for scheme, activation, depth, residual in itertools.product(
        ({"scheme": "glorot_normal"}, *schemes),
        ("relu", "tanh", "selu", "gelu"), (3, 10, 64), ("none", "plain"),
    ):  # fmt: skip
        state = {"activation": activation, "depth": depth, "width": 64, "residual": residual}
        sentence = engine("run", state | scheme)["sentence"]
        if found := re.search(back, sentence):
            by_hand(engine, found[1], found[2], depth - 1)
            seen["back"] += 1
        if not (found := re.match(signal, sentence)):
            continue
        by_hand(engine, found[1], found[2], depth - 1)
        digits = len(re.sub(r"e.*|^0\.0*|\.", "", found[1]))
        factor = f"{float(found[1]):.{digits}g}"
        if parts := re.search(causes, sentence):
            assert f"{float(parts[1]) * float(parts[2]):.{digits}g}" == factor, sentence
        if more := re.search(r"here (\S+) of what it carries", sentence):
            assert f"{1 + float(more[1]):.{digits}g}" == factor, sentence
        for kind, there in (("signal", True), ("made", parts), ("added", more)):
            seen[kind] += bool(there)
    assert min(seen.values()) >= 2, seen


def test_a_gradient_that_is_kept_far_from_1_is_told_with_its_bound(
    engine: Callable[..., Any],
) -> None:
    """Within 100 it needs none; beyond, that of `winit.judge` is named, on the side that counts."""
    steep = {"none": f"{judge.STEEP:,.0f}.", "layer": f"{judge.STEEP_NORMALIZED:,.0f}."}
    found = set()
    for std, norm, seed in itertools.product((0.11, 0.125, 0.14, 0.17, 0.2), steep, range(3)):
        state = {"activation": "tanh", "scheme": "normal", "std": std, "width": 64, "depth": 30}
        result = engine("run", state | {"norm": norm, "seed": seed})
        back = float(result["logs"]["gradient"][int(norm == "layer")])
        if result["verdict"] != "kept":
            continue
        said = re.search(r"still bridge: the bound is (1/)?(.*)", result["sentence"])
        assert (said is not None) == (abs(back) > math.log10(judge.BOUND)), result["sentence"]
        if said:
            assert (said[1] is not None) == (back < 0) and said[2] == steep[norm]
            found.add(said[0])
    assert len(found) >= 2, found


@pytest.mark.parametrize(("verdict", "state"), SAID)
def test_the_sentence_says_what_happened(
    engine: Callable[..., Any], verdict: str, state: dict[str, Any]
) -> None:
    result = engine("run", state)
    sentence, depth = result["sentence"], result["state"]["depth"]
    assert result["verdict"] == verdict, sentence
    assert re.fullmatch(r"[A-Z].*[a-z0-9]\.", sentence) and not re.search(
        r"NaN|undefined|null", sentence
    )
    assert not re.search(r"\b1 (layers|units)\b|(?<![\d.])0 of\b|infinite|\d[eE]\+|[·⁻]", sentence)
    shares = numbers([*result["varying"], *result["dead"], *result["saturated"]])
    assert not (shares > 1).any()
    logs = numbers(result["logs"]["q"])
    if found := re.match(
        r"Each layer (?:keeps|multiplies \D* by) (\S+?)(?: .*?)?: "
        r"(\S+) (?:of|times) the first at layer (\d+)",
        sentence,
    ):
        factor, total, layer = (float(part.rstrip(":")) for part in found.groups())
        assert layer == depth == len(logs)
        drift = float(logs[-1] - logs[0])
        assert math.isclose(factor, 10 ** (drift / (depth - 1)), rel_tol=0.0051)
        assert math.isclose(float(engine("format", 1, drift)), total, rel_tol=1e-9)
        assert (abs(drift) <= 2) == (verdict == "kept") or "way back" in sentence
        by_hand(engine, *found.groups()[:2], depth - 1)
    if verdict == "overflow":
        assert 1 <= result["notFinite"] <= depth
        assert not any(g == 0 for g in result["gradient"])
    else:
        assert result["notFinite"] is None


def test_whether_inputs_are_unscaled_is_decided_by_the_scale_and_not_by_the_seed(
    engine: Callable[..., Any],
) -> None:
    """At both bounds, which the slider stops at, and next to them."""
    for scale, verdict in (
        (0.01, "kept"), (0.0112, "kept"), (8.91, "kept"), (10, "kept"), (10.01, "inputs unscaled"),
        (11.2, "inputs unscaled"),
    ):  # fmt: skip
        state = {"scale": scale, "width": 32, "depth": 3}
        found = {engine("run", state | {"seed": seed})["verdict"] for seed in range(20)}
        assert found == {verdict}, scale
    sentence = engine("run", {"scale": 100})["sentence"]
    assert "The second moment of the inputs is 1.0e4," in sentence
    assert "inputs is 100.2," in engine("run", {"scale": 10.01})["sentence"]  # never 100


def test_bounds_of_the_inputs_are_those_of_the_judge_to_the_last_digit(
    engine: Callable[..., Any],
) -> None:
    """The rule of `winit.judge` is asked for the same second moments: on the bounds, and beside."""
    (rule,) = [rule for rule in judge.RULES if rule.find is judge.unscaled]
    net = winit.jax.Function(lambda w, x: x @ w, np.eye(4), np.ones((4, 4)), None, None, None, 0)
    alarms, case = [], judge.start(net)
    for scale in (0.01, np.nextafter(0.01, 1), np.nextafter(10, 1), 10, np.nextafter(10, 11), 10.1):
        found = engine("run", {"scale": float(scale), "width": 16, "depth": 2})
        measured = replace(case.m, x2=np.array([found["inputs"]]))
        alarms.append(bool((rule.excess(replace(case, m=measured)) > 0).any()))
        assert (found["verdict"] == "inputs unscaled") == alarms[-1], scale
    assert alarms == [False] * 4 + [True] * 2


@pytest.mark.parametrize("residual", ["plain", "scaled", "zero"])
def test_a_skip_path_carries_the_inputs_scale_past_a_normalization(
    engine: Callable[..., Any], residual: str
) -> None:
    """It is said where a normalization follows, and there alone; what is said is so."""
    state = {"scale": 20, "norm": "layer", "residual": residual, "depth": 10, "width": 64}
    past = "The skip path carries their scale past the normalization."
    result = engine("run", state)
    assert result["verdict"] == "inputs unscaled" and past in result["sentence"]
    small, large = (engine("run", state | {"scale": s})["q"][-1] for s in (1, 20))
    assert large > 50 * small
    without = engine("run", state | {"residual": "none"})
    assert without["verdict"] == "kept" and without["q"][-1] < 2 * small
    for other in ({"norm": "none"}, {"depth": 1}):
        result = engine("run", state | other)
        assert result["verdict"] == "inputs unscaled" and past not in result["sentence"]


@pytest.mark.parametrize("residual", ["none", "plain", "scaled", "zero"])
def test_behind_a_normalization_the_scale_of_the_inputs_is_no_fault(
    engine: Callable[..., Any], residual: str
) -> None:
    """The one jump at the first normalization is no factor of each layer."""
    for scale, depth in itertools.product((0.02, 0.3, 1, 9), (2, 3, 30)):
        state = {"norm": "layer", "residual": residual, "scale": scale, "depth": depth, "width": 64}
        result = engine("run", state)
        sentence, q = result["sentence"], result["logs"]["q"]
        assert result["verdict"] == "kept", (state, sentence)
        assert "Each layer" not in sentence and "Why" not in sentence
        last = engine("format", 1, q[-1])
        if depth == 2:
            assert f"its second moment is {last}, kept." in sentence
            continue
        first = engine("format", 1, q[1])
        assert f"from {first} at layer 2 to {last} at layer {depth}, kept." in sentence
        back = engine("format", 1, result["logs"]["gradient"][1])
        assert f"arrives at layer 2 with {back} " in sentence


def test_verdicts_of_starts_without_a_rule_of_their_own_are_those_of_the_audit(
    engine: Callable[..., Any],
) -> None:
    """Zeros behind a skip path wait; inputs are unscaled unless only a normalization reads them."""
    import jax.numpy as jnp

    import winit.jax

    x = np.random.default_rng(0).standard_normal((32, 16))
    for scheme, residual, norm, depth, scale in (
        ("zeros", "plain", "none", 3, 1.0),
        ("zeros", "none", "none", 3, 1.0),
        ("zeros", "none", "none", 1, 1.0),
        ("he_normal", "none", "none", 3, 100.0),
        ("he_normal", "plain", "layer", 3, 100.0),
        ("he_normal", "none", "layer", 1, 0.01 / 2),
        ("zeros", "none", "none", 3, 100.0),
    ):
        std = 0.0 if scheme == "zeros" else math.sqrt(2 / 16)
        rng = np.random.default_rng(1)
        params = {f"W{i}": std * rng.standard_normal((16, 16)) for i in range(1, depth + 1)}

        def network(p: Any, x: Any, residual: str = residual, norm: str = norm) -> Any:
            def relu(z: Any) -> Any:
                return jnp.maximum(z, 0)

            return blocks([p[k] for k in sorted(p)], x, relu, residual, norm)[-1]

        audit = winit.jax.audit(network, params, scale * x, cures=False)
        theirs = [finding.verdict for finding in audit.findings[:1]] or ["kept"]
        state = {"scheme": scheme, "residual": residual, "norm": norm, "depth": depth}
        given = {"inputs": list((scale * x).ravel())}
        ours = engine("run", state | {"width": 16}, given)["verdict"]
        if ours == "waits a step":
            assert theirs == ["kept"], state
            assert depth == 1 or any("waits one step" in note for note in audit.notes)
        else:
            assert [ours] == theirs, state


def test_a_share_below_the_rounding_of_float32_is_no_number(engine: Callable[..., Any]) -> None:
    """Where the map of correlations has long made one of all inputs, what is left is rounding."""
    state = {"activation": "sigmoid", "scheme": "glorot_normal"}
    for depth, said in ((30, "is less than 1e-13:"), (8, r"is \d\.\de-\d+:")):
        found = {engine("run", state | {"depth": depth, "seed": s})["sentence"] for s in range(3)}
        assert all(re.search(said, sentence) for sentence in found), found
    floor = engine("constants")["FLOOR"]
    assert floor > 4 * np.finfo(np.float32).epsneg ** 2
    assert [engine("varies", share) for share in (floor, floor / 2, 0, 1)] == [
        "1.0e-13", "less than 1e-13", "less than 1e-13", "1.0"
    ]  # fmt: skip


@pytest.mark.parametrize("norm", ["none", "layer"])
def test_zeros_let_no_gradient_back(engine: Callable[..., Any], norm: str) -> None:
    logs = engine("run", {"scheme": "zeros", "depth": 5, "width": 16, "norm": norm})["logs"]
    assert [float(log10) for log10 in logs["gradient"][:-1]] == [-math.inf] * 4


def test_an_overflow_on_the_way_back_is_told_from_a_vanishing_gradient(
    engine: Callable[..., Any],
) -> None:
    state = {"activation": "tanh", "scheme": "normal", "std": 4, "depth": 100, "width": 64}
    result = engine("run", state)
    gradient = numbers(result["logs"]["gradient"])
    assert result["verdict"] == "overflow" and "way back" in result["sentence"]
    # the largest of 2048 is 3 to 5 times the rms: 10 to 25 times in second moments
    assert gradient[0] > gradient[-1] and gradient[result["notFinite"] - 1] > 75.6 - 2
    assert gradient[result["notFinite"] + 1] < 78


# ------------------------------------------------------------------ bad input

HOSTILE = [
    None, True, 5, "x", [], [1, 2], {"scheme": 3}, {"scheme": "__proto__"}, {"scheme": "He_normal"},
    {"constructor": 1}, {"depth": "1e9"}, {"depth": -1}, {"depth": 2.5},
    {"depth": "2; drop"}, {"depth": ""}, {"depth": " "}, {"depth": None}, {"depth": [4]},
    {"depth": {}}, {"depth": True}, {"width": 7}, {"width": 513}, {"width": 100}, {"std": 0},
    {"std": -1}, {"std": "1e999"}, {"std": 5e-324}, {"std": 1e308}, {"scale": 0}, {"batch": 1},
    {"seed": -1}, {"seed": 2**53}, {"seed": 0.5}, {"activation": "toString"}, {"norm": "batch"},
    {"residual": "<script>"}, {"depth": "0x10"}, {"depth": "Infinity"}, {"depth": 101},
    {"x" * 10_000: "y" * 10_000},
]  # fmt: skip


@pytest.mark.parametrize("given", HOSTILE, ids=[str(given)[:30] for given in HOSTILE])
def test_a_bad_state_becomes_a_valid_one_and_says_so(
    engine: Callable[..., Any], given: Any
) -> None:
    answer, constants = engine("validate", given), engine("constants")
    state, messages = answer["state"], answer["messages"]
    assert list(state) == list(constants["DEFAULTS"])
    assert engine("validate", state) == {"state": state, "messages": []}
    assert len(messages) == 1 and len(messages[0]) < 300
    for key in set(given if isinstance(given, dict) else ()) & set(state):
        assert messages[0].startswith(f"{key}=") and messages[0].endswith(f"{state[key]} is used")
    small = {**state, "width": min(state["width"], 16), "depth": min(state["depth"], 3)}
    assert len(engine("run", small)["q"]) == small["depth"]


def test_a_state_from_an_address_is_taken_as_it_is(engine: Callable[..., Any]) -> None:
    texts = {"depth": "30", "std": "5e-2", "width": "128", "seed": "4294967295", "scale": ".5"}
    answer = engine("validate", texts)
    assert answer["messages"] == []
    assert answer["state"]["seed"] == 4294967295 and answer["state"]["scale"] == 0.5
    assert engine("validate", {"depth": 1000})["messages"] == [
        "depth=1000 is above 100: 100 is used"
    ]
    assert engine("validate", {"width": 100})["state"]["width"] in (96, 104)


# ------------------------------------------------------------------ many settings, in Chromium

HTML = """<!doctype html><meta charset="utf-8"><script src="core.js"></script><script>
const worker = new Worker(URL.createObjectURL(new Blob([CORE], { type: "text/javascript" })));
let last = 0;
const asked = new Map();
worker.onmessage = ({ data }) => { asked.get(data.id)(data); asked.delete(data.id); };
const ask = (call, state, options) => new Promise((resolve) => {
  asked.set(++last, resolve);
  worker.postMessage({ id: last, call, state, options: options ?? {} });
});
</script>"""


def write_page(folder: Path) -> str:
    """A page on the disk whose worker comes from a Blob, as the lab's; its address."""
    sources = [(LAB / name).read_text("utf-8") for name in ("engine.js", "worker.js")]
    core = "\n".join([kernels.line(), *sources])
    (folder / "core.js").write_text(f"const CORE = {json.dumps(core)};", "utf-8")
    (folder / "page.html").write_text(HTML, "utf-8")
    return (folder / "page.html").as_uri()


SEEDS, N, L, EXAMPLES = 8, 48, 10, 16
INITIALIZERS = {
    "he_normal": winit.he_normal, "he_uniform": winit.he_uniform,
    "glorot_normal": winit.glorot_normal, "glorot_uniform": winit.glorot_uniform,
    "lecun_normal": winit.lecun_normal, "lecun_uniform": winit.lecun_uniform,
    "orthogonal": winit.orthogonal,
}  # fmt: skip
SETTINGS = [(scheme, name) for scheme in INITIALIZERS for name in ("relu", "tanh", "gelu", "selu")]
SETTINGS += [
    ("he_normal", name) for name in activations.ACTIVATIONS if name not in ("relu", "tanh")
]


def by_winit(scheme: str, name: str, seed: int) -> dict[str, Numbers]:
    """ln q, ln of the gradient, the varying share, and the first training losses of one draw."""
    rng = np.random.default_rng(seed)
    params = network.init_params([N] * (L + 1), INITIALIZERS[scheme], rng=rng)
    x = rng.standard_normal((EXAMPLES, N))
    trace = network.forward(params, x, name)
    top = rng.standard_normal((EXAMPLES, N))
    z, delta = trace.z, network.backward(params, trace, top / np.sqrt((top**2).mean())).z
    q = np.array([diagnostics.second_moment(a) for a in z])
    varying = np.array([a.var(axis=0).mean() for a in z]) * EXAMPLES / (EXAMPLES - 1) / q
    gradient = np.array([diagnostics.second_moment(d) for d in delta])
    return {"q": np.log(q), "gradient": np.log(gradient), "varying": np.minimum(varying, 1)}


def losses_by_winit(scheme: str, name: str, seed: int, data: Any) -> Numbers:
    params = network.init_params([2, *[N] * 3, 2], INITIALIZERS[scheme], rng=1000 + seed)
    x, y = np.array(data["x"]).reshape(2, 128).T, np.array(data["y"])
    _, history = network.sgd(params, x, y, activation=name, learning_rate=0.01, batch_size=128,
                             epochs=3, rng=0)  # fmt: skip
    return np.array(history.loss)


def within(ours: Any, theirs: Any, floor: Any, what: str) -> None:
    """Two means over the seeds, within four standard errors of their difference."""
    ours, theirs = np.array(ours), np.array(theirs)
    variance = np.maximum((ours.var(axis=0, ddof=1) + theirs.var(axis=0, ddof=1)) / 2, floor)
    off = np.abs(ours.mean(axis=0) - theirs.mean(axis=0))
    assert (off <= 4 * np.sqrt(2 * variance / SEEDS) + 1e-9).all(), (what, off, variance)


@pytest.mark.long
def test_settings_in_chromium_do_what_winit_does(browser: Any, tmp_path: Path) -> None:
    """43 settings, eight draws each: every layer, forward and back, and the first losses.

    Var ln q of a layer is at least what is measured, and Σ 5/n, which is that of ReLU (Hanin 2018).
    """
    assert len(set(SETTINGS)) >= 40
    page = browser.new_page()
    page.goto(write_page(tmp_path))
    states = [{"scheme": scheme, "activation": name, "width": N, "depth": L, "batch": EXAMPLES}
              for scheme, name in SETTINGS]  # fmt: skip
    found = page.evaluate(
        """async ([states, seeds]) => {
          const found = [];
          for (const state of states) {
            const runs = [];
            for (let seed = 0; seed < seeds; seed++) {
              const { result, error } = await ask("run", { ...state, seed });
              if (error) throw new Error(error);
              const { q, gradient } = result.logs, { varying, kernels } = result;
              const small = { ...state, seed, depth: 4 }, options = { name: "a", rate: 0.01 };
              const { data } = (await ask("train", small, options)).result;
              const { losses } = (await ask("step", small, { ...options, steps: 3 })).result;
              const xs = { x: [...data.x], y: [...data.y] };
              runs.push({ q, gradient, varying, losses, kernels, data: seed ? null : xs });
            }
            found.push(runs);
          }
          return found;
        }""",
        [states, SEEDS],
    )
    page.close()
    floor = 5 / N * np.arange(L)
    for (scheme, name), runs in zip(SETTINGS, found, strict=True):
        assert {run["kernels"] for run in runs} == {"WebAssembly"}
        theirs = [by_winit(scheme, name, seed) for seed in range(SEEDS)]
        for key, least in (
            ("q", floor + 2 / N / EXAMPLES),
            ("gradient", floor[::-1]),
            ("varying", 1e-4),
        ):
            ours = np.array([run[key] for run in runs]) * (1 if key == "varying" else math.log(10))
            within(ours, [their[key] for their in theirs], least, f"{scheme} {name} {key}")
        first = [losses_by_winit(scheme, name, seed, runs[0]["data"]) for seed in range(SEEDS)]
        within([run["losses"] for run in runs], first, 1e-6, f"{scheme} {name} losses")
