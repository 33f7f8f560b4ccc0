"""AlexNet as torchvision trained it: no normalization layers, 64/192/384/256/256 channels.

Source: Krizhevsky, *One weird trick for parallelizing convolutional neural networks* (2014),
and ``torchvision.models.alexnet``; layer names from the paper's Table 1.
"""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from preimage.models.layers import FullyConnected


def build() -> nn.Sequential:
    """AlexNet with random weights.

    Dropout does nothing when a network is looked into, and is left out; no layer works in place.

    Input ``[N, 3, 224, 224]`` (any size up to pool5), output class probabilities ``[N, 1000]``.

    >>> import torch
    >>> with torch.device("meta"):
    ...     network = build()
    ...     network[:3](torch.zeros(1, 3, 224, 224)).shape
    torch.Size([1, 64, 27, 27])
    """
    return nn.Sequential(
        OrderedDict[str, nn.Module](
            conv1=nn.Conv2d(3, 64, 11, stride=4, padding=2),
            relu1=nn.ReLU(),
            pool1=nn.MaxPool2d(3, stride=2),
            conv2=nn.Conv2d(64, 192, 5, padding=2),
            relu2=nn.ReLU(),
            pool2=nn.MaxPool2d(3, stride=2),
            conv3=nn.Conv2d(192, 384, 3, padding=1),
            relu3=nn.ReLU(),
            conv4=nn.Conv2d(384, 256, 3, padding=1),
            relu4=nn.ReLU(),
            conv5=nn.Conv2d(256, 256, 3, padding=1),
            relu5=nn.ReLU(),
            pool5=nn.MaxPool2d(3, stride=2),
            fc6=FullyConnected((256, 6, 6), 4096),
            relu6=nn.ReLU(),
            fc7=FullyConnected((4096,), 4096),
            relu7=nn.ReLU(),
            fc8=FullyConnected((4096,), 1000),
            prob=nn.Softmax(dim=1),
        )
    )
