"""The machine against a second telling of its rules, against published runs, and against what it must never do."""

import json
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dia2.runtime.state_machine import MAX_PADDING, Emission, Entry, State, StateMachine, TokenIds

from ..support.reference import Case, cases

RATE = 12.5
NEW_WORD, PAD, BOS, ZERO = 901, 900, 902, 903
ACT_NEW_WORD, ACT_PAD = 1, 0
IDS = TokenIds(NEW_WORD, PAD, BOS, ZERO, 904, 905, ACT_NEW_WORD, ACT_PAD, 65, 64)


def machine(ahead: int, initial_padding: int = 0) -> StateMachine:
    return StateMachine(IDS, second_stream_ahead=ahead, initial_padding=initial_padding)


@dataclass
class Told:
    """The rules of the published behaviour told once more, on plain lists, with no thought for speed."""

    ahead: int
    entries: list[Entry]
    padding_budget: int
    forced_padding: int
    pending_tokens: list[int] = field(default_factory=list)
    lookahead_tokens: list[int] = field(default_factory=list)
    end_step: int | None = None
    consumption_times: list[int] = field(default_factory=list)
    transcript: list[tuple[str, int]] = field(default_factory=list)

    def step(self, step: int, action: int, forced: bool) -> tuple[int, int, bool]:
        wants_word = action == NEW_WORD or (action == ACT_NEW_WORD and not forced)  # 0. all else is a pad
        if self.pending_tokens or (not forced and self.forced_padding > 0):  # 1.
            wants_word = False
        elif not forced and self.padding_budget <= 0:
            wants_word = True

        output = NEW_WORD if wants_word else PAD  # 2.
        took = wants_word and len(self.entries) > 0
        if took:
            entry = self.entries[0]
            self.entries = self.entries[1:]
            self.consumption_times += [step]
            self.forced_padding = entry.padding
            if entry.tokens == []:
                output = PAD
            else:
                self.transcript += [(entry.text, step)]
                self.pending_tokens += entry.tokens
                coming = [other for other in self.entries if other.tokens != []]
                if self.ahead > 0 and len(coming) >= self.ahead:
                    self.lookahead_tokens += coming[self.ahead - 1].tokens
                self.padding_budget = 6
        elif wants_word:
            if self.end_step is not None or self.ahead == 0:
                output = PAD
            if self.end_step is None:
                self.end_step = step

        main = second = output
        if output == PAD:  # 3.
            self.padding_budget = self.padding_budget - 1 if self.padding_budget > 0 else 0
            self.forced_padding = self.forced_padding - 1 if self.forced_padding > 0 else 0
            if self.pending_tokens:
                output = self.pending_tokens.pop(0)
            main = second = output
        if self.ahead > 0:  # 4.
            if output == NEW_WORD:
                second = NEW_WORD
                main = self.pending_tokens.pop(0) if self.pending_tokens else PAD
            else:
                second = self.lookahead_tokens.pop(0) if self.lookahead_tokens else PAD
        return main, second, took


def plain(state: State | Told) -> dict[str, Any]:
    """The fields that both have, as plain lists."""
    fields = {name: list(value) if hasattr(value, "__iter__") else value for name, value in vars(state).items()}
    fields.pop("ahead", None)
    return fields


@st.composite
def entry_lists(draw: st.DrawFn) -> list[Entry]:
    """Entries whose tokens are all different, so that none can stand for another."""
    shapes = draw(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 9)), max_size=8))
    entries, first = [], 10
    for n, (length, padding) in enumerate(shapes):
        entries.append(
            Entry(list(range(first, first + length)), f"word {n}" if length else "", padding, 1 if length else 0)
        )
        first += length
    return entries


aheads = st.integers(0, 2)
initial_paddings = st.integers(0, 3)
actions = st.sampled_from([ACT_NEW_WORD, ACT_NEW_WORD, ACT_PAD, NEW_WORD, PAD, BOS, 7, -1])
free_actions = st.lists(actions, max_size=60)
texts = st.sampled_from([NEW_WORD, PAD, BOS])  # what a forced step is given
moves = st.lists(st.tuples(actions, st.just(False)) | st.tuples(texts, st.just(True)), max_size=60)


