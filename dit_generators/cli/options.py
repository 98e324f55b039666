"""Groups of options that several commands of `dit-gen` share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from ..errors import OutputError


def _apply(command: Callable[..., Any], options: tuple[Callable[..., Any], ...]) -> Callable[..., Any]:
    for option in reversed(options):
        command = option(command)
    return command


def folder_of_results(_context: click.Context, _option: click.Parameter, value: str) -> str:
    """A click callback: raise OutputError for what is no folder and cannot become one."""
    path = Path(value)
    if not value:
        raise OutputError("--out: expected the name of a folder, got an empty text")
    if path.is_symlink() and not path.exists():
        raise OutputError(f"{path}: is a link to {path.readlink()}, which is not there; name a folder")
    if path.exists() and not path.is_dir():
        raise OutputError(f"{path}: is a file; name a folder" if path.is_file() else f"{path}: is no folder; name one")
    return value


def checkpoint_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Which weights, and how their file is read."""
    return _apply(
        command,
        (
            click.option(
                "--checkpoint",
                metavar="PATH|ID|NAME",
                help="File, folder, OWNER/NAME, or bundled: landscapes-full, landscapes-swa, digits-full, digits-swa.",
            ),
            click.option(
                "--weights",
                type=click.Choice(["ema", "model"]),
                help="Which weights of a training checkpoint. [default: ema]",
            ),
            click.option(
                "--num-heads",
                type=int,
                metavar="N",
                help="Number of heads, for an official file of another width than the presets.",
            ),
        ),
    )


def sampling_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """What `sample` and `sweep` share."""
    return _apply(
        command,
        (
            click.option(
                "--sampler",
                type=click.Choice(["ddpm", "ddim", "dpm-solver++", "unipc"]),
                default="ddpm",
                show_default=True,
                help="How noise becomes an image.",
            ),
            click.option(
                "--eta", type=float, default=0.0, show_default=True, help="Noise that ddim adds in each step, 0 to 1."
            ),
            click.option(
                "--guidance-by",
                type=click.Choice(["label", "window"]),
                default="label",
                show_default=True,
                help="The weak model: the null label, or the same weights with a small attention window.",
            ),
            click.option(
                "--guidance-channels",
                type=click.Choice(["all", "3"]),
                default="all",
                show_default=True,
                help="Channels of the noise that are guided; 3 reproduces official samples.",
            ),
            click.option(
                "--guidance-interval",
                metavar="LOW,HIGH",
                help="Guide only between these timesteps of 1000, e.g. 200,700.",
            ),
            click.option(
                "--guidance-window",
                type=int,
                default=3,
                show_default=True,
                metavar="K",
                help="Edge of the window of the weak model of --guidance-by window.",
            ),
            click.option(
                "--window",
                type=int,
                metavar="K",
                help="Edge of the window of swa in tokens, odd. [default: the checkpoint's]",
            ),
            click.option(
                "--border",
                type=click.Choice(["shift", "truncate"]),
                help="What the window of swa does at the border. [default: the checkpoint's]",
            ),
            click.option(
                "--dilation",
                type=int,
                metavar="D",
                help="Distance between the tokens of the window of swa. [default: the checkpoint's]",
            ),
            click.option(
                "--labels", metavar="A,B,...", help="Classes to make, in turn. [default: a random class per image]"
            ),
            click.option(
                "--seed", type=int, default=0, show_default=True, metavar="K", help="Image i is drawn from (K, i)."
            ),
            click.option(
                "--batch-size", type=int, default=16, show_default=True, metavar="B", help="Images made at once."
            ),
            click.option(
                "--autoencoder",
                metavar="PATH|ID",
                help="Decodes latents. [default: the checkpoint's own; for official ones stabilityai/sd-vae-ft-ema]",
            ),
            click.option(
                "--device",
                default="auto",
                show_default=True,
                metavar="NAME",
                help="auto (a GPU if there is one), cpu, cuda:1.",
            ),
            click.option(
                "--precision",
                type=click.Choice(["fp32", "bf16"]),
                default="fp32",
                show_default=True,
                help="bf16 is faster on GPUs and changes the images.",
            ),
            click.option("--tf32", is_flag=True, help="Let GPUs multiply in TF32: faster, changes the images."),
            click.option(
                "--compile", "compiled", is_flag=True, help="Use torch.compile: slow start, changes the last bits."
            ),
        ),
    )


