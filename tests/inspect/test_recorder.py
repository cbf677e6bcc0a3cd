"""Sizes on disk, the hashes that tell which checkpoint made a trace, and what a recorder leaves behind."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import replace
from inspect import signature
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from dia2 import Dia2, GenerationConfig, UsageError
from dia2.adapter.checkpoint import fingerprint
from dia2.adapter.columns import frame_columns, merged
from dia2.adapter.layout import LAYOUT, draw_names
from dia2.adapter.recording import Dia2Recording
from dia2.common.hooks import CallInfo
from dia2.generation import normalize_script
from dia2.inspect import Dia2Trace, record
from dia2.inspect.record import recorder
from dia2.inspect.record.draws import arrays
from dia2.inspect.record.recorder import SHARD_BYTES, SHARD_CALLS, Recorder
from dia2.inspect.store.writer import TraceWriter
from dia2.runtime import capture as buffers
from dia2.runtime.observed import Frames, FrameTimes, MachineRow

from ..support.reference import GREEDY, ROOT, engine, local_files

CODEBOOKS, VOCABULARY = 32, 2050  # as published
GREEDY_CONFIG = GenerationConfig(text=GREEDY, audio=GREEDY, seed=1)


def frames(count: int) -> Frames:
    """A batch at the published checkpoints' shapes, with tokens pending as in a run."""
    row = MachineRow(7, 1, False, 9, 9, True, 3, 2, 40, [5, 6, 7], [8, 9, 9], None)
    return Frames(
        config=GenerationConfig(),
        calls=[CallInfo(i, "main", i, i, i) for i in range(count)],
        machine=[row] * count,
        times=[FrameTimes(0.0, 0.1, 0.2, 0.3, 0.4)] * count,
        step_tokens=torch.randint(0, VOCABULARY, (count, 2, 2 + CODEBOOKS)),
        codes=torch.randint(0, VOCABULARY - 2, (count, CODEBOOKS)),
        logits={
            "action": torch.randn(count, 2, 2),
            "cb0": torch.randn(count, 2, VOCABULARY),
            "dep": torch.randn(count, CODEBOOKS - 1, 2, VOCABULARY - 2),
        },
    )


