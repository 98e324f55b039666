"""The weights that a run starts from: drawn, or those of a checkpoint."""

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import torch

from ..errors import ArgumentError, CheckpointError, UnsaidError
from ..network.autoencoder_record import AutoencoderRecord
from ..network.config import DiTConfig
from ..network.embeddings import position_table
from ..network.model import DiT
from ..network.process import DIT_PROCESS, Diffusion, Process
from ..weights.autoencoder import Autoencoder, check_latents
from ..weights.checkpoint import Checkpoint, build_model, read_checkpoint
from ..weights.digest import weights_digest
from .options import TrainOptions

_TABLES = ("pos_embed", "feat_rope.freqs_cos", "feat_rope.freqs_sin")  # of positions, for one size of the input
_LABELS = "y_embedder."


@dataclass(frozen=True)
class Initial:
    """Makes the model as it is before the first step, as often as it is called; the global seed is set.

    Attributes:
        config: of the model.
        seed: of what is drawn.
        checkpoint: whose weights are taken; None draws all of them.
        record: of the autoencoder whose latents the model will make.
        process: that the model is trained for.
    """

    config: DiTConfig
    seed: int
    checkpoint: Checkpoint | None = None
    record: AutoencoderRecord | None = None
    process: Process = DIT_PROCESS

    def __call__(self) -> DiT:
        """A new model."""
        from accelerate.utils import set_seed

        set_seed(self.seed)
        model = DiT(self.config)
        model.autoencoder_record, model.process = self.record, self.process
        if self.checkpoint is not None:
            with torch.no_grad():
                for name, value in model.state_dict().items():
                    if not self._starts_anew(name):
                        value.copy_(self.checkpoint.state[name])
        return model

    def _starts_anew(self, name: str) -> bool:
        if name in _TABLES:
            return self.checkpoint is None or self.checkpoint.config.grid != self.config.grid
        return name.startswith(_LABELS) and self.labels_start_anew

    @property
    def labels_start_anew(self) -> bool:
        """Whether the checkpoint has other classes than the pictures."""
        if self.checkpoint is None:
            return False
        before, now = self.checkpoint.config, self.config
        return (before.num_classes, before.has_null_label) != (now.num_classes, now.has_null_label)

    @cached_property
    def weights_sha256(self) -> str | None:
        """The hash of the checkpoint's weights."""
        return None if self.checkpoint is None else weights_digest(self.checkpoint.state)

    def __str__(self) -> str:
        """One line about the checkpoint for people."""
        if self.checkpoint is None:
            return "starts from random weights"
        before, now = self.checkpoint.config, self.config
        changes = []
        if before.attention_settings != now.attention_settings:
            changes.append(f"attention {before.attention_settings.describe()} -> {now.attention_settings.describe()}")
        if before.input_size != now.input_size:
            own = "" if _has_sines(self.checkpoint) else ", with sine and cosine positions instead of its own"
            changes.append(f"input {before.input_size} -> {now.input_size}{own}")
        if self.labels_start_anew:
            changes.append(f"{before.num_classes} -> {now.num_classes} classes, whose embeddings are newly initialised")
        return f"starts from {self.checkpoint.path}" + (f" ({'; '.join(changes)})" if changes else "")


def _has_sines(checkpoint: Checkpoint) -> bool:
    """Whether its table of positions is the published one, up to the rounding of half precision."""
    config = checkpoint.config
    table = torch.from_numpy(position_table(config.hidden_size, config.grid)).float()
    return torch.allclose(checkpoint.state["pos_embed"][0].float(), table, rtol=0, atol=0.01)


def read_initial(source: str | Path, autoencoder: Autoencoder | None) -> Checkpoint:
    """A checkpoint to start from; raises CheckpointError for one whose latents are another autoencoder's."""
    try:
        checkpoint = read_checkpoint(source)
    except UnsaidError as error:
        raise CheckpointError(
            f"{error}; to start from it, give this to `dit-gen convert IN OUT.safetensors` first"
        ) from error
    model = build_model(checkpoint)  # every key and shape is right
    if autoencoder is not None:
        check_latents(model, autoencoder)
    return checkpoint


def initial_process(checkpoint: Checkpoint, options: TrainOptions) -> Process:
    """The checkpoint's; raises ArgumentError where the options name another objective."""
    process = checkpoint.process
    if options.objective not in (None, process.objective):
        raise ArgumentError(
            f"`objective={options.objective}`: {checkpoint.path} was trained for {process.objective}; leave it out"
        )
    if isinstance(process, Diffusion) and not process.trains_as_dit:
        raise CheckpointError(
            f"{checkpoint.path}: was trained with other betas or another prediction than DiT's; training goes on with "
            "DiT's diffusion or a velocity only"
        )
    return process


def initial_config(
    checkpoint: Checkpoint, options: TrainOptions, input_size: int, channels: int, classes: int
) -> DiTConfig:
    """The shape of the checkpoint with the attention of the options, for inputs (channels, input_size, input_size)."""
    if checkpoint.config.in_channels != channels:
        raise CheckpointError(
            f"{checkpoint.path}: the model sees {checkpoint.config.in_channels} channels, the pictures have {channels} "
            f'in `space="{options.space}"`; take another checkpoint, `space` or `channels`'
        )
    options.check_patches(input_size, checkpoint.config.patch_size)
    return replace(
        checkpoint.config,
        input_size=input_size,
        num_classes=classes,
        attention=options.attention,
        window=options.window,
        window_border=options.border,
        window_dilation=options.dilation,
    )
