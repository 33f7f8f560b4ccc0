"""How large an image is searched where the representation does not say."""

from __future__ import annotations

from collections.abc import Sequence

from preimage.errors import UsageError
from preimage.representations import Representation

View = tuple[int, int]
"""Height and width of what a representation sees."""

SIZE = 256
"""Side of the square that photos are brought to where Φ takes any size (Table 2's images)."""


def check_representation(phi: object) -> None:
    """Refuse a name or a module in place of what `preimage.representation` makes of it.

    Raises:
        UsageError: if so.
    """
    if not isinstance(phi, Representation):
        raise UsageError(
            f"expected a representation, got {type(phi).__name__}: "
            "pi.representation(model, layer=...) makes one of a name or a module."
        )


def view_for(
    representation: Representation,
    size: int | None = None,
    code_shape: Sequence[int] | None = None,
) -> View:
    """Height and width of the images to search.

    A network sees one size. Elsewhere a code tells by its shape, and photos are brought to a size
    that is free to choose.

    Args:
        representation: Φ.
        size: side of a square, where it is free to choose; by default `SIZE`.
        code_shape: shape of a code that is given without an image, `[D, h, w]` or `[D]`.

    Raises:
        UsageError: if a size is given where there is no choice, or none where it is needed, or
            there is no representation.

    Example:
        >>> import preimage as pi
        >>> view_for(pi.representation("hog"), code_shape=(31, 20, 30))
        (160, 240)
    """
    check_representation(representation)
    name, own = representation.name, representation.input_size
    if size is not None and (not isinstance(size, int) or size < 1):
        raise UsageError(f"the size must be a whole number of pixels, at least 1, got {size!r}.")
    if own is not None:
        if size not in (None, own):
            raise UsageError(f"{name} sees images of {own}x{own} pixels: leave the size out.")
        return own, own
    if code_shape is None:
        return (SIZE, SIZE) if size is None else (size, size)
    told = representation.view_of(code_shape)
    if told is not None:
        if size is not None:
            raise UsageError("a code's shape tells how large its image is: leave the size out.")
        return told
    if size is None:
        raise UsageError(f"{name} takes images of any size; say which the code was made from.")
    return size, size
