"""Sweeps on file systems that are not this machine's."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from dia2 import Dia2
from dia2.common.errors import Dia2Error, UsageError
from dia2.inspect import Dia2Trace
from dia2.inspect.store.layout import SUFFIX
from dia2.inspect.sweeps.destination import Destination
from dia2.inspect.sweeps.lock import locked
from dia2.inspect.sweeps.query import query

from .sweeping import rows_of, swept


def full(*_: Any, **__: Any) -> Any:
    raise FileNotFoundError("No room")


class TestElsewhere:
    @pytest.fixture
    def url(self) -> Iterator[str]:
        MemoryFileSystem.store.clear()
        yield "memory://sweeps/one"
        MemoryFileSystem.store.clear()

    def test_a_dataset_on_another_file_system(self, url: str, tmp_path: Path) -> None:
        swept(url, rows=2)
        assert len(rows_of(url)) == 8
        assert swept(url).made == 0
        names = Destination(url).names("traces")
        assert len({name.split("/")[1] for name in names}) == 8
        folder = tmp_path / f"one{SUFFIX}"
        Destination(url).get(names[0].rpartition("/")[0], folder)
        assert Dia2Trace.load(folder).complete

    def test_a_query_of_it_reaches_nothing_else(self, url: str, tmp_path: Path) -> None:
        swept(url, {"script": ["[S1] Yes."]})
        swept(f"{url}-beside", {"script": ["[S1] Yes."]})
        (beside,) = Destination(f"{url}-beside").names("runs")
        for sql, said in [
            ("select * from read_text('/etc/hostname')", "Permission Error"),
            (f"select * from '{url}-beside/{beside}'", "Permission Error"),
            (f"copy runs to '{tmp_path / 'stolen.csv'}'", "only asks"),
            (f"copy runs to '{url}/runs/stolen.parquet'", "only asks"),
        ]:
            with pytest.raises(UsageError, match=said):
                query(url, sql)
        assert query(url, "create table two as select run from runs; select count(*) from two")[1] == [(1,)]

    def test_what_cannot_be_written_waits_for_the_next_sweep(
        self, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        with monkeypatch.context() as patch:
            patch.setattr(MemoryFileSystem, "put_file", full)
            with pytest.raises(Dia2Error, match=r"^memory://sweeps/one cannot be written \(No room\)\.$"):
                swept(url)
        assert "waits in" in caplog.text
        assert Destination(url).read("lock.json") is None
        assert len(list(tmp_path.glob("dia2/sweeps/*/*.dia2trace"))) == 8
        monkeypatch.setattr(Dia2, "generate_many", full)  # none is made again
        assert swept(url).made == 8
        assert not list(tmp_path.glob("dia2/sweeps/*/*"))

    def test_a_lock_that_is_held_and_one_that_is_nobodys(self, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        there = Destination(url)
        with locked(there):
            with pytest.raises(UsageError, match=r"Another sweep wrote to .* s ago"), locked(there):
                pass
            note = json.loads(there.read("lock.json") or b"")
        assert there.read("lock.json") is None
        for left in (
            note | {"host": "elsewhere", "time": time.time() - 1000},  # silent for long
            note | {"pid": 2**22 + 1},  # its process is gone
        ):
            there.write("lock.json", json.dumps(left).encode())
            with locked(there):
                assert json.loads(there.read("lock.json") or b"")["pid"] == os.getpid()
        there.write("lock.json", b"not json")
        with locked(there):
            pass

    def test_notes_of_locks_that_say_nothing(self, url: str) -> None:
        there = Destination(url)
        for time_, pid in (
            (None, 1),
            ("abc", 1),
            (1e300, 1),
            (-5, 1),
            (time.time() + 1000, 1),
            (10**400, 1),
            (0, 10**30),
        ):
            there.write("lock.json", json.dumps({"host": "elsewhere", "time": time_, "pid": pid}).encode())
            with locked(there):
                pass

    def test_of_two_at_a_time_one_gets_it(self, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """The other one writes its note right after ours; at our end it is left alone."""
        there, other = Destination(url), json.dumps({"by": "other", "host": "elsewhere", "time": time.time()}).encode()
        monkeypatch.setattr("dia2.inspect.sweeps.lock.time.sleep", lambda _: there.write("lock.json", other))
        with pytest.raises(UsageError, match="Another sweep wrote"), locked(there):
            pass
        monkeypatch.undo()
        there.remove("lock.json")
        with locked(there):
            there.write("lock.json", other)
        assert there.read("lock.json") == other

    def test_what_is_no_destination(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(UsageError, match="is a file"):
            swept(tmp_path / "file")
        for url in ("nowhere://x", tmp_path / "file" / "x", tmp_path / ("x" * 300), "/proc/none/such"):
            with pytest.raises(UsageError, match="Nothing can be written to"):
                swept(url)
        for url in ("", "/"):
            with pytest.raises(UsageError, match="A sweep writes to a folder"):
                swept(url)
