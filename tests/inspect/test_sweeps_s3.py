"""Sweeps to S3: a whole dataset in a bucket, asked, gone on with, and what is said where it cannot be written."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fsspec import get_filesystem_class

from dia2.cli import main
from dia2.inspect import Dia2Trace

from ..support.ray_cluster import ROOT
from ..support.s3 import S3, s3_server
from ..support.swept import same_tables

MISSING = [name for name in ("moto", "s3fs", "flask") if importlib.util.find_spec(name) is None]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(MISSING), reason=f"needs {', '.join(MISSING)}"),
    # aiobotocore leaves its connections to the end of the process
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]

SEEDS = 6


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[S3]:
    with s3_server() as server:
        for name, value in (server.environment | {"XDG_CACHE_HOME": str(tmp_path / "cache")}).items():
            monkeypatch.setenv(name, value)
        server.client.create_bucket(Bucket="sweeps")
        get_filesystem_class("s3").clear_instance_cache()  # else this process would ask the server of the test before
        yield server


def dia2(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "dia2", *arguments]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=ROOT, env=os.environ, stdout=pipe, stderr=pipe, text=True)


def swept(folder: Path, to: str, seeds: int = SEEDS) -> subprocess.Popen[str]:
    plan = folder / "plan.toml"
    plan.write_text(f'[grid]\nscript = ["[S1] Yes."]\nseed = {list(range(seeds))}\n[run]\nrows = 1\n')
    return dia2("sweep", str(plan), "-o", to, "--json")


def said(running: subprocess.Popen[str]) -> dict[str, Any]:
    out, err = running.communicate()
    assert err == ""
    found: dict[str, Any] = json.loads(out)
    return found


def until(s3: S3, running: subprocess.Popen[str], prefix: str) -> None:
    while not s3.names(prefix):
        assert running.poll() is None, running.communicate()
        time.sleep(0.02)


def test_a_dataset_in_a_bucket_is_that_of_a_folder(s3: S3, tmp_path: Path) -> None:
    """Made, asked, and its traces loaded again."""
    url = "s3://sweeps/one/two"
    assert said(swept(tmp_path, url))["made"] == SEEDS
    assert said(swept(tmp_path, str(tmp_path / "local")))["made"] == SEEDS
    same_tables(url, tmp_path / "local")
    assert said(swept(tmp_path, url)) | {"seconds": 0} == {
        "url": url, "runs": SEEDS, "made": 0, "found": SEEDS, "failed": {}, "failed_before": 0, "seconds": 0,
    }  # fmt: skip
    assert "one/two/lock.json" not in s3.names("")
    local = {
        path.relative_to(tmp_path / "local").as_posix() for path in (tmp_path / "local").rglob("*") if path.is_file()
    }
    assert {name.removeprefix("one/two/") for name in s3.names("one/two/")} == local
    out, err = dia2("query", url, "select trace from runs order by seed", "--csv").communicate()
    assert err == ""
    traces = out.split()[1:]
    assert len(traces) == SEEDS
    for name in traces[:2]:
        there = tmp_path / "fetched" / Path(name).name
        for key in s3.names(f"one/two/{name}/"):
            file = there / key.removeprefix(f"one/two/{name}/")
            file.parent.mkdir(parents=True, exist_ok=True)
            s3.client.download_file("sweeps", key, str(file))
        one, two = Dia2Trace.load(there), Dia2Trace.load(tmp_path / "local" / name)
        assert one.complete
        assert (one.codes == two.codes).all()
    assert not list((tmp_path / "cache" / "dia2" / "sweeps").rglob("*.dia2trace"))


def test_a_killed_sweep_goes_on_and_takes_its_lock_over(s3: S3, tmp_path: Path) -> None:
    running = swept(tmp_path, "s3://sweeps/killed", 12)
    until(s3, running, "killed/runs/")
    other, why = swept(tmp_path, "s3://sweeps/killed").communicate()
    assert (other, why.startswith("dia2: error: Another sweep wrote to s3://sweeps/killed ")) == ("", True)
    running.send_signal(signal.SIGKILL)
    running.communicate()
    assert "killed/lock.json" in s3.names("killed/")
    there = len(s3.names("killed/runs/"))
    done = said(swept(tmp_path, "s3://sweeps/killed", 12))
    assert done["found"] >= there >= 1
    assert done["made"] + done["found"] == 12
    said(swept(tmp_path, str(tmp_path / "local"), 12))
    same_tables("s3://sweeps/killed", tmp_path / "local")


@pytest.mark.parametrize("sort", ["bucket", "permission"])
def test_what_cannot_be_written_is_told_in_a_sentence_and_not_lost(s3: S3, sort: str, tmp_path: Path) -> None:
    url = "s3://sweeps/broken"
    running = swept(tmp_path, url, 12)
    until(s3, running, "broken/runs/")
    if sort == "bucket":
        s3.remove_all()
    else:
        s3.forbid()
    out, err = running.communicate()
    assert (running.returncode, out) == (1, "")
    assert len(err.splitlines()) == 2, err
    warning, error = err.splitlines()
    assert warning.startswith("dia2: warning: what could not be written waits in ")
    assert error.startswith(f"dia2: error: {url} cannot be written (")
    waiting = list((tmp_path / "cache" / "dia2" / "sweeps").glob("*/*.dia2trace"))
    assert len(waiting) > 1
    assert all(Dia2Trace.load(folder).complete for folder in waiting)
    if sort == "bucket":
        s3.client.create_bucket(Bucket="sweeps")
    else:
        s3.allow()
    done = said(swept(tmp_path, url, 12))
    assert done["made"] + done["found"] == 12
    said(swept(tmp_path, str(tmp_path / "local"), 12))
    same_tables(url, tmp_path / "local")
    assert not list((tmp_path / "cache" / "dia2" / "sweeps").glob("*/*.dia2trace"))


def test_there_is_no_such_bucket(s3: S3, tmp_path: Path) -> None:
    out, err = swept(tmp_path, "s3://nobodys/runs").communicate()
    assert (out, len(err.splitlines())) == ("", 1)
    assert err.startswith("dia2: error: s3://nobodys/runs cannot be written (")
    out, err = dia2("query", "s3://nobodys/runs", "select 1").communicate()
    assert (out, err) == (
        "",
        "dia2: error: There is no dataset in s3://nobodys/runs: give the folder that dia2 sweep wrote to.\n",
    )


def test_a_query_reaches_the_dataset_and_nothing_else(
    s3: S3, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = "s3://sweeps/asked"
    said(swept(tmp_path, url, 1))
    (run,) = s3.names("asked/runs/")
    s3.client.copy_object(Bucket="sweeps", Key="secret.parquet", CopySource={"Bucket": "sweeps", "Key": run})
    before = s3.names("")
    for sql in (
        "select * from read_text('/etc/hostname')",
        f"copy runs to '{tmp_path / 'stolen.csv'}'",
        "copy runs to 's3://sweeps/asked/runs/stolen.parquet'",
        "copy (pivot runs on seed using count(*)) to 's3://sweeps/asked/stolen.csv'",
        "explain analyze copy runs to 's3://sweeps/asked/stolen.csv'",
        "select * from 's3://sweeps/secret.parquet'",
        "select * from 's3://sweeps/asked/../secret.parquet'",
        "select * from glob('/etc/*')",
        "select * from 'https://127.0.0.1:9/runs.parquet'",
        f"attach '{tmp_path / 'other.db'}'",
        "install httpfs",
        "set allowed_directories = ['/etc']",
    ):
        assert main(["query", url, sql]) == 2
        out, err = capsys.readouterr()
        assert (out, len(err.splitlines())) == ("", 1), sql
        assert err.startswith(
            ("dia2: error: The query cannot be answered: Permission", "dia2: error: A query only asks")
        ), err
    assert s3.names("") == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "plan.toml"]
