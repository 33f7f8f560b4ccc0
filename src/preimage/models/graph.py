"""Networks from a list of layers, such as a file describes them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from preimage.errors import PreimageError, one_line
from preimage.models.layers import (
    Concat,
    CrossChannelNorm,
    PaddedAvgPool2d,
    PaddedConv2d,
    PaddedMaxPool2d,
    Sum,
)
from preimage.weights.matconvnet import LayerRecord


class Graph(nn.Module):
    """Layers that take the outputs of any layers before them.

    Unlike ``nn.Sequential``, a layer may have several inputs, and an output several uses.

    Args:
        layers: children by name, every one behind those whose outputs it takes.
        sources: for each child the names of the layers whose outputs it takes; None is the image.

    Input ``[N, C, H, W]``, output that of the last child.

    >>> split = Graph({"a": nn.ReLU(), "b": Sum()}, {"a": (None,), "b": (None, "a")})
    >>> split(torch.tensor([-1.0, 2.0]))
    tensor([-1.,  4.])
    """

    def __init__(
        self, layers: Mapping[str, nn.Module], sources: Mapping[str, Sequence[str | None]]
    ) -> None:
        super().__init__()
        for name, layer in layers.items():
            self.add_module(name, layer)
        self.sources = {name: tuple(sources[name]) for name in layers}

    def forward(self, input: Tensor) -> Tensor:
        made: dict[str | None, Tensor] = {None: input}
        output = input
        for name, layer, sources in steps(self):
            output = layer(*(made[source] for source in sources))
            made[name] = output
        return output


def build(layers: Sequence[LayerRecord]) -> nn.Module:
    """The network of a file's layers, with random weights.

    Returns:
        ``nn.Sequential`` where every layer takes the output of the one before, otherwise a `Graph`;
        children carry the file's names. No layer works in place.

    >>> pooling = {"method": "max", "kernel": [2, 2], "stride": [2, 2], "padding": [0, 0, 0, 0]}
    >>> build([LayerRecord("pool1", "pool", (None,), pooling)])(torch.ones(1, 1, 5, 4)).shape
    torch.Size([1, 1, 2, 2])
    """
    modules = OrderedDict((layer.name, BUILDERS[layer.kind](layer.options)) for layer in layers)
    before: str | None = None
    is_chain = True
    for layer in layers:
        is_chain = is_chain and layer.inputs == (before,)
        before = layer.name
    if is_chain:
        return nn.Sequential(modules)
    return Graph(modules, {layer.name: layer.inputs for layer in layers})


@torch.no_grad()
def check_runs(network: nn.Module, channels: int, side: int) -> dict[str, tuple[int, ...]]:
    """Run a network without numbers, to see that every layer fits the maps it gets.

    Args:
        network: on PyTorch's meta device; an ``nn.Sequential`` or a `Graph`.
        channels, side: of the square image.

    Returns:
        Shape of every layer's output, without the batch.

    Raises:
        PreimageError: naming the first layer that does not fit.
    """
    made: dict[str | None, Tensor] = {None: torch.zeros(1, channels, side, side, device="meta")}
    for name, layer, sources in steps(network):
        try:
            made[name] = layer(*(made[source] for source in sources))
        except (RuntimeError, ValueError) as error:
            given = " and ".join("x".join(map(str, made[s].shape[1:])) for s in sources)
            raise PreimageError(
                f"layer {name} does not fit the map of {given} that it gets from an image of "
                f"{side}x{side} pixels ({one_line(error)})"
            ) from error
    return {name: tuple(output.shape[1:]) for name, output in made.items() if name is not None}


def steps(network: nn.Module) -> Iterator[tuple[str, nn.Module, tuple[str | None, ...]]]:
    """Children of an ``nn.Sequential`` or a `Graph`: name, layer, and whose outputs it takes."""
    before: str | None = None
    for name, layer in network.named_children():
        yield name, layer, network.sources[name] if isinstance(network, Graph) else (before,)
        before = name


def _pair(values: Sequence[int]) -> tuple[int, int]:
    return values[0], values[1]


def _conv(options: Mapping[str, Any]) -> nn.Module:
    shared = {
        "stride": _pair(options["stride"]),
        "dilation": _pair(options["dilation"]),
        "groups": options["groups"],
        "bias": options["bias"],
    }
    sizes = (options["in_channels"], options["out_channels"], _pair(options["kernel"]))
    top, bottom, left, right = options["padding"]
    if (top, left) == (bottom, right):
        return nn.Conv2d(*sizes, padding=(top, left), **shared)
    return PaddedConv2d(*sizes, pad=(top, bottom, left, right), **shared)


def _relu(options: Mapping[str, Any]) -> nn.Module:
    return nn.LeakyReLU(options["leak"]) if options["leak"] else nn.ReLU()


def _pool(options: Mapping[str, Any]) -> nn.Module:
    kernel, stride = _pair(options["kernel"]), _pair(options["stride"])
    top, bottom, left, right = options["padding"]
    # PyTorch's own poolings take the same padding on both sides, at most half of the window.
    own = (top, left) == (bottom, right) and 2 * top <= kernel[0] and 2 * left <= kernel[1]
    if options["method"] == "max":
        if own:
            return nn.MaxPool2d(kernel, stride, (top, left))
        return PaddedMaxPool2d(kernel, stride, (top, bottom, left, right))
    if own:
        return nn.AvgPool2d(kernel, stride, (top, left), count_include_pad=False)
    return PaddedAvgPool2d(kernel, stride, (top, bottom, left, right))


def _lrn(options: Mapping[str, Any]) -> nn.Module:
    return CrossChannelNorm(**options)


def _bnorm(options: Mapping[str, Any]) -> nn.Module:
    # Files hold sqrt(variance + epsilon), so that none has to be added.
    norm = nn.BatchNorm2d(options["channels"], eps=0.0)
    # A count of training steps, which files do not hold.
    norm.register_buffer("num_batches_tracked", None)
    return norm


BUILDERS: dict[str, Callable[[Mapping[str, Any]], nn.Module]] = {
    "conv": _conv,
    "relu": _relu,
    "pool": _pool,
    "lrn": _lrn,
    "bnorm": _bnorm,
    "dropout": lambda _: nn.Dropout(),
    "softmax": lambda _: nn.Softmax(dim=1),
    "sigmoid": lambda _: nn.Sigmoid(),
    "concat": lambda _: Concat(),
    "sum": lambda _: Sum(),
}
"""How a layer of each kind is made from its options."""
