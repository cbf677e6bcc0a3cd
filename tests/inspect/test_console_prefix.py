"""`dia2 trace prefix`, to the character."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from dia2 import PrefixConfig
from dia2.cli import main
from dia2.inspect import Dia2Trace
from dia2.inspect.views.console import prefix_facts, print_prefix

from ..support.reference import ROOT, Case, engine
from .test_console_trace import changed, recorded, shown


def test_at_80_columns() -> None:
    assert shown(print_prefix, 80) == AT_80


def test_at_160_columns() -> None:
    assert shown(print_prefix, 160) == AT_160


def test_colour_says_nothing_alone() -> None:
    text = shown(print_prefix, 80, colour=True)
    assert "\x1b[1;33m! word-swallowed" in text
    assert "\x1b[36mS1" in text


def test_the_facts() -> None:
    facts = prefix_facts(Dia2Trace.load(recorded()))
    assert (facts["frames"], facts["voice_frames"], facts["measured"]) == (33, [20, 13], True)
    assert [word["slip"] for word in facts["words"]] == [0, 0, 0, 7, 6]
    assert [(finding["kind"], finding["call"]) for finding in facts["findings"]] == [
        ("swallowed", 20),
        ("slipped", 27),
        ("leaked", 34),
        ("short", 0),
        ("short", 20),
    ]
    assert all(finding["advice"] for finding in facts["findings"])


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["trace", "prefix", str(recorded()), "--width", "80"]) == 0
    assert capsys.readouterr().out == AT_80
    assert main(["trace", "prefix", str(recorded()), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["findings"][2]["word"] == 4


def test_a_run_without_prefix(tmp_path: Path) -> None:
    engine("tiny8").generate("[S1] Hi.", seed=1, trace=tmp_path / "run.dia2trace")
    assert shown(print_prefix, 80, tmp_path / "run.dia2trace") == "run.dia2trace has no prefix: no voice was cloned.\n"


def kinds(path: Path) -> list[str]:
    return [finding["kind"] for finding in prefix_facts(Dia2Trace.load(path))["findings"]]


def with_sound(folder: Path, rms: np.ndarray, clipped: np.ndarray | None = None) -> Path:
    """The trace, as if its recordings, which it does not keep, had been so loud, and clipped in so many hundredths."""
    path = changed(folder, recordings=[])
    columns = load_file(path / "prefix.safetensors")
    columns |= {"rms": rms.astype(np.float32), "peak": (2 * rms).astype(np.float32)}
    columns["clipped"] = (np.zeros(33) if clipped is None else clipped).astype(np.float32)
    save_file(columns, path / "prefix.safetensors")
    return path


def test_a_silent_recording(tmp_path: Path) -> None:
    rms = np.r_[np.zeros(20), np.full(13, 0.1)]
    assert "silence" in kinds(with_sound(tmp_path, rms))
    assert "The recording of speaker 1 is silent" in shown(print_prefix, 80, tmp_path / "run.dia2trace")


def test_a_word_without_sound_and_a_long_silence_at_the_end(tmp_path: Path) -> None:
    rms = np.full(33, 0.1)
    rms[5:11] = 0  # around “there,”
    rms[25:33] = 0.001
    text = shown(print_prefix, 160, with_sound(tmp_path, rms))
    assert "There is no sound where “there,” should be (0.48 … 0.80 s)." in text
    assert "of silence." not in text  # less than a second
    (tmp_path / "more").mkdir()
    text = shown(
        print_prefix, 160, with_sound(tmp_path / "more", np.r_[np.full(7, 0.1), np.zeros(13), np.full(13, 0.1)])
    )
    assert "The recording of speaker 1 ends with 1.0 s of silence." in text


def test_words_that_are_pushed_back_by_those_before_them(tmp_path: Path) -> None:
    """Times as Whisper might give them for a word that it misheard as a long one."""
    said = [("Hello", 0.0), ("hello-there", 0.64), ("friend", 1.0), ("now", 1.3)]
    words = [{"text": text, "start": start} for text, start in said]
    config = Case("tiny8", "prefix1").config(prefix=PrefixConfig(ROOT / "tiny8" / "spk1.wav", words_1=words))
    engine("tiny8").generate("[S1] Hi.", config, trace=tmp_path / "run.dia2trace")
    trace = Dia2Trace.load(tmp_path / "run.dia2trace")
    finding, *others = trace.diagnose().findings
    assert "word-pushed" not in [other.kind for other in others]  # once for all that are pushed by one word
    pushed = trace.diagnose().words[2]
    late = pushed.step - (round(pushed.start * 12.5) - 1 + 3) if pushed.start else 0
    assert (finding.kind, finding.words, finding.call) == ("word-pushed", (2,), pushed.step)
    assert finding.text == (
        f"“friend” is asked for at step {pushed.step}, {late} frames ({late / 12.5:.2f} s) after its time: the words "
        "before it have more tokens than there are frames."
    )
    assert "pushed" not in kinds(recorded())


def test_a_clipped_recording(tmp_path: Path) -> None:
    clipped = np.zeros(33)
    clipped[[2, 3, 24]] = 4, 1, 5
    path = with_sound(tmp_path, np.full(33, 0.1), clipped)
    text = shown(print_prefix, 160, path)
    assert "The recording of speaker 1 is clipped in 10% of its frames, from 0.16 s on." in text
    assert "The recording of speaker 2 is clipped in 8% of its frames, from 0.32 s on." in text
    assert "sound     ▆▆!!▆" in text


def test_a_few_flat_tops_are_no_clipping(tmp_path: Path) -> None:
    clipped = np.zeros(33)
    clipped[[2, 3, 24]] = 3, 1, 4
    assert "clipping" not in kinds(with_sound(tmp_path, np.full(33, 0.1), clipped))


def test_a_trace_that_does_not_tell_of_clipping(tmp_path: Path) -> None:
    """Of an earlier dia2: its peaks alone say nothing."""
    path = with_sound(tmp_path, np.full(33, 0.6))  # peaks above 1
    columns = load_file(path / "prefix.safetensors")
    del columns["clipped"]
    save_file(columns, path / "prefix.safetensors")
    assert kinds(path)[:3] == ["swallowed", "slipped", "leaked"]
    assert "clipping" not in kinds(path)
    assert "!▇" not in shown(print_prefix, 80, path)


def test_words_that_stand_beside_their_sound(tmp_path: Path) -> None:
    said = np.zeros(20)
    for start, end in ((0.16, 0.40), (0.48, 0.80), (0.96, 1.44)):
        said[int(start * 12.5) : int(np.ceil(end * 12.5))] = 0.2
    late = np.r_[np.zeros(4), said[:-4]]  # the sound comes four frames after the words
    path = with_sound(tmp_path, np.r_[late, np.full(13, 0.1)])
    assert "The words of speaker 1 seem to stand 0.32 s before their sound." in shown(print_prefix, 160, path)
    (tmp_path / "right").mkdir()
    assert "drift" not in kinds(with_sound(tmp_path / "right", np.r_[said, np.full(13, 0.1)]))


def test_without_a_waveform_the_sound_is_not_judged(tmp_path: Path) -> None:
    path = with_sound(tmp_path, np.full(33, np.nan))
    text = shown(print_prefix, 80, path)
    assert "was not measured" in text
    assert "sound     ?????" in text
    assert kinds(path)[:3] == ["swallowed", "slipped", "leaked"]
    assert "clipping" not in kinds(path)


# Expected

AT_80 = """\
prefix of 33 frames (2.64 s): speaker 1 20 frames, speaker 2 13 frames

  #      word                    seconds  asked    taken    slip
  0  S1  Hello               0.16 … 0.40      4        4       0
  1  S1  there,              0.48 … 0.80     12       12       0
  2  S1  friend.             0.96 … 1.44     19       19       0
  3  S2  Good                0.08 … 0.32     20       27      +7  ! swallowed,
                                                                  slipped
  4  S2  morning             0.40 … 0.88     27     33 *      +6  ! leaked
  asked, taken: steps; slip: frames late; * taken after the prefix, in the main
  loop

