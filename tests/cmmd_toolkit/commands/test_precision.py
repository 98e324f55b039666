"""Networks in less than float32: never mixed, never stale, and what it changes is said."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pictures import smooth_picture

from cmmd_toolkit import (
    ArgumentError,
    DeviceError,
    Features,
    InputError,
    Report,
    compare,
    embed,
    explain,
    load_backbone,
    plan,
    rank,
    squared_mmd,
)
from cmmd_toolkit.cli.main import main
from cmmd_toolkit.features.stored_file import load_stored
from cmmd_toolkit.features.unit_rows import as_unit_rows

NO_STORE: dict[str, Any] = {"backbone": "mini", "store": False, "device": "cpu"}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    found = []
    for name, first in (("real", 0), ("fake", 100)):
        folder = tmp_path_factory.mktemp("sets") / name
        folder.mkdir()
        for i in range(20):
            smooth_picture(first + i).save(folder / f"{i}.png")
        found.append(str(folder))
    return found[0], found[1]


@pytest.fixture(scope="module")
def features(folders: tuple[str, str]) -> dict[str, Features]:
    return {precision: embed(folders[0], precision=precision, **NO_STORE) for precision in ("fp32", "bf16")}  # type: ignore[arg-type]


def test_features_are_float32_of_unit_length_and_near_those_of_fp32(features: dict[str, Features]) -> None:
    low, full = features["bf16"].values, features["fp32"].values
    assert low.dtype == np.float32
    assert 1e-5 < np.abs(low - full).max() < 0.02
    assert np.abs(np.linalg.norm(low, axis=1) - 1).max() < 1e-6
    assert features["bf16"].provenance["precision"] == "bf16"
    assert features["fp32"].provenance["precision"] == "fp32"


def test_an_autocast_of_the_program_changes_nothing(folders: tuple[str, str], features: dict[str, Features]) -> None:
    with torch.autocast("cpu", torch.bfloat16):
        found = {precision: embed(folders[0], precision=precision, **NO_STORE) for precision in ("fp32", "bf16")}
    assert all(np.array_equal(found[name].values, features[name].values) for name in found)


@pytest.mark.parametrize("order", [("fp32", "bf16", "fp32"), ("bf16", "fp32", "bf16")])
def test_nothing_stored_is_used_in_another_precision(
    order: tuple[Any, ...], folders: tuple[str, str], features: dict[str, Features], tmp_path: Path
) -> None:
    for precision in order:
        found = embed(folders[0], backbone="mini", device="cpu", precision=precision, store=tmp_path)
        assert np.array_equal(found.values, features[precision].values)
        assert found.provenance["precision"] == precision


def test_what_the_precision_changes_is_measured_said_and_recorded(folders: tuple[str, str], tmp_path: Path) -> None:
    report = compare(*folders, precision="bf16", **NO_STORE)
    rows = {
        precision: [as_unit_rows(embed(folder, precision=precision, **NO_STORE).values) for folder in folders]
        for precision in ("fp32", "bf16")
    }
    full = squared_mmd(reference=rows["fp32"][0], generated=rows["fp32"][1])
    bandwidth = full.parameters["bandwidth"]
    low = squared_mmd(reference=rows["bf16"][0], generated=rows["bf16"][1], bandwidth=bandwidth)
    by_metric = {change["metric"]: change for change in report.provenance["precision_changes"]}
    found = by_metric["mmd"]
    assert found["value_in_fp32"] == pytest.approx(full.value, abs=1e-7)
    assert found["value"] == pytest.approx(low.value, abs=1e-7)
    assert found["difference"] == found["value"] - found["value_in_fp32"] != 0
    assert found["standard_error"] == pytest.approx(full.standard_error, rel=1e-4)
    assert (found["n_reference"], found["n_generated"], found["generated"]) == (20, 20, "fake")
    assert by_metric["fd"]["value"] == pytest.approx(report.results[0].value, rel=1e-6)
    (said,) = (
        warning for warning in report.warnings if warning.startswith("bf16 instead of fp32 changes squared MMD by")
    )
    assert said.endswith("measured on 20 pictures per side (fake, mini)")
    report.save(tmp_path / "report.json")
    assert Report.load(tmp_path / "report.json").provenance["precision_changes"] == list(by_metric.values())


def test_every_command_says_it(folders: tuple[str, str]) -> None:
    real, fake = folders
    records = [
        rank(real, [fake, real], precision="bf16", **NO_STORE),
        plan(real, fake, differences=0.1, precision="bf16", **NO_STORE),
        explain(real, fake, precision="bf16", **NO_STORE),
    ]
    for record in records:
        assert any(warning.startswith("bf16 instead of fp32 changes") for warning in record.warnings)
        assert record.provenance["precision_changes"]
    assert compare(real, fake, **NO_STORE).provenance["precision_changes"] == []


def test_features_keep_what_it_changed_and_the_command_says_it(
    folders: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "real.safetensors"
    given = ["embed", folders[0], "--backbone", "mini", "--precision", "bf16", "--device", "cpu", "--no-store"]
    with pytest.raises(SystemExit) as done:
        main([*given, "--out", str(target)])
    assert done.value.code == 0
    change = load_stored(target).provenance["precision_change"]
    assert change["pictures"] == 20
    assert 1e-4 < change["share_of_spread"] < 0.1
    assert "cmmd: bf16 instead of fp32 on mini changes features by" in capsys.readouterr().err


def test_features_of_different_precision_are_not_mixed(folders: tuple[str, str], features: dict[str, Features]) -> None:
    low, full = features["bf16"], features["fp32"]
    for reference, generated, given in (
        (low, full, "fp32"),
        (full, low, "fp32"),
        (low, folders[1], "fp32"),
        (full, folders[1], "bf16"),
    ):
        with pytest.raises(InputError, match="made with precision .*, but the other side uses"):
            compare(reference, generated, precision=given, **NO_STORE)  # type: ignore[arg-type]
    provenance = {name: value for name, value in full.provenance.items() if name != "precision"}
    older = replace(full, provenance=provenance)  # from before there was a choice
    assert compare(older, full, metric="mmd").results
    with pytest.raises(InputError, match="precision fp32, but the other side uses bf16"):
        compare(older, folders[1], precision="bf16", **NO_STORE)
    assert compare(low, low, metric="mmd").results


def test_a_file_that_cannot_say_its_precision_is_not_written(
    features: dict[str, Features], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ArgumentError, match="does not say that they are of bf16"):
        features["bf16"].statistics().save(tmp_path / "low.npz")
    with pytest.raises(SystemExit) as stopped:
        main(["embed", "absent", "--backbone", "mini", "--precision", "bf16", "--out", str(tmp_path / "low.npz")])
    assert stopped.value.code == 2
    assert "write a .safetensors" in capsys.readouterr().err
    features["fp32"].statistics().save(tmp_path / "full.npz")
    features["bf16"].statistics().save(tmp_path / "low.safetensors")
    assert load_stored(tmp_path / "low.safetensors").provenance["precision"] == "bf16"
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["full.npz", "low.safetensors"]


def test_a_side_that_cannot_be_read_again_is_said(folders: tuple[str, str], features: dict[str, Features]) -> None:
    stream = (smooth_picture(i) for i in range(12))
    report = compare(folders[0], stream, precision="bf16", **NO_STORE)
    assert any("was not measured with generated: it is a stream" in warning for warning in report.warnings)
    report = compare(features["bf16"], folders[1], precision="bf16", **NO_STORE)
    assert any("its features are stored" in warning for warning in report.warnings)


def test_what_contradicts_a_precision_is_refused(folders: tuple[str, str], features: dict[str, Features]) -> None:
    given: dict[str, Any] = {**NO_STORE, "precision": "bf16"}
    refused: list[tuple[Any, str]] = [
        (
            lambda: compare(*folders, **{**given, "precision": "half"}),
            "expected fp32, bf16 or fp16, got 'half'",
        ),
        (lambda: compare(*folders, **{**given, "precision": 16}), "precision"),
        (lambda: load_backbone("mini", device="cpu", precision="fp16"), "precision: fp16 runs on GPUs only"),
        (lambda: compare(*folders, **{**given, "backbone": "inception"}, recipe="pytorch-fid"), "computed in fp32"),
        (lambda: embed(folders[0], **{**given, "backbone": "inception"}, recipe="clean-fid"), "computed in fp32"),
        (lambda: compare(features["bf16"], features["bf16"], precision="bf16"), "features are stored for every set"),
    ]
    for call, message in refused:
        with pytest.raises(ArgumentError, match=message):
            call()


def test_a_backbone_that_computes_in_less_says_what_it_changes(folders: tuple[str, str]) -> None:
    given: dict[str, Any] = {**NO_STORE, "backbone": load_backbone("mini", device="cpu", precision="bf16")}
    report = compare(*folders, **given)
    assert {change["precision"] for change in report.provenance["precision_changes"]} == {"bf16"}
    assert embed(folders[0], **given).provenance["precision_change"]["pictures"] == 20


@pytest.mark.parametrize("has", [(), ("avx2",), ("avx2", "amx_bf16")])
def test_a_cpu_without_bfloat16_is_said(has: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: dict.fromkeys(has, True), raising=False)
    low, full = (load_backbone("mini", device="cpu", precision=own) for own in ("bf16", "fp32"))
    assert any("no instructions for it" in remark for remark in low.remarks) == (has == ("avx2",))
    assert not any("bf16" in remark for remark in full.remarks)


def test_a_device_without_memory_for_a_batch_is_one_line() -> None:
    def encode(_inputs: torch.Tensor) -> torch.Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory.\nTried to allocate 9 GiB")

    starved = replace(load_backbone("mini", device="cpu"), encode=encode)
    with pytest.raises(DeviceError, match="not enough memory .* use a smaller `batch_size`"):
        starved.embed([np.zeros((3, 64, 64), np.float32)])


def test_overflow_names_the_precision() -> None:
    loaded = load_backbone("mini", device="cpu", precision="bf16")
    broken = replace(loaded, encode=lambda inputs: torch.full((len(inputs), loaded.dim), torch.inf))
    with pytest.raises(Exception, match="try `precision='fp32'`"):
        broken.embed([np.zeros((3, 64, 64), np.float32)])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_a_gpu_computes_in_half_precision(precision: Any, features: dict[str, Features], folders: Any) -> None:
    found = embed(folders[0], backbone="mini", store=False, device="cuda", precision=precision).values
    assert 1e-6 < np.abs(found - features["fp32"].values).max() < 0.02
