"""First step of every command: the sets opened and the backbones chosen, before a picture is read."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..backbones.registry import spec_of
from ..common.labels import short_labels
from ..errors import ArgumentError, InputError
from .recipes import Recipe, find_recipe
from .run import Run
from .side import Side, as_list, as_sources, open_side

DEFAULT_BACKBONE = "clip"


@dataclass(frozen=True, eq=False)
class OpenedSets:
    """What is known before a picture is read: `sides` are the sets, the reference first; `backbones` are names."""

    run: Run
    recipe: Recipe
    sides: list[Side]
    backbones: list[str]


def open_sets(reference: Any, generated: Any, run: Run) -> OpenedSets:
    """Open every set and check cheaply that it can be scored. Raises CmmdError."""
    recipe = find_recipe(run.recipe)
    sides = [open_side(source, recipe, run) for source in (reference, *as_sources(generated))]
    short = short_labels(side.label for side in sides)
    for side in sides:
        side.short = short[side.label]
    return OpenedSets(run, recipe, sides, backbone_names(run, recipe, sides))


def backbone_names(run: Run, recipe: Recipe, sides: Sequence[Side]) -> list[str]:
    """The backbones of this run; stored features have one already."""
    asked = as_list(run.backbone)
    for name in asked:
        family = spec_of(name).name
        if recipe.backbone not in (None, family):
            raise ArgumentError(
                f"recipe {recipe.name} is defined on {recipe.backbone}, not on {name}; leave out `backbone`"
            )
    made = _made_with(sides, asked)
    has_pictures = any(side.source is not None for side in sides)
    fallback = recipe.backbone or DEFAULT_BACKBONE if has_pictures else "features"
    names = asked or made or [fallback]
    if run.dims is not None and "inception" not in names:
        raise ArgumentError(f"dims: only inception has a choice of dimensions, {names[0]} does not; leave out `dims`")
    return names


def _made_with(sides: Sequence[Side], asked: Sequence[str]) -> list[str]:
    """The backbone that made the stored features, which must be the one that was asked for; none where unknown."""
    stored = [side for side in sides if side.stored is not None]
    made = list(dict.fromkeys(side.backbone for side in stored if side.backbone is not None))
    if len(made) > 1:
        raise InputError(f"stored features of different backbones ({', '.join(made)}); embed all sets with one")
    if stored and len(asked) > 1:
        raise ArgumentError(f"{stored[0].label}: stored features belong to one backbone; give one `backbone` or none")
    if made and asked and list(asked) != made:
        raise InputError(f"{stored[0].label}: made with backbone {made[0]}, not {asked[0]}; embed both sides alike")
    return made
