"""Pictures to features: one pass over a source for all backbones, decoding in threads, pictures in bounded memory.

While the network works on one batch, a pool of threads reads, decodes and prepares the next ones. Results do not
depend on the number of threads; the order is the source's.
"""

import hashlib
import struct
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..backbones.base import Backbone
from ..backbones.preprocess import NetworkInput
from ..common.processes import current_processes
from ..common.progress import Advance
from ..common.row_collector import RowCollector
from ..common.threads import default_workers
from ..errors import InputError, PictureError
from ..features.features import Features
from ..features.record import DIGEST_SIZE, Kind, RecordBuilder, SetRecord, SetSummary as SetSummary
from ..pictures.load import Load, content_digest
from ..pictures.sources import ImageSource
from ..store.store import FeatureStore
from ..store.table import Row
from .shared import add_up_others, gather_set

OnError = Literal["fail", "skip"]
Item = TypeVar("Item")
Result = TypeVar("Result")
_PART = 8  # pictures that a thread takes at a time: what the store holds takes less time than to hand it over
_MOST_WAITING = 8192  # pictures from the store between two that no network has seen
_UNKNOWN = np.empty(0, np.float32)  # until the network has seen the picture


@dataclass(frozen=True)
class _Prepared:
    """One picture: for every backbone either its features, from the store, or what the network takes."""

    place: int
    name: str
    kind: Kind
    size: tuple[int, int]
    digest: bytes
    content: bytes
    features: tuple[NDArray[np.float32] | None, ...]
    inputs: tuple[NetworkInput | None, ...]

    @property
    def is_known(self) -> bool:
        """Whether no network has to see it."""
        return all(own is not None for own in self.features)


def embed_source(
    source: ImageSource,
    backbones: Sequence[Backbone],
    *,
    batch_size: int = 32,
    workers: int | None = None,
    on_error: OnError = "fail",
    advance: Advance | None = None,
    store: FeatureStore | None = None,
) -> tuple[list[Features], SetRecord]:
    """Features of every picture of a source under every backbone, and the record of the pictures, which they keep.

    Features that are in the `store` are taken from it, the others are kept there. Processes that share their work read
    their part of the pictures each, and all get all features.

    Raises PictureError at the first unusable picture unless `on_error` is "skip"; InputError when none is left.
    """
    seen, store = RecordBuilder(), store or FeatureStore(None, backbones, source.policy, 0)
    for _, reason in source.problems:
        if on_error == "fail":
            raise PictureError(f"{reason}, or use `on_error='skip'`")
    rows = _Rows(backbones, store, batch_size, advance or (lambda _count: None))
    with warnings.catch_warnings():  # here and not in the threads, which share the filters
        warnings.filterwarnings("ignore", module=r"PIL\.")  # what Pillow warns of is checked or noted in decode.py
        for picture in _prepared_pictures(source, backbones, store, workers, on_error, seen):
            seen.add(picture.place, picture.name, picture.kind, picture.size, picture.digest)
            rows.add(picture)
        rows.compute()
    seen, whole = gather_set(seen, rows.stacked(), store.folder)
    add_up_others(source)
    seen.skipped[:0] = source.problems
    if not seen.names:
        why = f"; all {len(seen.skipped)} were skipped, first {seen.skipped[0][1]}" if seen.skipped else ""
        raise InputError(f"{source.name}: no usable picture{why}")
    record = seen.build(source.all_remarks())
    features = [
        Features(own_rows, _provenance(backbone, source, record), record.names, record)
        for own_rows, backbone in zip(whole, backbones, strict=True)
    ]
    return features, record


