"""What the experiments on networks share: which layers, and their pre-images as cases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from preimage.experiments.cases import Case, Finished, Inversion
from preimage.experiments.experiment import QUICK, Request
from preimage.experiments.photos import PhotoTarget, first_photos, photo_target
from preimage.images.folder import files_in
from preimage.models import catalogue as models
from preimage.recipes import settings_for
from preimage.representations import Representation, representation
from preimage.representations.catalogue import check_layer, layers_of

SELECTED: dict[str, tuple[str, ...]] = {
    "alexnet": ("conv1", "relu2", "relu3", "relu4", "relu5", "pool5"),
    "vgg16": ("relu1_2", "relu2_2", "relu3_3", "relu4_3", "relu5_3", "pool5"),
    "efficientnet-lite0": ("stem", "block03", "block05", "block08", "block11", "block16"),
}
"""A few layers of each architecture, from the first to the deepest, for `quick`."""

SEVERAL = 6
"""How many layers of any other network."""


@dataclass(frozen=True)
class Setting:
    """One way to invert one layer.

    Attributes:
        representation: the layer.
        preset: a name of `PRESETS`.
        overrides: single settings in place of the preset's, see `settings_for`.
    """

    representation: Representation
    preset: str
    overrides: dict[str, Any] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """As progress shows it."""
        changed = "".join(f", {name} {value}" for name, value in self.overrides.items())
        return f"{self.representation.name} by {self.preset}{changed}"


def selected(model: str, request: Request) -> tuple[str, ...]:
    """The layers to look into: those asked for, a few for `quick`, else all with weights.

    Raises:
        UsageError: if the model lacks one that was asked for.
    """
    if request.layers is not None:
        for layer in request.layers:
            check_layer(model, layer)
        return request.layers
    return some_layers(model, SEVERAL) if request.scale == QUICK else with_weights(model)


def with_weights(model: str) -> tuple[str, ...]:
    """The layers that there are weights for, from the first to the deepest.

    Raises:
        UsageError: if there is no such model, or it has no layers.
    """
    names = [row.name for row in layers_of(model)]
    deepest = models.deepest_layer(models.resolve(model))
    return tuple(names[: names.index(deepest) + 1])


def some_layers(model: str, count: int) -> tuple[str, ...]:
    """`count` of them from the first to the deepest, out of `SELECTED` while it has as many.

    Raises:
        UsageError: if there is no such model, or it has no layers.
    """
    there = with_weights(model)
    architecture = models.resolve(model).architecture.name
    chosen = [layer for layer in SELECTED.get(architecture, ()) if layer in there]
    return spread(chosen if count <= len(chosen) else there, count)


def spread(names: Sequence[str], count: int) -> tuple[str, ...]:
    """`count` of the names, evenly from the first to the last.

    >>> spread("abcdefg", 3)
    ('a', 'd', 'g')
    """
    if len(names) <= count:
        return tuple(names)
    return tuple(names[i * (len(names) - 1) // (count - 1)] for i in range(count))


def layer_of(request: Request, model: str, layer: str) -> Representation:
    """A layer on the device that was asked for."""
    return representation(model, layer).to(request.device)


def pre_images(
    request: Request,
    setting: Setting,
    targets: Sequence[PhotoTarget],
    restarts: int = 1,
) -> list[Finished]:
    """Pre-images of photos by one setting, photo by photo, restart by restart."""
    overrides = dict(setting.overrides)
    if request.iterations is not None:
        overrides["iterations"] = request.iterations
    phi = setting.representation
    inversion = Inversion(phi, settings_for(phi, setting.preset, **overrides))
    # Restart by restart: cases of one seed are neighbours and can share a batch.
    cases = [
        Case(inversion, target, request.seed + restart)
        for restart in range(restarts)
        for target in targets
    ]
    found = request.store.finish(cases, setting.label)
    count = len(targets)
    return [found[restart * count + i] for i in range(count) for restart in range(restarts)]


def photos_called(request: Request, *names: str) -> list[PhotoTarget]:
    """The photos of these names, which the paper shows; in a folder without them, the first ones.

    Raises:
        UsageError: if no folder of photos was given.
        PreimageError: if it can't be read, or holds fewer.
    """
    assert request.photos is not None  # checked before an experiment runs
    by_name = {path.stem: path for path in files_in(request.photos)}
    if all(name in by_name for name in names):
        return [photo_target(by_name[name]) for name in names]
    return list(first_photos(request.photos, len(names)).targets)
