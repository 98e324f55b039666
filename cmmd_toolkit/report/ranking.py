"""A ranking as plain text."""

from typing import TYPE_CHECKING

from ..common.text import align, interval_text, number_text, p_text
from .verdict import verdict_lines

if TYPE_CHECKING:
    from ..commands.rank import Order, Ranking

_BIAS = (
    "fd without bias: the Frechet distance with the bias of few pictures taken off, so less than what other tools "
    "print; the interval belongs to it."
)


def ranking_text(ranking: "Ranking") -> str:
    """One table for each backbone, the neighbours' tests, agreement, warnings and verdicts."""
    lines = [f"Reference: {ranking.reference} ({ranking.n_reference:,} pictures)"]
    for order in ranking.orders:
        lines += ["", *_order_lines(order)]
    lines += ["", *_legend(ranking)]
    lines += [f"{one} and {two}: rank correlation {tau:.2f} (Kendall)" for one, two, tau in ranking.agreement]
    lines += [f"warning: {warning}" for warning in ranking.warnings]
    lines += verdict_lines(ranking.verdicts)
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _order_lines(order: "Order") -> list[str]:
    below = {(pair.better, pair.worse): pair for pair in order.pairs if pair.neighbours}
    score = "fd without bias" if order.metric == "fd" else order.metric
    rows = [("Place", "Generated", score, "95 % interval", "n", "Group", "Less the next (95 %)", "p")]
    for k, place in enumerate(order.places):
        pair = below.get((place.generated, order.places[min(k + 1, len(order.places) - 1)].generated))
        p = "" if pair is None else p_text(pair.p_adjusted)
        difference = "" if pair is None else interval_text(pair.interval, pair.standard_error)
        interval = interval_text(place.interval, place.standard_error)
        facts = (number_text(place.score, place.standard_error), interval, f"{place.n_generated:,}", place.groups)
        rows.append((str(k + 1), place.generated, *facts, difference, p))
    return [f"Backbone: {order.backbone}", *align(rows, left=(1, 5))]


def _legend(ranking: "Ranking") -> list[str]:
    paired = "; sets paired by picture" if ranking.paired else ""
    lines = [
        "Lower is closer to the reference. Sets that share a letter cannot be told apart at "
        f"{100 * ranking.alpha:.3g} %.",
        "Less the next: this set's distance less that of the set below it, 95 % interval; below zero this set is "
        f"closer. p is two-sided, corrected for all pairs (Holm); the intervals are not corrected{paired}.",
    ]
    return [*lines, _BIAS] if any(order.metric == "fd" for order in ranking.orders) else lines
