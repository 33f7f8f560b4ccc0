"""LPIPS, the learned perceptual distance (Zhang et al. 2018), on its own AlexNet weights.

It describes results. Nothing ever minimises it, and no search sees the photo it compares with.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor, nn

from preimage.images import squared_length
from preimage.models import catalogue as models
from preimage.models.convert import array_at
from preimage.weights import catalogue as weight_files
from preimage.weights import store
from preimage.weights.readers import read_numpy_pickle

RELUS = ("relu1", "relu2", "relu3", "relu4", "relu5")
SHIFT = (-0.030, -0.088, -0.188)
SCALE = (0.458, 0.448, 0.450)
"""Input statistics of LPIPS for colours from -1 to 1."""

FLOOR = 1e-10


@torch.no_grad()
def lpips(image: Tensor, other: Tensor, mean: Sequence[float]) -> Tensor:
    """Perceptual distance of each pair, `[N]`; 0 for equal images, about 0.7 for unrelated ones.

    d = Σ_layers mean_{v,u} Σ_c w_c (ŷ_c − ŷ'_c)²,  ŷ = y/‖y‖ along the channels

    Args:
        image, other: `[N, 3, H, W]` on the canvas scale; colours outside 0-255 are clipped.
        mean: mean colour of that canvas scale.

    Returns:
        The distances, on the CPU, where they are computed.

    Raises:
        PreimageError: if the weights (`alexnet-conv`) can't be had.

    Source: version 0.1 of the authors' weights, net `alex`, with the linear layers.
    """
    distance = torch.zeros(len(image))
    features = (_features(images.cpu(), mean) for images in (image, other))
    pairs = zip(*features, _linear_layers(), strict=True)
    for first, second, weight in pairs:
        difference = (_normalized(first) - _normalized(second)).square()
        distance += (difference * weight).sum(1).mean((1, 2))
    return distance


def _features(image: Tensor, mean: Sequence[float]) -> list[Tensor]:
    colours = (image + torch.tensor(mean).view(1, 3, 1, 1)).clamp(0, 255) / 127.5 - 1
    y = (colours - torch.tensor(SHIFT).view(1, 3, 1, 1)) / torch.tensor(SCALE).view(1, 3, 1, 1)
    features = []
    for name, layer in _alexnet().named_children():
        y = layer(y)
        if name in RELUS:
            features.append(y)
    return features


def _normalized(y: Tensor) -> Tensor:
    return y / (squared_length(y).sqrt() + FLOOR)


@lru_cache(maxsize=1)
def _alexnet() -> nn.Module:
    return models.load("alexnet.torchvision", RELUS[-1]).network


@lru_cache(maxsize=1)
def _linear_layers() -> tuple[Tensor, ...]:
    """Weights of the channels, one `[1, C, 1, 1]` for each of `RELUS`."""
    entry = weight_files.find("alexnet-conv")
    store.fetch(entry)
    arrays = read_numpy_pickle(store.verified_path(entry))
    return tuple(
        torch.from_numpy(array_at(arrays, f"NetLinLayer_{i}", "Conv_0", "kernel")).view(1, -1, 1, 1)
        for i in range(len(RELUS))
    )
