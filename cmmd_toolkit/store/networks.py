"""What was learnt of a network when it was loaded: a run that finds all its pictures in the store needs no more.

A description is found by all that decides it: what was asked for, the place and SHA-256 of every file that loading
would read, device, code and versions. It is a small JSON file beside the tables, with a checksum. The network itself
is loaded when the first picture is not known, and must then be the one that was described.
"""

import hashlib
import json
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from ..backbones.base import Backbone
from ..backbones.files import checkpoint_files
from ..backbones.precision import Precision, check_precision
from ..backbones.registry import check_options, load_backbone
from ..common.devices import resolve_device
from ..common.files import sha256
from ..common.versions import library_versions
from ..common.writing import replacing
from ..errors import WeightsError
from .key import DESCRIPTION, code_digest, key_digest, table_name

_PLAIN = ("name", "model", "dim", "device", "chunk", "side_by_side", "precision")


def open_backbone(
    folder: Path | None,
    name: str,
    *,
    weights: str | Path | None,
    model: str | None,
    dims: int | None,
    device: str,
    preprocessing: str | None,
    precision: Precision,
) -> Backbone:
    """As `load_backbone`, but a network that the store `folder` describes is loaded only when it is used.

    Raises as `load_backbone`, and WeightsError in use when the files have changed since.
    """
    options: dict[str, Any] = {"weights": weights, "model": model, "dims": dims, "preprocessing": preprocessing}
    load = partial(load_backbone, name, device=device, precision=precision, **options)
    request = None if folder is None else _request(name, device, precision, **options)
    if folder is None or request is None:
        return load()
    file = folder / f"{table_name(name)}-{key_digest(request)}{DESCRIPTION}"
    if (known := _read(file)) is not None:
        return _described(known, load)
    loaded = load()
    if _checksums(loaded) <= set(request["files"].values()):
        _write(file, loaded)
    return loaded


def _request(
    name: str,
    device: str,
    precision: Precision,
    *,
    weights: Any,
    model: str | None,
    dims: int | None,
    preprocessing: str | None,
) -> dict[str, Any] | None:
    """Everything that decides what `load_backbone` returns, JSON-able; None where loading has to tell."""
    spec, local = check_options(name, weights=weights, model=model, dims=dims, preprocessing=preprocessing)
    try:
        files = checkpoint_files(spec.module, local, model or spec.default_model)
        digests = {str(path.absolute()): sha256(path) for path in files}
    except OSError:
        return None
    if not files:
        return None
    return {
        "asked": [name, local and str(local), model, dims and int(dims), preprocessing],
        "files": digests,
        "device": resolve_device(device),
        "precision": check_precision(precision),
        "code": code_digest(),
        "versions": library_versions(),
    }


def _checksums(loaded: Backbone) -> set[str]:
    found = loaded.provenance.get("weights_sha256", ())
    return {found} if isinstance(found, str) else set(found)


def _read(file: Path) -> dict[str, Any] | None:
    """A description; None where there is none, or only a damaged one."""
    try:
        check, _, text = file.read_text(encoding="utf-8").partition("\n")
        known = json.loads(text) if check == _checksum(text) else None
    except (OSError, ValueError):
        return None
    return known if isinstance(known, dict) else None


def _write(file: Path, loaded: Backbone) -> None:
    known = {field: getattr(loaded, field) for field in _PLAIN}
    known |= {"provenance": dict(loaded.provenance), "remarks": loaded.remarks}
    text = json.dumps(known | {"has_classifier": loaded.read_classifier is not None})
    with suppress(OSError):  # a store is never a reason to fail
        file.parent.mkdir(parents=True, exist_ok=True)
        with replacing(file) as temporary:
            temporary.write_text(f"{_checksum(text)}\n{text}", encoding="utf-8")


def _checksum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _described(known: dict[str, Any], load: Callable[[], Backbone]) -> Backbone:
    """A backbone that is loaded at its first use."""
    once = _Once(known["provenance"], load)
    return Backbone(
        **{field: known[field] for field in _PLAIN},
        preprocess=lambda pixels: once().preprocess(pixels),
        encode=lambda inputs: once().encode(inputs),
        provenance=known["provenance"],
        remarks=tuple(known["remarks"]),
        read_classifier=once.classifier if known["has_classifier"] else None,
    )


class _Once:
    """Loads when it is first called, whichever thread that is."""

    def __init__(self, provenance: dict[str, Any], load: Callable[[], Backbone]) -> None:
        self._provenance, self._load, self._lock = provenance, load, threading.Lock()
        self._loaded: Backbone | None = None

    def __call__(self) -> Backbone:
        with self._lock:
            if self._loaded is None:
                loaded = self._load()
                if json.dumps(dict(loaded.provenance)) != json.dumps(self._provenance):
                    raise WeightsError(f"{loaded.model}: its files have changed during this run; start it again")
                self._loaded = loaded
            return self._loaded

    def classifier(self) -> Any:
        """That of the loaded network."""
        return self().classifier
