"""Which metrics a run computes: what cannot be is refused before a picture is read, or left out and said."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

from ..backbones.base import Backbone
from ..backbones.registry import SPECS
from ..errors import ArgumentError
from ..features.features import rows_needed
from ..sets.metric_names import ALL, METRICS, NUMBERS, OWN, MetricSpec, find_metric
from ..sets.open_sets import OpenedSets
from ..sets.recipes import Recipe
from ..sets.side import Side
from .scorers import least_pictures

_LOGIT_DIMS = 2048
_NO_ROWS = rows_needed("one side", "it", "use `metric='fd'`, or ")
_STORED_LOGITS = (
    "class logits need Inception's last layer, and stored features come without it; give at least one set as pictures"
)
_OTHER_DIMS = f"class logits need Inception's {_LOGIT_DIMS:,} dimensions; leave out `dims`"
_NO_CLASSIFIER = "the backbone's weights hold no fc.weight for class logits; give pytorch-fid's file as `weights`"


@dataclass(frozen=True)
class Selection:
    """The metrics of a run; those in `asked` must be computed, the others are left out where they cannot be."""

    names: tuple[str, ...]
    asked: frozenset[str]
    remarks: tuple[str, ...]

    def kept(self, why_not: Callable[[MetricSpec], str | None]) -> "Selection":
        """Without the metrics that have a reason against them. Raises ArgumentError when one of those was asked for."""
        reasons = {name: reason for name in self.names if (reason := why_not(METRICS[name]))}
        for name, reason in reasons.items():
            if name in self.asked or len(reasons) == len(self.names):
                raise ArgumentError(f"{name}: {reason}")
        names = tuple(name for name in self.names if name not in reasons)
        return Selection(names, self.asked, (*self.remarks, *_left_out(reasons)))

    def on(
        self, name: str, loaded: Backbone | None, sets: OpenedSets, counts: Sequence[tuple[str, int | None]]
    ) -> "Selection":
        """What can be computed on one backbone, now that it is loaded; `counts` are the pictures of each set."""

        def why_not(spec: MetricSpec) -> str | None:
            if not _defined_on(spec, name, sets.run.own):
                return f"not defined on {name}"
            if spec.needs == "logits" and (loaded is None or loaded.read_classifier is None):
                return _NO_CLASSIFIER
            return _too_few(spec, sets.recipe, counts)

        return self.kept(why_not)


def select_metrics(asked: Sequence[str], sets: OpenedSets) -> Selection:
    """Second step of `compare`: the metrics of this run, by what is known before a picture is read.

    `asked` are names, "all" among them or not; none takes the recipe's defaults.

    Raises:
        ArgumentError: an unknown metric, or one that recipe, backbone or sides do not allow.
    """
    recipe, named = sets.recipe, [name for name in asked if name != ALL]
    for name in named:
        _check_defined(find_metric(name), sets)
    if not asked:
        chosen = Selection(recipe.defaults, frozenset(recipe.defaults) - _without_rows(recipe.defaults, sets.sides), ())
    elif ALL in asked:
        chosen = _every(named, recipe)
    else:
        chosen = Selection(tuple(named), frozenset(named), ())
    return chosen.kept(lambda spec: _why_not(spec, sets))


def _without_rows(names: Sequence[str], sides: Sequence[Side]) -> set[str]:
    """Those that need rows where a side has none."""
    without = not all(side.has_rows for side in sides)
    return {name for name in names if without and METRICS[name].needs != "moments"}


def _every(named: Sequence[str], recipe: Recipe) -> Selection:
    """All that the recipe defines; a number that was asked for by its published name comes once."""
    taken = {METRICS[name].number for name in named}
    others = [name for name in NUMBERS if name not in taken]
    reason = f"recipe {recipe.name} computes {', '.join(recipe.metrics)}"
    undefined = {name: reason for name in others if name not in recipe.metrics}
    rest = [name for name in others if name not in undefined]
    return Selection((*named, *rest), frozenset(named), tuple(_left_out(undefined)))


def _check_defined(spec: MetricSpec, sets: OpenedSets) -> None:
    recipe = sets.recipe
    if spec.number not in recipe.metrics and not (spec.scorer.startswith(OWN) and recipe.name == "default"):
        raise ArgumentError(
            f"recipe {recipe.name} does not define {spec.name}; it computes {', '.join(recipe.metrics)}"
        )
    check_defined_on(spec, sets)


def check_defined_on(spec: MetricSpec, sets: OpenedSets) -> None:
    """Raise ArgumentError when a published name is asked for on another network than its own."""
    for backbone in sets.backbones:
        if not _defined_on(spec, backbone, sets.run.own):
            instead = f"`metric='{spec.general}'`" if spec.general else "`backbone='inception'`"
            raise ArgumentError(f"metric {spec.name!r} is not defined on {backbone}; use {instead}")


def _defined_on(spec: MetricSpec, backbone: str, own: Collection[str]) -> bool:
    """Stored features of an unknown network are taken for what the name says; the user's `own` networks have none."""
    row = SPECS.get(backbone.split(":")[0])
    return not spec.family or (row is None and backbone not in own) or (row is not None and row.family == spec.family)


def _why_not(spec: MetricSpec, sets: OpenedSets) -> str | None:
    if not any(_defined_on(spec, backbone, sets.run.own) for backbone in sets.backbones):
        return f"not defined on {', '.join(sets.backbones)}"
    if _without_rows([spec.name], sets.sides):
        return _NO_ROWS
    if spec.needs == "logits":
        if all(side.source is None for side in sets.sides):
            return _STORED_LOGITS
        inception = next(name for name in sets.backbones if _defined_on(spec, name, sets.run.own))
        stored_dims = [side.stored_on(inception).dim for side in sets.sides if side.stored is not None]
        if any(dim not in (None, _LOGIT_DIMS) for dim in (sets.run.dims, *stored_dims)):
            return _OTHER_DIMS
    return _too_few(spec, sets.recipe, [(side.label, side.size) for side in sets.sides])


def _too_few(spec: MetricSpec, recipe: Recipe, counts: Sequence[tuple[str, int | None]]) -> str | None:
    least = least_pictures(spec, recipe)
    for label, count in counts[1:] if spec.needs == "logits" else counts:
        if count is not None and count < least:
            rule = "" if recipe.name == "default" else f" under recipe {recipe.name}"
            return f"expected at least {least:,} pictures per side{rule}, got {count:,} in {label}; add pictures"
    return None


def _left_out(reasons: dict[str, str]) -> Iterable[str]:
    """One sentence a reason."""
    by_reason: dict[str, list[str]] = {}
    for name, reason in reasons.items():
        by_reason.setdefault(reason, []).append(name)
    for reason, names in by_reason.items():
        yield f"{', '.join(map(repr, names))} {'was' if len(names) == 1 else 'were'} left out: {reason}"
