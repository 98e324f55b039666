"""The page of a record, written whole."""

from pathlib import Path
from typing import TYPE_CHECKING

from ...common.files import atomic_path
from ...common.progress import ShowProgress
from ...errors import ArgumentError
from .part import Page
from .records import page_of
from .render import render

if TYPE_CHECKING:
    from ..document import Document

_ENDINGS = (".html", ".htm")


def save_page(document: "Document", path: Path, progress: ShowProgress | None = None) -> None:
    """See `Document.save_html`."""
    check_page_name(path)
    with atomic_path(path) as temporary:
        temporary.write_text(page_text(page_of(document, progress)), encoding="utf-8")


def check_page_name(path: Path) -> None:
    """Raise ArgumentError unless the name is that of a page."""
    if path.suffix.lower() not in _ENDINGS:
        raise ArgumentError(f"{path}: expected a name that ends in .html")


def page_text(page: Page) -> str:
    """The page as HTML; one with a map has its script."""
    has_map = any(part.template == "maps" for part in page.parts)
    return render("page.html.jinja", {"page": page}, script="map.js" if has_map else "")
