"""A trace of Dia in the terminal; as `dia2.inspect.console`, every view is a function of facts and one that prints."""

from dia2.inspect.dia.console.call import call_facts, print_call
from dia2.inspect.dia.console.frames import frames_facts, print_frames
from dia2.inspect.dia.console.grid import grid_facts, print_grid
from dia2.inspect.dia.console.scripts import choose_script
from dia2.inspect.dia.console.show import print_show, show_facts

__all__ = [
    "call_facts",
    "choose_script",
    "frames_facts",
    "grid_facts",
    "print_call",
    "print_frames",
    "print_grid",
    "print_show",
    "show_facts",
]
