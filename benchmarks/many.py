"""A budget for many pictures on many processes: bytes moved, where the time goes, what it costs, from measured rates.

    python benchmarks/many.py --rates docs/many_rates.json --pictures 10000000 --gpus 64 [--price 2.5]
    python benchmarks/many.py --rates rates.json --device cuda --rate "network clip=V" --rate kernel=K ...

`benchmarks/many_rates.py` measures the rates on your machine; --rate adds one that you know, by its name there. A
term whose rate is missing is "not measured", and so is every total that it belongs to. Nothing is measured here.
"""

import argparse
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from math import ceil, log2, sqrt
from pathlib import Path
from typing import Any

RECORD = 28 + 8 + 32  # bytes a picture: what was seen of it, its place, a name of 32 characters
FREQUENCIES = 4096
ON_DEVICE = ("network", "kernel", "waves", "covariance")
UNKNOWN = "not measured"


@dataclass(frozen=True)
class Job:
    """`pictures` are in both sets, half in each; `gpus` are processes; `storage` is bytes per second and machine."""

    pictures: float
    gpus: int
    gpus_per_machine: int
    cores: float
    backbones: tuple[str, ...]
    dim: int
    picture_bytes: float
    storage: float | None
    subset: float
    device: str

    @property
    def machines(self) -> int:
        return ceil(self.gpus / self.gpus_per_machine)

    @property
    def units(self) -> float:
        """What the rates of networks and sums are of: a GPU of each process, or on CPUs each of its cores."""
        return self.cores if self.device == "cpu" else 1


@dataclass(frozen=True)
class Term:
    """One thing that takes time: the formula, with the value of every letter in it; None where a rate is missing."""

    name: str
    formula: str
    seconds: float | None
    gigabytes: float | None = None


def embedding(job: Job, rates: dict[str, Any]) -> list[Term]:
    """Terms that run beside each other."""
    n, network = job.pictures, [rates.get(f"network {name}") for name in job.backbones]
    prepared = [rates.get("decode"), *(rates.get(f"prepare {name}") for name in job.backbones)]
    read = n * job.picture_bytes
    return [
        Term("read", "N bytes / (machines x storage)", over(read, job.storage, job.machines), read / 1e9),
        Term("decode, prepare", "N (1/decode + sum 1/prepare) / (P cores)", per(n, prepared, job.gpus * job.cores)),
        Term("networks", "N sum 1/network / (P units)", per(n, network, job.gpus * job.units)),
    ]


def sharing(job: Job, rates: dict[str, Any]) -> list[Term]:
    """What every process does with all pictures, or sends to all; one after the other."""
    n, count = job.pictures, len(job.backbones)
    features, records = 4 * job.dim * count * n, RECORD * n
    steps = ceil(log2(job.gpus)) if job.gpus > 1 else 0
    kept = per(n * count, [rates.get("store keep")], job.machines)
    return [
        Term("list the names", "N / list", over(n, rates.get("list"))),
        Term("keep in the store", "N B / (machines x store keep)", kept, features / 1e9),
        Term(
            "features to all",
            "4 D B N log2 P / broadcast",
            over(features * steps, rates.get("broadcast")),
            features / 1e9,
        ),
        Term("records to all", "N / record", over(n, rates.get("record")), records / 1e9),
    ]


def scores(job: Job, rates: dict[str, Any]) -> list[Term]:
    """Of each backbone. The first is the Frechet distance; of the others one is chosen."""
    half, dim, count, few = job.pictures / 2, job.dim, len(job.backbones), min(job.subset, job.pictures / 2)
    kernel, units = rates.get("kernel"), job.gpus * job.units
    twice = over(2 * count, 1 / rates["frechet seconds"] if rates.get("frechet seconds") else None)
    moments = add([over(count * job.pictures * dim**2, rates.get("covariance"), units), twice])
    waves = job.pictures * dim * FREQUENCIES * count
    return [
        Term("Frechet distance", "B (N D^2 / (P units x covariance) + 2 frechet)", moments),
        Term("MMD, exact", "2 B D (N/2)^2 / (P units x kernel)", over(2 * half**2 * dim * count, kernel, units)),
        Term("MMD, random features", "N B D 4096 / (P units x waves)", over(waves, rates.get("waves"), units)),
        Term(
            "MMD, exact, K pictures per set",
            "2 B D K^2 / (P units x kernel)",
            over(2 * few**2 * dim * count, kernel, units),
        ),
    ]


def over(work: float, rate: float | None, parts: float = 1) -> float | None:
    return None if rate is None else work / rate / parts


def per(pictures: float, rates: Iterable[float | None], parts: float) -> float | None:
    """Seconds of steps that follow each other on every picture."""
    each = [over(1, rate) for rate in rates]
    total = add(each)
    return None if total is None else pictures * total / parts


def add(seconds: Iterable[float | None]) -> float | None:
    known = list(seconds)
    return None if None in known else sum(own for own in known if own is not None)


def longest(seconds: Iterable[float | None]) -> float | None:
    known = list(seconds)
    return None if None in known else max(own for own in known if own is not None)


def embedding_seconds(job: Job, rates: dict[str, Any]) -> float | None:
    """The steps run beside each other, but decoding and networks share the cores where there is no GPU."""
    read, prepare, networks = (term.seconds for term in embedding(job, rates))
    if job.device == "cpu":
        return longest([read, add([prepare, networks])])
    return longest([read, prepare, networks])


