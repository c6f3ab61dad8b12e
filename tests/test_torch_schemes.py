"""The schemes of `winit.torch`: where they agree with `torch.nn.init`, and where they must not."""

from __future__ import annotations

import itertools
import math
import random
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import fuzz
import hostile
import numpy as np
import pytest
import pytorch

pytorch.needed()

import torch  # noqa: E402
from torch import nn  # noqa: E402

import winit  # noqa: E402
import winit.torch as wt  # noqa: E402

SCHEMES = [name for name in winit.initializers.SCHEMES if hasattr(wt, f"{name}_")]
# Draws of these have a std that the fans give.
LAWS = {
    "he_normal": lambda fan_in, fan_out: math.sqrt(2 / fan_in),
    "he_uniform": lambda fan_in, fan_out: math.sqrt(2 / fan_in),
    "glorot_normal": lambda fan_in, fan_out: math.sqrt(2 / (fan_in + fan_out)),
    "glorot_uniform": lambda fan_in, fan_out: math.sqrt(2 / (fan_in + fan_out)),
    "lecun_normal": lambda fan_in, fan_out: math.sqrt(1 / fan_in),
    "lecun_uniform": lambda fan_in, fan_out: math.sqrt(1 / fan_in),
}


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def scheme(name: str) -> Any:
    return getattr(wt, f"{name}_")


def assert_std(values: torch.Tensor, std: float, name: str = "normal") -> None:
    """The relative sd of a sample's std is √((κ - 1) / 4N): κ = 3 for a normal law, else 9/5."""
    kurtosis = 9 / 5 if name.endswith("uniform") else 3
    spread = math.sqrt((kurtosis - 1) / (4 * values.numel()))
    assert abs(values.double().std().item() / std - 1) < 4 * spread
    assert abs(values.double().mean().item()) < 4 * std / math.sqrt(values.numel())


# ---- where the two agree

SAME: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "he_normal": (wt.he_normal_, partial(nn.init.kaiming_normal_, nonlinearity="relu")),
    "he_normal, slope": (
        partial(wt.he_normal_, negative_slope=0.2),
        partial(nn.init.kaiming_normal_, a=0.2),
    ),
    "he_normal, fan_out": (
        partial(wt.he_normal_, mode="fan_out"),
        partial(nn.init.kaiming_normal_, nonlinearity="relu", mode="fan_out"),
    ),
    "he_uniform": (wt.he_uniform_, partial(nn.init.kaiming_uniform_, nonlinearity="relu")),
    "glorot_normal": (wt.glorot_normal_, nn.init.xavier_normal_),
    "glorot_uniform, gain": (
        partial(wt.glorot_uniform_, gain=2.0),
        partial(nn.init.xavier_uniform_, gain=2.0),
    ),
    "lecun_normal": (wt.lecun_normal_, partial(nn.init.kaiming_normal_, nonlinearity="linear")),
    "lecun_uniform": (wt.lecun_uniform_, partial(nn.init.kaiming_uniform_, nonlinearity="linear")),
    "orthogonal, gain": (partial(wt.orthogonal_, gain=1.5), partial(nn.init.orthogonal_, gain=1.5)),
    "truncated_normal": (wt.truncated_normal_, nn.init.trunc_normal_),
    "identity": (
        wt.identity_,
        lambda w, generator: nn.init.dirac_(w) if w.ndim > 2 else nn.init.eye_(w),
    ),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("shape", [(30, 40), (40, 30), (8, 6, 3, 5)])
@pytest.mark.parametrize("name", SAME)
def test_dense_and_plain_convolutions_are_drawn_as_by_pytorch(
    name: str, shape: tuple[int, ...], dtype: torch.dtype
) -> None:
    ours, theirs = torch.zeros(shape, dtype=dtype), torch.zeros(shape, dtype=dtype)
    assert SAME[name][0](ours, generator=seeded(3)) is ours
    SAME[name][1](theirs, generator=seeded(3))
    assert torch.allclose(ours, theirs, rtol=1e-6, atol=1e-12) and ours.any()


@pytest.mark.parametrize("name", LAWS)
def test_std_and_limit_are_the_formulas_and_the_numpy_schemes(name: str) -> None:
    weight = scheme(name)(torch.empty(500, 300), generator=seeded())
    std = LAWS[name](300, 500)
    assert_std(weight, std, name)
    assert_std(torch.from_numpy(winit.get(name)((500, 300), rng=0)), std, name)
    limit = weight.abs().max().item() / std
    assert (0.999 < limit / math.sqrt(3) <= 1.0001) if name.endswith("uniform") else limit > 3


