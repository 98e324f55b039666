"""Fail the build where a built page or style loads something from another host: readers may be offline, or private."""

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from mkdocs.exceptions import PluginError

_LOADING_LINKS = {
    "stylesheet",
    "icon",
    "preload",
    "prefetch",
    "preconnect",
    "dns-prefetch",
    "modulepreload",
    "manifest",
}
_FOREIGN = re.compile(r"(?:https?:)?//")
_FOREIGN_STYLE = re.compile(r"(?:url\(|@import)\s*[\"']?(?:https?:)?//[^)\"';]+")


class _Loads(HTMLParser):
    """What a browser fetches for a page: `src` and `srcset` of any element, and links that load."""

    def __init__(self) -> None:
        super().__init__()
        self.foreign: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        fetched = [given.get("src", ""), *(part.strip() for part in given.get("srcset", "").split(","))]
        if tag == "link" and _LOADING_LINKS & set(given.get("rel", "").split()):
            fetched.append(given.get("href", ""))
        if tag == "object":
            fetched.append(given.get("data", ""))
        self.foreign += [address for address in fetched if _FOREIGN.match(address)]


def foreign_loads(page: str) -> list[str]:
    """The addresses on other hosts that a page fetches by itself."""
    parser = _Loads()
    parser.feed(page)
    return parser.foreign + _FOREIGN_STYLE.findall(page)


def on_post_build(config: Any, **_: Any) -> None:
    """Called by mkdocs when the site is written."""
    site = Path(config["site_dir"])
    for path in sorted(path for path in site.rglob("*") if path.suffix in (".html", ".css", ".svg")):
        text = path.read_text(encoding="utf-8")
        found = foreign_loads(text) if path.suffix == ".html" else _FOREIGN_STYLE.findall(text)
        if found:
            raise PluginError(f"{path.relative_to(site)} loads {found[0]}; keep it in docs/")
