"""What restarts of one search have in common: how far their errors and their images spread."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from preimage.errors import PreimageError

Distance = Callable[[Tensor, Tensor], Tensor]
"""Two batches `[N, C, H, W]` to the distance of each pair, `[N]`."""


def restart_spread(errors: Tensor) -> Tensor:
    """Standard deviation of the errors over restarts, √(Σ_r (e_r − ē)²/(R − 1)), `[N]`.

    Its mean over photos is what the middle of Fig. 6 plots, there of the squared error over 24
    restarts. Small where every start ends equally well; the images may still differ, which is what
    `restart_diversity` measures.

    Args:
        errors: `[N, R]`, R restarts of each of N photos, e.g. `squared_error` of each.

    Raises:
        PreimageError: if there are fewer than two restarts.

    Source: Sect. 5.2.2, "Consistency of multiple pre-images"; the divisor R − 1 is the authors'
    program's.

    Example:
        >>> import torch
        >>> restart_spread(torch.tensor([[0.10, 0.12, 0.14]]))
        tensor([0.0200])
    """
    if errors.ndim != 2 or errors.shape[1] < 2:
        raise PreimageError(
            f"expected errors [N, R] of at least 2 restarts, got shape {list(errors.shape)}"
        )
    return errors.std(1)


def restart_diversity(images: Tensor, distance: Distance) -> float:
    """Mean distance of the pre-images of one photo, 2/(R(R−1)) Σ_{r<s} d(x_r, x_s).

    Unlike `restart_spread`, which compares errors, this compares the images: what differs between
    them is what the code does not fix.

    Args:
        images: `[R, C, H, W]` on the canvas scale, R restarts.
        distance: of two batches, `[N]`; e.g. `pixel_distance` or `lpips` with their `mean` given.

    Raises:
        PreimageError: if there are fewer than two restarts.

    Source: Sect. 5.2.5, where the paper looks at such images; the number is ours.

    Example:
        >>> import torch
        >>> from functools import partial
        >>> from preimage.metrics import pixel_distance
        >>> images = torch.tensor([0.0, 25.5, 51.0]).view(3, 1, 1, 1)
        >>> round(restart_diversity(images, partial(pixel_distance, mean=(0.0,))), 4)
        0.1333
    """
    count = len(images)
    if images.ndim != 4 or count < 2:
        raise PreimageError(
            f"expected images [R, C, H, W] of at least 2 restarts, got shape {list(images.shape)}"
        )
    distances = [
        distance(images[i : i + 1].expand_as(images[i + 1 :]), images[i + 1 :])
        for i in range(count - 1)
    ]
    return float(torch.cat(distances).mean())
