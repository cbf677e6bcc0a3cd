"""The command line: `dia generate "[S1] Hello." --output hello.wav`.

Exit codes: 0 done, 1 something failed, 2 bad usage, 130 interrupted (the audio so far is kept). A recorded run is
looked into by `dia2 trace`.
"""

from __future__ import annotations

if __name__ == "__main__":  # python -m dia.cli: before the imports that take their time
    from dia2.common.terminal.interrupts import watch

    watch("dia")

import argparse
import sys
from collections.abc import Sequence

from dia2 import __version__
from dia2.common.terminal import collector
from dia2.common.terminal.command import Job, Parser, add_device_flags, add_report_flags, run_command
from dia2.common.terminal.did_you_mean import refuse_near_miss, refuse_script

_SAVE_MEMORY = "use --dtype bfloat16, fewer --max-tokens, fewer scripts at a time, or another --device"
_MEANT = {"generate": "generate", "help": "--help", "version": "--version"}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    return run_command("dia", argv, _parse)


def _parse(arguments: list[str]) -> Job:
    """Understand the arguments; nothing that takes long is imported unless they are good."""
    if arguments and arguments[0] != "generate" and not arguments[0].startswith("-"):
        refuse_near_miss(arguments[0], _MEANT)
        refuse_script(arguments[0])
    args = build_parser().parse_args(arguments)
    return Job(lambda: _run(args), _SAVE_MEMORY, args.debug)


def _run(args: argparse.Namespace) -> int:
    from dia import speaking  # brings torch

    collector.resume()
    return speaking.generate(args)


def build_parser() -> argparse.ArgumentParser:
    """All flags."""
    parser = Parser(prog="dia", description="Dia, the first generation: an encoder-decoder that speaks.")
    parser.add_argument("--version", action="version", version=f"dia {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=Parser)
    speak = commands.add_parser(
        "generate", help="speak scripts", description="Speak one script, or several at once; write a WAV file for each."
    )
    speak.add_argument(
        "scripts",
        nargs="+",
        metavar="SCRIPT",
        help='a text file, - for standard input, or the text: "[S1] Hi. [S2] Oh!"',
    )
    speak.add_argument(
        "-o", "--output", required=True, metavar="FILE.wav", help="of several scripts: FILE-1.wav, FILE-2.wav, …"
    )
    speak.add_argument(
        "--prompt",
        action="append",
        default=[],
        metavar="FILE",
        help="recording to go on from, whose words the script begins with; for several scripts one each, '' for none",
    )
    model = speak.add_argument_group("checkpoint (default: the embedded toy, which makes noise)")
    model.add_argument("--hf", metavar="REPO", help="hub repo such as nari-labs/Dia-1.6B-0626, or a folder like one")
    model.add_argument("--config", metavar="FILE", help="config.json, with --weights")
    model.add_argument("--weights", metavar="FILE", help="model.safetensors, or .pth of tensors only, with --config")
    model.add_argument("--dac", metavar="REPO", help="codec repo or folder, instead of the published one")
    add_device_flags(model)
    model.add_argument("--strict", action="store_true", help="refuse texts that are too long, and unknown tensors")
    sampling = speak.add_argument_group("sampling")
    sampling.add_argument("--max-tokens", type=int, metavar="ROWS", help="about 86 a second (default: all positions)")
    sampling.add_argument("--cfg", type=float, help="guidance scale, 0 is none (default: 3)")
    sampling.add_argument("--temperature", type=float, help="0 takes the most likely token (default: 1.2)")
    sampling.add_argument("--top-p", type=float, help="probability that is drawn from (default: 0.95)")
    sampling.add_argument("--cfg-filter-k", type=int, help="candidates that guidance keeps (default: 45)")
    sampling.add_argument("--seed", type=int, help="same seed, same audio (default: a new one, shown at the end)")
    outputs = speak.add_argument_group("more outputs")
    add_report_flags(outputs, "eos.countdown")
    outputs.add_argument("--quiet", action="store_true", help="print nothing but errors")
    outputs.add_argument("--debug", action="store_true", help="show tracebacks")
    speed = speak.add_argument_group("speed")
    speed.add_argument("--cuda-graph", action="store_true", help="replay one CUDA graph a row")
    speed.add_argument("--torch-compile", action="store_true", help="compile the layers: a minute once, then faster")
    return parser


if __name__ == "__main__":
    sys.exit(main())
