"""Window attention on tiles with a halo: exact, linear in tokens, plain torch, trains on any device.

The grid is cut into tiles of T x T queries. All queries of a tile see keys inside one block of
(T + window - 1)^2 tokens; that block is copied once for the tile and attention runs under a small constant mask.
"""

from dataclasses import dataclass
from functools import lru_cache

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from ..neighbours import Window, additive

_CHUNK_BYTES = 2 << 20  # copies of one step that stay in a CPU's cache: measured, see benchmarks/window.py


@dataclass(frozen=True)
class _Tiles:
    query_index: Tensor  # int64 (tiles * queries,)
    key_index: Tensor  # int64 (tiles * keys,)
    place: Tensor  # int64 (N,): where each token's result stands among the tiled queries
    mask: Tensor  # (tiles, 1, queries, keys), 0 or -inf


def halo_window(query: Tensor, key: Tensor, value: Tensor, window: Window) -> Tensor:
    """(B, heads, N, head_dim) -> the same shape; memory grows with N."""
    tiles = _tiles(window, tile_size(window), query.dtype, query.device)
    batch, heads, tokens, width = query.shape
    rows = [x.reshape(batch * heads, tokens, width) for x in (query, key, value)]
    step = _rows_per_step(tiles, query)
    chunks = [[x[i : i + step] for x in rows] for i in range(0, batch * heads, step)]
    parts = [_attend(q, k, v, tiles) for q, k, v in chunks]
    return torch.cat(parts).reshape(batch, heads, tokens, width)


def tile_size(window: Window) -> int:
    """Edge T of a tile: measured on two CPU cores, small tiles waste less for small windows."""
    return 4 if max(window.size) <= 5 else 8


def keys_per_tile(window: Window) -> int:
    """How many keys each query is multiplied with."""
    tile = tile_size(window)
    rows, columns = (min(length, tile + size - 1) for length, size in zip(window.grid, window.size, strict=True))
    return rows * columns


def _attend(query: Tensor, key: Tensor, value: Tensor, tiles: _Tiles) -> Tensor:
    """(R, N, head_dim) -> the same shape, R rows of batch and heads; tiles take the place of the batch."""
    count = tiles.mask.shape[0]

    def tiled(x: Tensor, index: Tensor) -> Tensor:
        return x.index_select(1, index).unflatten(1, (count, -1)).transpose(0, 1)

    result = F.scaled_dot_product_attention(
        tiled(query, tiles.query_index), tiled(key, tiles.key_index), tiled(value, tiles.key_index), tiles.mask
    )
    return result.transpose(0, 1).flatten(1, 2).index_select(1, tiles.place)


def _rows_per_step(tiles: _Tiles, query: Tensor) -> int:
    if query.device.type != "cpu":
        return query.shape[0] * query.shape[1]
    return max(1, _CHUNK_BYTES // (len(tiles.key_index) * query.shape[-1] * query.element_size()))


@lru_cache(maxsize=8)
def _tiles(window: Window, tile: int, dtype: torch.dtype, device: torch.device) -> _Tiles:
    with torch.inference_mode(False):
        row_queries, row_keys, row_mask = _axis_tiles(window, 0, tile)
        column_queries, column_keys, column_mask = _axis_tiles(window, 1, tile)
        width = window.grid[1]
        query_index = (row_queries[:, None, :, None] * width + column_queries[None, :, None, :]).reshape(-1)
        key_index = (row_keys[:, None, :, None] * width + column_keys[None, :, None, :]).reshape(-1)
        place = torch.empty(window.tokens, dtype=torch.int64)
        place[query_index] = torch.arange(len(query_index))
        count = len(row_queries) * len(column_queries)
        mask = row_mask[:, None, :, None, :, None] & column_mask[None, :, None, :, None, :]
        mask = mask.reshape(count, 1, len(query_index) // count, len(key_index) // count)
        return _Tiles(query_index.to(device), key_index.to(device), place.to(device), additive(mask, dtype).to(device))


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
