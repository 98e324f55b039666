"""Memory that stays with the process, counted by the pages that a real process takes anew."""

import subprocess
import sys

import pytest

PROGRAM = """
import resource
import sys

import numpy as np

from cmmd_toolkit.common.freed_memory import keep_freed_memory

if sys.argv[1] == "keep":
    keep_freed_memory()
for round in range(22):
    blocks = [np.ones(1 << 20) for _ in range(3)]
    del blocks
    if round == 1:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def pages_taken(how: str) -> int:
    return int(subprocess.run([sys.executable, "-c", PROGRAM, how], check=True, capture_output=True, text=True).stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's malloc only")
def test_freed_blocks_are_used_again() -> None:
    assert pages_taken("keep") < 100 < pages_taken("leave")
