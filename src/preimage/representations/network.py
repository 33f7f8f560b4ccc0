"""A layer of a network as a representation."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor, nn

from preimage.errors import (
    PreimageError,
    UsageError,
    counted,
    is_out_of_memory,
    nearest,
    one_line,
)
from preimage.representations.arrangement import Shapeless, arranged, class_token
from preimage.representations.base import Defaults, Geometry, Representation
from preimage.representations.calls import Calls, Seen, as_at_test_time, elements

if TYPE_CHECKING:
    from PIL.Image import Image

    from preimage.models.catalogue import WeightsRecord

CLASS_TOKEN = ":cls"


class _Reached(BaseException):
    """Raised at the target layer, so that nothing behind it runs.

    No `Exception`, so that a network that catches those lets it pass.
    """

    def __init__(self, output: Any) -> None:
        super().__init__()
        self.output = output


@dataclass(frozen=True)
class Target:
    """A layer's name taken apart: `path#2["key"][0]:cls`.

    Attributes:
        word: all of it but `:cls`.
        call: the call inside the network: `path`, `path#2` or a function's name.
        path: the call without its number.
        number: which call of the module it is, from 1.
        items: which of its results, from the outside in.
        class_token: whether the class token is meant, not the patches.
    """

    word: str
    call: str
    path: str
    number: int
    items: tuple[str, ...]
    class_token: bool

    @staticmethod
    def of(layer: str) -> Target:
        """The parts of a name.

        Example:
            >>> Target.of('block.relu#2["out"]').items
            ('out',)
        """
        word = layer.removesuffix(CLASS_TOKEN)
        call = word.split("[", 1)[0]
        items = re.findall(r"\[\s*[\"']?([^\]\"']*)[\"']?\s*\]", word)
        path, _, number = call.partition("#")
        which = int(number) if number.isdecimal() else 1
        return Target(word, call, path, which, tuple(items), word != layer)


def _chosen(output: Any, target: Target) -> Tensor:
    """The tensor that the target names in what its call gave.

    Raises:
        UsageError: if the choice is open or there is none such; what there is is listed.
        PreimageError: if there is no tensor at all.
    """
    chosen = output
    for item in target.items:
        chosen = _item(chosen, item)
    if isinstance(chosen, Tensor):
        return chosen
    there = [word for word, _ in elements(output, target.call)]
    if not there:
        given = "nothing" if output is None else f"a {type(output).__name__}"
        raise PreimageError(
            f"the layer {target.call} gives {given}, a representation needs a tensor: choose "
            "another layer."
        )
    if there == [target.call]:
        raise UsageError(f"the layer {target.call} gives one tensor: say so, not {target.word}.")
    none_of_them = f", and {target.word} is none of them" if target.items else ""
    raise UsageError(
        f"the layer {target.call} gives several tensors{none_of_them}: choose {' or '.join(there)}."
    )


def _item(output: Any, item: str) -> Any:
    if isinstance(output, Mapping):
        return next((value for key, value in output.items() if str(key) == item), None)
    if isinstance(output, tuple | list) and item.isdecimal() and int(item) < len(output):
        return output[int(item)]
    return None


def _scale_and_shift(
    mean: Sequence[float], std: Sequence[float], zero: Sequence[float] | None
) -> tuple[Tensor, Tensor | None]:
    """What the canvas scale is multiplied by, and what is added then, to make a network's input."""
    scale = torch.tensor([1.0 / value for value in std]).view(1, -1, 1, 1)
    offset = [m - z for m, z in zip(mean, mean if zero is None else zero, strict=True)]
    shift = torch.tensor(offset).view(1, -1, 1, 1) * scale
    return scale, shift if any(offset) else None


def _scaled(image: Tensor, scale: Tensor, shift: Tensor | None) -> Tensor:
    # The product is a new tensor, so a first layer that works in place can't touch the image.
    scaled = image * scale
    return scaled if shift is None else scaled + shift


Own = TypeVar("Own", bound="_OfNetwork")


