"""What one run measures, held against plain JAX, and against what must follow from a change."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import winit
import winit.jax
from winit import judge
from winit.jax import Function
from winit.program import Measured

ROOT = Path(__file__).resolve().parent.parent
RNG = np.random.default_rng


def kernels(*shapes: tuple[int, ...], gain: float = 1.0, seed: int = 0) -> dict[str, Any]:
    rng = RNG(seed)
    return {
        f"w{i}": (gain * rng.standard_normal(s) / np.sqrt(s[0])).astype("float32")
        for i, s in enumerate(shapes)
    }


def data(*shape: int, seed: int = 1) -> Any:
    return RNG(seed).standard_normal(shape).astype("float32")


def chain(act: Any, depth: int) -> Any:
    def f(p: Any, x: Any) -> Any:
        for i in range(depth):
            x = act(x @ p[f"w{i}"]) if i < depth - 1 else x @ p[f"w{i}"]
        return x

    return f


def measured(f: Any, params: Any, x: Any, y: Any = None, loss: Any = None) -> Measured:
    return Function(f, params, x, y, loss, None, 0).measure()


def second(values: Any) -> float:
    return float(np.mean(np.square(np.asarray(values, dtype=np.float64))))


# ------------------------------------------------------------------ numbers


def squares(outputs: Any, y: Any) -> Any:
    return jnp.mean(jnp.square(outputs - y))


@pytest.mark.parametrize("act", [jnp.tanh, jax.nn.relu])
def test_signal_and_gradient_are_those_of_plain_jax(act: Any) -> None:
    p, x, y = kernels((7, 33), (33, 21), (21, 3), gain=1.4), data(10, 7), data(10, 3, seed=2)

    def nudged(zeros: Any) -> Any:
        h, xs, zs = x, [], []
        for i in range(3):
            xs.append(h)
            z = h @ p[f"w{i}"] + zeros[i]
            zs.append(z)
            h = act(z) if i < 2 else z
        return squares(h, y), (xs, zs)

    zeros = [jnp.zeros((10, n)) for n in (33, 21, 3)]
    deltas, (xs, zs) = jax.grad(nudged, has_aux=True)(zeros)
    weights = jax.grad(lambda p: squares(chain(act, 3)(p, x), y))(p)
    m = measured(chain(act, 3), p, x, y, squares)
    for i in range(3):
        w = p[f"w{i}"].astype(np.float64)
        assert m.x2[i] == pytest.approx(second(xs[i]), rel=1e-6)
        assert m.z2[i] == pytest.approx(second(zs[i]), rel=1e-6)
        assert m.g2[i] == pytest.approx(second(deltas[i]), rel=1e-6)
        assert m.std[i] == pytest.approx(w.std(), rel=1e-6)
        effect = w.std() ** 2 * np.sum(np.asarray(weights[f"w{i}"], np.float64) ** 2)
        assert m.effect[i] == pytest.approx(effect, rel=1e-5)
        varies = np.var(np.asarray(xs[i], np.float64), axis=0, ddof=1).mean() / second(xs[i])
        assert m.x_share[i] == pytest.approx(varies, rel=1e-5)
    out = np.asarray(zs[2])
    assert m.loss == pytest.approx(second(out - y), rel=1e-6)
    assert m.finite
    assert m.root2[0] == m.input2["x"] == pytest.approx(second(x), rel=1e-6)


def test_many_numbers_are_added_up_without_losing_digits() -> None:
    x = 1 + 1e-3 * data(8, 50_021)  # a prime: no block fits
    p = {"w0": np.full((50_021, 2), 1e-3, "float32")}
    assert measured(chain(jnp.tanh, 1), p, x).x2[0] == pytest.approx(second(x), rel=1e-7)


def test_loops_measure_what_they_do_unrolled() -> None:
    p, x = kernels((8, 8), gain=1.4), data(6, 8)

    def rolled(p: Any, x: Any) -> Any:
        return jax.lax.fori_loop(0, 4, lambda _, h: jax.nn.relu(h @ p["w0"]), x)

    def counted(p: Any, x: Any) -> Any:
        def step(state: Any) -> Any:
            return state[0] + 1, jax.nn.relu(state[1] @ p["w0"])

        return jax.lax.while_loop(lambda state: state[0] < 4, step, (0, x))[1]

    def unrolled(p: Any, x: Any) -> Any:
        for _ in range(4):
            x = jax.nn.relu(x @ p["w0"])
        return x

    def apart(p: Any, x: Any) -> Any:
        for i in range(4):
            x = jax.nn.relu(x @ p[f"w{i}"])
        return x

    one, two, three = (measured(f, p, x) for f in (rolled, counted, unrolled))
    whole = measured(apart, {f"w{i}": p["w0"] for i in range(4)}, x)
    for loop in (one, two, three):
        assert loop.x_steps[0] == pytest.approx(whole.x2, rel=1e-5)
        assert loop.g_steps[0] == pytest.approx(whole.g2, rel=1e-5)
        assert loop.z2[0] == pytest.approx(whole.z2.mean(), rel=1e-5)
        assert loop.effect[0] == pytest.approx(one.effect[0], rel=1e-5)


def test_steps_are_counted_from_the_first_that_runs() -> None:
    p, x = kernels((8, 8), gain=2.0), data(6, 8)

    def f(p: Any, x: Any, reverse: bool) -> Any:
        scales = jnp.array([1.0, 2.0, 3.0])[:: -1 if reverse else 1]
        step = lambda h, s: (s * jnp.tanh(h @ p["w0"]), None)  # noqa: E731
        return jax.lax.scan(step, x, scales, reverse=reverse)[0]

    there, back = (measured(lambda p, x, r=r: f(p, x, r), p, x) for r in (False, True))
    assert back.x_steps[0] == pytest.approx(there.x_steps[0], rel=1e-6)
    assert back.g_steps[0] == pytest.approx(there.g_steps[0], rel=1e-6)


def test_of_branches_the_one_that_is_taken_counts() -> None:
    p, x = kernels((8, 8), (8, 8)), np.abs(data(6, 8))

    def f(p: Any, x: Any) -> Any:
        return jax.lax.cond(x.sum() > 0, lambda: x @ p["w0"], lambda: x @ p["w1"])

    subject = Function(f, p, x, None, None, None, 0)
    m, names = subject.measure(), [site.name for site in subject.program.sites]
    taken, other = names.index("w0"), names.index("w1")
    assert m.z2[taken] == pytest.approx(second(x @ p["w0"]), rel=1e-5)
    assert np.isnan(m.z2[other]) and np.isnan(m.x2[other]) and m.effect[other] == 0


def test_nested_loops_with_ends_of_their_own() -> None:
    p, x = kernels((4, 4), gain=1.5), data(3, 4)

    def f(p: Any, x: Any) -> Any:
        def inner(n: Any, h: Any) -> Any:
            return jax.lax.while_loop(
                lambda s: s[0] < n, lambda s: (s[0] + 1, s[1] @ p["w0"]), (0, h)
            )[1]

        return jax.lax.scan(lambda h, n: (inner(n, h), None), x, jnp.arange(1, 4))[0]

    h, seen = x.astype(np.float64), []
    for _ in range(6):
        seen.append(second(h))
        h = h @ p["w0"]
    m = measured(f, p, x)
    steps = m.x_steps[0][~np.isnan(m.x_steps[0])]
    assert steps == pytest.approx(seen, rel=1e-5)


@pytest.mark.parametrize("sliced", [False, True])
def test_stacked_layers_are_judged_one_by_one(sliced: bool) -> None:
    p, x, n = kernels(*[(48, 48)] * 9, gain=math.sqrt(2)), data(48, 48), 8
    p["w3"], p["w4"] = p["w3"] * 100, p["w4"] / 100
    stack = {"w": np.stack([p[f"w{k}"] for k in range(n)]), "head": p["w8"]}

    def f(p: Any, x: Any) -> Any:
        one = lambda k, h: jax.nn.relu(h @ p["w"][k])  # noqa: E731
        if sliced:
            return jax.lax.fori_loop(0, n, one, x) @ p["head"]
        return jax.lax.scan(lambda h, w: (jax.nn.relu(h @ w), None), x, p["w"])[0] @ p["head"]

    whole, one = measured(chain(jax.nn.relu, n + 1), p, x), measured(f, stack, x)
    assert one.effect == pytest.approx([whole.effect[:n].sum(), whole.effect[n]], rel=1e-4)
    assert one.kernels["w"].stds == pytest.approx(whole.std[:n], rel=1e-4)
    (finding,) = winit.jax.audit(f, stack, x).findings
    assert finding.names == ("w",) and "It is w[3, 4]." in finding.reason
    assert finding.cure == "draw w[3, 4] with he_normal"


# ------------------------------------------------------------------ flat, dead, alike


@pytest.mark.parametrize("phi", [jnp.tanh, jax.nn.hard_sigmoid])  # the second is cut off at 3
def test_saturated_is_what_normal_numbers_are_not(phi: Any) -> None:
    for gain, low, high in ((1.0, -0.05, 0.05), (20.0, 0.75, 1.0)):
        p = kernels((64, 64), (64, 64), (64, 4), gain=gain)
        share = measured(chain(phi, 3), p, data(16, 64)).saturated
        assert low < share[0] < high and low < share[1] < high and np.isnan(share[2])
    relu = measured(chain(jax.nn.relu, 3), p, data(16, 64)).saturated
    assert np.isnan(relu).all()  # its flat half is at 0


@pytest.mark.parametrize("phi", [jax.nn.hard_tanh, jax.nn.relu6, lambda x: jnp.clip(x, -1, 1)])
def test_of_the_slopes_that_a_unit_signal_finds_steep_those_that_are_flat_count(phi: Any) -> None:
    for gain, low, high in ((1.0, -0.5, 0.2), (30.0, 0.75, 1.0)):
        p = kernels((64, 64), (64, 64), (64, 4), gain=gain)
        assert low < measured(chain(phi, 3), p, data(64, 64)).saturated[0] < high


def test_of_a_function_that_turns_back_no_result_tells_the_slope() -> None:
    p = kernels((64, 64), (64, 4), gain=30.0)
    assert np.isnan(measured(chain(lambda x: jnp.exp(-(x**2)), 2), p, data(64, 64)).saturated[0])


def test_a_function_that_is_flat_for_most_of_a_unit_signal_is_not_saturated() -> None:
    p = kernels((64, 64), (64, 4), gain=30.0)  # as in a norm, 1 / sqrt of a variance

    def f(x: Any) -> Any:
        return jax.lax.rsqrt(jnp.maximum(x, 0.0) + 1e-6)

    assert np.isnan(measured(chain(f, 2), p, data(64, 64)).saturated[0])


def test_what_is_saturated_may_be_read_by_a_normalizer() -> None:
    def f(p: Any, x: Any) -> Any:
        h = jnp.tanh(x @ p["w0"])
        return (h - h.mean(0)) / jnp.sqrt(h.var(0) + 1e-3) @ p["w1"]

    for gain, low, high in ((1.0, -0.05, 0.05), (20.0, 0.75, 1.0)):
        p = kernels((64, 64), gain=gain) | {"w1": kernels((64, 4))["w0"]}
        assert low < measured(f, p, data(64, 64)).saturated[0] < high


@pytest.mark.parametrize("mixed", ["tokens", "experts"])
def test_a_softmax_that_is_all_one_entry_is_saturated(mixed: str) -> None:
    def attend(p: Any, x: Any) -> Any:
        h = x.reshape(-1, 8, 16)
        scores = (h @ p["w0"]) @ jnp.swapaxes(h @ p["w1"], 1, 2) / 4
        return (jax.nn.softmax(scores) @ (h @ p["w2"])).reshape(-1, 128) @ p["w3"]

    def route(p: Any, x: Any) -> Any:
        made = jnp.einsum("bi,eio->beo", x, p["w4"])
        return jnp.einsum("be,beo->bo", jax.nn.softmax(x @ p["w0"][:, :4]), made) @ p["w2"]

    p, x = kernels(*[(16, 16)] * 3, (128, 3)), data(50, 128)
    f, who = (attend, ("w0", "w1")) if mixed == "tokens" else (route, ("w0",))
    x, p["w4"] = x if mixed == "tokens" else x[:, :16], RNG(3).standard_normal((4, 16, 16)) / 4
    p["w4"] = p["w4"].astype("float32")
    assert winit.jax.audit(f, p, x).ok
    (finding,) = winit.jax.audit(f, p | {n: 100 * p[n] for n in who}, x).findings
    assert finding.verdict == "saturated" and finding.names == who
    assert finding.cure.startswith("draw w0")


def test_gates_that_are_shut_for_good_are_dead() -> None:
    def f(p: Any, x: Any) -> Any:
        gate = jax.nn.sigmoid(x @ p["w0"] + p["b"])
        return (gate * jnp.tanh(x @ p["w1"]) + (1 - gate) * x) @ p["w2"]

    p, x = kernels((16, 16), (16, 16), (16, 3)), data(50, 16)
    for bias, found in ((-3.0, []), (-40.0, [("w0", "w1")])):
        report = winit.jax.audit(f, p | {"b": np.full(16, bias, "float32")}, x)
        assert [finding.names for finding in report.findings] == found
    assert report.findings[0].cure == "set b to the conventional start (zeros)"


def test_units_that_nothing_comes_back_to_are_dead_and_copies_are_counted_once() -> None:
    p = kernels((8, 10), (10, 3)) | {"b": np.zeros(10, "float32")}
    p["b"][:4] = -100.0
    p["w0"][:, 9] = p["w0"][:, 8]
    p["w1"][9] = p["w1"][8]

    def f(p: Any, x: Any) -> Any:
        return jax.nn.relu(x @ p["w0"] + p["b"]) @ p["w1"]

    m = measured(f, p, data(32, 8))
    assert m.dead[0] == pytest.approx(0.4) and m.dead[1] == 0
    assert m.distinct[0] == 9 and m.distinct[1] == 3
    p["w1"][9] = 1.0
    assert measured(f, p, data(32, 8)).distinct[0] == 10  # alike in z, not in the gradient


def test_what_varies_over_the_examples_is_found_wherever_they_lie() -> None:
    p, x = kernels((6, 5)), data(8, 4, 6)
    x[1:] = x[:1]  # all examples are one
    forms = {
        "as it is": lambda p, x: x @ p["w0"],
        "merged": lambda p, x: x.reshape(32, 6) @ p["w0"],
        "vmapped": lambda p, x: jax.vmap(lambda r: (p["w0"].T @ r.T).T)(x),
        "turned": lambda p, x: (x.swapaxes(0, 1) @ p["w0"]).swapaxes(0, 1),
    }
    for name, f in forms.items():
        assert measured(f, p, x).z_share[0] < 1e-9, name
        assert 0.8 < measured(f, p, data(8, 4, 6)).z_share[0] < 1.2, name
    assert math.isnan(measured(forms["as it is"], p, data(1, 4, 6)).z_share[0])


# ------------------------------------------------------------------ again, with changes


def test_a_changed_run_compiles_nothing_and_changes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    p, x = kernels((8, 8), (8, 8), (8, 3)), data(6, 8)
    subject = Function(chain(jnp.abs, 3), p, x, None, None, None, 0)
    before, kept = subject.measure(), {n: v.copy() for n, v in p.items()}
    monkeypatch.setattr(winit.jax, "_compile", lambda *_: pytest.fail("compiled again"))
    doubled = subject.measure(scales={"w0": 2.0})
    assert doubled.z2 == pytest.approx(4 * before.z2, rel=1e-5)  # |x| is homogeneous
    assert doubled.std[0] == pytest.approx(2 * before.std[0])
    drawn = RNG(5).standard_normal((8, 8))
    other = subject.measure(values={"w1": drawn})
    assert other.std[1] == pytest.approx(drawn.std(), rel=1e-6) and other.z2[0] == before.z2[0]
    assert subject.measure(standardized=True).input2["x"] == pytest.approx(1, rel=1e-5)
    again = subject.measure()
    assert np.array_equal(again.z2, before.z2) and np.array_equal(again.g2, before.g2)
    for n, v in p.items():
        assert np.array_equal(v, kept[n]) and subject.arrays[n] is v


def test_what_multiplies_is_told_from_what_shifts() -> None:
    p = kernels((6, 6), (6, 6)) | {"gate": np.zeros(1, "float32"), "b": np.zeros(6, "float32")}

    def f(p: Any, x: Any) -> Any:
        return x @ p["w0"] + p["gate"] * jnp.tanh(x @ p["w1"] + p["b"])

    subject = Function(f, p, data(5, 6), None, None, None, 0)
    closed = subject.measure()
    assert set(subject.program.factors) == {"w0", "w1", "gate"}
    assert closed.g2[1] == 0 and closed.dead[1] == 1
    assert closed.kernels["gate"].zero and not closed.kernels["w0"].zero
    assert subject.measure(values={"gate": np.full(1, 0.02)}).g2[1] > 0


def cross_entropy(logits: Any, y: Any) -> Any:
    return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(logits), y[:, None], axis=1))


def binary(logits: Any, y: Any) -> Any:
    return jnp.mean(jax.nn.softplus(logits) - y * logits)


def test_the_loss_of_a_network_that_knows_nothing() -> None:
    p, x = kernels((6, 10)), data(8, 6)
    m = measured(chain(jnp.tanh, 1), p, x, np.arange(8) % 3, cross_entropy)
    assert m.blind == pytest.approx(math.log(10), rel=1e-6)
    y = data(8, 10, seed=3) + 5
    m = measured(chain(jnp.tanh, 1), p, x, y, squares)
    assert m.blind == pytest.approx(np.var(y, axis=0).mean(), rel=1e-5)
    one = kernels((6, 1))
    m = measured(chain(jnp.tanh, 1), one, x, (y[:, :1] > 5).astype("float32"), binary)
    assert m.blind == pytest.approx(math.log(2), rel=1e-6)
    assert math.isnan(measured(chain(jnp.tanh, 1), p, x).blind)


@pytest.mark.parametrize("mean", [3, 50])
def test_of_a_likelihood_nobody_knows_what_knowing_nothing_costs(mean: int) -> None:
    def poisson(o: Any, y: Any) -> Any:
        return jnp.mean(jnp.exp(o) - y * o)

    def normal(o: Any, y: Any) -> Any:
        return jnp.mean((o[:, :1] - y) ** 2 / jnp.exp(o[:, 1:]) + o[:, 1:])

    x, y = data(200, 6), RNG(0).poisson(mean, (200, 1))
    for counts in (y, y.astype("float32")):
        report = winit.jax.audit(chain(jnp.tanh, 1), kernels((6, 1)), x, counts, poisson)
        assert math.isnan(report.blind) and report.ok and not report.notes
    far = 2.0 * mean * np.ones((200, 1), "float32") + data(200, 1)
    assert math.isnan(measured(chain(jnp.tanh, 1), kernels((6, 2)), x, far, normal).blind)
    assert not math.isnan(measured(chain(jnp.tanh, 1), kernels((6, 1)), x, far, squares).blind)


# ------------------------------------------------------------------ randomness


@pytest.mark.parametrize("seed", [0, 1, 7, 2**40])
def test_the_own_noise_is_no_draw_of_the_same_seed(seed: int) -> None:
    subject = Function(chain(jnp.tanh, 1), kernels((6, 500)), data(8, 6), None, None, None, seed)
    subject.measure()
    drawn = RNG(seed).standard_normal(4000)
    assert abs(np.corrcoef(np.ravel(subject.directions[0]), drawn)[0, 1]) < 5 / np.sqrt(4000)


def test_the_same_seed_gives_the_same_report_and_generators_move_on() -> None:
    p, x = kernels((6, 6), (6, 3)), data(8, 6)
    reports = [str(winit.jax.audit(chain(jnp.tanh, 2), p, x, rng=s)) for s in (0, 0, 1)]
    assert reports[0] == reports[1] != reports[2]
    rng = RNG(0)
    first, second_ = (winit.jax.audit(chain(jnp.tanh, 2), p, x, rng=rng) for _ in range(2))
    assert str(first) != str(second_)


# ------------------------------------------------------------------ Flax, Equinox, other arrays


@pytest.mark.long
def test_a_module_of_flax() -> None:
    nnx = pytest.importorskip("flax.nnx")

    class Net(nnx.Module):  # type: ignore[misc,name-defined]
        def __init__(self, rngs: Any) -> None:
            self.layers = nnx.List([nnx.Linear(16, 16, rngs=rngs) for _ in range(24)])
            self.head = nnx.Linear(16, 4, rngs=rngs)

        def __call__(self, x: Any) -> Any:
            for one in self.layers:
                x = nnx.relu(one(x))
            return self.head(x)

    graph, state = nnx.split(Net(nnx.Rngs(0)))

    def f(state: Any, x: Any) -> Any:
        return nnx.merge(graph, state)(x)

    report = winit.jax.audit(f, state, data(8, 16))
    assert not report.ok and len(report.rows) == 25 and "head" in report.rows[-1].name
    drawn = winit.jax.reinitialize(f, state, data(8, 16), rng=0)
    assert winit.jax.audit(f, drawn, data(8, 16)).ok
    assert jax.tree.structure(drawn) == jax.tree.structure(state)
    assert not np.array_equal(jax.tree.leaves(drawn)[1], jax.tree.leaves(state)[1])


def test_a_module_of_equinox() -> None:
    eqx = pytest.importorskip("equinox")
    model = eqx.nn.MLP(16, 4, 32, 2, key=jax.random.key(0))

    def f(model: Any, x: Any) -> Any:
        return jax.vmap(model)(x)

    report = winit.jax.audit(f, model, data(8, 16))
    assert report.ok and [row.fan_in for row in report.rows] == [16, 32, 32]
    drawn = winit.jax.reinitialize(f, model, data(8, 16), rng=0)
    assert drawn.layers[1].weight.std() == pytest.approx(np.sqrt(2 / 32), rel=0.1)
    assert drawn.activation is model.activation


def test_biases_of_equinox_are_set_whatever_their_axes() -> None:
    eqx = pytest.importorskip("equinox")
    one = eqx.nn.MLP(16, 1, 64, 1, key=jax.random.key(0))
    layer = eqx.nn.Conv2d(3, 8, 3, key=jax.random.key(0))
    assert one.layers[1].bias.shape == (1,) and layer.bias.shape == (8, 1, 1)
    f = lambda model, x: jax.vmap(model)(x)  # noqa: E731
    for force in (False, True):
        drawn = winit.jax.reinitialize(f, one, data(8, 16), rng=0, force=force)
        assert not drawn.layers[0].bias.any() and not drawn.layers[1].bias.any()
        assert not winit.jax.reinitialize(f, layer, data(2, 3, 8, 8), rng=0, force=force).bias.any()
    given = eqx.tree_at(lambda model: model.layers[1].bias, one, jnp.array([-4.6]))
    assert winit.jax.reinitialize(f, given, data(8, 16), rng=0).layers[1].bias == -4.6


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_narrow_floats(dtype: str) -> None:
    p = {n: jnp.asarray(w, dtype) for n, w in kernels((64, 64), (64, 8)).items()}
    x = jnp.asarray(data(8, 64), dtype)
    m = measured(chain(jax.nn.relu, 2), p, x)
    z = np.asarray((x @ p["w0"]).astype("float32"))
    # A bfloat16 is rounded to 2⁻⁹ of itself, or not, as it is compiled.
    assert m.z2[0] == pytest.approx(second(z), rel=2**-8) and m.finite and (m.g2 > 0).all()


def test_several_inputs_and_outputs_by_name() -> None:
    def f(p: Any, x: Any) -> Any:
        return {"sum": x["a"] @ p["w0"] + x["b"] @ p["w1"], "ids": jnp.argmax(x["a"], 1)}

    m = measured(f, kernels((6, 3), (4, 3)), {"a": data(5, 6), "b": 2 * data(5, 4)})
    assert set(m.input2) == {"a", "b"} and m.input2["b"] == pytest.approx(second(2 * data(5, 4)))


def test_bad_input_is_refused_in_words() -> None:
    f, p, x = chain(jnp.tanh, 1), kernels((6, 3)), data(5, 6)
    with pytest.raises(TypeError, match=r"f must be a function of \(params, x\), got 3"):
        winit.jax.audit(3, p, x)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="params must hold at least one array"):
        winit.jax.audit(f, {}, x)
    with pytest.raises(TypeError, match="x must hold arrays of numbers"):
        winit.jax.audit(f, p, np.full((5, 6), "a"))
    with pytest.raises(TypeError, match="cures must be True or False"):
        winit.jax.audit(f, p, x, cures=1)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="x must hold finite values"):
        winit.jax.audit(f, p, np.full((5, 6), np.nan))
    with pytest.raises(ValueError, match="give both y and loss"):
        winit.jax.audit(f, p, x, loss=squares)
    with pytest.raises(TypeError, match=r"there is winit\.jax\.audit"):
        winit.audit(f)
    with pytest.raises(TypeError, match="rng must be"):
        winit.jax.audit(f, p, x, rng="zero")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="trainable must be a function, got 'w0'"):
        winit.jax.audit(f, p, x, trainable="w0")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="loss must be a function, got 'mse'"):
        winit.jax.audit(f, p, x, x, "mse")  # type: ignore[arg-type]
    for none in (x[:0], 3.0, None, x.tolist()):
        with pytest.raises(ValueError, match="x must be arrays of at least one example, and no li"):
            winit.jax.audit(f, p, none)
    for made in ("hi", jnp.zeros(()), None):
        with pytest.raises(TypeError, match="f must return arrays, examples first"):
            winit.jax.audit(lambda p, x, made=made: made, p, x)


def test_a_loss_that_gives_nothing_back_is_refused_in_words() -> None:
    f, p, x = chain(jnp.tanh, 1), kernels((6, 3)), data(5, 6)
    for y, loss, words in (
        (x[:, :3], lambda o, y: (o - y) ** 2, r"a single number, got shapes \[\(5, 3\)\]"),
        (x[:, :3], lambda o, y: jnp.mean(y), "must depend on the outputs"),
        (x[:2, :3], squares, "y and loss do not fit the outputs of f"),
    ):
        with pytest.raises(ValueError, match=words):
            winit.jax.audit(f, p, x, y, loss)


def test_a_gradient_too_large_to_square_explodes_and_is_not_dead() -> None:
    f, p, x = chain(jnp.tanh, 2), kernels((6, 6), (6, 3)), data(50, 6)
    report = winit.jax.audit(f, p, x, x, lambda o, y: 1e25 * jnp.sum(o), cures=False)
    assert [row.verdict for row in report.rows] == ["good", "exploding"]
    assert "too large to square" in report.findings[0].reason


def test_two_zeros_that_multiply_never_open() -> None:
    def f(p: Any, x: Any) -> Any:
        return jnp.tanh(x @ (p["w0"] + p["a"] @ p["b"])) @ p["w1"]

    p, x = kernels((6, 6), (6, 3)), data(50, 6)
    p |= {"a": data(6, 2), "b": jnp.zeros((2, 6))}
    report = winit.jax.audit(f, p, x)
    assert report.ok and report.notes[0].startswith("a: waits one step, until b is")
    assert (winit.jax.reinitialize(f, p, x, rng=0)["b"] == 0).all()
    for chosen in (None, lambda name: name in ("a", "b")):
        report = winit.jax.audit(f, p | {"a": jnp.zeros((6, 2))}, x, trainable=chosen)
        (finding,) = report.findings
        assert finding.verdict == "dead" and finding.reason.startswith("a, b: 0")
        assert finding.cure.startswith("draw a at random") and str(report).startswith("f: dead")


def test_constant_shifts_were_given_and_stay() -> None:
    def f(p: Any, x: Any) -> Any:
        return jax.nn.relu(x @ p["w0"] + p["b0"]) @ p["w1"] + p["b1"]

    p, x = kernels((6, 6), (6, 3)), data(50, 6)
    given = {"b0": np.full(6, 0.5, "float32"), "b1": np.full(3, -4.6, "float32")}
    drawn = winit.jax.reinitialize(f, p | given, x, rng=0)
    assert (drawn["b0"] == 0.5).all() and (drawn["b1"] == given["b1"]).all()
    drawn = winit.jax.reinitialize(f, p | given, x, rng=0, force=True)
    assert not drawn["b0"].any() and not drawn["b1"].any()
    other = {"b0": np.full(6, -10, "float32"), "b1": data(3)}  # a fault, and no constant
    drawn = winit.jax.reinitialize(f, p | other, x, rng=0)
    assert not drawn["b0"].any() and not drawn["b1"].any()


ODDS = np.log([0.5, 0.2, 0.1, 0.1, 0.1]).astype("float32")


@pytest.mark.parametrize("given", [ODDS, np.array([-0.01, -4.6], "float32")])
def test_log_odds_that_vary_stay_beside_an_output(given: Any) -> None:
    def f(p: Any, x: Any) -> Any:
        return jax.nn.relu(x @ p["w0"] + p["b0"]) @ p["w1"] + p["b1"]

    p, x = kernels((10, 30), (30, len(given))), data(50, 10)
    p |= {"b0": data(30), "b1": given}
    drawn = winit.jax.reinitialize(f, p, x, rng=0)
    assert drawn["b1"] is p["b1"] and not drawn["b0"].any()
    assert not winit.jax.reinitialize(f, p, x, rng=0, force=True)["b1"].any()
    drawn = winit.jax.reinitialize(f, p | {"b1": given / 10}, x, rng=0)  # as draws are, ±1/√30
    assert not drawn["b1"].any()


def test_what_is_not_added_as_it_stands_is_no_bias() -> None:
    uses: list[Any] = [
        lambda h, t: h / t,
        lambda h, t: h / jnp.sqrt(t**2 + 1e-5),
        lambda h, t: jax.nn.relu(jnp.abs(h) - t),
        lambda h, t: h + (-t),
        lambda h, t: jnp.maximum(h, t),
        lambda h, t: h + jax.nn.softplus(t),
        lambda h, t: h + t * t,
        lambda h, t: h + t / t,
        lambda h, t: (h + t) / t,
    ]
    p, x = kernels((6, 6), (6, 3)), data(50, 6)
    p["t"] = np.random.default_rng(0).uniform(0.5, 1.5, 6).astype("float32")
    for use in uses:
        f = lambda p, x, use=use: use(x @ p["w0"], p["t"]) @ p["w1"]  # noqa: E731
        for force in (False, True):
            assert winit.jax.reinitialize(f, p, x, rng=0, force=force)["t"] is p["t"]
    added: list[Any] = [
        lambda h, t: h + 0.1 * t,
        lambda h, t: t - h,
        lambda h, t: jnp.tanh(h) + t,
        lambda h, t: h - h.mean(1, keepdims=True) + t.reshape(1, 6),
    ]
    for use in added:
        f = lambda p, x, use=use: use(x @ p["w0"], p["t"]) @ p["w1"]  # noqa: E731
        assert not winit.jax.reinitialize(f, p, x, rng=0)["t"].any()


def test_guards_of_quotients_roots_and_logarithms_and_phases_stay() -> None:
    guards: list[Any] = [
        lambda h, v: h / (jnp.abs(h) + v),
        lambda h, v: 1 / (jax.nn.relu(h) + v),
        lambda h, v: jnp.log(jax.nn.relu(h) + v),
        lambda h, v: h * jax.lax.rsqrt(h**2 + v),
        lambda h, v: jnp.sqrt(h**2 + v),
        lambda h, v: (jax.nn.relu(h) + v) ** -0.7,
        lambda h, v: (0.1 * jax.nn.relu(h) + v) ** 0.3,
        lambda h, v: jnp.arccosh(1 + jax.nn.relu(h) + v),
        lambda h, v: jax.lax.fori_loop(0, 4, lambda _, c: h / (c**2 + v), h),
        lambda h, v: jnp.cos(h + v),  # random Fourier features: of phases 0 nothing odd is left
        lambda h, v: jnp.sin(30 * (h + v)),
    ]
    harmless: list[Any] = [
        lambda h, v: jax.nn.softmax(h + v),
        lambda h, v: jax.nn.log_softmax(h + v),
        lambda h, v: jax.nn.standardize(h + v),
        lambda h, v: (h + v) / jnp.linalg.norm(h + v, axis=1, keepdims=True),
        lambda h, v: (h + v) / (1 + jnp.exp(-(h + v))),
        lambda h, v: jnp.log1p(jax.nn.relu(h) + v),
        lambda h, v: jnp.sign(h + v) + h,
        lambda h, v: jnp.maximum(h + v, 1e-6) ** 0.3,
        lambda h, v: jnp.log(jax.nn.softmax(h + v)),
        lambda h, v: jax.nn.gelu(h + v) + jax.nn.mish(h + v) + jnp.abs(h + v),
    ]
    p, x = kernels((6, 6), (6, 3)), data(50, 6)
    p["v"] = np.random.default_rng(0).uniform(0.5, 1.5, 6).astype("float32")
    for use in guards + harmless:
        f = lambda p, x, use=use: use(x @ p["w0"], p["v"]) @ p["w1"]  # noqa: E731
        for force in (False, True):
            drawn = winit.jax.reinitialize(f, p, x, rng=0, force=force)
            assert (drawn["v"] is p["v"]) == (use in guards)
            # What waves are taken of has its own frequencies, which only force draws.
            assert (drawn["w0"] is p["w0"]) == (use in guards[-2:] and not force)
        assert drawn["v"] is p["v"] or not drawn["v"].any()


def test_a_kernel_whose_result_is_a_divisor_stays_as_it_was_given() -> None:
    def f(p: Any, x: Any) -> Any:
        h = x @ p["w0"]
        return h / jnp.sqrt(h**2 @ p["mix"] + p["v"]) @ p["w1"]

    p, x = kernels((6, 6), (6, 3)), data(50, 6)
    p |= {"mix": 0.1 * np.eye(6, dtype="float32"), "v": np.linspace(1, 2, 6, dtype="float32")}
    drawn = winit.jax.reinitialize(f, p, x, rng=0)
    assert {name for name in p if drawn[name] is p[name]} == {"mix", "v"}
    assert winit.jax.reinitialize(f, p, x, rng=0, force=True)["mix"] is not p["mix"]


def test_what_only_makes_a_divisor_that_is_positive_is_drawn() -> None:
    def decaying(p: Any, x: Any) -> Any:  # as in RWKV: a mean with weights of its own
        def step(state: Any, row: Any) -> Any:
            weight = jnp.exp(row @ p["key"] + p["b"])
            above = jnp.exp(-jnp.exp(p["w"])) * state[0] + weight * (row @ p["value"])
            below = jnp.exp(-jnp.exp(p["w"])) * state[1] + weight
            return (above, below), above / below

        zeros = jnp.zeros((len(x), 6))
        _, rows = jax.lax.scan(step, (zeros, zeros), jnp.stack([x, x[::-1]]))
        return rows.mean(0) @ p["w1"]

    def linear_attention(p: Any, x: Any) -> Any:
        q, k = jax.nn.elu(x @ p["key"] + p["b"]) + 1, jax.nn.elu(x @ p["value"]) + 1
        return (q @ (k.T @ x) / (q @ k.sum(0))[:, None]) @ p["w1"]

    def two_roots(p: Any, x: Any) -> Any:
        sizes = jnp.abs(x @ p["key"] + p["b"]) + (x @ p["value"]) ** 2
        return jnp.log(jnp.sqrt(sizes + 0.1) + 0.1) @ p["w1"]

    p, x = kernels((6, 6), (6, 3)), data(50, 6)
    p = {"key": p["w0"], "value": p["w0"] + 0.1, "w1": p["w1"], "b": data(6) / 9, "w": data(6)}
    for f in (decaying, linear_attention, two_roots):
        drawn = winit.jax.reinitialize(f, p, x, rng=0)
        assert {name for name in p if drawn[name] is p[name]} == {"w"}
        assert not drawn["b"].any() and np.isfinite(f(drawn, x)).all()

    def signed(p: Any, x: Any) -> Any:
        return x / (jnp.abs(x @ p["key"] + p["b"]) - (x @ p["value"]) ** 2) @ p["w1"]

    drawn = winit.jax.reinitialize(signed, p, x, rng=0)
    assert {name for name in p if drawn[name] is p[name]} == {"w", "key", "value", "b"}


def test_of_two_factors_of_a_branch_that_starts_at_0_the_zeros_stay() -> None:
    def f(p: Any, x: Any) -> Any:
        h = jnp.tanh(x @ p["w0"])
        return jnp.tanh(h @ p["w1"] + h @ p["a"] @ p["b"]) @ p["w2"]

    p, x = kernels((6, 6), (6, 6), (6, 3)), data(50, 6)
    one, other = data(6, 2), data(2, 6)
    drawn = winit.jax.reinitialize(f, p | {"a": 0 * one, "b": other}, x, rng=0)
    assert not drawn["a"].any() and drawn["b"].any() and drawn["b"] is not other
    drawn = winit.jax.reinitialize(f, p | {"a": one, "b": 0 * other}, x, rng=0)
    assert drawn["a"].any() and not drawn["b"].any()
    drawn = winit.jax.reinitialize(f, p | {"a": 0 * one, "b": 0 * other}, x, rng=0)
    assert drawn["a"].any() and not drawn["b"].any()


def test_what_standardizes_the_inputs_stays() -> None:
    def f(p: Any, x: Any) -> Any:
        return (x - p["mean"] + p["more"]) / p["std"] @ p["w0"]

    p, x = kernels((6, 3)), data(50, 6)
    p |= {name: data(6) for name in ("mean", "more", "std")}
    drawn = winit.jax.reinitialize(f, p, x, rng=0, force=True)
    assert all(drawn[name] is p[name] for name in ("mean", "more", "std"))


def test_a_bias_has_a_number_for_each_unit_whatever_its_axes() -> None:
    def f(p: Any, x: Any) -> Any:
        h = (x @ p["w0"]).reshape(-1, 4, 3) + p["heads"]
        return (jax.nn.relu(h).reshape(-1, 12) @ p["w1"]).reshape(-1, 2, 3) + p["places"]

    p, x = kernels((6, 12), (12, 6)), data(50, 6)
    p |= {"heads": data(4, 3), "places": data(2, 1)}
    drawn = winit.jax.reinitialize(f, p, x, rng=0)
    assert not drawn["heads"].any() and drawn["places"] is p["places"]


def test_targets_far_from_unit_scale_are_said_to_be() -> None:
    def f(p: Any, x: Any) -> Any:
        return jax.nn.relu(x @ p["w0"]) @ p["w1"]

    p, x = kernels((6, 6), (6, 3)), data(50, 6)
    loss = lambda o, y: jnp.mean((o - y) ** 2)  # noqa: E731
    for y, said in ((1000 * data(50, 3), True), (data(50, 3), False)):
        notes = winit.jax.audit(f, p, x, y, loss).notes
        assert any("Targets unscaled: E y²" in note for note in notes) is said
    for whole in ((1000 * data(50, 3)).astype("int32"), np.abs(100 * data(50, 3)).astype("uint8")):
        (note,) = winit.jax.audit(f, p, x, whole, loss).notes
        assert "the loss and its gradients grow with it" in note
    y = 1000 * data(50, 3)
    (note,) = winit.jax.audit(f, p, x, y, lambda o, y: jnp.mean(jnp.abs(o - y))).notes
    assert "the loss grows with it, its gradients do not" in note
    assert not winit.jax.audit(f, p, x, y, lambda o, y: jnp.mean((o - y) ** 2 / y**2)).notes


@pytest.mark.parametrize("inside", [False, True])
def test_the_scale_of_a_normalized_kernel_is_that_of_what_multiplies_it(inside: bool) -> None:
    def f(p: Any, x: Any) -> Any:
        for k in range(6):
            w, g = p[f"w{k}"] / jnp.linalg.norm(p[f"w{k}"], axis=0), p[f"g{k}"]
            x = jax.nn.relu(x @ (w * g) if inside else (x @ w) * g)
        return x @ p["w6"]

    p, x = kernels(*[(48, 48)] * 6, (48, 3)), data(50, 48)
    p |= {f"g{k}": np.full(48, 5, "float32") for k in range(6)}
    report = winit.jax.audit(f, p, x)
    assert report.rows[1].std == pytest.approx(5 / math.sqrt(48), rel=0.01)  # a unit's length is g
    assert report.findings[0].cure.startswith("scale g") and "w0" in report.findings[0].names
    drawn = winit.jax.reinitialize(f, p, x, rng=0)
    assert winit.jax.audit(f, drawn, x).ok
    assert np.asarray(drawn["g1"]) == pytest.approx(math.sqrt(2), rel=1e-5)


def test_what_no_plan_knows_is_measured_and_put_right() -> None:
    near = (RNG(2).random((48, 48)) < 0.5).astype("float32")  # sums over 24 neighbors

    def f(p: Any, x: Any) -> Any:
        for k in range(4):
            x = jax.nn.relu(near @ (x @ p[f"w{k}"]))
        return x @ p["w4"]

    p, x = kernels(*[(48, 48)] * 4, (48, 3), gain=math.sqrt(2)), data(48, 48)
    subject = Function(f, p, x, None, None, None, 0)
    report, change = judge.examine(subject)
    assert report.findings[0].verdict == "exploding" and change is not None
    assert change.text.startswith("draw the whole model again (reinitialize), which scales it")
    for name, value in change.values.items():
        subject.assign(name, value)
    assert judge.judge(subject).ok


@pytest.mark.parametrize("exponential", [False, True])
def test_a_temperature_may_be_set(exponential: bool) -> None:
    def f(p: Any, x: Any) -> Any:
        h = jax.nn.relu(x @ p["w0"]) @ p["w1"]
        h = h / jnp.linalg.norm(h, axis=1, keepdims=True)
        return h * (jnp.exp(p["t"]) if exponential else p["t"])

    p, x, y = kernels((32, 48), (48, 10)), data(50, 32), np.arange(50) % 10
    p["t"] = jnp.asarray(6.0 if exponential else 400.0)
    (finding,) = winit.jax.audit(f, p, x, y, cross_entropy).findings
    assert finding.verdict == "first loss far too high"
    assert finding.cure == "set t to 1"


def test_a_frozen_kernel_is_named_as_such_and_healthy_ones_are_not() -> None:
    p, x = kernels((48, 48), (48, 48), (48, 48), (48, 3)), data(50, 48)
    p["w1"] *= 40
    report = winit.jax.audit(chain(jax.nn.relu, 4), p, x, trainable=lambda name: name != "w1")
    (finding,) = report.findings
    assert finding.names == ("w1",) and finding.cure.endswith("(by force=True: w1 is frozen)")


def test_a_kernel_of_zeros_in_a_chain_is_named_alone_with_its_own_std() -> None:
    p, x = kernels(*[(48, 48)] * 5, (48, 3)), data(50, 48)
    p["w2"] *= 0
    report = winit.jax.audit(chain(jnp.tanh, 6), p, x)
    assert report.findings[0].names == ("w2",) and report.rows[2].std == 0
    assert report.findings[0].cure.startswith("draw w2 with")


def test_where_nothing_can_train_nothing_is_ok() -> None:
    f, p, x = chain(jnp.tanh, 2), kernels((6, 6), (6, 3)), data(50, 6)
    assert winit.jax.audit(f, p, x).ok
    report = winit.jax.audit(f, p, x, trainable=lambda name: False)
    assert not report.ok and "Nothing can train: every parameter is frozen." in report.notes


# ------------------------------------------------------------------ more than one device


@pytest.mark.long
def test_eight_devices_give_the_numbers_of_one_and_keep_their_layouts() -> None:
    code = """
        import jax, jax.numpy as jnp, numpy as np
        from jax.sharding import NamedSharding, PartitionSpec as P
        from winit.jax import Function, reinitialize
        assert jax.device_count() == 8
        rng = np.random.default_rng(0)
        p = {f"w{i}": (rng.standard_normal((16, 16)) / 3).astype("float32") for i in range(3)}
        x = rng.standard_normal((16, 16)).astype("float32")
        def f(p, x):
            for i in range(3):
                x = jax.nn.relu(x @ p[f"w{i}"])
            return x
        mesh = jax.make_mesh((4, 2), ("data", "model"))
        spread = {n: jax.device_put(w, NamedSharding(mesh, P(None, "model"))) for n, w in p.items()}
        cut = jax.device_put(x, NamedSharding(mesh, P("data")))
        pairs = ((p, x), (spread, cut))
        one, many = (Function(f, *a, None, None, None, 0).measure() for a in pairs)
        for name in ("x2", "z2", "g2", "effect", "x_share", "dead", "distinct"):
            a, b = getattr(one, name), getattr(many, name)
            assert np.allclose(a, b, rtol=1e-5), (name, a, b)
        drawn = reinitialize(f, spread, cut, rng=0)
        same = reinitialize(f, p, x, rng=0)
        for n in p:
            assert drawn[n].sharding == spread[n].sharding
            assert np.array_equal(drawn[n], same[n])
        print("same")
    """
    flags = "--xla_force_host_platform_device_count=8"
    out = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | {"XLA_FLAGS": flags},
    )
    assert out.stdout.strip() == "same", out.stderr


@pytest.mark.parametrize("transform", [lambda w: w * 0.25, lambda w: -w.T / 4.0, lambda w: w])
def test_what_the_program_multiplies_a_kernel_by_is_left_to_it(transform: Any) -> None:
    """Equalized learning rates: unit weights, and the scale in the program."""
    new = np.random.default_rng(0)
    params = [new.standard_normal((64, 64)).astype(np.float32) for _ in range(3)]
    x = new.standard_normal((32, 64)).astype(np.float32)

    def f(p: Any, x: Any) -> Any:
        for w in p[:-1]:
            x = jax.nn.relu(x @ transform(w))
        return x @ p[-1]

    drawn = winit.jax.reinitialize(f, params, x, "he_normal", rng=0)
    std = np.sqrt(2 / 64) * (1.0 if transform(1.0 * np.eye(1))[0, 0] == 1 else 4.0)
    # The std of 4,096 draws is known to 1 / √8192 = 1.1 %.
    assert [float(w.std()) for w in drawn[:-1]] == pytest.approx([std, std], rel=4 * 0.011)


def test_a_finding_lists_all_that_its_cure_changes() -> None:
    new = np.random.default_rng(0)
    params = [new.standard_normal((32, 32)).astype(np.float32) for _ in range(8)]

    def f(p: Any, x: Any) -> Any:
        for w in p:
            x = jax.nn.relu(x @ w)
        return x

    finding = winit.jax.audit(f, params, new.standard_normal((16, 32)).astype(np.float32)).findings[
        0
    ]
    names = list(finding.changes)
    assert len(names) == 8 and f"draw {names[0]} to {names[-1]} at" in finding.cure
    assert set(names) <= {str(i) for i in range(8)}


@pytest.mark.parametrize("scanned", [False, True])
def test_inside_a_branch_small_is_no_fault_in_a_scan_either(scanned: bool) -> None:
    new = np.random.default_rng(0)
    shapes = {"first": (32, 32), "u": (4, 32, 64), "d": (4, 64, 32), "head": (32, 4)}
    std = {"first": 0.18, "u": 0.01, "d": 0.01, "head": 0.1}
    params = {k: (std[k] * new.standard_normal(s)).astype(np.float32) for k, s in shapes.items()}

    def block(h: Any, p: Any) -> Any:
        narrow = (h - h.mean(-1, keepdims=True)) / (h.std(-1, keepdims=True) + 1e-6)
        return h + jax.nn.relu(narrow @ p["u"]) ** 2 @ p["d"], None

    def f(p: Any, h: Any) -> Any:
        h, stack = h @ p["first"], {"u": p["u"], "d": p["d"]}
        if scanned:
            h, _ = jax.lax.scan(block, h, stack)
        else:
            for k in range(4):
                h, _ = block(h, {name: w[k] for name, w in stack.items()})
        return h @ p["head"]

    report = winit.jax.audit(f, params, new.standard_normal((16, 32)).astype(np.float32))
    assert report.ok and min(row.drift for row in report.rows) < -np.log(judge.BOUND)


# ------------------------------------------------------------------ states, softmaxes, losses


LABELS = np.arange(16) % 4


def test_a_state_that_is_forgotten_at_each_step_shrinks() -> None:
    def f(p: Any, x: Any) -> Any:
        step = lambda h, s: (jnp.tanh(s @ p["w0"] + h @ p["w1"]), None)  # noqa: E731
        return jax.lax.scan(step, jnp.zeros((16, 32)), x.swapaxes(0, 1))[0] @ p["w2"]

    p, x = kernels((8, 32), (32, 32), (32, 4)), data(16, 10, 8)
    assert winit.jax.audit(f, p, x, LABELS, cross_entropy).ok
    report = winit.jax.audit(f, p | {"w1": 0.05 * p["w1"]}, x, LABELS, cross_entropy)
    (finding,) = report.findings
    assert finding.verdict == "shrinking" and finding.names == ("w1",)
    assert finding.cure == "draw w1 with orthogonal"


@pytest.mark.long
def test_a_softmax_of_one_entry_is_neither_dead_nor_saturated() -> None:
    def f(p: Any, x: Any, mask: Any = 0.0) -> Any:
        scores = (x @ p["w0"]) @ (x @ p["w1"]).swapaxes(1, 2) / math.sqrt(8) + mask
        return (jax.nn.softmax(scores) @ (x @ p["w2"])).mean(1) @ p["w3"]

    p = kernels(*[(8, 8)] * 3, (8, 4))
    report = winit.jax.audit(f, p, data(16, 1, 8), LABELS, cross_entropy)
    assert report.ok and report.notes[0].startswith("w0, w1: no gradient comes back, since its")
    mask = np.full((5, 5), -np.inf)
    np.fill_diagonal(mask, 0.0)
    mask[0, 1] = 0.0
    for scale, ok in ((1.0, True), (1000.0, False)):  # one row sees two entries
        masked = lambda p, x, scale=scale: f(p | {"w0": scale * p["w0"]}, x, mask)  # noqa: E731
        assert winit.jax.audit(masked, p, data(16, 5, 8), LABELS, cross_entropy).ok == ok
        open_ = lambda p, x, scale=scale: f(p | {"w0": scale * p["w0"]}, x)  # noqa: E731
        assert winit.jax.audit(open_, p, data(16, 5, 8), LABELS, cross_entropy).ok == ok


def test_a_head_that_the_loss_does_not_see_is_no_dead_one() -> None:
    def f(p: Any, x: Any) -> Any:
        h = jax.nn.relu(x @ p["w0"])
        return h @ p["w1"], h @ p["w2"]

    p, x = kernels((8, 32), (32, 4), (32, 3), gain=0.5), data(16, 8)
    report = winit.jax.audit(f, p, x, LABELS, lambda o, y: cross_entropy(o[0], y))
    assert report.ok and "w2: no gradient comes back: the loss does not see" in report.notes[0]


def test_two_factors_of_a_kernel_are_drawn_for_their_product() -> None:
    def f(p: Any, x: Any) -> Any:
        return jax.nn.relu(x @ (p["w0"] @ p["w1"])) @ p["w2"]

    p, x = kernels((8, 4), (4, 32), (32, 4), gain=0.01), data(16, 8)
    (finding,) = winit.jax.audit(f, p, x, LABELS, cross_entropy).findings
    assert finding.verdict == "shrinking" and finding.cure.startswith("scale w")
    drawn = winit.jax.reinitialize(f, p, x, rng=0)
    assert winit.jax.audit(f, drawn, x, LABELS, cross_entropy).ok


def test_what_was_given_by_structure_stays() -> None:
    """The rules themselves are tried in test_torch.py: here they meet the operations of JAX."""
    x, zero = data(16, 12), np.zeros((12, 12), "float32")
    p = kernels((12, 12), (12, 12), (12, 12), (12, 4))

    def left(f: Any, **changed: Any) -> set[str]:
        given = p | changed
        drawn = winit.jax.reinitialize(f, given, x, rng=0)
        assert winit.jax.audit(f, drawn, x).ok
        return {n for n in given if drawn[n] is given[n]}

    def flow(p: Any, x: Any) -> Any:
        h = x @ p["w0"]
        return ((h + x @ p["w1"]) * jnp.exp(jnp.tanh(x @ p["w2"]))) @ p["w3"]

    assert left(flow, w1=zero, w2=zero) == {"w1", "w2"}
    assert not left(flow)

    def product(p: Any, x: Any) -> Any:
        return ((x @ p["w0"]) * (x @ p["w1"])) @ p["w2"] @ p["w3"]

    assert not left(product, w1=zero)

    def positive(p: Any, x: Any) -> Any:
        h = jax.nn.relu(x @ p["w0"])
        return jax.nn.relu(h @ p["w1"] + h @ jax.nn.softplus(p["w2"] - 4)) @ p["w3"]

    assert left(positive) == {"w2"}

    def chain(p: Any, x: Any) -> Any:
        h = jax.nn.relu(jax.nn.relu(x @ p["w0"]) @ p["w1"])
        return jax.nn.relu(h @ p["w2"]) @ p["w3"]

    assert left(chain, w1=np.eye(12, dtype="float32")) == {"w1"}
    turn = np.linalg.qr(data(12, 12))[0]
    w = winit.jax.reinitialize(chain, p | {"w1": turn}, x, rng=0)["w1"].astype("float64")
    assert np.allclose(w @ w.T, 2 * np.eye(12), atol=1e-5) and not np.allclose(w, turn)

    def spectral(p: Any, x: Any) -> Any:
        # Not by promotion, of whose derivative JAX 0.6 warns itself.
        h, turned = x @ p["w0"], jax.lax.complex(p["w1"], p["w2"])
        return jax.nn.relu(((1j * jax.lax.complex(h, h)) @ turned).real) @ p["w3"]

    assert winit.jax.audit(spectral, p, x).ok


def test_what_a_constant_mask_takes_away_is_made_up_for() -> None:
    rng, p, x = np.random.default_rng(0), kernels(*[(48, 48)] * 9, gain=2.0), data(16, 48)
    masks = [rng.random((48, 48)) < 0.25 for _ in range(9)]

    def f(p: Any, x: Any) -> Any:
        for i, mask in enumerate(masks):
            w = p[f"w{i}"]
            rest = 1 - (~mask).astype(w.dtype)
            w = (w * mask, jnp.where(mask, w, 0.0), w * rest)[i % 3]
            x = jax.nn.relu(x @ w)
        return x

    drawn = winit.jax.reinitialize(f, p, x, rng=0)
    stds = [float(drawn[f"w{i}"].std()) * math.sqrt(48 * masks[i].mean()) for i in range(1, 8)]
    assert np.allclose(stds, math.sqrt(2), rtol=0.1)
    assert winit.jax.audit(f, drawn, x).ok


def test_what_makes_the_weights_of_another_network_stays() -> None:
    p = {"z": data(5), "one": data(5, 7) / 2, "two": data(7, 144) / 9, "bias": data(144) / 4}
    p["head"] = data(12, 4) / 4

    def f(p: Any, x: Any) -> Any:
        w = jax.nn.relu(p["z"] @ p["one"]) @ p["two"] + p["bias"]
        return jax.nn.relu(x @ w.reshape(12, 12)) @ p["head"]

    drawn = winit.jax.reinitialize(f, p, data(16, 12), rng=0)
    assert {n for n in p if drawn[n] is p[n]} == {"z", "one", "two", "bias"}


def test_a_draw_is_scaled_where_sums_make_it_grow() -> None:
    x, p = data(16, 20, 12), kernels((12, 24), (24, 24), (24, 24), (24, 3))
    to, of = np.random.default_rng(0).integers(0, 40, (2, 240))

    def pooled(p: Any, x: Any) -> Any:
        h = jnp.sum(jax.nn.relu(jax.nn.relu(x @ p["w0"]) @ p["w1"]), axis=1)
        return jax.nn.relu(h @ p["w2"]) @ p["w3"]

    def messages(p: Any, x: Any) -> Any:
        h = jax.nn.relu(x @ p["w0"])
        for name in ("w1", "w2"):
            h = jax.nn.relu((h + jax.ops.segment_sum(h[of], to, 40)) @ p[name])
        return h @ p["w3"]

    for f, inputs in ((pooled, x), (messages, data(40, 12))):
        drawn = winit.jax.reinitialize(f, p, inputs, rng=0)
        assert winit.jax.audit(f, drawn, inputs).ok
        named = winit.jax.reinitialize(f, p, inputs, "he_normal", rng=0)
        assert not winit.jax.audit(f, named, inputs).ok


@pytest.mark.parametrize("times", [0.0, 20**-0.5, 1.0])
def test_stacked_layers_are_drawn_as_those_that_stand_apart(times: float) -> None:
    """Of a scan over layers: the end of each branch divided by √20, or left at 0, biases set."""
    p = kernels((16, 32), (20, 32, 32), (20, 32, 32), (32, 3), gain=1.0)
    p |= {"w1": data(20, 32, 32) / 6, "w2": times * data(20, 32, 32) / 6, "b": data(20, 32) / 10}

    def block(h: Any, part: Any) -> Any:
        a, b, c = part
        return h + jax.nn.relu(h @ a + c) @ b, None

    def f(p: Any, x: Any) -> Any:
        return jax.lax.scan(block, x @ p["w0"], (p["w1"], p["w2"], p["b"]))[0] @ p["w3"]

    def apart(p: Any, x: Any) -> Any:
        h = x @ p["w0"]
        for i in range(20):
            h, _ = block(h, (p[f"a{i}"], p[f"b{i}"], p[f"c{i}"]))
        return h @ p["w3"]

    x = data(32, 16)
    drawn = winit.jax.reinitialize(f, p, x, rng=0)
    assert winit.jax.audit(f, drawn, x).ok and not drawn["b"].any()
    assert (drawn["w2"] is p["w2"]) == (times == 0)
    whole = {f"{k}{i}": p[n][i] for i in range(20) for k, n in (("a", "w1"), ("b", "w2"))}
    whole |= {f"c{i}": p["b"][i] for i in range(20)} | {n: p[n] for n in ("w0", "w3")}
    ones = winit.jax.reinitialize(apart, whole, x, rng=0)
    for one, stacked in (("a7", "w1"), ("b7", "w2")):
        assert float(ones[one].std()) == pytest.approx(float(drawn[stacked].std()), rel=0.1)


def test_biases_of_stacked_layers_can_be_the_cure() -> None:
    p = kernels((16, 32), (12, 32, 32), (32, 3)) | {"w1": data(12, 32, 32) / 4}

    def f(p: Any, x: Any) -> Any:
        step = lambda h, part: (jax.nn.relu(h @ part[0] + part[1]), None)  # noqa: E731
        return jax.lax.scan(step, x @ p["w0"], (p["w1"], p["b"]))[0] @ p["w2"]

    report = winit.jax.audit(f, p | {"b": np.full((12, 32), -10.0, "f4")}, data(32, 16))
    assert report.findings[0].cure == "set b to the conventional start (zeros)"


@pytest.mark.parametrize("times", [1.0, 1e-3, 1e3])
def test_kernels_of_complex_numbers_are_judged_and_drawn(times: float) -> None:
    """As of a Fourier neural operator; what is left is the very array."""
    draws = (data(32, 32, 9, seed=i) + 1j * data(32, 32, 9, seed=i + 9) for i in range(4))
    p: Any = {"inner": [(w / 8).astype("complex64") for w in draws]}
    p |= {"enters": data(3, 32) / 2, "leaves": data(32, 4) / 9}
    p["inner"][1] = np.asarray(p["inner"][1] * times, "complex64")

    def f(p: Any, x: Any) -> Any:
        h = x @ p["enters"]
        for w in p["inner"]:
            made = jnp.einsum("bki,iok->bko", jnp.fft.rfft(h, axis=1), w)
            h = jax.nn.relu(2**0.5 * jnp.fft.irfft(made, n=16, axis=1))
        return (h @ p["leaves"]).mean(1)

    x, y = data(64, 16, 3), np.arange(64) % 4
    report = winit.jax.audit(f, p, x, y, cross_entropy)
    if times == 1:
        assert report.ok
    else:
        verdict = "shrinking" if times < 1 else "exploding"
        assert report.findings[0].verdict == verdict
        assert report.findings[0].changes == ("inner/1.real", "inner/1.imag")
        assert report.findings[0].cure.startswith("draw inner/1.real, inner/1.imag with ")
    drawn = winit.jax.reinitialize(f, p, x, rng=0, trainable=lambda name: name != "inner/3")
    assert drawn["inner"][3] is p["inner"][3] and drawn["inner"][1].dtype == "complex64"
    for half in (drawn["inner"][1].real, drawn["inner"][1].imag):
        assert float(half.std()) == pytest.approx(math.sqrt(1 / 64), rel=0.03)
    assert winit.jax.audit(f, drawn, x, y, cross_entropy).ok


@pytest.mark.parametrize("size", [3.0, 0.2])
def test_real_and_imaginary_parts_are_drawn_together(size: float) -> None:
    """As of a linear recurrent unit, whose decay and phases stay."""
    p = {n: size * data(8, 24, seed=i) for i, n in enumerate(("br", "bi"))}
    p |= {n: size * data(24, 8, seed=i) for i, n in enumerate(("cr", "ci"))}
    p |= {"decay": np.full(24, -1.0, "f4"), "turn": np.ones(24, "f4") / 3, "o": data(8, 3) / 3}

    def f(p: Any, x: Any) -> Any:
        keep = jnp.exp(jax.lax.complex(-jnp.exp(p["decay"]), p["turn"]))

        def step(h: Any, u: Any) -> Any:
            h = keep * h + u
            return h, h

        u = jax.lax.complex(x, 0 * x) @ jax.lax.complex(p["br"], p["bi"])
        states = jax.lax.scan(step, jnp.zeros((16, 24), "complex64"), u.swapaxes(0, 1))[1]
        return (states.swapaxes(0, 1) @ jax.lax.complex(p["cr"], p["ci"])).real @ p["o"]

    x = data(16, 10, 8)
    assert winit.jax.audit(f, p, x).ok == (size < 1)
    drawn = winit.jax.reinitialize(f, p, x, rng=0)
    assert winit.jax.audit(f, drawn, x).ok
    for names in (("br", "bi"), ("cr", "ci")):
        stds = [float(drawn[n].std()) * math.sqrt(2 * len(p[n])) for n in names]
        assert stds[0] == pytest.approx(stds[1], rel=0.2)
    assert float(drawn["br"].std()) == pytest.approx(1 / 4, rel=0.2)
    assert drawn["decay"] is p["decay"]

    def product(p: Any, x: Any) -> Any:  # whose stds multiply: what it should be is not known
        return jax.nn.relu(x[:, 0] @ (p["br"] * p["bi"])) @ p["cr"]

    again = winit.jax.reinitialize(product, p, x, rng=0)
    assert again["bi"] is p["bi"]


def test_what_meets_within_a_stacked_layer_is_no_branch() -> None:
    """Queries and keys, in the softmax, and a recurrent layer's two kernels, of one layer each."""

    def norm(h: Any) -> Any:
        return (h - h.mean(-1, keepdims=True)) * jax.lax.rsqrt(h.var(-1, keepdims=True) + 1e-5)

    def attention(h: Any, p: Any) -> Any:
        u = norm(h)
        shares = jax.nn.softmax((u @ p["q"]) @ (u @ p["k"]).swapaxes(1, 2) / 4, -1)
        return h + shares @ (u @ p["v"]) @ p["o"], None

    def recurrent(h: Any, p: Any) -> Any:
        step = lambda s, u: (jnp.tanh(u @ p["b"] + s @ p["c"]),) * 2  # noqa: E731
        return jax.lax.scan(step, 0 * h[:, 0], h.swapaxes(0, 1))[1].swapaxes(0, 1), None

    def drawn(block: Any, names: str) -> Any:
        p = {n: data(12, 16, 16, seed=i) / 4 for i, n in enumerate(names)}
        p = {"in": data(6, 16) / 3, "out": data(16, 4) / 4, "layers": p}
        f = lambda p, x: jax.lax.scan(block, x @ p["in"], p["layers"])[0][:, -1] @ p["out"]  # noqa: E731
        made = winit.jax.reinitialize(f, p, data(16, 10, 6), rng=0)
        assert winit.jax.audit(f, made, data(16, 10, 6)).ok
        return made["layers"]

    made = drawn(attention, "qkvo")
    for name, std in (("q", 1 / 4), ("k", 1 / 4), ("v", 1 / 4), ("o", 1 / 4 / 12**0.5)):
        assert float(made[name].std()) == pytest.approx(std, rel=0.1), name
    made = drawn(recurrent, "bc")
    assert float(made["b"].std()) == pytest.approx(1 / 4, rel=0.1)
    assert np.allclose(made["c"][3] @ made["c"][3].T, np.eye(16), atol=1e-5)


