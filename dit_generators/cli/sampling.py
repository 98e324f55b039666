"""`dit-gen sample` and `dit-gen sweep` from their options to the end."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import click
import torch

from cmmd_toolkit.common.progress import show_progress
from cmmd_toolkit.common.text import printable

from ..attention.neighbours import Border
from ..common.precision import TYPES, Precision, float32_products
from ..common.processes import joined_processes, pick_device
from ..common.shell import parse_list, say
from ..diffusion.guidance import Channels, Guidance
from ..errors import ArgumentError, CheckpointError
from ..network.model import DiT
from ..sampling.difference import difference_from_fp32
from ..sampling.folder import SampleFolder
from ..sampling.run import SampleRun, remarks, run_sampling
from ..sampling.sample import SampleSettings, makes_pixels
from ..sampling.sweep import Sweep, run_sweep
from ..weights.autoencoder import DEFAULT as DEFAULT_AUTOENCODER, Autoencoder, check_latents, load_autoencoder
from ..weights.checkpoint import Checkpoint, build_model, read_checkpoint
from ..weights.family import Family
from ..weights.hub import bundled_file
from ..weights.latent_stats import lacks_stats, with_latent_stats
from ..weights.young import young_checkpoint
from .given import check_adaptive_options, check_guidance_options, check_window_options

_DEFAULT_CHANNELS = 4  # of the latents of the default autoencoder
_SAME = ("sampler", "eta", "timestep_shift", "seed", "noise", "precision", "rtol", "atol")  # here and in the settings


@dataclass(frozen=True)
class SamplingKeywords:
    """What `sample` and `sweep` share, as click gives it: see `checkpoint_options` and `sampling_options`."""

    checkpoint: str | None
    weights: Literal["ema", "model"] | None
    num_heads: int | None
    family: Family | None
    sampler: str | None
    rtol: float
    atol: float
    eta: float
    timestep_shift: float
    guidance_by: Literal["label", "window"]
    guidance_channels: Channels
    guidance_interval: str | None
    guidance_window: int
    window: int | None
    border: Border | None
    dilation: int | None
    labels: str | None
    seed: int
    rng: Literal["image", "official"]
    noise: str | None
    batch_size: int
    autoencoder: str | None
    latent_stats: str | None
    device: str
    precision: Precision
    vae_precision: Precision
    tf32: bool
    compiled: bool

    @property
    def is_reduced(self) -> bool:
        """Whether anything is computed in less than float32."""
        return self.tf32 or (self.precision, self.vae_precision) != ("fp32", "fp32")

    def settings(self, steps: str, scale: float, num: int) -> SampleSettings:
        """Of `dit-gen sample`, and of one cell of `dit-gen sweep`."""
        if num < 1:
            raise ArgumentError(f"--num: expected 1 or more, got {num}")
        guidance = (scale, self.guidance_by, self.guidance_channels, self._interval(), self.guidance_window)
        return SampleSettings(
            steps=steps,
            guidance=Guidance(*guidance),
            official_batch=num if self.rng == "official" else None,
            labels=self._labels(),
            **{name: getattr(self, name) for name in _SAME},
        )

    def switch(self, model: DiT, attention: str | None, *, guided: bool = False) -> None:
        """Set this attention, None for the model's own, with the window that is asked for; `auto` says its choice."""
        guided_by_label = guided and self.guidance_by == "label"  # both halves go through the model at once
        choice = model.set_attention(
            model.config.attention if attention is None else attention,
            window=self.window,
            border=self.border,
            dilation=self.dilation,
            batch_size=self.batch_size * (2 if guided_by_label else 1),
            dtype=TYPES[self.precision],
        )
        if choice is not None:
            say(str(choice))

    def _labels(self) -> tuple[int, ...] | Literal["all"] | None:
        if self.labels is None:
            return None
        return "all" if self.labels.strip() == "all" else parse_list(self.labels, "--labels", int)

    def _interval(self) -> tuple[int, int] | None:
        if self.guidance_interval is None:
            return None
        bounds = parse_list(self.guidance_interval, "--guidance-interval", int)
        if len(bounds) != 2:
            raise ArgumentError(f"--guidance-interval {self.guidance_interval}: expected LOW,HIGH")
        return bounds[0], bounds[1]


