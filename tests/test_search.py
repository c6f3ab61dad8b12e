"""The book's search: what it finds, how it is used by keyboard, and the marks on arrival."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import test_book
from test_book import DESK, PAGES, PHONE, Listener
from tiers import some

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

Find = Callable[..., list[dict[str, Any]]]
ROOT = Path(__file__).resolve().parent.parent
html, address, server, context = (
    test_book.html,
    test_book.address,
    test_book.server,
    test_book.context,
)

# Queries of readers, with the pages where the answer stands, as they were named before the search
# was tried. "05_|cheat_sheet": either will do. A reader who never saw the search also named the
# section.
QUERIES = {
    "why ln 10": "01_",
    "loss nan after a few steps": "03_",
    "ReLU halves variance": "04_",
    "tanh saturated gradient explodes": "04_",
    "calculate_gain tanh 5/3": "05_",
    "PyTorch Linear default bias kaiming a=sqrt(5)": "06_|11_",
    "GELU initialization": "07_",
    "uniform limit sqrt 6": "05_|cheat_sheet",
    "deep narrow ReLU network median": "06_",
    "loss stuck at 2.303": "on_monday",
    "keras default initializer relu": "09_",
    "does adam fix bad initialization": "08_",
    "glorot formula": "05_",
    "dead": "08_|verdicts#dead|glossary#term-dead",
    "batch normalisation": "10_",
    "initialisation": "notebooks/|book/",  # the British word; what it finds is tested below
    "why not start all weights at zero": "02_#all-zero",
    "are equal weights ok if the outgoing ones are random": "02_#incoming-and-outgoing",
    "what loss should an untrained classifier have": "01_#real-data",
    "backpropagation with matrices formula": "03_#from-numbers-to-matrices",
    "do vanishing gradients hit only the first layers": "03_#the-former-layers",
    "relu halves variance or second moment": "04_#the-second-moment",
    "where does the 6 in sqrt(6/(fan_in+fan_out)) come from": "05_#draw-it",
    "tanh gain 5/3 pytorch exploding": "05_#tanh-with-depth",
    "pytorch linear default init not he kaiming sqrt(5)": "06_#put-it-back",
    "gelu initialization gain": "07_#where-it-is-wrong",
    "keras same weights in two layers seed": "09_#one-object",
    "initial bias imbalanced classes log p/(1-p)": "08_#when-one-class-is-rare",
    "keras he_normal truncated 0.8796": "09_#the-cut",
    "deep narrow relu signal vanishes with he init": "06_#your-network",
    "zero init residual branch rezero fixup": "12_#start-with-nothing",
    "does weight scale matter before layer norm": "12_#what-a-normalizer",
    "pre-norm or post-norm": "12_#before-the-branch",
    "muP learning rate transfer width": "15_",
    "bfloat16 small update lost": "15_#a-step-that-is-too-small",
    "coordinate check exponents width": "15_#check-it-layer-by-layer",
    "why std 0.02 in GPT-2": "13_#where-0-02",
    "language model initial loss 110": "13_#the-first-loss",
    "adaLN-Zero": "13_#ends-of-zero",
    "do weights have to be random": "16_#weights-must-be-random",
    "lstm forget gate bias": "16_#a-forget-bias-of-1",
    "siren initialization": "16_#every-layer-of-a-siren",
    "edge of chaos critical line": "14_#the-map",
    "correlation of two inputs with depth": "14_#two-digits|14_#the-correlation",
    "how deep can a network be trained depth scale": "14_#how-far|14_#does-training",
    "replicate Glorot and Bengio 2010 experiment": "17_#one-sentence",
    "which claims of papers do not hold": "17_#why-claims-fail|17_#all-of-them",
    "UDL shattered gradients notebook does not replicate": "17_#a-call-for-help",
}
FIND = """(queries) => {
  return queries.map((query) => {
    const { hits, ...said } = window.finder.find(query);
    return { ...said, hits: hits.map(({ place }) => `${place.file}#${place.anchor}`) };
  });
}"""


@pytest.fixture
def search(address: str, context: BrowserContext) -> Page:
    """The search page, with its index loaded."""
    page = context.new_page()
    page.goto(f"{address}/search.html?q=variance")
    page.wait_for_selector("#search .results a")
    return page


@pytest.fixture(scope="module")
def find(html: Path, browser: Browser) -> Iterator[Find]:
    """What the page's own script finds for each query, without its list of results."""
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(f"{html.as_uri()}/search.html?q=variance")
        page.wait_for_selector("#search .results a")
        page.evaluate("window.finder = new bookSearch.Finder(window.bookIndex, window.MiniSearch)")
        yield lambda *queries: page.evaluate(FIND, list(queries))


