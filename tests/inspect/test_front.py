"""The explorer's front end by itself: its own tests, and that it means by a view what the Python side does."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from dia2.adapter.trace import Dia2Trace
from dia2.adapter.view import shown_codes
from dia2.common.hooks import observing
from dia2.inspect import load, record, sample
from dia2.inspect.views.explorer.live import Follower
from dia2.inspect.views.explorer.payload import payload

from ..support.dia import toy
from ..support.node import FRONT_TESTS, node
from ..support.reference import Case, engine
from .test_console_trace import recorded
from .test_explorer import FRONT, opened

TSC = FRONT_TESTS / "node_modules" / "typescript" / "bin" / "tsc"
TYPES = FRONT / "types.d.ts"


def test_its_own_tests_pass() -> None:
    done = node("--test", "--test-reporter=tap")
    assert done.returncode == 0, done.stdout
    told = {name: int(number) for name, number in re.findall(r"^# (\w+) (\d+)$", done.stdout, re.MULTILINE)}
    assert told["tests"] == told["pass"] > len(list(FRONT_TESTS.glob("*.test.js"))) > 0


def tell(packed: Sequence[bytes], folder: Path) -> list[dict[str, Any]]:
    """What the front end says of each call of a view, and of the pieces that follow it."""
    files = [folder / f"{i}.view" for i in range(len(packed))]
    for file, data in zip(files, packed, strict=True):
        file.write_bytes(data)
    done = node(FRONT_TESTS / "tell.js", *files)
    assert done.returncode == 0, done.stdout
    calls: list[dict[str, Any]] = json.loads(done.stdout)
    return calls


@pytest.mark.parametrize("prefix", [False, True])
def test_it_reads_what_was_packed(prefix: bool, tmp_path: Path) -> None:
    trace = Dia2Trace(recorded()) if prefix else sample()
    assert isinstance(trace, Dia2Trace)
    calls = tell([payload(trace)], tmp_path)
    assert len(calls) == len(trace)
    codes = shown_codes(trace.raw_grid, trace.model)
    for call, told in enumerate(calls):
        machine, step = trace.machine_at(call), int(trace.steps[call])
        assert told["step"] == step
        assert told["seconds"] == pytest.approx((step - trace.crop - 2) / trace.model.frame_rate)
        assert told["took"] == [word.text for word in trace.words if word.call == call]
        assert told["left"] == [entry.text for entry in trace.queue_at(call)]
        assert (told["pending"], told["lookahead"]) == (len(machine.pending), len(machine.lookahead))
        assert told["codes"] == codes[:, call + (not prefix)].tolist()
        draws = trace.draws(call) if call >= trace.warmup_calls else []
        assert [draw["choice"] for draw in told["draws"]] == [draw.choice for draw in draws]
        for draw, found in zip(draws, told["draws"], strict=True):
            assert found["probability"] == pytest.approx(draw.probability, rel=2**-16)
            known = [[candidate.token, candidate.kept] for candidate in draw.candidates]
            assert found["candidates"][:7] == known[:7]  # the eighth place is the choice's, if it is none of these
            assert all(each in known for each in found["candidates"])


def test_it_puts_the_pieces_of_a_run_together(tmp_path: Path) -> None:
    case, pieces = Case("tiny4", "plain_cfg1"), list[bytes]()
    path = tmp_path / "run.dia2trace"
    with record(path) as recorder, observing(Follower(recorder, pieces.append)):
        engine(case.checkpoint).generate(case.expected["script"], case.config(seed=3))
    whole = tell([payload(load(path))], tmp_path)
    assert len(pieces) > 2
    assert tell(pieces, tmp_path) == [told | {"draws": []} for told in whole]  # draws come with the end


@pytest.mark.skipif(not TSC.exists(), reason="no TypeScript in tests/front: see tests/SKIPS.md")
def test_headers_have_the_types_that_the_front_end_is_checked_with(tmp_path: Path) -> None:
    pieces: list[bytes] = []
    with record(tmp_path / "live.dia2trace") as recorder, observing(Follower(recorder, pieces.append)):
        engine("tiny4").generate("[S1] Hi.", seed=1)
    with record(tmp_path / "dia.dia2trace"):
        toy().speak("[S1] Hi.", seed=1, max_tokens=40)
    found = {
        "whole: Header": payload(load(recorded())),
        "dia: Header": payload(load(tmp_path / "dia.dia2trace")),
        "live: Header": pieces[0],
        "piece: PieceHeader": pieces[1],
    }
    lines = [f'import type {{ Dtype, Header, PieceHeader }} from "{TYPES.as_posix()}";']
    dtypes: set[str] = set()
    for name, packed in found.items():
        header, columns = opened(packed)
        lines.append(f"export const {name} = {json.dumps(header)};")
        dtypes |= {column.dtype.name for column in columns.values()}
    lines.append(f"export const dtypes: Dtype[] = {json.dumps(sorted(dtypes))};")
    (tmp_path / "headers.ts").write_text("\n".join(lines), encoding="utf-8")
    settings = {"extends": str(FRONT_TESTS / "tsconfig.json"), "include": ["headers.ts"]}
    (tmp_path / "tsconfig.json").write_text(json.dumps(settings), encoding="utf-8")
    done = node(TSC, "--project", tmp_path)
    assert done.returncode == 0, done.stdout
