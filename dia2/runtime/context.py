"""Everything that a loaded checkpoint offers to generation."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any, NoReturn

import torch
from torch import Tensor

from dia2.audio.codec import Codec
from dia2.common.brief import brief_repr
from dia2.common.errors import CheckpointError, UsageError
from dia2.common.hooks import phase
from dia2.core.ambient import isolated, threads_for
from dia2.core.config import DiaConfig
from dia2.core.model import Dia2Model
from dia2.core.precision import numbered
from dia2.core.quantize import quantize as quantize_weights
from dia2.runtime.assets import Assets, codec_folder
from dia2.runtime.graphs import CudaGraphs
from dia2.runtime.lora_file import merge_lora
from dia2.runtime.lru_cache import LRUCache
from dia2.runtime.packing import suit, unpacked
from dia2.runtime.pool import StatePool
from dia2.runtime.prefix_cache import WarmPrefixes
from dia2.runtime.recordings import Recordings
from dia2.runtime.state_machine import StateMachine, TokenIds
from dia2.runtime.tokenizer import encoder, in_full, load_tokenizer
from dia2.runtime.weights import load_model, weight_bytes


def _few() -> LRUCache[Hashable, Any]:
    return LRUCache(most=8, most_bytes=64 << 20)


@dataclass
class RuntimeContext:
    """A checkpoint, loaded."""

    __repr__ = brief_repr

    assets: Assets  # where it came from
    config: DiaConfig
    device: torch.device
    dtype: torch.dtype
    model: Dia2Model
    mimi: Codec
    words: Any  # a `PlainTokenizer`, or a transformers tokenizer
    encode: Callable[[str], list[int]]  # text → token ids, none added
    constants: TokenIds
    machine: StateMachine
    audio_delays: list[int]  # grid columns by which codebook k lags
    audio_delay_tensor: Tensor  # the same, [K] int64 on the device
    frame_rate: float  # frames a second
    weight_bytes: int  # of the model, codec not counted
    threads: int | None  # of the CPU, as many as it had when it was loaded; `None`: it computes elsewhere
    quantized: str | None = None  # how the matrices are packed; `None`: as `dtype`
    products: str | None = (
        None  # by what packed matrices are multiplied, see `dia2.core.products.said`; `None`: not packed
    )
    missing_tags: tuple[str, ...] = ()  # speaker tags that are no tokens of the tokenizer
    pool: StatePool = field(init=False)  # of what runs under CUDA graphs leave; a changed copy has its own
    # Kept between runs; not handed on by `dataclasses.replace`, since another model's would be wrong.
    warm: WarmPrefixes = field(default_factory=WarmPrefixes, init=False, repr=False)
    recordings: Recordings = field(default_factory=Recordings, init=False, repr=False)
    judged: LRUCache[Hashable, Any] = field(default_factory=_few, init=False, repr=False)  # of prefixes, by who judges

    def __post_init__(self) -> None:
        self.pool = StatePool(partial(CudaGraphs, self.device) if self.device.type == "cuda" else None)

    def __reduce__(self) -> NoReturn:
        """Weights, graphs and locks stay where they are."""
        raise UsageError(
            "A loaded checkpoint cannot be copied or pickled: copy the Dia2 that has it, which loads it again at its "
            "next use."
        )

    @cached_property
    def tokenizer(self) -> Any:
        """The transformers tokenizer; transformers is imported when this is first asked for, if it was not before."""
        return in_full(self.words)

    @property
    def precision(self) -> str:
        """What is computed with, for people: `bfloat16`, or `bfloat16, int8 weights`."""
        name = str(self.dtype).removeprefix("torch.")
        if self.quantized is None:
            return name
        return f"{name}, {self.quantized} weights" + (", not quantised in memory" if unpacked(self.products) else "")

    def forget(self) -> None:
        """Let go of all that is kept between runs."""
        self.warm.clear()
        self.judged.clear()
        self.recordings.clear()

    def computing(self) -> AbstractContextManager[None]:
        """Whatever the caller has made of torch, it is as this checkpoint wants it; see `isolated`."""
        return isolated(self.threads)


@phase("runtime.build")
def build_runtime(
    assets: Assets,
    *,
    device: torch.device,
    dtype: torch.dtype,
    quantize: str | None = None,
    strict: bool = False,
    trust_remote_code: bool = False,
) -> RuntimeContext:
    """Load tokenizer, codec and weights.

    Args:
        assets: where they are.
        device: for weights, codec and caches.
        dtype: of weights and activations; heads and codec are float32.
        quantize: `int8` packs the matrices so.
        strict: refuse unknown tensors.
        trust_remote_code: let the tokenizer's repo run its own Python code.

    Raises:
        CheckpointError: a part is damaged, or the parts do not fit together.
        Dia2Error: a part would have to be downloaded and cannot be.
    """
    config, device = assets.config, numbered(device)
    tokenizer = load_tokenizer(assets.tokenizer, trust_remote_code)
    mimi = Codec.load(codec_folder(assets.mimi), num_codebooks=config.data.num_codebooks, device=device)
    codes = min(config.data.audio_pad_token_id, config.data.audio_bos_token_id)
    if mimi.codebook_size != codes:
        raise CheckpointError(
            f"Codec {assets.mimi} has {mimi.codebook_size} codes a codebook, the model speaks {codes}: "
            "give the model's own by --mimi."
        )
    model = load_model(config, assets.weights_path, device=device, dtype=dtype, strict=strict)
    if assets.lora is not None:
        merge_lora(model, assets.lora, assets.weights_path)
    if quantize is not None:
        quantize_weights(model)
    constants, threads, products = token_ids(config, tokenizer), threads_for(weight_bytes(model), device), None
    if quantize is not None:
        with isolated(threads):
            products = suit(model)
    encode = encoder(tokenizer, config.data.text_vocab_size, assets.tokenizer)
    return RuntimeContext(
        assets=assets,
        config=config,
        device=device,
        dtype=dtype,
        model=model,
        mimi=mimi,
        words=tokenizer,
        encode=encode,
        constants=constants,
        machine=StateMachine(constants, second_stream_ahead=config.data.second_stream_ahead),
        audio_delays=config.data.delay_pattern,
        audio_delay_tensor=torch.tensor(config.data.delay_pattern, device=device),
        frame_rate=mimi.frame_rate,
        weight_bytes=weight_bytes(model),
        threads=threads,
        quantized=quantize,
        products=products,
        missing_tags=missing_tags(tokenizer, encode),
    )


@phase("runtime.tokens")
def token_ids(config: DiaConfig, tokenizer: Any) -> TokenIds:
    """Ids from the config; bos and the speaker tags from the tokenizer, where it has them."""
    data = config.data
    vocabulary = tokenizer.get_vocab()
    ids = TokenIds(
        new_word=data.text_new_word_token_id,
        pad=data.text_pad_token_id,
        bos=tokenizer.bos_token_id or 1,  # the published tokenizer's is 0, and the checkpoints expect 1
        zero=data.text_zero_token_id,
        spk1=vocabulary.get("[S1]", data.text_new_word_token_id),
        spk2=vocabulary.get("[S2]", data.text_new_word_token_id),
        action_new_word=data.action_new_word_token_id,
        action_pad=data.action_pad_token_id,
        audio_pad=data.audio_pad_token_id,
        audio_bos=data.audio_bos_token_id,
    )
    for name in ("bos", "spk1", "spk2"):
        if not 0 <= getattr(ids, name) < data.text_vocab_size:
            raise CheckpointError(
                f"The tokenizer's {name} has id {getattr(ids, name)}, the model knows {data.text_vocab_size}: "
                "give the model's own by --tokenizer."
            )
    return ids


def missing_tags(tokenizer: Any, encode: Callable[[str], list[int]]) -> tuple[str, ...]:
    """Speaker tags that are no tokens of the tokenizer, or that it does not find in a text."""
    vocabulary = tokenizer.get_vocab()
    return tuple(tag for tag in ("[S1]", "[S2]") if tag not in vocabulary or vocabulary[tag] not in encode(tag))
