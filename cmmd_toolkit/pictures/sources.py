"""Image sources: where pictures come from, in which order, and how each one is read.

A source is a folder, a zip (read in place), an .npy or .npz batch, an array or tensor, or any
iterable of pictures. It yields `(name, load)` pairs; `load()` reads and decodes that picture and may run
in another thread. The order is that of the names, compared as plain strings with "/" between
folders, whatever the file system returns.
"""

import errno
import os
import re
import stat
import zipfile
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..common.arrays import as_array, is_array, is_tensor, shape_of
from ..common.files import check_exists, check_regular, path_of, read_regular
from ..common.numpy_files import check_numpy_file, explain_numpy_error, read_member, read_npy
from ..errors import ArgumentError, InputError, PictureError
from .decode import MAX_PIXELS, DecodePolicy, Picture, check_pixels, convert_opened, decode
from .load import Load, of_pixels

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif")


@dataclass(frozen=True)
class ImageSource:
    """A named, ordered collection of pictures; `items` has no length when it streams.

    `problems` are names and reasons of what could not be looked into, or only looks like a picture: unusable, too.
    """

    name: str
    items: Sequence[tuple[str, Load]] | Iterable[tuple[str, Load]]
    policy: DecodePolicy = "upright"
    remarks: tuple[str, ...] = ()
    problems: tuple[tuple[str, str], ...] = ()

    @property
    def size(self) -> int | None:
        """The number of pictures, None when it is known only at the end of the stream."""
        return len(self.items) if isinstance(self.items, Sequence) else None

    def __iter__(self) -> Iterator[tuple[str, Load]]:
        return iter(self.items)

    def subset(self, max_images: int | None, seed: int) -> "ImageSource":
        """At most `max_images` pictures, drawn without replacement by `seed`, in the source's order."""
        if max_images is None:
            return self
        items = self.items if isinstance(self.items, Sequence) else list(self.items)
        rows = subset_rows(len(items), max_images, seed)
        return replace(self, items=[items[i] for i in rows])


def subset_rows(total: int, wanted: int, seed: int) -> NDArray[np.int64]:
    """Sorted row numbers of a seeded draw of `wanted` out of `total` without replacement."""
    if wanted >= total:
        return np.arange(total)
    return np.sort(np.random.default_rng(seed).choice(total, wanted, replace=False))


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
    if isinstance(source, ImageSource):
        return source
    if isinstance(source, (str, os.PathLike)):
        return _open_path(path_of(source), recursive, policy, max_pixels)
    if is_array(source):
        return _array_source(_to_nhwc(source), type(source).__name__, policy)
    if isinstance(source, Iterable) and not isinstance(source, (Mapping, bytes)):
        return _iterable_source(source, policy, max_pixels)
    raise ArgumentError(
        "expected pictures (a folder, zip, .npy, .npz, uint8 array or iterable of them), or where a distance is wanted "
        f"features (N, D), got {type(source).__name__}"
    )


def _open_path(path: Path, recursive: bool, policy: DecodePolicy, max_pixels: int) -> ImageSource:
    if inside := _part_of_zip(path):
        return _zip_source(*inside, policy, max_pixels)
    check_exists(path)
    if path.is_dir():
        return _folder_source(path, recursive, policy, max_pixels)
    check_regular(path)
    suffix = path.suffix.lower()
    if suffix == ".zip":
        return _zip_source(path, "", policy, max_pixels)
    if suffix in (".npy", ".npz"):
        return _array_source(_read_batch(path), str(path), policy)
    if suffix == ".safetensors":
        raise InputError(f"{path}: holds features or statistics, and pictures are needed; give the pictures themselves")
    if suffix == ".json":
        raise InputError(f"{path}: is no set of pictures; a report goes to `cmmd plan` alone, without other sets")
    if suffix in SUFFIXES:
        raise InputError(f"{path}: is a single picture; give the folder or zip that holds the whole set")
    raise InputError(f"{path}: expected a folder, .zip, .npy, .npz or .safetensors, got {_described(path)}")


