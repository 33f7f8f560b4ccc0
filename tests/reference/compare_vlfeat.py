"""How far our HOG and DSIFT are from VLFeat's on a folder of photos.

python tests/reference/compare_vlfeat.py --photos DIR [--count 20]

Every photo in two sizes, grey, three cell sizes; the largest difference over whole codes. Counts
the cells of HOG that hold a tie: a gradient straight up or down, halfway between two orientations.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from vlfeat_reference import Array, Library, library

from preimage.images import load_photo
from preimage.representations import representation
from preimage.representations.hog import cells_of

SIZES = ((256, 256), (203, 251))
CELLS = (4, 8, 16)
TOLERANCE = 1e-5


def grey(path: Path, height: int, width: int) -> Array:
    """The photo at this size, whole-numbered grey values."""
    photo = load_photo(path, None, channels=1)
    resized = photo.resize((width, height), Image.Resampling.LANCZOS)
    return np.asarray(resized, np.float32)


def difference(vlfeat: Library, model: str, image: Array, cell: int) -> Array:
    """Largest difference of every cell or descriptor, `[h, w]`."""
    canvas = torch.from_numpy(image)[None, None] - 127
    found = representation(model, cell=cell)(canvas)[0].numpy()
    if model == "dsift":
        expected = vlfeat.dsift(image, cell, 8)
    else:
        expected = vlfeat.hog(image, cell, bilinear=model == "hogb")
    if found.shape != expected.shape:
        raise SystemExit(f"{model}: shapes {found.shape} and {expected.shape}")
    apart: Array = np.abs(found - expected).max(0)
    return apart


def tied_cells(image: Array, cell: int) -> Array:
    """Which cells of HOG a tie reaches, `[h, w]`, before blocks are formed."""
    planes = torch.from_numpy(image)[None]
    across = planes[:, 1:-1, 2:] - planes[:, 1:-1, :-2]
    down = planes[:, 2:, 1:-1] - planes[:, :-2, 1:-1]
    tie = ((across == 0) & (down != 0)).float()
    cells = cells_of(*image.shape, cell, torch.float32, planes.device)
    sums = cells.buffer(1, planes)
    cells.add(sums, torch.zeros_like(tie), tie)
    tied: Array = cells.histograms(sums, 1)[0, 0].numpy() > 0
    return tied


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--count", type=int, default=20)
    arguments = parser.parse_args()
    vlfeat = library()
    if vlfeat is None:
        raise SystemExit("VLFeat's library is not here; Debian's package is libvlfeat1.")
    photos = sorted(arguments.photos.glob("*.jpg"))[: arguments.count]
    for model in ("hog", "hogb", "dsift"):
        for height, width in SIZES:
            for cell in CELLS:
                images = [grey(path, height, width) for path in photos]
                apart = np.stack([difference(vlfeat, model, image, cell) for image in images])
                line = f"{model:6s} {height}x{width} cell {cell:2d}: max {apart.max():.1e}"
                line += f", {int((apart > TOLERANCE).sum())} of {apart.size} beyond {TOLERANCE:g}"
                if model == "hog":
                    tied = np.stack([tied_cells(image, cell) for image in images])
                    line += f"; {int(tied.sum())} cells hold a tie"
                print(line)


if __name__ == "__main__":
    main()
