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
    blind: float  # the same if at every call it looked as far back as it does in the mean of all calls
    even: float  # the share if it looked everywhere alike
    weights: np.ndarray[Any, Any]  # [calls, slots]
    targets: list[list[int]]  # slots of the spoken word's tokens at each call; empty where none is spoken


def spoken_slots(trace: Trace) -> list[list[int]]:
    """Slots of the first stream's tokens of the word whose sound codebook 0 is drawn for, call by call.

    A word begun at step s is heard from frame s − LAG until the next word is, or the end; the last call's column is of
    frame step + 1 − delay. Only slots that the call can see count.
    """
    pad, delay = trace.model.tokens.pad, trace.model.delays[0]
    seen = trace.column("text")[:, 0]  # of the first stream
    begun = [(word.step, word.call) for word in trace.words if word.step is not None and word.call is not None]
    ends = [step for step, _ in begun[1:]] + [int(trace.column("end_step").max())]
    calls = [call for _, call in begun[1:]] + [len(trace) - 1]
    tokens = [
        [slot for slot in range(call + 1, following + 1) if seen[slot] != pad]
        for (_, call), following in zip(begun, calls, strict=True)
    ]
    slots: list[list[int]] = []
    for call in range(trace.warmup_calls, len(trace)):
        step = int(trace.steps[call]) + 1 - delay + LAG
        now = [held for (begin, _), end, held in zip(begun, ends, tokens, strict=True) if begin <= step < end]
        slots.append([slot for held in now for slot in held if slot <= call])
    return slots


def best_head(trace: Trace, tts: Dia2) -> Looking:
    """The head that gains most by knowing where the spoken word is, of the transformer's conditional branch."""
    targets = spoken_slots(trace)
    calls = [i for i, slots in enumerate(targets) if slots]
    now = trace.warmup_calls
    even = float(np.mean([len(targets[i]) / (now + i + 1) for i in calls]))
    best: Looking | None = None
    for layer, maps in enumerate(trace.replay(tts, attention=True).attention):
        for head in range(maps.shape[2]):
            weights = maps[now:, 0, head].numpy()  # [calls, slots]
            share = float(np.mean([weights[i, targets[i]].sum() for i in calls]))
            found = Looking(layer, head, share, by_distance_alone(weights, targets, now), even, weights, targets)
            if best is None or found.share - found.blind > best.share - best.blind:
                best = found
    assert best is not None, "a transformer has layers"
    return best


def by_distance_alone(weights: np.ndarray[Any, Any], targets: list[list[int]], now: int) -> float:
    """The share on the targets of a head that looks back by the mean of all calls, whatever is there.

    Args:
        weights: [calls, slots]; row i is of slot now + i.
        targets: slots of each call.
        now: slot of the first row.
    """
    back = np.stack([np.pad(row[now + i :: -1], (0, weights.shape[1] - now - i - 1)) for i, row in enumerate(weights)])
    profile = back.mean(0)  # by distance
    return float(np.mean([sum(profile[now + i - t] for t in slots) for i, slots in enumerate(targets) if slots]))


def draw_attention(trace: Trace, looking: Looking, path: Path) -> None:
    """The head's attention, calls down and slots across, with the spoken word's tokens outlined."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 7.5), layout="constrained")
    axes = figure.subplots()
    axes.imshow(np.sqrt(looking.weights), aspect="auto", cmap="magma", interpolation="nearest")
    for i, slots in enumerate(looking.targets):
        if slots:
            axes.plot([slots[0] - 0.5, slots[-1] + 0.5], [i, i], color="#5ad1ff", linewidth=1.2, alpha=0.55)
    for word in trace.words:
        if word.step is not None:
            axes.text(
                word.step + 1, word.step - 1, " " + word.text, fontsize=7, rotation=30, color="white", va="bottom"
            )
    axes.set_ylim(len(looking.weights) - 0.5, -6)  # room for the first word
    axes.set_xlabel("slot looked at (one a call)")
    axes.set_ylabel("call")
    axes.set_title(
        f"layer {looking.layer}, head {looking.head}: {looking.share:.0%} of its attention lies on the tokens of the "
        f"word being spoken (blue);\n{looking.blind:.0%} if it only knew how far back to look, {looking.even:.0%} if "
        f"it looked everywhere alike",
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
    yield f"nano-attention.png: {looking.share:.3f}, by distance alone {looking.blind:.3f}"


if __name__ == "__main__":
    main(sys.argv[1:])
