"""Losses compare a code with its target: Eqs. 2, 3 and 4 of the paper.

A loss returns one value per problem of the batch together with its gradient in closed form, so
that the search never builds an autograd graph for it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from preimage.errors import PreimageError


def inner_product(batch: Tensor, other: Tensor) -> Tensor:
    """Inner product of every problem with its counterpart, `[N]`."""
    # One call of BLAS for each, as for one alone: the order of a sum, and so its last bit, must not
    # depend on the batch, because the first normalized steps magnify it.
    pairs = zip(batch.flatten(1), other.flatten(1), strict=True)
    return torch.stack([torch.dot(first, second) for first, second in pairs])


def squared_norm(batch: Tensor) -> Tensor:
    """Squared Euclidean norm of every problem, `[N]`."""
    return inner_product(batch, batch)


def _check_shapes(code: Tensor, target: Tensor) -> None:
    if code.shape != target.shape:
        raise PreimageError(
            f"the code has shape {list(code.shape)} and its target {list(target.shape)}: "
            "both must come from the same representation and the same batch of problems."
        )


class Loss(ABC):
    """A function of the code, ℓ(Φ(x), Φ₀), with one value per problem."""

    target: Tensor

    @abstractmethod
    def value_and_gradient(self, code: Tensor, weight: float = 1.0) -> tuple[Tensor, Tensor]:
        """ℓ of each problem, `[N]`, and weight·∂ℓ/∂code, of the code's shape."""

    def value(self, code: Tensor) -> Tensor:
        """ℓ of each problem, `[N]`."""
        return self.value_and_gradient(code)[0]


class Euclidean(Loss):
    """Squared distance relative to the target's squared norm (Eqs. 2 and 3).

    ℓ = ‖(Φ − Φ₀) ⊙ M‖² / ‖Φ₀ ⊙ M‖²

    Unlike `InnerProduct`, it asks for a whole code rather than for a strong response.

    Args:
        target: Φ₀, `[N, D, h, w]` or `[N, D]`.
        mask: M, zeros and ones that broadcast against the target; None keeps every component.

    Raises:
        PreimageError: if a (masked) target is zero or not finite, so that the distance relative
            to it has no meaning, or if a code of another shape is compared with it.

    Example:
        >>> import torch
        >>> Euclidean(torch.tensor([[3.0, 4.0]])).value(torch.tensor([[3.0, 0.0]]))
        tensor([0.6400])
    """

    def __init__(self, target: Tensor, mask: Tensor | None = None) -> None:
        self.target = target.detach()
        self.mask = None if mask is None else mask.to(target).detach()
        masked = self.target if self.mask is None else self.target * self.mask
        self.squared_norm = squared_norm(masked)
        if not bool(torch.isfinite(self.squared_norm).all()):
            raise PreimageError(
                "the target code holds NaN or infinite values: nothing can match it."
            )
        if not bool((self.squared_norm > 0).all()):
            raise PreimageError(
                "the target code is zero wherever it counts, so no relative distance to it exists: "
                "choose another layer, mask or image."
            )

    def value_and_gradient(self, code: Tensor, weight: float = 1.0) -> tuple[Tensor, Tensor]:
        _check_shapes(code, self.target)
        difference = code - self.target
        if self.mask is not None:
            difference *= self.mask
        value = squared_norm(difference) / self.squared_norm
        scale = (2.0 * weight / self.squared_norm).view(-1, *[1] * (code.dim() - 1))
        return value, difference.mul_(scale)


class InnerProduct(Loss):
    """Minus the normalized inner product with a weight on the code (Eq. 4).

    ℓ = −⟨Φ, Φ₀⟩ / Z

    Unlike `Euclidean`, it has no minimum of its own: the priors bound it. With Φ₀ an indicator
    it maximizes one component, with Φ₀ = max(0, Φ(x₀)) it makes a caricature of x₀.

    Args:
        target: Φ₀, the weight of every component, `[N, D, h, w]` or `[N, D]`.
        normalization: Z > 0, a number or one per problem, `[N]`.

    Raises:
        PreimageError: if Z is not a positive number, or a code of another shape is compared.

    Example:
        >>> import torch
        >>> InnerProduct(torch.tensor([[0.0, 1.0]]), 2.0).value(torch.tensor([[5.0, 3.0]]))
        tensor([-1.5000])
    """

    def __init__(self, target: Tensor, normalization: float | Tensor = 1.0) -> None:
        self.target = target.detach()
        count = self.target.shape[0]
        self.normalization = torch.as_tensor(
            normalization, dtype=self.target.dtype, device=self.target.device
        ).expand(count)
        if not bool(((self.normalization > 0) & torch.isfinite(self.normalization)).all()):
            raise PreimageError(f"Z of Eq. 4 must be a positive number, got {normalization}.")

    def value_and_gradient(self, code: Tensor, weight: float = 1.0) -> tuple[Tensor, Tensor]:
        _check_shapes(code, self.target)
        value = -inner_product(code, self.target) / self.normalization
        scale = (-weight / self.normalization).view(-1, *[1] * (code.dim() - 1))
        return value, self.target * scale
