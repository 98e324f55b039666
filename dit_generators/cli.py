"""The `dit-gen` command. Heavy imports happen inside the commands, so that --help is instant."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from .errors import CheckpointError
from .shell import INTERRUPTED, Shell, listed, say


@click.group(cls=Shell, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="cmmd-toolkit", message="%(package)s %(version)s")
def main() -> None:
    """Diffusion Transformers with full, xformers and sliding-window attention: make image sets to be scored.

    \b
    dit-gen sample --attention swa --out fake/
    dit-gen sample --checkpoint DiT-XL-2-256x256.pt --labels 207,360 --guidance-scale 4 --out fake/
    dit-gen sweep --guidance-scale 0,1,4,10 --steps 50,250,500 --attention full,swa --out sweep/
    dit-gen convert DiT-XL-2-256x256.pt DiT-XL-2-256/
    dit-gen bench
    """


def _apply(command: Callable[..., Any], options: tuple[Callable[..., Any], ...]) -> Callable[..., Any]:
    for option in reversed(options):
        command = option(command)
    return command


def checkpoint_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Which weights, and how their file is read."""
    return _apply(
        command,
        (
            click.option(
                "--checkpoint", metavar="PATH|ID|NAME", help="Weights: a file or folder, OWNER/NAME, or a bundled name."
            ),
            click.option(
                "--weights", type=click.Choice(["ema", "model"]), default="ema", show_default=True,
                help="Which of a training checkpoint's two.",
            ),
            click.option("--num-heads", type=int, metavar="N", help="Heads, where an official file has a free width."),
        ),
    )  # fmt: skip


def sampling_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """What `sample` and `sweep` share."""
    return _apply(
        command,
        (
            click.option(
                "--sampler", type=click.Choice(["ddpm", "ddim", "dpm-solver++", "unipc"]), default="ddpm",
                show_default=True, help="How noise becomes an image.",
            ),
            click.option("--eta", type=float, default=0.0, show_default=True, help="Noise of ddim, 0 to 1."),
            click.option(
                "--guidance-by", type=click.Choice(["label", "window"]), default="label", show_default=True,
                help="The weak model: the null label, or the same weights with a small attention window.",
            ),
            click.option(
                "--guidance-channels", type=click.Choice(["all", "3"]), default="all", show_default=True,
                help="Channels of the noise that are guided; 3 reproduces official samples.",
            ),
            click.option(
                "--guidance-interval", metavar="LOW,HIGH", help="Guide only at these of the 1000 timesteps."
            ),
            click.option(
                "--guidance-window", type=int, default=3, show_default=True, metavar="K",
                help="Window of the weak model of --guidance-by window.",
            ),
            click.option("--window", type=int, metavar="K", help="Window of swa, odd. [default: the checkpoint's]"),
            click.option(
                "--border", type=click.Choice(["shift", "truncate"]), help="Of swa. [default: the checkpoint's]"
            ),
            click.option("--dilation", type=int, metavar="D", help="Of swa. [default: the checkpoint's]"),
            click.option("--labels", metavar="A,B,...", help="Classes, in turn. [default: drawn for each image]"),
            click.option("--seed", type=int, default=0, show_default=True, metavar="K", help="Image i uses (K, i)."),
            click.option("--batch-size", type=int, default=16, show_default=True, metavar="B", help="Images at once."),
            click.option(
                "--autoencoder", metavar="PATH|ID",
                help="For latents. [default: the checkpoint's own, else stabilityai/sd-vae-ft-ema]",
            ),
            click.option("--device", default="auto", show_default=True, metavar="NAME", help="auto, cpu, cuda:1."),
            click.option(
                "--precision", type=click.Choice(["fp32", "bf16"]), default="fp32", show_default=True,
                help="bf16 is faster on GPUs and changes images.",
            ),
            click.option("--tf32", is_flag=True, help="Let GPUs multiply in TF32: faster, changes images."),
            click.option("--compile", "compiled", is_flag=True, help="torch.compile: slow start, changes last bits."),
        ),
    )  # fmt: skip


