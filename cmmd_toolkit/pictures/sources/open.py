"""Whatever a user gives for a set of pictures, as a source."""

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ...common.arrays import is_array
from ...common.files import check_exists, path_of
from ...common.urls import base_name, is_url, shown_url
from ...errors import ArgumentError, InputError
from ..decode import MAX_PIXELS, DecodePolicy
from .arrays import array_source
from .batches import batch_source
from .datasets import dataset_source, is_dataset
from .folders import folder_source
from .iterables import iterable_source
from .lists import list_source
from .names import SUFFIXES
from .parquet import column_of_parquet, parquet_source
from .place import LocalFile, Place
from .remote import open_remote
from .remote_folders import remote_folder_source
from .several import expand
from .source import ImageSource, Opening
from .tars import TAR_SUFFIXES, tar_source
from .zips import part_of_zip, zip_source

_LOCAL = "file://"
_OF_MANY = (*TAR_SUFFIXES, ".parquet")  # several of these are one set
FILE_SUFFIXES = (".zip", ".npy", ".npz", ".txt", *_OF_MANY)
_KNOWN = (*FILE_SUFFIXES, ".safetensors", ".json", *SUFFIXES)
_EXPECTED = "a folder, .zip, .tar, .tar.gz, .parquet, .npy, .npz, .txt with a list of paths, or .safetensors"


def open_images(
    source: Any, *, recursive: bool = True, policy: DecodePolicy = "upright", max_pixels: int = MAX_PIXELS
) -> ImageSource:
    """Open any supported source of pictures; docs/inputs.md says what is read when.

    Args:
        source: a folder, .zip (or `archive.zip:inner/folder`), .tar or .tar.gz (or several, `train-{000..099}.tar`),
            .parquet (or `file.parquet:column`) or a folder of them, .npy or .npz, or a .txt with a path a line, by path
            or by an address that fsspec knows (`s3://...`); a uint8 array or tensor (N, 3, H, W) or (N, H, W, 3); a
            `Dataset` or `IterableDataset` of the library `datasets`; or an iterable of Pillow images, paths and uint8
            arrays.
        recursive: also look into the folder's subfolders.
        policy: how awkward pictures are converted, see `cmmd_toolkit.pictures.decode`.
        max_pixels: a picture with more is refused from its header, as a PictureError when it is loaded.

    Raises:
        InputError: nothing is there, no picture is in it, the archive is unsafe or damaged, or a package is missing.
        ArgumentError: an object of another kind.
    """
    how = Opening(recursive, policy, max_pixels)
    if isinstance(source, ImageSource):
        return source
    if isinstance(source, (str, os.PathLike)):
        return _open_name(source, how)
    if is_dataset(source):
        return dataset_source(source, how)
    if is_array(source):
        return array_source(source, how)
    if isinstance(source, Iterable) and not isinstance(source, (Mapping, bytes)):
        return iterable_source(source, how)
    raise ArgumentError(
        "expected pictures (a folder, zip, tar, .parquet, .npy, .npz, list of paths, data set, uint8 array or iterable "
        f"of them), or, for a distance, features (N, D), got {type(source).__name__}"
    )


def suffix_of(name: str | os.PathLike[str]) -> str:
    """What says the kind of a file, such as .tar.gz, in small letters; "" for a folder's name."""
    last = base_name(name).lower()
    return next((suffix for suffix in _KNOWN if last.endswith(suffix)), "")


def _open_name(name: str | os.PathLike[str], how: Opening) -> ImageSource:
    if is_url(name) and str(name).lower().startswith(_LOCAL):
        name = str(name)[len(_LOCAL) :]
    text = str(name) if is_url(name) else str(path_of(name))
    if part := part_of_zip(text):
        return zip_source(_place(part[0]), part[1], how)
    if chosen := column_of_parquet(text):
        return _open_column(*chosen, how)
    if is_url(text):
        return _open_files(expand(text), text, how) if suffix_of(text) else remote_folder_source(open_remote(text), how)
    if "{" in text and not os.path.exists(text):  # noqa: PTH110 (pathlib raises at too long a name)
        return _open_files(expand(text), text, how)
    check_exists(Path(text))
    return folder_source(Path(text), how) if Path(text).is_dir() else _open_files([text], text, how)


def _open_files(names: Sequence[str], text: str, how: Opening) -> ImageSource:
    """One file, or several that a pattern stands for."""
    suffix, shown = suffix_of(text), shown_url(text) if is_url(text) else text
    if len(names) > 1 and suffix not in _OF_MANY:
        raise InputError(f"{shown}: several files are one set only as {', '.join(_OF_MANY)}; pack them as one of these")
    places = [_place(name) for name in names]
    if suffix not in FILE_SUFFIXES:
        raise InputError(f"{shown}: {_refusal(Path(shown), suffix)}")
    if suffix in TAR_SUFFIXES:
        return tar_source(places, shown, how)
    if suffix == ".parquet":
        return parquet_source(places, shown, how)
    if suffix in (".npy", ".npz"):
        return batch_source(places[0], suffix, how)
    return zip_source(places[0], "", how) if suffix == ".zip" else list_source(places[0], how)


def _open_column(files: str, column: str, how: Opening) -> ImageSource:
    shown = shown_url(files) if is_url(files) else files
    names = [files] if os.path.exists(files) else expand(files)  # noqa: PTH110 (see above)
    return parquet_source([_place(name) for name in names], f"{shown}:{column}", how, column)


def _place(name: str) -> Place:
    return open_remote(name) if is_url(name) else LocalFile.at(Path(name))


def _refusal(path: Path, suffix: str) -> str:
    if suffix == ".safetensors":
        return "holds features or statistics, and pictures are needed; give the pictures themselves"
    if suffix == ".json":
        return "is not a set of pictures; a report goes to `cmmd plan` alone, without other sets"
    if suffix in SUFFIXES:
        return "is a single picture; give the folder or zip that holds the whole set"
    return f"expected {_EXPECTED}, got {f'a {path.suffix} file' if path.suffix else 'a file without a suffix'}"
