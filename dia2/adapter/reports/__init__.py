"""What Dia2 says of its traces in the terminal, see `dia2.inspect.trace.reports`."""

from dia2.adapter.reports.call_blocks import call
from dia2.adapter.reports.calls import calls, where
from dia2.adapter.reports.grid import grid
from dia2.adapter.reports.show import show
from dia2.inspect.trace.reports import Reports

REPORTS = Reports(
    show,
    calls,
    call,
    grid,
    where,
    compared="every token, action and machine state",
    prefix="dia2.adapter.reports.prefix:prefix",
)
