"""Starts of networks whose truth is known: what the audit is measured against.

Each `Start` builds a model with seeded weights and data, small enough to compile in seconds, and
says what is right to say of it. The verdicts were fixed with `tests/referee.py` and by training,
before there was a judge to please. A healthy and a broken start of one kind stand side by side
(`partner`); the cured version of an unsound start is its partner.

`blame` names parameters by a part of their path, as the framework writes it; it is empty where no
kernel is at fault (inputs, a sum of branches, an activation). `curable`: whether drawing kernels
again, at the scale of their own site, makes the start sound.
"""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Callable
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "jax")

import jax
import jax.numpy as jnp
import keras
import numpy as np
import referee
from keras import layers as L
from keras import ops


@dataclasses.dataclass(frozen=True)
class Case:
    """A built start. `model` is what its framework calls a model, or f(params, x) in plain JAX."""

    model: Any
    x: Any
    y: Any = None
    loss: Any = None  # "cross-entropy" (logits), "mse", or None: the seeded cotangent
    params: dict[str, Any] | None = None  # plain JAX only
    training: bool | None = None  # Keras only: handed to the call
    call: Any = None  # NNX and Equinox: call(model, x), where it is not model(x), vmap(model)(x)


@dataclasses.dataclass(frozen=True)
class Start:
    name: str
    framework: str  # "keras", "flax.nnx", "equinox", "jax"
    source: str  # the library whose network it is, or "here"
    build: Callable[[int], Case]
    verdict: str
    reason: str
    blame: tuple[str, ...] = ()
    curable: bool | None = None  # None: nothing to cure
    partner: str | None = None
    slow: bool = False  # not for a selection that must end in 90 s
    kind: str = ""


STARTS: list[Start] = []


def start(
    framework: str, source: str, verdict: str, reason: str, **kw: Any
) -> Callable[[Any], Any]:
    """Put a builder on the list under its function's name (or `name`)."""

    def put(build: Callable[[int], Case]) -> Callable[[int], Case]:
        name = kw.pop("name", None) or build.__name__
        STARTS.append(Start(name, framework, source, build, verdict, reason, **kw))
        return build

    return put


def function_of(case: Case) -> tuple[referee.Function, dict[str, Any]]:
    """What the referee and training run."""
    if case.params is not None:
        return case.model, case.params
    if isinstance(case.model, keras.Layer):
        return referee.from_keras(case.model, case.training)
    if type(case.model).__module__.startswith("equinox") or _is_equinox(case.model):
        return referee.from_equinox(case.model, case.call)
    return referee.from_nnx(case.model, case.call)


def _is_equinox(model: Any) -> bool:
    import equinox as eqx

    return isinstance(model, eqx.Module)


# --- Data ----------------------------------------------------------------------------------------


def normal(seed: int, *shape: int, scale: float = 1.0) -> np.ndarray:
    return np.random.default_rng([seed, 1]).standard_normal(shape).astype(np.float32) * scale


def labels(x: np.ndarray, classes: int = 10) -> np.ndarray:
    """Classes that a linear teacher gives: they can be learned."""
    flat = np.asarray(x, np.float64).reshape(len(x), -1)
    flat = (flat - flat.mean()) / (flat.std() or 1)
    teacher = np.random.default_rng(99).standard_normal((flat.shape[1], classes))
    return np.argmax(flat @ teacher, axis=1).astype(np.int32)


def target(x: np.ndarray) -> np.ndarray:
    """Numbers of variance 1 from a linear teacher, one an example."""
    flat = np.asarray(x, np.float64).reshape(len(x), -1)
    flat = (flat - flat.mean()) / (flat.std() or 1)
    t = flat @ np.random.default_rng(98).standard_normal(flat.shape[1])
    return ((t - t.mean()) / t.std()).astype(np.float32)[:, None]


def tokens(seed: int, n: int, length: int, vocabulary: int) -> np.ndarray:
    return np.random.default_rng([seed, 2]).integers(1, vocabulary, (n, length)).astype(np.int32)


def classify(model: Any, x: np.ndarray, classes: int = 10, **kw: Any) -> Case:
    return Case(model, x, labels(x, classes), "cross-entropy", **kw)


def draw(seed: int) -> Callable[..., np.ndarray]:
    """std · N(0, 1) of the given shape, in float32, one stream a start."""
    rng = np.random.default_rng([seed, 3])
    return lambda std, *shape: (std * rng.standard_normal(shape)).astype(np.float32)


def scaling(scale: float, mode: str = "fan_in", seed: int | None = 0) -> Any:
    """Without a seed Keras draws one from `random`, which `set_random_seed` has to have fixed."""
    return keras.initializers.VarianceScaling(scale, mode, "untruncated_normal", seed)


