"""Starts of PyTorch modules whose truth is known: what `winit.torch.audit` is measured against.

The form is that of tests/starts.py. Each `Start` builds a module with seeded weights and data, tiny
(a fraction of a second on one core), and says what is right to say of it: known from how it was
made, fixed with tests/torch_referee.py before the reader of modules was seen.

`blame` names parameters by a part of their name, and is empty where no kernel is at fault (inputs,
targets, a sum of branches). `curable`: whether drawing kernels again, at the scale of their own
site, makes the start sound. `partner` is a start of the same architecture that is healthy where
this one is broken, or the other way around.

Builders fork PyTorch's global generator, since its layers draw from it, and leave it as it was.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
import torch.utils.checkpoint
from torch import Tensor, nn
from torch.nn.utils import parametrizations

torch.set_num_threads(1)  # of tensors as small as these a second thread only waits


@dataclasses.dataclass(frozen=True)
class Case:
    """A built start: module(*args, **kwargs) is compared with y."""

    module: nn.Module
    args: tuple[Any, ...]
    y: Any
    loss: Any  # "cross-entropy" (logits, classes last), "mse", or a function of (out, y)
    kwargs: dict[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Start:
    name: str
    kind: str
    build: Callable[[int], Case]
    verdict: str
    reason: str
    blame: tuple[str, ...] = ()
    curable: bool | None = None  # None: nothing to cure
    partner: str | None = None


STARTS: list[Start] = []
Builder = Callable[[int], Case]


def start(kind: str, verdict: str, reason: str, **kw: Any) -> Callable[[Any], Any]:
    """Put a builder on the list under its function's name."""

    def put(build: Callable[..., Case]) -> Callable[..., Case]:
        @functools.wraps(build)
        def seeded(seed: int) -> Case:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                return build(seed)

        STARTS.append(Start(build.__name__, kind, seeded, verdict, reason, **kw))
        return build  # other starts call it with more arguments

    return put


# --- Data ----------------------------------------------------------------------------------------


def normal(seed: int, *shape: int, scale: float = 1.0) -> Tensor:
    return scale * torch.randn(shape, generator=torch.Generator().manual_seed(1000 + seed))


def tokens(seed: int, n: int, length: int, vocabulary: int) -> Tensor:
    generator = torch.Generator().manual_seed(2000 + seed)
    return torch.randint(1, vocabulary, (n, length), generator=generator)


def taught(x: Tensor, outputs: int) -> Tensor:
    """What a linear teacher says of the standardized inputs: it can be learned."""
    flat = x.double().reshape(len(x), -1)
    flat = (flat - flat.mean()) / flat.std()
    generator = torch.Generator().manual_seed(99)
    return flat @ torch.randn(flat.shape[1], outputs, generator=generator, dtype=torch.double)


def labels(x: Tensor, classes: int = 10) -> Tensor:
    return taught(x, classes).argmax(1)


def target(x: Tensor) -> Tensor:
    """Numbers of mean 0 and variance 1, one an example."""
    t = taught(x, 1)
    return ((t - t.mean()) / t.std(correction=0)).float()


def classify(module: nn.Module, x: Tensor, classes: int = 10) -> Case:
    return Case(module, (x,), labels(x, classes), "cross-entropy")


def predict_next(module: nn.Module, ids: Tensor) -> Case:
    return Case(module, (ids[:, :-1],), ids[:, 1:], "cross-entropy")


def he_(weight: Tensor, fan_in: float | None = None, gain2: float = 2.0) -> Tensor:
    """N(0, gain²/fan_in) with the fan that the operation has, by default that of a Linear."""
    fan_in = math.prod(weight.shape[1:]) if fan_in is None else fan_in
    return nn.init.normal_(weight, 0.0, math.sqrt(gain2 / fan_in))


# --- Dense chains --------------------------------------------------------------------------------


def chain(
    seed: int,
    depth: int,
    width: int,
    act: Callable[[], nn.Module],
    gain2: float | None = None,
    first: float = 1.0,
) -> nn.Sequential:
    """Linear layers with an activation, then a Linear head; gain² None is PyTorch's own draw."""
    layers: list[nn.Module] = []
    for k in range(depth):
        linear = nn.Linear(width, width)
        if gain2 is not None:
            he_(linear.weight, gain2=gain2 if k else first * gain2)
            nn.init.zeros_(linear.bias)
        layers += [linear, act()]
    head = nn.Linear(width, 10)
    if gain2 is not None:
        he_(head.weight, gain2=1.0)
    return nn.Sequential(*layers, head)


def relu() -> nn.Module:
    return nn.ReLU(inplace=True)


def hidden(module: nn.Sequential) -> list[nn.Linear]:
    return [m for m in module if isinstance(m, nn.Linear)][:-1]


def head_of(module: nn.Sequential) -> nn.Linear:
    head = module[-1]
    assert isinstance(head, nn.Linear)
    return head


@start("dense", "good", "He keeps E z²; activations in place", partner="relu_20_doubled")
def relu_20_he(seed: int) -> Case:
    return classify(chain(seed, 20, 64, relu, 2.0), normal(seed, 32, 64))


@start(
    *("dense", "exploding", "variance 4/n doubles E x²"),
    blame=("weight",),
    curable=True,
    partner="relu_20_he",
)
def relu_20_doubled(seed: int) -> Case:
    return classify(chain(seed, 20, 64, relu, 4.0), normal(seed, 32, 64))


@start(
    *("dense", "shrinking", "PyTorch's draw divides by 6 until biases of .4/n are left"),
    blame=("weight",),
    curable=True,
    partner="relu_6_he",
)
def relu_6_default(seed: int) -> Case:
    return classify(chain(seed, 6, 256, nn.ReLU), normal(seed, 32, 256))


@start("dense", "good", "the same with He's draw", partner="relu_6_default")
def relu_6_he(seed: int) -> Case:
    return classify(chain(seed, 6, 256, nn.ReLU, 2.0), normal(seed, 32, 256))


@start(
    *("dense", "collapsed", "PyTorch's draw: biases keep E x², differences are 6^-20 of it"),
    blame=("weight",),
    curable=True,
    partner="relu_20_he",
)
def relu_20_default(seed: int) -> Case:
    return classify(chain(seed, 20, 24, relu), normal(seed, 32, 24))


@start(
    *("dense", "shrinking", "PyTorch's draw divides by 3 under tanh"),
    blame=("weight",),
    curable=True,
    partner="tanh_10_gain",
)
def tanh_8_default(seed: int) -> Case:
    return classify(chain(seed, 8, 256, nn.Tanh), normal(seed, 32, 256))


@start("dense", "good", "gain 1.4 for ten layers of tanh", partner="tanh_10_std_3")
def tanh_10_gain(seed: int) -> Case:
    return classify(chain(seed, 10, 64, nn.Tanh, 1.96), normal(seed, 32, 64))


