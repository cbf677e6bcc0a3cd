"""Figures of a checkpoint that the recipe made: is it understood, whose voice is it, does it stop, what do traces show.

    python -m training.recogniser RECOGNISER
    python -m training.evaluate CHECKPOINT --recogniser RECOGNISER --output report.json

Scripts and recordings are of the grammar's test split: no sentence of theirs was ever learnt.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dia2.adapter.word_errors import edits
from dia2.common.errors import Dia2Error
from dia2.common.files import write_atomically
from dia2.engine import Dia2
from dia2.inspect import Dia2Trace
from training.codec import mean_stoi
from training.corpus import FRAME_RATE
from training.dialogue import GRAMMAR, Dialogue, Turn, draw_dialogue, load_grammar
from training.dialogue import words as plain_words
from training.espeak import SAMPLE_RATE
from training.recogniser import Recogniser, cuts_between
from training.robots import PULSES, SILENT, record

SEED = 77
_SECOND_OPINION_RATE = 16_000


@dataclass(frozen=True)
class Word:
    """A word that was asked for, and what was heard in its place."""

    script: int
    text: str
    speaker: int
    heard: str
    voice: int
    right: bool


@dataclass(frozen=True)
class Run:
    """One script spoken."""

    words: list[Word]
    stopped: bool  # reached its end by itself
    seconds: float  # up to the last sound
    wanted_seconds: float  # the same of espeak-ng's reading
    accepted: list[bool]  # per action drawn while there were words: the machine did what was drawn
    border: list[float]  # entropy in bits of the action where a word began
    inside: list[float]  # and where none did
    transcript: str  # by the second opinion


def dialogues(count: int, turns: tuple[int, int] = (1, 4)) -> list[Dialogue]:
    """Unseen scripts, the same ones every time."""
    rng, grammar = random.Random(SEED), load_grammar(GRAMMAR)  # noqa: S311 — no secret
    return [draw_dialogue(grammar, rng, "test", turns) for _ in range(count)]


def sounding(samples: Any) -> float:
    """Seconds up to the last sample that can be heard."""
    loud = np.flatnonzero(np.abs(samples) > 2.5 * SILENT)
    return float(loud[-1] + 1) / SAMPLE_RATE if len(loud) else 0.0


def codec_figures(checkpoint: Path, sentences: int) -> dict[str, Any]:
    """STOI of unseen sentences through the shipped codec, by voice."""
    from transformers import MimiModel

    model = MimiModel.from_pretrained(checkpoint / "mimi", dtype=torch.float32, local_files_only=True).eval()
    rng, grammar = random.Random(SEED), load_grammar(GRAMMAR)  # noqa: S311 — no secret
    figures: dict[str, Any] = {"sentences": sentences}
    for voice in (1, 2):
        said = [draw_dialogue(grammar, rng, "test", (1, 1)).turns[0].sentences[0] for _ in range(sentences // 2)]
        recordings = [record(Dialogue((Turn(voice, (text,)),), (0.0,)), PULSES) for text in said]
        figures[f"stoi voice {voice}"] = mean_stoi(model, recordings)
    figures["stoi"] = (figures["stoi voice 1"] + figures["stoi voice 2"]) / 2
    return figures


class Examiner:
    """A checkpoint and the ears that listen to it."""

    def __init__(self, checkpoint: Path, recogniser: Path) -> None:
        torch.set_num_threads(1)
        self.tts = Dia2.from_local(checkpoint / "config.json", checkpoint / "model.safetensors")
        self.recogniser = Recogniser.load(recogniser)
        self.second = SecondOpinion()

    def run(self, number: int, dialogue: Dialogue, options: dict[str, Any]) -> Run:
        """Speak a script, listen to every word at its own time, and read the trace."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "run.dia2trace"
            result = self.tts.generate(dialogue.script(), seed=SEED + number, trace=path, **options)
            trace = Dia2Trace.load(path)
            ends = trace.column("end_step")
            ended = bool((ends >= 0).any())
            last = float(ends.max()) / FRAME_RATE if ended else result.duration
            accepted, border, inside = action_figures(trace)
        samples = result.waveform
        words = self.listen(number, samples, result.timestamps, result.speakers, last - result.crop / FRAME_RATE)
        words += [Word(number, "(never begun)", 0, "", -1, False)] * result.unspoken
        return Run(
            words=words,
            stopped=ended and result.stop_reason == "end",
            seconds=sounding(samples.numpy()),
            wanted_seconds=sounding(record(dialogue, None).samples),
            accepted=accepted,
            border=border,
            inside=inside,
            transcript=self.second.transcribe(samples),
        )

    def listen(
        self, number: int, samples: Tensor, times: Sequence[tuple[str, float]], speakers: Sequence[int], end: float
    ) -> list[Word]:
        """What is heard between each timestamp and the next."""
        cuts = cuts_between([time for _, time in times], end)
        words = []
        for (text, _), speaker, heard in zip(times, speakers, self.recogniser.hear(samples, cuts), strict=True):
            wanted = self.recogniser.class_of(text)
            right = wanted is not None and wanted == heard.word_class
            words.append(Word(number, text, speaker, heard.word_class, heard.voice, right))
        return words


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


