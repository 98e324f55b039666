"""Pipes in place of records are refused, never waited for."""

import os
from pathlib import Path
from typing import Any

import pytest
from dit_models import assert_refused, dit_gen, saved_model
from pictures import write_pictures
from training_runs import SMALL

from dit_generators import load_autoencoder
from dit_generators.errors import CheckpointError


def holding_a_pipe(folder: Path, name: str) -> Path:
    folder.mkdir()
    os.mkfifo(folder / name)
    return folder


def test_in_a_folder_of_samples(tmp_path: Path, capfd: Any) -> None:
    out = holding_a_pipe(tmp_path / "out", "samples.json")
    checkpoint = saved_model(tmp_path / "pixels.safetensors")
    run = dit_gen(capfd, "sample", "--checkpoint", checkpoint, "--num", 1, "--steps", 2, "--out", out)
    assert_refused(run, "samples.json: not a regular file (a pipe, device or socket)")


@pytest.mark.parametrize("name", ["run.json", "log.jsonl"])
def test_in_the_folder_of_a_training_run(name: str, tmp_path: Path, capfd: Any) -> None:
    out = holding_a_pipe(tmp_path / "out", name)
    if name != "run.json":
        (out / "run.json").write_text("{}")
    run = dit_gen(capfd, "train", write_pictures(tmp_path / "in", 4), "--out", out, *SMALL, "--steps", 1)
    assert_refused(run, str(out))


def test_in_the_folder_of_an_autoencoder(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"config\.json: not readable JSON .*not a regular file.*; give a"):
        load_autoencoder(holding_a_pipe(tmp_path / "vae", "config.json"))
