"""``python -m winit audit …``: what it prints and writes, how it ends, and what it never runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import pytorch

from winit.__main__ import NOT_OK, OK, UNREADABLE, main

layers = keras.layers


def net(std: float = 0.25, *extra: Any) -> keras.Model:
    """Three ReLU layers of width 32: the std of He is .25."""
    normal = keras.initializers.RandomNormal(stddev=std, seed=0)
    hidden = [layers.Dense(32, "relu", kernel_initializer=normal) for _ in range(3)]
    return keras.Sequential([keras.Input((16,)), *extra, *hidden, layers.Dense(3)])


def one() -> keras.Model:
    """The smallest model: what a factory may be."""
    keras.utils.set_random_seed(0)
    return keras.Sequential([keras.Input((4,)), layers.Dense(2)])


def one_on_data(scale: float) -> tuple[Any, ...]:
    """A model with data: what else a factory may give."""
    x = scale * np.random.default_rng(0).standard_normal((8, 4))
    return one(), x.astype("float32")


def function_of_jax(std: float) -> dict[str, Any]:
    """Three ReLU layers as a function: the std of He is .35 and .25."""
    normal = np.random.default_rng(0).standard_normal
    shapes = [(16, 32), (32, 32), (32, 32), (32, 3)]
    params = [std * normal(shape).astype("float32") for shape in shapes]

    def f(params: Any, x: Any) -> Any:
        for w in params[:-1]:
            x = keras.ops.relu(x @ w)
        return x @ params[-1]

    return {"f": f, "params": params, "x": normal((8, 16)).astype("float32")}


def broken() -> None:
    """A factory that fails."""
    raise RuntimeError("no such data")


def silent() -> None:
    """A factory that fails without a word."""
    raise RuntimeError


def nothing() -> None:
    """A factory that forgets its return."""


def five() -> tuple[Any, ...]:
    """A factory that returns too much."""
    return one(), None, None, None, None


def listing() -> list[Any]:
    """A factory that returns a list."""
    return [*one_on_data(1e3)]


def named() -> dict[str, Any]:
    """A factory that names what it returns."""
    model, x = one_on_data(1e3)
    return {"model": model, "x": x, "training": False}


def misnamed() -> dict[str, Any]:
    """A factory with a name that nobody knows."""
    return {"model": one(), "data": 1}


number = 3


def test_a_file_is_read_reported_and_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, page, data = tmp_path / "m.keras", tmp_path / "m.html", tmp_path / "m.json"
    net(1e-3).save(file)
    arguments = ["audit", str(file), "--no-cures", "--html", str(page), "--json", str(data)]
    assert main(arguments) == NOT_OK
    out = capsys.readouterr().out
    assert "shrinking" in out and "Cure" not in out
    text = page.read_text(encoding="utf-8")
    assert text.startswith("<!doctype html>") and "<table>" in text and "shrinking" in text
    assert json.loads(data.read_text(encoding="utf-8"))["ok"] is False


def test_a_factory_gives_a_model_or_a_model_with_data(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", f"{__name__}:one"]) == OK
    assert ": ok" in capsys.readouterr().out
    data = ["audit", f"{__name__}:one_on_data", "--arguments"]
    assert main([*data, '{"scale": 1e3}']) == NOT_OK
    assert "inputs unscaled" in capsys.readouterr().out
    for factory in ("listing", "named"):
        assert main(["audit", f"{__name__}:{factory}", "--no-cures"]) == NOT_OK
        assert "inputs unscaled" in capsys.readouterr().out


@pytest.mark.parametrize(("std", "end"), [(0.25, OK), (0.001, NOT_OK)])
def test_a_factory_gives_a_function_of_jax(
    std: float, end: int, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = json.dumps({"std": std})
    call = ["audit", f"{__name__}:function_of_jax", "--no-cures", "--arguments", arguments]
    assert main(call) == end
    assert capsys.readouterr().out.startswith("f: " + ("ok" if end == OK else "shrinking"))


def test_a_factory_may_stand_in_a_file_and_import_what_lies_beside_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])  # which the command makes longer
    (tmp_path / "beside_it.py").write_text("WIDTH = 2\n")
    file = tmp_path / "in_a_file.py"
    file.write_text(
        "import keras\nfrom beside_it import WIDTH\n"
        "def net():\n"
        "    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(WIDTH)])\n"
        "model = net()\n"
    )
    for name in ("net", "model"):  # a model that stands there needs no factory
        assert main(["audit", f"{file}:{name}"]) == OK
        assert ": ok" in capsys.readouterr().out


def test_modules_of_pytorch_come_with_their_inputs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytorch.skip_without()
    monkeypatch.setattr(sys, "path", [*sys.path])
    file = tmp_path / "of_torch.py"
    file.write_text(
        "import torch\nnet = torch.nn.Linear(64, 8)\n"
        "def made():\n    torch.manual_seed(0)\n    return net, torch.randn(32, 64)\n"
    )
    assert main(["audit", f"{file}:made"]) == OK
    assert "Linear: ok" in capsys.readouterr().out
    assert main(["audit", f"{file}:net"]) == UNREADABLE
    assert "Linear does not say what it takes: the factory must" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("no_such.keras", "there is no such file"),
        ("model.h5", "must be a file.keras, module:factory or file.py:factory, got 'model.h5'"),
        ("no_such.py:make", "there is no file no_such.py"),
        (f"{__name__}:number", "the factory must be a function, got 3"),
        (f"{__name__}:misnamed", "must return a model, a tuple (model, x, y, loss) or a dict of"),
        ("no_such_module:make", "ModuleNotFoundError"),
        (f"{__name__}:no_such", "AttributeError"),
        (f"{__name__}:broken", "RuntimeError: no such data"),
        (f"{__name__}:net.__doc__", "AttributeError"),
        (f"{__name__}:silent", "RuntimeError: raised without a message"),
        (
            f"{__name__}:nothing",
            "a dict with f, params and x, as winit.jax.audit takes them, got None",
        ),
        (f"{__name__}:five", "as winit.jax.audit takes them, got (<Sequential"),
    ],
)
def test_what_cannot_be_read_is_said_in_one_line(
    target: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["audit", target]) == UNREADABLE
    seen = capsys.readouterr()
    assert not seen.out and seen.err.startswith(f"{target}: ") and words in seen.err


def test_a_file_that_is_none_is_called_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "m.keras"
    file.write_text("weights")
    assert main(["audit", str(file)]) == UNREADABLE
    assert "it is no zip archive" in capsys.readouterr().err
    one().save(file)
    whole = file.read_bytes()
    for part in ("config.json", "model.weights.h5"):  # what Keras needs of it, one byte changed
        with zipfile.ZipFile(file) as archive:
            at = archive.getinfo(part).header_offset + 30 + len(part) + 20
        file.write_bytes(whole[:at] + bytes([whole[at] ^ 255]) + whole[at + 1 :])
        assert main(["audit", str(file)]) == UNREADABLE
        assert "the file is damaged, or no .keras: " in capsys.readouterr().err
        file.write_bytes(whole)
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("readme", "no model")
    assert main(["audit", str(file)]) == UNREADABLE
    assert "config.json in it is missing" in capsys.readouterr().err


def test_a_folder_is_no_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "m.keras").mkdir()
    assert main(["audit", str(tmp_path / "m.keras")]) == UNREADABLE
    assert "it is a folder, not a file" in capsys.readouterr().err


@pytest.mark.parametrize(("text", "words"), [("{scale: 1}", "no JSON"), ("[1]", "be an object")])
def test_arguments_must_be_an_object(
    text: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        main(["audit", f"{__name__}:one", "--arguments", text])
    assert end.value.code == UNREADABLE and words in capsys.readouterr().err
    assert main(["audit", "m.keras", "--arguments", '{"scale": 1}']) == UNREADABLE
    assert "for a factory" in capsys.readouterr().err


def test_a_call_without_a_model_ends_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["audit"])
    assert end.value.code == UNREADABLE and "usage" in capsys.readouterr().err


def test_nothing_in_a_file_is_run_unless_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mark = tmp_path / "ran"
    code = f"lambda x: (__import__('pathlib').Path({str(mark)!r}).write_text('ran'), x)[1]"
    model = keras.Sequential([keras.Input((4,)), layers.Lambda(eval(code)), layers.Dense(2)])
    file = tmp_path / "lambda.keras"
    model.save(file)
    mark.unlink()  # building the model ran it
    assert main(["audit", str(file)]) == UNREADABLE
    assert "--unsafe runs it" in capsys.readouterr().err and not mark.exists()
    assert main(["audit", str(file), "--unsafe"]) in (OK, NOT_OK)
    assert mark.exists()


def test_it_runs_as_a_command_of_its_own(tmp_path: Path) -> None:
    one().save(tmp_path / "m.keras")
    environment = {k: v for k, v in os.environ.items() if k != "KERAS_BACKEND"}
    command = [sys.executable, "-m", "winit", "audit", "m.keras"]
    ended = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert ended.returncode == OK and ": ok" in ended.stdout, ended.stderr


def test_a_report_that_cannot_be_written_is_refused_before_the_audit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for target in (tmp_path, tmp_path / "none" / "report"):
        for option in ("--html", "--json"):
            assert main(["audit", "missing.keras", option, str(target)]) == UNREADABLE
            assert "a folder that exists" in capsys.readouterr().err


def test_a_factory_that_leaves_does_not_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "leaves.py").write_text("def model():\n    raise SystemExit(0)\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert main(["audit", "leaves:model"]) == UNREADABLE
