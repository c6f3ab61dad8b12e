"""The bridge to Keras: schemes as initializers, models audited and drawn again."""

from __future__ import annotations

import ast
import gc
import json
import os
import random
import subprocess
import sys
import textwrap
import warnings
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from packaging.version import Version
from scipy.stats import ks_2samp
from tiers import some

import winit.keras
from winit import initializers
from winit.keras import Initializer, audit, reinitialize

layers = keras.layers
ROOT = Path(__file__).resolve().parent.parent


def kernels(model: Any) -> dict[str, np.ndarray[Any, Any]]:
    """The kernels of a layer or model, by path."""
    return {w.path: np.array(w.numpy()) for w in model.weights if "kernel" in w.name}


# ------------------------------------------------------------------ agreement with the formulas

MAKE = {
    "Dense": lambda init: (layers.Dense(300, kernel_initializer=init), (None, 200)),
    "Conv2D": lambda init: (layers.Conv2D(64, 3, kernel_initializer=init), (None, 9, 9, 48)),
    "Conv2D, groups": lambda init: (
        layers.Conv2D(96, 3, groups=2, kernel_initializer=init),
        (None, 9, 9, 64),
    ),
    "DepthwiseConv2D": lambda init: (
        layers.DepthwiseConv2D(5, depthwise_initializer=init),
        (None, 9, 9, 512),
    ),
    "Conv2DTranspose": lambda init: (
        layers.Conv2DTranspose(64, 3, kernel_initializer=init),
        (None, 9, 9, 32),
    ),
    "Conv2DTranspose, strides": lambda init: (
        layers.Conv2DTranspose(64, 4, strides=2, kernel_initializer=init),
        (None, 9, 9, 32),
    ),
    "EinsumDense": lambda init: (
        layers.EinsumDense("abc,cde->abde", (None, 8, 32), kernel_initializer=init),
        (None, 4, 128),
    ),
}
# The fans counted by hand: an output of the last but one sees 4·4·32 / 2² inputs.
FANS = {
    "Dense": (200, 300),
    "Conv2D": (432, 576),
    "Conv2D, groups": (288, 432),
    "DepthwiseConv2D": (25, 25),
    "Conv2DTranspose": (288, 576),
    "Conv2DTranspose, strides": (128, 1024),
    "EinsumDense": (128, 256),
}


@pytest.mark.parametrize("name", MAKE)
@pytest.mark.parametrize("scheme", ["he_normal", "glorot_uniform", "lecun_normal"])
def test_the_std_is_the_formulas_with_the_true_fans(name: str, scheme: str) -> None:
    layer, shape = MAKE[name](Initializer(scheme, seed=0))
    layer.build(shape)
    fan_in, fan_out = FANS[name]
    expected = {
        "he_normal": np.sqrt(2 / fan_in),
        "glorot_uniform": np.sqrt(2 / (fan_in + fan_out)),
        "lecun_normal": np.sqrt(1 / fan_in),
    }[scheme]
    w = layer.kernel.numpy()
    # sd of a sample std: sqrt((kurtosis - 1) / 4N), largest for the normal
    assert abs(w.std() / expected - 1) < 4 / np.sqrt(2 * w.size)
    assert abs(w.mean()) < 4 * expected / np.sqrt(w.size)


@pytest.mark.parametrize("name", ["Dense", "Conv2D", "EinsumDense"])
@pytest.mark.parametrize(
    "scheme", some(["he_normal", "glorot_normal", "he_uniform", "glorot_uniform"], 3)
)
def test_winit_and_keras_draw_from_the_same_distribution(name: str, scheme: str) -> None:
    if name == "EinsumDense" and Version(keras.__version__) < Version("3.15"):
        pytest.skip("before 3.15 Keras took this kernel for a convolution's, and its fans too")
    options = {"truncated": True} if scheme.endswith("normal") else {}
    samples = []
    for init in (Initializer(scheme, seed=0, **options), keras_by_name(scheme)):
        layer, shape = MAKE[name](init)
        layer.build(shape)
        samples.append(layer.kernel.numpy().ravel())
    assert ks_2samp(*samples).pvalue > 1e-3
    assert abs(samples[0].std() / samples[1].std() - 1) < 8 / np.sqrt(2 * samples[0].size)


def keras_by_name(scheme: str) -> keras.initializers.Initializer:
    config = {"class_name": scheme, "config": {"seed": 1}}
    return keras.initializers.get(config)


@pytest.mark.parametrize(
    ("name", "factor"), [("DepthwiseConv2D", 1 / np.sqrt(512)), ("Conv2DTranspose", np.sqrt(0.5))]
)
def test_keras_own_fans_are_off_where_we_say_so(name: str, factor: float) -> None:
    layer, shape = MAKE[name](keras_by_name("he_normal"))
    layer.build(shape)
    true = np.sqrt(2 / FANS[name][0])
    assert layer.kernel.numpy().std() / true == pytest.approx(factor, rel=0.03)


@pytest.mark.parametrize("name", MAKE)
def test_lecun_keeps_the_second_moment_of_unit_noise(name: str) -> None:
    layer, shape = MAKE[name](Initializer("lecun_normal", seed=0))
    x = np.random.default_rng(1).standard_normal((8, *shape[1:])).astype("float32")
    layer.build(shape)
    z = np.asarray(layer(x))
    if "Transpose" in name:
        z = z[:, 4:-4, 4:-4]  # at the edge fewer inputs arrive
    # the weights' own fluctuation, once for each output: Var |w|² = 2 / fan_in
    sd = np.sqrt(2 / FANS[name][0] / z.shape[-1] + 2 / z[..., 0].size)
    assert (z**2).mean() == pytest.approx(1, abs=4 * sd)


def test_attention_kernels_are_right_and_each_its_own() -> None:
    shared = Initializer("glorot_normal", seed=0)
    layer = layers.MultiHeadAttention(8, 64, kernel_initializer=shared)
    layer.build((None, 10, 512), (None, 10, 512))
    found = kernels(layer)
    assert len(found) == 4
    for w in found.values():
        assert w.std() == pytest.approx(np.sqrt(2 / 1024), rel=4 / np.sqrt(2 * w.size))
    q, k, v, _ = found.values()
    assert not np.array_equal(q, k) and not np.array_equal(k, v)
    assert abs(np.corrcoef(q.ravel(), k.ravel())[0, 1]) < 4 / np.sqrt(q.size)


def test_a_dense_kernel_is_the_very_matrix_that_winit_draws() -> None:
    layer = layers.Dense(6, kernel_initializer=Initializer("he_normal", seed=3))
    layer.build((None, 5))
    assert np.allclose(layer.kernel.numpy(), winit.he_normal((6, 5), rng=3).T, atol=1e-7)


def test_orthogonal_and_identity_and_options() -> None:
    layer = layers.Conv2D(8, 3, kernel_initializer=Initializer("orthogonal", seed=0, gain=2.0))
    layer.build((None, 9, 9, 4))
    w = layer.kernel.numpy().reshape(-1, 8)
    assert np.allclose(w.T @ w, 4 * np.eye(8), atol=1e-5)
    dense = layers.Dense(4, kernel_initializer=Initializer("identity"))
    dense.build((None, 4))
    assert np.array_equal(dense.kernel.numpy(), np.eye(4))
    bias = layers.Dense(4, bias_initializer=Initializer("constant", value=0.5))
    bias.build((None, 4))
    assert np.array_equal(bias.bias.numpy(), np.full(4, 0.5))


# ------------------------------------------------------------------ streams, seeds, saving


def test_one_instance_gives_each_layer_its_own_draw_and_keras_does_not() -> None:
    def pair(init: Any) -> list[np.ndarray[Any, Any]]:
        model = keras.Sequential(
            [keras.Input((16,)), *[layers.Dense(16, kernel_initializer=init) for _ in range(2)]]
        )
        return list(kernels(model).values())

    first, second = pair(Initializer("he_normal", seed=0))
    assert not np.array_equal(first, second)
    first, second = pair(keras.initializers.HeNormal(seed=0))
    assert np.array_equal(first, second), "Keras gives shared instances draws of their own by now"


