"""The figures as Markdown, each table with its n."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from training.activations.intervals import Share
from training.activations.steering import goal


def tables(found: dict[str, Any]) -> str:
    """All of them, of `figures`."""
    voices = found["voices"]
    head = (
        f"Weights {found['weights'][:16]}; judged by Whisper {found['whisper']} and by pitch, medians "
        f"{voices['middle'][0]:.0f} and {voices['middle'][1]:.0f} Hz. Of unseen runs, not steered, "
        f"{_share(voices['second']['1']).text()} % of [S1]'s and {_share(voices['second']['2']).text()} % of [S2]'s "
        "voiced frames count as the second voice. Intervals are 95 %, scripts or runs drawn with replacement.\n"
    )
    return "\n".join(
        (head, _steering(found["steering"]), _heads(found["heads"], found["without"]), _probes(found["probes"]))
    )


def _steering(found: dict[str, Any]) -> str:
    best, more = found["best"], _share(found["more words than [S2]"])
    rows = [
        (row["case"], row["runs"], *(_share(row[name]).text(signed=name == "more words") for name in _SHARES))
        for row in found["curve"]
    ]
    head = (
        "added (+), or set to (=)",
        "runs",
        "words heard, %",
        "more than with nothing, points",
        "frames in the second voice, %",
    )
    return (
        f"## Steering: [S1] scripts towards the second voice\n\n{found['scripts']} unseen scripts of "
        f"{found['words of the scripts']} words, {found['seeds']} seeds each; the direction of "
        f"{' and '.join(map(str, found['calls of each mean']))} calls, length {found['length']:.1f}. Way, point "
        f"and strength were chosen on other scripts: **{best['case']}**. Nine tenths of the frames in the other voice "
        f"at five points fewer words or less: **{goal(best)}**. Of the sentences that [S2] says with nothing added, "
        f"{more.text(signed=True)} points more words are heard of the steered.\n\n{_table(head, rows)}"
    )


_SHARES = ("words", "more words", "second")


def _heads(found: dict[str, Any], spoken: dict[str, Any]) -> str:
    rows = []
    for row in found["rows"]:
        name = f"L{row['layer']}H{row['head']}"
        rows.append((
            f"**{name}**" if [row["layer"], row["head"]] == found["reader"] else name,
            f"{100 * row['on word']:.0f}",
            f"{100 * row['by distance']:.0f}",
            _share(row["excess"]).text(signed=True),
            _share(row["takes back"]).text(),
            _nats(row["cb0"]),
            _nats(row["action"]),
        ))  # fmt: skip
    heard = [
        (row["case"], _share(row["words"]).text(), _share(row["more words"]).text(signed=True))
        for row in spoken["rows"]
    ]
    intact = found["intact"]
    return "\n".join((
        f"\n## Heads\n\nAttention in {found['calls that speak']} calls of {found['runs']} unseen runs; "
        f"{found['pairs']} exchanged words ({found['nats of pairs'][0]:.2f} nats under the word itself, "
        f"{found['nats of pairs'][1]:.2f} under another); ablation to the mean in {found['calls that draw']} calls "
        f"(intact: {intact['cb0']:.3f} and {intact['action']:.3f} nats).\n",
        _table(
            (
                *("head", "on the word, %", "by distance alone, %", "difference, points", "takes back, %"),
                *("without it: cb0, nats", "action, nats"),
            ),
            rows,
        ),
        f"\n{spoken['scripts']} unseen scripts, {spoken['seeds']} seeds each:\n",
        _table(("", "words heard, %", "more than with all, points"), heard),
    ))  # fmt: skip


def _probes(found: Sequence[dict[str, Any]]) -> str:
    points = found[0]["points"]
    rows: list[tuple[object, ...]] = []
    for one in found:
        size = f"{one['classes']} classes" if one["classes"] else one["measure"]
        scale, form = (1, "{:.2f}") if one["measure"] == "R²" else (100, "{:.0f}")
        rows.append((
            f"{one['target']} ({size}, n {one['calls'][1]})",
            form.format(scale * one["majority"]),
            form.format(scale * max(one["shuffled"])),
            form.format(scale * max(one["untrained"])),
            *(
                "{} ({} … {})".format(*(form.format(scale * part) for part in parts))
                for parts in zip(one["score"], one["low"], one["high"], strict=True)
            ),
        ))  # fmt: skip
    return "\n".join((
        f"\n## Probes\n\n% right, of numbers R², on {found[0]['runs'][1]} runs of unseen scripts, learnt from "
        f"{found[0]['runs'][0]} others. Shuffled labels and the untrained network: the best of their points.\n",
        _table(("label", "majority", "shuffled", "untrained", *points), rows),
    ))  # fmt: skip


def _share(values: dict[str, float]) -> Share:
    return Share(**values)


def _nats(values: dict[str, float]) -> str:
    return "{mean:+.3f} ({low:+.3f} … {high:+.3f})".format(**values)


def _table(head: Iterable[object], rows: Iterable[Iterable[object]]) -> str:
    lines = [list(map(str, line)) for line in (head, *rows)]
    lines.insert(1, ["---"] * len(lines[0]))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
