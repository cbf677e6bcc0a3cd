"""Types of what a manifest and its events hold, with their bounds: a family declares its fields by them."""

from __future__ import annotations

import sys
from typing import Annotated, TypeVar

from msgspec import Meta

from dia2.common.hooks import MAX_CODEBOOKS
from dia2.inspect.store.layout import MAX_CALLS, MAX_VOCABULARY

T = TypeVar("T")

Count = Annotated[int, Meta(ge=0, le=MAX_CALLS)]  # of calls, rows, words
Delay = Annotated[int, Meta(ge=0, le=10_000)]  # frames by which something lags, or is padded
Delays = Annotated[list[Delay], Meta(max_length=MAX_CODEBOOKS)]
Layers = Annotated[int, Meta(ge=1, le=10_000)]  # or heads
Size = Annotated[int, Meta(ge=1, le=1 << 24)]  # of a dimension
Vocabulary = Annotated[int, Meta(ge=1, le=MAX_VOCABULARY)]
Codebooks = Annotated[int, Meta(ge=1, le=MAX_CODEBOOKS)]
SampleRate = Annotated[int, Meta(ge=1, le=1_000_000)]  # Hz
FrameRate = Annotated[float, Meta(ge=0.01, le=100_000)]  # frames a second
Samples = Annotated[int, Meta(ge=0, le=1 << 40)]
Scale = Annotated[float, Meta(ge=0, le=1e9)]  # of guidance
Finite = Annotated[float, Meta(ge=-sys.float_info.max, le=sys.float_info.max)]
Listed = Annotated[list[T], Meta(max_length=MAX_CALLS)]
Names = Listed[str]
Seed = Annotated[int, Meta(ge=0)]  # `MAX_SEED` at most, which msgspec cannot check: it lies beyond 2**63
MAX_SEED = 2**64 - 1
