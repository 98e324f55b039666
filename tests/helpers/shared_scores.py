"""Every number that several processes compute together, as JSON: `shared_scores.py PICTURES OTHERS FEW OUT`."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from cmmd_toolkit import (
    compare,
    embed,
    explain,
    frechet_distance,
    joint_test,
    kernel_distance,
    plan,
    rank,
    relative_test,
    shared_work,
    squared_mmd,
    two_sample_test,
)
from cmmd_toolkit.metrics.memorisation import memorisation
from cmmd_toolkit.metrics.neighbours import neighbour_metrics

ROWS, WIDTH = 2600, 8  # three blocks of kernel
NETWORK: dict[str, Any] = {"backbone": "mini", "device": "cpu", "on_error": "skip", "store": False}


def features(seed: int, shift: float, rows: int = ROWS) -> Any:
    return np.random.default_rng(seed).normal(shift, 1, (rows, WIDTH))


def of_features() -> dict[str, Any]:
    """Numbers from features that every process has."""
    x, y, z = features(0, 0.0), features(1, 0.1, ROWS - 900), features(2, 0.12, ROWS - 900)
    found = {
        "mmd": squared_mmd(reference=x, generated=y),
        "kd": kernel_distance(reference=x, generated=y),
        "kd-subsets": kernel_distance(reference=x, generated=y, recipe="torch-fidelity", subsets=5),
        "fd": frechet_distance(reference=x, generated=y),
    }
    test = two_sample_test(reference=x, generated=y, permutations=40)
    sides = [{"all": own, "three": own[:, :3]} for own in (x, y)]
    joint = joint_test(reference=sides[0], generated=sides[1], permutations=40)
    relative = [relative_test(reference=x, first=y, second=z, paired=paired) for paired in (False, True)]
    copied = memorisation(reference=x, generated=y)
    found |= {"authpct": copied.auth_pct, **neighbour_metrics(reference=x, generated=y)._asdict()}
    return {
        "nearest": copied.nearest.tolist(),
        **{name: [float(own), own.standard_error, own.interval] for name, own in found.items()},
        "joint": [[own.difference, own.contrast, own.p_difference, own.p_contrast] for own in joint.findings],
        "two-sample": [test.statistic, test.p_value],
        "relative": [[own.difference, own.standard_error, own.p_value] for own in relative],
    }


def of_pictures(pictures: str, others: str, few: str) -> dict[str, Any]:
    """Numbers from pictures, of which every process embeds a part."""
    whole = embed(pictures, **NETWORK)
    assert whole.record is not None
    report = compare(pictures, [others, few], metric=["fd", "mmd", "kd", "copies"], exhibit=True, **NETWORK)
    exhibit = report.exhibit
    assert not isinstance(exhibit, str)
    assert not isinstance(exhibit.drivers, str)
    ranking = rank(pictures, [pictures, others], **NETWORK)
    explanation = explain(pictures, others, top=3, **NETWORK)
    needed = plan(pictures, others, differences=[0.1], **NETWORK)
    return {
        "names": list(whole.names),
        "skipped": whole.record.skipped,
        "sizes": whole.record.sizes.tolist(),
        "digests": [row.tobytes().hex() for row in whole.record.digests],
        "features": whole.values.tolist(),
        "report": [[own.generated, own.metric, own.value, own.standard_error] for own in report.results],
        "warnings": report.warnings,
        "rank": [[place.generated, place.score, place.groups] for order in ranking.orders for place in order.places],
        "explain": [entry.name for section in explanation.sections for entry in section.alien],
        "drivers": [[entry.name, entry.nearest] for own in exhibit.drivers for entry in own.section.alien],
        "plan": str(needed),
    }


def main(pictures: str, others: str, few: str, out: str) -> None:
    with shared_work() as processes:
        found = {**of_features(), **of_pictures(pictures, others, few)}
        texts = processes.gather(json.dumps(found))
    assert len(set(texts)) == 1, "the processes differ"
    if processes.is_main:
        Path(out).write_text(texts[0])


if __name__ == "__main__":
    main(*sys.argv[1:])
