"""What `dia generate` does."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from dia.generation import GenerationInterrupted, GenerationResult, merged
from dia.model import Dia, prompts_of
from dia.text import check_texts
from dia2.common.errors import UsageError
from dia2.common.files import check_sound_writable
from dia2.common.messages import printable
from dia2.common.terminal.command import check_pair, check_trace_flags, keeping, refuse_clashes
from dia2.common.terminal.summary import tell
from dia2.common.wording import counted
from dia2.generation import load_script_text
from dia2.runtime.audio_io import load_audio

_RATE = 44_100  # Hz, of every DAC that Dia speaks by
_TOY_NOTE = "the embedded toy has random weights and makes noise; for speech give --hf or --config"


def generate(args: argparse.Namespace) -> int:
    """`dia generate`, recorded if a trace is asked for."""
    check_trace_flags(args)
    outputs = output_paths(args.output, len(args.scripts))
    refuse_clashes(outputs, [*args.scripts, *args.prompt, args.config, args.weights])
    for path in outputs:
        check_sound_writable(path)
    scripts = [load_script_text(source) for source in args.scripts]
    prompts = [path or None for path in args.prompt] or None
    settings = {
        "max_tokens": args.max_tokens,
        "cfg_scale": args.cfg,
        "temperature": args.temperature,
        "top_p": args.top_p,
        "cfg_filter_top_k": args.cfg_filter_k,
        "seed": args.seed,
        "use_torch_compile": args.torch_compile or None,
        "use_cuda_graph": args.cuda_graph or None,
    }
    _judge(scripts, prompts, settings)
    with ExitStack() as stack:
        if args.trace is not None:
            from dia2.inspect.record.recorder import record  # brings what untraced runs do not need

            stack.enter_context(record(args.trace, level=args.trace_level or "topk", hooks=args.trace_hooks))
        dia = open_checkpoint(args)
        draw = None
        if sys.stderr.isatty() and not args.quiet:
            from dia.progress import progress_bar

            draw = stack.enter_context(progress_bar())
        code = 0
        try:
            result = dia.speak(
                scripts,
                audio_prompt=prompts,
                strict=args.strict,
                progress=keeping(draw),
                **settings,
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


def _judge(scripts: list[str], prompts: list[str | None] | None, settings: dict[str, Any]) -> None:
    """Refuse what no checkpoint could use before one is loaded.

    Raises:
        UsageError: as `Dia.speak`.
    """
    merged(None, settings)
    check_texts(scripts)
    logger = logging.getLogger("dia2")
    logger.disabled = True  # what is to be told of a recording is told where it is used
    try:
        for path in prompts_of(len(scripts), prompts):
            if isinstance(path, str):
                load_audio(path, _RATE, "Audio prompt")
    finally:
        logger.disabled = False


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
            said = f"{row['duration']:.2f} s of audio · {counted(len(spoken.codes), 'frame')}"
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
