"""The error tree.

DitError
├── ArgumentError     an argument has the wrong type, shape or value (also a ValueError)
├── AttentionError    an attention engine that cannot run here
├── CheckpointError   weights are absent, damaged, or of another network
└── OutputError       the output folder belongs to another run or cannot be used

Every message says what was expected, what was found, and what to do. The command line prints it as one
line and exits with code 2.
"""


class DitError(Exception):
    """Base of everything this package raises on purpose."""


class ArgumentError(DitError, ValueError):
    """An argument has the wrong type, shape or value."""


class AttentionError(DitError):
    """An attention engine that cannot run here."""


class CheckpointError(DitError):
    """Weights are absent, damaged, or of another network."""


class OutputError(DitError):
    """The output folder belongs to another run or cannot be used."""


class AttentionChangedWarning(UserWarning):
    """A checkpoint runs with another attention than it was trained with."""
