"""How intelligible is speech? A small word recogniser for the corpus's vocabulary and voices.

    python -m training.recogniser FOLDER [--hours H] [--steps N]

makes a corpus, trains in FOLDER, and prints the accuracies on sentences that were never trained on.

It learns from espeak-ng's own sound alone, never from resynthesis or a codec, so it judges those from outside. It
hears one word at a time: what sounds further than a quarter of a second from the word's cut is hidden, so that no
neighbours can tell it what the word must be. Words that espeak-ng pronounces alike (to, too, two) are one class.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from dia2.common.errors import Dia2Error, UsageError, one_line
from dia2.common.files import replacing, write_atomically
from dia2.runtime.sounding import LAG
from training.checkpoint import language_of
from training.corpus import CorpusPlan, Recording, make_corpus, read_shard, shards
from training.dialogue import GRAMMAR, load_grammar, words
from training.espeak import SAMPLE_RATE, speak
from training.language_model import LanguageSize, config_dict
from training.loop import Losses, Schedule, fit
from training.robots import VOICES, recordings
from training.sound_loss import mel_filters
from training.streams import Language, Utterance, plain_stream
from training.tokenizer import train_tokenizer

HOP = 240  # samples between spectra: 10 ms
_WINDOW, _TRANSFORM = 480, 1024  # samples; so short a window resolves no harmonics, and pitch stays out of the picture
_FLOOR = 1e-4  # of magnitudes; the excerpts' zero is a hundred times that
_CONTEXT = 24  # hops on either side of a cut that are heard too
_LONGEST = 72  # hops of a cut that are heard
_EXCERPT = _LONGEST + 2 * _CONTEXT  # hops
_FRAME = 8  # hops of a codec frame
_BATCH = 256  # cuts that are heard at once

# Espeak-ng writes the vowel of “for” and of “four” differently, and says both alike.
_SAME_SOUND = {"O@": "o@"}

Cut = tuple[float, float]  # seconds at which a word begins and ends


@dataclass(frozen=True)
class RecogniserSize:
    """How large the recogniser is, and how it learns."""

    bands: int = 40
    channels: tuple[int, int, int] = (96, 160, 224)
    batch: int = 64
    schedule: Schedule = field(default_factory=lambda: Schedule(steps=4000, peak=3e-3))


TOY = RecogniserSize(bands=20, channels=(8, 16, 24), batch=16, schedule=Schedule(steps=10, peak=2e-3))


@dataclass(frozen=True)
class Heard:
    """What was heard in one cut."""

    word_class: str  # as `Recogniser.class_of` names it
    confidence: float  # 0 … 1: probability of the class
    voice: int  # 1 or 2


class Spectra:
    """Log mel spectra in which 0 is a magnitude of 1e-2, and 1 ten times that."""

    def __init__(self, bands: int) -> None:
        self._mel = mel_filters(_TRANSFORM, bands)
        self._window = torch.hann_window(_WINDOW)

    def __call__(self, samples: Tensor) -> Tensor:
        """[N] at SAMPLE_RATE → [hops, bands], silence longer than any excerpt at both ends; see `_place`."""
        padded = F.pad(samples.float(), (_EXCERPT * HOP, _EXCERPT * HOP))
        spectrum = torch.stft(padded, _TRANSFORM, HOP, _WINDOW, self._window, return_complex=True).abs()
        return _log(self._mel @ (spectrum / _TRANSFORM**0.5)).T


def _log(magnitude: Tensor) -> Tensor:
    return torch.log10(magnitude + _FLOOR) + 2


def _place(cuts: Sequence[Cut]) -> Tensor:
    """Cuts [n, 2] in hops of the spectra, padding included."""
    return torch.tensor(cuts, dtype=torch.float64).view(-1, 2) * (SAMPLE_RATE / HOP) + _EXCERPT


class Ear(nn.Module):
    """Convolutions over an excerpt, attention over time, and a head each for words and voices."""

    def __init__(self, size: RecogniserSize, classes: int) -> None:
        super().__init__()
        first, second, third = size.channels

        def layer(inputs: int, outputs: int, width: int = 5, stride: int = 1, dilation: int = 1) -> nn.Sequential:
            reach = width // 2 * dilation
            conv = nn.Conv1d(inputs, outputs, width, stride, padding=reach, dilation=dilation, bias=False)
            return nn.Sequential(conv, nn.BatchNorm1d(outputs), nn.ReLU())

        self.trunk = nn.Sequential(
            layer(size.bands + 2, first, stride=2), layer(first, second, stride=2), layer(second, third)
        )
        self.wide = nn.ModuleList([layer(third, third, 3, dilation=2), layer(third, third, 3, dilation=4)])
        self.attention = nn.Conv1d(third, 2, 1)
        self.dropout = nn.Dropout(0.2)
        self.word = nn.Linear(2 * third, classes)
        self.voice = nn.Linear(2 * third, len(VOICES))

    def forward(self, excerpts: Tensor) -> tuple[Tensor, Tensor]:
        """Excerpts [B, bands + 2, T] → logits of words [B, classes] and voices [B, 2]."""
        hidden = self.trunk(excerpts)  # [B, third, T / 4]
        for part in self.wide:
            hidden = hidden + part(hidden)
        weights = self.attention(hidden).softmax(-1)  # [B, 2, T / 4]
        summary = self.dropout((hidden @ weights.transpose(1, 2)).flatten(1))
        return self.word(summary), self.voice(summary)


def _excerpts(
    spectra: Tensor, places: Tensor, rate: Tensor | float = 1.0, spoil: Callable[[Tensor], Tensor] = lambda x: x
) -> Tensor:
    """What the ear is given of each cut: [B, bands + 2, _EXCERPT], the last two marking the cut and what is heard.

    Args:
        spectra: [hops, bands].
        places: of the cuts, [B, 2] in hops.
        rate: hops of the spectra to each of an excerpt, [B] or one for all.
        spoil: applied to the spectra [B, _EXCERPT, bands] before any of them are hidden.
    """
    starts, ends = places[:, :1], torch.minimum(places[:, 1:], places[:, :1] + _LONGEST)
    rates = torch.as_tensor(rate, dtype=places.dtype).view(-1, 1)
    at = starts + (torch.arange(_EXCERPT) - _CONTEXT) * rates  # [B, _EXCERPT]
    inside = (at >= starts) & (at < ends)
    near = (at >= starts - _CONTEXT) & (at < ends + _CONTEXT)
    seen = spoil(spectra[at.round().long().clamp(0, len(spectra) - 1)])
    marks = torch.stack([inside, near], dim=2).to(seen.dtype)
    return torch.cat([seen * marks[:, :, 1:], marks], dim=2).transpose(1, 2)


def _spoilt(spectra: Tensor, generator: torch.Generator) -> Tensor:
    """Louder or softer, brighter or duller, noisy, blurred, with parts missing: spectra [B, T, bands]."""
    count, bands = len(spectra), spectra.shape[2]

    def draw(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(count, 1, 1, generator=generator)

    slope = torch.linspace(-1, 1, bands)
    kernel = torch.tensor([0.06, 0.24, 0.4, 0.24, 0.06])
    x = spectra[:, None]
    x = F.conv2d(F.pad(x, (0, 0, 2, 2), mode="replicate"), kernel.view(1, 1, 5, 1))
    x = F.conv2d(F.pad(x, (2, 2, 0, 0), mode="replicate"), kernel.view(1, 1, 1, 5))
    x = torch.lerp(spectra, x[:, 0], draw(0, 1))
    x = x + draw(-0.4, 0.4) + draw(-0.3, 0.3) * slope
    noise = 10 ** (draw(-4, -2.3) + draw(-0.5, 0.5) * slope)
    x = _log(10 ** (x - 2) + noise)
    for axis, widest in ((1, 8), (2, 6)):
        width = spectra.shape[axis]
        begin = draw(-widest, width)
        at = torch.arange(width).view((1, -1, 1) if axis == 1 else (1, 1, -1))
        x = x.masked_fill((at >= begin) & (at < begin + draw(0, widest)), 0.0)
    return x


class Recogniser:
    """Knows the word and the voice in a cut of speech."""

    def __init__(self, ear: Ear, size: RecogniserSize, classes: Sequence[Sequence[str]]) -> None:
        self.ear = ear
        self.names = ["/".join(alike) for alike in classes]
        self._numbers = {word: i for i, alike in enumerate(classes) for word in alike}
        self._spectra = Spectra(size.bands)

    @classmethod
    def load(cls, folder: Path) -> Recogniser:
        """The one that `train_recogniser` left in `folder`.

        Raises:
            Dia2Error: there is none, or it is damaged.
        """
        try:
            notes = json.loads((folder / "classes.json").read_text(encoding="utf-8"))
            size = RecogniserSize(bands=notes["bands"], channels=tuple(notes["channels"]))
            ear = Ear(size, len(notes["classes"]))
            ear.load_state_dict(load_file(folder / "recogniser.safetensors"))
        except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
            what = f"{folder} holds no recogniser ({one_line(error)})"
            raise Dia2Error(f"{what}: make one by `python -m training.recogniser {folder}`.") from error
        return cls(ear.eval(), size, notes["classes"])

    def number_of(self, word: str) -> int | None:
        """The number of the class of a word, in any case and with any punctuation; None for an unknown word."""
        found = words(word)
        return self._numbers.get(found[0]) if len(found) == 1 else None

    def class_of(self, word: str) -> str | None:
        """The name of the word's class: the words that sound alike, `to/too/two`; None for an unknown word."""
        number = self.number_of(word)
        return None if number is None else self.names[number]

    @torch.no_grad()
    def hear(self, samples: Tensor, cuts: Sequence[Cut]) -> list[Heard]:
        """The word in each cut of one sound.

        Args:
            samples: [N] at SAMPLE_RATE.
            cuts: seconds at which words begin and end, as `machine_cuts` gives them; in any order, inside or outside
                of the sound.

        Raises:
            UsageError: samples of another shape, or a cut that ends before it begins.
        """
        if samples.dim() != 1:
            raise UsageError(f"The samples have the shape {list(samples.shape)}: give one channel, [N].")
        if bad := next((cut for cut in cuts if not 0 <= cut[1] - cut[0] < float("inf")), None):
            raise UsageError(f"The cut {bad} is no span of time: give (begin, end) in seconds.")
        spectra, places = self._spectra(samples), _place(cuts)
        heard: list[Heard] = []
        for at in range(0, len(places), _BATCH):
            of_words, of_voices = self.ear(_excerpts(spectra, places[at : at + _BATCH]))
            best, number = of_words.softmax(-1).max(-1)
            for share, i, voice in zip(best.tolist(), number.tolist(), of_voices.argmax(-1).tolist(), strict=True):
                heard.append(Heard(self.names[i], share, voice + 1))
        return heard


