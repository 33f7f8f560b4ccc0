"""What the hand-crafted representations share: grey images of any size, nothing learned."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor

from preimage.errors import PreimageError, UsageError
from preimage.representations.base import Defaults, Representation

MEAN_GREY = 127.0
"""Mean colour of the canvas scale. A whole number, so that photos keep whole-number differences and
codes come out as from the 0-255 grey values; differences do not see the mean itself."""

LEAST_SIDE = 4
"""VLFeat's own least width and height."""


class GreyRepresentation(Representation):
    """A function of grey images `[N, 1, H, W]` of any size, the same for every dtype and device.

    Its codes depend on grey values through differences of neighbours alone, so it can take the
    canvas scale as it is: adding the mean back would change nothing.
    """

    layer = None
    channels = 1
    input_size = None
    mean = (MEAN_GREY,)
    defaults = Defaults(fidelity=100.0, jitter=1)

    def __call__(self, image: Tensor) -> Tensor:
        """Codes `[N, D, h, w]` of a batch of images.

        Raises:
            PreimageError: if it is no batch of floating-point grey images, or they are too small.
        """
        self._check(image)
        planes = image[:, 0]
        if len(planes) == 1 or planes.device.type != "cpu":
            return self.codes(planes)
        # One by one, an image's code does not depend on its batch by a single bit (a vectorized
        # loop rounds its last elements otherwise); a search would magnify what differs. It costs
        # nothing: the planes of one image fit into a CPU's cache.
        return torch.cat([self.codes(plane) for plane in torch.split(planes, 1)])

    @abstractmethod
    def codes(self, planes: Tensor) -> Tensor:
        """Codes of grey planes `[N, H, W]` that are large enough."""

    def _check(self, image: Tensor) -> None:
        if image.dim() != 4 or image.shape[1] != 1:
            raise PreimageError(
                f"{self.name} sees grey images: expected a tensor [N, 1, H, W], got "
                f"{list(image.shape)}; average the colours first."
            )
        if not image.is_floating_point():
            raise PreimageError(
                f"{self.name} takes images as floating-point tensors, got {image.dtype}."
            )
        least = self.least_side
        if min(image.shape[-2:]) < least:
            height, width = image.shape[-2:]
            raise PreimageError(
                f"{self.name}: expected an image of at least {least}x{least} pixels for "
                f"{self.grid}, got {width}x{height}: give a larger image or smaller cells."
            )

    def positions(self, code_shape: Sequence[int]) -> tuple[int, int]:
        """Rows and columns of a code from outside.

        Raises:
            PreimageError: if its shape is not that of a code.
        """
        if len(code_shape) != 3 or 0 in code_shape:
            raise PreimageError(
                f"{self.name} has codes of shape [D, h, w], this one is {list(code_shape)}: "
                "give the model it was made with."
            )
        return code_shape[1], code_shape[2]

    @property
    @abstractmethod
    def least_side(self) -> int:
        """Least width and height of an image."""

    @property
    @abstractmethod
    def grid(self) -> str:
        """What an image of that size holds, in words for messages."""


def check_pixels(value: int, what: str) -> int:
    """A length in pixels from outside.

    Raises:
        UsageError: if it is no whole number of at least 1.
    """
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise UsageError(f"{what} must be a whole number of pixels, at least 1, got {value!r}.")
    return value
