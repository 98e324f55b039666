"""Groups of options that several commands of `dit-gen` share."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click

from cmmd_toolkit.common.completion import FILE

from ..errors import OutputError

_flag = partial(click.option, is_flag=True)
_text = partial(click.option, show_default=True)
_int = partial(_text, type=int)
_float = partial(_text, type=float)


def _choice(flag: str, values: Sequence[str], **more: Any) -> Callable[..., Any]:
    return _text(flag, type=click.Choice(values), **more)


def _apply(command: Callable[..., Any], *options: Callable[..., Any]) -> Callable[..., Any]:
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


family_option = _choice(
    "--family",
    ["dit", "sit", "repa", "lightningdit"],
    help="Whose code trained an official file that does not say it itself: its output means another thing for each. "
    "[default: what the file, its arguments or its name say, else dit]",
)


def checkpoint_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Which weights, and how their file is read."""
    return _apply(
        command,
        _text(
            "--checkpoint",
            metavar="PATH|ID|NAME",
            type=FILE,
            help="File, folder, OWNER/NAME, or bundled: landscapes-full, landscapes-swa, digits-full, digits-swa.",
        ),
        _choice("--weights", ["ema", "model"], help="Which weights of a training checkpoint. [default: ema]"),
        _int(
            "--num-heads", metavar="N", help="Number of heads, for an official file of another width than the presets."
        ),
        family_option,
    )


def sampling_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """What `sample` and `sweep` share."""
    return _apply(
        command,
        _choice(
            "--sampler",
            ["ddpm", "ddim", "dpm-solver++", "unipc", "euler", "heun", "dopri5", "sde"],
            help="How noise becomes an image: the first four for models of noise, the others for models of a velocity; "
            "dopri5 finds its steps by itself. [default: ddpm; euler for a velocity]",
        ),
        _float("--rtol", metavar="X", default=1e-3, help="Relative error that dopri5 allows in a step."),
        _float("--atol", metavar="X", default=1e-6, help="Absolute error that dopri5 allows in a step."),
        _float("--eta", default=0.0, help="Noise that ddim adds in each step, 0 to 1."),
        _float(
            "--timestep-shift",
            metavar="S",
            default=1.0,
            help="For a velocity, as LightningDiT counts: below 1 takes more of the steps near the noise.",
        ),
        _choice(
            "--guidance-by",
            ["label", "window"],
            default="label",
            help="Move images away from what the model makes without a label, or with a small attention window.",
        ),
        _choice(
            "--guidance-channels",
            ["all", "3"],
            default="all",
            help="Which channels are guided; 3, the first three only, reproduces official samples.",
        ),
        _text(
            "--guidance-interval", metavar="LOW,HIGH", help="Guide only between these timesteps of 1000, e.g. 200,700."
        ),
        _int(
            "--guidance-window",
            metavar="K",
            default=3,
            help="For --guidance-by window: edge of that small window in tokens, odd.",
        ),
        _int("--window", metavar="K", help="Edge of the window of swa in tokens, odd. [default: the checkpoint's]"),
        _choice(
            "--border",
            ["shift", "truncate"],
            help="What the window of swa does at the border. [default: the checkpoint's]",
        ),
        _int(
            "--dilation",
            metavar="D",
            help="Distance between the tokens of the window of swa. [default: the checkpoint's]",
        ),
        _text(
            "--labels",
            metavar="A,B,...",
            help="Classes to make, in turn; all is every class, balanced. [default: a random class per image]",
        ),
        _int("--seed", metavar="K", default=0, help="Another K makes other images, the same K the same images."),
        _choice(
            "--rng",
            ["image", "official"],
            default="image",
            help="image: image i has noise of its own. official: the draws of the official script for one batch of N.",
        ),
        _text("--noise", metavar="FILE.npy", help="Start from this noise, (N, C, H, W), or take all draws from it."),
        _int("--batch-size", metavar="B", default=16, help="Images made at once."),
        _text(
            "--autoencoder",
            metavar="PATH|ID",
            help="Decodes latents. [default: the checkpoint's own; for official ones stabilityai/sd-vae-ft-ema]",
        ),
        _text(
            "--latent-stats",
            metavar="FILE",
            type=FILE,
            help="Mean and std of each channel by which the model sees latents: LightningDiT's latents_stats.pt.",
        ),
        _text("--device", metavar="NAME", default="auto", help="auto (a GPU if there is one), cpu, cuda:1."),
        _choice(
            "--precision",
            ["fp32", "bf16", "fp16"],
            default="fp32",
            help="Arithmetic of the network: bf16 and fp16 are faster on GPUs and change the images.",
        ),
        _choice(
            "--vae-precision",
            ["fp32", "bf16", "fp16"],
            default="fp32",
            help="The same of the autoencoder that decodes latents.",
        ),
        _flag("--tf32", help="Let GPUs multiply in TF32: faster, changes the images."),
        _flag("--compile", "compiled", help="Use torch.compile: slow start, changes the last bits."),
    )


