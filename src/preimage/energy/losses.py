"""Losses compare a code with its target: Eqs. 2, 3, 4 and 8 of the paper.

A loss returns one value per problem of the batch together with its gradient in closed form, so
that the search never builds an autograd graph for it.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor

from preimage.errors import PreimageError


def inner_product(batch: Tensor, other: Tensor) -> Tensor:
    """Inner product of every problem with its counterpart, `[N]`."""
    # One call of BLAS for each, as for one alone: the order of a sum, and so its last bit, must not
    # depend on the batch, because the first normalized steps magnify it.
    rows, others = batch.flatten(1), other.flatten(1)
    if len(rows) == len(others) == 1:
        # What stacking and taking apart cost is a tenth of all that a search adds to a small layer.
        return torch.dot(rows[0], others[0]).unsqueeze(0)
    pairs = zip(rows, others, strict=True)
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


def _check_norm(squared: Tensor, remedy: str) -> None:
    """Refuse targets that no distance can be relative to."""
    if not bool(torch.isfinite(squared).all()):
        raise PreimageError("the target code holds NaN or infinite values: nothing can match it.")
    if not bool((squared > 0).all()):
        raise PreimageError(
            "the target code is zero wherever it counts, so no relative distance to it exists: "
            f"choose {remedy}."
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
        mask: M, how much each component counts, numbers of at least 0 that broadcast against the
            target; None counts every component alike.

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
        _check_norm(self.squared_norm, "another layer, mask or image")

    def value_and_gradient(self, code: Tensor, weight: float = 1.0) -> tuple[Tensor, Tensor]:
        _check_shapes(code, self.target)
        difference = code - self.target
        if self.mask is not None:
            difference *= self.mask
        value = squared_norm(difference) / self.squared_norm
        if self.mask is not None:  # M² in the gradient: once for either factor of the square
            difference *= self.mask
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


class Amplification(Loss):
    """Minus the code's squared norm, relative to a reference's.

    ℓ = −‖Φ‖² / ‖Φ₀‖²

    Unlike `InnerProduct`, it does not say which components are to grow: what is strong anyway grows
    most, whether the reference has it or not. This is the objective of deep dreams.

    Args:
        target: Φ₀, the code whose size is the measure, `[N, D, h, w]` or `[N, D]`.

    Raises:
        PreimageError: if a target is zero or not finite, or a code of another shape is compared.

    Example:
        >>> Amplification(torch.tensor([[0.0, 1.0]])).value(torch.tensor([[3.0, 4.0]]))
        tensor([-25.])
    """

    def __init__(self, target: Tensor) -> None:
        self.target = target.detach()
        self.squared_norm = squared_norm(self.target)
        _check_norm(self.squared_norm, "another layer or image")

    def value_and_gradient(self, code: Tensor, weight: float = 1.0) -> tuple[Tensor, Tensor]:
        _check_shapes(code, self.target)
        value = -squared_norm(code) / self.squared_norm
        scale = (-2.0 * weight / self.squared_norm).view(-1, *[1] * (code.dim() - 1))
        return value, code * scale


def gram(code: Tensor) -> Tensor:
    """Cross-channel correlations ψ∘Φ of Eq. 8, as a mean over positions.

    ψ_cc' = 1/(h·w) · Σ_vu Φ_vuc Φ_vuc'

    A mean, where the paper has a sum, so that images of different sizes can be compared.

    Args:
        code: `[N, D, h, w]`, or `[N, D]` for one position.

    Returns:
        `[N, D, D]`.

    Example:
        >>> gram(torch.tensor([[1.0, 2.0]]))
        tensor([[[1., 2.],
                 [2., 4.]]])
    """
    rows = _rows(code)
    # Problem by problem, as in `inner_product`.
    return torch.stack([row @ row.T for row in rows]) / rows.shape[-1]


def _rows(code: Tensor) -> Tensor:
    """A code as one row of positions a channel, `[N, D, h·w]`."""
    return code.flatten(2) if code.dim() > 2 else code.unsqueeze(-1)


class Gram(Loss):
    """Squared distance of cross-channel correlations, relative to the texture's (Eq. 8).

    ℓ = ‖ψ∘Φ − ψ∘Φ₀‖²_F / ‖ψ∘Φ₀‖²_F

    Unlike `Euclidean`, it does not ask where anything is, so the code and its target may have
    different heights and widths.

    Args:
        target: Φ₀, the texture's code, `[N, D, h, w]` or `[N, D]`.

    Raises:
        PreimageError: if a target is zero or not finite, or a code of another number of channels is
            compared with it.

    Example:
        >>> texture = torch.tensor([[[[1.0, 0.0]], [[0.0, 1.0]]]])
        >>> Gram(texture).value(texture.flip(3))  # the same pixels, elsewhere
        tensor([0.])
        >>> Gram(texture).value(0 * texture)
        tensor([1.])
    """

    def __init__(self, target: Tensor) -> None:
        self.target = target.detach()
        self.correlations = gram(self.target)
        self.squared_norm = squared_norm(self.correlations)
        _check_norm(self.squared_norm, "another layer or image")

    def value_and_gradient(self, code: Tensor, weight: float = 1.0) -> tuple[Tensor, Tensor]:
        if code.shape[:2] != self.target.shape[:2] or code.dim() != self.target.dim():
            _check_shapes(code, self.target)
        rows = _rows(code)
        difference = gram(code) - self.correlations
        value = squared_norm(difference) / self.squared_norm
        scale = 4.0 * weight / (rows.shape[-1] * self.squared_norm)
        pairs = zip(difference, rows, scale, strict=True)
        gradient = torch.stack([(d @ row).mul_(factor) for d, row, factor in pairs])
        return value, gradient.view_as(code)


class Together(Loss):
    """Losses on parts of one code, added up: those of several layers seen at once (Eq. 8).

    ℓ = Σ_l w_l · ℓ_l(Φ_l, Φ₀_l)

    Args:
        losses: ℓ_l, one a part, each with the targets of all problems.
        shapes: of the parts, without the batch, in the order in which the code holds them.
        weights: w_l ≥ 0; by default all 1.

    Raises:
        PreimageError: if there are not as many shapes and weights as losses, a weight is no number
            of at least 0, or a code of another length is compared.

    Example:
        >>> first, second = torch.tensor([[3.0, 4.0]]), torch.tensor([[1.0]])
        >>> loss = Together([Euclidean(first), Euclidean(second)], [(2,), (1,)], [1.0, 10.0])
        >>> loss.value(torch.tensor([[3.0, 4.0, 0.0]]))
        tensor([10.])
    """

    def __init__(
        self,
        losses: Sequence[Loss],
        shapes: Sequence[Sequence[int]],
        weights: Sequence[float] | None = None,
    ) -> None:
        self.losses, self.shapes = tuple(losses), tuple(tuple(shape) for shape in shapes)
        self.weights = (1.0,) * len(losses) if weights is None else tuple(weights)
        if not len(self.losses) == len(self.shapes) == len(self.weights) > 0:
            raise PreimageError(
                "expected a shape and a weight for each of at least one loss, got "
                f"{len(self.losses)}, {len(self.shapes)} and {len(self.weights)} of them."
            )
        if not all(math.isfinite(weight) and weight >= 0 for weight in self.weights):
            raise PreimageError(f"weights must be numbers of at least 0, got {self.weights}.")
        self.lengths = [math.prod(shape) for shape in self.shapes]
        # One target a problem: what else a loss's target is for lies in the parts.
        self.target = self.losses[0].target

    def parts(self, code: Tensor) -> list[Tensor]:
        """The code's parts, each `[N, *shape]`."""
        flat = code.flatten(1)
        if flat.shape[1] != sum(self.lengths):
            raise PreimageError(
                f"the code has shape {list(code.shape)} and its target {list(self.target.shape)}: "
                f"{sum(self.lengths)} components of each problem were expected."
            )
        pieces = torch.split(flat, self.lengths, dim=1)
        return [p.view(len(code), *shape) for p, shape in zip(pieces, self.shapes, strict=True)]

    def value_and_gradient(self, code: Tensor, weight: float = 1.0) -> tuple[Tensor, Tensor]:
        total, gradients = code.new_zeros(len(code)), []
        for loss, part, w in zip(self.losses, self.parts(code), self.weights, strict=True):
            value, gradient = loss.value_and_gradient(part, weight * w)
            total = total + w * value
            gradients.append(gradient.flatten(1))
        return total, torch.cat(gradients, dim=1).view_as(code)

    def values(self, code: Tensor) -> Tensor:
        """Each loss by itself, unweighted, `[N, losses]`."""
        pairs = zip(self.losses, self.parts(code), strict=True)
        return torch.stack([loss.value(part) for loss, part in pairs], dim=1)
