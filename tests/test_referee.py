"""The referee on networks whose answer is known in closed form, and the list of starts."""

from __future__ import annotations

import math
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import referee
import starts

RNG = np.random.default_rng


def orthogonal(rng: np.random.Generator, n: int) -> np.ndarray:
    return np.linalg.qr(rng.standard_normal((n, n)))[0].astype(np.float32)


def normal(rng: np.random.Generator, std: float, *shape: int) -> np.ndarray:
    return (std * rng.standard_normal(shape)).astype(np.float32)


def chain(depth: int, phi: Any = lambda x: x) -> Any:
    def f(p: Any, x: Any) -> Any:
        for k in range(depth):
            x = phi(x @ p[f"w{k}"])
        return x

    return f


def test_linear_chain_of_orthogonal_kernels_is_exact() -> None:
    # |x W| = g |x|: every layer multiplies both E z² and, backwards, E δ² by g².
    rng, g, depth = RNG(0), 1.5, 6
    params = {f"w{k}": g * orthogonal(rng, 16) for k in range(depth)}
    x = normal(rng, 1, 8, 16)
    m = referee.measure(chain(depth), params, x, seed=3)
    q, c = np.mean(x.astype(float) ** 2), np.mean(referee.cotangent((8, 16), 3, 0) ** 2)
    for k, p in enumerate(m.places):
        assert p.key == ((f"w{k}",), 0)
        assert p.x2 == pytest.approx(q * g ** (2 * k), rel=1e-5)
        assert p.z2 == pytest.approx(q * g ** (2 * k + 2), rel=1e-5)
        assert p.d2 == pytest.approx(c * g ** (2 * (depth - 1 - k)), rel=1e-5)
    assert m.heads == {depth - 1}
    # A linear chain's effect of a redraw: std² ‖∂L/∂W‖², with ∂L/∂W = xᵀ δ.
    delta = (
        referee.cotangent((8, 16), 3, 0)
        @ np.linalg.multi_dot([params[f"w{k}"] for k in range(1, depth)]).T
    )
    s = np.mean(params["w0"] ** 2) * np.sum((x.T @ delta) ** 2)
    assert m.effects["w0"] == pytest.approx(s, rel=1e-4)


def test_relu_chain_under_he_stays_within_hanins_fluctuation() -> None:
    depth, n = 10, 128
    rng = RNG(1)
    params = {f"w{k}": normal(rng, math.sqrt(2 / n), n, n) for k in range(depth)}
    m = referee.measure(chain(depth, jax.nn.relu), params, normal(rng, 1, 32, n))
    variance = 5 / n * (depth - 1)
    drift = math.log(m.places[-1].z2 / m.places[0].z2)
    assert abs(drift + variance / 2) < 4 * math.sqrt(variance)
    assert referee.fluctuation(m) == pytest.approx(4 * math.sqrt(variance) + variance / 2)


def test_unscaled_residual_sum_doubles_under_lecun() -> None:
    n, blocks = 256, 6
    rng = RNG(2)
    params = {f"w{k}": normal(rng, n**-0.5, n, n) for k in range(blocks)}

    def f(p: Any, x: Any) -> Any:
        for k in range(blocks):
            x = x + x @ p[f"w{k}"]
        return x

    m = referee.measure(f, params, normal(rng, 1, 32, n))
    # E |x + Wx|² = 2 |x|². The cross term 2 x·Wx has sd 2/√(32 n) of it a block, W's own
    # fluctuation √(2/n)/√32 to √(2/n): 4 sd of the sum over blocks.
    assert m.output2 == pytest.approx(2**blocks, rel=4 * math.sqrt(blocks * 2 / n))
    assert len(m.heads) == blocks


@pytest.mark.parametrize(
    ("phi", "value", "verdict"),
    [(jax.nn.relu, 0.0, "dead"), (jnp.tanh, 0.05, "symmetric"), (jax.nn.sigmoid, 0.0, "symmetric")],
)
def test_zeros_and_constants(phi: Any, value: float, verdict: str) -> None:
    params = {f"w{k}": np.full((16, 16), value, np.float32) for k in range(3)}
    params["out"] = np.full((16, 4), value, np.float32)

    def f(p: Any, x: Any) -> Any:
        return chain(3, phi)(p, x) @ p["out"]

    x = normal(RNG(3), 1, 16, 16)
    found, m = referee.judge(f, params, x, starts.labels(x, 4), "cross-entropy")
    assert found.word == verdict
    assert m.places[1].distinct == 1
    assert m.first_loss == pytest.approx(math.log(4), rel=0.5)
    assert m.baseline == math.log(4)


def test_share_that_varies_over_the_examples() -> None:
    # x = 3 + noise of variance 1: one tenth of E x² varies. A sum over n·d draws, 4 sd.
    x = 3 + normal(RNG(4), 1, 64, 50)
    m = referee.measure(lambda p, x: x @ p["w"], {"w": np.eye(50, dtype=np.float32)}, x)
    assert m.places[0].x_share == pytest.approx(0.1, abs=0.1 * 4 * math.sqrt(3 / x.size))
    assert m.output_share == pytest.approx(m.places[0].z_share)
    m = referee.measure(lambda p, x: 0 * x @ p["w"] + 1, {"w": np.ones((50, 2), np.float32)}, x)
    assert m.output_share == 0