@given(entries=entry_lists(), odd=st.booleans(), ahead=aheads, initial_padding=initial_paddings, moves=moves)
@settings(max_examples=250, deadline=None)
def test_every_step_is_as_the_rules_say(
    entries: list[Entry], odd: bool, ahead: int, initial_padding: int, moves: list[tuple[int, bool]]
) -> None:
    if odd:  # a tokenizer without the speakers' tags has new_word in their place, and so among the tokens
        entries = [replace(entry, tokens=[NEW_WORD, *entry.tokens]) if entry.tokens else entry for entry in entries]
    subject = machine(ahead, initial_padding)
    state = subject.new_state(entries)
    told = Told(ahead, list(entries), initial_padding, initial_padding)
    for step, (action, forced) in enumerate(moves):
        emitted = subject.step(step, state, action, forced=forced)
        assert tuple(emitted) == told.step(step, action, forced)
        assert plain(state) == plain(told)


@given(entries=entry_lists(), ahead=aheads, initial_padding=initial_paddings, moves=moves)
@settings(max_examples=150, deadline=None)
def test_words_that_were_begun_are_emitted_whole_and_in_order(
    entries: list[Entry], ahead: int, initial_padding: int, moves: list[tuple[int, bool]]
) -> None:
    subject = machine(ahead, initial_padding)
    state = subject.new_state(entries)
    emitted = [subject.step(step, state, action, forced=forced) for step, (action, forced) in enumerate(moves)]

    begun = entries[: len(state.consumption_times)]
    main = [emission.main for emission in emitted if emission.main not in (NEW_WORD, PAD)]
    assert main + list(state.pending_tokens) == list(chain.from_iterable(entry.tokens for entry in begun))
    assert begun + list(state.entries) == entries
    assert [text for text, _ in state.transcript] == [entry.text for entry in begun if entry.tokens]
    assert [step for _, step in state.transcript] == [
        step for step, entry in zip(state.consumption_times, begun, strict=True) if entry.tokens
    ]
    assert [step for step, emission in enumerate(emitted) if emission.consumed] == state.consumption_times


@given(entries=entry_lists(), ahead=aheads, initial_padding=initial_paddings, moves=moves)
@settings(max_examples=100, deadline=None)
def test_counters_never_fall_below_zero_and_the_end_is_set_once(
    entries: list[Entry], ahead: int, initial_padding: int, moves: list[tuple[int, bool]]
) -> None:
    subject = machine(ahead, initial_padding)
    state = subject.new_state(entries)
    ends: set[int] = set()
    for step, (action, forced) in enumerate(moves):
        entries_before = len(state.entries)
        subject.step(step, state, action, forced=forced)
        assert min(state.padding_budget, state.forced_padding) >= 0
        if state.end_step is not None:
            ends.add(state.end_step)
            assert state.end_step <= step
            assert entries_before == 0
    assert len(ends) <= 1


@given(entries=entry_lists(), ahead=aheads, initial_padding=initial_paddings, actions=free_actions)
@settings(max_examples=150, deadline=None)
def test_no_entry_is_taken_before_the_padding_of_the_one_before_it_is_over(
    entries: list[Entry], ahead: int, initial_padding: int, actions: list[int]
) -> None:
    subject = machine(ahead, initial_padding)
    state = subject.new_state(entries)
    for step, action in enumerate(actions):
        subject.step(step, state, action)
    times = state.consumption_times
    assert not times or times[0] >= initial_padding
    for entry, time, following in zip(entries, times, times[1:], strict=False):
        # A word's own frame does not count towards its padding, a break's does.
        assert following >= time + (
            max(entry.padding, len(entry.tokens) - 1) + 1 if entry.tokens else max(entry.padding, 1)
        )


@given(entries=entry_lists(), ahead=aheads, initial_padding=initial_paddings)
@settings(max_examples=100, deadline=None)
def test_a_model_that_never_asks_for_a_word_still_speaks_them_all(
    entries: list[Entry], ahead: int, initial_padding: int
) -> None:
    subject = machine(ahead, initial_padding)
    state = subject.new_state(entries)
    longest = initial_padding + sum(max(entry.padding, MAX_PADDING) + 1 for entry in entries)
    for step in range(longest + 1):
        subject.step(step, state, ACT_PAD)
    assert not state.entries
    assert state.end_step is not None
    assert len(state.consumption_times) == len(entries)


