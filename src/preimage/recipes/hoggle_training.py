"""Learning HOGgle's paired dictionary from photos."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import sklearn
from numpy.lib.stride_tricks import sliding_window_view
from sklearn.decomposition import MiniBatchDictionaryLearning

import preimage
from preimage.errors import PreimageError, UsageError, counted
from preimage.images.folder import Photos
from preimage.recipes.dictionaries import BLOCK, Dictionary, Header
from preimage.recipes.hoggle import blocks_of, standardized
from preimage.recipes.inversion import encode
from preimage.recipes.views import SIZE
from preimage.representations import Representation
from preimage.representations.hog import Hog

ATOMS = 512
BLOCKS_PER_ATOM = 24
LEAST_BLOCKS_PER_ATOM = 4
"""With fewer an atom is little more than one block of one photo."""
PENALTY = 0.1
"""Of 0.025, 0.05 and 0.1 the one with the least error (docs/hand_crafted.md)."""
PASSES = 2
BATCH = 256
LEAST_CONTRAST = 1.0
"""Standard deviation in grey levels below which a patch is flat, and its gradients are noise."""


LARGEST_SEED = 2**32 - 1
"""That scikit-learn takes."""


def train(
    photos: Sequence[Path],
    *,
    cell: int = 8,
    atoms: int = ATOMS,
    seed: int = 0,
    progress: Callable[[int], None] = lambda done: None,
) -> Dictionary:
    """Learn pairs of HOG blocks and patches of pixels that appear together.

    min Σ ½‖[b; p] − [U V]ᵀa‖² + λ‖a‖₁ over atoms of length 1 and codes a, by mini-batches; b is a
    block of 5x5 cells, p the patch of pixels under it, each with mean 0 and length 1. Photos are
    brought to the square that `hoggle` inverts by default.

    Args:
        photos: files, all of them usable.
        cell: side of a HOG cell in pixels.
        atoms: K.
        seed: chooses the blocks and the start.
        progress: told how many more of `steps(atoms)` are done.

    Raises:
        UsageError: if the cells are too large for a block, or a number is out of range.
        PreimageError: if there are no photos, or they have too few blocks for the atoms.

    Example:
        >>> from pathlib import Path
        >>> train(sorted(Path("photos").iterdir())).save("hoggle.safetensors")  # doctest: +SKIP
    """
    if atoms < 1 or not 0 <= seed <= LARGEST_SEED:
        raise UsageError(
            f"expected at least 1 atom and a seed from 0 to {LARGEST_SEED}, got {atoms} and {seed}."
        )
    hog = Hog("hog", cell)
    blocks, patches = _samples(hog, photos, atoms * BLOCKS_PER_ATOM, seed)
    if len(blocks) < LEAST_BLOCKS_PER_ATOM * atoms:
        raise PreimageError(
            f"expected {LEAST_BLOCKS_PER_ATOM * atoms} blocks with contrast to learn "
            f"{counted(atoms, 'atom')} from, got {len(blocks)} in {counted(len(photos), 'photo')}: "
            "give more photos, or "
            f"--atoms {max(1, len(blocks) // LEAST_BLOCKS_PER_ATOM)}."
        )
    pairs = np.hstack([standardized(blocks), standardized(patches)])
    learned = _learned(pairs, atoms, seed, progress)
    width = blocks.shape[1]
    header = Header(
        cell=cell,
        block=BLOCK,
        patch=BLOCK * cell,
        atoms=atoms,
        penalty=PENALTY,
        photos=len(photos),
        blocks=len(pairs),
        seed=seed,
        versions={
            "preimage": preimage.__version__,
            "numpy": np.__version__,
            "scikit-learn": sklearn.__version__,
        },
    )
    return Dictionary(header, learned[:, :width].copy(), learned[:, width:].copy())


def steps(atoms: int) -> int:
    """Batches that learning so many atoms takes; fewer where the photos have fewer blocks."""
    return PASSES * -(-atoms * BLOCKS_PER_ATOM // BATCH)


def least_side(cell: int) -> int:
    """Least side of a photo to learn from, a block's; a smaller one would be blown up.

    Raises:
        UsageError: if blocks of such cells are larger than what photos are brought to.
    """
    if BLOCK * cell > SIZE:
        raise UsageError(
            f"blocks of {BLOCK}x{BLOCK} cells of {counted(cell, 'pixel')} are larger than the "
            f"photos, which are brought to {SIZE}x{SIZE}: give --cell {SIZE // BLOCK} or less."
        )
    return BLOCK * cell


def check_photos(folder: Path, photos: Photos) -> None:
    """Refuse to learn from nothing, naming what was wrong with the files.

    Raises:
        PreimageError: if there are no photos that can be used.
    """
    if not photos.paths:
        raise PreimageError(f"{folder}: expected photos to learn from; {photos.note}")


def _samples(
    hog: Representation, photos: Sequence[Path], count: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Blocks `[n, 31·block²]` and patches `[n, patch²]`, as many from each photo, n ≤ count."""
    if not photos:
        raise PreimageError("expected photos to learn from, got none.")
    random = np.random.default_rng(seed)
    each = -(-count // len(photos))
    pairs = [_of_photo(hog, photo, each, random) for photo in photos]
    blocks, patches = (np.concatenate(part) for part in zip(*pairs, strict=True))
    chosen = np.sort(random.permutation(len(blocks))[:count])
    return blocks[chosen], patches[chosen]


def _of_photo(
    hog: Representation, photo: Path, count: int, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    cell = int(hog.options["cell"])
    side = least_side(cell)
    image = hog.photo(photo, SIZE)
    code = encode(hog, image)[0].numpy()
    patches = sliding_window_view(image[0, 0].numpy(), (side, side))[::cell, ::cell]
    rows, columns = patches.shape[:2]
    # A last cell that is half outside has no whole patch.
    blocks = blocks_of(code[:, : rows + BLOCK - 1, : columns + BLOCK - 1])
    flat = patches.reshape(rows * columns, side * side)
    good = np.flatnonzero(flat.std(1) >= LEAST_CONTRAST)
    chosen = random.permutation(good)[:count]
    return blocks[chosen], flat[chosen]


def _learned(
    pairs: np.ndarray, atoms: int, seed: int, progress: Callable[[int], None]
) -> np.ndarray:
    """K atoms of length 1 at most, `[K, width]`, float32."""

    def advance(state: dict[str, Any]) -> None:
        progress(1)

    random = np.random.default_rng(seed)
    start = pairs[random.permutation(len(pairs))[:atoms]]
    learner = MiniBatchDictionaryLearning(
        atoms,
        alpha=PENALTY,
        max_iter=PASSES,
        batch_size=BATCH,
        fit_algorithm="lars",
        dict_init=start / np.linalg.norm(start, axis=1, keepdims=True),
        random_state=seed,
        # All passes are made, whatever the cost does in between.
        tol=0.0,
        max_no_improvement=None,
        callback=advance,
    )
    with warnings.catch_warnings():
        # Blocks that look alike make its solver drop one of them, which is what it should do.
        warnings.simplefilter("ignore")
        learner.fit(pairs)
    return np.asarray(learner.components_, dtype=np.float32)
