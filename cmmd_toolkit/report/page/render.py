"""Templates to HTML: everything from outside is escaped, and no style or script but the page's own is ever run."""

import hashlib
from base64 import b64encode
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...common.text import printable

if TYPE_CHECKING:
    from jinja2 import Environment

_COLOURS = 6
TEMPLATES = Path(__file__).parent / "templates"


def render(template: str, context: dict[str, Any], *, folder: Path = TEMPLATES, script: str = "") -> str:
    """The page of a template that extends base.html.jinja, in `folder` or here; `script` is the name of a file here.

    Its Content-Security-Policy names the very style and script that it has, and lets nothing be loaded.
    """
    from markupsafe import Markup

    style, code = (_read(name) if name else "" for name in ("page.css", script))
    policy = f"default-src 'none'; img-src data:; style-src '{_hash(style)}'; base-uri 'none'; form-action 'none'"
    if code:
        policy += f"; script-src '{_hash(code)}'"
    shell = {"policy": policy, "style": Markup(style), "script": Markup(code)}
    return _environment(folder).get_template(template).render({**context, **shell})


def data_address(content: bytes, kind: str) -> str:
    """A picture as an address that holds it; `kind` is png or jpeg."""
    return f"data:image/{kind};base64,{b64encode(content).decode()}"


def _read(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"sha256-{b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


@cache
def _environment(folder: Path) -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    found = Environment(
        loader=FileSystemLoader([folder, TEMPLATES]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )
    found.filters["colour"] = colour_of
    return found


def colour_of(place: int) -> int:
    """Which of the style's colours a set has: 0 is the reference's alone, generated sets share six in turn."""
    return 1 + (place - 1) % _COLOURS if place else 0


def _shown(value: Any) -> Any:
    """Names of files may hold anything."""
    return printable(value) if type(value) is str else value
