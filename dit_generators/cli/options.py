"""Groups of options that several commands of `dit-gen` share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from cmmd_toolkit.common.completion import FILE
from cmmd_toolkit.common.options import choice, flag, number, text, whole, with_options

from ..errors import OutputError

_PRECISIONS = ["fp32", "bf16", "fp16"]


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


def out_option(metavar: str, about: str) -> Callable[..., Any]:
    """The folder that a command makes."""
    return text("--out", required=True, callback=folder_of_results, type=FILE, metavar=metavar, help=about)


family_option = choice(
    "--family",
    ["dit", "sit", "repa", "lightningdit"],
    help="Whose code trained an official file that does not say it itself: its output means another thing for each. "
    "[default: what the file, its arguments or its name say, else dit]",
)


latent_stats_option = text(
    "--latent-stats",
    metavar="FILE",
    type=FILE,
    help="Mean and std of each channel by which the model sees latents: LightningDiT's latents_stats.pt.",
)
window_option = whole("--window", metavar="K", default=3, help="Edge of the window of swa in tokens, odd.")
border_option = choice(
    "--border", ["shift", "truncate"], default="shift", help="What the window of swa does at the border."
)


def checkpoint_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Which weights, and how their file is read."""
    return with_options(
        command,
        text(
            "--checkpoint",
            metavar="PATH|ID|NAME",
            type=FILE,
            help="File, folder, OWNER/NAME, or bundled: landscapes-full, landscapes-swa, digits-full, digits-swa.",
        ),
        choice("--weights", ["ema", "model"], help="Which weights of a training checkpoint. [default: ema]"),
        whole(
            "--num-heads", metavar="N", help="Number of heads, for an official file of another width than the presets."
        ),
        family_option,
    )


def sampling_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """What `sample` and `sweep` share."""
    return with_options(
        _picture_options(command),
        choice(
            "--sampler",
            ["ddpm", "ddim", "dpm-solver++", "unipc", "euler", "heun", "dopri5", "sde"],
            help="How noise becomes an image: the first four for models of noise, the others for models of a velocity; "
            "dopri5 finds its steps by itself. [default: ddpm; euler for a velocity]",
        ),
        number("--rtol", metavar="X", default=1e-3, help="Relative error that dopri5 allows in a step."),
        number("--atol", metavar="X", default=1e-6, help="Absolute error that dopri5 allows in a step."),
        number("--eta", default=0.0, help="Noise that ddim adds in each step, 0 to 1."),
        number(
            "--timestep-shift",
            metavar="S",
            default=1.0,
            help="For a velocity, as LightningDiT counts: below 1 takes more of the steps near the noise.",
        ),
        choice(
            "--guidance-by",
            ["label", "window"],
            default="label",
            help="Move images away from what the model makes without a label, or with a small attention window.",
        ),
        choice(
            "--guidance-channels",
            ["all", "3"],
            default="all",
            help="Which channels are guided; 3, the first three only, reproduces official samples.",
        ),
        text(
            "--guidance-interval", metavar="LOW,HIGH", help="Guide only between these timesteps of 1000, e.g. 200,700."
        ),
        whole(
            "--guidance-window",
            metavar="K",
            default=3,
            help="For --guidance-by window: edge of that small window in tokens, odd.",
        ),
        whole("--window", metavar="K", help="Edge of the window of swa in tokens, odd. [default: the checkpoint's]"),
        choice(
            "--border",
            ["shift", "truncate"],
            help="What the window of swa does at the border. [default: the checkpoint's]",
        ),
        whole(
            "--dilation",
            metavar="D",
            help="Distance between the tokens of the window of swa. [default: the checkpoint's]",
        ),
    )


