"""`compare` and `embed`: the public road from names to a report or to features."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, Literal, overload

from typing_extensions import Unpack

from ..backbones.own_names import is_one
from ..errors import ArgumentError
from ..estimation.kernel_device import kernels_on
from ..features.feature_set import FeatureSet
from ..features.features import Features
from ..metrics.mmd import Bandwidth, check_bandwidth
from ..metrics.random_features import frequencies_of
from ..report import Report
from ..scoring.exhibit import exhibit_of
from ..scoring.joint import Test, check_joint, joint_answers
from ..scoring.per_class import check_classes, score_classes
from ..scoring.results import Task, score_all, tasks_of
from ..scoring.selection import select_metrics
from ..sets.embed_sets import EmbeddedSets, embed_set, embed_sets
from ..sets.metric_names import METRICS
from ..sets.open_sets import open_sets
from ..sets.run import Backbones, OneBackbone, Run
from ..sets.side import as_list
from .limits import Limit
from .run_options import EmbedOptions, RunOptions, takes


@takes(RunOptions)
def compare(
    reference: Any,
    generated: Any,
    *,
    metric: str | Iterable[str] | None = None,
    bandwidth: Bandwidth | None = None,
    mmd_method: Literal["exact", "random-features"] = "exact",
    mmd_frequencies: int | None = None,
    test: Test | None = None,
    per_class: bool = False,
    limits: Sequence[Limit] = (),
    exhibit: bool = False,
    **options: Unpack[RunOptions],
) -> Report:
    """Score one or several generated sets against a reference set.

    Args:
        reference: a folder, .zip, .tar, .parquet, list of paths or .npy/.npz batch, by path or address, stored
            features or statistics, an .npy of features (floats, N x D), a data set of `datasets`, uint8 images
            (N, 3, H, W), an iterable of pictures, features (N, D) as `Features`, array or tensor, `FeatureSet` or
            `GaussianStatistics`.
        generated: the same, a list of such sets (those without a name are called "generated 1", ... by position), or
            a mapping from names to such sets. The reference is embedded once.
        metric: one or several names (`sets.metric_names.METRICS`): "fd" ("fid" on Inception), "mmd" ("cmmd"
            on CLIP, SigLIP, ALIGN and OpenCLIP), "p-value", "kd" ("kid" on Inception), "precision", "recall",
            "density", "coverage", "vendi", "vendi-truncated", "mind", "sw", "fd-infinity"; "authpct" and "copies",
            whose reference is the training pictures; "is", on Inception; or "all", everything that these sets allow.
            Default: "fd" and "mmd", or the recipe's.
        bandwidth: of the MMD kernel: a number > 0, "median" (of the reference; the default) or "median-pooled".
        mmd_method: "exact" (every pair) or "random-features" (random Fourier features: time linear in the number of
            pictures; standard error and interval include their error, see `squared_mmd`). An exact MMD of more than
            10^12 multiplications warns (CostWarning) how long it takes.
        mmd_frequencies: number of frequencies of random-features, 100 to 100,000; None is 4,096.
        test: "joint" for one exact test of "do they differ at all?" over all backbones and many widths of kernel, with
            the answer in words (`joint_test`); of the whole sets, up to 10,000 pictures of both. P-values of several
            generated sets are corrected for their number (Holm).
        per_class: also score the pictures of each class folder (the first folder of their names) by themselves.
        limits: checked against the backbones of this run before a picture is read; see `Limit.failures`.
        exhibit: keep what `Report.save_html` shows besides numbers: a sample of the pictures, maps, and those that
            drive the distance (squared MMD, of at most 4,000 pictures per set).
        backbone: one or several (see `cmmd backbones`): a name, an entry point of a package, "path/to/file.py:name", a
            function of uint8 pictures (B, 3, H, W) that returns features (B, D), an `nn.Module`, or a `Backbone`; see
            docs/own.md. Default: what stored features were made with, else the recipe's, else "clip".
        weights, model: local weights or a published model id, one value, or a mapping from backbone names.
        dims: Inception's feature dimensions: 64, 192, 768 or 2048.
        recipe: "google-cmmd", "pytorch-fid", "clean-fid", "torch-fidelity" or "torchmetrics"; None for ours.
        batch_size, workers: pictures per batch, decoding threads.
        device: of the networks and of the sums over pairs (`kernels_on`): "auto", "cpu", "cuda", ...
        precision: of the products in the networks: "fp32", "bf16" or, on a GPU, "fp16". Other than fp32, up to 256
            pictures per side are also embedded in fp32, and the warnings say how the precision changes the score.
            Recipes other than the default need fp32.
        max_images, seed: score a seeded random subset of each set. The seed also draws the directions of "sw" and the
            subsets of "fd-infinity"; "mind", "is" and a recipe's subsets keep the seeds of their definitions.
        recursive: search folders recursively.
        on_error: "fail" at the first unusable picture, or "skip" and list them in the report.
        max_pixels: a picture with more (rows times columns) is unusable; known from its header, before it is decoded.
        store: folder that keeps features, so that a picture is embedded once; None for CMMD_STORE or the user's cache
            folder, False for none. They are found by the picture's content and all else that determines them.
        progress: called with (set name, number of pictures or None), returns a context manager that yields
            a function to be called with each number of finished pictures.
        command: recorded in the provenance.

    Returns:
        A Report: results in the order generated, backbone, metric; `higher_is_better` says how to read each; and a
        verdict for each backbone.

    Raises:
        CmmdError: one of its kinds (see `cmmd_toolkit.errors`), each with what, which file, what to do.
    """
    if bandwidth is not None:
        check_bandwidth(bandwidth)
    frequencies = frequencies_of(mmd_method, mmd_frequencies, ("mmd_method", "mmd_frequencies"))
    run = Run(**options)
    sets = open_sets(reference, generated, run)
    selection = select_metrics(as_list(metric), sets)
    check_joint(test, sets)
    if frequencies is not None:
        _check_random_features(selection.names, sets.recipe.name)
    for limit in limits:
        limit.check_backbones(sets.backbones)
    if per_class:
        check_classes(sets.sides)
    with kernels_on(run.device):
        embedded = embed_sets(sets, bandwidth)
        report = _report(tasks_of(embedded, selection, bandwidth, frequencies), per_class)
        if test is not None:
            report = _with_joint(report, embedded)
        return replace(report, exhibit=exhibit_of(embedded, exhibit, bandwidth))


def _with_joint(report: Report, embedded: EmbeddedSets) -> Report:
    """With the joint test of every set."""
    answers, remarks = joint_answers(embedded)
    options = {**report.provenance["options"], "test": "joint"}
    provenance = {**report.provenance, "options": options}
    return replace(report, joint=tuple(answers), warnings=(*report.warnings, *remarks), provenance=provenance)


def _check_random_features(metrics: Sequence[str], recipe: str) -> None:
    """A recipe is computed as published, and other metrics have no such method."""
    if recipe != "default":
        raise ArgumentError(f"mmd_method: recipe {recipe} is defined over all pairs; leave out `mmd_method`")
    if not any(METRICS[name].number == "mmd" for name in metrics):
        raise ArgumentError(f"mmd_method: expected mmd among the metrics, got {', '.join(metrics)}; leave it out")


def _report(tasks: Sequence[Task], per_class: bool) -> Report:
    sets = tasks[0].sets
    results, remarks, verdicts = score_all(tasks)
    by_class, class_remarks = score_classes(tasks) if per_class else ({}, [])
    return Report(
        tuple(results),
        tuple(dict.fromkeys([*sets.warnings, *remarks, *class_remarks])),
        sets.descriptions(),
        sets.provenance(list(dict.fromkeys(result.metric for result in results))),
        by_class,
        tuple(verdicts),
    )


@overload
def embed(images: Any, *, backbone: OneBackbone | None = ..., **options: Unpack[EmbedOptions]) -> Features: ...


@overload
def embed(
    images: Any,
    *,
    backbone: list[OneBackbone] | tuple[OneBackbone, ...] | set[OneBackbone],
    **options: Unpack[EmbedOptions],
) -> FeatureSet: ...


@takes(EmbedOptions)
def embed(images: Any, *, backbone: Backbones = None, **options: Unpack[EmbedOptions]) -> Features | FeatureSet:
    """Features of a set of pictures under one backbone or several, in one pass over the pictures.

    Args:
        images: pictures, as `compare` takes them.
        backbone: a name gives `Features`; a list of names, even of one, gives a `FeatureSet`. Default: the recipe's,
            else "clip".
        others: as `compare`.

    Returns:
        `Features`, float32 (N, D), as the backbone gives them; or a `FeatureSet`, a mapping from the names to them.

    Raises:
        CmmdError: as `compare`.
    """
    features = embed_set(images, Run(backbone=backbone, **options))
    return features[next(iter(features))] if is_one(backbone) else features
