"""The error tree.

DitError
├── ArgumentError     an argument has the wrong type, shape or value (also a ValueError)
├── AttentionError    an attention engine that cannot run here
├── CheckpointError   weights are absent, damaged, or of another network
│   └── UnsaidError       a file does not say its heads or its family, and neither does the caller
├── DataError         a folder of pictures, or one of them, cannot be used for training
├── EvaluationError   samples cannot be scored: an unknown backbone, or one without weights here
├── OutputError       the output folder belongs to another run or cannot be used
├── ProcessError      another process of the same run has ended
├── SamplingError     a network gave NaN or infinity instead of pictures
└── TrainingError     training cannot continue
    └── NotFiniteError    a step gave NaN or infinity

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


class UnsaidError(CheckpointError):
    """A file does not say what only who reads it can say; the message names the argument for it."""


class DataError(DitError):
    """A folder of pictures, or one of them, cannot be used for training."""


class EvaluationError(DitError):
    """Samples cannot be scored: an unknown backbone, or one without weights here."""


class OutputError(DitError):
    """The output folder belongs to another run or cannot be used."""


class ProcessError(DitError):
    """Another process of the same run has ended."""


class SamplingError(DitError):
    """A network gave NaN or infinity instead of pictures."""


class TrainingError(DitError):
    """Training cannot continue."""


class NotFiniteError(TrainingError):
    """A step, from 1, gave NaN or infinity."""

    def __init__(self, step: int, what: str) -> None:
        super().__init__(f"step {step}: {what}")
        self.step = step


class AttentionChangedWarning(UserWarning):
    """A checkpoint runs with another attention than it was trained with."""
