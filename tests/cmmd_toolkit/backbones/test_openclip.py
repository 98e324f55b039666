"""OpenCLIP checkpoints, against open_clip itself."""

from pathlib import Path

import numpy as np
import pytest
import torch
from pictures import smooth_picture

from cmmd_toolkit import BackboneError, PictureError, WeightsError, load_backbone

open_clip = pytest.importorskip("open_clip")
ARCHITECTURE = "RN50"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("openclip") / "model.pt"
    torch.save(open_clip.create_model(ARCHITECTURE).state_dict(), path)
    return path


def test_features_are_those_of_open_clip(checkpoint: Path) -> None:
    ours = load_backbone(f"openclip:{ARCHITECTURE}", weights=checkpoint)
    network, _, transform = open_clip.create_model_and_transforms(ARCHITECTURE, str(checkpoint))
    image = smooth_picture(1, (90, 70))
    with torch.no_grad():
        expected = network.eval().encode_image(transform(image)[None]).numpy()
    features = ours.embed([ours.preprocess(np.asarray(image))])
    assert features.shape == (1, ours.dim) == expected.shape
    assert np.abs(features - expected).max() < 1e-5 * np.abs(expected).max()
    with pytest.raises(PictureError, match="1 x 2100 pixels would be 105,369,600 with 224 on the short side"):
        ours.preprocess(np.zeros((2100, 1, 3), np.uint8))


def test_what_is_not_there_is_named(checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    (tmp_path / "junk.pt").write_bytes(b"junk")
    for name, weights, error, message in (
        ("openclip:ViT-Z-1/x", None, BackboneError, "unknown architecture 'ViT-Z-1'"),
        (
            "openclip:ViT-B-32/nope",
            None,
            BackboneError,
            "no published weights named 'nope' .known: .*laion2b_s34b_b79k",
        ),
        ("openclip:ViT-B-32/laion2b_s34b_b79k", None, WeightsError, "neither in .* give `weights=FILE`"),
        (f"openclip:{ARCHITECTURE}", tmp_path / "absent.pt", WeightsError, "no such file"),
        (f"openclip:{ARCHITECTURE}", tmp_path / "junk.pt", WeightsError, "cannot be loaded as openclip"),
        ("openclip:ViT-B-32", checkpoint, WeightsError, "cannot be loaded as openclip"),
    ):
        with pytest.raises(error, match=message):
            load_backbone(name, weights=weights)
