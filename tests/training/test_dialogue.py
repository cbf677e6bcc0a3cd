"""Training scripts are drawn from a grammar: its words, its splits, its reader's refusals."""

import random
import re
from collections import Counter
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest

from dia2.runtime.script_parser import check_script
from training.dialogue import (
    GRAMMAR,
    SPLITS,
    START,
    Dialogue,
    Grammar,
    Turn,
    draw_dialogue,
    load_grammar,
    split_of,
    words,
)


@cache
def grammar() -> Grammar:
    return load_grammar()


@cache
def drawn() -> list[str]:
    rng = random.Random(5)
    return [grammar().sentence(rng) for _ in range(30_000)]


def written(folder: Path, text: str) -> Path:
    path = folder / "grammar.txt"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_vocabulary_has_thousands_of_words() -> None:
    assert 1_000 <= len(load_grammar(GRAMMAR).vocabulary()) <= 1_200
    vocabulary = grammar().vocabulary()
    assert 6_000 <= len(vocabulary) <= 7_000
    assert list(vocabulary) == sorted(set(vocabulary))
    assert {"hello", "i'm", "don't", "ninety", "monday", "blue", "station"} <= set(vocabulary)


def test_every_word_is_drawn_and_none_besides() -> None:
    narrow, rng = load_grammar(GRAMMAR), random.Random(5)
    counts = Counter(word for _ in range(30_000) for word in words(narrow.sentence(rng)))
    assert set(counts) == set(narrow.vocabulary())
    assert min(counts.values()) / counts.total() > 1 / 30_000
    wide = Counter(word for sentence in drawn() for word in words(sentence))
    assert set(wide) <= {*grammar().vocabulary(), "an"}
    assert len(wide) > 0.98 * len(grammar().vocabulary())


def test_every_rule_is_used() -> None:
    used = {START}.union(*(rule.references() for rule in grammar().rules.values()))
    assert used == set(grammar().rules)


def test_every_question_has_an_answer_and_back() -> None:
    rules = grammar().rules
    questions = {name.removeprefix("question_") for name in rules if name.startswith("question_")}
    answers = {name.removeprefix("answer_") for name in rules if name.startswith("answer_")}
    assert questions == answers


def test_sentences_are_well_formed() -> None:
    for sentence in drawn():
        assert re.fullmatch(r"[A-Z][A-Za-z']*(?:,? [A-Za-z']+|\. [A-Z][a-z']+)*[.?!]", sentence), sentence
        assert not re.search(r"\ba [aeio]|\ban [^aeiouh]|\b(\w+) \1\b", sentence.lower()), sentence
        assert not re.search(r"\bi\b|\bi'", sentence), sentence
        assert len(words(sentence)) <= 18, sentence


@pytest.mark.parametrize(
    ("word", "article"),
    [
        ("apple", "an"), ("hour", "an"), ("honest", "an"), ("heir", "an"), ("uncle", "an"), ("unnamed", "an"),
        ("unimportant", "an"), ("user", "a"), ("unit", "a"), ("uniform", "a"), ("one", "a"),
        ("euro", "a"), ("house", "a"), ("utensil", "a"),
    ],
)  # fmt: skip
def test_an_article_agrees_with_its_word(tmp_path: Path, word: str, article: str) -> None:
    found = load_grammar(written(tmp_path, f"sentence:\n  {{say}}\nsay:\n  it is a {{what}}.\nwhat:\n  {word}\n"))
    assert found.sentence(random.Random(0)) == f"It is {article} {word}."


def test_a_rule_of_two_files_has_the_alternatives_of_both(tmp_path: Path) -> None:
    one = written(tmp_path, "sentence:\n  {say}\nsay:\n  hi.\n")
    two = tmp_path / "more.txt"
    two.write_text("say:\n  3* ho {name}.\nname:\n  Anna\n")
    counts = Counter(load_grammar(one, two).sentence(random.Random(seed)) for seed in range(400))
    assert set(counts) == {"Hi.", "Ho Anna."}
    assert counts["Ho Anna."] == pytest.approx(300, abs=40)
    two.write_text("say:\n  ho {nobody}.\n")
    with pytest.raises(ValueError, match=re.escape(f"{two}, line 2: there is no rule nobody")):
        load_grammar(one, two)


def test_sentences_vary() -> None:
    assert len(set(drawn())) > 0.75 * len(drawn())
    assert 4.5 < sum(len(words(sentence)) for sentence in drawn()) / len(drawn()) < 8


def test_a_split_is_a_matter_of_words_alone() -> None:
    assert split_of("Really?") == split_of("really.")
    shares = Counter(split_of(sentence) for sentence in set(drawn()))
    assert shares["train"] / shares.total() == pytest.approx(0.94, abs=0.01)
    assert shares["validation"] / shares.total() == pytest.approx(0.02, abs=0.005)
    assert shares["test"] / shares.total() == pytest.approx(0.04, abs=0.005)


def test_words_keep_their_apostrophes() -> None:
    assert words("Where's the red car? Here, isn't it!") == ["where's", "the", "red", "car", "here", "isn't", "it"]