@start(
    *("dense", "saturated", "std 3 at width 64: |z| about 24"),
    blame=("weight",),
    curable=True,
    partner="tanh_10_gain",
)
def tanh_10_std_3(seed: int) -> Case:
    return classify(chain(seed, 10, 64, nn.Tanh, 9.0 * 64), normal(seed, 32, 64))


@start(
    *("dense", "collapsed", "PyTorch's draw keeps 2 % of differences a layer"),
    blame=("weight",),
    curable=True,
    partner="sigmoid_10_gain",
)
def sigmoid_10_default(seed: int) -> Case:
    return classify(chain(seed, 10, 64, nn.Sigmoid), normal(seed, 32, 64))


@start("dense", "good", "gain 6.5 for ten layers of sigmoid", partner="sigmoid_10_default")
def sigmoid_10_gain(seed: int) -> Case:
    return classify(chain(seed, 10, 64, nn.Sigmoid, 42.0), normal(seed, 32, 64))


@start(
    *("dense", "saturated", "a sigmoid under std 7"),
    blame=("weight",),
    curable=True,
    partner="sigmoid_3_glorot",
)
def sigmoid_3_std_7(seed: int) -> Case:
    return classify(chain(seed, 3, 64, nn.Sigmoid, 49.0 * 64), normal(seed, 32, 64))


@start("dense", "good", "three layers still vary", partner="sigmoid_3_std_7")
def sigmoid_3_glorot(seed: int) -> Case:
    return classify(chain(seed, 3, 64, nn.Sigmoid, 1.0), normal(seed, 32, 64))


@start("dense", "good", "LeCun is SELU's fixed point; dropout that is off")
def selu_20_lecun(seed: int) -> Case:
    module = chain(seed, 20, 64, lambda: nn.Sequential(nn.SELU(), nn.AlphaDropout(0.1)), 1.0)
    return classify(module.eval(), normal(seed, 32, 64))


@start("dense", "good", "gain 1.52 for ten layers of GELU")
def gelu_10_gain(seed: int) -> Case:
    return classify(chain(seed, 10, 64, nn.GELU, 2.31, first=1 / 2.31), normal(seed, 32, 64))


def fill_(module: nn.Module, value: float) -> None:
    for p in module.parameters():
        nn.init.constant_(p, value if p.ndim > 1 else 0.0)


@start(
    *("dense", "dead", "zeros pass no gradient on"),
    blame=("weight",),
    curable=True,
    partner="relu_20_he",
)
def relu_zeros(seed: int) -> Case:
    module = chain(seed, 2, 32, nn.ReLU)
    fill_(module, 0.0)
    return classify(module, normal(seed, 32, 32))


@start(
    *("dense", "symmetric", "all units stay equal"),
    blame=("weight",),
    curable=True,
    partner="sigmoid_3_glorot",
)
def sigmoid_zeros(seed: int) -> Case:
    module = chain(seed, 2, 32, nn.Sigmoid)
    fill_(module, 0.0)
    return classify(module, normal(seed, 32, 32))


@start(
    *("dense", "symmetric", "constant kernels, equal units"),
    blame=("weight",),
    curable=True,
    partner="tanh_10_gain",
)
def tanh_constant(seed: int) -> Case:
    module = nn.Sequential(nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh())
    module.append(nn.Linear(32, 1))
    fill_(module, 0.05)
    x = normal(seed, 32, 32)
    return Case(module, (x,), target(x), "mse")


@start(
    *("dense", "good", "a random head separates units that start equal"),
    partner="tanh_constant",
)
def constant_first_random_head(seed: int) -> Case:
    module = chain(seed, 1, 32, nn.Tanh, 1.0)
    nn.init.constant_(hidden(module)[0].weight, 0.05)
    return classify(module, normal(seed, 32, 32))


@start(
    *("dense", "dead", "biases of -10: no unit fires"),
    blame=("bias",),
    curable=False,
    partner="relu_6_he",
)
def relu_bias_minus_10(seed: int) -> Case:
    module = chain(seed, 3, 64, relu, 2.0)
    for layer in hidden(module):
        nn.init.constant_(layer.bias, -10.0)
    return classify(module, normal(seed, 32, 64))


@start(
    *("dense", "first loss far too high", "a head of variance 400/n"),
    blame=("6.weight",),
    curable=True,
    partner="zero_head",
)
def head_20_times(seed: int) -> Case:
    module = chain(seed, 3, 64, relu, 2.0)
    he_(head_of(module).weight, gain2=400.0)
    return classify(module, normal(seed, 32, 64))


@start("dense", "good", "a zero head waits one step", partner="head_20_times")
def zero_head(seed: int) -> Case:
    module = chain(seed, 3, 64, relu, 2.0)
    nn.init.zeros_(head_of(module).weight)
    return classify(module, normal(seed, 32, 64))


def regression(seed: int, scale: float = 1.0, mean: float = 0.0) -> Case:
    module = nn.Sequential(*list(chain(seed, 2, 64, nn.ReLU, 2.0))[:-1], nn.Linear(64, 1))
    he_(head_of(module).weight, gain2=1.0)
    x = normal(seed, 64, 64)
    return Case(module, (scale * x,), target(x) + mean, "mse")


@start("dense", "good", "inputs and targets standardized", partner="regression_inputs_1e3")
def regression_standardized(seed: int) -> Case:
    return regression(seed)


@start(
    *("dense", "first loss far too high", "targets of mean 100"),
    curable=False,
    partner="regression_standardized",
)
def regression_targets_100(seed: int) -> Case:
    return regression(seed, mean=100.0)


@start(
    *("dense", "inputs unscaled", "columns of 1e3"),
    curable=False,
    partner="regression_standardized",
)
def regression_inputs_1e3(seed: int) -> Case:
    return regression(seed, scale=1e3)


@start(
    *("dense", "inputs unscaled", "columns of 1e-3"),
    curable=False,
    partner="regression_standardized",
)
def regression_inputs_1e_minus_3(seed: int) -> Case:
    return regression(seed, scale=1e-3)


# --- Convolutions --------------------------------------------------------------------------------


def pixels(seed: int, n: int = 16, size: int = 12) -> Tensor:
    generator = torch.Generator().manual_seed(3000 + seed)
    return torch.randint(0, 256, (n, 3, size, size), generator=generator).float()


def small_cnn(seed: int, norm: bool, scale: float = 1.0) -> Case:
    layers: list[nn.Module] = []
    for c, width in ((3, 16), (16, 32), (32, 32)):
        conv = nn.Conv2d(c, width, 3, stride=2, padding=1)
        he_(conv.weight)
        layers += [conv, *([nn.BatchNorm2d(width)] if norm else []), nn.ReLU(inplace=True)]
    module = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10))
    return classify(module, scale * pixels(seed))


@start("convolutional", "inputs unscaled", "bytes", curable=False, partner="cnn_pixels")
def cnn_bytes(seed: int) -> Case:
    return small_cnn(seed, norm=False)


@start("convolutional", "good", "pixels from 0 to 1", partner="cnn_bytes")
def cnn_pixels(seed: int) -> Case:
    return small_cnn(seed, norm=False, scale=1 / 255)


