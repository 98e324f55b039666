"""Embedded sets to results: every metric of a selection, for whole sets and class by class."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from . import checks
from .errors import ArgumentError
from .gathering import Gathered
from .inputs import Stored
from .metric_names import METRICS
from .metrics.estimate import Estimate
from .metrics.mmd import Bandwidth
from .report import Result
from .scoring import SCORERS, Setting, side_count
from .selection import Selection


class Problem(NamedTuple):
    """Metrics that one set does not allow, and why."""

    metrics: tuple[str, ...]
    reason: str


@dataclass(frozen=True, eq=False)
class Task:
    """One backbone of a run, and what is computed on it."""

    gathered: Gathered
    backbone: int
    selection: Selection
    bandwidth: Bandwidth | None

    @property
    def name(self) -> str:
        """The backbone."""
        return self.gathered.names[self.backbone]

    def setting(self, reference: Stored) -> Setting:
        """What the passes over the sets need, with all of the reference's rows or those of a class."""
        gathered = self.gathered
        loaded = gathered.backbones.get(self.name)
        classifier = None if loaded is None else loaded.classifier
        return Setting(reference, gathered.plan, self.bandwidth, gathered.options.seed, classifier)

    def result(self, generated: int, metric: str, estimate: Estimate) -> Result:
        """The estimate with its place; `generated` counts the sides, the reference is 0."""
        sides = self.gathered.sides
        return Result(
            sides[0].label,
            sides[generated].label,
            self.name,
            metric,
            float(estimate),
            estimate.standard_error,
            estimate.interval,
            estimate.n_reference,
            estimate.n_generated,
            dict(estimate.parameters),
            estimate.caveats,
            METRICS[metric].higher_is_better,
        )


def tasks_of(gathered: Gathered, selection: Selection, bandwidth: Bandwidth | None) -> list[Task]:
    """One task a backbone. Raises ArgumentError for a metric that was asked for and cannot be computed there."""
    tasks = []
    for k, name in enumerate(gathered.names):
        sets = [(side.short, own) for side, own in zip(gathered.sides, gathered.under(k), strict=True)]
        own = selection.on(name, gathered.backbones.get(name), gathered.plan, sets)
        tasks.append(Task(gathered, k, own, bandwidth))
    return tasks


def score_all(tasks: Sequence[Task]) -> tuple[list[Result], list[str]]:
    """Every generated set under every backbone and metric, set by set; the reference's own part is computed once."""
    parts = [_score(task) for task in tasks]
    by_set = [results for own in zip(*(results for results, _ in parts), strict=True) for results in own]
    return [result for results in by_set for result in results], [remark for _, own in parts for remark in own]


def _score(task: Task) -> tuple[list[list[Result]], list[str]]:
    reference, *generated = task.gathered.under(task.backbone)
    names = task.selection.names
    scored, problems = run_passes(
        task.setting(reference), names, task.selection.asked, dict(enumerate(generated, start=1))
    )
    results = [[task.result(i, name, own[name]) for name in names if name in own] for i, own in scored.items()]
    flat = [result for own in results for result in own]
    if not flat:
        raise ArgumentError(problems[0].reason)
    remarks = [f"{', '.join(problem.metrics)} on {task.name} left out: {problem.reason}" for problem in problems]
    remarks += [*checks.negative_warnings(flat), *checks.interval_warnings(flat)]
    if any(METRICS[name].number == "fd" for name in names):
        sides = zip(task.gathered.sides, (reference, *generated), strict=True)
        remarks += checks.rank_warnings([(side.short, side_count(own)) for side, own in sides], reference.dim)
    return results, [*task.selection.remarks, *remarks]


def run_passes(
    setting: Setting, names: Sequence[str], required: Collection[str], sets: Mapping[int, Stored]
) -> tuple[dict[int, dict[str, Estimate]], list[Problem]]:
    """The metrics of every set, each pass over all sets before the next one.

    Raises ArgumentError when a set does not allow a required metric; the others are left out, with the problem.
    """
    scored: dict[int, dict[str, Estimate]] = {i: {} for i in sets}
    problems = []
    for scorer in dict.fromkeys(METRICS[name].scorer for name in names):
        own = tuple(name for name in names if METRICS[name].scorer == scorer)
        score = None
        for i, generated in sets.items():
            try:
                score = score or SCORERS[scorer](setting)
                found = score(generated)
            except ArgumentError as error:
                if not set(own).isdisjoint(required):
                    raise
                problems.append(Problem(own, str(error)))
            else:
                scored[i].update({name: found[METRICS[name].number] for name in own})
    return scored, problems
