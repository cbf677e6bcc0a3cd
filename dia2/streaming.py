"""Speaking while the text is still being written: audio comes out frame by frame, text goes in word by word."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from dia2.audio.codec import StreamingDecoder
from dia2.errors import UsageError
from dia2.generation import GenerationConfig, StopReason
from dia2.hooks import Observer
from dia2.runtime.context import RuntimeContext
from dia2.runtime.generator import FirstWord, generate_frames, stop_reason, trim_grid
from dia2.runtime.script_parser import ScriptParser
from dia2.runtime.session import PlacedWord, Session, open_session, place_words
from dia2.runtime.state_machine import Entry, State
from dia2.runtime.voice_clone import build_prefix_plan


@dataclass(frozen=True)
class StreamChunk:
    """A piece of audio, ready to be played after the one before."""

    waveform: Tensor  # [n] float32 in −1 … 1, on the CPU
    sample_rate: int  # Hz
    start: float  # seconds from the start of the stream
    words: list[PlacedWord]  # words that begin in this piece


class Stream(Iterator[StreamChunk]):
    """An iterator of `StreamChunk`s; made by `Dia2.stream`.

    A frame is complete when its most delayed codebook is drawn, so the first piece comes after max(delay)
    frames, and each later frame brings another. Joined, the pieces are what `generate` returns for that seed.
    The state machine steps only while the words it may look at are known, so text that comes slowly slows
    the speech down and changes nothing in it.
    """

    def __init__(
        self,
        runtime: RuntimeContext,
        pieces: Iterable[str],
        config: GenerationConfig,
        observer: Observer | None = None,
    ) -> None:
        self._runtime = runtime
        self._config = config
        self._observer = observer
        self._pieces = pieces
        self._session: Session | None = None
        self._chunks = self._run()

    def __next__(self) -> StreamChunk:
        # Around each item, not inside the generator: such switches would leak to the caller between items.
        with self._runtime.computing():
            return next(self._chunks)

    def close(self) -> None:
        """Stop early."""
        self._chunks.close()

    @property
    def seed(self) -> int | None:
        """Gives this run again; none before the first chunk was asked for."""
        return self._session.seed if self._session else None

    @property
    def stop_reason(self) -> StopReason | None:
        """Why the stream ended; none before it began."""
        return stop_reason(self._runtime, self._session.state, self._session.gen) if self._session else None

    def _run(self) -> Generator[StreamChunk, None, None]:
        runtime, config = self._runtime, self._config
        plan = build_prefix_plan(runtime, config.prefix)
        self._source = _TextSource(runtime, self._pieces, after_prefix=plan is not None)
        entries = self._source.take(runtime.machine.second_stream_ahead + 1)
        if not any(entry.tokens for entry in entries):
            raise UsageError("The script has no words: give some text besides tags and breaks.")
        self._session = session = open_session(runtime, config, plan, entries, self._observer)
        first_word = FirstWord(runtime, config, session.start_step)
        speaker = _Speaker(runtime, session)
        for step, emitted in generate_frames(
            runtime,
            config,
            session.state,
            session.gen,
            start_step=session.start_step,
            refill=self._refill,
            observer=self._observer,
        ):
            first_word.see(step, emitted)
            if session.includes_prefix or first_word.known:
                yield from speaker.speak(0 if session.includes_prefix else first_word.frame)
        grid = trim_grid(runtime, session.gen)
        if self._observer is not None:
            self._observer("audio_buf", grid.clone())
        if not speaker.spoke:  # the crop was never found, or would leave nothing
            crop = 0 if session.includes_prefix else first_word.frame
            yield from speaker.speak(crop if crop < speaker.complete_frames() else 0)

    def _refill(self, state: State) -> None:
        """Read on until the machine can take a word and look as far ahead as it wants to."""
        assert self._session is not None, "the main loop runs in a session"
        missing = self._runtime.machine.second_stream_ahead + 1 - self._runtime.machine.words_queued(state)
        if missing > 0 and not self._source.closed:
            entries = self._source.take(missing)
            state.entries.extend(entries)
            self._session.entries.extend(entries)


class _TextSource:
    """Entries from pieces of text, read no further than asked."""

    def __init__(self, runtime: RuntimeContext, pieces: Iterable[str], *, after_prefix: bool) -> None:
        self._pieces = iter(pieces)
        self._parser = ScriptParser(runtime.encode, runtime.constants, runtime.frame_rate, after_prefix=after_prefix)
        self.closed = False  # no more text will come

    def take(self, words: int) -> list[Entry]:
        """At least `words` words with the breaks around them, or all that is left."""
        entries: list[Entry] = []
        while not self.closed and sum(1 for entry in entries if entry.tokens) < words:
            piece = next(self._pieces, None)
            if piece is None:
                self.closed = True
                entries += self._parser.close()
            elif isinstance(piece, str):
                entries += self._parser.feed(piece)
            else:
                raise UsageError(f"A streamed script must be pieces of text, not {type(piece).__name__}.")
        return entries


class _Speaker:
    """Turns the grid's complete frames into chunks."""

    def __init__(self, runtime: RuntimeContext, session: Session) -> None:
        self._runtime, self._session = runtime, session
        self._decoder: StreamingDecoder = runtime.mimi.stream()
        self._crop = 0
        self._spoken = 0  # frames, counted from the grid's first
        self._words = 0
        self.spoke = False  # something was put out

    def complete_frames(self) -> int:
        """Aligned frames of which every codebook is drawn."""
        return max(0, self._session.gen.last_step + 2 - max(self._runtime.audio_delays))

    def speak(self, crop: int) -> Iterator[StreamChunk]:
        """One chunk of the frames completed since the last one, if any, without the first `crop`."""
        if not self.spoke:
            self._crop = self._spoken = crop
        first, last = self._spoken, self.complete_frames()
        if last <= first:
            return
        self.spoke = True
        ids, gen, rate = self._runtime.constants, self._session.gen, self._runtime.frame_rate
        codes = torch.stack(
            [gen.audio_buf[0, k, first + delay : last + delay] for k, delay in enumerate(self._runtime.audio_delays)]
        )  # [K, frames]
        codes = codes.masked_fill(codes == ids.ungenerated, ids.audio_pad)
        waveform = self._decoder.push(codes).cpu()
        self._spoken = last
        words = place_words(self._session, self._crop, rate)
        ready = [word for word in words[self._words :] if word.seconds < (last - self._crop) / rate]
        self._words += len(ready)
        yield StreamChunk(waveform, self._runtime.mimi.sample_rate, (first - self._crop) / rate, ready)
