"""From the scores of one backbone to a verdict: the tests of all pairs, or why there are none."""

from collections.abc import Mapping, Sequence

from ..inference.ordering import PairTest, Score, UntestedScore, order_sets
from ..metrics.mmd import MmdScore
from ..report.verdict import Verdict, ordered_text, single_text, untested_text
from ..sets.metric_names import METRICS

ALPHA = 0.05
_OWN_RULERS = "with bandwidth median-pooled each set has a different bandwidth; use median or a number"


def verdict_metric(names: Sequence[str]) -> str | None:
    """The metric that decides: squared MMD if it is computed, else the Frechet distance, else none."""
    by_number = {METRICS[name].number: name for name in reversed(names)}
    return by_number.get("mmd") or by_number.get("fd")


def verdict_on(
    backbone: str,
    metric: str,
    names: Sequence[str],
    scores: Mapping[int, Score | UntestedScore],
    *,
    scale: float,
    prefix: bool,
) -> Verdict | None:
    """What is said of the sets under one backbone.

    `names` are those of all sets, the reference first, and `scores` is by the number of the set; distances are printed
    times `scale`, and `prefix` asks for the backbone's name. None for a single set without an interval, whose reason
    stands among the warnings.
    """
    reference, *generated = names
    tested, reasons = [], {}
    for i, name in enumerate(generated, start=1):
        if (reason := _why_not(scores.get(i), metric)) is None:
            tested.append(i)
        else:
            reasons[name] = reason
    pairs: tuple[PairTest, ...] = ()
    sentences = []
    if len(generated) == 1:
        interval = scores[1].estimate.interval if tested else None
        if interval is None:
            return None
        sentences = [single_text(generated[0], reference, interval)]
    elif len(tested) > 1 and (reason := next(filter(None, (_no_test_of(scores[i]) for i in tested)), None)):
        sentences = [untested_text(dict.fromkeys(generated, reason))]
    else:
        if len(tested) > 1:
            own = [names[i] for i in tested]
            kept = [score for i in tested if not isinstance(score := scores[i], UntestedScore)]
            found = order_sets(own, kept, alpha=ALPHA, scale=scale)
            pairs = found.pairs
            sentences = [ordered_text([own[place] for place in found.places], pairs, ALPHA)]
        if reasons:
            sentences.append(untested_text(reasons))
    text = " ".join(sentences)
    return Verdict(backbone, metric, f"On {backbone}: {text}" if prefix else text, ALPHA, pairs)


def _why_not(score: Score | UntestedScore | None, metric: str) -> str | None:
    """Why a set is not tested."""
    if score is None:
        return f"{metric} could not be computed"
    return None if score.estimate.standard_error is not None else score.estimate.no_error_reason


def _no_test_of(score: Score | UntestedScore) -> str | None:
    """Why this kind of score has no test beside others."""
    if isinstance(score, UntestedScore):
        return score.reason
    own_ruler = isinstance(score, MmdScore) and score.estimate.parameters["bandwidth_rule"] == "median-pooled"
    return _OWN_RULERS if own_ruler else None
