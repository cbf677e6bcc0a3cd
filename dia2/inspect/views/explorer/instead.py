"""A widget in a cell, and what the cell keeps of it beside it, for places where no widget can be shown."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from IPython.core.getipython import get_ipython
from IPython.display import display
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
    link: str = ""


class Beside:
    """The outputs of a cell that shows a widget: the widget or a picture, the text, and the explorer as a script.

    Each is an output of its own, since converters take one thing of an output and leave out the others. The explorer's
    style sheet hides the text wherever an explorer is drawn.
    """

    def __init__(self, how: str) -> None:
        """How the widget can be seen where it is not drawn, as a sentence."""
        self.cell = uuid4().hex
        self._how = how

    def display(self, widget: Any, lines: Sequence[str], kept: Kept | None) -> None:
        """Show the widget.

        Args:
            widget: of ipywidgets.
            lines: of text; see `told`.
            kept: of the explorer in it; `None`: nothing yet, see `add`.
        """
        bundle = widget._repr_mimebundle_()
        data, metadata = bundle if isinstance(bundle, tuple) else (bundle, {})
        data["text/plain"] = "\n".join(lines)
        if kept is not None and kept.picture is not None:
            data["image/png"] = base64.b64encode(kept.picture).decode()
        display(data, metadata=metadata, raw=True)
        if kept is not None:
            self._add(widget, lines, kept, {})

    def add(self, widget: Any, lines: Sequence[str], kept: Kept) -> None:
        """Keep the explorer of a widget that the cell shows already; the picture goes to print alone."""
        picture = {} if kept.picture is None else {"image/png": base64.b64encode(kept.picture).decode()}
        self._add(widget, lines, kept, picture)

    def _add(self, widget: Any, lines: Sequence[str], kept: Kept, picture: dict[str, str]) -> None:
        shell = get_ipython()
        if shell is None or isinstance(shell, TerminalInteractiveShell):
            return  # it would print the text again, and all else
        text, script = self._text_and_script(widget, lines, kept)
        display(text | picture, raw=True)
        if script:
            display({"application/javascript": script, "text/plain": ""}, raw=True)

    def _text_and_script(self, widget: Any, lines: Sequence[str], kept: Kept) -> tuple[dict[str, str], str]:
        picture = "" if kept.picture is None else base64.b64encode(kept.picture).decode()
        script = ""
        if kept.views:
            script = alive(self.cell, widget.model_id, kept.views, kept.difference, kept.call, picture, link=kept.link)
        how = f"This page cannot draw it: {self._how}"
        if len(script) > MOST:
            how = f"It is too large for a notebook ({len(script) / 1e6:.1f} MB): {self._how}"
            script = ""
        told = "".join(f"<div>{html.escape(printable(line.strip('<>')))}</div>" for line in (*lines, how))
        return {"text/html": f'<div class="dia2-instead">{told}</div>', "text/plain": "\n".join(lines)}, script
