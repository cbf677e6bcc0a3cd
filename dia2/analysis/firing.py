"""What features of an autoencoder stand for: the calls in which each is largest, how well each tells a label."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dia2.adapter.trace import Dia2Trace
from dia2.analysis.directions import Labelled
from dia2.analysis.gather import Samples, check_traces, samples
from dia2.analysis.labels import Labels, labels_of
from dia2.analysis.sae import Sae
from dia2.common.brief import brief_repr
from dia2.common.errors import TraceError, UsageError
from dia2.engine import Dia2

if TYPE_CHECKING:
    from dia2.analysis.dashboard import Dashboard

_AROUND = 0.4  # seconds before and after a frame that are played
_BINS = 20  # of a histogram
_NEIGHBOURS = 2  # words on either side of a moment's
_TOLD = ("speaker", "silent", "voiced")  # labels of every run that have few values
_VALUES = 60  # of a label: the commonest


@dataclass(frozen=True)
class Moment:
    """One call of a run, which `play` gives the sound of."""

    run: int  # number of the trace
    call: int
    value: float  # of the feature
    word: str  # whose sound the call draws; empty where none does
    speaker: int  # its; 0 likewise
    before: str = ""  # the words before it in the run, two at most
    after: str = ""  # and those after it

    def play(self, traces: Sequence[Dia2Trace], seconds: float = _AROUND) -> tuple[np.ndarray, int]:
        """The sound around the frame that the call draws codebook 0 of: (samples [N] float32, sample rate).

        Args:
            traces: those that the moment was found in.
            seconds: before and after it.

        Raises:
            TraceError: the trace has no audio.
        """
        trace = traces[self.run]
        if trace.audio is None:
            raise TraceError(f"{trace.path} has no audio to play.")
        sound, rate = trace.audio
        frame = int(trace.steps[self.call]) + 1 - trace.model.delays[0] - trace.crop
        middle = (frame + 0.5) / trace.model.frame_rate
        first, last = (max(0, round((middle + offset) * rate)) for offset in (-seconds, seconds))
        return sound[first:last], rate


@dataclass(frozen=True)
class Told:
    """How well each of F features tells one value of a label, in the calls that have the label."""

    __repr__ = brief_repr

    label: str
    value: Any
    precision: np.ndarray  # [F] of the calls in which it is above zero, the share with the value
    recall: np.ndarray  # [F] of the calls with the value, the share in which it is
    share: float  # of the calls, with the value: the precision of saying yes in every call
    calls: int  # that have the label


@dataclass(frozen=True)
class Features:
    """What F features do in n calls of some runs."""

    __repr__ = brief_repr

    frequency: np.ndarray  # [F] share of calls in which it is above zero
    mean: np.ndarray  # [F] its mean value there; 0 if it never is
    top: list[list[Moment]]  # [F] the calls in which it is largest, the largest first, each of another word
    calls: int  # n
    largest: np.ndarray  # [F]
    histogram: np.ndarray  # [F, bins] calls in which it is above zero, by its value: bins from 0 to its largest one
    told: list[Told]  # of the values of some labels

    def dashboard(self, feature: int, traces: Sequence[Dia2Trace] | Dia2Trace) -> Dashboard:
        """What there is of a feature on one page: moments to be played, how large it is when, what it tells.

        Args:
            feature: its number.
            traces: those that the table was made of.

        Raises:
            UsageError: there is no such feature, or these are fewer traces.
            TraceError: a trace has no audio.
        """
        from dia2.analysis.dashboard import dashboard

        return dashboard(self, feature, traces)


@dataclass(frozen=True)
class FeatureScore:
    """The feature that tells one value of a label best, chosen on training runs and judged on others."""

    value: Any  # of the label
    feature: int
    precision: float  # of the calls in which it is above zero, those with the value
    recall: float  # of the calls with the value, those in which it is
    f1: float  # their harmonic mean
    always: float  # F1 of saying yes in every call
    calls: int  # with the value, of the test runs


def feature_table(
    sae: Sae,
    traces: Sequence[Dia2Trace] | Dia2Trace,
    tts: Dia2,
    *,
    top: int = 8,
    labels: Labelled = labels_of,
    progress: Callable[[int, int], None] | None = None,
) -> Features:
    """When each feature fires.

    Args:
        sae: trained on this checkpoint.
        traces: runs to look at.
        tts: the checkpoint.
        top: moments that are kept of each feature.
        labels: labels of a trace; those of its own, such as phonemes, are told as speaker and silence are.
        progress: called with (traces done, traces to do).

    Raises:
        UsageError: another checkpoint, or the autoencoder does not say what it was trained on.
        TraceError: a trace was redacted.
    """
    listed = check_traces(traces, "feature_table")
    read, found = _read(sae, listed, tts, labels, progress)
    codes = sae.encode(read.values[sae.point])
    fires = codes > 0
    count = fires.sum(axis=0)
    mean = codes.sum(axis=0) / np.maximum(count, 1)
    moments = [_top(codes[:, feature], read, found, top) for feature in range(codes.shape[1])]
    largest = codes.max(axis=0)
    return Features(
        frequency=fires.mean(axis=0),
        mean=mean,
        top=moments,
        calls=len(read),
        largest=largest,
        histogram=_histograms(codes, largest),
        told=[one for name in (*_TOLD, *found[0].given) for one in _told(name, fires, read, found)],
    )


def feature_scores(
    sae: Sae,
    target: str,
    train: Sequence[Dia2Trace],
    test: Sequence[Dia2Trace],
    tts: Dia2,
    *,
    labels: Labelled = labels_of,
    least: int = 10,
) -> list[FeatureScore]:
    """For each value of a label, the feature that tells it best.

    Args:
        sae: trained on this checkpoint.
        target: name of a label of classes, see `Labels`.
        train: runs in which the feature is chosen, by F1.
        test: others, in which it is judged.
        tts: the checkpoint.
        labels: labels of a trace.
        least: calls with a value that there must be on both sides.

    Raises:
        UsageError: another checkpoint, no such label, or one of numbers.
        TraceError: a trace was redacted.
    """
    tables = []
    for side in (check_traces(train, "feature_scores' train"), check_traces(test, "feature_scores' test")):
        read, found = _read(sae, side, tts, labels, None)
        known, values = _labels(target, read, found)
        if values.dtype.kind == "f":
            raise UsageError(f"{target} is a number: features are judged by labels of classes, such as speaker.")
        tables.append((sae.encode(read.values[sae.point][known]) > 0, values[known]))
    (chosen_by, given), (fires, labelled) = tables
    scores = []
    for value in np.unique(given):
        if (given == value).sum() < least or (labelled == value).sum() < least:
            continue
        feature = int(np.argmax(_rates(chosen_by, given == value)[2]))
        precision, recall, f1 = (float(rate[feature]) for rate in _rates(fires, labelled == value))
        share = float((labelled == value).mean())
        scores.append(
            FeatureScore(
                value.item(), feature, precision, recall, f1, 2 * share / (1 + share), int((labelled == value).sum())
            )
        )
    return scores


def _histograms(codes: np.ndarray, largest: np.ndarray) -> np.ndarray:
    """[F, bins] of features [n, F]: calls by value, those without left out."""
    bins = np.minimum((codes / np.maximum(largest, 1e-12) * _BINS).astype(np.int64), _BINS - 1)  # [n, F]
    counts = np.zeros((codes.shape[1], _BINS), np.int64)
    rows, features = np.nonzero(codes > 0)
    np.add.at(counts, (features, bins[rows, features]), 1)
    return counts


def _told(name: str, fires: np.ndarray, read: Samples, labels: Sequence[Labels]) -> list[Told]:
    """Of each value of a label of classes, the commonest first; of numbers nothing."""
    known, values = _labels(name, read, labels)
    if values.dtype.kind == "f" or not known.any():
        return []
    fires, values = fires[known], values[known]
    kinds, counts = np.unique(values, return_counts=True)
    order = np.argsort(-counts, kind="stable")[:_VALUES]
    rates = [_rates(fires, values == kinds[one]) for one in order]
    return [
        Told(name, kinds[one].item(), precision, recall, float(counts[one] / len(values)), len(values))
        for one, (precision, recall, _) in zip(order, rates, strict=True)
    ]


def _labels(name: str, read: Samples, labels: Sequence[Labels]) -> tuple[np.ndarray, np.ndarray]:
    """Of the calls that were read: which have a label [n], and all labels [n]."""
    calls = [read.call[read.run == run] for run in range(len(labels))]
    known = np.concatenate([one.known(name)[some] for one, some in zip(labels, calls, strict=True)])
    return known, np.concatenate([one[name][some] for one, some in zip(labels, calls, strict=True)])


def _rates(fires: np.ndarray, yes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Precision, recall and F1 [F] of `fires` [n, F] against `yes` [n]."""
    right, fired, there = fires[yes].sum(axis=0), fires.sum(axis=0), yes.sum()
    return right / np.maximum(fired, 1), right / max(there, 1), 2 * right / np.maximum(fired + there, 1)


