"""`--html`: one page of a result."""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from .options import with_flags

if TYPE_CHECKING:
    from ..report.contrast import Contrast
    from ..report.explanation import Explanation
    from ..report.plan import Plan
    from ..report.ranking import Ranking
    from ..report.report import Report
    from ..report.watching import Watching

    Named = Report | Ranking | Plan | Explanation | Contrast | Watching

Saves = list[Callable[[], None]]


def html_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Where a page goes, besides the text."""
    about = "Write one self-contained page: scores, charts, pictures, a map, warnings, and how to repeat it."
    return click.option("--html", "html_file", metavar="FILE.html", help=about)(command)


def page_from(given: dict[str, Any], *, with_exhibit: bool = True) -> Callable[["Named"], Saves]:
    """Take --html out of what was typed and check it before hours of work; returns what writes the page after them."""
    file = given.pop("html_file")
    if with_exhibit:
        given["exhibit"] = file is not None
    if file is None:
        return lambda _document: []

    from ..common.progress import show_progress

    check_page(file)
    return lambda document: [lambda: in_typed_words(document).save_html(file, progress=show_progress)]


def check_page(file: str) -> None:
    """Raise ArgumentError or InputError unless a page can be written there."""
    from ..common.files import check_writable, path_of
    from ..report.page.page import check_page_name

    check_page_name(path_of(file))
    check_writable(path_of(file))


def in_typed_words(document: "Named") -> "Named":
    """The record as its page is read by who typed a command: warnings and remarks name flags."""
    from ..report.plan import Plan

    typed = tuple(map(with_flags, document.warnings))
    if isinstance(document, Plan):
        needs = tuple(replace(need, remark=with_flags(need.remark)) for need in document.needs)
        document = replace(document, needs=needs)
    return replace(document, warnings=typed)
