"""A layer of a network as a representation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from preimage.errors import PreimageError, UsageError, nearest
from preimage.representations.base import Defaults, Geometry, Representation

if TYPE_CHECKING:
    from preimage.models.catalogue import WeightsRecord


class _Reached(Exception):
    """Raised by the hook on the target layer, so that nothing behind it runs."""

    def __init__(self, code: Tensor) -> None:
        super().__init__()
        self.code = code


def _stop_here(module: nn.Module, inputs: Any, output: Any) -> None:
    if not isinstance(output, Tensor):
        raise PreimageError(
            f"the layer gives a {type(output).__name__}, a representation needs a tensor: "
            "choose a layer inside it."
        )
    raise _Reached(output)


def check_module(modules: Mapping[str, nn.Module], layer: str, model: str) -> None:
    """Refuse a layer that a network has not.

    Raises:
        UsageError: with the nearest names.
    """
    if layer not in modules or not layer:
        known = [name for name in modules if name]
        raise UsageError(f"{model} has no layer {layer!r}; {nearest(layer, known)}")


@contextmanager
def _in_eval_mode(network: nn.Module) -> Iterator[None]:
    """Dropout and batch norm as at test time; every module gets its own mode back at the end."""
    training = [module for module in network.modules() if module.training]
    for module in training:
        module.training = False
    try:
        yield
    finally:
        for module in training:
            module.training = True


class NetworkLayer(Representation):
    """Code of one layer of an `nn.Module`.

    The forward pass stops at the layer (a hook placed for the call raises an exception that is
    caught here, so any module can be cut anywhere), and the hook is gone when the call returns.
    Neither `requires_grad`, `.grad` nor the train/eval flags of the module are changed for good.

    Args:
        network: the module; it is used as it is, not copied.
        layer: dotted path of the layer, as `network.named_modules()` names it.
        model: name for records.
        input_size: side of the square image it takes, or None for any.
        mean: mean colour, 0-255: the canvas scale is RGB minus this.
        std: what the canvas scale is divided by, per channel, to make the network's input.
        geometry, defaults, weights: see `Representation`.
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
        geometry: Geometry | None = None,
        defaults: Defaults | None = None,
        weights: WeightsRecord | None = None,
        classifier: str | None = None,
        labels: tuple[str, ...] | None = None,
    ) -> None:
        modules = dict(network.named_modules())
        check_module(modules, layer, model)
        self.network = network
        self.layer = layer
        self.model = model
        self.channels = len(mean)
        self.input_size = input_size
        self.mean = tuple(float(value) for value in mean)
        self.geometry = geometry
        self.defaults = defaults or Defaults(fidelity=1.0, jitter=1)
        self.weights = weights
        self._module = modules[layer]
        self._classifier = classifier
        self._labels = labels
        parameter = next(network.parameters(), None)
        self.device = torch.device("cpu") if parameter is None else parameter.device
        scale = torch.tensor([1.0 / value for value in std], device=self.device)
        self._scale = scale.view(1, -1, 1, 1)

    def __call__(self, image: Tensor) -> Tensor:
        # The product is a new tensor, so a first layer that works in place can't touch the image.
        return self._run(image * self._scale, self._module)

    def _run(self, network_input: Tensor, target: nn.Module) -> Tensor:
        hook = target.register_forward_hook(_stop_here)
        try:
            with _in_eval_mode(self.network):
                self.network(network_input)
        except _Reached as reached:
            return reached.code
        finally:
            hook.remove()
        raise PreimageError(
            f"{self.model}: layer {self.layer} was not reached by the forward pass."
        )

    def to(self, device: str) -> NetworkLayer:
        self.network.to(device)
        self.device = torch.device(device)
        self._scale = self._scale.to(device)
        return self

    @torch.no_grad()
    def logits(self, image: Tensor) -> Tensor | None:
        if self._classifier is None:
            return None
        return self._run(image * self._scale, self.network.get_submodule(self._classifier))

    @property
    def class_labels(self) -> tuple[str, ...] | None:
        return self._labels


class SeveralLayers(Representation):
    """Codes of several layers of a network at once, from one forward pass.

    The code is one row of numbers, `[N, Σ_l D_l·h_l·w_l]`, layer after layer in the order given;
    `shapes` tells how to take it apart, as `energy.Together` does. Unlike `NetworkLayer`, it takes
    images of any size, because it serves layers with positions alone.

    Args:
        network, model, mean, std, weights: see `NetworkLayer`.
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
        geometry: Geometry | None = None,
        weights: WeightsRecord | None = None,
    ) -> None:
        modules = dict(network.named_modules())
        for layer in layers:
            check_module(modules, layer, model)
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
        parameter = next(network.parameters(), None)
        self.device = torch.device("cpu") if parameter is None else parameter.device
        scale = torch.tensor([1.0 / value for value in std], device=self.device)
        self._scale = scale.view(1, -1, 1, 1)

    def __call__(self, image: Tensor) -> Tensor:
        return torch.cat([code.flatten(1) for code in self.codes(image)], dim=1)

    def codes(self, image: Tensor) -> list[Tensor]:
        """The code of each layer, `[N, D, h, w]`."""
        found: dict[int, Tensor] = {}

        def keep(place: int, output: Any) -> None:
            # A copy, because a layer behind it may work in place.
            found[place] = output.clone()
            if len(found) == len(self.layers):
                _stop_here(self._modules[place], None, output)

        hooks = [
            module.register_forward_hook(lambda _m, _i, output, place=place: keep(place, output))
            for place, module in enumerate(self._modules)
        ]
        try:
            with _in_eval_mode(self.network):
                self.network(image * self._scale)
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
        return [found[place] for place in range(len(self.layers))]

    @torch.no_grad()
    def shapes(self, view: tuple[int, int]) -> list[tuple[int, ...]]:
        """Shapes of the codes of an image of height and width `view`, without the batch."""
        blank = torch.zeros(1, self.channels, *view, device=self.device)
        return [tuple(code.shape[1:]) for code in self.codes(blank)]

    def to(self, device: str) -> SeveralLayers:
        self.network.to(device)
        self.device = torch.device(device)
        self._scale = self._scale.to(device)
        return self
