"""Loading DAC by transformers: nothing unpickled, nothing fetched, no more memory than its weights can fill."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from dia2.common.checks import check_header, is_file, require_ordinary
from dia2.common.rust import calling_rust
from dia2.core.chance import own_chance


def pretrained(folder: Path) -> tuple[Any, list[str]]:
    """A `DacModel` in float32 on the CPU, from the config.json and model.safetensors of a folder.

    Returns:
        The model, and the names of tensors that are missing or of another shape.

    Raises:
        ValueError: the config asks for more memory than the weights can fill, or their header is larger than a codec's.
        NotAFileError: something else than files lies there.
        Exception: whatever transformers, safetensors and torch raise for a bad file.
    """
    from transformers import DacModel

    for file in folder.glob("*.json"):
        require_ordinary(file)
    for file in folder.glob("*.safetensors"):
        check_header(file)
    with own_chance(), _quiet_transformers(), calling_rust():
        _refuse_oversized(folder)
        model, info = DacModel.from_pretrained(
            folder,
            dtype=torch.float32,
            use_safetensors=True,  # never unpickle
            local_files_only=True,
            ignore_mismatched_sizes=True,  # so that they are named: the caller refuses them
            output_loading_info=True,
        )
    unfit = sorted(info["missing_keys"]) + sorted(key for key, *_ in info["mismatched_keys"])
    return model, unfit


def _refuse_oversized(folder: Path) -> None:
    """Raise ValueError if the config asks for more memory than the weights can fill, before any is taken."""
    from transformers import DacConfig, DacModel

    weights = folder / "model.safetensors"
    if not is_file(weights):
        return  # which transformers will say
    config = DacConfig.from_pretrained(folder)
    config.dtype = torch.float32  # transformers would make the stored one torch's default, for every thread
    with torch.device("meta"):
        asked = DacModel(config)
    elements = sum(tensor.numel() for tensor in asked.state_dict().values())
    stored = weights.stat().st_size
    if elements > stored:  # no float takes less than a byte
        raise ValueError(f"its config.json asks for {elements:,} numbers, its weights have {stored:,} bytes")


@contextmanager
def _quiet_transformers() -> Iterator[None]:
    """Keep transformers from printing its progress bar and its table of tensors: we say in one line what matters."""
    from transformers.utils import logging

    verbosity, progress = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if progress:
            logging.enable_progress_bar()
