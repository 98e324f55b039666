"""What the processes of a run share beside its steps: latents, sheets and scores; and which launches are refused."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from archives import contents, write_tar
from dit_models import assert_refused, dit_gen, random_model, save_kl
from launches import torchrun
from pictures import write_pictures
from PIL import Image
from training_runs import SMALL

from cmmd_toolkit.common.progress import show_no_progress
from dit_generators.data import latents as cache
from dit_generators.data.pictures import load_pictures
from dit_generators.data.reading import Reading
from dit_generators.errors import ArgumentError
from dit_generators.sampling.sample import SampleSettings
from dit_generators.training.accelerator import make_accelerator
from dit_generators.training.evaluation import Evaluation, features_of, samples, unit_rows
from dit_generators.training.options import TrainOptions
from dit_generators.weights.autoencoder import load_autoencoder

HELPERS = Path(__file__).parents[2] / "helpers"
PIXELS = np.random.default_rng(0).integers(0, 256, (9, 16, 16, 3), dtype=np.uint8)
SETTINGS = SampleSettings(steps="3")

SHARED = f"""
import json
import sys
from pathlib import Path
sys.path.insert(0, {str(HELPERS)!r})
sys.path.insert(0, {str(Path(__file__).parent)!r})
import numpy as np
import torch
from test_shared_work import PIXELS, SETTINGS, encoded, evaluation
from dit_models import random_model
from dit_generators.common.processes import joined_processes
from dit_generators.data.pictures import load_pictures
from dit_generators.data.reading import Reading
from dit_generators.errors import DataError, SamplingError
from dit_generators.training.evaluation import samples, shared_rows

out = Path(sys.argv[1])
with joined_processes() as processes:
    encoded(out / "vae", out / "shared", processes)
    model = random_model()
    pictures = [
        shared_rows(lambda mine: samples(model, SETTINGS, mine, 2, None), count, processes) for count in (2, 7)
    ]
    score = evaluation().score(model, 2, processes)

    def fails(mine):
        if processes.rank == 1:
            raise SamplingError("the second process cannot")
        return np.zeros((len(mine), 1))

    told = []
    try:
        shared_rows(fails, 5, processes)
    except SamplingError as error:
        told.append(str(error))
    processes.wait()
    if processes.is_main:
        (out / "shared" / "00002.safetensors").write_bytes(b"x")
    processes.wait()
    try:
        encoded(out / "vae", out / "shared", processes)
    except DataError as error:
        told.append(str(error))
    looked = []
    for source in sys.argv[2:]:
        for _ in range(2):
            reading = Reading(memory=0, workers=1, folder=Path(source + ".pictures"), processes=processes)
            seen = load_pictures(source, 16, on_error="skip", reading=reading)
            looked.append((seen.sha256, seen.skipped, len(seen)))
    looked = processes.gather(looked)
    every = processes.gather(told)
    if processes.is_main:
        np.savez(out / "found.npz", few=pictures[0], more=pictures[1], score=[score.value])
        (out / "told.json").write_text(json.dumps(every))
        (out / "looked.json").write_text(json.dumps(looked))
