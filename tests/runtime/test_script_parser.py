"""Scripts become entries: words, tags, breaks, whole and in pieces, and what is refused."""

import json
import re
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from dia2.common.errors import UsageError
from dia2.generation import MAX_SCRIPT_CHARS, normalize_script
from dia2.runtime.script_parser import MAX_BREAK_SECONDS, ScriptParser, check_script, parse_script, refuse_controls
from dia2.runtime.state_machine import Entry, TokenIds

from ..support.reference import Case, cases

SPK1, SPK2 = 1, 2  # no character of a script has such a small code
IDS = TokenIds(
    new_word=9001, pad=9000, bos=9002, zero=9003, spk1=SPK1, spk2=SPK2,
    action_new_word=1, action_pad=0, audio_pad=65, audio_bos=64,
)  # fmt: skip
RATE = 12.5


def encode(text: str) -> list[int]:
    """One token per character and one per tag, so that `spell` can undo it."""
    tagged = text.replace("[S1]", chr(SPK1)).replace("[S2]", chr(SPK2))
    return [ord(char) for char in tagged]


def encode_some(text: str) -> list[int]:
    """As a tokenizer that drops what it does not know."""
    return encode(text.replace("¤", ""))


def spell(entry: Entry) -> str:
    """`[S1] word` with the tags that are among the tokens; a break is its number of frames in pointed brackets."""
    if not entry.tokens:
        return f"<{entry.padding}>"
    return "".join({SPK1: "[S1]", SPK2: "[S2]"}.get(token, chr(token)) for token in entry.tokens)


def parsed(script: str, *, after_prefix: bool = False) -> list[str]:
    return [spell(entry) for entry in parse_script([script], encode, IDS, RATE, after_prefix=after_prefix)]


def fed(pieces: list[str], *, after_prefix: bool = False) -> list[Entry]:
    parser = ScriptParser(encode, IDS, RATE, after_prefix=after_prefix)
    return [entry for piece in pieces for entry in parser.feed(piece)] + parser.close()


def cut(text: str, points: list[int]) -> list[str]:
    bounds = [0, *sorted(point % (len(text) + 1) for point in points), len(text)]
    return [text[start:end] for start, end in pairwise(bounds)]


@pytest.mark.parametrize("case", cases())
def test_entries_are_those_of_the_published_runtime(case: Case) -> None:
    published = case.expected
    tokenizer = Tokenizer.from_file(str(case.folder / "tokenizer" / "tokenizer.json"))
    prefix_words = sum(
        bool(word["text"].strip())
        for name in published["words"] or []
        for word in json.loads((case.folder / name).read_text())
    )
    spk1, spk2 = tokenizer.token_to_id("[S1]"), tokenizer.token_to_id("[S2]")
    assert spk1 is not None
    assert spk2 is not None

    entries = parse_script(
        [normalize_script(published["script"])],
        lambda text: tokenizer.encode(text, add_special_tokens=False).ids,
        replace(IDS, spk1=spk1, spk2=spk2),
        RATE,
        after_prefix=published["words"] is not None,
    )

    assert [[entry.text, entry.tokens, entry.padding] for entry in entries] == published["entries"][prefix_words:]


# Pieces of scripts, many of them on the edge between a tag, a break and a word.
FRAGMENTS = [
    "Hello", "a", "b.", "’", ":", " ", " ", "\n", "[S1]", "[S2]", "[S1] ", "[S", "[", "]", "1]", "[S3]", "[s1]", "<",
    ">", "<b", "<break", '<break time="0.4s"/>', '<break time="1s" >', '<break\ttime="0.04s"/>', '"', 'time="2s"',
    " time=", "/>", '<break time="-1s"/>', "\u2028", "é", "\u200b", "\u200d", "م", "\u200c", "\U0001f469", "\ufe0f",
]  # fmt: skip
scripts = st.lists(st.sampled_from(FRAGMENTS), max_size=12).map("".join) | st.text(
    '[S12]<break time="0.4s"/>’:\n', max_size=40
)
cuts = st.lists(st.integers(0, 500), max_size=8)


