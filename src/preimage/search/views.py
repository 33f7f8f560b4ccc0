"""Random views: what the network sees may be turned, enlarged and grainy."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from preimage.errors import UsageError

Look = Callable[[Tensor], tuple[Tensor, Tensor]]
"""From a view to the loss of each problem, `[N]`, and the loss's gradient in the view."""


@dataclass(frozen=True)
class RandomViews:
    """Crops of the view at random scales, turned a little, with pixel noise.

    E_v[ℓ(Φ(v(x)))], with `count` draws of v for every problem and iteration

    Unlike jitter (`Stage`), which shifts by whole pixels and copies nothing, a random view is
    interpolated. What a crop does not cover of the view is of the mean colour.

    Attributes:
        count: views of each problem in an iteration.
        smallest, largest: side of a crop as a fraction of the view's, drawn uniformly; the crop
            lies anywhere in the view, or the view anywhere in a larger crop.
        rotation: standard deviation of the angle in degrees.
        noise: standard deviation of the noise, 0-255.

    Raises:
        UsageError: if a value is out of range.

    Example:
        >>> x = torch.ones(1, 3, 8, 8)
        >>> RandomViews(rotation=0, noise=0).draw(x, [torch.Generator()]).unique()
        tensor([1.])
    """

    count: int = 2
    smallest: float = 0.3
    largest: float = 1.0
    rotation: float = 5.0
    noise: float = 10.0

    def __post_init__(self) -> None:
        numbers = (self.smallest, self.largest, self.rotation, self.noise)
        if not all(isinstance(n, int | float) and math.isfinite(n) and n >= 0 for n in numbers):
            raise UsageError(f"random views are made of numbers of at least 0, got {numbers}.")
        if not 0 < self.smallest <= self.largest:
            raise UsageError(
                "crops must be larger than 0, the smallest first, "
                f"got {self.smallest:g} to {self.largest:g}."
            )
        if not (isinstance(self.count, int) and self.count >= 1):
            raise UsageError(f"an iteration needs at least 1 view, got {self.count!r}.")

    def draw(self, view: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
        """One random view of each problem, `[N, C, h, w]`; differentiable by autograd."""
        places = torch.stack([self._place(generator) for generator in generators]).to(view)
        grid = torch.nn.functional.affine_grid(places, list(view.shape), align_corners=False)
        seen = torch.nn.functional.grid_sample(view, grid, align_corners=False)
        if self.noise > 0:
            noise = [torch.randn(view.shape[1:], generator=g) for g in generators]
            seen = seen + self.noise * torch.stack(noise).to(view)
        return seen

    def _place(self, generator: torch.Generator) -> Tensor:
        """From the crop's coordinates to the view's, both from -1 to 1: `[2, 3]`."""
        scale, u, v = torch.rand(3, generator=generator).tolist()
        angle = math.radians(self.rotation) * float(torch.randn(1, generator=generator))
        side = self.smallest + scale * (self.largest - self.smallest)
        room = abs(1 - side)
        across, down = side * math.cos(angle), side * math.sin(angle)
        return torch.tensor(
            [[across, -down, room * (2 * u - 1)], [down, across, room * (2 * v - 1)]]
        )

    def mean(
        self, look: Look, view: Tensor, generators: Sequence[torch.Generator]
    ) -> tuple[Tensor, Tensor]:
        """What `look` gives, averaged over `count` draws: values `[N]` and gradient in `view`."""
        leaf = view.detach().requires_grad_()
        values, gradient = [], torch.zeros_like(view)
        for _ in range(self.count):
            with torch.enable_grad():
                seen = self.draw(leaf, generators)
            value, seen_gradient = look(seen.detach())
            (pulled,) = torch.autograd.grad(seen, leaf, seen_gradient)
            gradient.add_(pulled, alpha=1 / self.count)
            values.append(value)
        return torch.stack(values).mean(0), gradient
