"""From recordings to utterances: kept by content, split by sound, doubtful ones set aside, all of it told."""

from __future__ import annotations

import html
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from torch import Tensor

from dia2.common.errors import UsageError
from dia2.engine import Dia2
from dia2.runtime.context import RuntimeContext
from dia2.runtime.words import Word
from training.prepare import main
from training.recordings import preparing
from training.recordings.kept import Ingredients
from training.recordings.preparing import Preparation, PreparedRecordings, judge_recordings, prepare, with_breaks
from training.recordings.split import split
from training.recordings.timing import Listener
from training.spoken import Spoken

from ..support.browser import launched, needs_chromium
from ..support.whisper_checkpoint import write_tiny_whisper
from .test_layouts import tone


@pytest.fixture(scope="module")
def runtime() -> RuntimeContext:
    return Dia2.nano(device="cpu").runtime


@dataclass
class Ears:
    """Stands for Whisper: hears what it is told, and counts."""

    says: str = "Hello there."
    whisper: str = "Ears"
    asked: int = 0
    at: Callable[[int], None] = lambda _: None

    def hear(self, samples: Tensor, name: str) -> tuple[tuple[Word, ...], str]:
        self.asked += 1
        self.at(self.asked)
        return tuple(Word(text, 0.1 + 0.3 * i, 0.3 + 0.3 * i) for i, text in enumerate(self.says.split())), "en"

    def place(self, samples: Tensor, texts: Sequence[str], heard: Sequence[Word], language: str) -> list[list[Word]]:
        step = len(samples) / 16_000 / len(texts)
        return [[Word(text, i * step, (i + 1) * step)] for i, text in enumerate(texts)]


@pytest.fixture
def ears(monkeypatch: pytest.MonkeyPatch) -> Ears:
    found = Ears()
    monkeypatch.setattr(preparing, "Listener", lambda *_: found)
    return found


def made(runtime: RuntimeContext, root: Path, **options: object) -> PreparedRecordings:
    preparation = replace(Preparation(root / "in", root / "out", "tiny.en"), **options)  # type: ignore[arg-type]  # a test's
    return prepare(runtime, judge_recordings(preparation))


def said(prepared: PreparedRecordings) -> list[str]:
    utterances = [*prepared.seen, *prepared.unseen]
    return sorted(" ".join(word.text for word in one.spoken if word.text) for one in utterances)


