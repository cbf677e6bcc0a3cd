"""Checkpoints into the model, in either published layout: every name and shape checked, nothing unpickled but tensors.

The layouts differ in the shape of their matrices. The first has an axis for heads, halves or channels
(`q_proj.weight [in, heads, head_dim]`), the second is transformers' (`[out, in]`, names that begin with `model.`). Here
q, k and v, or gate and up, are one matrix; a stored tensor is copied into a view of it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from pickle import UnpicklingError  # the error; nothing is unpickled here

import torch
from torch import Tensor

from dia.config import DiaConfig
from dia.layers import Attention, CrossAttention, DiaModel, MlpBlock, SelfAttention
from dia.weight_files import weight_files
from dia2.common.checks import is_file
from dia2.common.errors import CheckpointError, one_line
from dia2.core.layers import RMSNorm
from dia2.core.state_dict import Found, allocate, check_tensors, fill, without_memory

Views = dict[str, Tensor]
PICKLED = (".pth", ".pt", ".bin")
_CONFIG = "this Dia config"  # in errors


def load_model(
    config: DiaConfig, path: str | Path, *, device: torch.device, dtype: torch.dtype, strict: bool = False
) -> DiaModel:
    """Build the model and fill it from a checkpoint of either layout.

    Args:
        config: says which tensors there must be.
        path: `.safetensors`, an index of several (see `dia.weight_files`), or `.pth` with tensors only.
        device: where the weights go.
        dtype: of all weights but the float32 logits.
        strict: refuse tensors that the model does not know, instead of warning.

    Raises:
        CheckpointError: the file is damaged or holds more than tensors; tensors are missing, of a wrong shape, or
            (`strict`) unknown.
    """
    path = Path(path)
    model = without_memory(lambda: DiaModel(config, dtype))
    if path.suffix in PICKLED:
        _from_pickle(model, path, device, strict)
    else:
        fill(model, path, device=device, strict=strict, config=_CONFIG, parts=weight_files(path), layout=_layout)
    return model.eval()


def _from_pickle(model: DiaModel, path: Path, device: torch.device, strict: bool) -> None:
    """Fill the model from a file that torch.save wrote; unpickling is restricted to tensors."""
    if not is_file(path):
        raise CheckpointError(f"There is no weights file {path}: give the path of a checkpoint.")
    try:
        found = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:  # pickle, zip and torch each have their own kinds for a bad file
        # torch's own words on a pickle advise to load it all the same
        why = "it is damaged, or holds other objects" if isinstance(error, UnpicklingError) else one_line(error)
        raise CheckpointError(
            f"{path} is not a file of tensors only ({why}); nothing else is unpickled: convert it to safetensors."
        ) from error
    if not isinstance(found, Mapping) or not all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in found.items()
    ):
        raise CheckpointError(f"{path} holds something other than named tensors: give a state dict of a Dia model.")
    said = {
        name: Found(tuple(value.shape), str(value.dtype), value.is_floating_point()) for name, value in found.items()
    }
    layout = _layout(said)
    check_tensors(layout(model), said, path, strict=strict, config=_CONFIG)
    for name in layout(model):
        value = found[name]
        if value.layout != torch.strided or value.device.type != "cpu":
            raise CheckpointError(f"Tensor {name} of {path} is not stored number by number: save it as a plain tensor.")
    allocate(model, device)
    for name, target in layout(model).items():
        target.copy_(found[name].detach())


def _layout(names: Collection[str]) -> Callable[[DiaModel], Views]:
    """Which layout the stored tensors have, by their names."""
    return flat_views if any(name.startswith("model.") for name in names) else multi_axis_views


def multi_axis_views(model: DiaModel) -> Views:
    """The first layout: every stored name, and the view of a parameter that it fills."""
    views: Views = {}
    for name, module in model.named_modules():
        if isinstance(module, Attention):
            heads, dim = module.heads, module.head_dim
            for part, weight in _projections(module).items():
                views[f"{name}.{part}.weight"] = weight.view(-1, dim, weight.shape[1]).permute(2, 0, 1)
            views[f"{name}.o_proj.weight"] = module.o_proj.weight.view(-1, heads, dim).permute(1, 2, 0)
        elif isinstance(module, MlpBlock):
            fused = module.wi.weight  # [2 · hidden, in]
            views[f"{name}.wi_fused.weight"] = fused.view(2, -1, fused.shape[1]).permute(2, 0, 1)
            views[f"{name}.wo.weight"] = module.wo.weight.T
    decoder = model.decoder
    for channel, table in enumerate(torch.split(decoder.embeddings.weight, decoder.vocab)):
        views[f"decoder.embeddings.{channel}.weight"] = table
    logits = decoder.logits_dense.weight.view(decoder.channels, decoder.vocab, -1)
    views["decoder.logits_dense.weight"] = logits.permute(2, 0, 1)
    return views | _vectors(model)


def flat_views(model: DiaModel) -> Views:
    """Transformers' layout, likewise."""
    views: Views = {}
    for name, module in model.named_modules():
        if isinstance(module, Attention):
            views |= {f"model.{name}.{part}.weight": weight for part, weight in _projections(module).items()}
            views[f"model.{name}.o_proj.weight"] = module.o_proj.weight
        elif isinstance(module, MlpBlock):
            views[f"model.{name}.gate_up_proj.weight"] = module.wi.weight
            views[f"model.{name}.down_proj.weight"] = module.wo.weight
    views["model.decoder.embeddings.embed.weight"] = model.decoder.embeddings.weight
    views["logits_dense.weight"] = model.decoder.logits_dense.weight
    return views | {f"model.{name}": weight for name, weight in _vectors(model).items()}


def _projections(module: Attention) -> dict[str, Tensor]:
    """q, k and v of an attention [heads · D, in] each, as views."""
    heads, kv, dim = module.heads, module.kv_heads, module.head_dim
    if isinstance(module, SelfAttention):
        parts = torch.split(module.qkv_proj.weight, [heads * dim, kv * dim, kv * dim])
        return dict(zip(("q_proj", "k_proj", "v_proj"), parts, strict=True))
    assert isinstance(module, CrossAttention), "there are two kinds"
    key, value = torch.split(module.kv_proj.weight, kv * dim)
    return {"q_proj": module.q_proj.weight, "k_proj": key, "v_proj": value}


def _vectors(model: DiaModel) -> Views:
    """Norms and the text embedding, which both layouts have alike."""
    found: Views = {"encoder.embedding.weight": model.encoder.embedding.weight}
    for name, module in model.named_modules():
        if isinstance(module, RMSNorm):
            found[f"{name}.weight"] = module.weight
    return found
