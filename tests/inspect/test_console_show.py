"""`dia2 trace show`, to the character."""

from pathlib import Path

import pytest
from rich.cells import cell_len

from dia2.adapter.rows import ROWS
from dia2.common.wording import duration
from dia2.inspect import Dia2Trace
from dia2.inspect.views.console import print_show, show_facts
from dia2.runtime.assets import nano_folder

from .test_console_trace import View, changed, manifest, recorded, shown

# Wall times and the date are all that differs between two recordings, and `--no-times` leaves them out.
show: View = lambda trace, console: print_show(trace, console, times=False, full=True)  # noqa: E731
lines: View = lambda trace, console: print_show(trace, console, times=False)  # noqa: E731
with_times: View = lambda trace, console: print_show(trace, console, full=True)  # noqa: E731


def test_at_80_columns() -> None:
    assert shown(show, 80) == AT_80


def test_at_160_columns() -> None:
    assert shown(show, 160) == AT_160


def test_a_line_a_row() -> None:
    assert shown(lines, 100) == LINES_AT_100


def test_a_line_a_row_with_its_wall_time() -> None:
    trace = Dia2Trace.load(recorded())
    timed = shown(print_show, 100).splitlines()
    for row in show_facts(trace)["rows"]:
        (line,) = (line for line in timed if line[1:].lstrip().startswith(f"{row['number']}  "))
        assert line.endswith(duration(row["seconds"]))
        assert len(line) <= 100


@pytest.mark.parametrize("width", [50, 80, 100, 160, 300])
def test_a_page_of_forty_lines(width: int) -> None:
    """Two of them are left for what is wrong, which is told above, and can be long."""
    for path in (recorded(), nano_folder() / "sample.dia2trace"):
        printed = shown(print_show, width, path).splitlines()
        below = [line.startswith(path.name) for line in printed].index(True)
        assert len(printed) - below <= 38 or width < 100
        assert all(cell_len(line) <= max(50, width) for line in printed)
        assert [line for line in printed if line[:1] in "✓·"][-30:] == printed[-30:]
    assert len(shown(print_show, 100, nano_folder() / "sample.dia2trace").splitlines()) <= 40


def test_what_is_too_long_is_cut(tmp_path: Path) -> None:
    narrow = shown(lines, 50).splitlines()
    assert "✓  8  Build runtime               316,800 paramet…" in narrow
    wide = shown(lines, 160).splitlines()
    assert "✓  8  Build runtime               316,800 parameters, torch.float32, 8 codebooks, 12.5 frames/s" in wide


@pytest.mark.parametrize("width", [80, 160])
def test_wall_times_and_the_date_stand_at_their_places(width: int) -> None:
    trace = Dia2Trace.load(recorded())
    text = shown(with_times, width)
    assert f"recorded  level topk, began {trace.manifest.started}\n" in text
    timed = [line for line in text.splitlines() if line.startswith("✓")]
    assert len(timed) == sum(row["status"] == "done" for row in show_facts(trace)["rows"])
    assert all(line.endswith((" s", " ms", " µs")) and len(line) == width for line in timed)


def test_the_facts_have_thirty_rows_and_the_header() -> None:
    facts = show_facts(Dia2Trace.load(recorded()))
    assert [row["number"] for row in facts["rows"]] == [row.number for row in ROWS] == list(range(1, 31))
    assert facts["calls"] == {"warmup": 33, "main": 84, "all": 117}
    assert facts["complete"] is True
    assert facts["audio_seconds"] == pytest.approx(6.32)
    assert {name: facts["run"][name] for name in ("seed", "words", "words_taken", "words_heard", "device")} == {
        "seed": 1,
        "words": 14,
        "words_taken": 14,
        "words_heard": 9,
        "device": "cpu",
    }


def unfinished(folder: Path, error: str | None) -> Path:
    """A copy whose main loop failed, or never ended."""
    status = "failed" if error else "running"
    folder.mkdir(exist_ok=True)
    path = changed(folder, status=status, error=error, result=None, audio=None)
    (path / "audio.flac").unlink()
    file = path / "phases.jsonl"
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    last = next(i for i, line in enumerate(lines) if '"loop"' in line)
    number = lines[last].split('"id": ')[1].split(",")[0]
    ended = f'{{"event": "end", "id": {number}, "seconds": 0.25, "error": "{error}"}}\n' if error else ""
    file.write_text("".join(lines[: last + 1]) + ended, encoding="utf-8")
    return path


