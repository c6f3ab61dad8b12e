"""The audit of PyTorch modules: what it takes, what it leaves unchanged, and what it says."""

from __future__ import annotations

import copy
import itertools
import math
import random
import re
import statistics
import warnings
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pytest
import pytorch

pytorch.needed()

import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402
from torch import Tensor, nn  # noqa: E402
from torch.nn.utils import parametrizations, prune  # noqa: E402
from torch.utils.checkpoint import checkpoint  # noqa: E402

import winit  # noqa: E402
from winit import reader, redraw  # noqa: E402
from winit.torch import Module, _disjoint, audit, reinitialize  # noqa: E402


@pytest.fixture(autouse=True)
def seeded() -> Any:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


WIDE = torch.randn(32, 64, generator=torch.Generator().manual_seed(5))


class Made(nn.Module):
    """A module of parts and of a function of them and the inputs."""

    def __init__(self, forward: Any, **parts: Any) -> None:
        super().__init__()
        for name, part in parts.items():
            setattr(self, name, part)
        self.run = forward

    def forward(self, *args: Any, **words: Any) -> Any:
        return self.run(self, *args, **words)


def mlp() -> nn.Sequential:
    return nn.Sequential(nn.Linear(12, 24), nn.ReLU(), nn.Dropout(0.3), nn.Linear(24, 4))


X = torch.randn(8, 12, generator=torch.Generator().manual_seed(5))
Y = torch.arange(8) % 4


def moments(module: nn.Module, x: Any = X, **options: Any) -> dict[str, float]:
    return {row.name: row.z2 for row in audit(module, x, **options).rows}


# ------------------------------------------------------------------ numbers


def test_numbers_are_those_of_hooks() -> None:
    """In place activations after z, and biases that are no part of it."""
    module = nn.Sequential(nn.Linear(12, 24), nn.ReLU(inplace=True), nn.Linear(24, 4))
    loss = nn.CrossEntropyLoss()
    h = X @ module[0].weight.T
    z = h.detach().clone().requires_grad_()
    found = loss(F.relu(z + module[0].bias) @ module[2].weight.T + module[2].bias, Y)
    gradient = torch.autograd.grad(found, [z, module[2].weight], allow_unused=True)
    report = audit(module, X, Y, loss)
    first, last = report.rows
    assert report.loss == pytest.approx(found.detach().item(), rel=1e-6)
    assert first.z2 == pytest.approx(h.detach().double().square().mean().item(), rel=1e-6)
    assert first.g2 == pytest.approx(float(gradient[0].double().square().mean()), rel=1e-5)
    assert first.x2 == pytest.approx(float(X.double().square().mean()), rel=1e-6)
    effect = (module[2].weight.var(correction=0) * gradient[1].square().sum()).detach()
    assert last.effect == pytest.approx(effect.item(), rel=1e-5)
    varies = X.double().var(0).mean() / X.double().square().mean()
    assert first.x_share == pytest.approx(float(varies), rel=1e-5)


def test_fans_are_those_of_the_operation() -> None:
    x = torch.randn(4, 8, 9, 9)
    module = nn.Sequential(
        nn.Conv2d(8, 16, 3, stride=2, groups=4),
        nn.ConvTranspose2d(16, 8, 4, stride=2, groups=2),
        nn.Conv2d(8, 8, 3, groups=8),
    )
    rows = audit(module, x).rows
    # 2 inputs by 9 taps; 4 outputs by 9 taps, a fourth of which an input meets; transposed, the
    # other way round.
    fans = [(row.fan_in, row.fan_out) for row in rows]
    assert fans == [(18, 9), (8 * 4, 4 * 16), (9, 9)]
    assert [row.units for row in rows] == [16, 8, 8]
    bare = Made(
        lambda m, x: torch.einsum("bd,edh->beh", x, m.w), w=nn.Parameter(torch.ones(4, 8, 32))
    )
    (row,) = audit(bare, torch.randn(6, 8)).rows
    assert (row.fan_in, row.fan_out) == (8, 32) or (row.fan_in, row.fan_out) == (8, 4 * 32)


def test_a_loop_is_one_site_with_steps() -> None:
    cell = nn.RNNCell(12, 16)

    def run(m: Any, x: Tensor) -> Tensor:
        h = x.new_zeros(len(x), 16)
        for t in range(5):
            h = m.cell(x[:, t], h)
        return h

    x = torch.randn(8, 5, 12)
    rolled = Module(Made(run, cell=cell), x, None, None, None, 0)
    names = {site.kernel.name: site for site in rolled.program.sites}
    assert {name: (s.steps, s.recurrent) for name, s in names.items()} == {
        "cell.weight_ih": (5, False),
        "cell.weight_hh": (5, True),
    }
    fused = nn.RNN(12, 16, batch_first=True)
    with torch.no_grad():
        for name, value in cell.named_parameters():
            getattr(fused, f"{name}_l0").copy_(value)
    one, two = rolled.measure(), Module(fused, x, None, None, None, 0).measure()
    there = [site.kernel.name for site in rolled.program.sites].index("cell.weight_hh")
    here = 1 - [len(steps) for steps in two.x_steps].index(1)
    assert one.x_steps[there] == pytest.approx(two.x_steps[here], rel=1e-5)
    assert one.x_steps[there][0] == 0.0


def test_experts_that_are_picked_share_one_kernel() -> None:
    def run(m: Any, x: Tensor) -> Tensor:
        share, pick = m.gate(x).softmax(-1).max(-1)
        return torch.bmm(x[:, None], m.experts[pick])[:, 0] * share[:, None]

    module = Made(run, gate=nn.Linear(12, 3), experts=nn.Parameter(torch.randn(3, 12, 5)))
    rows = {row.name: row for row in audit(module, X).rows}
    assert (rows["experts"].fan_in, rows["experts"].fan_out) == (12, 5)
    # Eight picks of three kernels of 60 draws each: 4 standard deviations, 4 / √(2 · 60).
    assert rows["experts"].std == pytest.approx(module.experts.std().item(), rel=0.37)


# ------------------------------------------------------------------ what it takes


@dataclass
class Outputs:
    logits: Tensor
    extra: Any = None


SHAPES = {
    "dict": lambda o: {"logits": o, "n": 3},
    "tuple": lambda o: (o, None),
    "dataclass": Outputs,
}


@pytest.mark.parametrize("shape", SHAPES)
def test_outputs_of_any_shape(shape: str) -> None:
    net, wrap = mlp().eval(), SHAPES[shape]
    read = {
        "dict": lambda o: o["logits"],
        "tuple": lambda o: o[0],
        "dataclass": lambda o: o.logits,
    }[shape]
    loss = lambda o, y: F.cross_entropy(read(o), y)  # noqa: E731
    report = audit(Made(lambda m, x: wrap(m.net(x)), net=net), X, Y, loss)
    plain = audit(net, X, Y, nn.CrossEntropyLoss())
    assert (report.loss, report.blind) == (plain.loss, plain.blind)
    assert [row.g2 for row in report.rows] == [row.g2 for row in plain.rows]


def test_arguments_by_place_and_by_name() -> None:
    def run(m: Any, a: Tensor, b: Tensor, scale: float = 1.0) -> Tensor:
        return m.net(a) + scale * m.net(b)

    class Two(Made):
        def forward(self, a: Tensor, b: Tensor, scale: float = 1.0) -> Any:
            return run(self, a, b, scale)

    module = Two(None, net=mlp().eval())
    by_place = audit(module, (X, 2 * X, 0.5))
    by_name = audit(module, {"a": X, "b": 2 * X, "scale": 0.5})
    assert [row.z2 for row in by_place.rows] == [row.z2 for row in by_name.rows]
    assert by_place.inputs.keys() == {"0", "1"} and by_name.inputs.keys() == {"a", "b"}
    assert [row.name for row in by_place.rows][2:] == [
        "net.0.weight (call 2)",
        "net.3.weight (call 2)",
    ]


def test_arrays_of_numpy_are_taken() -> None:
    assert moments(mlp().eval(), X.double().numpy()).keys() == {"0.weight", "3.weight"}


def test_modes_are_those_that_the_parts_are_in() -> None:
    module = nn.Sequential(nn.Linear(12, 6), nn.BatchNorm1d(6), nn.Linear(6, 4))
    assert moments(module)["2.weight"] != moments(module.eval())["2.weight"]
    assert moments(module, training=True) == moments(module.train())
    assert moments(module.eval(), training=True) != moments(module)


def test_frozen_parameters_are_measured_too() -> None:
    module = mlp().eval()
    before = [row.effect for row in audit(module, X).rows]
    module[0].requires_grad_(False)
    assert [row.effect for row in audit(module, X).rows] == before
    assert not module[0].weight.requires_grad


def test_half_precision() -> None:
    net = mlp().eval()
    whole, half = moments(net), moments(copy.deepcopy(net).bfloat16(), X.bfloat16())

    def cast(m: Any, x: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return m.net(x).float()

    auto = moments(Made(cast, net=net))
    # Roundings of 2⁻⁹ in weights, inputs and results, which are independent.
    assert [*half.values()] == pytest.approx([*whole.values()], rel=0.01)
    assert [*auto.values()] == pytest.approx([*whole.values()], rel=0.01)


@pytest.mark.parametrize("reentrant", [True, False])
def test_checkpointing_changes_nothing(reentrant: bool) -> None:
    net = mlp()
    plain = audit(Made(lambda m, x: m.net(x), net=net), X)
    run = lambda m, x: checkpoint(m.net, x, use_reentrant=reentrant)  # noqa: E731
    again = audit(Made(run, net=net), X)
    assert [(r.z2, r.g2) for r in plain.rows] == [(r.z2, r.g2) for r in again.rows]
    assert "apply" not in vars(torch.utils.checkpoint.CheckpointFunction)


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")  # what compiling loads
def test_wrapped_modules_keep_their_own_names() -> None:
    net = mlp().eval()
    assert moments(nn.DataParallel(net)) == moments(net)
    compiled = torch.compile(net)
    assert moments(compiled) == moments(net)
    nested = nn.Sequential(compiled, nn.Linear(4, 4))
    assert moments(nested).keys() >= {"0._orig_mod.0.weight", "1.weight"}


def test_weights_that_are_made_of_others() -> None:
    weight = parametrizations.weight_norm(nn.Linear(12, 24))
    spectral = parametrizations.spectral_norm(nn.Linear(24, 4))
    program = Module(nn.Sequential(weight, nn.ReLU(), spectral), X, None, None, None, 0).program
    first, last = program.sites
    powers = {kernel.name.rpartition(".")[2]: kernel.power for kernel in first.kernels}
    assert powers == {"original1": 0.0, "original0": 1.0}
    assert last.kernel.power == 0.0


def test_writes_through_views_carry_the_data() -> None:
    def run(m: Any, x: Tensor) -> Tensor:
        out = x.new_zeros(len(x), 3, 12)
        for t in range(3):
            out[:, t] = m.net(x)
        return m.head(out.flatten(1))

    module = Made(run, net=nn.Linear(12, 12), head=nn.Linear(36, 2))
    sites = Module(module, X, None, None, None, 0).program.sites
    assert sites[-1].kernel.name == "head.weight" and len(sites[-1].parents) == 3


def test_control_flow_that_another_scale_changes() -> None:
    """The first kernel is 100 times too large; put right, the data go another way."""

    def run(m: Any, x: Tensor) -> Tensor:
        h = m.first(x)
        h = torch.tanh(m.big(h)) if h.abs().mean() > 5 else F.relu(m.small(h))
        return m.head(h)

    parts = {name: nn.Linear(12, 12) for name in ("first", "big", "small", "head")}
    with torch.no_grad():
        parts["first"].weight.mul_(1e4)
    report = audit(Made(run, **parts), X)
    assert report.findings[0].names == ("big.weight",)
    assert report.findings[0].changes == ("first.weight",)


def test_functional_code_and_transforms() -> None:
    module = Made(
        lambda m, x: torch.vmap(lambda v: F.relu(v) @ m.w)(x), w=nn.Parameter(torch.randn(12, 3))
    )
    (row,) = audit(module, X).rows
    assert (row.name, row.before, row.fan_in) == ("w", "relu", 12)


# ------------------------------------------------------------------ never changed


class Restless(nn.Module):
    """It changes all that it can: statistics, lists, tensors of its own, every random state."""

    def __init__(self, fails: bool = False) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(12, 8), nn.BatchNorm1d(8), nn.Dropout(), nn.Linear(8, 4))
        self.normed = parametrizations.spectral_norm(nn.Linear(4, 4))
        self.fails, self.seen, self.count, self.kept = fails, [], 0, {"last": torch.zeros(3)}
        self.generator = torch.Generator().manual_seed(3)
        self.own = np.random.default_rng(4)

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(float(x.sum()))
        self.count += 1
        self.kept["last"] += 1
        self.mode = "ran"
        x += random.random() + np.random.rand() + self.own.random()  # noqa: NPY002
        x = x + torch.rand(1, generator=self.generator)
        with torch.no_grad():
            self.net[0].weight.clamp_(-0.01, 0.01)
        self.net.eval()
        self.register_forward_hook(lambda *_: None)
        if self.fails:
            raise RuntimeError("in the middle")
        return self.normed(self.net(x))


def everything(module: nn.Module, x: Tensor) -> list[Any]:
    state = [*module.parameters(), *module.buffers(), x]
    return [
        [(id(t), t._version, t.requires_grad, t.detach().clone().numpy().tobytes()) for t in state],
        [None if t.grad is None else t.grad.clone() for t in state],
        [(m.training, sorted(vars(m)), len(m._forward_hooks)) for m in module.modules()],
        (
            copy.copy(module.seen),
            module.count,
            module.kept["last"].tolist(),
            id(module.kept["last"]),
        ),
        (torch.get_rng_state().tolist(), random.getstate(), str(np.random.get_state())),  # noqa: NPY002
        (module.generator.get_state().tolist(), module.own.bit_generator.state),
        torch.is_grad_enabled(),
    ]


@pytest.mark.parametrize("fails", [False, True])
def test_nothing_is_changed(fails: bool) -> None:
    module, x = Restless(fails), X.clone()
    sum(p.sum() for p in module.parameters()).backward()
    before = everything(module, x)
    if fails:
        with pytest.raises(RuntimeError, match="in the middle"):
            audit(module, x)
    else:
        first, second = str(audit(module, x)), str(audit(module, x))
        assert first == second
    assert repr(everything(module, x)) == repr(before)


def test_a_failing_loss_changes_nothing() -> None:
    module, x = Restless(), X.clone()
    before = everything(module, x)
    with pytest.raises(ValueError, match="y and loss do not fit the outputs of Restless"):
        audit(module, x, torch.zeros(8, 3), lambda o, y: (o - y).sum())
    assert repr(everything(module, x)) == repr(before)


# ------------------------------------------------------------------ reinitialize


def test_redraw_is_in_place_and_by_site() -> None:
    module = mlp()
    kept = {name: id(p) for name, p in module.named_parameters()}
    texts = reinitialize(module, x=X, rng=0)
    assert texts["0.weight"] == "lecun_normal" and texts["0.bias"] == "zeros"
    assert {name: id(p) for name, p in module.named_parameters()} == kept
    assert not module[0].bias.any()
    twin = mlp()
    reinitialize(twin, x=2 * X + 1, rng=0)
    assert torch.equal(twin[0].weight, module[0].weight)


def test_what_is_frozen_stays() -> None:
    table = torch.randn(9, 4)
    module = nn.Sequential(nn.Embedding.from_pretrained(table), nn.Flatten(), nn.Linear(12, 2))
    texts = reinitialize(module, x=torch.zeros(5, 3, dtype=torch.long), rng=0)
    assert texts["0.weight"] == "left: frozen" and torch.equal(module[0].weight, table)


def test_conventions_are_those_of_the_layers() -> None:
    module = nn.Sequential(nn.Linear(12, 6), nn.BatchNorm1d(6), nn.PReLU(), nn.LSTM(6, 5))
    with torch.no_grad():
        module[1].running_mean.fill_(3.0)
    texts = reinitialize(module, x=X, rng=0)
    assert texts["1.weight"] == "ones" and texts["1.running_mean"] == "zeros"
    assert texts["2.weight"] == "constant, value=0.25"
    assert texts["3.bias_ih_l0"] == "zeros, forget gate 1" and texts["3.bias_hh_l0"] == "zeros"
    assert module[3].bias_ih_l0.tolist() == [0.0] * 5 + [1.0] * 5 + [0.0] * 10
    recurrent = module[3].weight_hh_l0.detach().double().reshape(4, 5, 5)
    eye = torch.eye(5, dtype=torch.double).expand(4, 5, 5)
    assert torch.allclose(recurrent @ recurrent.mT, eye, atol=1e-6)


def test_what_no_reset_draws_was_given_and_stays() -> None:
    parts = nn.Linear(12, 32), nn.LayerNorm(32), nn.ReLU(), nn.Linear(32, 32), nn.PReLU()
    module = nn.Sequential(*parts, nn.Linear(32, 1))
    with torch.no_grad():
        for place, name, value in ((1, "weight", 0.1), (3, "bias", 0.01), (4, "weight", 0.5)):
            getattr(module[place], name).fill_(value)
        module[5].bias.fill_(-4.6)  # log-odds of one in a hundred
    texts = reinitialize(module, x=X, rng=0)
    left = {name: text for name, text in texts.items() if text.startswith("left")}
    assert left == {
        "1.weight": "left: given, value=0.1",
        "3.bias": "left: given, value=0.01",
        "4.weight": "left: given, value=0.5",
        "5.bias": "left: given, value=-4.6",
    }
    assert module[5].bias.item() == pytest.approx(-4.6) and (module[1].weight == 0.1).all()
    texts = reinitialize(module, x=X, rng=0, force=True)
    assert texts["5.bias"] == "zeros" and not module[5].bias.any() and (module[1].weight == 1).all()


def test_a_forget_gate_that_was_given_stays() -> None:
    module = nn.LSTM(6, 32)
    with torch.no_grad():
        module.bias_ih_l0.zero_()[32:64] = 2.0
    texts = reinitialize(module, x=torch.randn(5, 4, 6), rng=0)
    assert texts["bias_ih_l0"].startswith("left: given") and texts["bias_hh_l0"] == "zeros"
    assert (module.bias_ih_l0[32:64] == 2).all()


def test_of_a_forget_gate_that_was_given_the_draws_beside_it_say_nothing() -> None:
    module = nn.LSTM(6, 32)
    with torch.no_grad():
        module.bias_ih_l0[32:64] = 1.0  # as it starts
    texts = reinitialize(module, x=torch.randn(5, 4, 6), rng=0)
    assert texts["bias_ih_l0"] == "zeros, forget gate 1" and module.bias_ih_l0.sum() == 32


@pytest.mark.parametrize("values", [torch.rand(5) + 0.5, torch.ones(5), torch.ones(1) / 9])
@pytest.mark.parametrize("force", [False, True])
def test_divisors_and_thresholds_are_left_and_named(values: torch.Tensor, force: bool) -> None:
    class Divided(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.t = mlp(), nn.Parameter(values.clone())
            self.floor = nn.Parameter(torch.rand(12))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            made: torch.Tensor = self.body(x.abs().sub(self.floor).relu())
            return made[:, :1] / self.t

    module = Divided()
    texts = reinitialize(module, x=X, rng=0, force=force)
    assert texts["t"] == texts["floor"] == "left: no convention is known"
    assert (module.t == values).all() and module.floor.any()


def test_what_divisive_normalization_needs_is_left_and_named() -> None:
    class Divisive(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.head = nn.Conv2d(3, 8, 3), nn.Linear(8, 4)
            self.beta = nn.Parameter(torch.linspace(1, 2, 8))
            self.gamma = nn.Parameter(0.1 * torch.eye(8)[:, :, None, None])

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            made: torch.Tensor = self.conv(x)
            made = made * torch.rsqrt(F.conv2d(made**2, self.gamma, self.beta))
            made = self.head(made.mean((2, 3)))
            return made

    module, x = Divisive(), torch.randn(8, 3, 6, 6)
    texts = reinitialize(module, x=x, rng=0)
    left = {name for name, text in texts.items() if text.startswith("left")}
    assert left == {"beta", "gamma"} and "root" in texts["beta"] and texts["conv.bias"] == "zeros"
    module(x).square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in module.parameters())


STEPS = torch.tensor([0.001, 0.003, 0.01, 0.03, 0.1]).expm1().log()  # as in Mamba


@pytest.mark.parametrize("own", [True, False])
@pytest.mark.parametrize(
    ("reads", "value", "left"),
    [
        (F.softplus, STEPS, True),
        (torch.exp, STEPS / 2, True),
        (torch.sigmoid, torch.full((5,), -4.0), True),  # a highway's gate
        (torch.sigmoid, torch.full((5,), -20.0), False),
        (torch.sigmoid, torch.full((5,), -5.0), False),  # which the audit calls saturated
        (torch.sigmoid, torch.full((5,), 10.0), True),  # open
        (lambda z: 1 - z.sigmoid(), torch.full((5,), -8.0), True),
        (lambda z: 1 - z.sigmoid(), torch.full((5,), 8.0), False),
        (F.relu, torch.full((5,), -10.0), False),
        (F.gelu, STEPS, False),
        (torch.tanh, STEPS, False),
    ],
)
def test_where_a_gate_or_a_step_begins_was_given(
    own: bool, reads: Any, value: torch.Tensor, left: bool
) -> None:
    class Gated(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.head = nn.Linear(12, 5), nn.Linear(12, 5, own), nn.Linear(5, 3)
            self.start = None if own else nn.Parameter(value.clone())
            if own:
                self.b.bias.data = value.clone()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            gate = self.b(x) if self.start is None else self.b(x) + self.start
            made: torch.Tensor = self.head(self.a(x) * reads(gate))
            return made

    module = Gated()
    text = reinitialize(module, x=X, rng=0)["b.bias" if own else "start"]
    assert text.startswith("left: given") if left else text == "zeros"


# ------------------------------------------------------------------ what was given by structure


def zeroed(layer: Any, bias: float = 0.0) -> Any:
    nn.init.zeros_(layer.weight)
    nn.init.constant_(layer.bias, bias)
    return layer


def coupled(m: Any, x: Tensor) -> Tensor:
    a, b = x.chunk(2, 1)
    scale, shift = m.net(a).chunk(2, 1)
    return torch.cat([a, (b + shift) * (torch.tanh(scale) * m.log_scale.exp()).exp()], 1)


def modulated(m: Any, x: Tensor) -> Tensor:
    scale, shift = m.mod(x).chunk(2, 1)
    made: Tensor = m.head(F.layer_norm(m.stem(x), (12,)) * (1 + scale) + shift)
    return made


def turned(m: Any, x: Tensor) -> Tensor:
    made: Tensor = m.head((x[:, None] @ m.turn(x).view(-1, 12, 12))[:, 0])
    return made


ZEROS: dict[str, tuple[Any, str]] = {
    "a flow that begins as the identity": (
        lambda: Made(coupled, net=zeroed(nn.Linear(6, 12)), log_scale=nn.Parameter(torch.zeros(6))),
        "net.weight",
    ),
    "scales and shifts behind a normalizer": (
        lambda: Made(modulated, stem=nn.Linear(12, 12), mod=zeroed(nn.Linear(12, 24)),
                     head=nn.Linear(12, 4)),
        "mod.weight",
    ),
    "a branch beside the data themselves": (
        lambda: Made(lambda m, x: m.head(x + m.branch(x)), branch=zeroed(nn.Linear(12, 12)),
                     head=nn.Linear(12, 4)),
        "branch.weight",
    ),
    "a gate that begins half open": (
        lambda: Made(lambda m, x: m.head(m.body(x) * torch.sigmoid(m.gate(x))),
                     body=nn.Linear(12, 12), gate=zeroed(nn.Linear(12, 12)), head=nn.Linear(12, 4)),
        "gate.weight",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ZEROS)
def test_zeros_that_let_another_signal_pass_stay(name: str) -> None:
    build, kernel = ZEROS[name]
    module = build()
    assert reinitialize(module, x=X, rng=0)[kernel] == "left: its branch starts at 0"
    assert audit(module, X).ok


def test_zeros_through_which_all_passes_are_drawn() -> None:
    chain = nn.Sequential(nn.Linear(12, 12), nn.Tanh(), zeroed(nn.Linear(12, 12)), nn.Linear(12, 4))
    # A product with zeros is 0, and passes nothing.
    product = Made(lambda m, x: m.head(m.a(x) * m.b(x)), a=nn.Linear(12, 12),
                   b=zeroed(nn.Linear(12, 12)), head=nn.Linear(12, 4))  # fmt: skip
    for module, name in ((chain, "2.weight"), (product, "b.weight")):
        assert not reinitialize(module, x=X, rng=0)[name].startswith("left")
        assert audit(module, X).ok


def test_zeros_stay_where_a_given_bias_is_what_they_give() -> None:
    """As of a spatial transformer, which begins with the identity; not on the only path."""
    module = Made(turned, turn=zeroed(nn.Linear(12, 144)), head=nn.Linear(12, 4))
    module.turn.bias.data = torch.eye(12).flatten()
    before, said = module(X), reinitialize(module, x=X, rng=0)
    assert said["turn.weight"] == "left: its path starts near 0, or with its bias"
    assert said["turn.bias"] == "left: given, value=1 in 12 of its 144 entries"
    assert torch.allclose(module(X), module.head(X)) and before.shape == module(X).shape
    chain = nn.Sequential(zeroed(nn.Linear(12, 12), 0.5), nn.ReLU(), nn.Linear(12, 4))
    assert not reinitialize(chain, x=X, rng=0)["0.weight"].startswith("left")


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (torch.eye(12), "left: given, made of 2 numbers"),
        (torch.eye(3), "left: given, made of 2 numbers"),
        (torch.eye(12).roll(1, 0) - 0.5 * torch.eye(12), "left: given, made of 3 numbers"),
        (torch.ones(12, 12), "he_normal"),  # a fault: all units are alike
        (torch.linspace(-1, 1, 12).expand(12, 12).clone(), "he_normal"),  # as here
        (torch.randn(12, 12, generator=torch.Generator().manual_seed(0)), "he_normal"),
    ],
)
def test_a_kernel_made_of_few_numbers_is_no_draw(pattern: Tensor, text: str) -> None:
    n = len(pattern)
    module = nn.Sequential(nn.Linear(12, n), nn.ReLU(), nn.Linear(n, n), nn.ReLU(),
                           nn.Linear(n, 4))  # fmt: skip
    module[2].weight.data = pattern
    assert reinitialize(module, x=X, rng=0)["2.weight"] == text
    assert not reinitialize(module, x=X, rng=0, force=True)["2.weight"].startswith("left")


@pytest.mark.parametrize("shape", [(12, 12), (24, 12), (6, 12)])
def test_orthogonal_kernels_are_drawn_orthogonal(shape: tuple[int, int]) -> None:
    module = nn.Sequential(nn.Linear(12, 12), nn.Linear(12, shape[0]), nn.Linear(shape[0], 4))
    nn.init.orthogonal_(module[1].weight, 3.0)
    before = module[1].weight.detach().clone()
    text = reinitialize(module, x=X, rng=0)["1.weight"]
    after = module[1].weight.detach().double()
    product = after @ after.T if shape[0] < 12 else after.T @ after
    gain = math.sqrt(max(shape) / 12)  # so that the kernel's std is 1/√fan_in
    assert text == f"orthogonal, gain={gain:.4g}" and not torch.equal(before, after.float())
    assert torch.allclose(product, gain**2 * torch.eye(len(product)).double(), atol=1e-5)


@pytest.mark.parametrize(
    ("bend", "text"),
    [
        (F.softplus, "left: a function of it is the kernel"),
        (torch.exp, "left: a function of it is the kernel"),
        (torch.abs, "left: a function of it is the kernel"),
        (lambda w: torch.eye(12) + w, "left: a function of it is the kernel"),
        (torch.tanh, "he_normal"),
        (lambda w: torch.clamp(w, -9, 9), "he_normal"),
    ],
)
def test_a_kernel_made_positive_stays(bend: Any, text: str) -> None:
    module = Made(lambda m, x: m.head(F.relu(F.linear(F.relu(m.stem(x)), bend(m.w)))),
                  stem=nn.Linear(12, 12), w=nn.Parameter(torch.randn(12, 12) - 4),
                  head=nn.Linear(12, 4))  # fmt: skip
    assert reinitialize(module, x=X, rng=0)["w"] == text


def test_tables_stay_as_small_as_they_are() -> None:
    picks = torch.arange(8)
    for std, size in ((0.02, 0.02), (30.0, 1.0)):
        module = Made(lambda m, i: m.head(m.table(i)), table=nn.Embedding(80, 50),
                      head=nn.Linear(50, 4))  # fmt: skip
        nn.init.normal_(module.table.weight, std=std)
        reinitialize(module, x=picks, rng=0)
        # 4,000 draws: the std is known to 1.1 %
        assert float(module.table.weight.detach().std()) == pytest.approx(size, rel=0.06)


def test_a_number_behind_a_kernel_is_made_up_for() -> None:
    """So do kernels in NTK's parametrization; a branch times 0.1 is drawn as others are."""
    stem, w, head = nn.Linear(12, 12), nn.Parameter(torch.randn(12, 12)), nn.Linear(12, 4)
    module = Made(lambda m, x: m.head(F.relu(m.stem(x)) @ m.w / 12**0.5), stem=stem, w=w, head=head)
    assert reinitialize(module, x=X, rng=0)["w"] == "he_normal, times 3.46"
    module = Made(lambda m, x: m.head(m.stem(x) + 0.1 * m.branch(F.relu(m.stem(x)))), stem=stem,
                  branch=nn.Linear(12, 12), head=head)  # fmt: skip
    assert reinitialize(module, x=X, rng=0)["branch.weight"] == "he_normal"
    module = Made(lambda m, x: F.relu(m.stem(x)) @ m.head / 12, stem=stem,
                  head=nn.Parameter(torch.randn(12, 4)))  # fmt: skip
    assert reinitialize(module, x=X, rng=0)["head"] == "variance_scaling, scale=0.01, times 12"
    assert audit(module, X).rows[1].ideal == pytest.approx(0.1 / 12**0.5)


@pytest.mark.parametrize("std", [0.02, 1.0])
@pytest.mark.parametrize(
    ("times", "bend"),
    [(1 / 16, F.relu), (2**0.5 / 16, F.gelu), (1 / 16, torch.tanh), (8.0, nn.Identity())],
)
def test_a_draw_with_a_number_behind_kernels_is_sound(std: float, times: float, bend: Any) -> None:
    """Whatever the kernels were, the same is drawn, and what is read is of size 1."""
    layers = [nn.Linear(256, 256, bias=False) for _ in range(5)] + [nn.Linear(256, 10, bias=False)]

    def forward(m: Any, x: Tensor) -> Any:
        for layer in m.layers[:-1]:
            x = bend(layer(x) * times)
        return m.layers[-1](x) * times

    module = Made(forward, layers=nn.ModuleList(layers))
    for layer in layers:
        nn.init.normal_(layer.weight, std=std)
    said = reinitialize(module, x=(x := torch.randn(64, 256)), rng=0)
    report = audit(module, x)
    assert report.ok, report
    assert all(0.1 < row.x2 < 2 for row in report.rows)
    again = [layer.weight.detach().clone() for layer in layers]
    assert reinitialize(module, x=x, rng=0) == said
    assert all(map(torch.equal, again, (layer.weight for layer in layers)))


@pytest.mark.parametrize("side", ["result", "kernel"])
def test_a_number_is_the_same_at_a_kernel_and_behind_it(side: str) -> None:
    def forward(m: Any, x: Tensor) -> Any:
        kernels = [m.a, m.b, m.c]
        for w in kernels:
            z = F.linear(x, 0.01 * w) if side == "kernel" else 0.01 * F.linear(x, w)
            x = F.relu(z)
        return z

    a, b, c = (nn.Parameter(torch.randn(n, 24)) for n in (24, 24, 4))
    module = Made(forward, a=a, b=b, c=c)
    assert reinitialize(module, x=torch.randn(8, 24), rng=0) == {
        "a": "lecun_normal, times 100",
        "b": "he_normal, times 100",
        "c": "variance_scaling, scale=0.01, times 100",
    }


@pytest.mark.parametrize(
    ("bend", "text"),
    [
        (lambda z: torch.clamp(z / 6 + 0.5, 0, 1), "lecun_normal"),  # hard sigmoid
        (lambda z: 30 * torch.tanh(z / 30), "lecun_normal"),  # a soft cap
        (lambda z: z * torch.sigmoid(4 * z), "lecun_normal"),
        (lambda z: F.relu(z / 20) + z, "lecun_normal"),  # read twice
        (lambda z: F.relu(z / 20) * 20, "lecun_normal"),
        (lambda z: F.relu(z / 20), "lecun_normal, times 20"),
        (lambda z: F.relu(z / -20), "lecun_normal, times 20"),
        (lambda z: F.relu(z / 20).view(8, 6, 2).mean(2), "lecun_normal, times 20"),
        (lambda z: torch.cat([z / 20, z / 20], 1), "lecun_normal, times 20"),
        (lambda z: F.layer_norm(z / 20, (12,)), "lecun_normal, times 20"),  # where an ε waits
    ],
)
def test_which_numbers_are_a_kernels(bend: Any, text: str) -> None:
    n = bend(torch.ones(8, 12)).shape[1]
    module = Made(lambda m, x: m.head(bend(m.one(x))), one=nn.Linear(12, 12), head=nn.Linear(n, 4))
    assert reinitialize(module, x=X, rng=0)["one.weight"] == text


class Front(nn.Module):
    """A kernel of std 1 and a number in front of it."""

    def __init__(self, inputs: int, outputs: int, number: float) -> None:
        super().__init__()
        self.w, self.number = nn.Parameter(torch.randn(outputs, inputs)), number

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x * self.number, self.w)


