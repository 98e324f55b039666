"""Pillow's antialiased bicubic of float32 channels, all three at once, with the same bits.

Pillow resizes along one side, rounds to float32, and resizes along the other; each value is a weighted sum in float64,
added up from the left. The product of a sparse matrix adds in that order, too. Whether this Pillow does so is tried
once for each length, on sums that cancel, where every bit of the arithmetic shows; which side it takes first is tried
once. Where it does otherwise, Pillow resizes.
"""

from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..common.sparse_product import product
from ..common.thread_memory import ThreadMemory

Values = NDArray[np.float32]
TurnsFirst = Callable[[int, int, int], bool]
_memory = ThreadMemory()
_REACH = 2  # of the bicubic kernel, in pixels of the coarser grid
_LONGEST = 1 << 14  # of a longer side the weights take much memory
_PART = 40_000  # values of a part
_MOST_LINES = 72  # of a part: with a power of two its columns would share places of the cache
_TRIED = 8  # outputs for which the sums are tried


def clean_resize(pixels: NDArray[np.uint8], size: int) -> Values:
    """RGB uint8 (H, W, 3) to float32 (3, size, size), a little beyond 0..255 beside edges."""
    height, width = pixels.shape[:2]
    columns_first = pass_order()
    if columns_first is None or max(height, width) > _LONGEST:
        return by_pillow(pixels, size)
    along_rows, along_columns = resizing(width, size), resizing(height, size)
    if along_rows is None or along_columns is None:
        return by_pillow(pixels, size)
    if columns_first(width, height, size):
        return _two_passes(pixels.transpose(1, 0, 2), along_columns, along_rows).transpose(0, 2, 1)
    return _two_passes(pixels, along_rows, along_columns)


def by_pillow(pixels: NDArray[np.uint8], size: int) -> Values:
    """The same by Pillow, channel by channel."""
    channels = [Image.fromarray(pixels[:, :, c].astype(np.float32)) for c in range(3)]
    return np.stack([np.asarray(channel.resize((size, size), Image.Resampling.BICUBIC)) for channel in channels])


@lru_cache(maxsize=256)
def resizing(length: int, size: int) -> Any | None:
    """The float64 sparse matrix (size, length) of Pillow's sums; None where Pillow's differ from its product."""
    matrix = bicubic_matrix(length, size)
    return matrix if adds_as_pillow(matrix) else None


def bicubic_matrix(length: int, size: int) -> Any:
    """Pillow's weights, in its order of operations: a SciPy CSR array (size, length), rows that add up to 1."""
    from scipy.sparse import csr_array

    scale = length / size
    coarse = max(scale, 1.0)
    centre = (np.arange(size) + 0.5) * scale
    first = np.maximum((centre - _REACH * coarse + 0.5).astype(np.int64), 0)
    behind = np.minimum((centre + _REACH * coarse + 0.5).astype(np.int64), length)
    taps = first[:, None] + np.arange((behind - first).max())
    weights = np.where(taps < behind[:, None], _bicubic((taps - centre[:, None] + 0.5) * (1.0 / coarse)), 0.0)
    weights /= weights.cumsum(axis=1)[:, -1:]  # added one by one, as Pillow does
    row, tap = np.nonzero(weights)
    places = row.astype(np.int32), taps[row, tap].astype(np.int32)
    return csr_array((weights[row, tap], places), shape=(size, length))


def adds_as_pillow(matrix: Any) -> bool:
    """Whether products of this matrix are Pillow's resize to the last bit, along rows and along columns."""
    values = _cancelling(matrix)
    count, size = len(values), matrix.shape[0]
    expected = product(matrix, np.ascontiguousarray(values.T, np.float64), np.empty((size, count))).astype(np.float32)
    along_rows = Image.fromarray(values).resize((size, count), Image.Resampling.BICUBIC)
    along_columns = Image.fromarray(np.ascontiguousarray(values.T)).resize((count, size), Image.Resampling.BICUBIC)
    return np.array_equal(np.asarray(along_rows).T, expected) and np.array_equal(np.asarray(along_columns), expected)


@cache
def pass_order() -> TurnsFirst | None:
    """Of width, height and size: whether Pillow resizes along the columns first; None where it has another rule."""
    return next((rule for rule in (_by_distance, _never) if _is_order(rule)), None)


def _by_distance(width: int, height: int, size: int) -> bool:
    """Pillow 13: where the height shrinks by more than twice what the width does."""
    return height - size > max(0, 2 * (width - size))


def _never(_width: int, _height: int, _size: int) -> bool:
    """Pillow before 13."""
    return False


def _is_order(rule: TurnsFirst) -> bool:
    """Whether small pictures on both sides of the limits come out as this rule says."""
    size, random = 8, np.random.default_rng(0)
    for width, height in ((12, 17), (12, 16), (20, 33), (20, 32), (5, 9), (5, 7), (9, 12), (16, 9), (30, 20), (9, 90)):
        pixels = random.integers(0, 256, (height, width, 3), dtype=np.uint8)
        rows, columns = bicubic_matrix(width, size), bicubic_matrix(height, size)
        if rule(width, height, size):
            found = _two_passes(pixels.transpose(1, 0, 2), columns, rows).transpose(0, 2, 1)
        else:
            found = _two_passes(pixels, rows, columns)
        if not np.array_equal(found, by_pillow(pixels, size)):
            return False
    return True


def _two_passes(pixels: NDArray[np.uint8], along_rows: Any, along_columns: Any) -> Values:
    """(H, W, 3) to (3, size, size), along the rows first; in parts whose float64 stays in the cache."""
    height, width = pixels.shape[:2]
    size = along_rows.shape[0]
    resized = np.empty((3, size, size), np.float32)
    between = _memory.empty("between", (height, size), np.float64)
    step = min(_MOST_LINES, max(8, _PART // width))
    for channel in range(3):
        for start in range(0, height, step):
            lines = pixels[start : start + step, :, channel]
            part = _memory.empty("part", (width, len(lines)), np.float64)
            part[:] = lines.T
            rounded = _memory.empty("rounded", (size, len(lines)), np.float32)
            rounded[:] = product(along_rows, part, _memory.empty("sums", rounded.shape, np.float64))
            between[start : start + step] = rounded.T
        resized[channel] = product(along_columns, between, _memory.empty("sums", (size, size), np.float64))
    return resized


def _cancelling(matrix: Any) -> Values:
    """Float32 (outputs tried, length): pixels whose weighted sum at one output is nothing but its rounding."""
    size, length = matrix.shape
    values = np.random.default_rng(0).integers(0, 256, (_TRIED, length)).astype(np.float32)
    for row, output in zip(values, np.linspace(0, size - 1, _TRIED).astype(int), strict=True):
        taps = matrix.indices[matrix.indptr[output] : matrix.indptr[output + 1]]
        weights = matrix.data[matrix.indptr[output] : matrix.indptr[output + 1]]
        largest = np.argsort(-np.abs(weights), kind="stable")[:2]
        row[taps[largest]] = 0
        for tap in largest:  # the second cancels what rounding left of the first
            row[taps[tap]] = -(weights @ row[taps].astype(np.float64)) / weights[tap]
    return values


def _bicubic(distance: NDArray[np.float64]) -> NDArray[np.float64]:
    """The kernel of Keys with a = -1/2, as Pillow writes it."""
    x = np.abs(distance)
    near, far = (1.5 * x - 2.5) * x * x + 1, (((x - 5) * x + 8) * x - 4) * -0.5
    return np.where(x < 1, near, np.where(x < 2, far, 0.0))