def test_the_same_seed_starts_the_same_sequence_again() -> None:
    first, again = Initializer("he_normal", seed=5), Initializer("he_normal", seed=5)
    a, b = np.asarray(first((4, 3))), np.asarray(first((4, 3)))
    assert not np.array_equal(a, b)
    assert np.array_equal(a, again((4, 3))) and np.array_equal(b, again((4, 3)))


def test_without_a_seed_it_follows_keras() -> None:
    def draw() -> np.ndarray[Any, Any]:
        keras.utils.set_random_seed(7)
        return np.asarray(Initializer("he_normal")((4, 3)))

    assert np.array_equal(draw(), draw())


def test_copies_from_configs_have_streams_of_their_own() -> None:
    def draws() -> list[np.ndarray[Any, Any]]:
        original = Initializer("he_normal", seed=5)
        copies = [Initializer.from_config(original.get_config()) for _ in range(2)]
        inner = Initializer.from_config(copies[0].get_config())
        return [np.asarray(init((4, 3))) for init in (original, *copies, inner)]

    first = draws()
    for i, a in enumerate(first):
        assert not any(np.array_equal(a, b) for b in first[:i])
    for a, b in zip(first, draws(), strict=True):
        assert np.array_equal(a, b)


def model_of_many_copies() -> keras.Model:
    init = Initializer("glorot_normal", seed=3)
    x = keras.Input((6, 16))
    h = layers.Dense(16, kernel_initializer=init)(x)
    for _ in range(2):
        h = layers.MultiHeadAttention(2, 8, kernel_initializer=init)(h, h)
    model = keras.Model(x, layers.Dense(16, kernel_initializer=init)(h))
    return keras.models.clone_model(model)


def test_the_same_building_code_gives_the_same_kernels_whatever_is_alive() -> None:
    first = model_of_many_copies()
    again = model_of_many_copies()  # while the first is alive
    del again
    gc.collect()
    third = model_of_many_copies()
    code = """
        import numpy as np
        from test_keras import kernels, model_of_many_copies
        print(repr([float(w.sum()) for w in kernels(model_of_many_copies()).values()]))
    """
    out = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        cwd=ROOT / "tests",
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert out.returncode == 0, out.stderr
    found = [list(kernels(model).values()) for model in (first, third)]
    for a, b, total in zip(*found, ast.literal_eval(out.stdout), strict=True):
        assert np.array_equal(a, b) and float(a.sum()) == total
    drawn = [w.ravel()[:64] for w in found[0]]
    assert len(drawn) == 10
    for i, a in enumerate(drawn):
        assert not any(np.array_equal(a, b) for b in drawn[:i])


def test_a_seed_may_be_a_whole_number_of_numpy() -> None:
    a, b = (np.asarray(Initializer("he_normal", seed=s)((4, 3))) for s in (3, np.int64(3)))
    assert np.array_equal(a, b)


def test_by_hand_it_reads_a_shape_as_keras_does() -> None:
    w = np.asarray(Initializer("lecun_normal", seed=0)((3, 3, 50, 70)))
    assert w.std() == pytest.approx(np.sqrt(1 / 450), rel=0.02)


@pytest.mark.parametrize("policy", ["float16", "bfloat16", "mixed_float16"])
def test_dtype_policies(policy: str) -> None:
    layer = layers.Dense(64, dtype=policy, kernel_initializer=Initializer("he_normal", seed=0))
    layer.build((None, 64))
    assert layer.kernel.dtype == ("float32" if policy == "mixed_float16" else policy)
    w = keras.ops.convert_to_numpy(keras.ops.cast(layer.kernel, "float32"))
    assert w.std() == pytest.approx(np.sqrt(2 / 64), rel=0.05)


