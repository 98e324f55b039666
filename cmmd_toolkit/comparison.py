"""`compare` and `embed`: from names to work to a report. The only place that knows every stage."""

import datetime
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from . import checks
from .backbones.base import Backbone
from .backbones.registry import INCEPTION_DIMS, load_backbone, spec_of
from .embedding import Advance, OnError, embed_source
from .errors import ArgumentError, InputError
from .features import Features
from .images import open_images
from .inputs import Side, Stored, as_list, as_sources, check_same_backbone, for_backbone, open_side
from .metrics.mmd import Bandwidth, check_bandwidth
from .recipes import Recipe, find_recipe
from .report import Report, Result
from .report.labels import short_labels
from .scoring import check_metrics, score_all
from .versions import library_versions

Paths = str | Path | Mapping[str, str | Path] | None
Progress = Callable[[str, int | None], AbstractContextManager[Advance]]
DEFAULT_BACKBONE = "clip"


@dataclass(frozen=True)
class Options:
    """Everything about a run that does not name its inputs; checked on creation."""

    batch_size: int = 32
    workers: int | None = None
    device: str = "auto"
    max_images: int | None = None
    seed: int = 0
    recursive: bool = True
    on_error: OnError = "fail"

    def __post_init__(self) -> None:
        for name, value in (("batch_size", self.batch_size), ("workers", self.workers)):
            if value is not None and value < 1:
                raise ArgumentError(f"{name}: expected at least 1, got {value}")
        if self.max_images is not None and self.max_images < 2:
            raise ArgumentError(f"max_images: expected at least 2, got {self.max_images}")
        if self.on_error not in ("fail", "skip"):
            raise ArgumentError(f"on_error: expected fail or skip, got {self.on_error!r}")
        if self.seed < 0:
            raise ArgumentError(f"seed: expected 0 or more, got {self.seed}")


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
    batch_size: int = 32,
    workers: int | None = None,
    device: str = "auto",
    max_images: int | None = None,
    seed: int = 0,
    recursive: bool = True,
    on_error: OnError = "fail",
    progress: Progress | None = None,
    command: str | None = None,
) -> Report:
    """Score one or several generated sets against a reference set.

    Args:
        reference: a folder, .zip, .npy/.npz batch, stored features or statistics, uint8 images (N, 3, H, W), an
            iterable of pictures, `Features` or `GaussianStatistics`.
        generated: the same, or a list of such sets. The reference is embedded once.
        backbone: one or several names (see `cmmd backbones`). Default: what stored features were made with, else the
            recipe's, else "clip".
        metric: "fd" ("fid" on Inception), "mmd" ("cmmd" on CLIP, SigLIP, ALIGN and OpenCLIP). Default: the recipe's.
        recipe: "google-cmmd", "pytorch-fid", "clean-fid", "torch-fidelity" or "torchmetrics"; None for ours.
        weights, model: local weights or a published model id, one value, or a mapping from backbone names.
        dims: Inception's feature dimensions: 64, 192, 768 or 2048.
        bandwidth: of the MMD kernel: a number > 0, "median" (of the reference; the default) or "median-pooled".
        batch_size, workers, device: pictures a batch, decoding threads, "auto", "cpu", "cuda", ...
        max_images, seed: score a seeded random subset of each set.
        recursive: search folders recursively.
        on_error: "fail" at the first unusable picture, or "skip" and list them in the report.
        progress: called with (set name, number of pictures or None), returns a context manager that yields
            a function to be called with each number of finished pictures.
        command: recorded in the provenance.

    Returns:
        A Report: results in the order generated, backbone, metric; lower is closer.

    Raises:
        CmmdError: one of its kinds (see `cmmd_toolkit.errors`), each with what, which file, what to do.
    """
    options = Options(batch_size, workers, device, max_images, seed, recursive, on_error)
    plan = find_recipe(recipe)
    if bandwidth is not None:
        check_bandwidth(bandwidth)
    sides = [_side(source, plan, options) for source in (reference, *as_sources(generated))]
    names = _backbone_names(as_list(backbone), plan, sides)
    metrics, remarks = check_metrics(as_list(metric), plan, names, [side.stored for side in sides])
    backbones: dict[str, Backbone] = {}
    if _has_pictures(sides):
        dims = _stored_dims(names, sides) if dims is None else dims
        backbones = _load_backbones(names, plan, weights, model, dims, options.device)
    short = short_labels(side.label for side in sides)
    for side in sides:
        side.short = short[side.label]
    warnings = [*remarks, *(remark for loaded in backbones.values() for remark in loaded.remarks)]
    warnings += _check_stored(sides, backbones.get(names[0]), plan)
    tables = [_features_of(side, names, backbones, options, progress) for side in sides]
    for side in sides:
        if side.summary is not None and len(side.summary.names) < 2:
            raise InputError(f"{side.label}: only one usable picture; a distance needs at least two a side")
    results: list[Result] = []
    for i, name in enumerate(names):
        scored, remarks = score_all(name, sides, [table[i] for table in tables], metrics, plan, bandwidth, seed)
        results += scored
        warnings += remarks
    results.sort(key=lambda result: [side.label for side in sides[1:]].index(result.generated))
    summaries = [side.summary for side in sides if side.summary is not None]
    return Report(
        tuple(results),
        tuple(dict.fromkeys([*_set_warnings(sides), *warnings])),
        tuple(checks.describe(summary) for summary in summaries),
        _provenance(plan, metrics, sides, backbones, options, command),
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
    progress: Progress | None = None,
) -> Features:
    """Features of a set of pictures, float32 (N, D), as the backbone gives them; arguments and errors as `compare`."""
    options = Options(batch_size, workers, device, max_images, seed, recursive, on_error)
    plan = find_recipe(recipe)
    source = open_images(images, recursive=recursive, policy=plan.decode).subset(max_images, seed)
    side = Side(source.name, source=source)
    (name,) = _backbone_names(as_list(backbone), plan, [side])
    backbones = _load_backbones([name], plan, weights, model, dims, device)
    (features,) = _features_of(side, [name], backbones, options, progress)
    assert isinstance(features, Features)
    return features


