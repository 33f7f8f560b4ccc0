"""Softened derivatives for the kinks of networks: ReLU and max pooling.

A ReLU lets a gradient through or not, and max pooling sends all of a cell's gradient to the pixel
that is largest now: such a derivative knows nothing of what lies a small step away, and a search
that trusts it is told to grow whatever happens to win. Here the derivative is that of the
neighbourhood: what a ReLU lets through on the average over a range of inputs, and for every pixel
of a window a share of the gradient, larger the nearer it is to the maximum. As with the hard bins
of HOG, only the derivative changes: codes, errors and energies are those of the network as it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import lru_cache, partial, reduce
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from preimage.errors import UsageError

Sides = int | Sequence[int]


@dataclass(frozen=True)
class Softness:
    """How wide a neighbourhood derivatives speak of; 0 is the derivative itself.

    Both are in units of a layer's own activations, so that one number suits all layers: of the root
    mean square, per problem, of what a ReLU is given and of what a max pooling gives.

    Attributes:
        relu: s; ∂y/∂z is the mean of ReLU's derivative over z ± s·rms(z).
        pooling: s; ∂y/∂x is softmax(x / (s·rms(y))) over a window. From about 10 on, it is the
            derivative of the mean.

    Raises:
        UsageError: if a value is negative or not a number.
    """

    relu: float = 0.0
    pooling: float = 0.0

    def __post_init__(self) -> None:
        for name, value in (("relu", self.relu), ("pooling", self.pooling)):
            if not (math.isfinite(value) and value >= 0):
                raise UsageError(
                    f"the softness of {name} must be a number of at least 0, got {value:g}."
                )


HARD = Softness()
"""Every derivative as it is."""


def softened(softness: Softness, problems: int | None = None) -> AbstractContextManager[Any]:
    """Within this, ReLU, ReLU6 and max pooling over images have softened derivatives.

    What is computed forward stays the same to the last bit. Windows with gaps (dilation), adaptive
    pooling, pooling that is asked for its indices, networks that were scripted or traced by
    `torch.jit`, and parts that are computed again for the backward pass (`torch.utils.checkpoint`)
    keep their own derivative, and so does every other function.

    Source: straight-through estimators (Bengio et al. 2013) and graduated non-convexity (Blake &
    Zisserman 1987); measured in docs/solvers.md.

    Args:
        softness: of ReLU and of max pooling.
        problems: how many there are. Activations that have not one entry for each (a sequence
            before the batch, all places as one batch) keep their own derivative, because nobody
            can tell whose is whose. By default the first dimension is that of the problems.

    Example:
        >>> x = torch.tensor([[-1.0, 1.0]], requires_grad=True)
        >>> with softened(Softness(relu=2.0)):
        ...     y = torch.nn.functional.relu(x)
        >>> y.tolist(), torch.autograd.grad(y.sum(), x)[0].tolist()
        ([[0.0, 1.0]], [[0.25, 0.75]])
    """
    return nullcontext() if softness == HARD else _Softened(softness, problems)


class _Softened(TorchFunctionMode):
    """While this is entered, the functions of `SOFT` have softened derivatives."""

    def __init__(self, softness: Softness, problems: int | None) -> None:
        super().__init__()
        self.softness, self.problems = softness, problems

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        soft = SOFT.get(func)
        if soft is None or not self._concerns(args[0] if args else kwargs["input"]):
            return func(*args, **kwargs)
        return soft(func, self.softness, *args, **kwargs)

    def _concerns(self, input: Tensor) -> bool:
        """Whether a gradient will come back through this, and problems can be told apart."""
        if not (input.requires_grad and torch.is_grad_enabled() and input.is_floating_point()):
            return False
        if input.dim() == 0 or input.numel() == 0 or _hooks(False) is not None:
            return False
        return self.problems is None or len(input) == self.problems


_hooks: Callable[[bool], Any] = getattr(
    torch._C._autograd, "_top_saved_tensors_default_hooks", lambda ignored: None
)
"""What is called with every tensor that is saved for a backward pass, None where nothing is.

