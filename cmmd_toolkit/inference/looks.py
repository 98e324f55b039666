"""Looks at a run, one after the other: each against the best before it, with one level for all of them together.

An alarm says that a look is worse than an earlier one. What must hold its level is every pair of looks s < u, since
the best so far is chosen by the data. Pair (s, u) has the share v(u) of the level, the same for each s,

    v(u) = w(u) / (u - 1),   w(u) = [u <= 100] / 198 + 1 / (2 u (u - 1)),   sum_u w(u) = 1

so that the chance of any false alarm in a run of any length is at most alpha (union bound), whatever the looks share:
seeds, reference, pictures. `evidence` of a look is v(u) times its evidence against "no worse"; it is an alarm from
1 / alpha on.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from ..common.arguments import check_alpha
from ..metrics.mmd import MmdScore
from .checkpoints import CheckpointTest, checkpoint_test, mean_evidence

_EVEN = 100  # looks over which half of the level is spread evenly


def share_of_pair(look: int) -> float:
    """v(u), the share of the level that look number u >= 2 has against each earlier one."""
    even = 1 / (_EVEN - 1) if look <= _EVEN else 0.0
    return (even + 1 / (look * (look - 1))) / 2 / (look - 1)


@dataclass(frozen=True, eq=False)
class Compared:
    """A look against the best before it, a test for each backbone.

    Attributes:
        tests: worse is above zero.
        share: of the level, for this pair of looks.
        alpha: the level of all looks together.
    """

    tests: tuple[CheckpointTest, ...]
    share: float
    alpha: float

    @cached_property
    def worse(self) -> float:
        """The evidence that it is worse; an alarm from 1 / alpha on."""
        return _exp(mean_evidence(self.tests, 1) + math.log(self.share))

    @cached_property
    def better(self) -> float:
        """The evidence that it is better; it beats the best so far from 1 / alpha on."""
        return _exp(mean_evidence(self.tests, -1) + math.log(self.share))

    @property
    def verdict(self) -> str:
        """worse, better or undecided."""
        if self.worse >= 1 / self.alpha:
            return "worse"
        return "better" if self.better >= 1 / self.alpha else "undecided"

    def interval(self, backbone: int) -> tuple[float, float]:
        """Of the difference on one backbone: all such intervals of a run hold together with chance 1 - alpha."""
        return self.tests[backbone].interval(self.alpha * self.share)


class Looks:
    """The looks at one run: how many there were, and the scores of the best of them.

    Args:
        alpha: between 0 and 1, the chance that any alarm of the run is false; that any "better" is false is as small.
        count, best: where a run goes on.
    """

    def __init__(self, alpha: float, count: int = 0, best: tuple[MmdScore, ...] = ()) -> None:
        self.alpha, self.count, self.best = check_alpha(alpha), count, best

    def add(self, scores: Sequence[MmdScore]) -> Compared | None:
        """The next look, scored on each backbone under the run's own `MmdReference`; None for the first.

        It becomes the best where its squared MMD on the first backbone is the least so far.
        """
        self.count += 1
        compared = None
        if self.best:
            tests = tuple(checkpoint_test(earlier=old, later=new) for old, new in zip(self.best, scores, strict=True))
            compared = Compared(tests, share_of_pair(self.count), self.alpha)
        if not self.best or scores[0].estimate.value < self.best[0].estimate.value:
            self.best = tuple(scores)
        return compared


def _exp(log: float) -> float:
    """Evidence never overflows."""
    return math.exp(min(log, 700.0))
