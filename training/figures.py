"""Pictures for the model card: curves of the training, one sentence said by source, codec and checkpoint, and a head.

The head is the one whose attention looks most at the words being spoken.

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
import torch

from dia2.adapter.pictures import placed_words, spoken_slots
from dia2.adapter.replay import Replay
from dia2.engine import Dia2
from dia2.inspect import Dia2Trace
from dia2.inspect.views.plots import attention
from training.corpus import record
from training.dialogue import Dialogue, Turn
from training.vocoder import SAMPLE_RATE

SCRIPT = "[S1] Hello there. How are you today? [S2] Not too bad, thank you. Can I help you with the big table?"
SENTENCE = Dialogue((Turn(1, ("Can you see the big house?",)), Turn(2, ("Yes, it is very old.",))), (0.0, 0.0))
_TRANSFORM = 512
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
    """Losses and figures of the recipe's runs, each against its steps."""
    from matplotlib.figure import Figure

    panels = (
        ("codec/continuous", "phonemes", "codec, continuous: phonemes heard"),
        ("codec/continuous", "stoi", "codec, continuous: STOI"),
        ("codec/quantised", "stoi", "codec, quantised: STOI"),
        ("codec/decoder", "stoi", "codec, decoder: STOI"),
        ("language", "action", "language model: action"),
        ("language", "cb0", "language model: phoneme of the first half"),
        ("language", "cb1", "language model: phoneme of the second half"),
        ("language", "dep", "language model: all but codebook 0"),
    )
    figure = Figure(figsize=(13, 5.5), layout="constrained")
    for axes, (run, name, title) in zip(figure.subplots(2, 4).flat, panels, strict=True):
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


def draw_spectrograms(tts: Dia2, path: Path) -> None:
    """One sentence three times: as the source says it, as the codec gives it back, and as the checkpoint says it."""
    from matplotlib.figure import Figure

    source = record(SENTENCE)
    codec = tts.runtime.mimi
    back = codec.decode(codec.encode(torch.from_numpy(source.samples)))
    made = tts.generate(SENTENCE.script(), seed=1).waveform
    figure = Figure(figsize=(10, 7), layout="constrained")
    panels = (("source", torch.from_numpy(source.samples)), ("codec", back.cpu()), ("generated", made))
    for axes, (title, samples) in zip(figure.subplots(len(panels), 1, sharex=True), panels, strict=True):
        window = torch.hann_window(_TRANSFORM)
        spectrum = torch.stft(samples, _TRANSFORM, _TRANSFORM // 4, window=window, return_complex=True).abs()
        level = 20 * torch.log10(spectrum + 1e-3)
        extent = (0.0, len(samples) / SAMPLE_RATE, 0.0, SAMPLE_RATE / 2000)
        axes.imshow(level.numpy(), origin="lower", aspect="auto", extent=extent, cmap="magma", vmin=-50, vmax=30)
        axes.set_title(title, fontsize=9, loc="left")
        axes.set_ylabel("kHz", fontsize=8)
    axes.set_xlabel("seconds", fontsize=8)
    figure.savefig(path, dpi=100)


@dataclass(frozen=True)
class Looking:
    """How much a head looks at the word that is being spoken."""

    layer: int
    head: int
    share: float  # of its attention, mean over calls, that lies on the spoken word's tokens
    blind: float  # the same if at every call it looked as far back as it does in the mean of all calls
    even: float  # the share if it looked everywhere alike


def best_head(trace: Dia2Trace, replay: Replay) -> Looking:
    """The head that gains most by knowing where the spoken word is, of the transformer's conditional branch.

    Args:
        trace: of a run without prefix.
        replay: of all its calls, with attention.
    """
    targets = spoken_slots(trace, placed_words(trace, len(trace)))
    calls = [call for call, slots in enumerate(targets) if slots]
    even = float(np.mean([len(targets[call]) / (call + 1) for call in calls]))
    best: Looking | None = None
    for layer, maps in enumerate(replay.attention):
        for head in range(maps.shape[2]):
            weights = maps[:, 0, head].numpy()  # [calls, slots]
            share = float(np.mean([weights[call, targets[call]].sum() for call in calls]))
            found = Looking(layer, head, share, by_distance_alone(weights, targets), even)
            if best is None or found.share - found.blind > best.share - best.blind:
                best = found
    assert best is not None, "a transformer has layers"
    return best


def by_distance_alone(weights: np.ndarray[Any, Any], targets: list[list[int]]) -> float:
    """The share on the targets of a head that looks back by the mean of all calls, whatever is there.

    Args:
        weights: [calls, slots], row i of the call that fills slot i.
        targets: slots of each call.
    """
    back = np.stack([np.pad(row[call::-1], (0, weights.shape[1] - call - 1)) for call, row in enumerate(weights)])
    profile = back.mean(0)  # by distance
    return float(np.mean([sum(profile[call - slot] for slot in slots) for call, slots in enumerate(targets) if slots]))


def main(arguments: list[str]) -> None:
    """Draw all."""
    folder, checkpoint, images = map(Path, arguments)
    images.mkdir(parents=True, exist_ok=True)
    tts = Dia2.from_repo(str(checkpoint))
    for name in _draw(folder, tts, images):
        print(images / name)


def _draw(folder: Path, tts: Dia2, images: Path) -> Iterator[str]:
    draw_curves(folder, images / "nano-curves.png")
    yield "nano-curves.png"
    draw_spectrograms(tts, images / "nano-spectrograms.png")
    yield "nano-spectrograms.png"
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / "run.dia2trace"
        tts.generate(SCRIPT, seed=1, trace=path)
        trace = Dia2Trace.load(path)
        replay = trace.replay(tts, attention=True)
        looking = best_head(trace, replay)
        attention(trace, replay, looking.layer, looking.head).savefig(images / "nano-attention.png", dpi=110)
    yield f"nano-attention.png: {looking.share:.3f}, by distance alone {looking.blind:.3f}, even {looking.even:.3f}"


if __name__ == "__main__":
    main(sys.argv[1:])