@pytest.mark.parametrize("split", SPLITS)
def test_dialogues_keep_to_their_split_and_parse(split: str) -> None:
    rng = random.Random(7)
    for _ in range(20):
        dialogue = draw_dialogue(grammar(), rng, split)
        assert 1 <= len(dialogue.turns) <= 6
        assert len(dialogue.breaks) == len(dialogue.turns)
        assert {split_of(sentence) for turn in dialogue.turns for sentence in turn.sentences} == {split}
        assert all(1 <= len(turn.sentences) <= 3 for turn in dialogue.turns)
        assert all({turn.speaker, after.speaker} == {1, 2} for turn, after in pairwise(dialogue.turns))
        check_script(dialogue.script())


def test_dialogues_differ_in_speaker_length_and_breaks() -> None:
    rng = random.Random(3)
    dialogues = [draw_dialogue(grammar(), rng, "train") for _ in range(300)]
    assert {dialogue.turns[0].speaker for dialogue in dialogues} == {1, 2}
    assert {len(dialogue.turns) for dialogue in dialogues} == {1, 2, 3, 4, 5, 6}
    breaks = [pause for dialogue in dialogues for pause in dialogue.breaks[:-1]]
    assert set(breaks) == {0.0, 0.4, 0.6, 0.8, 1.0}
    assert sum(map(bool, breaks)) / len(breaks) == pytest.approx(0.15, abs=0.05)


def test_the_same_seed_gives_the_same_dialogue() -> None:
    def draw(seed: int) -> Dialogue:
        return draw_dialogue(grammar(), random.Random(seed), "train", turns=(3, 5))

    assert draw(11) == draw(11)
    assert draw(11) != draw(12)
    assert 3 <= len(draw(11).turns) <= 5


def test_a_script_has_tags_and_breaks() -> None:
    dialogue = Dialogue((Turn(1, ("Hello there.", "How are you?")), Turn(2, ("Fine, thanks.",))), (0.4, 0.0))
    assert dialogue.script() == '[S1] Hello there. How are you? <break time="0.4s"/> [S2] Fine, thanks.'


def test_weights_comments_nothing_and_lists(tmp_path: Path) -> None:
    rules = "# head\nsentence:\n  {say}\n\nsay:  # what\n  9* go {now}.\n  I stay {now}, {now}.\nnow:\n  _ | now\n"
    path = written(tmp_path, rules)
    rng = random.Random(1)
    counts = Counter(load_grammar(path).sentence(rng) for _ in range(1_000))
    assert {"Go.", "Go now.", "I stay now, now."} <= set(counts)
    assert counts["Go."] + counts["Go now."] == pytest.approx(900, abs=40)


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("sentence:\n  {say}\nsay:\n  hi {who}.\n", 4, "there is no rule who: define it"),
        ("sentence:\n  {say}\nsay:\n  hi.\nmore:\n  so.\n", 5, "unknown rule more: nothing uses it"),
        ("sentence:\n  {say}\nsay:\n", 3, "rule say is empty"),
        ("sentence:\n  {say}\nsay:\n  hi |  | ho.\n", 4, "an empty alternative: write _"),
        ("sentence:\n  {say}\nsay:\n  hi {more}.\nmore:\n  and {say}\n", 3, "rule say never ends"),
        ("sentence:\n  {say}\nsay:\n  0* hi.\n", 4, "weight 0"),
        ("sentence:\n  {say}\nsay:\n  hi.\nsay:\n  ho.\n", 5, "stands already in line 3"),
        ("sentence:\n  {say}\nsay:\n  at 3.\n", 4, "'3' in 'at 3.'"),
        ("sentence:\n  {say}\nsay:\n  {who}'s.\nwho:\n  he\n", 4, "makes words of pieces"),
        ("sentence:\n  {say}\nsay\n  hi.\n", 3, "'say' is no rule's name"),
        ("  hi.\n", 1, "before the first rule"),
        ("say:\n  hi.\n", 1, "there is no rule sentence"),
        ("sentence:\n  Hi {say}\nsay:\n  hi.\n", 1, "takes only lone rules"),
    ],
)
def test_malformed_grammars_are_refused(tmp_path: Path, text: str, line: int, message: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ValueError, match=re.escape(f"{path}, line {line}: ")) as caught:
        load_grammar(path)
    assert message in str(caught.value)


def test_a_cycle_that_can_end_is_fine(tmp_path: Path) -> None:
    path = written(tmp_path, "sentence:\n  {say}\nsay:\n  very {say}\n  3* good.\n")
    assert load_grammar(path).sentence(random.Random(0)).endswith("ood.")


def test_unknown_splits_ranges_and_rules_are_refused(tmp_path: Path) -> None:
    rng = random.Random(0)
    with pytest.raises(ValueError, match="no split 'dev': use one of train"):
        draw_dialogue(grammar(), rng, "dev")
    with pytest.raises(ValueError, match="can't have 0 to 2 turns"):
        draw_dialogue(grammar(), rng, "train", turns=(0, 2))
    with pytest.raises(ValueError, match="no rule 'nonsense'"):
        grammar().draw("nonsense", rng)
    small = load_grammar(written(tmp_path, "sentence:\n  {say}\nsay:\n  hi.\n"))
    with pytest.raises(ValueError, match="none for test: the grammar needs more"):
        draw_dialogue(small, rng, next(split for split in ("test",) if split != split_of("hi")))
