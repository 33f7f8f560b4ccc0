"""The energy of Eq. 1: priors on the whole canvas plus fidelity times the loss on a crop of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from preimage.energy.losses import Loss
from preimage.energy.priors import BoundedRange, Prior, TotalVariation
from preimage.errors import PreimageError, UsageError
from preimage.representations.base import Representation
from preimage.representations.softening import HARD, Softness, softened


def check_fidelity(fidelity: float) -> None:
    """Refuse a C that is no weight.

    Raises:
        UsageError: if it is negative, not a number, or too large for float32.
    """
    if not 0 <= fidelity <= MAX_FIDELITY:
        at_most = f" and at most {MAX_FIDELITY:g}" if fidelity > MAX_FIDELITY else ""
        raise UsageError(f"fidelity C must be a number of at least 0{at_most}, got {fidelity:g}.")


MAX_FIDELITY = 1e30


@dataclass(frozen=True)
class Energy:
    """E(x) = Σ R(x) + C·ℓ(Φ(x), Φ₀), one value per problem of the batch (Eq. 1).

    Args:
        representation: Φ, through which the image is seen.
        loss: ℓ; it holds the targets of all problems.
        priors: R, each already normalized; none is allowed.
        fidelity: C, a number that is not negative.

    Raises:
        UsageError: if C is negative or not a number.

    Example:
        >>> import preimage as pi
        >>> phi = pi.representation("efficientnet-lite0", layer="stem")
        >>> code = phi(phi.photo("photo.jpg"))                                # doctest: +SKIP
        >>> energy = pi.Energy(phi, loss=pi.Euclidean(code), fidelity=300)    # doctest: +SKIP
    """

    representation: Representation
    loss: Loss
    priors: Sequence[Prior] = (BoundedRange(), TotalVariation())
    fidelity: float = 1.0

    def __post_init__(self) -> None:
        check_fidelity(self.fidelity)

    @property
    def term_names(self) -> tuple[str, ...]:
        """`energy`, `loss`, then the priors' names: the columns of `evaluate` and of a trace."""
        return ("energy", "loss", *(prior.name for prior in self.priors))

    def add_gradient(self, image: Tensor, into: Tensor) -> list[Tensor]:
        """Add the priors' gradient to `into`; their values, each `[N]`, in their order."""
        return [prior.add_gradient(image, into) for prior in self.priors]

    def loss_and_gradient(self, view: Tensor, softness: Softness = HARD) -> tuple[Tensor, Tensor]:
        """ℓ of each problem, `[N]`, and C·∂ℓ/∂view; `view` is what the network sees.

        `softness` is that of Φ's derivatives (`representations.softening`).

        The backward pass asks for the view's gradient alone, so no weight gradient is computed
        and nothing is added to anybody's `.grad`.

        Raises:
            PreimageError: if the code does not depend on the view as far as autograd can see.
        """
        leaf = view.detach().requires_grad_()
        with self.representation.at_test_time():
            with torch.enable_grad(), softened(softness, len(view)):
                code = self.representation(leaf)
            value, code_gradient = self.loss.value_and_gradient(code.detach(), self.fidelity)
            (gradient,) = torch.autograd.grad(code, leaf, code_gradient, allow_unused=True)
        if gradient is None:
            raise PreimageError(
                f"{self.representation.name} has no gradient: a part of the network before it runs "
                "under torch.no_grad or detaches what it gives; take that off, or choose a layer "
                "before that part."
            )
        return value, gradient

    @torch.no_grad()
    def evaluate(self, image: Tensor, view: Tensor) -> Tensor:
        """All terms without gradients, `[N, terms]` in the order of `term_names`."""
        loss = self.loss.value(self.representation(view))
        return self.stack(loss, [prior.value(image) for prior in self.priors])

    def stack(self, loss: Tensor, priors: list[Tensor]) -> Tensor:
        """Terms as columns, the total first: `[N, terms]`."""
        total = loss * self.fidelity
        for value in priors:
            total = total + value
        return torch.stack([total, loss, *priors], dim=1)
