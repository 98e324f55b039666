"""`dit-gen train` from its options to the end."""

from pathlib import Path
from typing import Any

from cmmd_toolkit.common.progress import show_progress

from ..common.shell import say
from ..errors import ArgumentError
from ..training.options import TrainOptions
from ..training.start import make_run


def train_options(*, channels: str, **given: Any) -> TrainOptions:
    """The record of what click gives; None is left to the preset."""
    if given["epochs"] is not None and given["steps"] is not None:
        raise ArgumentError("--epochs: says how long training goes on, and so does --steps; give one of them")
    return TrainOptions.preset(given.pop("preset"), channels=int(channels), **given)


def run_training(pictures: Path, out: Path, options: TrainOptions) -> bool:
    """Train to the end and say how it goes; returns False when Ctrl-C stopped it."""
    return make_run(pictures, out, options, say=say, show_progress=show_progress).run()
