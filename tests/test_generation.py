"""Settings merge and are checked, and a script comes from a file, standard input or the text itself."""

import io
import math
import os
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from dia2.common.errors import UsageError
from dia2.generation import (
    MAX_SCRIPT_CHARS,
    GenerationConfig,
    GenerationResult,
    PrefixConfig,
    SamplingConfig,
    build_generation_config,
    load_script_text,
    merge_generation_config,
    normalize_script,
    streamed_script,
    validate_generation_params,
)

KNOWN = (
    "temperature, top_k, temp_text, topk_text, temp_audio, topk_audio, cfg_scale, cfg_filter_k, initial_padding, "
    "prefix, use_cuda_graph, use_torch_compile, use_triton, seed, prefix_speaker_1, prefix_speaker_2, prefix_words_1, "
    "prefix_words_2, include_prefix, whisper"
)
BASE = GenerationConfig(
    text=SamplingConfig(0.1, 1), audio=SamplingConfig(0.2, 2), cfg_scale=3.0, cfg_filter_k=4, initial_padding=5, seed=6
)


def test_the_defaults_are_the_published_ones() -> None:
    config = GenerationConfig()
    assert (config.text, config.audio) == (SamplingConfig(0.6, 50), SamplingConfig(0.8, 50))
    assert (config.cfg_scale, config.cfg_filter_k, config.initial_padding) == (2.0, 50, 2)
    assert (config.prefix, config.use_cuda_graph, config.use_torch_compile, config.seed) == (None, False, False, None)
    assert merge_generation_config(None, {}) == config


@pytest.mark.parametrize(
    ("overrides", "merged"),
    [
        ({"temp_text": 0.9}, replace(BASE, text=SamplingConfig(0.9, 1))),
        ({"topk_text": 9}, replace(BASE, text=SamplingConfig(0.1, 9))),
        ({"temp_audio": 0.9}, replace(BASE, audio=SamplingConfig(0.9, 2))),
        ({"topk_audio": 9}, replace(BASE, audio=SamplingConfig(0.2, 9))),
        ({"temp_text": 0, "topk_text": 0}, replace(BASE, text=SamplingConfig(0, 0))),
        ({"temp_text": 1, "topk_audio": 9}, replace(BASE, text=SamplingConfig(1, 1), audio=SamplingConfig(0.2, 9))),
        ({"temperature": 0.9}, replace(BASE, text=SamplingConfig(0.9, 1), audio=SamplingConfig(0.9, 2))),
        ({"top_k": 9}, replace(BASE, text=SamplingConfig(0.1, 9), audio=SamplingConfig(0.2, 9))),
        (
            {"temp_text": 0.7, "temperature": 0.9, "top_k": 0, "topk_audio": 5},
            replace(BASE, text=SamplingConfig(0.7, 0), audio=SamplingConfig(0.9, 5)),
        ),
        ({"cfg_scale": 9.0}, replace(BASE, cfg_scale=9.0)),
        ({"cfg_filter_k": 0}, replace(BASE, cfg_filter_k=0)),
        ({"initial_padding": 0}, replace(BASE, initial_padding=0)),
        ({"seed": 0}, replace(BASE, seed=0)),
        ({"use_cuda_graph": True}, replace(BASE, use_cuda_graph=True)),
        ({"use_torch_compile": True}, replace(BASE, use_torch_compile=True)),
        ({"use_triton": True}, replace(BASE, use_triton=True)),
        ({"prefix": PrefixConfig("a.wav")}, replace(BASE, prefix=PrefixConfig("a.wav"))),
        ({"prefix_speaker_1": "a.wav"}, replace(BASE, prefix=PrefixConfig(speaker_1="a.wav"))),
        ({"prefix_speaker_2": "b.wav"}, replace(BASE, prefix=PrefixConfig(speaker_2="b.wav"))),
        ({"prefix_words_1": []}, replace(BASE, prefix=PrefixConfig(words_1=[]))),
        ({"prefix_words_2": "b.json"}, replace(BASE, prefix=PrefixConfig(words_2="b.json"))),
        ({"include_prefix": True}, replace(BASE, prefix=PrefixConfig(include_audio=True))),
        ({"whisper": "tiny"}, replace(BASE, prefix=PrefixConfig(whisper="tiny"))),
    ],
    ids=lambda value: ", ".join(value) if isinstance(value, dict) else "",
)  # fmt: skip
def test_an_override_changes_its_field_alone(overrides: dict[str, Any], merged: GenerationConfig) -> None:
    before = replace(BASE)
    assert merge_generation_config(BASE, overrides) == merged
    assert before == BASE


