"""What a diffusers scheduler says of the diffusion that a network beside it was trained for."""

from collections.abc import Mapping
from typing import Any, Literal

from ..diffusion.schedule import NUM_TRAIN_TIMESTEPS
from ..diffusion.solvers import PREDICTION_TYPES
from ..errors import ArgumentError, CheckpointError
from ..network.process import DIT_PROCESS, Diffusion

_BETAS: dict[Any, Literal["linear", "scaled_linear", "cosine"]] = {
    "linear": "linear",
    "scaled_linear": "scaled_linear",
    "squaredcos_cap_v2": "cosine",
}
_PREDICTIONS = {theirs: own for own, theirs in PREDICTION_TYPES.items()}
_VARIANCES: dict[Any, Literal["learned", "small", "large"]] = {
    "fixed_small": "small",
    "fixed_small_log": "small",
    "fixed_large": "large",
    "learned_range": "learned",
}
_CLIPPING = ("DDPMScheduler", "DDIMScheduler")  # those that have clip_sample, and clip unless told otherwise


def process_of_scheduler(fields: Mapping[str, Any], where: str) -> Diffusion:
    """The diffusion of scheduler_config.json; raises CheckpointError for one that is not known here.

    What a scheduler says of sampling alone, its spacing of timesteps, is left to `--steps`.
    """
    name = str(fields.get("_class_name"))
    if "FlowMatch" in name:
        raise CheckpointError(f"{where}: is a {name}; what diffusers' DiT is told as time in a flow is not known here")
    for field, expected in (("num_train_timesteps", NUM_TRAIN_TIMESTEPS), ("trained_betas", None)):
        if fields.get(field, expected) != expected:
            raise CheckpointError(f"{where}: {field} is {fields[field]!r}, expected {expected!r}")
    thresholds = _flag(fields, "thresholding", False, where)
    clips = _flag(fields, "clip_sample", name in _CLIPPING, where) and not thresholds
    variance = "fixed_small" if name == "DDPMScheduler" else "learned_range"
    try:
        return Diffusion(
            betas=_known(fields, "beta_schedule", "linear", _BETAS, where),
            beta_start=_number(fields, "beta_start", DIT_PROCESS.beta_start, where),
            beta_end=_number(fields, "beta_end", DIT_PROCESS.beta_end, where),
            zero_snr=_flag(fields, "rescale_betas_zero_snr", False, where),
            prediction=_known(fields, "prediction_type", "epsilon", _PREDICTIONS, where),
            clip=_number(fields, "clip_sample_range", 1.0, where) if clips else 0.0,
            threshold=_number(fields, "dynamic_thresholding_ratio", 0.995, where) if thresholds else 0.0,
            threshold_max=_number(fields, "sample_max_value", 1.0, where) if thresholds else 1.0,
            variance=_known(fields, "variance_type", variance, _VARIANCES, where),
        )
    except ArgumentError as error:
        raise CheckpointError(f"{where}: the diffusion is not usable ({error})") from error


def _known(fields: Mapping[str, Any], name: str, default: str, known: Mapping[Any, Any], where: str) -> Any:
    value = default if fields.get(name) is None else fields[name]
    if not isinstance(value, str) or value not in known:
        raise CheckpointError(f"{where}: {name} is {value!r}, expected one of {', '.join(known)}")
    return known[value]


def _number(fields: Mapping[str, Any], name: str, default: float, where: str) -> float:
    value = fields.get(name, default)
    if type(value) not in (int, float):
        raise CheckpointError(f"{where}: {name}: expected a number, got {value!r}")
    return float(value)


def _flag(fields: Mapping[str, Any], name: str, default: bool, where: str) -> bool:
    value = fields.get(name, default)
    if not isinstance(value, bool):
        raise CheckpointError(f"{where}: {name}: expected true or false, got {value!r}")
    return value