@given(entries=entry_lists(), ahead=aheads, moves=moves)
@settings(max_examples=100, deadline=None)
def test_with_lookahead_words_begin_in_the_second_stream_alone_and_without_both_are_one(
    entries: list[Entry], ahead: int, moves: list[tuple[int, bool]]
) -> None:
    subject = machine(ahead)
    state = subject.new_state(entries)
    for step, (action, forced) in enumerate(moves):
        words_before, ended_before = len(state.transcript), state.end_step is not None
        emitted = subject.step(step, state, action, forced=forced)
        began = len(state.transcript) > words_before
        if ahead:
            ended = state.end_step is not None and not ended_before  # told by one last new_word
            assert (emitted.second == NEW_WORD) == (began or ended)
            assert emitted.main != NEW_WORD
        else:
            assert (emitted.main == NEW_WORD) == began
            assert emitted.second == emitted.main


@pytest.mark.parametrize("case", cases())
def test_published_runs_are_replayed_from_their_actions(case: Case) -> None:
    published = case.expected
    data = json.loads((case.folder / "config.json").read_text())["data"]
    ids = TokenIds(
        new_word=data["text_new_word_token_id"],
        pad=data["text_pad_token_id"],
        bos=1,
        zero=data["text_zero_token_id"],
        spk1=3,
        spk2=4,
        action_new_word=data["action_new_word_token_id"],
        action_pad=data["action_pad_token_id"],
        audio_pad=data["audio_pad_token_id"],
        audio_bos=data["audio_bos_token_id"],
    )
    subject = StateMachine(ids, second_stream_ahead=data["second_stream_ahead"], initial_padding=2)
    state = subject.new_state([Entry(tokens, text, padding) for text, tokens, padding in published["entries"]])

    for row in published["machine"]:
        emitted = subject.step(row["step"], state, row["action"], forced=row["forced"])
        assert row == {
            "step": row["step"],
            "action": row["action"],
            "forced": row["forced"],
            "main": emitted.main,
            "second": emitted.second,
            "consumed": emitted.consumed,
            "padding_budget": state.padding_budget,
            "forced_padding": state.forced_padding,
            "entries_left": len(state.entries),
            "pending": list(state.pending_tokens),
            "lookahead": list(state.lookahead_tokens),
            "end_step": state.end_step,
        }

    prefix_words = sum(
        bool(word["text"].strip())
        for name in published["words"] or []
        for word in json.loads((case.folder / name).read_text())
    )
    skip, crop = (0, 0) if published["include_prefix"] else (prefix_words, published["first_word_frame"])
    times = [[text, (step - crop) / RATE] for text, step in state.transcript[skip:] if step >= crop]
    assert times == published["timestamps"]


def run(subject: StateMachine, state: State, actions: list[int], forced: bool = False) -> list[Emission]:
    return [subject.step(step, state, action, forced=forced) for step, action in enumerate(actions)]


def test_nothing_begins_before_the_initial_padding() -> None:
    subject = machine(0, initial_padding=2)
    state = subject.new_state([Entry([10], "one", 1)])
    emitted = run(subject, state, [ACT_NEW_WORD] * 4)
    assert [emission.main for emission in emitted] == [PAD, PAD, NEW_WORD, 10]
    assert state.transcript == [("one", 2)]


def test_an_engine_may_set_the_initial_padding_of_the_next_run() -> None:
    subject = machine(0)
    subject.initial_padding = 5
    state = subject.new_state([])
    assert (state.padding_budget, state.forced_padding) == (5, 5)


def test_tokens_of_a_word_overrule_even_a_forced_new_word() -> None:
    subject = machine(0)
    state = subject.new_state([Entry([10, 11], "one", 0), Entry([12], "two", 0)])
    emitted = run(subject, state, [NEW_WORD] * 4, forced=True)
    assert [emission.main for emission in emitted] == [NEW_WORD, 10, 11, NEW_WORD]  # those at steps 1 and 2 are lost
    assert state.transcript == [("one", 0), ("two", 3)]


def test_a_forced_action_ignores_padding_and_budget() -> None:
    subject = machine(0, initial_padding=3)
    state = subject.new_state([Entry([10], "one", 0)])
    assert subject.step(0, state, NEW_WORD, forced=True).consumed
    state = subject.new_state([Entry([10], "one", 0)])
    assert not any(emission.consumed for emission in run(subject, state, [PAD] * 20, forced=True))


