"""The bridge to Keras: schemes as initializers, and models drawn anew."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from packaging.version import Version
from scipy.stats import ks_2samp

import winit.keras
from winit import initializers
from winit.keras import Initializer, reinitialize
from winit.kernels import kernel_of

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
    "EinsumDense": lambda init: (
        layers.EinsumDense("abc,cde->abde", (None, 8, 32), kernel_initializer=init),
        (None, 4, 128),
    ),
}
# Var W times the fans counted by hand; the fans stand in test_kernels.
FANS = {
    "Dense": (200, 300),
    "Conv2D": (432, 576),
    "Conv2D, groups": (288, 432),
    "DepthwiseConv2D": (25, 25),
    "Conv2DTranspose": (288, 576),
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
@pytest.mark.parametrize("scheme", ["he_normal", "glorot_normal", "he_uniform", "glorot_uniform"])
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
    if name == "Conv2DTranspose":
        z = z[:, 2:-2, 2:-2]  # at the edge fewer inputs arrive
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


def test_clones_draw_on_in_one_stream() -> None:
    original = Initializer("he_normal", seed=5)
    clone = Initializer.from_config(original.get_config())
    drawn = [np.asarray(init((4, 3))) for init in (original, clone, original)]
    alone = Initializer("he_normal", seed=5)
    for values in drawn:
        assert np.array_equal(values, alone((4, 3)))


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
        (("he_normal", 1.5), {}, TypeError, "seed must be None or a whole number"),
        (("he_normal", -1), {}, ValueError, "seed must be 0 or larger"),
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
    assert schemes["relu"] == "he_normal"
    assert schemes["normed"] == "he_normal, negative_slope=0.2"
    assert schemes["selu"] == "lecun_normal"
    assert schemes["out"] == "glorot_normal"
    assert changed["lstm/lstm_cell/recurrent_kernel"] == "orthogonal"
    w = model.get_layer("relu").kernel.numpy()
    assert w.std() == pytest.approx(np.sqrt(2 / 6), rel=4 / np.sqrt(2 * w.size))
    bias = model.layers[2].cell.bias.numpy()
    assert np.array_equal(bias, np.repeat([0, 1, 0, 0], 6))
    assert set(changed) == {v.path for v in model.weights if "seed" not in v.path}


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
    kernel = keras.ops.convert_to_numpy(model.layers[0].kernel)
    assert kernel.std() == pytest.approx(np.sqrt(2 / 64), rel=4 / np.sqrt(2 * kernel.size))


def test_a_weight_of_its_own_name_stays() -> None:
    class Scale(layers.Layer):  # type: ignore[misc]
        def build(self, shape: Any) -> None:
            self.gamma = self.add_weight(shape=(shape[-1],), name="gamma", initializer="zeros")

        def call(self, x: Any) -> Any:
            return x * self.gamma

    model = keras.Sequential([keras.Input((4,)), Scale(), layers.Dense(2)])
    assert not any("gamma" in path for path in reinitialize(model, rng=0))


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
    with pytest.raises(TypeError, match="must be a Keras model, got list"):
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
    for scheme in initializers.SCHEMES:
        options = {"value": 0.1} if scheme == "constant" else {}
        layer = layers.Conv2D(4, 3, kernel_initializer=Initializer(scheme, seed=0, **options))
        layer.build((None, 8, 8, 4))
        kernel = kernel_of(layer, "kernel", layer.kernel.shape)
        assert kernel is not None
        again = kernel.draw(scheme, np.random.default_rng(0), **options)
        assert np.allclose(layer.kernel.numpy(), again, atol=1e-6)