class _OfNetwork(Representation):
    """What the codes of networks share: how a network is given an image, and where it is."""

    network: nn.Module
    _all: tuple[nn.Module, ...]
    _scale: Tensor
    _shift: Tensor | None

    def at_test_time(self) -> AbstractContextManager[None]:
        return as_at_test_time(self._all)

    @property
    def device(self) -> torch.device:
        """Where the weights are; they may have been moved since."""
        parameter = next(self.network.parameters(), None)
        return torch.device("cpu") if parameter is None else parameter.device

    def to(self: Own, device: str) -> Own:
        self.network.to(device)
        return self

    def _input(self, image: Tensor) -> Tensor:
        """What the network takes for an image on the canvas scale, in its own precision."""
        if self._scale.device != image.device:
            self._scale = self._scale.to(image.device)
            self._shift = None if self._shift is None else self._shift.to(image.device)
        return self._in_its_precision(_scaled(image, self._scale, self._shift))

    def _in_its_precision(self, image: Tensor) -> Tensor:
        like = next((p for p in self.network.parameters() if p.is_floating_point()), image)
        return image.to(like.dtype)

    @contextmanager
    def _running(self, image: Tensor) -> Iterator[None]:
        """Say which images a network for any size fails on: it may not take theirs after all."""
        try:
            yield
        except (RuntimeError, ValueError) as error:
            if self.input_size is not None or is_out_of_memory(error):
                raise
            height, width = image.shape[2:]
            raise UsageError(
                f"{self.model} fails on images of {width}x{height} ({one_line(error)}); if it is "
                "their size, choose another."
            ) from error

    def _check_gradient(self, image: Tensor, code: Tensor) -> None:
        if image.requires_grad and torch.is_grad_enabled() and not code.requires_grad:
            raise PreimageError(
                f"{self.name} has no gradient: the network computes it under torch.no_grad or "
                "inference_mode, or detaches it; take that off its forward, or choose a layer "
                "before it."
            )


