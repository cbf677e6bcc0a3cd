"""The command line: `dia2 generate …` (also without the word `generate`) and its sisters, see `COMMANDS`.

Exit codes: 0 done, 1 something failed, 2 bad usage, 130 interrupted (the audio so far is kept).
"""

from __future__ import annotations

if __name__ == "__main__":  # python -m dia2.cli: before the imports that take their time
    from dia2.common.terminal.interrupts import watch

    watch("dia2")

import argparse
import sys
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NoReturn

from dia2 import __version__
from dia2.common.errors import UsageError
from dia2.common.files import check_sound_writable, check_writable, write_atomically
from dia2.common.hooks import Level, Span, phase
from dia2.common.terminal import collector
from dia2.common.terminal.command import (
    Job,
    Parser,
    add_device_flags,
    add_report_flags,
    check_pair,
    check_trace_flags,
    keeping,
    refuse_clashes,
    run_command,
)
from dia2.common.terminal.did_you_mean import refuse_near_miss, refuse_text
from dia2.common.wording import counted
from dia2.serve_flags import add_serve_flags
from dia2.sweep_flags import add_query_flags, add_sweep_flags
from dia2.trace_flags import add_trace_commands

if TYPE_CHECKING:  # which bring torch: nothing that takes long is imported unless the arguments are good
    from dia2.common.progress import ProgressCallback
    from dia2.engine import Dia2
    from dia2.generation import GenerationConfig, GenerationResult
    from dia2.inspect.schema.finding import Finding

COMMANDS = ("generate", "voice", "trace", "sweep", "query", "serve")
VIEWS = ("show", "watch", "findings", "frames", "grid", "diff", "prefix", "hooks", "html", "export")
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
    parser = build_parser()
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

        collector.resume()
        return run_trace(args)
    if args.command in ("sweep", "query"):
        from dia2.inspect.sweeps.command import run_query, run_sweep

        collector.resume()
        if args.command == "query":
            return run_query(args)
        from dia2.inspect.views.sweeps import sweep_to_html
        from dia2.inspect.views.sweeps.summary import print_summary

        return run_sweep(args, print_summary, sweep_to_html)
    if args.command == "serve":
        from dia2.serve.command import serve

        return serve(args, open_checkpoint(args))
    return generate(args) if args.command == "generate" else voice(args)


def build_parser() -> Parser:
    """All flags of all commands."""
    parser = Parser(prog="dia2", description="Dialogue text-to-speech you can look into.")
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
    sampling.add_argument("--seed", type=int, help="same seed, same audio (default: a new one, shown at the end)")
    sampling.add_argument("--initial-padding", type=int, metavar="FRAMES", help="before the first word (default: 2)")
    prefix = speak.add_argument_group("voice cloning")
    for n in (1, 2):
        prefix.add_argument(f"--prefix-speaker-{n}", metavar="FILE", help=f"recording or .voice file of speaker {n}")
        prefix.add_argument(
            f"--prefix-words-{n}", metavar="FILE.json", help="its words and times, instead of Whisper's"
        )
    prefix.add_argument("--whisper", metavar="NAME_OR_PATH", help="Whisper checkpoint (default: turbo)")
    prefix.add_argument("--include-prefix", action="store_true", help="keep the recordings in the output")
    outputs = speak.add_argument_group("more outputs")
    outputs.add_argument("--subtitles", metavar="FILE", help="write subtitles, .srt or .vtt")
    outputs.add_argument("--words", metavar="FILE.json", help="write words, times and speakers")
    outputs.add_argument("--spectrogram", action="store_true", help="draw the sound, with its words, in the terminal")
    add_report_flags(outputs, "draw.cb0")
    outputs.add_argument(
        "--no-prefix-sound",
        dest="prefix_sound",
        action="store_false",
        help="let the trace keep no sound of the recordings, only what was made of them",
    )
    _add_doctor_flag(outputs, "do not judge afterwards whether a recorded prefix's words stand where they sound")
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
    clone.add_argument("audio", metavar="RECORDING", help="any sound file, about 10 seconds of one speaker")
    clone.add_argument("-o", "--output", required=True, metavar="NAME.voice", help="where to write the voice")
    clone.add_argument("--speaker", type=int, choices=(1, 2), default=1, help="who it is meant for; noted in the file")
    clone.add_argument("--words", metavar="FILE.json", help="words and times, instead of Whisper's")
    clone.add_argument("--whisper", metavar="NAME_OR_PATH", default="turbo", help="checkpoint (default: %(default)s)")
    _add_doctor_flag(clone, "do not judge the recording, or whether its words stand where they sound")
    _add_model_flags(clone)

    add_trace_commands(
        commands.add_parser("trace", help="look into a recorded run", description="Look into a recorded run.")
    )
    answer = commands.add_parser(
        "serve", help="answer requests for speech", description="Answer requests for speech, by the API of OpenAI's."
    )
    add_serve_flags(answer)
    _add_model_flags(answer)
    many = "Make every combination of some settings, and one dataset of what came out; goes on where it was stopped."
    add_sweep_flags(commands.add_parser("sweep", help="make thousands of runs by a plan", description=many))
    add_query_flags(
        commands.add_parser("query", help="ask a sweep's dataset", description="Ask a sweep's dataset by SQL.")
    )
    return parser


