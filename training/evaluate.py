"""Figures of a checkpoint that the recipe made, by ears that took no part in its training.

    pip install -e '.[training,whisper]'
    python -m training.evaluate CHECKPOINT --whisper base --output report.json

Whisper hears unseen scripts of every kind: as the sources speak them, as the codec gives them back, and as the
checkpoint speaks them. Beside its word errors: how far pitch spreads, whose voice is in each frame, how loud it is, and
whether a prefix is followed, be it one of the two voices or a third one.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import random
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dia2.common.errors import Dia2Error, UsageError
from dia2.common.files import write_atomically
from dia2.engine import Dia2
from dia2.generation import GenerationResult
from dia2.inspect import Dia2Trace
from training.corpus import Recording, record
from training.dialogue import Dialogue, Turn, draw_dialogue, load_grammar
from training.judge import STEP, Count, Ear, Sound, loudness, pitch, semitones, word_error_rate
from training.phonetic import speakers
from training.vocoder import FRAME, SAMPLE_RATE
from training.voice_judge import VoiceJudge, who_speaks

SEED = 77
_TAUGHT = 40  # recordings from which the judge of voices learns
_WARPS = (0.87, 1.15)  # of the prefix's time, which makes a third voice: longer and lower, shorter and higher


def scripts(count: int) -> dict[str, list[Dialogue]]:
    """Unseen scripts by kind, the same ones every time."""
    if importlib.util.find_spec("training.texts") is None:
        return {"grammar": dialogues(count, (2, 2))}
    texts = importlib.import_module("training.texts")
    return {kind: texts.judge_scripts(kind, count) for kind in texts.JUDGED}


def dialogues(count: int, turns: tuple[int, int] = (1, 4)) -> list[Dialogue]:
    """Unseen scripts of the grammar, the same ones every time."""
    rng, grammar = random.Random(SEED), load_grammar()  # noqa: S311 — no secret
    return [draw_dialogue(grammar, rng, "test", turns) for _ in range(count)]


@dataclass
class Figures:
    """What is measured of one kind of scripts, spoken in one way."""

    counts: list[Count] = field(default_factory=list)
    spreads: dict[int, list[float]] = field(default_factory=lambda: {1: [], 2: []})  # by voice
    levels: list[float] = field(default_factory=list)
    right: int = 0  # frames in the voice of their speaker
    frames: int = 0
    stopped: list[bool] = field(default_factory=list)  # runs that reached their end by themselves

    def add(self, samples: Sound, who: Tensor, heard: Count, voices: VoiceJudge) -> None:
        """One script; `who` [frames] speaks when."""
        self.counts.append(heard)
        self.levels.append(loudness(samples))
        right, frames = voices.right(samples, who)
        self.right, self.frames = self.right + right, self.frames + frames
        by_speaker = pitch_by_speaker(samples, who)
        for voice, hertz in by_speaker.items():
            self.spreads[voice].append(semitones(hertz))

    def summary(self) -> dict[str, Any]:
        """Everything in numbers."""
        spread = {f"pitch spread, voice {v}": _mean(s) for v, s in self.spreads.items()}
        found = {**word_error_rate(self.counts, SEED), **spread, "loudness": _mean(self.levels)}
        found["frames in the right voice"] = self.right / max(1, self.frames)
        if self.stopped:
            found["stopped by themselves"] = float(np.mean(self.stopped))
        return {name: round(value, 4) for name, value in found.items()}


def _mean(values: Sequence[float]) -> float:
    known = [v for v in values if np.isfinite(v)]
    return float(np.mean(known)) if known else float("nan")


def pitch_by_speaker(samples: Sound, who: Tensor) -> dict[int, Sound]:
    """The pitch of each of both speakers, Hz every 10 ms of theirs."""
    hertz = pitch(samples)
    speaking = np.repeat(who.numpy(), FRAME // STEP)[: len(hertz)]
    return {speaker: hertz[: len(speaking)][speaking == speaker] for speaker in (1, 2)}


class Examiner:
    """A checkpoint, and who listens to it."""

    def __init__(self, checkpoint: Path, whisper: str) -> None:
        """Load both, and teach the judge of voices.

        Raises:
            UsageError: Whisper is not installed, or there is none of that name.
            Dia2Error: the checkpoint or Whisper's cannot be read.
        """
        self.ear = Ear(whisper)
        self.tts = Dia2.from_local(checkpoint / "config.json", checkpoint / "model.safetensors", device="cpu")
        rng, grammar = random.Random(SEED + 2), load_grammar()  # noqa: S311 — no secret
        taught = [record(draw_dialogue(grammar, rng, "train", (2, 2))) for _ in range(_TAUGHT)]
        self.voices = VoiceJudge(taught)

    def examine(
        self, dialogue: Dialogue, number: int, found: Mapping[str, Figures], options: Mapping[str, Any]
    ) -> None:
        """Hear one script in all three ways: `source`, `codec` and `generated`."""
        text = " ".join(sentence for turn in dialogue.turns for sentence in turn.sentences)
        source = record(dialogue)
        codec = self.tts.runtime.mimi
        back = codec.decode(codec.encode(torch.from_numpy(source.samples))).cpu().numpy()
        result = self.tts.generate(dialogue.script(), seed=SEED + number, **options)
        made = result.waveform.numpy()
        for way, samples, who in (
            ("source", source.samples, speakers(source)),
            ("codec", back, speakers(source)),
            ("generated", made, who_of(result)),
        ):
            found[way].add(samples, who, self.ear.errors(text, samples), self.voices)
        found["generated"].stopped.append(result.stop_reason == "end" and not result.unspoken)

    def after_prefix(
        self, voice: int, number: int, warp: float, options: Mapping[str, Any]
    ) -> tuple[Recording, GenerationResult]:
        """A script of two turns after a prefix in a voice; `warp` times as fast and as high."""
        import soundfile
        import soxr

        rng, grammar = random.Random(f"{SEED} {number}"), load_grammar()  # noqa: S311 — no secret
        one = draw_dialogue(grammar, rng, "test", (1, 1)).turns[0].sentences
        said = record(Dialogue((Turn(voice, one),), (0.0,)))
        two = draw_dialogue(grammar, rng, "test", (2, 2))
        turns = tuple(Turn(i, turn.sentences) for i, turn in enumerate(two.turns, 1))
        samples = said.samples[: int(said.end * SAMPLE_RATE)]
        if warp != 1:
            samples = soxr.resample(samples, SAMPLE_RATE * warp, SAMPLE_RATE)
        words = [{"text": s.text, "start": s.start / warp, "end": s.end / warp} for s in said.spoken if s.text]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "prefix.wav"
            soundfile.write(path, samples, SAMPLE_RATE)
            result = self.tts.generate(
                Dialogue(turns, (0.0, 0.0)).script(),
                seed=number,
                prefix_speaker_1=path,
                prefix_words_1=words,
                **options,
            )
        return said, result

    def clones(self, count: int, options: Mapping[str, Any]) -> dict[str, float]:
        """Whether what follows a prefix has its voice, or at least the pitch of a voice that nobody was trained on."""
        found: dict[str, float] = {}
        for voice in (1, 2):
            right = frames = 0
            for number in range(count):
                _, result = self.after_prefix(voice, number, 1.0, options)
                who = who_of(result)
                wanted = torch.where(who == 1, voice, 0)
                good, all_of_them = self.voices.right(result.waveform.numpy(), wanted)
                right, frames = right + good, frames + all_of_them
            found[f"prefix in voice {voice}: frames of [S1] that keep it"] = right / max(1, frames)
            for warp in _WARPS:
                moved = []
                for number in range(count):
                    said, result = self.after_prefix(voice, number, warp, options)
                    of_prefix = pitch(said.samples)
                    made = pitch_by_speaker(result.waveform.numpy(), who_of(result))[1]
                    if (of_prefix > 0).any() and (made > 0).any():
                        moved.append(
                            float(12 * np.log2(np.median(made[made > 0]) / np.median(of_prefix[of_prefix > 0])))
                        )
                found[f"prefix in voice {voice} moved by {12 * np.log2(warp):+.1f} semitones: [S1] moved by"] = _mean(
                    moved
                )
        return found


def who_of(result: GenerationResult) -> Tensor:
    """Who speaks in each frame of a result."""
    return who_speaks([word.seconds for word in result.words], result.speakers, len(result.waveform) // FRAME)


def action_figures(trace: Dia2Trace) -> tuple[list[bool], list[float], list[float]]:
    """Of the actions drawn while there were words: was each accepted; entropies at borders and inside."""
    accepted: list[bool] = []
    border: list[float] = []
    inside: list[float] = []
    for frame in trace.frames[trace.warmup_calls :]:
        if frame.before.end_step is not None:
            break
        began = frame.machine.consumed or frame.machine.end_step is not None
        drawn = frame.draws[0]
        accepted.append((drawn.choice == trace.model.tokens.action_new_word) == began)
        logits = np.array([candidate.cond for candidate in drawn.candidates], np.float64)
        shares = np.exp(logits - logits.max())
        shares /= shares.sum()
        entropy = float(-(shares * np.log2(np.maximum(shares, 1e-300))).sum())
        (border if began else inside).append(entropy)
    return accepted, border, inside


def report(examiner: Examiner, asked: Mapping[str, Sequence[Dialogue]], options: Mapping[str, Any]) -> dict[str, Any]:
    """All figures of scripts by kind and way of speaking; a line is printed for each kind as it is done."""
    found: dict[str, Any] = {}
    for kind, dialogues_of_kind in asked.items():
        ways = {way: Figures() for way in ("source", "codec", "generated")}
        for number, dialogue in enumerate(dialogues_of_kind):
            examiner.examine(dialogue, number, ways, options)
        found[kind] = {way: figures.summary() for way, figures in ways.items()}
        rates = ", ".join(f"{way} {f['wer']:.1%} ({f['from']:.1%} … {f['to']:.1%})" for way, f in found[kind].items())
        print(f"{kind}, {len(dialogues_of_kind)} scripts: word errors of {rates}", flush=True)
    return found


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m training.evaluate", description="Figures of a checkpoint.")
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--whisper", default="base", help="who listens: a name, or a checkpoint of Whisper's own")
    parser.add_argument("--output", type=Path, default=Path("report.json"))
    parser.add_argument("--scripts", type=int, default=30, help="of each kind (default %(default)s)")
    parser.add_argument("--prefixes", type=int, default=6, help="of each voice (default %(default)s; 0: none)")
    parser.add_argument("--cfg", type=float, help="guidance (default: generation's own)")
    parser.add_argument("--keep", type=int, help="candidates that guidance keeps (default: generation's own)")
    given = parser.parse_args(arguments)
    wished = {"cfg_scale": given.cfg, "cfg_filter_k": given.keep}
    options = {name: value for name, value in wished.items() if value is not None}
    try:
        if given.scripts < 1 or given.prefixes < 0:
            raise UsageError("--scripts must be 1 or more, and --prefixes 0 or more.")
        examiner = Examiner(given.checkpoint, given.whisper)
        found = report(examiner, scripts(given.scripts), options)
        if given.prefixes:
            found["prefixes"] = examiner.clones(given.prefixes, options)
        write_atomically(given.output, (json.dumps(found, indent=1) + "\n").encode())
    except Dia2Error as error:
        print(f"error: {error}", file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1
    print(json.dumps(found, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