def shape_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """What is trained: the first half of what `train` and `study` share."""
    return _apply(
        command,
        _choice(
            "--preset",
            ["report", "small"],
            default="report",
            help="Defaults of the options below. report, as in the report that docs/study.md compares with: DiT-B/4 on "
            "latents of 256 pixels, batches of 4, Adam at 1e-4, 100 epochs: 25 steps per picture, for a GPU; the "
            "forecast says what that takes here. small: a small model of 32 x 32 pixels, for a CPU; no autoencoder.",
        ),
        _text(
            "--model",
            metavar="NAME",
            help="Architecture, DiT-S/8 to DiT-XL/2, LightningDiT-B/1 to -1p6B/2. [default: DiT-B/4; small: its own]",
        ),
        _int("--hidden-size", metavar="D", help="Width of the model, instead of that of --model."),
        _int("--depth", metavar="N", help="Number of blocks, instead of that of --model."),
        _int("--num-heads", metavar="N", help="Number of attention heads, instead of that of --model."),
        _int("--patch-size", metavar="P", help="Edge of a patch, instead of that of --model."),
        _int("--image-size", metavar="N", help="Edge of an image in pixels. [default: 256; small: 32]"),
        _choice("--space", ["latent", "pixel"], help="What the model sees. [default: latent; small: pixel]"),
        _choice("--channels", ["1", "3"], default="3", help="1 is grey, 3 is colour."),
        _int(
            "--max-pixels",
            metavar="N",
            default=100000000,
            help="Refuse a picture of more pixels (rows times columns) before it is decoded.",
        ),
        _choice("--on-error", ["fail", "skip"], default="fail", help="At an unusable picture: stop, or leave it out."),
        _text(
            "--memory",
            metavar="SIZE",
            default="4GB",
            help="Hold so much of decoded pictures, in each process; of more, decode each when it is needed.",
        ),
        _int("--workers", metavar="N", help="Decoding threads. [default: one per core, at most 8]"),
        _flag("--conditional", help="Learn the folders in PICTURES as classes."),
        _choice(
            "--objective",
            ["noise", "velocity"],
            help="What the network learns: noise, as DiT, or a velocity, as SiT. [default: noise; with --init its own]",
        ),
        _choice(
            "--timestep-sampling",
            ["uniform", "logit-normal"],
            default="uniform",
            help="At which times a velocity is learned; logit-normal, more of the middle, as SD3 and LightningDiT.",
        ),
        _flag("--direction-loss", help="Of a velocity: learn its direction, too, as LightningDiT."),
        _flag("--qk-norm", help="Normalise queries and keys: steadier at large learning rates."),
        click.option(
            "--learn-sigma/--no-learn-sigma",
            default=None,
            help="Learn the variance, too. [default: learn-sigma; not for a velocity]",
        ),
        _int("--window", metavar="K", default=3, help="Edge of the window of swa in tokens, odd."),
        _choice("--border", ["shift", "truncate"], default="shift", help="What the window of swa does at the border."),
        _int("--dilation", metavar="D", default=1, help="Distance between the tokens of the window of swa."),
    )


def training_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """How it is trained: the second half of what `train` and `study` share."""
    return _apply(
        command,
        _text(
            "--init",
            metavar="PATH|ID|NAME",
            help="Start from the weights of this checkpoint and with its shape; the attention may be another. "
            "[default: random weights]",
        ),
        _int("--steps", metavar="N", help="Training steps, instead of --epochs. [small: 3000]"),
        _float("--epochs", metavar="X", help="Passes over the pictures. [default: 100; small: by --steps]"),
        _int("--batch-size", metavar="B", help="Pictures per step, over all processes. [default: 4; small: 32]"),
        _float("--learning-rate", metavar="R", help="Learning rate of AdamW. [default: 1e-4; small: 5e-4]"),
        _int("--warmup", metavar="N", help="Steps over which the learning rate rises to its value. [default: 0]"),
        _choice(
            "--learning-rate-schedule",
            ["constant", "linear", "cosine"],
            default="constant",
            help="How the learning rate goes on after that: linear and cosine end at 0.",
        ),
        _float("--ema-decay", metavar="X", help="Decay of the averaged weights. [default: 0.9999; small: 0.999]"),
        _flag("--ema-warmup", help="Let that decay rise from 0.1 at the first step: for short runs."),
        _float("--clip", metavar="X", help="Largest norm of the gradient. [default: no limit]"),
        _int(
            "--accumulate",
            metavar="N",
            help="Pass a batch through the model in N parts, then take the step: less memory. [default: 1]",
        ),
        _choice("--precision", ["fp32", "bf16", "fp16"], help="Arithmetic of the network. [default: fp32]"),
        _flag("--tf32", help="Let GPUs multiply in TF32: faster, changes the last digits."),
        _flag(
            "--recompute", help="Compute results within a step again instead of keeping them: less memory, more time."
        ),
        _flag("--compile", "compiled", help="Use torch.compile."),
        _choice("--crop", ["centre", "random"], default="centre", help="Which square."),
        _text("--flip/--no-flip", default=True, help="Mirror half of the pictures."),
        _text("--autoencoder", metavar="PATH|ID", help="Makes latents. [default: stabilityai/sd-vae-ft-ema]"),
        _text("--latents", metavar="DIR", help="Folder that caches latents. [default: RUN.latents]"),
        _int("--log-every", metavar="N", default=50, help="Steps between two lines of the log."),
        _int("--save-every", metavar="N", help="Steps between two checkpoints. [default: 1000; small: 200]"),
        _int("--sample-every", metavar="N", help="Steps between two sheets of samples. [default: none is drawn]"),
        _int(
            "--sample-steps",
            metavar="S",
            default=50,
            help="Sampling steps of each image in sheets and scores, 2 to 1000.",
        ),
        _int(
            "--eval-every",
            metavar="N",
            help="Steps between two scores of samples against held-out pictures. [default: no scores]",
        ),
        _text("--eval-backbone", metavar="NAME", default="mini", help="Backbone of the scores; see `cmmd backbones`."),
        _int("--eval-images", metavar="N", default=256, help="Samples per score."),
        _flag("--keep-evaluations", help="Keep the samples of every score, for `cmmd watch`."),
        _float(
            "--held-out", metavar="X", default=0.1, help="Share of PICTURES that is scored against, not trained on."
        ),
        _int("--seed", metavar="K", default=0, help="Seed of every draw."),
        _choice("--device", ["auto", "cpu"], default="auto", help="auto is a GPU if there is one."),
    )
