"""`dit-gen train` from its options to the end."""

from pathlib import Path
from typing import Any

from cmmd_toolkit.common.arguments import parse_size
from cmmd_toolkit.common.progress import show_progress

from ..common.shell import say
from ..training.options import TrainOptions
from ..training.start import make_run


def train_options(*, channels: str, memory: str, **given: Any) -> TrainOptions:
    """The record of what click gives; None is left to the preset."""
    bytes_held = parse_size(memory, "--memory")
    return TrainOptions.preset(given.pop("preset"), channels=int(channels), memory=bytes_held, **given)


def run_training(pictures: str, out: Path, options: TrainOptions) -> bool:
    """Train to the end and say how it goes; returns False when Ctrl-C stopped it."""
    return make_run(pictures, out, options, say=say, show_progress=show_progress).run()
