"""A trace of Dia in the terminal: the views of `dia2.inspect.console`, under the same names, of one script of a run."""

from dia2.inspect.dia.console.call import frame_facts, print_frame
from dia2.inspect.dia.console.frames import choose_calls, frames_facts, print_frames
from dia2.inspect.dia.console.grid import grid_facts, print_grid
from dia2.inspect.dia.console.show import print_show, show_facts

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