@pytest.mark.parametrize(
    "bend",
    [jax.nn.gelu, lambda z: jax.nn.gelu(z, approximate=False), jax.nn.silu, jax.nn.leaky_relu,
     jax.nn.selu, jax.nn.hard_swish],
)  # fmt: skip
def test_a_number_in_front_of_a_bend_is_the_kernels(bend: Any) -> None:
    """However many operations the bend is made of, and whatever numbers these multiply by."""

    def f(p: Any, x: Any) -> Any:
        for n in range(4):
            x = bend(x @ p[f"w{n}"] / 8)
        return x @ p["w4"] / 8

    p = {k: 8 * w for k, w in kernels(*[(64, 64)] * 4, (64, 4)).items()}
    drawn = winit.jax.reinitialize(f, p, data(32, 64), rng=0)
    plain = winit.jax.reinitialize(chain(bend, 5), p, data(32, 64), rng=0)
    assert all(np.allclose(drawn[k], 8 * plain[k], rtol=1e-3) for k in p)
    assert winit.jax.audit(f, drawn, data(32, 64)).ok


@pytest.mark.parametrize("what", ["mean", "nan"])
def test_stacked_kernels_that_are_no_draws_are_named(what: str) -> None:
    """Of one layer in eight, so that hardly anything is seen of it in the whole."""

    def f(p: Any, x: Any) -> Any:
        return jax.lax.scan(lambda h, w: (jax.nn.relu(h @ w), None), x, p["w"])[0] @ p["h"]

    w = np.stack([*kernels(*[(64, 64)] * 8, gain=2**0.5).values()])
    p = {"w": w, "h": kernels((64, 4))["w0"]}
    assert winit.jax.audit(f, p, data(32, 64)).ok
    w[5] += 1.0 if what == "mean" else 0.0
    w[3, 2, 1] = np.nan if what == "nan" else w[3, 2, 1]
    finding = winit.jax.audit(f, p, data(32, 64)).findings[0]
    assert finding.names == finding.changes == ("w",) and finding.verdict == "exploding"
    assert finding.cure == ("draw w with he_normal" if what == "mean" else "draw w again")