A checkpoint computes again what it saw being saved, when softened functions are no longer in force.
"""


def _size(activations: Tensor) -> Tensor:
    """Root mean square of every problem's activations, `[N, 1, ...]`."""
    # One reduction for each, as for one alone: a batch must not change the order of a sum.
    wide = torch.promote_types(activations.dtype, torch.float32)
    norms = torch.stack([torch.linalg.vector_norm(one, dtype=wide) for one in activations])
    size: Tensor = (norms / activations[0].numel() ** 0.5).to(activations.dtype)
    return size.view(-1, *[1] * (activations.dim() - 1))


def _width(softness: float, activations: Tensor) -> Tensor:
    """Softness in the units of every problem's activations; above zero where they are all zero."""
    return (softness * _size(activations)).clamp_(min=torch.finfo(activations.dtype).tiny ** 0.5)


class _Clipped(torch.autograd.Function):
    """y = clip(z, 0, top); ∂y/∂z its mean over z ± width."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, softness: float, top: float, inplace: bool) -> Tensor:
        # 3/width·z, on which `hardsigmoid` is the part of z ± width that lies above zero.
        steepness = 3 / _width(softness, z)
        passed = functional.hardsigmoid(z * steepness, inplace=True)
        if top < math.inf:
            # In place, because new memory for large maps takes longer than all of this.
            below_top = (top - z).mul_(steepness)
            passed += functional.hardsigmoid(below_top, inplace=True).sub_(1)
        ctx.save_for_backward(passed)
        if inplace:
            ctx.mark_dirty(z)
            return z.clamp_(0, top)
        return z.clamp(0, top)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (passed,) = ctx.saved_tensors
        return gradients[0] * passed, None, None, None


def _clipped(
    softness: Softness, input: Tensor, top: float, inplace: bool, own: Callable[[], Any]
) -> Any:
    """clip(input, 0, top) with a softened derivative; as it is, `own()`, where it is not soft."""
    if softness.relu == 0:
        return own()
    return _Clipped.apply(input, softness.relu, top, inplace)  # type: ignore[no-untyped-call]


def _relu(own: Any, softness: Softness, input: Tensor, inplace: bool = False) -> Any:
    # `torch.relu` knows no `inplace`.
    hard = partial(own, input, inplace=True) if inplace else partial(own, input)
    return _clipped(softness, input, math.inf, inplace, hard)


def _relu_(own: Any, softness: Softness, input: Tensor) -> Any:
    return _clipped(softness, input, math.inf, True, partial(own, input))


def _relu6(own: Any, softness: Softness, input: Tensor, inplace: bool = False) -> Any:
    return _clipped(softness, input, 6.0, inplace, partial(own, input, inplace))


def _hardtanh(
    own: Any,
    softness: Softness,
    input: Tensor,
    min_val: float = -1.0,
    max_val: float = 1.0,
    inplace: bool = False,
) -> Any:
    """ReLU6 is written as this; with another lower bound it is not a ReLU."""
    hard = partial(own, input, min_val, max_val, inplace)
    if min_val != 0 or max_val <= min_val:
        return hard()
    return _clipped(softness, input, max_val, inplace, hard)


class _MaxPool(torch.autograd.Function):
    """y = max over windows; ∂y/∂x = softmax(x/τ) over each window, τ = softness·rms(y).

    What a window reaches beyond the image has no share, and neither has what a network itself
    padded with minus infinity.
    """

    @staticmethod
    def forward(
        ctx: Any,
        image: Tensor,
        softness: float,
        kernel: tuple[int, int],
        stride: tuple[int, int],
        padding: tuple[int, int],
        ceil_mode: bool,
    ) -> Tensor:
        cells = _cells((image.shape[-2], image.shape[-1]), kernel, stride, padding, ceil_mode)
        ctx.softness, ctx.windows = softness, (cells, kernel, stride, padding)
        whole, rows, columns, _ = _windows(image, *ctx.windows)
        # PyTorch's own also finds out where the maximum is, which takes ten times as long.
        tall = reduce(torch.maximum, [whole[..., row, :] for row in rows])
        pooled = reduce(torch.maximum, [tall[..., column] for column in columns])
        ctx.save_for_backward(image, pooled)
        # A copy, which the network may change in place; dense, and in the image's memory format.
        return pooled.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        image, pooled = ctx.saved_tensors
        # A window with nothing inside has no maximum; no pixel gets anything from it.
        highest = pooled.masked_fill(pooled == -torch.inf, 0)
        # Of powers of two, which take a third of the time that `exp` does, less where they vanish.
        sharpness = math.log2(math.e) / _width(ctx.softness, highest)
        whole, rows, columns, inside = _windows(image, *ctx.windows)
        places = [(..., row, column) for row in rows for column in columns]
        # Not `softmax`, whose rounding depends on what else is in the batch.
        scaled, top = whole * sharpness, highest * sharpness
        shares = [_exp2(scaled[place] - top) for place in places]
        total = torch.zeros_like(pooled)
        for share in shares:
            total += share
        # The maximum's own share is 2**0 = 1: less is an empty window.
        each = gradients[0] / total.clamp_(min=1)
        spread = torch.zeros_like(whole)
        for place, share in zip(places, shares, strict=True):
            spread[place] += share.mul_(each)
        return spread[inside], None, None, None, None, None


def _exp2(activations: Tensor) -> Tensor:
    """2 to the power of these, in place, each problem's to the same last bit in any batch."""
    # On a CPU rounding depends on where in memory a value lies.
    for part in activations if activations.is_cpu else (activations,):
        part.exp2_()
    return activations


