"""A widget in a cell, and what the cell keeps of it beside it, for places where no widget can be shown."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from IPython.core.getipython import get_ipython
from IPython.display import display, update_display
from IPython.terminal.interactiveshell import TerminalInteractiveShell

from dia2.common.messages import printable
from dia2.inspect.views.explorer.saved import MOST, alive


@dataclass(frozen=True)
class Kept:
    """What is kept of an explorer besides the text."""

    picture: bytes | None  # PNG
    views: Sequence[bytes] = ()  # packed; none: no explorer
    difference: dict[str, Any] | None = None
    call: int = 0


class Beside:
    """The outputs of a cell that shows a widget: the widget or a picture, the text, and the explorer as a script.

    Each is an output of its own, since converters take one thing of an output and leave out the others. The explorer's
    style sheet hides the text wherever an explorer is drawn.
    """

    def __init__(self, how: str) -> None:
        """How the widget can be seen where it is not drawn, as a sentence."""
        self.cell = uuid4().hex
        self._how = how

    def display(self, widget: Any, lines: Sequence[str], kept: Kept) -> None:
        """Show the widget.

        Args:
            widget: of ipywidgets.
            lines: of text; see `told`.
            kept: of the explorer in it.
        """
        bundle = widget._repr_mimebundle_()
        data, metadata = bundle if isinstance(bundle, tuple) else (bundle, {})
        data["text/plain"] = "\n".join(lines)
        if kept.picture is not None:
            data["image/png"] = base64.b64encode(kept.picture).decode()
        display(data, metadata=metadata, raw=True)
        if not isinstance(get_ipython(), TerminalInteractiveShell):  # it would print the text again
            text, script = self._text_and_script(widget, lines, kept)
            display(text, raw=True, display_id=self.cell)
            _run(script)

    def change(self, widget: Any, lines: Sequence[str], kept: Kept) -> None:
        """Keep an explorer in a cell that shows the widget already."""
        text, script = self._text_and_script(widget, lines, kept)
        update_display(text, raw=True, display_id=self.cell)
        _run(script)

    def _text_and_script(self, widget: Any, lines: Sequence[str], kept: Kept) -> tuple[dict[str, str], str]:
        picture = "" if kept.picture is None else base64.b64encode(kept.picture).decode()
        script = ""
        if kept.views:
            script = alive(self.cell, widget.model_id, kept.views, kept.difference, kept.call, picture)
        how = f"This page cannot draw it: {self._how}"
        if len(script) > MOST:
            how = f"It is too large for a notebook ({len(script) / 1e6:.1f} MB): {self._how}"
            script = ""
        told = "".join(f"<div>{html.escape(printable(line.strip('<>')))}</div>" for line in (*lines, how))
        return {"text/html": f'<div class="dia2-instead">{told}</div>', "text/plain": "\n".join(lines)}, script


def _run(script: str) -> None:
    if script:
        display({"application/javascript": script, "text/plain": ""}, raw=True)
