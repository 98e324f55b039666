"""Read and write the weights of a DiT: our own file, official files, diffusers' folder, the hub. No pickled code."""

import argparse
import json
import pickle
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from .checkpoint_names import (
    State,
    config_from_diffusers,
    config_from_shapes,
    diffusers_config,
    from_diffusers,
    some,
    to_diffusers,
)
from .config import DiTConfig
from .errors import ArgumentError, CheckpointError
from .files import replacing, replacing_folder, write_safetensors, write_torch
from .foreign_checkpoints import check_args, check_content, check_family
from .hub import bundled_file, find_on_hub
from .model import DiT

_METADATA_KEY = "dit_config"
_PICKLED = (".pt", ".pth", ".bin", ".ckpt")
_PREFIXES = re.compile(r"(?:(?:module|_orig_mod)\.)*")


@dataclass(frozen=True)
class Checkpoint:
    """Weights under official names, their configuration, and where they were found."""

    config: DiTConfig
    state: State
    path: Path
    autoencoder: Path | None = None


def load_checkpoint(
    source: str | Path,
    config: DiTConfig | None = None,
    *,
    num_heads: int | None = None,
    weights: str = "ema",
    device: str | torch.device = "cpu",
) -> DiT:
    """A DiT in evaluation mode from a file, a folder, a bundled name or an id on the hub.

    Args:
        source: a .safetensors or .pt file with official names (released, fast-DiT, or written by train.py), a folder
            in the layout of facebook/DiT-XL-2-256 or the transformer folder in it, the folder of a training run, the
            name of a bundled checkpoint, or OWNER/NAME: first the local Hugging Face cache, then the hub.
        config: the shape, where the file does not tell it; by default read from the file's metadata or its shapes.
        num_heads: attention heads, for an official file of an unpublished width, whose shapes do not tell them.
        weights: which of train.py's two, "ema" or "model".
        device: where the model goes.

    Raises:
        CheckpointError: nothing there, damaged, of another network (the key is named), or a pickle with code in it.
    """
    checkpoint = read_checkpoint(source, config=config, num_heads=num_heads, weights=weights)
    return build_model(checkpoint).to(device)


def build_model(checkpoint: Checkpoint) -> DiT:
    """The network with these weights, in evaluation mode; every key and shape is checked."""
    with torch.device("meta"):
        model = DiT(checkpoint.config)
    _check_state(checkpoint.state, model.state_dict(), str(checkpoint.path))
    _check_finite(checkpoint.state, str(checkpoint.path))
    model.load_state_dict({name: value.float() for name, value in checkpoint.state.items()}, assign=True)
    model.pos_embed.requires_grad_(False)
    return model.eval()


def read_checkpoint(
    source: str | Path, *, config: DiTConfig | None = None, num_heads: int | None = None, weights: str = "ema"
) -> Checkpoint:
    """The weights of `source`, not yet in a network; arguments and errors as in `load_checkpoint`."""
    path = _locate(source)
    found = (
        _read_folder(path, config, num_heads, weights) if path.is_dir() else _read_one(path, config, num_heads, weights)
    )
    if num_heads is not None and num_heads != found.config.num_heads:
        raise CheckpointError(
            f"{found.path}: says that it has {found.config.num_heads} attention heads, num_heads says {num_heads}; "
            "leave it out"
        )
    return found


def _read_one(path: Path, config: DiTConfig | None, num_heads: int | None, weights: str) -> Checkpoint:
    state, found = _read_file(path, weights)
    if "pos_embed.proj.weight" in state:
        raise CheckpointError(f"{path}: has diffusers' names; give the folder that holds it and its config.json")
    check_family(state, str(path))
    return Checkpoint(config or found or config_from_shapes(state, num_heads, str(path)), state, path)


def save_checkpoint(model: DiT, target: str | Path) -> None:
    """Write weights and configuration as one .safetensors file, atomically."""
    write_checkpoint(Checkpoint(model.config, model.state_dict(), Path(target)), target)


