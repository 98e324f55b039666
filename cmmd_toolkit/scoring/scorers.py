"""How each metric is computed from features: one factory a pass, which sees the reference once and then every set."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..estimation.estimate import Estimate
from ..estimation.gaussian import GaussianFit
from ..features.features import GaussianStatistics
from ..features.matrices import as_matrix
from ..inference.ordering import Score, UntestedScore
from ..inference.relative import kept_for_tests
from ..inference.two_sample import two_sample_test
from ..metrics import frechet, inception_score, kid, neighbours
from ..metrics.memorisation import memorisation
from ..metrics.mmd import Bandwidth, MmdReference
from ..metrics.mmd_cost import warn_of_cost
from ..metrics.random_features import RandomFeatureMmd
from ..metrics.sliced import mind, sliced_wasserstein
from ..metrics.vendi import TRUNCATION, vendi_scores
from ..sets.metric_names import OWN, MetricSpec
from ..sets.own_metrics import own_metric
from ..sets.recipes import Recipe
from ..sets.side import Stored

_LEAST_SPLITS = 10  # of the Inception score
_NO_SCORE = "it is the result of a test"
_CHEAPER = "`mmd_method='random-features'` estimates it in much less, with an additional error, which is reported"
_PAIRS = "the test of a difference needs the kernel of all pairs, which random features do not use"
_FEATURE_COPIES = (
    "copies are found by equal features: a picture whose features were rounded differently, in another batch or on "
    "another device, is missed; exact duplicates of pixels are named in the warnings"
)


@dataclass(frozen=True, eq=False)
class ScorerInput:
    """What a pass knows before it sees a generated set; `classifier` as in `Backbone`.

    `frequencies` is how many random ones squared MMD takes, None for the exact one.
    """

    reference: Stored
    recipe: Recipe
    bandwidth: Bandwidth | None
    seed: int
    classifier: NDArray[np.float32] | None
    frequencies: int | None = None


class Scored(NamedTuple):
    """The estimates of one pass for one set, and of a distance what relative tests need."""

    estimates: Mapping[str, Estimate]
    score: Score | UntestedScore | None = None


Scorer = Callable[[Stored], Scored]


def side_count(features: Stored) -> int | None:
    """The number of pictures behind stored features or statistics."""
    return features.n if isinstance(features, GaussianStatistics) else len(features)


def least_pictures(spec: MetricSpec, recipe: Recipe) -> int:
    """How many pictures a set needs for this metric under this recipe."""
    if spec.scorer == "neighbours":
        return neighbours.RECIPES[recipe.name][0] + 1
    if spec.scorer == "kernel" and recipe.name in kid.RECIPES and not kid.RECIPES[recipe.name].shrink:
        return kid.SUBSET_SIZE
    if spec.scorer == "frechet-infinity":
        from ..metrics.frechet_infinity import LEAST_ROWS

        return LEAST_ROWS
    return _LEAST_SPLITS if spec.scorer == "inception-score" else 2


def _frechet(given: ScorerInput) -> Scorer:
    fit = GaussianFit.of(given.reference, "reference")

    def score(generated: Stored) -> Scored:
        found = frechet.score(fit, GaussianFit.of(generated, "generated"))
        return Scored({"fd": found.estimate}, found)

    return score


def _frechet_infinity(given: ScorerInput) -> Scorer:
    from ..metrics.frechet_infinity import frechet_distance_infinity

    return lambda generated: Scored(
        {"fd-infinity": frechet_distance_infinity(reference=given.reference, generated=generated, seed=given.seed)}
    )


def _mmd(given: ScorerInput) -> Scorer:
    recipe = given.recipe
    if given.frequencies is not None:
        return _mmd_of_random_features(given, given.frequencies)
    bandwidth = recipe.bandwidth_or(given.bandwidth)
    mmd = MmdReference(recipe.mmd_rows(given.reference), bandwidth, recipe.estimator, given.seed)

    def score(generated: Stored) -> Scored:
        rows = recipe.mmd_rows(generated)
        warn_of_cost(len(mmd.rows), len(rows), rows.shape[1], _CHEAPER)
        found = kept_for_tests(mmd.score(rows), paired=False)
        scaled = found.estimate.times(recipe.scale, scale=recipe.scale, normalized=recipe.normalize)
        return Scored({"mmd": scaled}, found)

    return score


def _mmd_of_random_features(given: ScorerInput, frequencies: int) -> Scorer:
    recipe = given.recipe
    bandwidth = recipe.bandwidth_or(given.bandwidth)
    mmd = RandomFeatureMmd(recipe.mmd_rows(given.reference), bandwidth, recipe.estimator, given.seed, frequencies)

    def score(generated: Stored) -> Scored:
        found = mmd.distance(recipe.mmd_rows(generated))
        scaled = found.times(recipe.scale, scale=recipe.scale, normalized=recipe.normalize)
        return Scored({"mmd": scaled}, UntestedScore(found, _PAIRS))

    return score


def _two_sample(given: ScorerInput) -> Scorer:
    """The ruler is the median over both sets, which the test needs, or the given number."""
    recipe, asked = given.recipe, given.bandwidth
    bandwidth: Bandwidth = "median-pooled" if asked is None or isinstance(asked, str) else asked
    reference = recipe.mmd_rows(given.reference)

    def score(generated: Stored) -> Scored:
        rows = recipe.mmd_rows(generated)
        found = two_sample_test(reference=reference, generated=rows, bandwidth=bandwidth, seed=given.seed)
        parameters = {**found.parameters, "statistic": found.statistic, "permutations": found.permutations}
        counts = found.n_reference, found.n_generated
        estimate = Estimate(found.p_value, *counts, parameters, found.caveats, no_error_reason=_NO_SCORE)
        return Scored({"p-value": estimate})

    return score


def _kernel(given: ScorerInput) -> Scorer:
    """The recipe's subsets keep the recipe's seed."""
    return lambda generated: Scored(
        {"kd": kid.kernel_distance(reference=given.reference, generated=generated, recipe=given.recipe.name)}
    )


def _neighbours(given: ScorerInput) -> Scorer:
    return lambda generated: Scored(
        neighbours.neighbour_metrics(reference=given.reference, generated=generated, recipe=given.recipe.name)._asdict()
    )


def _vendi(given: ScorerInput) -> Scorer:
    def estimates(rows: Stored) -> list[Estimate]:
        return vendi_scores(rows, 1.0, "cosine", (None, TRUNCATION))

    own = [estimate.value for estimate in estimates(given.reference)]

    def score(generated: Stored) -> Scored:
        plain, truncated = (
            replace(estimate, parameters={**estimate.parameters, "vendi_of_reference": value})
            for estimate, value in zip(estimates(generated), own, strict=True)
        )
        return Scored({"vendi": plain, "vendi-truncated": truncated})

    return score


def _mind(given: ScorerInput) -> Scorer:
    """MIND is defined with its seed."""
    return lambda generated: Scored({"mind": mind(reference=given.reference, generated=generated)})


def _sliced(given: ScorerInput) -> Scorer:
    return lambda generated: Scored(
        {"sw": sliced_wasserstein(reference=given.reference, generated=generated, seed=given.seed)}
    )


def _copies(given: ScorerInput) -> Scorer:
    def score(generated: Stored) -> Scored:
        found = memorisation(reference=given.reference, generated=generated)
        copies = replace(found.copies, caveats=(*found.copies.caveats, _FEATURE_COPIES))
        return Scored({"authpct": found.auth_pct, "copies": copies})

    return score


def _inception_score(given: ScorerInput) -> Scorer:
    """The protocol of torchmetrics under its recipe, of torch-fidelity otherwise."""
    classifier, name = given.classifier, given.recipe.name
    assert classifier is not None
    recipe = name if name in inception_score.RECIPES else "torch-fidelity"

    def score(generated: Any) -> Scored:
        with np.errstate(all="ignore"):  # infinite ones are refused by the score
            logits = generated.values @ classifier.T
        return Scored({"is": inception_score.inception_score(generated=logits, recipe=recipe)})

    return score


def _own(given: ScorerInput, name: str) -> Scorer:
    """A metric of another package."""
    metric = own_metric(name)
    assert metric is not None
    reference = as_matrix(given.reference, "reference").astype(np.float32, copy=False)

    def score(generated: Stored) -> Scored:
        rows = as_matrix(generated, "generated").astype(np.float32, copy=False)
        return Scored({name: metric(reference, rows)})

    return score


def scorer_named(name: str) -> Callable[[ScorerInput], Scorer]:
    """The factory of a pass."""
    return partial(_own, name=name.removeprefix(OWN)) if name.startswith(OWN) else SCORERS[name]


SCORERS: dict[str, Callable[[ScorerInput], Scorer]] = {
    "frechet": _frechet,
    "frechet-infinity": _frechet_infinity,
    "mmd": _mmd,
    "two-sample": _two_sample,
    "kernel": _kernel,
    "neighbours": _neighbours,
    "vendi": _vendi,
    "mind": _mind,
    "sliced": _sliced,
    "copies": _copies,
    "inception-score": _inception_score,
}
