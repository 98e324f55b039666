"""Short names for sets, where the last part of the path tells them apart."""

from collections.abc import Iterable
from pathlib import PurePath


def short_labels(names: Iterable[str]) -> dict[str, str]:
    """Each name's last path component when all of those differ, else the names themselves."""
    unique = list(dict.fromkeys(names))
    short = {name: PurePath(name).name or name for name in unique}
    return short if len(set(short.values())) == len(unique) else {name: name for name in unique}
