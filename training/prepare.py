"""Look at recordings, and prepare them for fine-tuning.

    python -m training.prepare RECORDINGS                                    # can they be used? seconds, no checkpoint
    python -m training.prepare RECORDINGS OUTPUT --from nari-labs/Dia2-1B    # and: codes and word times, a report

Fine-tuning does the same by itself, and takes what is prepared already; docs/finetuning.md is the guide.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dia2.common.terminal.command import Job, Parser, run_command

if TYPE_CHECKING:
    from training.recordings.preparing import Preparation

PROGRAM = "training.prepare"


def add_data_options(parser: argparse.ArgumentParser) -> None:
    """The options of all commands that prepare recordings."""
    parser.add_argument("--whisper", default="turbo", help="checkpoint that gives word times where you give none")
    parser.add_argument("--language", help="what is spoken, for Whisper: ru, Russian …; it finds out if none")
    parser.add_argument("--held-back", type=float, default=0.1, metavar="SHARE", help="not learnt from, to measure by")
    parser.add_argument("--skip-bad", action="store_true", help="go on without recordings that cannot be used")
    parser.add_argument(
        "--least-matched",
        type=float,
        default=0.5,
        metavar="SHARE",
        help="of a transcript's words that Whisper must have heard; recordings below are set aside",
    )
    parser.add_argument("--keep-doubtful", action="store_true", help="learn from what would be set aside")


def preparation_of(given: argparse.Namespace) -> Preparation:
    """What these options, `recordings` and `output` ask for."""
    from training.recordings.preparing import Preparation

    return Preparation(
        given.recordings,
        given.output,
        whisper=given.whisper,
        language=given.language,
        held_back=given.held_back,
        skip_bad=given.skip_bad,
        least_matched=given.least_matched,
        keep_doubtful=given.keep_doubtful,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    return run_command(PROGRAM, arguments, _parse)


def _parse(arguments: list[str]) -> Job:
    parser = Parser(prog="python -m training.prepare", description="Look at recordings, and prepare them.")
    parser.add_argument("recordings", type=Path, help="folder of sound files with transcripts, or a table of them")
    parser.add_argument("output", type=Path, nargs="?", help="folder of the run; without it they are only looked at")
    parser.add_argument("--from", dest="source", help="hub repo or folder whose codec to use; the embedded one if none")
    parser.add_argument("--device")
    parser.add_argument("--debug", action="store_true", help="show tracebacks")
    add_data_options(parser)
    given = parser.parse_args(arguments)
    return Job(lambda: _run(given), "give a smaller --whisper, or --device cpu", given.debug)


def _run(given: argparse.Namespace) -> int:
    from training.recordings.preparing import judge_recordings, prepare

    judged = judge_recordings(preparation_of(given))
    if given.output is None:
        print(f"{len(judged.verdict.good):,} of {len(judged.found.clips):,} recordings can be used")
        return 0
    from dia2.engine import Dia2

    source = given.source
    tts = Dia2.nano(device=given.device) if source is None else Dia2.from_repo(source, device=given.device)
    try:
        prepare(tts.runtime, judged)
    except KeyboardInterrupt:
        print("\nstopped; what was prepared is kept, and the same command goes on", file=sys.stderr)
        raise
    return 0


if __name__ == "__main__":
    sys.exit(main())
