"""CLIP, SigLIP, SigLIP 2, ALIGN and DINOv2 from folders that save_pretrained wrote, against transformers itself."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from checkpoints import SAVERS, save_clip, save_siglip2_naflex
from pictures import shared_path, smooth_picture
from PIL import Image
from safetensors.numpy import load_file as load_arrays
from safetensors.torch import load_file, save_file

from cmmd_toolkit import ArgumentError, BackboneError, PictureError, WeightsError, embed, load_backbone
from cmmd_toolkit.backbones import preprocess
from cmmd_toolkit.pictures.decode import decode


def direct_features(folder: Path, images: list[Image.Image]) -> np.ndarray:
    """The features as transformers' documentation tells a user to compute them."""
    network = transformers.AutoModel.from_pretrained(folder).eval()
    slow = {"backend": "pil"} if transformers.__version__ >= "5" else {"use_fast": False}
    processor = transformers.AutoImageProcessor.from_pretrained(folder, **slow)
    inputs = processor(images=images, return_tensors="pt")
    with torch.no_grad():
        output = getattr(network, "get_image_features", network)(**inputs)
    return getattr(output, "pooler_output", output).numpy()


@pytest.mark.parametrize(("name", "save"), [*SAVERS.items(), ("siglip2", save_siglip2_naflex)])
def test_features_are_those_of_transformers(name: str, save: Callable[[Path], Path], tmp_path: Path) -> None:
    folder = save(tmp_path)
    ours = load_backbone(name, weights=folder)
    images = [smooth_picture(i, size) for i, size in enumerate([(50, 40), (33, 77), (32, 32)])]
    features = ours.embed([ours.preprocess(np.asarray(image)) for image in images])
    expected = direct_features(folder, images)
    assert features.shape == expected.shape == (3, ours.dim)
    assert np.abs(features - expected).max() < 1e-5 * np.abs(expected).max()
    assert ours.remarks == ()
    assert len(ours.provenance["weights_sha256"][0]) == 64


@pytest.mark.parametrize("name", ["clip", "dinov2"])
def test_a_line_of_pixels_is_not_enlarged_to_gigabytes(
    name: str, real: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preprocess, "MAX_PIXELS", 10**6)
    Image.new("RGB", (1, 2000)).save(real / "line.png")
    options = {"backbone": name, "weights": SAVERS[name](tmp_path)}
    with pytest.raises(PictureError, match=r"line\.png: 1 x 2000 pixels would be [\d,]+ with \d+ on the short side"):
        embed(real, **options)
    assert len(embed(real, **options, on_error="skip")) == 8


@pytest.mark.parametrize(
    ("name", "architecture"),
    [("clip", "CLIPVisionModelWithProjection"), ("siglip", "SiglipVisionModel"), ("align", "AlignVisionModel")],
)
def test_a_picture_tower_alone_gives_the_same_features(name: str, architecture: str, tmp_path: Path) -> None:
    whole = SAVERS[name](tmp_path / "whole")
    network = transformers.AutoModel.from_pretrained(whole)
    config = network.config.vision_config
    config.projection_dim = getattr(network.config, "projection_dim", None)
    tower = getattr(transformers, architecture)(config)
    state = network.state_dict()
    wanted = tower.state_dict()
    tower.load_state_dict({key: state[key if key in state else f"vision_model.{key}"] for key in wanted})
    tower.save_pretrained(tmp_path / "tower")
    shutil.copy(whole / "preprocessor_config.json", tmp_path / "tower")
    pixels = np.asarray(smooth_picture(1))
    features = []
    for folder in (whole, tmp_path / "tower"):
        ours = load_backbone(name, weights=folder)
        features.append(ours.embed([ours.preprocess(pixels)]))
    assert np.abs(features[0] - features[1]).max() < 1e-6


def test_a_checkpoint_without_processor_uses_the_defaults_and_says_so(clip_folder: Path, tmp_path: Path) -> None:
    bare = shutil.copytree(clip_folder, tmp_path / "bare")
    (bare / "preprocessor_config.json").unlink()
    ours, complete = load_backbone("clip", weights=bare), load_backbone("clip", weights=clip_folder)
    pixels = np.asarray(smooth_picture(1))
    assert np.array_equal(ours.preprocess(pixels), complete.preprocess(pixels))
    assert "no preprocessor_config.json" in ours.remarks[0]


