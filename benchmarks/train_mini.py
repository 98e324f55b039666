"""Train the bundled backbone `mini` by distillation: it learns to predict the FID Inception's 768 features.

    python benchmarks/train_mini.py teach --data DATA --weights inception-fid-768.safetensors --out targets.npz
    python benchmarks/train_mini.py train --targets targets.npz --out cmmd_toolkit/backbones/mini.safetensors

`teach` runs the teacher over pictures of the training half, clean and with random faults, each reduced to the 64 x 64
pixels that the student sees; on two cores it makes about 35 targets per second. `train` fits the student to the
teacher's 256 leading principal components. Both are seeded. DATA holds cifar10.zip, scenes/ and landscapes/; held-out
pictures (see degrade.py) and the StyleGAN2 snapshots are never read.
"""

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

import degrade
import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file

from cmmd_toolkit import load_backbone
from cmmd_toolkit.backbones.mini_network import DIM, INPUT_SIZE, MiniNetwork


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    teaching = commands.add_parser("teach")
    teaching.add_argument("--data", type=Path, required=True)
    teaching.add_argument("--weights", type=Path, required=True)
    teaching.add_argument("--out", type=Path, required=True)
    teaching.add_argument("--targets", type=int, default=30_000)
    teaching.add_argument(
        "--seed", type=int, default=0, help="start several processes with different seeds to use more cores"
    )
    teaching.add_argument("--minutes", type=float, default=60, help="stop after this time and keep the result so far")
    training = commands.add_parser("train")
    training.add_argument("--targets", type=Path, nargs="+", required=True)
    training.add_argument("--out", type=Path, required=True)
    training.add_argument("--epochs", type=int, default=30)
    training.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    if given.command == "teach":
        teach(given.data, given.weights, given.out, given)
    else:
        train(given.targets, given.out, given.epochs, given.seed)


def teach(data: Path, weights: Path, out: Path, given: argparse.Namespace) -> None:
    """Save student inputs (N, 64, 64, 3) with the teacher's features (N, 768)."""
    teacher = load_backbone("inception", weights=weights, dims=768, device="cpu")
    images, targets, start = [], [], time.perf_counter()
    for batch in batches(training_pictures(data, given.seed), 32):
        images += batch
        targets.append(teacher.embed([teacher.preprocess(picture) for picture in batch]))
        if len(images) >= given.targets or time.perf_counter() - start > 60 * given.minutes:
            break
        if len(images) % 1024 == 0:
            print(f"{len(images)} targets, {len(images) / (time.perf_counter() - start):.1f} a second", flush=True)
    np.savez(out, images=np.stack(images), targets=np.concatenate(targets))


def training_pictures(data: Path, seed: int) -> Iterator[np.ndarray]:
    """Endless 64 x 64 pictures of the training half of scenes, landscapes and CIFAR, two thirds with a fault."""
    generator = np.random.default_rng(seed)
    scenes = [picture for group in degrade.read_folder(data / "scenes", held=False).values() for picture in group]
    landscapes = degrade.read_folder(data / "landscapes", held=False, size=128)["."]
    pools = [scenes, landscapes, degrade.read_cifar(data / "cifar10.zip", "train", 3)]
    while True:
        pool = pools[generator.choice(3, p=[0.3, 0.45, 0.25])]
        yield student_view(random_fault(random_crop(pool[generator.integers(len(pool))], generator), generator))


