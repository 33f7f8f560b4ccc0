"""Projections onto the feasible set, applied to the canvas after every step."""

from __future__ import annotations

from torch import Tensor

from preimage.images import squared_length


def project_ball_(image: Tensor, radius: float) -> Tensor:
    """Scale every pixel's colour vector back onto a ball, in place (the hard bound of Eq. 6).

    x(v,u) ← x(v,u) · min(1, B₊ / ‖x(v,u)‖)

    Unlike `BoundedRange`, which prices long colour vectors, this forbids them.

    Args:
        image: `[N, C, H, W]` on the canvas scale.
        radius: B₊ > 0.

    Example:
        >>> project_ball_(torch.full((1, 1, 1, 2), 320.0), 160.0)
        tensor([[[[160., 160.]]]])
    """
    squared = squared_length(image).clamp_(min=radius**2)
    return image.mul_(squared.rsqrt_().mul_(radius))
