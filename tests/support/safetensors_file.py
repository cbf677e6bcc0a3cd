"""Safetensors files byte by byte, so that they can be wrong in any way."""

from __future__ import annotations

import json
import struct
from typing import Any


def joined(header: object, body: bytes = b"") -> bytes:
    """A file of a header, JSON or bytes as they are, and the data behind it."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


def taken_apart(content: bytes) -> tuple[dict[str, Any], bytes]:
    """The header of a file, and the data behind it."""
    (length,) = struct.unpack("<Q", content[:8])
    return json.loads(content[8 : 8 + length]), content[8 + length :]
