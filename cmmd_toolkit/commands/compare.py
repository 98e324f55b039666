"""`compare` and `embed`: the public road from names to a report or to features."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..features.features import Features
from ..metrics.mmd import Bandwidth, check_bandwidth
from ..pictures.decode import MAX_PIXELS
from ..report import Report
from ..scoring.per_class import check_classes, score_classes
from ..scoring.results import score_all, tasks_of
from ..scoring.selection import Selection, select_metrics
from ..sets import warnings as checks
from ..sets.embed_sets import Networks, Options, Paths, Progress, embed_set, gather
from ..sets.embedding import OnError
from ..sets.recipes import Recipe
from ..sets.side import Side, as_list
from .limits import Limit


def compare(
    reference: Any,
    generated: Any,
    *,
    backbone: str | Iterable[str] | None = None,
    metric: str | Iterable[str] | None = None,
    recipe: str | None = None,
    weights: Paths = None,
    model: str | Mapping[str, str] | None = None,
    dims: int | None = None,
    bandwidth: Bandwidth | None = None,
    per_class: bool = False,
    batch_size: int = 32,
    workers: int | None = None,
    device: str = "auto",
    max_images: int | None = None,
    seed: int = 0,
    recursive: bool = True,
    on_error: OnError = "fail",
    max_pixels: int = MAX_PIXELS,
    progress: Progress | None = None,
    command: str | None = None,
    limits: Sequence[Limit] = (),
) -> Report:
    """Score one or several generated sets against a reference set.

    Args:
        reference: a folder, .zip, .npy/.npz batch, stored features or statistics, uint8 images (N, 3, H, W), an
            iterable of pictures, features (N, D) as `Features`, array or tensor, or `GaussianStatistics`.
        generated: the same, a list of such sets, or a mapping from names to features. The reference is embedded once.
        backbone: one or several names (see `cmmd backbones`). Default: what stored features were made with, else the
            recipe's, else "clip".
        metric: one or several names (`sets.metric_names.METRICS`): "fd" ("fid" on Inception), "mmd" ("cmmd"
            on CLIP, SigLIP, ALIGN and OpenCLIP), "p-value", "kd" ("kid" on Inception), "precision", "recall",
            "density", "coverage", "vendi", "mind", "sw", "fd-infinity"; "authpct" and "copies", whose reference is the
            training pictures; "is", on Inception; or "all", everything that these sets allow. Default: "fd" and "mmd",
            or the recipe's.
        recipe: "google-cmmd", "pytorch-fid", "clean-fid", "torch-fidelity" or "torchmetrics"; None for ours.
        weights, model: local weights or a published model id, one value, or a mapping from backbone names.
        dims: Inception's feature dimensions: 64, 192, 768 or 2048.
        bandwidth: of the MMD kernel: a number > 0, "median" (of the reference; the default) or "median-pooled".
        per_class: also score the pictures of each class folder (the first folder of their names) by themselves.
        batch_size, workers, device: pictures a batch, decoding threads, "auto", "cpu", "cuda", ...
        max_images, seed: score a seeded random subset of each set. The seed also draws the directions of "sw" and the
            subsets of "fd-infinity"; "mind", "is" and a recipe's subsets keep the seeds of their definitions.
        recursive: search folders recursively.
        on_error: "fail" at the first unusable picture, or "skip" and list them in the report.
        max_pixels: a picture with more (rows times columns) is unusable; known from its header, before it is decoded.
        progress: called with (set name, number of pictures or None), returns a context manager that yields
            a function to be called with each number of finished pictures.
        command: recorded in the provenance.
        limits: checked against the backbones of this run before a picture is read; see `Limit.failures`.

    Returns:
        A Report: results in the order generated, backbone, metric; `higher_is_better` says how to read each; and a
        verdict for each backbone.

    Raises:
        CmmdError: one of its kinds (see `cmmd_toolkit.errors`), each with what, which file, what to do.
    """
    if bandwidth is not None:
        check_bandwidth(bandwidth)
    chosen: list[Selection] = []

    def check(plan: Recipe, names: list[str], sides: list[Side]) -> list[str]:
        chosen.append(select_metrics(as_list(metric), plan, names, sides, dims))
        for limit in limits:
            limit.check_backbones(names)
        if per_class:
            check_classes(sides)
        return list(chosen[0].remarks)

    gathered = gather(
        reference,
        generated,
        Networks(backbone, recipe, weights, model, dims),
        Options(batch_size, workers, device, max_images, seed, recursive, on_error, max_pixels),
        check=check,
        progress=progress,
        command=command,
    )
    tasks = tasks_of(gathered, chosen[0], bandwidth)
    results, remarks, verdicts = score_all(tasks)
    by_class, class_remarks = score_classes(tasks) if per_class else ({}, [])
    return Report(
        tuple(results),
        tuple(dict.fromkeys([*gathered.warnings, *remarks, *class_remarks])),
        tuple(checks.describe(side.summary) for side in gathered.sides if side.summary is not None),
        gathered.provenance(list(dict.fromkeys(result.metric for result in results))),
        by_class,
        tuple(verdicts),
    )


def embed(
    images: Any,
    *,
    backbone: str | None = None,
    weights: str | Path | None = None,
    model: str | None = None,
    dims: int | None = None,
    recipe: str | None = None,
    batch_size: int = 32,
    workers: int | None = None,
    device: str = "auto",
    max_images: int | None = None,
    seed: int = 0,
    recursive: bool = True,
    on_error: OnError = "fail",
    max_pixels: int = MAX_PIXELS,
    progress: Progress | None = None,
) -> Features:
    """Features of a set of pictures, float32 (N, D), as the backbone gives them; arguments and errors as `compare`."""
    options = Options(batch_size, workers, device, max_images, seed, recursive, on_error, max_pixels)
    return embed_set(images, Networks(backbone, recipe, weights, model, dims), options, progress)
