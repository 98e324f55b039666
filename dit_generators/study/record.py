"""The scores of a study as a report of cmmd_toolkit, with all the forms that one has: tables, figures, rows, JSON."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cmmd_toolkit.inference.ordering import PairTest
from cmmd_toolkit.report import Report, Result, Verdict

from ..common.files import read_json
from ..errors import OutputError
from .scores import backbones_of, pairwise_verdict

REFERENCE = "training pictures"
_LEVEL = 0.05
Score = Mapping[str, Any]


def study_report(study: str | os.PathLike[str]) -> Report:
    """The report of a finished study: every model under every backbone, by squared MMD and Frechet distance.

        study_report("study/").to_latex()

    With one training run of each method the samples are tested, paired by seed, and the closer model is bold if the
    test is significant. Several runs compare methods, not networks: the verdicts compare them, and no model is bold.

    Args:
        study: the folder of a study.

    Raises OutputError for a folder without a finished study, or one without any score.
    """
    results = read_json(Path(study, "evaluation_results.json"))
    try:
        return _report(results, str(study))
    except (KeyError, TypeError, IndexError) as error:
        raise OutputError(f"{study}: holds no finished study; give the folder of one, or finish it") from error


def _report(results: Mapping[str, Any], study: str) -> Report:
    scores = results["scores"]
    if not scores:
        raise OutputError(
            f"{study}: holds no scores, since no backbone had its weights; give one that has and repeat it"
        )
    found = [result for score in scores for result in _results(score, results["pictures"])]
    few = min(results["few"], results["samples"])
    over_runs = [Verdict(own["backbone"], own["metric"], own["text"], _LEVEL) for own in results["methods"]]
    verdicts = over_runs or [_verdict(scores, name, few) for name in backbones_of(scores)]
    provenance = {"recipe": {"name": "default"}, "study": study}
    return Report(tuple(found), (), (), provenance, {}, tuple(verdicts))


def _results(score: Score, pictures: int) -> list[Result]:
    """Squared MMD and Frechet distance of one model under one backbone."""
    return [
        Result(
            REFERENCE,
            score["model"],
            score["backbone"],
            metric,
            score[metric],
            score[f"{metric}_error"],
            None if score[f"{metric}_interval"] is None else tuple(score[f"{metric}_interval"]),
            pictures,
            score["samples"],
            {},
            corrected=score["mmd"] if metric == "mmd" else score["fd_corrected"],
            no_error_reason=None if score[f"{metric}_error"] is not None else "too few samples for a standard error",
        )
        for metric in ("mmd", "fd")
    ]


def _verdict(scores: Sequence[Score], backbone: str, few: int) -> Verdict:
    own = [score for score in scores if score["backbone"] == backbone]
    test = own[0].get("test")
    pairs = () if test is None or len(own) != 2 else (_tested(own, test),)
    return Verdict(backbone, "mmd", pairwise_verdict(scores, backbone, few), _LEVEL, pairs)


def _tested(own: Sequence[Score], test: Mapping[str, Any]) -> PairTest:
    """The test of two models, the closer one first; one pair needs no correction."""
    (low, high), difference = test["interval"], test["difference"]
    if difference > 0:
        own, low, high, difference = own[::-1], -high, -low, -difference
    better, worse = (score["model"] for score in own)
    p_value, images = test["p_value"], own[0]["samples"]
    return PairTest(
        better, worse, difference, test["standard_error"], (low, high), p_value, p_value, True, None, images
    )
