"""The audit, held against the scratch network, against theory, and against models people use."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import keras
import numpy as np
import pytest

import winit
import winit.keras
from winit import audit as module
from winit import diagnostics
from winit.keras import Audit, Initializer, audit, reinitialize
from winit.kernels import kernel_of

layers = keras.layers
ROOT = Path(__file__).resolve().parent.parent


def mlp(init: Any, activation: Any = "relu", depth: int = 10, width: int = 64) -> keras.Model:
    """`depth` hidden layers, and ten outputs."""
    sizes = [(width, activation)] * depth + [(10, None)]
    dense = [layers.Dense(n, activation=phi, kernel_initializer=init) for n, phi in sizes]
    return keras.Sequential([keras.Input((64,)), *dense])


def small(init: Any, activation: Any = "relu") -> keras.Model:
    return mlp(init, activation, depth=2, width=16)


def verdicts(report: Audit) -> list[str]:
    return [row.verdict for row in report.rows]


@pytest.fixture(scope="module", autouse=True)
def quickly_compiled() -> Iterator[None]:
    """What is compiled here runs once or twice: optimizing it takes longer than it saves."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


@pytest.fixture(scope="module")
def vgg() -> keras.Model:
    keras.utils.set_random_seed(0)
    return keras.applications.VGG16(weights=None, input_shape=(64, 64, 3))


# ------------------------------------------------------------------ models people use


def test_vgg16_is_not_ok_names_the_cause_and_is_mended(vgg: keras.Model) -> None:
    before = audit(vgg)
    print(f"\n{before}")
    assert not before.ok
    assert [row.verdict for row in before.rows[:-1]] == ["shrinking"] * 15
    assert {row.initializer for row in before.rows} == {"glorot_uniform"}
    (finding,) = before.findings()
    assert 'draw it with winit.keras.Initializer("he_normal")' in finding
    assert before.rows[-1].q < 1e-3 * before.rows[0].q  # type: ignore[operator]
    for row in before.rows[1:]:
        # what each conv does to its input is what theory says of its weights and its padding
        assert row.ratio == pytest.approx(row.predicted * row.other, rel=0.35)  # type: ignore
    pooled = [row.name for row in before.rows if "Pool" in row.cause]
    assert pooled == ["block2_conv1", "block3_conv1", "block4_conv1", "block5_conv1", "fc1"]

    reinitialize(vgg, rng=0)
    after = audit(vgg)
    print(after)
    assert after.ok and not after.findings()


@pytest.mark.long
def test_vgg16_after_reinitialize_keeps_its_second_moment_from_conv_to_conv() -> None:
    model = keras.applications.VGG16(weights=None, input_shape=(64, 64, 3), include_top=False)
    logs = []
    for seed in range(10):
        reinitialize(model, rng=seed)
        rows = audit(model, gradients=False, rng=seed).rows
        unpooled = [row for row in rows if row.ratio is not None and not row.cause]
        logs.append([np.log(row.ratio) for row in unpooled])
    means = np.exp(np.mean(logs, axis=0))
    text = ", ".join(f"{row.name} {mean:.2f}" for row, mean in zip(unpooled, means, strict=True))
    print(f"\nratio of second moments, geometric mean of 10 seeds: {text}")
    assert len(means) == 8
    assert means.min() >= 0.65 and means.max() <= 1.2


@pytest.mark.long
@pytest.mark.parametrize("name", ["ResNet50", "MobileNetV2"])
def test_normalised_networks_raise_no_alarm_without_a_reason(name: str) -> None:
    model = getattr(keras.applications, name)(weights=None, input_shape=(64, 64, 3), classes=10)
    report = audit(model)
    if name == "ResNet50":
        assert report.ok
        return
    # Keras counts all channels as inputs of a depthwise kernel, so its draws are √channels too
    # small. The reason is checked: it is those kernels and no other, what leaves them is below
    # the epsilon that BatchNormalization adds, and with the true fans the alarm is gone.
    bad = [row for row in report.rows if row.verdict != "good"]
    assert bad and {row.kind for row in bad} == {"DepthwiseConv2D"}
    for row in bad:
        norm = model.get_layer(row.name + "_BN")
        assert row.q < norm.epsilon  # type: ignore[operator]
        assert "below the 0.001 that the normalisation adds" in row.reason
        layer = model.get_layer(row.name)
        kernel = kernel_of(layer, "kernel", layer.kernel.shape)
        assert kernel is not None
        layer.kernel.assign(kernel.draw("he_normal", np.random.default_rng(0)))
    assert audit(model).ok


