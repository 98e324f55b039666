"""Names of pictures and of files: which are pictures, which are unsafe."""

import re

from ...errors import InputError

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".ppm", ".pgm", ".pnm")
_SHARD = re.compile(r"^[^/]*\.(tar|tar\.gz|tgz):", re.IGNORECASE)


def is_picture_name(name: str) -> bool:
    """Whether a relative POSIX name is that of a picture: by its suffix, and nothing of it hidden."""
    return name.rstrip("/").lower().endswith(SUFFIXES) and not is_hidden(name)


def is_hidden(name: str) -> bool:
    """Whether a part of a relative POSIX name is hidden, or made by macOS beside the files themselves."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    return any(part.startswith(".") or part == "__MACOSX" for part in parts)


def class_of(name: str) -> str:
    """The first folder of a picture's name, "" where it has none; of `train-0.tar:dog/1.png` it is dog."""
    folder, separator, _ = _SHARD.sub("", name).partition("/")
    return folder if separator else ""


def other_files(count: int) -> tuple[str, ...]:
    """A remark on files that are no pictures."""
    return (f"{count} files with other suffixes were left out",) if count else ()


def check_entry_name(name: str, archive: str, kind: str) -> None:
    """Refuse names that point outside an archive: it was made to do harm."""
    name = name.replace("\\", "/")
    if name.startswith("/") or name[1:2] == ":" or ".." in name.split("/") or "\0" in name:
        raise InputError(f"{archive}: unsafe entry name {name!r} (absolute or with ..); make the {kind} again")
