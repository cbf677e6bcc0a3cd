"""A server's first sound, and how much it speaks at a time, beside single runs of `generate`.

    python benchmarks/serve.py [--rounds 9] [--requests 16] [--rows 8] [--quick]

`dia2 serve` speaks nano in a process of its own; clients are threads of this one, on the same machine, whose work is
counted with the server's.

First sound: a short script alone, from the moment the request is sent to that at which its first samples have come,
over a connection that is open already; the first requests do not count. The server's share is its own figure,
`dia2_first_sound_seconds`: from the request's head to the first piece. Before the first piece of a stream come as many
frames as the largest delay, which nothing can beat.

Throughput: in a round everything is done once, in an order that changes: the same requests one after the other by
`generate` in this process, while the server rests, and by 1, 4 and 16 clients, of which each asks for the next one as
soon as it has heard the last. What is heard is the same each time, so seconds of sound a second tell how long that
takes. A figure is the median of the rounds with a 95 % interval (fewer than six rounds: all of their range), the gain
the median of each round's.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import httpx
from report import keep
from rich.console import Console
from rich.table import Table
from rounds import Spread, in_rounds, spelled, spread

from dia2 import Dia2

sys.path.append(str(Path(__file__).parents[1]))  # what starts a server belongs to the tests

from tests.support.servers import started

CLIENTS = (1, 4, 16)
ALONE = "generate"
GOAL = 0.35  # seconds to the first sound of nano, warm
WARM = 3  # requests that do not count
SHORT = "[S1] Hello there. [S2] Hi!"
SCRIPTS = (
    "[S1] Hello there. How are you today? [S2] Not too bad, thank you. And you?",
    "[S1] Good morning. [S2] Good morning, how are you?",
    "[S2] Well enough, thank you. [S1] And you?",
    "[S1] One two three four five six seven eight nine ten.",
)
RATE = 48_000  # bytes a second


def asked(script: str, seed: int) -> dict[str, Any]:
    """Of the speech API."""
    return {"model": "nano", "input": script, "seed": seed, "response_format": "pcm"}


def hear(client: httpx.Client, body: dict[str, Any]) -> tuple[float, int]:
    """Seconds to the first sound of a request, and the bytes of all of it.

    Raises:
        SystemExit: it was not answered.
    """
    began = perf_counter()
    with client.stream("POST", "/v1/audio/speech", json=body) as answer:
        if answer.status_code != 200:
            raise SystemExit(f"The server has answered {answer.status_code}: {answer.read().decode()}")
        parts = answer.iter_raw()
        size = len(next(parts))
        first = perf_counter() - began
        return first, size + sum(map(len, parts))


def served_first(client: httpx.Client) -> tuple[float, int]:
    """The sum and the count of the server's own seconds to first sounds."""
    text = client.get("/metrics").text
    found = dict(re.findall(r"^dia2_first_sound_seconds_(sum|count) (\S+)$", text, re.MULTILINE))
    return float(found["sum"]), int(float(found["count"]))


class Throughput:
    """The same requests, by `generate` and by so many clients."""

    def __init__(self, client: httpx.Client, requests: int) -> None:
        self._client, self._tts = client, Dia2.nano(device="cpu")
        self._requests = [(SCRIPTS[number % len(SCRIPTS)], number) for number in range(requests)]
        self.first: dict[int, list[float]] = {clients: [] for clients in CLIENTS}  # seconds to first sounds
        self.sound = 0.0  # seconds, of all of them

    def alone(self) -> float:
        """Seconds for all, one by one."""
        began = perf_counter()
        sizes = [len(self._tts.generate(script, seed=seed).waveform) for script, seed in self._requests]
        took = perf_counter() - began
        self.sound = 2 * sum(sizes) / RATE
        return took

    def served(self, clients: int) -> float:
        """Seconds for all, by so many clients."""
        began = perf_counter()
        with ThreadPoolExecutor(clients) as pool:
            found = list(pool.map(lambda one: hear(self._client, asked(*one)), self._requests))
        took = perf_counter() - began
        self.first[clients] += [first for first, _ in found]
        heard = sum(size for _, size in found) / RATE
        assert not self.sound or abs(heard - self.sound) < 0.01, "the same is said each time"
        return took

    def works(self) -> dict[str, Callable[[], float]]:
        """By name."""
        return {ALONE: self.alone} | {told(clients): partial(self.served, clients) for clients in CLIENTS}

    def row(self, name: str, found: dict[str, list[float]], requests: int) -> dict[str, Any]:
        """The figures of one of `works`."""
        return {
            "name": name,
            "sound_a_second": spread([self.sound / took for took in found[name]]),
            "requests_a_minute": spread([60 * requests / took for took in found[name]]),
            "times_generate": spread([own / took for own, took in zip(found[ALONE], found[name], strict=True)]),
        }


def told(clients: int) -> str:
    """For people."""
    return f"{clients} client{'s' if clients > 1 else ''}"


def first_sounds(client: httpx.Client, rounds: int) -> tuple[list[float], float]:
    """Seconds to the first sound of each round, and the mean of the server's own."""
    for seed in range(WARM):
        hear(client, asked(SHORT, seed))
    before = served_first(client)
    found = [hear(client, asked(SHORT, seed))[0] for seed in range(rounds)]
    after = served_first(client)
    return found, (after[0] - before[0]) / (after[1] - before[1])


def main() -> None:
    """Print the tables, keep the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9, help="default: %(default)s")
    parser.add_argument("--requests", type=int, default=16, help="of a round and variant (default: %(default)s)")
    parser.add_argument("--rows", type=int, default=8, help="of the server, which has 8 unasked")
    parser.add_argument("--quick", action="store_true", help="two rounds of four requests: does it run? Keeps nothing")
    given = parser.parse_args()
    if min(given.rounds, given.requests, given.rows) < 1:
        parser.error("there is nothing to measure: numbers are from 1")
    if given.quick:
        given.rounds, given.requests = 2, 4
    console = Console()
    with started("--rows", str(given.rows)) as (_, address), httpx.Client(base_url=address, timeout=600) as client:
        first, share = first_sounds(client, 4 * given.rounds)
        measured = Throughput(client, given.requests)
        for work in measured.works().values():
            work()
        for values in measured.first.values():
            values.clear()
        found = in_rounds(measured.works(), given.rounds, console)
    rows = [measured.row(name, found, given.requests) for name in found]
    table = Table("", "seconds of sound a second", "requests a minute", "× generate", "first sound: median, worst, s")
    for row in rows:
        heard = measured.first[int(row["name"].split()[0])] if row["name"] != ALONE else []
        times: Spread = row["times_generate"]
        row["first_sound"] = heard
        table.add_row(
            row["name"],
            row["sound_a_second"].text(2),
            row["requests_a_minute"].text(1),
            times.text(2) if heard else "",
            f"{median(heard):.3f}, {max(heard):.3f}" if heard else "",
        )
    holds = "✓" if median(first) <= GOAL else "✗"
    console.print(
        f"first sound, warm and alone: {median(first):.3f} s, worst of {len(first)} {max(first):.3f} s; of that the "
        f"server {share:.3f} s (mean); goal {GOAL} s {holds}",
        soft_wrap=True,
    )
    console.print(f"{measured.sound:.1f} s of sound a round and variant; {given.rows} rows", table)
    if not given.quick:
        facts = {"rounds": given.rounds, "requests": given.requests, "rows": given.rows, "sound": measured.sound}
        facts |= {"first_sound": first, "first_sound_of_server": share, "works": [spelled(row) for row in rows]}
        keep(console, "serve", facts)


if __name__ == "__main__":
    main()