# ------------------------------------------------------------------ verdicts


@pytest.mark.parametrize(
    ("init", "activation", "verdict"),
    [
        (Initializer("he_normal", seed=0), "relu", "good"),
        (Initializer("lecun_normal", seed=0), "selu", "good"),
        (Initializer("glorot_normal", seed=0), "tanh", "good"),
        ("zeros", "relu", "dead"),
        ("zeros", "sigmoid", "dead"),
        (keras.initializers.Constant(0.05), "relu", "symmetric"),
        (keras.initializers.Constant(0.05), "tanh", "symmetric"),
        (Initializer("normal", std=1.0, seed=0), "relu", "exploding"),
        (Initializer("normal", std=1.0, seed=0), "tanh", "saturated"),
        (Initializer("normal", std=0.01, seed=0), "relu", "shrinking"),
        (Initializer("normal", std=0.01, seed=0), "tanh", "shrinking"),
        (Initializer("glorot_normal", seed=0), "sigmoid", "shrinking"),
    ],
)
def test_each_start_of_a_ten_layer_mlp_gets_its_verdict(
    init: Any, activation: str, verdict: str
) -> None:
    report = audit(mlp(init, activation))
    first = int(activation == "sigmoid" and verdict == "shrinking")  # no gradient crosses it
    assert set(verdicts(report)[first:-1]) == {verdict}
    assert report.ok == (verdict == "good")
    for row in report.rows:
        assert row.verdict == "good" or (row.reason and row.mend)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    ("scheme", "activation"), [("he_normal", "relu"), ("lecun_normal", "selu")]
)
def test_good_starts_are_good_for_every_seed(scheme: str, activation: str, seed: int) -> None:
    assert audit(mlp(Initializer(scheme, seed=seed), activation), rng=seed).ok


def test_the_change_it_names_mends_it() -> None:
    model = mlp("glorot_uniform", depth=12)
    report = audit(model)
    assert "gradient" in report.findings()[0] or "signal" in report.findings()[0]
    assert {row.scheme for row in report.rows[:-1]} == {'winit.keras.Initializer("he_normal")'}
    reinitialize(model, "he_normal", rng=0)
    assert audit(model).ok


def test_no_scale_mends_deep_sigmoids_and_it_says_so() -> None:
    for scheme in ("glorot_normal", "he_normal"):
        report = audit(mlp(Initializer(scheme, seed=0), "sigmoid"))
        (finding,) = report.findings()
        assert "gradient" in finding and "no scale mends sigmoid at this depth" in finding


def test_a_shallow_net_may_have_glorot_under_relu() -> None:
    assert audit(mlp(Initializer("glorot_uniform", seed=0), depth=3)).ok


def test_one_bad_layer_is_the_one_that_is_named() -> None:
    model = mlp(Initializer("he_normal", seed=0))
    model.layers[4].kernel.assign(model.layers[4].kernel * 1e-3)
    report = audit(model)
    assert [i for i, verdict in enumerate(verdicts(report)) if verdict != "good"] == [4]


def test_a_zero_last_layer_is_fine_and_what_waits_for_it_too() -> None:
    model = mlp(Initializer("he_normal", seed=0), depth=3)
    model.layers[-1].kernel.assign(np.zeros((64, 10)))
    report = audit(model)
    assert report.ok
    assert "waits one step" in report.rows[0].reason
    assert audit(model, gradients=False).ok


def test_equal_weights_in_one_layer_alone_are_no_symmetry() -> None:
    model = small(Initializer("he_normal", seed=0))
    model.layers[0].kernel.assign(np.full((64, 16), 0.1))
    report = audit(model)
    assert report.rows[0].distinct == 16
    assert "symmetric" not in verdicts(report)


def test_dead_units() -> None:
    model = small(Initializer("he_normal", seed=0))
    model.layers[1].bias.assign(np.full(16, -100.0))
    report = audit(model)
    assert report.rows[1].dead == 1 and verdicts(report)[1] == "dead"
    assert verdicts(report)[2] == "dead"  # nothing reaches it


