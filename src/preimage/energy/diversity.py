"""Restarts pushed apart: the one loss in which the problems of a batch see each other."""

from __future__ import annotations

import torch
from torch import Tensor

from preimage.energy.losses import Loss
from preimage.errors import UsageError


class Apart(Loss):
    """Another loss plus a price on restarts whose codes look alike.

    ℓ_i + weight · mean_j cos(v_i, v_j), j the other restarts of the same objective

    v is the code in the cells that the loss weighs, without the components that it weighs: restarts
    may share what is maximized, not what goes with it there. Unlike in every other loss, the
    problems of a batch depend on each other; each takes the others as they are.

    Args:
        loss: ℓ; its target holds the restarts of each objective next to each other.
        restarts: how many there are of each.
        weight: of the price, not negative.

    Raises:
        UsageError: if there are fewer than two restarts, or the weight is negative.

    Example:
        >>> from preimage.energy import InnerProduct
        >>> target = torch.tensor([[1.0, 0.0, 0.0]]).expand(2, 3)
        >>> apart = Apart(InnerProduct(target), restarts=2, weight=1.0)
        >>> apart.value(torch.tensor([[5.0, 1.0, 0.0], [5.0, 0.0, 1.0]]))
        tensor([-5., -5.])
    """

    def __init__(self, loss: Loss, restarts: int, weight: float) -> None:
        if restarts < 2:
            raise UsageError("diversity needs at least 2 restarts to push apart.")
        if not weight >= 0:
            raise UsageError(f"diversity must be a number of at least 0, got {weight:g}.")
        self.loss, self.restarts, self.weight = loss, restarts, weight
        self.target = loss.target

    def value_and_gradient(self, code: Tensor, weight: float = 1.0) -> tuple[Tensor, Tensor]:
        value, gradient = self.loss.value_and_gradient(code, weight)
        leaf = code.detach().requires_grad_()
        with torch.enable_grad():
            likeness = self._likeness(leaf)
            # Every pair stands in two rows.
            (apart,) = torch.autograd.grad(likeness.sum() * (0.5 * self.weight * weight), leaf)
        return value + self.weight * likeness.detach(), gradient + apart

    def _likeness(self, code: Tensor) -> Tensor:
        """Mean cosine with the other restarts, `[N]`."""
        others = code * (self.target == 0)
        if code.dim() > 2:
            cells = (self.target != 0).any(1, keepdim=True)
            others = (others * cells).flatten(2).sum(2)
        grouped = others.view(-1, self.restarts, others.shape[1])
        unit = grouped / grouped.norm(dim=2, keepdim=True).clamp(min=1e-12)
        cosines = unit @ unit.transpose(1, 2)
        alone = torch.eye(self.restarts, device=code.device)
        mean: Tensor = (cosines * (1 - alone)).sum(2) / (self.restarts - 1)
        return mean.flatten()
