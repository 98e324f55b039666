"""Training steps compared with a plain implementation using diffusers' DiT of the same size, alternating runs.

Ours makes its batch, adds the variational term and updates the average; the plain step has neither.

python benchmarks/train_step.py [--preset DiT-S/4] [--batch-size 16]
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from diffusers import DDPMScheduler, DiTTransformer2DModel

from dit_generators import DiT, DiTConfig
from dit_generators.data.batches import PixelExamples, make_batch
from dit_generators.training.loop import TrainSettings, TrainState, train
from dit_generators.weights.names import diffusers_config


def make_plain_step(config: DiTConfig, batch: int) -> Callable[[], None]:
    """The step of diffusers' own examples: noise error and AdamW."""
    fields = {name: value for name, value in diffusers_config(config).items() if not name.startswith("_")}
    peer = DiTTransformer2DModel(**fields).train()
    optimiser = torch.optim.AdamW(peer.parameters(), lr=1e-4, weight_decay=0.0)
    scheduler = DDPMScheduler(beta_schedule="linear")
    x_0 = torch.rand(batch, 3, config.input_size, config.input_size) * 2 - 1
    y = torch.arange(batch) % 10

    def plain_step() -> None:
        noise, timesteps = torch.randn_like(x_0), torch.randint(1000, (batch,))
        x_t = scheduler.add_noise(x_0, noise, timesteps)
        output = peer(x_t, timestep=timesteps, class_labels=y).sample[:, :3]
        torch.nn.functional.mse_loss(output, noise).backward()
        optimiser.step()
        optimiser.zero_grad()

    return plain_step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", default="DiT-S/4")
    parser.add_argument("--input-size", type=int, default=32)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--json")
    options = parser.parse_args()
    size, batch = options.input_size, options.batch_size
    config = DiTConfig.preset(options.preset, input_size=size, in_channels=3, num_classes=10)
    torch.manual_seed(0)

    pixels = np.random.default_rng(0).integers(0, 256, (256, size, size, 3), dtype=np.uint8)
    example, labels = PixelExamples(pixels, size, flip=True), np.arange(256) % 10
    settings = TrainSettings(batch_size=batch)
    state = TrainState.start(DiT(config), settings)
    ours = train(
        state, settings,
        lambda positions: make_batch(0, positions, example, labels, num_timesteps=1000, dropout=0.1),
        10**6, state.model, Accelerator(cpu=True),
    )  # fmt: skip

    plain_step = make_plain_step(config, batch)
    seconds: dict[str, list[float]] = {"diffusers": [], "dit_generators": []}
    waited = 0.0
    for _ in range(options.repeats + 1):
        start = time.perf_counter()
        plain_step()
        middle = time.perf_counter()
        waited += next(ours).waited
        seconds["diffusers"].append(middle - start)
        seconds["dit_generators"].append(time.perf_counter() - middle)
    least = {name: min(values[1:]) for name, values in seconds.items()}
    result = {
        "preset": options.preset, "tokens": config.num_tokens, "batch": batch, "threads": torch.get_num_threads(),
        "torch": torch.__version__, "images_per_second": {name: batch / value for name, value in least.items()},
        "ratio": least["diffusers"] / least["dit_generators"],
        "waiting_share": waited / sum(seconds["dit_generators"]),
    }  # fmt: skip
    print(json.dumps(result, indent=1))
    if options.json:
        Path(options.json).write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
