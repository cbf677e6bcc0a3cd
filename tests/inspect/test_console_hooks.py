"""`dia2 trace hooks`, to the character."""

from pathlib import Path

import pytest

from dia2.common import hooks
from dia2.common.hooks import POINTS, listed
from dia2.inspect import load
from dia2.inspect.views.console import hooks_facts, print_hooks

from .test_console_trace import changed, recorded, shown


@pytest.fixture
def _ours_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever families are installed beside Dia2 and Dia."""
    hooks.installed()
    ours = {name: point for name, point in POINTS.items() if {"dia2", "dia"}.issuperset(point.models)}
    monkeypatch.setattr(hooks, "POINTS", ours)


@pytest.mark.usefixtures("_ours_alone")
def test_at_80_columns() -> None:
    assert shown(lambda _, console: print_hooks(console), 80) == AT_80


@pytest.mark.usefixtures("_ours_alone")
def test_at_160_columns() -> None:
    assert shown(lambda _, console: print_hooks(console), 160) == AT_160


def test_of_a_trace_at_80_columns() -> None:
    assert shown(lambda trace, console: print_hooks(console, trace), 80) == OF_A_TRACE_AT_80


def test_of_a_trace_at_160_columns() -> None:
    assert shown(lambda trace, console: print_hooks(console, trace), 160) == OF_A_TRACE_AT_160


def test_the_facts_are_the_registry() -> None:
    points = hooks_facts()["points"]
    assert [point["name"] for point in points] == [point.name for point in listed()]
    assert all(point["value"] == POINTS[point["name"]].value for point in points)
    assert all("trace" not in point for point in points)


def test_what_never_fired_is_what_the_manifest_says() -> None:
    trace = load(recorded())
    told = {point["name"] for point in hooks_facts(trace)["points"] if point["trace"] == "never fired"}
    assert told == set(trace.manifest.never_fired)


def test_points_that_a_filter_left_out_are_told_from_those_that_never_fired(tmp_path: Path) -> None:
    path = changed(tmp_path, hooks=["draw.*", "cli.*"], never_fired=["cli.parse"])
    (path / "phases.jsonl").unlink()
    trace = load(path)
    told = {point["name"]: point["trace"] for point in hooks_facts(trace)["points"]}
    assert told["cli.parse"] == "never fired"
    assert told["warmup"] == "left out by the hook filter"
    assert told["draw.cb0"] == "recorded"
    assert told["draw.dep.{k}"] == "recorded"
    assert told["logits.cb0"] == "not kept at level topk"


# Expected

AT_80 = """\
phases: begin and end
  cli.parse              arguments of the command line → parsed flags       dia2
  engine.init            where the checkpoint is → an engine that has       dia2
                         loaded nothing
  script.load            what --input names → the script                    dia2
  config.validate        sampling values of the command line, checked       dia2
  config.build           sampling values of the command line →              dia2
                         GenerationConfig
  config.overrides       flags → overrides of generate()                    dia2
  runtime.ensure         engine → RuntimeContext, loaded or kept from       dia2
                         before
  runtime.build          files → RuntimeContext                             dia2
  runtime.tokens         config and tokenizer → TokenIds                    dia2
  machine.init           token ids and lookahead → StateMachine             dia2
  config.merge           base config and overrides → GenerationConfig       dia2
  script.normalize       script → one string                                dia2
  prefix.plan            recordings → PrefixPlan, or none                   dia2
  prefix.voice           one speaker's recording → codes and words          dia2
  prefix.transcribe      samples → words with times, by Whisper             dia2
  prefix.encode          samples → codes [K, frames]                        dia2
  prefix.words           words with times → entries and new-word steps      dia2
  prefix.combine         entries, steps and codes of each speaker →         dia2
                         PrefixPlan
  script.parse           text → entries                                     dia2
  entries.combine        prefix entries and script entries → all entries    dia2
  machine.padding        initial padding → the machine                      dia2
  machine.new_state      entries → the machine's state before step 0        dia2
  state.build            config, seed and prefix → GenerationState          dia2
  warmup                 the prefix through transformer and machine         dia2
  loop                   the main loop → delayed grid [B, K, columns]       dia2
  grid.undelay           delayed grid [K, columns] → aligned codes [K, T]   dia2
  grid.crop              first word's frame → frames cut off the front      dia2
  codec.decode           aligned codes [K, T] → waveform [N]                dia2
  words.place            what the machine took when → words with seconds    dia2
  wav.write              waveform → file                                    dia2
  dia.load               files → config, model, codec                       dia
  dia.text               scripts → bytes [B, S] and their mask              dia
  dia.encoder            bytes [2B, S] → encoder output [2B, S, width]      dia
  dia.cross              encoder output → keys and values of every layer's  dia
                         cross-attention
  dia.prompt             recordings or codes → codes [T, C] of each         dia
                         script's prompt
  dia.delay              codes [B, T, C] → delayed table [B, T, C]          dia
  dia.state              table of given rows, config and seed → the run's   dia
                         state before its first row
  dia.prefill            the rows that all scripts are given, through the   dia
                         decoder in one pass
  dia.loop               decoder steps → rows of the delayed grid           dia
  dia.undelay            delayed rows [B, T, C] → codes [B, T, C]           dia
  dia.decode             codes [T, C] → waveform [N], by DAC                dia
  dia.write              waveform → file                                    dia

