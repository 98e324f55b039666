"""The Diffusion Transformer with adaLN-Zero blocks (Peebles & Xie, arXiv 2212.09748), official parameter names."""

import warnings
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ..attention import Attention as Attend
from ..attention.choose import Choice, choose_attention
from ..attention.neighbours import Border
from ..attention.settings import AttentionSettings
from ..errors import ArgumentError, AttentionChangedWarning
from .autoencoder_record import AutoencoderRecord
from .config import DiTConfig
from .embeddings import LabelEmbedder, TimestepEmbedder, position_table
from .layers import DiTBlock, FinalLayer, PatchEmbed
from .process import DIT_PROCESS, Process
from .rotary import RotaryPositions

# Matrix products of fewer rows than this go through other CPU kernels and round differently: conditioning is
# computed on at least this many rows, so that an image does not depend on the size of its batch.
_MIN_ROWS = 16


class DiT(nn.Module):
    """Noisy images, timesteps and labels -> predicted noise (and raw variance where it is learned).

    The parameters and their names are those of the official implementation, so official state dicts load strictly; with
    the layers of LightningDiT (arXiv 2501.01423), which the configuration names, those of its implementation.
    """

    pos_embed: Tensor

    def __init__(self, config: DiTConfig) -> None:
        super().__init__()
        self.config = config
        width = config.hidden_size
        self.x_embedder = PatchEmbed(config.patch_size, config.in_channels, width)
        self.t_embedder = TimestepEmbedder(width)
        self.y_embedder = (
            LabelEmbedder(config.num_classes, width, config.class_dropout_prob) if config.num_classes else None
        )
        table = torch.from_numpy(position_table(width, config.grid)).float()[None]
        self.pos_embed = nn.Parameter(table, requires_grad=False)
        self.feat_rope = RotaryPositions(config.head_dim, config.grid) if config.rotary else None
        self.blocks = nn.ModuleList(DiTBlock(config) for _ in range(config.depth))
        self.final_layer = FinalLayer(config)
        self.attention_settings = config.attention_settings
        self.autoencoder_record: AutoencoderRecord | None = None  # of the latents it makes, where that is known
        self.process: Process = DIT_PROCESS  # that it is, or will be, trained for
        if not self.x_embedder.proj.weight.is_meta:  # else weights will be loaded
            self.initialise()

    def __call__(
        self, x_t: Tensor, timesteps: Tensor, class_labels: Tensor | None = None, *more: Any, **named: Any
    ) -> Tensor:
        """`forward`; after `compile` and outside training one graph serves all batches of two images or more."""
        if self._compiled_call_impl is not None and not self.training:
            _vary_in_batch(x_t, timesteps, class_labels)
        result: Tensor = super().__call__(x_t, timesteps, class_labels, *more, **named)
        return result

    def initialise(self) -> None:
        """Draw the weights as the paper does: every block starts as the identity, the output as zero."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)
        nn.init.xavier_uniform_(self.x_embedder.proj.weight.data.flatten(1))
        nn.init.zeros_(self.x_embedder.proj.bias)  # type: ignore[arg-type]
        if self.y_embedder is not None:
            nn.init.normal_(self.y_embedder.embedding_table.weight, std=0.02)
        for name, parameter in self.t_embedder.named_parameters():
            if name.endswith("weight"):
                nn.init.normal_(parameter, std=0.02)
        for module in (*self.blocks, self.final_layer):
            nn.init.zeros_(module.adaLN_modulation[1].weight)
        nn.init.zeros_(self.final_layer.linear.weight)

    def forward(
        self,
        x_t: Tensor,
        timesteps: Tensor,
        class_labels: Tensor | None = None,
        attention: tuple[Attend, ...] | None = None,
        drop: Tensor | None = None,
        recompute: bool = False,
    ) -> Tensor:
        """Predict the noise in `x_t`, or whatever the model's `process` predicts.

        Args:
            x_t: (B, in_channels, input_size, input_size).
            timesteps: (B,), original timesteps 0..999 of the training schedule; of a flow, times in [0, 1].
            class_labels: int64 (B,), 0..num_classes-1, num_classes for the null label; None for an unconditional
                model, or for the null label everywhere.
            attention: one function per block instead of `attention_settings`, from `attention_functions`.
            drop: bool (B,), labels that become the null label; when training and not given, by chance.
            recompute: keep no activations inside the blocks for the backward pass, compute them again.

        Returns:
            (B, out_channels, input_size, input_size): noise, or a velocity; then raw variance v where learn_sigma.
        """
        batch = len(x_t)
        self._check(x_t, timesteps, class_labels)
        c = self.conditioning(timesteps, class_labels, drop)
        x = self.x_embedder(x_t) + self.pos_embed
        for block, attend in zip(self.blocks, attention or self.attention_functions(), strict=True):
            arguments = (x, c, attend, self.feat_rope)
            x = _recomputed(block, *arguments) if recompute else block(*arguments)
        return self.unpatchify(self.final_layer(x, c)[:batch])

    def conditioning(self, timesteps: Tensor, class_labels: Tensor | None, drop: Tensor | None = None) -> Tensor:
        """(B, D), with further rows below 16 outside training: the sum of timestep and label vectors."""
        labels = self._labels(class_labels, timesteps)
        missing = 0 if self.training else max(0, _MIN_ROWS - len(timesteps))
        c: Tensor = self.t_embedder(F.pad(timesteps, (0, missing)))
        if self.y_embedder is not None and labels is not None:
            drop = None if drop is None else F.pad(drop, (0, missing))
            c = c + self.y_embedder(F.pad(labels, (0, missing)), drop)
        return c

    def unpatchify(self, patches: Tensor) -> Tensor:
        """(B, N, patch * patch * C) -> (B, C, H, W); a patch is ordered row, column, channel."""
        rows, columns = self.config.grid
        edge = self.config.patch_size
        x = patches.unflatten(2, (edge, edge, -1)).unflatten(1, (rows, columns))
        return x.permute(0, 5, 1, 3, 2, 4).flatten(4, 5).flatten(2, 3)

    def attention_functions(self, settings: AttentionSettings | None = None) -> tuple[Attend, ...]:
        """One attention function per block, for `forward(attention=...)`; those in use when nothing is given."""
        settings = settings or self.attention_settings
        return settings.build(self.config.depth, self.config.grid, self.pos_embed.device)

    def set_attention(
        self,
        kind: str,
        *,
        window: int | None = None,
        border: Border | None = None,
        dilation: int | None = None,
        batch_size: int = 1,
        dtype: torch.dtype | None = None,
    ) -> Choice | None:
        """Switch the attention, keeping the weights; arguments that are not given stay as in the configuration.

        Args:
            kind: naive, full, xformers, swa, a pattern such as "swa*3,full", or "auto": the meaning in the
                configuration by the engines that are fastest here, measured at `batch_size` and in `dtype`, that of
                the weights where it is None.
            window, border, dilation: of the layers that are swa.

        Returns:
            What "auto" measured and chose, None for any other kind.

        Raises:
            ArgumentError: the kind is unknown or the window does not fit.
            AttentionError: the engine cannot run here.
        """
        config = self.config
        settings = AttentionSettings(
            pattern=config.attention if kind == "auto" else kind,
            window=config.window if window is None else window,
            border=border or config.window_border,
            dilation=config.window_dilation if dilation is None else dilation,
        )
        choice = None
        if kind == "auto":
            settings.check(config.depth, config.grid)
            shape = (batch_size, config.num_heads, config.num_tokens, config.head_dim)
            like = self.pos_embed if dtype is None else self.pos_embed.to(dtype)
            choice = choose_attention(settings, config.depth, config.grid, shape, like)
            settings = choice.settings
        self.attention_functions(settings)
        self.attention_settings = settings
        if settings.meaning(config.depth) != config.attention_settings.meaning(config.depth):
            warnings.warn(
                f"the model was trained with attention {config.attention_settings.describe()} "
                f"and runs with {settings.describe()}",
                AttentionChangedWarning,
                stacklevel=2,
            )
        return choice

    def _labels(self, class_labels: Tensor | None, timesteps: Tensor) -> Tensor | None:
        if class_labels is not None or self.y_embedder is None:
            return class_labels
        if not self.config.has_null_label:
            raise ArgumentError("class_labels: this model has no null label; give a label for each image")
        return torch.full_like(timesteps, self.config.null_label, dtype=torch.int64)

    def _check(self, x_t: Tensor, timesteps: Tensor, class_labels: Tensor | None) -> None:
        size = self.config.input_size
        if x_t.shape[1:] != (self.config.in_channels, size, size):
            raise ArgumentError(f"x_t: expected (B, {self.config.in_channels}, {size}, {size}), got {tuple(x_t.shape)}")
        if timesteps.shape != x_t.shape[:1]:
            raise ArgumentError(f"timesteps: expected ({len(x_t)},), got {tuple(timesteps.shape)}")
        if class_labels is None:
            return
        if self.y_embedder is None:
            raise ArgumentError("class_labels: this model is unconditional; leave the labels out")
        if class_labels.shape != x_t.shape[:1]:
            raise ArgumentError(f"class_labels: expected ({len(x_t)},), got {tuple(class_labels.shape)}")
        if class_labels.device.type == "cpu" and not torch.compiler.is_compiling():
            check_labels(class_labels.tolist(), self.config)


def _vary_in_batch(*inputs: Tensor | None) -> None:
    """Let torch.compile take the batch for a number that varies, without a graph that is for the first one alone."""
    from torch._dynamo import maybe_mark_dynamic

    for tensor in inputs:
        if tensor is not None:
            maybe_mark_dynamic(tensor, 0)


def _recomputed(block: nn.Module, x: Tensor, c: Tensor, attend: Attend, positions: nn.Module | None) -> Tensor:
    """The block without its activations; it draws nothing, so no state of a generator is kept for it."""
    result: Tensor = checkpoint(block, x, c, attend, positions, use_reentrant=False, preserve_rng_state=False)
    return result


def check_labels(labels: list[int], config: DiTConfig) -> None:
    """Raise ArgumentError for a label that the model does not have."""
    rows = config.num_classes + config.has_null_label
    wrong = next((label for label in labels if not 0 <= label < rows), None)
    if wrong is not None:
        null = f" ({config.null_label} is the null label)" if config.has_null_label else ""
        raise ArgumentError(f"label {wrong}: this model has the classes 0 to {config.num_classes - 1}{null}")