@pytest.mark.parametrize(
    ("bend", "text"),
    [
        (nn.ReLU(), "he_normal, times 8"),
        (nn.Tanh(), "variance_scaling, scale=2.121, times 8"),
        (nn.Sequential(nn.ReLU(), nn.Unflatten(1, (32, 2)), nn.AvgPool1d(2), nn.Flatten()),
         "he_normal, times 8"),
    ],
)  # fmt: skip
def test_a_number_in_front_of_a_kernel_is_made_up_for(bend: Any, text: str) -> None:
    """But not in front of the first, where it may be what data are divided by, as 255."""
    wide = 32 if isinstance(bend, nn.Sequential) else 64
    parts = [part for _ in range(4) for part in (Front(wide, 64, 1 / 8), bend)]
    module = nn.Sequential(Front(64, 64, 1 / 8), bend, *parts, Front(wide, 4, 1 / 8))
    torch.manual_seed(0)
    said = reinitialize(module, x=WIDE, rng=0)
    assert said["4.w"] == text and said["0.w"] == "lecun_normal"
    assert said["10.w"] == "variance_scaling, scale=0.01, times 8"
    assert audit(module, WIDE).ok


def test_an_orthogonal_output_keeps_the_size_that_it_has_with_its_number() -> None:
    module = Made(lambda m, x: 0.1 * m.head(F.relu(m.stem(x))), stem=nn.Linear(12, 12),
                  head=nn.Linear(12, 4))  # fmt: skip
    nn.init.orthogonal_(module.head.weight, 0.5)
    assert reinitialize(module, x=X, rng=0)["head.weight"] == "orthogonal, gain=0.05, times 10"
    assert torch.linalg.norm(module.head.weight.detach()[0]) == pytest.approx(0.5, rel=1e-3)


def test_a_negative_number_is_made_up_for_by_the_kernel_behind_it() -> None:
    module = Made(lambda m, x: m.head(F.relu(m.b(-0.1 * F.relu(m.a(x))))), a=nn.Linear(64, 64),
                  b=nn.Linear(64, 64), head=nn.Linear(64, 4))  # fmt: skip
    said = reinitialize(module, x=WIDE, rng=0)
    assert said["a.weight"] == "lecun_normal" and said["b.weight"].endswith(", times 10")


def test_a_learned_number_at_a_kernel_is_made_up_for() -> None:
    module = Made(lambda m, x: m.head(F.relu(F.linear(F.relu(m.stem(x)), m.w * m.g))),
                  stem=nn.Linear(12, 12), w=nn.Parameter(torch.randn(12, 12)),
                  g=nn.Parameter(torch.tensor(0.1)), head=nn.Linear(12, 4))  # fmt: skip
    assert reinitialize(module, x=X, rng=0)["w"] == "he_normal, times 10"
    assert float(module.g.detach()) == pytest.approx(0.1)


@pytest.mark.parametrize("first", [False, True])
def test_the_scale_of_noise_in_a_kernel_is_no_kernel(first: bool) -> None:
    """As of noisy networks, and of weights with a variance of their own, through a softplus."""

    def forward(m: Any, x: Tensor) -> Any:
        noise = m.s * torch.randn_like(m.s)
        soft = F.softplus(m.r) * torch.randn_like(m.r)
        kernels = (noise + m.m, soft + m.n) if first else (m.m + noise, m.n + soft)
        for w in kernels:
            x = F.relu(F.linear(x, w))
        return m.head(x)

    given = torch.full((12, 12), 0.1), torch.full((12, 12), -5.0)
    m, n = (nn.Parameter(torch.randn(12, 12)) for _ in range(2))
    module = Made(forward, m=m, n=n, s=nn.Parameter(given[0].clone()),
                  r=nn.Parameter(given[1].clone()), head=nn.Linear(12, 4))  # fmt: skip
    said = reinitialize(module, x=X, rng=0)
    assert said["m"] == "lecun_normal" and said["n"] == "he_normal"
    assert torch.equal(module.s, given[0]) and torch.equal(module.r, given[1])


def test_sums_that_are_made_smaller_keep_their_branches() -> None:
    """Divided by √2 a sum of two is as large as each; nothing is left to divide by √n."""

    def forward(m: Any, x: Tensor) -> Any:
        for inner, end in zip(m.inner, m.ends, strict=True):
            x = (x + end(F.relu(inner(x)))) / 2**0.5
        return m.head(x)

    inner, ends = (nn.ModuleList(nn.Linear(64, 64) for _ in range(12)) for _ in range(2))
    module = Made(forward, inner=inner, ends=ends, head=nn.Linear(64, 4))
    assert reinitialize(module, x=WIDE, rng=0)["ends.5.weight"] == "he_normal"
    report = audit(module, WIDE)
    assert report.ok and all(0.1 < row.x2 < 10 for row in report.rows)


@pytest.mark.parametrize("times", [100.0, 1.0])
def test_a_number_that_saturates_is_judged_as_large_kernels_are(times: float) -> None:
    layers = [nn.Linear(64, 64) for _ in range(3)]
    for layer in layers:
        nn.init.normal_(layer.weight, std=12.5 / times)
        nn.init.zeros_(layer.bias)

    def forward(m: Any, x: Tensor) -> Any:
        for layer in m.layers:
            x = torch.tanh(times * layer(x))
        return m.head(x)

    module = Made(forward, layers=nn.ModuleList(layers), head=nn.Linear(64, 4))
    assert audit(module, WIDE).findings[0].verdict == "saturated"
    reinitialize(module, x=WIDE, rng=0)
    assert audit(module, WIDE).ok


def test_an_output_is_judged_with_the_number_behind_it() -> None:
    module = Made(lambda m, x: x @ m.p * (2 / 900) ** 0.5, p=nn.Parameter(torch.randn(900, 40)))
    report = audit(module, torch.randn(8, 900))
    assert report.ok and report.rows[0].z2 > 100 and report.rows[0].std < 0.1


def test_the_length_of_a_frozen_kernel_stays() -> None:
    """As of an adapter that learns lengths and directions apart (DoRA)."""

    def forward(m: Any, x: Tensor) -> Tensor:
        whole = m.base.weight + m.b @ m.a
        made: Tensor = m.head(F.linear(x, whole / whole.norm(dim=1, keepdim=True) * m.length))
        return made

    base = nn.Linear(12, 12, bias=False).requires_grad_(False)
    length = nn.Parameter(base.weight.norm(dim=1, keepdim=True).detach())
    module = Made(forward, base=base, length=length, a=nn.Parameter(torch.randn(3, 12)),
                  b=nn.Parameter(torch.zeros(12, 3)), head=nn.Linear(12, 4))  # fmt: skip
    before = length.detach().clone()
    assert reinitialize(module, x=X, rng=0)["length"].startswith("left")
    assert torch.equal(length, before)


def test_what_makes_learned_queries_stays() -> None:
    """Nothing but parameters goes into them: no kernel's length, no pair of a low rank."""
    decoder = nn.TransformerDecoder(nn.TransformerDecoderLayer(12, 2, 24, 0.0, batch_first=True), 1)
    module = Made(lambda m, x: m.head(m.decoder(m.q.expand(len(x), -1, -1), x[:, None])),
                  q=nn.Parameter(torch.randn(5, 12)), decoder=decoder,
                  head=nn.Linear(12, 4))  # fmt: skip
    said = reinitialize(module, x=X, rng=0)
    for name in (
        "q",
        *(f"decoder.layers.0.self_attn.{n}" for n in ("out_proj.weight", "in_proj_bias")),
    ):
        assert said[name].startswith("left"), name
    hyper = Made(lambda m, x: m.head(F.relu(x @ m.two(F.relu(m.one(m.z))).view(12, 12))),
                 z=nn.Parameter(torch.randn(5)), one=nn.Linear(5, 7), two=nn.Linear(7, 144),
                 head=nn.Linear(12, 4))  # fmt: skip
    said = reinitialize(hyper, x=X, rng=0)
    assert all(said[n].startswith("left") for n in ("z", "one.weight", "one.bias", "two.bias"))


def test_one_learned_number_in_front_of_a_bend_counts() -> None:
    """Of a SIREN whose frequency is learned the kernels stay as small as with a fixed one."""

    def said(omega: Any) -> str:
        torch.manual_seed(0)
        module = Made(lambda m, x: m.head(torch.sin(m.omega * m.b(torch.sin(30 * m.a(x))))),
                      a=nn.Linear(12, 12), b=nn.Linear(12, 12), head=nn.Linear(12, 4),
                      omega=omega)  # fmt: skip
        reinitialize(module, x=X, rng=0)
        return f"{float(module.b.weight.detach().std()):.3g} {audit(module, X).rows[2].ideal:.3g}"

    assert said(nn.Parameter(torch.tensor(30.0))) == said(30.0)


def test_scales_beside_a_batch_norm_that_saw_nothing_are_no_training() -> None:
    module = nn.Sequential(nn.Linear(12, 12), nn.BatchNorm1d(12), nn.ReLU(), nn.Linear(12, 4))
    nn.init.normal_(module[1].weight, 1, 0.02)
    assert reinitialize(module, x=X, rng=0)["1.weight"] == "left: given, not as its layer draws it"
    module(X)
    with pytest.raises(ValueError, match="looks trained"):
        reinitialize(module, x=X, rng=0)


def test_where_gates_and_noise_begin_was_given() -> None:
    lstm = Made(lambda m, x: m.head(m.cell(x[:, None].expand(-1, 6, -1))[0][:, -1]),
                cell=nn.LSTM(12, 12, batch_first=True), head=nn.Linear(12, 4))  # fmt: skip
    for bias in (lstm.cell.bias_ih_l0, lstm.cell.bias_hh_l0):
        nn.init.zeros_(bias)
    start = torch.linspace(0, 3.6, 12)  # logarithms of the times that the gates are to remember
    lstm.cell.bias_ih_l0.data[:24] = torch.cat([-start, start])
    text = reinitialize(lstm, x=X, rng=0)["cell.bias_ih_l0"]
    assert text == "left: given, not as its layer draws it"

    def latent(m: Any, x: Tensor) -> Tensor:
        made: Tensor = m.head(m.mean(x) + torch.randn(len(x), 12) * (m.log_std(x) / 2).exp())
        return made

    vae = Made(latent, mean=nn.Linear(12, 12), log_std=nn.Linear(12, 12), head=nn.Linear(12, 4))
    nn.init.constant_(vae.log_std.bias, -6.0)
    assert reinitialize(vae, x=X, rng=0)["log_std.bias"] == "left: given, value=-6"


def test_complex_numbers_are_read() -> None:
    turned = Made(lambda m, x: m.head((torch.exp(1j * m.angle) * m.stem(x)).real),
                  stem=nn.Linear(12, 12), angle=nn.Parameter(torch.rand(12)),
                  head=nn.Linear(12, 4))  # fmt: skip
    assert audit(turned, X, Y, nn.CrossEntropyLoss()).ok

    def spectral(m: Any, x: Tensor) -> Tensor:
        f = torch.fft.rfft(m.stem(x))
        made: Tensor = m.head(torch.fft.irfft(f @ torch.view_as_complex(m.w), n=12))
        return made

    module = Made(spectral, stem=nn.Linear(12, 12), w=nn.Parameter(-torch.rand(7, 7, 2)),
                  head=nn.Linear(12, 4))  # fmt: skip
    row = next(row for row in audit(module, X).rows if row.name == "w")
    with torch.no_grad():
        z = torch.fft.rfft(module.stem(X)) @ torch.view_as_complex(module.w)
    assert row.z2 == pytest.approx(float(z.abs().square().mean()), rel=1e-5)


def test_behind_a_sine_the_size_of_its_argument_is_forgotten() -> None:
    """Random Fourier features of large frequencies, and what PyTorch draws behind them."""
    table = nn.Parameter(5 * torch.randn(12, 64), requires_grad=False)
    module = Made(lambda m, x: m.net(torch.sin(2 * math.pi * x @ m.table)), table=table,
                  net=nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 4)))  # fmt: skip
    assert audit(module, X).ok
    small = copy.deepcopy(module)
    small.net[0].weight.data *= 0.02
    small.net[0].bias.data *= 0.02
    assert [f.verdict for f in audit(small, X).findings] == ["shrinking"]


def test_frequencies_of_waves_stay() -> None:
    """How fast they turn was chosen for the data; kernels behind the first are drawn."""
    module = Made(lambda m, x: m.head(torch.sin(m.b(torch.cat([m.a(x).sin(), m.a(x).cos()], 1)))),
                  a=nn.Linear(12, 12), b=nn.Linear(24, 12), head=nn.Linear(12, 4))  # fmt: skip
    said = reinitialize(module, x=X, rng=0)
    assert said["a.weight"] == "left: the frequencies of waves"
    assert not said["b.weight"].startswith("left")
    assert not reinitialize(module, x=X, rng=0, force=True)["a.weight"].startswith("left")


@pytest.mark.parametrize(("size", "kept"), [(1.0, True), (100.0, False)])
def test_positions_that_drown_the_signal_are_drawn(size: float, kept: bool) -> None:
    """The audit said so, and `reinitialize` left them."""
    module = Made(lambda m, x: m.c(m.b(m.a(x) + m.pos).relu().mean(1)), a=nn.Linear(16, 32),
                  b=nn.Linear(32, 32), c=nn.Linear(32, 5),
                  pos=nn.Parameter(size * torch.randn(1, 8, 32)))  # fmt: skip
    x = torch.randn(32, 8, 16)
    assert audit(module, x).ok == kept
    assert reinitialize(module, x=x, rng=0)["pos"].startswith("left") == kept
    assert audit(module, x).ok and (module.pos.std() < 0.03) == (not kept)


def test_learned_queries_that_are_equal_are_drawn() -> None:
    def run(m: Any, x: Tensor) -> Tensor:
        queries = m.q(m.latents).expand(len(x), -1, -1)
        return m.out((m.latents + F.scaled_dot_product_attention(queries, m.k(x), m.v(x))).mean(1))

    parts = {"q": nn.Linear(32, 32), "k": nn.Linear(16, 32), "v": nn.Linear(16, 32)}
    latents = nn.Parameter(torch.full((6, 32), 0.3))
    module = Made(run, **parts, out=nn.Linear(32, 5), latents=latents)
    x = torch.randn(32, 8, 16)
    assert {f.verdict for f in audit(module, x, cures=False).findings} == {"symmetric"}
    assert reinitialize(module, x=x, rng=0)["latents"] == "normal, std=0.02"
    assert audit(module, x).ok


class ActorCritic(nn.Module):
    """As of CleanRL: two networks of their own, the actor's last kernel with a gain of 0.01."""

    def __init__(self, critic: bool) -> None:
        super().__init__()
        sizes = {"actor": (4, 0.01)} | ({"critic": (1, 1.0)} if critic else {})
        self.nets = nn.ModuleDict({name: self.net(*size) for name, size in sizes.items()})

    def net(self, units: int, gain: float) -> nn.Module:
        layers = nn.Linear(12, 64), nn.Linear(64, 64), nn.Linear(64, units)
        for layer, size in zip(layers, (math.sqrt(2), math.sqrt(2), gain), strict=True):
            nn.init.orthogonal_(layer.weight, size)
            nn.init.zeros_(layer.bias)
        return nn.Sequential(layers[0], nn.Tanh(), layers[1], nn.Tanh(), layers[2])

    def forward(self, x: Tensor) -> Any:
        return tuple(net(x) for net in self.nets.values())


@pytest.mark.parametrize("critic", [True, False])
@pytest.mark.parametrize("seed", [0, 4, 7])
def test_actor_and_critic_are_asked_apart_and_advantages_are_no_costs(
    critic: bool, seed: int
) -> None:
    """Effects of networks that never meet say nothing; nor does a mean of 0 but for rounding."""
    torch.manual_seed(seed)
    module, x = ActorCritic(critic), torch.randn(64, 12)
    gains, returns, actions = torch.randn(64), torch.randn(64), torch.randint(4, (64,))
    gains = (gains - gains.mean()) / gains.std()

    def loss(made: Any, y: Any) -> Any:
        policy = torch.distributions.Categorical(logits=made[0])
        value = sum((0.5 * (out[:, 0] - y[2]) ** 2).mean() for out in made[1:])
        return value - (policy.log_prob(y[0]) * y[1]).mean()

    assert audit(module, x, (actions, gains, returns), loss).ok
    module.nets["actor"][0].weight.data *= 1e-6
    report = audit(module, x, (actions, gains, returns), loss, cures=False)
    assert {n for f in report.findings for n in f.names} >= {"nets.actor.0.weight"}


@pytest.mark.parametrize("seed", range(8))
def test_advantages_that_only_the_loss_knows_are_no_costs_either(seed: int) -> None:
    torch.manual_seed(seed)
    module, x = ActorCritic(False), torch.randn(64, 12)
    actions, gains = torch.randint(4, (64,)), torch.randn(64)
    gains = gains - gains.mean()

    def loss(made: Any, y: Tensor) -> Tensor:
        return -(F.log_softmax(made[0], 1).gather(1, y[:, None])[:, 0] * gains).mean()

    assert audit(module, x, actions, loss).ok


def test_constants_that_a_loss_cannot_take_leave_the_cost_of_knowing_nothing() -> None:
    """As of -10, whose logarithm is no number."""
    module, y = mlp().eval(), 5 + torch.rand(8, 4)

    def loss(out: Tensor, y: Tensor) -> Tensor:
        return ((torch.log1p(out) - torch.log1p(y)) ** 2).mean()

    module[3].weight.data *= 0.01
    assert audit(module, X, y, loss, cures=False).blind > 0


def test_equal_weights_that_are_symmetric_are_not_said_to_part() -> None:
    """A note said of them that their gradients take their units apart."""
    module = nn.Sequential(nn.Linear(12, 16), nn.Tanh(), nn.Linear(16, 16), nn.Tanh(),
                           nn.Linear(16, 1))  # fmt: skip
    for layer in module[::2]:
        nn.init.constant_(layer.weight, 0.1)
        nn.init.zeros_(layer.bias)
    report = audit(module, X)
    assert {f.verdict for f in report.findings} == {"symmetric"}
    named = {n for f in report.findings for n in f.names}
    assert not [note for note in report.notes if "take its units" in note and any(
        name in note for name in named)]  # fmt: skip


@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors:UserWarning")
def test_parameters_without_entries_are_none() -> None:
    """MobileBERT has one if its embeddings are as wide as its layers: it was called not finite."""
    net = Made(lambda m, x: m.c(torch.cat([m.a(x), m.b(x)], 1).relu()), a=nn.Linear(12, 8),
               b=nn.Linear(12, 0, bias=False), c=nn.Linear(8, 3))  # fmt: skip
    report, texts = audit(net, X), reinitialize(net, x=X, rng=0)
    assert report.ok and not report.notes
    assert [row.name for row in report.rows] == ["a.weight", "c.weight"]
    assert list(texts) == ["a.weight", "a.bias", "c.weight", "c.bias"]


def test_outputs_too_small_to_square_are_shrinking() -> None:
    """MobileNetV2 of transformers in evaluation, whose normalization then divides by 1."""
    with torch.no_grad():
        layers = [nn.Linear(12, 12, bias=False) for _ in range(12)]
        for layer in layers:
            layer.weight.normal_(0, 0.0056)
    report = audit(nn.Sequential(*layers), X, cures=False)
    assert report.rows[-1].z2 < 1e-40
    assert [f.verdict for f in report.findings] == ["shrinking"]


@pytest.mark.parametrize("scale", [0.0, 1e-4])
def test_frequencies_that_nobody_chose_are_drawn(scale: float) -> None:
    """Waves of these are one number for all examples, and stayed so."""
    waves = Made(lambda m, z: torch.cat([z.sin(), z.cos()], 1))
    module = nn.Sequential(nn.Linear(12, 12, bias=False), waves, nn.Linear(24, 4))
    with torch.no_grad():
        module[0].weight *= scale
    assert not reinitialize(module, x=X, rng=0)["0.weight"].startswith("left")
    assert audit(module, X).ok


@pytest.mark.parametrize("names", [["a"], ["a", "b"]])
def test_rounded_kernels_are_dead(names: list[str]) -> None:
    """Weights of a few bits, with no way around their rounding, never change, and were good."""

    def run(m: Any, x: Tensor, through: bool) -> Tensor:
        for name in ("a", "b"):
            w = getattr(m, name).weight
            whole = (16 * w).round() / 16
            whole = w + (whole - w).detach() if through else whole
            x = F.relu(x @ (whole if name in names else w).mT)
        return m.c(x)

    for through in (False, True):
        module = Made(lambda m, x, through=through: run(m, x, through), a=nn.Linear(12, 32),
                      b=nn.Linear(32, 32), c=nn.Linear(32, 3))  # fmt: skip
        nn.init.kaiming_normal_(module.a.weight)
        nn.init.kaiming_normal_(module.b.weight)
        report = audit(module, X)
        assert report.ok == through
        found = [(f.verdict, f.names) for f in report.findings]
        assert through or found == [("dead", tuple(f"{n}.weight" for n in names))]


def test_outputs_are_judged_where_nobody_knows_what_knowing_nothing_costs() -> None:
    """As for the likelihood of counts, whose loss takes the exponential of the outputs."""
    module, counts = mlp().eval(), torch.full((8, 4), 30.0)
    assert audit(module, X, counts, nn.PoissonNLLLoss()).ok
    module[3].weight.data *= 100
    report = audit(module, X, counts, nn.PoissonNLLLoss())
    assert math.isnan(report.blind) and report.findings[0].verdict == "exploding"


def test_kernels_before_several_zeros_in_a_row_are_not_starved() -> None:
    """Noise stands for the zeros, and leaves each kernel before them a small part of an effect."""

    def forward(m: Any, x: Tensor) -> Tensor:
        scale, shift = m.mod(F.silu(m.time(x[:, :4]))).chunk(2, 1)
        h = m.stem(x)
        h = h + m.branch(F.silu(F.layer_norm(m.body(h), (12,)) * (1 + scale) + shift))
        made: Tensor = m.head(F.silu(h))
        return made

    time = nn.Sequential(nn.Linear(4, 12), nn.SiLU(), nn.Linear(12, 12))
    module = Made(forward, time=time, mod=zeroed(nn.Linear(12, 24)), stem=nn.Linear(12, 12),
                  body=nn.Linear(12, 12), branch=zeroed(nn.Linear(12, 12)),
                  head=zeroed(nn.Linear(12, 12)))  # fmt: skip
    assert audit(module, X, X, nn.MSELoss()).ok


def test_a_rounding_with_a_straight_way_back_keeps_q() -> None:
    sign = Made(lambda m, x: x + (x.sign() - x).detach())
    module = nn.Sequential(nn.Linear(12, 12), sign, nn.Linear(12, 12), sign, nn.Linear(12, 4))
    reinitialize(module, x=X, rng=0)
    report = audit(module, X)
    assert report.ok and report.rows[1].ideal == pytest.approx(1 / math.sqrt(12), rel=0.01)


def test_hard_swish_is_an_activation() -> None:
    module = nn.Sequential(*(p for _ in range(5) for p in (nn.Linear(12, 12), nn.Hardswish())),
                           nn.Linear(12, 4))  # fmt: skip
    reinitialize(module, x=X, rng=0)
    report = audit(module, X)
    assert report.ok and report.rows[1].ideal > 1.2 / math.sqrt(12)


def test_a_branch_that_begins_near_zero_stays() -> None:
    """As of an adapter beside a frozen, trained base."""
    module = Made(lambda m, x: m.head(x + m.up(F.gelu(m.down(x)))), down=nn.Linear(12, 6),
                  up=nn.Linear(6, 12), head=nn.Linear(12, 4))  # fmt: skip
    nn.init.normal_(module.up.weight, std=1e-3)
    assert reinitialize(module, x=X, rng=0)["up.weight"] == "left: its branch starts near 0"
    nn.init.normal_(module.up.weight, std=0.1)
    assert not reinitialize(module, x=X, rng=0)["up.weight"].startswith("left")


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("join", [torch.add, torch.sub, lambda a, b: torch.cat([a, b], -1)])
def test_small_nets_that_are_joined_are_drawn_if_nothing_passes_beside(
    join: Any, shared: bool
) -> None:
    """As of a siamese network: by each net the other passes, and is as small."""
    torch.manual_seed(0)

    def small() -> nn.Sequential:
        net = nn.Sequential(nn.Linear(12, 24), nn.ReLU(), nn.Linear(24, 24), nn.ReLU())
        nn.init.normal_(net[2].weight, std=1e-4)
        return net

    def forward(m: Any, x: Tensor) -> Any:
        return m.head(F.relu(m.inner(join(m.a(x), m.b(x.flip(0))))))

    a, wide = small(), 24 + 24 * (join not in (torch.add, torch.sub))
    module = Made(forward, a=a, b=a if shared else small(), inner=nn.Linear(wide, 24),
                  head=nn.Linear(24, 4))  # fmt: skip
    assert not audit(module, X, Y, F.cross_entropy).ok
    said = reinitialize(module, x=X, rng=0)
    assert {said["a.2.weight"], said.get("b.2.weight", said["a.2.weight"])} == {"he_normal"}
    assert audit(module, X, Y, F.cross_entropy).ok


def test_an_adapter_keeps_its_small_start_beside_what_passes() -> None:
    """And so does a second one, though all but the base is near 0."""
    torch.manual_seed(0)
    parts = {name: nn.Linear(12, 12) for name in ("base", "a", "b", "head")}
    module = Made(lambda m, x: m.head(m.base(x) + m.a(x) + m.b(x)), **parts)
    for name in "ab":
        nn.init.normal_(parts[name].weight, std=1e-4)
    said = reinitialize(module, x=X, rng=0)
    assert all(said[f"{name}.weight"] == "left: its branch starts near 0" for name in "ab")


def test_the_last_kernel_keeps_its_scale_if_it_is_orthogonal() -> None:
    module = nn.Sequential(nn.Linear(12, 12), nn.Linear(12, 12, bias=False))
    nn.init.orthogonal_(module[1].weight, 0.5)
    assert reinitialize(module, x=X, rng=0)["1.weight"] == "orthogonal, gain=0.5"


def test_a_part_of_a_kernel_is_left_where_it_is_one_itself() -> None:
    def forward(m: Any, x: Tensor) -> Tensor:
        w = torch.einsum("nd,dio->nio", m.e, m.w)
        made: Tensor = m.head(torch.einsum("bni,nio->bno", x[:, None] * m.e.sum(1)[:, None], w))
        return made @ m.e[0, :3]

    module = Made(forward, e=nn.Parameter(torch.randn(5, 3)), head=nn.Linear(7, 3),
                  w=nn.Parameter(torch.randn(3, 12, 7)))  # fmt: skip
    said = reinitialize(module, x=X, rng=0)
    assert said["e"].startswith("left") and said["w"].startswith("left")


def test_the_cure_sets_what_is_at_fault() -> None:
    """The bias that a signal never crosses, and not the prior of a rare class; a scale, to 1."""
    module = nn.Sequential(nn.Linear(12, 24), nn.ReLU(), nn.Linear(24, 24), nn.ReLU(),
                           nn.Linear(24, 4))  # fmt: skip
    nn.init.constant_(module[2].bias, -10.0)
    nn.init.constant_(module[4].bias, -4.6)
    rare = (torch.arange(32).reshape(8, 4) == 5).float()
    report = audit(module, X, rare, nn.BCEWithLogitsLoss())
    assert report.findings[0].cure == "set 2.bias to the conventional start (zeros)"
    module = nn.Sequential(nn.Linear(12, 24), nn.BatchNorm1d(24), nn.ReLU(), nn.Linear(24, 4))
    nn.init.zeros_(module[1].weight)
    cure = audit(module, X, Y, nn.CrossEntropyLoss()).findings[0].cure
    assert cure == "set 1.weight to 1 (by force=True: 1.weight is given, value=0)"


def test_what_is_frozen_is_drawn_by_a_cure_only_if_nothing_else_helps() -> None:
    near = torch.eye(8) - torch.eye(8).roll(1, 0)
    module = Made(
        lambda m, x: m.b(F.relu(m.near @ m.a(x))), a=nn.Linear(12, 24), b=nn.Linear(24, 4)
    )
    module.register_buffer("near", near / 2)
    nn.init.normal_(module.a.weight, std=0.005)
    nn.init.zeros_(module.a.bias)
    report = audit(module, X)
    assert report.findings[0].verdict == "shrinking" and "near" not in report.findings[0].cure


def test_another_draw_of_the_same_is_no_cure() -> None:
    """Spectral norms, at whose bound chance decides."""
    norm = parametrizations.spectral_norm
    for depth, whole in ((4, True), (12, False)):  # leaky ReLU takes half of it each time
        sizes = [12, *[48] * depth]
        layers = [p for pair in itertools.pairwise(sizes)
                  for p in (norm(nn.Linear(*pair, bias=False)), nn.LeakyReLU(0.2))]  # fmt: skip
        module = nn.Sequential(*layers, norm(nn.Linear(48, 1)))
        for fresh in (False, True):
            report = audit(module, X)
            assert report.ok == (whole and fresh)
            if not report.ok:
                cure = report.findings[0].cure
                assert report.findings[0].verdict == "shrinking"
                assert cure.startswith("no redraw cures this: ") == (not whole)
            reinitialize(module, x=X, rng=0)
            spectrum = torch.linalg.svdvals(module[0].weight)
            assert torch.allclose(spectrum, torch.ones(12), atol=1e-4)


def test_a_number_that_divides_can_be_the_cause() -> None:
    class Cold(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.t = mlp(), nn.Parameter(torch.tensor(0.001))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            made: torch.Tensor = self.body(x)
            return made / self.t

    module = Cold()
    classes = torch.zeros(len(X), dtype=torch.long)
    report = audit(module, X, classes, nn.CrossEntropyLoss())
    assert report.findings[-1].cure == "set t to 1"


def test_no_draw_of_a_layer_is_taken_for_given() -> None:
    for seed in range(20):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            module = nn.Sequential(nn.Linear(12, 3), nn.ReLU(), nn.Linear(3, 1), nn.GRU(1, 2))
        texts = reinitialize(module, x=X, rng=0)
        assert not [text for text in texts.values() if text.startswith("left")]


def test_biases_that_no_unit_signal_crosses_are_a_fault() -> None:
    module = mlp()
    with torch.no_grad():
        module[0].bias.fill_(-10.0)
    assert reinitialize(module, x=X, rng=0)["0.bias"] == "zeros" and audit(module, X).ok


def test_the_cure_of_what_was_given_names_it_alone() -> None:
    module = nn.Sequential(nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, 3), nn.ReLU())
    with torch.no_grad():
        module[2].bias.fill_(-30.0)
    (finding,) = audit(module, X).findings
    start = "the conventional start (zeros)"
    assert finding.cure == f"set 2.bias to {start} (by force=True: 2.bias is given, value=-30)"
    assert reinitialize(module, x=X, rng=0)["2.bias"] == "left: given, value=-30"
    assert not audit(module, X).ok
    reinitialize(module, x=X, rng=0, force=True)
    assert audit(module, X).ok


def test_what_is_made_whole_numbers_of_has_no_scale() -> None:
    class Hashed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.planes = nn.Parameter(torch.randn(2, 4), requires_grad=False)
            self.table, self.head = nn.Embedding(16, 8), nn.Linear(8, 1)

        def forward(self, x: Tensor) -> Any:
            bits = (x @ self.planes > 0).long()
            return self.head(self.table((bits * torch.tensor([1, 2, 4, 8])).sum(1)).relu())

    assert audit(Hashed(), 200 * torch.randn(64, 2)).ok


def test_targets_far_from_unit_scale_are_said_to_be() -> None:
    module, y = mlp(), 1000 * torch.randn(len(X), 4)
    for targets, said in ((y, True), (y / 1000, False)):
        notes = audit(module, X, targets, F.mse_loss).notes
        assert any("Targets unscaled: E y²" in note for note in notes) is said
        loss = F.l1_loss if said else F.huber_loss
        found = audit(module, X, targets.long(), lambda o, y, loss=loss: loss(o, y.float())).notes
        found = tuple(note for note in found if "Targets" in note)
        assert len(found) == said and all("its gradients do not" in note for note in found)
    counts = y.abs().round()
    notes = audit(module, X, counts, F.poisson_nll_loss).notes  # which reads their logarithm
    assert not any("Targets" in note for note in notes)


def test_trained_modules_need_force() -> None:
    """A call alone, as to see what shapes come out, trains nothing, though it is counted."""
    module = nn.Sequential(nn.Linear(12, 6), nn.BatchNorm1d(6))
    module(X)
    reinitialize(module, x=X)
    assert not module[1].running_mean.any()
    module(X).square().sum().backward()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter -= 0.1 * parameter.grad
    with pytest.raises(ValueError, match=r"looks trained .1.num_batches_tracked is 2"):
        reinitialize(module, x=X)
    reinitialize(module, x=X, force=True)


