"""One look at every picture before training: damage is found, and each gets the hash by which it is known again.

RUN.pictures/index.safetensors    of streamed pictures: which can be used, and the hash of each
"""

import hashlib
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError

from cmmd_toolkit.common.progress import show_no_progress
from cmmd_toolkit.common.safetensors_file import is_whole, read_safetensors, write_safetensors
from cmmd_toolkit.common.writing import replacing

from ..common.files import locked
from ..errors import DataError
from .found import Found
from .pixels import Digests, digest_of, quiet_pillow, square
from .reading import OnError, Reading

_AT_ONCE = 256  # pictures that wait for a thread
_INDEX = "index.safetensors"


@dataclass(frozen=True)
class Looked:
    """What was found: places of the usable pictures, rising; their digests (N, 32); why each other one is left out."""

    usable: NDArray[np.int64]
    digests: Digests
    skipped: tuple[str, ...]


@dataclass(frozen=True)
class _Share:
    """What one process found at its places: which pictures are usable, their digests, the reasons of the others."""

    places: range
    usable: NDArray[np.bool_]
    digests: Digests
    reasons: dict[int, str]


def look_at(
    found: Found, shape: tuple[int, ...], held: NDArray[np.uint8] | None, on_error: OnError, reading: Reading
) -> Looked:
    """Decode every picture as (E, E, C) of `shape`. With `held` keep them there, else share the work, write the index.

    Raises DataError for an unusable picture, unless those are left out.
    """
    if held is not None:
        return _merged([_look(found, range(shape[0]), shape, held, on_error, reading)], shape[0])
    processes = reading.processes
    processes.wait()  # all have looked for the index
    mine = range(processes.rank, shape[0], processes.count)
    looked = _merged(processes.gather(_look(found, mine, shape, None, on_error, reading)), shape[0])
    if reading.folder is not None and processes.is_main:
        _write(reading.folder, looked, _key(found, shape, on_error))
    processes.wait()
    return looked


def looked_before(found: Found, shape: tuple[int, ...], on_error: OnError, reading: Reading) -> Looked | None:
    """What an earlier run wrote down of the same names; None where one of the processes does not find it whole."""
    looked = None if reading.folder is None else _read(reading.folder / _INDEX, _key(found, shape, on_error))
    return looked if all(reading.processes.gather(looked is not None)) else None


def _read(path: Path, key: str) -> Looked | None:
    try:
        tensors, metadata = read_safetensors(path)
        if not is_whole(tensors, metadata) or metadata["key"] != key:
            return None
        return Looked(tensors["usable"], tensors["digests"], tuple(json.loads(metadata["skipped"])))
    except (SafetensorError, OSError, KeyError, ValueError):
        return None


def _look(
    found: Found,
    places: range,
    shape: tuple[int, ...],
    held: NDArray[np.uint8] | None,
    on_error: OnError,
    reading: Reading,
) -> _Share:
    count, show = len(places), show_no_progress if held is not None else reading.show_progress
    share = _Share(places, np.zeros(count, dtype=np.bool_), np.zeros((count, 32), dtype=np.uint8), {})

    def look(place: int) -> bytes | DataError:
        try:
            picture = square(found.read(int(found.rows[place])), shape[1], shape[3])
        except DataError as error:
            return error
        if held is not None:
            held[place] = picture
        return digest_of(picture)

    threads = max(1, reading.threads)
    with quiet_pillow(), ThreadPoolExecutor(threads) as pool, show("pictures", count) as advance:
        for first in range(0, count, _AT_ONCE):
            part = places[first : first + _AT_ONCE]
            for number, seen in enumerate(pool.map(look, part), first):
                if isinstance(seen, bytes):
                    share.usable[number], share.digests[number] = True, np.frombuffer(seen, np.uint8)
                elif on_error == "fail":
                    raise seen
                else:
                    share.reasons[places[number]] = str(seen)
            advance(len(part))
    return share


def _merged(shares: Sequence[_Share], count: int) -> Looked:
    usable, digests = np.zeros(count, dtype=np.bool_), np.zeros((count, 32), dtype=np.uint8)
    for share in shares:
        own = slice(share.places.start, share.places.stop, share.places.step)
        usable[own], digests[own] = share.usable, share.digests
    reasons = {place: reason for share in shares for place, reason in share.reasons.items()}
    return Looked(np.flatnonzero(usable), digests[usable], tuple(reasons[place] for place in sorted(reasons)))


def _key(found: Found, shape: tuple[int, ...], on_error: OnError) -> str:
    """Of what decides a look but the content of the pictures, which is compared whenever one is decoded."""
    digest = hashlib.sha256(json.dumps([found.name, *shape, on_error]).encode())
    for row in found.rows.tolist():
        digest.update(found.names[row].encode("utf-8", "surrogateescape") + b"\0")
    return digest.hexdigest()


def _write(folder: Path, looked: Looked, key: str) -> None:
    with locked(folder), replacing(folder / _INDEX) as temporary:
        metadata = {"key": key, "skipped": json.dumps(looked.skipped)}
        write_safetensors({"usable": looked.usable, "digests": looked.digests}, temporary, metadata)
