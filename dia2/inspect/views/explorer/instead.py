"""What stands in a cell where no widget can be shown: a saved notebook, a page made of it, a site that runs nothing."""

from __future__ import annotations

import html
from typing import Any

from IPython.display import display


def display_with_line(widget: Any, how: str) -> None:
    """Show a widget, and a line below it that the explorer's own style sheet hides wherever it is drawn.

    A line of its own, since converters take the widget of an output and leave out what stands beside it.

    Args:
        widget: of ipywidgets; its `repr` says what it is.
        how: how to see it, as a sentence.
    """
    bundle = widget._repr_mimebundle_()
    data, metadata = bundle if isinstance(bundle, tuple) else (bundle, {})
    data["text/plain"] = repr(widget)
    display(data, metadata=metadata, raw=True)
    line = f"{repr(widget).strip('<>')}. This page cannot draw it: {how}"
    display({"text/html": f'<p class="dia2-instead">{html.escape(line)}</p>'}, raw=True)
