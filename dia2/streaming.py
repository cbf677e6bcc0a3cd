"""Speaking while the text is still being written: audio comes out frame by frame, text goes in word by word."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass

import torch
from torch import Tensor

from dia2.audio.codec import StreamingDecoder
from dia2.errors import UsageError
from dia2.generation import GenerationConfig, StopReason
from dia2.hooks import Observer, current_observer, observing
from dia2.runtime.context import RuntimeContext
from dia2.runtime.generator import FirstWord, generate_frames, stop_reason
from dia2.runtime.script_parser import ScriptParser
from dia2.runtime.session import PlacedWord, Session, open_session, place_words
from dia2.runtime.state_machine import Entry
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

    A frame is complete when its most delayed codebook is drawn, so the first piece comes after max(delay) frames (with
    an included prefix it holds the whole of that), and each later frame brings another, of 80 ms. Joined, they are
    what `generate` returns for that seed. The state machine steps only while the words it may look at are known, so
    text that comes slowly slows the speech down and changes nothing in it.
    """

    def __init__(
        self,
        runtime: RuntimeContext,
        pieces: Iterable[str],
        config: GenerationConfig,
        observer: Observer | None = None,
    ) -> None:
        """Note what to speak.

        Args:
            runtime: the checkpoint.
            pieces: text, read only as far as needed.
            config: sampling, guidance and prefix.
            observer: who looks on; none: who observes where the stream is made.
        """
        self._runtime = runtime
        self._config = config
        self._observer = observer or current_observer()
        prefixed = config.prefix is not None and config.prefix.speaker_1 is not None
        self._source = _TextSource(runtime, pieces, after_prefix=prefixed)
        self._begin: list[Entry] = []  # what the script begins with, read before the session is opened
        self._session: Session | None = None
        self._ended: StopReason | None = None
        self._frames = self._run()

    def __next__(self) -> StreamChunk:
        while True:
            # The user's text comes from outside the switches below, and those are off again between pieces.
            self._top_up()
            with self._runtime.computing(), observing(self._observer):
                chunk = next(self._frames)
            if chunk is not None:
                return chunk

    def close(self) -> None:
        """Stop early."""
        self._ended = self._ended or "interrupted"
        self._frames.close()

    @property
    def seed(self) -> int | None:
        """Gives this run again; none before the first chunk was asked for."""
        return self._session.seed if self._session else None

    @property
    def stop_reason(self) -> StopReason | None:
        """Why the stream ended; none before that."""
        return self._ended

    def _top_up(self) -> None:
        """Read on until the machine can take a word and look as far ahead as it wants to."""
        missing = self._runtime.machine.second_stream_ahead + 1
        if self._session is not None:
            missing -= self._runtime.machine.words_queued(self._session.state)
        if missing > 0:
            entries = self._source.take(missing)
            if self._session is None:
                self._begin = entries
            else:
                self._session.state.entries.extend(entries)
                self._session.entries.extend(entries)

    def _run(self) -> Generator[StreamChunk | None, None, None]:
        """One item a frame: a chunk, or none while there is nothing to hear yet."""
        runtime, config = self._runtime, self._config
        if not any(entry.tokens for entry in self._begin):
            raise UsageError("The script has no words: give some text besides tags and breaks.")
        plan = build_prefix_plan(runtime, config.prefix)
        self._session = session = open_session(runtime, config, plan, self._begin)
        try:
            yield from self._speak(session)
        finally:
            session.close()

    def _speak(self, session: Session) -> Iterator[StreamChunk | None]:
        runtime = self._runtime
        first_word = FirstWord(runtime, session.config, session.start_step)
        speaker = _Speaker(runtime, session)
        loop = generate_frames(runtime, session.config, session.state, session.gen, start_step=session.start_step)
        with closing(loop):  # before the session is: an observer still reads its tensors
            for step, emitted in loop:
                first_word.see(step, emitted)
                ready = session.includes_prefix or first_word.known
                yield speaker.speak(0 if session.includes_prefix else first_word.frame) if ready else None
        self._ended = stop_reason(runtime, session.state, session.gen)
        crop = session.crop(first_word.frame, speaker.complete_frames())
        if not speaker.spoke:  # the crop was never found, or would leave nothing
            yield speaker.speak(crop)


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

    def speak(self, crop: int) -> StreamChunk | None:
        """A chunk of the frames completed since the last one, if any, without the first `crop`."""
        if not self.spoke:
            self._crop = self._spoken = crop
        first, last = self._spoken, self.complete_frames()
        if last <= first:
            return None
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
        return StreamChunk(waveform, self._runtime.mimi.sample_rate, (first - self._crop) / rate, ready)
