"""Following runs, and changing them with controls in a notebook."""

from dia2.common.moved import names

__getattr__ = names(__name__, {"Lab": "dia2.inspect.lab.controls:Lab"})
