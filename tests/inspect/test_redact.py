"""A redacted copy is a trace, and no secret is left in any of its bytes."""

import json
from itertools import product
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
import soundfile
from safetensors.numpy import load_file, save_file

from dia2.adapter.redact import redact
from dia2.adapter.trace import Dia2Trace
from dia2.common.errors import TraceError, UsageError
from dia2.inspect import record
from dia2.inspect.record import recorder
from dia2.inspect.trace.tables import calls_table, draws_table
from dia2.runtime.edits import ChangeSampling, Edit, ReplaceToken

from ..support.reference import Case, engine

CASE = Case("tiny4", "prefix2")
SCRIPT = '[S1] Xylophone quagmire, don\'t! [S2] <break time="0.4s"/> Zeppelins.'
PREFIX_WORDS = ("there,", "friend.", "morning", "Hello")
EDITS: list[Edit] = [
    ReplaceToken(50, 81, stream="main"),
    ReplaceToken(51, 17, codebook=3),
    ChangeSampling(55, cfg_scale=3.0),
]
BOTH = [(True, False), (False, True), (True, True)]


@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory) -> Dia2Trace:
    """With a prefix, edits, all logits, and several shards of the main loop."""
    path = tmp_path_factory.mktemp("redact") / "run.dia2trace"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recorder, "SHARD_CALLS", 20)
        with record(path, level="full"):
            engine("tiny4").generate(SCRIPT, CASE.config(seed=1), edits=EDITS)
    return Dia2Trace(path)


@pytest.fixture(scope="module")
def copies(trace: Dia2Trace, tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[bool, bool], Dia2Trace]:
    """A copy without voice, without text, without both."""
    folder = tmp_path_factory.mktemp("copies")
    return {(voice, text): trace.redact(folder / f"{voice}-{text}", voice=voice, text=text) for voice, text in BOTH}


def _bytes(trace: Dia2Trace) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in trace.path.iterdir()}


def _manifest(trace: Dia2Trace) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((trace.path / "manifest.json").read_text(encoding="utf-8"))
    return found


def _shards(trace: Dia2Trace) -> list[dict[str, np.ndarray]]:
    return [load_file(file) for file in sorted(trace.path.glob("frames-*"))]


def _column(trace: Dia2Trace, name: str) -> np.ndarray:
    return np.concatenate([shard[name] for shard in _shards(trace)])


def _text_secrets(trace: Dia2Trace) -> set[str]:
    """What must not be found: words, parts of the script, folders and names of files."""
    paths = {str(CASE.folder), CASE.folder.name, "spk1.", "spk2.", ".wav", "words.json"}
    words = {"Xylophone", "quagmire", "don't", "Zeppelins", "time=", *PREFIX_WORDS}
    words |= {word.text for word in trace.words} | {word.text for word in trace.run.spoken}
    return paths | words


def test_the_secrets_are_in_the_trace_itself(trace: Dia2Trace) -> None:
    """Without this, a search that finds nothing would say nothing."""
    everything = b"".join(_bytes(trace).values())
    assert all(secret.encode() in everything for secret in _text_secrets(trace))
    assert len(trace.words) == 9


@pytest.mark.parametrize("voice", [False, True])
def test_no_text_is_left(trace: Dia2Trace, copies: dict[tuple[bool, bool], Dia2Trace], voice: bool) -> None:
    copy = copies[voice, True]
    for (name, content), secret in product(_bytes(copy).items(), _text_secrets(trace)):
        assert secret.casefold().encode() not in content.lower(), f"{secret} in {name}"
    allowed = {-1, *(getattr(trace.model.tokens, name) for name in ("pad", "new_word", "bos", "zero"))}
    for name in ("text", "emitted"):
        was, now = _column(trace, name), _column(copy, name)
        special = np.isin(was, list(allowed))
        assert special.any()
        assert not special.all()
        assert (now == np.where(special, was, -1)).all()
    for name in ("pending", "lookahead"):
        assert len(_column(copy, name)) == len(_column(trace, name)) > 0
        assert (_column(copy, name) == -1).all()
        assert (_column(copy, f"{name}_end") == _column(trace, f"{name}_end")).all()
    warmup = _column(trace, "phase") == 0
    assert set(_column(copy, "action")[warmup].tolist()) <= allowed
    assert (_column(copy, "action") == _column(trace, "action"))[~warmup].all()
    entries = _manifest(copy)["run"]["entries"]
    assert {token for _, tokens, _, _ in entries for token in tokens} == {-1}
    assert {text for text, *_ in entries} == {"redacted", ""}
    assert [len(tokens) for _, tokens, *_ in entries] == [len(entry.tokens) for entry in trace.run.entries]
    assert not any(edit.get("stream") for edit in _manifest(copy)["run"]["edits"])


