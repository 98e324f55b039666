"""The bundled backbone: its promises about size and determinism, the faults it must see, and the demo."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from pictures import shared_path
from PIL import Image, ImageFilter

from cmmd_toolkit import ArgumentError, WeightsError, compare, embed, load_backbone, squared_mmd
from cmmd_toolkit.backbones.mini import BUNDLED
from cmmd_toolkit.backbones.remarks import MINI_REMARK
from cmmd_toolkit.cli.demo import digits


def test_the_weights_are_small_and_bundled() -> None:
    assert BUNDLED.stat().st_size < 4_000_000
    assert load_backbone("mini").dim == 256


def test_embeddings_are_of_unit_length_and_the_same_every_time() -> None:
    pictures = np.stack(digits()[0][:20])
    one, other = embed(pictures, backbone="mini"), embed(pictures, backbone="mini", batch_size=3)
    assert np.allclose(np.linalg.norm(one.values, axis=1), 1, atol=1e-5)
    assert np.abs(one.values - other.values).max() < 1e-5
    assert np.array_equal(one.values, embed(pictures, backbone="mini").values)


def test_every_report_says_what_its_numbers_are_not() -> None:
    pictures = np.stack(digits()[0][:20])
    assert MINI_REMARK in compare(pictures[:10], pictures[10:], backbone="mini").warnings


def test_other_weights_and_models_are_refused(tmp_path: Path) -> None:
    (tmp_path / "junk.safetensors").write_bytes(b"junk")
    with pytest.raises(WeightsError, match="junk.safetensors: not weights of mini"):
        load_backbone("mini", weights=tmp_path / "junk.safetensors")
    with pytest.raises(ArgumentError, match="mini has one network"):
        load_backbone("mini", model="other")


def test_blur_raises_the_score_level_by_level() -> None:
    pictures = digits()[0][:600]
    reference = embed(np.stack(pictures[::2]), backbone="mini")
    values = []
    for radius in (0, 1, 2, 3, 4):
        blurred = [np.asarray(Image.fromarray(p).filter(ImageFilter.GaussianBlur(radius))) for p in pictures[1::2]]
        generated = embed(np.stack(blurred), backbone="mini")
        values.append(float(squared_mmd(reference=reference, generated=generated)))
    assert values == sorted(values)


@pytest.mark.slow
def test_a_generator_in_training_gets_better() -> None:
    reference = shared_path("data", "landscapes")
    snapshots = [shared_path("data", "stylegan2_landscapes", f"snapshot-{tick}") for tick in ("68", "20", "04", "00")]
    report = compare(reference, snapshots, backbone="mini", metric="mmd")
    values = [result.value for result in report.results]
    assert values == sorted(values)


def test_the_demo_runs_offline_and_its_faults_score_higher(tmp_path: Path) -> None:
    finished = subprocess.run(
        [sys.executable, "-m", "cmmd_toolkit", "demo"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={"HF_HUB_OFFLINE": "1", "PATH": "", "HOME": str(tmp_path)},
    )
    assert finished.returncode == 0, finished.stderr
    assert "cmmd compare real/ fake/ --backbone mini" in finished.stdout
    results = json.loads((tmp_path / "cmmd-demo.json").read_text())["results"]
    clean, *others = [result["value"] for result in results]
    assert abs(clean) < 0.01
    assert min(others) > 5 * abs(clean)
    assert [result["generated"] for result in results[-2:]] == ["DiT with full attention", "DiT with swa attention"]
