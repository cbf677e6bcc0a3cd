# mypy: allow-subclassing-any
"""The class of all figures; the one file that needs matplotlib to be imported.

mypy is asked above to accept a base class that it does not know where matplotlib is not installed.
"""

from __future__ import annotations

from io import BytesIO

from matplotlib.figure import Figure


class Plot(Figure):
    """A figure that a notebook shows without pyplot: it asks an object for its PNG, and a bare `Figure` has none."""

    def _repr_png_(self) -> bytes:
        file = BytesIO()
        self.savefig(file, format="png")
        return file.getvalue()
