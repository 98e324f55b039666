"""Sampling compared with diffusers' DiTPipeline: same weights, sampler, steps, guidance and batch, alternating runs.

python benchmarks/dit_pipeline.py [--preset DiT-S/2] [--steps 20] [--batch-size 4]
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import torch
from diffusers import DDIMScheduler, DiTPipeline, DiTTransformer2DModel

from dit_generators import DiTConfig, Guidance, SampleSettings, load_checkpoint, sample
from dit_generators.network.model import DiT
from dit_generators.weights.autoencoder import load_autoencoder
from dit_generators.weights.checkpoint import Checkpoint, write_checkpoint


def make_folder(config: DiTConfig, folder: Path) -> Path:
    """A pipeline's folder with random weights and a small VAE."""
    from diffusers import AutoencoderKL

    torch.manual_seed(0)
    model = DiT(config)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.02)
    blocks = ("DownEncoderBlock2D",) * 2, ("UpDecoderBlock2D",) * 2
    vae = AutoencoderKL(
        block_out_channels=(16, 32), down_block_types=blocks[0], up_block_types=blocks[1], norm_num_groups=4
    )
    vae.save_pretrained(folder / "vae-source")
    write_checkpoint(Checkpoint(config, model.state_dict(), folder), folder / "dit", folder / "vae-source")
    return folder / "dit"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", default="DiT-S/2")
    parser.add_argument("--input-size", type=int, default=16)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--guidance-scale", type=float, default=4.0)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json")
    options = parser.parse_args()
    config = DiTConfig.preset(options.preset, input_size=options.input_size)
    with tempfile.TemporaryDirectory() as name:
        folder = make_folder(config, Path(name))
        pipe = DiTPipeline(
            DiTTransformer2DModel.from_pretrained(folder, subfolder="transformer", low_cpu_mem_usage=False),
            load_autoencoder(folder / "vae").network,
            DDIMScheduler(beta_schedule="linear", clip_sample=False),
        )
        pipe.set_progress_bar_config(disable=True)
        model, autoencoder = load_checkpoint(folder), load_autoencoder(folder / "vae")
        labels = tuple(range(options.batch_size))
        settings = SampleSettings(
            "ddim", f"ddim{options.steps}", guidance=Guidance(options.guidance_scale), labels=labels
        )

        def theirs() -> None:
            pipe(
                class_labels=list(labels), guidance_scale=options.guidance_scale, num_inference_steps=options.steps,
                output_type="np",
            )  # fmt: skip

        def ours() -> None:
            sample(model, settings, range(options.batch_size), autoencoder)

        seconds: dict[str, list[float]] = {"diffusers": [], "dit_generators": []}
        for _ in range(options.repeats + 1):
            for name_, run in (("diffusers", theirs), ("dit_generators", ours)):
                start = time.perf_counter()
                run()
                seconds[name_].append(time.perf_counter() - start)
    least = {name_: min(values[1:]) for name_, values in seconds.items()}  # the first of each warms up
    ratios = sorted(a / b for a, b in zip(seconds["diffusers"][1:], seconds["dit_generators"][1:], strict=True))
    result = {
        "preset": options.preset, "tokens": config.num_tokens, "steps": options.steps, "batch": options.batch_size,
        "guidance_scale": options.guidance_scale, "threads": torch.get_num_threads(), "torch": torch.__version__,
        "seconds": least, "ratio": least["diffusers"] / least["dit_generators"], "paired_ratios": ratios,
    }  # fmt: skip
    print(json.dumps(result, indent=1))
    if options.json:
        Path(options.json).write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
