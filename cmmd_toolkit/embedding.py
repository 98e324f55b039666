"""Pictures to features: one pass over a source for all backbones, decoding in threads, pictures in bounded memory.

While the network works on one batch, a pool of threads reads, decodes and prepares the next ones. Results do not
depend on the number of threads; the order is the source's.
"""

import hashlib
import os
import struct
import warnings
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from .backbones.base import Backbone
from .errors import InputError, PictureError
from .features import Features
from .images import ImageSource, Load
from .preprocess import NetworkInput

OnError = Literal["fail", "skip"]
Advance = Callable[[int], None]
Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass
class SetSummary:
    """What was seen in a set while it was read; the report's warnings come from here."""

    name: str
    names: list[str] = field(default_factory=list)
    formats: Counter[str] = field(default_factory=Counter)
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    digests: list[bytes] = field(default_factory=list)
    remarks: tuple[str, ...] = ()
    label: str = ""

    def __post_init__(self) -> None:
        self.label = self.label or self.name


@dataclass(frozen=True)
class _Prepared:
    """One picture, ready for every backbone."""

    name: str
    format: str
    size: tuple[int, int]
    notes: tuple[str, ...]
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
) -> tuple[list[Features], SetSummary]:
    """Features of every picture of a source under every backbone, and a summary of the set.

    Raises PictureError at the first unusable picture unless `on_error` is "skip"; InputError when none is left.
    """
    summary = SetSummary(source.name, remarks=source.remarks)
    rows: list[list[NDArray[np.float32]]] = [[] for _ in backbones]
    with warnings.catch_warnings():  # here and not in the threads, which share the filters
        warnings.filterwarnings("ignore", module=r"PIL\.")  # what Pillow warns of is checked or noted in decode.py
        prepared = _prepared_pictures(source, backbones, workers, on_error, summary)
        for batch in _batches(prepared, batch_size):
            for i, backbone in enumerate(backbones):
                rows[i].append(backbone.embed([picture.inputs[i] for picture in batch]))
            _record(summary, batch)
            if advance is not None:
                advance(len(batch))
    if not summary.names:
        why = f"; all {len(summary.skipped)} were skipped, first {summary.skipped[0][1]}" if summary.skipped else ""
        raise InputError(f"{source.name}: no usable picture{why}")
    names = tuple(summary.names)
    features = [
        Features(np.concatenate(own_rows), _provenance(backbone, source, summary), names)
        for own_rows, backbone in zip(rows, backbones, strict=True)
    ]
    return features, summary


def default_workers() -> int:
    """Decoding threads: one a core this process may use, at most eight."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(8, cores)


def _prepared_pictures(
    source: ImageSource, backbones: Sequence[Backbone], workers: int | None, on_error: OnError, summary: SetSummary
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
            summary.skipped.append((name, str(result)))


def _prepare(item: tuple[str, Load], backbones: Sequence[Backbone]) -> _Prepared:
    name, load = item
    picture = load()
    pixels = np.ascontiguousarray(picture.pixels)
    digest = hashlib.blake2b(pixels.data, digest_size=16, salt=_shape_salt(pixels)).digest()
    inputs = tuple(backbone.preprocess(pixels) for backbone in backbones)
    height, width = pixels.shape[:2]
    return _Prepared(name, picture.format, (width, height), picture.notes, digest, inputs)


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


def _record(summary: SetSummary, batch: list[_Prepared]) -> None:
    for picture in batch:
        summary.names.append(picture.name)
        summary.formats[picture.format] += 1
        summary.sizes[picture.size] += 1
        summary.notes.update(picture.notes)
        summary.digests.append(picture.digest)


def _provenance(backbone: Backbone, source: ImageSource, summary: SetSummary) -> Mapping[str, Any]:
    return {**backbone.provenance, "decode": source.policy, "source": source.name, "skipped": len(summary.skipped)}
