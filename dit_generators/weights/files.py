"""One file of weights, read without running code from it: safetensors, or what torch.save wrote."""

import argparse
import json
import pickle
import re
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ..common.files import read_text
from ..errors import ArgumentError, CheckpointError
from ..network.autoencoder_record import AutoencoderRecord
from ..network.config import DiTConfig
from ..network.process import Process, process_from_fields
from .digest import weights_digest
from .family import Told
from .foreign import check_args, check_content
from .names import State
from .wrappings import arguments_of, plain_state, unwrap

CONFIG_KEY = "dit_config"
AUTOENCODER_KEY = "dit_autoencoder"
PROCESS_KEY = "dit_process"
CHECKSUM_KEY = "dit_sha256"
PICKLED = (".pt", ".pth", ".bin", ".ckpt")
_CODE = re.compile(
    r"[Uu]nsupported (?:global|GLOBAL|class)|not an allowed global|reduce for unrecognized|nstantiat|Can only"
)


@dataclass(frozen=True)
class WeightsFile:
    """What one file says.

    Attributes:
        state: weights by name.
        config, autoencoder, process: from our own metadata.
        chosen: whether the file held a model's two sets of weights and one of them was taken.
        told: what a training script's arguments, or the metadata of others, say.
    """

    state: State
    config: DiTConfig | None = None
    autoencoder: AutoencoderRecord | None = None
    chosen: bool = False
    process: Process | None = None
    told: Told = field(default_factory=Told)


def read_weights(path: Path, weights: str | None) -> WeightsFile:
    """Read a file by its content; `weights` chooses where it has both "ema" and "model"."""
    if path.suffix != ".safetensors" and path.suffix not in PICKLED:
        raise CheckpointError(f"{path}: expected a .safetensors or .pt file, or a folder")
    check_content(path)
    found = _read_safetensors(path) if _is_safetensors(path) else _read_pickled(path, weights)
    _check_tensors(found.state, path)
    return found


def _is_safetensors(path: Path) -> bool:
    """Whether it begins with the length of a header and the header's brace, or claims to by its name alone."""
    with path.open("rb") as stream:
        start = stream.read(9)
    if start[8:] == b"{":
        return True
    return path.suffix == ".safetensors" and not start.startswith((b"PK", b"\x80"))


def _read_safetensors(path: Path) -> WeightsFile:
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, RuntimeError, ValueError, KeyError, AttributeError) as error:
        raise CheckpointError(
            f"{path}: damaged or cut short ({_first_line(error)}); fetch or write it again"
        ) from error
    checksum = metadata.pop(CHECKSUM_KEY, None)
    if checksum is not None and checksum != weights_digest(state, metadata):
        raise CheckpointError(f"{path}: damaged, its checksum differs; fetch or write it again")
    check_args([metadata], str(path))
    config = record = process = None
    with usable(path, "configuration inside"):
        if CONFIG_KEY in metadata:
            fields = json.loads(metadata[CONFIG_KEY])
            check_depth(fields.get("depth"), len(state))
            config = DiTConfig.from_dict(fields)
    with usable(path, "record of its autoencoder"):
        if AUTOENCODER_KEY in metadata:
            record = AutoencoderRecord.from_dict(json.loads(metadata[AUTOENCODER_KEY]), str(path))
    with usable(path, "process inside"):
        if PROCESS_KEY in metadata:
            process = process_from_fields(json.loads(metadata[PROCESS_KEY]))
    weights, told = plain_state(state, str(path)), Told.by([metadata])
    return WeightsFile(weights, config, record, process=process, told=told)


@contextmanager
def usable(where: object, what: str) -> Iterator[None]:
    """Raise CheckpointError that names `what` where the fields of a file cannot be it."""
    try:
        yield
    except (TypeError, ValueError, AttributeError, RecursionError, OverflowError) as error:
        raise CheckpointError(f"{where}: the {what} is not usable ({error})") from error


