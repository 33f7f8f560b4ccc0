"""The few layers that the networks here need and PyTorch does not have."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Sides = tuple[int, int, int, int]
"""Rows above and below, columns on the left and on the right: MatConvNet's order of padding."""


class FullyConnected(nn.Linear):
    """A linear layer on a whole feature map, flattened first.

    ``y = W vec(x) + b``. Unlike ``nn.Flatten`` followed by ``nn.Linear``, this is one layer,
    so that a network's layers carry Table 1's names (fc6) and no others.

    Args:
        in_shape: channels, height and width of the map, or the channels of a vector.
        out_features: length of the output.

    Input ``[N, *in_shape]``, output ``[N, out_features]``.

    >>> import torch
    >>> FullyConnected((2, 3, 3), 5)(torch.zeros(1, 2, 3, 3)).shape
    torch.Size([1, 5])
    """

    def __init__(self, in_shape: tuple[int, ...], out_features: int) -> None:
        in_features = 1
        for side in in_shape:
            in_features *= side
        super().__init__(in_features, out_features)
        self.in_shape = in_shape

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input.flatten(1))


class SameConv2d(nn.Conv2d):
    """A strided convolution padded as TensorFlow's "SAME": output side = ceil(side / stride).

    Unlike ``nn.Conv2d(padding=k // 2)``, an odd amount of padding puts the extra row below and
    the extra column on the right, so that the sampling grid is shifted by half a step.

    Args: as ``nn.Conv2d``, without padding and dilation.

    Input ``[N, C, H, W]``, output ``[N, D, ceil(H/stride), ceil(W/stride)]``.

    Source: TensorFlow, ``tf.nn.convolution``, note on padding.

    >>> import torch
    >>> SameConv2d(3, 8, kernel_size=3, stride=2)(torch.zeros(1, 3, 7, 8)).shape
    torch.Size([1, 8, 4, 4])
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, stride: int, groups: int = 1
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, stride=stride, groups=groups)

    def padding_before_after(self, side: int, axis: int) -> tuple[int, int]:
        """Rows (axis 0) or columns (axis 1) of zeros before and after a map of that side."""
        kernel, stride = self.kernel_size[axis], self.stride[axis]
        total = max((-(-side // stride) - 1) * stride + kernel - side, 0)
        return total // 2, total - total // 2

    def forward(self, input: Tensor) -> Tensor:
        rows = self.padding_before_after(input.shape[-2], 0)
        columns = self.padding_before_after(input.shape[-1], 1)
        return super().forward(F.pad(input, (*columns, *rows)))


class PaddedConv2d(nn.Conv2d):
    """A convolution with its own number of zeros on each side.

    Unlike ``SameConv2d``, the padding is fixed, whatever the size of the image.

    Args:
        pad: zeros above, below, on the left and on the right.
        others: as ``nn.Conv2d``, without padding.

    Input ``[N, C, H, W]``, output side ``floor((H + before + after - reach) / stride) + 1``.

    Source: MatConvNet, ``vl_nnconv``.

    >>> PaddedConv2d(1, 2, 3, pad=(0, 1, 0, 1), stride=2)(torch.zeros(1, 1, 4, 4)).shape
    torch.Size([1, 2, 2, 2])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        pad: Sides,
        stride: int | tuple[int, int] = 1,
        dilation: int | tuple[int, int] = 1,
        groups: int = 1,
        bias: bool = True,
    ) -> None:
        super().__init__(
            *(in_channels, out_channels, kernel_size, stride),
            dilation=dilation,
            groups=groups,
            bias=bias,
        )
        self.pad = pad

    def padding_before_after(self, side: int, axis: int) -> tuple[int, int]:
        """Rows (axis 0) or columns (axis 1) of zeros before and after a map."""
        return self.pad[2 * axis], self.pad[2 * axis + 1]

    def forward(self, input: Tensor) -> Tensor:
        top, bottom, left, right = self.pad
        return super().forward(F.pad(input, (left, right, top, bottom)))


