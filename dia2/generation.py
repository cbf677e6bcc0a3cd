"""What to generate and how (`GenerationConfig`), what comes out (`GenerationResult`), and the script text."""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterable, Awaitable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from dia2.common.brief import brief_repr
from dia2.common.checks import a_path, is_folder, is_number, make_plain, short
from dia2.common.errors import Dia2Error, UsageError, one_line
from dia2.common.hooks import phase
from dia2.common.terminal.standard_streams import read_input
from dia2.common.wording import counted

if TYPE_CHECKING:  # looking at a trace needs none
    from torch import Tensor

# [{"text": …, "start": seconds, "end": seconds}, …], or what `--words` writes: {"format": 2, "words": such a list}; or
# the words of the result that made the sound.
WordList = Sequence[Mapping[str, Any]] | Mapping[str, Any] | Sequence["PlacedWord"]
WORDS_FORMAT = 2  # of the words files that are written; 1 was a bare list, two frames late
MAX_SCRIPT_CHARS = 100_000  # a published checkpoint speaks two minutes, some 2,000 characters, at a time
COOLEST, HOTTEST = 1e-4, 1e4  # temperatures beyond which float32 logits, divided by them, overflow or vanish
StopReason = Literal["end", "context", "interrupted"]


@dataclass(frozen=True)
class SamplingConfig:
    """How one kind of token is drawn."""

    temperature: float = 0.8  # 0 is argmax
    top_k: int = 50  # keep exactly so many of the most probable; 0 keeps all

    def __post_init__(self) -> None:
        make_plain(self)


@dataclass(frozen=True)
class PrefixConfig:
    """Voices to go on from: audio with its words, one per speaker."""

    __repr__ = brief_repr

    speaker_1: str | Path | None = None  # a sound file, or a `.voice` file
    speaker_2: str | Path | None = None  # needs speaker_1
    include_audio: bool = False  # keep the prefix in the result
    words_1: str | Path | WordList | None = None  # word times of speaker_1 (a JSON file or a list); `None`: Whisper
    words_2: str | Path | WordList | None = None
    whisper: str = "turbo"  # name or path of the Whisper checkpoint

    def __post_init__(self) -> None:
        """Refuse what is no file name and no list of words.

        Raises:
            UsageError: names the field.
        """
        make_plain(self)
        if not isinstance(self.include_audio, bool):
            raise UsageError(f"prefix.include_audio is True or False, not {short(self.include_audio)}.")
        for name in ("speaker_1", "speaker_2", "words_1", "words_2"):
            value = a_path(getattr(self, name))
            allowed = str | Path | Sequence | Mapping if name.startswith("words") else str | Path
            if value is not None and not isinstance(value, allowed):
                raise UsageError(f"prefix.{name} must be a file name, not {short(value)}.")
            object.__setattr__(self, name, value)


@dataclass(frozen=True)
class GenerationConfig:
    """Everything that decides a run besides the script."""

    __repr__ = brief_repr

    text: SamplingConfig = field(default_factory=lambda: SamplingConfig(0.6, 50))  # the action's draw
    audio: SamplingConfig = field(default_factory=lambda: SamplingConfig(0.8, 50))  # the codebooks' draws
    cfg_scale: float = 2.0  # 1 turns guidance off
    cfg_filter_k: int = 50  # guided logits keep so many candidates; 0 keeps all
    initial_padding: int = 2  # frames before the first word may begin
    prefix: PrefixConfig | None = None
    use_cuda_graph: bool = False
    use_torch_compile: bool = False
    use_triton: bool = False  # Triton kernels, on CUDA; no device has run them yet, so no flag offers them
    seed: int | None = None  # same seed, same audio; `None`: a new one, told in the result

    @property
    def includes_prefix(self) -> bool:
        """The result keeps the prefix."""
        return self.prefix is not None and self.prefix.include_audio

    def __post_init__(self) -> None:
        """Refuse values that no run can have.

        Raises:
            UsageError: names the field and what it may be.
        """
        make_plain(self)
        for name, sampling in (("text", self.text), ("audio", self.audio)):
            _check_number(f"{name}.temperature", sampling.temperature, least=0)
            if sampling.temperature and not COOLEST <= sampling.temperature <= HOTTEST:
                raise UsageError(f"{name}.temperature must be 0, or {COOLEST:g} to {HOTTEST:g}.")
            _check_integer(f"{name}.top_k", sampling.top_k)
        _check_number("cfg_scale", self.cfg_scale, least=0)
        _check_integer("cfg_filter_k", self.cfg_filter_k)
        _check_integer("initial_padding", self.initial_padding, least=0, most=10_000)
        if self.seed is not None:
            _check_integer("seed", self.seed, least=0, most=2**64 - 1)