@start("convolutional", "good", "batch normalization removes the scale", partner="cnn_bytes")
def cnn_bytes_batchnorm(seed: int) -> Case:
    return small_cnn(seed, norm=True)


def plain_cnn(
    act: Callable[[], nn.Module], gain2: float | None, norm: bool = False, out: int = 10
) -> nn.Sequential:
    """Eight convolutions of 16 channels without biases, and a head that reads every position."""
    layers: list[nn.Module] = []
    for _ in range(8):
        conv = nn.Conv2d(16, 16, 3, padding=1, padding_mode="circular", bias=False)
        if gain2 is not None:
            he_(conv.weight, gain2=gain2)
        layers += [conv, *([nn.BatchNorm2d(16)] if norm else []), act()]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(16 * 36, out))


@start("convolutional", "good", "He over nine taps", partner="cnn_8_default")
def cnn_8_he(seed: int) -> Case:
    return classify(plain_cnn(relu, 2.0), normal(seed, 16, 16, 6, 6))


@start(
    *("convolutional", "shrinking", "PyTorch's draw without biases: a sixth a layer"),
    blame=("weight",),
    curable=True,
    partner="cnn_8_he",
)
def cnn_8_default(seed: int) -> Case:
    return classify(plain_cnn(nn.ReLU, None), normal(seed, 16, 16, 6, 6))


@start(
    *("convolutional", "collapsed", "PyTorch's draw under sigmoid"),
    blame=("weight",),
    curable=True,
    partner="sigmoid_3_glorot",
)
def cnn_8_sigmoid(seed: int) -> Case:
    return classify(plain_cnn(nn.Sigmoid, None), normal(seed, 16, 16, 6, 6))


@start(
    *("convolutional", "good", "the batch's own statistics put PyTorch's draw right"),
    partner="batchnorm_eval",
)
def batchnorm_train(seed: int) -> Case:
    return classify(plain_cnn(relu, None, norm=True), normal(seed, 16, 16, 6, 6))


@start(
    *("convolutional", "shrinking", "fresh running statistics normalize nothing"),
    blame=("weight",),
    curable=True,
    partner="batchnorm_train",
)
def batchnorm_eval(seed: int) -> Case:
    module = plain_cnn(relu, None, norm=True).eval()
    return classify(module, normal(seed, 16, 16, 6, 6))


@start(
    *("convolutional", "symmetric", "constant filters stay equal"),
    blame=("weight",),
    curable=True,
    partner="cnn_8_he",
)
def cnn_constant(seed: int) -> Case:
    module = plain_cnn(nn.Tanh, 1.0, out=1)
    fill_(module, 0.01)
    fill_(head_of(module), 0.002)
    x = normal(seed, 16, 16, 6, 6)
    return Case(module, (x,), target(x), "mse")


def separable(seed: int, mode: str | None) -> Case:
    """Depthwise and pointwise convolutions; `mode` draws by torch.nn.init, None by the true fan."""
    layers: list[nn.Module] = []
    for _ in range(4):
        depthwise = nn.Conv2d(32, 32, 3, padding=1, groups=32, bias=False)
        pointwise = nn.Conv2d(32, 32, 1, bias=False)
        if mode is None:
            he_(depthwise.weight, 9, 1.0)
        else:  # fan_out counts 32 outputs, where each channel has one
            nn.init.kaiming_normal_(depthwise.weight, mode=mode, nonlinearity="linear")
        he_(pointwise.weight)
        layers += [depthwise, pointwise, nn.ReLU6()]
    module = nn.Sequential(*layers, nn.Flatten(), nn.Linear(32 * 16, 10))
    return classify(module, normal(seed, 16, 32, 4, 4))


@start("depthwise", "good", "a depthwise output reads nine numbers", partner="separable_fan_out")
def separable_true_fan(seed: int) -> Case:
    return separable(seed, None)


@start(
    *("depthwise", "shrinking", "fan_out of a depthwise kernel counted 32 times"),
    blame=("weight",),
    curable=True,
    partner="separable_true_fan",
)
def separable_fan_out(seed: int) -> Case:
    return separable(seed, "fan_out")


def mixed(seed: int, true_fan: bool) -> Case:
    """Grouped, dilated, strided and 1 × 1, in two dimensions and at last in one."""
    kinds: list[dict[str, Any]] = [
        {"kernel_size": 3, "groups": 8, "padding": 1},
        {"kernel_size": 3, "groups": 16, "padding": 2, "dilation": 2},
        {"kernel_size": 3, "groups": 16, "padding": 1, "stride": 2},
        {"kernel_size": 1, "groups": 8},
    ]
    layers: list[nn.Module] = []
    for kind in kinds:
        conv = nn.Conv2d(32, 32, **kind)
        if true_fan:
            he_(conv.weight)
        else:  # fan_out counts the outputs of all groups
            nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
        layers += [conv, nn.ReLU()]
        assert conv.bias is not None
        nn.init.zeros_(conv.bias)
    last = nn.Conv1d(32, 32, 3, padding=1, bias=False)
    he_(last.weight)
    module = nn.Sequential(
        *layers, nn.Flatten(2), last, nn.ReLU(), nn.Flatten(), nn.Linear(32 * 16, 10)
    )
    return classify(module, normal(seed, 16, 32, 8, 8))


@start("grouped", "good", "every fan counted right", partner="grouped_fan_out")
def grouped_true_fan(seed: int) -> Case:
    return mixed(seed, true_fan=True)


@start(
    *("grouped", "shrinking", "fan_out of a grouped kernel counted 8 and 16 times"),
    blame=("weight",),
    curable=True,
    partner="grouped_true_fan",
)
def grouped_fan_out(seed: int) -> Case:
    return mixed(seed, true_fan=False)


def upsampled(seed: int, true_fan: bool) -> Case:
    """Strided transposed convolutions; torch.nn.init reads outputs · k², true is c k²/s²."""
    first = nn.Linear(32, 16)
    he_(first.weight)
    layers: list[nn.Module] = [first, nn.Unflatten(1, (16, 1, 1))]
    for k, padding in ((2, 0), (2, 0), (2, 0), (2, 0), (4, 1)):
        conv = nn.ConvTranspose2d(16, 16, k, stride=2, padding=padding, bias=False)
        if true_fan:
            he_(conv.weight, 16 * k**2 / 4)
        else:
            nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
        layers += [nn.ReLU(), conv]
    module = nn.Sequential(*layers, nn.ReLU(), nn.ConvTranspose2d(16, 3, 3, padding=1))
    return Case(module, (normal(seed, 8, 32),), normal(seed + 1, 8, 3, 32, 32), "mse")


@start("transposed", "good", "drawn for the strided fan", partner="transposed_kaiming")
def transposed_true_fan(seed: int) -> Case:
    return upsampled(seed, true_fan=True)


@start(
    *("transposed", "shrinking", "each strided output sees a quarter of the taps"),
    blame=("weight",),
    curable=True,
    partner="transposed_true_fan",
)
def transposed_kaiming(seed: int) -> Case:
    return upsampled(seed, true_fan=False)


