"""Networks that a person added from files of their own: kept in the cache, known by a name.

Each is two files beside the catalogue's: the weights as safetensors, and a description in JSON,
which is written last, so that a network is there whole or not at all.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import safetensors.torch

from preimage.errors import PreimageError, UsageError, one_line
from preimage.files import reason, replacing, sha256_of_file
from preimage.weights import catalogue, store
from preimage.weights.catalogue import WeightFile
from preimage.weights.matconvnet import LayerRecord, NetworkFile

SCHEMA = 1
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,59}")


@dataclass(frozen=True)
class Added:
    """A network from a file, as its description says.

    Attributes:
        name: what it is called here.
        origin: name of the file it came from.
        origin_sha256: that file's digest.
        weights: file name of the safetensors.
        sha256, size: of the safetensors.
        architecture: name of the model of the catalogue whose structure it has, or None: its own.
        channels, input_size, mean, std, labels: see `NetworkFile`.
        layers: its structure.
    """

    name: str
    origin: str
    origin_sha256: str
    weights: str
    sha256: str
    size: int
    architecture: str | None
    channels: int
    input_size: int | None
    mean: tuple[float, ...]
    std: tuple[float, ...]
    labels: tuple[str, ...]
    layers: tuple[LayerRecord, ...]

    @property
    def file(self) -> WeightFile:
        """Its weights as an entry like the catalogue's."""
        return WeightFile(
            name=self.name,
            file=self.weights,
            sha256=self.sha256,
            size=self.size,
            licence="not stated",
            sources=(),
            reader="safetensors",
            holds=f"added from {self.origin}",
        )


def check_name(name: str) -> None:
    """Refuse a name that no network can be given.

    Raises:
        UsageError: it has other letters, or a weight file of the catalogue is called so.
    """
    if not NAME.fullmatch(name):
        raise UsageError(
            f"the name {one_line(name)!r}: expected up to 60 letters, digits, '.', '-' and '_', "
            "the first a letter or digit."
        )
    if any(name == entry.name for entry in catalogue.WEIGHTS):
        raise UsageError(f"{name} is a weight file of the catalogue: choose another --name.")


def save(network: NetworkFile, name: str, origin: Path, architecture: str | None) -> Added:
    """Keep a network in the cache under a name; one of that name is replaced.

    Args:
        network: whose `tensors` go with the architecture.
        name: checked by `check_name`.
        origin: the file it was read from.
        architecture: see `Added`.

    Raises:
        PreimageError: the cache cannot be written.
    """
    folder = store.weights_dir()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PreimageError(
            f"{folder}: cannot write weight files here ({reason(error)})"
        ) from error
    source = sha256_of_file(origin)
    # The digest is in the name, so that the description alone says which weights count.
    weights = f"{name}-{source[:8]}.safetensors"
    with replacing(folder / weights) as temporary:
        safetensors.torch.save_file(dict(network.tensors), temporary)
    added = Added(
        name=name,
        origin=origin.name,
        origin_sha256=source,
        weights=weights,
        sha256=sha256_of_file(folder / weights),
        size=(folder / weights).stat().st_size,
        architecture=architecture,
        channels=network.channels,
        input_size=network.input_size,
        mean=network.mean,
        std=network.std,
        labels=network.labels,
        layers=network.layers,
    )
    with replacing(_path(name)) as temporary:
        temporary.write_text(json.dumps({"schema": SCHEMA, **asdict(added)}, indent=1), "utf-8")
    for other in folder.glob(f"{name}-????????.safetensors"):
        if other.name != weights:
            other.unlink()
    return added


def every() -> list[Added]:
    """The networks that were added, by name.

    Raises:
        PreimageError: a description is damaged.
    """
    folder = store.weights_dir()
    names = sorted(path.stem for path in folder.glob("*.json")) if folder.is_dir() else []
    return [added for name in names if (added := find(name)) is not None]


def find(name: str) -> Added | None:
    """The network that was added under that name, if one was.

    Raises:
        PreimageError: its description is damaged.
    """
    path = _path(name)
    if not NAME.fullmatch(name) or not path.is_file():
        return None
    try:
        added = _parse(json.loads(path.read_text("utf-8")))
        if added.name != name:
            raise ValueError("it describes another network")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise PreimageError(
            f"{path}: a damaged description ({one_line(error) or type(error).__name__}); delete "
            "it, or add the network again with --overwrite"
        ) from error
    return added


def file_of(name: str) -> WeightFile:
    """The weight file of that name: the catalogue's, or that of a network that was added.

    Raises:
        UsageError: no such file; the message lists the nearest names.
    """
    added = find(name)
    return catalogue.find(name) if added is None else added.file


def every_file() -> list[WeightFile]:
    """The weight files of the catalogue, then those of the networks that were added."""
    return [*catalogue.WEIGHTS, *(added.file for added in every())]


def _path(name: str) -> Path:
    return store.weights_dir() / f"{name}.json"


def _parse(record: Mapping[str, Any]) -> Added:
    fields = {key: value for key, value in record.items() if key != "schema"}
    if record["schema"] != SCHEMA or Path(fields["weights"]).name != fields["weights"]:
        raise ValueError("another version")
    layers = tuple(
        replace(LayerRecord(**layer), inputs=tuple(layer["inputs"])) for layer in fields["layers"]
    )
    vectors = {key: tuple(map(float, fields[key])) for key in ("mean", "std")}
    return Added(**{**fields, **vectors, "labels": tuple(fields["labels"]), "layers": layers})
