"""Dialogues drawn from the grammar, spoken by espeak-ng's two voices: shards of sound with the time of every word.

A shard holds about a quarter of an hour. It is a function of (seed, split, number) alone, and written whole, so making
a corpus can be interrupted and taken up again.
"""

from __future__ import annotations

import json
import math
import multiprocessing
import random
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file

from dia2.common.files import replacing
from training.alignment import fill_starts
from training.dialogue import Dialogue, draw_dialogue, load_grammar
from training.espeak import SAMPLE_RATE, Speech, Voice, speak
from training.locking import FRAME, Samples, lock
from training.spoken import Spoken

FRAME_RATE = SAMPLE_RATE / FRAME  # 12.5
VOICES = {
    1: Voice("en-us", pitch=50, intonation=50, words_per_minute=160),
    2: Voice("en-us+f2", pitch=60, intonation=50, words_per_minute=160),
}
SHARD_DIALOGUES = 100
_COMMA = 0.10  # seconds of silence that are left of a pause within a sentence
_SENTENCE, _TURN = 0.10, 0.18  # seconds of silence between sentences and turns, at least: speech begins with a frame
_TAIL = 1.6  # seconds of silence after the last word, for the streams' end
SILENT = 0.004  # amplitude


@dataclass(frozen=True)
class Recording:
    """A dialogue that was spoken."""

    script: str  # as the runtime reads it
    spoken: tuple[Spoken, ...]  # one per entry of the script
    end: float  # seconds at which one more word would begin
    phonemes: tuple[tuple[str, float], ...]  # (name, seconds at which it begins)
    samples: Samples  # [frames · FRAME] at SAMPLE_RATE


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


@dataclass(frozen=True)
class CorpusPlan:
    """What a corpus is made of; the same plan makes the same bytes."""

    seed: int
    split: str
    shards: int
    pulses: dict[int, tuple[int, ...]] | None  # see `record`
    dialogues: int = SHARD_DIALOGUES  # a shard


def make_corpus(folder: Path, plan: CorpusPlan, workers: int = 1) -> Iterator[Path]:
    """Write the shards that are not there yet; yields each as it is done, in any order."""
    folder.mkdir(parents=True, exist_ok=True)
    missing = [number for number in range(plan.shards) if not _shard(folder, plan.split, number).exists()]
    # A process for each shard: espeak-ng's pitch flutters on from one utterance to the next.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, max_tasks_per_child=1) as pool:
        yield from pool.map(_make_shard, [folder] * len(missing), [plan] * len(missing), missing)


def _make_shard(folder: Path, plan: CorpusPlan, number: int) -> Path:
    rng = random.Random(f"{plan.seed} {plan.split} {number}")  # noqa: S311 — no secret
    grammar = load_grammar()
    recordings = [record(draw_dialogue(grammar, rng, plan.split), plan.pulses) for _ in range(plan.dialogues)]
    notes = [
        {
            "script": r.script,
            "spoken": [asdict(s) for s in r.spoken],
            "end": r.end,
            "phonemes": r.phonemes,
            "samples": len(r.samples),
        }
        for r in recordings
    ]
    samples = np.concatenate([r.samples for r in recordings])
    path = _shard(folder, plan.split, number)
    with replacing(path) as temporary:
        save_file(
            {"samples": np.round(samples * 32767).astype(np.int16)},
            temporary,
            metadata={"recordings": json.dumps(notes)},
        )
    return path


def _shard(folder: Path, split: str, number: int) -> Path:
    return folder / f"{split}-{number:04d}.safetensors"


def shards(folder: Path, split: str) -> list[Path]:
    """The shards of a split that are there, in order."""
    return sorted(folder.glob(f"{split}-????.safetensors"))


def read_shard(path: Path) -> list[Recording]:
    """The recordings of a shard."""
    with safe_open(path, framework="np") as file:
        samples = file.get_tensor("samples").astype(np.float32) / 32767
        notes = json.loads(file.metadata()["recordings"])
    recordings: list[Recording] = []
    at = 0
    for note in notes:
        count = note["samples"]
        recordings.append(
            Recording(
                note["script"],
                tuple(Spoken(**s) for s in note["spoken"]),
                note["end"],
                tuple((name, start) for name, start in note["phonemes"]),
                samples[at : at + count],
            )
        )
        at += count
    return recordings