frame by frame
frame     0         10        20        30
sound     ▇▇▆▆▇▇▇▆▇▇▇▆▇▇▇▆▇▇▇▆▇▇▆▆▇▇▇▆▇▇▇▆▇
words     ··000·1111··222222···333·444444··
asked     ····^·······^······^^······^·····
taken     ····^·······^······^x······^·····

  sound: −60 dB to full scale, ! clipped, ? unknown; words: last digit of the
  word's number; asked, taken: ^ a word begins, x one was asked for and none
  taken

findings: 5
  ! word-swallowed, call 20
    The boundary of “Good” at step 20 was swallowed: 6 tokens of “friend.” were
    still pending.
    → leave a pause before that word, at least one frame for each token still
    pending: for a second speaker's first word, append silence to the first
    recording
  ! word-slipped, call 27
    “Good” slipped: taken at step 27, 7 frames (0.56 s) late.
    → fix the swallowed boundary before it
  ! word-leaked, call 34
    “morning” leaks into the generation: the machine took it at call 34, in the
    main loop, so the model is asked to speak it.
    → fix the swallowed boundaries before it, or leave the last words out of the
    word list and the recording
  ! prefix-short, calls 0 … 19
    The recording of speaker 1 is short: it has 1.1 s of speech.
    → give a longer recording: five to ten seconds
  ! prefix-short, calls 20 … 32
    The recording of speaker 2 is short: it has 0.7 s of speech.
    → give a longer recording: five to ten seconds
