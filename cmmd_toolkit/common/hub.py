"""Published models: in the local Hugging Face cache, or on the hub, which is asked so that offline fails at once."""

from collections.abc import Sequence
from pathlib import Path

_CONNECT_SECONDS = 5.0


def cached_snapshot(model: str, patterns: Sequence[str] | None = None) -> Path | None:
    """The model's folder in the local cache, None when it is not there; it may lack files."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(model, allow_patterns=_as_list(patterns), local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError):
        return None


def fetched_snapshot(model: str, patterns: Sequence[str]) -> Path:
    """The model's folder, fetched. Raises whatever the hub and the network raise."""
    from huggingface_hub import snapshot_download

    return Path(snapshot_download(model, allow_patterns=_as_list(patterns)))


def hub_file_names(model: str) -> set[str]:
    """The files of a published model, by one request with a short time-out."""
    from huggingface_hub import HfApi

    return {file.rfilename for file in HfApi().model_info(model, timeout=_CONNECT_SECONDS).siblings or ()}


def cache_folder() -> str:
    """Where the local cache is."""
    from huggingface_hub.constants import HF_HUB_CACHE

    return str(HF_HUB_CACHE)


def _as_list(patterns: Sequence[str] | None) -> list[str] | None:
    return None if patterns is None else list(patterns)
