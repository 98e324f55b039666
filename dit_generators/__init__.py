"""Diffusion Transformers with interchangeable attention, official checkpoints, and sampling one can trust.

The names below are loaded when first used: importing this package imports neither torch nor diffusers.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .attention.window import window_attention
    from .diffusion.guidance import Guidance
    from .diffusion.loss import diffusion_loss
    from .diffusion.schedule import linear_schedule, respace
    from .errors import ArgumentError, AttentionChangedWarning, AttentionError, CheckpointError, DitError, OutputError
    from .network.config import DiTConfig
    from .network.model import DiT
    from .sampling.sample import SampleSettings, sample
    from .study.options import StudyOptions
    from .study.run import run_study
    from .training.options import TrainOptions
    from .training.start import make_run
    from .weights.autoencoder import Autoencoder, load_autoencoder
    from .weights.checkpoint import load_checkpoint, save_checkpoint

_HOMES = {
    "ArgumentError": "errors",
    "AttentionChangedWarning": "errors",
    "AttentionError": "errors",
    "Autoencoder": "weights.autoencoder",
    "CheckpointError": "errors",
    "DiT": "network.model",
    "DiTConfig": "network.config",
    "DitError": "errors",
    "Guidance": "diffusion.guidance",
    "OutputError": "errors",
    "SampleSettings": "sampling.sample",
    "StudyOptions": "study.options",
    "TrainOptions": "training.options",
    "diffusion_loss": "diffusion.loss",
    "linear_schedule": "diffusion.schedule",
    "load_autoencoder": "weights.autoencoder",
    "load_checkpoint": "weights.checkpoint",
    "make_run": "training.start",
    "respace": "diffusion.schedule",
    "run_study": "study.run",
    "sample": "sampling.sample",
    "save_checkpoint": "weights.checkpoint",
    "window_attention": "attention.window",
}

__all__ = [
    "ArgumentError",
    "AttentionChangedWarning",
    "AttentionError",
    "Autoencoder",
    "CheckpointError",
    "DiT",
    "DiTConfig",
    "DitError",
    "Guidance",
    "OutputError",
    "SampleSettings",
    "StudyOptions",
    "TrainOptions",
    "diffusion_loss",
    "linear_schedule",
    "load_autoencoder",
    "load_checkpoint",
    "make_run",
    "respace",
    "run_study",
    "sample",
    "save_checkpoint",
    "window_attention",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