class NetworkLayer(_OfNetwork):
    """Code of one layer of an `nn.Module`.

    The forward pass stops at the layer: a hook placed for the call raises an exception that is
    caught here, so any module can be cut anywhere, and nothing behind the layer runs or changes
    its code in place. A module's call by a hook on that module alone; a function's call by
    watching the functions that the network calls. Nothing of that is left when the call returns.
    Neither `requires_grad`, `.grad`, buffers nor the train/eval flags of the module are changed
    for good.

    A network in half or double precision gets its image in its own; its code has the image's again.

    Args:
        network: the module; it is used as it is, not copied.
        layer: the dotted path of a module, `path#2` for its second call, the name of a function's
            call (`layer1.0.add`, `relu_3`), of several results one by `[0]` or `["key"]`, and
            `:cls` for the class token of a transformer's layer.
        model: name for records.
        input_size: side of the square image it takes, or None for any.
        mean: mean colour, 0-255: the canvas scale is RGB minus this.
        std: what the canvas scale is divided by, per channel, to make the network's input.
        zero: colour that the network sees as 0, 0-255, where that is not the mean colour.
        geometry, defaults, weights, options: see `Representation`.
        classifier: the layer that gives class scores before any softmax, or None.
        labels: names of the classes.

    Raises:
        UsageError: if the network has no such layer; the nearest names are listed.
    """

    def __init__(
        self,
        network: nn.Module,
        layer: str,
        *,
        model: str = "module",
        input_size: int | None = 224,
        mean: Sequence[float] = (123.675, 116.28, 103.53),
        std: Sequence[float] = (58.395, 57.12, 57.375),
        zero: Sequence[float] | None = None,
        geometry: Geometry | None = None,
        defaults: Defaults | None = None,
        weights: WeightsRecord | None = None,
        options: Mapping[str, Any] = MappingProxyType({}),
        classifier: str | None = None,
        labels: tuple[str, ...] | None = None,
    ) -> None:
        if len(std) != len(mean):
            raise UsageError(
                f"mean has {counted(len(mean), 'number')} and std {len(std)}: one per channel."
            )
        self.network = network
        self.layer = layer
        self.model = model
        self.channels = len(mean)
        self.input_size = input_size
        self.mean = tuple(float(value) for value in mean)
        self.geometry = geometry
        self.defaults = defaults or Defaults(fidelity=1.0, jitter=1)
        self.weights = weights
        self.options = options
        self._scale, self._shift = _scale_and_shift(mean, std, zero)
        self._modules = {name: module for name, module in network.named_modules() if name}
        self._all = (network, *self._modules.values())
        self._target = self._checked(layer)
        self._classifier = None if classifier is None else Target.of(classifier)
        self._labels = labels

    def _checked(self, layer: str) -> Target:
        """The layer's name taken apart, if the network has such a call."""
        target = Target.of(layer)
        if target.call in self._modules:
            return target
        # Calls of functions, and further calls of modules, are known when it has run.
        names, others = self._calls() if target.call else ([], [])
        if target.call not in (*names, *others):
            raise UsageError(
                f"{self.model} has no layer {layer!r}; {nearest(layer, [*self._modules, *names])}"
            )
        return target

    def _calls(self) -> tuple[list[str], list[str]]:
        """Names of all calls and their other names, from one run on a blank image."""
        names: list[str] = []
        others: list[str] = []

        def seen(name: str, other: str, what: nn.Module | str, output: Any) -> None:
            names.append(name)
            others.append(other)

        side = self.input_size or 256
        image = torch.zeros(1, self.channels, side, side, device=self.device)
        # Should the network fail behind the layer, that is nobody's business here.
        with torch.no_grad(), as_at_test_time(self._all), suppress(Exception):  # noqa: SIM117
            with Calls(self.network, seen):
                self.network(self._in_its_precision(image))
        return names, others

    def __call__(self, image: Tensor) -> Tensor:
        code = self._run(image, self._target)
        self._check_gradient(image, code)
        return code

    def _run(self, image: Tensor, target: Target) -> Tensor:
        tensor = _chosen(self._output(self._input(image), target), target)
        try:
            if target.class_token:
                code = class_token(tensor, len(image), self.network)
            else:
                code = arranged(tensor, len(image), self.network, image.shape[2:])
        except Shapeless as error:
            raise PreimageError(
                f"{self.model}:{target.word} gives {error}: no code; choose another layer."
            ) from error
        if code.is_inference():
            code = code.clone()  # what was made in inference mode is good for nothing else
        return code.to(image.dtype)

    def _output(self, network_input: Tensor, target: Target) -> Any:
        """What the target's call gives; nothing behind it runs."""
        try:
            with (
                self.at_test_time(),
                self._stopping_at(target),
                self._running(network_input),
            ):
                self.network(network_input)
        except _Reached as reached:
            return reached.output
        raise PreimageError(
            f"{self.model}: layer {target.call} was not reached by the forward pass."
        )

    def _stopping_at(self, target: Target) -> AbstractContextManager[Any]:
        """Within this the network is stopped at a call, by `_Reached`."""
        module = self._modules.get(target.path)
        if module is None:
            return Calls(self.network, _raise_at(target.call))
        return _hooked(module, target.number)

    def photo(self, source: str | Path | Image, size: int | None = None) -> Tensor:
        if self.channels not in (1, 3):
            raise UsageError(
                f"{self.name} sees {self.channels} channels, a photo has 3 or, in grey, 1: give "
                "the code of an image of your own (`code`, --code) instead."
            )
        return super().photo(source, size)

    @torch.no_grad()
    def logits(self, image: Tensor) -> Tensor | None:
        if self._classifier is None:
            return None
        scores = self._run(image, self._classifier)
        # Where a fully connected layer is a convolution, scores are maps: of one pixel, or more on
        # a larger image.
        return scores if scores.dim() == 2 else scores.flatten(2).mean(2)

    @property
    def class_labels(self) -> tuple[str, ...] | None:
        return self._labels


