"""Fast ODE solvers of diffusers on the same model: DPM-Solver++ and UniPC, both of second order."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from torch import Tensor

from ..errors import ArgumentError
from ..network.process import DIT_PROCESS, Diffusion
from .samplers import Predict, Step, limited, model_at
from .schedule import Schedule, schedule_of

SOLVERS = ("dpm-solver++", "unipc")
PREDICTION_TYPES = {"noise": "epsilon", "v": "v_prediction", "x_0": "sample"}


def solve(
    predict: Predict,
    x_t: Tensor,
    schedule: Schedule,
    num_steps: int,
    solver: str,
    process: Diffusion = DIT_PROCESS,
) -> Iterator[Step]:
    """Yield the states of `num_steps` steps through `schedule` (the whole of training); deterministic.

    Args:
        solver: "dpm-solver++" (Lu et al., arXiv 2211.01095) or "unipc" (Zhao et al., arXiv 2302.04867).
    """
    scheduler = _scheduler(solver, schedule, process)
    scheduler.set_timesteps(num_steps)
    scheduler.set_begin_index(0)  # not sought among the timesteps
    on_device = scheduler.timesteps.to(x_t.device)
    for i, timestep in enumerate(scheduler.timesteps.tolist()):
        model = model_at(predict, timestep)
        output = model(x_t, on_device[i].expand(len(x_t)))[:, : x_t.shape[1]]
        x_0 = _x_0(output, x_t, float(schedule.alphas_cumprod[timestep]), process)
        x_t = scheduler.step(output, timestep, x_t, return_dict=False)[0]
        yield Step(num_steps - 1 - i, x_t, x_0)


def _x_0(output: Tensor, x_t: Tensor, alpha: float, process: Diffusion) -> Tensor:
    """For previews: what the output stands for, before the solver corrects it."""
    if process.prediction == "noise":
        return (x_t - (1 - alpha) ** 0.5 * output) / alpha**0.5
    return limited(output if process.prediction == "x_0" else alpha**0.5 * x_t - (1 - alpha) ** 0.5 * output, process)


def _scheduler(solver: str, schedule: Schedule, process: Diffusion) -> Any:
    from diffusers import DPMSolverMultistepScheduler, UniPCMultistepScheduler

    if solver not in SOLVERS:
        raise ArgumentError(f"solver {solver!r}: expected {' or '.join(SOLVERS)}")
    if process.clip not in (0, 1) and not process.threshold:
        raise ArgumentError(
            f"sampler: {solver} can clip x_0 only at 1, this model needs {process.clip:g}; use ddpm or ddim"
        )
    plain = replace(process, zero_snr=False)
    kind = DPMSolverMultistepScheduler if solver == "dpm-solver++" else UniPCMultistepScheduler
    return kind(
        num_train_timesteps=len(schedule),
        trained_betas=schedule_of(plain).betas if process.zero_snr else schedule.betas,
        rescale_betas_zero_snr=process.zero_snr,
        prediction_type=PREDICTION_TYPES[process.prediction],
        thresholding=bool(process.clip or process.threshold),
        dynamic_thresholding_ratio=process.threshold or 1.0,
        sample_max_value=process.threshold_max if process.threshold else 1.0,
        timestep_spacing="linspace",
        solver_order=2,
    )