def word_classes(vocabulary: Iterable[str]) -> list[list[str]]:
    """The words grouped by how espeak-ng says them alone, stress apart; sorted.

    Raises:
        Dia2Error: espeak-ng cannot be used.
    """
    alike: dict[tuple[str, ...], list[str]] = {}
    for word in sorted(set(vocabulary)):
        names = (name.strip("',") for name, _ in speak(word, VOICES[1]).phonemes if not name.startswith("_"))
        alike.setdefault(tuple(_SAME_SOUND.get(name, name) for name in names), []).append(word)
    return sorted(alike.values())


def cuts_between(starts: Sequence[float], end: float, frame_rate: float = 12.5) -> list[Cut]:
    """The cuts of words that the machine began at these seconds (new-word steps divided by the frame rate).

    Sound begins `LAG` frames before the step, or did in training; a cut lasts until the next word, breaks included.
    """
    moved = [time - LAG / frame_rate for time in (*starts, end)]
    return list(pairwise(moved))


def machine_cuts(language: Language, recording: Recording) -> list[Cut]:
    """The cuts of a recording's words by the steps at which the machine takes them when asked at their true times."""
    codebooks = language.config.data.channels - 2
    frames = round(len(recording.samples) / SAMPLE_RATE * language.frame_rate)
    codes = torch.zeros(codebooks, frames, dtype=torch.long)
    stream = plain_stream(language, Utterance(recording.spoken, recording.end, codes))
    steps = stream.positions[stream.actions == language.ids.action_new_word].tolist()  # of words, breaks, the end
    times = [step / language.frame_rate for step in steps]
    taken = [time for time, entry in zip(times, recording.spoken, strict=False) if entry.text]
    return cuts_between(taken, times[len(recording.spoken)], language.frame_rate)


