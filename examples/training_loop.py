"""A training loop that scores its samples and stops when they get worse.

    python examples/training_loop.py PICTURES

A small Diffusion Transformer learns PICTURES at 16 x 16 pixels. Every --eval-every steps it draws samples from the same
seeds, and they are compared with pictures that it never saw. It stops when the samples are farther from them than the
best samples so far, by a test and not by chance, twice in a row.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from cmmd_toolkit import Features, embed, relative_test, squared_mmd
from dit_generators import DiT, DiTConfig, SampleSettings, diffusion_loss, linear_schedule, sample, save_checkpoint

SIZE = 16
LEVEL = 0.01  # of each test; there are many
PATIENCE = 2
LEAST = 20  # pictures a side, for a standard error and a test


class StopWhenWorse:
    """Remembers the best samples, and says when later ones are significantly farther from the reference."""

    def __init__(self, reference: Features) -> None:
        self.reference = reference
        self.best: Features | None = None
        self.best_value = float("inf")
        self.failures = 0

    def improved(self, features: Features) -> bool:
        """Score an evaluation; whether it is the best so far."""
        estimate = squared_mmd(reference=self.reference, generated=features)
        print(f"  squared MMD {estimate.value:.4f} +- {estimate.standard_error:.4f}", flush=True)
        if estimate.value < self.best_value:
            self.best, self.best_value, self.failures = features, estimate.value, 0
            return True
        assert self.best is not None
        test = relative_test(
            reference=self.reference, first=self.best, second=features, paired=True, alternative="first"
        )
        self.failures = self.failures + 1 if test.p_value < LEVEL else 0
        return False

    @property
    def stop(self) -> bool:
        return self.failures >= PATIENCE


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--eval-every", type=int, default=100)
    parser.add_argument("--samples", type=int, default=64)
    parser.add_argument("--out", type=Path, default=Path("best.safetensors"))
    given = parser.parse_args()

    pictures = load_pictures(given.pictures)
    held_out, training = pictures[::4], torch.from_numpy(np.delete(pictures, np.s_[::4], axis=0))
    if min(len(held_out), given.samples) < LEAST:
        parser.error(f"a standard error needs {LEAST} samples, and {4 * LEAST} pictures of which a fourth is held out")
    torch.manual_seed(0)
    model = DiT(DiTConfig(SIZE, in_channels=3, hidden_size=64, depth=2, num_heads=4, num_classes=0, learn_sigma=False))
    watcher = StopWhenWorse(embed(held_out, backbone="mini"))
    settings = SampleSettings(sampler="ddim", steps="10", seed=1)  # the same seeds every time
    for step in train(model, training, given.steps):
        if step % given.eval_every:
            continue
        print(f"step {step}")
        if watcher.improved(embed(sample(model.eval(), settings, range(given.samples)), backbone="mini")):
            save_checkpoint(model, given.out)
        if watcher.stop:
            print(f"worse than the best so far, {PATIENCE} times in a row: stopped")
            break
    print(f"the best, squared MMD {watcher.best_value:.4f}, is in {given.out}")


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
