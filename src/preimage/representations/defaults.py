"""The C and T that a layer suggests: one rule that gives the paper's values for its networks.

The paper lists C layer by layer (Sect. 5.2.1): 300 up to relu3 of AlexNet and VGG-M and conv4_3
of VGG-VD-16, 100 up to relu4 and for conv5_1, 20 up to relu5 and conv5_3, 1 from there on. All
of it follows from how much of the input a component sees, and all of it follows from how many of
the network's layers with weights come before. Newer networks tell the two apart: residual sums and
squeeze-and-excitation make a cell see the whole input early on, while most of it still comes from
near by, and with C = 20 the prior washes out what the code has kept (docs/inversion.md). So a
layer is as shallow as the shallower of the two says.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from preimage.representations.base import Defaults
from preimage.representations.geometry import Layer


@dataclass(frozen=True)
class Level:
    """C of the layers that see or stand no further than this.

    Attributes:
        sees: part of the input's side that a component sees, at most.
        before: part of the network's layers with weights, before which the layer stands.
        fidelity: C.
    """

    sees: float
    before: float
    fidelity: float


LEVELS: tuple[Level, ...] = (
    Level(sees=0.45, before=0.8, fidelity=300.0),
    Level(sees=0.60, before=0.9, fidelity=100.0),
    Level(sees=math.inf, before=math.inf, fidelity=20.0),
)
FINAL = 1.0
"""C of codes without positions, and from the last pooling on."""


def jitter_for(stride: int) -> int:
    """T = the integer closest to a quarter of the stride, at least 1 (Sect. 5.2.1).

    Example:
        >>> [jitter_for(stride) for stride in (1, 4, 8, 16, 32)]
        [1, 1, 2, 4, 8]
    """
    return max(1, round(stride / 4))


def fidelity_for(layer: Layer, input_size: int, place: float, is_final: bool) -> float:
    """C by the part of the input that the layer's components see, and by its place.

    `place` is the part of the network's layers with weights up to this one, from 0 to 1. `is_final`
    marks the layers from the network's last pooling on. A layer without geometry, as in a
    transformer, is taken to see all of the input.
    """
    if is_final or not layer.is_map:
        return FINAL
    seen = 1.0 if layer.geometry is None else layer.geometry.receptive_field / input_size
    return next(level.fidelity for level in LEVELS if seen <= level.sees or place < level.before)


def defaults_for(
    layers: Sequence[Layer], input_size: int, is_whole: bool = True
) -> dict[str, Defaults]:
    """C and T of every layer of a network, by its name, and whether it comes early.

    The last pooling is one behind which no layer with weights gives a map any more. Where the table
    is not that of the whole network (`is_whole`), no layer is taken to come early.
    """
    final, before = len(layers), 0
    for i, layer in enumerate(layers):
        if "pooling" in layer.kind:
            final = i
        elif layer.reached > before:
            final = len(layers)
        before = layer.reached
    in_all = before if is_whole else 0
    places = [layer.reached / in_all if in_all else 1.0 for layer in layers]
    return {
        layer.name: Defaults(
            fidelity=fidelity_for(layer, input_size, place, is_final=i >= final),
            jitter=jitter_for(layer.spacing),
            early=place < LEVELS[0].before,
        )
        for i, (layer, place) in enumerate(zip(layers, places, strict=True))
    }
