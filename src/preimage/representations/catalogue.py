"""From a name to a representation."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from inspect import signature
from typing import Any, overload

import torch
from torch import nn

from preimage.errors import PreimageError, UsageError, counted, nearest
from preimage.models import adapters
from preimage.models import catalogue as models
from preimage.models.adapters import Input
from preimage.models.adding import ANY_SIZE
from preimage.representations.base import Defaults, Representation
from preimage.representations.defaults import defaults_for
from preimage.representations.dsift import Dsift
from preimage.representations.geometry import Layer, Unfinished, layer_table
from preimage.representations.hog import Hog
from preimage.representations.network import NetworkLayer, SeveralLayers, Target


@dataclass(frozen=True)
class Survey:
    """What a network by name is found to be, without its weights.

    Attributes:
        input: the images it takes.
        layers: its layer table.
        calls: names of all calls inside it, those that the table leaves out too.
        unfinished: the error that ended it behind the last of the layers, if one did; what lies
            before can be looked into all the same.
    """

    input: Input
    layers: tuple[Layer, ...]
    calls: tuple[str, ...]
    unfinished: str | None = None

    @property
    def defaults(self) -> dict[str, Defaults]:
        """C and T of every layer, by its name."""
        side = self.input.size or ANY_SIZE
        return defaults_for(self.layers, side, is_whole=self.unfinished is None)


def survey_of(model: str, **options: Any) -> Survey:
    """Layers and input of a network by name; needs no weights.

    Args:
        model: a name of the catalogue, or of somebody else's network.
        options: see `representation`; only somebody else's network has any.

    Raises:
        UsageError: if there is no such model, or it has no layers.
        PreimageError: if somebody else's network can't be built or does not run.
    """
    if hand_crafted(model) is not None:
        raise UsageError(f"{model} has no layers: it is one function of the image.")
    check_options(model, options)
    if not adapters.is_adapted(model):
        return _catalogue_survey(models.resolve(model, (entry.name for entry in HAND_CRAFTED)))
    asked = {name: options[name] for name in INPUT_OPTIONS if name in options}
    hashable = ((k, tuple(v) if isinstance(v, list) else v) for k, v in sorted(asked.items()))
    return _adapted_survey(model, tuple(hashable))


def layers_of(model: str, **options: Any) -> tuple[Layer, ...]:
    """Layer table of a network by name; as `survey_of`."""
    return survey_of(model, **options).layers


def layer_defaults(model: str, **options: Any) -> dict[str, Defaults]:
    """C and T of every layer of a network by name."""
    return survey_of(model, **options).defaults


@lru_cache(maxsize=16)
def _catalogue_survey(entry: models.Model) -> Survey:
    network = models.skeleton(entry)
    size = entry.architecture.input_size
    rows = layer_table(network, size or ANY_SIZE, entry.channels)
    # Table 1's layers are the network's children; what happens inside them is left out.
    table = tuple(row for row in rows if row.name in network._modules)
    given = Input(entry.mean, entry.std, size)
    return Survey(given, table, tuple(row.name for row in table))


@lru_cache(maxsize=16)
def _adapted_survey(model: str, asked: tuple[tuple[str, Any], ...]) -> Survey:
    if adapters.is_own_code(model):
        return _survey_of(adapters.build(model), model, asked)
    try:
        found = _survey_of(adapters.build(model, device="meta"), model, asked)
        if found.unfinished is None:
            return found
    except UsageError:
        raise
    except PreimageError:
        pass  # some networks look at numbers, which are not there on the meta device
    return _survey_of(adapters.build(model, "random"), model, asked)


def _survey_of(adapted: adapters.Adapted, model: str, asked: tuple[tuple[str, Any], ...]) -> Survey:
    return survey(model, adapted.network, input_of(model, adapted.input, dict(asked)))


def survey(model: str, network: nn.Module, given: Input) -> Survey:
    """Layers of a network, from one run.

    Raises:
        PreimageError: if it fails before any layer has run, or has none.
    """
    side, channels = given.size or ANY_SIZE, len(given.mean)
    calls: list[str] = []
    try:
        table, why = layer_table(network, side, channels, calls), None
    except Unfinished as error:
        table, why = error.rows, str(error)
    if not table:
        raise PreimageError(
            f"{model} does not run on an image of {channels} channels and {side}x{side} pixels: "
            f"{why}"
        )
    return Survey(given, tuple(table), tuple(dict.fromkeys(calls)), why)


INPUT_OPTIONS = ("mean", "std", "input_size")
"""What a network that is not of the catalogue can be told of its images."""


def input_of(model: str, own: Input | None, options: Mapping[str, Any]) -> Input:
    """The images a network takes: what is asked for, else what it says itself.

    Raises:
        UsageError: if neither says, or the numbers are none.
    """
    mean, std = options.get("mean"), options.get("std")
    size = options.get("input_size", own.size if own else None)
    if own is None and (mean is None or "input_size" not in options):
        raise UsageError(
            f"{model} does not say what images it takes: give mean, std and size "
            "(--input mean=0.485,0.456,0.406,std=0.229,0.224,0.225,scale=1,size=224)."
        )
    mean = own.mean if mean is None and own else mean
    assert mean is not None  # one of the two has said
    if std is None:
        std = own.std if own and len(own.std) == len(mean) else (1.0,) * len(mean)
    return checked_input(mean, std, size)


LARGEST_INPUT = 4096
"""Side of the largest input of a network, in pixels; one that is larger was a slip, and fills the
memory."""


def checked_input(mean: Sequence[float], std: Sequence[float], size: int | None) -> Input:
    """What a network takes, if it makes sense.

    Raises:
        UsageError: if not.
    """
    colours = (tuple(float(n) for n in mean), tuple(float(n) for n in std))
    if len(colours[0]) != len(colours[1]) or not colours[0]:
        raise UsageError(
            f"mean has {counted(len(colours[0]), 'number')} and std {len(colours[1])}: expected "
            "one for each channel."
        )
    if not all(math.isfinite(n) for n in (*colours[0], *colours[1])) or 0 in colours[1]:
        raise UsageError(f"mean and std must be numbers and std not 0, got {mean} and {std}.")
    if size is not None and (not isinstance(size, int) or not 1 <= size <= LARGEST_INPUT):
        raise UsageError(f"the input size must be 1 to {LARGEST_INPUT} pixels, got {size!r}.")
    return Input(*colours, size)


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


def check_layer(model: str, layer: str | None, **options: Any) -> str | None:
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
    found = survey_of(model, **options)
    names = [row.name for row in found.layers]
    if layer is not None:
        # Layers of the catalogue's networks give one tensor each: there is nothing to choose.
        call = Target.of(layer).call if adapters.is_adapted(model) else layer
        if call in found.calls:
            return layer
    name = model if adapters.is_adapted(model) else models.resolve(model).name
    asked = "needs a --layer" if layer is None else f"has no layer {layer!r}"
    raise UsageError(
        f"{name} {asked}; {nearest(layer or '', names)}\nAll of them: preimage layers {model}"
    )


@overload
def representation(model: nn.Module, layer: str | None = None, **options: Any) -> NetworkLayer: ...


@overload
def representation(model: str, layer: str | None = None, **options: Any) -> Representation: ...


def representation(
    model: str | nn.Module, layer: str | None = None, **options: Any
) -> Representation:
    """A representation by name, or a layer of a module of your own.

    Args:
        model: a name of `preimage models`; `torchvision:NAME`, `timm:NAME` or
            `package.module:factory`; or an `nn.Module`.
        layer: name of the layer (docs/models.md); `hog`, `hogb`, `hog-relu` and `dsift` have none.
        options: for a network that is not of the catalogue `mean`, `std` (0-255, one number per
            channel) and `input_size` (None for any) where it does not say them itself or they
            should differ; for `torchvision:` and `timm:` also `weights`, `pretrained` or `random`;
            for a module of your own the rest of `NetworkLayer`'s; for a hand-crafted representation
            `cell` and what else `Hog` and `Dsift` take.

    Raises:
        UsageError: if there is no such model, layer or option; the nearest names are listed.
        PreimageError: if its weights can't be had, or somebody else's network does not run.

    Example:
        >>> representation("efficientnet-lite0", layer="block05").geometry.stride
        8
        >>> representation("hog", cell=4).geometry.stride
        4
    """
    if isinstance(model, nn.Module):
        return _own_module(model, layer, options)
    check_options(model, options)
    layer = check_layer(model, layer, **options)
    entry = hand_crafted(model)
    if entry is not None:
        return entry.build(model, **options)
    assert layer is not None  # only a hand-crafted representation has none
    if adapters.is_adapted(model):
        return _adapted_layer(model, layer, options)
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
    known = [row.geometry for row in rows if row.geometry is not None]
    return SeveralLayers(
        loaded.network,
        [row.name for row in rows],
        model=entry.name,
        mean=loaded.model.mean,
        std=entry.std,
        zero=entry.zero,
        geometry=max(known, key=lambda each: each.receptive_field) if known else None,
        weights=loaded.weights,
    )


def check_listed(model: str) -> None:
    """Refuse torchvision's and timm's networks, and factories: their layers come one at a time;
    and what is no network.

    Raises:
        UsageError: if the model is one of those.
    """
    if hand_crafted(model) is not None:
        raise UsageError(f"{model} is no network and has no layers: choose a network.")
    if adapters.is_adapted(model):
        raise UsageError(
            f"{model}: several layers at once are taken from the networks that `preimage models` "
            "lists only."
        )


def check_layers(model: str, layers: Sequence[str]) -> list[Layer]:
    """Rows of the layer table, in the order given; needs no weights.

    Raises:
        UsageError: if there is no such layer, one sees images of one size, or the network is none
            of `preimage models`.
    """
    check_listed(model)
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
    known = entry.options if entry else None
    if adapters.is_adapted(model):
        # Code of one's own makes its own weights.
        known = INPUT_OPTIONS if adapters.is_own_code(model) else (*INPUT_OPTIONS, "weights")
    for name in options:
        if known is None:
            raise UsageError(f"{model} is a network and has no option {name!r}: leave it out.")
        if name not in known:
            raise UsageError(f"{model} has no option {name!r}; {nearest(name, known)}")


def _own_module(network: nn.Module, layer: str | None, options: dict[str, Any]) -> NetworkLayer:
    """A layer of a live module; its geometry comes from one run on a blank image."""
    model = str(options.pop("model", "module"))
    # What torch.compile makes shares its weights with the module it is made of.
    network = getattr(network, "_orig_mod", network)
    if isinstance(network, torch.jit.ScriptModule):
        raise UsageError("a TorchScript module can't be stopped inside: give the Python module.")
    if layer is None:
        raise UsageError("a layer is needed: the dotted path of a module inside the network.")
    known = list(signature(NetworkLayer).parameters)[2:]  # behind network and layer
    for name in options:
        if name not in known:
            raise UsageError(f"a layer of a module has no option {name!r}; {nearest(name, known)}")
    asked = {name: options.pop(name) for name in INPUT_OPTIONS if name in options}
    given = input_of(model, adapters.own_input(network), asked)
    images = {"input_size": given.size, "mean": given.mean, "std": given.std}
    suggested = _suggested(survey(model, network, given), Target.of(layer))
    return NetworkLayer(network, layer, model=model, **{**suggested, **images, **options})


def _suggested(found: Survey, target: Target) -> dict[str, Any]:
    """Geometry and defaults of a layer of a survey; those of its call where it has no own row."""
    rows = {name: row for row in reversed(found.layers) for name in (row.other, row.name)}
    row = rows.get(target.word) or rows.get(target.call)
    if row is None:  # a mere rearrangement of what came before
        earlier = (
            found.calls[: found.calls.index(target.call)] if target.call in found.calls else ()
        )
        before = [rows[name].name for name in earlier if name in rows]
        defaults = found.defaults[before[-1]] if before else Defaults(20.0, 1)
        return {"geometry": None, "defaults": defaults}
    defaults = found.defaults[row.name]
    if target.class_token:
        return {"geometry": None, "defaults": Defaults(1.0, defaults.jitter)}
    return {"geometry": row.geometry, "defaults": defaults}


def _adapted_layer(model: str, layer: str, options: Mapping[str, Any]) -> NetworkLayer:
    found = survey_of(model, **options)
    adapted = adapters.build(model, options.get("weights"))
    return NetworkLayer(
        adapted.network,
        layer,
        model=model,
        input_size=found.input.size,
        mean=found.input.mean,
        std=found.input.std,
        weights=models.WeightsRecord(
            source=adapted.source,
            sha256=adapters.digest(adapted.network),
            licence=adapted.licence,
        ),
        options=_plain(options),
        **_suggested(found, Target.of(layer)),
    )


def _plain(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options as JSON has them, so that a record's are those that were given."""
    return {k: list(v) if isinstance(v, tuple) else v for k, v in options.items()}


def _network_layer(model: str, layer: str) -> NetworkLayer:
    entry = models.resolve(model)
    row = next(row for row in layers_of(model) if row.name == layer)
    loaded = models.load(entry, layer)
    return NetworkLayer(
        loaded.network,
        layer,
        model=entry.name,
        input_size=entry.architecture.input_size,
        mean=loaded.model.mean,
        std=entry.std,
        zero=entry.zero,
        geometry=row.geometry,
        defaults=layer_defaults(model)[layer],
        weights=loaded.weights,
        classifier=entry.architecture.scores if loaded.has_classifier else None,
        labels=loaded.labels,
    )
