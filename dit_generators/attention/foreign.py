"""Engines of other packages: whatever fails in them is an AttentionError that keeps the reason."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from ..errors import AttentionError


@contextmanager
def reasoned(name: str, instead: str) -> Iterator[None]:
    """Turn any exception but a full memory into an AttentionError; `instead` is an attention that computes the same."""
    try:
        yield
    except (AttentionError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        reason = describe(error)
        raise AttentionError(
            f"{name} failed here ({reason}); use attention {instead}, which computes the same"
        ) from error


def describe(error: Exception) -> str:
    """The first line of an exception, with its type where that says more."""
    text = (str(error).strip() or "no reason given").splitlines()[0][:200]
    return text if isinstance(error, (AttentionError, ImportError)) else f"{type(error).__name__}: {text}"
