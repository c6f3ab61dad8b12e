"""What the tests share: figures without a screen, how many examples, and a browser."""

from __future__ import annotations

import os
import random
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import matplotlib
import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser

# Not the variable MPLBACKEND: kernels started by a test would inherit it and lose their own.
matplotlib.use("agg")

# How many examples a property is tried on: `few` in `make test`, `many` in `make test-long`, which
# runs every test that Hypothesis drives (it marks them `hypothesis`). A test that sets max_examples
# itself is outside this rule, so let it be. `few` draws the same examples each time, `many` others.
# No deadline, which would measure how busy the machine is.
hypothesis.settings.register_profile("few", max_examples=25, derandomize=True, deadline=None)
hypothesis.settings.register_profile("many", max_examples=1000, derandomize=True, deadline=None)
hypothesis.settings.load_profile("few")

CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
CHROMIUM_PATHS = (
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "C:/Program Files/Google/Chrome/Application/chrome.exe",
    "C:/Program Files (x86)/Google/Chrome/Application/chrome.exe",
    "C:/Program Files (x86)/Microsoft/Edge/Application/msedge.exe",
)
CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    # The pages of the address bar, two for each window, which nobody sees: 60 % of its time.
    "--disable-features=WebUIOmniboxPopup,WebUIOmniboxAimPopup,WebUIOmniboxFullPopup",
]


def find_chromium() -> str | None:
    """The browser named by WINIT_CHROMIUM, or else one in the usual places."""
    named = os.environ.get("WINIT_CHROMIUM")
    if named:
        return named if Path(named).is_file() else None
    for name in CHROMIUM_NAMES:
        if found := shutil.which(name):
            return found
    return next((path for path in CHROMIUM_PATHS if Path(path).is_file()), None)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    """Keras and PyTorch draw what a test gives no seed for from generators of the process."""
    random.seed(0)
    if torch := sys.modules.get("torch"):
        torch.manual_seed(0)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A headless Chromium driven by Playwright: skipped where there is none, but never in CI."""
    chromium = find_chromium()
    if chromium is None:
        reason = (
            "no Chromium found: install it (Debian: apt-get install chromium) "
            "or name its path in WINIT_CHROMIUM"
        )
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)

    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        instance = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_FLAGS)
        yield instance
        instance.close()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes minutes: begun last, it leaves the other worker idle."""
    items.sort(key=lambda item: item.get_closest_marker("minutes") is None)


@pytest.fixture
def large_type(browser: Browser) -> Iterator[Browser]:
    """The same browser as somebody has it who reads type of 32 px, twice the usual."""
    flags = [*CHROMIUM_FLAGS, "--blink-settings=defaultFontSize=32"]
    instance = browser.browser_type.launch(executable_path=find_chromium(), args=flags)
    yield instance
    instance.close()


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print what test_book.py has measured, a line for each page."""
    pages: dict[str, dict[str, object]] = {}
    for reports in terminalreporter.stats.values():
        for report in reports:
            for name, figures in getattr(report, "user_properties", ()):
                if name == "page":
                    pages.setdefault(figures["page"], {}).update(figures)
    if not pages:
        return
    columns = list(dict.fromkeys(name for page in pages.values() for name in page))
    terminalreporter.section("the book's pages")
    first = max(len(page) for page in pages)
    terminalreporter.write_line("  ".join([f"{'page':{first}}", *columns[1:]]))
    for name, figures in pages.items():
        cells = (f"{figures.get(column, '')!s:>{len(column)}}" for column in columns[1:])
        terminalreporter.write_line("  ".join([f"{name:{first}}", *cells]))
