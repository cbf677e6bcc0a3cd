"""Where two runs of Dia part, and why."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import fields
from itertools import zip_longest

from dia.generation import GenerationConfig
from dia2.inspect.dia.trace import DiaTrace
from dia2.inspect.diff import Diff, Difference, compared, different, ended, of_same_model
from dia2.inspect.stored import Stored

_SEED = "seed"  # the run's stands beside the config


def diff(a: DiaTrace, b: Stored, ignore: Collection[str] = ()) -> Diff:
    """Compare two traces, call by call.

    Args:
        a: one.
        b: the other.
        ignore: patterns of what may differ, as `Difference.what` names it: `seed`, `* drawn` …

    Raises:
        TraceError: `b` is of another model.
        UsageError: `b` is no trace.
    """
    other = of_same_model(a, b)
    return compared(_settings(a, other), [], lambda call: _parts(a, other, call), (len(a), len(other)), ignore)


def _parts(a: DiaTrace, b: DiaTrace, call: int) -> Iterator[Difference]:
    """What differs at one call, in the order in which a step makes it."""
    if call >= min(len(a), len(b)):
        yield from ended(call, len(a), len(b))
        return
    yield from different(call, "phase", int(a.phase[call]), int(b.phase[call]))
    scripts = range(min(a.run.batch, b.run.batch))
    for what, left, right in (
        ("as read", a.tokens, b.tokens),
        ("drawn", a.drawn, b.drawn),
        ("countdown", a.countdown, b.countdown),
        ("written", a.written, b.written),
    ):
        if left[call].shape == right[call].shape and (left[call] == right[call]).all():
            continue
        for script in scripts:
            whose = f"script {script + 1} " if max(a.run.batch, b.run.batch) > 1 else ""
            if what == "countdown":
                yield from different(call, f"{whose}countdown", int(left[call, script]), int(right[call, script]))
                continue
            pairs = zip_longest(left[call, script].tolist(), right[call, script].tolist())
            for channel, pair in enumerate(pairs):
                yield from different(call, f"{whose}channel {channel} {what}", *pair)


def _settings(a: DiaTrace, b: DiaTrace) -> Iterator[Difference]:
    left, right = a.run, b.run
    one = left.batch == right.batch == 1
    for i, (mine, theirs) in enumerate(zip_longest(left.scripts, right.scripts)):
        yield from different(None, "script" if one else f"script {i + 1}", mine, theirs)
    for i, (mine, theirs) in enumerate(zip_longest(left.prefill_steps, right.prefill_steps)):
        yield from different(None, "prompt's rows" if one else f"script {i + 1} prompt's rows", mine, theirs)
    yield from different(None, _SEED, left.seed, right.seed)
    for field in fields(GenerationConfig):
        if field.name != _SEED:
            yield from different(None, field.name, getattr(left.config, field.name), getattr(right.config, field.name))
    yield from different(None, "rows", left.rows, right.rows)
    for name in sorted(set(left.hashes) | set(right.hashes)):
        yield from different(None, f"checkpoint's {name}", left.hashes.get(name), right.hashes.get(name))
    for name in ("device", "dtype"):
        yield from different(None, name, getattr(left.model, name), getattr(right.model, name))