@given(script=scripts, points=cuts, after_prefix=st.booleans())
@example(script='Hi<break time="0.4s" />there[S2]you', points=list(range(1, 40)), after_prefix=False)
@example(script="[S1]a[S2]b", points=list(range(1, 10)), after_prefix=False)
@example(script='<break time="1s"/>' + "x" * 300 + " on", points=[318], after_prefix=False)
@settings(max_examples=250, deadline=None)
def test_pieces_give_the_entries_of_the_whole_script(script: str, points: list[int], after_prefix: bool) -> None:
    try:
        whole = parse_script([script], encode, IDS, RATE, after_prefix=after_prefix)
    except UsageError:
        with pytest.raises(UsageError):
            fed(cut(script, points), after_prefix=after_prefix)
    else:
        assert fed(cut(script, points), after_prefix=after_prefix) == whole


@pytest.mark.parametrize("script", [f'<break{" " * 300}time="1s"/>', f'<break time="0.4{"0" * 300}s"/>'])
def test_a_very_long_break_is_the_same_in_pieces_and_whole(script: str) -> None:
    def outcome(pieces: list[str]) -> list[Entry] | None:
        try:
            return fed(pieces)
        except UsageError:
            return None

    assert outcome([script, " on"]) == outcome([script + " on"]) == outcome([*script, " on"])


@pytest.mark.parametrize("cut_up", [False, True])
def test_a_break_tag_has_200_characters_at_most(cut_up: bool) -> None:
    longest = f'<break{" " * 183}time="1s"/>'
    assert len(longest) == 200
    assert [spell(entry) for entry in fed([*longest] if cut_up else [longest])] == ["<12>"]
    longer = longest.replace("time", " time")
    with pytest.raises(UsageError, match="is malformed"):
        fed([*longer] if cut_up else [longer])


words = st.text("abz.,!?'é語[]<>S1-", min_size=1, max_size=8).filter(lambda word: not re.search(r"\[S\d*\]", word))
breaks = st.integers(0, 40).map(lambda hundredths: f'<break time="{hundredths / 100:.2f}s"/>')
items = st.lists(st.one_of(words, st.sampled_from(["[S1]", "[S2]"]), breaks), max_size=15)


@given(items)
@settings(max_examples=150, deadline=None)
def test_a_script_is_its_items_in_order(items: list[str]) -> None:
    expected: list[Entry] = []
    tag, speaker = "", 0
    for item in items:
        if item in ("[S1]", "[S2]"):
            tag = item
        elif item.startswith("<break time"):
            frames = round(float(item[13:17]) * RATE)
            expected += [Entry([], "", frames)] if frames else []
        else:
            untagged_start = not tag and not speaker
            tokens = [SPK1] * untagged_start + encode(f"{tag} {item}" if tag else item)
            speaker = int(tag[2]) if tag else speaker or 1
            expected.append(Entry(tokens, item, len(tokens), speaker))
            tag = ""
    assert parse_script([" ".join(items)], encode, IDS, RATE) == expected


def test_an_entry_tells_word_padding_and_speaker() -> None:
    entries = parse_script(["[S2] Well, [S1] no. Yes"], encode, IDS, RATE)
    assert [(entry.text, entry.padding, entry.speaker) for entry in entries] == [
        ("Well,", 7, 2),  # [S2], the space, and five characters
        ("no.", 5, 1),
        ("Yes", 3, 1),
    ]
    assert [len(entry.tokens) for entry in entries] == [7, 5, 3]


def test_a_break_has_no_word_no_tokens_and_no_speaker() -> None:
    assert parse_script(['<break time="1s"/>'], encode, IDS, RATE) == [Entry([], "", 12, 0)]


def test_only_the_first_word_after_a_tag_is_encoded_with_it() -> None:
    assert parsed("[S1] one two [S2] three four") == ["[S1] one", "two", "[S2] three", "four"]


def test_tags_glued_to_words_are_split_off() -> None:
    assert parsed("[S1]one[S2]two") == ["[S1] one", "[S2] two"]


def test_of_two_tags_in_a_row_the_last_wins() -> None:
    assert parsed("[S1] [S2] one [S2][S1]two") == ["[S2] one", "[S1] two"]


def test_a_break_between_tag_and_word_keeps_the_tag() -> None:
    assert parsed('[S2] <break time="0.4s"/> one') == ["<5>", "[S2] one"]