def test_weights_that_are_not_finite() -> None:
    model = small(Initializer("he_normal", seed=0))
    model.layers[0].kernel.assign(np.full((64, 16), np.nan))
    assert verdicts(audit(model))[0] == "exploding"


def test_sums_of_branches_are_told_apart_from_the_weights() -> None:
    inputs = keras.Input((64,))
    h = inputs
    for seed in range(12):
        b = layers.Dense(
            64, activation="relu", kernel_initializer=Initializer("he_normal", seed=seed)
        )(h)
        init = Initializer("glorot_normal", seed=99 - seed)
        h = layers.Add()([h, layers.Dense(64, kernel_initializer=init)(b)])
    model = keras.Model(inputs, layers.Dense(10)(h))
    report = audit(model)
    (finding,) = report.findings()
    assert "sums of branches multiply the signal" in finding and "√(number of branches)" in finding
    for layer in model.layers:
        if isinstance(layer, layers.Dense) and layer.activation is keras.activations.linear:
            layer.kernel.assign(layer.kernel / np.sqrt(12))
    assert audit(model).ok


# ------------------------------------------------------------------ the numbers are right


def test_it_measures_what_the_scratch_network_measures() -> None:
    model = mlp(Initializer("he_normal", seed=0), depth=4)
    params = {}
    for i, layer in enumerate(model.layers, start=1):
        params[f"W{i}"], params[f"b{i}"] = layer.kernel.numpy().T, layer.bias.numpy()
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((32, 64)).astype("float32"), rng.integers(0, 10, 32)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    report = audit(model, x, y, loss)
    scratch = diagnostics.diagnose(params, x, y, loss="softmax_cross_entropy")
    for row, layer in zip(report.rows, scratch.layers, strict=True):
        assert row.q == pytest.approx(layer.q, rel=1e-4)
        assert row.gradient == pytest.approx(layer.gradient * layer.units, rel=1e-4)
        assert row.distinct == layer.units
    dead = [row.dead * row.units for row in report.rows[:-1]]  # type: ignore[operator]
    assert dead == [layer.dead for layer in scratch.layers[:-1]]


@pytest.mark.parametrize(
    ("layer", "size"),
    [
        (lambda: layers.Conv2D(1, 3, padding="same"), 4),
        (lambda: layers.Conv2D(1, 3, strides=2, padding="same"), 7),
        (lambda: layers.Conv2D(1, 3, padding="same", dilation_rate=2), 6),
        (lambda: layers.Conv2D(1, (5, 2), padding="same"), 3),
        (lambda: layers.Conv2D(1, 3), 5),
        (lambda: layers.DepthwiseConv2D(3, padding="same"), 4),
        (lambda: layers.Conv2DTranspose(1, 3, strides=2), 4),
        (lambda: layers.Conv2DTranspose(1, 4, strides=2, padding="same"), 4),
        (lambda: layers.Conv2DTranspose(1, 3, strides=1, padding="same"), 4),
    ],
)
def test_coverage_is_the_share_of_taps_that_meet_data(layer: Any, size: int) -> None:
    op = layer()
    ones = np.ones((1, size, size, 1), dtype="float32")
    op.build(ones.shape)
    op.set_weights([np.ones_like(op.get_weights()[0]), np.zeros(1)])
    taps = np.asarray(op(ones))
    expected = taps.mean() / np.prod(op.kernel_size)
    assert module._coverage(op, ones.shape, taps.shape) == pytest.approx(float(expected))
    causal = layers.Conv1D(1, 3, padding="causal")
    assert module._coverage(causal, (1, 4, 1), (1, 4, 1)) == pytest.approx(9 / 12)


def test_theory_tells_the_ratios_of_a_plain_net() -> None:
    model = mlp(Initializer("he_normal", seed=0), width=512, depth=6)
    for row in audit(model, rng=1).rows[1:-1]:
        # fluctuation of one layer: sqrt(5 / n), Hanin & Rolnick 2018
        assert row.ratio / row.predicted == pytest.approx(1, abs=4 * np.sqrt(5 / 512))  # type: ignore
        assert row.other == 1


# ------------------------------------------------------------------ every kind of model


def found(model: keras.Model, **keywords: Any) -> dict[str, str]:
    return {row.name: row.activation for row in audit(model, **keywords).rows}