def test_every_known_override_is_tried_above_and_none_changes_nothing() -> None:
    overrides = dict.fromkeys(KNOWN.split(", "))
    assert merge_generation_config(BASE, overrides) == BASE
    assert merge_generation_config(None, overrides) == GenerationConfig()


def test_prefix_overrides_go_on_top_of_the_configs_prefix() -> None:
    base = replace(BASE, prefix=PrefixConfig("a.wav", "b.wav", include_audio=True, words_1="a.json"))
    merged = merge_generation_config(base, {"prefix_speaker_1": "c.wav", "include_prefix": False})
    assert merged.prefix == PrefixConfig("c.wav", "b.wav", include_audio=False, words_1="a.json")


def test_single_prefix_overrides_go_on_top_of_a_whole_one() -> None:
    merged = merge_generation_config(BASE, {"prefix_words_1": "a.json", "prefix": PrefixConfig("a.wav")})
    assert merged.prefix == PrefixConfig("a.wav", words_1="a.json")


@pytest.mark.parametrize("value", [1, None])
@pytest.mark.parametrize("name", ["temperatur", "topk", "text", "cfg", "speaker_1", ""])
def test_an_unknown_override_is_refused_with_the_known_ones(name: str, value: object) -> None:
    with pytest.raises(UsageError) as error:
        merge_generation_config(BASE, {name: value})
    assert str(error.value) == f"generate() has no option {name!r}; it knows {KNOWN}."


NO_NUMBERS = [math.nan, math.inf, -math.inf, True, "1", None, [1.0], 10**400]


def name_of(value: object) -> str:
    return str(value)[:12]


def refused(**fields: Any) -> str:
    with pytest.raises(UsageError) as error:
        GenerationConfig(**fields)
    return str(error.value)


@pytest.mark.parametrize("value", NO_NUMBERS, ids=name_of)
def test_what_is_no_finite_number_is_refused(value: object) -> None:
    assert refused(cfg_scale=value).startswith("cfg_scale must be ")
    assert refused(text=SamplingConfig(value)).startswith("text.temperature must be ")  # type: ignore[arg-type]  # on purpose
    assert refused(audio=SamplingConfig(value)).startswith("audio.temperature must be ")  # type: ignore[arg-type]  # on purpose


@pytest.mark.parametrize("value", [1.0, 1.5, math.nan, True, "1", [1]], ids=name_of)
def test_what_is_no_whole_number_is_refused(value: object) -> None:
    for name in ("cfg_filter_k", "initial_padding", "seed"):
        assert refused(**{name: value}) == f"{name} must be a whole number, not {value!r}."
    sampling = SamplingConfig(0.8, value)  # type: ignore[arg-type]  # on purpose
    assert refused(text=sampling) == f"text.top_k must be a whole number, not {value!r}."
    assert refused(audio=sampling) == f"audio.top_k must be a whole number, not {value!r}."


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"cfg_scale": -0.5}, "cfg_scale must be at least 0, not -0.5."),
        ({"text": SamplingConfig(-0.1)}, "text.temperature must be at least 0, not -0.1."),
        ({"audio": SamplingConfig(-1)}, "audio.temperature must be at least 0, not -1."),
        ({"initial_padding": -1}, "initial_padding must be at least 0, not -1."),
        ({"initial_padding": 10_001}, "initial_padding must be at most 10000, not 10001."),
        ({"seed": -1}, "seed must be at least 0, not -1."),
        ({"seed": 2**64}, f"seed must be at most {2**64 - 1}, not {2**64}."),
    ],
)
def test_numbers_out_of_range_are_refused(fields: dict[str, Any], message: str) -> None:
    assert refused(**fields) == message


def test_the_edges_of_the_ranges_are_accepted() -> None:
    low = GenerationConfig(text=SamplingConfig(0, -1), cfg_scale=0, cfg_filter_k=-1, initial_padding=0, seed=0)
    high = GenerationConfig(audio=SamplingConfig(5, 10**9), cfg_scale=100, initial_padding=10_000, seed=2**64 - 1)
    assert (low.seed, high.seed) == (0, 2**64 - 1)


@pytest.mark.parametrize("name", ["speaker_1", "speaker_2", "words_1", "words_2"])
def test_a_prefix_that_is_no_file_name_is_refused(name: str) -> None:
    with pytest.raises(UsageError) as error:
        PrefixConfig(**{name: 5})  # type: ignore[arg-type]  # on purpose
    assert str(error.value) == f"prefix.{name} must be a file name, not 5."


