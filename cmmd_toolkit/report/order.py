"""What a ranking is made of: the sets in order under each backbone, and what several backbones say together."""

from dataclasses import dataclass

from ..inference.everywhere import EveryTest
from ..inference.ordering import PairTest

AVERAGE = "average"  # in the place of a backbone's name


@dataclass(frozen=True)
class Place:
    """One generated set in the order of one backbone.

    Attributes:
        generated: the set's name; n_generated: its pictures.
        score: the distance without bias; standard_error, interval: 95 %, of that, no interval where it would lie wholly
            below zero; no_error_reason says so.
        value: the distance as other tools print it, biased if it is a Frechet distance.
        groups: letters; sets that share one cannot be told apart.
    """

    generated: str
    n_generated: int
    score: float
    standard_error: float
    interval: tuple[float, float] | None
    groups: str
    value: float
    no_error_reason: str | None = None


@dataclass(frozen=True)
class Order:
    """The sets under one backbone, best first, and the tests of all pairs."""

    backbone: str
    metric: str
    places: tuple[Place, ...]
    pairs: tuple[PairTest, ...]


@dataclass(frozen=True)
class Joint:
    """What several backbones say together.

    Attributes:
        backbones, weights: the average is the sum of weight times distance. Each weight is 1 over the number of
            backbones and over the spread of the reference there, so that no unit of a backbone matters.
        average: the sets in order of it; p-values of its pairs are corrected by the largest of their statistics.
        everywhere: for the same pairs, whether one set is closer on every backbone.
        texts: both in words.
    """

    backbones: tuple[str, ...]
    weights: tuple[float, ...]
    average: Order
    everywhere: tuple[EveryTest, ...]
    texts: tuple[str, ...]
