"""The frozen towers in torch: EfficientNet-Lite2 and the Whisper-base encoder."""

import math
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from panvec.models.nano.config import AudioConfig, VisionConfig

# repeats, kernel, stride, expansion, channels out: EfficientNet-Lite0 (Tan & Le, arXiv 1905.11946; TPU repository, "lite")
_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
_WIDTH, _DEPTH = 1.1, 1.2
_READ = (3, 4, 5)
"""The stages whose outputs are part of what the tower gives."""
LEAST_VARIANCE = 1e-6
"""Of a map's values in a cell: below it a deviation is rounding."""


def scaled_stages() -> list[tuple[int, int, int, int, int]]:
    """Lite2's stages: repeats, kernel, stride, expansion, channels out."""
    last = len(_STAGES) - 1
    return [
        (repeats if i in (0, last) else math.ceil(_DEPTH * repeats), kernel, stride, expansion, _round_channels(channels))
        for i, (repeats, kernel, stride, expansion, channels) in enumerate(_STAGES)
    ]


def _round_channels(channels: int, divisor: int = 8) -> int:
    scaled = channels * _WIDTH
    rounded = max(divisor, int(scaled + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * scaled else rounded


class SameConv(nn.Conv2d):
    """A convolution of squares with TensorFlow's SAME padding, its batch norm folded into weight and bias."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int, stride: int, groups: int = 1) -> None:
        super().__init__(channels_in, channels_out, kernel, stride, groups=groups)

    def pads(self, size: int) -> tuple[int, int]:
        """What is added before and after an input of `size` x `size`, either way."""
        kernel, stride = self.kernel_size[0], self.stride[0]
        total = max((self.out_size(size) - 1) * stride + kernel - size, 0)
        return total // 2, total - total // 2

    def out_size(self, size: int) -> int:
        """Of the output for an input of `size` x `size`."""
        return math.ceil(size / self.stride[0])

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        pads = self.pads(x.shape[-1]) * 2
        return super().forward(F.pad(x, pads) if any(pads) else x)


class MobileBlock(nn.Module):
    """Expand, depthwise, project; a residual where the shape stays."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        middle = channels_in * expansion
        self.expand = SameConv(channels_in, middle, 1, 1) if expansion > 1 else None
        self.depthwise = SameConv(middle, middle, kernel, stride, groups=middle)
        self.project = SameConv(middle, channels_out, 1, 1)
        self.residual = stride == 1 and channels_in == channels_out

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The output, and what `x` was expanded to."""
        expanded = F.relu6(self.expand(x)) if self.expand is not None else x
        y = cast(Tensor, self.project(F.relu6(self.depthwise(expanded))))
        return x + y if self.residual else y, expanded


class VisionTower(nn.Module):
    """EfficientNet-Lite2: pixels `[batch, 3, side, side]` ((rgb - 127) / 128) to maps `[batch, channels, size, size]`.

    The first two are the last convolution's (1280 x 9 x 9, of 260 pixels) and the last block's expansion (1248 x 9 x 9);
    then come the outputs of three stages (88 and 120 x 17 x 17, 208 x 9 x 9).
    """

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.stem = SameConv(3, 32, 3, 2)
        self.read = set[int]()
        """The blocks, by number, whose outputs are given."""
        blocks, channels = [], 32
        for stage, (repeats, kernel, stride, expansion, channels_out) in enumerate(scaled_stages()):
            for repeat in range(repeats):
                block = MobileBlock(channels, channels_out, kernel, stride if repeat == 0 else 1, expansion)
                blocks.append(block)
                channels = channels_out
            if stage in _READ:
                self.read.add(len(blocks) - 1)
        self.blocks = nn.ModuleList(blocks)
        self.head = SameConv(channels, config.dim, 1, 1)

    def forward(self, pixels: Tensor) -> list[Tensor]:  # noqa: D102
        x, stages = F.relu6(self.stem(pixels)), []
        for number, block in enumerate(self.blocks):
            x, expanded = block(x)
            if number in self.read:
                stages.append(x)
        return [F.relu6(self.head(x)), expanded, *stages]


def windows(size: int, grid: int) -> tuple[int, int]:
    """Kernel and stride of the pooling that makes a map of `size` x `size` one of `grid` x `grid`."""
    stride = size // grid
    return size - stride * (grid - 1), stride


def pool(maps: list[Tensor], grid: int) -> Tensor:
    """A vision tower's maps to cells `[batch, grid * grid, features]`: means, and of all but the first also deviations."""
    features = []
    for number, values in enumerate(maps):
        kernel, stride = windows(values.shape[-1], grid)
        mean = F.avg_pool2d(values, kernel, stride)
        features.append(mean)
        if number:
            variance = F.avg_pool2d(values.square(), kernel, stride) - mean.square()
            features.append(variance.clamp_min(LEAST_VARIANCE).sqrt())
    return torch.cat(features, 1).flatten(2).transpose(1, 2)


class EncoderLayer(nn.Module):
    """A pre-norm transformer layer (Whisper's: no bias on the keys)."""

    def __init__(self, config: AudioConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.attention_norm = nn.LayerNorm(config.dim)
        self.query = nn.Linear(config.dim, config.dim)
        self.key = nn.Linear(config.dim, config.dim, bias=False)
        self.value = nn.Linear(config.dim, config.dim)
        self.out = nn.Linear(config.dim, config.dim)
        self.hidden_norm = nn.LayerNorm(config.dim)
        self.up = nn.Linear(config.dim, config.hidden)
        self.down = nn.Linear(config.hidden, config.dim)

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        y = self.attention_norm(x)
        query, key, value = (p(y).unflatten(-1, (self.heads, -1)).transpose(1, 2) for p in (self.query, self.key, self.value))
        x = x + self.out(F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2))
        return x + cast(Tensor, self.down(F.gelu(self.up(self.hidden_norm(x)))))


class AudioTower(nn.Module):
    """The Whisper-base encoder: log-mel `[batch, 80, frames]` to the states of all layers `[batch, frames / 2, 7, 512]`.

    Layer 0 is what the convolutions give; the last layer's states are normalised as Whisper does.
    """

    def __init__(self, config: AudioConfig) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(config.mels, config.dim, 3, padding=1)
        self.conv2 = nn.Conv1d(config.dim, config.dim, 3, stride=2, padding=1)
        self.positions = nn.Parameter(torch.zeros(1500, config.dim))
        self.layers = nn.ModuleList(EncoderLayer(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.dim)

    def forward(self, mel: Tensor) -> Tensor:  # noqa: D102
        x = F.gelu(self.conv2(F.gelu(self.conv1(mel)))).transpose(1, 2)
        x = x + self.positions[: x.shape[1]]
        states = [x]
        for layer in self.layers:
            x = layer(x)
            states.append(x)
        states[-1] = self.norm(x)
        return torch.stack(states, dim=2)
