"""Presets of maximization side by side: the table and the figures of docs/maximization.md.

    python benchmarks/maximization.py DIR --photos PHOTOS [--iterations 128] [--presets best,olah]

Every preset maximizes a few classes of the embedded network. There is no second classifier in the
package, so the judge is the same network on views that no search has seen: crops of half the side
and more, turned further and mirrored. Naturalness is how far the distribution of gradient lengths
of the image lies from that of photos (half the sum of differences of two histograms; 0 is the
same, 1 nothing in common).
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from preimage.images import Tile, contact_sheet, load_photo
from preimage.recipes import MAXIMIZATION_PRESETS, Label, maximize
from preimage.representations import Representation, representation
from preimage.search import RandomViews, Result
from preimage.search.starts import seeded

CLASSES = (
    "tree frog", "goose", "cheeseburger", "coffee mug", "vending machine", "black swan",
    "comic book", "zebra", "tiger", "flamingo", "ladybug", "starfish", "daisy", "strawberry",
    "pizza", "teapot", "school bus", "violin", "beacon", "volcano",
)  # fmt: skip
SHOWN = 2
"""How many of them are in the figure."""

HELD_OUT = RandomViews(count=1, smallest=0.5, largest=1.2, rotation=15.0, noise=5.0)
VIEWS = 16
EDGES = np.concatenate([[0.0], np.geomspace(1, 256, 17)])


@torch.no_grad()
def held_out_probability(phi: Representation, result: Result) -> float:
    """Mean probability of the class over views that the search has not seen."""
    image = torch.from_numpy(result.canvas)[None].repeat(VIEWS, 1, 1, 1)
    image[::2] = image[::2].flip(-1)
    seen = HELD_OUT.draw(image, seeded(range(1000, 1000 + VIEWS)))
    logits = phi.logits(seen)
    assert logits is not None
    return float(logits.softmax(1)[:, result.record["class"]["index"]].mean())


def gradient_lengths(picture: Image.Image) -> np.ndarray:
    """Histogram of the lengths of grey-value gradients, summing to one."""
    grey = np.asarray(picture.convert("L"), float)
    length = np.hypot(np.diff(grey, axis=0)[:, :-1], np.diff(grey, axis=1)[:-1])
    counts, _ = np.histogram(np.minimum(length, 255), EDGES)
    return counts / counts.sum()


def main() -> None:
    """Write results.json and presets.png into a folder, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--iterations", type=int, default=128)
    parser.add_argument("--classes", type=int, default=len(CLASSES))
    parser.add_argument("--presets", default=",".join(p.name for p in MAXIMIZATION_PRESETS))
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    photos = [gradient_lengths(load_photo(p, 224)) for p in sorted(arguments.photos.glob("*.jpg"))]
    natural = np.mean(photos, axis=0)
    usual = np.median([np.abs(photo - natural).sum() / 2 for photo in photos])
    print(f"a photo's own distance from the mean of photos: {usual:.2f} (median)")
    phi = representation("efficientnet-lite0", "logits")
    rows, tiles = [], []
    for preset in arguments.presets.split(","):
        found = [
            maximize(phi, Label(name), preset=preset, iterations=arguments.iterations)
            for name in CLASSES[: arguments.classes]
        ]
        results = [result for result in found if isinstance(result, Result)]
        for number, result in enumerate(results):
            held_out = held_out_probability(phi, result)
            distance = np.abs(gradient_lengths(result.image) - natural).sum() / 2
            rows.append(
                {
                    "preset": preset,
                    "class": result.name,
                    "probability": result.record["class"]["probability"],
                    "held_out": held_out,
                    "ratio": result.record["ratio"],
                    "distance": float(distance),
                    "seconds": result.record["seconds"],
                }
            )
            if number >= SHOWN:
                continue
            caption = f"held out {held_out:.2f}, gradients {distance:.2f}"
            tiles.append(Tile(result.image, f"{preset}: {result.name}", caption))
        mean = {
            key: np.mean([row[key] for row in rows if row["preset"] == preset])
            for key in ("probability", "held_out", "ratio", "distance", "seconds")
        }
        print(
            f"| `{preset}` | {mean['probability']:.2f} | {mean['held_out']:.2f} | "
            f"{mean['ratio']:.1f} | {mean['distance']:.2f} | {mean['seconds']:.0f} |",
            flush=True,
        )
    (arguments.folder / "results.json").write_text(json.dumps(rows, indent=1))
    contact_sheet(tiles, columns=min(SHOWN, arguments.classes), tile_height=200).save(
        arguments.folder / "presets.png"
    )


if __name__ == "__main__":
    main()