@dataclass(frozen=True)
class PlacedWord:
    """A word of the result."""

    text: str
    seconds: float  # from the start of the waveform, when it sounds
    speaker: int  # 1 or 2
    timestamp: float  # seconds as the published package counts them: two frames after the sound


@dataclass(frozen=True)
class GenerationResult:
    """What a run made."""

    __repr__ = brief_repr

    audio_tokens: Tensor  # [1, K, T] int64, aligned codes after the crop
    waveform: Tensor  # [N] float32 in −1 … 1, on the CPU
    sample_rate: int  # Hz
    timestamps: list[tuple[str, float]]  # (word, seconds) as the published package has them, two frames after the sound
    speakers: list[int]  # 1 or 2 for each timestamp
    seed: int  # gives this run again
    stop_reason: StopReason  # "context": max_context_steps reached before the script's end
    unspoken: int  # words of the script that were not begun
    first_word_frame: int  # frame at which the crop would cut
    crop: int  # frames that were cut off the front
    frames: int  # frames generated, prefix not counted
    seconds: float  # wall time of generation and decoding, the prefix included
    peak_host_bytes: int | None = None  # most RAM this process took since it began, loading included; none on Windows
    peak_device_bytes: int | None = None  # most that torch took of the GPU in this run, weights included; CUDA only
    speaking_seconds: float | None = None  # of `seconds`, those after the prefix: frames and decoding; `None`: unknown
    products: str | None = (
        None  # by what int8 weights were multiplied: packed, blocks, unpacked; `None`: there are none
    )
    words: list[PlacedWord] = field(default_factory=list)  # those of `timestamps`, with the seconds at which they sound

    @property
    def duration(self) -> float:
        """Length of the waveform in seconds."""
        return self.waveform.shape[0] / self.sample_rate


class GenerationInterrupted(KeyboardInterrupt):
    """Ctrl-C during generation; `result` holds the audio so far."""

    def __init__(self, result: GenerationResult) -> None:
        super().__init__("Generation was interrupted; the audio so far is in this exception's .result.")
        self.result = result

    def __reduce__(self) -> tuple[type[GenerationInterrupted], tuple[GenerationResult]]:
        """By what it was made of, as a process of a pool hands it on."""
        return type(self), (self.result,)


class BatchInterrupted(KeyboardInterrupt):
    """Ctrl-C while a batch was spoken; `results` has what there is of each script: a result, an error, or `None`."""

    def __init__(self, results: Sequence[GenerationResult | BaseException | None]) -> None:
        super().__init__("The batch was interrupted; what there is of it is in this exception's .results.")
        self.results = [r.result if isinstance(r, GenerationInterrupted) else r for r in results]

    def __reduce__(self) -> tuple[type[BatchInterrupted], tuple[list[GenerationResult | BaseException | None]]]:
        """By what it was made of, as a process of a pool hands it on."""
        return type(self), (self.results,)


class BatchError(Dia2Error):
    """Scripts of a batch failed; `results` has what there is of each: a result or an error, of streams errors only.

    The first of the errors is this one's cause.
    """

    def __init__(self, results: Sequence[GenerationResult | Exception | None]) -> None:
        self.results = list(results)
        self.errors = {number: r for number, r in enumerate(results) if isinstance(r, Exception)}  # by request
        first = next(iter(self.errors))
        super().__init__(
            f"{len(self.errors)} of {counted(len(self.results), 'request')} failed, first number {first}, counted from "
            f"0: {one_line(self.errors[first])}; what there is of the others is in this exception's .results."
        )

    def __reduce__(self) -> tuple[type[BatchError], tuple[list[GenerationResult | Exception | None]]]:
        """By what it was made of, as a process of a pool hands it on."""
        return type(self), (self.results,)