def test_the_activation_is_found_behind_other_layers() -> None:
    x = keras.Input((8, 8, 3))
    h = layers.Conv2D(4, 3, padding="same", name="a")(x)
    h = layers.BatchNormalization()(h)
    h = layers.ReLU(max_value=6)(h)
    skip = h
    h = layers.Conv2D(4, 3, padding="same", name="b", activation=layers.LeakyReLU(0.1))(h)
    h = layers.Conv2D(4, 3, padding="same", name="c")(h)
    h = layers.Add()([skip, h])
    h = layers.Activation("silu")(h)
    h = layers.AveragePooling2D(2)(h)
    h = layers.Flatten()(h)
    h = layers.Dense(8, name="d")(h)
    h = keras.ops.relu(h)
    h = layers.Dense(8, name="e")(h)
    h = layers.PReLU()(h)
    h = layers.Dense(8, name="f")(h)
    h = layers.Dropout(0.5)(h)
    h = layers.Activation(lambda z: keras.ops.tanh(z) ** 2)(h)
    model = keras.Model(x, layers.Dense(1, activation="sigmoid", name="g")(h))
    names = found(model)
    assert names["a"] == "relu6" and names["b"] == "leaky_relu(0.1)" and names["c"] == "silu"
    assert names["d"] == "relu" and names["e"] == "relu" and "lambda" in names["f"]
    assert names["g"] == "linear"  # an output's sigmoid is the loss's affair
    report = audit(model)
    row = report.rows[3]
    assert row.name == "d" and row.cause.startswith("AveragePooling2D, Add")
    assert report.rows[4].name == "e" and report.rows[4].cause == "" and report.rows[4].other == 1
    assert any("Dropout is at work" in note for note in report.notes)


def test_shared_nested_and_many_inputs_and_outputs() -> None:
    shared = layers.Dense(16, activation="relu", name="shared")
    inner = keras.Sequential(
        [keras.Input((16,)), layers.Dense(16, activation="tanh")], name="inner"
    )
    a, b = keras.Input((16,), name="a"), keras.Input((6, 6, 2), name="b")
    h = shared(shared(a))
    h = inner(inner(h))
    g = layers.GlobalAveragePooling2D()(layers.SeparableConv2D(8, 3, name="sep")(b))
    both = layers.Concatenate()([h, g])
    model = keras.Model({"a": a, "b": b}, [layers.Dense(2)(both), layers.Dense(3)(both)])
    report = audit(model)
    names = [row.name for row in report.rows]
    assert "shared" in names and "shared (call 2)" in names
    assert "inner/dense" in " ".join(names) and "(call 2)" in [n for n in names if "inner" in n][1]
    separable = [row for row in report.rows if row.name == "sep"]
    assert [row.kernel for row in separable] == ["depthwise_kernel", "pointwise_kernel"]
    assert separable[0].q is None and separable[1].q is not None
    last = report.rows[-1]
    assert "several inputs" in last.cause and last.gradient is not None


