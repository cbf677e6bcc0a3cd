"""Words with times, from a file or list that may be wrong in every way, and from Whisper."""

import json
import math
import pickle
import sys
import types
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import torch

from dia2.common.checks import short
from dia2.common.errors import Dia2Error, UsageError
from dia2.generation import PlacedWord
from dia2.runtime.audio_io import load_audio
from dia2.runtime.words import WHISPER_RATE, Word, load_whisper, read_words, transcribe_words

from ..support.reference import ROOT
from ..support.whisper_checkpoint import write_tiny_whisper

TINY8 = ROOT / "tiny8"
CPU = torch.device("cpu")
Row = dict[str, Any]


@pytest.fixture(autouse=True)
def _no_model_is_kept_from_one_test_to_the_next() -> Iterator[None]:
    yield
    load_whisper.cache_clear()


def row(text: object = "Hi", start: object = 0.1, end: object = 0.4) -> Row:
    return {"text": text, "start": start, "end": end}


def refused(rows: Any, seconds: float = 10.0) -> str:
    with pytest.raises(UsageError) as error:
        read_words(rows, seconds)
    message = str(error.value)
    assert "\n" not in message
    return message


def test_words_of_a_list_are_stripped_and_empty_ones_skipped() -> None:
    rows = [row(" Ah ", 0, 0.1), row("", 0.1, 0.2), row(" \t", 0.2, 0.2), row("well,\n", 0.2, 1)]
    assert read_words(rows, 1.0) == [Word("Ah", 0.0, 0.1), Word("well,", 0.2, 1.0)]


def test_words_of_characters_that_nobody_sees_are_skipped_and_others_lose_them() -> None:
    rows = [
        row("\ufeffAh\u200b", 0, 0.1),
        row("\u200b\u2060", 0.1, 0.2),
        row(" \u200d ", 0.2, 0.2),
        row("می\u200cخ", 0.2, 1),
    ]
    assert read_words(rows, 1.0) == [Word("Ah", 0.0, 0.1), Word("می\u200cخ", 0.2, 1.0)]
    assert refused([row("\u200b"), row("\u00ad", 0.5, 0.6)]) == (
        "The given word list holds no words: write down what the prefix says."
    )


def test_words_of_a_file_are_those_of_the_list(tmp_path: Path) -> None:
    rows = [row("Grüße", 0.25, 0.5), row("语", 1, 1.5)]
    path = tmp_path / "words.json"
    path.write_text(json.dumps(rows, ensure_ascii=False), encoding="utf-8")
    assert read_words(path, 2.0) == read_words(str(path), 2.0) == read_words(rows, 2.0)


@pytest.mark.parametrize("kind", [list, tuple])
def test_words_of_format_2_are_those_of_its_list(tmp_path: Path, kind: Callable[[list[Row]], Any]) -> None:
    rows = [{"text": "Grüße", "start": 0.24, "speaker": 2}, {"text": "语", "start": 1.0, "speaker": 1}]
    made = {"format": 2, "words": kind(rows), "more": None}
    path = tmp_path / "words.json"
    path.write_text(json.dumps(made), encoding="utf-8")
    expected = [Word("Grüße", 0.24, 0.74), Word("语", 1.0, 1.5)]
    assert read_words(made, 2.0) == read_words(MappingProxyType(made), 2.0) == read_words(path, 2.0) == expected
    assert read_words(rows, 2.0) == expected, "a bare list stays as it stands"


def test_the_words_of_a_result_are_those_of_its_sound() -> None:
    placed = [PlacedWord("Hello", 0.24, 1, 0.4), PlacedWord("there.", 0.75, 1, 0.91)]
    assert read_words(placed, 2.0) == [Word("Hello", 0.24, 0.74), Word("there.", 0.75, 1.25)]