def test_missing_tensors_are_an_error_not_random_features(clip_folder: Path, tmp_path: Path) -> None:
    broken = shutil.copytree(clip_folder, tmp_path / "broken")
    state = load_file(broken / "model.safetensors")
    state.pop("visual_projection.weight")
    save_file(state, broken / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(WeightsError, match="1 tensors of CLIPModel are missing .*visual_projection"):
        load_backbone("clip", weights=broken)


def test_other_models_and_broken_folders_are_refused(clip_folder: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    damaged = shutil.copytree(clip_folder, tmp_path / "damaged")
    (damaged / "model.safetensors").write_bytes(b"junk")
    headless = shutil.copytree(clip_folder, tmp_path / "headless")
    config = json.loads((headless / "config.json").read_text())
    (headless / "config.json").write_text(
        json.dumps({**config, "model_type": "clip_vision_model", "architectures": ["CLIPVisionModel"]})
    )
    for name, folder, message in (
        ("siglip", clip_folder, "holds a model of type clip, not siglip; use `backbone='clip'`"),
        ("clip", empty, "has no config.json"),
        ("clip", tmp_path / "absent", "no such folder"),
        ("clip", clip_folder / "model.safetensors", "is a file; give the folder"),
        ("clip", damaged, "cannot be loaded as CLIPModel"),
        ("clip", headless, "no projection to the shared embedding"),
    ):
        with pytest.raises(WeightsError, match=message):
            load_backbone(name, weights=folder)


def test_the_local_cache_is_used_without_a_network(
    clip_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = tmp_path / "models--some--clip" / "snapshots" / "abc"
    shutil.copytree(clip_folder, snapshot)
    (tmp_path / "models--some--clip" / "refs").mkdir()
    (tmp_path / "models--some--clip" / "refs" / "main").write_text("abc")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert load_backbone("clip", model="some/clip").model == "some/clip"
    with pytest.raises(WeightsError, match=r"clip: some/other \(model.safetensors.*give `weights=FOLDER`"):
        load_backbone("clip", model="some/other")


def test_google_cmmd_crops_to_a_square_first(tmp_path: Path) -> None:
    ours = load_backbone(
        "clip", weights=save_clip(tmp_path, image_size=336, patch_size=112), preprocessing="google-cmmd"
    )
    pixels = np.asarray(smooth_picture(1, (90, 60)))
    square = Image.fromarray(pixels[:, 15:75]).resize((336, 336), Image.Resampling.BICUBIC)
    mean, std = np.array([0.48145466, 0.4578275, 0.40821073]), np.array([0.26862954, 0.26130258, 0.27577711])
    expected = ((np.asarray(square) / 255 - mean) / std).transpose(2, 0, 1)
    assert np.abs(ours.preprocess(pixels) - expected).max() < 1e-6


def test_unknown_names_suggest_the_nearest() -> None:
    with pytest.raises(BackboneError, match="unknown backbone 'siglipp'; did you mean siglip"):
        load_backbone("siglipp")
    with pytest.raises(ArgumentError, match="only inception has a choice of dimensions"):
        load_backbone("clip", dims=64)
    with pytest.raises(ArgumentError, match="device quantum: not usable here"):
        load_backbone("clip", device="quantum")


RECORDED = {"clip": ("hf.clip.pil", 224), "siglip": ("hf.siglip.pil", 224), "align": ("hf.align.pil", 289)}


@pytest.mark.parametrize("name", RECORDED)
def test_reaches_the_recorded_processor_outputs(name: str, tmp_path: Path) -> None:
    folder = shared_path("oracles", "metrics")
    described = json.loads((folder / "preprocess.json").read_text())
    key, size = RECORDED[name]
    SAVERS[name](tmp_path)
    published = {**described["configurations"][name], "image_processor_type": _processor_type(tmp_path)}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(published))
    preprocess = load_backbone_preprocess(name, tmp_path)
    recorded = load_arrays(folder / "preprocess.safetensors")
    rows = [*range(0, size, 6)] + ([size - 1] if (size - 1) % 6 else [])
    for image in described["tensors"]:
        if image == "rgba.png":  # the processors never see alpha here: it is placed over white before
            continue
        pixels = decode((folder / "images" / image).read_bytes(), image, "plain").pixels
        result = preprocess(pixels)[:, rows][:, :, rows]
        assert np.abs(result - recorded[f"grid/{image}/{key}"]).max() < 1e-5, image


def load_backbone_preprocess(name: str, folder: Path) -> object:
    """The preprocessing of a checkpoint whose network is too small for its published input size."""
    from cmmd_toolkit.backbones import hub
    from cmmd_toolkit.backbones.hub_files import find_checkpoint

    preprocess, _, _ = hub._own_preprocess(name, find_checkpoint(name, folder, ""), torch.nn.Identity())
    return preprocess


def _processor_type(folder: Path) -> str:
    return str(json.loads((folder / "preprocessor_config.json").read_text())["image_processor_type"])
