"""The report: results, warnings and provenance, with one stable JSON form."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ..common.files import atomic_path, path_of
from ..common.json_text import json_text
from ..common.text import estimate_texts
from ..errors import ArgumentError
from .verdict import Verdict

SCHEMA_VERSION = 3


@dataclass(frozen=True)
class Result:
    """One number: a generated set against the reference, under one backbone and metric; see `Estimate`.

    `higher_is_better` says which way to read it: True for shares and scores, False for distances, None for the p-value
    of a test, which is no score.
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
        """Whether the value without bias is known, and another one than the value."""
        return self.corrected not in (None, self.value)


@dataclass(frozen=True)
class Report:
    """All results of a comparison, with what one must know to trust them.

    Attributes:
        results: one entry for each generated set, backbone and metric, in the order asked for.
        warnings: sentences that say what is odd about the sets and what it does to the numbers.
        sets: for each set of pictures its count, formats, sizes, conversions and skipped files.
        provenance: versions, weights, preprocessing, device, seed, command, time.
        results_per_class: the same for the pictures of each class folder, where that was asked for.
        verdicts: for each backbone which sets are closer than which, in words and as tests; by mmd, else by fd, and
            none where neither was computed.
    """

    results: tuple[Result, ...]
    warnings: tuple[str, ...]
    sets: tuple[Mapping[str, Any], ...]
    provenance: Mapping[str, Any]
    results_per_class: Mapping[str, tuple[Result, ...]] = field(default_factory=dict)
    verdicts: tuple[Verdict, ...] = ()

    def value(self, metric: str, *, backbone: str | None = None, generated: str | None = None) -> float:
        """The one value that fits; `generated` as it was given. Raises ArgumentError when none or several do."""
        wanted = None if generated is None else str(path_of(generated))
        found = [
            result.value
            for result in self.results
            if result.metric == metric and backbone in (None, result.backbone) and wanted in (None, result.generated)
        ]
        if not found:
            there = ", ".join(f"{r.metric} on {r.backbone} of {r.generated}" for r in self.results)
            raise ArgumentError(f"no result for {metric} of {generated or 'any set'}; there are {there}")
        if len(found) != 1:
            raise ArgumentError(
                f"expected one result for {metric}, found {len(found)}; name backbone and generated too"
            )
        return found[0]

    def to_dict(self) -> dict[str, Any]:
        """The JSON form as a dictionary."""
        classes = [{"class": name, **asdict(result)} for name, own in self.results_per_class.items() for result in own]
        return {"schema_version": SCHEMA_VERSION, **asdict(self), "results_per_class": classes}

    def to_json(self) -> str:
        """Sorted, indented JSON; two equal runs differ in `provenance.created` only."""
        return json_text(self.to_dict())

    def save(self, path: str | Path) -> None:
        """Write the JSON form atomically."""
        with atomic_path(path_of(path)) as temporary:
            temporary.write_text(self.to_json(), encoding="utf-8")

    def __str__(self) -> str:
        from .terminal import plain_table

        return plain_table(self)
