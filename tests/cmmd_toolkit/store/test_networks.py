"""A network that the store knows is loaded for unknown pictures only, and never in place of another."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pictures import smooth_picture
from pytorch_fid.inception import FID_WEIGHTS_URL
from safetensors.torch import load_file, save_file

from cmmd_toolkit import Backbone, WeightsError, compare, embed, load_backbone
from cmmd_toolkit.backbones import files
from cmmd_toolkit.backbones.files import BUNDLED, INCEPTION_NAME, torch_hub
from cmmd_toolkit.common import devices
from cmmd_toolkit.store import networks
from cmmd_toolkit.store.networks import open_backbone

Open = Callable[..., Backbone]
_LAST = "\nimport sys; print(sorted({'torch', 'transformers'} & set(sys.modules)))"


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the networks that were loaded."""
    names: list[str] = []

    def counted(name: str, **options: Any) -> Backbone:
        names.append(name)
        return load_backbone(name, **options)

    monkeypatch.setattr(networks, "load_backbone", counted)
    return names


def opened(store: Path, name: str = "mini", **options: Any) -> Backbone:
    given: dict[str, Any] = {"weights": None, "model": None, "dims": None, "device": "cpu", "preprocessing": None}
    return open_backbone(store, name, **(given | {"precision": "fp32"} | options))


def features_of(loaded: Backbone) -> np.ndarray:
    return loaded.embed([loaded.preprocess(np.asarray(smooth_picture(1)))])


def changed_weights(source: Path, target: Path) -> Path:
    state = load_file(source)
    first = sorted(name for name, value in state.items() if value.is_floating_point())[0]
    save_file(state | {first: state[first] * 2}, target)
    return target


@pytest.mark.parametrize("name", ["mini", pytest.param("clip", marks=pytest.mark.slow)])
def test_a_second_run_imports_no_network_and_writes_equal_bytes(
    name: str, tmp_path: Path, real: Path, clip_folder: Path
) -> None:
    written = []
    for i in range(3):
        options = ["--store", str(tmp_path / "store")] if i < 2 else ["--no-store"]
        options += ["--weights", str(clip_folder)] if name == "clip" else []
        given = ["embed", str(real), "--backbone", name, "--out", str(tmp_path / "out.npz"), *options]
        code = f"from cmmd_toolkit.cli.main import main\ntry:\n    main({given!r})\nexcept SystemExit:\n    pass{_LAST}"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        needed = {"mini": "['torch']", "clip": "['torch', 'transformers']"}[name]
        has_only_a_cpu = not torch.cuda.is_available() and not torch.backends.mps.is_available()
        expected = "[]" if i == 1 and has_only_a_cpu else needed
        assert (i == 1 and not has_only_a_cpu) or done.stdout.splitlines()[-1] == expected
        written.append((tmp_path / "out.npz").read_bytes())
    assert written[0] == written[1] == written[2]


def test_a_described_network_is_the_loaded_one(tmp_path: Path, inception_weights: Path, loads: list[str]) -> None:
    options: dict[str, Any] = {"weights": inception_weights, "dims": 2048, "preprocessing": "clean-fid"}
    first = opened(tmp_path, "inception", **options)
    second = opened(tmp_path, "inception", **options)
    assert loads == ["inception"]
    for field in ("name", "model", "dim", "device", "provenance", "remarks", "chunk", "precision"):
        assert getattr(first, field) == getattr(second, field)
    assert second.read_classifier is not None
    assert loads == ["inception"]
    assert first.classifier is not None
    assert np.array_equal(first.classifier, second.classifier)
    assert np.array_equal(features_of(first), features_of(second))
    assert loads == ["inception", "inception"]  # once for all uses


def test_a_new_picture_loads_the_network_once(tmp_path: Path, real: Path, loads: list[str]) -> None:
    options: dict[str, Any] = {"backbone": "mini", "device": "cpu"}
    embed(real, store=tmp_path / "store", **options)
    embed(real, store=tmp_path / "store", **options)
    assert loads == ["mini"]
    for i in range(5):
        smooth_picture(50 + i).save(real / f"new-{i}.png")
    grown = embed(real, store=tmp_path / "store", workers=4, **options)
    assert loads == ["mini", "mini"]
    np.testing.assert_allclose(grown.values, embed(real, store=False, **options).values, rtol=0, atol=1e-6)


def test_reports_are_equal_but_for_their_date(tmp_path: Path, real: Path, fake: Path, clip_folder: Path) -> None:
    folder = shutil.copytree(clip_folder, tmp_path / "clip")
    for file in folder.glob("*processor*"):
        file.unlink()  # so that there is a remark
    options: dict[str, Any] = {"backbone": "clip", "weights": folder, "device": "cpu", "store": tmp_path / "store"}
    reports = [json.loads(compare(real, fake, **options).to_json()) for _ in range(2)]
    for report in reports:
        del report["provenance"]["created"]
    assert reports[0] == reports[1]
    assert any("preprocessor_config.json" in warning for warning in reports[1]["warnings"])


