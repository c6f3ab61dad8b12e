"""No network at run time: neither the package nor a chapter asks for it.

The long tier runs every chapter in this way (tools/package.py).
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
OFFLINE = ROOT / "tools" / "offline"


def run(*command: str) -> subprocess.CompletedProcess[str]:
    """A Python, and those that it starts, without a network."""
    environment = os.environ | {"PYTHONPATH": str(OFFLINE)}
    return subprocess.run(
        [sys.executable, *command], env=environment, cwd=ROOT, capture_output=True, text=True
    )


IMPORT_ALL = """
import importlib, importlib.util, pkgutil, winit
for module in pkgutil.iter_modules(winit.__path__):
    missing = module.name == "torch" and not importlib.util.find_spec("torch")
    if module.name != "__main__" and not missing:  # the one runs a command, the other is optional
        importlib.import_module(f"winit.{module.name}")
        print(module.name)
"""


@pytest.mark.long
def test_no_module_asks_for_the_network() -> None:
    done = run("-c", IMPORT_ALL)
    assert (done.returncode, done.stderr) == (0, "")
    assert {"initializers", "theory", "plots", "keras"} <= set(done.stdout.split())


@pytest.mark.long
def test_chapter_runs_without_a_network() -> None:
    chapter = ROOT / "notebooks" / "02_symmetry.ipynb"
    done = run("tools/notebooks.py", "--check", "--jobs=1", str(chapter))
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    "code",
    [
        "import socket; socket.create_connection(('192.0.2.1', 9), timeout=9)",
        "import socket; socket.create_connection(('example.org', 80), timeout=9)",
        "import socket; socket.getaddrinfo('example.org', 80)",
        "import socket; socket.gethostbyname('example.org')",
        "import socket; socket.socket().connect_ex(('8.8.8.8', 53))",
        "import socket; socket.socket(type=socket.SOCK_DGRAM).sendto(b'', ('192.0.2.1', 9))",
        "import socket; socket.socket(socket.AF_INET6).connect(('2001:db8::1', 9, 0, 0))",
        "import _socket; _socket.socket().connect(('192.0.2.1', 9))",
        "import urllib.request; urllib.request.urlopen('http://192.0.2.1/')",
        "import http.client; http.client.HTTPConnection('example.org').connect()",
        "import asyncio; asyncio.run(asyncio.open_connection('192.0.2.1', 9))",
        "import subprocess, sys; c = 'import socket; socket.getaddrinfo(\"example.org\", 80)';"
        "sys.exit(subprocess.call([sys.executable, '-c', c]))",
    ],
)
def test_network_is_refused(code: str) -> None:
    """The block itself: else the tests above would pass whatever is asked for."""
    done = run("-c", code)
    assert done.returncode == 1 and "no network here: socket." in done.stderr
    swallowed = run("-c", f"try:\n    {code}\nexcept BaseException: pass")
    assert "no network here: socket." in swallowed.stderr


def test_own_machine_is_reached() -> None:
    """Kernels and their clients talk over it."""
    code = """
import socket
server = socket.create_server(("127.0.0.1", 0))
socket.create_connection(server.getsockname()).close()
socket.getaddrinfo("localhost", 80)
socket.socketpair()
socket.socket(type=socket.SOCK_DGRAM).sendto(b"", server.getsockname())
"""
    done = run("-c", code)
    assert (done.returncode, done.stderr) == (0, "")