def test_kernels_are_drawn_through_einsums_of_any_order() -> None:
    """The output projection of an attention: heads and their parts are summed over together."""

    class Heads(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.into, self.head = nn.Linear(4, 96), nn.Linear(64, 3)
            self.out = nn.Parameter(torch.ones(6, 16, 64))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            parts = torch.relu(self.into(x)).reshape(-1, 6, 16)
            return self.head(torch.relu(torch.einsum("nhe,hed->nd", parts, self.out)))

    with torch.random.fork_rng():
        torch.manual_seed(0)
        module, x = Heads(), torch.randn(32, 4)
    assert winit.torch.reinitialize(module, x=x, rng=0)["out"] == "he_normal"
    # Of 6,144 normal numbers the std is known to 1 / sqrt(2 * 6144): four of these are 3.6 %.
    assert float(module.out.detach().std()) == pytest.approx((2 / 96) ** 0.5, rel=0.036)


def test_all_or_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    module = mlp()
    before = [p.detach().clone() for p in module.parameters()]
    assign, calls = Module.assign, []

    def failing(self: Any, name: str, value: Any) -> None:
        calls.append(name)
        if len(calls) == 3:
            raise KeyboardInterrupt
        assign(self, name, value)

    monkeypatch.setattr(Module, "assign", failing)
    with pytest.raises(KeyboardInterrupt):
        reinitialize(module, x=X, rng=0)
    assert all(torch.equal(p, q) for p, q in zip(module.parameters(), before, strict=True))


# ------------------------------------------------------------------ in words


def test_what_has_no_values_is_refused_in_a_sentence() -> None:
    with pytest.raises(
        ValueError, match=r"Sequential is lazy, and 0.weight has no shape yet: call it"
    ):
        audit(nn.Sequential(nn.LazyLinear(3)), X)
    with pytest.raises(ValueError, match=r"0.weight of Sequential is on the meta device"):
        audit(nn.Sequential(nn.Linear(12, 3, device="meta")), X)
    with pytest.raises(TypeError, match=r"module must be a torch.nn.Module, got \[1\]"):
        audit([1], X)
    with pytest.raises(ValueError, match="Linear does not say what it takes: give x"):
        audit(nn.Linear(12, 3), None)
    with pytest.raises(ValueError, match=r"scheme must be one of auto, .*, got 'foo'"):
        winit.torch.reinitialize(nn.Linear(12, 3), "foo")
    with pytest.raises(ValueError, match="x must hold finite values"):
        audit(nn.Linear(12, 3), X / 0)
    with pytest.raises(ValueError, match="a loss needs targets"):
        audit(nn.Linear(12, 3), X, loss=nn.CrossEntropyLoss())
    with pytest.raises(ValueError, match="this one is constant"):
        audit(nn.Linear(12, 3), X, Y, lambda o, y: torch.zeros(()))
    with pytest.raises(ValueError, match="loss must return a tensor of a single number"):
        audit(nn.Linear(12, 4), X, Y, nn.CrossEntropyLoss(reduction="none"))


def test_what_is_not_judged_is_said() -> None:
    hidden = torch.randn(12, 12, requires_grad=True)
    module = Made(lambda m, x: m.parts[0](x @ hidden), parts=[nn.Linear(12, 3)])
    notes = " ".join(audit(module, X).notes)
    assert "parts.0.weight, parts.0.bias: not registered in the module" in notes
    assert "one of shape (12, 12)" in notes
    narrow = Made(lambda m, x: x @ m.w.float())
    narrow.register_buffer("w", torch.ones(12, 3, dtype=torch.int8))
    report = audit(narrow, X)
    assert not report.judged and "w: of whole numbers (quantized)" in report.notes[-1]


def test_quantized_modules_get_a_sentence() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it is to move to another package
        module = torch.ao.quantization.quantize_dynamic(mlp(), {nn.Linear})
        report = audit(module, X)
    assert not report.judged
    assert "quantized, neither judged nor drawn" in " ".join(report.notes)


def test_the_top_and_the_command_take_modules(tmp_path: Any, monkeypatch: Any, capsys: Any) -> None:
    module = mlp().eval()
    assert str(winit.audit(module, X)) == str(audit(module, X))
    assert winit.reinitialize(module, "he_normal", rng=0, x=X)["0.weight"] == "he_normal"
    from winit.__main__ import main

    (tmp_path / "models_of_torch.py").write_text(
        "import torch\n"
        "def made(width):\n"
        "    torch.manual_seed(0)\n"
        "    return torch.nn.Linear(12, width), torch.ones(4, 12)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert main(["audit", "models_of_torch:made", "--arguments", '{"width": 3}']) == 0
    assert capsys.readouterr().out.startswith("Linear: ok")


def test_cures_scale_a_kernel_of_the_module() -> None:
    module = nn.Sequential(*[part for _ in range(8) for part in (nn.Linear(64, 64), nn.ReLU())])
    reinitialize(module, "he_normal", x=torch.randn(16, 64), rng=0)
    with torch.no_grad():
        module[6].weight.mul_(100.0)
    report = audit(module, torch.randn(16, 64))
    (finding,) = report.findings
    assert (finding.verdict, finding.names) == ("exploding", ("6.weight",))
    assert finding.changes == ("6.weight",)
    assert not math.isnan({row.name: row for row in report.rows}["6.weight"].elasticity)


# ------------------------------------------------------------------ right verdicts, right words


def test_the_loss_is_that_of_the_model_as_it_is() -> None:
    module = mlp().eval()
    for p in (module[3].weight, module[3].bias):
        nn.init.zeros_(p)
    report = audit(module, X, Y, nn.CrossEntropyLoss())
    assert report.ok and report.loss == pytest.approx(math.log(4), rel=1e-6)


def test_whole_numbers_on_the_way_stop_the_gradient() -> None:
    def codes(m: Any, x: Tensor) -> Tensor:
        return m.b(F.one_hot(m.a(x).argmax(-1), 24).float())

    def through(m: Any, x: Tensor) -> Tensor:
        soft = m.a(x).softmax(-1)
        hard = F.one_hot(soft.argmax(-1), 24).float()
        return m.b(soft + (hard - soft).detach())

    parts = {"a": nn.Linear(12, 24), "b": nn.Linear(24, 4)}
    (finding,) = audit(Made(codes, **parts), X, Y, nn.CrossEntropyLoss()).findings
    assert finding.verdict == "dead" and finding.names == ("a.weight",)
    assert "whole numbers" in finding.reason and "softmax" in finding.cure
    assert audit(Made(through, **parts), X, Y, nn.CrossEntropyLoss()).ok
    report = audit(
        Made(lambda m, x: m.a(x).argmax(-1).float(), a=parts["a"]), X, Y + 0.5, F.mse_loss
    )
    assert report.findings[0].names == ("a.weight",)


class Rounded(torch.autograd.Function):
    """Rounds, and lets the gradient through."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.round().long().to(x.dtype)

    @staticmethod
    def backward(ctx: Any, back: Tensor) -> Tensor:
        return back


def test_a_derivative_of_ones_own_passes_whole_numbers() -> None:
    module = Made(lambda m, x: Rounded.apply(m.a(x)), a=nn.Linear(12, 4))
    report = audit(module, 3 * X, Y, nn.CrossEntropyLoss())
    assert report.ok and not report.notes and report.rows[0].g2 > 0


def test_a_head_that_the_loss_does_not_see_is_no_dead_one() -> None:
    def run(m: Any, x: Tensor) -> Any:
        h = m.stem(x).relu()
        return m.head(h), m.other(h)

    parts = {"stem": nn.Linear(12, 24), "head": nn.Linear(24, 4), "other": nn.Linear(24, 3)}
    module = Made(run, **parts)
    report = audit(module, X, Y, lambda o, y: F.cross_entropy(o[0], y))
    assert report.ok and report.notes[0].startswith("other.weight: ")
    assert "the loss does not see" in report.notes[0]
    both = audit(module, X, Y, lambda o, y: F.cross_entropy(o[0], y) + o[1].square().mean())
    assert both.ok and not both.notes


@pytest.mark.parametrize("way", ["vmap", "create_graph"])
def test_a_gradient_that_the_model_takes_makes_nothing_dead(way: str) -> None:
    def run(m: Any, x: Tensor) -> Any:
        if way == "vmap":
            return torch.func.vmap(torch.func.grad(lambda q: m.net(q).sum()))(x)
        x = x.requires_grad_()
        return torch.autograd.grad(m.net(x).sum(), x, create_graph=True)[0]

    module = Made(run, net=nn.Sequential(nn.Linear(12, 32), nn.Tanh(), nn.Linear(32, 1)))
    report = audit(module, X, torch.sin(X), nn.MSELoss())
    assert report.ok and any("takes a gradient itself" in note for note in report.notes)


def test_a_hidden_state_beside_the_output_is_no_head() -> None:
    def run(m: Any, x: Tensor) -> Any:
        z = m.b(m.a(x).relu()).relu()
        return m.h(z), z

    parts = {"a": nn.Linear(12, 24), "b": nn.Linear(24, 24), "h": nn.Linear(24, 4)}
    module = Made(run, **parts)
    done = reinitialize(module, x=X, rng=0)
    assert done["b.weight"] == "he_normal" and done["h.weight"] == "variance_scaling, scale=0.01"
    assert audit(module, X).ok


def test_every_kernel_that_makes_the_outputs_alike_is_named() -> None:
    layers = [part for _ in range(12) for part in (nn.Linear(64, 64), nn.ReLU())]
    module = nn.Sequential(*layers, nn.Linear(64, 4))
    (finding,) = audit(module, torch.randn(32, 64), torch.arange(32) % 4, F.cross_entropy).findings
    assert finding.verdict == "collapsed"
    assert finding.names == tuple(f"{2 * k}.weight" for k in range(12)) == finding.changes


def test_a_sum_of_branches_is_cured_at_the_end_of_each() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem, self.head = nn.Linear(12, 32), nn.Linear(32, 4)
            self.branches = nn.ModuleList(
                nn.Sequential(nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 32)) for _ in range(12)
            )
            for name, p in self.branches.named_parameters():
                nn.init.zeros_(p) if "bias" in name else nn.init.kaiming_normal_(p)

        def forward(self, x: Tensor) -> Any:
            h = self.stem(x)
            for branch in self.branches:
                h = h + branch(h)
            return self.head(h)

    finding = audit(Net(), X, Y, F.cross_entropy).findings[0]
    assert finding.changes == tuple(f"branches.{k}.2.weight" for k in range(12))
    assert "by √12" in finding.cure and "stem" not in finding.cure


def test_what_is_no_kernel_is_said_to_be_used() -> None:
    def run(m: Any, x: Tensor) -> Tensor:
        return m.b(torch.cat([m.token.expand(len(x), -1), m.a(x)], 1))

    module = Made(run, token=nn.Parameter(torch.randn(1, 4)), a=nn.Linear(12, 12),
                  b=nn.Linear(16, 4))  # fmt: skip
    notes = audit(module, X, Y, F.cross_entropy).notes
    assert any(n.startswith("token: ") and "it is no kernel" in n for n in notes)
    assert not any("nothing that ran here uses it" in n for n in notes)


def spectral(x: Tensor, w: Tensor) -> Tensor:
    """A layer of a Fourier neural operator: (examples, channels, places)."""
    return torch.fft.irfft(torch.einsum("bik,iok->bok", torch.fft.rfft(x), w), n=x.shape[-1])


@pytest.mark.parametrize("times", [1.0, 1e-3, 1e3])
def test_kernels_of_complex_numbers_are_judged_and_drawn(times: float) -> None:
    def run(m: Any, x: Tensor) -> Tensor:
        h = m.enters(x)
        for w in m.inner:
            h = F.relu(spectral(h, w))
        return m.leaves(h).mean(-1)

    torch.manual_seed(0)
    inner = nn.ParameterList(torch.randn(32, 32, 9, dtype=torch.cfloat) / 4 for _ in range(4))
    module = Made(run, enters=nn.Conv1d(3, 32, 1), inner=inner, leaves=nn.Conv1d(32, 4, 1))
    with torch.no_grad():
        inner[1].mul_(times)
        module.enters.weight.mul_(3)
    inner[3].requires_grad_(False)
    x, before = torch.randn(64, 3, 16), copy.deepcopy(module.state_dict())
    report = audit(module, x, torch.arange(64) % 4, F.cross_entropy)
    assert all(torch.equal(a, before[n]) for n, a in module.state_dict().items())
    if times == 1:
        assert report.ok and not report.findings
    else:
        verdict = "shrinking" if times < 1 else "exploding"
        assert report.findings[0].verdict == verdict
        assert report.findings[0].changes == ("inner.1.real", "inner.1.imag")
    said = reinitialize(module, x=x, rng=0)
    assert said["inner.1.real"] == said["inner.1.imag"] == "he_normal"
    assert said["inner.3.real"] == "left: frozen" and torch.equal(inner[3], before["inner.3"])
    for half in (inner[1].real, inner[1].imag):
        assert float(half.detach().std()) == pytest.approx(math.sqrt(1 / 32), rel=0.03)
    assert audit(module, x, torch.arange(64) % 4, F.cross_entropy).ok


def test_units_that_are_dead_or_equal_are_noted() -> None:
    module, x, y = mlp().eval(), torch.randn(64, 12), torch.arange(64) % 4
    with torch.no_grad():
        module[0].bias[:5] = -30.0  # of 24
    assert not audit(module, x, y, F.cross_entropy).notes
    with torch.no_grad():
        module[0].bias[:6] = -30.0
    report = audit(module, x, y, F.cross_entropy)
    assert report.ok and report.notes[0].startswith("0.weight: of the units 25% or more")
    nn.init.ones_(module[0].weight)
    nn.init.zeros_(module[0].bias)
    report = audit(module, x, y, F.cross_entropy)
    assert any("all its weights are equal" in note for note in report.notes)


def test_copies_of_a_layer_share_one_note() -> None:
    layer = nn.TransformerEncoderLayer(16, 2, 32, 0.0, batch_first=True)
    (note,) = audit(nn.TransformerEncoder(layer, 2), torch.randn(8, 5, 16)).notes
    assert note.count("layers.1.") == 4 and note.endswith("their gradients differ, and they part.")


@pytest.mark.parametrize("sign, equal", [(1.0, True), (-1.0, False)])
def test_copies_side_by_side_with_equal_gradients_are_symmetric(sign: float, equal: bool) -> None:
    net = mlp().eval()
    module = Made(lambda m, x: m.a(x) + sign * m.b(x), a=net, b=copy.deepcopy(net))
    report = audit(module, X, Y, F.cross_entropy)
    assert report.ok != equal and ("they part." in "".join(report.notes)) != equal
    assert {row.verdict for row in report.rows} == {"symmetric" if equal else "good"}
    assert not equal or "reinitialize" in report.findings[0].cure


def test_a_layer_that_its_bias_killed_gets_another_bias() -> None:
    module = mlp().eval()
    nn.init.constant_(module[0].bias, -30.0)
    (finding,) = audit(module, X, Y, F.cross_entropy).findings
    assert finding.verdict == "dead" and finding.changes == ("0.bias",)
    assert finding.cure == "set 0.bias to the conventional start (zeros)"


def test_targets_that_are_classes_are_not_to_be_standardized() -> None:
    module = Made(lambda m, x: m.a(x) + 1e3 * torch.arange(4.0), a=nn.Linear(12, 4))
    cure = audit(module, X, Y, F.cross_entropy).findings[0].cure
    assert "bring the outputs nearer to 0" in cure and "standardize" not in cure
    cure = audit(module, X, torch.randn(8, 4), F.mse_loss).findings[0].cure
    assert "bring the outputs nearer to 0" in cure and "standardize" not in cure
    cure = audit(mlp(), X, 100 + torch.randn(8, 4), F.mse_loss).findings[0].cure
    assert "standardize the targets" in cure


def test_frozen_zeros_are_dead_and_drawing_them_cures() -> None:
    x = torch.randn(128, 12)
    module = nn.Sequential(nn.Linear(12, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), mlp()[-1])
    module[4] = nn.Linear(64, 4)
    with torch.no_grad():
        module[2].weight.zero_()
        module[2].bias.zero_()
    module[2].requires_grad_(False)
    report = audit(module, x, torch.arange(128) % 4, F.cross_entropy)
    assert {row.verdict for row in report.rows} == {"dead"}
    cure = "draw 2.weight at random (by force=True: 2.weight is frozen)"
    assert report.findings[0].cure == cure
    reinitialize(module, x=x, rng=0, force=True)
    assert audit(module, x, torch.arange(128) % 4, F.cross_entropy).ok


def test_a_small_gradient_beside_another_tasks_is_no_absent_one() -> None:
    def both(o: Tensor, y: Tensor) -> Tensor:
        return F.cross_entropy(o[:, :20], y % 20) + F.mse_loss(o[:, 20], 1000.0 * (y - 3))

    module, y = nn.Sequential(nn.Linear(12, 8), nn.Tanh(), nn.Linear(8, 21)), torch.arange(8)
    report = audit(module, X, y, both)
    assert report.ok and not any("no gradient" in note for note in report.notes)


def test_the_examples_are_followed_through_a_bilinear_layer() -> None:
    module = Made(lambda m, x: m.b(m.a(x, x.flip(1)).relu()), a=nn.Bilinear(12, 12, 32),
                  b=nn.Linear(32, 4))  # fmt: skip
    report = audit(module, torch.randn(64, 12))
    assert not report.notes and report.rows[0].x_share > 0.9


# ------------------------------------------------------------------ what is packed, or kept

PACKED = {
    "attention": (lambda: nn.TransformerEncoderLayer(12, 3, 24, 0.0, batch_first=True),
                  "self_attn.in_proj_weight", 3),
    "split": (lambda: Made(lambda m, x: sum(m.w(x).split(12, -1)), w=nn.Linear(12, 36)),
              "w.weight", 3),
    "unbound": (lambda: Made(lambda m, x: torch.stack(
        m.w(x).reshape(4, 5, 3, 2, 6).permute(2, 0, 3, 1, 4).unbind(0)), w=nn.Linear(12, 36)),
        "w.weight", 3),
    "gates": (lambda: nn.GRU(12, 12, batch_first=True), "weight_hh_l0", 3),
    "glu": (lambda: Made(lambda m, x: F.glu(m.w(x)), w=nn.Linear(12, 24)), "w.weight", 2),
}  # fmt: skip


@pytest.mark.parametrize("kind", PACKED)
def test_packed_matrices_are_drawn_one_by_one(kind: str) -> None:
    make, name, blocks = PACKED[kind]
    module, x = make(), torch.randn(4, 5, 12)
    reinitialize(module, "orthogonal", x=x, rng=0, force=True)
    for matrix in module.get_parameter(name).detach().chunk(blocks):
        assert torch.allclose(matrix @ matrix.T, torch.eye(12), atol=1e-5)
    reinitialize(module, "glorot_normal", x=x, rng=0, force=True)
    # 144 draws or more: 4 standard deviations, 4 / √(2 · 288)
    assert module.get_parameter(name).std().item() == pytest.approx(12**-0.5, rel=0.17)


def test_times_are_no_matrices() -> None:
    """What is taken of a result at one time has all of its units."""
    module = Made(lambda m, x: m.w(x)[:, -1], w=nn.Linear(12, 12))
    (site,) = Module(module, torch.randn(4, 6, 12), None, None, None, 0).program.sites
    assert site.blocks == 1


@pytest.mark.parametrize("norm", [parametrizations.spectral_norm, nn.utils.spectral_norm])
def test_spectral_norms_know_the_new_kernel(norm: Any) -> None:
    module = nn.Sequential(norm(nn.Linear(12, 24)), nn.ReLU(), nn.Linear(24, 4))
    module(X)
    module.eval()
    done = reinitialize(module, x=X, rng=0)
    assert [*done.values()].count("a singular vector of its kernel") == 2
    assert not module[0].training
    module(X)
    lengths = torch.linalg.svdvals(module[0].weight)  # the first of the old kernel's were for 15
    assert torch.allclose(lengths, torch.ones(12), atol=1e-5)


def test_a_draw_is_tried_with_the_singular_vectors_that_it_will_have() -> None:
    """What normalizes by those of another kernel makes it too large."""
    parts = [nn.Linear(12, 24), *[nn.Linear(24, 24) for _ in range(2)], nn.Linear(24, 3)]
    parts = [parametrizations.spectral_norm(part) for part in parts]
    model = nn.Sequential(*itertools.chain(*((part, nn.ReLU()) for part in parts[:-1])), parts[-1])
    subject = Module(model, X, None, None, None, 0)
    drawn = redraw.values(subject, np.random.default_rng(0))
    tried = subject.measure(values={name: value for name, (value, _) in drawn.items()})
    redraw.reinitialize(subject, rng=0)
    assert np.allclose(tried.std, subject.measure().std, rtol=1e-5)


def test_a_table_is_drawn_as_by_pytorch_and_its_padding_row_is_zero() -> None:
    run = lambda m, x: m.head(m.words(x).mean(1))  # noqa: E731
    module = Made(run, words=nn.Embedding(50, 64, padding_idx=3), head=nn.Linear(64, 4))
    x = torch.arange(64).reshape(8, 8) % 50
    assert reinitialize(module, x=x, rng=0)["words.weight"] == "normal, std=1"
    assert not module.words.weight[3].any()
    rest = module.words.weight[4:]  # 2,944 draws: 4 / √5888
    assert rest.std().item() == pytest.approx(1.0, abs=0.053)
    tied = Made(lambda m, x: m.words(x) @ m.words.weight.T, words=nn.Embedding(50, 64))
    assert reinitialize(tied, x=x, rng=0) == {"words.weight": "uniform, limit=0.05"}


def test_rows_far_too_large_are_the_tables() -> None:
    module = Made(lambda m, x: m.head(m.words(x).mean(1)), words=nn.Embedding(50, 64),
                  head=nn.Linear(64, 4))  # fmt: skip
    x, y = torch.arange(64).reshape(8, 8) % 50, Y
    assert audit(module, x, y, F.cross_entropy).ok
    with torch.no_grad():
        module.words.weight *= 100
    finding = audit(module, x, y, F.cross_entropy).findings[0]
    assert finding.verdict == "exploding" and finding.names == ("words.weight",)
    assert finding.cure == "draw words.weight with normal, std=1"


def test_a_kernel_of_zeros_behind_a_scale_of_zero_is_drawn() -> None:
    def run(m: Any, x: Tensor) -> Tensor:
        h = m.stem(x)
        return m.head(h + m.scale * m.end(m.start(h).relu()))

    parts = {"stem": nn.Linear(12, 24), "start": nn.Linear(24, 24), "end": nn.Linear(24, 24)}
    module = Made(run, **parts, head=nn.Linear(24, 4), scale=nn.Parameter(torch.zeros(())))
    assert audit(module, X, Y, F.cross_entropy).ok  # the scale opens
    nn.init.zeros_(module.end.weight)
    nn.init.zeros_(module.end.bias)
    (finding,) = audit(module, X, Y, F.cross_entropy).findings
    assert finding.verdict == "dead" and "end.weight" in finding.changes
    assert not reinitialize(module, x=X, rng=0)["end.weight"].startswith("left")
    assert audit(module, X, Y, F.cross_entropy).ok and module.scale == 0


# ------------------------------------------------------------------ where the examples lie


def time_first(m: Any, x: Tensor) -> Tensor:
    h = m.a(x.transpose(0, 1).reshape(-1, 12))
    return m.b(h.view(x.shape[1], -1, 12).mean(0))


def through_a_buffer(m: Any, x: Tensor) -> Tensor:
    kept = torch.empty(x.shape[1], len(x), 12)
    for t in range(x.shape[1]):
        kept[t] = m.a(x[:, t])
    return m.b(kept.sum(0))


WAYS = {
    "time first": time_first,
    "examples first": lambda m, x: m.b(m.a(x.flatten(0, 1)).view(len(x), -1, 12).mean(1)),
    "stacked": lambda m, x: m.b(torch.stack([m.a(s) for s in x.unbind(1)]).mean(0)),
    "in a buffer": through_a_buffer,
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("times", [4, 8])  # as many as there are examples, too
def test_examples_are_followed(way: str, times: int) -> None:
    """What differs over the times alone varies over the examples by 1e-4 of it, and no more."""
    module = Made(WAYS[way], a=nn.Linear(12, 12, bias=False), b=nn.Linear(12, 4))
    for shape, low, high in (((8, 1, 12), 0.7, 1.3), ((1, times, 12), 1e-6, 1e-2)):
        x = torch.randn(shape) + 0.01 * torch.randn(8, times, 12)
        for row in audit(module, x).rows:
            assert low < row.x_share < high and low < row.z_share < high


def test_what_cannot_be_followed_is_unknown() -> None:
    """Every example meets every other: there is no row of one."""
    module = Made(lambda m, x: m.a(x) @ m.b(x).T, a=nn.Linear(12, 5), b=nn.Linear(12, 5))
    head = Made(lambda m, x: m.c(m.a(x) @ m.b(x).T), a=module.a, b=module.b, c=nn.Linear(8, 3))
    report = audit(head, X)
    assert math.isnan(report.rows[-1].z_share) and not math.isnan(report.rows[0].z_share)
    assert "where they lie was not followed" in report.notes[-1]


# ------------------------------------------------------------------ data of other forms


def test_sequences_of_unequal_lengths() -> None:
    def run(m: Any, x: Any) -> Tensor:
        if isinstance(x, Tensor):
            x = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True)
        return m.head(m.rnn(x)[1][-1])

    x, lengths = torch.randn(8, 6, 12), torch.tensor([6, 5, 5, 4, 3, 3, 2, 1])
    module = Made(run, rnn=nn.GRU(12, 16, batch_first=True), head=nn.Linear(16, 4))
    packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True)
    report = audit(module, x, Y, F.cross_entropy)
    assert report.ok and [row.x2 for row in report.rows] == [
        row.x2 for row in audit(module, packed, Y, F.cross_entropy).rows
    ]
    first = next(row for row in report.rows if row.name == "rnn.weight_ih_l0")
    assert first.x2 == pytest.approx(packed.data.double().square().mean().item(), rel=1e-6)


def test_sparse_data_and_spread_parameters_get_a_sentence() -> None:
    graph = torch.eye(8).to_sparse()
    module = Made(lambda m, x: torch.sparse.mm(m.graph, m.a(x)), a=nn.Linear(12, 4))
    module.register_buffer("graph", graph)
    assert audit(module, X, Y, F.cross_entropy).ok
    with pytest.raises(ValueError, match="only dense ones are measured: give its to_dense"):
        audit(Made(lambda m, x: m.a(x.to_dense()), a=nn.Linear(12, 4)), X.to_sparse())
    held = Made(lambda m, x: x @ m.w.to_dense(), w=nn.Parameter(torch.eye(12).to_sparse()))
    with pytest.raises(ValueError, match="w of Made is sparse"):
        audit(held, X)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        script = torch.jit.script(nn.Linear(12, 4))
    inner = Made(lambda m, x: m.net(x), net=script)
    with pytest.raises(TypeError, match=r"before torch.jit, .* in net"):
        audit(inner, X)
    wide = nn.Linear(12, 4)
    wide.weight.full_tensor = lambda: wide.weight  # as of a DTensor
    with pytest.raises(ValueError, match="weight of Linear is spread over processes"):
        audit(wide, X)


# ------------------------------------------------------------------ memory, attention, small scales


def test_a_state_that_is_forgotten_at_each_step_shrinks() -> None:
    run = lambda m, x: m.head(m.rnn(x)[0][:, -1])  # noqa: E731
    x = torch.randn(8, 20, 12)
    for kind, verdict in ((nn.RNN, "shrinking"), (nn.GRU, None)):  # a GRU's state passes by
        module = Made(run, rnn=kind(12, 32, batch_first=True), head=nn.Linear(32, 4))
        assert audit(module, x, Y, F.cross_entropy).ok
        nn.init.normal_(module.rnn.weight_hh_l0, std=0.01)
        findings = audit(module, x, Y, F.cross_entropy).findings
        assert [f.verdict for f in findings] == [verdict] * bool(verdict)
        for finding in findings:
            assert finding.names == ("rnn.weight_hh_l0",)
            assert finding.cure == "draw rnn.weight_hh_l0 with orthogonal"


def test_a_step_of_a_residual_loop_may_be_small() -> None:
    def run(m: Any, x: Tensor) -> Tensor:
        for _ in range(5):
            x = x + m.step(x).tanh()
        return m.head(x)

    module = Made(run, step=nn.Linear(12, 12, bias=False), head=nn.Linear(12, 4))
    nn.init.normal_(module.step.weight, std=0.01)
    assert audit(module, X, Y, F.cross_entropy).ok


class Attention(nn.Module):
    """One head; its mask is added to the scores."""

    def __init__(self) -> None:
        super().__init__()
        for name in "qkv":
            setattr(self, name, nn.Linear(12, 12))
        self.head, self.mask = nn.Linear(12, 4), 0.0

    def forward(self, x: Tensor) -> Tensor:
        scores = self.q(x) @ self.k(x).mT / 12**0.5 + self.mask
        return self.head((scores.softmax(-1) @ self.v(x)).mean(1))


@pytest.mark.parametrize("masked", [-math.inf, -1e9])
def test_rows_with_one_entry_are_not_saturated(masked: float) -> None:
    module, x = Attention(), torch.randn(8, 5, 12)
    mask = torch.full((5, 5), masked).fill_diagonal_(0.0)
    mask[0, 1] = 0.0
    loss = F.cross_entropy
    module.mask = mask
    assert audit(module, x, Y, loss).ok
    with torch.no_grad():
        module.q.weight *= 100
    mask[:, 0] = 0.0
    for module.mask in (0.0, mask):
        assert audit(module, x, Y, loss).findings[0].verdict == "saturated"


@pytest.mark.parametrize(("std", "verdicts"), [(0.02, []), (0.002, ["shrinking"])])
def test_what_a_normalizer_follows_may_read_a_smaller_signal(
    std: float, verdicts: list[str]
) -> None:
    """The discriminator of DCGAN draws its first kernel, of 48 inputs, with a std of 0.02."""
    layers = [nn.Conv2d(3, 32, 4, 2, 1, bias=False), nn.LeakyReLU(0.2),
              nn.Conv2d(32, 64, 4, 2, 1, bias=False), nn.BatchNorm2d(64), nn.LeakyReLU(0.2),
              nn.Conv2d(64, 1, 4, bias=False), nn.Flatten(0)]  # fmt: skip
    for layer, own in ((layers[0], std), (layers[2], 0.02), (layers[5], 0.02)):
        nn.init.normal_(layer.weight, 0.0, own)
    x, y = torch.randn(16, 3, 16, 16).tanh() / 1.2, torch.arange(16.0) % 2
    found = audit(nn.Sequential(*layers), x, y, nn.BCEWithLogitsLoss()).findings
    assert [f.verdict for f in found] == verdicts


@pytest.mark.parametrize(
    ("act", "bias", "times", "ok"),
    [(nn.ReLU, False, 255.0, True), (nn.ReLU, True, 255.0, True), (nn.ReLU, False, 0.002, True),
     (nn.ReLU, True, 0.002, False), (nn.Tanh, False, 255.0, False)],
)  # fmt: skip
def test_inputs_whose_scale_a_normalizer_takes_away_one_layer_later(
    act: Any, bias: bool, times: float, ok: bool
) -> None:
    """Of ReLU the scale alone changes; small inputs drown in a bias, and large ones in tanh."""
    layers = [nn.Conv2d(3, 16, 3, padding=1, bias=bias), act(), nn.Conv2d(16, 16, 3, bias=bias),
              nn.BatchNorm2d(16), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
              nn.Linear(16, 4)]  # fmt: skip
    for layer in (layers[0], layers[2]):
        nn.init.kaiming_normal_(layer.weight)
    report = audit(nn.Sequential(*layers), times * torch.randn(8, 3, 8, 8), Y, F.cross_entropy)
    assert report.ok == ok and (ok or report.findings[0].verdict == "inputs unscaled")


@pytest.mark.parametrize("trunk", [False, True])
def test_inputs_that_are_normalized_before_they_are_summed_have_no_scale(trunk: bool) -> None:
    """But those that a trunk begins with do, whose branches alone are normalized."""

    def run(m: Any, x: Tensor) -> Tensor:
        h = m.a(x)
        h = h + m.c(m.n(h)) if trunk else m.n(h) + m.k(m.b(x))
        return m.head(F.layer_norm(h, (32,)))

    module = Made(run, a=nn.Linear(12, 32), b=nn.Linear(12, 32), c=nn.Linear(32, 32),
                  n=nn.LayerNorm(32), k=nn.LayerNorm(32), head=nn.Linear(32, 4))  # fmt: skip
    report = audit(module, 100 * torch.randn(8, 12), Y, F.cross_entropy)
    assert [f.verdict for f in report.findings] == ["inputs unscaled"] * trunk


@pytest.mark.parametrize("largest", [2, 5])
@pytest.mark.parametrize(("times", "ok"), [(1, True), (100, False)])
def test_a_softmax_over_the_largest_scores_is_seen_saturated(
    times: int, ok: bool, largest: int
) -> None:
    def run(m: Any, x: Tensor) -> Tensor:
        scores = m.q(x) @ m.k(x).mT / 12**0.5
        small = scores < scores.topk(largest, -1).values[..., -1:]
        shares = scores.masked_fill(small, -math.inf).softmax(-1)
        return m.head((shares @ m.v(x)).mean(1))

    module = Made(run, q=nn.Linear(12, 12), k=nn.Linear(12, 12), v=nn.Linear(12, 12),
                  head=nn.Linear(12, 4))  # fmt: skip
    with torch.no_grad():
        module.q.weight *= times
    found = audit(module, torch.randn(8, 6, 12), Y, F.cross_entropy).findings
    assert [f.verdict for f in found[:1]] == ([] if ok else ["saturated"])


@pytest.mark.parametrize(("times", "ok"), [(1, True), (100, False)])
def test_rows_of_shares_that_are_divided_by_their_sum_again_are_a_softmax_still(
    times: int, ok: bool
) -> None:
    """As where a mask comes behind it."""

    def run(m: Any, x: Tensor) -> Tensor:
        shares = (m.q(x) @ m.k(x).mT / 12**0.5).softmax(-1) * torch.ones(6, 6).tril()
        return m.head((shares / (shares.sum(-1, keepdim=True) + 1e-9) @ m.v(x)).mean(1))

    module = Made(run, q=nn.Linear(12, 12), k=nn.Linear(12, 12), v=nn.Linear(12, 12),
                  head=nn.Linear(12, 4))  # fmt: skip
    with torch.no_grad():
        module.q.weight *= times
    found = audit(module, torch.randn(8, 6, 12), Y, F.cross_entropy).findings
    assert [f.verdict for f in found[:1]] == ([] if ok else ["saturated"])


@pytest.mark.parametrize("times", [1.0, 2.0])
def test_a_redraw_leaves_no_hidden_sigmoid_flat(times: float) -> None:
    module = Made(lambda m, x: m.b(times * m.a(x).sigmoid()), a=nn.Linear(12, 32),
                  b=nn.Linear(32, 4))  # fmt: skip
    nn.init.constant_(module.a.bias, -8.0)
    assert audit(module, X, Y, F.cross_entropy).findings[0].verdict == "saturated"
    assert reinitialize(module, x=X, rng=0)["a.bias"] == "zeros"
    assert audit(module, X, Y, F.cross_entropy).ok


def test_scores_of_which_a_softmax_picks_the_next_input_are_logits() -> None:
    """A pointer network: they are its outputs, and no state that the next step reads."""

    def run(m: Any, x: Tensor) -> Tensor:
        keys, state, made = m.keys(x), m.start.expand(len(x), -1), []
        for _ in range(5):
            scores = 10 * torch.tanh(m.v(torch.tanh(keys + m.query(state)[:, None]))[..., 0])
            state = torch.tanh(m.cell((scores.softmax(1)[..., None] * keys).sum(1)))
            made.append(scores)
        return torch.stack(made, 1)

    module = Made(run, keys=nn.Linear(12, 32), query=nn.Linear(32, 32), cell=nn.Linear(32, 32),
                  v=nn.Linear(32, 1), start=nn.Parameter(torch.randn(32)))  # fmt: skip
    said = reinitialize(module, x=torch.randn(8, 5, 12), rng=0)
    assert said["v.weight"] == "variance_scaling, scale=0.01"


@pytest.mark.parametrize(("bias", "verdict"), [(8.0, ""), (-8.0, "saturated")])
def test_a_gate_is_flat_where_it_is_shut(bias: float, verdict: str) -> None:
    """What an LSTM is to remember trains best of all where its forget gate begins open."""
    module = Made(lambda m, x: m.head(m.cell(x)[0][:, -1]), cell=nn.LSTM(12, 32, batch_first=True),
                  head=nn.Linear(32, 4))  # fmt: skip
    with torch.no_grad():
        for name in ("bias_ih_l0", "bias_hh_l0"):
            getattr(module.cell, name).zero_()
        module.cell.bias_ih_l0[32:64] = bias
    found = audit(module, torch.randn(8, 6, 12), Y, F.cross_entropy).findings
    assert [f.verdict for f in found[:1]] == [verdict] * bool(verdict)


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize(("times", "ok"), [(1, True), (100, False)])
def test_dropout_makes_no_row_one_entry(times: int, ok: bool, fused: bool) -> None:
    """Of two entries it doubles the one that it keeps."""

    def run(m: Any, x: Tensor) -> Tensor:
        q, k, v = m.q(x), m.k(x), m.v(x)
        if fused:
            made = F.scaled_dot_product_attention(q, k, v, dropout_p=0.5)
        else:
            made = F.dropout((q @ k.mT / 12**0.5).softmax(-1), 0.5) @ v
        return m.head(made.mean(1))

    module = Made(run, q=nn.Linear(12, 12), k=nn.Linear(12, 12), v=nn.Linear(12, 12),
                  head=nn.Linear(12, 4))  # fmt: skip
    with torch.no_grad():
        module.q.weight *= times
    found = audit(module, torch.randn(32, 2, 12), torch.arange(32) % 4, F.cross_entropy).findings
    assert [f.verdict for f in found[:1]] == ([] if ok else ["saturated"])


def test_attention_to_one_token_gives_no_gradient_and_is_no_fault() -> None:
    report = audit(Attention(), torch.randn(8, 1, 12), Y, F.cross_entropy)
    assert report.ok and report.notes[0].startswith("q.weight, k.weight: ")
    assert "its softmax is over one entry" in report.notes[0]


def test_small_scales_that_open_do_not_starve_what_they_multiply() -> None:
    """LayerScale, without a kernel before it."""

    def run(m: Any, x: Tensor) -> Tensor:
        for scale, branch in zip(m.scales, m.branches, strict=True):
            x = x + scale * branch(F.layer_norm(x, (12,)))
        return m.head(F.layer_norm(x, (12,)))

    branches = nn.ModuleList(
        nn.Sequential(nn.Linear(12, 24), nn.GELU(), nn.Linear(24, 12)) for _ in range(4)
    )
    module = Made(run, branches=branches, scales=nn.Parameter(torch.full((4, 12), 1e-5)),
                  head=nn.Linear(12, 4))  # fmt: skip
    assert audit(module, X, Y, F.cross_entropy).ok


def test_scalars_are_parameters_too() -> None:
    module = Made(
        lambda m, x: m.a(x) * m.t.exp(), a=nn.Linear(12, 4), t=nn.Parameter(torch.ones(()))
    )
    assert audit(module, X, Y, F.cross_entropy).ok


class Masked(nn.Linear):
    """A kernel of which a quarter is used; its draw makes up for that."""

    def __init__(self, how: str, seed: int) -> None:
        super().__init__(128, 128)
        rng = torch.Generator().manual_seed(seed)
        self.how = how
        self.register_buffer("mask", (torch.rand(128, 128, generator=rng) < 0.25).float())
        nn.init.normal_(self.weight, 0.0, math.sqrt(8 / 128), generator=rng)
        nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        w, mask = self.weight, self.mask
        if self.how == "written":
            self.weight.data *= mask
        w = mask * w if self.how == "product" else w
        w = torch.where(mask.bool(), w, torch.zeros(())) if self.how == "where" else w
        w = w.masked_fill(mask == 0, 0.0) if self.how == "filled" else w
        return F.linear(x, w * (1 - (mask < 0.5).float()) if self.how == "rest" else w, self.bias)


@pytest.mark.parametrize("how", ["product", "where", "filled", "rest", "written"])
def test_what_a_mask_takes_away_is_made_up_for(how: str) -> None:
    parts = [part for i in range(5) for part in (Masked(how, i), nn.ReLU())]
    module = nn.Sequential(nn.Linear(12, 128), nn.ReLU(), *parts, nn.Linear(128, 4))
    nn.init.kaiming_normal_(module[0].weight, generator=torch.Generator().manual_seed(9))
    assert audit(module, X).ok
    said = reinitialize(module, x=X, rng=0)
    share = float(module[4].mask.mean())
    assert said["4.weight"] == f"he_normal, times {share**-0.5:.3g}"
    assert said["4.mask"] == "left: frozen"
    std = float(module[4].weight.detach().std())
    assert std == pytest.approx(math.sqrt(2 / 128 / share), rel=0.1)
    assert audit(module, X).ok


def test_pruned_kernels_are_drawn_for_what_is_left() -> None:
    parts = [part for _ in range(9) for part in (nn.Linear(32, 32), nn.ReLU())]
    module = nn.Sequential(nn.Linear(12, 32), nn.ReLU(), *parts, nn.Linear(32, 4))
    reinitialize(module, x=X, rng=0)
    torch.manual_seed(0)
    for layer in module[2:-1:2]:
        prune.random_unstructured(layer, "weight", 0.8)
    report = audit(module, X)
    (finding,) = report.findings
    assert finding.verdict == "shrinking"
    assert finding.cure == "draw 2.weight_orig to 18.weight_orig with he_normal, times 2.23"
    reinitialize(module, x=X, rng=0, force=True)
    assert audit(module, X).ok


def test_paths_that_start_near_zero_stay_small() -> None:
    """As of an adapter, and of what shifts and scales by a condition."""
    adapted = Made(lambda m, x: m.head(F.relu(m.stem(x) + m.up(F.relu(m.down(x))))),
                   stem=nn.Linear(12, 12), down=nn.Linear(12, 3), up=nn.Linear(3, 12),
                   head=nn.Linear(12, 4))  # fmt: skip
    nn.init.normal_(adapted.up.weight, 0.0, 1e-3)
    assert reinitialize(adapted, x=X, rng=0)["up.weight"] == "left: its branch starts near 0"
    moved = Made(modulated, stem=nn.Linear(12, 12), mod=nn.Linear(12, 24), head=nn.Linear(12, 4))
    assert not reinitialize(moved, x=X, rng=0)["mod.weight"].startswith("left")
    nn.init.normal_(moved.mod.weight, 0.0, 1e-3)
    assert reinitialize(moved, x=X, rng=0)["mod.weight"].startswith("left")
    # not so on the only path, where it is a fault
    alone = nn.Sequential(nn.Linear(12, 12), nn.ReLU(), nn.Linear(12, 12), nn.ReLU(),
                          nn.Linear(12, 4))  # fmt: skip
    nn.init.normal_(alone[2].weight, 0.0, 1e-3)
    assert not reinitialize(alone, x=X, rng=0)["2.weight"].startswith("left")


def test_what_gets_no_gradient_back_stays() -> None:
    """As of a target network, and of random features that are never trained."""
    module = Made(lambda m, x: m.head(m.body(x) + m.target(x).detach()),
                  body=nn.Linear(12, 12), target=nn.Linear(12, 12),
                  head=nn.Linear(12, 4))  # fmt: skip
    before = module.target.weight.detach().clone()
    assert reinitialize(module, x=X, rng=0)["target.weight"] == "left: no gradient reaches it"
    assert torch.equal(module.target.weight, before)


def test_the_steps_of_whole_numbers_stay() -> None:
    """Of kernels and signals rounded to multiples of a learned step (LSQ)."""

    def rounded(v: Tensor, step: Tensor) -> Tensor:
        w = (v / step).clamp(-127, 127)
        return (w + (w.round() - w).detach()) * step

    def forward(m: Any, x: Tensor) -> Tensor:
        h = F.relu(F.linear(rounded(x, m.fine), rounded(m.w, m.step)))
        made: Tensor = m.head(h)
        return made

    module = Made(forward, w=nn.Parameter(torch.randn(12, 12) / 3), head=nn.Linear(12, 4),
                  step=nn.Parameter(torch.tensor(0.01)),
                  fine=nn.Parameter(torch.tensor(0.03)))  # fmt: skip
    said = reinitialize(module, x=X, rng=0)
    assert said["step"].startswith("left") and said["fine"].startswith("left")
    assert [float(p.detach()) for p in (module.step, module.fine)] == pytest.approx([0.01, 0.03])
    assert audit(module, X).ok


# ------------------------------------------------------------------ sums over many

EDGES = torch.randint(40, (2, 240), generator=torch.Generator().manual_seed(1))
NODES = torch.randn(40, 12, generator=torch.Generator().manual_seed(2))


def neighbors() -> Tensor:
    near = torch.eye(40)
    near[EDGES[0], EDGES[1]] = 1.0
    return near


def messages(m: Any, x: Tensor) -> Tensor:
    for layer in m.layers:
        x = F.relu(layer(x + torch.zeros_like(x).index_add(0, EDGES[0], x[EDGES[1]])))
    return m.head(x)  # type: ignore[no-any-return]


def matrices(m: Any, x: Tensor) -> Tensor:
    for layer in m.layers:
        x = F.relu(m.near @ layer(x))
    return m.head(x)  # type: ignore[no-any-return]


@pytest.mark.parametrize("run", [messages, matrices])
def test_a_draw_is_scaled_where_sums_make_it_grow(run: Any) -> None:
    """How alike the terms are, and how many, no geometry tells."""
    layers = nn.ModuleList(nn.Linear(12, 12) for _ in range(6))
    module = Made(run, layers=layers, head=nn.Linear(12, 4))
    module.register_buffer("near", neighbors())
    said = reinitialize(module, x=NODES, rng=0)
    assert audit(module, NODES).ok
    assert re.fullmatch(r".*_normal, times 0\.\d+", said["layers.3.weight"])
    named = reinitialize(module, "he_normal", x=NODES, rng=0)
    assert named["layers.3.weight"] == "he_normal" and not audit(module, NODES).ok


def beside_roots(m: Any, x: Tensor) -> Tensor:
    for layer, root in zip(m.layers, m.roots, strict=True):
        x = F.relu(layer(m.near @ x) + root(x))
    return m.head(x)  # type: ignore[no-any-return]


def updates(m: Any, x: Tensor) -> Tensor:
    for layer, root in zip(m.layers, m.roots, strict=True):
        sent = F.relu(layer(torch.cat([x[EDGES[0]], x[EDGES[1]]], 1)))
        x = x + root(torch.cat([x, torch.zeros_like(x).index_add(0, EDGES[0], sent)], 1))
    return m.head(x)  # type: ignore[no-any-return]


@pytest.mark.parametrize(("run", "wide"), [(beside_roots, 12), (updates, 24)])
def test_a_draw_is_scaled_where_sums_lie_beside_other_ways(run: Any, wide: int) -> None:
    """No kernel is one that every path leads through; those that meet come to the same size."""
    layers, roots = (nn.ModuleList(nn.Linear(wide, 12) for _ in range(4)) for _ in range(2))
    module = Made(run, layers=layers, roots=roots, head=nn.Linear(12, 4))
    module.register_buffer("near", neighbors())
    draws = torch.Generator().manual_seed(3)
    for layer in (*layers, *roots):
        nn.init.kaiming_normal_(layer.weight, generator=draws)
    assert "which scales it until E x² stays level" in audit(module, NODES).findings[0].cure
    said = reinitialize(module, x=NODES, rng=0)
    assert audit(module, NODES).ok
    if run is beside_roots:
        sums, own = (float(said[f"{n}.1.weight"].rpartition("times ")[2])
                     for n in ("layers", "roots"))  # fmt: skip
        assert sums < 0.5 < own < 1  # so that what is summed does not drown the rest


def grown(m: Any, x: Tensor) -> Tensor:
    for layer in m.layers:
        x = x + F.relu(layer(m.near @ x))
    return m.head(x)  # type: ignore[no-any-return]


def test_what_branches_make_too_large_is_not_made_up_for_by_the_first_kernel() -> None:
    """Else all begins near 0, and grows a hundredfold from one to the next."""
    module = Made(lambda m, x: grown(m, m.stem(x)), stem=nn.Linear(12, 32),
                  layers=nn.ModuleList(nn.Linear(32, 32) for _ in range(6)),
                  head=nn.Linear(32, 4))  # fmt: skip
    module.register_buffer("near", neighbors())
    said = reinitialize(module, x=NODES, rng=0)
    report = audit(module, NODES)
    assert report.ok and all(0.1 < row.x2 < 10 for row in report.rows), report.rows
    assert re.search(r"times 0\.\d+$", said["layers.3.weight"])
    assert reinitialize(module, x=NODES, rng=0) == said
    # what hangs on a trunk that is near 0 and grows is no sound start
    for layer in module.layers:
        layer.weight.data *= 20
    module.stem.weight.data *= 1e-5
    nn.init.zeros_(module.stem.bias)
    assert not audit(module, NODES).ok


# ------------------------------------------------------------------ masks among the inputs


def padded(m: Any, x: Tensor, mask: Tensor) -> Tensor:
    x = x * mask if m.first else x
    for layer in m.layers:
        x = F.relu(layer(x)) * mask
    return m.head(x.sum(1) / mask.sum(1))  # type: ignore[no-any-return]


@pytest.mark.parametrize("first", [False, True])  # whether it multiplies the data, too
def test_a_mask_among_the_inputs_is_no_signal(first: bool) -> None:
    """What it multiplies is read as without it, and every path leads through the kernels still."""
    torch.manual_seed(0)
    sizes = [(12, 64)] + [(64, 64)] * 19
    layers = nn.ModuleList(nn.Linear(*size) for size in sizes)
    module = Made(padded, layers=layers, head=nn.Linear(64, 4), first=first)
    x = torch.randn(8, 20, 12), (torch.rand(8, 20, 1) < 0.7).float()
    said = reinitialize(module, x=x, rng=0)
    assert said["layers.9.weight"] == "he_normal" and audit(module, x).ok
    layers[9].weight.data *= 0.01
    finding = audit(module, x).findings[0]
    assert finding.verdict == "shrinking" and finding.changes == ("layers.9.weight",)


def test_data_that_a_gate_multiplies_are_signal() -> None:
    gate = nn.Linear(12, 12)
    module = Made(lambda m, x: m.head(x * torch.sigmoid(m.gate(x))), gate=gate,
                  head=nn.Linear(12, 4))  # fmt: skip
    nn.init.zeros_(gate.weight)
    assert reinitialize(module, x=X, rng=0)["gate.weight"] == "left: its branch starts at 0"
    assert audit(module, X).rows[1].before != "sigmoid"


def test_a_mean_over_neighbors_may_lose_what_means_lose() -> None:
    """As graph convolutions with Glorot's rule do, which are sound; a matrix is no kernel there."""
    layers = nn.ModuleList(nn.Linear(12, 12) for _ in range(4))
    module = Made(matrices, layers=layers, head=nn.Linear(12, 4))
    module.register_buffer("near", neighbors() / neighbors().sum(1, keepdim=True))
    before = module.near.clone()
    for layer in layers:
        nn.init.xavier_normal_(layer.weight, generator=torch.Generator().manual_seed(0))
        nn.init.zeros_(layer.bias)
    report = audit(module, NODES)
    assert report.ok and "near" not in {row.name for row in report.rows}
    said = reinitialize(module, x=NODES, rng=0, force=True)
    assert audit(module, NODES).ok and torch.equal(module.near, before)
    assert said["layers.3.weight"] == "he_normal"  # means need no scale
    for layer in layers:
        layer.weight.data *= 0.05
    assert audit(module, NODES).findings[0].verdict == "shrinking"


# ------------------------------------------------------------------ what belongs to an activation


class Bend(nn.Module):
    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.function(x)
        return made


@pytest.mark.parametrize(
    ("function", "square"),
    [
        (lambda z: z * torch.sigmoid(1.702 * z), None),
        (lambda z: F.relu(1.4 * z), 2 / 1.4**2),
        (lambda z: F.relu(z) ** 2, 1 / 1.5),  # E z⁴ / 2; a larger z grows faster than itself
        (lambda z: z**3, 1 / 15),  # 1 / E z⁶
    ],
)
def test_a_number_in_an_activation_is_its_own(function: Any, square: float | None) -> None:
    parts = [part for _ in range(4) for part in (nn.Linear(64, 64), Bend(function))]
    module = nn.Sequential(nn.Linear(12, 64), Bend(function), *parts, nn.Linear(64, 4))
    said = reinitialize(module, x=X, rng=0)["4.weight"]
    if square is None:
        assert said.startswith("variance_scaling, scale=") and audit(module, X).ok
    else:
        assert float(said.rpartition("=")[2]) == pytest.approx(square, rel=0.08)


# ------------------------------------------------------------------ zeros that are a mistake


class Skip(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(24, 24), nn.Linear(24, 24)

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = x + self.b(F.relu(self.a(x)))
        return made


def test_zeros_before_a_trunk_are_drawn_and_those_of_its_branches_stay() -> None:
    module = nn.Sequential(nn.Linear(12, 24), Skip(), Skip(), nn.Linear(24, 4))
    for p in module.parameters():
        nn.init.zeros_(p)
    cure = audit(module, X, Y, F.cross_entropy).findings[0].cure
    assert cure == "draw 0.weight, 1.a.weight, 2.a.weight and 1 more at random"
    said = reinitialize(module, x=X, rng=0)
    left = [n for n, text in said.items() if text.startswith("left")]
    assert left == ["1.b.weight", "2.b.weight"] and audit(module, X, Y, F.cross_entropy).ok


def attended(m: Any, x: Tensor) -> Tensor:
    h = m.stem(x[:, None] * torch.arange(1, 6)[:, None] / 5)
    shares = (m.q(h) @ m.k(h).mT / 12**0.5).softmax(-1)
    made: Tensor = m.head((h + m.o(shares @ m.v(h))).mean(1))
    return made


def test_of_two_zeros_that_are_multiplied_none_opens() -> None:
    def built(*zeros: str) -> Any:
        parts = {n: nn.Linear(12, 12, bias=False) for n in ("stem", "q", "k", "v", "o")}
        module = Made(attended, **parts, head=nn.Linear(12, 4))
        for name in zeros:
            nn.init.zeros_(parts[name].weight)
        return module

    both, one = built("q", "k"), built("q")
    assert audit(both, X).findings[0].cure == "draw q.weight, k.weight at random"
    said = reinitialize(both, x=X, rng=0)
    assert said["q.weight"] == said["k.weight"] == "lecun_normal" and audit(both, X).ok
    assert reinitialize(one, x=X, rng=0)["q.weight"] == "left: its branch starts at 0"


def test_zeros_of_a_recurrent_layer_are_drawn() -> None:
    module = Made(lambda m, x: m.head(m.cell(x[:, None].expand(-1, 6, -1))[0][:, -1]),
                  cell=nn.LSTM(12, 12, batch_first=True), head=nn.Linear(12, 4))  # fmt: skip
    for p in module.cell.parameters():
        nn.init.zeros_(p)
    said = reinitialize(module, x=X, rng=0)
    assert said["cell.weight_ih_l0"] == "lecun_normal" and audit(module, X).ok


def test_a_gate_of_zeros_on_a_branch_stays() -> None:
    module = Made(lambda m, x: m.head(x + m.gate(x) * m.b(F.relu(m.a(x)))), a=nn.Linear(12, 12),
                  b=nn.Linear(12, 12), gate=zeroed(nn.Linear(12, 12)),
                  head=nn.Linear(12, 4))  # fmt: skip
    said = reinitialize(module, x=X, rng=0)
    assert said["gate.weight"] == "left: its branch starts at 0"
    assert not said["b.weight"].startswith("left") and audit(module, X).ok
    nn.init.zeros_(module.b.weight)  # of two zeros in a product none opens
    assert not reinitialize(module, x=X, rng=0)["gate.weight"].startswith("left")


# ------------------------------------------------------------------ what only looks like a fault


def test_zeros_that_pad_are_no_flat_slopes() -> None:
    def built(pads: bool) -> Any:
        torch.manual_seed(0)
        mid = [nn.ZeroPad2d(1), nn.Conv2d(24, 24, 3)] if pads else [nn.Conv2d(24, 24, 3, 1, 1)]
        first = [nn.Conv2d(3, 24, 3, 2, 1), nn.BatchNorm2d(24), nn.ReLU6()]
        return nn.Sequential(*first, *mid, nn.ReLU6(), nn.Flatten(), nn.Linear(96, 4))

    x = torch.randn(16, 3, 4, 4)
    inside, apart = (audit(built(pads), x) for pads in (False, True))
    assert apart.ok and apart.rows[0].saturated == pytest.approx(inside.rows[0].saturated, abs=1e-6)
    module = built(True)
    module[1].bias.data += 7.2
    assert audit(module, x).findings[0].verdict == "saturated"


@pytest.mark.parametrize("scale", [1.0, 1e-4, 1e-6, 0.0])
def test_a_class_token_behind_small_scales_is_no_collapse(scale: float) -> None:
    """Training opens them; where they are frozen the examples stay alike."""

    def forward(m: Any, x: Tensor) -> Tensor:
        h = torch.cat([m.token.expand(len(x), -1, -1), m.stem(x)], 1)
        for block, norm, gamma in zip(m.blocks, m.norms, m.gammas, strict=True):
            z = norm(h)
            h = h + gamma * block(z, z, z)[0]
        made: Tensor = m.head(m.last(h[:, 0]))
        return made

    module = Made(
        forward, token=nn.Parameter(0.02 * torch.randn(1, 1, 24)), stem=nn.Linear(12, 24),
        blocks=nn.ModuleList(nn.MultiheadAttention(24, 4, batch_first=True) for _ in range(3)),
        norms=nn.ModuleList(nn.LayerNorm(24) for _ in range(3)), last=nn.LayerNorm(24),
        gammas=nn.ParameterList(torch.full((24,), scale) for _ in range(3)), head=nn.Linear(24, 4),
    )  # fmt: skip
    x = torch.randn(16, 9, 12)
    assert audit(module, x).ok
    if 0 < scale < 1:
        module.gammas.requires_grad_(False)
        assert audit(module, x).findings[0].verdict == "collapsed"


def test_sparse_tensors_beside_the_parameters_are_no_hindrance() -> None:
    module = mlp()
    module.near = torch.eye(4).to_sparse()
    assert audit(module, X).ok


def test_rows_of_zeros_in_a_table_stay() -> None:
    table = nn.Parameter(torch.randn(20, 12))
    table.data[3] = 0
    module = Made(lambda m, x: m.head(F.embedding(x, m.table, padding_idx=3).mean(1)), table=table,
                  head=nn.Linear(12, 4))  # fmt: skip
    reinitialize(module, x=torch.randint(20, (8, 5)), rng=0)
    assert not table[3].any() and table[2].all()
    nn.init.zeros_(table)
    reinitialize(module, x=torch.randint(20, (8, 5)), rng=0)
    assert table[3].all()


def test_what_does_not_fit_the_module_gets_a_sentence() -> None:
    tokens = nn.Sequential(nn.Embedding(10, 4), nn.Flatten(), nn.Linear(20, 3))
    bad: list[tuple[nn.Module, Any]] = [
        (mlp(), torch.randn(4, 7)), (mlp(), torch.randint(3, (4, 12))), (mlp(), [X]),
        (mlp(), {"x": X}), (tokens, torch.full((4, 5), 10)),
    ]  # fmt: skip
    for module, x in bad:
        with pytest.raises(ValueError, match="Sequential does not run on x: "):
            audit(module, x)
    own = Made(lambda m, x: [m.head][len(x)], head=nn.Linear(12, 4))
    with pytest.raises(IndexError, match="list index"):
        audit(own, X)


def test_small_targets_are_to_be_standardized() -> None:
    module = nn.Sequential(nn.Linear(12, 24), nn.ReLU(), nn.Linear(24, 1))
    report = audit(module, X, 1e-6 * torch.randn(8, 1), nn.MSELoss())
    assert report.findings[0].cure == "no redraw cures this: standardize the targets"


def test_zeros_all_over_are_judged_where_their_biases_pass() -> None:
    module = nn.Sequential(nn.Linear(12, 24), *(Skip() for _ in range(4)), nn.Linear(24, 4))
    for p in module.parameters():
        nn.init.zeros_(p) if p.ndim > 1 else nn.init.normal_(p)
    assert audit(module, X, Y, F.cross_entropy).rows
    reinitialize(module, x=X, rng=0)
    assert audit(module, X, Y, F.cross_entropy).ok


@pytest.mark.parametrize("times", [0.0, 3.0, 10.0])
def test_the_scale_of_attention_is_not_its_kernels(times: float) -> None:
    """Queries are multiplied by a known number, for which no size of theirs makes up."""
    layer = nn.TransformerEncoderLayer(32, 4, 64, 0.0, batch_first=True)
    module = nn.Sequential(nn.Linear(12, 32), layer, nn.Flatten(), nn.Linear(160, 4))
    layer.self_attn.in_proj_weight.data *= times
    said = reinitialize(module, x=torch.randn(8, 5, 12), rng=0)
    assert said["1.self_attn.in_proj_weight"] == "lecun_normal"


@pytest.mark.parametrize(
    "bend",
    [
        lambda z: z.clamp(min=0.01).sqrt(),
        lambda z: z.clamp(min=0.1).log(),
        lambda z: z.sign() * z.abs().sqrt(),
    ],
)
def test_what_never_ends_is_not_saturated(bend: Any) -> None:
    """However flat it is where a large signal lies, beside where it is steepest."""
    module = Made(lambda m, x: m.head(F.layer_norm(bend(5 + 3 * F.layer_norm(m.one(x), (12,))),
                                                   (12,))),
                  one=nn.Linear(12, 12), head=nn.Linear(12, 4))  # fmt: skip
    assert audit(module, X).ok


def test_columns_that_drown_a_table_are_to_be_standardized() -> None:
    """They are ten times too large for the table, and within the bounds of inputs alone."""
    module = Made(lambda m, i, x: m.head(F.relu(m.a(torch.cat([m.table(i), x], 1)))),
                  table=nn.Embedding(20, 16), a=nn.Linear(28, 64),
                  head=nn.Linear(64, 4))  # fmt: skip
    nn.init.normal_(module.table.weight, 0.0, 0.03)
    x = torch.arange(8), 9 * X
    (finding,) = audit(module, x).findings
    assert finding.names == ("table.weight",) and finding.cure == "standardize the inputs"
    assert audit(module, (x[0], X)).ok


@pytest.mark.parametrize(("times", "verdict"), [(30.0, "exploding"), (0.03, "shrinking")])
def test_a_part_of_a_stack_is_named(times: float, verdict: str) -> None:
    """One parameter holds twelve kernels, which a loop of Python uses one by one."""

    def forward(m: Any, x: Tensor) -> Any:
        for w in m.stack:
            x = F.relu(x @ w)
        return m.head(x)

    torch.manual_seed(0)
    stack = nn.Parameter((1 / 32) ** 0.5 * torch.randn(12, 64, 64))
    module = Made(forward, stack=stack, head=nn.Linear(64, 4))
    x = torch.randn(32, 64)
    assert audit(module, x).ok
    stack.data[5] *= times
    finding = audit(module, x).findings[0]
    assert finding.verdict == verdict and finding.names == ("stack (call 6)",)
    assert finding.cure == "draw stack[5] with he_normal"


def he(depth: int = 6) -> nn.Sequential:
    """ReLU layers as He draws them."""
    parts = [part for _ in range(depth) for part in (nn.Linear(64, 64), nn.ReLU())]
    module, draws = nn.Sequential(*parts, nn.Linear(64, 4)), torch.Generator().manual_seed(0)
    for layer in module[::2]:
        nn.init.kaiming_normal_(layer.weight, generator=draws)
    return module


@pytest.mark.parametrize("which", [[4], [*range(0, 13, 2)]])
def test_a_kernel_with_a_mean_is_named(which: list[int]) -> None:
    """Its std may be right: what all its weights have in common makes the signal large."""
    module = he()
    for i in which:
        value = module[i].weight.data
        module[i].weight.data = value + 0.3 if len(which) == 1 else value.abs()
    finding = audit(module, WIDE).findings[0]
    assert finding.verdict == "exploding" and finding.cure.startswith("draw ")
    if len(which) == 1:
        assert finding.names == ("4.weight",)
        assert finding.cure == "draw 4.weight with he_normal"


def test_one_kernel_is_named_rather_than_all_branches() -> None:
    """Dividing the ends of branches by √n would do, too; one of the kernels inside is too large."""
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(64, 4, 128, 0.0, batch_first=True, norm_first=True)
    encoder = nn.TransformerEncoder(layer, 6, enable_nested_tensor=False)
    module = nn.Sequential(encoder, nn.Linear(64, 4))
    encoder.layers[2].linear1.weight.data *= 60
    finding = audit(module, torch.randn(8, 10, 64)).findings[0]
    assert finding.names == ("0.layers.2.linear1.weight",) and finding.verdict == "exploding"
    assert finding.cure.startswith("draw 0.layers.2.linear1.weight with")


def test_one_end_that_is_far_too_large_is_not_to_be_divided() -> None:
    def forward(m: Any, x: Tensor) -> Any:
        for inner, end in zip(m.inner, m.ends, strict=True):
            x = x + end(F.relu(inner(F.layer_norm(x, (64,)))))
        return m.head(x)

    torch.manual_seed(0)
    inner, ends = (nn.ModuleList(nn.Linear(64, 64) for _ in range(12)) for _ in range(2))
    module = Made(forward, inner=inner, ends=ends, head=nn.Linear(64, 4))
    assert audit(module, WIDE).ok
    ends[7].weight.data *= 100
    finding = audit(module, WIDE).findings[0]
    assert finding.names == ("ends.7.weight",) and finding.cure.startswith("draw ends.7.weight")


def test_a_kernel_with_entries_that_are_no_numbers_is_named() -> None:
    module = he()
    module[6].weight.data[3, 5] = math.nan
    finding = audit(module, WIDE).findings[0]
    assert finding.names == finding.changes == ("6.weight",)
    assert finding.cure == "draw 6.weight again"


@pytest.mark.parametrize(
    ("value", "verdict", "left"),
    [(30.0, "exploding", False), (-3.0, "shrinking", True), (-9.0, "dead", False)],
)
def test_biases_that_are_at_fault_are_named(value: float, verdict: str, left: bool) -> None:
    module = he()
    nn.init.constant_(module[6].bias, value)
    finding = audit(module, WIDE).findings[0]
    assert finding.verdict == verdict
    asked = f" (by force=True: 6.bias is given, value={value:.0f})" if left else ""
    assert finding.cure == f"set 6.bias to the conventional start (zeros){asked}"


def test_a_mask_of_ones_is_one() -> None:
    module = nn.Sequential(nn.Linear(12, 24), nn.ReLU(), nn.Linear(24, 4))
    prune.identity(module[0], "weight")
    said = reinitialize(module, x=X, rng=0)
    assert said["0.weight_orig"] == "lecun_normal"
    assert (module[0].weight_mask == 1).all()


def test_whole_numbers_divide_as_others_do() -> None:
    module = Made(lambda m, x: m.head(F.relu(m.b(x) / m.k)), b=nn.Linear(12, 24),
                  head=nn.Linear(24, 4))  # fmt: skip
    module.register_buffer("k", torch.arange(1, 25))
    assert reinitialize(module, x=X, rng=0)["b.weight"] == "lecun_normal"


def test_numbers_whose_product_is_0_are_made_up_for_by_nothing() -> None:
    module = Made(lambda m, x: m.head(F.relu(m.b(x) * 1e-200 * 1e-200)), b=nn.Linear(12, 12),
                  head=nn.Linear(12, 4))  # fmt: skip
    assert reinitialize(module, x=X, rng=0)["head.weight"].startswith("variance_scaling")


@pytest.mark.parametrize(
    "scale",
    [
        lambda w: w.std((1, 2, 3), keepdim=True) + 1e-5,
        lambda w: (w.var((1, 2, 3), keepdim=True) + 1e-5).sqrt(),
        lambda w: (w.var((1, 2, 3), keepdim=True) * w[0].numel()).clamp(min=1e-4).sqrt(),
    ],
    ids=["std + ε", "√(var + ε)", "clamped"],
)
def test_a_standardized_kernel_is_drawn_whatever_its_epsilon(
    scale: Any,
) -> None:
    class Standardized(nn.Conv2d):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            w = self.weight - self.weight.mean((1, 2, 3), keepdim=True)
            return F.conv2d(x, w / scale(w), self.bias, 1, 1)

    layers = [(Standardized(8 if i else 3, 8, 3), nn.GroupNorm(2, 8), nn.ReLU()) for i in range(3)]
    module = nn.Sequential(*(m for layer in layers for m in layer), nn.Flatten(), nn.Linear(512, 4))
    nn.init.constant_(module[3].weight, 0.1)
    x = torch.randn(8, 3, 8, 8)
    (finding,) = audit(module, x).findings
    assert finding.verdict == "dead" and "reinitialize" in finding.cure
    assert reinitialize(module, x=x, rng=0)["3.weight"] == "he_normal" and audit(module, x).ok


def test_an_adjacency_among_the_inputs_leads_past_no_kernel() -> None:
    class Graph(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.ModuleList(nn.Linear(16, 16) for _ in range(4))

        def forward(self, h: torch.Tensor, a: torch.Tensor) -> torch.Tensor:
            for layer in self.layers[:-1]:
                h = F.relu(a @ layer(h))
            return a @ self.layers[-1](h)

    module, h = Graph(), torch.randn(32, 16)
    a = (torch.rand(32, 32) < 0.3).float()
    nn.init.kaiming_normal_(module.layers[1].weight)
    assert audit(module, (h, a)).findings[0].verdict == "exploding"
    assert "times" in reinitialize(module, x=(h, a), rng=0)["layers.1.weight"]
    assert audit(module, (h, a)).ok
    assert 0.01 < audit(module, (h, a)).rows[-1].x2 < 100


@pytest.mark.parametrize("act", [nn.Tanh, nn.Sigmoid])
def test_an_output_can_saturate(act: Any) -> None:
    module = nn.Sequential(nn.Linear(12, 24), nn.ReLU(), nn.Linear(24, 4), act())
    assert audit(module, X).ok
    module[2].weight.data *= 300
    finding = audit(module, X).findings[0]
    assert finding.verdict == "saturated" and finding.names == ("2.weight",)


@pytest.mark.parametrize("times", [1.0, 40.0])
def test_a_table_that_is_added_to_scores_can_saturate_them(times: float) -> None:
    def forward(m: Any, x: Tensor) -> Tensor:
        q, k, v = m.e(x).chunk(3, -1)
        scores = q @ k.transpose(-1, -2) / 4 + m.table
        made: Tensor = m.head((torch.softmax(scores, -1) @ v).mean(1))
        return made

    table = nn.Parameter(times * torch.randn(8, 8))
    module = Made(forward, e=nn.Linear(12, 48), table=table, head=nn.Linear(16, 3))
    report = audit(module, torch.randn(16, 8, 12))
    assert report.ok == (times == 1)
    for finding in report.findings:
        assert finding.verdict == "saturated" and finding.changes == ("table",)
        assert finding.cure == "draw table with normal, std=0.02"


def attention(q: Tensor, k: Tensor, v: Tensor, heads: int = 4) -> Tensor:
    q, k, v = (t.unflatten(-1, (heads, -1)).transpose(1, 2) for t in (q, k, v))
    return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)


TOKENS = torch.randn(16, 6, 32, generator=torch.Generator().manual_seed(0))


def test_a_token_of_zeros_opens_what_reads_it_normalized() -> None:
    def forward(m: Any, x: Tensor) -> Tensor:
        h = torch.cat([m.token.expand(len(x), 1, 32), m.stem(x)], 1)
        n = F.layer_norm(h, (32,))
        h = h + m.o(attention(m.q(n), m.k(n), m.v(n)))
        made: Tensor = m.head(F.layer_norm(h, (32,))[:, 0])
        return made

    parts = {name: nn.Linear(32, 32) for name in ("stem", "q", "k", "v", "o")}
    token = nn.Parameter(torch.zeros(1, 32))
    module = Made(forward, token=token, head=nn.Linear(32, 3), **parts)
    reinitialize(module, x=TOKENS, rng=0)  # the biases are 0 then, and so is what the token asks
    report = audit(module, TOKENS)
    assert report.ok and any("until token is no longer 0" in note for note in report.notes)


@pytest.mark.parametrize("zeros", [("q",), ("v",), ("q", "k")])
def test_one_head_is_stuck_if_it_neither_asks_nor_answers(zeros: tuple[str, ...]) -> None:
    def forward(m: Any, x: Tensor) -> Tensor:
        made: Tensor = m.head((x + m.o(attention(*m.qkv(x).chunk(3, -1)))).mean(1))
        return made

    qkv, o, head = nn.Linear(32, 96, bias=False), nn.Linear(32, 32), nn.Linear(32, 3)
    for name in zeros:
        at = 32 * "qkv".index(name)
        qkv.weight.data[at : at + 8] = 0
    report = audit(Made(forward, qkv=qkv, o=o, head=head), TOKENS)
    assert report.ok == (len(zeros) == 1)
    assert [finding.verdict for finding in report.findings] == ["dead"] * (len(zeros) - 1)


@pytest.mark.parametrize("still", [0, 1, 2, 3])
def test_experts_in_one_array_are_stuck_however_many(still: int) -> None:
    def forward(m: Any, x: Tensor) -> Tensor:
        x = x[:, 0]
        each = F.relu(torch.einsum("bd,edh->beh", x, m.inner))
        each = torch.einsum("beh,ehd->bed", each, m.outer)
        made: Tensor = m.head(x + (torch.softmax(m.gate(x), -1)[..., None] * each).sum(1))
        return made

    arrays = {"inner": 0.2 * torch.randn(4, 32, 64), "outer": 0.1 * torch.randn(4, 64, 32)}
    for array in arrays.values():
        array[:still] = 0
    own = {name: nn.Parameter(array) for name, array in arrays.items()}
    report = audit(Made(forward, gate=nn.Linear(32, 4), head=nn.Linear(32, 3), **own), TOKENS)
    assert [finding.verdict for finding in report.findings] == ["dead"] * (still > 0)


@pytest.mark.parametrize("kind", ["equal", "repeated", "large"])
def test_learned_slots_are_the_cure_if_they_are_at_fault(kind: str) -> None:
    def forward(m: Any, x: Tensor) -> Tensor:
        slots, k, v = m.slots.expand(len(x), -1, -1), m.k(x), m.v(x)
        for _ in range(3):
            shares = torch.softmax(m.q(slots) @ k.transpose(-1, -2) / 32**0.5, 1)
            slots = slots + shares / shares.sum(-1, keepdim=True) @ v
        made: Tensor = m.head(slots.mean(1))
        return made

    slots = torch.full((4, 32), 0.5) if kind == "equal" else torch.randn(4, 32)
    slots = slots[[0, 1, 0, 0]] if kind == "repeated" else slots * 100 if kind == "large" else slots
    parts = {name: nn.Linear(32, 32) for name in "qkv"}
    module = Made(forward, slots=nn.Parameter(slots), head=nn.Linear(32, 3), **parts)
    finding = audit(module, TOKENS).findings[0]
    assert finding.changes == ("slots",) and finding.cure.startswith("draw slots with normal")


def test_small_queries_and_keys_are_no_copies() -> None:
    def forward(m: Any, x: Tensor) -> Tensor:
        made: Tensor = m.head((x + m.o(attention(*m.qkv(x).chunk(3, -1)))).mean(1))
        return made

    qkv = nn.Linear(32, 96, bias=False)
    qkv.weight.data[:64] *= 1e-4
    assert audit(Made(forward, qkv=qkv, o=nn.Linear(32, 32), head=nn.Linear(32, 3)), TOKENS).ok


@pytest.mark.parametrize("heads", [1, 16])
def test_what_reads_learned_queries_is_drawn_by_how_many_numbers_it_reads(heads: int) -> None:
    def forward(m: Any, x: Tensor) -> Tensor:
        asked = m.queries.expand(len(x), -1, -1)
        made: Tensor = m.head(m.attends(asked, x, x, need_weights=False)[0].mean(1))
        return made

    attends = nn.MultiheadAttention(32, heads, batch_first=True)
    queries = nn.Parameter(torch.randn(4, 32))
    module = Made(forward, queries=queries, attends=attends, head=nn.Linear(32, 3))
    reinitialize(module, x=TOKENS, rng=0)
    for part in module.attends.in_proj_weight.detach().split(32):
        assert float(part.std()) * 32**0.5 == pytest.approx(1, rel=0.11)  # 1,024 numbers: 5 sd


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])
def test_a_gate_of_a_layer_saturates_for_itself(kind: Any) -> None:
    """An LSTM's are computed in place, in views of one array, each by a function of its own."""

    def forward(m: Any, x: Tensor) -> Tensor:
        made: Tensor = m.head(m.rnn(x)[0][:, -1])
        return made

    rnn = kind(32, 32, batch_first=True)
    module = Made(forward, rnn=rnn, head=nn.Linear(32, 3))
    assert audit(module, TOKENS).ok
    rnn.weight_ih_l0.data[64:96] *= 100  # what a tanh reads, in either
    report = audit(module, TOKENS)
    assert report.findings[0].verdict == "saturated"
    assert report.findings[0].changes[0] == "rnn.weight_ih_l0"


@pytest.mark.parametrize("layers", [1, 3, 5])
def test_a_stack_of_recurrent_layers_may_begin_with_small_states(layers: int) -> None:
    """The upper ones of an LSTM's first states are tiny, and grow to a tenth."""

    def forward(m: Any, x: Tensor) -> Tensor:
        made: Tensor = m.head(m.rnn(x)[0].mean(1))
        return made

    rnn = nn.LSTM(32, 64, layers, batch_first=True)
    module = Made(forward, rnn=rnn, head=nn.Linear(64, 3))
    x = torch.randn(16, 20, 32)
    reinitialize(module, x=x, rng=0)
    assert audit(module, x).ok
    rnn.get_parameter(f"weight_hh_l{layers - 1}").data *= 30
    assert audit(module, x).findings[0].changes == (f"rnn.weight_hh_l{layers - 1}",)


def test_pruned_units_are_no_copies_of_one_another() -> None:
    module = nn.Sequential(nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh())
    module.append(nn.Linear(64, 3))
    with torch.no_grad():
        for zeros in (module[2].weight[:45], module[2].bias[:45], module[4].weight[:, :45]):
            zeros.zero_()
    report = audit(module, WIDE)
    assert report.ok and "2.weight: of the units 25% or more get no gradient" in report.notes[0]


def test_views_of_one_array_that_share_no_entry_are_told_from_those_that_do() -> None:
    base = torch.arange(144).reshape(2, 6, 12)
    cuts = [slice(None), slice(0, 3), slice(2, 5), slice(3, 6)]
    views = [base[:, one, two] for one in cuts for two in cuts]
    views += [base[0], base.flatten()[5:100], base.transpose(1, 2), base[:, ::2], base[:, 1::2]]
    entries = [{*view.flatten().tolist()} for view in views]
    for one, own in zip(views, entries, strict=True):
        for other, others in zip(views, entries, strict=True):
            alike = one.stride() == other.stride()  # only these are looked into
            assert _disjoint(one, other) == (alike and not own & others)


@pytest.mark.parametrize("kind", [nn.RNN, nn.GRU, nn.LSTM])
def test_a_recurrent_layer_may_start_from_a_learned_state(kind: Any) -> None:
    """A gate times what is learned has no tails of its own, and the layer is as recurrent."""

    def forward(m: Any, x: Tensor) -> Tensor:
        h = m.start.expand(1, len(x), 32).contiguous()
        made: Tensor = m.head(m.rnn(x, (h, h) if kind is nn.LSTM else h)[0][:, -1])
        return made

    start, rnn = nn.Parameter(0.3 * torch.randn(1, 1, 32)), kind(32, 32, batch_first=True)
    module = Made(forward, start=start, rnn=rnn, head=nn.Linear(32, 3))
    assert audit(module, TOKENS).ok
    reinitialize(module, x=TOKENS, rng=0)
    for part in rnn.weight_hh_l0.detach().split(32):
        torch.testing.assert_close(part @ part.T, torch.eye(32), atol=1e-5, rtol=0)
    assert audit(module, TOKENS).ok
    rnn.weight_hh_l0.data *= 50
    assert audit(module, TOKENS).findings[0].changes == ("rnn.weight_hh_l0",)


@pytest.mark.parametrize("scale", [0.3, 1.0, 5.0])
@pytest.mark.parametrize("kind", ["scale", "shift"])
def test_what_saturates_does_so_before_a_learned_scale_or_shift(kind: str, scale: float) -> None:
    def forward(m: Any, x: Tensor) -> Tensor:
        h = torch.tanh(m.inner(x))
        made: Tensor = m.outer(m.own * h if kind == "scale" else h + m.own)
        return made

    own = nn.Parameter(scale * (1 + 0.3 * torch.randn(64)))
    module = Made(forward, inner=nn.Linear(64, 64), outer=nn.Linear(64, 3), own=own)
    assert not [f for f in audit(module, WIDE).findings if f.verdict == "saturated"]
    module.inner.weight.data *= 50
    finding = audit(module, WIDE).findings[0]
    assert finding.verdict == "saturated" and finding.changes == ("inner.weight",)


def filled(u: Tensor, c: Tensor) -> Tensor:
    both = torch.zeros(len(u), 64)
    both[:, :32], both[:, 32:] = u, c
    return both


def stacked(u: Tensor, c: Tensor) -> Tensor:
    return torch.stack([u, c], 1).flatten(1)


@pytest.mark.parametrize("joined", [lambda u, c: torch.cat([u, c], 1), stacked, filled])
@pytest.mark.parametrize("shape", [torch.tanh, torch.sigmoid])  # as the gate, or not
def test_gates_that_are_put_side_by_side_saturate_each_for_itself(joined: Any, shape: Any) -> None:
    def forward(m: Any, x: Tensor) -> Tensor:
        h = x.new_zeros(len(x), 32)
        for step in x.unbind(1):
            u, c = (m.x(step) + m.h(h)).chunk(2, 1)
            u, c = joined(torch.sigmoid(u), shape(c)).chunk(2, 1)
            h = (1 - u) * h + u * c
        made: Tensor = m.head(h)
        return made

    module = Made(forward, x=nn.Linear(32, 64), h=nn.Linear(32, 64), head=nn.Linear(32, 3))
    assert audit(module, TOKENS).ok
    module.x.bias.data[:32] = -15.0
    report = audit(module, TOKENS, cures=False)
    assert {finding.verdict for finding in report.findings} == {"saturated"}


@pytest.mark.parametrize(("decay", "sound"), [(0.9, True), (1.5, False)])
def test_no_kernel_is_scaled_away_where_a_state_of_its_own_grows(decay: float, sound: bool) -> None:
    """The input kernel at 1/2,800 keeps outputs level, and no rate is right for it and the rest."""

    def forward(m: Any, x: Tensor) -> Tensor:
        h = x.new_zeros(len(x), 32)
        for step in x.unbind(1):
            h = m.x(step) + m.decay * h
        made: Tensor = m.head(h)
        return made

    decays = nn.Parameter(torch.full((32,), decay))
    module = Made(forward, x=nn.Linear(32, 32), decay=decays, head=nn.Linear(32, 3))
    x = torch.randn(16, 20, 32)
    report = audit(module, x)
    assert report.ok is sound
    if not sound:
        assert report.findings[0].cure.startswith("no redraw cures this: ")
        assert report.findings[0].cure.endswith("let a state decay")
        reinitialize(module, x=x, rng=0)
        assert float(module.x.weight.detach().std()) * 32**0.5 == pytest.approx(1, rel=0.11)  # 5 sd


def test_a_state_that_is_projected_is_read_as_any_other() -> None:
    """Its kernel is orthogonal, gate by gate, and the next layer's ends none of many branches."""

    def forward(m: Any, x: Tensor) -> Tensor:
        for reads, keeps, projects in zip(m.reads, m.keeps, m.projects, strict=True):
            c, states = x.new_zeros(len(x), 64), [x.new_zeros(len(x), 32)]
            for step in reads(x).unbind(1):
                i, f, g, o = (step + keeps(states[-1])).chunk(4, 1)
                c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
                states.append(projects(torch.sigmoid(o) * torch.tanh(c)))
            x = torch.stack(states[1:], 1)
        made: Tensor = m.head(x[:, -1])
        return made

    reads, keeps = (nn.ModuleList(nn.Linear(32, 256) for _ in "ab") for _ in "ab")
    projects = nn.ModuleList(nn.Linear(64, 32, bias=False) for _ in "ab")
    module = Made(forward, reads=reads, keeps=keeps, projects=projects, head=nn.Linear(32, 3))
    said = reinitialize(module, x=TOKENS, rng=0)
    assert {said[f"keeps.{k}.weight"] for k in (0, 1)} == {"orthogonal"}
    others = {said[f"{name}.{k}.weight"] for name in ("reads", "projects") for k in (0, 1)}
    assert others == {"lecun_normal"}
    assert audit(module, TOKENS).ok


@pytest.mark.parametrize("left", [False, True])
def test_examples_are_followed_where_one_kernel_is_spread_over_steps(left: bool) -> None:
    def forward(m: Any, x: Tensor) -> Tensor:
        x = x.permute(1, 2, 0) if left else x.transpose(0, 1)  # steps first
        every = m.w.expand(len(x), -1, -1)
        made = torch.bmm(every, x).transpose(1, 2) if left else torch.bmm(x, every)
        out: Tensor = m.head(torch.tanh(made).mean(0))
        return out

    module = Made(forward, w=nn.Parameter(torch.randn(32, 32) / 32**0.5), head=nn.Linear(32, 3))
    report = audit(module, TOKENS)
    assert report.rows[0].name == "w"
    assert report.rows[0].z_share == pytest.approx(1, abs=0.2)


@pytest.mark.parametrize("shift", [0.0, 300.0])
def test_data_beside_a_state_may_not_be_unscaled(shift: float) -> None:
    def forward(m: Any, x: Tensor) -> Tensor:
        h = m.h0.expand(len(x), 32)
        for step in x.unbind(1):
            z, r = torch.sigmoid(m.gates(torch.cat([step, h], 1))).chunk(2, 1)
            h = (1 - z) * h + z * torch.tanh(m.news(torch.cat([step, r * h], 1)))
        made: Tensor = m.head(h)
        return made

    module = Made(forward, gates=nn.Linear(64, 64), news=nn.Linear(64, 32), head=nn.Linear(32, 3))
    module.register_buffer("h0", torch.zeros(1, 32))
    findings = audit(module, shift + TOKENS).findings
    assert [(f.verdict, f.cure) for f in findings] == (
        [("inputs unscaled", "standardize the inputs")] if shift else []
    )


class Fused(nn.Module):
    """Attention whose three kernels are put side by side when it runs."""

    def __init__(self) -> None:
        super().__init__()
        self.enters, self.leaves, self.head = nn.Linear(12, 32), nn.Linear(32, 32), nn.Linear(32, 3)
        self.parts = nn.ModuleList(nn.Linear(32, 32) for _ in range(3))

    def forward(self, x: Any) -> Any:
        h, kernel = self.enters(x), torch.cat([part.weight for part in self.parts])
        q, k, v = nn.functional.linear(h, kernel).chunk(3, -1)
        weights = (q @ k.transpose(-1, -2) / 32**0.5).softmax(-1)
        return self.head((h + self.leaves(weights @ v)).mean(1))


class Members(nn.Module):
    """An ensemble whose kernels are stacked when it runs."""

    def __init__(self) -> None:
        super().__init__()
        self.parts = nn.ModuleList(nn.Linear(12, 32) for _ in range(4))
        self.heads = nn.ModuleList(nn.Linear(32, 3) for _ in range(4))

    def forward(self, x: Any) -> Any:
        kernels, heads = (torch.stack([part.weight for part in parts])
                          for parts in (self.parts, self.heads))  # fmt: skip
        h = torch.relu(torch.einsum("ni,mhi->mnh", x, kernels))
        return torch.einsum("mnh,moh->mno", h, heads).mean(0)


@pytest.mark.parametrize(
    ("module", "scheme"),
    [(Fused, "auto"), (Fused, "orthogonal"), (Fused, "uniform"), (Members, "auto"),
     (Members, "uniform")],
)  # fmt: skip
def test_kernels_that_a_program_puts_side_by_side_are_all_drawn(module: Any, scheme: str) -> None:
    torch.manual_seed(0)
    model, x = module(), torch.randn(16, *[5] * (module is Fused), 12)
    for part in model.parts:
        nn.init.zeros_(part.weight) if scheme == "uniform" else nn.init.normal_(part.weight, 0, 5)
    options = {"limit": 0.3} if scheme == "uniform" else {}
    text = winit.torch.reinitialize(model, scheme, x=x, rng=0, force=True, **options)
    drawn = [part.weight.detach().numpy() for part in model.parts]
    assert len({text[f"parts.{k}.weight"] for k in range(len(drawn))}) == 1
    assert not any(np.allclose(one, other) for one, other in itertools.pairwise(drawn))
    for own in drawn:
        if scheme == "orthogonal":
            assert np.allclose(own @ own.T, np.eye(32), atol=1e-5)
        else:
            std = 0.3 / 3**0.5 if scheme == "uniform" else 1 / own.shape[1] ** 0.5
            assert own.std() == pytest.approx(std, rel=0.1)


class Coupling(nn.Module):
    """Affine couplings, whose scales are exponentials."""

    def __init__(self, scale: Any) -> None:
        super().__init__()
        self.scale = scale
        self.steps = nn.ModuleList(
            nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 12)) for _ in range(8)
        )

    def forward(self, x: Any) -> Any:
        for step in self.steps:
            a, b = x.chunk(2, -1)
            by, shift = step(a).chunk(2, -1)
            x = torch.cat([b * self.scale(by) + shift, a], -1)
        return x