@keras.saving.register_keras_serializable(package="winit-tests")
class Late(keras.Model):  # type: ignore[misc]
    """Its layers are built late, when it is first called on symbols."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.first = layers.DepthwiseConv2D(
            3, depthwise_initializer=Initializer("lecun_normal", seed=0)
        )

    def call(self, x: Any) -> Any:
        return self.first(x)


def test_a_layer_that_is_built_late_is_known_too() -> None:
    model = Late()
    model(keras.Input((9, 9, 256)))
    assert model.first.kernel.numpy().std() == pytest.approx(1 / 3, rel=0.05)


def test_a_saved_model_comes_back_in_a_fresh_process(tmp_path: Path) -> None:
    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.DepthwiseConv2D(3, depthwise_initializer=Initializer("he_normal", seed=0)),
            layers.Flatten(),
            layers.Dense(
                4, kernel_initializer=Initializer("glorot_uniform", gain=2.0), name="last"
            ),
        ]
    )
    model.save(tmp_path / "model.keras")
    x = np.random.default_rng(0).standard_normal((2, 8, 8, 3)).astype("float32")
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "y.npy", model(x))
    code = f"""
        import keras, numpy as np, winit.keras
        folder = {str(tmp_path)!r}
        model = keras.saving.load_model(folder + "/model.keras")
        y = np.load(folder + "/y.npy")
        assert np.array_equal(model(np.load(folder + "/x.npy")), y)
        init = model.get_layer("last").kernel_initializer
        print(init, np.asarray(init((100, 100))).std().round(2))
    """
    out = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, cwd=ROOT
    )
    assert out.returncode == 0, out.stderr
    text = "winit.keras.Initializer('glorot_uniform', seed=None, gain=2.0) 0.2"
    assert out.stdout.strip() == text


# ------------------------------------------------------------------ errors


@pytest.mark.parametrize(
    ("arguments", "options", "error", "words"),
    [
        (("he_norml",), {}, ValueError, "Did you mean 'he_normal'"),
        (("he_normal",), {"gian": 1.0}, ValueError, "an option of he_normal must be one of"),
        (("zeros",), {"gain": 1.0}, ValueError, "zeros takes no options"),
        (("constant",), {}, ValueError, "constant needs the option 'value'"),
        (("glorot_normal",), {"gain": -1.0}, ValueError, "gain must be larger than 0"),
        (("he_normal", 1.5), {}, TypeError, "seed must be a whole number"),
        (("he_normal", -1), {}, ValueError, "seed must be at least 0"),
    ],
)
def test_errors_at_construction(
    arguments: Any, options: Any, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        Initializer(*arguments, **options)


@pytest.mark.parametrize(
    ("prepare", "words"),
    [
        ("os.environ.pop('KERAS_BACKEND', None)", "Keras found no backend (tensorflow is not"),
        ("sys.modules['keras'] = None", 'needs Keras and a backend: pip install "winit[keras]"'),
    ],
)
def test_a_missing_keras_or_backend_is_one_sentence(
    prepare: str, words: str, tmp_path: Path
) -> None:
    # An empty home: a configuration of the user's may name a backend.
    home = f"os.environ['KERAS_HOME'] = {str(tmp_path)!r}"
    code = f"import os, sys; {home}; {prepare}; import winit.keras"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert out.returncode == 1
    assert words in out.stderr.strip().splitlines()[-1]


# ------------------------------------------------------------------ reinitialize


def mixed() -> keras.Model:
    tokens = keras.Input((5,), dtype="int32")
    h = layers.Embedding(20, 8)(tokens)
    h = layers.LSTM(6)(h)
    h = layers.Dense(32, activation="relu", name="relu")(h)
    h = layers.Dense(32, use_bias=False, name="normed")(h)
    h = layers.BatchNormalization(name="norm")(h)
    h = layers.LeakyReLU(negative_slope=0.2)(h)
    h = layers.Dense(32, activation="selu", name="selu")(h)
    return keras.Model(tokens, layers.Dense(3, activation="softmax", name="out")(h))


def test_auto_takes_the_scheme_that_fits_and_says_so() -> None:
    model = mixed()
    changed = reinitialize(model, rng=0)
    schemes = {path.split("/")[-2]: text for path, text in changed.items() if "kernel" in path}
    assert schemes["selu"].startswith("variance_scaling") and schemes["relu"] == "lecun_normal"
    assert schemes["normed"] == "he_normal" and schemes["out"] == "variance_scaling, scale=0.01"
    assert changed["lstm/lstm_cell/recurrent_kernel"] == "orthogonal"
    w = model.get_layer("normed").kernel.numpy()
    assert w.std() == pytest.approx(np.sqrt(2 / 32), rel=4 / np.sqrt(2 * w.size))
    for block in np.split(model.layers[2].cell.recurrent_kernel.numpy(), 4, axis=1):
        assert np.allclose(block.T @ block, np.eye(6), atol=1e-5)  # gate by gate
    bias = model.layers[2].cell.bias.numpy()
    assert np.array_equal(bias, np.repeat([0, 1, 0, 0], 6))
    assert set(changed) == {v.path for v in model.weights}
    assert [
        path for path, text in changed.items() if "seed" in path or text.startswith("left")
    ] == []


def test_kernels_that_a_layer_was_given_stay() -> None:
    """An identity, a constant for the one unit of a head, and what may not fall below 0."""
    keras.utils.set_random_seed(0)
    constant = keras.initializers.Constant
    model = keras.Sequential([
        keras.Input((12,)),
        layers.Dense(12, kernel_initializer="identity", name="a", activation="relu"),
        layers.Dense(12, kernel_constraint="non_neg", name="b", activation="relu"),
        layers.Dense(12, kernel_initializer=constant(0.1), name="c", activation="relu"),
        layers.Dense(1, kernel_initializer=constant(10.0), name="d"),
    ])  # fmt: skip
    said = [text for path, text in reinitialize(model, rng=0).items() if "kernel" in path]
    assert said == ["left: given, made of 2 numbers", "left: given, none below 0", "he_normal",
                    "left: given as a constant"]  # fmt: skip


def test_a_model_that_takes_no_noise_asks_for_x() -> None:
    class Fixed(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.dense = layers.Dense(3)

        def call(self, x: Any) -> Any:
            return keras.ops.matmul(keras.ops.eye(7), self.dense(x))

    model, x = Fixed(), np.ones((7, 5), "float32")
    model(x)
    with pytest.raises(ValueError, match="does not take noise of the shape of its inputs: give x"):
        reinitialize(model, rng=0)
    assert set(reinitialize(model, rng=0, x=x)) == {v.path for v in model.weights}


def test_a_named_scheme_with_options_goes_to_every_kernel() -> None:
    model = mixed()
    changed = reinitialize(model, "orthogonal", rng=0, gain=1.5)
    assert {t for p, t in changed.items() if "kernel" in p} == {"orthogonal, gain=1.5"}


def test_the_same_rng_draws_the_same_model() -> None:
    first, second = mixed(), mixed()
    reinitialize(first, rng=3)
    reinitialize(second, rng=3)
    for a, b in zip(first.get_weights(), second.get_weights(), strict=True):
        assert np.array_equal(a, b)


@pytest.mark.parametrize("sign", ["optimizer", "bias", "statistics"])
def test_a_trained_model_is_refused_unless_forced(sign: str) -> None:
    model = mixed()
    if sign == "optimizer":
        model.compile("sgd")
        model.optimizer.iterations.assign(3)
    elif sign == "bias":
        model.get_layer("relu").bias.assign(np.full(32, 0.1))
    else:
        model.get_layer("norm").moving_mean.assign(np.full(32, 0.1))
        reinitialize(model, rng=0)  # as after a call, to see what shapes come out
        assert not model.get_layer("norm").moving_mean.numpy().any()
        model.get_layer("norm").moving_mean.assign(np.full(32, 0.1))
        model.get_layer("norm").trainable = False
    before = model.get_weights()
    with pytest.raises(ValueError, match=r"looks trained .*force=True"):
        reinitialize(model, rng=0)
    for a, b in zip(before, model.get_weights(), strict=True):
        assert np.array_equal(a, b)
    reinitialize(model, rng=0, force=True)
    assert not model.get_layer("relu").bias.numpy().any()
    assert not model.get_layer("norm").moving_mean.numpy().any()


def test_a_start_that_somebody_asked_for_is_no_sign_of_training_and_stays() -> None:
    prior = keras.initializers.Constant(-4.6)
    model = keras.Sequential(
        [
            keras.Input((4,)),
            layers.Dense(3, bias_initializer="ones"),
            layers.BatchNormalization(gamma_initializer="zeros"),
            layers.Dense(3, bias_initializer=keras.initializers.RandomNormal(seed=0)),
            layers.Dense(1, bias_initializer=prior, name="last"),
        ]
    )
    changed = reinitialize(model, rng=0)
    assert "as asked for" in changed.values()
    biases = [layer.bias.numpy() for layer in model.layers if isinstance(layer, layers.Dense)]
    assert biases[0].tolist() == [1, 1, 1] and not biases[1].any() and biases[2] == np.float32(-4.6)
    assert not model.layers[1].gamma.numpy().any()


def test_an_adapter_starts_without_effect() -> None:
    model = keras.Sequential([keras.Input((64,)), layers.Dense(64, activation="relu")])
    model.layers[0].enable_lora(4)
    reinitialize(model, rng=0)
    layer = model.layers[0]
    kernel = keras.ops.convert_to_numpy(layer.kernel)  # it reads data: 1 / fan_in
    assert kernel.std() == pytest.approx(np.sqrt(1 / 64), rel=4 / np.sqrt(2 * kernel.size))
    assert layer.lora_kernel_a.numpy().any() and not layer.lora_kernel_b.numpy().any()


def test_a_weight_of_its_own_name_stays() -> None:
    class Scale(layers.Layer):  # type: ignore[misc]
        def build(self, shape: Any) -> None:
            self.gamma = self.add_weight(shape=(shape[-1],), name="gamma", initializer="zeros")

        def call(self, x: Any) -> Any:
            return x * self.gamma

    model = keras.Sequential([keras.Input((4,)), Scale(), layers.Dense(2)])
    (text,) = (text for path, text in reinitialize(model, rng=0).items() if "gamma" in path)
    assert text.startswith("left: ") and not model.layers[0].gamma.numpy().any()


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_interrupted_half_way_the_model_is_as_it_was(
    error: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = mixed()
    before = model.get_weights()
    victim = model.get_layer("selu").kernel
    assign = type(victim).assign
    calls: list[Any] = []

    def interrupted(self: Any, value: Any) -> Any:
        if self is victim and not calls:
            calls.append(self)
            raise error
        return assign(self, value)

    monkeypatch.setattr(type(victim), "assign", interrupted)
    with pytest.raises(error):
        reinitialize(model, rng=0)
    assert calls
    for a, b in zip(before, model.get_weights(), strict=True):
        assert np.array_equal(a, b)


def test_reinitialize_refuses_what_it_cannot_do() -> None:
    model = mixed()
    with pytest.raises(TypeError, match=r"must be a Keras model, got \[1\]"):
        reinitialize([1])
    with pytest.raises(ValueError, match="not built"):
        reinitialize(keras.Sequential([layers.Dense(3)]))
    with pytest.raises(ValueError, match="Did you mean 'he_normal'"):
        reinitialize(model, "he_norml")
    with pytest.raises(ValueError, match="options go with a named scheme"):
        reinitialize(model, gain=2.0)
    with pytest.raises(TypeError, match="rng must be"):
        reinitialize(model, rng="zero")


def test_every_scheme_can_be_an_initializer() -> None:
    for scheme in sorted(set(initializers.SCHEMES) - {"uniform"}):  # whose order does not matter
        options = {"value": 0.1} if scheme == "constant" else {}
        layer = layers.Conv2D(4, 3, kernel_initializer=Initializer(scheme, seed=0, **options))
        layer.build((None, 8, 8, 4))
        again = initializers.get(scheme)((4, 4, 3, 3), rng=0, **options)
        assert np.allclose(layer.kernel.numpy(), again.transpose(2, 3, 1, 0), atol=1e-6)


# ------------------------------------------------------------------ what audit and redraw leave


def test_what_is_frozen_or_given_stays_and_is_named() -> None:
    given = np.random.default_rng(0).standard_normal((20, 8))
    tokens = keras.Input((5,), dtype="int32")
    table = layers.Embedding(
        20, 8, embeddings_initializer=keras.initializers.Constant(given), name="given"
    )
    h = layers.Dense(8, name="frozen", trainable=False)(layers.Flatten()(table(tokens)))
    model = keras.Model(tokens, layers.Dense(3, name="free")(h))
    before = model.get_layer("frozen").kernel.numpy().copy()
    texts = reinitialize(model, rng=0)
    assert texts["given/embeddings"] == "left: given as a constant"
    assert texts["frozen/kernel"] == "left: frozen"
    assert np.allclose(table.embeddings.numpy(), given)
    assert np.array_equal(model.get_layer("frozen").kernel.numpy(), before)
    reinitialize(model, rng=0, force=True)
    assert not np.array_equal(model.get_layer("frozen").kernel.numpy(), before)
    assert not np.allclose(table.embeddings.numpy(), given)


def test_what_a_frozen_mask_takes_away_is_made_up_for() -> None:
    @keras.saving.register_keras_serializable()
    class Masked(layers.Dense):
        def build(self, shape: Any) -> None:
            super().build(shape)
            keep = (np.random.default_rng(0).random((shape[-1], self.units)) < 0.2).astype("f4")
            self.keep = self.add_weight(shape=keep.shape, trainable=False, name="keep")
            self.keep.assign(keep)

        def call(self, x: Any) -> Any:
            return keras.ops.relu(x @ (self.keep * self.kernel) + self.bias)

    model = keras.Sequential([keras.Input((48,)), *[Masked(48) for _ in range(10)]])
    assert {f.verdict for f in audit(model).findings} == {"shrinking"}
    texts, last = reinitialize(model, rng=0), model.layers[5]
    share = float(np.mean(last.keep.numpy()))
    assert texts[last.kernel.path] == f"he_normal, times {share**-0.5:.3g}"
    assert texts[last.keep.path] == "left: frozen"
    assert np.std(last.kernel.numpy()) == pytest.approx(np.sqrt(2 / 48 / share), rel=0.1)
    assert audit(model).ok


def test_a_mask_among_the_inputs_leaves_all_where_no_data_are_given() -> None:
    """Noise would be no mask: what is divided by its sum would be anything."""
    x, mask = keras.Input((12, 8)), keras.Input((12, 1))
    h = x
    for _ in range(15):
        h = layers.Dense(64, activation="relu", kernel_initializer="he_normal")(h)
        h = layers.Multiply()([h, mask])
    h = keras.ops.sum(h, 1) / keras.ops.sum(mask, 1)
    model = keras.Model([x, mask], layers.Dense(5)(h))
    assert audit(model).ok
    texts = reinitialize(model, rng=0)
    assert {texts[layer.kernel.path] for layer in model.layers[4:-4] if layer.weights} == {
        "he_normal"
    }
    rng = np.random.default_rng(0)
    data = rng.standard_normal((16, 12, 8)), rng.random((16, 12, 1)) < 0.7
    assert audit(model, [part.astype("f4") for part in data]).ok


class Own(keras.layers.Layer):
    """A dense layer as people write it, which says of no variable how it starts."""

    def __init__(self, units: int, bias: Any = 0.0) -> None:
        super().__init__()
        self.units, self.begins = units, np.broadcast_to(bias, units)

    def build(self, shape: tuple[int, ...]) -> None:
        self.w = self.add_weight(shape=(shape[-1], self.units), name="w")
        self.b = self.add_weight(shape=(self.units,), name="b")
        self.b.assign(self.begins)

    def call(self, x: Any) -> Any:
        return keras.ops.matmul(x, self.w) + self.b


@pytest.mark.parametrize("head", [0.0, [1.0, 2.0, 3.0]])
def test_biases_of_own_layers_are_told_by_what_they_do(head: Any) -> None:
    """One that kills all units was left, since its name is not bias; an output's was given."""
    parts = Own(32), layers.ReLU(), Own(32, -20.0), layers.ReLU(), Own(3, head)
    model = keras.Sequential([keras.Input((16,)), *parts])
    assert {f.verdict for f in audit(model, cures=False).findings} == {"dead"}
    texts = reinitialize(model, rng=0)
    assert texts[parts[2].b.path] == "zeros" and audit(model).ok
    assert texts[parts[4].b.path].startswith("left: given" if np.any(head) else "zeros")


