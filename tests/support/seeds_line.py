"""The seed's own command, in a process of its own, against a local stand-in for the hub."""

from __future__ import annotations

import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

from .hub import FakeHub
from .reference import ROOT
from .whisper_checkpoint import write_tiny_whisper

LINE = (
    "--hf nari-labs/Dia2-2B --input input.txt --prefix-speaker-1 a.wav --prefix-speaker-2 b.wav "
    "--cuda-graph --verbose output_conditioned.wav"
)


def run_seeds_line(folder: Path, *more: str) -> subprocess.CompletedProcess[str]:
    """Run it in `folder`, with `more` flags.

    Only Whisper's download is replaced: `turbo` is a small random checkpoint, loaded by Whisper's own code.
    """
    whisper = write_inputs(folder)
    program = f"""
        import runpy, sys, whisper
        load = whisper.load_model
        whisper.load_model = lambda name, **more: load({{"turbo": {str(whisper)!r}}}[name], **more)
        sys.argv = ["dia2", *{[*LINE.split(), *more]!r}]
        runpy.run_module("dia2.cli", run_name="__main__")
    """
    repos = {"nari-labs/Dia2-2B": published_repo(folder / "repo"), "kyutai/mimi": ROOT / "tiny8" / "mimi"}
    with FakeHub(repos) as hub:
        return subprocess.run(
            [sys.executable, "-c", textwrap.dedent(program)],
            cwd=folder,
            env=hub.env(folder / "cache"),
            capture_output=True,
            text=True,
            check=False,
        )


def write_inputs(folder: Path) -> Path:
    """The script and the recordings that the line names; returns the checkpoint that stands in for `turbo`."""
    (folder / "input.txt").write_text("[S1] Hello there. [S2] Hi!", encoding="utf-8")
    shutil.copy(ROOT / "tiny8" / "spk1.wav", folder / "a.wav")
    shutil.copy(ROOT / "tiny8" / "spk2.wav", folder / "b.wav")
    return write_tiny_whisper(folder / "whisper.pt")


def published_repo(folder: Path) -> Path:
    """A repo laid out like a published one: tokenizer files beside config and weights, no codec."""
    tiny8 = ROOT / "tiny8"
    folder.mkdir()
    for source in (tiny8 / "config.json", tiny8 / "model.safetensors", *(tiny8 / "tokenizer").iterdir()):
        shutil.copy(source, folder)
    return folder