def _add_doctor_flag(group: Any, text: str) -> None:
    group.add_argument("--no-doctor", dest="doctor", action="store_false", help=text)


def _add_model_flags(parser: argparse.ArgumentParser) -> None:
    model = parser.add_argument_group("checkpoint (default: the embedded one)")
    model.add_argument("--hf", metavar="REPO", help="hub repo such as nari-labs/Dia2-2B, or a folder laid out like one")
    model.add_argument("--config", metavar="FILE", help="config.json, with --weights")
    model.add_argument("--weights", metavar="FILE", help="model.safetensors, with --config")
    model.add_argument("--nano", action="store_true", help="the embedded checkpoint")
    model.add_argument("--tokenizer", metavar="REPO", help="repo or folder, instead of the checkpoint's own")
    model.add_argument("--mimi", metavar="REPO", help="codec repo or folder, instead of the checkpoint's own")
    model.add_argument("--lora", metavar="FILE", help="additions to the weights, of training.finetune --lora")
    add_device_flags(model)
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


def open_checkpoint(args: argparse.Namespace) -> Dia2:
    """Build the engine that the checkpoint flags ask for; nothing is loaded yet.

    Raises:
        UsageError: the flags contradict one another.
    """
    from dia2.engine import Dia2  # brings torch

    collector.resume()
    check_pair(args)
    if sum((args.hf is not None, args.config is not None, args.nano)) > 1:
        raise UsageError("Give one of --hf, --config with --weights, and --nano.")
    options = {
        "device": args.device,
        "dtype": args.dtype,
        "quantize": args.quantize,
        "tokenizer_id": args.tokenizer,
        "mimi_id": args.mimi,
        "lora": args.lora,
        "strict": args.strict,
        "trust_remote_code": args.trust_remote_code,
    }
    if args.hf is not None:
        return Dia2.from_repo(args.hf, **options)
    if args.config is not None:
        return Dia2.from_local(args.config, args.weights, **options)
    return Dia2.nano(**options)


def generation_config(args: argparse.Namespace) -> GenerationConfig:
    """Check the sampling flags and turn them into a config.

    Raises:
        UsageError: a value is out of range.
    """
    from dia2.generation import SamplingConfig, build_generation_config, validate_generation_params

    validate_generation_params(temperature=args.temperature, top_k=args.topk, cfg_scale=args.cfg)
    config = build_generation_config(temperature=args.temperature, top_k=args.topk, cfg_scale=args.cfg)
    if args.greedy:
        greedy = SamplingConfig(0.0, args.topk)
        config = replace(config, text=greedy, audio=greedy)
    return config


