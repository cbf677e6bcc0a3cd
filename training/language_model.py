"""Dia2's network, trained teacher-forced in its many-frames form on the streams of `training.streams`."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dia2.common.errors import UsageError
from dia2.common.wording import counted
from dia2.core.cache import causal_mask
from dia2.core.config import DiaConfig
from dia2.core.initial import initialise as random_weights
from dia2.core.layers import rotary_table
from dia2.core.model import Dia2Model
from dia2.core.transformer import Block
from training.loop import Losses, Schedule
from training.phonetic import HALVES
from training.streams import IGNORED, Language, Stream, Utterance, random_stream
from training.tokenizer import SPECIALS

_SPAN = 25  # frames of sound that are taken away together


@dataclass(frozen=True)
class LanguageSize:
    """How large the language model is, and how it learns."""

    layers: int = 8
    width: int = 256
    hidden: int = 640
    heads: int = 4
    kv_heads: int = 2
    head_dim: int = 64
    depformer_layers: int = 2
    depformer_width: int = 128
    depformer_hidden: int = 256
    depformer_heads: int = 4
    vocabulary: int = 6144
    text_rank: int = 96  # width of the text tokens' table
    delays: tuple[int, int] = (6, 7)  # of the phonetic codebooks, of the others: those follow a frame that is decided
    weight_sets: tuple[int, ...] = (0, 1, 2, 2, 3, 3, 3)  # of each depformer stage
    schedule: Schedule = field(default_factory=lambda: Schedule(steps=4000, peak=2e-3))
    learning: Learning = field(default_factory=lambda: Learning())


@dataclass(frozen=True)
class Learning:
    """What an example goes through before the network sees it."""

    frames: int = 2000  # of a batch at most: streams × the longest of them
    prefix_share: float = 0.5  # of examples that begin with a cloned voice
    shuffled_share: float = 0.0  # of examples whose sentences are put in another order; see `streams.shuffled`
    onset_weight: float = 1.0  # of codes in the first frames of a sentence, which decide its voice
    textless_share: float = 0.12  # of examples without text: the unconditional branch of guidance
    wrong_codes: float = 0.06  # of the codes that the network sees, replaced by others of the same codebook
    lost_frames: float = 0.12  # of the frames of codes that it sees, taken away one by one
    lost_spans: float = 0.0  # of the frames, about, taken away two seconds at a time, so that text tells the voice
    dropout: float = 0.0  # of what attention and MLP add; for recordings that are few
    probe_weight: float = 0.0  # of what `Probes` lose
    cb0_weight: float = 1.0  # of the loss of codebook 0
    padding_weight: float = 1.0  # of the calls that ask for no new word, among those of the state machine
    depformer_share: float = 0.3  # of the frames whose later codebooks are learnt in a step, which costs the most


def config_dict(size: LanguageSize, codebooks: int, codes: int, tokenizer: Any) -> dict[str, Any]:
    """`config.json`, with the ids and quirks of the published files."""
    return {
        "data": {
            "channels": 2 + codebooks,
            "text_vocab_size": len(tokenizer),
            "audio_vocab_size": codes + 2,
            "action_vocab_size": 2,
            "text_pad_token_id": SPECIALS.index("<pad>"),
            "text_new_word_token_id": SPECIALS.index("<new_word>"),
            "text_zero_token_id": SPECIALS.index("<zero>"),
            "audio_pad_token_id": codes + 1,
            "audio_bos_token_id": codes,
            "action_pad_token_id": 0,
            "action_new_word_token_id": 1,
            "delay_pattern": [*[size.delays[0]] * HALVES, *[size.delays[1]] * (codebooks - HALVES)],
            "second_stream_ahead": 2,
        },
        "model": {
            "decoder": {
                "n_layer": size.layers,
                "n_embd": size.width,
                "n_hidden": size.hidden,
                "gqa_query_heads": size.heads,
                "kv_heads": size.kv_heads,
                "gqa_head_dim": size.head_dim,
                "low_rank_dim": size.text_rank,
            },
            "depformer": {
                "n_layer": size.depformer_layers,
                "n_embd": size.depformer_width,
                "n_hidden": size.depformer_hidden,
                "gqa_query_heads": size.depformer_heads,
                "kv_heads": size.depformer_heads,
                "gqa_head_dim": size.depformer_width // size.depformer_heads,
                "text_embedding": False,
            },
            "normalization_layer_epsilon": 1e-6,
        },
        "runtime": {"weights_schedule": list(size.weight_sets[: codebooks - 1]), "max_context_steps": 1500},
        "assets": {"tokenizer": "tokenizer", "mimi": "mimi"},
    }


def initialise(model: Dia2Model, seed: int) -> None:
    """The weights that training begins with; seeds what training draws after them, too."""
    torch.manual_seed(seed)
    random_weights(model)


def add_dropout(model: Dia2Model, share: float) -> None:
    """Drop `share` of what every attention and MLP of the transformer adds, while training."""
    for block in model.transformer.layers:
        assert isinstance(block, Block), "the transformer is made of blocks"
        for part in (block.attn, block.mlp):
            part.register_forward_hook(lambda module, _, out: F.dropout(out, share, module.training))


class Probes(nn.Module):
    """Linear readers of the residual stream, in training alone: who speaks, in which voice, and which phonemes come.

    After a prefix a voice goes with its tag or with the other one, as the prefix has it. Codes alone teach that in some
    frames a sentence, where the voice is decided; from there on it is copied from the frames before. The phonetic codes
    of the frame to be drawn are asked of the middle layer, so that the upper half has them to work with.
    """

    def __init__(self, model: Dia2Model) -> None:
        super().__init__()
        width, layers = model.config.model.decoder.n_embd, model.transformer.layers
        self.speaker = nn.Linear(width, 2, bias=False)
        self.traded = nn.Linear(width, 2, bias=False)
        self.voice = nn.Linear(width, 2, bias=False)
        codes = model.config.data.audio_bos_token_id
        self.phonemes = nn.ModuleList(nn.Linear(width, codes, bias=False) for _ in range(HALVES))
        self._seen: dict[str, Tensor] = {}
        middle, late = len(layers) // 2, max(len(layers) // 2, len(layers) - 2)
        for name, layer in (("middle", middle), ("late", late)):
            layers[layer].register_forward_hook(lambda _, __, out, name=name: self._seen.update({name: out}))

    def losses(self, batch: Batch) -> Tensor:
        """What they lose: the three in the mean, and the phonemes', of the forward pass that was last."""
        middle, late = (F.rms_norm(self._seen.pop(name), (self.voice.in_features,)) for name in ("middle", "late"))
        traded = torch.where(batch.voice == IGNORED, IGNORED, (batch.voice != batch.speaker).long())
        asked = ((self.speaker, middle, batch.speaker), (self.traded, middle, traded), (self.voice, late, batch.voice))
        losses = [F.cross_entropy(probe(x).transpose(1, 2), wanted, ignore_index=IGNORED) for probe, x, wanted in asked]
        said = [
            F.cross_entropy(probe(middle).transpose(1, 2), batch.codes[:, k], ignore_index=IGNORED)
            for k, probe in enumerate(self.phonemes)
        ]
        return torch.stack(losses).mean() + torch.stack(said).mean()


