"""Dialogues spoken by flite's two voices, locked to the codec's frame: shards of sound with the time of every word.

A shard holds some ten minutes. It is a function of (seed, split, number) alone, and written whole, so making a corpus
can be interrupted and taken up again.
"""

from __future__ import annotations

import json
import math
import multiprocessing
import random
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file

from dia2.common.files import replacing
from training.dialogue import Dialogue
from training.flite import PAUSE, Floats, UnreadError, read
from training.spoken import Spoken
from training.texts import draw_text
from training.vocoder import FRAME, SAMPLE_RATE, SHAPE, STEPS, Speech, Voice, speak

Ints = np.ndarray[Any, np.dtype[np.int16]]
Halves = np.ndarray[Any, np.dtype[np.float16]]

FRAME_RATE = SAMPLE_RATE / FRAME  # 12.5
VOICES = {
    1: Voice("rms", pitch=100.0, melody=1.25, pulses=tuple(range(5, 15)), gain=1.6 / 32768),
    2: Voice("slt", pitch=174.0, melody=2.0, pulses=tuple(range(9, 25)), gain=1.0 / 32768),
}
SHARD_DIALOGUES = 100
_SENTENCE_FRAMES, _TURN_FRAMES = 1, 2  # of silence after a sentence and a turn
_TAIL = 1.6  # seconds of silence after the last word, for the streams' end
_QUESTION_WORD = re.compile(
    r"(?:^|[,.?!] )(?:and |so |but |then )?(?:at |in |on |to |for |from |with |by )?"
    r"(?:what|what's|where|where's|when|why|who|who's|whose|whom|which|how|how's)\b",
    re.IGNORECASE,
)
_EITHER = re.compile(r"\bor\b", re.IGNORECASE)


@dataclass(frozen=True)
class Recording:
    """A dialogue that was spoken."""

    script: str  # as the runtime reads it
    spoken: tuple[Spoken, ...]  # one per entry of the script
    end: float  # seconds at which one more word would begin
    phonemes: tuple[tuple[str, float], ...]  # (name, seconds at which it begins, of whole half frames); PAUSE: none
    samples: Floats  # [frames · FRAME] at SAMPLE_RATE
    pulses: Ints = field(
        default_factory=lambda: np.zeros(0, np.int16)
    )  # [frames] int16; negative: voice 2's, 0: nobody's
    shapes: Halves = field(default_factory=lambda: np.zeros((0, STEPS, SHAPE), np.float16))  # see `vocoder.shape_of`


def rises(sentence: str) -> bool:
    """Whether pitch rises at the end: in questions for yes or no, but not where words ask, nor between two choices."""
    return sentence.endswith("?") and not _QUESTION_WORD.search(sentence) and not _EITHER.search(sentence)


def record(dialogue: Dialogue, pulses: dict[int, tuple[int, ...]] | None = None) -> Recording:
    """Speak a dialogue, every sentence beginning with a frame of the codec.

    Args:
        dialogue: what is said.
        pulses: the numbers of pulses that a frame of each speaker may have; its voice's own if not given. One alone is
            a monotone.

    Raises:
        Dia2Error: flite is not installed, or (UnreadError) does not read a sentence word by word.
    """
    tape = _Tape()
    spoken: list[Spoken] = []
    phonemes: list[tuple[str, float]] = []
    for turn, pause in zip(dialogue.turns, dialogue.breaks, strict=True):
        voice = VOICES[turn.speaker]
        if pulses is not None:
            voice = replace(voice, pulses=pulses[turn.speaker])
        for i, sentence in enumerate(turn.sentences):
            speech = speak(read(sentence, voice.name), voice, rises(sentence))
            begin = tape.frames / FRAME_RATE
            spoken += word_times(sentence, speech, turn.speaker, begin)
            phonemes += [(name, begin + sample / SAMPLE_RATE) for name, _, sample in speech.phones]
            phonemes.append((PAUSE, begin + speech.end / SAMPLE_RATE))
            numbers = np.array(speech.pulses, np.int16)
            tape.add(speech.samples, numbers if turn.speaker == 1 else -numbers, speech.shapes)
            tape.silence(_SENTENCE_FRAMES if i + 1 < len(turn.sentences) else _TURN_FRAMES)
        if silence := round(pause * FRAME_RATE):
            spoken.append(Spoken("", 0, tape.frames / FRAME_RATE, (tape.frames + silence) / FRAME_RATE))
            tape.silence(silence)
    end = tape.frames / FRAME_RATE
    tape.silence(math.ceil(_TAIL * FRAME_RATE))
    return Recording(
        dialogue.script(),
        tuple(spoken),
        end,
        tuple(phonemes),
        np.concatenate(tape.samples),
        np.concatenate(tape.pulses),
        np.concatenate(tape.shapes),
    )