@pytest.mark.parametrize(
    ("kernel", "recurrent", "verdict"),
    [(None, 0.001, "shrinking"), (5.0, None, "saturated"), (None, None, None)],
)
def test_masks_hide_nothing_of_a_recurrent_layer(
    kernel: float | None, recurrent: float | None, verdict: str | None
) -> None:
    """A state that stays at padding was taken for a way past its kernel, and hid its curve."""
    tokens = np.random.default_rng(0).integers(1, 50, (32, 12))
    reports = []
    for mask in (True, False):
        keras.utils.set_random_seed(0)
        given = {"kernel_initializer": kernel, "recurrent_initializer": recurrent}
        rnn = {k: keras.initializers.RandomNormal(stddev=v) for k, v in given.items() if v}
        parts = [layers.Embedding(50, 16, "normal", mask_zero=mask), layers.SimpleRNN(32, **rnn)]
        model = keras.Sequential([keras.Input((12,), dtype="int32"), *parts, layers.Dense(5)])
        model.layers[0].embeddings.assign(20 * model.layers[0].embeddings)
        reports.append(audit(model, tokens, cures=False))
    assert [f.verdict for f in reports[0].findings] == [verdict] * (verdict is not None)
    assert [row.verdict for row in reports[0].rows] == [row.verdict for row in reports[1].rows]
    assert [row.ideal for row in reports[0].rows[1:]] == [row.ideal for row in reports[1].rows[1:]]


@pytest.mark.parametrize("at", [0.0, 0.5])
def test_a_point_that_is_the_same_for_all_examples_is_not_collapsed(at: float) -> None:
    """As where a network is 0 at a point by construction, f(x) - f(0)."""
    parts = [layers.Dense(32, "tanh"), layers.Dense(32, "tanh"), layers.Dense(1)]
    net, x = keras.Sequential([keras.Input((4,)), *parts]), keras.Input((4,))
    model = keras.Model(x, net(x) - net(0 * x + at))
    assert audit(model, cures=False).ok


def state(model: keras.Model) -> list[Any]:
    """Everything that an audit could have changed, masks that layers keep included."""
    values = [np.array(v.numpy()) for v in model.variables]
    if model.optimizer is not None:
        values += [np.array(v.numpy()) for v in model.optimizer.variables]
    values += [m.result() for m in model.metrics]
    for layer in model._flatten_layers():
        values += [layer.trainable, layer.built, sorted(layer.__dict__)]
        values += [getattr(layer, name, None) for name in ("activation", "_losses", "call")]
    return values


def test_the_model_is_bit_for_bit_as_it_was() -> None:
    x = keras.Input((8, 8, 3))
    h = layers.Conv2D(4, 3, activation="relu")(x)
    h = layers.Dropout(0.5)(layers.BatchNormalization()(h))
    model = keras.Model(x, layers.Dense(2, activity_regularizer="l2")(layers.Flatten()(h)))
    model.layers[1].trainable = False
    model.compile("adam", "mse")
    model.train_on_batch(np.ones((4, 8, 8, 3)), np.ones((4, 2)))
    before, python, numpy = state(model), random.getstate(), np.random.get_state()[1].copy()  # noqa: NPY002
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        audit(model, np.ones((4, 8, 8, 3)), np.ones((4, 2)))
        with pytest.raises(ValueError, match="x must have shape"):
            audit(model, np.ones((4, 8, 8, 5)))
    for a, b in zip(before, state(model), strict=True):
        assert np.array_equal(a, b) if isinstance(a, np.ndarray) else a == b
    assert random.getstate() == python and np.array_equal(np.random.get_state()[1], numpy)  # noqa: NPY002


# ------------------------------------------------------------------ inputs, targets, backends


def dense(n: int = 3, **keywords: Any) -> keras.Model:
    return keras.Sequential([keras.Input((16,)), layers.Dense(n, **keywords)])