def _picture_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Which pictures `sample` and `sweep` make, and how they are computed."""
    return with_options(
        command,
        text(
            "--labels",
            metavar="A,B,...",
            help="Classes to make, in turn; all is every class, balanced. [default: a random class per image]",
        ),
        whole("--seed", metavar="K", default=0, help="Another K makes other images, the same K the same images."),
        choice(
            "--rng",
            ["image", "official"],
            default="image",
            help="image: image i has noise of its own. official: the draws of the official script for one batch of N.",
        ),
        text("--noise", metavar="FILE.npy", help="Start from this noise, (N, C, H, W), or take all draws from it."),
        whole("--batch-size", metavar="B", default=16, help="Images made at once."),
        text(
            "--autoencoder",
            metavar="PATH|ID",
            help="Decodes latents. [default: the checkpoint's own; for official ones stabilityai/sd-vae-ft-ema]",
        ),
        latent_stats_option,
        text("--device", metavar="NAME", default="auto", help="auto (a GPU if there is one), cpu, cuda:1."),
        choice(
            "--precision",
            _PRECISIONS,
            default="fp32",
            help="Arithmetic of the network: bf16 and fp16 are faster on GPUs and change the images.",
        ),
        choice(
            "--vae-precision", _PRECISIONS, default="fp32", help="The same of the autoencoder that decodes latents."
        ),
        flag("--tf32", help="Let GPUs multiply in TF32: faster, changes the images."),
        flag("--compile", "compiled", help="Use torch.compile: slow start, changes the last bits."),
    )


def shape_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """What is trained: the first half of what `train` and `study` share."""
    return with_options(
        command,
        choice(
            "--preset",
            ["report", "small"],
            default="report",
            help="Defaults of the options below. report, as in the report that docs/study.md compares with: DiT-B/4 on "
            "latents of 256 pixels, batches of 4, Adam at 1e-4, 100 epochs: 25 steps per picture, for a GPU; the "
            "forecast says what that takes here. small: a small model of 32 x 32 pixels, for a CPU; no autoencoder.",
        ),
        text(
            "--model",
            metavar="NAME",
            help="Architecture, DiT-S/8 to DiT-XL/2, LightningDiT-B/1 to -1p6B/2. [default: DiT-B/4; small: its own]",
        ),
        whole("--hidden-size", metavar="D", help="Width of the model, instead of that of --model."),
        whole("--depth", metavar="N", help="Number of blocks, instead of that of --model."),
        whole("--num-heads", metavar="N", help="Number of attention heads, instead of that of --model."),
        whole("--patch-size", metavar="P", help="Edge of a patch, instead of that of --model."),
        whole("--image-size", metavar="N", help="Edge of an image in pixels. [default: 256; small: 32]"),
        choice("--space", ["latent", "pixel"], help="What the model sees. [default: latent; small: pixel]"),
        choice("--channels", ["1", "3"], default="3", help="1 is grey, 3 is colour."),
        whole(
            "--max-pixels",
            metavar="N",
            default=100000000,
            help="Refuse a picture with more pixels (rows times columns) before it is decoded.",
        ),
        choice("--on-error", ["fail", "skip"], default="fail", help="At an unusable picture: stop, or leave it out."),
        text(
            "--memory",
            metavar="SIZE",
            default="4GB",
            help="Hold so much of decoded pictures, in each process; of more, decode each when it is needed.",
        ),
        whole("--workers", metavar="N", help="Decoding threads. [default: one per core, at most 8]"),
        flag("--conditional", help="Learn the folders in PICTURES as classes, or what its dataset.json says."),
        choice(
            "--objective",
            ["noise", "velocity"],
            help="What the network learns: noise, as DiT, or a velocity, as SiT. [default: noise; with --init its own]",
        ),
        choice(
            "--timestep-sampling",
            ["uniform", "logit-normal"],
            default="uniform",
            help="At which times a velocity is learned; logit-normal, more of the middle, as SD3 and LightningDiT.",
        ),
        flag("--direction-loss", help="Of a velocity: learn its direction, too, as LightningDiT."),
        flag("--qk-norm", help="Normalise queries and keys: steadier at large learning rates."),
        text(
            "--learn-sigma/--no-learn-sigma",
            default=None,
            help="Learn the variance, too. [default: learn-sigma; not for a velocity]",
        ),
        window_option,
        border_option,
        whole("--dilation", metavar="D", default=1, help="Distance between the tokens of the window of swa."),
    )


def training_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """How it is trained: the second half of what `train` and `study` share."""
    return with_options(
        command,
        text(
            "--init",
            metavar="PATH|ID|NAME",
            help="Start from the weights of this checkpoint and with its shape; the attention may be another. "
            "[default: random weights]",
        ),
        whole("--steps", metavar="N", help="Training steps, instead of --epochs. [small: 3000]"),
        number("--epochs", metavar="X", help="Passes over the pictures. [default: 100; small: by --steps]"),
        whole("--batch-size", metavar="B", help="Pictures per step, over all processes. [default: 4; small: 32]"),
        number("--learning-rate", metavar="R", help="Learning rate of AdamW. [default: 1e-4; small: 5e-4]"),
        whole("--warmup", metavar="N", help="Steps over which the learning rate rises to its value. [default: 0]"),
        choice(
            "--learning-rate-schedule",
            ["constant", "linear", "cosine"],
            default="constant",
            help="How the learning rate goes on after that: linear and cosine end at 0.",
        ),
        number("--ema-decay", metavar="X", help="Decay of the averaged weights. [default: 0.9999; small: 0.999]"),
        flag("--ema-warmup", help="Let that decay rise from 0.1 at the first step: for short runs."),
        number("--clip", metavar="X", help="Largest norm of the gradient. [default: no limit]"),
        whole(
            "--accumulate",
            metavar="N",
            help="Pass a batch through the model in N parts, then take the step: less memory. [default: 1]",
        ),
        choice("--precision", _PRECISIONS, help="Arithmetic of the network. [default: fp32]"),
        flag("--tf32", help="Let GPUs multiply in TF32: faster, changes the last digits."),
        flag(
            "--recompute", help="Compute results within a step again instead of keeping them: less memory, more time."
        ),
        flag("--compile", "compiled", help="Use torch.compile."),
        choice("--crop", ["centre", "random"], default="centre", help="Which square."),
        text("--flip/--no-flip", default=True, help="Mirror half of the pictures."),
        text("--autoencoder", metavar="PATH|ID", help="Makes latents. [default: stabilityai/sd-vae-ft-ema]"),
        latent_stats_option,
        text("--latents", metavar="DIR", help="Folder that caches latents. [default: RUN.latents]"),
        whole("--log-every", metavar="N", default=50, help="Steps between two lines of the log."),
        whole("--save-every", metavar="N", help="Steps between two checkpoints. [default: 1000; small: 200]"),
        whole("--sample-every", metavar="N", help="Steps between two sheets of samples. [default: none is drawn]"),
        whole(
            "--sample-steps",
            metavar="S",
            default=50,
            help="Sampling steps of each image in sheets and scores, 2 to 1000.",
        ),
        whole(
            "--eval-every",
            metavar="N",
            help="Steps between two scores of samples against held-out pictures. [default: no scores]",
        ),
        text("--eval-backbone", metavar="NAME", default="mini", help="Backbone of the scores; see `cmmd backbones`."),
        whole("--eval-images", metavar="N", default=256, help="Samples per score."),
        flag("--keep-evaluations", help="Keep the samples of every score, for `cmmd watch`."),
        number(
            "--held-out", metavar="X", default=0.1, help="Share of PICTURES that is scored against, not trained on."
        ),
        whole("--seed", metavar="K", default=0, help="Seed of all random draws."),
        choice("--device", ["auto", "cpu"], default="auto", help="auto is a GPU if there is one."),
    )
