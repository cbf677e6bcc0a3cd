"""What the explorer shows of the draws of a run of Dia2: candidates, how they are sampled, and the run's own chance."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from itertools import pairwise

import numpy as np

from dia2.adapter import ADAPTER
from dia2.adapter.manifest import ModelFacts
from dia2.adapter.trace import Dia2Trace
from dia2.core.uniforms import uniform_table
from dia2.generation import GenerationConfig
from dia2.inspect.schema.draw import book_of, chosen
from dia2.inspect.schema.view import Columns, Header, guided
from dia2.inspect.schema.view_draws import (
    Candidates,
    drawn_columns,
    full_candidates,
    shown_of,
    stored_candidates,
)
from dia2.runtime.edits import ChangeSampling, ForceAction, ReplaceToken

_ACTIONS = {0: "pad", 1: "new_word"}
_FIRST_CODEBOOK = 2  # channel of the table of uniforms, as `runtime.frame` has them; the action's is 0


class Draws:
    """Candidates of a trace's draws, for a stretch of calls at a time."""

    def __init__(self, trace: Dia2Trace, candidates: int | None = None) -> None:
        """Decide how many candidates there is room for.

        Args:
            trace: whose draws; a copy without the voice keeps those of the actions.
            candidates: of each draw at most; `None`: as many as a page has room for.
        """
        self._trace, self._names, model = trace, trace.manifest.draws, trace.model
        self._vocabulary = max(model.audio_vocabulary, model.actions)
        count = (len(trace) - trace.warmup_calls) * len(self._names)
        self._shown = shown_of(count, self._vocabulary, candidates, full=trace.manifest.level == "full")

    @property
    def header(self) -> list[Header]:
        """What the front end has to know of each draw."""
        return [draw_header(name, self._trace.model) for name in self._names]

    def columns(self, columns: Columns) -> Columns:
        """Candidates and choices of some calls; none where the trace has no draws.

        Args:
            columns: as a shard has them; those of draws may be missing, and logits.
        """
        if not self._names:
            return {}
        taken = chosen(columns, self._names, ADAPTER.draw_columns(self._trace.model.codebooks))
        found = self._full(columns, taken) or stored_candidates(columns, taken, self._shown)
        return drawn_columns(found, columns.get("draw.probability"), taken, self._shown, self._vocabulary)

    def _full(self, columns: Columns, taken: np.ndarray) -> Candidates | None:
        """The best of all candidates, where a shard has the logits of every draw."""
        parts = []
        for name, choice in zip(self._names, taken.T, strict=True):
            logits = logits_of(columns, name)
            if logits is None:
                return None
            stretches = self._stretches(columns["call"])
            parts.append(candidates_of(logits, stretches, name, self._trace.model, choice, self._shown))
        return Candidates(*(np.concatenate(part, axis=1) for part in zip(*parts, strict=True)))

    def _stretches(self, calls: np.ndarray) -> Iterator[tuple[slice, GenerationConfig]]:
        """Rows of `calls` [n], which follow each other, and the config in force there."""
        edges = {edit.call - int(calls[0]) for edit in self._trace.run.edits if isinstance(edit, ChangeSampling)}
        starts = [0, *sorted(edge for edge in edges if 0 < edge < len(calls)), len(calls)]
        for start, end in pairwise(starts):
            yield slice(start, end), self._trace.config_at(int(calls[start]))

    def uniforms(self) -> Columns:
        """[calls, D] float32: what decided each draw; NaN where the choice was given, or put there by an edit.

        Before `forked_at` a fork repeats what another run drew, whose seed it does not know.
        """
        run, model, names = self._trace.run, self._trace.model, self._names
        if not names:
            return {}
        table = uniform_table(run.seed, len(self._trace), _FIRST_CODEBOOK + model.codebooks)
        books = [book_of(name) for name in names]
        mine = table[:, [0 if book is None else _FIRST_CODEBOOK + book for book in books]]
        mine[: max(self._trace.warmup_calls, run.forked_at or 0)] = np.nan
        for edit in run.edits:
            if isinstance(edit, ForceAction):
                book = None
            elif isinstance(edit, ReplaceToken) and edit.codebook is not None:
                book = edit.codebook
            else:
                continue
            if edit.call < len(mine) and book in books:
                mine[edit.call, books.index(book)] = np.nan
        return {"draw_uniform": mine}


