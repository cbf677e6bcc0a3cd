"""`Dia2`: a checkpoint that speaks."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, overload

import torch

from dia2.common.checks import plain, short
from dia2.common.errors import UsageError
from dia2.common.files import check_writable
from dia2.common.hooks import Observer, observing, phase
from dia2.common.progress import ProgressCallback, shown
from dia2.common.stopping import Stopping
from dia2.core.ambient import isolated
from dia2.core.precision import pick_device, pick_dtype, pick_quantization
from dia2.generation import (
    GenerationConfig,
    GenerationResult,
    PrefixConfig,
    WordList,
    merge_generation_config,
    streamed_script,
)
from dia2.runtime import assets
from dia2.runtime.assets import Assets
from dia2.runtime.batch.live import OpenBatch
from dia2.runtime.batch.many import (
    BatchStream,
    OnError,
    check_choice,
    check_rows,
    check_together,
    check_unobserved,
    gathered,
    listed,
)
from dia2.runtime.batch.schedule import Batch, Event, drive
from dia2.runtime.context import RuntimeContext, build_runtime
from dia2.runtime.edits import Edit, guided
from dia2.runtime.forms import check_kernels
from dia2.runtime.graphs import check_compiler
from dia2.runtime.judge import hand_on, judge_prefix, judge_voice
from dia2.runtime.recordings import Recordings
from dia2.runtime.request import Request, Trace
from dia2.runtime.script_parser import check_script
from dia2.runtime.streaming import Stream
from dia2.runtime.task import Task, performed, streamed
from dia2.runtime.turns import Rows, finish
from dia2.runtime.voice_clone import check_prefix, read_voice
from dia2.runtime.voice_file import VOICE_SUFFIX, Voice, save_voice
from dia2.runtime.words import load_whisper

logger = logging.getLogger("dia2")

_LOADING = threading.RLock()  # two threads that first use one engine load it once


class Dia2:
    """A Dia2 checkpoint: script in, dialogue audio with word times out.

    Nothing is loaded before the first use. Make one with `Dia2.from_repo`, `Dia2.from_local` or `Dia2.nano`. A copy or
    pickle holds no weights: it loads them again.
    """

    @phase("engine.init")
    def __init__(
        self,
        repo: str | None = None,
        *,
        config_path: str | Path | None = None,
        weights_path: str | Path | None = None,
        device: str | torch.device | None = None,
        dtype: str | torch.dtype = "auto",
        quantize: str | None = None,
        tokenizer_id: str | None = None,
        mimi_id: str | None = None,
        lora: str | Path | None = None,
        strict: bool = False,
        trust_remote_code: bool = False,
    ) -> None:
        """Note where the checkpoint is.

        Args:
            repo: a hub repo, or a local folder laid out like one.
            config_path: with `weights_path`, local files instead of a repo.
            weights_path: a safetensors file.
            device: cuda, cuda:N, mps or cpu; none takes the best there is.
            dtype: float32, bfloat16, or auto (bfloat16 on cuda, float32 elsewhere).
            quantize: `int8` packs the matrices into a byte a weight: faster on a CPU, less exact.
            tokenizer_id: hub repo or folder of the tokenizer, instead of the checkpoint's own.
            mimi_id: hub repo or folder of the codec, instead of the checkpoint's own.
            lora: file of additions to the weights, as `python -m training.finetune --lora` writes them.
            strict: refuse tensors in the file that the model does not know, instead of warning.
            trust_remote_code: let the tokenizer's repo run its own Python code.

        Raises:
            UsageError: not exactly one of `repo` and the two paths; an unknown device, dtype or packing.
        """
        if (repo is None) == (config_path is None) or (config_path is None) != (weights_path is None):
            raise UsageError("Give either a repo, or both a config path and a weights path.")
        self._repo, self._config_path, self._weights_path = repo, config_path, weights_path
        self._tokenizer_id, self._mimi_id = tokenizer_id, mimi_id
        self._lora = None if lora is None else Path(lora)
        self._strict, self._trust_remote_code = strict, trust_remote_code
        self._device = pick_device(device)
        self._dtype_asked = dtype
        self._dtype = pick_dtype(dtype, self._device)
        self._quantize = pick_quantization(quantize)
        self._runtime: RuntimeContext | None = None

    @classmethod
    def from_repo(cls, repo: str, **options: Any) -> Dia2:
        """A hub repo such as `nari-labs/Dia2-2B`; options as in the constructor."""
        return cls(repo, **options)

    @classmethod
    def from_local(cls, config_path: str | Path, weights_path: str | Path, **options: Any) -> Dia2:
        """Local files; options as in the constructor."""
        return cls(config_path=config_path, weights_path=weights_path, **options)

    @classmethod
    def nano(cls, **options: Any) -> Dia2:
        """The checkpoint inside this package: needs no network; options as in the constructor."""
        folder = assets.nano_folder()
        return cls(config_path=folder / "config.json", weights_path=folder / "model.safetensors", **options)

    def __repr__(self) -> str:
        where, loaded = self._repo or self._config_path, "not loaded yet" if self._runtime is None else "loaded"
        return f"<Dia2 of {where} on {self._device}, {str(self._dtype).removeprefix('torch.')}: {loaded}>"

    def __getstate__(self) -> dict[str, Any]:
        """For copies and pickles: where the checkpoint is and how to load it, which they do at their first use."""
        return self.__dict__ | {"_runtime": None}

    @property
    def runtime(self) -> RuntimeContext:
        """The loaded checkpoint; loads it if need be."""
        return self._ensure_runtime()

    @property
    def assets(self) -> Assets:
        """Where the parts of the checkpoint are; of a hub repo, config and weights are downloaded for it.

        Raises:
            CheckpointError: one of them is missing.
            Dia2Error: it would have to be downloaded and cannot be.
        """
        options = {"tokenizer": self._tokenizer_id, "mimi": self._mimi_id}
        if self._repo is not None:
            return replace(assets.from_repo(self._repo, **options), lora=self._lora)
        assert self._config_path is not None, "checked in the constructor"
        assert self._weights_path is not None, "checked in the constructor"
        return replace(assets.from_local(self._config_path, self._weights_path, **options), lora=self._lora)

    @property
    def name(self) -> str:
        """Of the checkpoint, short: that of its repo or folder."""
        where = Path(self._repo or self._config_path or "")
        return where.name if self._repo else where.parent.name

    @property
    def precision(self) -> dict[str, str | None]:
        """By what numbers it computes: `dtype`, and `quantize`, as the constructor takes them."""
        return {"dtype": str(self._dtype).removeprefix("torch."), "quantize": self._quantize}

    @property
    def device(self) -> str:
        """Where it computes, such as cpu or cuda:0."""
        return str(self._device)

    @property
    def sample_rate(self) -> int:
        """Of the audio, in Hz."""
        return self.runtime.mimi.sample_rate

    @property
    def max_context_steps(self) -> int:
        """The most frames that one run generates."""
        return self.runtime.config.runtime.max_context_steps

    def set_device(self, device: str | torch.device, dtype: str | torch.dtype | None = None) -> None:
        """Go on with another device (and dtype); the checkpoint is loaded there at its next use."""
        self._device = pick_device(device)
        self._dtype_asked = self._dtype_asked if dtype is None else dtype
        self._dtype = pick_dtype(self._dtype_asked, self._device)
        self.close()

    def close(self) -> None:
        """Let go of the weights; the next use loads them again."""
        self._runtime = None
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def generate(
        self,
        script: str | Sequence[str],
        config: GenerationConfig | None = None,
        output_wav: str | Path | None = None,
        *,
        prefix_speaker_1: str | Path | None = None,
        prefix_speaker_2: str | Path | None = None,
        include_prefix: bool | None = None,
        verbose: bool = False,
        progress: ProgressCallback | None = None,
        observer: Observer | None = None,
        trace: Trace | None = None,
        edits: Sequence[Edit] = (),
        **overrides: Any,
    ) -> GenerationResult:
        """Speak a script.

        Args:
            script: text with `[S1]`/`[S2]` tags and `<break time="0.4s"/>`, or a list of lines of it.
            config: sampling, guidance and prefix; the defaults if none.
            output_wav: where to write the audio as well.
            prefix_speaker_1: sound file or `.voice` file to go on from.
            prefix_speaker_2: the same for the second speaker; needs the first.
            include_prefix: keep the prefix in the result.
            verbose: say on standard error what is done, and show a progress bar.
            progress: called after every frame, instead of the bar.
            observer: looks on, see `dia2.common.hooks`.
            trace: where to record the run, a folder; or `dia2.inspect.record(folder, …)`, with its levels and filters.
            edits: what the run is made to do at certain calls, see `dia2.runtime.edits`.
            **overrides: single fields on top of `config`: seed, cfg_scale, temp_audio, …; `temperature` and `top_k` are
                those of text and audio both.

        Raises:
            UsageError: something given is not acceptable; the message says what.
            Dia2Error: the checkpoint cannot be loaded, or the file cannot be written.
            GenerationInterrupted: Ctrl-C; a KeyboardInterrupt that holds the result so far, which is also
                written to `output_wav`.
        """
        voices = {"prefix_speaker_1": prefix_speaker_1, "prefix_speaker_2": prefix_speaker_2}
        overrides = voices | {"include_prefix": include_prefix} | overrides
        with isolated(), _recording(trace, observer), shown(verbose, progress) as report:
            request = Request(script, config, output_wav, progress=report, edits=edits, **overrides)
            task = self._task(request)
            with task.runtime.computing():
                return finish(performed(task, None))

    def stream(
        self,
        script: str | Sequence[str] | Iterable[str],
        config: GenerationConfig | None = None,
        *,
        observer: Observer | None = None,
        **overrides: Any,
    ) -> Stream:
        """Speak while the script may still be written: an iterator of audio chunks, one a frame.

        Args:
            script: as in `generate`; or any other iterable of text pieces, which is read only as far as the next
                words are needed. Pieces are joined as they are, so white space separates words.
            config: as in `generate`.
            observer: as in `generate`; to record a stream, consume it inside `dia2.inspect.record(path)`.
            **overrides: as in `generate`.

        Raises:
            UsageError, Dia2Error: as in `generate`, some of them only while iterating.
        """
        merged = merge_generation_config(config, overrides)
        check_prefix(merged.prefix)
        pieces = streamed_script(script)
        if isinstance(pieces, list):
            check_script(pieces[0])
        runtime, prefix = self._load_for(merged)
        return Stream(runtime, pieces, replace(merged, prefix=prefix), observer)

    @overload
    def generate_many(
        self, requests: Iterable[Request], *, max_rows: int = 8, on_error: Literal["raise"] = "raise"
    ) -> list[GenerationResult]: ...

    @overload
    def generate_many(
        self, requests: Iterable[Request], *, max_rows: int = 8, on_error: Literal["return"]
    ) -> list[GenerationResult | Exception]: ...

    def generate_many(
        self, requests: Iterable[Request], *, max_rows: int = 8, on_error: OnError = "raise"
    ) -> list[Any]:
        """Speak several scripts side by side: a frame of many takes little longer than a frame of one.

        Each is spoken as `generate` would speak it alone; in float32 its tokens are the same. A script begins as soon
        as one before it is over.

        Args:
            requests: what to speak, and how. They agree in how frames are computed: `use_cuda_graph` and
                `use_torch_compile`.
            max_rows: scripts at a time; fewer where memory is short.
            on_error: when all others are finished, `raise` a `BatchError`, which has their results; or `return` each
                error in place of its result.

        Returns:
            A result for each request, in their order; with `on_error="return"` an error where there is none.

        Raises:
            UsageError: the requests do not go together, or there is no such number of rows.
            Dia2Error: the checkpoint cannot be loaded.
            BatchError: requests failed; holds the results of the others, and its cause is the first error.
            BatchInterrupted: Ctrl-C; holds the results so far.
        """
        check_choice(on_error)
        asked = listed(requests)
        stopping = Stopping()
        return gathered(self._many(asked, max_rows, performed, stopping), len(asked), on_error, stopping)

    def stream_many(
        self, requests: Iterable[Request], *, max_rows: int = 8, on_error: OnError = "raise"
    ) -> BatchStream:
        """Speak several scripts side by side, piece by piece, as `stream` would each.

        Args:
            requests: as in `generate_many`; none of them may ask for a file, since there is no whole to write.
            max_rows: as in `generate_many`.
            on_error: `raise` a `BatchError` when all others are finished; or `return` each error as its script's last
                piece.

        Returns:
            Pieces as they are made, each the number of its request, and what comes next of it.

        Raises:
            UsageError, Dia2Error: as `generate_many`; `BatchError` of scripts, and Ctrl-C, while iterating.
        """
        check_choice(on_error)
        asked = listed(requests)
        if any(request.output_wav is not None for request in asked):
            raise UsageError("stream_many() writes no file: leave output_wav out, or take generate_many().")
        stopping = Stopping()
        return BatchStream(self._many(asked, max_rows, streamed, stopping), len(asked), on_error, stopping)

    def open_batch(
        self, *, max_rows: int = 8, guided: bool = True, use_cuda_graph: bool = False, use_torch_compile: bool = False
    ) -> OpenBatch:
        """A batch that requests join while others of it speak: for a program that serves others.

        Args:
            max_rows: requests at a time; fewer where memory is short.
            guided: some have guidance (a `cfg_scale` other than 1); then all rows are computed with two branches.
            use_cuda_graph: how frames are computed; the requests say the same.
            use_torch_compile: likewise.

        Raises:
            UsageError: there is no such number of rows; or what compiling needs is missing.
            Dia2Error: the checkpoint cannot be loaded.
        """
        most = check_rows(max_rows)
        how = GenerationConfig(use_cuda_graph=use_cuda_graph, use_torch_compile=use_torch_compile)
        runtime = self._load_for(how)[0]
        with runtime.computing():
            batch = Batch(runtime, branches=2 if guided else 1, most=most, graphs=use_cuda_graph)
        return OpenBatch(runtime, batch, how, lambda request: partial(self._begun, runtime, streamed, request))

    def save_wav(self, script: str | Sequence[str], path: str | Path, **options: Any) -> GenerationResult:
        """`generate(script, output_wav=path, …)`."""
        return self.generate(script, output_wav=path, **options)

    def save_voice(
        self,
        audio: str | Path,
        path: str | Path,
        *,
        speaker: int = 1,
        words: str | Path | WordList | None = None,
        whisper: str = "turbo",
    ) -> Voice:
        """Encode and transcribe a recording once, for use as a prefix wherever a sound file is accepted.

        Args:
            audio: the recording.
            path: where to write; ends in `.voice`.
            speaker: 1 or 2, who it is meant for; noted only, either may use it.
            words: the word times, a JSON file or a list; none asks Whisper.
            whisper: name or path of the Whisper checkpoint.

        Returns:
            What was written, and the samples that it was made of.

        Raises:
            UsageError: the recording or its words cannot be used.
            Dia2Error: Whisper cannot be loaded, or the file cannot be written.
        """
        if Path(path).suffix != VOICE_SUFFIX:
            raise UsageError(f"Voice file {path} must end in {VOICE_SUFFIX}, by which it is known as a prefix.")
        speaker = plain(speaker)
        if speaker not in (1, 2) or isinstance(speaker, bool):
            raise UsageError(f"There is no speaker {short(speaker)}: choose 1 or 2.")
        check_writable(path)
        read = Recordings()
        if self._runtime is None:
            words = judge_voice(audio, words, whisper, read)
        runtime = self._ensure_runtime()
        hand_on(read, runtime)
        with runtime.computing():
            try:
                voice = read_voice(runtime, audio, words, whisper)
            finally:
                load_whisper.cache_clear()
            save_voice(path, voice, codec=runtime.mimi, speaker=speaker, audio=audio)
            return voice

    def _many(
        self,
        requests: Sequence[Request],
        max_rows: object,
        perform: Callable[[Task, Rows], Generator[Any, None, Any]],
        stopping: Stopping,
    ) -> Generator[Event, None, None]:
        """What happens while a batch speaks; the key of a request is its number."""
        most, how = check_rows(max_rows), check_together(requests)
        check_unobserved()
        if not requests:
            nothing: tuple[Event, ...] = ()
            return (event for event in nothing)
        runtime = self._load_for(replace(how, prefix=None))[0]

        runs = [(number, partial(self._begun, runtime, perform, request)) for number, request in enumerate(requests)]
        with runtime.computing():
            batch = Batch(
                runtime,
                branches=max(2 if guided(request.config, request.edits) else 1 for request in requests),
                most=min(most, len(requests)),
                graphs=how.use_cuda_graph,
                stopping=stopping,
            )
        return drive(runtime, batch, runs)

    def _begun(
        self,
        runtime: RuntimeContext,
        perform: Callable[[Task, Rows], Generator[Any, None, Any]],
        request: Request,
        rows: Rows,
    ) -> Generator[Any, None, Any]:
        """One request of a batch, from its checks to its end."""
        with _recording(request.trace, request.observer):
            return (yield from perform(self._task(request, runtime), rows))

    def _task(self, request: Request, of: RuntimeContext | None = None) -> Task:
        """What is to be done for a request, once it was found good and the checkpoint is loaded; `of` a batch it is."""
        config, text = request.checked()
        runtime, prefix = self._load_for(config, of)
        return Task(request, text, replace(config, prefix=prefix), runtime)

    def _load_for(
        self, config: GenerationConfig, of: RuntimeContext | None = None
    ) -> tuple[RuntimeContext, PrefixConfig | None]:
        """The checkpoint, and the prefix to go on from, which is judged before seconds are spent on loading.

        Raises:
            UsageError: as `build_prefix_plan`; or what `use_torch_compile` or `use_triton` needs is missing.
        """
        check_compiler(config.use_torch_compile, self._device)
        check_kernels(config, self._device)
        prefix, read = config.prefix, Recordings()
        if self._runtime is None and of is None:  # else the plan comes at once
            prefix = judge_prefix(prefix, read)
        runtime = self._ensure_runtime(of)
        hand_on(read, runtime)
        return runtime, prefix

    @phase("runtime.ensure")
    def _ensure_runtime(self, of: RuntimeContext | None = None) -> RuntimeContext:
        """What is loaded; of a batch, which may outlive it, what that began with."""
        if of is not None:
            return of
        if self._runtime is None:
            with _LOADING, isolated():
                self._runtime = self._runtime or self._load()
        return self._runtime

    def _load(self) -> RuntimeContext:
        logger.info("loading %s on %s as %s", self._repo or self._config_path, self._device, self._dtype)
        return build_runtime(
            self.assets,
            device=self._device,
            dtype=self._dtype,
            quantize=self._quantize,
            strict=self._strict,
            trust_remote_code=self._trust_remote_code,
        )


@contextmanager
def _recording(trace: Trace | None, observer: Observer | None) -> Iterator[None]:
    """Who looks on during one run."""
    with ExitStack() as stack:
        stack.enter_context(observing(observer))
        if isinstance(trace, AbstractContextManager) and not isinstance(trace, Path):  # which is one, up to Python 3.12
            stack.enter_context(trace)
        elif trace is not None:
            from dia2.inspect.record.recorder import record  # the one arrow up, taken only when a trace is asked for

            stack.enter_context(record(trace))
        yield
