"""What the completion of a shell offers: names of files where a set or a file is meant, and the names of a list."""

from collections.abc import Callable, Iterable

import click
from click.shell_completion import CompletionItem
from click.types import StringParamType


class FileText(StringParamType):
    """Text that may name a file or folder; checked by the library, since it may also be an address or a pattern."""

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """The shell's own list of files."""
        return [CompletionItem(incomplete, type="file")]


FILE = FileText()
Complete = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


def names(of: Callable[[], Iterable[str]]) -> Complete:
    """Names that are listed when a shell asks for them."""
    return lambda _context, _parameter, incomplete: [
        CompletionItem(name) for name in of() if name.startswith(incomplete)
    ]
