"""Fig. 7: how like their photos' are the gradients of pre-images, by layer and C."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from preimage.experiments import plots
from preimage.experiments.cases import Finished
from preimage.experiments.experiment import Report, Request
from preimage.experiments.figure06_quality import FIDELITIES, MODEL, PRESETS
from preimage.experiments.inverting import Setting, layer_of, pre_images, selected
from preimage.experiments.rows import mean_row
from preimage.experiments.statistics import estimate
from preimage.experiments.tables import Column, Row, number, numeric
from preimage.metrics import gradient_similarity
from preimage.metrics.naturalness import STATISTICS

SAYS: Mapping[str, Any] = {
    "source": "Mahendran & Vedaldi 2016, Fig. 7 and Sect. 5.2.3; the curves are printed, not their "
    "values",
    "similarity": "a small amount of regularization is clearly preferable for shallow layers, and "
    "a stronger amount is clearly better for intermediate ones. However, the difference is not all "
    "that significant for the deepest layers",
}

COLUMNS = (
    Column("preset", "preset"),
    Column("layer", "layer"),
    Column("fidelity", "C", number),
    Column("statistic", "gradients"),
    Column("count", "photos"),
    Column("similarity", "similarity", number),
    Column("similarity_interval", "±", number),
)


def figure7(request: Request) -> Report:
    """Mean similarity of gradient statistics, in both readings, on the cases of Fig. 6."""
    model = request.model or MODEL
    presets = PRESETS if request.preset is None else (request.preset,)
    rows: list[Row] = []
    cases: list[Finished] = []
    for layer in selected(model, request):
        phi = layer_of(request, model, layer)
        for preset in presets:
            for fidelity in FIDELITIES:
                setting = Setting(phi, preset, {"fidelity": fidelity})
                found = pre_images(request, setting, request.sample.targets)
                rows += [_row(found, statistic) for statistic in STATISTICS]
                cases += found
    return Report(tuple(rows), {}, tuple(cases), {"figure7": _plot(rows)})


def similarity(done: Finished, statistic: str) -> float:
    """How like its photo's is the gradient statistic of a result, 0 to 1."""
    image, photo = (_grey_levels(done.picture(name)) for name in ("image.png", "reference.png"))
    return float(gradient_similarity(image, photo, (0.0,) * image.shape[1], statistic))


def _grey_levels(picture: Image.Image) -> Tensor:
    """A picture as `[1, C, H, W]`, 0-255."""
    array = np.asarray(picture, dtype=np.float32)
    return torch.from_numpy(np.atleast_3d(array)).permute(2, 0, 1)[None]


def _row(found: Sequence[Finished], statistic: str) -> Row:
    measured = estimate([similarity(done, statistic) for done in found])
    return {
        **mean_row(found),
        "statistic": statistic,
        "similarity": measured.mean,
        "similarity_interval": measured.interval,
    }


def _plot(rows: Sequence[Row]) -> Figure:
    presets = list(dict.fromkeys(str(row["preset"]) for row in rows))
    layers = list(dict.fromkeys(str(row["layer"]) for row in rows))
    with plots.style():
        figure, panels = plots.grid(2 * len(presets), columns=2, size=(4.4, 2.9))
        pairs = [(preset, statistic) for preset in presets for statistic in STATISTICS]
        for axes, (preset, statistic) in zip(panels, pairs, strict=True):
            chosen = [r for r in rows if (r["preset"], r["statistic"]) == (preset, statistic)]
            for index, fidelity in enumerate(FIDELITIES):
                one = [row for row in chosen if row["fidelity"] == fidelity]
                places = [layers.index(str(row["layer"])) for row in one]
                values = [numeric(row["similarity"]) for row in one]
                halves = [numeric(row["similarity_interval"]) for row in one]
                plots.curve(axes, places, values, halves, f"C = {fidelity:g}", index)
            axes.set_title(f"preset {preset}, gradient {statistic}")
            axes.set_ylabel("similarity to the photo")
            axes.set_ylim(0, 1)
            plots.names_below(axes, layers)
        plots.legend_above_all(figure, panels[0])
    return figure
