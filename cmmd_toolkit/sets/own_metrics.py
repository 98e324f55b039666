"""Metrics of other packages, found by entry points.

    [project.entry-points."cmmd_toolkit.metrics"]
    mean-gap = "my_package.metrics:mean_gap"

The function is called as `mean_gap(reference=..., generated=...)` with float32 (N, D) and (M, D) and returns a number
or an `Estimate`. Its attribute `higher_is_better` (False where it has none) says how to read it, and the first line of
its docstring what it is.
"""

import inspect
import math
from collections.abc import Callable
from importlib import metadata
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..common.text import first_line
from ..errors import ArgumentError, CmmdError
from ..estimation.estimate import Estimate

GROUP = "cmmd_toolkit.metrics"
_NO_ERROR = "it comes from a function that gives a number alone"

Rows = NDArray[np.float32]


def own_metric_names() -> list[str]:
    """What installed packages offer, in alphabetical order."""
    return sorted({entry.name for entry in metadata.entry_points(group=GROUP)})


_loaded: "dict[str, OwnMetric]" = {}


def own_metric(name: str) -> "OwnMetric | None":
    """The metric of that name, None where no package has one. Raises ArgumentError when it cannot be loaded."""
    if name in _loaded:
        return _loaded[name]
    for entry in metadata.entry_points(group=GROUP, name=name):
        package = "an installed package" if entry.dist is None else f"{entry.dist.name} {entry.dist.version}"
        try:
            function = entry.load()
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            raise ArgumentError(
                f"metric {name}: {entry.value} of {package} cannot be loaded ({type(error).__name__}: "
                f"{first_line(error)}); fix or uninstall that package"
            ) from error
        return _loaded.setdefault(name, OwnMetric(name, function, package))
    return None


class OwnMetric:
    """A metric of another package."""

    def __init__(self, name: str, function: Callable[..., Any], package: str) -> None:
        self.name, self._function, self.package = name, function, package
        self.higher_is_better = bool(getattr(function, "higher_is_better", False))
        about = (inspect.getdoc(function) or name).splitlines()[0].rstrip(".")
        self.about = f"{about} ({package})"
        try:
            inspect.signature(function).bind(reference=0, generated=0)
        except (TypeError, ValueError) as error:
            raise ArgumentError(
                f"metric {name} of {package}: expected a function that takes `reference` and `generated`, got "
                f"{type(function).__name__} ({first_line(error)})"
            ) from error

    def __call__(self, reference: Rows, generated: Rows) -> Estimate:
        """The number. Raises ArgumentError for what the function raises or returns wrongly."""
        try:
            found = self._function(reference=reference, generated=generated)
        except (CmmdError, KeyboardInterrupt):
            raise
        except BaseException as error:
            raise ArgumentError(
                f"metric {self.name} of {self.package}: {type(error).__name__}: {first_line(error)}"
            ) from error
        if isinstance(found, Estimate):
            return found
        value = found.item() if getattr(found, "size", None) == 1 or getattr(found, "ndim", None) == 0 else found
        if not isinstance(value, Real) or isinstance(value, bool) or not math.isfinite(value):
            raise ArgumentError(
                f"metric {self.name} of {self.package}: expected a finite number or an Estimate, got {found!r:.60}"
            )
        parameters = {"package": self.package}
        return Estimate(float(value), len(reference), len(generated), parameters, no_error_reason=_NO_ERROR)
