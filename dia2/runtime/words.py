"""Words with times: what a prefix says, from Whisper or from a file."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dia2.common.checks import TooLargeError, a_path, is_file, is_number, plain, read_small, short
from dia2.common.errors import Dia2Error, UsageError, one_line
from dia2.common.hooks import phase
from dia2.common.progress import doing
from dia2.core.chance import own_chance
from dia2.generation import WORDS_FORMAT, PlacedWord, WordList
from dia2.runtime.heard import join_pieces, repair_times, thin
from dia2.runtime.invisible import visible
from dia2.runtime.quiet import own_bar, quiet
from dia2.runtime.script_parser import refuse_controls

logger = logging.getLogger("dia2")

WHISPER_RATE = 16_000  # Hz, what Whisper listens at
_LONGEST_WORD = 2000  # characters, as in a script
_WORDS_A_SECOND = 12.5  # one a frame: more the machine cannot take
_USUAL_WORD = 0.5  # seconds
INSTEAD = "--prefix-words-1/2"  # by which a prefix has word times without Whisper
_SLACK = 0.08  # seconds that a word may end past the audio: one frame, for aligners that round up


@dataclass(frozen=True)
class Word:
    """One spoken word."""

    text: str
    start: float  # seconds
    end: float


@phase("prefix.transcribe")
def transcribe_words(
    samples: Tensor, whisper_model: str, device: torch.device, name: str = "the recording"
) -> list[Word]:
    """Words of mono `samples` [N] at 16 kHz by openai-whisper, in order.

    Whisper gets an array: given a path it would shell out to ffmpeg.

    Args:
        samples: float32 in −1 … 1.
        whisper_model: a published name ("turbo"), or the path of a checkpoint in Whisper's own format.
        device: where to run it; mps lacks float64, which Whisper's alignment needs, so cpu stands in.
        name: of the recording, for the bar and the log.

    Raises:
        UsageError: Whisper is not installed, the name is unknown, or it heard nothing, or more than can be said.
        Dia2Error: the checkpoint cannot be downloaded or read.
    """
    words = hear_words(samples, whisper_model, device, name)
    if not words:
        raise UsageError(
            f"Whisper ({whisper_model}) heard no words in the prefix: check the recording, or give --prefix-words-1/2."
        )
    return words


def hear_words(samples: Tensor, whisper_model: str, device: torch.device, name: str = "the recording") -> list[Word]:
    """As `transcribe_words`, of any sound, which may have no words."""
    return list(listen(samples, whisper_model, device, name).words)


@dataclass(frozen=True)
class Listened:
    """What Whisper made of a sound."""

    words: tuple[Word, ...]  # none, perhaps
    language: str  # its code, as it was told or found out


def listen(
    samples: Tensor,
    whisper_model: str,
    device: torch.device,
    name: str = "the recording",
    *,
    language: str | None = None,
    instead: str = INSTEAD,
) -> Listened:
    """As `hear_words`, in a language that is known, or found out.

    Args:
        samples: [N] float32 in −1 … 1 at 16 kHz.
        whisper_model: as for `transcribe_words`.
        device: likewise.
        name: likewise.
        language: a code of Whisper's, such as `ru`; `None`: Whisper finds out.
        instead: by which the caller could have word times without Whisper, for errors.

    Raises:
        UsageError: Whisper is not installed, the name is unknown, or it heard more than can be said.
        Dia2Error: the checkpoint cannot be downloaded or read.
    """
    on = whisper_device(device)
    with own_chance():  # it draws where it is unsure, and is to hear the same each time
        model = load_whisper(whisper_model, on, instead)
    doing(f"listening to {name}")
    told = {} if language is None else {"language": language}
    with own_chance(), quiet():  # anew: a model that was loaded before draws the same
        heard = model.transcribe(samples.numpy(), word_timestamps=True, fp16=on.type == "cuda", verbose=None, **told)
    found = str(heard.get("language") or language or "en")
    pieces = join_pieces(heard["segments"])
    words = [(text, start, end) for word, start, end in pieces if (text := visible(word).strip())]
    if not words:
        return Listened((), found)
    seconds = samples.shape[0] / WHISPER_RATE
    most = int(1 + _WORDS_A_SECOND * seconds)
    words = thin(words, most)
    if len(words) > most or max(len(text) for text, *_ in words) > _LONGEST_WORD:
        raise UsageError(
            f"Whisper ({whisper_model}) heard more than can be said in {seconds:.2f} s "
            f"({words[0][0][:30]!r} and so on): check the recording, or give {instead}."
        )
    words, notes = repair_times(words, samples, WHISPER_RATE)
    if notes:
        logger.info("Whisper's times of %d words, repaired: %s", len(words), ", ".join(notes))
    return Listened(tuple(Word(*word) for word in words), found)


def whisper_device(device: torch.device) -> torch.device:
    """Where Whisper runs beside a model on `device`."""
    return torch.device("cpu") if device.type == "mps" else device


@lru_cache(maxsize=1)  # two speakers, one model; `build_prefix_plan` lets it go afterwards
def load_whisper(whisper_model: str, device: torch.device, instead: str = INSTEAD) -> Any:
    """Load a Whisper checkpoint; raises as `listen`."""
    doing(what := f"loading Whisper {whisper_model}")
    whisper = _library(instead)
    try:
        with quiet(), own_bar(whisper, what):
            return whisper.load_model(whisper_model, device=device)
    except RuntimeError as error:
        if whisper_model not in whisper.available_models() and not is_file(whisper_model):
            raise _unknown(whisper_model, whisper) from error
        raise _unreadable(whisper_model, error, instead) from error
    except Exception as error:  # download and unpickling fail in a dozen ways, all told as one
        raise _unreadable(whisper_model, error, instead) from error


def check_whisper(whisper_model: str, instead: str = INSTEAD) -> None:
    """Refuse, before anything is loaded, a checkpoint that there is not; `instead` as for `listen`.

    Raises:
        UsageError: Whisper is not installed, or the name is unknown.
    """
    whisper = _library(instead)
    if not is_file(whisper_model) and whisper_model not in whisper.available_models():
        raise _unknown(whisper_model, whisper)


def _library(instead: str) -> Any:
    try:
        import whisper
    except ImportError as error:
        raise UsageError(
            f"Whisper is not installed: pip install 'dia2-inspect[whisper]', or give word times by {instead}."
        ) from error
    return whisper


def _unknown(name: str, whisper: Any) -> UsageError:
    return UsageError(
        f"There is no Whisper model {name!r}: give a path, or one of {', '.join(whisper.available_models())}."
    )


def _unreadable(name: str, error: Exception, instead: str) -> Dia2Error:
    return Dia2Error(
        f"Whisper model {name} cannot be loaded ({one_line(error)}): give the path of a checkpoint, or {instead}."
    )


def read_words(source: str | Path | WordList, seconds: float, where: str = "The given word list") -> list[Word]:
    """Word times that the user gives: a JSON file, or a list, of `{"text", "start", "end"}` in seconds.

    Or `{"format": 2, "words": such a list}`, which is what `dia2 generate --words` writes, or the `words` of the result
    that made the audio. Times are those at which
    the words sound, and a list is taken as it stands: what wrote it is not known. All its words are taken, whoever is
    said to speak them, as all are in the recording.

    A word without `end`, as `dia2 generate --words` writes it, ends with the next one's start, and half a second after
    its own at the latest. Words without text, or of characters that nobody sees, are skipped.

    Args:
        source: the file's path, or the list.
        seconds: length of the audio that they belong to.
        where: names a list in errors; a file is named by its path.

    Raises:
        UsageError: not JSON, not such a list, of another format, unsorted, overlapping, past the audio, too many or
            too long, or no words at all.
    """
    source = a_path(source)
    where = str(source) if isinstance(source, str | Path) else where
    rows = read_rows(source, where)
    words: list[Word] = []
    end_before = 0.0
    for i, row in enumerate(rows):
        word = _read_word(_ended(row, rows[i + 1 : i + 2], seconds), f"{where}, word {i + 1}")
        name = f"{where}, word {i + 1} {word.text[:30]!r}"
        if words and word.start < words[-1].start:
            raise UsageError(
                f"{name} starts at {word.start:g} s, before the word listed before it: sort the words by time."
            )
        if word.start < end_before - 1e-6:
            raise UsageError(f"{name} starts at {word.start:g} s, before the last one ends ({end_before:g} s).")
        if word.end > seconds + _SLACK:
            raise UsageError(f"{name} ends at {word.end:g} s, after the audio ({seconds:.2f} s): is it the right file?")
        end_before = word.end
        if word.text:
            words.append(word)
    if len(words) > 1 + _WORDS_A_SECOND * seconds:
        raise UsageError(f"{where} holds {len(words):,} words for {seconds:.2f} s of audio: is it the right file?")
    if not words:
        raise UsageError(f"{where} holds no words: write down what the prefix says.")
    return words


def read_rows(source: str | Path | WordList, where: str) -> list[Any]:
    """The list of words in a file, in what `--words` wrote, or as it stands; what is in it is not looked at.

    Args:
        source: the file's path, the object, or the list.
        where: names it in errors.

    Raises:
        UsageError: not JSON, an unknown format, or no list.
    """
    rows: object = _read_json(Path(source)) if isinstance(source, str | Path) else source
    if isinstance(rows, Mapping) and "format" in rows:
        known = rows["format"]
        if type(known) is not int or known != WORDS_FORMAT:  # 2.0 and True are no 2
            raise UsageError(
                f"{where} has the words format {short(known)}, which this dia2 does not know: give format "
                f"{WORDS_FORMAT}, as --words writes it, or the list of words alone."
            )
        rows = rows.get("words")
    if not isinstance(rows, Sequence) or isinstance(rows, str | bytes):
        raise UsageError(f'{where} is not a list of words: write [{{"text": "Hello", "start": 0.1, "end": 0.4}}, …].')
    return [{"text": row.text, "start": row.seconds} if isinstance(row, PlacedWord) else row for row in rows]


def _read_json(path: Path) -> object:
    try:
        return json.loads(read_small(path, pipes=True).decode("utf-8-sig"))
    except FileNotFoundError as error:
        raise UsageError(f"There is no words file {path}: check the path.") from error
    except OSError as error:
        raise UsageError(f"Words file {path} cannot be read: {error.strerror}.") from error
    except TooLargeError as error:
        raise UsageError(f"Words file {path} is {error}: is it the right file?") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(
            f'Words file {path} is not JSON: write [{{"text": "Hi", "start": 0.1, "end": 0.4}}, …].'
        ) from error


def _ended(row: object, following: list[object], seconds: float) -> object:
    """A row that has a start and no end, with one; whatever is wrong with it stays so."""
    start = plain(row.get("start")) if isinstance(row, Mapping) else None
    if not isinstance(row, Mapping) or "end" in row or not is_number(start):
        return row
    starts = [plain(other.get("start")) for other in following if isinstance(other, Mapping)]
    end = min([start + _USUAL_WORD, seconds, *(other for other in starts if is_number(other))])
    return {**row, "end": max(start, end)}


def _read_word(row: object, where: str) -> Word:
    if not isinstance(row, Mapping) or not {"text", "start", "end"} <= row.keys():
        raise UsageError(f'{where} is not like {{"text": "Hello", "start": 0.1, "end": 0.4}} ("end" may be left out).')
    text, start, end = row["text"], plain(row["start"]), plain(row["end"])
    if not isinstance(text, str):
        raise UsageError(f"{where}: its text is not a string.")
    if len(text) > _LONGEST_WORD:
        raise UsageError(f"{where}: its text has more than {_LONGEST_WORD:,} characters: give it word by word.")
    refuse_controls(text, where)
    for name, value in (("start", start), ("end", end)):
        if not is_number(value) or value < 0:
            raise UsageError(f"{where}: its {name} must be a number of seconds, at least 0.")
    if end < start:
        raise UsageError(f"{where}: it ends at {end:g} s, before it starts ({start:g} s).")
    return Word(visible(text).strip(), float(start), float(end))
