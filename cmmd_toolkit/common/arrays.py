"""Whatever holds numbers as a plain NumPy array, or one line that says why it cannot."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ArgumentError

_MASKED = "expected an array without a mask, got a masked one; drop the masked rows first"


def as_array(values: Any, name: str, expected: str = "numbers of shape (N, D)") -> NDArray[Any]:
    """A plain array of any shape and type, or an ArgumentError.

    Tensors on other devices or with gradients are copied; those without dense numbers (sparse, meta, quantised,
    nested) are refused, as are masked arrays, in a list too: NumPy would take what is under the mask for data.
    """
    if any(map(_is_masked, _parts(values))):
        raise ArgumentError(f"{name}: {_MASKED}")
    try:
        return np.asarray(_without_torch(values))
    except Exception as error:  # TypeError, ValueError, RuntimeError, or whatever a foreign __array__ raises
        kind, reason = type(values).__name__, str(error).split("\n")[0][:100]
        raise ArgumentError(f"{name}: expected {expected}, got a {kind} ({reason})") from error


def shape_of(values: Any) -> tuple[int, ...]:
    """The shape of an array or tensor, () for what has none; a nested tensor raises when it is asked."""
    try:
        return tuple(values.shape)
    except Exception:  # AttributeError, RuntimeError, or a shape that is no sequence
        return ()


def is_array(values: Any) -> bool:
    """Whether this is an array or a tensor, of any kind and shape."""
    return is_tensor(values) or (hasattr(values, "shape") and hasattr(values, "dtype"))


def is_tensor(values: Any) -> bool:
    """Whether this is a torch.Tensor or a subclass of it; torch is not imported for the question."""
    return any(kind.__module__ == "torch" and kind.__name__ == "Tensor" for kind in type(values).__mro__)


def _is_masked(values: Any) -> bool:
    return isinstance(values, np.ma.MaskedArray) or (is_tensor(values) and type(values).__name__ == "MaskedTensor")


def _parts(values: Any) -> Iterator[Any]:
    """The value itself, and what lists of it hold two levels deep."""
    yield values
    for item in values if isinstance(values, (list, tuple)) else ():
        yield item
        yield from item if isinstance(item, (list, tuple)) else ()


def _without_torch(values: Any) -> Any:
    if isinstance(values, (list, tuple)) and any(map(is_tensor, values)):
        return [_without_torch(item) for item in values]
    return _numbers(values) if is_tensor(values) else values


def _numbers(tensor: Any) -> NDArray[Any]:
    """A dense tensor's numbers; halves and eighths, which numpy lacks, as float32."""
    tensor = tensor.detach().cpu().resolve_conj().resolve_neg()
    small = tensor.dtype.itemsize < 4 and tensor.dtype.is_floating_point
    found: NDArray[Any] = (tensor.float() if small else tensor).numpy()
    return found
