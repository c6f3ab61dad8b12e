"""What `winit` does not read of PyTorch: each in a sentence with the bad value."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import pytorch

pytorch.needed()

import torch  # noqa: E402
from torch import nn  # noqa: E402

import winit  # noqa: E402
import winit.torch  # noqa: E402

X, Y = torch.ones(8, 4), torch.zeros(8, dtype=torch.int64)


class Graph(nn.Module):
    """Takes two arguments."""

    def __init__(self) -> None:
        super().__init__()
        self.each = nn.Linear(4, 3)

    def forward(self, x: Any, A: Any) -> Any:
        return A @ self.each(x)


def net() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))


def on_meta() -> nn.Module:
    with torch.device("meta"):
        return nn.Linear(4, 3)


def lazy() -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return nn.Sequential(nn.LazyLinear(3))


@pytest.mark.parametrize(
    ("loss", "words"),
    [
        (nn.CrossEntropyLoss, r"such as CrossEntropyLoss\(\), got the class CrossEntropyLoss"),
        ("cross_entropy", r"such as torch.nn.CrossEntropyLoss\(\), got 'cross_entropy'"),
        (3, r"loss must be a function of \(outputs, y\), .*, got 3"),
    ],
)
def test_a_loss_is_something_to_call_with_outputs_and_targets(loss: Any, words: str) -> None:
    with pytest.raises(TypeError, match=words):
        winit.audit(net(), X, Y, loss)


@pytest.mark.parametrize(
    ("module", "x", "words"),
    [
        (Graph, [X, torch.ones(8, 8)], r"forward\(x, A\), missing .* 'A'.*got a list"),
        (Graph, X, "missing .*: a tuple is several arguments, a dict keywords, got a Tensor"),
        (Graph, {"x": X, "B": X}, "missing .* 'A'.*got a dict"),
        (net, (X, X), "too many positional arguments: .*got a tuple"),
        (net, X.to("meta"), "x must hold values, got a tensor on the meta device"),
        (on_meta, X, "weight of Linear is on the meta device and has no values yet"),
        (lazy, X, "is lazy, and 0.weight has no shape yet: call it once on data"),
    ],
)
def test_what_does_not_fit_or_has_no_values(module: Any, x: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        winit.audit(module(), x)
    with pytest.raises(ValueError, match=words):
        winit.reinitialize(module(), x=x)


def test_several_arguments_are_a_tuple_or_keywords() -> None:
    both = X, torch.eye(8)
    by_place, by_name = (
        winit.audit(Graph(), x, cures=False) for x in (both, dict(zip("xA", both, strict=True)))
    )
    assert by_place.judged and by_name.judged


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("make", [torch.jit.script, lambda m: torch.jit.trace(m, X)])
def test_scripts_show_no_operations(make: Any) -> None:
    for function in (winit.audit, winit.reinitialize):
        with pytest.raises(TypeError, match=r"before torch.jit, .* got a (Rec|TopLevelTr)"):
            function(make(net()), x=X)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_quantized_parts_are_named() -> None:
    module = torch.ao.quantization.quantize_dynamic(net(), {nn.Linear}, dtype=torch.qint8)
    report = winit.audit(module, X)
    assert not report.ok and "0, 2: quantized, neither judged nor drawn." in report.notes


def test_a_mold_without_values_may_stand_outside_of_the_module() -> None:
    class Called(nn.Linear):
        def forward(self, x: torch.Tensor) -> Any:
            return torch.func.functional_call(self.molds[0], dict(self.named_parameters()), (x,))

    module = Called(4, 3)
    module.molds = [on_meta()]
    assert winit.audit(module, torch.randn(8, 4)).ok


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of PyTorch's own, when first used
def test_forward_derivatives_are_refused_in_a_sentence() -> None:
    class Tangent(nn.Linear):
        def forward(self, x: torch.Tensor) -> Any:
            return torch.func.jvp(super().forward, (x,), (torch.ones_like(x),))[1]

    for function in (winit.audit, winit.reinitialize):
        with pytest.raises(ValueError, match=r"forward \(torch.func.jvp, .* are not read"):
            function(Tangent(12, 4), x=torch.randn(8, 12))


def test_draws_without_a_seed_are_others_whatever_the_frameworks_seed_is() -> None:
    drawn = []
    for _ in range(2):
        torch.manual_seed(0)
        module = net()
        winit.reinitialize(module, x=X)
        drawn.append(module[0].weight.detach().clone())
    assert not torch.equal(*drawn)
    assert all(
        "rng=None" in (f.__doc__ or "") for f in (winit.reinitialize, winit.torch.reinitialize)
    )


@pytest.mark.parametrize("f", [lambda o, y: o.detach().sum(), lambda o, y: torch.ones(())])
def test_a_loss_sends_a_gradient_back_to_the_outputs(f: Any) -> None:
    words = r"depend on the outputs and send a gradient back to them: .* constant, or detaches them"
    with pytest.raises(ValueError, match=words):
        winit.audit(net(), X, Y, f)


def test_outputs_that_a_loss_does_not_take_are_no_misfit_of_y() -> None:
    """A std of exp(-500) is 0, and a distribution of PyTorch refuses it."""
    module = nn.Linear(4, 2)
    module.weight.data.zero_()
    module.bias.data.copy_(torch.tensor([0.0, -500.0]))

    def cost(o: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        made = torch.distributions.Normal(o[:, :1], o[:, 1:].exp(), validate_args=True)
        return -made.log_prob(y).mean()

    with pytest.raises(ValueError, match=r"not those of Linear, of which one is 500 in size: Exp"):
        winit.audit(module, X, torch.zeros(8, 1), cost)
    with pytest.raises(ValueError, match="y and loss do not fit the outputs of Linear"):
        winit.audit(module, X, torch.zeros(8, 7), lambda o, y: nn.MSELoss()(o, y + o @ y))
