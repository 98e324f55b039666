"""The error tree.

CmmdError
├── ArgumentError   an argument has the wrong type, shape or value (also a ValueError)
├── InputError      a folder, archive, array or file cannot be used
│   └── PictureError   one picture cannot be used; `on_error="skip"` leaves it out
├── BackboneError   an unknown backbone, or one whose packages are not installed
├── WeightsError    weights are absent, damaged, incomplete or of another network
├── ProcessError    another process of the same run has ended
└── DeviceError     a device has too little memory for what it is to do

Every message says what was expected, what was found in which file, and what to do, in one line. The command
line prints it and exits with code 2.
"""


class CmmdError(Exception):
    """Base of everything this package raises on purpose."""

    def __init__(self, message: object = "") -> None:
        super().__init__(" ".join(str(message).splitlines()))  # names and values in it may hold line breaks


class ArgumentError(CmmdError, ValueError):
    """An argument has the wrong type, shape or value."""


class InputError(CmmdError):
    """A folder, archive, array or file cannot be used."""


class PictureError(InputError):
    """One picture cannot be used."""


class BackboneError(CmmdError):
    """An unknown backbone, or one whose packages are not installed."""


class WeightsError(CmmdError):
    """Weights are absent, damaged, incomplete or of another network."""


class ProcessError(CmmdError):
    """Another process of the same run has ended."""


class DeviceError(CmmdError):
    """A device has too little memory for the computation."""
