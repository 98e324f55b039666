"""Every recorded number of the kernel distance, neighbour metrics, Vendi, sliced distances and Inception score."""

import json
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
import pytest
from pictures import shared_path
from safetensors.numpy import load_file

from cmmd_toolkit.metrics.inception_score import inception_score
from cmmd_toolkit.metrics.kid import kernel_distance
from cmmd_toolkit.metrics.neighbours import neighbour_metrics, precision_recall
from cmmd_toolkit.metrics.sliced import mind, sliced_wasserstein
from cmmd_toolkit.metrics.vendi import vendi_score

Arrays = tuple[np.ndarray, np.ndarray]


@cache
def recorded() -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    folder = shared_path("oracles", "metrics")
    return load_file(folder / "features.safetensors"), json.loads((folder / "values.json").read_text())["pairs"]


def entries(metric: str) -> Iterator[tuple[str, str, np.ndarray, np.ndarray, dict[str, Any]]]:
    features, pairs = recorded()
    for pair, content in pairs.items():
        for label, entry in content["metrics"].get(metric, {}).items():
            if entry.get("values") is not None:
                yield pair, label, features[f"{pair}.x"], features[f"{pair}.y"], entry


def check(where: tuple[str, str], entry: dict[str, Any], values: dict[str, float | None], noise: float = 0.0) -> int:
    """Compare with the peer's numbers within their tolerance, and with the float64 re-run within 1e-9.

    `noise` is an absolute rounding that the re-run itself carries. Returns how many were compared.
    """
    checked = 0
    for key, value in values.items():
        assert value is not None, (*where, key)
        if key in entry["values"] and key not in entry.get("unreliable", []):
            assert value == pytest.approx(entry["values"][key], rel=0, abs=entry["atol"][key]), (*where, key)
            checked += 1
        if key in entry.get("float64", {}):
            assert value == pytest.approx(entry["float64"][key], rel=1e-9, abs=1e-12 + noise), (*where, key)
            checked += 1
    return checked


def whole_kid(x: np.ndarray, y: np.ndarray) -> dict[str, float | None]:
    return {
        estimator: float(kernel_distance(reference=x, generated=y, estimator=estimator))
        for estimator in ("unbiased", "biased")
    }


def subset_kid(label: str, x: np.ndarray, y: np.ndarray, params: dict[str, Any]) -> dict[str, float | None]:
    recipe = "torchmetrics" if label.startswith("torchmetrics") else label.split(".")[0]
    estimate = kernel_distance(
        reference=x,
        generated=y,
        recipe=recipe,
        subsets=params.get("subsets", params.get("num_subsets", params.get("n_subsets"))),
        subset_size=params.get("subset_size", 1000),
        seed=params.get("torch.manual_seed", params.get("np.random.seed")),
    )
    assert estimate.parameters["subset_size"] == params.get("subset_size", params.get("subset_size_used"))
    return {"mean": float(estimate), "value": float(estimate), "std": estimate.parameters["subset_std"]}


def kernel_noise(x: np.ndarray, y: np.ndarray) -> float:
    """A few units in the last place of the largest kernel value, the rounding of any plain float64 sum."""
    largest = max(float(np.square(rows.astype(np.float64)).sum(axis=1).max()) for rows in (x, y))
    return 4 * np.finfo(np.float64).eps * (largest / x.shape[1] + 1) ** 3


def test_reaches_every_recorded_kernel_distance() -> None:
    checked = 0
    for pair, label, x, y, entry in entries("kid"):
        if label == "reference" or label.endswith("unequal"):
            values = whole_kid(x, y) if label == "reference" else {"value": whole_kid(x, y)["unbiased"]}
        elif "poly_mmd" in label:
            size = min(len(x), len(y))
            values = {"value": whole_kid(x[:size], y[:size])["unbiased"]}
        else:
            values = subset_kid(label, x, y, entry["params"])
        checked += check((pair, label), entry, values, kernel_noise(x, y))
    assert checked > 200


def test_reaches_every_recorded_precision_recall_density_and_coverage() -> None:
    checked = 0
    for pair, label, x, y, entry in entries("prdc"):
        params = entry["params"]
        k = params.get("k", params.get("nearest_k", params.get("prc_neighborhood")))
        every = neighbour_metrics(reference=x, generated=y, k=k, inclusive=params["comparison"] == "<=")
        checked += check((pair, label), entry, {name: float(value) for name, value in every._asdict().items()})
    assert checked > 600


@pytest.mark.parametrize("recipe", ["prdc", "dgm-eval", "torch-fidelity"])
def test_the_recipe_alone_reaches_the_tool(recipe: str) -> None:
    label = {"prdc": "prdc.k5", "dgm-eval": "dgm-eval.k5", "torch-fidelity": "torch-fidelity.k3.full.float64"}[recipe]
    checked = 0
    for pair, name, x, y, entry in entries("prdc"):
        if name == label:
            pair_of = precision_recall(reference=x, generated=y, recipe=recipe)
            checked += check((pair, name), entry, {key: float(value) for key, value in pair_of._asdict().items()})
    assert checked > 40


def test_reaches_every_recorded_vendi_score() -> None:
    checked = 0
    for pair, label, x, y, entry in entries("vendi"):
        if label.endswith("q2_ignored"):
            continue
        rows = x if label.endswith(".x") else y
        if label.startswith("reference"):
            orders = {"value": 1.0, "order2": 2.0, "order_inf": float("inf")}
        else:
            orders = {"value": float(entry["params"]["q"])}
        scores: dict[str, float | None] = {
            key: float(vendi_score(generated=rows, order=order)) for key, order in orders.items()
        }
        checked += check((pair, label), entry, scores)
    assert checked > 200


def test_reaches_every_recorded_sliced_distance() -> None:
    checked = 0
    for pair, label, x, y, entry in entries("sliced"):
        if label == "dgm-eval.sw_approx":
            estimate = sliced_wasserstein(reference=x, generated=y, recipe="dgm-eval")
        else:
            params = entry["params"]
            estimate = mind(
                reference=x, generated=y, num_projections=params["mind_num_projections"], seed=params["rng_seed"]
            )
        checked += check((pair, label), entry, {"value": float(estimate)})
    assert checked > 60


def test_reaches_every_recorded_inception_score() -> None:
    checked = 0
    for pair, label, x, y, entry in entries("inception_score"):
        params = entry["params"]
        estimate = inception_score(
            generated=x if params["rows"] == "x" else y,
            splits=params["splits"],
            seed=params.get("rng_seed", params.get("torch.manual_seed", 2020)),
            shuffle=params.get("shuffle", True),
            recipe=label.split(".")[0],
        )
        mean, std = float(estimate), estimate.parameters["split_std"]
        names = {"inception_score_mean": mean, "inception_score_std": std, "mean": mean, "std": std}
        checked += check((pair, label), entry, names)
    assert checked == 40
