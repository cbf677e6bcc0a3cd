"""Dialogues spoken by espeak-ng: the voices of the checkpoint in the package and of the recogniser that judges it.

The corpus of the recipe has other ones (corpus.py). When a checkpoint of those is in the package, this goes, and
`espeak.py` and `locking.py` with it, as far as tests do not use them.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from typing import Any

import numpy as np

from training.alignment import fill_starts
from training.corpus import FRAME_RATE, CorpusPlan, Recording
from training.dialogue import GRAMMAR, Dialogue, draw_dialogue, load_grammar
from training.espeak import SAMPLE_RATE, Speech, Voice, speak
from training.locking import FRAME, Samples, lock
from training.spoken import Spoken

VOICES = {
    1: Voice("en-us", pitch=50, intonation=50, words_per_minute=160),
    2: Voice("en-us+f2", pitch=60, intonation=50, words_per_minute=160),
}
PULSES: dict[int, tuple[int, ...]] = {1: (8,), 2: (16,)}  # a frame, of the checkpoint: monotone, 100 and 200 Hz
_COMMA = 0.10  # seconds of silence that are left of a pause within a sentence
_SENTENCE, _TURN = 0.10, 0.18  # seconds of silence between sentences and turns, at least: speech begins with a frame
_TAIL = 1.6  # seconds of silence after the last word, for the streams' end
SILENT = 0.004  # amplitude


def record(dialogue: Dialogue, pulses: dict[int, tuple[int, ...]] | None) -> Recording:
    """Speak a dialogue, every sentence beginning with a frame of the codec.

    Args:
        dialogue: what is said.
        pulses: of each speaker, as `lock` takes them; none leaves espeak-ng's own sound.
    """
    pieces: list[Samples] = []
    spoken: list[Spoken] = []
    phonemes: list[tuple[str, float]] = []
    at = 0  # frame at which the next sentence begins
    for turn, pause in zip(dialogue.turns, dialogue.breaks, strict=True):
        for i, sentence in enumerate(turn.sentences):
            speech = shorten_pauses(speak(sentence, VOICES[turn.speaker]), _COMMA)
            length = _sounding(speech.samples)
            begin = at * FRAME / SAMPLE_RATE
            spoken += word_times(sentence, speech, length, turn.speaker, begin)
            phonemes += [(name, begin + sample / SAMPLE_RATE) for name, sample in speech.phonemes]
            gap = _SENTENCE if i + 1 < len(turn.sentences) else _TURN
            frames = math.ceil((length + gap * SAMPLE_RATE) / FRAME)
            piece = np.zeros(frames * FRAME, np.float32)
            piece[:length] = speech.samples[:length]
            pieces.append(piece if pulses is None else lock(piece, pulses[turn.speaker]))
            at += frames
        if silence := round(pause * FRAME_RATE):
            spoken.append(Spoken("", 0, at / FRAME_RATE, (at + silence) / FRAME_RATE))
            pieces.append(np.zeros(silence * FRAME, np.float32))
            at += silence
    pieces.append(np.zeros(math.ceil(_TAIL * FRAME_RATE) * FRAME, np.float32))
    return Recording(dialogue.script(), tuple(spoken), at / FRAME_RATE, tuple(phonemes), np.concatenate(pieces))


def word_times(sentence: str, speech: Speech, length: int, speaker: int, begin: float) -> list[Spoken]:
    """Times of a sentence's words, split at white space.

    espeak-ng says some pairs (“on the”) as one word: the second then gets its share of the time by its letters.
    """
    texts = sentence.split()
    starts: list[float | None] = []
    at = 0
    for text in texts:
        at = sentence.index(text, at)
        inside = [sample for place, sample in speech.words if at <= place < at + len(text)]
        starts.append(float(min(inside)) if inside else None)
        at += len(text)
    known = fill_starts(texts, starts, 0.0, float(length))
    ends = [*known[1:], float(length)]
    return [
        Spoken(text, speaker, begin + start / SAMPLE_RATE, begin + end / SAMPLE_RATE)
        for text, start, end in zip(texts, known, ends, strict=True)
    ]


def shorten_pauses(speech: Speech, longest: float) -> Speech:
    """Cut the silence at commas to `longest` seconds: Dia2's machine has at most seven frames from word to word."""
    keep = np.ones(len(speech.samples), bool)
    sounding = [sample for name, sample in speech.phonemes if not name.startswith("_")]
    for name, sample in speech.phonemes:
        following = next((s for s in sounding if s > sample), None)
        if name.startswith("_") and following is not None:
            keep[sample + round(longest * SAMPLE_RATE) : following] = False
    moved = np.concatenate([[0], np.cumsum(keep)])

    def move(times: tuple[tuple[Any, int], ...]) -> tuple[tuple[Any, int], ...]:
        return tuple((what, int(moved[min(sample, len(keep))])) for what, sample in times)

    return Speech(speech.samples[keep], move(speech.words), move(speech.phonemes))


def _sounding(samples: Samples) -> int:
    """How many samples there are up to the last one that can be heard."""
    loud = np.flatnonzero(np.abs(samples) > SILENT)
    return int(loud[-1]) + 1 if len(loud) else len(samples)


def recordings(plan: CorpusPlan, number: int) -> Iterator[Recording]:
    """Those of one shard: of the narrow grammar, in espeak-ng's own sound if the plan names no pulses."""
    rng = random.Random(f"{plan.seed} {plan.split} {number}")  # noqa: S311 — no secret
    grammar = load_grammar(GRAMMAR)
    for _ in range(plan.dialogues):
        yield record(draw_dialogue(grammar, rng, plan.split), plan.pulses)