@dataclass(frozen=True)
class Batch:
    """Streams side by side, padded at their ends."""

    tokens: Tensor  # [B, C, T]
    positions: Tensor  # [B, T]
    actions: Tensor  # [B, T], or IGNORED
    codes: Tensor  # [B, K, T], or IGNORED
    emitted: Tensor  # [B, 2, T]
    onset: Tensor  # [B, T] bool
    speaker: Tensor  # [B, T], or IGNORED
    voice: Tensor  # [B, T], or IGNORED

    def to(self, device: torch.device) -> Batch:
        """The same batch on `device`."""
        return Batch(*(getattr(self, part.name).to(device) for part in fields(self)))

    @classmethod
    def of(cls, streams: Sequence[Stream], config: DiaConfig) -> Batch:
        """Join streams; nothing looks back at the padding, for it comes last."""
        data, longest = config.data, max(s.tokens.shape[1] for s in streams)

        def filled(parts: list[Tensor], value: int) -> Tensor:
            return torch.stack([F.pad(part, (0, longest - part.shape[-1]), value=value) for part in parts])

        return cls(
            tokens=torch.cat(
                [
                    filled([s.tokens[:2] for s in streams], data.text_pad_token_id),
                    filled([s.tokens[2:] for s in streams], data.audio_bos_token_id),
                ],
                dim=1,
            ),
            positions=filled([s.positions for s in streams], 0),
            actions=filled([s.actions for s in streams], IGNORED),
            codes=filled([s.codes for s in streams], IGNORED),
            emitted=filled([s.emitted for s in streams], data.text_pad_token_id),
            onset=filled([s.onset for s in streams], False),
            speaker=filled([s.speaker for s in streams], IGNORED),
            voice=filled([s.voice for s in streams], IGNORED),
        )


