"""What Dia says of its traces in the terminal, see `dia2.inspect.trace.reports`."""

from dia.adapter.reports.call import call
from dia.adapter.reports.calls import calls, where
from dia.adapter.reports.grid import grid
from dia.adapter.reports.show import show
from dia2.inspect.trace.reports import Reports

REPORTS = Reports(show, calls, call, grid, where, compared="every token and countdown")
