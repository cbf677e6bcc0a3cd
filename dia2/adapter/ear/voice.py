"""The ear for a voice, before any run goes on from it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dia2.adapter.ear.curves import EarCurves
from dia2.adapter.ear.hear import Progress, hear
from dia2.adapter.ear.hypotheses import Hypothesis
from dia2.adapter.ear.shifts import ShiftFound
from dia2.common.checks import short
from dia2.common.hooks import unobserved
from dia2.engine import Dia2
from dia2.runtime.context import RuntimeContext
from dia2.runtime.voice_clone import combine_voices, words_to_entries
from dia2.runtime.voice_file import Voice, load_voice
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


def beside_their_sound(tts: Dia2, path: str | Path) -> list[str]:
    """A sentence for each stretch of words in a `.voice` file that come late or early, as far as the ear can tell.

    Raises:
        UsageError: the file cannot be used.
    """
    voice = load_voice(path, tts.runtime.mimi)
    return [_told(shift, voice.words) for shift in hear_voices(tts.runtime, [voice]).shifts]


def _told(shift: ShiftFound, words: Sequence[Word]) -> str:
    first, last = words[shift.first_word], words[shift.last_word]
    late, early = shift.first_word > 0, shift.last_word < len(words) - 1
    which = "all words"
    if late or early:
        parts = [f"from {short(first.text)} at {first.start:.2f} s"] if late else []
        parts += [f"up to {short(last.text)} at {last.start:.2f} s"] if early else []
        which = f"the words {' '.join(parts)}" + ("" if early else " on")
    side = "late" if shift.seconds > 0 else "early"
    return f"{which} seem to come {abs(shift.seconds):.2f} s {side}: check their times, and give them by --words"