@pytest.mark.parametrize("format_", [1, 3, 2.0, True, "2", None, [2], "x" * 5000], ids=lambda value: repr(value)[:9])
def test_words_of_another_format_are_refused(tmp_path: Path, format_: object) -> None:
    made = {"format": format_, "words": [row()]}
    path = tmp_path / "words.json"
    path.write_text(json.dumps(made), encoding="utf-8")
    for source, name in ((made, "The given word list"), (path, str(path))):
        assert refused(source) == (
            f"{name} has the words format {short(format_)}, which this dia2 does not know: give format 2, as --words "
            "writes it, or the list of words alone."
        )


@pytest.mark.parametrize("words", [None, "Hi", 5, {}, {"0": row()}], ids=str)
def test_format_2_without_a_list_of_words_is_refused(words: object) -> None:
    assert refused({"format": 2, "words": words}).startswith("The given word list is not a list of words: write [")
    assert refused({"format": 2}).startswith("The given word list is not a list of words: write [")
    assert refused({"words": [row()]}).startswith("The given word list is not a list of words: write [")


def test_a_byte_order_mark_and_further_keys_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "words.json"
    path.write_text(json.dumps([row() | {"probability": 0.9}]), encoding="utf-8-sig")
    assert read_words(path, 1.0) == [Word("Hi", 0.1, 0.4)]


def test_the_published_word_files_are_read() -> None:
    assert read_words(TINY8 / "spk1b.words.json", 1.6) == [
        Word("Ah", 0.0, 0.1),
        Word("well", 0.2, 0.36),
        Word("now", 0.6, 1.0),
    ]


def test_words_may_touch_and_the_last_may_end_a_frame_past_the_audio() -> None:
    rows = [row("a", 0, 0.5), row("b", 0.5, 0.5), row("c", 0.5, 1.08)]
    assert [word.text for word in read_words(rows, 1.0)] == ["a", "b", "c"]


@pytest.mark.parametrize("rows", [[], [row("")], [row(" "), row("\n", 0.5, 0.6)]])
def test_a_list_without_words_is_refused(rows: list[Row]) -> None:
    assert refused(rows) == "The given word list holds no words: write down what the prefix says."


@pytest.mark.parametrize(
    "wrong",
    ["Hi", 5, None, ["Hi", 0.1, 0.4], {}, {"text": "Hi", "end": 0.4}, {"word": "Hi", "start": 0.1, "end": 0.4}],
)
def test_what_is_no_word_with_times_is_refused_by_its_number(wrong: object) -> None:
    message = (
        'The given word list, word 2 is not like {"text": "Hello", "start": 0.1, "end": 0.4} ("end" may be left out).'
    )
    assert refused([row(), wrong]) == message


@pytest.mark.parametrize("text", [None, 5, ["Hi"], b"Hi", True])
def test_a_text_that_is_no_string_is_refused(text: object) -> None:
    assert refused([row(text)]) == "The given word list, word 1: its text is not a string."


@pytest.mark.parametrize("key", ["start", "end"])
@pytest.mark.parametrize(
    "time", [-0.1, -1, math.nan, math.inf, -math.inf, "0.1", None, True, [0.1], 10**400], ids=lambda time: str(time)[:9]
)
def test_a_time_that_is_no_number_of_seconds_is_refused(key: str, time: object) -> None:
    message = f"The given word list, word 1: its {key} must be a number of seconds, at least 0."
    assert refused([row() | {key: time}]) == message


def test_a_word_that_ends_before_it_starts_is_refused() -> None:
    message = "The given word list, word 1: it ends at 0.4 s, before it starts (0.5 s)."
    assert refused([row("Hi", 0.5, 0.4)]) == message


def test_unsorted_words_are_refused() -> None:
    message = (
        "The given word list, word 2 'first' starts at 0.5 s, before the word listed before it: sort the words by time."
    )
    assert refused([row("second", 1, 2), row("first", 0.5, 0.9)]) == message


