"""Utterances as the language model learns them: the corpus's codes beside its words."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from dia2.common.files import replacing
from training.acoustics import Acoustics
from training.corpus import read_shard, shards
from training.spoken import Spoken
from training.streams import Utterance


def encode_corpus(corpus: Path, split: str, acoustics: Acoustics, folder: Path) -> Iterator[Path]:
    """Write the codes of every shard of `corpus` that `folder` does not have yet; yields each file."""
    folder.mkdir(parents=True, exist_ok=True)
    for shard in shards(corpus, split):
        path = folder / shard.name
        if path.exists():
            continue
        utterances = [Utterance(r.spoken, r.end, acoustics.codes(r)) for r in read_shard(shard)]
        write_utterances(path, utterances)
        yield path


def write_utterances(path: Path, utterances: Sequence[Utterance], facts: Mapping[str, str] | None = None) -> None:
    """Write utterances, whole or not at all; `facts` stand in the file's metadata, under names of their own."""
    notes = [{"spoken": [asdict(s) for s in u.spoken], "end": u.end, "frames": u.codes.shape[1]} for u in utterances]
    codes = torch.cat([u.codes for u in utterances], dim=1).to(torch.int16)
    with replacing(path) as temporary:
        save_file({"codes": codes}, temporary, metadata={"utterances": json.dumps(notes), **(facts or {})})


def read_utterances(folder: Path, split: str) -> list[Utterance]:
    """All utterances of a split."""
    return [utterance for path in shards(folder, split) for utterance in read_file(path)]


def read_file(path: Path) -> list[Utterance]:
    """The utterances that `write_utterances` wrote."""
    with safe_open(path, framework="pt") as file:
        codes = file.get_tensor("codes").long()
        notes = json.loads(file.metadata()["utterances"])
    parts = codes.split([note["frames"] for note in notes], dim=1)
    return [
        Utterance(tuple(Spoken(**s) for s in note["spoken"]), note["end"], part)
        for note, part in zip(notes, parts, strict=True)
    ]
