"""What is true of the frame of sound that each call draws codebook 0 for."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from dia2.adapter.pictures import placed_words
from dia2.adapter.sound import codebook_samples
from dia2.adapter.trace import Dia2Trace
from dia2.common.brief import brief_repr
from dia2.common.errors import TraceError, UsageError
from dia2.engine import Dia2
from dia2.runtime.sounding import LAG

_SILENT = 30.0  # dB below the loud frames of its run, and a frame is silent
_LOUD = 95  # percent of frames that are less loud than what counts as loud
_PITCHES = (60.0, 400.0)  # Hz: of voices
_NEARLY = 0.9  # of the best lag's, that the autocorrelation at a period has
_PERIODIC = 0.5  # of its energy that a voiced frame has in common with itself one period later


@dataclass(frozen=True)
class SpokenWord:
    """A word, and the calls that draw its sound."""

    text: str
    speaker: int
    first: int  # call
    last: int


@dataclass(frozen=True)
class Labels:
    """Labels of the n calls of a run; row i is call i."""

    __repr__ = brief_repr

    speaker: np.ndarray  # [n] int: 1 or 2, of the word that sounds; 0 where none does
    word: np.ndarray  # [n] int: its number in `words`; −1 where none sounds
    position: np.ndarray  # [n] int: frames since it began; −1 likewise
    silent: np.ndarray  # [n] int: 1 or 0; −1 where the sound is not known
    voiced: np.ndarray  # [n] int: likewise, and −1 where it is silent
    loudness: np.ndarray  # [n] float, dB of full scale; NaN where the sound is not known
    pitch: np.ndarray  # [n] float, Hz; NaN where the sound is not voiced
    words: list[SpokenWord]  # in order
    given: Mapping[str, np.ndarray] = field(default_factory=dict)  # [n] each: labels of the caller, such as phonemes

    def __getitem__(self, name: str) -> np.ndarray:
        """The labels of a name [n].

        Raises:
            UsageError: there are none; says which there are.
        """
        if name in self.given:
            return self.given[name]
        if name not in _OWN:
            raise UsageError(
                f"There are no labels {name!r}, only {', '.join((*_OWN, *self.given))}: give them as given=."
            )
        found: np.ndarray = getattr(self, name)
        return found

    def known(self, name: str) -> np.ndarray:
        """[n] bool: which calls have one; −1, NaN and an empty text are none, and no speaker is 0."""
        values = self[name]
        if values.dtype.kind == "f":
            return np.asarray(np.isfinite(values))
        if values.dtype.kind not in "iub":
            return np.array([bool(value) for value in values])
        found: np.ndarray = values > 0 if name == "speaker" else values >= 0
        return found


_OWN = ("speaker", "word", "position", "silent", "voiced", "loudness", "pitch")


def labels_of(trace: Dia2Trace, tts: Dia2 | None = None, *, given: Mapping[str, np.ndarray] | None = None) -> Labels:
    """Label the calls of a run by its recorded columns and its sound.

    The call at step s draws codebook 0 of frame s + 1 − delay, so its labels are those of that frame. A word sounds
    from two frames before the step at which it was taken until the next one does. Calls of the warm-up draw nothing and
    have no labels.

    Args:
        trace: with its codes; also with its audio, or an engine to make it from the codes.
        tts: the engine of its checkpoint; `None`: where the trace has no audio, what is heard is not known.
        given: further labels [n] by name, such as the phonemes of a forced alignment; −1, NaN or an empty text where
            there is none.

    Raises:
        UsageError: labels that are given are not one for each call.
        TraceError: the trace has no calls, or was redacted.
    """
    count, given = len(trace), dict(given or {})
    for name, values in given.items():
        given[name] = np.asarray(values)
        if given[name].shape != (count,):
            raise UsageError(
                f"The labels {name!r} are of shape {list(given[name].shape)}, and the run has {count} calls."
            )
    frames = trace.steps.astype(np.int64) + 1 - trace.model.delays[0]
    word, position, speaker = (np.full(count, unknown, np.int64) for unknown in (-1, -1, 0))
    words: list[SpokenWord] = []
    placed = placed_words(trace, count)
    starts = [word.step - LAG for word in placed]
    ends = trace.column("end_step")
    over = int(ends[ends >= 0][0]) - LAG if (ends >= 0).any() else None
    for call in range(trace.warmup_calls, count):
        frame = int(frames[call])
        at = bisect_right(starts, frame) - 1
        if at < 0 or (over is not None and frame >= over):
            continue
        word[call], position[call], speaker[call] = at, frame - starts[at], placed[at].speaker
    numbers = np.unique(word[word >= 0])
    for new, old in enumerate(numbers):
        calls = np.flatnonzero(word == old)
        words.append(SpokenWord(placed[old].text, placed[old].speaker, int(calls[0]), int(calls[-1])))
        word[calls] = new
    heard = _heard(trace, tts, frames - trace.crop)
    return Labels(speaker, word, position, *heard, words=words, given=given)


def _heard(
    trace: Dia2Trace, tts: Dia2 | None, frames: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Silent, voiced, loudness and pitch of calls that draw these frames of the audio."""
    silent, voiced = np.full(len(frames), -1), np.full(len(frames), -1)
    loudness, pitch = np.full(len(frames), np.nan), np.full(len(frames), np.nan)
    sound = trace.audio
    if sound is None and tts is not None:
        sound = codebook_samples(trace, tts, range(trace.model.codebooks))
    if sound is None:
        return silent, voiced, loudness, pitch
    samples, rate = sound
    step = round(rate / trace.model.frame_rate)
    whole = len(samples) // step
    if not whole:
        raise TraceError(f"{trace.path} has no whole frame of sound to label.")
    blocks = samples[: whole * step].reshape(whole, step).astype(np.float64)
    levels = 10 * np.log10((blocks**2).mean(axis=1) + 1e-12)
    quiet = levels < np.percentile(levels, _LOUD) - _SILENT
    there = (frames >= 0) & (frames < whole)
    there[: trace.warmup_calls] = False
    mine = frames[there]
    loudness[there], silent[there] = levels[mine], quiet[mine]
    pitches = _pitches(blocks, rate)
    voiced[there] = np.where(quiet[mine], -1, np.isfinite(pitches)[mine])
    pitch[there] = np.where(quiet[mine], np.nan, pitches[mine])
    return silent, voiced, loudness, pitch


def _pitches(blocks: np.ndarray, rate: int) -> np.ndarray:
    """[frames] Hz at which a frame [samples] repeats itself, by its autocorrelation; NaN where it does not."""
    length = blocks.shape[1]
    spectra = np.fft.rfft(blocks - blocks.mean(axis=1, keepdims=True), 2 * length)
    alike = np.fft.irfft(np.abs(spectra) ** 2)[:, :length]  # by lag in samples
    shares = np.arange(length, 0, -1) / length  # of the frame that overlaps with itself
    alike = alike / (alike[:, :1] + 1e-12) / shares
    shortest = int(rate / _PITCHES[1])
    inside = alike[:, shortest : min(int(rate / _PITCHES[0]) + 1, length // 2)]
    most = inside.max(axis=1)
    # What repeats after one period does so after two as well: the first lag that is nearly as good is the period, at
    # the top of its peak.
    peaks = (inside[:, 1:-1] >= inside[:, :-2]) & (inside[:, 1:-1] >= inside[:, 2:])
    good = peaks & (inside[:, 1:-1] >= _NEARLY * most[:, None])
    lags = shortest + 1 + good.argmax(axis=1)
    found: np.ndarray = np.where((most >= _PERIODIC) & good.any(axis=1), rate / lags, np.nan)
    return found