def rank(hits: list[str], place: str, *, section: bool) -> int:
    """How many hits stand before the first in the place: all of them where none is in it."""
    for i, hit in enumerate(hits):
        for wanted in place.split("|"):
            name, _, anchor = wanted.partition("#")
            if name in hit and (not section or anchor in hit.partition("#")[2]):
                return i
    return len(hits)


def test_readers_find_the_place(find: Find) -> None:
    answers = dict(zip(QUERIES, find(*QUERIES), strict=True))
    pages = {q: rank(answers[q]["hits"], QUERIES[q], section=False) for q in QUERIES}
    sections = {q: rank(answers[q]["hits"], QUERIES[q], section=True) for q in QUERIES}
    assert len(QUERIES) == 48
    assert sum(place == 0 for place in pages.values()) >= 44, pages
    assert sum(place < 3 for place in sections.values()) >= 47, sections


def test_rank_sees_a_wrong_place() -> None:
    hits = ["notebooks/05_xavier#sigmoid", "notebooks/05_xavier#draw-it-normal"]
    assert rank(hits, "05_#draw-it", section=False) == 0
    assert rank(hits, "05_#draw-it", section=True) == 1
    assert rank(hits, "06_|cheat_sheet", section=False) == 2


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("initialisation", "initialization"),
        ("batch normalisation", "batch normalization"),
        ("colour", "color"),
        ("saturated units", "saturate unit"),
        ("labelled", "labeled"),
    ],
)
def test_spellings_find_the_same(find: Find, one: str, other: str) -> None:
    first, second = find(one, other)
    assert first["hits"] == second["hits"] != []


def test_words_that_differ_are_not_taken_for_each_other(find: Find) -> None:
    for one, other in (("normal", "normalization"), ("loss", "lose"), ("four", "for")):
        first, second = find(one, other)
        assert first["hits"] != second["hits"]


def test_slips_are_mended_only_where_a_word_stands_nowhere(find: Find) -> None:
    slip, right, formula = find("xaiver gradeint", "mean", "zzzqqq")
    assert slip["instead"] == [["xaiver", "xavier"], ["gradeint", "gradient"]]
    assert "05_xavier" in slip["hits"][0]
    assert right["instead"] == []  # though it is one letter from others
    assert formula == {"hits": [], "words": ["zzzqqq"], "instead": [], "unknown": ["zzzqqq"]}


def test_other_names_are_known(find: Find) -> None:
    kaiming, glorot, rare = find("kaiming formula", "glorot formula", "batchnorm")
    assert rank(kaiming["hits"], "06_", section=False) < 3
    assert rank(glorot["hits"], "cheat_sheet", section=False) < 3
    assert rank(rare["hits"], "10_", section=False) < 3


def test_every_place_has_an_address(html: Path) -> None:
    text = (html / "searchindex.js").read_text("utf-8")
    index = json.loads(text.removeprefix("window.bookIndex = ").removesuffix(";\n"))
    places = [(index["pages"][page][0], anchor) for page, anchor, *_ in index["places"]]
    assert {name for name, _ in places} == set(PAGES)
    assert len(set(places)) == len(places) > 300
    lost = [place for place in places if place[1] and place[1] not in test_book.anchors(place[0])]
    assert not lost
    assert "\\" not in "".join(text for _, _, _, text, *_ in index["places"])  # no TeX is left


