"""What a diffusers scheduler says of the diffusion that a network beside it was trained for."""

from collections.abc import Mapping
from typing import Any, Literal, TypeVar

from ..diffusion.schedule import NUM_TRAIN_TIMESTEPS
from ..diffusion.solvers import PREDICTION_TYPES
from ..errors import CheckpointError
from ..network.process import DIT_PROCESS, Diffusion
from .files import usable

T = TypeVar("T", bool, float)
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
        raise CheckpointError(
            f"{where}: is a {name}, with which diffusers' own DiTPipeline cannot run, so nothing says whether the "
            "network is told a time of 0 to 1 or of 0 to 1000; use the code it came with"
        )
    for field, expected in (("num_train_timesteps", NUM_TRAIN_TIMESTEPS), ("trained_betas", None)):
        if fields.get(field, expected) != expected:
            raise CheckpointError(f"{where}: {field} is {fields[field]!r}, expected {expected!r}")
    thresholds = _value(fields, "thresholding", False, where)
    clips = _value(fields, "clip_sample", name in _CLIPPING, where) and not thresholds
    variance = "fixed_small" if name == "DDPMScheduler" else "learned_range"
    with usable(where, "diffusion"):
        return Diffusion(
            betas=_known(fields, "beta_schedule", "linear", _BETAS, where),
            beta_start=_value(fields, "beta_start", DIT_PROCESS.beta_start, where),
            beta_end=_value(fields, "beta_end", DIT_PROCESS.beta_end, where),
            zero_snr=_value(fields, "rescale_betas_zero_snr", False, where),
            prediction=_known(fields, "prediction_type", "epsilon", _PREDICTIONS, where),
            clip=_value(fields, "clip_sample_range", 1.0, where) if clips else 0.0,
            threshold=_value(fields, "dynamic_thresholding_ratio", 0.995, where) if thresholds else 0.0,
            threshold_max=_value(fields, "sample_max_value", 1.0, where) if thresholds else 1.0,
            variance=_known(fields, "variance_type", variance, _VARIANCES, where),
        )


def _known(fields: Mapping[str, Any], name: str, default: str, known: Mapping[Any, Any], where: str) -> Any:
    value = default if fields.get(name) is None else fields[name]
    if not isinstance(value, str) or value not in known:
        raise CheckpointError(f"{where}: {name} is {value!r}, expected one of {', '.join(known)}")
    return known[value]


def _value(fields: Mapping[str, Any], name: str, default: T, where: str) -> T:
    """A number or a flag, as its default is."""
    value = fields.get(name, default)
    if isinstance(default, bool) != isinstance(value, bool) or not isinstance(value, int | float):
        expected = "true or false" if isinstance(default, bool) else "a number"
        raise CheckpointError(f"{where}: {name}: expected {expected}, got {value!r}")
    return type(default)(value)
