"""Pictures to features: one pass over a source for all backbones, decoding in threads, pictures in bounded memory.

While the network works on one batch, a pool of threads reads, decodes and prepares the next ones. Results do not
depend on the number of threads; the order is the source's.
"""

import hashlib
import os
import struct
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..backbones.base import Backbone
from ..backbones.preprocess import NetworkInput
from ..common.progress import Advance
from ..errors import InputError, PictureError
from ..features.features import Features
from ..features.record import DIGEST_SIZE, Kind, RecordBuilder, SetRecord, SetSummary as SetSummary
from ..pictures.sources import ImageSource, Load

OnError = Literal["fail", "skip"]
Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class _Prepared:
    """One picture, ready for every backbone."""

    name: str
    kind: Kind
    size: tuple[int, int]
    digest: bytes
    inputs: tuple[NetworkInput, ...]


def embed_source(
    source: ImageSource,
    backbones: Sequence[Backbone],
    *,
    batch_size: int = 32,
    workers: int | None = None,
    on_error: OnError = "fail",
    advance: Advance | None = None,
) -> tuple[list[Features], SetRecord]:
    """Features of every picture of a source under every backbone, and the record of the pictures, which they keep.

    Raises PictureError at the first unusable picture unless `on_error` is "skip"; InputError when none is left.
    """
    seen = RecordBuilder()
    for name, reason in source.problems:
        if on_error == "fail":
            raise PictureError(f"{reason}, or use `on_error='skip'`")
        seen.skipped.append((name, reason))
    rows: list[list[NDArray[np.float32]]] = [[] for _ in backbones]
    with warnings.catch_warnings():  # here and not in the threads, which share the filters
        warnings.filterwarnings("ignore", module=r"PIL\.")  # what Pillow warns of is checked or noted in decode.py
        prepared = _prepared_pictures(source, backbones, workers, on_error, seen)
        for batch in _batches(prepared, batch_size):
            for i, backbone in enumerate(backbones):
                names = [picture.name for picture in batch]
                rows[i].append(backbone.embed([picture.inputs[i] for picture in batch], names))
            for picture in batch:
                seen.add(picture.name, picture.kind, picture.size, picture.digest)
            if advance is not None:
                advance(len(batch))
    if not seen.names:
        why = f"; all {len(seen.skipped)} were skipped, first {seen.skipped[0][1]}" if seen.skipped else ""
        raise InputError(f"{source.name}: no usable picture{why}")
    record = seen.build(source.remarks)
    features = [
        Features(np.concatenate(own_rows), _provenance(backbone, source, record), record.names, record)
        for own_rows, backbone in zip(rows, backbones, strict=True)
    ]
    return features, record


def default_workers() -> int:
    """Decoding threads: one a core this process may use, at most eight."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(8, cores)


def _prepared_pictures(
    source: ImageSource, backbones: Sequence[Backbone], workers: int | None, on_error: OnError, seen: RecordBuilder
) -> Iterator[_Prepared]:
    def prepare(item: tuple[str, Load]) -> _Prepared | PictureError:
        try:
            return _prepare(item, backbones)
        except PictureError as error:
            return error

    for result, (name, _) in _parallel_map(prepare, source, workers or default_workers()):
        if isinstance(result, _Prepared):
            yield result
        elif on_error == "fail":
            raise result
        else:
            seen.skipped.append((name, str(result)))


def _prepare(item: tuple[str, Load], backbones: Sequence[Backbone]) -> _Prepared:
    name, load = item
    picture = load()
    pixels = np.ascontiguousarray(picture.pixels)
    digest = hashlib.blake2b(pixels.data, digest_size=DIGEST_SIZE, salt=_shape_salt(pixels)).digest()
    inputs = tuple(backbone.preprocess(pixels) for backbone in backbones)
    height, width = pixels.shape[:2]
    return _Prepared(name, Kind(picture.format, picture.notes), (width, height), digest, inputs)


def _shape_salt(pixels: NDArray[np.uint8]) -> bytes:
    return struct.pack("<QQ", *pixels.shape[:2])


def _parallel_map(
    function: Callable[[Item], Result], items: Iterable[Item], workers: int
) -> Iterator[tuple[Result, Item]]:
    """Ordered map in threads with a bounded number of results waiting."""
    waiting: deque[tuple[Future[Result], Item]] = deque()
    pool = ThreadPoolExecutor(workers)
    try:
        for item in items:
            waiting.append((pool.submit(function, item), item))
            if len(waiting) > 4 * workers + 32:
                future, done = waiting.popleft()
                yield future.result(), done
        while waiting:
            future, done = waiting.popleft()
            yield future.result(), done
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _batches(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    batch: list[Item] = []
    for item in items:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _provenance(backbone: Backbone, source: ImageSource, record: SetRecord) -> Mapping[str, Any]:
    return {**backbone.provenance, "decode": source.policy, "source": source.name, "skipped": len(record.skipped)}
