"""What is read of a program before anything runs, on functions whose answer is known by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from winit.jax import Function
from winit.program import Elementwise, Program, Site
from winit.reader import growth

NEAR = np.linspace(-3, 3, 25)


def zeros(**shapes: tuple[int, ...]) -> dict[str, Any]:
    return {name: np.zeros(shape, "float32") for name, shape in shapes.items()}


def read(f: Callable[..., Any], params: Any, *shape: int, dtype: str = "float32") -> Program:
    return Function(f, params, np.zeros(shape, dtype), None, None, None, 0).program


def site(f: Callable[..., Any], params: Any, *shape: int, **keywords: Any) -> Site:
    (found,) = read(f, params, *shape, **keywords).sites
    return found


def convolve(x: Any, w: Any, stride: int = 1, dilation: int = 1, groups: int = 1) -> Any:
    numbers = ("NHWC", "HWIO", "NHWC")
    padding = "SAME" if dilation == 1 else ((2, 2), (2, 2))
    return jax.lax.conv_general_dilated(
        x, w, (stride, stride), padding, (dilation, dilation), None, numbers, groups
    )


# ------------------------------------------------------------------ fans and geometry


@pytest.mark.parametrize(
    ("f", "kernel", "data", "fans", "groups"),
    [
        (lambda p, x: x @ p["w"], (5, 7), (4, 5), (5, 7), 1),
        (lambda p, x: x @ p["w"].T, (7, 5), (4, 5), (5, 7), 1),
        (lambda p, x: jax.vmap(lambda r: p["w"] @ r)(x), (7, 5), (4, 5), (5, 7), 1),
        (lambda p, x: jnp.einsum("bth,hnd->btnd", x, p["w"]), (6, 2, 3), (4, 5, 6), (6, 6), 1),
        (lambda p, x: jnp.einsum("btnd,ndh->bth", x, p["w"]), (2, 3, 6), (4, 5, 2, 3), (6, 6), 1),
        (lambda p, x: jnp.einsum("ebi,eio->ebo", x, p["w"]), (4, 8, 32), (4, 3, 8), (8, 32), 4),
        (lambda p, x: convolve(x, p["w"]), (3, 3, 8, 16), (2, 9, 9, 8), (72, 144), 1),
        (lambda p, x: convolve(x, p["w"], stride=2), (3, 3, 8, 16), (2, 9, 9, 8), (72, 36), 1),
        (lambda p, x: convolve(x, p["w"], groups=4), (3, 3, 2, 16), (2, 9, 9, 8), (18, 36), 4),
        (lambda p, x: convolve(x, p["w"], groups=8), (3, 3, 1, 8), (2, 9, 9, 8), (9, 9), 8),
        # each output of a transposed convolution sees k² c / s² inputs: claims N20
        (lambda p, x: convolve(x, p["w"], dilation=2), (4, 4, 8, 16), (2, 9, 9, 8), (32, 256), 1),
    ],
)
def test_fans_are_what_the_operation_has(
    f: Any, kernel: Any, data: Any, fans: Any, groups: int
) -> None:
    found = site(f, zeros(w=kernel), *data)
    assert (found.fan_in, found.fan_out) == fans and found.groups == groups
    assert found.kernel.name == "w" and found.kernel.shape == kernel and not found.lookup


def test_a_table_is_a_lookup_and_so_is_what_it_is_tied_to_no_second_parameter() -> None:
    def f(p: Any, ids: Any) -> Any:
        return p["table"][ids] @ p["table"].T

    program = read(f, zeros(table=(50, 16)), 4, 6, dtype="int32")
    first, head = program.sites
    assert first.lookup and (first.fan_in, first.fan_out, first.units) == (1, 16, 16)
    assert head.name == "table (call 2)" and (head.fan_in, head.fan_out) == (16, 50)
    assert [root.kind for root in program.roots] == ["lookup"]


def drawn(kernel: Any, shape: tuple[int, ...]) -> Any:
    """The kernel's entries in the site's order."""
    return np.arange(np.prod(shape)).reshape(shape).reshape(-1)[kernel.index()]


def test_the_index_says_which_entry_is_which() -> None:
    numbers = np.arange(35).reshape(5, 7)
    assert np.array_equal(
        drawn(site(lambda p, x: x @ p["w"], zeros(w=(5, 7)), 2, 5).kernel, (5, 7)), [numbers.T]
    )
    turned = site(lambda p, x: x @ p["w"].T, zeros(w=(5, 7)), 2, 7)
    assert np.array_equal(drawn(turned.kernel, (5, 7)), [numbers])
    window = site(lambda p, x: convolve(x, p["w"], groups=2), zeros(w=(3, 3, 2, 6)), 2, 9, 9, 4)
    found = drawn(window.kernel, (3, 3, 2, 6))
    assert found.shape == (2, 3, 2, 3, 3)
    whole = np.arange(108).reshape(3, 3, 2, 6)
    assert found[1, 2, 0, 1, 2] == whole[1, 2, 0, 5]


def test_packed_kernels_are_told_apart() -> None:
    def split(p: Any, x: Any) -> Any:
        q, k, v = jnp.split(x @ p["w"] + p["b"], 3, axis=-1)
        return jax.nn.softmax(q @ k.T) @ v

    packed = read(split, zeros(w=(4, 12), b=(12,)), 6, 4)
    assert packed.sites[0].blocks == 3 and packed.sites[0].fan_out == 4

    def sliced(p: Any, x: Any) -> Any:
        return jnp.tanh(x @ p["w"][:, :4]) @ p["w"][:, 4:]

    first, second = read(sliced, zeros(w=(4, 8)), 6, 4).sites
    numbers = np.arange(32).reshape(4, 8)
    assert np.array_equal(drawn(first.kernel, (4, 8))[0], numbers[:, :4].T)
    assert np.array_equal(drawn(second.kernel, (4, 8))[0], numbers[:, 4:].T)

    def joined(p: Any, x: Any) -> Any:
        return x @ jnp.concatenate([p["a"], p["b"]], axis=1)

    both = site(joined, zeros(a=(4, 3), b=(4, 5)), 6, 4)
    assert {kernel.name for kernel in both.kernels} == {"a", "b"}
    for kernel in both.kernels:
        assert kernel.index is not None
        assert (kernel.index() == -1).sum() == {"a": 20, "b": 12}[kernel.name]


# ------------------------------------------------------------------ transforms of weights


def weight_norm(p: Any, x: Any) -> Any:
    return x @ (p["g"] * p["v"] / jnp.linalg.norm(p["v"], axis=0))


def standardized(p: Any, x: Any) -> Any:
    w = p["w"] - p["w"].mean(0)
    return x @ (w / jnp.sqrt((w**2).mean(0) + 1e-5))


def spectral(p: Any, x: Any) -> Any:
    u = jax.lax.stop_gradient(p["w"] @ p["u"])
    v = u / jnp.linalg.norm(u)
    return x @ (p["w"] / (v @ p["w"] @ (p["u"] / jnp.linalg.norm(p["u"]))))


@pytest.mark.parametrize(
    ("f", "shapes", "powers"),
    [
        (lambda p, x: x @ (2 * p["w"]), {"w": (6, 5)}, {"w": 1}),
        (lambda p, x: x @ p["w"].astype("bfloat16").astype("float32"), {"w": (6, 5)}, {"w": 1}),
        (weight_norm, {"v": (6, 5), "g": (5,)}, {"v": 0, "g": 1}),
        (standardized, {"w": (6, 5)}, {"w": 0}),
        (spectral, {"w": (6, 5), "u": (5,)}, {"w": 0, "u": 0}),
        (
            lambda p, x: x @ (p["w"] + p["a"] @ p["b"]),
            {"w": (6, 5), "a": (6, 2), "b": (2, 5)},
            {"w": 1, "a": 0, "b": 0},
        ),
    ],
)
def test_the_power_of_each_parameter_in_the_effective_kernel(
    f: Any, shapes: Any, powers: dict[str, float]
) -> None:
    found = site(f, zeros(**shapes), 4, 6)
    assert {kernel.name: kernel.power for kernel in found.kernels} == powers
    main = found.kernel
    assert main.shape == (6, 5) and main.index is not None
    assert np.array_equal(drawn(main, (6, 5))[0], np.arange(30).reshape(6, 5).T)


# ------------------------------------------------------------------ what lies between two sites


@pytest.mark.parametrize(
    ("act", "expected"),
    [
        (jax.nn.relu, lambda z: np.maximum(z, 0)),
        (jax.nn.silu, lambda z: z / (1 + np.exp(-z))),
        (lambda z: z * jax.nn.sigmoid(1.702 * z), lambda z: z / (1 + np.exp(-1.702 * z))),
        (lambda z: jnp.where(z > 0, z, 0.2 * z), lambda z: np.where(z > 0, z, 0.2 * z)),
        (lambda z: jnp.sin(30 * z), lambda z: np.sin(30 * z)),
        (jax.nn.gelu, None),
        (jax.nn.softplus, lambda z: np.log1p(np.exp(z))),
    ],
)
def test_the_activation_is_the_program_that_stands_there(act: Any, expected: Any) -> None:
    def f(p: Any, x: Any) -> Any:
        h = act(x @ p["w0"] + p["b"])
        return h @ p["w1"]

    first, second = read(f, zeros(w0=(5, 6), w1=(6, 3), b=(6,)), 4, 5).sites
    if expected is None:
        expected = lambda z: np.asarray(act(jnp.asarray(z)))  # noqa: E731
    assert first.before.linear and second.after.linear
    assert np.allclose(second.before(NEAR), expected(NEAR), atol=1e-5)
    assert first.after is second.before


def test_pooling_moves_masks_and_scales_are_looked_through() -> None:
    def f(p: Any, x: Any) -> Any:
        h = jax.nn.relu(0.5 * (p["s"] * convolve(x, p["w0"]) + p["b"]))
        h = jax.lax.reduce_window(h, -jnp.inf, jax.lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
        h = jnp.where(p["keep"] > 0, h.transpose(0, 3, 1, 2), 0.0).reshape(2, -1)
        return h @ p["w1"]

    shapes = {"w0": (3, 3, 2, 4), "w1": (64, 3), "b": (4,), "s": (4,), "keep": (2, 4, 4, 4)}
    second = read(f, zeros(**shapes), 2, 8, 8, 2).sites[1]
    assert np.allclose(second.before(NEAR), np.maximum(NEAR / 2, 0))


def test_sums_and_gates_are_no_activations() -> None:
    def gated(p: Any, x: Any) -> Any:
        a, b = jnp.split(x @ p["w0"], 2, axis=1)
        return (a * jax.nn.sigmoid(b)) @ p["w1"]

    assert read(gated, zeros(w0=(5, 12), w1=(6, 3)), 4, 5).sites[1].before.linear

    def residual(p: Any, x: Any) -> Any:
        return (x + jax.nn.relu(x @ p["w0"])) @ p["w1"]

    first, second = read(residual, zeros(w0=(5, 5), w1=(5, 3)), 4, 5).sites
    assert second.before.linear and second.summed == 1
    assert first.cut is False and second.cut and second.reads_data and second.parents == (0,)


# ------------------------------------------------------------------ roots


def layer_norm(h: Any) -> Any:
    return (h - h.mean(-1, keepdims=True)) / jnp.sqrt(h.var(-1, keepdims=True) + 1e-3)


@pytest.mark.parametrize(
    ("between", "kind"),
    [
        (layer_norm, "normalizer"),
        (lambda h: h / jnp.sqrt((h**2).mean(-1, keepdims=True) + 1e-3), "normalizer"),
        (lambda h: (h - h.mean(0)) * jax.lax.rsqrt(h.var(0) + 1e-3), "normalizer"),
        (lambda h: h / (jnp.linalg.norm(h, axis=-1, keepdims=True) + 1e-6), "normalizer"),
        (lambda h: layer_norm(jnp.tanh(h)), "normalizer"),
        (lambda h: layer_norm(jax.nn.gelu(h)), "normalizer"),
        (lambda h: jax.nn.softmax(h), "softmax"),
        (jnp.tanh, None),
        (lambda h: h / (1 + jnp.abs(h)), None),
        (lambda h: h * jax.nn.sigmoid(h.mean(-1, keepdims=True)), None),
        (lambda h: h - h.mean(-1, keepdims=True), None),
        (lambda h: h / 7.0, None),
    ],
)
def test_a_normalizer_is_what_takes_the_scale_away(between: Any, kind: str | None) -> None:
    program = read(lambda p, x: between(x @ p["a"]) @ p["b"], zeros(a=(5, 8), b=(8, 3)), 4, 5)
    first, second = program.sites
    kinds = [program.roots[i].kind for i in second.roots]
    assert kinds == [kind or "input"] and first.normalized == (kind is not None)


def test_scales_are_inherited_by_sums_and_not_from_gates() -> None:
    def f(p: Any, x: Any) -> Any:
        h = x @ p["a"]
        h = h + layer_norm(h) @ p["b"]  # the sum has both roots
        return (h * jax.nn.sigmoid(layer_norm(h) @ p["gate"])) @ p["c"]

    program = read(f, zeros(a=(5, 8), b=(8, 8), gate=(8, 8), c=(8, 3)), 4, 5)
    kinds = [[program.roots[i].kind for i in s.roots] for s in program.sites]
    assert kinds == [["input"], ["normalizer"], ["normalizer"], ["input", "normalizer"]]
    assert [s.summed for s in program.sites] == [2, 2, 1, 1]


def test_every_path_must_lead_through_a_cut() -> None:
    def towers(p: Any, x: Any) -> Any:
        return jnp.concatenate([jnp.tanh(x @ p["a"]), jnp.tanh(x @ p["b"])], 1) @ p["head"]

    cuts = [s.cut for s in read(towers, zeros(a=(5, 4), b=(5, 4), head=(8, 3)), 4, 5).sites]
    assert cuts == [False, False, True]


# ------------------------------------------------------------------ loops and branches


def twice(f: Callable[[Any, Any], Any]) -> Program:
    return read(lambda p, x: f(p, x) @ p["head"], zeros(w=(6, 6), head=(6, 2)), 4, 6)


def layer(p: Any, h: Any) -> Any:
    return jax.nn.relu(h @ p["w"])


LOOPS: dict[str, tuple[Callable[[Any, Any], Any], int]] = {
    "fori": (lambda p, x: jax.lax.fori_loop(0, 5, lambda _, h: layer(p, h), x), 5),
    "scan": (lambda p, x: jax.lax.scan(lambda h, _: (layer(p, h), None), x, None, 5)[0], 5),
    "while": (
        lambda p, x: jax.lax.while_loop(
            lambda s: s[0] < 5, lambda s: (s[0] + 1, layer(p, s[1])), (0, x)
        )[1],
        5,
    ),
    "map": (lambda p, x: jax.lax.map(lambda r: layer(p, r), x), 4),
    "vmap": (lambda p, x: jax.vmap(lambda r: layer(p, r))(x), 1),
    "remat": (lambda p, x: jax.checkpoint(layer)(p, x), 1),
    "jit": (lambda p, x: jax.jit(layer)(p, x), 1),
}


@pytest.mark.parametrize("kind", LOOPS)
def test_sites_in_loops(kind: str) -> None:
    f, steps = LOOPS[kind]
    program = twice(f)
    inner, head = program.sites
    deep = steps if kind in ("fori", "scan", "while") else 1
    assert (inner.steps, inner.recurrent, inner.depth) == (steps, deep > 1, deep)
    assert head.depth == deep + 1 == program.depth
    assert np.allclose(head.before(NEAR), np.maximum(NEAR, 0))
    assert [program.roots[i].kind for i in head.roots] == ["input"]


def test_the_state_of_a_recurrence_is_a_root() -> None:
    def f(p: Any, x: Any) -> Any:
        def step(h: Any, row: Any) -> Any:
            return jnp.tanh(row @ p["w"] + h @ p["u"]), None

        h, _ = jax.lax.scan(step, jnp.zeros((4, 6)), x.swapaxes(0, 1))
        return h @ p["head"]

    program = read(f, zeros(w=(3, 6), u=(6, 6), head=(6, 2)), 4, 7, 3)
    inputs, state, head = program.sites
    assert [program.roots[i].kind for i in state.roots] == ["state"]
    assert state.recurrent and not inputs.recurrent and (inputs.summed, state.summed) == (2, 2)
    assert inputs.cut and not state.cut and head.depth == 8 and state.kernel.layers == 1
    assert np.allclose(state.before(NEAR), np.tanh(NEAR))


def test_a_bias_that_a_gate_closes_with_the_state_is_no_factor() -> None:
    """As a GRU has it: were it one, noise would take the place of its zeros in the audit."""

    def f(p: Any, x: Any) -> Any:
        def step(h: Any, row: Any) -> Any:
            r = jax.nn.sigmoid(row @ p["w"])
            return jnp.tanh(row @ p["w"] + r * (h @ p["u"] + p["bias"])), None

        return jax.lax.scan(step, jnp.zeros((4, 6)), x.swapaxes(0, 1))[0]

    assert read(f, zeros(w=(3, 6), u=(6, 6), bias=(6,)), 4, 7, 3).factors == ("u", "w")


def test_what_is_made_of_a_table_and_added_is_neither_a_bias_nor_apart() -> None:
    def f(p: Any, x: Any) -> Any:
        return x @ p["w"] + jnp.tanh(p["places"]) + jnp.tanh(p["b"])

    program = read(f, zeros(w=(3, 6), places=(7, 6), b=(6,)), 4, 7, 3)
    assert program.beside == program.unused == program.shifts == ()


def test_stacked_layers_are_scanned_and_each_step_has_its_own_entries() -> None:
    def f(p: Any, x: Any) -> Any:
        return jax.lax.scan(lambda h, w: (jax.nn.relu(h @ w), None), x, p["w"])[0]

    found = site(f, zeros(w=(5, 6, 6)), 4, 6)
    assert found.kernel.index is not None
    entries = np.arange(180).reshape(5, 6, 6).transpose(0, 2, 1)
    assert found.steps == 5 and np.array_equal(found.kernel.index(), entries)
    assert found.kernel.layers == 5


def test_both_branches_are_read() -> None:
    def f(p: Any, x: Any) -> Any:
        h = jax.lax.cond(x.sum() > 0, lambda: x @ p["a"], lambda: jnp.tanh(x @ p["b"]))
        return h @ p["head"]

    program = read(f, zeros(a=(6, 6), b=(6, 6), head=(6, 2)), 4, 6)
    assert sorted(s.name for s in program.sites) == ["a", "b", "head"]
    assert program.sites[2].parents == (0, 1) and [s.cut for s in program.sites] == [0, 0, 1]


# ------------------------------------------------------------------ who takes part


def test_what_no_site_uses_is_named_and_what_only_shifts_is_not() -> None:
    def f(p: Any, x: Any) -> Any:
        return (x + p["position"]) @ p["w"] * p["gain"]

    program = read(f, zeros(w=(5, 3), position=(4, 5), aux=(5, 9), gain=(3,)), 4, 5)
    assert program.unused == ("aux",) and set(program.factors) == {"w", "gain"}


def test_dead_code_is_no_site() -> None:
    def f(p: Any, x: Any) -> Any:
        x @ p["aux"]
        return x @ p["w"]

    assert read(f, zeros(w=(5, 3), aux=(5, 9)), 4, 5).unused == ("aux",)


def test_kernels_that_no_gradient_reaches_are_named() -> None:
    def f(p: Any, x: Any) -> Any:
        return jax.lax.stop_gradient(jnp.tanh(x @ p["a"])) @ jax.lax.stop_gradient(p["b"]) @ p["c"]

    assert read(f, zeros(a=(5, 5), b=(5, 5), c=(5, 5)), 4, 5).stopped == ("a", "b")


@pytest.mark.parametrize("mapped", [False, True])
def test_kernels_that_data_choose_are_kernels(mapped: bool) -> None:
    def f(p: Any, x: Any) -> Any:
        if mapped:
            one = lambda row: row @ p["experts"][jnp.argmax(row @ p["router"])]  # noqa: E731
            return jax.vmap(one)(x)
        chosen = p["experts"][jnp.argmax(x @ p["router"], axis=1)]
        return jnp.einsum("bi,bio->bo", x, chosen)

    router, expert = read(f, zeros(router=(5, 3), experts=(3, 5, 7)), 4, 5).sites
    assert not expert.lookup and expert.name == "experts" and expert.fan_in == 5
    assert router.name == "router"


def test_experts_may_be_groups_of_rows_or_branches_for_each_example() -> None:
    def ragged(p: Any, x: Any) -> Any:
        return jax.lax.ragged_dot(x, p["w"], jnp.array([2, 2, 2]))

    found = site(ragged, zeros(w=(3, 8, 5)), 6, 8)
    assert (found.fan_in, found.fan_out, found.groups, found.units) == (8, 5, 3, 5)

    def mapped(p: Any, x: Any) -> Any:
        one = lambda r: jax.lax.cond(r[0] > 0, lambda: r @ p["a"], lambda: r @ p["b"])  # noqa: E731
        return jax.vmap(one)(x)

    sites = read(mapped, zeros(a=(8, 8), b=(8, 8)), 4, 8).sites
    assert sorted(s.name for s in sites) == ["a", "b"] and {s.fan_in for s in sites} == {8}


@pytest.mark.filterwarnings("ignore:(overflow|invalid value) encountered")
def test_growth_is_measured_far_out() -> None:
    powers: dict[float, Any] = {
        0: np.tanh,
        0.5: np.sqrt,
        1: np.abs,
        2: np.square,
        -0.5: lambda x: x**-0.5,
    }
    for power, function in powers.items():
        assert growth(function) == power
    assert growth(lambda x: np.maximum(-x, 0)) == 1
    assert growth(np.exp) > 1e6


def test_an_elementwise_program_may_be_nothing() -> None:
    assert Elementwise().linear and np.array_equal(Elementwise()(NEAR), NEAR)
