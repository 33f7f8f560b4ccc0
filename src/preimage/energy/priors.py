"""Priors say what makes an image natural: Eq. 5 and TV^β of the paper (Eq. 6 is a projection);
and how far from a given one it may be.

Every prior is divided by the canvas area H·W and by the typical size of what it measures, so
that a reasonable image has a value around one (Sect. 3.3).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from preimage.energy.losses import inner_product, squared_norm
from preimage.errors import UsageError
from preimage.images import squared_length

GRADIENT_FLOOR = 1e-6
"""Floor under ‖∇x‖^β in TV^β's gradient, finite on flat images (the authors' program)."""


def _require(ok: bool, what: str, got: float) -> None:
    if not (ok and math.isfinite(got)):
        raise UsageError(f"{what}, got {got:g}.")


def _require_power(base: float, exponent: float, name: str) -> None:
    """Refuse an exponent at which the sums over pixels leave float32."""
    if abs(exponent * math.log10(base)) > MAX_DIGITS:
        raise UsageError(
            f"{name} = {exponent:g} is too large: {base:g}^{name} must be below 1e{MAX_DIGITS}."
        )


MAX_DIGITS = 30


class Prior(ABC):
    """A function R of the whole canvas with one value per problem.

    A new prior only has to define `name` and `value`; `add_gradient` then differentiates it by
    autograd. Priors with a closed form override it, because a graph costs more than the network's
    first layers.
    """

    name: ClassVar[str]

    @abstractmethod
    def value(self, image: Tensor) -> Tensor:
        """R of each problem, `[N]`; `image` is `[N, C, H, W]` on the canvas scale."""

    def add_gradient(self, image: Tensor, into: Tensor) -> Tensor:
        """Add ∂R/∂image to `into` in place and return R of each problem, `[N]`."""
        leaf = image.detach().requires_grad_()
        with torch.enable_grad():
            value = self.value(leaf)
            (gradient,) = torch.autograd.grad(value.sum(), leaf)
        into += gradient
        return value.detach()


@dataclass(frozen=True)
class BoundedRange(Prior):
    """Soft bound on the length of every pixel's colour vector (Eq. 5).

    R = 1/(H·W·B^α) · Σ_pixels (Σ_k x_k²)^(α/2)

    Unlike the ball of Eq. 6 (`search.projections.Ball`), it may be exceeded, at a price.

    Args:
        alpha: exponent, at least 2 (the paper: 6).
        B: typical length of a colour vector on the canvas scale (the paper: 80).

    Raises:
        UsageError: if alpha < 2 or B is not positive.

    Example:
        >>> import torch
        >>> BoundedRange(alpha=6, B=80).value(torch.full((1, 1, 4, 4), 80.0))
        tensor([1.])
    """

    alpha: float = 6.0
    B: float = 80.0
    name: ClassVar[str] = "bounded_range"

    def __post_init__(self) -> None:
        _require(self.alpha >= 2, "alpha of Eq. 5 must be a number of at least 2", self.alpha)
        _require(self.B > 0, "B of Eq. 5 must be a positive number", self.B)
        _require_power(self.B, self.alpha, "alpha")

    def value(self, image: Tensor) -> Tensor:
        return (squared_length(image) * self.B**-2).pow(self.alpha / 2).flatten(1).mean(1)

    def add_gradient(self, image: Tensor, into: Tensor) -> Tensor:
        squared = squared_length(image)
        scale = float(1 / (image.shape[-1] * image.shape[-2] * self.B**self.alpha))
        power = squared * squared if self.alpha == 6 else squared.pow(self.alpha / 2 - 1)
        into.addcmul_(image, power, value=self.alpha * scale)
        return inner_product(power, squared) * scale


@dataclass(frozen=True)
class TotalVariation(Prior):
    """The TV^β norm of the image, each colour channel by itself (Sect. 3.2.2).

    R = 1/(H·W·V^β) · Σ_{v,u,k} ((x(v,u+1,k) − x(v,u,k))² + (x(v+1,u,k) − x(v,u,k))²)^(β/2)

    The border is replicated, so that the last difference is zero. β = 2 is a quadratic form whose
    gradient is linear; for other β the root's gradient is kept finite on flat images by
    `GRADIENT_FLOOR`, as in the authors' `tv.m`.

    Args:
        beta: exponent, at least 1 (the paper: 2).
        V: typical length of the image gradient (the paper: B/6.5).

    Raises:
        UsageError: if beta < 1 or V is not positive.

    Example:
        >>> import torch
        >>> ramp = torch.arange(4.0).expand(1, 1, 4, 4)
        >>> TotalVariation(beta=2, V=1.0).value(ramp)
        tensor([0.7500])
    """

    beta: float = 2.0
    V: float = 80.0 / 6.5
    name: ClassVar[str] = "total_variation"

    def __post_init__(self) -> None:
        _require(self.beta >= 1, "beta of TV^beta must be a number of at least 1", self.beta)
        _require(self.V > 0, "V of TV^beta must be a positive number", self.V)
        _require_power(self.V, self.beta, "beta")

    def value(self, image: Tensor) -> Tensor:
        return self._power(*_differences(image)).flatten(1).sum(1) * self._normalizer(image)

    def add_gradient(self, image: Tensor, into: Tensor) -> Tensor:
        across, down = _differences(image)
        normalizer = self._normalizer(image)
        if self.beta == 2:
            value = (squared_norm(across) + squared_norm(down)) * normalizer
        else:
            power = self._power(across, down)
            value = power.flatten(1).sum(1) * normalizer
            weight = power.clamp_(min=GRADIENT_FLOOR).pow_(1 - 2 / self.beta)
            across *= weight[..., :-1]
            down *= weight[..., :-1, :]
        _subtract_divergence(across, down, into, scale=self.beta * normalizer)
        return value

    def _normalizer(self, image: Tensor) -> float:
        return float(1.0 / (image.shape[-1] * image.shape[-2] * self.V**self.beta))

    def _power(self, across: Tensor, down: Tensor) -> Tensor:
        """(∂ᵤx² + ∂ᵥx²)^(β/2) on the whole canvas, with zeros for the missing last differences."""
        squared = torch.nn.functional.pad(across.square(), (0, 1))
        squared[..., :-1, :] += down.square()
        return squared.pow_(self.beta / 2)


@dataclass(frozen=True, eq=False)
class Distance(Prior):
    """Squared distance to a given image, a pixel: keeps a search near it.

    R = 1/(H·W·B²) · Σ_pixels Σ_k (x_k − y_k)²

    Unlike `TotalVariation` and `BoundedRange`, it says nothing about nature. Without an image it is
    the distance to the mean colour, the plain L2 norm.

    Args:
        reference: y, `[N, C, H, W]` or what broadcasts to it, on the canvas scale; None is zero.
        B: distance of a colour at which the value is one.

    Raises:
        UsageError: if the reference is no finite image, or B is not positive.

    Example:
        >>> import torch
        >>> Distance(torch.zeros(1, 1, 2, 2), B=10).value(torch.full((1, 1, 2, 2), 20.0))
        tensor([4.])
    """

    reference: Tensor | None = field(default=None, repr=False)
    B: float = 1.0
    name: ClassVar[str] = "distance"

    def __post_init__(self) -> None:
        y = self.reference
        if y is not None and not (isinstance(y, Tensor) and bool(torch.isfinite(y).all())):
            got = "others" if isinstance(y, Tensor) else repr(y)
            raise UsageError(f"the reference must be a tensor of finite numbers, got {got}.")
        _require(self.B > 0, "B of the distance must be a positive number", self.B)

    def value(self, image: Tensor) -> Tensor:
        return squared_norm(self._difference(image)) * self._normalizer(image)

    def add_gradient(self, image: Tensor, into: Tensor) -> Tensor:
        difference = self._difference(image)
        into.add_(difference, alpha=2 * self._normalizer(image))
        return squared_norm(difference) * self._normalizer(image)

    def _difference(self, image: Tensor) -> Tensor:
        return image if self.reference is None else image - self.reference

    def _normalizer(self, image: Tensor) -> float:
        return 1.0 / (image.shape[-1] * image.shape[-2] * self.B**2)


def _differences(image: Tensor) -> tuple[Tensor, Tensor]:
    """Forward differences across and down, one column or one row shorter than the image."""
    return image[..., 1:] - image[..., :-1], image[..., 1:, :] - image[..., :-1, :]


def _subtract_divergence(across: Tensor, down: Tensor, into: Tensor, scale: float) -> None:
    """into += scale · ∇ᵀ(across, down), the adjoint of the forward differences."""
    into[..., 1:].add_(across, alpha=scale)
    into[..., :-1].sub_(across, alpha=scale)
    into[..., 1:, :].add_(down, alpha=scale)
    into[..., :-1, :].sub_(down, alpha=scale)


PRIORS: tuple[type[Prior], ...] = (BoundedRange, TotalVariation, Distance)
"""Every prior there is; the contract tests run over this table."""
