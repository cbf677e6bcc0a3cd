"""From a recording to what the network sees and says in every call.

The same state machine, delay grid and warm-up as in generation, driven by the words' true times.

The convention, for training, warm-up and generation alike: the new-word step of a word is its first frame of sound + 2.
That is what the runtime does with a prefix (start − 1, then + 3 for speaker 1), and with no prefix the machine begins
the first word at step 2. A second speaker's prefix comes 3 frames earlier there, which training shows the network too.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from dia2.audio.grid import delay_frames
from dia2.core.config import DiaConfig
from dia2.runtime.script_parser import Encode, parse_script
from dia2.runtime.sounding import LAG
from dia2.runtime.state_machine import MAX_PADDING, Entry, State, StateMachine, TokenIds
from dia2.runtime.voice_clone import PrefixPlan, combine_voices, words_to_entries
from dia2.runtime.words import Word
from training.spoken import Spoken, script_of, sentence_starts, swap_speakers, turn_lengths

IGNORED = -100  # a target that does not count
_TAGGED = 0.3  # of the sentences inside a turn, in training, that repeat their speaker's tag
_ONSET = 3  # frames at the beginning of a sentence, in which its voice is decided


@dataclass(frozen=True)
class Utterance:
    """A recording as training takes it."""

    spoken: tuple[Spoken, ...]
    end: float  # seconds at which one more word would begin
    codes: Tensor  # [K, T] int64
    traded: bool = False  # speaker 1 has the voice of the corpus's speaker 2, and the other way round


@dataclass(frozen=True)
class Language:
    """What turns words into tokens and tokens into streams."""

    config: DiaConfig
    encode: Encode
    ids: TokenIds
    initial_padding: int = 2  # as generation's default

    @property
    def frame_rate(self) -> float:
        """Frames a second; every published codec has this."""
        return 12.5

    def machine(self) -> StateMachine:
        """A new machine, as the runtime builds it."""
        return StateMachine(
            self.ids,
            second_stream_ahead=self.config.data.second_stream_ahead,
            initial_padding=self.initial_padding,
        )


@dataclass(frozen=True)
class Stream:
    """One training example: what goes in at each of T calls, and what should come out."""

    tokens: Tensor  # [C, T] int64: main and second text, K codes
    positions: Tensor  # [T] int64 rotary positions
    actions: Tensor  # [T] int64 action to draw, or IGNORED
    codes: Tensor  # [K, T] int64 codes to draw (of grid column position + 1), or IGNORED
    emitted: Tensor  # [2, T] int64 main and second text that the machine gives in that call
    onset: Tensor  # [T] bool: it draws codes of the first frames of a sentence
    speaker: Tensor  # [T] int64: 0 or 1 for speaker 1 or 2, who speaks in the frame of codebook 0 that it draws
    voice: Tensor  # [T] int64: 0 or 1, the same by the corpus's voices; another one where the voices are traded


def plain_stream(language: Language, utterance: Utterance, tagged: Collection[int] = ()) -> Stream:
    """The calls of a generation without prefix that says the utterance.

    Args:
        language: tokens and streams.
        utterance: what is said.
        tagged: indices of words that have their speaker's tag though the same one spoke before.
    """
    entries = parse_script([script_of(utterance.spoken, tagged)], language.encode, language.ids, language.frame_rate)
    machine = language.machine()
    state = machine.new_state(entries)
    return _stream(language, utterance, machine, state, [(language.ids.bos, language.ids.pad)], utterance.spoken, 0)


def prefix_stream(
    language: Language, utterance: Utterance, parts: Sequence[int], tagged: Collection[int] = ()
) -> Stream:
    """The calls of a generation that clones the utterance's first turns and says the rest.

    Args:
        language: tokens and streams.
        utterance: what is said, the first turn by speaker 1.
        parts: of one or two speakers, how many entries they say in the prefix.
        tagged: see `plain_stream`; of the rest.
    """
    rate = language.frame_rate
    spoken: list[tuple[list[Entry], list[int]]] = []
    codes: list[Tensor] = []
    entry, frame = 0, 0
    for speaker, count in enumerate(parts, 1):
        words = utterance.spoken[entry : entry + count]
        following = entry + count
        ends = utterance.spoken[following].start if following < len(utterance.spoken) else utterance.end
        until = round(ends * rate)
        begin = frame / rate
        times = [Word(word.text, word.start - begin, word.end - begin) for word in words if word.text]
        spoken.append(words_to_entries(times, language.encode, speaker, rate))
        codes.append(utterance.codes[:, frame:until])
        entry, frame = entry + count, until
    plan = combine_voices(spoken, codes)
    rest = utterance.spoken[entry:]
    written = script_of(rest, [index - entry for index in tagged])
    script = parse_script([written], language.encode, language.ids, rate, after_prefix=True)
    machine = language.machine()
    state = machine.new_state([*plan.entries, *script])
    text = _forced_text(language, machine, state, plan)
    lost = len(plan.entries) - len(state.consumption_times)  # words that slipped are said by the main loop, at once
    late = [Spoken("-", 1, 0.0, 0.0)] * lost
    return _stream(language, utterance, machine, state, text, [*late, *rest], plan.aligned_frames)


def _forced_text(language: Language, machine: StateMachine, state: State, plan: PrefixPlan) -> list[tuple[int, int]]:
    """The machine's text in warm-up; item t is what call t sees, the last what the first call of the main loop sees."""
    ids, new_words = language.ids, set(plan.new_word_steps)
    text = [(ids.bos, ids.pad)]
    for step in range(plan.aligned_frames):
        emitted = machine.step(step, state, ids.new_word if step in new_words else ids.pad, forced=True)
        text.append((emitted.main, emitted.second))
    return text


