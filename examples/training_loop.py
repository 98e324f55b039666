"""A training loop that scores its samples and stops when they get worse.

    python examples/training_loop.py PICTURES

Trains a small Diffusion Transformer on PICTURES at 16 x 16 pixels. Every --eval-every steps it draws samples from the
same seeds and compares them with held-out pictures. It stops when the samples are significantly farther from these than
the best samples so far. The test may be repeated at every evaluation: at most 5 % of runs stop by chance.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from cmmd_toolkit import Watch, embed
from dit_generators import DiT, DiTConfig, SampleSettings, diffusion_loss, linear_schedule, sample, save_checkpoint

SIZE = 16
LEAST = 20  # pictures per side; 100 and more find more


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--eval-every", type=int, default=100)
    parser.add_argument("--samples", type=int, default=128)
    parser.add_argument("--out", type=Path, default=Path("best.safetensors"))
    given = parser.parse_args()

    pictures = load_pictures(given.pictures)
    held_out, training = pictures[::4], torch.from_numpy(np.delete(pictures, np.s_[::4], axis=0))
    if min(len(held_out), given.samples) < LEAST:
        parser.error(f"an evaluation needs {LEAST} samples, and {4 * LEAST} pictures, a fourth of which is held out")
    torch.manual_seed(0)
    model = DiT(DiTConfig(SIZE, in_channels=3, hidden_size=64, depth=2, num_heads=4, num_classes=0, learn_sigma=False))
    watch = Watch(embed(held_out, backbone="mini"))
    settings = SampleSettings(sampler="ddim", steps="10", seed=1)  # the same seeds every time
    for step in train(model, training, given.steps):
        if step % given.eval_every:
            continue
        samples = sample(model.eval(), settings, range(given.samples))
        look = watch.look(embed(samples, backbone="mini"), f"step {step}")
        score = look.scores[0]
        print(f"{look.name}: squared MMD {score.value:.4f} +- {score.standard_error:.4f}, {look.verdict}", flush=True)
        if watch.best == look.name:
            save_checkpoint(model, given.out)
        if look.verdict == "worse":
            print(f"worse than {look.best}: stopped")
            break
    if watch.best is not None:
        print(f"the best, {watch.best}, is in {given.out}")


def load_pictures(folder: Path) -> np.ndarray:
    """uint8 (N, SIZE, SIZE, 3)."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".png", ".jpg", ".jpeg"))
    return np.stack([np.asarray(Image.open(path).convert("RGB").resize((SIZE, SIZE))) for path in paths])


def train(model: DiT, pictures: torch.Tensor, steps: int) -> Iterator[int]:
    """Yield the number of steps that are done, after each."""
    optimiser = torch.optim.AdamW(model.parameters(), 1e-3)
    schedule = linear_schedule()
    for step in range(1, steps + 1):
        batch = pictures[torch.randint(len(pictures), (16,))]
        x_0 = batch.permute(0, 3, 1, 2).float() / 127.5 - 1
        index = torch.randint(len(schedule), (len(x_0),))
        loss = diffusion_loss(model.train(), x_0, index, torch.randn_like(x_0), schedule).total.mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        yield step


if __name__ == "__main__":
    main()
