"""Dia as a model family of `dia2.inspect`: its declaration, found by the entry point `dia` of `dia2.models`."""

from dia import points as points  # declares the hook points
from dia.adapter.layout import DRAWS, ENCODER_FILE, LAYOUT
from dia.adapter.rows import ROWS
from dia2.inspect.schema.adapter import Adapter

ADAPTER = Adapter(
    family="dia",
    title="Dia",
    rows=ROWS,
    layout=LAYOUT,
    draws=DRAWS,
    files=(ENCODER_FILE,),
    begins="dia.state",
    needed=frozenset({"dia.text", "dia.state", "dia.encoder", "dia.loop", "dia.decode", "step_tokens"}),
    watched=frozenset({"dia.state", "dia.text", "dia.encoder"}),
    engine="dia.model:Dia",
    example="Dia.toy()",
    trace="dia.adapter.trace:DiaTrace",
    recording="dia.adapter.recording:DiaRecording",
    values="dia.adapter.values:DiaValues",
    reports="dia.adapter.reports:REPORTS",
    view="dia.adapter.view:view_of",
    pipeline="dia.adapter.view_pipeline:pipeline",
    codebook="channel",
    calls="dia.adapter.tables:calls",
    measures="dia.adapter.measures:MEASURES",
    findings="dia.adapter.findings:DETECTORS",
    replay="dia.adapter.replay:replay",
    replayed="dia.adapter.replayed:replayed",
)
