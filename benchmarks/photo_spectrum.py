"""Mean spectrum of photos in decorrelated colours: the table in `preimage.search.canvases.spectra`.

    python benchmarks/photo_spectrum.py DIR

Each photo is brought to 224 pixels, its colours through the inverse of the sigmoid and of the
colour basis, and the magnitudes of its orthonormal Fourier transform are averaged over rings of
equal width in log(frequency).
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch

from preimage.images import load_photo
from preimage.search.canvases.colours import colour_basis
from preimage.search.canvases.spectra import PHOTO_FREQUENCIES

SIDE = 224
CLIPPED = 0.02
"""Colours this near to black and white are moved away from them: the inverse sigmoid of 0 is -∞."""


def magnitudes(path: Path) -> torch.Tensor:
    """|Fourier transform| of a photo's decorrelated colours, `[3, 224, 113]`."""
    pixels = torch.tensor(np.asarray(load_photo(path, SIDE))).float().div(255)
    z = torch.logit(pixels.clamp(CLIPPED, 1 - CLIPPED)).permute(2, 0, 1)
    colours = torch.linalg.solve(colour_basis(3, 1.0, z.device), z.flatten(1)).view(3, SIDE, SIDE)
    colours -= colours.mean(dim=(1, 2), keepdim=True)
    return torch.fft.rfft2(colours, norm="ortho").abs()


def main(folder: str) -> None:
    """Print one line of the table for each decorrelated colour."""
    photos = sorted(Path(folder).glob("*.jpg"))
    mean = torch.stack([magnitudes(path) for path in photos]).mean(0)
    frequency = torch.hypot(torch.fft.fftfreq(SIDE)[:, None], torch.fft.rfftfreq(SIDE)[None, :])
    frequency[0, 0] = 1e-9
    logs = torch.tensor(PHOTO_FREQUENCIES).log()
    edges = torch.cat([logs[:1] - 1e-3, (logs[1:] + logs[:-1]) / 2, logs[-1:] + 1])
    ring = torch.bucketize(frequency.log(), edges) - 1
    print(f"# {len(photos)} photos")
    for colour in mean:
        row = [float(colour[ring == i].mean()) for i in range(len(PHOTO_FREQUENCIES))]
        print("    (" + ", ".join(f"{value:.3g}" for value in row) + "),")


if __name__ == "__main__":
    main(sys.argv[1])
