"""What a run writes down as it goes: log.jsonl, TensorBoard, and the same in words."""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from PIL import Image

from cmmd_toolkit.common.text import number_text
from cmmd_toolkit.estimation.estimate import Estimate

from ..common.sheet import save_image
from ..errors import NotFiniteError
from .faults import Faults
from .folder import RunFolder
from .forecast import time_text
from .loop import StepResult, TrainSettings


@dataclass
class Journal:
    """The log of a run of `steps` steps; each of its methods writes, and returns the line for people."""

    folder: RunFolder
    settings: TrainSettings
    steps: int
    since: list[StepResult] = field(default_factory=list)  # the last line
    board: Any = None

    def averages(self, device: torch.device) -> dict[str, Any]:
        """Of the steps since the last line, which start anew."""
        since, self.since = self.since, []
        seconds = sum(result.seconds for result in since)
        return {
            "step": since[-1].step,
            "loss": sum(result.loss for result in since) / len(since),
            "mse": sum(result.mse for result in since) / len(since),
            "gradient_norm": since[-1].gradient_norm,
            "images_per_second": len(since) * self.settings.batch_size / seconds,
            "waiting_share": sum(result.waited for result in since) / seconds,
            "memory_bytes": memory_in_use(device),
        }

    def write_steps(self, entry: dict[str, Any]) -> str:
        """A line of `averages`."""
        self._write(entry)
        step, speed = entry["step"], entry["images_per_second"]
        left = time_text((self.steps - step) * self.settings.batch_size / speed)
        return (
            f"step {step}/{self.steps}: loss {entry['loss']:.4f}, {_rate_text(speed)} images/s, "
            f"waiting for data {100 * entry['waiting_share']:.0f} %, {entry['memory_bytes'] / 1e9:.2g} GB, {left} left"
        )

    def write_score(self, step: int, score: Estimate, backbone: str) -> str:
        """A line of a score."""
        self._write({"step": step, "score": score.value, "standard_error": score.standard_error})
        error = score.standard_error
        spread = f" +- {number_text(error, error)}" if error else ""
        return f"step {step}: MMD {number_text(score.value, error)}{spread} on {backbone}"

    def write_fault(self, error: NotFiniteError, step: int, faults: Faults, batch: int, best: float) -> str:
        """A line of a fault, after going back to `step` without this batch; what was logged later goes."""
        size, rate = self.settings.batch_size, faults.rate
        positions = [batch * size, (batch + 1) * size - 1]
        entry = {"step": step, "fault": str(error), "skipped_positions": positions, "learning_rate_factor": rate}
        self.folder.cut_log(step, {**entry, "best_score": best, "faults": faults.to_dict()})
        if self.board is not None:
            self.board.close()
            self.board = None
        halved = f", with half the learning rate ({self.settings.learning_rate * rate:.3g})"
        return (
            f"{error}; going back to {f'step {step}' if step else 'the start'} without the pictures at positions "
            f"{positions[0]} to {positions[1]}{halved if faults.in_a_row > 1 else ''}"
        )

    def write_sheet(self, step: int, sheet: Image.Image) -> None:
        """A sheet of samples, as a file and for TensorBoard."""
        target = self.folder.path / "samples" / f"{step:08d}.png"
        target.parent.mkdir(exist_ok=True)
        save_image(sheet, target)
        self._open_board(step)
        self.board.add_image("samples", np.asarray(sheet), step, dataformats="HWC")
        self.board.flush()

    def _open_board(self, step: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        if self.board is None:
            self.board = SummaryWriter(self.folder.path / "tensorboard", purge_step=step)

    def _write(self, entry: dict[str, Any]) -> None:
        self.folder.log(entry)
        self._open_board(entry["step"])
        for name, value in entry.items():
            if name != "step" and value is not None and math.isfinite(value):
                self.board.add_scalar(name, value, entry["step"])
        self.board.flush()


def memory_in_use(device: torch.device) -> int:
    """Peak bytes: of the allocator on CUDA, of the process elsewhere."""
    import resource

    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _rate_text(rate: float) -> str:
    """Three digits; large ones without an exponent."""
    return f"{float(f'{rate:.3g}'):,.0f}" if rate >= 99.95 else f"{rate:.3g}"
