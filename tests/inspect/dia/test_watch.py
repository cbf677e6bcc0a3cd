"""Watching a run of Dia: every point of the registry comes, with the run's own values."""

from __future__ import annotations

from collections import Counter
from typing import Any

import torch

from dia2.common.hooks import CallInfo, Span, select
from dia2.inspect import Watch

from ...support.dia import dia5, toy
from ...support.reference import Recorder

OPTIONS: dict[str, Any] = {"max_tokens": 30, "seed": 3}


def test_every_registered_point_is_seen_and_no_other() -> None:
    recorder, prompt = Recorder(), torch.zeros(4, toy().config.data.channels, dtype=torch.int64)
    result = toy().speak(["[S1] Hello.", "[S2] Hi."], audio_prompt=[prompt, prompt], observer=recorder, **OPTIONS)
    seen = recorder.seen
    assert set(seen) == set(select("*", toy().config.data.channels, "dia")) - {"dia.load", "dia.write"}
    calls: list[CallInfo] = seen["call"]
    assert [info.call for info in calls] == list(range(4 + result.steps))
    assert [info.phase for info in calls] == ["warmup"] * 4 + ["main"] * result.steps
    assert seen["kv.self.length"] == [info.slot + 1 for info in calls]
    assert seen["kv.cross.length"] == [8]
    assert [part.shape for part in seen["encoder.tokens"]] == [(2, 8)]
    assert [part.shape[:2] for part in seen["encoder.output"]] == [(4, 8)]
    for read, written in zip(seen["step_tokens"][5:], seen["audio_buf.column"], strict=False):
        assert torch.equal(read, written)
    for i, countdown in enumerate(seen["eos.countdown"]):
        for script in (0, 1):
            draw, logits = seen["draw.channel.2"][i][script], seen["logits.channel.2"][i]
            assert {candidate.token: candidate.cond for candidate in draw.candidates}[draw.choice] == logits[
                2 * script + 1, draw.choice
            ]
            if countdown[script] < 0 and i > 20:
                assert draw.choice == seen["audio_buf.column"][i][script, 2]


def test_filters_decide_what_is_computed() -> None:
    seen = Counter[str]()
    watch = Watch(lambda point, _: seen.update([point]), "draw.channel.0,step_tokens,encoder.output")
    result = dia5().speak("[S1] Hello.", observer=watch, **OPTIONS)
    assert seen == {"draw.channel.0": result.steps, "step_tokens": result.steps, "encoder.output": 1}


def test_phases_alone_and_values_of_its_own() -> None:
    spans: list[Span] = []

    def keep(_: str, span: object) -> None:
        assert isinstance(span, Span)
        spans.append(span)

    dia5().speak("[S1] Hello.", observer=Watch(keep, "dia.loop"), **OPTIONS)
    assert [span.name for span in spans] == ["dia.loop", "dia.loop"]

    def spoil(_: str, value: object) -> None:
        if isinstance(value, torch.Tensor):
            value.fill_(-1)

    plain = dia5().speak("[S1] Hello.", **OPTIONS)
    spoiled = dia5().speak("[S1] Hello.", observer=Watch(spoil), **OPTIONS)
    assert torch.equal(plain.scripts[0].codes, spoiled.scripts[0].codes)