# By the name of an override: the block of a config that it changes, and the field in it; or the overrides that it
# stands for, where they are not given themselves.
_SAMPLING_OVERRIDES = {
    "temp_text": ("text", "temperature"),
    "topk_text": ("text", "top_k"),
    "temp_audio": ("audio", "temperature"),
    "topk_audio": ("audio", "top_k"),
}
_BOTH_OVERRIDES = {"temperature": ("temp_text", "temp_audio"), "top_k": ("topk_text", "topk_audio")}
_PREFIX_OVERRIDES = {
    "prefix_speaker_1": ("prefix", "speaker_1"),
    "prefix_speaker_2": ("prefix", "speaker_2"),
    "prefix_words_1": ("prefix", "words_1"),
    "prefix_words_2": ("prefix", "words_2"),
    "include_prefix": ("prefix", "include_audio"),
    "whisper": ("prefix", "whisper"),
}
_PLAIN_OVERRIDES = [field.name for field in fields(GenerationConfig) if field.name not in ("text", "audio")]


@phase("config.merge")
def merge_generation_config(base: GenerationConfig | None, overrides: Mapping[str, Any]) -> GenerationConfig:
    """`base` (or the defaults) with `overrides` on top; an override that is None changes nothing.

    Raises:
        UsageError: an unknown override (the message lists the known ones), or a value out of range.
    """
    merged = base or GenerationConfig()
    known = (*_BOTH_OVERRIDES, *_SAMPLING_OVERRIDES, *_PLAIN_OVERRIDES, *_PREFIX_OVERRIDES)
    for name in overrides:
        if name not in known:
            raise UsageError(f"generate() has no option {name!r}; it knows {', '.join(known)}.")
    given = {name: value for name, value in overrides.items() if value is not None}
    for name, kinds in _BOTH_OVERRIDES.items():
        if name in given:
            given = dict.fromkeys(kinds, given[name]) | given
    merged = replace(merged, **{name: given[name] for name in _PLAIN_OVERRIDES if name in given})
    for name, (block, attribute) in (_SAMPLING_OVERRIDES | _PREFIX_OVERRIDES).items():
        if name in given:
            before: Any = getattr(merged, block) or PrefixConfig()  # of blocks, the prefix alone may be none
            changed: Any = replace(before, **{attribute: given[name]})
            merged = replace(merged, **{block: changed})
    return merged


@phase("config.validate")
def validate_generation_params(*, temperature: float, top_k: int, cfg_scale: float) -> None:
    """The command line's check: each must be a positive, finite number.

    Raises:
        UsageError: names the flag.
    """
    _check_number("--temperature", temperature)
    if temperature <= 0:
        raise UsageError(f"--temperature must be above 0, not {temperature:g}; for argmax say --greedy.")
    _check_integer("--topk", top_k, least=1)
    _check_number("--cfg", cfg_scale)
    if cfg_scale <= 0:
        raise UsageError(f"--cfg must be above 0, not {cfg_scale:g}; 1 turns guidance off.")


@phase("config.build")
def build_generation_config(*, temperature: float, top_k: int, cfg_scale: float) -> GenerationConfig:
    """The command line's config: one pair of sampling values for text and audio."""
    sampling = SamplingConfig(temperature, top_k)
    return GenerationConfig(text=sampling, audio=sampling, cfg_scale=cfg_scale)


