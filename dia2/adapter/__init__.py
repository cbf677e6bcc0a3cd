"""Dia2 as a model family of `dia2.inspect`: its declaration, found by the entry point `dia2` of `dia2.models`."""

from dia2.adapter.layout import DRAWS, EAR_FILE, EDITS_FILE, LAYOUT, PREFIX_FILE, SPEAKERS, recording_name
from dia2.adapter.rows import ROWS
from dia2.inspect.schema.adapter import Adapter
from dia2.runtime import points as points  # declares the hook points

ADAPTER = Adapter(
    family="dia2",
    title="Dia2",
    rows=ROWS,
    layout=LAYOUT,
    draws=DRAWS,
    files=(PREFIX_FILE, EAR_FILE, EDITS_FILE, *map(recording_name, SPEAKERS)),
    begins="state.build",
    needed=frozenset(
        {
            "script.normalize",
            "prefix.voice",
            "prefix.words",
            "entries.combine",
            "state.build",
            "loop",
            "grid.crop",
            "codec.decode",
            "words.place",
            "step_tokens",
        }
    ),
    watched=frozenset({"state.build", "machine.new_state"}),
    engine="dia2.engine:Dia2",
    example="Dia2.nano()",
    trace="dia2.adapter.trace:Dia2Trace",
    recording="dia2.adapter.recording:Dia2Recording",
    values="dia2.adapter.values:Dia2Values",
    reports="dia2.adapter.reports:REPORTS",
    view="dia2.adapter.view:view_of",
    pipeline="dia2.adapter.view_pipeline:pipeline",
    tracks="dia2.adapter.pictures:tracks",
    attention="dia2.adapter.pictures:Dia2Attention",
    live="dia2.adapter.live:Live",
    knobs="dia2.adapter.knobs:Dia2Knobs",
    word_errors="dia2.adapter.word_errors:word_errors",
    maker="dia2.adapter.maker:open_maker",
    codebooks="dia2.adapter.sound:codebook_samples",
    calls="dia2.adapter.tables:calls",
    replay="dia2.adapter.replay:replay",
    replayed="dia2.adapter.replayed:replayed",
    fork="dia2.adapter.fork:fork",
    findings="dia2.adapter.findings:DETECTORS",
    measures="dia2.adapter.measures:MEASURES",
    witness="dia2.adapter.ear.of:witness",
    doctor="dia2.adapter.doctor:diagnose",
    redact="dia2.adapter.redact:redact",
)
