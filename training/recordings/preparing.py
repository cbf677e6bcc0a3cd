"""From a folder of recordings to what is learnt from: the one thing that fine-tuning asks of this room.

    judged = judge_recordings(preparation)      # seconds; says all that is wrong
    prepared = prepare(runtime, judged)         # Whisper and the codec, once for each recording
    prepared.seen, prepared.unseen

Judging needs no checkpoint, so a command may do it before it loads one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Column
from torch import Tensor

from dia2.common.checks import is_number
from dia2.common.errors import UsageError
from dia2.common.messages import printable
from dia2.common.wording import counted
from dia2.runtime.audio_io import encode_audio_tokens, resample
from dia2.runtime.context import RuntimeContext
from dia2.runtime.script_parser import parse_script
from dia2.runtime.words import WHISPER_RATE, Word, load_whisper
from training.alignment import matched as share_heard
from training.recordings.clips import Fault
from training.recordings.doubts import Ready, doubted, speakers_of
from training.recordings.judging import Judged, Verdict, judge
from training.recordings.kept import Ingredients, Kept, Prepared, whisper_digest
from training.recordings.layouts import Found, find
from training.recordings.page import write_page
from training.recordings.reading import read_clip
from training.recordings.report import Summary, print_faults, print_report
from training.recordings.split import split
from training.recordings.timing import Listener, language_code
from training.spoken import Spoken
from training.streams import Utterance

_PAUSE = 0.2  # seconds after a word before another would begin
_LONG_PAUSE = 0.5  # seconds


@dataclass(frozen=True)
class Preparation:
    """What to prepare, and how strictly."""

    recordings: Path  # a folder, or a table in one
    output: Path | None  # of the run; what is made is kept in its folder `data`; `None`: nothing is made
    whisper: str = "turbo"
    language: str | None = None  # as a user names it; `None`: Whisper finds out
    held_back: float = 0.1  # share of the recordings that are not learnt from
    skip_bad: bool = False  # go on without what cannot be used
    least_matched: float = 0.5  # share of a transcript's words that Whisper must have heard
    keep_doubtful: bool = False  # learn from what is doubtful all the same


@dataclass(frozen=True)
class JudgedRecordings:
    """Recordings of which nothing is known to be wrong."""

    preparation: Preparation
    found: Found
    verdict: Verdict


@dataclass(frozen=True)
class PreparedRecordings:
    """What is learnt from, and what measures it."""

    seen: list[Utterance]
    unseen: list[Utterance]
    summary: Summary


def judge_recordings(preparation: Preparation) -> JudgedRecordings:
    """Look at all recordings and transcripts, and say what is wrong with which; no checkpoint is needed.

    Raises:
        UsageError: some cannot be used and are not to be skipped, or none can; or an option is wrong.
    """
    _check(preparation)
    found = find(preparation.recordings, preparation.output)
    print(f"{counted(len(found.clips), 'recording')} in {preparation.recordings}: {found.layout}", flush=True)
    with _bar("looking at recordings", len(found.clips)) as advance:
        verdict = judge(found.clips, advance)
    if any(one.times is None for one in verdict.good):
        language_code(preparation.language or "en", preparation.whisper)
    faults = (*found.faults, *verdict.faults)
    console = Console(stderr=True)
    for note in found.notes:
        console.print(f"note: {printable(note)}", markup=False, highlight=False, soft_wrap=True)
    print_faults(console, "Not quite right, and used all the same or left out", verdict.notes)
    print_faults(console, "Cannot be used", faults)
    if not verdict.good:
        raise UsageError(f"No recording in {preparation.recordings} can be used: see above.")
    if faults and not preparation.skip_bad:
        raise UsageError(
            f"{counted(len(faults), 'fault')} in {preparation.recordings}: mend what is listed above, or go on "
            "without it by --skip-bad."
        )
    return JudgedRecordings(preparation, found, replace(verdict, faults=faults))


def _check(preparation: Preparation) -> None:
    for name, value in (("held-back", preparation.held_back), ("least-matched", preparation.least_matched)):
        if not is_number(value) or not 0 <= value <= 1:
            raise UsageError(f"--{name} is a share from 0 to 1, not {value}.")
    if preparation.held_back == 1:
        raise UsageError("--held-back 1 leaves nothing to learn from: give a smaller share, such as 0.1.")


def prepare(runtime: RuntimeContext, judged: JudgedRecordings) -> PreparedRecordings:
    """Codes and word times of all recordings; each is worked out once and kept in `OUTPUT/data`.

    What was done is kept at Ctrl-C too. The report is printed and written to `OUTPUT/report.html`.

    Raises:
        UsageError: no output was named; or nothing is left to learn from; or Whisper heard nothing or too much in a
            recording, and `skip_bad` is not set.
        Dia2Error: Whisper could not be loaded, or a file not be written.
    """
    preparation = judged.preparation
    if preparation.output is None:
        raise UsageError("Prepared recordings are kept in a folder: name it behind the recordings.")
    kept = Kept(preparation.output / "data")
    kept.make()
    recipes = [(one, _ingredients(runtime, preparation, one)) for one in judged.verdict.good]
    done = {one.clip.name: found for one, made_of in recipes if (found := kept.read(made_of)) is not None}
    missing = [(one, made_of) for one, made_of in recipes if one.clip.name not in done]
    _tell_what_is_new(kept, missing, len(done))
    listener = Listener(preparation.whisper, _code(preparation), runtime.device)
    faults = list(judged.verdict.faults)
    try:
        with _bar("preparing recordings", len(missing)) as advance:
            for one, made_of in missing:
                try:
                    with runtime.computing():
                        prepared = prepare_one(runtime, one, listener)
                    kept.write(made_of, prepared)
                    done[one.clip.name] = prepared
                except UsageError as error:
                    faults.append(Fault(one.clip.name, str(error).rstrip(".")))
                advance(one.clip.name)
    finally:  # Ctrl-C too
        load_whisper.cache_clear()  # gigabytes that training has better use for
        kept.remember({one.clip.name: made_of for one, made_of in recipes if one.clip.name in done})
    if late := faults[len(judged.verdict.faults) :]:
        print_faults(Console(stderr=True), "Cannot be used", late)
        if not preparation.skip_bad:
            raise UsageError(
                f"{counted(len(late), 'recording')} could not be prepared: mend what is listed above, or go on without "
                "it by --skip-bad."
            )
    ready = [
        doubted(one, done[one.clip.name], runtime.encode, preparation.least_matched)
        for one in judged.verdict.good
        if one.clip.name in done
    ]
    return _split(kept, preparation, judged, ready, faults)


def _split(
    kept: Kept, preparation: Preparation, judged: JudgedRecordings, ready: Sequence[Ready], faults: Sequence[Fault]
) -> PreparedRecordings:
    assert preparation.output is not None, "asked for before"
    used = [one for one in ready if preparation.keep_doubtful or not one.doubts]
    sides = split([one.judged.sound for one in used], preparation.held_back, kept.sides())
    seen = [one for one in used if not sides[one.judged.sound]]
    unseen = [one for one in used if sides[one.judged.sound]]
    summary = Summary(
        layout=judged.found.layout,
        seen=len(seen),
        unseen=len(unseen),
        seconds=sum(one.judged.seconds for one in used),
        words=sum(len([entry for entry in one.prepared.utterance.spoken if entry.text]) for one in used),
        speakers=tuple(sorted({who for one in used for who in speakers_of(one.prepared.utterance.spoken)})),
        faults=tuple(faults),
        notes=judged.verdict.notes,
        ready=tuple(ready),
        doubtful_kept=preparation.keep_doubtful,
    )
    print_report(Console(), summary)
    page = preparation.output / "report.html"
    write_page(page, summary)
    print(f"{page}: the same, with the worst to be heard", flush=True)
    if not seen:
        raise UsageError(_nothing_left(ready))
    kept.keep_sides(sides)
    return PreparedRecordings(
        [one.prepared.utterance for one in seen], [one.prepared.utterance for one in unseen], summary
    )


def _nothing_left(ready: Sequence[Ready]) -> str:
    """What to do where all are doubtful or held back, by what speaks against them."""
    told = f"Nothing is left to learn from: {counted(len(ready), 'recording')}, and all doubtful or held back. "
    if ready and all(one.too_many_tokens for one in ready):
        told += "This checkpoint's tokenizer takes more tokens for these words than there is time: begin with another."
    else:
        told += "Listen to them in the report; another --whisper, or the right --language, may hear them better."
    return f"{told} With --keep-doubtful they are learnt from all the same."


def _code(preparation: Preparation) -> str | None:
    """Whisper's code of the language, where one is named."""
    return None if preparation.language is None else language_code(preparation.language, preparation.whisper)


