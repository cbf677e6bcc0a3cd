"""What the corpus says, and from where."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from dia2.common.errors import Dia2Error
from dia2.runtime.script_parser import check_script
from training import wordlists
from training.dialogue import SPLITS, load_grammar, split_of, words
from training.texts import JUDGED, OPEN, SHARES, draw_sentence, draw_text, judge_scripts

from ..support.speech import has_texts

GLOSSES = (
    '00000001 18 n 02 Ada_Nobody 0 Curie 0 000 | a physicist; "she won the prize twice"',
    '00000002 05 n 01 heron 0 000 | a bird; "herons wade"; "a heron (or two) flew"; "two herons stood in the reeds"',
    '00000003 06 n 01 slurword 0 000 | (offensive) a slur; "nobody says that word here"',
    '00000004 06 n 02 wader(p) 0 Oslo 0 000 | boots; "do you wear waders?"; "it cost 5 dollars"; "he e.g. ran home"',
)


NAMES = [f"{a}{b}{c}" for a in "BDGKLMNRST" for b in "aeiou" for c in ("ben", "dor", "lin", "mar")]


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A WordNet and a list of common words of a few lines; every word of three letters besides."""
    for part in ("noun", "verb", "adj", "adv"):
        named = f"00000005 15 n {len(NAMES):x} {' 0 '.join(NAMES)} 0 000 | places"
        lines = ("  1 a licence", *GLOSSES, named) if part == "noun" else ()
        (tmp_path / f"data.{part}").write_text("\n".join(lines) + "\n")
    made = [a + b + c for a in "bdfgklmnprst" for b in "aeiou" for c in "bdgkmnpt"]
    (tmp_path / "common").write_text("\n".join(["Anna's", "walk", "walked", "x", *made]) + "\n")
    monkeypatch.setattr(wordlists, "WORDNET", tmp_path)
    monkeypatch.setattr(wordlists, "COMMON", tmp_path / "common")
    _forget()
    yield tmp_path
    _forget()


def _forget() -> None:
    for cached in (wordlists.examples, wordlists.words, wordlists.names, wordlists._synsets):
        cached.cache_clear()


def test_wordnet_gives_plain_sentences_words_and_names(sources: Path) -> None:
    assert wordlists.examples() == (
        "She won the prize twice.",
        "Two herons stood in the reeds.",
        "Do you wear waders?",
    )
    assert {"heron", "wader", "walk", "walked", "bad"} <= set(wordlists.words())
    assert not {"slurword", "x", "Anna's", "Oslo", "oslo", "anna"} & set(wordlists.words())
    assert wordlists.names() == tuple(sorted([*NAMES, "Curie"]))


def test_missing_sources_name_their_package(sources: Path) -> None:
    (sources / "common").unlink()
    with pytest.raises(Dia2Error) as caught:
        wordlists.words()
    wanted = "cannot be read (No such file or directory): install Debian's package"
    assert str(caught.value) == f"{sources / 'common'} {wanted} wamerican-small."
    (sources / "data.verb").unlink()
    _forget()
    with pytest.raises(Dia2Error) as caught:
        wordlists.examples()
    assert str(caught.value) == f"{sources / 'data.verb'} {wanted} wordnet-base."


def test_a_damaged_source_is_named(sources: Path) -> None:
    (sources / "data.adj").write_text("  the licence\n00000006 00 a zz big 0 000 | large\n")
    with pytest.raises(Dia2Error) as caught:
        wordlists.names()
    assert str(caught.value) == f"{sources / 'data.adj'}, line 2 is not WordNet's: reinstall Debian's wordnet-base."


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("kind", ["grammar", "open", "words"])
def test_a_sentence_is_of_its_split_and_plain(sources: Path, kind: str, split: str) -> None:
    rng = random.Random(4)
    for _ in range(8):
        sentence = draw_sentence(kind, rng, split)
        assert split_of(sentence) == split
        assert re.fullmatch(r"[A-Z][A-Za-z',. -]*[.?!]", sentence), sentence
        assert sentence.isascii()


def test_random_words_are_of_their_split(sources: Path) -> None:
    """What the judge hears as rare no list of training holds."""
    frame = {"the", "a", "of", "and", "or", "is", "it", "with", "not", "but"}
    for split in ("train", "test"):
        rng = random.Random(2)
        said = {word for _ in range(60) for word in words(draw_sentence("words", rng, split))}
        assert len(said) > 10
        assert {split_of(word) for word in said - frame} == {split}


def test_the_judges_scripts_are_the_same_every_time_and_unseen(sources: Path) -> None:
    for kind in ("grammar", "open"):
        scripts = judge_scripts(kind, 4)
        assert [d.script() for d in scripts] == [d.script() for d in judge_scripts(kind, 4)]
        assert [d.script() for d in judge_scripts(kind, 6)][:4] == [d.script() for d in scripts]
        for dialogue in scripts:
            assert {split_of(s) for turn in dialogue.turns for s in turn.sentences} == {"test"}
            assert len(dialogue.turns) == 2
            check_script(dialogue.script())


def test_every_kind_is_drawn_and_its_share_adds_up() -> None:
    assert sum(SHARES.values()) == pytest.approx(1)
    assert 0.33 <= SHARES["words"] <= 0.5
    assert set(JUDGED) < set(SHARES)


def test_open_text_stands_for_itself() -> None:
    grammar = load_grammar(OPEN)
    rng = random.Random(1)
    sentences = [grammar.sentence(rng) for _ in range(3_000)]
    for sentence in sentences:
        assert re.fullmatch(r"[A-Z][A-Za-z', ]*[.?!]", sentence), sentence
        assert len(words(sentence)) <= 24, sentence
    assert any(re.search(r"\b[A-Z] [A-Z] [A-Z]\b", sentence) for sentence in sentences)
    assert any("nineteen" in sentence for sentence in sentences)
    assert len({word for sentence in sentences for word in words(sentence)}) > 500


@pytest.mark.skipif(not has_texts(), reason="WordNet or wamerican-small is not installed")
def test_real_sources_give_texts_of_every_kind() -> None:
    _forget()
    assert len(wordlists.examples()) > 25_000
    assert len(wordlists.words()) > 40_000
    rng = random.Random(6)
    for kind in SHARES:
        dialogue = draw_text(rng, "validation", {kind: 1.0})
        check_script(dialogue.script())
        assert {split_of(s) for turn in dialogue.turns for s in turn.sentences} == {"validation"}
    ordinary = judge_scripts("ordinary", 5)
    assert all(s in wordlists.examples() for d in ordinary for turn in d.turns for s in turn.sentences)
