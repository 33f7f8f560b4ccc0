"""Top-1 accuracy of a model on photos whose file names begin with their class index.

python benchmarks/classification.py --photos DIR [--model efficientnet-lite0]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import preimage as pi
from preimage.metrics import top_classes
from preimage.models.catalogue import resolve


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--model", default="efficientnet-lite0")
    arguments = parser.parse_args()
    phi = pi.representation(arguments.model, resolve(arguments.model).architecture.scores)
    photos = sorted(arguments.photos.glob("[0-9][0-9][0-9]_*.jpg"))
    first = fifth = 0
    for photo in photos:
        scores = top_classes(phi, phi.photo(photo))
        assert scores is not None
        indices = [score.index for score in scores[0]]
        truth = int(photo.name[:3])
        first += indices[0] == truth
        fifth += truth in indices
    count = len(photos)
    print(
        f"{arguments.model}: {count} photos, top-1 {first / count:.1%}, top-5 {fifth / count:.1%}"
    )


if __name__ == "__main__":
    main()
