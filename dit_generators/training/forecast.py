"""How long a run will take and what memory, from a few steps on a copy of its model."""

import copy
from contextlib import suppress
from dataclasses import replace
from typing import Any

import torch

from ..common.peak_memory import peak_bytes
from ..data.batches import Batch
from ..errors import NotFiniteError
from ..network.model import DiT
from .loop import MakeBatch, TrainSettings, TrainState, train

_TRIED = 10  # steps: the first are slow, until memory is laid out and threads are awake
_LEAST = 2
_LONGEST = 3.0  # seconds; then those that were done have to do, two at least


def forecast(model: DiT, settings: TrainSettings, make: MakeBatch, steps: int, accelerator: Any) -> str:
    """Time and memory of a run, from its first steps on a copy; by all processes together."""
    settings = replace(settings, learning_rate=1e-9)  # it is the time that is asked, not what is learned
    state = TrainState.start(copy.deepcopy(model).to(accelerator.device), settings)
    tried: list[float] = []
    with suppress(NotFiniteError):  # the run itself deals with it
        for result in train(state, settings, make, max(_LEAST, min(_TRIED, steps)), state.model, accelerator):
            tried.append(result.seconds)
            if len(tried) >= _LEAST and _mean(sum(tried), accelerator) > _LONGEST:
                break
    if len(tried) < _LEAST:
        return "none, because the loss or its gradient is not finite in the first steps"
    seconds = min(tried[1:])
    batch: Batch = make(settings.share(0, accelerator.process_index, accelerator.num_processes)[0])
    weights = sum(p.numel() for p in model.parameters())

    def step() -> None:
        labels = batch.labels.to(accelerator.device) if model.config.num_classes else None
        out = state.model(batch.x_0.to(accelerator.device), batch.timesteps.to(accelerator.device), labels)
        out.square().mean().backward()

    memory = peak_bytes(step, accelerator.device) + 5 * 4 * weights
    return (
        f"{weights / 1e6:.3g} M weights, about {seconds:.2g} s per step and about {memory / 1e9:.2g} GB of memory "
        f"besides the program: {time_text(seconds * steps)} for {steps} steps"
    )


def _mean(seconds: float, accelerator: Any) -> float:
    """Over the processes, which have to agree on the number of steps."""
    return float(accelerator.reduce(torch.tensor(seconds, device=accelerator.device), "mean"))


def time_text(seconds: float) -> str:
    """90 -> 1 min 30 s."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