def _read(
    sae: Sae, traces: Sequence[Dia2Trace], tts: Dia2, labels: Labelled, progress: Callable[[int, int], None] | None
) -> tuple[Samples, list[Labels]]:
    """The autoencoder's activations in all calls of the main loops, and the labels of each trace."""
    if not sae.point:
        raise UsageError("This autoencoder does not say what it was trained on: load it with point='act.2.resid'.")
    chosen = [np.arange(trace.warmup_calls, len(trace)) for trace in traces]
    read = samples(traces, tts, [sae.point], chosen, progress)
    if sae.checkpoint and sae.checkpoint != read.checkpoint:
        raise UsageError("This autoencoder was trained on another checkpoint: train one by python -m training.sae.")
    return read, [labels(trace) for trace in traces]


def _top(values: np.ndarray, read: Samples, labels: Sequence[Labels], count: int) -> list[Moment]:
    """The calls of the largest values, each of another word of its run."""
    found: list[Moment] = []
    seen: set[tuple[int, int]] = set()
    for row in np.argsort(-values, kind="stable"):
        if values[row] <= 0 or len(found) == count:
            break
        run, call = int(read.run[row]), int(read.call[row])
        number = int(labels[run].word[call])
        if number >= 0 and (run, number) in seen:
            continue
        seen.add((run, number))
        if number < 0:
            found.append(Moment(run, call, float(values[row]), "", 0))
            continue
        words, word = [one.text for one in labels[run].words], labels[run].words[number]
        before, after = words[max(0, number - _NEIGHBOURS) : number], words[number + 1 : number + 1 + _NEIGHBOURS]
        around = " ".join(before), " ".join(after)
        found.append(Moment(run, call, float(values[row]), word.text, word.speaker, *around))
    return found
