"""A trace in the terminal. Every view is two functions: one gives its facts, ready for JSON, one prints them."""

from dia2.inspect.schema.report import Facts
from dia2.inspect.views.console.as_json import to_json
from dia2.inspect.views.console.diff import diff_facts, print_diff
from dia2.inspect.views.console.findings import findings_facts, print_findings
from dia2.inspect.views.console.grid import grid_facts, print_grid
from dia2.inspect.views.console.hooks import hooks_facts, print_hooks
from dia2.inspect.views.console.text import report
from dia2.inspect.views.console.views import (
    frame_facts,
    frames_facts,
    prefix_facts,
    print_frame,
    print_frames,
    print_prefix,
    print_show,
    show_facts,
)
from dia2.inspect.views.console.watching import watch
from dia2.inspect.views.span import choose_calls

__all__ = [
    "Facts",
    "choose_calls",
    "diff_facts",
    "findings_facts",
    "frame_facts",
    "frames_facts",
    "grid_facts",
    "hooks_facts",
    "prefix_facts",
    "print_diff",
    "print_findings",
    "print_frame",
    "print_frames",
    "print_grid",
    "print_hooks",
    "print_prefix",
    "print_show",
    "report",
    "show_facts",
    "to_json",
    "watch",
]
