"""The files of features and statistics.

`.safetensors` for all of them: the provenance is JSON in its header, the record of the pictures beside it (see
`record_file`). Features of one backbone are the tensor `features`, those of several `features.NAME`; mean and
covariance are `mean` and `cov`. One checksum covers all tensors and the header. `.npz` with `mu` and `sigma` is the
pytorch-fid layout of statistics, `.npy` of floats (N, D) bare features. Nothing here is ever unpickled.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from ..common.files import atomic_path, check_exists, check_regular
from ..common.numpy_files import check_numpy_file, explain_numpy_error, read_member, read_npy
from ..common.safetensors_file import is_whole, read_safetensors, write_safetensors
from ..common.text import first_line
from ..errors import ArgumentError, InputError
from .feature_set import FeatureSet
from .features import MOST_PICTURES, Features, GaussianStatistics, checked_names
from .record import SetRecord
from .record_file import HEADER, read_record, record_header, record_tensors

FORMAT = "cmmd-toolkit 1"
Stored = Features | GaussianStatistics
_FEATURES, _NAMES = "features", "names"
_PREFIX = f"{_FEATURES}."
_UNKNOWN = -1  # the number of pictures in an .npz of statistics that do not say
_LONGEST_HEADER = 2**24  # bytes of names; beyond it they are a tensor, since the format takes 100 MB of header
_NPY_HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


def is_stored(path: Path) -> bool:
    """Whether `path` names stored features or statistics rather than pictures."""
    suffix = path.suffix.lower()
    if suffix == ".npz" and path.is_file():
        keys = _npz_keys(path)
        return {"mu", "sigma"} <= keys and "arr_0" not in keys
    if suffix == ".npy" and path.is_file():
        return _is_matrix(path)
    return suffix == ".safetensors"


def load_stored(path: Path) -> Stored | FeatureSet:
    """Read stored features or statistics, whichever the file holds. Raises InputError."""
    check_exists(path)
    check_regular(path)
    try:
        if path.suffix.lower() == ".npz":
            return _load_npz(path)
        return _load_npy(path) if path.suffix.lower() == ".npy" else _load_safetensors(path)
    except ArgumentError as error:
        raise InputError(f"{path}: {error}") from error


def load_features(path: Path, backbone: str | None) -> Features:
    """The features in a file, of the backbone that is named. Raises InputError."""
    loaded = load_stored(path)
    if isinstance(loaded, FeatureSet):
        known = ", ".join(loaded)
        if backbone is None:
            raise InputError(
                f"{path}: holds features of several backbones ({known}); choose one, as in "
                f"Features.load(path, backbone={next(iter(loaded))!r}), or load all with FeatureSet.load"
            )
        if backbone not in loaded:
            raise InputError(f"{path}: holds features of {known}, not of {backbone}; choose one of them")
        return loaded[backbone]
    if not isinstance(loaded, Features):
        raise InputError(f"{path}: holds Gaussian statistics, not features; make features with `cmmd embed`")
    made = loaded.provenance.get("backbone", backbone)
    if backbone not in (None, made):
        raise InputError(f"{path}: made with backbone {made}, not {backbone}; leave out `backbone`")
    return loaded


def save_features(features: Features, path: Path) -> None:
    """See `Features.save`."""
    _save(path, {_FEATURES: features.values}, "features", features.provenance, features.names, features.record)


def save_set(features: FeatureSet, path: Path) -> None:
    """See `FeatureSet.save`."""
    if len(features) == 1:
        save_features(next(iter(features.values())), path)
        return
    tensors = {_PREFIX + backbone: own.values for backbone, own in features.items()}
    provenance = {backbone: own.provenance for backbone, own in features.items()}
    header = {"backbones": json.dumps(list(features))}
    _save(path, tensors, "feature-set", provenance, features.names, features.record, header)


def save_statistics(statistics: GaussianStatistics, path: Path) -> None:
    """See `GaussianStatistics.save`."""
    n, mean, cov = statistics.n, statistics.mean, statistics.cov
    if path.suffix.lower() == ".npz":
        check_told(path, str(statistics.provenance.get("precision", "fp32")))
        with atomic_path(path) as temporary, temporary.open("wb") as stream:
            np.savez(stream, mu=mean, sigma=cov, n=np.int64(_UNKNOWN if n is None else n))
        return
    header = {} if n is None else {"n": str(n)}
    _save(path, {"mean": mean, "cov": cov}, "statistics", statistics.provenance, (), statistics.record, header)


def check_told(path: Path, precision: str) -> None:
    """Raise ArgumentError where a file would not say that its features were made in less than fp32."""
    if path.suffix.lower() == ".npz" and precision != "fp32":
        raise ArgumentError(
            f"{path}: an .npz of statistics does not say that they are of {precision}, and would be read as fp32; "
            "write a .safetensors"
        )


def _npz_keys(path: Path) -> set[str]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            return set(archive.files)
    except Exception:  # unreadable: whoever opens it next says why
        return set()


def _is_matrix(path: Path) -> bool:
    """Whether the header of an `.npy` promises floats (N, D), whatever follows it; images are uint8 (N, H, W, 3)."""
    try:
        with path.open("rb") as stream:
            shape, _, dtype = _NPY_HEADERS[npy.read_magic(stream)](stream)
    except Exception:  # unreadable: whoever opens it next says why
        return False
    return len(shape) == 2 and dtype.kind == "f"


def _load_npz(path: Path) -> GaussianStatistics:
    check_numpy_file(path)
    try:
        with np.load(path, allow_pickle=False) as archive:
            if not {"mu", "sigma"} <= set(archive.files):
                raise InputError(f"{path}: expected mu and sigma, found {', '.join(archive.files) or 'nothing'}")
            n = read_member(archive, "n").item() if "n" in archive.files else _UNKNOWN
            mean, cov = (read_member(archive, key) for key in ("mu", "sigma"))
            return GaussianStatistics(mean, cov, None if n == _UNKNOWN else n)
    except (InputError, ArgumentError):
        raise
    except Exception as error:
        raise InputError(f"{path}: {explain_numpy_error(error)}") from error


def _load_npy(path: Path) -> Features:
    check_numpy_file(path)
    try:
        array = read_npy(path)
    except InputError:
        raise
    except Exception as error:  # ValueError, OSError, TokenError, ...
        raise InputError(f"{path}: {explain_numpy_error(error)}") from error
    return Features(array, {"source": str(path)})


def _save(
    path: Path,
    tensors: dict[str, NDArray[Any]],
    kind: str,
    provenance: Mapping[str, Any],
    names: tuple[str, ...],
    record: SetRecord | None,
    more: Mapping[str, str] | None = None,
) -> None:
    if path.suffix.lower() != ".safetensors":
        raise ArgumentError(f"{path}: expected a name that ends in .safetensors (or .npz for statistics)")
    metadata = {"format": FORMAT, "kind": kind, "provenance": _json(provenance), **(more or {})}
    if names := names or (record.names if record else ()):
        text = json.dumps(names)
        if len(text) <= _LONGEST_HEADER:
            metadata[_NAMES] = text
        else:
            tensors = {**tensors, _NAMES: np.frombuffer(text.encode(), np.uint8)}
    if record is not None:
        metadata[HEADER] = record_header(record, path)
        tensors = tensors | record_tensors(record)
    with atomic_path(path) as temporary:
        write_safetensors(tensors, temporary, metadata)


def _json(provenance: Mapping[str, Any]) -> str:
    return json.dumps(dict(provenance), sort_keys=True)


def _load_safetensors(path: Path) -> Stored | FeatureSet:
    try:
        tensors, header = read_safetensors(path)
        provenance, backbones = (json.loads(header.get(key, "null")) for key in ("provenance", "backbones"))
        names = json.loads(tensors[_NAMES].tobytes() if _NAMES in tensors else header.get(_NAMES, "null"))
    except Exception as error:  # SafetensorError, ValueError, OSError, TypeError, RecursionError, ...
        reason = first_line(error)
        raise InputError(f"{path}: not a readable safetensors file ({reason}); write it again") from error
    if not is_whole(tensors, header):
        raise InputError(f"{path}: damaged, its checksum differs; write it again")
    provenance = {} if provenance is None else provenance
    names = checked_names(() if names is None else names)
    features = {name.removeprefix(_PREFIX): own for name, own in tensors.items() if name.startswith(_PREFIX)}
    if features:
        return _set_of(features, backbones, provenance, (header.get(HEADER), tensors, names), path)
    if _FEATURES in tensors:
        record = read_record(header.get(HEADER), tensors, names, len(tensors[_FEATURES]), path)
        return Features(tensors[_FEATURES], provenance, names, record)
    if {"mean", "cov"} <= set(tensors):
        n = _count(header.get("n"))
        record = read_record(header.get(HEADER), tensors, names, n, path)
        return GaussianStatistics(tensors["mean"], tensors["cov"], n, provenance, record)
    found = ", ".join(sorted(tensors)[:3]) or "nothing"
    raise InputError(f"{path}: expected features, or mean and cov, found {found}; make it with `cmmd embed`")


def _set_of(
    features: Mapping[str, NDArray[Any]],
    order: Any,
    provenance: Any,
    pictures: tuple[str | None, Mapping[str, NDArray[Any]], tuple[str, ...]],
    path: Path,
) -> FeatureSet:
    """Features of several backbones; `order`, their list, and `provenance`, by backbone, are as the header has them."""
    if not isinstance(order, list) or sorted(map(str, order)) != sorted(features):
        raise ArgumentError(f"expected the features of {order!r:.60}, found those of {', '.join(sorted(features))}")
    if not isinstance(provenance, Mapping):
        raise ArgumentError("provenance: expected one for each backbone; create the file again with `cmmd embed`")
    text, tensors, names = pictures
    record = read_record(text, tensors, names, len(features[order[0]]), path)
    own = {name: Features(features[name], provenance.get(name, {}), names, record) for name in order}
    return FeatureSet(own)


def _count(text: str | None) -> int | None:
    """The number of pictures that a file says."""
    if text is None:
        return None
    if not (text.isdecimal() and len(text) < len(str(MOST_PICTURES))):
        raise ArgumentError(f"n: expected a number of pictures, got {text!r:.60}")
    return int(text)
