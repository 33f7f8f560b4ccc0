"""HOG at two octaves: what the root and the parts of a deformable part model see of one image."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from preimage.representations.grey import GreyRepresentation
from preimage.representations.hog import Hog


class HogOctaves(GreyRepresentation):
    """HOG of an image at half its size and at its own, one behind the other, `[N, D]`.

    Φ(x) = (Φ_HOG(x↓2), Φ_HOG(x)), x↓2 the means of 2 x 2 pixels

    Unlike `Hog`, whose codes have positions, a code here is a vector: first the coarse code
    `[31, h/2, w/2]`, then the fine one `[31, h, w]`, each flattened.

    Args:
        hog: the HOG of both octaves.

    Example:
        >>> from preimage.representations.hog import Hog
        >>> HogOctaves(Hog("hog", cell=8))(torch.zeros(1, 1, 32, 64)).shape
        torch.Size([1, 1240])
    """

    geometry = None

    def __init__(self, hog: Hog) -> None:
        self.model, self.options, self.hog = hog.model, hog.options, hog

    def codes(self, planes: Tensor) -> Tensor:
        coarse = F.avg_pool2d(planes[:, None], 2)[:, 0]
        return torch.cat([self.hog.codes(each).flatten(1) for each in (coarse, planes)], 1)

    @property
    def least_side(self) -> int:
        return 2 * self.hog.least_side

    @property
    def grid(self) -> str:
        return f"{self.hog.grid} at half its size"
