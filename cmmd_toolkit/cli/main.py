"""The `cmmd` command. Heavy imports happen inside the commands, so that --help is instant."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import click

from ..commands.limits import ABOVE, BELOW, FORM, parse_limit
from ..common.completion import FILE, names
from ..common.cost import CostWarning
from ..common.examples import examples
from ..common.freed_memory import keep_freed_memory
from ..common.options import choice, flag, text
from ..common.outputs import Outputs, check_places, output_options
from ..common.processes import current_processes
from ..common.shell import Shell
from ..common.streams import kept_for_results
from ..common.text import printable
from ..errors import ArgumentError
from ..sets.metric_names import ALL, DEFAULTS, METRICS
from .cache import cache
from .explain import explain
from .options import (
    bandwidth_option,
    command_line,
    deliver,
    fitting,
    mmd_method_options,
    network_options,
    parse_networks,
    parse_shared,
    picture_options,
    say,
)
from .page import html_option, page_from
from .rank import plan, rank
from .watch import watch

if TYPE_CHECKING:
    from ..features.feature_set import FeatureSet

THRESHOLD_EXCEEDED = 1
_DEFAULT = f"[default: {' and '.join(DEFAULTS)}]"
_METRIC_HELP = f"Repeatable: {', '.join(METRICS)}, one of another package, or {ALL}; see `cmmd metrics`. {_DEFAULT}"


class CmmdShell(Shell):
    """`cmmd`, which also says what takes long before it begins."""

    shown_warnings = (CostWarning,)

    def main(self, args: Sequence[str] | None = None, *rest: Any, **extra: Any) -> NoReturn:
        if args is None:
            keep_freed_memory()
        super().main(args, *rest, **extra)


@click.group(
    cls=CmmdShell,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog=examples(
        "cmmd demo                        # try it offline",
        "cmmd compare real/ fake/         # CMMD and Frechet distance on CLIP",
        "cmmd compare real/ a/ b/ --backbone inception --metric fid",
        "cmmd rank real/ a/ b/ c/         # which differences are real",
        "cmmd plan real/ a/               # how many pictures detect a difference",
        "cmmd explain real/ fake/ --sheet explain.png    # which pictures cause it",
        "cmmd watch real/ looks/ --stop-when worse        # while a model trains",
        "cmmd embed real/ --backbone clip --out real.safetensors",
    ),
)
@click.version_option(package_name="cmmd-toolkit", message="%(package)s %(version)s")
def main() -> None:
    """How close is a set of generated images to real ones?"""


main.add_command(rank)
main.add_command(explain)
main.add_command(plan)
main.add_command(watch)
main.add_command(cache)


@main.command(
    short_help="Score generated sets against a reference.",
    epilog=examples(
        "cmmd compare real/ fake/ --backbone mini          # offline",
        "cmmd compare real/ a/ b/ --backbone clip --backbone dinov2",
        "cmmd compare real/ fake/ --recipe pytorch-fid     # exactly its FID",
        "cmmd compare real/ fake/ --test joint             # do they differ?",
        "cmmd compare real/ fake/ --metric all --per-class --json report.json",
        "cmmd compare real/ a/ b/ --latex scores.tex --figure scores.pdf",
        "cmmd compare real/ fake/ --fail-above fd=0.3      # exit code 1 above",
    ),
)
@click.argument("reference", type=FILE)
@click.argument("generated", nargs=-1, required=True, type=FILE)
@network_options
@text("--metric", multiple=True, metavar="NAME", help=_METRIC_HELP, shell_complete=names(lambda: (*METRICS, ALL)))
@choice(
    "--test",
    ["joint"],
    help="joint: do the sets differ at all? One exact p-value over all backbones and many widths of kernel.",
)
@flag("--per-class", help="Also score each class folder (dog/ on both sides) by itself.")
@bandwidth_option(", or median-pooled (of both sets)")
@mmd_method_options
@picture_options
@output_options
@html_option
@text(ABOVE, multiple=True, metavar=FORM, help="Repeatable: exit with code 1 when a result is above.")
@text(BELOW, multiple=True, metavar=FORM, help="The same where higher is better, and for p-value and joint.")
def compare(reference: str, generated: tuple[str, ...], **given: Any) -> int:
    """Score GENERATED sets against REFERENCE.

    A set is a folder, a .zip or archive.zip:inner/folder, a .tar or .tar.gz or several ('train-{000..099}.tar'), a
    .parquet or file.parquet:column, a .txt with one path per line, an .npy or .npz batch of uint8 images, any of these
    at s3://, gs://, hf:// or https://, a file of `cmmd embed`, or an .npy of features (floats, N x D); statistics may
    also be a pytorch-fid .npz (docs/inputs.md). The table says for each metric whether lower or higher is better.
    --fail-above and --fail-below test the value as printed, or with :corrected the value without bias; with
    several backbones, name one (mini:mmd=0.02). Exit codes: 0 done, 1 beyond --fail-above or --fail-below, 2 bad
    input, 130 interrupted.
    """
    computed = given["metric"], given["test"]
    limits = [parse_limit(ABOVE, text, *computed) for text in given.pop("fail_above")]
    limits += [parse_limit(BELOW, text, *computed) for text in given.pop("fail_below")]
    parse_shared(given)
    outputs = Outputs.taken_from(given)
    page = page_from(given)

    from ..commands.compare import compare as run
    from ..common.progress import show_progress

    with kept_for_results():
        report = run(reference, list(generated), progress=show_progress, command=command_line(), limits=limits, **given)
    deliver(report, outputs, *page(report))
    exceeded = [line for limit in limits for line in limit.failures(report)]
    say(exceeded)
    return THRESHOLD_EXCEEDED if exceeded else 0


@main.command(
    short_help="Write features or statistics to a file.",
    epilog=examples(
        "cmmd embed real/ --backbone clip --out real.safetensors",
        "cmmd embed real/ --backbone clip --backbone siglip --out real.safetensors",
        "cmmd embed real/ --backbone inception --out real.npz    # for pytorch-fid",
    ),
)
@click.argument("input", metavar="INPUT", type=FILE)
@network_options
@picture_options
@text("--out", required=True, metavar="FILE", type=FILE, help=".safetensors, or .npz (mu, sigma) for pytorch-fid.")
@flag("--stats", help="Write mean and covariance only; .npz always does.")
def embed(input: str, out: str, stats: bool, **given: Any) -> int:
    """Write the features of INPUT, or their mean and covariance, to FILE for later comparisons.

    With several --backbone the pictures are decoded once, and FILE, a .safetensors, holds the features of all: `cmmd
    compare` then scores on all of them, or on the --backbone that is named.
    """
    from ..common.files import check_writable, path_of

    target = path_of(out)
    check_places({"--out": out}, [input])
    check_writable(target)
    if target.suffix.lower() not in (".safetensors", ".npz"):
        raise ArgumentError(f"{out}: expected a name that ends in .safetensors or .npz")
    from ..features.stored_file import check_told

    check_told(target, given["precision"])
    as_statistics, names = stats or target.suffix.lower() == ".npz", given.pop("backbone")
    if as_statistics and len(set(names)) > 1:
        raise ArgumentError(
            f"{out}: a file of mean and covariance is of one backbone, got {', '.join(names)}; write a file for each, "
            "or features of all into a .safetensors"
        )

    from ..commands.compare import embed as run
    from ..common.progress import show_progress

    parse_networks(given)
    with kept_for_results():
        every = run(input, backbone=list(names), progress=show_progress, **given)
    features = next(iter(every.values()))
    if current_processes().is_main:
        (features.statistics() if as_statistics else every).save(target)
    kind = "mean and covariance of " if as_statistics else ""
    widths = [f"{backbone} {own.dim} dimensions" for backbone, own in every.items()]
    parts = f"{features.dim} dimensions" if len(every) == 1 else ", ".join(widths)
    click.echo(printable(f"{target}: {kind}{len(features)} pictures, {parts}"))
    say(_precision_lines(every))
    skipped = features.provenance["skipped"]
    if skipped:
        say([f"{skipped} unusable pictures were skipped"])
    return 0


def _precision_lines(features: "FeatureSet") -> list[str]:
    """What less than fp32 changed in the features of each backbone, where it was measured."""
    from ..common.text import number_text

    lines = []
    for backbone, own in features.items():
        if (found := own.provenance.get("precision_change")) is not None:
            share = number_text(100 * found["share_of_spread"], significant=2)
            moved = f"{own.provenance['precision']} instead of fp32 on {backbone} changes features by {share} %"
            lines.append(f"{moved} of their spread, for {found['pictures']} pictures")
    return lines


@main.command(
    short_help="Try it on real pictures, offline.", epilog=examples("cmmd demo", "cmmd demo --html demo.html")
)
@text("--json", "json_file", default="cmmd-demo.json", metavar="FILE", help="The report; - is stdout.")
@html_option
def demo(json_file: str, **given: Any) -> int:
    """Score real pictures offline, in seconds: handwritten digits against copies with known faults."""
    outputs = Outputs({"json": json_file})
    outputs.check()
    check_places({"--json": json_file, **({"--html": given["html_file"]} if given["html_file"] else {})}, [])
    page = page_from(given)

    from ..common.progress import show_progress
    from .demo import explanation, run_demo

    report = run_demo(show_progress, command_line(), **given)
    deliver(report, outputs, *page(report))
    if outputs.on_stdout is None:
        lines = [*explanation(report).splitlines(), f"The full report is in {json_file}. On your own folders:"]
        click.echo("\n" + "\n".join(fitting(line) for line in lines))
        click.echo("    cmmd compare real/ fake/ --backbone mini")
    return 0


@main.command(short_help="List backbones and what can run here.", epilog=examples("cmmd backbones"))
def backbones() -> int:
    """List every backbone, its dimensions, where its weights come from, and whether it can run here and now."""
    from .doctor import print_backbones

    print_backbones()
    return 0


@main.command(short_help="List metrics and how each is read.", epilog=examples("cmmd metrics"))
def metrics() -> int:
    """List every metric, which way is better and what it needs: means and covariances, rows, or class logits."""
    from .doctor import print_metrics

    print_metrics()
    return 0


@main.command(short_help="Show versions, devices, caches, weights.", epilog=examples("cmmd doctor"))
def doctor() -> int:
    """Show versions, devices, threads, cache folders and which weights are found."""
    from .doctor import print_doctor

    print_doctor()
    return 0
