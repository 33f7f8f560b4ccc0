"""Layer tables: receptive fields, strides and offsets from what a network does (Table 1).

The network runs once, on a device without numbers where it can, and every function it calls passes
on what it does to the pixels that a cell of its input sees (`preimage.representations.sights`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from preimage.errors import PreimageError, one_line
from preimage.models.efficientnet import GlobalAverage
from preimage.models.layers import Concat, CrossChannelNorm, Sum
from preimage.representations.arrangement import Shapeless, arranged
from preimage.representations.base import Geometry
from preimage.representations.calls import Calls, as_at_test_time, elements
from preimage.representations.sights import Sight, Sights


@dataclass(frozen=True)
class Layer:
    """One row of a model's layer table.

    Attributes:
        name: Table 1's name, or how a call inside the network is named.
        kind: what the layer is, e.g. `convolution`.
        shape: code shape without the batch, at the model's input size.
        geometry: receptive field, stride and offset; None where a layer has none.
        spacing: pixels between neighbouring cells, also where there is no geometry.
        other: what `torch.fx` calls it, where that differs.
        from_function: whether it is a function's call, not a module's.
        reached: how many layers with weights have given a map up to this one.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    geometry: Geometry | None
    spacing: int = 1
    other: str = ""
    from_function: bool = False
    reached: int = 0

    @property
    def is_map(self) -> bool:
        """Whether its code has positions."""
        return len(self.shape) > 1 and self.shape[1:] > (1, 1)


MOVES = (
    "contiguous clone detach to type type_as float half bfloat16 double view reshape flatten "
    "unflatten permute transpose swapaxes squeeze unsqueeze getitem split chunk tensor_split "
    "split_with_sizes unbind expand expand_as repeat movedim roll pad t empty_like zeros_like "
    "ones_like"
)
HIDDEN = frozenset(MOVES.split())
"""Functions that only move numbers about: they can be looked into, but tables leave them out."""

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
    (CrossChannelNorm, "local response normalization"),
    (nn.BatchNorm2d, "batch normalization"),
    (Concat, "concatenation"),
    (Sum, "sum"),
    (nn.Softmax, "softmax"),
    (nn.MultiheadAttention, "attention"),
)

FUNCTION_KINDS = {
    "conv2d": "convolution",
    "linear": "fully connected",
    "max_pool2d": "max pooling",
    "avg_pool2d": "average pooling",
    "adaptive_avg_pool2d": "average pooling",
    "add": "sum",
    "mul": "product",
    "cat": "concatenation",
    "scaled_dot_product_attention": "attention",
}


def kind_of(module: nn.Module | str) -> str:
    """What a layer is in the field's words; a module of several layers is a `block`."""
    if isinstance(module, str):
        return FUNCTION_KINDS.get(module, module)
    leaves = [leaf for leaf in module.modules() if not list(leaf.children())]
    if len(leaves) != 1 and not isinstance(module, nn.MultiheadAttention):
        return "block"
    leaf = module if isinstance(module, nn.MultiheadAttention) else leaves[0]
    names = [name for kind, name in KINDS if isinstance(leaf, kind)]
    return names[0] if names else type(leaf).__name__.lower()


def has_weights(what: nn.Module | str) -> bool:
    """Whether a call multiplies with weights: a layer of PyTorch's, or a function such as `conv2d`.

    Not a module of somebody's own: the functions and layers that it calls are counted.
    """
    if isinstance(what, str):
        return what in ("conv2d", "conv_transpose2d", "linear")
    if not type(what).forward.__module__.startswith("torch."):
        return False
    # Where they are parametrized, as by `weight_norm`, the weights are kept elsewhere.
    convolution = isinstance(what, nn.Conv2d | nn.Linear)
    return convolution or any(p.dim() > 1 for p in what.parameters(recurse=False))


BATCH = 2
"""Images in the run that makes a table: by it the batch's dimension is told from others."""


