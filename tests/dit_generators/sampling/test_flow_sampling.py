"""Models of a velocity: guidance, independence of the batch, settings that say nothing, and the folder of a run."""

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from dit_models import assert_refused, dit_gen, random_model
from torch import Tensor

from dit_generators import save_checkpoint
from dit_generators.diffusion.flow import FLOW_SAMPLERS
from dit_generators.diffusion.guidance import Guidance
from dit_generators.diffusion.noise import ImageNoise
from dit_generators.errors import ArgumentError
from dit_generators.network.model import DiT
from dit_generators.network.process import Flow
from dit_generators.sampling.sample import SampleSettings, sample_states


def flow_model(flow: Flow | None = None, **fields: Any) -> DiT:
    model = random_model(**{"num_classes": 4, "in_channels": 4, "learn_sigma": False, **fields})
    model.process = flow or Flow()
    return model


@torch.no_grad()
def last(model: DiT, settings: SampleSettings, indices: Any) -> Tensor:
    *_, step = sample_states(model, settings, indices)
    return step.x


@pytest.mark.parametrize("sampler", FLOW_SAMPLERS)
@pytest.mark.parametrize("guidance", [Guidance(), Guidance(3.0), Guidance(2.0, by="window")], ids=["1", "3", "window"])
def test_an_image_has_the_same_bits_whatever_stands_beside_it(sampler: str, guidance: Guidance) -> None:
    model = flow_model(Flow("cosine", "data"), input_size=16)
    shift = 1.0 if sampler == "dopri5" else 0.5
    settings = SampleSettings(sampler=sampler, steps="5", guidance=guidance, timestep_shift=shift)
    whole = last(model, settings, range(9))
    for indices in ([0], [4], [8, 0], [7, 6, 5, 4, 3]):
        assert torch.equal(last(model, settings, indices), whole[indices])


@torch.no_grad()
def test_guidance_acts_inside_its_interval_as_in_repa() -> None:
    """Both evaluations of Heun's step are guided where its beginning lies in the interval."""
    model, interval = flow_model(), (250, 750)
    settings = SampleSettings("heun", "8", guidance=Guidance(3.0, interval=interval), labels=(2,), seed=4)
    labels, null = torch.full((1,), 2), torch.full((1,), 4)
    states = list(sample_states(model, settings, [0]))
    x = ImageNoise(4, [0], (4, 8, 8), torch.device("cpu"))()
    times = torch.linspace(1, 0, 9).tolist()
    for i, (now, then) in enumerate(pairwise(times)):
        scale = 3.0 if 0.25 <= now <= 0.75 else 1.0

        def slope(state: Tensor, time: float, scale: float = scale) -> Tensor:
            strong, weak = (model(state, torch.full((1,), time), y) for y in (labels, null))
            return weak + scale * (strong - weak)

        first = slope(x, now)
        ahead = x + (then - now) * first
        x = x + (then - now) * (first + slope(ahead, then)) / 2 if i < 7 else ahead
    torch.testing.assert_close(states[-1].x, x, rtol=1e-4, atol=1e-5)


