"""`dia2 trace frames --call`, to the character."""

import re
from pathlib import Path

import pytest

from dia2 import Dia2
from dia2.common.errors import TraceError
from dia2.inspect import Dia2Trace
from dia2.inspect.schema.draw import BEST
from dia2.inspect.views.console import frame_facts, print_frame

from ..support.reference import local_files
from .test_console_trace import changed, manifest, recorded, shown


def frame(call: int, width: int) -> str:
    """The view without wall times and without the decimals of logits, which differ between processors."""
    text = shown(lambda trace, console: print_frame(trace, console, call, times=False), width)
    return re.sub(r"(\d)\.\d\d(?!\d)", r"\1.··", text)


def test_at_80_columns() -> None:
    assert frame(57, 80) == AT_80


def test_at_160_columns_where_the_prefix_s_last_frame_is_decoded_again() -> None:
    assert frame(33, 160) == AT_160


def test_a_call_of_warm_up_at_80_columns() -> None:
    assert frame(32, 80) == WARM_UP_AT_80


def test_decimals_and_wall_times_are_the_trace_s() -> None:
    kept = Dia2Trace.load(recorded()).frame(57)
    text = shown(lambda trace, console: print_frame(trace, console, 57), 160)
    for draw in kept.draws:
        chosen = next(part for part in draw.candidates if part.token == draw.choice)
        assert f" {chosen.cond:.2f}" in text
        assert f" {chosen.guided:.2f}" in text
    assert kept.seconds is not None
    assert f"depformer {kept.seconds.second * 1e3:.1f} ms" in text


def test_the_facts_have_every_candidate_and_the_rank_of_the_choice() -> None:
    facts, kept = frame_facts(Dia2Trace.load(recorded()), 57), Dia2Trace.load(recorded()).frame(57)
    assert [draw["name"] for draw in facts["draws"]] == [draw.name for draw in kept.draws]
    for told, draw in zip(facts["draws"], kept.draws, strict=True):
        assert [part["id"] for part in told["candidates"]] == [part.token for part in draw.candidates]
        assert told["choice"] == draw.choice
        better = [part for part in draw.candidates if part.cond > draw.candidates[(told["rank"] or BEST) - 1].cond]
        assert told["rank"] == len(better) + 1
    assert [row["call"] for row in facts["streams"]] == list(range(51, 64))
    assert facts["seen"] == kept.audio
    assert facts["codes"] == kept.codes
    assert facts["before"]["next"] == ["It's", "a", "test", "one", "two.", "Really?"]
    assert facts["after"]["next"][-1] is None  # a break


def test_the_first_and_the_last_call_have_a_window_cut_short() -> None:
    trace = Dia2Trace.load(recorded())
    assert [row["call"] for row in frame_facts(trace, 0)["streams"]] == list(range(7))
    assert [row["call"] for row in frame_facts(trace, 116)["streams"]] == list(range(110, 117))
    assert frame_facts(trace, 0)["seen_text"][0] == {"id": trace.model.tokens.bos, "name": "bos"}
    with pytest.raises(TraceError, match="no call 117"):
        frame_facts(trace, 117)


def test_a_trace_without_draws_says_why(tmp_path: Path) -> None:
    path = tmp_path / "run.dia2trace"
    tts = Dia2.from_local(**local_files("tiny8"), device="cpu")
    from dia2.inspect import record

    with record(path, level="tokens"):
        tts.generate("[S1] Hi.", seed=1)
    text = shown(lambda trace, console: print_frame(trace, console, 3), 80, path)
    assert "  a trace of level tokens keeps no draws: record with --trace-level topk.\n" in text
    assert "codebook      seen     drawn\n" in text
    assert "with probability" not in text
    assert "decoded twice" not in text


def test_the_edits_of_a_call_are_told(tmp_path: Path) -> None:
    edit = {"kind": "ChangeSampling", "call": 57, "cfg_scale": 3}
    path = changed(tmp_path, run=manifest()["run"] | {"edits": [edit]})
    text = shown(lambda trace, console: print_frame(trace, console, 57), 80, path)
    assert "edit  from call 57 on: cfg_scale = 3\n" in text
    assert "after guidance (cfg 3)" in text


