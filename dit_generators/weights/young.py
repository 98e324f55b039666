"""How much of the average that a training run samples is still what it started from."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..common.files import read_json

_MOST = 0.05  # share of the start that says nothing


def young_share(step: int, settings: Mapping[str, Any]) -> str | None:
    """What part of the average its start is after a step of a run with these settings; None where it is old enough.

    An average that warms up, or starts from a checkpoint, is old enough from the first step.
    """
    share = settings.get("ema_decay", 0.0) ** step
    if settings.get("ema_warmup") or settings.get("initial_weights_sha256") or share < _MOST:
        return None
    return f"{100 * share:.3g} % of the average are the random weights it started from"


def young_average(
    step: int, settings: Mapping[str, Any], instead: str = "`ema_warmup`, a smaller `ema_decay` or more steps"
) -> str | None:
    """The same, with what follows from it and what to do."""
    if (share := young_share(step, settings)) is None:
        return None
    return (
        f"after {step} steps {share} (decay {settings['ema_decay']:g}), so its samples and scores show little of what "
        f"is learned; take {instead}"
    )


def young_checkpoint(file: Path, **instead: str) -> str | None:
    """The same of a file of weights, by checkpoint.json beside it; None for any other file."""
    record: Any = read_json(file.with_name("checkpoint.json")) if file.name == "ema.safetensors" else None
    try:
        return young_average(int(record["step"]), record["settings"], **instead)
    except (TypeError, KeyError, ValueError, AttributeError):  # no checkpoint of a run, or one that does not tell
        return None