@pytest.mark.parametrize(
    ("scale", "small"),
    [(torch.exp, True), (lambda s: torch.exp(torch.tanh(s)), True), (torch.sigmoid, False),
     (lambda s: torch.exp(s.clamp(-2, 2)), True), (lambda s: 1 + s, False), (F.softplus, True),
     (lambda s: 1 / F.softplus(s + 0.5413), True), (lambda s: torch.sigmoid(s - 2), False),
     (lambda s: 1 / (F.softplus(s + 0.5413) + 1e-3), True)],
)  # fmt: skip
def test_kernels_of_scales_that_amplify_start_near_0(scale: Any, small: bool) -> None:
    torch.manual_seed(0)
    model, x = Coupling(scale), torch.randn(64, 12)
    text = winit.torch.reinitialize(model, x=x, rng=0)
    drawn = {text[f"steps.{k}.2.weight"] for k in range(7)}
    assert ("variance_scaling, scale=0.01" in drawn) == small
    assert audit(model, x).ok
    with torch.no_grad():
        assert float(model(x).square().mean()) < 10 or not small


def squares_of_sums(m: Any, x: Any) -> Any:
    v = m.v(x)
    return (v.sum(1) ** 2 - (v**2).sum(1)).sum(-1) + m.w(x).sum(1)[:, 0]