def test_what_makes_a_mean_of_a_sum_is_no_number_in_front_of_a_kernel() -> None:
    """JAX divides the sum by the count; eight outputs that are averaged are read as they are."""

    def f(p: Any, x: Any, mean: Any) -> Any:
        for n in range(3):
            x = mean(jax.nn.relu(x @ p[f"w{n}"]).reshape(len(x), 8, 16))
        return x @ p["w3"]

    p = kernels((16, 128), (16, 128), (16, 128), (16, 4))
    x = data(32, 16)
    means = [lambda h: h.mean(1), lambda h: h.sum(1) / 8, lambda h: h.sum(1) * 0.125]
    drawn = [winit.jax.reinitialize(lambda p, x, m=m: f(p, x, m), p, x, rng=0) for m in means]
    for k in p:
        assert all(np.array_equal(drawn[0][k], other[k]) for other in drawn)
    assert drawn[0]["w1"].std() == pytest.approx(np.sqrt(2 / 16), rel=0.1)


def test_a_number_before_a_bend_is_the_kernels_whatever_is_added_behind() -> None:
    def f(p: Any, x: Any) -> Any:
        for n in range(4):
            x = x + jnp.tanh(x @ p[f"w{n}"] / 8)
        return x @ p["w4"]

    drawn = winit.jax.reinitialize(f, kernels(*[(64, 64)] * 4, (64, 4)), data(32, 64), rng=0)
    assert all(drawn[f"w{n}"].std() == pytest.approx(1.0, rel=0.1) for n in range(4))


