"""Voice files give back what was saved, and anything else about them is refused."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from dia2.audio.codec import Codec
from dia2.common.errors import Dia2Error, UsageError
from dia2.runtime.voice_file import Voice, load_voice, save_voice
from dia2.runtime.words import Word

from ..support.reference import ROOT

AUDIO = ROOT / "tiny8" / "spk1.wav"
WORDS = [Word("Hello", 0.16, 0.4), Word("“Grüße”,", 0.48, 0.8), Word("friend.", 0.96, 1.44)]


@pytest.fixture(scope="module")
def codec() -> Codec:
    """Eight codebooks of 64 codes, 12.5 frames a second."""
    return Codec.load(str(ROOT / "tiny8" / "mimi"), num_codebooks=8, device=torch.device("cpu"))


def some_codes(frames: int = 20) -> Tensor:
    return (torch.arange(8 * frames) % 64).view(8, frames)


@pytest.fixture
def path(tmp_path: Path, codec: Codec) -> Path:
    """A good voice file."""
    save_voice(tmp_path / "a.voice", Voice(some_codes(), WORDS), codec=codec, speaker=2, audio=AUDIO)
    return tmp_path / "a.voice"


def contents(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    with safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata()  # noqa: SIM118  # it is no mapping


def alter(path: Path, tensors: dict[str, Tensor] | None = None, **metadata: str | None) -> None:
    """Write the file again with other tensors, or other metadata; None takes a field away."""
    old_tensors, old_metadata = contents(path)
    fields = {name: value for name, value in (old_metadata | metadata).items() if value is not None}
    save_file(old_tensors if tensors is None else tensors, path, fields)


def test_what_was_saved_is_loaded(path: Path, codec: Codec) -> None:
    voice = load_voice(path, codec)
    assert torch.equal(voice.codes, some_codes())
    assert voice.codes.dtype == torch.int64
    assert voice.words == WORDS
    assert load_voice(str(path), codec).words == WORDS
    assert voice.seconds(codec.frame_rate) == 1.6


def test_a_file_says_what_it_is_and_what_it_was_made_of(path: Path, codec: Codec) -> None:
    tensors, metadata = contents(path)
    assert metadata == {
        "format": "dia2-voice",
        "version": "2",
        "speaker": "2",
        "words": metadata["words"],
        "codec_sha256": codec.fingerprint(),
        "audio_sha256": hashlib.sha256(AUDIO.read_bytes()).hexdigest(),
    }
    assert json.loads(metadata["words"])[1] == {"text": "“Grüße”,", "start": 0.48, "end": 0.8}
    assert list(tensors) == ["codes"]
    assert tensors["codes"].dtype == torch.int32


def test_codes_that_lie_across_memory_are_saved_as_they_read(tmp_path: Path, codec: Codec) -> None:
    codes = some_codes(8).T
    save_voice(tmp_path / "a.voice", Voice(codes, WORDS[:1]), codec=codec, speaker=1, audio=AUDIO)
    assert torch.equal(load_voice(tmp_path / "a.voice", codec).codes, codes)


def test_a_voice_of_two_minutes_is_loaded(tmp_path: Path, codec: Codec) -> None:
    save_voice(tmp_path / "a.voice", Voice(some_codes(1500), WORDS), codec=codec, speaker=1, audio=AUDIO)
    assert load_voice(tmp_path / "a.voice", codec).codes.shape == (8, 1500)


def test_the_codec_may_use_fewer_codebooks_only_if_the_file_has_as_few(path: Path) -> None:
    four = Codec.load(str(ROOT / "tiny8" / "mimi"), num_codebooks=4, device=torch.device("cpu"))
    with pytest.raises(UsageError, match=r"holds torch\.int32 codes \[8, 20\], not \[4, T\]\.$"):
        load_voice(path, four)


def test_saving_where_nothing_can_be_written_is_told(tmp_path: Path, codec: Codec) -> None:
    with pytest.raises(Dia2Error, match="could not be written"):
        save_voice(tmp_path / "no" / "a.voice", Voice(some_codes(), WORDS), codec=codec, speaker=1, audio=AUDIO)


def refused(path: Path, codec: Codec) -> str:
    """The message of the refusal, without the path in it."""
    with pytest.raises(UsageError) as error:
        load_voice(path, codec)
    message = str(error.value)
    assert str(path) in message
    assert "\n" not in message
    return message.replace(str(path), "FILE")


@pytest.mark.parametrize("name", ["no.voice", "", "no/such.voice", "a" * 300 + ".voice"])
def test_a_missing_file_or_a_folder_is_refused(tmp_path: Path, codec: Codec, name: str) -> None:
    message = "There is no voice file FILE: make one with `dia2 voice recording.wav -o FILE`."
    assert refused(tmp_path / name, codec) == message


DAMAGED = "Voice file FILE is damaged ("


@pytest.mark.parametrize("content", [b"", b"{}", b"not a voice file\n", bytes(1000), AUDIO.read_bytes()])
def test_what_is_no_safetensors_file_is_refused(path: Path, codec: Codec, content: bytes) -> None:
    path.write_bytes(content)
    assert refused(path, codec).startswith(DAMAGED)


@pytest.mark.parametrize("length", [7, 100, -1])
def test_a_truncated_file_is_refused(path: Path, codec: Codec, length: int) -> None:
    path.write_bytes(path.read_bytes()[:length])
    message = refused(path, codec)
    assert message.startswith(DAMAGED)
    assert message.endswith("): make it again with `dia2 voice`.")


def test_a_header_that_claims_too_much_is_refused(path: Path, codec: Codec) -> None:
    path.write_bytes((2**62).to_bytes(8, "little") + path.read_bytes()[8:])
    assert refused(path, codec).startswith(DAMAGED)


def test_a_huge_file_is_refused_unread(path: Path, codec: Codec) -> None:
    with path.open("r+b") as file:
        file.truncate(1 << 30)  # a hole
    assert refused(path, codec) == "Voice file FILE is larger than 16 MB: make it again with `dia2 voice`."


NO_VOICE = "FILE is not a voice file: make one with `dia2 voice`."


def test_another_safetensors_file_is_refused(codec: Codec) -> None:
    assert refused(ROOT / "sampler.safetensors", codec) == NO_VOICE


def test_a_voice_without_codes_or_format_is_refused(path: Path, codec: Codec) -> None:
    alter(path, {"code": some_codes().int()})
    assert refused(path, codec) == NO_VOICE
    alter(path, {"codes": some_codes().int()}, format=None)
    assert refused(path, codec) == NO_VOICE


@pytest.mark.parametrize("version", ["3", "0", "1.1", "", None])
def test_another_version_is_refused(path: Path, codec: Codec, version: str | None) -> None:
    alter(path, version=version)
    assert refused(path, codec) == f"Voice file FILE has format version {version!r}; this one reads 1 and 2."


def test_a_runs_words_in_a_file_of_version_1_are_two_frames_late_and_moved(path: Path, codec: Codec) -> None:
    # As such files were made of what `--words` wrote then: (step − cut) / 12.5.
    rows = [{"text": "Oh", "start": 0.08, "end": 0.48}, {"text": "you.", "start": 0.48, "end": 0.98}]
    alter(path, version="1", words=json.dumps(rows))
    words = load_voice(path, codec).words
    assert [word.text for word in words] == ["Oh", "you."]
    assert [word.start for word in words] == pytest.approx([0.0, 0.32])
    assert [word.end for word in words] == pytest.approx([0.32, 0.82])
    alter(path, version="2")
    assert load_voice(path, codec).words == [Word("Oh", 0.08, 0.48), Word("you.", 0.48, 0.98)]


def test_words_that_whisper_heard_stay_in_a_file_of_version_1(path: Path, codec: Codec) -> None:
    rows = [{"text": "Oh", "start": 0.08, "end": 0.48}, {"text": "you.", "start": 0.5, "end": 0.98}]
    alter(path, version="1", words=json.dumps(rows))
    assert load_voice(path, codec).words == [Word("Oh", 0.08, 0.48), Word("you.", 0.5, 0.98)]


def test_a_voice_of_another_codec_is_refused(path: Path) -> None:
    other = Codec.load(str(ROOT / "tiny4" / "mimi"), num_codebooks=4, device=torch.device("cpu"))
    message = "Voice file FILE was made with another codec: make it again with this checkpoint's."
    assert refused(path, other) == message


@pytest.mark.parametrize("fingerprint", [None, "", "0" * 64])
def test_a_voice_of_an_unknown_codec_is_refused(path: Path, codec: Codec, fingerprint: str | None) -> None:
    alter(path, codec_sha256=fingerprint)
    assert "was made with another codec" in refused(path, codec)


@pytest.mark.parametrize(
    "codes",
    [
        some_codes().int()[0], some_codes().int()[None], some_codes().int()[:7], some_codes().int().T.contiguous(),
        some_codes().int()[:, :0], some_codes(1501).int(), torch.tensor(5, dtype=torch.int32),
        some_codes(), some_codes().float(), some_codes().short(), some_codes().bool(),
    ],
    ids=lambda codes: f"{codes.dtype} {list(codes.shape)}",
)  # fmt: skip
def test_codes_of_another_shape_or_type_are_refused(path: Path, codec: Codec, codes: Tensor) -> None:
    alter(path, {"codes": codes.contiguous()})
    assert refused(path, codec) == f"Voice file FILE holds {codes.dtype} codes {list(codes.shape)}, not [8, T]."


@pytest.mark.parametrize("code", [-1, 64, 2**31 - 1, -(2**31)])
def test_codes_that_the_codec_lacks_are_refused(path: Path, codec: Codec, code: int) -> None:
    codes = some_codes().int()
    codes[3, 7] = code
    alter(path, {"codes": codes})
    assert refused(path, codec) == "Voice file FILE holds codes outside 0 to 63: make it again."


@pytest.mark.parametrize("words", [None, "", "Hello", "[{]", "[" * 100_000], ids=lambda words: str(words)[:8])
def test_words_that_are_not_json_are_refused(path: Path, codec: Codec, words: str | None) -> None:
    alter(path, words=words)
    assert refused(path, codec) == "Voice file FILE is damaged (its words are not JSON): make it again."


@pytest.mark.parametrize("words", ["null", "5", "{}", '"Hello"'])
def test_words_that_are_no_list_are_refused(path: Path, codec: Codec, words: str) -> None:
    alter(path, words=words)
    assert refused(path, codec) == "Voice file FILE is damaged (its words are not a list): make it again."


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"text": "Hi", "start": 1.6, "end": 1.7}, ", word 1 'Hi' ends at 1.7 s, after the audio (1.60 s): is it"),
        ({"text": "Hi", "end": 0.1}, ', word 1 is not like {"text": '),
        ({"text": "\x1b[2J", "start": 0.1, "end": 0.2}, ", word 1 has the control character U+001B"),
        ({"text": "", "start": 0.1, "end": 0.2}, " holds no words"),
    ],
)
def test_words_that_do_not_fit_are_refused(path: Path, codec: Codec, row: dict[str, Any], message: str) -> None:
    alter(path, words=json.dumps([row]))
    assert refused(path, codec).startswith(f"Voice file FILE{message}")
