"""Options and parsing that several commands share."""

import shlex
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..common.completion import FILE, names
from ..common.flags import in_flags
from ..common.options import choice, flag, text, whole, with_options
from ..common.outputs import Outputs
from ..common.processes import current_processes
from ..common.text import in_lines, printable
from ..errors import ArgumentError, CmmdError

if TYPE_CHECKING:
    from ..report.paper.record import PaperRecord

# Written out here, so that --help imports nothing; tests hold them against recipes.py and decode.py.
_MAX_PIXELS = 100_000_000
_RECIPE_NAMES = ("google-cmmd", "pytorch-fid", "clean-fid", "torch-fidelity", "torchmetrics")


def _backbone_names() -> list[str]:
    from ..backbones.registry import SPECS

    return list(SPECS)


def network_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that name networks."""
    return with_options(
        command,
        text(
            "--backbone",
            multiple=True,
            metavar="NAME",
            help="Repeatable; see `cmmd backbones`, or path/to/file.py:function. [default: the recipe's, else clip]",
            shell_complete=names(_backbone_names),
        ),
        text(
            "--weights",
            multiple=True,
            metavar="[NAME=]PATH",
            type=FILE,
            help="Local weights; repeat as NAME=PATH for several backbones.",
        ),
        text("--model", multiple=True, metavar="[NAME=]ID", help="Another published model; repeat as NAME=ID."),
    )


def picture_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that `compare` and `embed` share."""
    return with_options(
        command,
        whole("--dims", metavar="N", help="Inception's dimensions: 64, 192, 768 or 2048 (default)."),
        whole("--batch-size", default=32, metavar="N", help="Pictures per batch."),
        whole("--workers", metavar="N", help="Decoding threads. [default: one per core, at most 8]"),
        text("--device", default="auto", metavar="NAME", help="auto, cpu, cuda, cuda:1, mps."),
        choice(
            "--precision",
            ["fp32", "bf16", "fp16"],
            default="fp32",
            help="Precision of the products in the networks; the report says how bf16 and fp16 change the score.",
        ),
        whole("--max-images", metavar="N", help="Use a random subset of N pictures per set."),
        whole("--seed", default=0, metavar="S", help="Seed of all random draws."),
        text(
            "--recipe",
            metavar="NAME",
            help=f"Compute exactly as another tool does: {', '.join(_RECIPE_NAMES)}.",
            shell_complete=names(lambda: _RECIPE_NAMES),
        ),
        choice(
            "--on-error",
            ["fail", "skip"],
            default="fail",
            help="At an unusable picture: stop, or skip it and list it in the report.",
        ),
        whole(
            "--max-pixels",
            default=_MAX_PIXELS,
            metavar="N",
            help="Refuse a picture with more pixels (rows times columns) before it is decoded.",
        ),
        text(
            "--store", metavar="DIR", type=FILE, help="Folder that keeps features. [default: the user's cache folder]"
        ),
        flag("--no-store", help="Compute every feature again and store none."),
        text("--recursive/--no-recursive", default=True, help="Search folders recursively."),
    )


def bandwidth_option(more: str = "") -> Callable[..., Any]:
    """The width of the MMD kernel."""
    about = f"Width of the MMD kernel: a number, or median (of the distances within the reference; the default){more}."
    return text("--bandwidth", metavar="VALUE", help=about)


def mmd_method_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """How squared MMD is computed."""
    return with_options(
        command,
        choice(
            "--mmd-method",
            ["exact", "random-features"],
            default="exact",
            help="MMD over every pair, or by random Fourier features: linear time, with an added error.",
        ),
        whole("--mmd-frequencies", metavar="L", help="Number of frequencies of random-features. [default: 4096]"),
    )


def parse_named(values: tuple[str, ...], title: str) -> str | dict[str, str] | None:
    """`PATH`, or `NAME=PATH` as often as there are backbones."""
    named = dict(text.split("=", 1) for text in values if _is_named(text))
    plain = [text for text in values if not _is_named(text)]
    if len(plain) > 1 or (plain and named):
        raise ArgumentError(f"{title}: given several times; write {title} NAME=... for each backbone")
    return plain[0] if plain else named or None


def _is_named(text: str) -> bool:
    name, separator, _ = text.partition("=")
    return bool(separator) and "/" not in name.split(":", 1)[0] and not Path(text).exists()


def parse_bandwidth(text: str | None) -> float | str | None:
    """A number where it is one."""
    try:
        return None if text is None else float(text)
    except ValueError:
        return text


def parse_shared(given: dict[str, Any]) -> None:
    """Turn what was typed for the options of `network_options`, --store and --bandwidth into what functions take."""
    parse_networks(given)
    given["bandwidth"] = parse_bandwidth(given["bandwidth"])


def parse_networks(given: dict[str, Any]) -> None:
    """The same without --bandwidth."""
    parse_store(given)
    for name in ("weights", "model"):
        given[name] = parse_named(given[name], f"--{name}")


def parse_store(given: dict[str, Any]) -> None:
    """--store DIR, or --no-store."""
    if given.pop("no_store"):
        if given["store"] is not None:
            raise ArgumentError(
                "--no-store: cannot be combined with --store, which names a folder for features; use one"
            )
        given["store"] = False


def deliver(
    record: "PaperRecord",
    outputs: Outputs,
    *saves: Callable[[], None],
) -> None:
    """Write the files of a result, then print it: where one cannot be written, the others and the print still come.

    Of several processes the main one does.
    """
    if not current_processes().is_main:
        return
    failures: list[CmmdError] = []
    for save in (*outputs.writers(record), *saves):
        try:
            save()
        except CmmdError as error:
            failures.append(error)
    printed = outputs.text(record)
    if printed is not None:
        is_seen = sys.stdout is not None and sys.stdout.isatty()  # where a name in CSV could move the cursor
        click.echo(in_lines(printed.removesuffix("\n").split("\n")) if is_seen else printed, nl=False)
    else:
        _show(record)
    for failure in failures:
        raise failure


def _show(record: "PaperRecord") -> None:
    """The text of a record, fitted to the terminal."""
    from rich.console import Console

    from ..report.terminal import print_report

    print_report(record, Console(highlight=False), with_flags)


def say(sentences: Iterable[str]) -> None:
    """A line on stderr each."""
    for sentence in sentences:
        click.echo(printable(f"cmmd: {sentence}"), err=True)


def fitting(sentence: str) -> str:
    """The sentence in lines that fit the terminal, in one line where there is none."""
    from rich.console import Console

    from ..report.screen.cells import wrapped

    console = Console()
    return "\n".join(wrapped(sentence, console.width)) if console.is_terminal else sentence


def with_flags(text: str) -> str:
    """A sentence in which arguments are named as they are typed, in the command that is running."""
    return in_flags(text, click.get_current_context().find_root().command)


def command_line() -> str:
    """What was typed, for the provenance."""
    return shlex.join(["cmmd", *sys.argv[1:]])
