"""Small networks of every build that people use, with random weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ResidualBlock(nn.Module):
    """One in-place ReLU, used twice."""

    def __init__(self, channels: int, out: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(out)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(out, out, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out)
        self.shortcut = None
        if stride != 1 or channels != out:
            self.shortcut = nn.Conv2d(channels, out, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        y += x if self.shortcut is None else self.shortcut(x)
        return self.relu(y)


class ResNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(8)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        self.layer1 = nn.Sequential(ResidualBlock(8, 8), ResidualBlock(8, 8))
        self.layer2 = nn.Sequential(ResidualBlock(8, 16, 2))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.avgpool(self.layer2(self.layer1(x)))
        return self.fc(torch.flatten(x, 1))


class Inception(nn.Module):
    """Branches of unequal reach, one of 1x7 and 7x1, one that pools; joined by concatenation."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.ReLU(inplace=True))
        self.pool = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.one = nn.Conv2d(8, 4, 1)
        self.seven = nn.Sequential(
            nn.Conv2d(8, 4, (1, 7), padding=(0, 3)), nn.Conv2d(4, 4, (7, 1), padding=(3, 0))
        )
        self.pooled = nn.Conv2d(8, 4, 1)
        self.last = nn.Conv2d(12, 8, 3, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(self.stem(x))
        pooled = self.pooled(F.avg_pool2d(x, 3, stride=1, padding=1))
        x = torch.cat([self.one(x), self.seven(x), pooled], 1)
        return self.last(F.relu(x, inplace=True)).mean([2, 3])


class DenseNet(nn.Module):
    """Every layer sees all before it."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, 2, 1)
        self.layers = nn.ModuleList(
            nn.Sequential(
                nn.BatchNorm2d(8 + 4 * i), nn.ReLU(), nn.Conv2d(8 + 4 * i, 4, 3, padding=1)
            )
            for i in range(3)
        )
        self.transition = nn.AvgPool2d(2)

    def forward(self, x: Tensor) -> Tensor:
        maps = [self.stem(x)]
        for layer in self.layers:
            maps.append(layer(torch.cat(maps, 1)))
        return self.transition(torch.cat(maps, 1))


class TransformerBlock(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attn = nn.MultiheadAttention(width, 4, batch_first=True)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 32), nn.GELU(), nn.Linear(32, width))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm1(x)
        x = x + self.attn(y, y, y, need_weights=False)[0]
        return x + self.mlp(self.norm2(x))


class ViT(nn.Module):
    """Patches of 8 pixels and a class token."""

    def __init__(self, side: int = 32) -> None:
        super().__init__()
        self.patch_embed = nn.Conv2d(3, 16, 8, 8)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, 16))
        self.pos_embed = nn.Parameter(0.1 * torch.randn(1, 1 + (side // 8) ** 2, 16))
        self.blocks = nn.ModuleList(TransformerBlock(16) for _ in range(2))
        self.norm = nn.LayerNorm(16)
        self.head = nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch_embed(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls_token.expand(len(x), -1, -1), x], 1) + self.pos_embed
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x)[:, 0])


class ConvNeXt(nn.Module):
    """A depthwise convolution, then channels last."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 4, 4)
        self.dw = nn.Conv2d(8, 8, 7, padding=3, groups=8)
        self.norm = nn.LayerNorm(8)
        self.up = nn.Linear(8, 24)
        self.down = nn.Linear(24, 8)
        self.scale = nn.Parameter(torch.ones(8))

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        y = self.norm(self.dw(x).permute(0, 2, 3, 1))
        y = self.scale * self.down(F.gelu(self.up(y)))
        return x + y.permute(0, 3, 1, 2)


class Functional(nn.Module):
    """Not a single layer module: weights and functions."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Parameter(torch.randn(8, 3, 5, 5) / 9)
        self.second = nn.Parameter(torch.randn(8, 8, 3, 3) / 9)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(F.conv2d(x, self.first, stride=2, padding=2))
        for _ in range(2):
            x = x + F.relu(F.conv2d(x, self.second, padding=2, dilation=2))
        return F.adaptive_avg_pool2d(x, 1).flatten(1)


class Dictionary(nn.Module):
    """Its encoder gives a dictionary of features with a tuple in it."""

    class Encoder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fine = nn.Conv2d(3, 6, 3, 2, 1)
            self.coarse = nn.Conv2d(6, 8, 3, 2, 1)

        def forward(self, x: Tensor) -> dict[str, Any]:
            fine = self.fine(x)
            coarse = self.coarse(F.relu(fine))
            return {"fine": fine, "coarse": (coarse, F.relu(coarse)), "count": 2}

    def __init__(self) -> None:
        super().__init__()
        self.encoder = self.Encoder()

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        features = self.encoder(x)
        return {"out": F.interpolate(features["coarse"][1], scale_factor=2.0)}


class WithoutGradients(nn.Module):
    """Its forward is decorated, as a frozen encoder's often is."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 3)
        self.relu = nn.ReLU()

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.conv(x))


