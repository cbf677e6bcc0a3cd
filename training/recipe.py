"""The whole recipe of the embedded checkpoint, by one command.

    python -m training.recipe FOLDER --size smoke     # a minute or two: does everything run?
    python -m training.recipe FOLDER                  # the real one: some ten hours of two CPU cores

Every step leaves its result in FOLDER and is left out when it is there, so a run that was stopped goes on where it was.
The checkpoint is FOLDER/checkpoint: `dia2 generate out.wav --config FOLDER/checkpoint/config.json --weights
FOLDER/checkpoint/model.safetensors`.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer

from dia2.audio.codec import Codec
from dia2.common.errors import Dia2Error
from dia2.core.config import parse_config
from dia2.core.model import Dia2Model
from training.checkpoint import language_of, write_checkpoint
from training.codec import CodecSize, train_codec
from training.corpus import CorpusPlan, Recording, make_corpus, read_shard, shards
from training.dataset import encode_corpus, read_utterances
from training.dialogue import load_grammar
from training.language_model import Batches, LanguageSize, LanguageTraining, Learning, config_dict, initialise, validate
from training.loop import Schedule, fit
from training.tokenizer import train_tokenizer


@dataclass(frozen=True)
class Recipe:
    """How much of everything."""

    shards: int  # of the train split, a third of an hour each
    codec_shards: int  # of them, that the codec learns from
    dialogues: int  # a shard
    validation: int  # recordings of the validation split
    tokenizer_sentences: int
    codec: CodecSize
    language: LanguageSize
    seed: int = 1
    # Pulses a frame: monotone, 100 and 200 Hz.
    pulses: dict[int, tuple[int, ...]] = field(default_factory=lambda: {1: (8,), 2: (16,)})


_LEARNING = Learning(dropout=0.1, shuffled_share=0.5, onset_weight=5.0, lost_spans=0.1, probe_weight=1.0)
NANO = Recipe(
    shards=99,
    codec_shards=12,
    dialogues=100,
    validation=60,
    tokenizer_sentences=20_000,
    codec=CodecSize(continuous=Schedule(2600, 1e-3), quantised=Schedule(20_000, 6e-4)),
    language=LanguageSize(schedule=Schedule(20_000, 2e-3, warmup=200), learning=_LEARNING),
)
SMOKE = Recipe(
    shards=1,
    codec_shards=1,
    dialogues=6,
    validation=2,
    tokenizer_sentences=500,
    codec=CodecSize(
        filters=4, hidden=32, layers=1, codes=32, latent=8, batch=2, crop=6, decoder_crop=6,
        continuous=Schedule(8, 1e-3), quantised=Schedule(4, 6e-4),
    ),
    language=LanguageSize(
        layers=2, width=64, hidden=128, heads=4, kv_heads=2, head_dim=16,
        depformer_layers=1, depformer_width=32, depformer_hidden=64, vocabulary=384,
        schedule=Schedule(6, 2e-3), learning=_LEARNING,
    ),
)  # fmt: skip
SIZES = {"nano": NANO, "smoke": SMOKE}
STEPS = ("corpus", "encoder", "codes", "decoder", "language", "checkpoint")


class Kitchen:
    """The folder in which a recipe is carried out."""

    def __init__(self, folder: Path, recipe: Recipe, workers: int) -> None:
        self.folder = folder
        self.recipe = recipe
        self.workers = workers

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
            plan = CorpusPlan(recipe.seed, split, count, recipe.pulses, dialogues)
            self._show(make_corpus(self.folder / "corpus", plan, self.workers))

    def _encoder(self) -> None:
        self._train_codec(1)

    def _decoder(self) -> None:
        self._train_codec(2)

    def _train_codec(self, stage: int) -> None:
        corpus = self.folder / "corpus"
        recordings = _recordings(shards(corpus, "train")[: self.recipe.codec_shards])
        validation = _recordings(shards(corpus, "validation"))[:8]
        figures = train_codec(self.folder / "codec", self.recipe.codec, recordings, validation, stages=(stage,))
        print("  " + ", ".join(f"{name} {value:.3f}" for name, value in figures.items()), flush=True)

    def _codes(self) -> None:
        folder = self.folder / "codec" / "encoder"
        codec = Codec.load(folder, num_codebooks=self.recipe.codec.codebooks, device=torch.device("cpu"))
        for split in ("train", "validation"):
            self._show(encode_corpus(self.folder / "corpus", split, codec, self.folder / "codes"))

    def tokenizer(self) -> Any:
        """The tokenizer, trained if it is not there yet."""
        folder = self.folder / "tokenizer"
        if not (folder / "tokenizer.json").exists():
            rng, grammar = random.Random(self.recipe.seed), load_grammar()  # noqa: S311 — no secret
            sentences = [grammar.sentence(rng) for _ in range(self.recipe.tokenizer_sentences)]
            train_tokenizer(sentences, self.recipe.language.vocabulary).save_pretrained(folder)
        return AutoTokenizer.from_pretrained(folder, local_files_only=True)

    def config(self) -> dict[str, Any]:
        """`config.json` of the checkpoint."""
        codec = self.recipe.codec
        return config_dict(self.recipe.language, codec.codebooks, codec.codes, self.tokenizer())

    def _language(self) -> None:
        self.language()

    def language(self) -> LanguageTraining:
        """The language model, trained as far as the recipe says."""
        size, config = self.recipe.language, self.config()
        model = Dia2Model(parse_config(config))
        initialise(model, self.recipe.seed)
        training = LanguageTraining(model, size.learning)
        language = language_of(config, self.tokenizer())
        batches = Batches(language, read_utterances(self.folder / "codes", "train"), size.learning)
        unseen = read_utterances(self.folder / "codes", "validation")
        fit(
            self.folder / "language",
            training,
            lambda g: training.step(batches.draw(g), g),
            size.schedule,
            evaluate=lambda _: validate(training, batches, unseen),
            evaluate_every=250,
            weight_decay=0.05,
            seed=self.recipe.seed,
            title="language model",
        )
        return training

    def _checkpoint(self) -> None:
        training = self.language()  # trained already: its state is read
        mimi = self.folder / "codec" / "mimi"
        write_checkpoint(
            self.folder / "checkpoint", self.config(), training.model, self.tokenizer(), mimi, torch.float16
        )

    def _show(self, paths: Iterable[Path]) -> None:
        for path in paths:
            print(f"  {path}", flush=True)


def _recordings(paths: Iterable[Path]) -> list[Recording]:
    return [recording for path in paths for recording in read_shard(path)]


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m training.recipe", description="Train the embedded checkpoint.")
    parser.add_argument("folder", type=Path, help="where everything is made")
    parser.add_argument("--size", choices=SIZES, default="nano")
    parser.add_argument("--step", choices=STEPS, action="append", help="only this step; may be repeated")
    parser.add_argument("--workers", type=int, default=2, help="processes that speak (default 2)")
    parser.add_argument("--threads", type=int, default=1, help="of torch (default 1: small models gain little by more)")
    given = parser.parse_args(arguments)
    torch.set_num_threads(given.threads)
    kitchen = Kitchen(given.folder, SIZES[given.size], given.workers)
    try:
        for step in given.step or STEPS:
            kitchen.run(step)
    except Dia2Error as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nstopped; the same command goes on from here", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
