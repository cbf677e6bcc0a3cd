"""Pictures for the model card: curves of the training, and a head whose attention looks at the words being spoken.

python -m training.figures FOLDER CHECKPOINT IMAGES      # FOLDER: of the recipe
"""

from __future__ import annotations

import struct
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dia2.engine import Dia2
from dia2.inspect import Trace, load
from training.streams import LAG

SCRIPT = "[S1] Hello there. How are you today? [S2] Not too bad, thank you. Can I help you with the big table?"
_INK = {"train": "#4269d0", "validation": "#ff725c"}


def scalars(run: Path) -> dict[str, list[tuple[int, float]]]:
    """(step, value) of every curve in a run's event files, TensorBoard's records of length, checksum, event."""
    from tensorboardX.proto.event_pb2 import Event

    found: dict[str, dict[int, float]] = {}
    for path in sorted(run.glob("events.out.tfevents.*")):
        data, at = path.read_bytes(), 0
        while at + 12 <= len(data):
            (length,) = struct.unpack("<Q", data[at : at + 8])
            event = Event.FromString(data[at + 12 : at + 12 + length])
            for value in event.summary.value:
                found.setdefault(value.tag, {})[event.step] = value.simple_value
            at += 16 + length
    return {tag: sorted(points.items()) for tag, points in found.items()}


def draw_curves(folder: Path, path: Path) -> None:
    """Losses of the three runs of the recipe, each against its steps."""
    from matplotlib.figure import Figure

    panels = (
        ("codec/continuous", "spectral", "codec, continuous: spectral loss"),
        ("codec/continuous", "stoi", "codec, continuous: STOI"),
        ("codec/quantised", "stoi", "codec, quantised: STOI"),
        ("language", "action", "language model: action"),
        ("language", "cb0", "language model: codebook 0"),
        ("language", "dep", "language model: other codebooks"),
    )
    figure = Figure(figsize=(10, 5.5), layout="constrained")
    for axes, (run, name, title) in zip(figure.subplots(2, 3).flat, panels, strict=True):
        curves = scalars(folder / run)
        for family, ink in _INK.items():
            if points := curves.get(f"{family}/{name}"):
                steps, values = zip(*points, strict=True)
                axes.plot(steps, values, color=ink, label=family, linewidth=1.4)
        axes.set_title(title, fontsize=9)
        axes.tick_params(labelsize=8)
        axes.grid(alpha=0.25)
        axes.legend(fontsize=8, frameon=False)
    figure.savefig(path, dpi=110)


@dataclass(frozen=True)
class Looking:
    """How much a head looks at the word that is being spoken."""

    layer: int
    head: int
    share: float  # of its attention, mean over calls, that lies on the spoken word's tokens
    even: float  # the share if it looked everywhere alike
    weights: np.ndarray[Any, Any]  # [calls, slots]
    targets: list[range]  # slots of the spoken word's tokens at each call; empty where none is spoken


def spoken_slots(trace: Trace) -> list[range]:
    """Slots that hold the tokens of the word whose sound codebook 0 is drawn for, call by call.

    A word begun at step s is heard from frame s − 2, and its tokens go in at the calls after s; the last call's column
    is of frame step + 1 − delay.
    """
    delay = trace.model.delays[0]
    begun = [word.step for word in trace.words if word.step is not None]
    slots = []
    for step in trace.steps[trace.warmup_calls :].tolist():
        frame = step + 1 - delay
        now = max((start for start in begun if start - LAG <= frame), default=None)
        if now is None:
            slots.append(range(0))
            continue
        following = min((start for start in begun if start > now), default=now + 4)
        first = trace.warmup_calls + now + 1
        slots.append(range(first, min(first + following - now, trace.warmup_calls + step + 1)))
    return slots


def best_head(trace: Trace, tts: Dia2) -> Looking:
    """The head of the transformer that looks at the spoken word most, of the conditional branch."""
    targets = spoken_slots(trace)
    seen = trace.replay(tts, attention=True)
    calls = [i for i, slots in enumerate(targets) if len(slots)]
    even = float(np.mean([len(targets[i]) / (i + 1) for i in calls]))
    best: Looking | None = None
    for layer, maps in enumerate(seen.attention):
        for head in range(maps.shape[2]):
            weights = maps[:, 0, head].numpy()  # [calls, slots]
            share = float(np.mean([weights[i, list(targets[i])].sum() for i in calls]))
            if best is None or share > best.share:
                best = Looking(layer, head, share, even, weights, targets)
    assert best is not None, "a transformer has layers"
    return best


def draw_attention(trace: Trace, looking: Looking, path: Path) -> None:
    """The head's attention, calls down and slots across, with the spoken word's tokens outlined."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 7.5), layout="constrained")
    axes = figure.subplots()
    axes.imshow(np.sqrt(looking.weights), aspect="auto", cmap="magma", interpolation="nearest")
    for i, slots in enumerate(looking.targets):
        if len(slots):
            axes.plot([slots.start - 0.5, slots.stop - 0.5], [i, i], color="#5ad1ff", linewidth=1.2, alpha=0.55)
    for word in trace.words:
        if word.step is not None:
            axes.text(
                word.step + 1, word.step - 1, " " + word.text, fontsize=7, rotation=30, color="white", va="bottom"
            )
    axes.set_xlabel("slot looked at (one a call)")
    axes.set_ylabel("call")
    axes.set_title(
        f"layer {looking.layer}, head {looking.head}: {looking.share:.0%} of its attention lies on the tokens of the\n"
        f"word being spoken (blue); {looking.even:.0%} if it looked everywhere alike",
        fontsize=9,
    )
    figure.savefig(path, dpi=110)


def main(arguments: list[str]) -> None:
    """Draw both."""
    folder, checkpoint, images = map(Path, arguments)
    images.mkdir(parents=True, exist_ok=True)
    tts = Dia2.from_repo(str(checkpoint))
    for name in _draw(folder, tts, images):
        print(images / name)


def _draw(folder: Path, tts: Dia2, images: Path) -> Iterator[str]:
    draw_curves(folder, images / "nano-curves.png")
    yield "nano-curves.png"
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / "run.dia2trace"
        tts.generate(SCRIPT, seed=1, trace=path)
        trace = load(path)
        looking = best_head(trace, tts)
        draw_attention(trace, looking, images / "nano-attention.png")
    yield f"nano-attention.png: {looking.share:.3f} of the attention, {looking.even:.3f} if even"


if __name__ == "__main__":
    main(sys.argv[1:])
