"""What can be judged of voices before a checkpoint is loaded, which takes seconds: nearly all of it.

The recordings are read once: what was read here is handed on to the checkpoint.
"""

from __future__ import annotations

import math
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from dia2.common.checks import is_file
from dia2.core.ambient import isolated
from dia2.generation import PrefixConfig, WordList
from dia2.runtime.recordings import Recordings
from dia2.runtime.voice_clone import check_prefix, require_source
from dia2.runtime.voice_file import VOICE_SUFFIX, open_voice
from dia2.runtime.words import check_whisper, read_words

if TYPE_CHECKING:
    from dia2.runtime.context import RuntimeContext

_RATE = 24_000  # Hz, at which every Mimi hears so far; with another codec, recordings are read once more

Words = str | Path | WordList


def judge_prefix(prefix: PrefixConfig | None, recordings: Recordings) -> PrefixConfig | None:
    """Refuse voices and words that no checkpoint could use.

    Args:
        prefix: as it was given.
        recordings: where what is read of them is kept.

    Returns:
        The prefix, with the words themselves in the place of a pipe that they came by, as that is read by now.

    Raises:
        UsageError: as `build_prefix_plan`, but for what depends on the checkpoint.
    """
    check_prefix(prefix)
    if prefix is None or prefix.speaker_1 is None:
        return prefix
    words_1 = judge_voice(prefix.speaker_1, prefix.words_1, prefix.whisper, recordings)
    if prefix.speaker_2 is None:
        return replace(prefix, words_1=words_1)
    words_2 = judge_voice(prefix.speaker_2, prefix.words_2, prefix.whisper, recordings)
    return replace(prefix, words_1=words_1, words_2=words_2)


@isolated()
def judge_voice(source: str | Path, words: Words | None, whisper: str, recordings: Recordings) -> Words | None:
    """The same of one speaker, a sound file or a `.voice` file with its words, if any are given.

    Raises:
        UsageError: as `read_voice`, but for what depends on the checkpoint.
    """
    require_source(source)
    if Path(source).suffix == VOICE_SUFFIX:
        open_voice(source)
        seconds = math.inf  # the codec knows how long a frame is
    else:
        seconds = recordings.read(source, _RATE).samples.shape[0] / _RATE
    if words is None:
        if Path(source).suffix != VOICE_SUFFIX:
            check_whisper(whisper)
        return None
    spoken = read_words(words, seconds)
    if not isinstance(words, str | Path) or is_file(words):
        return words
    return [asdict(word) for word in spoken]


def hand_on(recordings: Recordings, runtime: RuntimeContext) -> None:
    """Give what was read here to a checkpoint that was loaded since."""
    if runtime.mimi.sample_rate == _RATE and len(recordings):
        runtime.recordings = recordings