class SecondOpinion:
    """pocketsphinx, whose model of English comes with its package: open vocabulary, made for people."""

    def __init__(self) -> None:
        from pocketsphinx import Decoder

        self._decoder = Decoder(samprate=_SECOND_OPINION_RATE, loglevel="FATAL")

    def transcribe(self, samples: Tensor) -> str:
        """What it makes of samples [N] at SAMPLE_RATE."""
        import soxr

        heard = soxr.resample(samples.numpy(), SAMPLE_RATE, _SECOND_OPINION_RATE)
        self._decoder.start_utt()
        self._decoder.process_raw(np.round(np.clip(heard, -1, 1) * 32767).astype(np.int16).tobytes(), full_utt=True)
        self._decoder.end_utt()
        found = self._decoder.hyp()
        return found.hypstr if found else ""


def summarise(runs: Sequence[Run], scripts: Sequence[Dialogue], classes: Callable[[str], str | None]) -> dict[str, Any]:
    """The figures of many runs."""
    words = [word for run in runs for word in run.words]
    shuffled = [word.heard for word in words]
    random.Random(SEED).shuffle(shuffled)  # noqa: S311 — no secret
    lengths = [run.seconds / run.wanted_seconds for run in runs]
    said = [[w for t in d.turns for s in t.sentences for w in plain_words(s)] for d in scripts]
    errors = sum(edits(a, run.transcript.split()) for a, run in zip(said, runs, strict=True))
    return {
        "scripts": len(runs),
        "words": len(words),
        "words heard": float(np.mean([w.right for w in words])),
        "words heard, shuffled": float(np.mean([classes(w.text) == s for w, s in zip(words, shuffled, strict=True)])),
        "right voice": float(np.mean([w.voice == w.speaker for w in words])),
        "stopped by themselves": float(np.mean([run.stopped for run in runs])),
        "length, ratio to espeak-ng": {
            "mean": float(np.mean(lengths)),
            "least": float(np.min(lengths)),
            "most": float(np.max(lengths)),
            "within 25 %": float(np.mean([abs(x - 1) <= 0.25 for x in lengths])),
        },
        "actions accepted": float(np.mean([a for run in runs for a in run.accepted])),
        "action entropy at borders, bits": float(np.mean([e for run in runs for e in run.border])),
        "action entropy inside, bits": float(np.mean([e for run in runs for e in run.inside])),
        "word error rate, pocketsphinx": errors / sum(map(len, said)),
    }


def gain(first: Sequence[Run], second: Sequence[Run]) -> dict[str, float]:
    """How many more words are heard in the second runs of the same scripts, with a 95 % interval.

    The interval is a bootstrap over scripts, whose words stand and fall together.
    """
    right = np.array([[sum(word.right for word in run.words) for run in runs] for runs in (first, second)])
    words = np.array([[len(run.words) for run in runs] for runs in (first, second)])
    drawn = np.random.default_rng(SEED).integers(0, len(first), (4000, len(first)))
    shares = right[:, drawn].sum(2) / words[:, drawn].sum(2)  # [2, 4000]
    low, high = np.quantile(shares[1] - shares[0], (0.025, 0.975))
    mean = float(right[1].sum() / words[1].sum() - right[0].sum() / words[0].sum())
    return {"more words heard": mean, "from": float(low), "to": float(high)}


