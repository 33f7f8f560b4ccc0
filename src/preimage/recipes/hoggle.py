"""HOGgle: HOG inverted by a paired dictionary (Vondrick et al. 2013), the paper's comparison.

Each block of 5x5 cells is written as a sparse sum of the atoms' HOG halves; the same sum of their
pixel halves is what it shows, and overlapping patches are averaged.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view
from sklearn.decomposition import sparse_encode
from torch import Tensor
from torch.nn import functional as F

from preimage.energy import Energy, Euclidean
from preimage.errors import PreimageError, UsageError
from preimage.recipes.dictionaries import BLOCK, Dictionary, dictionary_for
from preimage.recipes.inversion import Target, as_array, as_code, results_of
from preimage.recipes.presets import settings_for
from preimage.recipes.records import Photo, photos_in
from preimage.recipes.settings import Settings
from preimage.recipes.views import view_for
from preimage.representations import Representation
from preimage.search.minimise import Outcome
from preimage.search.result import Result

METHOD = "hoggle"


def hoggle(
    representation: Representation,
    images: Photo | Sequence[Photo] | None = None,
    *,
    code: np.ndarray | Tensor | None = None,
    dictionary: Dictionary | None = None,
    size: int | None = None,
) -> Result | list[Result]:
    """Images of a HOG code by HOGgle, without a search.

    a* = argmin ½‖b − Uᵀa‖² + λ‖a‖₁ for each block b of 5x5 cells, z-scored; its patch is Vᵀa*,
    and every pixel the mean over the patches on it. Only the pattern is known then, not how strong
    it was: the picture's values are brought to 0-255. Unlike `invert`, this follows what photos
    it was trained on look like, and compares no code with the target.

    Args:
        representation: `hog`.
        images: a photo (path or PIL image), or several.
        code: in place of images, `[31, h, w]`.
        dictionary: U and V; by default the one trained on this machine for the cell size.
        size: side of the central square that photos are brought to; 256 by default.

    Returns:
        One `Result`, or a list for several images. Its error and its energy (with the settings of
        the preset `paper`) are measured as a search's; it has no iterations and an empty trace.

    Raises:
        UsageError: if the representation is not `hog`, or both or neither of images and code are
            given.
        PreimageError: if there is no dictionary, it is for another cell size, or an image can't be
            read or is too small.

    Example:
        >>> import preimage as pi
        >>> hoggle(pi.representation("hog"), "photo.jpg").save("out")        # doctest: +SKIP
    """
    if (images is None) == (code is None):
        raise UsageError("give either images or a code to invert, not both and not neither.")
    if representation.model != "hog":
        raise UsageError(f"HOGgle inverts hog, not {representation.name}.")
    cell = int(representation.options["cell"])
    fitting = "" if dictionary is None else f", or --cell {dictionary.header.cell}"
    pairs = dictionary_for(cell, dictionary, fitting)
    array = None if code is None else as_array(code)
    view = view_for(representation, size, None if array is None else array.shape)
    if images is None:
        assert array is not None  # one of the two was given
        single, targets = True, [Target(None, None, as_code(representation, array, view))]
    else:
        single = isinstance(images, Photo)
        targets = [Target.of(representation, photo, view[0]) for photo in photos_in(images)]
    results = _applied(representation, targets, pairs, view)
    return results[0] if single else results


def pattern(code: np.ndarray, dictionary: Dictionary) -> np.ndarray:
    """What a dictionary shows for a HOG code: mean 0, in the units of its patches.

    Args:
        code: `[31, h, w]`.
        dictionary: for the code's cell size.

    Returns:
        `[h·cell, w·cell]`.

    Raises:
        PreimageError: if the code is smaller than a block.
    """
    header, (_, rows, columns) = dictionary.header, code.shape
    if min(rows, columns) < header.block:
        raise PreimageError(
            f"HOGgle looks at blocks of {header.block}x{header.block} cells, this code has "
            f"{columns}x{rows}: give a larger image or smaller cells."
        )
    blocks = standardized(blocks_of(code, header.block))
    weights = sparse_encode(
        blocks, dictionary.code_atoms, algorithm="lasso_lars", alpha=header.penalty
    )
    patches = torch.from_numpy((weights @ dictionary.pixel_atoms).astype(np.float32))
    shape = (rows * header.cell, columns * header.cell)
    summed = F.fold(patches.T[None], shape, header.patch, stride=header.cell)
    count = F.fold(torch.ones_like(patches).T[None], shape, header.patch, stride=header.cell)
    mean: np.ndarray = (summed / count)[0, 0].numpy()
    return mean


def blocks_of(code: np.ndarray, side: int = BLOCK) -> np.ndarray:
    """All blocks of a HOG code, `[31, h, w]` to `[n, 31·side²]`, row by row."""
    windows = sliding_window_view(code, (side, side), axis=(1, 2))
    return windows.transpose(1, 2, 0, 3, 4).reshape(-1, code.shape[0] * side * side)


def standardized(rows: np.ndarray) -> np.ndarray:
    """Each row with mean 0 and length 1; what is flat stays 0."""
    centred = rows - rows.mean(1, keepdims=True)
    lengths = np.linalg.norm(centred, axis=1, keepdims=True)
    unit: np.ndarray = centred / np.maximum(lengths, LEAST_LENGTH)
    return unit


LEAST_LENGTH = 1e-6
"""Shorter rows hold rounding alone."""


def _applied(
    representation: Representation,
    targets: Sequence[Target],
    dictionary: Dictionary,
    view: tuple[int, int],
) -> list[Result]:
    began = time.perf_counter()
    codes = torch.cat([target.code for target in targets])
    shown = [as_grey(pattern(code.numpy(), dictionary), view) for code in codes.cpu()]
    image = (torch.stack(shown) - representation.mean[0]).to(codes.device)
    seconds = time.perf_counter() - began
    measured = settings_for(representation, "paper", view=view)
    energy = Energy(representation, Euclidean(codes), measured.priors, measured.fidelity)
    terms = energy.evaluate(image, image)
    names = energy.term_names
    empty = torch.empty(0, len(targets), len(names))
    outcome = Outcome(image, image, terms, names, empty, seconds)
    return results_of(representation, targets, outcome, settings_of(dictionary, measured))


def settings_of(dictionary: Dictionary, measured: Settings) -> dict[str, Any]:
    """What stands for a search's settings: the dictionary, and how the energy was measured."""
    priors = {name: getattr(measured, name) for name in ("fidelity", "alpha", "B", "beta", "V")}
    return {
        "method": METHOD,
        "preset": None,
        **priors,
        "B_plus": None,
        "jitter": 1,
        "stages": [],
        "softening": None,
        "iterations": 0,
        "dictionary": dictionary.to_record(),
    }


def as_grey(values: np.ndarray, view: tuple[int, int]) -> Tensor:
    """A pattern as grey values of an image, `[1, H, W]`, its extremes black and white."""
    low, high = values.min(), values.max()
    grey = 255 * (values - low) / max(high - low, LEAST_LENGTH)
    # The last cell may be half outside the image; what is less than half a cell has none.
    height, width = view
    beyond = [(0, max(0, side - length)) for side, length in zip(view, grey.shape, strict=True)]
    return torch.from_numpy(np.pad(grey, beyond, mode="edge")[:height, :width])[None]
