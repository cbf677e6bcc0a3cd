"""When a word sounds: the one place that goes from the machine's steps to the sound.

The machine takes a word two frames after the word's sound begins. The warm-up has it so for speaker 1: a recording's
word that begins in frame f is asked for at step f − 1, and speaker 1's steps are shifted by three. Without a prefix the
machine takes the first word at step 2, and the sound begins at once. So a checkpoint knows no other relation, and what
the main loop says at step s begins to sound in frame s − 2. Speaker 2's steps in the warm-up are not shifted: there a
word is asked for one frame before its sound, and a boundary that is swallowed moves the words after it but not their
sound. Of a word of a prefix, then, the recording's own times say when it sounds, not the step.

`GenerationResult.timestamps` are the published package's numbers, (step − cut) / frame rate: two frames late. All that
is written or shown against the sound says when a word sounds.
"""

from __future__ import annotations

LAG = 2  # frames from the first of a word's sound to the step at which the machine takes the word
SPEAKER_1_OFFSET = 3  # frames; a constant of the published runtime that its checkpoints were used with
_EARLY = 1  # frames by which speaker 2's words in the warm-up come before their sound instead


def sounds_at(step: int, crop: int, frame_rate: float) -> float:
    """Second of the audio at which a word sounds that the main loop took at `step`; 0 if its sound began before.

    Args:
        step: at which the machine took it.
        crop: frames that the audio lacks at its front.
        frame_rate: frames a second.
    """
    return max(0, step - LAG - crop) / frame_rate


def asked_at(step: int, speaker: int, frame_rate: float) -> float:
    """Second of a prefix at which a word sounds that the warm-up asks for at `step`, as far as the step can tell.

    Args:
        step: at which the word is asked for; where the recording's own times are known, those are exact.
        speaker: 1 or 2, whose prefix word it is.
        frame_rate: frames a second.
    """
    return max(0, step + _EARLY if speaker == 2 else step - LAG) / frame_rate
