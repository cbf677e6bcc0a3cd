"""What Dia2 says of its traces in the terminal, see `dia2.inspect.trace.reports`."""

from dia2.adapter.reports import call, calls, grid, show
from dia2.inspect.trace.reports import Reports

REPORTS = Reports(
    show=show.report,
    calls=calls.report,
    call=call.report,
    grid=grid.report,
    where=calls.where,
    progress=calls.progress,
    compared="every token, action and machine state",
    parting="dia2.adapter.parting:told",
    prefix="dia2.adapter.reports.prefix:report",
)
