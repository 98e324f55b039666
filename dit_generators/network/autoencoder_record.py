"""Which autoencoder a model's latents belong to: written by training, verified by whatever decodes them."""

import dataclasses
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import CheckpointError

Factor = float | tuple[float, ...]  # one number, or one for each channel


@dataclass(frozen=True)
class AutoencoderRecord:
    """An autoencoder's path or id, the hash of its weights, and the factors between its latents and the model's."""

    source: str
    weights_sha256: str
    scale: Factor
    shift: Factor

    @classmethod
    def of(cls, autoencoder: Any) -> "AutoencoderRecord":
        """The record of an `Autoencoder`; a folder's path is kept whole, to be found from elsewhere."""
        folder = Path(autoencoder.source).expanduser()
        source = str(folder.absolute()) if folder.exists() else autoencoder.source
        return cls(source, autoencoder.weights_sha256, autoencoder.scale, autoencoder.shift)

    @classmethod
    def from_dict(cls, fields: Any, where: str) -> "AutoencoderRecord":
        """From parsed JSON; raises CheckpointError for anything else."""
        names = [field.name for field in dataclasses.fields(cls)]
        if not isinstance(fields, dict) or sorted(fields) != sorted(names):
            raise CheckpointError(
                f"{where}: expected {', '.join(names)} in the record of its autoencoder, got {fields!r}"
            )
        texts, factors = (fields["source"], fields["weights_sha256"]), (fields["scale"], fields["shift"])
        if not all(isinstance(text, str) for text in texts) or not all(map(_is_factor, factors)):
            raise CheckpointError(f"{where}: the record of its autoencoder is not usable ({fields!r})")
        return cls(*texts, *(tuple(map(float, f)) if isinstance(f, list) else float(f) for f in factors))

    def to_json(self) -> str:
        """One line of JSON; `from_dict` takes it back once parsed."""
        return json.dumps(dataclasses.asdict(self))

    def check(self, autoencoder: Any) -> None:
        """Raise CheckpointError when an `Autoencoder` is another than the one that the model was trained with."""
        for name in ("weights_sha256", "scale", "shift"):
            before, now = getattr(self, name), getattr(autoencoder, name)
            if before == now:
                continue
            told = "other weights than" if isinstance(now, str) else f"{name} {_text(now)}, not {_text(before)} as"
            statistics = ", its mean and std by `latent_stats`" if isinstance(before, tuple) else ""
            raise CheckpointError(
                f"autoencoder {autoencoder.source}: has {told} {self.source}, with which the model was trained; "
                f"give that one by `autoencoder=PATH`{statistics}"
            )


def _is_factor(value: object) -> bool:
    return all(map(_is_finite, value)) and value != [] if isinstance(value, list) else _is_finite(value)


def _text(factor: Factor) -> str:
    return f"{factor:g}" if isinstance(factor, float | int) else f"{factor[0]:g}, ... for {len(factor)} channels"


def _is_finite(value: object) -> bool:
    return type(value) in (int, float) and abs(value) < math.inf  # type: ignore[arg-type]
