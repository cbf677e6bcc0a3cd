"""Sweeps: a plan's runs, each made once, in one dataset, whatever happens meanwhile."""

from __future__ import annotations

import json
from collections import deque
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from dia2 import Ablate, Dia2, Steer
from dia2.adapter import word_errors
from dia2.adapter.maker import Dia2Maker
from dia2.common.errors import Dia2Error, UsageError
from dia2.common.hashing import hash_path
from dia2.inspect import Dia2Trace, sweep
from dia2.inspect.sweeps import dataset, engines
from dia2.inspect.sweeps import sweep as sweeping
from dia2.inspect.sweeps import worker as working
from dia2.inspect.sweeps.destination import Destination
from dia2.inspect.sweeps.lock import locked
from dia2.inspect.sweeps.plan import Plan, RunOptions
from dia2.inspect.sweeps.query import query
from dia2.inspect.sweeps.sweep import SweepProgress, make
from dia2.runtime import task

from ..support.acts import vector
from ..support.reference import Case, engine
from .sweeping import GRID, SCRIPT, interrupted, maker, rows_of, swept


class TestDataset:
    def test_a_row_is_a_run_with_its_settings_and_its_trace(self, made: Path) -> None:
        rows = rows_of(made)
        assert len(rows) == len({row["run"] for row in rows}) == 8
        asked = {(row["script"], row["seed"], row["cfg_scale"]) for row in rows}
        assert asked == {(script, seed, cfg) for script in GRID["script"] for seed in (1, 2) for cfg in (1.0, 2.5)}
        for row in rows:
            assert (row["status"], row["error"], row["tries"], row["stop_reason"]) == ("done", None, 1, "end")
            trace, config = Dia2Trace.load(made / row["trace"]), {"seed": row["seed"], "cfg_scale": row["cfg_scale"]}
            assert trace.complete
            assert {name: row[name] for name in trace.measures()} == trace.measures()
            alone = engine("tiny4").generate(row["script"], **config)
            assert np.array_equal(trace.aligned[:, trace.crop :], alone.audio_tokens[0].numpy())

    def test_the_other_tables_are_those_of_the_traces(self, made: Path) -> None:
        for row in rows_of(made):
            trace = Dia2Trace.load(made / row["trace"])
            ((calls,),) = query(made, f"select count(*) from calls where run = '{row['run']}'")[1]
            assert calls == len(trace)
            found = query(made, f"select text from words where run = '{row['run']}' order by index")[1]
            assert [text for (text,) in found] == [word.text for word in trace.words]
            ((chosen,),) = query(
                made, f"select list(choice order by call) from draws where run = '{row['run']}' and draw = 'cb0'"
            )[1]
            assert chosen == trace.codes[:, 0].tolist()

    def test_files_are_hive_partitioned_and_none_is_temporary(self, made: Path) -> None:
        files = [
            path.relative_to(made).as_posix()
            for path in made.rglob("*")
            if path.is_file() and "traces" not in path.parts
        ]
        assert files
        for file in files:
            table, _, rest = file.partition("/")
            assert table in (*dataset.TABLES, "plans")
            assert table == "plans" or (rest.startswith("model=tiny4-") and rest.endswith(".parquet"))
        assert len({row["model"] for row in rows_of(made)}) == 1
        assert pq.read_table(made / "runs").num_rows == 8  # by any reader

    def test_values_of_other_kinds_are_cells(self, tmp_path: Path) -> None:
        edits = [[], [{"kind": "ForceAction", "call": 3, "action": "pad"}]]
        swept(tmp_path, {"script": ["[S1] Yes."], "edits": edits, "top_k": [5], "use_torch_compile": [False]})
        rows = rows_of(tmp_path)
        assert sorted(json.loads(row["edits"])[:1] == [] for row in rows) == [False, True]
        assert {(row["top_k"], row["use_torch_compile"]) for row in rows} == {(5, False)}

    def test_runs_with_other_edits_of_activations(self, tmp_path: Path) -> None:
        tts = engine("tiny4")
        steer = Steer("act.1.resid", vector(tts))
        edits = [[], [steer], [replace(steer, scale=2.0), Ablate("act.0.heads", heads=(1,))]]
        swept(tmp_path, {"script": ["[S1] Yes."], "edits": edits, "seed": [1]})
        rows = rows_of(tmp_path)
        assert sorted(len(json.loads(row["edits"])) for row in rows) == [0, 1, 2]
        assert max(len(row["edits"]) for row in rows) < 400  # vectors by their digests
        for row in rows:
            trace = Dia2Trace(tmp_path / row["trace"])
            assert trace.run.edits in edits
            alone = tts.generate("[S1] Yes.", seed=1, edits=trace.run.edits)
            assert np.array_equal(alone.audio_tokens[0].numpy(), trace.aligned)

    def test_checkpoints_are_a_setting(self, tmp_path: Path) -> None:
        plan = Plan({"script": ["[S1] Yes."], "checkpoint": ["nano", {"nano": True, "dtype": "bfloat16"}]})
        assert len(make(plan, tmp_path).runs) == 2
        rows = rows_of(tmp_path)
        assert sorted(row["checkpoint"] for row in rows) == ["nano", '{"nano": true, "dtype": "bfloat16"}']
        assert len({row["model"] for row in rows}) == 2

    def test_a_recording_is_stored_once(self, tmp_path: Path) -> None:
        prefix = Case("tiny4", "prefix1").config().prefix
        assert prefix is not None
        words = [dict(word) for word in prefix.words_1] if isinstance(prefix.words_1, list) else prefix.words_1
        grid = {"script": ["[S1] Yes."], "seed": [1, 2], "voice": [prefix.speaker_1], "prefix_words_1": [words]}
        swept(tmp_path / "with", grid)
        digest = hash_path(Path(str(prefix.speaker_1)))
        (stored,) = (tmp_path / "with" / "recordings").iterdir()
        assert stored.stem == digest
        assert [row["recordings"] for row in rows_of(tmp_path / "with")] == [[digest]] * 2
        assert not list((tmp_path / "with" / "traces").rglob("*prefix*.wav"))
        swept(tmp_path / "without", grid, voice=False)
        assert not (tmp_path / "without" / "recordings").exists()


