"""The whole recipe of the embedded checkpoint, by one command.

    python -m training.recipe FOLDER --size smoke     # a minute or two: does everything run?
    python -m training.recipe FOLDER                  # the real one: hours of two CPU cores
    python -m training.recipe FOLDER --device cuda    # the same on a GPU

Every step leaves its result in FOLDER and is left out when it is there, so a run that was stopped goes on where it was.
The checkpoint is FOLDER/checkpoint: `dia2 generate out.wav --config FOLDER/checkpoint/config.json --weights
FOLDER/checkpoint/model.safetensors`.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer

from dia2.common.checks import short
from dia2.common.errors import Dia2Error, UsageError, one_line
from dia2.core.config import parse_config
from dia2.core.linear import multiplies_bfloat16
from dia2.core.model import Dia2Model
from training.acoustics import LABELLED, Acoustics
from training.checkpoint import language_of, write_checkpoint
from training.codec import CodecData, CodecSize, Sounds, train_decoder, train_encoder
from training.codec_network import CodecShape
from training.commands import resumable
from training.corpus import CorpusPlan, Recording, make_corpus, read_shard, shards
from training.dataset import encode_corpus, read_utterances
from training.language_model import Batches, LanguageSize, LanguageTraining, Learning, config_dict, initialise, validate
from training.loop import Losses, Schedule, fit
from training.muon import muon_for
from training.pronunciation import make_plain, make_sounding
from training.tokenizer import train_tokenizer


@dataclass(frozen=True)
class Recipe:
    """How much of everything."""

    shards: int  # of the train split, a third of an hour each
    fitted_shards: int  # of them, by which it is decided what codes mean
    codec_shards: int  # of them, that the codec learns from
    dialogues: int  # a shard
    validation: int  # recordings of the validation split
    codec: CodecSize
    language: LanguageSize
    seed: int = 1


_LEARNING = Learning(
    dropout=0.1, shuffled_share=0.5, onset_weight=5.0, lost_spans=0.1, probe_weight=1.0, depformer_share=0.5
)
NANO = Recipe(
    shards=52,
    fitted_shards=8,
    codec_shards=20,
    dialogues=100,
    validation=60,
    codec=CodecSize(waveform=Schedule(3500, 1.5e-3), decoder=Schedule(5000, 1e-3), encoder=Schedule(3000, 1.5e-3)),
    language=LanguageSize(schedule=Schedule(10_000, 2e-3, warmup=200), learning=_LEARNING),
)
SMOKE = Recipe(
    shards=1,
    fitted_shards=1,
    codec_shards=1,
    dialogues=6,
    validation=2,
    codec=CodecSize(
        shape=CodecShape(filters=2, hidden=32, layers=1, codes=128, latent=12), batch=2, crop=6,
        waveform=Schedule(6, 1e-3), decoder=Schedule(3, 1e-3), encoder=Schedule(3, 1e-3),
    ),
    language=LanguageSize(
        layers=2, width=64, hidden=128, heads=4, kv_heads=2, head_dim=16,
        depformer_layers=1, depformer_width=32, depformer_hidden=64, vocabulary=384, text_rank=16,
        schedule=Schedule(6, 2e-3), learning=_LEARNING,
    ),
)  # fmt: skip
SIZES = {"nano": NANO, "smoke": SMOKE}
_THREADS = min(4, os.cpu_count() or 1)
STEPS = ("corpus", "codes", "decoder", "encoder", "language", "checkpoint")


class Kitchen:
    """The folder in which a recipe is carried out."""

    def __init__(self, folder: Path, recipe: Recipe, workers: int, device: torch.device) -> None:
        self.folder = folder
        self.recipe = recipe
        self.workers = workers
        self.device = device

    def run(self, step: str) -> None:
        """Carry out one step, or what is left of it."""
        if step not in STEPS:
            raise Dia2Error(f"The recipe has no step {step!r}: use one of {', '.join(STEPS)}.")
        begin = time.monotonic()
        print(f"{step} …", flush=True)
        getattr(self, f"_{step}")()
        print(f"{step}: done in {time.monotonic() - begin:.0f} s", flush=True)

    def _corpus(self) -> None:
        recipe = self.recipe
        for split, count, dialogues in (
            ("train", recipe.shards, recipe.dialogues),
            ("validation", 1, recipe.validation),
        ):
            plan = CorpusPlan(recipe.seed, split, count, dialogues=dialogues)
            self._show(make_corpus(self.folder / "corpus", plan, self.workers))

    def _acoustics(self) -> Acoustics:
        """What codes mean, fitted to the corpus if that was not done yet."""
        path, shape = self.folder / "codes" / "acoustics.safetensors", self.recipe.codec.shape
        if not path.exists():
            heard = list(_recordings(self._train_shards()[: self.recipe.fitted_shards]))
            fitted = Acoustics.fit(heard, shape.latent, shape.codebooks - LABELLED, shape.codes, self.recipe.seed)
            fitted.write(path)
        return Acoustics.read(path)

    def _train_shards(self) -> list[Path]:
        return shards(self.folder / "corpus", "train")

    def _codes(self) -> None:
        acoustics = self._acoustics()
        for split in ("train", "validation"):
            self._show(encode_corpus(self.folder / "corpus", split, acoustics, self.folder / "codes"))

    def _decoder(self) -> None:
        self._reached(train_decoder(self.folder / "codec", self.recipe.codec, self._codec_data(), device=self.device))

    def _encoder(self) -> None:
        self._reached(train_encoder(self.folder / "codec", self.recipe.codec, self._codec_data(), device=self.device))

    def _codec_data(self) -> CodecData:
        acoustics = self._acoustics()
        validation = list(_recordings(shards(self.folder / "corpus", "validation")))[:8]
        sounds = Sounds(_recordings(self._train_shards()[: self.recipe.codec_shards]), acoustics)
        return CodecData(sounds, acoustics, validation)

    def tokenizer(self) -> Any:
        """The tokenizer, trained on the corpus's words if it is not there yet."""
        folder = self.folder / "tokenizer"
        if not (folder / "tokenizer.json").exists():
            said = (s.text for u in read_utterances(self.folder / "codes", "train") for s in u.spoken)
            train_tokenizer(said, self.recipe.language.vocabulary).save_pretrained(folder)
        return AutoTokenizer.from_pretrained(folder, local_files_only=True)

    def config(self) -> dict[str, Any]:
        """`config.json` of the checkpoint."""
        codec = self.recipe.codec.shape
        return config_dict(self.recipe.language, codec.codebooks, codec.codes, self.tokenizer())

    def _language(self) -> None:
        self.language()

    def language(self) -> LanguageTraining:
        """The language model, trained as far as the recipe says."""
        size, config, tokenizer = self.recipe.language, self.config(), self.tokenizer()
        model = Dia2Model(parse_config(config))
        initialise(model, self.recipe.seed)
        make_sounding(model.transformer.text_embed.embedding, tokenizer)
        training = LanguageTraining(model, size.learning).to(self.device)
        language = language_of(config, tokenizer)
        batches = Batches(language, read_utterances(self.folder / "codes", "train"), size.learning)
        unseen = read_utterances(self.folder / "codes", "validation")

        def loss(generator: torch.Generator) -> Losses:
            with fast(self.device):
                return training.step(batches.draw(generator), generator)

        found = fit(
            self.folder / "language",
            training,
            loss,
            size.schedule,
            evaluate=lambda _: validate(training, batches, unseen),
            evaluate_every=500,
            weight_decay=0.05,
            seed=self.recipe.seed,
            title="language model",
            optimizer=muon_for(model),
        )
        self._reached(found)
        return training

    def _checkpoint(self) -> None:
        training = self.language().cpu()  # trained already: its state is read
        make_plain(training.model.transformer.text_embed.embedding)
        mimi = self.folder / "codec" / "mimi"
        write_checkpoint(
            self.folder / "checkpoint", self.config(), training.model, self.tokenizer(), mimi, torch.float16
        )

    def _reached(self, figures: Mapping[str, float]) -> None:
        print(
            "  " + (", ".join(f"{name} {value:.3f}" for name, value in figures.items()) or "there already"), flush=True
        )

    def _show(self, paths: Iterable[Path]) -> None:
        for path in paths:
            print(f"  {path}", flush=True)


