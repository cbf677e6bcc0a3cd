"""The numbers of a run's edits of activations, in a trace: each vector once, by its digest, in `edits.safetensors`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from dia2.adapter.layout import EDITS_FILE, MAX_EDITS
from dia2.common.checks import check_header, is_file
from dia2.common.errors import TraceError, one_line
from dia2.common.rust import RustPanicError, calling_rust
from dia2.inspect.store.layout import MAX_HEADER
from dia2.runtime.activations import ActivationEdit, vector_field, vector_of
from dia2.runtime.edits import Edit, activations_of
from dia2.runtime.vectors import Vector, digest_of


def vector_columns(edits: Sequence[Edit]) -> dict[str, np.ndarray]:
    """The tensors of `edits.safetensors`, by digest: [width] or [n, width] float32."""
    vectors = (vector_of(edit) for edit in activations_of(edits))
    return {vector.digest: vector.tensor.numpy() for vector in vectors if vector is not None}


def fingerprint_of(hashes: Mapping[str, str | None]) -> dict[str, str]:
    """What `edits.safetensors` says of the checkpoint that the vectors belong to, from the hashes in the manifest."""
    weights = hashes.get("weights")
    return {} if weights is None else {"weights": weights}


def with_vectors(edits: Sequence[Edit], path: Path, hashes: Mapping[str, str | None]) -> list[Edit]:
    """The edits of a manifest, whose vectors find their numbers when they are asked for them.

    Args:
        edits: as the manifest has them.
        path: of the trace.
        hashes: of its checkpoint.
    """
    reader = _Reader(path / EDITS_FILE, fingerprint_of(hashes))
    return [_with_vector(edit, reader) if isinstance(edit, ActivationEdit) else edit for edit in edits]


def _with_vector(edit: ActivationEdit, reader: _Reader) -> ActivationEdit:
    vector = vector_of(edit)
    if vector is None:
        return edit
    bound: dict[str, Any] = {vector_field(type(edit)): Vector.stored(vector.digest, vector.shape, reader)}
    return replace(edit, **bound)


class _Reader:
    """Reads vectors of one file."""

    def __init__(self, file: Path, fingerprint: Mapping[str, str]) -> None:
        self._file, self._fingerprint = file, fingerprint

    def __call__(self, vector: Vector) -> np.ndarray:
        """The numbers, float32.

        Raises:
            TraceError: they were taken out, or are damaged, or of another checkpoint.
        """
        file, shape = self._file, list(vector.shape)
        if file.is_symlink() or not is_file(file):
            raise TraceError(f"{file.parent} lacks {EDITS_FILE}: its vectors were redacted, or lost.")
        try:
            if file.stat().st_size > MAX_EDITS + MAX_HEADER:
                raise TraceError(f"{file} is larger than {MAX_EDITS >> 20} MB: the trace is damaged.")
            check_header(file)
            with calling_rust(), safe_open(file, framework="np") as tensors:
                of = tensors.metadata() or {}
                part = tensors.get_slice(vector.digest)
                if part.get_dtype() != "F32" or list(part.get_shape()) != shape:
                    raise TraceError(
                        f"{file} is damaged: {vector.digest[:8]} is {part.get_dtype()} {part.get_shape()}, not F32 "
                        f"{shape}."
                    )
                found: np.ndarray = tensors.get_tensor(vector.digest)
        except (OSError, SafetensorError, RustPanicError, ValueError, KeyError) as error:
            raise TraceError(f"{file} cannot be read ({one_line(error)}): the trace is damaged.") from error
        if any(of.get(name, digest) != digest for name, digest in self._fingerprint.items()):
            raise TraceError(f"{file} is of another checkpoint than the run: the trace is damaged.")
        if digest_of(found) != vector.digest or not np.isfinite(found).all():
            raise TraceError(f"{file} is damaged: {vector.digest[:8]} has other numbers than the run had.")
        return found
