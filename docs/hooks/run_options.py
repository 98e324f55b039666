"""Lists what a command takes as `**options: Unpack[RunOptions]` one by one, with the defaults of `Run`."""

from typing import Any

import griffe

COMMANDS = ("compare", "contrast", "explain", "plan", "rank")


class RunOptionsExtension(griffe.Extension):
    """Expands the options in the signatures of the commands; the docstrings explain them."""

    def on_package(self, *, pkg: griffe.Module, **_: Any) -> None:
        if pkg.path != "cmmd_toolkit":
            return
        run = pkg["sets.run.Run"].attributes
        for module in (pkg["commands"][name] for name in COMMANDS):
            overloads = [own for several in module.overloads.values() for own in several]
            for function in (*module.functions.values(), *overloads):
                if not function.is_alias and "options" in function.parameters:
                    function.parameters = _expanded(function.parameters, run)


def _expanded(parameters: griffe.Parameters, run: dict[str, griffe.Attribute]) -> griffe.Parameters:
    of_embed = "EmbedOptions" in str(parameters["options"].annotation)
    own = [one for one in parameters if one.name != "options"]
    named = [field for field in run.values() if field.value is not None and "init" not in str(field.value)]
    left = [field for field in named if not of_embed or field.name not in ("backbone", "command")]
    return griffe.Parameters(*own, *map(_parameter, left))


def _parameter(field: griffe.Attribute) -> griffe.Parameter:
    kind = griffe.ParameterKind.keyword_only
    return griffe.Parameter(field.name, annotation=field.annotation, kind=kind, default=field.value)
