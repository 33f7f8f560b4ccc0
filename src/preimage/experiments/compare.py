"""What does each layer of several networks keep? The paper's measures over relative depth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import PercentFormatter
from PIL import Image

from preimage.errors import UsageError
from preimage.experiments import plots
from preimage.experiments.cases import Finished
from preimage.experiments.experiment import Report, Request
from preimage.experiments.figure07_naturalness import similarity
from preimage.experiments.inverting import (
    Setting,
    layer_of,
    pre_images,
    some_layers,
    with_weights,
)
from preimage.experiments.rows import class_consistency, mean_row
from preimage.experiments.statistics import estimate
from preimage.experiments.tables import Column, Row, number, numeric, percent
from preimage.models import catalogue
from preimage.representations.catalogue import layers_of

MODELS = ("alexnet", "efficientnet-lite0", "vgg16")
LAYERS_PER_MODEL = {"quick": 5, "paper": None}
"""None: all that there are weights for."""
PRESET = {"quick": "quick", "paper": "best"}
STATISTIC = "magnitude"
"""The paper's text; the other reading is in `figure7`."""

SHOWN = 6
"""Pre-images in a network's strip; of more layers, as many from the first to the deepest."""

SAYS: Mapping[str, Any] = {
    "source": "no figure of Mahendran & Vedaldi 2016 compares networks by depth; the measures are "
    "those of Sect. 5.2",
    "relative_error": "The first few layers of all the networks compute a code of the image that "
    "is nearly exactly invertible.",
}

COLUMNS = (
    Column("model", "model"),
    Column("layer", "layer"),
    Column("depth", "depth", number),
    Column("fidelity", "C", number),
    Column("count", "photos"),
    Column("relative_error", "relative error", percent),
    Column("interval", "±", percent),
    Column("similarity", "gradients alike", number),
    Column("class_consistency", "class kept", percent),
    Column("seconds", "s/image", number),
)

INDICES: tuple[tuple[str, str, str, str], ...] = (
    ("relative_error", "interval", "What it loses", "relative error of the code"),
    ("similarity", "similarity_interval", "How natural it looks", "gradients like the photo's"),
    ("class_consistency", "", "Is it still the same thing?", "same class as the photo"),
)
"""A panel each: field, interval, question, and what the axis shows."""


def compare(request: Request) -> Report:
    """Mean error, naturalness and class consistency of some layers of each model.

    Raises:
        UsageError: if a model is named twice, is unknown or has no layers, or there are to be
            fewer than two layers of each.
    """
    models = request.models or MODELS
    layers = {model: _layers(model, request) for model in models}
    _refuse_twins(models)
    found = {
        (model, layer): _pre_images(request, model, layer)
        for model, names in layers.items()
        for layer in names
    }
    rows = [_row(model, layer, cases) for (model, layer), cases in found.items()]
    cases = tuple(done for of_layer in found.values() for done in of_layer)
    firsts = [of_layer[0] for of_layer in found.values()]
    settings = {"layers": {model: list(names) for model, names in layers.items()}}
    return Report(tuple(rows), settings, cases, {"compare": _figure(rows, firsts)}, _notes(rows))


def _refuse_twins(models: Sequence[str]) -> None:
    """A model has a short name and a full one."""
    full = [catalogue.resolve(model).name for model in models]
    twice = next((name for name in full if full.count(name) > 1), None)
    if twice is not None:
        raise UsageError(f"{twice} is named twice; every model once was expected.")


def _layers(model: str, request: Request) -> tuple[str, ...]:
    count = request.layers_per_model or LAYERS_PER_MODEL[request.scale]
    if count is None:
        return with_weights(model)
    if count < 2:
        raise UsageError(f"layers per model must be at least 2, got {count}: a curve needs them.")
    return some_layers(model, count)


def _pre_images(request: Request, model: str, layer: str) -> list[Finished]:
    setting = Setting(layer_of(request, model, layer), request.preset or PRESET[request.scale])
    return pre_images(request, setting, request.sample.targets)


def depth_of(model: str, layer: str) -> float:
    """Position of a layer in its model's table, as a fraction; the last one is at 1.

    Unlike the receptive field, every layer of every network has one, and it keeps growing where
    the field already covers the whole image.

    Example:
        >>> depth_of("efficientnet-lite0", "prob")
        1.0
    """
    names = [row.name for row in layers_of(model)]
    return (names.index(layer) + 1) / len(names)


def _row(model: str, layer: str, cases: Sequence[Finished]) -> Row:
    alike = estimate([similarity(done, STATISTIC) for done in cases])
    return {
        **mean_row(cases),
        "depth": depth_of(model, layer),
        "statistic": STATISTIC,
        "similarity": alike.mean,
        "similarity_interval": alike.interval,
        "class_consistency": class_consistency(cases),
    }