class Inferring(WithoutGradients):
    @torch.inference_mode()
    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.conv(x))


class FrozenPart(nn.Module):
    """A trunk without gradients under a head that is trained."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Conv2d(3, 6, 3)
        self.head = nn.Conv2d(6, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            x = self.trunk(x)
        return self.head(x)


def plain(channels: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(channels, 8, 5, 2, "valid"), nn.BatchNorm2d(8), nn.ReLU(True), nn.Dropout(0.5)
    )


def half_precision() -> nn.Module:
    return ResNet().to(torch.bfloat16)


@dataclass(frozen=True)
class Net:
    """A network and what is asked of it.

    Attributes:
        build: makes it, with weights from PyTorch's generator.
        layers: a few of its layers with the shapes of their codes at 32 px.
        channels: of its images.
    """

    build: Callable[[], nn.Module]
    layers: dict[str, tuple[int, ...]]
    channels: int = 3


NETS: dict[str, Net] = {
    "resnet": Net(
        ResNet,
        {
            "bn1": (8, 16, 16),
            "layer1.0.relu": (8, 8, 8),
            "layer1.0.relu#2": (8, 8, 8),
            "layer1.1.add": (8, 8, 8),
            "add_2": (16, 4, 4),
            "layer2.0.conv1": (16, 4, 4),
            "fc": (10,),
        },
    ),
    "inception": Net(
        Inception,
        {
            "pool": (8, 7, 7),
            "seven": (4, 7, 7),
            "cat": (12, 7, 7),
            "relu": (12, 7, 7),
            "mean": (8,),
        },
    ),
    "densenet": Net(
        DenseNet, {"cat_1": (12, 16, 16), "layers.2": (4, 16, 16), "cat_3": (20, 16, 16)}
    ),
    "vit": Net(
        ViT,
        {
            "patch_embed": (16, 4, 4),
            "blocks.0": (16, 4, 4),
            "blocks.1.mlp.1": (32, 4, 4),
            "blocks.1:cls": (16,),
            "blocks.1.attn[0]": (16, 4, 4),
            "head": (10,),
        },
    ),
    "convnext": Net(
        ConvNeXt, {"dw": (8, 8, 8), "norm": (8, 8, 8), "gelu": (24, 8, 8), "add": (8, 8, 8)}
    ),
    "one channel": Net(lambda: plain(1), {"0": (8, 14, 14), "2": (8, 14, 14)}, channels=1),
    "five channels": Net(lambda: plain(5), {"0": (8, 14, 14), "3": (8, 14, 14)}, channels=5),
    "functional": Net(
        Functional,
        {"conv2d": (8, 16, 16), "relu_1": (8, 16, 16), "add_1": (8, 16, 16), "flatten": (8,)},
    ),
    "dictionary": Net(
        Dictionary,
        {
            "encoder.fine": (6, 16, 16),
            'encoder["fine"]': (6, 16, 16),
            "encoder[coarse][1]": (8, 8, 8),
            "interpolate": (8, 16, 16),
        },
    ),
    "half precision": Net(half_precision, {"layer1.0.relu#2": (8, 8, 8), "fc": (10,)}),
    "float16": Net(lambda: plain(3).half(), {"2": (8, 14, 14)}),
}


def made(name: str, training: bool = True) -> nn.Module:
    """A network of `NETS`, the same each time, in training mode and wanting weight gradients."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = NETS[name].build()
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                nn.init.uniform_(module.running_mean, -0.5, 0.5)
    return network.train(training)