class Gated(nn.Module):
    """Dilated causal convolutions with a gate, a sum past each, as in WaveNet."""

    def __init__(self, gate_bias: float) -> None:
        super().__init__()
        self.first = nn.Conv1d(4, 16, 1)
        self.convs = nn.ModuleList(nn.Conv1d(16, 32, 2, dilation=2**k) for k in range(4))
        self.mixes = nn.ModuleList(nn.Conv1d(16, 16, 1) for _ in range(4))
        self.head = nn.Conv1d(16, 10, 1)
        for conv in self.convs:
            nn.init.constant_(conv.bias[16:], gate_bias)

    def forward(self, x: Tensor) -> Any:
        h = self.first(x)
        for k, (conv, mix) in enumerate(zip(self.convs, self.mixes, strict=True)):
            value, gate = conv(F.pad(h, (2**k, 0))).chunk(2, dim=1)
            h = h + mix(torch.tanh(value) * torch.sigmoid(gate))
        return self.head(h)[..., -1]


@start("dilated", "good", "gated dilated convolutions with sums past them")
def wavenet(seed: int) -> Case:
    return classify(Gated(0.0), normal(seed, 16, 4, 20))


# --- Residual ------------------------------------------------------------------------------------


class Residual(nn.Module):
    """h + factor · branch(h) in forward; checkpointed or not, scaled by alphas or not."""

    def __init__(
        self,
        blocks: int = 24,
        factor: float = 1.0,
        width: int = 64,
        checkpointed: bool | None = None,
        alpha: float | None = None,
    ) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width, bias=False))
            for _ in range(blocks)
        )
        self.head = nn.Linear(width, 10)
        self.alphas = None
        if alpha is not None:
            self.alphas = nn.ParameterList(torch.full((1,), alpha) for _ in range(blocks))
        self.factor, self.checkpointed = factor, checkpointed
        for m in self.modules():
            if isinstance(m, nn.Linear) and m is not self.head:
                he_(m.weight)

    def forward(self, h: Tensor) -> Any:
        for k, branch in enumerate(self.branches):
            if self.checkpointed is None:
                out = branch(h)
            else:
                out = torch.utils.checkpoint.checkpoint(branch, h, use_reentrant=self.checkpointed)
            h = h + (self.factor if self.alphas is None else self.alphas[k]) * out
        return self.head(h)


@start(
    *("residual", "exploding", "each branch triples E x²"),
    curable=False,
    partner="residual_scaled",
)
def residual_unscaled(seed: int) -> Case:
    return classify(Residual(), normal(seed, 32, 64))


@start("residual", "good", "branches over the root of 24", partner="residual_unscaled")
def residual_scaled(seed: int) -> Case:
    return classify(Residual(factor=24**-0.5), normal(seed, 32, 64))


@start("residual", "good", "scales of 0 open at once", partner="residual_stuck")
def residual_rezero(seed: int) -> Case:
    return classify(Residual(8, alpha=0.0), normal(seed, 32, 64))


@start(
    *("residual", "dead", "a scale of 0 times a kernel of 0 never opens"),
    blame=("alphas", "2.weight"),
    curable=True,
    partner="residual_rezero",
)
def residual_stuck(seed: int) -> Case:
    module = Residual(8, alpha=0.0)
    for name, p in module.named_parameters():
        if name.endswith("2.weight"):
            nn.init.zeros_(p)
    return classify(module, normal(seed, 32, 64))


@start("residual", "good", "last kernels of 0 wait one step", partner="residual_unscaled")
def residual_zero_last(seed: int) -> Case:
    module = Residual(12)
    for name, p in module.named_parameters():
        if name.endswith("2.weight"):
            nn.init.zeros_(p)
    return classify(module, normal(seed, 32, 64))


@start("checkpointed", "good", "scaled branches, checkpointed", partner="checkpointed_unscaled")
def checkpointed_scaled(seed: int) -> Case:
    return classify(Residual(12, 12**-0.5, checkpointed=False), normal(seed, 32, 64))


@start(
    *("checkpointed", "exploding", "unscaled branches, checkpointed by reentrance"),
    curable=False,
    partner="checkpointed_scaled",
)
def checkpointed_unscaled(seed: int) -> Case:
    return classify(Residual(24, checkpointed=True), normal(seed, 32, 64).requires_grad_())


class NormBlock(nn.Module):
    def __init__(self, width: int, post: bool) -> None:
        super().__init__()
        self.norm, self.post = nn.LayerNorm(width), post
        self.net = nn.Sequential(
            nn.Linear(width, 2 * width), nn.SiLU(), nn.Linear(2 * width, width)
        )

    def forward(self, x: Tensor) -> Any:
        if self.post:
            return self.norm(x + self.net(x))
        return x + self.net(self.norm(x))


@start("residual", "good", "normalized before each branch, PyTorch's draws")
def prenorm_mlp(seed: int) -> Case:
    blocks = [NormBlock(32, post=False) for _ in range(8)]
    module = nn.Sequential(nn.Linear(16, 32), *blocks, nn.LayerNorm(32), nn.Linear(32, 10))
    return classify(module, normal(seed, 32, 16))


@start("residual", "good", "normalized after each sum, PyTorch's draws")
def postnorm_mlp(seed: int) -> Case:
    blocks = [NormBlock(32, post=True) for _ in range(8)]
    return classify(
        nn.Sequential(nn.Linear(16, 32), *blocks, nn.Linear(32, 10)), normal(seed, 32, 16)
    )


class BasicBlock(nn.Module):
    def __init__(self, c: int, width: int, stride: int, gamma: float) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(c, width, 3, stride, 1, bias=False)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn1, self.bn2 = nn.BatchNorm2d(width), nn.BatchNorm2d(width)
        self.down = nn.Conv2d(c, width, 1, stride, bias=False) if stride > 1 else nn.Identity()
        nn.init.constant_(self.bn2.weight, gamma)

    def forward(self, x: Tensor) -> Tensor:
        h = F.relu(self.bn1(self.conv1(x)), inplace=True)
        h = self.bn2(self.conv2(h))
        h += self.down(x)
        return F.relu_(h)


def resnet(seed: int, gamma: float) -> Case:
    module = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        *(BasicBlock(8, 8, 1, gamma), BasicBlock(8, 16, 2, gamma), BasicBlock(16, 16, 1, gamma)),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(16, 10),
    )
    return classify(module, normal(seed, 16, 3, 8, 8))


@start("residual", "good", "a small ResNet, sums in place")
def resnet_default(seed: int) -> Case:
    return resnet(seed, 1.0)


@start("residual", "good", "zero gammas wait one step")
def resnet_zero_gamma(seed: int) -> Case:
    return resnet(seed, 0.0)


# --- Transformers --------------------------------------------------------------------------------