def test_a_flow_is_guided_at_pure_noise_alone_by_an_interval_that_is_1000() -> None:
    model, settings = flow_model(), SampleSettings(steps="4", labels=(2,))
    plain = [step.x for step in sample_states(model, settings, [0])]
    settings = replace(settings, guidance=Guidance(3.0, interval=(1000, 1000)))
    first = next(iter(sample_states(model, settings, [0]))).x
    always = next(iter(sample_states(model, replace(settings, guidance=Guidance(3.0)), [0]))).x
    assert torch.equal(first, always)
    assert not torch.equal(first, plain[0])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (SampleSettings("ddpm"), "sampler: expected euler, heun, dopri5, sde for a model of velocity, got 'ddpm'"),
        (SampleSettings("unipc"), "expected euler, heun, dopri5, sde"),
        (SampleSettings(steps="ddim50"), "steps: euler takes a number of steps, got ddim50"),
        (SampleSettings(steps="0"), "steps: euler needs 1 steps or more, got 0"),
        (SampleSettings("sde", steps="1"), "steps: sde needs 2 steps or more, got 1"),
        (SampleSettings(steps="10000000"), "steps: expected at most 100,000"),
        (SampleSettings("euler", rtol=0.1), "rtol: is for `sampler='dopri5'`, not euler"),
        (SampleSettings("dopri5", atol=0.0), "atol: expected a number above 0, got 0.0"),
        (SampleSettings("dopri5", timestep_shift=0.3), "timestep_shift: dopri5 chooses its own steps"),
        (SampleSettings("dopri5", guidance=Guidance(2.0, interval=(0, 500))), "dopri5 uses its own times"),
        (SampleSettings(eta=0.5), "eta: is for `sampler='ddim'`, not euler"),
        (SampleSettings(timestep_shift=0.0), "timestep_shift: expected a number above 0"),
        (SampleSettings(timestep_shift=float("nan")), "timestep_shift: expected a number above 0"),
        (SampleSettings("sde", official_batch=4), "official_batch: is the noise of DiT's script"),
        (SampleSettings(steps="4", guidance=Guidance(2.0, interval=(260, 490))), "none of the 4 steps lies in it"),
        (SampleSettings(guidance=Guidance(2.0, interval=(1001, 1001))), "expected timesteps of 0 to 1000, got 1001"),
    ],
)
def test_settings_that_a_flow_cannot_run(settings: SampleSettings, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        next(sample_states(flow_model(), settings, [0]))


@pytest.mark.parametrize("sampler", FLOW_SAMPLERS)
def test_samplers_of_flows_and_a_shift_are_refused_for_a_model_of_noise(sampler: str) -> None:
    for settings, message in (
        (SampleSettings(sampler), "sampler: expected ddpm, ddim, dpm-solver.* for a model of noise"),
        (SampleSettings(timestep_shift=0.3), "timestep_shift: is only for flows"),
    ):
        with pytest.raises(ArgumentError, match=message):
            next(sample_states(random_model(), settings, [0]))


def test_the_record_says_process_and_sampler_and_the_folder_of_another_is_refused(tmp_path: Path, capfd: Any) -> None:
    model = flow_model(in_channels=3, num_classes=0)
    save_checkpoint(model, tmp_path / "m.safetensors")
    given = ["--checkpoint", tmp_path / "m.safetensors", "--steps", 3, "--out", tmp_path / "out"]
    assert dit_gen(capfd, "sample", *given, "--num", 2).code == 0
    record = json.loads((tmp_path / "out" / "samples.json").read_text())["run"]
    assert record["process"] == {"objective": "velocity", "path": "linear", "time_towards": "noise"}
    assert record["sampler"] == "euler"
    first = (tmp_path / "out" / "000000.png").read_bytes()
    assert dit_gen(capfd, "sample", *given, "--num", 3, "--sampler", "euler").code == 0
    assert (tmp_path / "out" / "000000.png").read_bytes() == first
    assert_refused(dit_gen(capfd, "sample", *given, "--sampler", "sde"), '--sampler was "euler", now "sde"')
    assert_refused(dit_gen(capfd, "sample", *given, "--timestep-shift", 0.3), "--timestep-shift was 1.0, now 0.3")
    model.process = Flow("cosine")
    save_checkpoint(model, tmp_path / "m.safetensors")
    assert_refused(dit_gen(capfd, "sample", *given), 'process.path` was "linear", now "cosine"')


def test_dopri5_records_its_tolerances_and_no_steps_and_resumes(tmp_path: Path, capfd: Any) -> None:
    save_checkpoint(flow_model(in_channels=3), tmp_path / "m.safetensors")
    given = ["sample", "--checkpoint", tmp_path / "m.safetensors", "--sampler", "dopri5", "--batch-size", 2]
    given += ["--labels", "all", "--guidance-scale", 2]
    assert dit_gen(capfd, *given, "--num", 5, "--out", tmp_path / "one").code == 0
    record = json.loads((tmp_path / "one" / "samples.json").read_text())["run"]
    assert (record["rtol"], record["atol"]) == (1e-3, 1e-6)
    assert "steps" not in record
    for num in (1, 5):
        assert dit_gen(capfd, *given, "--num", num, "--out", tmp_path / "two").code == 0
    for picture in (tmp_path / "one").glob("*.png"):
        assert picture.read_bytes() == (tmp_path / "two" / picture.name).read_bytes()
    finer = dit_gen(capfd, *given, "--rtol", 1e-4, "--out", tmp_path / "one")
    assert_refused(finer, "--rtol was 0.001, now 0.0001")
    assert_refused(dit_gen(capfd, *given, "--steps", 9, "--out", tmp_path / "x"), "leave out --steps")
    sweep = ["sweep", *given[1:], "--out", tmp_path / "x"]
    sweep[sweep.index("--guidance-scale") + 1] = "1"
    assert_refused(dit_gen(capfd, *sweep), "a sweep compares numbers of steps")


def test_a_folder_of_an_earlier_version_goes_on(tmp_path: Path, capfd: Any) -> None:
    save_checkpoint(random_model(), tmp_path / "m.safetensors")
    given = ["sample", "--checkpoint", tmp_path / "m.safetensors", "--steps", 3, "--out", tmp_path / "out"]
    assert dit_gen(capfd, *given, "--num", 1).code == 0
    record = json.loads((path := tmp_path / "out" / "samples.json").read_text())
    assert record["run"]["sampler"] == "ddpm"
    del record["run"]["process"], record["run"]["timestep_shift"]
    path.write_text(json.dumps(record))
    assert dit_gen(capfd, *given, "--num", 2).code == 0


def test_a_sweep_of_a_flow_makes_its_cells(tmp_path: Path, capfd: Any) -> None:
    save_checkpoint(flow_model(in_channels=3, num_classes=0), tmp_path / "m.safetensors")
    given = ["--checkpoint", tmp_path / "m.safetensors", "--steps", "2,3", "--num", 1, "--sampler", "heun"]
    finished = dit_gen(capfd, "sweep", *given, "--out", tmp_path / "sweep")
    assert finished.code == 0, finished.err
    assert len(list((tmp_path / "sweep").glob("*/000000.png"))) == 2


def test_an_interval_is_held_against_the_times_of_the_path() -> None:
    """The two steps of "vp", which ends before 0, begin at 1000 and 500.5."""
    settings = SampleSettings(steps="2", guidance=Guidance(2.0, interval=(500, 500)))
    with pytest.raises(ArgumentError, match="none of the 2 steps lies in it"):
        next(sample_states(flow_model(Flow("vp")), settings, [0]))
    assert next(sample_states(flow_model(), settings, [0])) is not None
