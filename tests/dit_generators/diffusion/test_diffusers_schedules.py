"""What a diffusers scheduler asks for is computed as diffusers computes it: its schedulers are the oracle."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, DDPMScheduler, DPMSolverMultistepScheduler, UniPCMultistepScheduler
from dit_models import assert_refused, dit_gen, random_model
from torch import Tensor

from dit_generators import load_checkpoint, save_checkpoint
from dit_generators.diffusion.samplers import ddim, ddpm
from dit_generators.diffusion.schedule import Schedule, respace, schedule_of
from dit_generators.diffusion.solvers import solve
from dit_generators.network.process import DIT_PROCESS, Diffusion
from dit_generators.sampling.sample import SampleSettings, sample_states
from dit_generators.weights.checkpoint import read_checkpoint, write_checkpoint
from dit_generators.weights.scheduler import process_of_scheduler

COSINE: dict[str, Any] = {"beta_schedule": "squaredcos_cap_v2"}
SCALED: dict[str, Any] = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}
V: dict[str, Any] = {"prediction_type": "v_prediction"}
SAMPLE: dict[str, Any] = {"prediction_type": "sample"}
ZERO: dict[str, Any] = {"rescale_betas_zero_snr": True}
PLAIN: dict[str, Any] = {"clip_sample": False}
DYNAMIC: dict[str, Any] = {"thresholding": True, "sample_max_value": 2.5, "dynamic_thresholding_ratio": 0.9}
CASES = [
    PLAIN,
    {**PLAIN, **COSINE},
    {**PLAIN, **COSINE, **V},
    {**PLAIN, **SCALED, **V, **ZERO},
    {**COSINE, **SAMPLE, "clip_sample_range": 0.8},
    {"clip_sample": True},
    {**COSINE, **DYNAMIC},
    {**V, **ZERO, **DYNAMIC},
    {**PLAIN, "variance_type": "fixed_large"},
]


def process_for(scheduler: Any) -> Diffusion:
    return process_of_scheduler({"_class_name": type(scheduler).__name__, **scheduler.config}, "scheduler")


def network(x: Tensor, timesteps: Tensor) -> Tensor:
    """Any function of both, with values beyond 1."""
    return torch.sin(2 * x) + x.flip(-1) * (0.3 + timesteps[0] / 1000)


def noises(count: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(3)
    return [torch.randn(2, 3, 4, 4, generator=generator) for _ in range(count)]


@pytest.mark.parametrize("fields", CASES, ids=lambda fields: "-".join(map(str, fields.values())))
def test_betas_are_those_of_diffusers(fields: dict[str, Any]) -> None:
    scheduler = DDPMScheduler(**fields)
    ours = schedule_of(process_for(scheduler))
    np.testing.assert_allclose(ours.alphas_cumprod, scheduler.alphas_cumprod.double().numpy(), rtol=2e-3, atol=1e-6)
    assert (ours.alphas_cumprod[-1] == 0) == bool(fields.get("rescale_betas_zero_snr"))


@pytest.mark.parametrize("fields", CASES, ids=lambda fields: "-".join(map(str, fields.values())))
def test_ancestral_steps_are_those_of_diffusers(fields: dict[str, Any]) -> None:
    scheduler = DDPMScheduler(**fields, timestep_spacing="trailing")
    scheduler.set_timesteps(20)
    process, draws = process_for(scheduler), noises(21)
    schedule = kept(process, scheduler)
    ours = list(ddpm(network, draws[0], schedule, iter(draws[1:]).__next__, process))
    x = draws[0]
    for step, timestep, noise in zip(ours, scheduler.timesteps, draws[1:], strict=True):
        with patched_noise(noise):
            x, x_0 = scheduler.step(network(x, timestep.expand(2)), timestep, x, return_dict=False)
        torch.testing.assert_close(step.x_0, x_0, rtol=1e-2, atol=2e-3)
        torch.testing.assert_close(step.x, x, rtol=1e-2, atol=2e-3)
        x = step.x  # differences of float32 tables do not add up


@pytest.mark.parametrize("eta", [0.0, 0.7])
@pytest.mark.parametrize("fields", CASES[:-1], ids=lambda fields: "-".join(map(str, fields.values())))
def test_ddim_steps_are_those_of_diffusers(fields: dict[str, Any], eta: float) -> None:
    scheduler = DDIMScheduler(**fields, timestep_spacing="trailing")
    scheduler.set_timesteps(20)
    process, draws = process_for(scheduler), noises(21)
    ours = list(ddim(network, draws[0], kept(process, scheduler), iter(draws[1:]).__next__, eta, process))
    x = draws[0]
    for step, timestep, noise in zip(ours, scheduler.timesteps, draws[1:], strict=True):
        last = step.index == 0
        output = network(x, timestep.expand(2))
        x, x_0 = scheduler.step(
            output, timestep, x, eta=0.0 if last else eta, variance_noise=None if last else noise, return_dict=False
        )
        torch.testing.assert_close(step.x_0, x_0, rtol=1e-2, atol=2e-3)
        torch.testing.assert_close(step.x, x, rtol=1e-2, atol=2e-3)
        x = step.x


def kept(process: Diffusion, scheduler: Any) -> Schedule:
    """Our schedule at the timesteps of theirs."""
    timesteps = np.sort(scheduler.timesteps.numpy())
    alphas_cumprod = schedule_of(process).alphas_cumprod[timesteps]
    return Schedule(1 - alphas_cumprod / np.append(1.0, alphas_cumprod[:-1]), timesteps)


class patched_noise:  # noqa: N801
    """DDPMScheduler draws for itself: for one step it draws this."""

    def __init__(self, noise: Tensor) -> None:
        self.noise = noise

    def __enter__(self) -> None:
        from diffusers.schedulers import scheduling_ddpm

        self.module, self.before = scheduling_ddpm, scheduling_ddpm.randn_tensor
        scheduling_ddpm.randn_tensor = lambda *_, **__: self.noise

    def __exit__(self, *_: object) -> None:
        self.module.randn_tensor = self.before


@pytest.mark.parametrize("solver", ["dpm-solver++", "unipc"])
@pytest.mark.parametrize("fields", [COSINE, {**SCALED, **V, **ZERO}, {**V, **DYNAMIC}, SAMPLE], ids=str)
def test_solvers_are_those_of_diffusers_by_the_same_names(solver: str, fields: dict[str, Any]) -> None:
    kind = DPMSolverMultistepScheduler if solver == "dpm-solver++" else UniPCMultistepScheduler
    scheduler = kind(**fields, timestep_spacing="linspace")
    scheduler.set_timesteps(8)
    process, x = process_for(scheduler), noises(1)[0]
    *_, last = solve(network, x, schedule_of(process), 8, solver, process)
    for timestep in scheduler.timesteps:
        x = scheduler.step(network(x, timestep.expand(2)), timestep, x, return_dict=False)[0]
    torch.testing.assert_close(last.x, x, rtol=2e-2, atol=5e-3)


@pytest.mark.parametrize("sampler", ["ddpm", "ddim"])
@pytest.mark.parametrize(
    "process",
    [
        Diffusion(prediction="v", zero_snr=True),
        Diffusion(prediction="x_0", betas="cosine"),
        Diffusion(clip=1.0),
        Diffusion(threshold=0.9, threshold_max=2.0),
    ],
    ids=["v", "x_0", "clip", "threshold"],
)
def test_a_perfect_network_recovers_the_picture(sampler: str, process: Diffusion) -> None:
    x_0, schedule = noises(1)[0].clamp(-1, 1), schedule_of(process)
    draws = iter(noises(40)[1:])

    def perfect(x_t: Tensor, timesteps: Tensor) -> Tensor:
        a = schedule.alphas_cumprod[int(timesteps[0])]
        noise = (x_t - a**0.5 * x_0) / (1 - a) ** 0.5
        return {"noise": noise, "v": a**0.5 * noise - (1 - a) ** 0.5 * x_0, "x_0": x_0}[process.prediction]

    kept_schedule = respace(schedule, 20)
    steps = (ddpm if sampler == "ddpm" else ddim)(
        perfect, noises(40)[0], kept_schedule, draws.__next__, process=process
    )
    *_, last = steps
    torch.testing.assert_close(last.x, x_0.to(last.x.dtype), rtol=1e-3, atol=1e-3)


def folder_with(tmp_path: Path, scheduler: Any) -> Path:
    save_checkpoint(random_model(num_classes=4, in_channels=4, learn_sigma=False), tmp_path / "m.safetensors")
    write_checkpoint(read_checkpoint(tmp_path / "m.safetensors"), tmp_path / "folder")
    scheduler.save_pretrained(tmp_path / "folder" / "scheduler")
    return tmp_path / "folder"


def test_a_folder_says_its_diffusion_and_is_sampled_by_it(tmp_path: Path) -> None:
    model = load_checkpoint(folder_with(tmp_path, DDPMScheduler(**COSINE, **V, **ZERO)))
    assert model.process == Diffusion(betas="cosine", prediction="v", zero_snr=True, clip=1.0, variance="small")
    for sampler in ("ddpm", "ddim", "dpm-solver++", "unipc"):
        *_, step = sample_states(model, SampleSettings(sampler, "6"), range(2))
        assert torch.isfinite(step.x).all()
        assert float(step.x_0.abs().max()) <= 1
    save_checkpoint(model, tmp_path / "again.safetensors")
    assert load_checkpoint(tmp_path / "again.safetensors").process == model.process


def test_the_published_folder_is_dits(tmp_path: Path) -> None:
    scheduler = DDIMScheduler(beta_schedule="linear", clip_sample=False)  # as facebook/DiT-XL-2-256 has it
    assert load_checkpoint(folder_with(tmp_path, scheduler)).process == DIT_PROCESS
    assert process_of_scheduler({}, "x") == DIT_PROCESS


def test_what_cannot_be_kept_is_refused(tmp_path: Path, capfd: Any) -> None:
    folder = folder_with(tmp_path, DDPMScheduler(**V, clip_sample_range=3.0))
    given = ["sample", "--checkpoint", folder, "--autoencoder", "x", "--out", tmp_path / "out", "--num", 1]
    with pytest.raises(ValueError, match="unipc can clip x_0 only at 1, this model needs 3; use ddpm or ddim"):
        next(sample_states(load_checkpoint(folder), SampleSettings("unipc", "4"), [0]))
    assert_refused(dit_gen(capfd, "convert", folder, tmp_path / "m.pt"), '"prediction": "v"')
    path = folder / "scheduler" / "scheduler_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"beta_schedule": "laplace"}))
    assert_refused(dit_gen(capfd, *given), "beta_schedule is 'laplace', expected one of linear")