def test_overlapping_words_are_refused() -> None:
    message = "The given word list, word 2 'two' starts at 0.3 s, before the last one ends (0.4 s)."
    assert refused([row("one"), row("two", 0.3, 0.5)]) == message


def test_even_skipped_words_must_not_overlap() -> None:
    assert "word 2 'two' starts at 0.3 s, before the last one ends (0.4 s)" in refused([row(""), row("two", 0.3, 0.5)])


@pytest.mark.parametrize("text", ["late", ""])
def test_a_word_past_the_audio_is_refused(text: str) -> None:
    message = f"The given word list, word 2 {text!r} ends at 1.2 s, after the audio (1.00 s): is it the right file?"
    assert refused([row(), row(text, 1, 1.2)], seconds=1.0) == message


@pytest.mark.parametrize("control", ["\0", "\x1b", "\x7f", "\x9b"])
def test_control_characters_are_refused(control: str) -> None:
    message = f"The given word list, word 1 has the control character U+{ord(control):04X} at position 1: remove it."
    assert refused([row(f"H{control}i")]) == message


def test_a_long_word_is_shortened_in_messages() -> None:
    assert len(refused([row("x" * 2_000, 1, 2), row("y" * 2_000, 0.5, 0.6)])) < 200


def test_a_text_that_is_no_word_is_refused() -> None:
    message = "The given word list, word 2: its text has more than 2,000 characters: give it word by word."
    assert refused([row(), row("x" * 2_001, 0.5, 0.6)]) == message


def test_more_words_than_frames_are_refused() -> None:
    words = [row("a", 0.5, 0.5)] * 14
    message = "The given word list holds 14 words for 1.00 s of audio: is it the right file?"
    assert refused(words, seconds=1.0) == message
    assert len(read_words(words[:13], 1.0)) == 13


def file_refused(path: Path, content: bytes | str) -> str:
    """The message of the refusal, without the path in it."""
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return refused(path).replace(str(path), "FILE")


NOT_JSON = 'Words file FILE is not JSON: write [{"text": "Hi", "start": 0.1, "end": 0.4}}, …].'.replace("}}", "}")
NO_LIST = 'FILE is not a list of words: write [{"text": "Hello", "start": 0.1, "end": 0.4}, …].'


@pytest.mark.parametrize(
    "content",
    ["", "Hello there", "[{]", '[{"text": "Hi"', "[1, 2,]", b"\xff\xfe[\0]\0", b"\x80\x81", "[" * 100_000, b"RIFF\0\0"],
    ids=lambda content: repr(content[:10]),
)
def test_a_file_that_is_not_json_is_refused(tmp_path: Path, content: bytes | str) -> None:
    assert file_refused(tmp_path / "w.json", content) == NOT_JSON


@pytest.mark.parametrize("content", ["null", "5", '"Hi"', '{"text": "Hi", "start": 0.1, "end": 0.4}', "true"])
def test_json_that_is_no_list_is_refused(tmp_path: Path, content: str) -> None:
    assert file_refused(tmp_path / "w.json", content) == NO_LIST


def test_errors_of_a_file_name_it_and_the_word(tmp_path: Path) -> None:
    content = json.dumps([row(), row("two", 0.3, 0.5)])
    assert file_refused(tmp_path / "w.json", content) == (
        "FILE, word 2 'two' starts at 0.3 s, before the last one ends (0.4 s)."
    )


@pytest.mark.parametrize(
    "time",
    ["NaN", "Infinity", "-1", "1e999", "1" + "0" * 400, "1" + "0" * 5000],
    ids=lambda time: f"{time[:9]}, {len(time)} characters",
)
def test_numbers_that_only_json_can_write_are_refused(tmp_path: Path, time: str) -> None:
    content = f'[{{"text": "Hi", "start": 0.1, "end": {time}}}]'
    path = tmp_path / "w.json"
    assert file_refused(path, content) in (
        "FILE, word 1: its end must be a number of seconds, at least 0.",
        NOT_JSON,  # Python reads no integer of more than 4300 digits
    )


