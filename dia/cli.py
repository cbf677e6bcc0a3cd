"""The command line: `dia generate "[S1] Hello." --output hello.wav`.

Exit codes: 0 done, 1 something failed, 2 bad usage, 130 interrupted (the audio so far is kept). A recorded run is
looked into by `dia2 trace`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console
from rich.text import Text

from dia.generation import GenerationInterrupted, GenerationResult
from dia.model import Dia
from dia2 import __version__
from dia2.command import Parser, check_pair, check_trace_flags, guarded, refuse_clashes
from dia2.console import printable, tell
from dia2.errors import UsageError
from dia2.files import check_sound_writable
from dia2.generation import load_script_text
from dia2.wording import counted

_SAVE_MEMORY = "use --dtype bfloat16, fewer --max-tokens, fewer scripts at a time, or another --device"
_TOY_NOTE = "the embedded toy has random weights and makes noise; for speech give --hf or --config"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    args = build_parser().parse_args(argv)
    return guarded(lambda: generate(args), program="dia", save_memory=_SAVE_MEMORY, debug=args.debug, verbose=False)


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
    model.add_argument("--device", help="cuda, cuda:N, mps or cpu (default: the best there is)")
    model.add_argument("--dtype", default="auto", help="auto, float32 or bfloat16 (default: %(default)s)")
    model.add_argument("--strict", action="store_true", help="refuse texts that are too long, and unknown tensors")
    sampling = speak.add_argument_group("sampling")
    sampling.add_argument("--max-tokens", type=int, metavar="ROWS", help="some 86 a second (default: all positions)")
    sampling.add_argument("--cfg", type=float, help="guidance scale, 0 is none (default: 3)")
    sampling.add_argument("--temperature", type=float, help="0 takes the most likely token (default: 1.2)")
    sampling.add_argument("--top-p", type=float, help="probability that is drawn from (default: 0.95)")
    sampling.add_argument("--cfg-filter-k", type=int, help="candidates that guidance keeps (default: 45)")
    sampling.add_argument("--seed", type=int, help="same seed, same audio (default: a new one, told at the end)")
    outputs = speak.add_argument_group("more outputs")
    outputs.add_argument("--json", action="store_true", help="print the summary as JSON")
    outputs.add_argument("--trace", metavar="FOLDER", help="record the run, for dia2 trace: run.dia2trace")
    outputs.add_argument("--trace-level", choices=("tokens", "topk", "full"), help="how much (default: topk)")
    outputs.add_argument("--trace-hooks", metavar="GLOBS", help="record these hook points only, such as eos.countdown")
    outputs.add_argument("--quiet", action="store_true", help="print nothing but errors")
    outputs.add_argument("--debug", action="store_true", help="show tracebacks")
    speed = speak.add_argument_group("speed")
    speed.add_argument("--cuda-graph", action="store_true", help="replay one CUDA graph a row")
    speed.add_argument("--torch-compile", action="store_true", help="compile the layers: a minute once, then faster")
    return parser


def generate(args: argparse.Namespace) -> int:
    """`dia generate`, recorded if a trace is asked for."""
    check_trace_flags(args)
    outputs = output_paths(args.output, len(args.scripts))
    refuse_clashes(outputs, [*args.scripts, *args.prompt, args.config, args.weights])
    for path in outputs:
        check_sound_writable(path)
    scripts = [load_script_text(source) for source in args.scripts]
    with ExitStack() as stack:
        if args.trace is not None:
            from dia2.inspect.recorder import record  # brings what untraced runs do not need

            stack.enter_context(record(args.trace, level=args.trace_level or "topk", hooks=args.trace_hooks))
        dia = open_checkpoint(args)
        progress = None
        if sys.stderr.isatty() and not args.quiet:
            from dia.progress import progress_bar

            progress = stack.enter_context(progress_bar())
        code = 0
        try:
            result = dia.speak(
                scripts,
                audio_prompt=[path or None for path in args.prompt] or None,
                strict=args.strict,
                progress=progress,
                max_tokens=args.max_tokens,
                cfg_scale=args.cfg,
                temperature=args.temperature,
                top_p=args.top_p,
                cfg_filter_top_k=args.cfg_filter_k,
                seed=args.seed,
                use_torch_compile=args.torch_compile or None,
                use_cuda_graph=args.cuda_graph or None,
            )
        except GenerationInterrupted as interrupt:
            result, code = interrupt.result, 130
        made = [path for path, spoken in zip(outputs, result.scripts, strict=True) if len(spoken.codes)]
        for path, spoken in zip(outputs, result.scripts, strict=True):
            if spoken.waveform is not None and len(spoken.waveform):
                dia.save_audio(path, spoken.waveform)
    if not made:
        tell("error", f"{_nothing(result)}; nothing was written", "dia")
        return code or 1
    _report(args, outputs, result)
    return code


def _nothing(result: GenerationResult) -> str:
    """Why no script has a frame."""
    reasons = {spoken.stop_reason for spoken in result.scripts}
    if "interrupted" in reasons:
        return "interrupted before the first frame was whole"
    return "--max-tokens leaves no room for a frame" if "max_tokens" in reasons else "the model ended at once"


def open_checkpoint(args: argparse.Namespace) -> Dia:
    """Load what the checkpoint flags ask for.

    Raises:
        UsageError: the flags contradict one another.
    """
    check_pair(args)
    if args.hf is not None and args.config is not None:
        raise UsageError("Give one of --hf, and --config with --weights.")
    options = {"compute_dtype": args.dtype, "device": args.device, "dac": args.dac, "strict": args.strict}
    if args.hf is not None:
        return Dia.from_pretrained(args.hf, **options)
    if args.config is not None:
        return Dia.from_local(args.config, args.weights, **options)
    return Dia.toy(**options)


def output_paths(output: str, scripts: int) -> list[str]:
    """A file for each script: the one named, or numbered ones beside it."""
    if scripts == 1:
        return [output]
    path = Path(output)
    return [str(path.with_name(f"{path.stem}-{i + 1}{path.suffix}")) for i in range(scripts)]


def _report(args: argparse.Namespace, outputs: list[str], result: GenerationResult) -> None:
    rate = result.sample_rate or 0
    rows = []
    for path, spoken in zip(outputs, result.scripts, strict=True):
        samples = 0 if spoken.waveform is None else len(spoken.waveform)
        rows.append(
            {
                "output": path if samples else None,
                "duration": samples / rate,
                "frames": len(spoken.codes),
                "stop_reason": spoken.stop_reason,
            }
        )
    if args.json:
        facts = {"sample_rate": rate, "seed": result.seed, "steps": result.steps, "seconds": result.seconds}
        print(json.dumps(facts | {"scripts": rows}))  # noqa: T201  # the command's output
    elif not args.quiet:
        console = Console()
        speed = result.steps / result.seconds if result.seconds else 0.0
        for path, row, spoken in zip(outputs, rows, result.scripts, strict=True):
            said = f"{row['duration']:.2f} s of audio · {counted(spoken.codes.shape[0], 'frame')}"
            said += f" · ended by {_END[spoken.stop_reason]}"
            console.print(Text.assemble((printable(path), "bold"), ": ", said), soft_wrap=True)
        console.print(
            f"{counted(result.steps, 'row')} · {speed:.1f} rows/s · seed {result.seed}", soft_wrap=True, highlight=False
        )
    for path, spoken in zip(outputs, result.scripts, strict=True):
        if not len(spoken.codes):
            tell("warning", f"{path} was not written: its script came out empty", "dia")
    if args.hf is None and args.config is None and not args.quiet:
        tell("note", _TOY_NOTE, "dia")


_END = {"eos": "the model", "max_tokens": "--max-tokens", "interrupted": "Ctrl-C"}


if __name__ == "__main__":
    sys.exit(main())