def test_inputs_that_nobody_gave_suit_the_model() -> None:
    rescaled = [keras.Input((8, 8, 3)), layers.Rescaling(1 / 127.5, -1), layers.Flatten()]
    (row,) = audit(keras.Sequential([*rescaled, layers.Dense(4)]), cures=False).rows
    assert 0.8 < row.x2 < 1.2
    (row,) = audit(keras.Sequential([keras.Input(batch_shape=(3, 16)), layers.Dense(4)])).rows
    assert 0.4 < row.x2 < 1.8
    a, b = keras.Input((5,), dtype="int32"), keras.Input((5,))
    tables = [layers.Embedding(7, 4)(a), layers.Embedding(1000, 4)(b)]
    model = keras.Model([a, b], layers.Dense(2)(layers.Flatten()(layers.Concatenate()(tables))))
    subject = winit.keras._subject(model, None, None, None, True, 0)
    first, second = (np.asarray(x) for x in subject.x)
    assert first.max() < 7 and second.max() > 6 and (second == second.round()).all()


def test_losses_are_paired_with_outputs_by_name() -> None:
    x = keras.Input((8,))
    outputs = [layers.Dense(10, name="z")(x), layers.Dense(10, name="a")(x)]
    model = keras.Model(x, outputs)
    sparse = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("sgd", loss={"z": sparse, "a": "mse"})
    data, y = np.ones((8, 8)), [np.zeros(8, int), np.zeros((8, 10))]
    z, a = (np.asarray(o) for o in model(data))
    expected = float(np.mean(np.log(np.exp(z).sum(1)) - z[:, 0])) + float(np.mean(a**2))
    for targets in (y, dict(zip("za", y, strict=True))):
        assert audit(model, data, targets, cures=False).loss == pytest.approx(expected, rel=1e-4)
    with pytest.raises(ValueError, match="y and loss do not fit the outputs of"):
        audit(model, data, y, ["mse"] * 3)
    with pytest.raises(ValueError, match="y and loss do not fit the outputs of"):
        audit(model, data, [np.zeros(3, int), np.zeros((3, 10))])
    named = keras.Model(x, {"z": outputs[0], "a": outputs[1]})
    named.compile("sgd", loss={"a": "mse", "z": sparse})
    assert audit(named, data, dict(zip("za", y, strict=True)), cures=False).loss == pytest.approx(
        expected, rel=1e-4
    )


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ((np.ones((4, 5)),), ValueError, r"x must have shape \(examples, 16\), got \(4, 5\)"),
        ((np.full((4, 16), np.nan),), ValueError, "finite values"),
        ((np.ones((0, 16)),), ValueError, "at least one example"),
        ((np.full((4, 16), "a"),), ValueError, "x must hold numbers"),
        (([np.ones((4, 16))] * 2,), ValueError, "takes 1 inputs, got 2"),
        ((3.0,), ValueError, r"x must have shape \(examples, 16\), got \(\)"),
        ((np.ones((4, 16)), np.ones(4), lambda y, o: 3.0), ValueError, "depend on the outputs"),
        ((None, None, "mse"), ValueError, "a loss needs targets"),
        ((np.ones((4, 16)), np.ones(4)), ValueError, "targets need a loss"),
        ((np.ones((4, 16)), np.full((4, 3), np.nan), "mse"), ValueError, "y must hold"),
        (
            (np.ones((4, 16)), np.ones(4), keras.losses.MeanSquaredError),
            TypeError,
            r"an instance, such as MeanSquaredError\(\), got the class MeanSquaredError",
        ),
        ((np.ones((4, 16)), np.ones(4), "no_loss"), ValueError, "Keras's, such as 'mse', got 'no_"),
    ],
)
def test_bad_input_is_refused_in_words(arguments: Any, error: Any, words: str) -> None:
    with pytest.raises(error, match=words):
        audit(dense(), *arguments)


def test_tokens_and_labels_out_of_range_are_refused_in_words() -> None:
    tokens, x = keras.Input((5,), dtype="int32"), np.random.default_rng(0)
    hidden = layers.GlobalAveragePooling1D()(layers.Embedding(50, 4)(tokens))
    model = keras.Model(tokens, layers.Dense(3)(hidden))
    good, sparse = x.integers(0, 50, (8, 5)), keras.losses.SparseCategoricalCrossentropy
    for bad in (50, 2000, -51):
        given = good.copy()
        given[3, 2] = bad
        with pytest.raises(ValueError, match=f"x holds {bad}, .* picks from has rows 0 to 49"):
            audit(model, given)
    pairs = keras.Input((2,), dtype="int32")  # each column picks from a table of its own
    rows = [layers.Embedding(n, 4)(pairs[:, k]) for k, n in enumerate((50, 90))]
    both = keras.Model(pairs, layers.Dense(3)(layers.Concatenate()(rows)))
    assert audit(both, np.stack([good[:, 0], np.arange(82, 90)], axis=1)).ok
    classes = np.array([0, 1, 2, 0, 1, 2, 0, 1])
    for bad in (3, 7, -2):
        for loss in (sparse(from_logits=True), "sparse_categorical_crossentropy"):
            with pytest.raises(ValueError, match=f"y holds {bad}, and the outputs have classes 0 "):
                audit(model, good, np.full(8, bad), loss)
    with pytest.raises(ValueError, match="y holds 3, "):  # counted from 1
        audit(model, good, classes + 1, sparse(from_logits=True))
    rest = np.where(classes == 1, -1, classes)  # a mark of what does not count
    assert audit(model, good, rest, sparse(from_logits=True, ignore_class=-1), cures=False).judged
    numbers = np.full((8, 3), 7)  # no classes
    assert audit(model, good, numbers, "mse", cures=False).judged


def test_nested_lists_are_one_input() -> None:
    model, x = dense(), np.random.default_rng(0).standard_normal((4, 16))
    assert str(audit(model, x.tolist())) == str(audit(model, x))


class Asked(layers.Layer):  # type: ignore[misc]
    """Calls a layer without weights by its method, so that it is never built."""

    def __init__(self) -> None:
        super().__init__()
        self.scale, self.inner = layers.Rescaling(0.5), layers.Dense(4)

    def build(self, shape: Any) -> None:
        self.inner.build(shape)

    def call(self, x: Any) -> Any:
        return self.inner(self.scale.call(x))


def test_a_layer_without_weights_need_not_be_built() -> None:
    model = keras.Sequential([keras.Input((8,)), Asked()])
    assert not all(layer.built for layer in model._flatten_layers())
    assert audit(model, cures=False).judged


def test_models_that_cannot_be_read_are_refused_in_words() -> None:
    with pytest.raises(TypeError, match="model must be a Keras model, got 3"):
        audit(3)
    with pytest.raises(ValueError, match="is not built"):
        audit(keras.Sequential([layers.Dense(3)]))
    with pytest.raises(ValueError, match="is open: give x"):
        audit(keras.Sequential([keras.Input((None, None, 3)), layers.Conv2D(2, 3)]))
    late = Late()
    late(keras.Input((9, 9, 4)))
    late.get_build_config = lambda: None
    with pytest.raises(ValueError, match="is not known: give x"):
        audit(late)
    a, b = keras.Input((8,), name="a"), keras.Input((6,), name="b")
    two = keras.Model([a, b], layers.Dense(2)(layers.Concatenate()([a, b])))
    with pytest.raises(ValueError, match="4 examples in one input, 3 in another"):
        audit(two, [np.ones((4, 8)), np.ones((3, 6))])
    with pytest.raises(ValueError, match=r"x for b must have shape \(examples, 6\)"):
        audit(two, [np.ones((4, 8)), np.ones((4, 7))])


def test_on_another_backend_one_sentence_says_what_to_do() -> None:
    code = """
        import keras, winit
        model = keras.Sequential([keras.Input((16,)), keras.layers.Dense(3)])
        for function in (winit.audit, winit.reinitialize):
            try:
                function(model)
            except ValueError as error:
                print(error)
        init = winit.keras.Initializer("he_normal", seed=0)
        keras.layers.Dense(4, kernel_initializer=init).build((None, 5))
    """
    out = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | {"KERAS_BACKEND": "numpy"},
    )
    assert out.returncode == 0, out.stderr
    sentence = "Keras computes with numpy here, where a model cannot be read: save it, set "
    assert out.stdout.splitlines() == [sentence + "KERAS_BACKEND=jax, and load it again"] * 2