# ---- nothing stale ---------------------------------------------------------------------------------


def test_everything_that_was_asked_for_decides(
    tmp_path: Path, inception_weights: Path, loads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    base_options: dict[str, Any] = {"weights": inception_weights, "dims": 64}
    opened(tmp_path, "inception", **base_options)
    for change in ({"dims": 192}, {"preprocessing": "clean-fid"}, {"precision": "bf16"}):
        assert opened(tmp_path, "inception", **(base_options | change)).provenance["backbone"] == "inception"
    assert len(loads) == 4
    for name, value in (("code_digest", "other"), ("library_versions", {"torch": "0"})):
        with monkeypatch.context() as patch:
            patch.setattr(networks, name, lambda value=value: value)
            opened(tmp_path, "inception", **base_options)
    assert len(loads) == 6
    opened(tmp_path, "inception", **base_options)
    assert len(loads) == 6


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "preprocessor_config.json"])
def test_every_file_of_a_checkpoint_decides(name: str, tmp_path: Path, clip_folder: Path, loads: list[str]) -> None:
    folder = shutil.copytree(clip_folder, tmp_path / "clip")
    before = opened(tmp_path / "store", "clip", weights=folder)
    file = folder / name
    if name == "model.safetensors":
        changed_weights(clip_folder / name, file)
    else:
        settings = json.loads(file.read_text())
        change = {"image_std": [0.5, 0.5, 0.5]} if name.startswith("pre") else {"comment": "other"}
        file.write_text(json.dumps(settings | change))
    after = opened(tmp_path / "store", "clip", weights=folder)
    assert loads == ["clip", "clip"]
    assert before.provenance != after.provenance
    assert np.array_equal(features_of(after), features_of(load_backbone("clip", weights=folder, device="cpu")))


def test_weights_that_change_after_they_were_described_are_refused(tmp_path: Path) -> None:
    weights = Path(shutil.copy(BUNDLED, tmp_path / "mini.safetensors"))
    opened(tmp_path / "store", weights=weights)
    described = opened(tmp_path / "store", weights=weights)
    changed_weights(BUNDLED, weights)
    with pytest.raises(WeightsError, match="its files have changed during this run"):
        described.preprocess(np.asarray(smooth_picture(1)))


def test_a_damaged_description_is_made_again(tmp_path: Path, loads: list[str]) -> None:
    opened(tmp_path)
    (file,) = tmp_path.glob("*.network.json")
    whole = file.read_bytes()
    for damaged in (b"", whole[:-20], whole.replace(b"bicubic", b"bilinea"), b"[]", b"\xff" * 50):
        file.write_bytes(damaged)
        assert opened(tmp_path).provenance == json.loads(whole.partition(b"\n")[2])["provenance"]
        assert file.read_bytes() == whole
    assert len(loads) == 6


def test_a_store_that_cannot_be_written_is_no_reason_to_fail(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert opened(tmp_path / "file" / "store").dim == 256


def test_wrong_options_are_refused_as_without_a_store(tmp_path: Path, inception_weights: Path) -> None:
    opened(tmp_path, "inception", weights=inception_weights, dims=64)
    for change in ({"dims": 65}, {"preprocessing": "sharp"}, {"model": "x"}, {"weights": tmp_path / "none"}):
        options: dict[str, Any] = {"weights": inception_weights, "dims": 64} | change
        with pytest.raises(Exception, match=r".+") as alone:
            load_backbone("inception", device="cpu", **options)
        with pytest.raises(type(alone.value)) as stored:
            opened(tmp_path, "inception", **options)
        assert str(stored.value) == str(alone.value)


# ---- what is known without torch -------------------------------------------------------------------


def test_the_names_of_other_libraries_are_theirs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert FID_WEIGHTS_URL.endswith(f"/{INCEPTION_NAME}")
    for variables in ({}, {"TORCH_HOME": "~/x"}, {"XDG_CACHE_HOME": "/y"}, {"TORCH_HOME": "", "XDG_CACHE_HOME": ""}):
        for name in ("TORCH_HOME", "XDG_CACHE_HOME"):
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(files, "sys", type("Fresh", (), {"modules": {}}))
        found = torch_hub()
        monkeypatch.undo()
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        assert found == Path(torch.hub.get_dir())


def test_a_machine_is_never_taken_for_one_without_gpu() -> None:
    assert not (devices._has_only_a_cpu() and (torch.cuda.is_available() or torch.backends.mps.is_available()))
