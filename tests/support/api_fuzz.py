"""Requests that schemathesis makes of the server's description, right and wrong ones: which answers are not in it?

    python -m tests.support.api_fuzz [--requests 10000] [--seed 1]

The server is in a thread of this process and has a tiny checkpoint, with limits so small that a request is over soon.
Schemathesis checks each answer: no status of 500 and more; only statuses, media types, headers and bodies that the
description has.
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from dia2.serve.limits import Limits
from tests.serve.conftest import served

LIMITS = Limits(seconds=0.2, characters=200, body=4000, recording=40_000, runs=3, timeout=20.0)
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


def fuzz(requests: int, seed: int = 1) -> tuple[Counter[str], list[str]]:
    """Send about so many requests.

    Returns:
        How often each operation answered with each status, and what was wrong.
    """
    statuses, wrong = Counter[str](), list[str]()
    logging.getLogger("dia2").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as folder, served(limits=LIMITS, voices=Path(folder)) as client:
        schema = schemathesis.openapi.from_dict(client.get("/openapi.json").json())
        schema.config.update(base_url=str(client.base_url))
        results: Any = schema.get_all_operations()
        found = [result.ok() for result in results]
        bodies = sum(bool(operation.body) for operation in found)
        for operation in found:
            if operation.body:
                share = max(1, requests * 9 // 20 // bodies)
                _send(operation, GenerationMode.POSITIVE, share, seed, statuses, wrong)
                _send(operation, GenerationMode.NEGATIVE, share, seed, statuses, wrong)
            else:  # there is little to vary
                share = max(1, requests // 10 // (len(found) - bodies))
                _send(operation, GenerationMode.POSITIVE, share, seed, statuses, wrong)
    return statuses, wrong


def _send(
    operation: Any, mode: GenerationMode, examples: int, seed: int, statuses: Counter[str], wrong: list[str]
) -> None:
    name = f"{operation.method.upper()} {operation.path}"

    @seeded(seed)
    @settings(
        max_examples=examples,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def one(case: Any) -> None:
        response = case.call()
        statuses[f"{name}: {response.status_code}"] += 1
        try:
            case.validate_response(response, checks=CHECKS)
        except Exception as error:  # noqa: BLE001  # all are told
            if len(wrong) < 50:
                wrong.append(f"{name}: {error}")

    one()


def main() -> int:
    """Run it and tell; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=10_000, help="about so many (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    statuses, wrong = fuzz(asked.requests, asked.seed)
    for name, count in sorted(statuses.items()):
        print(f"{count:6} {name}")  # noqa: T201  # what it is there for
    print(f"{sum(statuses.values())} requests, {len(wrong)} wrong", *wrong[:10], sep="\n")  # noqa: T201  # likewise
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
