"""The schedule and the samplers: laws, and parity with diffusers' schedulers where the two agree."""

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, DDPMScheduler
from dit_oracles import ddim_step, ddpm_step
from torch import Tensor

from dit_generators.diffusion.samplers import ddim, ddpm
from dit_generators.diffusion.schedule import linear_schedule, respace, respaced_timesteps
from dit_generators.diffusion.solvers import SOLVERS, solve
from dit_generators.errors import ArgumentError


def state(seed: int, channels: int = 4) -> Tensor:
    return torch.randn(3, channels, 6, 6, generator=torch.Generator().manual_seed(seed))


def test_the_published_values_of_the_linear_schedule() -> None:
    schedule = linear_schedule()
    assert schedule.alphas_cumprod[[0, 500, 999]] == pytest.approx([0.9999, 0.0777967, 4.03583e-5], rel=1e-5)
    assert schedule.posterior_log_variance_clipped[0] == pytest.approx(-9.81673, abs=1e-5)


@pytest.mark.parametrize("steps", [2, 7, 21, 50, 333, 999, 1000])
def test_respacing_keeps_alphas_cumprod_and_both_ends(steps: int) -> None:
    whole, kept = linear_schedule(), respace(linear_schedule(), steps)
    assert len(kept) == steps
    assert kept.timesteps[[0, -1]].tolist() == [0, 999]
    np.testing.assert_allclose(kept.alphas_cumprod, whole.alphas_cumprod[kept.timesteps], rtol=1e-10)


def test_respaced_timesteps_of_the_report() -> None:
    assert respaced_timesteps(1000, "50")[:4] == [0, 20, 41, 61]
    assert respaced_timesteps(1000, 250)[-3:] == [991, 995, 999]
    assert respaced_timesteps(1000, 500)[:4] == [0, 2, 4, 6]
    assert respaced_timesteps(1000, "ddim50")[-2:] == [960, 980]
    assert respaced_timesteps(1000, 1) == [0]
    assert respaced_timesteps(1000, "0,10") == [500, 555, 611, 666, 722, 777, 833, 888, 944, 999]
    assert respaced_timesteps(10, "3,0,1") == [0, 2, 3, 7]
    assert respace(linear_schedule(), "0,10").timesteps[0] == 500


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        (0, "number of 1 or more"),
        (1001, "1001 asked for, but training had 1000 there"),
        ("-3", "number of 1 or more"),
        ("many", "number of 1 or more"),
        ("ddim999", "no whole stride"),
        ("600,10", "600 asked for, but training had 500"),
        ("", "number of 1 or more"),
        ("0,0", "a step in one of the sections"),
    ],
)
def test_steps_that_cannot_be(steps: object, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        respace(linear_schedule(), steps)


@pytest.mark.parametrize("steps", [10, 50, 250])
def test_ddpm_steps_are_those_of_diffusers_learned_range(steps: int) -> None:
    schedule = respace(linear_schedule(), steps)
    peer = DDPMScheduler(
        beta_schedule="linear", variance_type="learned_range", clip_sample=False, timestep_spacing="linspace"
    )
    peer.set_timesteps(steps)
    assert peer.timesteps.tolist() == schedule.timesteps[::-1].tolist()
    for i in (0, 1, steps // 2, steps - 1):
        x, output, noise = state(i), state(i + 1, 8), state(i + 2)
        timestep = int(schedule.timesteps[i])
        # diffusers draws its own noise: its mean and variance are compared at noise 0 and 1.
        theirs = peer.step(output, timestep, x, generator=torch.Generator().manual_seed(7)).prev_sample
        drawn = torch.randn(x.shape, generator=torch.Generator().manual_seed(7)) if i else noise
        ours = ddpm_step(output, x, schedule, torch.full((3,), i), drawn)
        torch.testing.assert_close(ours, theirs, rtol=2e-4, atol=2e-4)


@pytest.mark.parametrize("eta", [0.0, 0.6, 1.0])
def test_ddim_steps_are_those_of_diffusers(eta: float) -> None:
    schedule = respace(linear_schedule(), "ddim50")
    peer = DDIMScheduler(beta_schedule="linear", clip_sample=False, set_alpha_to_one=True, timestep_spacing="leading")
    peer.set_timesteps(50)
    assert peer.timesteps.tolist() == schedule.timesteps[::-1].tolist()
    for i in (0, 1, 25, 49):
        x, output, noise = state(i), state(i + 1), state(i + 2)
        theirs = peer.step(output, int(schedule.timesteps[i]), x, eta=eta, variance_noise=noise).prev_sample
        ours = ddim_step(output, x, schedule, torch.full((3,), i), noise, eta)
        if i == 0 and eta:
            continue  # diffusers adds noise to the last step too
        torch.testing.assert_close(ours, theirs, rtol=2e-4, atol=2e-4)


@pytest.mark.parametrize("sampler", ["ddpm", "ddim", *SOLVERS])
def test_a_perfect_denoiser_recovers_x_0(sampler: str) -> None:
    x_0, schedule = state(5).clamp(-1, 1), linear_schedule()
    alphas = torch.from_numpy(schedule.alphas_cumprod)

    def perfect(x: Tensor, timesteps: Tensor) -> Tensor:
        a = alphas[timesteps.long()].float().reshape(-1, 1, 1, 1)
        return (x - a.sqrt() * x_0) / (1 - a).sqrt()

    draws = torch.Generator().manual_seed(1)
    draw = lambda: torch.randn(x_0.shape, generator=draws)  # noqa: E731
    if sampler in SOLVERS:
        steps = list(solve(perfect, draw(), schedule, 20, sampler))
    else:
        steps = list({"ddpm": ddpm, "ddim": ddim}[sampler](perfect, draw(), respace(schedule, 20), draw))
    assert [step.index for step in steps] == list(range(19, -1, -1))
    # The state at timestep 0 keeps 1e-4 of noise variance before the last step; UniPC ends there.
    torch.testing.assert_close(steps[-1].x, x_0, rtol=0, atol=2e-3)
    assert all(float((step.x_0 - x_0).abs().max()) < 5e-2 for step in steps[-5:])


def test_one_step_is_refused_by_samplers_that_need_two() -> None:
    schedule = respace(linear_schedule(), 1)
    for sampler in (ddpm, ddim):
        with pytest.raises(ArgumentError, match="2 steps or more"):
            next(sampler(lambda x, t: x, state(1), schedule, lambda: state(2)))


def test_fixed_variance_without_learn_sigma_is_beta() -> None:
    schedule = respace(linear_schedule(), 10)
    x, output = state(1), torch.zeros(3, 4, 6, 6)
    index = torch.full((3,), 6)
    spread = ddpm_step(output, x, schedule, index, torch.ones_like(x)) - ddpm_step(
        output, x, schedule, index, torch.zeros_like(x)
    )
    torch.testing.assert_close(spread, torch.full_like(x, schedule.betas[6] ** 0.5), rtol=1e-4, atol=1e-5)