@pytest.mark.parametrize("text", [False, True])
def test_no_voice_is_left(trace: Dia2Trace, copies: dict[tuple[bool, bool], Dia2Trace], text: bool) -> None:
    copy = copies[True, text]
    files = _bytes(copy)
    assert {name for name in files if not name.startswith("frames-")} == {"manifest.json", "phases.jsonl"}
    plain = {"draw.ids", "draw.cond", "draw.guided", "draw.kept", "draw.probability", "logits.action"}
    for before, after in zip(_shards(trace), _shards(copy), strict=True):
        assert set(before) - set(after) == ({"logits.cb0", "logits.dep"} & set(before))
        assert (after["audio"] == -1).all()
        assert (after["codes"] == -1).all()
        for name in set(after) - {"audio", "codes", "text", "emitted", "pending", "lookahead", "action"}:
            same = before[name][:, :1] if name.startswith("draw.") else before[name]  # of the action
            assert np.array_equal(after[name], same, equal_nan=after[name].dtype.kind == "f"), name
        if "draw.ids" in before:
            assert plain <= set(after)
            assert before["draw.ids"].shape[1] == 5
    for row in np.concatenate([_column(trace, name) for name in ("audio", "codes")]):
        if len(set(row.tolist())) > 3:
            for dtype in (np.int8, np.int16, np.int32, np.int64):
                assert all(row.astype(dtype).tobytes() not in content for content in files.values())
    manifest = _manifest(copy)
    assert manifest["audio"] is None
    assert manifest["draws"] == ["action"]
    assert not any("codebook" in edit for edit in manifest["run"]["edits"])
    assert all(value is None or value < 0 for row in calls_table(copy).to_pylist() for value in row["audio_seen"])
    assert all(code < 0 for row in calls_table(copy).to_pylist() for code in row["codes"] or ())
    assert set(draws_table(copy).column("draw").to_pylist()) == {"action"}


@pytest.mark.parametrize(("voice", "text"), BOTH)
def test_every_accessor_works_or_says_redacted(
    trace: Dia2Trace, copies: dict[tuple[bool, bool], Dia2Trace], voice: bool, text: bool
) -> None:
    copy = copies[voice, text]
    assert copy.manifest.redacted == [name for name, gone in (("voice", voice), ("text", text)) if gone]
    assert copy.state == trace.state == "complete"
    assert len(copy) == len(trace)
    for name in ("prefix", "grid", "raw_grid", "aligned"):
        if voice:
            with pytest.raises(TraceError, match="redacted"):
                getattr(copy, name)
        elif name != "prefix":
            assert np.array_equal(getattr(copy, name), getattr(trace, name))
    for name in ("steps", "kv_lengths", "times", "step_tokens", "main", "second", "codes", "actions"):
        assert getattr(copy, name).shape == getattr(trace, name).shape
    assert [word.call for word in copy.words] == [word.call for word in trace.words]
    assert [word.seconds for word in copy.words] == [word.seconds for word in trace.words]
    assert (copy.audio is None) == voice
    assert len(list(copy.frames)) == len(trace)
    assert [set(copy.logits(call)) for call in (0, 60)] == [set(), {"action"} if voice else {"action", "cb0", "dep"}]
    assert copy.config_at(60) == copy.config_at(56) != copy.config_at(54)
    assert copy.find("padding_budget") == trace.find("padding_budget")
    if text:
        with pytest.raises(TraceError, match="redacted"):
            copy.find(word="friend")
    else:
        assert copy.find(word="friend") == trace.find(word="friend") != []
    assert [row.status for row in copy.rows()] == [row.status for row in trace.rows()]
    assert [(p.id, p.name, p.parent, p.at, p.seconds) for p in copy.phases] == [
        (p.id, p.name, p.parent, p.at, p.seconds) for p in trace.phases
    ]


def test_what_is_not_redacted_is_as_it_was(trace: Dia2Trace, copies: dict[tuple[bool, bool], Dia2Trace]) -> None:
    voiceless, textless = copies[True, False], copies[False, True]
    assert voiceless.phases == trace.phases
    assert (voiceless.path / "phases.jsonl").read_bytes() == (trace.path / "phases.jsonl").read_bytes()
    was, now = _manifest(trace), _manifest(voiceless)
    assert now.pop("redacted") == ["voice"]
    was |= {"audio": None, "recordings": [], "draws": ["action"]}
    was["run"]["edits"] = [edit for edit in was["run"]["edits"] if "codebook" not in edit]
    assert now == was, "every field of a manifest is copied"
    for before, after in zip(_shards(trace), _shards(textless), strict=True):
        assert set(before) == set(after)
        assert {name: array.dtype for name, array in before.items()} == {n: a.dtype for n, a in after.items()}
        for name in set(before) - {"text", "emitted", "pending", "lookahead", "action"}:
            assert np.array_equal(before[name], after[name], equal_nan=before[name].dtype.kind == "f"), name
    sound = [soundfile.read(copy.path / "audio.flac", dtype="int16")[0] for copy in (trace, textless)]
    assert len(sound[0]) > 10_000
    assert np.array_equal(*sound)
    prefixes = [load_file(copy.path / "prefix.safetensors") for copy in (trace, textless)]
    assert all(np.array_equal(prefixes[0][name], prefixes[1][name]) for name in prefixes[0])


