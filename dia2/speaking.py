"""The commands that open a checkpoint: `dia2 generate` and `dia2 voice`."""

from __future__ import annotations

import argparse
import sys
from contextlib import nullcontext
from dataclasses import replace

from dia2.assets import NANO_NOTE, NANO_VOICES_NOTE
from dia2.cli import generation_overrides
from dia2.command import check_pair, check_trace_flags, keeping, refuse_clashes
from dia2.console import print_summary, summary_json, tell, words_json
from dia2.engine import Dia2
from dia2.errors import UsageError
from dia2.files import check_sound_writable, check_writable, write_atomically
from dia2.generation import (
    GenerationConfig,
    GenerationInterrupted,
    GenerationResult,
    SamplingConfig,
    build_generation_config,
    load_script_text,
    validate_generation_params,
)
from dia2.progress import progress_bar
from dia2.spectrogram import print_spectrogram
from dia2.subtitles import check_subtitle_path, write_subtitles
from dia2.wording import counted


def open_checkpoint(args: argparse.Namespace) -> Dia2:
    """Build the engine that the checkpoint flags ask for; nothing is loaded yet.

    Raises:
        UsageError: the flags contradict one another.
    """
    check_pair(args)
    if sum((args.hf is not None, args.config is not None, args.nano)) > 1:
        raise UsageError("Give one of --hf, --config with --weights, and --nano.")
    options = {
        "device": args.device,
        "dtype": args.dtype,
        "quantize": args.quantize,
        "tokenizer_id": args.tokenizer,
        "mimi_id": args.mimi,
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
    validate_generation_params(temperature=args.temperature, top_k=args.topk, cfg_scale=args.cfg)
    config = build_generation_config(temperature=args.temperature, top_k=args.topk, cfg_scale=args.cfg)
    if args.greedy:
        greedy = SamplingConfig(0.0, args.topk)
        config = replace(config, text=greedy, audio=greedy)
    return config


def generate(args: argparse.Namespace) -> int:
    """`dia2 generate`, recorded if a trace is asked for."""
    check_trace_flags(args)
    if args.trace is None:
        return run_generate(args)
    from dia2.inspect.recorder import record  # brings what untraced runs do not need

    with record(args.trace, level=args.trace_level or "topk", hooks=args.trace_hooks) as recorder:
        recorder.happened(args.parsing)
        return run_generate(args)


def run_generate(args: argparse.Namespace) -> int:
    """Check, generate, write, report."""
    outputs = [path for path in (args.output, args.subtitles, args.words) if path]
    prefix = [args.prefix_speaker_1, args.prefix_speaker_2, args.prefix_words_1, args.prefix_words_2]
    refuse_clashes(outputs, [args.input, args.config, args.weights, *prefix])
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
    with progress_bar() if sys.stderr.isatty() and not args.quiet else nullcontext() as draw:
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
    refuse_clashes([args.output], [args.audio, args.words])
    tts = open_checkpoint(args)
    with progress_bar() if sys.stderr.isatty() else nullcontext():
        tts.save_voice(args.audio, args.output, speaker=args.speaker, words=args.words, whisper=args.whisper)
    tell("note", f"{args.output} is ready: give it to --prefix-speaker-{args.speaker}")
    return 0
