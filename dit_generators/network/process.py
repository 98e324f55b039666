"""The process that a network is trained for: what its output means, and what it is told as time."""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from ..errors import ArgumentError


@dataclass(frozen=True)
class Diffusion:
    """The network predicts the noise in x_t at the timesteps 0 (clean) to 999 of DiT's diffusion (Ho et al. 2020)."""

    objective: ClassVar[str] = "noise"


@dataclass(frozen=True)
class Flow:
    """The network predicts the velocity dx/dt on a path from pictures at time 0 to noise at time 1.

    x_t = alpha_t x_0 + sigma_t noise; velocity = alpha'_t x_0 + sigma'_t noise (SiT, arXiv 2401.08740, section 2).

    Attributes:
        path: "linear", alpha = 1 - t and sigma = t; "cosine", alpha = cos(pi t / 2) and sigma = sin(pi t / 2), which
            SiT's code calls GVP.
        time_towards: what the network is told: "noise", the t of the paper, as in REPA's code; "data", 1 - t, and its
            output is the velocity towards the data, as in the code of SiT and LightningDiT.

    Raises ArgumentError for any other value.
    """

    objective: ClassVar[str] = "velocity"
    path: Literal["linear", "cosine"] = "linear"
    time_towards: Literal["noise", "data"] = "noise"

    def __post_init__(self) -> None:
        if self.path not in ("linear", "cosine"):
            raise ArgumentError(f"path: expected linear or cosine, got {self.path!r}")
        if self.time_towards not in ("noise", "data"):
            raise ArgumentError(f"time_towards: expected noise or data, got {self.time_towards!r}")


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
    known = {field.name: type(field.default) for field in dataclasses.fields(kind)}
    given = {name: value for name, value in fields.items() if name != "objective"}
    for name, value in given.items():
        if type(value) is not known.get(name):
            raise ArgumentError(f"{name}: no field of a process of {kind.objective}, or not its type, got {value!r}")
    return kind(**given)


def process_from_json(text: str) -> Process:
    """From what a file says; raises ArgumentError for anything that is no process."""
    try:
        return process_from_fields(json.loads(text))
    except (json.JSONDecodeError, RecursionError) as error:
        raise ArgumentError(f"the process is no JSON ({error})") from error
