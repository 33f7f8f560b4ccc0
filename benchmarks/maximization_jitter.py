"""What jitter does to a maximization (the paper's Fig. 4): a figure.

python benchmarks/maximization_jitter.py FIGURE.png --photos DIR [--iterations 150]
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from preimage.images import contact_sheet
from preimage.recipes import maximize
from preimage.recipes.maxima import measure
from preimage.representations import representation
from preimage.search import Result

CHANNELS = (0, 3, 7, 12)
JITTERS = (1, 4)


def main() -> None:
    """Channels of AlexNet's conv5 by the paper's settings, without jitter and with it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("figure", type=Path)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--iterations", type=int, default=150)
    arguments = parser.parse_args()
    phi = representation("alexnet", "conv5")
    maxima = measure(phi, arguments.photos)
    tiles = []
    for jitter in JITTERS:
        found = maximize(
            phi,
            CHANNELS,
            maxima=maxima,
            preset="paper",
            jitter=jitter,
            iterations=arguments.iterations,
        )
        assert isinstance(found, list)
        for result in found:
            assert isinstance(result, Result)
            (tile,) = result.tiles()
            tiles.append(replace(tile, title=f"{result.name}, T = {jitter}"))
    contact_sheet(tiles, columns=len(CHANNELS), tile_height=200).save(arguments.figure)


if __name__ == "__main__":
    main()
