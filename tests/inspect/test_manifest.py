"""The manifest field by field: what is written is what is read, and every bound is exactly where it is said to be."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from dia2.adapter.layout import MAX_PREFIX_FRAMES
from dia2.adapter.manifest import Manifest, parse_manifest
from dia2.common.errors import TraceError
from dia2.common.hooks import MAX_CODEBOOKS
from dia2.generation import PrefixConfig
from dia2.inspect.store.layout import MANIFEST, MAX_CALLS, MAX_VOCABULARY
from dia2.inspect.store.manifest import read_raw_manifest
from dia2.runtime.assets import nano_folder

HERE = Path("run.dia2trace")
TEXTS, AUDIO = 1024, 258  # the sample's vocabularies


def sample() -> dict[str, Any]:
    """The packaged run, with a prefix of two voices and two edits put into it."""
    raw = read_raw_manifest(nano_folder() / "sample.dia2trace")
    run = raw["run"]
    run["prefix_words"], run["prefix_frames"], run["voice_frames"] = 2, 30, [20, 10]
    run["entries"][0][3], run["entries"][1][3] = 1, 2
    run["spoken"] = [
        {"text": "Hello", "start": 0.25, "end": 0.5, "speaker": 1},
        {"text": "there.", "start": 0.0, "end": 1.0, "speaker": 2},
    ]
    run["config"]["prefix"] = {
        "speaker_1": "a.wav", "speaker_2": "b.wav", "words_1": "a.json", "words_2": "b.json", "include_audio": True,
    }  # fmt: skip
    run["forked_at"] = 5
    raw["budget"]["tokens_only_from_call"] = 7
    raw["error"] = "the\n disk\x1b[31m is full"
    raw["redacted"] = ["voice"]
    return raw


def parent(raw: dict[str, Any], at: str) -> tuple[Any, str | int]:
    """Where the value of a dotted path stands."""
    inner: Any = raw
    *folders, last = (int(part) if part.isdigit() else part for part in at.split("."))
    for folder in folders:
        inner = inner[folder]
    return inner, last


def changed(*changes: tuple[str, Any]) -> Manifest:
    raw = sample()
    for at, value in changes:
        inner, last = parent(raw, at)
        inner[last] = value
    return parse_manifest(raw, HERE)


def test_what_is_written_is_read() -> None:
    raw, read = sample(), parse_manifest(sample(), HERE)
    run, result = read.run, read.result
    assert run is not None
    assert asdict(run.model) == {"products": None} | raw["run"]["model"]  # a trace from before they were told
    assert [asdict(word) for word in run.spoken] == raw["run"]["spoken"]
    assert [[e.text, e.tokens, e.padding, e.speaker] for e in run.entries] == raw["run"]["entries"]
    assert [list(word) for word in result.timestamps or []] == raw["result"]["timestamps"]
    for name in ("hashes", "seed", "forked_at", "prefix_words", "prefix_frames", "voice_frames"):
        assert getattr(run, name) == raw["run"][name], name
    for name in ("stop_reason", "first_word_frame", "columns", "crop", "samples"):
        assert getattr(result, name) == raw["result"][name], name
    for name in (
        "status",
        "started",
        "versions",
        "level",
        "hooks",
        "draws",
        "never_fired",
        "calls",
        "script",
        "redacted",
    ):
        assert getattr(read, name) == raw[name], name
    config = raw["run"]["config"]
    assert run.config.prefix == PrefixConfig(**config["prefix"])
    for name in ("cfg_scale", "cfg_filter_k", "initial_padding"):
        assert getattr(run.config, name) == config[name], name
    for name in ("text", "audio"):
        assert asdict(getattr(run.config, name)) == config[name]
    assert (read.tokens_only_from, read.audio) == (7, True)
    assert read.error == "the� disk�[31m is full"
    assert parse_manifest(sample() | {"error": "e" * 501}, HERE).error == "e" * 500


RUN, MODEL, CONFIG = "run", "run.model", "run.config"
BOUNDS: dict[str, tuple[float, float | None]] = {
    "calls": (0, MAX_CALLS),
    "budget.tokens_only_from_call": (0, MAX_CALLS),
    f"{RUN}.seed": (0, 2**64 - 1),
    f"{RUN}.forked_at": (0, MAX_CALLS),
    f"{RUN}.prefix_words": (2, None),  # two were said
    f"{RUN}.entries.3.1.0": (-1, TEXTS - 1),
    f"{RUN}.entries.3.2": (0, MAX_CALLS),
    f"{RUN}.entries.3.3": (0, 2),
    f"{RUN}.entries.0.3": (1, 2),  # in the prefix: somebody who has a recording
    f"{RUN}.spoken.0.start": (0, 1e5),
    f"{RUN}.spoken.0.end": (0, 1e5),
    f"{RUN}.spoken.0.speaker": (1, 2),
    f"{MODEL}.delays.0": (0, 10_000),
    f"{MODEL}.branches": (1, 2),
    f"{MODEL}.text_vocabulary": (TEXTS, 1 << 24),  # the tokens need so many
    f"{MODEL}.audio_vocabulary": (AUDIO, MAX_VOCABULARY),
    f"{MODEL}.actions": (1, MAX_VOCABULARY),
    f"{MODEL}.codes": (1, AUDIO),
    f"{MODEL}.second_stream_ahead": (0, 1000),
    f"{MODEL}.max_padding": (0, 10_000),
    f"{MODEL}.max_context_steps": (1, MAX_CALLS),
    f"{MODEL}.frame_rate": (0.01, 100_000),
    f"{MODEL}.sample_rate": (1, 1_000_000),
    f"{MODEL}.layers": (1, 10_000),
    f"{MODEL}.heads": (1, 10_000),
    f"{MODEL}.kv_heads": (1, 10_000),
    f"{MODEL}.depformer_layers": (0, 10_000),
    f"{MODEL}.tokens.pad": (-10, TEXTS - 1),
    f"{MODEL}.tokens.audio_pad": (0, AUDIO - 1),
    f"{MODEL}.tokens.audio_bos": (0, AUDIO - 1),
    f"{MODEL}.tokens.ungenerated": (-10, -1),
    f"{CONFIG}.text.temperature": (0, 1e4),
    f"{CONFIG}.audio.top_k": (-(2**31), 2**31),
    f"{CONFIG}.cfg_scale": (0, 1e9),
    f"{CONFIG}.cfg_filter_k": (-(2**31), 2**31),
    f"{CONFIG}.initial_padding": (0, 10_000),
    "result.first_word_frame": (0, MAX_CALLS),
    "result.columns": (0, 2 * MAX_CALLS),
    "result.crop": (0, MAX_CALLS),
    "result.samples": (0, 1 << 40),
    "result.timestamps.0.2": (0, 2),
}


@pytest.mark.parametrize("at", BOUNDS)
def test_both_ends_are_read_and_what_lies_beyond_is_refused(at: str) -> None:
    least, most = BOUNDS[at]
    step = 0.001 if isinstance(least, float) else 1
    for good in (end for end in (least, most) if end is not None):
        changed((at, good))
    beyond: list[Any] = [least - step, *([] if most is None else [most + 1])]
    for bad in [*beyond, True, "1", float("nan"), [], {}]:
        with pytest.raises(TraceError, match=r"run\.dia2trace.*is damaged"):
            changed((at, bad))


@pytest.mark.parametrize("count", [0, 1, MAX_CODEBOOKS, MAX_CODEBOOKS + 1])
def test_there_are_as_many_delays_as_codebooks(count: int) -> None:
    changes: Any = ((f"{MODEL}.codebooks", count), (f"{MODEL}.delays", [0] * count), ("draws", ["action", "cb0"]))
    if count in (0, MAX_CODEBOOKS + 1):
        with pytest.raises(TraceError, match="codebooks"):
            changed(*changes)
    else:
        changed(*changes)
        with pytest.raises(TraceError, match="delays"):
            changed(*changes, (f"{MODEL}.delays", [0] * (count + 1)))


def test_draws_are_those_of_the_codebooks_each_once() -> None:
    for draws in (["dep.8"], ["dep.0"], ["cb0", "cb0"], ["attention"]):
        with pytest.raises(TraceError, match="draws"):
            changed(("draws", draws))
    last = ["action", f"dep.{MAX_CODEBOOKS - 1}"]
    assert changed(("run", None), ("draws", last)).draws == last  # nobody knows how many codebooks there were
    with pytest.raises(TraceError, match="draws"):
        changed(("run", None), ("draws", [f"dep.{MAX_CODEBOOKS}"]))


WRONG: dict[str, tuple[str, Any]] = {
    "a third voice": (f"{RUN}.voice_frames", [10, 10, 10]),
    "voices longer than the prefix": (f"{RUN}.voice_frames", [20, 11]),
    "voices shorter than the prefix": (f"{RUN}.voice_frames", [20, 9]),
    "a voice that ends before it begins": (f"{RUN}.voice_frames", [31, -1]),
    "a word of a voice that is not there": (f"{RUN}.voice_frames", [30]),
    "frames of half a number": (f"{RUN}.voice_frames", [20.0, 10]),
    "more words than entries": (f"{RUN}.prefix_words", 10_000),
    "fewer words than were said": (f"{RUN}.prefix_words", 1),
    "an entry of three": (f"{RUN}.entries.0", ["Hello", [1], 2]),
    "an entry of a dict": (f"{RUN}.entries.0", {}),
    "an entry without a text": (f"{RUN}.entries.0.0", 7),
    "tokens in a text": (f"{RUN}.entries.0.1", "tokens"),
    "a word said by nobody": (f"{RUN}.spoken.0", []),
    "hashes of numbers": (f"{RUN}.hashes.config", 7),
    "an unknown edit": (f"{RUN}.edits", [{"kind": "unknown"}]),
    "an edit of an unhashable kind": (f"{RUN}.edits", [{"kind": []}]),
    "an unknown status": ("status", "resting"),
    "an unknown level": ("level", "most"),
    "another audio file": ("audio", "../audio.flac"),
    "hooks of numbers": ("hooks", [7]),
    "redacted as a text": ("redacted", "voice"),
    "a script of numbers": ("script", 7),
    "versions as a list": ("versions", []),
    "a time of a text": ("result.timestamps.0.1", "0.0"),
    "a time of five": ("result.timestamps.0", ["Hello", 0.0, 1, 1, 1]),
    "a run that is a list": ("run", []),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_does_not_go_together_is_refused(what: str) -> None:
    with pytest.raises(TraceError, match=r"run\.dia2trace.*is damaged"):
        changed(WRONG[what])


def test_frames_of_a_prefix_have_a_most() -> None:
    changed((f"{RUN}.prefix_frames", MAX_PREFIX_FRAMES), (f"{RUN}.voice_frames", [MAX_PREFIX_FRAMES, 0]))
    for frames in ([MAX_PREFIX_FRAMES + 1, 0], [0, MAX_PREFIX_FRAMES + 1]):
        with pytest.raises(TraceError, match="frames"):
            changed((f"{RUN}.prefix_frames", MAX_PREFIX_FRAMES + 1), (f"{RUN}.voice_frames", frames))


def test_rows_have_a_most() -> None:
    word = ["a", 0.0, 1]
    assert len(changed(("result.timestamps", [word] * MAX_CALLS)).result.timestamps or []) == MAX_CALLS
    with pytest.raises(TraceError, match="timestamps"):
        changed(("result.timestamps", [word] * (MAX_CALLS + 1)))


def test_all_entries_can_be_of_the_prefix() -> None:
    entries: tuple[str, Any] = (f"{RUN}.entries", sample()["run"]["entries"][:2])
    changed(entries)
    with pytest.raises(TraceError, match=r"run\.prefix_words is 3"):
        changed(entries, (f"{RUN}.prefix_words", 3))


def test_tokens_of_text_can_lie_in_the_larger_vocabulary() -> None:
    larger = (f"{MODEL}.audio_vocabulary", 2 * TEXTS)
    changed(larger, (f"{MODEL}.tokens.pad", 2 * TEXTS - 1))
    with pytest.raises(TraceError, match=r"tokens\.pad is 2048"):
        changed(larger, (f"{MODEL}.tokens.pad", 2 * TEXTS))


OPTIONAL = [
    *("error", "hooks", "script", "result", "audio", "redacted", "budget.tokens_only_from_call", "run.forked_at"),
    *(f"{CONFIG}.prefix{name}" for name in ("", ".speaker_1", ".speaker_2", ".words_1", ".words_2", ".include_audio")),
    *(f"result.{name}" for name in ("stop_reason", "first_word_frame", "columns", "crop", "samples", "timestamps")),
]


@pytest.mark.parametrize("at", OPTIONAL)
def test_an_old_trace_may_lack_it(at: str) -> None:
    raw = sample()
    inner, last = parent(raw, at)
    del inner[last]
    parse_manifest(raw, HERE)


def test_what_may_be_missing() -> None:
    early = changed(
        ("run", None), ("result", None), ("audio", None), ("script", None), ("hooks", "cb0"), ("error", None)
    )
    assert (early.run, early.audio, early.script, early.hooks, early.error) == (None, False, None, "cb0", None)
    assert set(asdict(early.result).values()) == {None}
    raw = sample()
    del raw["redacted"]
    assert parse_manifest(raw, HERE).redacted == []
    listed = changed(("hooks", ["cb0", "machine.*"]), (f"{RUN}.hashes.weights", None), (f"{CONFIG}.prefix", None))
    assert listed.hooks == ["cb0", "machine.*"]
    assert listed.run is not None
    assert listed.run.hashes["weights"] is None
    assert listed.run.config.prefix is None


SENTENCES: dict[str, tuple[str, Any]] = {
    "run.model.codebooks is 'x'": (f"{MODEL}.codebooks", "x"),
    "run.model.delays[1] is -1": (f"{MODEL}.delays.1", -1),
    "run.model.delays is [0]": (f"{MODEL}.delays", [0]),
    "run.model.tokens.pad is -11": (f"{MODEL}.tokens.pad", -11),
    "run.entries[0][1][0] is -2": (f"{RUN}.entries.0.1", [-2]),
    "run.entries[0] is ['Hi', [1024], 0, 1]": (f"{RUN}.entries.0", ["Hi", [TEXTS], 0, 1]),
    "run.seed is a huge number": (f"{RUN}.seed", 10**5000),
    "run.spoken[1].text is None": (f"{RUN}.spoken.1.text", None),
    "run.hashes is {'config': 7}": (f"{RUN}.hashes", {"config": 7}),
    "run.config.text.top_k is missing": (f"{CONFIG}.text", {"temperature": 1}),
    "run.config.audio.temperature is 10001": (f"{CONFIG}.audio.temperature", 10_001),
    "run.config.text.temperature is -1": (f"{CONFIG}.text.temperature", -1),
    "run.config.cfg_scale is -1": (f"{CONFIG}.cfg_scale", -1),
    "text.temperature must be 0, or 0.0001 to 10000": (f"{CONFIG}.text.temperature", 1e-5),
    "{'kind': []} is not an edit": (f"{RUN}.edits", [{"kind": []}]),
    "budget.tokens_only_from_call is -1": ("budget.tokens_only_from_call", -1),
    "calls is missing": ("", "calls"),
    "a word of the prefix is of a speaker without a recording": (f"{RUN}.entries.0.3", 0),
}


@pytest.mark.parametrize("sentence", SENTENCES)
def test_what_is_wrong_is_told_with_its_place_and_value(sentence: str) -> None:
    at, value = SENTENCES[sentence]
    with pytest.raises(TraceError) as told:
        changed((at, value)) if at else parse_manifest({k: v for k, v in sample().items() if k != value}, HERE)
    assert str(told.value) == f"{HERE / MANIFEST} is damaged: {sentence}."


def test_values_that_have_no_text_are_told() -> None:
    deep: list[Any] = []
    for _ in range(10_000):
        deep = [deep]
    with pytest.raises(TraceError, match=r"is damaged: calls is a value nested too deep\.$"):
        changed(("calls", deep))
    with pytest.raises(TraceError, match=r"is damaged: '\\ud800' is not text\.$"):
        changed(("audio", "\ud800"))


def test_numbers_that_json_does_not_have_are_refused(tmp_path: Path) -> None:
    for number, value in enumerate((float("nan"), float("inf"), -float("inf"))):
        raw = sample() | {"unknown": value}
        folder = as_file(tmp_path / str(number), lambda file, raw=raw: file.write_text(json.dumps(raw)))  # type: ignore[misc]  # mypy does not know such a lambda
        with pytest.raises(TraceError, match=r"cannot be read \(-?(NaN|Infinity) is not a JSON number\)"):
            read_raw_manifest(folder)
    with pytest.raises(TraceError, match=r"result\.timestamps\[0\]\[1\] is inf"):
        changed(("result.timestamps.0.1", json.loads("1e999")))


def test_looking_at_a_manifest_brings_no_torch() -> None:
    program = (
        "import sys, dia.adapter.manifest, dia2.adapter.manifest, dia2.inspect.store.phases; "
        "sys.exit(', '.join({'torch', 'transformers'} & sys.modules.keys()) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def as_file(folder: Path, write: Callable[[Path], object]) -> Path:
    folder.mkdir()
    write(folder / MANIFEST)
    return folder


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "zip"}, "is not the manifest of a trace"),
        ({"version": 2}, r"has trace format 2, this dia2 reads up to 1: update dia2"),
        ({"version": 0}, r"has no trace format that this dia2 knows \(0\)"),
        ({"version": True}, r"has no trace format that this dia2 knows \(True\)"),
        ({"version": "1"}, r"has no trace format that this dia2 knows"),
    ],
)
def test_another_format_is_told(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    folder = as_file(tmp_path / "a", lambda file: file.write_text(json.dumps(sample() | change)))
    with pytest.raises(TraceError, match=message):
        read_raw_manifest(folder)


def test_a_link_is_no_manifest(tmp_path: Path) -> None:
    (tmp_path / "real.json").write_text(json.dumps(sample()))
    folder = as_file(tmp_path / "a", lambda file: file.symlink_to(tmp_path / "real.json"))
    with pytest.raises(TraceError, match=r"is not a trace: it has no manifest\.json"):
        read_raw_manifest(folder)
