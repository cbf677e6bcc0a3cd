"""The first second: what each command costs from the start of its process, beside what importing torch costs.

    python benchmarks/startup.py [--rounds 9] [--only help trace]

Every round runs every command once, each in a process of its own, forwards and backwards by turns; a first round, after
which Python's compiled files are written and the libraries are in the page cache, is not counted. Ratios and
differences are medians of each round's, whose processes are neighbours in time. On a machine that others use, too, look
at the processor's seconds rather than at the clock's.

Sound is heard when the first chunk of a stream has come; that process is asked when that was. All others are waited for
to their end.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from report import keep
from rich.console import Console
from rich.progress import track
from rich.table import Table

ROOT = Path(__file__).parents[1]
SAMPLE = str(ROOT / "dia2" / "runtime" / "nano" / "sample.dia2trace")
BASE = "import torch"
HEARD = """
import time
from dia2 import Dia2
stream = Dia2.nano().stream("[S1] Hello there.", seed=1)
next(stream)
print(time.monotonic())
stream.close()
"""


@dataclass(frozen=True)
class Timed:
    """Seconds of one process."""

    wall: float  # from its start to its end, or to what it says
    cpu: float  # of the processor, until it ended


@dataclass(frozen=True)
class Limit:
    """How long a command may take at most; `torch` is what importing torch takes."""

    text: str
    holds: Callable[[list[float], list[float]], bool]  # seconds of each round, and torch's


def at_most(seconds: float, share: float | None = None) -> Limit:
    """So many seconds, and this share of torch's."""
    text = f"{seconds:g} s" + ("" if share is None else f", {share:g} × torch")
    return Limit(
        text,
        lambda own, torch: (
            statistics.median(own) <= seconds and (share is None or statistics.median(ratios(own, torch)) <= share)
        ),
    )


def after_torch(seconds: float) -> Limit:
    """So many seconds more than torch's."""
    return Limit(f"torch + {seconds:g} s", lambda own, torch: statistics.median(differences(own, torch)) <= seconds)


def ratios(own: list[float], torch: list[float]) -> list[float]:
    """Of each round."""
    return [mine / theirs for mine, theirs in zip(own, torch, strict=True)]


def differences(own: list[float], torch: list[float]) -> list[float]:
    """Of each round."""
    return [mine - theirs for mine, theirs in zip(own, torch, strict=True)]


@dataclass(frozen=True)
class Command:
    """What is timed."""

    name: str
    arguments: tuple[str, ...]  # of the interpreter
    limit: Limit | None = None
    says_when: bool = False  # it prints the moment until which it is timed, by time.monotonic


COMMANDS = (
    Command("python -c pass", ("-c", "pass")),
    Command(BASE, ("-c", BASE)),
    Command("dia2 --help", ("-m", "dia2", "--help"), at_most(0.25, 0.25)),
    Command("dia2 trace --help", ("-m", "dia2", "trace", "--help"), at_most(0.25, 0.25)),
    Command("dia --help", ("-m", "dia", "--help"), at_most(0.25, 0.25)),
    Command("dia2 trace show", ("-m", "dia2", "trace", "show", SAMPLE), at_most(0.8)),
    Command("dia2 trace frames", ("-m", "dia2", "trace", "frames", SAMPLE), at_most(0.8)),
    Command("dia2 trace grid", ("-m", "dia2", "trace", "grid", SAMPLE), at_most(0.8)),
    Command(
        "dia2 generate, one word",
        ("-m", "dia2", "generate", "word.wav", "--nano", "--input", "[S1] Hi.", "--seed", "1"),
        at_most(2.5),
    ),
    Command("first sound of a stream", ("-c", HEARD), after_torch(0.8), says_when=True),
    Command(
        "dia generate, 30 rows",
        ("-m", "dia", "generate", "[S1] Hi.", "-o", "rows.wav", "--max-tokens", "30", "--seed", "1"),
    ),
)


def run(command: Command, folder: str) -> Timed:
    """Run a command in `folder`; what it prints is dropped.

    Raises:
        SystemExit: it failed.
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.monotonic()
    done = subprocess.run(  # noqa: S603  # the project's own commands
        [sys.executable, *command.arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},  # this tree, wherever the package is installed from
        capture_output=True,
        text=True,
        check=False,
    )
    ended = time.monotonic()
    if done.returncode:
        raise SystemExit(f"{command.name} failed:\n{done.stderr}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Timed((float(done.stdout) if command.says_when else ended) - began, cpu)


def measure(commands: list[Command], rounds: int, console: Console) -> dict[str, list[Timed]]:
    """All rounds of all commands, by name."""
    found: dict[str, list[Timed]] = {command.name: [] for command in commands}
    with tempfile.TemporaryDirectory(prefix="dia2-startup-") as folder:
        for turn in track(range(rounds + 1), console=console, description="starting"):
            for command in commands if turn % 2 else reversed(commands):
                timed = run(command, folder)
                if turn:
                    found[command.name].append(timed)
    return found


def row(command: Command, timed: list[Timed], torch: list[Timed]) -> dict[str, Any]:
    """The figures of a command."""
    own, base = [one.wall for one in timed], [one.wall for one in torch]
    return {
        "name": command.name,
        "seconds": statistics.median(own),
        "least": min(own),
        "most": max(own),
        "cpu_seconds": statistics.median(one.cpu for one in timed),
        "of_torch": statistics.median(ratios(own, base)),
        "after_torch": statistics.median(differences(own, base)),
        "limit": None if command.limit is None else command.limit.text,
        "holds": None if command.limit is None else command.limit.holds(own, base),
    }


def main() -> None:
    """Print the table, keep the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9, help="that count (default: %(default)s)")
    parser.add_argument("--only", nargs="+", metavar="TEXT", help="commands whose names have one of these in them")
    given = parser.parse_args()
    if given.rounds < 1:
        parser.error("--rounds must be 1 or more")
    commands = [
        command
        for command in COMMANDS
        if command.name == BASE or given.only is None or any(text in command.name for text in given.only)
    ]
    console = Console()
    found = measure(commands, given.rounds, console)
    rows = [row(command, found[command.name], found[BASE]) for command in commands]
    table = Table("command", "s", "least … most", "processor, s", "× torch", "torch +", "at most", "")
    for facts in rows:
        table.add_row(
            facts["name"],
            f"{facts['seconds']:.2f}",
            f"{facts['least']:.2f} … {facts['most']:.2f}",
            f"{facts['cpu_seconds']:.2f}",
            f"{facts['of_torch']:.2f}",
            f"{facts['after_torch']:+.2f}",
            facts["limit"] or "",
            {None: "", True: "✓", False: "✗"}[facts["holds"]],
        )
    console.print(table)
    versions = {"python": sys.version.split()[0], "processors": os.cpu_count()}
    if given.only is None:  # a part would stand in the place of the whole
        keep(console, "startup", versions | {"rounds": given.rounds, "rows": rows})


if __name__ == "__main__":
    main()