def test_a_truncated_law_keeps_the_std_and_is_cut() -> None:
    std = math.sqrt(2 / 300)
    weight = wt.he_normal_(torch.empty(500, 300), truncated=True, generator=seeded())
    assert_std(weight, std)
    assert 1.99 < weight.abs().max().item() * winit.initializers.TRUNCATED_STD / std <= 2.0001


# ---- the fans of the operation

# In convolutions the numbers are counted below by the operation itself.
LAYERS: dict[str, tuple[Callable[[], nn.Module], dict[str, tuple[float, float]]]] = {
    "Linear": (lambda: nn.Linear(7, 5), {"weight": (7, 5)}),
    "Bilinear": (lambda: nn.Bilinear(3, 4, 5), {"weight": (12, 5)}),
    "Conv2d": (lambda: nn.Conv2d(8, 16, 3), {"weight": (72, 144)}),
    "groups": (lambda: nn.Conv2d(8, 16, 3, groups=4), {"weight": (18, 36)}),
    "depthwise": (lambda: nn.Conv2d(16, 16, 3, groups=16), {"weight": (9, 9)}),
    "stride": (lambda: nn.Conv2d(8, 16, 4, stride=2), {"weight": (128, 64)}),
    "unequal strides": (lambda: nn.Conv2d(3, 4, (2, 6), stride=(1, 3)), {"weight": (36, 16)}),
    "one-dimensional": (lambda: nn.Conv1d(3, 4, 5, dilation=2), {"weight": (15, 20)}),
    "three-dimensional": (lambda: nn.Conv3d(2, 3, 2), {"weight": (16, 24)}),
    "transposed": (lambda: nn.ConvTranspose2d(8, 16, 4, stride=2), {"weight": (32, 256)}),
    "transposed, groups": (
        lambda: nn.ConvTranspose1d(8, 12, 4, stride=2, groups=4),
        {"weight": (4, 12)},
    ),
    "Embedding": (lambda: nn.Embedding(20, 6), {"weight": (1, 6)}),
    "MultiheadAttention": (
        lambda: nn.MultiheadAttention(6, 2, add_bias_kv=True),
        {"in_proj_weight": (6, 6), "out_proj.weight": (6, 6)},
    ),
    "MultiheadAttention, other keys": (
        lambda: nn.MultiheadAttention(6, 2, kdim=4, vdim=3),
        {
            "q_proj_weight": (6, 6),
            "k_proj_weight": (4, 6),
            "v_proj_weight": (3, 6),
            "out_proj.weight": (6, 6),
        },
    ),
    "LSTM": (
        lambda: nn.LSTM(5, 7, bidirectional=True),
        {
            "weight_ih_l0": (5, 7),
            "weight_hh_l0": (7, 7),
            "weight_ih_l0_reverse": (5, 7),
            "weight_hh_l0_reverse": (7, 7),
        },
    ),
    "LSTM with a projection": (
        lambda: nn.LSTM(5, 7, proj_size=3),
        {"weight_ih_l0": (5, 7), "weight_hh_l0": (3, 7), "weight_hr_l0": (7, 3)},
    ),
    "GRU": (
        lambda: nn.GRU(5, 7, num_layers=2),
        {
            "weight_ih_l0": (5, 7),
            "weight_hh_l0": (7, 7),
            "weight_ih_l1": (7, 7),
            "weight_hh_l1": (7, 7),
        },
    ),
    "RNNCell": (lambda: nn.RNNCell(5, 7), {"weight_ih": (5, 7), "weight_hh": (7, 7)}),
    "GRUCell": (lambda: nn.GRUCell(5, 7), {"weight_ih": (5, 7), "weight_hh": (7, 7)}),
    "TransformerEncoderLayer": (
        lambda: nn.TransformerEncoderLayer(6, 2, 9),
        {
            "self_attn.in_proj_weight": (6, 6),
            "self_attn.out_proj.weight": (6, 6),
            "linear1.weight": (6, 9),
            "linear2.weight": (9, 6),
        },
    ),
}


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_knows_its_fans(name: str) -> None:
    make, expected = LAYERS[name]
    assert wt.fans(make()) == expected


