"""The `dit-gen` command. Heavy imports happen inside the commands, so that --help is instant."""

from pathlib import Path
from typing import Any

import click

from cmmd_toolkit.common.completion import FILE
from cmmd_toolkit.common.examples import examples
from cmmd_toolkit.common.options import choice, flag, number, text, whole
from cmmd_toolkit.common.outputs import Outputs, output_options
from cmmd_toolkit.common.text import printable

from ..common.shell import INTERRUPTED, DitShell
from .options import (
    border_option,
    checkpoint_options,
    family_option,
    out_option,
    sampling_options,
    shape_options,
    training_options,
    window_option,
)


@click.group(
    cls=DitShell,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog=examples(
        "dit-gen sample --attention swa --out fake/     # a bundled checkpoint",
        "dit-gen sample --checkpoint xl.pt --labels 207,360 --num 64 --out fake/",
        "dit-gen sweep --attention full,swa --steps 50,250 --out sweep/",
        "dit-gen train pictures/ --out run/ --preset small",
        "dit-gen convert DiT-XL-2-256x256.pt DiT-XL-2-256/",
        "dit-gen bench",
    ),
)
@click.version_option(package_name="cmmd-toolkit", message="%(package)s %(version)s")
def main() -> None:
    """Diffusion Transformers with full, xformers and sliding-window attention: make image sets to be scored."""


@main.command(
    short_help="Make images.",
    epilog=examples(
        "dit-gen sample --attention swa --num 64 --out fake/",
        "dit-gen sample --checkpoint xl.pt --labels 207 --guidance-scale 4 --out f/",
        "dit-gen sample --checkpoint run/ --num 1000 --steps 50 --npz --out fake/",
    ),
)
@checkpoint_options
@text(
    "--attention",
    metavar="KIND",
    help="naive, full, xformers, swa (a sliding window), or a pattern over the layers such as swa*3,full. auto "
    "times the engines that compute the checkpoint's attention and uses the fastest. Without --checkpoint, swa "
    "uses the bundled landscapes-swa, any other landscapes-full. [default: the checkpoint's]",
)
@whole("--num", default=32, metavar="N", help="Number of images.")
@text(
    "--steps",
    default="50",
    metavar="S",
    help="Number of sampling steps, 2 to 1000; any number for flows. ddim50 is 50 steps at the even spacing of the "
    "DDIM paper.",
)
@number("--guidance-scale", default=1.0, metavar="W", help="Guidance scale; 1 is no guidance.")
@sampling_options
@flag("--npz", help="Also write DIR.npz for the ADM evaluator.")
@whole("--preview-every", metavar="STEPS", help="Write the unfinished batch to DIR.preview.png every STEPS steps.")
@out_option("DIR", "Folder for 000000.png, ... and samples.json.")
def sample(**given: Any) -> int:
    """Make N images in DIR, and a contact sheet DIR.contact-sheet.png.

    Image i depends only on the checkpoint, the settings, the seed and i. The same command resumes an unfinished
    folder. Under `torchrun --nproc-per-node P -m -- dit_generators sample ...` P processes share the work.
    """
    from .sampling import make_samples

    make_samples(**given)
    return 0


@main.command(
    short_help="Make images over a grid of settings.",
    epilog=examples(
        "dit-gen sweep --attention full,swa --steps 50,250 --out sweep/",
        "dit-gen sweep --guidance-by window --guidance-scale 1,4,10 --out sweep/",
    ),
)
@checkpoint_options
@text(
    "--attention",
    multiple=True,
    metavar="KIND,...",
    help="Kinds of attention to compare; repeat the option for patterns with commas. [default: the checkpoint's]",
)
@text("--steps", default="50,250,500", metavar="S,...", help="Numbers of sampling steps, 2 to 1000.")
@text("--guidance-scale", default="1", metavar="W,...", help="Guidance scales; 1 is no guidance.")
@whole("--num", default=4, metavar="N", help="Images per cell.")
@sampling_options
@out_option("DIR", "Folder for sweep.png, sweep.json and a folder per cell.")
def sweep(**given: Any) -> int:
    """Make the same N images, from the same noise, for every combination of attention, guidance scale and steps.

    The same command resumes an interrupted sweep. To score: cmmd compare real/ DIR/*/. Under `torchrun
    --nproc-per-node P -m -- dit_generators sweep ...` P processes share the cells.
    """
    from .sampling import make_sweep

    make_sweep(**given)
    return 0