class _Tape:
    """Sound end to end, with the pulses and the spectrum of each frame."""

    def __init__(self) -> None:
        self.samples: list[Floats] = []
        self.pulses: list[Ints] = []
        self.shapes: list[Halves] = []
        self.frames = 0

    def add(self, samples: Floats, pulses: Ints, shapes: Floats) -> None:
        self.samples.append(samples)
        self.pulses.append(pulses)
        self.shapes.append(shapes.astype(np.float16))
        self.frames += len(pulses)

    def silence(self, frames: int) -> None:
        shapes = np.zeros((frames, STEPS, SHAPE), np.float32)
        self.add(np.zeros(frames * FRAME, np.float32), np.zeros(frames, np.int16), shapes)


def word_times(sentence: str, speech: Speech, speaker: int, begin: float) -> list[Spoken]:
    """Times of a sentence's words, split at white space: from a word's first phone to what follows its last.

    Args:
        sentence: what is said.
        speech: of it.
        speaker: 1 or 2.
        begin: seconds at which the sentence begins.
    """
    first: dict[int, int] = {}
    last: dict[int, int] = {}
    for (name, word, start), (_, _, end) in pairwise([*speech.phones, (PAUSE, -1, speech.end)]):
        if name != PAUSE:
            first.setdefault(word, start)
            last[word] = end
    return [
        Spoken(text, speaker, begin + first[i] / SAMPLE_RATE, begin + last[i] / SAMPLE_RATE)
        for i, text in enumerate(sentence.split())
    ]


@dataclass(frozen=True)
class CorpusPlan:
    """What a corpus is made of; the same plan makes the same bytes."""

    seed: int
    split: str
    shards: int
    pulses: dict[int, tuple[int, ...]] | None = None  # see `record`
    dialogues: int = SHARD_DIALOGUES  # a shard


def recordings(plan: CorpusPlan, number: int) -> Iterator[Recording]:
    """The recordings of one shard.

    Raises:
        Dia2Error: flite, or the sources of the texts, are not installed.
    """
    rng = random.Random(f"{plan.seed} {plan.split} {number}")  # noqa: S311 — no secret
    made = 0
    while made < plan.dialogues:
        try:
            recording = record(draw_text(rng, plan.split), plan.pulses)
        except UnreadError:
            continue  # some two in a thousand sentences hold an odd word
        yield recording
        made += 1


Maker = Callable[[CorpusPlan, int], Iterator[Recording]]  # a function of a module: it is called in other processes


def make_corpus(folder: Path, plan: CorpusPlan, workers: int = 1, maker: Maker = recordings) -> Iterator[Path]:
    """Write the shards that are not there yet; yields each as it is done, in any order.

    Raises:
        Dia2Error: what the maker needs is not installed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    missing = [number for number in range(plan.shards) if not _shard(folder, plan.split, number).exists()]
    # A process for each shard: libraries of speech have global state.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, max_tasks_per_child=1) as pool:
        yield from pool.map(partial(_make_shard, folder, plan, maker), missing)


def _make_shard(folder: Path, plan: CorpusPlan, maker: Maker, number: int) -> Path:
    made = list(maker(plan, number))
    notes = [
        {
            "script": r.script,
            "spoken": [asdict(s) for s in r.spoken],
            "end": r.end,
            "phonemes": r.phonemes,
            "samples": len(r.samples),
        }
        for r in made
    ]
    samples = np.concatenate([r.samples for r in made])
    path = _shard(folder, plan.split, number)
    with replacing(path) as temporary:
        save_file(
            {
                "samples": np.round(samples * 32767).astype(np.int16),
                "pulses": np.concatenate([r.pulses for r in made]),
                "shapes": np.concatenate([r.shapes for r in made]),
            },
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
        pulses, shapes = file.get_tensor("pulses"), file.get_tensor("shapes")
        notes = json.loads(file.metadata()["recordings"])
    found: list[Recording] = []
    at = 0
    for note in notes:
        count = note["samples"]
        frames = slice(at // FRAME, (at + count) // FRAME)
        found.append(
            Recording(
                note["script"],
                tuple(Spoken(**s) for s in note["spoken"]),
                note["end"],
                tuple((name, start) for name, start in note["phonemes"]),
                samples[at : at + count],
                pulses[frames],
                shapes[frames],
            )
        )
        at += count
    return found
