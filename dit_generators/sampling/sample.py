"""From a model and settings to pictures: one batch at a time, each image from its own noise."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..common.precision import Precision, autocast, kept_casts
from ..common.types import check_above_0, check_least, check_types
from ..diffusion.adaptive import dopri5
from ..diffusion.flow import FLOW_SAMPLERS, euler, heun, last_time, ode_times, sde, sde_times
from ..diffusion.guidance import Guidance, guided
from ..diffusion.noise import Draw, GivenNoise, ImageNoise, OfficialNoise, drawn_ahead, image_label, read_noise
from ..diffusion.samplers import Predict, PredictByStep, Step, ddim, ddpm
from ..diffusion.schedule import NUM_TRAIN_TIMESTEPS, respace, respaced_timesteps, schedule_of
from ..diffusion.solvers import SOLVERS, solve
from ..errors import ArgumentError, SamplingError
from ..network.model import DiT, check_labels
from ..network.process import Diffusion, Flow, Process
from ..weights.autoencoder import Autoencoder

SAMPLERS = ("ddpm", "ddim", *SOLVERS)  # of models of noise
_PIXEL_CHANNELS = (1, 3)
_SEEDS = 2**64  # of torch's generators
_MOST_STEPS = 100_000  # of a flow
_ABOUT = 100  # evaluations of dopri5, which nobody knows before


@dataclass(frozen=True)
class SampleSettings:
    """All settings that determine an image, besides the model and the number of the image.

    Attributes:
        sampler: ddpm, ddim, dpm-solver++ or unipc for a model that predicts noise; euler, heun, dopri5 or sde for a
            flow; None is ddpm or euler.
        steps: how many of the 1000 training steps are taken, or into how many a flow is cut; also "ddimS" and "a,b,c"
            for ddpm and ddim. dopri5 chooses its own steps and ignores this.
        eta: noise of ddim; 0 is deterministic, 1 as much as ddpm.
        timestep_shift: of a flow, above 0: below 1 takes smaller steps near the noise; LightningDiT takes 0.3.
        guidance: see `Guidance`.
        seed: of the run; image i has the stream (seed, i).
        official_batch: draw the noise as the official script does for one batch of this many images; None gives each
            image its own stream.
        noise: an .npy file of the noise to start from, (N, C, H, W), or of all draws, (N, steps + 1, C, H, W).
        labels: classes that the images cycle through; "all" is every class, None draws one for each image.
        precision: fp32, or bf16 or fp16 by autocast, which change images.
        rtol, atol: relative and absolute error that dopri5 allows per step, above 0.
    """

    sampler: str | None = None
    steps: str = "50"
    eta: float = 0.0
    timestep_shift: float = 1.0
    guidance: Guidance = field(default_factory=Guidance)
    seed: int = 0
    official_batch: int | None = None
    noise: str | None = None
    labels: tuple[int, ...] | Literal["all"] | None = None
    precision: Precision = "fp32"
    rtol: float = 1e-3
    atol: float = 1e-6

    def check(self, model: DiT) -> None:
        """Raise ArgumentError for settings that this model cannot run."""
        if isinstance(self.labels, str) and self.labels != "all":
            raise ArgumentError(f'labels: expected numbers of classes, or "all", got {self.labels!r}')
        check_types(self)
        check_above_0(self, "timestep_shift", "rtol", "atol")
        check_least(self, 0, "seed")
        sampler = self.sampler_for(model.process)
        known = FLOW_SAMPLERS if isinstance(model.process, Flow) else SAMPLERS
        if sampler not in known:
            raise ArgumentError(
                f"sampler: expected {', '.join(known)} for a model of {model.process.objective}, got {sampler!r}"
            )
        self._check_steps(sampler)
        self._check_tolerances(sampler)
        if self.timestep_shift != 1 and sampler not in FLOW_SAMPLERS:
            raise ArgumentError(f"timestep_shift: is only for flows, not for sampler {sampler}")
        self._check_official(sampler)
        if not 0 <= self.eta <= 1:
            raise ArgumentError(f"eta: expected 0 to 1, got {self.eta}")
        if self.eta and sampler != "ddim":
            raise ArgumentError(f"eta: is for `sampler='ddim'`, not {sampler}")
        if self.labels is not None:
            if not model.config.num_classes:
                raise ArgumentError("labels: this model is unconditional; leave them out")
            if self.labels != "all":
                check_labels(list(self.labels), model.config)
        self.guidance.check(model)
        self._check_interval(model.process)

    def sampler_for(self, process: Process) -> str:
        """The sampler by its name; that of the process where none is given."""
        return self.sampler or ("euler" if isinstance(process, Flow) else "ddpm")

    def num_evaluations(self, process: Process) -> int:
        """Passes through the network for one image, without guidance."""
        sampler = self.sampler_for(process)
        if sampler == "dopri5":
            return _ABOUT
        if sampler in ("ddpm", "ddim"):
            return len(respaced_timesteps(NUM_TRAIN_TIMESTEPS, self.steps))
        return 2 * int(self.steps) - 1 if sampler == "heun" else int(self.steps)

    def _check_steps(self, sampler: str) -> None:
        if sampler == "dopri5":
            return
        flow = sampler in FLOW_SAMPLERS
        if (flow or sampler in SOLVERS) and not self.steps.isdecimal():
            raise ArgumentError(f"steps: {sampler} takes a number of steps, got {self.steps}")
        count = int(self.steps) if flow else len(respaced_timesteps(NUM_TRAIN_TIMESTEPS, self.steps))
        least = 2 if sampler in ("ddpm", "ddim", "sde") else 1
        if count < least:
            raise ArgumentError(f"steps: {sampler} needs {least} steps or more, got {self.steps}")
        if count > _MOST_STEPS:
            raise ArgumentError(f"steps: expected at most {_MOST_STEPS:,}, got {self.steps}")

    def _check_tolerances(self, sampler: str) -> None:
        for name in ("rtol", "atol"):
            if sampler != "dopri5" and getattr(self, name) != getattr(SampleSettings, name):
                raise ArgumentError(f"{name}: is for `sampler='dopri5'`, not {sampler}")
        if sampler == "dopri5" and self.timestep_shift != 1:
            raise ArgumentError("timestep_shift: dopri5 chooses its own steps; use euler or heun")

    def _check_official(self, sampler: str) -> None:
        if self.official_batch is None:
            return
        if sampler == "sde":
            raise ArgumentError("official_batch: is the noise of DiT's script, which has no sde; leave it out")
        check_least(self, 1, "official_batch")
        if self.seed >= _SEEDS:
            raise ArgumentError(f"seed: the official script takes numbers below 2^64, got {self.seed}")

    def _check_interval(self, process: Process) -> None:
        interval, sampler = self.guidance.interval, self.sampler_for(process)
        if interval is None or self.guidance.scale == 1 or sampler in SOLVERS:
            return
        if sampler == "dopri5":
            raise ArgumentError("guidance.interval: dopri5 uses its own times for each image; use euler or heun")
        if isinstance(process, Flow):
            timesteps: Sequence[float] = [NUM_TRAIN_TIMESTEPS * time for time in self.times(process)[:-1]]
        else:
            timesteps = respaced_timesteps(NUM_TRAIN_TIMESTEPS, self.steps)
        if not any(interval[0] <= timestep <= interval[1] for timestep in timesteps):
            raise ArgumentError(
                f"`guidance.interval={interval[0]},{interval[1]}`: none of the {len(timesteps)} steps lies in it; "
                "take a wider one"
            )

    def times(self, flow: Flow) -> list[float]:
        """The times of a flow's steps, from 1 to 0, or to where its ODE ends."""
        make = sde_times if self.sampler_for(flow) == "sde" else ode_times
        return make(int(self.steps), self.timestep_shift, last_time(flow))

    def labels_in_turn(self, num_classes: int) -> Sequence[int]:
        """The labels that the images take in turn; none where they are drawn."""
        return range(num_classes) if self.labels == "all" else [int(label) for label in self.labels or ()]

    def label(self, index: int, num_classes: int) -> int | None:
        """The class of image `index`; None for an unconditional model."""
        if not num_classes:
            return None
        if not self.labels:
            return image_label(self.seed, index, num_classes)
        return index % num_classes if self.labels == "all" else int(self.labels[index % len(self.labels)])