@main.command(
    short_help="Train on a folder of pictures.",
    epilog=examples(
        "dit-gen train pictures/ --out run/ --preset small",
        "dit-gen train pictures/ --out run/ --preset small --attention swa",
    ),
)
@click.argument("pictures", type=FILE)
@out_option("RUN", "Folder of the run; the same command resumes it.")
@text(
    "--attention",
    default="full",
    metavar="KIND",
    help="full, swa (a sliding window), or a pattern over the layers such as swa*3,full.",
)
@shape_options
@training_options
def train(pictures: str, out: str, **given: Any) -> int:
    """Train a DiT on the folder PICTURES: by default an unconditional DiT-B/4 on latents, which needs a GPU.

    PICTURES may also be a .zip, .tar or 'train-{000..099}.tar', .parquet, .npy, a list of paths or a URL. Sets larger
    than --memory are decoded as needed (docs/training.md).

    Ctrl-C finishes the step, saves and stops; the same command resumes, bit for bit on a CPU. Several processes:
    torchrun --nproc-per-node P -m -- dit_generators train ..., or accelerate launch.
    """
    from ..common.processes import joined_processes
    from .training import run_training, train_options

    options = train_options(**given)
    with joined_processes():
        return 0 if run_training(pictures, Path(out), options) else INTERRUPTED


@main.command(
    short_help="Train, sample and score full against swa attention.",
    epilog=examples(
        "dit-gen study pictures/ --out study/ --preset small --backbone mini",
        "dit-gen study pictures/ --out study/ --latex scores.tex --figure scores.pdf",
    ),
)
@click.argument("pictures", type=FILE)
@out_option("STUDY", "Folder of the study; the same command resumes it.")
@whole(
    "--runs",
    default=1,
    metavar="K",
    help="Training runs per kind of attention, each with its own seed. 5 or more compare kinds, not single networks.",
)
@whole("--samples", default=512, metavar="N", help="Samples per model to score.")
@text("--guidance-scale", default="0,1,4,10", metavar="W,...", help="Guidance scales of the sweep.")
@text("--sweep-steps", default="50,250,500", metavar="S,...", help="Sampling steps of the sweep.")
@whole("--sweep-images", default=4, metavar="N", help="Images per cell of the sweep.")
@whole("--draws", default=100, metavar="N", help="Random draws of 32 samples, which show how much such scores vary.")
@text(
    "--backbone",
    multiple=True,
    metavar="NAME[=PATH]",
    help="Backbone for scores; repeatable. [default: all whose weights are on this machine]",
)
@whole("--dims", default=2048, metavar="N", help="Dimensions of Inception features.")
@text("--bench-model", default="DiT-XL/4", metavar="NAME", help="Model for timing attention.")
@number(
    "--bench-minutes",
    default=1.0,
    metavar="M",
    help="Time limit for timing attention alone, and again in the whole model, at batch sizes 10 to 200; what takes "
    "longer is skipped. 0 skips both.",
)
@shape_options
@training_options
@output_options
def study(pictures: str, out: str, **given: Any) -> int:
    """Train a full and a swa model with identical settings, sample both from the same seeds, sweep and score.

    Writes STUDY/evaluation_results.json, tables.md and index.html, and the scores in the chosen formats. The
    same command resumes an interrupted study. Under `torchrun --nproc-per-node P -m -- dit_generators study ...` P
    processes share training, samples, sweeps and features.
    """
    from cmmd_toolkit.common.progress import show_progress

    from ..common.processes import joined_processes
    from ..common.shell import say
    from ..study.run import run_study
    from .study import deliver_scores, study_options

    outputs = Outputs.taken_from(given)
    options = study_options(**given)
    with joined_processes() as processes:
        page = run_study(pictures, out, options, say=say, show_progress=show_progress, processes=processes)
    if page is None:
        return INTERRUPTED
    if processes.is_main:
        deliver_scores(page, outputs)
    return 0


