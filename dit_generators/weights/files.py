"""One file of weights, read without running code from it: safetensors, or what torch.save wrote."""

import argparse
import json
import pickle
import re
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ..errors import ArgumentError, CheckpointError
from ..network.autoencoder_record import AutoencoderRecord
from ..network.config import DiTConfig
from ..network.process import Process, process_from_json
from .digest import weights_digest
from .family import Told
from .foreign import check_args, check_content
from .names import State
from .wrappings import arguments_of, check_arguments, plain_state, told_classes, told_heads, unwrap

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
        heads: the number of heads by width, and classes the number of classes, from a training script's arguments.
        chosen: whether the file held a model's two sets of weights and one of them was taken.
        told: what those arguments, or the metadata of others, say of the family.
    """

    state: State
    config: DiTConfig | None = None
    autoencoder: AutoencoderRecord | None = None
    heads: Mapping[int, int] = field(default_factory=dict)
    classes: int | None = None
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
    check_args(metadata, str(path))
    config = _parse_config(metadata[CONFIG_KEY], path, len(state)) if CONFIG_KEY in metadata else None
    record = metadata.get(AUTOENCODER_KEY)
    return WeightsFile(
        state=plain_state(state, str(path)),
        config=config,
        autoencoder=AutoencoderRecord.from_json(record, str(path)) if record else None,
        process=_parse_process(metadata[PROCESS_KEY], path) if PROCESS_KEY in metadata else None,
        told=Told.by([metadata]),
    )


def _parse_process(text: str, path: Path) -> Process:
    try:
        return process_from_json(text)
    except ArgumentError as error:
        raise CheckpointError(f"{path}: the process inside is not usable ({error})") from error


def _parse_config(text: str, path: Path, tensors: int) -> DiTConfig:
    try:
        fields = json.loads(text)
        check_depth(fields.get("depth"), tensors)
        return DiTConfig.from_dict(fields)
    except (ValueError, AttributeError, RecursionError, OverflowError) as error:
        raise CheckpointError(f"{path}: the configuration inside is not usable ({error})") from error


def check_depth(depth: Any, tensors: int) -> None:
    """Raise ArgumentError for more blocks than there are weights, before anything is made for each of them."""
    if isinstance(depth, int) and depth > tensors:
        raise ArgumentError(f"{depth} blocks, but {tensors} weights in all")


def _read_pickled(path: Path, weights: str | None) -> WeightsFile:
    """A state dict, or train.py's {"model", "ema", "opt", "args"}; args may be an argparse.Namespace, nothing else."""
    content = _load_pickle(path)
    if not isinstance(content, Mapping):
        raise CheckpointError(f"{path}: expected a state dict, found {type(content).__name__}")
    check_arguments(content, str(path))
    inner, chosen = unwrap(content, weights, str(path))
    return WeightsFile(
        state=plain_state(inner, str(path)),
        heads=told_heads(content),
        classes=told_classes(content),
        chosen=chosen,
        told=Told.by(arguments_of(content)),
    )


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