@pytest.mark.parametrize(("width", "head"), [(80, "      FAILED"), (160, "       FAILED:")])
def test_a_failed_row_stands_out(width: int, head: str, tmp_path: Path) -> None:
    path = unfinished(tmp_path, "RuntimeError: out of memory")
    lines = shown(show, width, path).splitlines()
    assert lines[0].startswith("✗ call 116: The trace ends before its run: RuntimeError: out of memory.")
    assert "run.dia2trace  partial: RuntimeError: out of memory" in lines
    assert any(line.startswith("✗") and "25" in line and "Main generation loop" in line for line in lines)
    assert any(line.startswith(head) and line.endswith("RuntimeError: out of memory") for line in lines)
    assert "\x1b[1;7m" in shown(show, width, path, colour=True)  # bold, reverse
    (line,) = (line for line in shown(print_show, width, path).splitlines() if line.startswith("✗ 25"))
    assert line.startswith("✗ 25  Main generation loop        FAILED: RuntimeError: out of memory ")


@pytest.mark.parametrize(("width", "head"), [(80, "      NOT FINISHED"), (160, "       NOT FINISHED:")])
def test_a_row_that_never_ended_stands_out(width: int, head: str, tmp_path: Path) -> None:
    lines = shown(show, width, unfinished(tmp_path, None)).splitlines()
    assert "run.dia2trace  partial: the run was killed, or still runs" in lines
    assert any(line.startswith("…  25") or line.startswith("… 25") for line in lines)
    assert any(line.startswith(head) and line.endswith("the trace ends before it does") for line in lines)
    short = shown(print_show, width, unfinished(tmp_path / "again", None)).splitlines()
    assert "… 25  Main generation loop        NOT FINISHED: the trace ends before it does" in short


def test_words_behind_the_end_of_the_audio_are_not_heard(tmp_path: Path) -> None:
    facts = show_facts(Dia2Trace.load(recorded()))
    result = manifest()["result"] | {"samples": 24_000 * 2}
    early = [word for word in Dia2Trace.load(recorded()).words if word.seconds is not None and word.seconds < 2]
    path = changed(tmp_path, result=result)
    assert 0 < len(early) < facts["run"]["words_heard"]
    assert Dia2Trace.load(path).heard == early
    assert show_facts(Dia2Trace.load(path))["run"]["words_heard"] == len(early)
    assert f"14 taken by the machine, {len(early)} heard in the audio\n" in shown(show, 80, path)


def test_without_audio_nothing_is_said_of_words_heard(tmp_path: Path) -> None:
    path = unfinished(tmp_path, None)
    assert show_facts(Dia2Trace.load(path))["run"]["words_heard"] is None
    assert "  words     14: 14 taken by the machine\n  audio     none\n" in shown(show, 80, path)


def test_the_header_tells_edits_forks_redactions_and_spent_budgets(tmp_path: Path) -> None:
    run = manifest()["run"] | {"edits": [{"kind": "ForceAction", "call": 57, "action": "pad"}], "forked_at": 50}
    budget = {"bytes": 1, "tokens_only_from_call": 40}
    path = changed(tmp_path, run=run, budget=budget, redacted=["text", "voice"], hooks=["draw.*", "loop"])
    text = shown(show, 80, path)
    assert "  edits     call 57: action pad\n" in text
    assert "  fork      repeats another run up to call 50\n" in text
    assert "  redacted  text, voice\n" in text
    assert "tokens only from call 40 on: its byte budget was" in text
    assert "draw.*, loop" in text


# Expected

