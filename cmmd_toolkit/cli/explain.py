"""`cmmd explain`."""

from typing import Any

import click

from ..common.completion import FILE
from ..common.examples import examples
from ..common.options import text
from ..common.outputs import Outputs, output_options
from ..common.streams import kept_for_results
from ..errors import ArgumentError, InputError
from .options import (
    bandwidth_option,
    command_line,
    deliver,
    network_options,
    parse_shared,
    picture_options,
)
from .page import html_option, page_from


@click.command(
    short_help="Show which pictures cause the distance.",
    epilog=examples(
        "cmmd explain real/ fake/ --backbone mini",
        "cmmd explain real/ fake/ --top 32 --sheet explain.png --csv pictures.csv",
        "cmmd explain real/ a/ b/ --backbone mini --sheet difference.png",
    ),
)
@click.argument("reference", type=FILE)
@click.argument("generated", nargs=-1, required=True, type=FILE)
@text("--top", type=click.IntRange(min=1), default=16, metavar="N", help="Pictures per list.")
@text(
    "--modes",
    type=click.IntRange(min=0, max=50),
    metavar="K",
    help="Kinds of pictures whose shares differ, 0 for none. [default: 4, of sets of 100 pictures or more]",
)
@network_options
@bandwidth_option(", or median-pooled (of both sets)")
@picture_options
@text("--sheet", "sheet_file", metavar="FILE.png", type=FILE, help="Write the listed pictures as a contact sheet.")
@output_options
@html_option
def explain(reference: str, generated: tuple[str, ...], sheet_file: str | None, **given: Any) -> int:
    """Show which pictures cause the squared MMD of GENERATED to REFERENCE, or the difference of two GENERATED sets.

    Three lists for each backbone: over-represented generated pictures (far from the reference, crowded by generated
    ones) and under-represented reference pictures (where generated ones are rare), by the witness function of MMD;
    and strays, the generated pictures farthest from every reference one, too few for MMD to notice. Modes are kinds of
    pictures whose shares differ, found on one half of the pictures and counted on the other.

    With two GENERATED sets: the pictures in each whose removal would bring it closest to the reference, and the
    reference pictures that one covers better than the other.
    """
    if len(generated) > 2:
        raise ArgumentError(f"expected one or two generated sets, got {len(generated)}; name two of them")
    parse_shared(given)
    outputs = Outputs.taken_from(given)
    page = page_from(given)
    if sheet_file is not None:
        _check_sheet(sheet_file, (reference, *generated))

    from ..commands.contrast import contrast
    from ..commands.explain import explain as run
    from ..common.progress import show_progress

    known: dict[str, Any] = {"progress": show_progress, "command": command_line(), **given}
    of_two = len(generated) == 2
    if of_two and known.pop("modes"):
        raise ArgumentError("--modes: are of one generated set; leave it out, or explain each set by itself")
    with kept_for_results():
        found = contrast(reference, *generated, **known) if of_two else run(reference, *generated, **known)
    sheet = [] if sheet_file is None else [lambda: found.save_sheet(sheet_file)]
    deliver(found, outputs, *sheet, *page(found))
    return 0


def _check_sheet(name: str, sets: tuple[str, ...]) -> None:
    """Before hours of work: what is written after them."""
    from ..common.files import check_writable, path_of
    from ..common.urls import is_url
    from ..features.stored_file import is_stored
    from ..report.sheet import check_sheet_name

    check_sheet_name(path_of(name))
    check_writable(path_of(name))
    if all(not is_url(own) and path_of(own).is_file() and is_stored(path_of(own)) for own in sets):
        raise InputError(
            f"{name}: not written: stored features hold no pictures; give the folders, or leave out --sheet"
        )
