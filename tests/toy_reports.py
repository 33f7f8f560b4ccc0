"""Reports that no experiment has made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from PIL import Image

import preimage
from preimage.experiments import plots


def write_report(out: Path, name: str = "figure9", /, **parts: Any) -> Path:
    """`OUT/NAME` with a report, a drawing and a sheet of photos."""
    folder = out / name
    folder.mkdir(parents=True)
    row = {"model": "toy", "layer": "conv1", "fidelity": 1.0, "jitter": 1, "count": 1}
    record = {
        "name": name,
        "question": "What is kept?",
        "rows": [{**row, "preset": "quick", "relative_error": 0.05, "seconds": 1.0}],
        "paper": {"source": "Mahendran & Vedaldi 2016", "pictures": "It fades."},
        "settings": {"scale": "quick", "versions": {"preimage": preimage.__version__}},
        "notes": ["scale quick: less"],
        **parts,
    }
    (folder / "report.json").write_text(json.dumps(record))
    with plots.style():
        figure, (axes,) = plots.grid()
        plots.curve(axes, [0, 1], [0, 1])
    plots.write(figure, folder / name)
    Image.new("RGB", (120, 80), "red").save(folder / "photos.png")
    return folder
