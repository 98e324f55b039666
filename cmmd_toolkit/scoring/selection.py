"""Which metrics a run computes: what cannot be is refused before a picture is read, or left out and said."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from ..backbones.base import Backbone
from ..backbones.registry import SPECS
from ..errors import ArgumentError
from ..features.features import GaussianStatistics
from ..sets.metric_names import ALL, METRICS, NUMBERS, MetricSpec, find_metric
from ..sets.recipes import Recipe
from ..sets.side import Side, Stored
from .scorers import least_pictures, side_count

_LOGIT_DIMS = 2048
_NO_ROWS = (
    "one side holds mean and covariance only, and it needs every picture's features; use --metric fd, or features "
    "from `cmmd embed` without --stats"
)
_STORED_LOGITS = (
    "class logits need Inception's last layer, and stored features come without it; give at least one set as pictures"
)
_OTHER_DIMS = f"class logits need Inception's {_LOGIT_DIMS:,} dimensions; leave out --dims"
_NO_CLASSIFIER = "the backbone's weights hold no fc.weight for class logits; give pytorch-fid's file as --weights"


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

    def on(self, name: str, loaded: Backbone | None, plan: Recipe, sets: Sequence[tuple[str, Stored]]) -> "Selection":
        """What can be computed on one backbone, now that it is loaded and the sets are embedded."""
        counts = [(label, side_count(own)) for label, own in sets]

        def why_not(spec: MetricSpec) -> str | None:
            if not _defined_on(spec, name):
                return f"not defined on {name}"
            if spec.needs == "logits" and (loaded is None or loaded.classifier is None):
                return _NO_CLASSIFIER
            return _too_few(spec, plan, counts)

        return self.kept(why_not)


def select_metrics(
    asked: Sequence[str], plan: Recipe, backbones: Sequence[str], sides: Sequence[Side], dims: int | None
) -> Selection:
    """The metrics of this run, by what is known before a picture is read.

    Args:
        asked: names, "all" among them or not; none takes the recipe's defaults.
        plan, backbones, sides, dims: of the run; the reference is the first side.

    Raises:
        ArgumentError: an unknown metric, or one that recipe, backbone or sides do not allow.
    """
    named = [name for name in asked if name != ALL]
    for name in named:
        _check_defined(find_metric(name), plan, backbones)
    if not asked:
        chosen = Selection(plan.defaults, frozenset(plan.defaults) - _without_rows(plan.defaults, sides), ())
    elif ALL in asked:
        chosen = _every(named, plan)
    else:
        chosen = Selection(tuple(named), frozenset(named), ())
    return chosen.kept(lambda spec: _why_not(spec, plan, backbones, sides, dims))


def _without_rows(names: Sequence[str], sides: Sequence[Side]) -> set[str]:
    """Those that need rows where a side has none."""
    statistics = any(isinstance(side.stored, GaussianStatistics) for side in sides)
    return {name for name in names if statistics and METRICS[name].needs != "moments"}


def _every(named: Sequence[str], plan: Recipe) -> Selection:
    """All that the recipe defines; a number that was asked for by its published name comes once."""
    taken = {METRICS[name].number for name in named}
    others = [name for name in NUMBERS if name not in taken]
    reason = f"recipe {plan.name} computes {', '.join(plan.metrics)}"
    undefined = {name: reason for name in others if name not in plan.metrics}
    rest = [name for name in others if name not in undefined]
    return Selection((*named, *rest), frozenset(named), tuple(_left_out(undefined)))


def _check_defined(spec: MetricSpec, plan: Recipe, backbones: Sequence[str]) -> None:
    if spec.number not in plan.metrics:
        raise ArgumentError(f"recipe {plan.name} does not define {spec.name}; it computes {', '.join(plan.metrics)}")
    check_defined_on(spec, backbones)


def check_defined_on(spec: MetricSpec, backbones: Sequence[str]) -> None:
    """Raise ArgumentError when a published name is asked for on another network than its own."""
    for backbone in backbones:
        if not _defined_on(spec, backbone):
            instead = f"--metric {spec.general}" if spec.general else "--backbone inception"
            raise ArgumentError(f"{spec.name} is not defined on {backbone}; use {instead}")


def _defined_on(spec: MetricSpec, backbone: str) -> bool:
    """Features of an unknown network are taken for what the name says."""
    row = SPECS.get(backbone.split(":")[0])
    return not spec.family or row is None or row.about == spec.family


def _why_not(
    spec: MetricSpec, plan: Recipe, backbones: Sequence[str], sides: Sequence[Side], dims: int | None
) -> str | None:
    if not any(_defined_on(spec, backbone) for backbone in backbones):
        return f"not defined on {', '.join(backbones)}"
    if _without_rows([spec.name], sides):
        return _NO_ROWS
    if spec.needs == "logits":
        if all(side.source is None for side in sides):
            return _STORED_LOGITS
        stored_dims = [side.stored.dim for side in sides if side.stored is not None]
        if any(dim not in (None, _LOGIT_DIMS) for dim in (dims, *stored_dims)):
            return _OTHER_DIMS
    return _too_few(spec, plan, [(side.label, side.size) for side in sides])


def _too_few(spec: MetricSpec, plan: Recipe, counts: Sequence[tuple[str, int | None]]) -> str | None:
    least = least_pictures(spec, plan)
    for label, count in counts[1:] if spec.needs == "logits" else counts:
        if count is not None and count < least:
            rule = "" if plan.name == "default" else f" under recipe {plan.name}"
            return f"expected at least {least:,} pictures a side{rule}, got {count:,} in {label}; add pictures"
    return None


def _left_out(reasons: dict[str, str]) -> Iterable[str]:
    """One sentence a reason."""
    by_reason: dict[str, list[str]] = {}
    for name, reason in reasons.items():
        by_reason.setdefault(reason, []).append(name)
    for reason, names in by_reason.items():
        yield f"{', '.join(names)} {'was' if len(names) == 1 else 'were'} left out: {reason}"