def voice_figures(examiner: Examiner, count: int) -> dict[str, float]:
    """Whether a prefix in one voice carries that voice into what follows: share of words in the voice expected."""
    import soundfile

    rng, grammar = random.Random(SEED + 1), load_grammar(GRAMMAR)  # noqa: S311 — no secret
    figures = {}
    for voice in (1, 2):
        same, other = [], []
        for number in range(count):
            one = draw_dialogue(grammar, rng, "test", (1, 1)).turns[0].sentences
            said = record(Dialogue((Turn(voice, one),), (0.0,)), PULSES)
            two = draw_dialogue(grammar, rng, "test", (2, 2))
            turns = tuple(Turn(i, turn.sentences) for i, turn in enumerate(two.turns, 1))
            words = [{"text": s.text, "start": s.start, "end": s.end} for s in said.spoken]
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "prefix.wav"
                soundfile.write(path, said.samples[: int(said.end * SAMPLE_RATE)], SAMPLE_RATE)
                result = examiner.tts.generate(
                    Dialogue(turns, (0.0, 0.0)).script(), seed=number, prefix_speaker_1=path, prefix_words_1=words
                )
            heard = examiner.listen(number, result.waveform, result.timestamps, result.speakers, result.duration)
            same += [word.voice == voice for word in heard if word.speaker == 1]
            other += [word.voice == 3 - voice for word in heard if word.speaker == 2]
        figures[f"prefix in voice {voice}: [S1] speaks so"] = float(np.mean(same))
        figures[f"prefix in voice {voice}: [S2] has the other"] = float(np.mean(other))
    return figures


def real_figures(examiner: Examiner, scripts: Sequence[Dialogue]) -> dict[str, float]:
    """What the second opinion makes of espeak-ng itself, as the bar that nano can be held against."""
    errors = count = 0
    for dialogue in scripts:
        said = [w for t in dialogue.turns for s in t.sentences for w in plain_words(s)]
        heard = examiner.second.transcribe(torch.from_numpy(record(dialogue, None).samples)).split()
        errors, count = errors + edits(said, heard), count + len(said)
    return {"word error rate of espeak-ng itself, pocketsphinx": errors / count}


_examiner: Examiner


def _begin(checkpoint: Path, recogniser: Path) -> None:
    global _examiner  # one per worker process
    _examiner = Examiner(checkpoint, recogniser)


def _run(number: int, dialogue: Dialogue, options: dict[str, Any]) -> Run:
    return _examiner.run(number, dialogue, options)


def run_all(pool: ProcessPoolExecutor, scripts: Sequence[Dialogue], options: dict[str, Any]) -> Iterator[Run]:
    """Speak and hear all scripts."""
    return pool.map(_run, range(len(scripts)), scripts, [options] * len(scripts))


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m training.evaluate", description="Figures of a checkpoint.")
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--recogniser", type=Path, required=True, help="made by python -m training.recogniser")
    parser.add_argument("--output", type=Path, default=Path("report.json"))
    parser.add_argument("--scripts", type=int, default=50)
    parser.add_argument("--cfg", type=float, action="append", help="guidance to try; may be repeated (default 1, 2, 3)")
    parser.add_argument("--keep", type=int, default=50, help="candidates that guidance keeps (default %(default)s)")
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args(arguments)
    report: dict[str, Any] = {}
    try:
        report["codec"] = codec_figures(given.checkpoint, given.scripts)
        print(json.dumps(report["codec"], indent=1), flush=True)
        examiner = Examiner(given.checkpoint, given.recogniser)
        scripts = dialogues(given.scripts)
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(given.workers, context, _begin, (given.checkpoint, given.recogniser)) as pool:
            found: list[list[Run]] = []
            for scale in given.cfg or (1.0, 2.0, 3.0):
                runs = list(run_all(pool, scripts, {"cfg_scale": scale, "cfg_filter_k": given.keep}))
                found.append(runs)
                report[f"cfg {scale:g}"] = summarise(runs, scripts, examiner.recogniser.class_of)
                report[f"cfg {scale:g}"]["missed"] = [
                    asdict(word) for run in runs for word in run.words if not word.right
                ][:40]
                print(
                    json.dumps({k: v for k, v in report[f"cfg {scale:g}"].items() if k != "missed"}, indent=1),
                    flush=True,
                )
        report["first to last cfg"] = gain(found[0], found[-1])
        report["prefix"] = voice_figures(examiner, 8)
        report["espeak-ng"] = real_figures(examiner, scripts)
    except Dia2Error as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    write_atomically(given.output, (json.dumps(report, indent=1) + "\n").encode())
    print(json.dumps({name: report[name] for name in ("first to last cfg", "prefix", "espeak-ng")}, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
