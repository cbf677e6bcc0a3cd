"""Runs that go on from recordings of espeak-ng's and flite's voices: faults of the recording and of its words."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

from dia2 import Dia2
from dia2.adapter.trace import Dia2Trace
from dia2.runtime.words import Word

from .seeded_runs import Make, Seeded
from .speech import Recording, has_flite, talk

SAID = (
    "Good morning. We have three rooms on the second floor, and all of them look out over the garden.",
    "The old man lost his hat in the storm. A young girl found it under a tree and brought it back to him.",
    "Thank you for calling. Our office is closed at the moment, so please leave a message after the tone.",
    "Last summer we went to the sea. The water was warm, the food was good, and nobody wanted to go home.",
)
REPLY = "What did the doctor say? He told me to rest for a week, drink a lot of water, and come again on Monday."
RATE = 12.5  # frames a second
LEAD = 0.3  # seconds of silence at either end

Spoken = tuple[Recording, Sequence[Word]]  # a recording, and the words that it is said to have
Change = Callable[[Recording], Spoken]


@cache
def voices() -> Sequence[str]:
    """Voices to clone; flite's where it is installed."""
    return ("espeak", "espeak-f", "slt", "rms") if has_flite() else ("espeak", "espeak-f")


def voice(number: int) -> str:
    """One of them."""
    return voices()[number % len(voices())]


def spoken(number: int) -> Recording:
    """A clean recording."""
    return talk(SAID[number % len(SAID)], voice(number)).after(LEAD).before(LEAD).noise(38, seed=number)


def rows(words: Sequence[Word], seconds: float) -> list[dict[str, object]]:
    """Those words that begin within a recording, as a prefix takes them."""
    last = seconds - 0.01
    return [{"text": w.text, "start": w.start, "end": min(w.end, last)} for w in words if w.start < last - 0.05]


def clone(folder: Path, first: Spoken, second: Spoken | None = None, seed: int = 1, whisper: str | None = None) -> Path:
    """A run that goes on from recordings, whose words are given, or heard by a Whisper model."""
    given: dict[str, Any] = {} if whisper is None else {"whisper": whisper}
    for speaker, (recording, words) in enumerate([first] if second is None else [first, second], 1):
        given[f"prefix_speaker_{speaker}"] = recording.write(folder / f"{speaker}.wav")
        if whisper is None:
            given[f"prefix_words_{speaker}"] = rows(words, recording.seconds)
    path = folder / "run.dia2trace"
    Dia2.nano().generate("[S1] Good morning. How are you today?", trace=path, seed=seed, **given)
    return path


# What is done to a recording


def _moved(words: Sequence[Word], seconds: float) -> list[Word]:
    return [replace(w, start=max(0.0, w.start + seconds), end=max(0.0, w.end + seconds)) for w in words]


def shifted(seconds: float, of: Recording) -> Spoken:
    return of, _moved(of.words, seconds)


def shifted_midway(seconds: float, of: Recording) -> Spoken:
    """From the middle word on; words that would lie over each other go."""
    half = len(of.words) // 2
    begins = of.words[half].start + seconds
    kept = [replace(w, end=min(w.end, begins)) for w in of.words[:half] if w.start < begins - 0.05]
    return of, [*kept, *_moved(of.words[half:], seconds)]


