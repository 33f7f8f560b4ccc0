"""From a name to a representation."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, overload

from torch import nn

from preimage.errors import UsageError, nearest
from preimage.models import catalogue as models
from preimage.representations.base import Defaults, Representation
from preimage.representations.defaults import defaults_for
from preimage.representations.dsift import Dsift
from preimage.representations.geometry import Layer, layer_table
from preimage.representations.hog import Hog
from preimage.representations.network import NetworkLayer, SeveralLayers


@lru_cache(maxsize=16)
def layers_of(model: str) -> tuple[Layer, ...]:
    """Layer table of a model of the catalogue; needs no weights.

    Raises:
        UsageError: if the catalogue has no such model, or it has no layers.
    """
    if hand_crafted(model) is not None:
        raise UsageError(f"{model} has no layers: it is one function of the image.")
    entry = models.resolve(model, (entry.name for entry in HAND_CRAFTED))
    return tuple(layer_table(models.skeleton(entry), entry.architecture.input_size))


def layer_defaults(model: str) -> dict[str, Defaults]:
    """C and T of every layer of a model of the catalogue."""
    table = layers_of(model)
    return defaults_for(table, models.resolve(model).architecture.input_size)


@dataclass(frozen=True)
class HandCrafted:
    """A representation that is computed by rule: no layers, no weights, grey images of any size.

    Attributes:
        name: what the user types.
        build: makes it; called with the name and the options.
        options: the options it takes.
        about: one line on what it is.
    """

    name: str
    build: Callable[..., Representation]
    options: tuple[str, ...]
    about: str


HAND_CRAFTED: tuple[HandCrafted, ...] = (
    HandCrafted(
        "hog", Hog, ("cell", "gradient"), "HOG of DPM v5: every pixel in one of 18 orientations"
    ),
    HandCrafted("hogb", Hog, ("cell",), "the same, every pixel shared by two orientations"),
    HandCrafted("hog-relu", Hog, ("cell",), "the same, shared by ReLUs as in Sect. 4.1"),
    HandCrafted(
        "dsift",
        Dsift,
        ("cell", "step", "window", "renormalize"),
        "dense SIFT: 4x4 bins of 8 orientations",
    ),
)


def hand_crafted(name: str) -> HandCrafted | None:
    """The hand-crafted representation of that name, if it is one."""
    return next((entry for entry in HAND_CRAFTED if entry.name == name), None)


def check_layer(model: str, layer: str | None) -> str | None:
    """The layer to look into, if the model has it; needs no weights.

    Returns:
        The layer's name, or None for a hand-crafted representation, which has none.

    Raises:
        UsageError: if there is no such model or layer, or none was given where one is needed.
    """
    if hand_crafted(model) is not None:
        if layer is not None:
            raise UsageError(f"{model} has no layers: leave the layer {layer!r} out.")
        return None
    names = [row.name for row in layers_of(model)]
    if layer in names:
        return layer
    entry = models.resolve(model)
    asked = "needs a layer" if layer is None else f"has no layer {layer!r}"
    raise UsageError(f"{entry.name} {asked}; {nearest(layer or '', names)}")


@overload
def representation(model: nn.Module, layer: str | None = None, **options: Any) -> NetworkLayer: ...


@overload
def representation(model: str, layer: str | None = None, **options: Any) -> Representation: ...


def representation(
    model: str | nn.Module, layer: str | None = None, **options: Any
) -> Representation:
    """A representation by name, or a layer of a module of your own.

    Args:
        model: a name of `preimage models`, or an `nn.Module`.
        layer: name of the layer; `hog`, `hogb`, `hog-relu` and `dsift` have none.
        options: for a module of your own: `input_size`, `mean`, `std` and the rest of
            `NetworkLayer`'s; for a hand-crafted representation `cell` and what else `Hog` and
            `Dsift` take.

    Raises:
        UsageError: if there is no such model, layer or option; the nearest names are listed.
        PreimageError: if its weights can't be had.

    Example:
        >>> representation("efficientnet-lite0", layer="block05").geometry.stride
        8
        >>> representation("hog", cell=4).geometry.stride
        4
    """
    if isinstance(model, nn.Module):
        if layer is None:
            raise UsageError("a layer is needed: the dotted path of a module inside the network.")
        return NetworkLayer(model, layer, **options)
    layer = check_layer(model, layer)
    entry = hand_crafted(model)
    check_options(model, options)
    if entry is not None:
        return entry.build(model, **options)
    assert layer is not None  # only a hand-crafted representation has none
    return _network_layer(model, layer)


def several_layers(model: str, layers: Sequence[str]) -> SeveralLayers:
    """Several layers of a network at once, on images of any size.

    Args:
        model: a network's name.
        layers: names of layers with positions (no fully connected ones), none twice.

    Raises:
        UsageError: if there is no such network or layer, or a layer sees images of one size.
        PreimageError: if its weights can't be had.

    Example:
        >>> several_layers("efficientnet-lite0", ["stem", "block01"]).shapes((64, 48))
        [(32, 32, 24), (16, 32, 24)]
    """
    rows = check_layers(model, layers)
    entry = models.resolve(model)
    names = [row.name for row in layers_of(model)]
    deepest = max(rows, key=lambda row: names.index(row.name))
    loaded = models.load(entry, deepest.name)
    return SeveralLayers(
        loaded.network,
        [row.name for row in rows],
        model=entry.name,
        mean=entry.mean,
        std=entry.std,
        geometry=max((row.geometry for row in rows), key=lambda g: g.receptive_field),
        weights=loaded.weights,
    )


def check_layers(model: str, layers: Sequence[str]) -> list[Layer]:
    """Rows of the layer table, in the order given; needs no weights.

    Raises:
        UsageError: if there is no such layer, or one sees images of one size.
    """
    if hand_crafted(model) is not None:
        raise UsageError(f"{model} has no layers: choose a network.")
    table = {row.name: row for row in layers_of(model)}
    for layer in layers:
        check_layer(model, layer)
        if len(table[layer].shape) != 3:
            raise UsageError(
                f"{model}: {layer} has no positions: it sees images of one size. "
                "Choose convolutional or pooling layers."
            )
    return [table[layer] for layer in layers]


def check_options(model: str, options: Collection[str]) -> None:
    """Refuse options that a model does not take.

    Raises:
        UsageError: naming the first of them and those there are.
    """
    entry = hand_crafted(model)
    for name in options:
        if entry is None:
            raise UsageError(f"{model} is a network and has no option {name!r}: leave it out.")
        if name not in entry.options:
            raise UsageError(f"{model} has no option {name!r}; {nearest(name, entry.options)}")


def _network_layer(model: str, layer: str) -> NetworkLayer:
    entry = models.resolve(model)
    row = next(row for row in layers_of(model) if row.name == layer)
    loaded = models.load(entry, layer)
    return NetworkLayer(
        loaded.network,
        layer,
        model=entry.name,
        input_size=entry.architecture.input_size,
        mean=entry.mean,
        std=entry.std,
        geometry=row.geometry,
        defaults=layer_defaults(model)[layer],
        weights=loaded.weights,
        classifier=entry.architecture.scores if loaded.has_classifier else None,
        labels=models.labels() if loaded.has_classifier else None,
    )