def logits_of(columns: Columns, name: str) -> np.ndarray | None:
    """[n, B, V] of one draw, conditional first; `None` where a shard does not have them."""
    book = book_of(name)
    if not book:
        return columns.get(f"logits.{'action' if book is None else 'cb0'}")
    stages = columns.get("logits.dep")  # [n, K-1, B, V]
    return None if stages is None or stages.shape[1] < book else stages[:, book - 1]


def candidates_of(
    logits: np.ndarray,
    stretches: Iterable[tuple[slice, GenerationConfig]],
    name: str,
    model: ModelFacts,
    choice: np.ndarray,
    shown: int,
) -> Candidates:
    """The best candidates [n, 1, C] of one draw, out of all of its logits.

    Args:
        logits: [n, B, V].
        stretches: rows of them, and the config in force there.
        name: of the draw.
        model: facts about the checkpoint.
        choice: [n] what was drawn.
        shown: C.
    """
    cond, after = logits[:, 0], logits[:, 0].copy()
    kept = np.ones(cond.shape, bool)
    for rows, config in stretches:
        after[rows], kept[rows] = filtered(logits[rows], config)
    kept = without_specials(kept, draw_header(name, model)["sampler"]["forbidden"])
    return full_candidates(cond[:, None], after[:, None], kept[:, None], choice[:, None], shown)


def filtered(logits: np.ndarray, config: GenerationConfig) -> tuple[np.ndarray, np.ndarray]:
    """Guided logits [n, V] and who stays among them, of `logits` [n, B, V]: as `runtime.guidance.filter_guided`."""
    cond, keep = logits[:, 0], config.cfg_filter_k
    if config.cfg_scale == 1.0 or logits.shape[1] == 1:
        return cond, np.ones(cond.shape, bool)
    with np.errstate(invalid="ignore", over="ignore"):  # of a damaged trace: ∞ − ∞ is NaN, which stays nobody's logit
        after: np.ndarray = logits[:, 1] + np.float32(config.cfg_scale) * (cond - logits[:, 1])
    if not 0 < keep < cond.shape[-1]:
        return after, np.ones(cond.shape, bool)
    return after, after >= np.partition(after, -keep, axis=-1)[:, -keep, None]


def without_specials(kept: np.ndarray, forbidden: list[int]) -> np.ndarray:
    """Who stays [n, V] without those that may not be drawn; all others, if nobody else did."""
    allowed = np.ones(kept.shape[-1], bool)
    allowed[forbidden] = False
    left: np.ndarray = kept & allowed
    return np.where(left.any(-1, keepdims=True), left, allowed)


def draw_header(name: str, model: ModelFacts) -> Header:
    """A draw as the front end gets it: whose codebook it is (`None`: the action), and how it is sampled."""
    book = book_of(name)
    if book is None:
        sampler = {"vocabulary": model.actions, "forbidden": []}
        return {"title": name, "book": None, "sampling": "text", "names": _ACTIONS, "sampler": sampler}
    specials = sorted({model.tokens.audio_pad, model.tokens.audio_bos})
    # Codebook 0 alone has ids for what is no code.
    sampler = (
        {"vocabulary": model.codes, "forbidden": []}
        if book
        else {
            "vocabulary": model.audio_vocabulary,
            "forbidden": specials,
        }
    )
    return {"title": f"codebook {book}", "book": book, "sampling": "audio", "names": {}, "sampler": sampler}


def sampling_header(call: int, config: GenerationConfig) -> Header:
    """Settings from `call` on."""
    told = "No guidance: the conditional logits decide alone."
    guidance = None
    if config.cfg_scale != 1.0:
        told = guided(config.cfg_scale, config.cfg_filter_k)
        guidance = {"cfg": config.cfg_scale, "keep": config.cfg_filter_k, "plus": 0, "off": 1}
    return {
        "call": call,
        "told": told,
        "guidance": guidance,
        "text": asdict(config.text),
        "audio": asdict(config.audio),
    }
