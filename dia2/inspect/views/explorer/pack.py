"""A view as bytes: gzip of a JSON header and the columns behind it, which the front end opens without copying.

    "dia2view" | uint32 length of the JSON | JSON | padding to 8 bytes | columns, each padded to 8 bytes

The JSON is `{"header": …, "columns": {name: {"dtype", "shape", "at"}}}`, `at` counted from the end of its padding. All
numbers are little-endian.
"""

from __future__ import annotations

import gzip
import json
import struct

import numpy as np

from dia2.inspect.schema.view import View

MAGIC = b"dia2view"
_DTYPES = {"int8", "uint8", "int16", "uint16", "int32", "float32", "float64"}


def pack(view: View, extra: dict[str, bytes] | None = None) -> bytes:
    """The bytes of a view.

    Args:
        view: what to pack.
        extra: further columns of plain bytes, such as sounds; they are compressed already.
    """
    columns: dict[str, dict[str, object]] = {}
    parts: list[bytes] = []
    at = 0
    arrays = view.columns | {name: np.frombuffer(data, np.uint8) for name, data in (extra or {}).items()}
    for name, array in arrays.items():
        assert array.dtype.name in _DTYPES, f"the front end has no array of {array.dtype}"
        data = np.ascontiguousarray(array).tobytes()
        columns[name] = {"dtype": array.dtype.name, "shape": list(array.shape), "at": at}
        parts.append(data + bytes(-len(data) % 8))
        at += len(parts[-1])
    text = json.dumps({"header": view.header, "columns": columns}, allow_nan=False).encode()
    head = MAGIC + struct.pack("<I", len(text)) + text
    return gzip.compress(b"".join((head, bytes(-len(head) % 8), *parts)), compresslevel=6, mtime=0)
