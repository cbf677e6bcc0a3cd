"""Every public way into torch gives the same under whatever the caller has made of it, and leaves all as it was."""

from __future__ import annotations

import sys
import threading
import types
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from torch import Tensor

import dia
from dia2 import Dia2
from dia2.audio.spectrogram import spectrogram
from dia2.core.ambient import isolated
from dia2.inspect import Dia2Trace, load, sweep
from dia2.inspect.lab.controls import Lab
from dia2.inspect.views.explorer.sound import codebook_sound

from .support.ambient import STATES, TOGETHER, ambient, chance, settings
from .support.reference import ROOT, engine, local_files

NAME = "tiny3"
SCRIPT = "[S1] Hi. [S2] Oh."
VOICE, WORDS = ROOT / "tiny3" / "spk1.wav", [{"text": "Ah", "start": 0.1, "end": 0.4}]
PREFIX: dict[str, Any] = {"prefix_speaker_1": VOICE, "prefix_words_1": WORDS}


def fresh() -> Dia2:
    return Dia2.from_local(**local_files(NAME), device="cpu", dtype="float32")


@pytest.fixture(scope="module", autouse=True)
def recorded(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Runs to look at, and engines that are loaded."""
    global FOLDER
    FOLDER = tmp_path_factory.mktemp("ambient")
    engine(NAME).generate(SCRIPT, seed=1, trace=FOLDER / "run.dia2trace", **PREFIX)
    toy().speak("[S1] Hi.", seed=1, max_tokens=16, trace=FOLDER / "dia.dia2trace")


FOLDER = Path()
_toy: list[dia.Dia] = []


def toy() -> dia.Dia:
    if not _toy:
        _toy.append(dia.Dia.toy(device="cpu"))
    return _toy[0]


# The entries: each gives all that a caller gets


def spoken(result: Any) -> list[object]:
    return [result.audio_tokens, result.waveform, result.timestamps]


def streamed(tts: Dia2, **options: Any) -> list[object]:
    chunks = list(tts.stream(iter(["[S1] Hi. ", "[S2] ", "Oh."]), seed=1, **options))
    return [part for chunk in chunks for part in (chunk.waveform, [word.text for word in chunk.words])]


def saved_voice() -> list[object]:
    engine(NAME).save_voice(VOICE, FOLDER / "a.voice", words=WORDS)
    with isolated(), safe_open(FOLDER / "a.voice", framework="numpy") as file:  # metadata come in any order
        return [file.get_tensor("codes"), file.metadata()]


def replayed() -> list[object]:
    found = Dia2Trace.load(FOLDER / "run.dia2trace").replay(engine(NAME), range(20, 24), attention=True, layers=True)
    return [part for value in vars(found).values() for part in (value if isinstance(value, list) else [value])]


def swept(tmp: Path) -> list[object]:
    made = sweep(engine(NAME), SCRIPT, tmp, seeds=(1,))
    return [made.rows(), *(variant.trace.aligned for variant in made.variants)]


def laboured() -> list[object]:
    lab = Lab(Dia2Trace.load(FOLDER / "run.dia2trace"), engine(NAME))
    lab.fork()
    assert isinstance(lab.forked, Dia2Trace), lab.told.value
    return [lab.forked.aligned, lab.told.value]


def viewed() -> list[object]:
    """A trace, and a result, without an engine."""
    trace = Dia2Trace.load(FOLDER / "run.dia2trace")
    samples = trace.audio
    assert samples is not None
    with isolated():
        waveform = torch.from_numpy(samples[0].astype(np.float32))
    sound = spectrogram(waveform, samples[1], 12, 8)
    return [trace.aligned, trace.draws(len(trace) - 1), trace.heard, sound, trace.diff(trace).same]


def dia_said(model: dia.Dia, **options: Any) -> list[object]:
    made = model.speak("[S1] Hi.", seed=1, **({"max_tokens": 16} | options))
    return [part for script in made.scripts for part in (script.codes, script.waveform)]


def dia_replayed() -> list[object]:
    found = load(FOLDER / "dia.dia2trace").replay(toy(), range(8), attention=True)
    return [part for value in vars(found).values() for part in (value if isinstance(value, list) else [value])]


ENTRIES: dict[str, Callable[[], Sequence[Any]]] = {
    "load": lambda: spoken(fresh().generate(SCRIPT, seed=1)),
    "generate": lambda: spoken(engine(NAME).generate(SCRIPT, seed=1)),
    "prefix": lambda: spoken(fresh().generate(SCRIPT, seed=1, **PREFIX)),
    "stream": lambda: streamed(engine(NAME)),
    "stream after a prefix": lambda: streamed(fresh(), **PREFIX),
    "save_voice": saved_voice,
    "replay": replayed,
    "fork": lambda: spoken(Dia2Trace.load(FOLDER / "run.dia2trace").fork(engine(NAME), 25)),
    "sweep": lambda: swept(FOLDER / f"sweep{threading.get_ident()}"),
    "lab": laboured,
    "hear": lambda: [codebook_sound(Dia2Trace.load(FOLDER / "run.dia2trace"), engine(NAME), [0]).data],
    "views": viewed,
    "dia": lambda: dia_said(toy()),
    "dia, loaded": lambda: dia_said(dia.Dia.toy(device="cpu")),
    "dia, prompt": lambda: dia_said(toy(), audio_prompt=VOICE, max_tokens=160),
    "dia, replay": dia_replayed,
}


@cache
def without(entry: str) -> Sequence[Any]:
    """What an entry gives under torch as it is when new."""
    return ENTRIES[entry]()


def check(entry: str, *states: str) -> None:
    """The same as without, ordinary tensors, and nothing of the caller's moved."""
    expected = without(entry)
    with ambient(*states):
        before = settings()
        torch.default_generator.manual_seed(len(entry))  # other numbers than those of the first time
        stood = chance()
        found = ENTRIES[entry]()
        assert chance() == stood
        assert settings() == before
    assert len(found) == len(expected)
    for mine, theirs in zip(found, expected, strict=True):
        if isinstance(mine, Tensor):
            ordinary(mine)
            assert mine.dtype == theirs.dtype
            assert torch.equal(mine, theirs) or bool(torch.isclose(mine, theirs, rtol=0, atol=0, equal_nan=True).all())
        elif isinstance(mine, np.ndarray):
            assert np.array_equal(mine, theirs)
        else:
            assert mine == theirs


def ordinary(tensor: Tensor) -> None:
    assert tensor.device.type == "cpu"
    assert tensor.dtype in (torch.float32, torch.int64)
    assert not tensor.requires_grad
    assert not tensor.is_inference()


@pytest.mark.parametrize("entry", ENTRIES)
def test_every_entry_gives_the_same_whatever_the_caller_has_made_of_torch(entry: str) -> None:
    check(entry, *TOGETHER)


# Those that are not in `TOGETHER`, and one of those that are alike; each entry meets all of them in `make test-all`.
ALONE = (
    "autocast float16", "with a device", "no_grad", "tf32 for all", "deterministic oneDNN", "cudnn benchmark",
    "exact bf16 sums", "attention in one", "function mode", "dispatch mode", "functions off",
)  # fmt: skip


@pytest.mark.parametrize("state", ALONE)
def test_a_run_is_the_same_under_each_setting(state: str) -> None:
    assert state not in TOGETHER
    check("generate", state)


@pytest.mark.slow
@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("entry", ENTRIES)
def test_every_entry_under_each_setting(entry: str, state: str) -> None:
    check(entry, state)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")  # inductor imports parts of torch that torch deprecates
def test_compiled_halves_are_the_same_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def compiled() -> list[object]:
        return spoken(engine(NAME).generate(SCRIPT, seed=1, use_torch_compile=True))

    monkeypatch.setitem(ENTRIES, "compiled", compiled)
    check("compiled", *TOGETHER)


# Streams, whose pieces come under other settings each


def test_each_piece_may_come_under_other_settings() -> None:
    expected, stream = streamed(engine(NAME)), engine(NAME).stream(SCRIPT, seed=1)
    found: list[object] = []
    for state in [*STATES, *STATES, *STATES]:
        with ambient(state):
            chunk = next(stream, None)
        if chunk is None:
            break
        ordinary(chunk.waveform)
        found += [chunk.waveform, [word.text for word in chunk.words]]
    assert len(found) > 2 * 5
    assert [part.tolist() if isinstance(part, Tensor) else part for part in found] == [
        part.tolist() if isinstance(part, Tensor) else part for part in expected
    ]


@pytest.mark.parametrize("first", ["inference mode", "with a device", "autocast"])
def test_what_a_run_keeps_is_fit_for_the_next(first: str) -> None:
    """Warm prefixes, recordings and weights that were made in a run under one setting serve one without."""
    tts = fresh()
    with ambient(first):
        tts.generate(SCRIPT, seed=1, **PREFIX)
    assert not any(parameter.is_inference() for parameter in tts.runtime.model.parameters())
    expected = engine(NAME).generate(SCRIPT, seed=1, **PREFIX)
    result = tts.generate(SCRIPT, seed=1, **PREFIX)
    assert tts.runtime.warm.hits == 1
    assert torch.equal(result.audio_tokens, expected.audio_tokens)


def test_a_stream_that_is_closed_under_other_settings_leaves_a_whole_trace(tmp_path: Path) -> None:
    from dia2.inspect import record

    with record(tmp_path / "run.dia2trace"):
        stream = engine(NAME).stream(SCRIPT, seed=1)
        with ambient("inference mode"):
            for _ in range(3):
                next(stream)
        with ambient(*TOGETHER):
            stream.close()
    trace = Dia2Trace.load(tmp_path / "run.dia2trace")
    assert len(trace) > 3
    assert trace.draws(len(trace) - 1)


# Whisper, played by a module with its functions: loading draws, and so does listening where it is unsure


@pytest.fixture
def whisper(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    heard: list[str] = []
    module: Any = types.ModuleType("whisper")

    class Model:
        def __init__(self) -> None:
            torch.nn.Linear(4, 4)
            np.random.randn()

        def transcribe(self, audio: object, *, temperature: object = (0.0, 0.2), **_: object) -> dict[str, Any]:
            assert temperature == (0.0, 0.2), "it may still try again at a higher temperature"
            chance = int(torch.multinomial(torch.ones(1000), 1)) + np.random.randint(1000)
            heard.append(f"word{chance}")
            return {"segments": [{"words": [{"word": f" {heard[-1]}", "start": 0.1, "end": 0.5}]}]}

    module.load_model = lambda *_, **__: Model()
    module.available_models = lambda: ["turbo"]
    monkeypatch.setitem(sys.modules, "whisper", module)
    return heard


@pytest.mark.parametrize("entry", ["generate", "stream", "second speaker", "save_voice"])
def test_whisper_hears_the_same_each_time_and_moves_nothing(entry: str, whisper: list[str], tmp_path: Path) -> None:
    tts = engine(NAME)
    run: dict[str, Callable[[], object]] = {
        "generate": lambda: tts.generate(SCRIPT, seed=1, prefix_speaker_1=VOICE),
        "stream": lambda: next(tts.stream(SCRIPT, seed=1, prefix_speaker_1=VOICE)),
        "second speaker": lambda: tts.generate(SCRIPT, seed=1, prefix_speaker_2=VOICE, **PREFIX),
        "save_voice": lambda: tts.save_voice(VOICE, tmp_path / "a.voice"),
    }
    for state in ([], TOGETHER, ["enable_grad"]):
        tts.runtime.forget()
        with ambient(*state):
            torch.default_generator.manual_seed(len(state))
            before, now = chance(), settings()
            run[entry]()
            assert chance() == before
            assert settings() == now
    assert len(whisper) == 3
    assert len(set(whisper)) == 1


# Two engines in two threads


@contextmanager
def switching(interval: float = 1e-5) -> Iterator[None]:
    """Threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(interval)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def pairs(count: int) -> list[str]:
    """What went wrong in so many pairs of threads, each of which loads an engine and speaks, twice."""
    expected, wrong = fresh().generate(SCRIPT, seed=1), []
    before = settings()

    def speak(pair: int, gate: threading.Barrier) -> None:
        gate.wait(60)
        try:
            tts = fresh()
            for _ in range(2):
                result = tts.generate(SCRIPT, seed=1)
                if not torch.equal(result.audio_tokens, expected.audio_tokens):
                    wrong.append(f"pair {pair}: other tokens")
                if not torch.equal(result.waveform, expected.waveform):
                    wrong.append(f"pair {pair}: another sound")
        except Exception as error:  # noqa: BLE001  # the test tells it, whatever it is
            wrong.append(f"pair {pair}: {type(error).__name__}: {error}")

    with switching():
        for pair in range(count):
            gate = threading.Barrier(2)
            threads = [threading.Thread(target=speak, args=(pair, gate)) for _ in range(2)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
    if settings() != before:
        wrong.append("torch is left changed")
    return wrong


def test_two_engines_that_load_and_speak_in_two_threads_say_the_same() -> None:
    assert pairs(1) == []


@pytest.mark.slow
def test_five_hundred_pairs_of_engines_in_two_threads_say_the_same() -> None:
    assert pairs(500) == []


def test_the_draws_of_a_run_are_float32_whatever_another_thread_does_to_the_default() -> None:
    """What went wrong once: a codec that loads makes float16 the default, for every thread."""
    expected, tts = engine(NAME).generate(SCRIPT, seed=1), engine(NAME)

    def change(_: object) -> None:
        torch.set_default_dtype(torch.float16)  # as another thread may at any time

    try:
        with isolated():
            torch.set_default_dtype(torch.float16)
            result = tts.generate(SCRIPT, seed=1, progress=change)
    finally:
        torch.set_default_dtype(torch.float32)
    assert torch.equal(result.audio_tokens, expected.audio_tokens)


def test_two_threads_that_first_use_one_engine_load_it_once(monkeypatch: pytest.MonkeyPatch) -> None:
    tts, loads = fresh(), []
    real = Dia2._load

    def counted(self: Dia2) -> Any:
        loads.append(1)
        return real(self)

    monkeypatch.setattr(Dia2, "_load", counted)
    found = []
    threads = [threading.Thread(target=lambda: found.append(tts.runtime)) for _ in range(2)]
    with switching():
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(loads) == 1
    assert found[0] is found[1]
