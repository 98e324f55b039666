"""Mean and deviation of latents a channel, by which some models see them: LightningDiT's latents_stats.pt."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from cmmd_toolkit.common.text import first_line

from ..errors import CheckpointError
from .autoencoder import Autoencoder, per_channel
from .checkpoint import Checkpoint


def with_latent_stats(autoencoder: Autoencoder, path: str | Path) -> Autoencoder:
    """The same, between whose latents z and those of the model is (z - mean) / std of each channel.

    Args:
        path: what torch.save wrote of a dict of `mean` and `std`, one number a channel in any shape, such as
            (1, C, 1, 1); or a .safetensors file of two such tensors.

    Raises CheckpointError for a file that is none, and for another number of channels than the autoencoder has.
    """
    mean, deviation = _read(Path(path).expanduser())
    channels = autoencoder.network.config.get("latent_channels")
    if not mean.numel() == deviation.numel() == channels:
        raise CheckpointError(
            f"{path}: has mean and std of {mean.numel()} and {deviation.numel()} channels, the latents of "
            f"{autoencoder.source} have {channels}; give the statistics of this autoencoder"
        )
    scale, shift = per_channel(mean.flatten().tolist(), deviation.flatten().tolist(), 1.0, str(path))
    return replace(autoencoder, scale=scale, shift=shift)


def lacks_stats(checkpoint: Checkpoint | None, autoencoder: Autoencoder | None) -> str | None:
    """What to say of latents without mean and std of each channel where the weights came from LightningDiT.

    Its layers tell that, where no run here wrote them.
    """
    if checkpoint is None or autoencoder is None or isinstance(autoencoder.scale, tuple):
        return None
    if not checkpoint.config.rotary or checkpoint.record is not None or checkpoint.trained_here:
        return None
    return (
        "warning: LightningDiT's published models see latents by mean and std of each channel, and neither "
        f"`latent_stats` nor {autoencoder.source} has them"
    )


def _read(path: Path) -> tuple[Tensor, Tensor]:
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file; expected the mean and std of latents, such as latents_stats.pt")
    try:
        content: Any = (
            load_file(path)
            if path.suffix == ".safetensors"
            else torch.load(path, map_location="cpu", weights_only=True)
        )
    except Exception as error:  # damage shows as any exception of any reader
        raise CheckpointError(f"{path}: not readable ({first_line(error)}); fetch it again") from error
    named = content if isinstance(content, dict) else {}
    mean, deviation = named.get("mean"), named.get("std")
    if not (isinstance(mean, Tensor) and isinstance(deviation, Tensor)):
        raise CheckpointError(f"{path}: expected a dict with the tensors mean and std")
    return mean.double(), deviation.double()
