"""What every representation is: a differentiable function from images to codes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from preimage.images import load_photo, to_canvas

if TYPE_CHECKING:
    from PIL.Image import Image

    from preimage.models.catalogue import WeightsRecord


@dataclass(frozen=True)
class Geometry:
    """Where in the image a component of a code looks.

    Attributes:
        receptive_field: side of the square of pixels a component depends on (Table 1's "size").
        stride: step between neighbouring components, in pixels.
        offset: position of the centre of the first component's receptive field, in pixels,
            where 0 is the centre of the image's first pixel.
    """

    receptive_field: int
    stride: int
    offset: float


@dataclass(frozen=True)
class Defaults:
    """Settings a representation suggests for its own inversion (Sect. 5.2.1).

    Attributes:
        fidelity: C of Eq. 1.
        jitter: T of Eq. 7, in pixels; 1 is none.
        early: whether the layer stands in the first four fifths of its network, whatever it sees.
    """

    fidelity: float
    jitter: int
    early: bool = False


class Representation(ABC):
    """Φ: images on the canvas scale, `[N, C, H, W]`, to codes, `[N, D, h, w]` or `[N, D]`.

    Attributes:
        model: what the user typed or what the catalogue calls it, e.g. `alexnet.torchvision`.
        layer: name of the layer, or None for representations that have none.
        channels: colour channels of the image.
        input_size: side of the square image it takes, or None if it takes any.
        mean: mean colour subtracted from 0-255 pixels to reach the canvas scale.
        geometry: receptive field, stride and offset, or None where there are none.
        defaults: the C and T it suggests.
        weights: where its weights come from, or None if it has none.
        options: what else it was made with, by the names that `representation` takes.
    """

    model: str
    layer: str | None
    channels: int
    input_size: int | None
    mean: tuple[float, ...]
    geometry: Geometry | None
    defaults: Defaults
    weights: WeightsRecord | None = None
    options: Mapping[str, Any] = MappingProxyType({})

    @abstractmethod
    def __call__(self, image: Tensor) -> Tensor:
        """Code of a batch of images; differentiable with respect to them by autograd."""

    @property
    def name(self) -> str:
        """Model and layer as one word, e.g. `alexnet.torchvision:relu3`."""
        return self.model if self.layer is None else f"{self.model}:{self.layer}"

    def at_test_time(self) -> AbstractContextManager[None]:
        """Within this a network stays at test time, in backward passes that run parts of it again
        too; by default there is none."""
        return nullcontext()

    @property
    def device(self) -> torch.device:
        """Where it takes its images."""
        return torch.device("cpu")

    def to(self, device: str) -> Representation:
        """The same representation with its weights on a device; by default it has none to move."""
        return self

    def as_published(self) -> Representation:
        """The same codes with the derivatives the paper had; by default they are these."""
        return self

    def logits(self, image: Tensor) -> Tensor | None:
        """Class scores `[N, K]` from the same weights, or None where they hold no classifier."""
        return None

    @property
    def class_labels(self) -> tuple[str, ...] | None:
        """Names of the classes that `logits` scores, or None."""
        return None

    def photo(self, source: str | Path | Image, size: int | None = None) -> Tensor:
        """A photo as this representation wants it, `[1, C, H, W]` on the canvas scale.

        Args:
            source: a file or a picture.
            size: side of the central square it is brought to where the representation takes any
                size; None leaves it as it is.

        Raises:
            PreimageError: if the file is missing, is no image or is too small or too large.
        """
        side = size if self.input_size is None else self.input_size
        return to_canvas(load_photo(source, side, self.channels), self.mean)

    def view_of(self, code_shape: Sequence[int]) -> tuple[int, int] | None:
        """Height and width of an image whose code has this shape, where the shape tells."""
        return None if self.input_size is None else (self.input_size, self.input_size)

    def draw(self, code: Tensor) -> Image | None:
        """A code `[D, h, w]` as a picture, or None where there is no custom of drawing it."""
        return None
