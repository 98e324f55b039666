"""Window attention on tiles with a halo: exact, linear in tokens, plain torch, trains on any device.

The grid is cut into tiles of T x T queries. All queries of a tile see keys inside one block of
(T + window - 1)^2 tokens; that block is copied once for the tile and attention runs under a small constant mask.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from ..neighbours import Window, additive
from ..tables import made_once

_CHUNK_BYTES = 2 << 20  # copies of one step that stay in a CPU's cache: measured, see benchmarks/window.py


@dataclass(frozen=True)
class _Tiles:
    count: int
    query_index: Tensor  # int64 (tiles * queries,)
    key_index: Tensor  # int64 (tiles * keys,)
    place: Tensor  # int64 (N,): where each token's result stands among the tiled queries
    mask: Tensor  # (tiles, 1, queries, keys), 0 or -inf


def halo_window(query: Tensor, key: Tensor, value: Tensor, window: Window) -> Tensor:
    """(B, heads, N, head_dim) -> the same shape; memory grows with N."""
    tiles = _tiles(window, query.dtype, query.device)
    if query.device.type != "cpu" or torch.compiler.is_compiling():  # steps would be a graph for each size of a batch
        return _attend(query, key, value, tiles)
    batch, heads, tokens, width = query.shape
    rows = [x.reshape(1, batch * heads, tokens, width) for x in (query, key, value)]
    step = _rows_per_step(tiles, query)
    chunks = [[x[:, i : i + step] for x in rows] for i in range(0, batch * heads, step)]
    parts = [_attend(q, k, v, tiles) for q, k, v in chunks]
    return torch.cat(parts, dim=1).reshape(batch, heads, tokens, width)


def tile_size(window: Window) -> int:
    """Edge T of a tile: measured on two CPU cores, small tiles waste less for small windows."""
    return 4 if max(window.size) <= 5 else 8


def keys_per_tile(window: Window) -> int:
    """How many keys each query is multiplied with."""
    tile = tile_size(window)
    rows, columns = (min(length, tile + size - 1) for length, size in zip(window.grid, window.size, strict=True))
    return rows * columns


def _attend(query: Tensor, key: Tensor, value: Tensor, tiles: _Tiles) -> Tensor:
    """(B, heads, N, head_dim) -> the same shape; tiles take the place of the batch. Strides may be any."""
    batch, heads = query.shape[:2]

    def tiled(x: Tensor, index: Tensor) -> Tensor:
        return x.index_select(2, index).flatten(0, 1).unflatten(1, (tiles.count, -1)).transpose(0, 1)

    result = F.scaled_dot_product_attention(
        tiled(query, tiles.query_index), tiled(key, tiles.key_index), tiled(value, tiles.key_index), tiles.mask
    )
    return result.transpose(0, 1).flatten(1, 2).index_select(1, tiles.place).unflatten(0, (batch, heads))


def _rows_per_step(tiles: _Tiles, query: Tensor) -> int:
    return max(1, _CHUNK_BYTES // (len(tiles.key_index) * query.shape[-1] * query.element_size()))


def _tiles(window: Window, dtype: torch.dtype, device: torch.device) -> _Tiles:
    tile = tile_size(window)
    count = math.ceil(window.grid[0] / tile) * math.ceil(window.grid[1] / tile)
    return _Tiles(
        count,
        _queries(window, tile, device),
        _keys(window, tile, device),
        _place(window, tile, device),
        _mask(window, tile, dtype, device),
    )


@made_once
def _queries(window: Window, tile: int, device: torch.device) -> Tensor:
    return _tokens(window, tile, 0).to(device)


@made_once
def _keys(window: Window, tile: int, device: torch.device) -> Tensor:
    return _tokens(window, tile, 1).to(device)


@made_once
def _place(window: Window, tile: int, device: torch.device) -> Tensor:
    queries = _tokens(window, tile, 0)
    place = torch.empty(window.tokens, dtype=torch.int64)
    place[queries] = torch.arange(len(queries))
    return place.to(device)


@made_once
def _mask(window: Window, tile: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    (_, row_keys, rows), (_, column_keys, columns) = (_axis_tiles(window, axis, tile) for axis in (0, 1))
    mask = rows[:, None, :, None, :, None] & columns[None, :, None, :, None, :]
    keys = row_keys.shape[1] * column_keys.shape[1]
    return additive(mask.reshape(len(rows) * len(columns), 1, -1, keys), dtype).to(device)


def _tokens(window: Window, tile: int, part: int) -> Tensor:
    """Token numbers of the queries (part 0) or the keys (1) of all tiles, tile by tile."""
    rows, columns = (_axis_tiles(window, axis, tile)[part] for axis in (0, 1))
    return (rows[:, None, :, None] * window.grid[1] + columns[None, :, None, :]).reshape(-1)


def _axis_tiles(window: Window, axis: int, tile: int) -> tuple[Tensor, Tensor, Tensor]:
    """Positions of queries (tiles, T) and keys (tiles, T + window - 1), and who sees whom (tiles, T, keys).

    The last tile repeats the last position where T does not divide the axis; `place` leaves the copies out.
    """
    length, size = window.grid[axis], window.size[axis]
    tile = min(tile, length)
    keys = min(length, tile + size - 1)
    starts = torch.arange(0, length, tile)
    queries = (starts[:, None] + torch.arange(tile)).clamp(max=length - 1)
    key_positions = (starts - size // 2).clamp(0, length - keys)[:, None] + torch.arange(keys)
    visible = window.visible(axis)[queries[:, :, None], key_positions[:, None, :]]
    return queries, key_positions, visible