@main.command(short_help="Make images.")
@checkpoint_options
@click.option("--attention", metavar="KIND", help="naive, full, xformers, swa, auto, or a pattern such as swa*3,full.")
@click.option("--num", type=int, default=32, show_default=True, metavar="N", help="Images.")
@click.option(
    "--steps", default="50", show_default=True, metavar="S", help="Of the 1000 of training; also ddimS and a,b,c."
)
@click.option("--guidance-scale", type=float, default=1.0, show_default=True, metavar="W", help="1 is no guidance.")
@sampling_options
@click.option("--npz", is_flag=True, help="Write DIR.npz for the ADM evaluator, too.")
@click.option("--preview-every", type=int, metavar="STEPS", help="Show the batch at hand in DIR.preview.png.")
@click.option("--out", required=True, metavar="DIR", help="Folder for 000000.png, ... and samples.json.")
def sample(out: str, num: int, npz: bool, preview_every: int | None, attention: str | None, **given: Any) -> int:
    """Make N images in DIR, and DIR.contact-sheet.png beside it.

    Image i depends on the checkpoint, the settings, the seed and i alone. The same command goes on with an unfinished
    folder. Under `torchrun --nproc-per-node P -m -- dit_generators sample ...` P processes share the work.
    """
    from .processes import joined_processes
    from .progress import show_progress
    from .run import SampleRun, run_sampling
    from .setup import load_model, make_settings

    settings = make_settings(given, steps=given.pop("steps"), scale=given.pop("guidance_scale"))
    with joined_processes() as processes:
        model, autoencoder, source = load_model(given, attention, settings)
        run = SampleRun(model, settings, Path(out), num, given["batch_size"], source, autoencoder, preview_every)
        result = run_sampling(run, processes, show_progress)
        if processes.is_main:
            sheet = result.folder.write_sheet(num, settings.labels)
            if npz:
                click.echo(result.folder.write_npz(num))
            found = f", {result.found} were there already" if result.found else ""
            click.echo(f"{out}: {result.made} images made in {result.seconds:.1f} s{found}")
            click.echo(sheet)
    return 0


@main.command(short_help="Make images over a grid of settings.")
@checkpoint_options
@click.option(
    "--attention",
    multiple=True,
    metavar="KIND,...",
    help="Kinds to compare; repeat it for patterns with a comma. [default: the checkpoint's]",
)
@click.option("--steps", default="50,250,500", show_default=True, metavar="S,...", help="Numbers of steps.")
@click.option("--guidance-scale", default="1", show_default=True, metavar="W,...", help="Guidance scales.")
@click.option("--num", type=int, default=4, show_default=True, metavar="N", help="Images in each cell.")
@sampling_options
@click.option("--out", required=True, metavar="DIR", help="Folder for a folder a cell, sweep.png and sweep.json.")
def sweep(out: str, num: int, steps: str, guidance_scale: str, attention: tuple[str, ...], **given: Any) -> int:
    """Make the same N images, from the same noise, for every combination of attention, guidance scale and steps.

    Interrupted, the same command goes on. Scores: cmmd compare real/ DIR/*/
    """
    from .progress import show_progress
    from .run import SampleRun
    from .setup import load_model, make_settings, switch_attention
    from .sweep import Sweep, run_sweep

    kinds = attention if len(attention) > 1 else tuple(attention[0].split(",")) if attention else (None,)
    plan = Sweep(kinds, listed(guidance_scale, "--guidance-scale", float), tuple(map(str.strip, steps.split(","))))
    settings = make_settings(given, steps=plan.steps[0], scale=plan.scales[0])
    model, autoencoder, source = load_model(given, None, settings)
    base = SampleRun(model, settings, Path(out), num, given["batch_size"], source, autoencoder)
    cells = run_sweep(base, plan, lambda kind: switch_attention(model, kind, given), show_progress)
    for cell in cells:
        click.echo(cell)
    click.echo(Path(out, "sweep.png"))
    return 0


