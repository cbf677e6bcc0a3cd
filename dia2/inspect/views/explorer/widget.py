"""The explorer in a notebook.

Play, scrub and click run in the browser, on data that was sent once. The kernel is asked only for what needs the
codec: the sound of single codebooks; and told what is to be written: notes.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import anywidget
import traitlets

from dia2.common.errors import UsageError
from dia2.common.wording import counted
from dia2.inspect.trace.noted import readable_notes
from dia2.inspect.trace.recordings import told_of
from dia2.inspect.trace.trace import Trace
from dia2.inspect.views.explorer.answering import answer
from dia2.inspect.views.explorer.bundle import script, style
from dia2.inspect.views.explorer.instead import Beside, Kept
from dia2.inspect.views.explorer.link import call_of, fragment_of
from dia2.inspect.views.explorer.payload import check_alone, check_engine, difference_of, payload
from dia2.inspect.views.explorer.picture import picture
from dia2.inspect.views.explorer.saved import page_by_default, told
from dia2.inspect.views.explorer.sound import Sound, codebook_sound

_ANSWERS = {"hear": "sound", "note": "noted"}
_HOW = "run the notebook's cell again, or write a page that needs no notebook by to_html()."


class _Page(anywidget.AnyWidget):
    """The front end, and in its place what the cell keeps where no widget can be shown."""

    _esm = script("widget")
    _css = style()
    _views = traitlets.List(traitlets.Bytes()).tag(sync=True)
    _pieces = traitlets.List(traitlets.Bytes()).tag(sync=True)  # of a run that goes on
    _difference = traitlets.Dict(allow_none=True, default_value=None).tag(sync=True)
    _can_decode = traitlets.Bool(False).tag(sync=True)
    _notes: traitlets.List[Any] = traitlets.List().tag(sync=True)  # that are beside the trace
    _link = traitlets.Unicode("").tag(sync=True)  # to what to look at first
    _cell = traitlets.Unicode("").tag(sync=True)  # that shows it; see instead.py
    call = traitlets.Int(0).tag(sync=True)  # where to begin; set it to jump
    trace: Trace[Any] | None = None  # of a run that goes on, once it is over

    def __init__(self, **traits: Any) -> None:
        self._beside = Beside(_HOW)
        super().__init__(**{"_cell": self._beside.cell} | traits)
        self.on_msg(self._answer)

    def _answer(self, _: Any, content: Any, buffers: Any) -> None:
        """Answer what the front end wants to hear, or to have noted."""
        kinds: dict[str, Callable[[dict[str, Any]], list[bytes]]] = {"hear": self._sounded, "note": self._noted}
        kind = content.get("kind") if isinstance(content, dict) else None
        if not isinstance(kind, str) or kind not in kinds:
            return
        head = {"kind": _ANSWERS[kind], "key": _sendable(content.get("key"))}
        answer(self.send, head, lambda: kinds[kind](content))

    def _sounded(self, content: dict[str, Any]) -> list[bytes]:
        return [self._hear(content.get("books")).data]

    def _noted(self, content: dict[str, Any]) -> list[bytes]:
        """Keep a note beside the trace, or take it away; every view of this widget hears of it.

        Raises:
            Dia2Error: it cannot be kept.
        """
        call, text = content.get("call"), content.get("text")
        if self.trace is None:
            raise UsageError("A note can be kept once the run is over.")
        self.trace.note(call, text)  # type: ignore[arg-type]  # which checks both: they come from the page
        self._notes = readable_notes(self.trace)
        return []

    def _hear(self, books: Any) -> Sound:
        """The sound of some codebooks.

        Raises:
            Dia2Error: they cannot be heard here.
        """
        raise UsageError("Single codebooks can be heard once the run is over: by trace.explore(tts=…).")

    def _ipython_display_(self) -> None:
        self._beside.display(self, self._told(), self.kept())

    def _told(self) -> list[str]:
        """What stands where no widget can be shown, line by line."""
        return [repr(self)]

    def kept(self) -> Kept | None:
        """What a saved notebook keeps of the explorer; `None`: nothing yet."""
        return None

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]] | None:
        bundle = super()._repr_mimebundle_(**kwargs)
        if bundle is not None:
            data = bundle[0] if isinstance(bundle, tuple) else bundle
            data["text/plain"] = "\n".join(self._told())
        return bundle


class LiveExplorer(_Page):
    """A run while it is generated; made by `dia2.inspect.lab.follow`."""

    def __repr__(self) -> str:
        if self.trace is None:
            return "<LiveExplorer of a run in progress>"
        said, calls = told_of([self.trace]), counted(len(self.trace), "call")
        return f"<LiveExplorer of {self.trace.path.name}: {calls}, {self.trace.state}{said and f'; {said}'}>"

    def add(self, piece: bytes) -> None:
        """Show the next calls. All pieces are sent anew, so that a view that is opened late misses none."""
        self._pieces = [*self._pieces, piece]

    def finish(self, trace: Trace[Any]) -> None:
        """Show the whole of it, with candidates and sound."""
        self.trace = trace
        with self.hold_sync():
            self._views, self._pieces, self._notes = [payload(trace)], [], readable_notes(trace)
        kept = Kept(picture(trace), self._views if page_by_default() else ())
        self._beside.add(self, told(trace, repr(self)), kept)


class Explorer(_Page):
    """A trace, or two beside each other; made by `Trace.explore`."""

    trace: Trace[Any]

    def __init__(
        self,
        trace: Trace[Any],
        *,
        other: Trace[Any] | None = None,
        tts: Any = None,
        call: int = 0,
        link: str | None = None,
        script: int = 0,
        page: bool | None = None,
        voice: bool = True,
        replay: Any = None,
        cell: str | None = None,
    ) -> None:
        """See `Trace.explore`; `cell` is the name of that of a widget which this one is part of."""
        check_engine(trace, tts)
        check_alone(other, replay)
        call, fragment = trace.check_call(call), fragment_of(link)
        named = call_of(fragment, max(len(each) for each in (trace, other) if each is not None))
        difference = None if other is None else difference_of(trace, other)
        self.trace, self.other = trace, other
        self._tts, self._script, self._voice = tts, script, voice
        self._page = page_by_default() if page is None else page
        super().__init__(
            **({} if cell is None else {"_cell": cell}),
            _views=[
                payload(trace, script=script, voice=voice, replay=replay),
                *(() if other is None else (payload(other, script=script, voice=voice),)),
            ],
            _difference=difference,
            _notes=readable_notes(trace),
            _can_decode=tts is not None and other is None,
            _link=fragment,
            call=call if named is None else named,
        )

    def __repr__(self) -> str:
        other = "" if self.other is None else f" and {self.other.path.name}"
        shown = [trace for trace in (self.trace, self.other) if trace is not None]
        said = told_of(shown) if self._voice else ""
        calls = counted(len(self.trace), "call")
        return f"<Explorer of {self.trace.path.name}{other}: {calls}, {self.trace.state}{said and f'; {said}'}>"

    def _told(self) -> list[str]:
        """See `_Page`."""
        return told(self.trace, repr(self))

    def kept(self) -> Kept:
        """See `_Page`."""
        call = min(self.call, len(self.trace) - 1)  # a link can name one of the other run
        seen = picture(self.trace, script=self._script, call=call, voice=self._voice)
        return Kept(seen, self._views if self._page else (), self._difference, self.call, self._link)

    def _hear(self, books: Any) -> Sound:
        """See `_Page`."""
        if self._tts is None:
            raise UsageError("Single codebooks need an engine to be heard: give it by trace.explore(tts=…).")
        return codebook_sound(self.trace, self._tts, books, self._voice)


def _sendable(key: Any) -> Any:
    """What an answer names its question by; `None` for what no message can hold, as NaN."""
    try:
        json.dumps(key, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return None
    return key