class LanguageTraining(nn.Module):
    """The network with its losses."""

    def __init__(self, model: Dia2Model, learning: Learning) -> None:
        super().__init__()
        self.model = model
        self.learning = learning
        if learning.dropout:
            add_dropout(model, learning.dropout)
        self.probes = Probes(model) if learning.probe_weight else None

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return self.model.transformer.action_head.weight.device

    def losses(
        self, batch: Batch, generator: torch.Generator, depformer_share: float = 1.0, onset_weight: float = 1.0
    ) -> dict[str, Tensor]:
        """Cross-entropies of actions, of codebooks 0 and 1, and of all but codebook 0 in the mean (`dep`).

        Args:
            batch: what is seen and what is wanted.
            generator: draws the frames whose later codebooks count.
            depformer_share: of all frames, how many those are.
            onset_weight: of the codes in the first frames of a sentence.
        """
        config, model = self.model.config, self.model
        block = config.model.decoder
        frames = batch.tokens.shape[2]
        rope = config.model.rope_min_timescale, config.model.rope_max_timescale
        table = rotary_table(batch.positions.flatten(), block.gqa_head_dim, *rope)
        cos, sin = (part.to(model.dtype) for part in table)
        shape = (len(batch.positions), frames, -1)  # [B, T, head_dim]: every stream has its own positions
        mask = causal_mask(0, frames, batch.tokens.device)
        out = model.transformer(batch.tokens, (cos.view(shape), sin.view(shape)), mask=mask)
        asked = out.action_logits.flatten(0, 1), batch.actions.flatten()
        action = F.cross_entropy(*asked, ignore_index=IGNORED)
        weighed = action
        if self.learning.padding_weight != 1:
            kinds = torch.ones(config.data.action_vocab_size, device=batch.actions.device)
            kinds[config.data.action_pad_token_id] = self.learning.padding_weight
            weighed = F.cross_entropy(*asked, weight=kinds, ignore_index=IGNORED)
        weights = 1 + (onset_weight - 1) * batch.onset  # [B, T]
        said = F.cross_entropy(
            out.cb0_logits.transpose(1, 2), batch.codes[:, 0], ignore_index=IGNORED, reduction="none"
        )
        cb0 = (said * weights).sum() / (weights * (batch.codes[:, 0] != IGNORED)).sum()
        losses = {"action": action, "cb0": cb0}
        whole = self.chosen(batch, generator, depformer_share)  # [B, T]
        codes = batch.codes.transpose(1, 2)[whole]  # [N, K]
        main, second = batch.emitted[:, 0][whole], batch.emitted[:, 1][whole]
        rotation = model.stage_rotation(codes.device)
        logits = model.depformer.forward_frames(out.hidden[whole], codes, (main, second), rotation)
        weight = weights[whole][:, None]  # [N, 1]
        each = (F.cross_entropy(logits.transpose(1, 2), codes[:, 1:], reduction="none") * weight).sum(0) / weight.sum()
        if len(each):
            losses |= {"cb1": each[0], "dep": each.mean()}
        # Each codebook refines the ones before it: the first two carry nearly all that is understood.
        late = (each / torch.arange(1, len(each) + 1, device=each.device)).sum()
        losses["loss"] = weighed + self.learning.cb0_weight * cb0 + late
        return losses

    def chosen(self, batch: Batch, generator: torch.Generator, share: float) -> Tensor:
        """[B, T] bool: the frames whose later codebooks count, about `share` of those that have them all."""
        whole = (batch.codes != IGNORED).all(1)
        if share < 1:
            whole = whole & (torch.rand(whole.shape, generator=generator) < share).to(whole.device)
        return whole

    def spoilt(self, batch: Batch, generator: torch.Generator) -> Batch:
        """What the network gets to see: some codes wrong, some frames missing, some examples without text."""
        data, learning = self.model.config.data, self.learning
        tokens = batch.tokens.clone()
        text, codes = tokens[:, :2], tokens[:, 2:]
        wrong = torch.rand(codes.shape, generator=generator) < learning.wrong_codes
        other = _elsewhere(codes, generator)
        codes[wrong & (codes != data.audio_bos_token_id)] = other[wrong & (codes != data.audio_bos_token_id)]
        lost = torch.rand(len(codes), 1, codes.shape[2], generator=generator) < learning.lost_frames
        begun = torch.rand(len(codes), 1, codes.shape[2], generator=generator) < learning.lost_spans / _SPAN
        spans = F.max_pool1d(F.pad(begun.float(), (_SPAN - 1, 0)), _SPAN, stride=1) > 0
        codes.masked_fill_(lost | spans, data.audio_bos_token_id)
        textless = torch.rand(len(text), generator=generator) < learning.textless_share
        text[textless, 0], text[textless, 1] = data.text_zero_token_id, data.text_pad_token_id
        return replace(batch, tokens=tokens)

    def forward(self, batch: Batch, generator: torch.Generator) -> Losses:
        """`step`, by the name by which those call it who put something around a module."""
        return self.step(batch, generator)

    def step(self, batch: Batch, generator: torch.Generator) -> Losses:
        """Losses of one step of training."""
        seen, learning = self.spoilt(batch, generator).to(self.device), self.learning
        losses = self.losses(seen, generator, learning.depformer_share, learning.onset_weight)
        if self.probes is not None:
            losses["probes"] = self.probes.losses(seen)
            losses["loss"] = losses["loss"] + learning.probe_weight * losses["probes"]
        return losses