def generate(args: argparse.Namespace) -> int:
    """`dia2 generate`, recorded if a trace is asked for."""
    check_trace_flags(args)
    if args.trace is None and not args.prefix_sound:
        raise UsageError("--no-prefix-sound says what a trace holds: give --trace FOLDER too.")
    if args.trace is None:
        return run_generate(args)
    from dia2.inspect.record.recorder import record  # brings what untraced runs do not need

    level: Level = args.trace_level or "topk"
    with record(
        args.trace, level=level, hooks=args.trace_hooks, prefix_sound=args.prefix_sound, doctor=args.doctor
    ) as recorder:
        recorder.happened(args.parsing)
        code = run_generate(args)
        with _bar(args.quiet or args.prefix_speaker_1 is None):
            recorder.examine()
        return code


def _bar(hidden: bool = False) -> AbstractContextManager[ProgressCallback | None]:
    """A progress bar, where somebody looks."""
    from dia2.common.progress import progress_bar

    return nullcontext() if hidden or not sys.stderr.isatty() else progress_bar()


def run_generate(args: argparse.Namespace) -> int:
    """Check, generate, write, report."""
    from dia2.common.terminal.summary import tell
    from dia2.generation import GenerationInterrupted, load_script_text
    from dia2.runtime.subtitles import check_subtitle_path, words_json, write_subtitles

    outputs = [path for path in (args.output, args.subtitles, args.words) if path]
    prefix = [args.prefix_speaker_1, args.prefix_speaker_2, args.prefix_words_1, args.prefix_words_2]
    refuse_clashes(outputs, [args.input, args.config, args.weights, args.lora, *prefix])
    check_sound_writable(args.output)
    for path in outputs[1:]:
        check_writable(path)
    if args.subtitles:
        check_subtitle_path(args.subtitles)
    tts = open_checkpoint(args)
    script = load_script_text(args.input)
    config = generation_config(args)
    overrides = generation_overrides(args)
    code = 0
    with _bar(args.quiet) as draw:
        try:
            result = tts.generate(
                script,
                config,
                output_wav=args.output,
                verbose=args.verbose,
                progress=keeping(draw),
                **overrides,
            )
        except GenerationInterrupted as interrupt:
            result, code = interrupt.result, 130
    if not len(result.waveform):
        why = "interrupted" if code else f"the model's limit of {counted(result.frames, 'frame')} was reached"
        tell("error", f"{why} before the first frame of audio was complete; nothing was written")
        return code or 1
    if args.subtitles:
        write_subtitles(args.subtitles, result)
    if args.words:
        write_atomically(args.words, words_json(result).encode())
    _report(args, result)
    return code


def _report(args: argparse.Namespace, result: GenerationResult) -> None:
    from dia2.audio.spectrogram import print_spectrogram
    from dia2.common.terminal.summary import print_summary, summary_json, tell
    from dia2.runtime.assets import NANO_NOTE, NANO_VOICES_NOTE

    if args.json:
        print(summary_json(result, args.output))  # noqa: T201  # the command's output
    elif not args.quiet:
        print_summary(result, args.output)
        if args.spectrogram:
            print_spectrogram(result)
    if result.stop_reason == "interrupted":
        tell("note", f"interrupted; the first {result.duration:.2f} s are kept in {args.output}")
    elif result.stop_reason == "context":
        tell(
            "warning",
            f"the model's limit of {counted(result.frames, 'frame')} ended the run: {counted(result.unspoken, 'word')} "
            f"{'was' if result.unspoken == 1 else 'were'} not spoken",
        )
    if args.hf is None and args.config is None and not args.quiet:
        tell("note", NANO_VOICES_NOTE if args.prefix_speaker_1 else NANO_NOTE)


def voice(args: argparse.Namespace) -> int:
    """`dia2 voice`."""
    from dia2.common.terminal.summary import tell

    refuse_clashes([args.output], [args.audio, args.words])
    tts = open_checkpoint(args)
    found: Sequence[Finding] = ()
    with _bar():
        made = tts.save_voice(args.audio, args.output, speaker=args.speaker, words=args.words, whisper=args.whisper)
        if args.doctor:
            from dia2.adapter.ear.voice import voice_findings

            found = voice_findings(tts, made, args.speaker)
    for finding in found:
        tell("warning" if finding.severity == "bad" else "note", f"{finding.text} → {finding.fix}")
    tell("note", f"{args.output} is ready: give it to --prefix-speaker-{args.speaker}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
