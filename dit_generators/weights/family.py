"""Whose code trained a file of official names, and so what its output means: SiT, REPA and LightningDiT beside DiT.

These share names and shapes with DiT: only arguments, metadata, a name or weights of their own tell them apart.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from ..errors import ArgumentError, CheckpointError, UnsaidError
from ..network.config import DiTConfig
from ..network.process import DIT_PROCESS, Flow, Process
from .foreign import MODEL_FIELDS, walk

Family = Literal["dit", "sit", "repa", "lightningdit"]
_FAMILIES: dict[str, Family] = {family: family for family in get_args(Family)}
_WEIGHTS: dict[Family, str] = {
    "repa": r"projectors\.\d",
    "lightningdit": r"(?:blocks\.\d+\.mlp\.w12|blocks\.\d+\.norm1\.weight|feat_rope)\b",
}
_NAMES = r"(SiT|REPA|LightningDiT)"
_MODEL_NAME = re.compile(rf"(?<![a-z]){_NAMES}(?![a-z])", re.IGNORECASE)
_DIT_NAME = re.compile(r"(?<![a-z])DiT(?![a-z])", re.IGNORECASE)
_FILE_NAME = re.compile(rf"(?:^|[-_.]){_NAMES}[-_](?:S|B|L|XL)[-_/]?\d", re.IGNORECASE)
_OF_REPA = ("proj_coeff", "enc_type", "projector_embed_dims")
_OF_FLOWS = ("transport", "path_type", "loss_weight", "train_eps", "sample_eps")
_PATHS: dict[str, Literal["linear", "cosine", "vp"]] = {
    "linear": "linear",
    "Linear": "linear",
    "cosine": "cosine",
    "GVP": "cosine",
    "VP": "vp",
}
_VELOCITY = ("velocity", "v")
_TIME_TOWARDS: dict[Family, Literal["noise", "data"] | None] = {
    "dit": None,
    "sit": "data",
    "repa": "noise",
    "lightningdit": "data",
}


@dataclass(frozen=True)
class Told:
    """What the arguments beside weights, or the metadata of a file, say of the model."""

    family: Family | None = None
    path: str | None = None
    prediction: str | None = None
    named: str | None = None  # an argument that only flows have
    is_dit: bool = False  # by the name of its model
    heads: Mapping[int, int] = field(default_factory=dict)  # by width, where a published model is named
    classes: int | None = None

    @classmethod
    def by(cls, arguments: Iterable[Any]) -> "Told":
        """By dicts and Namespaces, however nested."""
        fields = list(walk(arguments))
        first: dict[str, Any] = {}
        for name, value in fields:
            first.setdefault(name, value)
        names = [value for name, value in fields if name in MODEL_FIELDS and isinstance(value, str)]
        found = next((match[1].lower() for name in names if (match := _MODEL_NAME.search(name))), None)
        if found in (None, "sit") and any(name in first for name in _OF_REPA):
            found = "repa"
        return cls(
            family=_FAMILIES.get(found or ""),
            path=_text(first.get("path_type")),
            prediction=_text(first.get("prediction")),
            named=next((name for name in _OF_FLOWS if name in first), None),
            is_dit=found is None and any(_DIT_NAME.search(name) for name in names),
            heads=next(filter(None, (_heads(value) for name, value in fields if name == "model")), {}),
            classes=next((value for name, value in fields if name == "num_classes" and type(value) is int), None),
        )


def check_family_name(family: str | None) -> None:
    """Raise ArgumentError for a family that is none of these."""
    if family is not None and family not in _FAMILIES:
        raise ArgumentError(f"family: expected {', '.join(_FAMILIES)}, got {family!r}")


def family_of(family: Family | None, told: Told, state: Mapping[str, Any], where: str) -> Family:
    """The family that is given, else that of the weights, the arguments or the name of the file or its folders; dit.

    Raises CheckpointError where what is given contradicts the file, and where only the user can know.
    """
    found = {each: "its weights" for each, pattern in _WEIGHTS.items() if any(re.match(pattern, n) for n in state)}
    if told.family is not None:
        found.setdefault(told.family, "its arguments")
    if "repa" in found and told.is_dit and told.named is None:
        found["dit"] = "its arguments"
    if family is not None:
        if found and family not in found:
            raise CheckpointError(
                f"{where}: is of the family {' or '.join(found)}, not {family}; leave out `family={family}`"
            )
        return family
    if len({_TIME_TOWARDS[each] for each in found}) > 1:
        reasons = ", ".join(f"`family={each}` by {reason}" for each, reason in found.items())
        raise UnsaidError(f"{where}: the family is ambiguous ({reasons}); give one")
    if not found and told.named is not None:
        raise UnsaidError(
            f"{where}: its arguments include {told.named}, so it predicts a velocity, but not which code trained it; "
            "give `family=sit` (time 1 is the picture) or `family=repa` (time 1 is the noise)"
        )
    return next(iter(found), None) or _by_name(where) or "dit"


def process_of(family: Family, told: Told, where: str) -> Process:
    """What weights of a family were trained for; raises CheckpointError for what this package does not sample."""
    if family == "dit":
        return DIT_PROCESS
    if told.prediction is not None and told.prediction not in _VELOCITY:
        raise CheckpointError(
            f"{where}: its arguments say that it predicts {told.prediction}; flows are supported only with a velocity"
        )
    path = _PATHS.get(told.path or "linear")
    if path is None:
        raise CheckpointError(
            f"{where}: its arguments say path_type {told.path}; linear, cosine (GVP) and VP are supported"
        )
    return Flow(path=path, time_towards=_TIME_TOWARDS[family] or "data")


def _by_name(where: str) -> Family | None:
    """By the name of the file and of the two folders above it, which training scripts name after the model."""
    matches = (_FILE_NAME.search(part) for part in reversed(Path(where).absolute().parts[-3:]))
    found = next((match[1].lower() for match in matches if match), "")
    return _FAMILIES.get(found)


def _heads(model: Any) -> dict[int, int]:
    """The number of heads of a published model by its width."""
    try:
        preset = DiTConfig.preset(str(model).removeprefix("SiT-"))
    except ArgumentError:
        return {}
    return {preset.hidden_size: preset.num_heads}


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
