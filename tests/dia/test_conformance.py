"""Every case of the public reference, token for token, through the public API."""

import pytest
import torch
from torch import Tensor

from dia.loop import encode, fill_cross_cache, new_state
from dia.text import encode_text

from ..support.dia import CPU, DiaCase, assert_agrees, dia5, dia_cases
from ..support.graphs import FakeGraphs, use_dia_graphs
from ..support.reference import relative

CASES = [pytest.param(case, id=case.name) for case in dia_cases()]


def padded_text(case: DiaCase) -> tuple[Tensor, Tensor]:
    """Tokens and mask over all the encoder's positions, as the reference has them."""
    config = dia5().config
    tokens, mask = encode_text(case.expected["text"], config)
    beyond = config.model.encoder.max_position_embeddings - tokens.shape[1]
    return torch.nn.functional.pad(tokens, (0, beyond)), torch.nn.functional.pad(mask, (0, beyond))


@pytest.mark.filterwarnings("ignore:Script 2 has 74 bytes")  # one of the texts is too long on purpose
@pytest.mark.parametrize("case", CASES)
def test_a_run_equals_the_reference(case: DiaCase) -> None:
    assert_agrees(dia5(), case)


@pytest.mark.filterwarnings("ignore:Script 2 has 74 bytes")
@pytest.mark.parametrize("case", CASES)
def test_the_encoder_and_the_cross_keys_equal_the_reference(case: DiaCase) -> None:
    dia = dia5()
    with torch.no_grad():
        out, _ = encode(dia.model, *padded_text(case))
        (keys, _), *_ = dia.model.decoder.keys_values(out)
    assert relative(out, case.tensors["encoder_out"]) <= 1e-4
    assert relative(keys, case.tensors["cross_k_layer0"]) <= 1e-4


@pytest.mark.filterwarnings("ignore:Script 2 has 74 bytes")
@pytest.mark.parametrize("name", ["batch", "prompt"])
def test_text_padded_to_all_positions_gives_the_same(name: str) -> None:
    case, dia = DiaCase(name), dia5()
    tokens, mask = encode_text(case.expected["text"], dia.config)
    with torch.no_grad():
        short, _ = encode(dia.model, tokens, mask)
        whole, whole_mask = encode(dia.model, *padded_text(case))
        state = new_state(dia.config, scripts=len(mask), rows=8, text=whole.shape[1], dtype=torch.float32, device=CPU)
        fill_cross_cache(dia.model, state, whole, whole_mask)
    rows = mask.repeat_interleave(2, dim=0)
    assert relative(short[rows], whole[:, : tokens.shape[1]][rows]) <= 1e-5
    assert not state.decoder.whole_text
    assert torch.equal(state.decoder.text_mask[:, 0], whole_mask)


@pytest.mark.filterwarnings("ignore:Script 2 has 74 bytes")
@pytest.mark.parametrize(("name", "dry_runs"), [("short_max", 0), ("prompt", 0), ("batch_prompts", 3)])
def test_graphs_give_the_reference_tokens(name: str, dry_runs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their text cache holds all positions and their attention reads every slot under a mask."""
    case, dia, backend = DiaCase(name), dia5(), FakeGraphs(dry_runs)
    use_dia_graphs(monkeypatch, dia, lambda: backend)
    result = dia.speak(case.expected["text"], **case.settings(use_cuda_graph=True))
    for i, spoken in enumerate(result.scripts):
        assert torch.equal(spoken.codes, case.tensors[f"codes.{i}"].long())
    assert backend.captures == 1
    assert backend.replays == result.steps


def test_all_cases_are_here() -> None:
    assert len(dia_cases()) == 7