def test_means_and_nan_of_a_stack_that_is_used_part_by_part() -> None:
    def f(p: Any, x: Any) -> Any:
        for w in p["w"]:
            x = jax.nn.relu(x @ w)
        return x @ p["h"]

    w = np.stack([*kernels(*[(64, 64)] * 6, gain=2**0.5).values()])
    p = {"w": w, "h": kernels((64, 4))["w0"]}
    for i, add, cure in ((2, 0.7, "draw w with he_normal"), (4, np.nan, "draw w again")):
        bad = w.copy()
        bad[i] += add
        finding = winit.jax.audit(f, p | {"w": bad}, data(32, 64)).findings[0]
        assert finding.cure == cure and finding.changes == ("w",)
        assert "w[0]" not in finding.reason


def test_sums_that_are_made_smaller_in_a_loop_keep_their_branches() -> None:
    """Nothing is divided by √n besides; and what is said of a layer's fault is what was run."""

    def f(p: Any, x: Any) -> Any:
        def layer(h: Any, wv: Any) -> tuple[Any, None]:
            return (h + jax.nn.relu(h @ wv[0]) @ wv[1]) / 2**0.5, None

        return jax.lax.scan(layer, x, (p["w"], p["v"]))[0] @ p["h"]

    w, v = (np.stack([*kernels(*[(64, 64)] * 8, gain=g, seed=k).values()])
            for k, g in enumerate((2**0.5, 1.0)))  # fmt: skip
    p = {"w": w, "v": v, "h": kernels((64, 4))["w0"]}
    drawn = winit.jax.reinitialize(f, p, data(32, 64), rng=0)
    assert drawn["v"].std() == pytest.approx(np.sqrt(2 / 64), rel=0.1)
    assert winit.jax.audit(f, drawn, data(32, 64)).ok
    v[4] *= 1000
    finding = winit.jax.audit(f, p, data(32, 64)).findings[0]
    assert finding.verdict == "exploding" and "v" in finding.changes
    assert finding.cure.startswith("draw ")