values: once a run
  encoder.tokens         [B, S] int64: bytes of the scripts, tags as 1 and  dia
                         2
  encoder.output         [2B, S, width]: for each script unconditional      dia
                         first
  kv.cross.length        int: positions of the text that cross-attention    dia
                         looks at

values: every call
  call                   CallInfo: which call this is                       both
  machine.before         MachineRow: the state machine before the step      dia2
  machine.after          MachineRow: the state machine after the step       dia2
  step_tokens            [B, 2 + K] int64: the frame as the transformer     both
                         sees it; of Dia [B, C]: the row that the decoder
                         reads
  kv.transformer.length  int: filled slots of the transformer's cache       dia2
                         after the call
  kv.depformer.length    int: filled slots of the depformer's cache; 0 in   dia2
                         warm-up
  kv.self.length         int: filled slots of the decoder's self-attention  dia
                         cache

values: every call of the main loop
  audio_buf.column       [K] int64: codes drawn, written to grid column     both
                         step + 1; of Dia [B, C]: the row written
  logits.action          [B, actions] float32; row 0 conditional, row 1     dia2
                         unconditional
  logits.cb0             [B, audio vocabulary] float32, likewise            dia2
  logits.dep.{k}         [B, codes] float32 of codebook k = 1 … K-1,        dia2
                         likewise
  draw.action            Draw: best candidates before and after guidance,   dia2
                         choice, probability
  draw.cb0               Draw, likewise                                     dia2
  draw.dep.{k}           Draw of codebook k = 1 … K-1, likewise             dia2
  eos.countdown          [B] int64: steps since a script's end began; -1    dia
                         before
  logits.channel.{c}     [2B, V] float32 of channel c, unconditional first  dia
  draw.channel.{c}       [B] Draw of channel c, before the countdown        dia
                         forces any

times: every call of the main loop
  time.first             seconds until the action was known: transformer    dia2
                         and the first two draws
  time.machine           seconds of the state machine                       dia2
  time.second            seconds of the depformer (on a GPU: of handing it  dia2
                         over)
  time.frame             seconds of the whole frame                         both

activations: every call
  act.embed              [B, n_embd] float32: the residual stream before    dia2
                         the first layer
  act.{l}.resid          [B, n_embd] float32: the residual stream after     dia2
                         layer l
  act.{l}.attn           [B, n_embd] float32: what its attention adds to    dia2
                         the stream
  act.{l}.mlp            [B, n_embd] float32: what its MLP adds to the      dia2
                         stream
  act.{l}.heads          [B, heads, head_dim] float32: what each head       dia2
                         gives, before the output projection
  act.{l}.q              [B, heads, head_dim] float32: queries as they are  dia2
                         compared: normed, rotated
  act.{l}.k              [B, kv_heads, head_dim] float32: the call's keys,  dia2
                         likewise
  act.{l}.v              [B, kv_heads, head_dim] float32: the call's        dia2
                         values
  act.{l}.pattern        [B, heads, slots] float32: attention to each slot  dia2
                         of the cache
  act.hidden             [B, n_embd] float32: after the final norm: what    dia2
                         is drawn is computed from it