def test_a_huge_file_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "w.json"
    with path.open("wb") as file:
        file.truncate(64 << 20)  # a hole
    assert refused(path) == f"Words file {path} is larger than 1 MB: is it the right file?"


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    assert refused(tmp_path / "no.json") == f"There is no words file {tmp_path / 'no.json'}: check the path."


def test_a_folder_is_refused(tmp_path: Path) -> None:
    assert refused(tmp_path) == f"Words file {tmp_path} cannot be read: Is a directory."


def test_a_name_that_no_file_can_have_is_refused(tmp_path: Path) -> None:
    assert "cannot be read: File name too long." in refused(tmp_path / ("a" * 300))


@pytest.fixture(scope="module")
def tiny_whisper(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_tiny_whisper(tmp_path_factory.mktemp("whisper") / "tiny.pt"))


def test_whisper_hears_words_that_are_read_back_as_they_are(tiny_whisper: str) -> None:
    samples = load_audio(TINY8 / "spk1.wav", WHISPER_RATE)
    words = transcribe_words(samples, tiny_whisper, CPU)
    assert [word.text for word in words] == ["Hello", "there,", "friend."]
    assert read_words([asdict(word) for word in words], len(samples) / WHISPER_RATE) == words


def test_on_mps_whisper_runs_on_the_cpu(tiny_whisper: str) -> None:
    samples = load_audio(TINY8 / "spk1.wav", WHISPER_RATE)
    assert len(transcribe_words(samples, tiny_whisper, torch.device("mps"))) == 3


def failure(whisper_model: str, kind: type[Dia2Error] = Dia2Error) -> str:
    with pytest.raises(Dia2Error) as error:
        transcribe_words(torch.zeros(WHISPER_RATE), whisper_model, CPU)
    assert type(error.value) is kind
    message = str(error.value)
    assert "\n" not in message
    return message


def test_without_whisper_the_error_tells_how_to_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "whisper", None)
    assert failure("turbo", UsageError) == (
        "Whisper is not installed: pip install 'dia2-inspect[whisper]', or give word times by --prefix-words-1/2."
    )


@pytest.mark.parametrize("name", ["nonsense", "no/such/file.pt", ""])
def test_an_unknown_name_is_refused_with_the_known_ones(name: str) -> None:
    message = failure(name, UsageError)
    assert message.startswith(f"There is no Whisper model {name!r}: give a path, or one of tiny.en, tiny,")
    assert "turbo" in message


def test_a_folder_is_no_whisper_model(tmp_path: Path) -> None:
    assert failure(str(tmp_path), UsageError).startswith(f"There is no Whisper model '{tmp_path}'")


def test_a_name_that_no_file_can_have_is_no_whisper_model() -> None:
    assert failure("a" * 5000, UsageError).startswith("There is no Whisper model 'aaa")