def _elsewhere(codes: Tensor, generator: torch.Generator) -> Tensor:
    """Codes [B, K, T] as they stand somewhere else in the batch: slips are of codes that there are."""
    rows = codes.transpose(0, 1).flatten(1)  # [K, B · T]
    place = torch.randint(0, rows.shape[1], rows.shape, generator=generator)
    return rows.gather(1, place).view(codes.shape[1], len(codes), -1).transpose(0, 1)


class Batches:
    """Draws batches of utterances of about the same length; none has more frames than `Learning.frames`."""

    def __init__(self, language: Language, utterances: Sequence[Utterance], learning: Learning) -> None:
        """Sort them by length.

        Raises:
            UsageError: one alone has more frames than a batch may have.
        """
        self._language = language
        self._utterances = sorted(utterances, key=self.frames_of)
        self._lengths = [self.frames_of(utterance) for utterance in self._utterances]
        self._learning = learning
        longest, most = max(self._lengths, default=0), learning.frames
        if longest > most:
            long = sum(length > most for length in self._lengths)
            raise UsageError(
                f"{counted(long, 'recording')} of {len(utterances)} {'is' if long == 1 else 'are'} longer than a batch "
                f"may be, the longest {longest} frames: let batches have as many (--batch-frames {longest}), or cut "
                f"recordings into parts of {max(0, most - self._delay) / language.frame_rate:.1f} s at most."
            )

    @property
    def _delay(self) -> int:
        return max(self._language.config.data.delay_pattern)

    def frames_of(self, utterance: Utterance) -> int:
        """The most frames that a stream of it has: what it is spoken in, and the delays at its end."""
        return utterance.codes.shape[1] + self._delay

    def draw(self, generator: torch.Generator) -> Batch:
        """One batch; the generator decides all of it."""
        seed = int(torch.randint(0, 2**62, (1,), generator=generator))
        rng = random.Random(seed)  # noqa: S311 — no secret
        return self.of(self._utterances[rng.choice(self._parts(rng))], rng)

    def per_epoch(self) -> int:
        """Batches, about, after which each utterance was drawn once."""
        return len(self._parts(None))

    def _parts(self, rng: random.Random | None) -> list[slice]:
        """All utterances in batches as large as may be, of those side by side in length, from the longest down.

        Where the first of them ends is drawn, or else each utterance would always have the same neighbours.
        """
        found: list[slice] = []
        end = len(self._lengths)
        while end > 0:
            count = min(end, self._learning.frames // self._lengths[end - 1])
            if rng is not None and not found:
                count = rng.randint(1, count)
            found.append(slice(end - count, end))
            end -= count
        return found

    def in_parts(self, utterances: Sequence[Utterance]) -> list[Sequence[Utterance]]:
        """Others, such as those held back, in batches no larger than these; one that is too long comes alone."""
        found: list[list[Utterance]] = []
        for utterance in sorted(utterances, key=self.frames_of):
            if not found or (len(found[-1]) + 1) * self.frames_of(utterance) > self._learning.frames:
                found.append([])
            found[-1].append(utterance)
        return list(found)

    def of(self, utterances: Sequence[Utterance], rng: random.Random) -> Batch:
        """A batch of these utterances."""
        shares = self._learning.prefix_share, self._learning.shuffled_share
        return Batch.of([random_stream(self._language, u, rng, *shares) for u in utterances], self._language.config)


@torch.no_grad()
def validate(training: LanguageTraining, batches: Batches, utterances: Sequence[Utterance]) -> dict[str, float]:
    """Mean losses over `utterances`, nothing spoilt."""
    rng = random.Random(0)  # noqa: S311 — no secret
    sums: dict[str, float] = {}
    generator = torch.Generator().manual_seed(0)
    for part in batches.in_parts(utterances):
        for name, value in training.losses(batches.of(part, rng).to(training.device), generator).items():
            sums[name] = sums.get(name, 0.0) + float(value) * len(part) / len(utterances)
    return sums
