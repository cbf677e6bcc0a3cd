"""The explorer of sweeps: thousands of runs as a table, as charts and as a map, in a notebook, a file or a terminal."""

from dia2.inspect.views.sweeps.html import sweep_to_html

__all__ = ["sweep_to_html"]
