"""What several processes must have in common before they fill one folder."""

import json
from pathlib import Path
from typing import Any

from ..errors import ArgumentError, OutputError
from .processes import Processes


def check_agreement(out: Path, made: Any, processes: Processes) -> None:
    """Raise, in every process, where they would make different things, or each its own folder on its own machine.

    Args:
        out: the folder, which the main process holds by `locked`; all have waited for that.
        made: everything that decides what is made, as JSON.
    """
    if processes.count == 1:
        return
    every = processes.gather((json.dumps(made, sort_keys=True), (out / ".lock").exists()))
    if len({text for text, _ in every}) > 1:
        raise ArgumentError(
            f"{out}: the processes have different checkpoints or settings; start one command with one checkpoint on "
            "every machine"
        )
    if not all(is_here for _, is_here in every):
        raise OutputError(f"{out}: is not the same folder for all processes; use one on a disk that all machines share")