def seeded(build: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(build)
    def wrapped(seed: int, *a: Any, **kw: Any) -> Any:
        keras.utils.set_random_seed(seed)
        return build(seed, *a, **kw)

    return wrapped


# --- Chains: Keras -------------------------------------------------------------------------------


def dense_chain(
    seed: int,
    depth: int,
    activation: Any,
    kernel: Any,
    width: int = 64,
    head: Any = None,
    **kw: Any,
) -> Case:
    keras.utils.set_random_seed(seed)
    hidden = [
        L.Dense(width, activation=activation, kernel_initializer=kernel, **kw) for _ in range(depth)
    ]
    # One initializer would give layers of one shape the same kernel.
    for k, layer in enumerate(hidden):
        if isinstance(kernel, keras.initializers.VarianceScaling):
            layer.kernel_initializer = kernel.clone()
            layer.kernel_initializer.seed = seed * 1000 + k
    model = keras.Sequential(
        [
            keras.Input((width,)),
            *hidden,
            L.Dense(10, kernel_initializer=head or scaling(1.0, seed=None)),
        ]
    )
    return classify(model, normal(seed, 32, width))


def chain_start(name: str, verdict: str, reason: str, *args: Any, **kw: Any) -> None:
    keep = {k: kw.pop(k) for k in ("blame", "curable", "partner", "slow", "kind") if k in kw}
    STARTS.append(
        Start(
            name,
            "keras",
            "here",
            lambda seed: dense_chain(seed, *args, **kw),
            verdict,
            reason,
            **keep,
        )
    )


chain_start(
    "relu_20_he", "good", "He keeps E z²", 20, "relu", scaling(2.0), partner="relu_20_glorot"
)
chain_start(
    "relu_20_glorot",
    "shrinking",
    "each layer halves E x²",
    *(20, "relu", "glorot_uniform"),
    blame=("dense",),
    curable=True,
    partner="relu_20_he",
)
chain_start(
    "relu_20_doubled",
    "exploding",
    "variance 4/n doubles E x²",
    *(20, "relu", scaling(4.0)),
    blame=("dense",),
    curable=True,
    partner="relu_20_he",
)
chain_start(
    "tanh_10_std_3",
    "saturated",
    "std 3 at width 64: |z| about 24",
    *(10, "tanh", scaling(64.0 * 9)),
    blame=("dense",),
    curable=True,
    partner="tanh_10_deep_gain",
)
chain_start(
    "tanh_10_deep_gain",
    "good",
    "gain 1.4 for ten layers",
    *(10, "tanh", scaling(1.96)),
    partner="tanh_10_std_3",
)
chain_start(
    "tanh_10_std_01",
    "shrinking",
    "std .01 multiplies by .0064",
    *(10, "tanh", scaling(0.0064)),
    blame=("dense",),
    curable=True,
    partner="tanh_10_deep_gain",
)
chain_start("sigmoid_3_glorot", "good", "three layers still vary", 3, "sigmoid", "glorot_uniform")
chain_start(
    "sigmoid_20_glorot",
    "collapsed",
    "each layer keeps 5 % of differences",
    *(20, "sigmoid", "glorot_uniform"),
    blame=("dense",),
    curable=True,
    partner="sigmoid_10_deep_gain",
)
chain_start("sigmoid_10_deep_gain", "good", "gain 6.5 for ten layers", 10, "sigmoid", scaling(42.0))
chain_start(
    "sigmoid_4_std_3",
    "saturated",
    "weights nine times too large",
    *(4, "sigmoid", scaling(3000.0)),
    blame=("dense",),
    curable=True,
    partner="sigmoid_3_glorot",
)
chain_start("selu_30_lecun", "good", "LeCun is SELU's fixed point", 30, "selu", scaling(1.0))
chain_start("gelu_10_deep_gain", "good", "gain 1.52 for ten layers", 10, "gelu", scaling(2.31))
chain_start(
    "silu_30_he",
    "shrinking",
    "He loses SiLU: 3e-9",
    *(30, "silu", scaling(2.0)),
    blame=("dense",),
    curable=True,
)
chain_start(
    "relu_zeros",
    "dead",
    "zeros pass no gradient on",
    *(3, "relu", "zeros"),
    head="zeros",
    blame=("dense",),
    curable=True,
    partner="relu_20_he",
)
chain_start(
    "sigmoid_zeros",
    "symmetric",
    "all units stay equal",
    *(2, "sigmoid", "zeros"),
    head="zeros",
    blame=("dense",),
    curable=True,
    partner="sigmoid_3_glorot",
)
chain_start(
    "tanh_constant",
    "symmetric",
    "constant kernels, equal units",
    *(2, "tanh", keras.initializers.Constant(0.05)),
    head=keras.initializers.Constant(0.05),
    blame=("dense",),
    curable=True,
    partner="tanh_10_deep_gain",
)
chain_start(
    "constant_first_random_head",
    "good",
    "outgoing weights separate the units",
    *(1, "tanh", keras.initializers.Constant(0.05)),
)
chain_start(
    "zero_head", "good", "a zero head waits one step", 3, "relu", scaling(2.0), head="zeros"
)
chain_start(
    "relu_bias_minus_10",
    "dead",
    "no unit ever fires",
    *(3, "relu", scaling(2.0)),
    bias_initializer=keras.initializers.Constant(-10.0),
    blame=("bias",),
    curable=False,
    partner="relu_20_he",
)
chain_start(
    "head_ten_times",
    "first loss far too high",
    "head variance 400/n",
    *(3, "relu", scaling(2.0)),
    head=scaling(400.0, seed=99),  # of 0 the first kernel is drawn
    blame=("dense_3",),
    curable=True,
    partner="zero_head",
)


@start("keras", "here", "dead", "a ReLU output below zero", blame=(), curable=False)
@seeded
def relu_output_dead(seed: int) -> Case:
    last = L.Dense(1, activation="relu", bias_initializer=keras.initializers.Constant(-5.0))
    model = keras.Sequential(
        [keras.Input((16,)), L.Dense(32, activation="relu", kernel_initializer="he_normal"), last]
    )
    x = normal(seed, 32, 16)
    return Case(model, x, target(x), "mse")


@start(
    *("keras", "here", "inputs unscaled", "columns of 1e3"),
    curable=False,
    partner="tabular_standardized",
)
@seeded
def tabular_1e3(seed: int, scale: float = 1e3) -> Case:
    model = keras.Sequential(
        [keras.Input((16,)), *[L.Dense(64, activation="relu") for _ in range(2)], L.Dense(1)]
    )
    x = normal(seed, 64, 16)
    return Case(model, x * np.float32(scale), target(x), "mse")


@start("keras", "here", "good", "the same, standardized", partner="tabular_1e3")
def tabular_standardized(seed: int) -> Case:
    return tabular_1e3(seed, 1.0)


@start(
    *("keras", "here", "inputs unscaled", "mean 100 hides the differences"),
    curable=False,
    partner="tabular_standardized",
)
def tabular_offset(seed: int) -> Case:
    case = tabular_1e3(seed, 1.0)
    return dataclasses.replace(case, x=case.x + np.float32(100))


@start(
    *("keras", "here", "inputs unscaled", "columns of 1e-3"),
    curable=False,
    partner="tabular_standardized",
)
def tabular_1e_minus_3(seed: int) -> Case:
    return tabular_1e3(seed, 1e-3)


def pixels(seed: int, n: int = 16, size: int = 16) -> np.ndarray:
    return np.random.default_rng([seed, 4]).integers(0, 256, (n, size, size, 3)).astype(np.float32)


def small_cnn(seed: int, *first: Any, norm: bool = False) -> Case:
    keras.utils.set_random_seed(seed)
    x = pixels(seed)
    net: list[Any] = [keras.Input((16, 16, 3)), *first]
    for width in (16, 32, 32):
        net.append(L.Conv2D(width, 3, 2, padding="same", kernel_initializer="he_normal"))
        net += [L.BatchNormalization()] if norm else []
        net.append(L.ReLU())
    model = keras.Sequential([*net, L.GlobalAveragePooling2D(), L.Dense(10)])
    return classify(model, x, training=True)


@start(
    "keras", "here", "inputs unscaled", "bytes, no rescaling", curable=False, partner="cnn_rescaled"
)
def cnn_bytes(seed: int) -> Case:
    return small_cnn(seed)


@start("keras", "here", "good", "the model rescales bytes itself", partner="cnn_bytes")
def cnn_rescaled(seed: int) -> Case:
    return small_cnn(seed, L.Rescaling(1 / 127.5, -1))


@start("keras", "here", "good", "batch normalization removes the scale", partner="cnn_bytes")
def cnn_bytes_batchnorm(seed: int) -> Case:
    return small_cnn(seed, norm=True)


# --- Geometry of kernels -------------------------------------------------------------------------


def separable(seed: int, correct: bool) -> Case:
    keras.utils.set_random_seed(seed)
    kw = {}
    if correct:  # each depthwise output reads nine numbers; Keras counts 576
        kw = {
            "depthwise_initializer": keras.initializers.RandomNormal(stddev=1 / 3),
            "pointwise_initializer": scaling(2.0, seed=None),
        }
    blocks = []
    for k in range(5):
        own = {n: i.clone() for n, i in kw.items()}
        for i in own.values():
            i.seed = 7 * seed + k
        blocks.append(L.SeparableConv2D(64, 3, padding="same", activation="relu", **own))
    model = keras.Sequential(
        [keras.Input((8, 8, 64)), *blocks, L.GlobalAveragePooling2D(), L.Dense(10)]
    )
    return classify(model, normal(seed, 8, 8, 8, 64))


@start(
    *("keras", "here", "shrinking", "depthwise fan counted 64 times"),
    blame=("depthwise",),
    curable=True,
    partner="separable_true_fan",
)
def separable_default(seed: int) -> Case:
    return separable(seed, False)


@start("keras", "here", "good", "depthwise drawn for nine", partner="separable_default")
def separable_true_fan(seed: int) -> Case:
    return separable(seed, True)


def transposed(seed: int, correct: bool) -> Case:
    keras.utils.set_random_seed(seed)
    layers: list[Any] = [
        keras.Input((64,)),
        L.Dense(1024, kernel_initializer=scaling(1.0, seed=None)),
    ]
    layers += [L.ReLU(), L.Reshape((4, 4, 64))]
    c = 64
    for k, width in enumerate((48, 32, 24, 16, 3)):
        # Each output sees k² c / s² inputs. Keras's he_normal takes the wrong axis and no stride.
        std = np.sqrt(2 * 4 / (16 * c))
        kernel = keras.initializers.RandomNormal(stddev=std, seed=10 * seed + k)
        layers.append(
            L.Conv2DTranspose(
                *(width, 4, 1 if k == 4 else 2),
                padding="same",
                activation=None if k == 4 else "relu",
                kernel_initializer=kernel if correct else "glorot_uniform",
            )
        )
        c = width
    return Case(keras.Sequential(layers), normal(seed, 8, 64))


@start(
    *("keras", "here", "shrinking", "stride 2 leaves a quarter"),
    blame=("conv2d_transpose",),
    curable=True,
    partner="transposed_true_fan",
)
def transposed_glorot(seed: int) -> Case:
    return transposed(seed, False)


@start("keras", "here", "good", "drawn for the strided fan", partner="transposed_glorot")
def transposed_true_fan(seed: int) -> Case:
    return transposed(seed, True)


def mixed_convolutions(seed: int, scale: float) -> Case:
    """Grouped, dilated, strided, 1 × 1 and 5 × 5, each at its own fan; scale 1 is He."""
    keras.utils.set_random_seed(seed)
    kinds = [
        {"kernel_size": 3, "groups": 4},
        {"kernel_size": 3, "dilation_rate": 2},
        {"kernel_size": 3, "strides": 2},
        {"kernel_size": 1},
        {"kernel_size": 5, "groups": 8},
        {"kernel_size": 3},
    ]
    layers = []
    for k, kind in enumerate(kinds):
        fan = kind["kernel_size"] ** 2 * 32 // kind.get("groups", 1)
        kernel = keras.initializers.RandomNormal(stddev=np.sqrt(2 * scale / fan), seed=seed + k)
        layers.append(
            L.Conv2D(32, padding="same", activation="relu", kernel_initializer=kernel, **kind)
        )
    model = keras.Sequential(
        [keras.Input((12, 12, 32)), *layers, L.GlobalAveragePooling2D(), L.Dense(10)]
    )
    return classify(model, normal(seed, 8, 12, 12, 32))


@start("keras", "here", "good", "every fan counted right", partner="convolutions_tenth")
def convolutions_true_fan(seed: int) -> Case:
    return mixed_convolutions(seed, 1.0)


@start(
    *("keras", "here", "shrinking", "variance a tenth of He's"),
    blame=("conv2d",),
    curable=True,
    partner="convolutions_true_fan",
)
def convolutions_tenth(seed: int) -> Case:
    return mixed_convolutions(seed, 0.1)


@start(
    *("keras", "here", "symmetric", "filters of ones stay equal"),
    blame=("conv2d",),
    curable=True,
    partner="convolutions_true_fan",
)
@seeded
def convolution_ones(seed: int) -> Case:
    def conv() -> Any:
        return L.Conv2D(
            *(8, 3),
            padding="same",
            activation="relu",
            kernel_initializer=keras.initializers.Constant(0.1),
        )

    head = L.Dense(10, kernel_initializer=keras.initializers.Constant(0.1))
    model = keras.Sequential(
        [keras.Input((8, 8, 3)), conv(), conv(), L.GlobalAveragePooling2D(), head]
    )
    return classify(model, normal(seed, 16, 8, 8, 3))


# --- Graphs --------------------------------------------------------------------------------------


def residual(seed: int, blocks: int, factor: float, last: str = "he_normal") -> Case:
    keras.utils.set_random_seed(seed)
    i = keras.Input((64,))
    h = i
    for _ in range(blocks):
        b = L.Dense(64, activation="relu", kernel_initializer="he_normal")(h)
        b = L.Dense(64, kernel_initializer=last)(b)
        h = h + factor * b
    return classify(keras.Model(i, L.Dense(10)(h)), normal(seed, 32, 64))


@start(
    *("keras", "here", "exploding", "each branch doubles or triples E x²"),
    curable=False,
    partner="residual_scaled",
)
def residual_unscaled(seed: int) -> Case:
    return residual(seed, 24, 1.0)


@start("keras", "here", "good", "branches over the root of 24", partner="residual_unscaled")
def residual_scaled(seed: int) -> Case:
    return residual(seed, 24, 24**-0.5)


@start("keras", "here", "good", "zero branches open after one step", partner="residual_unscaled")
def residual_zero_last(seed: int) -> Case:
    return residual(seed, 12, 1.0, "zeros")


@start("keras", "here", "good", "zero gammas wait one step")
@seeded
def residual_zero_gamma(seed: int) -> Case:
    i = keras.Input((8, 8, 1))
    x = L.Conv2D(16, 3, padding="same")(i)
    for _ in range(3):
        b = L.Conv2D(16, 3, padding="same")(x)
        x = x + L.BatchNormalization(gamma_initializer="zeros")(b)
    model = keras.Model(i, L.Dense(10)(L.GlobalAveragePooling2D()(x)))
    return classify(model, normal(seed, 16, 8, 8, 1), training=True)


class PreNormBlock(L.Layer):
    def __init__(self) -> None:
        super().__init__()
        self.norm = L.LayerNormalization()
        self.up, self.down = L.Dense(256, activation="gelu"), L.Dense(64)

    def build(self, shape: Any) -> None:
        self.norm.build(shape)
        self.up.build(shape)
        self.down.build((None, 256))

    def call(self, x: Any) -> Any:
        return x + self.down(self.up(self.norm(x)))


@start("keras", "here", "good", "residual sum inside a layer")
@seeded
def block_as_layer(seed: int) -> Case:
    model = keras.Sequential(
        [keras.Input((64,)), L.Dense(64), *[PreNormBlock() for _ in range(8)], L.Dense(4)]
    )
    return classify(model, normal(seed, 32, 64), 4)


@start("keras", "here", "good", "towers are not a chain")
@seeded
def parallel_towers(seed: int) -> Case:
    i = keras.Input((64,))
    towers = []
    for _ in range(10):
        h = L.Dense(32, activation="relu")(i)
        towers.append(L.Dense(32, activation="relu")(h))
    model = keras.Model(i, L.Dense(10)(L.Concatenate()(towers)))
    return classify(model, normal(seed, 32, 64))


def siamese(seed: int, scale: float) -> Case:
    keras.utils.set_random_seed(seed)
    a, b = keras.Input((32,)), keras.Input((32,))
    tower = keras.Sequential(
        [
            L.Dense(
                *(32,),
                activation="relu",
                kernel_initializer=keras.initializers.RandomNormal(
                    stddev=np.sqrt(2 * scale / 32), seed=seed + k
                ),
            )
            for k in range(8)
        ]
    )
    model = keras.Model([a, b], L.Dense(4)(L.Concatenate()([tower(a), tower(b)])))
    xa, xb = normal(seed, 32, 32), normal(seed + 1, 32, 32)
    return Case(model, [xa, xb], labels(np.concatenate([xa, xb], 1), 4), "cross-entropy")


@start("keras", "here", "good", "one tower met twice", partner="siamese_small")
def siamese_he(seed: int) -> Case:
    return siamese(seed, 1.0)


@start(
    *("keras", "here", "shrinking", "tower of a fifth of He's variance"),
    blame=("dense",),
    curable=True,
    partner="siamese_he",
)
def siamese_small(seed: int) -> Case:
    return siamese(seed, 0.1)


# --- Loops in Keras ------------------------------------------------------------------------------


class Looped(keras.Model):
    """One dense layer applied by each of the loops of `keras.ops`, then a head."""

    def __init__(self, how: str, steps: int = 3, kernel: Any = "he_normal") -> None:
        super().__init__()
        self.how, self.steps = how, steps
        self.cell, self.head = (
            L.Dense(64, activation="relu", kernel_initializer=kernel),
            L.Dense(10),
        )
        self.cell.build((None, 64))
        self.head.build((None, 64))

    def call(self, x: Any) -> Any:
        n = self.steps
        if self.how == "fori":
            h = ops.fori_loop(0, n, lambda k, h: self.cell(h), x)
        elif self.how == "while":
            h = ops.while_loop(lambda k, h: k < n, lambda k, h: (k + 1, self.cell(h)), (0, x))[1]
        elif self.how == "scan":
            h, _ = ops.scan(lambda h, k: (self.cell(h), k), x, ops.arange(n))
        elif self.how == "cond":
            h = ops.cond(ops.sum(x) > 0, lambda: self.cell(x), lambda: self.cell(-x))
        elif self.how == "map":
            h = ops.map(lambda e: self.cell(e[None])[0], x)
        elif self.how == "vectorized_map":
            h = ops.vectorized_map(lambda e: self.cell(e[None])[0], x)
        else:
            h = keras.remat(self.cell.__call__)(x)
        return self.head(h)


def looped(how: str, n: int = 16, **kw: Any) -> Callable[[int], Case]:
    def build(seed: int) -> Case:
        keras.utils.set_random_seed(seed)
        model = Looped(how, **kw)
        x = normal(seed, n, 64)
        model(x[:2])
        return classify(model, x)

    return build


for _how in ("fori", "while", "scan", "cond", "map", "vectorized_map", "remat"):
    STARTS.append(
        Start(
            *(f"keras_{_how}", "keras", "here", looped(_how, n=8 if _how == "map" else 16), "good"),
            "the loop applies a He layer",
        )
    )
STARTS.append(
    Start(
        *("keras_fori_exploding", "keras", "here"),
        looped("fori", steps=16, kernel=scaling(8.0)),
        *("exploding", "sixteen turns of factor four"),
        blame=("dense",),
        curable=True,
        partner="keras_fori",
    )
)


# --- Recurrence ----------------------------------------------------------------------------------


def recurrent(seed: int, layer: Any, factor: float = 1.0, length: int = 10) -> Case:
    keras.utils.set_random_seed(seed)
    model = keras.Sequential([keras.Input((length, 8)), layer(), L.Dense(10)])
    kernel = next(w for w in model.trainable_variables if "recurrent_kernel" in w.path)
    kernel.assign(factor * kernel)
    return classify(model, normal(seed, 16, length, 8))


@start("keras", "keras", "good", "gates and a forget bias of 1")
def lstm(seed: int) -> Case:
    return recurrent(seed, lambda: L.LSTM(32))


@start("keras", "keras", "good", "orthogonal recurrence")
def gru(seed: int) -> Case:
    return recurrent(seed, lambda: L.GRU(32))


@start("keras", "keras", "good", "orthogonal recurrence", partner="simple_rnn_ten_times")
def simple_rnn(seed: int) -> Case:
    return recurrent(seed, lambda: L.SimpleRNN(32))


@start(
    *("keras", "keras", "saturated", "recurrent kernel ten times too large"),
    blame=("recurrent_kernel",),
    curable=True,
    partner="simple_rnn",
)
def simple_rnn_ten_times(seed: int) -> Case:
    return recurrent(seed, lambda: L.SimpleRNN(32), 10.0, 20)


@start(
    *("keras", "keras", "exploding", "ReLU recurrence, twice each step"),
    blame=("recurrent_kernel",),
    curable=True,
    partner="simple_rnn",
)
def relu_rnn_exploding(seed: int) -> Case:
    return recurrent(seed, lambda: L.SimpleRNN(32, activation="relu"), 3.0, 16)


@start("keras", "keras", "good", "one dense layer at each time")
@seeded
def time_distributed(seed: int) -> Case:
    model = keras.Sequential(
        [
            keras.Input((6, 16)),
            L.TimeDistributed(L.Dense(32, activation="relu", kernel_initializer="he_normal")),
            L.Bidirectional(L.GRU(16)),
            L.Dense(10),
        ]
    )
    return classify(model, normal(seed, 16, 6, 16))


# --- Keras: precision, attention, normalization --------------------------------------------------


def half(seed: int, scale: float) -> Case:
    keras.utils.set_random_seed(seed)
    policy = keras.dtype_policies.DTypePolicy("mixed_float16")
    hidden = [
        L.Dense(
            *(64,),
            activation="relu",
            dtype=policy,
            kernel_initializer=keras.initializers.RandomNormal(
                stddev=np.sqrt(scale / 64), seed=seed + k
            ),
        )
        for k in range(8)
    ]
    model = keras.Sequential([keras.Input((64,)), *hidden, L.Dense(10, dtype="float32")])
    return classify(model, normal(seed, 16, 64))


@start("keras", "here", "good", "float16 inside, He", partner="mixed_float16_overflow")
def mixed_float16(seed: int) -> Case:
    return half(seed, 2.0)


@start(
    *("keras", "here", "exploding", "float16 overflows at 65504"),
    blame=("dense",),
    curable=True,
    partner="mixed_float16",
)
def mixed_float16_overflow(seed: int) -> Case:
    return half(seed, 64.0)


def transformer(seed: int, blocks: int = 2, post: bool = False, embedding: float = 0.02) -> Case:
    keras.utils.set_random_seed(seed)
    i = keras.Input((12,), dtype="int32")
    init = keras.initializers.RandomNormal(stddev=embedding, seed=seed)
    h = L.Embedding(50, 32, embeddings_initializer=init)(i)
    for _ in range(blocks):
        n = h if post else L.LayerNormalization()(h)
        h = h + L.MultiHeadAttention(4, 8)(n, n)
        h = L.LayerNormalization()(h) if post else h
        n = h if post else L.LayerNormalization()(h)
        h = h + L.Dense(32)(L.Dense(128, activation="gelu")(n))
        h = L.LayerNormalization()(h) if post else h
    h = L.LayerNormalization()(h)
    x = tokens(seed, 16, 12, 50)
    return Case(keras.Model(i, L.Dense(50)(h)), x, np.roll(x, -1, 1), "cross-entropy")


@start("keras", "keras", "good", "attention before normalization")
def keras_attention_pre_norm(seed: int) -> Case:
    return transformer(seed)


@start("keras", "keras", "good", "attention after normalization", slow=True)
def keras_attention_post_norm(seed: int) -> Case:
    return transformer(seed, post=True)


def batchnorm_net(seed: int, depth: int) -> Case:
    keras.utils.set_random_seed(seed)
    layers = []
    for _ in range(depth):
        layers += [L.Dense(64), L.BatchNormalization(), L.ReLU()]
    model = keras.Sequential([keras.Input((64,)), *layers, L.Dense(10)])
    return classify(model, normal(seed, 32, 64), training=True)


@start("keras", "here", "good", "normalization holds every scale")
def batchnorm_12(seed: int) -> Case:
    return batchnorm_net(seed, 12)


@start("keras", "here", "exploding", "gradient 1.4 times a layer", curable=False, slow=True)
def batchnorm_50(seed: int) -> Case:
    return batchnorm_net(seed, 50)


@start("keras", "here", "good", "spectral norm of two layers", partner="spectral_norm_12")
@seeded
def spectral_norm_2(seed: int, depth: int = 2) -> Case:
    layers = [L.SpectralNormalization(L.Dense(64, activation="relu")) for _ in range(depth)]
    model = keras.Sequential([keras.Input((64,)), *layers, L.Dense(10)])
    return classify(model, normal(seed, 32, 64), training=True)


@start(
    *("keras", "here", "shrinking", "norm 1 leaves an eighth"),
    curable=False,
    partner="spectral_norm_2",
)
def spectral_norm_12(seed: int) -> Case:
    return spectral_norm_2(seed, 12)


# --- keras.applications --------------------------------------------------------------------------


def application(name: str, size: int, n: int = 8, **kw: Any) -> Callable[[int], Case]:
    def build(seed: int) -> Case:
        keras.utils.set_random_seed(seed)
        make = getattr(keras.applications, name)
        model = make(
            *(),
            weights=None,
            input_shape=(size, size, 3),
            classes=10,
            classifier_activation=None,
            **kw,
        )
        return classify(model, normal(seed, n, size, size, 3), training=True)

    return build


def app(name: str, verdict: str, reason: str, size: int = 32, **kw: Any) -> None:
    keep = {k: kw.pop(k) for k in ("blame", "curable", "partner") if k in kw}
    label = kw.pop("label", name.lower())
    slow = kw.pop("slow", True)
    build = application(name, size, **kw)
    STARTS.append(
        Start(label, "keras", "keras.applications", build, verdict, reason, slow=slow, **keep)
    )


app(
    *("VGG16", "shrinking", "Glorot under ReLU, 13 convolutions", 64),
    n=4,
    blame=("conv",),
    curable=True,
    partner="vgg16_he",
)
app("ResNet50", "good", "batch normalization in each block")
app("ResNet50V2", "good", "normalization before each branch")
app("MobileNet", "good", "normalized after each kernel", alpha=0.25, dropout=0.0)
app("MobileNetV2", "good", "linear bottlenecks, normalized", alpha=0.35)
app(
    "MobileNetV3Small",
    "good",
    "squeeze and excite, normalized",
    alpha=1.0,
    include_preprocessing=False,
    dropout_rate=0.0,
)
app("EfficientNetB0", "good", "depthwise kernels, normalized")
app("ConvNeXtTiny", "good", "layer scale 1e-6, normalized")
app("DenseNet121", "good", "concatenation and normalization")


@start("keras", "keras.applications", "good", "the same under He", partner="vgg16", slow=True)
@seeded
def vgg16_he(seed: int) -> Case:
    case = application("VGG16", 64, 4)(seed)
    rng = np.random.default_rng(seed)
    for layer in case.model.layers:
        if hasattr(layer, "kernel"):
            shape = layer.kernel.shape
            fan = int(np.prod(shape[:-1]))
            gain = 1.0 if layer is case.model.layers[-1] else 2.0
            layer.kernel.assign(rng.standard_normal(shape) * np.sqrt(gain / fan))
    return case


# --- keras-hub: tiny configurations of well-known transformers -----------------------------------


def hub(name: str, **config: Any) -> Callable[[int], Case]:
    def build(seed: int) -> Case:
        import keras_hub

        keras.utils.set_random_seed(seed)
        model = getattr(keras_hub.models, name)(**config)
        ids = tokens(seed, 8, 8, 50)
        x = {}
        for key in (k.split(":")[0] for k in model.input):
            x[key] = ids if "token_ids" in key else np.ones_like(ids)
            if "segment" in key:
                x[key] = np.zeros_like(ids)
        return Case(model, x, training=True)

    return build


_TINY = {"vocabulary_size": 50, "num_layers": 2, "hidden_dim": 32, "intermediate_dim": 64}
_GQA = {"num_query_heads": 4, "num_key_value_heads": 2}
_SHORT = {"max_sequence_length": 8, "dropout": 0.0, "num_heads": 4}
for _name, _config in {
    "GPT2Backbone": {**_TINY, **_SHORT},
    "BertBackbone": {**_TINY, **_SHORT, "num_segments": 2},
    "RobertaBackbone": {**_TINY, **_SHORT},
    "AlbertBackbone": {**_TINY, **_SHORT, "embedding_dim": 16, "num_segments": 2},
    "OPTBackbone": {**_TINY, **_SHORT},
    "BloomBackbone": {**_TINY, "num_heads": 4, "dropout": 0.0},
    "LlamaBackbone": {**_TINY, **_GQA},
    "MistralBackbone": {**_TINY, **_GQA},
    "GemmaBackbone": {**_TINY, **_GQA, "head_dim": 8},
    "T5Backbone": {**_TINY, "num_heads": 4, "dropout": 0.0},
    "FNetBackbone": {**_TINY, "max_sequence_length": 8, "dropout": 0.0, "num_segments": 2},
    "GPTNeoXBackbone": {**_TINY, "num_heads": 4, "dropout": 0.0},
}.items():
    STARTS.append(
        Start(
            *(_name.lower().removesuffix("backbone") + "_hub", "keras", "keras-hub"),
            hub(_name, **_config),
            *("good", "normalized stream, small kernels"),
        )
    )


# --- Plain JAX -----------------------------------------------------------------------------------


def relu_functional(seed: int, gain2: float) -> Case:
    new = draw(seed)
    params = {f"w{k:02}": new(np.sqrt(gain2 / 64), 64, 64) for k in range(20)}
    params["head"] = new(1 / 8, 64, 10)

    def f(p: Any, x: Any) -> Any:
        for k in range(20):
            x = jax.nn.relu(x @ p[f"w{k:02}"])
        return x @ p["head"]

    return classify(f, normal(seed, 32, 64), params=params)


@start("jax", "here", "good", "bare parameters, gain² 2", partner="jax_relu_gain_1")
def jax_relu_gain_2(seed: int) -> Case:
    return relu_functional(seed, 2.0)


@start(
    *("jax", "here", "shrinking", "bare parameters, gain² 1"),
    blame=("w",),
    curable=True,
    partner="jax_relu_gain_2",
)
def jax_relu_gain_1(seed: int) -> Case:
    return relu_functional(seed, 1.0)


def stacked_scan(seed: int, gain2: float) -> Case:
    new = draw(seed)
    params = {"stack": new(np.sqrt(gain2 / 64), 16, 64, 64), "head": new(1 / 8, 64, 10)}

    def f(p: Any, x: Any) -> Any:
        h, _ = jax.lax.scan(lambda h, w: (jax.nn.relu(h @ w), None), x, p["stack"])
        return h @ p["head"]

    return classify(f, normal(seed, 32, 64), params=params)


@start("jax", "here", "good", "layers stacked in a scan", partner="scan_stack_gain_4")
def scan_stack_gain_2(seed: int) -> Case:
    return stacked_scan(seed, 2.0)


@start(
    *("jax", "here", "exploding", "each of sixteen turns doubles"),
    blame=("stack",),
    curable=True,
    partner="scan_stack_gain_2",
)
def scan_stack_gain_4(seed: int) -> Case:
    return stacked_scan(seed, 6.0)


def siren(seed: int, hidden: float) -> Case:
    rng = np.random.default_rng(seed)
    n, layers = 64, 5
    params = {"w0": rng.uniform(-1 / 2, 1 / 2, (2, n)).astype(np.float32)}
    for k in range(1, layers):
        params[f"w{k}"] = rng.uniform(-hidden, hidden, (n, n)).astype(np.float32)
    last = np.sqrt(6 / n) / 30
    params["out"] = rng.uniform(-last, last, (n, 1)).astype(np.float32)

    def f(p: Any, x: Any) -> Any:
        for k in range(layers):
            x = jnp.sin(30 * (x @ p[f"w{k}"]))
        return x @ p["out"]

    x = rng.uniform(-1, 1, (256, 2)).astype(np.float32)
    y = np.sin(4 * x[:, :1]) * np.cos(3 * x[:, 1:])
    return Case(f, x, y, "mse", params=params)


@start("jax", "here", "good", "SIREN as published", partner="siren_without_30")
def siren_published(seed: int) -> Case:
    return siren(seed, np.sqrt(6 / 64) / 30)


@start(
    *("jax", "here", "exploding", "hidden kernels thirty times too large"),
    blame=("w1", "w2", "w3", "w4"),
    curable=True,
    partner="siren_published",
)
def siren_without_30(seed: int) -> Case:
    return siren(seed, np.sqrt(6 / 64))


def gpt(seed: int, std: float, blocks: int = 4, tied: bool = True, scaled: bool = True) -> Case:
    """Packed q, k and v in one kernel, pre-normalization, a head tied to the embedding."""
    new, d, v, t = draw(seed), 64, 100, 12
    params = {"wte": new(std, v, d), "wpe": new(0.02, t, d)}
    out = 0.02 / np.sqrt(2 * blocks) if scaled else 0.02
    for k in range(blocks):
        params |= {
            f"b{k}.qkv": new(0.02, d, 3 * d),
            f"b{k}.proj": new(out, d, d),
            f"b{k}.up": new(0.02, d, 4 * d),
            f"b{k}.down": new(out, 4 * d, d),
        }

    def norm(x: Any) -> Any:
        x = x - x.mean(-1, keepdims=True)
        return x / jnp.sqrt((x**2).mean(-1, keepdims=True) + 1e-5)

    def f(p: Any, ids: Any) -> Any:
        h = p["wte"][ids] + p["wpe"]
        n = ids.shape[0]
        mask = jnp.tril(jnp.ones((t, t), bool))
        for k in range(blocks):
            q, key, value = jnp.split(norm(h) @ p[f"b{k}.qkv"], 3, axis=-1)
            q, key, value = (a.reshape(n, t, 4, d // 4) for a in (q, key, value))
            scores = jnp.einsum("nqhd,nkhd->nhqk", q, key) / np.sqrt(d // 4)
            a = jax.nn.softmax(jnp.where(mask, scores, -1e9))
            h = h + jnp.einsum("nhqk,nkhd->nqhd", a, value).reshape(n, t, d) @ p[f"b{k}.proj"]
            h = h + jax.nn.gelu(norm(h) @ p[f"b{k}.up"]) @ p[f"b{k}.down"]
        return norm(h) @ p["wte"].T

    x = tokens(seed, 8, t, v)
    return Case(f, x, np.roll(x, -1, 1), "cross-entropy", params=params)


@start("jax", "here", "good", "GPT-2's start, std .02", partner="gpt_tied_std_1")
def gpt_std_02(seed: int) -> Case:
    return gpt(seed, 0.02)


@start(
    *("jax", "here", "first loss far too high", "tied embedding of std 1"),
    blame=("wte",),
    curable=True,
    partner="gpt_std_02",
)
def gpt_tied_std_1(seed: int) -> Case:
    return gpt(seed, 1.0)


def weight_standardized(seed: int, gain: float) -> Case:
    new = draw(seed)
    params = {f"w{k:02}": new(0.05, 64, 64) for k in range(16)} | {"head": new(1 / 8, 64, 10)}

    def f(p: Any, x: Any) -> Any:
        for k in range(16):
            w = p[f"w{k:02}"]
            w = (w - w.mean(0)) / (w.std(0) + 1e-6) / 8 * gain
            x = jax.nn.relu(x @ w)
        return x @ p["head"]

    return classify(f, normal(seed, 32, 64), params=params)


@start("jax", "here", "good", "standardized kernels, the right gain", partner="standardized_gain_1")
def standardized_relu_gain(seed: int) -> Case:
    return weight_standardized(seed, np.sqrt(2 / (1 - 1 / np.pi)))


@start(
    *("jax", "here", "shrinking", "standardized without the ReLU gain"),
    curable=False,
    partner="standardized_relu_gain",
)
def standardized_gain_1(seed: int) -> Case:
    return weight_standardized(seed, 1.0)


def experts(seed: int, std: float, depth: int = 6) -> Case:
    """Top-1 of four experts, picked by w[index], with a residual-free stack."""
    new, d = draw(seed), 32
    params: dict[str, Any] = {"head": new(d**-0.5, d, 10)}
    for k in range(depth):
        params |= {f"router{k}": new(d**-0.5, d, 4), f"experts{k}": new(std, 4, d, d)}

    def f(p: Any, x: Any) -> Any:
        for k in range(depth):
            gate = jax.nn.softmax(x @ p[f"router{k}"])
            which = jnp.argmax(gate, -1)
            each = jnp.einsum("nd,edf->nef", x, p[f"experts{k}"])
            chosen = jnp.take_along_axis(each, which[:, None, None], 1)[:, 0]
            weight = gate.max(-1, keepdims=True)
            x = jax.nn.relu(chosen * weight / jax.lax.stop_gradient(weight))
        return x @ p["head"]

    return classify(f, normal(seed, 32, d), params=params)


@start("jax", "here", "good", "experts drawn for their own fan", partner="experts_stack_fan")
def experts_own_fan(seed: int) -> Case:
    return experts(seed, np.sqrt(2 / 32))


@start(
    *("jax", "here", "shrinking", "the stack counted as fan"),
    blame=("experts",),
    curable=True,
    partner="experts_own_fan",
)
def experts_stack_fan(seed: int) -> Case:
    return experts(seed, np.sqrt(2 / (4 * 32 + 4 * 32)))


@start("jax", "here", "good", "a kernel picked for each example")
def expert_by_index(seed: int) -> Case:
    new = draw(seed)
    params = {"router": new(0.2, 32, 4), "experts": new(0.25, 4, 32, 32), "head": new(0.2, 32, 10)}

    def one(p: Any, x: Any) -> Any:
        which = jnp.argmax(x @ p["router"])
        gate = jax.nn.softmax(x @ p["router"])[which]
        return gate * jax.nn.relu(x @ p["experts"][which]) @ p["head"]

    def f(p: Any, x: Any) -> Any:
        return jax.vmap(one, in_axes=(None, 0))(p, x)

    return classify(f, normal(seed, 32, 32), params=params)


@start("jax", "here", "good", "an encoder stopped on purpose")
def stopped_encoder(seed: int) -> Case:
    new = draw(seed)
    params = {"encoder": new(32**-0.5, 32, 32), "w": new(0.25, 32, 32), "head": new(0.2, 32, 10)}

    def f(p: Any, x: Any) -> Any:
        code = jax.lax.stop_gradient(jnp.tanh(x @ p["encoder"]))
        return jax.nn.relu(code @ p["w"]) @ p["head"]

    return classify(f, normal(seed, 32, 32), params=params)


@start("jax", "here", "collapsed", "differences fade to 1e-14", blame=("w",), curable=True)
def softplus_30(seed: int) -> Case:
    new = draw(seed)
    params = {f"w{k:02}": new(1.0419 / 8, 64, 64) for k in range(30)} | {"head": new(1 / 8, 64, 10)}

    def f(p: Any, x: Any) -> Any:
        for k in range(30):
            x = jax.nn.softplus(x @ p[f"w{k:02}"])
        return x @ p["head"]

    return classify(f, normal(seed, 32, 64), params=params)


@start(
    *("jax", "here", "exploding", "branches without a scale, checkpointed"),
    curable=False,
    partner="jax_residual_checkpointed",
)
def jax_residual_unscaled(seed: int, factor: float = 1.0) -> Case:
    new = draw(seed)
    params = {f"w{k:02}": new(np.sqrt(2 / 64), 64, 64) for k in range(24)} | {
        "head": new(1 / 8, 64, 10)
    }

    def f(p: Any, x: Any) -> Any:
        block = jax.checkpoint(lambda w, h: h + factor * jax.nn.relu(h @ w))
        for k in range(24):
            x = block(p[f"w{k:02}"], x)
        return x @ p["head"]

    return classify(f, normal(seed, 32, 64), params=params)


@start("jax", "here", "good", "branches over 24, checkpointed", partner="jax_residual_unscaled")
def jax_residual_checkpointed(seed: int) -> Case:
    return jax_residual_unscaled(seed, 1 / 24)


# --- Flax NNX ------------------------------------------------------------------------------------


def nnx_net(make: Callable[[Any, Any], tuple[Any, Any]]) -> Callable[[int], Any]:
    """A module from `make(nnx, rngs)`: a list of layers and functions, applied in turn."""

    def build(seed: int) -> Any:
        from flax import nnx

        return nnx.Sequential(*make(nnx, nnx.Rngs(seed)))

    return build


@start("flax.nnx", "flax", "shrinking", "LeCun under ReLU", blame=("kernel",), curable=True)
def nnx_lecun_relu_16(seed: int) -> Case:
    build = nnx_net(
        lambda nnx, r: (
            [g for _ in range(16) for g in (nnx.Linear(64, 64, rngs=r), nnx.relu)]
            + [nnx.Linear(64, 10, rngs=r)]
        )
    )
    return classify(build(seed), normal(seed, 32, 64))


@start("flax.nnx", "flax", "good", "LeCun under SELU", partner="nnx_lecun_relu_16")
def nnx_lecun_selu_16(seed: int) -> Case:
    build = nnx_net(
        lambda nnx, r: (
            [g for _ in range(16) for g in (nnx.Linear(64, 64, rngs=r), nnx.selu)]
            + [nnx.Linear(64, 10, rngs=r)]
        )
    )
    return classify(build(seed), normal(seed, 32, 64))


@start("flax.nnx", "flax", "symmetric", "ones in every kernel", blame=("kernel",), curable=True)
def nnx_conv_ones(seed: int) -> Case:
    from flax import nnx

    r, ones = nnx.Rngs(seed), nnx.initializers.constant(0.03)
    model = nnx.Sequential(
        nnx.Conv(3, 16, (3, 3), kernel_init=ones, rngs=r),
        nnx.tanh,
        nnx.Conv(16, 16, (3, 3), kernel_init=ones, rngs=r),
        lambda h: nnx.tanh(h).mean((1, 2)),
        nnx.Linear(16, 10, kernel_init=ones, rngs=r),
    )
    return classify(model, normal(seed, 16, 8, 8, 3))


def nnx_cell(seed: int, cell: str) -> Case:
    from flax import nnx

    class Net(nnx.Module):
        def __init__(self, r: Any) -> None:
            self.rnn = nnx.RNN(getattr(nnx, cell)(8, 32, rngs=r))
            self.head = nnx.Linear(32, 10, rngs=r)

        def __call__(self, x: Any) -> Any:
            return self.head(self.rnn(x, rngs=nnx.Rngs(0))[:, -1])

    return classify(Net(nnx.Rngs(seed)), normal(seed, 16, 8, 8))


@start("flax.nnx", "flax", "good", "an LSTM in nnx.RNN")
def nnx_lstm(seed: int) -> Case:
    return nnx_cell(seed, "LSTMCell")


@start("flax.nnx", "flax", "good", "a GRU in nnx.RNN")
def nnx_gru(seed: int) -> Case:
    return nnx_cell(seed, "GRUCell")


@start("flax.nnx", "flax", "good", "attention, residual, normalized")
def nnx_attention(seed: int) -> Case:
    from flax import nnx

    class Net(nnx.Module):
        def __init__(self, r: Any) -> None:
            self.inner = nnx.Linear(16, 32, rngs=r)
            self.norm = nnx.LayerNorm(32, rngs=r)
            self.attention = nnx.MultiHeadAttention(4, 32, decode=False, rngs=r)
            self.head = nnx.Linear(32, 10, rngs=r)

        def __call__(self, x: Any) -> Any:
            h = self.inner(x)
            h = h + self.attention(self.norm(h))
            return self.head(h.mean(1))

    return classify(Net(nnx.Rngs(seed)), normal(seed, 16, 6, 16))


def lora(seed: int, zero_a: bool) -> Case:
    from flax import nnx

    r = nnx.Rngs(seed)
    a = nnx.initializers.zeros if zero_a else nnx.initializers.he_uniform()
    model = nnx.Sequential(
        nnx.LoRALinear(32, 32, lora_rank=4, a_initializer=a, rngs=r),
        nnx.relu,
        nnx.Linear(32, 10, rngs=r),
    )
    return classify(model, normal(seed, 32, 32))


@start("flax.nnx", "flax", "good", "B = 0 opens after one step", partner="nnx_lora_both_zero")
def nnx_lora(seed: int) -> Case:
    return lora(seed, False)


@start(
    *("flax.nnx", "flax", "dead", "A = B = 0 never opens"),
    blame=("lora_a", "lora_b"),
    curable=True,
    partner="nnx_lora",
)
def nnx_lora_both_zero(seed: int) -> Case:
    return lora(seed, True)


def nnx_tied(seed: int, std: float) -> Case:
    from flax import nnx

    class Tied(nnx.Module):
        def __init__(self, r: Any) -> None:
            init = nnx.initializers.normal(std)
            self.embed = nnx.Embed(100, 64, embedding_init=init, rngs=r)
            self.norm = nnx.LayerNorm(64, rngs=r)
            self.mix = nnx.Linear(64, 64, rngs=r)

        def __call__(self, ids: Any) -> Any:
            h = self.embed(ids)
            return self.embed.attend(self.norm(h + self.mix(self.norm(h))))

    x = tokens(seed, 16, 8, 100)
    return Case(Tied(nnx.Rngs(seed)), x, np.roll(x, -1, 1), "cross-entropy")


@start("flax.nnx", "flax", "good", "tied embedding of std .02", partner="nnx_tied_std_1")
def nnx_tied_std_02(seed: int) -> Case:
    return nnx_tied(seed, 0.02)


@start(
    *("flax.nnx", "flax", "first loss far too high", "logit variance 64"),
    blame=("embed",),
    curable=True,
    partner="nnx_tied_std_02",
)
def nnx_tied_std_1(seed: int) -> Case:
    return nnx_tied(seed, 1.0)


@start("flax.nnx", "flax", "good", "a convolutional net, normalized")
def nnx_cnn_batchnorm(seed: int) -> Case:
    from flax import nnx

    r = nnx.Rngs(seed)
    model = nnx.Sequential(
        nnx.Conv(3, 16, (3, 3), strides=2, rngs=r),
        nnx.BatchNorm(16, rngs=r),
        nnx.relu,
        nnx.Conv(16, 16, (3, 3), feature_group_count=16, rngs=r),
        nnx.BatchNorm(16, rngs=r),
        lambda h: nnx.relu(h).mean((1, 2)),
        nnx.Linear(16, 10, rngs=r),
    )
    return classify(model, normal(seed, 16, 8, 8, 3))


@start("flax.nnx", "flax", "saturated", "tanh under std 3", blame=("kernel",), curable=True)
def nnx_tanh_std_3(seed: int) -> Case:
    from flax import nnx

    init = nnx.initializers.normal(3.0)
    build = nnx_net(
        lambda nnx, r: (
            [g for _ in range(5) for g in (nnx.Linear(64, 64, kernel_init=init, rngs=r), nnx.tanh)]
            + [nnx.Linear(64, 10, rngs=r)]
        )
    )
    return classify(build(seed), normal(seed, 32, 64))


@start("flax.nnx", "flax", "good", "weight normalization keeps LeCun")
def nnx_weight_norm(seed: int) -> Case:
    from flax import nnx

    r = nnx.Rngs(seed)
    model = nnx.Sequential(
        nnx.WeightNorm(nnx.Linear(32, 32, rngs=r), rngs=r), nnx.tanh, nnx.Linear(32, 10, rngs=r)
    )
    return classify(model, normal(seed, 32, 32))


# --- Equinox -------------------------------------------------------------------------------------


def eqx_mlp(seed: int, depth: int, activation: Any) -> Case:
    import equinox as eqx

    model = eqx.nn.MLP(32, 10, 64, depth, activation, key=jax.random.key(seed))
    return classify(model, normal(seed, 32, 32))


@start("equinox", "equinox", "good", "two layers of the default", partner="eqx_mlp_24")
def eqx_mlp_2(seed: int) -> Case:
    return eqx_mlp(seed, 2, jax.nn.relu)


@start(
    *("equinox", "equinox", "collapsed", "biases alone keep the scale"),
    blame=("weight",),
    curable=True,
    partner="eqx_mlp_2",
)
def eqx_mlp_24(seed: int) -> Case:
    return eqx_mlp(seed, 24, jax.nn.relu)


@start(
    *("equinox", "equinox", "collapsed", "sigmoid forgets its input"),
    blame=("weight",),
    curable=True,
)
def eqx_sigmoid_12(seed: int) -> Case:
    return eqx_mlp(seed, 12, jax.nn.sigmoid)


def eqx_gru_classifier(seed: int, factor: float = 1.0) -> Case:
    import equinox as eqx

    class Net(eqx.Module):
        cell: Any
        head: Any

        def __call__(self, x: Any) -> Any:
            h, _ = jax.lax.scan(lambda h, e: (self.cell(e, h), None), jnp.zeros(32), x)
            return self.head(h)

    a, b = jax.random.split(jax.random.key(seed))
    cell = eqx.nn.GRUCell(8, 32, key=a)
    cell = eqx.tree_at(lambda c: c.weight_hh, cell, cell.weight_hh * factor)
    return classify(Net(cell, eqx.nn.Linear(32, 10, key=b)), normal(seed, 16, 8, 8))


@start("equinox", "equinox", "good", "a GRU in a scan under vmap")
def eqx_gru(seed: int) -> Case:
    return eqx_gru_classifier(seed)


def eqx_conv(seed: int, final: Any) -> Case:
    import equinox as eqx

    k = jax.random.split(jax.random.key(seed), 3)
    model = eqx.nn.Sequential(
        [
            eqx.nn.Conv2d(3, 16, 3, key=k[0]),
            eqx.nn.Lambda(jax.nn.relu),
            eqx.nn.Conv2d(16, 16, 3, key=k[1]),
            eqx.nn.Lambda(lambda h: jax.nn.relu(h).reshape(-1)),
            eqx.nn.Linear(256, 1, key=k[2]),
            eqx.nn.Lambda(final),
        ]
    )
    x = normal(seed, 16, 3, 8, 8)
    return Case(model, x, target(x), "mse")


@start("equinox", "equinox", "good", "two convolutions, a linear output", partner="eqx_conv_dead")
def eqx_conv_linear(seed: int) -> Case:
    return eqx_conv(seed, lambda h: h)


@start(
    "equinox",
    "equinox",
    "dead",
    "output clipped below its range",
    curable=False,
    partner="eqx_conv_linear",
)
def eqx_conv_dead(seed: int) -> Case:
    return eqx_conv(seed, lambda h: jax.nn.relu(h - 3))


@start("equinox", "equinox", "good", "multi-head attention and LayerNorm")
def eqx_attention(seed: int) -> Case:
    import equinox as eqx

    class Net(eqx.Module):
        attention: Any
        norm: Any
        head: Any

        def __call__(self, x: Any) -> Any:
            n = jax.vmap(self.norm)(x)
            return self.head((x + self.attention(n, n, n)).mean(0))

    a, b = jax.random.split(jax.random.key(seed))
    model = Net(
        eqx.nn.MultiheadAttention(4, 32, key=a), eqx.nn.LayerNorm(32), eqx.nn.Linear(32, 10, key=b)
    )
    return classify(model, normal(seed, 16, 6, 32))


@start(
    *("equinox", "equinox", "first loss far too high", "last weight 300 times too large"),
    blame=("layers[2].weight",),
    curable=True,
    partner="eqx_mlp_2",
)
def eqx_mlp_head(seed: int) -> Case:
    import equinox as eqx

    case = eqx_mlp(seed, 2, jax.nn.relu)
    model = eqx.tree_at(
        lambda m: m.layers[-1].weight, case.model, case.model.layers[-1].weight * 300
    )
    return dataclasses.replace(case, model=model)


BY_NAME = {s.name: s for s in STARTS}


def main(names: list[str]) -> None:
    """`python tests/starts.py [name …]`: each start beside what the referee says of it."""
    for s in [BY_NAME[n] for n in names] or STARTS:
        case = s.build(0)
        said, m = referee.judge(*function_of(case), case.x, case.y, case.loss)
        agrees = "agrees" if said.word == s.verdict else "DIFFERS"
        print(f"{s.name:28} {s.verdict:24} {agrees:8} {len(m.places):4} places  {said.reason}")


if __name__ == "__main__":
    import sys

    main(sys.argv[1:])
