"""What a run leaves out and slows down after steps that were not finite: a pure record, so that it resumes exactly."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

_MOST_IN_A_ROW = 3  # the batch alone, then twice with half the learning rate


@dataclass(frozen=True)
class Faults:
    """Batches at fault and their consequences.

    Attributes:
        skipped: numbers of the batches that are left out, ascending; batch n holds the positions from n batch_size.
        halvings: of the learning rate.
        in_a_row: faults since the last regular checkpoint beyond `step`; the first costs a batch, later ones half
            the learning rate each, too.
        step: the last step that was not finite, from 1.
    """

    skipped: tuple[int, ...] = ()
    halvings: int = 0
    in_a_row: int = 0
    step: int = 0

    def batch(self, step: int) -> int:
        """Number of the batch that a step, from 0, sees: the next one that is not left out."""
        number = step
        for skipped in self.skipped:
            number += skipped <= number
        return number

    @property
    def rate(self) -> float:
        """What is left of the learning rate."""
        return 0.5**self.halvings

    @property
    def exhausted(self) -> bool:
        """Whether another fault ends the run."""
        return self.in_a_row >= _MOST_IN_A_ROW

    def after(self, step: int) -> "Faults":
        """With a fault in a step, from 1."""
        skipped = tuple(sorted({*self.skipped, self.batch(step - 1)}))
        return Faults(skipped, self.halvings + (self.in_a_row > 0), self.in_a_row + 1, max(step, self.step))

    def passed(self, step: int) -> "Faults":
        """After a regular checkpoint at `step`: the next fault is the first again, where this one lies behind."""
        return replace(self, in_a_row=0) if step >= self.step else self

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return {**asdict(self), "skipped": list(self.skipped)}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> "Faults":
        """From `to_dict`; raises KeyError, TypeError or ValueError for anything else."""
        skipped = tuple(_count(number) for number in fields["skipped"])
        if list(skipped) != sorted(set(skipped)):
            raise ValueError(f"skipped: expected ascending numbers, got {skipped}")
        return cls(skipped, *(_count(fields[name]) for name in ("halvings", "in_a_row", "step")))


def _count(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(f"expected a whole number of 0 or more, got {value!r}")
    return value
