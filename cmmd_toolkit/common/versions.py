"""Versions of this package and of the libraries that its numbers depend on."""

import platform
from importlib import metadata

LIBRARIES = (
    "cmmd-toolkit",
    "numpy",
    "pillow",
    "torch",
    "torchvision",
    "transformers",
    "open_clip_torch",
    "safetensors",
    "scipy",
    "simplejpeg",
)


def library_versions() -> dict[str, str]:
    """Installed versions by distribution name; what is not installed is left out."""
    found = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
