"""What a page is made of."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Part:
    """A section: its anchor, its heading, the template that draws it, and what that is given as `content`."""

    id: str
    title: str
    template: str
    content: Any


@dataclass(frozen=True)
class Page:
    """A whole page: `lead` are the sentences of the verdict, `lead_note` what they rest on."""

    title: str
    lead: Sequence[str]
    lead_note: str
    parts: Sequence[Part]