def sample_states(model: DiT, settings: SampleSettings, indices: Sequence[int]) -> Iterator[Step]:
    """Yield the states of the images `indices` after every step; the last one's `x` is what the model made.

    On a CPU in fp32 image i has the same bits whatever stands beside it in `indices`.
    """
    settings.check(model)
    if not len(indices):
        raise ArgumentError("indices: expected the number of one image or more, got none")
    device = model.pos_embed.device
    config = model.config
    noise = _noise(settings, indices, (config.in_channels, config.input_size, config.input_size), device)
    labels = [settings.label(i, config.num_classes) for i in indices]
    class_labels = torch.tensor(labels, device=device) if config.num_classes else None
    predict = in_precision(guided(model, class_labels, settings.guidance), settings.precision, device)
    with torch.no_grad(), kept_casts(settings.precision, device):
        if isinstance(model.process, Flow):
            yield from _flow_states(predict, noise, settings, model.process)
        else:
            yield from _states(predict, noise, settings, model.process)


def _noise(settings: SampleSettings, indices: Sequence[int], shape: tuple[int, int, int], device: torch.device) -> Draw:
    own: Draw = ImageNoise(settings.seed, indices, shape, device)
    if settings.official_batch is not None:
        if max(indices) >= settings.official_batch:
            raise ArgumentError(f"official_batch: {settings.official_batch} images have no number {max(indices)}")
        own = OfficialNoise(settings.seed, settings.official_batch, indices, shape, device)
    if settings.noise is None:
        return own
    return GivenNoise(_given_noise(settings.noise, max(indices) + 1, shape), indices, device, own)


