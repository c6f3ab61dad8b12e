"""How long the lab computes: medians in Chromium, from file://, in a worker made from a Blob.

`make bench`, or `.venv/bin/python benchmarks/lab.py`, on an idle machine. Each time is that between
a message to the worker and its answer; the seeds differ, and the first runs, which the browser
compiles in, do not count.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT)]

import test_lab_engine  # noqa: E402
from playwright.sync_api import sync_playwright  # noqa: E402

import conftest  # noqa: E402

WARM, ROUNDS = 5, 15
# What is run, with WebAssembly or without, and the median that is aimed at, in ms.
CASES = (
    ("50 x 256, ReLU", {"depth": 50, "width": 256}, True, 60),
    ("50 x 256, tanh", {"depth": 50, "width": 256, "activation": "tanh"}, True, None),
    ("50 x 256, ReLU, plain JavaScript", {"depth": 50, "width": 256}, False, 200),
    ("100 x 512, ReLU", {"depth": 100, "width": 512}, True, 400),
    ("100 x 512, orthogonal", {"depth": 100, "width": 512, "scheme": "orthogonal"}, True, 400),
    ("30 x 64, ReLU", {"depth": 30, "width": 64}, True, None),
)
TIMED = """async ([state, wasm, warm, rounds]) => {
  const times = [];
  for (let seed = 0; seed < warm + rounds; seed++) {
    const started = performance.now();
    const { result, error } = await ask("run", { ...state, seed }, { wasm });
    if (error || result.kernels !== (wasm ? "WebAssembly" : "JavaScript")) throw new Error(error);
    if (seed >= warm) times.push(performance.now() - started);
  }
  return times;
}"""


def main() -> None:
    print("The lab: draws, both passes and all that is measured, batch 32; medians in ms.\n")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=conftest.find_chromium(), args=conftest.CHROMIUM_FLAGS
        )
        page = browser.new_page()
        page.goto(test_lab_engine.write_page(Path(folder)))
        for name, state, wasm, target in CASES:
            times = page.evaluate(TIMED, [state, wasm, WARM, ROUNDS])
            aim = f"  aim: {target}" if target else ""
            print(f"    {name:<36} {statistics.median(times):5.0f}  "
                  f"({min(times):.0f} to {max(times):.0f}){aim}")  # fmt: skip
        browser.close()


if __name__ == "__main__":
    main()
