"""What the command line prints: errors, notes, and the summary of a run."""

from __future__ import annotations

import json
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from dia2.common.messages import printable, sentence
from dia2.common.wording import counted

if TYPE_CHECKING:  # nothing in this room needs a model
    from dia2.generation import GenerationResult


_FACTS = (  # of a result, for machines
    *("sample_rate", "duration", "frames", "seconds", "speaking_seconds", "seed", "stop_reason", "unspoken"),
    *("first_word_frame", "crop", "peak_host_bytes", "peak_device_bytes", "products"),
)


def tell(kind: str, message: str, program: str = "dia2") -> None:
    """Print one line on standard error: `dia2: error: …`."""
    style = {"error": "bold red", "warning": "yellow"}.get(kind, "cyan")
    line = Text.assemble(f"{program}: ", (f"{kind}: ", style), sentence(" ".join(message.split())))
    Console(stderr=True).print(line, soft_wrap=True)


def print_summary(result: GenerationResult, output: str | Path, console: Console | None = None) -> None:
    """Say what was made: length, speed, seed, and every word with the second at which it sounds, a row per turn."""
    console = console or Console()
    spent = result.seconds if result.speaking_seconds is None else result.speaking_seconds
    facts = (
        f"{result.duration:.2f} s of audio",
        counted(result.frames, "frame"),
        f"{result.frames / spent if spent else 0.0:.1f} frames/s",
        f"{result.duration / spent if spent else 0.0:.2f} × real time",
        f"seed {result.seed}",
    )
    console.print(Text.assemble((printable(str(output)), "bold"), ": ", " · ".join(facts)), soft_wrap=True)
    table = Table(box=None, padding=(0, 2, 0, 0), show_edge=False)
    table.add_column("time", justify="right", style="dim", no_wrap=True)
    table.add_column("who", no_wrap=True)
    table.add_column("words, each with its second", no_wrap=True, overflow="fold")
    clock = max((len(f"{word.seconds:.2f}") for word in result.words), default=0)
    room = console.width - max(clock, len("time")) - len("  who    ")  # what the other columns and gaps leave
    for speaker, group in groupby(result.words, key=lambda word: word.speaker):
        words = list(group)
        pieces = [Text.assemble(printable(word.text), (f"\u00a0{word.seconds:.2f}", "dim")) for word in words]
        start = f"{words[0].seconds:.2f}"
        table.add_row(start, Text(f"S{speaker}", "blue" if speaker == 1 else "magenta"), _wrap(pieces, room))
    console.print(table)


def _wrap(pieces: list[Text], width: int) -> Text:
    """Set pieces into lines of at most `width` cells; rich itself would break between a word and its time."""
    lines = [Text()]
    for piece in pieces:
        if lines[-1] and lines[-1].cell_len + 1 + piece.cell_len > width:
            lines.append(Text())
        lines[-1].append(" " if lines[-1] else "").append_text(piece)
    return Text("\n").join(lines)


def summary_json(result: GenerationResult, output: str | Path) -> str:
    """The summary for machines, one JSON object."""
    facts = {name: getattr(result, name) for name in _FACTS}
    return json.dumps({"output": str(output), **facts, "words": word_rows(result)})


def word_rows(result: GenerationResult) -> list[dict[str, object]]:
    """Every word with the second at which it sounds, and its speaker."""
    return [{"text": word.text, "start": word.seconds, "speaker": word.speaker} for word in result.words]
