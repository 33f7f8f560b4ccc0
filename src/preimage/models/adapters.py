"""Other people's networks by name: `torchvision:NAME`, `timm:NAME`, `package.module:factory`.

What a network wants as input is taken from what it says itself; where it says nothing, it has to
be told. Weights are the library's own download, or random ones that are the same each time.
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import torch
from torch import nn

from preimage.errors import PreimageError, UsageError, nearest, one_line

WEIGHTS = ("pretrained", "random")


@dataclass(frozen=True)
class Input:
    """The images a network takes.

    Args:
        mean: mean colour, 0-255, one number per channel.
        std: what each channel is divided by, in units of 0-255.
        size: side of the square image in pixels, or None for any.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    size: int | None


@dataclass(frozen=True)
class Library:
    """A library with networks by name.

    Args:
        name: what stands before the colon, and the package's name.
        install: what to type where it is missing.
        names: all of its networks.
        build: makes one with random weights, or its own.
        input: what a network's configuration says, by its name and the network.
    """

    name: str
    install: str
    names: Callable[[ModuleType], list[str]]
    build: Callable[[ModuleType, str, bool], nn.Module]
    input: Callable[[ModuleType, str, nn.Module], Input | None]


def _from_unit(values: Sequence[float]) -> tuple[float, ...]:
    return tuple(255.0 * float(value) for value in values)


def _torchvision_build(library: ModuleType, name: str, pretrained: bool) -> nn.Module:
    # Networks that stand on another one would fetch that one's weights.
    known = inspect.signature(library.models.get_model_builder(name)).parameters
    random = {option: None for option in ("weights", "weights_backbone") if option in known}
    options = {"weights": "DEFAULT"} if pretrained else random
    network: nn.Module = library.models.get_model(name, **options)
    return network


def _torchvision_input(library: ModuleType, name: str, network: nn.Module) -> Input | None:
    """From the transforms that come with the weights of that name."""
    choices = list(library.models.get_model_weights(name))
    if not choices:
        return None
    transforms = library.models.get_model_weights(name).DEFAULT.transforms()
    mean, std = getattr(transforms, "mean", None), getattr(transforms, "std", None)
    size = getattr(transforms, "crop_size", None) or getattr(transforms, "resize_size", None)
    if mean is None or std is None or not size:
        return None
    side = size[0] if isinstance(size, list | tuple) else size
    return Input(_from_unit(mean), _from_unit(std), int(side))


def _timm_build(library: ModuleType, name: str, pretrained: bool) -> nn.Module:
    network: nn.Module = library.create_model(name, pretrained=pretrained)
    return network


def own_input(network: nn.Module) -> Input | None:
    """From a module's own `pretrained_cfg` or `default_cfg`, as timm's have it."""
    for attribute in ("pretrained_cfg", "default_cfg"):
        config = getattr(network, attribute, None)
        if isinstance(config, Mapping) and {"mean", "std", "input_size"} <= set(config):
            channels, side = config["input_size"][0], config["input_size"][-1]
            mean, std = (_from_unit(config[key]) for key in ("mean", "std"))
            if len(mean) != channels:
                mean, std = (colour[:1] * channels for colour in (mean, std))
            return Input(mean, std, int(side))
    return None


LIBRARIES: tuple[Library, ...] = (
    Library(
        name="torchvision",
        install="pip install torchvision",
        names=lambda library: list(library.models.list_models()),
        build=_torchvision_build,
        input=_torchvision_input,
    ),
    Library(
        name="timm",
        install="pip install timm",
        names=lambda library: list(library.list_models()),
        build=_timm_build,
        input=lambda library, name, network: own_input(network),
    ),
)


def is_adapted(name: str) -> bool:
    """Whether a model's name is one of other people's: it has a colon."""
    return ":" in name


def is_own_code(name: str) -> bool:
    """Whether it names a function of somebody's own, which building it would run."""
    return is_adapted(name) and _library(name) is None


def _library(name: str) -> Library | None:
    prefix = name.split(":", 1)[0]
    return next((library for library in LIBRARIES if library.name == prefix), None)


@dataclass(frozen=True)
class Adapted:
    """A network of somebody else's, ready to look into.

    Args:
        network: of a library in eval mode, weights without gradients; one's own as it was made.
        input: what it says of its input, or None.
        source: where its weights come from, in words.
        licence: of the weights, as far as it is said.
    """

    network: nn.Module
    input: Input | None
    source: str
    licence: str