def _ingredients(runtime: RuntimeContext, preparation: Preparation, one: Judged) -> Ingredients:
    asked = one.times is None
    return Ingredients(
        sound=one.sound,
        transcript=one.words,
        codec=runtime.mimi.fingerprint(),
        whisper=whisper_digest(preparation.whisper) if asked else "",
        language=(_code(preparation) or "") if asked else "",
    )


def _tell_what_is_new(kept: Kept, missing: Sequence[tuple[Judged, Ingredients]], there: int) -> None:
    reasons: dict[str, list[str]] = {}
    for one, made_of in missing:
        reasons.setdefault(kept.why_anew(one.clip.name, made_of), []).append(one.clip.name)
    if not missing:
        print(f"all {counted(there, 'recording')} are prepared already", flush=True)
        return
    told = [
        f"{len(names):,} ({why}: {printable(names[0])}{' …' if len(names) > 1 else ''})"
        for why, names in sorted(reasons.items())
    ]
    print(f"preparing {counted(len(missing), 'recording')}, {there:,} are there: {', '.join(told)}", flush=True)


def prepare_one(runtime: RuntimeContext, judged: Judged, listener: Listener) -> Prepared:
    """One recording with its words: those with times as they are, those of a script timed by Whisper, or Whisper's.

    What comes before the first word is cut off, and long pauses become breaks: so the state machine, which begins at
    once and waits seven frames at most, keeps step with the sound.

    Raises:
        UsageError: Whisper heard nothing, or more than can be said.
        Dia2Error: Whisper cannot be loaded.
    """
    codec = runtime.mimi
    samples = read_clip(judged.clip, codec.sample_rate).samples
    matched: float | None = None
    heard: Sequence[Word] = ()
    spoken: Sequence[Spoken]
    if judged.times is not None:
        spoken = judged.times
    else:
        at_16_khz = resample(samples, codec.sample_rate, WHISPER_RATE)
        heard, language = listener.hear(at_16_khz, judged.clip.name)
        if not heard:
            raise UsageError(f"Whisper ({listener.whisper}) hears no words in it: is it speech?")
        if judged.text is None:
            spoken = [Spoken(word.text, 1, word.start, word.end) for word in heard]
        else:
            spoken, matched = _scripted(runtime, judged.text, at_16_khz, heard, language, listener)
    first = int(spoken[0].start * runtime.frame_rate)
    begin = first / runtime.frame_rate
    moved = [replace(entry, start=entry.start - begin, end=entry.end - begin) for entry in with_breaks(spoken)]
    codes = encode_audio_tokens(codec, samples[first * codec.samples_per_frame :]).cpu()
    utterance = Utterance(tuple(moved), moved[-1].end + _PAUSE, codes)
    return Prepared(utterance, matched, " ".join(word.text for word in heard))