def _described(path: Path) -> str:
    return f"a {path.suffix} file" if path.suffix else "a file without a suffix"


# ---- folders --------------------------------------------------------------------------------------


def picture_names(folder: Path, recursive: bool = True) -> tuple[list[str], int]:
    """Relative POSIX names of the pictures below a folder, in order, and the number of its other visible files.

    Raises InputError for a folder that cannot be listed, and for one that is named like a picture and holds none.
    """
    names, others, problems = _search(folder, recursive)
    for _, reason in problems:
        raise InputError(reason)
    return names, others


def _folder_source(folder: Path, recursive: bool, policy: DecodePolicy, max_pixels: int) -> ImageSource:
    names, others, problems = _search(folder, recursive)
    if not names:
        hint = "" if recursive else " at its top level; subfolders are searched with `recursive`"
        none = f"{folder}: no pictures ({' '.join(SUFFIXES)}) among its {others} files{hint}"
        raise InputError(problems[0][1] if problems else none)
    items = [(name, _file_loader(folder / name, str(folder / name), policy, max_pixels)) for name in names]
    return ImageSource(str(folder), items, policy, _other_files(others), tuple(problems))


def _search(folder: Path, recursive: bool) -> tuple[list[str], int, list[tuple[str, str]]]:
    """The names of the pictures, the number of other files, and names and reasons of what is neither."""
    problems: list[tuple[str, str]] = []
    found = sorted(_walk(folder, recursive, problems))
    files = [name for name in found if name[-1] != "/"]
    names = [name for name in files if _is_picture_name(name)]
    for place in (name for name in found if name[-1] == "/"):
        first = bisect_left(names, place)
        if first == len(names) or not names[first].startswith(place):
            problems.append((place[:-1], f"{folder}/{place[:-1]}: {_NO_PICTURE}"))
    return names, len(files) - len(names), problems


_NO_PICTURE = "a folder that is named like a picture and holds none; rename or remove it"


def _walk(folder: Path, recursive: bool, problems: list[tuple[str, str]]) -> Iterator[str]:
    """Relative POSIX names of all visible files; linked folders are followed, each real folder once.

    Folders that are named like pictures come too, with a slash at the end. Those below the first that cannot be listed
    go to `problems`.
    """
    seen, waiting = set(), [""]
    while waiting:
        prefix = waiting.pop()
        top = f"{folder}/{prefix}"
        try:
            status = os.stat(top)  # noqa: PTH116 (pathlib takes a second for a path of thousands of parts)
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            with os.scandir(top) as entries:
                visible = [(prefix + entry.name, _is_folder(entry)) for entry in entries if entry.name[0] != "."]
        except OSError as error:
            if not prefix:
                raise InputError(_unlisted(error, top)) from error
            problems.append((prefix[:-1], _unlisted(error, top)))
            continue
        waiting += [f"{name}/" for name, is_folder in sorted(visible, reverse=True) if is_folder and recursive]
        yield from (name for name, is_folder in visible if not is_folder)
        yield from (f"{name}/" for name, is_folder in visible if is_folder and _is_picture_name(name))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _unlisted(error: OSError, top: str) -> str:
    shown = top if len(top) < 200 else f"{top[:100]}...{top[-40:]}"
    advice = "move it higher up" if error.errno == errno.ENAMETOOLONG else "check its permissions"
    return f"{shown}: cannot be listed ({error.strerror}); {advice}"


def _file_loader(path: Path, name: str, policy: DecodePolicy, max_pixels: int) -> Load:
    def read() -> bytes:
        try:
            return read_regular(path)
        except OSError as error:
            absent = "check its name" if isinstance(error, FileNotFoundError) else "check its permissions"
            advice = "a link to nothing: mend or remove it" if path.is_symlink() else absent
            raise PictureError(
                f"{name}: cannot be read ({error.strerror}); {advice} or use `on_error='skip'`"
            ) from error
        except InputError as error:
            raise PictureError(f"{error} or use `on_error='skip'`") from error

    return Load(read, lambda data: decode(data, name, policy, max_pixels))


