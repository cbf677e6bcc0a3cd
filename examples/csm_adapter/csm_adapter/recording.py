"""What a trace keeps of a run of CSM."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from csm_adapter import ADAPTER
from dia2.common.hooks import Span
from dia2.common.wording import counted
from dia2.inspect.record.declared import DeclaredRecording
from dia2.inspect.schema.saying import Sayings, arg, nothing, out, shape
from dia2.inspect.store.declared import DeclaredRun

# Of each phase: its trigger and the state before, then what it changed and what it gave.
SAY: Sayings = {
    "csm.prompt": (
        lambda s: f"ids {shape(arg(s, 'input_ids'))}, seed {arg(s, 'settings').seed}",
        nothing,
        nothing,
        lambda s: counted(out(s).shape[1], "position"),
    ),
    "csm.frames": (
        lambda s: counted(arg(s, "prompt").shape[1], "position") + " of a prompt",
        lambda s: "both caches empty",
        lambda s: f"{counted(len(out(s)), 'frame')} drawn, {counted(out(s).numel(), 'code')}",
        lambda s: f"codes {shape(out(s))}",
    ),
    "csm.decode": (
        lambda s: f"codes {shape(arg(s, 'codes'))}",
        nothing,
        lambda s: "runs Mimi's decoder" if len(arg(s, "codes")) else "none: there is nothing to decode",
        lambda s: counted(len(out(s)), "sample"),
    ),
}


class CsmRecording(DeclaredRecording):
    """See `DeclaredRecording`."""

    adapter = ADAPTER
    say = SAY

    def facts(self, span: Span) -> DeclaredRun:
        """See `DeclaredRecording`."""
        model: Any = span.inputs["model"]
        settings: Any = span.inputs["settings"]
        config, codec = model.config, model.codec_model.config
        return DeclaredRun(
            sizes={"K": config.num_codebooks, "V": config.vocab_size, "text vocabulary": config.text_vocab_size},
            model={
                "name": model.name_or_path or "(in memory)",
                "parameters": sum(part.numel() for part in model.parameters()),
                "backbone layers": config.num_hidden_layers,
                "depth decoder layers": config.depth_decoder_config.num_hidden_layers,
                "device": str(model.device),
                "dtype": str(model.dtype).removeprefix("torch."),
            },
            settings=asdict(settings),
            sample_rate=codec.sampling_rate,
            frame_rate=float(codec.frame_rate),
        )

    def learn(self, span: Span) -> None:
        """See `DeclaredRecording`."""
        result: Any = span.result
        if span.name == "csm.frames":
            self._sink.result(frames=len(result))
            self.ended()
        elif span.name == "csm.decode":
            model: Any = span.inputs["model"]
            self._sink.result(samples=len(result))
            self.sound(result, model.codec_model.config.sampling_rate)
