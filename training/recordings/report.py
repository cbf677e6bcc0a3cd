"""What was found in a set of recordings, for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table
from rich.text import Text

from dia2.common.messages import printable
from dia2.common.wording import counted
from training.recordings.clips import Fault
from training.recordings.doubts import Ready, worst


@dataclass(frozen=True)
class Summary:
    """A set of recordings in figures."""

    layout: str
    seen: int  # recordings that are learnt from
    unseen: int  # held back
    seconds: float  # of sound, of both
    words: int  # likewise
    speakers: tuple[int, ...]  # 1, 2
    faults: tuple[Fault, ...]  # cannot be used
    notes: tuple[Fault, ...]  # not quite right
    ready: tuple[Ready, ...]  # all that were prepared, the doubtful too
    doubtful_kept: bool = False  # they are learnt from all the same

    @property
    def doubtful(self) -> list[Ready]:
        """What is set aside, if it is not kept."""
        return [one for one in self.ready if one.doubts]

    def rows(self) -> list[tuple[str, str]]:
        """Names and values, as every report has them."""
        return [
            ("layout", self.layout),
            ("sound", f"{self.seconds / 60:.1f} minutes"),
            ("words", f"{self.words:,}"),
            ("speakers", ", ".join(f"[S{who}]" for who in self.speakers) or "none"),
            ("recordings learnt from", f"{self.seen:,}"),
            ("held back to measure by", f"{self.unseen:,}" if self.unseen else "none: there will be no validation"),
            ("doubtful, and learnt from" if self.doubtful_kept else "set aside as doubtful", f"{len(self.doubtful):,}"),
            ("faults", f"{len(self.faults):,}"),
        ]


def print_report(console: Console, summary: Summary) -> None:
    """Print the figures, and the worst recordings."""
    table = Table(title="Recordings", show_header=False, title_justify="left")
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in summary.rows():
        table.add_row(name, Text(printable(value)))
    console.print(table)
    if found := worst(summary.ready):
        print_worst(console, found)


def print_worst(console: Console, found: Sequence[Ready]) -> None:
    """Print recordings with what was heard, those to be listened to first."""
    table = Table(title=f"The worst {counted(len(found), 'recording')}", title_justify="left", show_lines=True)
    table.add_column("recording", overflow="fold")
    table.add_column("heard", justify="right", no_wrap=True)
    table.add_column("its transcript, and what Whisper heard", overflow="fold")
    table.add_column("doubtful, because", overflow="fold")
    for one in found:
        share = "–" if one.prepared.matched is None else f"{one.prepared.matched:.0%}"
        both = f"{_cut(one.text)}\n{_cut(one.prepared.heard)}" if one.prepared.heard else _cut(one.text)
        table.add_row(
            Text(printable(one.judged.clip.name)), share, Text(both), Text(printable("; ".join(one.doubts)) or "no")
        )
    console.print(table)


def print_faults(console: Console, title: str, faults: Sequence[Fault]) -> None:
    """Print what is wrong with which recordings, all of it; nothing where there is none."""
    if not faults:
        return
    table = Table(title=f"{title} ({len(faults):,})", title_justify="left")
    table.add_column("recording", overflow="fold")
    table.add_column("what", overflow="fold")
    for fault in faults:
        table.add_row(Text(printable(fault.name)), Text(printable(fault.what)))
    console.print(table)


def _cut(text: str) -> str:
    """A text as far as it is needed to know it again."""
    shown = printable(text)
    return shown if len(shown) <= 120 else f"{shown[:120]}…"
