"""The canvas scale: the one place where pixels become canvas values and back.

Pixels are uint8, 0 to 255, height first. The canvas scale is float32, batch and channels first,
and counts from the data set's mean colour: ``x = pixel - mean``.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from preimage.errors import PreimageError, counted


def to_canvas(image: Image.Image | np.ndarray, mean: Sequence[float]) -> Tensor:
    """Pixels to the canvas scale: ``x = pixel - mean``.

    Args:
        image: mode "RGB" or "L", or uint8 ``[H, W]`` or ``[H, W, C]``.
        mean: mean colour, one number from 0 to 255 for each channel.

    Returns:
        float32 ``[1, C, H, W]`` on the CPU.

    Raises:
        PreimageError: other shapes or types, or as many channels as ``mean`` has not.

    >>> to_canvas(np.full((2, 2), 130, np.uint8), mean=(127.0,)).flatten()
    tensor([3., 3., 3., 3.])
    """
    pixels = np.asarray(image)
    if pixels.ndim == 2:
        pixels = pixels[:, :, None]
    if pixels.dtype != np.uint8 or pixels.ndim != 3:
        raise PreimageError(
            f"expected pixels as uint8 [H, W] or [H, W, C], got {pixels.dtype} {list(pixels.shape)}"
        )
    _check_channels(pixels.shape[2], mean)
    planes = torch.from_numpy(pixels.transpose(2, 0, 1).astype(np.float32, order="C"))
    return (planes - _planes(mean, planes))[None]


def to_pixels(image: Tensor, mean: Sequence[float]) -> np.ndarray:
    """The canvas scale to pixels: ``clip(round(x + mean), 0, 255)``; never stretched.

    Unlike :func:`stretch`, the same canvas value is always the same pixel.

    Args:
        image: ``[C, H, W]`` or ``[1, C, H, W]``, on any device.
        mean: mean colour, one number from 0 to 255 for each channel.

    Returns:
        uint8 ``[H, W, C]``, or ``[H, W]`` for one channel.

    Raises:
        PreimageError: other shapes, or values that are not finite.

    >>> to_pixels(torch.tensor([[[-200.0, 0.4, 3.0]]]), mean=(127.0,))
    array([[  0, 127, 130]], dtype=uint8)
    """
    return _bytes(_colours(image, mean))


def stretch(image: Tensor, mean: Sequence[float]) -> np.ndarray:
    """Pixels with the image's contrast stretched to the full range, as in the paper's figures.

    ``255 (y - min y) / (max y - min y)`` with ``y = x + mean`` and the extremes over all
    channels together. For display only: unlike :func:`to_pixels`, this changes colours. A flat
    image has no contrast and is shown as it is.

    Args:
        image: ``[C, H, W]`` or ``[1, C, H, W]``, on any device.
        mean: mean colour, one number from 0 to 255 for each channel.

    Returns:
        uint8 ``[H, W, C]``, or ``[H, W]`` for one channel.

    Raises:
        PreimageError: other shapes, or values that are not finite.

    >>> stretch(torch.tensor([[[-1.0, 0.0, 1.0]]]), mean=(127.0,))
    array([[  0, 128, 255]], dtype=uint8)
    """
    colours = _colours(image, mean)
    low, high = colours.min(), colours.max()
    if high > low:
        colours = (colours - low) * (255.0 / (high - low))
    return _bytes(colours)


def to_colours(image: Tensor, mean: Sequence[float]) -> Tensor:
    """The canvas scale to colours, for measuring: ``clip(x + mean, 0, 255)``.

    Unlike :func:`to_pixels`, this takes a batch, keeps its type and device, and does not round.

    Args:
        image: ``[N, C, H, W]``.
        mean: mean colour, one number from 0 to 255 for each channel.

    Returns:
        ``[N, C, H, W]``, a new tensor.

    Raises:
        PreimageError: other shapes, or as many channels as ``mean`` has not.

    >>> to_colours(torch.tensor([[[[-200.0, 0.5, 3.0]]]]), mean=(127.0,)).flatten()
    tensor([  0.0000, 127.5000, 130.0000])
    """
    if image.ndim != 4 or image.numel() == 0:
        raise PreimageError(f"expected images [N, C, H, W], got shape {list(image.shape)}")
    _check_channels(image.shape[1], mean)
    return (image + _planes(mean, image)).clamp(0, 255)


def squared_length(image: Tensor) -> Tensor:
    """Squared length of every pixel's colour vector, ``Σ_k x_k²``, in float32 as the image.

    Args:
        image: ``[N, C, H, W]``.

    Returns:
        ``[N, 1, H, W]``, a new tensor.

    >>> squared_length(torch.tensor([3.0, 4.0]).view(1, 2, 1, 1)).flatten()
    tensor([25.])
    """
    # Channel by channel: PyTorch's reductions over a dimension that is not the last are slow on a
    # CPU (its norm a hundred times slower than this).
    first, *others = image.unbind(1)
    total = first * first
    for channel in others:
        total = total.addcmul_(channel, channel)
    return total.unsqueeze(1)


def _colours(image: Tensor, mean: Sequence[float]) -> Tensor:
    if image.ndim == 4 and image.shape[0] == 1:
        image = image[0]
    if image.ndim != 3 or image.numel() == 0:
        raise PreimageError(f"expected one image [C, H, W], got shape {list(image.shape)}")
    _check_channels(image.shape[0], mean)
    # float64: the float32 sum of a canvas value and its mean can land on the other side of a half.
    planes = image.detach().cpu().double()
    if not bool(torch.isfinite(planes).all()):
        raise PreimageError("expected finite values, got NaN or infinity: the search has diverged")
    return planes + _planes(mean, planes)


def _bytes(colours: Tensor) -> np.ndarray:
    pixels = colours.round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0)
    return np.ascontiguousarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)


def _planes(mean: Sequence[float], like: Tensor) -> Tensor:
    return torch.tensor(mean, dtype=like.dtype, device=like.device)[:, None, None]


def _check_channels(channels: int, mean: Sequence[float]) -> None:
    if channels != len(mean):
        raise PreimageError(
            f"expected {counted(len(mean), 'channel')}, as many as the mean colour has, "
            f"got {channels}"
        )