def make_samples(
    *,
    out: str,
    num: int,
    npz: bool,
    preview_every: int | None,
    attention: str | None,
    steps: str,
    guidance_scale: float,
    **given: Any,
) -> None:
    """Make the images, and say how many, how long it took and what else was written."""
    asked = SamplingKeywords(**given)
    settings = asked.settings(steps, guidance_scale, num)
    check_guidance_options(settings, [guidance_scale])
    check_adaptive_options(settings, sweeps=False)
    with joined_processes() as processes, float32_products(tf32=asked.tf32):
        model, autoencoder, source = load_model(asked, attention, settings)
        run = SampleRun(model, settings, Path(out), num, asked.batch_size, source, autoencoder, preview_every)
        written: list[Path] = []

        def finish(folder: SampleFolder) -> None:
            if npz:
                written.append(folder.write_npz(num))
            written.append(folder.write_sheet(num, settings.labels_in_turn(model.config.num_classes)))

        result = run_sampling(run, processes, show_progress, finish)
        if not processes.is_main:
            return
        found = f", {result.found} were there already" if result.found else ""
        click.echo(printable(f"{out}: {result.made} images made in {result.seconds:.1f} s{found}"))
        for told in remarks(run, result):
            say(told)
        for path in written:
            click.echo(path)
        if result.made and asked.is_reduced:
            click.echo(difference_from_fp32(run, result.folder))


def make_sweep(
    *, out: str, num: int, steps: str, guidance_scale: str, attention: tuple[str, ...], **given: Any
) -> None:
    """Make the images of every cell, and name their folders."""
    kinds = attention if len(attention) > 1 else tuple(attention[0].split(",")) if attention else (None,)
    plan = Sweep(kinds, parse_list(guidance_scale, "--guidance-scale", float), tuple(map(str.strip, steps.split(","))))
    asked = SamplingKeywords(**given)
    settings = asked.settings(plan.steps[0], 1.0, num)
    check_guidance_options(settings, plan.scales)
    check_adaptive_options(settings, sweeps=True)
    with joined_processes() as processes, float32_products(tf32=asked.tf32):
        model, autoencoder, source = load_model(asked, None, settings, kinds)
        base = SampleRun(model, settings, Path(out), num, asked.batch_size, source, autoencoder)
        switch = partial(asked.switch, model, guided=any(scale not in (0, 1) for scale in plan.scales))
        cells = run_sweep(base, plan, switch, show_progress, processes)
    if processes.is_main:
        click.echo("\n".join(map(str, [*cells, Path(out, "sweep.png")])))


def load_model(
    asked: SamplingKeywords, attention: str | None, settings: SampleSettings, kinds: Sequence[str | None] = ()
) -> tuple[DiT, Autoencoder | None, str]:
    """The model on its device with its attention, the autoencoder where it needs one, and the checkpoint's name.

    `kinds` are all that it will have, where that is more than `attention`.
    """
    source = asked.checkpoint or default_checkpoint(attention)
    checkpoint = read_checkpoint(source, num_heads=asked.num_heads, weights=asked.weights, family=asked.family)
    model = build_model(checkpoint)
    device = pick_device(asked.device)
    if asked.tf32 and device.type == "cpu":
        say("--tf32: has no effect on a CPU, which multiplies in float32")
    model.to(device)
    check_window_options(model, kinds or (attention,))
    asked.switch(model, attention, guided=settings.guidance.scale not in (0, 1))
    settings.check(model)
    if asked.compiled:
        model.compile()
    autoencoder = _autoencoder_for(asked, checkpoint, model, device)
    if young := young_checkpoint(checkpoint.path, instead="--weights model, or train it for longer"):
        say(f"warning: {young}")
    return model, autoencoder, source