def _stream(
    language: Language,
    utterance: Utterance,
    machine: StateMachine,
    state: State,
    text: list[tuple[int, int]],
    spoken: Sequence[Spoken],
    prefix: int,
) -> Stream:
    """Run the main loop of the machine, asking for each entry when it is heard, and put the codes beside it.

    Args:
        language: tokens and streams.
        utterance: gives codes and the end.
        machine: drives `state`.
        state: after warm-up, if there was one.
        text: what the calls so far saw, and what the next one sees.
        spoken: of the entries that are left.
        prefix: frames of the warm-up.
    """
    ids, delays = language.ids, language.config.data.delay_pattern
    onsets = [round(entry.start * language.frame_rate) + LAG for entry in spoken]
    onsets.append(round(utterance.end * language.frame_rate) + LAG)
    taken = len(state.consumption_times)
    step = max(0, prefix - 1)  # the frame that ends the warm-up is run again
    actions = [IGNORED] * prefix
    positions = list(range(prefix))
    grid = delay_frames(utterance.codes, delays, IGNORED)  # [K, T + max delay]
    while step + 1 < grid.shape[1] and (
        state.end_step is None or step <= state.end_step + max(delays) + MAX_PADDING - 1
    ):
        onset = onsets[len(state.consumption_times) - taken] if state.entries else onsets[-1]
        before = len(state.consumption_times), state.end_step
        wanted = ids.action_new_word if step >= onset else ids.action_pad
        emitted = machine.step(step, state, wanted)
        began = before != (len(state.consumption_times), state.end_step)
        actions.append(ids.action_new_word if began else ids.action_pad)
        positions.append(step)
        text.append((emitted.main, emitted.second))
        step += 1
    at = torch.tensor(positions)
    codes = grid[:, at + 1]  # [K, T]
    codes[:, :prefix] = IGNORED
    seen = torch.where(grid[:, at] == IGNORED, ids.audio_bos, grid[:, at])
    first = {round(utterance.spoken[i].start * language.frame_rate) for i in (0, *sentence_starts(utterance.spoken))}
    begun = [(round(s.start * language.frame_rate), s.speaker - 1) for s in utterance.spoken if s.speaker]
    frames, speakers = torch.tensor(begun).T.contiguous()
    speaker = speakers[(torch.bucketize(at + 1 - delays[0], frames, right=True) - 1).clamp(min=0)]
    calls = range(delays[0] - 1, _ONSET + max(delays) - 1)  # that draw codes of frames 0 … _ONSET - 1
    return Stream(
        tokens=torch.cat([torch.tensor(text[: len(at)]).T, seen]),
        positions=at,
        actions=torch.tensor(actions),
        codes=codes,
        emitted=torch.tensor(text[1 : len(at) + 1]).T,
        onset=torch.isin(at, torch.tensor([frame + call for frame in first for call in calls])),
        speaker=speaker,
        voice=1 - speaker if utterance.traded else speaker,
    )