def _scripted(
    runtime: RuntimeContext,
    text: str,
    samples: Tensor,
    heard: Sequence[Word],
    language: str,
    listener: Listener,
) -> tuple[list[Spoken], float]:
    """The words of a transcript with `[S1]`/`[S2]` tags where they sound, and how much of it was heard."""
    entries = [e for e in parse_script([text], runtime.encode, runtime.constants, runtime.frame_rate) if e.text]
    if not entries:
        raise UsageError("This checkpoint's tokenizer has no tokens for its words.")
    texts = [entry.text for entry in entries]
    placed = listener.place(samples, texts, heard, language)
    spoken = [
        Spoken(word.text, entry.speaker, word.start, word.end)
        for entry, words in zip(entries, placed, strict=True)
        for word in words
    ]
    return spoken, share_heard(texts, [word.text for word in heard])


def with_breaks(spoken: Sequence[Spoken]) -> list[Spoken]:
    """The words, and a break wherever the speaker pauses for long."""
    found = [spoken[0]]
    for entry in spoken[1:]:
        if entry.start - found[-1].end > _LONG_PAUSE:
            found.append(Spoken("", 0, found[-1].end + _PAUSE, entry.start))
        found.append(entry)
    return found


@contextmanager
def _bar(title: str, total: int) -> Iterator[Callable[[str], None]]:
    """A progress bar with the time that is left; where there is no terminal, or nothing to do, none."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[now]}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis")),
    )
    hidden = not console.is_terminal or not total
    with Progress(*columns, console=console, disable=hidden, transient=True) as progress:
        task = progress.add_task(title, total=total, now="")

        def advance(name: str) -> None:
            progress.update(task, advance=1, now=printable(name))

        yield advance
