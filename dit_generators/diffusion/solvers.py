"""Fast ODE solvers of diffusers on the same model: DPM-Solver++ and UniPC, both of second order."""

from collections.abc import Iterator
from typing import Any

from torch import Tensor

from ..errors import ArgumentError
from .samplers import Predict, Step, model_at
from .schedule import Schedule

SOLVERS = ("dpm-solver++", "unipc")


def solve(predict: Predict, x_t: Tensor, schedule: Schedule, num_steps: int, solver: str) -> Iterator[Step]:
    """Yield the states of `num_steps` steps through `schedule` (the whole of training); deterministic.

    Args:
        solver: "dpm-solver++" (Lu et al., arXiv 2211.01095) or "unipc" (Zhao et al., arXiv 2302.04867).
    """
    scheduler = _scheduler(solver, schedule)
    scheduler.set_timesteps(num_steps)
    scheduler.set_begin_index(0)  # not sought among the timesteps
    on_device = scheduler.timesteps.to(x_t.device)
    for i, timestep in enumerate(scheduler.timesteps.tolist()):
        model = model_at(predict, timestep)
        epsilon = model(x_t, on_device[i].expand(len(x_t)))[:, : x_t.shape[1]]
        alpha = float(schedule.alphas_cumprod[timestep])
        x_0 = (x_t - (1 - alpha) ** 0.5 * epsilon) / alpha**0.5
        x_t = scheduler.step(epsilon, timestep, x_t, return_dict=False)[0]
        yield Step(num_steps - 1 - i, x_t, x_0)


def _scheduler(solver: str, schedule: Schedule) -> Any:
    from diffusers import DPMSolverMultistepScheduler, UniPCMultistepScheduler

    if solver not in SOLVERS:
        raise ArgumentError(f"solver {solver!r}: expected {' or '.join(SOLVERS)}")
    kind = DPMSolverMultistepScheduler if solver == "dpm-solver++" else UniPCMultistepScheduler
    return kind(
        num_train_timesteps=len(schedule), trained_betas=schedule.betas, timestep_spacing="linspace", solver_order=2
    )