def test_a_word_must_follow_when_the_budget_is_used_up() -> None:
    subject = machine(0)
    state = subject.new_state([Entry([10], "one", 1), Entry([11], "two", 1)])
    run(subject, state, [ACT_NEW_WORD] + [ACT_PAD] * 9)
    assert state.consumption_times == [0, 1 + MAX_PADDING]


def test_a_break_leaves_the_budget_alone_and_counts_its_own_frame() -> None:
    subject = machine(0)
    state = subject.new_state([Entry([10], "one", 1), Entry([], "", 3), Entry([11], "two", 1)])
    run(subject, state, [ACT_NEW_WORD, ACT_PAD])
    assert (state.padding_budget, state.forced_padding) == (5, 0)
    emitted = subject.step(2, state, ACT_NEW_WORD)
    assert emitted == Emission(PAD, PAD, consumed=True)
    assert (state.padding_budget, state.forced_padding) == (4, 2)
    assert state.transcript == [("one", 0)]
    run_on = [subject.step(step, state, ACT_NEW_WORD).consumed for step in (3, 4, 5)]
    assert run_on == [False, False, True]
    assert state.consumption_times == [0, 2, 5]


def test_a_long_break_uses_the_budget_up_so_that_a_word_follows_at_once() -> None:
    subject = machine(0)
    state = subject.new_state([Entry([10], "one", 1), Entry([], "", 20), Entry([11], "two", 1)])
    run(subject, state, [ACT_NEW_WORD, ACT_PAD, ACT_NEW_WORD] + [ACT_PAD] * 25)
    assert state.consumption_times == [0, 2, 22]


@pytest.mark.parametrize(("ahead", "tokens"), [(0, []), (1, [20, 21]), (2, [30]), (3, [])])
def test_lookahead_skips_breaks(ahead: int, tokens: list[int]) -> None:
    subject = machine(ahead)
    entries = [
        Entry([10, 11], "one", 0),
        Entry([], "", 5),
        Entry([20, 21], "two", 0),
        Entry([], "", 5),
        Entry([30], "three", 0),
    ]
    state = subject.new_state(entries)
    subject.step(0, state, ACT_NEW_WORD)
    assert list(state.lookahead_tokens) == tokens


def test_with_lookahead_a_word_and_its_successor_are_emitted_side_by_side() -> None:
    subject = machine(1)
    state = subject.new_state([Entry([10, 11], "one", 2), Entry([20], "two", 1)])
    emitted = run(subject, state, [ACT_NEW_WORD] * 8)
    assert [(emission.main, emission.second) for emission in emitted] == [
        (10, NEW_WORD),
        (11, 20),
        (PAD, PAD),
        (20, NEW_WORD),
        (PAD, PAD),
        (PAD, NEW_WORD),  # the end, told once
        (PAD, PAD),
        (PAD, PAD),
    ]
    assert state.end_step == 5


def test_without_lookahead_the_end_is_not_told() -> None:
    subject = machine(0)
    state = subject.new_state([])
    assert [emission.main for emission in run(subject, state, [ACT_NEW_WORD] * 3)] == [PAD] * 3
    assert state.end_step == 0


def test_the_actions_numbers_are_the_configs() -> None:
    swapped = TokenIds(NEW_WORD, PAD, BOS, ZERO, 904, 905, action_new_word=0, action_pad=1, audio_pad=65, audio_bos=64)
    subject = StateMachine(swapped, second_stream_ahead=0)
    state = subject.new_state([Entry([10], "one", 1), Entry([11], "two", 0)])
    emitted = run(subject, state, [0, 1, 1, 0])
    assert [emission.main for emission in emitted] == [NEW_WORD, 10, PAD, NEW_WORD]


def test_states_do_not_share_their_entries() -> None:
    subject = machine(0)
    entries = [Entry([10], "one", 0)]
    first, second = subject.new_state(entries), subject.new_state(entries)
    subject.step(0, first, ACT_NEW_WORD)
    assert (len(entries), len(second.entries)) == (1, 1)


def test_words_queued_does_not_count_breaks() -> None:
    subject = machine(2)
    state = subject.new_state([Entry([10], "one", 0), Entry([], "", 5), Entry([11], "two", 0)])
    assert subject.words_queued(state) == 2
    subject.step(0, state, ACT_NEW_WORD)
    assert subject.words_queued(state) == 1
