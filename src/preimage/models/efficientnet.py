"""EfficientNet-Lite0, the classifier that comes with the package.

Source: Tan & Le, *EfficientNet: rethinking model scaling for convolutional neural networks*
(2019), and the Lite variants published with it: no squeeze-and-excitation, ReLU6 throughout.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from preimage.errors import PreimageError
from preimage.models.layers import SameConv2d

BATCH_NORM_EPSILON = 1e-3


class BlockSpec(NamedTuple):
    """One inverted-bottleneck block: kernel and stride of its depthwise convolution, widths."""

    kernel: int
    stride: int
    expansion: int
    in_channels: int
    out_channels: int


BLOCKS: tuple[BlockSpec, ...] = (
    BlockSpec(3, 1, 1, 32, 16),
    BlockSpec(3, 2, 6, 16, 24),
    BlockSpec(3, 1, 6, 24, 24),
    BlockSpec(5, 2, 6, 24, 40),
    BlockSpec(5, 1, 6, 40, 40),
    BlockSpec(3, 2, 6, 40, 80),
    BlockSpec(3, 1, 6, 80, 80),
    BlockSpec(3, 1, 6, 80, 80),
    BlockSpec(5, 1, 6, 80, 112),
    BlockSpec(5, 1, 6, 112, 112),
    BlockSpec(5, 1, 6, 112, 112),
    BlockSpec(5, 2, 6, 112, 192),
    BlockSpec(5, 1, 6, 192, 192),
    BlockSpec(5, 1, 6, 192, 192),
    BlockSpec(5, 1, 6, 192, 192),
    BlockSpec(3, 1, 6, 192, 320),
)


class InvertedBottleneck(nn.Module):
    """Expand, filter each channel, project; added to the input where the shapes agree.

    Batch normalization is folded into the convolutions, which changes nothing but rounding.

    Input ``[N, in_channels, H, W]``, output ``[N, out_channels, ceil(H/stride), ...]``.
    """

    def __init__(self, spec: BlockSpec) -> None:
        super().__init__()
        wide = spec.in_channels * spec.expansion
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        if spec.expansion != 1:
            layers["expand"] = nn.Conv2d(spec.in_channels, wide, 1)
            layers["expand_relu"] = nn.ReLU6()
        layers["depthwise"] = _depthwise(wide, spec.kernel, spec.stride)
        layers["depthwise_relu"] = nn.ReLU6()
        layers["project"] = nn.Conv2d(wide, spec.out_channels, 1)
        self.body = nn.Sequential(layers)
        self.residual = spec.stride == 1 and spec.in_channels == spec.out_channels

    def forward(self, input: Tensor) -> Tensor:
        output: Tensor = self.body(input)
        return input + output if self.residual else output


class Head(nn.Sequential):
    """The last 1x1 convolution with its ReLU6: ``[N, 320, h, w]`` to ``[N, 1280, h, w]``."""

    def __init__(self) -> None:
        super().__init__(OrderedDict(conv=nn.Conv2d(320, 1280, 1), relu=nn.ReLU6()))


class Stem(nn.Sequential):
    """The first convolution with its ReLU6: ``[N, 3, H, W]`` to ``[N, 32, H/2, W/2]``."""

    def __init__(self) -> None:
        super().__init__(OrderedDict(conv=SameConv2d(3, 32, 3, stride=2), relu=nn.ReLU6()))


class GlobalAverage(nn.Module):
    """Mean over the map: ``[N, D, h, w]`` to ``[N, D]``."""

    def forward(self, input: Tensor) -> Tensor:
        return input.mean(dim=(2, 3))


def build() -> nn.Sequential:
    """EfficientNet-Lite0 with random weights.

    Layers: stem, block01 ... block16, head, pool, logits, prob. No layer works in place.

    Input ``[N, 3, 224, 224]`` (other sizes work), output class probabilities ``[N, 1000]``.

    >>> import torch
    >>> with torch.device("meta"):
    ...     build()(torch.zeros(1, 3, 224, 224)).shape
    torch.Size([1, 1000])
    """
    layers: OrderedDict[str, nn.Module] = OrderedDict(stem=Stem())
    for number, spec in enumerate(BLOCKS, start=1):
        layers[f"block{number:02d}"] = InvertedBottleneck(spec)
    layers["head"] = Head()
    layers["pool"] = GlobalAverage()
    layers["logits"] = nn.Linear(1280, 1000)
    layers["prob"] = nn.Softmax(dim=1)
    return nn.Sequential(layers)


def convert(published: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The published state dict in this module's names, with batch normalization folded in.

    ``W' = W g / sqrt(v + 1e-3)``, ``b' = b - m g / sqrt(v + 1e-3)`` for the normalization's scale
    g, shift b, mean m and variance v, computed in float64.

    Args:
        published: tensors named ``_conv_stem.weight``, ``_blocks.0._bn1.bias``, ...

    Raises:
        PreimageError: a tensor is missing.
    """
    try:
        converted = _fold(published, "_conv_stem", "_bn0", "stem.conv")
        for index, spec in enumerate(BLOCKS):
            theirs, ours = f"_blocks.{index}.", f"block{index + 1:02d}.body."
            if spec.expansion != 1:
                converted |= _fold(published, f"{theirs}_expand_conv", "_bn0", f"{ours}expand")
            converted |= _fold(published, f"{theirs}_depthwise_conv", "_bn1", f"{ours}depthwise")
            converted |= _fold(published, f"{theirs}_project_conv", "_bn2", f"{ours}project")
        converted |= _fold(published, "_conv_head", "_bn1", "head.conv")
        converted["logits.weight"] = published["_fc.weight"]
        converted["logits.bias"] = published["_fc.bias"]
    except KeyError as error:
        raise PreimageError(
            f"expected EfficientNet-Lite0's weights, got a file without {error.args[0]}"
        ) from error
    return converted


def _depthwise(channels: int, kernel: int, stride: int) -> nn.Conv2d:
    if stride == 1:
        return nn.Conv2d(channels, channels, kernel, padding=kernel // 2, groups=channels)
    return SameConv2d(channels, channels, kernel, stride=stride, groups=channels)


def _fold(published: Mapping[str, Tensor], conv: str, norm: str, ours: str) -> dict[str, Tensor]:
    prefix = conv.rpartition(".")[0]
    norm = f"{prefix}.{norm}" if prefix else norm
    scale = published[f"{norm}.weight"].double()
    scale = scale / torch.sqrt(published[f"{norm}.running_var"].double() + BATCH_NORM_EPSILON)
    weight = published[f"{conv}.weight"].double() * scale[:, None, None, None]
    bias = published[f"{norm}.bias"].double() - published[f"{norm}.running_mean"].double() * scale
    return {f"{ours}.weight": weight.float(), f"{ours}.bias": bias.float()}