def _recordings(paths: Iterable[Path]) -> Iterator[Recording]:
    return (recording for path in paths for recording in read_shard(path))


def fast(device: torch.device) -> torch.autocast:
    """Products in bfloat16, where the device has instructions for them."""
    able = torch.cuda.is_bf16_supported() if device.type == "cuda" else multiplies_bfloat16()
    return torch.autocast(device.type, torch.bfloat16, enabled=able)


def device_of(name: str) -> torch.device:
    """The device of that name.

    Raises:
        UsageError: torch does not know it, or has none.
    """
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:  # torch asserts that it was built with CUDA
        raise UsageError(f"--device {short(name)} cannot be used ({one_line(error)}): give cpu or cuda.") from error
    return device


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m training.recipe", description="Train the embedded checkpoint.")
    parser.add_argument("folder", type=Path, help="where everything is made")
    parser.add_argument("--size", choices=SIZES, default="nano")
    parser.add_argument("--step", choices=STEPS, action="append", help="only this step; may be repeated")
    parser.add_argument("--workers", type=int, default=2, help="processes that speak (default 2)")
    parser.add_argument("--threads", type=int, default=_THREADS, help="of torch (default %(default)s)")
    parser.add_argument("--device", default="cpu", help="cpu or cuda (default %(default)s)")
    given = parser.parse_args(arguments)
    torch.set_num_threads(max(1, given.threads))

    def run() -> None:
        kitchen = Kitchen(given.folder, SIZES[given.size], given.workers, device_of(given.device))
        for step in given.step or STEPS:
            kitchen.run(step)

    return resumable(run)


if __name__ == "__main__":
    sys.exit(main())
