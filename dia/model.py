"""`Dia`: load a checkpoint, speak scripts."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dia import assets
from dia.audio import apply_audio_delay, finished_codes
from dia.capture import ROWS, StepLog, ring_shapes
from dia.codec import DacCodec, decode_audio
from dia.config import DiaConfig, load_config
from dia.generation import (
    GenerationConfig,
    GenerationInterrupted,
    GenerationResult,
    Spoken,
    merged,
    rows_of,
)
from dia.layers import DiaModel
from dia.loop import (
    GenerationState,
    begin,
    delayed_rows,
    encode,
    fill_cross_cache,
    finished_lengths,
    new_state,
    prefill,
    run_loop,
    stop_reasons,
)
from dia.pool import STATES, PooledState
from dia.runner import EagerStep, GraphStep
from dia.state import UNKNOWN
from dia.text import encode_text, read_scripts
from dia.weights import load_model
from dia2.audio.wav import save_wav
from dia2.common.checks import a_path, short
from dia2.common.errors import CheckpointError, UsageError
from dia2.common.files import check_sound_writable
from dia2.common.hooks import Observer, current_observer, observing, phase
from dia2.common.memory import begin_device_peak, peak_device_bytes, peak_host_bytes
from dia2.core.ambient import isolated, threads_for
from dia2.core.precision import pick_device, pick_dtype
from dia2.generation import no_script
from dia2.runtime.audio_io import load_audio
from dia2.runtime.capture import CaptureBuffers
from dia2.runtime.graphs import CudaGraphs, GraphBackend, check_compiler
from dia2.runtime.lease import Lease, Pool
from dia2.runtime.weights import weight_bytes

logger = logging.getLogger("dia2")

DEFAULT_REPO = "nari-labs/Dia-1.6B-0626"
Prompt = str | Path | Tensor  # a recording, or codes [T, C]
Script = str | Sequence[str]


class Dia:
    """A checkpoint, ready to speak.

    dia = Dia.from_pretrained("nari-labs/Dia-1.6B-0626")
    waveform = dia.generate("[S1] Hello. [S2] Hi!", seed=1)
    dia.save_audio("hello.wav", waveform)
    """

    def __init__(self, config: DiaConfig, model: DiaModel, codec: DacCodec | None, source: assets.Source) -> None:
        """Put the parts together; `from_pretrained`, `from_local` and `toy` load them.

        Raises:
            CheckpointError: the codec has other codes than the model.
        """
        if codec is not None and codec.codebook_size != config.data.audio_eos_value:
            raise CheckpointError(
                f"Codec {codec.name} has {codec.codebook_size} codes a codebook, the model speaks "
                f"{config.data.audio_eos_value}: give the model's own by --dac."
            )
        self.config, self.model, self.codec, self.source = config, model, codec, source
        self.weight_bytes = weight_bytes(model)
        device = model.device
        self.threads = threads_for(self.weight_bytes, device)
        self.backend: Callable[[], GraphBackend] | None = partial(CudaGraphs, device) if device.type == "cuda" else None
        self._pool = Pool[PooledState](STATES)

    @classmethod
    def from_pretrained(
        cls,
        name: str = DEFAULT_REPO,
        compute_dtype: str | torch.dtype = "auto",
        device: str | torch.device | None = None,
        load_dac: bool = True,
        *,
        dac: str | None = None,
        strict: bool = False,
    ) -> Dia:
        """Load a hub repo, or a local folder laid out like one.

        Args:
            name: of the repo or folder.
            compute_dtype: `float32`, `bfloat16` or `auto`, which is bfloat16 on a GPU.
            device: cuda, cuda:N, mps or cpu; `None`: the best there is.
            load_dac: without it, results are codes.
            dac: folder or repo of the codec, instead of the published one.
            strict: refuse tensors that the model does not know.

        Raises:
            CheckpointError: a file is missing, damaged, or not Dia's.
            UsageError: there is no such device or dtype.
        """
        return cls._load(assets.from_repo(name, dac), compute_dtype, device, load_dac, strict)

    @classmethod
    def from_local(
        cls,
        config_path: str | Path,
        checkpoint_path: str | Path,
        compute_dtype: str | torch.dtype = "auto",
        device: str | torch.device | None = None,
        load_dac: bool = True,
        *,
        dac: str | None = None,
        strict: bool = False,
    ) -> Dia:
        """Load local files, `.safetensors` or `.pth` (tensors only); see `from_pretrained`."""
        source = assets.from_local(config_path, checkpoint_path, dac)
        return cls._load(source, compute_dtype, device, load_dac, strict)

    @classmethod
    def toy(cls, **options: Any) -> Dia:
        """The embedded toy: random weights in the published format, which make noise; options as `from_pretrained`."""
        return cls.from_pretrained(str(assets.toy_folder()), **options)

    @classmethod
    @phase("dia.load")
    def _load(
        cls,
        source: assets.Source,
        compute_dtype: str | torch.dtype,
        device: str | torch.device | None,
        load_dac: bool,
        strict: bool,
    ) -> Dia:
        where = pick_device(device)
        dtype = pick_dtype(compute_dtype, where)
        with isolated():
            config = load_config(source.config)
            channels = config.data.channels
            codec = DacCodec.load(source.dac, channels=channels, device=where) if load_dac else None
            model = load_model(config, source.weights, device=where, dtype=dtype, strict=strict)
            return cls(config, model, codec, source)

    def __repr__(self) -> str:
        return f"<Dia of {self.source.config} on {self.device}, {str(self.model.dtype).removeprefix('torch.')}>"

    def __reduce__(self) -> tuple[Callable[..., Dia], tuple[Any, ...]]:
        """For copies and pickles: the same files, loaded once more."""
        return type(self)._load, (self.source, self.model.dtype, self.device, self.codec is not None, False)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.model.device

    @property
    def sample_rate(self) -> int:
        """Hz of the waveforms.

        Raises:
            UsageError: there is no codec.
        """
        return self._codec("A sample rate").sample_rate

    def computing(self) -> AbstractContextManager[None]:
        """Whatever the caller has made of torch, it is as this checkpoint wants it; see `isolated`."""
        return isolated(self.threads)

    # Speaking

    def generate(
        self,
        text: Script,
        max_tokens: int | None = None,
        cfg_scale: float | None = None,
        temperature: float | None = None,
        top_p: float | None = None,
        use_torch_compile: bool | None = None,
        cfg_filter_top_k: int | None = None,
        audio_prompt: Prompt | Sequence[Prompt | None] | None = None,
        verbose: bool = False,
        **options: Any,
    ) -> Tensor | list[Tensor]:
        """Speak one script or a batch of them.

        Args:
            text: a script, or a list.
            max_tokens: see `GenerationConfig`, as the next five.
            cfg_scale: likewise.
            temperature: likewise.
            top_p: likewise.
            use_torch_compile: likewise.
            cfg_filter_top_k: likewise.
            audio_prompt: a recording or codes [T, C] to go on from; for a list of scripts a list as long, with None
                where there is none.
            verbose: show a progress bar.
            **options: `seed`, `use_cuda_graph`, `trace`, `observer`, `strict`, `progress`, see `speak`.

        Returns:
            A waveform [N] float32, possibly empty, or without a codec codes [T, C]; a list of them for a list.

        Raises:
            UsageError: something given is not acceptable.
            GenerationInterrupted: Ctrl-C; a KeyboardInterrupt that holds what was made until then.
        """
        result = self.speak(
            text,
            audio_prompt=audio_prompt,
            verbose=verbose,
            max_tokens=max_tokens,
            cfg_scale=cfg_scale,
            temperature=temperature,
            top_p=top_p,
            use_torch_compile=use_torch_compile,
            cfg_filter_top_k=cfg_filter_top_k,
            **options,
        )
        made = [spoken.codes if spoken.waveform is None else spoken.waveform for spoken in result.scripts]
        return made[0] if isinstance(text, str) else made

    def speak(
        self,
        text: Script,
        config: GenerationConfig | None = None,
        *,
        audio_prompt: Prompt | Sequence[Prompt | None] | None = None,
        verbose: bool = False,
        strict: bool = False,
        progress: Callable[[int], None] | None = None,
        observer: Observer | None = None,
        trace: str | Path | None = None,
        **overrides: object,
    ) -> GenerationResult:
        """`generate`, with all that is known of the result.

        Args:
            text: a script, or a list.
            config: the defaults if none.
            audio_prompt: as in `generate`.
            verbose: show a progress bar on standard error.
            strict: refuse a text that is too long, instead of cutting it with a warning.
            progress: called after every step with how many there were, instead of the bar.
            observer: looks on, see `dia2.common.hooks`.
            trace: where to record the run, a folder.
            **overrides: single fields on top of `config`.

        Raises:
            UsageError: something given is not acceptable; the message says what.
            GenerationInterrupted: Ctrl-C; a KeyboardInterrupt that holds the result so far.
        """
        config = merged(config, overrides)
        with self.computing(), ExitStack() as stack:
            stack.enter_context(observing(observer))
            if trace is not None:
                # The one arrow up, taken only when a trace is asked for.
                from dia2.inspect.record.recorder import record

                stack.enter_context(record(trace))
            if verbose and progress is None:
                from dia.progress import progress_bar  # rich, which a silent run does not need

                progress = stack.enter_context(progress_bar())
            scripts = read_scripts(_scripts(text))
            return self._speak(scripts, prompts_of(len(scripts), audio_prompt), config, strict, progress)

    def _speak(
        self,
        scripts: list[str],
        prompts: list[Prompt | None],
        config: GenerationConfig,
        strict: bool,
        progress: Callable[[int], None] | None,
    ) -> GenerationResult:
        started = time.perf_counter()
        check_compiler(config.use_torch_compile, self.device)
        begin_device_peak(self.device)
        seed = secrets.randbits(32) if config.seed is None else config.seed
        tokens, mask = encode_text(scripts, self.config, strict=strict)
        codes = [self.prompt_codes(prompt) for prompt in prompts]
        prefill_steps = [1 + len(part) for part in codes]
        rows = rows_of(config, self.config, prefill_steps)
        delayed = self.delayed_prompts(codes)
        observer = current_observer()
        buffers = self._buffers(len(scripts), observer)
        graphs = self.backend if config.use_cuda_graph else None
        if config.use_cuda_graph and graphs is None:
            logger.warning("CUDA graphs are off: the device is %s", self.device.type)
        lease = None
        if graphs is None:
            state = self._new_state(len(scripts), rows, tokens.shape[1])
            step = EagerStep(self.model, state, config, buffers)
        else:
            lease = self._acquire(config, len(scripts), rows, buffers, graphs)
            state, step, buffers = lease.state.state, lease.state.step, lease.state.buffers
            lease.state.clear()
        try:
            self._begin(state, delayed, prefill_steps, config, rows=rows, seed=seed)
            encoded, text_mask = encode(self.model, tokens, mask)
            fill_cross_cache(self.model, state, encoded, text_mask)
            given = prefill(self.model, state)
            log = None
            if observer is not None and buffers is not None:
                log = StepLog(observer, buffers, config, state.output.generated_tokens, given)
                log.given(given)
            try:
                steps, interrupted = run_loop(state, step, rows=rows, progress=progress, log=log)
            finally:
                if log is not None:
                    log.flush()
            result = self._finish(state, steps, interrupted, seed, started)
        finally:
            if lease is not None:
                lease.end()
        if interrupted:
            raise GenerationInterrupted(result)
        return result

    def _finish(
        self, state: GenerationState, steps: int, interrupted: bool, seed: int, started: float
    ) -> GenerationResult:
        """Undo the delay, decode."""
        data = self.config.data
        lengths = finished_lengths(state, min(state.output.prefill_steps) + steps, data)
        spoken = []
        for rows, reason in zip(delayed_rows(state, lengths, data), stop_reasons(state, interrupted), strict=True):
            codes = finished_codes(rows, data.delay_pattern, eos=data.audio_eos_value, pad=data.audio_pad_value)
            waveform = None if self.codec is None else decode_audio(self.codec, codes)
            spoken.append(Spoken(codes.cpu(), waveform, reason))
        return GenerationResult(
            scripts=spoken,
            sample_rate=None if self.codec is None else self.codec.sample_rate,
            seed=seed,
            steps=steps,
            seconds=time.perf_counter() - started,
            peak_host_bytes=peak_host_bytes(),
            peak_device_bytes=peak_device_bytes(self.device),
        )

    # Prompts

    @phase("dia.prompt")
    def prompt_codes(self, prompt: Prompt | None) -> Tensor:
        """Codes [T, C] int64 of a prompt: a recording, codes already, or none, which has no frames.

        Raises:
            UsageError: it is neither, or codes that the codec does not have.
        """
        channels, codes = self.config.data.channels, self.config.data.audio_eos_value
        if prompt is None:
            return torch.zeros(0, channels, dtype=torch.int64)
        prompt = a_path(prompt)
        if isinstance(prompt, str | Path):
            return self.load_audio(prompt)
        if not isinstance(prompt, Tensor):
            raise UsageError(f"An audio prompt is a sound file or codes [T, {channels}], not {short(prompt)}.")
        whole = not prompt.is_floating_point() and not prompt.is_complex() and prompt.dtype != torch.bool
        if prompt.ndim != 2 or prompt.shape[1] != channels or not whole:
            raise UsageError(
                f"An audio prompt of codes has shape [T, {channels}] and whole numbers, not {list(prompt.shape)} "
                f"of {prompt.dtype}."
            )
        prompt = prompt.to("cpu", torch.int64)
        if bool(((prompt < 0) | (prompt >= codes)).any()):
            raise UsageError(f"An audio prompt's codes are 0 to {codes - 1}: these are of another codec.")
        return prompt

    def delayed_prompts(self, codes: Sequence[Tensor]) -> Tensor:
        """The rows [B, max(P) + max(delays), C] that scripts with these prompts [P, C] are given, −1 where unknown."""
        data = self.config.data
        rows = max(map(len, codes)) + max(1, data.max_delay)
        table = torch.full((len(codes), rows, data.channels), UNKNOWN, dtype=torch.int64)
        table[:, 0] = data.audio_bos_value
        for i, part in enumerate(codes):
            table[i, 1 : 1 + len(part)] = part
        return apply_audio_delay(table, data.delay_pattern, bos=data.audio_bos_value, pad=UNKNOWN).to(self.device)

    def load_audio(self, path: str | Path) -> Tensor:
        """Codes [T, C] int64 of a recording of any format, rate and number of channels.

        Raises:
            UsageError: it cannot be used, or there is no codec.
        """
        codec = self._codec("Encoding audio")
        with self.computing():
            return codec.encode(load_audio(path, codec.sample_rate, "Audio prompt")).cpu()

    def save_audio(self, path: str | Path, waveform: Tensor) -> None:
        """Write a waveform [N] as 16-bit WAV, whole or not at all.

        Raises:
            UsageError: there is no codec, or no file can be written there.
            Dia2Error: the disk is full.
        """
        check_sound_writable(path)
        save_audio(path, waveform, self.sample_rate)

    def _codec(self, what: str) -> DacCodec:
        if self.codec is None:
            raise UsageError(f"{what} needs the codec: load the checkpoint with load_dac=True.")
        return self.codec

    # State

    @phase("dia.state")
    def _begin(
        self,
        state: GenerationState,
        delayed: Tensor,
        prefill_steps: list[int],
        config: GenerationConfig,
        *,
        rows: int,
        seed: int,
    ) -> None:
        """Begin a run of `config` in tensors that are new or kept from one before; see `dia.loop.begin`."""
        begin(state, delayed, prefill_steps, rows=rows, seed=seed, data=self.config.data)

    def _new_state(self, scripts: int, rows: int, text: int) -> GenerationState:
        return new_state(self.config, scripts=scripts, rows=rows, text=text, dtype=self.model.dtype, device=self.device)

    def _buffers(self, scripts: int, observer: Observer | None) -> CaptureBuffers | None:
        shapes = {} if observer is None else ring_shapes(observer.points, self.config.model.decoder, scripts)
        return CaptureBuffers(shapes, self.device, ROWS) if shapes else None

    def _acquire(
        self,
        config: GenerationConfig,
        scripts: int,
        rows: int,
        buffers: CaptureBuffers | None,
        backend: Callable[[], GraphBackend],
    ) -> Lease[PooledState]:
        """Tensors and graph of an earlier run of the same shape and settings, so that nothing is captured again."""
        settings = (config.cfg_scale, config.temperature, config.top_p, config.cfg_filter_top_k)
        observed = None if buffers is None else frozenset(buffers.rings)
        size = (scripts, rows, settings, config.use_torch_compile, observed)

        def make() -> PooledState:
            state = self._new_state(scripts, rows, self.config.model.encoder.max_position_embeddings)
            return PooledState(size, state, GraphStep(self.model, state, config, buffers, backend()), buffers)

        return self._pool.lend(size, make)


@phase("dia.write")
def save_audio(path: str | Path, waveform: Tensor, sample_rate: int) -> None:
    """Write a waveform [N] as 16-bit WAV, whole or not at all."""
    save_wav(path, waveform, sample_rate)


def _scripts(text: Script) -> list[str]:
    if not isinstance(text, str | Iterable) or isinstance(text, bytes | bytearray | memoryview):
        raise no_script(text)
    scripts = [text] if isinstance(text, str) else list(text)
    if not scripts:
        raise UsageError("There is no script: give a string, or a list of at least one.")
    return scripts


def prompts_of(scripts: int, given: Prompt | Sequence[Prompt | None] | None) -> list[Prompt | None]:
    """One for each of so many scripts.

    Raises:
        UsageError: there are more, or fewer.
    """
    if given is None:
        return [None] * scripts
    given = a_path(given)
    if isinstance(given, str | Path | Tensor):
        prompts: list[Prompt | None] = [given]
    else:
        prompts = list(given)
    if len(prompts) != scripts:
        raise UsageError(
            f"Audio prompts: {len(prompts)}, scripts: {scripts}: give one for each script, or None for it."
        )
    return prompts
