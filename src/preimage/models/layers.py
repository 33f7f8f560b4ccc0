"""The few layers that the networks here need and PyTorch does not have."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


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
