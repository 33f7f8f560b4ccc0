"""Record VLFeat's numbers for machines that do not have it.

python tests/reference/record_vlfeat.py
"""

from __future__ import annotations

import numpy as np
from vlfeat_reference import (
    DSIFT_GRIDS,
    HOG_CELLS,
    RECORDED,
    RECORDED_IMAGES,
    Array,
    Library,
    image_of,
    library,
)


def recordings(vlfeat: Library) -> dict[str, Array]:
    """Every image, and every code that the tests ask for, by its key."""
    found: dict[str, Array] = {}
    for name in RECORDED_IMAGES:
        image = found[f"image {name}"] = image_of(name)
        for cell in HOG_CELLS:
            if min(image.shape) >= 2 * cell:
                found[f"hog {name} {cell}"] = vlfeat.hog(image, cell, bilinear=False)
                found[f"hogb {name} {cell}"] = vlfeat.hog(image, cell, bilinear=True)
        for cell, step in DSIFT_GRIDS:
            if min(image.shape) > 3 * cell:
                found[f"dsift {name} {cell} {step}"] = vlfeat.dsift(image, cell, step)
    return found


if __name__ == "__main__":
    vlfeat = library()
    if vlfeat is None:
        raise SystemExit("VLFeat's library is not here; Debian's package is libvlfeat1.")
    np.savez_compressed(RECORDED, **recordings(vlfeat))
    print(f"{RECORDED}: {RECORDED.stat().st_size / 1e3:.0f} kB")
