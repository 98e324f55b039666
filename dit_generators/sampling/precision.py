"""The arithmetic of the network while it samples: float32, or bfloat16 or float16 by autocast."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch
from torch import Tensor

from ..diffusion.samplers import Predict, PredictByStep

Precision = Literal["fp32", "bf16", "fp16"]
_TYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def in_precision(predict: Predict, precision: Precision, device: torch.device) -> Predict:
    """The model function in this precision; its results are float32, so the steps between are too."""
    if precision == "fp32":
        return predict
    if isinstance(predict, PredictByStep):
        return PredictByStep(lambda timestep: in_precision(predict.at(timestep), precision, device))

    def cast(x_t: Tensor, timesteps: Tensor) -> Tensor:
        with torch.autocast(device.type, _TYPES[precision]):
            return predict(x_t, timesteps).float()

    return cast


@contextmanager
def kept_casts(precision: Precision, device: torch.device) -> Iterator[None]:
    """Cast the weights once, not at every step: autocast forgets its copies where its outermost context ends.

    So this context lies around all steps. It leaves autocast as it is, off as a rule, for whoever takes the states.
    """
    if precision == "fp32":
        yield
        return
    kind = device.type
    with torch.autocast(kind, torch.get_autocast_dtype(kind), enabled=torch.is_autocast_enabled(kind)):
        yield