"""

AT_160 = """\
prefix of 33 frames (2.64 s): speaker 1 20 frames, speaker 2 13 frames

  #      word                    seconds  asked    taken    slip
  0  S1  Hello               0.16 … 0.40      4        4       0
  1  S1  there,              0.48 … 0.80     12       12       0
  2  S1  friend.             0.96 … 1.44     19       19       0
  3  S2  Good                0.08 … 0.32     20       27      +7  ! swallowed, slipped
  4  S2  morning             0.40 … 0.88     27     33 *      +6  ! leaked
  asked, taken: steps; slip: frames late; * taken after the prefix, in the main loop

frame by frame
frame     0         10        20        30
sound     ▇▇▆▆▇▇▇▆▇▇▇▆▇▇▇▆▇▇▇▆▇▇▆▆▇▇▇▆▇▇▇▆▇
words     ··000·1111··222222···333·444444··
asked     ····^·······^······^^······^·····
taken     ····^·······^······^x······^·····

  sound: −60 dB to full scale, ! clipped, ? unknown; words: last digit of the word's number; asked, taken: ^ a word begins, x one was asked for and none taken

findings: 5
  ! word-swallowed, call 20
    The boundary of “Good” at step 20 was swallowed: 6 tokens of “friend.” were still pending.
    → leave a pause before that word, at least one frame for each token still pending: for a second speaker's first word, append silence to the first recording
  ! word-slipped, call 27
    “Good” slipped: taken at step 27, 7 frames (0.56 s) late.
    → fix the swallowed boundary before it
  ! word-leaked, call 34
    “morning” leaks into the generation: the machine took it at call 34, in the main loop, so the model is asked to speak it.
    → fix the swallowed boundaries before it, or leave the last words out of the word list and the recording
  ! prefix-short, calls 0 … 19
    The recording of speaker 1 is short: it has 1.1 s of speech.
    → give a longer recording: five to ten seconds
  ! prefix-short, calls 20 … 32
    The recording of speaker 2 is short: it has 0.7 s of speech.
    → give a longer recording: five to ten seconds
"""  # noqa: E501
