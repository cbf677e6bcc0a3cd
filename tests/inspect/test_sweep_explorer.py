"""What the explorer of sweeps is given of a dataset, the file it stands in, and what a terminal says of it."""

from __future__ import annotations

import base64
import io
import json
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from rich.console import Console

from dia2.adapter.maker import Dia2Maker
from dia2.cli import main
from dia2.common.errors import Dia2Error, UsageError
from dia2.inspect import explore_sweep, load, sweep, sweep_to_html
from dia2.inspect.sweeps import dataset
from dia2.inspect.sweeps.destination import Destination
from dia2.inspect.sweeps.plan import Plan
from dia2.inspect.sweeps.sweep import make
from dia2.inspect.views.explorer.sound import trace_sound
from dia2.inspect.views.sweeps import bundle, gathered, parting, sounds
from dia2.inspect.views.sweeps.bundle import script, style
from dia2.inspect.views.sweeps.gathered import Gathered, gather
from dia2.inspect.views.sweeps.parting import partings
from dia2.inspect.views.sweeps.payload import payload
from dia2.inspect.views.sweeps.sounds import sounds_within
from dia2.inspect.views.sweeps.summary import print_summary, summary, summary_lines
from dia2.inspect.views.sweeps.telling import moved, telling

from ..support.reference import engine
from ..support.sweeps import SCRIPTS, grid_of, write_sweep
from .test_console_trace import HOSTILE, STEERING
from .test_explorer import opened

