"""Dia's manifest field by field, too; see tests/inspect/test_manifest.py."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from dia.adapter.layout import MAX_SCRIPTS, MAX_TEXT
from dia.adapter.manifest import DiaManifest, parse_dia_manifest
from dia2.common.errors import TraceError
from dia2.common.hooks import MAX_CODEBOOKS
from dia2.inspect.store.layout import MAX_CALLS, MAX_VOCABULARY

from ..test_manifest import parent

HERE = Path("run.dia2trace")
ROWS, POSITIONS, WIDEST = 40, 512, 110  # rows of the run, what its decoder has, the largest byte of its text


def sample() -> dict[str, Any]:
    """Two scripts, of which the second has no sound."""
    model = {
        "channels": 3, "delays": [0, 8, 9], "vocabulary": 68, "eos": 64, "pad": 65, "bos": 66, "text_vocabulary": 256,
        "encoder_positions": 20, "decoder_positions": POSITIONS, "encoder_width": 48, "encoder_layers": 2,
        "decoder_layers": 3, "heads": 4, "kv_heads": 2, "cross_heads": 5, "sample_rate": 44100,
        "frame_rate": 86.1328125, "device": "cpu", "dtype": "float32",
    }  # fmt: skip
    config = {
        "max_tokens": 40, "cfg_scale": 3.0, "temperature": 1.2, "top_p": 0.95, "cfg_filter_top_k": 45,
        "use_torch_compile": False, "use_cuda_graph": True,
    }  # fmt: skip
    run = {
        "hashes": {"config": "db15", "weights": None}, "model": model, "config": config, "seed": 3,
        "scripts": ["[S1] Hi.", "[S2] No."], "text_bytes": ["014869", "024e6f6e"], "prefill_steps": [8, 4],
        "rows": ROWS,
    }  # fmt: skip
    result = {
        "steps": 36, "lengths": [17, 21], "stop_reasons": ["eos", "max_tokens"], "ended_at": [25, None],
        "samples": [8704, 0],
    }  # fmt: skip
    return {
        "format": "dia2trace", "version": 1, "family": "dia", "status": "complete", "error": None,
        "started": "2026-01-01T00:00:00+00:00", "versions": {"dia2": "0.1.0"}, "level": "full", "hooks": None,
        "draws": ["channel.0", "channel.2"], "never_fired": ["dia.load"],
        "budget": {"bytes": 9, "tokens_only_from_call": None}, "calls": 39, "run": run, "result": result,
        "audio": ["audio-1.flac", None],
    }  # fmt: skip


def changed(*changes: tuple[str, Any]) -> DiaManifest:
    raw = sample()
    for at, value in changes:
        inner, last = parent(raw, at)
        inner[last] = value
    return parse_dia_manifest(raw, HERE)


def test_what_is_written_is_read() -> None:
    raw, read = sample(), parse_dia_manifest(sample(), HERE)
    run = read.run
    assert run is not None
    assert asdict(run.model) == raw["run"]["model"]
    assert asdict(run.config) == raw["run"]["config"] | {"seed": None}
    assert asdict(read.result) == raw["result"]
    assert run.text_bytes == [[1, 72, 105], [2, 78, 111, 110]]
    for name in ("hashes", "seed", "scripts", "prefill_steps", "rows"):
        assert getattr(run, name) == raw["run"][name], name
    for name in ("status", "started", "versions", "level", "hooks", "draws", "never_fired", "calls", "audio"):
        assert getattr(read, name) == raw[name], name


MODEL, CONFIG = "run.model", "run.config"
BOUNDS: dict[str, tuple[float, float]] = {
    "run.seed": (0, 2**64 - 1),
    "run.rows": (25, POSITIONS),  # the end that came lies in them
    "run.prefill_steps.0": (1, ROWS - 1),
    f"{MODEL}.delays.0": (0, 10_000),
    f"{MODEL}.vocabulary": (67, MAX_VOCABULARY),  # the tokens need so many
    f"{MODEL}.eos": (1, 67),
    f"{MODEL}.pad": (1, 67),
    f"{MODEL}.bos": (1, 67),
    f"{MODEL}.text_vocabulary": (WIDEST + 2, 1 << 24),
    f"{MODEL}.encoder_positions": (4, 1 << 24),  # bytes of the longer text
    f"{MODEL}.decoder_positions": (ROWS, MAX_CALLS),
    f"{MODEL}.encoder_width": (1, 1 << 24),
    f"{MODEL}.encoder_layers": (1, 10_000),
    f"{MODEL}.decoder_layers": (1, 10_000),
    f"{MODEL}.heads": (1, 10_000),
    f"{MODEL}.kv_heads": (1, 10_000),
    f"{MODEL}.cross_heads": (1, 10_000),
    f"{MODEL}.sample_rate": (1, 1_000_000),
    f"{MODEL}.frame_rate": (0.01, 100_000),
    f"{CONFIG}.max_tokens": (2, 1 << 30),
    f"{CONFIG}.cfg_scale": (0, 1e9),
    f"{CONFIG}.temperature": (0, 1e9),
    f"{CONFIG}.top_p": (0, 1),
    f"{CONFIG}.cfg_filter_top_k": (1, 1 << 30),
    "result.steps": (0, ROWS),
    "result.lengths.1": (0, ROWS),
    "result.ended_at.0": (0, ROWS),
    "result.samples.1": (0, 1 << 40),
}


@pytest.mark.parametrize("at", BOUNDS)
def test_both_ends_are_read_and_what_lies_beyond_is_refused(at: str) -> None:
    least, most = BOUNDS[at]
    given: list[tuple[str, Any]] = [("result.steps", 0), ("result.lengths", [0, 0])] if at == "run.rows" else []
    for good in (least, most):
        changed(*given, (at, good))
    beyond: list[Any] = [least - (0.001 if isinstance(least, float) else 1), most + 1]
    for bad in (*beyond, True, "1", float("nan"), [], {}):
        with pytest.raises(TraceError, match=r"run\.dia2trace.*is damaged"):
            changed(*given, (at, bad))


@pytest.mark.parametrize("value", [-1, 2])
def test_what_a_config_would_refuse_is_told_with_its_place(value: int) -> None:
    with pytest.raises(TraceError, match=rf"is damaged: run\.config\.top_p is {value}\.$"):
        changed((f"{CONFIG}.top_p", value))


def test_the_least_a_model_can_have() -> None:
    """Bounds that the sample, which has more, does not come near."""
    early: list[tuple[str, Any]] = [("result", None), ("audio", None)]
    tokens: list[tuple[str, Any]] = [(f"{MODEL}.{name}", 1) for name in ("eos", "pad", "bos")]
    texts = ("run.text_bytes", ["01", "02"])
    changed(*early, (f"{MODEL}.vocabulary", 2), *tokens)
    changed(*early, texts, (f"{MODEL}.text_vocabulary", 3), (f"{MODEL}.encoder_positions", 1))
    changed(*early, ("run.rows", 2), ("run.prefill_steps", [1, 1]), (f"{MODEL}.decoder_positions", 2))
    zeros = ("run.text_bytes", ["00", "00"])
    for wrong in (
        [zeros, (f"{MODEL}.text_vocabulary", 2)],
        [texts, (f"{MODEL}.encoder_positions", 0)],
        [("run.rows", 1), ("run.prefill_steps", [1, 1])],
    ):
        with pytest.raises(TraceError, match="is damaged"):
            changed(*early, *wrong)


@pytest.mark.parametrize("count", [0, 1, MAX_CODEBOOKS, MAX_CODEBOOKS + 1])
def test_there_are_as_many_delays_as_channels(count: int) -> None:
    changes: Any = ((f"{MODEL}.channels", count), (f"{MODEL}.delays", [0] * count), ("draws", ["channel.0"]))
    if count in (0, MAX_CODEBOOKS + 1):
        with pytest.raises(TraceError, match="channels"):
            changed(*changes)
    else:
        changed(*changes)
        with pytest.raises(TraceError, match="delays"):
            changed(*changes, (f"{MODEL}.delays", [0] * (count + 1)))


@pytest.mark.parametrize("count", [0, 1, MAX_SCRIPTS, MAX_SCRIPTS + 1])
def test_scripts_have_a_most(count: int) -> None:
    lists: list[tuple[str, list[Any]]] = [("scripts", ["a"]), ("text_bytes", ["61"]), ("prefill_steps", [1])]
    changes: Any = [("result", None), ("audio", None), *((f"run.{name}", one * count) for name, one in lists)]
    if count in (0, MAX_SCRIPTS + 1):
        with pytest.raises(TraceError, match="scripts"):
            changed(*changes)
    else:
        assert changed(*changes).audio == [None] * count


def test_bytes_of_a_text_have_a_most() -> None:
    long: Any = (f"{MODEL}.encoder_positions", 1 << 24), ("run.text_bytes.0", "61" * MAX_TEXT)
    changed(*long)
    with pytest.raises(TraceError, match=r"run\.text_bytes\[0\] is '6161"):
        changed(*long, ("run.text_bytes.0", "61" * (MAX_TEXT + 1)))


def test_draws_are_those_of_the_channels_each_once() -> None:
    for draws in (["channel.3"], ["channel.-1"], ["channel.0", "channel.0"], ["cb0"]):
        with pytest.raises(TraceError, match="draws"):
            changed(("draws", draws))
    begun: list[tuple[str, Any]] = [("run", None), ("result", None), ("audio", None)]
    last = f"channel.{MAX_CODEBOOKS - 1}"
    assert changed(*begun, ("draws", [last])).draws == [last]  # nobody knows how many channels there were
    with pytest.raises(TraceError, match="draws"):
        changed(*begun, ("draws", [f"channel.{MAX_CODEBOOKS}"]))


WRONG: dict[str, tuple[str, Any]] = {
    "fewer prefills than scripts": ("run.prefill_steps", [8]),
    "more texts than scripts": ("run.text_bytes", ["01", "02", "03"]),
    "an empty text": ("run.text_bytes.0", ""),
    "half a byte": ("run.text_bytes.0", "010"),
    "no digits": ("run.text_bytes.0", "01zz"),
    "digits of another script": ("run.text_bytes.0", "１２"),
    "a text that goes on": ("run.text_bytes.0", "0102\n"),
    "a rate of frames without one of samples": (f"{MODEL}.sample_rate", None),
    "a rate of samples without one of frames": (f"{MODEL}.frame_rate", None),
    "one length of two": ("result.lengths", [17]),
    "one reason of two": ("result.stop_reasons", ["eos"]),
    "an unknown reason": ("result.stop_reasons.0", "bored"),
    "one end of two": ("result.ended_at", [None]),
    "three sounds of two": ("result.samples", [1, 1, 1]),
    "a result of no run": ("run", None),
    "another audio file": ("audio.0", "../audio-1.flac"),
    "the other's audio file": ("audio.1", "audio-1.flac"),
    "one audio file of two": ("audio", ["audio-1.flac"]),
    "a text for audio": ("audio", "audio-1.flac"),
    "hashes of numbers": ("run.hashes.config", 7),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_does_not_go_together_is_refused(what: str) -> None:
    extra: list[tuple[str, Any]] = [("draws", []), ("audio", None)] if what == "a result of no run" else []
    with pytest.raises(TraceError, match=r"run\.dia2trace.*is damaged"):
        changed(WRONG[what], *extra)


def test_what_may_be_missing() -> None:
    early = changed(("run", None), ("result", None), ("audio", None))
    assert (early.run, early.audio, set(asdict(early.result).values())) == (None, [], {None})
    mute = changed((f"{MODEL}.sample_rate", None), (f"{MODEL}.frame_rate", None), ("audio", None))
    assert mute.run is not None
    assert (mute.run.model.sample_rate, mute.run.model.frame_rate, mute.audio) == (None, None, [None, None])
    raw = sample()
    del raw["audio"], raw["run"]["model"]["sample_rate"], raw["run"]["model"]["frame_rate"]
    for name in ("max_tokens", "use_torch_compile", "use_cuda_graph"):
        del raw["run"]["config"][name]
    config = parse_dia_manifest(raw | {"result": {"samples": [5]}}, HERE)
    assert config.run is not None
    assert (config.run.config.max_tokens, config.run.config.use_cuda_graph) == (None, False)
    assert config.result.samples == [5]
    del raw["run"], raw["result"]
    assert parse_dia_manifest(raw | {"draws": []}, HERE).run is None
