"""How long a run will take and what memory, from a few steps on a copy of its model."""

import copy
from contextlib import suppress
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ..common.peak_memory import peak_bytes
from ..common.precision import float32_products
from ..data.batches import Batch
from ..diffusion.loss import loss_of
from ..errors import NotFiniteError
from ..network.model import DiT
from .loop import MakeBatch, TrainSettings, TrainState, batch_loss, train

_TRIED = 10  # steps: the first are slow, until memory is laid out and threads are awake
_LEAST = 2
_COPIES = 5  # of the weights, float32: themselves, their gradient, two of AdamW, their average
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

    batch = batch.to(accelerator.device)

    def step() -> None:
        with accelerator.autocast():
            loss = _loss(state.model, batch, settings, recompute=settings.recompute)
        loss.backward()

    memory = peak_bytes(step, accelerator.device) + _COPIES * 4 * weights
    return (
        f"{weights / 1e6:.3g} M weights, about {seconds:.2g} s per step and about {memory / 1e9:.2g} GB of memory "
        f"besides the program: {time_text(seconds * steps)} for {steps} steps"
        f"{_difference(state.model, batch, settings, accelerator)}"
    )


def _loss(model: DiT, batch: Batch, settings: TrainSettings, *, recompute: bool) -> Tensor:
    conditional = model.config.num_classes > 0
    loss = loss_of(model.process, direction=settings.direction_loss)
    return batch_loss(model, batch, loss, conditional=conditional, recompute=recompute).total.mean()


@torch.no_grad()
def _difference(model: DiT, batch: Batch, settings: TrainSettings, accelerator: Any) -> str:
    """What less than float32 does to the first loss; nothing to say in float32."""
    if settings.precision == "fp32" and not settings.tf32:
        return ""
    with accelerator.autocast():
        reduced = float(_loss(model, batch, settings, recompute=False))
    with float32_products(tf32=False):
        exact = float(_loss(model, batch, settings, recompute=False))
    name = settings.precision if settings.precision != "fp32" else "tf32"
    return f"; {name} moves the loss of the first batch by {100 * (reduced / exact - 1):+.2g} %"


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
