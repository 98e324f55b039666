"""Errors of this room that are also of the type that torchmetrics raises."""

from ..errors import ArgumentError


class WrongTypeError(ArgumentError, TypeError):
    """An argument of another type than torchmetrics takes."""


class TooFewImagesError(ArgumentError, RuntimeError):
    """Too few images on a side for a value."""