class Encoder(nn.Module):
    """PyTorch's own encoder, whose layers are clones: equal at the start and no fault."""

    def __init__(self, norm_first: bool) -> None:
        super().__init__()
        self.embed = nn.Embedding(50, 32, padding_idx=0)
        self.position = nn.Parameter(0.1 * torch.randn(10, 32))
        layer = nn.TransformerEncoderLayer(
            *(32, 4, 64, 0.0),
            activation="gelu" if norm_first else "relu",
            batch_first=True,
            norm_first=norm_first,
        )
        norm = nn.LayerNorm(32) if norm_first else None
        self.encoder = nn.TransformerEncoder(layer, 3, norm=norm, enable_nested_tensor=False)
        self.head = nn.Linear(32, 10)

    def forward(self, ids: Tensor) -> Any:
        h = self.encoder(self.embed(ids) + self.position, src_key_padding_mask=ids == 0)
        return self.head(h.mean(1))


@start("encoder", "good", "PyTorch's encoder, normalized after", partner="encoder_dead")
def encoder_postnorm(seed: int) -> Case:
    return classify(Encoder(False), tokens(seed, 16, 10, 50))


@start("encoder", "good", "PyTorch's encoder, normalized before; padding")
def encoder_prenorm(seed: int) -> Case:
    ids = tokens(seed, 16, 10, 50)
    ids[::2, 7:] = 0
    return classify(Encoder(True), ids)


@start(
    *("encoder", "dead", "biases of -20 before the ReLU of a feed-forward part"),
    blame=("linear1.bias",),
    curable=False,
    partner="encoder_postnorm",
)
def encoder_dead(seed: int) -> Case:
    module = Encoder(False)
    for layer in module.encoder.layers:
        nn.init.constant_(layer.linear1.bias, -20.0)
    return classify(module, tokens(seed, 16, 10, 50))


