"""A run of CSM from end to end, through the entry point: recorded, shown, explored, compared, written as tables."""

import io
import re
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from csm_adapter.speaking import Settings, speak
from csm_adapter.tiny import tiny
from csm_adapter.trace import CsmTrace
from rich.console import Console

from dia2.cli import main
from dia2.common.errors import TraceError, UsageError
from dia2.common.hooks import observing
from dia2.inspect import Watch, load, plots, record
from dia2.inspect.views.console import print_frame, print_show
from dia2.inspect.views.explorer.view import view_of

IDS = torch.arange(10, 19)[None]
SETTINGS = Settings(seed=3, most_frames=12, temperature=0.7, depth_temperature=1.5, top_k=5)


@pytest.fixture(scope="session")
def model():
    return tiny()


@pytest.fixture(scope="session")
def trace(model, tmp_path_factory) -> CsmTrace:
    path = tmp_path_factory.mktemp("csm") / "run.dia2trace"
    with record(path, level="full"):
        speak(model, IDS, SETTINGS)
    return load(path)


def test_it_is_what_transformers_generates(model, trace: CsmTrace) -> None:
    torch.manual_seed(3)
    heats = {"temperature": 0.7, "depth_decoder_temperature": 1.5, "top_k": 5, "depth_decoder_top_k": 5}
    codes = model.generate(input_ids=IDS, do_sample=True, depth_decoder_do_sample=True, max_new_tokens=12, **heats)[0]
    assert np.array_equal(trace.frames, codes.numpy())
    assert (isinstance(trace, CsmTrace), trace.state, len(trace), trace.given_calls) == (True, "complete", 20, 8)
    assert trace.column("text").tolist() == [*range(10, 19), *[-1] * 11]
    assert trace.column("backbone_slots").tolist() == list(range(1, 21))
    samples, rate = trace.sound()
    assert (len(samples), rate) == (12 * 64, 800)


def test_looking_changes_nothing_and_leaves_no_hook(model, trace: CsmTrace) -> None:
    before = torch.get_rng_state()
    assert np.array_equal(speak(model, IDS, SETTINGS).codes.numpy(), trace.frames)
    assert torch.equal(torch.get_rng_state(), before)
    assert not model._forward_hooks
    assert not model.depth_decoder._forward_hooks


def test_chances_are_those_of_the_draws(trace: CsmTrace) -> None:
    for call in (8, 13):
        for book, draw in enumerate(trace.draws(call)):
            logits = torch.from_numpy(trace._row(call)["logits"][book]) / (1.5 if book else 0.7)
            kept = logits.topk(5).indices.tolist()
            assert draw.choice == trace.column("codes")[call, book]
            assert draw.probability == pytest.approx(logits[kept].softmax(0)[kept.index(draw.choice)].item())
            assert {c.token for c in draw.candidates if c.kept} == set(kept)
    assert trace.draws(3) == []


def test_every_view_shows_it(trace: CsmTrace, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    console = Console(file=io.StringIO(), width=80)
    print_show(trace, console)
    print_frame(trace, console, 8)
    told = console.file.getvalue()
    for text in ("model     CSM", "20 = 8 given + 12 drawn", "✓  2  Draw frames", "depth.3"):
        assert text in told
    for figure in (plots.grid(trace), plots.kv_growth(trace), plots.candidates(trace, 8), plots.waveform(trace)):
        assert plots.describe(figure)
    header = view_of(trace).header
    assert (header["pipeline"], header.get("replay")) == (None, None)  # it declares neither
    assert [row["title"] for row in header["rows"]] == ["Take the prompt", "Draw frames", "Decode"]
    assert [draw["sampling"]["temperature"] for draw in header["draws"]] == [0.7, 1.5, 1.5, 1.5]
    assert trace.explore(call=9).call == 9
    assert "dia2view" in trace.to_html(tmp_path / "run.html").read_text(encoding="utf-8")
    calls, draws = (pq.read_table(file) for file in trace.to_parquet(tmp_path / "tables"))
    assert (calls["codes"].to_pylist()[8:], len(draws)) == (trace.frames.tolist(), 12 * 4)
    for view in ("show", "frames", "grid", "hooks"):
        assert main(["trace", view, str(trace.path)]) == 0
    assert "csm.frames" in capsys.readouterr().out


def test_where_two_runs_part(model, trace: CsmTrace, tmp_path: Path) -> None:
    with record(tmp_path / "other.dia2trace", level="tokens"):
        speak(model, IDS, Settings(seed=4, most_frames=12, temperature=0.7, depth_temperature=1.5, top_k=5))
    other = load(tmp_path / "other.dia2trace")
    found = trace.diff(other)
    assert [part.what for part in found.settings] == ["seed"]
    same = (trace.column("codes") == other.column("codes")).all(axis=1)
    first = found.first
    assert first is not None
    assert (first.call, first.what) == (same.argmin(), f"codebook {same_book(trace, other, found.shared)} drawn")
    assert trace.diff(load(trace.path)).same
    with pytest.raises(TraceError, match="is a trace of CSM, and 'fork' is of Dia2's only"):
        trace.fork(model, 9)


def same_book(trace: CsmTrace, other: CsmTrace, call: int) -> int:
    return int((trace.column("codes")[call] == other.column("codes")[call]).argmin())


def test_values_as_they_come(model) -> None:
    seen = []
    with observing(Watch(lambda name, value: seen.append((name, value)), "codes,draw.depth.2")):
        codes = speak(model, IDS, SETTINGS).codes
    drawn = [value.tolist() for name, value in seen if name == "codes"][8:]
    assert drawn == codes.tolist()
    assert [value.choice for name, value in seen if name == "draw.depth.2"] == codes[:, 2].tolist()


def test_a_batch_is_refused_before_anything_is_written(model, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="one prompt at a time"), record(tmp_path / "run.dia2trace"):
        speak(model, IDS.expand(2, -1))
    assert not (tmp_path / "run.dia2trace").exists()


def test_what_ends_in_the_middle_stays_readable(model, tmp_path: Path) -> None:
    def stop(_: str, codes: torch.Tensor) -> None:
        if codes.min() >= 0:  # the first frame
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), record(tmp_path / "run.dia2trace"), observing(Watch(stop, "codes")):
        speak(model, IDS, SETTINGS)
    found = load(tmp_path / "run.dia2trace")
    assert (found.state, len(found)) == ("partial: interrupted by the user", 9)


def test_the_page_quotes_the_code() -> None:
    root = Path(__file__).parents[3]
    code = "\n".join(file.read_text(encoding="utf-8") for file in (root / "examples/csm_adapter").rglob("*.py"))
    code += (root / "examples/csm_adapter/pyproject.toml").read_text(encoding="utf-8")
    blocks = re.findall(
        r"```(?:python|text|toml)\n(.*?)```", (root / "docs/your-model.md").read_text(encoding="utf-8"), re.S
    )
    assert len(blocks) > 8
    for block in blocks[1:]:  # the first one is to try
        assert " ".join(block.split()) in " ".join(code.split())
