"""The command: ``python -m winit audit model.keras``, for continuous integration.

It ends with 0 where the model is ok, with 1 where it is not, and with 2 where it could not be read.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

OK, NOT_OK, UNREADABLE = 0, 1, 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m winit")
    commands = parser.add_subparsers(dest="command", required=True)
    audit = commands.add_parser(
        "audit", help="say how a model starts", description="Say how a model starts, kernel by "
        "kernel. Ends with 0 if it is ok, with 1 if it is not, with 2 if it could not be read."
    )  # fmt: skip
    audit.add_argument(
        "model", help="a file.keras, or module:factory, whose call gives a model, or a tuple of "
        "arguments for winit.audit: model, x, y, loss"
    )  # fmt: skip
    audit.add_argument("--arguments", metavar="JSON", default="{}", help="the factory's keywords")
    audit.add_argument("--html", metavar="FILE", type=Path, help="write the report as a page")
    audit.add_argument("--json", metavar="FILE", type=Path, help="write all numbers")
    audit.add_argument("--seed", type=int, default=0, help="of the inputs, where none are given")
    audit.add_argument("--no-cures", action="store_true", help="do not look for cures: quicker")
    audit.add_argument(
        "--unsafe", action="store_true", help="run code that a file brings with it (Lambda layers)"
    )
    return parser


def _subject(target: str, keywords: str, unsafe: bool) -> tuple[Any, ...]:
    """What to audit: the arguments of `winit.audit`."""
    module, _, factory = target.partition(":")
    if factory:
        made = getattr(importlib.import_module(module), factory)(**json.loads(keywords))
        return made if isinstance(made, tuple) else (made,)
    if not target.endswith(".keras"):
        raise ValueError(f"model must be a file.keras or module:factory, got {target!r}")
    import keras

    return (keras.saving.load_model(target, compile=False, safe_mode=not unsafe),)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command, and return how it ends."""
    asked = _parser().parse_args(arguments)
    os.environ.setdefault("KERAS_BACKEND", "jax")  # the one that shows gradients
    import winit  # after the line above

    try:
        report = winit.audit(
            *_subject(asked.model, asked.arguments, asked.unsafe),
            rng=asked.seed,
            cures=not asked.no_cures,
        )
    except Exception as error:  # a file, a factory or a model of the user's: any may be raised
        print(f"{asked.model}: {type(error).__name__}: {error}", file=sys.stderr)
        return UNREADABLE
    print(report)
    if asked.html:
        asked.html.write_text(report.to_html(), encoding="utf-8")
    if asked.json:
        text = json.dumps(report.to_dict(), indent=1, ensure_ascii=False, allow_nan=False)
        asked.json.write_text(text + "\n", encoding="utf-8")
    return OK if report.ok else NOT_OK


if __name__ == "__main__":
    sys.exit(main())