"""


def encoded(vae: Path, folder: Path, *processes: Any) -> None:
    """Latents of nine pictures in shards of two."""
    cache._SHARD = 2
    given = {"processes": processes[0]} if processes else {}
    cache.encode_pictures(PIXELS, load_autoencoder(vae), folder, torch.device("cpu"), show_no_progress, **given)


def evaluation() -> Evaluation:
    return Evaluation(unit_rows(features_of(PIXELS.__getitem__, range(len(PIXELS)), "mini")), "mini", 7, SETTINGS, None)


@pytest.mark.slow
def test_three_processes_make_the_latents_sheets_scores_and_index_of_one(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(cache, "_SHARD", 2)
    encoded(save_kl(tmp_path / "vae"), tmp_path / "alone")
    alone = {path.name: path.read_bytes() for path in sorted((tmp_path / "alone").iterdir())}
    script = tmp_path / "shared.py"
    script.write_text(SHARED)
    pictures = write_pictures(tmp_path / "set", 11)
    (pictures / "004.png").write_bytes(b"x")
    tar = write_tar(tmp_path / "set.tar.gz", contents(pictures), "w:gz")
    finished = torchrun(3, script, tmp_path, pictures, tar)
    assert finished.returncode == 0, finished.stderr
    shared = {path.name: path.read_bytes() for path in sorted((tmp_path / "shared").iterdir())}
    damaged = shared.pop("00002.safetensors")
    assert damaged == b"x"
    assert {**shared, "00002.safetensors": alone["00002.safetensors"]} == alone
    assert len(alone) == 6  # five shards and the index

    found, model = np.load(tmp_path / "found.npz"), random_model()
    assert np.array_equal(found["few"], samples(model, SETTINGS, range(2), 2, None))
    assert np.array_equal(found["more"], samples(model, SETTINGS, range(7), 7, None))
    assert found["score"][0] == pytest.approx(evaluation().score(model, 7).value, rel=1e-5)

    told = json.loads((tmp_path / "told.json").read_text())
    assert [one[0] for one in told] == ["the second process cannot"] * 3
    assert all("00002.safetensors: is missing or damaged" in one[1] for one in told)

    expected = load_pictures(pictures, 16, on_error="skip")
    for looked in json.loads((tmp_path / "looked.json").read_text()):
        assert [(sha256, count) for sha256, _, count in looked] == [(expected.sha256, 10)] * 4
        assert all(len(skipped) == 1 and "004.png" in skipped[0] for _, skipped, _ in looked)
    load_pictures(pictures, 16, on_error="skip", reading=Reading(memory=0, folder=tmp_path / "alone.pictures"))
    index = [(tmp_path / f"{name}.pictures" / "index.safetensors").read_bytes() for name in ("alone", "set")]
    assert index[0] == index[1]


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("ACCELERATE_USE_FSDP", "true", "FSDP splits the model over processes, which is not supported"),
        ("ACCELERATE_USE_DEEPSPEED", "true", "DeepSpeed splits the model"),
        ("ACCELERATE_USE_MEGATRON_LM", "1", "Megatron-LM splits the model"),
        ("ACCELERATE_GRADIENT_ACCUMULATION_STEPS", "4", "give --accumulate instead"),
        ("ACCELERATE_DYNAMO_BACKEND", "INDUCTOR", "give --compile instead"),
    ],
)
def test_a_launch_that_would_split_or_change_the_run_is_refused_by_name(
    tmp_path, capfd, monkeypatch, variable, value, message
) -> None:
    pictures = write_pictures(tmp_path / "pictures", 4)
    monkeypatch.setenv(variable, value)
    assert_refused(dit_gen(capfd, "train", pictures, "--out", tmp_path / "run", *SMALL, "--steps", 1), message)
    assert [path.name for path in tmp_path.iterdir()] == ["pictures"]


def test_processes_that_accelerate_leaves_alone_do_not_train_beside_each_other(monkeypatch) -> None:
    options = TrainOptions.preset("small", device="cpu")
    assert make_accelerator(options).num_processes == 1
    for name, value in {"LOCAL_RANK": "0", "RANK": "0", "WORLD_SIZE": "2"}.items():  # too late for accelerate to join
        monkeypatch.setenv(name, value)
    with pytest.raises(ArgumentError, match="WORLD_SIZE=2: that many processes were started"):
        make_accelerator(options)


def test_sheets_are_in_tensorboard_too(tmp_path, capfd) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    pictures = write_pictures(tmp_path / "pictures", 4)
    options = ["--steps", 4, "--sample-every", 2, "--sample-steps", 2, "--log-every", 3]
    assert dit_gen(capfd, "train", pictures, "--out", tmp_path / "run", *SMALL, *options).code == 0
    board = EventAccumulator(str(tmp_path / "run" / "tensorboard"), size_guidance={"images": 0}).Reload()
    shown = board.Images("samples")
    assert [image.step for image in shown] == [2, 4]
    for image in shown:
        (tmp_path / "shown.png").write_bytes(image.encoded_image_string)
        with (
            Image.open(tmp_path / "shown.png") as one,
            Image.open(tmp_path / "run" / "samples" / f"{image.step:08d}.png") as other,
        ):
            assert np.array_equal(np.asarray(one), np.asarray(other))
    assert [event.step for event in board.Scalars("gradient_norm")] == [3, 4]
