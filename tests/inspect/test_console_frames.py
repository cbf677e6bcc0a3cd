"""`dia2 trace frames`, to the character."""

from pathlib import Path

import pytest

from dia2.adapter.machine import labels
from dia2.common.errors import UsageError
from dia2.inspect import Dia2Trace
from dia2.inspect.views.console import choose_calls, frames_facts, print_frames

from .test_console_trace import changed, manifest, recorded, shown


def test_at_80_columns_with_the_frame_that_is_decoded_twice() -> None:
    assert shown(lambda trace, console: print_frames(trace, console, 30, 44, times=False), 80) == AT_80


def test_at_160_columns_with_a_break_and_the_end() -> None:
    assert shown(lambda trace, console: print_frames(trace, console, 91, 108, times=False), 160) == AT_160


def test_wall_times_end_the_lines_of_the_main_loop() -> None:
    lines = shown(lambda trace, console: print_frames(trace, console, 30, 36), 80).splitlines()
    seconds = Dia2Trace.load(recorded()).times[33:37, 3]
    assert lines[0].endswith("cb0    ms")
    assert [line.split()[-1] for line in lines[4:8]] == [f"{second * 1e3:.1f}" for second in seconds]


def test_the_calls_to_show() -> None:
    trace = Dia2Trace.load(recorded())
    assert choose_calls(trace) == (0, 23)
    assert choose_calls(trace, 100) == (100, 116)
    assert choose_calls(trace, 5, 7) == (5, 7)
    assert choose_calls(trace, last=3) == (0, 3)
    assert choose_calls(trace, word="fine") == (94, 116)
    assert choose_calls(trace, last=99, word="Fine.") == (94, 99)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"first": 117}, "There is no call 117"),
        ({"first": -1}, "There is no call -1"),
        ({"first": 5, "last": 4}, "Calls 5 to 4 do not exist"),
        ({"word": "nope"}, r"took the word 'nope'\.$"),
        ({"word": "realy"}, r"took the word 'realy': did you mean 'Really\?'\?$"),
        ({"word": "HELO"}, r"took the word 'HELO': did you mean 'Hello'\?$"),
        ({"word": "…"}, r"took the word '…'\.$"),
        ({"first": 3, "word": "Fine."}, "not both"),
    ],
)
def test_calls_that_are_not_there_are_told(given: dict[str, int], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        choose_calls(Dia2Trace.load(recorded()), **given)  # type: ignore[arg-type]  # the word is a string


def test_a_word_that_the_run_did_not_reach_is_told_as_such(tmp_path: Path) -> None:
    path = changed(
        tmp_path, run=manifest()["run"] | {"entries": [*manifest()["run"]["entries"], ["Later!", [5], 0, 1]]}
    )
    with pytest.raises(UsageError, match=r"took the word 'later': it is in the script, and the run ended before it\.$"):
        choose_calls(Dia2Trace.load(path), word="later")


def test_the_facts_are_the_trace_s_own() -> None:
    trace = Dia2Trace.load(recorded())
    calls = frames_facts(trace, 0, 116)["calls"]
    assert [call["call"] for call in calls] == list(range(117))
    assert [call["step"] for call in calls] == trace.steps.tolist()
    assert [call["call"] for call in calls if call["twice"]] == [32, 33]
    assert [call["main"]["id"] for call in calls] == trace.main.tolist()
    assert [call["second"]["id"] for call in calls] == trace.second.tolist()
    assert [call["codes"] for call in calls] == [None] * 33 + trace.codes[33:].tolist()
    taken = [(call["action"]["word"], call["call"]) for call in calls if call["action"]["word"] is not None]
    assert taken == [(word.text, word.call) for word in trace.words]
    assert [call["call"] for call in calls if call["action"]["outcome"] == "break"] == [93]


def test_every_text_token_but_pad_and_new_word_belongs_to_a_word() -> None:
    trace = Dia2Trace.load(recorded())
    ids = trace.model.tokens
    spoken: list[int] = []
    ahead: list[int] = []
    for call, parts in enumerate(labels(trace, len(trace), queues=range(len(trace)))):
        row = trace.machine_at(call)
        assert (parts.main is None) == (row.main in (ids.pad, ids.new_word))
        assert (parts.second is None) == (row.second in (ids.pad, ids.new_word))
        assert [part.token for part in parts.pending] == row.pending
        assert [part.token for part in parts.lookahead] == row.lookahead
        spoken += [parts.main.token] if parts.main else []
        ahead += [parts.second.token] if parts.second else []
    assert spoken == [token for word in trace.words for token in word.tokens]
    assert ahead == [token for word in trace.words[2:] for token in word.tokens]


def test_a_token_put_there_by_an_edit_is_no_part_of_a_word_and_the_edit_is_told(tmp_path: Path) -> None:
    edit = {"kind": "ReplaceToken", "call": 58, "token": 7, "stream": "main"}
    path = changed(tmp_path, run=manifest()["run"] | {"edits": [edit]})
    text = shown(lambda trace, console: print_frames(trace, console, 50, 60), 80, path)
    assert "\nedit  call 58: main stream becomes 7\n" in text
    trace = Dia2Trace.load(path)
    trace.column("emitted")[58, 0] = 7
    call = frames_facts(trace, 58, 58)["calls"][0]
    assert call["main"] == {"id": 7, "name": None}


# Expected

AT_80 = """\
call in   step action    main          second        bud fpad left pend  kv cb0
  30 warm   30 pad       Good 4/6      Hello 3/7       3    3   11    2  31
  31 warm   31 pad       Good 5/6      Hello 4/7       2    2   11    1  32
= 32 warm   32 pad       Good 6/6      Hello 5/7       1    1   11    0  33
= 33 main   32 new_word! pad           Hello 6/7       0    0   11    0  34  36
  34 main   33 new_word  morning 1/7   new_word        6    7   10    6  35  54
  35 main   34 pad       morning 2/7   Hello 7/7       5    6   10    5  36  29
  36 main   35 pad       morning 3/7   Dia2! 1/5       4    5   10    4  37  39
  37 main   36 new_word! morning 4/7   Dia2! 2/5       3    4   10    3  38  46
  38 main   37 pad       morning 5/7   Dia2! 3/5       2    3   10    2  39  18
  39 main   38 pad       morning 6/7   Dia2! 4/5       1    2   10    1  40  17
  40 main   39 pad       morning 7/7   Dia2! 5/5       0    1   10    0  41  39
  41 main   40 pad       pad           pad             0    0   10    0  42  58
  42 main   41 pad!      Hello 1/7     new_word        6    7    9    6  43  13
  43 main   42 pad       Hello 2/7     It's 1/4        5    6    9    5  44  38
  44 main   43 pad       Hello 3/7     It's 2/4        4    5    9    4  45  54

main, second: the text tokens that the call emitted. After it: bud padding
budget, fpad forced padding, left entries in the queue, pend pending tokens, kv
filled slots of the transformer's cache.
warm: the prefix, in one pass; actions are given and no codes are drawn.
= step 32 is decoded twice: by call 32, the last of warm-up, and by call 33, the
  first of the main loop, in a KV slot of its own.
! the machine overruled the action, because forced padding was running: call 33.
! the machine overruled the action, because tokens of a word were pending: call
  37.
! the machine overruled the action, because the padding budget was used up: call
  42.
calls 30 … 44 of 0 … 116; --from 45 shows more; 1 of 8 codebooks fits
"""

AT_160 = """\
call in   step action    main                   second                 bud fpad left pend  kv cb0 cb1 cb2 cb3 cb4 cb5 cb6 cb7
  91 main   90 pad       S2 Really? 9/9 #40     pad                      0    1    2    0  92  54  31  29   5  51  25   7  18
  92 main   91 new_word! pad                    pad                      0    0    2    0  93  29  37  15  54  37  59  32  42
  93 main   92 new_word~ pad                    pad                      0    4    1    0  94  50  30  47  22  31  63   4  63
  94 main   93 new_word! pad                    pad                      0    3    1    0  95  62  31  22  12  15   3  30  46
  95 main   94 pad       pad                    pad                      0    2    1    0  96  54  62  42  22  56  21  41  25
  96 main   95 pad       pad                    pad                      0    1    1    0  97  25   5  54  17   7  63  34  31
  97 main   96 pad       pad                    pad                      0    0    1    0  98  54  62  53   2   2  63  17  34
  98 main   97 pad!      S2 Fine. 1/5 #47       new_word                 6    5    0    4  99  39  42  40  26  60   9   7  46
  99 main   98 pad       S2 Fine. 2/5 #82       pad                      5    4    0    3 100  10  56   3  32  19  24   4  49
 100 main   99 pad       S2 Fine. 3/5 #87       pad                      4    3    0    2 101  32  47  27   1  11  20  52  17
 101 main  100 pad       S2 Fine. 4/5 #78       pad                      3    2    0    1 102  40  31   0  25  56  59  40  53
 102 main  101 pad       S2 Fine. 5/5 #23       pad                      2    1    0    0 103  36  15  34  39  43  22  56  22
 103 main  102 new_word! pad                    pad                      1    0    0    0 104  32  31  33  59  56  30  41  52
 104 main  103 pad       pad                    pad                      0    0    0    0 105   1  56  12  22  49  18  20  33
 105 main  104 new_word∅ pad                    new_word                 0    0    0    0 106  55  31  33   7  32  39  13  53
 106 main  105 pad!∅     pad                    pad                      0    0    0    0 107  36  30  11  13  55  13  63  50
 107 main  106 pad!∅     pad                    pad                      0    0    0    0 108  59  31  22  39  58  13  42   0
 108 main  107 new_word∅ pad                    pad                      0    0    0    0 109  37  46  60  16  62  15  47  36

main, second: the text tokens that the call emitted. After it: bud padding budget, fpad forced padding, left entries in the queue, pend pending tokens, kv
filled slots of the transformer's cache.
! the machine overruled the action, because forced padding was running: calls 92, 94, 103.
! the machine overruled the action, because the padding budget was used up: calls 98, 106, 107.
~ the machine took a break.
∅ the machine asked for a word when none was left.
calls 91 … 108 of 0 … 116; --from 109 shows more
"""  # noqa: E501
