"""Last step before the metrics: networks loaded, and every set that is not stored embedded, once for every command."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from ..backbones.base import Backbone
from ..backbones.own_names import own_in_a_package
from ..backbones.precision import FULL, check_usable
from ..backbones.registry import INCEPTION_DIMS
from ..backbones.remarks import REMARKS
from ..common.devices import resolve_device
from ..errors import ArgumentError, InputError
from ..estimation.kernel_device import kernels_described
from ..features.feature_set import FeatureSet
from ..features.features import Features
from ..features.origin import Origin
from ..features.record import SetRecord
from ..features.unit_rows import SomeRows
from ..metrics.mmd import Bandwidth
from ..store.networks import open_backbone
from ..store.store import keep_to_limit
from . import stored_warnings as stored_checks, warnings as checks
from .agreement import check_agreement
from .open_sets import OpenedSets, backbone_names
from .precision import PrecisionChange, changes_of_score, check_precision_fits, sampled_sides
from .recipes import Recipe, find_recipe
from .run import Run
from .side import Side, Stored, check_same_backbone, for_backbone, picture_side


@dataclass(frozen=True, eq=False)
class EmbeddedSets(OpenedSets):
    """All sets, embedded.

    Attributes:
        networks: the loaded backbones by name; none where all features were stored.
        features: `features[i][k]` is set i, 0 the reference, under backbone k.
        warnings: what is odd about the sets and networks.
        precision_changes: what less than fp32 changes in the score of some pictures of every set.
    """

    networks: Mapping[str, Backbone]
    features: list[list[Stored]]
    warnings: list[str]
    precision_changes: list[PrecisionChange]

    def features_on(self, backbone: int) -> list[Stored]:
        """Every set under one backbone, the reference first."""
        return [own[backbone] for own in self.features]

    def mmd_rows(self, side: int) -> dict[str, SomeRows]:
        """The rows of one set as MMD takes them, by backbone."""
        return {name: self.recipe.mmd_rows(own) for name, own in zip(self.backbones, self.features[side], strict=True)}

    def descriptions(self) -> tuple[dict[str, Any], ...]:
        """Each set of known pictures, JSON-able: count, formats, sizes, conversions, skipped files."""
        return tuple(checks.describe(side.summary) for side in self.sides if side.summary is not None)

    def provenance(self, metrics: Sequence[str]) -> dict[str, Any]:
        """What made the numbers, JSON-able."""
        devices = {loaded.device for loaded in self.networks.values()}
        return {
            "recipe": asdict(self.recipe),
            "backbones": {name: dict(loaded.provenance) for name, loaded in self.networks.items()},
            "stored": {side.label: _made_with(side) for side in self.sides if side.stored is not None},
            "device": ", ".join(sorted(devices)) or None,
            "kernels": kernels_described(),
            "dtype": "float32",
            "precision_changes": [change.to_dict() for change in self.precision_changes],
            "seed": self.run.seed,
            "options": {**self.run.options(), "metrics": list(metrics)},
            **self.run.made_now(),
        }


def embed_sets(sets: OpenedSets, bandwidth: Bandwidth | None = None) -> EmbeddedSets:
    """Load every network and embed what is not stored. Raises CmmdError.

    `bandwidth` is that of the MMD in which a precision other than fp32 is compared with it.
    """
    sides, names = sets.sides, sets.backbones
    networks: dict[str, Backbone] = {}
    if any(side.source is not None for side in sides):
        dims = _stored_dims(names, sides) if sets.run.dims is None else sets.run.dims
        networks = _load_networks(names, sets.recipe, sets.run, dims)
    warnings = [remark for loaded in networks.values() for remark in loaded.remarks]
    warnings += [REMARKS[name] for name in names if name in REMARKS and name not in networks]
    warnings += sets.remarks
    warnings += _check_stored(sides, names, networks, sets.recipe)
    check_agreement(sets.run, sides, names, networks)
    features = [_features_of(side, names, networks, sets.run) for side in sides]
    keep_to_limit(sets.run.store_path, keep=len(names))
    warnings += dict.fromkeys(remark for side in sides for remark in side.remarks)
    for side in sides:
        if side.summary is not None and len(side.summary.names) < 2:
            raise InputError(f"{side.label}: only one usable picture; a distance needs at least two per side")
    changes, changed = _changes(sets, networks, bandwidth)
    on_first = [(side.short, own[0], side.summary) for side, own in zip(sides, features, strict=True)]
    copies = checks.feature_copies(on_first)  # the pictures are the same under all backbones
    warnings = [*changed, *_set_warnings(sides), *copies, *warnings]
    return EmbeddedSets(sets.run, sets.recipe, sides, names, sets.remarks, networks, features, warnings, changes)


def _changes(
    sets: OpenedSets, networks: Mapping[str, Backbone], bandwidth: Bandwidth | None
) -> tuple[list[PrecisionChange], list[str]]:
    """What less than fp32 changes in the score, and the sentences that say so."""
    low = {name: own for name, own in networks.items() if own.precision != FULL}  # as asked, or as a Backbone is
    if not low:
        return [], []
    sampled, remarks = sampled_sides(sets.sides, low, sets.run)
    ruler = sets.recipe.bandwidth_or(bandwidth)
    changes, sentences = changes_of_score(sets.sides, sampled, sets.recipe, ruler, sets.run)
    return changes, [*sentences, *remarks]


def embed_set(images: Any, run: Run) -> FeatureSet:
    """Features of one set of pictures under every backbone, in one pass over the pictures."""
    recipe = find_recipe(run.recipe)
    origin = Origin.now(images, run.recursive)
    side = picture_side(images, recipe, run)
    check_precision_fits(run, recipe, [side])
    names = backbone_names(run, recipe, [side])
    networks = _load_networks(names, recipe, run, run.dims)
    check_agreement(run, [side], names, networks)
    features, record = _embedded(side, [networks[name] for name in names], run)
    keep_to_limit(run.store_path, keep=len(names))
    record = replace(record, origin=origin)
    found = {name: replace(own, record=record) for name, own in zip(names, features, strict=True)}
    low = {name: own for name, own in networks.items() if own.precision != FULL}
    (sampled,), _ = sampled_sides([side], low, run) if low else ([None], [])
    return FeatureSet(found | {name: own.noted(found[name]) for name, own in (sampled or {}).items()})


def _made_with(side: Side) -> dict[str, Any]:
    """The provenance of stored features; of several backbones by their names."""
    if isinstance(side.stored, FeatureSet):
        return {name: dict(own.provenance) for name, own in side.stored.items()}
    assert side.stored is not None
    return dict(side.stored.provenance)


def _stored_dims(names: Sequence[str], sides: Sequence[Side]) -> int | None:
    """The dimensions of stored Inception features, which the other side must then have too."""
    if "inception" not in names:
        return None
    widths = [side.stored_on("inception").dim for side in sides if side.stored is not None]
    return widths[0] if widths and widths[0] in INCEPTION_DIMS else None


def _load_networks(names: list[str], recipe: Recipe, run: Run, dims: int | None) -> dict[str, Backbone]:
    return {name: _load_network(name, names, recipe, run, dims) for name in names}


def _load_network(name: str, names: list[str], recipe: Recipe, run: Run, dims: int | None) -> Backbone:
    weights = for_backbone(run.weights, name, names, "weights")
    model = for_backbone(run.model, name, names, "model")
    own = run.own.get(name) or own_in_a_package(name)  # stored features may name it
    if own is not None:
        if model is not None:
            raise ArgumentError(f"model: backbone {name} has no published models; leave it out")
        place = resolve_device(run.device)
        check_usable(run.precision, place)
        loaded = own.load(place, weights)
        return loaded if run.precision == FULL else loaded.at(run.precision)
    return open_backbone(
        run.store_path,
        name,
        weights=weights,
        model=model or recipe.model,
        dims=dims if name == "inception" else None,
        device=run.device,
        preprocessing=recipe.preprocessing,
        precision=run.precision,
    )


def _features_of(side: Side, names: Sequence[str], networks: Mapping[str, Backbone], run: Run) -> list[Stored]:
    """One entry a backbone: stored as it is, or embedded now in one pass over the pictures."""
    if side.source is None:
        side.summary = side.record.summary(side.label, side.short) if side.record else None
        return [side.stored_on(name) for name in names]
    features, record = _embedded(side, [networks[name] for name in names], run)
    side.summary = record.summary(side.label, side.short)
    return list(features)


def _embedded(side: Side, loaded: Sequence[Backbone], run: Run) -> tuple[list[Features], SetRecord]:
    """The pictures of a side, embedded now under every network."""
    assert side.source is not None
    features, record, side.remarks = run.embed(side.source, loaded, side.label)
    return features, record


def _check_stored(
    sides: Sequence[Side], names: Sequence[str], networks: Mapping[str, Backbone], recipe: Recipe
) -> list[str]:
    """Stored features must come from the same backbone as the rest; warnings for other weights."""
    stored = [side for side in sides if side.stored is not None]
    remarks = []
    for name in names if stored else ():
        if name in networks:
            base: Mapping[str, Any] = {**networks[name].provenance, "decode": recipe.decode}
        else:
            first = stored[0].stored_on(name)
            base = {**first.provenance, "dim": first.dim}
        remarks += [check_same_backbone(side.label, side.stored_on(name), base) for side in stored]
    return list(dict.fromkeys(remark for remark in remarks if remark))


def _set_warnings(sides: Sequence[Side]) -> list[str]:
    counts = [(side.short, len(side.summary.names) if side.summary else side.size) for side in sides]
    warnings = checks.size_warnings(counts[0], counts[1:])
    warnings += checks.set_warnings(sides[0].summary, [side.summary for side in sides[1:] if side.summary])
    records = [side.record for side in sides if side.record is not None]
    warnings += stored_checks.changed_since(records)
    return warnings + stored_checks.unrecorded([side.short for side in sides if side.summary is None])
