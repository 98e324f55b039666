"""What peers.py measures: for every task the call of each tool, made from a size."""

import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

OURS = "cmmd-toolkit"


@dataclass(frozen=True)
class Task:
    """What is measured: `calls` make, from the size, a function whose time counts; `size` full and small."""

    title: str
    full: tuple[int, int]
    small: tuple[int, int]
    calls: Mapping[str, Callable[[int, int], Callable[[], Any]]]


def gaussians(dim: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Means and covariances with a spectrum that decays like that of network features."""
    sides = []
    for seed in (0, 1):
        rng = np.random.default_rng(seed)
        rows = rng.standard_normal((4 * dim, dim)) / np.sqrt(1 + np.arange(dim) / 20) + 0.02 * seed
        sides.append((rows.mean(axis=0), np.cov(rows, rowvar=False)))
    return sides


def frechet_of(package: str) -> Callable[[int, int], Callable[[], Any]]:
    def make(_: int, dim: int) -> Callable[[], Any]:
        (mean, cov), (other_mean, other_cov) = gaussians(dim)
        four = (mean, cov, other_mean, other_cov)
        if package == "pytorch-fid":
            from pytorch_fid.fid_score import calculate_frechet_distance

            return lambda: calculate_frechet_distance(*four)
        if package == "clean-fid":
            from cleanfid.fid import frechet_distance as clean

            return lambda: clean(*four)
        if package == "torch-fidelity":
            from torch_fidelity.metric_fid import fid_statistics_to_metric

            one, two = ({"mu": own[0], "sigma": own[1]} for own in ((mean, cov), (other_mean, other_cov)))
            return lambda: fid_statistics_to_metric(one, two, False)
        if package == "torchmetrics":
            import torch
            from torchmetrics.image.fid import _compute_fid

            tensors = [torch.from_numpy(own) for own in four]
            return lambda: float(_compute_fid(*tensors))
        from cmmd_toolkit import GaussianStatistics, frechet_distance

        sides = [GaussianStatistics(*own, 4 * dim) for own in ((mean, cov), (other_mean, other_cov))]
        return lambda: float(frechet_distance(reference=sides[0], generated=sides[1]))

    return make


def features(rows: int, dim: int, seed: int) -> np.ndarray:
    values = np.random.default_rng(seed).standard_normal((rows, dim)) + 0.05 * seed
    return (values / np.linalg.norm(values, axis=1, keepdims=True)).astype(np.float32)


def public_mmd(rows: int, dim: int) -> Callable[[], Any]:
    """The released CMMD's formula with whole float32 matrices."""
    import torch

    a, b = (torch.from_numpy(features(rows, dim, seed)) for seed in (0, 1))

    def call() -> float:
        norms = [torch.diag(own @ own.T) for own in (a, b)]
        means = [
            torch.exp(-0.005 * (-2 * (p @ q.T) + norms[i][:, None] + norms[j][None, :])).mean()
            for p, i, q, j in ((a, 0, a, 0), (b, 1, b, 1), (a, 0, b, 1))
        ]
        return float(means[0] + means[1] - 2 * means[2])

    return call


def our_mmd(rows: int, dim: int) -> Callable[[], Any]:
    from cmmd_toolkit import squared_mmd

    x, y = (features(rows, dim, seed) for seed in (0, 1))
    return lambda: float(squared_mmd(reference=x, generated=y, bandwidth=10.0))


def three_products(rows: int, dim: int) -> Callable[[], Any]:
    """The machine's limit: the same three matrix products in float32, block by block, and nothing else."""
    x, y = (features(rows, dim, seed) for seed in (0, 1))

    def call() -> None:
        for first, second in ((x, x), (y, y), (x, y)):
            for at in range(0, rows, 1024):
                first[at : at + 1024] @ second.T

    return call


def fidelity_kid(rows: int, dim: int) -> Callable[[], Any]:
    import torch
    from torch_fidelity.metric_kid import kid_features_to_metric

    x, y = (torch.from_numpy(features(rows, dim, seed)) for seed in (0, 1))
    return lambda: kid_features_to_metric(x, y, verbose=False, kid_subset_size=min(1000, rows))


def our_kid(rows: int, dim: int) -> Callable[[], Any]:
    from cmmd_toolkit import kernel_distance

    x, y = (features(rows, dim, seed) for seed in (0, 1))
    size = min(1000, rows)
    return lambda: kernel_distance(reference=x, generated=y, recipe="torch-fidelity", subset_size=size)


def prdc_four(rows: int, dim: int) -> Callable[[], Any]:
    from prdc import compute_prdc

    x, y = (features(rows, dim, seed) for seed in (0, 1))
    return lambda: compute_prdc(x, y, nearest_k=5)


def our_four(rows: int, dim: int) -> Callable[[], Any]:
    from cmmd_toolkit.metrics.neighbours import neighbour_metrics

    x, y = (features(rows, dim, seed) for seed in (0, 1))
    return lambda: neighbour_metrics(reference=x, generated=y, k=5)


def jpegs(count: int, size: int) -> list[bytes]:
    import io

    from PIL import Image

    encoded = []
    for i in range(count):
        small = Image.fromarray(np.random.default_rng(i).integers(0, 256, (24, 24, 3), dtype=np.uint8))
        small.resize((size, size), Image.Resampling.BICUBIC).save(stream := io.BytesIO(), "JPEG", quality=90)
        encoded.append(stream.getvalue())
    return encoded


def clean_resize(count: int, size: int) -> Callable[[], Any]:
    import io

    from cleanfid.resize import build_resizer
    from PIL import Image

    encoded, resize = jpegs(count, size), build_resizer("clean")
    return lambda: last_of(resize(np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))) for data in encoded)


