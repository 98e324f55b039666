"""The learning curve of a run: loss, and score with its standard error where scores are taken."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cmmd_toolkit.common.writing import replacing

from .folder import is_number


def draw_curve(entries: Sequence[dict[str, Any]], backbone: str, target: Path, learned: str = "noise") -> None:
    """Write a PNG: loss, of what is `learned` (left), and squared MMD (right, bars of one standard error) by step."""
    from matplotlib.figure import Figure

    losses = [entry for entry in entries if is_number(entry.get("mse"))]
    scores = [entry for entry in entries if is_number(entry.get("score"))]
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot([e["step"] for e in losses], [e["mse"] for e in losses], marker=".")
    left.set(xlabel="step", ylabel=f"mean squared error of the {learned}", yscale="log")
    right.errorbar(
        [e["step"] for e in scores],
        [e["score"] for e in scores],
        [abs(e["standard_error"]) if is_number(e.get("standard_error")) else 0.0 for e in scores],
        marker="o",
        capsize=3,
    )
    right.set(xlabel="step", ylabel=f"squared MMD on {backbone}, lower is better")
    for panel in (left, right):
        panel.grid(alpha=0.3)
    with replacing(target) as temporary:
        figure.savefig(temporary, format="png", dpi=110)
