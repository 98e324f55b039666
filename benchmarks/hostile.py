"""Seeded damage to pictures, sets, stored features and checkpoints; kills; races. Counts the outcomes.

    python benchmarks/hostile.py                                   # 10,000 inputs, 10 kills and 2 races per command
    python benchmarks/hostile.py --inputs 300 --kills 0 --races 0  # what the tests run

Outcomes of an input: `refused` in one line of the project's own error; `same`, read with the values of the whole file;
`changed`, silently read with other values (damage that the format cannot reveal); `traceback`, any other exception;
`noise`, something was printed; `slow`, longer than 10 s. Exit code 1 when there is a traceback, noise or a slow input,
when a damaged PNG, zip or npz is read with other values, or when a kill or a race lost something.
"""

import argparse
import contextlib
import hashlib
import json
import os
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from pathlib import Path

import numpy as np
from hostile_inputs import containers, damaged, pictures
from hostile_kills import kill_all, race_all

from cmmd_toolkit.errors import CmmdError
from cmmd_toolkit.features.features import GaussianStatistics
from cmmd_toolkit.features.stored_file import is_stored, load_stored
from cmmd_toolkit.pictures.decode import decode
from cmmd_toolkit.pictures.sources import open_images
from dit_generators.errors import DitError

CHECKED = (
    "png",
    "set.zip",
    "nested.zip",
    "set.npz",
    "statistics",
    "features",
    "recorded",
    "model",
)  # they have checksums
SLOW = 10.0


@cache
def _originals() -> tuple[tuple[str, bytes, str], ...]:
    """(name, whole bytes, digest of the values) of everything that is damaged."""
    with tempfile.TemporaryDirectory() as scratch:
        found = pictures() | containers(Path(scratch))
        return tuple((name, data, _read(name, data, Path(scratch))) for name, data in sorted(found.items()))


def _read(name: str, data: bytes, scratch: Path) -> str:
    """A digest of all values that the packages read from these bytes."""
    if "." not in name:
        return _digest(decode(data, name).pixels)
    path = scratch / f"read-{name}"
    path.write_bytes(data)
    if name.startswith("mini."):
        from cmmd_toolkit import load_backbone

        mini = load_backbone("mini", weights=path, device="cpu")
        return _digest(mini.embed([mini.preprocess(np.zeros((8, 8, 3), np.uint8))]))
    if name.startswith("model."):
        from dit_generators import load_checkpoint

        heads = 2 if path.suffix == ".pt" else None  # a .pt does not say
        state = load_checkpoint(path, num_heads=heads).state_dict()
        return _digest(*(state[key].numpy() for key in sorted(state)))
    if is_stored(path):
        stored = load_stored(path)
        return _digest(stored.mean, stored.cov) if isinstance(stored, GaussianStatistics) else _digest(stored.values)
    return _digest(*(load().pixels for _, load in open_images(path)))


def _digest(*arrays: np.ndarray) -> str:
    found = hashlib.sha256()
    for array in arrays:
        found.update(str((array.shape, array.dtype)).encode() + array.tobytes())
    return found.hexdigest()


@contextlib.contextmanager
def _listening() -> Iterator[list[int]]:
    """What reaches the terminal meanwhile, Python's and C's, as a number of bytes."""
    heard = [0]
    with tempfile.TemporaryFile() as file:
        kept = [os.dup(stream) for stream in (1, 2)]
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
        try:
            yield heard
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for stream, original in zip((1, 2), kept, strict=True):
                os.dup2(original, stream)
                os.close(original)
            heard[0] = os.fstat(file.fileno()).st_size


def attempt(seed: int) -> tuple[str, str, Counter[str], str]:
    """One damaged input: its name, the damage, the outcome, and the exception if it was a foreign one."""
    originals = _originals()
    name, whole, values = originals[seed % len(originals)]
    damage, data = damaged(whole, seed)
    started, message = time.monotonic(), ""
    warnings.filterwarnings("ignore", module=r"PIL\.")  # as every command does
    with tempfile.TemporaryDirectory() as scratch, _listening() as heard:
        try:
            outcome = "same" if _read(name, data, Path(scratch)) == values else "changed"
        except (CmmdError, DitError) as error:
            outcome = "traceback" if "\n" in str(error) else "refused"
            message = str(error)
        except Exception as error:
            outcome, message = "traceback", f"{type(error).__name__}: {error}"
    counts = Counter({outcome: 1, "noise": int(heard[0] > 0), "slow": int(time.monotonic() - started > SLOW)})
    return name, damage, +counts, message if counts["traceback"] else ""


def _inputs(count: int, seed: int, workers: int) -> dict[str, Counter[str]]:
    found: dict[str, Counter[str]] = {}
    with ProcessPoolExecutor(workers) as pool:
        for k, (name, damage, counts, message) in enumerate(
            pool.map(attempt, range(seed, seed + count), chunksize=50), start=seed
        ):
            found.setdefault(name, Counter()).update(counts)
            if counts["traceback"] or counts["noise"] or counts["slow"]:
                print(f"seed {k}, {name}, {damage}: {dict(counts)} {message}", file=sys.stderr)
    return found


def _failures(found: dict[str, dict[str, Counter[str]]]) -> int:
    bad = ("traceback", "noise", "slow", "lost", "broken", "tracebacks", "left_behind")
    total = sum(counts[kind] for part in found.values() for counts in part.values() for kind in bad)
    total += sum(counts["refused"] for counts in found["kills"].values())
    return total + sum(counts["changed"] for name, counts in found["inputs"].items() if name.startswith(CHECKED))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--inputs", type=int, default=10_000)
    parser.add_argument("--kills", type=int, default=10, help="of each command")
    parser.add_argument("--races", type=int, default=2, help="of each command")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, metavar="COUNTS.json")
    options = parser.parse_args()
    started = time.monotonic()
    found = {"inputs": _inputs(options.inputs, options.seed, options.workers)}
    with tempfile.TemporaryDirectory() as scratch:
        found["kills"] = kill_all(Path(scratch), options.kills, options.seed, options.workers) if options.kills else {}
        found["races"] = race_all(Path(scratch), options.races) if options.races else {}
    for part, rows in found.items():
        for name, counts in rows.items():
            print(f"{part:8}{name:24}" + "  ".join(f"{kind} {number:,}" for kind, number in sorted(counts.items())))
    failures = _failures(found)
    print(f"{failures} failures in {time.monotonic() - started:.0f} s")
    if options.out:
        whole = {"seed": options.seed, "failures": failures, **found}
        options.out.write_text(json.dumps(whole, indent=1, sort_keys=True) + "\n")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
