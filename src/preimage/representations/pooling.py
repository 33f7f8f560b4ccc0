"""Another derivative for max pooling: that of the mean over the same windows.

Max pooling sends all of a cell's gradient to the pixel that is largest now. A search that starts
from noise is told to grow whatever happens to win; the derivative of the mean tells every pixel of
the window, so that the code itself can choose. As with the hard bins of HOG, only the derivative
changes: codes, errors and energies are those of the network as it is.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from preimage.errors import UsageError

Sides = int | tuple[int, int]

_own: Any = functional.max_pool2d


class _MaxForwardMeanBackward(torch.autograd.Function):
    """y = max over windows; ∂/∂x that of the mean over the part of each window in the image.

    Networks whose padding has a side of its own pad with minus infinity before they pool: what is
    minus infinity in an image's first channel lies outside too.
    """

    @staticmethod
    def forward(
        ctx: Any, image: Tensor, kernel: Sides, stride: Sides, padding: Sides, ceil_mode: bool
    ) -> Tensor:
        ctx.save_for_backward(image)
        ctx.windows = (_pair(kernel), _pair(stride), _pair(padding), ceil_mode)
        return torch.max_pool2d(image, kernel, stride, padding, 1, ceil_mode)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (image,) = ctx.saved_tensors
        inside_only, no_divisor = False, None
        windows: Any = (*ctx.windows, inside_only, no_divisor)
        inside = (image[:1, :1] > -torch.inf).to(image.dtype)
        share = functional.avg_pool2d(inside, *windows).clamp_(min=LEAST_SHARE)
        spread = torch.ops.aten.avg_pool2d_backward(gradients[0] / share, image, *windows)
        return spread, None, None, None, None


LEAST_SHARE = 1e-4
"""Less than a pixel's. A window with nothing inside has 0; what it gives to pixels is cut off."""


def _pair(sides: Sides) -> list[int]:
    return [sides, sides] if isinstance(sides, int) else list(sides)


def _max_pool2d(
    input: Tensor,
    kernel_size: Sides,
    stride: Sides | None = None,
    padding: Sides = 0,
    dilation: Sides = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """`torch.nn.functional.max_pool2d`, with the derivative of the mean where that is possible."""
    step = stride or kernel_size
    plain = input.dim() == 4 and _pair(dilation) == [1, 1] and not return_indices
    if not (plain and input.requires_grad and torch.is_grad_enabled()):
        windows = (kernel_size, step, padding, dilation, ceil_mode)
        return _own(input, *windows, return_indices=return_indices)
    return _MaxForwardMeanBackward.apply(input, kernel_size, step, padding, ceil_mode)  # type: ignore[no-untyped-call]


MAX_POOLING: dict[Any, Any] = {functional.max_pool2d: _max_pool2d, torch.max_pool2d: _max_pool2d}
"""The functions that are replaced."""


class _MeanDerivative(TorchFunctionMode):
    """While this is entered, max pooling has the derivative of the mean."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        return MAX_POOLING.get(func, func)(*args, **(kwargs or {}))


POOLINGS: dict[str, type[AbstractContextManager[Any]]] = {
    "max": nullcontext,
    "mean": _MeanDerivative,
}
"""Whose derivative max pooling has: its own or that of the mean."""


def derivative_of(pooling: str) -> AbstractContextManager[Any]:
    """Within this, max pooling over images has the derivative that is named.

    ∂y/∂x of `mean` is 1/n for each of the n pixels of a window that lie in the image; what is
    computed forward is the maximum in any case. Windows with gaps (dilation), adaptive pooling,
    pooling that is asked for its indices, and networks that were scripted or traced by
    `torch.jit` keep their own derivative.

    Args:
        pooling: a name of `POOLINGS`.

    Raises:
        UsageError: if there is none of that name.

    Source: straight-through estimators (Bengio et al. 2013); measured in docs/solvers.md.

    Example:
        >>> x = torch.tensor([[[[1.0, 4.0]]]], requires_grad=True)
        >>> with derivative_of("mean"):
        ...     y = torch.nn.functional.max_pool2d(x, (1, 2))
        >>> y.item(), torch.autograd.grad(y, x)[0].tolist()
        (4.0, [[[[0.5, 0.5]]]])
    """
    check_pooling(pooling)
    return POOLINGS[pooling]()


def check_pooling(pooling: str) -> None:
    """Refuse a name that is not in `POOLINGS`.

    Raises:
        UsageError: with the names there are.
    """
    if pooling not in tuple(POOLINGS):
        raise UsageError(f"pooling must be one of {', '.join(POOLINGS)}, got {pooling!r}.")
