"""Fences of the language `math` (LaTeX, as GitHub shows them) as MathML, which browsers draw by themselves."""

from typing import Any

from latex2mathml.converter import convert


def mathml(source: str, language: str, css_class: str, options: dict[str, Any], md: Any, **_: Any) -> str:
    """The formatter that pymdownx.superfences calls."""
    return f'<div class="{css_class}">{convert(source.strip(), display="block")}</div>'
