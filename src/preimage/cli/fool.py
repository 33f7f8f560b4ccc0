"""`preimage fool`."""

from __future__ import annotations

from pathlib import Path

import click

from preimage.cli import console, options, output, running, values


@click.command(cls=running.Heavy, short_help="Change an image a little, into another's code.")
@click.argument("image", metavar="IMAGE", type=values.FILE)
@click.option(
    "--as",
    "other",
    metavar="IMAGE2",
    type=values.FILE,
    required=True,
    help="Image whose code is wanted.",
)
@options.network
@options.images_taken
@options.pretrained_or_random
@options.cells
@options.size("256")
@options.weight("--fidelity", "C", "Weight of the code's error against the change.", default=100.0)
@options.whole("--iterations", "N", "Of L-BFGS, one evaluation each.", default=200)
@options.movie
@options.out_folder("preimage-out/IMAGE-IMAGE2-MODEL-LAYER-fool; with --json, nothing is written")
@options.seed
@options.device
@options.as_json
def fool(
    *,
    image: Path,
    other: Path,
    model: str,
    layer: str | None,
    input: values.InputOptions | None,
    weights: str | None,
    cell: int | None,
    step: int | None,
    size: int | None,
    fidelity: float,
    iterations: int,
    movie: Path | None,
    out: Path | None,
    overwrite: bool,
    seed: int,
    device: str,
    as_json: bool,
) -> None:
    """Change IMAGE as little as possible until a layer takes it for IMAGE2.

    The contrast to an inversion, whose images look natural: nothing here asks for that, and the
    changed image need not look like IMAGE2 at all.

    \b
    Example:
      preimage fool fox.jpg --as gong.jpg --layer head
    """
    layer, chosen = options.check_model(
        model, layer, size, input, weights=weights, cell=cell, step=step
    )
    places = output.Output(out, overwrite, as_json, movie)
    places.check([image, other])
    options.check_photos([image, other])

    from preimage.recipes import fool as search
    from preimage.representations import representation

    place = options.chosen_device(device)
    phi = representation(model, layer, **chosen).to(place)
    recorders = places.recorders(phi.mean)
    with console.watching(f"{image.name} as {other.name} to {phi.name}") as bars:
        result = search(
            phi,
            image,
            other,
            fidelity=fidelity,
            iterations=iterations,
            size=size,
            seed=seed,
            callbacks=[*bars, *recorders],
        )
    words = (image.stem, other.stem, phi.model, phi.layer, "fool")
    places.write([result], words, output.film_of(recorders, [result]))
