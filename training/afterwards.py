"""After fine-tuning: is it better than what it came from, judged by what was held back."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from training.compare import Comparison, compare, print_table
from training.nearness import Speaker
from training.recordings.doubts import speakers_of
from training.recordings.preparing import PreparedRecordings
from training.recordings.reading import read_clip
from training.spoken import script_of

MOST = 24  # scripts that are spoken
_SECONDS = 60.0  # of each speaker, which tell the voice
_RATE = 24_000  # Hz


def afterwards(
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    report: Path,
    recordings: PreparedRecordings,
    whisper: str,
    language: str | None,
    model: Mapping[str, Any],
) -> Comparison | None:
    """Let both say what is held back, print what came of it, and write `report/index.html`; `None`: nothing is.

    Args:
        before: the checkpoint that was trained on, as a sweep plan's `[model]` names one.
        after: what was made of it, likewise.
        report: folder.
        recordings: what was learnt from, and what was held back.
        whisper: the checkpoint that listens.
        language: what is spoken, by Whisper's code; `None`: it finds out.
        model: what both have in common: device, dtype.

    Raises:
        UsageError: Whisper is not installed, or a checkpoint cannot be used.
        Dia2Error: a run failed, or something cannot be written.
    """
    if not recordings.unseen:
        print("note: nothing was held back, so there is nothing to compare by", flush=True)
        return None
    scripts = list(dict.fromkeys(script_of(one.spoken) for one in recordings.unseen))[:MOST]
    print(f"comparing by {len(scripts)} of the scripts that were held back …", flush=True)
    found = compare(
        before, after, report, scripts, speakers=_speakers(recordings), whisper=whisper, language=language, model=model
    )
    print_table(found, Console())
    print(f"{report / 'index.html'}: both to be heard, side by side", flush=True)
    return found


def _speakers(recordings: PreparedRecordings) -> dict[int, Speaker]:
    """Each speaker's voice, by recordings in which nobody else speaks."""
    sounds: dict[int, list[np.ndarray]] = {}
    for one in recordings.summary.ready:
        who = speakers_of(one.prepared.utterance.spoken)
        if len(who) != 1 or one.doubts:
            continue
        kept = sounds.setdefault(next(iter(who)), [])
        if sum(map(len, kept)) < _SECONDS * _RATE:
            kept.append(read_clip(one.judged.clip, _RATE).samples.numpy())
    return {number: Speaker(np.concatenate(found), _RATE) for number, found in sorted(sounds.items())}