def in_all(job: Job, rates: dict[str, Any], score: Term) -> float | None:
    """Embedding, sharing, Frechet distance and a squared MMD, one after the other."""
    shared = (term.seconds for term in sharing(job, rates))
    return add([embedding_seconds(job, rates), *shared, scores(job, rates)[0].seconds, score.seconds])


def overtaken(job: Job, rates: dict[str, Any]) -> float | None:
    """Pictures a set at which the exact MMD takes as long as the embedding: 2 n / (P v) = 2 n^2 D B / (P kernel), where
    v is the pictures a second that a process embeds; P stands on both sides."""
    seconds = embedding_seconds(job, rates)
    if seconds is None or rates.get("kernel") is None:
        return None
    return float(rates["kernel"]) * job.units / (job.dim * len(job.backbones)) * seconds * job.gpus / job.pictures


def lines(job: Job, rates: dict[str, Any], price: float | None) -> Iterable[str]:
    """The budget as Markdown."""
    names = ", ".join(job.backbones)
    yield f"N = {job.pictures:,.0f} pictures of {job.picture_bytes / 1e3:,.0f} KB, backbones {names}, D = {job.dim};"
    yield f"P = {job.gpus} processes on {job.machines} machines, {job.cores:g} cores each, rates of {job.device}.\n"
    yield "| what | seconds | moved | formula |\n|---|---|---|---|"
    _, exact, waves, few = scores(job, rates)
    for term in (*embedding(job, rates), *sharing(job, rates), *scores(job, rates)):
        moved = "" if term.gigabytes is None else f"{term.gigabytes:,.1f} GB"
        yield f"| {term.name} | {shown(term.seconds)} | {moved} | {term.formula} |"
    subset = min(job.subset, job.pictures / 2)
    smaller = replace(job, pictures=2 * subset)
    yield "\n| total | seconds | process-hours | cost |\n|---|---|---|---|"
    for name, whole in (
        ("with the exact MMD", in_all(job, rates, exact)),
        ("with random features", in_all(job, rates, waves)),
        (f"with an exact MMD of {subset:,.0f} pictures per set", in_all(smaller, rates, few)),
    ):
        hours = None if whole is None else whole * job.gpus / 3600
        cost = "" if price is None else shown(None if hours is None else hours * price)
        yield f"| {name} | {shown(whole)} | {shown(hours)} | {cost} |"
    yield from notes(job, subset, overtaken(job, rates))


def notes(job: Job, subset: float, limit: float | None) -> Iterable[str]:
    """What else decides."""
    held = (4 * job.dim * len(job.backbones) + RECORD) * job.pictures * min(job.gpus, job.gpus_per_machine) / 1e9
    yield f"\nThe processes of each machine hold {held:,.0f} GB of features, in temporary files beyond 256 MiB."
    above = UNKNOWN if limit is None else f"{limit:,.0f} pictures per set"
    yield f"Set size above which the exact MMD takes longer than embedding, for any number of processes: {above}."
    share = job.pictures / 2 / subset
    errors = f"{sqrt(share):.1f} times that of all pictures; near zero, {share:,.0f} times"
    yield f"With {subset:,.0f} pictures per set the standard error is {errors}."


def shown(value: float | None) -> str:
    if value is None:
        return UNKNOWN
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def known_rates(found: dict[str, Any], device: str | None, given: Sequence[str]) -> dict[str, Any]:
    """Those of the file, without networks and sums where they were measured on another device; and those given."""
    other = device is not None and device != found["machine"]["device"]
    kept = {name: rate for name, rate in found["rates"].items() if not (other and name.startswith(ON_DEVICE))}
    return kept | {name: float(value) for name, _, value in (own.rpartition("=") for own in given)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rates", type=Path, required=True, help="file written by benchmarks/many_rates.py")
    parser.add_argument(
        "--rate", action="append", default=[], metavar="NAME=VALUE", help="a rate that you know; repeatable"
    )
    parser.add_argument("--device", help="cuda: networks and sums on GPUs [default: where the rates were measured]")
    parser.add_argument(
        "--pictures", type=float, default=10_000_000, help="number in both sets together [default: 10 million]"
    )
    parser.add_argument("--gpus", type=int, default=64, help="number of processes, one per GPU")
    parser.add_argument("--gpus-per-machine", type=int, default=8)
    parser.add_argument("--cores", type=float, default=8, help="cores per process")
    parser.add_argument("--backbone", action="append", help="repeatable [default: all whose network was measured]")
    parser.add_argument(
        "--picture-bytes", type=float, help="mean size of a picture [default: that of the measured pictures]"
    )
    parser.add_argument("--storage", type=float, help="bytes per second that a machine reads")
    parser.add_argument(
        "--subset", type=float, default=100_000, help="pictures per set in the total with a subset (--max-images)"
    )
    parser.add_argument("--price", type=float, help="price of a process-hour (a GPU-hour)")
    given = parser.parse_args()
    found = json.loads(given.rates.read_text())
    rates = known_rates(found, given.device, given.rate)
    device = given.device or found["machine"]["device"]
    names = given.backbone or [name.removeprefix("network ") for name in rates if name.startswith("network ")]
    job = Job(
        given.pictures,
        given.gpus,
        given.gpus_per_machine,
        given.cores,
        tuple(names),
        found["dim"],
        given.picture_bytes or found["picture_bytes"],
        given.storage,
        given.subset,
        device,
    )
    print("\n".join(lines(job, rates, given.price)))


if __name__ == "__main__":
    main()