def bytes_a_call(path: Path, draws: list[str]) -> float:
    one = frames(4)
    a_call = sum(value[0].nbytes for value in one.logits.values()) if draws else 1
    count = min(SHARD_CALLS, SHARD_BYTES // a_call)  # calls of a shard in a run
    specials = torch.zeros(VOCABULARY, dtype=torch.bool)
    writer = TraceWriter(path)
    writer.begin()
    writer.small = LAYOUT.small
    writer.shard(arrays(frame_columns(frames(count), draws, specials, {})))
    writer.close()
    return (path / "frames-00000.safetensors").stat().st_size / count


def test_bytes_a_call(tmp_path: Path) -> None:
    assert bytes_a_call(tmp_path / "tokens", []) <= 500
    assert bytes_a_call(tmp_path / "topk", draw_names(CODEBOOKS)) <= 6000


def test_merged_batches_are_one(tmp_path: Path) -> None:
    parts = [frames(3), frames(5)]
    whole = merged(parts)
    assert len(whole.calls) == len(whole.machine) == len(whole.times) == len(whole.step_tokens) == 8
    assert torch.equal(whole.logits["dep"][3:], parts[1].logits["dep"])
    assert merged(parts[:1]) is parts[0]


def test_a_trace_knows_its_checkpoint(tmp_path: Path) -> None:
    engine("tiny4").generate("[S1] Hi.", seed=1, trace=tmp_path / "run.dia2trace")
    hashes = Dia2Trace.load(tmp_path / "run.dia2trace").run.hashes
    weights = (ROOT / "tiny4" / "model.safetensors").read_bytes()
    assert hashes["weights"] == hashlib.sha256(weights).hexdigest()
    assert hashes["config"] == hashlib.sha256((ROOT / "tiny4" / "config.json").read_bytes()).hexdigest()
    assert len({*hashes.values()}) == 4
    assert None not in hashes.values()


def test_a_file_is_hashed_once_until_it_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "tiny4"
    shutil.copytree(ROOT / "tiny4", folder, copy_function=shutil.copy)
    files = {name: path.replace(str(ROOT / "tiny4"), str(folder)) for name, path in local_files("tiny4").items()}
    assets = Dia2.from_local(**files, device="cpu").runtime.assets
    read: list[str] = []
    digest = hashlib.file_digest

    def counted(file: object, name: str) -> object:
        read.append(Path(file.name).name)  # type: ignore[attr-defined]  # an open file
        return digest(file, name)  # type: ignore[arg-type]  # likewise

    monkeypatch.setattr(hashlib, "file_digest", counted)
    first = fingerprint(assets)
    assert "model.safetensors" in read
    read.clear()
    assert fingerprint(assets) == first
    assert read == []
    config = folder / "config.json"
    config.write_bytes(config.read_bytes() + b"\n")
    changed = fingerprint(assets)
    assert read == ["config.json"]
    assert changed["config"] != first["config"]
    assert changed["weights"] == first["weights"]
    (tmp_path / "cache" / "dia2" / "hashes.json").write_text("[not json")  # a damaged cache only costs time
    assert fingerprint(assets) == changed


@pytest.mark.parametrize("options", [{"level": "all"}, {"budget": -1}, {"budget": True}, {"hooks": "nothing"}])
def test_what_cannot_be_recorded_is_refused_before_anything_is_written(
    options: dict[str, object], tmp_path: Path
) -> None:
    with pytest.raises(UsageError), record(tmp_path / "run.dia2trace", **options):  # type: ignore[arg-type]  # on purpose
        raise AssertionError("not reached")
    assert not (tmp_path / "run.dia2trace").exists()


@pytest.mark.parametrize("error", [UsageError, KeyboardInterrupt])
@pytest.mark.parametrize("older", [False, True])
def test_what_is_refused_before_its_run_begins_costs_no_older_trace(
    older: bool, error: type[BaseException], tmp_path: Path
) -> None:
    def refused() -> None:
        with record(tmp_path / "run") as recorder:
            normalize_script("Hi.")
            assert not recorder.begun
            raise error

    if older:
        with record(tmp_path / "run"):
            normalize_script("Hi.")
    before = {file.name: file.read_bytes() for file in tmp_path.glob("run/*")}
    with pytest.raises(error):
        refused()
    assert (tmp_path / "run").exists() == older
    assert {file.name: file.read_bytes() for file in tmp_path.glob("run/*")} == before


def test_a_block_that_generates_nothing_leaves_a_failed_trace(tmp_path: Path) -> None:
    with record(tmp_path / "run"):
        normalize_script("Hi.")
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    assert (manifest["status"], manifest["error"]) == ("failed", "nothing was generated")
    assert manifest["budget"] == {"bytes": 2**30, "tokens_only_from_call": None}, "if none is given"


def test_phases_take_whole_microseconds(tmp_path: Path) -> None:
    with record(tmp_path / "run"):
        for _ in range(20):
            normalize_script("Hi.")
    events = [json.loads(line) for line in (tmp_path / "run" / "phases.jsonl").read_text().splitlines()]
    for key in ("at", "seconds"):
        times = [event[key] for event in events if key in event]
        assert len(times) == 20
        assert times == [round(time, 6) for time in times] != [round(time, 5) for time in times]


@pytest.mark.parametrize(
    ("call", "step", "ended", "whole"),
    [
        (1498, 200, None, False), (1499, 200, None, True),  # the last call of the context, after 500 of a prefix
        (700, 64, 40, False), (700, 65, 40, True),  # the last word, the largest delay, and the padding behind it
        (700, 900, None, False), (None, None, None, False),
    ],
)  # fmt: skip
def test_a_stream_is_whole_once_its_last_word_has_faded_or_the_context_is_full(
    call: int | None, step: int | None, ended: int | None, whole: bool
) -> None:
    model = {"max_context_steps": 1000, "delays": [0, 20, 2], "max_padding": 6}
    book: Any = SimpleNamespace(manifest={"run": {"prefix_frames": 500, "model": model}})
    recording = Dia2Recording(book)
    if call is not None and step is not None:
        last = frames(1)
        row = replace(last.machine[0], step=step, end_step=ended)
        recording.take(replace(last, calls=[CallInfo(call, "main", step, call, call)], machine=[row]))
    assert recording.cut_short() == (None if whole else "the run was left before its end")


LIMITS = [("SHARD_BYTES", 499, 5), ("SHARD_BYTES", 500, 5), ("SHARD_BYTES", 501, 6), ("SHARD_CALLS", 5, 5)]


@pytest.mark.parametrize(("name", "limit", "calls"), LIMITS)
def test_a_shard_is_written_when_its_bytes_or_calls_are_reached(
    name: str, limit: int, calls: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(buffers, "LATEST", 0.0)  # every call is handed over by itself
    monkeypatch.setattr(recorder, name, limit)
    monkeypatch.setattr(recorder, "SHARD_SECONDS", float("inf"))
    monkeypatch.setattr(Dia2Recording, "held_bytes", lambda *_: 100)  # a call
    with record(tmp_path / "run"):
        engine("tiny3").generate("[S1] Hi there.", GREEDY_CONFIG)
    shards = sorted((tmp_path / "run").glob("frames-*.safetensors"))
    sizes = [len(load_file(shard)["call"]) for shard in shards]
    assert len(sizes) > 2
    assert set(sizes[:-1]) == {calls}


@pytest.mark.parametrize(("budget", "draws"), [(1000, True), (999, False)])
def test_a_trace_that_has_just_reached_its_budget_goes_on(
    budget: int, draws: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TraceWriter, "bytes", property(lambda _: 1000, lambda *_: None), raising=False)
    with record(tmp_path / "run", budget=budget):
        engine("tiny3").generate("[S1] Hi.", GREEDY_CONFIG)
    trace = Dia2Trace.load(tmp_path / "run")
    assert bool(trace.draws(len(trace) - 1)) == draws
    assert (trace.manifest.tokens_only_from is None) == draws


def test_a_budget_of_nothing_keeps_tokens_from_the_first_call_on(tmp_path: Path) -> None:
    with record(tmp_path / "run", budget=0):
        engine("tiny3").generate("[S1] Hi.", GREEDY_CONFIG)
    assert Dia2Trace.load(tmp_path / "run").manifest.tokens_only_from == 0


def test_small_vocabularies_take_two_bytes_a_token(tmp_path: Path) -> None:
    with record(tmp_path / "run"):
        engine("tiny3").generate("[S1] Hi.", GREEDY_CONFIG)
    shard = load_file(tmp_path / "run" / "frames-00000.safetensors")
    kinds = {name: array.dtype for name, array in shard.items()}
    assert {name for name, kind in kinds.items() if kind == torch.int16} == LAYOUT.small & kinds.keys()


def test_a_filter_of_which_a_level_has_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="The level tokens records nothing of the hook filter"):
        Recorder(tmp_path / "run", level="tokens", hooks="logits.*")
    assert not (tmp_path / "run").exists()
    with record(tmp_path / "run", level="full", hooks="logits.*"):
        engine("tiny3").generate("[S1] Hi.", GREEDY_CONFIG)
    assert Dia2Trace.load(tmp_path / "run").complete


def test_logits_that_were_asked_for_have_come(tmp_path: Path) -> None:
    """The depformer's are one tensor, and a point for each codebook from 1 on."""
    path = tmp_path / "run.dia2trace"
    with record(path, level="full", hooks="logits.*"):
        engine("tiny3").generate("[S1] Well.", GREEDY_CONFIG)
    assert Dia2Trace(path).manifest.never_fired == []


def test_what_is_done_unless_somebody_says_otherwise_is_the_same_in_both() -> None:
    """The recorder's own options; a prefix is heard, and its recordings are kept."""
    own, made = signature(record).parameters, signature(Recorder).parameters
    assert {name: option.default for name, option in own.items()} == {
        name: option.default for name, option in made.items()
    }
    assert own["doctor"].default is own["prefix_sound"].default is True


def test_nothing_is_written_behind_a_gap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, batches = Recorder.frames, []

    def dropping(self: Recorder, frames: Frames, /) -> None:
        batches.append(len(frames.calls))
        if len(batches) != 3:
            real(self, frames)

    monkeypatch.setattr(Recorder, "frames", dropping)
    monkeypatch.setattr(buffers, "LATEST", 0.0)  # every frame is handed over at once
    with record(tmp_path / "run"):
        engine("tiny3").generate("[S1] Hi.", GREEDY_CONFIG)
    trace, whole = Dia2Trace.load(tmp_path / "run"), sum(batches[:2])
    assert len(batches) > 3
    assert len(trace) == whole
    assert not trace.complete
    assert f"calls {whole} to {whole + batches[2] - 1} were lost" in (trace.manifest.error or "")
