"""How a frame's parts are computed: by the modules, or by Triton kernels that hold several steps each."""

from __future__ import annotations

import importlib.util
from typing import Literal, Protocol

import torch
from torch import Tensor, nn

from dia2.common.errors import UsageError
from dia2.core.acts import Writes
from dia2.core.cache import Span
from dia2.core.compiled import compiled_form
from dia2.core.depformer import FrameInputs
from dia2.core.layers import Rotation
from dia2.core.model import Dia2Model
from dia2.core.transformer import TransformerOutput
from dia2.generation import GenerationConfig, SamplingConfig
from dia2.runtime.guidance import filter_guided, forbid_specials
from dia2.runtime.sampler import draw

Kind = Literal["text", "audio"]  # of a token: which sampling it has


class Form(Protocol):
    """What both halves of a frame are made of."""

    def transformer(
        self, tokens: Tensor, rotation: Rotation, span: Span, writes: Writes | None = None
    ) -> TransformerOutput:
        """One frame, `tokens` [B, C, 1]: see `TransformerDecoder.forward`."""

    def begin(self, hidden: Tensor, rotation: Rotation | None) -> None:
        """The depformer's stages of one frame begin, from `hidden` [B, n_embd], at the positions of `rotation`."""

    def stage(
        self, stage: int, code: Tensor, text: tuple[Tensor, Tensor], span: Span, writes: Writes | None = None
    ) -> Tensor:
        """Logits [B, codes] float32 of one stage: see `Depformer.forward_stage`."""

    def choose(self, logits: Tensor, kind: Kind, uniform: Tensor, specials: Tensor | None = None) -> Tensor:
        """A token [1] int64 of a kind from `logits` [B, V], see `choose`."""


class ModuleForm:
    """The modules, eager or through torch.compile."""

    _shared: FrameInputs

    def __init__(self, model: Dia2Model, config: GenerationConfig) -> None:
        self._model, self._config, self._compiled = model, config, config.use_torch_compile

    def transformer(
        self, tokens: Tensor, rotation: Rotation, span: Span, writes: Writes | None = None
    ) -> TransformerOutput:
        """See `Form`."""
        run = self._model.transformer
        out: TransformerOutput = run(tokens, rotation, span, compiled=self._compiled, writes=writes)
        return out

    def begin(self, hidden: Tensor, rotation: Rotation | None) -> None:
        """See `Form`."""
        self._shared = self._model.depformer.begin(hidden, rotation, compiled=self._compiled)

    def stage(
        self, stage: int, code: Tensor, text: tuple[Tensor, Tensor], span: Span, writes: Writes | None = None
    ) -> Tensor:
        """See `Form`."""
        given = () if writes is None else writes.stages
        run = self._model.depformer.forward_stage
        return run(stage, self._shared, code, text, span, compiled=self._compiled, writes=given)

    def choose(self, logits: Tensor, kind: Kind, uniform: Tensor, specials: Tensor | None = None) -> Tensor:
        """See `Form`; compiled on CUDA alone: many small kernels there, a few quick calls on a CPU."""
        run = compiled_form(choose, "cuda") if self._compiled and logits.device.type == "cuda" else choose
        sampling = sampling_of(self._config, kind)
        setting = sampling.temperature, sampling.top_k
        return run(logits, self._config.cfg_scale, self._config.cfg_filter_k, setting, uniform, specials)