def shape_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """What is trained: the first half of what `train` and `study` share."""
    return _apply(
        command,
        (
            click.option(
                "--preset",
                type=click.Choice(["report", "small"]),
                default="report",
                show_default=True,
                help="Where the defaults come from: the report, or a small model that trains on a CPU.",
            ),
            click.option(
                "--model", metavar="NAME", help="Architecture, DiT-S/8 to DiT-XL/2. [default: DiT-B/4; small: its own]"
            ),
            click.option(
                "--hidden-size", type=int, metavar="D", help="Width of the model, instead of that of --model."
            ),
            click.option("--depth", type=int, metavar="N", help="Number of blocks, instead of that of --model."),
            click.option(
                "--num-heads", type=int, metavar="N", help="Number of attention heads, instead of that of --model."
            ),
            click.option("--patch-size", type=int, metavar="P", help="Edge of a patch, instead of that of --model."),
            click.option(
                "--image-size", type=int, metavar="N", help="Edge of an image in pixels. [default: 256; small: 32]"
            ),
            click.option(
                "--space",
                type=click.Choice(["latent", "pixel"]),
                help="What the model sees. [default: latent; small: pixel]",
            ),
            click.option(
                "--channels",
                type=click.Choice(["1", "3"]),
                default="3",
                show_default=True,
                help="1 is grey, 3 is colour.",
            ),
            click.option(
                "--max-pixels",
                type=int,
                default=100_000_000,
                show_default=True,
                metavar="N",
                help="Refuse a picture of more pixels (rows times columns) before it is decoded.",
            ),
            click.option("--conditional", is_flag=True, help="Learn the folders in PICTURES as classes."),
            click.option(
                "--learn-sigma/--no-learn-sigma", default=True, show_default=True, help="Learn the variance, too."
            ),
            click.option(
                "--window",
                type=int,
                default=3,
                show_default=True,
                metavar="K",
                help="Edge of the window of swa in tokens, odd.",
            ),
            click.option(
                "--border",
                type=click.Choice(["shift", "truncate"]),
                default="shift",
                show_default=True,
                help="What the window of swa does at the border.",
            ),
            click.option(
                "--dilation",
                type=int,
                default=1,
                show_default=True,
                metavar="D",
                help="Distance between the tokens of the window of swa.",
            ),
        ),
    )


def training_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """How it is trained: the second half of what `train` and `study` share."""
    return _apply(
        command,
        (
            click.option("--steps", type=int, metavar="N", help="Training steps. [default: 100000; small: 3000]"),
            click.option(
                "--batch-size",
                type=int,
                metavar="B",
                help="Pictures per step, over all processes. [default: 64; small: 32]",
            ),
            click.option(
                "--learning-rate", type=float, metavar="R", help="Learning rate of AdamW. [default: 1e-4; small: 5e-4]"
            ),
            click.option(
                "--warmup",
                type=int,
                metavar="N",
                help="Steps over which the learning rate rises to its value. [default: 0]",
            ),
            click.option(
                "--ema-decay",
                type=float,
                metavar="X",
                help="Decay of the averaged weights. [default: 0.9999; small: 0.999]",
            ),
            click.option("--clip", type=float, metavar="X", help="Largest norm of the gradient. [default: no limit]"),
            click.option(
                "--accumulate", type=int, metavar="N", help="Parts into which a process cuts its batch. [default: 1]"
            ),
            click.option(
                "--precision",
                type=click.Choice(["fp32", "bf16", "fp16"]),
                help="Arithmetic of the network. [default: fp32]",
            ),
            click.option(
                "--recompute",
                is_flag=True,
                help="Compute activations again in the backward pass: less memory, more time.",
            ),
            click.option("--compile", "compiled", is_flag=True, help="Use torch.compile."),
            click.option(
                "--crop",
                type=click.Choice(["centre", "random"]),
                default="centre",
                show_default=True,
                help="Which square.",
            ),
            click.option("--flip/--no-flip", default=True, show_default=True, help="Mirror half of the pictures."),
            click.option(
                "--autoencoder", metavar="PATH|ID", help="Makes latents. [default: stabilityai/sd-vae-ft-ema]"
            ),
            click.option("--latents", metavar="DIR", help="Folder that caches latents. [default: RUN.latents]"),
            click.option(
                "--log-every",
                type=int,
                default=50,
                show_default=True,
                metavar="N",
                help="Steps between two lines of the log.",
            ),
            click.option(
                "--save-every", type=int, metavar="N", help="Steps between two checkpoints. [default: 1000; small: 200]"
            ),
            click.option(
                "--sample-every",
                type=int,
                metavar="N",
                help="Steps between two sheets of samples. [default: none is drawn]",
            ),
            click.option(
                "--sample-steps",
                type=int,
                default=50,
                show_default=True,
                metavar="S",
                help="Sampling steps out of 1000 for sheets and scores, e.g. 50, ddim50.",
            ),
            click.option(
                "--eval-every",
                type=int,
                metavar="N",
                help="Steps between two scores of samples against held-out pictures. [default: no scores]",
            ),
            click.option(
                "--eval-backbone",
                default="mini",
                show_default=True,
                metavar="NAME",
                help="Backbone of the scores; see `cmmd backbones`.",
            ),
            click.option(
                "--eval-images", type=int, default=256, show_default=True, metavar="N", help="Samples per score."
            ),
            click.option(
                "--held-out",
                type=float,
                default=0.1,
                show_default=True,
                metavar="X",
                help="Share of PICTURES that is scored against, not trained on.",
            ),
            click.option("--seed", type=int, default=0, show_default=True, metavar="K", help="Seed of every draw."),
            click.option(
                "--device",
                type=click.Choice(["auto", "cpu"]),
                default="auto",
                show_default=True,
                help="auto is a GPU if there is one.",
            ),
        ),
    )
