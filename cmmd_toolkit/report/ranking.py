"""A ranking, and its plain text."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from ..common.text import align, in_lines, interval_text, number_text, p_phrase, p_text
from ..errors import ArgumentError
from ..inference.everywhere import EveryTest
from ..inference.ordering import PairTest
from .document import IF_KNOWN, NOT_SAVED
from .exhibit import NOT_ASKED, Exhibit
from .order import Joint, Order
from .paper import orders
from .paper.record import Paper, PaperRecord
from .sound import check_known, check_level, check_sets, require
from .verdict import Verdict, joined, verdict_lines

_BIAS = (
    "fd without bias: the Frechet distance minus its bias from a limited number of pictures, so less than what other "
    "tools print; the interval belongs to it."
)


@dataclass(frozen=True)
class Ranking(PaperRecord):
    """What `rank` returns.

    Attributes:
        reference, n_reference: the reference set.
        orders: one for each backbone.
        agreement: Kendall's rank correlation of each pair of backbones, -1 to 1.
        alpha: the level of the groups; the chance of any wrong split under one backbone.
        paired: whether pictures with the same name were treated as sharing a seed.
        warnings, sets, provenance: as in `Report`.
        verdicts: one for each backbone, in words.
        joint: what several backbones say together; None for a single one, or where a warning says why not.
        exhibit: as in `Report`.
    """

    kind: ClassVar[str] = "ranking"
    schema_version: ClassVar[int] = 2
    paper: ClassVar[Paper] = orders

    reference: str
    n_reference: int
    orders: tuple[Order, ...]
    agreement: tuple[tuple[str, str, float], ...]
    alpha: float
    paired: bool
    warnings: tuple[str, ...]
    sets: tuple[Mapping[str, Any], ...]
    provenance: Mapping[str, Any] = field(compare=False)
    verdicts: tuple[Verdict, ...] = ()
    joint: Joint | None = field(default=None, metadata=IF_KNOWN)
    exhibit: Exhibit | str = field(default=NOT_ASKED, repr=False, compare=False, metadata=NOT_SAVED)

    def holds(self, better: str, worse: str) -> tuple[bool, str]:
        """Whether `better` is closer than `worse` under every backbone, significantly; and a sentence."""
        found = [
            (order.backbone, pair)
            for order in self.orders
            for pair in order.pairs
            if {pair.better, pair.worse} == {_known(self, better), _known(self, worse)}
        ]
        for backbone, pair in found:
            if pair.better != _known(self, better):
                return False, f"on {backbone} {worse} scored closer than {better} ({p_phrase(pair.p_adjusted)})"
            if pair.p_adjusted >= self.alpha:
                return (
                    False,
                    f"on {backbone} {better} is not significantly closer than {worse} ({p_phrase(pair.p_adjusted)})",
                )
        for test in () if self.joint is None else self.joint.everywhere:
            asked = (test.better, test.worse) == (_known(self, better), _known(self, worse))
            if asked and test.p_adjusted >= self.alpha:
                sure = p_phrase(test.p_adjusted)
                return False, f"{better} is not significantly closer than {worse} on all backbones at once ({sure})"
        return True, f"{better} is closer than {worse} on {', '.join(backbone for backbone, _ in found)}"

    @property
    def every_order(self) -> tuple[Order, ...]:
        """The orders of the backbones, and that of the average."""
        return self.orders if self.joint is None else (*self.orders, self.joint.average)

    def is_average(self, order: Order) -> bool:
        """Whether an order is that of the average."""
        return self.joint is not None and order is self.joint.average

    def order_title(self, order: Order) -> str:
        """Whose order it is."""
        joint = self.joint if self.is_average(order) else None
        return f"Backbone: {order.backbone}" if joint is None else f"Average over {joined(joint.backbones)}"

    def score_name(self, order: Order) -> str:
        """What the sets are ordered by."""
        score = "fd without bias" if order.metric == "fd" else order.metric
        return f"{score} / spread" if self.is_average(order) else score

    def every_test(self, order: Order, pair: PairTest | None) -> EveryTest | None:
        """What holds of a pair on every backbone; None but for pairs of the average."""
        if self.joint is None or not self.is_average(order) or pair is None:
            return None
        return next(t for t in self.joint.everywhere if (t.better, t.worse) == (pair.better, pair.worse))

    def joint_notes(self) -> tuple[str, ...]:
        """How the average and what holds on every backbone are read."""
        if self.joint is None:
            return ()
        metric = self.orders[0].metric
        spread = "trace of its covariance" if metric == "fd" else "1 minus its mean kernel"
        return (
            f"Average: of {metric} divided by the spread of the reference on each backbone ({spread}), so that units "
            "do not matter; its p-values are corrected for all pairs by the largest of their correlated statistics.",
            "p, every: that this set is closer than the one below it on every backbone, the largest of the backbones' "
            "p-values, which needs no correction for their number; corrected for all pairs (Holm).",
        )

    def check(self) -> None:
        """See `Document.check`."""
        require(bool(self.orders), "orders", "one or more")
        check_level(self.alpha, "alpha")
        check_sets(self.sets)
        sets = [place.generated for place in self.orders[0].places]
        for order in self.every_order:
            names = sorted(place.generated for place in order.places)
            require(bool(names) and names == sorted(set(sets)), "orders", "the same sets, each once")
            check_known({name for own in order.pairs for name in (own.better, own.worse)}, sets, "orders.pairs")
        if self.joint is not None:
            tested = [(own.better, own.worse) for own in self.joint.everywhere]
            every = [(own.better, own.worse) for own in self.joint.average.pairs]
            require(tested == every, "joint.everywhere", "the pairs of the average")

    def remarks(self) -> list[str]:
        """See `PaperRecord.remarks`."""
        joint = () if self.joint is None else self.joint.texts
        return [*(verdict.text for verdict in self.verdicts), *joint, *super().remarks()]

    def __str__(self) -> str:
        lines = [f"Reference: {self.reference} ({self.n_reference:,} pictures)"]
        for order in self.every_order:
            lines += ["", self.order_title(order), *align(order_rows(self, order), left=(1, 5))]
        lines += ["", *ranking_notes(self)]
        lines += [f"warning: {warning}" for warning in self.warnings]
        return in_lines([*lines, *verdict_lines(self.verdicts), *joint_lines(self)])


def _known(ranking: Ranking, name: str) -> str:
    """The short name of a set that was named in full or in short."""
    names = [place.generated for place in ranking.orders[0].places]
    short = name if name in names else Path(name).name
    if short not in names:
        raise ArgumentError(f"{name}: no such set in this ranking; the sets are {', '.join(names)}")
    return short


def joint_lines(ranking: "Ranking") -> list[str]:
    """What several backbones say together, under a heading."""
    if ranking.joint is None:
        return []
    heading = f"Verdict of {joined(ranking.joint.backbones)} together, at {ranking.alpha:.3g}:"
    return ["", heading, *ranking.joint.texts]


def order_rows(ranking: "Ranking", order: "Order") -> list[tuple[str, ...]]:
    """The sets of a backbone as texts, the headings first."""
    more = ("p, every",) if ranking.is_average(order) else ()
    score = ranking.score_name(order)
    rows: list[tuple[str, ...]] = [
        ("Place", "Generated", score, "95 % interval", "n", "Group", "Difference to next (95 %)", "p", *more)
    ]
    for k, place in enumerate(order.places):
        pair = orders.pair_with_next(order, k)
        p = "" if pair is None else p_text(pair.p_adjusted)
        difference = "" if pair is None else interval_text(pair.interval, pair.standard_error)
        interval = interval_text(place.interval, place.standard_error)
        facts = (number_text(place.score, place.standard_error), interval, f"{place.n_generated:,}", place.groups)
        test = ranking.every_test(order, pair)
        every = ("" if test is None else p_text(test.p_adjusted),) if more else ()
        rows.append((str(k + 1), place.generated, *facts, difference, p, *every))
    return rows


def ranking_notes(ranking: "Ranking") -> list[str]:
    """How the table is read, and whether the backbones agree."""
    paired = "; sets paired by picture" if ranking.paired else ""
    lines = [
        "Lower is closer to the reference. Sets that share a letter cannot be told apart at "
        f"{100 * ranking.alpha:.3g} %.",
        "Difference to next: this set's distance minus that of the set below it, 95 % interval; below zero this set is "
        f"closer; not corrected for the number of pairs{paired}.",
        "p: of this set against the one below it; two-sided, corrected for all pairs (Holm).",
    ]
    is_fd = any(order.metric == "fd" for order in ranking.orders)
    agreement = [f"{one} and {two}: rank correlation {tau:.2f} (Kendall)" for one, two, tau in ranking.agreement]
    return [*lines, *ranking.joint_notes(), *([_BIAS] if is_fd else []), *agreement]
