"""Reconstruction errors in code space."""

from __future__ import annotations

from torch import Tensor

from preimage.energy.losses import Euclidean


def squared_error(code: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
    """Squared relative error of each problem, ‖(Φ−Φ₀)⊙M‖²/‖Φ₀⊙M‖² (Eqs. 2, 3), `[N]`.

    This is what Fig. 6 plots. Unlike `relative_error`, it is the loss itself.

    Args:
        code: Φ, `[N, D, h, w]` or `[N, D]`.
        target: Φ₀, of the same shape.
        mask: M, numbers of at least 0 that broadcast against the target.

    Raises:
        PreimageError: if the target is zero where it counts, or the shapes differ.

    Example:
        >>> import torch
        >>> squared_error(torch.tensor([[3.0, 0.0]]), torch.tensor([[3.0, 4.0]]))
        tensor([0.6400])
    """
    return Euclidean(target, mask).value(code)


def relative_error(code: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
    """Relative error of each problem, ‖(Φ−Φ₀)⊙M‖/‖Φ₀⊙M‖, `[N]`, a fraction.

    This is what Table 2 prints, in per cent. Unlike `squared_error`, it is not squared.

    Example:
        >>> import torch
        >>> relative_error(torch.tensor([[3.0, 0.0]]), torch.tensor([[3.0, 4.0]]))
        tensor([0.8000])
    """
    return squared_error(code, target, mask).sqrt()