@lru_cache(maxsize=64)
def _cells(
    sides: tuple[int, int],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int],
    ceil_mode: bool,
) -> tuple[int, int]:
    """Height and width of what is pooled, as PyTorch counts them."""
    nothing = torch.empty(1, 1, *sides, device="meta")
    pooled = torch.max_pool2d(nothing, kernel, stride, padding, 1, ceil_mode)
    return pooled.shape[-2], pooled.shape[-1]


Place = tuple[Any, ...]


def _windows(
    image: Tensor,
    cells: tuple[int, int],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int],
) -> tuple[Tensor, list[slice], list[slice], Place]:
    """The image in all that its windows reach, where their pixels lie in it, and where it lies.

    There is a slice of rows for each row of the kernel and one of columns for each of its columns,
    both with one entry for each cell.
    """
    sides, beyond = image.shape[-2:], []
    for side, cell, k, step, pad in zip(sides, cells, kernel, stride, padding, strict=True):
        beyond.append((pad, max((cell - 1) * step + k - side - pad, 0)))
    (top, bottom), (left, right) = beyond
    margins = (left, right, top, bottom)
    # Margins of zero would be a copy.
    whole = functional.pad(image, margins, value=-torch.inf) if any(margins) else image
    rows, columns = (
        [slice(i, i + (cell - 1) * step + 1, step) for i in range(k)]
        for cell, k, step in zip(cells, kernel, stride, strict=True)
    )
    return whole, rows, columns, (..., slice(top, top + sides[0]), slice(left, left + sides[1]))


def _pair(sides: Sides) -> tuple[int, int]:
    both = sides if isinstance(sides, Sequence) else (sides,)
    return int(both[0]), int(both[-1])


_own_max_pool2d: Any = functional.max_pool2d
"""`torch.max_pool2d` has no indices to give."""


def _max_pool2d(
    own: Any,
    softness: Softness,
    input: Tensor,
    kernel_size: Sides,
    stride: Sides | None = None,
    padding: Sides = 0,
    dilation: Sides = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    # `torch.max_pool2d` says () where `functional.max_pool2d` says None.
    step = kernel_size if stride is None or stride in ((), []) else stride
    if input.dim() != 4 or softness.pooling == 0 or return_indices or _pair(dilation) != (1, 1):
        return _own_max_pool2d(
            input, kernel_size, step, padding, dilation, ceil_mode, return_indices=return_indices
        )
    windows = (_pair(kernel_size), _pair(step), _pair(padding), bool(ceil_mode))
    return _MaxPool.apply(input, softness.pooling, *windows)  # type: ignore[no-untyped-call]


SOFT: dict[Any, Callable[..., Any]] = {
    functional.relu: _relu,
    torch.relu: _relu,
    Tensor.relu: _relu,
    torch.relu_: _relu_,
    Tensor.relu_: _relu_,
    functional.relu6: _relu6,
    functional.hardtanh: _hardtanh,
    functional.max_pool2d: _max_pool2d,
    torch.max_pool2d: _max_pool2d,
}
"""What is replaced, and by what."""
