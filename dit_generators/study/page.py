"""The study's tables, figure and page, from its results."""

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from cmmd_toolkit.common.text import number_text
from cmmd_toolkit.common.writing import replacing

from .scores import fd_texts, mmd_text, pairwise_verdict

# What the report published, for the reader's eye only: other pictures, other training, 32 samples.
PUBLISHED = {
    "FID": (246.90, 388.88),
    "CMMD, CLIP": (0.2812, 0.4435),
    "CMMD, SigLIP": (0.2527, 0.3986),
    "CMMD, ALIGN": (0.3326, 0.4735),
}


def write_report(results: Mapping[str, Any], folder: Path) -> Path:
    """Write tables.md, scores.png and index.html into the study's folder; returns the page."""
    scores, few = results["scores"], results["few"]
    table = score_table(scores, few)
    verdicts = [pairwise_verdict(scores, name, few) for name in backbones_of(scores)]
    with replacing(folder / "tables.md") as temporary:
        temporary.write_text("\n".join([*markdown(table), "", *(f"- {verdict}" for verdict in verdicts), ""]))
    if scores:
        draw_scores(scores, few, folder / "scores.png")
    with replacing(folder / "index.html") as temporary:
        temporary.write_text(_page(results, table, verdicts))
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


def backbones_of(scores: Sequence[Mapping[str, Any]]) -> list[str]:
    """Their names, in order."""
    return list(dict.fromkeys(score["backbone"] for score in scores))


def draw_scores(scores: Sequence[Mapping[str, Any]], few: int, target: Path) -> None:
    """A panel a backbone: MMD with its 95 % interval, and the spread of draws of a few samples behind it."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    names = backbones_of(scores)
    figure = Figure(figsize=(3.6 * len(names), 3.4), layout="constrained")
    FigureCanvasAgg(figure)
    for panel, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True):
        found = [score for score in scores if score["backbone"] == name]
        for place, score in enumerate(found):
            spread = [place + 0.25] * len(score["few_mmd"])
            panel.plot(spread, score["few_mmd"], "_", color="grey", alpha=0.4, label=f"{few} samples")
            low, high = score["mmd_interval"] or (score["mmd"], score["mmd"])
            reach = [[max(score["mmd"] - low, 0)], [max(high - score["mmd"], 0)]]
            panel.errorbar(place, score["mmd"], reach, fmt="o", capsize=4)
        panel.set_xticks(range(len(found)), [f"{score['model']}" for score in found])
        panel.set(title=name, xlim=(-0.5, len(found) - 0.2))
        panel.grid(axis="y", alpha=0.3)
    figure.supylabel("squared MMD, lower is closer")
    with replacing(target) as temporary:
        figure.savefig(temporary, format="png", dpi=110)


def _range(values: Sequence[float]) -> str:
    ordered = sorted(values)
    low, high = ordered[int(0.05 * (len(ordered) - 1))], ordered[int(0.95 * (len(ordered) - 1) + 0.5)]
    return f"{number_text(low, significant=3)} to {number_text(high, significant=3)}"


def _page(results: Mapping[str, Any], table: Sequence[Sequence[str]], verdicts: Sequence[str]) -> str:
    rows = [f"<tr>{''.join(f'<th>{escape(cell)}</th>' for cell in table[0])}</tr>"]
    rows += [f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in table[1:]]
    published = "".join(
        f"<tr><td>{escape(name)}</td><td>{full}</td><td>{swa}</td></tr>" for name, (full, swa) in PUBLISHED.items()
    )
    bench = results["bench"]
    share = 100 * bench["attention_share"]
    sheets = "".join(
        f"<figure><img src='samples/{name}.contact-sheet.png' alt='samples of the {name} model'>"
        f"<figcaption>{name}</figcaption></figure>"
        for name in results["sweeps"]
    )
    sweeps = "".join(
        f"<figure><img src='sweeps/{name}/sweep.png' alt='sweep of the {name} model'>"
        f"<figcaption>{name}</figcaption></figure>"
        for name in results["sweeps"]
    )
    return f"""<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Full against sliding-window attention</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; color: #222 }}
table {{ border-collapse: collapse; margin: 1rem 0 }}
td, th {{ border: 1px solid #ccc; padding: .3rem .6rem; text-align: left }}
img {{ max-width: 100%; image-rendering: pixelated }}
figure {{ display: inline-block; margin: .5rem; vertical-align: top }}
</style>
<h1>Full against sliding-window attention</h1>
<p>Two Diffusion Transformers, trained on {results["pictures"]} pictures with identical settings but for attention, and
{results["samples"]} samples of each from the same seeds.</p>
<h2>Scores</h2>
<table>{"".join(rows)}</table>
<ul>{"".join(f"<li>{escape(verdict)}</li>" for verdict in verdicts)}</ul>
<img src="scores.png" alt="scores with intervals">
<p>Dot and bar: all samples and the 95 % interval; the interval of FD belongs to the number without bias. Grey:
draws of {results["few"]} samples a side.</p>
<h2>Samples</h2>{sheets}
<h2>Guidance and steps</h2>{sweeps}
<h2>Attention on this machine</h2>
<p>{escape(bench["model"])}, {escape(bench["device"])}: attention is {share:.2g} % of the multiply-adds.</p>
<img src="bench.png" alt="time of attention">
<h2>What the report published</h2>
<table><tr><th>metric, 32 samples</th><th>full</th><th>swa</th></tr>{published}</table>
<p>Other training, another sampler and 32 samples: compare the order, not the values.</p>
</html>
"""
