"""Receptive fields of any graph against the gradients of the same graph.

With positive weights and no ReLU that is off, every pixel that a component can depend on has a
gradient that is not zero: the theoretical bounds are attained.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nets import NETS, ResidualBlock
from preimage.representations import Geometry
from preimage.representations.geometry import Layer, layer_table

WIDTH = 240
"""Wide enough for a component far from both borders; a multiple of all strides here."""


class Graph(nn.Module):
    """A few filters with one channel, and how they are put together."""

    def __init__(self, forward: Callable[..., Tensor], **layers: nn.Module) -> None:
        super().__init__()
        self.put_together = forward
        for name, layer in layers.items():
            self.add_module(name, layer)
        self.end = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.end(self.put_together(self, x))


def conv(kernel: int, stride: int = 1, padding: int | str = 0, dilation: int = 1) -> nn.Conv2d:
    return nn.Conv2d(1, 1, kernel, stride, padding, dilation)


GRAPHS: dict[str, Graph] = {
    "residual": Graph(
        lambda n, x: n.b(n.a(x)) + n.short(x), a=conv(3, 2, 1), b=conv(5, 1, 2), short=conv(1, 2)
    ),
    "residual that adds in place": Graph(
        lambda n, x: n.b(n.a(x)).add_(x), a=conv(3, 1, 1), b=conv(3, 1, 1)
    ),
    "identity reaches further": Graph(
        lambda n, x: n.a(x)[..., :-6, :-6] + x[:, :, 8:, 8:], a=conv(3)
    ),
    "concatenation of unequal reach": Graph(
        lambda n, x: n.last(torch.cat([n.a(x), n.b(x), F.max_pool2d(x, 3, 1, 1)], 1).sum(1, True)),
        a=conv(1),
        b=conv(7, 1, 3),
        last=conv(3, 2),
    ),
    "dilation": Graph(lambda n, x: n.b(n.a(x)), a=conv(3, 2, 1), b=conv(3, 1, 4, dilation=4)),
    "depthwise": Graph(
        lambda n, x: n.a(torch.cat([x, x], 1)), a=nn.Conv2d(2, 2, 5, 2, 2, groups=2)
    ),
    "same padding of an even kernel": Graph(
        lambda n, x: n.b(n.a(x)), a=conv(4, 1, "same"), b=conv(2, 2)
    ),
    "padding on one side": Graph(lambda n, x: n.a(F.pad(x, (0, 1, 0, 1))), a=conv(3, 2)),
    "pooling with ceil": Graph(
        lambda n, x: n.a(F.avg_pool2d(x, 3, 2, ceil_mode=True)), a=conv(3, 1, 1)
    ),
    "pooling by powers": Graph(lambda n, x: n.a(F.lp_pool2d(x, 4, 3, 2)), a=conv(3, 1, 1)),
    "the larger of two": Graph(
        lambda n, x: n.b(torch.max(n.a(x), torch.min(x, x + 1))), a=conv(3, 1, 1), b=conv(3, 2, 1)
    ),
    "rows unlike columns": Graph(
        lambda n, x: n.b(n.a(x)),
        a=nn.Conv2d(1, 1, (1, 7), padding=(0, 3)),
        b=nn.Conv2d(1, 1, (3, 1), padding=(1, 0)),
    ),
    "channels last": Graph(
        lambda n, x: n.a(n.mix(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)),
        mix=nn.Linear(1, 1),
        a=conv(3, 2, 1),
    ),
    "channel shuffle": Graph(
        lambda n, x: n.a(
            torch.cat([x, x, x, x], 1)
            .view(len(x), 2, 2, *x.shape[2:])
            .transpose(1, 2)
            .reshape(len(x), 4, *x.shape[2:])
        ),
        a=nn.Conv2d(4, 1, 3, 2, 1),
    ),
    "enlarged and joined": Graph(
        lambda n, x: F.interpolate(n.a(x), scale_factor=2.0) + n.b(x), a=conv(4, 4, 0), b=conv(2, 2)
    ),
    "transposed convolution": Graph(
        lambda n, x: n.up(n.a(x)), a=conv(4, 4), up=nn.ConvTranspose2d(1, 1, 4, 2, 1)
    ),
    "every second column": Graph(lambda n, x: n.a(x[:, :, 1::2, 1::2]), a=conv(3, 1, 1)),
    "adaptive pooling by halves": Graph(
        lambda n, x: F.adaptive_avg_pool2d(n.a(x), (x.shape[2] // 2, x.shape[3] // 2)),
        a=conv(3, 1, 1),
    ),
    "split and joined": Graph(
        lambda n, x: sum(half.sum(1, keepdim=True) for half in n.a(x).chunk(2, 1)),
        a=nn.Conv2d(1, 4, 3, 2, 1),
    ),
}


def positive(network: nn.Module) -> nn.Module:
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.uniform_(0.5, 1.5)
    return network.double()


def row_of(network: nn.Module, side: int, name: str = "end") -> Layer:
    return next(row for row in layer_table(network, side, 1) if row.name == name)


def looked_at(code: Tensor, image: Tensor, column: int, across: bool) -> tuple[int, int]:
    middle = code.shape[2] // 2
    place = (0, 0, middle, column) if across else (0, 0, column, middle)
    (gradient,) = torch.autograd.grad(code[place], image, retain_graph=True)
    lines = gradient[0, 0].abs().sum(0 if across else 1).nonzero().flatten()
    return int(lines[0]), int(lines[-1])


@pytest.mark.parametrize("name", GRAPHS)
def test_bounds_are_attained(name: str) -> None:
    """Maxima are replaced by means, whose gradient reaches all they look at."""
    network = positive(GRAPHS[name])
    image = torch.ones(1, 1, WIDTH, WIDTH, dtype=torch.float64, requires_grad=True)
    found = row_of(network, WIDTH).geometry
    assert found is not None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(F, "max_pool2d", F.avg_pool2d)
        patch.setattr(torch, "max", torch.add)
        patch.setattr(torch, "min", torch.add)
        code = network(image)
    spans = []
    # Cells take turns where a layer between them enlarges: the hull over a period is meant.
    cells = range(code.shape[-1] // 2, code.shape[-1] // 2 + 4)
    for across in (False, True):
        seen = [looked_at(code, image, cell, across) for cell in cells]
        firsts = [first - found.stride * cell for (first, _), cell in zip(seen, cells, strict=True)]
        lasts = [last - found.stride * cell for (_, last), cell in zip(seen, cells, strict=True)]
        spans.append((min(firsts), max(lasts)))
    assert found.receptive_field == max(last - first + 1 for first, last in spans)
    assert found.offset == sum(spans[1]) / 2


@pytest.mark.parametrize(
    ("function", "whole"),
    [
        (lambda x: x * x.mean([2, 3], keepdim=True), True),
        (lambda x: x * torch.sigmoid(F.adaptive_avg_pool2d(x, 1)), True),
        (lambda x: F.group_norm(x, 1), True),
        (lambda x: F.softmax(x, -1), True),
        (lambda x: x.flatten(2).softmax(-1).view_as(x), False),
        (lambda x: x @ x, False),
        (lambda x: x.roll(3, -1), False),
        (lambda x: x.flatten(1), True),
        (lambda x: x.amax((2, 3)), True),
        (lambda x: x.norm(p=2, dim=(2, 3), keepdim=True) + x, True),
    ],
)
def test_what_looks_at_the_whole_map_sees_all_of_the_image_or_has_no_geometry(
    function: Callable[[Tensor], Tensor], whole: bool
) -> None:
    found = row_of(Graph(lambda n, x: function(n.a(x)), a=conv(3, 2, 1)), 32).geometry
    assert found == (Geometry(33, 2, 15.0) if whole else None)


def test_filters_behind_a_function_of_the_whole_map_see_no_more() -> None:
    network = Graph(
        lambda n, x: n.b(n.a(x) * n.a(x).mean((2, 3), True)), a=conv(3, 2, 1), b=conv(3, 2, 1)
    )
    assert row_of(network, 32).geometry == Geometry(33, 4, 15.0)


class Custom(torch.autograd.Function):
    @staticmethod
    def forward(ctx: object, x: Tensor) -> Tensor:
        return x.flip(-1)

    @staticmethod
    def backward(ctx: object, gradient: Tensor) -> Tensor:
        return gradient.flip(-1)


def test_what_nobody_has_seen_has_no_geometry() -> None:
    network = Graph(lambda n, x: n.a(x) + Custom.apply(n.a(x)), a=conv(3))
    assert row_of(network, 16).geometry is None


def test_what_does_not_depend_on_the_image_is_no_layer() -> None:
    network = Graph(lambda n, x: n.a(x) + torch.sigmoid(n.a.bias), a=conv(3))
    names = [row.name for row in layer_table(network, 16, 1)]
    assert names == ["a", "add", "end"]


def test_a_block_sees_what_its_last_layer_sees() -> None:
    network = nn.Sequential(ResidualBlock(1, 1, 2))
    assert row_of(network, 32, "0").geometry == Geometry(7, 2, 0.0)


@pytest.mark.parametrize(("name", "layer", "expected"), [
    ("resnet", "layer2.0", Geometry(67, 8, 0.0)),
    ("densenet", "transition", Geometry(17, 4, 1.0)),
    ("convnext", "add", Geometry(28, 4, 1.5)),
    ("functional", "add_1", Geometry(21, 2, 0.0)),
])  # fmt: skip
def test_geometry_of_whole_networks(name: str, layer: str, expected: Geometry) -> None:
    network = NETS[name].build()
    table = {row.name: row for row in layer_table(network, 64)}
    assert table[layer].geometry == expected