def _is_picture_name(name: str) -> bool:
    path = PurePosixPath(name)
    hidden = any(part.startswith(".") or part == "__MACOSX" for part in path.parts)
    return path.suffix.lower() in SUFFIXES and not hidden


def _other_files(count: int) -> tuple[str, ...]:
    return (f"{count} files with other suffixes were left out",) if count else ()


# ---- zips -----------------------------------------------------------------------------------------


def _part_of_zip(path: Path) -> tuple[Path, str] | None:
    """`archive.zip:inner/folder` as the archive and the folder; None for every other path."""
    found = re.fullmatch(r"(.*\.zip):(.+)", str(path), re.IGNORECASE | re.DOTALL)
    if found is None or path.exists() or not Path(found[1]).exists():
        return None
    check_regular(Path(found[1]))
    return Path(found[1]), found[2].strip("/") + "/"


def _zip_source(path: Path, inside: str, policy: DecodePolicy, max_pixels: int) -> ImageSource:
    """The pictures of an archive, or of a folder in it; names begin there."""
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError) as error:
        raise InputError(f"{path}: not a readable zip ({error}); make it again") from error
    entries = [entry for entry in archive.infolist() if not entry.is_dir()]
    for entry in entries:
        _check_entry(path, entry)
    entries = sorted((entry for entry in entries if entry.filename.startswith(inside)), key=lambda own: own.filename)
    pictures = [entry for entry in entries if _is_picture_name(entry.filename)]
    if not pictures:
        where = f" below {inside}" if inside else ""
        raise InputError(f"{path}: no pictures ({' '.join(SUFFIXES)}) among its {len(entries)} files{where}")
    items = [
        (entry.filename[len(inside) :], _zip_loader(archive, entry, f"{path}:{entry.filename}", policy, max_pixels))
        for entry in pictures
    ]
    name = f"{path}:{inside[:-1]}" if inside else str(path)
    return ImageSource(name, items, policy, _other_files(len(entries) - len(pictures)))


def _check_entry(path: Path, entry: zipfile.ZipInfo) -> None:
    """Refuse names that point outside the archive: such a zip was made to do harm."""
    name = entry.orig_filename.replace("\\", "/")
    if name.startswith("/") or name[1:2] == ":" or ".." in name.split("/") or "\0" in name:
        raise InputError(f"{path}: unsafe entry name {name!r} (absolute or with ..); make the zip again")
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        what = "a symbolic link" if kind == stat.S_IFLNK else "no regular file"
        raise InputError(f"{path}: entry {name!r} is {what}; make the zip again with real files")


def _zip_loader(
    archive: zipfile.ZipFile, entry: zipfile.ZipInfo, name: str, policy: DecodePolicy, max_pixels: int
) -> Load:
    return Load(lambda: _read_entry(archive, entry, name), lambda data: decode(data, name, policy, max_pixels))


_MAX_ENTRY_BYTES = 1 << 30


def _read_entry(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, name: str) -> bytes:
    if entry.file_size > _MAX_ENTRY_BYTES:
        raise PictureError(f"{name}: unpacks to {entry.file_size:,} bytes, taken for a decompression bomb")
    try:
        return archive.read(entry)
    except Exception as error:  # zlib.error, BadZipFile (wrong checksum), RuntimeError (encrypted), ...
        raise PictureError(f"{name}: cannot be unpacked ({error}); make the zip again") from error


# ---- arrays ---------------------------------------------------------------------------------------


