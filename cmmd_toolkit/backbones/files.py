"""The files that a network would be loaded from, found without importing torch."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

from .hub_files import cached_folder

BUNDLED = Path(__file__).with_name("mini.safetensors")
INCEPTION_NAME = "pt_inception-2015-12-05-6726825d.pth"
_READ = ("*.json", "*.safetensors", "*.bin")  # of a checkpoint's folder


def checkpoint_files(module: str, weights: Path | None, model: str) -> tuple[Path, ...]:
    """Every file that decides a network of a registry `module`; none where that takes a library, or a download."""
    find = _FINDERS.get(module)
    found = find(weights, model) if find else ()
    return found if all(path.is_file() for path in found) else ()


def torch_hub() -> Path:
    """As `torch.hub.get_dir()`."""
    if "torch" in sys.modules:
        import torch

        return Path(torch.hub.get_dir())
    cache = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache"), "torch")
    return Path(os.environ.get("TORCH_HOME", cache)).expanduser() / "hub"


def _of_mini(weights: Path | None, _model: str) -> tuple[Path, ...]:
    return (weights or BUNDLED,)


def _of_inception(weights: Path | None, _model: str) -> tuple[Path, ...]:
    if weights is None:
        return (torch_hub() / "checkpoints" / INCEPTION_NAME,)
    return (weights / INCEPTION_NAME if weights.is_dir() else weights,)


def _of_hub(weights: Path | None, model: str) -> tuple[Path, ...]:
    local = Path(model).expanduser()
    folder = weights or (local if local.is_dir() else cached_folder(model))
    return tuple(sorted(path for pattern in _READ for path in folder.glob(pattern))) if folder else ()


_FINDERS: dict[str, Callable[[Path | None, str], tuple[Path, ...]]] = {
    "mini": _of_mini,
    "inception": _of_inception,
    "hub": _of_hub,
}