def _autoencoder_for(
    asked: SamplingKeywords, checkpoint: Checkpoint, model: DiT, device: torch.device
) -> Autoencoder | None:
    """None where the model makes pixels, with which no option of an autoencoder goes."""
    if makes_pixels(model):
        if asked.autoencoder:
            raise ArgumentError("--autoencoder: the model makes pixels and needs none")
        if asked.latent_stats:
            raise ArgumentError("--latent-stats: the model makes pixels and has no latents")
        if asked.vae_precision != "fp32":
            raise ArgumentError("--vae-precision: the model makes pixels and has no autoencoder")
        return None
    autoencoder, record = find_autoencoder(checkpoint, asked.autoencoder, device), checkpoint.record
    autoencoder = replace(autoencoder, precision=asked.vae_precision)
    if record is not None and isinstance(record.scale, tuple):  # statistics of channels may lie beside no autoencoder
        autoencoder = replace(autoencoder, scale=record.scale, shift=record.shift)
    if asked.latent_stats:
        autoencoder = with_latent_stats(autoencoder, asked.latent_stats)
    elif told := lacks_stats(checkpoint, autoencoder):
        say(told)
    check_latents(model, autoencoder)
    return autoencoder


def find_autoencoder(checkpoint: Checkpoint, given: str | None, device: torch.device) -> Autoencoder:
    """The autoencoder that is given, else the one that came with the checkpoint, that it names, or the official one."""
    if given is not None or checkpoint.autoencoder is not None:
        return load_autoencoder(given or str(checkpoint.autoencoder), device)
    if checkpoint.record is None:
        if checkpoint.trained_here:
            raise CheckpointError(
                f"{checkpoint.path}: does not record its autoencoder; give it with --autoencoder PATH"
            )
        if checkpoint.config.in_channels != _DEFAULT_CHANNELS:
            raise CheckpointError(
                f"{checkpoint.path}: makes latents of {checkpoint.config.in_channels} channels, which "
                f"{DEFAULT_AUTOENCODER} cannot decode; give the autoencoder it was trained with: --autoencoder PATH"
            )
        say(f"autoencoder: {DEFAULT_AUTOENCODER}, as for the official checkpoints")
        return load_autoencoder(DEFAULT_AUTOENCODER, device)
    try:
        return load_autoencoder(checkpoint.record.source, device)
    except CheckpointError as error:
        raise CheckpointError(
            f"the model was trained with the autoencoder {checkpoint.record.source}, which cannot be read here "
            f"({error}); give it with --autoencoder PATH"
        ) from error


def autoencoder_to_copy(model: DiT, checkpoint: Checkpoint, target: str, given: str | None) -> Path | None:
    """The folder of the autoencoder that goes into a diffusers folder, read and found to fit the model."""
    if Path(target).suffix:
        if given is not None:
            raise ArgumentError(f"--autoencoder: can only be copied into a diffusers folder, and {target} is a file")
        return None
    folder = Path(given).expanduser() if given else checkpoint.autoencoder
    if folder is None:
        return None
    if makes_pixels(model):
        raise ArgumentError("--autoencoder: the model makes pixels and needs none")
    if not folder.is_dir():
        raise CheckpointError(f"{folder}: no such folder; give the save_pretrained folder of an autoencoder")
    check_latents(model, load_autoencoder(folder))
    return folder


def default_checkpoint(attention: str | None) -> str:
    """The bundled checkpoint that was trained with this attention: landscapes where it is there, else digits."""
    kind = "swa" if attention and attention.startswith("swa") else "full"
    wanted = [f"{name}-{kind}" for name in ("landscapes", "digits")]
    found = [name for name in wanted if bundled_file(name)]
    if not found:
        raise CheckpointError(
            f"--checkpoint: not given, and the default ({' or '.join(wanted)}) is not in this installation; give a "
            "file, a folder or OWNER/NAME on the hub, such as --checkpoint facebook/DiT-XL-2-256"
        )
    return found[0]
