"""The explorer: a trace replayed on a page, in a notebook or as a file."""

from dia2.inspect.views.explorer.html import to_html

__all__ = ["to_html"]
