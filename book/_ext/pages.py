"""The book's pages: what the templates know, what each page loads, and where its links lead."""

from __future__ import annotations

import os
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.builders.html import StandaloneHTMLBuilder
from sphinx.config import Config
from sphinx.util.docutils import SphinxDirective
from sphinx.util.typing import ExtensionMetadata

from facts import Page, Part, forget_page, known_pages, note_page, read_parts
from winit import __version__

MODULES = Path(__file__).parents[1] / "node_modules"
TYPE = "source-serif-4-latin-{}.woff2"
FACES = ("400-normal", "400-italic", "600-normal")
FIRST_FACES = ("400-normal", "600-normal")  # on every first screen: asked for at once
FIRST_FORMULAS = ("KaTeX_Main-Regular.woff2", "KaTeX_Math-Italic.woff2")
# The words in a page's HTML that show that it needs a style sheet beyond the book's own.
SHEETS = {
    'class="katex': "katex/katex-swap.min.css",
    'class="sd-': "sphinx-design.min.css",
    'class="lab': "lab/lab.css",
}
# And what it needs of scripts: KaTeX's own, which copies a formula as TeX, the lab's, and the
# sliders', which bring the lab's engine when one of them is near.
SCRIPTS = {
    'class="katex': ("katex/copy-tex.min.js",),
    'id="lab"': ("lab/core.js", "lab/common.js", "lab/lab.js"),
    'class="lab-slider"': ("lab/sliders.js",),
}
SITEMAP = """<?xml version="1.0" encoding="UTF-8"?>
<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">
{}</urlset>
"""
ACTIONS = {
    "Binder": "Run it on Binder",
    "Colab": "Run it on Colab",
    "Suggest edit": "Suggest an edit",
}


class ChapterMap(SphinxDirective):
    """All parts and chapters, with question, reading time and prerequisites."""

    def run(self) -> list[nodes.Node]:
        self.env.note_reread()  # other pages' titles are in it
        return [chapter_map()]


class chapter_map(nodes.General, nodes.Element):
    """Stands where the map will be, until every page has been read."""


