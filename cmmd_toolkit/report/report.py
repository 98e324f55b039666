"""The report: results, warnings and provenance."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from ..common.files import path_of
from ..common.labels import short_labels
from ..common.text import estimate_texts
from ..errors import ArgumentError
from .document import IF_KNOWN, NOT_SAVED, plain
from .exhibit import NOT_ASKED, Exhibit
from .joint import JointAnswer, check_answers
from .paper import scores
from .paper.panel import Panel
from .paper.record import Paper, PaperRecord, drawn
from .sound import check_known, check_level, check_sets, require
from .tables import plain_table
from .verdict import Verdict

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Result:
    """One number: a generated set against the reference, under one backbone and metric; see `Estimate`.

    `higher_is_better` says which way to read it: True for shares and scores, False for distances, None for the p-value
    of a test, which is not a score.
    """

    reference: str
    generated: str
    backbone: str
    metric: str
    value: float
    standard_error: float | None
    interval: tuple[float, float] | None
    n_reference: int | None
    n_generated: int | None
    parameters: Mapping[str, Any]
    caveats: tuple[str, ...] = ()
    higher_is_better: bool | None = False
    corrected: float | None = None
    no_error_reason: str | None = None

    @property
    def estimate_texts(self) -> tuple[str, str, str, str]:
        """Value, value without bias, standard error and interval as they are printed."""
        return estimate_texts(self.value, self.corrected, self.standard_error, self.interval)

    @property
    def is_biased(self) -> bool:
        """Whether the value without bias is known and differs from the value."""
        return self.corrected not in (None, self.value)


@dataclass(frozen=True)
class Report(PaperRecord):
    """All results of a comparison, with what one must know to trust them.

    Attributes:
        results: one entry for each generated set, backbone and metric, in the order asked for.
        warnings: sentences that say what is unusual about the sets and how it affects the numbers.
        sets: for each set of pictures its count, formats, sizes, conversions and skipped files.
        provenance: versions, weights, preprocessing, device, seed, command, time.
        results_per_class: the same for the pictures of each class folder, where requested.
        verdicts: for each backbone which sets are closer than which, in words and as tests; by mmd, else by fd, and
            none where neither was computed.
        joint: the joint test of each generated set over all backbones, where requested.
        exhibit: what `save_html` shows besides numbers, or why it has nothing; not in the JSON form.
    """

    kind: ClassVar[str] = "report"
    schema_version: ClassVar[int] = 3
    paper: ClassVar[Paper] = scores

    results: tuple[Result, ...]
    warnings: tuple[str, ...]
    sets: tuple[Mapping[str, Any], ...]
    provenance: Mapping[str, Any] = field(compare=False)
    results_per_class: Mapping[str, tuple[Result, ...]] = field(default_factory=dict)
    verdicts: tuple[Verdict, ...] = ()
    joint: tuple[JointAnswer, ...] = field(default=(), metadata=IF_KNOWN)
    exhibit: Exhibit | str = field(default=NOT_ASKED, repr=False, compare=False, metadata=NOT_SAVED)

    def value(self, metric: str, *, backbone: str | None = None, generated: str | None = None) -> float:
        """The one value that fits, `generated` by its full or short name. Raises ArgumentError for none or several."""
        wanted = None if generated is None else str(path_of(generated))
        short = short_labels(name for result in self.results for name in (result.reference, result.generated))
        found = [
            result.value
            for result in self.results
            if result.metric == metric
            and backbone in (None, result.backbone)
            and wanted in (None, result.generated, short[result.generated])
        ]
        if not found:
            there = ", ".join(f"{r.metric} on {r.backbone} of {short[r.generated]}" for r in self.results)
            raise ArgumentError(f"no result for {metric} of {generated or 'any set'}; choose from {there}")
        if len(found) != 1:
            raise ArgumentError(
                f"expected one result for {metric}, found {len(found)}; name backbone and generated too"
            )
        return found[0]

    def to_dict(self) -> dict[str, Any]:
        """The JSON form as a dictionary; the results of classes are one list."""
        classes = [{"class": name, **plain(own)} for name, results in self.results_per_class.items() for own in results]
        return {**super().to_dict(), "results_per_class": classes}

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> "Report":
        """See `Document.from_dict`."""
        classes: dict[str, list[Any]] = {}
        rows = document.get("results_per_class")
        if not isinstance(rows, list) or not all(
            isinstance(own, dict) and isinstance(own.get("class"), str) for own in rows
        ):
            raise ValueError("results_per_class: expected a list of results, each with its class")
        for own in rows:
            classes.setdefault(own["class"], []).append(own)
        return super().from_dict({**document, "results_per_class": classes})

    def check(self) -> None:
        """See `Document.check`."""
        recipe = self.provenance.get("recipe")
        named = isinstance(recipe, Mapping) and isinstance(recipe.get("name"), str)
        require(named, "provenance.recipe", "a recipe by its name")
        require(bool(self.results), "results", "one result or more")
        check_sets(self.sets)
        sets, backbones, metrics = (
            {getattr(own, name) for own in self.results} for name in ("generated", "backbone", "metric")
        )
        for label, results in self.results_per_class.items():
            for own in results:
                for found, known in ((own.generated, sets), (own.backbone, backbones), (own.metric, metrics)):
                    check_known([found], known, f"results_per_class {label}")
        for verdict in self.verdicts:
            check_known([verdict.backbone], backbones, "verdicts")
            check_known([verdict.metric], metrics, "verdicts")
            check_level(verdict.alpha, "verdicts")
        check_answers(self.joint)

    def panels(self, metrics: Sequence[str] = ()) -> "Sequence[Panel]":
        """See `PaperRecord.panels`; of these metrics, of all by default."""
        return scores.panels(self, metrics)

    def plot(self, path: str | Path | None = None, *, metric: str | Sequence[str] | None = None) -> "Figure":
        """See `PaperRecord.plot`.

        A panel for each backbone and score, with 95 % intervals; of those named by `metric`, else of all, or of the
        metric that verdicts rest on where there would be more than six. Values are those without bias where known.
        """
        named = () if metric is None else (metric,) if isinstance(metric, str) else tuple(metric)
        return drawn(self.panels(named), path, self.caveats())

    def remarks(self) -> list[str]:
        """See `PaperRecord.remarks`."""
        said = [*(verdict.text for verdict in self.verdicts), *(own.text for own in self.joint)]
        return [*said, *super().remarks()]

    def __str__(self) -> str:
        return plain_table(self)