class Unfinished(Exception):
    """A network's own error, which ended the run that makes its table.

    Attributes:
        rows: the layers that had run until then.
    """

    def __init__(self, rows: Sequence[Layer], error: Exception) -> None:
        super().__init__(f"{type(error).__name__}: {one_line(error)}".rstrip(": "))
        self.rows = list(rows)


@torch.no_grad()
def layer_table(
    network: nn.Module, input_size: int, channels: int = 3, calls: list[str] | None = None
) -> list[Layer]:
    """Every call inside a network with its shape and geometry, in the order in which they end.

    The network may live on the meta device: shapes are then had without weights or arithmetic.
    What has no code of its own (no tensor, no batch, a mere rearrangement) is left out.

    Args:
        network: the module.
        input_size: side of the image it runs on.
        channels: of the image.
        calls: takes the names of all calls, those that the table leaves out too.

    Raises:
        Unfinished: if the network fails.
        PreimageError: if no call in it gives a tensor.

    Example:
        >>> net = nn.Sequential()
        >>> net.add_module("conv1", nn.Conv2d(3, 8, 11, stride=4))
        >>> layer_table(net, 227)[0].geometry
        Geometry(receptive_field=11, stride=4, offset=5.0)
    """
    image = blank(network, (BATCH, channels, input_size, input_size))
    sights = Sights(network, image)
    rows: list[Layer] = []
    reached = 0
    counted = ""

    def seen(name: str, other: str, what: nn.Module | str, output: Any) -> None:
        if calls is not None:
            calls.extend((name, other))
        if isinstance(what, nn.Identity) or (isinstance(what, str) and what in HIDDEN):
            return
        # A module that ends with a function's call gives what that has given.
        if rows and rows[-1].from_function and rows[-1].name.rpartition(".")[0] == name:
            rows.pop()
        found = [
            _row(word, kind_of(what), tensor, sights.of(tensor), network)
            for word, tensor in elements(output, name)
            if tensor.is_floating_point() and sights.depends(tensor)
        ]
        new = [row for row in found if row is not None]
        nonlocal reached, counted
        # A layer whose function has been seen inside it has been counted with that.
        if has_weights(what) and name != counted and any(row.is_map for row in new):
            reached += 1
            counted = name.rpartition(".")[0] if isinstance(what, str) else ""
        by_function = isinstance(what, str)
        rows.extend(
            replace(row, other=other, from_function=by_function, reached=reached) for row in new
        )

    try:
        with as_at_test_time(network.modules()), Calls(network, seen, sights.ran):
            network(image)
    except Exception as error:
        raise Unfinished(_with_spacing(rows, input_size), error) from error
    if not rows:
        raise PreimageError(
            "nothing in the network gives a tensor [N, ...]: there is no layer to look into."
        )
    return _with_spacing(rows, input_size)


def _row(
    name: str, kind: str, tensor: Tensor, sight: Sight | None, network: nn.Module
) -> Layer | None:
    try:
        shape = arranged(tensor, BATCH, network).shape[1:]
    except Shapeless:
        return None
    return Layer(name, kind, tuple(shape), sight.geometry() if sight else None)


def _with_spacing(rows: Sequence[Layer], input_size: int) -> list[Layer]:
    """Where there is no geometry, cells are as far apart as they share out the image; a code
    without positions takes over the spacing before it."""
    spacing, result = 1, []
    for row in rows:
        if row.geometry is not None:
            spacing = row.geometry.stride
        elif len(row.shape) == 3 and row.shape[1] > 1:
            spacing = max(1, round(input_size / row.shape[1]))
        result.append(replace(row, spacing=spacing))
    return result


def blank(network: nn.Module, shape: Sequence[int]) -> Tensor:
    """An image of zeros where the network's weights are and of their precision."""
    like = next((p for p in network.parameters() if p.is_floating_point()), torch.zeros(()))
    return torch.zeros(tuple(shape), device=like.device, dtype=like.dtype)