def bent_branches(m: Any, x: Any) -> Any:
    h = m.a(x)
    for branch in m.branches:
        h = h + F.relu(branch(h))
    return m.b(h)


@pytest.mark.parametrize("kind", ["tables", "branches", "factors"])
def test_zeros_that_do_not_open_are_drawn(kind: str) -> None:
    """Branches of zeros open while their biases are random, and not beside biases of 0."""
    x = X
    if kind == "tables":
        module, x = (
            Made(squares_of_sums, v=nn.Embedding(50, 16), w=nn.Embedding(50, 1)),
            torch.arange(64).reshape(8, 8) % 50,
        )
        left = [module.v]
    elif kind == "branches":
        left = [nn.Linear(24, 24) for _ in range(3)]
        module = Made(bent_branches, a=nn.Linear(12, 24), b=nn.Linear(24, 4))
        module.branches = nn.ModuleList(left)
    else:
        module = Made(lambda m, x: m.c(F.relu(m.a(x)) * m.b(x)), a=nn.Linear(12, 24),
                      b=nn.Linear(12, 24), c=nn.Linear(24, 4))  # fmt: skip
        left = [module.a]
        nn.init.zeros_(module.a.bias)
    for part in left:
        nn.init.zeros_(part.weight)
    report = audit(module, x)
    if kind == "branches":
        assert report.ok
    else:
        assert report.findings[0].verdict == "dead"
        assert "at random" in report.findings[0].cure
    reinitialize(module, x=x, rng=0)
    assert all(part.weight.any() for part in left) and not audit(module, x).findings


def test_zeros_that_open_stay_beside_zeros_that_do_not() -> None:
    """A branch that ends linearly keeps its zeros."""
    module = Made(lambda m, x: m.d(m.a(x) + m.b(F.relu(m.a(x))) + F.relu(m.c(x))),
                  a=nn.Linear(12, 24), b=nn.Linear(24, 24), c=nn.Linear(12, 24),
                  d=nn.Linear(24, 4))  # fmt: skip
    nn.init.zeros_(module.b.weight)
    nn.init.zeros_(module.c.weight)
    reinitialize(module, x=X, rng=0)
    assert module.c.weight.any() and not module.b.weight.any()


@pytest.mark.parametrize("put", [torch.stack, torch.cat])
def test_one_of_a_stack_of_parameters_is_that_parameter(put: Any) -> None:
    class Stacked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.parts = nn.ParameterList([torch.randn(12, 12) / 12**0.5 for _ in range(3)])

        def forward(self, x: Any) -> Any:
            whole = put(list(self.parts))
            for one in whole if put is torch.stack else whole.chunk(3):
                x = torch.tanh(x @ one)
            return x

    module = Stacked()
    with torch.no_grad():
        module.parts[1] *= 100
    report = audit(module, X)
    assert [row.name for row in report.rows] == ["parts.0", "parts.1", "parts.2"]
    assert report.findings[0].changes == ("parts.1",)
    reinitialize(module, x=X, rng=0)
    assert audit(module, X).ok and module.parts[1].std() < 1


def test_zeros_of_lengths_and_of_fused_kernels_are_judged() -> None:
    """What opens lies in parameters of other shapes than the kernel's."""
    module = nn.Sequential(
        nn.Linear(12, 24), nn.Tanh(), nn.Linear(24, 24), nn.Tanh(), nn.Linear(24, 3)
    )
    parametrizations.weight_norm(module[2])
    nn.init.zeros_(module[2].parametrizations.weight.original0)
    assert "waits one step" in audit(module, X).notes[0]
    fused = Fused()
    for part in fused.parts[:2]:
        nn.init.zeros_(part.weight)
    assert audit(fused, torch.randn(16, 5, 12)).rows
    reinitialize(fused, x=torch.randn(16, 5, 12), rng=0)
    assert all(part.weight.any() for part in fused.parts)


def towers(m: Any, x: Any) -> Any:
    """A user's tower times a film's."""
    return (m.b(F.relu(m.a(x[:, :6]))) * m.d(F.relu(m.c(x[:, 6:])))).sum(-1)


def test_every_factor_of_a_product_is_judged() -> None:
    """Neither tower is on every path, and yet none can be missing."""
    module = Made(towers, a=nn.Linear(6, 48), b=nn.Linear(48, 16), c=nn.Linear(6, 48),
                  d=nn.Linear(48, 16))  # fmt: skip
    assert audit(module, X).ok
    nn.init.normal_(module.c.weight, std=1e-3)
    nn.init.zeros_(module.c.bias)
    report = audit(module, X)
    assert report.findings[0].verdict == "shrinking"
    assert report.findings[0].changes == ("c.weight",)
    reinitialize(module, x=X, rng=0)
    assert audit(module, X).ok
    for last in (module.b, module.d):  # (0.1 / 16)^¼ / √48; of 768 draws five standard deviations
        assert last.weight.std().item() == pytest.approx((0.1 / 16) ** 0.25 / 48**0.5, rel=0.13)


def test_rows_that_are_multiplied_before_a_kernel_are_not_left_small() -> None:
    module = Made(lambda m, x: m.o(m.u(x[:, 0]) * m.v(x[:, 1])), u=nn.Embedding(50, 32),
                  v=nn.Embedding(50, 32), o=nn.Linear(32, 1))  # fmt: skip
    x = torch.randint(0, 50, (64, 2))
    for table in (module.u, module.v):
        nn.init.normal_(table.weight, std=0.03)
    report = audit(module, x)
    assert report.findings[0].verdict == "shrinking"
    assert "with normal, std=0.5623" in report.findings[0].cure  # 0.1^¼
    reinitialize(module, x=x, rng=0)
    assert audit(module, x).ok
    # of 1,600 draws five standard deviations
    assert module.u.weight.std().item() == pytest.approx(0.1**0.25, rel=0.09)


def factorization_beside_a_network(m: Any, x: Any) -> Any:
    rows = m.v(x)
    pairs = (rows.sum(1) ** 2 - (rows**2).sum(1)).sum(-1, keepdim=True) / 2
    return m.w(x).sum(1) + pairs + m.c(F.relu(m.b(F.relu(m.a(rows.flatten(1))))))


def test_rows_whose_products_are_outputs_start_small_though_a_network_reads_them_too() -> None:
    """As in a DeepFM, whose pairs of rows of N(0, 1) give outputs of rms 27."""
    module = Made(factorization_beside_a_network, v=nn.Embedding(500, 16), w=nn.Embedding(500, 1),
                  a=nn.Linear(160, 64), b=nn.Linear(64, 64), c=nn.Linear(64, 1))  # fmt: skip
    x, y = torch.randint(0, 500, (64, 10)), torch.randint(0, 2, (64, 1)).float()
    how = {"y": y, "loss": F.binary_cross_entropy_with_logits}
    report = audit(module, x, **how)
    assert report.findings[0].cure.startswith("draw v.weight with normal, std=0.1")
    texts = reinitialize(module, x=x, rng=0)
    assert texts["v.weight"] == texts["w.weight"] == "normal, std=0.1"
    report = audit(module, x, **how)
    assert report.ok and report.loss < 0.8


@pytest.mark.parametrize(("factors", "std"), [(2, (0.1 / 64) ** 0.25), (3, (0.1 / 64) ** (1 / 6))])
def test_factors_of_outputs_give_them_the_size_of_a_head_together(factors: int, std: float) -> None:
    def score(m: Any, x: Any) -> Any:
        one, relation, other = m.e(x[:, 0]), m.r(x[:, 1]), m.e(x[:, 2])
        return (one * other * (relation if factors > 2 else 1.0)).sum(-1)

    module = Made(score, e=nn.Embedding(200, 64), r=nn.Embedding(9, 64))
    x = torch.stack([torch.randint(0, n, (400,)) for n in (200, 9, 200)], 1)
    texts = reinitialize(module, x=x, rng=0)
    assert texts["e.weight"] == f"normal, std={std:.4g}"
    # E of a square is 0.1; a fourth moment of 27 over 400 gives a deviation of a quarter
    with torch.no_grad():
        assert 0.01 < float(module(x).square().mean()) < 0.3


NOISE = (nn.Dropout(0.8), nn.Dropout(0.8, inplace=True), lambda h: h * (torch.rand(24) > 0.5),
         lambda h: h + torch.randn_like(h))  # fmt: skip


@pytest.mark.parametrize(
    ("act", "mask"),
    [*itertools.product([nn.ReLU6, nn.Hardsigmoid], NOISE),  # where torch allows it in place
     *itertools.product([nn.Sigmoid, nn.Tanh], NOISE[::2]),
     (nn.Tanh, lambda h: h.masked_fill(torch.rand(24) > 0.5, 0.0))],
)  # fmt: skip
def test_noise_leaves_the_share_of_flat_slopes(act: Any, mask: Any) -> None:
    """Of a sigmoid with a dropout of 0.8 80 % of the slopes were said to be flat."""
    torch.manual_seed(0)
    module = Made(lambda m, x: m.b(mask(m.act(m.a(x)))), a=nn.Linear(12, 24), act=act(),
                  b=nn.Linear(24, 3))  # fmt: skip
    plain = Made(lambda m, x: m.b(m.act(m.a(x))), a=module.a, act=act(), b=module.b)
    assert audit(module, X).rows[0].saturated == audit(plain, X).rows[0].saturated
    assert [r.ideal for r in audit(module, X).rows] == [r.ideal for r in audit(plain, X).rows]
    with torch.no_grad():
        module.a.weight *= 1000
    assert audit(module, X, cures=False).rows[0].saturated > 0.8