def test_breaks_may_touch_words_tags_and_one_another() -> None:
    script = '[S1]one<break time="0.4s"/>two<break time="0.8s"/><break time="1.2s"/>[S2]<break time="0.4s"/>three'
    assert parsed(script) == ["[S1] one", "<5>", "two", "<10>", "<15>", "<5>", "[S2] three"]


@pytest.mark.parametrize(
    "tag",
    [
        '<break time="0.4s"/>', '<break time="0.4s" />', '<break time="0.4s">', '<break time="0.4s"  >',
        '<break  time="0.4s"/>', '<break\ntime="0.4s"\t/>', '<break time="0.40s"/>', '<break time="00.4s"/>',
    ],
)  # fmt: skip
def test_space_and_slash_of_a_break_may_vary(tag: str) -> None:
    assert parsed(f"[S1] one {tag} two") == ["[S1] one", "<5>", "two"]


@pytest.mark.parametrize(
    ("seconds", "frames"),
    [("0.12", 2), ("0.2", 2), ("0.28", 4), ("0.36", 4), ("0.44", 6), ("0.6", 8), ("1", 12), ("1.0", 12), ("1.08", 14)],
)
def test_breaks_round_half_to_even_frames(seconds: str, frames: int) -> None:
    assert parsed(f'<break time="{seconds}s"/>') == [f"<{frames}>"]


@pytest.mark.parametrize("seconds", ["0", "0.0", "0.03", "0.04"])
def test_a_break_that_rounds_to_no_frame_vanishes(seconds: str) -> None:
    assert parsed(f'[S1] one<break time="{seconds}s"/>two') == ["[S1] one", "two"]


def test_typographic_apostrophes_become_straight_and_colons_spaces() -> None:
    assert parsed("[S1] It’s: one:two ::") == ["[S1] It's", "one", "two"]


@pytest.mark.parametrize("space", ["\t", "\r\n", "\v\f", "\u00a0", "\u2003", "\u2028", "\u3000"])
def test_words_are_split_at_any_white_space(space: str) -> None:
    assert parsed(f"[S1] one{space}two") == ["[S1] one", "two"]


@pytest.mark.parametrize("script", ["one two", '<break time="0.4s"/> one two', "\n one two"])
@pytest.mark.parametrize("after_prefix", [False, True])
def test_an_untagged_first_word_gets_speaker_1s_token_once(script: str, after_prefix: bool) -> None:
    entries = parse_script([script], encode, IDS, RATE, after_prefix=after_prefix)
    assert [spell(entry) for entry in entries if entry.tokens] == ["[S1]one", "two"]
    assert [entry.padding for entry in entries if entry.tokens] == [4, 3]  # the inserted token counts
    assert [entry.speaker for entry in entries if entry.tokens] == [1, 1]


def test_a_first_word_of_speaker_2_gets_no_other_tag() -> None:
    assert parsed("[S2] one two") == ["[S2] one", "two"]


def test_after_a_prefix_a_first_word_of_speaker_2_follows_speaker_1s_token_as_published() -> None:
    assert parsed("[S2] one [S2] two", after_prefix=True) == ["[S1][S2] one", "[S2] two"]
    entry = parse_script(["[S2] one"], encode, IDS, RATE, after_prefix=True)[0]
    assert (entry.speaker, entry.padding) == (2, 6)


def test_after_a_prefix_a_first_word_of_speaker_1_gets_one_tag() -> None:
    assert parsed("[S1] one", after_prefix=True) == ["[S1] one"]


def test_a_trailing_tag_says_nothing() -> None:
    assert parsed("[S1] one [S2]") == ["[S1] one"]


@pytest.mark.parametrize("script", ["", " \n\t ", "[S1]", "[S2] [S1]"])
def test_a_script_without_words_has_no_entries(script: str) -> None:
    assert parsed(script) == []


def test_lines_are_joined_with_newlines() -> None:
    assert parse_script(["[S1] one", "two"], encode, IDS, RATE) == parse_script(["[S1] one two"], encode, IDS, RATE)


def test_a_word_comes_out_as_soon_as_it_is_known_to_be_whole() -> None:
    parser = ScriptParser(encode, IDS, RATE)
    said = [
        [spell(entry) for entry in parser.feed(piece)]
        for piece in ("[S1] o", "ne", " ", "two <break", " ", 'time="1s"/>')
    ]
    assert said == [[], [], ["[S1] one"], ["two"], [], []]
    assert [spell(entry) for entry in parser.close()] == ["<12>"]
    assert parser.close() == []