def _notes(rows: Sequence[Row]) -> tuple[str, ...]:
    blind = [m for m, own in _by_model(rows).items() if own[0]["class_consistency"] is None]
    if not blind:
        return ()
    return (f"no class consistency of {', '.join(blind)}: these weights hold no classifier",)


def _by_model(rows: Sequence[Row]) -> dict[str, list[Row]]:
    models = dict.fromkeys(str(row["model"]) for row in rows)
    return {model: [row for row in rows if row["model"] == model] for model in models}


def _figure(rows: Sequence[Row], firsts: Sequence[Finished]) -> Figure:
    """Curves over depth, all networks in one panel a measure; under them a strip a network."""
    by_model = _by_model(rows)
    pictures = {
        model: [(row, done) for row, done in zip(rows, firsts, strict=True) if row in own]
        for model, own in by_model.items()
    }
    indices = [i for i in INDICES if any(row[i[0]] is not None for row in rows)]
    with plots.style():
        figure = Figure(figsize=(10.5, 3.7 + 1.95 * len(by_model)), layout="constrained")
        heights = figure.add_gridspec(2, 1, height_ratios=[3.7, 1.95 * len(by_model)])
        above, below = (figure.add_subfigure(heights[part]) for part in range(2))
        panels = above.subplots(1, len(indices), squeeze=False)[0]
        for axes, index in zip(panels, indices, strict=True):
            _curves(axes, by_model, *index)
        handles, labels = panels[0].get_legend_handles_labels()
        above.legend(handles, labels, loc="outside upper center", ncols=len(labels), fontsize=11)
        _strips(below, pictures)
    return figure


def _curves(
    axes: Axes,
    by_model: Mapping[str, Sequence[Row]],
    field: str,
    interval: str,
    question: str,
    shown: str,
) -> None:
    for place, (model, rows) in enumerate(by_model.items()):
        known = [row for row in rows if row[field] is not None]
        if known:
            halves = [numeric(row[interval]) for row in known] if interval else None
            x, y = ([numeric(row[name]) for row in known] for name in ("depth", field))
            plots.curve(axes, x, y, halves, model, place)
    for line in axes.get_lines():
        line.set(linewidth=2.2, markersize=6)  # the figure is often seen as a thumbnail
    unknown = [model for model, rows in by_model.items() if rows[0][field] is None]
    if unknown:
        axes.text(0.03, 0.04, "\n".join(["no classifier:", *unknown]), transform=axes.transAxes,
                  fontsize=8.5)  # fmt: skip
    axes.set_title(question, loc="left", fontsize=13, fontweight="bold")
    axes.set_xlabel("relative depth")
    axes.set_ylabel(shown, fontsize=10)
    axes.set_xlim(0, 1.02)
    axes.set_ylim(0, None if field == "relative_error" else 1.05)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.grid(visible=True, axis="y")


def _strips(figure: SubFigure, pictures: Mapping[str, Sequence[tuple[Row, Finished]]]) -> None:
    """The photo and its pre-images, from the first layer to the deepest, a row a network."""
    shown = {model: _evenly(strip) for model, strip in pictures.items()}
    columns = 1 + max(map(len, shown.values()))
    grid = figure.subplots(len(shown), columns, squeeze=False)
    for place, (strip, row) in enumerate(zip(shown.items(), grid, strict=True)):
        model, cases = strip
        for axes in row:
            axes.axis("off")
        _picture(row[0], cases[0][1].picture("reference.png"), "photo", "")
        row[0].text(
            -0.08, 0.5, model, transform=row[0].transAxes, rotation=90, va="center", ha="right",
            color=plots.look(place).colour, fontsize=12, fontweight="bold",
        )  # fmt: skip
        for axes, (measured, done) in zip(row[1:], cases, strict=False):
            caption = f"depth {numeric(measured['depth']):.2f}, error {_rounded(done)}"
            _picture(axes, done.picture(), str(measured["layer"]), caption)


def _evenly(strip: Sequence[tuple[Row, Finished]]) -> list[tuple[Row, Finished]]:
    last = len(strip) - 1
    if last < SHOWN:
        return list(strip)
    return [strip[round(i * last / (SHOWN - 1))] for i in range(SHOWN)]


def _rounded(done: Finished) -> str:
    return f"{100 * done.relative_error:.0f} %"


def _picture(axes: Axes, picture: Image.Image, title: str, caption: str) -> None:
    # Grey pictures would be drawn in false colours.
    axes.imshow(picture.convert("RGB"), interpolation="lanczos")
    axes.set_title(title, fontsize=11, pad=3)
    axes.text(0.5, -0.03, caption, transform=axes.transAxes, ha="center", va="top", fontsize=8.5)