class Noise(nn.Module):
    """Numbers of N(0, 1) of this size, added to a signal or to what multiplies it."""

    def __init__(self, size: float, times: bool) -> None:
        super().__init__()
        self.size, self.times = size, times

    def forward(self, h: Any) -> Any:
        noise = self.size * torch.randn_like(h)
        return h * (1 + noise) if self.times else h + noise


@pytest.mark.parametrize("act", [nn.ReLU, nn.Tanh, nn.GELU])
@pytest.mark.parametrize("noise", [*map(nn.Dropout, (0.1, 0.5, 0.8)),
                                   *map(Noise, (0.1, 1.0, 0.3), (False, False, True))])  # fmt: skip
def test_kernels_behind_noise_are_drawn_for_the_activation(act: Any, noise: nn.Module) -> None:
    parts = [(nn.Linear(12 if not k else 32, 32), act()) for k in range(3)]
    plain = nn.Sequential(*[part for pair in parts for part in pair], nn.Linear(32, 3))
    noisy = nn.Sequential(*[q for pair in parts for q in (*pair, noise)], plain[-1])
    rows, others = audit(plain, X, cures=False).rows, audit(noisy, X, cures=False).rows
    assert [row.before for row in rows] == [row.before for row in others]
    assert [row.ideal for row in rows] == [row.ideal for row in others]


def test_rows_whose_squares_a_kernel_reads_start_small() -> None:
    """As in a neural factorization machine, which with rows of N(0, 1) learned nothing of use."""

    def run(m: Any, x: Any) -> Any:
        rows = m.v(x)
        return m.b(F.relu(m.a(rows.sum(1) ** 2 - (rows**2).sum(1))))

    module = Made(run, v=nn.Embedding(300, 8), a=nn.Linear(8, 32), b=nn.Linear(32, 1))
    x = torch.randint(0, 300, (64, 6))
    nn.init.normal_(module.v.weight, std=1e-3)
    report = audit(module, x)
    assert report.findings[0].cure == "draw v.weight with normal, std=0.1"
    assert reinitialize(module, x=x, rng=0)["v.weight"] == "normal, std=0.1"
    assert audit(module, x).ok


class Branches(nn.Module):
    """A residual net with learned positions."""

    def __init__(self) -> None:
        super().__init__()
        self.place = nn.Parameter(0.1 * torch.randn(5, 24))
        self.first, self.head = nn.Linear(12, 24), nn.Linear(24, 3)
        self.steps = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(24), nn.Linear(24, 48), nn.GELU(), nn.Linear(48, 24))
            for _ in range(3)
        )

    def forward(self, x: Any) -> Any:
        h = self.first(x) + self.place
        for step in self.steps:
            h = h + step(h)
        return self.head(h.mean(1))


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_what_is_no_number_is_named_and_no_start_of_a_branch(bad: float) -> None:
    module, x = Branches(), torch.randn(16, 5, 12)
    with torch.no_grad():
        module.steps[1][3].weight[3, 5] = bad
    (finding,) = audit(module, x).findings
    assert finding.names == ("steps.1.3.weight",)
    assert finding.cure == "draw steps.1.3.weight again"
    assert not reinitialize(module, x=x, rng=0)["steps.1.3.weight"].startswith("left")
    assert audit(module, x).ok
    with torch.no_grad():
        module.place[1, 2] = bad
    (finding,) = audit(module, x).findings
    assert "Not all numbers of place are finite" in finding.reason
    assert "give place other values" in finding.cure


@pytest.mark.parametrize("bad", [math.nan, -math.inf])
def test_what_is_no_number_is_found_where_no_example_meets_it(bad: float) -> None:
    module = nn.Sequential(nn.Embedding(100, 16), nn.Flatten(), nn.Linear(96, 32), nn.ReLU(),
                           nn.Linear(32, 5))  # fmt: skip
    x = torch.randint(0, 90, (64, 6))
    with torch.no_grad():
        module[0].weight[95, 2] = bad
    (finding,) = audit(module, x).findings
    assert finding.verdict == "exploding" and finding.cure == "draw 0.weight again"
    reinitialize(module, x=x, rng=0)
    assert audit(module, x).ok
    with torch.no_grad():
        module[2].bias[3] = bad
    assert audit(module, x).findings[0].changes == ("2.bias",)


def test_a_frozen_kernel_with_no_number_in_it_is_named() -> None:
    module = nn.Sequential(nn.Linear(12, 24), nn.ReLU(), nn.Linear(24, 3))
    with torch.no_grad():
        module[0].weight[3, 2] = math.nan
    module[0].requires_grad_(False)
    (finding,) = audit(module, X).findings
    assert finding.names == ("0.weight",)
    assert "Not all numbers of 0.weight are finite" in finding.reason


def test_a_mask_that_is_added_may_be_an_input() -> None:
    """As `nn.Transformer.generate_square_subsequent_mask` makes it, of 0 and -inf."""
    module = Made(lambda m, x, mask: m.head(m.layer(x, src_mask=mask)), head=nn.Linear(16, 3),
                  layer=nn.TransformerEncoderLayer(16, 2, 32, batch_first=True))  # fmt: skip
    x, mask = torch.randn(8, 5, 16), nn.Transformer.generate_square_subsequent_mask(5)
    assert audit(module, (x, mask)).ok
    reinitialize(module, x=(x, mask), rng=0)
    assert audit(module, (x, mask)).ok
    assert audit(module, (100 * x, mask)).findings[0].cure == "standardize the inputs"
    with pytest.raises(ValueError, match="only a mask that is added may have -inf"):
        audit(module, (x - mask[0, 1], mask))


def test_a_constant_kernel_is_blamed_and_drawn() -> None:
    module = nn.Sequential(nn.Linear(12, 24), nn.ReLU(), nn.Linear(24, 24), nn.ReLU(),
                           nn.Linear(24, 24), nn.ReLU(), nn.Linear(24, 3))  # fmt: skip
    reinitialize(module, x=X, rng=0)
    nn.init.constant_(module[2].weight, 3.0)
    (finding,) = audit(module, X).findings
    assert finding.verdict == "exploding" and finding.names == ("2.weight",)
    assert finding.cure == "draw 2.weight with he_normal"


def test_a_constant_that_costs_nothing_is_not_what_knows_nothing() -> None:
    """As with the cosine of two views, which any constant outputs make 1."""
    module = Made(lambda m, x: (m.a(x), m.a(x + 0.1 * torch.randn_like(x))), a=nn.Linear(12, 13))

    def loss(outputs: Any, _: Any) -> Any:
        one, other = (F.normalize(o, dim=-1) for o in outputs)
        return 2 - 2 * (one * other).sum(-1).mean()

    report = audit(module, X, torch.zeros(len(X)), loss)
    assert report.ok and not report.blind < 1


@pytest.mark.parametrize("tied", [False, True])
def test_what_is_added_to_a_tied_table_is_as_small(tied: bool) -> None:
    """Of tokens below positions of N(0, 1) a GPT learned next to nothing with SGD."""

    def run(m: Any, x: Any) -> Any:
        rows = m.words(x[..., 0]) + m.kinds(x[..., 1]) + m.places(torch.arange(6))
        return m.head(m.norm(rows + m.inner(rows)))

    module = Made(run, words=nn.Embedding(40, 32), kinds=nn.Embedding(2, 32),
                  places=nn.Embedding(6, 32), inner=nn.Linear(32, 32), norm=nn.LayerNorm(32),
                  head=nn.Linear(32, 40, bias=False))  # fmt: skip
    if tied:
        module.head.weight = module.words.weight
    texts = reinitialize(module, x=torch.randint(0, 2, (16, 6, 2)), rng=0)
    sizes = [t.weight.std().item() for t in (module.words, module.kinds, module.places)]
    if tied:
        assert texts["words.weight"] == texts["kinds.weight"] == "uniform, limit=0.05"
        assert texts["places.weight"].startswith("scaled to the rows beside it, std=0.02")
    assert sizes == pytest.approx([0.05 / 3**0.5 if tied else 1.0] * 3, rel=0.4)


def test_a_normalizer_behind_an_exponential_is_no_softmax() -> None:
    """As in Mamba 2, of whose slopes 2951 % were said to be flat."""

    def run(m: Any, x: Any) -> Any:
        h = torch.exp(m.a(x)) * m.b(x)
        return m.c(h / h.square().mean(-1, keepdim=True).sqrt())

    module = Made(run, a=nn.Linear(12, 24), b=nn.Linear(12, 24), c=nn.Linear(24, 3))
    with torch.no_grad():
        module.a.weight *= 10  # so that one unit in many rows is all of its length
    assert np.isnan([row.saturated for row in audit(module, X).rows]).all()


def test_an_orthogonal_kernel_whose_result_is_split_stays_orthogonal() -> None:
    """As between the couplings of a flow, which take half of it each."""

    def run(m: Any, x: Any) -> Any:
        a, b = (x @ m.turn.weight).chunk(2, -1)
        return torch.cat([a, b * (1 + torch.tanh(m.by(a)))], -1) @ m.last.weight  # fmt: skip

    module = Made(run, turn=nn.Linear(12, 12, bias=False), by=nn.Linear(6, 6),
                  last=nn.Linear(12, 12, bias=False))  # fmt: skip
    nn.init.orthogonal_(module.turn.weight)
    before = module.turn.weight.detach().clone()
    reinitialize(module, x=X, rng=0)
    turn = module.turn.weight.detach()
    assert torch.allclose(turn @ turn.T, torch.eye(12), atol=1e-5)
    assert not torch.allclose(turn, before)


def test_biases_of_members_that_are_averaged_may_be_equal() -> None:
    module = Made(
        lambda m, x: (torch.einsum("ni,mio->mno", x, m.kernel) + m.shift[:, None]).mean(0)
    )
    module.kernel = nn.Parameter(torch.randn(4, 12, 4) / 12**0.5)
    module.shift = nn.Parameter((torch.rand(4) / 5 - 0.1).repeat(4, 1))
    assert audit(module, X, Y, nn.CrossEntropyLoss()).ok
    reinitialize(module, x=X, rng=0)
    assert not module.shift.any() and audit(module, X, Y, nn.CrossEntropyLoss()).ok


def test_a_last_kernel_before_a_normalizer_can_be_too_small() -> None:
    """Beside its bias nothing of it is left, as in a tower of CLIP."""

    def run(m: Any, x: Any) -> Any:
        a = F.normalize(m.b(F.relu(m.a(x[:, :6]))), dim=-1)
        return 5 * a @ F.normalize(m.d(F.relu(m.c(x[:, 6:]))), dim=-1).T

    module = Made(run, a=nn.Linear(6, 48), b=nn.Linear(48, 16), c=nn.Linear(6, 48),
                  d=nn.Linear(48, 16))  # fmt: skip
    assert audit(module, X, torch.arange(8), nn.CrossEntropyLoss()).ok
    with torch.no_grad():
        module.b.weight *= 1e-3
    report = audit(module, X, torch.arange(8), nn.CrossEntropyLoss())
    assert report.findings[0].changes == ("b.weight",)
    reinitialize(module, x=X, rng=0)
    # Behind the normalizer it need not be small; of 768 draws five standard deviations.
    assert module.d.weight.std().item() == pytest.approx(48**-0.5, rel=0.13)


@pytest.mark.parametrize(
    "kind",
    [lambda z: torch.distributions.Categorical(logits=z),
     lambda z: torch.distributions.Normal(z, torch.ones_like(z))],
)  # fmt: skip
def test_distributions_are_outputs(kind: Any) -> None:
    """As of an actor, or of a head of mean and variance."""
    module = Made(lambda m, x: kind(m.b(F.relu(m.a(x)))), a=nn.Linear(12, 24), b=nn.Linear(24, 4))
    assert audit(module, X).ok
    with torch.no_grad():
        module.a.weight *= 1e-4
        module.a.bias.zero_()
    assert audit(module, X).findings[0].verdict == "shrinking"
    said = reinitialize(module, x=X, rng=0)
    assert said["a.weight"] == "lecun_normal" and audit(module, X).ok


def test_outputs_in_which_no_tensor_is_found_are_refused() -> None:
    class Answer:
        def __init__(self, logits: Tensor) -> None:
            self.logits = logits

    module = Made(lambda m, x: Answer(m.a(x)), a=nn.Linear(12, 4))
    with pytest.raises(ValueError, match=r"Made gives .*Answer.*, in which no tensor is found: re"):
        audit(module, X)


def narrow_branches(m: Any, x: Any) -> Any:
    h = m.enters(x)
    for wide, down, up in zip(m.wide, m.down, m.up, strict=True):
        h = F.relu(wide(h))
        h = h + up(F.gelu(down(h)))
    return m.leaves(h)


def test_what_narrow_branches_add_by_chance_is_not_all_that_arrives() -> None:
    """Fourteen adapters of eight units that start at 0, behind as many wide ReLU layers."""
    module = Made(narrow_branches, enters=nn.Linear(12, 64), leaves=nn.Linear(64, 4))
    module.wide, module.down, module.up = (
        nn.ModuleList(nn.Linear(*sizes) for _ in range(14))
        for sizes in ((64, 64), (64, 8), (8, 64))
    )
    for part in module.up:
        nn.init.zeros_(part.weight)
        nn.init.zeros_(part.bias)
    for part in module.wide:  # half of it is lost in each layer
        winit.torch.lecun_normal_(part.weight)
        nn.init.zeros_(part.bias)
    assert audit(module, X).findings[0].verdict == "shrinking"
    said = reinitialize(module, x=X, rng=0)
    assert audit(module, X).ok and not any(part.weight.any() for part in module.up)
    assert all("times 1." in said[f"wide.{k}.weight"] for k in range(4))


@pytest.mark.parametrize("join", [lambda a, b: torch.cat([a, b], 1), lambda a, b: (a, b)])
def test_outputs_side_by_side_in_one_tensor_are_judged_apart(join: Any) -> None:
    """As of an actor and a critic: each column of the output has its own way."""
    torch.manual_seed(0)

    def net() -> nn.Sequential:
        return nn.Sequential(nn.Linear(12, 64), nn.Tanh(), nn.Linear(64, 64, bias=False), nn.Tanh(),
                             nn.Linear(64, 4, bias=False))  # fmt: skip

    module = Made(lambda m, x: join(m.actor(x), m.critic(x)), actor=net(), critic=net())
    assert audit(module, X).ok
    nn.init.normal_(module.critic[2].weight, std=1e-4)
    finding = audit(module, X).findings[0]
    assert (finding.verdict, finding.names) == ("shrinking", ("critic.2.weight",))
    assert finding.cure.startswith("draw critic.2.weight with")


def test_relative_positions_that_short_inputs_do_not_reach_are_not_dead() -> None:
    """As in DeBERTa: a projected table of all distances is the kernel: few are gathered."""

    def attended(m: Any, x: Tensor) -> Any:
        place = torch.arange(x.shape[1])
        apart = (place[:, None] - place + 64).expand(len(x), -1, -1)
        q, k, v = m.q(x), m.k(x), m.v(x)
        near = q @ k.mT + torch.gather(q @ m.p(m.norm(m.table)).T, 2, apart)
        return m.head((x + m.o(torch.softmax(near / 28**0.5, -1) @ v)).mean(1))

    torch.manual_seed(0)
    parts = {name: nn.Linear(16, 16) for name in "qkvpo"}
    module = Made(attended, **parts, norm=nn.LayerNorm(16), head=nn.Linear(16, 4),
                  table=nn.Parameter(torch.randn(128, 16) / 50))  # fmt: skip
    x = torch.randn(8, 3, 16)
    report = audit(module, x)
    row = next(row for row in report.rows if row.name == "table")
    assert report.ok and 0.95 < row.dead < 1


def test_a_number_behind_a_normalizer_is_in_front_of_what_reads_it() -> None:
    """As d^-½ in front of T5's tied table, whose rows are of size 1: nothing shrinks."""

    def tied(m: Any, x: Tensor) -> Any:
        h = m.table(x)
        h = m.norm(h + m.up(F.relu(m.down(m.inner(h)))))
        return h * 256**-0.5 @ m.table.weight.T

    torch.manual_seed(0)
    module = Made(tied, table=nn.Embedding(50, 256), inner=nn.RMSNorm(256), norm=nn.RMSNorm(256),
                  down=nn.Linear(256, 256), up=nn.Linear(256, 256))  # fmt: skip
    x = torch.randint(0, 50, (8, 12))
    assert audit(module, x).ok
    said = reinitialize(module, x=x, rng=0)
    assert said["table.weight"].startswith("normal, std=1.0") and audit(module, x).ok
    module.table.weight.data *= 2.0
    said = reinitialize(module, x=x, rng=0)
    assert said["table.weight"] == "uniform, limit=0.8" and audit(module, x).ok
    scaled = Made(lambda m, x: m.head(m.norm(m.a(x)) * 16.0), norm=nn.RMSNorm(12, eps=0.0),
                  a=nn.Linear(12, 12), head=nn.Linear(12, 4, bias=False))  # fmt: skip
    assert audit(scaled, X).rows[1].ideal == pytest.approx(0.1 / math.sqrt(12))


def test_a_number_inside_a_normalizer_is_a_part_of_it() -> None:
    def forward(m: Any, x: Tensor) -> Any:
        h = m.a(x)
        return m.head(h * 0.01 * (h * 0.01).square().mean(-1, keepdim=True).rsqrt() * m.gain)

    module = Made(forward, a=nn.Linear(12, 12), head=nn.Linear(12, 4, bias=False),
                  gain=nn.Parameter(torch.ones(12)))  # fmt: skip
    report = audit(module, X)
    assert report.ok and report.rows[1].ideal == pytest.approx(0.1 / math.sqrt(12))


@pytest.mark.parametrize("f", [
    lambda u: u - (u > 1).float(),
    lambda u: u * (1 - (u > 1).to(u.dtype)),
    lambda u: torch.sigmoid(u) + ((u > 0).type_as(u) - torch.sigmoid(u)).detach(),
])  # fmt: skip
def test_a_comparison_made_a_number_is_one(f: Any) -> None:
    """As of neurons that spike, and are reset by what they send."""
    module = Made(lambda m, x: m.b(f(m.a(x))), a=nn.Linear(12, 24), b=nn.Linear(24, 4))
    assert audit(module, X).ok
    assert reinitialize(module, x=X, rng=0)["b.weight"] == "variance_scaling, scale=0.01"


def test_kernels_in_a_slice_of_a_list_are_judged() -> None:
    """A slice of an nn.ParameterList is a list of its own."""

    def forward(m: Any, x: Tensor) -> Any:
        for w in m.w[:-1]:
            x = torch.tanh(x @ w)
        return x @ m.w[-1]

    torch.manual_seed(0)
    wide = [torch.randn(n, k) / n**0.5 for n, k in ((12, 24), (24, 24), (24, 4))]
    module = Made(forward, w=nn.ParameterList(wide))
    report = audit(module, X)
    assert report.ok and len(report.rows) == 3 and not report.notes
    module.w[1].data *= 1e-4
    assert audit(module, X).findings[0].names == ("w.1",)


def test_kernels_standardized_by_a_batch_norm_are_read() -> None:
    """As in networks without normalizers of signals, whose gains are multiplied first."""

    def forward(m: Any, x: Tensor) -> Any:
        w, gain = m.w.reshape(1, 16, -1), (m.gain * 27**-0.5).view(-1)
        w = F.batch_norm(w, None, None, weight=gain, training=True, momentum=0.0)
        return m.head(F.relu(F.conv2d(x, w.reshape_as(m.w))).mean((2, 3)))

    torch.manual_seed(0)
    module = Made(forward, w=nn.Parameter(torch.randn(16, 3, 3, 3)), head=nn.Linear(16, 4),
                  gain=nn.Parameter(torch.ones(16, 1, 1, 1)))  # fmt: skip
    x = torch.randn(8, 3, 8, 8)
    report = audit(module, x)
    assert report.ok and report.rows[0].std == pytest.approx(27**-0.5, rel=0.01)
    assert reinitialize(module, x=x, rng=0)["gain"] == "constant, value=1"


@pytest.mark.parametrize("scale", [0.1, 0.001])
def test_members_that_are_averaged_do_not_excuse_each_other(scale: float) -> None:
    """By each member the others pass; but where all fade, nothing does."""
    torch.manual_seed(0)

    def member() -> nn.Sequential:
        sizes = [12, 48, 48, 48, 48, 1]
        kernels = [nn.Linear(*size, bias=False) for size in itertools.pairwise(sizes)]
        parts = [part for kernel in kernels for part in (kernel, nn.Tanh())][:-1]
        return winit.torch.lecun_normal_(nn.Sequential(*parts))

    nets = nn.ModuleList(member() for _ in range(3))
    module = Made(lambda m, x: torch.stack([net(x) for net in m.nets]).mean(0), nets=nets)
    assert audit(module, X).ok
    for net in nets:
        for layer in (0, 2, 4, 6):
            net[layer].weight.data *= scale
    finding = audit(module, X).findings[0]
    assert finding.verdict == "shrinking" and finding.cure.endswith("at their ideal stds")
    assert {"nets.0.6.weight", "nets.1.6.weight", "nets.2.6.weight"} < {*finding.names}
    reinitialize(module, x=X, rng=0)
    assert audit(module, X).ok


def deep_and_wide(m: Any, x: Tensor) -> Any:
    return m.wide(x) + m.deep(F.relu(m.b(F.relu(m.a(x)))))


def read_again(m: Any, x: Tensor) -> Any:
    h = F.relu(m.b(F.relu(m.a(x))))
    return m.wide(x) + m.deep(F.relu(m.c(torch.cat([x, h], -1))))


def generates(m: Any, x: Tensor) -> Any:
    w = m.b(F.relu(m.a(x[:, :4]))).reshape(-1, 8, 3)
    return m.deep(F.relu(torch.einsum("bi,bij->bj", x[:, 4:], w)))


@pytest.mark.parametrize(("run", "sizes"), [
    (deep_and_wide, {"a": (12, 24), "b": (24, 24), "deep": (24, 4), "wide": (12, 4)}),
    (read_again, {"a": (12, 24), "b": (24, 24), "c": (36, 24), "deep": (24, 4), "wide": (12, 4)}),
    (generates, {"a": (4, 24), "b": (24, 24), "deep": (3, 4)}),
])  # fmt: skip
def test_a_small_kernel_inside_a_branch_is_no_start_of_it(run: Any, sizes: Any) -> None:
    torch.manual_seed(0)
    module = Made(run, **{name: nn.Linear(*size, bias=False) for name, size in sizes.items()})
    module.b.weight.data *= 1e-3
    assert not reinitialize(module, x=X, rng=0)["b.weight"].startswith("left")
    assert audit(module, X).ok


@pytest.mark.parametrize(("sign", "verdict"), [(-1.0, []), (1.0, ["saturated"])])
def test_an_output_that_starts_at_the_log_odds_is_not_saturated(sign: float, verdict: Any) -> None:
    """As of a class of one in a hundred, before a sigmoid; its sign turned round it is."""
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(12, 32), nn.ReLU(), nn.Linear(32, 1), nn.Sigmoid())
    reinitialize(module, x=X, rng=0)
    nn.init.constant_(module[2].bias, sign * math.log(99))
    x, y = torch.randn(64, 12), torch.zeros(64, 1)
    y[0] = 1.0
    report = audit(module, x, y, nn.BCELoss())
    assert [f.verdict for f in report.findings][:1] == verdict
    module[0].weight.data *= 1e-3  # and what is behind it is still found
    module[0].bias.data.zero_()
    assert not audit(module, x, y, nn.BCELoss()).ok


@pytest.mark.parametrize("mean", [
    lambda h: h.mean(1),
    lambda h: h.sum(1) / 300,
    lambda h: (h * (1 / 300)).sum(1),
    lambda h: (torch.zeros(h.shape[:2]).softmax(1)[..., None] * h).sum(1),
    lambda h: (torch.ones(h.shape[:2])[..., None] * h).sum(1) / h.shape[1],
    lambda h: F.relu(h).sum(1) / 300,
    lambda h: (F.relu(h) / 300).sum(1),
])  # fmt: skip
def test_a_mean_takes_nothing_away_however_it_is_written(mean: Any) -> None:
    """No kernel makes up for the number by which a sum is divided."""
    torch.manual_seed(0)
    module = Made(lambda m, x: m.c(F.relu(m.b(F.relu(mean(m.a(x)))))), a=nn.Linear(8, 32),
                  b=nn.Linear(32, 32), c=nn.Linear(32, 3))  # fmt: skip
    x = torch.randn(64, 300, 8) + torch.randn(64, 1, 8)
    said = reinitialize(module, x=x, rng=0)
    assert said["a.weight"] == "lecun_normal" and said["b.weight"] == "he_normal"
    assert audit(module, x, torch.arange(64) % 3, F.cross_entropy).ok


def test_scales_that_open_inside_one_another_kill_nothing() -> None:
    """As in EdgeNeXt: a LayerScale of 1e-6 inside a branch that ends with another."""

    def forward(m: Any, x: Tensor) -> Any:
        h = x = m.stem(x)
        h = h + m.inner * m.b(F.relu(m.a(F.layer_norm(h, (24,)))))
        h = m.outer * m.d(F.relu(m.c(F.layer_norm(h, (24,)))))
        return m.head(F.layer_norm(x + h, (24,)))

    torch.manual_seed(0)
    kernels = {name: nn.Linear(24, 24) for name in "abcd"}
    scales = {name: nn.Parameter(torch.full((24,), 1e-6)) for name in ("inner", "outer")}
    module = Made(forward, stem=nn.Linear(12, 24), head=nn.Linear(24, 4), **kernels, **scales)
    assert audit(module, X).ok
    module.outer.data.fill_(1e-30)
    assert audit(module, X).findings[0].verdict == "dead"


class Standardized(nn.Linear):
    """A layer of one's own: a reset of its base says nothing of the gain that it adds."""

    def __init__(self, *size: int) -> None:
        super().__init__(*size)
        self.gain = nn.Parameter(torch.zeros(size[1], 1))

    def forward(self, x: Tensor) -> Tensor:
        w = self.weight - self.weight.mean(1, keepdim=True)
        w = w / (w.std(1, keepdim=True) * w.shape[1] ** 0.5)
        return F.linear(x, w * self.gain, self.bias)


def test_a_gain_that_a_layer_adds_to_its_base_is_set_and_kills_no_branch() -> None:
    torch.manual_seed(0)
    module = Made(lambda m, x: m.head(x + m.open * m.b(F.relu(m.a(x)))), a=Standardized(12, 12),
                  b=nn.Linear(12, 12), open=nn.Parameter(torch.zeros(())),
                  head=nn.Linear(12, 4))  # fmt: skip
    assert audit(module, X, Y, F.cross_entropy).ok
    assert reinitialize(module, x=X, rng=0)["a.gain"] == "constant, value=1"
    assert audit(module, X, Y, F.cross_entropy).ok


def test_zeros_that_make_a_kernel_are_not_to_be_ones() -> None:
    """As of a network that makes the weights of another: with ones its units are all alike."""

    def forward(m: Any, x: Tensor) -> Any:
        w = m.make(m.z)
        return F.relu(x @ w[:192].view(12, 16)) @ w[192:].view(16, 4)

    torch.manual_seed(0)
    module = Made(forward, z=nn.Parameter(torch.randn(8)), make=zeroed(nn.Linear(8, 256)))
    finding = audit(module, X, Y, F.cross_entropy).findings[0]
    assert finding.verdict == "dead" and finding.cure == "draw make.weight with normal, std=0.02"
    nn.init.normal_(module.make.weight, std=0.02)
    assert audit(module, X, Y, F.cross_entropy).ok


@pytest.mark.parametrize(("std", "drawn"), [(1e-4, 0.02), (0.01, 0.01)])
def test_rows_near_zero_are_drawn_larger(std: float, drawn: float) -> None:
    """Beside biases of 0 nothing else would tell them apart."""
    torch.manual_seed(0)
    module = Made(lambda m, x: m.head(m.gru(m.table(x))[0]), table=nn.Embedding(50, 16),
                  gru=nn.GRU(16, 16, batch_first=True), head=nn.Linear(16, 50))  # fmt: skip
    nn.init.normal_(module.table.weight, std=std)
    reinitialize(module, x=torch.randint(0, 50, (8, 6)), rng=0)
    assert float(module.table.weight.detach().std()) == pytest.approx(drawn, rel=0.2)


@pytest.mark.parametrize("f", [lambda t: t, torch.exp])
def test_a_temperature_stays_as_it_was_chosen(f: Any) -> None:
    """One number that multiplies the cosines of directions is no length of a kernel."""
    torch.manual_seed(0)
    module = Made(lambda m, x: f(m.t) * F.linear(F.normalize(m.a(x)), F.normalize(m.w)),
                  a=nn.Linear(12, 24), w=nn.Parameter(torch.randn(4, 24) / 5),
                  t=nn.Parameter(torch.tensor(3.0)))  # fmt: skip
    said = reinitialize(module, x=X, rng=0)
    assert said["t"].startswith("left") and float(module.t.detach()) == 3.0
    assert said["w"] == "variance_scaling, scale=0.01"  # and times nothing


def test_gated_units_are_scaled_until_they_stay_level() -> None:
    """A kernel that gives values beside their gates is none of gates alone."""
    torch.manual_seed(0)
    stack = [part for _ in range(6) for part in (nn.Linear(32, 64), nn.GLU(-1))]
    module, x = nn.Sequential(*stack, nn.Linear(32, 4)), torch.randn(32, 32)
    said = reinitialize(module, x=x, rng=0)
    assert re.search(r", times [12]", said["0.weight"]) and audit(module, x).ok


class Attends(nn.Module):
    """Blocks of attention and a branch, normalized in front, as of a GPT."""

    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(32, 4, 64, 0.0, batch_first=True, norm_first=True)
        self.table, self.head = nn.Embedding(100, 32), nn.Linear(32, 100)
        self.blocks = nn.TransformerEncoder(layer, 3, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(32)

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.head(self.norm(self.blocks(self.table(x))))
        return made


def test_attentions_that_choose_one_entry_are_saturated() -> None:
    """With weights from N(0, 1) more than half of the rows do, though most slopes are steep."""
    torch.manual_seed(0)
    module, x = Attends(), torch.randint(0, 100, (16, 16))
    assert reinitialize(module, x=x, rng=0) and audit(module, x).ok
    for parameter in module.parameters():
        if parameter.ndim > 1:
            nn.init.normal_(parameter)
    finding = audit(module, x).findings[0]
    assert finding.verdict == "saturated" and "in_proj_weight" in finding.names[0]


def test_members_that_are_equal_are_not_parted_by_their_biases() -> None:
    def forward(m: Any, x: Tensor) -> Any:
        return torch.bmm(F.relu(torch.einsum("ni,eih->enh", x, m.a) + m.b), m.c).mean(0)

    torch.manual_seed(0)
    sizes = {"a": (4, 12, 16), "b": (4, 1, 16), "c": (4, 16, 4)}
    module = Made(forward, **{name: nn.Parameter(torch.randn(size) / 4 * (name != "b"))
                              for name, size in sizes.items()})  # fmt: skip
    for part in (module.a, module.c):
        part.data[:] = part.data[:1].clone()
    finding = audit(module, X, Y, F.cross_entropy).findings[0]
    assert finding.verdict == "symmetric" and "draw b" not in finding.cure


class CaiT(nn.Module):
    """A class token that comes late, in blocks of its own, all with LayerScales of 1e-5."""

    def __init__(self, width: int = 24) -> None:
        super().__init__()
        self.width, self.stem, self.head = width, nn.Linear(12, width), nn.Linear(width, 4)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(5))
        self.read = nn.ModuleList(nn.Linear(width, 3 * width) for _ in range(4))
        self.mix = nn.ParameterList(0.1 * torch.randn(4, 4) for _ in range(2))
        self.write = nn.ModuleList(nn.Linear(width, width) for _ in range(4))
        self.scales = nn.ParameterList(torch.full((width,), 1e-5) for _ in range(4))
        self.token = nn.Parameter(0.02 * torch.randn(1, 1, width))
        for part in (self.stem, self.head, *self.read, *self.write):
            nn.init.trunc_normal_(part.weight, std=0.02)

    def attend(self, i: int, q: Tensor, x: Tensor) -> Tensor:
        kernels = self.read[i].weight.chunk(3)
        q, k, v = (
            F.linear(a, w).unflatten(-1, (4, -1)) for a, w in zip((q, x, x), kernels, strict=True)
        )
        scores = torch.einsum("nqhd,nkhd->nhqk", q, k) / math.sqrt(q.shape[-1])
        if i < 2:  # talking heads
            scores = torch.einsum("nhqk,hg->ngqk", scores, self.mix[i])
        made = torch.einsum("nhqk,nkhd->nqhd", scores.softmax(-1), v).flatten(2)
        done: Tensor = self.scales[i] * self.write[i](made)
        return done

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for i in range(2):
            h = self.norms[i](x)
            x = x + self.attend(i, h, h)
        token = self.token.expand(len(x), -1, -1)
        for i in (2, 3):
            h = self.norms[i](torch.cat([token, x], 1))
            token = token + self.attend(i, h[:, :1], h)
        made: Tensor = self.head(self.norms[4](torch.cat([token, x], 1))[:, 0])
        return made


def test_scales_on_different_ways_kill_and_starve_nothing() -> None:
    torch.manual_seed(0)
    module, x = CaiT(), torch.randn(8, 6, 12)
    assert audit(module, x, Y, F.cross_entropy).ok
    for part in module.stem, module.write[2], module.write[3]:
        nn.init.normal_(part.weight, std=1e-9)  # no growing scale makes up for it
    assert not audit(module, x, Y, F.cross_entropy).ok