@pytest.mark.long
@pytest.mark.parametrize("kind", ["DataParallel", "ModelParallel"])
def test_eight_devices_keep_their_layouts_and_give_the_numbers_of_one(kind: str) -> None:
    code = f"""
        import jax, keras, numpy as np, winit
        distribution = keras.distribution
        def build():
            keras.utils.set_random_seed(0)
            return keras.Sequential([keras.Input((16,)), *[keras.layers.Dense(16, "relu",
                name=f"d{{i}}") for i in range(3)], keras.layers.Dense(8, name="out")])
        def numbers(report):
            return [(row.x2, row.z2, row.effect) for row in report.rows]
        x = np.random.default_rng(0).standard_normal((16, 16)).astype("float32")
        alone = build()
        one = numbers(winit.audit(alone, x, cures=False))
        winit.reinitialize(alone, rng=0)
        if {kind!r} == "DataParallel":
            distribution.set_distribution(distribution.DataParallel())
        else:
            mesh = distribution.DeviceMesh((4, 2), ("batch", "model"))
            layout = distribution.LayoutMap(mesh)
            layout["d.*kernel"] = (None, "model")
            distribution.set_distribution(
                distribution.ModelParallel(layout_map=layout, batch_dim_name="batch"))
        model = build()
        before = [v.value.sharding for v in model.variables]
        assert len(before[0].device_set) == 8
        many = numbers(winit.audit(model, x, cures=False))
        assert np.allclose(one, many, rtol=1e-5), (one, many)
        assert winit.audit(model).ok
        winit.reinitialize(model, rng=0)
        assert [v.value.sharding for v in model.variables] == before
        for a, b in zip(alone.get_weights(), model.get_weights()):
            assert np.array_equal(a, b)
        print("same")
    """
    out = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | {"XLA_FLAGS": "--xla_force_host_platform_device_count=8"},
    )
    assert out.stdout.strip() == "same", out.stderr


def test_a_last_bias_that_was_asked_for_is_the_cure_of_its_first_loss() -> None:
    last = layers.Dense(1, bias_initializer=keras.initializers.Constant(-30.0), name="last")
    model = keras.Sequential([keras.Input((10,)), layers.Dense(16, "relu"), last])
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((64, 10)), rng.integers(0, 2, (64, 1))
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    (finding,) = audit(model, x, y, loss).findings
    assert finding.verdict == "first loss far too high" and finding.cure.endswith("bias to 0")


@pytest.mark.long
def test_the_other_start_of_chapter_13_passes_its_test_too() -> None:
    """The chapter says so, and audits one alone, since each audit takes seconds."""
    path = Path(__file__).parent.parent / "notebooks" / "13_transformers.ipynb"
    cells = json.loads(path.read_text("utf-8"))["cells"]
    texts = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    (first,) = (i for i, text in enumerate(texts) if "def block(" in text)
    (last,) = (i for i, text in enumerate(texts) if 'starts["tied"]' in text)
    code = "\n".join(texts[first : last + 1]).replace('starts["tied"]', 'starts["own head, zeros"]')
    names: dict[str, Any] = {"keras": keras, "np": np, "winit": winit}
    exec("from keras import layers, ops\n" + code, names)  # it asserts what it prints
    assert names["report"].ok and len(names["starts"]) == 2


# ------------------------------------------------------------------ what the layers' settings say


class Prior(keras.initializers.Initializer):
    """Log-odds, as of a detector's rare classes."""

    def __call__(self, shape: Any, dtype: Any = None) -> Any:
        return keras.ops.full(shape, -4.6, dtype)


@pytest.mark.parametrize(
    "asked",
    [Prior(), lambda shape, dtype=None: keras.ops.full(shape, -4.6),
     keras.initializers.RandomNormal(-4.6, 0.1)],
)  # fmt: skip
def test_what_an_initializer_of_its_own_gave_stays(asked: Any) -> None:
    last = layers.Dense(1, bias_initializer=asked)
    model = keras.Sequential([keras.Input((8,)), layers.Dense(16, "relu"), last])
    before = last.bias.numpy()
    texts = reinitialize(model, rng=0)
    assert texts[last.bias.path] == "left: given by an initializer of its own"
    assert np.array_equal(last.bias.numpy(), before)
    table = layers.Embedding(9, 4, embeddings_initializer=lambda s, dtype=None: keras.ops.ones(s))
    rows = keras.Sequential([keras.Input((3,), dtype="int32"), table, layers.Flatten(),
                             layers.Dense(2)])  # fmt: skip
    assert reinitialize(rows, rng=0)[table.embeddings.path].startswith("left: given")


def test_zeros_beside_a_start_that_the_layer_asks_for_stay() -> None:
    x, c = keras.Input((8,)), keras.Input((4,))
    zero = {"kernel_initializer": "zeros"}
    scale = layers.Dense(16, bias_initializer="ones", name="scale", **zero)(c)
    shift, gate = (layers.Dense(16, name=name, **zero)(c) for name in ("shift", "gate"))
    h = layers.Dense(16)(x)
    inner = layers.Dense(16, "relu")(layers.LayerNormalization()(h) * scale + shift)
    model = keras.Model([x, c], layers.Dense(3)(h + gate * layers.Dense(16)(inner)))
    reinitialize(model, rng=0)
    for name in ("scale", "shift", "gate"):
        assert not model.get_layer(name).kernel.numpy().any()
    assert audit(model).ok


def test_constants_that_the_layers_ask_for_can_be_the_fault() -> None:
    x = h = keras.Input((8,))
    for i in range(3):
        low = keras.initializers.Constant(-8.0)
        h = layers.Dense(16, "relu", bias_initializer=low, name=f"d{i}")(h)
    model = keras.Model(x, layers.Dense(3)(h))
    start = "set d0/bias, d1/bias, d2/bias to the conventional start (zeros)"
    assert audit(model).findings[0].cure == start
    assert reinitialize(model, rng=0)["d0/bias"] == "zeros" and audit(model).ok


def test_constants_that_open_a_gate_or_are_outputs_are_kept_as_the_layers_ask() -> None:
    x = h = keras.Input((8,))
    low = {"bias_initializer": keras.initializers.Constant(-4.0)}
    gate = layers.Dense(8, "sigmoid", **low, name="gate")(x)
    h = layers.Dense(16, "relu")(h + gate * layers.Dense(8)(x))
    model = keras.Model(x, layers.Dense(3, **low, name="last")(h))
    said = reinitialize(model, rng=0)
    assert {said[f"{name}/bias"] for name in ("gate", "last")} == {"as asked for"}


def test_phases_are_left() -> None:
    """Random Fourier features: with phases of 0 half of their waves are gone."""
    wide = keras.initializers.RandomUniform(0, 6.28)
    dense = layers.Dense(32, kernel_initializer="random_normal", bias_initializer=wide)
    x = keras.Input((8,))
    model = keras.Model(x, layers.Dense(3)(keras.ops.cos(dense(x))))
    before = dense.bias.numpy()
    assert reinitialize(model, rng=0)[dense.bias.path].startswith("left")
    assert np.array_equal(dense.bias.numpy(), before)


def test_constant_kernels_of_which_the_signal_explodes_are_symmetric_and_not_rounded() -> None:
    """No gradient comes back from a loss that clips, where all is one class or all units are 0."""
    model = keras.Sequential([keras.Input((32,))])
    for _ in range(3):
        model.add(layers.Dense(128, "relu", kernel_initializer="ones"))
    model.add(layers.Dense(10, "softmax", name="last"))
    x = np.random.default_rng(0).standard_normal((64, 32)).astype("float32")
    finding = audit(model, x, np.arange(64) % 10, "sparse_categorical_crossentropy").findings[0]
    assert finding.verdict == "symmetric" and "last/kernel" not in finding.names


@pytest.mark.parametrize("stem", [True, False])
def test_scales_of_zero_at_both_ends_of_a_branch_are_dead(stem: bool) -> None:
    def zeroed() -> Any:
        return layers.BatchNormalization(gamma_initializer="zeros")

    x = keras.Input((6, 6, 8))
    h = layers.Conv2D(8, 3, padding="same")(x) if stem else x
    z = layers.Conv2D(8, 3, padding="same")(layers.ReLU()(zeroed()(h)))
    h = layers.GlobalAveragePooling2D()(h + zeroed()(z))
    model = keras.Model(x, layers.Dense(5)(h))
    (finding,) = audit(model).findings
    assert finding.verdict == "dead" and finding.cure.endswith("to 1")
    assert len(finding.changes) == 2


