"""From a name to a representation."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from torch import nn

from preimage.errors import UsageError, nearest
from preimage.models import catalogue as models
from preimage.representations.base import Defaults
from preimage.representations.defaults import defaults_for
from preimage.representations.geometry import Layer, layer_table
from preimage.representations.network import NetworkLayer


@lru_cache(maxsize=16)
def layers_of(model: str) -> tuple[Layer, ...]:
    """Layer table of a model of the catalogue; needs no weights.

    Raises:
        UsageError: if the catalogue has no such model.
    """
    entry = models.resolve(model)
    return tuple(layer_table(models.skeleton(entry), entry.architecture.input_size))


def layer_defaults(model: str) -> dict[str, Defaults]:
    """C and T of every layer of a model of the catalogue."""
    entry = models.resolve(model)
    return defaults_for(layers_of(model), entry.architecture.input_size)


def representation(
    model: str | nn.Module, layer: str | None = None, **options: Any
) -> NetworkLayer:
    """A representation by name, or a layer of a module of your own.

    Args:
        model: a name of `preimage models`, or an `nn.Module`.
        layer: name of the layer.
        options: for a module of your own: `input_size`, `mean`, `std` and the rest of
            `NetworkLayer`'s.

    Raises:
        UsageError: if there is no such model or layer; the nearest names are listed.
        PreimageError: if its weights can't be had.

    Example:
        >>> phi = representation("efficientnet-lite0", layer="block05")
        >>> phi.geometry.stride
        8
    """
    if isinstance(model, nn.Module):
        if layer is None:
            raise UsageError("a layer is needed: the dotted path of a module inside the network.")
        return NetworkLayer(model, layer, **options)
    entry = models.resolve(model)
    table = {row.name: row for row in layers_of(model)}
    if layer is None or layer not in table:
        asked = "needs a layer" if layer is None else f"has no layer {layer!r}"
        raise UsageError(f"{entry.name} {asked}; {nearest(layer or '', list(table))}")
    loaded = models.load(entry, layer)
    return NetworkLayer(
        loaded.network,
        layer,
        model=entry.name,
        input_size=entry.architecture.input_size,
        mean=entry.mean,
        std=entry.std,
        geometry=table[layer].geometry,
        defaults=layer_defaults(model)[layer],
        weights=loaded.weights,
        classifier=entry.architecture.scores if loaded.has_classifier else None,
        labels=models.labels() if loaded.has_classifier else None,
    )