def test_a_copy_of_a_copy_lacks_both(copies: dict[tuple[bool, bool], Dia2Trace], tmp_path: Path) -> None:
    again = copies[True, False].redact(tmp_path / "again", text=True)
    assert again.manifest.redacted == ["voice", "text"]
    assert _bytes(again) == _bytes(copies[True, True])


def test_a_run_without_prefix(tmp_path: Path) -> None:
    with record(tmp_path / "t", hooks="draw.cb0"):
        engine("tiny4").generate("[S1] Quagmire.", CASE.config(seed=1, prefix=None))
    copy = Dia2Trace.load(tmp_path / "t").redact(tmp_path / "copy", voice=True)
    assert copy.manifest.draws == []
    assert not any(name.startswith("draw.") for name in _shards(copy)[0])
    assert copy.prefix is None, "there was none to redact"
    for name in ("grid", "aligned"):
        with pytest.raises(TraceError, match="redacted"):
            getattr(copy, name)


def test_the_error_of_a_failed_run_is_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> NoReturn:
        raise RuntimeError("/home/quagmire/x.wav is at fault")

    monkeypatch.setattr("dia2.runtime.voice_clone.check_prefix", broken)
    with pytest.raises(RuntimeError), record(tmp_path / "t"):
        engine("tiny4").generate("[S1] Hi.", CASE.config())
    trace = Dia2Trace.load(tmp_path / "t")
    copy = trace.redact(tmp_path / "copy", text=True)
    assert b"quagmire" in b"".join(_bytes(trace).values())
    assert b"quagmire" not in b"".join(_bytes(copy).values())
    assert copy.state == "partial: redacted"
    assert [phase.error is None for phase in copy.phases] == [phase.error is None for phase in trace.phases]


def test_a_killed_run_can_be_redacted(trace: Dia2Trace, tmp_path: Path) -> None:
    killed = tmp_path / "killed"
    killed.mkdir()
    for name, content in _bytes(trace).items():
        (killed / name).write_bytes(content[:-40] if name == "phases.jsonl" else content)
    (killed / "manifest.json").write_text(json.dumps(_manifest(trace) | {"status": "running", "result": None}))
    copy = Dia2Trace.load(killed).redact(tmp_path / "copy", voice=True, text=True)
    assert copy.state == Dia2Trace.load(killed).state
    assert copy.phases[-1].seconds is None
    assert _manifest(copy)["result"] is None


def test_an_action_of_the_warmup_can_be_a_word(trace: Dia2Trace, tmp_path: Path) -> None:
    """The format allows any text token there; today's machine is given new_word and pad only."""
    changed = tmp_path / "changed"
    changed.mkdir()
    for name, content in _bytes(trace).items():
        (changed / name).write_bytes(content)
    first = _shards(trace)[0]
    first["action"][3] = 81
    save_file(first, changed / "frames-00000.safetensors")
    assert Dia2Trace.load(changed).actions[3] == 81
    assert Dia2Trace.load(changed).redact(tmp_path / "copy", text=True).actions[:5].tolist() == [
        -1 if call == 3 else action for call, action in enumerate(trace.actions[:5].tolist())
    ]


def test_what_can_go_wrong(trace: Dia2Trace, tmp_path: Path) -> None:
    before = _bytes(trace)
    with pytest.raises(UsageError, match="voice=True, text=True or both"):
        redact(trace, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()
    (tmp_path / "link").symlink_to(trace.path)
    for path in (trace.path, str(trace.path) + "/", tmp_path / "link"):
        with pytest.raises(UsageError, match="the trace itself"):
            redact(trace, path, voice=True)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("mine")
    with pytest.raises(UsageError, match="is not a trace"):
        redact(trace, tmp_path / "mine", voice=True)
    assert _bytes(trace) == before


def test_a_copy_that_breaks_off_is_partial_and_redacted(
    trace: Dia2Trace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = Dia2Trace.load(trace.path)
    monkeypatch.setattr(broken._shards[-1], "path", tmp_path / "nowhere")
    with pytest.raises(TraceError, match="damaged"):
        broken.redact(tmp_path / "copy", text=True)
    left = Dia2Trace.load(tmp_path / "copy")
    assert left.state.startswith("partial")
    assert left.manifest.redacted == ["text"]
    assert 0 < len(left) < len(trace)
    assert trace.redact(tmp_path / "copy", text=True).complete, "and the next one replaces it"
