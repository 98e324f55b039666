"""Looks as curves in TensorBoard."""

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..errors import ArgumentError
from .watching import Look


class Board:
    """Event files in a folder, a point for each look at its step.

    Raises ArgumentError where TensorBoard is missing, or a file stands in the place of the folder.
    """

    def __init__(self, folder: Path, first_step: int | None) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise ArgumentError("tensorboard: is not installed; pip install tensorboard, or leave it out") from error
        if folder.exists() and not folder.is_dir():
            raise ArgumentError(f"{folder}: is a file, and the curves are written into a folder; name another place")
        self._is_new = not any(folder.glob("events.out.tfevents.*"))
        self._writer: Any = SummaryWriter(str(folder), purge_step=first_step)

    def add_known(self, looks: Iterable[Look]) -> None:
        """Add the looks of an earlier process, unless that wrote curves into this folder."""
        for look in looks if self._is_new else ():
            self.add(look)

    def add(self, look: Look) -> None:
        """Squared MMD, its difference to the best before, and the evidence (log 10) that the look is worse."""
        for own in look.scores:
            self._add(f"watch/{own.backbone}/squared_mmd", own.value, look.step)
            if own.difference is not None:
                self._add(f"watch/{own.backbone}/difference_to_best", own.difference, look.step)
        if look.evidence_worse:
            self._add("watch/log10_evidence_worse", math.log10(look.evidence_worse), look.step)
        self._writer.flush()

    def _add(self, name: str, value: float, step: int) -> None:
        self._writer.add_scalar(name, value, step)
