"""The page of a record, written whole: one file without network, and nothing in it runs but its own script."""

import hashlib
from base64 import b64encode
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...common.files import atomic_path
from ...common.progress import ShowProgress
from ...common.text import printable
from ...errors import ArgumentError
from .part import Page
from .records import page_of

if TYPE_CHECKING:
    from jinja2 import Environment

    from ..document import Document

_TEMPLATES = Path(__file__).parent / "templates"
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
    """The page as HTML; its policy names the very style and script that it has, so that no other is ever run."""
    from markupsafe import Markup

    style, script = ((_TEMPLATES / name).read_text(encoding="utf-8") for name in ("page.css", "map.js"))
    has_map = any(part.template == "maps" for part in page.parts)
    policy = f"default-src 'none'; img-src data:; style-src '{_hash(style)}'; base-uri 'none'; form-action 'none'"
    if has_map:
        policy += f"; script-src '{_hash(script)}'"
    return (
        _environment()
        .get_template("page.html.jinja")
        .render(page=page, policy=policy, style=Markup(style), script=Markup(script) if has_map else "")
    )


def _hash(text: str) -> str:
    return f"sha256-{b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


@cache
def _environment() -> "Environment":
    """Everything from outside is escaped, and made printable before: names of files may hold anything."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )


def _shown(value: Any) -> Any:
    return printable(value) if type(value) is str else value
