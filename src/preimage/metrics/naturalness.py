"""How natural an image's gradients are: histograms of them, compared with a photo's (Sect. 5.2.3).

The paper's text and its authors' program differ. The text compares histograms of gradient
*magnitudes*; the program that drew Fig. 7 compares histograms of *orientations*, in which each
pixel counts with its magnitude. Both are here, on the same gradients.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from types import MappingProxyType

import torch
from torch import Tensor
from torch.nn.functional import pad

from preimage.errors import PreimageError, UsageError, nearest
from preimage.images import to_colours

LUMA = (0.2989, 0.5870, 0.1140)
"""Red, green and blue in grey (ITU-R BT.601), as in the authors' program."""

ORIENTATIONS = 18
"""Bins of 20°, as in the authors' program."""

MAGNITUDES = 64
MAGNITUDE_WIDTH = 2.0
"""The paper gives no bins: these are 2 grey levels per pixel wide, the last one open."""

SOBEL = 8.0
"""Weight of Sobel's filter: by it, a slope of one grey level per pixel has the magnitude 1."""


def gradient_similarity(
    image: Tensor, reference: Tensor, mean: Sequence[float], statistic: str = "magnitude"
) -> Tensor:
    """Histogram intersection of the gradients of each pair, Σ_b min(h_b(x), h_b(x₀)), `[N]`.

    1 for images with the same gradient statistics, 0 where no bin is shared. Unlike `ssim`, it
    does not ask where in the image a gradient stands. Its mean over results is what Fig. 7 plots.

    Args:
        image, reference: `[N, C, H, W]` on the canvas scale, one or three channels; sizes may
            differ between the two.
        mean: mean colour of that canvas scale.
        statistic: `magnitude` (the paper's text) or `orientation` (the authors' program).

    Raises:
        UsageError: if there is no such statistic.
        PreimageError: if an image is flat, which leaves no orientations, or the shapes differ.

    Source: Sect. 5.2.3; the authors' program `exp_naturalness`.

    Example:
        >>> import torch
        >>> photo = torch.linspace(-9, 9, 8).repeat(1, 3, 8, 1)
        >>> gradient_similarity(photo, photo.flip(-1), (127.0,) * 3)
        tensor([1.])
        >>> gradient_similarity(photo, photo.flip(-1), (127.0,) * 3, "orientation")
        tensor([0.])
    """
    if statistic not in STATISTICS:
        raise UsageError(f"no gradient statistic {statistic!r}; {nearest(statistic, STATISTICS)}")
    histogram = STATISTICS[statistic]
    return histogram_intersection(histogram(image, mean), histogram(reference, mean))


def histogram_intersection(histogram: Tensor, other: Tensor) -> Tensor:
    """Σ_b min(p_b, q_b) of each pair of histograms, `[N]`, between 0 and 1.

    Args:
        histogram, other: `[N, B]`, each row summing to 1.

    Raises:
        PreimageError: if the shapes differ.

    Source: Swain and Ballard, *Color indexing*, 1991.

    Example:
        >>> import torch
        >>> histogram_intersection(torch.tensor([[0.5, 0.5]]), torch.tensor([[0.25, 0.75]]))
        tensor([0.7500])
    """
    if histogram.shape != other.shape or histogram.ndim != 2:
        raise PreimageError(
            f"expected two batches of histograms [N, B], got {list(histogram.shape)} and "
            f"{list(other.shape)}"
        )
    return torch.minimum(histogram, other).sum(1)


