"""The number a metric returns, with what one must know to read it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Estimate:
    """A value estimated from two samples. `float(estimate)` is the value.

    Attributes:
        value: the estimate; lower is better for every metric of this package.
        n_reference, n_generated: sample sizes, None where statistics came without a count.
        parameters: everything that defines the number (estimator, bandwidth, ...), JSON-able.
        caveats: what is known to be wrong with it, in words.
    """

    value: float
    n_reference: int | None
    n_generated: int | None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    caveats: tuple[str, ...] = ()

    def __float__(self) -> float:
        return self.value
