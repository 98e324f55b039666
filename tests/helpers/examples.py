"""The programs of examples/, run in this process as `python examples/NAME.py ...`."""

import runpy
import sys
from typing import NoReturn
from unittest.mock import patch

from documents import ROOT


def run_example(python: str, path: str, *arguments: object) -> NoReturn:
    """Run `python PATH ...` to its end; raises SystemExit with its code."""
    with patch.object(sys, "argv", [path, *map(str, arguments)]):
        runpy.run_path(str(ROOT / path), run_name="__main__")
    sys.exit(0)