LINES_AT_100 = """\
✗ call 20: The boundary of “Good” at step 20 was swallowed: 6 tokens of “friend.” were still
pending. (8 more)
  → leave a pause before that word, at least one frame for each token still pending: for a second
  speaker's first word, append silence to the first recording
run.dia2trace  complete
  recorded  level topk
  model     cpu, float32
  sampling  seed 1, cfg 2 keeping 50, text 0/50, audio 0/50 (temperature/top-k)
  calls     117 = 33 of warm-up + 84 of the main loop; stopped by end
  prefix    5 words, 33 frames
  words     14: 14 taken by the machine, 9 heard in the audio
  audio     6.32 s
·  1  CLI parse                   not run: called from Python, not from the command line
·  2  Engine init                 not run: the engine was made before the recording began
·  3  Load script text            not run: called from Python, not from the command line
·  4  Validate sampling           not run: called from Python, not from the command line
·  5  Build GenerationConfig      not run: called from Python, not from the command line
·  6  Merge overrides             not run: called from Python, not from the command line
✓  7  Ensure runtime              1.3 MB of weights on cpu
✓  8  Build runtime               316,800 parameters, torch.float32, 8 codebooks, 12.5 frames/s
✓  9  Token constants             new_word 301, pad 300, bos 1, zero 302, [S1] 3, [S2] 4, audio pad…
✓ 10  StateMachine init           max_padding 6, initial_padding 0
✓ 11  Merge generation config     text 0/50, audio 0/50 (temperature/top-k), cfg 2 keeping 50
✓ 12  Normalize script            78 characters: “[S1] Hello Dia2! It's a test: one two. [S2] Reall…
✓ 13  Build prefix plan           5 words, 33 frames
· 14  Speaker 1: transcribe       not run: words were given, so Whisper was not asked
✓ 15  Speaker 1: words → entries  3 words: “Hello there, friend.”; steps 1, 9, 16
✓ 16  Speaker 1: encode audio     codes [8, 20], 0 … 63
✓ 17  Speaker 2: the same         codes [8, 13]; 2 words: “Good morning”; steps 0, 7
✓ 18  Combined PrefixPlan         PrefixPlan: 5 words, 33 frames, new words at 4, 12, 19, 20, 27
✓ 19  Parse script                9 words and 1 break: “Hello Dia2! It's a test one two. Really? Fi…
✓ 20  Combine entries             15 entries
✓ 21  Set initial padding         no word before frame 2
✓ 22  StateMachine state          15 entries, padding budget 2, forced padding 2
✓ 23  Build GenerationState       KV of transformer [3, 2, 2, 208, 16], of depformer [2, 2, 4, 7, 1…
✓ 24  Warm-up with prefix         start_step 32; pending [], 11 entries, padding budget 1, forced p…
✓ 25  Main generation loop        stopped by end, first word at frame 32, grid [2, 8, 117]
✓ 26  Undelay tokens              aligned [8, 111]
✓ 27  Crop prefix audio           79 frames left
✓ 28  Mimi decode                 151,680 samples
· 29  Write WAV                   not run: no output file was named
✓ 30  Build timestamps            9 words with seconds
"""

