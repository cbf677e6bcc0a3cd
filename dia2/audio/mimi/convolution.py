"""Causal convolutions, and the two stacks of them: samples → latents, latents → samples."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dia2.audio.mimi.config import MimiConfig
from dia2.audio.mimi.past import Past


class CausalConv(nn.Module):
    """A convolution that looks at its inputs and at `reach` inputs before them: [1, C, n] → [1, C', n / stride]."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        *,
        stride: int = 1,
        dilation: int = 1,
        bias: bool = True,
        pad_mode: str,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv1d(inputs, outputs, kernel, stride, dilation=dilation, bias=bias)
        self.reach = (kernel - 1) * dilation + 1 - stride
        self.pad_mode = pad_mode

    def forward(self, x: Tensor, past: Past) -> Tensor:
        """Convolve the next n inputs, a multiple of the stride."""
        if self.reach > 0:
            before = past.kept.get(self)
            if before is None:
                first = x[..., :1] if self.pad_mode == "replicate" else x.new_zeros(())
                before = first.expand(*x.shape[:-1], self.reach)
            n = x.shape[-1]
            x = torch.cat((before, x), dim=-1)
            past.kept[self] = x[..., n:].clone()  # a view would keep the whole piece alive
        out: Tensor = self.conv(x)
        return out


class CausalUpsampling(nn.Module):
    """A transposed convolution whose kernel spans two inputs: [1, C, n] → [1, C', n · stride].

    The last `stride` outputs lack what the next input adds to them; they are kept, and go out with it.
    """

    def __init__(self, inputs: int, outputs: int, stride: int, *, groups: int = 1, bias: bool = True) -> None:
        super().__init__()
        self.conv = nn.ConvTranspose1d(inputs, outputs, 2 * stride, stride, groups=groups, bias=bias)

    def forward(self, x: Tensor, past: Past) -> Tensor:
        """Spread the next n inputs."""
        stride = self.conv.stride[0]
        out: Tensor = self.conv(x)  # [1, C', (n + 1) · stride]
        begun = past.kept.get(self)
        if begun is not None:
            out[..., :stride] += begun
        rest = out[..., -stride:]  # the bias will come with the next outputs
        past.kept[self] = rest.clone() if self.conv.bias is None else rest - self.conv.bias[:, None]
        return out[..., :-stride]


class Elu(nn.Module):
    """The activation between convolutions; it remembers nothing."""

    def forward(self, x: Tensor, _: Past) -> Tensor:
        """[1, C, n] → [1, C, n]."""
        return F.elu(x)


class ResidualBlock(nn.Module):
    """x → shortcut(x) + block(x), narrower inside."""

    def __init__(self, config: MimiConfig, width: int, dilation: int) -> None:
        super().__init__()
        inner, mode = width // config.compress, config.pad_mode
        self.block = nn.ModuleList(
            (
                Elu(),
                CausalConv(width, inner, config.residual_kernel_size, dilation=dilation, pad_mode=mode),
                Elu(),
                CausalConv(inner, width, 1, pad_mode=mode),
            )
        )
        self.shortcut = CausalConv(width, width, 1, pad_mode=mode) if config.use_conv_shortcut else None

    def forward(self, x: Tensor, past: Past) -> Tensor:
        """[1, C, n] → [1, C, n]."""
        out = x
        for layer in self.block:
            out = layer(out, past)
        return (x if self.shortcut is None else self.shortcut(x, past)) + out


class Stack(nn.Module):
    """Layers one after the other."""

    def __init__(self, layers: list[nn.Module]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def forward(self, x: Tensor, past: Past) -> Tensor:
        """[1, C, n] → [1, C', n']."""
        for layer in self.layers:
            x = layer(x, past)
        return x


def encoder(config: MimiConfig) -> Stack:
    """[1, 1, samples] → [1, D, positions]."""
    width, mode = config.num_filters, config.pad_mode
    layers: list[nn.Module] = [CausalConv(1, width, config.kernel_size, pad_mode=mode)]
    for ratio in reversed(config.upsampling_ratios):
        layers += _residual_blocks(config, width)
        layers += [Elu(), CausalConv(width, 2 * width, 2 * ratio, stride=ratio, pad_mode=mode)]
        width *= 2
    layers += [Elu(), CausalConv(width, config.hidden_size, config.last_kernel_size, pad_mode=mode)]
    return Stack(layers)


def decoder(config: MimiConfig) -> Stack:
    """[1, D, positions] → [1, 1, samples]."""
    width, mode = config.num_filters << len(config.upsampling_ratios), config.pad_mode
    layers: list[nn.Module] = [CausalConv(config.hidden_size, width, config.kernel_size, pad_mode=mode)]
    for ratio in config.upsampling_ratios:
        layers += [Elu(), CausalUpsampling(width, width // 2, ratio)]
        width //= 2
        layers += _residual_blocks(config, width)
    layers += [Elu(), CausalConv(width, 1, config.last_kernel_size, pad_mode=mode)]
    return Stack(layers)


def _residual_blocks(config: MimiConfig, width: int) -> list[nn.Module]:
    growth = config.dilation_growth_rate
    return [ResidualBlock(config, width, growth**n) for n in range(config.num_residual_layers)]