def magnitude_histogram(image: Tensor, mean: Sequence[float]) -> Tensor:
    """How often each gradient magnitude occurs, `[N, 64]`, each row summing to 1.

    Bins are 2 grey levels per pixel wide: [0, 2), [2, 4) ... and [126, ∞).

    Args:
        image: `[N, C, H, W]` on the canvas scale, one or three channels.
        mean: mean colour of that canvas scale.

    Source: the text of Sect. 5.2.3, which gives no bins.

    Example:
        >>> import torch
        >>> magnitude_histogram(torch.zeros(1, 3, 8, 8), (127.0,) * 3)[0, 0]
        tensor(1.)
    """
    across, down = gradients(image, mean)
    bins = (torch.hypot(across, down) / MAGNITUDE_WIDTH).long().clamp(max=MAGNITUDES - 1)
    return _histogram(bins, torch.ones_like(across), MAGNITUDES).to(image.dtype)


def orientation_histogram(image: Tensor, mean: Sequence[float]) -> Tensor:
    """Share of the gradient magnitude in each of 18 orientations, `[N, 18]`, rows summing to 1.

    Bin b holds directions over (-180° + 20°·b, -160° + 20°·b], the first one -180° as well; angles
    run counter-clockwise from the right. Unlike those of HOG, the bins are not centred on 0°.

    Args:
        image: `[N, C, H, W]` on the canvas scale, one or three channels.
        mean: mean colour of that canvas scale.

    Raises:
        PreimageError: if an image is flat.

    Source: the authors' program `exp_naturalness`.

    Example:
        >>> import torch
        >>> ramp = torch.linspace(-9, 9, 8).repeat(1, 3, 8, 1)
        >>> orientation_histogram(ramp, (127.0,) * 3)[0].nonzero().flatten()
        tensor([8])
    """
    across, down = gradients(image, mean)
    edges = torch.arange(1, ORIENTATIONS, dtype=across.dtype, device=across.device)
    angle = torch.atan2(-down, across)
    bins = torch.bucketize(angle, (edges * 2 / ORIENTATIONS - 1) * math.pi)
    histogram = _histogram(bins, torch.hypot(across, down), ORIENTATIONS)
    if not bool(torch.isfinite(histogram).all()):
        raise PreimageError("a flat image has no gradients, so there are no orientations to count.")
    return histogram.to(image.dtype)


STATISTICS: MappingProxyType[str, Callable[[Tensor, Sequence[float]], Tensor]] = MappingProxyType(
    {"magnitude": magnitude_histogram, "orientation": orientation_histogram}
)
"""The two readings of "gradient statistics"."""


def gradients(image: Tensor, mean: Sequence[float]) -> tuple[Tensor, Tensor]:
    """Slopes to the right and downward by Sobel's filter, `[N, H, W]` each, in grey levels a pixel.

    The image is seen as it is saved: clipped to 0-255, rounded, made grey and rounded again.
    Pixels beyond the border are copies of the outermost.

    Args:
        image: `[N, C, H, W]` on the canvas scale, one or three channels.
        mean: mean colour of that canvas scale.

    Returns:
        float64, so that directions on the edge of a bin fall where they should.

    Raises:
        PreimageError: if there are neither one nor three channels.
    """
    colours = to_colours(image.double(), mean).round()
    if colours.shape[1] not in (1, 3):
        raise PreimageError(f"expected 1 or 3 channels, got {colours.shape[1]}")
    if colours.shape[1] == 3:
        colours = torch.einsum("nchw,c->nhw", colours, colours.new_tensor(LUMA))[:, None].round()
    x = pad(colours, (1, 1, 1, 1), mode="replicate")[:, 0]
    rows = x[:, :-2] + 2 * x[:, 1:-1] + x[:, 2:]
    columns = x[:, :, :-2] + 2 * x[:, :, 1:-1] + x[:, :, 2:]
    across = rows[:, :, 2:] - rows[:, :, :-2]
    down = columns[:, 2:] - columns[:, :-2]
    return across / SOBEL, down / SOBEL


def _histogram(bins: Tensor, weights: Tensor, count: int) -> Tensor:
    """Sums of the weights `[N, H, W]` by bin, each row divided by its total."""
    sums = weights.new_zeros(len(bins), count)
    sums.scatter_add_(1, bins.flatten(1), weights.flatten(1))
    return sums / sums.sum(1, keepdim=True)
