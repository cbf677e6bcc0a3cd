"""How a trace lies on disk: file names, format version, and bounds on everything that is read."""

from __future__ import annotations

from dia2.common import checks

FORMAT = "dia2trace"
VERSION = 1
SUFFIX = ".dia2trace"

MANIFEST = "manifest.json"
PHASES_FILE = "phases.jsonl"
AUDIO_FILE = "audio.flac"
NOTES_FILE = "notes.json"

# What a reader accepts; a published checkpoint's longest run stays far below each of these.
MAX_MANIFEST = 16 << 20  # bytes
MAX_PHASES = 16 << 20  # bytes
MAX_PHASE_LINES = 20_000
MAX_HEADER = checks.MAX_HEADER  # bytes of a shard's header
MAX_SHARDS = 50_000
MAX_CALLS = 200_000
MAX_SHARD_CALLS = 4096
MAX_CELLS = 1 << 24  # codes of a column, over all calls
MAX_VOCABULARY = 1 << 20
MAX_AUDIO = 512 << 20  # bytes
MAX_AUDIO_SAMPLES = 48_000 * 60 * 30


def audio_name(script: int, scripts: int) -> str:
    """File name of the audio of script `script`, counted from 0: several have a number each."""
    return AUDIO_FILE if scripts == 1 else AUDIO_FILE.replace(".", f"-{script + 1}.")


def shard_name(index: int) -> str:
    """File name of shard `index`, counted from 0."""
    return f"frames-{index:05d}.safetensors"
