"""The number a metric returns, with what one must know to read it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ..common.text import interval_text, number_text
from ..errors import ArgumentError

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Estimate:
    """A value estimated from samples. `float(estimate)` is the value.

    Attributes:
        value: the estimate.
        n_reference, n_generated: sample sizes, None where there is no such side or no count.
        parameters: everything that defines the number (estimator, bandwidth, ...), JSON-able.
        caveats: what is known to be wrong with it, in words.
        standard_error: of the value over repeated draws of both sets, None where no honest one is known.
        interval: 95 % confidence interval (low, high) of the quantity estimated, None likewise.
        corrected: the value minus its bias, to which the interval belongs; the value itself where the
            estimator is unbiased, None where the bias is not known.
        no_error_reason: why there is no standard error or no interval, None where there are both.

    Raises:
        ArgumentError: NaN or infinity in a number.
    """

    value: float
    n_reference: int | None
    n_generated: int | None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    caveats: tuple[str, ...] = ()
    standard_error: float | None = None
    interval: tuple[float, float] | None = None
    corrected: float | None = None
    no_error_reason: str | None = None

    def __post_init__(self) -> None:
        numbers = (self.value, self.standard_error, self.corrected, *(self.interval or ()))
        if not all(math.isfinite(number) for number in numbers if number is not None):
            raise ArgumentError(
                "the features are too large, too small or too far from zero for this metric (the result is not "
                "finite); rescale both sides in the same way"
            )

    def __repr__(self) -> str:
        shown = number_text(self.value, self.standard_error)
        if self.standard_error is not None:
            shown += f" ± {number_text(self.standard_error, self.standard_error)}"
        if self.interval is not None:
            shown += f", 95 % {interval_text(self.interval, self.standard_error)}"
        return f"Estimate({shown})"

    @property
    def counts(self) -> tuple[int, int]:
        """Both sample sizes, where both are known."""
        assert self.n_reference is not None
        assert self.n_generated is not None
        return self.n_reference, self.n_generated

    def __float__(self) -> float:
        return self.value

    def times(self, factor: float, **parameters: Any) -> "Estimate":
        """The same estimate times `factor`, with `parameters` added."""
        interval = None if self.interval is None else (self.interval[0] * factor, self.interval[1] * factor)
        return replace(
            self,
            value=self.value * factor,
            parameters={**self.parameters, **parameters},
            standard_error=None if self.standard_error is None else self.standard_error * factor,
            interval=interval,
            corrected=None if self.corrected is None else self.corrected * factor,
        )