@pytest.mark.parametrize(
    "name", ["Linear", "groups", "depthwise", "stride", "transposed", "transposed, groups"]
)
def test_the_operation_itself_counts_the_same(name: str) -> None:
    """With ones for weights an output counts its inputs, and a gradient the outputs it is from."""
    layer = LAYERS[name][0]()
    kernel = layer.weight
    nn.init.ones_(kernel)
    nn.init.zeros_(layer.bias)
    channels = layer.in_features if isinstance(layer, nn.Linear) else layer.in_channels
    x = torch.ones(1, channels, *(48,) * (kernel.ndim - 2), requires_grad=True)
    z = layer(x.swapaxes(1, -1) if kernel.ndim == 2 else x)
    z.sum().backward()
    inner = (..., *(slice(12, 36),) * (kernel.ndim - 2))
    counted = z[inner].mean().item(), x.grad[inner].mean().item()
    assert counted == pytest.approx(wt.fans(layer)["weight"], rel=1e-6)


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize(
    ("layer", "layout", "expected"),
    [
        (nn.Conv2d(64, 128, 5, groups=4), {"groups": 4}, (400, 800)),
        (nn.Conv2d(32, 64, 4, stride=2), {"stride": 2}, (512, 256)),
        (
            nn.ConvTranspose2d(64, 32, 4, stride=2),
            {"stride": (2, 2), "transposed": True},
            (256, 512),
        ),
        (nn.MultiheadAttention(96, 2, bias=False), {"blocks": 3}, (96, 96)),
        (nn.Linear(300, 200), {}, (300, 200)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_tensor_in_its_layout_is_drawn_as_by_its_layer(
    law: str, layer: nn.Module, layout: dict[str, Any], expected: tuple[float, float]
) -> None:
    name, tensor = next((n, p) for n, p in layer.named_parameters() if p.ndim > 1)
    scheme(law)(layer, generator=seeded())
    assert_std(tensor, LAWS[law](*expected), law)
    copy = torch.empty(tensor.shape)
    scheme(law)(copy, generator=seeded(), **layout)
    assert torch.equal(copy, tensor)
    assert wt.fans(copy, **layout) == {"weight": expected} and wt.fans(layer)[name] == expected


def test_x_at_w_has_its_inputs_first() -> None:
    weight = wt.glorot_normal_(torch.empty(400, 100), transposed=True, generator=seeded())
    assert_std(weight, math.sqrt(2 / 500))
    assert wt.fans(weight, transposed=True) == {"weight": (400, 100)}
    packed = wt.fans(torch.empty(400, 300), transposed=True, blocks=3)
    assert packed == {"weight": (400, 100)}


def test_a_view_of_a_parameter_is_drawn_in_its_place() -> None:
    experts = nn.Parameter(torch.zeros(4, 80, 320))
    for i in range(4):
        wt.he_normal_(experts[i], transposed=True, generator=seeded(i))
    assert_std(experts.detach(), math.sqrt(2 / 80))
    turned = torch.zeros(30, 20).T  # not contiguous
    wt.orthogonal_(turned, generator=seeded())
    assert torch.allclose(turned @ turned.T, torch.eye(20), atol=1e-5)


# ---- where `torch.nn.init` reads a tensor as what it is not


def test_grouped_convolutions_have_another_fan_out() -> None:
    layer = nn.Conv2d(128, 256, 3, groups=4)
    nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu", generator=seeded())
    assert_std(layer.weight, math.sqrt(2 / (256 * 9)))  # all groups' outputs
    wt.he_normal_(layer, mode="fan_out", generator=seeded())
    assert_std(layer.weight, math.sqrt(2 / (64 * 9)))


def test_transposed_convolutions_have_their_inputs_first() -> None:
    layer = nn.ConvTranspose2d(128, 64, 4, stride=2)
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu", generator=seeded())
    assert_std(layer.weight, math.sqrt(2 / (64 * 16)))
    wt.he_normal_(layer, generator=seeded())
    assert_std(layer.weight, math.sqrt(2 / (128 * 16 / 4)))


def test_packed_projections_are_several_matrices() -> None:
    attention = nn.MultiheadAttention(120, 4)
    nn.init.xavier_uniform_(attention.in_proj_weight, generator=seeded())
    assert_std(attention.in_proj_weight, math.sqrt(2 / (120 + 360)), "uniform")
    wt.glorot_uniform_(attention, generator=seeded())
    assert_std(attention.in_proj_weight, math.sqrt(2 / 240), "uniform")
    lstm = nn.LSTM(90, 110)
    nn.init.xavier_normal_(lstm.weight_ih_l0, generator=seeded())
    assert_std(lstm.weight_ih_l0, math.sqrt(2 / (90 + 440)))
    wt.glorot_normal_(lstm, generator=seeded())
    assert_std(lstm.weight_ih_l0, math.sqrt(2 / 200))


def test_packed_matrices_are_orthogonal_one_by_one() -> None:
    def apart(weight: torch.Tensor, blocks: int) -> float:
        parts = [part @ part.T - torch.eye(len(part)) for part in weight.detach().chunk(blocks)]
        return float(torch.stack(parts).abs().max())

    lstm = nn.LSTM(20, 20)
    nn.init.orthogonal_(lstm.weight_hh_l0, generator=seeded())
    assert apart(lstm.weight_hh_l0, 4) > 0.3  # only the 80 rows together
    wt.orthogonal_(lstm, generator=seeded())
    assert apart(lstm.weight_hh_l0, 4) < 1e-5
    gates = lstm.weight_hh_l0.detach().chunk(4)
    assert all(not torch.allclose(*pair, atol=0.1) for pair in itertools.combinations(gates, 2))
    conv = wt.orthogonal_(nn.Conv2d(32, 32, 3, groups=4), generator=seeded())
    assert apart(conv.weight.flatten(1), 4) < 1e-5
    turned = wt.orthogonal_(nn.ConvTranspose1d(8, 12, 2, groups=2), gain=3.0, generator=seeded())
    for group in turned.weight.detach().chunk(2):  # (4 inputs, 6 outputs, window of 2)
        matrix = group.movedim(1, 0).flatten(1)
        assert torch.allclose(matrix @ matrix.T, 9 * torch.eye(6), atol=1e-4)


def test_the_bounds_of_trunc_normal_are_absolute() -> None:
    weight = nn.init.trunc_normal_(torch.empty(500, 400), std=0.02, generator=seeded())
    assert_std(weight, 0.02)  # nothing was cut
    assert weight.abs().max() > 4 * 0.02
    wt.truncated_normal_(weight, std=0.02, generator=seeded())
    assert_std(weight, 0.02 * winit.initializers.TRUNCATED_STD)
    assert 1.99 * 0.02 < weight.abs().max() <= 2 * 0.02


def test_calculate_gain_ignores_a_slope_and_lacks_entries() -> None:
    assert nn.init.calculate_gain("relu", 0.5) == math.sqrt(2)
    weight = nn.init.kaiming_normal_(
        torch.empty(300, 400), a=0.5, nonlinearity="relu", generator=seeded()
    )
    assert_std(weight, math.sqrt(2 / 400))
    assert_std(
        wt.he_normal_(weight, negative_slope=0.5, generator=seeded()), math.sqrt(2 / 1.25 / 400)
    )
    for missing in ("gelu", "silu", "elu", "mish", "softplus"):
        with pytest.raises(ValueError, match="Unsupported nonlinearity"):
            nn.init.calculate_gain(missing)
        assert winit.theory.gain(missing) > 1
    assert nn.init.calculate_gain("tanh") == 5 / 3
    assert winit.theory.gain("tanh") == pytest.approx(1.5925, abs=1e-4)  # which keeps E z² at 1


def test_half_precision_has_orthogonal_matrices_too() -> None:
    with pytest.raises(RuntimeError, match="not implemented for 'BFloat16'"):
        nn.init.orthogonal_(torch.empty(16, 16, dtype=torch.bfloat16))
    weight = wt.orthogonal_(torch.empty(16, 16, dtype=torch.bfloat16), generator=seeded()).float()
    # each of 16 products is off by at most 2**-8 of 1/4 · 1/4, twice
    assert torch.allclose(weight @ weight.T, torch.eye(16), atol=16 * 2 * 2**-8 / 16)


def test_the_identity_of_an_even_window_is_where_same_padding_keeps_it() -> None:
    x = torch.randn(1, 3, 9, generator=seeded())
    layer = nn.Conv1d(3, 3, 4, padding="same", bias=False)
    with warnings.catch_warnings():  # PyTorch warns that even windows cost a copy
        warnings.simplefilter("ignore")
        nn.init.dirac_(layer.weight)
        assert torch.equal(layer(x)[..., :-1], x[..., 1:])  # shifted by one
        assert torch.equal(wt.identity_(layer)(x), x)
    grouped = wt.identity_(nn.Conv1d(6, 6, 3, padding=1, groups=3, bias=False), gain=2.0)
    x = torch.randn(1, 6, 9, generator=seeded())
    assert torch.equal(grouped(x), 2 * x)


# ---- modules


def test_of_a_module_only_kernels_are_drawn() -> None:
    block = nn.TransformerEncoderLayer(8, 2, 16)
    before = {name: value.clone() for name, value in block.named_parameters()}
    block.linear1.weight.requires_grad_(False)
    assert wt.he_normal_(block, generator=seeded()) is block
    changed = {n for n, value in block.named_parameters() if not torch.equal(value, before[n])}
    assert changed == set(wt.fans(block))
    assert all(p.grad is None and p.is_leaf for p in block.parameters())
    norms = nn.Sequential(nn.LayerNorm((2, 3)), nn.BatchNorm2d(3), nn.PReLU(4), nn.ReLU())
    assert wt.fans(norms) == {} and wt.he_normal_(norms) is norms


def test_apply_draws_a_model() -> None:
    model = nn.Sequential(nn.Linear(300, 400), nn.ReLU(), nn.Linear(400, 10))
    torch.manual_seed(0)
    model.apply(wt.he_normal_)
    assert_std(model[0].weight, math.sqrt(2 / 300))
    assert_std(model[2].weight, math.sqrt(2 / 400))


def test_a_padding_row_stays_zero() -> None:
    table = wt.lecun_normal_(nn.Embedding(2000, 60, padding_idx=3), generator=seeded())
    assert not table.weight[3].any()
    assert_std(table.weight[4:], 1.0)
    rows = wt.orthogonal_(table, generator=seeded()).weight[4:].norm(dim=1)
    assert torch.allclose(rows, torch.ones(1996))


def test_shared_weights_are_drawn_once_or_not_at_all() -> None:
    first, second = nn.Linear(5, 5), nn.Linear(5, 5)
    second.weight = first.weight
    assert wt.fans(nn.Sequential(first, second)) == {"0.weight": (5, 5)}
    table, head = nn.Embedding(9, 5), nn.Linear(5, 9, bias=False)
    head.weight = table.weight
    before = table.weight.clone()
    with pytest.raises(ValueError, match=r"0\.weight and 1\.weight use one tensor in two ways"):
        wt.he_normal_(nn.Sequential(table, head))
    assert torch.equal(table.weight, before)


class Own(nn.Module):
    """A layer that PyTorch does not have."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(3, 3)
        self.kernel = nn.Parameter(torch.ones(3, 4))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (Own, "how Own uses kernel is not known: pass the tensor itself"),
        (lambda: nn.Sequential(nn.LazyLinear(3)), r"0\.weight has no shape yet: call the module"),
        (lambda: nn.utils.parametrizations.weight_norm(nn.Linear(3, 4)), "how .* is not known"),
        (lambda: nn.ParameterList([torch.ones(3, 4)]), "how ParameterList uses 0 is not known"),
    ],
)
def test_what_is_not_known_is_said_before_anything_is_drawn(make: Any, message: str) -> None:
    module = make()
    state = {
        name: value for name, value in module.named_parameters() if not nn.parameter.is_lazy(value)
    }
    before = {name: value.clone() for name, value in state.items()}
    with pytest.raises(ValueError, match=message):
        wt.he_normal_(module)
    assert all(torch.equal(value, before[name]) for name, value in state.items())


@pytest.mark.parametrize("name", SCHEMES)
def test_on_the_meta_device_nothing_happens(name: str) -> None:
    with torch.device("meta"):
        layer = nn.Conv2d(4, 4, 3)
    assert scheme(name)(layer) is layer and layer.weight.is_meta


# ---- bad input, in words


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        (([[1.0]],), {}, TypeError, "weight must be a tensor or a module, got"),
        ((nn.Linear,), {}, TypeError, "weight must be a tensor or a module, got"),
        ((torch.ones(3),), {}, ValueError, r"at least 2 axes, got \(3,\)"),
        ((torch.ones(3, 0),), {}, ValueError, "must be at least 1, got 0"),
        (
            (torch.ones(3, 3, dtype=torch.int64),),
            {},
            TypeError,
            "floating numbers, got torch.int64",
        ),
        ((torch.ones(3, 3) * 1j,), {}, TypeError, "floating numbers, got torch.complex64"),
        ((torch.ones(3, 3).to_sparse(),), {}, TypeError, "torch.sparse_coo"),
        ((torch.ones(3, 3).to(torch.float8_e5m2),), {}, TypeError, "torch.float8_e5m2"),
        ((torch.ones(4, 3),), {"groups": 3}, ValueError, r"\(4, 3\) does not divide into groups=3"),
        ((torch.ones(4, 3),), {"blocks": 3}, ValueError, "groups=1 and blocks=3"),
        ((torch.ones(3, 4),), {"blocks": 3, "transposed": True}, ValueError, "blocks=3"),
        ((torch.ones(4, 3),), {"groups": 0}, ValueError, "groups must be at least 1, got 0"),
        ((torch.ones(4, 3),), {"blocks": 1.0}, TypeError, "blocks must be a whole number"),
        ((torch.ones(4, 3, 2),), {"stride": 0}, ValueError, "stride must be at least 1, got 0"),
        ((torch.ones(4, 3, 2),), {"stride": (2, 2)}, ValueError, "stride"),
        ((torch.ones(4, 3),), {"transposed": 1}, TypeError, "transposed must be True or False"),
        ((nn.Linear(2, 2),), {"groups": 1}, TypeError, "layers of a module know their layouts"),
        ((torch.ones(4, 3),), {"generator": 0}, TypeError, "generator must be a torch.Generator"),
        ((torch.ones(4, 3),), {"group": 2}, ValueError, "option of he_normal must be one of"),
        ((torch.ones(4, 3),), {"mode": "in"}, ValueError, "mode must be one of fan_in, fan_out"),
        (
            (torch.ones(4, 3),),
            {"negative_slope": "a"},
            TypeError,
            "negative_slope must be a number",
        ),
        ((torch.ones(4, 3).half(),), {"negative_slope": 1e9}, ValueError, "cannot hold a std of"),
    ],
)
def test_bad_input_is_refused_in_words(
    arguments: Any, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        wt.he_normal_(*arguments, **options)


def test_a_std_that_the_dtype_cannot_hold() -> None:
    layers = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3).half())
    before = layers[0].weight.clone()
    with pytest.raises(ValueError, match=r"1\.weight of float16 cannot hold a std of 5"):
        wt.variance_scaling_(layers, scale=1e10)
    assert torch.equal(layers[0].weight, before)
    with pytest.raises(ValueError, match=r"float32 cannot hold a std of 1e-60"):
        wt.truncated_normal_(torch.ones(2, 2), std=1e-60 / winit.initializers.TRUNCATED_STD)
    for name in ("truncated_normal", "identity"):
        option = "std" if name == "truncated_normal" else "gain"
        assert not scheme(name)(torch.ones(2, 2), **{option: 0.0}).any()


HOSTILE = [text for pool in hostile.POOL for text in pool]


@pytest.mark.parametrize(
    "argument",
    ["weight", "generator", "groups", "stride", "transposed", "blocks", "negative_slope", "mode",
     "truncated"],
)  # fmt: skip
def test_hostile_values_are_refused_in_words(argument: str) -> None:
    for text in HOSTILE:
        weight = torch.ones(4, 6, 2)
        try:
            given = {"weight": weight, argument: fuzz.evaluate(text)}
        except Exception:  # some values refuse to be made
            continue
        try:
            wt.he_normal_(given.pop("weight"), **given)
        except (TypeError, ValueError) as error:
            assert argument in str(error) or "weight of" in str(error), (
                f"{argument}={text}: {error}"
            )
            assert len(str(error)) < 600 and (weight == 1).all(), f"{argument}={text}"
        else:
            assert weight.isfinite().all() and weight.std() > 0, f"{argument}={text}"


# ---- nothing else changes


@pytest.mark.parametrize("name", SCHEMES)
def test_a_generator_alone_decides(name: str) -> None:
    states = torch.get_rng_state(), random.getstate(), str(np.random.get_state())  # noqa: NPY002
    first, second = (scheme(name)(torch.empty(6, 6), generator=seeded(5)) for _ in range(2))
    assert torch.equal(first, second)
    assert torch.equal(torch.get_rng_state(), states[0]) and random.getstate() == states[1]
    assert str(np.random.get_state()) == states[2]  # noqa: NPY002
    assert torch.is_grad_enabled() and torch.get_default_dtype() is torch.float32


def test_without_a_generator_it_is_pytorchs_global_one() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(7)
        ours = wt.he_normal_(torch.empty(5, 5))
        torch.manual_seed(7)
        theirs = nn.init.kaiming_normal_(torch.empty(5, 5), nonlinearity="relu")
    assert torch.equal(ours, theirs)


def test_every_scheme_has_help_and_signature() -> None:
    assert len(SCHEMES) == 10
    for name in SCHEMES:
        assert scheme(name).__name__ == f"{name}_" and f"`winit.{name}`" in scheme(name).__doc__