def damaged(kind: str, path: Path, tiny_whisper: str) -> None:
    """Write a checkpoint that is not whole."""
    whole = Path(tiny_whisper).read_bytes()
    contents: dict[str, bytes] = {"empty": b"", "text": b"not a checkpoint\n", "half": whole[: len(whole) // 2]}
    if kind in contents:
        path.write_bytes(contents[kind])
        return
    checkpoint = torch.load(tiny_whisper, weights_only=True)
    changes: dict[str, object] = {
        "without sizes": {"model_state_dict": checkpoint["model_state_dict"]},
        "without a tensor": checkpoint | {"model_state_dict": dict(list(checkpoint["model_state_dict"].items())[1:])},
        "of other sizes": checkpoint | {"dims": checkpoint["dims"] | {"n_text_layer": 2}},
        "a list": [1, 2],
    }
    torch.save(changes[kind], path)


@pytest.mark.parametrize(
    "kind", ["empty", "text", "half", "without sizes", "without a tensor", "of other sizes", "a list"]
)
def test_a_damaged_checkpoint_is_told(tmp_path: Path, tiny_whisper: str, kind: str) -> None:
    path = tmp_path / "damaged.pt"
    damaged(kind, path, tiny_whisper)
    message = failure(str(path))
    assert message.startswith(f"Whisper model {path} cannot be loaded (")
    assert message.endswith("): give the path of a checkpoint, or --prefix-words-1/2.")
    assert len(message) < 400 + len(str(path))


class Intruder:
    """Unpickled, it would make a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.mkdir, (self.folder,)


@pytest.mark.parametrize("container", ["zip", "pickle"])
def test_code_in_a_checkpoint_is_not_run(tmp_path: Path, container: str) -> None:
    made, path = tmp_path / "made", tmp_path / "evil.pt"
    if container == "zip":
        torch.save({"dims": Intruder(made), "model_state_dict": {}}, path)
    else:
        path.write_bytes(pickle.dumps({"dims": Intruder(made), "model_state_dict": {}}))
    assert f"Whisper model {path} cannot be loaded (" in failure(str(path))
    assert not made.exists()

    with suppress(RuntimeError):  # "corrupt file?", once the code has run
        torch.load(path, weights_only=False)
    assert made.exists()


def test_a_model_that_cannot_be_downloaded_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise OSError("Network is unreachable")

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("urllib.request.urlopen", unreachable)
    assert failure("tiny") == (
        "Whisper model tiny cannot be loaded (Network is unreachable): "
        "give the path of a checkpoint, or --prefix-words-1/2."
    )


class FakeWhisper(types.ModuleType):
    """Stands in for the package; hears given segments, and keeps what it was asked."""

    def __init__(self, segments: list[Row]) -> None:
        super().__init__("whisper")
        self.segments = segments
        self.asked: list[object] = []

    def load_model(self, name: str, device: torch.device) -> "FakeWhisper":
        self.asked += [name, device.type]
        return self

    def transcribe(self, audio: Any, **options: object) -> Row:
        self.asked += [type(audio).__name__, str(audio.dtype), audio.shape, options]
        return {"segments": self.segments}


def hear(monkeypatch: pytest.MonkeyPatch, segments: list[Row]) -> list[Word]:
    """What becomes of these segments in 3 seconds of audio."""
    monkeypatch.setitem(sys.modules, "whisper", FakeWhisper(segments))
    return transcribe_words(torch.zeros(WHISPER_RATE * 3), "turbo", CPU)


def heard(text: str, start: float, end: float) -> Row:
    return {"word": text, "start": start, "end": end, "probability": 0.9}


def test_whisper_is_given_an_array_and_asked_for_word_times(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeWhisper([{"words": [heard(" Hi", 0.0, 0.5)]}])
    monkeypatch.setitem(sys.modules, "whisper", fake)
    transcribe_words(torch.zeros(WHISPER_RATE), "turbo", CPU)
    options = {"word_timestamps": True, "fp16": False, "verbose": None}
    assert fake.asked == ["turbo", "cpu", "ndarray", "float32", (WHISPER_RATE,), options]


def test_words_of_all_segments_are_stripped_and_empty_ones_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    segments: list[Row] = [
        {"words": [heard(" Hello", 0.1, 0.4), heard(" ", 0.4, 0.5)]},
        {"text": "no words"},
        {"words": [heard(" you.", 1, 2)]},
    ]
    assert hear(monkeypatch, segments) == [Word("Hello", 0.1, 0.4), Word("you.", 1.0, 2.0)]


def test_times_never_lie_past_the_audio(monkeypatch: pytest.MonkeyPatch) -> None:
    words = [heard(" Hello", 2.5, 2.9), heard(" you", 2.9, 3.1), heard(" there.", 3.1, 3.2)]
    assert hear(monkeypatch, [{"words": words}]) == [
        Word("Hello", 2.5, 2.87),
        Word("you", 2.87, 2.95),
        Word("there.", 2.95, 3.0),
    ]


def test_what_nobody_sees_of_what_whisper_heard_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    words = [heard(" \ufeffHello", 0.1, 0.4), heard(" \u200b", 0.4, 0.5), heard(" you\u200d.", 1, 2)]
    assert hear(monkeypatch, [{"words": words}]) == [Word("Hello", 0.1, 0.4), Word("you.", 1.0, 2.0)]


NOTHING: list[list[Row]] = [[], [{"words": []}], [{"words": [heard(" ", 0.0, 0.1), heard(" \u200b", 0.1, 0.2)]}]]


@pytest.mark.parametrize("segments", NOTHING)
def test_hearing_nothing_is_an_error(monkeypatch: pytest.MonkeyPatch, segments: list[Row]) -> None:
    with pytest.raises(UsageError) as error:
        hear(monkeypatch, segments)
    assert str(error.value) == (
        "Whisper (turbo) heard no words in the prefix: check the recording, or give --prefix-words-1/2."
    )


def test_overlapping_words_of_whispers_are_made_readable(monkeypatch: pytest.MonkeyPatch) -> None:
    # Whisper puts the end of a segment's last word at least a median duration after its start, whatever follows;
    # a voice file that holds such words must be readable again.
    words = hear(monkeypatch, [{"words": [heard(" one", 1.0, 1.7)]}, {"words": [heard(" two", 1.52, 2.0)]}])
    assert [word.text for word in words] == ["one", "two"]
    assert read_words([asdict(word) for word in words], 3.0) == words


def test_a_word_without_an_end_ends_with_the_next_or_soon() -> None:
    """So the words that `dia2 generate --words` writes can be given back."""
    rows = [{"text": "a", "start": 0.1, "speaker": 1}, {"text": "b", "start": 0.3}, {"text": "c", "start": 1.8}]
    assert read_words(rows, 2.0) == [Word("a", 0.1, 0.3), Word("b", 0.3, 0.8), Word("c", 1.8, 2.0)]
    assert refused([{"text": "a", "start": "0"}]).startswith("The given word list, word 1 is not like")
    assert "ends at 3 s, after the audio" in refused([{"text": "a", "start": 3.0}], seconds=1.0)


def test_more_than_can_be_said_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """As Whisper hears it now and then in noise: a word again and again, or a sound without end."""
    loop = [heard(" no", 0.01 * i, 0.01 * (i + 1)) for i in range(60)]
    endless = [heard(" a", 0.1, 0.2), *(heard("ha", 0.2, 2.9) for _ in range(1001))]
    for words, first in ((loop, "'no'"), (endless, "'a" + "ha" * 14 + "h'")):
        load_whisper.cache_clear()
        with pytest.raises(UsageError) as error:
            hear(monkeypatch, [{"words": words}])
        assert str(error.value) == (
            f"Whisper (turbo) heard more than can be said in 3.00 s ({first} and so on): "
            "check the recording, or give --prefix-words-1/2."
        )


def test_many_pieces_without_spaces_are_words_that_can_be_read_back(monkeypatch: pytest.MonkeyPatch) -> None:
    words = hear(monkeypatch, [{"words": [heard("今", 0.05 * i, 0.05 * (i + 1)) for i in range(60)]}])
    assert len(words) == 38
    assert "".join(word.text for word in words) == "今" * 60
    assert read_words([asdict(word) for word in words], 3.0) == words


def test_what_was_repaired_is_logged_once(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "dia2")
    hear(monkeypatch, [{"words": [heard(" a", 0.5, 0.5), heard(" b", 0.5, 1.2), heard(" c", 1.0, 1.4)]}])
    assert [line for line in caplog.messages if "repaired" in line] == [
        "Whisper's times of 3 words, repaired: 1 taking no time, 1 overlapping the next"
    ]
    assert all(record.levelname == "INFO" for record in caplog.records)
