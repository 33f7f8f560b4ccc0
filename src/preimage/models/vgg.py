"""VGG-VD-16, the paper's deepest network.

Source: Simonyan & Zisserman, *Very deep convolutional networks for large-scale image
recognition* (2015), configuration D; layer names from the paper's Table 1.
"""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from preimage.models.layers import FullyConnected

# Channels of each group's convolutions; every group ends in a pooling layer.
GROUPS: tuple[tuple[int, ...], ...] = (
    (64, 64),
    (128, 128),
    (256, 256, 256),
    (512, 512, 512),
    (512, 512, 512),
)


def build() -> nn.Sequential:
    """VGG-VD-16 with random weights.

    Dropout does nothing when a network is looked into, and is left out; no layer works in place.

    Input ``[N, 3, 224, 224]`` (any size up to pool5), output class probabilities ``[N, 1000]``.

    >>> import torch
    >>> with torch.device("meta"):
    ...     network = build()
    ...     network[:5](torch.zeros(1, 3, 224, 224)).shape
    torch.Size([1, 64, 112, 112])
    """
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    channels = 3
    for group, widths in enumerate(GROUPS, start=1):
        for index, width in enumerate(widths, start=1):
            layers[f"conv{group}_{index}"] = nn.Conv2d(channels, width, 3, padding=1)
            layers[f"relu{group}_{index}"] = nn.ReLU()
            channels = width
        layers[f"pool{group}"] = nn.MaxPool2d(2, stride=2)
    layers.update(
        fc6=FullyConnected((512, 7, 7), 4096),
        relu6=nn.ReLU(),
        fc7=FullyConnected((4096,), 4096),
        relu7=nn.ReLU(),
        fc8=FullyConnected((4096,), 1000),
        prob=nn.Softmax(dim=1),
    )
    return nn.Sequential(layers)
