"""One name for a set of weights: a hash of their names and bytes."""

import hashlib
from collections.abc import Mapping

import torch
from torch import Tensor


def weights_digest(state: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> str:
    """SHA-256 over names and bytes of all weights, in the order of their names; and over what a file says of them."""
    digest = hashlib.sha256(repr(sorted(metadata.items())).encode() if metadata is not None else b"")
    for name in sorted(state):
        digest.update(name.encode())
        digest.update(state[name].detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
