"""Five levels of eight known faults, and the pictures of the shared data split in two halves.

Shared by the training of `mini` and by its benchmark. A fault takes RGB uint8 pictures (H, W, 3) and a level 1..5.
"""

import hashlib
import io
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageFilter

Pixels = NDArray[np.uint8]
Fault = Callable[[Pixels, float, np.random.Generator], Pixels]


def blur(pixels: Pixels, level: float, _: np.random.Generator) -> Pixels:
    radius = 0.006 * level * min(pixels.shape[:2])
    return np.asarray(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(radius)))


def noise(pixels: Pixels, level: float, generator: np.random.Generator) -> Pixels:
    noisy = pixels + generator.normal(0, 9 * level, pixels.shape)
    return np.rint(noisy.clip(0, 255)).astype(np.uint8)


def jpeg(pixels: Pixels, level: float, _: np.random.Generator) -> Pixels:
    stream = io.BytesIO()
    quality = max(2, round(42 - 8 * level))
    Image.fromarray(pixels).save(stream, "JPEG", quality=quality)
    return np.asarray(Image.open(stream).convert("RGB"))


def downscale(pixels: Pixels, level: float, _: np.random.Generator) -> Pixels:
    image = Image.fromarray(pixels)
    size = max(4, round(min(image.size) / (2 + 1.2 * level)))
    small = image.resize((size, size), Image.Resampling.BICUBIC)
    return np.asarray(small.resize(image.size, Image.Resampling.BICUBIC))


def colour(pixels: Pixels, level: float, _: np.random.Generator) -> Pixels:
    """Hue turned by 14 degrees a level and contrast lowered by 11 % a level."""
    hsv = np.asarray(Image.fromarray(pixels).convert("HSV")).copy()
    hsv[:, :, 0] += round(10 * level)
    turned = Image.fromarray(hsv, "HSV").convert("RGB")
    return np.asarray(ImageEnhance.Contrast(turned).enhance(1 - 0.11 * level))


def shuffle(pixels: Pixels, level: float, generator: np.random.Generator) -> Pixels:
    """A share of the cells of an 8 x 8 grid change places."""
    cells = 8
    height, width = pixels.shape[0] // cells, pixels.shape[1] // cells
    chosen = generator.permutation(cells * cells)[: round(cells * cells * level / 5)]
    result = pixels.copy()
    for target, source in zip(chosen, np.roll(chosen, 1), strict=True):
        (i, j), (k, m) = divmod(int(target), cells), divmod(int(source), cells)
        patch = pixels[k * height : (k + 1) * height, m * width : (m + 1) * width]
        result[i * height : (i + 1) * height, j * width : (j + 1) * width] = patch
    return result


PICTURE_FAULTS: dict[str, Fault] = {
    "Gaussian blur": blur,
    "Gaussian noise": noise,
    "JPEG quality": jpeg,
    "downscale and up": downscale,
    "hue and contrast": colour,
    "patch shuffle": shuffle,
}


def apply(fault: str, pictures: Sequence[Pixels], level: float, seed: int) -> list[Pixels]:
    generator = np.random.default_rng([seed, round(100 * level)])
    return [PICTURE_FAULTS[fault](picture, level, generator) for picture in pictures]


def held_out(name: str) -> bool:
    """A fixed half of all pictures, by name, that training never sees."""
    return hashlib.sha256(name.encode()).digest()[0] % 2 == 1


def read_folder(folder: Path, *, held: bool, size: int | None = None) -> dict[str, list[Pixels]]:
    """The pictures of one half by subfolder ("." at the top), in name order, optionally reduced to size x size."""
    found: dict[str, list[Pixels]] = {}
    for path in sorted(folder.rglob("*.jpg")):
        if held_out(path.name) == held:
            found.setdefault(path.parent.relative_to(folder).as_posix(), []).append(read(path, size))
    return found


def read(path: Path | io.BytesIO, size: int | None) -> Pixels:
    image = Image.open(path).convert("RGB")
    if size is not None and image.size != (size, size):
        image = image.resize((size, size), Image.Resampling.BICUBIC)
    return np.asarray(image)


def read_cifar(archive: Path, part: str, every: int) -> list[Pixels]:
    """Every `every`-th picture of cifar10.zip, "train" or "test"."""
    with zipfile.ZipFile(archive) as stream:
        names = sorted(name for name in stream.namelist() if name.startswith(f"{part}/") and name.endswith(".jpg"))
        return [read(io.BytesIO(stream.read(name)), None) for name in names[::every]]
