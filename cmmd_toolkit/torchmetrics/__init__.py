"""`FrechetDistance` and `CMMD` as torchmetrics classes: `update(images, real=)`, `compute`, `reset`, processes.

    from cmmd_toolkit.torchmetrics import FrechetDistance   # was: torchmetrics.image.fid.FrechetInceptionDistance

Three things differ from the classes of torchmetrics. The covariance is summed around the mean, so nothing cancels
where the mean is large beside the spread. The network is no submodule: `.train()`, `.half()`, optimisers and
checkpoints do not see it, `.to(device)` does. Features are float32 under autocast too. The numbers are those of
`compare` on the same pixels.
"""

try:
    import torchmetrics  # noqa: F401 (the package of that name, not this one)
except ImportError as error:
    raise ImportError(
        f"cmmd_toolkit.torchmetrics needs torchmetrics ({error}); pip install 'cmmd-toolkit[torchmetrics]'"
    ) from error

from .frechet import FrechetDistance
from .mmd import CMMD

__all__ = ["CMMD", "FrechetDistance"]