def _read_batch(path: Path) -> NDArray[np.uint8]:
    """The uint8 (N, H, W, 3) batch of an .npy (memory-mapped) or an .npz (`arr_0`, the ADM convention)."""
    check_numpy_file(path)
    try:
        if path.suffix.lower() == ".npy":
            return _check_batch(read_npy(path), str(path))
        with np.load(path, allow_pickle=False) as archive:
            keys = list(archive.files)
            key = "arr_0" if "arr_0" in keys else keys[0] if len(keys) == 1 else None
            if key is None:
                raise InputError(f"{path}: expected an image batch named arr_0, found {', '.join(keys) or 'nothing'}")
            return _check_batch(read_member(archive, key), str(path))
    except InputError:
        raise
    except Exception as error:  # ValueError, OSError, BadZipFile, zlib.error, TokenError, ...
        raise InputError(f"{path}: {explain_numpy_error(error)}") from error


def _check_batch(array: NDArray[Any], name: str) -> NDArray[np.uint8]:
    if array.dtype != np.uint8 or array.ndim != 4 or array.shape[3] != 3 or 0 in array.shape:
        raise InputError(
            f"{name}: expected uint8 images (N, H, W, 3), got {array.dtype} of shape {array.shape}; "
            "for features use a .safetensors file of `cmmd embed`"
        )
    return array


def _to_nhwc(images: Any) -> NDArray[np.uint8]:
    """A uint8 array or tensor as (N, H, W, 3); a tensor or ambiguous shape counts as (N, 3, H, W)."""
    array = as_array(images, type(images).__name__, "uint8 images (N, 3, H, W)")
    channels_first = array.ndim == 4 and array.shape[1] == 3 and (is_tensor(images) or array.shape[3] != 3)
    if channels_first:
        array = array.transpose(0, 2, 3, 1)
    return _check_batch(array, type(images).__name__)


def _array_source(batch: NDArray[np.uint8], name: str, policy: DecodePolicy) -> ImageSource:
    width = len(str(len(batch) - 1))
    return ImageSource(name, [(f"{i:0{width}d}", _row_loader(batch, i)) for i in range(len(batch))], policy)


def _row_loader(batch: NDArray[np.uint8], row: int) -> Load:
    return of_pixels(lambda: Picture(np.ascontiguousarray(batch[row]), "array"))


# ---- iterables ------------------------------------------------------------------------------------


def _iterable_source(pictures: Iterable[Any], policy: DecodePolicy, max_pixels: int) -> ImageSource:
    named = ((f"{i:06d}", _object_loader(item, f"picture {i}", policy, max_pixels)) for i, item in enumerate(pictures))
    items = list(named) if isinstance(pictures, Sequence) else named
    return ImageSource(type(pictures).__name__, items, policy)


def _object_loader(item: Any, name: str, policy: DecodePolicy, max_pixels: int) -> Load:
    if isinstance(item, (str, os.PathLike)):
        return _path_loader(item, name, policy, max_pixels)

    def read() -> Picture:
        try:
            return _read_object(item, name, policy, max_pixels)
        except PictureError:
            raise
        except (ArgumentError, InputError) as error:
            raise PictureError(f"{name}: {error}") from error

    return of_pixels(read)


def _path_loader(item: str | os.PathLike[str], name: str, policy: DecodePolicy, max_pixels: int) -> Load:
    try:
        return _file_loader(path_of(item), str(item), policy, max_pixels)
    except (ArgumentError, InputError) as error:
        reason = PictureError(f"{name}: {error}")

    def refuse() -> Picture:
        raise reason

    return of_pixels(refuse)


def _read_object(item: Any, name: str, policy: DecodePolicy, max_pixels: int) -> Picture:
    if isinstance(item, Image.Image):
        return convert_opened(item, name, policy, max_pixels)
    if len(shape_of(item)) == 3:
        return Picture(np.ascontiguousarray(_to_nhwc(item[None])[0]), "array")
    return Picture(check_pixels(item, name), "array")
