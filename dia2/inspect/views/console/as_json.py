"""Facts as one JSON document."""

from __future__ import annotations

import json

from dia2.common.wording import finite


def to_json(facts: object) -> str:
    """One line of JSON in ASCII; NaN and infinities become null."""
    return json.dumps(_clean(facts), allow_nan=False)


def _clean(value: object) -> object:
    if isinstance(value, dict):
        return {str(key): _clean(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(part) for part in value]
    return finite(value) if isinstance(value, float) else value
