"""All that can be asked of a training run besides its pictures and its folder: one record, checked when it is made."""

import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from cmmd_toolkit.pictures.decode import MAX_PIXELS

from ..attention.neighbours import Border
from ..common.types import check_least
from ..data.pictures import Crop
from ..data.reading import OnError
from ..diffusion.schedule import NUM_TRAIN_TIMESTEPS
from ..errors import ArgumentError
from ..network.config import DiTConfig
from ..sampling.sample import SampleSettings
from .loop import TrainSettings

LEAST_SCORED = 4  # pictures per side
MEMORY = 4 * 10**9
_SHAPE = ("hidden_size", "depth", "num_heads", "patch_size")
_EPOCHS = 100.0
_MOST_EPOCHS = 1e9
_LEAST_STEPS = 2  # of ddpm
# Beside the defaults, those of the report that docs/study.md compares with: "small" is for two cores and an hour.
_SMALL: dict[str, Any] = {
    "model": "DiT-S/2", "image_size": 32, "space": "pixel", "batch_size": 32, "learning_rate": 5e-4,
    "ema_decay": 0.999, "steps": 3000, "save_every": 200, "hidden_size": 192, "depth": 6, "num_heads": 6,
}  # fmt: skip
PRESETS: dict[str, dict[str, Any]] = {"report": {}, "small": _SMALL}


