"""Small inputs that an audit of names judged wrongly: each stands for a kind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers, ops
from tiers import some

from winit.keras import Initializer, audit, reinitialize
from winit.report import Audit

Dense, Input, Model, Sequential = layers.Dense, keras.Input, keras.Model, keras.Sequential


def data(*shape: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


@pytest.fixture(autouse=True)
def seeded() -> None:
    keras.utils.set_random_seed(0)


def verdicts(report: Audit) -> set[str]:
    return {finding.verdict for finding in report.findings}


# 1. The noise equaled the weights: the same seed twice, and both streams began alike.


@pytest.mark.parametrize("seed", [0, 1])
def test_the_noise_is_not_the_weights(seed: int) -> None:
    model = Sequential([Input((3072,)), Dense(10)])
    reinitialize(model, "lecun_normal", rng=seed)
    (row,) = audit(model, rng=seed, cures=False).rows
    assert 0.3 < row.z2 < 3


# 2. A block written as a layer was read as a chain.


class Block(layers.Layer):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.norm = layers.LayerNormalization()
        self.inner, self.out = Dense(256, activation="gelu"), Dense(64)

    def build(self, shape: Any) -> None:
        self.norm.build(shape)
        self.inner.build(shape)
        self.out.build((None, 256))

    def call(self, x: Any) -> Any:
        return x + self.out(self.inner(self.norm(x)))


def test_a_residual_block_written_as_a_layer_is_a_sum() -> None:
    model = Sequential([Input((64,)), Dense(64), *[Block() for _ in range(5)], Dense(4)])
    assert audit(model, rng=7).ok


# 3. Parallel branches were multiplied in a row.


def test_parallel_branches_are_no_chain() -> None:
    x = Input((64,))
    towers = [Dense(32, activation="relu")(Dense(32, activation="relu")(x)) for _ in range(6)]
    report = audit(Model(x, Dense(10)(layers.Concatenate()(towers))), rng=7)
    assert report.ok


# 4. Frozen and given weights were lost.


def test_given_vectors_stay() -> None:
    given = data(50, 16)
    table = layers.Embedding(
        50, 16, trainable=False, embeddings_initializer=keras.initializers.Constant(given)
    )
    model = Sequential([Input((7,), dtype="int32"), table, layers.Flatten(), Dense(2)])
    texts = reinitialize(model, rng=0)
    assert np.array_equal(table.embeddings.numpy(), given)
    assert texts[table.embeddings.path].startswith("left: ")


# 5. A zero-initialized residual branch was called dead.


def test_a_branch_that_starts_at_zero_waits_one_step() -> None:
    inputs = Input((8, 8, 1))
    x = layers.Conv2D(16, 3, padding="same")(inputs)
    for _ in range(3):
        branch = layers.Conv2D(16, 3, padding="same")(x)
        x = x + layers.BatchNormalization(gamma_initializer="zeros")(branch)
    report = audit(Model(inputs, Dense(10)(layers.GlobalAveragePooling2D()(x))), rng=7)
    assert report.ok and any("waits one step" in note for note in report.notes)


# 6. Loops of every kind were internal errors.

LOOPS: dict[str, Callable[[Any, Any], Any]] = {
    "fori_loop": lambda d, x: ops.fori_loop(0, 3, lambda _, h: d(h), x),
    "cond": lambda d, x: ops.cond(ops.sum(x) > 0, lambda: d(x), lambda: d(-x)),
    "scan": lambda d, x: ops.scan(lambda h, t: (d(h), ops.sum(h)), x, xs=ops.arange(3))[0],
    "map": lambda d, x: ops.map(lambda row: d(row[None])[0], x),
    "vectorized_map": lambda d, x: ops.vectorized_map(lambda row: d(row[None])[0], x),
    "while_loop": lambda d, x: ops.while_loop(
        lambda k, h: k < 3, lambda k, h: (k + 1, d(h)), (0, x)
    )[1],
    "remat": lambda d, x: keras.remat(lambda h: d(h))(x),
}


class Uses(Model):  # type: ignore[misc]
    def __init__(self, loop: Any, gain: float = 2.0) -> None:
        super().__init__()
        scale = keras.initializers.VarianceScaling(gain, distribution="untruncated_normal", seed=1)
        self.loop, self.inner = loop, Dense(64, activation="relu", kernel_initializer=scale)
        self.out = Dense(10)
        self.inner.build((None, 64))
        self.out.build((None, 64))

    def call(self, x: Any) -> Any:
        return self.out(self.loop(self.inner, x))


@pytest.mark.parametrize("kind", some(LOOPS, 3))
def test_loops_and_branches_are_looked_into(kind: str) -> None:
    model = Uses(LOOPS[kind])
    model(np.ones((2, 64)))
    report = audit(model, data(4, 64), cures=False)
    assert report.ok and {row.name.split("/")[0] for row in report.rows} == {
        model.inner.name,
        model.out.name,
    }


def test_a_loop_that_explodes_is_seen() -> None:
    loop = lambda d, x: ops.fori_loop(0, 12, lambda _, h: d(h), x)  # noqa: E731
    model = Uses(loop, gain=8.0)
    model(np.ones((2, 64)))
    assert verdicts(audit(model, data(4, 64), cures=False)) == {"exploding"}


# 7. A redraw failed where one kernel is not called.


class Auxiliary(Model):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.head, self.auxiliary = Dense(8), Dense(8)
        self.head.build((None, 4))
        self.auxiliary.build((None, 4))

    def call(self, x: Any, training: bool = False) -> Any:
        return (self.head(x), self.auxiliary(x)) if training else self.head(x)


def test_a_kernel_that_is_not_called_is_named_and_left() -> None:
    model = Auxiliary()
    model(np.ones((2, 4)))
    before = model.auxiliary.kernel.numpy()
    texts = reinitialize(model, rng=0, x=np.ones((2, 4)))
    assert texts[model.auxiliary.kernel.path] == "left: no site uses it"
    assert np.array_equal(model.auxiliary.kernel.numpy(), before)


# 8. It was ok although nothing was judged.


@pytest.mark.filterwarnings("ignore:Layer InputLayer does not have")
def test_what_is_not_judged_is_not_ok() -> None:
    model = Sequential([Input((64,)), Dense(64), Dense(10)])
    model.quantize("int8")
    before = model.get_weights()
    report = audit(model)
    assert not report.ok and any("quantized" in note for note in report.notes)
    reinitialize(model, "he_normal", rng=0)
    for a, b in zip(before, model.get_weights(), strict=True):
        assert np.array_equal(a, b)
    bare = Sequential([Input((8,)), layers.ReLU()])
    assert not audit(bare).ok


def test_a_recurrent_kernel_ten_times_too_large_is_seen() -> None:
    model = Sequential([Input((64, 1)), layers.SimpleRNN(32), Dense(10)])
    kernel = model.layers[0].cell.recurrent_kernel
    kernel.assign(10 * kernel)
    report = audit(model)
    assert not report.ok
    assert any(kernel.path in name for finding in report.findings for name in finding.names)


class Product(layers.Layer):  # type: ignore[misc]
    def __init__(self, std: float) -> None:
        super().__init__()
        self.std = std

    def build(self, shape: Any) -> None:
        start = keras.initializers.RandomNormal(stddev=self.std, seed=len(shape))
        self.w = self.add_weight(shape=(shape[-1], 64), name="w", initializer=start)

    def call(self, x: Any) -> Any:
        return ops.tanh(x @ self.w)


def test_weights_of_any_name_are_judged() -> None:
    broken = Sequential([Input((64,)), *[Product(3.0) for _ in range(3)], Dense(4)])
    assert verdicts(audit(broken, cures=False)) == {"saturated"}
    assert audit(Sequential([Input((64,)), *[Product(0.125) for _ in range(3)], Dense(4)])).ok


# 9. The wrong kernel was blamed.


@pytest.mark.long
def test_the_depthwise_kernels_are_blamed() -> None:
    blocks = [layers.SeparableConv2D(64, 3, padding="same", activation="relu") for _ in range(5)]
    model = Sequential([Input((8, 8, 64)), *blocks, layers.Flatten(), Dense(10)])
    report = audit(model, rng=7)
    named = [name for finding in report.findings for name in finding.names]
    assert any("depthwise" in name for name in named)


# 10. Strided transposed convolutions.


@pytest.mark.long
def test_strided_transposed_convolutions_stay_level_after_auto() -> None:
    ups = [
        layers.Conv2DTranspose(c, 4, strides=2, padding="same", activation="relu")
        for c in (16, 8, 3)
    ]
    first = [Dense(1024, activation="relu"), layers.Reshape((4, 4, 64))]
    model = Sequential([Input((64,)), *first, *ups])
    reinitialize(model, rng=0)
    report = audit(model, cures=False)
    assert report.ok
    inner = [row.z2 for row in report.rows[1:-1]]  # a head is drawn small
    assert min(inner) > 0.1 and max(inner) < 10
    assert [row.fan_in for row in report.rows[1:]] == [4 * c for c in (64, 16, 8)]


# 11. See test_keras: losses by name.
# 12. Unscaled inputs passed.


def test_unscaled_inputs_are_seen() -> None:
    x = 1e3 * data(32, 10)
    model = Sequential([Input((10,)), Dense(32, "relu"), Dense(32, "relu"), Dense(1, "sigmoid")])
    y = (x[:, :1] > 0).astype("float32")
    first, *follows = audit(model, x, y, "binary_crossentropy").findings
    assert first.verdict == "inputs unscaled"
    assert {finding.verdict for finding in follows} <= {"first loss far too high"}
    assert audit(model, x / 1e3, y, "binary_crossentropy").ok


# 13. A good cure by luck.


@pytest.mark.parametrize("seed", range(4))
def test_ten_layers_of_silu_are_ok_for_every_seed(seed: int) -> None:
    model = Sequential([Input((64,)), *[Dense(64, "silu") for _ in range(10)], Dense(10)])
    reinitialize(model, rng=seed)
    assert audit(model, rng=seed, cures=False).ok


def test_an_alarm_says_what_it_means() -> None:
    model = Sequential([Input((64,)), *[Dense(64, "silu") for _ in range(30)], Dense(10)])
    (finding,) = audit(model, cures=False).findings
    assert "SGD" in finding.meaning and "Adam" in finding.meaning


# 14. Small ones.


class Gated(Model):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.inner, self.out = Dense(32, activation="glu"), Dense(4)
        self.inner.build((None, 16))
        self.out.build((None, 16))

    def call(self, x: Any) -> Any:
        return self.out(self.inner(x))


@pytest.mark.long
def test_functions_that_are_not_of_single_numbers() -> None:
    model = Sequential([Input((16,)), Dense(16, "sparsemax"), Dense(4)])
    assert len(audit(model, cures=False).rows) == 2
    gated = Gated()
    gated(np.ones((2, 16)))
    assert audit(gated, data(4, 16)).ok


def test_an_exponential_output_is_not_dead() -> None:
    model = Sequential([Input((16,)), Dense(16, "relu"), Dense(4, "exponential")])
    reinitialize(model, rng=0)
    assert audit(model).ok


def test_tokens_of_zero_are_a_signal() -> None:
    model = Sequential(
        [Input((5,), dtype="int32"), layers.Embedding(9, 8), layers.Flatten(), Dense(2)]
    )
    report = audit(model, np.zeros((4, 5), "int32"))
    assert "dead" not in verdicts(report) and report.rows[0].z2 > 0


def test_a_dropout_without_a_seed_gives_one_report() -> None:
    model = Sequential([Input((16,)), Dense(16, "relu"), layers.Dropout(0.5), Dense(4)])
    assert str(audit(model, cures=False)) == str(audit(model, cures=False))


NOISES = layers.Dropout, layers.GaussianNoise, layers.GaussianDropout


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("act", ["relu", "tanh", "gelu", "relu6"])
def test_noise_hides_no_activation(act: str, noise: Any) -> None:
    """Dropout is a choice in JAX, whose mask was taken to let nothing through."""

    def built(drop: bool) -> Any:
        start = [Input((16,))]
        inner = [
            part for _ in range(3) for part in (Dense(32, act), *([noise(0.5)] if drop else []))
        ]
        return Sequential([*start, *inner, Dense(4)])

    report, plain = audit(built(True), cures=False), audit(built(False), cures=False)
    assert [row.ideal for row in report.rows] == [row.ideal for row in plain.rows]
    assert [row.before for row in report.rows] == [row.before for row in plain.rows]


def test_saturation_before_a_dropout_is_seen() -> None:
    large = Initializer("normal", std=10.0, seed=0)
    model = Sequential([Input((16,)), Dense(32, "tanh", kernel_initializer=large),
                        layers.Dropout(0.5), Dense(4)])  # fmt: skip
    assert verdicts(audit(model, cures=False)) == {"saturated"}


def test_weights_above_their_ideal_are_not_told_to_grow() -> None:
    large = Initializer("he_normal", seed=0)
    model = Sequential(
        [Input((64,)), *[Dense(64, "relu", kernel_initializer=large) for _ in range(4)]]
    )
    model.layers[1].kernel.assign(model.layers[1].kernel * 1e-3)
    report = audit(model)
    named = {name for finding in report.findings for name in finding.names}
    assert named == {model.layers[1].kernel.path}
