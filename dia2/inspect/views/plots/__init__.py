"""A trace in pictures, for notebooks and for print.

from dia2.inspect import load, plots

figure = plots.grid(load("run.dia2trace"))
figure.savefig("grid.pdf")
print(plots.describe(figure))

Every function gives a `matplotlib.figure.Figure`, seven inches wide and made without pyplot: a notebook shows it once,
where it is the value of a cell, and no state is left behind. `describe` tells its numbers where there are no pictures.
matplotlib (`pip install matplotlib`) is imported when the first figure is made.
"""

from dia2.inspect.views.plots.caches import kv_growth
from dia2.inspect.views.plots.cells import grid
from dia2.inspect.views.plots.draws import candidates
from dia2.inspect.views.plots.heads import attention
from dia2.inspect.views.plots.lens import lens
from dia2.inspect.views.plots.page import describe
from dia2.inspect.views.plots.patching import patching
from dia2.inspect.views.plots.pattern import pattern
from dia2.inspect.views.plots.probes import probes
from dia2.inspect.views.plots.sound import waveform
from dia2.inspect.views.plots.strength import strength
from dia2.inspect.views.plots.surprise import surprise
from dia2.inspect.views.plots.tracks import streams
from dia2.inspect.views.plots.variants import sweep

__all__ = [
    "attention",
    "candidates",
    "describe",
    "grid",
    "kv_growth",
    "lens",
    "patching",
    "pattern",
    "probes",
    "streams",
    "strength",
    "surprise",
    "sweep",
    "waveform",
]