@main.command(short_help="Train on a folder of pictures.")
@click.argument("pictures")
@click.option("--out", required=True, metavar="RUN", help="Folder of the run; the same command goes on with it.")
@click.option("--preset", type=click.Choice(["report", "small"]), default="report", show_default=True, help="Defaults.")
@click.option("--model", metavar="NAME", help="DiT-S/8 to DiT-XL/2. [default: DiT-B/4; small: its own]")
@click.option("--hidden-size", type=int, metavar="D", help="Another width.")
@click.option("--depth", type=int, metavar="N", help="Another number of blocks.")
@click.option("--num-heads", type=int, metavar="N", help="Another number of heads.")
@click.option("--patch-size", type=int, metavar="P", help="Another patch.")
@click.option("--image-size", type=int, metavar="N", help="Pixels. [default: 256; small: 32]")
@click.option("--space", type=click.Choice(["latent", "pixel"]), help="[default: latent; small: pixel]")
@click.option("--channels", type=click.Choice(["1", "3"]), default="3", show_default=True, help="Grey or colour.")
@click.option("--conditional", is_flag=True, help="The folders in PICTURES are classes.")
@click.option("--learn-sigma/--no-learn-sigma", default=True, show_default=True, help="Learn the variance.")
@click.option("--attention", default="full", show_default=True, metavar="KIND", help="full, swa, or swa*3,full.")
@click.option("--window", type=int, default=3, show_default=True, metavar="K", help="Of swa, odd.")
@click.option("--border", type=click.Choice(["shift", "truncate"]), default="shift", show_default=True, help="Of swa.")
@click.option("--dilation", type=int, default=1, show_default=True, metavar="D", help="Of swa.")
@click.option("--steps", type=int, metavar="N", help="[default: 100000; small: 3000]")
@click.option("--batch-size", type=int, metavar="B", help="Over all processes. [default: 64; small: 32]")
@click.option("--learning-rate", type=float, metavar="R", help="[default: 1e-4; small: 5e-4]")
@click.option("--warmup", type=int, metavar="N", help="Steps to reach it. [default: 0]")
@click.option("--ema-decay", type=float, metavar="X", help="[default: 0.9999; small: 0.999]")
@click.option("--clip", type=float, metavar="X", help="Largest norm of the gradient. [default: none]")
@click.option("--accumulate", type=int, metavar="N", help="Parts a process cuts its batch into. [default: 1]")
@click.option("--precision", type=click.Choice(["fp32", "bf16", "fp16"]), help="[default: fp32]")
@click.option("--recompute", is_flag=True, help="Activation checkpointing: less memory, more time.")
@click.option("--compile", "compiled", is_flag=True, help="torch.compile.")
@click.option("--crop", type=click.Choice(["centre", "random"]), default="centre", show_default=True, help="Where.")
@click.option("--flip/--no-flip", default=True, show_default=True, help="Mirror half of them.")
@click.option("--autoencoder", metavar="PATH|ID", help="[default: stabilityai/sd-vae-ft-ema]")
@click.option("--latents", metavar="DIR", help="Cache of latents. [default: RUN.latents]")
@click.option("--log-every", type=int, default=50, show_default=True, metavar="N", help="Steps.")
@click.option("--save-every", type=int, metavar="N", help="Steps. [default: 1000; small: 200]")
@click.option("--sample-every", type=int, metavar="N", help="Draw a sheet of samples.")
@click.option("--sample-steps", type=int, default=50, show_default=True, metavar="S", help="Of sheets and scores.")
@click.option("--eval-every", type=int, metavar="N", help="Score samples against held-out pictures.")
@click.option("--eval-backbone", default="mini", show_default=True, metavar="NAME", help="See `cmmd backbones`.")
@click.option("--eval-images", type=int, default=256, show_default=True, metavar="N", help="Samples a score.")
@click.option("--held-out", type=float, default=0.1, show_default=True, metavar="X", help="Share of PICTURES.")
@click.option("--seed", type=int, default=0, show_default=True, metavar="K", help="Of everything.")
@click.option("--device", default="auto", show_default=True, metavar="NAME", help="auto or cpu.")
def train(pictures: str, out: str, **given: Any) -> int:
    """Train a DiT on the folder PICTURES: unconditional DiT-B/4 on latents by default, as in the report.

    Ctrl-C finishes the step, saves and stops; the same command goes on, to the same bits on a CPU. Several processes:
    torchrun --nproc-per-node P -m -- dit_generators train ..., or accelerate launch.
    """
    from .train_setup import make_run

    given["channels"] = int(given["channels"])
    run = make_run(Path(pictures), Path(out), given)
    finished = run.run()
    if run.main:
        say(f"{out}: {run.state.step} steps are done" + ("" if finished else "; the same command goes on"))
    return 0 if finished else INTERRUPTED


