"""What each system feeds to its network: against the libraries themselves, and the recorded tensors."""

import json

import numpy as np
import pytest
import torch
from pictures import shared_path
from PIL import Image
from safetensors.numpy import load_file

from cmmd_toolkit.backbones import preprocess
from cmmd_toolkit.pictures.decode import decode

SIZES = [(48, 40), (299, 299), (523, 401), (7, 11), (1, 1), (300, 17)]


def pixels_of(width: int, height: int) -> np.ndarray:
    return np.random.default_rng(width).integers(0, 256, (height, width, 3), dtype=np.uint8)


def as_tensor(pixels: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(pixels.astype(np.float32)).permute(2, 0, 1)[None]


@pytest.mark.parametrize("size", SIZES)
def test_pytorch_fid_is_torchs_bilinear_without_antialiasing(size: tuple[int, int]) -> None:
    pixels = pixels_of(*size)
    expected = torch.nn.functional.interpolate(as_tensor(pixels) / 255, (299, 299), mode="bilinear")[0] * 2 - 1
    # torch's float32 source coordinates round otherwise with one thread than with several
    assert np.abs(preprocess.pytorch_fid(pixels) - expected.numpy()).max() < 1e-5


@pytest.mark.parametrize("size", SIZES)
def test_torch_fidelity_is_tensorflow_1_bilinear(size: tuple[int, int]) -> None:
    pixels = pixels_of(*size)
    width, height = size
    expected = np.empty((3, 299, 299))
    for i in range(299):
        for j in (0, 1, 150, 298):
            y, x = i * height / 299, j * width / 299
            top, left = int(y), int(x)
            bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
            above = pixels[top, left] * (1 - (x - left)) + pixels[top, right] * (x - left)
            below = pixels[bottom, left] * (1 - (x - left)) + pixels[bottom, right] * (x - left)
            expected[:, i, j] = ((above * (1 - (y - top)) + below * (y - top)) - 128) / 128
    columns = [0, 1, 150, 298]
    assert np.abs(preprocess.torch_fidelity(pixels)[:, :, columns] - expected[:, :, columns]).max() < 1e-4


@pytest.mark.parametrize("size", SIZES)
def test_clean_fid_is_antialiased_bicubic_on_floats(size: tuple[int, int]) -> None:
    pixels = pixels_of(*size)
    expected = torch.nn.functional.interpolate(
        as_tensor(pixels).double(), (299, 299), mode="bicubic", antialias=True
    ).clamp(0, 255)
    assert np.abs(preprocess.clean_fid(pixels) - ((expected[0] - 128) / 128).numpy()).max() < 1e-5


@pytest.mark.parametrize("size", SIZES)
def test_torchmetrics_is_antialiased_bilinear(size: tuple[int, int]) -> None:
    pixels = pixels_of(*size)
    channels = [Image.fromarray(pixels[:, :, c].astype(np.float32)).resize((299, 299), 2) for c in range(3)]
    expected = (np.stack([np.asarray(channel) for channel in channels]) - 128) / 128
    assert np.abs(preprocess.torchmetrics(pixels) - expected).max() < 1e-4


def test_every_preprocess_gives_float32_of_one_shape_and_range() -> None:
    for name, function in preprocess.INCEPTION_PREPROCESSES.items():
        result = function(pixels_of(64, 48))
        assert (result.dtype, result.shape) == (np.float32, (3, 299, 299)), name
        assert result.min() >= -1, name
        assert result.max() <= 1, name


def test_square_crop_keeps_the_middle() -> None:
    pixels = np.zeros((10, 30, 3), np.uint8)
    pixels[:, 10:20] = 255
    assert (np.asarray(preprocess.square_crop(Image.fromarray(pixels), 336)) == 255).all()


KEYS = {
    "pytorch-fid": preprocess.pytorch_fid,
    "clean-fid.clean": preprocess.clean_fid,
    "torch-fidelity": preprocess.torch_fidelity,
    "torchmetrics": preprocess.torchmetrics,
}


@pytest.mark.parametrize("key", KEYS)
def test_reaches_the_recorded_inputs_of_every_peer(key: str) -> None:
    folder = shared_path("oracles", "metrics")
    recorded = load_file(folder / "preprocess.safetensors")
    names = json.loads((folder / "preprocess.json").read_text())["tensors"]
    rows = [*range(0, 299, 6), 298]
    for name in names:
        pixels = decode((folder / "images" / name).read_bytes(), name, "plain").pixels
        result = KEYS[key](pixels)[:, rows][:, :, rows]
        assert np.abs(result - recorded[f"grid/{name}/{key}"]).max() < 2e-6, name