@keras.saving.register_keras_serializable(package="winit-tests")
class Own(keras.Model):  # type: ignore[misc]
    """A subclassed model with plain functions between its layers."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.a = layers.Dense(32, name="a")
        self.b = layers.Dense(32, name="b")
        self.c = layers.Dense(4, name="c")

    def call(self, x: Any) -> Any:
        h = keras.ops.relu(self.a(x))
        return self.c(h * keras.ops.sigmoid(self.b(h)))


def test_a_subclassed_model_is_read_from_its_values() -> None:
    model = Own(name="own")
    model(np.zeros((2, 16), dtype="float32"))
    report = audit(model)
    assert [row.name for row in report.rows] == ["a", "b", "c"]
    assert report.rows[0].activation == "relu" and report.rows[1].ratio is not None
    assert any(
        note.startswith("What reaches c is made by operations outside layers")
        for note in report.notes
    )
    chosen = reinitialize(model, rng=0)
    assert chosen["own/a/kernel"] == "he_normal"


def test_loops_are_listed_and_said_not_to_be_looked_into() -> None:
    model = keras.Sequential(
        [keras.Input((4,)), layers.Embedding(9, 8), layers.GRU(5), layers.Dense(2)]
    )
    report = audit(model)
    assert [row.kernel for row in report.rows] == [
        "embeddings",
        "kernel",
        "recurrent_kernel",
        "kernel",
    ]
    assert report.rows[0].ideal is None and report.rows[2].q is not None
    assert "gru: runs in a loop" in report.notes[0]


def test_attention_is_read_through_its_own_layers() -> None:
    x = keras.Input((6, 16))
    model = keras.Model(x, layers.MultiHeadAttention(2, 8, name="mha")(x, x))
    rows = audit(model).rows
    assert [row.name for row in rows] == [
        f"mha/{n}" for n in ("query", "key", "value", "attention_output")
    ]
    assert all((row.fan_in, row.fan_out) == (16, 16) for row in rows)


def test_batch_normalisation_in_training_and_in_inference() -> None:
    model = keras.Sequential([keras.Input((64,))])
    for _ in range(12):
        model.add(layers.Dense(64, kernel_initializer=Initializer("normal", std=0.02, seed=0)))
        model.add(layers.BatchNormalization())
        model.add(layers.ReLU())
    model.add(layers.Dense(10))
    assert audit(model).ok
    report = audit(model, training=False)
    assert not report.ok and any("training=True" in note for note in report.notes)


def test_channels_first_units_are_the_second_axis() -> None:
    model = keras.Sequential(
        [keras.Input((3, 8, 8)), layers.Conv2D(5, 3, data_format="channels_first")]
    )
    row = audit(model).rows[0]
    assert row.units == 5 and row.distinct == 5


# ------------------------------------------------------------------ it never changes the model


def state(model: keras.Model) -> list[Any]:
    flat: list[Any] = [np.array(v.numpy()) for v in model.variables]
    flat += [np.array(v.numpy()) for v in model.optimizer.variables]
    flat += [(layer.trainable, sorted(layer.__dict__)) for layer in model._flatten_layers()]
    flat += [getattr(layer, "activation", None) for layer in model._flatten_layers()]
    return flat


def test_the_model_is_bit_for_bit_as_it_was() -> None:
    import random

    x = keras.Input((8, 8, 3))
    h = layers.Conv2D(4, 3, activation="relu")(x)
    h = layers.BatchNormalization()(h)
    h = layers.Dropout(0.5)(h)
    model = keras.Model(x, layers.Dense(2, activity_regularizer="l2")(layers.Flatten()(h)))
    model.layers[1].trainable = False
    model.compile("adam", "mse")
    model.train_on_batch(np.ones((4, 8, 8, 3)), np.ones((4, 2)))
    before, python = state(model), random.getstate()
    audit(model)
    with pytest.raises(ValueError, match="x must have shape"):
        audit(model, np.ones((4, 8, 8, 5)))
    after = state(model)
    for a, b in zip(before, after, strict=True):
        assert np.array_equal(a, b) if isinstance(a, np.ndarray) else a == b
    assert random.getstate() == python


def test_a_failure_in_the_middle_leaves_no_trace() -> None:
    class Breaks(layers.Layer):  # type: ignore[misc]
        def call(self, x: Any) -> Any:
            if x.shape[0] == module.EXAMPLES:
                raise RuntimeError("broken")
            return x

    model = keras.Sequential([keras.Input((4,)), layers.Dense(3), Breaks()])
    with pytest.raises(RuntimeError, match="broken"):
        audit(model)
    assert not any("call" in layer.__dict__ for layer in model._flatten_layers())
    assert model.layers[0].activation is keras.activations.linear


def test_the_same_seed_gives_the_same_report() -> None:
    model = small(Initializer("he_normal", seed=0))
    assert str(audit(model)) == str(audit(model)) != str(audit(model, rng=1))


# ------------------------------------------------------------------ input, output, backends


def test_bad_input_is_refused_in_words() -> None:
    model = small("he_normal")
    with pytest.raises(TypeError, match="model must be a Keras model, got int"):
        audit(3)
    with pytest.raises(ValueError, match="is not built"):
        audit(keras.Sequential([layers.Dense(3)]))
    with pytest.raises(ValueError, match=r"x must have shape \(examples, 64\), got \(4, 5\)"):
        audit(model, np.ones((4, 5)))
    with pytest.raises(ValueError, match="finite values"):
        audit(model, np.full((4, 64), np.nan))
    with pytest.raises(ValueError, match="at least one example"):
        audit(model, np.ones((0, 64)))
    with pytest.raises(ValueError, match="takes 1 inputs, got 2"):
        audit(model, [np.ones((4, 64)), np.ones((4, 64))])
    with pytest.raises(ValueError, match="hand in y"):
        audit(model, loss="mse")
    with pytest.raises(ValueError, match="targets need a loss"):
        audit(model, np.ones((4, 64)), np.ones(4))
    with pytest.raises(ValueError, match="is open: hand in x"):
        audit(keras.Sequential([keras.Input((None, None, 3)), layers.Conv2D(2, 3)]))
    own = Own()
    own(np.zeros((2, 16), dtype="float32"))
    own.get_build_config = lambda: None  # as of a model that was never told
    with pytest.raises(ValueError, match="is not known: hand in x"):
        audit(own)
    assert audit(own, np.ones((4, 16), dtype="float32")).rows


def test_a_compiled_loss_and_a_loss_of_two_outputs() -> None:
    x = keras.Input((8,))
    model = keras.Model(x, [layers.Dense(2)(x), layers.Dense(3)(x)])
    data = np.ones((4, 8), dtype="float32")
    report = audit(model, data, [np.ones((4, 2)), np.ones((4, 3))], "mse")
    assert all(row.gradient for row in report.rows)
    with pytest.raises(ValueError, match="has 2 outputs, got 1 targets"):
        audit(model, data, np.ones((4, 2)), "mse")
    one = small("he_normal")
    one.compile("sgd", "mse")
    assert audit(one, np.ones((4, 64)), np.ones((4, 10))).rows[0].gradient


def test_the_report_prints_draws_and_travels() -> None:
    report = audit(mlp("zeros", depth=2))
    text = str(report)
    assert text.splitlines()[0].endswith("3 of 3 kernels not good") and repr(report) == text
    assert "verdict" in text and "dead" in text and "Change: draw it with" in text
    assert max(map(len, text.splitlines()[1:5])) < 160
    page = report._repr_html_()
    assert page.startswith("<table><caption>") and page.count("<tr>") == 4 and "<p>dead" in page
    data = json.loads(json.dumps(report.to_dict()))
    assert data["ok"] is False and len(data["rows"]) == 3 and data["rows"][0]["fan_in"] == 64
    figure = audit(small(Initializer("he_normal", seed=0))).plot()
    labels = [t.get_text() for t in figure.axes[0].texts]
    assert set(labels) == {"signal", "gradient"}


def test_the_initializer_in_use_is_named_and_a_false_name_is_seen() -> None:
    model = small("glorot_normal")
    assert audit(model).rows[0].initializer == "glorot_normal"
    reinitialize(model, "he_normal", rng=0)
    assert audit(model).rows[1].initializer == "not glorot_normal"
    own = small(Initializer("he_normal", seed=0))
    assert audit(own).rows[0].initializer == "winit he_normal"


@pytest.mark.parametrize(
    ("initializer", "name"),
    [
        (keras.initializers.HeUniform(seed=0), "he_uniform"),
        (keras.initializers.VarianceScaling(0.5, "fan_out", seed=0), "variance_scaling"),
        (keras.initializers.RandomNormal(stddev=0.1, seed=0), "random_normal"),
        (keras.initializers.RandomUniform(-0.2, 0.1, seed=0), "random_uniform"),
        (keras.initializers.TruncatedNormal(stddev=0.1, seed=0), "truncated_normal"),
        (keras.initializers.Constant(0.2), "constant"),
        ("zeros", "zeros"),
        ("ones", "ones"),
        ("orthogonal", "orthogonal"),  # whose draws are not told by their std
    ],
)
def test_keras_initializers_are_named_and_changed_weights_are_seen(
    initializer: Any, name: str
) -> None:
    model = small(initializer)
    assert audit(model, gradients=False).rows[0].initializer == name
    kernel = model.layers[0].kernel
    kernel.assign(np.random.default_rng(0).normal(0, 3, kernel.shape))
    changed = name if name == "orthogonal" else f"not {name}"
    assert audit(model, gradients=False).rows[0].initializer == changed


def test_on_another_backend_the_signal_alone_is_measured() -> None:
    code = """
        import keras, winit.keras
        model = keras.Sequential([keras.Input((16,)), keras.layers.Dense(16, "relu"),
                                  keras.layers.Dense(3)])
        report = winit.keras.audit(model)
        assert all(row.q and row.gradient is None for row in report.rows), report
        print(report.notes[0])
        print(winit.keras.reinitialize(model, rng=0)[model.layers[0].kernel.path])
    """
    out = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | {"KERAS_BACKEND": "numpy"},
    )
    assert out.returncode == 0, out.stderr
    note = "The gradient columns are missing: they need KERAS_BACKEND=jax, not numpy."
    assert out.stdout.splitlines() == [note, "he_normal"]


def test_keras_and_audit_are_modules_of_winit() -> None:
    assert winit.keras.audit is audit and winit.audit.audit is audit


# ------------------------------------------------------------------ what once went wrong


class Chooses(keras.Model):  # type: ignore[misc]
    """Uses one of its inputs alone."""

    def __init__(self, use: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.use = use
        self.d = layers.Dense(4, kernel_initializer=Initializer("he_normal", seed=0))

    def call(self, x: Any) -> Any:
        return self.d(x[self.use])


def test_a_compiled_program_is_not_taken_for_another() -> None:
    data = [np.ones((4, 8), "float32"), 100 * np.ones((4, 8), "float32")]
    q = []
    for use in (0, 1):
        model = Chooses(use)
        model(data)
        q.append(audit(model, data).rows[0].q)
    assert q[1] == pytest.approx(1e4 * q[0], rel=1e-4)  # type: ignore[operator]


def test_a_gradient_that_is_not_finite_is_not_ok() -> None:
    def root(x: Any) -> Any:
        return keras.ops.where(x > 0, keras.ops.sqrt(x), 0.0 * x)

    model = keras.Sequential(
        [keras.Input((32,)), layers.Dense(32), layers.Lambda(root), layers.Dense(3)]
    )
    report = audit(model)
    assert report.rows[0].verdict == "exploding" and "gradient" in report.rows[0].reason
    with pytest.raises(ValueError, match="y must hold at least one example and finite values"):
        audit(model, np.ones((4, 32)), np.full((4, 3), np.nan), "mse")
    assert None is report.to_dict()["rows"][0]["gradient"]
    json.dumps(report.to_dict(), allow_nan=False)


class Plain(keras.Model):  # type: ignore[misc]
    """ReLU as a function, and another layer between it and the next kernel."""

    def __init__(self, between: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dense = [layers.Dense(64) for _ in range(12)]
        self.between = [between() for _ in range(12)]
        self.last = layers.Dense(10)

    def call(self, x: Any, training: bool = False) -> Any:
        for dense, between in zip(self.dense, self.between, strict=True):
            x = between(keras.ops.relu(dense(x)), training=training)
        return self.last(x)


@pytest.mark.parametrize("between", [lambda: layers.Dropout(0.1), layers.BatchNormalization])
def test_a_function_before_another_layer_is_read_too(between: Any) -> None:
    model = Plain(between)
    model(np.zeros((2, 64), "float32"))
    assert {row.activation for row in audit(model).rows[:-1]} == {"relu"}
    chosen = reinitialize(model, rng=0)
    assert chosen[model.dense[3].kernel.path] == "he_normal"
    assert audit(model).ok


def test_batch_normalisation_that_is_not_told_of_training_hides_nothing() -> None:
    class Forgets(keras.Model):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            init = Initializer("normal", std=0.04, seed=0)
            self.dense = [layers.Dense(64, kernel_initializer=init) for _ in range(8)]
            self.norm = [layers.BatchNormalization() for _ in range(8)]

        def call(self, x: Any) -> Any:
            for dense, norm in zip(self.dense, self.norm, strict=True):
                x = keras.ops.relu(norm(dense(x)))
            return x

    model = Forgets()
    model(np.zeros((2, 64), "float32"))
    report = audit(model)
    assert "weights together multiply the signal" in report.findings()[0]
    assert set(verdicts(report)[1:]) == {"shrinking"}


@pytest.mark.parametrize("activation", ["silu", "softplus", "gelu", "elu", "mish"])
def test_what_reinitialize_takes_for_an_activation_is_ok_at_ten_layers(activation: str) -> None:
    model = mlp("zeros", activation)
    oks = []
    for seed in range(4):
        reinitialize(model, rng=seed)
        oks.append(audit(model, rng=seed).ok)
    assert all(oks)


def test_an_embedding_before_a_normalisation_raises_no_alarm() -> None:
    tokens = keras.Input((6,), dtype="int32")
    h = layers.LayerNormalization()(layers.Embedding(50, 32)(tokens))
    model = keras.Model(tokens, layers.Dense(4)(h))
    assert audit(model).ok


def test_lambda_and_time_distributed_are_looked_into() -> None:
    model = keras.Sequential([keras.Input((5, 64))])
    for _ in range(3):
        model.add(layers.Dense(64))
        model.add(layers.Lambda(keras.ops.relu))
        model.add(layers.TimeDistributed(layers.Dense(64, activation="relu")))
    model.add(layers.Dense(64))
    model.add(layers.Lambda(lambda x: x.reshape(x.shape[0], -1)))  # no function of each number
    model.add(layers.Dense(4))
    report = audit(model)
    assert [row.activation for row in report.rows] == ["relu"] * 6 + ["linear", "linear"]
    assert report.rows[1].initializer == "glorot_uniform"
    drawn = [t for path, t in reinitialize(model, rng=0).items() if path.endswith("kernel")]
    assert drawn == ["he_normal"] * 6 + ["glorot_normal"] * 2
    assert report.notes[0].startswith(f"{report.rows[1].name}, ")


def test_a_gate_is_not_blamed_on_its_kernel() -> None:
    x = h = keras.Input((64,))
    init = Initializer("he_normal", seed=0)
    gate = Initializer("glorot_normal", seed=1)
    for _ in range(8):
        h = layers.Multiply()([h, layers.Dense(64, "sigmoid", kernel_initializer=gate)(h)])
        h = layers.Dense(64, "relu", kernel_initializer=init)(h)
    report = audit(keras.Model(x, layers.Dense(4)(h)))
    assert "exploding" not in verdicts(report)


def test_weights_whose_axes_are_not_known_are_named() -> None:
    class Odd(layers.Layer):  # type: ignore[misc]
        def build(self, shape: Any) -> None:
            self.w = self.add_weight(shape=(shape[-1], 8), name="w", initializer="ones")

        def call(self, x: Any) -> Any:
            return x @ self.w

    model = keras.Sequential([keras.Input((4, 8)), Odd(name="odd"), layers.PReLU()])
    model.add(layers.Dense(2))
    (note,) = audit(model).notes
    assert note.startswith("odd.w: weights whose axes are not known")
    bare = keras.Sequential([keras.Input((8,)), layers.ReLU()])
    with pytest.raises(ValueError, match="no kernel that was measured"):
        audit(bare).plot()


def test_weights_that_have_their_scale_are_not_to_be_drawn_again() -> None:
    model = mlp(Initializer("glorot_normal", seed=0), "tanh", depth=2)
    images = np.random.default_rng(0).integers(0, 256, (8, 64)).astype("float32")
    report = audit(model, images)
    assert report.rows[0].verdict == "saturated"
    assert report.rows[0].mend.startswith("its weights have their scale: normalise what reaches it")


def test_losses_by_name_and_in_order() -> None:
    x = keras.Input((8,))
    heads = {"a": layers.Dense(2, name="a")(x), "b": layers.Dense(3, name="b")(x)}
    model = keras.Model(x, heads)
    model.compile("sgd", loss={"a": "mse", "b": "mae"})
    data, targets = np.ones((4, 8)), {"a": np.ones((4, 2)), "b": np.ones((4, 3))}
    assert all(row.gradient for row in audit(model, data, targets).rows)
    with pytest.raises(ValueError, match="2 outputs, got 2 targets and 3 losses"):
        audit(model, data, targets, ["mse"] * 3)
    with pytest.raises(ValueError, match="y has 3 examples, x has 4"):
        audit(model, data, {"a": np.ones((3, 2)), "b": np.ones((3, 3))})


@pytest.mark.parametrize(
    ("x", "words"),
    [
        ([np.ones((4, 8)), np.ones((3, 6))], "4 examples in one input, 3 in another"),
        ([np.ones((4, 8)), np.ones((4, 7))], r"x for b must have shape \(examples, 6\)"),
        ([np.ones((4, 8)), np.full((4, 6), "a")], "x must hold numbers"),
    ],
)
def test_one_of_several_inputs_is_named(x: Any, words: str) -> None:
    a, b = keras.Input((8,), name="a"), keras.Input((6,), name="b")
    model = keras.Model([a, b], layers.Dense(2)(layers.Concatenate()([a, b])))
    with pytest.raises(ValueError, match=words):
        audit(model, x)
