"""Latents <-> pixels: diffusers' AutoencoderKL or AutoencoderTiny, or nothing for models of pixels."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from cmmd_toolkit.common.text import first_line

from ..common.precision import Precision, autocast
from ..errors import CheckpointError
from .digest import weights_digest
from .files import read_fields
from .hub import find_on_hub, is_hub_id

if TYPE_CHECKING:
    from ..network.model import DiT

DEFAULT = "stabilityai/sd-vae-ft-ema"
_CLASSES = ("AutoencoderKL", "AutoencoderTiny")
_MOST_LAYERS = 64
ENCODED_AT_ONCE = 8  # a few, so that memory stays flat; and decoded
_PATTERNS = ("config.json", "diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.bin")


@dataclass(frozen=True)
class Autoencoder:
    """A diffusers autoencoder, and the normalisation of its latents z for the DiT: (z - shift) scale.

    Both are numbers (0 and 0.18215 for DiT's), or one for each channel.
    `precision` is that of `decode`: fp32, or bf16 or fp16 by autocast.
    """

    network: Any
    source: str
    scale: float | tuple[float, ...]
    shift: float | tuple[float, ...]
    precision: Precision = "fp32"

    @property
    def device(self) -> torch.device:
        """Where it is."""
        return next(iter(self.network.parameters())).device

    @cached_property
    def weights_sha256(self) -> str:
        """The hash of its weights."""
        return weights_digest(self.network.state_dict())

    @property
    def factors(self) -> dict[str, Any]:
        """`scale` and `shift` as JSON values."""
        both = {"scale": self.scale, "shift": self.shift}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in both.items()}

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        """Latents (B, C, h, w) as the DiT sees them -> images (B, 3, H, W) in about [-1, 1].

        A few at a time, so that memory stays flat; on a CPU one, so that an image does not depend on its batch.
        """
        parts = _few(latents / _along_channels(self.scale, latents) + _along_channels(self.shift, latents))
        with autocast(self.precision, latents.device):
            images = torch.cat([self.network.decode(part).sample for part in parts])
        return images.float()

    @torch.no_grad()
    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Images (B, 3, H, W) in [-1, 1] -> mean and standard deviation of the latents as the DiT sees them.

        As many at a time as `decode` takes.
        """
        encoded = [self.network.encode(part) for part in _few(images)]
        if hasattr(encoded[0], "latent_dist"):
            means = torch.cat([e.latent_dist.mean for e in encoded])
            deviations = torch.cat([e.latent_dist.std for e in encoded])
        else:
            means = torch.cat([e.latents for e in encoded])
            deviations = torch.zeros_like(means)
        scale, shift = _along_channels(self.scale, means), _along_channels(self.shift, means)
        return (means - shift) * scale, deviations * scale


def per_channel(mean: Any, deviation: Any, scale: float, where: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """`scale` and `shift` of an autoencoder whose latents are normalised: (z - mean) / deviation, times `scale`.

    Raises CheckpointError for what are no numbers, one for each channel, or deviations that are not above 0.
    """
    try:
        means, deviations = ([float(value) for value in values] for values in (mean, deviation))
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"{where}: expected mean and deviation of each channel of the latents") from error
    finite = all(abs(value) < math.inf for value in (*means, *deviations))
    if len(means) != len(deviations) or not finite or not all(value > 0 for value in deviations):
        raise CheckpointError(
            f"{where}: expected as many means of latents as deviations, all of them finite and deviations above 0"
        )
    return tuple(scale / value for value in deviations), tuple(means)


def _between(config: Mapping[str, Any], folder: Path) -> tuple[Any, Any]:
    """As diffusers has it: scaling_factor and shift_factor, or latents_mean and latents_std of each channel."""
    scale = _number(config.get("scaling_factor") or 1.0, folder)
    shift = _number(config.get("shift_factor") or 0.0, folder)
    mean, deviation = config.get("latents_mean"), config.get("latents_std")
    if mean is None and deviation is None:
        return scale, shift
    between = per_channel(mean, deviation, scale, str(folder))
    if len(between[0]) != config.get("latent_channels"):
        raise CheckpointError(f"{folder}: latents_mean: expected one number for each channel of the latents")
    return between


def _along_channels(value: float | tuple[float, ...], like: Tensor) -> Any:
    return value if isinstance(value, float | int) else torch.tensor(value, device=like.device).reshape(1, -1, 1, 1)


def _few(images: Tensor) -> tuple[Tensor, ...]:
    """Parts of a batch; of one on a CPU, so that an image does not depend on its batch."""
    return images.split(1 if images.device.type == "cpu" else ENCODED_AT_ONCE)


def load_autoencoder(source: str | Path, device: str | torch.device = "cpu") -> Autoencoder:
    """An autoencoder from a save_pretrained folder, the local cache or the hub, in that order.

    Raises CheckpointError when it is not found, damaged, or neither AutoencoderKL nor AutoencoderTiny.
    """
    import diffusers

    path = Path(source).expanduser()
    if not path.exists() and not is_hub_id(str(source)):
        raise CheckpointError(f"autoencoder {source}: no such folder; expected a save_pretrained folder or OWNER/NAME")
    folder = path if path.exists() else find_on_hub(str(source), _PATTERNS)
    fields = read_fields(folder / "config.json", "give a save_pretrained folder")
    if (name := fields.get("_class_name")) not in _CLASSES:
        raise CheckpointError(f"{folder}: is a {name}, expected {' or '.join(_CLASSES)}")
    kind = getattr(diffusers, name)
    try:
        _check_size(kind, fields, folder)
        network, told = kind.from_pretrained(
            folder, local_files_only=True, low_cpu_mem_usage=False, output_loading_info=True
        )
        _check_whole(told)
    except Exception as error:  # safetensors errors, OSError, ValueError and RuntimeError of shapes
        reason = first_line(error)
        raise CheckpointError(
            f"{folder}: the {kind.__name__} in it cannot be read ({reason}); fetch it again"
        ) from error
    scale, shift = _between(network.config, folder)
    network = network.to(device).eval().requires_grad_(False)
    if next(network.parameters()).device.type == "cuda":
        network.to(memory_format=torch.channels_last)  # cuDNN's own layout
    return Autoencoder(network, str(source), scale, shift)


def check_latents(model: "DiT", autoencoder: Autoencoder) -> None:
    """Raise CheckpointError when the model's latents are not this autoencoder's, as far as both say."""
    channels = autoencoder.network.config.get("latent_channels")
    if channels != model.config.in_channels:
        raise CheckpointError(
            f"autoencoder {autoencoder.source}: has latents of {channels} channels, the model makes "
            f"{model.config.in_channels}; give the autoencoder it was trained with by `autoencoder=PATH`"
        )
    if model.autoencoder_record is not None:
        model.autoencoder_record.check(autoencoder)


def _number(value: Any, folder: Path) -> float:
    if type(value) not in (int, float) or not abs(value) < math.inf:
        raise CheckpointError(f"{folder}: scaling_factor or shift_factor: expected a number, got {value!r}")
    return float(value)


def _check_whole(told: dict[str, Any]) -> None:
    """Raise ValueError where weights are absent, which diffusers would draw at random, or are of another network."""
    for kind in ("missing_keys", "unexpected_keys", "mismatched_keys", "error_msgs"):
        if names := list(told.get(kind) or ()):
            raise ValueError(f"{kind.replace('_', ' ')}: {names[0]}, {len(names)} in all")


def _check_size(kind: Any, fields: dict[str, Any], folder: Path) -> None:
    """Raise ValueError for a configuration of a network larger than its file, before memory is taken for it."""
    layers = fields.get("layers_per_block", 1)
    blocks = max((len(value) for value in fields.values() if isinstance(value, list)), default=0)
    if not isinstance(layers, int) or max(layers, blocks) > _MOST_LAYERS:
        raise ValueError(f"layers_per_block {layers} or {blocks} blocks")
    with torch.device("meta"):
        count = sum(weight.numel() for weight in kind.from_config(fields).parameters())
    size = sum(path.stat().st_size for path in folder.glob("diffusion_pytorch_model*") if path.is_file())
    if count > size:
        raise ValueError(f"its config.json describes {count} weights, the file has {size} bytes")
