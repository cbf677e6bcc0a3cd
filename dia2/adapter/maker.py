"""Dia2 for sweeps: runs by settings that came out of a plan, see `dia2.inspect.schema.maker`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from dia2.adapter.checkpoint import fingerprint
from dia2.common.checks import short
from dia2.common.errors import UsageError, one_line
from dia2.common.hashing import hash_path
from dia2.engine import Dia2
from dia2.generation import BatchInterrupted, GenerationConfig, GenerationResult, normalize_script
from dia2.inspect.record.recorder import record
from dia2.inspect.schema.maker import PLACES, Made, MakingStopped, Recorded, Settings
from dia2.runtime.edits import edit_from_json, edit_to_json
from dia2.runtime.live_text import LiveText
from dia2.runtime.request import Request
from dia2.runtime.vector_file import read_vector
from dia2.runtime.vectors import Vector
from dia2.runtime.words import check_whisper

_OPTIONS = {  # of `[model]`, by the names of the command line's flags
    **{name: name for name in ("device", "dtype", "quantize", "lora", "strict", "trust_remote_code")},
    "tokenizer": "tokenizer_id",
    "mimi": "mimi_id",
}
_HOW = ("use_cuda_graph", "use_torch_compile", "use_triton")  # frames are computed: what comes out is the same
_COLUMNS = {
    "script": "text",
    "seed": "seed",
    **dict.fromkeys(("cfg_scale", "temperature", "temp_text", "temp_audio"), "float"),
    **dict.fromkeys(("top_k", "topk_text", "topk_audio", "cfg_filter_k", "initial_padding"), "int"),
    "include_prefix": "flag",
    "voice": "text",
    "edits": "text",
}
_REFUSED = {"output_wav", "config", "progress", "observer", "trace", "verbose", "text", "audio", "prefix"}
_FILES = ("speaker_1", "speaker_2", "words_1", "words_2")  # of a prefix


def open_maker(model: Mapping[str, Any]) -> Dia2Maker:
    """What makes runs of the checkpoint that `[model]` of a plan names, as the flags of `dia2 generate` do.

    Raises:
        UsageError: it names none, or more than one.
        CheckpointError: there is no such checkpoint.
    """
    for name in model:
        if name not in (*PLACES, *_OPTIONS):
            raise UsageError(f"[model] has no {name}: it has {', '.join((*PLACES, *_OPTIONS))}.")
    for name, value in model.items():
        kind = bool if name in ("nano", "strict", "trust_remote_code") else str
        if not isinstance(value, kind):
            raise UsageError(f"[model] {name} is {'true or false' if kind is bool else 'a name'}, not {short(value)}.")
    options = {_OPTIONS[name]: value for name, value in model.items() if name in _OPTIONS}
    hf, config, weights = (model.get(name) for name in ("hf", "config", "weights"))
    if (config is None) != (weights is None):
        raise UsageError("[model] config and weights belong together: give both.")
    if sum((bool(model.get("nano")), hf is not None, config is not None)) > 1:
        raise UsageError("[model] names more than one checkpoint: choose nano, hf, or config and weights.")
    if hf is not None:
        return Dia2Maker(Dia2.from_repo(hf, **options))
    if config is not None and weights is not None:
        return Dia2Maker(Dia2.from_local(config, weights, **options))
    return Dia2Maker(Dia2.nano(**options))


class Dia2Maker:
    """A `Maker` of Dia2."""

    def __init__(self, tts: Dia2, base: GenerationConfig | None = None) -> None:
        """Note which checkpoint.

        Args:
            tts: the engine.
            base: what settings are on top of; the defaults if none.
        """
        self.name, self._tts, self._base = tts.name, tts, base
        self.checkpoint = fingerprint(tts.assets) | tts.precision
        self.device = tts.device
        self._digests: dict[Path, str | None] = {}
        self._vectors: dict[tuple[str, str | None], Vector] = {}

    @property
    def columns(self) -> Mapping[str, str]:
        """See `Maker`."""
        return _COLUMNS

    def described(self, settings: Settings) -> Mapping[str, Any]:
        """See `Maker`."""
        request = self._request(settings)
        config = request.config
        text, audio = config.text, config.audio
        return {
            "script": normalize_script(_whole(request.script)),
            "seed": config.seed,
            "cfg_scale": config.cfg_scale,
            "temperature": text.temperature if text.temperature == audio.temperature else None,
            "top_k": text.top_k if text.top_k == audio.top_k else None,
            "temp_text": text.temperature,
            "topk_text": text.top_k,
            "temp_audio": audio.temperature,
            "topk_audio": audio.top_k,
            "cfg_filter_k": config.cfg_filter_k,
            "initial_padding": config.initial_padding,
            "include_prefix": config.includes_prefix,
            "voice": None if config.prefix is None else _text(config.prefix.speaker_1),
            "edits": [edit_to_json(edit) for edit in request.edits] or None,
        }

    def identity(self, settings: Settings) -> Mapping[str, Any]:
        """See `Maker`."""
        request = self._request(settings)
        if request.config.use_triton:
            raise UsageError("Triton kernels (use_triton) compute one script at a time: leave use_triton out.")
        config = asdict(request.config)
        for name in _HOW:
            del config[name]
        prefix = config["prefix"]
        if prefix is not None and prefix["speaker_1"] is None:
            del config["prefix"]  # nothing of it counts
        elif prefix is not None:
            if all(prefix[f"words_{n}"] is not None for n in (1, 2) if prefix[f"speaker_{n}"] is not None):
                del prefix["whisper"]  # nobody is asked
            for name in _FILES:
                prefix[name] = self._content(prefix[name])
        return {
            "script": normalize_script(_whole(request.script)),
            "config": config,
            "edits": [edit_to_json(edit) for edit in request.edits],
        }

    def check_whisper(self, name: str) -> None:
        """See `Maker`."""
        check_whisper(name)

    def recordings(self, settings: Settings) -> Sequence[Path]:
        """See `Maker`."""
        given = self._base is not None and self._base.prefix is not None
        if not given and not settings.keys() & {"voice", "prefix_speaker_1", "prefix_speaker_2"}:
            return []
        prefix = self._request(settings).config.prefix
        return [] if prefix is None else [Path(path) for path in (prefix.speaker_1, prefix.speaker_2) if path]

    def make(self, runs: Sequence[tuple[Settings, Recorded]], rows: int, tell: Callable[[], object]) -> Sequence[Made]:
        """See `Maker`."""
        requests, refused = list[Request](), dict[int, Made]()
        for number, (settings, to) in enumerate(runs):
            trace = record(to.folder, level=to.level, prefix_sound=False, doctor=False)
            try:
                requests.append(self._request(settings, trace=trace, progress=lambda _: tell()))
            except UsageError as error:  # a recording that is gone, say, since the sweep was planned
                refused[number] = Made(error)
        found: Sequence[GenerationResult | BaseException | None]
        try:
            found, stopped = self._tts.generate_many(requests, max_rows=rows, on_error="return"), False
        except BatchInterrupted as interrupted:
            found, stopped = interrupted.results, True
        made = iter(found)
        results = [refused[number] if number in refused else _made(next(made)) for number in range(len(runs))]
        if stopped:
            raise MakingStopped(results)
        return [one for one in results if one is not None]

    def close(self) -> None:
        """See `Maker`."""
        self._tts.close()

    def _request(self, settings: Settings, **more: Any) -> Request:
        given = dict(settings)
        script = given.pop("script")
        if not isinstance(script, str):
            raise UsageError(f"A script of a sweep is a text, not {short(script)}.")
        voice = given.pop("voice", None)
        if voice:
            given["prefix_speaker_1"] = voice
        edits = given.pop("edits", None) or []
        if not isinstance(edits, list):
            raise UsageError(f"edits of a run are a list of tables, not {short(edits)}.")
        edits = [edit_from_json(value, self._vector) for value in edits]
        for name in _REFUSED & given.keys():
            raise UsageError(f"{name} is no setting of a sweep.")
        return Request(script, self._base, edits=edits, **given, **more)

    def _vector(self, value: object) -> Vector:
        """The vector of an edit: its numbers, or a table of a file and the tensor's name in it."""
        if not isinstance(value, Mapping):
            return Vector(value)
        file, name = value.get("file"), value.get("name")
        if not isinstance(file, str) or not value.keys() <= {"file", "name"} or not isinstance(name, str | None):
            raise UsageError(
                f"A vector of a sweep is a list of numbers, or {{file = …, name = …}}, not {short(value)}."
            )
        if (file, name) not in self._vectors:
            self._vectors[file, name] = read_vector(file, name, weights=self.checkpoint.get("weights"))
        return self._vectors[file, name]

    def _content(self, value: Any) -> Any:
        """What decides a run of a part of its prefix: of a file what is in it, of a list of words the words."""
        if not isinstance(value, str | Path):
            return value
        path = Path(value)
        if path not in self._digests:
            try:
                self._digests[path] = hash_path(path)
            except OSError as error:
                raise UsageError(f"{path} cannot be read ({one_line(error)}).") from error
        return self._digests[path]


def _made(one: GenerationResult | BaseException | None) -> Made | None:
    """What became of a run; `None`: it did not come to its end."""
    if isinstance(one, GenerationResult):
        return None if one.stop_reason == "interrupted" else Made(None, one.seconds)
    return Made(one) if isinstance(one, Exception) else None


def _text(path: str | Path | None) -> str | None:
    return None if path is None else str(path)


def _whole(script: str | Sequence[str] | LiveText) -> str | Sequence[str]:
    assert not isinstance(script, LiveText), "a plan's scripts are whole"
    return script
