"""The harness of seeded damage runs, and finds nothing."""

import subprocess
import sys
from pathlib import Path

HARNESS = Path(__file__).parent.parent / "benchmarks" / "hostile.py"


def test_no_damaged_input_is_read_in_silence_or_ends_in_a_traceback() -> None:
    options = ["--inputs", "300", "--kills", "0", "--races", "0", "--workers", "1"]
    finished = subprocess.run([sys.executable, str(HARNESS), *options], capture_output=True, text=True)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert "0 failures" in finished.stdout
