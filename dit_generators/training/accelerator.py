"""Accelerate's part in a run: the device, the processes and the precision; what it was asked for and cannot do here."""

import os
from typing import Any

from ..common.processes import Processes
from ..errors import ArgumentError, ProcessError
from .options import TrainOptions

# A checkpoint holds the whole model, and every process has one: these would split it.
_SPLITTING = {
    "ACCELERATE_USE_FSDP": "FSDP",
    "ACCELERATE_USE_DEEPSPEED": "DeepSpeed",
    "ACCELERATE_USE_MEGATRON_LM": "Megatron-LM",
    "ACCELERATE_USE_PARALLELISM_CONFIG": "a parallelism configuration",
}
# These would change a run without a word in its folder: variable, what leaves it alone, the option here.
_HIDDEN = (
    ("ACCELERATE_GRADIENT_ACCUMULATION_STEPS", ("", "1", "auto"), "accumulate"),
    ("ACCELERATE_DYNAMO_BACKEND", ("", "no"), "compiled"),
)


def make_accelerator(options: TrainOptions) -> Any:
    """The Accelerator of a run; raises ArgumentError for what the launcher or the options ask for in vain."""
    import torch
    from accelerate import Accelerator

    _check_launcher()
    # accelerate joins processes on CPUs only where it is told that it runs on one
    on_cpu = options.device == "cpu" or not torch.accelerator.is_available()
    if options.precision == "fp16" and on_cpu:
        raise ArgumentError('`precision="fp16"`: runs on GPUs only, and this is a CPU; take bf16 or fp32')
    precision = "no" if options.precision == "fp32" else options.precision
    try:
        accelerator = Accelerator(cpu=on_cpu, mixed_precision=precision)
    except ValueError as error:
        raise ArgumentError(
            f'`precision="{options.precision}"`, `device="{options.device}"`: accelerate keeps the first precision and '
            "device of a process; start a new process"
        ) from error
    _check_joined(accelerator)
    return accelerator


def _check_joined(accelerator: Any) -> None:
    """Raise ArgumentError where processes were started together and accelerate leaves each alone."""
    started = os.environ.get("WORLD_SIZE", "") if "LOCAL_RANK" in os.environ else ""
    if started.isdecimal() and int(started) > accelerator.num_processes:
        raise ArgumentError(
            f"WORLD_SIZE={started}: that many processes were started, but accelerate does not join them on "
            f'{accelerator.device.type}; start one, or give `device="cpu"`'
        )


def processes_of(accelerator: Any) -> Processes:
    """Those that train together."""
    return Processes(accelerator.process_index, accelerator.num_processes, None, ProcessError)


def _check_launcher() -> None:
    """Raise ArgumentError for settings of `accelerate launch` that are not supported, or that have an option here."""
    for variable, name in _SPLITTING.items():
        if os.environ.get(variable, "").lower() in ("1", "true", "yes", "on", "y", "t"):
            raise ArgumentError(
                f"{variable}: {name} splits the model over processes, which is not supported: a checkpoint here "
                "holds a whole model; start with `torchrun`, or choose plain "
                "processes on several GPUs in `accelerate config`"
            )
    for variable, harmless, option in _HIDDEN:
        value = os.environ.get(variable, "")
        if value.lower() not in harmless:
            raise ArgumentError(f"{variable}={value}: is set by the launcher; leave it out and give `{option}` instead")