# Expected

AT_80 = """\
call 57 · main loop · step 56 · rotary position 56 · KV slot 57

state machine
                  before                          after
  padding budget  0                               6
  forced padding  0                               4
  entries left    8                               7
  next entries    It's · a · test · one · two. ·  a · test · one · two. ·
                  Really? · 2 more                Really? · (break) · 1 more
  pending         empty                           It's 2–4/4
  lookahead       empty                           test 1–4/4
  end step        none yet                        same

text streams: what each call emitted
    call  step action    main                      second
      51    50 new_word! S1 Dia2! 2/5 #82          S1 a 1/1 #74
      52    51 pad       S1 Dia2! 3/5 #74          pad
      53    52 new_word! S1 Dia2! 4/5 #27          pad
      54    53 pad       S1 Dia2! 5/5 #10          pad
      55    54 pad       pad                       pad
      56    55 pad       pad                       pad
 ▶    57    56 new_word  S1 It's 1/4 #50           new_word
      58    57 new_word! S1 It's 2/4 #93           S1 test 1/4 #93
      59    58 new_word! S1 It's 3/4 #16           S1 test 2/4 #78
      60    59 pad       S1 It's 4/4 #92           S1 test 3/4 #92
      61    60 new_word! pad                       S1 test 4/4 #93
      62    61 new_word  S1 a 1/1 #74              new_word
      63    62 pad       pad                       S1 one 1/3 #88
  the transformer saw main pad and second pad

action
  new_word was drawn with probability 1.0000. The machine takes It's.
    candidate       cond     guided  guidance
 ▶  new_word        0.··      -8.··  kept
    pad            -4.··      -7.··  kept

codes
  cb0: the best of its candidates before and after guidance (cfg 2)
    candidate       cond     guided  guidance
 ▶  39             28.··      29.··  kept
    16             27.··      39.··  kept
    29             24.··      40.··  kept
    24             23.··      40.··  kept
    63             21.··      30.··  kept
    58             20.··      10.··  kept

  codebook      seen     drawn         p      rank      cond    guided
  cb0             47        39    1.0000         1     28.··     29.··
  cb1             21        48    1.0000         1     39.··     46.··
  cb2             33         8    1.0000         1     41.··     94.··
  cb3             33        58    1.0000         1     34.··     73.··
  cb4              9        62    1.0000         1     39.··     77.··
  cb5             45        27    1.0000         1     40.··     88.··
  cb6             57        42    1.0000         1     43.··     76.··
  cb7             34        35    1.0000         1     44.··     72.··
  rank: place of the choice by conditional logit; guidance decides which may be
  drawn, cond how likely.

caches and times
  filled KV slots  transformer 58, depformer 7
"""

