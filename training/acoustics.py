"""Codes made from what the vocoder was given, rather than found by a network.

The corpus knows of every frame which phonemes sound in its halves, whose voice it is and how many pulses it has. That
is codebooks 0, 1 and 2. From them, and from the phonemes of the frame before, a linear map tells most of the spectrum;
the other codebooks hold the rest, by principal components and residual k-means. So there are codes before there is a
codec, they can be heard through the vocoder, and what they cost in understanding is known before anything is trained.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from dia2.common.errors import Dia2Error, one_line
from dia2.common.files import replacing
from training.codebooks import k_means
from training.corpus import Recording
from training.flite import Floats
from training.phonetic import HALVES, Inventory
from training.vocoder import SHAPE, STEPS, sound_of

LABELLED = HALVES + 1  # codebooks that say something by name: two phonemes, and the pitch of a voice
_RIDGE = 5.0  # of the linear map: what it takes to believe in a combination that is rare
_POINTS = 40_000  # frames that k-means looks at
_AT_ONCE = 20_000  # frames that are multiplied out at a time
_VOICES = 2
_WEIGHTS = np.array([1.0] + [2**0.5] * (SHAPE - 6) + [1.0] * 5, np.float32)  # makes distances those of log spectra


@dataclass(frozen=True)
class Acoustics:
    """What codes mean."""

    inventory: Inventory  # of phonemes
    pitches: tuple[int, ...]  # pulses of each code of codebook 2: see `Recording.pulses`; the first is 0, silence
    map: Tensor  # [inputs, STEPS · SHAPE] of what codebooks 0 … 2 say to a spectrum, and a last row for a constant
    basis: Tensor  # [D, STEPS · SHAPE] of the rest, as long as makes the rest about 1 in size
    books: Tensor  # [books, codes, D]; code 0 adds nothing

    @classmethod
    def fit(cls, recordings: Sequence[Recording], width: int, books: int, codes: int, seed: int = 0) -> Acoustics:
        """Fit everything to recordings.

        Args:
            recordings: some hours.
            width: D, numbers that describe the rest.
            books: codebooks for it.
            codes: of a codebook.
            seed: of k-means.
        """
        inventory = Inventory.of(recordings)
        pitches = (0, *sorted({int(p) for r in recordings for p in np.unique(r.pulses)} - {0}))
        size = STEPS * SHAPE
        bare = cls(inventory, pitches, torch.zeros(0, size), torch.zeros(0, size), torch.zeros(books, codes, width))
        inputs = torch.cat([bare._inputs(bare.labels(r)) for r in recordings])
        spectra = torch.cat([_weighed(r) for r in recordings])
        sounding = torch.cat([torch.from_numpy(r.pulses != 0) for r in recordings])
        inputs, spectra = inputs[sounding], spectra[sounding]
        square, product = bare._products(inputs, spectra)
        linear = torch.linalg.solve(square + _RIDGE * torch.eye(len(square)), product)
        rest = spectra - _mapped(linear, inputs)
        _, directions = torch.linalg.eigh(rest.T @ rest)  # by rising eigenvalues
        basis = directions.T.flip(0)[:width]
        latents = rest @ basis.T
        scale = 1 / latents.square().mean().sqrt()
        return cls(inventory, pitches, linear, basis * scale, _books(latents * scale, books, codes, seed))

    def labels(self, recording: Recording) -> Tensor:
        """Codes [3, T] of codebooks 0 … 2."""
        places = {pulses: code for code, pulses in enumerate(self.pitches)}
        pitch = torch.tensor([places.get(int(p), 0) for p in recording.pulses])
        return torch.cat((self.inventory.labels(recording), pitch[None]))

    def latents(self, recording: Recording, labels: Tensor) -> Tensor:
        """What the other codebooks code [T, D]: the rest, and nothing in silence."""
        rest = _weighed(recording) - _mapped(self.map, self._inputs(labels))
        return (rest @ self.basis.T) * (labels[HALVES] > 0)[:, None]

    def codes(self, recording: Recording) -> Tensor:
        """Codes [3 + books, T]."""
        labels = self.labels(recording)
        rest = self.latents(recording, labels)
        found = []
        for book in self.books:
            found.append(torch.cdist(rest, book).argmin(1))
            rest = rest - book[found[-1]]
        return torch.cat((labels, torch.stack(found)))

    def sound(self, codes: Tensor) -> Floats:
        """Samples of codes [3 + k, T], through the vocoder; only the first k of the other codebooks are heard."""
        labels = codes[:LABELLED]
        rest = torch.zeros(codes.shape[1], self.basis.shape[0])
        for book, row in zip(self.books, codes[LABELLED:], strict=False):
            rest = rest + book[row]
        back = self.basis / self.basis.square().sum(1, keepdim=True)  # its rows are orthogonal
        spectra = _mapped(self.map, self._inputs(labels)) + rest @ back
        spectra[labels[HALVES] == 0] = 0  # silence
        shapes = (spectra.view(-1, STEPS, SHAPE) / torch.from_numpy(_WEIGHTS)).numpy()
        return sound_of(shapes, [max(1, abs(self.pitches[code])) for code in labels[HALVES].tolist()])

    def _inputs(self, labels: Tensor) -> Tensor:
        """The rows of `map` that add up to each frame's spectrum, [T, 6], of codes [3, T]."""
        count = len(self.inventory.names)
        pulses = torch.tensor(self.pitches)[labels[HALVES]]
        voice = (pulses < 0).long()
        phonemes = labels[:HALVES]
        before = torch.cat((torch.zeros_like(phonemes[:, :1]), phonemes[:, :-1]), dim=1)
        rows = [(place * _VOICES + voice) * count + phoneme for place, phoneme in enumerate((*before, *phonemes))]
        rows.append(2 * HALVES * _VOICES * count + labels[HALVES])
        rows.append(torch.full_like(voice, self._rows - 1))
        return torch.stack(rows, 1)

    @property
    def _rows(self) -> int:
        return 2 * HALVES * _VOICES * len(self.inventory.names) + len(self.pitches) + 1

    def _products(self, inputs: Tensor, spectra: Tensor) -> tuple[Tensor, Tensor]:
        """AᵀA and AᵀX, where A has a 1 for each of `inputs`."""
        square, product = torch.zeros(self._rows, self._rows), torch.zeros(self._rows, spectra.shape[1])
        for begin in range(0, len(inputs), _AT_ONCE):
            rows, wanted = inputs[begin : begin + _AT_ONCE], spectra[begin : begin + _AT_ONCE]
            chosen = torch.zeros(len(rows), self._rows).scatter_(1, rows, 1.0)
            square += chosen.T @ chosen
            product += chosen.T @ wanted
        return square, product

    def write(self, path: Path) -> None:
        """Keep it in a file, whole or not at all."""
        names = {"phonemes": json.dumps(self.inventory.names), "pitches": json.dumps(self.pitches)}
        tensors = {"map": self.map, "basis": self.basis, "books": self.books}
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:
            save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, temporary, metadata=names)

    @classmethod
    def read(cls, path: Path) -> Acoustics:
        """What `write` wrote.

        Raises:
            Dia2Error: it cannot be read.
        """
        try:
            with safe_open(path, framework="pt") as file:
                facts = file.metadata()
                tensors = [file.get_tensor(name) for name in ("map", "basis", "books")]
            names = tuple(map(str, json.loads(facts["phonemes"])))
            return cls(Inventory(names), tuple(map(int, json.loads(facts["pitches"]))), *tensors)
        except (OSError, SafetensorError, ValueError, TypeError, KeyError) as error:
            raise Dia2Error(
                f"{path} does not say what codes mean ({one_line(error)}): make the codes first."
            ) from error


def _weighed(recording: Recording) -> Tensor:
    return torch.from_numpy((recording.shapes.astype(np.float32) * _WEIGHTS).reshape(len(recording.shapes), -1))


def _mapped(linear: Tensor, inputs: Tensor) -> Tensor:
    return torch.nn.functional.embedding_bag(inputs, linear, mode="sum")


def _books(latents: Tensor, books: int, codes: int, seed: int) -> Tensor:
    """Codebooks [books, codes, D] for latents [N, D], one for what the one before it leaves."""
    generator = torch.Generator().manual_seed(seed)
    rest = latents[torch.randperm(len(latents), generator=generator)[:_POINTS]]
    found = []
    for _ in range(books):
        centres = torch.cat((torch.zeros(1, rest.shape[1]), k_means(rest, codes - 1, generator)))
        found.append(centres)
        rest = rest - centres[torch.cdist(rest, centres).argmin(1)]
    return torch.stack(found)