def check_noise(settings: SampleSettings, model: DiT, num: int) -> None:
    """Raise ArgumentError where the file of `noise` has not the noise of so many images of this model."""
    if settings.noise is None:
        return
    array = _given_noise(settings.noise, num, (model.config.in_channels, *[model.config.input_size] * 2))
    wrong = next((i for i in range(num) if not np.isfinite(array[i]).all()), None)
    if wrong is not None:
        raise ArgumentError(f"noise: {settings.noise} holds NaN or infinity for image {wrong}")


def _given_noise(path: str, num: int, shape: tuple[int, ...]) -> NDArray[Any]:
    array = read_noise(path)
    if array.shape[-3:] != shape or len(array) < num:
        needed = " x ".join(map(str, (num, *shape)))
        raise ArgumentError(f"noise: {path} is {' x '.join(map(str, array.shape))}, {needed} are needed")
    return array


def _flow_states(predict: Predict, noise: Draw, settings: SampleSettings, flow: Flow) -> Iterator[Step]:
    x_t, sampler = noise(), settings.sampler_for(flow)
    if sampler == "dopri5":
        yield from dopri5(predict, x_t, flow, settings.rtol, settings.atol)
        return
    times = settings.times(flow)
    if sampler == "sde":
        with drawn_ahead(noise) as draw:
            yield from sde(predict, x_t, times, flow, draw)
    else:
        yield from (euler if sampler == "euler" else heun)(predict, x_t, times, flow)


def _states(predict: Predict, noise: Draw, settings: SampleSettings, process: Diffusion) -> Iterator[Step]:
    x_t, schedule, sampler = noise(), schedule_of(process), settings.sampler_for(process)
    if sampler in SOLVERS:
        yield from solve(predict, x_t, schedule, int(settings.steps), sampler, process)
    elif sampler == "ddim" and not settings.eta:
        nothing = x_t.new_zeros(())
        yield from ddim(predict, x_t, respace(schedule, settings.steps), lambda: nothing, 0.0, process)
    else:
        with drawn_ahead(noise) as draw:
            if sampler == "ddim":
                yield from ddim(predict, x_t, respace(schedule, settings.steps), draw, settings.eta, process)
            else:
                yield from ddpm(predict, x_t, respace(schedule, settings.steps), draw, process)


def sample(
    model: DiT, settings: SampleSettings, indices: Sequence[int], autoencoder: Autoencoder | None = None
) -> NDArray[np.uint8]:
    """The pictures `indices` of a run, uint8 (B, H, W, C); latents go through `autoencoder`."""
    *_, last = sample_states(model, settings, indices)
    return to_pixels(last.x, autoencoder)


def to_pixels(x: Tensor, autoencoder: Autoencoder | None) -> NDArray[np.uint8]:
    """[-1, 1] -> 127.5 x + 128 cut to 0..255 and to whole numbers, channels last, as official samples are saved.

    Raises SamplingError for NaN and infinity, which would be black or white pixels.
    """
    images = x if autoencoder is None else autoencoder.decode(x)
    if images.shape[1] not in _PIXEL_CHANNELS:
        raise ArgumentError(
            f"{images.shape[1]} channels are not a picture; these are latents, which need an autoencoder"
        )
    if not torch.isfinite(images).all():
        raise SamplingError(_not_finite(x, images))
    pixels = (127.5 * images.float() + 128).clamp(0, 255).to(torch.uint8)
    return np.asarray(pixels.permute(0, 2, 3, 1).cpu().numpy())


def _not_finite(x: Tensor, images: Tensor) -> str:
    maker = "the autoencoder" if torch.isfinite(x).all() else "the network"
    count = int((~torch.isfinite(images.flatten(1)).all(dim=1)).sum())
    return (
        f"{maker} gave NaN or infinity for {count} of {len(images)} images and none of them was written; "
        'take `precision="fp32"`, another checkpoint or a smaller guidance scale'
    )


def makes_pixels(model: DiT) -> bool:
    """Whether the model's output is a picture and no latent: it has 1 or 3 channels."""
    return model.config.in_channels in _PIXEL_CHANNELS


def in_precision(predict: Predict, precision: Precision, device: torch.device) -> Predict:
    """The model function in this precision; its results are float32, so the steps between are too."""
    if precision == "fp32":
        return predict
    if isinstance(predict, PredictByStep):
        return PredictByStep(lambda timestep: in_precision(predict.at(timestep), precision, device))

    def cast(x_t: Tensor, timesteps: Tensor) -> Tensor:
        with autocast(precision, device):
            return predict(x_t, timesteps).float()

    return cast
