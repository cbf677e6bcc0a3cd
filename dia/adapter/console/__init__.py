"""A trace of Dia in the terminal: the views of `dia2.inspect.views.console`, under the same names, of one script."""

from dia.adapter.console.call import frame_facts, print_frame
from dia.adapter.console.frames import choose_calls, frames_facts, print_frames
from dia.adapter.console.grid import grid_facts, print_grid
from dia.adapter.console.show import print_show, show_facts

__all__ = [
    "choose_calls",
    "frame_facts",
    "frames_facts",
    "grid_facts",
    "print_frame",
    "print_frames",
    "print_grid",
    "print_show",
    "show_facts",
]