def test_sphinx_brings_no_search_of_its_own(html: Path) -> None:
    left = {path.name for path in (html / "_static").glob("*.js")}
    assert left == {"book.js", "search.js"}
    assert "Luca Ongaro" in (html / "_static" / "minisearch" / "LICENSE").read_text("utf-8")


def test_heading_that_is_gone_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "book" / "_ext"))
    import search

    pages = {"a": [search.Place("One", "one", 1.0)]}
    complaints = search.give_keywords(pages, {"a": {"One": "first", "Two": ""}, "b": {"One": ""}})
    assert complaints == ["a has no heading 'Two'", "b has no heading 'One'"]
    assert pages["a"][0].keywords == "first"


@pytest.mark.parametrize(
    ("tex", "line"),
    [
        (r"\sqrt{\frac{6}{n_\text{in} + n_\text{out}}}", "√(6/(n_in + n_out))"),
        (r"\operatorname{Var} W = \tfrac53 \sigma^{-2}", "Var W = 5/3 σ⁻²"),
        (
            r"\begin{aligned} a &= 1/\sqrt n \\[4pt] b &= e^{\mu t} \end{aligned}",
            "a = 1/√n b = e^(μ t)",
        ),
    ],
)
def test_formulas_are_read(monkeypatch: pytest.MonkeyPatch, tex: str, line: str) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "book" / "_ext"))
    import search

    assert search.readable(tex) == line


# --- The page and the box -------------------------------------------------------------------------


def test_index_comes_with_the_focus(address: str, context: BrowserContext) -> None:
    page = context.new_page()
    heard = Listener(page)
    page.goto(f"{address}/{PAGES[1]}.html", wait_until="networkidle")
    assert not [url for url in heard.requested if "search" in url]
    page.keyboard.press("/")
    page.wait_for_function("() => Boolean(window.bookIndex && window.MiniSearch)")
    assert not heard.complaints


def test_results_show_while_typing(address: str, browser: Browser) -> None:
    """On a phone, by keyboard: into the results, to a place, and back to the field."""
    with browser.new_context(viewport=PHONE, reduced_motion="reduce") as context:
        page = context.new_page()
        heard = Listener(page)
        page.goto(f"{address}/{PAGES[1]}.html")
        page.keyboard.press("Control+k")
        page.keyboard.type("glorot formula")
        page.wait_for_selector(".found .results a")
        assert "best of" in page.locator(".found [role=status]").inner_text()
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        page.keyboard.press("ArrowDown")
        page.keyboard.press("ArrowDown")
        assert page.evaluate("document.activeElement.matches('.results li:nth-child(2) a')")
        page.keyboard.press("Escape")
        assert page.evaluate("document.activeElement.matches('.find input')")
        page.keyboard.press("Escape")
        assert not page.locator(".found").is_visible()
        page.keyboard.press("ArrowDown")
        page.wait_for_selector(".found .results a")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Enter")
        page.wait_for_selector("article mark")
        assert "05_xavier.html?mark=" in page.url
        assert not heard.complaints


def test_query_stays_in_the_address(search: Page) -> None:
    field = search.locator(".find input")
    field.fill("dead units")
    search.wait_for_url("**/search.html?q=dead+units")
    search.wait_for_function("/dead/i.test(document.querySelector('.results li').textContent)")
    search.keyboard.press("Enter")
    field.fill("orthogonal")
    search.wait_for_url("**/search.html?q=orthogonal")
    assert search.title().startswith("orthogonal")
    search.go_back()
    search.wait_for_url("**/search.html?q=dead+units")
    assert field.input_value() == "dead units"
    search.reload()
    search.wait_for_selector(".results a")
    assert field.input_value() == "dead units"
    search.locator(".results a").first.click()
    search.wait_for_selector("article mark")
    search.go_back()
    search.wait_for_selector(".results a")
    assert field.input_value() == "dead units"


