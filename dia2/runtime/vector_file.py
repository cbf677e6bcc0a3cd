"""A vector out of a safetensors file, such as somebody has saved, or a trace keeps."""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError, safe_open

from dia2.common.checks import check_header, short
from dia2.common.errors import UsageError, one_line
from dia2.common.rust import RustPanicError, calling_rust
from dia2.runtime.vectors import Vector

MOST_BYTES = 256 << 20
_FLOATS = ("F64", "F32", "F16", "BF16")


def read_vector(path: str | Path, name: str | None = None, *, weights: str | None = None) -> Vector:
    """A tensor of a file, as a vector in float32.

    Args:
        path: of the file.
        name: of the tensor; `None`: there is only one.
        weights: SHA-256 of the checkpoint's weights; a file that names others, as those in traces do, is refused.

    Raises:
        UsageError: there is no such file or tensor, it holds no finite numbers, or it is of another checkpoint.
    """
    try:
        check_header(path)
        with calling_rust(), safe_open(path, framework="pt") as tensors:
            names, of = list(tensors.keys()), (tensors.metadata() or {}).get("weights")
            if name is None and len(names) != 1:
                raise UsageError(f"{path} has {len(names)} tensors: name one of them, such as {short(names[:3])}.")
            name = names[0] if name is None else name
            if name not in names:
                raise UsageError(f"{path} has no tensor {short(name)}: it has {short(names[:8])}.")
            part = tensors.get_slice(name)
            dtype, shape = part.get_dtype(), list(part.get_shape())
            if dtype not in _FLOATS or len(shape) not in (1, 2):
                raise UsageError(
                    f"{short(name)} of {path} is {dtype} {shape}: a vector is [width] or [n, width] floats."
                )
            if Path(path).stat().st_size > MOST_BYTES:
                raise UsageError(f"{path} is larger than {MOST_BYTES >> 20} MB: save the vector in a file of its own.")
            found = tensors.get_tensor(name)
    except UsageError:
        raise
    except (OSError, SafetensorError, RustPanicError, ValueError) as error:
        raise UsageError(f"{path} is no safetensors file that can be read ({one_line(error)}).") from error
    if weights is not None and of is not None and of != weights:
        raise UsageError(f"{path} has vectors of another checkpoint: their numbers mean nothing to this one.")
    return Vector(found)