class _Rows:
    """Features in the making: known ones at once, the others in batches; many of them in a temporary file."""

    def __init__(self, backbones: Sequence[Backbone], store: FeatureStore, batch_size: int, advance: Advance) -> None:
        self._backbones, self._store, self._batch_size, self._advance = backbones, store, batch_size, advance
        self._finished = [RowCollector(backbone.dim, folder=store.folder) for backbone in backbones]
        self._rows: list[list[NDArray[np.float32]]] = [[] for _ in backbones]
        self._batch: list[tuple[int, _Prepared]] = []

    def add(self, picture: _Prepared) -> None:
        """The next picture."""
        place = len(self._rows[0])
        for own, features in zip(self._rows, picture.features, strict=True):
            own.append(_UNKNOWN if features is None else features)
        if picture.is_known:
            self._advance(1)
        else:
            self._batch.append((place, picture))
        if len(self._batch) == self._batch_size or len(self._rows[0]) >= _MOST_WAITING:
            self.compute()

    def compute(self) -> None:
        """Send what waits through the networks that have not seen it."""
        for i, backbone in enumerate(self._backbones):
            inputs = [(place, picture, own) for place, picture in self._batch if (own := picture.inputs[i]) is not None]
            if not inputs:
                continue
            made = backbone.embed([own for _, _, own in inputs], [picture.name for _, picture, _ in inputs])
            for (place, picture, _), features in zip(inputs, made, strict=True):
                self._rows[i][place] = features
                self._store.put(i, picture.content, Row(features, picture.kind, picture.size, picture.digest))
        self._advance(len(self._batch))
        self._batch = []
        for finished, rows in zip(self._finished, self._rows, strict=True):
            if rows:
                finished.add(np.stack(rows))
            rows.clear()

    def stacked(self) -> list[NDArray[np.float32]]:
        """Float32 (N, D) for every backbone."""
        return [own.collected() for own in self._finished]


def _prepared_pictures(
    source: ImageSource,
    backbones: Sequence[Backbone],
    store: FeatureStore,
    workers: int | None,
    on_error: OnError,
    seen: RecordBuilder,
) -> Iterator[_Prepared]:
    def prepare(item: tuple[int, tuple[str, Load]]) -> _Prepared | PictureError:
        try:
            return _prepare(item, backbones, store)
        except PictureError as error:
            return error

    processes = current_processes()
    items = source.part(processes.rank, processes.count)
    for result, (place, (name, _)) in _parallel_map(prepare, items, workers or default_workers()):
        if isinstance(result, _Prepared):
            yield result
        elif on_error == "fail":
            raise result
        else:
            seen.skip(place, name, _without_advice(str(result)))


def _without_advice(reason: str) -> str:
    """The reason for who has followed the advice already."""
    return reason.rpartition("; ")[0] if reason.endswith("use `on_error='skip'`") and "; " in reason else reason


def _prepare(item: tuple[int, tuple[str, Load]], backbones: Sequence[Backbone], store: FeatureStore) -> _Prepared:
    place, (name, load) = item
    encoded = load.read()
    content = content_digest(encoded) if store.is_open else b""
    known = store.find(content) if content else [None] * len(backbones)
    features = tuple(None if row is None else row.features for row in known)
    whole = [row for row in known if row is not None]
    if len(whole) == len(backbones):
        return _Prepared(
            place, name, whole[0].kind, whole[0].size, whole[0].digest, content, features, (None,) * len(known)
        )
    picture = load.decoded(encoded)
    pixels = np.ascontiguousarray(picture.pixels)
    digest = hashlib.blake2b(pixels.data, digest_size=DIGEST_SIZE, salt=_shape_salt(pixels)).digest()
    try:
        inputs = tuple(
            None if own is not None else backbone.preprocess(pixels)
            for own, backbone in zip(features, backbones, strict=True)
        )
    except PictureError as error:
        raise PictureError(f"{name}: {error}; crop it or use `on_error='skip'`") from error
    height, width = pixels.shape[:2]
    kind = Kind(picture.format, picture.notes)
    return _Prepared(place, name, kind, (width, height), digest, content, features, inputs)


def _shape_salt(pixels: NDArray[np.uint8]) -> bytes:
    return struct.pack("<QQ", *pixels.shape[:2])


def _parallel_map(
    function: Callable[[Item], Result], items: Iterable[Item], workers: int
) -> Iterator[tuple[Result, Item]]:
    """Ordered map in threads with a bounded number of results waiting; each thread takes a few items at a time."""

    def apply(part: tuple[Item, ...]) -> list[tuple[Result, Item]]:
        return [(function(item), item) for item in part]

    waiting: deque[Future[list[tuple[Result, Item]]]] = deque()
    pool, left = ThreadPoolExecutor(workers), iter(items)
    try:
        while part := tuple(islice(left, _PART)):
            waiting.append(pool.submit(apply, part))
            if len(waiting) > 2 * workers + 2:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _provenance(backbone: Backbone, source: ImageSource, record: SetRecord) -> Mapping[str, Any]:
    return {**backbone.provenance, "decode": source.policy, "source": source.name, "skipped": len(record.skipped)}
