"""Whether pre-images have the photo's own colours, by layer and C (docs/inversion.md).

    python benchmarks/colours.py --photos DIR --first 2 --count 21 --layers block02,block05,block11

Colour is what tells the channels apart: each pixel less its own grey (the mean of its channels),
averaged over squares of 16 pixels, so that texture does not count. `agreement` is the cosine of the
pre-image's colour and the photo's, over the whole image: 1 says the same hues in the same places,
0 none of them. `strength` is the ratio of their lengths: below 1 the pre-image is paler. LPIPS is
the distance to the photo. Means over photos; those without colour are left out.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import avg_pool2d, cosine_similarity

import preimage as pi
from preimage.metrics.lpips import lpips
from preimage.representations import NetworkLayer
from solvers import ALEXNET_MEAN, photos_of

SQUARE = 16
BATCH = 4


def pixels(pictures: list[Image.Image]) -> Tensor:
    """`[N, 3, H, W]`, 0-255."""
    return (
        torch.from_numpy(np.stack([np.asarray(picture) for picture in pictures]))
        .permute(0, 3, 1, 2)
        .float()
    )


def colour(images: Tensor) -> Tensor:
    """Each pixel less its grey, over squares, as one vector an image."""
    return avg_pool2d(images - images.mean(1, keepdim=True), SQUARE).flatten(1)


def compared(phi: NetworkLayer, photos: list[Path], preset: str, fidelity: float) -> Tensor:
    """A row a photo: agreement, strength, LPIPS, relative error of the code."""
    found = pi.invert(phi, photos, preset=preset, fidelity=fidelity)
    assert isinstance(found, list)
    ours = pixels([result.image for result in found])
    theirs = pixels([result.reference for result in found if result.reference is not None])
    mean = torch.tensor(ALEXNET_MEAN).view(1, 3, 1, 1)
    columns = (
        cosine_similarity(colour(ours), colour(theirs)),
        colour(ours).norm(dim=1) / colour(theirs).norm(dim=1),
        lpips(ours - mean, theirs - mean, ALEXNET_MEAN),
        torch.tensor([result.relative_error for result in found]),
    )
    return torch.stack(columns, dim=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--model", default="efficientnet-lite0")
    parser.add_argument("--layers", default="block02,block05,block11")
    parser.add_argument("--presets", default="paper,best")
    parser.add_argument("--fidelities", default="", help="C; by default each layer's own")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--step", type=int, default=9)
    parser.add_argument("--count", type=int, default=20)
    arguments = parser.parse_args()
    photos = photos_of(arguments.photos, arguments.first, arguments.step, arguments.count)
    if not photos:
        raise SystemExit(
            f"no photos (*.jpg) in {arguments.photos}, from the {arguments.first}th on"
        )
    print("| layer | C | preset | agreement | strength | LPIPS | relative error |")
    print("|" + "---|" * 7)
    for layer in arguments.layers.split(","):
        phi = pi.representation(arguments.model, layer)
        own = str(phi.defaults.fidelity)
        for fidelity in map(float, (arguments.fidelities or own).split(",")):
            for preset in arguments.presets.split(","):
                batches = [photos[i : i + BATCH] for i in range(0, len(photos), BATCH)]
                rows = torch.cat([compared(phi, batch, preset, fidelity) for batch in batches])
                coloured = rows[rows[:, 1].isfinite()]
                agreement, strength, distance, error = coloured.mean(0).tolist()
                print(
                    f"| {layer} | {fidelity:g} | {preset} | {agreement:.2f} | {strength:.2f} "
                    f"| {distance:.3f} | {100 * error:.1f} % |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
