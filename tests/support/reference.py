"""The numbers of the public reference: cases, and a run of ours recorded for comparison."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from dia2 import Dia2, GenerationConfig, GenerationResult, PrefixConfig, SamplingConfig
from dia2.common.hooks import Span
from dia2.inspect.record.watch import Watch
from dia2.runtime.state_machine import Entry

from .fakecuda import place

ROOT = Path(__file__).parents[1] / "conformance"
CHECKPOINTS = ("tiny8", "tiny4", "tiny3")
GREEDY = SamplingConfig(temperature=0.0, top_k=50)


@dataclass(frozen=True)
class Case:
    """One case of one checkpoint."""

    checkpoint: str
    name: str

    @property
    def folder(self) -> Path:
        return ROOT / self.checkpoint

    @property
    def expected(self) -> dict[str, Any]:
        loaded: dict[str, Any] = json.loads((self.folder / f"{self.name}.json").read_text(encoding="utf-8"))
        return loaded

    @property
    def tensors(self) -> dict[str, Tensor]:
        return load_file(self.folder / f"{self.name}.safetensors")

    @property
    def sounding(self) -> list[list[Any]]:
        """The words of `timestamps`, each with the second at which it sounds.

        That is two frames before its timestamp. What the warm-up took of an included prefix sounds where its recording
        says it: speaker 1's lasts 20 frames, then comes speaker 2's.
        """
        expected = self.expected
        rows = [[text, max(0, round(12.5 * seconds) - 2) / 12.5] for text, seconds in expected["timestamps"]]
        if expected["include_prefix"]:
            taken = sum(row["forced"] and row["consumed"] for row in expected["machine"])
            lists = [json.loads((self.folder / name).read_text(encoding="utf-8")) for name in expected["words"]]
            starts = [word["start"] + 1.6 * i for i, words in enumerate(lists) for word in words]
            rows[:taken] = [[text, start] for (text, _), start in zip(rows, starts[:taken], strict=False)]
        return rows

    def config(self, **changes: Any) -> GenerationConfig:
        """What the reference ran with."""
        expected = self.expected
        words = [str(self.folder / name) for name in expected["words"] or []]
        prefix = PrefixConfig(
            speaker_1=self.folder / "spk1.wav" if words else None,
            speaker_2=self.folder / "spk2.wav" if len(words) > 1 else None,
            words_1=words[0] if words else None,
            words_2=words[1] if len(words) > 1 else None,
            include_audio=expected["include_prefix"],
        )
        values = {"text": GREEDY, "audio": GREEDY, "prefix": prefix if words else None}
        values |= {name: expected[name] for name in ("cfg_scale", "cfg_filter_k")}
        return GenerationConfig(**(values | changes))


def checkpoints(*quick: str) -> list[Any]:
    """The checkpoints as pytest parameters; those that are not among `quick` run in `make test-all` only."""
    return [pytest.param(name, marks=[] if name in quick else [pytest.mark.slow]) for name in CHECKPOINTS]


def cases(*quick: str, names: Collection[str] = ()) -> list[Any]:
    """Every case there is, as pytest parameters; those of other checkpoints than `quick` in `make test-all` only.

    So are those that `names`, if there are any, leaves out. Without `quick` all run: the conformance of plain runs is
    never left out. What builds on those is tried with one or two checkpoints in `make test`.
    """
    found = [
        Case(checkpoint, path.stem)
        for checkpoint in CHECKPOINTS
        for path in sorted((ROOT / checkpoint).glob("*.safetensors"))
        if path.stem != "model"
    ]
    now = [case for case in found if case.checkpoint in (quick or CHECKPOINTS) and case.name in (names or [case.name])]
    return [
        pytest.param(case, id=f"{case.checkpoint}-{case.name}", marks=[] if case in now else [pytest.mark.slow])
        for case in found
    ]


@cache
def engine(checkpoint: str, dtype: str = "float32") -> Dia2:
    """A reference checkpoint, loaded once a process."""
    made = Dia2.from_local(**local_files(checkpoint), device=place(), dtype=dtype)
    _SHARED.append(made)
    return made


_SHARED: list[Dia2] = []


def forget() -> None:
    """What tests that share an engine must not hand on: what it keeps between runs."""
    for tts in _SHARED:
        if tts._runtime is not None:
            tts._runtime.forget()


def local_files(checkpoint: str) -> dict[str, str]:
    """The four parts of a reference checkpoint."""
    folder = ROOT / checkpoint
    return {
        "config_path": str(folder / "config.json"),
        "weights_path": str(folder / "model.safetensors"),
        "tokenizer_id": str(folder / "tokenizer"),
        "mimi_id": str(folder / "mimi"),
    }


class Recorder(Watch):
    """An observer that keeps everything, by hook point; a phase when it has ended."""

    def __init__(self, points: str = "*") -> None:
        self.seen: defaultdict[str, list[Any]] = defaultdict(list)
        super().__init__(self._keep, points)

    def _keep(self, point: str, value: object) -> None:
        if not isinstance(value, Span) or value.ended:
            self.seen[point].append(value)

    @property
    def entries(self) -> list[Entry]:
        entries: list[Entry] = self.seen["entries.combine"][0].result
        return entries

    @property
    def grid(self) -> Tensor:
        """The delayed grid [B, K, columns], cut after the last step."""
        grid: Tensor = self.seen["loop"][0].result.grid
        return grid


def relative(ours: Tensor, theirs: Tensor) -> float:
    """Largest difference, relative to the largest value of each row."""
    scale = theirs.abs().amax(dim=-1, keepdim=True).clamp(min=1e-6)
    return float(((ours - theirs).abs() / scale).max())


def stacked(values: list[Tensor]) -> Tensor:
    """Values of a tensor point, call by call."""
    return torch.stack(values)


def assert_agrees(tts: Dia2, case: Case, **changes: Any) -> None:
    """A run of the case, with `changes` of its settings, has the tokens, logits, words and sound of the reference."""
    recorder = Recorder()
    assert_recorded(case, tts.generate(case.expected["script"], case.config(**changes), observer=recorder), recorder)


def assert_recorded(case: Case, result: GenerationResult, recorder: Recorder) -> None:
    """What was recorded of a run of the case, and its result, are those of the reference."""
    expected, tensors, seen = case.expected, case.tensors, recorder.seen
    branches = 1 if expected["cfg_scale"] == 1.0 else 2

    assert [[e.text, e.tokens, e.padding] for e in recorder.entries] == expected["entries"]
    calls: list[dict[str, Any]] = [{"phase": c.phase, "position": c.position, "slot": c.slot} for c in seen["call"]]
    assert calls == expected["calls"]
    assert [call.call for call in seen["call"]] == list(range(len(calls)))
    assert [vars(row) for row in seen["machine.after"]] == expected["machine"]
    assert torch.equal(stacked(seen["step_tokens"]), tensors["step_tokens"][:, :branches].long())
    assert torch.equal(recorder.grid.cpu(), tensors["audio_buf"][:branches].long())
    assert torch.equal(result.audio_tokens, tensors["aligned"].long())
    assert result.first_word_frame == expected["first_word_frame"]
    assert [list(word) for word in result.timestamps] == expected["timestamps"]
    assert [[word.text, word.seconds] for word in result.words] == case.sounding
    assert result.sample_rate == expected["sample_rate"]

    for point in ("action", "cb0"):
        theirs = tensors[f"{point}_logits"][:, :branches]
        assert relative(stacked(seen[f"logits.{point}"][: len(theirs)]), theirs) <= 1e-4
    assert len(result.waveform) == tensors["waveform_samples"].item()
    head = tensors["waveform_head"]
    assert torch.allclose(result.waveform[: len(head)], head, atol=1e-3, rtol=0)
    assert result.waveform.square().mean().sqrt().item() == pytest.approx(tensors["waveform_rms"].item(), abs=1e-3)
