"""Read and write the weights of a DiT: our own file, official files, diffusers' folder, the hub. No pickled code."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cmmd_toolkit.common.text import first_names
from cmmd_toolkit.common.writing import remove_leftovers, replacing, replacing_folder

from ..common.files import write_safetensors, write_torch
from ..errors import ArgumentError, CheckpointError
from ..network.autoencoder_record import AutoencoderRecord
from ..network.config import DiTConfig
from ..network.model import DiT
from ..network.process import DIT_PROCESS, Flow, Process, process_fields
from .digest import weights_digest
from .family import Family, check_family_name, family_of, process_of
from .files import (
    AUTOENCODER_KEY,
    CHECKSUM_KEY,
    CONFIG_KEY,
    PICKLED,
    PROCESS_KEY,
    WeightsFile,
    check_depth,
    read_fields,
    read_weights,
    usable,
)
from .foreign import check_family
from .hub import bundled_file, find_on_hub
from .names import (
    State,
    config_from_diffusers,
    config_from_shapes,
    diffusers_config,
    from_diffusers,
    to_diffusers,
    without_projectors,
)
from .scheduler import process_of_scheduler

_LAYOUT = "give a folder like facebook/DiT-XL-2-256"


@dataclass(frozen=True)
class Checkpoint:
    """Weights under official names, their configuration, and where they were found.

    Attributes:
        autoencoder: the folder of an autoencoder that came with the weights.
        record: the autoencoder that the weights were trained with, where they say it.
        trained_here: whether a training run of this package wrote them.
        process: what they were trained for.
    """

    config: DiTConfig
    state: State
    path: Path
    autoencoder: Path | None = None
    record: AutoencoderRecord | None = None
    trained_here: bool = False
    process: Process = DIT_PROCESS


def load_checkpoint(
    source: str | Path,
    config: DiTConfig | None = None,
    *,
    num_heads: int | None = None,
    weights: str | None = None,
    family: Family | None = None,
    device: str | torch.device = "cpu",
) -> DiT:
    """A DiT in evaluation mode from a file, a folder, a bundled name or an id on the hub.

    Args:
        source: a .safetensors or .pt file with official names (released, fast-DiT, or written by train.py), a folder
            in the layout of facebook/DiT-XL-2-256 or the transformer folder in it, the folder of a training run, the
            name of a bundled checkpoint, or OWNER/NAME: first the local Hugging Face cache, then the hub.
        config: the shape, if the file does not record it; by default read from the file's metadata or its shapes.
        num_heads: attention heads, for an official file of an unpublished width, whose shapes do not determine them.
        family: model family of an official file that does not record it: "dit", "sit", "repa" or "lightningdit".
        weights: which of a training checkpoint's two, "ema" (the default) or "model"; refused if there is only one.
        device: where the model goes.

    Raises:
        CheckpointError: not found, damaged, of another network (the message names the key), or a pickle with code.
    """
    checkpoint = read_checkpoint(source, config=config, num_heads=num_heads, weights=weights, family=family)
    return build_model(checkpoint).to(device)


def build_model(checkpoint: Checkpoint) -> DiT:
    """The network with these weights, in evaluation mode; every key and shape is checked."""
    config, where = checkpoint.config, str(checkpoint.path)
    # The table of positions is computed for a network: first that of the file, none too large for memory.
    _check_state(checkpoint.state, {"pos_embed": (1, config.num_tokens, config.hidden_size)}, where)
    try:
        with torch.device("meta"):
            model = DiT(config)
    except (RuntimeError, OverflowError, ValueError, TypeError) as error:  # numbers that no layer can have
        raise CheckpointError(f"{where}: the configuration cannot be built ({str(error).splitlines()[0]})") from error
    expected = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    _check_state(checkpoint.state, expected, where)
    if unknown := checkpoint.state.keys() - expected.keys():
        raise CheckpointError(
            f"{where}: unknown weights {first_names(sorted(unknown), 3)}; it is of another network or configuration"
        )
    state = {name: value.float() for name, value in checkpoint.state.items()}
    _check_finite(state, where)
    model.load_state_dict(state, assign=True)
    model.pos_embed.requires_grad_(False)
    model.autoencoder_record, model.process = checkpoint.record, checkpoint.process
    return model.eval()


def read_checkpoint(
    source: str | Path,
    *,
    config: DiTConfig | None = None,
    num_heads: int | None = None,
    weights: str | None = None,
    family: Family | None = None,
) -> Checkpoint:
    """The weights of `source`, not yet in a network; arguments and errors as in `load_checkpoint`."""
    if weights not in (None, "ema", "model"):
        raise ArgumentError(f"weights: expected 'ema' or 'model', got {weights!r}")
    check_family_name(family)
    path = _locate(source)
    if path.is_dir():
        if family is not None:
            raise CheckpointError(f"{path}: a folder records its own family; leave out `family={family}`")
        found = _read_folder(path, config, num_heads, weights)
    else:
        found = _read_one(path, config, num_heads, weights, family)
    if num_heads is not None and num_heads != found.config.num_heads:
        raise CheckpointError(
            f"{found.path}: has {found.config.num_heads} attention heads, not {num_heads}; "
            f"leave out `num_heads={num_heads}`"
        )
    return found


def _read_one(
    path: Path,
    config: DiTConfig | None = None,
    num_heads: int | None = None,
    weights: str | None = None,
    family: Family | None = None,
) -> Checkpoint:
    file = read_weights(path, weights)
    if weights is not None and not file.chosen:
        raise _no_choice(path, weights)
    if "pos_embed.proj.weight" in file.state:
        raise CheckpointError(f"{path}: has diffusers' names; give the folder that holds it and its config.json")
    process, state = _process(file, path, family), without_projectors(file.state)
    check_family(state, str(path), known=file.config is not None or isinstance(process, Flow))
    config = config or file.config or config_from_shapes(state, _heads(file, num_heads), str(path), file.told.classes)
    ours = file.config is not None and path.name in ("ema.safetensors", "model.safetensors")
    return Checkpoint(config, state, path, record=file.autoencoder, trained_here=ours, process=process)


def _process(file: WeightsFile, path: Path, family: Family | None) -> Process:
    """As a file of this package says, else that of its family."""
    if file.config is None:
        return process_of(family_of(family, file.told, file.state, str(path)), file.told, str(path))
    if family is not None:
        raise CheckpointError(f"{path}: records its own family; leave out `family={family}`")
    return file.process or DIT_PROCESS


def _heads(file: WeightsFile, num_heads: int | None) -> int | None:
    """What the arguments in the file say of this width, else what the caller says."""
    width = file.state["x_embedder.proj.weight"].shape[:1] if "x_embedder.proj.weight" in file.state else ()
    return file.told.heads.get(width[0], num_heads) if width else num_heads


def _no_choice(path: Path, weights: str) -> CheckpointError:
    return CheckpointError(f'{path}: holds only one set of weights; leave out `weights="{weights}"`')


def save_checkpoint(model: DiT, target: str | Path) -> None:
    """Write weights and configuration as one .safetensors file, atomically."""
    state, record, process = model.state_dict(), model.autoencoder_record, model.process
    write_checkpoint(Checkpoint(model.config, state, Path(target), record=record, process=process), target)


def write_checkpoint(checkpoint: Checkpoint, target: str | Path, autoencoder: Path | None = None) -> None:
    """Write in the format that the name of `target` says: .safetensors, .pt (official), or a new folder (diffusers)."""
    target = Path(target)
    if not target.parent.is_dir():
        raise CheckpointError(f"{target}: the folder {target.parent} does not exist; create it first")
    remove_leftovers(target.parent, [target.name])
    state = {name: value.detach().cpu().contiguous() for name, value in checkpoint.state.items()}
    if target.suffix == ".safetensors":
        with replacing(target) as temporary:
            metadata = _metadata(checkpoint) | {CONFIG_KEY: checkpoint.config.to_json()}
            write_safetensors(state, temporary, metadata | {CHECKSUM_KEY: weights_digest(state, metadata)})
    elif checkpoint.config.beside_dit:
        told = ", ".join(checkpoint.config.beside_dit)
        raise CheckpointError(f"{target}: this format is for DiT, which has no {told}; write .safetensors")
    elif checkpoint.process != DIT_PROCESS:
        raise CheckpointError(
            f"{target}: this format cannot say what the model was trained for, which is not DiT's diffusion "
            f"({json.dumps(process_fields(checkpoint.process))}); write .safetensors"
        )
    elif target.suffix in PICKLED:
        with replacing(target) as temporary:
            write_torch(state, temporary)
    elif target.suffix:
        raise CheckpointError(f"{target}: expected a name ending in .safetensors or .pt, or a folder's name")
    else:
        _write_folder(target, checkpoint, state, autoencoder)


def _metadata(checkpoint: Checkpoint) -> dict[str, str]:
    record = {} if checkpoint.record is None else {AUTOENCODER_KEY: checkpoint.record.to_json()}
    if checkpoint.process == DIT_PROCESS:
        return record
    return record | {PROCESS_KEY: json.dumps(process_fields(checkpoint.process))}


def _write_folder(target: Path, checkpoint: Checkpoint, state: State, autoencoder: Path | None) -> None:
    import shutil

    from diffusers import DDIMScheduler

    if target.exists():
        raise CheckpointError(f"{target}: exists already; name a new folder")
    config = checkpoint.config
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
        write_safetensors(converted, weights, _metadata(checkpoint) | {"format": "pt"})
        DDIMScheduler(beta_schedule="linear", clip_sample=False).save_pretrained(folder / "scheduler")
        (folder / "model_index.json").write_text(json.dumps(index, indent=2))
        if autoencoder:
            shutil.copytree(autoencoder, folder / "vae")


def _locate(source: str | Path) -> Path:
    path = Path(source).expanduser()
    if path.exists():
        return path
    return bundled_file(str(source)) or find_on_hub(str(source), ("transformer/*", "vae/*", "model_index.json"))


def _read_folder(folder: Path, config: DiTConfig | None, num_heads: int | None, weights: str | None) -> Checkpoint:
    if (folder / "run.json").is_file():
        return _read_run(folder, weights)
    if any((folder / f"{role}.safetensors").is_file() for role in ("ema", "model")):  # one checkpoint of a run
        return _read_step(folder, weights)
    inner = folder / "transformer" if (folder / "transformer").is_dir() else folder
    where = inner / "config.json"
    if not where.is_file():
        raise CheckpointError(
            f"{folder}: no checkpoint is in this folder; expected the folder of a training run, a folder like "
            "facebook/DiT-XL-2-256, or the path of a .pt or .safetensors file"
        )
    fields = read_fields(where, _LAYOUT)
    if weights is not None:
        raise _no_choice(inner, weights)
    scheduler, process = inner.parent / "scheduler" / "scheduler_config.json", DIT_PROCESS
    if inner.name == "transformer" and scheduler.is_file():
        process = process_of_scheduler(read_fields(scheduler, _LAYOUT), str(scheduler))
    files = sorted(inner.glob("diffusion_pytorch_model*.safetensors")) or sorted(
        inner.glob("diffusion_pytorch_model*.bin")
    )
    if not files:
        raise CheckpointError(f"{inner}: has no diffusion_pytorch_model.safetensors (or .bin); fetch the weights")
    parts = [read_weights(file, None) for file in files]
    state: State = {name: value for part in parts for name, value in part.state.items()}
    config = config or _diffusers_config(fields, state, where)
    vae = folder / "vae" if (folder / "vae").is_dir() else None
    record = next((part.autoencoder for part in parts if part.autoencoder), None)
    return Checkpoint(config, from_diffusers(state, config, str(inner)), inner, vae, record, process=process)


def _diffusers_config(fields: Mapping[str, Any], state: State, where: Path) -> DiTConfig:
    with usable(where, "configuration"):
        check_depth(fields.get("num_layers"), len(state))
        return config_from_diffusers(fields, str(where))


def _read_run(folder: Path, weights: str | None) -> Checkpoint:
    """The latest checkpoint of a training run."""
    saved = checkpoints_in(folder)
    if not saved:
        raise CheckpointError(f"{folder}: this run has no checkpoint yet")
    latest = _read_step(saved[-1], weights)
    if latest.record is not None:
        return latest
    told = read_fields(folder / "run.json", "copy the whole folder").get("autoencoder")
    return latest if told is None else replace(latest, record=AutoencoderRecord.from_dict(told, str(folder)))


def _read_step(folder: Path, weights: str | None) -> Checkpoint:
    """The folder of one checkpoint of a training run."""
    path = folder / f"{weights or 'ema'}.safetensors"
    if not path.is_file():
        raise CheckpointError(f"{folder}: has no {path.name}; copy the whole folder, or take the other by `weights`")
    return _read_one(path)


def checkpoints_in(run: Path) -> list[Path]:
    """Whole checkpoints of a training run, in the order of their steps."""
    found = [path for path in (run / "checkpoints").glob("*") if path.name.isdecimal()]
    return sorted(found, key=lambda path: int(path.name))


def _check_finite(state: Mapping[str, Tensor], where: str) -> None:
    for name, value in state.items():
        if not torch.isfinite(value).all():
            raise CheckpointError(
                f"{where}: {name} holds NaN or infinity; its training went wrong, take an earlier one"
            )


def _check_state(state: Mapping[str, Tensor], expected: Mapping[str, tuple[int, ...]], where: str) -> None:
    """Every key and shape of `expected`; the message names the first that is wrong."""
    for name, shape in expected.items():
        if name not in state:
            raise CheckpointError(f"{where}: {name} is missing; the file is incomplete or of another network")
        if state[name].shape != shape:
            found = tuple(state[name].shape)
            raise CheckpointError(f"{where}: {name} has shape {found}, the configuration needs {shape}")
