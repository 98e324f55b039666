"""A ranking as plain text."""

from typing import TYPE_CHECKING

from .terminal import BIAS_REMARK
from .text import align, interval_text

if TYPE_CHECKING:
    from ..ranking import Order, Ranking


def ranking_text(ranking: "Ranking") -> str:
    """One table for each backbone, the neighbours' tests, agreement and warnings."""
    lines = [f"Reference: {ranking.reference} ({ranking.n_reference:,} pictures)"]
    for order in ranking.orders:
        lines += ["", *_order_lines(order)]
    lines += ["", _legend(ranking)]
    lines += [f"{one} and {two}: rank correlation {tau:.2f} (Kendall)" for one, two, tau in ranking.agreement]
    lines += [f"warning: {warning}" for warning in ranking.warnings]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _order_lines(order: "Order") -> list[str]:
    below = {pair.better: pair for pair in order.pairs if pair.neighbours}
    rows = [("Place", "Generated", order.metric, "95 % interval", "n", "Group", "p against the next")]
    for k, place in enumerate(order.places):
        pair = below.get(place.generated)
        p = "" if pair is None else f"{pair.p_adjusted:.2g}"
        interval = interval_text(place.interval, place.standard_error)
        score = f"{place.score:.6g}"
        rows.append((str(k + 1), place.generated, score, interval, f"{place.n_generated:,}", place.groups, p))
    return [f"Backbone: {order.backbone}", *align(rows, left=(1, 5))]


def _legend(ranking: "Ranking") -> str:
    text = (
        "Lower is closer to the reference. Sets that share a letter cannot be told apart at "
        f"{ranking.alpha:.0%}; p is two-sided, corrected for all pairs (Holm)"
    )
    text += "; sets paired by picture." if ranking.paired else "."
    if any(order.metric == "fd" for order in ranking.orders):
        text += " " + BIAS_REMARK.replace("the value itself is biased upwards", "the bias is taken off the score too")
    return text
