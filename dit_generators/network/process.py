"""The process that a network is trained for: what its output means, and what it is told as time."""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from ..common.types import check_types
from ..errors import ArgumentError


@dataclass(frozen=True)
class Diffusion:
    """The network sees x_t = sqrt(a_t) x_0 + sqrt(1 - a_t) noise at timesteps 0 (clean) to 999 (Ho et al. 2020).

    The defaults are DiT's; others are what a diffusers folder's scheduler asks for.

    Attributes:
        betas: how 1 - a_t / a_{t-1} goes from `beta_start` to `beta_end`: "linear", "scaled_linear" (linear in the
            square root), or "cosine" (Nichol & Dhariwal, arXiv 2102.09672, eq. 17), which needs neither.
        zero_snr: a is rescaled to end at 0: x_999 holds nothing of x_0 (Lin et al., arXiv 2305.08891, algorithm 1).
        prediction: "noise"; "v", sqrt(a) noise - sqrt(1 - a) x_0 (Salimans & Ho, arXiv 2202.00512); or "x_0".
        clip: the largest |x_0| that a prediction may stand for; 0 is any.
        threshold: quantile of |x_0| of each image that is its largest, from 1 to `threshold_max`, and divides it
            (Saharia et al., arXiv 2205.11487, section 2.3); 0 is none. It comes before `clip`.
        variance: of ancestral steps: "learned" where the network gives one, else beta; "small", that of the posterior;
            "large", beta.

    Raises ArgumentError for a value that cannot be.
    """

    objective: ClassVar[str] = "noise"
    betas: Literal["linear", "scaled_linear", "cosine"] = "linear"
    beta_start: float = 1e-4
    beta_end: float = 0.02
    zero_snr: bool = False
    prediction: Literal["noise", "v", "x_0"] = "noise"
    clip: float = 0.0
    threshold: float = 0.0
    threshold_max: float = 1.0
    variance: Literal["learned", "small", "large"] = "learned"

    def __post_init__(self) -> None:
        check_types(self)
        if not 0 < self.beta_start <= self.beta_end < 1:
            raise ArgumentError(
                f"beta_start, beta_end: expected 0 < start <= end < 1, got {self.beta_start:g} and {self.beta_end:g}"
            )
        if not (0 <= self.clip < math.inf and 0 <= self.threshold <= 1 and 1 <= self.threshold_max < math.inf):
            raise ArgumentError(
                "clip, threshold, threshold_max: expected 0 or more, 0 to 1, 1 or more, "
                f"got {self.clip:g}, {self.threshold:g}, {self.threshold_max:g}"
            )
        if self.zero_snr and self.prediction == "noise":
            raise ArgumentError(
                "zero_snr: x_999 is all noise, so predicted noise does not determine x_0; use another prediction"
            )

    @property
    def trains_as_dit(self) -> bool:
        """Whether it differs from DiT's in sampling at most."""
        free = ("clip", "threshold", "threshold_max", "variance")
        return dataclasses.replace(self, **{name: getattr(DIT_PROCESS, name) for name in free}) == DIT_PROCESS


@dataclass(frozen=True)
class Flow:
    """The network predicts the velocity dx/dt on a path from pictures at time 0 to noise at time 1.

    x_t = alpha_t x_0 + sigma_t noise; velocity = alpha'_t x_0 + sigma'_t noise (SiT, arXiv 2401.08740, section 2).

    Attributes:
        path: "linear", alpha = 1 - t and sigma = t; "cosine", alpha = cos(pi t / 2) and sigma = sin(pi t / 2), which
            SiT's code calls GVP; "vp", that of DDPM in continuous time, alpha^2 = exp(-19.9 t^2 / 2 - 0.1 t) and
            sigma^2 = 1 - alpha^2.
        time_towards: what the network is told: "noise", the t of the paper, as in REPA's code; "data", 1 - t, and its
            output is the velocity towards the data, as in the code of SiT and LightningDiT.

    Raises ArgumentError for any other value.
    """

    objective: ClassVar[str] = "velocity"
    path: Literal["linear", "cosine", "vp"] = "linear"
    time_towards: Literal["noise", "data"] = "noise"

    def __post_init__(self) -> None:
        check_types(self)


Process = Diffusion | Flow
DIT_PROCESS = Diffusion()
_KINDS: dict[str, type[Diffusion] | type[Flow]] = {kind.objective: kind for kind in (Diffusion, Flow)}


def process_fields(process: Process) -> dict[str, Any]:
    """As JSON values, the objective first; `process_from_fields` takes them back."""
    return {"objective": process.objective, **dataclasses.asdict(process)}


def process_from_fields(fields: Any) -> Process:
    """From parsed JSON; raises ArgumentError that names an unknown or wrong field."""
    kind = _KINDS.get(str(fields.get("objective"))) if isinstance(fields, Mapping) else None
    if kind is None:
        raise ArgumentError(f"expected a process with an objective of {' or '.join(_KINDS)}, got {fields!r}")
    given = {name: value for name, value in fields.items() if name != "objective"}
    if unknown := given.keys() - {field.name for field in dataclasses.fields(kind)}:
        raise ArgumentError(f"{min(unknown)}: no field of a process of {kind.objective}")
    return kind(**given)
