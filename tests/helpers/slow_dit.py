"""A DiT, SiT or LightningDiT as a slow formula: float64 NumPy, straight from a state dict, one image at a time."""

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[np.float64]
Weights = dict[str, Array]


def slow_forward(
    state: Mapping[str, Tensor],
    x: Array,
    time: float,
    label: int | None,
    num_heads: int,
    mask: Array | None = None,
) -> Array:
    """What the network gives for one x (C, H, W); `mask` (N, N) is true where a query sees a key."""
    w = {name: value.double().numpy() for name, value in state.items()}
    patch = w["x_embedder.proj.weight"].shape[-1]
    tokens = _embed(w, x, patch) + w["pos_embed"][0]
    c = _time(w, time)
    if label is not None:
        c = c + w["y_embedder.embedding_table.weight"][label]
    depth = 1 + max(int(name.split(".")[1]) for name in w if name.startswith("blocks."))
    side = round(len(tokens) ** 0.5)
    for i in range(depth):
        block = {n.removeprefix(f"blocks.{i}."): v for n, v in w.items() if n.startswith(f"blocks.{i}.")}
        vectors = _linear(block, "adaLN_modulation.1", _silu(c))
        parts = np.split(vectors, len(vectors) // len(c))
        if len(parts) == 4:  # no shift
            zero = np.zeros_like(c)
            parts = [zero, parts[0], parts[1], zero, parts[2], parts[3]]
        inner = _norm(block, "norm1", tokens) * (1 + parts[1]) + parts[0]
        tokens = tokens + parts[2] * _attention(block, inner, num_heads, side, "feat_rope.freqs_cos" in w, mask)
        inner = _norm(block, "norm2", tokens) * (1 + parts[4]) + parts[3]
        tokens = tokens + parts[5] * _feed_forward(block, inner)
    shift, scale = np.split(_linear(w, "final_layer.adaLN_modulation.1", _silu(c)), 2)
    out = _linear(w, "final_layer.linear", _norm(w, "final_layer.norm_final", tokens) * (1 + scale) + shift)
    channels = out.shape[-1] // patch**2
    image = np.zeros((channels, side * patch, side * patch))
    for n in range(len(out)):
        row, column = divmod(n, side)
        square = out[n].reshape(patch, patch, channels).transpose(2, 0, 1)
        image[:, row * patch : (row + 1) * patch, column * patch : (column + 1) * patch] = square
    return image


def rotated(vector: Array, row: int, column: int) -> Array:
    """Pairs of channels as complex numbers, times exp(i p w): rows turn the first half, columns the second."""
    half = len(vector) // 2
    pairs = vector[0::2] + 1j * vector[1::2]
    count = half // 2
    for k in range(2 * count):
        position, number = (row, k) if k < count else (column, k - count)
        pairs[k] *= np.exp(1j * position * 10000 ** (-2 * number / half))
    out = np.empty_like(vector)
    out[0::2], out[1::2] = pairs.real, pairs.imag
    return out


def _embed(w: Weights, x: Array, patch: int) -> Array:
    side = x.shape[1] // patch
    cut = lambda r, c: x[:, r * patch : (r + 1) * patch, c * patch : (c + 1) * patch]  # noqa: E731
    rows = [
        np.tensordot(w["x_embedder.proj.weight"], cut(r, c), 3) + w["x_embedder.proj.bias"]
        for r in range(side)
        for c in range(side)
    ]
    return np.stack(rows)


def _time(w: Weights, time: float) -> Array:
    angles = time * np.exp(-math.log(10000) * np.arange(128) / 128)
    hidden = _linear(w, "t_embedder.mlp.0", np.concatenate([np.cos(angles), np.sin(angles)]))
    return _linear(w, "t_embedder.mlp.2", _silu(hidden))


def _attention(block: Weights, x: Array, num_heads: int, side: int, rotary: bool, mask: Array | None) -> Array:
    width = x.shape[1] // num_heads
    q, k, v = np.split(_linear(block, "attn.qkv", x), 3, axis=1)
    heads = []
    for h in range(num_heads):
        own = slice(h * width, (h + 1) * width)
        query, key = q[:, own], k[:, own]
        if "attn.q_norm.weight" in block:
            query, key = _norm(block, "attn.q_norm", query, 1e-5), _norm(block, "attn.k_norm", key, 1e-5)
        if rotary:
            query, key = (np.stack([rotated(row, *divmod(n, side)) for n, row in enumerate(m)]) for m in (query, key))
        scores = query @ key.T / width**0.5
        if mask is not None:
            scores = np.where(mask, scores, -np.inf)
        share = np.exp(scores - scores.max(axis=1, keepdims=True))
        heads.append(share / share.sum(axis=1, keepdims=True) @ v[:, own])
    return _linear(block, "attn.proj", np.concatenate(heads, axis=1))


def _feed_forward(block: Weights, x: Array) -> Array:
    if "mlp.w12.weight" in block:
        gate, value = np.split(_linear(block, "mlp.w12", x), 2, axis=1)
        return _linear(block, "mlp.w3", _silu(gate) * value)
    hidden = _linear(block, "mlp.fc1", x)
    gelu = 0.5 * hidden * (1 + np.tanh((2 / math.pi) ** 0.5 * (hidden + 0.044715 * hidden**3)))
    return _linear(block, "mlp.fc2", gelu)


def _norm(weights: Weights, name: str, x: Array, layer_eps: float = 1e-6) -> Array:
    """RMSNorm where there is a weight alone, LayerNorm where there is a bias, too, or nothing."""
    weight, bias = weights.get(f"{name}.weight"), weights.get(f"{name}.bias")
    if weight is not None and bias is None:
        return x / np.sqrt((x**2).mean(axis=-1, keepdims=True) + 1e-6) * weight
    centred = x - x.mean(axis=-1, keepdims=True)
    normal = centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + layer_eps)
    return normal if weight is None or bias is None else normal * weight + bias


def _linear(weights: Weights, name: str, x: Array) -> Array:
    return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]


def _silu(x: Array) -> Array:
    return x / (1 + np.exp(-x))
