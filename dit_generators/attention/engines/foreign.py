"""Engines of other packages: whatever fails in them is an AttentionError that keeps the reason."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from ...errors import AttentionError

_working: set[tuple[str, torch.device, torch.dtype]] = set()


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


@contextmanager
def imported(name: str, instead: str, install: str) -> Iterator[None]:
    """The same for the import of a package: a wheel for another torch fails in many ways."""
    try:
        yield
    except Exception as error:
        raise AttentionError(
            f"{name} cannot be used here ({describe(error)}); {install}, or use attention {instead}, "
            "which computes the same"
        ) from error


def probe(
    name: str, instead: str, attend: Callable[[Tensor], object], device: torch.device, dtype: torch.dtype
) -> None:
    """Call an engine once on 4 x 4 tokens, (1, 1, 16, 32), for each device and type; a failure is tried again."""
    key = (name, device, dtype)
    if torch.compiler.is_compiling() or key in _working:
        return
    with reasoned(name, instead), torch.no_grad():
        attend(torch.zeros(1, 1, 16, 32, device=device, dtype=dtype))
    _working.add(key)


def describe(error: Exception) -> str:
    """The first line of an exception, with its type where that says more."""
    text = (str(error).strip() or "no reason given").splitlines()[0][:200]
    return text if isinstance(error, (AttentionError, ImportError)) else f"{type(error).__name__}: {text}"