AT_80 = """\
✗ call 20: The boundary of “Good” at step 20 was swallowed: 6 tokens of
“friend.” were still pending. (8 more)
  → leave a pause before that word, at least one frame for each token still
  pending: for a second speaker's first word, append silence to the first
  recording
run.dia2trace  complete
  recorded  level topk
  model     cpu, float32
  sampling  seed 1, cfg 2 keeping 50, text 0/50, audio 0/50 (temperature/top-k)
  calls     117 = 33 of warm-up + 84 of the main loop; stopped by end
  prefix    5 words, 33 frames
  words     14: 14 taken by the machine, 9 heard in the audio
  audio     6.32 s

·  1  CLI parse                                                          not run
      called from Python, not from the command line
·  2  Engine init                                                        not run
      the engine was made before the recording began
·  3  Load script text                                                   not run
      called from Python, not from the command line
·  4  Validate sampling                                                  not run
      called from Python, not from the command line
·  5  Build GenerationConfig                                             not run
      called from Python, not from the command line
·  6  Merge overrides                                                    not run
      called from Python, not from the command line
✓  7  Ensure runtime
      dia2/engine.py → Dia2._ensure_runtime()
      trigger    generate() begins
      before     no runtime
      mutations  loads config, weights, tokenizer, codec
      outputs    1.3 MB of weights on cpu
✓  8  Build runtime
      dia2/runtime/context.py → build_runtime()
      trigger    /conformance/tiny8/config.json,
                 /conformance/tiny8/model.safetensors
      mutations  builds the modules, fills them from safetensors, loads
                 tokenizer and Mimi
      outputs    316,800 parameters, torch.float32, 8 codebooks, 12.5 frames/s
✓  9  Token constants
      dia2/runtime/context.py → token_ids()
      trigger    config and the tokenizer's vocabulary
      mutations  creates TokenIds
      outputs    new_word 301, pad 300, bos 1, zero 302, [S1] 3, [S2] 4, audio
                 pad 65, bos 64
✓ 10  StateMachine init
      dia2/runtime/state_machine.py → StateMachine.__init__()
      trigger    token ids, second_stream_ahead 2
      mutations  creates StateMachine
      outputs    max_padding 6, initial_padding 0
✓ 11  Merge generation config
      dia2/generation.py → merge_generation_config()
      before     text 0/50, audio 0/50 (temperature/top-k), cfg 2 keeping 50
      mutations  creates the merged config, prefix in it
      outputs    text 0/50, audio 0/50 (temperature/top-k), cfg 2 keeping 50
✓ 12  Normalize script
      dia2/generation.py → normalize_script()
      trigger    one string
      mutations  strips lines, joins them
      outputs    78 characters: “[S1] Hello Dia2! It's a test: one two. [S2]
                 Really? <break t…”
✓ 13  Build prefix plan
      dia2/runtime/voice_clone.py → build_prefix_plan()
      trigger    /conformance/tiny8/spk1.wav, /conformance/tiny8/spk2.wav
      mutations  goes through rows 14 to 18
      outputs    5 words, 33 frames
· 14  Speaker 1: transcribe                                              not run
      words were given, so Whisper was not asked
✓ 15  Speaker 1: words → entries
      dia2/runtime/voice_clone.py → words_to_entries()
      trigger    3 words of speaker 1
      mutations  creates entries and new-word steps
      outputs    3 words: “Hello there, friend.”; steps 1, 9, 16
✓ 16  Speaker 1: encode audio
      dia2/runtime/audio_io.py → encode_audio_tokens()
      trigger    38,400 samples at 24000 Hz
      mutations  runs Mimi's encoder
      outputs    codes [8, 20], 0 … 63
✓ 17  Speaker 2: the same
      dia2/runtime/voice_clone.py → read_voice()
      trigger    /conformance/tiny8/spk2.wav
      mutations  creates entries and new-word steps
      outputs    codes [8, 13]; 2 words: “Good morning”; steps 0, 7
✓ 18  Combined PrefixPlan
      dia2/runtime/voice_clone.py → combine_voices()
      trigger    codes [8, 20] + codes [8, 13]
      mutations  speaker 1 moves by 3 frames, speaker 2 by 20; codes joined in
                 time
      outputs    PrefixPlan: 5 words, 33 frames, new words at 4, 12, 19, 20, 27
✓ 19  Parse script
      dia2/runtime/script_parser.py → parse_script()
      trigger    “[S1] Hello Dia2! It's a test: one two. [S2] Really? <break t…”
      mutations  creates entries: speaker tags, tokens, padding
      outputs    9 words and 1 break: “Hello Dia2! It's a test one two. Really?
                 Fine.”
✓ 20  Combine entries
      dia2/runtime/session.py → combine_entries()
      trigger    5 of the prefix, 10 of the script
      mutations  prefix first, then the script
      outputs    15 entries
✓ 21  Set initial padding
      dia2/runtime/session.py → set_initial_padding()
      trigger    initial_padding 2
      before     machine.initial_padding 0
      mutations  machine.initial_padding = 2
      outputs    no word before frame 2
✓ 22  StateMachine state
      dia2/runtime/state_machine.py → StateMachine.new_state()
      trigger    15 entries
      mutations  queues the entries; nothing pending
      outputs    15 entries, padding budget 2, forced padding 2
✓ 23  Build GenerationState
      dia2/runtime/generator.py → build_initial_state()
      trigger    seed 1, prefix of 33 frames
      mutations  allocates step_tokens [2, 10, 1], audio_buf [2, 8, 200] with
                 the delayed prefix
      outputs    KV of transformer [3, 2, 2, 208, 16], of depformer [2, 2, 4, 7,
                 12]; uniforms [193, 10]
✓ 24  Warm-up with prefix
      dia2/runtime/generator.py → warmup_with_prefix()
      trigger    33 frames, 5 forced new words
      before     transformer KV empty; 15 entries, padding budget 2, forced
                 padding 2
      mutations  1 pass over 33 frames instead of as many steps; transformer KV
                 0 → 33 slots; 4 words taken
      outputs    start_step 32; pending [], 11 entries, padding budget 1, forced
                 padding 1
✓ 25  Main generation loop
      dia2/runtime/generator.py → run_generation_loop()
      trigger    start_step 32; text 0/50, audio 0/50 (temperature/top-k), cfg 2
                 keeping 50
      before     33 slots of transformer KV filled; 11 entries, padding budget
                 1, forced padding 1
      mutations  84 frames: grid columns 33 … 116 written, transformer KV 33 →
                 117 slots, entries 11 → 0
      outputs    stopped by end, first word at frame 32, grid [2, 8, 117]
✓ 26  Undelay tokens
      dia2/audio/grid.py → undelay_frames()
      trigger    delayed grid [8, 117], delays 4, 6, 6, 6, 6, 6, 6, 6
      before     codebook k of frame t in column t + delay[k]
      mutations  codebooks aligned
      outputs    aligned [8, 111]
✓ 27  Crop prefix audio
      dia2/runtime/session.py → Session.crop()
      trigger    first word at frame 32, prefix cut
      before     111 frames aligned
      mutations  cuts 32 frames off the front
      outputs    79 frames left
✓ 28  Mimi decode
      dia2/runtime/generator.py → decode_audio()
      trigger    aligned [8, 79]
      mutations  runs Mimi's decoder
      outputs    151,680 samples
· 29  Write WAV                                                          not run
      no output file was named
✓ 30  Build timestamps
      dia2/runtime/session.py → place_words()
      trigger    14 words begun, crop 32
      before     (word, step)
      mutations  subtracts the crop, divides by the frame rate; leaves prefix
                 words out
      outputs    9 words with seconds
"""

