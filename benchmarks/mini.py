"""How reliable `mini` is: known faults, a generator in training, agreement with FID, speed.

    python benchmarks/mini.py --data DATA --weights inception-fid-768.safetensors [--out docs/mini_results.json]

Held-out pictures only (degrade.py says which). Pictures are reduced to 64 x 64 first, as the snapshots are: mini
cannot see finer faults. Standard errors of MMD are from 200 half-samples of both sets.
"""

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path

import degrade
import numpy as np
from scipy.stats import spearmanr

from cmmd_toolkit import Backbone, Features, frechet_distance, load_backbone, squared_mmd
from cmmd_toolkit.pictures.sources import open_images
from cmmd_toolkit.sets.embedding import embed_source

SIZE = 64
LEVELS = (1, 2, 3, 4, 5)
SNAPSHOTS = ("00", "04", "20", "68")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True, help="the FID Inception's weights")
    parser.add_argument("--mini", type=Path, help="weights of mini, default the bundled ones")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--images", type=int, default=330, help="pictures per set")
    parser.add_argument("--no-fid", action="store_true", help="leave out Inception, which takes most of the time")
    given = parser.parse_args()
    mini = load_backbone("mini", weights=given.mini, device="cpu")
    inception = None if given.no_fid else load_backbone("inception", weights=given.weights, dims=768, device="cpu")
    results = []
    for title, (reference, sets) in all_sets(given.data, given.images).items():
        results.append(score(title, reference, sets, mini, inception))
        print_result(results[-1])
    summary = {"sets": results, "spearman": agreement(results), "speed": None}
    if inception is not None:
        summary["speed"] = speed(given.data / "landscapes", mini, inception)
    print(
        f"Spearman over {sum(len(row['mmd']) for row in results)} sets: {summary['spearman']}; speed {summary['speed']}"
    )
    print(
        "\n".join(
            ["", "| sets | mmd of mini, 1000 times | FID at 768 dimensions |", "|---|---|---|", *map(markdown, results)]
        )
    )
    if given.out:
        given.out.write_text(json.dumps(summary, indent=1) + "\n")


def all_sets(data: Path, count: int) -> dict[str, tuple[list[np.ndarray], list[list[np.ndarray]]]]:
    """For each row of the table: a reference, and generated sets that should score higher and higher."""
    landscapes = degrade.read_folder(data / "landscapes", held=True, size=SIZE)["."]
    reference, others = landscapes[::2][:count], landscapes[1::2][:count]
    scenes = degrade.read_folder(data / "scenes", held=True, size=SIZE)
    rows = {"two real halves": (reference, [others])}
    snapshots = [
        [degrade.read(path, SIZE) for path in sorted((data / "stylegan2_landscapes" / f"snapshot-{tick}").iterdir())]
        for tick in reversed(SNAPSHOTS)
    ]
    rows["StyleGAN2 snapshots 68, 20, 4, 0"] = (landscapes[: 2 * count], snapshots)
    for fault in degrade.PICTURE_FAULTS:
        rows[fault] = (reference, [degrade.apply(fault, others, level, seed=1) for level in LEVELS])
    rows["mode dropping"] = mode_dropping(scenes)
    rows["another domain mixed in"] = mixing(reference, others, scenes)
    return rows


def mode_dropping(scenes: dict[str, list[np.ndarray]]) -> tuple[list[np.ndarray], list[list[np.ndarray]]]:
    """Every other held-out scene is the reference; the rest lose a class more a level, from the alphabet's end."""
    reference = [picture for group in scenes.values() for picture in group[::2]]
    groups = [group[1::2] for group in scenes.values()]
    return reference, [[picture for group in groups[: len(groups) - level] for picture in group] for level in LEVELS]


def mixing(
    reference: list[np.ndarray], others: list[np.ndarray], scenes: dict[str, list[np.ndarray]]
) -> tuple[list[np.ndarray], list[list[np.ndarray]]]:
    """A tenth more a level of the landscapes is replaced by buildings and streets."""
    streets = [*scenes["buildings"], *scenes["street"]]
    counts = [round(len(others) * level / 10) for level in LEVELS]
    return reference, [[*streets[:count], *others[count:]] for count in counts]


def score(
    title: str,
    reference: list[np.ndarray],
    sets: Sequence[list[np.ndarray]],
    mini: Backbone,
    inception: Backbone | None,
) -> dict[str, object]:
    own = features(reference, mini)
    mmd, errors = [], []
    for pictures in sets:
        other = features(pictures, mini)
        mmd.append(float(squared_mmd(reference=own, generated=other)))
        errors.append(standard_error(own, other))
    fid: list[float] = []
    if inception is not None:
        base = features(reference, inception)
        fid = [float(frechet_distance(reference=base, generated=features(pictures, inception))) for pictures in sets]
    return {"title": title, "mmd": mmd, "standard_error": errors, "fid": fid}


def features(pictures: list[np.ndarray], backbone: Backbone) -> Features:
    (result,), _ = embed_source(open_images(np.stack(pictures)), [backbone])
    return result


def standard_error(reference: Features, generated: Features, replicates: int = 200) -> float:
    """Spread over random halves of both sets: a half strays from the whole as the whole does from the population."""
    generator = np.random.default_rng(0)
    sigma = squared_mmd(reference=reference, generated=generated).parameters["bandwidth"]
    values = []
    for _ in range(replicates):
        x, y = (side.values[generator.permutation(len(side))[: len(side) // 2]] for side in (reference, generated))
        values.append(float(squared_mmd(reference=x, generated=y, bandwidth=sigma)))
    return float(np.std(values))


def agreement(results: Sequence[dict[str, object]]) -> float | None:
    """Rank correlation of mini's MMD with FID over all sets."""
    pairs = [pair for row in results for pair in zip(row["mmd"], row["fid"], strict=False)]
    return round(float(spearmanr(*zip(*pairs, strict=True)).statistic), 4) if pairs else None


def speed(folder: Path, mini: Backbone, inception: Backbone, count: int = 300) -> dict[str, float]:
    """Pictures a second from JPEG files to features, alternately."""
    rates: dict[str, list[float]] = {"mini": [], "inception": []}
    for _ in range(3):
        for backbone, images in ((inception, count), (mini, 4 * count)):
            source = open_images(folder).subset(images, seed=0)
            start = time.perf_counter()
            embed_source(source, [backbone])
            rates[backbone.name].append(images / (time.perf_counter() - start))
    medians = {name: round(float(np.median(values)), 1) for name, values in rates.items()}
    return {**medians, "ratio": round(medians["mini"] / medians["inception"], 1)}


def print_result(row: dict[str, object]) -> None:
    cells = [f"{value:.4f} ± {error:.4f}" for value, error in zip(row["mmd"], row["standard_error"], strict=True)]
    rising = all(low < high for low, high in zip(row["mmd"], row["mmd"][1:], strict=False))
    fid = " ".join(f"{value:.3f}" for value in row["fid"])
    print(f"{row['title']:34s} {'rises' if rising else 'DOES NOT RISE'}  mmd {'  '.join(cells)}  fid {fid}", flush=True)


def markdown(row: dict[str, object]) -> str:
    """One line of the table in docs/mini.md."""
    pairs = zip(row["mmd"], row["standard_error"], strict=True)
    mmd = ", ".join(f"{1000 * value:.1f} ± {1000 * error:.1f}" for value, error in pairs)
    return f"| {row['title']} | {mmd} | {', '.join(f'{value:.3f}' for value in row['fid'])} |"


if __name__ == "__main__":
    main()
