"""Flows: Gaussian data, whose velocity is known, must come out; and the steps are those of independent formulas."""

import json
from itertools import pairwise

import numpy as np
import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler, FlowMatchHeunDiscreteScheduler
from flow_oracles import FLOWS, exact_solution, gaussian_network, gaussian_velocity, weights
from numpy.typing import NDArray
from scipy.integrate import solve_ivp

from dit_generators.diffusion.adaptive import dopri5
from dit_generators.diffusion.flow import euler, heun, last_time, ode_times, sde, sde_times
from dit_generators.diffusion.loss import loss_of
from dit_generators.diffusion.paths import point_at
from dit_generators.diffusion.samplers import Predict
from dit_generators.errors import ArgumentError, SamplingError
from dit_generators.network.process import (
    DIT_PROCESS,
    Diffusion,
    Flow,
    process_fields,
    process_from_fields,
)

MEAN = np.array([0.7, -1.2, 0.1]).reshape(1, 3, 1, 1)
DEVIATION = 0.4
IDS = [f"{flow.path}-{flow.time_towards}" for flow in FLOWS]


def start(rows: int, size: int = 4, seed: int = 0) -> torch.Tensor:
    return torch.randn(rows, 3, size, size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("flow", FLOWS, ids=IDS)
def test_the_ode_leads_gaussian_noise_to_where_it_does_in_closed_form(flow: Flow) -> None:
    noise, predict = start(5), gaussian_network(flow, MEAN, DEVIATION)
    exact = exact_solution(noise.numpy(), MEAN, DEVIATION, flow.path, last_time(flow))
    errors = {}
    for solver in (euler, heun):
        for steps in (40, 80):
            *_, last = solver(predict, noise, ode_times(steps, end=last_time(flow)), flow)
            errors[solver, steps] = float(np.abs(last.x.numpy() - exact).max())
    assert errors[euler, 80] < 0.1
    assert errors[heun, 80] < 0.01
    assert 1.6 < errors[euler, 40] / errors[euler, 80] < 2.4  # first order
    assert errors[heun, 40] / errors[heun, 80] > 2.0  # of second, but for its last step


def row_by_row(flow: Flow, called: list[int]) -> Predict:
    """The perfect network of each row's own time; how many rows it was called with."""
    predict = gaussian_network(flow, MEAN, DEVIATION)

    def each(x_t: torch.Tensor, told: torch.Tensor) -> torch.Tensor:
        called.append(len(x_t))
        return torch.cat([predict(x_t[i : i + 1], told[i : i + 1]) for i in range(len(x_t))])

    return each


@pytest.mark.parametrize("flow", FLOWS, ids=IDS)
def test_dopri5_comes_as_close_to_the_closed_form_as_it_is_asked(flow: Flow) -> None:
    noise = start(3)
    exact = exact_solution(noise.numpy(), MEAN, DEVIATION, flow.path, last_time(flow))
    evaluations = []
    for tolerance in (1e-3, 1e-6, 1e-9):
        called: list[int] = []
        *_, last = dopri5(row_by_row(flow, called), noise, flow, tolerance, tolerance)
        assert last.index == 0
        assert float(np.abs(last.x.numpy() - exact).max()) < 100 * tolerance  # of each step
        evaluations.append(len(called))
    assert evaluations == sorted(set(evaluations))


@pytest.mark.parametrize("flow", FLOWS, ids=IDS)
def test_dopri5_takes_the_steps_of_scipy_for_every_image(flow: Flow) -> None:
    noise, end = start(3), last_time(flow)
    noise[1] *= 30  # whose first steps are refused
    *_, together = dopri5(row_by_row(flow, []), noise, flow, 1e-4, 1e-7)
    for row in range(3):
        called: list[int] = []
        *_, alone = dopri5(row_by_row(flow, called), noise[row : row + 1], flow, 1e-4, 1e-7)

        def slope(time: float, x: NDArray[np.float64]) -> NDArray[np.float64]:
            return gaussian_velocity(x.reshape((*MEAN.shape[:2], 4, 4)), time, MEAN, DEVIATION, flow.path).ravel()

        found = solve_ivp(slope, (1.0, end), noise[row].numpy().ravel(), "RK45", rtol=1e-4, atol=1e-7)
        assert len(called) == found.nfev
        np.testing.assert_allclose(alone.x.numpy().ravel(), found.y[:, -1], rtol=1e-9, atol=1e-9)
        assert torch.equal(alone.x[0], together.x[row])


def test_dopri5_ends_where_no_step_is_small_enough_and_where_nothing_is_finite() -> None:
    noise = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    with pytest.raises(SamplingError, match=r"dopri5: even the smallest step exceeds rtol 0.001 .* or heun"):
        list(dopri5(lambda x, _: 1e5 * torch.randn_like(x), noise, Flow()))
    steps = list(dopri5(lambda x, _: torch.full_like(x, float("nan")), noise, Flow()))
    assert len(steps) < 20
    assert steps[-1].x.isnan().all()


@pytest.mark.parametrize("flow", FLOWS, ids=IDS)
def test_the_sde_leads_to_the_distribution_of_the_data(flow: Flow) -> None:
    generator = torch.Generator().manual_seed(1)
    noise, predict = start(600), gaussian_network(flow, MEAN, DEVIATION)
    draw = lambda: torch.randn(noise.shape, generator=generator, dtype=noise.dtype)  # noqa: E731
    *_, last = sde(predict, noise, sde_times(150), flow, draw)
    count = 600 * 16
    mean, deviation = last.x.mean(dim=(0, 2, 3)).numpy(), last.x.std(dim=(0, 2, 3)).numpy()
    np.testing.assert_allclose(mean, MEAN.ravel(), atol=5 * DEVIATION / count**0.5 + 0.01)
    np.testing.assert_allclose(deviation, DEVIATION, rtol=0.08)


@pytest.mark.parametrize("flow", FLOWS, ids=IDS)
def test_a_step_of_the_sde_is_the_one_of_the_published_scripts(flow: Flow) -> None:
    """x + (v - w s / 2) dt + sqrt(w |dt|) z by a slow formula; w = 2 t in REPA, 2 sigma in SiT, mean at the end."""
    x, predict = start(2).numpy(), gaussian_network(flow, MEAN, DEVIATION)
    draws = [start(2, seed=seed) for seed in range(5, 9)]
    steps = list(sde(predict, torch.from_numpy(x), sde_times(4), flow, iter(draws).__next__))
    times = [*np.linspace(1, 0.04, 4), 0.0]
    for step, (now, then), z in zip(steps, pairwise(times), draws, strict=True):
        alpha, sigma, alpha_rate, sigma_rate = weights(flow.path, now)
        velocity = gaussian_velocity(x, now, MEAN, DEVIATION, flow.path)
        ratio = alpha / alpha_rate
        score = (ratio * velocity - x) / (sigma**2 - ratio * sigma_rate * sigma)  # get_score_from_velocity of both
        w = 2 * now if flow.time_towards == "noise" else 2 * sigma
        x = x + (velocity - w / 2 * score) * (then - now)
        if then > 0:
            x = x + np.sqrt(w * (now - then)) * z.numpy()
        np.testing.assert_allclose(step.x.numpy(), x, rtol=1e-9, atol=1e-9)
    assert [step.index for step in steps] == [3, 2, 1, 0]


@pytest.mark.parametrize("shift", [1.0, 3.0])
@pytest.mark.parametrize("solver", ["euler", "heun"])
def test_steps_are_those_of_diffusers_for_the_linear_path(solver: str, shift: float) -> None:
    flow, steps = Flow(), 12
    predict = gaussian_network(flow, MEAN, DEVIATION)
    kind = FlowMatchEulerDiscreteScheduler if solver == "euler" else FlowMatchHeunDiscreteScheduler
    scheduler = kind(shift=shift)
    times = ode_times(steps, 1 / shift)
    if solver == "euler":
        scheduler.set_timesteps(sigmas=[1 - i / steps for i in range(steps)])
        np.testing.assert_allclose(scheduler.sigmas.numpy(), times, atol=1e-6)
    else:
        scheduler.set_timesteps(steps)
        times = list(dict.fromkeys(scheduler.sigmas.tolist()))  # each in the middle stands there twice
    x = start(3)
    ours = [step.x for step in (euler if solver == "euler" else heun)(predict, x, times, flow)]
    for i, timestep in enumerate(scheduler.timesteps):
        sigma = scheduler.sigmas[i]
        output = predict(x, sigma.double().expand(3))
        x = scheduler.step(output, timestep, x, return_dict=False)[0].double()
    torch.testing.assert_close(ours[-1], x, rtol=1e-5, atol=1e-5)


def test_the_shift_is_lightningdits_and_its_inverse_that_of_stable_diffusion_3() -> None:
    plain = np.array(ode_times(10))
    towards_data = 1 - plain
    expected = 0.3 * towards_data / (1 + (0.3 - 1) * towards_data)
    np.testing.assert_allclose(1 - np.array(ode_times(10, 0.3)), expected, atol=1e-12)
    np.testing.assert_allclose(ode_times(10, 1 / 3), 3 * plain / (1 + 2 * plain), atol=1e-12)
    for times in (ode_times(10, 0.3), sde_times(10, 0.3), ode_times(1), sde_times(2), ode_times(9, 1e9)):
        assert (times[0], times[-1]) == (1.0, 0.0)
        assert (np.diff(times) < 0).all()


@pytest.mark.parametrize("shift", [0.3, 1.0, 3.0])
def test_the_path_vp_ends_where_its_interval_does_whatever_the_shift(shift: float) -> None:
    end = last_time(Flow("vp"))
    times = ode_times(10, shift, end)
    assert (len(times), times[0], times[-1]) == (11, 1.0, end)
    assert (np.diff(times) < 0).all()
    np.testing.assert_allclose(times[:-1], ode_times(10 * 1000, shift, end)[:-1:1000], atol=1e-12)


@pytest.mark.parametrize("shift", [1e-300, 1e-9, 1e9, 1e300])
@pytest.mark.parametrize("flow", FLOWS, ids=IDS)
def test_no_shift_leads_to_what_is_not_finite(flow: Flow, shift: float) -> None:
    noise, predict = start(2), gaussian_network(flow, MEAN, DEVIATION)
    for steps in (
        sde(predict, noise, sde_times(8, shift, last_time(flow)), flow, lambda: noise),
        heun(predict, noise, ode_times(8, shift, last_time(flow)), flow),
    ):
        *_, last = steps
        assert torch.isfinite(last.x).all()


@pytest.mark.parametrize("flow", FLOWS, ids=IDS)
def test_state_and_velocity_give_back_picture_and_noise(flow: Flow) -> None:
    x_0, noise = start(2, seed=1), start(2, seed=2)
    for time in (last_time(flow), 0.04, 0.5, 1.0, torch.tensor([0.2, 0.9]).double().reshape(2, 1, 1, 1)):
        point = point_at(flow, time)
        x_t, velocity = point.state(x_0, noise), point.velocity(x_0, noise)
        torch.testing.assert_close(point.x_0(x_t, velocity), x_0)
        torch.testing.assert_close(point.noise(x_t, velocity), noise)


@pytest.mark.parametrize("flow", FLOWS, ids=IDS)
def test_the_loss_is_the_squared_error_of_the_velocity(flow: Flow) -> None:
    x_0, noise, times = start(4, seed=1), start(4, seed=2), torch.tensor([last_time(flow), 0.3, 0.7, 1.0]).double()
    seen = []

    def predict(x_t: torch.Tensor, told: torch.Tensor) -> torch.Tensor:
        seen.append((x_t, told))
        return torch.cat([0.1 * x_t, 1e9 * x_t], dim=1)  # the second half, a variance, counts for nothing

    loss = loss_of(flow)(predict, x_0, times, noise)
    (x_t, told), sign = seen[0], 1 if flow.time_towards == "noise" else -1
    assert torch.equal(told, times if sign == 1 else 1 - times)
    for i, time in enumerate(times.tolist()):
        alpha, sigma, alpha_rate, sigma_rate = weights(flow.path, time)
        state = alpha * x_0[i] + sigma * noise[i]
        torch.testing.assert_close(x_t[i], state)
        expected = ((sign * (alpha_rate * x_0[i] + sigma_rate * noise[i]) - 0.1 * state) ** 2).mean()
        torch.testing.assert_close(loss.mse[i], expected)
    assert loss.vb is None


def test_a_perfect_network_has_the_smallest_loss() -> None:
    flow, rows = Flow(), 4000
    x_0 = torch.from_numpy(MEAN) + DEVIATION * start(rows, size=1, seed=1)
    noise, times = start(rows, size=1, seed=2), torch.full((rows,), 0.6).double()
    perfect = gaussian_network(flow, MEAN, DEVIATION)
    best = float(loss_of(flow)(perfect, x_0, times, noise).mse.mean())
    for change in (lambda v, x: v + 0.1, lambda v, x: 1.1 * v, lambda v, x: v + 0.05 * x):
        other = lambda x, t, change=change: change(perfect(x, t), x)  # noqa: E731
        assert float(loss_of(flow)(other, x_0, times, noise).mse.mean()) > best


@pytest.mark.parametrize("process", [DIT_PROCESS, *FLOWS])
def test_a_process_comes_back_from_json(process: Diffusion | Flow) -> None:
    assert process_from_fields(process_fields(process)) == process


@pytest.mark.parametrize(
    "text",
    ["[]", "1", "{}", '{"objective": "score"}', '{"objective": "velocity", "path": "VP"}',
     '{"objective": "velocity", "path": 1}', '{"objective": "noise", "path": "linear"}', '{"objective": []}'],
)  # fmt: skip
def test_what_is_no_process_is_refused(text: str) -> None:
    with pytest.raises(ArgumentError):
        process_from_fields(json.loads(text))