class PaddedMaxPool2d(nn.MaxPool2d):
    """The largest value of a window, with its own padding on each side.

    Padding never wins: it is minus infinity. Unlike ``nn.MaxPool2d(ceil_mode=True)``, where windows
    may reach past the border is said by the padding.

    Args:
        pad: rows above and below, columns on the left and on the right; less than the window.
        others: as ``nn.MaxPool2d``.

    Input ``[N, C, H, W]``, output side ``floor((H + before + after - kernel) / stride) + 1``.

    Source: MatConvNet, ``vl_nnpool``.

    >>> PaddedMaxPool2d(3, 2, pad=(0, 1, 0, 1))(torch.zeros(1, 1, 26, 26)).shape
    torch.Size([1, 1, 13, 13])
    """

    def __init__(
        self, kernel_size: int | tuple[int, int], stride: int | tuple[int, int], pad: Sides
    ) -> None:
        super().__init__(kernel_size, stride)
        self.pad = pad

    def padding_before_after(self, side: int, axis: int) -> tuple[int, int]:
        """Rows (axis 0) or columns (axis 1) added before and after a map."""
        return self.pad[2 * axis], self.pad[2 * axis + 1]

    def forward(self, input: Tensor) -> Tensor:
        top, bottom, left, right = self.pad
        padded = F.pad(input, (left, right, top, bottom), value=-torch.inf)
        pooled: Tensor = super().forward(padded)
        return pooled


class PaddedAvgPool2d(nn.AvgPool2d):
    """The mean of that part of a window which lies inside the image.

    Args and shapes: as ``PaddedMaxPool2d``.

    Source: MatConvNet, ``vl_nnpool``.

    >>> PaddedAvgPool2d(2, 2, pad=(0, 1, 0, 1))(torch.ones(1, 1, 3, 3)).flatten()
    tensor([1., 1., 1., 1.])
    """

    def __init__(
        self, kernel_size: int | tuple[int, int], stride: int | tuple[int, int], pad: Sides
    ) -> None:
        super().__init__(kernel_size, stride)
        self.pad = pad

    def padding_before_after(self, side: int, axis: int) -> tuple[int, int]:
        """Rows (axis 0) or columns (axis 1) added before and after a map."""
        return self.pad[2 * axis], self.pad[2 * axis + 1]

    def forward(self, input: Tensor) -> Tensor:
        top, bottom, left, right = self.pad
        sides = (left, right, top, bottom)
        inside = F.pad(torch.ones_like(input[:1, :1]), sides)
        return super().forward(F.pad(input, sides)) / super().forward(inside)


class CrossChannelNorm(nn.Module):
    """Local response normalization over neighbouring channels.

    ``y_k = x_k / (kappa + alpha * sum_j x_j^2)^beta`` with j from ``k - floor((N-1)/2)`` to
    ``k + ceil((N-1)/2)``, as far as there are such channels. Unlike ``nn.LocalResponseNorm`` (and
    Caffe's prototxt), alpha is not divided by N.

    Args:
        size: N, channels in the sum.
        kappa, alpha, beta: as in the formula.

    Input and output ``[N, C, H, W]``.

    Source: MatConvNet, ``vl_nnnormalize``; Krizhevsky, Sutskever & Hinton (2012), Sect. 3.3.

    >>> CrossChannelNorm(1, kappa=1.0, alpha=3.0, beta=0.5)(torch.ones(1, 1, 1, 1)).item()
    0.5
    """

    def __init__(self, size: int, kappa: float, alpha: float, beta: float) -> None:
        super().__init__()
        self.size, self.kappa, self.alpha, self.beta = size, kappa, alpha, beta

    def forward(self, input: Tensor) -> Tensor:
        channels, before = input.shape[1], (self.size - 1) // 2
        after = self.size - 1 - before
        # Channels first in the padding's order last: F.pad counts from the last dimension.
        squares = F.pad(input * input, (0, 0, 0, 0, before, after))
        total = squares[:, :channels]
        for shift in range(1, self.size):
            total = total + squares[:, shift : shift + channels]
        normed: Tensor = input * (self.kappa + self.alpha * total).pow(-self.beta)
        return normed

    def extra_repr(self) -> str:
        return f"{self.size}, kappa={self.kappa}, alpha={self.alpha}, beta={self.beta}"


class Concat(nn.Module):
    """Channels of several maps behind each other: ``[N, C_i, H, W]`` to ``[N, sum C_i, H, W]``."""

    def forward(self, *inputs: Tensor) -> Tensor:
        return torch.cat(inputs, dim=1)


class Sum(nn.Module):
    """Sum of several maps of the same shape."""

    def forward(self, *inputs: Tensor) -> Tensor:
        total = inputs[0]
        for other in inputs[1:]:
            total = total + other
        return total