def test_merged_values_are_checked_too() -> None:
    with pytest.raises(UsageError, match=r"^audio\.temperature must be at least 0, not -1\.$"):
        merge_generation_config(BASE, {"temp_audio": -1})


def test_the_command_lines_values_pass_and_apply_to_text_and_audio() -> None:
    validate_generation_params(temperature=0.8, top_k=50, cfg_scale=1.0)
    config = build_generation_config(temperature=0.7, top_k=40, cfg_scale=1.5)
    assert (config.text, config.audio, config.cfg_scale) == (SamplingConfig(0.7, 40), SamplingConfig(0.7, 40), 1.5)


GOOD: dict[str, Any] = {"temperature": 0.8, "top_k": 50, "cfg_scale": 1.0}


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("temperature", 0, "--temperature must be above 0, not 0; for argmax say --greedy."),
        ("temperature", -0.5, "--temperature must be above 0, not -0.5; for argmax say --greedy."),
        ("top_k", 0, "--topk must be at least 1, not 0."),
        ("top_k", -5, "--topk must be at least 1, not -5."),
        ("top_k", 1.0, "--topk must be a whole number, not 1.0."),
        ("top_k", True, "--topk must be a whole number, not True."),
        ("cfg_scale", 0, "--cfg must be above 0, not 0; 1 turns guidance off."),
        ("cfg_scale", -2, "--cfg must be above 0, not -2; 1 turns guidance off."),
        *[("temperature", value, f"--temperature must be a finite number, not {value!r}.") for value in NO_NUMBERS[:6]],
        *[("cfg_scale", value, f"--cfg must be a finite number, not {value!r}.") for value in NO_NUMBERS[:6]],
    ],
)
def test_the_command_lines_values_must_be_positive_and_finite(field: str, value: object, message: str) -> None:
    with pytest.raises(UsageError) as error:
        validate_generation_params(**GOOD | {field: value})
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("script", "text"),
    [
        ("[S1] Hi", "[S1] Hi"),
        ("  [S1] Hi \n", "[S1] Hi"),
        ("[S1] a\n  [S2] b", "[S1] a\n  [S2] b"),
        (["[S1] a ", "\t[S2] b"], "[S1] a\n[S2] b"),
        (("a", "", "b"), "a\n\nb"),
        (["", "a", " "], "a"),
    ],
)
def test_a_script_becomes_one_text(script: Any, text: str) -> None:
    assert normalize_script(script) == text


@pytest.mark.parametrize("script", ["", " \n\t", [], [""], [" ", "\n"]])
def test_an_empty_script_is_refused(script: Any) -> None:
    with pytest.raises(UsageError) as error:
        normalize_script(script)
    assert str(error.value) == 'The script is empty: give some text, such as "[S1] Hello. [S2] Hi!".'


async def _pieces() -> AsyncIterator[str]:
    yield "[S1] Hello."


class _Coming:
    """What a coroutine is to a script, without Python's warning that nobody waits for it."""

    def __await__(self) -> Iterator[None]:
        yield


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ([1], "A line of the script must be a string, not 1."),
        (["a", None], "A line of the script must be a string, not None."),
        ([b"a"], "A line of the script is bytes, not text: decode it, by text.decode('utf-8')."),
        (b"abc", "The script is bytes, not text: decode it, by text.decode('utf-8')."),
        (bytearray(b"abc"), "The script is bytes, not text: decode it, by text.decode('utf-8')."),
        (None, "The script must be a string, or a list of strings, not None."),
        (5, "The script must be a string, or a list of strings, not 5."),
        (Path("a.txt"), "The script is a path, not text: read it, by path.read_text(encoding='utf-8')."),
        (_Coming(), "The script is a coroutine of an async function: await it, and give the text, or list of texts, "
         "that comes."),
        (_pieces(), "The script comes from an async iterator, and is read by a plain for loop: collect it first, by "
         "[piece async for piece in pieces], or let a thread put its pieces into a queue and read that."),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_a_script_that_is_no_text_is_refused(script: Any, message: str) -> None:
    for read in (normalize_script, streamed_script):
        with pytest.raises(UsageError) as error:
            read(script)
        assert str(error.value) == message


def test_an_iterator_is_for_streams() -> None:
    with pytest.raises(UsageError, match=r"is an iterator, which stream\(\) takes"):
        normalize_script(iter(["[S1] Hi."]))  # type: ignore[arg-type]  # the test
    assert list(streamed_script(iter(["[S1] ", "Hi."]))) == ["[S1] ", "Hi."]
    with pytest.raises(UsageError, match="must be a string"):
        streamed_script({"role": "user"})  # whose names would be spoken


