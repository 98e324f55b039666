"""The noise of the official script, noise from a file, and labels in turn."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from dit_models import assert_refused, dit_gen, random_model, saved_model

from dit_generators import ArgumentError, SampleSettings
from dit_generators.diffusion.noise import ImageNoise
from dit_generators.sampling.sample import sample_states

SHAPE = (3, 8, 8)


def states(settings: SampleSettings, indices: list[int]) -> list[torch.Tensor]:
    return [step.x for step in sample_states(random_model(), settings, indices)]


def saved(path: Path, array: Any) -> str:
    np.save(path, array)
    return str(path)


def assert_equal_states(one: list[torch.Tensor], other: list[torch.Tensor]) -> None:
    for left, right in zip(one, other, strict=True):
        torch.testing.assert_close(left, right, rtol=0, atol=0)


def test_the_official_draws_are_those_of_the_batch_and_then_of_two_halves_in_every_step(tmp_path) -> None:
    official = SampleSettings(steps="3", seed=7, official_batch=4)
    generator = torch.Generator().manual_seed(7)
    draws = [torch.randn(4, *SHAPE, generator=generator)]
    draws += [torch.randn(8, *SHAPE, generator=generator)[:4] for _ in range(3)]
    given = SampleSettings(steps="3", noise=saved(tmp_path / "all.npy", torch.stack(draws, 1).numpy()))
    whole = states(official, [0, 1, 2, 3])
    assert_equal_states(whole, states(given, [0, 1, 2, 3]))
    assert_equal_states([x[2:3] for x in whole], states(official, [2]))


def test_noise_to_start_from_leaves_the_later_draws_as_they_are(tmp_path) -> None:
    own = ImageNoise(3, range(5), SHAPE, torch.device("cpu"))()
    given = SampleSettings(steps="3", seed=3, noise=saved(tmp_path / "start.npy", own.numpy()))
    assert_equal_states(states(given, [1, 4]), states(SampleSettings(steps="3", seed=3), [1, 4]))
    other = SampleSettings(steps="3", seed=3, noise=saved(tmp_path / "other.npy", -own.numpy()))
    assert not torch.equal(states(other, [1])[-1], states(given, [1])[-1])


def test_noise_is_part_of_what_a_folder_holds(tmp_path, capfd) -> None:
    checkpoint = saved_model(tmp_path / "pixels.safetensors")
    noise = saved(tmp_path / "noise.npy", np.zeros((4, *SHAPE), np.float32))

    def make(num: int) -> Any:
        command = ["sample", "--checkpoint", checkpoint, "--num", num, "--steps", 3, "--noise", noise]
        return dit_gen(capfd, *command, "--out", tmp_path / "out")

    assert make(3).code == 0
    assert_refused(make(9), "is 4 x 3 x 8 x 8, 9 x 3 x 8 x 8 are needed")
    np.save(noise, np.ones((4, *SHAPE), np.float32))
    assert_refused(make(3), "the noise differ")


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"no array", "is not a readable .npy file"), (np.zeros((2, 3)), "is not an array of floats"),
     (np.zeros((2, 3, 9, 9)), "2 x 3 x 9 x 9, 1 x 3 x 8 x 8 are needed"),
     (np.zeros((2, 3, 8, 8), int), "is not an array of floats")],
)  # fmt: skip
def test_files_that_hold_no_noise_for_the_model(tmp_path, content, message) -> None:
    path = tmp_path / "noise.npy"
    path.write_bytes(content) if isinstance(content, bytes) else np.save(path, content)
    with pytest.raises(ArgumentError, match=message):
        states(SampleSettings(steps="3", noise=str(path)), [0])


def test_a_pipe_is_no_noise_and_never_waited_for(tmp_path) -> None:
    os.mkfifo(tmp_path / "pipe.npy")
    with pytest.raises(ArgumentError, match=r"pipe\.npy is not a readable \.npy file \(.*not a regular file"):
        states(SampleSettings(steps="3", noise=str(tmp_path / "pipe.npy")), [0])


def test_all_labels_are_balanced(tmp_path, capfd) -> None:
    checkpoint = saved_model(tmp_path / "labelled.safetensors", num_classes=3)
    command = ["sample", "--checkpoint", checkpoint, "--num", 7, "--steps", 2, "--out", tmp_path / "out"]
    done = dit_gen(capfd, *command, "--labels", "all")
    assert done.code == 0
    assert "warning: 7 is not a multiple of 3 classes: images per class differ by one" in done.err
    images = json.loads((tmp_path / "out" / "samples.json").read_text())["images"]
    assert [image["label"] for image in images] == [0, 1, 2, 0, 1, 2, 0]
    fewer = dit_gen(capfd, *command, "--labels", "all", "--num", 6)
    assert "no multiple" not in fewer.err
    assert f"{tmp_path / 'out'}: holds 7 images, 1 more than --num; a score would use all" in fewer.err
    with pytest.raises(ArgumentError, match='labels: expected numbers of classes, or "all"'):
        SampleSettings(labels="every").check(random_model(num_classes=3))


def test_noise_that_is_not_finite_and_a_seed_too_large_leave_no_folder(tmp_path, capfd) -> None:
    checkpoint, array = saved_model(tmp_path / "pixels.safetensors"), np.zeros((2, *SHAPE), np.float32)
    array[1, 0, 0, 0] = np.nan
    command = ["sample", "--checkpoint", checkpoint, "--num", 2, "--steps", 2, "--out", tmp_path / "out"]
    noise = saved(tmp_path / "noise.npy", array)
    assert_refused(dit_gen(capfd, *command, "--noise", noise), "holds NaN or infinity for image 1")
    assert_refused(dit_gen(capfd, *command, "--rng", "official", "--seed", 2**64), "takes numbers below 2^64")
    assert not (tmp_path / "out").exists()