SCRIPT = "[S1] one two three [S2] four"
GRID: dict[str, Any] = {"script": [SCRIPT, "[S1] Yes."], "seed": [1, 2], "cfg_scale": [1, 2.5]}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sweeps") / "made"
    make(Plan(GRID), folder, makers=[Dia2Maker(engine("tiny4"))])
    return folder


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_sweep(tmp_path_factory.mktemp("sweeps") / "large", grid_of(200), calls=30)


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset in which every text is an attack."""
    folder = tmp_path_factory.mktemp("sweeps") / "attacked"
    grid: dict[str, Any] = {"script": [HOSTILE + SCRIPTS[0], HOSTILE], "seed": [1, 2], f"a{HOSTILE}": [HOSTILE, "b"]}
    write_sweep(folder, grid, calls=3, texts=[HOSTILE, "</script><b>x</b>"])
    return folder


def by_name(found: Gathered) -> dict[str, list[Any]]:
    return {
        column.name: [None if np.isnan(value) or (column.kind == "text" and value < 0) else column.told(value)
                      for value in column.values.astype(float)]
        for column in found.columns
    }  # fmt: skip


class TestGathering:
    def test_settings_measures_and_the_rest_are_told_apart(self, large: Path) -> None:
        found = gather(large)
        roles = {column.name: column.role for column in found.columns}
        assert {name for name, role in roles.items() if role == "setting"} == set(grid_of(200))
        measures = [column.name for column in found.of("measure")]
        assert measures[:3] == ["noise", "words", "seconds_per_word"]
        assert measures[-2:] == ["seconds", "tries"]
        assert {name for name, role in roles.items() if role == "about"} == {"status", "error", "device", "stop_reason"}
        assert found.columns[0].name == "status"
        assert (len(found), int(found.failed.sum())) == (200, 5)

    def test_values_are_those_of_the_dataset(self, large: Path) -> None:
        found, read = gather(large), dataset.read_runs(Destination(large))
        assert read is not None
        rows = {row["run"]: row for row in read.to_pylist()}
        shown = by_name(found)
        for place, run in enumerate(found.raw_ids):
            row = rows[run]
            assert shown["script"][place] == row["script"]
            assert shown["cfg_scale"][place] == f"{row['cfg_scale']:g}"
            assert shown["words"][place] == (None if row["words"] is None else str(row["words"]))
            assert shown["cut"][place] == {None: None, True: "yes", False: "no"}[row["cut"]]
            assert found.traces[place] is (row["trace"] is not None)

    def test_runs_stand_in_the_order_of_their_settings(self, made: Path) -> None:
        shown = by_name(gather(made))
        order = list(zip(shown["script"], map(int, shown["seed"]), map(float, shown["cfg_scale"]), strict=True))
        assert order == sorted(order)
        assert len(set(order)) == 8

    def test_numbers_that_are_none_and_numbers_too_large(self, tmp_path: Path) -> None:
        table = pa.table({
            "run": ["a", "b", "c"], "status": ["done"] * 3, "seed": [2**60, 2**60 + 1, 3],
            "loss": [float("nan"), float("inf"), 0.5], "big": [2**60, 2**60 + 1, None],
        })  # fmt: skip
        dataset.commit(Destination(tmp_path), "nano", dataset.group_name("g"), {dataset.RUNS: table})
        found = gather(tmp_path)
        seed, loss, big = (found.column(name) for name in ("seed", "loss", "big"))
        assert seed is not None
        assert loss is not None
        assert big is not None
        assert (seed.kind, seed.role, seed.distinct) == ("text", "setting", 3)  # as floats two would be one
        assert (big.kind, big.role, big.distinct) == ("text", "about", 2)
        assert loss.distinct == 1
        assert by_name(found)["loss"].count(None) == 2

    def test_what_is_too_much_is_left_out_and_told(self, large: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(gathered, "MOST_RUNS", 50)
        assert (len(gather(large)), gather(large).left_out) == (
            50, ["The first 50 of 200 runs are shown: ask dia2 query for the others."],
        )  # fmt: skip
        monkeypatch.setattr(gathered, "MOST_COLUMNS", 4)
        assert len(gather(large).columns) <= 4
        assert any("columns of" in line for line in gather(large).left_out)
        monkeypatch.setattr(gathered, "MOST_COLUMNS", 200)
        monkeypatch.setattr(gathered, "MOST_TEXT", 60)
        assert any("would make too much text" in line for line in gather(large).left_out)

    def test_texts_are_cut_and_stay_apart(self, tmp_path: Path) -> None:
        long = "x" * 5000
        write_sweep(tmp_path, {"script": [f"{long}a", f"{long}b"], "seed": [1, 2]})
        column = gather(tmp_path).column("script")
        assert column is not None
        assert column.distinct == 2
        assert max(map(len, column.texts)) == 200

    def test_a_trace_elsewhere_is_none_of_the_dataset(self, tmp_path: Path) -> None:
        runs = ["../../etc", "b", "c", ""]
        traces = ["traces/../../etc.dia2trace", "traces/c.dia2trace", "traces/c.dia2trace", "traces/.dia2trace"]
        table = pa.table({"run": runs, "status": ["done"] * 4, "trace": traces})
        dataset.commit(Destination(tmp_path), "nano", dataset.group_name("g"), {dataset.RUNS: table})
        found = gather(tmp_path)
        assert dict(zip(found.raw_ids, found.traces, strict=True)) == {
            "../../etc": False, "b": False, "c": True, "": False,
        }  # fmt: skip

    def test_settings_that_no_plan_names_are_no_measures(self, tmp_path: Path) -> None:
        plan = Plan({"script": ["[S1] Yes."], "temperature": [0.5, 0.8]})
        make(plan, tmp_path, makers=[Dia2Maker(engine("tiny4"))])
        found = gather(tmp_path)
        assert {column.name for column in found.of("setting")} == {"script", "seed", "temperature"}
        assert {"temp_text", "topk_audio", "initial_padding"} <= {column.name for column in found.of("about")}
        assert {"calls", "words_cut"} <= {column.name for column in found.of("measure")}

    def test_checkpoints_are_told_where_there_are_several(self, made: Path, tmp_path: Path) -> None:
        assert gather(made).column("model") is None
        write_sweep(tmp_path, {"script": ["[S1] a"], "seed": [1]})
        table = pa.table({"run": ["z"], "status": ["done"], "seed": [2]})
        dataset.commit(Destination(tmp_path), "other-1", dataset.group_name("g"), {dataset.RUNS: table})
        assert by_name(gather(tmp_path))["model"] == ["nano-00000000", "other-1"]

    @pytest.mark.parametrize("plan", [b"[1]", b"{", b'{"grid": 3}', b"[" * 100_000])
    def test_a_plan_that_is_none_sets_nothing(self, plan: bytes, tmp_path: Path) -> None:
        write_sweep(tmp_path, {"script": ["[S1] a"], "seed": [1, 2], "cfg_scale": [1, 2]})
        (tmp_path / "plans" / "0.json").write_bytes(plan)
        assert {column.name for column in gather(tmp_path).of("setting")} == {"script", "seed"}

    def test_no_dataset_is_said(self, tmp_path: Path) -> None:
        for do in (gather, lambda path: sweep_to_html(path, tmp_path / "x.html"), explore_sweep):
            with pytest.raises(UsageError, match="There is no dataset"):
                do(tmp_path)


class TestTelling:
    def test_what_a_setting_moves_comes_before_noise_and_nothing_comes_twice(self, large: Path) -> None:
        names = [column.name for column in telling(gather(large), 4)]
        assert names[0] in ("surprise", "surprise_nats")
        assert set(names[1:3]) == {"words", "seconds_per_word"}
        assert len({"surprise", "surprise_nats"} & set(names)) == 1
        assert "seconds" not in names

    def test_chance_accounts_for_nothing_and_a_rule_for_all(self, large: Path) -> None:
        found = gather(large)
        cfg, noise = found.column("cfg_scale"), found.column("noise")
        assert cfg is not None
        assert noise is not None
        assert moved(found, cfg, noise) < 0.05
        assert moved(found, cfg, replace(noise, values=3 - 2 * cfg.values)) == pytest.approx(1)
        assert moved(found, cfg, replace(noise, values=np.ones(len(found)))) == 0
        assert moved(found, cfg, replace(noise, values=np.full(len(found), np.nan))) == 0

    def test_of_a_sweep_of_seeds_alone_there_is_something_to_show(self, tmp_path: Path) -> None:
        found = gather(write_sweep(tmp_path, {"script": ["[S1] a"], "seed": [1, 2, 3]}))
        assert len(telling(found, 3)) == 3


class TestParting:
    def test_runs_part_where_their_traces_say(self, made: Path) -> None:
        found = gather(made)
        maps = partings(found)
        assert sorted(one.script for one in maps) == sorted(GRID["script"])
        compared = 0
        for one in maps:
            traces = [load(made / "traces" / f"{found.raw_ids[run]}.dia2trace") for run in one.runs]
            assert one.calls.tolist() == [len(trace) for trace in traces]
            for i, first in enumerate(traces):
                for j, second in enumerate(traces):
                    there = first.diff(second)
                    said = one.call[i, j]
                    assert said == (there.shared if there.parts else parting.SAME), (i, j)
                    if said != parting.SAME and said < min(len(first), len(second)):
                        compared += 1
                        assert one.parts[one.what[i, j]] in (
                            "action", *(f"codebook {book}" for book in range(first.codebooks)),
                        )  # fmt: skip
        assert compared > 4

    def test_what_comes_later_or_tells_only_of_time_is_passed_over(self, tmp_path: Path) -> None:
        write_sweep(tmp_path, {"script": ["[S1] a"], "seed": [1, 2, 3]})
        runs = gather(tmp_path).raw_ids
        codes = [[[1, 2], [3, 4], [5, 6]], [[1, 2], [3, 9], [0, 0]], [[1, 2], [3, 4], [5, 6]]]
        table = pa.table({
            "run": [run for run in runs for _ in range(3)], "call": [0, 1, 2] * 3,
            "codes": [code for run in codes for code in run], "time_frame": np.arange(9.0), "before_x": np.arange(9),
            "audio_seconds": np.arange(9.0),
        })  # fmt: skip
        dataset.commit(Destination(tmp_path), "nano-00000000", "z", {dataset.CALLS: table})
        [one] = partings(gather(tmp_path))
        assert one.call.tolist() == [[-1, 1, -1], [1, -1, 1], [-1, 1, -1]]
        assert one.parts == ["codebook 1"]

    def test_one_that_goes_on_longer_parts_at_the_end(self, tmp_path: Path) -> None:
        write_sweep(tmp_path, {"script": ["[S1] a"], "seed": [1, 2]})
        a, b = gather(tmp_path).raw_ids
        table = pa.table({"run": [a, a, b], "call": [0, 1, 0], "action": [7, 8, 7]})
        dataset.commit(Destination(tmp_path), "nano-00000000", "z", {dataset.CALLS: table})
        [one] = partings(gather(tmp_path))
        assert (one.call[0, 1], one.parts) == (1, ["its end: one of them goes on"])

    def test_of_many_runs_some_are_compared_evenly_spread(self, large: Path) -> None:
        found = gather(large)
        maps = partings(found)
        assert len(maps) == 2
        for one in maps:
            assert len(one.runs) == parting.MOST_COMPARED < one.of
            assert one.call.shape == (64, 64)
            assert np.array_equal(one.call, one.call.T)
            assert not found.failed[one.runs].any()
            gaps = np.diff(one.runs)
            assert gaps.max() <= 4

    def test_texts_flags_lists_and_nothing_part_runs_too(self, tmp_path: Path) -> None:
        write_sweep(tmp_path, {"script": ["[S1] a"], "seed": [1, 2, 3, 4, 5]})
        runs = gather(tmp_path).raw_ids
        table = pa.table({
            "run": runs, "call": [0] * 5, "word": ["a", "a", "b", "a", "a"], "forced": [True, True, True, None, True],
            "pending": [[1], [1], [1], [1], [1, 2]], "codes": pa.array([None, [], [], [], []], pa.list_(pa.int32())),
        })  # fmt: skip
        dataset.commit(Destination(tmp_path), "nano-00000000", "z", {dataset.CALLS: table})
        [one] = partings(gather(tmp_path))
        said = [None if what < 0 else one.parts[what] for what in one.what[0]]
        assert said == [None, None, "word", "forced", "pending"]
        assert one.call[0].tolist() == [-1, -1, 0, 0, 0]

    @pytest.mark.parametrize(
        "columns", [{"run": [1], "call": [0]}, {"run": ["a"], "call": [0], "x": pa.array([2**64 - 1], pa.uint64())}]
    )
    def test_calls_that_are_none_are_told_of(self, columns: dict[str, Any], tmp_path: Path) -> None:
        write_sweep(tmp_path, {"script": ["[S1] a"], "seed": [1, 2]})
        columns = columns if columns["run"] == [1] else columns | {"run": gather(tmp_path).raw_ids[:1]}
        dataset.commit(Destination(tmp_path), "nano-00000000", "z", {dataset.CALLS: pa.table(columns)})
        with pytest.raises(Dia2Error, match="cannot be read"):
            partings(gather(tmp_path))

    def test_of_many_scripts_some_have_a_map_and_the_page_knows_how_many_not(self, tmp_path: Path) -> None:
        found = gather(write_sweep(tmp_path, {"script": [f"[S1] {i}" for i in range(11)], "seed": [1, 2]}, calls=4))
        header, _ = opened(payload(found, partings(found)))
        assert (len(header["partings"]), header["scripts"]) == (8, 11)

    def test_a_dataset_without_calls_has_no_map(self, tmp_path: Path) -> None:
        assert partings(gather(write_sweep(tmp_path, grid_of(20)))) == []


class TestPayload:
    def test_the_front_end_gets_every_value(self, large: Path) -> None:
        found = gather(large)
        header, columns = opened(payload(found, partings(found)))
        assert header["ids"] == found.ids
        assert header["sounds"] is None
        assert [one["name"] for one in header["columns"]] == [one.name for one in found.columns]
        for shown, column in zip(header["columns"], found.columns, strict=True):
            np.testing.assert_array_equal(columns[shown["column"]], column.values)
            assert shown["texts"] == (column.texts if column.kind == "text" else None)
        assert columns["parting_0_call"].shape == (64, 64)

    def test_no_text_of_a_dataset_is_markup_or_steers(self, attacked: Path, tmp_path: Path) -> None:
        found = gather(attacked)
        header, _ = opened(payload(found, partings(found)))
        told = json.dumps(header, ensure_ascii=False)
        assert not [char for char in told if unicodedata.category(char) in STEERING]
        page = sweep_to_html(attacked, tmp_path / "page.html").read_text(encoding="utf-8")
        assert "<script>" not in page
        assert "<b>x" not in page
        assert page.count("</script>") == 3

    def test_the_page_allows_its_own_script_and_style_alone(self, made: Path, tmp_path: Path) -> None:
        page = sweep_to_html(made, tmp_path / "page.html").read_text(encoding="utf-8")
        policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
        assert policy is not None
        assert policy[1].startswith("default-src 'none'; script-src 'sha256-")
        assert "connect-src" not in policy[1]
        assert "unsafe" not in policy[1]

    def test_the_front_end_is_one_small_script_that_loads_nothing(self) -> None:
        files = {path.stem: path.read_text(encoding="utf-8") for path in bundle.FRONT.glob("*.js")}
        hosts = {"sweeppage", "sweepwidget"}
        for host in hosts:
            code = script(host.removeprefix("sweep"))
            assert len(code) < 120_000
            assert not re.search(r"^\s*import\b|\bimport\(|^export (?!default)", code, re.MULTILINE)
            assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", code)
            assert not re.search(r"@(import|param|returns|template|typedef)\b", code)
            there = {name for name, source in files.items() if source.partition("\n")[0] in code}
            assert there == files.keys() - hosts | {host}
            names = re.findall(r"^(?:async )?(?:function|class|const|let) ([A-Za-z]\w*)", code, re.MULTILINE)
            assert len(names) == len(set(names)), "one scope: a name has one file"
        for name, source in files.items():
            for line in source.splitlines():
                assert line.count("`") % 2 == 0, (name, line)  # else its indentation would be taken off
        assert ".dia2-sweep" in style()


class TestSounds:
    def test_a_page_holds_what_has_room_and_says_what_is_missing(self, made: Path) -> None:
        found = gather(made)
        everything, told = sounds_within(found, 10**9)
        assert (sorted(everything), told) == (list(range(8)), "")
        for run, data in everything.items():
            sound = trace_sound(load(made / "traces" / f"{found.raw_ids[run]}.dia2trace"))
            assert sound is not None
            assert data == sound.data
        size = len(next(iter(everything.values())))
        some, told = sounds_within(found, 3 * size)
        assert 0 < len(some) < 8
        assert sum(map(len, some.values())) <= 3 * size
        assert told.startswith(f"{len(some)} of 8 runs can be heard in this page")
        assert sounds_within(found, 0) == ({}, "No run can be heard in this page.")

    def test_each_combination_is_heard_before_another_seed(self, made: Path) -> None:
        found = gather(made)
        room = sum(len(data) for data in sounds_within(found, 10**9)[0].values()) // 2
        some, _ = sounds_within(found, room)
        seeds = found.column("seed")
        assert seeds is not None
        assert set(seeds.values[list(some)][:3].tolist()) == {1}

    def test_a_damaged_trace_takes_its_own_sound_alone(self, made: Path, tmp_path: Path) -> None:
        found = gather(made)
        (tmp_path / "traces").mkdir()
        for run in found.raw_ids[1:]:
            (tmp_path / "traces" / f"{run}.dia2trace").symlink_to(made / "traces" / f"{run}.dia2trace")
        elsewhere = replace(found, there=Destination(tmp_path))
        heard, told = sounds_within(elsewhere, 10**9)
        assert sorted(heard) == list(range(1, 8))
        assert told.startswith("7 of 8 runs can be heard")

    def test_a_dataset_that_is_far_away_has_no_sounds(self, made: Path) -> None:
        far = replace(gather(made), there=Destination("memory://far"))
        assert sounds_within(far, 10**9)[0] == {}
        with pytest.raises(UsageError, match="not on this machine"):
            sounds.trace_of(far, 0)


class TestPages:
    def test_a_run_has_a_link_where_it_has_a_page_and_else_a_command(self, made: Path, tmp_path: Path) -> None:
        path = sweep_to_html(made, tmp_path / "a b.html", sounds=0)
        [data] = re.findall(r'dia2view">([^<]*)<', path.read_text(encoding="utf-8"))
        header, _ = opened(base64.b64decode(data))
        assert header["pages"] == []
        run = header["ids"][3]
        argv = header["command"][0], header["command"][1], header["command"][2]
        command = f"{argv[0]}{run}{argv[1]}{run}{argv[2]}"
        assert command.startswith("dia2 trace html ")
        import shlex

        assert main(shlex.split(command)[1:]) == 0
        path = sweep_to_html(made, tmp_path / "a b.html", sounds=0, pages=2)
        [data] = re.findall(r'dia2view">([^<]*)<', path.read_text(encoding="utf-8"))
        header, _ = opened(base64.b64decode(data))
        pages = dict(header["pages"])
        assert set(pages) == {0, 1, 3}
        assert all(address.startswith("./") for address in pages.values())
        assert (path.parent / pages[3]).resolve() == (made / "traces" / f"{run}.html").resolve()
        assert "dia2view" in (path.parent / pages[0]).read_text(encoding="utf-8")

    @pytest.mark.parametrize("options", [{"sounds": -1}, {"sounds": True}, {"pages": 1.5}, {"pages": "all"}])
    def test_numbers_are_numbers(self, options: dict[str, Any], made: Path, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="is a whole number from 0"):
            sweep_to_html(made, tmp_path / "x.html", **options)

    def test_the_dataset_stays_one_with_pages_in_it(self, made: Path, tmp_path: Path) -> None:
        sweep_to_html(made, tmp_path / "x.html", sounds=0, pages=1)
        again = make(Plan(GRID), made, makers=[Dia2Maker(engine("tiny4"))])
        assert (again.made, again.found) == (0, 8)


class TestTerminal:
    def shown(self, folder: Path, width: int = 120) -> str:
        console = Console(width=width, file=io.StringIO(), force_terminal=True, color_system="truecolor")
        print_summary(folder, console)
        assert isinstance(console.file, io.StringIO)
        return console.file.getvalue()

    def test_each_value_has_its_runs_failures_and_means(self, large: Path) -> None:
        found = gather(large)
        rows = summary(found).facts["settings"]["cfg_scale"]
        cfg, first = found.column("cfg_scale"), telling(found, 1)[0]
        assert cfg is not None
        for row in rows:
            here = cfg.values == row["value"]
            assert (row["runs"], row["failed"]) == (here.sum(), (here & found.failed).sum())
            assert row["means"][0] == pytest.approx(np.nanmean(first.values[here]))
        text = re.sub(r"\x1b\[[\d;]*m", "", self.shown(large))
        assert re.search(r"cfg_scale +runs +failed +surprise\w* +seconds_per_w\w* +words", text)
        assert re.search(rf"^ +5 +40 +{rows[4]['failed']} +{rows[4]['means'][0]:.4g} ", text, re.MULTILINE)

    def test_of_many_values_the_first_are_shown(self, tmp_path: Path) -> None:
        write_sweep(tmp_path, {"script": ["[S1] a"], "seed": list(range(30))})
        assert "… and 18 more values" in self.shown(tmp_path)

    def test_no_text_of_a_dataset_steers_the_terminal(self, attacked: Path) -> None:
        for width in (40, 80, 200):
            text = re.sub(r"\x1b\[[\d;]*m", "", self.shown(attacked, width))
            assert not [char for char in text if unicodedata.category(char) in STEERING and char != "\n"]
        for line in summary_lines(gather(attacked)):
            assert line.isprintable()

    def test_the_command_ends_with_a_summary_and_writes_the_page(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        plan, page = tmp_path / "plan.toml", tmp_path / "page.html"
        plan.write_text('[model]\nnano = true\n[grid]\nscript = ["[S1] Hi."]\nseed = [1, 2]\n')
        argv = ["sweep", str(plan), "-o", str(tmp_path / "runs"), "--html"]
        assert main([*argv, str(tmp_path / "none" / "page.html")]) == 2
        assert not (tmp_path / "runs").exists(), "it is said before runs are made"
        capsys.readouterr()
        assert main([*argv, str(page)]) == 0
        out = capsys.readouterr().out
        assert re.search(r"seed +runs +failed", out)
        assert out.endswith(f"explorer: {page}\n")
        assert page.exists()
        assert main([*argv, str(page), "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["html"] == str(page)


def asked(explorer: Any, content: Any) -> Iterator[tuple[Any, list[bytes]]]:
    """The answers to a message of the page."""
    sent: list[tuple[Any, list[bytes]]] = []
    explorer._page.send = lambda answer, buffers=(): sent.append((answer, list(buffers)))
    explorer._page._handle_custom_msg(content, [])
    yield from sent


class TestWidget:
    def test_a_sound_is_fetched_when_it_is_asked_for(self, made: Path) -> None:
        explorer = explore_sweep(made)
        [(answer, [sound])] = asked(explorer, {"kind": "hear", "run": 2})
        assert answer == {"kind": "hear", "run": 2}
        assert sound == sounds_within(explorer.found, 10**9)[0][2]
        header, columns = opened(explorer._page._view)
        assert header["sounds"] is None
        assert not [name for name in columns if name.startswith("sound")]

    def test_a_run_opens_below_and_takes_the_place_of_the_last(self, made: Path) -> None:
        explorer = explore_sweep(made)
        assert explorer._below.children == ()
        assert list(asked(explorer, {"kind": "open", "run": 1})) == [({"kind": "open", "run": 1}, [])]
        [first] = explorer._below.children
        assert first.trace.path.stem == explorer.found.raw_ids[1]
        shown = explorer.open_run(explorer.found.raw_ids[5])
        assert explorer._below.children == (shown,)
        assert explorer.opened is not None
        assert explorer.opened.path.stem == explorer.found.raw_ids[5]
        with pytest.raises(UsageError, match="There is no run"):
            explorer.open_run("nowhere")

    @pytest.mark.parametrize("run", [None, -1, 8, True, 1.0, "0", [0], 10**30])
    @pytest.mark.parametrize("kind", ["hear", "open"])
    def test_whatever_is_asked_is_answered(self, kind: str, run: Any, made: Path) -> None:
        [(answer, buffers)] = asked(explore_sweep(made), {"kind": kind, "run": run})
        assert buffers == []
        assert 0 < len(answer["error"]) <= 1000
        json.dumps(answer, allow_nan=False)

    def test_what_it_does_not_know_it_does_not_answer(self, made: Path) -> None:
        explorer = explore_sweep(made)
        others: list[Any] = [{"kind": "see", "run": 0}, {}, [], None, "hear", {"kind": ["hear"]}]
        for content in others:
            assert not list(asked(explorer, content))

    def test_a_cell_keeps_a_text_where_no_widget_can_be_shown(self, attacked: Path, large: Path) -> None:
        shell: Any = InteractiveShell.instance()
        with capture_output() as captured:
            shell.display_formatter.format(explore_sweep(large))
        widget, text = captured.outputs
        assert "application/vnd.jupyter.widget-view+json" in widget.data
        assert text.data["text/plain"].startswith("200 runs, 5 of them failed.\n")
        assert "<SweepExplorer of large: 200 runs, 5 failed>" in text.data["text/plain"]
        assert "cfg_scale 1: surprise " in text.data["text/html"]
        with capture_output() as captured:
            shell.display_formatter.format(explore_sweep(attacked))
        kept = captured.outputs[1].data["text/html"]
        assert "<script" not in kept
        assert "\x1b" not in kept

    def test_a_sweep_of_one_script_explores_its_dataset(self, tmp_path: Path) -> None:
        runs = sweep(engine("tiny4"), "[S1] Yes.", tmp_path / "runs", seeds=(1, 2))
        assert len(runs.explore().found) == 2
        with pytest.raises(UsageError, match="in no dataset"):
            replace(runs, url=None).explore()
