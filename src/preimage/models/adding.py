"""Networks from a person's own files: checked, then kept under a name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from preimage.errors import PreimageError, UsageError, counted
from preimage.models import convert, graph
from preimage.models.catalogue import MODELS, Model, fill, model_of, scores_of, skeleton
from preimage.weights import added as added_files
from preimage.weights.added import Added
from preimage.weights.matconvnet import NetworkFile, read_matconvnet

ANY_SIZE = 256
"""Side of the image with which a network that takes any size is tried out and described."""


@dataclass(frozen=True)
class Addition:
    """A network that was just added.

    Attributes:
        model: as `resolve` gives it from now on.
        added: its description.
        warnings: what a person should know of.
    """

    model: Model
    added: Added
    warnings: tuple[str, ...]


def add(
    path: Path,
    name: str,
    *,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    input_size: int | None = None,
    overwrite: bool = False,
) -> Addition:
    """Check a MatConvNet file and keep its network in the cache under a name.

    The name of a MatConvNet network of the catalogue (`alexnet.matconvnet`) is good for a file with
    just its layers, and stands for that file from then on.

    Args:
        path: see `read_matconvnet`.
        name: up to 60 letters, digits, `.`, `-` and `_`.
        mean, std: of the image, 0-255, one number or one for each channel; None: as the file says.
        input_size: side of the square image; None: as the file says.
        overwrite: replace a network that was added under that name.

    Raises:
        UsageError: the name cannot be given.
        PreimageError: the file is no network or damaged, holds a layer of unknown type, has weights
            that do not fit, or the name is taken.
    """
    added_files.check_name(name)
    entry = _entry(name)
    if not overwrite and (there := added_files.find(name)) is not None:
        raise PreimageError(
            f"{name} is there already, from {there.origin}: choose another --name, or give "
            "--overwrite."
        )
    file = _as_asked(read_matconvnet(path), mean, std, input_size)
    try:
        file = _checked(file) if entry is None else _fitted(file, entry)
    except PreimageError as error:
        raise PreimageError(f"{path}: {error}") from error
    if entry is not None:
        fill(skeleton(entry), dict(file.tensors), path)
    added = added_files.save(file, name, path, None if entry is None else entry.name)
    return Addition(model_of(added), added, file.warnings)


def _entry(name: str) -> Model | None:
    """The network of the catalogue whose place a file under this name takes, or None.

    Raises:
        UsageError: the name is another network's.
    """
    for model in MODELS:
        if name == model.name and name.endswith(".matconvnet"):
            return model
        if name in (model.name, model.architecture.name):
            raise UsageError(f"{name} is a network of the catalogue: choose another --name.")
    return None


def _as_asked(
    file: NetworkFile,
    mean: Sequence[float] | None,
    std: Sequence[float] | None,
    input_size: int | None,
) -> NetworkFile:
    warnings = [
        text
        for text in file.warnings
        if not (mean is not None and "--mean" in text) and not (std is not None and "--std" in text)
    ]
    return replace(
        file,
        mean=file.mean if mean is None else _spread(mean, file.channels, "--mean"),
        std=file.std if std is None else _spread(std, file.channels, "--std"),
        input_size=file.input_size if input_size is None else input_size,
        warnings=tuple(warnings),
    )


def _spread(values: Sequence[float], channels: int, option: str) -> tuple[float, ...]:
    if len(values) not in (1, channels):
        raise UsageError(
            f"{option}: expected one number, or one for each of {counted(channels, 'channel')}; "
            f"got {len(values)}."
        )
    return tuple(values) if len(values) == channels else (values[0],) * channels


def _checked(file: NetworkFile) -> NetworkFile:
    """A file whose network runs; without class names that are not one for each score."""
    with torch.device("meta"):
        network = graph.build(file.layers).eval()
    shapes = graph.check_runs(network, file.channels, file.input_size or ANY_SIZE)
    scores = shapes[scores_of(file)][0]
    if not file.labels or len(file.labels) == scores:
        return file
    classes = counted(len(file.labels), "class", "classes")
    words = f"the file names {classes} for {counted(scores, 'score')}: left out"
    return replace(file, labels=(), warnings=(*file.warnings, words))


def _fitted(file: NetworkFile, entry: Model) -> NetworkFile:
    """A file as the parameters of a network of the catalogue; their shapes are not checked here."""
    if file.input_size not in (None, entry.architecture.input_size):
        raise PreimageError(
            f"expected a network for images of {entry.architecture.input_size} pixels, as "
            f"{entry.name} is, got one for {file.input_size}"
        )
    if file.channels != entry.channels:
        raise PreimageError(
            f"expected images of {counted(entry.channels, 'channel')}, got {file.channels}"
        )
    return replace(file, tensors=convert.from_matconvnet(file, skeleton(entry)), layers=())
