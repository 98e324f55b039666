"""`Watch`: the looks of a training loop, scored as they come, with alarms that hold however often one looks."""

from collections.abc import Mapping, Sequence
from typing import Any

from ..common.arguments import check_seed, text
from ..errors import ArgumentError
from ..features.unit_rows import SomeRows
from ..inference.checkpoints import LEAST_ROWS
from ..inference.looks import Compared, Looks
from ..inference.pooled_pictures import BARE, by_backbone, check_same_pictures
from ..metrics.mmd import Bandwidth, MmdReference, MmdScore, check_one_ruler
from ..report.watching import FIRST, Look, LookScore, Watching, best_of, step_of


class Watch:
    """Watches a training run: is it worse than it was at its best?

    Each look is scored against the reference by squared MMD (unbiased, Gaussian kernel) and compared with the best look
    before it. The chance that any look of the run is falsely called worse than an earlier one is at most `alpha`,
    however many looks there are and whatever they share (docs/watching.md says why).

    Args:
        reference: features (N, D) as array, tensor or `Features`, or a mapping from backbones to them; 20 rows or more.
        alpha: the level of all looks together.
        bandwidth: of the kernel, a number > 0 or "median" (of the reference; the default).
        seed: draws the rows for the median when there are more than 4,000.

    Raises:
        ArgumentError: too few rows, NaN or infinity, another alpha or bandwidth.
    """

    def __init__(self, reference: Any, *, alpha: float = 0.05, bandwidth: Bandwidth = "median", seed: int = 0) -> None:
        check_one_ruler(bandwidth)
        check_seed(seed)
        self._looks = Looks(alpha)
        self._rulers = {
            backbone: MmdReference(rows, bandwidth, "unbiased", seed)
            for backbone, rows in _by_backbone(reference, "reference").items()
        }
        _check_counts({backbone: len(ruler.rows) for backbone, ruler in self._rulers.items()}, "reference")
        self._seen: list[Look] = []

    def look(self, samples: Any, name: str | None = None) -> Look:
        """Score the samples of one checkpoint.

        Args:
            samples: features (M, D) of the same backbone, or a mapping from the same backbones; 20 rows or more.
                If you can, make them from the same seeds each time, in the same order: the noise that seeds share
                cancels.
            name: of the checkpoint; "look 3" without one. The last number in it is its step.

        Returns:
            Look, whose `verdict` is "first", "worse", "better" or "undecided".

        Raises:
            ArgumentError: other backbones or another width, too few rows, NaN or infinity, a name for the second time
                or of another type.
        """
        given = _by_backbone(samples, "samples")
        if set(given) != set(self._rulers):
            raise ArgumentError(
                f"samples: expected features of {', '.join(self._rulers)}, got {', '.join(map(str, given))}"
            )
        name = f"look {self._looks.count + 1}" if name is None else text(name, "name")
        if any(look.name == name for look in self._seen):
            raise ArgumentError(f"name: {name} was already scored; give each look a different name")
        scores = [ruler.score(given[backbone], name) for backbone, ruler in self._rulers.items()]
        _check_counts({own: score.estimate.counts[1] for own, score in zip(self._rulers, scores, strict=True)}, name)
        self._seen.append(self._result(name, scores, self._looks.add(scores)))
        return self._seen[-1]

    def record(
        self, reference: str = "reference", warnings: Sequence[str] = (), provenance: Mapping[str, Any] | None = None
    ) -> Watching:
        """All looks so far, as a record that can be saved (`save`, `save_html`) and printed."""
        rulers = self._rulers.values()
        first = next(iter(rulers))
        return Watching(
            reference,
            len(first.rows),
            self._looks.alpha,
            tuple(self._rulers),
            tuple(float(ruler.ruler(ruler.rows)) for ruler in rulers),
            tuple(self._seen),
            tuple(warnings),
            provenance or {},
        )

    @property
    def best(self) -> str | None:
        """The name of the look with the least squared MMD so far, on the first backbone."""
        best = best_of(self._seen)
        return None if best is None else best.name

    def go_on(self, record: Watching, best: Any) -> None:
        """Take up the looks of an earlier process before the first of this one; `best` are the features of its best."""
        assert record.best is not None
        given = _by_backbone(best, "best")
        scores = tuple(ruler.score(given[backbone], record.best.name) for backbone, ruler in self._rulers.items())
        self._looks = Looks(self._looks.alpha, len(record.looks), scores)
        self._seen = list(record.looks)

    def _result(self, name: str, scores: Sequence[MmdScore], compared: Compared | None) -> Look:
        found = []
        for k, (backbone, score) in enumerate(zip(self._rulers, scores, strict=True)):
            difference = None if compared is None else compared.tests[k].difference
            interval = None if compared is None else compared.interval(k)
            own = score.estimate
            found.append(LookScore(backbone, own.value, own.standard_error, own.interval, difference, interval))
        return Look(
            name,
            step_of(name, self._looks.count),
            scores[0].estimate.counts[1],
            tuple(found),
            self.best,
            None if compared is None else compared.worse,
            None if compared is None else compared.better,
            FIRST if compared is None else compared.verdict,
        )


def _by_backbone(features: Any, name: str) -> Mapping[str, SomeRows]:
    """A mapping as it is, anything else as the one backbone there is."""
    return by_backbone(features, name) if isinstance(features, Mapping) else {BARE: features}


def _check_counts(counts: Mapping[str, int], name: str) -> None:
    """As many pictures as watching takes, and the same under every backbone."""
    least = min(counts.values())
    if least < LEAST_ROWS:
        raise ArgumentError(f"{name}: watching needs at least {LEAST_ROWS} pictures per side, got {least}")
    check_same_pictures(counts, name)