def test_columns_beside_a_table_are_inputs_too() -> None:
    token, numbers = keras.Input((1,), dtype="int32"), keras.Input((5,))
    rows = layers.Flatten()(layers.Embedding(20, 8)(token))
    h = layers.Dense(16, "relu")(layers.Concatenate()([rows, numbers]))
    model, rng = keras.Model([token, numbers], layers.Dense(1)(h)), np.random.default_rng(0)
    x = [rng.integers(0, 20, (32, 1)), rng.standard_normal((32, 5)) * [1, 1, 1, 1, 100]]
    (finding,) = audit(model, x).findings
    assert finding.verdict == "inputs unscaled" and finding.cure == "standardize the inputs"
    x[1][:, 4] /= 100
    assert audit(model, x).ok


@pytest.mark.filterwarnings("ignore:`build")
def test_a_layer_that_no_call_uses_is_no_hindrance() -> None:
    class Model(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.unused, self.both = layers.Dense(3), layers.Dense(3), False

        def call(self, x: Any) -> Any:
            return self.unused(self.used(x)) if self.both else self.used(x)

    model, x = Model(), np.random.default_rng(0).standard_normal((8, 6)).astype("float32")
    with pytest.raises(ValueError, match="is not built"):
        audit(model, x)
    model(x)
    assert audit(model, x).ok
    model.both = True
    with pytest.raises(ValueError, match="a layer that has no weights yet"):
        audit(model, x)
    assert not model.unused.built and model(x).shape == (8, 3) and audit(model, x).ok


@pytest.mark.parametrize(
    ("std", "scale", "ok"), [(1e-3, 1, False), (1e-2, 1, True), (None, 0.05, True)]
)
def test_a_signal_below_the_epsilons_of_its_normalizers_is_lost(
    std: float | None, scale: float, ok: bool
) -> None:
    x = h = keras.Input((64,))
    for _ in range(6):
        draw = keras.initializers.RandomNormal(0, std) if std else "glorot_uniform"
        h = layers.Dense(64, kernel_initializer=draw)(h)
        gamma = keras.initializers.Constant(scale)
        h = layers.ReLU()(layers.LayerNormalization(gamma_initializer=gamma, epsilon=1e-3)(h))
    model = keras.Model(x, layers.Dense(3)(h))
    found = audit(model)
    assert found.ok is ok
    if not ok:
        assert found.findings[0].verdict == "shrinking" and "draw" in found.findings[0].cure
        reinitialize(model, rng=0)
        assert audit(model).ok


def test_a_cure_says_that_a_draw_takes_the_model_for_trained() -> None:
    model = keras.Sequential(
        [keras.Input((8,)), layers.Dense(16, "relu", name="d"), layers.Dense(3)]
    )
    model.get_layer("d").bias.assign(np.full(16, -10.0))
    cure = audit(model).findings[0].cure
    assert "force=True, since the model looks trained" in cure
    with pytest.raises(ValueError, match="looks trained"):
        reinitialize(model, rng=0)
    reinitialize(model, rng=0, force=True)
    assert audit(model).ok


def test_a_scale_that_is_far_too_large_is_set_back() -> None:
    x = keras.Input((12,))
    h = layers.Dense(32, activation="relu")(x)
    h = h + layers.BatchNormalization(name="norm")(layers.Dense(32, use_bias=False)(h))
    model = keras.Model(x, layers.Dense(5, activation="softmax")(h))
    scale = model.get_layer("norm").gamma
    scale.assign(100 * np.ones(32))
    batch = np.random.default_rng(0).standard_normal((64, 12)).astype("float32")
    asked = batch, np.arange(64) % 5, "sparse_categorical_crossentropy"
    finding = audit(model, *asked).findings[0]
    assert finding.cure.startswith("set norm/gamma to the conventional start (ones) (by force=True")
    scale.assign(np.ones(32))
    assert audit(model, *asked).ok


@pytest.mark.parametrize(("norm", "scale", "act", "verdict"), [
    (layers.BatchNormalization, 10.0, "tanh", "saturated"),
    (layers.LayerNormalization, 0.01, "sigmoid", "collapsed"),
])  # fmt: skip
def test_scales_that_layers_ask_for_are_set_to_1(
    norm: Any, scale: float, act: str, verdict: str
) -> None:
    keras.utils.set_random_seed(0)
    start = keras.initializers.Constant(scale)
    parts = [part for _ in range(3) for part in (
        layers.Dense(64), norm(gamma_initializer=start), layers.Activation(act),
    )]  # fmt: skip
    model = keras.Sequential([keras.Input((64,)), *parts, layers.Dense(10)])
    x = np.random.default_rng(0).standard_normal((64, 64)).astype(np.float32)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    (finding,) = audit(model, x, np.arange(64) % 10, loss).findings
    scales = {layer.gamma.path for layer in model.layers if hasattr(layer, "gamma")}
    assert finding.verdict == verdict and {*finding.changes} == scales
    assert finding.cure.endswith("gamma to 1")


def test_a_cure_of_a_scale_of_0_says_what_a_draw_must_be_told() -> None:
    norm = layers.BatchNormalization(name="norm")
    ends = layers.ReLU(), layers.Dense(3)
    model = keras.Sequential([keras.Input((8,)), layers.Dense(16), norm, *ends])
    norm.gamma.assign(0 * norm.gamma)
    cure = audit(model).findings[0].cure
    assert "set sequential" in cure and "norm/gamma to 1 (by force=True, since" in cure
    reinitialize(model, rng=0, force=True)
    assert audit(model).ok


def test_a_draw_is_tried_as_the_model_is_trained() -> None:
    """In inference gates take three quarters a block; in training the normalizers set it anew."""
    x = inputs = keras.Input((32,))
    for _ in range(10):
        h = layers.BatchNormalization()(layers.Dense(32, use_bias=False)(x))
        x = layers.Multiply()([h, layers.Dense(32, "sigmoid")(h)])
    model = keras.Model(inputs, layers.Dense(4)(x))
    said = winit.reinitialize(model, rng=0)
    assert not [text for text in said.values() if "times" in text]
    assert winit.audit(model).ok and not winit.audit(model, training=False).ok


def test_a_deep_recurrent_net_that_shrinks_is_seen() -> None:
    """Each state is small, and the next layer reads it: its size is no start of its own."""
    keras.utils.set_random_seed(0)
    lstm = [layers.LSTM(16, return_sequences=last) for last in (True, True, False)]
    model = keras.Sequential([keras.Input((12, 8)), *lstm, layers.Dense(5)])
    assert audit(model, cures=False).ok
    rng = np.random.default_rng(0)
    for variable in model.trainable_variables:
        if "lstm_cell" in variable.path and "kernel" in variable.path:
            variable.assign(0.01 * rng.standard_normal(variable.shape))
    (finding,) = audit(model).findings
    assert finding.verdict == "shrinking" and len(finding.names) == 6
    assert "at their ideal stds" in finding.cure


@pytest.mark.parametrize("layer", [layers.LSTM, layers.GRU, layers.SimpleRNN])
@pytest.mark.parametrize("depth", [1, 2])
def test_states_of_small_rows_are_as_small_by_nature(layer: Any, depth: int) -> None:
    keras.utils.set_random_seed(0)
    stack = [layer(16, return_sequences=k < depth - 1) for k in range(depth)]
    model = keras.Sequential(
        [keras.Input((12,), dtype="int32"), layers.Embedding(50, 16), *stack, layers.Dense(2)]
    )
    assert audit(model, np.random.default_rng(0).integers(0, 50, (32, 12)), cures=False).ok


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_large_targets_of_one_head_are_no_fault_of_the_layers(depth: int) -> None:
    """The other head's small gradient is not that of the last layers."""
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    x, labels = rng.standard_normal((32, 20)), rng.integers(0, 5, 32)
    prices = 100 * rng.standard_normal((32, 1))
    inputs = h = keras.Input((20,))
    for _ in range(depth):
        h = layers.Dense(64, "relu")(h)
    model = keras.Model(inputs, [layers.Dense(5)(h), layers.Dense(1)(h)])
    losses = [keras.losses.SparseCategoricalCrossentropy(from_logits=True), "mse"]
    report = audit(model, x, [labels, prices], losses)
    assert report.ok and any("Targets unscaled" in note for note in report.notes)


def test_bytes_at_the_start_of_a_trunk_are_unscaled() -> None:
    """Each branch begins with a normalizer, and what it adds is as nothing beside them."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 12))
    h = layers.Dense(16)(inputs)
    for _ in range(2):
        h = h + layers.Dense(16)(layers.Dense(32, "gelu")(layers.LayerNormalization()(h)))
    h = layers.GlobalAveragePooling1D()(layers.LayerNormalization()(h))
    model = keras.Model(inputs, layers.Dense(3)(h))
    pixels = np.random.default_rng(0).uniform(0, 255, (32, 8, 12))
    report = audit(model, pixels)
    assert [finding.verdict for finding in report.findings] == ["inputs unscaled"]
    assert report.findings[0].cure.startswith("standardize the inputs")
    assert audit(model, pixels / 255).ok


def test_of_a_lora_pair_of_zeros_one_is_drawn() -> None:
    """The other stays 0, so that nothing changes at first."""
    keras.utils.set_random_seed(0)
    first = keras.layers.Dense(16, "relu")
    model = keras.Sequential([keras.Input((8,)), first, keras.layers.Dense(3)])
    first.enable_lora(2)
    first.lora_kernel_a.assign(0 * first.lora_kernel_a)
    x = np.random.default_rng(0).standard_normal((16, 8)).astype("float32")
    finding = winit.audit(model, x).findings[0]
    assert finding.verdict == "dead" and "lora_kernel_a at random" in finding.cure
    said = winit.keras.reinitialize(model, x=x, rng=0)
    told = {name.rpartition("_")[2]: text for name, text in said.items() if "lora" in name}
    assert told["b"] == "zeros" and told["a"].startswith("uniform") and winit.audit(model, x).ok


def test_the_loss_of_classes_and_numbers_together_is_known() -> None:
    """Even shares for the former and 0 for the latter are what knowing nothing gives."""
    keras.utils.set_random_seed(0)
    layer = keras.Input((8,))
    ends = {"c": keras.layers.Dense(2, "softmax", name="c")(layer),
            "r": keras.layers.Dense(1, name="r")(layer)}  # fmt: skip
    model = keras.Model(layer, ends)
    rng = np.random.default_rng(0)
    x, r = rng.standard_normal((64, 8)).astype("float32"), rng.standard_normal((64, 1))
    losses = {"c": "sparse_categorical_crossentropy", "r": "mse"}
    report = winit.audit(model, x, {"c": np.arange(64) % 2, "r": r}, losses)
    assert report.blind == pytest.approx(np.log(2) + np.mean(r**2), rel=1e-4)
    assert any("Targets unscaled" in note for note in winit.audit(
        model, x, {"c": np.arange(64) % 2, "r": 1000 * r}, losses).notes)  # fmt: skip
    model.get_layer("r").kernel.assign(20 * model.get_layer("r").kernel)
    finding = winit.audit(model, x, {"c": np.arange(64) % 2, "r": r}, losses).findings[0]
    assert finding.verdict == "first loss far too high"


class Codes(keras.layers.Layer):  # type: ignore[misc]
    """As of a VQ-VAE: the nearest code, which learns by a loss of the layer's own."""

    def build(self, shape: Any) -> None:
        self.codes = self.add_weight(shape=(shape[-1], 16), initializer="random_uniform")

    def call(self, x: Any) -> Any:
        ops, far = keras.ops, keras.ops.sum(self.codes**2, 0) - 2 * x @ self.codes
        near = ops.one_hot(ops.argmin(far, 1), 16) @ ops.transpose(self.codes)
        self.add_loss(ops.mean((near - ops.stop_gradient(x)) ** 2))
        return x + ops.stop_gradient(near - x)


def test_what_learns_by_a_loss_that_a_layer_adds_is_not_dead() -> None:
    """The audit does not see that loss, and says so; those that layers hold stay."""
    keras.utils.set_random_seed(0)
    first, codes = keras.layers.Dense(8, kernel_regularizer="l2"), Codes()
    model = keras.Sequential([keras.Input((8,)), first, codes, keras.layers.Dense(8)])
    x = np.random.default_rng(0).standard_normal((32, 8)).astype("float32")
    model(x)
    before = [float(loss) for loss in model.losses]
    report = winit.audit(model, x, x, "mse")
    assert report.ok and any("add_loss" in note for note in report.notes)
    assert [float(loss) for loss in model.losses] == before and len(before) == 2
    plain = keras.Sequential([keras.Input((8,)), keras.layers.Dense(3, kernel_regularizer="l2")])
    assert not winit.audit(plain, x).notes


@pytest.mark.parametrize("loss", ["sparse_categorical_crossentropy", "mae"])
def test_zeros_part_where_only_the_signs_of_their_gradients_differ(loss: str) -> None:
    """Of two classes one gradient is minus the other; those of an absolute error are all ±1/n."""
    keras.utils.set_random_seed(0)
    rng, classes = np.random.default_rng(0), loss != "mae"
    x = rng.standard_normal((64, 8)).astype("float32")
    last = keras.layers.Dense(2 if classes else 8, "softmax" if classes else None,
                              kernel_initializer="zeros")  # fmt: skip
    model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(32, "relu"), last])
    y = np.arange(64) % 2 if classes else rng.standard_normal((64, 8))
    assert winit.audit(model, x, y, loss).ok