def test_flat_share_of_tanh() -> None:
    # Slope 1 − tanh² < .05 beyond |z| = atanh √.95; z ~ N(0, 4²) by an orthogonal kernel.
    x = normal(RNG(5), 1, 256, 64)
    params = {"w": 4 * orthogonal(RNG(6), 64), "out": normal(RNG(7), 0.1, 64, 3)}
    m = referee.measure(lambda p, x: jnp.tanh(x @ p["w"]) @ p["out"], params, x)
    expected = math.erfc(math.atanh(math.sqrt(0.95)) / 4 / math.sqrt(2))
    sd = math.sqrt(expected * (1 - expected) / x.size)
    assert m.places[0].flat_share == pytest.approx(expected, abs=4 * sd)
    m = referee.measure(lambda p, x: jax.nn.relu(x @ p["w"]) @ p["out"], params, x)
    assert m.places[0].flat_share == 0  # flat at zero is silent, not saturated


def test_places_of_loops_shared_kernels_and_conditions() -> None:
    w = {"w": orthogonal(RNG(8), 8), "v": orthogonal(RNG(9), 8)}
    x = normal(RNG(10), 1, 4, 8)

    def scanned(p: Any, x: Any) -> Any:
        return jax.lax.scan(lambda h, _: (h @ p["w"], None), x, None, 3)[0]

    def unrolled(p: Any, x: Any) -> Any:
        return x @ p["w"] @ p["w"] @ p["w"]

    def counted(p: Any, x: Any) -> Any:
        return jax.lax.while_loop(lambda s: s[0] < 3, lambda s: (s[0] + 1, s[1] @ p["w"]), (0, x))[
            1
        ]

    expected = [(p.key, p.z2, p.d2) for p in referee.measure(unrolled, w, x).places]
    assert [k for k, _, _ in expected] == [(("w",), k) for k in range(3)]
    for f in (scanned, counted, jax.checkpoint(unrolled), jax.jit(scanned)):
        found = [(p.key, p.z2, p.d2) for p in referee.measure(f, w, x).places]
        assert [k for k, _, _ in found] == [k for k, _, _ in expected]
        np.testing.assert_allclose([v[1:] for v in found], [v[1:] for v in expected], rtol=1e-6)

    def each(p: Any, x: Any) -> Any:
        return jax.vmap(lambda e: p["w"].T @ e)(x)

    # Under vmap the examples' axis stands where the batching rule puts it.
    (place,) = referee.measure(each, w, x).places
    assert (place.names, place.units, place.z_shape) == (("w",), 8, (8, 4))

    def either(p: Any, x: Any) -> Any:
        return jax.lax.cond(x.sum() > 1e9, lambda: x @ p["w"], lambda: x @ p["v"])

    assert [p.names for p in referee.measure(either, w, x).places] == [("v",)]


def test_what_is_a_place() -> None:
    rng = RNG(11)
    params = {
        "table": normal(rng, 1, 20, 8),
        "g": np.ones(8, np.float32),
        "v": normal(rng, 1, 8, 8),
        "kernel": normal(rng, 1, 3, 8, 4),
    }

    def f(p: Any, ids: Any) -> Any:
        h = p["table"][ids]
        h = h @ (p["v"] * p["g"] / jnp.linalg.norm(p["v"], axis=0))  # an effective kernel
        h = h * jnp.einsum("nth,nuh->ntu", h, h).mean(-1, keepdims=True)  # signal meets signal
        h = h @ jnp.ones((8, 8))  # a constant is no kernel
        dimensions = ("NWC", "WIO", "NWC")
        h = jax.lax.conv_general_dilated(h, p["kernel"], (1,), "SAME", dimension_numbers=dimensions)
        return h @ p["table"][:4, :4]  # a tied kernel

    ids = rng.integers(0, 20, (6, 5)).astype(np.int32)
    m = referee.measure(f, params, ids)
    assert [(p.kind, p.names, p.units) for p in m.places] == [
        ("lookup", ("table",), 8),
        ("dot_general", ("g", "v"), 8),
        ("conv_general_dilated", ("kernel",), 4),
        ("dot_general", ("table",), 4),
    ]
    assert [p.turn for p in m.places] == [0, 0, 0, 1]
    assert m.places[0].z2 == pytest.approx(np.mean(params["table"][ids].astype(float) ** 2))
    assert m.places[1].kernel_rms == pytest.approx(8**-0.5, rel=1e-6)


def test_training_tells_a_sound_start_from_a_dead_one() -> None:
    sound, bad = (starts.BY_NAME[n].build(0) for n in ("jax_relu_gain_2", "jax_relu_gain_1"))
    after = [
        referee.train(*starts.function_of(c), c.x, c.y, c.loss, "sgd", 60, 0.02)
        for c in (sound, bad)
    ]
    assert after[0][1] < 0.7 * after[0][0]
    assert after[1][1] > 0.95 * after[1][0]


def test_the_list_is_what_was_asked_for() -> None:
    every = starts.STARTS
    assert len({s.name for s in every}) == len(every) >= 60
    assert {s.verdict for s in every} <= set(referee.VERDICTS)
    counts = Counter(s.verdict for s in every)
    assert all(counts[v] >= 3 for v in referee.VERDICTS if v != "undecided")
    assert counts["undecided"] <= 3
    assert sum(counts.values()) - counts["good"] - counts["undecided"] >= 25
    assert sum(s.source != "here" for s in every) >= 30
    for s in every:
        if s.partner is not None:
            partner = starts.BY_NAME[s.partner]
            assert "good" in (s.verdict, partner.verdict), s.name
        assert (s.curable is None) == (s.verdict in ("good", "undecided")), s.name
        assert not (s.curable and not s.blame), s.name


def test_no_start_is_drawn_before_its_seed() -> None:
    """An initializer without a seed takes one from `random`: another network in each process."""
    code = "import random, keras; before = random.getstate(); import starts"
    code += "; assert random.getstate() == before"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parent)