def exact_cuts(recording: Recording) -> list[Cut]:
    """When a recording's words sound, breaks left out."""
    return [(entry.start, entry.end) for entry in recording.spoken if entry.text]


class Examples:
    """Words of recordings in their spectra, from which training draws."""

    def __init__(
        self,
        recogniser: Recogniser,
        size: RecogniserSize,
        recordings: Sequence[Recording],
        cuts: Sequence[Sequence[Cut]],  # the machine's, of each recording
    ) -> None:
        self._size = size
        transform = Spectra(size.bands)
        spectra: list[Tensor] = []
        places: list[Tensor] = []
        labels: list[int] = []
        voices: list[int] = []
        at = 0
        for recording, of_machine in zip(recordings, cuts, strict=True):
            said = [entry for entry in recording.spoken if entry.text]
            spectra.append(transform(torch.from_numpy(recording.samples)))
            places.append(torch.stack([_place(of_machine), _place(exact_cuts(recording))], dim=1) + at)
            for entry in said:
                number = recogniser.number_of(entry.text)
                assert number is not None, "the classes are of these very words"
                labels.append(number)
            voices += [entry.speaker - 1 for entry in said]
            at += len(spectra[-1])
        self._spectra = torch.cat(spectra)  # [hops, bands]
        self._places = torch.cat(places)  # [words, 2: the machine's, exact, 2: begin, end] hops
        self._labels = torch.tensor(labels)
        self._voices = torch.tensor(voices)
        counts = torch.bincount(self._labels)
        self._weights = counts[self._labels].double() ** -0.5  # rare words more often than they are said

    def draw(self, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Spoilt excerpts [B, bands + 2, T], the numbers of their words [B] and of their voices [B]."""
        count = self._size.batch
        chosen = torch.multinomial(self._weights, count, replacement=True, generator=generator)
        kind = (torch.rand(count, generator=generator) < 0.3).long()  # mostly the machine's
        places = self._places[chosen, kind]
        moves = (torch.rand(count, 2, generator=generator) * 2 - 1) * _FRAME
        moved = torch.rand(count, 1, generator=generator) < 0.5
        places = places + moves * moved
        places[:, 1] = torch.maximum(places[:, 1], places[:, 0] + _FRAME)
        rate = 0.92 + 0.16 * torch.rand(count, generator=generator)
        excerpts = _excerpts(self._spectra, places, rate, lambda x: _spoilt(x, generator))
        return excerpts, self._labels[chosen], self._voices[chosen]


def train_recogniser(
    folder: Path,
    size: RecogniserSize,
    train: Sequence[Recording],
    validation: Sequence[Recording],
    language: Language,
    seed: int = 0,
) -> dict[str, float]:
    """Train a recogniser in `folder`, from where a run that was stopped left it; returns `fit`'s figures.

    `recogniser.safetensors` and `classes.json` are the result, and appear together when it is done.

    Args:
        folder: of the run.
        size: of the recogniser and its schedule.
        train: espeak-ng's own sound; its words are the vocabulary.
        validation: for the figures.
        language: whose machine gives the cuts.
        seed: of weights and batches.
    """
    torch.manual_seed(seed)
    classes = word_classes(word for r in train for entry in r.spoken for word in words(entry.text))
    ear = Ear(size, len(classes))
    recogniser = Recogniser(ear, size, classes)
    examples = Examples(recogniser, size, train, [machine_cuts(language, recording) for recording in train])

    def loss(generator: torch.Generator) -> Losses:
        excerpts, labels, voices = examples.draw(generator)
        of_words, of_voices = ear(excerpts)
        word, voice = F.cross_entropy(of_words, labels), F.cross_entropy(of_voices, voices)
        return {"loss": word + 0.2 * voice, "word": word, "voice": voice}

    figures = fit(
        folder / "training",
        ear,
        loss,
        size.schedule,
        evaluate=lambda _: accuracy(recogniser, validation, language),
        evaluate_every=500,
        seed=seed,
        title="recogniser",
    )
    with replacing(folder / "recogniser.safetensors") as temporary:
        save_file(ear.state_dict(), temporary)
    notes = {"bands": size.bands, "channels": size.channels, "classes": classes}
    write_atomically(folder / "classes.json", json.dumps(notes, indent=1).encode())
    return figures


def accuracy(recogniser: Recogniser, recordings: Sequence[Recording], language: Language) -> dict[str, float]:
    """Shares of words that are recognised in the machine's cuts and in exact ones, and of voices in the machine's.

    A word of no class counts as not recognised.
    """
    right = {"words, machine's cuts": 0, "words, exact cuts": 0, "voices": 0}
    total = 0
    for recording in recordings:
        said = [entry for entry in recording.spoken if entry.text]
        samples = torch.from_numpy(recording.samples)
        machine = recogniser.hear(samples, machine_cuts(language, recording))
        exact = recogniser.hear(samples, exact_cuts(recording))
        for entry, by_machine, by_time in zip(said, machine, exact, strict=True):
            wanted = recogniser.class_of(entry.text)
            right["words, machine's cuts"] += by_machine.word_class == wanted
            right["words, exact cuts"] += by_time.word_class == wanted
            right["voices"] += by_machine.voice == entry.speaker
        total += len(said)
    return {name: count / max(1, total) for name, count in right.items()}


def default_language(seed: int = 0) -> Language:
    """Tokenizer and machine of a tiny model with the default sizes."""
    grammar, rng = load_grammar(GRAMMAR), random.Random(seed)  # noqa: S311 — no secret
    size = LanguageSize()
    tokenizer = train_tokenizer((grammar.sentence(rng) for _ in range(20_000)), size.vocabulary)
    return language_of(config_dict(size, codebooks=8, codes=256, tokenizer=tokenizer), tokenizer)


def _recordings(folder: Path, split: str, count: int, seed: int) -> list[Recording]:
    """The recordings of `count` shards of a split, which are made where they are missing."""
    for path in make_corpus(folder, CorpusPlan(seed, split, count), maker=recordings):
        print(path, flush=True)
    return [recording for path in shards(folder, split)[:count] for recording in read_shard(path)]


def main(arguments: Sequence[str] | None = None) -> None:
    """Make a corpus, train, and print the accuracies."""
    size = RecogniserSize()
    parser = argparse.ArgumentParser(prog="python -m training.recogniser", description="Train the word recogniser.")
    parser.add_argument("folder", type=Path, help="of the run; a stopped one goes on")
    parser.add_argument("--hours", type=float, default=4.0, help="of speech to learn from (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=size.schedule.steps, help="(default: %(default)s)")
    options = parser.parse_args(arguments)
    size = replace(size, schedule=replace(size.schedule, steps=options.steps))
    corpus = options.folder / "corpus"
    count = max(1, round(options.hours * 4))  # a shard is a quarter of an hour
    train, validation, test = (
        _recordings(corpus, split, n, seed=7) for split, n in (("train", count), ("validation", 1), ("test", 1))
    )
    language = default_language()
    train_recogniser(options.folder, size, train, validation[:20], language)
    figures = accuracy(Recogniser.load(options.folder), test, language)
    print("test: " + ", ".join(f"{name} {100 * value:.1f} %" for name, value in figures.items()))


if __name__ == "__main__":
    main()