def test_a_break_in_pieces_does_not_hold_back_the_word_before_it() -> None:
    parser = ScriptParser(encode, IDS, RATE)
    assert [spell(entry) for entry in parser.feed("[S1] one<break ")] == ["[S1] one"]


def test_a_long_word_may_touch_the_break_before_it() -> None:
    assert parsed('[S1] one<break time="1s"/>' + "x" * 300) == ["[S1] one", "<12>", "x" * 300]


def test_words_that_encode_to_nothing_are_skipped() -> None:
    entries = parse_script(["¤ one ¤¤ two¤ ¤"], encode_some, IDS, RATE)
    assert [(spell(entry), entry.text) for entry in entries] == [("[S1]one", "one"), ("two", "two¤")]


def test_a_tag_waits_for_a_word_that_encodes_to_something() -> None:
    entries = parse_script(["[S2] ¤ one"], encode_some, IDS, RATE)
    assert [(spell(entry), entry.text) for entry in entries] == [("[S2] one", "one")]


def refused(script: str) -> str:
    with pytest.raises(UsageError) as error:
        parse_script([script], encode, IDS, RATE)
    message = str(error.value)
    assert "\n" not in message
    assert len(message) < 250
    return message


@pytest.mark.parametrize("tag", ["[S3]", "[S0]", "[S12]", "[S]", "[s1]", "[s2]", "[S01]"])
@pytest.mark.parametrize("script", ["{} one", "one{}two", "[S1] one {}"])
def test_an_unknown_tag_is_refused_by_name(tag: str, script: str) -> None:
    assert refused(script.format(tag)) == f"Unknown speaker tag {tag} in the script: use [S1] or [S2]."


@pytest.mark.parametrize("word", ["[S1", "S1]", "[T1]", "[]", "[laughs]", "(S1)", "[S 1]", "[Sx]"])
def test_what_only_resembles_a_tag_is_a_word(word: str) -> None:
    assert " ".join(parsed(f"[S1] one {word}")) == f"[S1] one {word}"


@pytest.mark.parametrize(
    "tag",
    [
        '<break time="-0.4s"/>', '<break time="+0.4s"/>', '<break time="0.4"/>', '<break time="400ms"/>',
        "<break time='0.4s'/>", "<break time=“0.4s”/>", "<break time=0.4s/>", '<break time=".4s"/>',
        '<break time="4.s"/>', '<break time="1e1s"/>', '<break time="٣s"/>', '<break time=""/>', "<break/>",
        "<break>", "<breakfast>", '<Break time="0.4s"/>', '<BREAK time="0.4s"/>', '<breaktime="0.4s"/>',
        '<break strength="weak"/>', '<break time="0.4s" x/>', '<break time="nans"/>', '<break time="infs"/>',
        '<break time="1,5s"/>',
    ],
)  # fmt: skip
@pytest.mark.parametrize("script", ["[S1] one {} two", "[S1] one{}two", "{}"])
def test_a_malformed_break_is_refused_by_name(tag: str, script: str) -> None:
    message = refused(script.format(tag))
    assert message == f'Break {tag!r} is malformed: write <break time="0.4s"/>, seconds without sign.'


@pytest.mark.parametrize(
    "script", ['one <break time="0.4s"', "one <break", 'one <break time="0.4s" two three', "<break "]
)
def test_an_unclosed_break_is_refused(script: str) -> None:
    assert refused(script).startswith("Break '<break")


def test_a_malformed_break_of_many_characters_is_shortened_in_the_message() -> None:
    message = refused(f"<break {'x' * 1000}>")
    assert message.startswith(f"Break '<break {'x' * 33}…' is malformed")


def test_a_break_that_is_never_closed_does_not_hold_back_a_stream_for_ever() -> None:
    with pytest.raises(UsageError, match="is malformed"):
        fed(["<break ", *["and so on "] * 100, "/> on"])