def write_checkpoint(checkpoint: Checkpoint, target: str | Path, autoencoder: Path | None = None) -> None:
    """Write in the format that the name of `target` says: .safetensors, .pt (official), or a new folder (diffusers)."""
    target = Path(target)
    if not target.parent.is_dir():
        raise CheckpointError(f"{target}: the folder {target.parent} does not exist; create it first")
    state = {name: value.detach().cpu().contiguous() for name, value in checkpoint.state.items()}
    if target.suffix == ".safetensors":
        with replacing(target) as temporary:
            write_safetensors(state, temporary, {_METADATA_KEY: checkpoint.config.to_json()})
    elif target.suffix in _PICKLED:
        with replacing(target) as temporary:
            write_torch(state, temporary)
    elif target.suffix:
        raise CheckpointError(f"{target}: expected a name ending in .safetensors or .pt, or a folder's name")
    else:
        _write_folder(target, checkpoint.config, state, autoencoder)


def _write_folder(target: Path, config: DiTConfig, state: State, autoencoder: Path | None) -> None:
    import shutil

    from diffusers import DDIMScheduler

    if target.exists():
        raise CheckpointError(f"{target}: exists already; name a new folder")
    converted, fields = to_diffusers(state, config), diffusers_config(config)
    index = {
        "_class_name": "DiTPipeline",
        "id2label": {str(i): str(i) for i in range(config.num_classes)},
        "scheduler": ["diffusers", "DDIMScheduler"],
        "transformer": ["diffusers", "DiTTransformer2DModel"],
        "vae": ["diffusers", "AutoencoderKL"] if autoencoder else [None, None],
    }
    with replacing_folder(target) as folder:
        (folder / "transformer").mkdir()
        (folder / "transformer" / "config.json").write_text(json.dumps(fields, indent=2))
        weights = folder / "transformer" / "diffusion_pytorch_model.safetensors"
        write_safetensors(converted, weights, {"format": "pt"})
        DDIMScheduler(beta_schedule="linear", clip_sample=False).save_pretrained(folder / "scheduler")
        (folder / "model_index.json").write_text(json.dumps(index, indent=2))
        if autoencoder:
            shutil.copytree(autoencoder, folder / "vae")


def _locate(source: str | Path) -> Path:
    path = Path(source).expanduser()
    if path.exists():
        return path
    return bundled_file(str(source)) or find_on_hub(str(source), ("transformer/*", "vae/*", "model_index.json"))


def _read_folder(folder: Path, config: DiTConfig | None, num_heads: int | None, weights: str) -> Checkpoint:
    if (folder / "run.json").is_file():
        return _read_run(folder, weights)
    if (folder / f"{weights}.safetensors").is_file():  # one checkpoint of a run
        return read_checkpoint(folder / f"{weights}.safetensors", config=config, num_heads=num_heads)
    inner = folder / "transformer" if (folder / "transformer").is_dir() else folder
    fields = _read_json(inner / "config.json")
    files = sorted(inner.glob("diffusion_pytorch_model*.safetensors")) or sorted(
        inner.glob("diffusion_pytorch_model*.bin")
    )
    if not files:
        raise CheckpointError(f"{inner}: has no diffusion_pytorch_model.safetensors (or .bin); fetch the weights")
    config = config or config_from_diffusers(fields, str(inner / "config.json"))
    state: State = {}
    for file in files:
        state |= _read_file(file, weights)[0]
    vae = folder / "vae" if (folder / "vae").is_dir() else None
    return Checkpoint(config, from_diffusers(state, config, str(inner)), inner, vae)


def _read_run(folder: Path, weights: str) -> Checkpoint:
    """The latest checkpoint of a training run."""
    saved = checkpoints_in(folder)
    if not saved:
        raise CheckpointError(f"{folder}: this run has no checkpoint yet")
    return read_checkpoint(saved[-1] / f"{weights}.safetensors")


def checkpoints_in(run: Path) -> list[Path]:
    """Whole checkpoints of a training run, in the order of their steps."""
    found = [path for path in (run / "checkpoints").glob("*") if path.name.isdecimal()]
    return sorted(found, key=lambda path: int(path.name))


def _read_file(path: Path, weights: str) -> tuple[State, DiTConfig | None]:
    check_content(path)
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    if path.suffix in _PICKLED:
        return _read_pickled(path, weights)
    raise CheckpointError(f"{path}: expected a .safetensors or .pt file, or a folder")


