"""`preimage stats`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import click

from preimage.cli import console, options, running, values
from preimage.errors import UsageError, counted


@click.command(cls=running.Heavy, short_help="Measure the largest activations over photos.")
@options.network
@options.images_taken
@options.pretrained_or_random
@click.option(
    "--photos", metavar="DIR", type=values.FILE, required=True, help="Folder with the photos."
)
@options.device
@options.as_json
def stats(
    *,
    model: str,
    layer: str | None,
    input: values.InputOptions | None,
    weights: str | None,
    photos: Path,
    device: str,
    as_json: bool,
) -> None:
    """Measure the largest activation of every channel of a layer over a folder of photos.

    These are M of Eq. 9, which `preimage maximize` compares with. They are kept with the weights,
    so that a second call only reads them, and so does a later `maximize`, unless there is one over
    more photos.

    \b
    Example:
      preimage stats --model alexnet --layer conv5 --photos photos
    """
    from preimage.recipes.maxima import is_kept, measure, photos_of
    from preimage.representations import representation
    from preimage.representations.catalogue import hand_crafted

    if hand_crafted(model) is not None:
        raise UsageError(f"{model} has no channels to maximize one by one: choose a network.")
    layer, taken = options.check_model(model, layer, None, input, weights=weights)
    photos_of(photos, 1)  # a folder without any is refused before weights are fetched
    place = options.chosen_device(device)
    phi = representation(model, layer, **taken).to(place)
    with _counting(phi.name) as watch:
        maxima = measure(phi, photos, watch)
    console.note_passed_over(maxima.unusable)
    if not is_kept(maxima, phi):
        console.note("these figures could not be kept: the next command can't know them.")
    if as_json:
        console.print_json(asdict(maxima))
        return
    ranked = sorted(maxima.largest)
    dead = sum(value == 0 for value in ranked)
    photos_seen = counted(maxima.images, "photo")
    click.echo(f"{phi.name}: {counted(len(ranked), 'channel')} over {photos_seen}")
    middle = ranked[len(ranked) // 2]
    click.echo(f"largest activation: {ranked[0]:.4g} to {ranked[-1]:.4g}, median {middle:.4g}")
    if dead:
        click.echo(f"dead channels (never above 0): {dead}")


@contextmanager
def _counting(label: str) -> Iterator[Callable[[int, int], None]]:
    """A bar over the photos on a terminal, nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True, markup=False), transient=True) as progress:
        task = progress.add_task(label, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)
