"""Folders on other machines: listed at once, read picture by picture in the decoding threads."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

from ...errors import InputError
from .names import SUFFIXES, is_picture_name, other_files
from .parquet import parquet_source
from .remote import RemoteFile, read_whole, tried
from .source import ImageSource, Item, Opening


def remote_folder_source(folder: RemoteFile, how: Opening) -> ImageSource:
    """The pictures below an address; where there are none, its Parquet files."""
    files = _files(folder, how.recursive)
    pictures = sorted((name, path) for name, path in files if is_picture_name(name))
    if pictures:
        items = [_item(folder, name, path, how) for name, path in pictures]
        return ImageSource(folder.name, items, how.policy, other_files(len(files) - len(pictures)))
    tables = sorted((name, path) for name, path in files if name.lower().endswith(".parquet"))
    if tables:
        return parquet_source([_below(folder, name, path) for name, path in tables], folder.name, how)
    hint = "" if how.recursive else " at its top level; subfolders are searched with `recursive`"
    none = f"no pictures ({' '.join(SUFFIXES)}) among its {len(files)} files{hint}"
    raise InputError(f"{folder.name}: {none}{'' if files else '; check the address'}")


def _files(folder: RemoteFile, recursive: bool) -> list[tuple[str, str]]:
    """Relative names and paths of what lies below."""
    if not folder.path.strip("/") and "memory" not in folder.name.partition(":")[0]:
        raise InputError(f"{folder.name}: does not name a folder; give one, such as {folder.name.rstrip('/')}/folder/")
    root = folder.path.rstrip("/") + "/"

    def find() -> list[str]:
        folder.system.invalidate_cache()  # what was there in an earlier run may have gone
        if _has_own_search(folder.system):
            return list(folder.system.find(folder.path, maxdepth=None if recursive else 1))
        return list(_walk(folder.system, folder.path, recursive))

    found = tried(find, folder.name)
    below = [(path[len(root) :], path) for path in found if path.startswith(root)]
    return [(unquote(name), path) for name, path in below] if folder.name.startswith("http") else below


def _has_own_search(system: Any) -> bool:
    """Whether a package brings its own; fsspec's leaves out in silence what cannot be listed."""
    from fsspec.asyn import AsyncFileSystem
    from fsspec.spec import AbstractFileSystem

    kind = type(system)
    is_common = getattr(kind, "_find", None) in (None, AsyncFileSystem._find)
    return kind.find is not AbstractFileSystem.find or not is_common


def _walk(system: Any, top: str, recursive: bool) -> Iterator[str]:
    """The paths of all files below; each folder once."""
    seen, waiting = set(), [top]
    while waiting:
        folder = waiting.pop()
        seen.add(folder.rstrip("/"))
        for entry in system.ls(folder, detail=True):
            path = entry["name"]
            if entry["type"] != "directory":
                yield path
            elif recursive and path.rstrip("/") not in seen and "." not in path[len(top) :].split("/"):
                waiting.append(path)


def _item(folder: RemoteFile, name: str, path: str, how: Opening) -> Item:
    file = _below(folder, name, path)
    return name, how.load(file.name, lambda: read_whole(file))


def _below(folder: RemoteFile, name: str, path: str) -> RemoteFile:
    return RemoteFile(folder.system, path, f"{folder.name.rstrip('/')}/{name}")
