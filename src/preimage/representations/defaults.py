"""The C and T that a layer suggests: one rule that gives the paper's values for its networks.

The paper lists C layer by layer (Sect. 5.2.1): 300 up to relu3 of AlexNet and VGG-M and conv4_3
of VGG-VD-16, 100 up to relu4 and for conv5_1, 20 up to relu5 and conv5_3, 1 from there on. All
of it follows from how much of the input a component sees, and all of it follows from how far into
the network it stands. Networks with residual sums tell the two apart: their receptive fields soon
exceed the input while most of a cell's sum still comes from near by, and with C = 20 the prior
washes out light and colour that the code has kept (docs/inversion.md). So a layer is as shallow
as the shallower of the two says.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from preimage.representations.base import Defaults
from preimage.representations.geometry import Layer

SHALLOW, SHALLOW_DEPTH, SHALLOW_FIDELITY = 0.45, 0.80, 300.0
"""Up to this part of the input seen, or before this part of the network's depth, C is this."""
MIDDLE, MIDDLE_DEPTH, MIDDLE_FIDELITY = 0.60, 0.90, 100.0
"""The same for what follows."""
DEEP_FIDELITY, FINAL_FIDELITY = 20.0, 1.0

WEIGHTED = frozenset({"convolution", "fully connected", "attention", "block"})
"""Kinds of layers that depth is counted in."""


def jitter_for(stride: int) -> int:
    """T = the integer closest to a quarter of the stride, at least 1 (Sect. 5.2.1).

    Example:
        >>> [jitter_for(stride) for stride in (1, 4, 8, 16, 32)]
        [1, 1, 2, 4, 8]
    """
    return max(1, round(stride / 4))


def fidelity_for(layer: Layer, input_size: int, depth: float, is_final: bool) -> float:
    """C by the part of the input that the layer's components see, and by its depth.

    `depth` is the part of the network's layers with weights up to this one, from 0 to 1, of those
    that give a map. `is_final` marks the layers from the network's last pooling on, which get the
    least C, as does every code without positions. A layer without geometry, as in a transformer,
    is taken to see all of the input.
    """
    if is_final or len(layer.shape) == 1:
        return FINAL_FIDELITY
    seen = 1.0 if layer.geometry is None else layer.geometry.receptive_field / input_size
    if seen <= SHALLOW or depth < SHALLOW_DEPTH:
        return SHALLOW_FIDELITY
    return MIDDLE_FIDELITY if seen <= MIDDLE or depth < MIDDLE_DEPTH else DEEP_FIDELITY


def defaults_for(layers: Sequence[Layer], input_size: int) -> dict[str, Defaults]:
    """C and T of every layer of a network, by its name.

    The last pooling is one behind which no convolution gives a map any more.
    """
    final = len(layers)
    for i, layer in enumerate(layers):
        if "pooling" in layer.kind:
            final = i
        elif layer.kind in ("convolution", "block") and layer.shape[1:] > (1, 1):
            final = len(layers)
    return {
        layer.name: Defaults(
            fidelity=fidelity_for(layer, input_size, depth, is_final=i >= final),
            jitter=jitter_for(layer.spacing),
        )
        for i, (layer, depth) in enumerate(zip(layers, _depths(layers, final), strict=True))
    }


def _depths(layers: Sequence[Layer], final: int) -> list[float]:
    """Of the layers with weights that give a map before `final`, the part up to each layer."""
    counted = [
        i < final and layer.kind in WEIGHTED and len(layer.shape) > 1 and layer.shape[1:] > (1, 1)
        for i, layer in enumerate(layers)
    ]
    total = sum(counted)
    return [reached / total if total else 1.0 for reached in accumulate(counted)]