def random_stream(
    language: Language, utterance: Utterance, rng: random.Random, prefix_share: float, shuffled_share: float = 0.0
) -> Stream:
    """A plain stream, or with probability `prefix_share` one that clones its first sentences, where there are enough.

    With probability `shuffled_share` the sentences are `shuffled` first. Whoever speaks first in a cloned stream
    becomes speaker 1, so in about half of those the voices trade tags: after a prefix the voice goes with the prefix,
    not with the tag. A tag may be repeated inside a turn: it does not say that the voice changes.
    """
    if rng.random() < shuffled_share:
        utterance = shuffled(utterance, rng, language.frame_rate)
    tagged = [start for start in sentence_starts(utterance.spoken) if rng.random() < _TAGGED]
    parts = prefix_parts(utterance.spoken, rng) if rng.random() < prefix_share else None
    if parts is None:
        return plain_stream(language, utterance, tagged)
    if utterance.spoken[0].speaker != 1:
        utterance = replace(utterance, spoken=swap_speakers(utterance.spoken), traded=True)
    return prefix_stream(language, utterance, parts, tagged)


def shuffled(utterance: Utterance, rng: random.Random, rate: float) -> Utterance:
    """The same sentences in another order, each with the silence after it; a recording is cut where they begin.

    In a dialogue every longer pause ends a turn, and the network then takes the pause, not the tag, for the sign of
    who speaks next. Here the same voice goes on, or the other begins, after every kind of pause.
    """
    spoken = utterance.spoken
    starts = [0, *sentence_starts(spoken), len(spoken)]
    frames = [*(round(spoken[i].start * rate) for i in starts[:-1]), round(utterance.end * rate)]
    order = rng.sample(range(len(starts) - 1), len(starts) - 1)
    words: list[Spoken] = []
    codes = [utterance.codes[:, : frames[0]]]
    at = frames[0]
    for piece in order:
        later = (at - frames[piece]) / rate
        words += [
            replace(s, start=s.start + later, end=s.end + later) for s in spoken[starts[piece] : starts[piece + 1]]
        ]
        codes.append(utterance.codes[:, frames[piece] : frames[piece + 1]])
        at += frames[piece + 1] - frames[piece]
    codes.append(utterance.codes[:, frames[-1] :])
    return replace(utterance, spoken=tuple(words), codes=torch.cat(codes, dim=1))


def prefix_parts(spoken: Sequence[Spoken], rng: random.Random) -> list[int] | None:
    """How many entries one or two speakers say in a prefix; `None` where nothing would be left to say.

    A prefix ends with a sentence, which may be inside a turn: the same voice then goes on as often as the other begins.
    """
    ends, turns = sentence_starts(spoken), turn_lengths(spoken)
    first, both = turns[0], sum(turns[:2])
    kinds = [
        [[end] for end in ends if end < first],  # the same speaker goes on
        [[end] for end in ends if end == first],
        [[first, end - first] for end in ends if first < end < both],
        [[first, end - first] for end in ends if first < end == both],
    ]
    there = [kind for kind in kinds if kind]
    return rng.choice(rng.choice(there)) if there else None
