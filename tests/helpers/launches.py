"""Commands that torchrun starts in several processes."""

import os
import subprocess
import sys
from typing import Any

LAUNCHER = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node"]


def launched(count: int, *arguments: object) -> list[str]:
    """The command that runs a module or a script in `count` processes."""
    return [*LAUNCHER, str(count), *map(str, arguments)]


def torchrun(count: int, *arguments: object, **environment: str) -> Any:
    """`torchrun --nproc-per-node COUNT ...`, finished."""
    full = {**os.environ, "OMP_NUM_THREADS": "1", **environment}
    return subprocess.run(launched(count, *arguments), capture_output=True, text=True, check=False, env=full)
