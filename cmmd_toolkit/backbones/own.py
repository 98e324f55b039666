"""A network of the user's own as a backbone: a function or module of torch, or a `Backbone` made by hand.

A function or module takes uint8 (B, 3, H, W), RGB, on the run's device, and returns features (B, D). Pictures come in
their own sizes; those of one size in a batch come together. What it raises, and what it returns wrongly, is said in one
line that names it.
"""

import hashlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..common.devices import full_float32
from ..common.text import first_line
from ..errors import ArgumentError, BackboneError, CmmdError
from .base import Backbone, first_odd
from .own_code import Fingerprint, title_of
from .precision import computing_in
from .preprocess import NetworkInput, Pixels

_PROBE_SIDES = (224, 299, 256, 64, 32, 28)  # of the first picture that it is shown; some networks take one size only
_GIVEN = ("device", "weights")  # what a maker may take


class OwnBackbone(Backbone):
    """The backbone of a function, module or foreign `Backbone`."""

    def embed(self, batch: list[NetworkInput], names: Sequence[str] = ()) -> NDArray[np.float32]:
        """Features float32 (B, D), finite. Raises BackboneError for what the network raises or returns wrongly."""
        groups: dict[tuple[int, ...], list[int]] = {}
        for place, own in enumerate(batch):
            groups.setdefault(own.shape, []).append(place)
        rows = np.empty((len(batch), self.dim), np.float32)
        for places in groups.values():
            size = self.chunk or len(places)
            for start in range(0, len(places), size):
                part = places[start : start + size]
                rows[part] = encoded(self, np.stack([batch[place] for place in part]), self.dim)
        first = first_odd(rows)
        if first is not None:
            picture = names[first] if names else f"picture {first} of the batch"
            raise BackboneError(f"backbone {self.name}: NaN or infinity in its features, first for {picture}; fix it")
        return rows


def encoded(backbone: Backbone, inputs: NDArray[Any], dim: int | None = None) -> NDArray[np.float32]:
    """Float32 (B, D) of a batch, or a BackboneError."""
    import torch

    with _in_one_line(backbone.name, f"on pictures of shape {inputs.shape}"):
        autocast = computing_in(backbone.precision, backbone.device)
        with torch.inference_mode(), full_float32(), autocast:
            found = _plain(backbone.encode(torch.from_numpy(inputs).to(backbone.device)), backbone.name)
        rows = torch.as_tensor(found).detach()
        shape = tuple(rows.shape)
        if rows.ndim == 2 and not rows.is_complex() and rows.dtype != torch.bool:
            values: NDArray[np.float32] = rows.to("cpu", torch.float32).numpy()
            if shape == (len(inputs), values.shape[1] if dim is None else dim) and shape[1] > 0:
                return values
    wanted = f"({len(inputs)}, {'D' if dim is None else dim})"
    kind = str(rows.dtype).removeprefix("torch.")
    raise BackboneError(
        f"backbone {backbone.name}: expected features of shape {wanted} for a batch of {len(inputs)}, got {kind} of "
        f"shape {shape}; return one row of real numbers per picture"
    )


class _in_one_line:  # noqa: N801 (used as a statement)
    """Whatever the user's code raises becomes a BackboneError of one line."""

    def __init__(self, name: str, where: str) -> None:
        self._name, self._where = name, where

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, _: Any) -> None:
        if error is not None and not isinstance(error, (CmmdError, KeyboardInterrupt)):
            raise BackboneError(
                f"backbone {self._name}: {type(error).__name__} {self._where}: {first_line(error)}"
            ) from error


def _plain(found: Any, name: str) -> Any:
    """What a function returned. Raises BackboneError for what is still to be waited for."""
    if not inspect.isawaitable(found) and not inspect.isasyncgen(found):
        return found
    if inspect.iscoroutine(found):
        found.close()  # else Python would warn of it
    kind = type(found).__name__
    raise BackboneError(f"backbone {name}: is asynchronous, it returned a {kind}; give a function without async")


def own_backbone(source: Any, name: str, device: str, weights: Any = None) -> Backbone:
    """The backbone of an object, on a device.

    Args:
        source: a `Backbone`; an `nn.Module`; a function of one batch; or a maker of one of these: a class or function
            without required arguments, which may take `device` and `weights`.
        weights: for a maker that takes them.

    Raises:
        BackboneError: it raises, or is or returns something else.
        ArgumentError: weights for what takes none.
    """
    made, parts = source, list[Any]()
    if _is_maker(source):
        made, parts = _made(source, name, {"device": device, "weights": weights}), [source]
    elif weights is not None:
        raise ArgumentError(f"weights: backbone {name} takes none; leave them out, or give a function that loads them")
    if isinstance(made, Backbone):
        return _of_backbone(made, name, parts)
    if not callable(made) or isinstance(made, type):
        raise BackboneError(
            f"backbone {name}: expected a function of a batch of pictures, an nn.Module or a Backbone, got "
            f"{type(made).__name__}"
        )
    return _of_function(made, name, device, [*parts, made])


