"""The flags of `dia2 trace show|watch|findings|frames|grid|diff|prefix|hooks|html|export`.

They stand apart from what is run, `dia2.inspect.cli`, which brings NumPy and more: `--help` and a flag that is mistyped
are answered at once.
"""

from __future__ import annotations

import argparse

from dia2.common.checks import short

_MOST_DIGITS = 4  # of a row's number


def add_trace_commands(parser: argparse.ArgumentParser) -> None:
    """Give `parser`, which is that of `dia2 trace`, its subcommands; `dia2.inspect.cli` runs what they parse."""
    commands = parser.add_subparsers(dest="view", required=True, metavar="VIEW")

    show = _command(commands, "show", "what a run was, and the rows it went through")
    show.add_argument("--full", action="store_true", help="all that each row read, changed and gave")
    show.add_argument("--rows", type=_rows, metavar="FIRST-LAST", help="these rows alone, in full (also one: 17)")

    _command(commands, "watch", "a run while it is recorded, until it is over")

    found = _command(commands, "findings", "what is wrong with a run, where, and what to do; worst first")
    found.add_argument("--hear", action="store_true", help="also listen with Whisper for words that came out otherwise")
    found.add_argument("--whisper", default="base", metavar="MODEL", help="the one to listen with (default: base)")
    found.add_argument(
        "--fail-on", choices=("bad", "note"), help="exit with 1 if there is a finding as bad as this, or worse"
    )
    _add_script(found)

    frames = _command(commands, "frames", "the calls of the transformer, a line each; or one of them in full")
    frames.add_argument("--from", dest="first", type=int, metavar="CALL", help="first call (default: 0)")
    frames.add_argument("--to", dest="last", type=int, metavar="CALL", help="last call (default: 23 after the first)")
    frames.add_argument("--word", help="start a little before the call that took this word")
    frames.add_argument("--call", type=int, help="show one call in full")
    _add_script(frames)

    grid = _command(commands, "grid", "the delayed grid of codes, and where each cell comes from")
    grid.add_argument("--from", dest="first", type=int, metavar="COLUMN", help="first column, of Dia row (default: 0)")
    grid.add_argument("--to", dest="last", type=int, metavar="COLUMN", help="last one (default: what fits)")
    grid.add_argument(
        "--codes",
        action=argparse.BooleanOptionalAction,
        help="show the codes, or only where they come from (default: the codes, if there is room for all)",
    )
    _add_script(grid)

    diff = _command(commands, "diff", "the first call where two runs part, and why")
    diff.add_argument("other", metavar="OTHER", help="the trace to compare with")
    diff.add_argument(
        "--ignore",
        action="append",
        default=[],
        metavar="WHAT",
        help="something that may differ, as the report names it, or a pattern as 'codebook *'; may be repeated",
    )

    _command(commands, "prefix", "what became of a voice clone's prefix, and what is wrong with it")

    _command(commands, "hooks", "every hook point; with a trace, which of them it has", path_needed=False)

    html = _command(commands, "html", "write the explorer of a trace as one HTML file, for any browser")
    html.add_argument("-o", "--output", required=True, metavar="FILE", help="where to write it")
    html.add_argument("--other", metavar="TRACE", help="a second trace, shown beside it with what differs marked")
    html.add_argument(
        "--call", type=int, metavar="CALL", help="where to begin (default: the first, or where they part)"
    )
    html.add_argument(
        "--no-voice", dest="voice", action="store_false", help="leave out the recordings of the prefix, and its codes"
    )
    html.add_argument("--no-notes", dest="notes", action="store_false", help="leave out the notes pinned to calls")
    _add_script(html)

    export = _command(commands, "export", "write a trace's tables as Parquet files")
    export.add_argument("-o", "--output", required=True, metavar="FOLDER", help="where to write them")


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    text: str,
    *,
    path_needed: bool = True,
) -> argparse.ArgumentParser:
    """A subcommand on a trace, with the flags that all have."""
    parser = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
    parser.add_argument("path", metavar="TRACE", nargs=None if path_needed else "?", help="folder that --trace wrote")
    parser.add_argument("--json", action="store_true", help="print the facts as one JSON document")
    parser.add_argument("--no-times", dest="times", action="store_false", help="leave out wall times and dates")
    parser.add_argument(
        "--width", type=int, metavar="COLUMNS", help="lay out for this many columns (default: the terminal's)"
    )
    parser.add_argument("--debug", action="store_true", help="show tracebacks")
    return parser


def _add_script(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--script", type=int, metavar="N", help="of a batch of Dia: which script, counted from 1")


def _rows(text: str) -> tuple[int, int]:
    """`7-12` or `7` as numbers of rows."""
    first, to, last = text.partition("-")
    numbers = (first, last) if to else (first, first)
    if not all(number.isdecimal() and len(number) <= _MOST_DIGITS for number in numbers):
        raise argparse.ArgumentTypeError(f"give numbers of rows, as 7-12 or 17, not {short(text)}")
    return int(numbers[0]), int(numbers[1])
