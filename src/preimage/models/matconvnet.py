"""The paper's networks as MatConvNet has them: AlexNet, CaffeNet and VGG-M (Table 1).

VGG-VD-16 is in :mod:`preimage.models.vgg`. Sources: Krizhevsky, Sutskever & Hinton, *ImageNet
classification with deep convolutional neural networks* (2012), and its two versions that come with
Caffe; Chatfield et al., *Return of the devil in the details* (2014), CNN-M. Caffe writes the
normalization's alpha times the 5 channels it sums over: 1e-4 (AlexNet, CaffeNet) and 5e-4 (VGG-M).
"""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from preimage.models.layers import CrossChannelNorm, FullyConnected, PaddedMaxPool2d


def _caffe_norm() -> nn.Module:
    return CrossChannelNorm(5, kappa=1.0, alpha=1e-4 / 5, beta=0.75)


def _vgg_norm() -> nn.Module:
    return CrossChannelNorm(5, kappa=2.0, alpha=5e-4 / 5, beta=0.75)


def _classifier(channels: int) -> OrderedDict[str, nn.Module]:
    """From pool5's map of 6x6 to the classes."""
    return OrderedDict[str, nn.Module](
        fc6=FullyConnected((channels, 6, 6), 4096),
        relu6=nn.ReLU(),
        fc7=FullyConnected((4096,), 4096),
        relu7=nn.ReLU(),
        fc8=FullyConnected((4096,), 1000),
        prob=nn.Softmax(dim=1),
    )


def _from_conv3() -> OrderedDict[str, nn.Module]:
    """What AlexNet and CaffeNet have in common behind their second pooling and normalization."""
    return OrderedDict[str, nn.Module](
        conv3=nn.Conv2d(256, 384, 3, padding=1),
        relu3=nn.ReLU(),
        conv4=nn.Conv2d(384, 384, 3, padding=1, groups=2),
        relu4=nn.ReLU(),
        conv5=nn.Conv2d(384, 256, 3, padding=1, groups=2),
        relu5=nn.ReLU(),
        pool5=nn.MaxPool2d(3, stride=2),
        **_classifier(256),
    )


def alexnet() -> nn.Sequential:
    """Caffe's AlexNet with random weights: normalized before pooling, two streams.

    Input ``[N, 3, 227, 227]`` (any size up to pool5), output class probabilities ``[N, 1000]``.

    >>> import torch
    >>> with torch.device("meta"):
    ...     alexnet()[:4](torch.zeros(1, 3, 227, 227)).shape
    torch.Size([1, 96, 27, 27])
    """
    return nn.Sequential(
        OrderedDict[str, nn.Module](
            conv1=nn.Conv2d(3, 96, 11, stride=4),
            relu1=nn.ReLU(),
            norm1=_caffe_norm(),
            pool1=nn.MaxPool2d(3, stride=2),
            conv2=nn.Conv2d(96, 256, 5, padding=2, groups=2),
            relu2=nn.ReLU(),
            norm2=_caffe_norm(),
            pool2=nn.MaxPool2d(3, stride=2),
            **_from_conv3(),
        )
    )


def caffenet() -> nn.Sequential:
    """Caffe's reference network with random weights: as AlexNet, but pooled before normalizing.

    Input and output as :func:`alexnet`.
    """
    return nn.Sequential(
        OrderedDict[str, nn.Module](
            conv1=nn.Conv2d(3, 96, 11, stride=4),
            relu1=nn.ReLU(),
            pool1=nn.MaxPool2d(3, stride=2),
            norm1=_caffe_norm(),
            conv2=nn.Conv2d(96, 256, 5, padding=2, groups=2),
            relu2=nn.ReLU(),
            pool2=nn.MaxPool2d(3, stride=2),
            norm2=_caffe_norm(),
            **_from_conv3(),
        )
    )


def vgg_m() -> nn.Sequential:
    """VGG-M with random weights.

    Its second pooling reaches one pixel past the map's right and lower border.

    Input ``[N, 3, 224, 224]`` (any size up to pool5), output class probabilities ``[N, 1000]``.

    >>> import torch
    >>> with torch.device("meta"):
    ...     vgg_m()[:8](torch.zeros(1, 3, 224, 224)).shape
    torch.Size([1, 256, 13, 13])
    """
    return nn.Sequential(
        OrderedDict[str, nn.Module](
            conv1=nn.Conv2d(3, 96, 7, stride=2),
            relu1=nn.ReLU(),
            norm1=_vgg_norm(),
            pool1=nn.MaxPool2d(3, stride=2),
            conv2=nn.Conv2d(96, 256, 5, stride=2, padding=1),
            relu2=nn.ReLU(),
            norm2=_vgg_norm(),
            pool2=PaddedMaxPool2d(3, 2, pad=(0, 1, 0, 1)),
            conv3=nn.Conv2d(256, 512, 3, padding=1),
            relu3=nn.ReLU(),
            conv4=nn.Conv2d(512, 512, 3, padding=1),
            relu4=nn.ReLU(),
            conv5=nn.Conv2d(512, 512, 3, padding=1),
            relu5=nn.ReLU(),
            pool5=nn.MaxPool2d(3, stride=2),
            **_classifier(512),
        )
    )
