"""`preimage bench`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from preimage.cli import console, options, running, values
from preimage.errors import counted


@click.command(cls=running.Heavy, short_help="Measure what an iteration costs.")
@click.option(
    "--model", metavar="M", default=options.DEFAULT_MODEL, show_default=True, help="Network."
)
@click.option(
    "--layers", metavar="L,L...", help="Layers to measure. Default: three over the network's depth."
)
@click.option(
    "--canvas",
    metavar="pixel|frame",
    type=click.Choice(["pixel", "frame"]),
    default="frame",
    show_default=True,
    help="What is searched: pixels (preset paper) or a spectrum and pixels together (preset best; "
    "a pyramid for hog, hogb and dsift).",
)
@options.whole("--iterations", "N", "Iterations counted for each layer.", default=30)
@options.images_taken
@options.pretrained_or_random
@options.device
@options.as_json
def bench(
    *,
    model: str,
    layers: str | None,
    canvas: str,
    iterations: int,
    input: values.InputOptions | None,
    weights: str | None,
    device: str,
    as_json: bool,
) -> None:
    """Measure what an iteration costs beyond the bare network.

    The floor is the network cut after the layer, forward and backward, without weight gradients.
    It is timed in turn with the iterations of a search; medians and their ratio are printed.

    \b
    Example:
      preimage bench --model alexnet --layers conv1,relu3,pool5
    """
    names, chosen = _layers(model, layers, input, weights)
    from preimage.experiments.speed import measure, report

    place = options.chosen_device(device)
    if names == [None]:
        place = "cpu"  # where hand-crafted codes take their images
    timings = [measure(model, name, canvas, iterations, place, **chosen) for name in names]
    measured = report(timings, place)
    if as_json:
        console.print_json(measured)
        return
    threads = counted(measured["threads"], "thread")
    searched = "pyramid" if canvas == "frame" and names == [None] else canvas
    click.echo(f"{searched} canvas, batch 1, {measured['device']}, {threads}")
    rows = [
        (t.layer or t.model, f"{t.floor_ms:.2f}", f"{t.iteration_ms:.2f}", f"{t.ratio:.3f}")
        for t in timings
    ]
    console.print_table(("layer", "floor ms", "iteration ms", "ratio"), rows)


def _layers(
    model: str, layers: str | None, input: values.InputOptions | None, weights: str | None
) -> tuple[Sequence[str | None], dict[str, Any]]:
    """The layers to measure, [None] for a hand-crafted model, which has none; and the options."""
    from preimage.representations.catalogue import hand_crafted

    if layers is None and hand_crafted(model):
        return [None], options.check_model(model, None, input=input, weights=weights)[1]
    names = _typical(model, input) if layers is None else values.names(layers, "--layers")
    checked = [options.check_model(model, name, input=input, weights=weights) for name in names]
    return [layer for layer, _ in checked], checked[0][1]


def _typical(model: str, input: values.InputOptions | None) -> list[str]:
    """A first, a middle and a last layer, the last one that still has positions."""
    from preimage.representations.catalogue import layers_of

    table = layers_of(model, **(input or {}))
    maps = [layer.name for layer in table if len(layer.shape) == 3] or [table[-1].name]
    return [maps[0], maps[len(maps) // 2], maps[-1]]
