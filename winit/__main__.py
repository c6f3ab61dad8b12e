"""The command ``python -m winit audit model.keras``, for continuous integration.

It ends with 0 where the model is ok, with 1 where it is not, with 2 where it could not be read.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import os
import sys
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from winit import _checks

OK, NOT_OK, UNREADABLE = 0, 1, 2
ORDER = ("model", "x", "y", "loss")
FUNCTION = ("f", "params", "x")
GIVES = (
    "a model, a tuple (model, x, y, loss) or a dict of these; of a function of JAX a dict with "
    "f, params and x, as winit.jax.audit takes them"
)
MODEL = f"a file.keras; or module:factory or file.py:factory, which gives {GIVES}"


def _parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m winit")
    audit = parser.add_subparsers(required=True).add_parser("audit", description=__doc__)
    add = audit.add_argument
    add("model", help=MODEL)
    add("--arguments", metavar="JSON", type=_keywords, default={}, help="the factory's keywords")
    add("--html", metavar="FILE", type=Path, help="write the report as a page")
    add("--json", metavar="FILE", type=Path, help="write all numbers")
    add("--seed", type=int, default=0, help="of the inputs, where none are given")
    add("--no-cures", action="store_true", help="do not look for cures: quicker")
    add("--unsafe", action="store_true", help="run code that the file brings with it (Lambda)")
    return parser.parse_args(arguments)


def _keywords(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"no JSON: {error}") from None
    if not isinstance(found, dict):
        raise argparse.ArgumentTypeError(f'must be an object such as {{"width": 8}}, got {text}')
    return found


def _loaded(asked: argparse.Namespace) -> dict[str, Any]:
    """The model, and what else to give to `winit.audit`."""
    module, _, factory = asked.model.rpartition(":")
    if module and factory and not factory.endswith(".keras"):
        return _made(getattr(_imported(module), factory), asked.arguments)
    if not asked.model.endswith(".keras"):
        raise ValueError(f"model must be a file.keras, module:factory or file.py:factory, got "
                         f"{asked.model!r}")  # fmt: skip
    if asked.arguments:
        raise ValueError("--arguments are for a factory, and a file has none")
    _check_file(Path(asked.model))
    import keras

    importlib.import_module("winit.keras")  # registers what a file may name
    load = keras.saving.load_model
    try:
        return {"model": load(asked.model, compile=False, safe_mode=not asked.unsafe)}
    except ValueError as error:
        if asked.unsafe or "safe_mode" not in str(error):
            raise
        text = "the file brings code with it, as a Lambda layer does: --unsafe runs it"
        raise ValueError(f"{text}, if you trust the file") from None


def _imported(module: str) -> Any:
    """A module by its name, or by its file: then beside what that file imports."""
    if not module.endswith(".py"):
        return importlib.import_module(module)
    path = Path(module)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if not path.is_file() or spec is None or spec.loader is None:
        raise ValueError(f"there is no file {module}")
    sys.path.insert(0, str(path.resolve().parent))
    made = importlib.util.module_from_spec(spec)
    sys.modules.setdefault(path.stem, made)  # where dataclasses and pickles look
    spec.loader.exec_module(made)
    return made


def _made(factory: Any, arguments: dict[str, Any]) -> dict[str, Any]:
    """What a factory gives, by the names that `winit.audit` or `winit.jax.audit` has for it."""
    from winit.frameworks import bridge

    if bridge(factory) is not None:  # a model that stands there already
        made = factory
    else:
        made = _checks.function(factory, "the factory")(**arguments)
    named = dict(zip(ORDER, made, strict=False)) if isinstance(made, (tuple, list)) else made
    named = named if isinstance(named, dict) else {"model": named}
    few = not isinstance(made, (tuple, list)) or 0 < len(made) <= len(ORDER)
    if few and {*FUNCTION} <= {*named} <= {*FUNCTION, *ORDER[2:], "trainable"}:
        return named
    if not few or set(named) - {*ORDER, "training"} or named.get("model") is None:
        raise ValueError(f"the factory must return {GIVES}, got {_checks.shown(made)}")
    model = named["model"]
    if bridge(model) == "torch" and named.get("x") is None:
        name = type(model).__name__
        raise ValueError(f"{name} does not say what it takes: the factory must return (model, x)")
    return named


def _check_file(path: Path) -> None:
    """Refuse what Keras could not load."""
    if not path.is_file():
        raise ValueError("it is a folder, not a file" if path.is_dir() else "there is no such file")
    said = "the file is damaged, or no .keras: "
    if not zipfile.is_zipfile(path):
        raise ValueError(f"{said}it is no zip archive")
    try:
        with zipfile.ZipFile(path) as archive:
            broken, names = archive.testzip(), archive.namelist()
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise ValueError(f"{said}{error}") from None
    if broken or "config.json" not in names:
        what = f"{broken} in it is" if broken else "config.json in it is missing, or"
        raise ValueError(f"{said}{what} damaged")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command, and return how it ends."""
    asked = _parsed(arguments)
    for path in filter(None, (asked.html, asked.json)):  # before minutes are spent on the audit
        if path.is_dir() or not path.parent.is_dir():
            print(f"{path}: a report is written to a file in a folder that exists", file=sys.stderr)
            return UNREADABLE
    os.environ.setdefault("KERAS_BACKEND", "jax")  # before Keras is imported
    import winit

    try:
        found = _loaded(asked)
        audit = importlib.import_module("winit.jax").audit if "f" in found else winit.audit
        report = audit(**found, rng=asked.seed, cures=not asked.no_cures)
    except (Exception, SystemExit) as error:  # of a file, factory or model of the user's: any
        said = str(error) or "raised without a message"
        print(f"{asked.model}: {type(error).__name__}: {said}", file=sys.stderr)
        return UNREADABLE
    print(report)
    if asked.html:
        page = (
            f"<!doctype html><meta charset='utf-8'><title>winit audit</title>{report._repr_html_()}"
        )
        asked.html.write_text(page, encoding="utf-8")
    if asked.json:
        data = json.dumps(report.to_dict(), indent=1, ensure_ascii=False, allow_nan=False)
        asked.json.write_text(data, encoding="utf-8")
    return OK if report.ok else NOT_OK


if __name__ == "__main__":
    sys.exit(main())