def _is_maker(source: Any) -> bool:
    """Whether it is called without pictures to get the network."""
    if isinstance(source, type):
        return True
    if isinstance(source, Backbone) or not inspect.isroutine(source):
        return False
    try:
        parameters = inspect.signature(source).parameters.values()
    except (TypeError, ValueError):
        return False
    required = [own.name for own in parameters if own.default is own.empty and own.kind not in (2, 4)]
    return not set(required) - set(_GIVEN) and not any(own.kind == own.VAR_POSITIONAL for own in parameters)


def _made(maker: Any, name: str, given: Mapping[str, Any]) -> Any:
    parameters = inspect.signature(maker).parameters
    if given["weights"] is not None and "weights" not in parameters:
        raise ArgumentError(f"weights: backbone {name} takes none; leave them out, or let its function take `weights`")
    taken = {key: value for key, value in given.items() if key in parameters and value is not None}
    with _in_one_line(name, "when it was made"):
        return _plain(maker(**taken), name)


def _of_function(made: Callable[[Any], Any], name: str, device: str, parts: Sequence[Any]) -> Backbone:
    from torch import nn

    encode = made
    if isinstance(made, nn.Module):
        with _in_one_line(name, "when it was copied"):
            encode = deepcopy(made).eval().requires_grad_(False).to(device)
    return _finished(OwnBackbone(name, title_of(made), 0, _as_it_is, encode, device, {}), parts, "as it is, uint8")


def _of_backbone(made: Backbone, name: str, parts: Sequence[Any]) -> Backbone:
    """A `Backbone` made by hand; one of `load_backbone` stays what it is."""
    if is_ours(made):
        return made

    def prepare(pixels: Pixels) -> NetworkInput:
        with _in_one_line(name, f"when it prepared a picture of shape {pixels.shape}"):
            return np.ascontiguousarray(made.preprocess(pixels))

    options = {own.name: getattr(made, own.name) for own in fields(Backbone)}
    bare = OwnBackbone(**{**options, "name": name, "preprocess": prepare})
    return _finished(bare, [*parts, made.preprocess, made.encode], "own")


def is_ours(backbone: Backbone) -> bool:
    """Whether `load_backbone` made it."""
    return str(getattr(backbone.encode, "__module__", "")).startswith("cmmd_toolkit.")


def _finished(bare: OwnBackbone, parts: Sequence[Any], preprocessing: str) -> Backbone:
    """With its width, from the first picture that it takes, and with what is known of its `parts`."""
    rows = _probed(bare)
    known = Fingerprint()  # now that everything is imported which is imported late
    for part in parts:
        known.add(part)
    said = bare.provenance.get("weights_sha256")
    provenance = {
        "backbone": bare.name,
        "model": bare.model,
        "preprocessing": preprocessing,
        **{key: value for key, value in bare.provenance.items() if key != "backbone"},
        "dim": rows.shape[1],
        "weights_sha256": said or known.state_digest(),
        "code_sha256": known.code_digest(),
        "packages": dict(sorted(known.packages.items())),
        "state_sha256": known.state.hexdigest(),
        "probe_sha256": hashlib.sha256(rows.tobytes()).hexdigest(),
    }
    if provenance["weights_sha256"] is None:
        del provenance["weights_sha256"]
    unknown = None if isinstance(said, str) else known.unknown  # its maker says what decides the features
    return replace(bare, dim=rows.shape[1], provenance=provenance, unknown=unknown)


def _probed(bare: OwnBackbone) -> NDArray[np.float32]:
    """Features of a fixed picture: their width, and a trace of weights that no source file shows."""
    problem: BackboneError | None = None
    for side in _PROBE_SIDES:
        picture = np.random.default_rng(side).integers(0, 256, (side, side, 3), dtype=np.uint8)
        try:
            rows = encoded(bare, bare.preprocess(picture)[None])
        except BackboneError as error:
            problem = problem or error
        else:
            if first_odd(rows) is not None:
                raise BackboneError(f"backbone {bare.name}: NaN or infinity in its features of noise; fix it")
            return rows
    assert problem is not None
    raise problem


def _as_it_is(pixels: Pixels) -> Any:
    """Uint8 (3, H, W)."""
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))