activations: every call of the main loop
  act.dep.{l}.resid      [B, K-1, dep_embd] float32: of the depformer, of   dia2
                         each stage
  act.dep.{l}.heads      [B, K-1, dep_heads, dep_head_dim] float32:         dia2
                         likewise
"""

AT_160 = """\
phases: begin and end
  cli.parse              arguments of the command line → parsed flags                                                           dia2
  engine.init            where the checkpoint is → an engine that has loaded nothing                                            dia2
  script.load            what --input names → the script                                                                        dia2
  config.validate        sampling values of the command line, checked                                                           dia2
  config.build           sampling values of the command line → GenerationConfig                                                 dia2
  config.overrides       flags → overrides of generate()                                                                        dia2
  runtime.ensure         engine → RuntimeContext, loaded or kept from before                                                    dia2
  runtime.build          files → RuntimeContext                                                                                 dia2
  runtime.tokens         config and tokenizer → TokenIds                                                                        dia2
  machine.init           token ids and lookahead → StateMachine                                                                 dia2
  config.merge           base config and overrides → GenerationConfig                                                           dia2
  script.normalize       script → one string                                                                                    dia2
  prefix.plan            recordings → PrefixPlan, or none                                                                       dia2
  prefix.voice           one speaker's recording → codes and words                                                              dia2
  prefix.transcribe      samples → words with times, by Whisper                                                                 dia2
  prefix.encode          samples → codes [K, frames]                                                                            dia2
  prefix.words           words with times → entries and new-word steps                                                          dia2
  prefix.combine         entries, steps and codes of each speaker → PrefixPlan                                                  dia2
  script.parse           text → entries                                                                                         dia2
  entries.combine        prefix entries and script entries → all entries                                                        dia2
  machine.padding        initial padding → the machine                                                                          dia2
  machine.new_state      entries → the machine's state before step 0                                                            dia2
  state.build            config, seed and prefix → GenerationState                                                              dia2
  warmup                 the prefix through transformer and machine                                                             dia2
  loop                   the main loop → delayed grid [B, K, columns]                                                           dia2
  grid.undelay           delayed grid [K, columns] → aligned codes [K, T]                                                       dia2
  grid.crop              first word's frame → frames cut off the front                                                          dia2
  codec.decode           aligned codes [K, T] → waveform [N]                                                                    dia2
  words.place            what the machine took when → words with seconds                                                        dia2
  wav.write              waveform → file                                                                                        dia2
  dia.load               files → config, model, codec                                                                           dia
  dia.text               scripts → bytes [B, S] and their mask                                                                  dia
  dia.encoder            bytes [2B, S] → encoder output [2B, S, width]                                                          dia
  dia.cross              encoder output → keys and values of every layer's cross-attention                                      dia
  dia.prompt             recordings or codes → codes [T, C] of each script's prompt                                             dia
  dia.delay              codes [B, T, C] → delayed table [B, T, C]                                                              dia
  dia.state              table of given rows, config and seed → the run's state before its first row                            dia
  dia.prefill            the rows that all scripts are given, through the decoder in one pass                                   dia
  dia.loop               decoder steps → rows of the delayed grid                                                               dia
  dia.undelay            delayed rows [B, T, C] → codes [B, T, C]                                                               dia
  dia.decode             codes [T, C] → waveform [N], by DAC                                                                    dia
  dia.write              waveform → file                                                                                        dia

values: once a run
  encoder.tokens         [B, S] int64: bytes of the scripts, tags as 1 and 2                                                    dia
  encoder.output         [2B, S, width]: for each script unconditional first                                                    dia
  kv.cross.length        int: positions of the text that cross-attention looks at                                               dia

values: every call
  call                   CallInfo: which call this is                                                                           both
  machine.before         MachineRow: the state machine before the step                                                          dia2
  machine.after          MachineRow: the state machine after the step                                                           dia2
  step_tokens            [B, 2 + K] int64: the frame as the transformer sees it; of Dia [B, C]: the row that the decoder reads  both
  kv.transformer.length  int: filled slots of the transformer's cache after the call                                            dia2
  kv.depformer.length    int: filled slots of the depformer's cache; 0 in warm-up                                               dia2
  kv.self.length         int: filled slots of the decoder's self-attention cache                                                dia

