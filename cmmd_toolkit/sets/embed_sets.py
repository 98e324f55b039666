"""From the names of sets and networks to features: everything that comes before a metric, once for every command."""

import datetime
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ..backbones.base import Backbone
from ..backbones.registry import INCEPTION_DIMS, load_backbone, spec_of
from ..backbones.remarks import REMARKS
from ..common.arguments import check_seed, whole_number
from ..common.labels import short_labels
from ..common.progress import Advance
from ..common.versions import library_versions
from ..errors import ArgumentError, InputError
from ..features.features import Features
from ..features.origin import Origin
from ..pictures.decode import MAX_PIXELS
from ..pictures.sources import open_images
from . import stored_warnings as stored_checks
from . import warnings as checks
from .embedding import OnError, embed_source
from .recipes import Recipe, find_recipe
from .side import Side, Stored, as_list, as_sources, check_same_backbone, for_backbone, open_side

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
    max_pixels: int = MAX_PIXELS

    def __post_init__(self) -> None:
        for name, value, least in (
            ("batch_size", self.batch_size, 1),
            ("workers", self.workers, 1),
            ("max_images", self.max_images, 2),
            ("max_pixels", self.max_pixels, 1),
        ):
            if value is not None:
                object.__setattr__(self, name, whole_number(value, name, least))
        if self.on_error not in ("fail", "skip"):
            raise ArgumentError(f"on_error: expected fail or skip, got {self.on_error!r}")
        object.__setattr__(self, "seed", check_seed(self.seed))


@dataclass(frozen=True)
class Networks:
    """Which networks look at the pictures; arguments as in `compare`."""

    backbone: str | Iterable[str] | None = None
    recipe: str | None = None
    weights: Paths = None
    model: str | Mapping[str, str] | None = None
    dims: int | None = None


@dataclass(frozen=True, eq=False)
class Gathered:
    """All sets, embedded: `tables[i][k]` is set i (0 the reference) under backbone k."""

    plan: Recipe
    sides: list[Side]
    names: list[str]
    tables: list[list[Stored]]
    backbones: Mapping[str, Backbone]
    warnings: list[str]
    options: Options
    command: str | None

    def under(self, backbone: int) -> list[Stored]:
        """Every set under one backbone, the reference first."""
        return [table[backbone] for table in self.tables]

    def provenance(self, metrics: Sequence[str]) -> dict[str, Any]:
        """What made the numbers, JSON-able."""
        return _provenance(self.plan, metrics, self.sides, self.backbones, self.options, self.command)


Check = Callable[[Recipe, list[str], list[Side]], list[str]]


def gather(
    reference: Any,
    generated: Any,
    networks: Networks,
    options: Options,
    *,
    check: Check,
    progress: Progress | None = None,
    command: str | None = None,
) -> Gathered:
    """Open every set, load every network, embed what is not stored; cheap checks first.

    `check` looks at the recipe, the backbones and the sides before a picture is read; it raises for what cannot be
    computed and returns remarks.
    """
    plan = find_recipe(networks.recipe)
    sides = [_side(source, plan, options) for source in (reference, *as_sources(generated))]
    names = _backbone_names(as_list(networks.backbone), plan, sides)
    remarks = check(plan, names, sides)
    _check_dims(networks.dims, names)
    backbones: dict[str, Backbone] = {}
    if _has_pictures(sides):
        dims = _stored_dims(names, sides) if networks.dims is None else networks.dims
        backbones = _load_backbones(names, plan, networks.weights, networks.model, dims, options.device)
    short = short_labels(side.label for side in sides)
    for side in sides:
        side.short = short[side.label]
    warnings = [*remarks, *(remark for loaded in backbones.values() for remark in loaded.remarks)]
    warnings += [REMARKS[name] for name in names if name in REMARKS and name not in backbones]
    warnings += _check_stored(sides, backbones.get(names[0]), plan)
    tables = [_features_of(side, names, backbones, options, progress) for side in sides]
    for side in sides:
        if side.summary is not None and len(side.summary.names) < 2:
            raise InputError(f"{side.label}: only one usable picture; a distance needs at least two a side")
    found = [*_set_warnings(sides), *_copies(sides, tables), *warnings]
    return Gathered(plan, sides, names, tables, backbones, found, options, command)


def embed_set(images: Any, networks: Networks, options: Options, progress: Progress | None) -> Features:
    """Features of one set of pictures under one backbone."""
    plan = find_recipe(networks.recipe)
    origin = Origin.now(images, options.recursive)
    source = open_images(images, recursive=options.recursive, policy=plan.decode, max_pixels=options.max_pixels)
    side = Side(source.name, source=source.subset(options.max_images, options.seed))
    (name,) = _backbone_names(as_list(networks.backbone), plan, [side])
    _check_dims(networks.dims, [name])
    backbones = _load_backbones([name], plan, networks.weights, networks.model, networks.dims, options.device)
    (features,) = _features_of(side, [name], backbones, options, progress)
    assert isinstance(features, Features)
    assert features.record is not None
    return replace(features, record=replace(features.record, origin=origin))


def _side(source: Any, plan: Recipe, options: Options) -> Side:
    return open_side(
        source,
        recursive=options.recursive,
        policy=plan.decode,
        max_pixels=options.max_pixels,
        max_images=options.max_images,
        seed=options.seed,
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


def _check_dims(dims: int | None, names: Sequence[str]) -> None:
    if dims is not None and "inception" not in names:
        raise ArgumentError(f"dims: only inception has a choice of dimensions, {names[0]} does not; leave out --dims")


def _load_backbones(
    names: list[str], plan: Recipe, weights: Paths, model: Any, dims: int | None, device: str
) -> dict[str, Backbone]:
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
        record = side.stored.record
        side.summary = record.summary(side.label, side.short) if record else None
        return [side.stored for _ in names]
    watch = progress(side.label, side.size) if progress else nullcontext(None)
    with watch as advance:
        features, record = embed_source(
            side.source,
            [backbones[name] for name in names],
            batch_size=options.batch_size,
            workers=options.workers,
            on_error=options.on_error,
            advance=advance,
        )
    side.summary = record.summary(side.label, side.short)
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
    warnings += checks.set_warnings(sides[0].summary, [side.summary for side in sides[1:] if side.summary])
    records = [side.stored.record for side in sides if side.stored is not None and side.stored.record is not None]
    warnings += stored_checks.changed_since(records)
    return warnings + stored_checks.unrecorded([side.short for side in sides if side.summary is None])


def _copies(sides: Sequence[Side], tables: Sequence[Sequence[Stored]]) -> list[str]:
    """Under the first backbone: the pictures are the same under all."""
    return checks.feature_copies(
        [(side.short, table[0], side.summary) for side, table in zip(sides, tables, strict=True)]
    )


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