@pytest.mark.parametrize(("bias", "verdict"), [(-10.0, "dead"), (30.0, "exploding"), (0.01, "")])
def test_biases_may_be_rows_of_one_parameter(bias: float, verdict: str) -> None:
    rng, depth, width = np.random.default_rng(0), 6, 32
    params = {
        "w": rng.standard_normal((depth, width, width)) * np.sqrt(2 / width),
        "b": np.full((depth, width), bias),
        "out": rng.standard_normal((width, 4)) * 0.05,
    }

    def f(p: Any, x: Any) -> Any:
        for i in range(depth):
            x = jax.nn.relu(x @ p["w"][i] + p["b"][i])
        return x @ p["out"]

    params = {k: jnp.asarray(v, jnp.float32) for k, v in params.items()}
    x = jnp.asarray(rng.standard_normal((32, width)), jnp.float32)
    report = winit.jax.audit(f, params, x)
    assert [(finding.verdict, finding.changes) for finding in report.findings] == (
        [(verdict, ("b",))] if verdict else []
    )
    new = winit.jax.reinitialize(f, params, x, rng=0)
    assert np.ptp(new["b"]) == 0 and (not verdict or not np.any(new["b"]))
    assert winit.jax.audit(f, new, x).ok


def test_positions_read_one_by_one_are_no_biases() -> None:
    rng, steps, width = np.random.default_rng(0), 5, 16
    params = {
        "w": rng.standard_normal((width, width)) / 4,
        "u": rng.standard_normal((width, width)) / 4,
        "place": rng.standard_normal((steps, width)) * 0.02,
        "out": rng.standard_normal((width, 2)) * 0.05,
    }

    def f(p: Any, x: Any) -> Any:
        h = jnp.zeros((len(x), width))
        for t in range(steps):
            h = jnp.tanh(x[:, t] @ p["w"] + p["place"][t] + h @ p["u"])
        return h @ p["out"]

    params = {k: jnp.asarray(v, jnp.float32) for k, v in params.items()}
    x = jnp.asarray(rng.standard_normal((32, steps, width)), jnp.float32)
    new = winit.jax.reinitialize(f, params, x, rng=0)
    assert np.array_equal(new["place"], params["place"])


def test_a_number_behind_every_summand_is_each_kernels_own() -> None:
    width, rng = 64, np.random.default_rng(0)
    params = {k: rng.standard_normal((width, width)) / 8 for k in ("w", "u")}
    params["out"] = rng.standard_normal((width, 2)) * 0.05
    params = {k: jnp.asarray(v, jnp.float32) for k, v in params.items()}

    def recurrent(p: Any, x: Any) -> Any:
        def step(h: Any, now: Any) -> tuple[Any, None]:
            return jnp.tanh(now @ p["w"] / 8 + h @ p["u"] / 8), None

        return jax.lax.scan(step, jnp.zeros_like(x[0]), x)[0] @ p["out"]

    def skips(p: Any, x: Any) -> Any:  # a branch's number is none of these
        h = x[0] @ p["w"]
        return (h + jnp.tanh(h) @ p["u"] / 8) @ p["out"]

    x = jnp.asarray(rng.standard_normal((6, 32, width)), jnp.float32)
    for f, times in ((recurrent, 8.0), (skips, 1.0)):
        new = winit.jax.reinitialize(f, params, x, rng=0)
        assert 0.5 * times < np.std(new["u"]) * 8 < 1.8 * times
        assert winit.jax.audit(f, new, x).ok


def test_blocks_that_are_near_0_as_a_whole_are_drawn_and_those_that_end_so_are_left() -> None:
    width, rng = 32, np.random.default_rng(0)

    def f(p: Any, x: Any) -> Any:
        for i in range(3):
            q, k, v = (x @ p[f"{name}{i}"] for name in "qkv")
            mixed = jax.nn.softmax(q @ k.swapaxes(-1, -2) / math.sqrt(width)) @ v
            x = x + mixed @ p[f"o{i}"]
        return x.mean(1) @ p["out"]

    def start(inner: float, last: float) -> Any:
        shape = width, width
        made = {f"{n}{i}": rng.standard_normal(shape) * inner for i in range(3) for n in "qkv"}
        made |= {f"o{i}": rng.standard_normal(shape) * last for i in range(3)}
        made["out"] = rng.standard_normal((width, 4)) * 0.05
        return {k: jnp.asarray(v, jnp.float32) for k, v in made.items()}

    x = jnp.asarray(rng.standard_normal((8, 6, width)), jnp.float32)
    small, usual = start(1e-4, 1e-4), start(0.18, 1e-4)
    report = winit.jax.audit(f, small, x)
    assert not report.ok and "reinitialize" in report.findings[0].cure
    drawn = winit.jax.reinitialize(f, small, x, rng=0)
    assert min(float(v.std()) for v in drawn.values()) > 0.01 and winit.jax.audit(f, drawn, x).ok
    kept = winit.jax.reinitialize(f, usual, x, rng=0)
    assert np.array_equal(kept["o1"], usual["o1"]) and winit.jax.audit(f, kept, x).ok


@pytest.mark.parametrize("factor", [1.0, 0.2, 0.0])
def test_one_member_of_an_ensemble_can_be_at_fault(factor: float) -> None:
    rng = np.random.default_rng(0)
    w = rng.standard_normal((4, 8, 32, 32)) * 0.25
    w[2] *= factor
    p = {"w": jnp.asarray(w, jnp.float32)}
    p["out"] = jnp.asarray(rng.standard_normal((4, 32, 3)) * 0.1, jnp.float32)

    def member(p: Any, x: Any) -> Any:
        for i in range(8):
            x = jax.nn.relu(x @ p["w"][i])
        return x @ p["out"]

    def f(p: Any, x: Any) -> Any:
        return jax.vmap(member, (0, None))(p, x).swapaxes(0, 1)

    x = jnp.asarray(rng.standard_normal((32, 32)), jnp.float32)
    report = winit.jax.audit(f, p, x)
    assert report.ok == (factor == 1.0)
    for finding in report.findings:
        said = ("shrinking", "4 independent parts") if factor else ("dead", "a part of w: 0")
        assert finding.verdict == said[0] and said[1] in finding.reason
        assert finding.cure == "draw the whole model again (reinitialize)"
        assert winit.jax.audit(f, winit.jax.reinitialize(f, p, x, rng=0), x).ok


def test_branches_of_a_trunk_that_is_normalized_after_each_sum_are_made_smaller() -> None:
    rng, width, depth = np.random.default_rng(0), 32, 8
    p = {f"{n}{i}": rng.standard_normal((width, width)) / 5 for i in range(depth) for n in "wv"}
    p["out"] = rng.standard_normal((width, 3)) * 0.05
    p = {k: jnp.asarray(v, jnp.float32) for k, v in p.items()}

    def norm(h: Any) -> Any:
        h = h - h.mean(-1, keepdims=True)
        return h / jnp.sqrt((h**2).mean(-1, keepdims=True) + 1e-5)

    def after(p: Any, h: Any) -> Any:
        for i in range(depth):
            h = norm(h + jax.nn.relu(h @ p[f"w{i}"]) @ p[f"v{i}"])
        return h @ p["out"]

    def inside(p: Any, h: Any) -> Any:  # what is normalized before it is added has no scale
        for i in range(depth):
            h = h + norm(jax.nn.relu(h @ p[f"w{i}"]) @ p[f"v{i}"])
        return norm(h) @ p["out"]

    x = jnp.asarray(rng.standard_normal((16, width)), jnp.float32)
    for f, scale in ((after, 2 / (depth - 1)), (inside, 2.0)):
        new = winit.jax.reinitialize(f, p, x, rng=0)
        stds = [float(new[f"v{i}"].std()) for i in range(depth)]
        assert np.allclose(stds, math.sqrt(scale / width), rtol=0.12)  # 1,024 numbers: 5 sd
        assert winit.jax.audit(f, new, x).ok


def test_queries_and_keys_of_a_packed_kernel_of_zeros_never_move() -> None:
    rng, width = np.random.default_rng(0), 16
    shapes = {"qkv": (width, 3 * width), "proj": (width, width), "out": (width, 3)}
    p = {k: jnp.asarray(rng.standard_normal(s) / 4, jnp.float32) for k, s in shapes.items()}

    def f(p: Any, x: Any) -> Any:
        q, k, v = jnp.split(x @ p["qkv"], 3, -1)
        mixed = jax.nn.softmax(q @ k.swapaxes(-1, -2) / math.sqrt(width)) @ v
        return (x + mixed @ p["proj"]).mean(1) @ p["out"]

    x = jnp.asarray(rng.standard_normal((16, 6, width)), jnp.float32)
    assert winit.jax.audit(f, p, x).ok
    packed = p | {"qkv": 0 * p["qkv"]}
    (finding,) = winit.jax.audit(f, packed, x).findings
    assert finding.verdict == "dead" and finding.reason.startswith("a part of qkv: 0")
    assert finding.cure == "draw qkv at random"
    assert winit.jax.audit(f, p | {"proj": 0 * p["proj"]}, x).ok
    values = winit.jax.audit(f, p | {"qkv": p["qkv"].at[:, 2 * width :].set(0)}, x)
    assert values.ok and any("qkv" in note and "one step" in note for note in values.notes)
    for part in (slice(0, 2 * width), slice(0, width)):  # keys wait for queries alone
        report = winit.jax.audit(f, p | {"qkv": p["qkv"].at[:, part].set(0)}, x)
        assert report.ok == (part.stop == width)


@pytest.mark.parametrize("half", [slice(0, 32), slice(32, 64)])
def test_half_of_a_gated_kernel_opens_where_it_is_0(half: slice) -> None:
    p = kernels((16, 64), (32, 16), (16, 10))
    p["w0"][:, half] = 0

    def f(p: Any, x: Any) -> Any:
        gate, value = jnp.split(x @ p["w0"], 2, -1)
        return (x + (jax.nn.silu(gate) * value) @ p["w1"]) @ (0.1 * p["w2"])

    assert winit.jax.audit(f, p, data(32, 16)).ok
    assert not winit.jax.audit(f, p | {"w0": 0 * p["w0"]}, data(32, 16)).ok


def test_units_that_were_pruned_are_no_dead_part() -> None:
    p = kernels((16, 64), (64, 32), (32, 4), gain=1.4)
    units = RNG(0).permutation(64)[:24]
    p["w0"][:, units], p["w1"][units], p["w2"] = 0, 0, 0.1 * p["w2"]
    report = winit.jax.audit(chain(jax.nn.relu, 3), p, data(32, 16))
    assert report.ok and any("get no gradient" in note for note in report.notes)


def test_biases_that_shut_all_gates_are_set_by_a_draw() -> None:
    rng, width = np.random.default_rng(0), 16
    p = {k: jnp.asarray(rng.standard_normal((width, 4 * width)) / 4, jnp.float32) for k in "wu"}
    p |= {"b": jnp.full(4 * width, -10.0), "out": jnp.full((width, 2), 0.1).at[:, 0].set(-0.2)}

    def f(p: Any, x: Any) -> Any:
        def step(state: Any, now: Any) -> tuple[Any, None]:
            h, c = state
            i, g, o, z = jnp.split(now @ p["w"] + h @ p["u"] + p["b"], 4, -1)
            c = jax.nn.sigmoid(g) * c + jax.nn.sigmoid(i) * jnp.tanh(z)
            return (jax.nn.sigmoid(o) * jnp.tanh(c), c), None

        return jax.lax.scan(step, (x[0] * 0, x[0] * 0), x)[0][0] @ p["out"]

    x = jnp.asarray(rng.standard_normal((8, 16, width)), jnp.float32)
    (finding,) = winit.jax.audit(f, p, x).findings
    assert finding.verdict == "saturated"
    assert finding.cure == "set b to the conventional start (zeros)"
    assert winit.jax.audit(f, winit.jax.reinitialize(f, p, x, rng=0), x).ok


def experts(a_2: float, b_2: float) -> tuple[Any, Any, Any]:
    """A mixture of four in one array, the third times these numbers; its parameters, and data."""
    rng, width, n = np.random.default_rng(0), 24, 4
    shapes = {"a": (n, width, 32), "b": (n, 32, width)}
    p = {k: rng.standard_normal(s) / math.sqrt(s[1]) for k, s in shapes.items()}
    p["a"][2] *= a_2
    p["b"][2] *= b_2
    p["out"], p["route"] = (rng.standard_normal((width, n)) / 9 for _ in range(2))

    def f(p: Any, x: Any) -> Any:
        each = jax.nn.gelu(jnp.einsum("bd,edh->beh", x, p["a"]))
        each = jnp.einsum("beh,ehd->bed", each, p["b"])
        return (x + jnp.einsum("be,bed->bd", jax.nn.softmax(x @ p["route"]), each)) @ p["out"]

    p = {k: jnp.asarray(v, jnp.float32) for k, v in p.items()}
    return f, p, jnp.asarray(rng.standard_normal((32, width)), jnp.float32)


@pytest.mark.parametrize(("both", "ok"), [(True, False), (False, True)])
def test_an_expert_that_is_0_at_both_ends_never_moves(both: bool, ok: bool) -> None:
    f, p, x = experts(0.0, 0.0 if both else 1.0)
    report = winit.jax.audit(f, p, x)
    assert report.ok == ok
    assert [finding.verdict for finding in report.findings] == ["dead"] * (not ok)
    assert winit.jax.audit(f, winit.jax.reinitialize(f, p, x, rng=0), x).ok


@pytest.mark.parametrize(("both", "ok"), [(True, False), (False, True)])
def test_so_does_one_that_the_model_takes_out_of_the_array(both: bool, ok: bool) -> None:
    """Of a kernel with several places one that lives excused the rest."""
    _, p, x = experts(0.0, 0.0 if both else 1.0)

    def f(p: Any, x: Any) -> Any:
        shares = jax.nn.softmax(x @ p["route"]).T[..., None]
        each = zip(shares, p["a"], p["b"], strict=True)
        return (x + sum(share * (jax.nn.gelu(x @ a) @ b) for share, a, b in each)) @ p["out"]

    report = winit.jax.audit(f, p, x, cures=False)
    assert [finding.verdict for finding in report.findings] == ["dead"] * (not ok)
    assert winit.jax.audit(f, winit.jax.reinitialize(f, p, x, rng=0), x).ok


def test_one_expert_whose_branch_begins_near_0_is_no_fault() -> None:
    f, p, x = experts(1.0, 0.003)
    assert winit.jax.audit(f, p, x).ok


def test_what_a_moving_average_multiplies_a_kernel_by_is_no_number_of_its_own() -> None:
    p = kernels((32, 32), (32, 32), (32, 3))

    def f(p: Any, x: Any) -> Any:
        h = jnp.zeros((len(x), 32))
        for t in range(10):
            h = 0.9 * h + 0.1 * (x[:, t] @ p["w0"])
        return jax.nn.relu(h @ p["w1"]) @ p["w2"]

    new = winit.jax.reinitialize(f, p, data(32, 10, 32), rng=0)
    assert np.std(new["w0"]) * np.sqrt(32) == pytest.approx(1, rel=0.11)  # 1,024 numbers: 5 sd


@pytest.mark.parametrize(("scale", "ok"), [(1.0, True), (1e-7, False)])
def test_data_below_the_epsilon_of_the_first_normalizer_are_too_small(
    scale: float, ok: bool
) -> None:
    p = kernels((16, 32), (32, 10), gain=1.4)

    def f(p: Any, x: Any) -> Any:
        x = x / jnp.sqrt((x**2).mean(-1, keepdims=True) + 1e-6)
        return jax.nn.relu(x @ p["w0"]) @ (0.1 * p["w1"])

    report = winit.jax.audit(f, p, data(32, 16) * np.float32(scale))
    assert report.ok == ok
    for finding in report.findings:
        assert finding.verdict == "shrinking" and finding.cure == "standardize the inputs"


def test_kernels_that_are_off_in_the_same_way_are_named_together() -> None:
    rng, depth = np.random.default_rng(0), 19
    shapes = [(32, 64), *[(64, 64)] * (depth - 1), (64, 4)]
    p = [jnp.asarray(rng.standard_normal(s), jnp.float32) for s in shapes]

    def f(p: Any, x: Any) -> Any:
        for w in p[:-1]:
            x = jnp.tanh(x @ w)
        return x @ p[-1]

    x = jnp.asarray(rng.standard_normal((64, 32)), jnp.float32)
    finding = winit.jax.audit(f, p, x).findings[0]
    assert finding.verdict == "saturated" and finding.cure == "draw 0 to 18 at their ideal stds"


def test_what_a_redraw_takes_off_a_first_loss_is_said_where_it_is_not_enough() -> None:
    rng = np.random.default_rng(0)
    shapes = [(16, 32), (32, 32), (32, 1)]
    p = [jnp.asarray(rng.standard_normal(s) / np.sqrt(s[0]), jnp.float32) for s in shapes]
    p[1] *= 30

    def f(p: Any, x: Any) -> Any:
        return jnp.tanh(jnp.tanh(x @ p[0]) @ p[1] / 30) @ p[2] * 30

    x = jnp.asarray(rng.standard_normal((32, 16)), jnp.float32)
    y = jnp.asarray(1 + 0.01 * rng.standard_normal((32, 1)), jnp.float32)
    (finding,) = winit.jax.audit(f, p, x, y, lambda out, y: ((out - y) ** 2).mean()).findings
    assert finding.verdict == "first loss far too high"
    assert finding.cure.startswith("draw 2 with")
    assert "which brings it to" in finding.cure and "standardize the targets" in finding.cure


@pytest.mark.parametrize("act", [jnp.tanh, jax.nn.sigmoid])
def test_an_output_can_saturate(act: Any) -> None:
    rng = np.random.default_rng(0)
    p = [jnp.asarray(rng.standard_normal(s) / 4, jnp.float32) for s in ((16, 32), (32, 3))]
    x = jnp.asarray(rng.standard_normal((32, 16)), jnp.float32)

    def f(p: Any, x: Any) -> Any:
        return act(jax.nn.relu(x @ p[0]) @ p[1])

    assert winit.jax.audit(f, p, x).ok
    finding = winit.jax.audit(f, [p[0], 300 * p[1]], x).findings[0]
    assert finding.verdict == "saturated" and finding.names == finding.changes == ("1",)


RECURRENT = ("leaky", "gated", "fed once")