class KernelForm:
    """Triton kernels; numbers differ from the modules' by how sums are rounded."""

    _projected: dict[int, Tensor]  # by weight set, [B, n_embd of the depformer]
    _rotation: Rotation | None

    def __init__(self, model: Dia2Model, config: GenerationConfig) -> None:
        from dia2.core.kernels import draw as draws
        from dia2.core.kernels import product, stacks  # which need Triton

        self._model, self._config = model, config
        self._stacks, self._draw, self._product = stacks, draws.draw_guided, product.product

    def transformer(
        self, tokens: Tensor, rotation: Rotation, span: Span, writes: Writes | None = None
    ) -> TransformerOutput:
        """See `Form`."""
        assert writes is None, "a run whose activations are changed has the modules"
        return self._stacks.transformer_frame(self._model.transformer, tokens, rotation, span)

    def begin(self, hidden: Tensor, rotation: Rotation | None) -> None:
        """See `Form`."""
        depformer = self._model.depformer
        sets = sorted(set(depformer.schedule))
        self._projected = {number: self._product(hidden, depformer.depformer_in[number]) for number in sets}
        self._rotation = rotation

    def stage(
        self, stage: int, code: Tensor, text: tuple[Tensor, Tensor], span: Span, writes: Writes | None = None
    ) -> Tensor:
        """See `Form`."""
        assert writes is None, "a run whose activations are changed has the modules"
        depformer, turn = self._model.depformer, at_stage(self._rotation, stage)
        projected = self._projected[depformer.schedule[stage]]
        return self._stacks.depformer_stage(depformer, stage, projected, code, text, turn, span)

    def choose(self, logits: Tensor, kind: Kind, uniform: Tensor, specials: Tensor | None = None) -> Tensor:
        """See `Form`."""
        sampling = sampling_of(self._config, kind)
        scale, filter_k = self._config.cfg_scale, self._config.cfg_filter_k
        return self._draw(logits, scale, filter_k, sampling.temperature, sampling.top_k, uniform, specials)


def choose(
    logits: Tensor,
    cfg_scale: float,
    filter_k: int,
    sampling: tuple[float, int],
    uniform: Tensor,
    specials: Tensor | None = None,
) -> Tensor:
    """A token [..., 1] int64 of `logits` [B, ..., V]: who may be drawn, see `guidance`, and which, see `sampler`.

    Args:
        logits: of all branches, of one run or of several.
        cfg_scale: see `filter_guided`.
        filter_k: see `filter_guided`.
        sampling: temperature and top k, see `draw`.
        uniform: [..., 1] that decides.
        specials: [V] bool, true where a token is forbidden; `None`: nowhere.
    """
    kept = filter_guided(logits, cfg_scale, filter_k)
    if specials is not None:
        kept = forbid_specials(kept, logits[0], specials)
    return draw(kept, *sampling, uniform)


def sampling_of(config: GenerationConfig, kind: Kind) -> SamplingConfig:
    """How tokens of a kind are drawn."""
    return config.text if kind == "text" else config.audio


def form_of(model: Dia2Model, config: GenerationConfig, *, modules: bool = False) -> Form:
    """The form that `config` asks for; while a torch hook looks into the model its modules, or it would see nothing.

    A CUDA graph that was captured before keeps the form it was captured with.

    Args:
        model: whose.
        config: of the frames.
        modules: the modules in any case, since kernels cannot be written into.
    """
    kernels = config.use_triton and not modules and not watched(model)
    return KernelForm(model, config) if kernels else ModuleForm(model, config)


def watched(model: nn.Module) -> bool:
    """Whether a torch hook looks at any module of `model`, or at all modules there are."""
    shared = nn.modules.module
    if shared._global_forward_hooks or shared._global_forward_pre_hooks:
        return True
    return any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def at_stage(rotation: Rotation | None, stage: int) -> Rotation | None:
    """The rotation [1, D] of one of the stages."""
    return None if rotation is None else (rotation[0][stage : stage + 1], rotation[1][stage : stage + 1])


def check_kernels(config: GenerationConfig, device: torch.device) -> None:
    """Refuse `use_triton` where its kernels cannot run.

    Raises:
        UsageError: says what is missing.
    """
    if not config.use_triton:
        return
    if config.use_torch_compile:
        raise UsageError("A frame is computed by Triton kernels or compiled: choose use_triton or use_torch_compile.")
    if importlib.util.find_spec("triton") is None:
        raise UsageError("Triton kernels (use_triton) need the package triton, which is missing: pip install triton.")
    if device.type == "cuda":
        return
    from dia2.core.kernels.launch import interpreted
    from dia2.core.kernels.product_kernel import product_kernel

    if not interpreted(product_kernel):
        raise UsageError(
            f"Triton kernels (use_triton) need a CUDA device, not {device.type}: leave use_triton out, or set "
            "TRITON_INTERPRET=1 before Python starts, which runs them very slowly, to test them."
        )