def test_the_longest_break_is_two_minutes() -> None:
    assert parsed(f'<break time="{MAX_BREAK_SECONDS:g}s"/>') == ["<1500>"]
    assert refused('<break time="120.1s"/>') == "Break '<break time=\"120.1s\"/>' is too long: at most 120 seconds."


def test_a_break_of_astronomical_length_is_refused() -> None:
    assert "is too long: at most 120 seconds." in refused(f'<break time="{"9" * 150}s"/>')


@pytest.mark.parametrize("control", ["\0", "\x1b", "\x7f", "\x08", "\x85", "\x9b", "\x1c", "\ud800"])
def test_control_characters_are_refused_by_code_and_place(control: str) -> None:
    message = f"The script has the control character U+{ord(control):04X} at position 8: remove it."
    assert refused(f"[S1] one{control}two") == message


def test_control_characters_are_refused_in_a_later_piece_too() -> None:
    parser = ScriptParser(encode, IDS, RATE)
    parser.feed("[S1] one ")
    with pytest.raises(UsageError, match=r"control character U\+001B"):
        parser.feed("tw\x1bo")


@given(st.text(st.characters(max_codepoint=0x2FF, exclude_categories=()), max_size=30))
def test_text_passes_unless_it_has_a_control_character(text: str) -> None:
    allowed = "\t\n\v\f\r"
    control = any((ord(char) < 32 or 127 <= ord(char) < 160) and char not in allowed for char in text)
    if control:
        with pytest.raises(UsageError, match=r"^Here has the control character"):
            refuse_controls(text, "Here")
    else:
        refuse_controls(text, "Here")


UNSEEN = "\ufeff\u200b\u2060\u00ad\u200e\u200f\u202a\u202e\u2066\u2069\u200c\u200d"


@pytest.mark.parametrize("mark", UNSEEN)
@pytest.mark.parametrize("script", ['[S1] Hello there. <break time="0.4s"/> [S2] Hi!', "Hello", "[S2]one[S1]two"])
def test_a_character_that_nobody_sees_changes_nothing_wherever_it_stands(mark: str, script: str) -> None:
    for at in range(len(script) + 1):
        assert parsed(script[:at] + mark + script[at:]) == parsed(script)
        pieces = [script[:at], mark, script[at:]]
        assert [spell(entry) for entry in fed(pieces)] == parsed(script)
    assert parsed(mark.join(script)) == parsed(script)


def test_joiners_that_do_something_stay_in_their_word() -> None:
    assert parsed("[S1] می\u200cخواهم \u200d \U0001f469\u200d\U0001f469\u200c") == [
        "[S1] می\u200cخواهم",
        "\U0001f469\u200d\U0001f469",
    ]
    assert [spell(entry) for entry in fed(["[S1] می\u200c", "خواهم", "\u200c", " on"])] == ["[S1] می\u200cخواهم", "on"]


def test_a_script_of_nothing_to_see_has_no_words() -> None:
    assert parsed("[S1] \u200b\u2060 \ufeff") == parsed("\ufeff") == parsed("\u200d" * 5000) == []
    with pytest.raises(UsageError, match="The script has no words"):
        check_script("[S1] \u200b\u2060 \ufeff")


def test_a_word_does_not_wait_for_what_follows_a_joiner() -> None:
    parser = ScriptParser(encode, IDS, RATE)
    assert parser.feed("[S1] one\u200d") == []
    assert [spell(entry) for entry in parser.feed(" ")] == ["[S1] one"]


def test_the_longest_script_is_100000_characters() -> None:
    script = "word " * (MAX_SCRIPT_CHARS // 5)
    assert len(parsed(script)) == 20_000
    assert refused(script + ".") == (
        "The script has more than 100,000 characters: split it and generate the parts one by one."
    )


def test_a_stream_may_be_longer_than_any_script_but_not_hold_back_so_much() -> None:
    parser = ScriptParser(encode, IDS, RATE)
    assert sum(len(parser.feed("one two " * 10_000)) for _ in range(3)) == 60_000
    parser.feed("x" * 2000)
    with pytest.raises(UsageError, match=r"a word of more than 2,000 characters \('x+'…\): put spaces into it"):
        parser.feed("x")
    with pytest.raises(UsageError, match=r"a word of more than 2,000 characters"):
        parse_script(["one " + "x" * 2001 + " two"], encode, IDS, RATE)