class KilledError(BaseException):
    """The end of a process, as far as a test can have it."""


class Killing:
    """Ends a sweep when it has written so many tables."""

    def __init__(self, patch: pytest.MonkeyPatch, stop: int) -> None:
        self.left, self.write = stop, Destination.write
        patch.setattr(Destination, "write", lambda there, name, content: self(there, name, content))

    def __call__(self, there: Destination, name: str, content: bytes) -> None:
        if name.endswith(".parquet"):
            self.left -= 1
            if self.left < 0:
                raise KilledError
        self.write(there, name, content)


class TestGoingOn:
    def test_what_is_there_is_not_made_again(self, made: Path) -> None:
        before = {path: path.stat().st_mtime_ns for path in made.rglob("*") if path.is_file()}
        again = swept(made, GRID | {"seed": [1, 2, 3]})
        assert (again.made, again.found) == (4, 8)
        assert {path: path.stat().st_mtime_ns for path in before if path.parent.name != "plans"} == {
            path: time for path, time in before.items() if path.parent.name != "plans"
        }
        assert len(rows_of(made)) == 12

    def test_a_killed_sweep_goes_on_where_it_was(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Between a trace and its row, between two tables of a group, in the middle of a run."""
        for stop in (1, 3, 2):
            with monkeypatch.context() as patch:
                Killing(patch, stop)
                with pytest.raises(KilledError):
                    swept(tmp_path, rows=1)
        (first,) = list((tmp_path / "traces").iterdir())[:1]
        (first / "manifest.json").write_text((first / "manifest.json").read_text().replace('"complete"', '"running"'))
        calls = 0
        real = Dia2.generate_many

        def counted(tts: Dia2, requests: Any, **options: Any) -> Any:
            nonlocal calls
            found = list(requests)
            calls += len(found)
            return real(tts, found, **options)

        monkeypatch.setattr(Dia2, "generate_many", counted)
        swept(tmp_path, rows=1)
        assert calls == 8 - 4 + 1  # the first group's four have traces, one of which was not whole
        assert len(rows_of(tmp_path)) == 8
        whole = {path.name for path in (tmp_path / "runs").rglob("*.parquet")}
        for table in (dataset.WORDS, dataset.CALLS, dataset.DRAWS):
            assert {path.name for path in (tmp_path / table).rglob("*.parquet")} == whole

    def test_ctrl_c_keeps_what_is_finished(self, tmp_path: Path) -> None:
        interrupted(tmp_path)
        there = len(rows_of(tmp_path))
        assert 0 < there < 8
        assert swept(tmp_path).found == there
        assert len(rows_of(tmp_path)) == 8

    def test_a_run_that_fails_is_tried_twice_and_the_others_go_on(self, tmp_path: Path) -> None:
        edits = [[], [{"kind": "ReplaceToken", "call": 3, "token": 1, "codebook": 99}]]
        grid = {"script": [SCRIPT], "seed": [1, 2], "edits": edits}
        summary = swept(tmp_path, grid)
        assert (summary.made, len(summary.failed)) == (4, 2)
        rows = rows_of(tmp_path)
        failed = [row for row in rows if row["status"] == "failed"]
        assert [(row["tries"], "codebook" in row["error"]) for row in failed] == [(2, True)] * 2
        assert swept(tmp_path, grid).made == 0
        assert swept(tmp_path, grid, again=True).made == 2
        assert len(rows_of(tmp_path)) == 4

    def test_a_run_whose_trace_is_damaged_meanwhile_has_failed(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        plain = Dia2Maker.make

        def damaging(self: Dia2Maker, runs: Any, *rest: Any) -> Any:
            made = plain(self, runs, *rest)
            for settings, to in runs:
                if settings["seed"] == 2:
                    (to.folder / "manifest.json").write_text("{}")
            return made

        monkeypatch.setattr(Dia2Maker, "make", damaging)
        summary = swept(tmp_path, {"script": ["[S1] Yes."], "seed": [1, 2, 3]})
        assert len(summary.failed) == 1
        (failed,) = [row for row in rows_of(tmp_path) if row["status"] == "failed"]
        assert "is not the manifest of a trace" in failed["error"]

    def test_whisper_counts_word_errors(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(word_errors, "word_errors", lambda trace, whisper: len(whisper) / 8)
        swept(tmp_path, {"script": ["[S1] Yes."]}, whisper="base")
        assert rows_of(tmp_path, "word_errors") == [{"word_errors": 0.5}]

    def test_one_sweep_at_a_time(self, tmp_path: Path) -> None:
        with locked(Destination(tmp_path / "dest")), pytest.raises(UsageError, match="Another sweep writes to"):
            swept(tmp_path / "dest")
        swept(tmp_path / "dest", {"script": ["[S1] Yes."]})

    def test_progress_is_told(self, tmp_path: Path) -> None:
        told: list[SweepProgress] = []
        make(Plan(GRID, run=RunOptions(rows=2)), tmp_path, makers=[maker()], tell=told.append)
        assert (told[0].done, told[0].left, told[0].total) == (0, None, 8)
        assert (told[-1].done, told[-1].made, told[-1].left, told[-1].failed) == (8, 8, 0, 0)
        assert told[-1].frames == query(tmp_path, "select count(*) from calls where phase = 'main'")[1][0][0]
        assert [one.frames for one in told] == sorted(one.frames for one in told)


class TestJobs:
    @pytest.mark.parametrize(
        ("rows", "runs", "engines", "size"),
        [
            (8, 200, 1, 32),
            (8, 200, 3, 16),
            (8, 16, 3, 6),
            (8, 10_000, 3, 32),
            (1, 26, 3, 2),
            (8, 1, 3, 1),
            (8, 0, 3, 1),
        ],
    )
    def test_all_engines_have_some(self, rows: int, runs: int, engines: int, size: int) -> None:
        assert sweeping._size(rows, runs, engines) == size

    def test_what_was_recorded_before_its_process_died_is_not_made_again(self, made: Path) -> None:
        runs = Plan(GRID | {"seed": [1, 9]}).runs([maker()])
        recorded = {run.id for run in runs if run.settings["seed"] == 1}
        worker = working.Worker(str(made), [], RunOptions(), {})
        jobs = deque[working.Job]()
        done = sweeping._settled(engines.Report(working.Job(tuple(runs)), None), worker, jobs)
        assert done == [working.Done(run.id, None) for run in runs if run.id in recorded]
        others = [run for run in runs if run.id not in recorded]
        assert [(list(job.runs), job.died) for job in jobs] == [(others[:2], 0), (others[2:], 0)]
        alone = working.Job((others[0],))
        assert [(list(job.runs), job.died) for job in alone.again()] == [([others[0]], 1)]
        assert alone.again()[0].again() == []


class TestWhatIsThere:
    """Of other plans, of other people, damaged, or made by what has failed."""

    def test_runs_of_another_plan_have_their_settings_in_all_columns(self, tmp_path: Path) -> None:
        """The second plan finds a run of the first, which said nothing of guidance."""
        swept(tmp_path, {"script": ["[S1] Yes."]})
        assert swept(tmp_path, {"script": ["[S1] Yes."], "cfg_scale": [2, 3.5], "topk_text": [50]}).found == 1
        rows = rows_of(tmp_path, "cfg_scale, topk_text, temperature, temp_text, temp_audio, seed, voice, checkpoint")
        assert sorted(row["cfg_scale"] for row in rows) == [2.0, 3.5]
        for row in rows:
            assert row | {"cfg_scale": 0} == {
                "cfg_scale": 0, "topk_text": 50, "temperature": None, "temp_text": 0.6, "temp_audio": 0.8, "seed": 1,
                "voice": None, "checkpoint": "tiny4",
            }  # fmt: skip
        assert pq.read_table(tmp_path / "runs").num_rows == 2  # whichever file comes first

    def test_failed_runs_of_another_plan_stay(self, tmp_path: Path) -> None:
        bad = {"kind": "ReplaceToken", "call": 3, "token": 1, "codebook": 99}
        grids = [{"script": ["[S1] Yes."], "seed": [seed], "edits": [[bad]]} for seed in (1, 2)]
        for grid in grids:
            assert swept(tmp_path, grid, again=True).failed_before == 0
        assert len(rows_of(tmp_path)) == 2
        assert swept(tmp_path, grids[0]).failed_before == 1
        assert str(swept(tmp_path, grids[0])).split(":")[0].endswith("1 were there (1 had failed")

    def test_files_of_others_are_left_alone(self, tmp_path: Path) -> None:
        for name in ("runs/mine.parquet", "calls/mine.parquet", "words/model=x/mine.parquet"):
            (tmp_path / name).parent.mkdir(parents=True)
            (tmp_path / name).write_text("mine")
        swept(tmp_path, {"script": ["[S1] Yes."]})
        assert len(rows_of(tmp_path)) == 1
        assert [path.read_text() for path in tmp_path.rglob("mine.parquet")] == ["mine"] * 3

    def test_a_damaged_trace_is_made_anew(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        grid = {"script": ["[S1] Yes."]}
        with monkeypatch.context() as patch:
            Killing(patch, 0)
            with pytest.raises(KilledError):
                swept(tmp_path, grid)
        (sound,) = tmp_path.glob("traces/*/audio.flac")
        sound.write_bytes(sound.read_bytes()[:100])
        swept(tmp_path, grid)
        (row,) = rows_of(tmp_path)
        assert (row["status"], row["tries"]) == ("done", 1)
        assert Dia2Trace.load(tmp_path / row["trace"]).audio is not None

    def test_whatever_is_wrong_with_a_run_that_was_made_is_its_own(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(trace: Any, whisper: str) -> float:
            if trace.run.seed == 2:
                raise RuntimeError("no ears")
            return 0.25

        monkeypatch.setattr(word_errors, "word_errors", fail)
        assert len(swept(tmp_path, {"script": ["[S1] Yes."], "seed": [1, 2]}, whisper="base").failed) == 1
        rows = {row["seed"]: row for row in rows_of(tmp_path)}
        assert (rows[1]["word_errors"], rows[2]["error"], rows[2]["tries"]) == (0.25, "no ears", 2)

    def test_what_was_finished_before_ctrl_c_knows_how_long_it_took(self, tmp_path: Path) -> None:
        interrupted(tmp_path)
        assert all(row["seconds"] > 0 for row in rows_of(tmp_path))

    def test_an_error_of_whoever_is_told_is_no_run_s_fault(self, tmp_path: Path) -> None:
        def fail(now: SweepProgress) -> None:
            if now.frames:
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            make(Plan({"script": ["[S1] Yes."]}), tmp_path, makers=[maker()], tell=fail)
        assert [row["status"] for row in rows_of(tmp_path)] == ["done"]

    def test_one_checkpoint_is_loaded_at_a_time(self, tmp_path: Path) -> None:
        makers = [Dia2Maker(Dia2.nano()), Dia2Maker(Dia2.nano(dtype="bfloat16"))]
        grid: dict[str, Any] = {"script": ["[S1] Yes."], "checkpoint": ["nano", {"nano": True, "dtype": "bfloat16"}]}
        make(Plan(grid, {"nano": True}), tmp_path, makers=makers)
        assert [maker._tts._runtime is None for maker in makers] == [True, False]

    def test_a_dataset_beneath_a_folder_that_looks_like_a_column(self, tmp_path: Path) -> None:
        swept(tmp_path / "seed=9" / "model=x" / "dest", {"script": ["[S1] Yes."]})
        (row,) = rows_of(tmp_path / "seed=9" / "model=x" / "dest")
        assert row["seed"] == 1
        assert row["model"].startswith("tiny4-")

    def test_a_dataset_of_failed_runs(self, tmp_path: Path) -> None:
        bad = {"kind": "ReplaceToken", "call": 3, "token": 1, "codebook": 99}
        swept(tmp_path, {"script": ["[S1] Yes."], "edits": [[bad]]})
        assert query(tmp_path, "select count(*) from words join runs using (run)")[1] == [(0,)]


def test_the_call_in_python_gives_traces_and_sql(tmp_path: Path) -> None:
    runs = sweep(engine("tiny4"), "[S1] Yes.", tmp_path, seeds=(1, 2))
    assert [row["seed"] for row in runs.sql("select seed from runs order by seed")] == [1, 2]
    with pytest.raises(UsageError, match="cannot be answered"):
        runs.sql("selekt")
    with pytest.raises(UsageError, match="in no dataset"):
        replace(runs, url=None).sql("select 1")


def test_every_seed_that_is_asked_for_is_a_variant(tmp_path: Path) -> None:
    runs = sweep(engine("tiny4"), "[S1] Yes.", tmp_path, seeds=(2, 1, 2))
    assert [variant.seed for variant in runs.variants] == [2, 1, 2]


def test_of_runs_that_fail_the_first_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise Dia2Error("No voice today.")

    monkeypatch.setattr(task, "parse_script", fail)
    with pytest.raises(Dia2Error, match=r"2 runs of 2 failed: No voice today\."):
        sweep(engine("tiny4"), "[S1] Yes.", tmp_path, seeds=(1, 2))
    monkeypatch.undo()
    assert len(sweep(engine("tiny4"), "[S1] Yes.", tmp_path, seeds=(1, 2)).variants) == 2
