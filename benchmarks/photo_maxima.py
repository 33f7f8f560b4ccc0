"""Largest activations of the embedded network over photos: `preimage/recipes/maxima.json`.

python benchmarks/photo_maxima.py DIR
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

import preimage
from preimage.recipes.maxima import SHIPPED, measure
from preimage.representations import representation

MODEL = "efficientnet-lite0"
LAYERS = ("stem", "block02", "block05", "block08", "block11", "block16", "head", "pool", "logits")
DIGITS = 4


def main(folder: str) -> None:
    """Measure every layer and write the file that ships with the package."""
    lines = []
    for layer in LAYERS:
        record = asdict(measure(representation(MODEL, layer), folder))
        record["largest"] = [float(f"{value:.{DIGITS}g}") for value in record["largest"]]
        lines.append(json.dumps(record))
        print(layer, len(record["largest"]))
    path = Path(preimage.__file__).parent / "recipes" / SHIPPED
    path.write_text("[\n" + ",\n".join(lines) + "\n]\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