def our_resize(count: int, size: int) -> Callable[[], Any]:
    from cmmd_toolkit.backbones.preprocess import clean_fid
    from cmmd_toolkit.pictures.decode import decode

    encoded = jpegs(count, size)
    return lambda: last_of(clean_fid(decode(data, "x").pixels) for data in encoded)


def last_of(results: Iterator[Any]) -> Any:
    """Each result is dropped when the next one comes, as in a loop over pictures."""
    return deque(results, maxlen=1)


def inception_of(package: str) -> Callable[[int, int], Callable[[], Any]]:
    """The network to 2048 dimensions with random weights, which take the same time; batches of 50 as pytorch-fid's."""

    def make(count: int, batch: int) -> Callable[[], Any]:
        import torch

        pixels = np.random.default_rng(0).integers(0, 256, (count, 299, 299, 3), dtype=np.uint8)
        whole = torch.from_numpy(pixels).permute(0, 3, 1, 2)
        parts = [whole[i : i + batch] for i in range(0, count, batch)]
        torch.manual_seed(0)
        if package == OURS:
            return our_inception(pixels, batch)
        if package == "torch-fidelity":
            from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

            state = str(Path(tempfile.mkdtemp(), "random.pth"))
            random_state(state)
            network = FeatureExtractorInceptionV3("inception", ["2048"], feature_extractor_weights_path=state).eval()
            return without_gradient(lambda: [network(part) for part in parts])
        from pytorch_fid.inception import InceptionV3, fid_inception_v3

        state = str(Path(tempfile.mkdtemp(), "random.pth"))
        random_state(state)
        original = torch.hub.load_state_dict_from_url
        import pytorch_fid.inception as module

        module.load_state_dict_from_url = lambda *_args, **_more: torch.load(state)
        fid_inception_v3()
        network = InceptionV3([3]).eval()
        torch.hub.load_state_dict_from_url = original
        return without_gradient(lambda: [network(part.float() / 255) for part in parts])

    return make


def without_gradient(call: Callable[[], Any]) -> Callable[[], Any]:
    import torch

    def silent() -> Any:
        with torch.no_grad():
            return call()

    return silent


def random_state(target: str) -> None:
    """A state dict with pytorch-fid's names, which torch-fidelity and this package read, too."""
    import torch
    from pytorch_fid.inception import FIDInceptionA, FIDInceptionC, FIDInceptionE_1, FIDInceptionE_2
    from torchvision.models import inception_v3

    network = inception_v3(num_classes=1008, aux_logits=False, weights=None, init_weights=False)
    network.Mixed_5b, network.Mixed_5c, network.Mixed_5d = (
        FIDInceptionA(width, pool_features=pool) for width, pool in ((192, 32), (256, 64), (288, 64))
    )
    network.Mixed_6b, network.Mixed_6c, network.Mixed_6d, network.Mixed_6e = (
        FIDInceptionC(768, channels_7x7=channels) for channels in (128, 160, 160, 192)
    )
    network.Mixed_7b, network.Mixed_7c = FIDInceptionE_1(1280), FIDInceptionE_2(2048)
    torch.save(network.state_dict(), target)


def our_inception(pixels: np.ndarray, batch: int) -> Callable[[], Any]:
    from cmmd_toolkit import load_backbone

    state = str(Path(tempfile.mkdtemp(), "random.pth"))
    random_state(state)
    network = load_backbone("inception", weights=state, device="cpu")
    inputs = [network.preprocess(own) for own in pixels]
    return lambda: [network.embed(inputs[i : i + batch]) for i in range(0, len(inputs), batch)]


TASKS: dict[str, Task] = {
    "frechet": Task(
        "Frechet distance from statistics, D = {1}",
        (0, 2048),
        (0, 256),
        {name: frechet_of(name) for name in ("pytorch-fid", "clean-fid", "torch-fidelity", "torchmetrics", OURS)},
    ),
    "mmd": Task(
        "squared MMD, {0:,} x {0:,} x {1}, ours with standard error",
        (10_000, 768),
        (2_000, 256),
        {"public CMMD formula": public_mmd, "three matrix products": three_products, OURS: our_mmd},
    ),
    "kid": Task(
        "KID, 100 subsets of 1,000 of {0:,} rows, D = {1}",
        (5_000, 2048),
        (300, 128),
        {"torch-fidelity": fidelity_kid, OURS: our_kid},
    ),
    "prdc": Task(
        "precision, recall, density, coverage, {0:,} x {0:,} x {1}",
        (10_000, 768),
        (1_500, 256),
        {"prdc": prdc_four, OURS: our_four},
    ),
    "resize": Task(
        "decode and clean resize, {0} JPEG of {1} x {1} one after another, one thread",
        (400, 512),
        (20, 512),
        {"clean-fid": clean_resize, OURS: our_resize},
    ),
    "inception": Task(
        "Inception to 2048 dimensions, {0} pictures of 299 x 299, batch {1}",
        (100, 50),
        (4, 4),
        {name: inception_of(name) for name in ("pytorch-fid", "torch-fidelity", OURS)},
    ),
}
