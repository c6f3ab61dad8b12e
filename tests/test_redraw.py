"""What `reinitialize` draws: by the site, by the activation before it, all or nothing."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from winit import activations, redraw
from winit.program import POINTS, Elementwise, Kernel, Measured, Program, Root, Site
from winit.redraw import Plan

RELU = Elementwise(activations.relu(POINTS))


def kernel(shape: tuple[int, ...], order: tuple[int, ...] = (1, 0), **more: Any) -> Kernel:
    """A kernel named w whose axes are moved by `order` to (outputs, inputs, *window)."""

    def index() -> Any:
        return np.arange(math.prod(shape)).reshape(shape).transpose(order)[None]

    return Kernel(more.pop("name", "w"), shape, index=index, **more)


def site(**over: Any) -> Site:
    """A dense kernel of 300 inputs and 200 units in the middle of a net."""
    known: dict[str, Any] = {
        "name": "w",
        "kernels": (kernel((300, 200)),),
        "lookup": False,
        "fan_in": 300,
        "fan_out": 200,
        "units": 200,
        "before": RELU,
        "roots": (0,),
    }
    return Site(**(known | over))


def planned(*sites: Site) -> list[Plan]:
    return redraw.plan(Program(sites, (Root("x", "input"),), len(sites)))


class Model:
    """Parameters by name, and what a framework knows of them."""

    def __init__(self, *sites: Site, **more: Any) -> None:
        self.name = "model"
        self.program = Program(sites, (Root("x", "input"),), len(sites), unused=("aux",))
        self.arrays = {k.name: np.ones(k.shape) for s in sites for k in s.kernels}
        self.arrays |= {"bias": np.ones(3), "aux": np.ones((2, 2)), "other": np.ones(2)}
        self.parameters = {name: value.shape for name, value in self.arrays.items()}
        self.left: dict[str, str] = more.get("left", {})
        self.sign: str = more.get("sign", "")
        self.fails: str = more.get("fails", "")

    def measure(self, *_: Any, **__: Any) -> Measured:
        raise AssertionError("reinitialize runs nothing")

    def value(self, name: str) -> Any:
        return self.arrays[name]

    def assign(self, name: str, value: Any) -> None:
        if name == self.fails and not np.all(value == 1):
            raise KeyboardInterrupt
        self.arrays[name] = value

    def start(self, name: str) -> tuple[Any, str] | None:
        return (np.zeros(3), "zeros") if name == "bias" else None

    def kept(self, name: str) -> str:
        return self.left.get(name, "")

    def trained(self) -> str:
        return self.sign

    def refresh(self, drawn: Any) -> dict[str, str]:
        return {}


# ------------------------------------------------------------------ the plan


@pytest.mark.parametrize("name", sorted(activations.ACTIVATIONS))
def test_activations_are_known_by_what_they_do(name: str) -> None:
    phi = activations.get(name)
    assert redraw.activation(Elementwise(phi(POINTS))).name in (name, phi.name)


def test_an_activation_of_ones_own_is_tabulated() -> None:
    made = redraw.activation(Elementwise(np.tanh(POINTS) ** 2))
    z = np.linspace(-3, 3, 100)
    assert made.name == "own function" and np.allclose(made(z), np.tanh(z) ** 2, atol=1e-4)
    slope = redraw.activation(Elementwise(np.where(POINTS > 0, POINTS, 0.3 * POINTS)))
    assert slope.name == "leaky_relu(0.3)"
    assert redraw.activation(Elementwise()).name == "linear"
    assert redraw.activation(Elementwise(POINTS * np.nan)).name == "linear"


def test_the_kurtosis_of_an_activation_is_that_of_its_moments() -> None:
    """Of ReLU E z⁴ / 2 over (1 / 2)², of a line E z⁴, of a square E z⁸ over (E z⁴)²."""
    for phi, exact in (RELU, 6.0), (Elementwise(), 3.0), (Elementwise(POINTS**2), 105 / 9):
        assert abs(redraw.kurtosis(phi) / exact - 1) < 1e-3  # tables are straight between points
    assert 1 < redraw.kurtosis(Elementwise(np.tanh(POINTS))) < 3


def test_a_gain_is_in_the_arguments_own_unit() -> None:
    plain = redraw.gain(Elementwise(np.sin(POINTS)), 5)
    steep = redraw.gain(Elementwise(np.sin(30 * POINTS)), 5)
    assert steep == pytest.approx(plain / 30, rel=0.15)  # the flat minimum of another unit
    assert redraw.gain(Elementwise(3 * np.maximum(POINTS, 0)), 5) == pytest.approx(
        math.sqrt(2) / 3, rel=0.01
    )


def test_the_activation_before_answers_and_the_first_and_last_have_their_own_rules() -> None:
    first = site(reads_data=True, before=Elementwise())
    hidden, head = site(parents=(0,)), site(parents=(1,), head=True)
    plans = planned(first, hidden, head)
    assert [p.scheme for p in plans] == ["lecun_normal", "he_normal", "variance_scaling"]
    gains = [p.std * math.sqrt(300) for p in plans]
    assert gains == pytest.approx([1, math.sqrt(2), redraw.HEAD])
    assert str(plans[2]) == "variance_scaling, scale=0.01"


def test_a_gain_is_for_the_depth_that_follows_without_a_normalizer() -> None:
    silu = Elementwise(activations.silu(POINTS))
    deep = [site(before=silu, parents=(i - 1,) if i else ()) for i in range(30)]
    cut = [replace(s, roots=(i,)) for i, s in enumerate(deep)]
    assert redraw.runs(Program(tuple(deep), (), 30)) == [30] * 30
    assert redraw.runs(Program(tuple(cut), (), 30)) == [1] * 30
    assert planned(*deep)[3].std != planned(*cut)[3].std


def test_branches_are_divided_and_recurrent_kernels_are_orthogonal() -> None:
    (one,) = planned(site(summed=9))
    assert one.std * math.sqrt(300) == pytest.approx(math.sqrt(2 / 8))
    state = site(recurrent=True, steps=20, fed=True, summed=2, blocks=4, fan_in=50, units=200)
    (plan,) = planned(state)
    assert plan.scheme == "orthogonal" and plan.std == pytest.approx(1 / math.sqrt(50))
    (loop,) = planned(site(recurrent=True, steps=20))  # a loop used as depth
    assert loop.scheme == "he_normal"
    (shared,) = planned(site(recurrent=True, steps=8, summed=9))  # blocks that share their weights
    assert shared.std == one.std


def test_an_embedding_has_its_convention_and_a_tied_head_too() -> None:
    table = site(lookup=True, kernels=(kernel((50, 4000)),))
    head = site(head=True, kernels=table.kernels, parents=(0,))
    plans = planned(table, head)
    assert {p.scheme for p in plans} == {"uniform"} and math.isnan(plans[0].std)
    assert 4000 * plans[1].std ** 2 <= 1.0001  # logits of at most unit variance


# ------------------------------------------------------------------ drawing


def std(one: Site, plan: Plan) -> float:
    _, values = redraw.draw(one, plan, np.random.default_rng(0))
    return float(values.std())


@pytest.mark.parametrize(
    ("scheme", "options", "variance"),
    [
        ("he_normal", {}, 2 / 300),
        ("lecun_uniform", {}, 1 / 300),
        ("glorot_normal", {}, 2 / 500),
        ("variance_scaling", {"mode": "fan_out", "scale": 3.0}, 3 / 200),
        ("variance_scaling", {"mode": "fan_avg"}, 2 / 500),
        ("he_normal", {"mode": "fan_out"}, 2 / 200),
        ("normal", {"std": 0.3}, 0.09),
    ],
)
def test_fans_are_the_sites(scheme: str, options: dict[str, Any], variance: float) -> None:
    # 60,000 draws: the std of an estimated std is 1 / √120,000 of it (0.3 %), less when uniform
    assert std(site(), Plan(scheme, 1.0, options)) == pytest.approx(math.sqrt(variance), rel=0.012)


def test_what_strides_and_dilated_inputs_change_is_put_right() -> None:
    # a transposed convolution of kernel 4 and stride 2: each output sees a fourth of 16 taps
    taps = kernel((4, 4, 50, 60), (2, 3, 0, 1))
    one = site(kernels=(taps,), fan_in=240.0, fan_out=800.0, units=50)
    assert std(one, Plan("he_normal", 1.0)) == pytest.approx(math.sqrt(2 / 240), rel=0.02)
    assert std(one, Plan("glorot_normal", 1.0)) == pytest.approx(math.sqrt(2 / 1040), rel=0.02)


def test_gates_are_orthogonal_one_by_one_and_drawn_back_in_place() -> None:
    one = site(kernels=(kernel((50, 200)),), fan_in=50, units=200, blocks=4)
    index, values = redraw.draw(one, Plan("orthogonal", 1.0), np.random.default_rng(0))
    stored = np.empty((50, 200))
    stored.reshape(-1)[index] = values
    for gate in range(4):
        block = stored[:, 50 * gate : 50 * (gate + 1)]
        assert np.allclose(block @ block.T, np.eye(50))


def test_a_kernel_under_a_transform_is_drawn_entry_by_entry() -> None:
    hidden = Kernel("w", (300, 200), power=0.0)
    index, values = redraw.draw(
        site(kernels=(hidden,)), Plan("he_normal", 0.08), np.random.default_rng(0)
    )
    assert index is None and values.std() == pytest.approx(0.08, rel=0.012)


# ------------------------------------------------------------------ a whole model


def test_every_parameter_is_drawn_or_named() -> None:
    model = Model(site())
    texts = redraw.reinitialize(model, rng=0)
    assert texts == {
        "w": "he_normal",
        "bias": "zeros",
        "aux": "left: no site uses it",
        "other": "left: no convention is known",
    }
    assert model.arrays["w"].std() == pytest.approx(math.sqrt(2 / 300), rel=0.012)
    again = Model(site())
    redraw.reinitialize(again, rng=0)
    assert np.array_equal(again.arrays["w"], model.arrays["w"])
    redraw.reinitialize(again, "glorot_normal", rng=0, gain=2.0)
    assert again.arrays["w"].std() == pytest.approx(2 * math.sqrt(2 / 500), rel=0.012)


def test_shares_of_a_packed_kernel_are_drawn_at_their_own_sites() -> None:
    def share(k: int) -> Callable[[], Any]:
        whole = np.arange(300 * 400).reshape(300, 400)
        return lambda: whole[:, 200 * k : 200 * (k + 1)].T[None]

    parts = [Kernel("qk", (300, 400), index=share(k)) for k in range(2)]
    model = Model(*[site(kernels=(part,)) for part in parts])
    redraw.reinitialize(model, rng=0)
    left, right = np.split(model.arrays["qk"], 2, axis=1)
    for half in (left, right):
        assert half.std() == pytest.approx(math.sqrt(2 / 300), rel=0.012)
    assert not np.array_equal(left, right)


def test_a_kernel_at_two_places_is_drawn_once_for_the_place_that_shapes_it() -> None:
    first = site(reads_data=True, before=Elementwise())
    texts = redraw.reinitialize(Model(first, site(parents=(0,))), rng=0)
    assert texts["w"] == "he_normal"


def test_parameters_beside_a_kernel() -> None:
    main = Kernel("v", (300, 200), power=0.0, index=kernel((300, 200)).index, normed=True)
    length = Kernel("g", (200,), power=1.0)
    low = Kernel("lora_a", (300, 4), power=0.0)
    model = Model(site(kernels=(main, length, low)))
    texts = redraw.reinitialize(model, rng=0)
    assert np.allclose(model.arrays["g"], math.sqrt(2)) and texts["g"].startswith("constant")
    limit = np.abs(model.arrays["lora_a"]).max()
    assert 0.9 / math.sqrt(300) < limit <= 1 / math.sqrt(300)


def test_what_makes_kernels_with_others_is_left_and_named() -> None:
    shapes = {"h2": (64, 512), "h1": (8, 64), "z": (8,)}
    model = Model(site(kernels=tuple(Kernel(n, s) for n, s in shapes.items())))
    texts = redraw.reinitialize(model, rng=0)
    for name in shapes:
        assert texts[name] == "left: it makes a kernel together with others"
        assert (model.arrays[name] == 1).all()


def test_of_a_pair_one_starts_at_zero() -> None:
    low, high = Kernel("a", (300, 4), power=0.0), Kernel("b", (4, 200), power=0.0)
    for zeros, drawn in (("b", "a"), ("a", "b"), ("ab", "a"), ("", "a")):
        model = Model(site(kernels=(kernel((300, 200)), low, high)))
        for name in zeros:
            model.arrays[name][:] = 0
        redraw.reinitialize(model, rng=0)
        assert [n for n in "ab" if model.arrays[n].any()] == [drawn]


def test_what_is_frozen_or_given_is_left_unless_forced() -> None:
    model = Model(site(), left={"w": "frozen", "bias": "given as a constant"})
    texts = redraw.reinitialize(model, rng=0)
    assert texts["w"] == "left: frozen" and (model.arrays["w"] == 1).all()
    assert texts["bias"] == "left: given as a constant" and (model.arrays["bias"] == 1).all()
    assert redraw.reinitialize(model, rng=0, force=True)["w"] == "he_normal"
    assert not (model.arrays["w"] == 1).any()


def test_a_trained_model_is_refused_unless_forced() -> None:
    model = Model(site(), sign="its optimizer took 3 steps")
    with pytest.raises(ValueError, match=r"model looks trained .its optimizer took 3 steps"):
        redraw.reinitialize(model)
    redraw.reinitialize(model, force=True)


def test_all_or_nothing() -> None:
    model = Model(site(), fails="bias")
    with pytest.raises(KeyboardInterrupt):
        redraw.reinitialize(model, rng=0)
    assert all((value == 1).all() for value in model.arrays.values())


@pytest.mark.parametrize(
    ("arguments", "options", "words"),
    [
        (("auto",), {"gain": 2.0}, "options go with a named scheme"),
        (("he_norma",), {}, "Did you mean 'he_normal'"),
        (("he_normal",), {"gian": 2.0}, "an option of he_normal must be one of"),
        (("zeros",), {"std": 2.0}, "zeros takes no options"),
        (("constant",), {}, "constant needs the option 'value'"),
        (("normal",), {"std": -1.0}, "std must be 0 or larger"),
    ],
)
def test_bad_schemes_and_options_change_nothing(arguments: Any, options: Any, words: str) -> None:
    model = Model(site())
    with pytest.raises(ValueError, match=words):
        redraw.reinitialize(model, *arguments, **options)
    with pytest.raises(TypeError, match="force must be True or False, got 'yes'"):
        redraw.reinitialize(model, force="yes")  # type: ignore[arg-type]
    assert (model.arrays["w"] == 1).all()


def test_a_branch_that_starts_at_zero_stays_so_unless_forced() -> None:
    passed = {"body": True, "branch": True, "chain": False}
    model = Model(
        *(site(name=n, kernels=(kernel((300, 200), name=n),), passed=p) for n, p in passed.items())
    )
    for name in ("branch", "chain"):
        model.arrays[name] = np.zeros((300, 200))
    said = redraw.reinitialize(model, rng=0)  # type: ignore[arg-type]
    assert said["branch"] == "left: its branch starts at 0" and not model.value("branch").any()
    assert model.value("chain").any() and model.value("body").std() < 1
    redraw.reinitialize(model, rng=0, force=True)  # type: ignore[arg-type]
    assert model.value("branch").any()


def test_two_matrices_that_make_a_kernel_are_drawn_for_their_product() -> None:
    made = (Kernel("low", (300, 16)), Kernel("high", (16, 200)))
    model = Model(site(kernels=made))
    texts = redraw.reinitialize(model, rng=0)
    product = model.arrays["low"] @ model.arrays["high"]
    # Its std is that of both: each differs by 1 / √(2 · 3200), both by 4 of them and √2 in 0.07.
    assert product.std() == pytest.approx(math.sqrt(2 / 300), rel=0.07)
    assert texts["low"] == texts["high"] and texts["low"].startswith("normal, std=")
    kept = Model(site(kernels=made))
    assert redraw.reinitialize(kept, "he_normal", rng=0)["low"].startswith("left: it makes")