@main.command(short_help="Convert a checkpoint.")
@click.argument("source", metavar="IN")
@click.argument("target", metavar="OUT")
@click.option("--weights", type=click.Choice(["ema", "model"]), default="ema", show_default=True, help="Of train.py's.")
@click.option("--num-heads", type=int, metavar="N", help="Heads, where an official file has a free width.")
@click.option("--autoencoder", metavar="PATH", help="Folder of the VAE to put into a diffusers folder.")
def convert(source: str, target: str, weights: str, num_heads: int | None, autoencoder: str | None) -> int:
    """Convert the checkpoint IN to OUT: a .safetensors file (ours, with the configuration inside), a .pt file
    (official) or a new folder (diffusers, as facebook/DiT-XL-2-256)."""
    from .checkpoint import build_model, read_checkpoint, write_checkpoint

    checkpoint = read_checkpoint(source, num_heads=num_heads, weights=weights)
    build_model(checkpoint)  # every key and shape is right
    vae = Path(autoencoder) if autoencoder else checkpoint.autoencoder
    if vae is not None and not (vae / "config.json").is_file():
        raise CheckpointError(f"{vae}: has no config.json; give the save_pretrained folder of a VAE")
    write_checkpoint(checkpoint, target, vae)
    count = sum(value.numel() for value in checkpoint.state.values())
    click.echo(f"{target}: {count} weights of {checkpoint.path}")
    return 0


@main.command(short_help="Measure attention.")
@click.option("--model", default="DiT-XL/4", show_default=True, metavar="NAME", help="A preset: DiT-S/8 to DiT-XL/2.")
@click.option("--input-size", type=int, default=32, show_default=True, metavar="N", help="32 is 256 pixels as latents.")
@click.option("--batch-size", default="10,50,100,200", show_default=True, metavar="B,...", help="Batch sizes.")
@click.option("--attention", default="naive,full,xformers,swa", show_default=True, metavar="KIND,...", help="Kinds.")
@click.option("--level", default="operation,block,model", show_default=True, metavar="L,...", help="What is timed.")
@click.option("--window", type=int, default=3, show_default=True, metavar="K", help="Of swa, odd.")
@click.option(
    "--precision", type=click.Choice(["fp32", "bf16", "fp16"]), default="fp32", show_default=True, help="Of all."
)
@click.option("--tf32", is_flag=True, help="Let GPUs multiply in TF32, for every kind alike.")
@click.option("--backward", is_flag=True, help="Time forward and backward together.")
@click.option("--repeats", type=int, default=5, show_default=True, metavar="N", help="The least of N is taken.")
@click.option("--device", default="auto", show_default=True, metavar="NAME", help="auto, cpu, cuda:1.")
@click.option("--out", metavar="NAME", help="Write NAME.json and NAME.png, too.")
def bench(
    model: str, input_size: int, batch_size: str, attention: str, level: str, window: int, out: str | None, **given: Any
) -> int:
    """Time every kind of attention, as the operation alone, in one block, and in the whole model.

    All kinds run in one precision on one device, warmed up and synchronised. The default is the set-up of the published
    comparison, DiT-XL/4 on 32 x 32 latents: 64 tokens.
    """
    from .report_bench import run_bench

    run_bench(model, input_size, batch_size, attention, level, window, out, given)
    return 0
