"""What an iteration costs beyond the bare network (docs: speed).

The floor is the network cut after the layer, forward and backward, without weight gradients. A
machine's speed drifts, so floor and iteration take turns inside one search.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn

from preimage.energy import Energy, Euclidean
from preimage.errors import UsageError, nearest
from preimage.recipes import settings_for
from preimage.recipes.views import view_for
from preimage.representations import NetworkLayer, Representation, representation
from preimage.search import Snapshot, minimise

PRESET_OF_CANVAS = {"pixel": "paper", "frame": "best"}
"""The preset that searches each canvas."""

WARM_UP = 5
"""Rounds that are not counted: first calls choose kernels and fill caches."""


@dataclass(frozen=True)
class Timing:
    """Cost of one layer.

    Attributes:
        model, layer, canvas: what was searched; hand-crafted models have no layer.
        floor_ms: median of the bare network's forward and backward, in milliseconds.
        iteration_ms: median of a whole iteration.
        ratio: iteration over floor.
        iterations: how many were counted.
    """

    model: str
    layer: str | None
    canvas: str
    floor_ms: float
    iteration_ms: float
    ratio: float
    iterations: int


@dataclass
class _Stopwatch:
    """A callback that times the loop around itself, and the floor inside itself."""

    floor: Callable[[], None]
    device: torch.device
    floors: list[float] = field(default_factory=list)
    iterations: list[float] = field(default_factory=list)
    left: float | None = None

    def now(self) -> float:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.perf_counter()

    def __call__(self, snapshot: Snapshot) -> None:
        entered = self.now()
        if self.left is not None:
            self.iterations.append(entered - self.left)
        began = self.now()
        self.floor()
        self.left = self.now()
        self.floors.append(self.left - began)


def measure(
    model: str,
    layer: str | None,
    canvas: str = "pixel",
    iterations: int = 30,
    device: str = "cpu",
    **options: Any,
) -> Timing:
    """Time one layer, batch 1, floor and iteration interleaved in one search.

    Args:
        model, layer: as for `preimage.representation`; a hand-crafted one is timed as it is.
        canvas: `pixel` (preset `paper`) or `frame` (preset `best`).
        iterations: how many are counted, after `WARM_UP` more.
        device: where to compute.
        options: of the representation.

    Raises:
        UsageError: if the model, the layer or the canvas is unknown.

    Example:
        >>> measure("efficientnet-lite0", "stem", iterations=2).iterations
        2
    """
    if canvas not in PRESET_OF_CANVAS:
        raise UsageError(f"there is no canvas {canvas!r}; {nearest(canvas, PRESET_OF_CANVAS)}")
    if iterations < 1:
        raise UsageError(f"iterations must be at least 1, got {iterations}.")
    phi = representation(model, layer, **options).to(device)
    image = _noise(phi)
    watch = _Stopwatch(_floor(phi, image), phi.device)
    # One more than is counted: the first entry has no exit before it.
    settings = settings_for(phi, PRESET_OF_CANVAS[canvas], iterations=iterations + WARM_UP + 1)
    with torch.no_grad():
        code = phi(image)
    minimise(
        Energy(phi, Euclidean(code), settings.priors, settings.fidelity),
        canvas=settings.canvas,
        stages=settings.stages,
        softening=settings.softening,
        step_rule=settings.step_rule,
        view=view_for(phi),
        callbacks=[watch],
    )
    floor = 1000 * median(watch.floors[WARM_UP + 1 :])
    iteration = 1000 * median(watch.iterations[WARM_UP:])
    return Timing(phi.model, layer, canvas, floor, iteration, iteration / floor, iterations)


def report(timings: Sequence[Timing], device: str) -> dict[str, Any]:
    """Timings as JSON, with what they depend on."""
    return {
        "device": torch.cuda.get_device_name(device) if device != "cpu" else device,
        "threads": torch.get_num_threads(),
        "records": [asdict(timing) for timing in timings],
    }


def _noise(phi: Representation) -> Tensor:
    """An image to search for: the time does not depend on what it shows."""
    shape = (1, phi.channels, *view_for(phi))
    noise = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    return (50 * noise).to(phi.device)


def _floor(phi: Representation, image: Tensor) -> Callable[[], None]:
    """One forward and backward of the network, cut after the layer, or of the function itself.

    A network that is no chain can only be cut as the representation cuts it.
    """
    function: Callable[[Tensor], Tensor] = phi
    if isinstance(phi, NetworkLayer) and _is_chain(phi):
        names = [name for name, _ in phi.network.named_children()]
        children = list(phi.network.children())[: names.index(str(phi.layer)) + 1]
        function, image = nn.Sequential(*children), image / 50
    leaf = image.requires_grad_()
    with phi.at_test_time():
        gradient = torch.ones_like(function(leaf))

    def forward_and_backward() -> None:
        with phi.at_test_time():
            torch.autograd.grad(function(leaf), leaf, gradient)

    return forward_and_backward


def _is_chain(phi: NetworkLayer) -> bool:
    return isinstance(phi.network, nn.Sequential) and phi.layer in phi.network._modules