values: every call of the main loop
  audio_buf.column       [K] int64: codes drawn, written to grid column step + 1; of Dia [B, C]: the row written                both
  logits.action          [B, actions] float32; row 0 conditional, row 1 unconditional                                           dia2
  logits.cb0             [B, audio vocabulary] float32, likewise                                                                dia2
  logits.dep.{k}         [B, codes] float32 of codebook k = 1 … K-1, likewise                                                   dia2
  draw.action            Draw: best candidates before and after guidance, choice, probability                                   dia2
  draw.cb0               Draw, likewise                                                                                         dia2
  draw.dep.{k}           Draw of codebook k = 1 … K-1, likewise                                                                 dia2
  eos.countdown          [B] int64: steps since a script's end began; -1 before                                                 dia
  logits.channel.{c}     [2B, V] float32 of channel c, unconditional first                                                      dia
  draw.channel.{c}       [B] Draw of channel c, before the countdown forces any                                                 dia

times: every call of the main loop
  time.first             seconds until the action was known: transformer and the first two draws                                dia2
  time.machine           seconds of the state machine                                                                           dia2
  time.second            seconds of the depformer (on a GPU: of handing it over)                                                dia2
  time.frame             seconds of the whole frame                                                                             both

activations: every call
  act.embed              [B, n_embd] float32: the residual stream before the first layer                                        dia2
  act.{l}.resid          [B, n_embd] float32: the residual stream after layer l                                                 dia2
  act.{l}.attn           [B, n_embd] float32: what its attention adds to the stream                                             dia2
  act.{l}.mlp            [B, n_embd] float32: what its MLP adds to the stream                                                   dia2
  act.{l}.heads          [B, heads, head_dim] float32: what each head gives, before the output projection                       dia2
  act.{l}.q              [B, heads, head_dim] float32: queries as they are compared: normed, rotated                            dia2
  act.{l}.k              [B, kv_heads, head_dim] float32: the call's keys, likewise                                             dia2
  act.{l}.v              [B, kv_heads, head_dim] float32: the call's values                                                     dia2
  act.{l}.pattern        [B, heads, slots] float32: attention to each slot of the cache                                         dia2
  act.hidden             [B, n_embd] float32: after the final norm: what is drawn is computed from it                           dia2

activations: every call of the main loop
  act.dep.{l}.resid      [B, K-1, dep_embd] float32: of the depformer, of each stage                                            dia2
  act.dep.{l}.heads      [B, K-1, dep_heads, dep_head_dim] float32: likewise                                                    dia2
"""  # noqa: E501

OF_A_TRACE_AT_80 = """\
run.dia2trace

phases: begin and end
  cli.parse              arguments of the command line →  never fired
                         parsed flags
  engine.init            where the checkpoint is → an     never fired
                         engine that has loaded nothing
  script.load            what --input names → the script  never fired
  config.validate        sampling values of the command   never fired
                         line, checked
  config.build           sampling values of the command   never fired
                         line → GenerationConfig
  config.overrides       flags → overrides of generate()  never fired
  runtime.ensure         engine → RuntimeContext, loaded  recorded
                         or kept from before
  runtime.build          files → RuntimeContext           recorded
  runtime.tokens         config and tokenizer → TokenIds  recorded
  machine.init           token ids and lookahead →        recorded
                         StateMachine
  config.merge           base config and overrides →      recorded
                         GenerationConfig
  script.normalize       script → one string              recorded
  prefix.plan            recordings → PrefixPlan, or      recorded
                         none
  prefix.voice           one speaker's recording → codes  recorded 2×
                         and words
  prefix.transcribe      samples → words with times, by   never fired
                         Whisper
  prefix.encode          samples → codes [K, frames]      recorded 2×
  prefix.words           words with times → entries and   recorded 2×
                         new-word steps
  prefix.combine         entries, steps and codes of      recorded
                         each speaker → PrefixPlan
  script.parse           text → entries                   recorded 2×
  entries.combine        prefix entries and script        recorded
                         entries → all entries
  machine.padding        initial padding → the machine    recorded
  machine.new_state      entries → the machine's state    recorded
                         before step 0
  state.build            config, seed and prefix →        recorded
                         GenerationState
  warmup                 the prefix through transformer   recorded
                         and machine
  loop                   the main loop → delayed grid     recorded
                         [B, K, columns]
  grid.undelay           delayed grid [K, columns] →      recorded
                         aligned codes [K, T]
  grid.crop              first word's frame → frames cut  recorded
                         off the front
  codec.decode           aligned codes [K, T] → waveform  recorded
                         [N]
  words.place            what the machine took when →     recorded
                         words with seconds
  wav.write              waveform → file                  never fired

