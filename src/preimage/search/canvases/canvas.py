"""What a canvas is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from torch import Tensor

from preimage.errors import UsageError


class Canvas(ABC):
    """A parameterization of an image."""

    @abstractmethod
    def start(self, shape: Sequence[int], seeds: Sequence[int]) -> Tensor:
        """Parameters of a first canvas of `[C, H, W]`, one seed per problem."""

    @abstractmethod
    def render(self, parameters: Tensor, shape: Sequence[int], mean: Sequence[float]) -> Tensor:
        """The image `[N, C, H, W]` on the canvas scale."""

    @abstractmethod
    def pull_back(
        self, gradient: Tensor, image: Tensor, mean: Sequence[float], parameters: Tensor
    ) -> Tensor:
        """Gradient with respect to the parameters from the one with respect to the image."""

    def parameters_of(self, image: Tensor, mean: Sequence[float]) -> Tensor:
        """Parameters that render a given image `[N, C, H, W]`, as far as the canvas can show it.

        The inverse of `render`, for a search that starts from an image.

        Raises:
            UsageError: if the canvas has no inverse; by default it has none.
        """
        raise UsageError(f"a {type(self).__name__} can't start from an image: choose another.")

    def constrain_(self, parameters: Tensor) -> None:  # noqa: B027
        """Project the parameters onto the feasible set in place; by default all are."""
