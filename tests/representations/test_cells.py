"""Cells that are computed from their own squares alone."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from preimage.models.layers import PaddedAvgPool2d, PaddedConv2d, PaddedMaxPool2d, SameConv2d
from preimage.representations import Geometry, NetworkLayer
from preimage.representations.cells import SpacedCells
from toys import random_image

SIDE, STRIDE = 41, 4


class Sum(nn.Module):
    """Maps that are added up, of two different depths."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(6, 6, 3, padding=1)

    def forward(self, maps: Tensor) -> Tensor:
        return maps + self.conv(maps)


class Attention(nn.Module):
    """Maps that are scaled by what all positions say."""

    def forward(self, maps: Tensor) -> Tensor:
        return maps * functional.adaptive_avg_pool2d(maps, 1).sigmoid()


def conv(inputs: int, side: int, stride: int = 1, padding: int = 0) -> nn.Conv2d:
    return nn.Conv2d(inputs, 6, side, stride, padding)


ALONE: dict[str, tuple[list[nn.Module], Geometry]] = {
    "padding in the convolutions": (
        [conv(3, 5, 2, 2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1), conv(6, 3, 1, 1)],
        Geometry(17, STRIDE, 0.0),
    ),
    "rounded up": (
        [conv(3, 3, 2, 0), nn.MaxPool2d(2, 2, ceil_mode=True), nn.AvgPool2d(3, 1, 1)],
        Geometry(13, STRIDE, 2.0),
    ),
    "padding of each side's own": (
        [
            PaddedConv2d(3, 6, 3, pad=(0, 1, 0, 1), stride=2),
            PaddedMaxPool2d(3, 2, pad=(0, 1, 0, 1)),
            PaddedAvgPool2d(3, 1, pad=(1, 1, 1, 1)),
        ],
        Geometry(15, STRIDE, 3.0),
    ),
}


def layer(modules: list[nn.Module]) -> NetworkLayer:
    torch.manual_seed(3)
    for module in modules:
        for parameter in module.parameters():
            nn.init.normal_(parameter, 0, 0.3)
    network = nn.Sequential(*modules)
    return NetworkLayer(network, str(len(modules) - 1), input_size=SIDE, mean=(9.0, 8.0, 7.0))


def cells(phi: NetworkLayer, geometry: Geometry, across: int = 2) -> SpacedCells:
    return SpacedCells(phi, geometry, SIDE, first=3, spacing=5, across=across)


@pytest.mark.parametrize("name", ALONE)
def test_squares_alone_give_what_the_whole_image_gives(name: str) -> None:
    modules, geometry = ALONE[name]
    phi = layer(modules)
    some = cells(phi, geometry)
    assert some.alone
    image = random_image((2, 3, 61, 61), 1).float().requires_grad_()
    whole, alone = phi(image)[:, :, 3:9:5, 3:9:5], some(image)
    assert alone.shape == (2, 6, 2, 2)
    torch.testing.assert_close(alone, whole, rtol=1e-4, atol=1e-4)
    weight = random_image((2, 6, 2, 2), 2).float()
    (ours,) = torch.autograd.grad(alone, image, weight)
    (theirs,) = torch.autograd.grad(whole, image, weight)
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


OTHERS: dict[str, list[nn.Module]] = {
    "maps are added": [conv(3, 5, 2, 2), nn.MaxPool2d(3, 2, 1), Sum()],
    "all positions count": [conv(3, 5, 2, 2), nn.MaxPool2d(3, 2, 1), Attention()],
    "more is seen than was said": [conv(3, 5, 2, 2), nn.MaxPool2d(3, 2, 1), conv(6, 5, 1, 2)],
    "padding that depends on the image": [SameConv2d(3, 6, 5, 2), SameConv2d(6, 6, 3, 2), Sum()],
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_networks_see_the_whole_image(name: str) -> None:
    phi = layer(OTHERS[name])
    some = cells(phi, Geometry(17, STRIDE, 0.0))
    assert not some.alone
    image = random_image((1, 3, 61, 61), 1).float()
    assert torch.equal(some(image), phi(image)[:, :, 3:9:5, 3:9:5])


def test_a_square_that_does_not_begin_at_a_pixel_is_not_cut_out() -> None:
    modules, _ = ALONE["padding in the convolutions"]
    assert not cells(layer(modules), Geometry(17, STRIDE, 0.5)).alone


def test_a_layer_that_is_silent_proves_nothing() -> None:
    phi = layer([conv(3, 5, 4, 2), nn.Threshold(1e9, 0.0)])
    assert not cells(phi, Geometry(5, STRIDE, 0.0)).alone


def test_padding_is_as_it_was_afterwards() -> None:
    modules, geometry = ALONE["padding in the convolutions"]
    phi = layer(modules)
    image = random_image((1, 3, SIDE, SIDE), 1).float()
    before = phi(image)
    cells(phi, geometry)(random_image((1, 3, 61, 61), 1).float())
    assert torch.equal(phi(image), before)
