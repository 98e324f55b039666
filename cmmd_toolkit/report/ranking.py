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
    below = {(pair.better, pair.worse): pair for pair in order.pairs if pair.neighbours}
    score = "fd less bias" if order.metric == "fd" else order.metric
    rows = [("Place", "Generated", score, "95 % interval", "n", "Group", "Less the next (95 %)", "p")]
    for k, place in enumerate(order.places):
        pair = below.get((place.generated, order.places[min(k + 1, len(order.places) - 1)].generated))
        p = "" if pair is None else f"{pair.p_adjusted:.2g}"
        difference = "" if pair is None else interval_text(pair.interval, pair.standard_error)
        interval = interval_text(place.interval, place.standard_error)
        facts = (f"{place.score:.6g}", interval, f"{place.n_generated:,}", place.groups)
        rows.append((str(k + 1), place.generated, *facts, difference, p))
    return [f"Backbone: {order.backbone}", *align(rows, left=(1, 5))]


def _legend(ranking: "Ranking") -> str:
    text = (
        "Lower is closer to the reference. Sets that share a letter cannot be told apart at "
        f"{ranking.alpha:.0%}; p is two-sided, corrected for all pairs (Holm); the "
        "intervals are not corrected"
    )
    text += "; sets paired by picture." if ranking.paired else "."
    if any(order.metric == "fd" for order in ranking.orders):
        text += " " + BIAS_REMARK.replace("the value itself is biased upwards", "the bias is taken off the score too")
    return text
