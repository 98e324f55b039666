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
        raise OutputError(f"{path}: is a link to {path.readlink()}, which does not exist; name a folder")
    if path.exists() and not path.is_dir():
        raise OutputError(
            f"{path}: is a file; name a folder" if path.is_file() else f"{path}: is not a folder; name one"
        )
    return value


def out_option(metavar: str, about: str) -> Callable[..., Any]:
    """The folder that a command makes."""
    return text("--out", required=True, callback=folder_of_results, type=FILE, metavar=metavar, help=about)


family_option = choice(
    "--family",
    ["dit", "sit", "repa", "lightningdit"],
    help="Model family of an official file that does not record it; each family interprets the output differently. "
    "[default: from the file, its arguments or its name, else dit]",
)


latent_stats_option = text(
    "--latent-stats",
    metavar="FILE",
    type=FILE,
    help="Mean and std of each latent channel, for models of normalised latents: LightningDiT's latents_stats.pt.",
)
window_option = whole("--window", metavar="K", default=3, help="Edge of the window of swa in tokens, odd.")
border_option = choice(
    "--border",
    ["shift", "truncate"],
    default="shift",
    help="Window of swa at the border: move it inwards, or cut it off.",
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
            "--num-heads",
            metavar="N",
            help="Number of attention heads, for an official file whose width is not that of a preset.",
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
            help="Sampling method: the first four for models that predict noise, the others for flows, which predict a "
            "velocity; dopri5 chooses its own steps. [default: ddpm; euler for flows]",
        ),
        number("--rtol", metavar="X", default=1e-3, help="Relative error that dopri5 allows per step."),
        number("--atol", metavar="X", default=1e-6, help="Absolute error that dopri5 allows per step."),
        number("--eta", default=0.0, help="Noise that ddim adds in each step, 0 to 1."),
        number(
            "--timestep-shift",
            metavar="S",
            default=1.0,
            help="For flows, as in LightningDiT: below 1 places more of the steps near the noise.",
        ),
        choice(
            "--guidance-by",
            ["label", "window"],
            default="label",
            help="Guide away from the model without a label, or with a small attention window.",
        ),
        choice(
            "--guidance-channels",
            ["all", "3"],
            default="all",
            help="Channels to guide; 3 is the first three only, which reproduces official samples.",
        ),
        text(
            "--guidance-interval",
            metavar="LOW,HIGH",
            help="Guide only between these two timesteps of 1000, e.g. 200,700.",
        ),
        whole(
            "--guidance-window",
            metavar="K",
            default=3,
            help="Edge of the small window of --guidance-by window, in tokens, odd.",
        ),
        whole("--window", metavar="K", help="Edge of the window of swa in tokens, odd. [default: the checkpoint's]"),
        choice(
            "--border",
            ["shift", "truncate"],
            help="Window of swa at the border: move it inwards, or cut it off. [default: the checkpoint's]",
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
            help="Class labels to cycle through; all is every class equally often. [default: a random class per image]",
        ),
        whole("--seed", metavar="K", default=0, help="Random seed: the same K gives the same images."),
        choice(
            "--rng",
            ["image", "official"],
            default="image",
            help="image: each image has its own noise. official: the noise of the official script for one batch of N.",
        ),
        text(
            "--noise",
            metavar="FILE.npy",
            help="Noise to start from, (N, C, H, W), or of all draws, (N, 1 + steps, C, H, W).",
        ),
        whole("--batch-size", metavar="B", default=16, help="Images per batch."),
        text(
            "--autoencoder",
            metavar="PATH|ID",
            help="Autoencoder that decodes latents. [default: the checkpoint's; else stabilityai/sd-vae-ft-ema]",
        ),
        latent_stats_option,
        text("--device", metavar="NAME", default="auto", help="auto (a GPU if there is one), cpu, cuda:1."),
        choice(
            "--precision",
            _PRECISIONS,
            default="fp32",
            help="Precision of the network: bf16 and fp16 are faster on GPUs and change the images.",
        ),
        choice(
            "--vae-precision", _PRECISIONS, default="fp32", help="Precision of the autoencoder that decodes latents."
        ),
        flag("--tf32", help="Let GPUs multiply in TF32: faster, changes the images."),
        flag("--compile", "compiled", help="Use torch.compile: slow to start, changes the last bits."),
    )


