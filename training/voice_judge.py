"""Which of the corpus's two voices sounds in each frame: a small classifier of the sources' own sound."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training.corpus import FRAME_RATE, Recording
from training.judge import Sound, pitch
from training.phonetic import latest, speakers
from training.sound_loss import mel_filters
from training.vocoder import FRAME

_BANDS = 32
_SIZE = 2048  # of the transform: a frame, and a little of the next
_STEPS = 300
_QUIET = 1e-4  # mean square of a frame, below which nobody speaks
_CHANGE = 3  # frames on either side of a change of speakers that do not count


class VoiceJudge:
    """Hears voices frame by frame; it was taught by the corpus's own recordings."""

    def __init__(self, recordings: Iterable[Recording], seed: int = 0) -> None:
        """Learn the two voices of the recordings."""
        features, voices = [], []
        for recording in recordings:
            found, loud = _features(recording.samples)
            who = speakers(recording)
            kept = loud & _settled(who) & (who > 0)
            features.append(found[kept])
            voices.append(who[kept] - 1)
        x, y = torch.cat(features), torch.cat(voices)
        torch.manual_seed(seed)
        self._mean, self._std = x.mean(0), x.std(0) + 1e-3
        self._net = nn.Sequential(nn.Linear(x.shape[1], 32), nn.ReLU(), nn.Linear(32, 2))
        optimizer = torch.optim.Adam(self._net.parameters(), 1e-2)
        for _ in range(_STEPS):
            loss = F.cross_entropy(self._net((x - self._mean) / self._std), y)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
            optimizer.step()

    @torch.no_grad()
    def voices(self, samples: Sound) -> Tensor:
        """Voice 1 or 2 of each frame, [N / FRAME] int64; 0 where nobody speaks."""
        features, loud = _features(samples)
        heard = self._net((features - self._mean) / self._std).argmax(1) + 1
        return torch.where(loud, heard, 0)

    def right(self, samples: Sound, who: Tensor) -> tuple[int, int]:
        """Of the frames in which somebody speaks: how many in the voice of `who` [frames], and how many there are."""
        heard = self.voices(samples)
        length = min(len(heard), len(who))
        heard, who = heard[:length], who[:length]
        kept = (heard > 0) & (who > 0) & _settled(who)
        return int((heard == who)[kept].sum()), int(kept.sum())


def who_speaks(starts: Sequence[float], numbers: Sequence[int], frames: int) -> Tensor:
    """The speaker of each frame, [frames] int64, by the seconds at which words begin: 0 before the first."""
    return torch.from_numpy(
        latest(np.array(starts), np.array(numbers, np.int64), (np.arange(frames) + 0.5) / FRAME_RATE)
    )


def _settled(who: Tensor) -> Tensor:
    """Where nobody else speaks nearby; [frames] bool."""
    changes = F.pad((who[1:] != who[:-1]).float(), (1, 0))[None, None]
    return F.max_pool1d(changes, 2 * _CHANGE + 1, 1, _CHANGE)[0, 0] == 0


def _features(samples: Sound) -> tuple[Tensor, Tensor]:
    """Mel spectrum without its level, and pitch, of each frame [T, bands + 1]; and whether it is loud [T] bool."""
    count = len(samples) // FRAME
    sound = torch.from_numpy(np.pad(samples[: count * FRAME], (0, _SIZE - FRAME)))
    pieces = sound.unfold(0, _SIZE, FRAME) * torch.hann_window(_SIZE)
    power = torch.fft.rfft(pieces).abs().square()
    mel = torch.log(power @ mel_filters(_SIZE, _BANDS).T + 1e-5)
    hertz: Any = pitch(samples[: count * FRAME]).reshape(count, -1)
    voiced = [row[row > 0] for row in hertz]
    tone = torch.tensor([float(np.log2(np.median(row) / 130.0)) if len(row) else 0.0 for row in voiced])
    loud = sound[: count * FRAME].view(count, FRAME).square().mean(1) > _QUIET
    return torch.cat((mel - mel.mean(1, keepdim=True), 4 * tone[:, None]), dim=1), loud
