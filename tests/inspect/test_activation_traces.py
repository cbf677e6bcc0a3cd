"""Edits of activations in traces: kept, replayed, forked, told apart; damaged ones leave the rest readable."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from dia2 import Ablate, ChangeSampling, Clamp, Dia2, Edit, ForceAction, Patch, Steer, TraceError, UsageError, Where
from dia2.adapter.activations import activations
from dia2.adapter.layout import EDITS_FILE
from dia2.adapter.moments import moments_of
from dia2.adapter.trace import Dia2Trace
from dia2.inspect import load, record
from dia2.inspect.store.layout import MANIFEST
from dia2.runtime.activations import MOST
from dia2.runtime.edits import edit_from_json, edit_to_json

from ..support.acts import of_each_kind, vector
from ..support.reference import Case, engine

CASE = Case("tiny4", "prefix2")
SCRIPT = "[S1] one two three [S2] four five"


def run(path: Path, edits: list[Edit], **options: Any) -> Dia2Trace:
    """A run without a prefix at level `full`."""
    with record(path, level="full"):
        engine("tiny4").generate(SCRIPT, seed=3, edits=edits, **options)
    return Dia2Trace(path)


@pytest.fixture(scope="module")
def tts() -> Dia2:
    return engine("tiny4")


@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory, tts: Dia2) -> Dia2Trace:
    """One with a prefix, and edits from its middle on."""
    path = tmp_path_factory.mktemp("acts") / "run.dia2trace"
    with record(path, level="full"):
        tts.generate(CASE.expected["script"], CASE.config(seed=5), edits=of_each_kind(tts, 60))
    return Dia2Trace(path)


class TestKept:
    def test_a_trace_has_the_edits_of_its_run(self, trace: Dia2Trace, tts: Dia2) -> None:
        edits = of_each_kind(tts, 60)
        assert trace.run.edits == edits
        read = [edit.vector.tensor for edit in trace.run.edits if isinstance(edit, Steer)]
        assert all(torch.equal(one, 1 * vector(tts, seed=seed)) for one, seed in zip(read[:2], (1, 2), strict=True))

    def test_each_vector_stands_once_in_its_file(self, tmp_path: Path, tts: Dia2) -> None:
        same = vector(tts)
        trace = run(tmp_path / "a", [Steer("act.0.resid", same), Steer("act.1.resid", same), Ablate("act.0.heads")])
        assert len(load_file(trace.path / EDITS_FILE)) == 1
        manifest = json.loads((trace.path / MANIFEST).read_text(encoding="utf-8"))
        shown = manifest["run"]["edits"]
        assert [edit["kind"] for edit in shown] == ["Steer", "Steer", "Ablate"]
        assert shown[0]["vector"] == shown[1]["vector"]
        assert list(load_file(trace.path / EDITS_FILE)) == [shown[0]["vector"]["digest"]]
        with safe_open(trace.path / EDITS_FILE, framework="np") as tensors:
            assert tensors.metadata() == {"weights": manifest["run"]["hashes"]["weights"]}

    def test_edits_without_vectors_have_no_file(self, tmp_path: Path) -> None:
        trace = run(tmp_path / "a", [Ablate("act.0.heads", heads=(0, 1))])
        assert not (trace.path / EDITS_FILE).exists()
        assert trace.run.edits == [Ablate("act.0.heads", heads=(0, 1))]

    def test_a_trace_takes_the_place_of_one_with_edits(self, tmp_path: Path, tts: Dia2) -> None:
        run(tmp_path / "a", [Steer("act.0.resid", vector(tts))])
        assert not (run(tmp_path / "a", []).path / EDITS_FILE).exists()

    def test_vectors_that_are_too_large_are_left_out_with_a_warning(
        self, tmp_path: Path, tts: Dia2, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr("dia2.adapter.recording.MAX_EDITS", 100)
        trace = run(tmp_path / "a", [Steer("act.0.resid", vector(tts))])
        assert "keeps no vectors" in caplog.text
        with pytest.raises(TraceError, match=r"lacks edits\.safetensors"):
            trace.replay(tts)

    def test_they_are_told_in_reports_and_in_the_explorer(self, trace: Dia2Trace) -> None:
        told = trace.report("show") + json.dumps([text for _, text in trace.edits()], ensure_ascii=False)
        for words in ("act.1.resid + 0.5 · vector", "speaker 1", "act.0.heads (head 1) becomes zero, calls 62 … 69"):
            assert words in told
        assert trace.to_html(trace.path.parent / "run.html").stat().st_size > 1000


EVERY: list[Edit] = [
    Steer("act.1.resid", [1.0, 2.0], 0.5, Where((3, 4), (1,), (1, 2), "conditional")),
    Steer("act.embed", [1.0]),
    Ablate("act.0.heads", heads=(1, 2)),
    Ablate("act.0.mlp", [1.0], where=Where(calls=(0, MOST))),
    Patch("act.1.heads", [[1.0, 2.0], [3.0, 4.0]], 7, (0,)),
    Clamp("act.hidden", [1.0, 0.0], -2, Where(branches="unconditional")),
    Clamp("act.dep.0.resid", [1.0, 0.0], -2, Where(stages=(0, 3))),
    Ablate("act.0.attn", where=Where(after={"action": "pad", "main": 3, "padding_budget": (None, 2)})),
]


@pytest.mark.parametrize("edit", EVERY, ids=str)
def test_json_and_back(edit: Edit) -> None:
    stored = json.loads(json.dumps(edit_to_json(edit)))
    assert edit_from_json(stored) == edit
    assert "where" not in edit_to_json(EVERY[1])


@pytest.mark.parametrize(
    "change",
    [
        {"point": "act.x"},
        {"scale": "much"},
        {"scale": [1]},
        {"vector": None},
        {"vector": {"digest": "abc", "shape": [2]}},
        {"vector": {"digest": "0" * 64, "shape": [2, 2]}},
        {"vector": {"digest": "0" * 64, "shape": [0]}},
        {"vector": {"digest": "0" * 64, "shape": [True]}},
        {"vector": {"digest": "0" * 64}},
        {"where": {"calls": [4, 3]}},
        {"where": {"callers": [3, 4]}},
        {"where": {"stages": [1]}},
        {"where": {"after": {"codes": 3}}},
        {"where": {"after": ["action"]}},
        {"where": {"after": {"main": [[3], 4]}}},
        {"where": [3, 4]},
        {"heads": [1]},
        {"first": 3},
    ],
    ids=str,
)
def test_what_is_no_edit_of_a_manifest_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        edit_from_json(edit_to_json(EVERY[0]) | change)


def test_numbers_that_nobody_has_are_asked_for() -> None:
    stored = edit_from_json(edit_to_json(EVERY[1]))
    assert isinstance(stored, Steer)
    with pytest.raises(UsageError, match="are not here"):
        _ = stored.vector.tensor


class TestReplay:
    @pytest.mark.parametrize("cfg_scale", [1.0, 2.5])
    def test_it_has_the_logits_of_the_run(self, tmp_path: Path, tts: Dia2, cfg_scale: float) -> None:
        trace = run(tmp_path / "a", of_each_kind(tts), cfg_scale=cfg_scale)
        assert_replayed(trace, tts)
        plain = trace.replay(tts, edits=False)
        assert not torch.allclose(plain.cb0, trace.replay(tts).cb0, atol=0.1)

    def test_in_the_warm_up_and_after_it(self, trace: Dia2Trace, tts: Dia2) -> None:
        assert trace.warmup_calls
        assert_replayed(trace, tts)

    def test_some_calls_are_those_of_all(self, trace: Dia2Trace, tts: Dia2) -> None:
        some, whole = trace.replay(tts, [70, 3, 65]), trace.replay(tts)
        assert torch.allclose(some.cb0, whole.cb0[[70, 3, 65]], atol=1e-4)

    def test_layers_and_attention_are_those_of_the_edited_run(self, tmp_path: Path, tts: Dia2) -> None:
        given = vector(tts, 4)
        trace = run(tmp_path / "a", [Patch("act.1.resid", given, 6)])
        seen = trace.replay(tts, layers=True, attention=True)
        assert torch.allclose(seen.layers[1][6:10, 0], given, atol=1e-5)
        assert not torch.allclose(seen.layers[0][6:10, 0], given, atol=1e-1)
        assert len(seen.attention) == trace.model.layers

    def test_activations_are_read_as_they_are_after_edits(self, tmp_path: Path, tts: Dia2) -> None:
        given = vector(tts, 4)
        trace = run(tmp_path / "a", [Patch("act.1.resid", given, 6)])
        seen = trace.replay(tts, points="act.*").acts
        assert torch.equal(seen["act.1.resid"][6:10, 0], given)
        assert np.array_equal(activations(trace, tts, "act.1.resid")["act.1.resid"][6:10, 0], given.numpy())
        plain = trace.replay(tts, points="act.1.resid", edits=False).acts["act.1.resid"]
        assert not torch.allclose(plain[6:10, 0], given, atol=0.1)
        assert torch.equal(plain[:6], seen["act.1.resid"][:6])

    def test_one_without_edits_is_of_another_run(self, trace: Dia2Trace, tts: Dia2) -> None:
        trace.adapter.load("replayed")(trace, trace.replay(tts), 0)
        with pytest.raises(UsageError, match="of another run"):
            trace.adapter.load("replayed")(trace, trace.replay(tts, edits=False), 0)

    def test_where_a_call_is_in_the_script(self, trace: Dia2Trace) -> None:
        moments = moments_of(trace, len(trace))
        begun = [word for word in trace.words if word.call is not None]
        for moment in moments:
            before = [word for word in begun if word.call is not None and word.call < moment.call]
            assert moment.word == (before[-1].index if before else None)
            assert moment.speaker == (before[-1].speaker if before else None)
            if moment.call == 0:
                assert moment.before is None
                continue
            row = trace.frames[moment.call - 1].machine
            assert moment.before is not None
            assert moment.before[1:] == (
                *(row.main, row.second, row.consumed, row.padding_budget, row.forced_padding, row.end_step),
            )
        actions = {moment.before.action for moment in moments if moment.before is not None}
        assert actions == {"new_word", "pad"}
        assert {moment.speaker for moment in moments} == {None, 1, 2}


def assert_replayed(trace: Dia2Trace, tts: Dia2) -> None:
    found, first = trace.replay(tts), trace.warmup_calls
    for call in range(first, len(trace)):
        stored = trace.logits(call)
        for name, ours in (("action", found.action), ("cb0", found.cb0), ("dep", found.dep)):
            assert np.abs(ours[call].numpy() - stored[name]).max() <= 1e-4 * max(1.0, np.abs(stored[name]).max())


class TestForks:
    def test_without_more_edits_it_is_the_same_run(self, trace: Dia2Trace, tts: Dia2, tmp_path: Path) -> None:
        for number, call in enumerate((0, trace.warmup_calls + 1, len(trace) - 1)):
            trace.fork(tts, call, path=tmp_path / str(number), level="full")
            again = Dia2Trace(tmp_path / str(number))
            assert trace.diff(again).same
            assert again.run.edits == trace.run.edits
            assert again.logits(len(trace) - 1)["cb0"].tolist() == trace.logits(len(trace) - 1)["cb0"].tolist()
            assert (again.path / EDITS_FILE).read_bytes() == (trace.path / EDITS_FILE).read_bytes()

    def test_an_edit_may_come_with_it(self, tmp_path: Path, tts: Dia2) -> None:
        trace = run(tmp_path / "a", [Ablate("act.0.heads", heads=(0,))])
        steer = Steer("act.1.resid", vector(tts), 2.0)
        trace.fork(tts, 12, edits=[steer], path=tmp_path / "b", level="full")
        other = Dia2Trace(tmp_path / "b")
        assert other.run.edits == [*trace.run.edits, replace(steer, where=Where(calls=(12, MOST)))]
        found = trace.diff(other)
        assert not found.settings
        assert [(edit.call, edit.a) for edit in found.edits] == [(12, "none")]
        assert found.edits[0].b.endswith("from call 12 on")
        assert found.shared >= 12
        assert not np.array_equal(trace.codes[12:16], other.codes[12:16])
        assert_replayed(other, tts)
        with pytest.raises(UsageError, match="comes before the fork"):
            trace.fork(tts, 12, edits=[replace(steer, where=Where(calls=(11, 20)))])

    def test_an_edit_may_end_with_it(self, tmp_path: Path, tts: Dia2) -> None:
        steer = Steer("act.1.resid", vector(tts), 2.0)
        trace = run(tmp_path / "a", [steer, ForceAction(20, "pad")])
        trace.fork(tts, 12, drop=trace.run.edits, path=tmp_path / "b", level="full")
        other = Dia2Trace(tmp_path / "b")
        assert other.run.edits == [replace(steer, where=Where(calls=(0, 11)))]
        assert np.array_equal(trace.codes[:12], other.codes[:12])
        assert not np.array_equal(trace.codes[12:16], other.codes[12:16])
        assert_replayed(other, tts)
        trace.fork(tts, 0, drop=[steer], path=tmp_path / "c", level="full")
        assert Dia2Trace(tmp_path / "c").diff(run(tmp_path / "d", [ForceAction(20, "pad")])).shared == len(
            Dia2Trace(tmp_path / "c")
        )

    def test_what_cannot_be_dropped_is_refused(self, tmp_path: Path, tts: Dia2) -> None:
        trace = run(tmp_path / "a", [ChangeSampling(5, temp_audio=0.5)])
        with pytest.raises(UsageError, match="change sampling back"):
            trace.fork(tts, 12, drop=trace.run.edits)
        with pytest.raises(UsageError, match="There is no edit"):
            trace.fork(tts, 12, drop=[Ablate("act.0.heads")])
        trace.fork(tts, 4, drop=trace.run.edits)


def test_a_redacted_copy_names_edits_and_has_no_vector(trace: Dia2Trace, tmp_path: Path) -> None:
    for name, options in (("voice", {"voice": True}), ("text", {"text": True})):
        copy = trace.redact(tmp_path / name, **options)
        assert not (copy.path / EDITS_FILE).exists()
        assert copy.run.edits == trace.run.edits
        assert isinstance(copy.run.edits[0], Steer)
        with pytest.raises(TraceError, match="redacted, or lost"):
            _ = copy.run.edits[0].vector.tensor


# Damage


def _other_number(file: Path) -> None:
    tensors = load_file(file)
    for array in tensors.values():
        array.flat[0] += 1
    save_file(tensors, file)


def _changed(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Path], None]:
    def damage(file: Path) -> None:
        save_file({name: change(array) for name, array in load_file(file).items()}, file)

    return damage


def _not_finite(array: np.ndarray) -> np.ndarray:
    array = array.copy()
    array.flat[0] = np.nan
    return array


def _giant(file: Path) -> None:
    with file.open("r+b") as out:
        out.truncate(1 << 40)


def _link(file: Path) -> None:
    file.rename(file.with_name("elsewhere"))
    file.symlink_to(file.with_name("elsewhere"))


def _of_another_checkpoint(file: Path) -> None:
    save_file(load_file(file), file, {"weights": "0" * 64})


def _folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


DAMAGE: dict[str, Callable[[Path], object]] = {
    "another number": _other_number,
    "longer": _changed(lambda array: np.concatenate([array, array])),
    "another shape": _changed(lambda array: array[None]),
    "another type": _changed(lambda array: array.astype(np.float64)),
    "not finite": _changed(_not_finite),
    "no tensors": lambda file: save_file({"x": np.zeros(2, np.float32)}, file),
    "missing": lambda file: file.unlink(),
    "no safetensors": lambda file: file.write_bytes(b"nothing"),
    "empty": lambda file: file.write_bytes(b""),
    "cut short": lambda file: file.write_bytes(file.read_bytes()[:-5]),
    "a giant": _giant,
    "a giant header": lambda file: file.write_bytes((1 << 40).to_bytes(8, "little") + b"{}"),
    "a link": _link,
    "a folder": _folder,
    "of another checkpoint": _of_another_checkpoint,
}


@pytest.mark.parametrize("how", DAMAGE)
def test_damaged_vectors_are_one_error_and_the_rest_is_readable(
    how: str, trace: Dia2Trace, tts: Dia2, tmp_path: Path
) -> None:
    path = tmp_path / "run.dia2trace"
    shutil.copytree(trace.path, path)
    DAMAGE[how](path / EDITS_FILE)
    damaged = Dia2Trace.load(path)
    assert damaged.run.edits == trace.run.edits  # what was done is told
    assert damaged.diff(trace).same
    assert damaged.report("show") == trace.report("show").replace(str(trace.path), str(path))
    assert damaged.logits(70).keys() == trace.logits(70).keys()
    damaged.replay(tts, [70], edits=False)
    asked: list[Callable[[], object]] = [lambda: damaged.replay(tts, [70]), lambda: damaged.fork(tts, 70)]
    for ask in asked:
        with pytest.raises(TraceError) as refused:
            ask()
        assert EDITS_FILE in str(refused.value)
        assert "\n" not in str(refused.value)


def test_a_vector_of_many_gigabytes_is_refused_before_memory_is_taken(tmp_path: Path, tts: Dia2) -> None:
    trace = run(tmp_path / "a", [Steer("act.1.resid", vector(tts))])
    manifest = json.loads((trace.path / MANIFEST).read_text(encoding="utf-8"))
    stored = manifest["run"]["edits"][0]["vector"]
    stored["shape"] = [5 << 30 >> 2]
    (trace.path / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")
    header = {stored["digest"]: {"dtype": "F32", "shape": stored["shape"], "data_offsets": [0, 5 << 30]}}
    content = json.dumps(header).encode()
    (trace.path / EDITS_FILE).write_bytes(len(content).to_bytes(8, "little") + content)
    os.truncate(trace.path / EDITS_FILE, 8 + len(content) + (5 << 30))  # a hole
    with pytest.raises(TraceError, match="larger than 256 MB"):
        _ = Dia2Trace.load(trace.path).run.edits[0].vector.tensor  # type: ignore[union-attr]  # a Steer


def test_a_direction_of_no_length_is_refused_when_it_is_read(tmp_path: Path, tts: Dia2) -> None:
    trace = run(tmp_path / "a", [Clamp("act.1.resid", vector(tts), 2.0), Steer("act.0.resid", 0 * vector(tts))])
    manifest = json.loads((trace.path / MANIFEST).read_text(encoding="utf-8"))
    clamp, steer = manifest["run"]["edits"]
    clamp["direction"] = steer["vector"]
    (trace.path / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")
    with pytest.raises(UsageError, match="points nowhere"):
        load(trace.path).replay(tts)


NASTY: list[Any] = [
    None,
    True,
    -1,
    2**40,
    1e400,
    "",
    "x" * 5000,
    "\x1b[2J",
    [],
    [[]],
    [-1],
    ["a"],
    {},
    {"x": 1},
    [1, 2],
]


def test_a_manifest_with_any_edit_changed_is_read_or_refused_in_one_sentence(trace: Dia2Trace, tmp_path: Path) -> None:
    path = tmp_path / "run.dia2trace"
    shutil.copytree(trace.path, path)
    whole = (path / MANIFEST).read_text(encoding="utf-8")
    refused: list[str] = []
    for number, value in product(range(len(trace.run.edits)), NASTY):
        for place in _places(json.loads(whole)["run"]["edits"][number]):
            content = json.loads(whole)
            within = content["run"]["edits"][number]
            for key in place[:-1]:
                within = within[key]
            within[place[-1]] = value
            (path / MANIFEST).write_text(json.dumps(content), encoding="utf-8")
            try:
                Dia2Trace.load(path).report("show")
            except TraceError as error:
                refused.append(str(error))
    assert len(refused) > 300
    assert not any(sign in error for error in refused for sign in "\n\x1b")


def _places(value: Any, *before: Any) -> Iterator[tuple[Any, ...]]:
    """Where something stands in JSON, by keys."""
    for key, part in value.items() if isinstance(value, dict) else enumerate(value):
        yield (*before, key)
        if isinstance(part, dict | list):
            yield from _places(part, *before, key)
