"""Receptive fields, strides and offsets, computed from the layers themselves (Table 1).

A chain of filters with support k and stride s has, one filter after the other,

    receptive field ← receptive field + (k − 1)·stride
    offset ← offset + ((k − 1)/2 − padding)·stride
    stride ← stride · s

A residual branch that adds the identity changes none of them, because its other branch looks at
least as far. Where branches of a graph meet, a component sees what any of them saw.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from preimage.models.efficientnet import GlobalAverage
from preimage.models.graph import steps
from preimage.models.layers import (
    Concat,
    CrossChannelNorm,
    PaddedAvgPool2d,
    PaddedConv2d,
    PaddedMaxPool2d,
    SameConv2d,
)
from preimage.representations.base import Geometry


@dataclass(frozen=True)
class Layer:
    """One row of a model's layer table.

    Attributes:
        name: Table 1's name.
        kind: what the layer is, e.g. `convolution`.
        shape: code shape without the batch, at the model's input size.
        geometry: receptive field, stride and offset.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    geometry: Geometry


@dataclass(frozen=True)
class Filter:
    """Support, stride and padding of one sliding filter."""

    support: int
    stride: int
    padding: int


KINDS: tuple[tuple[type[nn.Module], str], ...] = (
    (nn.Conv2d, "convolution"),
    (nn.Linear, "fully connected"),
    (nn.MaxPool2d, "max pooling"),
    (nn.AvgPool2d, "average pooling"),
    (nn.AdaptiveAvgPool2d, "average pooling"),
    (GlobalAverage, "average pooling"),
    (nn.ReLU, "relu"),
    (nn.ReLU6, "relu6"),
    (nn.LeakyReLU, "leaky relu"),
    (nn.Softmax, "softmax"),
    (CrossChannelNorm, "local response normalization"),
    (nn.BatchNorm2d, "batch normalization"),
    (Concat, "concatenation"),
)


def _first(value: int | tuple[int, ...]) -> int:
    return value if isinstance(value, int) else value[0]


def _filters(module: nn.Module, extent: int) -> Iterator[Filter]:
    """Sliding filters inside a module, in the order in which they act.

    `extent` is the side of the module's input: what a fully connected or global layer covers.
    """
    for leaf in module.modules():
        if isinstance(leaf, nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d):
            support = (_first(leaf.kernel_size) - 1) * _first(getattr(leaf, "dilation", 1)) + 1
            yield Filter(support, _first(leaf.stride), _padding(leaf, support, extent))
            # Only a layer padded for its input's side asks for it again within a block.
            extent = -(-extent // _first(leaf.stride))
        elif isinstance(leaf, nn.Linear | nn.AdaptiveAvgPool2d | GlobalAverage) and extent > 1:
            yield Filter(extent, 1, 0)


def _padding(leaf: nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d, support: int, extent: int) -> int:
    """Pixels added before the first one of an input of side `extent`."""
    if isinstance(leaf, SameConv2d | PaddedConv2d | PaddedMaxPool2d | PaddedAvgPool2d):
        return leaf.padding_before_after(extent, axis=1)[0]
    if isinstance(leaf.padding, str):
        return (support - 1) // 2 if leaf.padding == "same" else 0
    return _first(leaf.padding)


def _then(geometry: Geometry, filter: Filter) -> Geometry:
    reach = filter.support - 1
    return Geometry(
        receptive_field=geometry.receptive_field + reach * geometry.stride,
        stride=geometry.stride * filter.stride,
        offset=geometry.offset + (reach / 2 - filter.padding) * geometry.stride,
    )


def _together(geometries: Sequence[Geometry]) -> Geometry:
    """What a component sees whose inputs see these, at the same place of the map."""
    if len(geometries) == 1:
        return geometries[0]
    reaches = [(g.receptive_field - 1) / 2 for g in geometries]
    first = min(g.offset - reach for g, reach in zip(geometries, reaches, strict=True))
    last = max(g.offset + reach for g, reach in zip(geometries, reaches, strict=True))
    return Geometry(
        receptive_field=round(last - first) + 1,
        stride=max(g.stride for g in geometries),
        offset=(first + last) / 2,
    )


def kind_of(module: nn.Module) -> str:
    """What a layer is in the field's words; a module of several layers is a `block`."""
    leaves = [leaf for leaf in module.modules() if not list(leaf.children())]
    if len(leaves) != 1:
        return "block"
    names = [name for kind, name in KINDS if isinstance(leaves[0], kind)]
    return names[0] if names else type(leaves[0]).__name__.lower()


@torch.no_grad()
def layer_table(network: nn.Module, input_size: int, channels: int = 3) -> list[Layer]:
    """Every named layer of an ``nn.Sequential`` or a `Graph` with its shape and geometry.

    The network may live on the meta device: shapes are then had without weights or arithmetic.

    Example:
        >>> net = nn.Sequential()
        >>> net.add_module("conv1", nn.Conv2d(3, 8, 11, stride=4))
        >>> layer_table(net, 227)[0].geometry
        Geometry(receptive_field=11, stride=4, offset=5.0)
    """
    device = next((p.device for p in network.parameters()), torch.device("cpu"))
    image: Tensor = torch.zeros(1, channels, input_size, input_size, device=device)
    made: dict[str | None, tuple[Tensor, Geometry]] = {
        None: (image, Geometry(receptive_field=1, stride=1, offset=0.0))
    }
    rows = []
    for name, module, sources in steps(network):
        inputs = [made[source][0] for source in sources]
        geometry = _together([made[source][1] for source in sources])
        extent = inputs[0].shape[-1] if inputs[0].dim() == 4 else 1
        output = module(*inputs)
        for filter in _filters(module, extent):
            geometry = _then(geometry, filter)
        made[name] = output, geometry
        rows.append(Layer(name, kind_of(module), tuple(output.shape[1:]), geometry))
    return rows
