"""The one table of metrics: what each is called, which way is better, and what it needs. Imports nothing heavy."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

from ..common.arguments import text
from ..common.nearest import hint
from ..errors import ArgumentError

ALL = "all"
OWN = "own:"  # begins the scorer of a metric of another package

Needs = Literal["moments", "rows", "logits"]


class Reading(NamedTuple):
    """How a number is read: in words, and which way is better, None for the result of a test."""

    words: str
    higher_is_better: bool | None


CLOSER = Reading("lower is closer to the reference", False)
LOWER = Reading("lower is better", False)
HIGHER = Reading("higher is better", True)
TEST = Reading("a test, not a score: small says that the sets differ, large that no difference was shown", None)


@dataclass(frozen=True)
class MetricSpec:
    """One row of the table.

    Attributes:
        name: what the user writes and reads.
        full_name: what the legend says.
        scorer: the function of `scoring.SCORERS` that computes it; several metrics may come from one pass.
        reading: which way is better.
        needs: mean and covariance, every picture's features, or class logits.
        general: the name of the same number on any backbone, "" when that is `name` itself.
        family: the family of backbones on which this name is defined (`BackboneSpec.family`), "" for any.
    """

    name: str
    full_name: str
    scorer: str
    reading: Reading = CLOSER
    needs: Needs = "rows"
    general: str = ""
    family: str = ""

    @property
    def number(self) -> str:
        """The general name: metrics that share it are one number."""
        return self.general or self.name

    @property
    def higher_is_better(self) -> bool | None:
        """Whether a larger value is the better one; None for a test, whose value is no score."""
        return self.reading.higher_is_better

    @property
    def is_test(self) -> bool:
        """Whether this is the p-value of a test."""
        return self.reading.higher_is_better is None


class _Metrics(dict[str, MetricSpec]):
    """The table by name; a name that is not in it belongs to another package, which may not be installed here."""

    def __missing__(self, name: str) -> MetricSpec:
        from .own_metrics import own_metric

        own = own_metric(name)
        if own is None:  # of a report that was made elsewhere
            return MetricSpec(name, "a metric of a package that is not installed here", OWN + name)
        return MetricSpec(name, own.about, OWN + name, HIGHER if own.higher_is_better else CLOSER)


METRICS = _Metrics(
    (spec.name, spec)
    for spec in (
        MetricSpec("fd", "Frechet distance", "frechet", needs="moments"),
        MetricSpec(
            "fid", "Frechet distance on Inception", "frechet", needs="moments", general="fd", family="inception"
        ),
        MetricSpec("fd-infinity", "Frechet distance extrapolated to infinitely many pictures", "frechet-infinity"),
        MetricSpec("mmd", "squared MMD", "mmd"),
        MetricSpec("cmmd", "squared MMD on a picture-text embedding", "mmd", general="mmd", family="picture-text"),
        MetricSpec("p-value", "chance of an MMD this large if the sets were alike (permutations)", "two-sample", TEST),
        MetricSpec("kd", "kernel distance, squared MMD with a cubic kernel", "kernel"),
        MetricSpec("kid", "kernel distance on Inception", "kernel", general="kd", family="inception"),
        MetricSpec("precision", "share of generated pictures inside the reference", "neighbours", HIGHER),
        MetricSpec("recall", "share of reference pictures inside the generated set", "neighbours", HIGHER),
        MetricSpec("density", "number of reference balls that hold a generated picture, over k", "neighbours", HIGHER),
        MetricSpec("coverage", "share of reference balls that hold a generated picture", "neighbours", HIGHER),
        MetricSpec("vendi", "effective number of different generated pictures", "vendi", HIGHER),
        MetricSpec(
            "vendi-truncated",
            "Vendi score of the 32 commonest kinds; settles as pictures are added",
            "vendi",
            HIGHER,
        ),
        MetricSpec("mind", "scaled sliced Wasserstein distance on equally many pictures", "mind"),
        MetricSpec("sw", "squared sliced Wasserstein distance", "sliced"),
        MetricSpec("authpct", "% of generated pictures that are not near copies of a reference one", "copies", HIGHER),
        MetricSpec(
            "copies", "share of generated pictures with exactly the features of a reference one", "copies", LOWER
        ),
        MetricSpec("is", "Inception score", "inception-score", HIGHER, needs="logits", family="inception"),
    )
)
NUMBERS = tuple(name for name, spec in METRICS.items() if not spec.general)
DEFAULTS = ("fd", "mmd")
RANKED = ("mmd", "fd")  # those whose differences have a test


def ranked_metric(name: object) -> MetricSpec:
    """The metric by which sets are ranked and planned: mmd or fd, or a published name of one. Raises ArgumentError."""
    spec = METRICS.get(name) if isinstance(name, str) else None
    if spec is None or spec.number not in RANKED:
        takes = " or ".join(RANKED)
        others = ", ".join(other for other, own in METRICS.items() if own.general in RANKED)
        raise ArgumentError(f"metric: expected {takes} (on their networks also {others}), got {name!r}; choose one")
    return spec


def find_metric(name: str) -> MetricSpec:
    """The metric of that name. Raises ArgumentError."""
    from .own_metrics import own_metric, own_metric_names

    if text(name, "metric") in METRICS or own_metric(name) is not None:
        return METRICS[name]
    known = [*METRICS, *own_metric_names()]
    raise ArgumentError(f"unknown metric {name!r}; {hint(name, known)}choose from {', '.join(known)} or {ALL}")