def draw_map(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    for place in list(doctree.findall(chapter_map)):
        assert isinstance(app.builder, StandaloneHTMLBuilder)
        html = app.builder.templates.render(
            "map.html",
            {
                "parts": read_parts(app),
                "link": lambda name: app.builder.get_relative_uri(docname, name),
            },
        )
        place.replace_self(nodes.raw("", html, format="html"))


def use_addresses(app: Sphinx, config: Config) -> None:
    """Take the addresses that `_config.yml` leaves empty from who publishes the book.

    Once there is a repository, Binder, Colab and "suggest an edit" are switched on.
    """
    book = config.html_baseurl or os.environ.get("WINIT_BOOK_URL", "")
    config.html_baseurl = f"{book.rstrip('/')}/" if book else ""
    options = config.html_theme_options
    url = options.get("repository_url") or os.environ.get("WINIT_REPOSITORY_URL", "")
    options["repository_url"] = url
    if url:
        config.html_theme_options |= {
            "launch_buttons": {
                "notebook_interface": "jupyterlab",
                "binderhub_url": "https://mybinder.org",
                "colab_url": "https://colab.research.google.com",
            },
            "use_edit_page_button": True,
        }


def date_book(app: Sphinx, config: Config) -> None:
    """Date the pages by SOURCE_DATE_EPOCH, which tools/book.py takes from the last commit.

    Never by the clock: the same sources make the same pages.
    """
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    if epoch:
        day = datetime.fromtimestamp(int(epoch), UTC)
        config.book_date = f"{day:%B} {day.day}, {day.year}"


def _first_on_colab(app: Sphinx, pagename: str) -> str:
    """The cell that gives a notebook opened on Colab what it imports: the package, the ledger."""
    options = app.config.html_theme_options
    url, branch = options["repository_url"], options["repository_branch"]
    lines = [f"%pip install --quiet git+{url}@{branch}"]
    notebook = Path(app.srcdir, f"{pagename}.ipynb")
    if notebook.is_file() and '"import ledger' in notebook.read_text(encoding="utf-8"):
        lines.append(f"!git clone --quiet --depth 1 --branch {branch} {url} copy")
        lines.append("!cp copy/notebooks/ledger* .")
    return "\n".join(lines)


def _actions(context: dict[str, Any]) -> list[tuple[str, str]]:
    """What can be done with a page: label and address. The theme has worked out the addresses."""
    buttons: list[dict[str, Any]] = []
    for button in context.get("header_buttons", []):
        buttons += button.get("buttons", [button])
    return [
        (ACTIONS[label], button["url"])
        for button in buttons
        if (label := button.get("text") or button.get("tooltip")) in ACTIONS
    ]


def fill_context(
    app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: object
) -> None:
    """Give the templates the facts about this page and its neighbours."""
    parts = read_parts(app)
    order = [(part, page) for part in parts for page in part.pages]
    here = next((i for i, (_, page) in enumerate(order) if page.name == pagename), None)
    is_cover = pagename == app.config.root_doc
    base = app.config.html_baseurl

    def neighbour(step: int) -> Page | None:
        at = -1 if is_cover else here
        if at is None or not 0 <= at + step < len(order):
            return None
        return order[at + step][1]

    part: Part | None = order[here][0] if here is not None else None
    page = order[here][1] if here is not None else known_pages(app.env).get(pagename)
    if pagename == "index":  # leads to the cover, and is known by it
        page, is_cover = known_pages(app.env)[app.config.root_doc], True
        context["pageurl"] = f"{base}{app.config.root_doc}.html" if base else None
    body = context.get("body", "")
    actions = _actions(context)
    context.update(
        parts=parts,
        part=part,
        page=page,
        is_cover=is_cover,
        opens_part=part is not None and part.opener and part.pages[0].name == pagename,
        previous_page=neighbour(-1),
        next_page=neighbour(1),
        fonts=[f"fonts/{TYPE.format(face)}" for face in FIRST_FACES]
        + [f"katex/fonts/{font}" for font in FIRST_FORMULAS if 'class="katex' in body],
        sheets=[sheet for mark, sheet in SHEETS.items() if mark in body],
        scripts=[name for mark, names in SCRIPTS.items() if mark in body for name in names],
        actions=actions,
        base_url=base,
        version=__version__,
        date=app.config.book_date,
        colab_cell=_first_on_colab(app, pagename) if ACTIONS["Colab"] in dict(actions) else "",
    )


def copy_type(app: Sphinx) -> None:
    """Put the fonts beside the style sheets that name them."""
    if app.builder.format != "html":
        return
    static = Path(app.outdir) / "_static"
    fonts, katex = static / "fonts", static / "katex"
    (katex / "fonts").mkdir(parents=True, exist_ok=True)
    fonts.mkdir(exist_ok=True)
    for face in FACES:
        name = TYPE.format(face)
        shutil.copy(MODULES / "@fontsource/source-serif-4/files" / name, fonts)
    shutil.copy(MODULES / "@fontsource/source-serif-4/LICENSE", fonts)
    shutil.copy(MODULES / "katex/LICENSE", katex)
    shutil.copy(MODULES / "katex/dist/katex-swap.min.css", katex)
    shutil.copy(MODULES / "katex/dist/contrib/copy-tex.min.js", katex)
    for font in (MODULES / "katex/dist/fonts").glob("*.woff2"):
        shutil.copy(font, katex / "fonts")


def map_site(app: Sphinx, exception: Exception | None) -> None:
    """List the pages for search engines, once the book has an address."""
    base = app.config.html_baseurl
    if exception or not base or app.builder.format != "html":
        return
    names = [app.config.root_doc, *(page.name for part in read_parts(app) for page in part.pages)]
    lines = (
        f"<url><loc>{escape(base + app.builder.get_target_uri(name))}</loc></url>\n"
        for name in names
    )
    Path(app.outdir, "sitemap.xml").write_text(SITEMAP.format("".join(lines)), "utf-8")


def drop_unused(app: Sphinx, exception: Exception | None) -> None:
    """Remove what the theme and the extensions bring and no page loads: 4 MB, mostly icons."""
    if exception or app.builder.format != "html":
        return
    static = Path(app.outdir) / "_static"
    own = {path.name for path in Path(app.srcdir, "book/_static").iterdir()} | {"fonts", "katex"}
    html = (file for file in Path(app.outdir).rglob("*.html") if static not in file.parents)
    pages = "".join(page.read_text("utf-8") for page in html)
    for file in [path for path in static.rglob("*") if path.is_file()]:
        name = file.relative_to(static)
        if name.parts[0] not in own and f"_static/{name.as_posix()}" not in pages:
            file.unlink()
    for folder in sorted((path for path in static.rglob("*") if path.is_dir()), reverse=True):
        if not any(folder.iterdir()):
            folder.rmdir()


def setup(app: Sphinx) -> ExtensionMetadata:
    # Jupyter Book sets this value even where the extension that knows it is not loaded.
    app.add_config_value("comments_config", {}, "html")
    app.add_config_value("part_openers", {}, "html")
    app.add_config_value("book_date", "", "html")  # all pages are written when it changes
    app.add_node(chapter_map)
    app.add_directive("chapters", ChapterMap)
    app.connect("config-inited", use_addresses)
    app.connect("config-inited", date_book)
    app.connect("builder-inited", copy_type)
    app.connect("doctree-read", note_page)
    app.connect("env-purge-doc", forget_page)
    app.connect("doctree-resolved", draw_map)
    app.connect("html-page-context", fill_context, priority=900)  # after the theme's own
    app.connect("build-finished", map_site)
    app.connect("build-finished", drop_unused, priority=900)
    return {
        "version": "1",
        "env_version": 2,  # add one when facts.Page changes: builds keep pages of the old kind
        "parallel_read_safe": False,
        "parallel_write_safe": True,
    }
