"""`Trace`: a recorded run and what can be asked of it, whichever model ran."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from dia2.common.errors import TraceError
from dia2.inspect.schema.caches import Caches
from dia2.inspect.schema.finding import Finding
from dia2.inspect.schema.row import FilledRow, Row, filled
from dia2.inspect.schema.word import TraceWord
from dia2.inspect.store.notes import CallNote, change_notes, check_note, notes_in, read_notes
from dia2.inspect.trace import values
from dia2.inspect.trace.data import F, TraceData
from dia2.inspect.trace.extensions import extension
from dia2.inspect.trace.family import OtherFamilyError, missing, offered
from dia2.inspect.trace.find import changes_or_hits

if TYPE_CHECKING:
    from dia2.common.hooks import Level, PointFilter
    from dia2.inspect.schema.measure import Value
    from dia2.inspect.trace.diff import Diff
    from dia2.inspect.trace.recordings import PrefixRecording


class Trace(TraceData[F]):
    """A folder that a run was recorded to; made by `load`. `F` is the family's manifest."""

    nothing_drawn: ClassVar[str] = "nothing is drawn: what this call read was given."  # said of calls that are given

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Open a trace of this family, as `dia2.inspect.load` opens one of any.

        Raises:
            TraceError: it is of another family, or as `dia2.inspect.load`.
        """
        from dia2.inspect.trace.load import load

        trace = load(path)
        if not isinstance(trace, cls):
            raise TraceError(f"{path} is a run of {trace.adapter.title}: open it by dia2.inspect.load().")
        return trace

    if not TYPE_CHECKING:  # a checker would take it to mean that every name is there

        def __getattr__(self, name: str) -> Any:
            """Say it where traces of another family have what this one lacks."""
            raise missing(self, name)

    # What a family fills in

    def _fill(self, row: Row) -> FilledRow:
        """A row of the table."""
        return filled(row, [run for run in self.phases if run.name == row.phase], self._why_not)

    def _why_not(self) -> str:
        """Why the trace has no run of a row's phase, in words."""
        if self.manifest.hooks is not None:
            return "not recorded: the hook filter leaves it out"
        return "not called while it was recorded" if self.complete else f"the trace ends before it ({self.state})"

    def _field(self, name: str | None, script: int) -> np.ndarray:
        """[calls] what `find` may look through.

        Raises:
            TraceError: there is no such field; says which there are.
        """
        return values.field(self, name, script)

    @abstractmethod
    def settings(self, scripts: int) -> dict[str, object]:
        """What decided the run, by the names under which `diff` tells of it; `scripts` is the most that either has."""

    def parts(self, call: int, scripts: int, most: int) -> Iterator[tuple[str, object, str]]:
        """What `scripts` scripts, of `most` that are compared, read, drew and left at a call: what, value, text."""
        return values.parts(self, call, scripts, most)

    def token_names(self, draw: str) -> Mapping[int, str]:
        """Names of those tokens of a draw that are no code."""
        return {}

    def sampling(self, call: int, draw: str) -> tuple[str, str]:
        """How a draw was sampled, and how guided, in a few words each; empty where nothing tells."""
        return "", ""

    def place(self, call: int) -> str:
        """Which call it is, in a few words."""
        return f"call {call}"

    def timed_words(self, script: int = 0) -> list[TraceWord]:
        """The words that sound, in order, each with its seconds; none of a family that takes no words one by one."""
        self.check_script(script)
        return []

    def recorded_words(self, recording: PrefixRecording) -> list[TraceWord]:
        """The words of one of `recordings`, each with the second of it at which it is said, as was heard or given."""
        return []

    @property
    def redacted(self) -> list[str]:
        """What was taken out: `voice`, `text`."""
        return []

    def caches(self) -> Caches:
        """How the key/value caches fill.

        Raises:
            TraceError: the family does not tell.
        """
        found = values.caches(self) if len(self) else None
        if found is None:
            raise TraceError(f"{self.path} is a run of {self.adapter.title}, which tells nothing of its caches.")
        return found

    def edits(self) -> list[tuple[int, str]]:
        """Declared interventions of the run, by call and in words."""
        return []

    def _calls_of(self, word: str) -> list[int]:
        """Calls at which `word` was taken."""
        raise OtherFamilyError(f"{self.path} is a run of {self.adapter.title}, which takes no words one by one.")

    def _calls_with(self, field: str | None, name: str) -> list[int]:
        """Calls at which a field has the value of that name."""
        raise TraceError(f"{field} has no value {name!r}: give a number.")

    # What people say of it

    @property
    def notes(self) -> list[CallNote]:
        """The notes pinned to its calls, `call` and `text` each, in their order: `notes.json`, read anew every time.

        Raises:
            TraceError: the file is damaged.
        """
        return read_notes(self.path, len(self))

    def note(self, call: int, text: str) -> None:
        """Pin a note to a call, in the place of one that is there; an empty text takes it away.

        Args:
            call: counted from 0.
            text: plain, of at most 2,000 characters.

        Raises:
            TraceError: there is no such call, or the notes that are there are damaged.
            UsageError: it is no text or too long, or there would be more than 1,000 notes.
            Dia2Error: the folder is read-only, or the disk is full.
        """
        change_notes(self.path, {self.check_call(call): check_note(text)}, len(self))

    def import_notes(self, path: str | Path) -> list[CallNote]:
        """Add the notes of a file that the explorer has downloaded, in the place of those of the same calls.

        Returns:
            All notes that there are now.

        Raises:
            TraceError: the file holds no notes, or notes of calls that are not here.
            UsageError: there would be more than 1,000 notes.
            Dia2Error: the folder is read-only, or the disk is full.
        """
        change_notes(self.path, {note.call: note.text for note in notes_in(Path(path), len(self))}, len(self))
        return self.notes

    # What can be asked of it: one signature for every family

    def find(
        self,
        field: str | None = None,
        value: int | str | Callable[[int], bool] | None = None,
        *,
        word: str | None = None,
        script: int = 0,
        after: int | None = None,
        before: int | None = None,
    ) -> list[int]:
        """Calls at which something happened, in order.

            trace.find("forced_padding", before=311)[-1]  # where it last changed before call 311
            trace.find("action", "new_word")              # where new word was drawn
            trace.find("codes.3", lambda code: code == 17)
            trace.find(word="Hello")                      # where the machine took that word
            trace.find("drawn.0", trace.model.eos)        # of Dia: where channel 0 drew the end

        Args:
            field: a column of one number per call; of Dia2 also `main` and `second` for the streams and `codes.k` for
                codebook k; of Dia `tokens.c`, `written.c` and `drawn.c` for channel c.
            value: an equal value, or a predicate, or of Dia2's action its name, `new_word` or `pad`; `None`: where the
                field differs from the call before.
            word: instead of `field`: a word's text, with or without its punctuation, in any case; not of Dia.
            script: whose, from 0.
            after: only calls after this one.
            before: only calls before this one.

        Raises:
            TraceError: there is no such field or script, or it has no values of that name.
        """
        script = self.check_script(script)
        if word is not None:
            calls = self._calls_of(word)
        elif isinstance(value, str):
            calls = self._calls_with(field, value)
        else:
            calls = changes_or_hits(self._field(field, script), value)
        return [call for call in calls if (after is None or call > after) and (before is None or call < before)]

    def diff(self, other: Trace[Any], ignore: Collection[str] = ()) -> Diff:
        """Where this run and another part; see `dia2.inspect.trace.diff.diff`."""
        from dia2.inspect.trace.diff import diff

        return diff(self, other, ignore)

    def rows(self) -> list[FilledRow]:
        """What the run went through, function by function: thirty rows of Dia2, thirteen of Dia."""
        return [self._fill(row) for row in self.adapter.rows]

    def to_parquet(self, path: str | Path) -> list[Path]:
        """Write `calls.parquet` and `draws.parquet` into the folder `path`; see docs/trace-format.md.

        Raises:
            Dia2Error: pyarrow is missing, or the disk is full.
        """
        from dia2.inspect.trace.tables import to_parquet

        return to_parquet(self, path)

    def redact(self, path: str | Path, *, voice: bool = False, text: bool = False) -> Self:
        """Write a copy without what was said, or without how it sounded; see `dia2.adapter.redact`. Not of Dia."""
        redact, notes = offered(self, "redact"), self.notes  # which are read before anything is written
        copy: Self = redact(self, path, voice=voice, text=text)
        if "text" not in copy.redacted:  # else notes may quote what was said
            change_notes(copy.path, {note.call: note.text for note in notes}, len(copy))
        return copy

    def replay(
        self,
        tts: Any,
        calls: Sequence[int] | slice | None = None,
        *,
        scripts: Sequence[int] | None = None,
        attention: bool = False,
        layers: bool = False,
        points: PointFilter = (),
        edits: bool = True,
        progress: Callable[[int, int], None] | None = None,
    ) -> Any:
        """Compute tensors again that were not recorded.

        Args:
            tts: the engine that made the run, or another of the same checkpoint.
            calls: which; `None`: all.
            scripts: which, of a run of Dia; `None`: all.
            attention: also the attention of every layer and head.
            layers: also the hidden state after every layer; not of Dia.
            points: also activations, by name or glob such as `act.*.resid`, see docs/hooks.md; not of Dia.
            edits: with the run's edits of activations; without, as the network would have gone on from the same
                tokens; not of Dia.
            progress: called with (calls done, calls to do) while the transformer runs; not of Dia.

        Returns:
            A `Replay` of Dia2, a `DiaReplay` of Dia.

        Raises:
            UsageError: another checkpoint, an option of another family, or more than memory should be asked for.
            TraceError: there is no such call, or the trace was redacted.
        """
        options = {"scripts": scripts, "attention": attention, "layers": layers, "points": points}
        options |= {} if edits else {"edits": False}
        return offered(self, "replay")(self, tts, calls, **options, progress=progress)

    def fork(
        self,
        tts: Any,
        call: int,
        *,
        edits: Sequence[Any] = (),
        drop: Sequence[Any] = (),
        seed: int | None = None,
        path: str | Path | None = None,
        level: Level = "topk",
        hooks: PointFilter | None = None,
        verbose: bool = False,
        progress: Callable[..., None] | None = None,
    ) -> Any:
        """Generate again from `call` on; see `dia2.adapter.fork.fork`. Not of Dia."""
        recorded = {"path": path, "level": level, "hooks": hooks}
        options = {"edits": edits, "drop": drop, "seed": seed, "verbose": verbose, "progress": progress}
        return offered(self, "fork")(self, tts, call, **options, **recorded)

    def findings(self, tts: Any = None, *, hear: bool = False, whisper: str = "base", script: int = 0) -> list[Finding]:
        """What is wrong with the run, worst first; see docs/findings.md for what is looked for.

        Args:
            tts: an engine of its checkpoint, by whose ear the words of a prefix are judged where the trace has not
                kept that; `None`: by letters, and by loudness.
            hear: also listen to the audio with Whisper, for words that came out otherwise.
            whisper: the one to listen with.
            script: which, of a run of Dia.

        Raises:
            TraceError: the trace is damaged, or there is no such script.
            Dia2Error: Whisper is asked for and not there.
        """
        from dia2.inspect.trace.findings import Case, findings

        return findings(Case(self, self.check_script(script), tts, hear, whisper))

    def surprise(self, script: int = 0) -> np.ndarray:
        """[calls] float64: how many bits the codes of each call cost, −log₂ p of those drawn, in the mean.

        NaN where a call drew none, or their chances were not recorded.

        Raises:
            TraceError: the trace is damaged, or there is no such script.
        """
        from dia2.inspect.trace.unlikely import bits_of_codes

        return bits_of_codes(self, self.check_script(script))

    def measures(self, script: int = 0) -> dict[str, Value]:
        """Numbers that sum up the run, by name; docs/sweeps.md says what each means. `None`: the trace does not tell.

        Raises:
            TraceError: the trace is damaged, or there is no such script.
        """
        from dia2.inspect.trace.measured import measures_of

        return measures_of(self)(self, script)

    def diagnose(self) -> Any:
        """What became of the prefix; see `dia2.adapter.doctor.diagnose`. Not of Dia."""
        return offered(self, "doctor")(self)

    def report(self, view: str = "show", *, width: int = 100, **options: Any) -> str:
        """What `dia2 trace VIEW` prints, as text; see `dia2.inspect.views.console.report`.

        Args:
            view: `show` (with `rows=(7, 12)` those in full), `findings`, `frames`, `frame`, `grid` or `prefix`.
            width: columns to lay it out for.
            options: of that view.
        """
        text: str = extension("report")(self, view, width=width, **options)
        return text

    def explore(
        self,
        other: Trace[Any] | None = None,
        *,
        tts: Any = None,
        script: int = 0,
        call: int = 0,
        link: str | None = None,
        page: bool | None = None,
        voice: bool = True,
        replay: Any = None,
    ) -> Any:
        """Look at the run in a notebook: play it, scrub, click; see docs/explorer.md.

        Args:
            other: a second trace, shown beside this one with what differs marked.
            tts: an engine with the run's codec: then single codebooks can be heard; not of Dia.
            script: which, from 0.
            call: where to begin.
            link: what the explorer's “Link” copies, such as "#call=311&track=surprise"; its call goes before `call`,
                and what it asks for that there is not is left out.
            page: whether the notebook keeps the explorer, for pages made of it and for readers without a kernel. It
                grows by some 170 kB and 1.5 kB a call, up to 4 MB. `None`: yes, but for `DIA2_EXPLORER_PAGE=0` in the
                environment. A picture and the text are kept in any case.
            voice: with the recordings that the run was given, as `to_html` takes it.
            replay: what `replay(tts, calls, attention=True)` gave, to see where these calls look; see `to_html`.

        Returns:
            The widget, an `Explorer`.

        Raises:
            TraceError: there is no such script or call, or the trace is damaged.
            UsageError: anywidget is not installed, `link` is no text, or the replay is of another run.
        """
        options = {"script": script, "call": call, "link": link, "page": page, "voice": voice, "replay": replay}
        return extension("explore")(self, other, tts=tts, **options)

    def to_html(self, path: str | Path, **options: Any) -> Path:
        """Write the explorer as one file for any browser; see `dia2.inspect.to_html`."""
        page: Path = extension("to_html")(self, path, **options)
        return page

    def lab(self, tts: Any, folder: str | Path | None = None, *, steer: Mapping[str, Any] | None = None) -> Any:
        """Change the run in a notebook: guidance, temperature, seed or one action from a call on, and see both runs.

            trace.lab(tts, steer={"voice": Steer(voice.point, voice.vector)})

        Args:
            tts: the checkpoint that made the run.
            folder: where forks are recorded; `None`: in a temporary one, which goes with the lab.
            steer: of Dia2: directions by name, as `Steer` edits. Each has a slider, for how many times its scale it is
                added from the call on.

        Raises:
            TraceError: the trace was redacted, holds no calls, or is of a family without forks.
            UsageError: another checkpoint, a folder that is not there, something to steer by that is no direction, or
                anywidget is not installed.
        """
        return extension("lab")(self, tts, folder, steer)


Stored = Trace  # its former name
