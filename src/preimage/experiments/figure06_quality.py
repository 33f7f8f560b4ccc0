"""Fig. 6: the error of pre-images by layer and C, its spread over restarts, and their classes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from preimage.experiments import plots
from preimage.experiments.cases import Finished
from preimage.experiments.experiment import QUICK, Report, Request
from preimage.experiments.inverting import Setting, layer_of, pre_images, selected
from preimage.experiments.rows import class_consistency, has_classes, mean_row
from preimage.experiments.tables import Column, Row, number, numeric, percent
from preimage.metrics import restart_spread

MODEL = "alexnet"
PRESETS = ("paper", "best")
FIDELITIES = (1.0, 20.0, 100.0, 300.0)
"""The values of C that the paper compares."""
RESTARTS = {"quick": 3, "paper": 24}
RESTARTED = {"quick": 1, "paper": 24}
"""Photos that are inverted from several starts."""

SAYS: Mapping[str, Any] = {
    "source": "Mahendran & Vedaldi 2016, Fig. 6 and Sect. 5.2.2; the curves are printed, not their "
    "values",
    "squared_error": "for a sufficiently large value of C, the reconstruction error can be "
    "maintained in the range 10-20%, including for the deepest layers",
    "spread": "for the values of C except C = 1, all pre-images have very similar reconstruction "
    "errors, with standard deviation of around 0.02 or less",
    "class_consistency": "by choosing the correct amount of regularization, the classification "
    "consistency of the reconstructions can be kept above 0.8 in most cases",
}

COLUMNS = (
    Column("preset", "preset"),
    Column("layer", "layer"),
    Column("fidelity", "C", number),
    Column("count", "photos"),
    Column("squared_error", "squared error", number),
    Column("squared_interval", "±", number),
    Column("spread", "spread over restarts", number),
    Column("class_consistency", "class kept", percent),
    Column("seconds", "s/image", number),
)


def figure6(request: Request) -> Report:
    """Mean errors, their spread and class consistency for every layer, C and preset."""
    found = dict(_measured(request))
    rows = tuple(_row(key, cases, request) for key, cases in found.items())
    cases = tuple(done for group in found.values() for done in group)
    notes = () if any(has_classes(done) for done in cases) else (NO_CLASSES,)
    return Report(rows, {"fidelities": list(FIDELITIES)}, cases, {"figure6": _plot(rows)}, notes)


NO_CLASSES = (
    "these weights hold no classifier, so no class consistency: run it with "
    "--model efficientnet-lite0 too"
)

Key = tuple[str, str, float]


def _measured(request: Request) -> Iterator[tuple[Key, list[Finished]]]:
    """The cases of every preset, layer and C: each photo once, the first of them restarted too."""
    model = request.model or MODEL
    presets = PRESETS if request.preset is None else (request.preset,)
    targets = request.sample.targets
    restarted = targets[: RESTARTED[request.scale]]
    for layer in selected(model, request):
        phi = layer_of(request, model, layer)
        for preset in presets:
            for fidelity in FIDELITIES:
                setting = Setting(phi, preset, {"fidelity": fidelity})
                cases = pre_images(request, setting, targets)
                if request.scale != QUICK or fidelity == phi.defaults.fidelity:
                    # The first of them is there already: a case is known by its content.
                    restarts = RESTARTS[request.scale]
                    cases += pre_images(request, setting, restarted, restarts)
                yield (preset, layer, fidelity), cases


def _row(key: Key, cases: Sequence[Finished], request: Request) -> Row:
    count = len(request.sample.targets)
    first, again = cases[:count], cases[count:]
    row: dict[str, Any] = mean_row(first)
    row["restarts"] = row["spread"] = None
    if again:
        row["restarts"] = restarts = RESTARTS[request.scale]
        errors = torch.tensor([done.squared_error for done in again]).view(-1, restarts)
        row["spread"] = float(restart_spread(errors).mean())
    row["class_consistency"] = class_consistency(first)
    row["class_consistency_top5"] = class_consistency(first, top=5)
    return row


def _plot(rows: Sequence[Row]) -> Figure:
    presets = list(dict.fromkeys(str(row["preset"]) for row in rows))
    layers = list(dict.fromkeys(str(row["layer"]) for row in rows))
    classes = any(row["class_consistency"] is not None for row in rows)
    indices = [(preset, "squared_error", "squared_interval") for preset in presets]
    indices += [(preset, "class_consistency", "") for preset in presets if classes]
    with plots.style():
        figure, panels = plots.grid(len(indices) + 1, columns=len(presets), size=(4.4, 3.0))
        tallest = max(numeric(row["squared_error"]) for row in rows)
        for axes, (preset, field, interval) in zip(panels, indices, strict=False):
            _curves(axes, [row for row in rows if row["preset"] == preset], layers, field, interval)
            axes.set_title(f"preset {preset}")
            axes.set_ylabel(field.replace("_", " "))
            axes.set_ylim(0, 1.05 * (tallest if field == "squared_error" else 1))
        _spreads(panels[-1], rows, presets, layers)
        plots.legend_above_all(figure, panels[0])
    return figure


def _curves(
    axes: Axes, rows: Sequence[Row], layers: Sequence[str], field: str, interval: str
) -> None:
    """One curve for each C over the layers."""
    for index, fidelity in enumerate(FIDELITIES):
        chosen = {row["layer"]: row for row in rows if row["fidelity"] == fidelity}
        points = [(i, chosen[layer]) for i, layer in enumerate(layers) if layer in chosen]
        values = [numeric(row[field]) for _, row in points]
        halves = [numeric(row[interval]) for _, row in points] if interval else None
        plots.curve(axes, [i for i, _ in points], values, halves, f"C = {fidelity:g}", index)
    plots.names_below(axes, layers)


def _spreads(
    axes: Axes, rows: Sequence[Row], presets: Sequence[str], layers: Sequence[str]
) -> None:
    """The spread over restarts at each layer; where several C have one, the largest."""
    for index, preset in enumerate(presets):
        values = {
            layer: max(
                numeric(row["spread"])
                for row in rows
                if row["layer"] == layer and row["preset"] == preset and row["spread"] is not None
            )
            for layer in layers
            if any(row["layer"] == layer and row["spread"] is not None for row in rows)
        }
        places = [layers.index(layer) for layer in values]
        plots.curve(axes, places, list(values.values()), None, f"preset {preset}", index + 4)
    axes.axhline(0.02, color=plots.INK, linewidth=0.8, linestyle=":")
    axes.annotate("the paper: around 0.02 or less", (0, 0.02), xytext=(0, 3),
                  textcoords="offset points", fontsize=7)  # fmt: skip
    axes.set_title("standard deviation over restarts")
    axes.set_ylabel("of the squared error")
    axes.set_ylim(bottom=0)
    plots.names_below(axes, layers)
    axes.legend(fontsize=8)
