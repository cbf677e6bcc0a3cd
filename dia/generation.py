"""What a run is asked for, and what it gives."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Literal

from dia.config import DiaConfig
from dia2.common.brief import brief_repr
from dia2.common.checks import is_number, make_plain, short
from dia2.common.errors import UsageError

if TYPE_CHECKING:  # looking at a trace needs none
    from torch import Tensor

NOT_BEGUN = -1  # a countdown, or the row of an end
StopReason = Literal["eos", "max_tokens", "interrupted"]


@dataclass(frozen=True)
class GenerationConfig:
    """Sampling, guidance and length; checked when it is made."""

    __repr__ = brief_repr

    max_tokens: int | None = None  # rows of the delayed grid; `None`: as many as the decoder has positions
    cfg_scale: float = 3.0  # guided = cond + scale · (cond − uncond): 0 turns guidance off
    temperature: float = 1.2  # 0 is argmax
    top_p: float = 0.95  # the best that have so much of the probability together
    cfg_filter_top_k: int = 45  # candidates that guidance keeps, and that are drawn from
    seed: int | None = None  # script i of a batch is drawn with seed + i; `None`: a new one, told in the result
    use_torch_compile: bool = False
    use_cuda_graph: bool = False  # one graph a step

    def __post_init__(self) -> None:
        """Check every field.

        Raises:
            UsageError: names the field.
        """
        make_plain(self)
        for name, least, most in (("cfg_scale", 0.0, None), ("temperature", 0.0, None), ("top_p", 0.0, 1.0)):
            value = getattr(self, name)
            if not is_number(value) or value < least or (most is not None and value > most):
                wanted = f"{least:g} to {most:g}" if most is not None else f"a finite number from {least:g}"
                raise UsageError(f"{name} must be {wanted}, not {short(value)}.")
        for name, least, most in (("cfg_filter_top_k", 1, 1 << 31), ("max_tokens", 2, 1 << 31), ("seed", 0, 1 << 64)):
            value = getattr(self, name)
            if value is None and name != "cfg_filter_top_k":
                continue
            if isinstance(value, bool) or not isinstance(value, int) or not least <= value < most:
                raise UsageError(f"{name} must be a whole number from {least} to {most - 1}, not {short(value)}.")


def merged(base: GenerationConfig | None, overrides: dict[str, Any]) -> GenerationConfig:
    """`base`, or the defaults, with what is not None in `overrides` on top.

    Raises:
        UsageError: an unknown field, or a value out of range.
    """
    known = [field.name for field in fields(GenerationConfig)]
    for name in overrides:
        if name not in known:
            raise UsageError(f"There is no setting {name!r}: choose {', '.join(known)}.")
    given = {name: value for name, value in overrides.items() if value is not None}
    return replace(base or GenerationConfig(), **given)


def rows_of(config: GenerationConfig, model: DiaConfig, prefill_steps: list[int]) -> int:
    """Rows of the delayed grid that a run may fill.

    Raises:
        UsageError: the decoder has fewer positions, or the prompts leave no row.
    """
    positions = model.model.decoder.max_position_embeddings
    rows = positions if config.max_tokens is None else config.max_tokens
    if rows > positions:
        raise UsageError(f"max_tokens is {rows:,}, and the decoder has {positions:,} positions: ask for fewer.")
    if max(prefill_steps) >= rows:
        frames = max(prefill_steps) - 1
        raise UsageError(
            f"An audio prompt of {frames:,} frames leaves no room below max_tokens ({rows:,}): cut it, or raise that."
        )
    return rows


@dataclass(frozen=True)
class Spoken:
    """What became of one script."""

    __repr__ = brief_repr

    codes: Tensor  # [T, C] int64 on the CPU
    waveform: Tensor | None  # [N] float32 on the CPU; `None` without a codec
    stop_reason: StopReason


@dataclass(frozen=True)
class GenerationResult:
    """What came out of a run."""

    __repr__ = brief_repr

    scripts: list[Spoken]  # in the order in which they were given
    sample_rate: int | None  # Hz; `None` without a codec
    seed: int  # gives this run again
    steps: int  # of the decoder, prefill not counted
    seconds: float  # wall time, decoding included
    peak_host_bytes: int | None = None  # most RAM this process took since it began; none on Windows
    peak_device_bytes: int | None = None  # most that torch took of the GPU in this run; CUDA only


class GenerationInterrupted(KeyboardInterrupt):
    """Ctrl-C while generating: `result` holds what was made until then."""

    def __init__(self, result: GenerationResult) -> None:
        super().__init__("interrupted")
        self.result = result


def frames_between(given: int, end: int, written: int, max_delay: int) -> int:
    """Frames of a script.

    Args:
        given: rows that it was given.
        end: row of its end, or `NOT_BEGUN`.
        written: rows that are written, given ones included.
        max_delay: rows by which the slowest channel lags.
    """
    whole = written - max_delay  # where the first frame of which a channel is missing begins
    return max(0, (whole if end == NOT_BEGUN else min(end, whole)) - given)
