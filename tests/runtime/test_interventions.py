"""What a run is given in place of its draws: edits at their calls, an earlier run up to where it ends."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from dia2 import GenerationConfig
from dia2.common.errors import UsageError
from dia2.runtime.edits import ChangeSampling, ChoiceEdit, ForceAction, ReplaceToken
from dia2.runtime.interventions import Interventions, Past
from dia2.runtime.state_machine import Emission

from ..support.reference import engine

FIRST = 3  # call of the main loop


def interventions(*edits: ChoiceEdit, past: Past | None = None, base: GenerationConfig | None = None) -> Interventions:
    runtime = engine("tiny8").runtime
    base = base or GenerationConfig()  # guided
    return Interventions(runtime.config, runtime.constants, base, edits=edits, past=past, first_call=FIRST)


def earlier(calls: int = 2) -> Past:
    codes = torch.arange(calls * 8).view(calls, 8)
    return Past(FIRST, [1, 0, 1][:calls], codes)


def test_without_edits_everything_is_drawn() -> None:
    made = interventions()
    assert made.codes(FIRST).tolist() == [-1] * 8
    assert made.codes(FIRST).dtype == torch.int64
    assert [made.action(FIRST, drawn) for drawn in (0, 1)] == [0, 1]
    emitted = Emission(4, 5, True)
    assert made.text(FIRST, emitted) == emitted
    assert made.forked_at is None
    assert made.guided


def test_a_past_is_repeated_from_its_first_call_to_its_last() -> None:
    made = interventions(past=earlier())
    assert made.forked_at == FIRST + 2
    for call, codes in ((FIRST, range(8)), (FIRST + 1, range(8, 16))):
        assert made.codes(call).tolist() == list(codes)
    for call in (FIRST - 1, FIRST + 2):
        assert made.codes(call).tolist() == [-1] * 8
    assert [made.action(FIRST + n, 7) for n in range(3)] == [1, 0, 7]
    assert made.action(FIRST - 1, 7) == 7


def test_a_past_is_not_written_to() -> None:
    past = earlier()
    made = interventions(ReplaceToken(FIRST, 9, codebook=2), past=past)
    assert made.codes(FIRST).tolist() == [0, 1, 9, 3, 4, 5, 6, 7]
    assert made.codes(FIRST + 1).tolist() == list(range(8, 16))
    assert past.codes.tolist() == earlier().codes.tolist()


def test_an_edit_counts_at_its_call_alone() -> None:
    made = interventions(
        ReplaceToken(FIRST + 1, 9, codebook=0),
        ReplaceToken(FIRST + 1, 8, codebook=7),
        ReplaceToken(FIRST + 1, 3, stream="second"),
        ReplaceToken(FIRST + 2, 2, stream="main"),
    )
    assert made.codes(FIRST + 1).tolist() == [9, *[-1] * 6, 8]
    emitted = Emission(4, 5, True)
    assert [made.text(FIRST + n, emitted) for n in range(4)] == [
        emitted,
        Emission(4, 3, True),
        Emission(2, 5, True),
        emitted,
    ]
    assert made.codes(FIRST).tolist() == made.codes(FIRST + 2).tolist() == [-1] * 8


@pytest.mark.parametrize("past", [None, earlier(3)])
def test_a_forced_action_wins_over_draw_and_past(past: Past | None) -> None:
    ids = engine("tiny8").runtime.constants
    made = interventions(ForceAction(FIRST, "pad"), ForceAction(FIRST + 1, "new_word"), past=past)
    assert made.action(FIRST, 99) == ids.action_pad
    assert made.action(FIRST + 1, 99) == ids.action_new_word
    assert ids.action_pad != ids.action_new_word
    assert made.action(FIRST + 2, 99) == (99 if past is None else past.actions[2])


def test_sampling_changes_from_its_call_on() -> None:
    made = interventions(ChangeSampling(FIRST + 2, cfg_scale=1.0), base=GenerationConfig(cfg_scale=2.0))
    assert [made.config(FIRST + n).cfg_scale for n in range(4)] == [2.0, 2.0, 1.0, 1.0]
    assert made.guided
    assert not interventions(base=GenerationConfig(cfg_scale=1.0)).guided
    assert interventions(ChangeSampling(FIRST, cfg_scale=2.0), base=GenerationConfig(cfg_scale=1.0)).guided


def test_what_does_not_fit_the_checkpoint_is_refused() -> None:
    data = engine("tiny8").runtime.config.data
    codes = min(data.audio_pad_token_id, data.audio_bos_token_id)
    texts, books = data.text_vocab_size, data.num_codebooks
    good: list[dict[str, Any]] = [
        {"token": codes - 1, "codebook": 0},
        {"token": 0, "codebook": books - 1},
        {"token": texts - 1, "stream": "main"},
        {"token": texts - 1, "stream": "second"},
    ]
    bad: list[dict[str, Any]] = [
        {"token": codes, "codebook": 0},
        {"token": 0, "codebook": books},
        {"token": texts, "stream": "main"},
        {"token": texts, "stream": "second"},
    ]
    for fields in good:
        interventions(ReplaceToken(FIRST, **fields))
    for fields in bad:
        with pytest.raises(UsageError, match=f"the checkpoint has {books} codebooks of {codes} codes and {texts} text"):
            interventions(ReplaceToken(FIRST, **fields))


def test_the_warm_up_is_not_edited() -> None:
    interventions(ForceAction(FIRST, "pad"))
    with pytest.raises(UsageError, match=f"Call {FIRST - 1} is in the warm-up.*begins at call {FIRST}"):
        interventions(ForceAction(FIRST - 1, "pad"))