AT_160 = """\
✗ call 20: The boundary of “Good” at step 20 was swallowed: 6 tokens of “friend.” were still pending. (8 more)
  → leave a pause before that word, at least one frame for each token still pending: for a second speaker's first word, append silence to the first recording
run.dia2trace  complete
  recorded  level topk
  model     cpu, float32
  sampling  seed 1, cfg 2 keeping 50, text 0/50, audio 0/50 (temperature/top-k)
  calls     117 = 33 of warm-up + 84 of the main loop; stopped by end
  prefix    5 words, 33 frames
  words     14: 14 taken by the machine, 9 heard in the audio
  audio     6.32 s

    #  phase, file → function         trigger                  state before           mutations                       outputs                          wall time
────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────
·   1  CLI parse                      not run: called from Python, not from the command line  (dia2/cli.py → main())
·   2  Engine init                    not run: the engine was made before the recording began  (dia2/engine.py → Dia2.__init__())
·   3  Load script text               not run: called from Python, not from the command line  (dia2/generation.py → load_script_text())
·   4  Validate sampling              not run: called from Python, not from the command line  (dia2/generation.py → validate_generation_params())
·   5  Build GenerationConfig         not run: called from Python, not from the command line  (dia2/generation.py → build_generation_config())
·   6  Merge overrides                not run: called from Python, not from the command line  (dia2/cli.py → generation_overrides())

✓   7  Ensure runtime                 generate() begins        no runtime             loads config, weights,          1.3 MB of weights on cpu
       dia2/engine.py                                                                 tokenizer, codec
       → Dia2._ensure_runtime()

✓   8  Build runtime                  /conformance/tiny8/      none                   builds the modules, fills them  316,800 parameters,
       dia2/runtime/context.py        config.json,                                    from safetensors, loads         torch.float32, 8 codebooks,
       → build_runtime()              /conformance/tiny8/                             tokenizer and Mimi              12.5 frames/s
                                      model.safetensors

✓   9  Token constants                config and the           none                   creates TokenIds                new_word 301, pad 300, bos 1,
       dia2/runtime/context.py        tokenizer's vocabulary                                                          zero 302, [S1] 3, [S2] 4, audio
       → token_ids()                                                                                                  pad 65, bos 64

✓  10  StateMachine init              token ids,               none                   creates StateMachine            max_padding 6, initial_padding
       dia2/runtime/state_machine.py  second_stream_ahead 2                                                           0
       → StateMachine.__init__()

✓  11  Merge generation config                                 text 0/50, audio 0/50  creates the merged config,      text 0/50, audio 0/50
       dia2/generation.py                                      (temperature/top-k),   prefix in it                    (temperature/top-k), cfg 2
       → merge_generation_config()                             cfg 2 keeping 50                                       keeping 50

✓  12  Normalize script               one string               none                   strips lines, joins them        78 characters: “[S1] Hello
       dia2/generation.py                                                                                             Dia2! It's a test: one two.
       → normalize_script()                                                                                           [S2] Really? <break t…”

✓  13  Build prefix plan              /conformance/tiny8/      none                   goes through rows 14 to 18      5 words, 33 frames
       dia2/runtime/voice_clone.py    spk1.wav,
       → build_prefix_plan()          /conformance/tiny8/
                                      spk2.wav

·  14  Speaker 1: transcribe          not run: words were given, so Whisper was not asked  (dia2/runtime/words.py → transcribe_words())

✓  15  Speaker 1: words → entries     3 words of speaker 1     none                   creates entries and new-word    3 words: “Hello there,
       dia2/runtime/voice_clone.py                                                    steps                           friend.”; steps 1, 9, 16
       → words_to_entries()

✓  16  Speaker 1: encode audio        38,400 samples at 24000  none                   runs Mimi's encoder             codes [8, 20], 0 … 63
       dia2/runtime/audio_io.py       Hz
       → encode_audio_tokens()

✓  17  Speaker 2: the same            /conformance/tiny8/      none                   creates entries and new-word    codes [8, 13]; 2 words: “Good
       dia2/runtime/voice_clone.py    spk2.wav                                        steps                           morning”; steps 0, 7
       → read_voice()

✓  18  Combined PrefixPlan            codes [8, 20] + codes    none                   speaker 1 moves by 3 frames,    PrefixPlan: 5 words, 33 frames,
       dia2/runtime/voice_clone.py    [8, 13]                                         speaker 2 by 20; codes joined   new words at 4, 12, 19, 20, 27
       → combine_voices()                                                             in time

✓  19  Parse script                   “[S1] Hello Dia2! It's   none                   creates entries: speaker tags,  9 words and 1 break: “Hello
       dia2/runtime/script_parser.py  a test: one two. [S2]                           tokens, padding                 Dia2! It's a test one two.
       → parse_script()               Really? <break t…”                                                              Really? Fine.”

✓  20  Combine entries                5 of the prefix, 10 of   none                   prefix first, then the script   15 entries
       dia2/runtime/session.py        the script
       → combine_entries()

✓  21  Set initial padding            initial_padding 2        machine.initial_       machine.initial_padding = 2     no word before frame 2
       dia2/runtime/session.py                                 padding 0
       → set_initial_padding()

✓  22  StateMachine state             15 entries               none                   queues the entries; nothing     15 entries, padding budget 2,
       dia2/runtime/state_machine.py                                                  pending                         forced padding 2
       → StateMachine.new_state()

✓  23  Build GenerationState          seed 1, prefix of 33     none                   allocates step_tokens [2, 10,   KV of transformer [3, 2, 2,
       dia2/runtime/generator.py      frames                                          1], audio_buf [2, 8, 200] with  208, 16], of depformer [2, 2,
       → build_initial_state()                                                        the delayed prefix              4, 7, 12]; uniforms [193, 10]

✓  24  Warm-up with prefix            33 frames, 5 forced new  transformer KV empty;  1 pass over 33 frames instead   start_step 32; pending [], 11
       dia2/runtime/generator.py      words                    15 entries, padding    of as many steps; transformer   entries, padding budget 1,
       → warmup_with_prefix()                                  budget 2, forced       KV 0 → 33 slots; 4 words taken  forced padding 1
                                                               padding 2

✓  25  Main generation loop           start_step 32; text      33 slots of            84 frames: grid columns 33 …    stopped by end, first word at
       dia2/runtime/generator.py      0/50, audio 0/50         transformer KV         116 written, transformer KV 33  frame 32, grid [2, 8, 117]
       → run_generation_loop()        (temperature/top-k),     filled; 11 entries,    → 117 slots, entries 11 → 0
                                      cfg 2 keeping 50         padding budget 1,
                                                               forced padding 1

✓  26  Undelay tokens                 delayed grid [8, 117],   codebook k of frame t  codebooks aligned               aligned [8, 111]
       dia2/audio/grid.py             delays 4, 6, 6, 6, 6,    in column t +
       → undelay_frames()             6, 6, 6                  delay[k]

✓  27  Crop prefix audio              first word at frame 32,  111 frames aligned     cuts 32 frames off the front    79 frames left
       dia2/runtime/session.py        prefix cut
       → Session.crop()

✓  28  Mimi decode                    aligned [8, 79]          none                   runs Mimi's decoder             151,680 samples
       dia2/runtime/generator.py
       → decode_audio()

·  29  Write WAV                      not run: no output file was named  (dia2/audio/grid.py → write_wav())

✓  30  Build timestamps               14 words begun, crop 32  (word, step)           subtracts the crop, divides by  9 words with seconds
       dia2/runtime/session.py                                                        the frame rate; leaves prefix
       → place_words()                                                                words out
"""  # noqa: E501
