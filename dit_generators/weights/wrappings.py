"""How training scripts wrap a state dict: in dicts under many names, with prefixes, beside their arguments."""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cmmd_toolkit.common.text import first_names

from ..errors import CheckpointError
from .names import State

_ROLES = {
    "ema": (
        "ema",
        "model_ema",
        "ema_model",
        "ema_net",
        "ema_state_dict",
        "model_ema_state_dict",
        "ema_model_state_dict",
    ),
    "model": ("model", "model_state_dict", "model_state"),
}
_WRAPPERS = ("state_dict", "net", "network", "module", "params", "weights")
_ARGUMENTS = ("args", "config", "cfg", "hparams", "hyper_parameters", "options")
_ANCHOR = "x_embedder.proj.weight"
_WRAPPED_MODULE = re.compile(r"(?:_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.")
_DATA_PARALLEL = re.compile(r"^(?:module\.)+")
_DEEPEST = 8


def arguments_of(content: Mapping[Any, Any]) -> list[Any]:
    """Every holder of a training script's arguments beside the weights."""
    return [content[name] for name in _ARGUMENTS if name in content]


def unwrap(content: Mapping[Any, Any], weights: str | None, where: str) -> tuple[Mapping[Any, Any], bool]:
    """The innermost mapping of weights, and whether one of a model's two was chosen on the way."""
    chosen = False
    for _ in range(_DEEPEST):
        found = {} if chosen else {role: _first(content, names) for role, names in _ROLES.items()}
        wrapped = _first(content, _WRAPPERS)
        if any(value is not None for value in found.values()):
            wanted = weights or "ema"
            inner = found[wanted] if found[wanted] is not None or wanted == "ema" else wrapped
            if inner is None:
                other = "model" if wanted == "ema" else "ema"
                raise CheckpointError(
                    f'{where}: has no {wanted!r} weights, only {first_names(content, 3)}; take `weights="{other}"`'
                )
            content, chosen = inner, True
        elif wrapped is not None:
            content = wrapped
        else:
            break
    return content, chosen


def plain_state(content: Mapping[Any, Any], where: str) -> State:
    """Tensors under official names: without what DistributedDataParallel, FSDP, torch.compile and Lightning add."""
    state: State = {}
    for name, value in content.items():
        tensor = _tensor(value)
        if tensor is None:
            raise CheckpointError(f"{where}: expected tensors by name, found {first_names(content, 3)}")
        plain = _DATA_PARALLEL.sub("", _WRAPPED_MODULE.sub("", str(name)))
        if plain in state:
            raise CheckpointError(f"{where}: has {plain} twice, once as {name}")
        state[plain] = tensor
    return _without_common_prefix(state)


def _without_common_prefix(state: State) -> State:
    """`model.blocks...` -> `blocks...`, where every name begins so."""
    anchors = [name.removesuffix(_ANCHOR) for name in state if name.endswith(_ANCHOR)]
    prefix = anchors[0] if len(anchors) == 1 else ""
    if not all(name.startswith(prefix) for name in state):
        return state
    return {name.removeprefix(prefix): value for name, value in state.items()}


def _first(content: Mapping[Any, Any], names: tuple[str, ...]) -> Mapping[Any, Any] | None:
    return next((content[name] for name in names if isinstance(content.get(name), Mapping)), None)


def _tensor(value: Any) -> Tensor | None:
    if isinstance(value, np.ndarray) and value.dtype.kind == "f":
        return torch.from_numpy(np.ascontiguousarray(value))
    return value if isinstance(value, Tensor) else None