def read_fields(path: Path, advice: str) -> dict[str, Any]:
    """The fields of a JSON file; raises CheckpointError, which ends with the advice, for any other."""
    try:
        fields = json.loads(read_text(path))
    except FileNotFoundError as error:
        raise CheckpointError(f"{path}: no such file; {advice}") from error
    except (ValueError, OSError, RecursionError) as error:
        raise CheckpointError(f"{path}: not readable JSON ({error}); {advice}") from error
    if not isinstance(fields, dict):
        raise CheckpointError(f"{path}: expected the fields of a configuration; {advice}")
    return fields


def check_depth(depth: Any, tensors: int) -> None:
    """Raise ArgumentError for more blocks than there are weights, before anything is made for each of them."""
    if isinstance(depth, int) and depth > tensors:
        raise ArgumentError(f"{depth} blocks, but {tensors} weights in all")


def _read_pickled(path: Path, weights: str | None) -> WeightsFile:
    """A state dict, or train.py's {"model", "ema", "opt", "args"}; args may be an argparse.Namespace, nothing else."""
    content = _load_pickle(path)
    if not isinstance(content, Mapping):
        raise CheckpointError(f"{path}: expected a state dict, found {type(content).__name__}")
    arguments = arguments_of(content)
    check_args(arguments, str(path))
    inner, chosen = unwrap(content, weights, str(path))
    return WeightsFile(plain_state(inner, str(path)), chosen=chosen, told=Told.by(arguments))


def _load_pickle(path: Path) -> Any:
    try:
        with torch.serialization.safe_globals([argparse.Namespace, *_numpy_values()]), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of torch, on what is refused below
            zipped = zipfile.is_zipfile(path)
            if zipped:
                _check_sums(path)
            if path.suffix in PICKLED:
                return torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
            with path.open("rb") as stream:  # torch would go by a name that is wrong
                return torch.load(stream, map_location="cpu", weights_only=True)
    except Exception as error:  # damage shows as RuntimeError, EOFError, KeyError, IndexError, ...
        if isinstance(error, pickle.UnpicklingError) and _CODE.search(str(error)):
            raise CheckpointError(
                f"{path}: holds more than tensors and plain values, so it could run code; it was not opened. "
                "Save its state dict alone, or as .safetensors"
            ) from error
        raise CheckpointError(
            f"{path}: damaged or cut short ({_first_line(error)}); fetch or write it again"
        ) from error


def _check_sums(path: Path) -> None:
    """The checksums of the archive, which torch.load does not look at."""
    with zipfile.ZipFile(path) as archive:
        if wrong := archive.testzip():
            raise ValueError(f"wrong checksum of {wrong}")


def _first_line(error: BaseException) -> str:
    reason = str(error).partition("WeightsUnpickler error: ")[2] or str(error)
    return (reason.strip().splitlines() or [type(error).__name__])[0]


def _numpy_values() -> list[Any]:
    """What NumPy's numbers and arrays are made of in a pickle, such as a best loss; no code runs in them."""
    scalar, array = np.float64(0).__reduce__()[0], np.zeros(0).__reduce__()[0]
    kinds = [type(np.dtype(kind)) for kind in ("?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8")]
    homes = [
        (value, f"numpy.{core}.multiarray.{name}")
        for value, name in ((scalar, "scalar"), (array, "_reconstruct"))
        for core in ("core", "_core")
    ]
    return [*homes, np.dtype, np.ndarray, *kinds]


def _check_tensors(state: Mapping[str, Tensor], path: Path) -> None:
    """Plain numbers in memory, each as large as the file at most: a small file cannot claim a large tensor."""
    size = path.stat().st_size
    for name, value in state.items():
        plain = value.layout == torch.strided and value.device.type == "cpu" and not value.is_quantized
        if not plain or not value.is_floating_point():
            raise CheckpointError(f"{path}: {name} is a {value.dtype} tensor, expected plain floating-point weights")
        if value.numel() * value.element_size() > size:
            raise CheckpointError(f"{path}: damaged: {name} has shape {tuple(value.shape)}, more than the file holds")
