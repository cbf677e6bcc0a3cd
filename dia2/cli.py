"""The command line: `dia2 generate …` (also without the word `generate`), `dia2 voice …` and `dia2 trace …`.

Exit codes: 0 done, 1 something failed, 2 bad usage, 130 interrupted (the audio so far is kept).
"""

from __future__ import annotations

if __name__ == "__main__":  # python -m dia2.cli: before the imports that take their time
    from dia2.interrupts import watch

    watch("dia2")

import argparse
import sys
import time
from collections.abc import Sequence
from typing import Any, NoReturn

from dia2 import __version__
from dia2.command import Job, Parser, run_command
from dia2.hooks import Span, phase
from dia2.meant import refuse_near_miss, refuse_text

COMMANDS = ("generate", "voice", "trace")
VIEWS = ("show", "frames", "grid", "diff", "prefix", "hooks", "html", "export")
_MEANT = (
    {name: name for name in COMMANDS}
    | {name: f"trace {name}" for name in VIEWS}
    | {"help": "--help", "version": "--version"}
)
_SAVE_MEMORY = {
    False: "use --dtype bfloat16, a smaller max_context_steps in config.json, or another --device",
    True: "close other programs, or look at the trace on a larger machine",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    return run_command("dia2", argv, _parse)


def _parse(arguments: list[str]) -> Job:
    """Understand the arguments; nothing that takes long is imported unless they are good."""
    named = bool(arguments) and arguments[0] in (*COMMANDS, "-h", "--help", "--version")
    if not named:
        if arguments:
            _refuse_output(arguments[0])
        arguments.insert(0, "generate")
    began = time.perf_counter()
    parser = build_parser(traces=arguments[0] == "trace")
    args, unknown = parser.parse_known_args(arguments)
    if unknown:
        _refuse_unknown(parser, args, unknown)
    spent = time.perf_counter() - began
    args.parsing = Span("cli.parse", {"argv": arguments}, began, ended=True, seconds=spent, result=args)
    if args.command == "generate":
        if not named:
            _refuse_output(args.output)
        refuse_text(args.output)
    return Job(lambda: _run(args), _SAVE_MEMORY[args.command == "trace"], args.debug, getattr(args, "verbose", False))


def _refuse_output(word: str) -> None:
    """Refuse what stands for a command or a text where a file's name is expected.

    Raises:
        UsageError: says what may have been meant.
    """
    if not word.startswith("-"):
        refuse_near_miss(word, _MEANT, f" (A WAV file of that name is written as {word}.wav.)")
        refuse_text(word)


def _refuse_unknown(parser: Parser, args: argparse.Namespace, unknown: list[str]) -> NoReturn:
    text = args.command == "generate" and any(not word.startswith("-") for word in unknown)
    hint = "; a text to be spoken goes after --input" if text else ""
    parser.error(f"unrecognized arguments: {' '.join(unknown)}{hint}")


def _run(args: argparse.Namespace) -> int:
    if args.command == "trace":
        from dia2.inspect.cli import run_trace

        return run_trace(args)
    from dia2 import speaking  # brings torch

    return speaking.generate(args) if args.command == "generate" else speaking.voice(args)


def build_parser(*, traces: bool = True) -> Parser:
    """All flags of all commands; those of `dia2 trace`, which import what other commands do not need, if asked for."""
    parser = Parser(prog="dia2", description="Dialogue text-to-speech that can be looked into.")
    parser.add_argument("--version", action="version", version=f"dia2 {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=Parser)

    speak = commands.add_parser("generate", help="speak a script", description="Speak a script; write a WAV file.")
    speak.add_argument("output", metavar="OUTPUT.wav", help="where to write the audio")
    speak.add_argument(
        "--input",
        default="input.txt",
        metavar="SCRIPT",
        help='a text file, - for standard input, or the text itself: "[S1] Hello. [S2] Hi!" (default: %(default)s)',
    )
    _add_model_flags(speak)
    sampling = speak.add_argument_group("sampling")
    sampling.add_argument("--temperature", type=float, default=0.8, help="of text and audio (default: %(default)s)")
    sampling.add_argument("--topk", type=int, default=50, help="of text and audio (default: %(default)s)")
    sampling.add_argument("--greedy", action="store_true", help="always take the most likely token")
    sampling.add_argument("--cfg", type=float, default=1.0, help="guidance scale, 1 is none (default: %(default)s)")
    sampling.add_argument("--cfg-filter-k", type=int, help="candidates that guidance keeps (default: 50; 0: all)")
    sampling.add_argument("--seed", type=int, help="same seed, same audio (default: a new one, told at the end)")
    sampling.add_argument("--initial-padding", type=int, metavar="FRAMES", help="before the first word (default: 2)")
    prefix = speak.add_argument_group("voice cloning")
    for n in (1, 2):
        prefix.add_argument(f"--prefix-speaker-{n}", metavar="FILE", help=f"recording or .voice file of speaker {n}")
        prefix.add_argument(f"--prefix-words-{n}", metavar="FILE.json", help="its words and times, not by Whisper")
    prefix.add_argument("--whisper", metavar="NAME_OR_PATH", help="Whisper checkpoint (default: turbo)")
    prefix.add_argument("--include-prefix", action="store_true", help="keep the recordings in the output")
    outputs = speak.add_argument_group("more outputs")
    outputs.add_argument("--subtitles", metavar="FILE", help="write subtitles, .srt or .vtt")
    outputs.add_argument("--words", metavar="FILE.json", help="write words, times and speakers")
    outputs.add_argument("--spectrogram", action="store_true", help="draw the sound, with its words, in the terminal")
    outputs.add_argument("--json", action="store_true", help="print the summary as JSON")
    outputs.add_argument("--trace", metavar="FOLDER", help="record the run, for dia2 trace: run.dia2trace")
    outputs.add_argument("--trace-level", choices=("tokens", "topk", "full"), help="how much (default: topk)")
    outputs.add_argument("--trace-hooks", metavar="GLOBS", help="record these hook points only, such as draw.cb0")
    outputs.add_argument("--verbose", action="store_true", help="say what is done")
    outputs.add_argument("--quiet", action="store_true", help="print nothing but errors")
    speed = speak.add_argument_group("speed")
    speed.add_argument("--cuda-graph", action="store_true", help="replay two CUDA graphs a frame")
    speed.add_argument(
        "--torch-compile", action="store_true", help="compile the blocks: a minute once, then faster frames"
    )

    clone = commands.add_parser(
        "voice", help="make a reusable voice", description="Encode and transcribe a recording once, for reuse."
    )
    clone.add_argument("audio", metavar="RECORDING", help="any sound file, some 10 seconds of one speaker")
    clone.add_argument("-o", "--output", required=True, metavar="NAME.voice", help="where to write the voice")
    clone.add_argument("--speaker", type=int, choices=(1, 2), default=1, help="who it is meant for; noted in the file")
    clone.add_argument("--words", metavar="FILE.json", help="words and times, instead of Whisper's")
    clone.add_argument("--whisper", metavar="NAME_OR_PATH", default="turbo", help="checkpoint (default: %(default)s)")
    _add_model_flags(clone)

    trace = commands.add_parser("trace", help="look into a recorded run", description="Look into a recorded run.")
    if traces:
        from dia2.inspect.cli import add_trace_commands

        add_trace_commands(trace)
    return parser


def _add_model_flags(parser: argparse.ArgumentParser) -> None:
    model = parser.add_argument_group("checkpoint (default: the embedded one)")
    model.add_argument("--hf", metavar="REPO", help="hub repo such as nari-labs/Dia2-2B, or a folder laid out like one")
    model.add_argument("--config", metavar="FILE", help="config.json, with --weights")
    model.add_argument("--weights", metavar="FILE", help="model.safetensors, with --config")
    model.add_argument("--nano", action="store_true", help="the embedded checkpoint")
    model.add_argument("--tokenizer", metavar="REPO", help="repo or folder, instead of the checkpoint's own")
    model.add_argument("--mimi", metavar="REPO", help="codec repo or folder, instead of the checkpoint's own")
    model.add_argument("--device", help="cuda, cuda:N, mps or cpu (default: the best there is)")
    model.add_argument("--dtype", default="auto", help="auto, float32 or bfloat16 (default: %(default)s)")
    model.add_argument("--quantize", help="int8: a byte a weight, faster on a CPU and less exact")
    model.add_argument("--strict", action="store_true", help="refuse unknown tensors in the weights")
    model.add_argument("--trust-remote-code", action="store_true", help="let the tokenizer's repo run its own code")
    model.add_argument("--debug", action="store_true", help="show tracebacks")


@phase("config.overrides")
def generation_overrides(args: argparse.Namespace) -> dict[str, Any]:
    """What the flags change on top of the config, as keyword arguments of `Dia2.generate`."""
    return {
        "cfg_filter_k": args.cfg_filter_k,
        "initial_padding": args.initial_padding,
        "seed": args.seed,
        "prefix_speaker_1": args.prefix_speaker_1,
        "prefix_speaker_2": args.prefix_speaker_2,
        "prefix_words_1": args.prefix_words_1,
        "prefix_words_2": args.prefix_words_2,
        "include_prefix": args.include_prefix or None,
        "whisper": args.whisper,
        "use_cuda_graph": args.cuda_graph or None,
        "use_torch_compile": args.torch_compile or None,
    }


if __name__ == "__main__":
    sys.exit(main())