def _side(source: Any, plan: Recipe, options: Options) -> Side:
    return open_side(
        source, recursive=options.recursive, policy=plan.decode, max_images=options.max_images, seed=options.seed
    )


def _has_pictures(sides: Sequence[Side]) -> bool:
    return any(side.source is not None for side in sides)


def _backbone_names(asked: list[str], plan: Recipe, sides: Sequence[Side]) -> list[str]:
    """The backbones of this run; stored features have one already."""
    for name in asked:
        family = spec_of(name).name
        if plan.backbone not in (None, family):
            raise ArgumentError(
                f"recipe {plan.name} is defined on {plan.backbone}, not on {name}; leave out --backbone"
            )
    stored = [side for side in sides if side.stored is not None]
    made = list(dict.fromkeys(side.backbone for side in stored if side.backbone is not None))
    if len(made) > 1:
        raise InputError(f"stored features of different backbones ({', '.join(made)}); embed all sets with one")
    if stored and len(asked) > 1:
        raise ArgumentError(f"{stored[0].label}: stored features belong to one backbone; give one --backbone or none")
    if made and asked and asked != made:
        raise InputError(f"{stored[0].label}: made with backbone {made[0]}, not {asked[0]}; embed both sides alike")
    fallback = "features" if not _has_pictures(sides) else plan.backbone or DEFAULT_BACKBONE
    return asked or made or [fallback]


def _stored_dims(names: Sequence[str], sides: Sequence[Side]) -> int | None:
    """The dimensions of stored Inception features, which the other side must then have too."""
    widths = [side.stored.dim for side in sides if side.stored is not None]
    return widths[0] if names == ["inception"] and widths and widths[0] in INCEPTION_DIMS else None


def _load_backbones(
    names: list[str], plan: Recipe, weights: Paths, model: Any, dims: int | None, device: str
) -> dict[str, Backbone]:
    if dims is not None and "inception" not in names:
        raise ArgumentError(f"dims: only inception has a choice of dimensions, {names[0]} does not; leave out --dims")
    return {
        name: load_backbone(
            name,
            weights=for_backbone(weights, name, names, "--weights"),
            model=for_backbone(model, name, names, "--model") or plan.model,
            dims=dims if name == "inception" else None,
            device=device,
            preprocessing=plan.preprocessing,
        )
        for name in names
    }


def _features_of(
    side: Side, names: Sequence[str], backbones: Mapping[str, Backbone], options: Options, progress: Progress | None
) -> list[Stored]:
    """One entry a backbone: stored as it is, or embedded now in one pass over the pictures."""
    if side.source is None:
        assert side.stored is not None
        return [side.stored for _ in names]
    watch = progress(side.label, side.size) if progress else nullcontext(None)
    with watch as advance:
        features, side.summary = embed_source(
            side.source,
            [backbones[name] for name in names],
            batch_size=options.batch_size,
            workers=options.workers,
            on_error=options.on_error,
            advance=advance,
        )
    side.summary.label = side.short
    return list(features)


def _check_stored(sides: Sequence[Side], loaded: Backbone | None, plan: Recipe) -> list[str]:
    """Stored features must come from the same backbone as the rest; warnings for other weights."""
    stored = [side for side in sides if side.stored is not None]
    if not stored:
        return []
    if loaded is None:
        assert stored[0].stored is not None
        base: Mapping[str, Any] = {**stored[0].stored.provenance, "dim": stored[0].stored.dim}
    else:
        base = {**loaded.provenance, "decode": plan.decode}
    remarks = [check_same_backbone(side, base) for side in stored]
    return [remark for remark in remarks if remark]


def _set_warnings(sides: Sequence[Side]) -> list[str]:
    counts = [(side.short, len(side.summary.names) if side.summary else side.size) for side in sides]
    warnings = checks.size_warnings(counts[0], counts[1:])
    if sides[0].summary is not None:
        warnings += checks.set_warnings(sides[0].summary, [side.summary for side in sides[1:] if side.summary])
    return warnings


def _provenance(
    plan: Recipe,
    metrics: Sequence[str],
    sides: Sequence[Side],
    backbones: Mapping[str, Backbone],
    options: Options,
    command: str | None,
) -> dict[str, Any]:
    stored = {side.label: dict(side.stored.provenance) for side in sides if side.stored is not None}
    devices = {loaded.device for loaded in backbones.values()}
    return {
        "versions": library_versions(),
        "recipe": asdict(plan),
        "backbones": {name: dict(loaded.provenance) for name, loaded in backbones.items()},
        "stored": stored,
        "device": ", ".join(sorted(devices)) or None,
        "dtype": "float32",
        "seed": options.seed,
        "options": {**asdict(options), "metrics": list(metrics)},
        "command": command,
        "created": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
    }