@pytest.mark.parametrize(("classes", "times", "good"), [(100, 1, True), (100, 100, False)])
def test_a_softmax_in_the_model_hides_no_first_loss(classes: int, times: int, good: bool) -> None:
    """Keras clips shares: the loss is 16 at the most, and never six times ln 100."""
    keras.utils.set_random_seed(0)
    x = np.random.default_rng(0).standard_normal((200, 16)).astype("float32")
    head = keras.layers.Dense(classes, "softmax", name="head")
    model = keras.Sequential([keras.Input((16,)), keras.layers.Dense(64, "relu"), head])
    head.kernel.assign(times * head.kernel)
    report = winit.audit(model, x, np.arange(200) % classes, "sparse_categorical_crossentropy")
    assert report.ok == good and report.loss < 6 * report.blind
    if not good:
        assert "head/kernel" in report.findings[0].cure


@pytest.mark.parametrize(("last", "loss", "nothing"), [
    ("softmax", "categorical_crossentropy", np.log(5)),
    ("sigmoid", "binary_crossentropy", np.log(2)),
    (None, lambda y, o: -keras.ops.mean(keras.ops.sum(y * o, -1)), np.log(5)),
])  # fmt: skip
def test_what_knowing_nothing_costs_of_shares_and_of_their_logarithms(
    last: str | None, loss: Any, nothing: float
) -> None:
    keras.utils.set_random_seed(0)
    x = np.random.default_rng(0).standard_normal((64, 8)).astype("float32")
    layers = [keras.Input((8,)), keras.layers.Dense(5, last)]
    layers += [] if last else [keras.layers.Activation("log_softmax")]
    report = winit.audit(keras.Sequential(layers), x, np.eye(5)[np.arange(64) % 5], loss)
    assert report.ok and report.blind == pytest.approx(nothing, rel=1e-5)


def test_columns_that_drown_a_table_are_unscaled_though_a_normalizer_follows() -> None:
    """What is normalized is their sum: the table's rows are nothing beside them."""
    layers = keras.layers
    columns, picks = keras.Input((6,)), keras.Input((1,), dtype="int32")
    rows = layers.Flatten()(layers.Embedding(20, 6)(picks))
    h = layers.concatenate([columns, rows])
    for _ in range(2):
        h = layers.ReLU()(layers.BatchNormalization()(layers.Dense(32)(h)))
    model = keras.Model([columns, picks], layers.Dense(3)(h))
    rng = np.random.default_rng(0)
    x = [rng.uniform(size=(64, 6)) * 1000, rng.integers(0, 20, (64, 1))]
    finding = winit.audit(model, x).findings[0]
    assert (finding.verdict, finding.cure) == ("inputs unscaled", "standardize the inputs")
    assert winit.audit(model, [x[0] / 1000, x[1]]).ok