@pytest.mark.parametrize("kind", RECURRENT)
def test_a_loop_of_python_is_drawn_as_a_scan(kind: str) -> None:
    p, x = kernels((24, 24), (24, 24), (24, 3)), data(16, 6, 24)

    def step(p: Any, h: Any, now: Any) -> Any:
        made = jnp.tanh(now + h @ p["w1"])
        gate = jax.nn.sigmoid(now) if kind == "gated" else 0.3
        return (1 - gate) * h + gate * made

    def scanned(p: Any, x: Any) -> Any:
        start = jnp.zeros_like(x[:, 0])
        steps = jax.lax.scan(
            lambda h, now: (step(p, h, now @ p["w0"]), None), start, x.swapaxes(0, 1)
        )
        return steps[0] @ p["w2"]

    def counted(p: Any, x: Any) -> Any:
        start = jnp.zeros_like(x[:, 0])
        steps = jax.lax.fori_loop(0, 6, lambda t, h: step(p, h, x[:, t] @ p["w0"]), start)
        return steps @ p["w2"]

    def plain(p: Any, x: Any) -> Any:
        h, once = jnp.zeros_like(x[:, 0]), x @ p["w0"]
        for t in range(6):
            h = step(p, h, once[:, t] if kind == "fed once" else x[:, t] @ p["w0"])
        return h @ p["w2"]

    for f in (scanned, counted, plain):
        new = winit.jax.reinitialize(f, p, x, rng=0)
        assert np.allclose(new["w1"] @ new["w1"].T, np.eye(24), atol=1e-5)
        assert winit.jax.audit(f, new, x).ok
        large = winit.jax.audit(f, new | {"w1": 30 * new["w1"]}, x)
        assert [finding.verdict for finding in large.findings] == ["saturated"]


@pytest.mark.parametrize("norm", ["none", "before", "after"])
def test_blocks_that_share_their_weights_are_a_deep_network_and_no_recurrent_one(norm: str) -> None:
    p, x = kernels((32, 32), (32, 64), (64, 32), (32, 3)), data(32, 32)

    def normed(h: Any) -> Any:
        h = h - h.mean(-1, keepdims=True)
        return h * jax.lax.rsqrt((h**2).mean(-1, keepdims=True) + 1e-5)

    def block(p: Any, h: Any) -> Any:
        branch = jax.nn.relu((normed(h) if norm == "before" else h) @ p["w1"]) @ p["w2"]
        return normed(h + branch) if norm == "after" else h + branch

    def scanned(p: Any, x: Any) -> Any:
        return jax.lax.scan(lambda h, _: (block(p, h), None), x @ p["w0"], None, 8)[0] @ p["w3"]

    def plain(p: Any, x: Any) -> Any:
        h = x @ p["w0"]
        for _ in range(8):
            h = block(p, h)
        return h @ p["w3"]

    for f in (scanned, plain):
        new = winit.jax.reinitialize(f, p, x, rng=0)
        assert np.std(new["w2"]) == pytest.approx(math.sqrt(2 / 64 / 8), rel=0.08)  # 2,048: 5 sd
        assert winit.jax.audit(f, new, x).ok
        waits = p | {"w2": np.zeros_like(p["w2"])}
        assert not winit.jax.reinitialize(f, waits, x, rng=0)["w2"].any()


@pytest.mark.parametrize("fill", [0.0, 1.0])
@pytest.mark.parametrize("branch", [0.0, 0.2])
def test_rows_of_learned_queries_must_differ_and_those_of_positions_need_not(
    fill: float, branch: float
) -> None:
    rng, names = np.random.default_rng(0), ("q", "k", "v", "o")
    p = {n: jnp.asarray(rng.standard_normal((32, 32)) * 0.2, jnp.float32) for n in names}
    p |= {"o": branch * p["o"], "rows": jnp.full((10, 32), fill)}
    p["out"] = jnp.asarray(rng.standard_normal((32, 3)) * 0.02, jnp.float32)

    def read(p: Any, x: Any, queries: Any) -> Any:
        weights = jax.nn.softmax(queries @ p["q"] @ (x @ p["k"]).swapaxes(-1, -2) / math.sqrt(32))
        return jnp.tanh(queries + weights @ (x @ p["v"]) @ p["o"]).mean(axis=-2) @ p["out"]

    def latents(p: Any, x: Any) -> Any:
        return read(p, x, jnp.broadcast_to(p["rows"], x.shape))

    def positions(p: Any, x: Any) -> Any:
        return read(p, x + p["rows"], x + p["rows"])

    x = data(16, 10, 32)
    assert winit.jax.audit(positions, p, x).ok
    (finding,) = winit.jax.audit(latents, p, x).findings
    assert finding.verdict == "symmetric" and "All rows of rows" in finding.reason
    assert finding.changes == ("rows",)
    std = float(finding.cure.removeprefix("draw rows with normal, std="))
    assert winit.jax.audit(latents, p | {"rows": std * data(10, 32, seed=2)}, x).ok


@pytest.mark.parametrize("before", [True, False])
def test_gates_of_one_kernel_are_drawn_one_by_one_wherever_they_part(before: bool) -> None:
    p, x = kernels((24, 48), (24, 48), (24, 24), (24, 3)), data(16, 6, 24)

    def step(p: Any, h: Any, now: Any) -> tuple[Any, None]:
        both = now @ p["w0"] + h @ p["w1"]
        halves = jnp.split(both if before else jax.nn.sigmoid(both), 2, -1)
        gate, reset = map(jax.nn.sigmoid, halves) if before else halves
        return (1 - gate) * h + gate * jnp.tanh(now + (reset * h) @ p["w2"]), None

    def f(p: Any, x: Any) -> Any:
        start = jnp.zeros_like(x[:, 0])
        return jax.lax.scan(lambda h, now: step(p, h, now), start, x.swapaxes(0, 1))[0] @ p["w3"]

    new = winit.jax.reinitialize(f, p, x, rng=0)["w1"]
    for part in (new[:, :24], new[:, 24:]):
        assert np.allclose(part @ part.T, np.eye(24), atol=1e-5)


@pytest.mark.parametrize("gain", [1.0, 0.1])
def test_a_state_that_gates_make_small_is_read_as_in_a_scan(gain: float) -> None:
    p, x = kernels((33, 96), (24, 3)), data(16, 6, 9)
    p = {"w0": gain * p["w0"], "w1": 0.1 * p["w1"]}

    def step(p: Any, states: Any, now: Any) -> Any:
        h, c = states
        parts = jnp.split(jnp.concatenate([now, h], -1) @ p["w0"], 4, -1)
        i, f, o = map(jax.nn.sigmoid, parts[:3])
        c = f * c + i * jnp.tanh(parts[3])
        return o * jnp.tanh(c), c

    def plain(p: Any, x: Any) -> Any:
        states = (jnp.zeros((len(x), 24)),) * 2
        for t in range(6):
            states = step(p, states, x[:, t])
        return states[0] @ p["w1"]

    def scanned(p: Any, x: Any) -> Any:
        states = (jnp.zeros((len(x), 24)),) * 2
        ends = jax.lax.scan(lambda s, now: (step(p, s, now), None), states, x.swapaxes(0, 1))[0]
        return ends[0] @ p["w1"]

    for f in (plain, scanned):  # E h² is below a hundredth of E x², and it learns as well
        assert winit.jax.audit(f, p, x).ok


@pytest.mark.parametrize("residual", [False, True])
def test_what_the_next_step_reads_is_no_small_head(residual: bool) -> None:
    p, x = kernels((6, 64), (64, 6)), data(64, 6)

    def step(p: Any, x: Any) -> Any:
        made = jax.nn.relu(x @ p["w0"]) @ p["w1"]
        return x + made if residual else made

    def plain(p: Any, x: Any) -> Any:
        made = []
        for _ in range(8):
            x = step(p, x)
            made.append(x)
        return jnp.stack(made, 1)

    def scanned(p: Any, x: Any) -> Any:
        return jax.lax.scan(lambda x, _: (step(p, x),) * 2, x, None, 8)[1].swapaxes(0, 1)

    for f in (plain, scanned):
        new = winit.jax.reinitialize(f, p, x, rng=0)
        gain = float(np.std(new["w1"])) * math.sqrt(64)
        assert gain == pytest.approx(0.1 if residual else math.sqrt(2), rel=0.2)
        assert winit.jax.audit(f, new, x).ok


def classes(outputs: Any, y: Any) -> Any:
    return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(outputs), y[:, None], 1))


def three_hidden(p: Any, x: Any) -> Any:
    for w, b in p[:-1]:
        x = jax.nn.relu(x @ w + b)
    return x @ p[-1][0] + p[-1][1]


def he_layers() -> Any:
    drawn = kernels((20, 64), (64, 64), (64, 64), (64, 5), gain=math.sqrt(2)).values()
    return [(w, np.zeros(w.shape[1], np.float32)) for w in drawn]


@pytest.mark.parametrize("columns", [False, True])
@pytest.mark.parametrize(("spread", "sound"), [(0.5, True), (0.07, False), (1e-3, False)])
def test_data_may_not_be_little_but_a_mean(columns: bool, spread: float, sound: bool) -> None:
    x, y = data(64, 20), RNG(3).integers(0, 5, 64)
    x = (np.where(np.arange(20) % 2, -1, 1) if columns else 1) + np.float32(spread) * x
    report = winit.jax.audit(three_hidden, he_layers(), x, y, classes)
    assert [(f.verdict, f.cure) for f in report.findings] == (
        [] if sound else [("inputs unscaled", "standardize the inputs")]
    )


def test_examples_that_are_all_the_same_are_no_data() -> None:
    report = winit.jax.audit(three_hidden, he_layers(), np.ones((64, 20), np.float32))
    assert report.ok and "the given ones hardly differ" in report.notes[-1]


@pytest.mark.long
def test_what_the_page_says_of_data_that_are_little_but_a_mean_is_so() -> None:
    y, known, loss = RNG(3).integers(0, 5, 64), math.log(5), jax.value_and_grad
    rates = jnp.geomspace(1e-3, 1.0, 10)

    def trained(x: Any, rate: Any, adam: bool) -> Any:
        def step(state: Any, t: Any) -> Any:
            p, m, v = state
            value, g = loss(lambda p: classes(three_hidden(p, x), y))(p)
            m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, g)
            v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, v, g)
            scaled = jax.tree.map(lambda m, v: m / (1 - 0.9**t) / (
                jnp.sqrt(v / (1 - 0.999**t)) + 1e-8), m, v)  # fmt: skip
            return (jax.tree.map(lambda p, g: p - rate * g, p, scaled if adam else g), m, v), value

        zeros = jax.tree.map(jnp.zeros_like, he_layers())
        return jax.lax.scan(step, (he_layers(), zeros, zeros), jnp.arange(1.0, 101.0))[1][-1]

    for x, sgd, adam in ((data(64, 20), (0, 0.01), (0, 0.01)),
                         (1 + 0.1 * data(64, 20), (0.8, 0.98), (0.25, 0.7))):  # fmt: skip
        for kind, (low, high) in ((False, sgd), (True, adam)):
            ends = jax.vmap(lambda rate, x=x, kind=kind: trained(x, rate, kind))(rates)
            assert low <= float(jnp.nanmin(ends)) / known <= high


def highway(p: Any, x: Any) -> Any:
    h = x @ p["first"]
    for layer in p["layers"]:
        t = jax.nn.sigmoid(h @ layer["gate"] + layer["opens"])
        h = t * jnp.tanh(h @ layer["w"]) + (1 - t) * h
    return h @ p["head"]


@pytest.mark.parametrize(
    ("opens", "verdict"),
    [(-2.0, None), (0.0, "shrinking"), (-20.0, "saturated"), (20.0, "dead")],
)
def test_gates_that_mix_a_state_with_its_news_make_no_sum_of_branches(
    opens: float, verdict: str | None
) -> None:
    """No kernel is divided by √8, and what the gates take away is measured and made up for."""
    drawn = iter(kernels((16, 48), *[(48, 48)] * 16, (48, 5)).values())
    p = {"first": next(drawn), "layers": [
        {"w": next(drawn), "gate": next(drawn), "opens": np.full(48, opens, np.float32)}
        for _ in range(8)
    ]}  # fmt: skip
    p["head"] = next(drawn)
    x = data(64, 16)
    report = winit.jax.audit(highway, p, x)
    assert [f.verdict for f in report.findings] == [verdict] * (verdict is not None)
    if verdict:
        assert "which scales it until E x² stays level" in report.findings[0].cure
    new = winit.jax.reinitialize(highway, p, x, rng=0)
    gains = [float(np.std(layer["w"])) * 48**0.5 for layer in new["layers"]]
    assert min(gains) > 0.9 and winit.jax.audit(highway, new, x).ok
    gates = [float(np.std(layer["gate"])) * 48**0.5 for layer in new["layers"]]
    assert 0.9 < min(gates) <= max(gates) < 1.1  # a larger spread would shut some of them


@pytest.mark.parametrize("beside", [True, False])
def test_a_mask_that_hardly_varies_does_no_harm_beside_data_that_do(beside: bool) -> None:
    mask = np.ones((64, 8), np.float32)
    mask[RNG(4).integers(0, 64, 3), [1, 4, 6]] = 0
    p = kernels((20, 32), (8, 32), (64, 32), (32, 5), gain=math.sqrt(2))

    def f(p: Any, x: Any) -> Any:
        both = [x[0] @ p["w0"], x[1] @ p["w1"]] if beside else [x[1] @ p["w1"]] * 2
        return jax.nn.relu(jax.nn.relu(jnp.concatenate(both, 1)) @ p["w2"]) @ p["w3"]

    verdicts = [f.verdict for f in winit.jax.audit(f, p, (data(64, 20), mask)).findings]
    assert verdicts == [] if beside else verdicts == ["inputs unscaled"]


def factored(p: Any, x: Any) -> Any:
    """Ratings by rows of two tables, and a row's own mean."""
    return (p["u"][x[:, 0]] * p["v"][x[:, 1]]).sum(axis=1) + p["b"][x[:, 0]]


@pytest.mark.parametrize(
    ("stds", "verdict", "cured"),
    [((1.0, 1.0), "first loss far too high", {"u", "v"}),
     ((5e-5, 5e-5), "shrinking", {"u", "v"}),
     ((0.3, 5.0), "first loss far too high", {"v"}),
     ((0.1, 0.1), None, set())],
)  # fmt: skip
def test_rows_times_rows_have_a_scale(
    stds: tuple[float, float], verdict: str | None, cured: set[str]
) -> None:
    """Sixteen products are added up, so that a std of (0.1/16)^¼ gives outputs of rms √0.1."""
    rng, shapes = RNG(3), ((200, 16), (300, 16))
    tables = [std * rng.standard_normal(shape) for std, shape in zip(stds, shapes, strict=True)]
    p = {"u": tables[0], "v": tables[1], "b": np.zeros(200)}
    p = {name: value.astype(np.float32) for name, value in p.items()}
    x = np.stack([rng.integers(0, len(t), 512) for t in tables], axis=1)
    y = rng.standard_normal(512).astype(np.float32)
    report = winit.jax.audit(factored, p, x, y, lambda o, y: ((o - y) ** 2).mean())
    assert [f.verdict for f in report.findings] == [verdict] * (verdict is not None)
    assert report.ok == (verdict is None)
    if verdict:
        assert {*report.findings[0].changes} <= cured and "std=0.2812" in report.findings[0].cure
    new = winit.jax.reinitialize(factored, p, x, rng=0)
    assert np.std(new["u"]) == pytest.approx(0.281, rel=0.05)
    assert np.std(new["v"]) == pytest.approx(0.281, rel=0.05)


def test_a_loss_that_is_0_already_kills_no_unit() -> None:
    """As where all triplets keep their margin."""
    rng = np.random.default_rng(0)
    draw = lambda *shape: jnp.asarray(rng.standard_normal(shape), jnp.float32)  # noqa: E731
    params = {"a": draw(20, 64) * 20**-0.5, "b": draw(64, 16) / 8}
    anchor = draw(32, 20)

    def distances(p: Any, x: Any) -> Any:
        one, near, far = (jax.nn.relu(part @ p["a"]) @ p["b"] for part in x)
        return jnp.stack([((one - other) ** 2).sum(-1) for other in (near, far)], -1)

    def margin(outputs: Any, _: Any) -> Any:
        return jnp.maximum(0.0, outputs[:, 0] - outputs[:, 1] + 1.0).mean()

    x = anchor, anchor + 0.01 * draw(32, 20), 5 * draw(32, 20)
    report = winit.jax.audit(distances, params, x, np.zeros(32), margin)
    assert report.loss == 0 and report.ok
    assert any("the loss of these examples is 0 already" in note for note in report.notes)


def test_parameters_without_entries_are_none() -> None:
    params = {**kernels((6, 8), (8, 3)), "none": np.zeros((6, 0), np.float32)}

    def f(p: Any, x: Any) -> Any:
        h = jnp.concatenate([x @ p["w0"], x @ p["none"]], axis=1)
        return jax.nn.relu(h) @ p["w1"]

    report = winit.jax.audit(f, params, data(16, 6), cures=False)
    assert [row.name for row in report.rows] == ["w0", "w1"]
    new = winit.jax.reinitialize(f, params, data(16, 6), rng=0)
    assert new["none"] is params["none"] and new["w0"] is not params["w0"]


