"""`cmmd rank` and `cmmd plan`."""

from typing import Any

import click

from ..common.completion import FILE
from ..common.examples import examples
from ..common.labels import short_labels
from ..common.options import flag, number, text
from ..common.outputs import Outputs, output_options
from ..common.streams import kept_for_results
from ..errors import ArgumentError
from .options import (
    bandwidth_option,
    command_line,
    deliver,
    network_options,
    parse_shared,
    picture_options,
    say,
)
from .page import html_option, page_from

NOT_SO = 1


@click.command(
    short_help="Order several sets, and say which differences are real.",
    epilog=examples(
        "cmmd rank real/ a/ b/ c/ --backbone mini",
        "cmmd rank real/ a/ b/ --backbone mini --backbone clip --metric fd",
        "cmmd rank real/ a/ b/ --paired --fail-unless 'b<a'    # for scripts",
    ),
)
@click.argument("reference", type=FILE)
@click.argument("generated", nargs=-1, required=True, type=FILE)
@text("--metric", default="mmd", metavar="NAME", help="Metric to rank by: mmd (cmmd) or fd (fid).")
@flag("--paired", help="Pictures with the same name were made from the same seed in every set.")
@number("--alpha", default=0.05, help="Significance level of the groups.")
@bandwidth_option()
@network_options
@picture_options
@output_options
@html_option
@text(
    "--fail-unless",
    multiple=True,
    metavar="A<B",
    help="Repeatable: exit with code 1 unless A is significantly closer (on all backbones at once).",
)
def rank(reference: str, generated: tuple[str, ...], fail_unless: tuple[str, ...], **given: Any) -> int:
    """Put the GENERATED sets in order of their distance to REFERENCE.

    Each set has an interval, and the p-value of the relative test against the next set, corrected for the number of
    pairs (--json and --html have all pairs). Sets that share a letter cannot be told apart. With several backbones
    there is also an order by their average, and a test of what holds on every one of them. Exit codes: 0 done, 1
    --fail-unless does not hold, 2 bad input.
    """
    wanted = [_parse_order(text, generated) for text in fail_unless]
    parse_shared(given)
    outputs = Outputs.taken_from(given)
    page = page_from(given)

    from ..commands.rank import rank as run
    from ..common.progress import show_progress

    with kept_for_results():
        ranking = run(reference, list(generated), progress=show_progress, command=command_line(), **given)
    deliver(ranking, outputs, *page(ranking))
    failed = [sentence for holds, sentence in (ranking.holds(*pair) for pair in wanted) if not holds]
    say(failed)
    return NOT_SO if failed else 0


def _parse_order(text: str, generated: tuple[str, ...]) -> tuple[str, str]:
    better, separator, worse = (part.strip() for part in text.partition("<"))
    short = short_labels(generated)
    if not separator or better == worse or not {better, worse} <= {*short, *short.values()}:
        known = ", ".join(short.values())
        raise ArgumentError(f"--fail-unless {text}: expected A<B with two of the sets ({known})")
    return better, worse


@click.command(
    short_help="Estimate how many pictures detect a difference of a given size.",
    epilog=examples(
        "cmmd plan real/ a/ --difference 10%    # two models like a/",
        "cmmd plan real/ a/ b/                  # these two models",
        "cmmd plan report.json                  # from `cmmd compare --json`",
    ),
)
@click.argument("pilot", type=FILE)
@click.argument("generated", nargs=-1, type=FILE)
@text(
    "--difference",
    "differences",
    multiple=True,
    metavar="D",
    help="Repeatable: a number, or a share such as 10% of the distance (with two sets, of their difference). "
    "[default: 50%, 20%, 10%, 5%; with two sets, first the observed difference]",
)
@number("--power", default=0.8, help="Probability of detecting the difference.")
@number("--alpha", default=0.05, help="Level of the two-sided test.")
@text("--metric", metavar="NAME", help="mmd (cmmd) or fd (fid). [default: mmd; for a report, all in it]")
@flag("--paired", help="With two sets: pictures with the same name were made from the same seed.")
@bandwidth_option()
@network_options
@picture_options
@output_options
@html_option
def plan(pilot: str, generated: tuple[str, ...], **given: Any) -> int:
    """Estimate how many pictures a generated set needs.

    PILOT is the reference, followed by one generated set (to plan for two models like it) or two (to plan for these
    two); or PILOT alone is a report of `cmmd compare --json`.
    """
    parse_shared(given)
    outputs = Outputs.taken_from(given)
    page = page_from(given, with_exhibit=False)

    from ..commands.plan import plan as run
    from ..common.progress import show_progress

    given["differences"] = given["differences"] or None
    with kept_for_results():
        found = run(pilot, list(generated), progress=show_progress, command=command_line(), **given)
    deliver(found, outputs, *page(found))
    return 0