@pytest.mark.parametrize("loss", [F.cross_entropy, F.l1_loss, F.mse_loss])
def test_zeros_part_where_only_the_signs_of_their_gradients_differ(loss: Any) -> None:
    """Of two classes one gradient is minus the other; those of an absolute error are all ±1/n."""
    classes = loss is F.cross_entropy
    module = nn.Sequential(nn.Linear(12, 24), nn.ReLU(), nn.Linear(24, 2 if classes else 12))
    nn.init.zeros_(module[2].weight), nn.init.zeros_(module[2].bias)
    y = Y % 2 if classes else X.roll(1, 0)
    assert audit(module, X, y, loss).ok
    nn.init.constant_(module[0].weight, 0.1)
    module[0].bias.data[:] = 0.1
    report = audit(module, X, y, loss)
    assert report.findings[0].verdict == "symmetric" and "0.weight" in report.findings[0].names


@pytest.mark.parametrize(("times", "good"), [(1.0, True), (100.0, False)])
def test_a_first_loss_that_is_bounded_may_be_half_of_the_way(times: float, good: bool) -> None:
    """Of 100 classes a clipped loss is 16 at the most, and never six times ln 100."""
    torch.manual_seed(0)
    module, x = nn.Sequential(nn.Linear(12, 64), nn.ReLU(), nn.Linear(64, 100)), WIDE[:, :12]
    module[2].weight.data *= times
    shares, y = nn.Sequential(module, nn.Softmax(-1)), torch.arange(32)

    def clipped(p: Tensor, y: Tensor) -> Tensor:
        return F.nll_loss(p.clamp(1e-7, 1.0).log(), y)

    report = audit(shares, x, y, clipped)
    assert report.ok == good and report.loss < 6 * report.blind
    if not good:
        assert report.findings[0].verdict == "first loss far too high"
        assert "0.2.weight" in report.findings[0].cure


class Spikes(torch.autograd.Function):
    """1 above 0, with the slope of something smooth."""

    @staticmethod
    def forward(context: Any, x: Tensor) -> Tensor:
        context.save_for_backward(x)
        return (x > 0).float()

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Tensor:
        slope: Tensor = gradient / (1 + 25 * context.saved_tensors[0].abs()) ** 2
        return slope


def test_what_is_left_near_0_is_drawn_where_nothing_passes_without_it() -> None:
    """As of neurons that never fire: a potential that leaks is a way past the kernel."""

    def forward(m: Any, x: Tensor) -> Any:
        v, made = torch.zeros(len(x), 48), []
        for _ in range(6):
            v = 0.9 * v + m.a(x)
            fired = Spikes.apply(v - 1)
            v = v - fired.detach()
            made.append(m.b(fired))
        return torch.stack(made).mean(0)

    module, x = Made(forward, a=nn.Linear(12, 48), b=nn.Linear(48, 4)), 1 + WIDE[:, :12].abs()
    module.a.weight.data *= 0.02
    nn.init.zeros_(module.a.bias)
    finding = audit(module, x).findings[0]
    assert finding.verdict == "dead" and "reinitialize" in finding.cure
    assert reinitialize(module, x=x, rng=0)["a.weight"] == "lecun_normal"
    assert audit(module, x).ok


def test_zeros_are_drawn_where_the_draw_is_faulty_without_them() -> None:
    """Two candidates between which a gate chooses are no branches, though each has another."""

    def forward(m: Any, x: Tensor) -> Any:
        h = torch.tanh(m.a(x))
        for _ in range(4):
            h = torch.tanh(m.b(torch.cat([x, h], 1)))
            gate = torch.sigmoid(m.gate(h))
            h = m.one(h) * (1 - gate) + m.other(h) * gate
        return m.head(h)

    torch.manual_seed(0)
    kernels = {name: nn.Linear(24, 24) for name in ("gate", "one", "other")}
    module = Made(forward, a=nn.Linear(12, 24), b=nn.Linear(36, 24), head=nn.Linear(24, 4),
                  one=zeroed(kernels["one"]), other=zeroed(kernels["other"]),
                  gate=kernels["gate"])  # fmt: skip
    assert not audit(module, X).ok
    reinitialize(module, x=X, rng=0)
    assert module.one.weight.any() and module.other.weight.any() and audit(module, X).ok


class Spline(nn.Module):
    """A layer of a KAN: splines of the data, divided by the steps of a grid that never changes."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.register_buffer("grid", (torch.arange(-3, 9) * 0.4 - 1).expand(n_in, -1).contiguous())
        self.base = nn.Parameter(1e-3 * torch.randn(n_out, n_in))
        self.spline = nn.Parameter(1e-3 * torch.randn(n_out, n_in * 8))

    def forward(self, x: Tensor) -> Tensor:
        g, z = self.grid, x[..., None]
        b = ((z >= g[:, :-1]) & (z < g[:, 1:])).to(x.dtype)
        for k in range(1, 4):
            left = (z - g[:, : -(k + 1)]) / (g[:, k:-1] - g[:, : -(k + 1)])
            right = (g[:, k + 1 :] - z) / (g[:, k + 1 :] - g[:, 1:-k])
            b = left * b[:, :, :-1] + right * b[:, :, 1:]
        return F.linear(F.silu(x), self.base) + F.linear(b.flatten(1), self.spline)


def test_data_that_are_divided_by_constants_guard_no_kernel() -> None:
    torch.manual_seed(0)
    module, x = nn.Sequential(Spline(4, 8), Spline(8, 8), Spline(8, 2)), torch.rand(64, 4) * 2 - 1
    said = reinitialize(module, x=x, rng=0)
    assert (
        not any("quotient" in text for text in said.values()) and said["0.base"] == "lecun_normal"
    )
    assert audit(module, x).ok


def test_a_layer_norm_over_one_entry_is_named() -> None:
    module = nn.Sequential(nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, 1), nn.LayerNorm(1),
                           nn.Linear(1, 3))  # fmt: skip
    finding = audit(module, X).findings[0]
    assert finding.verdict == "dead" and "what normalizes after 2.weight gives 0" in finding.cure


def test_a_frozen_copy_that_was_called_was_not_trained() -> None:
    net = nn.Sequential(nn.Linear(12, 24), nn.BatchNorm1d(24), nn.ReLU(), nn.Linear(24, 4))
    module = Made(lambda m, x: m.net(x) - m.target(x).detach(), net=net, target=copy.deepcopy(net))
    module.target.requires_grad_(False)
    module(X)
    assert reinitialize(module, x=X, rng=0)["net.0.weight"] == "lecun_normal"
    module.target[1].weight.data *= 2
    with pytest.raises(ValueError, match="looks trained"):
        reinitialize(module, x=X, rng=0)


def test_what_waits_names_the_zeros_that_it_waits_for() -> None:
    """And no biases that are 0 by convention, nor itself, though a target lets nothing back."""
    net = nn.Sequential(nn.Linear(12, 24), nn.BatchNorm1d(24), nn.ReLU(), nn.Linear(24, 4))
    target, head = copy.deepcopy(net).requires_grad_(False), zeroed(nn.Linear(4, 4))
    module = Made(lambda m, x: m.head(m.net(x)) * m.target(x).detach(), net=net, target=target,
                  head=head)  # fmt: skip
    waits = [note for note in audit(module, X).notes if "waits one step" in note]
    assert waits and all("until head.weight is no longer 0" in note for note in waits)


def test_outputs_that_are_a_parameter_are_used() -> None:
    """As the log of a policy's std."""
    module = Made(lambda m, x: (m.mean(x), m.log_std.expand(len(x), -1)), mean=nn.Linear(12, 2),
                  log_std=nn.Parameter(torch.full((1, 2), -1.0)))  # fmt: skip
    notes = [note for note in audit(module, X).notes if note.startswith("log_std")]
    assert notes and "outputs are made of it" in notes[0]


@pytest.mark.parametrize(("bias", "good"), [(0.0, True), (-6.0, False)])
def test_a_first_loss_far_above_those_of_small_outputs(bias: float, good: bool) -> None:
    """Of a mixture of Gaussians nobody knows what knowing nothing costs."""
    torch.manual_seed(0)
    parts = {name: nn.Linear(24, 3) for name in ("share", "mean", "std")}
    nn.init.constant_(parts["std"].bias, bias)

    def forward(m: Any, x: Tensor) -> Any:
        h = torch.tanh(m.a(x))
        return F.log_softmax(m.share(h), -1), m.mean(h), m.std(h).exp()

    def cost(made: Any, y: Tensor) -> Tensor:
        share, mean, std = made
        return -(share - ((y - mean) / std) ** 2 / 2 - std.log()).logsumexp(1).mean()

    module, y = Made(forward, a=nn.Linear(12, 24), **parts), torch.linspace(-1.5, 1.5, 32)[:, None]
    report = audit(module, WIDE[:, :12], y, cost)
    assert report.ok == good and math.isnan(report.blind)
    if not good:
        finding = report.findings[0]
        assert finding.verdict == "first loss far too high" and "std.bias" in finding.cure
        assert "outputs of 0 or ±1 cost at most" in finding.reason


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_loss_that_small_outputs_do_not_have_tells_nothing(sign: float) -> None:
    """As of a policy, whose advantages have a mean of 0."""
    torch.manual_seed(0)
    module, y = nn.Sequential(nn.Linear(12, 24), nn.Tanh(), nn.Linear(24, 1)), WIDE[:, :1]
    report = audit(module, WIDE[:, :12], y, lambda o, y: sign * (o * (y - y.mean())).mean())
    assert report.ok and math.isnan(report.blind)


@pytest.mark.parametrize(("times", "good"), [(1.0, True), (100.0, False)])
def test_noise_of_a_learned_size_hides_no_flat_slopes(times: float, good: bool) -> None:
    """As in a policy that squashes the action that it has drawn."""

    def forward(m: Any, x: Tensor) -> Any:
        h = F.relu(m.a(x))
        std = m.std(h).clamp(-20, 2).exp()
        return torch.tanh(m.mean(h) + std * torch.randn_like(std))

    torch.manual_seed(0)
    module = Made(forward, a=nn.Linear(12, 64), mean=nn.Linear(64, 2), std=nn.Linear(64, 2))
    module.mean.weight.data *= times
    y = torch.tanh(WIDE[:, :2])
    report = audit(module, WIDE[:, :12], y, F.mse_loss)
    assert report.ok == good
    if not good:
        finding = report.findings[0]
        assert finding.verdict == "saturated" and finding.changes == ("mean.weight",)


def test_a_loss_that_takes_no_zeros_is_no_misfit() -> None:
    """As the likelihood of PyTorch's own distributions, which check their parameters."""

    def cost(made: Any, y: Tensor) -> Tensor:
        return -torch.distributions.Normal(*made, validate_args=True).log_prob(y).mean()

    torch.manual_seed(0)
    module = Made(lambda m, x: (m.mean(m.a(x)), m.std(m.a(x)).exp()), a=nn.Linear(12, 24),
                  mean=nn.Linear(24, 1), std=nn.Linear(24, 1))  # fmt: skip
    y = torch.linspace(-2, 2, 8)[:, None]
    report = audit(module, X, y, cost)
    assert report.ok and math.isfinite(report.loss)
    nn.init.constant_(module.std.bias, -6.0)
    assert audit(module, X, y, cost).findings[0].verdict == "first loss far too high"
    with pytest.raises(ValueError, match="do not fit"):
        audit(module, X, y, lambda made, y: cost((made[0], -made[1]), y))


@pytest.mark.parametrize("inside", [True, False])
def test_a_loss_among_the_outputs_is_noted(inside: bool) -> None:
    """As of models that take the labels: what its constants would cost, nobody knows."""

    def forward(m: Any, x: Tensor, labels: Tensor) -> Any:
        logits = m.net(x)
        return {"loss": F.cross_entropy(logits, labels), "logits": logits}

    module, x = Made(forward, net=mlp()), {"x": X, "labels": Y}
    own = lambda made, y: made["loss"] if inside else F.cross_entropy(made["logits"], y)  # noqa: E731
    report = audit(module, x, Y, own)
    assert any("one of the outputs" in note for note in report.notes) == inside
    assert math.isnan(report.blind) == inside


def ones(y: Tensor) -> Tensor:
    """Classes as marks, on the axis of channels."""
    return F.one_hot(y, 5).movedim(-1, 1).float()


@pytest.mark.parametrize(("last", "loss", "nothing"), [
    (nn.LogSoftmax(1), F.nll_loss, math.log(5)),
    (nn.Softmax(1), lambda p, y: F.nll_loss(p.clamp(1e-7).log(), y), math.log(5)),
    (nn.Sigmoid(), lambda p, y: F.binary_cross_entropy(p, ones(y)), math.log(2)),
])  # fmt: skip
@pytest.mark.parametrize("flat", [True, False])
def test_what_knowing_nothing_costs_of_shares_and_of_their_logarithms(
    last: nn.Module, loss: Any, nothing: float, flat: bool
) -> None:
    """Of a softmax over channels, too; of sigmoids it is ln 2, however many there are."""
    torch.manual_seed(0)
    layer = nn.Linear(12, 5) if flat else nn.Conv2d(3, 5, 3, padding=1)
    x = WIDE[:, :12] if flat else torch.randn(8, 3, 6, 6)
    y = torch.randint(0, 5, (32,) if flat else (8, 6, 6))
    module = nn.Sequential(layer, last)
    report = audit(module, x, y, loss)
    assert report.ok and report.blind == pytest.approx(nothing, rel=1e-5)
    layer.weight.data *= 100
    report = audit(module, x, y, loss)
    assert "first loss far too high" in [finding.verdict for finding in report.findings]


def test_zeros_beside_a_frozen_base_stay_though_the_base_is_faulty() -> None:
    """As of a ControlNet: at the start it gives what the base gives."""

    def forward(m: Any, x: Tensor) -> Any:
        h = x
        for part in m.base:
            h = torch.tanh(part(h))
        return m.head(h + m.zero(F.relu(m.new(x))))

    torch.manual_seed(0)
    base = nn.ModuleList(nn.Linear(12, 12) for _ in range(6)).requires_grad_(False)
    for part in base:
        part.weight.data *= 0.3
        part.bias.data.zero_()
    module = Made(forward, base=base, head=nn.Linear(12, 4).requires_grad_(False),
                  new=nn.Linear(12, 12), zero=zeroed(nn.Linear(12, 12)))  # fmt: skip
    assert not audit(module, X).ok
    said = reinitialize(module, x=X, rng=0)
    assert said["zero.weight"] == "left: its branch starts at 0" and not module.zero.weight.any()


@pytest.mark.parametrize("power", [2.0, 1])
def test_distances_are_read(power: float) -> None:
    """Their power stands where other sums have an axis."""
    module = Made(lambda m, x: F.pairwise_distance(m.net(x), m.net(x.roll(1, 0)), power), net=mlp())
    assert audit(module, X).ok
    module = Made(lambda m, x: m.head(m.net(x).norm(power, 1, keepdim=True)), net=mlp(),
                  head=nn.Linear(1, 3))  # fmt: skip
    assert audit(module, X).ok


@pytest.mark.parametrize(("gain", "kept"), [(0.01, True), (1.0, True), (100.0, False)])
def test_an_orthogonal_last_kernel_keeps_its_size_if_it_is_not_too_large(
    gain: float, kept: bool
) -> None:
    module = nn.Sequential(nn.Linear(12, 64), nn.Tanh(), nn.Linear(64, 4))
    nn.init.orthogonal_(module[2].weight, gain)
    reinitialize(module, x=WIDE[:, :12], rng=0)
    assert float(module[2].weight.detach().norm(2, 1)[0]) == pytest.approx(
        gain if kept else 0.1, rel=0.1
    )


@pytest.mark.parametrize(("bias", "good"), [(1.0, True), (5.0, False)])
def test_a_fixed_std_stays_when_constants_are_tried(bias: float, good: bool) -> None:
    """Knowing nothing is a mean of 0, or the targets', with the std that is given."""

    def cost(made: Any, y: Tensor) -> Tensor:
        return -made.log_prob(y).mean()

    torch.manual_seed(0)
    module = Made(lambda m, x: torch.distributions.Normal(m.net(x), 1.0), net=mlp())
    nn.init.constant_(module.net[-1].bias, bias)
    y = torch.randn(8, 4, generator=torch.Generator().manual_seed(1))
    least = torch.distributions.Normal(y.mean(0), 1.0).log_prob(y)
    report = audit(module, X, y, cost)
    assert report.ok == good and report.blind == pytest.approx(-float(least.mean()), rel=1e-5)


def test_a_loss_of_one_number_may_have_axes() -> None:
    """PyTorch's own backward() takes it, too."""
    module = mlp()
    plain = audit(module, X, Y, F.cross_entropy)
    report = audit(module, X, Y, lambda z, y: F.cross_entropy(z, y).reshape(1, 1))
    assert report.loss == plain.loss
    with pytest.raises(ValueError, match=r"sends a gradient back \(no .item\(\)\), got 1\."):
        audit(module, X, Y, lambda z, y: F.cross_entropy(z, y).item())


def read(module: nn.Module, monkeypatch: pytest.MonkeyPatch) -> tuple[int, Any]:
    """How often its program is read in an audit, and the report."""
    reads = []
    program = reader.Reader.program

    def counted(*args: Any) -> Any:
        reads.append(args)
        return program(*args)

    with monkeypatch.context() as patch:
        patch.setattr(reader.Reader, "program", counted)
        report = audit(module, WIDE[:, :12], torch.arange(32) % 4, F.cross_entropy)
    return len(reads), report


def test_a_program_is_read_once_unless_it_chooses_its_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs of cures replay what the first one read, where they take the same steps."""
    layers = [
        f(*sizes)
        for sizes in [(12, 32), (32, 32), (32, 32)]
        for f in (nn.Linear, lambda *_: nn.ReLU())
    ]
    torch.manual_seed(0)
    module = nn.Sequential(*layers, nn.Linear(32, 4))
    module[2].weight.data *= 0.001
    once, report = read(module, monkeypatch)
    assert once == 1 and "2.weight" in report.findings[0].changes

    def forward(m: Any, x: Tensor) -> Any:
        h = m.net[:4](x)
        h = torch.tanh(h) if float(h.detach().square().mean()) < 0.01 else F.relu(h)
        return m.net[4:](h)

    often, again = read(Made(forward, net=module), monkeypatch)
    assert often > 1 and again.findings[0].changes == ("net.2.weight",)


@pytest.mark.parametrize("deep", [False, True])
def test_columns_that_the_loss_does_not_read_are_not_dead(deep: bool) -> None:
    """As the density of a radiance field, where colors alone are compared."""
    torch.manual_seed(0)
    other = (
        nn.Sequential(nn.Linear(24, 8), nn.ReLU(), nn.Linear(8, 1)) if deep else nn.Linear(24, 1)
    )
    module = Made(
        lambda m, x: torch.cat([m.net(x), m.other(m.net[:2](x))], 1), net=mlp(), other=other
    )
    report = audit(module, X, torch.randn(8, 4), lambda z, y: F.mse_loss(z[:, :4], y))
    names = "other.0.weight, other.2.weight" if deep else "other.weight"
    assert report.ok
    assert f"{names}: no gradient comes back: the loss does not see what it gives." in report.notes
    # One whose outputs are bent may be dead, whatever stands beside it.
    bent = Made(lambda m, x: torch.cat([m.net(x), F.relu(m.other(m.net[:2](x)))], 1),
                net=module.net, other=other)  # fmt: skip
    last = other[-1] if deep else other
    nn.init.constant_(last.bias, -20.0)
    report = audit(bent, X, torch.randn(8, 5), F.mse_loss)
    assert report.findings[0].verdict == "dead"


def test_zeros_that_the_loss_does_not_see_are_not_dead() -> None:
    """As the last kernel of a net of blocks that each take their part off the input."""

    def forward(m: Any, x: Tensor) -> Any:
        h = F.relu(m.trunk(x))
        return m.head(h), m.rest(h)

    torch.manual_seed(0)
    module = Made(forward, trunk=nn.Linear(12, 24), head=nn.Linear(24, 4), rest=nn.Linear(24, 12))
    nn.init.zeros_(module.rest.weight)
    nn.init.zeros_(module.rest.bias)
    assert audit(module, X, Y, lambda made, y: F.cross_entropy(made[0], y)).ok


def test_a_cure_is_found_where_the_loss_is_negative() -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(12, 24), nn.Tanh(), nn.Linear(24, 24), nn.Tanh(),
                           nn.Linear(24, 4))  # fmt: skip
    module[2].weight.data *= 100
    y = torch.randn(8, 4)
    report = audit(module, X, y, lambda z, y: F.mse_loss(z, y) - 50)
    assert report.loss < 0 and report.findings[0].verdict == "saturated"
    assert report.findings[0].changes == ("2.weight",)


def test_a_loss_that_is_the_mean_of_the_outputs_has_no_level() -> None:
    """As of a flow that gives the log-likelihood of the data themselves."""

    def forward(m: Any, x: Tensor) -> Any:
        shift, scale = m.net(x[:, :6]).chunk(2, 1)
        z = torch.cat([x[:, :6], x[:, 6:] * scale.tanh().exp() + shift], 1)
        return torch.distributions.Normal(0.0, 1.0).log_prob(z).sum(1) + scale.tanh().sum(1)

    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(6, 24), nn.ReLU(), nn.Linear(24, 12))
    x = WIDE[:, :12]
    report = audit(Made(forward, net=net), x, x, lambda likelihood, _: -likelihood.mean())
    assert report.loss > 6 and report.ok


def test_the_ends_of_a_small_encoder_are_drawn_with_it() -> None:
    """Their noise is a way past them, but nobody starts all of an encoder near 0."""

    def forward(m: Any, x: Tensor) -> Any:
        h = F.relu(m.enters(x))
        mean, spread = m.mean(h), m.spread(h)
        z = mean + torch.randn_like(mean) * (spread / 2).exp()
        return m.leaves(F.relu(m.back(z))), mean, spread

    torch.manual_seed(0)
    sizes = {"enters": (64, 32), "mean": (32, 8), "spread": (32, 8), "back": (8, 32)}
    layers = {name: nn.Linear(*size) for name, size in sizes.items()}
    module = Made(forward, **layers, leaves=nn.Linear(32, 64))
    for layer in (module.enters, module.mean, module.spread):
        layer.weight.data *= 0.01
    said = reinitialize(module, x=WIDE, rng=0)
    assert {said["mean.weight"], said["spread.weight"]} == {"he_normal"}


def test_leaves_of_a_soft_tree_pick_rows_as_a_softmax_does() -> None:
    """Shares are as small as they are many, and a mean of many rows hardly varies."""

    def forward(m: Any, x: Tensor) -> Any:
        ways, shares = torch.sigmoid(m.ways(x)), torch.ones(len(x), 1)
        for level in range(9):
            left = ways[:, 2**level : 2 ** (level + 1)]
            shares = (shares[:, :, None] * torch.stack([left, 1 - left], 2)).flatten(1)
        return (shares @ m.leaves.softmax(-1)).log()

    torch.manual_seed(0)
    leaves = nn.Parameter(torch.randn(2**9, 4))
    module = Made(forward, ways=nn.Linear(64, 2**9), leaves=leaves)
    assert audit(module, WIDE, torch.arange(32) % 4, F.nll_loss).ok
    module.ways.weight.data *= 100
    report = audit(module, WIDE, torch.arange(32) % 4, F.nll_loss)
    assert report.findings[0].verdict == "saturated"


def test_outputs_of_complex_numbers_are_outputs() -> None:
    """As spectra; arrays of NumPy beside them are none, since nothing comes back through these."""
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 16)
    )
    module = Made(lambda m, x: (torch.fft.rfft(m.net(x)), np.ones(3)), net=net)
    y = torch.randn(32, 9, dtype=torch.cfloat)

    def cost(made: Any, y: Tensor) -> Tensor:
        return (made[0] - y).abs().square().mean()

    known = float((y - y.mean(0)).abs().square().mean())
    report = audit(module, WIDE, y, cost)
    assert report.ok and report.blind == pytest.approx(known, rel=1e-5)
    assert audit(module, WIDE).ok and not audit(module, WIDE).notes
    net[2].weight.data *= 100
    for report in (audit(module, WIDE), audit(module, WIDE, y, cost)):
        assert report.findings[0].verdict == "exploding"
        assert report.findings[0].changes == ("net.2.weight",)


def test_what_goes_straight_through_leaves_an_ordinary_scale() -> None:
    """Samples with the gradient of their chances: these cancel but for roundings."""

    def forward(m: Any, x: Tensor) -> Any:
        chances = torch.sigmoid(m.b(F.relu(m.a(x))))
        return m.o(F.relu(m.c(torch.bernoulli(chances) + chances - chances.detach())))

    torch.manual_seed(0)
    layers = {name: nn.Linear(32, 32) for name in "bc"}
    module = Made(forward, a=nn.Linear(64, 32), o=nn.Linear(32, 4), **layers)
    reinitialize(module, x=WIDE, rng=0)
    assert 0.1 < module.c.weight.std() < 0.5
    assert audit(module, WIDE, torch.arange(32) % 4, F.cross_entropy).ok


def test_outputs_may_be_as_many_as_the_data_say() -> None:
    def forward(m: Any, x: Tensor) -> Any:
        h = F.relu(m.a(x))
        return m.o(h[h.mean(1) > h.mean()])

    torch.manual_seed(0)
    module = Made(forward, a=nn.Linear(64, 32), o=nn.Linear(32, 4))
    assert audit(module, WIDE).ok
    reinitialize(module, x=WIDE, rng=0)
    module.a.weight.data *= 1e-3
    nn.init.zeros_(module.a.bias)
    assert audit(module, WIDE).findings[0].changes == ("a.weight",)


def test_a_checkpoint_is_not_run_again_with_the_old_weights() -> None:
    def forward(m: Any, x: Tensor) -> Any:
        for layer in m.layers:
            x = checkpoint(lambda h, layer=layer: F.relu(layer(h)), x, use_reentrant=False)
        return m.o(x)

    torch.manual_seed(0)
    layers = nn.ModuleList(nn.Linear(64, 64, bias=False) for _ in range(3))
    module = Made(forward, layers=layers, o=nn.Linear(64, 4))
    reinitialize(module, x=WIDE, rng=0)
    nn.init.zeros_(layers[1].weight)
    finding = audit(module, WIDE, torch.arange(32) % 4, F.cross_entropy).findings[0]
    assert finding.verdict == "dead" and finding.changes == ("layers.1.weight",)


def test_what_a_model_keeps_in_tuples_and_arrays_stays() -> None:
    class Kept(NamedTuple):
        seen: list[int]

    def forward(m: Any, x: Tensor) -> Any:
        m.kept.seen.append(1)
        m.array += 1
        return m.net(x)

    module = Made(forward, net=mlp())
    module.kept, module.array = Kept([]), np.zeros(2)
    audit(module, X)
    reinitialize(module, x=X, rng=0)
    assert module.kept == Kept([]) and not module.array.any()


@pytest.mark.parametrize("times", [1e-3, 1.0, 1e3])
def test_a_number_taken_out_of_a_tensor_is_no_constant(times: float) -> None:
    """By whatever the kernel in front is multiplied, what it gives is divided by its own std."""

    def forward(m: Any, x: Tensor) -> Any:
        h = F.relu(m.a(x))
        return m.o(F.relu(m.b(h / h.detach().std().item())))

    torch.manual_seed(0)
    layers = {"a": nn.Linear(64, 32, bias=False), "b": nn.Linear(32, 32), "o": nn.Linear(32, 4)}
    module = Made(forward, **layers)
    module.a.weight.data *= times
    assert audit(module, WIDE, torch.arange(32) % 4, F.cross_entropy).ok
    reinitialize(module, x=WIDE, rng=0)
    assert 0.1 < module.b.weight.std() < 0.4


@pytest.mark.parametrize(
    "of", [lambda c: c + 1e-6, lambda c: 2 / (1 / c), lambda c: (2 * max(c, 1e-8)) ** 1.0]
)
def test_a_number_computed_from_one_taken_out_is_no_constant(of: Any) -> None:
    def forward(m: Any, x: Tensor) -> Any:
        h = F.relu(m.a(x))
        c = of(h.std().item())
        assert isinstance(c, float) and not math.isnan(math.sqrt(c) + round(c, 2))
        return m.o(F.relu(m.b(h / c)))

    torch.manual_seed(0)
    layers = {"a": nn.Linear(64, 32, bias=False), "b": nn.Linear(32, 32), "o": nn.Linear(32, 4)}
    module = Made(forward, **layers)
    module.a.weight.data *= 1000
    assert audit(module, WIDE, torch.arange(32) % 4, F.cross_entropy).ok
    reinitialize(module, x=WIDE, rng=0)
    assert 0.1 < module.b.weight.std() < 0.4


@pytest.mark.parametrize("at_once", [False, True])
def test_experts_in_one_product_are_kernels(at_once: bool) -> None:
    """As of Mixtral: rows are sorted by the expert that they go to, and each takes its own."""

    def forward(m: Any, x: Tensor) -> Any:
        h = m.enters(x)
        shares = m.router(h).softmax(-1)
        order = shares.argmax(-1).argsort()
        chosen = shares.argmax(-1)[order]
        rows, ends = h[order], torch.bincount(chosen, minlength=4).cumsum(0)
        if at_once:
            ends = ends.to(torch.int32)
            made = F.relu(F.grouped_mm(rows, m.rises, offs=ends))
            made = F.grouped_mm(made, m.falls, offs=ends)
        else:
            parts = zip(rows.tensor_split(ends[:-1]), m.rises, m.falls, strict=True)
            made = torch.cat([F.relu(part @ one) @ other for part, one, other in parts])
        made = made * shares[order].gather(1, chosen[:, None])
        return m.leaves(h.index_add(0, order, made))

    torch.manual_seed(0)
    rises, falls = (nn.Parameter(torch.randn(4, *size) / 8) for size in ((32, 64), (64, 32)))
    module = Made(forward, enters=nn.Linear(64, 32), router=nn.Linear(32, 4), rises=rises,
                  falls=falls, leaves=nn.Linear(32, 4))  # fmt: skip
    x, y = torch.randn(256, 64), torch.arange(256) % 4
    report = audit(module, x, y, F.cross_entropy)
    assert report.ok and not report.notes
    rows = {row.name: row for row in report.rows}
    assert (rows["rises"].fan_in, rows["falls"].fan_in) == (32, 64)
    assert reinitialize(module, x=x, rng=0)["rises"] == "lecun_normal"
    falls.data *= 1000
    finding = audit(module, x, y, F.cross_entropy).findings[0]
    assert finding.verdict == "exploding" and finding.changes == ("falls",)


def test_weights_that_are_clipped_as_they_are_rounded_are_drawn_again() -> None:
    """What they make of too large ones no longer grows with them, and yet a draw is the cure."""

    class Rounded(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            steps = (64 * self.weight).clamp(-127, 127)
            return F.linear(x, (steps + (steps.round() - steps).detach()) / 64, self.bias)

    torch.manual_seed(0)
    layers = [part for _ in range(5) for part in (Rounded(64, 64), nn.ReLU())]
    module = nn.Sequential(*layers, nn.Linear(64, 4))
    for layer in layers[::2]:
        nn.init.kaiming_normal_(layer.weight)
    for layer in (*layers[::2], module[-1]):
        nn.init.zeros_(layer.bias)
    layers[4].weight.data *= 100
    x, y = torch.randn(128, 64), torch.arange(128) % 4
    finding = audit(module, x, y, F.cross_entropy).findings[0]
    assert finding.verdict == "exploding" and finding.cure.startswith("draw the whole model again")
    reinitialize(module, x=x, rng=0)
    assert audit(module, x, y, F.cross_entropy).ok


def rounded(h: Tensor) -> Tensor:
    """A sign whose gradient goes straight through where |h| < 1."""
    clipped = h.clamp(-1, 1)
    return clipped + (h.sign() - clipped).detach()


def bit(h: Tensor) -> Tensor:
    share = (0.5 + h / 4).clamp(0, 1)
    return (share > 0.5).float() + share - share.detach()


@pytest.mark.parametrize("times", [1, 100])
@pytest.mark.parametrize("act", [rounded, bit])
def test_slopes_that_go_straight_through_saturate(act: Any, times: float) -> None:
    """By what the gradient goes through, not by the steps that are given."""
    torch.manual_seed(0)
    module = Made(lambda m, x: m.o(act(m.b(act(m.a(x))))), a=nn.Linear(64, 64),
                  b=nn.Linear(64, 64), o=nn.Linear(64, 4))  # fmt: skip
    for layer in (module.a, module.b):
        nn.init.normal_(layer.weight, 0.0, 1 / 8)
    module.b.weight.data *= times
    report = audit(module, torch.randn(128, 64), torch.arange(128) % 4, F.cross_entropy)
    assert report.ok == (times == 1)
    if times > 1:
        assert report.findings[0].verdict == "saturated"
        assert "b.weight" in report.findings[0].changes


def test_waves_that_a_gradient_is_taken_of_keep_their_frequencies() -> None:
    """As of a SIREN that learns by its gradients: the first kernel is used once more, turned."""

    def run(m: Any, x: Tensor) -> Tensor:
        with torch.enable_grad():
            x = x.detach().requires_grad_(True)
            made = m.c(torch.sin(30 * m.b(torch.sin(30 * m.a(x)))))
            return torch.autograd.grad(made.sum(), x, create_graph=True)[0]

    module = Made(run, a=nn.Linear(2, 64), b=nn.Linear(64, 64), c=nn.Linear(64, 1))
    nn.init.uniform_(module.a.weight, -0.5, 0.5)
    for layer in (module.b, module.c):
        nn.init.uniform_(layer.weight, -math.sqrt(6 / 64) / 30, math.sqrt(6 / 64) / 30)
    before = module.a.weight.detach().clone()
    said = reinitialize(module, x=torch.rand(64, 2) * 2 - 1, rng=0)
    assert said["a.weight"] == "left: the frequencies of waves"
    assert torch.equal(module.a.weight, before) and "left" not in said["b.weight"]


def test_branches_of_a_graph_that_start_near_0_stay_so() -> None:
    """As an EGNN's coordinates, moved by differences times small numbers, summed at each node."""

    def run(m: Any, h: Tensor, x: Tensor) -> Tensor:
        rows, columns = torch.where(~torch.eye(len(h), dtype=torch.bool))
        for lift, size in zip(m.lifts, m.sizes, strict=True):
            apart = x[rows] - x[columns]
            far = apart.square().sum(1, keepdim=True)
            told = F.silu(lift(torch.cat([h[rows], h[columns], far], 1)))
            x = x + torch.zeros_like(x).index_add_(0, rows, apart * size(told)) / len(h)
            h = h + torch.zeros(len(h), 32).index_add_(0, rows, told)[:, :8] / len(h)
        return x

    lifts = nn.ModuleList(nn.Linear(17, 32) for _ in range(3))
    sizes = nn.ModuleList(nn.Linear(32, 1, bias=False) for _ in range(3))
    for size in sizes:
        nn.init.xavier_uniform_(size.weight, gain=0.001)
    module, x = Made(run, lifts=lifts, sizes=sizes), (torch.randn(24, 8), torch.randn(24, 3))
    said = reinitialize(module, x=x, rng=0)
    assert {said[f"sizes.{k}.weight"] for k in range(3)} == {"left: its branch starts near 0"}
    assert "left" not in said["lifts.0.weight"] and audit(module, x).ok


