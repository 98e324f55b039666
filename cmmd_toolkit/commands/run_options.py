"""The options that every command takes: typed once as `**options: Unpack[RunOptions]`, listed one by one by `help`."""

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import ParamSpec, TypedDict, TypeVar, get_type_hints

from ..backbones.precision import Precision
from ..common.progress import ShowProgress
from ..sets.embedding import OnError
from ..sets.run import Backbones, Paths, Run, StorePath

P = ParamSpec("P")
Result = TypeVar("Result")


class EmbedOptions(TypedDict, total=False):
    """What networks and pictures are taken; the defaults are those of `Run`, the meanings are in `compare`."""

    weights: Paths
    model: str | Mapping[str, str] | None
    dims: int | None
    recipe: str | None
    batch_size: int
    workers: int | None
    device: str
    precision: Precision
    max_images: int | None
    seed: int
    recursive: bool
    on_error: OnError
    max_pixels: int
    store: StorePath
    progress: ShowProgress | None


class RunOptions(EmbedOptions, total=False):
    """All of them."""

    backbone: Backbones
    command: str | None


def takes(options: type[EmbedOptions]) -> Callable[[Callable[P, Result]], Callable[P, Result]]:
    """Give a command with `**options` the signature that has them one by one, with their defaults.

    A call that does not fit it raises TypeError in the name of the command.
    """

    def decorated(command: Callable[P, Result]) -> Callable[P, Result]:
        own = inspect.signature(command)
        named = [one for one in own.parameters.values() if one.kind is not one.VAR_KEYWORD]
        of_run = [one for name, one in inspect.signature(Run).parameters.items() if name in get_type_hints(options)]
        signature = own.replace(parameters=[*named, *of_run])

        @functools.wraps(command)
        def checked(*args: P.args, **kwargs: P.kwargs) -> Result:
            try:
                signature.bind(*args, **kwargs)
            except TypeError as error:
                raise TypeError(f"{command.__name__}() {error}") from None
            return command(*args, **kwargs)

        checked.__signature__ = signature  # type: ignore[attr-defined]
        return checked

    return decorated