def shape_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """What is trained: the first half of what `train` and `study` share."""
    return with_options(
        command,
        choice(
            "--preset",
            ["report", "small"],
            default="report",
            help="Defaults of the options below. report: as in the report that docs/study.md compares with, DiT-B/4 on "
            "latents of 256 pixels, batches of 4, Adam at 1e-4, 100 epochs (25 steps per picture); needs a GPU, and a "
            "forecast gives its time. small: a small model of 32 x 32 pixels for a CPU, without an autoencoder.",
        ),
        text(
            "--model",
            metavar="NAME",
            help="Architecture: DiT-S/8 to DiT-XL/2, LightningDiT-B/1 to -1p6B/2. [default: DiT-B/4; small: its own]",
        ),
        whole("--hidden-size", metavar="D", help="Width of the model; overrides --model."),
        whole("--depth", metavar="N", help="Number of blocks; overrides --model."),
        whole("--num-heads", metavar="N", help="Number of attention heads; overrides --model."),
        whole("--patch-size", metavar="P", help="Edge of a patch; overrides --model."),
        whole("--image-size", metavar="N", help="Edge of an image in pixels. [default: 256; small: 32]"),
        choice("--space", ["latent", "pixel"], help="Train on latents or on pixels. [default: latent; small: pixel]"),
        choice("--channels", ["1", "3"], default="3", help="1 is grey, 3 is colour."),
        whole(
            "--max-pixels",
            metavar="N",
            default=100000000,
            help="Refuse a picture with more pixels (rows times columns) before it is decoded.",
        ),
        choice("--on-error", ["fail", "skip"], default="fail", help="For an unusable picture: stop, or leave it out."),
        text(
            "--memory",
            metavar="SIZE",
            default="4GB",
            help="Keep decoded pictures in memory up to this size per process; decode larger sets as needed.",
        ),
        whole("--workers", metavar="N", help="Decoding threads. [default: one per core, at most 8]"),
        flag("--conditional", help="Train on the folders in PICTURES as classes, or on those in its dataset.json."),
        choice(
            "--objective",
            ["noise", "velocity"],
            help="Predict noise, as DiT, or the velocity of a flow, as SiT. [default: noise; that of --init]",
        ),
        choice(
            "--timestep-sampling",
            ["uniform", "logit-normal"],
            default="uniform",
            help="Training times of a flow; logit-normal favours the middle, as in SD3 and LightningDiT.",
        ),
        flag("--direction-loss", help="For a flow: add a loss on the direction of the velocity, as in LightningDiT."),
        flag("--qk-norm", help="Normalise queries and keys: more stable at large learning rates."),
        text(
            "--learn-sigma/--no-learn-sigma",
            default=None,
            help="Also learn the variance. [default: learn-sigma; never for a flow]",
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
            help="Start from the weights and shape of this checkpoint; the attention may differ. "
            "[default: random weights]",
        ),
        whole("--steps", metavar="N", help="Number of training steps, instead of --epochs. [small: 3000]"),
        number("--epochs", metavar="X", help="Passes over the pictures. [default: 100; small: by --steps]"),
        whole("--batch-size", metavar="B", help="Pictures per step, over all processes. [default: 4; small: 32]"),
        number("--learning-rate", metavar="R", help="Learning rate of AdamW. [default: 1e-4; small: 5e-4]"),
        whole("--warmup", metavar="N", help="Steps over which the learning rate rises to its value. [default: 0]"),
        choice(
            "--learning-rate-schedule",
            ["constant", "linear", "cosine"],
            default="constant",
            help="Learning rate after the warmup: linear and cosine decay to 0.",
        ),
        number("--ema-decay", metavar="X", help="Decay of the averaged weights (EMA). [default: 0.9999; small: 0.999]"),
        flag("--ema-warmup", help="Let the EMA decay rise from 0.1 at the first step; for short runs."),
        number("--clip", metavar="X", help="Largest norm of the gradient. [default: no limit]"),
        whole(
            "--accumulate",
            metavar="N",
            help="Split each batch into N parts and add their gradients: less memory. [default: 1]",
        ),
        choice("--precision", _PRECISIONS, help="Precision of the network. [default: fp32]"),
        flag("--tf32", help="Let GPUs multiply in TF32: faster, changes the last digits."),
        flag("--recompute", help="Recompute activations instead of keeping them: less memory, more time."),
        flag("--compile", "compiled", help="Use torch.compile."),
        choice("--crop", ["centre", "random"], default="centre", help="Which square of a picture to use."),
        text("--flip/--no-flip", default=True, help="Mirror half of the pictures."),
        text(
            "--autoencoder",
            metavar="PATH|ID",
            help="Autoencoder that makes latents. [default: stabilityai/sd-vae-ft-ema]",
        ),
        latent_stats_option,
        text("--latents", metavar="DIR", help="Folder that caches latents. [default: RUN.latents]"),
        whole("--log-every", metavar="N", default=50, help="Steps between lines of the log."),
        whole("--save-every", metavar="N", help="Steps between checkpoints. [default: 1000; small: 200]"),
        whole("--sample-every", metavar="N", help="Steps between sheets of samples. [default: no sheets]"),
        whole(
            "--sample-steps",
            metavar="S",
            default=50,
            help="Sampling steps for sheets and scores, 2 to 1000.",
        ),
        whole(
            "--eval-every",
            metavar="N",
            help="Steps between scores of samples against held-out pictures. [default: no scores]",
        ),
        text("--eval-backbone", metavar="NAME", default="mini", help="Backbone of the scores; see `cmmd backbones`."),
        whole("--eval-images", metavar="N", default=256, help="Samples per score."),
        flag("--keep-evaluations", help="Keep the samples of every score, for `cmmd watch`."),
        number("--held-out", metavar="X", default=0.1, help="Share of PICTURES kept for scoring, not trained on."),
        whole("--seed", metavar="K", default=0, help="Seed of all random draws."),
        choice("--device", ["auto", "cpu"], default="auto", help="auto uses a GPU if there is one."),
    )
