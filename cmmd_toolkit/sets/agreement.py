"""What processes on several machines must have in common before they share work: else the result is a mixture."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ..backbones.base import Backbone
from ..common.processes import current_processes
from ..errors import InputError
from ..features.feature_set import FeatureSet
from ..features.features import Features
from ..pictures.sources import ImageSource
from ..store.key import key_digest, network_key
from .run import Run
from .side import Side, Stored

_OWN = ("batch_size", "workers", "device")  # a machine's own matter
_ROWS = 4096
Fact = tuple[str, str]  # the sentence where processes differ, and what they compare


def check_agreement(
    run: Run, sides: Sequence[Side], backbones: Sequence[str], networks: Mapping[str, Backbone]
) -> None:
    """Raise InputError, in every process, where they hold different options, networks or sets.

    `networks` are those of the `backbones` that have something to embed.
    """
    processes = current_processes()
    if processes.count == 1:
        return
    own = [_options(run, sides, backbones), *_networks(run, sides, networks), *map(_set, sides)]
    every = processes.gather([compared for _, compared in own])
    for number, (sentence, compared) in enumerate(own):
        others = [facts[number] for facts in every]  # equal options, the first of them, mean equally many
        if set(others) != {compared}:
            raise InputError(sentence)


def _options(run: Run, sides: Sequence[Side], backbones: Sequence[str]) -> Fact:
    chosen = {name: value for name, value in run.options().items() if name not in _OWN}
    text = json.dumps([chosen, run.recipe, run.dims, list(backbones), [side.source is None for side in sides]])
    return "the processes were started with different options or sets; start one command on every machine", text


def _networks(run: Run, sides: Sequence[Side], networks: Mapping[str, Backbone]) -> Iterator[Fact]:
    policy = next((side.source.policy for side in sides if side.source is not None), None)
    if policy is None:
        return
    for name, loaded in networks.items():
        sentence = (
            f"{name}: the processes have different weights, packages or devices; install the same on every machine"
        )
        yield sentence, key_digest(network_key(loaded, policy, run.max_pixels))


def _set(side: Side) -> Fact:
    sentence = f"{side.label}: the processes find different sets there; give every machine the same files"
    return sentence, _listing(side.source) if side.source is not None else _content(side.stored)


def _listing(source: ImageSource) -> str:
    """The names of the pictures, or of what streams their number: nothing is read for it."""
    if not isinstance(source.items, Sequence):
        return str(source.size)
    return _digest(name.encode("utf-8", "surrogateescape") + b"\0" for name, _ in source.items)


def _content(stored: Stored | FeatureSet | None) -> str:
    parts = stored.values() if isinstance(stored, FeatureSet) else [stored]
    return _digest(block for part in parts for array in _arrays(part) for block in _blocks(array))


def _arrays(stored: Any) -> tuple[Any, ...]:
    return (stored.values,) if isinstance(stored, Features) else (stored.mean, stored.cov)


def _blocks(array: Any) -> Iterator[bytes]:
    yield str(array.shape).encode()
    for first in range(0, len(array), _ROWS):
        yield np.ascontiguousarray(array[first : first + _ROWS]).tobytes()


def _digest(parts: Iterable[bytes]) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        digest.update(part)
    return digest.hexdigest()