def script_refused(source: str | Path) -> str:
    """The message of the refusal, without the source in it."""
    with pytest.raises(UsageError) as error:
        load_script_text(str(source))
    message = str(error.value)
    assert "\n" not in message
    return message.replace(str(source), "SCRIPT")


@pytest.mark.parametrize("name", ["script.txt", "script.md", "script", "my script.text"])
def test_a_file_is_read_as_utf_8(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes("[S1] Grüße,\r\n语 🎙".encode())
    assert load_script_text(str(tmp_path / name)) == "[S1] Grüße,\r\n语 🎙"


def test_a_byte_order_mark_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("[S1] Hi".encode("utf-8-sig"))
    assert load_script_text(str(tmp_path / "a.txt")) == "[S1] Hi"


@pytest.mark.parametrize(
    "text",
    [
        "[S1] Hello there.", "Hello", "", "[S1] see notes.txt", "a\nb.txt", "[S1] " + "word " * 3000, "nul\0",
        "-x", "a/b", "notes.pdf",
    ],
    ids=name_of,
)  # fmt: skip
def test_what_names_no_file_is_the_text_itself(text: str) -> None:
    assert load_script_text(text) == text


def test_a_dash_is_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("\ufeff[S1] Grüße".encode()), encoding="ascii"))
    assert load_script_text("-") == "[S1] Grüße"


def test_a_pipe_that_the_shell_names_is_read() -> None:
    # As in `dia2 --input <(…)` and `--input /dev/stdin`; its name is not what is to be spoken.
    reader, writer = os.pipe()
    os.write(writer, "[S1] Grüße".encode())
    os.close(writer)
    try:
        assert load_script_text(f"/dev/fd/{reader}") == "[S1] Grüße"
    finally:
        os.close(reader)


def test_a_folder_is_refused(tmp_path: Path) -> None:
    message = "Script SCRIPT is a folder: give a text file, - for standard input, or the text itself."
    assert script_refused(tmp_path) == message


@pytest.mark.parametrize("source", ["no-such-file.txt", "no/such/file.md", "input.txt", "my script.txt"])
def test_a_missing_text_file_is_refused_not_spoken(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    message = "There is no script file SCRIPT: give a file, - for standard input, or the text itself."
    assert script_refused(source) == message


@pytest.mark.parametrize(
    ("content", "byte"), [(b"[S1] caf\xe9 au lait", 8), (b"\xff\xfeH\0i\0", 0), (b"\xed\xa0\x80", 0), (b"ab\xc3", 2)]
)
def test_a_file_that_is_not_utf_8_is_refused(tmp_path: Path, content: bytes, byte: int) -> None:
    (tmp_path / "a.txt").write_bytes(content)
    message = f"The script in SCRIPT is not UTF-8 text (byte {byte}): save it as UTF-8."
    assert script_refused(tmp_path / "a.txt") == message


def test_standard_input_that_is_not_utf_8_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"caf\xe9")))
    assert script_refused("-").startswith("The script in standard input is not UTF")


TOO_LARGE = "has more than 100,000 characters: split it into parts."


def test_a_file_too_large_for_any_script_is_refused_unread(tmp_path: Path) -> None:
    with (tmp_path / "a.txt").open("wb") as file:
        file.truncate(1 << 40)  # 1 TB, all of them a hole
    assert script_refused(tmp_path / "a.txt") == f"The script in SCRIPT {TOO_LARGE}"


def test_endless_standard_input_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Endless(io.RawIOBase):
        def readable(self) -> bool:
            return True

        def readinto(self, buffer: Any) -> int:
            buffer[:] = b"a" * len(buffer)
            return len(buffer)

    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(Endless())))
    assert script_refused("-").endswith(TOO_LARGE)


def test_the_longest_script_passes_whatever_its_bytes(tmp_path: Path) -> None:
    text = "🎙" * MAX_SCRIPT_CHARS
    (tmp_path / "a.txt").write_text(text, encoding="utf-8")
    assert load_script_text(str(tmp_path / "a.txt")) == text


def test_a_results_duration_is_its_waveforms() -> None:
    result = GenerationResult(
        torch.zeros(1, 8, 10, dtype=torch.int64), torch.zeros(19_200), 24_000, [], [], 0, "end", 0, 0, 0, 10, 1.0
    )
    assert result.duration == 0.8
