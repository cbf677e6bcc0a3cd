"""A link to a place in the explorer, as its button “Link” copies it: `#call=311&track=surprise`."""

from __future__ import annotations

import re
from urllib.parse import parse_qs

from dia2.common.checks import short
from dia2.common.errors import UsageError


def fragment_of(link: str | None) -> str:
    """What a link says, from its `#` on; what it asks for that there is not, the front end leaves out.

    Args:
        link: with the address of a page before it, or without; `None`: none.

    Raises:
        UsageError: it is no text.
    """
    if link is None:
        return ""
    if not isinstance(link, str):
        raise UsageError(f"link is a text such as '#call=311&track=surprise', which “Link” copies, not {short(link)}.")
    return f"#{link.rpartition('#')[2]}"


def call_of(fragment: str, calls: int) -> int | None:
    """The call that a link names, or the last one where there are not so many; `None` if it names none.

    Args:
        fragment: see `fragment_of`.
        calls: that there are.
    """
    named = parse_qs(fragment.removeprefix("#"), keep_blank_values=True).get("call", [""])[0]
    return min(int(named), calls - 1) if re.fullmatch("[0-9]{1,9}", named) else None