def test_gates_in_one_call_saturate_as_those_by_hand() -> None:
    for gate in (F.glu, lambda z: z[:, :64] * z[:, 64:].sigmoid()):
        module = Made(lambda m, x, gate=gate: m.b(gate(m.a(x))), a=nn.Linear(12, 128),
                      b=nn.Linear(64, 4))  # fmt: skip
        assert audit(module, X, Y, F.cross_entropy).ok
        module.a.weight.data *= 1000
        assert audit(module, X, Y, F.cross_entropy).findings[0].verdict == "saturated"


@pytest.mark.parametrize("head", ["none", "unread", "detached"])
def test_a_head_that_nothing_comes_back_to_hides_no_symmetry(head: str) -> None:
    def run(m: Any, x: Tensor) -> Any:
        h = torch.tanh(m.b(torch.tanh(m.a(x))))
        m.other = m.c(h) if head == "unread" else m.c(h).detach() if head == "detached" else None
        return m.o(h)

    torch.manual_seed(0)
    module = Made(run, a=nn.Linear(12, 32), b=nn.Linear(32, 32), c=nn.Linear(32, 1),
                  o=nn.Linear(32, 4))  # fmt: skip
    with torch.no_grad():  # units of the first layer are copies, and so are all their readers
        module.a.weight.copy_(module.a.weight[:1].clone().expand(32, 12))
        module.a.bias.zero_()
        module.b.weight.copy_(module.b.weight[:, :1].clone().expand(32, 32))
    finding = audit(module, X, Y, F.cross_entropy).findings[0]
    assert (finding.verdict, finding.names) == ("symmetric", ("a.weight",))


def test_an_output_that_only_its_gradient_uses_is_told_apart() -> None:
    """Of two potentials one is differentiated: the last kernel of zeros has rows that part."""

    def run(m: Any, x: Tensor) -> Tensor:
        with torch.enable_grad():
            x = x.detach().requires_grad_(True)
            other = m.c(torch.tanh(m.b(torch.tanh(m.a(x)))))[:, 1]
            return torch.autograd.grad(other.sum(), x, create_graph=True)[0]

    module = Made(run, a=nn.Linear(2, 64), b=nn.Linear(64, 64), c=nn.Linear(64, 2, bias=False))
    x = torch.randn(40, 2)
    for layer in (module.a, module.b):
        nn.init.orthogonal_(layer.weight)
    nn.init.zeros_(module.c.weight)
    assert audit(module, x, x.flip(1), nn.MSELoss()).ok


class Quantized(nn.Module):
    """A small autoencoder through the nearest of 32 codes; its own losses are an output."""

    def __init__(self) -> None:
        super().__init__()
        self.rises = nn.Sequential(nn.Linear(12, 64), nn.ReLU(), nn.Linear(64, 8))
        self.falls = nn.Sequential(nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 12))
        self.codes = nn.Embedding(32, 8)
        nn.init.uniform_(self.codes.weight, -1 / 32, 1 / 32)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        z = self.rises(x)
        near = self.codes(torch.cdist(z, self.codes.weight).argmin(1))
        own = F.mse_loss(near, z.detach()) + F.mse_loss(near.detach(), z) / 4
        return self.falls(z + (near - z).detach()), own


def test_what_a_loss_of_the_models_own_moves_is_no_explosion() -> None:
    """The encoder learns by how far its codes are, and the decoder's last kernel starts small."""
    torch.manual_seed(0)
    module, x = Quantized(), torch.randn(64, 12)
    loss = lambda made, y: F.mse_loss(made[0], y) + made[1]  # noqa: E731
    assert audit(module, x, x, loss).ok
    reinitialize(module, x=x, rng=0)
    assert audit(module, x, x, loss).ok


@pytest.mark.parametrize("temperature", [0.07, 1.0, 1000.0])
def test_towers_at_far_too_high_a_temperature_are_found(temperature: float) -> None:
    """Directions are compared, so no kernel's scale tells it; at 1,000 Adam stands still."""

    def run(m: Any, a: Tensor, b: Tensor) -> Tensor:
        return m.scale.exp() * F.normalize(m.one(a), dim=1) @ F.normalize(m.other(b), dim=1).T

    torch.manual_seed(0)
    one, other = (nn.Sequential(nn.Linear(n, 32), nn.ReLU(), nn.Linear(32, 16)) for n in (12, 20))
    scale = nn.Parameter(torch.tensor(-math.log(temperature)))
    a = torch.randn(32, 12)
    x, y = (a, torch.cat([a, torch.randn(32, 8)], 1)), torch.arange(32)
    module = Made(run, one=one, other=other, scale=scale)
    report = audit(module, x, y, F.cross_entropy)
    assert report.ok == (temperature < 10)
    if not report.ok:
        finding = report.findings[0]
        assert (finding.verdict, finding.cure) == ("shrinking", "set scale to 1")
    for optimizer in (torch.optim.SGD(module.parameters(), 0.1),
                      torch.optim.Adam(module.parameters(), 1e-2)):  # fmt: skip
        for _ in range(150):
            loss = F.cross_entropy(module(*x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        if not report.ok:  # each stands still, the one after the other
            assert float(loss.detach()) > 0.98 * math.log(32)
    assert not report.ok or float(loss.detach()) < 0.5


def test_overlaps_of_rare_pixels_are_no_outputs_near_0() -> None:
    """Their loss hardly moves at first, and yet it learns: the outputs are of an ordinary size."""

    def overlap(z: Tensor, y: Tensor) -> Tensor:
        share, places = z.sigmoid(), (1, 2, 3)
        both, all_ = (share * y).sum(places), (share + y).sum(places)
        return 1 - ((2 * both + 1) / (all_ + 1)).mean()

    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 32, 3, padding=1), nn.ReLU(), nn.Conv2d(32, 32, 3, padding=1), nn.ReLU()]
    x, y = torch.randn(8, 3, 32, 32), torch.zeros(8, 1, 32, 32)
    y[:, :, 7, 9] = 1
    last = nn.Conv2d(32, 1, 1)
    for layer in (layers[0], layers[2], last):
        nn.init.kaiming_normal_(layer.weight)
        nn.init.zeros_(layer.bias)
    last.weight.data *= 0.1
    assert audit(nn.Sequential(*layers, last), x + y, y, overlap).ok


@pytest.mark.parametrize(
    "made_of",
    [
        lambda w: (w / (w.detach().abs().max() / 7)).round() * w.detach().abs().max() / 7,
        lambda w: w.sign() * w.abs().mean().detach(),
        lambda w: (w / (w.abs().max() / 7)).round() * w.abs().max() / 7,
        lambda w: w.sign() * w.abs().mean(1, keepdim=True),
        lambda w: (w / (w.abs().max() / 7) + 0.5).floor() * w.abs().max() / 7,
        lambda w: w.sign() * w.std(),
        lambda w: (w / (w.norm() / 40)).round() * w.norm() / 40,
        lambda w: (w - w.mean()).sign() * (w - w.mean()).abs().mean(),
        lambda w: (w / (w.abs().max() / 7)).to(torch.int8).float() * w.abs().max() / 7,
        lambda w: torch.where(w > 0, 0.1, -0.1),
    ],
)
def test_weights_that_are_rounded_by_their_own_size_are_dead(made_of: Any) -> None:
    """Also where the size lets a gradient back: to the largest weight, to all alike, by its own."""

    class Rounded(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            return F.linear(x, made_of(self.weight), self.bias)

    module = nn.Sequential(Rounded(12, 32), nn.ReLU(), nn.Linear(32, 4))
    finding = audit(module, X, Y, F.cross_entropy).findings[0]
    assert (finding.verdict, finding.names) == ("dead", ("0.weight",))
    assert "straight through" in finding.cure
    rounds, made_of = made_of, lambda w: w + (rounds(w) - w).detach()
    nn.init.kaiming_normal_(module[0].weight)
    assert audit(module, X, Y, F.cross_entropy).ok


@pytest.mark.parametrize("given", ["complex", "cast"])
def test_complex_layers_that_read_the_data_shrink_as_real_ones(given: str) -> None:
    def run(m: Any, x: Tensor) -> Tensor:
        h = x.to(torch.cfloat) if given == "cast" else x
        for layer in m.layers:
            h = layer(h)
            h = torch.complex(h.real.relu(), h.imag.relu())
        return m.head(torch.view_as_real(h).flatten(1))

    torch.manual_seed(0)
    layers = nn.ModuleList(nn.Linear(12, 12, dtype=torch.cfloat) for _ in range(4))
    module = Made(run, layers=layers, head=nn.Linear(24, 4))
    x = torch.randn(64, 12, dtype=torch.float if given == "cast" else torch.cfloat)
    with torch.no_grad():
        for layer in layers:
            layer.weight.normal_(0, (2 / 12) ** 0.5)
            layer.bias.zero_()
        layers[2].bias += 0.01
    asked = x, torch.arange(64) % 4, F.cross_entropy
    assert audit(module, *asked).ok
    with torch.no_grad():
        layers[2].bias.zero_()
        for layer in list(layers)[1:]:
            layer.weight.mul_(1e-2)
    assert audit(module, *asked).findings[0].verdict == "shrinking"
    with torch.no_grad():
        layers[1].bias -= 100 + 100j
    assert "layers.1.bias.real" in str(audit(module, *asked).findings[0].changes)
    said = reinitialize(module, x=x, rng=0)
    assert said["layers.1.bias.real"] == said["layers.1.bias.imag"] == "zeros"
    assert audit(module, *asked).ok


def test_both_halves_of_complex_zeros_are_drawn() -> None:
    run = lambda m, x: m.o(m.l(m.e(x).to(torch.cfloat)).abs())  # noqa: E731
    module = Made(run, e=nn.Linear(12, 32), l=nn.Linear(32, 32, dtype=torch.cfloat),
                  o=nn.Linear(32, 4))  # fmt: skip
    for gone in (module.l.weight.data, module.l.weight.data.imag):
        gone.zero_()
        with torch.no_grad():  # where views of it need no gradient
            reinitialize(module, x=X, rng=0)
        for half in (module.l.weight.real, module.l.weight.imag):
            assert float(half.detach().std()) == pytest.approx(1 / 8, rel=0.1)


def test_numbers_taken_out_go_through_pythons_own_functions() -> None:
    """Such as a mean, which makes a new number of the kind that it is given."""

    def run(m: Any, x: Tensor) -> Tensor:
        h = F.relu(m.a(x))
        return m.o(h / statistics.mean([h.std().item(), 1.0]))

    assert audit(Made(run, a=nn.Linear(12, 32), o=nn.Linear(32, 4)), X, Y, F.cross_entropy).ok


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_compiled_functions_take_other_steps_than_before() -> None:
    """By a number that the data give; the interpreter says that run in words of its own."""
    scaled = torch.jit.script(divided)

    def run(m: Any, x: Tensor) -> Tensor:
        h = F.relu(m.a(x))
        return m.o(F.relu(m.b(scaled(h, h.std().item()))))

    module = Made(run, a=nn.Linear(12, 32), b=nn.Linear(32, 32), o=nn.Linear(32, 4))
    module.b.weight.data *= 1e-3
    finding = audit(module, X, Y, F.cross_entropy).findings[0]
    assert finding.verdict in ("shrinking", "collapsed") and "b.weight" in finding.changes


def divided(h: Tensor, c: float) -> Tensor:
    return h / c


@pytest.mark.parametrize("fault", ["", "zeros", "far"])
def test_an_expert_in_one_array_that_reads_nothing_is_not_dead(fault: str) -> None:
    """Marks of the chosen ones multiply what all read: two of eight read zeros."""

    def forward(m: Any, x: Tensor) -> Any:
        h = F.relu(m.enters(x))
        shares = (m.router(h) + shut).softmax(-1)
        marks = F.one_hot(shares.argmax(-1), 8).to(h.dtype)
        rows = torch.einsum("be,bd->ebd", marks, h)
        made = torch.einsum("ebd,edh->ebh", rows, m.rises).relu()
        made = torch.einsum("ebh,ehd->ebd", made, m.falls)
        return m.leaves(h + torch.einsum("ebd,be->bd", made, shares * marks))

    torch.manual_seed(0)
    shut = torch.tensor([0.0, -100, 0, 0, -100, 0, 0, 0])
    rises, falls = (nn.Parameter(torch.randn(8, *size) / 4) for size in ((32, 64), (64, 32)))
    module = Made(forward, enters=nn.Linear(64, 32), router=nn.Linear(32, 8), rises=rises,
                  falls=falls, leaves=nn.Linear(32, 4))  # fmt: skip
    x, y = torch.randn(256, 64), torch.arange(256) % 4
    expert = int(module.router(F.relu(module.enters(x))).add(shut).argmax(-1).mode()[0])
    for kernel in (rises, falls) if fault else ():
        kernel.data[expert] *= 0 if fault == "zeros" else 100
    report = audit(module, x, y, F.cross_entropy)
    assert report.ok != bool(fault)
    if fault == "zeros":
        assert report.findings[0].verdict == "dead" and "a part of rises" in str(report)
    elif fault:
        assert report.findings[0].verdict == "exploding"


def test_a_kernel_that_only_another_way_uses_is_left() -> None:
    """The way is chosen by numbers, and the new ones lead to the other."""

    def forward(m: Any, x: Tensor) -> Any:
        h = F.relu(m.a(x))
        return m.o(F.relu(m.b(h) if m.b.weight.detach().std() > 1 else m.c(h)))

    torch.manual_seed(0)
    layers = {name: nn.Linear(32, 32) for name in "bc"}
    module = Made(forward, a=nn.Linear(64, 32), o=nn.Linear(32, 4), **layers)
    for layer in layers.values():
        layer.weight.data *= 100
    before = module.c.weight.detach().clone()
    said = reinitialize(module, x=WIDE, rng=0)
    assert said["b.weight"] == "he_normal" and said["c.weight"] == "left: no site uses it"
    assert torch.equal(module.c.weight, before)


def test_what_a_loss_keeps_stays() -> None:
    """As a center that moves with the outputs; a second audit finds what the first one found."""

    class Centered(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("center", torch.zeros(4))
            self.calls: list[int] = []

        def forward(self, z: Tensor, y: Tensor) -> Tensor:
            self.center.mul_(0.5).add_(z.detach().mean(0))
            self.calls.append(1)
            return F.cross_entropy(z - self.center, y)

    module, loss = mlp(), Centered()
    reports = [audit(module, X, Y, loss) for _ in range(2)]
    assert str(reports[0]) == str(reports[1])
    assert not loss.center.any() and not loss.calls


@pytest.mark.parametrize("how", ["compared", "gathered", "indexed"])
@pytest.mark.parametrize("broken", [False, True])
def test_an_expert_that_no_example_chooses_is_not_dead(broken: bool, how: str) -> None:
    """All run, and the one with the largest share is left, or picked; a dead one is found."""

    def forward(m: Any, x: Tensor) -> Any:
        h = m.enters(x)
        share, chosen = m.router(h).softmax(-1).max(-1)
        if how == "compared":
            parts = ((share * (chosen == k))[:, None] * one(h) for k, one in enumerate(m.experts))
            return m.leaves(h + sum(parts))
        rows = torch.stack([one(h) for one in m.experts], 1)
        if how == "gathered":
            made = rows.gather(1, chosen[:, None, None].expand(-1, -1, 32))[:, 0]
        else:
            made = rows[torch.arange(len(x)), chosen]
        return m.leaves(h + share[:, None] * made)

    torch.manual_seed(0)
    experts = nn.ModuleList(nn.Sequential(nn.Linear(32, 64), nn.ReLU(), nn.Linear(64, 32))
                            for _ in range(4))  # fmt: skip
    module = Made(forward, enters=nn.Linear(64, 32), router=nn.Linear(32, 4), experts=experts,
                  leaves=nn.Linear(32, 4))  # fmt: skip
    module.router.bias.data[:2] = torch.tensor([-20.0, 20.0])  # one is never chosen, one always
    if broken:
        nn.init.constant_(experts[1][0].bias, -20.0)
    report = audit(module, WIDE, torch.arange(32) % 4, F.cross_entropy)
    alone = "experts.0.0.weight, experts.0.2.weight, experts.2.0.weight and 3 more"
    assert f"{alone}: no gradient comes back: these examples choose others." in report.notes
    dead = [finding.names for finding in report.findings if finding.verdict == "dead"]
    assert dead == ([("experts.1.0.weight", "experts.1.2.weight")] if broken else [])


def test_small_rows_that_nothing_normalizes_are_named() -> None:
    """They may be as small as they are, but an LSTM behind rows of 1e-4 sees none of them."""
    module = Made(lambda m, i: m.head(m.cell(m.rows(i))[0][:, -1]), rows=nn.Embedding(30, 64),
                  cell=nn.LSTM(64, 64, batch_first=True), head=nn.Linear(64, 5))  # fmt: skip
    nn.init.normal_(module.rows.weight, std=1e-4)
    asked = torch.randint(0, 30, (64, 12)), torch.arange(64) % 5, F.cross_entropy
    (finding,) = audit(module, *asked).findings
    assert finding.changes == ("rows.weight",)
    nn.init.normal_(module.rows.weight)
    assert audit(module, *asked).ok


def test_scales_near_0_are_set_to_1_where_all_look_alike() -> None:
    parts = [part for _ in range(4) for part in (nn.Linear(32, 32), nn.LayerNorm(32), nn.ReLU())]
    model = nn.Sequential(*parts, nn.Linear(32, 4))
    scales = [f"{k}.weight" for k in (1, 4, 7, 10)]
    for name in scales:
        nn.init.constant_(model.get_parameter(name), 0.01)
    report = audit(model, torch.randn(64, 32), torch.arange(64) % 4, F.cross_entropy)
    assert report.findings[0].verdict == "collapsed"
    assert report.findings[0].changes == tuple(scales) and "force=True" in report.findings[0].cure


@pytest.mark.parametrize("how", ["shares", "of the best", "scores", "masked"])
def test_experts_whose_shares_are_put_by_the_data_may_be_chosen_by_none(how: str) -> None:
    class Experts(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.gate, self.head = nn.Linear(16, 32), nn.Linear(32, 4), nn.Linear(32, 5)
            self.up = nn.Parameter(torch.randn(4, 32, 64) / 4)
            self.down = nn.Parameter(torch.randn(4, 64, 32) / 8)

        def forward(self, x: Tensor) -> Tensor:
            h = self.first(x).relu()
            scores = self.gate(h) - torch.tensor([9.0, 0, 0, 0])
            best, which = (scores if how != "shares" else scores.softmax(-1)).topk(2)
            if how in ("shares", "of the best"):  # the softmax before or after
                best = best if how == "shares" else best.softmax(-1)
                shares = torch.zeros(len(x), 4).scatter(1, which, best)
            elif how == "scores":
                shares = torch.full((len(x), 4), -torch.inf).scatter(1, which, best).softmax(-1)
            else:
                shares = scores.masked_fill(scores < best[:, 1:], -torch.inf).softmax(-1)
            made = torch.einsum("bi,eio->beo", h, self.up).relu()
            made = torch.einsum("bei,eio->beo", made, self.down)
            return self.head(h + torch.einsum("be,beo->bo", shares, made))

    report = audit(Experts(), torch.randn(64, 16), torch.arange(64) % 5, F.cross_entropy)
    assert report.ok


@pytest.mark.parametrize("fault", ["", "dead", "constant"])
def test_experts_in_one_array_are_judged_one_by_one(fault: str) -> None:
    def forward(m: Any, x: Tensor) -> Any:
        h = m.enters(x)
        up = (torch.einsum("bi,eio->beo", h, m.up) + m.bias).relu()
        made = torch.einsum("bei,eio->beo", up, m.down)
        return m.leaves(h + torch.einsum("be,beo->bo", m.router(h).softmax(-1), made))

    torch.manual_seed(0)
    parts = {"up": torch.randn(4, 32, 64) / 4, "down": torch.randn(4, 64, 32) / 8}
    parts["bias"] = torch.zeros(4, 64)
    if fault == "dead":
        parts["bias"][1] = -20.0
    elif fault:
        parts["up"][1], parts["down"][1] = 0.1, 0.05
    module = Made(forward, enters=nn.Linear(64, 32), router=nn.Linear(32, 4),
                  leaves=nn.Linear(32, 4),
                  **{name: nn.Parameter(part) for name, part in parts.items()})  # fmt: skip
    report = audit(module, WIDE, torch.arange(32) % 4, F.cross_entropy)
    verdicts = [finding.verdict for finding in report.findings]
    assert verdicts == {"": [], "dead": ["dead"], "constant": ["symmetric"]}[fault]


@pytest.mark.parametrize("way", ["loop", "picked"])
@pytest.mark.parametrize("fault", ["", "dead", "zeros"])
def test_members_of_one_array_that_are_used_one_by_one(way: str, fault: str) -> None:
    """A dead one is found in a loop; of what the data pick groups are examples, and no members."""

    def forward(m: Any, x: Tensor) -> Any:
        if way == "loop":
            return sum(F.relu(x @ m.up[k] + m.bias[k]) @ m.down[k] for k in range(4)) / 4
        which = (x[:, 0] > 0).long()
        h = F.gelu(torch.einsum("bi,bio->bo", x, m.up[which]))
        return torch.einsum("bi,bio->bo", h, m.down[which])

    torch.manual_seed(0)
    up, down = torch.randn(4, 64, 32) / 6, torch.randn(4, 32, 4) / 6
    bias = torch.zeros(4, 32)
    if fault == "dead":
        bias[1] = -50.0
    elif fault:
        down[1] = 0.0  # opens at the first step
    parts = {"up": up, "down": down, "bias": bias}
    module = Made(forward, **{name: nn.Parameter(part) for name, part in parts.items()})
    report = audit(module, WIDE, torch.arange(32) % 4, F.cross_entropy)
    assert report.ok == (fault != "dead" or way == "picked")
    if not report.ok:
        assert report.findings[0].names == ("up (call 2)", "down (call 2)")
        assert report.findings[0].changes == ("bias",)


def test_a_memory_of_zeros_whose_keys_are_its_values_is_symmetric() -> None:
    def forward(m: Any, x: Tensor) -> Any:
        h = m.first(x)
        return m.head(h + (h @ m.rows.T).softmax(-1) @ m.rows)

    module = Made(forward, first=nn.Linear(12, 32), head=nn.Linear(32, 4),
                  rows=nn.Parameter(torch.zeros(6, 32)))  # fmt: skip
    assert audit(module, X, Y, F.cross_entropy).findings[0].verdict == "symmetric"
    reinitialize(module, x=X, rng=0)
    assert audit(module, X, Y, F.cross_entropy).ok


def test_data_times_a_truth_value_are_data() -> None:
    module = Made(lambda m, x: m.b(F.relu(m.a(x * m.training))), a=nn.Linear(12, 24),
                  b=nn.Linear(24, 4))  # fmt: skip
    assert audit(module, X, Y, F.cross_entropy).ok


def own_attention(scaled: str, heads: int) -> nn.Module:
    """In which the products are divided by the root of a head's width, or are not."""

    def forward(m: Any, x: Tensor) -> Tensor:
        z = m.norm(x)
        z = z / 64**0.25 if scaled == "in front" else z
        parts = (layer(z).unflatten(-1, (heads, -1)).transpose(1, 2) for layer in (m.q, m.k, m.v))
        q, k, v = parts
        root = q.shape[-1] ** 0.5
        if scaled == "turned":  # by positions, as RoPE does
            angle = torch.arange(x.shape[1])[:, None] * torch.linspace(0.1, 1, q.shape[-1])
            q, k = (t * angle.cos() + t.flip(-1) * angle.sin() for t in (q / root, k))
        if scaled == "fused":
            made = F.scaled_dot_product_attention(q, k, v)
        else:
            q, k = (m.other(q), m.other(k)) if scaled == "normalized" else (q, k)
            k = F.normalize(k, dim=-1) if scaled == "one side" else k
            if scaled == "summed":  # and a term for positions, as in Transformer-XL
                scores = (
                    q @ k.mT + q @ m.r(z).unflatten(-1, (heads, -1)).transpose(1, 2).mT
                ) / root
            elif scaled == "at once":
                sides, zeros = (t.flatten(0, 1) for t in (q, k.mT)), torch.zeros(1, 1, 1)
                scores = torch.baddbmm(zeros, *sides, alpha=1 / root).unflatten(0, (-1, heads))
            else:
                scores = (q / root if scaled == "before" else q) @ k.mT
            if scaled == "by norms":  # cosines
                scores = scores / (q.norm(dim=-1, keepdim=True) * k.norm(dim=-1, keepdim=True).mT)
            shares = (scores / root if scaled in ("after", "read twice") else scores).softmax(-1)
            made = (shares / 8 if scaled == "shares" else shares) @ v
            if scaled.startswith("divided last"):
                scores = scores / root if scaled.endswith("scaled") else scores
                weights = (scores - scores.amax(-1, keepdim=True).detach()).exp()
                made = (weights @ v) / weights.sum(-1, keepdim=True)
        ends = m.head((x + m.o(made.transpose(1, 2).flatten(2))).mean(1))
        return (ends, (8 * scores).mean((1, 2, 3))) if scaled == "read twice" else ends

    layers = {name: nn.Linear(64, 64) for name in "qkvor"}
    norms = {"norm": nn.LayerNorm(64), "other": nn.LayerNorm(64 // heads)}
    return Made(forward, head=nn.Linear(64, 5), **layers, **norms)


@pytest.mark.parametrize(
    ("scaled", "heads", "scale"),
    [("no", 1, 1 / 8), ("no", 4, 1 / 4), ("before", 4, 1), ("after", 1, 1), ("at once", 4, 1),
     ("fused", 4, 1), ("fused", 1, 1), ("turned", 4, 1), ("normalized", 1, 1), ("summed", 4, 1),
     ("one side", 4, 1), ("by norms", 4, 1), ("read twice", 1, 1), ("shares", 1, 1 / 8),
     ("divided last", 1, 1 / 8), ("divided last, scaled", 1, 1)],
)  # fmt: skip
def test_queries_and_keys_make_up_for_a_missing_root(scaled: str, heads: int, scale: float) -> None:
    """Their variances by the root of a head's width, and their products by the width."""
    module, x = own_attention(scaled, heads), torch.randn(16, 10, 64)
    said = reinitialize(module, x=x, rng=0)
    wanted = "lecun_normal" if scale == 1 else f"variance_scaling, scale={scale}"
    assert said["q.weight"] == said["k.weight"] == wanted
    assert said["v.weight"] == "lecun_normal" and audit(module, x).ok


@pytest.mark.parametrize("last", [False, True])
def test_rows_that_see_one_entry_alone_are_no_peaks(last: bool) -> None:
    """Under a window, wherever the softmax divides."""

    def forward(m: Any, x: Tensor) -> Tensor:
        scores = (m.q(x) @ m.k(x).mT / 4).masked_fill(~window, -torch.inf)
        weights = (scores - scores.amax(-1, keepdim=True).detach()).exp()
        made = (weights @ m.v(x)) / weights.sum(-1, keepdim=True)
        return m.head((x + (made if last else scores.softmax(-1) @ m.v(x))).mean(1))

    window = torch.eye(4, dtype=torch.bool)
    window[-1] = True
    layers = {name: nn.Linear(16, 16) for name in "qkv"}
    module = Made(forward, head=nn.Linear(16, 4), **layers)
    assert audit(module, torch.randn(64, 4, 16)).ok


def test_queries_that_are_read_as_they_are_too_leave_the_root_to_the_keys() -> None:
    def forward(m: Any, x: Tensor) -> Tensor:
        q, k = m.q(x), m.k(x)
        return m.head((q + (q @ k.mT).softmax(-1) @ m.v(x)).mean(1))

    layers = {name: nn.Linear(64, 64) for name in "qkv"}
    module = Made(forward, head=nn.Linear(64, 5), **layers)
    said = reinitialize(module, x=torch.randn(16, 10, 64), rng=0)
    assert said["q.weight"] == "lecun_normal"
    assert said["k.weight"] == "variance_scaling, scale=0.01562"  # 1 / 64


@pytest.mark.parametrize(("kind", "told"), [("uneven", True), ("even", False), ("marks", False),
                                            ("normalized", False)])  # fmt: skip
def test_a_column_that_hides_the_others_is_noted(kind: str, told: bool) -> None:
    """SGD then fits that one alone: it leaves 1.5 of what it brings to 0.02 on even columns."""
    x = torch.randn(256, 12)
    if kind in ("uneven", "normalized"):
        x = x * torch.tensor([5.0] + [0.05] * 11)
    if kind == "marks":  # of rare classes: each is as rare as the others
        x = (torch.rand(256, 12) < 0.05).float()
    first = nn.BatchNorm1d(12) if kind == "normalized" else nn.Identity()
    module = nn.Sequential(first, nn.Linear(12, 64), nn.ReLU(), nn.Linear(64, 1))
    report = audit(module, x, x.sum(1, keepdim=True), F.mse_loss)
    said = any("Column 0 of x has more than 95%" in note for note in report.notes)
    assert report.ok and said == told


def test_what_is_joined_with_marks_of_the_data_is_chosen_by_none() -> None:
    def forward(m: Any, x: Tensor) -> Tensor:
        marks = (torch.arange(len(x)) % 2)[:, None].float()
        h = torch.cat([torch.zeros(len(x), 1), m.a(x).relu(), marks], 1)
        return m.b(h * (1 + x[:, :1].square()))

    module = Made(forward, a=nn.Linear(12, 24), b=nn.Linear(26, 4))
    nn.init.constant_(module.a.bias, -50.0)
    finding = audit(module, X, Y, F.cross_entropy).findings[0]
    assert finding.verdict == "dead" and finding.names == ("a.weight",)


def test_adam_makes_up_for_small_kernels_and_sgd_at_a_usual_rate_does_not() -> None:
    """Of a transformer without normalization, as the page of verdicts has it."""

    def forward(m: Any, i: Tensor) -> Tensor:
        x = m.rows(i)
        shares = (m.q(x) @ m.k(x).mT / 8).softmax(-1)
        return m.head((x + m.o(shares @ m.v(x))).mean(1))

    def trained(optimizer: Any, rate: float) -> float:
        torch.manual_seed(0)
        parts = {n: nn.Linear(64, 64, bias=False) for n in "qkvo"}
        module = Made(forward, rows=nn.Embedding(20, 64), **parts,
                      head=nn.Linear(64, 20, bias=False))  # fmt: skip
        for p in module.parameters():
            nn.init.normal_(p, std=0.02)
        finding = audit(module, tokens, marks, F.cross_entropy).findings[0]
        assert finding.verdict == "shrinking" and finding.changes == ("rows.weight",)
        step = optimizer(module.parameters(), rate)
        for _ in range(100):
            step.zero_grad()
            loss = F.cross_entropy(module(tokens), marks)
            loss.backward()
            step.step()
        return float(loss.detach())

    tokens, marks = torch.randint(0, 20, (64, 12)), torch.arange(64) % 20
    assert (
        trained(torch.optim.Adam, 0.01) < 0.5 < 0.9 * math.log(20) < trained(torch.optim.SGD, 0.1)
    )


@pytest.mark.parametrize("kind", ["plain", "plus one", "a number"])
def test_a_scale_of_a_norm_by_hand_that_is_far_off_is_named(kind: str) -> None:
    """But not those that are added to 1, nor a single one, which is a temperature."""

    def forward(m: Any, x: Tensor) -> Any:
        h = m.first(x).relu()
        h = h * torch.rsqrt(h.square().mean(-1, keepdim=True) + 1e-5)
        return m.head(h * (1 + m.scale if kind == "plus one" else m.scale))

    scale = nn.Parameter(torch.full((1,) if kind == "a number" else (32,), 40.0))
    module = Made(forward, first=nn.Linear(12, 32), head=nn.Linear(32, 4), scale=scale)
    finding = audit(module, X, Y, F.cross_entropy).findings[0]
    assert ("(ones)" in finding.cure) == (kind == "plain")
    said = reinitialize(module, x=X, rng=0)
    assert said["scale"].startswith("left") and (scale == 40).all()  # the new head is small
