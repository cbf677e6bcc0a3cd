"""Speaking while the text is still being written: audio comes out frame by frame, text goes in word by word."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import takewhile
from typing import NamedTuple, NoReturn

import torch
from torch import Tensor

from dia2.audio.streaming_decoder import Samples, streaming_decoder
from dia2.common.brief import brief_repr
from dia2.common.errors import UsageError
from dia2.common.hooks import Observer, current_observer, observing, report
from dia2.common.progress import ProgressCallback
from dia2.generation import GenerationConfig, PlacedWord, StopReason, no_script
from dia2.runtime.context import RuntimeContext
from dia2.runtime.edits import Edit
from dia2.runtime.generator import FirstWord, generate_frames, stop_reason
from dia2.runtime.live_text import LATER, LiveText
from dia2.runtime.script_notes import ScriptNotes
from dia2.runtime.script_parser import ScriptParser, require_words
from dia2.runtime.session import Session, open_session, place_words
from dia2.runtime.state_machine import Entry
from dia2.runtime.turns import Rows, Wait, await_room
from dia2.runtime.voice_clone import build_prefix_plan


@dataclass(frozen=True)
class StreamChunk:
    """A piece of audio, ready to be played after the one before.

    The machine takes a word two frames after its sound begins (`dia2.runtime.sounding`), and a frame is complete when
    its most delayed codebook is drawn. Where the largest delay is three frames or more, as in all published
    checkpoints, a word is known in time and comes with its sound; where it is d < 3, up to 3 − d pieces later.
    """

    __repr__ = brief_repr

    waveform: Tensor  # [n] float32 in −1 … 1, on the CPU
    sample_rate: int  # Hz
    start: float  # seconds from the start of the stream
    words: list[PlacedWord]  # that begin to sound in this piece, but for models of small delays


class Stream(Iterator[StreamChunk]):
    """An iterator of `StreamChunk`s; made by `Dia2.stream`.

    A frame is complete when its most delayed codebook is drawn, so the first piece comes after max(delay) frames (with
    an included prefix it holds the whole of that), and each later frame brings another, of 80 ms; or `least` of them
    do, since decoding them together takes less time. On a GPU a piece is decoded beside the next frame and comes after
    it. Joined, they are what `generate` returns for that seed. The state
    machine steps only while the words it may look at are known, so text that comes slowly slows the speech down and
    changes nothing in it.
    """

    def __init__(
        self,
        runtime: RuntimeContext,
        pieces: Iterable[str] | LiveText,
        config: GenerationConfig,
        observer: Observer | None = None,
        *,
        progress: ProgressCallback | None = None,
        edits: Sequence[Edit] = (),
        rows: Rows | None = None,
    ) -> None:
        """Note what to speak.

        Args:
            runtime: the checkpoint.
            pieces: text, read only as far as needed; in a batch it may still be written.
            config: sampling, guidance and prefix.
            observer: who looks on; `None`: who observes where the stream is made.
            progress: called after every frame; of a text that is still written, it knows what was read.
            edits: declared interventions.
            rows: of the batch that the stream is part of, which goes on by `turns` then; `None`: it is alone.
        """
        self._runtime = runtime
        self._config = config
        self._observer = observer or current_observer()
        self._progress, self._edits, self._rows = progress, edits, rows
        prefixed = config.prefix is not None and config.prefix.speaker_1 is not None
        self._source = _TextSource(runtime, pieces, after_prefix=prefixed)
        self._begin: list[Entry] = []  # what the script begins with, read before the session is opened
        self._session: Session | None = None
        self._speaker: _Speaker | None = None
        self._ended: StopReason | None = None
        self._frames = self._run()
        self.least = 1  # frames that a piece waits for, once there was a first; may be changed at any time

    def __next__(self) -> StreamChunk:
        while True:
            missing = self._missing()
            # Nobody knows how long the next text takes: what can be heard comes first.
            if missing and self._speaker is not None:
                with self._runtime.computing():
                    chunk = self._speaker.rest()
                if chunk is not None:
                    return chunk
            # The user's text comes from outside the switches below, and those are off again between pieces.
            self._top_up(missing)
            with self._runtime.computing(), observing(self._observer):
                item = self._advance()
            assert not isinstance(item, Wait), "a stream of a batch goes on by `turns`"
            if item is not None:
                return item

    def turns(self) -> Generator[Wait | StreamChunk, None, None]:
        """All of the stream, for a batch: inside `computing`, and observed by whoever observes there."""
        item: Wait | StreamChunk | None = None
        try:
            while True:
                while not isinstance(item, Wait) and (missing := self._missing()):  # between frames, as alone
                    self._top_up(missing)
                    if not self._missing():
                        break
                    while self._speaker is not None and (chunk := self._speaker.rest()) is not None:
                        yield chunk  # nobody knows how long the text takes
                    yield Wait.TEXT
                try:
                    item = self._advance()
                except StopIteration:
                    return
                if item is not None:
                    yield item
        finally:
            self._ended = self._ended or "interrupted"
            self._frames.close()

    def _advance(self) -> Wait | StreamChunk | None:
        """The next item of the run."""
        try:
            return next(self._frames)
        except StopIteration:
            raise
        except BaseException:  # Ctrl-C or a fault: there is no going on
            self._ended = self._ended or "interrupted"
            raise

    def __reduce__(self) -> NoReturn:
        """A stream is one run, and a run cannot be had twice."""
        raise UsageError(
            "A stream cannot be copied or pickled, as it is in the middle of a run: copy its Dia2, and begin another "
            "stream with the same seed."
        )

    def close(self) -> None:
        """Stop early."""
        self._ended = self._ended or "interrupted"
        self._speaker = None
        with self._runtime.computing():  # an observer still takes what is finished
            self._frames.close()

    @property
    def seed(self) -> int | None:
        """Gives this run again; none before the first chunk was asked for."""
        return self._session.seed if self._session else None

    @property
    def stop_reason(self) -> StopReason | None:
        """Why the stream ended, `interrupted` also after an error; none before that."""
        return self._ended

    def _missing(self) -> int:
        """Words to be read before the machine can take one and look as far ahead as it wants to."""
        if self._source.closed or self._ended is not None:
            return 0
        if self._session is None:
            queued = sum(1 for entry in self._begin if entry.tokens)
        else:
            queued = self._runtime.machine.words_queued(self._session.state)
        return max(0, self._runtime.machine.second_stream_ahead + 1 - queued)

    def _top_up(self, missing: int) -> None:
        """Read that many words, or all that are left."""
        if missing:
            entries = self._source.take(missing)
            if self._session is None:
                self._begin += entries
            else:
                self._session.state.entries.extend(entries)
                self._session.entries.extend(entries)

    def _run(self) -> Generator[Wait | StreamChunk | None, None, None]:
        """One item a frame: a chunk, or `None` while there is nothing to hear yet; and in a batch its halves."""
        runtime, config = self._runtime, self._config
        require_words(self._begin)
        plan = build_prefix_plan(runtime, config.prefix)
        yield from await_room(self._rows, plan.aligned_frames if plan is not None else 0)
        self._session = session = open_session(runtime, config, plan, self._begin, edits=self._edits, rows=self._rows)
        try:
            yield from self._speak(session)
        finally:
            session.close()

    def _speak(self, session: Session) -> Iterator[Wait | StreamChunk | None]:
        runtime = self._runtime
        first_word = FirstWord(runtime, session.config, session.start_step)
        self._speaker = speaker = _Speaker(runtime, session, keep=self._observer is not None)
        loop = generate_frames(
            runtime,
            session.config,
            session.state,
            session.gen,
            start_step=session.start_step,
            interventions=session.interventions,
        )
        try:
            with closing(loop):  # before the session is: an observer still reads its tensors
                for made in loop:
                    if isinstance(made, Wait):
                        yield made
                        continue
                    first_word.see(*made)
                    if self._progress is not None:
                        self._progress(session.progress(made.step - session.start_step + 1, runtime.frame_rate))
                    if session.includes_prefix or first_word.known:
                        speaker.begin(0 if session.includes_prefix else first_word.frame, self.least)
                    yield speaker.take(speaker.late)
            crop = session.crop(first_word.frame, speaker.complete_frames())
            if not speaker.spoke:  # the crop was never found, or would leave nothing
                speaker.begin(crop)
            self._ended = stop_reason(runtime, session.state, session.gen)
            while (chunk := speaker.rest()) is not None:
                yield chunk
        finally:
            if speaker.heard:
                codes, samples = zip(*speaker.heard, strict=True)
                inputs = {"runtime": runtime, "aligned": torch.cat(codes, dim=1)}
                report(self._observer, "codec.decode", inputs, torch.cat(samples))


class _TextSource:
    """Entries from pieces of text, read no further than asked."""

    def __init__(self, runtime: RuntimeContext, pieces: Iterable[str] | LiveText, *, after_prefix: bool) -> None:
        self._pieces: Iterator[object] = iter(pieces)
        ids, notes = runtime.constants, ScriptNotes()
        self._parser = ScriptParser(runtime.encode, ids, runtime.frame_rate, after_prefix=after_prefix, notes=notes)
        self.closed = False  # no more text will come

    def take(self, words: int) -> list[Entry]:
        """At least `words` words with the breaks around them, or all that is left, or that is there by now."""
        entries: list[Entry] = []
        while not self.closed and sum(1 for entry in entries if entry.tokens) < words:
            piece = next(self._pieces, None)
            if piece is LATER:
                break
            if piece is None:
                self.closed = True
                entries += self._parser.close()
            elif isinstance(piece, str):
                entries += self._parser.feed(piece)
            else:
                raise no_script(piece, "A piece of the script")
        return entries


class _Begun(NamedTuple):
    """A piece that is being decoded."""

    codes: Tensor  # [K, frames] int64
    samples: Samples
    start: float  # seconds from the start of the stream
    words: list[PlacedWord]  # words that begin in it


class _Speaker:
    """Turns the grid's complete frames into chunks."""

    def __init__(self, runtime: RuntimeContext, session: Session, *, keep: bool) -> None:
        self._runtime, self._session, self._keep = runtime, session, keep
        self.heard: list[tuple[Tensor, Tensor]] = []  # codes [K, n] and samples that were taken, for an observer alone
        self._pieces = streaming_decoder(runtime.mimi)
        self._begun: deque[_Begun] = deque()
        self._crop = 0
        self._spoken = 0  # frames, counted from the grid's first
        self._words = 0
        self.late = self._pieces.late
        self.spoke = False  # something is to be heard

    def complete_frames(self) -> int:
        """Aligned frames of which every codebook is drawn."""
        return max(0, self._session.gen.last_step + 2 - max(self._runtime.audio_delays))

    def begin(self, crop: int, least: int = 1) -> None:
        """Begin to decode the frames completed since the last time, without the first `crop`.

        Nothing happens if there are none, or, once something is to be heard, fewer than `least`.
        """
        if not self.spoke:
            self._crop = self._spoken = crop
        first, last = self._spoken, self.complete_frames()
        if last - first < (max(1, least) if self.spoke else 1):
            return
        self.spoke = True
        ids, gen, rate = self._runtime.constants, self._session.gen, self._runtime.frame_rate
        codes = torch.stack(
            [gen.audio_buf[0, k, first + delay : last + delay] for k, delay in enumerate(self._runtime.audio_delays)]
        )  # [K, frames]
        codes = codes.masked_fill(codes == ids.ungenerated, ids.audio_pad)
        samples = self._pieces.begin(codes)
        self._spoken = last
        words = place_words(self._session, self._crop, rate)[self._words :]
        ready = list(takewhile(lambda word: word.seconds < (last - self._crop) / rate, words))
        self._words += len(ready)
        self._begun.append(_Begun(codes, samples, (first - self._crop) / rate, ready))

    def rest(self) -> StreamChunk | None:
        """The oldest piece of all that can be heard, if there is one: no frame comes soon, or none at all."""
        if self.spoke:
            self.begin(self._crop)
        return self.take()

    def take(self, late: int = 0) -> StreamChunk | None:
        """The oldest piece that was begun, if there are more than `late`."""
        if len(self._begun) <= late:
            return None
        codes, begun, start, words = self._begun.popleft()
        samples = begun()
        if self._keep:
            self.heard.append((codes, samples))
        return StreamChunk(samples, self._runtime.mimi.sample_rate, start, words)
