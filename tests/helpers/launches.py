"""Commands that torchrun starts in several processes."""

import os
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

LAUNCHER = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node"]


def launched(count: int, *arguments: object) -> list[str]:
    """The command that runs a module or a script in `count` processes."""
    return [*LAUNCHER, str(count), *map(str, arguments)]


def torchrun(count: int, *arguments: object, **environment: str) -> Any:
    """`torchrun --nproc-per-node COUNT ...`, finished."""
    full = {**os.environ, "OMP_NUM_THREADS": "1", **environment}
    return subprocess.run(launched(count, *arguments), capture_output=True, text=True, check=False, env=full)


def wait_for_rows(store: Path) -> None:
    """Until the first features are committed."""
    deadline = time.monotonic() + 120
    while not rows_in(store):
        assert time.monotonic() < deadline, "nothing was stored"
        time.sleep(0.01)


def rows_in(store: Path) -> dict[bytes, int]:
    """Content and number of every row; a row that is written again has another number."""
    for path in store.glob("*.sqlite"):
        connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        try:
            return dict(connection.execute("SELECT content, rowid FROM pictures"))
        except sqlite3.OperationalError:  # the table is being made
            return {}
        finally:
            connection.close()
    return {}
