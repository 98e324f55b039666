"""Where a Hugging Face checkpoint is: a local path, the local cache, or the hub, in that order."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..common.hub import cache_folder, cached_snapshot, fetched_snapshot, hub_file_names
from ..common.text import first_line
from ..errors import WeightsError

_PATTERNS = ("*.json", "model*.safetensors")
_PICKLED = (*_PATTERNS, "pytorch_model*.bin")


@dataclass(frozen=True)
class HubFiles:
    """A complete local checkpoint."""

    folder: Path
    model: str
    config: dict[str, Any]
    weights: tuple[Path, ...]
    has_processor: bool


def find_checkpoint(backbone: str, weights: Path | None, model: str) -> HubFiles:
    """The checkpoint's files, fetched from the hub only when neither a path nor the cache has them.

    Raises WeightsError that names the model, the folder to fill and the option to use.
    """
    if weights is None and Path(model).expanduser().is_dir():
        weights = Path(model).expanduser()
    if weights is not None:
        return _read_folder(_local_folder(backbone, weights), str(weights))
    folder = cached_folder(model) or _fetch(backbone, model)
    return _read_folder(folder, model)


def cached_folder(model: str) -> Path | None:
    """The snapshot in the local Hugging Face cache, None when it is not there or has no weights."""
    folder = cached_snapshot(model)
    return folder if folder and _weight_files(folder) and (folder / "config.json").is_file() else None


def _local_folder(backbone: str, path: Path) -> Path:
    if not path.exists():
        raise WeightsError(f"{path}: no such folder; give the save_pretrained folder of a {backbone} model")
    if path.is_file():
        raise WeightsError(f"{path}: is a file; give the folder that holds it and config.json")
    return path


def _read_folder(folder: Path, model: str) -> HubFiles:
    config = folder / "config.json"
    if not config.is_file():
        raise WeightsError(f"{folder}: has no config.json; give a folder written by save_pretrained")
    weights = _weight_files(folder)
    if not weights:
        raise WeightsError(f"{folder}: has no model.safetensors (or pytorch_model.bin); fetch the weights into it")
    try:
        parsed = json.loads(config.read_text(encoding="utf-8"))
    except (ValueError, OSError, RecursionError) as error:
        raise WeightsError(f"{config}: not readable JSON ({error}); fetch it again") from error
    if not isinstance(parsed, dict):
        raise WeightsError(f"{config}: expected a JSON object, got {type(parsed).__name__}; fetch it again")
    has_processor = any((folder / name).is_file() for name in ("preprocessor_config.json", "processor_config.json"))
    return HubFiles(folder, model, parsed, weights, has_processor)


def _weight_files(folder: Path) -> tuple[Path, ...]:
    for pattern in ("model*.safetensors", "pytorch_model*.bin"):
        if found := sorted(folder.glob(pattern)):
            return tuple(found)
    return ()


def _fetch(backbone: str, model: str) -> Path:
    try:
        names = hub_file_names(model)
        return fetched_snapshot(model, _PATTERNS if any(name.endswith(".safetensors") for name in names) else _PICKLED)
    except Exception as error:  # httpx and requests errors, RepositoryNotFoundError, OfflineModeIsEnabled, OSError
        raise not_reachable(backbone, model, "FOLDER", error) from error


def not_reachable(backbone: str, model: str, wanted: str, error: Exception) -> WeightsError:
    """The error for weights that are neither cached nor to be had."""
    files = "model.safetensors, config.json, preprocessor_config.json" if wanted == "FOLDER" else "its checkpoint"
    return WeightsError(
        f"{backbone}: {model} ({files}) is neither in {cache_folder()} nor on a reachable hub ({first_line(error)}); "
        f"copy it to this machine and give `weights={wanted}`, or use `backbone='mini'`, which needs neither"
    )
