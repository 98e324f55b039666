"""The Inception backbone against pytorch-fid's own network and its recorded FIDs."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from pictures import shared_path, smooth_picture
from pytorch_fid.inception import InceptionV3
from safetensors.torch import save_file

from cmmd_toolkit import ArgumentError, WeightsError, compare, load_backbone


@pytest.mark.parametrize("dims", [64, 192, 768, 2048])
def test_features_are_pytorch_fids(dims: int, inception_weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = torch.load(inception_weights, weights_only=True)
    monkeypatch.setattr("pytorch_fid.inception.load_state_dict_from_url", lambda *_, **__: state)
    peer = InceptionV3([InceptionV3.BLOCK_INDEX_BY_DIM[dims]]).eval()
    ours = load_backbone("inception", weights=inception_weights, dims=dims)
    pixels = [np.asarray(smooth_picture(i, (80, 60))) for i in range(6)]
    inputs = torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2) / 255
    with torch.no_grad():
        expected = peer(inputs)[0].mean(dim=(2, 3)).numpy()
    features = ours.embed([ours.preprocess(picture) for picture in pixels])
    assert (features.dtype, features.shape, ours.dim) == (np.float32, (6, dims), dims)
    assert np.abs(features - expected).max() < 2e-5 * np.abs(expected).max()


def test_batches_of_any_size_give_the_same_features(inception_weights: Path) -> None:
    ours = load_backbone("inception", weights=inception_weights, dims=192)
    inputs = [ours.preprocess(np.asarray(smooth_picture(i))) for i in range(5)]
    together = ours.embed(inputs)
    alone = np.concatenate([ours.embed([one]) for one in inputs])
    assert np.abs(together - alone).max() < 1e-5 * np.abs(together).max()


def test_a_truncated_checkpoint_serves_the_dims_it_holds(inception_weights: Path, tmp_path: Path) -> None:
    state = torch.load(inception_weights, weights_only=True)
    part = {key: value for key, value in state.items() if not key.startswith(("Mixed_7", "fc"))}
    save_file(part, tmp_path / "part.safetensors")
    assert load_backbone("inception", weights=tmp_path / "part.safetensors", dims=768).dim == 768
    with pytest.raises(WeightsError, match=r"part.safetensors: lacks Mixed_7a.*use `dims=768`"):
        load_backbone("inception", weights=tmp_path / "part.safetensors")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"junk", "not a readable checkpoint"),
        ({"a": torch.zeros(2)}, "lacks Conv2d_1a_3x3"),
        ({"a": 3}, "expected a state dict of dense real tensors"),
        ([torch.zeros(2)], "expected a state dict"),
    ],
)
def test_other_files_are_refused(content: object, message: str, tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    path.write_bytes(content) if isinstance(content, bytes) else torch.save(content, path)
    with pytest.raises(WeightsError, match=message):
        load_backbone("inception", weights=path)


def test_weights_of_another_shape_are_refused(inception_weights: Path, tmp_path: Path) -> None:
    state = torch.load(inception_weights, weights_only=True)
    state["Conv2d_1a_3x3.conv.weight"] = torch.zeros(8, 3, 3, 3)
    torch.save(state, tmp_path / "other.pth")
    with pytest.raises(WeightsError, match="Conv2d_1a_3x3 is of another network"):
        load_backbone("inception", weights=tmp_path / "other.pth", dims=64)


def test_code_in_a_pickle_is_never_run(tmp_path: Path) -> None:
    class Harm:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (exec, (f"open({str(tmp_path / 'harm')!r}, 'w')",))

    torch.save({"a": Harm()}, tmp_path / "weights.pth")
    with pytest.raises(WeightsError, match="not a readable checkpoint"):
        load_backbone("inception", weights=tmp_path / "weights.pth")
    assert not (tmp_path / "harm").exists()


def test_unknown_options_are_refused(inception_weights: Path) -> None:
    with pytest.raises(ArgumentError, match="inception has 64, 192, 768, 2048, got 65"):
        load_backbone("inception", weights=inception_weights, dims=65)
    with pytest.raises(ArgumentError, match="one published network"):
        load_backbone("inception", model="other")
    with pytest.raises(ArgumentError, match="preprocessing 'sharp' does not belong to inception"):
        load_backbone("inception", preprocessing="sharp")


def test_without_weights_or_network_the_error_says_where_to_put_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("cmmd_toolkit.backbones.inception.FID_WEIGHTS_URL", "http://127.0.0.1:9/absent.pth")
    with pytest.raises(WeightsError, match="no weights in .*hub/checkpoints.*no download.*give `weights=PATH`"):
        load_backbone("inception")


@pytest.mark.parametrize("dims", [64, *(pytest.param(dims, marks=pytest.mark.slow) for dims in (192, 768))])
@pytest.mark.parametrize("comparison", ["landscapes_A vs snapshot-04", "landscapes_A vs landscapes_B"])
def test_fid_of_real_pictures_is_pytorch_fids(dims: int, comparison: str) -> None:
    recorded = json.loads(shared_path("oracles", "metrics", "image_fid.json").read_text())
    weights = shared_path("weights", "inception-fid-768.safetensors")
    sides = []
    for name in comparison.split(" vs "):
        listed = recorded["files"][name]
        folder = shared_path(*Path(listed["folder"]).parts)
        sides.append([folder / file for file in listed["names"]])
    report = compare(
        iter(sides[0]), iter(sides[1]), recipe="pytorch-fid", metric="fid", weights=weights, dims=dims, device="cpu"
    )
    expected = recorded["comparisons"][comparison][str(dims)]["value"]
    assert report.value("fid") == pytest.approx(expected, rel=1e-4)
