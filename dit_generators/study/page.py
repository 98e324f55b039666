"""The study's tables, figure and page, from its results."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cmmd_toolkit.common.text import number_text
from cmmd_toolkit.common.writing import replacing

from ..bench.results import HEADINGS, left_out, rows_of
from .scores import backbones_of, fd_texts, mmd_text, pairwise_verdict

if TYPE_CHECKING:
    from cmmd_toolkit.report.tables import Table

# What the report published, for the reader's eye only: other pictures, other training, 32 samples.
PUBLISHED = {
    "FID": (246.90, 388.88),
    "CMMD, CLIP": (0.2812, 0.4435),
    "CMMD, SigLIP": (0.2527, 0.3986),
    "CMMD, ALIGN": (0.3326, 0.4735),
}
_BLUE = "#0072b2"  # Okabe and Ito's

ONE_RUN = (
    "One training run of each: the p-values are about these two networks, not about two kinds of attention; five "
    "runs of each or more compare those."
)


def write_report(results: Mapping[str, Any], folder: Path) -> Path:
    """Write tables.md, scores.png and index.html into the study's folder; returns the page."""
    scores, few = results["scores"], min(results["few"], results["samples"])  # no draw holds more than there are
    table = score_table(scores, few)
    pairs, over_runs = [pairwise_verdict(scores, name, few) for name in backbones_of(scores)], results["methods"]
    verdicts = [found["text"] for found in over_runs] + [
        f"Run 1 alone, {text}" if over_runs else text for text in pairs
    ]
    verdicts += [] if over_runs else [ONE_RUN]
    with replacing(folder / "tables.md") as temporary:
        temporary.write_text("\n".join([*markdown(table), "", *(f"- {verdict}" for verdict in verdicts), ""]))
    if scores:
        draw_scores(scores, few, folder / "scores.png")
    with replacing(folder / "index.html") as temporary:
        temporary.write_text(_page({**results, "few": few}, table, verdicts, folder))
    return folder / "index.html"


def score_table(scores: Sequence[Mapping[str, Any]], few: int) -> list[list[str]]:
    """Rows of text, the header first."""
    spread = f"of {few}, 5 to 95 %"
    distances = ["FD, as other tools print it", "FD without bias (95 %)", f"FD {spread}"]
    rows = [["backbone", "model", "samples", "squared MMD (95 %)", f"MMD {spread}", *distances]]
    for score in scores:
        ranges = [_range(score[name]) for name in ("few_mmd", "few_fd")]
        names = [score["backbone"], score["model"], str(score["samples"])]
        rows.append([*names, mmd_text(score), ranges[0], *fd_texts(score), ranges[1]])
    return rows


def markdown(table: Sequence[Sequence[str]]) -> list[str]:
    """A Markdown table."""
    lines = ["| " + " | ".join(row) + " |" for row in table]
    return [lines[0], "|" + "---|" * len(table[0]), *lines[1:]]


def draw_scores(scores: Sequence[Mapping[str, Any]], few: int, target: Path) -> None:
    """A panel a backbone: MMD with its 95 % interval, and the spread of draws of a few samples behind it."""
    from matplotlib.figure import Figure

    names = backbones_of(scores)
    figure = Figure(figsize=(3.6 * len(names), 3.4), layout="constrained")
    for panel, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True):
        found = [score for score in scores if score["backbone"] == name]
        for place, score in enumerate(found):
            spread = [place + 0.25] * len(score["few_mmd"])
            panel.plot(spread, score["few_mmd"], "_", color="grey", alpha=0.4, label=f"draws of {few} samples")
            low, high = score["mmd_interval"] or (score["mmd"], score["mmd"])
            reach = [[max(score["mmd"] - low, 0)], [max(high - score["mmd"], 0)]]
            panel.errorbar(place, score["mmd"], reach, fmt="o", capsize=4, color=_BLUE, label="all, with 95 % interval")
        tilt = {"rotation": 45, "ha": "right"} if len(found) > 4 else {}
        panel.set_xticks(range(len(found)), [f"{score['model']}" for score in found], **tilt)
        panel.set(title=name, xlim=(-0.5, len(found) - 0.2))
        panel.grid(axis="y", alpha=0.3)
    known = dict(zip(*reversed(figure.axes[0].get_legend_handles_labels()), strict=True))
    figure.legend(known.values(), known, loc="outside lower center", ncols=min(len(known), len(names)))
    figure.supylabel("squared MMD, lower is closer")
    with replacing(target) as temporary:
        figure.savefig(temporary, format="png", dpi=110)


def _range(values: Sequence[float]) -> str:
    ordered = sorted(values)
    low, high = ordered[int(0.05 * (len(ordered) - 1))], ordered[int(0.95 * (len(ordered) - 1) + 0.5)]
    return f"{number_text(low, significant=3)} to {number_text(high, significant=3)}"


def _page(results: Mapping[str, Any], table: Sequence[Sequence[str]], verdicts: Sequence[str], folder: Path) -> str:
    """The page as HTML, with every picture in it."""
    from cmmd_toolkit.report.page.render import data_address, render
    from cmmd_toolkit.report.tables import Table

    numbers = [[name, *(f"{value:g}" for value in values)] for name, values in PUBLISHED.items()]
    said = "Other training, another sampler and 32 samples: compare the order, not the values."
    names = [name for name in _pictures_of(results["sweeps"]) if (folder / name).exists()]
    context = {
        "results": results,
        "verdicts": verdicts,
        "scores": Table("", table[0], table[1:], (0, 1), ""),
        "left_out": " ".join(left_out(results["bench"]["results"])),
        "whole_model": whole_model_table(results.get("whole_model")),
        "published": Table("", ("metric, 32 samples", "full", "swa"), numbers, (0,), said),
        "pictures": {name: data_address((folder / name).read_bytes(), "png") for name in names},
    }
    return render("page.html.jinja", context, folder=Path(__file__).parent)


def whole_model_table(found: Mapping[str, Any] | None) -> "Table | None":
    """Time and memory of each attention in the whole model; None where that was not measured."""
    from cmmd_toolkit.report.tables import Table

    if not found or not found["results"]:
        return None
    limit = f"At most {found['minutes']:g} min, {found['threads']} threads, {found['device']}."
    return Table(
        "",
        HEADINGS[1:],
        [row[1:] for row in rows_of(found["results"])],
        (0, 2),
        " ".join([limit, *left_out(found["results"])]),
    )


def _pictures_of(models: Iterable[str]) -> list[str]:
    sheets = [name for own in models for name in (f"samples/{own}.contact-sheet.png", f"sweeps/{own}/sweep.png")]
    return ["scores.png", "bench.png", *sheets]
