"""Reports: what `compare` returns, and how it is shown."""

from .report import Report, Result

__all__ = ["Report", "Result"]
