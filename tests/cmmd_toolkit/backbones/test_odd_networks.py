"""No network is believed without a look at its features: NaN, infinity and what is no tensor are refused by name."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from checkpoints import SAVERS
from safetensors.torch import load_file, save_file

from cmmd_toolkit import ArgumentError, WeightsError, embed, load_backbone
from cmmd_toolkit.backbones import mini
from cmmd_toolkit.pictures.sources import open_images
from cmmd_toolkit.sets.embedding import embed_source
from cmmd_toolkit.torchmetrics import CMMD, FrechetDistance


def spoilt(state: dict[str, torch.Tensor], value: float) -> dict[str, torch.Tensor]:
    for tensor in state.values():
        if tensor.is_floating_point():
            tensor.view(-1)[0] = value
    return state


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("name", SAVERS)
def test_weights_with_nan_or_infinity_are_refused_before_the_first_picture(
    name: str, value: float, tmp_path: Path
) -> None:
    folder = SAVERS[name](tmp_path / name)
    weights = folder / "model.safetensors"
    save_file(spoilt(load_file(weights), value), weights, metadata={"format": "pt"})
    for call in (
        lambda: load_backbone(name, weights=folder),
        lambda: CMMD(backbone=name, weights=folder).update(IMAGES, real=True),
    ):
        with pytest.raises(WeightsError, match=f"backbone {name} .*NaN or infinity in its features"):
            call()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_files_of_weights_with_nan_or_infinity_are_refused(
    value: float, tmp_path: Path, real: Path, inception_weights: Path
) -> None:
    torch.save(spoilt(torch.load(inception_weights, weights_only=True), value), tmp_path / "inception.pth")
    save_file(spoilt(load_file(mini.BUNDLED), value), tmp_path / "mini.safetensors")
    for name, file in (("inception", "inception.pth"), ("mini", "mini.safetensors")):
        with pytest.raises(WeightsError, match="NaN or infinity in"):
            embed(real, backbone=name, weights=tmp_path / file)


def test_a_classifier_with_nan_is_refused(tmp_path: Path, inception_weights: Path) -> None:
    state = torch.load(inception_weights, weights_only=True)
    state["fc.weight"][0, 0] = float("nan")
    torch.save(state, tmp_path / "inception.pth")
    with pytest.raises(WeightsError, match=r"NaN or infinity in fc\.weight"):
        load_backbone("inception", weights=tmp_path / "inception.pth")


@pytest.mark.parametrize("kind", ["complex", "meta", "sparse", "number as a name", "list"])
def test_checkpoints_of_other_things_than_dense_real_tensors_are_refused(
    kind: str, tmp_path: Path, inception_weights: Path
) -> None:
    state: Any = torch.load(inception_weights, weights_only=True)
    first, weight = next((key, value) for key, value in state.items() if value.ndim == 4)
    changed = {"complex": weight.to(torch.complex64), "meta": weight.to("meta"), "sparse": weight.to_sparse()}
    if kind in changed:
        state[first] = changed[kind]
    elif kind == "list":
        state = [weight]
    else:
        state[3] = weight
    torch.save(state, tmp_path / "inception.pth")
    with pytest.raises(WeightsError, match="expected a state dict|not a readable checkpoint"):
        load_backbone("inception", weights=tmp_path / "inception.pth")


def test_the_first_picture_without_finite_features_is_named(real: Path) -> None:
    loaded = load_backbone("mini")

    def encode(inputs: torch.Tensor) -> torch.Tensor:
        rows = loaded.encode(inputs).clone()
        rows[2, 0] = float("nan")
        return rows

    with pytest.raises(WeightsError, match=r"backbone mini .*first for 002\.png"):
        embed_source(open_images(real), [dataclasses.replace(loaded, encode=encode)])


@pytest.mark.parametrize("text", ["[]", "3", "[" * 100_000, '{"model_type": ["clip"]}', '{"architectures": {"a": 1}}'])
def test_a_configuration_of_another_shape_is_one_line(text: str, clip_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes((clip_folder / "model.safetensors").read_bytes())
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(WeightsError) as refused:
        load_backbone("clip", weights=tmp_path)
    assert "\n" not in str(refused.value)


def test_preprocessing_that_does_not_fit_the_network_is_refused_before_the_first_picture(
    clip_folder: Path, tmp_path: Path
) -> None:
    for file in clip_folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    settings = json.loads((tmp_path / "preprocessor_config.json").read_text())
    settings["crop_size"] = {"height": 24, "width": 24}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(settings))
    with pytest.raises(WeightsError, match="cannot embed a grey picture"):
        load_backbone("clip", weights=tmp_path)


# ---- networks of the caller's --------------------------------------------------------------------------


class Answer(torch.nn.Module):
    """Says the same whatever it sees."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.num_features, self.kind = 4, kind

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        rows = torch.rand(len(images), 4)
        if self.kind == "nan":
            rows[1:] = float("nan")
        changed = {
            "complex": lambda: rows.to(torch.complex64),
            "bool": lambda: rows > 0.5,
            "meta": lambda: rows.to("meta"),
            "sparse": lambda: rows.to_sparse(),
            "eighths": lambda: rows.to(torch.float8_e4m3fn),
        }
        return changed.get(self.kind, lambda: rows)()


IMAGES = torch.zeros(5, 3, 8, 8, dtype=torch.uint8)


@pytest.mark.parametrize("metric", [FrechetDistance, CMMD])
@pytest.mark.parametrize("kind", ["nan", "complex", "bool", "meta", "sparse"])
def test_features_of_a_module_that_are_no_finite_numbers_are_refused_by_name(metric: Any, kind: str) -> None:
    with pytest.raises(ArgumentError) as refused:
        metric(Answer(kind)).update(IMAGES, real=True)
    words = "NaN or infinity from Answer, first for image 1 of this batch" if kind == "nan" else "feature: expected"
    assert words in str(refused.value)


def test_eighths_have_a_distance_too() -> None:
    metric = FrechetDistance(Answer("eighths"))
    for real in (True, False):
        metric.update(IMAGES, real=real)
    assert metric.compute() >= 0


@pytest.mark.parametrize("feature", [None, Answer("")])
@pytest.mark.parametrize("images", [IMAGES.to("meta"), IMAGES.to_sparse()], ids=["meta", "sparse"])
def test_images_that_are_not_simply_there_are_refused(feature: Any, images: torch.Tensor) -> None:
    options = {} if feature is not None else {"backbone": "mini"}
    with pytest.raises(ArgumentError, match="images: expected a dense tensor, got a"):
        FrechetDistance(feature, **options).update(images, real=True)


def test_a_state_of_another_metric_is_no_state_to_merge() -> None:
    metric = FrechetDistance(Answer(""))
    for state in (CMMD(Answer("")), {"real_moments": torch.zeros(3)}):
        with pytest.raises(ArgumentError, match="merge_state: expected the images of a metric of this kind"):
            metric.merge_state(state)