@pytest.mark.parametrize(
    "outer", [lambda u: u, lambda u: lambda p, z: jnp.trace(jax.hessian(u, 1)(p, z))]
)
def test_a_gradient_that_the_model_takes_is_no_signal(outer: Any) -> None:
    """As of a Hamiltonian network, or of a residual of a differential equation."""

    def u(p: Any, z: Any) -> Any:
        return (jnp.tanh(jnp.tanh(z @ p["a"]) @ p["b"]) @ p["c"])[0]

    sizes, rng = {"a": (2, 256), "b": (256, 256), "c": (256, 1)}, np.random.default_rng(0)
    params = {name: winit.glorot_normal(size, rng=rng) for name, size in sizes.items()}
    x = rng.standard_normal((64, 2))
    taken = jax.grad(u, 1) if outer(u) is u else outer(u)
    report = winit.jax.audit(lambda p, x: jax.vmap(lambda z: taken(p, z))(x), params, x)
    assert report.ok and any("takes a gradient itself" in note for note in report.notes)


@pytest.mark.parametrize(("scale", "times"), [(1.0, 8.0**-0.5), (1 / 8, 1.0)])
def test_stacked_queries_and_keys_make_up_for_a_missing_root(scale: float, times: float) -> None:
    def step(h: Any, w: Any) -> Any:
        q, k, v = (h @ w[name] for name in "qkv")
        shares = jax.nn.softmax(scale * jnp.einsum("btd,bsd->bts", q, k))
        return h + shares @ v @ w["o"], None

    def f(p: Any, x: Any) -> Any:
        return jax.lax.scan(step, x, {name: p[name] for name in "qkvo"})[0].mean(1) @ p["h"]

    rng = np.random.default_rng(0)
    params = {n: (rng.standard_normal((3, 64, 64)) / 8).astype(np.float32) for n in "qkvo"}
    params["h"] = params["q"][0, :, :5]
    new = winit.jax.reinitialize(f, params, data(16, 10, 64), rng=0)
    for name, wanted in (("q", times), ("k", times), ("v", 1.0)):
        assert new[name].std() == pytest.approx(wanted / 8, rel=0.04)  # 12,288 draws: 0.64 %


@pytest.mark.parametrize("std", [None, 0.01])
def test_a_kernel_of_which_a_derivative_is_taken_is_drawn_by_its_signal(std: float | None) -> None:
    """The way back reads it, too, and neither that nor its present size says how to draw it."""

    def u(p: Any, t: Any) -> Any:
        h = jnp.tanh(jnp.tanh(t.reshape(1) @ p["w0"] + p["b0"]) @ p["w1"] + p["b1"])
        return (h @ p["w2"] + p["b2"])[0]

    def f(p: Any, x: Any) -> Any:
        second = jax.vmap(lambda t: jax.grad(jax.grad(u, 1), 1)(p, t))(x[:, 0])
        return jax.vmap(lambda t: u(p, t))(x[:, 0]), second

    params = kernels((1, 32), (32, 32), (32, 1))
    params |= {f"b{k}": np.zeros(n, np.float32) for k, n in enumerate((32, 32, 1))}
    if std:
        params |= {n: w * (std / w.std()) for n, w in params.items() if n in ("w0", "w1", "w2")}
    new = winit.jax.reinitialize(f, params, data(64, 1), rng=0)
    assert 0.5 < new["w0"].std() < 1.5 and 0.01 < new["w2"].std() < 0.03  # 1 and 0.1 / √32
    report = winit.jax.audit(f, params, data(64, 1))
    for name in ("w0", "w1"):
        ideals = [row.ideal for row in report.rows if row.name.startswith(name)]
        assert max(ideals) < 1.1 * min(ideals)  # no matter how many layers come after each


def test_a_root_of_zero_is_named_by_what_it_is_taken_of() -> None:
    """As of a state that forgets nothing: no signal is large, and a gradient is infinite."""

    def f(p: Any, x: Any) -> Any:
        kept = jnp.exp(-jnp.exp(p["decay"]))
        return (jnp.sqrt(1 - kept**2) * jax.nn.relu(x @ p["w0"])) @ p["w1"]

    params = kernels((8, 16), (16, 3)) | {"decay": np.full(16, -30.0, "float32")}
    finding = winit.jax.audit(f, params, data(64, 8), data(64, 3), squares).findings[0]
    assert finding.verdict == "exploding"
    assert finding.cure.endswith("look for a root, a logarithm or a quotient of 0 behind decay")


def test_a_fixed_std_stays_when_constants_are_tried() -> None:
    """Knowing nothing is a mean of 0, or the targets', with the std that is given."""

    def f(p: Any, x: Any) -> Any:
        return chain(jnp.tanh, 1)(p, x), jnp.full((len(x), 3), 0.1)

    def cost(made: Any, y: Any) -> Any:
        mean, std = made
        return jnp.mean((y - mean) ** 2 / (2 * std**2) + jnp.log(std))

    x, y = data(64, 8), data(64, 3, seed=3)
    report = winit.jax.audit(f, kernels((8, 3)), x, y, cost)
    assert report.blind == pytest.approx(50 * np.var(y, axis=0).mean() + math.log(0.1), rel=1e-5)


@pytest.mark.parametrize("depth", [5, 9])
@pytest.mark.parametrize("sharp", [1, 100])
def test_leaves_of_a_soft_tree_pick_rows_as_a_softmax_does(depth: int, sharp: int) -> None:
    """Shares are as small as they are many, and a mean of many rows hardly varies."""

    def tree(p: Any, x: Any) -> Any:
        ways, shares = jax.nn.sigmoid(x @ p["w0"]), jnp.ones((len(x), 1))
        for level in range(depth):
            left = ways[:, 2**level : 2 ** (level + 1)]
            shares = (shares[:, :, None] * jnp.stack([left, 1 - left], 2)).reshape(len(x), -1)
        return jnp.log(shares @ jax.nn.softmax(p["w1"]))

    params = kernels((20, 2**depth), (2**depth, 4))
    params["w0"] *= sharp
    x, y = data(64, 20), np.arange(64) % 4
    report = winit.jax.audit(tree, params, x, y, cross_entropy)
    assert [finding.verdict for finding in report.findings] == (["saturated"] if sharp > 1 else [])


def test_outputs_of_complex_numbers_are_outputs() -> None:
    def spectrum(p: Any, x: Any) -> Any:
        return jnp.fft.rfft(chain(jax.nn.relu, 3)(p, x), norm="ortho")

    params, x = kernels((64, 64), (64, 64), (64, 16), gain=math.sqrt(2)), data(32, 64)
    params["w2"] *= 0.1
    y = (data(32, 9, seed=3) + 1j * data(32, 9, seed=4)).astype("complex64")

    def cost(made: Any, y: Any) -> Any:
        return jnp.mean(jnp.abs(made - y) ** 2)

    report = winit.jax.audit(spectrum, params, x, y, cost)
    known = np.mean(np.abs(y - y.mean(0)) ** 2)
    assert report.ok and report.blind == pytest.approx(known, rel=1e-5)
    assert winit.jax.audit(spectrum, params, x).ok
    params["w1"] *= 100
    for targets in ((), (y, cost)):
        finding = winit.jax.audit(spectrum, params, x, *targets).findings[0]
        assert (finding.verdict, finding.changes) == ("exploding", ("w1",))


@pytest.mark.parametrize("times", [1, 100])
def test_slopes_that_go_straight_through_saturate(times: float) -> None:
    """By what the gradient goes through, not by the steps that are given."""

    def act(h: Any) -> Any:
        clipped = jnp.clip(h, -1, 1)
        return clipped + jax.lax.stop_gradient(jnp.sign(h) - clipped)

    p = kernels((64, 64), (64, 64), (64, 4))
    p["w1"] *= times
    f = lambda p, x: act(act(x @ p["w0"]) @ p["w1"]) @ p["w2"]  # noqa: E731
    report = winit.jax.audit(f, p, data(128, 64), np.arange(128) % 4, cross_entropy)
    assert report.ok == (times == 1)
    if times > 1:
        finding = report.findings[0]
        assert finding.verdict == "saturated" and finding.changes == ("w1",)


@pytest.mark.parametrize("how", ["set", "masked"])
def test_experts_whose_shares_are_put_by_the_data_may_be_chosen_by_none(how: str) -> None:
    def f(p: Any, x: Any) -> Any:
        h = jax.nn.relu(x @ p["w0"])
        scores = h @ p["w1"] - np.array([9, 0, 0, 0])
        if how == "set":
            best, which = jax.lax.top_k(jax.nn.softmax(scores), 2)
            shares = jnp.zeros((len(x), 4)).at[jnp.arange(len(x))[:, None], which].set(best)
        else:
            least = jax.lax.top_k(scores, 2)[0][:, 1:]
            shares = jax.nn.softmax(jnp.where(scores >= least, scores, -jnp.inf))
        made = jnp.einsum(
            "bei,eio->beo", jax.nn.relu(jnp.einsum("bi,eio->beo", h, p["up"])), p["down"]
        )
        return (h + jnp.einsum("be,beo->bo", shares, made)) @ p["w2"]

    params, rng = kernels((16, 32), (32, 4), (32, 5)), np.random.default_rng(0)
    params["up"] = (rng.standard_normal((4, 32, 64)) / 4).astype(np.float32)
    params["down"] = (rng.standard_normal((4, 64, 32)) / 8).astype(np.float32)
    report = winit.jax.audit(f, params, data(64, 16), np.arange(64) % 5, cross_entropy)
    assert report.ok


@pytest.mark.parametrize("far", [20.0, 0.001])
def test_scales_of_norms_in_a_loop_are_set_to_1_where_they_are_far_off(far: float) -> None:
    """In two of four layers, whose scales are rows of one array."""

    def f(p: Any, x: Any) -> Any:
        def layer(h: Any, own: Any) -> Any:
            z = (h - h.mean(-1, keepdims=True)) * jax.lax.rsqrt(h.var(-1, keepdims=True) + 1e-5)
            return jax.nn.relu((z * own["g"]) @ own["a"]) @ own["b"], None

        return jax.lax.scan(layer, x @ p["in"], p["layers"])[0] @ p["out"]

    layers = {"a": data(4, 64, 64, seed=1) / 32**0.5, "b": data(4, 64, 64, seed=2) / 8}
    layers["g"] = np.array([1, far, far, 1], "float32")[:, None] * np.ones((1, 64), "float32")
    params = {"in": data(16, 64) / 4, "layers": layers, "out": data(64, 4) / 8}
    (finding,) = winit.jax.audit(f, params, data(64, 16)).findings
    assert finding.changes == ("layers/g",) and "conventional start (ones)" in finding.cure
    drawn = winit.jax.reinitialize(f, params, data(64, 16), rng=0)
    assert (drawn["layers"]["g"] == 1).all() and winit.jax.audit(f, drawn, data(64, 16)).ok


@pytest.mark.parametrize("seed", range(3))
def test_learned_queries_are_drawn_larger_where_small_ones_fade(seed: int) -> None:
    """As small as BERT's some draws of them make the trunk grow by hundreds."""

    def f(p: Any, x: Any) -> Any:
        def one(x: Any) -> Any:
            shares = jax.nn.softmax((p["rows"] @ p["w0"]) @ (x @ p["w1"]).T / 4)
            h = p["rows"] + shares @ (x @ p["w2"]) @ p["w3"]
            return (h + jax.nn.relu(h @ p["w4"]) @ p["w5"]).mean(0) @ p["w6"]

        return jax.vmap(one)(x)

    square = (16, 16)
    params = kernels(square, square, square, square, (16, 32), (32, 16), (16, 4))
    params["rows"], x = np.full((6, 16), 0.3, "float32"), data(32, 12, 16)
    drawn = winit.jax.reinitialize(f, params, x, rng=seed)
    assert winit.jax.audit(f, drawn, x).ok


@pytest.mark.parametrize("last", [False, True])
def test_a_softmax_of_one_entry_is_saturated_wherever_it_divides(last: bool) -> None:
    """Scores without a root over 256 numbers: more than half of the rows are one entry."""

    def f(p: Any, x: Any) -> Any:
        h = x @ p["w0"]
        scores = (h @ p["w1"]) @ (h @ p["w2"]).swapaxes(1, 2)
        weights = jnp.exp(scores - jax.lax.stop_gradient(scores.max(-1, keepdims=True)))
        rows, v = weights.sum(-1, keepdims=True), h @ p["w3"]
        return (h + ((weights @ v) / rows if last else (weights / rows) @ v)).mean(1) @ p["w4"]

    square, x = (256, 256), data(16, 12, 32)
    params = kernels((32, 256), square, square, square, (256, 4))
    finding = winit.jax.audit(f, params, x).findings[0]
    assert finding.verdict == "saturated" and finding.changes == ("w1", "w2")
    made = winit.jax.reinitialize(f, params, x, rng=0)
    for name, std in (("w1", 1 / 64), ("w2", 1 / 64), ("w3", 1 / 16)):  # 1 / 16 / 256**(1/4)
        assert float(made[name].std()) == pytest.approx(std, rel=0.03), name
    assert winit.jax.audit(f, made, x).ok


@pytest.mark.parametrize("packed", [False, True])
def test_a_factor_is_as_large_as_its_bias(packed: bool) -> None:
    """FiLM's scales and shifts, from two kernels or from one."""

    def f(p: Any, x: Any) -> Any:
        h, c = jax.nn.relu(x @ p["w0"]), x[:, :4]
        made = c @ p["w1"] + p["b"]
        scale, shift = jnp.split(made, 2, -1) if packed else (made, c @ p["w2"])
        return jax.nn.relu(h * scale + shift) @ p["w3"]

    params = kernels((16, 32), (4, 64 if packed else 32), (4, 32), (32, 4))
    params["b"] = np.full(64 if packed else 32, 4.0, "f")
    drawn = winit.jax.reinitialize(f, params, data(32, 16), rng=0)
    assert (drawn["b"] == 4.0).all()


def test_spreads_of_random_weights_are_left() -> None:
    """As in Bayes by backprop: drawn about 0 they would be a hundred times as large."""

    def f(p: Any, x: Any) -> Any:
        for k in range(2):
            noise = jax.random.normal(jax.random.key(k), p[f"w{k}"].shape)
            x = jnp.tanh(x @ (p[f"w{k}"] + jax.nn.softplus(p[f"rho{k}"]) * noise))
        return x

    params = kernels((16, 32), (32, 4))
    params |= {"rho0": np.full((16, 32), -5.0, "f"), "rho1": np.full((32, 4), -5.0, "f")}
    drawn = winit.jax.reinitialize(f, params, data(32, 16), rng=0)
    assert all((drawn[name] == -5.0).all() for name in ("rho0", "rho1"))
    assert (drawn["w0"] != params["w0"]).any()


def test_branches_side_by_side_that_are_all_zeros_are_drawn() -> None:
    """Each of them is one beside which a signal passes, but for the others that are zeros, too."""

    def f(p: Any, x: Any) -> Any:
        for k in range(3):
            x = jax.nn.silu(x) @ p[f"a{k}"] + jax.nn.sigmoid(x) @ p[f"b{k}"]
        return x

    shapes = ((8, 16), (16, 16), (16, 4))
    params = {f"{n}{k}": np.zeros(s, "f") for n in "ab" for k, s in enumerate(shapes)}
    x = data(32, 8)
    assert winit.jax.audit(f, params, x).findings[0].verdict == "symmetric"
    assert winit.jax.audit(f, winit.jax.reinitialize(f, params, x, rng=0), x).ok


@pytest.mark.parametrize("through", [False, True])
def test_kernels_that_are_rounded_by_their_largest_entry_are_dead(through: bool) -> None:
    """That entry alone gets a gradient, unless one passes around the rounding."""

    def whole(w: Any) -> Any:
        step = jnp.abs(w).max() / 7
        made = jnp.round(w / step) * step
        return w + jax.lax.stop_gradient(made - w) if through else made

    report = winit.jax.audit(
        lambda p, x: jax.nn.relu(x @ whole(p["w0"])) @ p["w1"], kernels((16, 32), (32, 4)),
        data(32, 16), np.arange(32) % 4, cross_entropy,
    )  # fmt: skip
    found = [(f.verdict, f.names) for f in report.findings]
    assert found == ([] if through else [("dead", ("w0",))])


@pytest.mark.parametrize("by", ["ones", "signs"])
def test_what_passes_a_sign_by_a_derivative_of_its_own_is_not_rounded(by: str) -> None:
    """Of inputs of one size gradients are of one size, too."""

    @jax.custom_vjp
    def sign(w: Any) -> Any:
        return jnp.sign(w)

    sign.defvjp(lambda w: (sign(w), None), lambda _, g: (g,))

    def f(p: Any, x: Any) -> Any:
        return jax.nn.relu(x @ sign(p["w0"]) / 4) @ p["w1"]

    x = np.ones((32, 16), "f") if by == "ones" else np.sign(data(1, 16))
    report = winit.jax.audit(f, kernels((16, 32), (32, 4)), x, np.arange(len(x)) % 4, cross_entropy)
    assert "dead" not in {finding.verdict for finding in report.findings}


def test_a_table_that_is_rounded_by_its_size_is_dead() -> None:
    def f(p: Any, x: Any) -> Any:
        table = jnp.sign(p["w0"]) * jnp.abs(p["w0"]).mean()
        return jax.nn.relu(table[x].mean(1)) @ p["w1"]

    x = np.random.default_rng(0).integers(0, 40, (32, 6))
    report = winit.jax.audit(f, kernels((40, 16), (16, 4)), x, np.arange(32) % 4, cross_entropy)
    assert [(f.verdict, f.names) for f in report.findings] == [("dead", ("w0",))]


@pytest.mark.parametrize(("times", "ok"), [(1, True), (100, False)])
def test_dropout_makes_no_row_one_entry(times: int, ok: bool) -> None:
    """Of two entries it doubles the one that it keeps."""

    def f(p: Any, x: Any) -> Any:
        shares = jax.nn.softmax((x @ p["w0"] * times) @ (x @ p["w1"]).swapaxes(1, 2) / 4)
        kept = jax.random.bernoulli(jax.random.key(0), 0.5, shares.shape)
        return (jnp.where(kept, 2 * shares, 0) @ (x @ p["w2"])).mean(1) @ p["w3"]

    params = kernels((16, 16), (16, 16), (16, 16), (16, 4))
    found = winit.jax.audit(f, params, data(32, 2, 16)).findings
    assert [f.verdict for f in found[:1]] == ([] if ok else ["saturated"])


