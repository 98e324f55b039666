"""Reports: what `compare` returns, and how it is shown."""

from .report import Report, Result
from .verdict import Verdict

__all__ = ["Report", "Result", "Verdict"]
