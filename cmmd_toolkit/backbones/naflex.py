"""SigLIP 2 NaFlex: pictures keep their aspect, so a network input is patches, a mask and the patch grid's shape.

The three travel through the pipeline as one float32 array, so that a backbone's contract stays one array a picture:
`packed[:-1, :-1]` the patches (N, D), `packed[:-1, -1]` the mask, `packed[-1, :2]` rows and columns of the grid.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray


def is_naflex(prepared: Mapping[str, Any]) -> bool:
    """Whether a processor's output is of this kind."""
    return "spatial_shapes" in prepared


def pack(prepared: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
    """The processor's output for one picture as one array (N + 1, D + 1)."""
    patches = prepared["pixel_values"][0]
    packed = np.zeros((patches.shape[0] + 1, patches.shape[1] + 1), np.float32)
    packed[:-1, :-1] = patches
    packed[:-1, -1] = prepared["pixel_attention_mask"][0]
    packed[-1, :2] = prepared["spatial_shapes"][0]
    return packed


def unpack(packed: torch.Tensor) -> dict[str, torch.Tensor]:
    """The network's arguments for a batch of packed pictures (B, N + 1, D + 1)."""
    return {
        "pixel_values": packed[:, :-1, :-1],
        "pixel_attention_mask": packed[:, :-1, -1].to(torch.int32),
        "spatial_shapes": packed[:, -1, :2].to(torch.int64),
    }