@phase("script.load")
def load_script_text(source: str) -> str:
    """The script that `source` names: a UTF-8 file, `-` for standard input, or else the text itself.

    Raises:
        UsageError: the file cannot be read, is too large, or is not UTF-8 text; or `source` looks like a file
            and there is none.
        Dia2Error: standard input is closed, or cannot be read.
    """
    if source == "-":
        return _decode(read_input(4 * MAX_SCRIPT_CHARS + 1), "standard input")
    if is_folder(source):
        raise UsageError(f"Script {source} is a folder: give a text file, - for standard input, or the text itself.")
    if not os.path.exists(source):  # noqa: PTH110  # a script is often no legal path, and pathlib raises then
        if re.fullmatch(r"[^\n\[\]<>]+\.(txt|md)", source):
            raise UsageError(
                f"There is no script file {source}: give a file, - for standard input, or the text itself."
            )
        return source
    try:
        with Path(source).open("rb") as file:
            return _decode(file.read(4 * MAX_SCRIPT_CHARS + 1), source)
    except OSError as error:
        raise UsageError(f"Script file {source} cannot be read: {error.strerror}.") from error


def no_script(given: object, what: str = "The script") -> UsageError:
    """The error for what is no text where a script, or a part of one, should be."""
    if isinstance(given, bytes | bytearray | memoryview):
        return UsageError(f"{what} is bytes, not text: decode it, by text.decode('utf-8').")
    if isinstance(given, os.PathLike):
        return UsageError(f"{what} is a path, not text: read it, by path.read_text(encoding='utf-8').")
    if isinstance(given, Awaitable):
        return UsageError(
            f"{what} is a coroutine of an async function: await it, and give the text, or list of texts, that comes."
        )
    if isinstance(given, AsyncIterable):
        return UsageError(
            f"{what} comes from an async iterator, and is read by a plain for loop: collect it first, by "
            "[piece async for piece in pieces], or let a thread put its pieces into a queue and read that."
        )
    if what == "The script" and isinstance(given, Iterator):
        return UsageError(
            "The script is an iterator, which stream() takes: generate() needs a string, or a list of them."
        )
    wanted = "a string, or a list of strings" if what == "The script" else "a string"
    return UsageError(f"{what} must be {wanted}, not {short(given)}.")


@phase("script.normalize")
def normalize_script(script: str | Sequence[str]) -> str:
    """One string: a list of lines is stripped line by line and joined with newlines.

    Raises:
        UsageError: the script is empty, or is not text.
    """
    if not isinstance(script, Sequence) or isinstance(script, bytes | bytearray | memoryview):
        raise no_script(script)
    lines = [script] if isinstance(script, str) else list(script)
    for line in lines:
        if not isinstance(line, str):
            raise no_script(line, "A line of the script")
    text = "\n".join(line.strip() for line in lines).strip()
    if not text:
        raise UsageError('The script is empty: give some text, such as "[S1] Hello. [S2] Hi!".')
    return text


def streamed_script(script: str | Sequence[str] | Iterable[str]) -> Iterable[str]:
    """Pieces of a script that may still be written; one piece where all of it is there.

    Raises:
        UsageError: it is empty, or no text.
    """
    if isinstance(script, str | list | tuple):
        return [normalize_script(script)]
    if isinstance(script, bytes | bytearray | memoryview | Mapping) or not isinstance(script, Iterable):
        raise no_script(script)
    return script


def _decode(content: bytes, where: str) -> str:
    if len(content) > 4 * MAX_SCRIPT_CHARS:
        raise UsageError(f"The script in {where} has more than {MAX_SCRIPT_CHARS:,} characters: split it into parts.")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"The script in {where} is not UTF-8 text (byte {error.start}): save it as UTF-8.") from error


def _check_number(name: str, value: object, least: float | None = None) -> None:
    if not is_number(value):
        raise UsageError(f"{name} must be a finite number, not {short(value)}.")
    assert isinstance(value, int | float), "is_number says so"
    if least is not None and value < least:
        raise UsageError(f"{name} must be at least {least:g}, not {value:g}.")


def _check_integer(name: str, value: object, least: int | None = None, most: int | None = None) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise UsageError(f"{name} must be a whole number, not {short(value)}.")
    if least is not None and value < least:
        raise UsageError(f"{name} must be at least {least}, not {short(value)}.")
    if most is not None and value > most:
        raise UsageError(f"{name} must be at most {most}, not {short(value)}.")
