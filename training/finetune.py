"""Fine-tune a checkpoint on your own recordings.

    python -m training.finetune RECORDINGS OUTPUT                                # from the embedded checkpoint
    python -m training.finetune RECORDINGS OUTPUT --from nari-labs/Dia2-1B       # from a published one, on a GPU

The same streams, losses and loop as in the recipe; docs/finetuning.md is the guide. The codec stays as it is.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from dia2.audio.grid import write_wav
from dia2.common.checks import read_small
from dia2.common.errors import Dia2Error, UsageError
from dia2.engine import Dia2
from dia2.generation import GenerationConfig, load_script_text
from dia2.runtime.assets import codec_folder
from dia2.runtime.audio_io import encode_audio_tokens, load_audio, resample
from dia2.runtime.context import RuntimeContext
from dia2.runtime.script_parser import parse_script
from dia2.runtime.speaking import speaking
from dia2.runtime.turns import finish
from dia2.runtime.words import WHISPER_RATE, Word, load_whisper, read_rows, read_words, transcribe_words
from training.alignment import align
from training.checkpoint import write_checkpoint
from training.dataset import read_file, write_utterances
from training.language_model import Batches, LanguageTraining, Learning, validate
from training.loop import Schedule, fit
from training.spoken import Spoken
from training.streams import Language, Utterance

SOUNDS = (".wav", ".flac", ".ogg", ".mp3")
STORED = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
SCRIPT = "[S1] Hello there. How are you today? [S2] Not too bad, thank you. And you?"
LEARNING = Learning(prefix_share=0.2, lost_frames=0.05, wrong_codes=0.03, dropout=0.05)  # recordings are few
LONGEST = 60.0  # seconds of a recording
_PAUSE = 0.2  # seconds after a word before another would begin
_LONG_PAUSE = 0.5  # seconds


@dataclass(frozen=True)
class Tuning:
    """What to learn from, and how."""

    recordings: Path
    output: Path
    steps: int = 300
    rate: float = 2e-4
    every: int = 50  # steps between validations
    held_back: float = 0.1  # share of the recordings that are not learnt from
    script: str = SCRIPT  # spoken at every validation
    whisper: str = "turbo"
    stored: torch.dtype = torch.float32  # of the checkpoint that is written
    seed: int = 0
    learning: Learning = LEARNING


def finetune(tts: Dia2, tuning: Tuning) -> dict[str, float]:
    """Train the checkpoint of `tts` on recordings; the result is `output/checkpoint`.

    What is learnt is kept every two minutes and at Ctrl-C; the same call goes on from there.

    Args:
        tts: the checkpoint to begin with, in float32. It is changed in place.
        tuning: everything else.

    Returns:
        The last losses.

    Raises:
        UsageError: no recordings, or one that cannot be used.
        Dia2Error: something could not be loaded or written.
    """
    runtime = tts.runtime
    if runtime.dtype != torch.float32:
        raise UsageError(f"Training needs float32 weights, not {runtime.dtype}: say --dtype float32.")
    utterances = prepare(runtime, tuning)
    count = max(1, round(len(utterances) * tuning.held_back)) if len(utterances) > 1 else 0
    random.Random(tuning.seed).shuffle(utterances)  # noqa: S311 — no secret
    unseen, seen = utterances[:count], utterances[count:]
    language = Language(runtime.config, runtime.encode, runtime.constants)
    training = LanguageTraining(runtime.model.requires_grad_(True), tuning.learning)
    batches = Batches(language, seen, tuning.learning)

    def evaluate(step: int) -> dict[str, float]:
        say(runtime, tuning, tuning.output / "audio" / f"step-{step:06d}.wav")
        return validate(training, batches, unseen) if unseen else {}

    figures = fit(
        tuning.output / "run",
        training,
        lambda g: training.step(batches.draw(g), g),
        Schedule(tuning.steps, tuning.rate, warmup=min(50, max(1, tuning.steps // 10))),
        evaluate=evaluate,
        evaluate_every=tuning.every,
        seed=tuning.seed,
        title="fine-tuning",
    )
    runtime.model.requires_grad_(False).eval()
    config = json.loads(read_small(runtime.assets.config_path))
    config["assets"] = {"tokenizer": "tokenizer", "mimi": "mimi"}
    mimi = Path(codec_folder(runtime.assets.mimi))
    write_checkpoint(tuning.output / "checkpoint", config, runtime.model, runtime.tokenizer, mimi, tuning.stored)
    return figures


def prepare(runtime: RuntimeContext, tuning: Tuning) -> list[Utterance]:
    """Codes and word times of all recordings; each is worked out once and kept in `output/data`."""
    files = sorted(path for path in tuning.recordings.rglob("*") if path.suffix.lower() in SOUNDS)
    if not files:
        raise UsageError(f"{tuning.recordings} has no recordings: put {', '.join(SOUNDS)} files there.")
    kept = tuning.output / "data"
    kept.mkdir(parents=True, exist_ok=True)
    utterances: list[Utterance] = []
    try:
        for number, path in enumerate(files, 1):
            name = "_".join(path.relative_to(tuning.recordings).with_suffix("").parts)
            cached = kept / f"{name}.safetensors"
            if not cached.exists():
                print(f"preparing {number} of {len(files)}: {path}", flush=True)
                with runtime.computing():
                    write_utterances(cached, [utterance_of(runtime, path, tuning.whisper)])
            utterances += read_file(cached)
    finally:
        load_whisper.cache_clear()  # gigabytes that training has better use for
    return utterances


def utterance_of(runtime: RuntimeContext, path: Path, whisper: str) -> Utterance:
    """One recording with its words: from `NAME.json` (times), `NAME.txt` (a script, timed by Whisper), or Whisper.

    What comes before the first word is cut off, and long pauses become breaks: so the state machine, which begins at
    once and waits seven frames at most, keeps step with the sound.

    Raises:
        UsageError: the sound, the times or the script cannot be used, or it is too long.
    """
    codec = runtime.mimi
    samples = load_audio(path, codec.sample_rate)
    seconds = len(samples) / codec.sample_rate
    if seconds > LONGEST:
        raise UsageError(f"{path} takes {seconds:.0f} s: cut it into parts of at most {LONGEST:.0f} s.")
    times, script = path.with_suffix(".json"), path.with_suffix(".txt")
    if times.exists():
        spoken = _timed(times, seconds)
    else:
        heard = transcribe_words(resample(samples, codec.sample_rate, WHISPER_RATE), whisper, runtime.device, path.name)
        spoken = _scripted(runtime, script, heard) if script.exists() else [_said(word, 1) for word in heard]
    first = int(spoken[0].start * runtime.frame_rate)
    begin = first / runtime.frame_rate
    moved = [replace(entry, start=entry.start - begin, end=entry.end - begin) for entry in with_breaks(spoken)]
    codes = encode_audio_tokens(codec, samples[first * codec.samples_per_frame :]).cpu()
    return Utterance(tuple(moved), moved[-1].end + _PAUSE, codes)


def with_breaks(spoken: Sequence[Spoken]) -> list[Spoken]:
    """The words, and a break wherever the speaker pauses for long."""
    found = [spoken[0]]
    for entry in spoken[1:]:
        if entry.start - found[-1].end > _LONG_PAUSE:
            found.append(Spoken("", 0, found[-1].end + _PAUSE, entry.start))
        found.append(entry)
    return found


def _timed(path: Path, seconds: float) -> list[Spoken]:
    """Words of a JSON list of `{"text", "start", "end"}`, with "speaker" (1 or 2) where the speaker changes."""
    rows = read_rows(path, str(path))
    words = read_words(rows, seconds, str(path))
    raw = [item for item in rows if str(item.get("text", "")).strip()]
    spoken: list[Spoken] = []
    speaker = 1
    for word, item in zip(words, raw, strict=True):
        speaker = item.get("speaker", speaker)
        if speaker not in (1, 2):
            raise UsageError(f"{path} names speaker {speaker!r} of {word.text!r}: speakers are 1 and 2.")
        spoken.append(_said(word, speaker))
    return spoken


def _scripted(runtime: RuntimeContext, path: Path, heard: Sequence[Word]) -> list[Spoken]:
    """Words of a transcript with `[S1]`/`[S2]` tags, at the times at which Whisper heard them."""
    text = load_script_text(str(path))
    entries = [e for e in parse_script([text], runtime.encode, runtime.constants, runtime.frame_rate) if e.text]
    if not entries:
        raise UsageError(f"{path} has no words: write what is said in {path.stem}, or remove it.")
    words = align([entry.text for entry in entries], heard)
    return [_said(word, entry.speaker) for word, entry in zip(words, entries, strict=True)]


def _said(word: Word, speaker: int) -> Spoken:
    return Spoken(word.text.strip(), speaker, word.start, word.end)


def say(runtime: RuntimeContext, tuning: Tuning, path: Path) -> None:
    """Speak the validation script with the weights as they are."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with runtime.computing():
        entries = parse_script([tuning.script], runtime.encode, runtime.constants, runtime.frame_rate)
        result = finish(speaking(runtime, GenerationConfig(seed=tuning.seed), None, entries))
    write_wav(path, result.waveform, result.sample_rate)


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m training.finetune", description="Fine-tune on your recordings.")
    parser.add_argument("recordings", type=Path, help="folder of sound files, NAME.json or NAME.txt beside each")
    parser.add_argument("output", type=Path, help="folder of the run and of its checkpoint")
    parser.add_argument("--from", dest="source", help="hub repo or folder; the embedded checkpoint if none")
    parser.add_argument("--steps", type=int, default=Tuning.steps)
    parser.add_argument("--rate", type=float, default=Tuning.rate, help="learning rate at its peak")
    parser.add_argument("--batch-frames", type=int, default=1500, help="of a batch, about; fewer need less memory")
    parser.add_argument("--every", type=int, default=Tuning.every, help="steps between validations")
    parser.add_argument("--script", default=SCRIPT, help="spoken at every validation: text or a file")
    parser.add_argument("--whisper", default="turbo", help="checkpoint that gives word times where you give none")
    parser.add_argument("--store", choices=STORED, default="float32", help="of the weights that are written")
    parser.add_argument("--device")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    try:
        tts = _source(given.source, given.device)
        tuning = Tuning(
            given.recordings,
            given.output,
            steps=given.steps,
            rate=given.rate,
            every=given.every,
            script=load_script_text(given.script),
            whisper=given.whisper,
            stored=STORED[given.store],
            seed=given.seed,
            learning=replace(LEARNING, frames=given.batch_frames),
        )
        finetune(tts, tuning)
    except Dia2Error as error:
        print(f"error: {error}", file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1
    except KeyboardInterrupt:
        print("\nstopped; the same command goes on from here", file=sys.stderr)
        return 130
    print(f"{given.output / 'checkpoint'}: dia2 generate out.wav --hf {given.output / 'checkpoint'}")
    return 0


def _source(source: str | None, device: str | None) -> Dia2:
    if source is None:
        print(
            "note: the embedded checkpoint's codec knows two synthetic voices: other voices will come out poorly; "
            "begin with --from and a published checkpoint for a human voice",
            file=sys.stderr,
        )
        return Dia2.nano(device=device, dtype="float32")
    return Dia2.from_repo(source, device=device, dtype="float32")


if __name__ == "__main__":
    sys.exit(main())