def test_what_is_kept_goes_by_content(
    runtime: RuntimeContext, ears: Ears, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A corrected transcript, another sound, and names that come to one are all seen; what is the same is kept."""
    tone(tmp_path / "in/a/b.wav", 200)
    tone(tmp_path / "in/a_b.wav", 300)
    for name in ("a/b", "a_b"):
        (tmp_path / f"in/{name}.txt").write_text("Hello there.")
    first = made(runtime, tmp_path)
    assert ears.asked == 2
    assert "preparing 2 recordings, 0 are there: 2 (new: a/b.wav …)" in capsys.readouterr().out
    codes = [one.codes for one in (*first.seen, *first.unseen)]
    assert not torch.equal(*codes)

    assert said(made(runtime, tmp_path)) == ["Hello there."] * 2
    assert ears.asked == 2
    assert "all 2 recordings are prepared already" in capsys.readouterr().out

    (tmp_path / "in/a_b.txt").write_text("[S2] Hello, you there.")
    assert said(made(runtime, tmp_path)) == ["Hello there.", "Hello, you there."]
    assert "preparing 1 recording, 1 are there: 1 (another transcript: a_b.wav)" in capsys.readouterr().out

    tone(tmp_path / "in/a/b.wav", 400)
    made(runtime, tmp_path)
    assert "1 (another sound: a/b.wav)" in capsys.readouterr().out

    made(runtime, tmp_path, whisper="base")
    assert "2 (another whisper: a/b.wav …)" in capsys.readouterr().out
    made(runtime, tmp_path, whisper="base", language="English")
    assert "2 (another language: a/b.wav …)" in capsys.readouterr().out
    (tmp_path / "in/a/b.wav").rename(tmp_path / "in/renamed.wav")
    (tmp_path / "in/a/b.txt").rename(tmp_path / "in/renamed.txt")
    asked = ears.asked
    made(runtime, tmp_path, whisper="base", language="en")
    assert ears.asked == asked
    for path in (tmp_path / "out/data").glob("*.safetensors"):
        path.write_bytes(path.read_bytes()[:100])  # as a disk that failed would leave it
    made(runtime, tmp_path, whisper="base", language="en")
    assert "2 (its file was lost: a_b.wav …)" in capsys.readouterr().out


def test_another_codec_makes_all_anew(
    runtime: RuntimeContext,
    ears: Ears,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    tone(tmp_path / "in/a.wav")
    (tmp_path / "in/a.json").write_text('[{"text": "Hi", "start": 0.1, "end": 0.4}]')
    made(runtime, tmp_path)
    monkeypatch.setattr(type(runtime.mimi), "fingerprint", lambda _: "another")
    made(runtime, tmp_path, whisper="base")  # which nobody asks here
    assert "1 (another codec: a.wav)" in capsys.readouterr().out
    assert ears.asked == 0


def test_every_ingredient_tells() -> None:
    one = Ingredients("a", "b", "c", "d", "e")
    others = [replace(one, version=2)]
    others += [
        Ingredients(**{**vars(one), name: "x"}) for name in ("sound", "transcript", "codec", "whisper", "language")
    ]
    assert len({one.key(), *(other.key() for other in others)}) == 7
    assert [other.changed(vars(one)) for other in others][1:] == [
        ["sound"], ["transcript"], ["codec"], ["whisper"], ["language"]
    ]  # fmt: skip


def test_ctrl_c_keeps_what_is_done(
    runtime: RuntimeContext, ears: Ears, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for i in range(3):
        tone(tmp_path / f"in/{i}.wav", 200 + 50 * i)

    def stop(asked: int) -> None:
        if asked == 3:
            raise KeyboardInterrupt

    ears.at = stop
    with pytest.raises(KeyboardInterrupt):
        made(runtime, tmp_path)
    capsys.readouterr()
    made(runtime, tmp_path)
    assert ears.asked == 4
    assert "preparing 1 recording, 2 are there: 1 (new: 2.wav)" in capsys.readouterr().out


def test_doubtful_transcripts_are_set_aside_and_shown(
    runtime: RuntimeContext, ears: Ears, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    transcripts = {
        "good": "Hello there.",
        "other": "Quite another text.",
        "fast": "a b c d e f g h i j k l Hello there.",
        "mark": "<b onmouseover='x'>Hello</b> you",
    }
    for i, (name, text) in enumerate(transcripts.items()):
        tone(tmp_path / f"in/{name}.wav", 200 + 50 * i, 2.0)
        (tmp_path / f"in/{name}.txt").write_text(text)
    prepared = made(runtime, tmp_path, held_back=0)
    assert said(prepared) == ["Hello there."]
    doubts = {one.judged.clip.name: one.doubts for one in prepared.summary.ready if one.doubts}
    assert doubts["other.wav"] == ("it and what Whisper heard share 0% of their words",)
    assert doubts["fast.wav"] == (
        "it and what Whisper heard share 14% of their words",
        "7.0 words a second, and nobody speaks more than 6",
    )
    out = capsys.readouterr().out
    assert "set aside as doubtful   │ 3" in out
    assert "none: there will be no validation" in out
    page = (tmp_path / "out/report.html").read_text()
    assert page.count("<audio") == 3
    assert "<b onmouseover" not in page
    assert html.escape("<b onmouseover='x'>Hello</b> you") in page
    assert said(made(runtime, tmp_path, least_matched=0, held_back=0)) == sorted(
        text for name, text in transcripts.items() if name != "fast"
    )
    assert said(made(runtime, tmp_path, keep_doubtful=True, held_back=0)) == sorted(transcripts.values())
    assert "doubtful, and learnt from │ 3" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "advice"),
    [("Завтра вечером мы поедем в деревню", "tokenizer takes more tokens"), ("Other words", "another --whisper")],
)
def test_where_nothing_is_left_the_error_says_what_to_do(
    text: str, advice: str, runtime: RuntimeContext, ears: Ears, tmp_path: Path
) -> None:
    tone(tmp_path / "in/a.wav")
    (tmp_path / "in/a.txt").write_text(text)
    with pytest.raises(UsageError, match=advice):
        made(runtime, tmp_path)


def test_what_whisper_hears_nothing_in_is_a_fault(
    runtime: RuntimeContext, ears: Ears, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for i in range(2):
        tone(tmp_path / f"in/{i}.wav", 200 + 50 * i)

    def deaf(asked: int) -> None:
        ears.says = "" if asked % 2 else "Hello there."

    ears.at = deaf
    with pytest.raises(UsageError, match="1 recording could not be prepared"):
        made(runtime, tmp_path)
    assert "hears no words in it: is it speech?" in capsys.readouterr().err.replace("\n", " ").replace("│", "")
    ears.asked = 0
    assert said(made(runtime, tmp_path, skip_bad=True)) == ["Hello there."]


def test_held_back_sounds_stay_so_when_files_come_and_go() -> None:
    old = [f"sound {i}" for i in range(300)]
    sides = split(old, 0.1, {})
    assert 15 < sum(sides.values()) < 45
    more = [f"added {i}" for i in range(300)] + old[50:][::-1]
    again = split(more, 0.1, sides)
    assert all(again[sound] == sides[sound] for sound in old[50:])
    assert split(more, 0.1, {}).items() >= {sound: sides[sound] for sound in old[50:]}.items()  # in another folder too
    assert all(split(old, 0.9, sides)[sound] == side for sound, side in sides.items())


@pytest.mark.parametrize("share", [0.001, 0.1, 0.999])
@pytest.mark.parametrize("count", [2, 3, 10])
def test_few_sounds_have_both_sides(count: int, share: float) -> None:
    sides = split([f"s{i}" for i in range(count)], share, {})
    assert set(sides.values()) == {True, False}
    assert split(["other", *sides], share, sides).items() >= sides.items()
    assert not any(split(list(sides), 0, {}).values())
    assert len(split(["one"], share, {})) == 1


def test_one_sound_is_never_on_both_sides(runtime: RuntimeContext, ears: Ears, tmp_path: Path) -> None:
    """Copies of a held-back recording, under other names and in other formats, are not learnt from."""
    for i in range(4):
        tone(tmp_path / f"in/{i}.wav", 200 + 50 * i)
    before = made(runtime, tmp_path, held_back=0.3)
    for i in range(4):
        samples, rate = soundfile.read(tmp_path / f"in/{i}.wav", dtype="int16")
        soundfile.write(tmp_path / f"in/aaa{i}.flac", samples, rate)
    after = made(runtime, tmp_path, held_back=0.3)
    for side in ("seen", "unseen"):
        one, other = ([u.codes.tolist() for u in getattr(of, side)] for of in (before, after))
        assert sorted(one) == sorted(other)


def test_a_table_goes_through_the_command(tmp_path: Path, ears: Ears, capsys: pytest.CaptureFixture[str]) -> None:
    tone(tmp_path / "in/wavs/a.wav")
    (tmp_path / "in/metadata.csv").write_text("a|Hello there.|")
    command = [str(tmp_path / "in"), str(tmp_path / "out"), "--whisper", "tiny.en", "--device", "cpu"]
    assert main([*command, "--held-back", "0"]) == 0
    assert "1 recording in" in capsys.readouterr().out
    assert len(json.loads((tmp_path / "out/data/split.json").read_text())) == 1

    def stop(_: int) -> None:
        raise KeyboardInterrupt

    ears.at = stop
    (tmp_path / "in/metadata.csv").write_text("a|Hello.|")
    assert main(command) == 130
    assert "what was prepared is kept" in capsys.readouterr().err


def test_whisper_itself_reads_along(tmp_path: Path) -> None:
    """The whole of Whisper, with a tiny checkpoint: words that it does not hear have times too."""
    listener = Listener(str(write_tiny_whisper(tmp_path / "tiny.pt")), "ru", torch.device("cpu"))
    samples = torch.from_numpy(np.random.default_rng(0).normal(0, 0.1, 16_000 * 2).astype(np.float32))
    heard, language = listener.hear(samples, "a")
    assert ([word.text for word in heard], language) == (["Hello", "there,", "friend."], "ru")
    for text in ("Привет, мой друг!", "今天 天气很好。 a"):
        placed = listener.place(samples, text.split(), heard, language)
        assert len(placed) == len(text.split())
        words = [word for words in placed for word in words]
        assert "".join(word.text for word in words) == "".join(text.split())
        assert all(0 <= a.start < a.end <= b.start + 1e-6 for a, b in pairwise(words))
        assert words[-1].end <= 2.0 + 1e-6
    assert len(listener.place(samples, ["今天天气很好。"], heard, language)[0]) > 2


@pytest.mark.slow
def test_a_long_recording_is_read_in_parts(tmp_path: Path) -> None:
    listener = Listener(str(write_tiny_whisper(tmp_path / "tiny.pt")), "en", torch.device("cpu"))
    samples = torch.from_numpy(np.random.default_rng(0).normal(0, 0.1, 16_000 * 50).astype(np.float32))
    heard = [Word("one", 5.0, 14.0), Word("two", 14.2, 23.0), Word("three", 27.0, 36.0), Word("four", 36.2, 46.0)]
    placed = listener.place(samples, ["one", "two", "three", "four"], heard, "en")
    starts = [words[0].start for words in placed]
    assert starts == sorted(starts)
    assert starts[1] < 25 <= starts[2]  # the second part begins in the pause before it


def test_a_folder_that_cannot_be_is_said_before_anything_is_done(
    runtime: RuntimeContext, ears: Ears, tmp_path: Path
) -> None:
    tone(tmp_path / "in/a.wav")
    (tmp_path / "out").write_text("")
    with pytest.raises(UsageError, match="out/data cannot be made"):
        made(runtime, tmp_path)
    assert ears.asked == 0


def test_long_pauses_become_breaks() -> None:
    spoken = [Spoken("a", 1, 0.0, 0.4), Spoken("b", 1, 0.6, 1.0), Spoken("c", 2, 2.2, 2.5)]
    assert with_breaks(spoken) == [*spoken[:2], Spoken("", 0, 1.2, 2.2), spoken[2]]


@pytest.mark.slow
@needs_chromium
def test_the_page_plays_without_a_network(runtime: RuntimeContext, ears: Ears, tmp_path: Path) -> None:
    for i, text in enumerate(
        ("Hello there.", "Other words, that nobody says.", "<script>document.title = 'x'</script> hm")
    ):
        tone(tmp_path / f"in/{i}.wav", 200 + 50 * i, 2.0)
        (tmp_path / f"in/{i}.txt").write_text(text)
    made(runtime, tmp_path, held_back=0)
    with launched() as browser:
        page = browser.new_context(offline=True).new_page()
        told: list[str] = []
        page.on("console", lambda message: told.append(message.text))
        page.goto((tmp_path / "out/report.html").as_uri())
        assert page.title() == "Recordings"
        play = "async player => { player.muted = true; await player.play(); return player.duration }"
        players = f"Promise.all([...document.querySelectorAll('audio')].map({play}))"
        assert page.evaluate(players) == pytest.approx([2.0, 2.0], abs=0.1)
        assert told == []
