"""The thirty rows: what a two-speaker conditioned run goes through, from the command line to the timestamps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dia2.adapter.describe import KEPT, kept_text
from dia2.inspect.schema.row import FilledRow, Row, filled
from dia2.inspect.store.phases import PhaseRun

if TYPE_CHECKING:
    from dia2.adapter.trace import Dia2Trace

ROWS = (
    Row(1, "CLI parse", "dia2.cli:main", "cli.parse"),
    Row(2, "Engine init", "dia2.engine:Dia2.__init__", "engine.init"),
    Row(3, "Load script text", "dia2.generation:load_script_text", "script.load"),
    Row(4, "Validate sampling", "dia2.generation:validate_generation_params", "config.validate"),
    Row(5, "Build GenerationConfig", "dia2.generation:build_generation_config", "config.build"),
    Row(6, "Merge overrides", "dia2.cli:generation_overrides", "config.overrides"),
    Row(7, "Ensure runtime", "dia2.engine:Dia2._ensure_runtime", "runtime.ensure"),
    Row(8, "Build runtime", "dia2.runtime.context:build_runtime", "runtime.build"),
    Row(9, "Token constants", "dia2.runtime.context:token_ids", "runtime.tokens"),
    Row(10, "StateMachine init", "dia2.runtime.state_machine:StateMachine.__init__", "machine.init"),
    Row(11, "Merge generation config", "dia2.generation:merge_generation_config", "config.merge"),
    Row(12, "Normalize script", "dia2.generation:normalize_script", "script.normalize"),
    Row(13, "Build prefix plan", "dia2.runtime.voice_clone:build_prefix_plan", "prefix.plan"),
    Row(14, "Speaker 1: transcribe", "dia2.runtime.words:transcribe_words", "prefix.transcribe", speaker=1),
    Row(15, "Speaker 1: words → entries", "dia2.runtime.voice_clone:words_to_entries", "prefix.words", speaker=1),
    Row(16, "Speaker 1: encode audio", "dia2.runtime.audio_io:encode_audio_tokens", "prefix.encode", speaker=1),
    Row(17, "Speaker 2: the same", "dia2.runtime.voice_clone:read_voice", "prefix.voice", speaker=2),
    Row(18, "Combined PrefixPlan", "dia2.runtime.voice_clone:combine_voices", "prefix.combine"),
    Row(19, "Parse script", "dia2.runtime.script_parser:parse_script", "script.parse"),
    Row(20, "Combine entries", "dia2.runtime.session:combine_entries", "entries.combine"),
    Row(21, "Set initial padding", "dia2.runtime.session:set_initial_padding", "machine.padding"),
    Row(22, "StateMachine state", "dia2.runtime.state_machine:StateMachine.new_state", "machine.new_state"),
    Row(23, "Build GenerationState", "dia2.runtime.generator:build_initial_state", "state.build"),
    Row(24, "Warm-up with prefix", "dia2.runtime.generator:warmup_with_prefix", "warmup"),
    Row(25, "Main generation loop", "dia2.runtime.generator:run_generation_loop", "loop"),
    Row(26, "Undelay tokens", "dia2.audio.grid:undelay_frames", "grid.undelay"),
    Row(27, "Crop prefix audio", "dia2.runtime.session:Session.crop", "grid.crop"),
    Row(28, "Mimi decode", "dia2.runtime.generator:decode_audio", "codec.decode"),
    Row(29, "Write WAV", "dia2.audio.grid:write_wav", "wav.write"),
    Row(30, "Build timestamps", "dia2.runtime.session:place_words", "words.place"),
)
_PREFIX_ROWS = range(14, 19)
_CLI_PHASES = {"cli.parse", "script.load", "config.validate", "config.build", "config.overrides"}
_LOADING = {"runtime.ensure", "runtime.build", "runtime.tokens", "machine.init"}
_READING = {"config.merge", "script.normalize", "script.parse"} | {
    row.phase for row in ROWS if row.phase.startswith("prefix.")
}


def fill_row(row: Row, trace: Dia2Trace) -> FilledRow:
    """A row of a trace."""
    return filled(row, _runs(row, trace.phases), lambda: _why_not(row, trace))


def _runs(row: Row, phases: list[PhaseRun]) -> list[PhaseRun]:
    """The phases that make a row."""
    if row.speaker is None:
        return [run for run in phases if run.name == row.phase][:1]
    mine, entries = (_of_speaker(row.speaker, name, phases) for name in ("prefix.voice", "prefix.words"))
    if row.phase == "prefix.voice":
        return mine + entries
    if row.phase == "prefix.words":
        return entries
    return [run for run in phases if run.name == row.phase and mine and run.parent == mine[0].id]


def _of_speaker(speaker: int, name: str, phases: list[PhaseRun]) -> list[PhaseRun]:
    """The phase of that name in which the prefix plan deals with a speaker; none where it does not."""
    plans = [run.id for run in phases if run.name == "prefix.plan"][:1]
    return [run for run in phases if run.name == name and run.parent in plans][speaker - 1 : speaker]


def _was_kept(row: Row, phases: list[PhaseRun]) -> bool:
    """The speaker's codes, or words, were there from an earlier run: so it says where the voice is read."""
    if row.speaker is None:
        return False
    said = [run.outputs.partition("; ")[2] for run in _of_speaker(row.speaker, "prefix.voice", phases)]
    part = "words" if row.phase == "prefix.transcribe" else "codes"
    return any(text in (kept_text([part]), kept_text(["codes", "words"])) for text in said)


def _why_not(row: Row, trace: Dia2Trace) -> str:
    """Why a row was not run, in words."""
    names = {each.name for each in trace.phases}
    streamed = len(trace) > trace.warmup_calls and "loop" not in names
    run, hooks = trace.manifest.run, trace.manifest.hooks
    if hooks is not None and row.phase not in names and "loop" not in names and "state.build" not in names:
        return "not recorded: the hook filter leaves phases out"
    if row.phase in _CLI_PHASES:
        return "called from Python, not from the command line"
    if row.phase == "engine.init":
        return "the engine was made before the recording began"
    if row.phase in _LOADING:
        return "the checkpoint was loaded already"
    if row.phase in _READING and run is not None and run.forked_at is not None:
        return "the run was forked: this is taken from the trace it comes from"
    if (row.number in _PREFIX_ROWS or row.phase == "warmup") and run is not None and not run.prefix_frames:
        return "no prefix was given"
    if row.phase == "prefix.voice" and run is not None:
        return "there is no second speaker"
    if row.phase in ("prefix.transcribe", "prefix.encode") and _was_kept(row, trace.phases):
        return KEPT
    if row.phase == "prefix.transcribe" and "prefix.voice" in names:
        return "words were given, so Whisper was not asked"
    if row.phase == "prefix.encode" and "prefix.voice" in names:
        return "a .voice file holds the codes"
    if row.phase in ("loop", "grid.undelay", "codec.decode", "words.place", "grid.crop") and streamed:
        return "streamed: done piece by piece"
    if row.phase == "wav.write" and trace.complete:
        return "no output file was named"
    if hooks is not None and "loop" in names:
        return "not recorded: the hook filter leaves it out"
    return "it was over before the recording began" if trace.complete else f"the trace ends before it ({trace.state})"