values: every call
  call                   CallInfo: which call this is     recorded
  machine.before         MachineRow: the state machine    recorded
                         before the step
  machine.after          MachineRow: the state machine    recorded
                         after the step
  step_tokens            [B, 2 + K] int64: the frame as   recorded
                         the transformer sees it; of Dia
                         [B, C]: the row that the
                         decoder reads
  kv.transformer.length  int: filled slots of the         recorded
                         transformer's cache after the
                         call
  kv.depformer.length    int: filled slots of the         recorded
                         depformer's cache; 0 in warm-up

values: every call of the main loop
  audio_buf.column       [K] int64: codes drawn, written  recorded
                         to grid column step + 1; of Dia
                         [B, C]: the row written
  logits.action          [B, actions] float32; row 0      not kept at level topk
                         conditional, row 1
                         unconditional
  logits.cb0             [B, audio vocabulary] float32,   not kept at level topk
                         likewise
  logits.dep.{k}         [B, codes] float32 of codebook   not kept at level topk
                         k = 1 … K-1, likewise
  draw.action            Draw: best candidates before     recorded
                         and after guidance, choice,
                         probability
  draw.cb0               Draw, likewise                   recorded
  draw.dep.{k}           Draw of codebook k = 1 … K-1,    recorded
                         likewise

times: every call of the main loop
  time.first             seconds until the action was     recorded
                         known: transformer and the
                         first two draws
  time.machine           seconds of the state machine     recorded
  time.second            seconds of the depformer (on a   recorded
                         GPU: of handing it over)
  time.frame             seconds of the whole frame       recorded

activations: every call
  act.embed              [B, n_embd] float32: the         by replay
                         residual stream before the
                         first layer
  act.{l}.resid          [B, n_embd] float32: the         by replay
                         residual stream after layer l
  act.{l}.attn           [B, n_embd] float32: what its    by replay
                         attention adds to the stream
  act.{l}.mlp            [B, n_embd] float32: what its    by replay
                         MLP adds to the stream
  act.{l}.heads          [B, heads, head_dim] float32:    by replay
                         what each head gives, before
                         the output projection
  act.{l}.q              [B, heads, head_dim] float32:    by replay
                         queries as they are compared:
                         normed, rotated
  act.{l}.k              [B, kv_heads, head_dim]          by replay
                         float32: the call's keys,
                         likewise
  act.{l}.v              [B, kv_heads, head_dim]          by replay
                         float32: the call's values
  act.{l}.pattern        [B, heads, slots] float32:       by replay
                         attention to each slot of the
                         cache
  act.hidden             [B, n_embd] float32: after the   by replay
                         final norm: what is drawn is
                         computed from it

activations: every call of the main loop
  act.dep.{l}.resid      [B, K-1, dep_embd] float32: of   by replay
                         the depformer, of each stage
  act.dep.{l}.heads      [B, K-1, dep_heads,              by replay
                         dep_head_dim] float32: likewise
"""

OF_A_TRACE_AT_160 = """\
run.dia2trace