def random_crop(pixels: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    height, width = pixels.shape[:2]
    side = round(min(height, width) * generator.uniform(0.7, 1.0))
    top, left = generator.integers(height - side + 1), generator.integers(width - side + 1)
    crop = pixels[top : top + side, left : left + side]
    return crop[:, ::-1] if generator.random() < 0.5 else crop


def random_fault(pixels: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Now and then a fault, now and then two, at any strength."""
    for _ in range(generator.choice([0, 1, 2], p=[0.34, 0.5, 0.16])):
        fault = generator.choice(list(degrade.PICTURE_FAULTS))
        pixels = degrade.PICTURE_FAULTS[fault](np.ascontiguousarray(pixels), generator.uniform(0.2, 5.0), generator)
    return pixels


def student_view(pixels: np.ndarray) -> np.ndarray:
    size = (INPUT_SIZE, INPUT_SIZE)
    return np.asarray(Image.fromarray(np.ascontiguousarray(pixels)).resize(size, Image.Resampling.BICUBIC))


def batches(pictures: Iterator[np.ndarray], size: int) -> Iterator[list[np.ndarray]]:
    while True:
        yield [next(pictures) for _ in range(size)]


def train(targets_files: list[Path], out: Path, epochs: int, seed: int) -> None:
    """Fit the student to the leading principal components of the teacher's features and save it in half precision."""
    torch.manual_seed(seed)
    stored = [np.load(path) for path in targets_files]
    images = torch.from_numpy(np.concatenate([file["images"] for file in stored])).permute(0, 3, 1, 2)
    wanted = torch.from_numpy(principal_components(np.concatenate([file["targets"] for file in stored])))
    held = len(images) // 20
    network = MiniNetwork().to(memory_format=torch.channels_last)
    steps = epochs * ((len(images) - held) // BATCH)
    optimiser = torch.optim.AdamW(network.parameters(), lr=2e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, total_steps=steps, pct_start=0.15)
    for epoch in range(epochs):
        start, losses = time.perf_counter(), []
        for rows in (held + torch.randperm(len(images) - held)).split(BATCH):
            if len(rows) < BATCH:
                continue
            loss = distance(network(augmented(images[rows])), wanted[rows])
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            schedule.step()
            losses.append(float(loss.detach()))
        error = evaluate(network, images[:held], wanted[:held])
        seconds = time.perf_counter() - start
        print(f"epoch {epoch + 1}: train {np.mean(losses):.4f}, held out {error:.4f}, {seconds:.0f} s", flush=True)
    state = {key: value.half().contiguous() for key, value in network.state_dict().items() if "num_batches" not in key}
    save_file(state, out, metadata={"format": "pt", "recipe": "benchmarks/train_mini.py"})


BATCH = 64


def principal_components(features: np.ndarray) -> np.ndarray:
    """Centred features in their DIM leading directions, scaled to unit mean squared length; the signs are fixed."""
    centred = features.astype(np.float64) - features.mean(axis=0, dtype=np.float64)
    _, vectors = np.linalg.eigh(centred.T @ centred)
    vectors = vectors[:, ::-1][:, :DIM]
    vectors *= np.sign(vectors[np.abs(vectors).argmax(axis=0), np.arange(DIM)])
    components = centred @ vectors
    return (components / np.sqrt(np.square(components).sum(axis=1).mean())).astype(np.float32)


def augmented(images: torch.Tensor) -> torch.Tensor:
    """Mirrored at random (Inception hardly tells the difference), scaled to -1..1."""
    flip = torch.rand(len(images)) < 0.5
    images = torch.where(flip[:, None, None, None], images.flip(3), images)
    return (images.float() / 127.5 - 1).contiguous(memory_format=torch.channels_last)


def distance(predicted: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Squared error, plus one minus cosine: MMD looks at directions."""
    cosine = torch.nn.functional.cosine_similarity(predicted, wanted, dim=1).mean()
    return torch.square(predicted - wanted).sum(dim=1).mean() + (1 - cosine)


@torch.no_grad()
def evaluate(network: MiniNetwork, images: torch.Tensor, wanted: torch.Tensor) -> float:
    network.eval()
    parts = [
        distance(network(image.float() / 127.5 - 1), target)
        for image, target in zip(images.split(256), wanted.split(256), strict=True)
    ]
    network.train()
    return float(torch.stack(parts).mean())


if __name__ == "__main__":
    main()