class Block(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.ln1, self.ln2, self.heads = nn.LayerNorm(width), nn.LayerNorm(width), heads
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Any:
        n, t, d = x.shape
        q, k, v = self.qkv(self.ln1(x)).view(n, t, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        a = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.proj(a.transpose(1, 2).reshape(n, t, d))
        return x + self.down(F.gelu(self.up(self.ln2(x)), approximate="tanh"))


class GPT(nn.Module):
    def __init__(self, std: float | None, tied: bool, width: int = 128, words: int = 100) -> None:
        super().__init__()
        self.wte, self.wpe = nn.Embedding(words, width), nn.Embedding(16, width)
        self.blocks = nn.ModuleList(Block(width, 4) for _ in range(2))
        self.ln = nn.LayerNorm(width)
        self.head = nn.Linear(width, words, bias=False)
        if std is not None:
            for p in self.parameters():
                if p.ndim > 1:
                    nn.init.normal_(p, 0.0, std)
            for block in self.blocks:  # as GPT-2: over the root of the number of sums
                for layer in (block.proj, block.down):
                    nn.init.normal_(layer.weight, 0.0, std / 2)
        if tied:
            self.head.weight = self.wte.weight

    def forward(self, ids: Tensor) -> Any:
        h = self.wte(ids) + self.wpe(torch.arange(ids.shape[1]))
        for block in self.blocks:
            h = block(h)
        return self.head(self.ln(h))


@start("decoder", "good", "a GPT with GPT-2's draw and a tied head", partner="gpt_tied_default")
def gpt_tied(seed: int) -> Case:
    return predict_next(GPT(0.02, tied=True), tokens(seed, 8, 13, 100))


@start(
    *("decoder", "first loss far too high", "a head tied to PyTorch's Embedding of std 1"),
    blame=("wte",),
    curable=True,
    partner="gpt_tied",
)
def gpt_tied_default(seed: int) -> Case:
    return predict_next(GPT(None, tied=True), tokens(seed, 8, 13, 100))


@start("decoder", "good", "PyTorch's draws and a head of its own", partner="gpt_tied_default")
def gpt_default(seed: int) -> Case:
    return predict_next(GPT(None, tied=False), tokens(seed, 8, 13, 100))


class Translator(nn.Module):
    def __init__(self, head_std: float) -> None:
        super().__init__()
        self.source, self.target = nn.Embedding(50, 32), nn.Embedding(60, 32)
        self.transformer = nn.Transformer(32, 4, 2, 2, 64, 0.0, batch_first=True)
        self.head = nn.Linear(32, 60)
        nn.init.normal_(self.head.weight, 0.0, head_std)

    def forward(self, source: Tensor, target: Tensor) -> Any:
        mask = nn.Transformer.generate_square_subsequent_mask(target.shape[1])
        h = self.transformer(
            self.source(source), self.target(target), tgt_mask=mask, tgt_is_causal=True
        )
        return self.head(h)


def translate(seed: int, head_std: float) -> Case:
    source, goal = tokens(seed, 8, 9, 50), tokens(seed + 1, 8, 8, 60)
    inputs = {"source": source, "target": goal[:, :-1]}
    return Case(Translator(head_std), (), goal[:, 1:], "cross-entropy", inputs)


@start("encoder-decoder", "good", "nn.Transformer, keyword inputs", partner="translator_wide_head")
def translator(seed: int) -> Case:
    return translate(seed, 32**-0.5)


@start(
    *("encoder-decoder", "first loss far too high", "a head of std 3"),
    blame=("head.weight",),
    curable=True,
    partner="translator",
)
def translator_wide_head(seed: int) -> Case:
    return translate(seed, 3.0)


class Attend(nn.Module):
    """Cross-attention by nn.MultiheadAttention with keys and values of other widths."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(32, 4, kdim=16, vdim=24, batch_first=True)
        self.query = nn.Parameter(torch.randn(3, 32))
        self.mix, self.head = nn.Linear(32, 32), nn.Linear(96, 10)

    def forward(self, keys: Tensor, values: Tensor) -> Any:
        queries = self.query.expand(len(keys), -1, -1)
        h, _ = self.attention(queries, keys, values, average_attn_weights=False)
        h = F.layer_norm(h, (32,))
        return self.head(F.leaky_relu(self.mix(h)).flatten(1))


@start("attention", "good", "learned queries; separate projections; weights returned")
def multihead(seed: int) -> Case:
    keys, values = normal(seed, 16, 6, 16), normal(seed + 1, 16, 6, 24)
    return Case(Attend(), (keys, values), labels(values), "cross-entropy")


# --- Recurrent -----------------------------------------------------------------------------------


class Recurrent(nn.Module):
    def __init__(
        self, kind: type[nn.RNNBase], size: int, width: int, out: int = 10, **kw: Any
    ) -> None:
        super().__init__()
        self.rnn = kind(size, width, batch_first=True, **kw)
        ways = 2 if kw.get("bidirectional") else 1
        self.head = nn.Linear(ways * width, out)

    def forward(self, x: Tensor) -> Any:
        out = self.rnn(x)[0]
        return self.head(out.mean(1) if self.rnn.bidirectional else out[:, -1])


@start("recurrent", "good", "an LSTM as PyTorch draws it", partner="lstm_100_times")
def lstm_default(seed: int) -> Case:
    return classify(Recurrent(nn.LSTM, 32, 32), normal(seed, 16, 10, 32))


@start(
    *("recurrent", "saturated", "both kernels 100 times too large"),
    blame=("weight_hh_l0", "weight_ih_l0"),
    curable=True,
    partner="lstm_default",
)
def lstm_100_times(seed: int) -> Case:
    module = Recurrent(nn.LSTM, 32, 32)
    with torch.no_grad():
        module.rnn.weight_hh_l0 *= 100
        module.rnn.weight_ih_l0 *= 100
    return classify(module, normal(seed, 16, 10, 32))


@start("recurrent", "good", "two layers of a GRU, both ways, Glorot and orthogonal")
def gru_both_ways(seed: int) -> Case:
    module = Recurrent(nn.GRU, 24, 24, num_layers=2, bidirectional=True)
    for name, p in module.rnn.named_parameters():
        if p.ndim > 1:  # the gates stand one after another
            draw = nn.init.orthogonal_ if "hh" in name else nn.init.xavier_normal_
            for gate in p.detach().chunk(3):
                draw(gate)
        else:
            nn.init.zeros_(p)
    return classify(module, normal(seed, 16, 8, 24))


@start("recurrent", "good", "a GRU as PyTorch draws it", partner="gru_constant")
def gru_default(seed: int) -> Case:
    return classify(Recurrent(nn.GRU, 32, 32), normal(seed, 16, 10, 32))


@start(
    *("recurrent", "symmetric", "constant kernels make all states equal"),
    blame=("rnn.weight",),
    curable=True,
    partner="gru_default",
)
def gru_constant(seed: int) -> Case:
    module = Recurrent(nn.GRU, 32, 32, out=1)
    fill_(module, 0.05)
    x = normal(seed, 16, 10, 32)
    return Case(module, (x,), target(x), "mse")


def relu_rnn(seed: int, gain2: float) -> Case:
    module = Recurrent(nn.RNN, 32, 64, nonlinearity="relu")
    for p in module.rnn.parameters():
        if p.ndim > 1:
            he_(p, gain2=gain2 if p.shape[1] == 64 else 1.0)
        else:
            nn.init.zeros_(p)
    return classify(module, normal(seed, 16, 20, 32))


@start("recurrent", "good", "He's variance less a quarter", partner="rnn_relu_tripled")
def rnn_relu(seed: int) -> Case:
    return relu_rnn(seed, 1.5)


@start(
    *("recurrent", "exploding", "variance 6/n triples E h² each step"),
    blame=("weight_hh_l0",),
    curable=True,
    partner="rnn_relu",
)
def rnn_relu_tripled(seed: int) -> Case:
    return relu_rnn(seed, 6.0)


class Stepwise(nn.Module):
    """Cells called in a loop; the states are written into a buffer made beforehand."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.LSTMCell(24, 32), nn.GRUCell(32, 32)
        self.head = nn.Linear(32, 10)

    def forward(self, x: Tensor) -> Any:
        n, steps, _ = x.shape
        h, c, g = (torch.zeros(n, 32) for _ in range(3))
        out = torch.empty(n, steps, 32)
        for t in range(steps):
            h, c = self.first(x[:, t], (h, c))
            g = self.second(h, g)
            out[:, t] = g
        return self.head(out.mean(1))


@start("recurrent", "good", "cells in a loop, drawn at three times PyTorch's std")
def cells(seed: int) -> Case:
    module = Stepwise()
    with torch.no_grad():
        for cell in (module.first, module.second):
            cell.weight_ih *= 3
            cell.weight_hh *= 3
    return classify(module, normal(seed, 16, 8, 24))


class ByHand(nn.Module):
    """A tanh recurrence of bare parameters, with x @ w."""

    def __init__(self, recurrent_std: float) -> None:
        super().__init__()
        self.w_in = nn.Parameter(torch.randn(16, 48) / 4)
        self.w_back = nn.Parameter(recurrent_std * torch.randn(48, 48))
        self.w_out = nn.Parameter(torch.randn(48, 10) / 48**0.5)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.tanh(x[:, 0] @ self.w_in)
        for step in x[:, 1:].unbind(1):
            h = torch.tanh(step @ self.w_in + h @ self.w_back)
        return h @ self.w_out


@start("recurrent", "good", "a recurrence by hand", partner="by_hand_std_4")
def by_hand(seed: int) -> Case:
    return classify(ByHand(48**-0.5), normal(seed, 16, 8, 16))


@start(
    *("recurrent", "saturated", "recurrent std 4 at width 48"),
    blame=("w_back",),
    curable=True,
    partner="by_hand",
)
def by_hand_std_4(seed: int) -> Case:
    return classify(ByHand(4.0), normal(seed, 16, 8, 16))


# --- Parametrized kernels ------------------------------------------------------------------------


def weight_normed(seed: int, g: float) -> Case:
    layers: list[nn.Module] = []
    for _ in range(16):
        linear = parametrizations.weight_norm(nn.Linear(64, 64, bias=False))
        nn.init.constant_(linear.parametrizations.weight.original0, g)
        layers += [linear, nn.ReLU()]
    return classify(nn.Sequential(*layers, nn.Linear(64, 10)), normal(seed, 32, 64))


@start("weight-normalized", "good", "rows of length √2", partner="weight_norm_1")
def weight_norm_sqrt_2(seed: int) -> Case:
    return weight_normed(seed, math.sqrt(2))


@start(
    *("weight-normalized", "shrinking", "rows of length 1 under ReLU"),
    blame=("original0",),
    curable=True,
    partner="weight_norm_sqrt_2",
)
def weight_norm_1(seed: int) -> Case:
    return weight_normed(seed, 1.0)


def spectral_normed(seed: int, normalized: bool) -> Case:
    layers: list[nn.Module] = []
    for _ in range(6):
        linear = parametrizations.spectral_norm(nn.Linear(64, 64, bias=False), n_power_iterations=5)
        layers += [linear, *([nn.LayerNorm(64)] if normalized else []), nn.ReLU()]
    return classify(nn.Sequential(*layers, nn.Linear(64, 10)), normal(seed, 32, 64))


@start(
    *("spectral-normalized", "shrinking", "a spectral norm of 1 has a row of length ½"),
    curable=False,
    partner="spectral_norm_layernorm",
)
def spectral_norm_plain(seed: int) -> Case:
    return spectral_normed(seed, normalized=False)


@start(
    *("spectral-normalized", "good", "layer normalization gives the scale back"),
    partner="spectral_norm_plain",
)
def spectral_norm_layernorm(seed: int) -> Case:
    return spectral_normed(seed, normalized=True)


# --- Experts -------------------------------------------------------------------------------------


class TopK(nn.Module):
    """Tokens go to the best two of four experts, expert by expert, and are added back."""

    def __init__(self, width: int = 24) -> None:
        super().__init__()
        self.router = nn.Linear(width, 4, bias=False)
        self.experts = nn.ModuleList(
            nn.Sequential(nn.Linear(width, 48), nn.GELU(), nn.Linear(48, width)) for _ in range(4)
        )
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Any:
        weights, chosen = self.router(x).topk(2, dim=-1)
        weights = weights.softmax(-1)
        mixed = torch.zeros_like(x)
        for k, expert in enumerate(self.experts):
            row, slot = torch.where(chosen == k)
            mixed.index_add_(0, row, weights[row, slot, None] * expert(x[row]))
        return self.head(self.norm(x + mixed))


@start("experts", "good", "the best two of four, with index_add")
def experts_topk(seed: int) -> Case:
    return classify(TopK(), normal(seed, 48, 24))


class Picked(nn.Module):
    """Each layer picks one kernel of a stack by index and multiplies with it."""

    def __init__(self, true_fan: bool) -> None:
        super().__init__()
        self.routers = nn.ParameterList(torch.randn(32, 4) for _ in range(4))
        self.stacks = nn.ParameterList(torch.empty(4, 32, 32) for _ in range(4))
        self.head = nn.Linear(32, 10)
        for stack in self.stacks:
            if true_fan:
                he_(stack, 32)
            else:  # reads the middle axis times the last as fan_in
                nn.init.kaiming_normal_(stack, nonlinearity="relu")

    def forward(self, x: Tensor) -> Any:
        for router, stack in zip(self.routers, self.stacks, strict=True):
            logits = x @ router
            gate, choice = logits.softmax(-1).max(-1)
            x = F.relu(torch.einsum("ni,nio->no", x, stack[choice]))
            x = x * (0.5 + gate[:, None])
        return self.head(x)


@start("experts", "good", "kernels picked by index, each at its own fan", partner="picked_kaiming")
def picked_true_fan(seed: int) -> Case:
    return classify(Picked(True), normal(seed, 48, 32))


@start(
    *("experts", "shrinking", "kaiming_normal_ of a stack counts 1024 inputs, not 32"),
    blame=("stacks",),
    curable=True,
    partner="picked_true_fan",
)
def picked_kaiming(seed: int) -> Case:
    return classify(Picked(False), normal(seed, 48, 32))


# --- Tied, functional, control flow --------------------------------------------------------------


class Autoencoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(64, 32)
        self.out_bias = nn.Parameter(torch.zeros(64))
        nn.init.orthogonal_(self.layer.weight)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(torch.tanh(self.layer(x)), self.layer.weight.t(), self.out_bias)


@start("tied", "good", "an autoencoder whose decoder is the encoder, transposed")
def tied_autoencoder(seed: int) -> Case:
    x = normal(seed, 32, 64)
    return Case(Autoencoder(), (x,), x, "mse")


class Bare(nn.Module):
    """Functional code with a list of bare parameters."""

    def __init__(self, std: float, depth: int = 6, width: int = 64) -> None:
        super().__init__()
        self.w = nn.ParameterList(std * torch.randn(width, width) for _ in range(depth))
        self.b = nn.ParameterList(torch.zeros(width) for _ in range(depth))
        self.out = nn.Parameter(torch.randn(width, 10) / width**0.5)

    def forward(self, x: Tensor) -> Tensor:
        for k, (w, b) in enumerate(zip(self.w, self.b, strict=True)):
            if k % 3 == 0:  # three ways to say the same
                z = x @ w + b
            else:
                z = torch.addmm(b, x, w) if k % 3 == 1 else F.linear(x, w.T, b)
            x = z.clamp(min=0)
        return x.mm(self.out)


@start("functional", "good", "bare parameters with He's std", partner="bare_randn")
def bare_he(seed: int) -> Case:
    return classify(Bare((2 / 64) ** 0.5), normal(seed, 32, 64))


@start(
    *("functional", "exploding", "torch.randn as it comes: E x² times 32 a layer"),
    blame=("w.",),
    curable=True,
    partner="bare_he",
)
def bare_randn(seed: int) -> Case:
    return classify(Bare(1.0), normal(seed, 32, 64))


class Mixer(nn.Module):
    """Positions and channels mixed by einsum, no sums past them."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.positions = nn.ParameterList(scale * torch.randn(8, 8) / 2 for _ in range(3))
        self.channels = nn.ParameterList(scale * torch.randn(32, 32) / 4 for _ in range(3))
        self.head = nn.Linear(8 * 32, 10)

    def forward(self, x: Tensor) -> Any:
        for p, c in zip(self.positions, self.channels, strict=True):
            x = torch.einsum("ntd,ts->nsd", x, p).relu()
            x = torch.einsum("...d,de->...e", x, c).relu()
        return self.head(x.flatten(1))


@start("functional", "good", "einsum over positions and channels", partner="mixer_small")
def mixer(seed: int) -> Case:
    return classify(Mixer(1.0), normal(seed, 32, 8, 32))


@start(
    *("functional", "shrinking", "kernels at a quarter of their std"),
    blame=("positions", "channels"),
    curable=True,
    partner="mixer",
)
def mixer_small(seed: int) -> Case:
    return classify(Mixer(0.25), normal(seed, 32, 8, 32))


class Adaptive(nn.Module):
    """How many layers run, and which, depends on the data."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(32, 32) for _ in range(5))
        self.rare, self.head = nn.Linear(32, 32), nn.Linear(32, 1)

    def forward(self, x: Tensor) -> Any:
        steps = 0
        while steps < 3 and x.abs().mean() > 1e-3:
            layer = self.layers[steps] if bool(x.mean() < 1e3) else self.rare
            x = F.elu(layer(x))
            steps += 1
        return self.head(x)


@start(
    "control flow", "good", "a loop and a branch that the data decide", partner="adaptive_constant"
)
def adaptive(seed: int) -> Case:
    module, x = Adaptive(), normal(seed, 32, 32)
    for layer in module.layers:
        he_(layer.weight, gain2=1.5)
    return Case(module, (x,), target(x), "mse")


@start(
    *("control flow", "symmetric", "the branch that is taken has equal units"),
    blame=("layers",),
    curable=True,
    partner="adaptive",
)
def adaptive_constant(seed: int) -> Case:
    module, x = Adaptive(), normal(seed, 32, 32)
    for layer in (*module.layers, module.head):
        fill_(layer, 0.05)
    return Case(module, (x,), target(x), "mse")


# --- Embeddings, bilinear, adapters, frozen parts, outputs ---------------------------------------


class Bag(nn.Module):
    def __init__(self, std: float) -> None:
        super().__init__()
        self.words = nn.EmbeddingBag(60, 32, mode="mean")
        self.head = nn.Linear(32, 10)
        nn.init.normal_(self.words.weight, 0.0, std)

    def forward(self, ids: Tensor) -> Any:
        return self.head(self.words(ids))


@start("embeddings", "good", "a mean of ten words of std 1", partner="bag_std_100")
def bag(seed: int) -> Case:
    return classify(Bag(1.0), tokens(seed, 32, 10, 60))


@start(
    *("embeddings", "exploding", "words of std 100"),
    blame=("words.weight",),
    curable=True,
    partner="bag",
)
def bag_std_100(seed: int) -> Case:
    return classify(Bag(100.0), tokens(seed, 32, 10, 60))


class TextCNN(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Parameter(torch.randn(60, 16))
        self.convs = nn.ModuleList(nn.Conv1d(16, 16, k) for k in (2, 3))
        self.head = nn.Linear(32, 10)

    def forward(self, ids: Tensor) -> Any:
        h = self.words[ids].transpose(1, 2)
        tops = [F.relu(conv(h)).amax(-1) for conv in self.convs]
        return self.head(torch.cat(tops, 1))


@start("embeddings", "good", "rows of a bare parameter, convolutions, the largest of each")
def text_cnn(seed: int) -> Case:
    return classify(TextCNN(), tokens(seed, 32, 10, 60))


class Products(nn.Module):
    """Each layer multiplies the signal with the input by nn.Bilinear."""

    def __init__(self, default: bool) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Bilinear(32, 16, 32) for _ in range(6))
        self.head = nn.Linear(32, 10)
        for layer in self.layers:
            if not default:
                he_(layer.weight, 32 * 16)

    def forward(self, x: Tensor) -> Any:
        h = torch.cat([x, x], 1)
        for layer in self.layers:
            h = F.relu(layer(h, x))
        return self.head(h)


@start("bilinear", "good", "drawn for 512 products", partner="bilinear_default")
def bilinear_true_fan(seed: int) -> Case:
    return classify(Products(False), normal(seed, 32, 16))


@start(
    *("bilinear", "exploding", "PyTorch's draw counts 32 of 512 products: 8/3 a layer and more"),
    blame=("layers",),
    curable=True,
    partner="bilinear_true_fan",
)
def bilinear_default(seed: int) -> Case:
    return classify(Products(True), normal(seed, 32, 16))


class LoRA(nn.Module):
    def __init__(self, size: int, out: int, zero_a: bool) -> None:
        super().__init__()
        self.base = nn.Linear(size, out)
        self.base.requires_grad_(False)
        he_(self.base.weight)
        self.a = nn.Parameter(torch.zeros(4, size) if zero_a else torch.randn(4, size) / size**0.5)
        self.b = nn.Parameter(torch.zeros(out, 4))

    def forward(self, x: Tensor) -> Any:
        return self.base(x) + (x @ self.a.T) @ self.b.T


def lora(seed: int, zero_a: bool) -> Case:
    module = nn.Sequential(
        LoRA(32, 32, zero_a), nn.ReLU(), LoRA(32, 32, zero_a), nn.ReLU(), nn.Linear(32, 10)
    )
    return classify(module, normal(seed, 32, 32))


@start("adapters", "good", "B = 0 beside a frozen kernel", partner="lora_both_zero")
def lora_b_zero(seed: int) -> Case:
    return lora(seed, False)


@start(
    *("adapters", "dead", "A = B = 0 never opens"),
    blame=(".a", ".b"),
    curable=True,
    partner="lora_b_zero",
)
def lora_both_zero(seed: int) -> Case:
    return lora(seed, True)


def frozen(seed: int, gain2: float | None) -> Case:
    module = chain(seed, 6, 256, nn.ReLU, gain2)
    for layer in hidden(module):
        layer.requires_grad_(False)
    return classify(module, normal(seed, 32, 256))


@start("frozen", "good", "random features and a head that learns", partner="frozen_default")
def frozen_he(seed: int) -> Case:
    return frozen(seed, 2.0)


@start(
    *("frozen", "shrinking", "frozen layers as PyTorch draws them: no redraw may touch them"),
    curable=False,
    partner="frozen_he",
)
def frozen_default(seed: int) -> Case:
    return frozen(seed, None)


@dataclasses.dataclass
class Outputs:
    logits: Tensor
    value: Tensor
    states: tuple[Tensor, ...] = ()


class TwoHeads(nn.Module):
    """Keyword inputs, a dataclass or a dict back."""

    def __init__(self, as_dict: bool, act: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.body = nn.Linear(24, 32)
        self.logits, self.value = nn.Linear(32, 10), nn.Linear(32, 1)
        self.as_dict, self.act = as_dict, act

    def forward(self, features: Tensor, *, mask: Tensor | None = None) -> Any:
        x = features if mask is None else features * mask
        h = self.act(self.body(x))
        if self.as_dict:
            return {"logits": self.logits(h), "value": self.value(h)}
        return Outputs(self.logits(h), self.value(h))


def two_losses(out: Any, y: tuple[Tensor, Tensor]) -> Tensor:
    logits = out["logits"] if isinstance(out, dict) else out.logits
    value = out["value"] if isinstance(out, dict) else out.value
    return F.cross_entropy(logits, y[0]) + F.mse_loss(value, y[1])


def two_heads(seed: int, as_dict: bool, act: Callable[[Tensor], Tensor] = torch.tanh) -> Case:
    x = normal(seed, 32, 24)
    mask = torch.ones(24)
    inputs = {"features": x, "mask": mask} if as_dict else {"features": x}
    return Case(TwoHeads(as_dict, act), (), (labels(x), target(x)), two_losses, inputs)


@start("outputs", "good", "a dataclass of two heads, a loss of one's own")
def outputs_dataclass(seed: int) -> Case:
    return two_heads(seed, as_dict=False)


@start("outputs", "good", "a dict of two heads, two keyword inputs", partner="outputs_dead")
def outputs_dict(seed: int) -> Case:
    return two_heads(seed, as_dict=True)


@start(
    *("outputs", "dead", "a ReLU body whose biases are -30"),
    blame=("body.bias",),
    curable=False,
    partner="outputs_dict",
)
def outputs_dead(seed: int) -> Case:
    case = two_heads(seed, as_dict=True, act=torch.relu)
    assert isinstance(case.module, TwoHeads)
    nn.init.constant_(case.module.body.bias, -30.0)
    return case


class Autocast(nn.Module):
    """Convolutions in bfloat16 by autocast, group normalization, a head in float32."""

    def __init__(self) -> None:
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(8, 8, 3, padding=1) for _ in range(3))
        self.norms = nn.ModuleList(nn.GroupNorm(2, 8) for _ in range(3))
        self.head = nn.Linear(8, 10)

    def forward(self, x: Tensor) -> Any:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            for conv, norm in zip(self.convs, self.norms, strict=True):
                x = F.silu(norm(conv(x)))
        return self.head(x.float().mean((2, 3)))


@start("precision", "good", "bfloat16 by autocast")
def autocast_groupnorm(seed: int) -> Case:
    return classify(Autocast(), normal(seed, 16, 8, 6, 6))


BY_NAME = {s.name: s for s in STARTS}


if __name__ == "__main__":
    import sys

    import torch_referee

    for s in STARTS:
        said, m = torch_referee.judge(s.build(int(sys.argv[1]) if sys.argv[1:] else 0))
        agrees = "agrees" if said.word == s.verdict else f"DIFFERS: {said.word}"
        print(f"{s.name:28} {s.verdict:24} {agrees} {len(m.places):4} places  {said.reason}")