def without_first_half(of: Recording) -> Spoken:
    return of, of.words[len(of.words) // 2 :]


def without_last_third(of: Recording) -> Spoken:
    return of, of.words[: len(of.words) * 2 // 3]


def silenced(of: Recording) -> Spoken:
    """Five words in the middle."""
    samples = of.samples.copy()
    samples[int(of.words[5].start * of.rate) : int(of.words[9].end * of.rate)] *= 0.001
    return replace(of, samples=samples), of.words


def words_beyond(of: Recording) -> Spoken:
    """Three words more than are said, over a pause at the end."""
    starts = [of.seconds + 0.3 * i for i in range(3)]
    more = [Word(text, at, at + 0.25) for text, at in zip(("and", "then", "home."), starts, strict=True)]
    return of.before(1.2), [*of.words, *more]


def noisy(snr: float, of: Recording) -> Spoken:
    return of.noise(snr, seed=5), of.words


def scaled(peak: float, of: Recording) -> Spoken:
    return of.louder(peak / float(abs(of.samples).max())), of.words


def short(words: int, of: Recording) -> Spoken:
    return replace(of, samples=of.samples[: int(of.words[words].start * of.rate)]), of.words[:words]


def _crowded(count: int, of: Recording) -> Spoken:
    """Long words in the time of one."""
    words, step = of.words, (of.words[5].start - of.words[4].start) / count
    starts = [words[4].start + step * i for i in range(count)]
    return of, [*words[:4], *(Word("extraordinarily", at, at + 0.9 * step) for at in starts), *words[5:]]


def _late_last_word(of: Recording) -> Spoken:
    """Its last word is said to begin as the recording ends."""
    end = of.seconds
    return of, [*of.words[:-1], replace(of.words[-1], start=end - 0.08, end=end - 0.01)]


# Where the fault is


def first_call(trace: Dia2Trace) -> int:
    return 0


def first_word(trace: Dia2Trace) -> int:
    return taken(trace, 0)


def taken(trace: Dia2Trace, index: int) -> int:
    call = trace.words[index].call
    assert call is not None, "in these runs all are taken"
    return call


def _middle_word(number: int, seconds: float, trace: Dia2Trace) -> int:
    """The first word that was moved."""
    kept = shifted_midway(seconds, spoken(number))[1]
    text = spoken(number).words[len(spoken(number).words) // 2].text
    return taken(trace, next(i for i, word in enumerate(kept) if word.text == text and i > len(kept) // 3))


def said_at(index: int, trace: Dia2Trace) -> int:
    """The frame at which a word is said to begin."""
    return round(trace.run.spoken[index].start * RATE)


def _sound_begins(trace: Dia2Trace) -> int:
    return round(LEAD * RATE)


def _last_word_ends(trace: Dia2Trace) -> int:
    return round(trace.run.spoken[-1].end * RATE)


def first_flat_top(trace: Dia2Trace) -> int:
    assert trace.prefix is not None, "it is a clone"
    return int((trace.prefix.clipped > 0).argmax())


def word_taken(index: int, trace: Dia2Trace) -> int:
    return taken(trace, index)


def _last_frame(trace: Dia2Trace) -> int:
    return trace.run.prefix_frames - 1


def _after_the_prefix(trace: Dia2Trace) -> int:
    return trace.run.prefix_frames


def _second_voice(trace: Dia2Trace) -> int:
    return trace.run.voice_frames[0]


def _after_a_lost_word(number: int, trace: Dia2Trace) -> int:
    """The first word of the second recording is taken where its second one should be."""
    return taken(trace, len(spoken(number).words))


def _clone(number: int, change: Change, folder: Path) -> Path:
    return clone(folder, change(spoken(number)))


def _case(kind: str, name: str, change: Change, number: int, at: Callable[[Dia2Trace], int]) -> Seeded:
    return Seeded(kind, f"{name} ({voice(number)})", partial(_clone, number, change), at)


def clones() -> Iterator[Seeded]:
    """Two or more of each kind, by different voices."""
    for number, seconds in ((0, 0.45), (1, -0.4), (2, 0.6)):
        yield _case("prefix-shift", f"all words {seconds:+g} s", partial(shifted, seconds), number, first_word)
    for number, seconds in ((0, 0.45), (1, 0.5), (2, -0.5), (3, 0.4)):
        at = partial(_middle_word, number, seconds)
        name = f"words from the middle on {seconds:+g} s"
        yield _case("prefix-shift", name, partial(shifted_midway, seconds), number, at)
    for one, other in ((1, 2), (3, 0)):
        kind = "prefix-unlabelled-speech"
        yield _case(kind, "no words for the first half", without_first_half, one, _sound_begins)
        yield _case(kind, "no words for the last third", without_last_third, other, _last_word_ends)
        kind = "prefix-words-without-speech"
        yield _case(kind, "five words silenced", silenced, one, partial(said_at, 5))
        yield _case(kind, "three words over a pause at the end", words_beyond, other, partial(said_at, -3))
    for number, snr in ((0, 8), (1, 4), (2, 10)):
        yield _case("prefix-noise", f"noise {snr} dB below", partial(noisy, snr), number, first_call)
    for number, peak in ((0, 6.0), (2, 12.0)):
        yield _case("prefix-clipped", f"{peak:g} times too loud", partial(scaled, peak), number, first_flat_top)
    for number, peak in ((1, 0.004), (2, 0.0025)):
        yield _case("prefix-quiet", f"a peak of {peak:g}", partial(scaled, peak), number, first_call)
    for number, words in ((0, 2), (1, 4)):
        yield _case("prefix-short", f"{words} words", partial(short, words), number, first_call)
    for number, count in ((0, 4), (1, 5)):
        second = partial(word_taken, 5)  # the first long word needs ten frames, and has one or two
        yield _case("word-pushed", f"{count} long words in the time of one", partial(_crowded, count), number, second)
    for number in (2, 3):
        yield _case("word-unreached", "a word as the recording ends", _late_last_word, number, _last_frame)
        yield _case("word-leaked", "a word as the recording ends", _late_last_word, number, _after_the_prefix)
    for number in (0, 1):
        yield Seeded("word-swallowed", f"no pause ({voice(number)})", partial(_no_pause, number), _second_voice)
    for number in (0, 1):
        yield Seeded("prefix-one-voice-twice", f"one recording ({voice(number)})", partial(_same, number), first_call)
    for number in (2, 3):
        name = f"two recordings of one voice ({voice(number)})"
        yield Seeded("prefix-one-voice-twice", name, partial(_same_voice, number), first_call)


def slips() -> Iterator[Seeded]:
    """Words that are taken late, after a boundary that was lost."""
    for number in (0, 1):
        where = partial(_after_a_lost_word, number)
        yield Seeded("word-slipped", f"no pause before them ({voice(number)})", partial(_no_pause, number), where)


def _same(number: int, folder: Path) -> Path:
    first = spoken(number)
    return clone(folder, (first, first.words), (first, first.words))


def _no_pause(number: int, folder: Path) -> Path:
    """The second recording begins while the machine has tokens of the first one's last word left."""
    first = spoken(number)
    last = Word("extraordinarily", first.words[-1].start, first.words[-1].start + 0.1)
    cut = replace(first, samples=first.samples[: int((last.start + 0.12) * first.rate)])
    second = talk(REPLY, voice(number + 1)).before(LEAD).noise(38, seed=7)
    return clone(folder, (cut, [*first.words[:-1], last]), (second, second.words))


def _same_voice(number: int, folder: Path) -> Path:
    first, second = spoken(number), talk(REPLY, voice(number)).after(0.2).before(LEAD).noise(38, seed=7)
    return clone(folder, (first, first.words), (second, second.words))


def clean_clone(number: int, folder: Path, whisper: str | None = None) -> Path:
    """At other rates, with more or less noise and silence, with a gap, and half of them with a second voice."""
    recording = talk(SAID[number % len(SAID)], voice(number))
    recording = recording.after((0.3, 0.6, 0.0)[number % 3]).before((0.4, 0.8, 0.2)[number % 3])
    recording = (recording.gap(8, 0.5) if number % 5 == 1 else recording).noise((30, 35, 40)[number % 3], seed=number)
    recording = recording.at((16_000, 24_000, 44_100)[number % 3])
    second = talk(REPLY, voice(number + 1)).after(0.2).before(0.4).noise(36, seed=number + 50)
    other = (second, second.words) if number % 2 else None
    return clone(folder, (recording, recording.words), other, seed=number, whisper=whisper)


def clean_clones() -> Iterator[tuple[str, Make]]:
    """Clean recordings of each voice."""
    for number in range(20):
        yield f"clone {number}", partial(clean_clone, number)