def _read_safetensors(path: Path) -> tuple[State, DiTConfig | None]:
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path}: damaged or cut short ({error}); fetch or write it again") from error
    return state, _parse_config(metadata[_METADATA_KEY], path) if _METADATA_KEY in metadata else None


def _parse_config(text: str, path: Path) -> DiTConfig:
    try:
        return DiTConfig.from_dict(json.loads(text))
    except (ValueError, ArgumentError) as error:
        raise CheckpointError(f"{path}: the configuration inside is not usable ({error})") from error


def _read_pickled(path: Path, weights: str) -> tuple[State, DiTConfig | None]:
    """A state dict, or train.py's {"model", "ema", "opt", "args"}; args may be an argparse.Namespace, nothing else."""
    try:
        with torch.serialization.safe_globals([argparse.Namespace, *_numpy_scalars()]):
            mapped = zipfile.is_zipfile(path)
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path}: holds more than tensors and plain values, so it could run code; it was not opened. "
            "Save its state dict alone, or as .safetensors"
        ) from error
    except Exception as error:  # damage shows as RuntimeError, EOFError, KeyError, IndexError, ...
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(f"{path}: damaged or cut short ({reason}); fetch or write it again") from error
    if not isinstance(content, Mapping):
        raise CheckpointError(f"{path}: expected a state dict, found {type(content).__name__}")
    check_args(content.get("args"), str(path))
    num_heads = _heads_from_args(content.get("args"))
    if isinstance(content.get("ema"), Mapping) or isinstance(content.get("model"), Mapping):
        if not isinstance(content.get(weights), Mapping):
            raise CheckpointError(f"{path}: has no {weights!r} weights, only {some(content)}")
        content = content[weights]
    if isinstance(content.get("state_dict"), Mapping):
        content = content["state_dict"]
    state = {_plain_name(str(name)): value for name, value in content.items() if isinstance(value, Tensor)}
    if len(state) < len(content):
        raise CheckpointError(f"{path}: expected tensors by name, found {some(content)}")
    return state, config_from_shapes(state, num_heads, str(path)) if num_heads else None


def _heads_from_args(args: Any) -> int | None:
    """The number of heads, where train.py's arguments name a published model."""
    fields = args if isinstance(args, Mapping) else vars(args) if isinstance(args, argparse.Namespace) else {}
    try:
        return DiTConfig.preset(str(fields.get("model"))).num_heads
    except ArgumentError:
        return None


def _plain_name(name: str) -> str:
    """Without the prefixes of DistributedDataParallel and torch.compile, in any order."""
    return _PREFIXES.sub("", name, count=1)


def _numpy_scalars() -> list[Any]:
    """What NumPy's numbers are made of in a pickle, such as a best loss; no code runs in them."""
    import numpy as np

    scalar = np.float64(0).__reduce__()[0]
    kinds = [type(np.dtype(kind)) for kind in ("?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8")]
    return [(scalar, "numpy.core.multiarray.scalar"), (scalar, "numpy._core.multiarray.scalar"), np.dtype, *kinds]


def _read_json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file; give a folder like facebook/DiT-XL-2-256")
    try:
        fields = json.loads(path.read_text())
    except (ValueError, OSError) as error:
        raise CheckpointError(f"{path}: not readable JSON ({error}); fetch it again") from error
    if not isinstance(fields, dict):
        raise CheckpointError(f"{path}: expected the fields of a configuration")
    return fields


def _check_finite(state: Mapping[str, Tensor], where: str) -> None:
    for name, value in state.items():
        if not torch.isfinite(value).all():
            raise CheckpointError(
                f"{where}: {name} holds NaN or infinity; its training went wrong, take an earlier one"
            )


def _check_state(state: Mapping[str, Tensor], expected: Mapping[str, Tensor], where: str) -> None:
    """Every key and shape of `expected`, no others; the message names the first that is wrong."""
    for name, value in expected.items():
        if name not in state:
            raise CheckpointError(f"{where}: {name} is missing; the file is incomplete or of another network")
        if state[name].shape != value.shape:
            raise CheckpointError(
                f"{where}: {name} has shape {tuple(state[name].shape)}, the configuration needs {tuple(value.shape)}"
            )
    if unknown := {name: value for name, value in state.items() if name not in expected}:
        raise CheckpointError(f"{where}: unknown weights {some(unknown)}; it is of another network or configuration")
