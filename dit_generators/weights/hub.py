"""Where weights are: in this package, in the local Hugging Face cache, or on the hub, in that order."""

import re
from collections.abc import Sequence
from pathlib import Path

from cmmd_toolkit.common.hub import cache_folder, cached_snapshot, fetched_snapshot, hub_file_names
from cmmd_toolkit.common.text import first_line

from ..errors import CheckpointError

_BUNDLED = Path(__file__).parents[1] / "checkpoints"
_ID = re.compile(r"[\w.-]+/[\w.-]+")


def bundled_names() -> list[str]:
    """Names of the checkpoints in this package."""
    return sorted(path.stem for path in _BUNDLED.glob("*.safetensors"))


def bundled_file(name: str) -> Path | None:
    """The file of a bundled checkpoint."""
    return _BUNDLED / f"{name}.safetensors" if name in bundled_names() else None


def is_hub_id(text: str) -> bool:
    """Whether it has the form OWNER/NAME."""
    return _ID.fullmatch(text) is not None


def find_on_hub(model: str, patterns: Sequence[str]) -> Path:
    """The local folder of a published model, fetched only when the cache has it not.

    Raises CheckpointError that says where it was looked for and what to do.
    """
    if not is_hub_id(model):
        known = ", ".join(bundled_names()) or "none in this version"
        raise CheckpointError(
            f"{model}: no such file or folder; give a path, OWNER/NAME on the hub, or a bundled checkpoint ({known})"
        )
    folder = cached_snapshot(model, patterns)
    if folder and (any(folder.rglob("*.safetensors")) or any(folder.rglob("*.bin"))):
        return folder
    try:
        hub_file_names(model)
        return fetched_snapshot(model, patterns)
    except Exception as error:  # httpx errors, RepositoryNotFoundError, OfflineModeIsEnabled, OSError
        raise CheckpointError(
            f"{model} is not a path here, not in {cache_folder()}, and the hub could not be reached "
            f"({first_line(error)}); copy its folder to this machine and give the path"
        ) from error
