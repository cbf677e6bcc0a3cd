"""Runs without a prefix: faults of script, settings and sound, put in by the script, a setting, or edits."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np

from dia2 import Dia2
from dia2.adapter.trace import Dia2Trace
from dia2.inspect import record
from dia2.runtime.assets import nano_folder
from dia2.runtime.edits import ChangeSampling, Edit, ForceAction, ReplaceToken

Make = Callable[[Path], Path]  # makes a run in a folder; gives its trace
Codes = np.ndarray[Any, np.dtype[np.int32]]

SCRIPT = "[S1] Good morning. How are you today? I had some bread and a cup of tea. [S2] The dog was under the table."
CLEAN_SCRIPTS = (
    "[S1] My brother has a new job. We went to the park with the children. [S2] Is your sister at home?",
    "[S1] The train is late again. We have to wait ten minutes. [S2] Did you sleep well? It will rain tomorrow.",
    '[S2] I need a new computer. <break time="0.8s"/> [S1] See you on Monday. Please close the door.',
    "[S1] Hello. [S2] Hi. How was your weekend? [S1] It was good, thank you. We saw a film with my mother.",
)


@dataclass(frozen=True)
class Seeded:
    """A run with a fault."""

    kind: str
    name: str
    make: Make
    at: Callable[[Dia2Trace], int]  # the call where the fault is
    hear: bool = False  # only Whisper can tell


def made(folder: Path, script: str = SCRIPT, edits: Sequence[Edit] = (), **more: Any) -> Path:
    """A run, recorded in a folder."""
    path = folder / "run.dia2trace"
    Dia2.nano().generate(script, trace=path, edits=edits, **{"seed": 1} | more)
    return path


@cache
def _plain(script: str = SCRIPT) -> Dia2Trace:
    """The run without its fault."""
    folder = Path(mkdtemp(prefix="dia2-seeded-"))
    trace = Dia2Trace.load(made(folder, script))
    assert trace.codes.size, "read while it is there"
    shutil.rmtree(folder)
    return trace


def _call(word: str) -> int:
    """Where the run without its fault takes a word."""
    return _plain().find(word=word)[0]


def _at_word(word: str) -> Callable[[Dia2Trace], int]:
    return lambda trace: trace.find(word=word)[0]


def _at(call: int) -> Callable[[Dia2Trace], int]:
    return lambda trace: call if call >= 0 else len(trace) + call


def _pause(calls: int) -> Codes:
    """Codes that nano draws in a long break."""
    found = _plain('[S1] Good morning. <break time="3s"/> How are you today?').codes[24:44]
    return found[np.arange(calls) % len(found)]


def _forced(first: int, codes: Codes) -> list[Edit]:
    """Edits that write rows of codes from a call on."""
    return [ReplaceToken(first + i, int(code), codebook=k) for i, row in enumerate(codes) for k, code in enumerate(row)]


def _actions(word: str, action: Any, calls: int) -> list[Edit]:
    """Edits that force an action in the calls after a word is taken."""
    return [ForceAction(_call(word) + i, action) for i in range(1, calls + 1)]


def _paused(word: str, after: int, calls: int) -> list[Edit]:
    return _forced(_call(word) + after, _pause(calls))


def _looped(word: str, period: int, calls: int) -> list[Edit]:
    first = _call(word) + 4
    return _forced(first + period, _plain().codes[first : first + period][np.arange(calls) % period])


def _random(word: str, calls: int) -> list[Edit]:
    return _forced(_call(word), np.random.default_rng(3).integers(0, 256, (calls, 8), dtype=np.int32))


def _edited(kind: str, name: str, word: str, edits: Callable[[], list[Edit]], after: int = 0) -> Seeded:
    """A run with edits near a word, which are made when the run is."""
    return Seeded(kind, name, lambda folder: made(folder, edits=edits()), lambda _: _call(word) + after)


@cache
def _limited(steps: int) -> Dia2:
    """Nano, as if it could speak no longer than that."""
    folder = Path(mkdtemp(prefix="dia2-seeded-")) / "limited"
    shutil.copytree(nano_folder(), folder, ignore=shutil.ignore_patterns("*.dia2trace"))
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config["runtime"]["max_context_steps"] = steps
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return Dia2.from_local(config_path=folder / "config.json", weights_path=folder / "model.safetensors", device="cpu")


def _too_long(steps: int, folder: Path) -> Path:
    path = folder / "run.dia2trace"
    _limited(steps).generate(SCRIPT, seed=1, trace=path)
    return path


def _left(pieces: int, folder: Path) -> Path:
    """A stream that nobody reads to its end."""
    path = folder / "run.dia2trace"
    with record(path):
        stream = Dia2.nano().stream(SCRIPT, seed=1)
        for _ in range(pieces):
            next(stream)
        stream.close()
    return path


def _script(kind: str, script: str, word: str) -> Seeded:
    return Seeded(kind, word, partial(made, script=script), _at_word(word))


def runs() -> Iterator[Seeded]:
    """Two or more of each kind."""
    for spelling, word in (("(S2)", "(S2)"), ("[laughs]", "[laughs]"), ("Speaker 2:", "Speaker")):
        script = f"[S1] Good morning. How are you today? {spelling} I had some bread and a cup of tea."
        yield _script("tag-near-miss", script, word)
    for word in ("Привет", "東京都", "😀"):
        yield _script("unknown-token", f"[S1] Good morning, {word} and how are you today?", word)
    for steps in (60, 90):
        yield Seeded("script-cut", f"a checkpoint of {steps} steps", partial(_too_long, steps), _at(-1))
    for pieces in (30, 70):
        yield Seeded("early-stop", f"a stream left after {pieces} pieces", partial(_left, pieces), _at(-1))
    yield Seeded("guidance-off", "cfg 1", partial(made, cfg_scale=1.0), _at(0))
    later = [ChangeSampling(60, cfg_scale=1.0)]
    yield Seeded("guidance-off", "cfg 1 from call 60 on", partial(made, edits=later), _at(60))
    yield Seeded("sampling-narrow", "temperature 0", partial(made, temp_audio=0.0), _at(0))
    narrow = [ChangeSampling(50, topk_audio=2)]
    yield Seeded("sampling-narrow", "top-k 2 from call 50 on", partial(made, edits=narrow), _at(50))
    yield Seeded("sampling-wide", "temperature 3", partial(made, temp_audio=3.0), _at(0))
    wide = [ChangeSampling(40, temp_audio=6.0)]
    yield Seeded("sampling-wide", "temperature 6 from call 40 on", partial(made, edits=wide), _at(40))
    for word, calls in (("bread", 17), ("morning.", 17)):
        rushed = partial(_actions, word, "new_word", calls)
        yield _edited("word-rushed", f"new words forced from “{word}” on", word, rushed)
    for word in ("How", "the"):
        yield _edited("word-held", f"pads forced after “{word}”", word, partial(_actions, word, "pad", 6))
    for word, calls in (("some", 24), ("today?", 27)):
        yield _edited("silence-long", f"a pause from “{word}” on", word, partial(_paused, word, 4, calls), 2)
    for word, calls in (("bread", 7), ("morning.", 8)):
        yield _edited("word-cut", f"a pause in place of “{word}”", word, partial(_paused, word, 3, calls))
    for word, period, calls in (("today?", 1, 18), ("cup", 5, 24), ("dog", 3, 18)):
        looped = partial(_looped, word, period, calls)
        yield _edited("loop", f"the same {period} calls' codes from “{word}” on", word, looped, 4)
    for word, calls in (("bread", 12), ("dog", 10)):
        yield _edited("surprise", f"random codes from “{word}” on", word, partial(_random, word, calls))


def clean_runs() -> Iterator[tuple[str, Make]]:
    """Runs of other scripts and seeds, at three strengths of guidance."""
    for number in range(24):
        script, cfg = CLEAN_SCRIPTS[number % len(CLEAN_SCRIPTS)], (2.0, 3.0, 1.5)[number % 3]
        yield f"plain {number}", partial(made, script=script, seed=100 + number, cfg_scale=cfg)
