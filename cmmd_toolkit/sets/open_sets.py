"""First step of every command: the sets opened and the backbones chosen, before a picture is read."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..backbones.registry import spec_of
from ..common.labels import short_labels
from ..errors import ArgumentError
from .named import as_sources, called, check_once, different
from .precision import check_precision_fits
from .recipes import Recipe, find_recipe
from .run import Run
from .side import Side, open_side
from .stored_backbones import check_asked, left_out, stored_in_common

DEFAULT_BACKBONE = "clip"


@dataclass(frozen=True, eq=False)
class OpenedSets:
    """What is known before a picture is read: `sides` are the sets, the reference first; `backbones` are names.

    `remarks` say which stored features are left out.
    """

    run: Run
    recipe: Recipe
    sides: list[Side]
    backbones: list[str]
    remarks: list[str]

    @property
    def labels(self) -> list[str]:
        """The names of all sets."""
        return [side.label for side in self.sides]

    @property
    def shorts(self) -> list[str]:
        """Their short names."""
        return [side.short for side in self.sides]


def open_sets(reference: Any, generated: Any, run: Run) -> OpenedSets:
    """Open every set and check cheaply that it can be scored. Raises CmmdError."""
    recipe = find_recipe(run.recipe)
    sources = as_sources(generated)
    check_once(sources)
    given = [called("generated", own) for own in sources]
    sides = [open_side(source, recipe, run) for source in (called("reference", reference), *given)]
    for side, name in zip(sides[1:], different([side.label for side in sides[1:]]), strict=True):
        if name != side.label:
            side.rename(name)
    short = short_labels(side.label for side in sides)
    for side in sides:
        side.short = short[side.label]
    check_precision_fits(run, recipe, sides)
    names = backbone_names(run, recipe, sides)
    return OpenedSets(run, recipe, sides, names, [] if run.backbones else left_out(sides, names))


def backbone_names(run: Run, recipe: Recipe, sides: Sequence[Side]) -> list[str]:
    """The backbones of this run; stored features have one already."""
    asked = run.backbones
    in_sets = {name for side in sides if len(side.backbones) > 1 for name in side.backbones}
    for name in asked:
        family = name if name in in_sets or name in run.own else spec_of(name).name
        if recipe.backbone not in (None, family):
            raise ArgumentError(
                f"recipe {recipe.name} is defined on {recipe.backbone}, not on {name}; leave out `backbone`"
            )
    check_asked(sides, asked)
    made = [] if asked else stored_in_common(sides, recipe)
    has_pictures = any(side.source is not None for side in sides)
    fallback = recipe.backbone or DEFAULT_BACKBONE if has_pictures else "features"
    names = asked or made or [fallback]
    if run.dims is not None and "inception" not in names:
        raise ArgumentError(f"dims: only inception has a choice of dimensions, {names[0]} does not; leave out `dims`")
    return names