def build(name: str, weights: str | None = None, device: str | None = None) -> Adapted:
    """A network by name.

    Random weights are drawn from seed 0, on the CPU; nobody else's random numbers are touched.

    Args:
        name: `torchvision:NAME`, `timm:NAME` or `package.module:factory`.
        weights: `pretrained` (the default) or `random`; a factory brings its own.
        device: `meta` for shapes without numbers.

    Raises:
        UsageError: if there is no such library, module, factory or name; what is near is listed.
        PreimageError: if it can't be built or its weights can't be had; the reason is kept.
    """
    library = _library(name)
    prefix, _, rest = name.partition(":")
    if library is None:
        with _working_folder():
            network = _call(name, _factory(prefix, rest), device)
        # As it is: it may be alive in this process.
        return Adapted(network, own_input(network), name, "your own")
    if weights is not None and weights not in WEIGHTS:
        raise UsageError(f"there are no weights {weights!r} of {name}; {nearest(weights, WEIGHTS)}")
    package = _import_library(library)
    _check_name(library, package, rest)
    pretrained = weights != "random" and device != "meta"
    network = _call(name, lambda: library.build(package, rest, pretrained), device, pretrained)
    return Adapted(
        _ready(network),
        library.input(package, rest, network),
        source=f"{name}: {'pretrained' if pretrained else 'random, seed 0'}",
        licence=_licence(network) if pretrained else "none",
    )


def _licence(network: nn.Module) -> str:
    config = getattr(network, "pretrained_cfg", None) or {}
    return str(config.get("license") or "not said; see the library")


def _ready(network: nn.Module) -> nn.Module:
    return network.eval().requires_grad_(False)


def _import_library(library: Library) -> ModuleType:
    try:
        # Both libraries talk on standard error while they are imported.
        with _quiet():
            return importlib.import_module(library.name)
    except ModuleNotFoundError as error:
        if error.name == library.name:
            raise PreimageError(
                f"{library.name} is not installed here; for its networks: {library.install}"
            ) from error
        raise PreimageError(f"{library.name} can't be imported: {one_line(error)}") from error
    except Exception as error:  # a build for another PyTorch fails in many ways
        raise PreimageError(
            f"{library.name} can't be imported ({one_line(error)}): install the release that goes "
            f"with PyTorch {torch.__version__}."
        ) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Somebody else's remarks kept back, and what they print away from standard output."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        # Standard output is for records.
        with warnings.catch_warnings(), redirect_stdout(sys.stderr):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _check_name(library: Library, package: ModuleType, name: str) -> None:
    names = library.names(package)
    # timm's names may say which weights behind a point.
    if name not in names and name.split(".", 1)[0] not in names:
        raise UsageError(f"{library.name} has no network {name!r}; {nearest(name, names)}")


def _factory(module: str, name: str) -> Callable[[], Any]:
    """The function or class of that name, imported as Python would from the working folder."""
    if not all(part.isidentifier() for part in (*module.split("."), *name.split("."))):
        raise UsageError(
            f"unknown model '{module}:{name}': expected torchvision:NAME, timm:NAME or "
            "package.module:factory."
        )
    try:
        with _quiet():
            found: Any = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise PreimageError(f"{module} can't be imported: {one_line(error)}") from error
        raise UsageError(
            f"there is no Python module {error.name!r} here for the model '{module}:{name}'; "
            "it is looked for in the working folder and where Python finds its packages."
        ) from error
    except (Exception, SystemExit) as error:  # a script may end where it is imported
        raise PreimageError(f"{module} can't be imported: {_told(error)}") from error
    for part in name.split("."):
        known = [word for word in dir(found) if not word.startswith("_")]
        if not hasattr(found, part):
            raise UsageError(f"{module} has no {name!r}; {nearest(part, known)}")
        found = getattr(found, part)
    if isinstance(found, nn.Module):
        return lambda: found
    if not callable(found):
        raise UsageError(
            f"{module}:{name} is a {type(found).__name__}: a function or class that "
            "makes an nn.Module was expected."
        )
    return found  # type: ignore[no-any-return]


@contextmanager
def _working_folder() -> Iterator[None]:
    folder = os.getcwd()
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        with suppress(ValueError):  # somebody's code may have done so
            sys.path.remove(folder)


def _call(
    name: str, make: Callable[[], Any], device: str | None, pretrained: bool = False
) -> nn.Module:
    try:
        with torch.random.fork_rng(devices=[]), torch.device(device or "cpu"), _quiet():
            torch.default_generator.manual_seed(0)  # torch.manual_seed would seed CUDA's, too
            network = make()
    except (Exception, SystemExit) as error:
        remedy = "; without a network, give --weights random" if pretrained else ""
        raise PreimageError(f"{name} can't be built: {_told(error)}{remedy}") from error
    if not isinstance(network, nn.Module):
        given = "nothing" if network is None else f"a {type(network).__name__}"
        raise PreimageError(f"{name} gives {given}; an nn.Module was expected.")
    return network


def _told(error: BaseException) -> str:
    """Somebody else's error in one line, with its kind where it says little itself."""
    return f"{type(error).__name__}: {one_line(error)}".rstrip(": ")


def digest(network: nn.Module) -> str:
    """sha256 over the names, types and bytes of a network's weights and buffers."""
    whole = hashlib.sha256()
    for name, value in sorted(network.state_dict().items()):
        whole.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        flat = value.detach().cpu().contiguous().flatten()
        whole.update(flat.view(torch.uint8).numpy().tobytes())
    return whole.hexdigest()
