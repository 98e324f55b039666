"""Whatever a user gives for a set of pictures, as a source."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ...common.arrays import is_array
from ...common.files import check_exists, check_regular, path_of
from ...errors import ArgumentError, InputError
from ..decode import MAX_PIXELS, DecodePolicy
from .arrays import array_source, batch_source
from .folders import folder_source
from .iterables import iterable_source
from .names import SUFFIXES
from .source import ImageSource, Opening
from .zips import part_of_zip, zip_source


def open_images(
    source: Any, *, recursive: bool = True, policy: DecodePolicy = "upright", max_pixels: int = MAX_PIXELS
) -> ImageSource:
    """Open any supported source of pictures.

    Args:
        source: a folder, .zip (or `archive.zip:inner/folder`), .npy or .npz path; a uint8 array or tensor
            (N, 3, H, W) or (N, H, W, 3);
            or an iterable of Pillow images, paths and uint8 arrays.
        recursive: also look into the folder's subfolders.
        policy: how awkward pictures are converted, see `cmmd_toolkit.pictures.decode`.
        max_pixels: a picture with more is refused from its header, as a PictureError when it is loaded.

    Raises:
        InputError: nothing is there, no picture is in it, or the archive is unsafe.
        ArgumentError: an object of another kind.
    """
    how = Opening(recursive, policy, max_pixels)
    if isinstance(source, ImageSource):
        return source
    if isinstance(source, (str, os.PathLike)):
        return _open_path(path_of(source), how)
    if is_array(source):
        return array_source(source, how)
    if isinstance(source, Iterable) and not isinstance(source, (Mapping, bytes)):
        return iterable_source(source, how)
    raise ArgumentError(
        "expected pictures (a folder, zip, .npy, .npz, uint8 array or iterable of them), or where a distance is wanted "
        f"features (N, D), got {type(source).__name__}"
    )


def _open_path(path: Path, how: Opening) -> ImageSource:
    if inside := part_of_zip(path):
        return zip_source(*inside, how)
    check_exists(path)
    if path.is_dir():
        return folder_source(path, how)
    check_regular(path)
    suffix = path.suffix.lower()
    if suffix == ".zip":
        return zip_source(path, "", how)
    if suffix in (".npy", ".npz"):
        return batch_source(path, how)
    if suffix == ".safetensors":
        raise InputError(f"{path}: holds features or statistics, and pictures are needed; give the pictures themselves")
    if suffix == ".json":
        raise InputError(f"{path}: is no set of pictures; a report goes to `cmmd plan` alone, without other sets")
    if suffix in SUFFIXES:
        raise InputError(f"{path}: is a single picture; give the folder or zip that holds the whole set")
    raise InputError(f"{path}: expected a folder, .zip, .npy, .npz or .safetensors, got {_described(path)}")


def _described(path: Path) -> str:
    return f"a {path.suffix} file" if path.suffix else "a file without a suffix"