@main.command(
    short_help="Convert a checkpoint.",
    epilog=examples(
        "dit-gen convert DiT-XL-2-256x256.pt DiT-XL-2-256/",
        "dit-gen convert run/ model.safetensors",
    ),
)
@click.argument("source", metavar="IN", type=FILE)
@click.argument("target", metavar="OUT", type=FILE)
@choice("--weights", ["ema", "model"], help="Which weights of a training checkpoint. [default: ema]")
@whole(
    "--num-heads",
    metavar="N",
    help="Number of attention heads, for an official file whose width is not that of a preset.",
)
@family_option
@text("--autoencoder", metavar="PATH", help="Autoencoder folder to copy into a diffusers folder.")
def convert(source: str, target: str, autoencoder: str | None, **reading: Any) -> int:
    """Convert the checkpoint IN to OUT: a .safetensors file (this package, includes the configuration), a .pt file
    (official names) or a new folder (diffusers, like facebook/DiT-XL-2-256)."""
    from ..errors import ArgumentError
    from ..weights.checkpoint import build_model, read_checkpoint, write_checkpoint
    from .sampling import autoencoder_to_copy

    checkpoint = read_checkpoint(source, **reading)
    if Path(target).exists() and Path(target).samefile(checkpoint.path):
        raise ArgumentError(f"{target}: is the input file and would be lost; name another")
    model = build_model(checkpoint)  # every key and shape is right
    write_checkpoint(checkpoint, target, autoencoder_to_copy(model, checkpoint, target, autoencoder))
    count = sum(value.numel() for value in checkpoint.state.values())
    click.echo(printable(f"{target}: {count} weights of {checkpoint.path}"))
    return 0


@main.command(
    short_help="Measure attention.",
    epilog=examples(
        "dit-gen bench",
        "dit-gen bench --model DiT-B/4 --batch-size 8,32 --out bench",
    ),
)
@text("--model", default="DiT-XL/4", metavar="NAME", help="A preset: DiT-S/8 to DiT-XL/2, or one of LightningDiT.")
@whole("--input-size", default=32, metavar="N", help="Edge of the input; 32 is that of latents of 256 pixels.")
@text("--batch-size", default="10,50,100,200", metavar="B,...", help="Batch sizes.")
@text("--attention", default="naive,full,xformers,swa", metavar="KIND,...", help="Kinds of attention.")
@text(
    "--level",
    default="operation,block,model",
    metavar="L,...",
    help="What to time; also image: sampling images from noise in --steps steps, without an autoencoder.",
)
@window_option
@border_option
@text(
    "--precision",
    default="fp32",
    metavar="P,...",
    help="Precisions to time, each for every kind: fp32, tf32 (fp32 with TF32 on), bf16, fp16, and bf16-autocast, "
    "fp16-autocast, which sample and train use.",
)
@flag("--tf32", help="Let GPUs multiply in TF32 in every precision.")
@flag("--backward", help="Time forward and backward pass together.")
@whole(
    "--repeats",
    default=5,
    metavar="N",
    help="Calls per cell; the minimum, mean and standard deviation of their times are reported.",
)
@whole("--steps", default=50, metavar="S", help="Sampling steps of --level image, 2 to 1000.")
@number(
    "--limit-minutes",
    metavar="M",
    help="Time limit for the whole command; what would exceed it is skipped and listed. [default: no limit]",
)
@text("--device", default="auto", metavar="NAME", help="auto (a GPU if there is one), cpu, cuda:1.")
@text("--out", metavar="NAME", type=FILE, help="Also write NAME.json and NAME.png.")
def bench(out: str | None, **given: Any) -> int:
    """Time every kind of attention: the operation alone, in one block, and in the whole model.

    The kinds take turns on one device, one precision after the other, with warm-up and synchronisation; GPU times come
    from CUDA events. The default is the setup of the published comparison, DiT-XL/4 on 32 x 32 latents: 64 tokens.
    """
    from .bench import bench_settings, check_target, run_bench

    check_target(out)
    run_bench(bench_settings(**given), out)
    return 0
