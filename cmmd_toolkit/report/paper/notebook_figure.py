"""A figure that a notebook shows: matplotlib's own is only shown where pyplot has been set up for it."""

from matplotlib.figure import Figure


class NotebookFigure(Figure):
    """As matplotlib's, and drawn where it is the last value of a cell."""

    def _repr_png_(self) -> bytes:
        from .figure import picture_bytes

        return picture_bytes(self, "png")
