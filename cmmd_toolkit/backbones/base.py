"""The contract of a backbone: RGB pixels in, one feature vector a picture out."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..common.devices import full_float32, memory_of
from ..common.text import first_line
from ..errors import DeviceError, WeightsError
from .precision import FULL, Precision, computing_in, remarks_on
from .preprocess import NetworkInput, Preprocess
from .side_by_side import side_by_side

if TYPE_CHECKING:
    import torch

Encode = Callable[["torch.Tensor"], "torch.Tensor"]


@dataclass(frozen=True)
class Backbone:
    """A loaded network with its preprocessing.

    Attributes:
        name: the registry name, e.g. "clip".
        model: the published model or the local path that was loaded.
        dim: the number of features D.
        preprocess: RGB uint8 (H, W, 3) to float32 (3, h, w); runs in the decoding threads.
        encode: float32 tensor (B, 3, h, w) on `device` to (B, D).
        device: "cpu", "cuda", ...
        provenance: what defines the features: model, weights' SHA-256, preprocessing.
        remarks: what the user should know about how it was loaded.
        chunk: pictures per forward pass where fewer than a batch are faster, None for the whole batch.
        side_by_side: whether chunks run at the same time, in one thread each.
        read_classifier: gives `classifier`; None where the network has none.
        unknown: what that determines its features is not known, so that the store must not keep them.
        precision: of the products in the network; pictures and features are float32 whatever it is.
    """

    name: str
    model: str
    dim: int
    preprocess: Preprocess
    encode: Encode
    device: str
    provenance: Mapping[str, Any]
    remarks: tuple[str, ...] = ()
    chunk: int | None = None
    side_by_side: bool = False
    read_classifier: Callable[[], NDArray[np.float32]] | None = None
    unknown: str | None = None
    precision: Precision = FULL

    def at(self, precision: Precision) -> "Backbone":
        """The same network in another precision, which is part of its provenance."""
        provenance = {**self.provenance, "precision": precision}
        remarks = (*self.remarks, *remarks_on(precision, self.device))
        return replace(self, precision=precision, provenance=provenance, remarks=remarks)

    @property
    def classifier(self) -> NDArray[np.float32] | None:
        """Float32 (classes, D), class logits = features @ classifier.T; None where it has none."""
        return None if self.read_classifier is None else self.read_classifier()

    def embed(self, batch: list[NetworkInput], names: Sequence[str] = ()) -> NDArray[np.float32]:
        """Features float32 (B, D) of preprocessed pictures, finite; `names` are for the message of the WeightsError."""
        size = self.chunk or len(batch)
        chunks = [batch[i : i + size] for i in range(0, len(batch), size)]
        with memory_of(self.device, "use a smaller `batch_size`"), full_float32():
            parts = side_by_side(self._encoded, chunks) if self.side_by_side else map(self._encoded, chunks)
            rows = np.concatenate(list(parts))
        self._check_finite(rows, names)
        return rows

    def _encoded(self, batch: list[NetworkInput]) -> NDArray[np.float32]:
        import torch

        with torch.inference_mode(), computing_in(self.precision, self.device):  # in this thread
            features = self.encode(torch.from_numpy(np.stack(batch)).to(self.device)).float().cpu()
        return np.asarray(features)

    def _check_finite(self, rows: NDArray[np.float32], names: Sequence[str]) -> None:
        first = first_odd(rows)
        if first is not None:
            picture = names[first] if names else f"picture {first} of the batch"
            advice = (
                "download them again or use another backbone" if self.precision == FULL else "try `precision='fp32'`"
            )
            raise WeightsError(
                f"backbone {self.name} ({self.model}): NaN or infinity in its features, first for {picture}; its "
                f"weights are damaged or overflow: {advice}"
            )


def first_odd(rows: NDArray[np.float32]) -> int | None:
    """The first row with NaN or infinity, None where all are finite."""
    odd = np.flatnonzero(~np.isfinite(rows).all(axis=1))
    return int(odd[0]) if len(odd) else None


def is_weight(name: object, value: Any) -> bool:
    """Whether this is an entry of a state dict: a name, and a tensor whose real numbers are there."""
    import torch

    return (
        isinstance(name, str)
        and isinstance(value, torch.Tensor)
        and value.layout == torch.strided
        and not (value.is_complex() or value.is_meta or value.is_quantized)
    )


def probe_dim(encode: Encode, preprocess: Preprocess, device: str, model: str) -> int:
    """The width of the features, by encoding one grey picture: checkpoints do not all say it the same way."""
    import torch

    with torch.inference_mode(), _probing(model):
        return int(encode(torch.from_numpy(preprocess(_grey()))[None].to(device)).shape[1])


def check_works(loaded: Backbone) -> None:
    """Raise WeightsError before hours of work when one grey picture has no finite features."""
    with _probing(loaded.model):
        loaded.embed([loaded.preprocess(_grey())], ["a grey picture"])


@contextmanager
def _probing(model: str) -> Iterator[None]:
    try:
        yield
    except (WeightsError, DeviceError):
        raise
    except Exception as error:  # whatever weights, configuration and preprocessing that do not fit together raise
        reason = first_line(error)
        raise WeightsError(f"{model}: cannot embed a grey picture ({reason}); fetch its files again") from error


def _grey() -> NDArray[np.uint8]:
    return np.full((32, 32, 3), 128, np.uint8)


@contextmanager
def cpu_threads(count: int) -> Iterator[None]:
    """Limit torch to `count` threads: a small network that spins on every core starves the decoding threads."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
