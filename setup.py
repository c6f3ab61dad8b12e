"""What pyproject.toml cannot hold: addresses, and the README as a package index shows it.

An index has none of the repository's files, so a relative link or picture leads nowhere there. All
addresses come from `repository.url` in _config.yml. While it is empty, links become their words and
the picture goes.
"""

from __future__ import annotations

import re
from pathlib import Path

from setuptools import setup

HERE = Path(__file__).resolve().parent
# A picture, an HTML one or Markdown's; and a link, whose words may hold code.
PICTURE = re.compile(
    r"<img\b[^>]*?\bsrc=\"(?P<html>[^\"]+)\"[^>]*>|!\[[^\]]*\]\((?P<mark>[^)\s]+)\)"
)
LINK = re.compile(r"(?<!!)\[(?P<words>[^\]]*)\]\((?P<target>[^)\s]+)\)")


def repository(config: str) -> tuple[str, str]:
    """The address and the branch that a _config.yml names under `repository`; "" for none."""
    block = re.search(r"^repository:\n((?:[ \t]+.*\n|\s*\n)*)", config + "\n", re.M)
    named = dict(
        re.findall(r"^\s+(url|branch):\s*[\"']?([^\"'\s#]*)", block[1] if block else "", re.M)
    )
    return named.get("url", "").rstrip("/"), named.get("branch") or "main"


def on_an_index(readme: str, url: str, branch: str) -> str:
    """The README with every relative address made absolute, or gone where there is none."""

    def picture(found: re.Match[str]) -> str:
        source = found["html"] or found["mark"]
        if "://" in source:
            return found[0]
        return found[0].replace(source, f"{url}/raw/{branch}/{source}") if url else ""

    def link(found: re.Match[str]) -> str:
        target = found["target"]
        if "://" in target or target.startswith("#"):
            return found[0]
        kind = "tree" if (HERE / target).is_dir() else "blob"
        return f"[{found['words']}]({url}/{kind}/{branch}/{target})" if url else found["words"]

    return LINK.sub(link, PICTURE.sub(picture, readme))


def addresses(url: str, branch: str) -> dict[str, str]:
    if not url:
        return {}
    return {
        "Source": url,
        "Issues": f"{url}/issues",
        "Changelog": f"{url}/blob/{branch}/CHANGELOG.md",
    }


if __name__ == "__main__":
    url, branch = repository((HERE / "_config.yml").read_text(encoding="utf-8"))
    setup(
        long_description=on_an_index((HERE / "README.md").read_text("utf-8"), url, branch),
        long_description_content_type="text/markdown",
        project_urls=addresses(url, branch),
    )
