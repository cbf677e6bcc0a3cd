"""What a notebook shows of an object that holds tensors and long lists: a few short lines."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence, Set
from dataclasses import fields
from typing import Any

from dia2.common.checks import short
from dia2.common.wording import counted

_WIDTH = 100  # characters of a line
_LISTED = 8  # items of a list that is shown itself
_LONGEST = 60  # characters of a value


def brief_repr(self: Any) -> str:
    """The `__repr__` of a dataclass: tensors by shape and dtype, long lists by their length, long texts cut."""
    parts = [f"{field.name}={_brief(getattr(self, field.name))}" for field in fields(self) if field.repr]
    whole = f"{type(self).__name__}({', '.join(parts)})"
    return textwrap.fill(whole, _WIDTH, subsequent_indent="    ", break_on_hyphens=False, break_long_words=False)


def _brief(value: Any) -> str:
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        kind = str(value.dtype).removeprefix("torch.")
        return f"<{type(value).__name__} {list(value.shape)} {kind}>"
    if isinstance(value, Sequence | Mapping | Set) and not isinstance(value, str | bytes):
        text = ""
        if len(value) <= _LISTED and not any(hasattr(item, "shape") for item in value):
            text = " ".join(repr(value).split())
        return text if 0 < len(text) <= _LONGEST else f"<{type(value).__name__} of {counted(len(value), 'item')}>"
    return " ".join(short(value).split())
