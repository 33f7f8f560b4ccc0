"""What a layer gives, arranged as a code: `[N, D, h, w]` or `[N, D]`.

| a layer gives | the code |
|---|---|
| `[N, D, h, w]`, `[N, D]` | as it is |
| `[N, h, w, D]`, channels last: h and w are as the image's sides, w and D not | `[N, D, h, w]` |
| `[N, T, D]`, tokens: T or all but the first few are a square of patches | `[N, D, h, h]` |
| `[N, T, D]`, else | `[N, D, 1, T]`, one row |
| `[N]` | `[N, 1]` |
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor, nn

from preimage.errors import counted


class Shapeless(Exception):
    """A tensor that can't be a code; the message says what it is."""


def prefix_tokens(tokens: int, network: nn.Module) -> int | None:
    """How many tokens stand before a square of patches: the class token and its like.

    The network's own `num_prefix_tokens` is asked first, as timm's transformers have it; None if
    the tokens make no square.
    """
    own = getattr(network, "num_prefix_tokens", None)
    for count in (own, 0, 1):
        if isinstance(count, int) and 0 <= count < tokens:
            side = math.isqrt(tokens - count)
            if side > 1 and side * side == tokens - count:
                return count
    return None


def arranged(
    output: Tensor, batch: int, network: nn.Module, view: Sequence[int] = (1, 1)
) -> Tensor:
    """A layer's output as a code, by the table above.

    Args:
        output: what the layer gave.
        batch: number of images.
        network: the layer's.
        view: height and width of the images; of a square any that are the same.

    Raises:
        Shapeless: if it has no batch, no numbers, or another number of dimensions.
    """
    shape = list(output.shape)
    if not shape or shape[0] != batch or not output.numel():
        raise Shapeless(f"a tensor of shape {shape} that does not begin with the {batch} images")
    if output.dim() == 1:
        return output[:, None]
    if output.dim() == 3:
        before = prefix_tokens(shape[1], network)
        if before is None:
            return output.transpose(1, 2).unsqueeze(2)
        side = math.isqrt(shape[1] - before)
        return output[:, before:].transpose(1, 2).reshape(batch, shape[2], side, side)
    if output.dim() == 4:
        last = _covers(shape[1:3], view) and not _covers(shape[2:4], view)
        return output.permute(0, 3, 1, 2) if last else output
    if output.dim() == 2:
        return output
    raise Shapeless(f"a tensor of {counted(output.dim(), 'dimension')}, {shape}")


def _covers(grid: Sequence[int], view: Sequence[int]) -> bool:
    """Whether a grid has the proportions of an image, but for the rounding of its sides."""
    return abs(grid[0] * view[1] - grid[1] * view[0]) < max(view)


def class_token(output: Tensor, batch: int, network: nn.Module) -> Tensor:
    """The first token, `[N, D]`, of a layer that gives `[N, T, D]` with one before its patches.

    Raises:
        Shapeless: if there is none.
    """
    if output.dim() != 3 or output.shape[0] != batch:
        raise Shapeless(f"no tokens [N, T, D] but {list(output.shape)}")
    if not prefix_tokens(output.shape[1], network):
        raise Shapeless(
            f"{counted(output.shape[1], 'token')}, none of them before a square of patches"
        )
    return output[:, 0]