phases: begin and end
  cli.parse              arguments of the command line → parsed flags                                                           never fired
  engine.init            where the checkpoint is → an engine that has loaded nothing                                            never fired
  script.load            what --input names → the script                                                                        never fired
  config.validate        sampling values of the command line, checked                                                           never fired
  config.build           sampling values of the command line → GenerationConfig                                                 never fired
  config.overrides       flags → overrides of generate()                                                                        never fired
  runtime.ensure         engine → RuntimeContext, loaded or kept from before                                                    recorded
  runtime.build          files → RuntimeContext                                                                                 recorded
  runtime.tokens         config and tokenizer → TokenIds                                                                        recorded
  machine.init           token ids and lookahead → StateMachine                                                                 recorded
  config.merge           base config and overrides → GenerationConfig                                                           recorded
  script.normalize       script → one string                                                                                    recorded
  prefix.plan            recordings → PrefixPlan, or none                                                                       recorded
  prefix.voice           one speaker's recording → codes and words                                                              recorded 2×
  prefix.transcribe      samples → words with times, by Whisper                                                                 never fired
  prefix.encode          samples → codes [K, frames]                                                                            recorded 2×
  prefix.words           words with times → entries and new-word steps                                                          recorded 2×
  prefix.combine         entries, steps and codes of each speaker → PrefixPlan                                                  recorded
  script.parse           text → entries                                                                                         recorded 2×
  entries.combine        prefix entries and script entries → all entries                                                        recorded
  machine.padding        initial padding → the machine                                                                          recorded
  machine.new_state      entries → the machine's state before step 0                                                            recorded
  state.build            config, seed and prefix → GenerationState                                                              recorded
  warmup                 the prefix through transformer and machine                                                             recorded
  loop                   the main loop → delayed grid [B, K, columns]                                                           recorded
  grid.undelay           delayed grid [K, columns] → aligned codes [K, T]                                                       recorded
  grid.crop              first word's frame → frames cut off the front                                                          recorded
  codec.decode           aligned codes [K, T] → waveform [N]                                                                    recorded
  words.place            what the machine took when → words with seconds                                                        recorded
  wav.write              waveform → file                                                                                        never fired

values: every call
  call                   CallInfo: which call this is                                                                           recorded
  machine.before         MachineRow: the state machine before the step                                                          recorded
  machine.after          MachineRow: the state machine after the step                                                           recorded
  step_tokens            [B, 2 + K] int64: the frame as the transformer sees it; of Dia [B, C]: the row that the decoder reads  recorded
  kv.transformer.length  int: filled slots of the transformer's cache after the call                                            recorded
  kv.depformer.length    int: filled slots of the depformer's cache; 0 in warm-up                                               recorded

values: every call of the main loop
  audio_buf.column       [K] int64: codes drawn, written to grid column step + 1; of Dia [B, C]: the row written                recorded
  logits.action          [B, actions] float32; row 0 conditional, row 1 unconditional                                           not kept at level topk
  logits.cb0             [B, audio vocabulary] float32, likewise                                                                not kept at level topk
  logits.dep.{k}         [B, codes] float32 of codebook k = 1 … K-1, likewise                                                   not kept at level topk
  draw.action            Draw: best candidates before and after guidance, choice, probability                                   recorded
  draw.cb0               Draw, likewise                                                                                         recorded
  draw.dep.{k}           Draw of codebook k = 1 … K-1, likewise                                                                 recorded

times: every call of the main loop
  time.first             seconds until the action was known: transformer and the first two draws                                recorded
  time.machine           seconds of the state machine                                                                           recorded
  time.second            seconds of the depformer (on a GPU: of handing it over)                                                recorded
  time.frame             seconds of the whole frame                                                                             recorded

activations: every call
  act.embed              [B, n_embd] float32: the residual stream before the first layer                                        by replay
  act.{l}.resid          [B, n_embd] float32: the residual stream after layer l                                                 by replay
  act.{l}.attn           [B, n_embd] float32: what its attention adds to the stream                                             by replay
  act.{l}.mlp            [B, n_embd] float32: what its MLP adds to the stream                                                   by replay
  act.{l}.heads          [B, heads, head_dim] float32: what each head gives, before the output projection                       by replay
  act.{l}.q              [B, heads, head_dim] float32: queries as they are compared: normed, rotated                            by replay
  act.{l}.k              [B, kv_heads, head_dim] float32: the call's keys, likewise                                             by replay
  act.{l}.v              [B, kv_heads, head_dim] float32: the call's values                                                     by replay
  act.{l}.pattern        [B, heads, slots] float32: attention to each slot of the cache                                         by replay
  act.hidden             [B, n_embd] float32: after the final norm: what is drawn is computed from it                           by replay

activations: every call of the main loop
  act.dep.{l}.resid      [B, K-1, dep_embd] float32: of the depformer, of each stage                                            by replay
  act.dep.{l}.heads      [B, K-1, dep_heads, dep_head_dim] float32: likewise                                                    by replay
"""  # noqa: E501