def test_empty_result_helps(search: Page) -> None:
    assert not search.locator("#search-help").is_visible()
    search.locator(".find input").fill("xylograph")
    search.wait_for_function(
        "/Nothing/.test(document.querySelector('#search [role=status]').textContent)"
    )
    assert search.locator("#search-help").get_by_role("link", name="glossary").is_visible()
    search.locator(".find input").fill("initialyzashon")
    search.wait_for_function("/Did you mean/.test(document.querySelector('.more').textContent)")
    search.locator(".more a").first.click()
    search.wait_for_selector(".results a")
    search.locator(".find input").fill("")
    search.wait_for_selector("#search-help")
    search.get_by_role("link", name="glorot formula").click()
    search.wait_for_url("**/search.html?q=glorot+formula")
    search.wait_for_selector(".results a")


def test_search_says_that_it_needs_javascript(html: Path, browser: Browser) -> None:
    with browser.new_context(viewport=DESK, java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(f"{html.as_uri()}/search.html")
        said = page.locator("article").inner_text()
        assert said.splitlines()[2:] == [
            "The search needs JavaScript; without it, the contents list every chapter and section."
        ], said


# --- On arrival -----------------------------------------------------------------------------------

IN_VIEW = """() => [...document.querySelectorAll("article section mark")].some((mark) => {
  const { top, bottom } = mark.getBoundingClientRect();
  return top > document.querySelector(".top").offsetHeight && bottom < innerHeight;
})"""


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
@pytest.mark.parametrize(
    "place",
    some(
        [
            "notebooks/06_he.html?mark=median+narrow#your-network-is-not-the-average",
            "book/glossary.html?mark=relu#term-dead-unit",
            "book/api.html?mark=kaiming#winit.initializers.he_normal",
            "notebooks/04_variance.html?mark=derive",
        ],
        2,
    ),
)
def test_words_are_marked_and_in_view(
    place: str, size: Any, address: str, browser: Browser
) -> None:
    with browser.new_context(viewport=size, reduced_motion="reduce") as context:
        page = context.new_page()
        heard = Listener(page)
        page.goto(f"{address}/{place}")
        page.wait_for_selector("article mark")
        page.wait_for_function(IN_VIEW)
        before = page.locator("article").text_content()
        page.get_by_role("button", name="Remove the").click()
        assert page.locator("article mark").count() == 0
        assert page.locator("article").text_content() == before
        assert "mark=" not in page.url
        assert not [url for url in heard.requested if "searchindex" in url]
        assert not heard.complaints


def test_mark_in_a_fold_opens_it(address: str, context: BrowserContext) -> None:
    """But only where the words stand nowhere else in the place."""
    page = context.new_page()
    chapter = f"{address}/{test_book.CHAPTERS[0]}.html"
    page.goto(chapter)
    fold = page.locator("details.solution").first
    words = fold.evaluate(
        """(fold) => {
          const long = (text) => text.toLowerCase().match(/[a-z]{6,}/g);
          const task = fold.closest(".task");
          const before = new Set(long(task.textContent.replace(fold.textContent, "")));
          return [task.id, long(fold.textContent).find((word) => !before.has(word))];
        }"""
    )
    page.goto(f"{chapter}?mark={words[1]}#{words[0]}")
    page.wait_for_selector("details.solution[open] mark")


@pytest.mark.parametrize(("scheme", "size"), some([("light", PHONE), ("dark", DESK)], 2))
def test_axe_finds_nothing_in_the_results(
    scheme: Any, size: Any, server: str, browser: Browser
) -> None:
    from axe_playwright_python.sync_playwright import Axe

    with browser.new_context(viewport=size, color_scheme=scheme) as context:
        page = context.new_page()
        for url, ready in (
            ("search.html?q=xaiver+gain", "#search .results a"),
            ("book/glossary.html?mark=unit#term-dead-unit", "article mark"),
        ):
            page.goto(f"{server}/{url}")
            page.wait_for_selector(ready)
            violations = Axe().run(page, options={"resultTypes": ["violations"]}).response
            assert [v["id"] for v in violations["violations"]] == []
        page.locator(".find input").fill("xaiver gain")
        page.wait_for_selector(".found .results a")
        violations = Axe().run(page, options={"resultTypes": ["violations"]}).response
        assert [v["id"] for v in violations["violations"]] == []