AT_160 = """\
call 33 · main loop · step 32 · rotary position 32 · KV slot 33
= step 32 is decoded twice: by call 32 in warm-up and by call 33 in the main loop

state machine
                  before                                            after
  padding budget  1                                                 0
  forced padding  1                                                 0
  entries left    11                                                same
  next entries    morning · Hello · Dia2! · It's · a · test · 5     same
                  more
  pending         empty                                             same
  lookahead       Hello 6–7/7                                       Hello 7/7
  end step        none yet                                          same

text streams: what each call emitted
    call  step action    main                           second
      27    27 new_word  S2 Good 1/6 #4                 new_word
      28    28 pad       S2 Good 2/6 #230               S1 Hello 1/7 #3
      29    29 pad       S2 Good 3/6 #48                S1 Hello 2/7 #230
      30    30 pad       S2 Good 4/6 #88                S1 Hello 3/7 #49
      31    31 pad       S2 Good 5/6 #88                S1 Hello 4/7 #78
      32    32 pad       S2 Good 6/6 #77                S1 Hello 5/7 #85
 ▶    33    32 new_word! pad                            S1 Hello 6/7 #85
      34    33 new_word  S2 morning 1/7 #86             new_word
      35    34 pad       S2 morning 2/7 #88             S1 Hello 7/7 #88
      36    35 pad       S2 morning 3/7 #91             S1 Dia2! 1/5 #45
      37    36 new_word! S2 morning 4/7 #87             S1 Dia2! 2/5 #82
      38    37 pad       S2 morning 5/7 #82             S1 Dia2! 3/5 #74
      39    38 pad       S2 morning 6/7 #87             S1 Dia2! 4/5 #27
  the transformer saw main S2 Good 6/6 #77 and second S1 Hello 5/7 #85

action
  new_word was drawn with probability 1.0000; the machine overruled it, because forced padding was running. The machine takes no word.
    candidate       cond     guided  guidance
 ▶  new_word       11.··      54.··  kept
    pad           -22.··     -37.··  kept

codes
  cb0: the best of its candidates before and after guidance (cfg 2)
    candidate       cond     guided  guidance
 ▶  36             42.··      82.··  kept
    15             35.··      68.··  kept
    48             30.··      83.··  kept
    33             28.··      55.··  kept
    61             24.··      57.··  kept
    20             23.··      64.··  kept

  codebook      seen     drawn         p      rank      cond    guided
  cb0              9        36    1.0000         1     42.··     82.··
  cb1              4        31    1.0000         1     46.··     43.··
  cb2             56        20    1.0000         1     38.··     62.··
  cb3             33        30    1.0000         1     48.··     92.··
  cb4             10        38    1.0000         1     34.··     67.··
  cb5             50        59    1.0000         1     40.··     96.··
  cb6             35        36    1.0000         1     40.··     52.··
  cb7             62         8    1.0000         1     63.··    140.··
  rank: place of the choice by conditional logit; guidance decides which may be drawn, cond how likely.

caches and times
  filled KV slots  transformer 34, depformer 7
"""  # noqa: E501

WARM_UP_AT_80 = """\
call 32 · warm-up · step 32 · rotary position 32 · KV slot 32
= step 32 is decoded twice: by call 32 in warm-up and by call 33 in the main
  loop

state machine
                  before                          after
  padding budget  2                               1
  forced padding  2                               1
  entries left    11                              same
  next entries    morning · Hello · Dia2! · It's  same
                  · a · test · 5 more
  pending         Good 6/6                        empty
  lookahead       Hello 5–7/7                     Hello 6–7/7
  end step        none yet                        same

text streams: what each call emitted
    call  step action    main                      second
      26    26 pad       pad                       S2 morning 7/7 #80
      27    27 new_word  S2 Good 1/6 #4            new_word
      28    28 pad       S2 Good 2/6 #230          S1 Hello 1/7 #3
      29    29 pad       S2 Good 3/6 #48           S1 Hello 2/7 #230
      30    30 pad       S2 Good 4/6 #88           S1 Hello 3/7 #49
      31    31 pad       S2 Good 5/6 #88           S1 Hello 4/7 #78
 ▶    32    32 pad       S2 Good 6/6 #77           S1 Hello 5/7 #85
      33    32 new_word! pad                       S1 Hello 6/7 #85
      34    33 new_word  S2 morning 1/7 #86        new_word
      35    34 pad       S2 morning 2/7 #88        S1 Hello 7/7 #88
      36    35 pad       S2 morning 3/7 #91        S1 Dia2! 1/5 #45
      37    36 new_word! S2 morning 4/7 #87        S1 Dia2! 2/5 #82
      38    37 pad       S2 morning 5/7 #82        S1 Dia2! 3/5 #74
  the transformer saw main S2 Good 5/6 #88 and second S1 Hello 4/7 #78

action
  pad was given by the prefix. The machine takes no word.

codes
  a warm-up call draws nothing: actions and codes are the prefix's.
  codebook      seen     drawn
  cb0              9         –
  cb1              4         –
  cb2             56         –
  cb3             33         –
  cb4             10         –
  cb5             50         –
  cb6             35         –
  cb7             62         –

caches and times
  filled KV slots  transformer 33, depformer not run
  wall times       none of its own: warm-up is one pass
"""
