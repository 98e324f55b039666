"""On which backbones sets with stored features can be compared."""

from collections.abc import Sequence

from ..errors import ArgumentError, InputError
from .recipes import Recipe
from .side import Side


def check_asked(sides: Sequence[Side], asked: Sequence[str]) -> None:
    """Raise a CmmdError for a backbone that was asked for and is not in every stored set."""
    for side in sides:
        if side.stored is None or not asked:
            continue
        if len(asked) > 1 and len(side.backbones) < 2:
            raise ArgumentError(f"{side.label}: stored features belong to one backbone; give one `backbone` or none")
        absent = [name for name in asked if name not in side.backbones]
        if not absent or not side.backbones:
            continue
        if len(side.backbones) == 1:
            raise InputError(
                f"{side.label}: made with backbone {side.backbones[0]}, not {absent[0]}; embed both sides alike"
            )
        raise InputError(
            f"{side.label}: holds features of {', '.join(side.backbones)}, not of {absent[0]}; choose among them as "
            "`backbone`, or embed the pictures again"
        )


def stored_in_common(sides: Sequence[Side], recipe: Recipe) -> list[str]:
    """The backbones that every stored set holds, in the order of the first; none where no set knows its own.

    Raises InputError when there is none, or when features without a backbone's name stand beside several.
    """
    lists = [side.backbones for side in sides if side.backbones]
    if not lists:
        return []
    common = [name for name in lists[0] if all(name in own for own in lists)]
    if not common:
        made = dict.fromkeys(name for own in lists for name in own)
        raise InputError(f"stored features of different backbones ({', '.join(made)}); embed all sets with one")
    if len(common) > 1 and recipe.backbone is not None:
        common = [name for name in common if name.split(":")[0] == recipe.backbone] or common
    nameless = [side.label for side in sides if side.stored is not None and not side.backbones]
    if nameless and len(common) > 1:
        raise InputError(
            f"{nameless[0]}: features without the name of their backbone, beside those of {', '.join(common)}; "
            "give the one that made them as `backbone`"
        )
    return common


def left_out(sides: Sequence[Side], names: Sequence[str]) -> list[str]:
    """A sentence for each stored set that holds more than is compared, when the backbones were not named."""
    return [
        f"{side.short}: stored features of {', '.join(more)} are left out, which the other sets do not hold; compared "
        f"on {', '.join(names)}"
        for side in sides
        if len(side.backbones) > 1 and (more := [name for name in side.backbones if name not in names])
    ]