@contextmanager
def _hooked(module: nn.Module, number: int) -> Iterator[None]:
    """A hook that stops at the module's call of that number, gone at the end."""
    calls = 0

    def count(module: nn.Module, inputs: Any, output: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == number:
            raise _Reached(output)

    hook = module.register_forward_hook(count)
    try:
        yield
    finally:
        hook.remove()


def _raise_at(call: str) -> Seen:
    def seen(name: str, other: str, what: nn.Module | str, output: Any) -> None:
        if call in (name, other):
            raise _Reached(output)

    return seen


class SeveralLayers(_OfNetwork):
    """Codes of several layers of a network at once, from one forward pass.

    The code is one row of numbers, `[N, Σ_l D_l·h_l·w_l]`, layer after layer in the order given;
    `shapes` tells how to take it apart, as `energy.Together` does. Unlike `NetworkLayer`, it takes
    images of any size, because it serves layers with positions alone.

    Args:
        network, model, mean, std, zero, weights: see `NetworkLayer`.
        layers: dotted paths, in any order, none twice.
        geometry: of the layer that sees most.

    Raises:
        UsageError: if the network has no such layer, or none or one twice is given.
    """

    input_size = None
    defaults = Defaults(fidelity=1.0, jitter=1)

    def __init__(
        self,
        network: nn.Module,
        layers: Sequence[str],
        *,
        model: str = "module",
        mean: Sequence[float] = (127.5,) * 3,
        std: Sequence[float] = (127.5,) * 3,
        zero: Sequence[float] | None = None,
        geometry: Geometry | None = None,
        weights: WeightsRecord | None = None,
    ) -> None:
        modules = dict(network.named_modules())
        for layer in layers:
            if layer not in modules or not layer:
                known = [name for name in modules if name]
                raise UsageError(f"{model} has no layer {layer!r}; {nearest(layer, known)}")
        if not layers or len(set(layers)) != len(layers):
            raise UsageError(f"expected one or more different layers, got {', '.join(layers)!r}.")
        self.network = network
        self.layers = tuple(layers)
        self.layer = ",".join(layers)
        self.model = model
        self.channels = len(mean)
        self.mean = tuple(float(value) for value in mean)
        self.geometry = geometry
        self.weights = weights
        self._modules = [modules[layer] for layer in layers]
        self._all = tuple(modules.values())
        self._scale, self._shift = _scale_and_shift(mean, std, zero)

    def __call__(self, image: Tensor) -> Tensor:
        code = torch.cat([code.flatten(1) for code in self.codes(image)], dim=1)
        self._check_gradient(image, code)
        return code

    def codes(self, image: Tensor) -> list[Tensor]:
        """The code of each layer, `[N, D, h, w]`."""
        found: dict[int, Tensor] = {}

        def keep(place: int, output: Any) -> None:
            if not isinstance(output, Tensor):
                raise UsageError(
                    f"{self.model}: layer {self.layers[place]} gives a {type(output).__name__}, a "
                    "tensor was expected: choose another layer."
                )
            # A copy, because a layer behind it may work in place.
            found[place] = output.clone()
            if len(found) == len(self.layers):
                raise _Reached(output)

        hooks = [
            module.register_forward_hook(lambda _m, _i, output, place=place: keep(place, output))
            for place, module in enumerate(self._modules)
        ]
        try:
            with self.at_test_time(), self._running(image):
                self.network(self._input(image))
        except _Reached:
            pass
        finally:
            for hook in hooks:
                hook.remove()
        missing = [layer for place, layer in enumerate(self.layers) if place not in found]
        if missing:
            raise PreimageError(
                f"{self.model}: layer {missing[0]} was not reached by the forward pass."
            )
        return [found[place].to(image.dtype) for place in range(len(self.layers))]

    @torch.no_grad()
    def shapes(self, view: tuple[int, int]) -> list[tuple[int, ...]]:
        """Shapes of the codes of an image of height and width `view`, without the batch."""
        blank = torch.zeros(1, self.channels, *view, device=self.device)
        return [tuple(code.shape[1:]) for code in self.codes(blank)]
