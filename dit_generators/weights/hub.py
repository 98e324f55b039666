"""Where weights are: in this package, in the local Hugging Face cache, or on the hub, in that order."""

import re
from collections.abc import Sequence
from pathlib import Path

from ..errors import CheckpointError

_BUNDLED = Path(__file__).parents[1] / "checkpoints"
_ID = re.compile(r"[\w.-]+/[\w.-]+")
_CONNECT_SECONDS = 5.0


def bundled_names() -> list[str]:
    """Names of the checkpoints in this package."""
    return sorted(path.stem for path in _BUNDLED.glob("*.safetensors"))


def bundled_file(name: str) -> Path | None:
    """The file of a bundled checkpoint."""
    return _BUNDLED / f"{name}.safetensors" if name in bundled_names() else None


def find_on_hub(model: str, patterns: Sequence[str]) -> Path:
    """The local folder of a published model, fetched only when the cache has it not.

    Raises CheckpointError that says where it was looked for and what to do.
    """
    if not _ID.fullmatch(model):
        known = ", ".join(bundled_names()) or "none in this version"
        raise CheckpointError(
            f"{model}: no such file or folder; give a path, OWNER/NAME on the hub, or a bundled checkpoint ({known})"
        )
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.constants import HF_HUB_CACHE
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        folder = Path(snapshot_download(model, allow_patterns=list(patterns), local_files_only=True))
        if any(folder.rglob("*.safetensors")) or any(folder.rglob("*.bin")):
            return folder
    except LocalEntryNotFoundError:
        pass
    try:
        HfApi().model_info(model, timeout=_CONNECT_SECONDS)  # offline fails here at once
        return Path(snapshot_download(model, allow_patterns=list(patterns)))
    except Exception as error:  # httpx errors, RepositoryNotFoundError, OfflineModeIsEnabled, OSError
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise CheckpointError(
            f"{model} is not a path here, not in {HF_HUB_CACHE}, and no hub was reached ({reason}); "
            "copy its folder to this machine and give the path"
        ) from error