@dataclass(frozen=True, kw_only=True)
class TrainOptions(TrainSettings):
    """A training run: the shape of the model, how pictures become batches, the steps, and what happens between them.

    The defaults are those of the report that docs/study.md compares with: an unconditional DiT-B/4 on the latents of
    256-pixel pictures, batches of 4, Adam at 1e-4, 100 epochs.

    Attributes:
        model: a published shape, DiT-S/8 to DiT-XL/2, or LightningDiT-B/1 to LightningDiT-1p6B/2 with its layers.
        hidden_size, depth, num_heads, patch_size: override the shape's numbers; None keeps them.
        attention: kind of each layer: naive, full, xformers, swa, or a pattern such as "swa*3,full".
        window, border, dilation: of the layers that are swa; the window is odd, in tokens.
        objective: "noise", DiT's diffusion, or "velocity", SiT's flow on the linear path; None is that of `init`, else
            "noise".
        qk_norm: normalise queries and keys, which keeps attention stable at large learning rates; not with `init`.
        learn_sigma: also learn the variance; None is True for noise and False for a velocity, which has none.
        image_size: rows (= columns) of the pictures, in pixels.
        space: "latent" trains on an autoencoder's latents, "pixel" on the pixels themselves.
        channels: 3 for colour, 1 for grey.
        max_pixels: a file with more (rows times columns) is refused before it is decoded.
        on_error: "skip" leaves unusable pictures out, "fail" refuses the set.
        memory: bytes of decoded pictures that each process may hold; larger sets are decoded as needed.
        workers: decoding threads in each process; None is one per core of the process, at most eight.
        conditional: the folders among the pictures are classes, or what their dataset.json says.
        crop: "centre", or "random" squares of pixels.
        flip: mirror half of the pictures.
        autoencoder: a folder or an id on the hub, for latents; None is stabilityai/sd-vae-ft-ema.
        latent_stats: a file of the mean and std of each channel, by which the model sees latents; see LightningDiT.
        latents: folder that keeps the encoded pictures; None is the run's folder with .latents at its end.
        init: a checkpoint whose weights training starts from, as `load_checkpoint` reads it; its shape is the model's,
            the attention may differ, for example a window instead of full. None starts from random weights.
        steps, epochs: length of the training, in steps or in passes over the pictures; None and None is 100 passes.
        batch_size, learning_rate, warmup, learning_rate_schedule, ema_decay, ema_warmup, clip, accumulate, precision,
            tf32, recompute, timestep_sampling, direction_loss, seed: see `TrainSettings`.
        compiled: by torch.compile.
        log_every, save_every: steps from one line of the log, one checkpoint, to the next, 1 or more.
        sample_every, eval_every: the same for a sheet of samples and for a score; None is never.
        sample_steps: of the samples of sheets and scores, out of 1000.
        eval_backbone, eval_images: what scores are taken on, and of how many samples, 4 or more.
        keep_evaluations: keep the samples of every score in the run's folder, for `cmmd watch`.
        held_out: share of the pictures that scores compare with, above 0 and below 1; none where there are no scores.
        device: "auto" is a GPU where there is one, else the CPU.

    Raises ArgumentError for a value that cannot be.
    """

    model: str = "DiT-B/4"
    hidden_size: int | None = None
    depth: int | None = None
    num_heads: int | None = None
    patch_size: int | None = None
    attention: str = "full"
    window: int = 3
    border: Border = "shift"
    dilation: int = 1
    objective: Literal["noise", "velocity"] | None = None
    qk_norm: bool = False
    learn_sigma: bool | None = None
    image_size: int = 256
    space: Literal["latent", "pixel"] = "latent"
    channels: Literal[1, 3] = 3
    max_pixels: int = MAX_PIXELS
    on_error: OnError = "fail"
    memory: int = MEMORY
    workers: int | None = None
    conditional: bool = False
    crop: Crop = "centre"
    flip: bool = True
    autoencoder: str | Path | None = None
    latent_stats: str | Path | None = None
    latents: str | Path | None = None
    init: str | Path | None = None
    steps: int | None = None
    epochs: float | None = None
    compiled: bool = False
    log_every: int = 50
    save_every: int = 1000
    sample_every: int | None = None
    sample_steps: int = 50
    eval_every: int | None = None
    eval_backbone: str = "mini"
    eval_images: int = 256
    keep_evaluations: bool = False
    held_out: float = 0.1
    device: Literal["auto", "cpu"] = "auto"

    @classmethod
    def preset(cls, name: str = "report", **changes: Any) -> "TrainOptions":
        """A preset by its name, "report" or "small"; keywords change its fields, and None leaves them as they are."""
        if name not in PRESETS:
            raise ArgumentError(f"preset: expected {' or '.join(PRESETS)}, got {name!r}")
        given = {field: value for field, value in changes.items() if value is not None}
        preset = PRESETS[name]
        own: tuple[str, ...] = ("model", *_SHAPE) if "init" in given else ()  # the checkpoint brings a shape
        own += ("steps",) if "epochs" in given else ()
        return cls(**{**{field: value for field, value in preset.items() if field not in own}, **given})

    def steps_for(self, count: int) -> int:
        """Steps of a run over so many pictures."""
        if self.steps is not None:
            return self.steps
        epochs = _EPOCHS if self.epochs is None else self.epochs
        return max(1, math.ceil(epochs * count / self.batch_size))

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_numbers()
        if self.crop == "random" and self.space == "latent":
            raise ArgumentError('`crop="random"`: latents are encoded once, from the centre; take `crop="centre"`')
        for name in ("autoencoder", "latent_stats"):
            if getattr(self, name) and self.space == "pixel":
                raise ArgumentError(f'`{name}`: is for `space="latent"`')
        if self.space == "pixel" and self.init is None:  # else the checkpoint says its patches
            self.config(self.image_size, self.channels, num_classes=0)
        if self.objective == "velocity" and self.learn_sigma:
            raise ArgumentError("`learn_sigma`: a velocity has no variance to learn; leave it out")
        DiTConfig.preset(self.model)
        if self.epochs is not None and self.steps is not None:
            raise ArgumentError("`epochs`: cannot be combined with `steps`; give one of them")
        if self.epochs is not None and not 0 < self.epochs <= _MOST_EPOCHS:
            raise ArgumentError(f"epochs: expected a number above 0 and at most {_MOST_EPOCHS:g}, got {self.epochs:g}")
        for name in ("model", "qk_norm", *_SHAPE):
            if self.init is not None and getattr(self, name) != getattr(TrainOptions, name):
                raise ArgumentError(f"`{name}`: the shape of the model comes from `init`; leave it out")

    def _check_numbers(self) -> None:
        names = ("image_size", "max_pixels", "steps", "log_every", "save_every", "sample_every", "eval_every")
        check_least(self, 1, *names)
        check_least(self, 0, "memory", "workers")
        check_least(self, LEAST_SCORED, "eval_images")
        if not _LEAST_STEPS <= self.sample_steps <= NUM_TRAIN_TIMESTEPS:
            raise ArgumentError(
                f"sample_steps: expected {_LEAST_STEPS} to {NUM_TRAIN_TIMESTEPS}, got {self.sample_steps}"
            )
        if not 0 < self.held_out < 1:
            raise ArgumentError(f"held_out: expected a share between 0 and 1, got {self.held_out}")
        if self.keep_evaluations and self.eval_every is None:
            raise ArgumentError("keep_evaluations: there are no scores whose samples could be kept; add `eval_every`")

    @property
    def settings(self) -> TrainSettings:
        """What decides the weights besides the pictures and the shape of the model."""
        return TrainSettings(**{field.name: getattr(self, field.name) for field in dataclasses.fields(TrainSettings)})

    @property
    def sampling(self) -> SampleSettings:
        """Of the samples of sheets and scores."""
        return SampleSettings(steps=str(self.sample_steps), seed=self.seed)

    def check_patches(self, input_size: int, patch_size: int) -> None:
        """Raise ArgumentError where no whole number of patches makes the input of these pictures."""
        if patch_size > 0 and input_size % patch_size:
            seen = "" if self.space == "pixel" else f"its latents have {input_size} rows, "
            raise ArgumentError(
                f"`image_size={self.image_size}`: {seen}no multiple of `patch_size` {patch_size}; take another size"
            )

    def config(self, input_size: int, in_channels: int, num_classes: int) -> DiTConfig:
        """The model's configuration for inputs (in_channels, input_size, input_size)."""
        shape = {name: getattr(self, name) for name in _SHAPE if getattr(self, name) is not None}
        self.check_patches(input_size, self.patch_size or DiTConfig.preset(self.model).patch_size)
        return DiTConfig.preset(
            self.model,
            input_size=input_size,
            in_channels=in_channels,
            num_classes=num_classes,
            learn_sigma=self.objective != "velocity" if self.learn_sigma is None else self.learn_sigma,
            qk_norm=self.qk_norm,
            attention=self.attention,
            window=self.window,
            window_border=self.border,
            window_dilation=self.dilation,
            **shape,
        )
