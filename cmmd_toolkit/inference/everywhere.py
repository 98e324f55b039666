"""Is one set closer than another on every backbone? An intersection-union test.

"Closer on every backbone" is false as soon as it is false on one, and then the test of that one rejects with a chance
of at most alpha. So all must reject, at alpha each, and nothing is corrected for their number (Berger 1982,
Technometrics 24, theorem 1): the p-value is the largest of theirs, whatever they have in common. It is two-sided, since
which of the two is closer was not said before; where backbones disagree about that, it is 1. Only the number of pairs
is corrected for, by Holm's rule.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from ..estimation.groups import holm
from .ordering import PairTest


@dataclass(frozen=True)
class EveryTest:
    """Whether `better` is closer than `worse` on every backbone.

    Attributes:
        agree: whether it scored closer on each of them.
        p_value: the largest of the backbones' two-sided p-values, 1 where they do not agree.
        p_adjusted: corrected for all pairs (Holm).
    """

    better: str
    worse: str
    agree: bool
    p_value: float
    p_adjusted: float


def every_tests(pairs: Sequence[tuple[str, str]], by_backbone: Sequence[Sequence[PairTest]]) -> tuple[EveryTest, ...]:
    """The tests of all pairs (better, worse), in their order; `by_backbone` has each backbone's tests of the same."""
    known = [{frozenset((own.better, own.worse)): own for own in tests} for tests in by_backbone]
    p_values: dict[int, float] = {}
    agreeing = []
    for number, (better, worse) in enumerate(pairs):
        tests = [own[frozenset((better, worse))] for own in known]
        agreeing.append(all(own.better == better for own in tests))
        p_values[number] = max(own.p_value for own in tests) if agreeing[-1] else 1.0
    adjusted = holm(p_values)
    return tuple(
        EveryTest(better, worse, agreeing[i], p_values[i], adjusted[i]) for i, (better, worse) in enumerate(pairs)
    )
