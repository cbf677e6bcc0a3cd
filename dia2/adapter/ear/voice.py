"""The ear for a voice, before any run goes on from it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dia2.adapter.ear.curves import EarCurves
from dia2.adapter.ear.hear import Progress, hear
from dia2.adapter.ear.hypotheses import Hypothesis
from dia2.adapter.findings.recordings import KINDS, sound_findings
from dia2.adapter.findings.shift import by_ear, by_spelling
from dia2.adapter.given_voice import given_voice
from dia2.adapter.prefix_words import PrefixWord
from dia2.adapter.spelling.of import spelt
from dia2.common.hooks import unobserved
from dia2.engine import Dia2
from dia2.inspect.schema.finding import Finding
from dia2.inspect.trace.findings import worst_first
from dia2.runtime.context import RuntimeContext
from dia2.runtime.voice_clone import combine_voices, words_to_entries
from dia2.runtime.voice_file import Voice
from dia2.runtime.words import Word


def hear_voices(runtime: RuntimeContext, voices: Sequence[Voice], progress: Progress | None = None) -> EarCurves:
    """What the ear hears of one or two voices, as a prefix of them would sound.

    Args:
        runtime: the checkpoint.
        voices: of speaker 1, and of speaker 2 if there are two.
        progress: called with (hypotheses heard, hypotheses in all).
    """
    rate = runtime.frame_rate
    with unobserved():
        spoken = [words_to_entries(v.words, runtime.encode, i, rate) for i, v in enumerate(voices, 1)]
        plan = combine_voices(spoken, [voice.codes for voice in voices])
    frames, words = [voice.codes.shape[1] for voice in voices], [voice.words for voice in voices]
    given = Hypothesis(plan.entries, plan.new_word_steps)
    heard = hear(runtime, plan.aligned_tokens, frames, words, given, progress)
    before = (0.0, frames[0] / rate)
    starts = [word.start + at for said, at in zip(words, before, strict=False) for word in said]
    speakers = [speaker for speaker, said in enumerate(words, 1) for _ in said]
    codes = runtime.model.depformer.num_codes
    return EarCurves(*heard, np.array(starts), np.array(speakers), tuple(frames), rate, codes)


def voice_findings(tts: Dia2, voice: Voice, speaker: int = 1, progress: Progress | None = None) -> list[Finding]:
    """What is wrong with a voice as a prefix, worst first, as `trace.findings()` would say it of a run with it.

    Args:
        tts: the checkpoint.
        voice: as `read_voice` reads it; of a `.voice` file, its sound is what the codec makes of its codes.
        speaker: whose it is to be.
        progress: called with (hypotheses heard, hypotheses in all).
    """
    runtime, codec = tts.runtime, tts.runtime.mimi
    rate, frames = runtime.frame_rate, voice.codes.shape[1]
    words = [_untaken(i, word, speaker, rate) for i, word in enumerate(voice.words)]
    with runtime.computing():
        measured, samples = given_voice(voice, codec, sound=True)
        assert samples is not None, "they were asked for"
        shifts = by_ear(hear_voices(runtime, [voice], progress), 1, words)
    if shifts is None:
        path = spelt(samples, codec.sample_rate, frames, words, rate)
        shifts = None if path is None else by_spelling(path, rate)
    found = sound_findings(measured.rms.numpy(), measured.clipped.numpy(), words, speaker, rate, shifts=shifts)
    return worst_first(found, KINDS)


def _untaken(index: int, word: Word, speaker: int, rate: float) -> PrefixWord:
    """A word that no run has taken yet."""
    step = round(word.start * rate) - 1
    return PrefixWord(index, word.text, speaker, word.start, word.end, step, None, None, in_warmup=False)