@pytest.mark.parametrize("picked", [False, True])
def test_an_expert_that_no_example_chooses_is_not_dead(picked: bool) -> None:
    """All run, and marks of the chosen ones weigh what they give, or its place picks it."""

    def f(p: Any, x: Any) -> Any:
        h = x @ p["w0"]
        shares = jax.nn.softmax(h @ p["w1"] + np.array([-20, 20, 0, 0], "float32"))
        marks = jax.nn.one_hot(jnp.argmax(shares, -1), 4) * shares
        rows = [jax.nn.relu(h @ p[f"w{2 * k + 2}"]) @ p[f"w{2 * k + 3}"] for k in range(4)]
        if picked:
            place = jnp.argmax(shares, -1)[:, None, None]
            made = jnp.take_along_axis(jnp.stack(rows, 1), place, 1)[:, 0]
            return (h + made * shares.max(-1, keepdims=True)) @ p["w10"]
        return (h + jnp.einsum("be,bed->bd", marks, jnp.stack(rows, 1))) @ p["w10"]

    pairs = [shape for _ in range(4) for shape in ((32, 64), (64, 32))]
    params = kernels((16, 32), (32, 4), *pairs, (32, 5))
    report = winit.jax.audit(f, params, data(64, 16), np.arange(64) % 5, cross_entropy)
    alone = "w2, w3, w6 and 3 more: no gradient comes back: these examples choose others."
    assert report.ok and alone in report.notes


@pytest.mark.parametrize("top", [0, 2])
@pytest.mark.parametrize(
    ("fault", "verdict"), [("", ""), ("dead", "dead"), ("most", "dead"), ("constant", "symmetric")]
)
def test_experts_in_one_array_are_judged_one_by_one(fault: str, verdict: str, top: int) -> None:
    """All read the same, and are weighed, or picked, by shares; some are chosen by none."""

    def f(p: Any, x: Any) -> Any:
        h = x @ p["w0"]
        shares = jax.nn.softmax(h @ p["w1"] - np.array([9, 0, 0, 0, 0], "float32") * (top > 0))
        up = jax.nn.relu(jnp.einsum("bi,eio->beo", h, p["up"]) + p["bias"])
        made = jnp.einsum("bei,eio->beo", up, p["down"])
        if top:
            shares, which = jax.lax.top_k(shares, top)
            made = jnp.take_along_axis(made, which[:, :, None], 1)
        return (h + jnp.einsum("be,beo->bo", shares, made)) @ p["w2"]

    params, rng = kernels((16, 32), (32, 5), (32, 5)), np.random.default_rng(0)
    params["up"] = (rng.standard_normal((5, 32, 64)) / 4).astype(np.float32)
    params["down"] = (rng.standard_normal((5, 64, 32)) / 8).astype(np.float32)
    params["bias"] = np.zeros((5, 64), "float32")
    if verdict == "dead":
        params["bias"][1 : 5 if fault == "most" else 2] = -20.0
    elif fault:
        params["up"][1], params["down"][1] = 0.1, 0.05
    report = winit.jax.audit(f, params, data(64, 16), np.arange(64) % 5, cross_entropy)
    assert [finding.verdict for finding in report.findings] == [verdict] * bool(fault)
    if verdict == "dead":
        assert report.findings[0].changes == ("bias",)


def test_a_constant_layer_of_a_loop_is_symmetric() -> None:
    """One of four in one array, of whose units all get one gradient."""

    def f(p: Any, x: Any) -> Any:
        def block(h: Any, own: Any) -> Any:
            return h + jax.nn.relu(h @ own[0]) @ own[1], None

        return jax.lax.scan(block, x @ p["in"], (p["a"], p["b"]))[0] @ p["out"]

    layers = {"a": data(4, 32, 64, seed=1) / 4, "b": data(4, 64, 32, seed=2) / 16}
    params = {"in": data(16, 32) / 4, "out": data(32, 4) / 20, **layers}
    assert winit.jax.audit(f, params, data(64, 16)).ok
    params["a"][1] = 0.1
    assert winit.jax.audit(f, params, data(64, 16)).ok  # what reads them parts them
    params["b"][1] = 0.01
    (finding,) = winit.jax.audit(f, params, data(64, 16)).findings
    assert finding.verdict == "symmetric" and "1 of 64" in finding.reason


@pytest.mark.parametrize(
    ("ends", "gates", "starts", "ok"),
    [([1], [1, 1, 1, 1], [], True), ([0, 3], [1, 1, 1, 1], [], True), ([], [0, 1, 0, 1], [], True),
     ([1], [1, 1, 1, 1], [1], False)],
)  # fmt: skip
def test_layers_of_a_loop_of_which_some_begin_at_0(
    ends: list[int], gates: list[float], starts: list[int], ok: bool
) -> None:
    """They open as all do that begin at 0, unless both of their kernels are."""

    def f(p: Any, x: Any) -> Any:
        def block(h: Any, own: Any) -> Any:
            return h + own["gate"] * (jax.nn.relu(h @ own["a"]) @ own["b"]), None

        return jax.lax.scan(block, x @ p["in"], p["layers"])[0] @ p["out"]

    layers = {"a": data(4, 32, 64, seed=1) / 4, "b": data(4, 64, 32, seed=2) / 16}
    layers["gate"] = np.array(gates, "float32")
    layers["a"][starts], layers["b"][ends] = 0, 0
    params = {"in": data(16, 32) / 4, "out": data(32, 4) / 20, "layers": layers}
    report = winit.jax.audit(f, params, data(64, 16), np.arange(64) % 4, cross_entropy)
    assert [finding.verdict for finding in report.findings] == ["dead"] * (not ok)


def test_members_behind_gates_of_0_are_not_dead() -> None:
    def f(p: Any, x: Any) -> Any:
        made = jnp.einsum("bef,efk->bek", jax.nn.relu(jnp.einsum("bd,edf->bef", x, p["a"])), p["b"])
        return jnp.einsum("e,bek->bk", p["gates"], made)

    p = {"a": data(4, 16, 32, seed=1) / 3, "b": data(4, 32, 4, seed=2) / 20}
    p["gates"] = np.array([1, 0, 0, 0], "float32")
    assert winit.jax.audit(f, p, data(64, 16), np.arange(64) % 4, cross_entropy).ok


@pytest.mark.parametrize("fault", ["", "dead", "unread", "zeros"])
def test_one_dead_member_of_an_ensemble_is_dead(fault: str) -> None:
    """But not one whose outputs the loss does not read, or whose last kernel of zeros opens."""

    def f(p: Any, x: Any) -> Any:
        def member(own: Any) -> Any:
            h = jax.nn.relu(x @ own["w0"])
            return jax.nn.relu(h @ own["w1"] + own["bias"]) @ own["w2"]

        return jax.vmap(member, out_axes=1)(p)

    def cost(z: Any, y: Any) -> Any:
        shown = z[:, :3] if fault == "unread" else z
        return sum(cross_entropy(shown[:, k], y) for k in range(shown.shape[1])) / 4

    p = kernels((4, 16, 24), (4, 24, 24), (4, 24, 3))
    p = {n: w / w.std() / w.shape[1] ** 0.5 for n, w in p.items()}
    p |= {"w0": 2**0.5 * p["w0"], "w1": 2**0.5 * p["w1"], "bias": np.zeros((4, 24), "float32")}
    p["bias"][2] -= 100 * (fault == "dead")
    p["w2"][2] *= fault != "zeros"
    report = winit.jax.audit(f, p, data(64, 16), np.arange(64) % 3, cost)
    assert report.ok == (fault != "dead")
    if fault == "dead":
        finding = report.findings[0]
        assert finding.verdict == "dead" and finding.changes == ("bias",)


def factorization(p: Any, t: Any) -> Any:
    rows = p["rows"][t]
    pairs = jnp.square(rows.sum(1)) - jnp.square(rows).sum(1)
    return p["lines"][t].sum(-1) + pairs.sum(-1) / 2


@pytest.mark.parametrize("value", [0.05, 0.0])
def test_factors_that_are_equal_in_every_row_are_symmetric(value: float) -> None:
    """Rows differ by what they are of, and their entries never part; of zeros none moves."""
    p = {"lines": np.zeros(60, "float32"), "rows": np.full((60, 8), value, "float32")}
    x = RNG(0).integers(0, 20, (64, 3)) + np.array([0, 20, 40])
    y = RNG(1).integers(0, 2, 64).astype("float32")
    entropy = lambda z, y: jnp.mean(jax.nn.softplus(z) - z * y)  # noqa: E731
    finding = winit.jax.audit(factorization, p, x, y, entropy).findings[0]
    assert (finding.verdict, finding.names) == ("symmetric" if value else "dead", ("rows",))
    if not value:
        assert finding.changes == ("rows",)
    p["rows"] = 0.01 * data(60, 8)
    assert winit.jax.audit(factorization, p, x, y, entropy).ok


def test_a_last_kernel_of_which_only_gradients_are_made_is_drawn() -> None:
    """An energy's: no product with data is left of it, and its size is that of the outputs."""

    def f(p: Any, x: Any) -> Any:
        energy = lambda one: chain(jnp.tanh, 3)(p, one)[0]  # noqa: E731
        return jax.vmap(jax.grad(energy))(x)[:, ::-1]

    p, x = kernels((2, 64), (64, 64), (64, 1)), data(64, 2)
    p["w2"] *= 100
    finding = winit.jax.audit(f, p, x, x, squares).findings[0]
    assert finding.verdict == "first loss far too high" and finding.changes == ("w2",)
    drawn = winit.jax.reinitialize(f, p, x, rng=0)
    assert winit.jax.audit(f, drawn, x, x, squares).ok


@pytest.mark.parametrize("twice", [jax.hessian, lambda u: jax.jacrev(jax.grad(u))])
def test_second_derivatives_make_no_kernel_smaller(twice: Any) -> None:
    """The products that a derivative sums are no branches: tanh's kernels stay 1/fan_in."""

    def f(p: Any, x: Any) -> Any:
        u = lambda one: chain(jnp.tanh, 5)(p, one)[0]  # noqa: E731
        return jax.vmap(lambda one: jnp.stack([jnp.trace(twice(u)(one)), u(one)]))(x)

    p, x = kernels((2, 32), *[(32, 32)] * 3, (32, 1)), RNG(0).uniform(-1, 1, (64, 2))
    drawn = winit.jax.reinitialize(f, p, x.astype("float32"), rng=0)
    for name in ("w1", "w2", "w3"):
        assert float(drawn[name].std()) * 32**0.5 > 1.2, name  # with tanh's gain, and no 1/√3
    assert winit.jax.audit(f, drawn, x.astype("float32")).ok


def test_waves_are_not_made_slow_for_a_first_loss() -> None:
    """Of a SIREN that learns by its gradient the last kernel is at fault, which no data meet."""

    def f(p: Any, x: Any) -> Any:
        waves = lambda one, w: jnp.sin(30 * (one @ w))  # noqa: E731
        made = lambda one: (waves(waves(one, p["w0"]), p["w1"]) @ p["w2"])[0]  # noqa: E731
        return jax.vmap(jax.grad(made))(x)

    p, x = kernels((2, 64), (64, 64), (64, 1)), RNG(0).uniform(-1, 1, (64, 2)).astype("float32")
    p = {"w0": p["w0"] / 3, "w1": p["w1"] / 30, "w2": p["w2"] / 20}
    assert winit.jax.audit(f, p, x, x, squares).ok
    p["w2"] *= 300
    assert winit.jax.audit(f, p, x, x, squares).findings[0].changes == ("w2",)
    drawn = winit.jax.reinitialize(f, p, x, rng=0)
    assert drawn["w0"] is p["w0"] and winit.jax.audit(f, drawn, x, x, squares).ok


def test_complex_data_out_of_scale_are_said_to_be() -> None:
    p = {"w0": (data(16, 32) + 1j * data(16, 32, seed=2)) / 6, "w1": data(32, 3) / 9}
    f = lambda p, x: jnp.abs(x @ p["w0"]) @ p["w1"]  # noqa: E731
    x = (data(64, 16, seed=3) + 1j * data(64, 16, seed=4)) / 2**0.5
    y = np.arange(64) % 3
    assert winit.jax.audit(f, p, x, y, cross_entropy).ok
    finding = winit.jax.audit(f, p, 1000 * x, y, cross_entropy).findings[0]
    assert (finding.verdict, finding.cure) == ("inputs unscaled", "standardize the inputs")


def test_imaginary_parts_that_stand_beside_i_are_drawn_together() -> None:
    p = {"re": 0.01 * data(16, 32, seed=5), "im": 0.01 * data(16, 32, seed=6), "o": data(32, 3)}

    def f(p: Any, x: Any) -> Any:
        return jnp.abs(x @ (p["re"] + 1j * p["im"])) @ p["o"]

    drawn = winit.jax.reinitialize(f, p, data(64, 16), rng=0)
    for half in ("re", "im"):
        assert float(drawn[half].std()) == pytest.approx(math.sqrt(1 / 32), rel=0.1)


@pytest.mark.parametrize("dead", [False, True])
def test_one_dead_layer_of_a_stack_is_dead(dead: bool) -> None:
    def f(p: Any, x: Any) -> Any:
        def block(h: Any, own: Any) -> Any:
            return h + jax.nn.relu(h @ own["rises"] + own["bias"]) @ own["falls"], None

        h, _ = jax.lax.scan(block, x @ p["enters"], p["blocks"])
        return h @ p["leaves"]

    one = kernels((8, 24), (4, 24, 24), (4, 24, 24), (24, 3))
    stack = {"rises": one["w1"] * 2 / 24**0.5, "falls": one["w2"] / 24**0.5,
             "bias": np.zeros((4, 24), "float32")}  # fmt: skip
    stack["bias"][2] -= 100 * dead
    params = {"enters": one["w0"], "blocks": stack, "leaves": 0.1 * one["w3"]}
    report = winit.jax.audit(f, params, data(64, 8), np.arange(64) % 3, cross_entropy)
    assert report.ok != dead
    if dead:
        finding = report.findings[0]
        assert finding.verdict == "dead" and finding.changes == ("blocks/bias",)


def test_of_several_single_numbers_the_large_one_is_set() -> None:
    """The others are 0, as the scales of branches that training opens."""

    def f(p: Any, x: Any) -> Any:
        h = x @ p["w0"]
        for k in range(3):
            h = h + p["scales"][k] * jax.nn.relu(h @ p[f"w{k + 1}"])
        return h @ p["w4"]

    scales = [np.zeros((), "float32") for _ in range(3)]
    params = kernels((8, 24), (24, 24), (24, 24), (24, 24), (24, 3)) | {"scales": scales}
    params["w4"] *= 0.1
    x, y = data(64, 8), data(64, 3, seed=3)
    assert winit.jax.audit(f, params, x, y, squares).ok
    scales[1] += 1000
    finding = winit.jax.audit(f, params, x, y, squares).findings[0]
    assert finding.verdict == "exploding" and finding.changes == ("scales/1",)


@pytest.mark.parametrize("size", [1e25, 1e37])
def test_what_overflows_is_a_verdict_and_no_warning(size: float) -> None:
    """Warnings are errors here, and float32 ends at 3e38: neither of these has a square in it."""
    rng = np.random.default_rng(0)
    p = {f"w{i}": rng.standard_normal((32, 32)).astype("float32") / 6 for i in range(4)}
    p |= {"w0": p["w0"] * np.float32(size), "b": np.full(32, size, np.float32)}

    def net(p: Any, x: Any) -> Any:
        for i in range(4):
            x = jnp.sin(x @ p[f"w{i}"]) * (x @ p[f"w{i}"]) + p["b"]
        return x

    x = rng.standard_normal((16, 32)).astype("float32")
    (finding, *_) = winit.jax.audit(net, p, x, x, lambda o, y: jnp.mean((o - y) ** 2)).findings
    assert finding.verdict == "exploding"
    winit.jax.reinitialize(net, p, x, rng=0)


def test_fast_waves_do_no_more_than_fast_waves() -> None:
    """A frequency's small change turns more, but a sine's result is no further off than another.

    So random features that are parameters, and a small last kernel behind them, are no fault.
    """
    rng = np.random.default_rng(0)
    p = {"b": (40 * rng.standard_normal((2, 32))).astype("float32")} | {
        f"w{i}": (rng.standard_normal((64, n)) * np.sqrt(2 / 64)).astype("float32")
        for i, n in enumerate([64, 64, 64, 64, 1])
    }

    def net(p: Any, x: Any) -> Any:
        x = x @ p["b"] * (2 * np.pi)
        x = jnp.concatenate([jnp.sin(x), jnp.cos(x)], 1)
        for i in range(4):
            x = jax.nn.relu(x @ p[f"w{i}"])
        return x @ p["w4"]

    x = rng.uniform(-1, 1, (64, 2)).astype("float32")
    y, mse = np.sin(9 * x[:, :1]), lambda o, y: jnp.mean((o - y) ** 2)
    new = winit.jax.reinitialize(net, p, x, rng=0)
    assert new["b"] is p["b"] and winit.jax.audit(net, new, x, y, mse).ok


def test_chance_moves_tanh_less_than_relu() -> None:
    """Forty narrow layers: a good start is off by chance, one of 0.9 by more than chance can do."""
    for gain, found in (1.0, []), (0.9, ["shrinking"]):
        p = kernels(*[(32, 32)] * 40, (32, 3), gain=gain)
        report = winit.jax.audit(chain(jnp.tanh, 41), p, data(64, 32), cures=False)
        assert [finding.verdict for finding in report.findings] == found
