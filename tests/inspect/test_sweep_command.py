"""The commands `dia2 sweep` and `dia2 query`."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dia2.cli import main

from .sweeping import rows_of, swept


class TestCommand:
    def test_a_sweep_and_a_question(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        plan = tmp_path / "plan.toml"
        plan.write_text('[grid]\nscript = ["[S1] Yes."]\nseed = [1, 2]\n')
        assert main(["sweep", str(plan), "-o", str(tmp_path / "dest"), "--rows", "2"]) == 0
        said = capsys.readouterr()
        assert said.out.startswith("2 runs made in ")
        assert "2 runs: 1 script × 2 seeds" in said.err
        assert main(["sweep", str(plan), "-o", str(tmp_path / "dest"), "--json"]) == 0
        assert json.loads(capsys.readouterr().out) | {"url": "", "seconds": 0} == {
            "url": "", "runs": 2, "made": 0, "found": 2, "failed": {}, "failed_before": 0, "seconds": 0,
        }  # fmt: skip
        asked = "select seed, status from runs order by seed"
        assert main(["query", str(tmp_path / "dest"), asked]) == 0
        words = capsys.readouterr().out.split()
        assert [word for word in words if word.strip("─")] == ["seed", "status", "1", "done", "2", "done"]
        assert main(["query", str(tmp_path / "dest"), asked, "--json"]) == 0
        assert json.loads(capsys.readouterr().out) == [{"seed": 1, "status": "done"}, {"seed": 2, "status": "done"}]
        assert main(["query", str(tmp_path / "dest"), asked, "--csv"]) == 0
        assert capsys.readouterr().out.split() == ["seed,status", "1,done", "2,done"]

    def test_answers_of_all_kinds(self, made: Path, capsys: pytest.CaptureFixture[str]) -> None:
        asked = """select 1.5 as x, 'nan'::float as n, interval 1 day as i, [started] as l, {'a': 1.5} as d,
                   uuid() as u, '\\xAA'::blob as b, '\u009b' as t from runs limit 1"""
        assert main(["query", str(made), asked, "--json"]) == 0
        out = capsys.readouterr().out
        (row,) = json.loads(out)
        assert (row["x"], row["n"], row["d"], row["t"]) == (1.5, None, {"a": 1.5}, "\x9b")
        assert out.isascii()
        assert main(["query", str(made), 'select 1 as "[/]", 2 as "[red]"']) == 0
        assert capsys.readouterr().out.split()[:2] == ["[/]", "[red]"]

    @pytest.mark.parametrize(
        "arguments",
        [
            ["query", "{made}", ""],
            ["sweep", "none.toml", "-o", "dest"],
            ["query", "nowhere", "select 1"],
            ["query", "{made}", "selekt"],
            ["query", "{made}", "select * from read_text('/etc/hostname')"],
            ["query", "{made}", "copy runs to 'stolen.csv'"],
            ["query", "{made}", "copy runs to '{made}/runs/stolen.parquet'"],
            ["query", "{made}", "explain analyze copy runs to '{made}/stolen.csv'"],
            ["query", "{made}", "select 1; copy runs to '{made}/stolen.csv'"],
            ["query", "{made}", "select 1", "--json", "--csv"],
            ["query", "{made}", "set enable_external_access = true"],
        ],
    )
    def test_what_cannot_be_done(self, arguments: list[str], made: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main([part.format(made=made) for part in arguments]) == 2
        said = capsys.readouterr()
        assert said.out == ""
        assert said.err.startswith("dia2: error: ")
        assert len(said.err.splitlines()) == 1

    def test_failed_runs_are_named_and_make_exit_code_1(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        plan = tmp_path / "plan.toml"
        bad = '{kind = "ReplaceToken", call = 3, token = 1, codebook = 99}'
        plan.write_text(f'[grid]\nscript = ["[S1] Yes."]\nedits = [[{bad}]]\n')
        assert main(["sweep", str(plan), "-o", str(tmp_path / "dest")]) == 1
        assert "failed: " in capsys.readouterr().out

    def test_nothing_of_a_dataset_steers_the_terminal(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        swept(tmp_path, {"script": ["[S1] Yes."]})
        assert main(["query", str(tmp_path), "select chr(27) || '[31mred' as \"x\x1b[0m\""]) == 0
        assert "\x1b" not in capsys.readouterr().out

    @pytest.mark.slow
    @pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
    def test_a_sweep_that_is_killed_goes_on(self, tmp_path: Path) -> None:
        plan = tmp_path / "plan.toml"
        plan.write_text(
            f'[grid]\nscript = ["[S1] Hello there, my friend."]\nseed = {list(range(12))}\n[run]\nrows = 1\n'
        )
        command = [sys.executable, "-m", "dia2", "sweep", str(plan), "-o", str(tmp_path / "dest")]
        running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while len(list(tmp_path.glob("dest/runs/*/*.parquet"))) < 1:
            assert running.poll() is None
            time.sleep(0.05)
        running.send_signal(signal.SIGKILL)
        running.wait()
        before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("dest/runs/*/*.parquet")}
        subprocess.run(command, check=True, capture_output=True)
        assert {path: path.stat().st_mtime_ns for path in before} == before
        assert sorted(row["seed"] for row in rows_of(tmp_path / "dest")) == list(range(12))
