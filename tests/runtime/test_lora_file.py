"""A LoRA beside a checkpoint: in its weights once they are loaded, refused where it is not theirs, noted in a trace."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from dia2.cli import main
from dia2.common.errors import CheckpointError, UsageError
from dia2.common.hashing import hash_path
from dia2.core.lora import KINDS, targets
from dia2.engine import Dia2
from dia2.inspect import Dia2Trace
from dia2.runtime.lora_file import LoraFacts, read_facts, write_lora
from tests.support.reference import engine, local_files

FILES = local_files("tiny8")
SCRIPT = "[S1] Hello there."


def lora(path: Path, seed: int = 0, rank: int = 2, kinds: tuple[str, ...] = KINDS, size: float = 0.3) -> Path:
    """One of random numbers, for tiny8."""
    base = hash_path(Path(FILES["weights_path"]))
    assert base is not None
    generator = torch.Generator().manual_seed(seed)
    tensors = {}
    for name, target in targets(engine("tiny8").runtime.model, kinds).items():
        out, into = target.weight.shape
        tensors[f"{name}.lora_A.weight"] = size * torch.randn(rank, into, generator=generator)
        tensors[f"{name}.lora_B.weight"] = size * torch.randn(out, rank, generator=generator)
    write_lora(path, LoraFacts(base, rank, 4.0, kinds), tensors)
    return path


def with_lora(path: Path, **options: Any) -> Dia2:
    return Dia2.from_local(**FILES, device="cpu", lora=path, **options)


def test_the_weights_are_those_of_the_sum_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = lora(tmp_path / "a.safetensors", kinds=("q", "mlp"))
    tensors = load_file(path)
    plain, added = engine("tiny8").runtime.model.state_dict(), with_lora(path).runtime.model.state_dict()
    assert plain.keys() == added.keys()
    changed = [name for name in plain if not torch.equal(plain[name], added[name])]
    name = "transformer.layers.0.mlp.wi"
    a, b = (tensors[f"{name}.lora_{part}.weight"] for part in "AB")
    assert torch.allclose(added[f"{name}.weight"], plain[f"{name}.weight"] + 2.0 * (b @ a), atol=1e-5)
    untouched = [name for name in plain if "k_proj" in name or "o_proj" in name or "embed" in name]
    assert untouched
    assert not {*untouched} & {*changed}


def test_it_speaks_otherwise_and_in_every_way_of_loading(tmp_path: Path) -> None:
    path = lora(tmp_path / "a.safetensors")
    plain = engine("tiny8").generate(SCRIPT, seed=1)
    first, again = (with_lora(path).generate(SCRIPT, seed=1) for _ in range(2))
    assert np.array_equal(first.waveform, again.waveform)
    assert first.waveform.shape != plain.waveform.shape or not np.array_equal(first.waveform, plain.waveform)
    assert with_lora(path, quantize="int8").generate(SCRIPT, seed=1).frames > 0
    assert with_lora(path, dtype="bfloat16").generate(SCRIPT, seed=1).frames > 0
    with pytest.raises(CheckpointError, match="it does not fit this checkpoint"):
        _ = Dia2.nano(device="cpu", lora=path).runtime


def changed(path: Path, change: Callable[[dict[str, Tensor], dict[str, str]], object]) -> Path:
    """The same file, with something done to its tensors and its metadata."""
    facts, tensors = read_facts(path), load_file(path)
    metadata = {
        "format": "dia2-lora-1",
        "base_weights": facts.base,
        "r": str(facts.rank),
        "lora_alpha": repr(facts.alpha),
        "target_modules": json.dumps(list(facts.kinds)),
    }
    change(tensors, metadata)
    save_file(tensors, path, metadata)
    return path


A = "transformer.layers.0.attn.q_proj.lora_A.weight"
HOSTILE: list[tuple[Callable[[dict[str, Tensor], dict[str, str]], object], str]] = [
    (lambda t, m: m.pop("format"), "is no LoRA of Dia2"),
    (lambda t, m: m.update(format="dia2-lora-9"), "is no LoRA of Dia2"),
    (lambda t, m: m.pop("r"), "is damaged"),
    (lambda t, m: m.update(r="two"), "is damaged"),
    (lambda t, m: m.update(r="0"), "has r 0"),
    (lambda t, m: m.update(r="9" * 60), "has r a huge number"),
    (lambda t, m: m.update(r="3"), "asks for floats"),
    (lambda t, m: m.update(lora_alpha="nan"), "lora_alpha nan"),
    (lambda t, m: m.update(lora_alpha="1e400"), "lora_alpha inf"),
    (lambda t, m: m.update(lora_alpha="1e39"), "are not finite"),
    (lambda t, m: m.update(target_modules="[" * 9000), "is damaged"),
    (lambda t, m: m.update(target_modules='["q", "../x"]'), "has target_modules"),
    (lambda t, m: m.update(target_modules='[["q"]]'), "has target_modules"),
    (lambda t, m: m.update(target_modules="[]"), "has target_modules"),
    (lambda t, m: m.update(target_modules='{"q": 1}'), "has target_modules"),
    (lambda t, m: m.update(target_modules='["q"]'), "it does not fit this checkpoint"),
    (lambda t, m: m.update(base_weights="0" * 64), "was fitted to other weights than"),
    (lambda t, m: t.pop(A), "lacks tensor"),
    (lambda t, m: t.update({"x\x1b[31m": torch.zeros(2)}), "has tensor"),
    (lambda t, m: t.update({A: torch.zeros(2, 5)}), "asks for floats"),
    (lambda t, m: t.update({A: torch.zeros(t[A].shape, dtype=torch.int32)}), "is I32"),
    (lambda t, m: t[A][0].fill_(float("nan")), "are not finite"),
    (lambda t, m: t[A][0].fill_(float("inf")), "are not finite"),
]


@pytest.mark.parametrize(("change", "message"), HOSTILE)
def test_what_is_damaged_or_foreign_is_one_sentence(
    change: Callable[[dict[str, Tensor], dict[str, str]], object], message: str, tmp_path: Path
) -> None:
    path = changed(lora(tmp_path / "a.safetensors"), change)
    with pytest.raises(CheckpointError, match=message) as caught:
        _ = with_lora(path).runtime
    assert str(path) in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("content", [None, b"", b"\x08\0\0\0\0\0\0\0{}      ", b"[S1] Hello" * 9, b"\xff" * 8])
def test_what_is_no_such_file_is_one_sentence(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CheckpointError, match=str(path)):
        _ = with_lora(path).runtime


def test_a_trace_names_it_and_replay_and_fork_want_the_same(tmp_path: Path) -> None:
    from dia2.adapter.fork import fork
    from dia2.adapter.replay import replay

    one, two = (lora(tmp_path / f"{seed}.safetensors", seed) for seed in (1, 2))
    trace = tmp_path / "run.dia2trace"
    with_lora(one).generate(SCRIPT, seed=1, trace=trace)
    engine("tiny8").generate(SCRIPT, seed=1, trace=tmp_path / "plain.dia2trace")
    run, plain = Dia2Trace.load(trace), Dia2Trace.load(tmp_path / "plain.dia2trace")
    assert run.run.hashes["lora"] == hash_path(one)
    assert "lora" not in plain.run.hashes
    assert run.run.hashes["weights"] != plain.run.hashes["weights"] == hash_path(Path(FILES["weights_path"]))
    assert len(replay(run, with_lora(one)).calls) > 0
    for tts, of, said in (
        (with_lora(two), run, f"was made with the LoRA {str(hash_path(one))[:8]}, and this checkpoint is loaded with"),
        (engine("tiny8"), run, "is loaded without one: give the same"),
        (with_lora(one), plain, "was made with no LoRA"),
    ):
        with pytest.raises(UsageError, match=said):
            replay(of, tts)
        with pytest.raises(UsageError, match=said):
            fork(of, tts, 3)


def test_the_command_line_takes_one_and_refuses_to_write_over_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = lora(tmp_path / "a.safetensors")
    flags = ["--config", FILES["config_path"], "--weights", FILES["weights_path"], "--device", "cpu"]
    flags += ["--tokenizer", FILES["tokenizer_id"], "--mimi", FILES["mimi_id"], "--input", SCRIPT, "--seed", "1"]
    assert main(["generate", str(tmp_path / "a.wav"), *flags, "--lora", str(path), "--quiet"]) == 0
    assert main(["generate", str(tmp_path / "b.wav"), *flags, "--quiet"]) == 0
    assert (tmp_path / "a.wav").read_bytes() != (tmp_path / "b.wav").read_bytes()
    assert main(["generate", str(tmp_path / "c.wav"), *flags, "--lora", str(tmp_path / "none")]) == 1
    assert "none" in capsys.readouterr().err
    wav = tmp_path / "lora.wav"
    path.rename(wav)
    assert main(["generate", str(wav), *flags, "--lora", str(wav)]) == 2


def test_a_sweep_may_name_one(tmp_path: Path) -> None:
    from dia2.adapter.maker import open_maker

    path = lora(tmp_path / "a.safetensors")
    model = {"config": FILES["config_path"], "weights": FILES["weights_path"], "device": "cpu"}
    model |= {"tokenizer": FILES["tokenizer_id"], "mimi": FILES["mimi_id"]}
    assert open_maker(model | {"lora": str(path)}).checkpoint["lora"] == hash_path(path)
    assert "lora" not in open_maker(model).checkpoint
